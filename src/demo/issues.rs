//! The issues of the demonstration's tracker: what there is at a time of the story. Pure.
//!
//! What does not belong here: how a tracker says it (`sentry`).
//!
//! The deploy's trouble is a new issue whose events and users grow until the deploy is taken back; a while later it is resolved.
//! When the same trouble comes again it is back. Beside it stand one that is back, some that are known, one that is archived
//! and one that is resolved.

use std::time::Duration;

use super::dice;
use super::script::{self, Trouble};

/// How one issue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Never seen before.
    New,
    /// Back.
    Regressed,
    /// More of it than before.
    Escalating,
    /// Known.
    Ongoing,
    /// Put aside.
    Archived,
    /// Done with.
    Resolved,
}

/// One issue at a time of the story; times are how long ago.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The tracker's number.
    pub id: u64,
    /// What people say.
    pub short_id: String,
    /// The exception's type.
    pub kind: String,
    /// What it says.
    pub value: String,
    /// Where.
    pub culprit: String,
    /// `error`, `warning`.
    pub level: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// Events of the last day.
    pub events: u64,
    /// Users of the last day.
    pub users: u64,
    /// First seen so long ago.
    pub first: Duration,
    /// Last seen so long ago.
    pub last: Duration,
    /// Whether something caught it.
    pub handled: bool,
    /// Who has it.
    pub assignee: Option<&'static str>,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// Events a second while the trouble lasts: all servers of the shop, of which the log shows one.
const RATE: u64 = 12;
/// One user in so many events is another one.
const EVENTS_PER_USER: u64 = 7;
/// So long after the trouble it is told as resolved.
const RESOLVED_AFTER: Duration = Duration::from_secs(60);

/// What a kind of trouble has left by `t`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Trace {
    /// How often it came.
    times: u64,
    /// Seconds of it in the last day.
    seconds: u64,
    /// When it first came, and when it was last there, since the start.
    first: u64,
    last: u64,
}

fn trace(of: Trouble, t: Duration) -> Option<Trace> {
    let mut found: Option<Trace> = None;
    let mut period = 0;
    while script::PERIOD * period <= t {
        if let Some((from, to)) = script::trouble_in(u64::from(period)).filter(|(kind, ..)| *kind == of).map(|(_, from, to)| (from, to))
            && from <= t
        {
            let trace = found.get_or_insert(Trace { first: from.as_secs(), ..Trace::default() });
            trace.times += 1;
            trace.last = to.min(t).as_secs();
            if to + Duration::from_secs(DAY) > t {
                trace.seconds += trace.last - from.as_secs();
            }
        }
        period += 1;
    }
    found
}

struct Fixed {
    id: u64,
    short_id: &'static str,
    kind: &'static str,
    value: &'static str,
    culprit: &'static str,
    level: &'static str,
    standing: Standing,
    events: u64,
    users: u64,
    first: u64,
    last: u64,
    handled: bool,
    assignee: Option<&'static str>,
}

const FIXED: [Fixed; 5] = [
    Fixed {
        id: 5401,
        short_id: "SHOP-31C",
        kind: "IntegrityError",
        value: "duplicate key value violates unique constraint \"catalog_product_sku_key\"",
        culprit: "catalog.imports in update_prices",
        level: "error",
        standing: Standing::Regressed,
        events: 3,
        users: 3,
        first: 41 * DAY,
        last: 22 * MINUTE,
        handled: false,
        assignee: Some("catalog"),
    },
    Fixed {
        id: 5466,
        short_id: "SHOP-41B",
        kind: "TimeoutError",
        value: "payment gateway did not answer within 10 s",
        culprit: "payment.gateway in authorise",
        level: "error",
        standing: Standing::Ongoing,
        events: 17,
        users: 14,
        first: 12 * DAY,
        last: 3 * MINUTE,
        handled: true,
        assignee: None,
    },
    Fixed {
        id: 5210,
        short_id: "SHOP-2XA",
        kind: "SMTPServerDisconnected",
        value: "Connection unexpectedly closed",
        culprit: "orders.tasks in send_receipt",
        level: "warning",
        standing: Standing::Ongoing,
        events: 6,
        users: 6,
        first: 90 * DAY,
        last: 48 * MINUTE,
        handled: true,
        assignee: Some("ana"),
    },
    Fixed {
        id: 5032,
        short_id: "SHOP-1QD",
        kind: "ReadTimeout",
        value: "tile server",
        culprit: "stores.views in map",
        level: "error",
        standing: Standing::Archived,
        events: 5,
        users: 5,
        first: 200 * DAY,
        last: 2 * HOUR,
        handled: true,
        assignee: None,
    },
    Fixed {
        id: 5320,
        short_id: "SHOP-2ZT",
        kind: "DoesNotExist",
        value: "Voucher matching query does not exist.",
        culprit: "basket.vouchers in apply",
        level: "error",
        standing: Standing::Resolved,
        events: 2,
        users: 1,
        first: 30 * DAY,
        last: 20 * HOUR,
        handled: false,
        assignee: None,
    },
];

