//! One thread follows the files of all log sources of the process: it waits for the system's notices, reads what came, and
//! delivers at most one batch each 100 ms to each source. Where the system gives no notices it looks four times a second.
//!
//! Why inotify directly and not a watching crate: the thread needs one wait for notices, time and its own control; a crate
//! brings a second thread and a channel between. Network file systems give no notices: a file that is twice found changed
//! without one is looked at by the clock from then on.
//!
//! What does not belong here: what the bytes mean (`digest`), following a command (`command`).

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::digest::{Stream, Wait};
use super::tally::Tally;
use super::{Delivery, Memory, Settings};
use crate::domain::{LogMark, LogNotice, Problem, SourceError, Timestamp};
use crate::io::back::{is_archive, is_packed};
use crate::io::clock;
use crate::io::tail::{self, Begin, Step, Tail, TailError};
use crate::io::watch::{Waker, Watch, Woken};

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
/// Files of one source.
const FILES: usize = 256;
/// Bytes read of one file before the others have their turn.
const TURN: usize = 4 << 20;
/// The rest after something was read, so that lines gather.
const GATHER: Duration = Duration::from_millis(20);
/// How often files are looked at without a notice, where there are notices and where there are none.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_BLIND: Duration = Duration::from_millis(250);
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

/// Stops the following when dropped.
#[derive(Debug)]
pub struct Handle(Waker);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.wake();
    }
}

#[derive(Debug)]
struct Desk {
    orders: Arc<Mutex<Vec<Order>>>,
    waker: Waker,
}

static DESK: Mutex<Option<Desk>> = Mutex::new(None);

/// Begins to follow. The thread is started with the first order.
///
/// # Errors
/// When the system gives no thread or file descriptor.
pub fn follow(order: Order) -> Result<Handle, SourceError> {
    let mut desk = DESK.lock().unwrap_or_else(PoisonError::into_inner);
    let desk = match &mut *desk {
        Some(desk) => desk,
        none => {
            let failed = |error: std::io::Error| SourceError::config(format!("files cannot be followed: {error}"), "raise the limit of open files (ulimit -n)");
            let (watch, waker) = Watch::new().map_err(failed)?;
            let orders = Arc::new(Mutex::new(Vec::new()));
            let taken = Arc::clone(&orders);
            std::thread::Builder::new().name("rounds-log".to_owned()).spawn(move || work(watch, &taken)).map_err(failed)?;
            none.insert(Desk { orders, waker })
        }
    };
    desk.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
    desk.waker.wake();
    Ok(Handle(desk.waker.clone()))
}

/// The thread.
fn work(mut watch: Watch, orders: &Mutex<Vec<Order>>) {
    let mut followers: Vec<Follower> = Vec::new();
    let mut scratch = vec![0; 256 << 10];
    let mut woken = Woken::default();
    let mut next_look = Instant::now();
    loop {
        let now = Instant::now();
        let new: Vec<Order> = std::mem::take(&mut *orders.lock().unwrap_or_else(PoisonError::into_inner));
        for order in new {
            followers.push(Follower::new(order, now));
        }
        let before = followers.len();
        let look = now >= next_look;
        let mut more = false;
        let mut read = false;
        let mut due: Option<Instant> = None;
        followers.retain_mut(|follower| {
            // A fault in one must not end the following of the others.
            let turn = std::panic::catch_unwind(AssertUnwindSafe(|| follower.turn(&mut watch, &mut scratch, &woken, look, now)));
            let turn = turn.unwrap_or_else(|_| {
                let _ = follower.order.to.try_send(Err(SourceError::protocol("following the log crashed; it is begun anew")));
                None
            });
            let Some(turn) = turn else { return false };
            more |= turn.more;
            read |= turn.read;
            due = [due, turn.due].into_iter().flatten().min();
            true
        });
        if followers.len() < before {
            // Watches of what nobody follows any more would wake us for nothing.
            watch.clear();
            for follower in &followers {
                follower.watch(&mut watch);
            }
        }
        if look {
            let blind = !watch.has_notices() || followers.iter().any(Follower::is_untold);
            next_look = now + if blind { LOOK_BLIND } else { LOOK };
        }
        if more {
            woken = watch.wait(Some(Duration::ZERO));
            continue;
        }
        if read {
            std::thread::sleep(GATHER);
        }
        let until = if followers.is_empty() { None } else { Some(due.map_or(next_look, |due| due.min(next_look))) };
        woken = watch.wait(until.map(|until| until.saturating_duration_since(Instant::now())));
    }
}

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

#[derive(Debug, Default)]
struct Turn {
    more: bool,
    read: bool,
    due: Option<Instant>,
}

#[derive(Debug)]
struct Follower {
    order: Order,
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
}

impl Follower {
    fn new(order: Order, now: Instant) -> Self {
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
        }
    }

    fn is_untold(&self) -> bool {
        self.watched.iter().any(|watched| watched.untold >= 2)
    }

    fn watch(&self, watch: &mut Watch) {
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
                streams.insert(number, Stream::new(file, tail.begins_within()).at(id, offset));
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

    /// One turn; `None`: it is over.
    fn turn(&mut self, watch: &mut Watch, scratch: &mut [u8], woken: &Woken, look: bool, now: Instant) -> Option<Turn> {
        if self.order.to.is_closed() {
            return None;
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
                    permit.send(Ok(Delivery {
                        batch: self.tally.take(&self.files, seen),
                        problems: problems.clone(),
                        memory: memory(&self.watched, &self.files),
                    }));
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
        let mut position = watched.tail.position()?.clone();
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
        Step::Appeared(number, id) => {
            renewed = true;
            streams.insert(number, Stream::new(file, false).at(id, 0));
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
