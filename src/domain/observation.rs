//! Observations: what a source reported at a time, typed by capability. Panes and rules read these, never sources.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Backup, Certificate, Crons, Health, Intake, Issues, LifeLines, LogBatch, Packages, Releases};

/// The type of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Whether an endpoint answers as expected.
    Health,
    /// A certificate chain and its dates.
    Certificate,
    /// Log lines, counted and grouped.
    Log,
    /// Errors that a tracker grouped.
    Issues,
    /// Installed and available packages.
    Packages,
    /// A data set's copies.
    Backup,
    /// Until when versions are supported.
    Life,
    /// Versions, their deploys, commits and new issues.
    Release,
    /// Jobs that tell a tracker when they ran.
    Crons,
    /// What a tracker did with the events it was sent.
    Intake,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 10] =
        [Self::Health, Self::Certificate, Self::Log, Self::Issues, Self::Packages, Self::Backup, Self::Life, Self::Release, Self::Crons, Self::Intake];

    /// The word of the JSON contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Certificate => "certificate",
            Self::Log => "log",
            Self::Issues => "issues",
            Self::Packages => "packages",
            Self::Backup => "backup",
            Self::Life => "life",
            Self::Release => "release",
            Self::Crons => "crons",
            Self::Intake => "intake",
        }
    }
}

/// The content of an observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// One probe.
    Health(Health),
    /// A chain.
    Certificate(Certificate),
    /// One batch of a log.
    Log(LogBatch),
    /// The issues of a project.
    Issues(Issues),
    /// The packages of a manifest or environment.
    Packages(Packages),
    /// The copies of a data set.
    Backup(Box<Backup>),
    /// Until when versions are supported.
    Life(LifeLines),
    /// The releases of a project.
    Release(Releases),
    /// The jobs of a project.
    Crons(Crons),
    /// What became of the events.
    Intake(Intake),
}

impl Data {
    /// Which capability it is of.
    #[must_use]
    pub const fn capability(&self) -> Capability {
        match self {
            Self::Health(_) => Capability::Health,
            Self::Certificate(_) => Capability::Certificate,
            Self::Log(_) => Capability::Log,
            Self::Issues(_) => Capability::Issues,
            Self::Packages(_) => Capability::Packages,
            Self::Backup(_) => Capability::Backup,
            Self::Life(_) => Capability::Life,
            Self::Release(_) => Capability::Release,
            Self::Crons(_) => Capability::Crons,
            Self::Intake(_) => Capability::Intake,
        }
    }
}

/// What a source reported, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// When it was true: the end of the poll.
    pub at: DateTime<Utc>,
    /// What was seen.
    pub data: Data,
}

/// A part that could not be looked at while the rest could: "2 of 100 packages: no answer".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What it is about.
    pub subject: String,
    /// What happened.
    pub message: String,
}
