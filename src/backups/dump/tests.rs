//! Dumps as tools, disks and people leave them. The fixtures were written by pg_dump 15: a table with 300 rows, an empty one, two large
//! objects; `pipe.dump` through a pipe, so that its table does not tell where its blocks are.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;
use crate::backups::Restored;
use crate::io::exec::{self, Limits, Program};
use crate::testing::tool;

const CUSTOM: &[u8] = include_bytes!("fixtures/shop.dump");
const PIPE: &[u8] = include_bytes!("fixtures/pipe.dump");
const SQL: &str = "--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE basket (id integer);\n\n--\n-- PostgreSQL database dump complete\n--\n\n";

fn of(bytes: &[u8]) -> Whole {
    whole::of_bytes(bytes, &AtomicBool::new(false)).unwrap()
}

fn look_at(path: &Path) -> (Whole, Form) {
    look(path, None, &AtomicBool::new(false)).unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

async fn run(argv: &[&str]) {
    let program = Program::new(argv.iter().map(|&word| word.to_owned()).collect());
    let output = exec::run(&program, Limits::within(Duration::from_secs(60))).await.unwrap();
    assert!(output.ending.success(), "{argv:?}: {}", output.last_error_line());
}

fn is_bad(whole: &Whole) -> bool {
    matches!(whole, Whole::No(_))
}

#[test]
fn a_dump_in_custom_format_is_followed_to_its_end() {
    for (dump, what) in [(CUSTOM, "custom"), (PIPE, "through a pipe")] {
        assert_eq!(of(dump), Whole::Yes, "{what}");
        let toc = archive::toc(&mut std::io::Cursor::new(dump)).unwrap();
        assert_eq!(toc.with_data, 3, "two tables and the large objects: {toc:?}");
        for length in 5..dump.len() {
            assert!(is_bad(&of(&dump[..length])), "{what}: whole at {length} of {}", dump.len());
        }
        let mut longer = dump.to_vec();
        longer.extend(b"\xffmore");
        assert!(is_bad(&of(&longer)), "{what}: with something after it");
    }
    let mut newer = CUSTOM.to_vec();
    newer[6] = 99;
    assert_eq!(of(&newer), Whole::NotLookedAt, "a version that is not known is not called damaged");
}

#[test]
fn a_dump_in_directory_format_needs_all_its_files() {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backups/dump/fixtures/shop.dir");
    assert_eq!(look_at(&whole), (Whole::Yes, Form::Directory));
    let names: Vec<_> = fs::read_dir(&whole).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.len() >= 6);
    for broken in &names {
        for cut in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            for name in names.iter().filter(|name| cut || *name != broken) {
                let bytes = fs::read(whole.join(name)).unwrap();
                let kept = bytes.len() - if cut && name == broken { 3 } else { 0 };
                fs::write(dir.path().join(name), &bytes[..kept]).unwrap();
            }
            let (seen, _) = look_at(dir.path());
            assert!(is_bad(&seen), "{broken:?} {}: {seen:?}", if cut { "cut" } else { "missing" });
        }
    }
}

