//! borg as people have it: the real one where it is installed, and what others print.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::actions::drill::tests::drilled;
use crate::domain::{Backup, Copy, Data as Seen, ErrorKind, SourceId, Verdict};
use crate::io::clock;
use crate::io::exec;
use crate::rules::backups::verdict;
use crate::sources::contract::SECRET;
use crate::sources::contract::commands::{self, Faulty};
use crate::sources::{Call, DetailBody, ItemKey, Seen as Sight};
use crate::testing;
use crate::testing::backups::{Break, Shop, deaf, refused, told};
use crate::testing::sshd::Sshd;

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

/// With a cache beside borg's own, on which a job holds a lock.
fn context(base: &Path) -> BuildContext {
    BuildContext { cache: Some(base.join("rounds-cache")), ..testing::backups::context("shop/borg/media", base) }
}

async fn look(base: &Path, text: &str) -> Result<Backup, SourceError> {
    testing::backups::look(&config(text), &context(base)).await
}

/// What the real borg keeps, its own cache and keys beside it; `None`: it is not installed.
fn bare() -> Option<Shop> {
    let mut shop = Shop::new("borg", "srv/data")?;
    for (name, value) in [("BORG_REPO", shop.path("repo")), ("BORG_BASE_DIR", shop.path("home")), ("BORG_PASSPHRASE", "open-sesame".into())] {
        shop.set(name, value);
    }
    Some(shop)
}

/// The same with an empty repository.
async fn shop() -> Option<Shop> {
    let shop = bare()?;
    shop.run(&["init", "-e", "repokey"]).await;
    Some(shop)
}

/// The keys of the data set.
fn keys_of(shop: &Shop) -> String {
    format!("repository = \"repo\"\n{}", keys_without_address(shop))
}

fn keys_without_address(shop: &Shop) -> String {
    format!("passphrase = \"open-sesame\"\nenv = {{ BORG_BASE_DIR = {:?} }}", shop.path("home"))
}

/// An archive of so many hours ago.
async fn backup(shop: &Shop, hours: i64, name: &str) {
    let then = (clock::now() - chrono::TimeDelta::hours(hours)).format("%Y-%m-%dT%H:%M:%S").to_string();
    shop.run(&["create", "--timestamp", &then, &format!("::{name}"), "srv/data"]).await;
}

fn desk_of(shop: &Shop, keys: &str) -> Arc<dyn Repository> {
    config(keys).repository(&context(shop.dir.path())).unwrap().unwrap()
}

