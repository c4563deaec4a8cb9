//! What other processes wrote, as messages for the same update function; and the journal's own trouble.
//!
//! Looks at a counter that SQLite keeps in shared memory a few times a second and reads only when it moved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::book;
use super::store::{self, FILE};
use super::writer::Shared;
use crate::domain::{FindingId, Timestamp, Transition};
use crate::state::msg::Polled;
use crate::state::{Msg, NoticeKind};

/// Transitions taken in one look, the newest ones; the state keeps no more.
const AT_ONCE: i64 = 2_000;

/// Follows until it is dropped.
#[derive(Debug)]
pub struct Follower {
    stop: Option<SyncSender<()>>,
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Follower {
    pub(super) fn start(dir: &Path, shared: Arc<Shared>, seq: u64, emit: impl FnMut(Msg) -> bool + Send + 'static) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::sync_channel::<()>(0);
        let (alive, ended) = mpsc::sync_channel::<()>(0);
        let mut following = Following { dir: dir.to_owned(), shared, emit, connection: None, version: None, seq: seq.cast_signed(), told: None };
        thread::Builder::new().name("journal-follower".to_owned()).spawn(move || {
            let look = following.shared.tuning.look;
            // An error here (a locked or vanished file) is the writer's to tell; the next look tries again.
            while following.tell_trouble() && following.look().unwrap_or(true) {
                if stopped.recv_timeout(look) == Err(RecvTimeoutError::Disconnected) {
                    break;
                }
            }
            drop(alive);
        })?;
        Ok(Self { stop: Some(stop), ended: Mutex::new(ended) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop = None;
        // The one who is told may be waiting for us: not for ever.
        let _ = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(Duration::from_secs(1));
    }
}

struct Following<F> {
    dir: PathBuf,
    shared: Arc<Shared>,
    emit: F,
    connection: Option<Connection>,
    /// SQLite's own count of other connections' commits.
    version: Option<i64>,
    /// All up to this was told.
    seq: i64,
    /// The trouble last told, with its beginning.
    told: Option<Timestamp>,
}

impl<F: FnMut(Msg) -> bool> Following<F> {
    fn tell_trouble(&mut self) -> bool {
        match (self.shared.trouble(), self.told) {
            (Some((trouble, since)), told) if told != Some(since) => {
                self.told = Some(since);
                (self.emit)(Msg::Notice(trouble.notice(since)))
            }
            (None, Some(_)) => {
                self.told = None;
                (self.emit)(Msg::NoticeOver(NoticeKind::Journal))
            }
            _ => true,
        }
    }

    fn look(&mut self) -> rusqlite::Result<bool> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => store::connect_for_reading(&self.dir.join(FILE))?,
        };
        let version: i64 = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.version == Some(version) {
            self.connection = Some(connection);
            return Ok(true);
        }
        let (messages, upto) = self.newer(&mut connection)?;
        self.connection = Some(connection);
        self.version = Some(version);
        self.seq = upto;
        for message in messages {
            if let Msg::Polled(polled) = &message {
                // Told before it is sent, so that the writer knows it when it comes back.
                self.shared.note_followed(&polled.source, polled.at);
            }
            if !(self.emit)(message) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What others committed after `seq`, in the order of commit, and how far that goes.
    fn newer(&self, connection: &mut Connection) -> rusqlite::Result<(Vec<Msg>, i64)> {
        let mut messages = BTreeMap::new();
        let reading = connection.transaction()?;
        let upto: i64 = reading.prepare_cached("SELECT seq FROM counter")?.query_row([], |row| row.get(0))?;
        if upto == self.seq {
            return Ok((Vec::new(), upto));
        }
        let own = self.shared.id;
        // A journal that was replaced counts from the beginning.
        let after = if upto < self.seq { 0 } else { self.seq };
        let mut polls = reading.prepare_cached("SELECT seq, body FROM latest WHERE seq > ?1 AND writer != ?2 ORDER BY seq")?;
        let mut rows = polls.query([after, own])?;
        while let Some(row) = rows.next()? {
            // What cannot be read (a later form, damage) is passed over.
            if let Some(polled) = row.get_ref(1)?.as_str().ok().and_then(|body| serde_json::from_str::<Polled>(body).ok()) {
                messages.insert(row.get::<_, i64>(0)?, Msg::Polled(polled));
            }
        }
        let mut transitions = reading.prepare_cached("SELECT seq, body FROM transitions WHERE seq > ?1 AND writer != ?2 ORDER BY seq DESC LIMIT ?3")?;
        let mut rows = transitions.query(params![after, own, AT_ONCE])?;
        while let Some(row) = rows.next()? {
            if let Some(transition) = row.get_ref(1)?.as_str().ok().and_then(|body| serde_json::from_str::<Transition>(body).ok()) {
                messages.insert(row.get::<_, i64>(0)?, Msg::Events(vec![transition]));
            }
        }
        let mut acknowledgements = reading.prepare_cached("SELECT seq, finding, body FROM acknowledgements WHERE seq > ?1 AND writer != ?2 ORDER BY seq")?;
        let mut rows = acknowledgements.query([after, own])?;
        while let Some(row) = rows.next()? {
            let finding = FindingId::from_text(&row.get::<_, String>(1)?);
            let acknowledgement = match row.get::<_, Option<String>>(2)? {
                None => None,
                Some(body) => match serde_json::from_str(&body) {
                    Ok(acknowledgement) => Some(acknowledgement),
                    Err(_) => continue,
                },
            };
            messages.insert(row.get::<_, i64>(0)?, Msg::Acknowledged(finding, acknowledgement));
        }
        let mut messages: Vec<Msg> = messages.into_values().collect();
        // Of the book also what this process wrote: it is shown as it was kept.
        if store::user_version(&reading)? >= 2 {
            messages.extend(book::newer(&reading, after)?.into_iter().map(|rows| Msg::Book(Box::new(rows))));
        }
        Ok((messages, upto))
    }
}
