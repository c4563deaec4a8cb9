//! Releases: versions of an application, where and when they were deployed, what is in them, and which errors they brought.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One deploy of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploy {
    /// Where: `production`.
    pub environment: String,
    /// When it was finished.
    pub at: DateTime<Utc>,
    /// For reading, where it has a name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its page.
    #[serde(default)]
    pub url: Option<String>,
}

/// One commit of a release. Text is from outside, bounded, not yet cleaned for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The hash, as the service tells it.
    pub id: String,
    /// The first line of its message.
    pub title: String,
    /// Who wrote it.
    #[serde(default)]
    pub author: Option<String>,
    /// When.
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
}

/// An issue that was first seen in a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The tracker's own id.
    pub id: String,
    /// What people say.
    pub short_id: String,
    /// Exception type and value, or the message.
    pub title: String,
}

/// One release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The version, whole: `shop@4.2.0`.
    pub version: String,
    /// The version as people say it: `4.2.0`.
    #[serde(default)]
    pub short: Option<String>,
    /// When the service first knew it.
    #[serde(default)]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was declared finished; `None`: never.
    #[serde(default)]
    pub released_at: Option<DateTime<Utc>>,
    /// Its deploys that were read, the latest first.
    #[serde(default)]
    pub deploys: Vec<Deploy>,
    /// Its commits that were read, the latest first.
    #[serde(default)]
    pub commits: Vec<Commit>,
    /// How many commits it has by the service's own count.
    #[serde(default)]
    pub commit_count: u64,
    /// How many issues were first seen in it, by the service's own count.
    #[serde(default)]
    pub new_issues: u64,
    /// Those of them that were read.
    #[serde(default)]
    pub issues: Vec<Brought>,
}

impl Release {
    /// The version as people say it.
    #[must_use]
    pub fn said(&self) -> &str {
        self.short.as_deref().unwrap_or(&self.version)
    }
}

/// The releases of a project, the latest first, as far as they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    /// They.
    pub items: Vec<Release>,
    /// The environment that the source is about, where it is configured.
    #[serde(default)]
    pub environment: Option<String>,
}

/// `prod` is `production`, whatever the case.
fn same_place(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    !a.is_empty() && !b.is_empty() && (a.starts_with(&b) || b.starts_with(&a))
}

impl Releases {
    /// Which release runs, and since when: the latest deploy in this environment. Where nobody tells deploys, the latest that was declared
    /// finished; where nobody does that either, the latest that was seen.
    #[must_use]
    pub fn in_force(&self, environment: Option<&str>) -> Option<(&Release, DateTime<Utc>)> {
        let wanted = self.environment.as_deref().or(environment);
        let deployed = |release: &'_ Release| {
            release.deploys.iter().filter(|one| wanted.is_none_or(|wanted| same_place(wanted, &one.environment))).map(|one| one.at).max()
        };
        let latest = |when: &dyn Fn(&Release) -> Option<DateTime<Utc>>| {
            self.items.iter().filter_map(|release| Some((release, when(release)?))).max_by_key(|(_, at)| *at)
        };
        if self.items.iter().any(|release| !release.deploys.is_empty()) {
            return latest(&deployed);
        }
        latest(&|release| release.released_at).or_else(|| latest(&|release| release.created_at))
    }

    /// The release that an issue was first seen in, where that was read.
    #[must_use]
    pub fn that_brought(&self, issue: &str) -> Option<&Release> {
        self.items.iter().find(|release| release.issues.iter().any(|brought| brought.id == issue))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u32) -> DateTime<Utc> {
        format!("2026-11-20T{hour:02}:00:00Z").parse().unwrap()
    }

    fn release(version: &str, deploys: &[(&str, u32)], released: Option<u32>, created: u32) -> Release {
        Release {
            version: version.to_owned(),
            short: None,
            created_at: Some(at(created)),
            released_at: released.map(at),
            deploys: deploys.iter().map(|(place, hour)| Deploy { environment: (*place).to_owned(), at: at(*hour), name: None, url: None }).collect(),
            commits: vec![],
            commit_count: 0,
            new_issues: 0,
            issues: vec![],
        }
    }

    #[test]
    fn what_runs_is_told_by_deploys_else_by_what_was_finished_else_by_what_was_seen() {
        let releases = |items: Vec<Release>| Releases { items, environment: None };
        let run = |releases: &Releases, place: Option<&str>| releases.in_force(place).map(|(release, at)| (release.version.clone(), at));
        let deployed = releases(vec![
            release("3", &[("staging", 9)], Some(9), 8),
            release("2", &[("Prod", 7), ("prod", 5)], None, 4),
            release("1", &[("prod", 2)], None, 1),
        ]);
        assert_eq!(run(&deployed, Some("production")), Some(("2".into(), at(7))));
        assert_eq!(run(&deployed, Some("staging")), Some(("3".into(), at(9))));
        assert_eq!(run(&deployed, None), Some(("3".into(), at(9))));
        // Deploys are told, and none of them here: nothing is made up.
        assert_eq!(run(&deployed, Some("demo")), None);
        // A roll back is a deploy of what was there before.
        let back = releases(vec![release("2", &[("prod", 7)], None, 4), release("1", &[("prod", 8), ("prod", 2)], None, 1)]);
        assert_eq!(run(&back, Some("prod")), Some(("1".into(), at(8))));
        let finished = releases(vec![release("3", &[], None, 9), release("2", &[], Some(6), 4)]);
        assert_eq!(run(&finished, Some("prod")), Some(("2".into(), at(6))));
        assert_eq!(run(&releases(vec![release("1", &[], None, 1), release("2", &[], None, 3)]), None), Some(("2".into(), at(3))));
        assert_eq!(run(&Releases::default(), None), None);
    }
}
