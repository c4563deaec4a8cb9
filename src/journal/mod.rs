//! The history kept on disk: last known state, changed observations, transitions, acknowledgements, series in tiers, leases.
//!
//! One SQLite file that any number of processes share. Everything is written by one thread from a bounded queue, so that the
//! screen never waits for a disk; nothing here is needed for the dashboard to go on. No SQL outside this room.
//! What does not belong here: what a change means (`rules`, `state`), who polls (`sources::runner`), when it is told (`ui`).
//!
//! ```text
//! read_snapshot(dir) ── first frame ──▶ Journal::open(dir, settings, identity) ──▶ Opened { journal, trouble }
//!   journal.keep_poll / keep_transition / keep_acknowledgement     never blocks
//!   journal.follow(snapshot.seq, emit)                             what other processes wrote, and trouble, as messages
//!   journal.leases()                                               who polls which source
//!   journal.reader()                                               history, transitions, ranges; on a thread that may wait
//! ```
//!
//! Of logs only counts are kept, and of each group of errors its title and one example; `redact` applies to every text before it is stored.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::model;
use crate::domain::{Acknowledgement, FindingId, Timestamp, Transition};
use crate::state::msg::Polled;
use crate::state::{Msg, Notice, NoticeKind};

mod book;
mod codec;
mod follower;
mod keeping;
mod leases;
mod reader;
mod redact;
pub use redact::Redactor;
mod rows;
mod series;
mod snapshot;
mod store;
mod sweep;
pub mod tiers;
mod writer;

#[cfg(test)]
mod tests;

pub use book::{BookError, Example, GROUPS as BOOK_GROUPS, perform};
pub use codec::CodecError;
pub use follower::Follower;
pub use leases::{LeaseKeeper, Leases};
pub use reader::{Reader, Stats};
pub use snapshot::{Snapshot, read_snapshot};
pub use store::{FILE, StoreError, VERSION, version_in};

pub use writer::{Flushing, Writes};
use writer::{Job, Shared, Writer};

/// Who writes: kept beside its heartbeat, so that others can tell whether it still lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The machine's name.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The person's login name.
    pub user: String,
}

impl Identity {
    /// This process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let host = nix::unistd::gethostname().map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned());
        let uid = nix::unistd::getuid();
        let user = nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
        Self { host, pid: std::process::id(), user }
    }
}

/// What is wrong with the journal. The program goes on, with or without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A damaged one was moved aside, and a new one begun.
    MovedAside {
        /// Where it is now.
        to: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// A later rounds wrote it; it was left alone.
    Newer {
        /// Its version.
        found: i64,
    },
    /// It cannot be opened or written here.
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It is damaged; the next start moves it aside.
    Damaged {
        /// What was wrong.
        reason: String,
    },
    /// A pattern of `[journal] redact` is no regular expression, so nothing may be stored.
    Redact {
        /// The pattern.
        pattern: String,
    },
}

impl Trouble {
    /// As a banner.
    #[must_use]
    pub fn notice(&self, since: Timestamp) -> Notice {
        let (text, detail) = match self {
            Self::MovedAside { to, reason } => (
                "the journal was damaged: moved aside, a new one begun".to_owned(),
                vec![format!("what was wrong: {reason}"), format!("the old one is {}", to.display()), "remove it when you do not need it any more".to_owned()],
            ),
            Self::Newer { found } => (
                format!("the journal is newer (version {found}) than this rounds: left untouched, no history is kept"),
                vec![format!("this rounds knows version {VERSION}"), "update this rounds, or give it another --state-dir".to_owned()],
            ),
            Self::Unwritable { path, reason } => (
                format!("the journal cannot be written: {reason}"),
                vec![
                    format!("file: {}", path.display()),
                    "what happens now is shown but not kept; rounds tries again".to_owned(),
                    "make room or give it the right to write, or choose another --state-dir".to_owned(),
                ],
            ),
            Self::Damaged { reason } => (
                "the journal is damaged: nothing is kept; the next start moves it aside".to_owned(),
                vec![format!("what was wrong: {reason}"), "start rounds again when it suits you".to_owned()],
            ),
            Self::Redact { pattern } => (
                "a pattern of [journal] redact is not valid: nothing is kept".to_owned(),
                vec![format!("pattern: {pattern}"), "correct it in the configuration".to_owned()],
            ),
        };
        Notice { kind: NoticeKind::Journal, since, text, detail }
    }
}

/// What opening gave. With `trouble` and a journal: it works, and there is something to say.
#[derive(Debug)]
pub struct Opened {
    /// The journal; `None`: the program goes on without history.
    pub journal: Option<Journal>,
    /// What to tell, as a notice.
    pub trouble: Option<Trouble>,
}

/// An open journal. Dropping it writes what is pending and gives its leases back.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    shared: Arc<Shared>,
    writer: Writer,
}

