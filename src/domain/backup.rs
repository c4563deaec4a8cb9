//! Backups: one data set, its copies, and what was promised of them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A restore into a scratch place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Drill {
    /// When.
    #[serde(with = "super::time::seconds")]
    pub at: DateTime<Utc>,
    /// Whether every assertion held.
    pub ok: bool,
    /// How long it took.
    pub seconds: f64,
    /// The copy that was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
    /// What each part of it took, in seconds, in order: `restore`, `load`, `assert`, `clean`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<(String, f64)>,
    /// What was asserted of the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assertions: Vec<Assertion>,
    /// Why it failed, one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One assertion of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assertion {
    /// As configured, for reading: `rows of orders at least 1000`.
    pub name: String,
    /// Whether it held.
    pub ok: bool,
    /// What was seen.
    pub seen: String,
}

/// One run of the job that makes copies, or of the tool's own check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobRun {
    /// When it began, where known.
    pub started: Option<DateTime<Utc>>,
    /// When it ended; `None`: it runs, or nobody saw it end.
    pub ended: Option<DateTime<Utc>>,
    /// Whether it went well; `None`: not known yet.
    pub ok: Option<bool>,
    /// What it said of itself, one sentence.
    pub message: String,
    /// The end of what it printed, where the tool or the service keeps that of a failed run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
}

impl JobRun {
    /// Lines kept of what a run printed.
    pub const LINES: usize = 40;

    /// The last lines of what a run printed, bounded, without empty ones at the end. A tab is a blank; other control characters are left out.
    #[must_use]
    pub fn tail(printed: &str) -> Vec<String> {
        let clean = |line: &str| {
            let line = line.trim_end().chars().filter_map(|c| if c == '\t' { Some(' ') } else { Some(c).filter(|c| !c.is_control()) });
            line.take(300).collect::<String>()
        };
        let mut lines: Vec<String> = printed.trim_end().lines().rev().take(Self::LINES).map(clean).collect();
        lines.reverse();
        if lines.iter().all(String::is_empty) { Vec::new() } else { lines }
    }
}

/// The last look of the tool itself at what it keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// When it ended.
    #[serde(with = "super::time::seconds")]
    pub at: DateTime<Utc>,
    /// Whether all was well.
    pub ok: bool,
    /// How deep it went: `structure only`, `5 % of the data`, `all data`.
    pub depth: String,
    /// What it found.
    #[serde(default)]
    pub message: String,
}

/// A lock that somebody holds on a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Who, as the tool tells it: `web1 (pid 4127)`.
    pub holder: String,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// Whether its holder is known to be gone.
    pub stale: bool,
}

/// One place where copies are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// For reading: `nas1`, `s3`, `/backups/media`.
    pub name: String,
    /// The newest good copy there.
    pub newest: Option<DateTime<Utc>>,
    /// Whether it is on the machine (or the disk) whose data it protects; `None`: not known.
    pub same_machine: Option<bool>,
}

/// One copy: a snapshot, an archive, a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// When the run that made it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<DateTime<Utc>>,
    /// What it added to the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_bytes: Option<u64>,
    /// The machine it was made on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// `full`, `incremental`, `differential`, `snapshot`, where the tool tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// One data set's backups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// The last runs of its job, newest last, bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<JobRun>,
    /// The last run that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<JobRun>,
    /// When the next copy is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<DateTime<Utc>>,
    /// The tool's own last check, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// Locks on the repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<Lock>,
    /// Where copies are; empty where not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// What the repository takes on its disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_bytes: Option<u64>,
    /// Free space where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// When that space runs out at the rate of the past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_on: Option<DateTime<Utc>>,
    /// The promise: how often a restore is tried, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_every_s: Option<u64>,
    /// The promise: how often the tool checks what it keeps, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_every_s: Option<u64>,
}
