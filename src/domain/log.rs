//! What a log source delivers: batches of counts, groups and the newest events. A log line is not an observation.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Severity of a log event, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For developers.
    Debug,
    /// Ordinary; also a line without a level.
    Info,
    /// Worth a look.
    Warning,
    /// Something failed.
    Error,
    /// The program cannot go on.
    Critical,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Self; 5] = [Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// The word of the JSON contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// The letter of the logs page; critical is shown as an error.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Debug => 'D',
            Self::Info => 'I',
            Self::Warning => 'W',
            Self::Error | Self::Critical => 'E',
        }
    }

    /// Whether it counts as an error.
    #[must_use]
    pub const fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::Critical)
    }
}

/// One event: a line, or a line and the traceback under it. Text is as it was written, lossily decoded, bounded in
/// length, and not yet cleaned for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEvent {
    /// When it was written, by its own time stamp, else when it was read.
    pub at: DateTime<Utc>,
    /// Its level.
    pub level: Level,
    /// Index into [`LogBatch::files`] of the batch that brought it.
    pub file: u16,
    /// The message without time and level.
    pub message: String,
    /// The lines under it (a traceback), as they were written, without line ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// Fingerprint of its group, where it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// Errors that are the same one: by exception type and place, else by the normalised message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogGroup {
    /// Short stable id, hexadecimal.
    pub fingerprint: String,
    /// Exception type and value, or the message.
    pub title: String,
    /// The place, `basket/pricing.py:88 in total`, where a traceback names one.
    #[serde(default)]
    pub culprit: String,
    /// Its level.
    pub level: Level,
    /// How often, in what this carries (a batch: in the batch; the state: in all).
    pub count: u64,
    /// First time seen.
    #[serde(with = "super::time::seconds")]
    pub first_seen: DateTime<Utc>,
    /// Last time seen.
    #[serde(with = "super::time::seconds")]
    pub last_seen: DateTime<Utc>,
}

/// Something that happened to the log itself, a row of its own between the lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogNotice {
    /// The file was renamed away and a new one begun.
    Rotated,
    /// The file became shorter.
    Truncated,
    /// The file is gone.
    Gone,
    /// The file appeared.
    Appeared,
    /// A command's output ended and was started again.
    Reconnected,
    /// Lines that were counted but not kept.
    Skipped(u64),
}

/// A notice with its time and file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMark {
    /// When we noticed.
    pub at: DateTime<Utc>,
    /// Index into [`LogBatch::files`].
    pub file: u16,
    /// What happened.
    pub notice: LogNotice,
}

/// At most one each 100 ms. All counts are of this batch alone; the state adds them up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogBatch {
    /// The files of this source, in a stable order; grows, never shrinks.
    pub files: Vec<String>,
    /// Lines read (physical lines).
    pub lines: u64,
    /// Events by level.
    pub levels: BTreeMap<Level, u64>,
    /// Events by minute (start of the minute, epoch seconds) and level, for the histogram.
    pub minutes: Vec<(i64, Level, u64)>,
    /// Groups touched, with counts of this batch.
    pub groups: Vec<LogGroup>,
    /// The newest events, oldest first, bounded.
    pub events: Vec<LogEvent>,
    /// What happened to the files.
    pub marks: Vec<LogMark>,
    /// Events counted above but not in `events`.
    pub skipped: u64,
    /// The format that was recognised, for reading: `django`, `json`, `plain`, …
    pub format: String,
}
