//! Times, durations and ages as text. Pure: `now` is always an argument.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

/// A moment, always in UTC; local zones are a matter of the screen.
pub type Timestamp = DateTime<Utc>;

/// RFC 3339 in UTC with whole seconds: `2026-11-20T08:00:00Z`.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Serde form of a moment: RFC 3339 UTC with whole seconds, as the JSON contract says.
pub mod seconds {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes whole seconds.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::rfc3339(*at))
    }

    /// Reads any RFC 3339 time.
    ///
    /// # Errors
    /// When the text is no RFC 3339 time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        DateTime::<Utc>::deserialize(deserializer)
    }
}

/// How long ago `then` was, never negative (a clock may have jumped).
#[must_use]
pub fn since(then: Timestamp, now: Timestamp) -> Duration {
    (now - then).to_std().unwrap_or(Duration::ZERO)
}

/// Reads a duration of the configuration: `500ms`, `30s`, `5m`, `26h`, `14d`, `2w`, also joined as `1h30m`.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const HELP: &str = "write a number and a unit, such as \"500ms\", \"30s\", \"5m\", \"26h\" or \"14d\"";
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("an empty duration: {HELP}"));
    }
    let mut rest = text;
    let mut total = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: f64 = number.parse().map_err(|_| format!("\"{text}\" is not a duration: {HELP}"))?;
        let unit = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "" => return Err(format!("\"{text}\" has no unit: {HELP}")),
            other => return Err(format!("\"{other}\" is not a unit of time: {HELP}")),
        };
        total += number * unit;
        rest = after.trim_start();
    }
    Duration::try_from_secs_f64(total).map_err(|_| format!("\"{text}\" is too long"))
}

/// Writes a duration as the configuration reads it, exactly: `90s` stays `1m30s`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let mut ms = duration.as_millis();
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if ms >= size {
            text.push_str(&format!("{}{unit}", ms / size));
            ms %= size;
        }
    }
    text
}

/// A duration for reading, one or two units: `6 s`, `14 m`, `2 h 32 m`, `24 d`.
#[must_use]
pub fn human(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} m", s / 60),
        3_600..36_000 if s % 3_600 >= 60 => format!("{} h {} m", s / 3_600, s % 3_600 / 60),
        3_600..172_800 => format!("{} h", s / 3_600),
        _ => format!("{} d", s / 86_400),
    }
}

/// The steps in which an age moves on the screen, in seconds; past the last one it moves by days.
const AGE_STEPS: [u64; 13] = [5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400];

/// The age as the screen shows it: the smallest step not below it, so that a step is a change and nothing between is drawn.
#[must_use]
pub fn age_step(age: Duration) -> Duration {
    let s = age.as_secs();
    let step = AGE_STEPS.into_iter().find(|step| s <= *step).unwrap_or_else(|| s.div_ceil(86_400) * 86_400);
    Duration::from_secs(step)
}

/// How long until [`age_step`] of this age changes.
#[must_use]
pub fn until_next_step(age: Duration) -> Duration {
    age_step(age).saturating_sub(age) + Duration::from_millis(1_001)
}

/// The age in steps as text: `5 s`, `15 s`, `2 m`, `1 h`.
#[must_use]
pub fn age_text(age: Duration) -> String {
    human(age_step(age))
}

/// Bytes for reading, three significant digits at most: `254 MiB`, `1.84 GiB`.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Milliseconds for reading, three significant digits at most: `34 ms`, `940 ms`, `1.24 s`.
#[must_use]
pub fn millis_text(ms: f64) -> String {
    if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else if ms < 9_995.0 {
        format!("{:.2} s", ms / 1_000.0)
    } else if ms < 99_950.0 {
        format!("{:.1} s", ms / 1_000.0)
    } else {
        format!("{:.0} s", ms / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write() {
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("26h", 93_600_000), ("14d", 1_209_600_000), ("1h30m", 5_400_000), ("1.5s", 1_500)]
        {
            assert_eq!(parse_duration(text).unwrap().as_millis(), ms, "{text}");
        }
        for bad in ["", "30", "s", "-5s", "5 parsecs", "1e9d", "5..s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(duration_text(Duration::from_secs(93_600)), "1d2h");
        assert_eq!(parse_duration(&duration_text(Duration::from_millis(90_500))).unwrap().as_millis(), 90_500);
    }

    #[test]
    fn ages_have_one_or_two_units() {
        for (s, text) in [(6, "6 s"), (840, "14 m"), (9_120, "2 h 32 m"), (32_400, "9 h"), (2_073_600, "24 d"), (36_060, "10 h")] {
            assert_eq!(human(Duration::from_secs(s)), text);
        }
    }

    #[test]
    fn an_age_moves_in_steps() {
        assert_eq!(age_text(Duration::from_secs(1)), "5 s");
        assert_eq!(age_text(Duration::from_secs(6)), "15 s");
        assert_eq!(age_text(Duration::from_secs(61)), "2 m");
        assert_eq!(age_text(Duration::from_secs(90_000)), "2 d");
    }

    #[test]
    fn sizes_have_three_digits() {
        for (n, text) in [(0, "0 B"), (512, "512 B"), (1_024, "1.00 KiB"), (266_338_304, "254 MiB"), (1_975_684_956, "1.84 GiB")] {
            assert_eq!(size_text(n), text);
        }
    }

    #[test]
    fn milliseconds_have_three_digits() {
        for (ms, text) in [(0.4, "0.4 ms"), (34.1, "34 ms"), (940.0, "940 ms"), (1_240.0, "1.24 s"), (33_000.0, "33.0 s")] {
            assert_eq!(millis_text(ms), text);
        }
    }
}
