//! restic as people have it: the real one where it is installed, and what newer and older ones print.

mod remote;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::*;
use crate::actions::drill::tests::drilled;
use crate::domain::{Backup, Copy, Data, ErrorKind, SourceId, Verdict};
use crate::io::clock;
use crate::io::exec;
use crate::rules::backups::verdict;
use crate::sources::contract::SECRET;
use crate::sources::contract::commands::{self, Faulty};
use crate::sources::{Call, DetailBody, ItemKey, Seen as Sight};
use crate::testing;
use crate::testing::backups::{Break, Shop, files};

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

fn context(base: &Path) -> BuildContext {
    testing::backups::context("shop/restic/db", base)
}

async fn look_in(context: &BuildContext, text: &str) -> Result<Backup, SourceError> {
    testing::backups::look(&config(text), context).await
}

async fn look(base: &Path, text: &str) -> Result<Backup, SourceError> {
    look_in(&context(base), text).await
}

/// A script in a folder.
async fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    commands::script(&path, text).await;
    path
}

const KEYS: &str = "repository = \"repo\"\npassword = \"open-sesame\"";

/// What the real restic keeps; `None`: it is not installed.
fn bare() -> Option<Shop> {
    let mut shop = Shop::new("restic", "data")?;
    for (name, value) in [("RESTIC_REPOSITORY", shop.path("repo")), ("RESTIC_CACHE_DIR", shop.path("cache")), ("RESTIC_PASSWORD", "open-sesame".into())] {
        shop.set(name, value);
    }
    Some(shop)
}

/// The same with an empty repository.
async fn shop() -> Option<Shop> {
    let shop = bare()?;
    shop.run(&["init"]).await;
    Some(shop)
}

/// A snapshot so many hours ago.
async fn backup(shop: &Shop, hours: i64, more: &[&str]) {
    let then = (clock::now() - chrono::TimeDelta::hours(hours)).format("%Y-%m-%d %H:%M:%S").to_string();
    shop.run(&[&["backup", "data", "--time", &then], more].concat()).await;
}

fn desk_of(shop: &Shop, text: &str) -> Arc<dyn Repository> {
    config(text).repository(&context(shop.dir.path())).unwrap().unwrap()
}

