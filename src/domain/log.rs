//! What a log source delivers: batches of counts, groups and the newest events. A log line is not an observation.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Histogram;

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
    /// Where it stands in its file; `None` for the output of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<LogPlace>,
}

/// Where an event begins. It outlives a rename of the file, and not its packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPlace {
    /// Device and inode of the file.
    pub id: (u64, u64),
    /// First byte; of a packed file in its unpacked contents.
    pub offset: u64,
}

/// From where the files of one name are read back: before this event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFrom {
    /// The name that is followed, as in [`LogBatch::files`].
    pub file: String,
    /// The oldest event known of it; `None`: from the end of the file.
    pub place: Option<LogPlace>,
    /// Its time: used where the place cannot be found any more, because its file was packed meanwhile.
    pub at: Option<DateTime<Utc>>,
}

/// Asks for events older than those in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// The names of [`LogBatch::files`] as the asker knows them, so that the answer's indexes are the same.
    pub files: Vec<String>,
    /// From where; a followed file that is not named here is read from its end.
    pub from: Vec<LogFrom>,
    /// At most so many events; 0 stands for a page of 500. Never more than 5,000.
    pub limit: usize,
    /// Nothing older than this.
    pub since: Option<DateTime<Utc>>,
    /// Only events of this level and above.
    pub least: Option<Level>,
    /// Only events in whose message or detail this regular expression is found.
    pub grep: Option<String>,
}

/// Older events. A page may be empty and not the last: reading is bounded by bytes as well, so that each page comes soon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPast {
    /// Oldest first; of several files merged by time.
    pub events: Vec<LogEvent>,
    /// The names that [`LogEvent::file`] points to: those of the query, and perhaps more.
    pub files: Vec<String>,
    /// [`LogQuery::from`] of the next page; `None`: there is nothing older.
    pub next: Option<Vec<LogFrom>>,
    /// Bytes that were looked at for this page, unpacked.
    pub bytes: u64,
    /// What could not be read.
    pub problems: Vec<super::Problem>,
}

/// The requests of one minute, from access logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessMinute {
    /// Start of the minute, epoch seconds.
    pub start: i64,
    /// Requests by class of status: 1xx to 5xx.
    pub statuses: [u64; 5],
    /// Durations in milliseconds of those that name one. Percentiles come of merged histograms.
    #[serde(default)]
    pub latency_ms: Histogram,
}

impl AccessMinute {
    /// All requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.statuses.iter().sum()
    }

    /// Adds what another counted; the start stays.
    pub fn merge(&mut self, other: &Self) {
        for (into, count) in self.statuses.iter_mut().zip(other.statuses) {
            *into += count;
        }
        self.latency_ms.merge(&other.latency_ms);
    }
}

/// The requests to one path, its varying parts left out: `/order/#/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPath {
    /// The path; outside text.
    pub path: String,
    /// Requests by class of status: 1xx to 5xx.
    pub statuses: [u64; 5],
    /// Durations in milliseconds.
    #[serde(default)]
    pub latency_ms: Histogram,
}

/// Requests that access logs told of; counts of the batch alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAccess {
    /// By minute.
    pub minutes: Vec<AccessMinute>,
    /// By path, bounded.
    pub paths: Vec<AccessPath>,
}

/// What is known of one followed file beside its lines. Sent now and then, not with every batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    /// Index into [`LogBatch::files`].
    pub file: u16,
    /// Its recognised format: `django`, `nginx`, `json`, `plain`, ...
    #[serde(default)]
    pub format: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it was last written.
    pub modified: Option<DateTime<Utc>>,
    /// Its first line's time stamp, or when it was made.
    pub begins: Option<DateTime<Utc>>,
    /// Free bytes of its file system, for users.
    pub free_bytes: Option<u64>,
    /// All bytes of its file system.
    pub total_bytes: Option<u64>,
    /// Whether older ones stand beside it, or it was seen to be rotated.
    #[serde(default)]
    pub rotates: bool,
}

/// What is expected of a log; where nothing is configured nothing is judged by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LogLimits {
    /// Share of 5xx of all requests, 0 to 1: warning, critical.
    #[serde(default)]
    pub errors: (Option<f64>, Option<f64>),
    /// 95th percentile of durations in milliseconds: warning, critical.
    #[serde(default)]
    pub p95_ms: (Option<f64>, Option<f64>),
    /// Seconds without a line after which it counts as silent; `None`: judged against its own rhythm.
    #[serde(default)]
    pub silence_s: Option<u64>,
    /// Size in bytes from which a file counts as too large; `None`: 1 GiB that never rotates.
    #[serde(default)]
    pub size_bytes: Option<u64>,
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
    /// When the events of these groups happened, for the error book.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub book: Vec<super::Noted>,
    /// Whether it holds what was there before we looked, which may have been counted before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub looked_back: bool,
    /// The newest events, oldest first, bounded.
    pub events: Vec<LogEvent>,
    /// What happened to the files.
    pub marks: Vec<LogMark>,
    /// Events counted above but not in `events`.
    pub skipped: u64,
    /// The format that was recognised, for reading: `django`, `json`, `plain`, …
    pub format: String,
    /// Requests, where lines are those of an access log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<LogAccess>,
    /// The followed files; empty: as they were told last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<LogFile>,
    /// What is expected of this log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LogLimits>,
}
