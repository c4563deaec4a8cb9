//! Follows the files of one source: waits for the system's notices, reads what came, and delivers at most one batch each 100 ms.
//! Where the system gives no notices it looks four times a second.
//!
//! Why inotify directly and not a watching crate: the thread needs one wait for notices, time and its own control; a crate
//! brings a second thread and a channel between. Network file systems give no notices: a file that is twice found changed
//! without one is looked at by the clock from then on.
//!
//! What does not belong here: what the bytes mean (`digest`), the thread that all of this runs on (`desk`), following a command (`command`).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::digest::{Stream, Wait};
use super::tally::Tally;
use super::{Delivery, Memory, Settings, head, stamp};
use crate::domain::{LogFile, LogMark, LogNotice, Problem, SourceError, Timestamp};
use crate::io::back::{self, is_archive, is_packed};
use crate::io::clock;
use crate::io::tail::{self, Begin, Step, Tail, TailError};
use crate::io::watch::{Watch, Woken};

/// Lines from before our start.
pub const LAST_LINES: usize = 1_000;
/// Events of the first batch, and of later ones.
pub const FIRST_EVENTS: usize = 1_000;
/// Events of later batches.
pub const EVENTS: usize = 200;
/// The shortest time between two batches of one source.
pub const BATCH_EVERY: Duration = Duration::from_millis(100);
/// The longest time without a batch, which then says that nothing came.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often the files are told of, and of how many.
const ABOUT_EVERY: Duration = Duration::from_secs(30);
const ABOUT: usize = 64;
/// Files of one source.
const FILES: usize = 256;
/// Bytes read of one file before the others have their turn.
const TURN: usize = 4 << 20;
/// The rest after something was read, so that lines gather.
pub const GATHER: Duration = Duration::from_millis(20);
/// How often files are looked at without a notice, where there are notices and where there are none.
pub const LOOK: Duration = Duration::from_secs(1);
pub const LOOK_BLIND: Duration = Duration::from_millis(250);
/// How often globs are expanded without a notice.
const EXPAND: Duration = Duration::from_secs(5);
/// How long an error is waited on for its traceback, and a traceback for its end.
const SHORT: Duration = Duration::from_millis(40);
const LONG: Duration = Duration::from_secs(1);
/// How long no file at all may be there before the source says so.
const NOTHING: Duration = Duration::from_secs(3);

/// What the thread is asked to follow.
#[derive(Debug)]
pub struct Order {
    /// Absolute, or below `base`.
    pub patterns: Vec<String>,
    /// Relative patterns are below it.
    pub base: PathBuf,
    /// How lines are read.
    pub settings: Settings,
    /// Where an earlier following of the same source ended.
    pub memory: Memory,
    /// Where batches go.
    pub to: mpsc::Sender<Result<Delivery, SourceError>>,
}

/// The name of a file that hangs in tests.
#[cfg(test)]
pub const HANGS: &str = "hangs.log";

#[derive(Debug)]
struct Watched {
    tail: Tail,
    file: u16,
    /// By number of the tail's file.
    streams: HashMap<u64, Stream>,
    /// Something changed, or there is more to read.
    dirty: bool,
    /// When bytes last came.
    last_read: Instant,
    /// Times in a row that the clock found what no notice told.
    untold: u8,
    /// A file that was not there at the first look is told as a problem; one from a glob that goes is not.
    named: bool,
}

/// What came of a turn.
#[derive(Debug, Default)]
pub struct Turn {
    /// There is more to read at once.
    pub more: bool,
    /// Something was read.
    pub read: bool,
    /// When the next turn is due at the latest.
    pub due: Option<Instant>,
}

/// The following of one source.
#[derive(Debug)]
pub struct Follower {
    /// What was asked.
    pub order: Order,
    tally: Tally,
    watched: Vec<Watched>,
    files: Vec<String>,
    /// Names that mean a file which is read under another name.
    aliases: HashMap<PathBuf, (u64, u64)>,
    globs: Vec<glob::Pattern>,
    expand_at: Instant,
    problems: Vec<Problem>,
    told: Vec<Problem>,
    begun: Instant,
    first: bool,
    last_sent: Option<Instant>,
    nothing_since: Option<Instant>,
    /// When the files were last told of.
    about_at: Option<Instant>,
    /// Names that were seen to be rotated.
    rotated: HashSet<u16>,
}

