//! What a lock file lists, whatever its tool, and what follows from it and from what is out.
//!
//! What does not belong here: reading a certain lock file (`npm`, `cargo`). Pure.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use chrono::DateTime;
use semver::{Version, VersionReq};

use crate::domain::{Bump, Need, Out, Package};
use crate::packages::ecosystem::semantic;
use crate::packages::indexes::simple::{Project, Release};

/// Who asks for one package, at most.
const NEEDS: usize = 50;
/// Releases of one package that are shown on a line.
const RELEASES: usize = 9;
/// Packages on the way to one.
const WAY: usize = 30;

/// One package that is pinned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Locked {
    /// Its name.
    pub name: String,
    /// Its version, as written.
    pub version: String,
    /// `false`: from a repository, an address or a folder, so no registry knows it.
    pub from_registry: bool,
    /// The packages it asks for, by their place in the list, each with what it says of their versions, where that is written.
    pub asks: Vec<(usize, Option<Wanted>)>,
}

/// Which versions somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// As written.
    pub text: String,
    /// Any of these; empty: any version, or what cannot be read.
    pub any: Vec<VersionReq>,
}

impl Wanted {
    fn allows(&self, version: &Version) -> bool {
        self.any.is_empty() || self.any.iter().any(|one| one.matches(version))
    }
}

/// A whole lock file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listed {
    /// All that is pinned.
    pub all: Vec<Locked>,
    /// What the project itself asks for, by place.
    pub roots: Vec<(usize, Option<Wanted>)>,
    /// Whether `roots` are known.
    pub knows_roots: bool,
    /// What could not be read, with its place.
    pub problems: Vec<(String, String)>,
    /// Registries that packages came from, as written.
    pub recorded: Vec<String>,
}

/// What stands between two versions; `None` when the second is not newer.
fn bump(from: &Version, to: &Version) -> Option<Bump> {
    if to.cmp_precedence(from).is_le() {
        return None;
    }
    Some(if from.major != to.major {
        Bump::Major
    } else if from.minor != to.minor {
        Bump::Minor
    } else {
        Bump::Patch
    })
}

fn time(release: &Release) -> Option<DateTime<chrono::Utc>> {
    release.released_at_s.and_then(|seconds| DateTime::from_timestamp(seconds, 0))
}

/// Judges every package, in the order of the list. `compatible`: what others brought is wanted as far as it is compatible with what is
/// locked, because the lock file does not say what they ask for.
#[must_use]
pub fn compare(listed: &Listed, known: &BTreeMap<String, (Option<Arc<Project>>, Option<String>)>, place: &str, compatible: bool) -> Vec<Package> {
    let mut bounds: Vec<Vec<(Option<usize>, &Wanted)>> = vec![Vec::new(); listed.all.len()];
    for (at, wanted) in &listed.roots {
        if let (Some(slot), Some(wanted)) = (bounds.get_mut(*at), wanted) {
            slot.push((None, wanted));
        }
    }
    for (who, locked) in listed.all.iter().enumerate() {
        for (at, wanted) in &locked.asks {
            if let (Some(slot), Some(wanted)) = (bounds.get_mut(*at), wanted) {
                slot.push((Some(who), wanted));
            }
        }
    }
    let direct: HashSet<usize> = listed.roots.iter().map(|(at, _)| *at).collect();
    let ways = ways(listed);
    let needed = needed(listed);
    listed
        .all
        .iter()
        .enumerate()
        .map(|(at, locked)| {
            let is_direct = listed.knows_roots.then(|| direct.contains(&at));
            let mut package = Package {
                name: locked.name.clone(),
                locked: Some(locked.version.clone()),
                direct: is_direct,
                place: Some(place.to_owned()),
                declared: bounds[at].iter().find(|(who, _)| who.is_none()).map(|(_, wanted)| wanted.text.clone()),
                needed_by: needed[at].clone(),
                via: if is_direct == Some(true) { Vec::new() } else { ways[at].iter().map(|at| listed.all[*at].name.clone()).collect() },
                ..Package::default()
            };
            if let Some((project, problem)) = known.get(&locked.name).filter(|_| locked.from_registry) {
                package.problem.clone_from(problem);
                if let Some(project) = project {
                    one(&mut package, project, &bounds[at], listed, compatible && is_direct != Some(true));
                }
            }
            package
        })
        .collect()
}

