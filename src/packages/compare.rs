//! What is there against what is out: latest, newest, wanted, how far, and what holds it.
//!
//! What does not belong here: whether that needs a person (`rules::dependencies`). Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use chrono::DateTime;

use super::advisories::judge;
use super::indexes::simple::{Project, Release};
use super::manifests::Entry;
use super::manifests::installed::Distribution;
use super::versions::{Constraint, Interpreter, Version};
use crate::domain::{Need, Out, Package};

/// Packages on the way to one.
const WAY: usize = 30;
/// Who asks for one package, at most.
const NEEDS: usize = 50;
/// Releases of one package that are shown on a line.
const RELEASES: usize = 9;

/// What indexes said of one package.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What each index that has it knows.
    pub projects: Vec<Arc<Project>>,
    /// The addresses of those, without credentials.
    pub places: Vec<String>,
    /// Why an index could not answer.
    pub problem: Option<String>,
}

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Of the manifests, each name once; empty without one.
    pub entries: &'a [Entry],
    /// Of the environment; `None` without one.
    pub installed: Option<&'a BTreeMap<String, Distribution>>,
    /// Whom versions are chosen for.
    pub interpreter: Option<&'a Interpreter>,
    /// How old a release must be.
    pub pace: Pace,
}

/// How old a release must be before it is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// The moment, in seconds since 1970.
    pub now_s: i64,
    /// The least age, in seconds; 0 for none.
    pub cooldown_s: i64,
}

impl Pace {
    /// Until when a release that came out then is too young; `None` when it is not, or nobody knows when it came.
    fn until(self, released_at_s: Option<i64>) -> Option<i64> {
        let end = released_at_s?.checked_add(self.cooldown_s)?;
        (self.cooldown_s > 0 && end > self.now_s).then_some(end)
    }
}

impl Facts<'_> {
    /// The names that an index is asked for.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.all().into_iter().filter(|name| self.is_from_index(name)).map(str::to_owned).collect()
    }

    /// The names that no index is asked for: from an address, a repository or a folder.
    #[must_use]
    pub fn elsewhere(&self) -> HashSet<String> {
        self.all().into_iter().filter(|name| !self.is_from_index(name)).map(str::to_owned).collect()
    }

    fn all(&self) -> BTreeSet<&str> {
        match self.installed {
            // A manifest may list what this environment leaves out, so what is installed does not hide it.
            Some(installed) => installed.keys().map(String::as_str).chain(self.entries.iter().map(|entry| entry.name.as_str())).collect(),
            None => self.entries.iter().map(|entry| entry.name.as_str()).collect(),
        }
    }

    /// Who asks for what: what is installed tells it, else the lock file.
    fn asks(&self) -> BTreeMap<&str, &[(String, Constraint)]> {
        match self.installed {
            Some(installed) => installed.values().map(|one| (one.name.as_str(), one.requires.as_slice())).collect(),
            None => self.entries.iter().map(|entry| (entry.name.as_str(), entry.asks.as_slice())).collect(),
        }
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    fn is_from_index(&self, name: &str) -> bool {
        let installed = self.installed.and_then(|all| all.get(name));
        self.entry(name).is_none_or(|entry| entry.from_index) && installed.is_none_or(|one| one.from_index)
    }
}

/// Judges every package, in the order of names.
#[must_use]
pub fn compare(facts: Facts<'_>, known: &BTreeMap<String, Known>) -> Vec<Package> {
    let by_name: BTreeMap<&str, &Entry> = facts.entries.iter().map(|entry| (entry.name.as_str(), entry)).collect();
    // What packages ask of each other.
    let mut bounds: BTreeMap<&str, Vec<(&str, &Constraint)>> = BTreeMap::new();
    for (who, asks) in facts.asks() {
        for (name, constraint) in asks {
            bounds.entry(name).or_default().push((who, constraint));
        }
    }
    let mut all: Vec<Package> = facts
        .all()
        .into_iter()
        .map(|name| one(name, by_name.get(name).copied(), facts, bounds.get(name).map_or(&[], Vec::as_slice), known.get(name)))
        .collect();
    paths(&mut all, facts);
    all
}