impl Follower {
    /// Nothing read yet.
    pub fn new(order: Order, now: Instant) -> Self {
        let globs = order.patterns.iter().filter(|pattern| tail::is_glob(pattern));
        let globs = globs.filter_map(|pattern| glob::Pattern::new(&order.base.join(pattern).to_string_lossy()).ok()).collect();
        let mut tally = Tally::new(order.settings.clone(), FIRST_EVENTS);
        if !order.memory.begun {
            tally.look_back();
        }
        let files = order.memory.files.clone();
        Self {
            order,
            tally,
            watched: Vec::new(),
            files,
            aliases: HashMap::new(),
            globs,
            expand_at: now,
            problems: Vec::new(),
            told: Vec::new(),
            begun: now,
            first: true,
            last_sent: None,
            nothing_since: None,
            about_at: None,
            rotated: HashSet::new(),
        }
    }

    /// Whether a file changed twice without a notice.
    pub fn is_untold(&self) -> bool {
        self.watched.iter().any(|watched| watched.untold >= 2)
    }

    /// Has its files watched.
    pub fn watch(&self, watch: &mut Watch) {
        for watched in &self.watched {
            watch_one(watch, watched.tail.path());
        }
        for pattern in &self.order.patterns {
            if tail::is_glob(pattern)
                && let Some(parent) = self.order.base.join(pattern).parent()
                && !tail::is_glob(&parent.to_string_lossy())
            {
                watch.directory(parent);
            }
        }
    }

    /// Looks for files. New names are followed from their beginning, those of the first look from their last lines.
    fn expand(&mut self, watch: &mut Watch, now: Instant) {
        let mut problems = Vec::new();
        let mut found: Vec<(PathBuf, bool)> = Vec::new();
        for pattern in &self.order.patterns {
            let (files, errors) = tail::expand(&self.order.base, pattern, 4 * FILES);
            let named = !tail::is_glob(pattern);
            found.extend(files.into_iter().map(|file| (file, named)));
            problems.extend(errors.iter().map(|error| problem(pattern, error)));
        }
        let names: Vec<PathBuf> = found.iter().map(|(path, _)| path.clone()).collect();
        found.retain(|(path, named)| *named || !(is_packed(path) || names.iter().any(|live| is_archive(path, live))));
        // Those that a glob gave and that are gone are let go, once their last bytes are read.
        for (path, named) in found {
            if self.watched.iter().any(|watched| watched.tail.path() == path) {
                continue;
            }
            let id = tail::identity_of(&path);
            if let Some(id) = id {
                if self.aliases.get(&path) == Some(&id) {
                    continue;
                }
                if self.watched.iter().any(|watched| watched.tail.reads(id)) {
                    self.aliases.insert(path, id);
                    continue;
                }
            }
            if self.watched.len() >= FILES {
                // The least recently written of those that are gone make room; else it is told.
                if let Some(place) = self.watched.iter().position(|watched| !watched.named && !watched.tail.is_there()) {
                    self.watched.remove(place);
                } else {
                    problems.push(Problem { subject: path.display().to_string(), message: format!("not followed: more than {FILES} files match") });
                    break;
                }
            }
            let begin = match self.order.memory.positions.remove(&path) {
                Some(position) => Begin::At(position),
                None if self.first && !self.order.memory.begun => Begin::LastLines(LAST_LINES),
                None if self.watched.iter().any(|watched| watched.tail.is_copied_by(&tail::head_of(&path))) => Begin::End,
                None => Begin::Start,
            };
            let (tail, number) = Tail::new(path.clone(), &begin);
            let file = self.file(&path);
            let mut streams = HashMap::new();
            if let Some(number) = number {
                let (id, offset) = tail.position().map_or(((0, 0), 0), |at| (at.id, at.offset));
                let head = tail.position().map(|at| at.head.as_slice()).unwrap_or_default();
                streams.insert(number, Stream::new(file, tail.begins_within()).at(id, offset).beginning(head));
                if !self.first || self.order.memory.begun && matches!(begin, Begin::Start) {
                    self.tally.mark(LogMark { at: clock::now(), file, notice: LogNotice::Appeared });
                }
            }
            watch_one(watch, &path);
            self.watched.push(Watched { tail, file, streams, dirty: true, last_read: now, untold: 0, named });
        }
        self.problems = problems;
    }

