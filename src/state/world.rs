//! What is known of the outside: sites, sources with their last good values, findings, events.

use std::collections::{BTreeMap, VecDeque};

use super::offline::Offline;
use crate::actions::{ActionSpec, Errand, StepState};
use crate::domain::{
    AccessMinute, AccessPath, Acknowledgement, ActionEnd, Backup, Book, Certificate, Crons, Finding, FindingId, Health, Histogram, Intake, Issues, Level,
    LifeLines, LogEvent, LogFile, LogGroup, LogLimits, LogMark, Packages, Releases, SourceError, SourceId, Status, Timestamp, Transition,
};
use crate::sources::SourceSpec;

/// Samples kept in memory for the graph and the row sparkline: three hours at an interval of one second would be 10,800; beyond this the oldest go.
pub const SAMPLES: usize = 4_320;
/// Log events kept in memory for each source.
pub const LOG_EVENTS: usize = 5_000;
/// Minutes of log counts kept in memory for each source.
pub const LOG_MINUTES: usize = 1_440;
/// Hours of log counts kept in memory for each source: a month.
pub const LOG_HOURS: usize = 744;
/// Paths of requests kept for each source; the one with the fewest requests goes first.
pub const LOG_PATHS: usize = 500;
/// Groups of log errors kept for each source; the least recent goes first.
pub const LOG_GROUPS: usize = 1_000;
/// Runs of actions kept in memory; the oldest that have ended go first.
pub const RUNS: usize = 16;
/// Lines kept of each.
pub const RUN_LINES: usize = 500;
/// Transitions kept in memory.
pub const EVENTS: usize = 2_000;

/// One deployed application in one environment, as configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteState {
    /// Its name.
    pub name: String,
    /// For reading; the name when none is configured.
    pub title: String,
    /// Its address, where configured.
    pub url: Option<String>,
    /// `production`, …
    pub environment: Option<String>,
    /// The last version known to be deployed, and since when.
    pub release: Option<(String, Timestamp)>,
}

/// All that is known of the outside.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// In the order of the configuration.
    pub sites: Vec<SiteState>,
    /// By id.
    pub sources: BTreeMap<SourceId, SourceState>,
    /// In the order of attention, acknowledged last.
    pub findings: Vec<Finding>,
    /// Who has what; kept while the finding lives.
    pub acknowledgements: BTreeMap<FindingId, Acknowledgement>,
    /// Newest last, bounded by [`EVENTS`].
    pub events: VecDeque<Transition>,
    /// What rounds itself has to say: banners.
    pub notices: Vec<Notice>,
    /// Not later than the moment at which the next source turns stale or unknown; `None`: none can. Kept so that not every poll
    /// needs a look at all sources.
    pub ages_at: Option<Timestamp>,
    /// Whether we are cut off, and what waits for the answer.
    pub offline: Offline,
    /// What can be run, in the order of the configuration.
    pub actions: Vec<ActionSpec>,
    /// What this process runs and ran, oldest first, bounded by [`RUNS`].
    pub runs: Vec<Run>,
    /// The configuration that may not run commands, where it may not.
    pub untrusted: Option<String>,
    /// What was told of items that somebody looked at.
    pub details: super::Details,
    /// Restores and checks that can be tried, each as an action; their scope is their data set.
    pub tries: Vec<ActionSpec>,
    /// What restores and checks gave that were asked for, by data set: no poll tells of them.
    pub tried: BTreeMap<SourceId, super::tries::Tried>,
    /// Whether the journal keeps the error book and tells of it; else this process counts for itself.
    pub book_kept: bool,
    /// One pass (`check`): thresholds count as one, nothing is pending.
    pub one_pass: bool,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStep {
    /// Its argument vector, for reading.
    pub words: String,
    /// How it stands.
    pub state: StepState,
    /// When it began.
    pub began: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// One run of an action by this process.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its name, unique in the journal.
    pub id: String,
    /// What runs.
    pub action: SourceId,
    /// For reading.
    pub title: String,
    /// Its steps.
    pub steps: Vec<RunStep>,
    /// For how long at most.
    pub limit: std::time::Duration,
    /// The record of its beginning.
    pub record: Transition,
    /// The newest lines it printed, bounded by [`RUN_LINES`].
    pub lines: VecDeque<String>,
    /// How many lines before those are gone.
    pub dropped: u64,
    /// When and how it ended.
    pub ended: Option<(Timestamp, ActionEnd)>,
    /// What a source is told, where it is that and no program.
    pub errand: Option<Errand>,
}