#[tokio::test]
async fn a_real_repository_is_told_browsed_restored_and_checked() {
    let began = std::time::Instant::now();
    let Some(shop) = shop().await else { return };
    for (hours, name) in [(75, "web1-mon"), (51, "web1-tue"), (27, "web1-wed"), (3, "web1-thu"), (2, "web1-fri.checkpoint"), (1, "other")] {
        backup(&shop, hours, name).await;
    }
    let keys = format!("{}\narchive = \"web1-*\"\nretention = 4", keys_of(&shop));
    let mut seen = look(shop.dir.path(), &keys).await.unwrap();
    for _ in 0..20 {
        // On a busy machine one look has no time for the older ones.
        if seen.copies.iter().all(|copy| copy.size_bytes.is_some()) {
            break;
        }
        seen = look(shop.dir.path(), &keys).await.unwrap();
    }
    assert_eq!((seen.snapshots, seen.complaints.as_slice()), (4, [].as_slice()), "a checkpoint is no copy");
    assert_eq!(verdict(&seen, clock::now()), Verdict::Ok);
    let last = seen.copies.last().unwrap();
    assert_eq!((last.name.as_str(), last.size_bytes, last.host.as_deref()), ("web1-thu", Some(50_003), Some(crate::backups::disk::host().as_str())));
    assert!(last.started.is_some() && last.added_bytes.is_some());
    let age = seen.age_s.unwrap();
    // A busy machine takes its time.
    assert!((3 * 3_600 - 5..=3 * 3_600 + 5 + began.elapsed().as_secs()).contains(&age), "times without a zone are UTC: {age}");
    assert_eq!(seen.median_size_bytes, Some(50_003), "older ones are measured too");
    assert!(seen.repository_bytes.is_some_and(|bytes| bytes > 0) && seen.free_bytes.is_some() && seen.next_at.is_some());
    assert_eq!((seen.places.len(), seen.places[0].same_machine), (1, Some(true)), "it lies beside what it protects");
    assert_eq!(seen.runs.len(), 4);

    let desk = desk_of(&shop, &keys);
    let copies = desk.copies().await.unwrap();
    let newest = copies.last().unwrap();
    assert_eq!((copies.len(), newest.name.as_str()), (4, "web1-thu"));
    let names = |entries: &[crate::backups::Entry]| entries.iter().map(|entry| (entry.path.clone(), entry.folder, entry.size)).collect::<Vec<_>>();
    assert_eq!(names(&desk.files("web1-thu", "").await.unwrap()), [("srv".to_owned(), true, None)], "a folder above what was backed up");
    assert_eq!(names(&desk.files("web1-thu", "srv").await.unwrap()), [("srv/data".to_owned(), true, None)]);
    let mut below = names(&desk.files("web1-thu", "/srv/data/").await.unwrap());
    below.sort();
    assert_eq!(below, [("srv/data/a b".to_owned(), true, None), ("srv/data/dump.sql".to_owned(), false, Some(50_000))]);
    assert_eq!(desk.files("web1-thu", "srv/data/a b").await.unwrap()[0].path, "srv/data/a b/new\nline;$(touch oops)");
    assert!(desk.files("no-such", "").await.is_err());

    // Through a shell, as ssh has one at its other end: what a repository says is never read by it.
    let ssh = shop.path("ssh");
    commands::script(&ssh, &format!("shift; export BORG_PASSPHRASE=open-sesame BORG_BASE_DIR={:?}; exec sh -c \"$*\"", shop.path("home"))).await;
    let far = format!("repository = {:?}\ncommand = [{ssh:?}, \"web1\", \"borg\"]", shop.path("repo"));
    assert_eq!(desk_of(&shop, &far).files("web1-thu", "srv/data/a b").await.unwrap().len(), 1);
    assert!(desk_of(&shop, &far).files("web1-thu", "srv/$(touch oops)").await.map_or(true, |found| found.is_empty()));
    assert!(!shop.path("oops").exists() && !shop.path("srv/oops").exists(), "a name in the repository was run");
    let seen_far = look(shop.dir.path(), &far).await.unwrap();
    assert_eq!((seen_far.snapshots, seen_far.places.len()), (5, 0));

    let into = tempfile::tempdir().unwrap();
    desk.restore(newest, into.path()).await.unwrap();
    assert_eq!(fs::read(into.path().join("srv/data/dump.sql")).unwrap().len(), 50_000);
    let only = desk_of(&shop, &format!("{keys}\ndrill = {{ paths = [\"/srv/data/a b\"] }}"));
    let into = tempfile::tempdir().unwrap();
    only.restore(newest, into.path()).await.unwrap();
    assert!(into.path().join("srv/data/a b").is_dir() && !into.path().join("srv/data/dump.sql").exists());
    let nothing = Copy { name: "no-such".to_owned(), ..Copy::default() };
    assert!(desk.restore(&nothing, into.path()).await.is_err());
    let missing = desk_of(&shop, &format!("{keys}\ndrill = {{ paths = [\"no/such\"] }}"));
    assert!(missing.restore(newest, into.path()).await.is_err(), "a path that is not in it is a failure");
    assert_eq!(desk.by_hand(newest), format!("borg extract {}::web1-thu", shop.path("repo").display()));
    assert_eq!(desk.protects(), [shop.path("repo")]);

    let check = desk.check().await.unwrap();
    assert_eq!((check.ok, check.depth.as_str(), check.message.as_str()), (true, "checksums and archives", ""));
}