    fn file(&mut self, path: &Path) -> u16 {
        let name = path.display().to_string();
        let place = self.files.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.files.push(name);
            self.files.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// What is known of the files beside their lines.
    fn about(&self, seen: Timestamp) -> Vec<LogFile> {
        let there = self.watched.iter().filter(|watched| watched.tail.is_there()).take(ABOUT);
        there
            .filter_map(|watched| {
                let facts = back::facts(watched.tail.path())?;
                let first = watched.tail.position().map(|at| at.head.as_slice()).unwrap_or_default();
                let stamped = head::read(first).and_then(|head| head.stamp).and_then(|span| first.get(span.start..span.start + span.len));
                let begins = stamped.and_then(|text| stamp::moment(text, self.order.settings.zone, seen)).or_else(|| facts.made.map(Timestamp::from));
                Some(LogFile {
                    file: watched.file,
                    format: self.tally.format_of(watched.file),
                    size_bytes: facts.size,
                    modified: facts.modified.map(Timestamp::from),
                    begins,
                    free_bytes: facts.free,
                    total_bytes: facts.total,
                    rotates: facts.neighbours || self.rotated.contains(&watched.file),
                })
            })
            .collect()
    }

    /// One turn; `None`: it is over.
    pub fn turn(&mut self, watch: &mut Watch, scratch: &mut [u8], woken: &Woken, look: bool, now: Instant) -> Option<Turn> {
        if self.order.to.is_closed() {
            return None;
        }
        #[cfg(test)]
        while self.order.patterns.iter().any(|pattern| pattern == HANGS) && self.order.base.join("hang").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut turn = Turn::default();
        if now >= self.expand_at || woken.all || woken.paths.iter().any(|path| self.globs.iter().any(|glob| glob.matches_path(path))) {
            if self.expand_at == self.begun {
                self.watch(watch);
            }
            self.expand(watch, now);
            self.expand_at = now + EXPAND;
        }
        let seen = clock::now();
        for watched in &mut self.watched {
            let told = woken.all || woken.paths.contains(watched.tail.path());
            if !(told || look || watched.dirty) {
                continue;
            }
            let (read, more) = poll_one(watched, &mut self.tally, scratch, watch, self.first, seen, now);
            if read && !told && !watched.dirty {
                watched.untold = watched.untold.saturating_add(1);
            } else if told {
                watched.untold = 0;
            }
            watched.dirty = more;
            turn.more |= more;
            turn.read |= read;
        }
        // What waits for more lines has waited long enough, or tells when it will have.
        let force = self.first && !turn.more;
        let mut wait_until = |at: Instant| turn.due = Some(turn.due.map_or(at, |due| due.min(at)));
        for watched in self.watched.iter_mut().filter(|watched| !watched.dirty) {
            for stream in watched.streams.values_mut() {
                let Some(wait) = stream.wait() else { continue };
                let until = watched.last_read
                    + match wait {
                        Wait::No => Duration::ZERO,
                        Wait::Short => SHORT,
                        Wait::Long => LONG,
                    };
                if force || now >= until {
                    stream.settle(seen, &mut self.tally);
                } else {
                    wait_until(until);
                }
            }
        }
        self.nothing_since = if self.watched.iter().any(|watched| watched.tail.is_there()) { None } else { Some(self.nothing_since.unwrap_or(now)) };
        let nothing = self.nothing_since.is_some_and(|since| self.first || now.duration_since(since) >= NOTHING);
        let problems = self.problems();
        let quiet = self.tally.is_empty() && problems == self.told;
        let due = match self.last_sent {
            // The first batch is whole, unless that takes too long.
            None if turn.more && now.duration_since(self.begun) < BATCH_EVERY * 2 => Some(now + BATCH_EVERY),
            None => None,
            Some(last) if !quiet || nothing => Some(last + BATCH_EVERY),
            Some(last) => Some(last + HEARTBEAT),
        };
        match due {
            Some(due) if due > now => wait_until(due),
            _ if nothing && self.tally.is_empty() => {
                let error = self.nothing();
                match self.order.to.try_send(Err(error)) {
                    Err(mpsc::error::TrySendError::Full(_)) => wait_until(now + BATCH_EVERY),
                    _ => return None,
                }
            }
            _ => match self.order.to.try_reserve() {
                Ok(permit) => {
                    let mut batch = self.tally.take(&self.files, seen);
                    self.rotated
                        .extend(batch.marks.iter().filter(|mark| matches!(mark.notice, LogNotice::Rotated | LogNotice::Truncated)).map(|mark| mark.file));
                    if self.about_at.is_none_or(|at| now.duration_since(at) >= ABOUT_EVERY) {
                        batch.about = self.about(seen);
                        self.about_at = Some(now);
                    }
                    permit.send(Ok(Delivery { batch, problems: problems.clone(), memory: memory(&self.watched, &self.files) }));
                    self.told = problems;
                    self.last_sent = Some(now);
                    self.first = false;
                    self.tally.set_limit(EVENTS);
                    wait_until(now + HEARTBEAT);
                }
                // Nobody takes it just now: counting goes on.
                Err(mpsc::error::TrySendError::Full(())) => wait_until(now + BATCH_EVERY),
                Err(mpsc::error::TrySendError::Closed(())) => return None,
            },
        }
        Some(turn)
    }

    fn problems(&self) -> Vec<Problem> {
        let tails = self.watched.iter().filter_map(|watched| {
            let error = watched.tail.error()?;
            let gone = matches!(error, TailError::Missing { .. }) && !watched.named;
            (!gone).then(|| problem(&watched.tail.path().display().to_string(), error))
        });
        self.problems.iter().cloned().chain(tails).collect()
    }

    /// Why there is nothing to read.
    fn nothing(&self) -> SourceError {
        let error = self.watched.iter().find_map(|watched| watched.tail.error());
        let mut error = match error {
            Some(error @ TailError::Denied { .. }) => SourceError::auth(error.to_string(), "let this user read it, for example by its group"),
            Some(error @ TailError::Kind { .. }) => SourceError::config(error.to_string(), "set `path` to the file that is written to"),
            Some(error @ TailError::Other { .. }) => SourceError::protocol(error.to_string()),
            Some(error @ TailError::Missing { .. }) if self.watched.len() == 1 => {
                SourceError::missing(error.to_string(), "check `path`; following begins when the file appears")
            }
            _ => match self.problems.first() {
                Some(problem) => SourceError::nothing(problem.message.clone(), "let this user read the directory"),
                None => {
                    SourceError::nothing(format!("no file matches {}", self.order.patterns.join(", ")), "check `path`; following begins when a file appears")
                }
            },
        };
        error.retry_after_s = Some(2);
        error
    }
}

fn memory(watched: &[Watched], files: &[String]) -> Memory {
    let positions = watched.iter().filter_map(|watched| {
        let mut position = watched.tail.known()?.clone();
        // What was read and has not become an event is read again.
        let held = watched.streams.values().map(Stream::held).max().unwrap_or(0) as u64;
        position.offset = position.offset.saturating_sub(held);
        Some((watched.tail.path().to_owned(), position))
    });
    Memory { begun: true, positions: positions.collect(), files: files.to_vec() }
}

fn problem(subject: &str, error: &TailError) -> Problem {
    Problem { subject: subject.to_owned(), message: error.to_string() }
}

fn watch_one(watch: &mut Watch, path: &Path) {
    watch.file(path);
    if let Some(parent) = path.parent() {
        watch.directory(parent);
    }
}

/// Looks at one file; whether something was read, and whether there is more.
fn poll_one(watched: &mut Watched, tally: &mut Tally, scratch: &mut [u8], watch: &mut Watch, first: bool, seen: Timestamp, now: Instant) -> (bool, bool) {
    let Watched { tail, streams, file, .. } = watched;
    let file = *file;
    let mut read = false;
    let mut renewed = false;
    // Lines that were there before us and name no time are as old as the file.
    let at = if first { tail::modified(tail.path()).map_or(seen, Timestamp::from) } else { seen };
    let mark = |tally: &mut Tally, notice| tally.mark(LogMark { at: seen, file, notice });
    let more = tail.poll(scratch, TURN, now, &mut |step| match step {
        Step::Bytes(number, bytes) => {
            read = true;
            streams.entry(number).or_insert_with(|| Stream::new(file, false)).feed(bytes, at, tally);
        }
        Step::Rotated(_, number, id) => {
            renewed = true;
            streams.insert(number, Stream::new(file, false).at(id, 0));
            mark(tally, LogNotice::Rotated);
        }
        Step::Truncated(number) => {
            if let Some(stream) = streams.get_mut(&number) {
                stream.end(seen, tally);
            }
            mark(tally, LogNotice::Truncated);
        }
        Step::Over(number) => {
            if let Some(mut stream) = streams.remove(&number) {
                stream.end(seen, tally);
            }
        }
        Step::Appeared(number, id, from) => {
            renewed = true;
            streams.insert(number, Stream::new(file, false).at(id, from));
            mark(tally, LogNotice::Appeared);
        }
        Step::Gone => mark(tally, LogNotice::Gone),
    });
    if read {
        watched.last_read = now;
    }
    if renewed {
        watch_one(watch, watched.tail.path());
    }
    // Between the look and the new watch something may have been written: look once more.
    (read, more || renewed)
}