/// What a banner is about. The order is the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// We are cut off, on positive evidence.
    Offline,
    /// The new configuration was refused, the one before it is in force.
    Configuration,
    /// The journal cannot be written, was moved aside, or is newer than this binary.
    Journal,
}

/// One banner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about; one of each kind at most.
    pub kind: NoticeKind,
    /// Since when.
    pub since: Timestamp,
    /// One sentence.
    pub text: String,
    /// The whole of it, for `:why`.
    pub detail: Vec<String>,
}

/// One probe in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Its latency, where there was an answer.
    pub latency_ms: Option<f32>,
    /// Whether it was judged down.
    pub failed: bool,
}

/// Figures of one window of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Median latency in milliseconds.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// Share of probes that were not down, in percent.
    pub uptime: f64,
    /// How many probes.
    pub count: u64,
}

/// One hour or day of probes, merged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bucket {
    /// Latencies in milliseconds.
    pub latency: Histogram,
    /// Probes.
    pub total: u64,
    /// Probes that were down.
    pub failed: u64,
}

/// What is known of one endpoint's health.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HealthState {
    /// The last probe, good or bad.
    pub last: Option<(Timestamp, Health)>,
    /// The last one that was not down.
    pub last_good: Option<(Timestamp, Health)>,
    /// The last one that was.
    pub last_bad: Option<(Timestamp, Health)>,
    /// Oldest first.
    pub samples: VecDeque<Sample>,
    /// The first sample since the last long silence ([`super::range::SILENCE`]), also when it is not kept any more.
    pub first: Option<Timestamp>,
    /// By start of the hour, epoch seconds; 48 hours.
    pub hours: BTreeMap<i64, Bucket>,
    /// By start of the day (UTC), epoch seconds; 31 days.
    pub days: BTreeMap<i64, Bucket>,
    /// Figures of the last hour; `None` before the first probe.
    pub hour: Option<Window>,
    /// Of 24 hours.
    pub day: Option<Window>,
    /// Of 7 days.
    pub week: Option<Window>,
    /// Of 30 days.
    pub month: Option<Window>,
    /// When the figures were last worked out.
    pub figured_at: Option<Timestamp>,
}

/// What is known of one log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogState {
    /// Files, in a stable order; [`LogEvent::file`] points here.
    pub files: Vec<String>,
    /// The recognised format.
    pub format: String,
    /// Physical lines read since the start.
    pub lines: u64,
    /// Events by level since the start.
    pub levels: BTreeMap<Level, u64>,
    /// By start of the minute, epoch seconds; indexed by level, lowest first.
    pub minutes: BTreeMap<i64, [u64; 5]>,
    /// By fingerprint.
    pub groups: BTreeMap<String, LogGroup>,
    /// Newest last, by time of reading; bounded by [`LOG_EVENTS`].
    pub events: VecDeque<LogEvent>,
    /// How many events were pushed out of `events` or skipped: the sequence number of `events[0]`.
    pub first_seq: u64,
    /// What happened to the files: the sequence number it comes before, and the mark.
    pub marks: VecDeque<(u64, LogMark)>,
    /// When the first batch came.
    pub watched_since: Option<Timestamp>,
    /// The newest event's own time.
    pub newest: Option<Timestamp>,
    /// Older events that were read back for a reader.
    pub back: Option<Box<super::logview::back::LogBack>>,
    /// When a line was last written, as far as we know: when we read it, or when its file was last written before we looked.
    pub last_line: Option<Timestamp>,
    /// By start of the hour, epoch seconds; indexed by level, lowest first. Bounded by [`LOG_HOURS`].
    pub hours: BTreeMap<i64, [u64; 5]>,
    /// Requests by start of the minute, where lines are those of an access log; bounded by [`LOG_MINUTES`].
    pub access: BTreeMap<i64, AccessMinute>,
    /// Requests by path since the start; bounded by [`LOG_PATHS`].
    pub paths: BTreeMap<String, AccessPath>,
    /// The followed files, as they were told last.
    pub about: Vec<LogFile>,
    /// What is expected of it.
    pub limits: Option<LogLimits>,
}

