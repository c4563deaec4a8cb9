//! Copies as disks, tools and people leave them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::domain::{Backup, ErrorKind, SourceId};
use crate::sources::Common;

const DUMP: &str = "--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE basket (id integer);\n\n--\n-- PostgreSQL database dump complete\n--\n\n";

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Writes a copy that is `age_h` hours old.
fn put(dir: &Path, name: &str, bytes: &[u8], age_h: u64) {
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(clock::now().timestamp()).unwrap() - age_h * 3_600);
    file.set_modified(then).unwrap();
}

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

fn context(dir: &Path) -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/files/dump").unwrap(),
        common: Common::default(),
        base: dir.to_owned(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

async fn look(dir: &Path, text: &str) -> Result<Backup, SourceError> {
    let mut built = config(text).build(&context(dir)).unwrap();
    let mut collected = built.source.collect().await?;
    match collected.observations.remove(0).data {
        Data::Backup(backup) => Ok(*backup),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn whole_dumps_keep_their_promise() {
    let dir = tempfile::tempdir().unwrap();
    for age in 0..7 {
        put(dir.path(), &format!("shop-{age}.sql.gz"), &gz(DUMP.as_bytes()), 6 + age * 24);
    }
    let seen = look(dir.path(), "path = \"*.sql.gz\"\nretention = 7").await.unwrap();
    assert_eq!(seen.complaints, Vec::<String>::new());
    assert_eq!((seen.snapshots, seen.max_age_s), (7, Some(26 * 3_600)));
    assert!(seen.free_bytes.is_some_and(|free| free > 0) && seen.repository_bytes.is_some_and(|bytes| bytes > 0));
    assert!((6 * 3_600..6 * 3_600 + 60).contains(&seen.age_s.unwrap()));
    assert_eq!(seen.copies.last().unwrap().complete, Some(true));
}

#[tokio::test]
async fn an_empty_folder_is_nothing_and_never_good() {
    let dir = tempfile::tempdir().unwrap();
    let error = look(dir.path(), "path = \"*.sql.gz\"").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Nothing);
    let error = look(dir.path(), "path = \"no-such-folder/*.gz\"").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Nothing);
}

/// The header of a member of this size, as ustar has it.
fn tar_header(size: usize) -> Vec<u8> {
    let mut header = vec![0u8; 512];
    header[..5].copy_from_slice(b"a.bin");
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[156] = b'0';
    header[257..262].copy_from_slice(b"ustar");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[tokio::test]
async fn each_way_a_copy_breaks_is_told_and_the_one_before_it_counts() {
    let whole = gz(DUMP.as_bytes());
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    damaged[middle + 1] ^= 0xff;
    let cut_inside = gz(&DUMP.as_bytes()[..60]);
    let sqlite = {
        let mut bytes = b"SQLite format 3\0".to_vec();
        bytes.extend_from_slice(&4_096u16.to_be_bytes());
        bytes.resize(28, 0);
        bytes.extend_from_slice(&10u32.to_be_bytes());
        bytes.resize(4_096, 0);
        bytes
    };
    let tar = tar_header(4_096);
    let zeros = vec![0; 20_000];
    let cases: [(&str, &[u8], &str); 10] = [
        ("zeros after a crash", &zeros, "holds only zeros"),
        ("empty", b"", "is empty"),
        ("cut gzip", &whole[..whole.len() - 9], "gzip ends too early"),
        ("damaged gzip", &damaged, "gzip"),
        ("gzip of a cut dump", &cut_inside, "end mark of the dump is missing"),
        ("cut dump", &DUMP.as_bytes()[..60], "end mark of the dump is missing"),
        ("gzip of nothing", &gz(b""), "holds nothing"),
        ("cut database", &sqlite, "is cut: 4.00 KiB of 40.0 KiB"),
        ("cut archive", &tar, "end of the archive is missing"),
        ("a gzip header alone", &[0x1f, 0x8b, 8], "gzip"),
    ];
    for (what, bytes, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "old.dump", &gz(DUMP.as_bytes()), 30);
        put(dir.path(), "new.dump", bytes, 6);
        let seen = look(dir.path(), "path = \"*.dump\"").await.unwrap();
        assert!(seen.complaints.iter().any(|c| c.starts_with("new.dump: ") && c.contains(expected)), "{what}: {:?}", seen.complaints);
        assert!(seen.age_s.unwrap() >= 30 * 3_600, "{what}: the copy before it is the last good one");
        let last = seen.copies.last().unwrap();
        assert_eq!((last.name.as_str(), last.complete), ("new.dump", Some(false)));
    }
}

#[tokio::test]
async fn no_good_copy_at_all_is_said() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.sql.gz", b"", 6);
    let seen = look(dir.path(), "path = \"*\"").await.unwrap();
    assert_eq!((seen.last_success, seen.snapshots), (None, 1));
}