#[test]
fn what_is_packed_is_unpacked_to_its_end() {
    let cut = &SQL.as_bytes()[..60];
    let concat = |a: Vec<u8>, b: Vec<u8>| [a, b].concat();
    // A frame that is to be skipped, and one that follows.
    let skipped = concat(b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc".to_vec(), zst(SQL.as_bytes()));
    for (bytes, expected) in [
        (gz(SQL.as_bytes()), Whole::Yes),
        (zst(SQL.as_bytes()), Whole::Yes),
        (concat(zst(&SQL.as_bytes()[..50]), zst(&SQL.as_bytes()[50..])), Whole::Yes),
        (skipped, Whole::Yes),
        (zst(&vec![7; 3 << 20]), Whole::Yes),
        (gz(cut), Whole::No("is cut: the end mark of the dump is missing".to_owned())),
        (zst(cut), Whole::No("is cut: the end mark of the dump is missing".to_owned())),
        (gz(b""), Whole::No("holds nothing".to_owned())),
        (zst(b""), Whole::No("holds nothing".to_owned())),
        (zst(SQL.as_bytes())[..40].to_vec(), Whole::No("is cut: zstd ends too early".to_owned())),
        (gz(SQL.as_bytes())[..40].to_vec(), Whole::No("is cut: gzip ends too early".to_owned())),
        (b"\x28\xb5\x2f\xfd".to_vec(), Whole::No("is cut: zstd ends too early".to_owned())),
        (vec![0; 5_000], Whole::No("holds only zeros".to_owned())),
    ] {
        assert_eq!(of(&bytes), expected, "{:?}", &bytes[..bytes.len().min(12)]);
    }
    let long = zst(&(0..200_000u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    for length in (5..long.len()).step_by(long.len() / 40) {
        assert_eq!(of(&long[..length]), Whole::No("is cut: zstd ends too early".to_owned()), "at {length}");
    }
}

#[tokio::test]
async fn what_the_real_zstd_and_tar_write_is_read() {
    let (Some(zstd), Some(tar)) = (tool("zstd"), tool("tar")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir_all(at("site/media/deep/er")).unwrap();
    let noise: Vec<u8> = (0..70_000u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29) as u8).collect();
    fs::write(at("site/media/deep/er/a b\nc.bin"), noise).unwrap();
    fs::write(at("site/settings.py"), "DEBUG = False\n").unwrap();
    for format in ["ustar", "gnu", "pax"] {
        let long = "n".repeat(if format == "ustar" { 90 } else { 120 });
        fs::write(at(&format!("site/{long}")), "long").unwrap();
        let plain = at(&format!("{format}.tar"));
        run(&[tar.to_str().unwrap(), "-C", &at(""), &format!("--format={format}"), "-cf", &plain, "site"]).await;
        run(&[zstd.to_str().unwrap(), "-q", "--check", &plain]).await;
        run(&["gzip", "-k", &plain]).await;
        for (path, form) in [(plain.clone(), Form::Tar), (format!("{plain}.zst"), Form::Zst), (format!("{plain}.gz"), Form::Gz)] {
            assert_eq!(look_at(Path::new(&path)), (Whole::Yes, form), "{path}");
            let bytes = fs::read(&path).unwrap();
            for share in [3, 5, 8] {
                fs::write(at("cut"), &bytes[..bytes.len() * share / 9]).unwrap();
                assert!(is_bad(&look_at(Path::new(&at("cut"))).0), "{path}: {share} of 9");
            }
            // One bit of the content: told by the sum of what packed it.
            if form != Form::Tar {
                let mut flipped = bytes.clone();
                let middle = flipped.len() * 2 / 3;
                flipped[middle] ^= 4;
                fs::write(at("flipped"), &flipped).unwrap();
                assert!(is_bad(&look_at(Path::new(&at("flipped"))).0), "{path} with a flipped bit");
            }
            let into = tempfile::tempdir().unwrap();
            assert_eq!(unpack::restore(Path::new(&path), into.path(), Duration::from_secs(60)).await.unwrap(), Restored::Files);
            assert_eq!(fs::read(into.path().join("site/media/deep/er/a b\nc.bin")).unwrap().len(), 70_000);
            assert_eq!(fs::read_dir(into.path()).unwrap().count(), 1, "the archive itself does not stay");
        }
    }
    // An archive made of two, of which the second was cut at a block, has no end.
    let bytes = fs::read(at("gnu.tar")).unwrap();
    assert!(is_bad(&of(&bytes[..2_048])));
}

#[test]
fn sqlite_looks_at_its_own_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a%20 b?#.sqlite3");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let fill = "CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT); CREATE INDEX i ON t (note);
        WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000) INSERT INTO t SELECT x, hex(randomblob(20)) FROM n;";
    connection.execute_batch(fill).unwrap();
    drop(connection);
    assert_eq!(look_at(&path), (Whole::Yes, Form::Sqlite));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was written beside it");
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[5 * 4_096..5 * 4_096 + 200].fill(0xee);
    fs::write(&path, &damaged).unwrap();
    let (seen, _) = look_at(&path);
    assert!(matches!(&seen, Whole::No(words) if words.starts_with("is damaged: ")), "{seen:?}");
    fs::write(&path, &whole[..whole.len() - 4_096]).unwrap();
    assert!(matches!(look_at(&path).0, Whole::No(words) if words.starts_with("is cut: ")));
    fs::write(&path, &whole[..18]).unwrap();
    assert_eq!(look_at(&path).0, Whole::No("is cut: not even its header is whole".to_owned()));
}

#[test]
fn what_it_is_said_to_be_is_held_against_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let stop = AtomicBool::new(false);
    for (name, bytes, wanted, expected) in [
        ("a.sql", SQL.as_bytes(), Form::Gz, Some("is not gzip")),
        ("b.sql", SQL.as_bytes(), Form::Custom, Some("is not a dump in custom format")),
        ("c.sql", SQL.as_bytes(), Form::Directory, Some("is not a dump in directory format")),
        ("d.sql", SQL.as_bytes(), Form::Sqlite, Some("is not an SQLite database")),
        ("e.sql", SQL.as_bytes(), Form::Tar, Some("is not a tar archive")),
        ("f.gz", &gz(SQL.as_bytes()), Form::Zst, Some("is not zstd")),
        ("g.gz", &gz(SQL.as_bytes()), Form::Sql(""), None),
        ("h.dump", CUSTOM, Form::Custom, None),
        ("i.sql", SQL.as_bytes(), Form::Sql(""), None),
    ] {
        let (seen, _) = look(&put(name, bytes), Some(wanted), &stop).unwrap();
        assert_eq!(seen, expected.map_or(Whole::Yes, |words| Whole::No(words.to_owned())), "{name}");
    }
    assert_eq!(look_at(&put("shop.sql.gpg", b"\x85\x02\x0c\x03")), (Whole::NotLookedAt, Form::Encrypted));
    assert_eq!(look_at(&put("shop.sql", b"age-encryption.org/v1\n")), (Whole::NotLookedAt, Form::Encrypted));
    assert_eq!(look_at(&put("notes.txt", b"SELECT 1;")), (Whole::NotLookedAt, Form::Unknown));
    let stopped = look(&put("j.gz", &gz(SQL.as_bytes())), None, &AtomicBool::new(true)).unwrap();
    assert_eq!(stopped.0, Whole::NotLookedAt, "a look that was broken off says nothing");
}