#[tokio::test]
async fn whatever_is_wrong_with_a_repository_is_told_and_never_good() {
    let Some(shop) = shop().await else { return };
    let (base, keys, rest) = (shop.dir.path(), keys_of(&shop), keys_without_address(&shop));
    let place = shop.path("repo").display().to_string();
    fs::create_dir(shop.path("empty")).unwrap();
    let kind = |result: Result<Backup, SourceError>| result.map_err(|error| (error.kind, error.message));
    let (of, said) = kind(look(base, &keys).await).unwrap_err();
    assert_eq!((of, said), (ErrorKind::Nothing, format!("there is no archive in {place}")));
    backup(&shop, 30, "web1-one").await;
    for (keys, expected, words) in [
        (keys.replace("open-sesame", "guessed-wrong"), ErrorKind::Auth, "the passphrase of the repository is wrong"),
        (keys.replace("passphrase = \"open-sesame\"", ""), ErrorKind::Auth, "or none was given"),
        (format!("repository = \"nowhere\"\n{rest}"), ErrorKind::Missing, "there is no repository at /"),
        (format!("repository = \"empty\"\n{rest}"), ErrorKind::Missing, "is no borg repository"),
        (format!("repository = \"ssh://127.0.0.1:9/x\"\n{rest}"), ErrorKind::Connect, "ssh://127.0.0.1:9/x is not reached"),
        (format!("{keys}\narchive = \"web9-*\""), ErrorKind::Nothing, "is called web9-*"),
        (format!("{keys}\ncommand = [\"rounds-no-such-borg\"]"), ErrorKind::Missing, "rounds-no-such-borg is not installed"),
    ] {
        let (of, said) = kind(look(base, &keys).await).unwrap_err();
        assert!(of == expected && said.contains(words), "{keys}: {of:?} {said}");
    }
    if nix::unistd::geteuid().is_root() && testing::tool("setpriv").is_some() {
        let nobody = "command = [\"setpriv\", \"--reuid=65534\", \"--regid=65534\", \"--clear-groups\", \"borg\"]";
        let keys = format!("repository = \"repo\"\npassphrase = \"open-sesame\"\nenv = {{ BORG_BASE_DIR = \"/tmp\" }}\n{nobody}");
        let (of, said) = kind(look(base, &keys).await).unwrap_err();
        assert!(of == ErrorKind::Auth && said.contains("may not be read"), "{of:?} {said}");
    }
    // The repository was moved: borg would ask.
    fs::rename(shop.path("repo"), shop.path("moved")).unwrap();
    let (of, said) = kind(look(base, &format!("repository = \"moved\"\n{rest}")).await).unwrap_err();
    assert!(of == ErrorKind::Config && said.contains("was somewhere else before"), "{of:?} {said}");
    fs::rename(shop.path("moved"), shop.path("repo")).unwrap();

    let late = look(base, &keys).await.unwrap();
    assert_eq!(verdict(&late, clock::now()), Verdict::Degraded);
    backup(&shop, -100, "web1-two").await;
    let future = look(base, &keys).await.unwrap();
    assert!(future.complaints.iter().any(|said| said.contains("dated in the future")), "{:?}", future.complaints);

    // A job that runs holds a lock, and looks go on; killed, it leaves the lock behind.
    let job = exec::start(&shop.program(&["sh", "-c", "sleep 60 | borg create ::held -"])).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while !shop.path("repo/lock.exclusive").exists() {
        assert!(std::time::Instant::now() < until, "no lock came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen = look(base, &keys).await.unwrap();
    assert_eq!((seen.locks.len(), seen.locks[0].stale), (1, false), "{:?}", seen.locks);
    let locked = desk_of(&shop, &keys).check().await.unwrap_err();
    assert!(locked.kind == ErrorKind::Nothing && locked.message.contains("is locked"), "{locked:?}");
    drop(job);
    let mut built = config(&keys).build(&context(base)).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    let seen = loop {
        let collected = built.source.collect().await.unwrap();
        let Seen::Backup(seen) = &collected.observations[0].data else { panic!() };
        if seen.locks[0].stale || std::time::Instant::now() > until {
            break seen.clone();
        }
    };
    assert!(seen.complaints.iter().any(|said| said.starts_with("has a lock whose holder is gone: ")), "{:?}", seen.complaints);
    let service = built.service.unwrap();
    let key = ItemKey { source: SourceId::parse("shop/borg/media").unwrap(), item: String::new() };
    assert_eq!(service.offers_for(&key, Sight::Backup(&seen)).iter().map(|offer| (offer.id.as_str(), offer.dangerous)).collect::<Vec<_>>(), [("unlock", true)]);
    let call = |offer: &str| Call { key: key.clone(), offer: offer.to_owned(), arguments: BTreeMap::default() };
    service.perform(&call("unlock")).await.unwrap();
    assert!(!shop.path("repo/lock.exclusive").exists());
    let DetailBody::Folder(folder) = service.detail(&key, Some("srv/data")).await.unwrap().body else { panic!() };
    assert!(folder.entries.iter().any(|entry| entry.path.ends_with("srv/data/dump.sql")), "{folder:?}");

    // Bytes of the largest segment are others: a listing does not see it, a check does.
    let mut segments: Vec<PathBuf> = fs::read_dir(shop.path("repo/data/0")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort_by_key(|path| fs::metadata(path).unwrap().len());
    let segment = segments.pop().unwrap();
    let whole = fs::read(&segment).unwrap();
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8].copy_from_slice(b"XXXXXXXX");
    fs::write(&segment, bytes).unwrap();
    let check = desk_of(&shop, &keys).check().await.unwrap();
    assert!(!check.ok && !check.message.is_empty(), "{check:?}");
    // It is gone: what is measured meets it.
    fs::remove_file(&segment).unwrap();
    let check = desk_of(&shop, &keys).check().await.unwrap();
    assert!(!check.ok && check.message.contains("ndex"), "{check:?}");
    let seen = look(base, &keys).await;
    assert!(seen.as_ref().map_or(true, |seen| verdict(seen, clock::now()) != Verdict::Ok), "{seen:?}");
    fs::write(&segment, whole).unwrap();
    fs::write(shop.path("repo/config"), "garbage").unwrap();
    let (of, said) = kind(look(base, &keys).await).unwrap_err();
    assert!(matches!(of, ErrorKind::Missing | ErrorKind::Protocol), "{of:?} {said}");
}

/// A repository broken in each way, on a copy of it. What no listing can meet, the check does.
#[tokio::test]
async fn every_broken_state_is_told() {
    let Some(shop) = shop().await else { return };
    backup(&shop, 3, "web1-one").await;
    let segments = |at: &Path| {
        let mut all: Vec<PathBuf> = fs::read_dir(at.join("data/0")).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort_by_key(|path| fs::metadata(path).unwrap().len());
        all
    };
    let named = |at: &Path, begin: &str, work: &dyn Fn(&Path)| {
        let all = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(begin)).for_each(|path| work(&path));
    };
    let empty = |path: &Path| fs::write(path, "").unwrap();
    let half = |path: &Path| {
        let whole = fs::read(path).unwrap();
        fs::write(path, &whole[..whole.len() / 2]).unwrap();
    };
    let without_key = |at: &Path| {
        let text = fs::read_to_string(at.join("config")).unwrap();
        fs::write(at.join("config"), text.split_once("key = ").unwrap().0).unwrap();
    };
    let states: [(&str, Break<'_>, &str); 11] = [
        ("a config of zero bytes", &|at| empty(&at.join("config")), "does not have a valid configuration"),
        ("half a config", &|at| half(&at.join("config")), "borg failed"),
        ("no key", &without_key, "No key entry found"),
        ("a file in its place", &|at| fs::remove_dir_all(at).and_then(|()| fs::write(at, "x")).unwrap(), "is no borg repository"),
        ("no data", &|at| fs::remove_dir_all(at.join("data")).unwrap(), "No such file or directory"),
        ("segments of zero bytes", &|at| segments(at).iter().for_each(|path| empty(path)), "Inconsistency detected"),
        ("half the largest segment", &|at| half(segments(at).last().unwrap()), "is damaged: "),
        // These borg makes anew from its segments, and leaves a roster that it cannot read to the next one that locks.
        ("an index of zero bytes", &|at| named(at, "index", &empty), ""),
        ("half an index", &|at| named(at, "index", &half), ""),
        ("hints of zero bytes", &|at| named(at, "hints", &empty), ""),
        ("a lock of garbage", &|at| fs::write(at.join("lock.roster"), "garbage").unwrap(), ""),
    ];
    for (count, (state, damage, expected)) in states.into_iter().enumerate() {
        let name = format!("broken {count}");
        let place = shop.copied(&name).await;
        damage(&place);
        // The same repository in another place is one that was moved, which is asked about.
        let keys = keys_of(&shop).replace("\"repo\"", &format!("{name:?}")).replace(" }", ", BORG_RELOCATED_REPO_ACCESS_IS_OK = \"yes\" }");
        let (said, is_ok) = match look(shop.dir.path(), &keys).await {
            Err(error) => (error.message, false),
            Ok(seen) => (seen.complaints.join("; "), verdict(&seen, clock::now()) == Verdict::Ok),
        };
        assert!(said.contains(expected) && is_ok == expected.is_empty() && said.is_empty() == is_ok, "{state}: {said}");
    }
}

#[tokio::test]
async fn a_repository_behind_ssh_is_like_one_at_hand() {
    let (Some(mut shop), Some(mut sshd)) = (bare(), Sshd::start().await) else { return };
    let (base, home, port) = (shop.dir.path().to_owned(), shop.path("home"), sshd.port);
    let keys = |port: u16, folder: &str, rsh: &str, more: &str| {
        let place = base.join(folder);
        format!(
            "repository = \"ssh://127.0.0.1:{port}{}\"\npassphrase = \"open-sesame\"\nenv = {{ BORG_BASE_DIR = {home:?}, BORG_RSH = {rsh:?}{more} }}",
            place.display()
        )
    };
    // Without the port, which borg adds from the address.
    let rsh = |key: &str| sshd.client(key).join(" ").replace(&format!(" -p {port}"), "");
    let (known, stranger) = (rsh("key"), rsh("stranger"));
    shop.set("BORG_REPO", format!("ssh://127.0.0.1:{port}{}", base.join("far").display()));
    shop.set("BORG_RSH", &known);
    shop.run(&["init", "-e", "repokey"]).await;
    backup(&shop, 3, "web1-one").await;

    let (program, notes) = shop.noting().await;
    let scratch = shop.path("scratch");
    fs::create_dir(&scratch).unwrap();
    let drill = format!("command = [{program:?}]\ndrill = {{ scratch = {scratch:?}, assert.files = [\"**/dump.sql\"] }}");
    let good = format!("{}\n{drill}", keys(port, "far", &known, ""));
    let seen = look(&base, &good).await.unwrap();
    assert_eq!((verdict(&seen, clock::now()), seen.snapshots, seen.complaints.as_slice()), (Verdict::Ok, 1, [].as_slice()));
    assert_eq!((seen.copies[0].size_bytes, seen.places[0].name.as_str(), seen.free_bytes), (Some(50_003), "127.0.0.1", None));
    let repository = desk_of(&shop, &good);
    assert_eq!(repository.files("web1-one", "srv/data/a b").await.unwrap()[0].path, "srv/data/a b/new\nline;$(touch oops)");
    let check = repository.check().await.unwrap();
    assert!(check.ok, "{check:?}");
    let drill = drilled(repository, &base, &scratch).await.unwrap();
    assert!(drill.ok && !drill.assertions.is_empty(), "{drill:?}");
    let notes = fs::read_to_string(notes).unwrap();
    assert!(notes.contains("extract") && !notes.contains("open-sesame"), "{notes}");

    let long = Duration::from_secs(300);
    let context = context(&base);
    // borg does not always pass on what ssh said.
    let unheard = |error: &SourceError| error.message.contains("Connection closed by remote host") && error.remedy.contains("run `ssh`");
    for (keys, kind, words) in [
        (keys(port, "far", &stranger, ""), ErrorKind::Auth, ["refuses us", "Permission denied (publickey"]),
        (keys(port, "nowhere", &known, ""), ErrorKind::Missing, ["there is no repository at ssh://127.0.0.1", ""]),
        (keys(port, "far", &known, "").replace("open-sesame", "guessed"), ErrorKind::Auth, ["the passphrase of the repository is wrong", ""]),
        (
            keys(port, "far", &known, ", BORG_REMOTE_PATH = \"/nowhere/borg\""),
            ErrorKind::Missing,
            ["borg is not found on the machine of ssh://127.0.0.1", "/nowhere/borg"],
        ),
    ] {
        let error = refused(&config(&keys), &context, long).await;
        if !unheard(&error) {
            told(&error, kind, &words);
        }
    }
    sshd.stop().await;
    let down = refused(&config(&keys(port, "far", &known, "")), &context, long).await;
    told(&down, ErrorKind::Connect, &["is not reached: ", if unheard(&down) { "" } else { "Connection refused" }]);
    let (_listener, silent) = deaf().await;
    let unheard = refused(&config(&keys(silent, "far", &known, "")), &context, Duration::from_secs(3)).await;
    told(&unheard, ErrorKind::Timeout, &["did not end within 3s"]);
    assert!(unheard.remedy.contains("ssh://127.0.0.1"), "{unheard:?}");
}

/// What `borg list --json` answers where it is the second one: there a list wants an archive.
const USAGE: &str = "usage: borg2 list [-h] [--critical] [--error]\n                  [-r REPO] [--short] NAME [PATH ...]\n\
                     borg2 list: error: the following arguments are required: NAME, PATH";

#[tokio::test]
async fn borg_2_is_told_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let tool = dir.path().join("borg");
    commands::script(&tool, &format!("case \"$*\" in *--version*) echo borg2 2.0.0b5;; *) echo '{USAGE}' >&2; exit 2;; esac")).await;
    let said = "borg 2 is not supported yet: this is 2.0.0b5, and repositories of borg 1.1 to 1.4 are read";
    let error = look(dir.path(), &format!("repository = \"/b\"\ncommand = [{tool:?}]")).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Config, said));
    // One that is no newer, and only did not understand.
    commands::script(
        &tool,
        "case \"$*\" in *--version*) echo borg 1.0.9;; *) echo 'usage: borg list' >&2; echo 'unrecognized arguments: --json' >&2; exit 2;; esac",
    )
    .await;
    let error = look(dir.path(), &format!("repository = \"/b\"\ncommand = [{tool:?}]")).await.unwrap_err();
    told(&error, ErrorKind::Protocol, &["unrecognized arguments"]);
    for (printed, new) in [("borg 1.4.3", false), ("borg2 2.0.0b14", true), ("borg 10.0\n", true), ("", false), ("borg", false)] {
        assert_eq!(parse::not_supported(printed).is_some(), new, "{printed}");
    }

    // The real one, where somebody has it, and a borg 1 that meets its repository.
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("borg2").is_file()) {
        return;
    }
    let Some(shop) = bare() else { return };
    let made = exec::run(&shop.program(&["borg2", "rcreate", "-e", "repokey-aes-ocb"]), exec::Limits::within(Duration::from_secs(120))).await.unwrap();
    if made.ending.success() {
        let error = look(shop.dir.path(), &format!("{}\ncommand = [\"borg2\"]", keys_of(&shop))).await.unwrap_err();
        told(&error, ErrorKind::Config, &["borg 2 is not supported yet: this is 2."]);
        told(&look(shop.dir.path(), &keys_of(&shop)).await.unwrap_err(), ErrorKind::Config, &["borg 2 is not supported yet", "is one of its repositories"]);
    }
}