#[tokio::test]
async fn a_real_repository_is_told_browsed_restored_and_checked() {
    let began = std::time::Instant::now();
    let Some(shop) = shop().await else { return };
    for (hours, host) in [(75, "web1"), (51, "web1"), (27, "web1"), (3, "web1"), (1, "web2")] {
        backup(&shop, hours, &["--host", host, "--tag", "db,nightly"]).await;
    }
    let mut context = context(shop.dir.path());
    context.cache = Some(shop.path("rounds-cache"));
    let keys = format!("{KEYS}\nhost = \"web1\"\ntags = [\"db\"]\nretention = 4\ncheck = {{ every = \"7d\" }}");
    let mut seen = look_in(&context, &keys).await.unwrap();
    for _ in 0..20 {
        // On a busy machine one look has no time for the older ones.
        if seen.copies.iter().all(|copy| copy.size_bytes.is_some()) {
            break;
        }
        seen = look_in(&context, &keys).await.unwrap();
    }
    assert_eq!((seen.snapshots, seen.complaints.as_slice()), (4, [].as_slice()));
    assert_eq!(verdict(&seen, clock::now()), Verdict::Ok);
    let last = seen.copies.last().unwrap();
    assert_eq!((last.host.as_deref(), last.tags.as_slice(), last.size_bytes), (Some("web1"), ["db".to_owned(), "nightly".to_owned()].as_slice(), Some(50_003)));
    assert_eq!(seen.median_size_bytes, Some(50_003), "sizes of the older ones are measured too");
    // A busy machine takes its time.
    assert!((3 * 3_600..=3 * 3_600 + 5 + began.elapsed().as_secs()).contains(&seen.age_s.unwrap()));
    let next = (seen.next_at.unwrap() - last.at - chrono::TimeDelta::hours(24)).num_seconds();
    assert!(next.abs() < 60, "a day after the last: {next}");
    assert!(seen.repository_bytes.is_some_and(|bytes| bytes > 0) && seen.free_bytes.is_some());
    assert_eq!((seen.places.len(), seen.places[0].same_machine, seen.check_every_s), (1, Some(false), Some(7 * 86_400)));
    assert!(fs::read_to_string(shop.path("rounds-cache/backups/shop+restic+db.json")).unwrap().contains("50003"));

    let desk = desk_of(&shop, &keys);
    let copies = desk.copies().await.unwrap();
    let newest = copies.last().unwrap();
    assert_eq!((copies.len(), newest.name.len(), &newest.name), (4, 8, &last.name));
    let top = desk.files(&newest.name, "").await.unwrap();
    assert_eq!((top.len(), top[0].path.as_str(), top[0].folder), (1, "data", true));
    let below = desk.files(&newest.name, "data").await.unwrap();
    assert_eq!(below.iter().map(|entry| (entry.path.as_str(), entry.size)).collect::<Vec<_>>(), [("data/a b", None), ("data/dump.sql", Some(50_000))]);
    let deep = desk.files(&newest.name, "data/a b/").await.unwrap();
    assert_eq!(deep[0].path, "data/a b/new\nline;$(touch oops)");

    // Through a shell, as ssh has one at its other end: what a repository says is never read by it.
    let ssh = script(shop.dir.path(), "ssh", "shift; exec sh -c \"$*\"").await;
    let far = config(&format!("repository = \"repo\"\npassword = \"open-sesame\"\ncommand = [{ssh:?}, \"web1\", \"restic\"]"));
    let far = far.repository(&context).unwrap().unwrap();
    assert_eq!(far.files(&newest.name, "data/a b").await.unwrap().len(), 1);
    assert!(far.files(&newest.name, "data/$(touch oops)").await.unwrap().is_empty());
    assert!(!shop.path("oops").exists(), "a name in the repository was run");
    let refused = far.restore(newest, shop.dir.path()).await.unwrap_err();
    assert!(refused.message.contains("another machine"), "{refused:?}");

    let into = tempfile::tempdir().unwrap();
    desk.restore(newest, into.path()).await.unwrap();
    assert_eq!(fs::read(into.path().join("data/dump.sql")).unwrap().len(), 50_000);
    let only = desk_of(&shop, &format!("{KEYS}\ndrill = {{ paths = [\"data/a b\"] }}"));
    let into = tempfile::tempdir().unwrap();
    only.restore(newest, into.path()).await.unwrap();
    assert!(into.path().join("data/a b").is_dir() && !into.path().join("data/dump.sql").exists());
    let nothing = Copy { name: "deadbeef".to_owned(), ..Copy::default() };
    assert!(desk.restore(&nothing, into.path()).await.is_err());
    assert_eq!(desk.by_hand(newest), format!("restic -r {} restore {} --target restored", shop.path("repo").display(), newest.name));
    assert!(desk.protects().contains(&shop.path("repo")));
    assert!(files(&shop.path("repo/locks")).is_empty(), "a look and a restore write nothing");

    let check = desk.check().await.unwrap();
    assert_eq!((check.ok, check.depth.as_str(), check.message.as_str()), (true, "structure only", ""));
    let deep = desk_of(&shop, &format!("{KEYS}\ncheck = {{ data = \"50 %\" }}"));
    assert_eq!(deep.check().await.unwrap().depth, "50 % of the data");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_repository_is_told_and_never_good() {
    let Some(shop) = shop().await else { return };
    let base = shop.dir.path();
    fs::create_dir(shop.path("empty")).unwrap();
    let kind = |result: Result<Backup, SourceError>| result.map_err(|error| (error.kind, error.message));
    let place = shop.path("repo").display().to_string();

    let (of, said) = kind(look(base, KEYS).await).unwrap_err();
    assert_eq!((of, said), (ErrorKind::Nothing, format!("there is no snapshot in {place}")));
    backup(&shop, 30, &["--host", "web1"]).await;
    for (keys, expected, words) in [
        ("repository = \"repo\"\npassword = \"guessed-wrong\"", ErrorKind::Auth, "the password of the repository is wrong"),
        ("repository = \"nowhere\"\npassword = \"open-sesame\"", ErrorKind::Missing, "there is no repository at /"),
        ("repository = \"empty\"\npassword = \"open-sesame\"", ErrorKind::Missing, "/empty"),
        ("repository = \"repo\"\nenv = { RESTIC_PASSWORD = { env = \"ROUNDS_NO_SUCH_NAME\" } }", ErrorKind::Missing, "ROUNDS_NO_SUCH_NAME is not set"),
        ("repository = \"repo\"\nenv = { RESTIC_PASSWORD_FILE = \"/dev/null\" }", ErrorKind::Auth, "no password"),
        (
            "repository = \"rest:http://me:hush-hush@127.0.0.1:9/\"\npassword = \"open-sesame\"",
            ErrorKind::Connect,
            "rest:http://me:***@127.0.0.1:9/ is not reached",
        ),
        (&format!("{KEYS}\nhost = \"web9\""), ErrorKind::Nothing, "there is no snapshot of web9 in /"),
        (&format!("{KEYS}\ncommand = [\"rounds-no-such-restic\"]"), ErrorKind::Missing, "rounds-no-such-restic is not installed"),
    ] {
        let (of, said) = kind(look(base, keys).await).unwrap_err();
        assert!(of == expected && said.contains(words) && !said.contains("hush-hush"), "{keys}: {of:?} {said}");
    }
    if nix::unistd::geteuid().is_root() && testing::tool("setpriv").is_some() {
        let nobody =
            format!("{KEYS}\ncommand = [\"setpriv\", \"--reuid=65534\", \"--regid=65534\", \"--clear-groups\", \"restic\"]\nenv = {{ HOME = \"/nowhere\" }}");
        let (of, said) = kind(look(base, &nobody).await).unwrap_err();
        assert!(of == ErrorKind::Auth && said.contains("may not be read"), "{of:?} {said}");
    }

    // Of another user whom root becomes: he restores into a place of his own.
    if nix::unistd::geteuid().is_root() && testing::tool("runuser").is_some() {
        fs::set_permissions(base, fs::Permissions::from_mode(0o755)).unwrap();
        let (his, scratch) = (shop.copied("his").await, shop.path("scratch"));
        let given = exec::run(&shop.program(&["chown", "-R", "nobody", "his"]), exec::Limits::within(Duration::from_secs(60))).await.unwrap();
        assert!(given.ending.success() && his.is_dir());
        fs::create_dir(&scratch).unwrap();
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o755)).unwrap();
        let keys = format!(
            "repository = \"his\"\npassword = \"open-sesame\"\ncommand = [\"runuser\", \"-u\", \"nobody\", \"--\", \"restic\"]\n\
             env = {{ HOME = \"/nowhere\" }}\ndrill = {{ scratch = {scratch:?}, assert.files = [\"**/dump.sql\"] }}"
        );
        let drill = drilled(desk_of(&shop, &keys), base, &scratch).await.unwrap();
        assert!(drill.ok, "{drill:?}");
    }

    // Late, and a snapshot of a clock that is wrong.
    let late = look(base, KEYS).await.unwrap();
    assert_eq!(verdict(&late, clock::now()), Verdict::Degraded);
    backup(&shop, -100, &["--host", "web1"]).await;
    let future = look(base, KEYS).await.unwrap();
    assert!(future.complaints.iter().any(|said| said.contains("dated in the future")), "{:?}", future.complaints);

    // A job that runs holds a lock; killed, it leaves one behind.
    let job = exec::start(&shop.program(&["sh", "-c", "sleep 60 | restic backup --stdin --quiet"])).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while files(&shop.path("repo/locks")).is_empty() {
        assert!(std::time::Instant::now() < until, "no lock came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen = look(base, KEYS).await.unwrap();
    assert_eq!((seen.locks.len(), seen.locks[0].stale), (1, false), "{:?}", seen.locks);
    let locked = desk_of(&shop, KEYS).check().await.unwrap_err();
    assert!(locked.kind == ErrorKind::Nothing && locked.message.contains("is locked by PID"), "{locked:?}");
    drop(job);
    let mut built = config(KEYS).build(&context(base)).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    let seen = loop {
        let collected = built.source.collect().await.unwrap();
        let Data::Backup(seen) = &collected.observations[0].data else { panic!() };
        if seen.locks[0].stale || std::time::Instant::now() > until {
            break seen.clone();
        }
    };
    assert!(seen.complaints.iter().any(|said| said.starts_with("has a lock whose holder is gone: ")), "{:?}", seen.complaints);
    let service = built.service.unwrap();
    let key = ItemKey { source: SourceId::parse("shop/restic/db").unwrap(), item: String::new() };
    let offers = service.offers_for(&key, Sight::Backup(&seen));
    assert_eq!(offers.iter().map(|offer| (offer.id.as_str(), offer.dangerous)).collect::<Vec<_>>(), [("unlock", true)]);
    let call = |offer: &str| Call { key: key.clone(), offer: offer.to_owned(), arguments: BTreeMap::default() };
    service.perform(&call("unlock")).await.unwrap();
    assert!(files(&shop.path("repo/locks")).is_empty());
    let DetailBody::Folder(folder) = service.detail(&key, Some("data")).await.unwrap().body else { panic!() };
    assert!(folder.entries.iter().any(|entry| entry.path.ends_with("data/dump.sql")), "{folder:?}");

    // The pack with the dump is gone: only a check sees it.
    let pack = files(&shop.path("repo/data")).pop().unwrap();
    let away = shop.path("pack");
    fs::rename(&pack, &away).unwrap();
    let check = desk_of(&shop, KEYS).check().await.unwrap();
    assert!(!check.ok && check.message.contains("does not exist"), "{check:?}");
    // It is back, and some of its bytes are others.
    let mut bytes = fs::read(&away).unwrap();
    bytes[20_000] ^= 0xff;
    fs::write(&pack, bytes).unwrap();
    assert!(desk_of(&shop, KEYS).check().await.unwrap().ok, "its structure is whole");
    let deep = desk_of(&shop, &format!("{KEYS}\ncheck = {{ data = \"all\" }}")).check().await.unwrap();
    assert!(!deep.ok && deep.depth == "all data", "{deep:?}");

    // No index, then no readable snapshot.
    for file in files(&shop.path("repo/index")) {
        fs::remove_file(file).unwrap();
    }
    let seen = look(base, KEYS).await.unwrap();
    assert!(seen.complaints[0].starts_with("has no index") && verdict(&seen, clock::now()) != Verdict::Ok, "{:?}", seen.complaints);
    assert!(seen.complaints.iter().any(|said| said.starts_with("is damaged: ")), "{:?}", seen.complaints);
    let snapshots = files(&shop.path("repo/snapshots"));
    for (count, file) in snapshots.iter().enumerate() {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(file, "garbage").unwrap();
        if count == 0 {
            let seen = look(base, KEYS).await.unwrap();
            assert!(seen.complaints.iter().any(|said| said.starts_with("has snapshots that cannot be read: 1 of them")), "{:?}", seen.complaints);
        }
    }
    let (of, said) = kind(look(base, KEYS).await).unwrap_err();
    assert!(of == ErrorKind::Protocol && said.starts_with(&format!("no snapshot in {place} can be read")), "{said}");
}

/// A repository broken in each way, on a copy of it: what a look tells, and what a check does where one comes to a verdict. Nothing is said by
/// a look of what only a check can see.
#[tokio::test]
async fn every_broken_state_is_told() {
    let Some(shop) = shop().await else { return };
    backup(&shop, 3, &["--host", "web1"]).await;
    let each = |at: &Path, folder: &str, work: &dyn Fn(&Path)| {
        for path in files(&at.join(folder)) {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            work(&path);
        }
    };
    let largest = |at: &Path, work: &dyn Fn(&Path)| {
        let path = files(&at.join("data")).pop().unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        work(&path);
    };
    let empty = |path: &Path| fs::write(path, "").unwrap();
    let garbage = |path: &Path| fs::write(path, "garbage").unwrap();
    let half = |path: &Path| {
        let whole = fs::read(path).unwrap();
        fs::write(path, &whole[..whole.len() / 2]).unwrap();
    };
    let gone = |path: &Path| fs::remove_file(path).unwrap();
    let no_index = "has no index: nothing can be restored";
    let states: [(&str, Break<'_>, &str, &str); 19] = [
        (
            "a config of zero bytes",
            &|at| fs::remove_file(at.join("config")).and_then(|()| fs::write(at.join("config"), "")).unwrap(),
            "config file has zero size",
            "",
        ),
        ("no config", &|at| gone(&at.join("config")), "there is no repository at", ""),
        ("no keys", &|at| fs::remove_dir_all(at.join("keys")).unwrap(), "the password of the repository is wrong", ""),
        ("a key of zero bytes", &|at| each(at, "keys", &empty), "unexpected end of JSON input", ""),
        ("a file in its place", &|at| fs::remove_dir_all(at).and_then(|()| fs::write(at, "x")).unwrap(), "not a directory", ""),
        ("no folder of snapshots", &|at| fs::remove_dir_all(at.join("snapshots")).unwrap(), "there is no snapshot in", ""),
        ("its only snapshot removed", &|at| each(at, "snapshots", &gone), "there is no snapshot in", ""),
        ("a snapshot of zero bytes", &|at| each(at, "snapshots", &empty), "can be read: could not load snapshot", "invalid data returned"),
        ("a snapshot of garbage", &|at| each(at, "snapshots", &garbage), "can be read: could not load snapshot", "invalid data returned"),
        ("half a snapshot", &|at| each(at, "snapshots", &half), "can be read: could not load snapshot", "invalid data returned"),
        ("an index removed", &|at| each(at, "index", &gone), no_index, "not found in repository"),
        ("an index of zero bytes", &|at| each(at, "index", &empty), "is damaged: restic failed: load <index/", "error loading index"),
        ("an index of garbage", &|at| each(at, "index", &garbage), "is damaged: restic failed: load <index/", "error loading index"),
        ("half an index", &|at| each(at, "index", &half), "is damaged: restic failed: load <index/", "error loading index"),
        ("packs removed", &|at| each(at, "data", &gone), "is damaged: restic gets no further: Load(<data/", "does not exist"),
        ("packs of garbage", &|at| each(at, "data", &garbage), "is damaged: restic gets no further: Load(<data/", "unexpected file size"),
        ("half of each pack", &|at| each(at, "data", &half), "is damaged: restic gets no further: Load(<data/", "unexpected file size"),
        ("the largest pack removed", &|at| largest(at, &gone), "", "does not exist"),
        ("half the largest pack", &|at| largest(at, &half), "", "unexpected file size"),
    ];
    let shop = &shop;
    // Most of it is waiting for restic to try again.
    let states = stream::iter(states.into_iter().enumerate());
    let told = states.for_each_concurrent(6, |(count, (state, damage, expected, found))| async move {
        let name = format!("broken {count}");
        damage(&shop.copied(&name).await);
        let keys = format!("repository = {name:?}\npassword = \"open-sesame\"");
        let began = std::time::Instant::now();
        let (said, is_ok) = match look(shop.dir.path(), &keys).await {
            Err(error) => (error.message, false),
            Ok(seen) => (seen.complaints.join("; "), verdict(&seen, clock::now()) == Verdict::Ok),
        };
        assert!(said.contains(expected) && is_ok == expected.is_empty() && said.is_empty() == is_ok, "{state}: {said}");
        if !found.is_empty() {
            let check = desk_of(shop, &keys).check().await.unwrap();
            assert!(!check.ok && check.message.contains(found), "{state}: {check:?}");
            assert!(files(&shop.path(&name).join("locks")).is_empty(), "{state}: a check that was ended left its lock");
        }
        // restic alone would try for a quarter of an hour.
        assert!(began.elapsed() < Duration::from_secs(180), "{state}: {:?}", began.elapsed());
    });
    told.await;
    // What is odd and no damage: a place whose name has a space and a line break.
    fs::rename(shop.path("repo"), shop.path("re po\nb")).unwrap();
    let seen = look(shop.dir.path(), "repository = \"re po\\nb\"\npassword = \"open-sesame\"").await.unwrap();
    assert_eq!((seen.complaints.as_slice(), seen.snapshots), ([].as_slice(), 1));
}

#[tokio::test]
async fn what_newer_ones_print_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let now = clock::now();
    let stamp = |minutes: i64| (now - chrono::TimeDelta::minutes(minutes)).to_rfc3339();
    let snapshot = format!(
        "[{{\"time\":\"{}\",\"paths\":[\"/srv\"],\"hostname\":\"web1\",\"username\":\"root\",\"program_version\":\"restic 0.17.3\",\"id\":\"{}\",\"short_id\":\"abababab\",\
         \"summary\":{{\"backup_start\":\"{}\",\"backup_end\":\"{}\",\"files_new\":1,\"data_added\":900,\"data_added_packed\":700,\"total_bytes_processed\":5000}}}}]",
        stamp(65),
        "ab".repeat(32),
        stamp(65),
        stamp(60),
    );
    let answer =
        format!("case \"$*\" in *snapshots*) echo 'found 1 old cache directories'; echo '{snapshot}';; *stats*) echo '{{\"total_size\":4096}}';; esac");
    let newer = script(dir.path(), "restic-new", &answer).await;
    let seen = look(dir.path(), &format!("repository = \"s3:https://objects.example/shop\"\ncommand = [{newer:?}]")).await.unwrap();
    let copy = seen.copies.last().unwrap();
    assert_eq!((copy.name.as_str(), copy.size_bytes, copy.added_bytes), ("abababab", Some(5_000), Some(700)));
    assert_eq!(copy.at - copy.started.unwrap(), chrono::TimeDelta::minutes(5));
    assert_eq!((seen.runs.len(), seen.places[0].same_machine, seen.repository_bytes), (1, Some(false), Some(4_096)));
    assert!(seen.complaints.is_empty());

    for (code, message, expected) in [
        (10, "Fatal: repository does not exist", ErrorKind::Missing),
        (11, "Fatal: unable to create lock in backend: repository is already locked", ErrorKind::Nothing),
        (12, "Fatal: wrong password or no key found", ErrorKind::Auth),
        (130, "", ErrorKind::Protocol),
        (1, "Fatal: something new", ErrorKind::Protocol),
    ] {
        let text = format!("echo '{{\"message_type\":\"exit_error\",\"code\":{code},\"message\":\"{message}\"}}' >&2; exit {code}");
        let tool = script(dir.path(), &format!("restic-{code}"), &text).await;
        let error = look(dir.path(), &format!("repository = \"/b\"\ncommand = [{tool:?}]")).await.unwrap_err();
        assert_eq!(error.kind, expected, "{code}: {error:?}");
    }
}

#[tokio::test]
async fn a_look_with_little_time_tells_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let list = format!("[{{\"time\":\"{}\",\"hostname\":\"web1\",\"id\":\"{}\"}}]", clock::now().to_rfc3339(), "ab".repeat(32));
    // Sizes take longer than anybody waits.
    let tool = script(dir.path(), "restic", &format!("case \"$*\" in *snapshots*) echo '{list}';; *stats*) sleep 100;; esac")).await;
    let keys = format!("repository = \"/b\"\ncommand = [{tool:?}]");
    let mut context = context(dir.path());
    context.cache = Some(dir.path().join("kept"));
    let limit = Duration::from_secs(10);
    let seen = tokio::time::timeout(limit, crate::sources::deadline::within(limit, look_in(&context, &keys))).await.unwrap().unwrap();
    assert_eq!((seen.snapshots, seen.copies[0].size_bytes, verdict(&seen, clock::now())), (1, None, Verdict::Ok));
    // Another look has the time: nothing is remembered as too slow.
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(dir.path().join("kept/backups/shop+restic+db.json")).unwrap_or(b"{}".to_vec())).unwrap();
    assert!(kept["measured"].is_null() && kept["copies"].as_object().is_none_or(serde_json::Map::is_empty), "{kept}");

    // Nothing at all in time: what it last said is the reason.
    let slow = script(dir.path(), "slow", "echo 'waiting for the far machine' >&2; sleep 100").await;
    let limit = Duration::from_secs(5);
    let keys = format!("repository = \"/c\"\ncommand = [{slow:?}]");
    let work = crate::sources::deadline::within(limit, look_in(&context, &keys));
    let error = tokio::time::timeout(limit + Duration::from_secs(20), work).await.unwrap().unwrap_err();
    assert!(error.kind == ErrorKind::Timeout && error.message.ends_with("and last said: waiting for the far machine"), "{error:?}");
}