/// Tells of each package that nobody asked for by which others it came: the shortest way from a direct one.
fn paths(all: &mut [Package], facts: Facts<'_>) {
    let asks = facts.asks();
    let mut before: HashMap<&str, Option<&str>> = HashMap::new();
    let mut queue: VecDeque<&str> = VecDeque::new();
    for name in all.iter().filter(|package| package.direct == Some(true)).filter_map(|package| asks.get_key_value(package.name.as_str())).map(|(name, _)| *name)
    {
        before.insert(name, None);
        queue.push_back(name);
    }
    while let Some(name) = queue.pop_front() {
        for (next, _) in asks.get(name).into_iter().copied().flatten() {
            if !before.contains_key(next.as_str()) {
                before.insert(next, Some(name));
                queue.push_back(next);
            }
        }
    }
    for package in all.iter_mut().filter(|package| package.direct != Some(true)) {
        let mut way = Vec::new();
        let mut at = before.get(package.name.as_str()).copied().flatten();
        while let Some(name) = at.filter(|_| way.len() < WAY) {
            way.push(name.to_owned());
            at = before.get(name).copied().flatten();
        }
        way.reverse();
        package.via = way;
    }
}

/// How what is installed, locked and declared differs.
fn drift(package: &Package, entry: Option<&Entry>, has_environment: bool) -> Option<String> {
    let entry = entry?;
    let version = |text: &str| text.chars().filter(|c| !c.is_control()).take(40).collect::<String>();
    match (&package.installed, &package.locked) {
        (Some(installed), Some(locked)) => {
            let same = match (Version::parse(installed), Version::parse(locked)) {
                (Some(a), Some(b)) => a == b,
                _ => installed == locked,
            };
            (!same).then(|| format!("installed {}, locked {}", version(installed), version(locked)))
        }
        (Some(installed), None) => {
            let parsed = Version::parse(installed)?;
            (entry.from_index && !entry.constraint.allows(&parsed)).then(|| format!("installed {}, declared {}", version(installed), entry.constraint))
        }
        (None, _) if has_environment && entry.direct == Some(true) => Some("listed, not installed".to_owned()),
        _ => None,
    }
}

/// The other index that has a package of this name, where the version that is there is only at one: an installer takes the higher.
fn confusable(known: &Known, current: &Version) -> Option<String> {
    if known.places.len() < 2 {
        return None;
    }
    let has = |project: &Arc<Project>| project.releases.iter().any(|release| Version::parse(&release.version).is_some_and(|version| version == *current));
    let having: Vec<bool> = known.projects.iter().map(has).collect();
    if !having.iter().any(|has| *has) {
        return None;
    }
    having.iter().zip(&known.places).find(|(has, _)| !**has).map(|(_, place)| place.clone())
}

/// A release that can be compared.
struct Candidate<'a> {
    version: Version,
    release: &'a Release,
    runs: bool,
}

fn runs(release: &Release, interpreter: Option<&Interpreter>) -> bool {
    let Some(interpreter) = interpreter else { return true };
    let python = release.requires_python.is_empty() || release.requires_python.iter().any(|text| interpreter.satisfies(text));
    python && (release.wheels.is_empty() || release.wheels.iter().any(|tags| interpreter.takes(tags)))
}

