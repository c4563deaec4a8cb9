//! Whether one copy is whole: what is packed is unpacked to its end and its sum compared, a dump's end mark, an archive's structure, a
//! database's own check.

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::MultiGzDecoder;

use super::form::{self, Form, HEAD};
use super::{archive, sqlite, tar, zstd};
use crate::domain::size_text;

/// So much of the end is looked at.
const TAIL: usize = 8_192;
/// What a packed file may hold before the reading is given up: nothing we judge is larger.
const MOST_UNPACKED: u64 = 1 << 42;

/// What the look gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whole {
    /// It is.
    Yes,
    /// It is not, for this reason.
    No(String),
    /// Nothing tells for this form, or the look was broken off.
    NotLookedAt,
}

impl Whole {
    fn no(words: impl Into<String>) -> Self {
        Self::No(words.into())
    }
}

/// Reads until it is told to stop.
struct Guarded<'a, R> {
    inner: R,
    stop: &'a AtomicBool,
    read: u64,
}

impl<R: Read> Read for Guarded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) || self.read > MOST_UNPACKED {
            return Err(io::Error::new(ErrorKind::Unsupported, "stopped"));
        }
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

/// Looks into a file, or a folder that is one dump. `wanted`: what it is said to be; anything, when not said.
///
/// # Errors
/// When it cannot be read.
pub fn look(path: &Path, wanted: Option<Form>, stop: &AtomicBool) -> io::Result<(Whole, Form)> {
    if fs::metadata(path)?.is_dir() {
        return Ok((directory(path, stop)?, Form::Directory));
    }
    if form::is_encrypted(path) {
        return Ok((Whole::NotLookedAt, Form::Encrypted));
    }
    let mut file = File::open(path)?;
    let head = head_of(&mut file)?;
    let found = form::detect(&head);
    let same = |wanted: Form| wanted == found || matches!((wanted, found), (Form::Sql(_), Form::Sql(_) | Form::Unknown));
    let no = |words: &str| Ok((Whole::no(words), found));
    let form = match wanted {
        // What is packed is unpacked first, whatever it holds.
        _ if matches!(found, Form::Gz | Form::Zst | Form::Encrypted) && !matches!(wanted, Some(Form::Gz | Form::Zst) if wanted != Some(found)) => found,
        Some(Form::Gz) if found != Form::Gz => return no("is not gzip"),
        Some(Form::Zst) if found != Form::Zst => return no("is not zstd"),
        Some(Form::Custom) if found != Form::Custom => return no("is not a dump in custom format"),
        Some(Form::Directory) => return no("is not a dump in directory format"),
        Some(Form::Sqlite) if found != Form::Sqlite => return no("is not an SQLite database"),
        Some(wanted) if same(wanted) => found,
        // Old archives have no sign; their structure tells.
        Some(wanted) => wanted,
        None => found,
    };
    let inside = wanted.filter(|wanted| *wanted != form);
    let whole = match form {
        Form::Gz => packed("gzip", Guarded { inner: MultiGzDecoder::new(BufReader::with_capacity(1 << 16, rewound(file)?)), stop, read: 0 }, inside)?,
        Form::Zst => packed("zstd", Guarded { inner: zstd::Unpacked::new(rewound(file)?), stop, read: 0 }, inside)?,
        Form::Encrypted | Form::Directory => Whole::NotLookedAt,
        Form::Tar => tar::walk(&mut tar::Plain::new(file)?, |_| {})?.map_or_else(Whole::no, |()| Whole::Yes),
        Form::Custom => structure(archive::follow(&mut BufReader::with_capacity(1 << 13, rewound(file)?), &|| stop.load(Ordering::Relaxed)))?,
        Form::Sql(_) | Form::Sqlite | Form::Unknown => {
            let size = file.metadata()?.len();
            let mut tail = Vec::with_capacity(TAIL);
            file.seek(SeekFrom::Start(size.saturating_sub(TAIL as u64)))?;
            file.take(TAIL as u64).read_to_end(&mut tail)?;
            match end(form, &head, &tail, size) {
                Whole::Yes if form == Form::Sqlite && size <= sqlite::LARGEST => match sqlite::problem(path, stop) {
                    Ok(None) => Whole::Yes,
                    Ok(Some(problem)) => Whole::No(problem),
                    Err(_) if stop.load(Ordering::Relaxed) => Whole::NotLookedAt,
                    Err(error) => return Err(io::Error::other(error.to_string())),
                },
                seen => seen,
            }
        }
    };
    Ok((whole, form))
}

