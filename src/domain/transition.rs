//! Transitions: changes of state, stored as they happen. The event feed, `since` and uptime read them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Check, Drill, FindingId, Severity, SourceId, Status};

/// What changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionKind {
    /// A source's status.
    Status {
        /// Before.
        from: Status,
        /// After.
        to: Status,
    },
    /// A finding came, or became worse or better.
    Opened {
        /// Which.
        finding: FindingId,
        /// How urgent.
        severity: Severity,
    },
    /// A finding is over.
    Closed {
        /// Which.
        finding: FindingId,
    },
    /// Somebody took a finding, or gave it back (`why` empty).
    Acknowledged {
        /// Which.
        finding: FindingId,
        /// Who.
        by: String,
        /// Until when.
        until: Option<DateTime<Utc>>,
    },
    /// A deploy, told by `rounds deployed` or a release source.
    Deploy {
        /// The version.
        version: String,
        /// By whom, may be empty.
        by: String,
    },
    /// A person's action began, or ended: the audit. The action's id (`site/action/name`) is the transition's `source`.
    Action {
        /// Which run of it: the same for its beginning and its end.
        run: String,
        /// Who.
        by: String,
        /// What was run: an argument vector for each step.
        steps: Vec<Vec<String>>,
        /// Where.
        directory: String,
        /// For how long at most, in seconds: past it a run whose end is not told is not running any more.
        limit_s: u64,
        /// How it ended; `None`: it begins.
        ended: Option<ActionEnd>,
    },
    /// A copy of the source's data set was restored into a scratch place, or could not be: the evidence.
    Drill(Box<Drill>),
    /// The source's tool looked at what it keeps because somebody, or a schedule, asked for it.
    Checked(Check),
    /// rounds itself: started, configuration changed, journal trouble, machine slept.
    Note,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionEnd {
    /// Whether every step ended with exit code 0.
    pub ok: bool,
    /// In words: `exit 0`, `exit 1 in step 2`, `ended by SIGTERM`, `stopped by ana`, `not ended within 15m: stopped`.
    pub words: String,
    /// How long it ran, in milliseconds.
    pub took_ms: u64,
}

/// One change of state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: DateTime<Utc>,
    /// Which site; empty for rounds itself.
    pub site: String,
    /// Which source, where it is one's.
    pub source: Option<SourceId>,
    /// What.
    pub kind: TransitionKind,
    /// A sentence for the event feed.
    pub sentence: String,
}

impl Transition {
    /// Whether the event feed tells it: a finding that merely repeats a change of status is not told twice.
    #[must_use]
    pub fn in_feed(&self) -> bool {
        match &self.kind {
            TransitionKind::Opened { finding, .. } | TransitionKind::Closed { finding } => !matches!(finding.rule(), "availability" | "staleness"),
            // What runs stands in the command log; the feed tells how it went.
            TransitionKind::Action { ended, .. } => ended.is_some(),
            // The end of the run that gave it is told.
            TransitionKind::Drill(_) | TransitionKind::Checked(_) => false,
            _ => true,
        }
    }
}
