//! Time stamps of log lines: how long one is, where its minute ends, and what moment it means.
//!
//! What does not belong here: finding where a line has its stamp (`head`).

use chrono::{DateTime, Datelike, Duration, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};

/// The zone of stamps that name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Configured for the source or its site.
    Named(chrono_tz::Tz),
    /// The machine's.
    Machine,
}

impl Zone {
    /// The moment of a local time. In the doubled hour of autumn the earlier; in the missing hour of spring the time an hour on.
    fn moment(self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        fn pick<T: TimeZone>(zone: &T, local: NaiveDateTime) -> Option<DateTime<Utc>> {
            match zone.from_local_datetime(&local) {
                LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc()),
                LocalResult::None => zone.from_local_datetime(&(local + Duration::hours(1))).earliest().map(|at| at.to_utc()),
            }
        }
        match self {
            Self::Named(zone) => pick(&zone, local),
            Self::Machine => pick(&chrono::Local, local),
        }
    }

    /// The local time of a moment.
    fn local(self, at: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Self::Named(zone) => at.with_timezone(&zone).naive_local(),
            Self::Machine => at.with_timezone(&chrono::Local).naive_local(),
        }
    }
}

/// Where a line has its stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Bytes.
    pub len: usize,
    /// Bytes from `start` that are the same for all stamps of one minute; 0 when the stamp is not written so.
    pub minute: usize,
}

fn digits(text: &[u8], at: usize, count: usize) -> bool {
    text.get(at..at + count).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
}

fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// Whether these are `2026-11-20 03:12` but for the byte between day and time: digits at their places, the marks at theirs. One look at all
/// sixteen at once, because nearly every line of a log begins so.
fn dated(front: [u8; 16]) -> bool {
    const SHAPE: u128 = u128::from_le_bytes(*b"0000-00-00\x0000:00");
    // What is added to a byte so that its high bit tells that it is too large: nine for a digit, nothing for a mark.
    const ROOM: u128 = u128::from_le_bytes(*b"vvvv\x7fvv\x7fvv\x00vv\x7fvv");
    const CARE: u128 = !(0xff << 80);
    const HIGH: u128 = u128::from_le_bytes([0x80; 16]);
    let off = (u128::from_le_bytes(front) ^ SHAPE) & CARE;
    // A byte of 0x80 and more would carry into the next; it is told by itself.
    (off | (off & !HIGH).wrapping_add(ROOM)) & HIGH == 0
}