/// Tells the members of a tar archive, packed by gzip or zstd or not; `false`: it is none.
///
/// # Errors
/// When it cannot be read or unpacked.
pub fn members(path: &Path, stop: &AtomicBool, told: impl FnMut(tar::Member)) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let head = head_of(&mut file)?;
    match form::detect(&head) {
        Form::Tar => tar::walk(&mut tar::Plain::new(file)?, told).map(|_| true),
        Form::Gz => packed_members(Guarded { inner: MultiGzDecoder::new(BufReader::with_capacity(1 << 16, rewound(file)?)), stop, read: 0 }, told),
        Form::Zst => packed_members(Guarded { inner: zstd::Unpacked::new(rewound(file)?), stop, read: 0 }, told),
        _ => Ok(false),
    }
}

fn packed_members(mut reader: impl Read, told: impl FnMut(tar::Member)) -> io::Result<bool> {
    let head = head_of(&mut reader)?;
    if form::detect(&head) != Form::Tar {
        return Ok(false);
    }
    tar::walk(&mut tar::Stream(Cursor::new(head).chain(reader)), told).map(|_| true)
}

fn rewound(mut file: File) -> io::Result<File> {
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn head_of(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    reader.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn structure(followed: Result<archive::Toc, archive::Odd>) -> io::Result<Whole> {
    match followed {
        Ok(_) => Ok(Whole::Yes),
        Err(archive::Odd::Cut) => Ok(Whole::no("is cut: the dump ends too early")),
        Err(archive::Odd::Damaged(words)) => Ok(Whole::no(words)),
        Err(archive::Odd::Unknown) => Ok(Whole::NotLookedAt),
        // The look was broken off.
        Err(archive::Odd::Io(error)) if error.kind() == ErrorKind::Other => Ok(Whole::NotLookedAt),
        Err(archive::Odd::Io(error)) => Err(error),
    }
}

/// Unpacks to the end: the sum there tells a cut or damaged file, and what is inside is judged as well.
fn packed(by: &str, mut reader: Guarded<'_, impl Read>, inside: Option<Form>) -> io::Result<Whole> {
    match unpacked(&mut reader, inside) {
        Ok(whole) => Ok(whole),
        Err(error) => match error.kind() {
            ErrorKind::UnexpectedEof => Ok(Whole::no(format!("is cut: {by} ends too early"))),
            ErrorKind::InvalidData | ErrorKind::InvalidInput => Ok(Whole::no(format!("is damaged: {by} does not unpack"))),
            ErrorKind::Unsupported => Ok(Whole::NotLookedAt),
            _ => Err(error),
        },
    }
}

fn unpacked(reader: &mut impl Read, inside: Option<Form>) -> io::Result<Whole> {
    let head = head_of(reader)?;
    if head.is_empty() {
        return Ok(Whole::no("holds nothing"));
    }
    let form = match (inside, form::detect(&head)) {
        (Some(Form::Tar), _) => Form::Tar,
        (_, found) => found,
    };
    let mut all = tar::Stream(Cursor::new(&head).chain(&mut *reader));
    let (mut tail, mut size) = (Vec::new(), 0u64);
    let seen = if form == Form::Tar { Some(tar::walk(&mut all, |_| {})?) } else { None };
    // To the end in any case: the sum stands there.
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match all.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        tail.extend_from_slice(&buffer[count.saturating_sub(TAIL)..count]);
        let over = tail.len().saturating_sub(TAIL);
        tail.drain(..over);
        size += count as u64;
    }
    Ok(match seen {
        Some(seen) => seen.map_or_else(Whole::no, |()| Whole::Yes),
        None => match end(form, &head, &tail, size) {
            Whole::NotLookedAt => Whole::Yes,
            seen => seen,
        },
    })
}

/// Judges by beginning, end and length.
fn end(form: Form, head: &[u8], tail: &[u8], size: u64) -> Whole {
    match form {
        Form::Sql("") => Whole::NotLookedAt,
        Form::Sql(mark) if String::from_utf8_lossy(tail).contains(mark) => Whole::Yes,
        Form::Sql(_) => Whole::no("is cut: the end mark of the dump is missing"),
        // Bytes 16 and 17 are the page size (1 means 65,536), 28 to 31 the number of pages: the file format of SQLite, section 1.3.
        Form::Sqlite => {
            let number = |at: std::ops::Range<usize>| head.get(at).map(|bytes| bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)));
            let (Some(page), Some(pages)) = (number(16..18), number(28..32)) else {
                return Whole::no("is cut: not even its header is whole");
            };
            let needed = pages * if page == 1 { 65_536 } else { page };
            if needed == 0 {
                Whole::NotLookedAt
            } else if size >= needed {
                Whole::Yes
            } else {
                Whole::no(format!("is cut: {} of {}", size_text(size), size_text(needed)))
            }
        }
        // What a machine that lost its power leaves behind.
        Form::Unknown if size > 0 && head.iter().chain(tail).all(|byte| *byte == 0) => Whole::no("holds only zeros"),
        _ => Whole::NotLookedAt,
    }
}

