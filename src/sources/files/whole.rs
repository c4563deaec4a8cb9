//! Whether one copy is whole: gzip read to its end and checked, a dump's end mark, an archive's end, a database's length.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::MultiGzDecoder;

use super::FileKind;
use super::list::File;
use crate::domain::Timestamp;

/// The beginning and the end that are looked at.
const HEAD: usize = 4_096;
const TAIL: usize = 8_192;
/// Files remembered.
const REMEMBERED: usize = 256;
/// What a compressed file may hold before the reading is given up: nothing we judge is larger.
const MOST_UNPACKED: u64 = 1 << 42;

/// What the look gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whole {
    /// It is.
    Yes,
    /// It is not, for this reason.
    No(String),
    /// Nothing tells for this kind, or the look was broken off.
    NotLookedAt,
}

/// What was found out, by path, size and time.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: HashMap<(PathBuf, u64, Timestamp), Whole>,
}

impl Memory {
    /// Looks into a file once; again only when it changed.
    pub(super) fn whole(&mut self, file: &File, kind: FileKind, stop: &AtomicBool) -> Whole {
        let key = (file.path.clone(), file.size, file.at);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let seen = look(file, kind, stop).unwrap_or_else(|error| Whole::No(format!("cannot be read: {error}")));
        if seen != Whole::NotLookedAt {
            if self.known.len() >= REMEMBERED {
                self.known.clear();
            }
            self.known.insert(key, seen.clone());
        }
        seen
    }
}

fn look(file: &File, kind: FileKind, stop: &AtomicBool) -> std::io::Result<Whole> {
    let mut open = fs::File::open(&file.path)?;
    let mut head = Vec::with_capacity(HEAD);
    Read::by_ref(&mut open).take(HEAD as u64).read_to_end(&mut head)?;
    let found = detect(&head);
    let kind = match (kind, found) {
        (FileKind::Auto, found) => found,
        (FileKind::Gz, FileKind::Gz) => FileKind::Gz,
        (FileKind::Gz, _) => return Ok(Whole::No("is not gzip".to_owned())),
        (FileKind::Zst, FileKind::Zst) => FileKind::Zst,
        (FileKind::Zst, _) => return Ok(Whole::No("is not zstd".to_owned())),
        (FileKind::Custom, FileKind::Custom) => FileKind::Custom,
        (FileKind::Custom, _) => return Ok(Whole::No("is not a dump in custom format".to_owned())),
        (FileKind::Sqlite, FileKind::Sqlite) => FileKind::Sqlite,
        (FileKind::Sqlite, _) => return Ok(Whole::No("is not an SQLite database".to_owned())),
        // A compressed one is unpacked first, whatever it holds.
        (_, FileKind::Gz) => FileKind::Gz,
        (wanted, _) => wanted,
    };
    if kind == FileKind::Gz {
        open.seek(SeekFrom::Start(0))?;
        return Ok(gzip(open, stop));
    }
    let size = open.metadata()?.len();
    let mut tail = Vec::with_capacity(TAIL);
    open.seek(SeekFrom::Start(size.saturating_sub(TAIL as u64)))?;
    open.take(TAIL as u64).read_to_end(&mut tail)?;
    Ok(end(kind, &head, &tail, size))
}

/// The kind by the first bytes.
fn detect(head: &[u8]) -> FileKind {
    match head {
        [0x1f, 0x8b, ..] => FileKind::Gz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => FileKind::Zst,
        head if head.starts_with(b"PGDMP") => FileKind::Custom,
        head if head.starts_with(b"SQLite format 3\0") => FileKind::Sqlite,
        head if head.get(257..262) == Some(b"ustar") => FileKind::Tar,
        head if mark(head).is_some() => FileKind::Sql,
        _ => FileKind::Auto,
    }
}

