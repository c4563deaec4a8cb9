//! Intake: what a tracker did with the events it was sent. What it did not keep is an error that nobody sees.

use serde::{Deserialize, Serialize};

/// Events that were not kept, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// `rate_limited`, `filtered`, `invalid`, `abuse`, …
    pub outcome: String,
    /// The tracker's own word for why, where it says so.
    #[serde(default)]
    pub reason: Option<String>,
    /// How many.
    pub events: u64,
}

/// What became of the events of some hours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intake {
    /// The hours that were looked at.
    pub hours: u64,
    /// Events that were kept.
    pub accepted: u64,
    /// Events that were not, most first.
    #[serde(default)]
    pub dropped: Vec<Dropped>,
    /// What the events were counted of: a project, or the whole organization.
    #[serde(default)]
    pub of: String,
}

impl Intake {
    /// Events that were lost though nobody asked for it: over a quota, refused, broken.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.iter().filter(|one| one.outcome != "filtered").fold(0, |sum, one| sum.saturating_add(one.events))
    }

    /// Events that the project's own filters left out.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        self.dropped.iter().filter(|one| one.outcome == "filtered").fold(0, |sum, one| sum.saturating_add(one.events))
    }

    /// All events.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.accepted.saturating_add(self.lost()).saturating_add(self.filtered())
    }
}