#[tokio::test]
async fn a_sudden_change_against_its_own_past_is_odd() {
    let dir = tempfile::tempdir().unwrap();
    for age in 1..6 {
        put(dir.path(), &format!("{age}.bin"), &vec![7u8; 411 * 1_024], age * 24);
    }
    put(dir.path(), "0.bin", &vec![7u8; 254 * 1_024], 2);
    let seen = look(dir.path(), "path = \"*.bin\"\nmin_size = \"300KiB\"\nretention = 10").await.unwrap();
    assert_eq!(seen.complaints, ["shrank 38 %: 254 KiB, median 411 KiB", "is too small: 254 KiB, at least 300 KiB promised", "has too few copies: 6 of 10"]);
}

#[tokio::test]
async fn a_copy_that_is_being_written_does_not_count_yet() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old.sql", DUMP.as_bytes(), 20);
    put(dir.path(), "new.sql", &DUMP.as_bytes()[..60], 0);
    let seen = look(dir.path(), "path = \"*.sql\"").await.unwrap();
    assert!(seen.complaints.is_empty(), "{:?}", seen.complaints);
    assert!(seen.age_s.unwrap() >= 20 * 3_600);
    // Where all are new nothing is known of a better one: the newest must do.
    put(dir.path(), "old.sql", DUMP.as_bytes(), 0);
    put(dir.path(), "new.sql", DUMP.as_bytes(), 0);
    let seen = look(dir.path(), "path = \"*.sql\"").await.unwrap();
    assert!(seen.complaints.is_empty() && seen.age_s.is_some_and(|age| age < 60), "{seen:?}");
}

#[tokio::test]
async fn a_command_lists_copies_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let now = clock::now().timestamp();
    let script = dir.path().join("list");
    fs::write(&script, format!("#!/bin/sh\nprintf '%s.5 2048 /backups/a b.gz\\n%s 1024 /backups/other.txt\\nrubbish\\n' {} {now}\n", now - 7_200)).unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let text = format!("path = \"*.gz\"\ncommand = [{:?}]", script.to_str().unwrap());
    let mut built = config(&text).build(&context(dir.path())).unwrap();
    let collected = built.source.collect().await.unwrap();
    assert_eq!(collected.problems[0].message, "1 lines are not `seconds bytes name`");
    let Data::Backup(seen) = &collected.observations[0].data else { panic!() };
    assert_eq!((seen.snapshots, seen.size_bytes), (1, Some(2_048)));
    assert_eq!(seen.copies[0].name, "a b.gz");

    let mut untrusted = context(dir.path());
    untrusted.trusted = false;
    assert_eq!(config(&text).build(&untrusted).unwrap_err().kind, ErrorKind::Config);
    let mut missing = config("path = \"*\"\ncommand = [\"rounds-no-such-tool\"]").build(&context(dir.path())).unwrap();
    assert_eq!(missing.source.collect().await.unwrap_err().kind, ErrorKind::Missing);
}

