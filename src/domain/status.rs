//! The status of a source. `acknowledged` is an overlay of findings, never a status.

use serde::{Deserialize, Serialize};

use super::Severity;

/// How a source stands. *Down* and *degraded* mean that the observed thing is bad; *unknown* that we could not look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Looked at, in time, within limits.
    Ok,
    /// Over a warning limit.
    Degraded,
    /// Not working, or over a critical limit.
    Down,
    /// Failed, and being retried before it is judged; also: not looked at yet.
    Pending,
    /// We could not look; the error says why.
    Unknown,
    /// Known once, older than its expected interval.
    Stale,
    /// Not being checked.
    Paused,
    /// In a maintenance window, not judged.
    Maintenance,
}

impl Status {
    /// Where it stands in a list that begins with the worst: lower is worse.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Down => 0,
            Self::Unknown => 1,
            Self::Stale => 2,
            Self::Degraded => 3,
            Self::Pending => 4,
            Self::Maintenance => 5,
            Self::Paused => 6,
            Self::Ok => 7,
        }
    }

    /// What it counts as in the exit code of `check`; `None` counts as ok.
    #[must_use]
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Self::Down => Some(Severity::Critical),
            Self::Unknown | Self::Stale => Some(Severity::Unknown),
            Self::Degraded => Some(Severity::Warning),
            Self::Ok | Self::Pending | Self::Paused | Self::Maintenance => None,
        }
    }

    /// The word of the JSON contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::Stale => "stale",
            Self::Paused => "paused",
            Self::Maintenance => "maintenance",
        }
    }
}
