//! Which files there are: by a pattern on this machine, or as a command tells of another. A folder of any size is gone through once,
//! and only the newest files of it are kept in memory.

use std::collections::{BTreeMap, BinaryHeap};
use std::fs::{self, DirEntry, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use regex::Regex;

use super::FileKind;
use crate::backups::tool;
use crate::domain::{Problem, SourceError, Timestamp};

/// Copies that are kept: more than are told, and than a median is of.
const KEPT: usize = 1_000;
/// Folders below folders.
const DEPTH: usize = 40;
/// Problems that are told one by one.
const TOLD: usize = 10;
/// Files of one dump in directory format.
const PARTS: usize = 1_000_000;
/// What a name says of its time counts against the folder's when it is so much older.
const OLDER: TimeDelta = TimeDelta::hours(26);

/// One file as the folder tells of it; ordered by time, then by path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File {
    /// When it was last written.
    pub at: Timestamp,
    /// Its path.
    pub path: PathBuf,
    /// Its size in bytes; `None`: what listed it does not tell.
    pub size: Option<u64>,
    /// The file system it is on, where it was looked at here.
    pub device: Option<u64>,
}

/// What the look gave.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The newest, oldest first.
    pub files: Vec<File>,
    /// How many there are in all.
    pub total: u64,
    /// How much they take.
    pub bytes: u64,
    /// The newest of each file system.
    pub by_device: BTreeMap<u64, File>,
    /// What can still be written where they are, in bytes, where it was looked at here.
    pub free: Option<u64>,
    /// Folders and files that could not be looked at.
    pub problems: Vec<Problem>,
}

/// Collects what is found.
#[derive(Default)]
struct Basket {
    newest: BinaryHeap<std::cmp::Reverse<File>>,
    found: Found,
    unseen: usize,
}

impl Basket {
    fn put(&mut self, file: File) {
        self.found.total += 1;
        self.found.bytes = self.found.bytes.saturating_add(file.size.unwrap_or(0));
        if let Some(device) = file.device
            && self.found.by_device.get(&device).is_none_or(|newest| *newest < file)
        {
            self.found.by_device.insert(device, file.clone());
        }
        if self.newest.len() < KEPT {
            self.newest.push(std::cmp::Reverse(file));
        } else if let Some(mut oldest) = self.newest.peek_mut()
            && oldest.0 < file
        {
            *oldest = std::cmp::Reverse(file);
        }
    }

    fn unseen(&mut self, path: &Path, error: &std::io::Error) {
        self.unseen += 1;
        if self.found.problems.len() < TOLD {
            self.found.problems.push(Problem { subject: path.display().to_string(), message: error.to_string() });
        }
    }

    /// What was collected; times as the names tell where the folder's are younger.
    fn found(mut self, zone: Option<Tz>) -> Found {
        if self.unseen > TOLD {
            self.found.problems.push(Problem { subject: "path".to_owned(), message: format!("{} more could not be looked at", self.unseen - TOLD) });
        }
        let mut files: Vec<File> = self.newest.into_iter().map(|file| file.0).collect();
        for file in &mut files {
            if let Some(at) = dated(&file.path, zone).filter(|at| *at + OLDER < file.at) {
                file.at = at;
            }
        }
        files.sort_unstable();
        Found { files, ..self.found }
    }
}

/// Where to look.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    /// Absolute, or as the other machine understands it.
    pub pattern: String,
    /// What the files are said to be: a dump may be a folder.
    pub kind: FileKind,
    /// Lists them elsewhere.
    pub command: Option<Vec<String>>,
    /// Bounds the command.
    pub timeout: Duration,
    /// Where times in names are of; UTC when not known.
    pub zone: Option<Tz>,
}

