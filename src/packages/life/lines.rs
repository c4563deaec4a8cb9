//! A version that is used and the dates of its product, made into a life line: which series, until when, what comes after it.
//!
//! What does not belong here: where the dates come from (`client`, `dates`). Pure.

use chrono::{Datelike, NaiveDate};

use super::dates::{Product, Release};
use crate::domain::{LifeLine, NextRelease};

/// The series that a version belongs to: the longest name that is a dotted beginning of it.
#[must_use]
pub fn cycle<'a>(product: &'a Product, version: &str) -> Option<&'a Release> {
    let version = version.trim().trim_start_matches(['v', 'V']);
    let begins = |name: &str| version == name || version.strip_prefix(name).is_some_and(|rest| rest.starts_with(|c: char| !c.is_ascii_digit()));
    product.releases.iter().filter(|release| begins(&release.name)).max_by_key(|release| release.name.len())
}

/// The life line of a version. `python` is the interpreter it runs on, where that is known.
#[must_use]
pub fn line(product: &Product, version: &str, python: Option<(u64, u64)>, today: NaiveDate, seen: &str) -> LifeLine {
    let mut line = LifeLine {
        product: product.name.clone(),
        label: product.label.clone(),
        version: version.chars().filter(|c| !c.is_control()).take(40).collect(),
        seen: seen.to_owned(),
        ..LifeLine::default()
    };
    let Some(release) = cycle(product, version) else { return line };
    line.cycle = Some(release.name.clone());
    line.lts = release.is_lts(today);
    line.start = release.start;
    line.full_until = release.full_until;
    line.security_until = release.security_until;
    line.ended = release.ended;
    line.latest.clone_from(&release.latest);
    let next = next(product, release, today);
    line.next = next.map(|next| NextRelease { cycle: next.name.clone(), at: next.start, lts: next.is_lts(today), security_until: next.security_until });
    line.coming = coming(product, release, today);
    if let Some(python) = python {
        line.conflicts = conflicts(product, release, next, python);
    }
    line
}

/// Newer by the date it came out; where there is none, by its place in the list.
fn is_newer(product: &Product, one: &Release, than: &Release) -> bool {
    match (one.start, than.start) {
        (Some(one), Some(than)) => one > than,
        _ => {
            let place = |wanted: &Release| product.releases.iter().position(|release| release.name == wanted.name);
            place(one) < place(than)
        }
    }
}

/// The newest one with long support, for a product that has such and for who is on one; else the newest.
fn next<'a>(product: &'a Product, from: &Release, today: NaiveDate) -> Option<&'a Release> {
    let newest = |wanted: &dyn Fn(&Release) -> bool| {
        product.releases.iter().filter(|one| wanted(one) && is_newer(product, one, from)).max_by(|a, b| a.start.cmp(&b.start))
    };
    // Who follows feature releases goes on to the next of them, unless only one with long support is newer.
    if from.is_lts(today) { newest(&|one| one.is_lts(today)) } else { newest(&|_| true) }
}

/// The next one with long support that is not there yet: one whose day is set, or by rule. Django's are every second year in April, the `.2`
/// of a major version (Django, "supported versions" and release process); nothing is foretold of other products.
fn coming(product: &Product, from: &Release, today: NaiveDate) -> Option<NextRelease> {
    let set = product.releases.iter().filter(|release| release.lts_from.is_some_and(|at| at > today)).min_by_key(|release| release.lts_from);
    if let Some(set) = set {
        return Some(NextRelease { cycle: set.name.clone(), at: set.lts_from, lts: true, security_until: set.security_until });
    }
    if product.name != "django" {
        return None;
    }
    let newest = product.releases.iter().filter(|release| release.lts).max_by_key(|release| release.start)?;
    let (major, minor) = newest.name.split_once('.')?;
    let (major, year) = (major.parse::<u64>().ok()? + 1, newest.start?.year() + 2);
    let cycle = format!("{major}.{minor}");
    (from.name != cycle).then(|| NextRelease {
        cycle,
        at: NaiveDate::from_ymd_opt(year, 4, 1),
        lts: true,
        security_until: NaiveDate::from_ymd_opt(year + 3, 4, 30),
    })
}