#[tokio::test]
async fn warnings_are_no_failures_and_other_forms_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let start = (clock::now() - chrono::TimeDelta::hours(2)).format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
    let archive = format!("{{\"name\":\"a\",\"archive\":\"a\",\"id\":\"1\",\"start\":\"{start}\",\"time\":\"{start}\"}}");
    let list = format!("{{\"archives\":[{archive}],\"encryption\":{{\"mode\":\"none\"}},\"repository\":{{\"id\":\"2\",\"location\":\"/b\"}}}}");
    for code in [0, 1, 100] {
        let tool = dir.path().join(format!("borg-{code}"));
        commands::script(&tool, &format!("case \"$*\" in *list*) echo 'a word before'; echo '{list}'; exit {code};; *) exit 2;; esac")).await;
        let seen = look(dir.path(), &format!("repository = \"me@nas1:shop\"\ncommand = [{tool:?}]")).await.unwrap();
        assert_eq!((seen.snapshots, seen.places[0].name.as_str()), (1, "nas1"), "{code}");
    }
    let one = r#"{"archives":[{"name":"x.checkpoint.12","start":"2026-11-20T10:41:09.000000"},{"name":"x.checkpoints","start":"2026-11-20T10:41:09+02:00"}],"repository":{}}"#;
    let all = parse::documents(one, "borg").unwrap();
    assert_eq!(all[0].archives.iter().map(parse::Archive::is_checkpoint).collect::<Vec<_>>(), [true, false]);
    assert_eq!(all[0].archives[1].start.to_rfc3339(), "2026-11-20T08:41:09+00:00");
    assert!(parse::documents("{\"archives\":[{\"name\":\"x\",\"start\":\"soon\"}],\"repository\":{}}", "borg").is_err());
    assert_eq!(parse::escaped("srv/a b.(c)*"), "srv/a b\\.\\(c\\)\\*");
}