#[tokio::test]
async fn a_dump_is_taken_out_of_its_packing() {
    let from = tempfile::tempdir().unwrap();
    for (name, bytes, out) in
        [("shop.sql.gz", gz(SQL.as_bytes()), "shop.sql"), ("shop.sql.zst", zst(SQL.as_bytes()), "shop.sql"), ("shop.dump", CUSTOM.to_vec(), "shop.dump")]
    {
        let path = from.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let into = tempfile::tempdir().unwrap();
        let restored = unpack::restore(&path, into.path(), Duration::from_secs(60)).await.unwrap();
        assert_eq!(restored, Restored::Dump(into.path().join(out)));
        assert_eq!(look_at(&into.path().join(out)).0, Whole::Yes);
        // What somebody else fetched is taken out of its packing where it lies.
        let into = tempfile::tempdir().unwrap();
        fs::write(into.path().join(name), &bytes).unwrap();
        assert_eq!(unpack::settle(into.path(), Duration::from_secs(60)).await.unwrap(), Restored::Dump(into.path().join(out)));
        assert_eq!(fs::read_dir(into.path()).unwrap().count(), 1);
        // A damaged one is an error, never an empty restore.
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let into = tempfile::tempdir().unwrap();
        let cut = unpack::restore(&path, into.path(), Duration::from_secs(60)).await;
        assert!(cut.is_err() || out == "shop.dump", "{name}: {cut:?}");
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backups/dump/fixtures/shop.dir");
    let into = tempfile::tempdir().unwrap();
    let restored = unpack::restore(&directory, into.path(), Duration::from_secs(60)).await.unwrap();
    assert_eq!(restored, Restored::Dump(into.path().join("shop.dir")));
    assert_eq!(look_at(&into.path().join("shop.dir")).0, Whole::Yes);
    assert!(unpack::settle(tempfile::tempdir().unwrap().path(), Duration::from_secs(60)).await.is_err());
    let path = from.path().join("shop.sql.gpg");
    fs::write(&path, "x").unwrap();
    let error = unpack::restore(&path, into.path(), Duration::from_secs(60)).await.unwrap_err();
    assert!(error.message.contains("encrypted"), "{error:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000), begin in 0usize..6, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)) {
        let mut all: Vec<u8> = [&b""[..], b"SQLite format 3\0", b"-- PostgreSQL database dump\n", CUSTOM, b"\x28\xb5\x2f\xfd", PIPE][begin].to_vec();
        for (at, byte) in flips {
            if !all.is_empty() {
                let at = at.index(all.len());
                all[at] = byte;
            }
        }
        all.extend(bytes);
        fuzz(&all);
    }
}