#[test]
fn wrong_values_are_told_with_their_key() {
    let complaints = config("path = \"[\"\ncommand = []\nmax_age = \"0s\"").check();
    let keys: Vec<&str> = complaints.iter().map(|c| c.path[0].as_str()).collect();
    assert_eq!(keys, ["path", "command", "max_age"]);
}

/// What the real tools write is whole, and cut anywhere it is not.
#[tokio::test]
async fn a_real_sqlite_database_and_tar_archive_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("a.sqlite3");
    let connection = rusqlite::Connection::open(&db).unwrap();
    connection.execute_batch("CREATE TABLE basket (id INTEGER, note TEXT); INSERT INTO basket VALUES (1, hex(randomblob(20000)));").unwrap();
    drop(connection);
    let bytes = fs::read(&db).unwrap();
    let other = tempfile::tempdir().unwrap();
    put(other.path(), "a.db", &bytes, 6);
    assert_eq!(look(other.path(), "path = \"*.db\"").await.unwrap().complaints, Vec::<String>::new());
    put(other.path(), "a.db", &bytes[..bytes.len() - 100], 6);
    assert_eq!(look(other.path(), "path = \"*.db\"").await.unwrap().complaints.len(), 1);

    let archive = dir.path().join("a.tar.gz");
    let argv = ["tar", "-C", dir.path().to_str().unwrap(), "-czf", archive.to_str().unwrap(), "a.sqlite3"];
    let program = crate::io::exec::Program::new(argv.map(str::to_owned).to_vec());
    match crate::io::exec::run(&program, crate::io::exec::Limits::within(Duration::from_secs(20))).await {
        Ok(output) => assert!(output.ending.success()),
        Err(error) => return println!("skipped the archive: {error}"),
    }
    let bytes = fs::read(&archive).unwrap();
    put(other.path(), "a.tar.gz", &bytes, 6);
    assert_eq!(look(other.path(), "path = \"*.tar.gz\"").await.unwrap().complaints, Vec::<String>::new());
    put(other.path(), "a.tar.gz", &bytes[..bytes.len() / 2], 6);
    assert_eq!(look(other.path(), "path = \"*.tar.gz\"").await.unwrap().complaints.len(), 1);
}

#[tokio::test]
async fn a_copy_from_the_future_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old.sql", DUMP.as_bytes(), 30);
    put(dir.path(), "new.sql", DUMP.as_bytes(), 0);
    let file = fs::File::options().write(true).open(dir.path().join("new.sql")).unwrap();
    file.set_modified(SystemTime::from(clock::now() + chrono::TimeDelta::days(400))).unwrap();
    let seen = look(dir.path(), "path = \"*.sql\"").await.unwrap();
    assert_eq!(seen.complaints, ["new.sql: is dated in the future: a clock is wrong"]);
    assert!(seen.age_s.unwrap() >= 30 * 3_600, "the one before it is late, and would not be for 400 days");
}

