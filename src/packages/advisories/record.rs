//! One record of a weakness, boiled down to what is asked of it: by which names it goes, how grave it is, which versions it is about.
//!
//! What does not belong here: the wire (`osv`, `listed`), what is made of several records (`judge`).

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::packages::ecosystem::Ecosystem;

/// Where a run of affected versions ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Nowhere yet.
    Open,
    /// Before this version.
    Fixed(String),
    /// After this version.
    Last(String),
}

/// A run of affected versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// From this version on; absent from the first one.
    pub from: Option<String>,
    /// Where it ends.
    pub end: End,
}

impl Run {
    fn holds(&self, ecosystem: Ecosystem, version: &str) -> bool {
        let compared = |other: &str| ecosystem.compare(version, other);
        let begun = self.from.as_deref().is_none_or(|from| compared(from).is_some_and(Ordering::is_ge));
        begun
            && match &self.end {
                End::Open => true,
                End::Fixed(fixed) => compared(fixed).is_some_and(Ordering::is_lt),
                End::Last(last) => compared(last).is_some_and(Ordering::is_le),
            }
    }
}

/// What a record says of one package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// Its name, as its ecosystem compares names.
    pub name: String,
    /// Runs of versions, in order.
    pub runs: Vec<Run>,
    /// Single versions.
    #[serde(default)]
    pub versions: Vec<String>,
    /// Only versions that cure it are known: no runs and no single versions.
    #[serde(default)]
    pub cures: Vec<String>,
}

impl Affected {
    /// Whether this version has the weakness; `None` when the record cannot tell.
    #[must_use]
    pub fn holds(&self, ecosystem: Ecosystem, version: &str) -> Option<bool> {
        if !self.cures.is_empty() {
            return Some(!self.is_past_cures(ecosystem, version));
        }
        if self.runs.is_empty() && self.versions.is_empty() {
            return None;
        }
        let listed = self.versions.iter().any(|one| ecosystem.compare(one, version).is_some_and(Ordering::is_eq));
        Some(listed || self.runs.iter().any(|run| run.holds(ecosystem, version)))
    }

    /// Of a list of cures without ranges (`2.2.18`, `3.0.12`): a version is past it when it is not older than the cure of its own
    /// series, or than all of them.
    fn is_past_cures(&self, ecosystem: Ecosystem, version: &str) -> bool {
        let not_older = |cure: &String| ecosystem.compare(version, cure).is_some_and(Ordering::is_ge);
        let series = |text: &str| text.rsplit_once('.').map(|(series, _)| series.to_owned());
        self.cures.iter().any(|cure| series(cure) == series(version) && not_older(cure)) || self.cures.iter().all(not_older)
    }

    /// The versions after this one that cure it, oldest first; the first is the one of its own line where there is such.
    #[must_use]
    pub fn fixed_after(&self, ecosystem: Ecosystem, version: &str) -> Vec<String> {
        let own = self.runs.iter().filter(|run| run.holds(ecosystem, version));
        let fixes = own.chain(&self.runs).filter_map(|run| if let End::Fixed(fixed) = &run.end { Some(fixed) } else { None });
        let mut all: Vec<String> = fixes.chain(&self.cures).filter(|fixed| ecosystem.compare(version, fixed).is_some_and(Ordering::is_lt)).cloned().collect();
        all.sort_by(|a, b| ecosystem.compare(a, b).unwrap_or(Ordering::Equal));
        all.dedup();
        all
    }
}

/// One record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `GHSA-…`, `PYSEC-…`, `CVE-…`, `MAL-…`.
    pub id: String,
    /// The same under other names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// When it last changed, as the service wrote it.
    #[serde(default)]
    pub modified: String,
    /// Taken back.
    #[serde(default)]
    pub withdrawn: bool,
    /// One line.
    #[serde(default)]
    pub summary: Option<String>,
    /// When it was made known.
    #[serde(default)]
    pub published: Option<DateTime<Utc>>,
    /// A page about it.
    #[serde(default)]
    pub url: Option<String>,
    /// Base score, 0 to 10: the highest of those given.
    #[serde(default)]
    pub score: Option<f64>,
    /// `low`, `medium`, `high`, `critical`, where a person said so.
    #[serde(default)]
    pub word: Option<String>,
    /// Which packages it is about.
    #[serde(default)]
    pub affected: Vec<Affected>,
}

impl Record {
    /// What it says of a package; several parts of one record are joined.
    #[must_use]
    pub fn about(&self, name: &str) -> Affected {
        let mut all = Affected { name: name.to_owned(), ..Affected::default() };
        for one in self.affected.iter().filter(|one| one.name == name) {
            all.runs.extend(one.runs.iter().cloned());
            all.versions.extend(one.versions.iter().cloned());
            all.cures.extend(one.cures.iter().cloned());
        }
        all
    }

    /// Whether the package was made to do harm.
    #[must_use]
    pub fn is_malicious(&self) -> bool {
        std::iter::once(&self.id).chain(&self.aliases).any(|id| id.starts_with("MAL-"))
    }
}

/// The word for a score (CVSS 3.1, "qualitative severity rating scale").
#[must_use]
pub fn word(score: f64) -> Option<&'static str> {
    match score {
        score if score >= 9.0 => Some("critical"),
        score if score >= 7.0 => Some("high"),
        score if score >= 4.0 => Some("medium"),
        score if score > 0.0 => Some("low"),
        _ => None,
    }
}

/// Text of others as one bounded line.
pub(super) fn line(text: &str, most: usize) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.chars().filter(|c| !c.is_control()).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYPI: Ecosystem = Ecosystem::PyPi;

    fn run(from: Option<&str>, end: End) -> Run {
        Run { from: from.map(str::to_owned), end }
    }

    #[test]
    fn a_version_is_judged_by_its_own_line() {
        let affected = Affected {
            name: "django".into(),
            runs: vec![
                run(Some("4.2"), End::Fixed("4.2.15".into())),
                run(Some("5.0"), End::Fixed("5.0.8".into())),
                run(Some("5.1a1"), End::Last("5.1b1".into())),
            ],
            ..Affected::default()
        };
        for (version, holds) in
            [("4.1", false), ("4.2", true), ("4.2.14", true), ("4.2.15", false), ("5.0.8rc1", true), ("5.0.8", false), ("5.1b1", true), ("5.1", false)]
        {
            assert_eq!(affected.holds(PYPI, version), Some(holds), "{version}");
        }
        assert_eq!(affected.fixed_after(PYPI, "4.2.1"), ["4.2.15", "5.0.8"]);
        assert_eq!(affected.fixed_after(PYPI, "5.0"), ["5.0.8"]);
        assert_eq!(Affected::default().holds(PYPI, "1"), None, "nothing tells");
    }

    #[test]
    fn a_bare_list_of_cures_is_read_by_series() {
        let affected = Affected { cures: vec!["2.2.18".into(), "3.0.12".into(), "3.1.6".into()], ..Affected::default() };
        for (version, holds) in [("2.2.1", true), ("2.2.18", false), ("3.0.5", true), ("3.0.12", false), ("3.1", true), ("3.2", false)] {
            assert_eq!(affected.holds(PYPI, version), Some(holds), "{version}");
        }
        assert_eq!(affected.fixed_after(PYPI, "3.0.5"), ["3.0.12", "3.1.6"]);
    }
}
