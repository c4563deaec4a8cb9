//! Points of a series in the file: the newest in `tail`, older ones sealed into blocks of every tier at once.
//!
//! Each point is either in `tail` or in one block of each tier, never both: sealing is part of a transaction. Slots of the same
//! start may stand in two blocks; whoever reads merges them, `sweep` joins them later.

use rusqlite::{Connection, Result, params};

use super::tiers::{self, Point, Slot, Tier};

/// Points that make a block. These many rows wait in `tail` at most; `sweep` makes denser blocks of several.
pub(super) const SEAL: i64 = 120;

/// The number of the latency series of a source, made if need be.
pub(super) fn latency_of(connection: &Connection, source: &str) -> Result<i64> {
    if let Some(id) = find(connection, source)? {
        return Ok(id);
    }
    connection.prepare_cached("INSERT INTO series (source, name) VALUES (?1, 'latency')")?.execute([source])?;
    Ok(connection.last_insert_rowid())
}

/// The number of the latency series of a source, where there is one.
pub(super) fn find(connection: &Connection, source: &str) -> Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM series WHERE source = ?1 AND name = 'latency'")?;
    let mut rows = statement.query([source])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

/// Adds one point.
pub(super) fn append(connection: &Connection, series: i64, point: &Point) -> Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO tail (series, at, value, failed) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        series,
        point.at_ms,
        point.value,
        point.failed
    ])?;
    Ok(())
}

/// How many points wait.
pub(super) fn waiting(connection: &Connection, series: i64) -> Result<i64> {
    connection.prepare_cached("SELECT count(*) FROM tail WHERE series = ?1")?.query_row([series], |row| row.get(0))
}

/// The points that wait, from a moment on, oldest first.
pub(super) fn tail(connection: &Connection, series: i64, from_ms: i64) -> Result<Vec<Point>> {
    let mut statement = connection.prepare_cached("SELECT at, value, failed FROM tail WHERE series = ?1 AND at >= ?2 ORDER BY at")?;
    let rows = statement.query_map([series, from_ms], |row| Ok(Point { at_ms: row.get(0)?, value: row.get(1)?, failed: row.get(2)? }))?;
    rows.collect()
}

/// Turns what waits into a block of each tier.
pub(super) fn seal(connection: &Connection, series: i64) -> Result<()> {
    let points = tail(connection, series, i64::MIN)?;
    insert_points(connection, series, &points)?;
    for tier in [Tier::Minute, Tier::Hour] {
        insert_slots(connection, series, tier, &tiers::roll(&points, tier.step_s()))?;
    }
    connection.prepare_cached("DELETE FROM tail WHERE series = ?1")?.execute([series])?;
    Ok(())
}

/// Keeps points, sorted by time, as one block.
pub(super) fn insert_points(connection: &Connection, series: i64, points: &[Point]) -> Result<()> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(()) };
    insert(connection, series, Tier::Raw, (first.at_ms, last.at_ms), points.len(), &tiers::encode_points(points))
}

/// Keeps slots, sorted by start, as one block.
pub(super) fn insert_slots(connection: &Connection, series: i64, tier: Tier, slots: &[Slot]) -> Result<()> {
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return Ok(()) };
    // The last moment of the last slot, so that a range that begins within it finds the block.
    let span = (first.start_s.saturating_mul(1_000), last.start_s.saturating_add(tier.step_s()).saturating_mul(1_000) - 1);
    insert(connection, series, tier, span, slots.len(), &tiers::encode_slots(slots))
}

fn insert(connection: &Connection, series: i64, tier: Tier, (first, last): (i64, i64), rows: usize, body: &[u8]) -> Result<()> {
    connection.prepare_cached(&format!("INSERT INTO {} (series, first, last, rows, body) VALUES (?1, ?2, ?3, ?4, ?5)", tier.table()))?.execute(params![
        series,
        first,
        last,
        rows.cast_signed(),
        body
    ])?;
    Ok(())
}

/// Hands each block of a tier that touches the span to `take`.
pub(super) fn blocks(connection: &Connection, series: i64, tier: Tier, (from_ms, to_ms): (i64, i64), mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT body FROM {} WHERE series = ?1 AND last >= ?2 AND first <= ?3 ORDER BY last", tier.table()))?;
    let mut rows = statement.query(params![series, from_ms, to_ms])?;
    while let Some(row) = rows.next()? {
        // A row of the wrong type is a damaged one: passed over like a block that does not decode.
        take(row.get_ref(0)?.as_blob().unwrap_or_default());
    }
    Ok(())
}
