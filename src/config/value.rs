//! Values that many kinds share: a duration as the configuration writes it. (A secret is [`crate::io::secret::SecretRef`].)

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::time::{duration_text, parse_duration};

/// A duration of the configuration: `"500ms"`, `"30s"`, `"5m"`, `"26h"`, `"14d"`, also joined as `"1h30m"`.
///
/// In a kind's `Config` an optional one is `Option<Dur>`, one with a default is `Dur` with `#[serde(default = "…")]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dur(pub Duration);

impl Dur {
    /// So many seconds, for defaults.
    #[must_use]
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds, for defaults.
    #[must_use]
    pub const fn millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// So many days, for defaults.
    #[must_use]
    pub const fn days(days: u64) -> Self {
        Self(Duration::from_secs(days * 86_400))
    }

    /// The duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Dur> for Duration {
    fn from(dur: Dur) -> Self {
        dur.0
    }
}

impl From<Duration> for Dur {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl fmt::Debug for Dur {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Dur {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&duration_text(self.0))
    }
}

impl Serialize for Dur {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dur {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Dur;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit in quotes, such as \"30s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Dur, E> {
                parse_duration(text).map(Dur).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Dur, E> {
                Err(E::custom(format!("a duration needs its unit, in quotes: write \"{number}s\" for {number} seconds")))
            }
        }

        // Not `deserialize_str`, so that a number is seen as a number and gets its own sentence.
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for Dur {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "rounds-duration",
            "pattern": r"^\s*([0-9]+(\.[0-9]+)?(ms|s|m|min|h|d|w)\s*)+$",
            "examples": ["500ms", "30s", "5m", "26h", "14d"],
        })
    }
}

/// A size of the configuration: `"10MiB"`, `"500 kB"`, or a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Reads `10MiB`, `500 kB`, `1.5G`: decimal units as written, binary ones with `i`; a bare letter is binary, as people mean it.
fn parse_size(text: &str) -> Result<u64, String> {
    const HELP: &str = "write a number and a unit, such as \"500kB\", \"10MiB\" or \"2GiB\"";
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| format!("\"{text}\" is not a size: {HELP}"))?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        other => return Err(format!("\"{other}\" is not a unit of size: {HELP}")),
    };
    // A float-to-int cast saturates, which is the wanted behaviour for absurd values.
    Ok((number * factor as f64) as u64)
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;

        impl de::Visitor<'_> for TextOrNumber {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"10MiB\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                parse_size(text).map(Size).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Size, E> {
                u64::try_from(number).map(Size).map_err(|_| E::custom("a size is not negative"))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Size, E> {
                Ok(Size(number))
            }
        }

        deserializer.deserialize_any(TextOrNumber)
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "description": "A size: a number and a unit, such as \"10MiB\", or bytes." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Sample {
        every: Dur,
        wait: Option<Dur>,
    }

    #[test]
    fn reads_and_writes_itself() {
        let sample: Sample = toml::from_str("every = \"1h30m\"").unwrap();
        assert_eq!((sample.every, sample.wait), (Dur::secs(5_400), None));
        assert_eq!(serde_json::to_string(&sample.every).unwrap(), "\"1h30m\"");
    }

    #[test]
    fn errors_point_at_the_value_and_say_what_is_right() {
        for (text, message, span) in [
            ("every = \"soon\"", "\"soon\" is not a duration: write a number and a unit, such as \"500ms\", \"30s\", \"5m\", \"26h\" or \"14d\"", 8..14),
            ("every = 30", "a duration needs its unit, in quotes: write \"30s\" for 30 seconds", 8..10),
            ("every = true", "invalid type: boolean `true`, expected a duration with its unit in quotes, such as \"30s\"", 8..12),
        ] {
            let error = toml::from_str::<Sample>(text).unwrap_err();
            assert_eq!(error.message(), message);
            assert_eq!(error.span(), Some(span), "{text}");
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("10MiB", 10 << 20), ("500 kB", 500_000), ("1.5G", 3 << 29), ("42", 42)] {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        for bad in ["", "MiB", "10 parsecs", "-1k"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
