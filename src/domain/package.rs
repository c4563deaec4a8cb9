//! Packages: what is installed, locked and wanted, against what is out there.

use chrono::{DateTime, NaiveDate, Utc};
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

/// How far it is from one version to another by their first three numbers; `None` for the same one. Epochs, and what is no number,
/// are not told apart here: who compares versions by the rules of their kind is `packages`.
#[must_use]
pub fn step(from: &str, to: &str) -> Option<Bump> {
    if from == to {
        return None;
    }
    let part = |text: &str, at: usize| {
        let bare = text.trim_start_matches(['v', 'V']);
        let digits: String = bare.split(['.', '-', '+']).nth(at).unwrap_or("0").chars().take_while(char::is_ascii_digit).collect();
        digits.trim_start_matches('0').to_owned()
    };
    Some(match (part(from, 0) == part(to, 0), part(from, 1) == part(to, 1)) {
        (false, _) => Bump::Major,
        (true, false) => Bump::Minor,
        (true, true) => Bump::Patch,
    })
}

/// A known weakness of the installed version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// When it was made known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<DateTime<Utc>>,
    /// Since when a version that cures it has been out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_at: Option<DateTime<Utc>>,
    /// A page about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A date from which on it was borne no longer: an `ignore` that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored_until: Option<NaiveDate>,
}

/// Days from the day a cure is out until it should be in, by how grave the gravest weakness is.
pub const CURE_DAYS: [(&str, i64); 4] = [("critical", 2), ("high", 14), ("medium", 30), ("low", 90)];

/// From this base score on, a weakness is critical.
pub const CRITICAL_CVSS: f64 = 9.0;

impl Advisory {
    /// Whether it cannot wait: by its score, by the word of those who know it, or because the package is malicious.
    #[must_use]
    pub fn is_critical(&self) -> bool {
        self.cvss.is_some_and(|score| score >= CRITICAL_CVSS) || self.severity.as_deref() == Some("critical")
    }

    /// For ordering: the score, else one for the word; unknown is above low.
    #[must_use]
    pub fn rank(&self) -> f64 {
        self.cvss.unwrap_or(match self.severity.as_deref() {
            Some("critical") => CRITICAL_CVSS,
            Some("high") => 7.0,
            Some("medium") => 4.0,
            Some("low") => 0.1,
            _ => 3.95,
        })
    }
}

/// An advisory that a person decided to bear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Borne {
    /// It.
    #[serde(flatten)]
    pub advisory: Advisory,
    /// Why it is borne.
    pub reason: String,
    /// The last day on which it is.
    pub until: Option<NaiveDate>,
}

/// Who asks for a package, and for which versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Normalised name.
    pub name: String,
    /// Which versions; empty for any.
    pub constraint: String,
}

/// One release on the line of a package's releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Out {
    /// Its version.
    pub version: String,
    /// When it came out.
    pub at: Option<DateTime<Utc>>,
    /// Whether it was withdrawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub yanked: bool,
}

/// One package. What was kept before a field existed is read with its default.
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
    /// Known weaknesses that a person decided to bear, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub borne: Vec<Borne>,
    /// Whether somebody was asked for its advisories: `false` for what comes from no index, and for what nobody answered.
    #[serde(default)]
    pub audited: bool,
    /// The manifest's own constraint, as written; absent for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// The packages by which it came, the direct one first; empty for a direct one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
    /// Who of those that are there asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed_by: Vec<Need>,
    /// How what is installed, locked and declared differs: `installed 5.2.1, locked 5.2.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<String>,
    /// Years between the release that is there and the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libyears: Option<f64>,
    /// When the cool-down of a newer version ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooling_until: Option<DateTime<Utc>>,
    /// The index beside the private one that has a package of this name as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusable: Option<String>,
    /// The newest release of its series (`5.2.19` for `5.2.15`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// The release that is there and the newest after it, oldest first; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<Out>,
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

    /// How far the upgrade goes that is at hand: to what is wanted, and to the latest where nothing newer is wanted.
    #[must_use]
    pub fn at_hand(&self) -> Option<Bump> {
        let bump = self.bump?;
        let near = self.current().zip(self.wanted.as_deref()).and_then(|(from, to)| step(from, to));
        Some(near.unwrap_or(bump))
    }

    /// When a release came out, where that is known.
    #[must_use]
    pub fn out(&self, version: &str) -> Option<DateTime<Utc>> {
        if self.latest.as_deref() == Some(version) && self.released_at.is_some() {
            return self.released_at;
        }
        if self.current() == Some(version) && self.current_released_at.is_some() {
            return self.current_released_at;
        }
        self.releases.iter().find(|out| out.version == version)?.at
    }

    /// The day by which its weaknesses should be cured: so many days from when a cure was out, by how grave the gravest is
    /// ([`CURE_DAYS`]); none as long as no cure is out.
    #[must_use]
    pub fn due(&self) -> Option<DateTime<Utc>> {
        self.cure.as_ref()?;
        let of = |advisory: &Advisory| {
            let word = if advisory.is_critical() { "critical" } else { advisory.severity.as_deref().unwrap_or("medium") };
            let days = CURE_DAYS.iter().find(|(name, _)| *name == word).map_or(30, |(_, days)| *days);
            advisory.fixed_at.or(advisory.published)?.checked_add_signed(chrono::Duration::days(days))
        };
        self.advisories.iter().filter_map(of).min()
    }

    /// The gravest of its advisories that are not borne.
    #[must_use]
    pub fn worst(&self) -> Option<&Advisory> {
        self.advisories.iter().max_by(|a, b| a.rank().total_cmp(&b.rank()))
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
    /// Whose packages: `PyPI`, `npm`, `cargo`; absent in what was kept before there were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecosystem: Option<String>,
    /// Who knew the advisories; absent when nobody was asked or nobody answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisories_from: Option<String>,
    /// When the oldest answer about advisories was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisories_at: Option<DateTime<Utc>>,
    /// Why there are no fresh answers about advisories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisories_problem: Option<String>,
}

impl Packages {
    /// Packages of which nobody could say whether they have advisories.
    #[must_use]
    pub fn unaudited(&self) -> usize {
        self.items.iter().filter(|package| !package.audited).count()
    }

    /// Years behind, of all packages together.
    #[must_use]
    pub fn libyears(&self) -> f64 {
        self.items.iter().filter_map(|package| package.libyears).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_at_hand_is_the_one_to_what_is_wanted() {
        for (from, to, expected) in [
            ("5.2.15", "5.2.19", Some(Bump::Patch)),
            ("5.2", "5.2.1", Some(Bump::Patch)),
            ("5.2.15", "5.3", Some(Bump::Minor)),
            ("4.2.30", "6.1.3", Some(Bump::Major)),
            ("v1.2.3", "1.2.4-rc.1", Some(Bump::Patch)),
            ("2024.08", "2024.8.1", Some(Bump::Patch)),
            ("1.0", "1.0", None),
        ] {
            assert_eq!(step(from, to), expected, "{from} {to}");
        }
        let package = |wanted: &str| Package {
            installed: Some("5.2.15".to_owned()),
            wanted: Some(wanted.to_owned()),
            latest: Some("6.1.3".to_owned()),
            bump: Some(Bump::Major),
            ..Package::default()
        };
        assert_eq!(package("5.2.19").at_hand(), Some(Bump::Patch));
        assert_eq!(package("5.2.15").at_hand(), Some(Bump::Major));
        assert_eq!(Package { bump: None, ..package("5.2.15") }.at_hand(), None);
    }
}
