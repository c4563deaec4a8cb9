//! Copies as disks, tools and people leave them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

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
    let mut tar = vec![0u8; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let cases: [(&str, &[u8], &str); 9] = [
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

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000), head in 0usize..4) {
        let mut all: Vec<u8> = [&b""[..], b"SQLite format 3\0", b"-- PostgreSQL database dump\n", b"PGDMP"][head].to_vec();
        all.extend(bytes);
        fuzz_dump_end(&all);
    }
}