/// A folder that pg_dump wrote: its table, and each file that the table names; packed ones are unpacked to their end.
fn directory(path: &Path, stop: &AtomicBool) -> io::Result<Whole> {
    let table = match File::open(path.join("toc.dat")) {
        // It is written last.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Whole::no("has no table of contents: the dump did not end")),
        opened => opened?,
    };
    let toc = match archive::toc(&mut BufReader::new(table)) {
        Ok(toc) => toc,
        Err(odd) => return structure(Err(odd)),
    };
    let mut names = toc.files.clone();
    // Large objects have a list of their own: a number and a name in each line.
    for list in toc.files.iter().filter(|name| name.split('.').next_back() == Some("toc") && !name.contains('/')) {
        let listed = fs::read_to_string(path.join(list)).unwrap_or_default();
        if !listed.is_empty() && !listed.ends_with('\n') {
            return Ok(Whole::no(format!("{list} is cut")));
        }
        names.extend(listed.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned));
    }
    for name in &names {
        if stop.load(Ordering::Relaxed) {
            return Ok(Whole::NotLookedAt);
        }
        // A name of the table stays in the folder.
        if name.contains('/') || name.starts_with('.') {
            return Ok(Whole::no("is damaged: its table is not right"));
        }
        let mut found = false;
        for packing in ["", ".gz", ".zst", ".lz4"] {
            let file = match File::open(path.join(format!("{name}{packing}"))) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            found = true;
            let guarded = |inner| Guarded { inner, stop, read: 0 };
            let reader = BufReader::with_capacity(1 << 16, file);
            let seen = match packing {
                ".gz" => packed("gzip", guarded(Box::new(MultiGzDecoder::new(reader)) as Box<dyn Read>), None)?,
                ".zst" => packed("zstd", guarded(Box::new(zstd::Unpacked::new(reader)) as Box<dyn Read>), None)?,
                _ => Whole::Yes,
            };
            match seen {
                // An empty table is packed as nothing.
                Whole::No(words) if words != "holds nothing" => return Ok(Whole::No(format!("{name}{packing} {words}"))),
                Whole::NotLookedAt => return Ok(Whole::NotLookedAt),
                _ => break,
            }
        }
        if !found {
            return Ok(Whole::no(format!("lacks {name}")));
        }
    }
    Ok(Whole::Yes)
}

/// The judgement of bytes alone.
pub(super) fn of_bytes(bytes: &[u8], stop: &AtomicBool) -> io::Result<Whole> {
    let (head, tail) = (&bytes[..bytes.len().min(HEAD)], &bytes[bytes.len().saturating_sub(TAIL)..]);
    match form::detect(head) {
        Form::Gz => packed("gzip", Guarded { inner: MultiGzDecoder::new(bytes), stop, read: 0 }, None),
        Form::Zst => packed("zstd", Guarded { inner: zstd::Unpacked::new(bytes), stop, read: 0 }, None),
        Form::Tar => Ok(tar::walk(&mut Cursor::new(bytes), |_| {})?.map_or_else(Whole::no, |()| Whole::Yes)),
        Form::Custom => structure(archive::follow(&mut Cursor::new(bytes), &|| stop.load(Ordering::Relaxed))),
        form => Ok(end(form, head, tail, bytes.len() as u64)),
    }
}
