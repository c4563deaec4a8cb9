//! Who polls what: one process at a time for each source, however many share the journal.
//!
//! A process enters its heartbeat in one row; its leases live as long as that is fresh and, on its own machine, as long as the
//! process does. What does not belong here: polling (`sources::runner`), what others found (`follower`).
//! A source that every process can follow cheaply by itself (a log file) needs no lease.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::sys::signal;
use nix::unistd::Pid;
use rusqlite::{Connection, TransactionBehavior, params};

use super::store::{self, FILE, StoreError};
use super::writer::Shared;
use crate::domain::{SourceId, Timestamp};

/// The leases of one process. Dropping it gives them back.
#[derive(Debug)]
pub struct Leases {
    dir: PathBuf,
    shared: Arc<Shared>,
    connection: Option<Connection>,
    held: BTreeSet<SourceId>,
}

impl Leases {
    pub(super) fn new(dir: &Path, shared: Arc<Shared>) -> Self {
        Self { dir: dir.to_owned(), shared, connection: None, held: BTreeSet::new() }
    }

    /// What was held after the last [`acquire`](Self::acquire).
    #[must_use]
    pub const fn held(&self) -> &BTreeSet<SourceId> {
        &self.held
    }

    /// Renews the heartbeat, takes every wanted source that nobody living holds, gives back what is not wanted any more, and
    /// answers which of them this process holds now. Takes milliseconds. Call it every few seconds ([`keep`](Self::keep) does).
    ///
    /// # Errors
    /// When the journal cannot be written. Who cannot share polls by itself.
    pub fn acquire(&mut self, wanted: &BTreeSet<SourceId>, now: Timestamp) -> Result<&BTreeSet<SourceId>, StoreError> {
        if wanted.is_empty() && self.held.is_empty() {
            return Ok(&self.held);
        }
        match self.attempt(wanted, now) {
            Ok(held) => self.held = held,
            Err(error) => {
                self.connection = None;
                self.held.clear();
                return Err(error.into());
            }
        }
        Ok(&self.held)
    }

    fn attempt(&mut self, wanted: &BTreeSet<SourceId>, now: Timestamp) -> rusqlite::Result<BTreeSet<SourceId>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(store::connect(&self.dir.join(FILE))?),
        };
        let (id, identity) = (self.shared.id, &self.shared.identity);
        let (now_ms, lease_ms) = (now.timestamp_millis(), self.shared.tuning.lease.as_millis() as i64);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Entered again when the others took this process for dead: it slept.
        transaction
            .prepare_cached(
                "INSERT INTO processes (id, host, pid, user, started, beat) VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (id) DO UPDATE SET beat = excluded.beat",
            )?
            .execute(params![id, identity.host, identity.pid, identity.user, now_ms])?;
        let others: Vec<(i64, String, u32, i64)> = transaction
            .prepare_cached("SELECT id, host, pid, beat FROM processes WHERE id != ?1")?
            .query_map([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
            .filter_map(Result::ok)
            .collect();
        for (other, host, pid, beat) in others {
            // A beat far in the future is a clock that was set back.
            let expired = (now_ms - beat).abs() > lease_ms;
            let gone = host == identity.host && pid != identity.pid && !is_running(pid);
            if expired || gone {
                transaction.execute("DELETE FROM leases WHERE process = ?1", [other])?;
                transaction.execute("DELETE FROM processes WHERE id = ?1", [other])?;
            }
        }
        transaction.execute("DELETE FROM leases WHERE process NOT IN (SELECT id FROM processes)", [])?;
        let mut held: BTreeSet<String> =
            transaction.prepare_cached("SELECT source FROM leases WHERE process = ?1")?.query_map([id], |row| row.get(0))?.filter_map(Result::ok).collect();
        for source in held.clone() {
            if !wanted.iter().any(|wanted| wanted.as_str() == source) {
                transaction.prepare_cached("DELETE FROM leases WHERE source = ?1")?.execute([&source])?;
                held.remove(&source);
            }
        }
        for source in wanted.iter().filter(|source| !held.contains(source.as_str())).collect::<Vec<_>>() {
            let taken = transaction.prepare_cached("INSERT OR IGNORE INTO leases (source, process) VALUES (?1, ?2)")?.execute(params![source.as_str(), id])?;
            if taken > 0 {
                held.insert(source.as_str().to_owned());
            }
        }
        transaction.commit()?;
        Ok(wanted.iter().filter(|source| held.contains(source.as_str())).cloned().collect())
    }

    /// Gives all back, so that another takes them at its next beat.
    pub fn release(&mut self) {
        self.held.clear();
        if let Some(connection) = &mut self.connection {
            // Where it fails the others find that it expired.
            let _ = forget(connection, self.shared.id);
        }
        self.connection = None;
    }

    /// Keeps acquiring on a thread of its own. `changed` is called there with what is held, at once and after each change; `None`
    /// means that the journal cannot be written and everyone polls by itself. Stops and gives back when the answer is dropped.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn keep(mut self, wanted: BTreeSet<SourceId>, mut changed: impl FnMut(Option<&BTreeSet<SourceId>>) + Send + 'static) -> std::io::Result<LeaseKeeper> {
        let (stop, stopped) = mpsc::sync_channel::<()>(1);
        let (alive, ended) = mpsc::sync_channel::<()>(0);
        let wanted = Arc::new(Mutex::new(wanted));
        let asked = wanted.clone();
        thread::Builder::new().name("journal-leases".to_owned()).spawn(move || {
            let beat = self.shared.tuning.beat;
            let mut told: Option<Option<BTreeSet<SourceId>>> = None;
            loop {
                let wanted = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let held = self.acquire(&wanted, crate::io::clock::now()).ok().cloned();
                if told.as_ref() != Some(&held) {
                    changed(held.as_ref());
                    told = Some(held);
                }
                match stopped.recv_timeout(beat) {
                    Err(RecvTimeoutError::Disconnected) => break,
                    Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                }
            }
            drop(self);
            drop(alive);
        })?;
        Ok(LeaseKeeper { wanted, wake: Some(stop), ended: Mutex::new(ended) })
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        self.release();
    }
}

/// Renews leases until it is dropped.
#[derive(Debug)]
pub struct LeaseKeeper {
    wanted: Arc<Mutex<BTreeSet<SourceId>>>,
    wake: Option<SyncSender<()>>,
    ended: Mutex<mpsc::Receiver<()>>,
}

impl LeaseKeeper {
    /// Another set of sources is wanted: the configuration changed.
    pub fn want(&self, wanted: BTreeSet<SourceId>) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        if let Some(wake) = &self.wake {
            // A wake-up that already waits does as well.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.wake = None;
        let _ = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(std::time::Duration::from_secs(3));
    }
}

/// Removes a process and its leases.
pub(super) fn forget(connection: &mut Connection, id: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM leases WHERE process = ?1", [id])?;
    transaction.execute("DELETE FROM processes WHERE id = ?1", [id])?;
    transaction.commit()
}

/// Whether a process of this machine lives; one of another person does too.
fn is_running(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| pid > 0 && signal::kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}