fn one(package: &mut Package, project: &Project, bounds: &[(Option<usize>, &Wanted)], listed: &Listed, compatible: bool) {
    package.project_status.clone_from(&project.status);
    let text = package.locked.clone().unwrap_or_default();
    let Some(current) = semantic(&text) else {
        let text: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
        package.problem.get_or_insert_with(|| format!("{text} is no version that can be compared"));
        return;
    };
    let mut all: Vec<(Version, &Release)> = project.releases.iter().filter_map(|release| Some((semantic(&release.version)?, release))).collect();
    all.sort_by(|(a, _), (b, _)| b.cmp_precedence(a));
    if let Some((_, release)) = all.iter().find(|(version, _)| version.cmp_precedence(&current).is_eq()) {
        package.current_released_at = time(release);
        package.yanked = release.yanked.is_some();
        package.yanked_reason = release.yanked.clone().filter(|reason| !reason.is_empty());
    }
    let good = || all.iter().filter(|(_, release)| release.yanked.is_none());
    package.newest = good().next().map(|(_, release)| release.version.clone());
    let stable = || good().filter(|(version, _)| version.pre.is_empty());
    // What its project names the latest counts; what is tagged otherwise is for others.
    let tagged = project.latest.as_deref().and_then(semantic).and_then(|tag| good().find(|(version, _)| version.cmp_precedence(&tag).is_eq()));
    let ahead = !current.pre.is_empty() && stable().next().is_none_or(|(version, _)| version.cmp_precedence(&current).is_lt());
    let latest = if ahead { good().next() } else { tagged.or_else(|| stable().next()).or_else(|| good().next()) };
    let Some((newest, release)) = latest else { return };
    package.latest = Some(release.version.clone());
    package.released_at = time(release);
    package.bump = bump(&current, newest);
    let same: Option<VersionReq> = compatible.then(|| VersionReq::parse(&format!("^{current}")).ok()).flatten();
    let allowed = |version: &Version| bounds.iter().all(|(_, wanted)| wanted.allows(version)) && same.as_ref().is_none_or(|same| same.matches(version));
    let within = |version: &Version| version.cmp_precedence(newest).is_le() && version.cmp_precedence(&current).is_ge();
    let wanted = good().find(|(version, _)| within(version) && (version.pre.is_empty() || ahead) && allowed(version));
    package.wanted = wanted.map(|(_, release)| release.version.clone()).or(Some(text));
    if package.bump.is_some() && wanted.is_none_or(|(version, _)| version.cmp_precedence(newest).is_lt()) {
        let against = bounds.iter().find(|(_, wanted)| !wanted.allows(newest));
        package.held_by = match against {
            Some((None, wanted)) => Some(wanted.text.clone()),
            Some((Some(who), wanted)) => Some(format!("{} {}", listed.all[*who].name, wanted.text)),
            None if same.is_some() => package.needed_by.first().map(|need| need.name.clone()).or_else(|| Some("the lock file".to_owned())),
            None => None,
        };
    }
    let series = |version: &Version| (version.major, version.minor) == (current.major, current.minor) && version.cmp_precedence(&current).is_gt();
    package.patch = stable().find(|(version, _)| series(version)).map(|(_, release)| release.version.clone());
    if package.bump.is_some() {
        let newer = all.iter().filter(|(version, _)| version.cmp_precedence(&current).is_ge() && (version.pre.is_empty() || *version == current || ahead));
        let mut releases: Vec<Out> =
            newer.map(|(_, release)| Out { version: release.version.clone(), at: time(release), yanked: release.yanked.is_some() }).collect();
        releases.reverse();
        crate::packages::compare::thin(&mut releases, [package.wanted.as_deref(), package.patch.as_deref()], RELEASES);
        package.releases = releases;
    }
    package.libyears = match (package.current_released_at, package.released_at) {
        (Some(from), Some(to)) if package.bump.is_some() && to > from => Some(((to - from).num_days() as f64 / 365.25 * 100.0).round() / 100.0),
        _ => None,
    };
}

/// The packages by which each came: the shortest way from what the project asks for, without itself.
fn ways(listed: &Listed) -> Vec<Vec<usize>> {
    let mut before: Vec<Option<Option<usize>>> = vec![None; listed.all.len()];
    let mut queue: VecDeque<usize> = VecDeque::new();
    for (at, _) in &listed.roots {
        if let Some(slot) = before.get_mut(*at).filter(|slot| slot.is_none()) {
            *slot = Some(None);
            queue.push_back(*at);
        }
    }
    while let Some(at) = queue.pop_front() {
        for (next, _) in &listed.all[at].asks {
            if let Some(slot) = before.get_mut(*next).filter(|slot| slot.is_none()) {
                *slot = Some(Some(at));
                queue.push_back(*next);
            }
        }
    }
    let way = |at: usize| {
        let mut way = Vec::new();
        let mut here = before[at].flatten();
        while let Some(one) = here.filter(|_| way.len() < WAY) {
            way.push(one);
            here = before[one].flatten();
        }
        way.reverse();
        way
    };
    (0..listed.all.len()).map(way).collect()
}

