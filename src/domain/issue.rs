//! Issues: errors that an error tracker grouped.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Level;

/// Where an issue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssueState {
    /// Seen for the first time lately.
    New,
    /// Was resolved, and is back.
    Regressed,
    /// Comes more often than it did.
    Escalating,
    /// Known and unresolved.
    Ongoing,
    /// Put aside.
    Archived,
    /// Done with.
    Resolved,
}

impl IssueState {
    /// The word of the JSON contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Regressed => "regressed",
            Self::Escalating => "escalating",
            Self::Ongoing => "ongoing",
            Self::Archived => "archived",
            Self::Resolved => "resolved",
        }
    }
}

/// One issue. Text is from outside, bounded, not yet cleaned for a terminal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Issue {
    /// The tracker's own id.
    pub id: String,
    /// The id that people say: `SHOP-4K2`.
    pub short_id: String,
    /// Exception type and value, or the message.
    pub title: String,
    /// The place it happens in.
    pub culprit: Option<String>,
    /// Its level.
    pub level: Level,
    /// How many events, in the period that was asked for.
    pub events: u64,
    /// How many users, where the tracker knows.
    pub users: Option<u64>,
    /// First time seen.
    pub first_seen: Option<DateTime<Utc>>,
    /// Last time seen.
    pub last_seen: Option<DateTime<Utc>>,
    /// Where it stands.
    pub state: IssueState,
    /// Its page.
    pub permalink: Option<String>,
    /// Events by hour of the last day, oldest first; empty where not known.
    #[serde(default)]
    pub hours: Vec<u64>,
    /// Whether nothing caught it.
    #[serde(default)]
    pub unhandled: Option<bool>,
    /// Who has it.
    #[serde(default)]
    pub assignee: Option<String>,
    /// `low`, `medium`, `high`, where the tracker knows.
    #[serde(default)]
    pub priority: Option<String>,
}

/// The issues of one project, as far as they were read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Issues {
    /// How many there are by the tracker's own count, which may be more than `items`.
    pub total: u64,
    /// Those that were read.
    pub items: Vec<Issue>,
    /// The tracker, for reading: `sentry`, `glitchtip`.
    #[serde(default)]
    pub server: String,
}