#[tokio::test]
async fn names_of_django_dbbackup_tell_the_time_and_its_companions_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let stamp = |hours: i64| (clock::now() - chrono::TimeDelta::hours(hours)).format("%Y-%m-%d-%H%M%S").to_string();
    // Copied back from somewhere a moment ago: the folder says it is young.
    put(dir.path(), &format!("default-vm-{}.psql.gz", stamp(72)), &gz(DUMP.as_bytes()), 1);
    put(dir.path(), &format!("default-vm-{}.psql.gz", stamp(96)), &gz(DUMP.as_bytes()), 1);
    put(dir.path(), &format!("default-vm-{}.psql.gz.metadata", stamp(72)), b"{\"engine\": \"postgresql\"}", 1);
    let seen = look(dir.path(), "path = \"*\"").await.unwrap();
    assert_eq!((seen.snapshots, seen.age_s.map(|age| age / 3_600)), (2, Some(72)));
    // In the zone of the site, where it is known.
    let mut there = context(dir.path());
    there.zone = Some(chrono_tz::America::Chicago);
    let mut built = config("path = \"*\"").build(&there).unwrap();
    let Data::Backup(seen) = built.source.collect().await.unwrap().observations.remove(0).data else { panic!() };
    assert!([66, 67].contains(&(seen.age_s.unwrap() / 3_600)), "{seen:?}");
    // Written now, whatever an old date in its name says of what it holds.
    put(dir.path(), "orders-since-20200101.sql", DUMP.as_bytes(), 1);
    let seen = look(dir.path(), "path = \"*\"").await.unwrap();
    assert_eq!(seen.age_s.map(|age| age / 3_600), Some(1));
    // Nobody looks into what is encrypted, and that is told.
    let other = tempfile::tempdir().unwrap();
    put(other.path(), "default.psql.gpg", b"\x85\x02", 1);
    let seen = look(other.path(), "path = \"*\"").await.unwrap();
    let copy = &seen.copies[0];
    assert_eq!((copy.complete, copy.kind.as_deref(), seen.checked_at), (None, Some("encrypted"), None));
}

#[tokio::test]
async fn folders_are_gone_through_and_links_do_not_lead_in_circles() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["web1/daily", "web1/weekly", "web2/daily", ".hidden"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
        put(&dir.path().join(folder), "a [1]\nb.sql", DUMP.as_bytes(), 6);
    }
    std::os::unix::fs::symlink(dir.path(), dir.path().join("web1/round")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("nowhere"), dir.path().join("web1/gone.sql")).unwrap();
    for (pattern, count) in
        [("**/*.sql", 4), ("web1/**/*.sql", 2), ("*/daily/*.sql", 2), ("web[12]/daily/*", 2), ("web1/daily/a [[]1]\\nb.sql", 1), ("**", 4), ("web1/*.sql", 0)]
    {
        let seen = look(dir.path(), &format!("path = \"{pattern}\"")).await;
        assert_eq!(seen.map_or(0, |seen| seen.snapshots), count, "{pattern}");
    }
}

#[tokio::test]
async fn a_full_folder_is_judged_and_only_the_newest_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..5_000 {
        fs::write(dir.path().join(format!("{n:05}.bin")), "x").unwrap();
    }
    put(dir.path(), "last.sql", DUMP.as_bytes(), 0);
    let found = list::here(&format!("{}/*", dir.path().display()), FileKind::Auto, None, &AtomicBool::new(false)).unwrap();
    assert_eq!((found.total, found.files.len(), found.bytes), (5_001, 1_000, 5_000 + DUMP.len() as u64));
    assert_eq!(judge_folder(&format!("{}/*", dir.path().display())).unwrap(), 5_001);
    let stopped = list::here(&format!("{}/*", dir.path().display()), FileKind::Auto, None, &AtomicBool::new(true));
    assert!(stopped.is_err(), "a look that was broken off says nothing");
}

#[tokio::test]
async fn dumps_in_directory_format_are_copies() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backups/dump/fixtures/shop.dir");
    for (folder, names) in [("a.dir", vec!["toc.dat", "blobs.toc"]), ("b.dir", vec!["blobs.toc"])] {
        fs::create_dir(dir.path().join(folder)).unwrap();
        for name in names {
            put(&dir.path().join(folder), name, &fs::read(fixture.join(name)).unwrap(), 6);
        }
    }
    let then = SystemTime::from(clock::now() - chrono::TimeDelta::hours(5));
    fs::File::open(dir.path().join("b.dir")).unwrap().set_modified(then).unwrap();
    let seen = look(dir.path(), "path = \"*.dir\"\nkind = \"directory\"").await.unwrap();
    assert_eq!((seen.snapshots, seen.last_success), (2, None));
    assert!(seen.complaints.iter().any(|said| said == "b.dir: has no table of contents: the dump did not end"), "{:?}", seen.complaints);
    assert!(seen.complaints.iter().any(|said| said.starts_with("a.dir: lacks ")), "{:?}", seen.complaints);
    // Without the word, only a folder with a table is taken for a dump.
    assert_eq!(look(dir.path(), "path = \"*\"").await.unwrap().snapshots, 1);
}