#[tokio::test]
async fn the_source_keeps_the_contract_of_commands() {
    let dir = tempfile::tempdir().unwrap();
    let start = (clock::now() - chrono::TimeDelta::hours(2)).format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
    let answer = format!("{{\"archives\":[{{\"name\":\"a\",\"id\":\"1\",\"start\":\"{start}\"}}],\"repository\":{{\"location\":\"/b\"}}}}");
    let count = std::cell::Cell::new(0);
    let answers = commands::suite(&answer, |tool| {
        let mut context = context(dir.path());
        context.common.timeout = Some(commands::TIMEOUT);
        // Each a repository of its own: they share no listing.
        count.set(count.get() + 1);
        let keys = format!("repository = \"me@nas1:{}\"\npassphrase = \"{SECRET}\"\ncommand = [{tool:?}]", count.get());
        config(&keys).build(&context).unwrap().source
    })
    .await;
    for (faulty, expected) in [
        (Faulty::Missing, ErrorKind::Missing),
        (Faulty::Forbidden, ErrorKind::Config),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Null, ErrorKind::Protocol),
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
    assert_eq!(config("repository = \"b\"").build(&untrusted).unwrap_err().kind, ErrorKind::Config);
    assert!(config("repository = \"b\"").repository(&untrusted).unwrap().is_err());
    let complaints = config("repository = \"b::a\"\ncommand = []\narchive = \"[\"\nmax_age = \"0s\"\ncheck = { data = \"5%\" }").check();
    let keys: Vec<String> = complaints.iter().map(|complaint| complaint.path.join(".")).collect();
    assert_eq!(keys, ["repository", "command", "archive", "check.data", "max_age"]);
}