fn one(name: &str, entry: Option<&Entry>, facts: Facts<'_>, bounds: &[(&str, &Constraint)], known: Option<&Known>) -> Package {
    let installed = facts.installed.and_then(|all| all.get(name));
    let mut package = Package {
        name: name.to_owned(),
        installed: installed.map(|one| one.version.clone()),
        locked: entry.and_then(|entry| entry.locked.clone()),
        direct: match entry {
            Some(entry) => entry.direct,
            None if !facts.entries.is_empty() => Some(false),
            None => installed.and_then(|one| one.requested),
        },
        place: entry.map(|entry| entry.place.clone()),
        declared: entry.map(|entry| entry.constraint.to_string()).filter(|text| !text.is_empty()),
        needed_by: bounds.iter().take(NEEDS).map(|(who, bound)| Need { name: (*who).to_owned(), constraint: bound.to_string() }).collect(),
        problem: known.and_then(|known| known.problem.clone()),
        ..Package::default()
    };
    let current = package.current().and_then(Version::parse);
    if let (Some(text), None) = (package.current(), &current) {
        let text: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
        package.problem.get_or_insert_with(|| format!("{text} is no version that can be compared"));
    }
    package.drift = drift(&package, entry, facts.installed.is_some());
    let Some(known) = known else { return package };
    package.confusable = current.as_ref().and_then(|current| confusable(known, current));
    package.project_status = known.projects.iter().find_map(|project| project.status.clone());
    let mut candidates: Vec<Candidate<'_>> = known
        .projects
        .iter()
        .flat_map(|project| &project.releases)
        .filter_map(|release| Some(Candidate { version: Version::parse(&release.version)?, release, runs: runs(release, facts.interpreter) }))
        .collect();
    // Stable, so that of equal versions the first index's stays before the others'.
    candidates.sort_by(|a, b| b.version.cmp(&a.version));

    if let Some(text) = package.current() {
        let same: Vec<&Release> = match &current {
            Some(current) => candidates.iter().filter(|one| one.version == *current).map(|one| one.release).collect(),
            None => known.projects.iter().flat_map(|project| &project.releases).filter(|release| release.version == text).collect(),
        };
        package.current_released_at = same.iter().find_map(|release| time(release));
        if !same.is_empty() && same.iter().all(|release| release.yanked.is_some()) {
            package.yanked = true;
            package.yanked_reason = same.iter().filter_map(|release| release.yanked.clone()).find(|reason| !reason.is_empty());
        }
    }

    let good = || candidates.iter().filter(|one| one.release.yanked.is_none());
    package.newest = good().next().map(|one| one.version.to_string());
    let runnable = || good().filter(|one| one.runs);
    let newest_runnable = runnable().next();
    let stable = runnable().find(|one| !one.version.is_prerelease());
    let latest = match (stable, &current) {
        (None, _) => newest_runnable,
        // Who is on a pre-release of what is not out yet is compared with pre-releases.
        (Some(stable), Some(current)) if current.is_prerelease() && *current > stable.version => newest_runnable,
        (stable, _) => stable,
    };
    if let Some(latest) = latest {
        package.latest = Some(latest.version.to_string());
        package.requires_python = latest.release.requires_python.iter().find(|text| !text.is_empty()).cloned();
        package.released_at = time(latest.release);
        package.bump = current.as_ref().and_then(|current| current.bump_to(&latest.version));
    }

    let any = Constraint::default();
    let own = entry.map_or(&any, |entry| &entry.constraint);
    let pre = own.names_prerelease() || latest.is_some_and(|latest| latest.version.is_prerelease());
    let pinned = own.pin().and_then(|text| Version::parse(&text));
    let allowed = |one: &&Candidate<'_>| own.allows(&one.version) && bounds.iter().all(|(_, bound)| bound.allows(&one.version));
    let newest_allowed = runnable().filter(|one| pre || !one.version.is_prerelease()).find(allowed);
    let young = |one: &&Candidate<'_>| facts.pace.until(one.release.released_at_s).is_some() && current.as_ref() != Some(&one.version);
    let wanted = runnable()
        .filter(|one| pre || !one.version.is_prerelease())
        .filter(allowed)
        .find(|one| !young(one))
        // A withdrawn version stays installable for who pins it.
        .or_else(|| candidates.iter().find(|one| one.runs && pinned.as_ref() == Some(&one.version)));
    package.wanted = wanted.map(|one| one.version.to_string());
    package.held_by = held(latest, wanted, own, bounds, good().find(|one| !one.version.is_prerelease()));
    if let Some(newer) = newest_allowed.filter(|newer| young(newer) && wanted.is_none_or(|wanted| wanted.version < newer.version)) {
        package.held_by = Some("cool-down".to_owned());
        package.cooling_until = facts.pace.until(newer.release.released_at_s).and_then(|s| DateTime::from_timestamp(s, 0));
    }
    if let Some(current) = &current {
        let stable = |one: &&Candidate<'_>| !one.version.is_prerelease() && one.version.series() == current.series() && one.version > *current;
        package.patch = runnable().find(stable).map(|one| one.version.to_string());
        if package.bump.is_some() {
            let shown = candidates.iter().filter(|one| one.version >= *current && (pre || !one.version.is_prerelease()));
            let mut releases: Vec<Out> =
                shown.map(|one| Out { version: one.version.to_string(), at: time(one.release), yanked: one.release.yanked.is_some() }).collect();
            releases.reverse();
            thin(&mut releases, [package.wanted.as_deref(), package.patch.as_deref()], RELEASES);
            package.releases = releases;
        }
    }
    package.libyears = match (package.current_released_at, package.released_at) {
        (Some(from), Some(to)) if package.bump.is_some() && to > from => Some(((to - from).num_days() as f64 / 365.25 * 100.0).round() / 100.0),
        _ => None,
    };
    package
}

