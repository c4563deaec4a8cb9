//! Questions to the past: hours and days of a source, ranges for graphs, transitions, an observation as it was, sizes.
//!
//! Rows and blocks that cannot be read are passed over. What does not belong here: the first frame (`snapshot`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::store::{self, FILE, StoreError, VERSION};
use super::tiers::{self, Point, Slot, Tier};
use super::{codec, series};
use crate::domain::{Capability, Observation, SourceId, Timestamp, Transition};
use crate::state::Sample;
use crate::state::msg::History;
use crate::state::world::{Bucket, SAMPLES};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// Hours of the 48-hour window, the current one included.
const HOURS: i64 = 48;
/// Days of the 31-day window, today included.
const DAYS: i64 = 31;
/// Raw samples go this far back, in seconds.
const SAMPLES_S: i64 = 3 * HOUR_S;

/// A read-only connection.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
}

/// How large the journal is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// The file.
    pub path: PathBuf,
    /// File and side files.
    pub size_bytes: u64,
    /// Of that, room that is free inside the file.
    pub free_bytes: u64,
    /// The schema's version.
    pub version: i64,
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Samples of all raw blocks and those that wait for one.
    pub samples: u64,
    /// The oldest thing that is kept.
    pub oldest: Option<Timestamp>,
}

impl Reader {
    /// Opens the journal of a state directory for reading.
    ///
    /// # Errors
    /// When there is none, it is newer, or it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let connection = store::connect_for_reading(&path)?;
        let found = store::user_version(&connection)?;
        if found > VERSION {
            return Err(StoreError::Newer { found });
        }
        Ok(Self { path, connection })
    }

    /// The connection.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What is known of a source's probes: hours of the last 48, days (UTC) of the last 31, samples of the last three hours.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn history(&self, source: &SourceId, now: Timestamp) -> Result<History, StoreError> {
        let mut history = History { source: source.clone(), hours: Vec::new(), days: Vec::new(), samples: Vec::new() };
        let now_s = now.timestamp();
        let first_hour = tiers::floor(now_s, HOUR_S) - (HOURS - 1) * HOUR_S;
        let first_day = tiers::floor(now_s, DAY_S) - (DAYS - 1) * DAY_S;
        let bucket = |slot: Slot| (slot.start_s, Bucket { latency: slot.latency, total: slot.count, failed: slot.failed });
        let reading = self.connection.unchecked_transaction()?;
        let Some(id) = series::find(&reading, source.as_str())? else { return Ok(history) };
        let slots = slots(&reading, id, Tier::Hour, (first_day, now_s))?;
        history.hours = slots.iter().filter(|slot| slot.start_s >= first_hour).cloned().map(bucket).collect();
        history.days = tiers::widen(slots, DAY_S).into_iter().map(bucket).collect();
        let points = points(&reading, id, ((now_s - SAMPLES_S) * 1_000, now_s.saturating_add(1) * 1_000))?;
        let newest = points.len().saturating_sub(SAMPLES);
        history.samples = points[newest..]
            .iter()
            .filter_map(|point| {
                Some(Sample { at: Timestamp::from_timestamp_millis(point.at_ms)?, latency_ms: point.value.map(|value| value as f32), failed: point.failed })
            })
            .collect();
        Ok(history)
    }

    /// Slots of `step` (at least a minute, in whole minutes) between two moments, from the coarsest tier that serves it, sorted.
    /// A span without probes has no slot: a gap is a gap.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn range(&self, source: &SourceId, from: Timestamp, to: Timestamp, step: Duration) -> Result<Vec<Slot>, StoreError> {
        let step_s = (step.as_secs().cast_signed() / 60).max(1) * 60;
        let reading = self.connection.unchecked_transaction()?;
        let Some(id) = series::find(&reading, source.as_str())? else { return Ok(Vec::new()) };
        let tier = if step_s % HOUR_S == 0 { Tier::Hour } else { Tier::Minute };
        let from_s = tiers::floor(from.timestamp(), step_s);
        Ok(tiers::widen(slots(&reading, id, tier, (from_s, to.timestamp()))?, step_s))
    }

    /// Every probe between two moments, oldest first. They are kept for 48 hours.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn samples(&self, source: &SourceId, from: Timestamp, to: Timestamp) -> Result<Vec<Point>, StoreError> {
        let reading = self.connection.unchecked_transaction()?;
        let Some(id) = series::find(&reading, source.as_str())? else { return Ok(Vec::new()) };
        Ok(points(&reading, id, (from.timestamp_millis(), to.timestamp_millis()))?)
    }

    /// Transitions at or after a moment, the newest `limit` of them, oldest first.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn transitions(&self, since: Timestamp, limit: usize) -> Result<Vec<Transition>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT body FROM transitions WHERE at >= ?1 ORDER BY at DESC, seq DESC LIMIT ?2")?;
        let mut rows = statement.query(params![since.timestamp_millis(), i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut transitions = Vec::new();
        while let Some(row) = rows.next()? {
            transitions.extend(row.get_ref(0)?.as_str().ok().and_then(|body| serde_json::from_str::<Transition>(body).ok()));
        }
        transitions.reverse();
        Ok(transitions)
    }

    /// The last observation of a source and capability at or before a moment; `None`: not kept.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn observation(&self, source: &SourceId, capability: Capability, at: Timestamp) -> Result<Option<Observation>, StoreError> {
        let body: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT body FROM observations WHERE source = ?1 AND capability = ?2 AND at <= ?3 ORDER BY at DESC LIMIT 1")?
            .query_row(params![source.as_str(), capability.word(), at.timestamp_millis()], |row| row.get(0))
            .optional()?;
        Ok(body.and_then(|body| codec::unpack(&body).ok()).and_then(|json| serde_json::from_slice(&json).ok()))
    }

    /// Bytes of compressed blocks by tier, without SQLite's own.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn block_bytes(&self) -> Result<Vec<(String, u64)>, StoreError> {
        Tier::ALL
            .into_iter()
            .map(|tier| {
                let bytes: Option<i64> = self.connection.query_row(&format!("SELECT sum(length(body)) FROM {}", tier.table()), [], |row| row.get(0))?;
                Ok((tier.table().to_owned(), bytes.unwrap_or_default().unsigned_abs()))
            })
            .collect()
    }

    /// Sizes and rows; reads every index, so not for a screen.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let number = |sql: &str| self.connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).map(Option::unwrap_or_default);
        let mut rows = BTreeMap::new();
        for table in [
            "latest",
            "observations",
            "transitions",
            "acknowledgements",
            "series",
            "tail",
            "raw_blocks",
            "minute_blocks",
            "hour_blocks",
            "processes",
            "leases",
            "book",
            "book_logs",
        ] {
            // A journal of the version before has no book yet.
            if table.starts_with("book") && store::user_version(&self.connection)? < 2 {
                continue;
            }
            rows.insert(table.to_owned(), number(&format!("SELECT count(*) FROM {table}"))? as u64);
        }
        let samples = number("SELECT sum(rows) FROM raw_blocks")? as u64 + rows.get("tail").copied().unwrap_or_default();
        let oldest = number(
            "SELECT min(t) FROM (SELECT min(at) AS t FROM observations UNION ALL SELECT min(at) FROM transitions UNION ALL SELECT min(at) FROM tail UNION ALL SELECT min(first) FROM hour_blocks)",
        )?;
        let size_bytes = ["", "-wal", "-shm"]
            .iter()
            .filter_map(|side| std::fs::metadata(format!("{}{side}", self.path.display())).ok())
            .map(|metadata| metadata.len())
            .sum();
        Ok(Stats {
            path: self.path.clone(),
            size_bytes,
            free_bytes: (number("PRAGMA freelist_count")? * number("PRAGMA page_size")?) as u64,
            version: store::user_version(&self.connection)?,
            rows,
            samples,
            oldest: (oldest != 0).then(|| Timestamp::from_timestamp_millis(oldest)).flatten(),
        })
    }
}