/// All issues at `t`, the last seen first.
pub fn rows(t: Duration) -> Vec<Row> {
    let now = t.as_secs();
    let mut rows: Vec<Row> = FIXED
        .iter()
        .map(|fixed| Row {
            id: fixed.id,
            short_id: fixed.short_id.to_owned(),
            kind: fixed.kind.to_owned(),
            value: fixed.value.to_owned(),
            culprit: fixed.culprit.to_owned(),
            level: fixed.level,
            standing: fixed.standing,
            events: fixed.events,
            users: fixed.users,
            first: Duration::from_secs(fixed.first + now),
            last: Duration::from_secs(fixed.last + now),
            handled: fixed.handled,
            assignee: fixed.assignee,
        })
        .collect();
    for (trouble, id, short_id, kind, value, culprit) in [
        (Trouble::Currency, 5512, "SHOP-4K2", "KeyError", "'currency'", "basket.pricing in total"),
        (Trouble::Index, 5519, "SHOP-4KX", "SearchTimeout", "the index did not answer within 30 s", "search.views in results"),
    ] {
        let Some(trace) = trace(trouble, t) else { continue };
        let over = now.saturating_sub(trace.last);
        let standing = match trace.times {
            _ if over >= RESOLVED_AFTER.as_secs() => Standing::Resolved,
            1 => Standing::New,
            _ => Standing::Regressed,
        };
        let events = (trace.seconds * RATE).max(1);
        rows.push(Row {
            id,
            short_id: short_id.to_owned(),
            kind: kind.to_owned(),
            value: value.to_owned(),
            culprit: culprit.to_owned(),
            level: "error",
            standing,
            events,
            users: events.div_ceil(EVENTS_PER_USER),
            first: Duration::from_secs(now - trace.first),
            last: Duration::from_secs(over),
            handled: false,
            assignee: None,
        });
    }
    // The slow search drags the database along.
    let dragged = trace(Trouble::Currency, t).filter(|trace| now.saturating_sub(trace.last) < RESOLVED_AFTER.as_secs());
    rows.push(Row {
        id: 5377,
        short_id: "SHOP-3ZQ".to_owned(),
        kind: "OperationalError".to_owned(),
        value: "canceling statement due to statement timeout".to_owned(),
        culprit: "search.views in results".to_owned(),
        level: "error",
        standing: if dragged.is_some() { Standing::Escalating } else { Standing::Ongoing },
        events: 4 + dragged.map_or(0, |trace| trace.last.saturating_sub(trace.first).min(34)),
        users: 3 + dragged.map_or(0, |trace| trace.last.saturating_sub(trace.first).min(32) / 6),
        first: Duration::from_secs(6 * DAY + now),
        last: Duration::from_secs(dragged.map_or(HOUR + now, |trace| now.saturating_sub(trace.last))),
        handled: true,
        assignee: None,
    });
    rows.sort_by_key(|row| row.last);
    rows
}

/// More issues, for tests of long lists: `SHOP-X1` is the last seen of them.
pub fn crowd(count: u64) -> impl Iterator<Item = Row> {
    (1..=count).map(|number| Row {
        id: 9_000 + number,
        short_id: format!("SHOP-X{number}"),
        kind: "ValueError".to_owned(),
        value: format!("number {number}"),
        culprit: "crowd".to_owned(),
        level: "error",
        standing: Standing::Ongoing,
        events: number,
        users: 1,
        first: Duration::from_secs(2 * DAY),
        last: Duration::from_secs(DAY + number),
        handled: true,
        assignee: None,
    })
}

/// Events by hour of the last day, oldest first; together they are all events.
pub fn hours(row: &Row) -> [u64; 24] {
    let mut hours = [0; 24];
    let newest = 23_u64.saturating_sub(row.last.as_secs() / HOUR);
    let oldest = 23_u64.saturating_sub(row.first.as_secs() / HOUR);
    if row.last.as_secs() / HOUR > 23 {
        return hours;
    }
    for number in 0..row.events {
        // What grows now is of this hour.
        let hour = if row.standing == Standing::New || row.standing == Standing::Escalating && number >= 4 || number == 0 {
            newest
        } else {
            oldest + dice::roll(row.id * 1_000 + number) % (newest - oldest + 1)
        };
        hours[hour as usize] += 1;
    }
    hours
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(t: u64, short_id: &str) -> Option<Row> {
        rows(Duration::from_secs(t)).into_iter().find(|row| row.short_id == short_id)
    }

    #[test]
    fn the_deploys_trouble_is_new_grows_and_fades() {
        assert_eq!(row(17, "SHOP-4K2"), None);
        let (early, late) = (row(20, "SHOP-4K2").unwrap(), row(45, "SHOP-4K2").unwrap());
        assert_eq!((early.standing, late.standing), (Standing::New, Standing::New));
        assert!(early.events < late.events && early.users < late.users, "{early:?} {late:?}");
        let after = row(80, "SHOP-4K2").unwrap();
        assert_eq!((after.standing, after.events, after.last.as_secs()), (Standing::New, 384, 30));
        assert_eq!(row(115, "SHOP-4K2").unwrap().standing, Standing::Resolved);
        let back = row(870, "SHOP-4K2").unwrap();
        assert_eq!((back.standing, back.first.as_secs()), (Standing::Regressed, 852));
        assert!(back.events > 384);
        assert_eq!(row(445, "SHOP-4KX").unwrap().standing, Standing::New);
    }

    #[test]
    fn in_calm_nothing_is_grave() {
        for t in [0, 10, 120, 300, 600] {
            assert!(rows(Duration::from_secs(t)).iter().all(|row| !matches!(row.standing, Standing::New | Standing::Escalating)), "{t} s");
        }
        assert_eq!(row(30, "SHOP-3ZQ").unwrap().standing, Standing::Escalating);
    }

    #[test]
    fn the_hours_hold_every_event() {
        for t in [0, 40, 500] {
            for row in rows(Duration::from_secs(t)) {
                assert_eq!(hours(&row).iter().sum::<u64>(), row.events, "{row:?}");
            }
        }
    }
}
