//! Mails on disk: a maildir or an mbox, read from where the last look ended. Nothing is ever written, renamed or locked.
//!
//! Facts: maildir(5) (`new`, `cur` and `tmp`; a name's part before `:` stays when flags change), mbox(5) (`From ` lines, `>From ` within a
//! body), both of Debian's `mutt` and `courier` packages. What does not belong here: what a mail says (`parse`).

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::domain::time::since;
use crate::domain::{Problem, SourceError, Timestamp};
use crate::io::clock;

/// Bytes of one mail that are looked at; a report stands at its beginning, attachments behind it.
pub const MAIL: usize = 256 << 10;
/// Mails of one look; the newest, where there are more.
pub const AT_ONCE: usize = 500;
/// Names of a maildir that are remembered.
const NAMES: usize = 100_000;
/// Bytes of an mbox read in one look.
const BOX: u64 = 32 << 20;
/// Bytes before the place that was read to, by which a rewritten mbox is known.
const MARK: u64 = 64;
/// A lock file older than this was left behind.
const LEFT_BEHIND: Duration = Duration::from_mins(10);
/// An mbox that was written to so lately may end within a mail.
const SETTLED: Duration = Duration::from_secs(2);

/// One mail, cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// When it came, as far as its place tells.
    pub came: Option<Timestamp>,
    /// Its beginning.
    pub bytes: Vec<u8>,
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Found {
    /// Oldest first.
    pub mails: Vec<Mail>,
    /// Those that were there and not looked at, for want of room.
    pub skipped: u64,
    /// Whether it may hold mails that were looked at before.
    pub looked_back: bool,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// How far a place was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    begun: bool,
    /// Of a maildir: the names that were there.
    names: HashSet<String>,
    /// Of an mbox: how far, and the bytes before that.
    offset: u64,
    mark: Vec<u8>,
}

fn moment(time: SystemTime) -> Option<Timestamp> {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Timestamp::from_timestamp(i64::try_from(seconds).ok()?, 0)
}

fn failed(path: &Path, error: &io::Error) -> SourceError {
    let name = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => SourceError::missing(format!("{name} is not there"), "check `path`: a maildir or an mbox"),
        io::ErrorKind::PermissionDenied => SourceError::auth(format!("{name} may not be read"), "let this user read it, for example by its group"),
        _ => SourceError::protocol(format!("{name}: {error}")),
    }
}

/// Looks at a place once.
///
/// # Errors
/// When there is nothing to look at, or it may not be read.
pub fn look(path: &Path, memory: &mut Memory) -> Result<Found, SourceError> {
    let metadata = fs::metadata(path).map_err(|error| failed(path, &error))?;
    let found = if metadata.is_dir() {
        if !path.join("new").is_dir() && !path.join("cur").is_dir() {
            return Err(SourceError::config(format!("{} is a directory and no maildir", path.display()), "a maildir has `new` and `cur`; name it, or an mbox"));
        }
        maildir(path, memory)?
    } else if metadata.is_file() {
        mbox(path, &metadata, memory)?
    } else {
        return Err(SourceError::config(format!("{} is neither a file nor a directory", path.display()), "name a maildir or an mbox"));
    };
    memory.begun = true;
    Ok(found)
}

fn maildir(path: &Path, memory: &mut Memory) -> Result<Found, SourceError> {
    let mut found = Found { looked_back: !memory.begun, ..Found::default() };
    let mut there = HashSet::new();
    let mut new: Vec<(SystemTime, PathBuf)> = Vec::new();
    for part in ["new", "cur"] {
        let folder = path.join(part);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&folder, &error)),
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || there.len() >= NAMES {
                continue;
            }
            let unique = name.split(':').next().unwrap_or(&name).to_owned();
            // One that vanishes meanwhile was moved or removed: it is met again under its other name, or not at all.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() && !memory.names.contains(&unique) && !there.contains(&unique) {
                new.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
            }
            there.insert(unique);
        }
    }
    memory.names = there;
    new.sort();
    found.skipped = new.len().saturating_sub(AT_ONCE) as u64;
    for (modified, path) in new.into_iter().skip(found.skipped as usize) {
        match beginning(&path) {
            Ok(bytes) => found.mails.push(Mail { came: moment(modified), bytes }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Read by somebody just now: its flags are in its name. The next look meets it.
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                memory.names.remove(name.split(':').next().unwrap_or(&name));
            }
            Err(error) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found.problems.push(Problem { subject: name, message: error.to_string() });
            }
        }
    }
    Ok(found)
}

fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAIL as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn mbox(path: &Path, metadata: &fs::Metadata, memory: &mut Memory) -> Result<Found, SourceError> {
    let lock = PathBuf::from(format!("{}.lock", path.display()));
    let age = |time: io::Result<SystemTime>| time.ok().and_then(moment).map_or(Duration::ZERO, |time| since(time, clock::now()));
    if fs::metadata(&lock).is_ok_and(|lock| age(lock.modified()) < LEFT_BEHIND) {
        // Whoever delivers writes just now: the next look is soon enough.
        return Ok(Found { looked_back: !memory.begun, ..Found::default() });
    }
    let error = |error: io::Error| failed(path, &error);
    let mut file = File::open(path).map_err(error)?;
    let length = metadata.len();
    let mut found = Found { looked_back: !memory.begun, ..Found::default() };
    let mark = marked(&mut file, memory.offset).unwrap_or_default();
    if length < memory.offset || mark != memory.mark {
        // A mail program wrote it anew: the book knows what it has counted.
        (memory.offset, memory.mark, found.looked_back) = (0, Vec::new(), true);
    }
    let mut from = memory.offset;
    if length - from > BOX {
        from = length - BOX;
        found.skipped = 1;
    }
    file.seek(SeekFrom::Start(from)).map_err(error)?;
    let mut bytes = Vec::new();
    (&mut file).take(BOX).read_to_end(&mut bytes).map_err(error)?;
    let mut starts: Vec<usize> = Vec::new();
    for at in memchr::memmem::find_iter(&bytes, b"From ") {
        // At the very beginning, or after an empty line.
        let begins = at == 0 && (from == memory.offset) || bytes[..at].ends_with(b"\n\n") || bytes[..at].ends_with(b"\r\n\r\n") || at == 1 && bytes[0] == b'\n';
        if begins {
            starts.push(at);
        }
    }
    if from == 0 && !bytes.is_empty() && starts.first() != Some(&0) {
        return Err(SourceError::config(
            format!("{} is no mbox: it does not begin with \"From \"", path.display()),
            "name a maildir or an mbox; a log is [site.NAME.log.NAME]",
        ));
    }
    let whole = age(metadata.modified()) >= SETTLED;
    let mut ends: Vec<usize> = starts.iter().skip(1).copied().collect();
    // The last one may still be written to.
    if whole && !starts.is_empty() {
        ends.push(bytes.len());
    }
    let mails: Vec<(usize, usize)> = starts.into_iter().zip(ends).collect();
    found.skipped += mails.len().saturating_sub(AT_ONCE) as u64;
    for (start, end) in mails.iter().skip(mails.len().saturating_sub(AT_ONCE)) {
        let text = &bytes[*start..(*end).min(start + MAIL)];
        let body = memchr::memchr(b'\n', text).map_or(&[][..], |line| &text[line + 1..]);
        found.mails.push(Mail { came: None, bytes: unquoted(body) });
    }
    if let Some((_, end)) = mails.last() {
        memory.offset = from + *end as u64;
        memory.mark = marked(&mut file, memory.offset).unwrap_or_default();
    }
    Ok(found)
}

/// The bytes before a place.
fn marked(file: &mut File, offset: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset.saturating_sub(MARK)))?;
    let mut mark = Vec::new();
    file.take(offset.min(MARK)).read_to_end(&mut mark)?;
    Ok(mark)
}

/// `>From ` at the beginning of a line is `From `.
fn unquoted(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let quotes = line.iter().take_while(|byte| **byte == b'>').count();
        out.extend_from_slice(if quotes > 0 && line[quotes..].starts_with(b"From ") { &line[1..] } else { line });
    }
    out
}
