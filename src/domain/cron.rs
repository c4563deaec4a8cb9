//! Cron monitors: jobs that tell a tracker when they ran, and what it makes of their silence.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How a job stands in one environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CronState {
    /// It ran in time.
    Ok,
    /// It did not tell of itself when it should have.
    Missed,
    /// It began and did not end in time.
    Timeout,
    /// It told that it failed, or the tracker says no more than that it is bad.
    Failed,
    /// It never told anything yet.
    Waiting,
    /// It is not watched.
    Off,
}

impl CronState {
    /// For reading and for JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missed => "missed",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Off => "off",
        }
    }

    /// Whether somebody should look.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Missed | Self::Timeout | Self::Failed)
    }
}

/// A job in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronRun {
    /// Where.
    pub environment: String,
    /// How it stands.
    pub state: CronState,
    /// Its findings are not wanted there.
    #[serde(default)]
    pub muted: bool,
    /// When it last told of itself.
    #[serde(default)]
    pub last: Option<DateTime<Utc>>,
    /// When it is expected next.
    #[serde(default)]
    pub next: Option<DateTime<Utc>>,
    /// Since when it is bad, where the tracker tells.
    #[serde(default)]
    pub since: Option<DateTime<Utc>>,
    /// How many of its latest check-ins were bad in a row, as far as they were read; 0 where they were not.
    #[serde(default)]
    pub bad: u64,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cron {
    /// The slug.
    pub slug: String,
    /// For reading.
    pub name: String,
    /// `0 3 * * *`, `every 1 day`; empty where not known.
    #[serde(default)]
    pub schedule: String,
    /// Not watched at all.
    #[serde(default)]
    pub disabled: bool,
    /// Its findings are not wanted.
    #[serde(default)]
    pub muted: bool,
    /// By environment.
    #[serde(default)]
    pub runs: Vec<CronRun>,
}

/// The jobs of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crons {
    /// They.
    pub items: Vec<Cron>,
}

impl Crons {
    /// What should be looked at: neither muted nor switched off.
    pub fn bad(&self) -> impl Iterator<Item = (&Cron, &CronRun)> {
        let watched = self.items.iter().filter(|cron| !cron.disabled && !cron.muted);
        watched.flat_map(|cron| cron.runs.iter().filter(|run| !run.muted && run.state.is_bad()).map(move |run| (cron, run)))
    }
}
