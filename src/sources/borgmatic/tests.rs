//! borgmatic as people have it: that of the system, and a newer one where a Python environment for tests has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::domain::{Backup, Copy, ErrorKind, SourceId, Verdict};
use crate::io::clock;
use crate::io::exec::{self, Limits, Program};
use crate::io::secret::Secret;
use crate::rules::backups::verdict;
use crate::sources::Common;
use crate::sources::contract::SECRET;
use crate::sources::contract::commands::{self, Faulty};
use crate::testing;
use crate::testing::backups::noise;

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

fn context(base: &Path) -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/borgmatic/media").unwrap(),
        common: Common { timeout: Some(Duration::from_secs(600)), ..Common::default() },
        base: base.to_owned(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

async fn look(base: &Path, text: &str) -> Result<Backup, SourceError> {
    testing::backups::look(&config(text), &context(base)).await
}

/// Two repositories of the real borg, and a configuration of borgmatic that names them.
struct Shop {
    dir: tempfile::TempDir,
    borgmatic: PathBuf,
}

/// That of the system, and that beside the Python of the tests.
fn installed() -> Vec<PathBuf> {
    let newer = std::env::var_os("ROUNDS_TEST_PYTHON").map(|python| PathBuf::from(python).with_file_name("borgmatic")).filter(|path| path.is_file());
    testing::tool("borgmatic").into_iter().chain(newer).collect()
}

impl Shop {
    async fn new(borgmatic: PathBuf) -> Self {
        let shop = Self { dir: tempfile::tempdir().unwrap(), borgmatic };
        fs::create_dir_all(shop.path("srv/data/a b")).unwrap();
        fs::write(shop.path("srv/data/dump.sql"), noise()).unwrap();
        let base = shop.dir.path().display();
        // Up to 1.7 in sections, from 1.8 on flat.
        let asked = Program::new(vec![shop.borgmatic.to_str().unwrap().to_owned(), "--version".to_owned()]);
        let version = exec::run(&asked, Limits::within(Duration::from_secs(100))).await.unwrap().stdout_text();
        let text = if version.trim_start().starts_with("1.7") {
            format!(
                "location:\n    source_directories: [{base}/srv]\n    repositories: [{base}/one, {base}/two]\nstorage:\n    encryption_passphrase: open-sesame\n\
                 retention:\n    keep_daily: 7\n"
            )
        } else {
            format!(
                "source_directories: [{base}/srv]\nrepositories:\n    - path: {base}/one\n    - path: {base}/two\n      label: second\nencryption_passphrase: open-sesame\n"
            )
        };
        fs::write(shop.path("config.yaml"), text).unwrap();
        shop.borg("one", &["init", "-e", "repokey"]).await;
        shop.borg("two", &["init", "-e", "repokey"]).await;
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn keys(&self) -> String {
        let (home, tool) = (self.path("home"), &self.borgmatic);
        format!("config = \"config.yaml\"\ncommand = [{tool:?}]\nenv = {{ BORG_BASE_DIR = {home:?}, HOME = {home:?} }}")
    }

    async fn borg(&self, repository: &str, arguments: &[&str]) {
        let argv = std::iter::once("borg").chain(arguments.iter().copied()).map(str::to_owned).collect();
        let mut program = Program::new(argv).directory(self.dir.path());
        let all = [("BORG_REPO", self.path(repository)), ("BORG_BASE_DIR", self.path("home")), ("BORG_PASSPHRASE", "open-sesame".into()), ("TZ", "UTC".into())];
        for (name, value) in all {
            program = program.env(name, Secret::new(value.to_str().unwrap().to_owned()));
        }
        let output = exec::run(&program, Limits::within(Duration::from_secs(300))).await.unwrap();
        assert!(output.ending.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// An archive of so many hours ago.
    async fn backup(&self, repository: &str, hours: i64, name: &str) {
        let then = (clock::now() - chrono::TimeDelta::hours(hours)).format("%Y-%m-%dT%H:%M:%S").to_string();
        self.borg(repository, &["create", "--timestamp", &then, &format!("::{name}"), "srv/data"]).await;
    }
}

#[tokio::test]
async fn real_repositories_are_told_browsed_restored_and_checked() {
    if testing::tool("borg").is_none() {
        return;
    }
    for borgmatic in installed() {
        let shop = Shop::new(borgmatic).await;
        let (base, keys) = (shop.dir.path(), shop.keys());
        let error = look(base, &keys).await.unwrap_err();
        assert!(error.kind == ErrorKind::Nothing && error.message.starts_with("there is no archive in /"), "{error:?}");
        // Names of another host: newer versions leave them out unless asked.
        shop.backup("one", 27, "web9-a").await;
        shop.backup("one", 3, "web9-b").await;
        let seen = look(base, &keys).await.unwrap();
        assert_eq!((seen.snapshots, seen.places.len()), (2, 2));
        assert!(seen.complaints.iter().any(|said| said.starts_with("has no archive in one place: ")), "{:?}", seen.complaints);
        shop.backup("two", 4, "web9-b").await;
        let seen = look(base, &keys).await.unwrap();
        assert_eq!((seen.complaints.as_slice(), verdict(&seen, clock::now())), ([].as_slice(), Verdict::Ok));
        let last = seen.copies.last().unwrap();
        assert_eq!((last.name.as_str(), last.size_bytes, last.host.is_some()), ("web9-b", Some(50_000), true));
        assert!(seen.place.ends_with("/one") && seen.repository_bytes.is_some() && seen.free_bytes.is_some());
        assert!(seen.places.iter().all(|place| place.same_machine == Some(true) && place.newest.is_some()), "{:?}", seen.places);
        let only = format!("{keys}\nrepository = \"{}\"\narchive = \"web9-*\"", shop.path("two").display());
        assert_eq!(look(base, &only).await.unwrap().snapshots, 1);
        let error = look(base, &format!("{keys}\narchive = \"web1-*\"")).await.unwrap_err();
        assert!(error.message.ends_with("is called web1-*"), "{error:?}");

        let desk = config(&keys).repository(&context(base)).unwrap().unwrap();
        let copies = desk.copies().await.unwrap();
        let newest = copies.last().unwrap();
        assert_eq!(copies.len(), 2);
        assert_eq!(desk.files(&newest.name, "").await.unwrap()[0].path, "srv");
        let below = desk.files(&newest.name, "srv/data").await.unwrap();
        assert!(below.iter().any(|entry| entry.path == "srv/data/dump.sql" && entry.size == Some(50_000)), "{below:?}");
        let into = tempfile::tempdir().unwrap();
        desk.restore(newest, into.path()).await.unwrap();
        assert_eq!(fs::read(into.path().join("srv/data/dump.sql")).unwrap().len(), 50_000);
        assert!(desk.restore(&Copy { name: "no-such".to_owned(), ..Copy::default() }, into.path()).await.is_err());
        assert_eq!(desk.protects(), [shop.path("one"), shop.path("two")]);
        assert!(desk.by_hand(newest).contains(&format!("extract --repository {} --archive web9-b", shop.path("one").display())));
        let check = desk.check().await.unwrap();
        assert!(check.ok, "{check:?}");

        a_failed_run_is_told_by_the_log(&shop, &keys).await;

        // One of them is gone, then the other one's passphrase is wrong, then nothing is configured.
        fs::rename(shop.path("two"), shop.path("away")).unwrap();
        let error = look(base, &keys).await.unwrap_err();
        assert!(error.message.contains("there is no repository at"), "{error:?}");
        fs::rename(shop.path("away"), shop.path("two")).unwrap();
        let text = fs::read_to_string(shop.path("config.yaml")).unwrap();
        fs::write(shop.path("config.yaml"), text.replace("open-sesame", "guessed-wrong")).unwrap();
        let error = look(base, &keys).await.unwrap_err();
        assert!(error.kind == ErrorKind::Auth && error.message.contains("passphrase"), "{error:?}");
        let error = look(base, &keys.replace("config.yaml", "none.yaml")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Config, "{error:?}");
        fs::write(shop.path("config.yaml"), "nonsense: [").unwrap();
        let error = look(base, &keys).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Config | ErrorKind::Protocol), "{error:?}");
    }
}

/// borgmatic made to fail for one of its repositories: no archive tells of it, its log does.
async fn a_failed_run_is_told_by_the_log(shop: &Shop, keys: &str) {
    fs::rename(shop.path("one"), shop.path("away")).unwrap();
    let log = shop.path("job.log");
    let argv = ["-c", "config.yaml", "--log-file", log.to_str().unwrap(), "--log-file-verbosity", "1", "create"];
    let argv = std::iter::once(shop.borgmatic.to_str().unwrap()).chain(argv).map(str::to_owned).collect();
    let mut program = Program::new(argv).directory(shop.dir.path());
    for name in ["HOME", "BORG_BASE_DIR"] {
        program = program.env(name, Secret::new(shop.path("home").to_str().unwrap().to_owned()));
    }
    let output = exec::run(&program, Limits::within(Duration::from_secs(300))).await.unwrap();
    assert!(!output.ending.success());
    fs::rename(shop.path("away"), shop.path("one")).unwrap();
    let base = shop.dir.path();
    let seen = look(base, &format!("{keys}\njob_log = \"job.log\"")).await.unwrap();
    let failure = seen.last_failure.unwrap();
    assert!(failure.message.contains("does not exist") && failure.ended > seen.last_success, "{failure:#?}");
    assert!(seen.complaints.contains(&format!("the last run failed: {}", failure.message)), "{:?}", seen.complaints);
    assert!(failure.output.len() > 3 && failure.output.iter().any(|line| line.contains("CRITICAL")), "{failure:#?}");
    // Newer versions take the place from their configuration; the line says nothing to older ones, which refuse it.
    let text = fs::read_to_string(shop.path("config.yaml")).unwrap();
    if !text.starts_with("location:") {
        fs::write(shop.path("config.yaml"), format!("{text}log_file: {}\n", log.display())).unwrap();
        assert_eq!(look(base, keys).await.unwrap().last_failure, Some(failure));
    }
    fs::write(shop.path("config.yaml"), text).unwrap();
    assert_eq!(look(base, keys).await.unwrap().last_failure, None);
}

#[tokio::test]
async fn the_source_keeps_the_contract_of_commands() {
    let dir = tempfile::tempdir().unwrap();
    let start = (clock::now() - chrono::TimeDelta::hours(2)).format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
    let answer = format!("[{{\"archives\":[{{\"name\":\"a\",\"id\":\"1\",\"start\":\"{start}\"}}],\"repository\":{{\"location\":\"me@nas1:b\"}}}}]");
    let answers = commands::suite(&answer, |tool| {
        let mut context = context(dir.path());
        context.common.timeout = Some(commands::TIMEOUT);
        config(&format!("passphrase = \"{SECRET}\"\ncommand = [{tool:?}]")).build(&context).unwrap().source
    })
    .await;
    for (faulty, expected) in [
        (Faulty::Missing, ErrorKind::Missing),
        (Faulty::Forbidden, ErrorKind::Config),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Killed, ErrorKind::Protocol),
    ] {
        assert_eq!(commands::kind_of(&answers, faulty), Some(expected), "{faulty:?}");
    }
}

#[test]
fn an_untrusted_configuration_runs_nothing_and_wrong_values_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut untrusted = context(dir.path());
    untrusted.trusted = false;
    assert_eq!(config("").build(&untrusted).unwrap_err().kind, ErrorKind::Config);
    assert!(config("").repository(&untrusted).unwrap().is_err());
    let complaints = config("config = \"-c\"\nrepository = \"\"\ncommand = []").check();
    let keys: Vec<String> = complaints.iter().map(|complaint| complaint.path.join(".")).collect();
    assert_eq!(keys, ["config", "repository", "command"]);
}