/// The end mark that a dump with this beginning must have.
fn mark(head: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&head[..head.len().min(512)]);
    // What the tools write: pg_dump and pg_dumpall, mysqldump and mariadb-dump, sqlite3's `.dump`.
    if text.contains("-- PostgreSQL database cluster dump") {
        Some("-- PostgreSQL database cluster dump complete")
    } else if text.contains("-- PostgreSQL database dump") {
        Some("-- PostgreSQL database dump complete")
    } else if text.contains("-- MySQL dump") || text.contains("-- MariaDB dump") {
        Some("-- Dump completed")
    } else if text.starts_with("PRAGMA foreign_keys=OFF;") {
        Some("COMMIT;")
    } else {
        None
    }
}

/// Judges by beginning, end and length.
fn end(kind: FileKind, head: &[u8], tail: &[u8], size: u64) -> Whole {
    match kind {
        FileKind::Sql => match mark(head) {
            Some(mark) if String::from_utf8_lossy(tail).contains(mark) => Whole::Yes,
            Some(_) => Whole::No("is cut: the end mark of the dump is missing".to_owned()),
            None => Whole::NotLookedAt,
        },
        FileKind::Tar => {
            let zeros = tail.iter().rev().take_while(|b| **b == 0).count();
            if size.is_multiple_of(512) && zeros >= 1_024 { Whole::Yes } else { Whole::No("is cut: the end of the archive is missing".to_owned()) }
        }
        // Bytes 16 and 17 are the page size (1 means 65,536), 28 to 31 the number of pages: the file format of SQLite, section 1.3.
        FileKind::Sqlite => {
            let number = |at: std::ops::Range<usize>| head.get(at).map(|bytes| bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)));
            let (Some(page), Some(pages)) = (number(16..18), number(28..32)) else {
                return Whole::No("is cut: not even its header is whole".to_owned());
            };
            let needed = pages * if page == 1 { 65_536 } else { page };
            if needed == 0 {
                Whole::NotLookedAt
            } else if size >= needed {
                Whole::Yes
            } else {
                Whole::No(format!("is cut: {} of {}", crate::domain::size_text(size), crate::domain::size_text(needed)))
            }
        }
        FileKind::Auto | FileKind::Custom | FileKind::Gz | FileKind::Zst => Whole::NotLookedAt,
    }
}

/// Unpacks to the end: the sum at the end of gzip tells a cut or damaged file, and what is inside is judged as well.
fn gzip(file: fs::File, stop: &AtomicBool) -> Whole {
    let mut reader = MultiGzDecoder::new(std::io::BufReader::with_capacity(1 << 16, file));
    let (mut head, mut tail, mut size) = (Vec::new(), Vec::new(), 0u64);
    let mut buffer = vec![0; 1 << 16];
    loop {
        if stop.load(Ordering::Relaxed) || size > MOST_UNPACKED {
            return Whole::NotLookedAt;
        }
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                let read = &buffer[..n];
                if head.len() < HEAD {
                    head.extend_from_slice(&read[..n.min(HEAD - head.len())]);
                }
                tail.extend_from_slice(&read[n.saturating_sub(TAIL)..]);
                let over = tail.len().saturating_sub(TAIL);
                tail.drain(..over);
                size += n as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Whole::No("is cut: gzip ends too early".to_owned()),
            Err(_) => return Whole::No("is damaged: gzip does not unpack".to_owned()),
        }
    }
    if size == 0 {
        return Whole::No("holds nothing".to_owned());
    }
    match end(detect(&head), &head, &tail, size) {
        Whole::NotLookedAt => Whole::Yes,
        seen => seen,
    }
}

/// The judgement of any bytes as a copy, for fuzzing: must not panic.
pub fn fuzz_end(bytes: &[u8]) {
    let head = &bytes[..bytes.len().min(HEAD)];
    let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
    for kind in [FileKind::Auto, FileKind::Sql, FileKind::Sqlite, FileKind::Tar] {
        let _ = end(kind, head, tail, bytes.len() as u64);
    }
    let _ = detect(head);
    let _ = super::list::lines(&String::from_utf8_lossy(bytes), "*.gz");
}