fn needed(listed: &Listed) -> Vec<Vec<Need>> {
    let mut all: Vec<Vec<Need>> = vec![Vec::new(); listed.all.len()];
    for locked in &listed.all {
        for (at, wanted) in &locked.asks {
            if let Some(slot) = all.get_mut(*at).filter(|slot| slot.len() < NEEDS) {
                slot.push(Need { name: locked.name.clone(), constraint: wanted.as_ref().map(|wanted| wanted.text.clone()).unwrap_or_default() });
            }
        }
    }
    all
}

/// Gives each item a name of its own: of several versions of one package the one the project asks for, else the newest, keeps the name.
pub fn tell_apart(items: &mut [Package]) {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, package) in items.iter().enumerate() {
        places.entry(package.name.clone()).or_default().push(at);
    }
    for (_, mut of_name) in places.into_iter().filter(|(_, of_name)| of_name.len() > 1) {
        let version = |at: usize| items[at].locked.as_deref().and_then(semantic);
        of_name.sort_by(|a, b| (items[*b].direct == Some(true)).cmp(&(items[*a].direct == Some(true))).then_with(|| version(*b).cmp(&version(*a))));
        for at in of_name.into_iter().skip(1) {
            let package = &mut items[at];
            package.name = format!("{}@{}", package.name, package.locked.as_deref().unwrap_or("?"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Wanted {
        Wanted { text: text.to_owned(), any: vec![VersionReq::parse(text).unwrap()] }
    }

    fn locked(name: &str, version: &str, asks: Vec<(usize, Option<Wanted>)>) -> Locked {
        Locked { name: name.to_owned(), version: version.to_owned(), from_registry: true, asks }
    }

    fn project(versions: &[(&str, Option<&str>)], latest: Option<&str>) -> (Option<Arc<Project>>, Option<String>) {
        let release = |(version, yanked): &(&str, Option<&str>)| Release {
            version: (*version).to_owned(),
            yanked: yanked.map(str::to_owned),
            released_at_s: Some(1_700_000_000),
            ..Release::default()
        };
        (Some(Arc::new(Project { releases: versions.iter().map(release).collect(), status: None, latest: latest.map(str::to_owned) })), None)
    }

    #[test]
    fn what_the_project_and_others_ask_for_decides_what_is_wanted() {
        let listed = Listed {
            all: vec![locked("till", "1.0.0", vec![(1, Some(wanted("^2")))]), locked("bell", "2.0.0", vec![]), locked("bell", "1.0.0", vec![])],
            roots: vec![(0, Some(wanted("^1.0")))],
            knows_roots: true,
            ..Listed::default()
        };
        let known = BTreeMap::from([
            ("till".to_owned(), project(&[("1.0.0", Some("broken")), ("1.1.0", None), ("2.0.0", None), ("3.0.0-rc.1", None)], None)),
            ("bell".to_owned(), project(&[("1.0.0", None), ("2.0.0", None), ("2.1.0", None), ("3.0.0", None), ("4.0.0", None)], Some("3.0.0"))),
        ]);
        let mut items = compare(&listed, &known, "package-lock.json", false);
        let till = &items[0];
        assert_eq!((till.wanted.as_deref(), till.latest.as_deref(), till.held_by.as_deref()), (Some("1.1.0"), Some("2.0.0"), Some("^1.0")));
        assert_eq!((till.direct, till.bump, till.yanked_reason.as_deref()), (Some(true), Some(Bump::Major), Some("broken")));
        assert_eq!(till.newest.as_deref(), Some("3.0.0-rc.1"));
        let bell = &items[1];
        assert_eq!((bell.wanted.as_deref(), bell.latest.as_deref(), bell.held_by.as_deref()), (Some("2.1.0"), Some("3.0.0"), Some("till ^2")));
        assert_eq!((bell.via.join(" "), bell.needed_by[0].name.as_str()), ("till".to_owned(), "till"));
        tell_apart(&mut items);
        assert_eq!(items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["till", "bell", "bell@1.0.0"]);
        // Where nobody says what was asked for, what is compatible is wanted.
        let items = compare(&Listed { all: vec![locked("bell", "1.0.0", vec![])], ..Listed::default() }, &known, "Cargo.lock", true);
        assert_eq!((items[0].wanted.as_deref(), items[0].direct), (Some("1.0.0"), None));
    }
}