#[tokio::test]
async fn two_data_sets_of_one_repository_read_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let count = dir.path().join("count");
    let one = |host: &str| format!("{{\"time\":\"{}\",\"hostname\":\"{host}\",\"id\":\"{host}\"}}", clock::now().to_rfc3339());
    let answer = format!("case \"$*\" in *snapshots*) echo x >>{count:?}; sleep 0.2; echo '[{},{}]';; *) exit 1;; esac", one("web1"), one("web2"));
    let tool = script(dir.path(), "restic", &answer).await;
    let keys = |host: &str| format!("repository = \"/b\"\nhost = \"{host}\"\ncommand = [{tool:?}]");
    let mut context = context(dir.path());
    context.common.every = None;
    let build = |host: &str| config(&keys(host)).build(&context).unwrap().source;
    let (mut first, mut second) = (build("web1"), build("web2"));
    let (a, b) = tokio::join!(first.collect(), second.collect());
    assert!(a.is_ok() && b.is_ok());
    let reads = || fs::read_to_string(&count).unwrap().lines().count();
    assert_eq!(reads(), 1);
    // Asked again by the same one, it is read again.
    first.collect().await.unwrap();
    assert_eq!(reads(), 2);
}

#[tokio::test]
async fn the_source_keeps_the_contract_of_commands() {
    let dir = tempfile::tempdir().unwrap();
    let stamp = (clock::now() - chrono::TimeDelta::hours(2)).to_rfc3339();
    let summary = format!("{{\"backup_start\":\"{stamp}\",\"backup_end\":\"{stamp}\",\"total_bytes_processed\":5000}}");
    let answer = format!("[{{\"time\":\"{stamp}\",\"hostname\":\"web1\",\"id\":\"{}\",\"summary\":{summary}}}]", "ab".repeat(32));
    let count = std::cell::Cell::new(0);
    let answers = commands::suite(&answer, |tool| {
        let mut context = context(dir.path());
        context.common.timeout = Some(commands::TIMEOUT);
        // Each a repository of its own: they share no listing.
        count.set(count.get() + 1);
        let keys = format!("repository = \"s3:https://objects.example/{}\"\npassword = \"{SECRET}\"\ncommand = [{tool:?}]", count.get());
        config(&keys).build(&context).unwrap().source
    })
    .await;
    for (faulty, expected) in [
        (Faulty::Missing, ErrorKind::Missing),
        (Faulty::Forbidden, ErrorKind::Config),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Null, ErrorKind::Nothing),
        (Faulty::Killed, ErrorKind::Protocol),
    ] {
        assert_eq!(commands::kind_of(&answers, faulty), Some(expected), "{faulty:?}");
    }
}