impl Journal {
    /// Opens the journal of a state directory; makes directory and file where they are missing.
    ///
    /// Takes milliseconds; on a slow disk it may wait, so call it off the screen's loop, after [`read_snapshot`].
    #[must_use]
    pub fn open(dir: &Path, settings: &model::Journal, identity: Identity) -> Opened {
        Self::open_with(dir, settings, identity, writer::Tuning::default())
    }

    fn open_with(dir: &Path, settings: &model::Journal, identity: Identity, tuning: writer::Tuning) -> Opened {
        let none = |trouble| Opened { journal: None, trouble: Some(trouble) };
        let unwritable = |reason: String| Trouble::Unwritable { path: dir.join(FILE), reason };
        let redactor = match redact::Redactor::new(&settings.redact) {
            Ok(redactor) => redactor,
            Err(pattern) => return none(Trouble::Redact { pattern }),
        };
        let now = crate::io::clock::now();
        let store = match store::open(dir, now) {
            Ok(store) => store,
            Err(StoreError::Newer { found }) => return none(Trouble::Newer { found }),
            Err(error) => return none(unwritable(error.to_string())),
        };
        let trouble = store.moved.map(|(to, reason)| Trouble::MovedAside { to, reason });
        match Writer::start(dir, store.connection, redactor, settings.keep, identity, tuning, now) {
            Ok((shared, writer)) => Opened { journal: Some(Self { dir: dir.to_owned(), shared, writer }), trouble },
            Err(error) => none(unwritable(error.to_string())),
        }
    }

    /// Keeps the end of a poll. Never blocks: with a full queue it is dropped and counted.
    ///
    /// A poll that came from the journal (snapshot, follower) is recognised and not written again.
    pub fn keep_poll(&self, mut polled: Polled) {
        let news = book::news(&polled).map(Box::new);
        keeping::strip(&mut polled);
        self.writer.send(&self.shared, Job::Poll(Box::new(polled), news));
    }

    /// Redacts and keeps by other settings from now on, also what is not written yet. What is written already stays as it is.
    /// Settings with a pattern that is no regular expression change nothing; the configuration does not let them through.
    pub fn renew(&self, settings: &model::Journal) {
        if let Ok(redactor) = redact::Redactor::new(&settings.redact) {
            self.shared.renew(redactor, settings.keep);
        }
    }

    /// Keeps a transition. What another process has just recorded of the same subject is not recorded twice.
    pub fn keep_transition(&self, transition: Transition) {
        self.writer.send(&self.shared, Job::Transition(transition));
    }

    /// Keeps who has a finding, or that it was given back.
    pub fn keep_acknowledgement(&self, finding: FindingId, acknowledgement: Option<Acknowledgement>) {
        self.writer.send(&self.shared, Job::Acknowledgement(finding, acknowledgement));
    }

    /// Waits until all that was kept so far is written, at most `limit`. Answers whether it is.
    #[must_use]
    pub fn flush(&self, limit: Duration) -> bool {
        self.writer.ask(Job::Flush, limit)
    }

    /// Has all that was kept so far written now, without waiting for it: for whoever begins what must not be begun unrecorded.
    #[must_use]
    pub fn flushing(&self) -> Flushing {
        self.writer.flushing()
    }

    /// Removes what is older than it is kept and joins small blocks, now instead of within the hour; waits at most `limit`.
    /// Answers whether it was done.
    #[must_use]
    pub fn purge(&self, limit: Duration) -> bool {
        self.writer.ask(Job::Purge, limit)
    }

    /// Follows what other processes write after `seq` ([`Snapshot::seq`]; 0: all that is known), and the journal's own trouble.
    /// `emit` is called on the follower's thread and answers whether somebody still listens. Stops when the answer is dropped.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn follow(&self, seq: u64, emit: impl FnMut(Msg) -> bool + Send + 'static) -> std::io::Result<Follower> {
        Follower::start(&self.dir, self.shared.clone(), seq, emit)
    }

    /// The leases of this process: who polls which source.
    #[must_use]
    pub fn leases(&self) -> Leases {
        Leases::new(&self.dir, self.shared.clone())
    }

    /// A connection for questions. Keep it on a thread that may wait.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.dir)
    }

    /// What this process could not keep so far: dropped for want of room, or not storable.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lost()
    }

    /// How the writing goes.
    #[must_use]
    pub fn writes(&self) -> Writes {
        self.shared.writes()
    }

    /// What is wrong with it now, and since when.
    #[must_use]
    pub fn trouble(&self) -> Option<(Trouble, Timestamp)> {
        self.shared.trouble()
    }

    /// Runs something on the writer's connection.
    #[cfg(test)]
    fn run(&self, work: impl FnOnce(&rusqlite::Connection) + Send + 'static) {
        self.writer.send(&self.shared, Job::Run(Box::new(work)));
    }
}