/// Leaves about `most`: the release that is there, what one would move to with the one before it, and the newest; `releases` are oldest
/// first.
pub fn thin(releases: &mut Vec<Out>, goals: [Option<&str>; 2], most: usize) {
    let goal = |out: &Out| goals.contains(&Some(out.version.as_str()));
    let mut kept: Vec<bool> = (0..releases.len()).map(|at| at == 0 || goal(&releases[at]) || releases.get(at + 1).is_some_and(goal)).collect();
    let mut room = most.saturating_sub(kept.iter().filter(|kept| **kept).count());
    for kept in kept.iter_mut().rev().filter(|kept| !**kept) {
        if room == 0 {
            break;
        }
        (*kept, room) = (true, room - 1);
    }
    let mut kept = kept.into_iter();
    releases.retain(|_| kept.next().unwrap_or(false));
}

/// What could be moved to, for who looks for a cure.
#[must_use]
pub fn releases(known: &Known, interpreter: Option<&Interpreter>) -> Vec<judge::Release> {
    let all = known.projects.iter().flat_map(|project| &project.releases);
    all.map(|release| judge::Release { version: release.version.clone(), at: time(release), usable: release.yanked.is_none() && runs(release, interpreter) })
        .collect()
}

fn time(release: &Release) -> Option<DateTime<chrono::Utc>> {
    release.released_at_s.and_then(|seconds| DateTime::from_timestamp(seconds, 0))
}

