//! What the records of one package mean for the version that is there: one advisory for each flaw however many databases tell of
//! it, those that are borne set apart, and the smallest version that cures the rest.
//!
//! What does not belong here: whether that needs a person (`rules::dependencies`). Pure.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::record::{Record, word};
use crate::domain::{Advisory, Borne};
use crate::packages::ecosystem::Ecosystem;

/// Something that is known and borne.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignore {
    /// Of an advisory, by any of its names, or the name of a package.
    pub id: String,
    /// Why.
    pub reason: String,
    /// The last day.
    pub until: Option<NaiveDate>,
}

impl Ignore {
    fn is_of(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.id)
    }

    fn holds_on(&self, today: NaiveDate) -> bool {
        self.until.is_none_or(|until| today <= until)
    }
}

/// A release that could be moved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// When it came out.
    pub at: Option<DateTime<Utc>>,
    /// Whether it can be installed here: not withdrawn, and for this interpreter.
    pub usable: bool,
}

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Whose package.
    pub ecosystem: Ecosystem,
    /// As its ecosystem compares names.
    pub name: &'a str,
    /// The version that is there.
    pub version: &'a str,
    /// What is out; empty when not known.
    pub releases: &'a [Release],
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judged {
    /// The gravest first.
    pub advisories: Vec<Advisory>,
    /// Those that are borne.
    pub borne: Vec<Borne>,
    /// The smallest version that cures all advisories.
    pub cure: Option<String>,
}

/// Judges the records of one package. `also` are flaws of versions that it could move to: a cure must not have them.
#[must_use]
pub fn judge(subject: Subject<'_>, records: &[Arc<Record>], also: &[Arc<Record>], ignores: &[Ignore], today: NaiveDate) -> Judged {
    let mut judged = Judged::default();
    let mut open: Vec<Vec<&Record>> = Vec::new();
    for group in groups(records) {
        let mut advisory = advisory(subject, &group);
        let names = || std::iter::once(&advisory.id).chain(&advisory.aliases).map(String::as_str).chain([subject.name]);
        let of_it: Vec<&Ignore> = ignores.iter().filter(|ignore| names().any(|name| ignore.is_of(name))).collect();
        if let Some(ignore) = of_it.iter().find(|ignore| ignore.holds_on(today)) {
            judged.borne.push(Borne { advisory, reason: ignore.reason.clone(), until: ignore.until });
            continue;
        }
        advisory.ignored_until = of_it.iter().filter_map(|ignore| ignore.until).max();
        judged.advisories.push(advisory);
        open.push(group);
    }
    if !open.is_empty() {
        let borne =
            |record: &Record, ignore: &Ignore| ignore.holds_on(today) && std::iter::once(&record.id).chain(&record.aliases).any(|name| ignore.is_of(name));
        let unborne = |record: &&Record| !ignores.iter().any(|ignore| borne(record, ignore));
        let also: Vec<&Record> = also.iter().map(AsRef::as_ref).filter(|record| !record.withdrawn).filter(unborne).collect();
        judged.cure = cure(subject, &open, &also);
    }
    judged.advisories.sort_by(|a, b| b.rank().total_cmp(&a.rank()).then_with(|| a.id.cmp(&b.id)));
    judged
}

/// Records that name each other are of one flaw. A name that only one of them gives is enough.
fn groups(records: &[Arc<Record>]) -> Vec<Vec<&Record>> {
    let usable: Vec<&Record> = records.iter().map(AsRef::as_ref).filter(|record| !record.withdrawn).collect();
    let mut group: Vec<usize> = (0..usable.len()).collect();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for (at, record) in usable.iter().enumerate() {
        for name in std::iter::once(&record.id).chain(&record.aliases) {
            let known = *by_name.entry(name).or_insert(at);
            let (from, to) = (group[at].max(group[known]), group[at].min(group[known]));
            group.iter_mut().filter(|one| **one == from).for_each(|one| *one = to);
        }
    }
    let mut all: Vec<Vec<&Record>> = Vec::new();
    let mut place: HashMap<usize, usize> = HashMap::new();
    for (record, of) in usable.iter().zip(&group) {
        let at = *place.entry(*of).or_insert_with(|| {
            all.push(Vec::new());
            all.len() - 1
        });
        if !all[at].iter().any(|known| known.id == record.id) {
            all[at].push(record);
        }
    }
    all
}

