//! Life lines: until when a version of a product is supported, and what comes after it.
//!
//! What does not belong here: where the dates come from (`packages::life`), whether an end needs a person (`rules::eol`).

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// How far along a release is on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Faults are mended.
    Full,
    /// Only weaknesses are.
    Security,
    /// Nothing is.
    Ended,
    /// Nothing tells.
    Unknown,
}

impl Phase {
    /// The word of the JSON contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Security => "security",
            Self::Ended => "ended",
            Self::Unknown => "unknown",
        }
    }
}

/// A release to move to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextRelease {
    /// Its series: `6.2`.
    pub cycle: String,
    /// When it came or will come out.
    pub at: Option<NaiveDate>,
    /// Whether it is one with long support.
    pub lts: bool,
    /// The end of its support, where known.
    pub security_until: Option<NaiveDate>,
}

/// The life of one release of one product.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifeLine {
    /// As the dates name it: `django`.
    pub product: String,
    /// For reading: `Django`.
    pub label: String,
    /// The version that is used, as seen.
    pub version: String,
    /// The series that it belongs to; absent when the dates know none.
    pub cycle: Option<String>,
    /// Whether that series has long support.
    pub lts: bool,
    /// When it came out.
    pub start: Option<NaiveDate>,
    /// The day on which full support ends; absent where the product has no such phase.
    pub full_until: Option<NaiveDate>,
    /// The day on which security support ends; absent when not known.
    pub security_until: Option<NaiveDate>,
    /// Said to have ended, without a date.
    #[serde(default)]
    pub ended: bool,
    /// The newest release of the series.
    pub latest: Option<String>,
    /// The newest series with long support that is out, or the next feature release for a product without such, when it is not this one.
    pub next: Option<NextRelease>,
    /// The next one with long support that is not out yet.
    pub coming: Option<NextRelease>,
    /// What it does not go together with: `Django 6.1 needs Python 3.12`.
    #[serde(default)]
    pub conflicts: Vec<String>,
    /// Where it was seen: `the environment`, `products`.
    pub seen: String,
}

impl LifeLine {
    /// How far along it is on this day. On the day of an end there is support no longer.
    #[must_use]
    pub fn phase(&self, today: NaiveDate) -> Phase {
        if self.ended || self.security_until.is_some_and(|end| today >= end) {
            return Phase::Ended;
        }
        match (self.full_until, self.security_until) {
            (Some(full), _) if today >= full => Phase::Security,
            (Some(_), _) | (None, Some(_)) => Phase::Full,
            (None, None) => Phase::Unknown,
        }
    }

    /// `Django 5.2 LTS`, for reading.
    #[must_use]
    pub fn title(&self) -> String {
        let version = self.cycle.as_deref().unwrap_or(&self.version);
        format!("{} {version}{}", self.label, if self.lts { " LTS" } else { "" })
    }
}

/// The life lines that a source knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifeLines {
    /// Those that ended first, then by their end.
    pub items: Vec<LifeLine>,
    /// When the dates were made.
    pub dates_at: Option<DateTime<Utc>>,
    /// Whether they are the ones that came with the program.
    pub embedded: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn support_ends_on_its_day() {
        let day = |text: &str| text.parse::<NaiveDate>().ok();
        let line = LifeLine { full_until: day("2025-12-03"), security_until: day("2028-04-30"), ..LifeLine::default() };
        for (today, phase) in [("2025-12-02", Phase::Full), ("2025-12-03", Phase::Security), ("2028-04-29", Phase::Security), ("2028-04-30", Phase::Ended)] {
            assert_eq!(line.phase(day(today).unwrap()), phase, "{today}");
        }
        assert_eq!(LifeLine::default().phase(day("2026-01-01").unwrap()), Phase::Unknown);
        assert_eq!(LifeLine { ended: true, ..LifeLine::default() }.phase(day("2026-01-01").unwrap()), Phase::Ended);
    }
}
