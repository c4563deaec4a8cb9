//! Removes what is older than its tier is kept, and joins small blocks, in short transactions. One process an hour does it.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};

use super::series;
use super::tiers::{self, Point, Slot, Tier};
use crate::domain::Timestamp;

const DAY_MS: i64 = 86_400_000;
/// Raw points are kept so long.
const RAW_MS: i64 = 2 * DAY_MS;
/// Minutes are kept so long.
const MINUTE_MS: i64 = 30 * DAY_MS;
/// Rows removed in one transaction.
const ROWS: usize = 500;
/// Points or slots of a joined block: four hours of minutes, a day of hours.
const JOINED: [(Tier, usize); 3] = [(Tier::Raw, 480), (Tier::Minute, 240), (Tier::Hour, 24)];

/// Does the round unless another process did it within `every`; answers whether it did.
pub(super) fn run(connection: &mut Connection, keep: Duration, now: Timestamp, every: Duration) -> rusqlite::Result<bool> {
    let now_ms = now.timestamp_millis();
    let recent = now_ms - every.as_millis() as i64 * 9 / 10;
    let mine = connection.execute("UPDATE counter SET swept = ?1 WHERE swept <= ?2 OR swept > ?1", [now_ms, recent])?;
    if mine == 0 {
        return Ok(false);
    }
    let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let oldest = now_ms.saturating_sub(keep_ms);
    remove(connection, Tier::Raw.table(), "id", "last <", oldest.max(now_ms - RAW_MS))?;
    remove(connection, Tier::Minute.table(), "id", "last <", oldest.max(now_ms - MINUTE_MS))?;
    remove(connection, Tier::Hour.table(), "id", "last <", oldest)?;
    remove(connection, "observations", "id", "at <", oldest)?;
    remove(connection, "transitions", "seq", "at <", oldest)?;
    remove(connection, "acknowledgements", "rowid", "body IS NULL AND at <", now_ms - MINUTE_MS)?;
    remove(connection, "book", "id", "last <", oldest)?;
    remove(connection, "book", "id", "body IS NULL AND last <", now_ms - MINUTE_MS)?;
    remove(connection, "latest", "rowid", "at_ns / 1000000 <", oldest)?;
    let all: Vec<i64> = connection.prepare("SELECT id FROM series")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for id in all {
        // Points of a source that is no longer polled would wait for ever.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let newest: Option<i64> = transaction.query_row("SELECT max(at) FROM tail WHERE series = ?1", [id], |row| row.get(0))?;
        if newest.is_some_and(|newest| newest < now_ms - RAW_MS) {
            series::seal(&transaction, id)?;
        }
        transaction.commit()?;
        for (tier, size) in JOINED {
            join(connection, id, tier, size)?;
        }
    }
    Ok(true)
}

/// Deletes rows by steps, so that nobody waits long for the lock.
fn remove(connection: &mut Connection, table: &str, key: &str, condition: &str, before_ms: i64) -> rusqlite::Result<()> {
    let sql = format!("DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {condition} ?1 LIMIT {ROWS})");
    while connection.execute(&sql, [before_ms])? == ROWS {}
    Ok(())
}

/// Joins blocks of a tier that hold less than their share, oldest first, when whole ones come of it.
fn join(connection: &mut Connection, id: i64, tier: Tier, size: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let small: Vec<(i64, usize, Vec<u8>)> = transaction
        .prepare_cached(&format!("SELECT id, rows, body FROM {} WHERE series = ?1 AND rows < ?2 ORDER BY last LIMIT 256", tier.table()))?
        .query_map(params![id, size.cast_signed()], |row| Ok((row.get(0)?, row.get::<_, u32>(1)? as usize, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    if small.len() < 2 || small.iter().map(|(_, rows, _)| rows).sum::<usize>() < size {
        return Ok(());
    }
    let (mut points, mut slots): (Vec<Point>, Vec<Slot>) = (Vec::new(), Vec::new());
    for (block, _, body) in &small {
        let read = match tier {
            Tier::Raw => tiers::decode_points(body).map(|read| points.extend(read)),
            Tier::Minute | Tier::Hour => tiers::decode_slots(body).map(|read| slots.extend(read)),
        };
        // A damaged block stays as it is: it is passed over when read and goes when it is old.
        if read.is_ok() {
            transaction.prepare_cached(&format!("DELETE FROM {} WHERE id = ?1", tier.table()))?.execute([block])?;
        }
    }
    points.sort_by_key(|point| point.at_ms);
    for chunk in points.chunks(size) {
        series::insert_points(&transaction, id, chunk)?;
    }
    if !slots.is_empty() {
        for chunk in tiers::widen(slots, tier.step_s()).chunks(size) {
            series::insert_slots(&transaction, id, tier, chunk)?;
        }
    }
    transaction.commit()
}