/// Which of its names a flaw is shown by.
fn prominence(id: &str) -> u8 {
    ["MAL-", "CVE-", "GHSA-", "PYSEC-", "RUSTSEC-"].iter().position(|start| id.starts_with(start)).map_or(9, |at| at as u8)
}

fn advisory(subject: Subject<'_>, group: &[&Record]) -> Advisory {
    let mut names: Vec<&String> = group.iter().flat_map(|record| std::iter::once(&record.id).chain(&record.aliases)).collect();
    names.sort_by_key(|name| (prominence(name), (*name).clone()));
    names.dedup();
    let malicious = group.iter().any(|record| record.is_malicious());
    let cvss = group.iter().filter_map(|record| record.score).max_by(f64::total_cmp);
    let said = ["critical", "high", "medium", "low"].into_iter().find(|word| group.iter().any(|record| record.word.as_deref() == Some(word)));
    let mut fixed_in: Vec<String> = group.iter().flat_map(|record| record.about(subject.name).fixed_after(subject.ecosystem, subject.version)).collect();
    fixed_in.sort_by(|a, b| subject.ecosystem.compare(a, b).unwrap_or(Ordering::Equal));
    fixed_in.dedup();
    fixed_in.truncate(20);
    let out = |fixed: &String| {
        let same = |release: &&Release| subject.ecosystem.compare(&release.version, fixed).is_some_and(Ordering::is_eq);
        subject.releases.iter().find(same).and_then(|release| release.at)
    };
    Advisory {
        severity: if malicious { Some("critical".to_owned()) } else { cvss.and_then(word).or(said).map(str::to_owned) },
        cvss,
        fixed_at: fixed_in.iter().filter_map(out).min(),
        fixed_in,
        summary: group.iter().filter_map(|record| record.summary.as_ref()).min_by_key(|text| text.len()).cloned(),
        published: group.iter().filter_map(|record| record.published).min(),
        url: group.iter().find_map(|record| record.url.clone()),
        ignored_until: None,
        id: names.first().map(|name| (*name).clone()).unwrap_or_default(),
        aliases: names.into_iter().skip(1).cloned().collect(),
    }
}

/// Whether this version has none of these flaws, as far as their records tell.
fn is_cured(subject: Subject<'_>, groups: &[Vec<&Record>], version: &str) -> bool {
    groups.iter().all(|group| {
        let said: Vec<bool> = group.iter().filter_map(|record| record.about(subject.name).holds(subject.ecosystem, version)).collect();
        !said.is_empty() && said.iter().all(|holds| !holds)
    })
}

fn cure(subject: Subject<'_>, groups: &[Vec<&Record>], also: &[&Record]) -> Option<String> {
    let ecosystem = subject.ecosystem;
    let newer = |version: &&String| ecosystem.compare(subject.version, version).is_some_and(Ordering::is_lt);
    let of_records: Vec<String>;
    let mut candidates: Vec<&String> = if subject.releases.is_empty() {
        // Nothing is known of what is out: the versions that the records name.
        of_records = groups.iter().flatten().flat_map(|record| record.about(subject.name).fixed_after(ecosystem, subject.version)).collect();
        of_records.iter().collect()
    } else {
        let pre = ecosystem.is_prerelease(subject.version);
        let offered = subject.releases.iter().filter(|release| release.usable).map(|release| &release.version);
        offered.filter(|version| pre || !ecosystem.is_prerelease(version)).filter(newer).collect()
    };
    candidates.sort_by(|a, b| ecosystem.compare(a, b).unwrap_or(Ordering::Equal));
    let clean = |version: &str| also.iter().all(|record| record.about(subject.name).holds(ecosystem, version) != Some(true));
    candidates.into_iter().find(|version| is_cured(subject, groups, version) && clean(version)).cloned()
}

#[cfg(test)]
mod tests {
    use super::super::record::{Affected, End, Run};
    use super::*;