/// Slots of a tier that begin within a span (seconds), merged by start; what waits in the tail is rolled on the way.
fn slots(connection: &Connection, id: i64, tier: Tier, (from_s, to_s): (i64, i64)) -> rusqlite::Result<Vec<Slot>> {
    let mut slots = Vec::new();
    series::blocks(connection, id, tier, (from_s.saturating_mul(1_000), to_s.saturating_add(1).saturating_mul(1_000)), |block| {
        slots.extend(tiers::decode_slots(block).unwrap_or_default());
    })?;
    slots.extend(tiers::roll(&series::tail(connection, id, from_s.saturating_mul(1_000))?, tier.step_s()));
    slots.retain(|slot| (from_s..=to_s).contains(&slot.start_s));
    Ok(tiers::widen(slots, tier.step_s()))
}

/// Points within a span (milliseconds), sorted by time.
fn points(connection: &Connection, id: i64, (from_ms, to_ms): (i64, i64)) -> rusqlite::Result<Vec<Point>> {
    let mut points = Vec::new();
    series::blocks(connection, id, Tier::Raw, (from_ms, to_ms), |block| points.extend(tiers::decode_points(block).unwrap_or_default()))?;
    points.extend(series::tail(connection, id, from_ms)?);
    points.retain(|point| (from_ms..=to_ms).contains(&point.at_ms));
    points.sort_by_key(|point| point.at_ms);
    Ok(points)
}