impl LogState {
    /// A log of which nothing was read. Numbers begin high, so that events read back later have some below.
    #[must_use]
    pub fn begin() -> Self {
        Self { first_seq: 1 << 40, ..Self::default() }
    }

    /// The sequence number that the next event will have.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.events.len() as u64
    }

    /// The event of this number, while it is in memory.
    #[must_use]
    pub fn event(&self, seq: u64) -> Option<&LogEvent> {
        match seq.checked_sub(self.first_seq) {
            Some(at) => self.events.get(usize::try_from(at).ok()?),
            None => self.back.as_ref()?.event(seq),
        }
    }

    /// The events in memory from this number on, with their numbers; those that were read back first.
    pub fn events_from(&self, seq: u64) -> impl Iterator<Item = (u64, &LogEvent)> {
        let skip = usize::try_from(seq.saturating_sub(self.first_seq)).unwrap_or(usize::MAX).min(self.events.len());
        let back = self.back.iter().filter(move |_| seq < self.first_seq).flat_map(move |back| back.events_from(seq));
        back.chain((self.first_seq + skip as u64..).zip(self.events.range(skip..)))
    }
}

/// One source as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceState {
    /// What it is.
    pub spec: SourceSpec,
    /// How it stands.
    pub status: Status,
    /// Since when it stands so.
    pub since: Option<Timestamp>,
    /// How it stands beneath an open maintenance window, and since when.
    pub beneath: Option<(Status, Option<Timestamp>)>,
    /// When the last poll ended, good or bad.
    pub checked_at: Option<Timestamp>,
    /// When the value on the screen was true.
    pub good_at: Option<Timestamp>,
    /// One line: `200 in 34 ms`.
    pub summary: String,
    /// Why we could not look, or why it does not answer.
    pub error: Option<SourceError>,
    /// Since when there is an error.
    pub error_since: Option<Timestamp>,
    /// When the next poll is due.
    pub next_at: Option<Timestamp>,
    /// Bad polls in a row.
    pub failing: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// Good polls in a row.
    pub passing: u32,
    /// Polls in a row that were over a warning limit.
    pub slow: u32,
    /// Parts that could not be looked at.
    pub problems: Vec<String>,
    /// Whether what is known came from the journal and no poll has confirmed it yet.
    pub remembered: bool,
    /// Health, where it has that capability.
    pub health: Option<HealthState>,
    /// The certificate, and when it was seen.
    pub certificate: Option<(Timestamp, Certificate)>,
    /// The log.
    pub log: Option<LogState>,
    /// The error book of a log or a mail box.
    pub book: Book,
    /// The issues, and when they were read.
    pub issues: Option<(Timestamp, Issues)>,
    /// The packages, and when they were read.
    pub packages: Option<(Timestamp, Packages)>,
    /// Since when the packages' need of care is as it is.
    pub packages_since: Option<Timestamp>,
    /// The backup, and when it was looked at.
    pub backup: Option<(Timestamp, Box<Backup>)>,
    /// Until when versions are supported, and when that was looked up.
    pub life: Option<(Timestamp, LifeLines)>,
    /// The releases, and when they were read.
    pub releases: Option<(Timestamp, Releases)>,
    /// The jobs that a tracker watches, and when they were read.
    pub crons: Option<(Timestamp, Crons)>,
    /// What became of the events, and when that was asked.
    pub intake: Option<(Timestamp, Intake)>,
}

impl SourceState {
    /// A source that nobody has looked at yet.
    #[must_use]
    pub fn new(spec: SourceSpec) -> Self {
        Self {
            status: if spec.enabled { Status::Pending } else { Status::Paused },
            spec,
            since: None,
            beneath: None,
            checked_at: None,
            good_at: None,
            summary: String::new(),
            error: None,
            error_since: None,
            next_at: None,
            failing: 0,
            failing_since: None,
            passing: 0,
            slow: 0,
            problems: Vec::new(),
            remembered: false,
            health: None,
            certificate: None,
            log: None,
            book: Book::default(),
            issues: None,
            packages: None,
            packages_since: None,
            backup: None,
            life: None,
            releases: None,
            crons: None,
            intake: None,
        }
    }
}