    fn record(id: &str, aliases: &[&str], runs: &[(&str, &str)]) -> Arc<Record> {
        let runs = runs.iter().map(|(from, fixed)| Run { from: Some((*from).to_owned()), end: End::Fixed((*fixed).to_owned()) }).collect();
        Arc::new(Record {
            id: id.to_owned(),
            aliases: aliases.iter().map(|one| (*one).to_owned()).collect(),
            affected: vec![Affected { name: "django".into(), runs, ..Affected::default() }],
            ..Record::default()
        })
    }

    fn scored(record: &Arc<Record>, score: f64) -> Arc<Record> {
        Arc::new(Record { score: Some(score), ..record.as_ref().clone() })
    }

    fn releases(versions: &[&str]) -> Vec<Release> {
        versions.iter().map(|version| Release { version: (*version).to_owned(), at: None, usable: true }).collect()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn look(records: &[Arc<Record>], releases: &[Release], ignores: &[Ignore]) -> Judged {
        judge(Subject { ecosystem: Ecosystem::PyPi, name: "django", version: "5.2.15", releases }, records, &[], ignores, day("2026-11-20"))
    }

    #[test]
    fn one_flaw_in_three_databases_is_one_advisory() {
        let records = [
            record("PYSEC-2026-1", &["CVE-2026-1"], &[("5.2", "5.2.18")]),
            scored(&record("GHSA-aaaa-bbbb-cccc", &["CVE-2026-1"], &[("5.2", "5.2.18")]), 7.5),
            record("CVE-2026-2", &[], &[("5.2", "5.2.17"), ("4.2", "4.2.3")]),
        ];
        let judged = look(&records, &releases(&["5.2.15", "5.2.16", "5.2.17", "5.2.18", "5.2.19", "6.1"]), &[]);
        let ids: Vec<&str> = judged.advisories.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["CVE-2026-1", "CVE-2026-2"], "the gravest first");
        assert_eq!(judged.advisories[0].aliases, ["GHSA-aaaa-bbbb-cccc", "PYSEC-2026-1"]);
        assert_eq!((judged.advisories[0].cvss, judged.advisories[0].severity.as_deref()), (Some(7.5), Some("high")), "borrowed from the alias");
        assert_eq!(judged.advisories[1].severity, None);
        assert_eq!(judged.cure.as_deref(), Some("5.2.18"), "the smallest that cures both");
    }

    #[test]
    fn a_cure_must_be_out_and_a_flaw_without_one_says_so() {
        let records = [record("CVE-2026-1", &[], &[("5.2", "5.2.18")])];
        let mut out = releases(&["5.2.15", "5.2.18", "5.2.19"]);
        out[1].usable = false;
        assert_eq!(look(&records, &out, &[]).cure.as_deref(), Some("5.2.19"));
        assert_eq!(look(&records, &releases(&["5.2.15"]), &[]).cure, None);
        assert_eq!(look(&records, &[], &[]).cure.as_deref(), Some("5.2.18"), "where nothing is known of releases");
        let bare = Arc::new(Record { id: "MAL-2026-1".into(), ..Record::default() });
        let judged = look(&[bare], &releases(&["6.0"]), &[]);
        assert_eq!((judged.cure, judged.advisories[0].severity.as_deref()), (None, Some("critical")), "malicious, and nothing tells of a cure");
        let gone = Arc::new(Record { withdrawn: true, ..records[0].as_ref().clone() });
        assert_eq!(look(&[gone], &out, &[]), Judged::default());
    }

    #[test]
    fn what_is_borne_is_set_apart_until_its_day() {
        let records = [record("PYSEC-2026-1", &["CVE-2026-1"], &[("5.2", "5.2.18")])];
        let ignore = |id: &str, until: Option<&str>| Ignore { id: id.into(), reason: "not reachable".into(), until: until.map(day) };
        for id in ["cve-2026-1", "PYSEC-2026-1", "django"] {
            let judged = look(&records, &[], &[ignore(id, Some("2026-11-20"))]);
            assert_eq!((judged.advisories.len(), judged.borne.len(), judged.cure), (0, 1, None), "{id}");
            assert_eq!(judged.borne[0].reason, "not reachable");
        }
        let judged = look(&records, &[], &[ignore("CVE-2026-1", Some("2026-11-19"))]);
        assert_eq!((judged.advisories[0].ignored_until, judged.borne.len()), (Some(day("2026-11-19")), 0), "it is back, and says so");
    }
}
