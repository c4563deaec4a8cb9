//! The one thread that writes: gathers what is to be kept, writes it in short transactions, waits out a full disk.
//!
//! What does not belong here: what of a poll is kept (`keeping`), the form of series (`series`, `tiers`), other processes
//! (`follower`, `leases`).

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};

use super::book::{self, News};
use super::keeping;
use super::redact::Redactor;
use super::rows::{Item, Known, Ready};
use super::{FILE, Identity, Trouble, leases, store, sweep};
use crate::domain::{Acknowledgement, FindingId, SourceId, Timestamp, Transition};
use crate::state::msg::Polled;

/// Jobs between the program and the thread.
const QUEUE: usize = 4_096;
/// Items that wait for a transaction, also while the disk is full; beyond it the oldest go.
const PENDING: usize = 4_096;
/// So many items are written at once without waiting for the interval.
const BATCH: usize = 256;
/// Polls of one source that the follower brought and the writer must not write again.
const FOLLOWED: usize = 4;

/// Intervals; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuning {
    /// The longest a kept item waits for its transaction.
    pub(super) flush: Duration,
    /// First and longest wait after a failed write.
    pub(super) retry: (Duration, Duration),
    /// How often the follower looks.
    pub(super) look: Duration,
    /// How often a holder of leases renews them.
    pub(super) beat: Duration,
    /// How long a lease lives without.
    pub(super) lease: Duration,
    /// How often old history is removed; the first time a tenth of it after the start.
    pub(super) sweep: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            flush: Duration::from_millis(300),
            retry: (Duration::from_secs(1), Duration::from_secs(30)),
            look: Duration::from_millis(500),
            beat: Duration::from_secs(3),
            lease: Duration::from_secs(10),
            sweep: Duration::from_hours(1),
        }
    }
}

/// What the journal's threads know of each other.
#[derive(Debug)]
pub(super) struct Shared {
    /// This process's number in the file.
    pub(super) id: i64,
    pub(super) identity: Identity,
    pub(super) tuning: Tuning,
    trouble: Mutex<Option<(Trouble, Timestamp)>>,
    followed: Mutex<HashMap<SourceId, VecDeque<Timestamp>>>,
    lost: AtomicU64,
    tally: Tally,
    /// What another configuration says, until the thread takes it.
    anew: Mutex<Option<(Redactor, Duration)>>,
}

impl Shared {
    /// What is wrong now, and since when.
    pub(super) fn trouble(&self) -> Option<(Trouble, Timestamp)> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<Trouble>) {
        let mut held = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let since = held.as_ref().map_or_else(crate::io::clock::now, |(_, since)| *since);
        *held = trouble.map(|trouble| (trouble, since));
    }

    /// Remembers a poll that another process wrote.
    pub(super) fn note_followed(&self, source: &SourceId, at: Timestamp) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let times = followed.entry(source.clone()).or_default();
        if times.len() >= FOLLOWED {
            times.pop_front();
        }
        times.push_back(at);
    }

    fn was_followed(&self, polled: &Polled) -> bool {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).get(&polled.source).is_some_and(|times| times.contains(&polled.at))
    }

    /// Redacts and keeps by these from now on, also what waits already. Not a job: it must not be lost when the queue is full.
    pub(super) fn renew(&self, redactor: Redactor, keep: Duration) {
        *self.anew.lock().unwrap_or_else(PoisonError::into_inner) = Some((redactor, keep));
    }

    /// How the writing goes.
    pub(super) fn writes(&self) -> Writes {
        let moment = |at: &AtomicI64| Timestamp::from_timestamp_millis(at.load(Ordering::Relaxed)).filter(|at| at.timestamp_millis() != 0);
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let tally = &self.tally;
        Writes {
            transactions: count(&tally.transactions),
            failures: count(&tally.failures),
            lost: self.lost(),
            last: moment(&tally.written),
            waits: moment(&tally.waits),
        }
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }
}

/// Figures of the writing, for whoever watches it. Moments are milliseconds since the epoch, 0: none.
#[derive(Debug, Default)]
struct Tally {
    transactions: AtomicU64,
    failures: AtomicU64,
    written: AtomicI64,
    /// Since when something waits to be written.
    waits: AtomicI64,
}

/// How the writing goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Writes {
    /// Transactions so far.
    pub transactions: u64,
    /// Those that failed.
    pub failures: u64,
    /// What could not be kept: dropped for want of room, or not storable.
    pub lost: u64,
    /// When the last transaction was.
    pub last: Option<Timestamp>,
    /// Since when something waits for the next.
    pub waits: Option<Timestamp>,
}

/// One thing for the thread to do.
pub(super) enum Job {
    Poll(Box<Polled>, Option<Box<News>>),
    Transition(Transition),
    Acknowledgement(FindingId, Option<Acknowledgement>),
    Flush(SyncSender<()>),
    Purge(SyncSender<()>),
    #[cfg(test)]
    Run(Box<dyn FnOnce(&Connection) + Send>),
}

/// What was kept so far, on its way to the disk.
#[derive(Debug)]
pub struct Flushing(Receiver<()>);

