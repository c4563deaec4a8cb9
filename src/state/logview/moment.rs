//! Moments as people type them: `03:12`, `-15m`, `yesterday 18:00`, `2026-11-20 03:12`.
//!
//! What does not belong here: durations of the configuration (`domain::time`), how a moment looks on the screen (`ui::text`).

use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc, Weekday};

use crate::domain::Timestamp;
use crate::domain::time::parse_duration;
use crate::state::view::ZoneName;

const HELP: &str = "write 03:12, -15m, yesterday 18:00, or 2026-11-20 03:12";

/// Reads a moment in the past. A time of day without a day is the last one; a day without a time is its beginning; a duration, with or
/// without `-`, is so long ago.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub fn parse_moment(text: &str, now: Timestamp, zone: ZoneName) -> Result<Timestamp, String> {
    let text = text.trim();
    let wrong = || format!("\"{text}\" is no moment: {HELP}");
    if text.is_empty() {
        return Err(format!("no moment: {HELP}"));
    }
    if text == "now" {
        return Ok(now);
    }
    if let Ok(at) = DateTime::<FixedOffset>::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    if let Ok(ago) = parse_duration(text.strip_prefix('-').unwrap_or(text)) {
        return chrono::Duration::from_std(ago).ok().and_then(|ago| now.checked_sub_signed(ago)).ok_or_else(wrong);
    }
    let here = local(now, zone);
    if let Some(time) = time_of(text) {
        let today = here.date().and_time(time);
        let at = from_local(today, zone).ok_or_else(wrong)?;
        if at <= now {
            return Ok(at);
        }
        return here.date().checked_sub_days(Days::new(1)).and_then(|day| from_local(day.and_time(time), zone)).ok_or_else(wrong);
    }
    let (day, time) = match text.split_once(' ').or_else(|| text.split_once('T')) {
        Some((day, time)) if day_of(day, here.date()).is_some() => (day, time_of(time.trim()).ok_or_else(wrong)?),
        _ => (text, NaiveTime::MIN),
    };
    let day = day_of(day, here.date()).ok_or_else(wrong)?;
    from_local(day.and_time(time), zone).ok_or_else(wrong)
}

fn time_of(text: &str) -> Option<NaiveTime> {
    ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|format| NaiveTime::parse_from_str(&text.replace(',', "."), format).ok())
}

fn day_of(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    match text.to_ascii_lowercase().as_str() {
        "today" => Some(today),
        "yesterday" => today.pred_opt(),
        word => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().or_else(|| {
            let wanted: Weekday = word.parse().ok()?;
            // The last day of that name; today is one of them.
            let back = (7 + today.weekday().num_days_from_monday() - wanted.num_days_from_monday()) % 7;
            today.checked_sub_days(Days::new(u64::from(back)))
        }),
    }
}

fn local(at: Timestamp, zone: ZoneName) -> NaiveDateTime {
    let offset = match zone {
        ZoneName::Utc => return at.naive_utc(),
        ZoneName::Fixed(offset) => offset,
        ZoneName::Named(zone) => zone.offset_from_utc_datetime(&at.naive_utc()).fix(),
    };
    at.naive_utc().checked_add_offset(offset).unwrap_or_else(|| at.naive_utc())
}

/// The first moment that a clock in this zone shows so; where it is skipped in spring, the one an hour later.
fn from_local(at: NaiveDateTime, zone: ZoneName) -> Option<Timestamp> {
    let first = |at: &NaiveDateTime| match zone {
        ZoneName::Utc => Some(at.and_utc()),
        ZoneName::Fixed(offset) => offset.from_local_datetime(at).earliest().map(|at| at.with_timezone(&Utc)),
        ZoneName::Named(zone) => zone.from_local_datetime(at).earliest().map(|at| at.with_timezone(&Utc)),
    };
    first(&at).or_else(|| first(&at.checked_add_signed(chrono::Duration::hours(1))?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Friday 20 November 2026, 03:12:04 in Berlin.
    fn now() -> Timestamp {
        Utc.with_ymd_and_hms(2026, 11, 20, 2, 12, 4).unwrap()
    }

    #[test]
    fn moments_are_read_as_people_type_them() {
        let zone = ZoneName::Named(chrono_tz::Europe::Berlin);
        for (text, at) in [
            ("03:12", "2026-11-20T02:12:00Z"),
            ("3:12", "2026-11-20T02:12:00Z"),
            ("03:12:04,5", "2026-11-19T02:12:04.500Z"),
            ("03:13", "2026-11-19T02:13:00Z"),
            ("-15m", "2026-11-20T01:57:04Z"),
            ("2h", "2026-11-20T00:12:04Z"),
            ("1h30m", "2026-11-20T00:42:04Z"),
            ("today", "2026-11-19T23:00:00Z"),
            ("yesterday 18:00", "2026-11-19T17:00:00Z"),
            ("Thu 18:00", "2026-11-19T17:00:00Z"),
            ("fri", "2026-11-19T23:00:00Z"),
            ("2026-11-18", "2026-11-17T23:00:00Z"),
            ("2026-07-01T12:00", "2026-07-01T10:00:00Z"),
            ("2026-11-18 03:12:04", "2026-11-18T02:12:04Z"),
            ("2026-11-18T03:12:04+00:00", "2026-11-18T03:12:04Z"),
            ("2026-03-29 02:30", "2026-03-29T01:30:00Z"),
            ("now", "2026-11-20T02:12:04Z"),
        ] {
            assert_eq!(parse_moment(text, now(), zone), Ok(at.parse().unwrap()), "{text}");
        }
        for text in ["", "soon", "25:00", "2026-13-01", "15", "yesterday noon", "-"] {
            let said = parse_moment(text, now(), zone).unwrap_err();
            assert!(said.contains("03:12"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,30}|[0-9:T -]{0,20}", offset in -80_000i32..80_000) {
            let zone = FixedOffset::east_opt(offset).map_or(ZoneName::Utc, ZoneName::Fixed);
            let _ = parse_moment(&text, now(), zone);
            let _ = parse_moment(&text, Timestamp::MIN_UTC, ZoneName::Utc);
        }
    }
}
