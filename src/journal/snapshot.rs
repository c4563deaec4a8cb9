//! What was last known, for the first frame: read-only, tolerant, in a few milliseconds however long the history is.

use std::path::Path;

use super::book;
use super::store::{self, FILE, VERSION};
use crate::domain::{Acknowledgement, FindingId, Timestamp, Transition};
use crate::state::msg::{BookRows, Polled};

/// Transitions that the first frame gets.
const EVENTS: i64 = 500;

/// What was last known. Nothing of it is green that is stale: the age is in each poll.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The last poll of each source, in the order of their ids; also of sources that are no longer configured.
    pub polls: Vec<Polled>,
    /// The newest transitions, oldest first.
    pub events: Vec<Transition>,
    /// Who has what.
    pub acknowledgements: Vec<(FindingId, Acknowledgement)>,
    /// How far this goes: the follower begins after it.
    pub seq: u64,
    /// The most recent groups of the error book of each source.
    pub books: Vec<BookRows>,
    /// Rows that could not be read.
    pub unreadable: u64,
}

impl Snapshot {
    /// When the newest poll ended.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.polls.iter().map(|polled| polled.at).max()
    }
}

/// Reads what was last known from a state directory. `None`: there is no journal, or none that this program can read; opening it
/// for writing tells why.
#[must_use]
pub fn read_snapshot(dir: &Path) -> Option<Snapshot> {
    let path = dir.join(FILE);
    if !path.exists() {
        return None;
    }
    attempt(&path).ok().flatten()
}

fn attempt(path: &Path) -> rusqlite::Result<Option<Snapshot>> {
    let mut connection = store::connect_for_reading(path)?;
    if !(1..=VERSION).contains(&store::user_version(&connection)?) {
        return Ok(None);
    }
    let reading = connection.transaction()?;
    let mut snapshot = Snapshot { seq: reading.query_row("SELECT seq FROM counter", [], |row| row.get::<_, i64>(0))?.max(0) as u64, ..Snapshot::default() };
    let mut unreadable = 0;
    {
        let mut polls = reading.prepare("SELECT body FROM latest ORDER BY source")?;
        let mut rows = polls.query([])?;
        while let Some(row) = rows.next()? {
            match row.get_ref(0)?.as_str().ok().and_then(|body| serde_json::from_str(body).ok()) {
                Some(polled) => snapshot.polls.push(polled),
                None => unreadable += 1,
            }
        }
        let mut events = reading.prepare("SELECT body FROM transitions ORDER BY seq DESC LIMIT ?1")?;
        let mut rows = events.query([EVENTS])?;
        while let Some(row) = rows.next()? {
            match row.get_ref(0)?.as_str().ok().and_then(|body| serde_json::from_str(body).ok()) {
                Some(transition) => snapshot.events.push(transition),
                None => unreadable += 1,
            }
        }
        snapshot.events.reverse();
        let mut acknowledgements = reading.prepare("SELECT finding, body FROM acknowledgements WHERE body IS NOT NULL ORDER BY finding")?;
        let mut rows = acknowledgements.query([])?;
        while let Some(row) = rows.next()? {
            let finding = row.get_ref(0)?.as_str().ok().map(FindingId::from_text);
            let acknowledgement = row.get_ref(1)?.as_str().ok().and_then(|body| serde_json::from_str(body).ok());
            match finding.zip(acknowledgement) {
                Some(pair) => snapshot.acknowledgements.push(pair),
                None => unreadable += 1,
            }
        }
    }
    if store::user_version(&reading)? >= 2 {
        let (books, odd) = book::recent(&reading)?;
        snapshot.books = books;
        unreadable += odd;
    }
    snapshot.unreadable = unreadable;
    Ok(Some(snapshot))
}
