//! Backups: one data set, its copies, and what was promised of them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A restore into a scratch place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drill {
    /// When.
    #[serde(with = "super::time::seconds")]
    pub at: DateTime<Utc>,
    /// Whether every assertion held.
    pub ok: bool,
    /// How long it took.
    pub seconds: f64,
}

/// One copy: a snapshot, an archive, a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copy {
    /// Its name there.
    pub name: String,
    /// When it was finished.
    #[serde(with = "super::time::seconds")]
    pub at: DateTime<Utc>,
    /// Its size, where known.
    pub size_bytes: Option<u64>,
    /// Whether it is whole, where that was looked at.
    pub complete: Option<bool>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One data set's backups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backup {
    /// When the last good copy was finished.
    pub last_success: Option<DateTime<Utc>>,
    /// Its age when this was looked at, in seconds.
    pub age_s: Option<u64>,
    /// How many copies there are.
    pub snapshots: u64,
    /// Size of the last good copy.
    pub size_bytes: Option<u64>,
    /// When its content was last checked by the tool, or by us.
    pub checked_at: Option<DateTime<Utc>>,
    /// The last restore into a scratch place.
    pub drill: Option<Drill>,
    /// The tool: `files`, `restic`, …
    #[serde(default)]
    pub tool: String,
    /// Where it is.
    #[serde(default)]
    pub place: String,
    /// The promise: how old the last good copy may be, in seconds.
    #[serde(default)]
    pub max_age_s: Option<u64>,
    /// The promise: how small it may be.
    #[serde(default)]
    pub min_size_bytes: Option<u64>,
    /// The promise: how many copies are kept.
    #[serde(default)]
    pub retention: Option<u64>,
    /// The median size of the copies before the last, where there are enough.
    #[serde(default)]
    pub median_size_bytes: Option<u64>,
    /// The newest copies, newest last, bounded.
    #[serde(default)]
    pub copies: Vec<Copy>,
    /// What is wrong, worst first, one line each: `shrank 38 %: 254 MiB, median 411 MiB`.
    #[serde(default)]
    pub complaints: Vec<String>,
}