#[test]
fn what_cannot_be_read_is_never_good() {
    use std::os::unix::fs::PermissionsExt as _;
    let work = || {
        if nix::unistd::geteuid().is_root() {
            // Root may read everything; for files this thread is somebody else from here on.
            nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65_534));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            put(dir.path(), "a.sql", DUMP.as_bytes(), 6);
            fs::set_permissions(dir.path().join("a.sql"), fs::Permissions::from_mode(0o000)).unwrap();
            let seen = look(dir.path(), "path = \"*.sql\"").await.unwrap();
            assert_eq!((seen.last_success, seen.complaints.len()), (None, 1));
            assert!(seen.complaints[0].contains("Permission denied"), "{:?}", seen.complaints);
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o000)).unwrap();
            let error = look(dir.path(), "path = \"*.sql\"").await.unwrap_err();
            assert!(error.kind == ErrorKind::Missing && error.message.contains("Permission denied"), "{error:?}");
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        });
    };
    std::thread::spawn(work).join().unwrap();
}

/// What lies in a folder beside copies, under the name of one, is none, and what is odd in a name does not hide what is wrong with it.
#[tokio::test]
async fn odd_names_and_what_is_no_file_do_not_mislead() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old.sql", DUMP.as_bytes(), 30);
    fs::create_dir(dir.path().join("folder.sql")).unwrap();
    nix::unistd::mkfifo(&dir.path().join("pipe.sql"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    std::os::unix::fs::symlink("round.sql", dir.path().join("round.sql")).unwrap();
    std::os::unix::fs::symlink("pipe.sql", dir.path().join("to-a-pipe.sql")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket.sql")).unwrap();
    let name = " a b\n\u{1b}[31m; $(touch oops) .sql";
    put(dir.path(), name, &DUMP.as_bytes()[..60], 6);
    let seen = look(dir.path(), "path = \"*.sql\"").await.unwrap();
    assert_eq!((seen.snapshots, seen.age_s.map(|age| age / 3_600)), (2, Some(30)), "{seen:?}");
    assert!(seen.complaints.iter().any(|said| said.starts_with(&format!("{name}: "))), "{:?}", seen.complaints);
    put(dir.path(), name, b"", 6);
    let seen = look(dir.path(), "path = \"*.sql\"").await.unwrap();
    assert_eq!(seen.complaints, [format!("{name}: is empty")]);
}

#[test]
fn a_listing_with_nul_takes_any_name() {
    let found = list::lines("1795060000.5 10 /b/a\nb .gz \u{0}1795060001 11 /b/c.gz\u{0}odd\u{0}", "*", None);
    let names: Vec<&str> = found.files.iter().map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!((names, found.problems.len()), (vec!["/b/a\nb .gz ", "/b/c.gz"], 1));
}

#[tokio::test]
async fn a_copy_is_restored_from_here_and_fetched_from_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old.sql.gz", &gz(DUMP.as_bytes()), 30);
    put(dir.path(), "new.sql.gz", &gz(DUMP.as_bytes()), 6);
    put(dir.path(), "cut.sql.gz", &gz(DUMP.as_bytes())[..30], 1);
    let repository = config("path = \"*.gz\"").repository(&context(dir.path())).unwrap().unwrap();
    let copies = repository.copies().await.unwrap();
    assert_eq!(copies.iter().map(|copy| copy.name.as_str()).collect::<Vec<_>>(), ["old.sql.gz", "new.sql.gz"]);
    assert_eq!(repository.protects(), [dir.path()]);
    let into = tempfile::tempdir().unwrap();
    let restored = repository.restore(&copies[1], into.path()).await.unwrap();
    assert_eq!(restored, crate::backups::Restored::Dump(into.path().join("new.sql")));
    assert!(repository.by_hand(&copies[1]).starts_with("gunzip -c '"));
    assert_eq!(repository.files("new.sql.gz", "").await.unwrap().len(), 1);

    let script = dir.path().join("list");
    let name = dir.path().join("new.sql.gz");
    crate::sources::contract::commands::script(&script, &format!("echo {} 100 {}", clock::now().timestamp() - 7_200, name.display())).await;
    let remote = format!("path = \"*\"\ncommand = [{:?}]", script.to_str().unwrap());
    let repository = config(&remote).repository(&context(dir.path())).unwrap().unwrap();
    let copies = repository.copies().await.unwrap();
    let into = tempfile::tempdir().unwrap();
    let error = repository.restore(&copies[0], into.path()).await.unwrap_err();
    assert!(error.remedy.contains("fetch"), "{error:?}");
    let fetching = format!("{remote}\nfetch = [\"cp\", \"{{copy}}\", \"{{into}}/\"]");
    assert!(config(&fetching).check().is_empty());
    let repository = config(&fetching).repository(&context(dir.path())).unwrap().unwrap();
    assert_eq!(repository.restore(&copies[0], into.path()).await.unwrap(), crate::backups::Restored::Dump(into.path().join("new.sql")));
    let mut untrusted = context(dir.path());
    untrusted.trusted = false;
    assert!(config(&fetching).repository(&untrusted).unwrap().is_err());
    assert_eq!(config(&fetching).commands().len(), 2);
}

#[tokio::test]
async fn a_listing_command_keeps_the_contract_of_commands() {
    use crate::sources::contract::commands::{self, Faulty, kind_of};
    let answer = format!("{} 2048 /backups/a.gz\n", clock::now().timestamp() - 7_200);
    let answers = commands::suite(&answer, |tool| {
        let mut context = context(Path::new("/"));
        context.common.timeout = Some(commands::TIMEOUT);
        config(&format!("path = \"*.gz\"\ncommand = [{:?}]", tool.to_str().unwrap())).build(&context).unwrap().source
    })
    .await;
    for (faulty, kind) in [
        (Faulty::Missing, ErrorKind::Missing),
        (Faulty::Silent, ErrorKind::Nothing),
        (Faulty::Garbage, ErrorKind::Nothing),
        (Faulty::Words, ErrorKind::Nothing),
        (Faulty::Flood, ErrorKind::TooLarge),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Fails, ErrorKind::Missing),
        (Faulty::Killed, ErrorKind::Missing),
    ] {
        assert_eq!(kind_of(&answers, faulty), Some(kind), "{faulty:?}");
    }
}