/// What keeps the wanted version from being the latest, or the latest from being the newest stable one.
fn held(
    latest: Option<&Candidate<'_>>,
    wanted: Option<&Candidate<'_>>,
    own: &Constraint,
    bounds: &[(&str, &Constraint)],
    newest: Option<&Candidate<'_>>,
) -> Option<String> {
    let latest = latest?;
    if wanted.is_none_or(|wanted| wanted.version < latest.version) {
        if !own.allows(&latest.version) {
            return Some(if own.pin().is_some() { "pinned".to_owned() } else { own.against(&latest.version) });
        }
        if let Some((who, bound)) = bounds.iter().find(|(_, bound)| !bound.allows(&latest.version)) {
            return Some(format!("{who} {}", bound.against(&latest.version)));
        }
    }
    let newest = newest.filter(|newest| newest.version > latest.version && !newest.runs)?;
    let asks = newest.release.requires_python.iter().find(|text| !text.is_empty())?;
    let least = asks.split(',').find_map(|part| part.trim().strip_prefix(">=")).map(str::trim);
    Some(format!("Python {}", least.unwrap_or(asks)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Bump;

    fn release(version: &str) -> Release {
        Release { version: version.to_owned(), released_at_s: Some(1_700_000_000), ..Release::default() }
    }

    fn yanked(version: &str) -> Release {
        Release { yanked: Some("broken build".to_owned()), ..release(version) }
    }

    fn python(version: &str, requires: &str) -> Release {
        Release { requires_python: vec![requires.to_owned()], ..release(version) }
    }

    fn wheel(version: &str, tags: &str) -> Release {
        Release { wheels: vec![tags.to_owned()], ..release(version) }
    }

    /// `basket`, this version installed, this constraint in the manifest, these releases out.
    fn look(installed: &str, constraint: Option<&str>, releases: Vec<Release>) -> Package {
        let interpreter = Interpreter::new("3.11.4");
        let one = Distribution { name: "basket".into(), version: installed.into(), requested: None, from_index: true, requires: vec![] };
        let installed = BTreeMap::from([("basket".to_owned(), one)]);
        let entries: Vec<Entry> = constraint
            .map(|text| Constraint::parse(text).unwrap())
            .map(|constraint| Entry {
                name: "basket".into(),
                locked: constraint.pin(),
                constraint,
                from_index: true,
                direct: Some(true),
                place: "r.txt:1".into(),
                ..Entry::default()
            })
            .into_iter()
            .collect();
        let known = Known { projects: vec![Arc::new(Project { releases, status: None, latest: None })], ..Known::default() };
        let facts = Facts { entries: &entries, installed: Some(&installed), interpreter: interpreter.as_ref(), pace: Pace::default() };
        compare(facts, &BTreeMap::from([("basket".to_owned(), known)])).remove(0)
    }

    #[test]
    fn the_latest_is_the_newest_that_can_be_used() {
        let cases = [
            ("plain", "1.0", vec![release("1.0"), release("1.10"), release("1.9")], "1.10", Some(Bump::Minor)),
            ("up to date", "1.0.0", vec![release("1.0")], "1.0", None),
            ("withdrawn newest", "1.0", vec![release("1.0"), yanked("1.1")], "1.0", None),
            ("pre-release newest", "1.0", vec![release("1.0"), release("2.0rc1"), release("2.0.dev3")], "1.0", None),
            ("only pre-releases", "0.1b0", vec![release("0.1b0"), release("0.2b0")], "0.2b0", Some(Bump::Minor)),
            ("on a pre-release that came out", "2.0rc1", vec![release("1.0"), release("2.0rc1"), release("2.0")], "2.0", Some(Bump::Patch)),
            ("on a pre-release still", "2.0rc1", vec![release("1.0"), release("2.0rc1"), release("2.0rc2")], "2.0rc2", Some(Bump::Patch)),
            ("python too new", "1.0", vec![release("1.0"), python("2.0", ">=3.12")], "1.0", None),
            ("other platform", "1.0", vec![release("1.0"), wheel("1.1", "cp311-cp311-win_amd64"), wheel("1.2", "cp312-cp312-any")], "1.0", None),
            ("post", "1.0", vec![release("1.0"), release("1.0.post2")], "1.0.post2", Some(Bump::Patch)),
            ("epoch", "9.0", vec![release("9.0"), release("1!0.1")], "1!0.1", Some(Bump::Major)),
            ("own build", "1.0+local", vec![release("1.0")], "1.0", None),
        ];
        for (what, installed, releases, latest, bump) in cases {
            let seen = look(installed, None, releases);
            assert_eq!((seen.latest.as_deref(), seen.bump), (Some(latest), bump), "{what}");
        }
    }

    #[test]
    fn wanted_is_within_the_manifest_and_what_holds_it_is_told() {
        let all = || vec![release("4.2.1"), release("4.2.9"), release("5.0"), python("6.0", ">=3.12,<4")];
        let seen = look("4.2.1", Some(">=4.2,<5"), all());
        assert_eq!((seen.wanted.as_deref(), seen.latest.as_deref(), seen.newest.as_deref()), (Some("4.2.9"), Some("5.0"), Some("6.0")));
        assert_eq!((seen.held_by.as_deref(), seen.bump, seen.direct), (Some("<5"), Some(Bump::Major), Some(true)));
        let seen = look("4.2.1", Some("==4.2.1"), all());
        assert_eq!((seen.wanted.as_deref(), seen.locked.as_deref(), seen.held_by.as_deref()), (Some("4.2.1"), Some("4.2.1"), Some("pinned")));
        let seen = look("5.0", Some(""), all());
        assert_eq!((seen.wanted.as_deref(), seen.held_by.as_deref()), (Some("5.0"), Some("Python 3.12")));
        let seen = look("1.1", Some("==1.1"), vec![release("1.0"), yanked("1.1")]);
        assert_eq!((seen.wanted.as_deref(), seen.yanked, seen.yanked_reason.as_deref()), (Some("1.1"), true, Some("broken build")));
        assert_eq!((seen.latest.as_deref(), seen.bump), (Some("1.0"), None));
    }

    #[test]
    fn an_installed_package_holds_another_back() {
        let one = |name: &str, version: &str, requires: Vec<(String, Constraint)>| {
            (name.to_owned(), Distribution { name: name.into(), version: version.into(), requested: None, from_index: true, requires })
        };
        let bound = Constraint::parse("<6").unwrap();
        let installed = BTreeMap::from([one("celery", "5.5", vec![("redis".into(), bound)]), one("redis", "5.2.1", vec![])]);
        let known = |releases| Known { projects: vec![Arc::new(Project { releases, status: Some("archived".into()), latest: None })], ..Known::default() };
        let known = BTreeMap::from([("redis".to_owned(), known(vec![release("5.2.1"), release("7.1.0")]))]);
        let seen = compare(Facts { entries: &[], installed: Some(&installed), interpreter: None, pace: Pace::default() }, &known);
        assert_eq!((seen[1].wanted.as_deref(), seen[1].held_by.as_deref()), (Some("5.2.1"), Some("celery <6")));
        assert_eq!((seen[1].project_status.as_deref(), seen[0].latest.as_deref()), (Some("archived"), None));
    }

    #[test]
    fn odd_versions_are_kept_as_text() {
        let seen = look("2004d-final", None, vec![release("1.0"), yanked("2004d-final")]);
        assert_eq!((seen.installed.as_deref(), seen.latest.as_deref(), seen.bump), (Some("2004d-final"), Some("1.0"), None));
        assert!(seen.yanked && seen.problem.unwrap().contains("2004d-final"));
    }
}