/// Ends the look when the poll that wanted it is dropped.
pub(super) struct StopOnDrop(pub std::sync::Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Listing {
    /// Looks.
    pub(super) async fn files(&self) -> Result<Found, SourceError> {
        if let Some(argv) = &self.command {
            return self.told(argv).await;
        }
        let (pattern, kind, zone) = (self.pattern.clone(), self.kind, self.zone);
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let _guard = StopOnDrop(std::sync::Arc::clone(&stop));
        let look = tokio::task::spawn_blocking(move || here(&pattern, kind, zone, &stop));
        look.await.map_err(|_| SourceError::protocol("the look at the folder broke off"))?
    }

    async fn told(&self, argv: &[String]) -> Result<Found, SourceError> {
        let program = tool::program(argv.to_vec(), &[]);
        let output = tool::run(&program, self.timeout).await?;
        if !output.ending.success() {
            let message = format!("{}: {}: {}", program.tool(), output.ending, output.last_error_line());
            let message = message.trim_end_matches([':', ' ']);
            return Err(SourceError::missing(message, "run the command by hand as this user and look what it says"));
        }
        let (pattern, zone) = (self.pattern.clone(), self.zone);
        let read = tokio::task::spawn_blocking(move || lines(&output.stdout_text(), &pattern, zone));
        read.await.map_err(|_| SourceError::protocol("what the command listed could not be read"))
    }
}

/// Reads `seconds bytes name` lines, or records that end with a NUL, whose names may hold anything; those that are not so are told as a
/// problem.
pub(super) fn lines(text: &str, pattern: &str, zone: Option<Tz>) -> Found {
    let wanted = glob::Pattern::new(pattern).ok();
    let mut basket = Basket::default();
    let mut odd = 0;
    let records: Box<dyn Iterator<Item = &str>> =
        if text.contains('\0') { Box::new(text.split('\0')) } else { Box::new(text.lines().map(|line| line.trim_end_matches('\r'))) };
    for line in records.map(str::trim_start).filter(|line| !line.is_empty()) {
        let mut parts = line.splitn(3, [' ', '\t']);
        let read = (|| {
            let seconds: f64 = parts.next()?.parse().ok()?;
            let size = parts.next()?.parse().ok()?;
            let path = PathBuf::from(parts.next().filter(|name| !name.is_empty())?);
            let at = DateTime::<Utc>::from_timestamp(seconds as i64, 0)?;
            Some(File { at, path, size: Some(size), device: None })
        })();
        match read.or_else(|| listed_by_dbbackup(line, zone)) {
            Some(file) => {
                let name = file.path.file_name().unwrap_or_default().to_string_lossy();
                let named = wanted.as_ref().is_none_or(|w| w.matches_path(&file.path) || w.matches(&name));
                if named && !is_companion(&name, pattern) {
                    basket.put(file);
                }
            }
            None if line.split_whitespace().eq(["Name", "Datetime"]) => {}
            None => odd += 1,
        }
    }
    let mut found = basket.found(zone);
    if odd > 0 {
        found.problems.push(Problem { subject: "command".to_owned(), message: format!("{odd} lines are not `seconds bytes name`") });
    }
    found
}

/// A line of django-dbbackup's `manage.py listbackups`: the name, padded, and its time as the locale writes it. The time in the name is
/// read where there is one, since it has four digits of the year; both are of the project's zone. It tells no size.
fn listed_by_dbbackup(line: &str, zone: Option<Tz>) -> Option<File> {
    let mut parts = line.trim_end().rsplitn(3, char::is_whitespace);
    let (time, date) = (parts.next()?, parts.next()?);
    let path = PathBuf::from(parts.next()?.trim_end());
    let told = chrono::NaiveDateTime::parse_from_str(&format!("{date} {time}"), "%m/%d/%y %H:%M:%S").ok()?;
    let at = dated(&path, zone).or_else(|| moment(told, zone))?;
    Some(File { at, path, size: None, device: None })
}

/// What django-dbbackup writes beside a dump.
fn is_companion(name: &str, pattern: &str) -> bool {
    name.ends_with(".metadata") && !pattern.ends_with(".metadata")
}

/// The date and the time of day in a name, as django-dbbackup and most scripts write them: `2026-11-20-044315`, `20261120T044315`.
fn dated(path: &Path, zone: Option<Tz>) -> Option<Timestamp> {
    static STAMP: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?:^|[^0-9])(20[0-9]{2})-?([0-9]{2})-?([0-9]{2})[-_T]?([0-9]{2})[:-]?([0-9]{2})[:-]?([0-9]{2})(?:[^0-9]|$)").ok());
    let name = path.file_name()?.to_str()?;
    let found = STAMP.as_ref()?.captures(name)?;
    let number = |at: usize| found.get(at).and_then(|part| part.as_str().parse::<u32>().ok());
    let date = NaiveDate::from_ymd_opt(number(1)?.cast_signed(), number(2)?, number(3)?)?.and_hms_opt(number(4)?, number(5)?, number(6)?)?;
    moment(date, zone)
}

/// A date and a time of day in a zone; in UTC where that is not known.
fn moment(date: chrono::NaiveDateTime, zone: Option<Tz>) -> Option<Timestamp> {
    match zone {
        Some(zone) => zone.from_local_datetime(&date).earliest().map(|at| at.with_timezone(&Utc)),
        None => Some(date.and_utc()),
    }
}

/// A part of a pattern between slashes.
enum Part {
    Literal(String),
    Pattern(glob::Pattern),
    Any,
}

/// The directory that a pattern begins with, and the rest in parts.
fn parts(pattern: &str) -> Result<(PathBuf, Vec<Part>), SourceError> {
    let odd = |error: glob::PatternError| SourceError::config(format!("the pattern is not right: {}", error.msg), "mend `path`");
    let mut base = PathBuf::from(if pattern.starts_with('/') { "/" } else { "." });
    let mut rest = Vec::new();
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if part == "**" {
            rest.push(Part::Any);
        } else if part.contains(['*', '?', '[']) {
            rest.push(Part::Pattern(glob::Pattern::new(part).map_err(odd)?));
        } else if rest.is_empty() {
            base.push(part);
        } else {
            rest.push(Part::Literal(part.to_owned()));
        }
    }
    if matches!(rest.last(), Some(Part::Any)) {
        rest.push(Part::Pattern(glob::Pattern::new("*").map_err(odd)?));
    }
    Ok((base, rest))
}