#[test]
fn an_untrusted_configuration_runs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut untrusted = context(dir.path());
    untrusted.trusted = false;
    assert_eq!(config(KEYS).build(&untrusted).unwrap_err().kind, ErrorKind::Config);
    assert!(config(KEYS).repository(&untrusted).unwrap().is_err());
    assert_eq!(config(KEYS).commands(), [["restic"]]);
    let with_password =
        config("repository = \"rest:https://me:hush-hush@nas1/shop\"\npassword = { env = \"X\" }\nenv = { AWS_SECRET_ACCESS_KEY = \"abc\", TMPDIR = \"/x\" }");
    assert_eq!(with_password.secrets().len(), 3);
    let said = format!("{with_password:?}{:?}", with_password.spec(&untrusted));
    assert!(!said.contains("hush-hush"), "{said}");
}

#[test]
fn wrong_values_are_told_with_their_key() {
    let complaints = config("repository = \"-r\"\ncommand = []\ntags = [\"\"]\nmax_age = \"0s\"\ncheck = { every = \"1m\" }").check();
    let keys: Vec<String> = complaints.iter().map(|complaint| complaint.path.join(".")).collect();
    assert_eq!(keys, ["repository", "command", "tags", "max_age", "check.every"]);
}

#[test]
fn what_restic_says_of_damage_is_one_sentence() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let told = "using temporary cache in /tmp/x\nLoad(<data/55>, 0, 0) returned error, retrying after 5s: no such file\nerror for tree 0fd23f43:\n  \
                ReadFull(<data/55b3>): no such file or directory\nFatal: repository contains errors";
    assert_eq!(parse::damage(&lines(told), "", false).as_deref(), Some("error for tree 0fd23f43: ReadFull(<data/55b3>): no such file or directory"));
    assert_eq!(parse::damage(&lines("Fatal: wrong password or no key found"), "", true), None);
    assert_eq!(parse::damage(&lines("Fatal: repository contains errors"), "", true).as_deref(), Some("the repository contains errors"));
}