impl Flushing {
    /// Waits until it is there, at most `limit`. Answers whether it is. Blocks.
    #[must_use]
    pub fn wait(self, limit: Duration) -> bool {
        self.0.recv_timeout(limit).is_ok()
    }
}

/// The sending side and the thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<SyncSender<Job>>,
    /// Ends when the thread does.
    ended: Mutex<Receiver<()>>,
}

impl Writer {
    /// Enters this process into the file and starts the thread.
    pub(super) fn start(
        dir: &Path,
        connection: Connection,
        redactor: Redactor,
        keep: Duration,
        identity: Identity,
        tuning: Tuning,
        now: Timestamp,
    ) -> Result<(Arc<Shared>, Self), store::StoreError> {
        let now_ms = now.timestamp_millis();
        connection.execute(
            "INSERT INTO processes (host, pid, user, started, beat) VALUES (?1, ?2, ?3, ?4, ?4)",
            params![identity.host, identity.pid, identity.user, now_ms],
        )?;
        let id = connection.last_insert_rowid();
        let shared = Arc::new(Shared {
            id,
            identity,
            tuning,
            trouble: Mutex::default(),
            followed: Mutex::default(),
            lost: AtomicU64::new(0),
            tally: Tally::default(),
            anew: Mutex::default(),
        });
        let (jobs, receiver) = mpsc::sync_channel(QUEUE);
        let (alive, ended) = mpsc::sync_channel(0);
        let thread = Thread {
            dir: dir.to_owned(),
            connection,
            redactor,
            keep,
            shared: shared.clone(),
            pending: VecDeque::new(),
            due: None,
            failures: 0,
            dead: false,
            next_sweep: Instant::now() + tuning.sweep / 10,
            known: Known::default(),
        };
        thread::Builder::new().name("journal".to_owned()).spawn(move || {
            thread.run(&receiver);
            drop(alive);
        })?;
        Ok((shared, Self { jobs: Some(jobs), ended: Mutex::new(ended) }))
    }

    /// Hands a job over without waiting.
    pub(super) fn send(&self, shared: &Shared, job: Job) {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok());
        if !sent {
            shared.lose(1);
        }
    }

    /// Asks for all that waits to be written, without waiting; the answer comes when it is.
    pub(super) fn flushing(&self) -> Flushing {
        let (done, wait) = mpsc::sync_channel(1);
        // With a full queue nobody answers, which is told as not written.
        if let Some(jobs) = &self.jobs {
            drop(jobs.try_send(Job::Flush(done)));
        }
        Flushing(wait)
    }

    /// Hands over a job that answers (made by `ask`) and waits for the answer.
    pub(super) fn ask(&self, ask: impl FnOnce(SyncSender<()>) -> Job, limit: Duration) -> bool {
        let (done, wait) = mpsc::sync_channel(1);
        let until = Instant::now() + limit;
        let Some(jobs) = &self.jobs else { return false };
        let mut job = ask(done);
        // The queue may be full for a moment.
        while let Err(TrySendError::Full(back)) = jobs.try_send(job) {
            if Instant::now() >= until {
                return false;
            }
            job = back;
            thread::sleep(Duration::from_millis(2));
        }
        wait.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Closing the channel is the sign to finish. A hanging disk must not keep the terminal from the person.
        self.jobs = None;
        let _ = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(Duration::from_secs(3));
    }
}

struct Thread {
    dir: PathBuf,
    connection: Connection,
    redactor: Redactor,
    keep: Duration,
    shared: Arc<Shared>,
    pending: VecDeque<Item>,
    /// When `pending` is to be written.
    due: Option<Instant>,
    /// Failed writes in a row.
    failures: u32,
    /// Damage was met: nothing more is written.
    dead: bool,
    next_sweep: Instant,
    known: Known,
}