/// The directory that a pattern begins with.
pub(super) fn base_of(pattern: &str) -> PathBuf {
    let (base, rest) = parts(pattern).unwrap_or_default();
    if rest.is_empty() { base.parent().map_or_else(PathBuf::new, Path::to_path_buf) } else { base }
}

/// What can still be written on the disk of a folder.
fn free(folder: &Path) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(folder).ok()?;
    #[expect(clippy::useless_conversion, reason = "the counts are 32 bits wide on other systems")]
    let (blocks, size) = (u64::from(disk.blocks_available()), u64::from(disk.fragment_size()));
    Some(blocks.saturating_mul(size))
}

struct Walk<'a> {
    basket: Basket,
    kind: FileKind,
    pattern: &'a str,
    stop: &'a AtomicBool,
}

/// Goes through the folders.
pub(super) fn here(pattern: &str, kind: FileKind, zone: Option<Tz>, stop: &AtomicBool) -> Result<Found, SourceError> {
    let (base, rest) = parts(pattern)?;
    let mut walk = Walk { basket: Basket::default(), kind, pattern, stop };
    walk.dive(base.clone(), &rest, 0);
    let mut found = walk.basket.found(zone);
    found.free = free(if rest.is_empty() { base.parent().unwrap_or(&base) } else { &base });
    if stop.load(Ordering::Relaxed) {
        return Err(SourceError::protocol("the look at the folder broke off"));
    }
    if found.files.is_empty() && !found.problems.is_empty() {
        let problem = found.problems.swap_remove(0);
        return Err(SourceError::missing(
            format!("the copies cannot be read: {}: {}", problem.subject, problem.message),
            "give this user the right to read the folder",
        ));
    }
    Ok(found)
}

impl Walk<'_> {
    fn dive(&mut self, at: PathBuf, rest: &[Part], depth: usize) {
        let Some((part, deeper)) = rest.split_first() else {
            // No pattern is left: it is one file.
            match fs::metadata(&at) {
                Ok(meta) => self.take(at, &meta),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => self.basket.unseen(&at, &error),
            }
            return;
        };
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        if depth > DEPTH {
            return self.basket.unseen(&at, &std::io::Error::other(format!("it lies more than {DEPTH} folders deep")));
        }
        if let Part::Literal(name) = part {
            return self.dive(at.join(name), deeper, depth + 1);
        }
        if matches!(part, Part::Any) {
            self.dive(at.clone(), deeper, depth + 1);
        }
        let entries = match fs::read_dir(&at) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return,
            Err(error) => return self.basket.unseen(&at, &error),
        };
        for entry in entries {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            match entry {
                Ok(entry) => self.one(&entry, part, rest, depth),
                Err(error) => self.basket.unseen(&at, &error),
            }
        }
    }

    fn one(&mut self, entry: &DirEntry, part: &Part, rest: &[Part], depth: usize) {
        let (name, sort) = (entry.file_name(), entry.file_type().ok());
        match part {
            Part::Literal(_) => {}
            // Links are not followed at any depth: they may lead in a circle.
            Part::Any => {
                if sort.is_some_and(|sort| sort.is_dir()) {
                    self.dive(entry.path(), rest, depth + 1);
                }
            }
            Part::Pattern(wanted) => {
                let name = name.to_string_lossy();
                if !wanted.matches(&name) {
                    return;
                }
                let is_link = sort.is_some_and(|sort| sort.is_symlink());
                if rest.len() > 1 {
                    if is_link || sort.is_some_and(|sort| sort.is_dir()) {
                        self.dive(entry.path(), &rest[1..], depth + 1);
                    }
                    return;
                }
                if is_companion(&name, self.pattern) {
                    return;
                }
                match if is_link { fs::metadata(entry.path()) } else { entry.metadata() } {
                    Ok(meta) => self.take(entry.path(), &meta),
                    // Removed meanwhile, or a link to nowhere.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => self.basket.unseen(&entry.path(), &error),
                }
            }
        }
    }

    fn take(&mut self, path: PathBuf, meta: &Metadata) {
        let at = |meta: &Metadata| meta.modified().map_or(DateTime::<Utc>::UNIX_EPOCH, DateTime::<Utc>::from);
        let device = Some(meta.dev());
        if meta.is_file() {
            if self.kind != FileKind::Directory {
                self.basket.put(File { at: at(meta), size: Some(meta.len()), path, device });
            }
        } else if meta.is_dir() {
            // A folder is a copy where it is one dump: its table of contents is written last.
            let table = fs::metadata(path.join("toc.dat"));
            if self.kind != FileKind::Directory && !(self.kind == FileKind::Auto && table.is_ok()) {
                return;
            }
            let (mut size, mut newest) = (0u64, at(meta));
            for part in fs::read_dir(&path).into_iter().flatten().flatten().take(PARTS) {
                if let Ok(part) = part.metadata() {
                    size = size.saturating_add(part.len());
                    newest = newest.max(at(&part));
                }
            }
            // A copied folder has the time of its copying; its table keeps its own where times are kept.
            let at = table.map_or(newest, |table| at(&table));
            self.basket.put(File { at, path, size: Some(size), device });
        }
    }
}
