//! Follows one file by name through rename, copy and truncate, truncation, deletion and late creation, and expands globs.
//!
//! What does not belong here: what the bytes mean (`sources::log`), when to look (its thread).
//!
//! A file is known by device and inode, by how far it was read, and by its first bytes: a file that was truncated and has
//! grown past the old place again is told by its head. After a rename the old file is read on for a while, because its
//! writer may not have noticed yet.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes that tell a file from another under the same name.
const HEAD: usize = 64;
/// How long the name may be missing before the file counts as gone: between the rename and the new file of a rotation.
const MISSING: Duration = Duration::from_secs(2);
/// How long a renamed file is read on.
const LINGER: Duration = Duration::from_secs(30);
/// Renamed files that are read on at once.
const OLD: usize = 4;
/// How far back the beginning of the last lines is searched.
const BACK: u64 = 16 << 20;

/// Why a file cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// Nothing has this name.
    #[error("{path} is not there")]
    Missing {
        /// The name.
        path: String,
    },
    /// We may not read it.
    #[error("{path} may not be read by this user")]
    Denied {
        /// The name.
        path: String,
    },
    /// It is a directory, a pipe or a device.
    #[error("{path} is {what}, not a file")]
    Kind {
        /// The name.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// What the system said.
    #[error("{path} cannot be read: {reason}")]
    Other {
        /// The name.
        path: String,
        /// What the system said.
        reason: String,
    },
}

impl TailError {
    fn of(path: &Path, error: &io::Error) -> Self {
        let path = path.display().to_string();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing { path },
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            _ => Self::Other { path, reason: error.to_string() },
        }
    }
}

/// What came of looking at a file, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// More of the file with this number; a new number begins after `Rotated`.
    Bytes(u64, &'a [u8]),
    /// The name now means a new file: the number of the old one, which may still grow, and of the new one, with its device and inode.
    Rotated(u64, u64, (u64, u64)),
    /// The file is written anew from its beginning.
    Truncated(u64),
    /// The file with this number is over: nothing more comes of it.
    Over(u64),
    /// The name was missing and is there again: a file with this number, its device and inode, and from which byte on it is read.
    Appeared(u64, (u64, u64), u64),
    /// The name is gone.
    Gone,
}

/// Which file, and how far it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Device and inode.
    pub id: (u64, u64),
    /// Bytes read.
    pub offset: u64,
    /// The first bytes of the file.
    pub head: Vec<u8>,
}

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// With the last lines that are there.
    LastLines(usize),
    /// With all of it.
    Start,
    /// After all of it.
    End,
    /// Where an earlier look ended, if it is still the same file; else with all of it.
    At(Position),
}

#[derive(Debug)]
struct Open {
    file: File,
    number: u64,
    at: Position,
}

impl Open {
    fn new(path: &Path, number: u64) -> Result<Self, TailError> {
        let error = |error: &io::Error| TailError::of(path, error);
        regular(path, &fs::metadata(path).map_err(|e| error(&e))?)?;
        // A pipe that took the place of the file since must not make us wait for its writer.
        let flags = nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(|e| error(&e))?;
        let metadata = file.metadata().map_err(|e| error(&e))?;
        regular(path, &metadata)?;
        let mut open = Self { file, number, at: Position { id: identity(&metadata), offset: 0, head: Vec::new() } };
        open.learn_head().map_err(|e| error(&e))?;
        Ok(open)
    }

    fn read_head(&self) -> io::Result<Vec<u8>> {
        let mut head = vec![0; HEAD];
        let mut len = 0;
        while len < HEAD {
            match self.file.read_at(&mut head[len..], len as u64)? {
                0 => break,
                read => len += read,
            }
        }
        head.truncate(len);
        Ok(head)
    }

    fn learn_head(&mut self) -> io::Result<()> {
        self.at.head = self.read_head()?;
        Ok(())
    }