impl Thread {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let next = self.due.map_or(self.next_sweep, |due| due.min(self.next_sweep));
            match jobs.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Job::Poll(polled, news)) => {
                    self.accept(Item::Poll(polled));
                    if let Some(news) = news {
                        self.accept(Item::News(news));
                    }
                }
                Ok(Job::Transition(transition)) => self.accept(Item::Transition(transition)),
                Ok(Job::Acknowledgement(finding, acknowledgement)) => self.accept(Item::Acknowledgement(finding, acknowledgement)),
                Ok(Job::Flush(done)) => {
                    self.write();
                    // With a full disk the answer is the end of the channel.
                    if self.pending.is_empty() {
                        let _ = done.try_send(());
                    }
                }
                Ok(Job::Purge(done)) => {
                    self.write();
                    if self.sweep(Duration::ZERO) {
                        let _ = done.try_send(());
                    }
                }
                #[cfg(test)]
                Ok(Job::Run(work)) => work(&self.connection),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.write();
                    self.leave();
                    return;
                }
            }
            let now = Instant::now();
            let full = self.pending.len() >= BATCH && self.failures == 0;
            if full || self.due.is_some_and(|due| due <= now) {
                self.write();
            }
            if self.next_sweep <= now {
                self.next_sweep = now + self.shared.tuning.sweep;
                // History that is kept a little longer hurts nobody: the next round tries again.
                let _ = self.sweep(self.shared.tuning.sweep);
            }
        }
    }

    fn accept(&mut self, item: Item) {
        if self.dead {
            self.shared.lose(1);
            return;
        }
        let item = match item {
            Item::Poll(polled) if self.shared.was_followed(&polled) => return,
            Item::Poll(polled) => {
                let waiting = self.pending.iter_mut().rev().find_map(|item| match item {
                    Item::Poll(waiting) if waiting.source == polled.source => Some(waiting),
                    _ => None,
                });
                let rest = match waiting {
                    Some(waiting) => keeping::join(waiting, *polled),
                    None => Some(*polled),
                };
                let Some(polled) = rest else { return };
                Item::Poll(Box::new(polled))
            }
            Item::News(news) => {
                let waiting = self.pending.iter_mut().rev().find_map(|item| match item {
                    Item::News(waiting) if waiting.source() == news.source() => Some(waiting),
                    _ => None,
                });
                let rest = match waiting {
                    Some(waiting) => book::join(waiting, *news),
                    None => Some(*news),
                };
                let Some(news) = rest else { return };
                Item::News(Box::new(news))
            }
            other => other,
        };
        if self.pending.len() >= PENDING {
            self.pending.pop_front();
            self.shared.lose(1);
        }
        self.pending.push_back(item);
        if self.due.is_none() {
            let now = crate::io::clock::now().timestamp_millis();
            // What waits since before waits for longer.
            let _ = self.shared.tally.waits.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
            self.due = Some(Instant::now() + self.shared.tuning.flush);
        }
    }

    fn write(&mut self) {
        self.due = None;
        if self.pending.is_empty() || self.dead {
            return;
        }
        match self.commit() {
            Ok(()) => {
                self.pending.clear();
                let tally = &self.shared.tally;
                tally.transactions.fetch_add(1, Ordering::Relaxed);
                tally.written.store(crate::io::clock::now().timestamp_millis(), Ordering::Relaxed);
                tally.waits.store(0, Ordering::Relaxed);
                if self.failures > 0 {
                    self.failures = 0;
                    self.shared.set_trouble(None);
                }
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &rusqlite::Error) {
        // What was remembered may have been rolled back.
        self.known = Known::default();
        self.failures += 1;
        self.shared.tally.failures.fetch_add(1, Ordering::Relaxed);
        if store::is_damage(error) {
            store::mark_damaged(&self.dir);
            self.dead = true;
            self.shared.lose(self.pending.len() as u64);
            self.pending.clear();
            self.shared.set_trouble(Some(Trouble::Damaged { reason: error.to_string() }));
            return;
        }
        let busy = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
        // Others' transactions are short; only a lock that stays is worth a word.
        if !busy || self.failures >= 3 {
            self.shared.set_trouble(Some(Trouble::Unwritable { path: self.dir.join(FILE), reason: reason(error) }));
        }
        let (first, longest) = self.shared.tuning.retry;
        let wait = first.saturating_mul(1 << (self.failures - 1).min(10)).min(longest);
        self.due = Some(Instant::now() + wait);
    }

    /// Takes over what another configuration says.
    fn renew(&mut self) {
        if let Some((redactor, keep)) = self.shared.anew.lock().unwrap_or_else(PoisonError::into_inner).take() {
            (self.redactor, self.keep) = (redactor, keep);
            // What was written before may have to be written again, masked.
            self.known = Known::default();
        }
    }

    /// Writes all that waits in one transaction.
    fn commit(&mut self) -> rusqlite::Result<()> {
        self.renew();
        let mut refused = 0;
        // Everything slow is done before the lock is taken.
        let prepared: Vec<Ready> = self
            .pending
            .iter()
            .filter_map(|item| {
                let ready = Ready::of(item, &self.redactor);
                refused += u64::from(ready.is_none());
                ready
            })
            .collect();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut seq: i64 = transaction.prepare_cached("SELECT seq FROM counter")?.query_row([], |row| row.get(0))?;
        let writer = self.shared.id;
        for item in &prepared {
            seq = self.known.write(&transaction, item, seq, writer)?;
        }
        transaction.prepare_cached("UPDATE counter SET seq = ?1")?.execute([seq])?;
        transaction.commit()?;
        self.shared.lose(refused);
        Ok(())
    }

    fn sweep(&mut self, every: Duration) -> bool {
        if self.dead {
            return false;
        }
        self.renew();
        let done = sweep::run(&mut self.connection, self.keep, crate::io::clock::now(), every);
        // It may have sealed points that waited.
        self.known = Known::default();
        done.is_ok()
    }

    /// Gives leases and the entry of this process back.
    fn leave(&mut self) {
        self.shared.lose(self.pending.len() as u64);
        // Where it fails the others find that it expired.
        let _ = leases::forget(&mut self.connection, self.shared.id);
    }
}

/// What the system said, for reading.
fn reason(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::ReadOnly) => "it is read-only".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process keeps it locked".to_owned(),
        Some(ErrorCode::SystemIoFailure) => format!("the disk reports an error ({error})"),
        _ => error.to_string(),
    }
}