/// What the series, and the one after it, ask of Python.
fn conflicts(product: &Product, release: &Release, next: Option<&Release>, python: (u64, u64)) -> Vec<String> {
    let label = &product.label;
    let mut all = Vec::new();
    if let Some((first, last)) = release.pythons.filter(|(first, last)| python < *first || python > *last) {
        all.push(format!("{label} {} is for Python {}.{} to {}.{}, not {}.{}", release.name, first.0, first.1, last.0, last.1, python.0, python.1));
    }
    if let Some((next, first)) = next.and_then(|next| Some((next, next.pythons?.0))).filter(|(_, first)| python < *first) {
        all.push(format!("{label} {} needs Python {}.{}", next.name, first.0, first.1));
    }
    all
}

/// Those that ended first, then by their end; what nobody knows last.
pub fn sort(lines: &mut [LifeLine]) {
    lines.sort_by(|a, b| {
        let end = |line: &LifeLine| if line.ended { NaiveDate::MIN } else { line.security_until.unwrap_or(NaiveDate::MAX) };
        end(a).cmp(&end(b)).then_with(|| a.product.cmp(&b.product))
    });
}

#[cfg(test)]
mod tests {
    use super::super::dates::embedded;
    use super::*;
    use crate::domain::Phase;

    #[test]
    fn a_version_finds_its_series_and_its_successor() {
        let django = embedded("django").unwrap();
        let today: NaiveDate = "2026-11-20".parse().unwrap();
        let of = |version: &str| line(&django, version, None, today, "test");
        let blog = of("4.2.30");
        assert_eq!((blog.title().as_str(), blog.security_until.unwrap().to_string().as_str()), ("Django 4.2 LTS", "2026-04-07"));
        let next = blog.next.unwrap();
        assert_eq!((next.cycle.as_str(), next.lts), ("5.2", true), "from one with long support to the next of its kind");
        let coming = blog.coming.unwrap();
        assert_eq!((coming.cycle.as_str(), coming.at.unwrap().to_string().as_str()), ("6.2", "2027-04-01"));
        assert_eq!(of("6.0.3").next.unwrap().cycle, "6.1");
        assert_eq!((of("5.2.15").next, of("6.1").next), (None, None));
        assert_eq!(
            ["4.2.30", "5.2", "6.0.1", "6.1.3", "3.2"].map(|version| of(version).phase(today)),
            [Phase::Ended, Phase::Security, Phase::Security, Phase::Full, Phase::Unknown]
        );
        let postgresql = embedded("postgresql").unwrap();
        assert_eq!(cycle(&postgresql, "16.4 (Debian 16.4-1)").unwrap().name, "16");
        assert_eq!(cycle(&postgresql, "161").map(|release| &release.name), None, "not a longer number");
        assert_eq!(cycle(&embedded("python").unwrap(), "3.10.14").unwrap().name, "3.10", "and not 3.1");
    }

    #[test]
    fn django_and_python_must_fit() {
        let django = embedded("django").unwrap();
        let day = "2026-11-20".parse().unwrap();
        assert_eq!(line(&django, "5.2.15", Some((3, 12)), day, "test").conflicts, Vec::<String>::new());
        assert_eq!(line(&django, "5.2.15", Some((3, 9)), day, "test").conflicts, ["Django 5.2 is for Python 3.10 to 3.14, not 3.9"]);
        assert_eq!(line(&django, "4.2.30", Some((3, 8)), day, "test").conflicts, ["Django 5.2 needs Python 3.10"]);
    }

    #[test]
    fn long_support_may_begin_later_than_the_release() {
        let nodejs = embedded("nodejs").unwrap();
        let of = |version: &str, day: &str| line(&nodejs, version, None, day.parse().unwrap(), "test");
        let before = of("24.11.0", "2026-09-01");
        let coming = before.coming.unwrap();
        assert_eq!((before.lts, before.next.is_none(), coming.cycle.as_str(), coming.at.unwrap().to_string().as_str()), (true, true, "26", "2026-10-28"));
        let after = of("24.11.0", "2026-11-20");
        assert_eq!((after.next.unwrap().cycle.as_str(), after.coming), ("26", None));
        let feature = of("25.1.0", "2026-09-01");
        assert_eq!((feature.lts, feature.next.map(|next| (next.cycle, next.lts))), (false, Some(("26".to_owned(), false))));
        assert!(of("26.1.0", "2026-11-20").lts && !of("26.1.0", "2026-09-01").lts);
    }
}