const MONTHS: [&[u8]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

fn month(text: &[u8], at: usize) -> Option<u32> {
    let name = text.get(at..at + 3)?;
    MONTHS.iter().position(|known| *known == name).map(|place| place as u32 + 1)
}

/// Bytes of `,123`, `.123456` at `at`.
fn fraction(text: &[u8], at: usize) -> usize {
    if matches!(byte(text, at), b',' | b'.') && byte(text, at + 1).is_ascii_digit() {
        1 + text[at + 1..].iter().take(9).take_while(|b| b.is_ascii_digit()).count()
    } else {
        0
    }
}

/// Bytes of `Z`, ` +0000`, `+02:00` at `at`.
fn offset(text: &[u8], at: usize) -> usize {
    let space = usize::from(byte(text, at) == b' ');
    match byte(text, at + space) {
        b'Z' if space == 0 => 1,
        b'+' | b'-' if digits(text, at + space + 1, 4) => space + 5,
        b'+' | b'-' if digits(text, at + space + 1, 2) && byte(text, at + space + 3) == b':' && digits(text, at + space + 4, 2) => space + 6,
        _ => 0,
    }
}

/// The stamp that begins at `start`, whatever its style. A bare time of day counts, a bare number does not.
pub fn span(text: &[u8], start: usize) -> Option<Span> {
    let rest = text.get(start..)?;
    let clock = |at: usize| digits(rest, at, 2) && byte(rest, at + 2) == b':' && digits(rest, at + 3, 2);
    let whole = |clock_at: usize| {
        let mut len = clock_at + 5;
        if byte(rest, len) == b':' && digits(rest, len + 1, 2) {
            len += 3;
            len += fraction(rest, len);
        }
        len += offset(rest, len);
        Span { start, len, minute: clock_at + 5 }
    };
    if let Some(front) = rest.first_chunk::<16>()
        && matches!(front[10], b' ' | b'T')
        && dated(*front)
    {
        return Some(whole(11));
    }
    let first = byte(rest, 0);
    if first.is_ascii_digit() {
        if digits(rest, 0, 4) {
            let mark = byte(rest, 4);
            // 2026-11-20 03:12:01,123 and 2026/11/20 03:12:01.
            let dated = (mark == b'-' || mark == b'/') && digits(rest, 5, 2) && byte(rest, 7) == mark && digits(rest, 8, 2);
            return (dated && matches!(byte(rest, 10), b' ' | b'T') && clock(11)).then(|| whole(11));
        }
        if byte(rest, 2) == b'/' && byte(rest, 6) == b'/' && digits(rest, 0, 2) && digits(rest, 7, 4) {
            // 20/Nov/2026 03:12:01 and 20/Nov/2026:03:12:01 +0000.
            return (month(rest, 3).is_some() && matches!(byte(rest, 11), b' ' | b':') && clock(12)).then(|| whole(12));
        }
        return (clock(0) && byte(rest, 5) == b':').then(|| whole(0));
    }
    month(rest, 0)?;
    // Nov 20 03:12:01, the day padded with a space; Apache writes the year behind it, before a bracket.
    let day = digits(rest, 4, 2) || byte(rest, 4) == b' ' && digits(rest, 5, 1);
    (byte(rest, 3) == b' ' && day && byte(rest, 6) == b' ' && clock(7)).then(|| {
        let span = whole(7);
        let year = byte(rest, span.len) == b' ' && digits(rest, span.len + 1, 4) && byte(rest, span.len + 5) == b']';
        Span { len: span.len + 5 * usize::from(year), ..span }
    })
}

/// What moment a stamp means. `seen` completes what it does not say: the year, or the day, nearest before it.
pub fn moment(text: &[u8], zone: Zone, seen: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = text.trim_ascii();
    let Some(span) = span(text, 0) else { return epoch(text) };
    let number = |at: usize, count: usize| -> Option<u32> { std::str::from_utf8(text.get(at..at + count)?).ok()?.trim_start().parse().ok() };
    let clock_at = span.minute - 5;
    let mut end = clock_at + 5;
    let (mut second, mut nano) = (0, 0);
    if byte(text, end) == b':' {
        second = number(end + 1, 2)?;
        end += 3;
        let len = fraction(text, end);
        if len > 1 {
            nano = number(end + 1, len - 1)? * 10u32.pow(9u32.saturating_sub(len as u32 - 1));
        }
        end += len;
    }
    // A leap second is the last moment of its minute.
    let time = NaiveTime::from_hms_nano_opt(number(clock_at, 2)?, number(clock_at + 3, 2)?, second.min(59), nano)?;
    let date = match clock_at {
        11 => NaiveDate::from_ymd_opt(number(0, 4)?.cast_signed(), number(5, 2)?, number(8, 2)?)?,
        12 => NaiveDate::from_ymd_opt(number(7, 4)?.cast_signed(), month(text, 3)?, number(0, 2)?)?,
        7 if text.len() >= end + 5 && digits(text, end + 1, 4) && byte(text, end) == b' ' => {
            let year = number(end + 1, 4)?;
            end += 5;
            NaiveDate::from_ymd_opt(year.cast_signed(), month(text, 0)?, number(4, 2)?)?
        }
        7 => {
            let local = zone.local(seen);
            let (month, day) = (month(text, 0)?, number(4, 2)?);
            let this = NaiveDate::from_ymd_opt(local.year(), month, day);
            match this {
                Some(date) if date <= local.date() + Duration::days(1) => date,
                _ => NaiveDate::from_ymd_opt(local.year() - 1, month, day)?,
            }
        }
        _ => {
            let local = zone.local(seen);
            if local.date().and_time(time) > local + Duration::hours(1) { local.date().pred_opt()? } else { local.date() }
        }
    };
    let local = date.and_time(time);
    let zoned = text.get(end..end + offset(text, end)).unwrap_or_default().trim_ascii_start();
    if zoned.is_empty() {
        return zone.moment(local);
    }
    if zoned == b"Z" {
        return Some(local.and_utc());
    }
    let figures: Vec<u8> = zoned.iter().copied().filter(u8::is_ascii_digit).collect();
    let figures: i32 = std::str::from_utf8(&figures).ok()?.parse().ok()?;
    let seconds = (figures / 100 * 60 + figures % 100) * 60;
    let zone = FixedOffset::east_opt(if zoned[0] == b'-' { -seconds } else { seconds })?;
    zone.from_local_datetime(&local).single().map(|at| at.to_utc())
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by size, as JSON loggers write them.
fn epoch(text: &[u8]) -> Option<DateTime<Utc>> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let seconds = match number {
        n if (1e8..1e11).contains(&n) => n,
        n if (1e11..1e14).contains(&n) => n / 1e3,
        n if (1e14..1e17).contains(&n) => n / 1e6,
        n if (1e17..1e20).contains(&n) => n / 1e9,
        _ => return None,
    };
    DateTime::from_timestamp_micros((seconds * 1e6).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn styles_of_stamps() {
        let seen = at("2026-11-20T12:00:00Z");
        let zone = Zone::Named(chrono_tz::Europe::Berlin);
        for (text, means) in [
            ("2026-11-20 03:12:01,123", "2026-11-20T02:12:01.123Z"),
            ("2026-11-20T03:12:01.123456Z", "2026-11-20T03:12:01.123456Z"),
            ("2026-11-20 03:12:01 +0000", "2026-11-20T03:12:01Z"),
            ("2026-11-20T03:12:01-05:30", "2026-11-20T08:42:01Z"),
            ("2026-11-20 03:12", "2026-11-20T02:12:00Z"),
            ("2026/11/20 03:12:01", "2026-11-20T02:12:01Z"),
            ("20/Nov/2026 03:12:01", "2026-11-20T02:12:01Z"),
            ("20/Nov/2026:03:12:01 +0100", "2026-11-20T02:12:01Z"),
            ("Nov 20 03:12:01", "2026-11-20T02:12:01Z"),
            ("Nov  9 03:12:01", "2026-11-09T02:12:01Z"),
            ("Dec 24 03:12:01", "2025-12-24T02:12:01Z"),
            ("Nov 20 03:12:01.5 2024]", "2024-11-20T02:12:01.500Z"),
            ("Nov 20 03:12:01.5 2024", "2024-11-20T02:12:01.500Z"),
            ("03:12:01,5", "2026-11-20T02:12:01.500Z"),
            ("23:12:01", "2026-11-19T22:12:01Z"),
            ("1795144321", "2026-11-20T03:12:01Z"),
            ("1795144321.5", "2026-11-20T03:12:01.500Z"),
            ("1795144321500", "2026-11-20T03:12:01.500Z"),
        ] {
            assert_eq!(moment(text.as_bytes(), zone, seen), Some(at(means)), "{text}");
        }
        for text in ["", "12", "2026-13-20 03:12:01", "2026-11-20", "03:12", "20/Nox/2026 03:12:01", "Nov 31 03:12:01", "1e400", "99:99:99"] {
            assert_eq!(moment(text.as_bytes(), zone, seen), None, "{text}");
        }
    }

    #[test]
    fn the_missing_and_the_doubled_hour_have_a_moment() {
        let zone = Zone::Named(chrono_tz::Europe::Berlin);
        let seen = at("2026-11-20T12:00:00Z");
        assert_eq!(moment(b"2026-03-29 02:30:00", zone, seen), Some(at("2026-03-29T01:30:00Z")));
        assert_eq!(moment(b"2026-10-25 02:30:00", zone, seen), Some(at("2026-10-25T00:30:00Z")));
    }

    #[test]
    fn a_stamp_with_any_other_byte_in_it_is_none() {
        let stamp = *b"2026-11-20 03:12";
        for at in 0..stamp.len() {
            for other in 0..=u8::MAX {
                let mut text = stamp;
                text[at] = other;
                let whole = match stamp[at] {
                    b'0'..=b'9' => other.is_ascii_digit(),
                    b' ' => matches!(other, b' ' | b'T'),
                    mark => other == mark,
                };
                // What is left of it may still hold a stamp of another style.
                assert_eq!(span(&text, 0).is_some_and(|span| span.minute == 16), whole, "{}", String::from_utf8_lossy(&text));
            }
        }
    }

    #[test]
    fn the_minute_of_a_stamp_is_its_front() {
        let span = span(b"x 2026-11-20 03:12:01,123 y", 2).unwrap();
        assert_eq!((span.len, span.minute), (23, 16));
    }
}