/// What restic and the servers behind it say, of what no server here can be made to say.
#[test]
fn why_a_server_refuses_is_told_from_its_words() {
    let again = |why: &str| format!("List(key) returned error, retrying after 552.330144ms: {why}");
    let config = |why: &str| format!("Fatal: unable to open config file: {why}\nIs there a repository at the following location?\ns3:http://h/b");
    for (said, kind, told) in [
        (
            again("The request signature we calculated does not match the signature you provided. Check your key and signing method."),
            ErrorKind::Auth,
            "refuses us: List(key): The request",
        ),
        (config("Stat: Access Denied."), ErrorKind::Auth, "refuses us: Stat: Access Denied."),
        (config("unexpected HTTP response (403): 403 Forbidden"), ErrorKind::Auth, "refuses us: unexpected HTTP response (403)"),
        (config("unexpected HTTP response (500): 500 Internal Server Error"), ErrorKind::Protocol, "restic failed: unexpected HTTP response (500)"),
        (config("client.Head: Head \"http://h/config\": dial tcp: lookup h: no such host"), ErrorKind::Connect, "is not reached: client.Head"),
        (again("unexpected EOF"), ErrorKind::Connect, "does not answer as it should: List(key): unexpected EOF"),
        (again("server response unexpected: 503 Service Unavailable (503)"), ErrorKind::Connect, "503 Service Unavailable"),
        (again("client.Do: Get \"http://h/keys/\": net/http: TLS handshake timeout"), ErrorKind::Connect, "is not reached: List(key)"),
        (
            "subprocess ssh: Host key verification failed.\nFatal: unable to start the sftp session, error: EOF".to_owned(),
            ErrorKind::Auth,
            "refuses us: Host key",
        ),
    ] {
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        let error = parse::refusal(Some(1), &lines, "s3:http://h/b", false);
        assert!(error.kind == kind && error.message.contains(told), "{said}: {error:?}");
    }
    // The same words of a disk of this machine mean damage, not a server.
    let here = parse::refusal(Some(1), &[again("EOF")], "/backups", true);
    assert!(here.kind == ErrorKind::Protocol && here.message == "restic gets no further: List(key): EOF", "{here:?}");
}
