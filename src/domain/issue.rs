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
    /// The release it was first seen in, where that was read.
    #[serde(default)]
    pub first_release: Option<String>,
}

/// What one saved query gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Its name in the configuration.
    pub name: String,
    /// The search, in the tracker's own language.
    pub query: String,
    /// How many there are by the tracker's own count.
    pub total: u64,
    /// Those that were read.
    pub items: Vec<Issue>,
}

/// The issues of one project, as far as they were read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Issues {
    /// How many there are by the tracker's own count, which may be more than `items`.
    pub total: u64,
    /// Those that were read.
    pub items: Vec<Issue>,
    /// The tracker, for reading: `sentry`, `glitchtip`.
    #[serde(default)]
    pub server: String,
    /// The place of the first of `items` in the tracker's list: 0, or where a later part of a long list goes on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from: u64,
    /// The ids of the whole list, where that was read in several parts: what is known and is not among them is gone. Empty: nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// What the saved queries gave, in the order of their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub saved: Vec<Saved>,
}

/// For serde, which hands out a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Issues {
    /// The issue of this id, of the list or of what a saved query gave.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Issue> {
        self.items.iter().chain(self.saved.iter().flat_map(|saved| &saved.items)).find(|issue| issue.id == id)
    }
}