#[tokio::test]
async fn the_day_on_which_the_room_runs_out_is_told_as_the_copies_grew() {
    use crate::backups::kept::Keeper;
    let dir = tempfile::tempdir().unwrap();
    let mut context = context(dir.path());
    context.cache = Some(dir.path().join("cache"));
    let now = clock::now();
    // What it takes is said by the folder, and nothing of it is written.
    let bytes = 1_u64 << 40;
    put(dir.path(), "shop-1.bin", b"x", 30);
    fs::File::options().write(true).open(dir.path().join("shop-1.bin")).unwrap().set_len(bytes).unwrap();
    let text = "path = \"shop-*.bin\"";
    let pattern = dir.path().join("shop-*.bin").to_string_lossy().into_owned();
    let look = async || {
        let mut built = config(text).build(&context).unwrap();
        match built.source.collect().await.unwrap().observations.remove(0).data {
            Data::Backup(backup) => *backup,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(look().await.full_on, None, "one look is no past");
    let keeper = Keeper::new(context.cache.as_deref(), &context.id);
    let mut kept = keeper.get(&pattern).await;
    assert_eq!(kept.sizes.iter().map(|(_, size)| *size).collect::<Vec<_>>(), [bytes], "it is remembered");
    kept.sizes = vec![((now - chrono::TimeDelta::days(10)).timestamp(), bytes / 2)];
    keeper.put(kept).await;
    let seen = look().await;
    let days = seen.free_bytes.unwrap() as f64 / (bytes as f64 / 2.0 / 10.0);
    let told = (seen.full_on.unwrap() - now).num_seconds() as f64 / 86_400.0;
    assert!((told - days).abs() < 0.1, "{told} and {days}");
    // A look that finds the same writes nothing down.
    let before = Keeper::new(context.cache.as_deref(), &context.id).get(&pattern).await;
    look().await;
    assert_eq!(Keeper::new(context.cache.as_deref(), &context.id).get(&pattern).await, before);
}

/// The table of django-dbbackup: names are padded, and overflow.
#[test]
fn what_django_dbbackup_lists_is_read() {
    let berlin = Some("Europe/Berlin".parse().unwrap());
    let text = "Name                                     Datetime            \n\
        default-web1-2026-11-20-044315.sqlite3   11/20/26 04:43:15   \n\
        default-web1-with-a-long-name.example-2026-11-19-044315.psql.gz 11/19/26 04:43:15   \n\
        a name of one's own.dump                 11/18/26 04:43:15   \n\
        not a line of it\n";
    let found = list::lines(text, "*", berlin);
    let told: Vec<(String, String)> = found.files.iter().map(|file| (file.path.display().to_string(), file.at.to_rfc3339())).collect();
    let expected = [
        ("a name of one's own.dump", "2026-11-18T03:43:15+00:00"),
        ("default-web1-with-a-long-name.example-2026-11-19-044315.psql.gz", "2026-11-19T03:43:15+00:00"),
        ("default-web1-2026-11-20-044315.sqlite3", "2026-11-20T03:43:15+00:00"),
    ];
    assert_eq!(told, expected.map(|(name, at)| (name.to_owned(), at.to_owned())));
    assert!(found.files.iter().all(|file| file.size.is_none()));
    assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
    assert_eq!(list::lines(text, "*.psql.gz", berlin).files.len(), 1);
}

/// The django-dbbackup that is installed here, in a real project. `ROUNDS_TEST_PYTHON` names its Python.
#[tokio::test]
async fn a_real_django_dbbackup_lists_its_copies() {
    use crate::io::exec::{Limits, Program, run};
    let python = std::env::var("ROUNDS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let limits = Limits::within(Duration::from_secs(180));
    let probe = run(&Program::new(vec![python.clone(), "-c".into(), "import django, dbbackup".into()]), limits).await;
    if !probe.is_ok_and(|output| output.ending.success()) {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(), "django-dbbackup is not installed for {python}: name a Python in ROUNDS_TEST_PYTHON");
        eprintln!("skipped: django-dbbackup is not installed for {python}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    fs::create_dir(base.join("backups")).unwrap();
    fs::write(
        base.join("settings.py"),
        "import pathlib\nhere = pathlib.Path(__file__).parent\nSECRET_KEY = 'of-a-test'\nINSTALLED_APPS = ['dbbackup']\nTIME_ZONE = 'Europe/Berlin'\n\
         DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': here / 'shop.sqlite3'}}\nfiles = 'django.core.files.storage.FileSystemStorage'\n\
         STORAGES = {'default': {'BACKEND': files}, 'dbbackup': {'BACKEND': files, 'OPTIONS': {'location': str(here / 'backups')}}}\n\
         DBBACKUP_HOSTNAME = 'web1-with-a-long-name.example'\n",
    )
    .unwrap();
    fs::write(
        base.join("manage.py"),
        "import os, sys\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\nfrom django.core.management import execute_from_command_line\n\
         execute_from_command_line(sys.argv)\n",
    )
    .unwrap();
    rusqlite::Connection::open(base.join("shop.sqlite3")).unwrap().execute_batch("create table basket (id integer); insert into basket values (1);").unwrap();
    let manage = base.join("manage.py").display().to_string();
    let made = run(&Program::new(vec![python.clone(), manage.clone(), "dbbackup".into()]), limits).await.unwrap();
    assert!(made.ending.success(), "{}", made.last_error_line());
    // The run of three days ago has left one too.
    let newest = fs::read_dir(base.join("backups")).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "sqlite3"));
    fs::copy(newest.unwrap(), base.join("backups/default-web1-2026-01-20-044315.sqlite3")).unwrap();
    let mut context = context(base);
    context.zone = Some("Europe/Berlin".parse().unwrap());
    for words in [&["listbackups"][..], &["listbackups", "-q"]] {
        let command: Vec<&str> = [python.as_str(), &manage].into_iter().chain(words.iter().copied()).collect();
        let mut built = config(&format!("path = \"default-*\"\ncommand = {command:?}")).build(&context).unwrap();
        // What was written just now is not counted yet.
        let until = std::time::Instant::now() + Duration::from_secs(60);
        let (seen, problems) = loop {
            let mut collected = built.source.collect().await.unwrap();
            let Data::Backup(seen) = collected.observations.remove(0).data else { panic!() };
            if seen.copies.len() == 2 || std::time::Instant::now() > until {
                break (seen, collected.problems);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        assert_eq!((seen.snapshots, problems), (2, vec![]));
        let old = &seen.copies[0];
        assert_eq!((old.name.as_str(), old.at.to_rfc3339().as_str()), ("default-web1-2026-01-20-044315.sqlite3", "2026-01-20T03:43:15+00:00"));
        assert!(seen.copies[1].name.starts_with("default-web1-with-a-long-name.example-") && seen.age_s.is_some_and(|age| age < 600), "{seen:?}");
        assert_eq!((seen.size_bytes, seen.complaints.as_slice()), (None, &[][..]), "sizes are not told");
    }
    // A project that cannot be loaded is no empty list.
    fs::write(base.join("settings.py"), "raise RuntimeError('broken settings')\n").unwrap();
    let command = [python.as_str(), manage.as_str(), "listbackups"];
    let mut built = config(&format!("path = \"default-*\"\ncommand = {command:?}")).build(&context).unwrap();
    let error = built.source.collect().await.unwrap_err();
    assert!(error.message.contains("broken settings"), "{error:?}");
}

#[tokio::test]
async fn archives_are_looked_into_packed_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = tar_header(5);
    archive.extend_from_slice(b"hello");
    archive.resize(4 * 512, 0);
    put(dir.path(), "shop-1.tar", &archive, 30);
    put(dir.path(), "shop-2.tar.gz", &gz(&archive), 6);
    put(dir.path(), "shop-3.sql.gz", &gz(DUMP.as_bytes()), 5);
    let desk = config("path = \"shop-*\"").repository(&context(dir.path())).unwrap().unwrap();
    for name in ["shop-1.tar", "shop-2.tar.gz"] {
        let told = desk.files(name, "").await.unwrap();
        assert_eq!(told.iter().map(|entry| (entry.path.as_str(), entry.size)).collect::<Vec<_>>(), [("a.bin", Some(5))], "{name}");
    }
    // What is no archive is told as the one file that it is.
    assert_eq!(desk.files("shop-3.sql.gz", "").await.unwrap()[0].path, "shop-3.sql.gz");
    // One that is cut is no empty archive.
    let cut = gz(&archive);
    put(dir.path(), "shop-4.tar.gz", &cut[..cut.len() - 20], 4);
    assert!(desk.files("shop-4.tar.gz", "").await.is_err());
}