    /// Whether it still begins as it did.
    fn same_head(&mut self) -> io::Result<bool> {
        let head = self.read_head()?;
        let same = head.starts_with(&self.at.head);
        if same {
            self.at.head = head;
        }
        Ok(same)
    }

    /// Reads up to `budget` bytes; gives how much of it is left, 0 when there may be more.
    fn drain(&mut self, scratch: &mut [u8], mut budget: usize, sink: &mut impl FnMut(Step<'_>)) -> io::Result<usize> {
        while budget > 0 {
            let want = scratch.len().min(budget);
            let read = match self.file.read_at(&mut scratch[..want], self.at.offset) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.at.offset += read as u64;
            budget -= read;
            sink(Step::Bytes(self.number, &scratch[..read]));
        }
        Ok(budget)
    }
}

/// Follows one name.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    current: Option<Open>,
    old: Vec<(Open, Instant)>,
    missing_since: Option<Instant>,
    /// How far a file was read whose name went away with it, as when its file system is not there.
    last: Option<Position>,
    gone: bool,
    next_number: u64,
    /// How the file began before it was truncated: a copy of it begins so.
    before: Vec<u8>,
    /// Size and modification as of the last look, so that an unchanged file costs one call.
    seen: Option<(u64, i64, i64)>,
    error: Option<TailError>,
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn regular(path: &Path, metadata: &Metadata) -> Result<(), TailError> {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    let what = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(TailError::Kind { path: path.display().to_string(), what })
}

impl Tail {
    /// Follows `path`, which need not be there yet. Gives the file's number, if it is.
    pub fn new(path: PathBuf, begin: &Begin) -> (Self, Option<u64>) {
        let mut tail = Self {
            path,
            current: None,
            old: Vec::new(),
            missing_since: None,
            last: None,
            gone: false,
            next_number: 0,
            before: Vec::new(),
            seen: None,
            error: None,
        };
        let number = match tail.open(begin) {
            Ok(number) => Some(number),
            Err(error) => {
                tail.gone = true;
                tail.error = Some(error);
                tail.last = if let Begin::At(position) = begin { Some(position.clone()) } else { None };
                None
            }
        };
        (tail, number)
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why it cannot be read just now.
    pub fn error(&self) -> Option<&TailError> {
        self.error.as_ref()
    }

    /// Whether the name is there, or was a moment ago.
    pub fn is_there(&self) -> bool {
        !self.gone
    }

    /// Where the current file stands.
    pub fn position(&self) -> Option<&Position> {
        self.current.as_ref().map(|open| &open.at)
    }

    /// Where it stands, or stood when its name went away: it may come back.
    pub fn known(&self) -> Option<&Position> {
        self.position().or(self.last.as_ref())
    }

    fn id(&self) -> (u64, u64) {
        self.current.as_ref().map_or((0, 0), |open| open.at.id)
    }

    /// Whether this is one of the files that are being read under this name, perhaps renamed meanwhile.
    pub fn reads(&self, id: (u64, u64)) -> bool {
        self.current.iter().chain(self.old.iter().map(|(open, _)| open)).any(|open| open.at.id == id)
    }

    /// Whether a file that begins so is a copy of what was read under this name.
    pub fn is_copied_by(&self, head: &[u8]) -> bool {
        head.len() == HEAD && (self.before == head || self.current.as_ref().is_some_and(|open| open.at.head == head))
    }

    /// Whether the place of the current file was found with lines before it.
    pub fn begins_within(&self) -> bool {
        self.current.as_ref().is_some_and(|open| open.at.offset > 0)
    }

    fn open(&mut self, begin: &Begin) -> Result<u64, TailError> {
        let mut open = Open::new(&self.path, self.next_number)?;
        let error = |error: &io::Error| TailError::of(&self.path, error);
        let size = open.file.metadata().map_err(|e| error(&e))?.len();
        open.at.offset = match begin {
            Begin::End => size,
            Begin::LastLines(lines) => last_lines(&open.file, size, *lines).map_err(|e| error(&e))?,
            Begin::At(before) if before.id == open.at.id && before.offset <= size && open.at.head.starts_with(&before.head) => before.offset,
            Begin::Start | Begin::At(_) => 0,
        };
        self.next_number += 1;
        let number = open.number;
        self.current = Some(open);
        self.seen = None;
        Ok(number)
    }

    /// Looks once. Gives whether there is more to read at once. What cannot be read is told by [`Tail::error`].
    pub fn poll(&mut self, scratch: &mut [u8], budget: usize, now: Instant, sink: &mut impl FnMut(Step<'_>)) -> bool {
        match self.look(scratch, budget, now, sink) {
            Ok(more) => more,
            Err(error) => {
                self.error = Some(error);
                false
            }
        }
    }

    fn look(&mut self, scratch: &mut [u8], budget: usize, now: Instant, sink: &mut impl FnMut(Step<'_>)) -> Result<bool, TailError> {
        let path = self.path.clone();
        let error = |error: &io::Error| TailError::of(&path, error);
        let mut budget = self.drain_old(scratch, budget, now, sink);
        if budget == 0 {
            return Ok(true);
        }
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => match regular(&path, &metadata) {
                Ok(()) => Ok(metadata),
                Err(kind) => Err((kind, true)),
            },
            Err(e) => Err((error(&e), e.kind() == io::ErrorKind::NotFound)),
        };
        let metadata = match metadata {
            Ok(metadata) => metadata,
            Err((reason, gone)) => {
                // The file itself may still be written to under another name.
                if let Some(open) = &mut self.current {
                    budget = open.drain(scratch, budget, sink).map_err(|e| error(&e))?;
                    if budget == 0 {
                        return Ok(true);
                    }
                }
                let since = *self.missing_since.get_or_insert(now);
                if gone && now.duration_since(since) < MISSING && self.current.is_some() {
                    return Ok(false);
                }
                if gone && !self.gone {
                    self.gone = true;
                    sink(Step::Gone);
                    if let Some(open) = self.current.take() {
                        // One that was removed does not come back: what has its number then is another.
                        self.last = open.file.metadata().is_ok_and(|metadata| metadata.nlink() > 0).then(|| open.at.clone());
                        self.retire(open, now, sink);
                    }
                }
                return Err(reason);
            }
        };
        self.missing_since = None;
        let renamed = self.current.as_ref().is_some_and(|open| open.at.id != identity(&metadata));
        if renamed && let Some(mut open) = self.current.take() {
            budget = open.drain(scratch, budget, sink).map_err(|e| error(&e))?;
            if budget == 0 {
                self.current = Some(open);
                return Ok(true);
            }
            let before = open.number;
            self.retire(open, now, sink);
            let number = self.open(&Begin::Start).inspect_err(|_| self.gone = true)?;
            sink(Step::Rotated(before, number, self.id()));
        } else if self.current.is_none() {
            // The same file again is read on where it was left, and by one reader only.
            if let Some(place) = self.old.iter().position(|(open, _)| open.at.id == identity(&metadata)) {
                let (open, _) = self.old.remove(place);
                sink(Step::Over(open.number));
                self.last = Some(open.at);
            }
            let begin = self.last.take().map_or(Begin::Start, Begin::At);
            let number = self.open(&begin)?;
            self.gone = false;
            let from = self.position().map_or(0, |at| at.offset);
            sink(Step::Appeared(number, self.id(), from));
        }
        self.error = None;
        self.gone = false;
        let Some(open) = &mut self.current else { return Ok(false) };
        let state = (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        if self.seen == Some(state) && open.at.offset == state.0 {
            return Ok(false);
        }
        let size = open.file.metadata().map_err(|e| error(&e))?.len();
        if size < open.at.offset || !open.same_head().map_err(|e| error(&e))? {
            open.at.offset = 0;
            self.before = std::mem::take(&mut open.at.head);
            open.learn_head().map_err(|e| error(&e))?;
            sink(Step::Truncated(open.number));
        }
        budget = open.drain(scratch, budget, sink).map_err(|e| error(&e))?;
        if open.at.head.len() < HEAD {
            open.same_head().map_err(|e| error(&e))?;
        }
        self.seen = Some(state);
        Ok(budget == 0)
    }

    /// Reads on what was renamed away; gives the rest of the budget.
    fn drain_old(&mut self, scratch: &mut [u8], mut budget: usize, now: Instant, sink: &mut impl FnMut(Step<'_>)) -> usize {
        self.old.retain_mut(|(open, until)| {
            budget = open.drain(scratch, budget, sink).unwrap_or(budget);
            let over = budget > 0 && now >= *until;
            if over {
                sink(Step::Over(open.number));
            }
            !over
        });
        budget
    }

    fn retire(&mut self, open: Open, now: Instant, sink: &mut impl FnMut(Step<'_>)) {
        if self.old.len() >= OLD {
            let (oldest, _) = self.old.remove(0);
            sink(Step::Over(oldest.number));
        }
        self.old.push((open, now + LINGER));
    }
}

/// Where the last lines begin, read backward from the end; a last line without an end counts.
fn last_lines(file: &File, size: u64, lines: usize) -> io::Result<u64> {
    let mut block = vec![0; 64 << 10];
    let mut end = size;
    let mut found = 0;
    while end > 0 && size - end < BACK {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        for at in memchr::memrchr_iter(b'\n', part) {
            let place = start + at as u64 + 1;
            if place == size {
                continue;
            }
            found += 1;
            if found == lines {
                return Ok(place);
            }
        }
        end = start;
    }
    if end == 0 {
        return Ok(0);
    }
    // The lines are very long: begin with the next one that is whole.
    let mut at = end;
    loop {
        let read = file.read_at(&mut block, at)?;
        match memchr::memchr(b'\n', &block[..read]) {
            Some(place) => return Ok(at + place as u64 + 1),
            None if read == 0 => return Ok(size),
            None => at += read as u64,
        }
    }
}

/// Whether a path has to be expanded.
#[must_use]
pub fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Device and inode of a name.
#[must_use]
pub fn identity_of(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| identity(&metadata))
}

/// When a file was last written.
#[must_use]
pub fn modified(path: &Path) -> Option<std::time::SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// The first bytes of a file, as many as tell it from others; empty when it cannot be read.
#[must_use]
pub fn head_of(path: &Path) -> Vec<u8> {
    Open::new(path, 0).map(|open| open.at.head).unwrap_or_default()
}

/// The files a pattern names, in the order of their names, at most `limit`; directories that cannot be read are left out and
/// told.
#[must_use]
pub fn expand(base: &Path, pattern: &str, limit: usize) -> (Vec<PathBuf>, Vec<TailError>) {
    let whole = base.join(pattern);
    if !is_glob(pattern) || fs::symlink_metadata(&whole).is_ok() {
        return (vec![whole], Vec::new());
    }
    // What stands before the pattern is a path as it is.
    let escaped =
        if Path::new(pattern).is_absolute() { pattern.to_owned() } else { format!("{}/{pattern}", glob::Pattern::escape(&base.display().to_string())) };
    let options = glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    let Ok(paths) = glob::glob_with(&escaped, options) else { return (files, errors) };
    for found in paths {
        match found {
            Ok(path) if path.is_file() => files.push(path),
            Ok(_) => {}
            Err(error) => errors.push(TailError::of(error.path(), error.error())),
        }
        if files.len() >= limit {
            break;
        }
    }
    (files, errors)
}

/// Whether a glob is one.
///
/// # Errors
/// What is wrong with it.
pub fn check_glob(pattern: &str) -> Result<(), String> {
    glob::Pattern::new(pattern).map(|_| ()).map_err(|error| error.msg.to_owned())
}
