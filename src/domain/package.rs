//! Packages: what is installed, locked and wanted, against what is out there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How far an upgrade goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bump {
    /// The last number of the version.
    Patch,
    /// The middle one.
    Minor,
    /// The first one.
    Major,
}

impl Bump {
    /// The word of the JSON contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }
}

/// A known weakness of the installed version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// `GHSA-…`, `PYSEC-…`.
    pub id: String,
    /// The same under other names.
    pub aliases: Vec<String>,
    /// `low`, `medium`, `high`, `critical`, where known.
    pub severity: Option<String>,
    /// Base score, 0 to 10, where known.
    pub cvss: Option<f64>,
    /// Versions that cure it.
    pub fixed_in: Vec<String>,
    /// One line.
    #[serde(default)]
    pub summary: Option<String>,
}

/// One package.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// Normalised name.
    pub name: String,
    /// In the environment.
    pub installed: Option<String>,
    /// In the lock file or pinned by the manifest.
    pub locked: Option<String>,
    /// The newest that the manifest's own constraints and the interpreter allow.
    pub wanted: Option<String>,
    /// The newest stable one that this interpreter can run.
    pub latest: Option<String>,
    /// The newest of all.
    pub newest: Option<String>,
    /// From what is there to `latest`.
    pub bump: Option<Bump>,
    /// Named by the manifest itself; `None` where nothing tells.
    pub direct: Option<bool>,
    /// Whether the version that is there was withdrawn.
    pub yanked: bool,
    /// Why, where the index gives a reason.
    #[serde(default)]
    pub yanked_reason: Option<String>,
    /// What the latest version asks of the interpreter.
    pub requires_python: Option<String>,
    /// When the latest version came out.
    pub released_at: Option<DateTime<Utc>>,
    /// When the version that is there came out.
    #[serde(default)]
    pub current_released_at: Option<DateTime<Utc>>,
    /// Known weaknesses of the version that is there.
    pub advisories: Vec<Advisory>,
    /// The smallest version that cures every advisory, by the versions' own order.
    #[serde(default)]
    pub cure: Option<String>,
    /// Why `wanted` is not `latest`: `<5`, `Python 3.12`.
    #[serde(default)]
    pub held_by: Option<String>,
    /// Where the manifest names it: `requirements.txt:3`.
    #[serde(default)]
    pub place: Option<String>,
    /// `archived`, `quarantined`, `deprecated`, where the index says so.
    #[serde(default)]
    pub project_status: Option<String>,
    /// Why the index could not answer for it.
    #[serde(default)]
    pub problem: Option<String>,
}

impl Package {
    /// The version that counts as present: installed, else locked.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        self.installed.as_deref().or(self.locked.as_deref())
    }

    /// Whether a newer stable version is out.
    #[must_use]
    pub fn outdated(&self) -> bool {
        self.bump.is_some()
    }
}

/// The packages of one manifest or environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Packages {
    /// The manifest, for reading.
    pub manifest: String,
    /// All of them.
    pub items: Vec<Package>,
    /// The interpreter's version, where known.
    #[serde(default)]
    pub python: Option<String>,
    /// The index that was asked, without credentials.
    #[serde(default)]
    pub index: Option<String>,
}
