//! What is tried, and in which order: a weak package to its smallest cure first, then patch, minor, major.
//!
//! What does not belong here: trying it (`guard`), which tool changes the manifest (`tool`). Pure.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::domain::{Advisory, Bump, Out, Package, Timestamp};
use crate::packages::versions::{Constraint, Version, is_name, normalised};

/// One package that a person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Normalised.
    pub name: String,
    /// The version to go to; the newest within the limit when not given.
    pub version: Option<Version>,
}

impl Wish {
    /// Reads `name` or `name==1.2`.
    ///
    /// # Errors
    /// What is not right about it, one sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, version) = text.split_once("==").map_or((text, None), |(name, version)| (name, Some(version)));
        let name = name.trim();
        if !is_name(name) {
            return Err(format!("\"{name}\" is no name of a package: write NAME or NAME==VERSION"));
        }
        let version = version.map(|text| Version::parse(text).ok_or_else(|| format!("\"{}\" is no version", text.trim()))).transpose()?;
        Ok(Self { name: normalised(name), version })
    }
}

/// When in the order an upgrade is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// To the smallest version without known weaknesses.
    Cure,
    /// The last number of the version.
    Patch,
    /// The middle one.
    Minor,
    /// The first one.
    Major,
}

impl Phase {
    /// All, in the order in which they are tried.
    pub const ALL: [Self; 4] = [Self::Cure, Self::Patch, Self::Minor, Self::Major];

    /// For reading.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cure => "cure",
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }

    const fn of(bump: Bump) -> Self {
        match bump {
            Bump::Patch => Self::Patch,
            Bump::Minor => Self::Minor,
            Bump::Major => Self::Major,
        }
    }
}

/// One step of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rung {
    /// Normalised name.
    pub name: String,
    /// To this version.
    pub to: String,
    /// When it is tried.
    pub phase: Phase,
}

/// A package that was asked for and is not tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Normalised name.
    pub name: String,
    /// Why, one sentence.
    pub why: String,
    /// There is nothing to be done: it is as new as is wanted.
    pub current: bool,
}

/// What is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are tried.
    pub rungs: Vec<Rung>,
    /// What is not tried.
    pub left: Vec<Left>,
}

/// The version that an upgrade begins at: the manifest's, else the environment's.
#[must_use]
pub fn begins_at(package: &Package) -> Option<&str> {
    package.locked.as_deref().or(package.installed.as_deref())
}

/// How far upgrades go that are not told their version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// No further than this.
    pub bump: Bump,
    /// What came out after this is left to cool down, unless it is the cure.
    pub before: Option<Timestamp>,
}

/// Makes the plan. Without wishes: whatever is outdated and asked for by the project itself, and whatever is weak.
#[must_use]
pub fn plan(packages: &[Package], wishes: &[Wish], reach: Reach) -> Plan {
    let mut plan = Plan::default();
    if wishes.is_empty() {
        for package in packages.iter().filter(|package| (package.outdated() && package.direct != Some(false)) || !package.advisories.is_empty()) {
            one(package, None, reach, &mut plan);
        }
    }
    let mut seen = BTreeSet::new();
    for wish in wishes.iter().filter(|wish| seen.insert(&wish.name)) {
        match packages.iter().find(|package| package.name == wish.name) {
            Some(package) => one(package, wish.version.as_ref(), reach, &mut plan),
            None => plan.left.push(Left { name: wish.name.clone(), why: "it is not a package of this project".to_owned(), current: false }),
        }
    }
    plan.rungs.sort_by(|a, b| (a.phase, &a.name).cmp(&(b.phase, &b.name)));
    plan
}

fn one(package: &Package, wanted: Option<&Version>, reach: Reach, plan: &mut Plan) {
    let limit = reach.bump;
    let mut leave = |why: String, current: bool| plan.left.push(Left { name: package.name.clone(), why, current });
    let Some(current) = begins_at(package).and_then(Version::parse) else {
        let why = package.problem.clone().unwrap_or_else(|| "its present version is not known".to_owned());
        return leave(why, false);
    };
    if let Some(wanted) = wanted {
        return match current.bump_to(wanted) {
            Some(bump) => plan.rungs.push(Rung { name: package.name.clone(), to: wanted.to_string(), phase: Phase::of(bump) }),
            None => leave(format!("{wanted} is not newer than {current}"), *wanted == current),
        };
    }
    let cure = package.cure.as_deref().and_then(Version::parse).filter(|cure| !package.advisories.is_empty() && *cure > current);
    let all = newer(package, &current);
    // A range is the project's own decision; a pin is what an upgrade is there to change.
    let range = package.declared.as_deref().and_then(range);
    let is_held = |version: &Version| range.as_ref().is_some_and(|range| !range.allows(version));
    let young = |out: &&Out| reach.before.zip(out.at).is_some_and(|(before, at)| at > before);
    let young: BTreeSet<Version> = package.releases.iter().filter(young).filter_map(|out| Version::parse(&out.version)).collect();
    let is_young = |version: &Version| young.contains(version) && cure.as_ref() != Some(version);
    let newer: Vec<Version> = all.iter().filter(|version| !is_held(version) && !is_young(version)).cloned().collect();
    let mut rungs: Vec<(Version, Phase)> = Vec::new();
    let within = |version: &Version| current.bump_to(version).is_some_and(|bump| bump <= limit);
    if let Some(cure) = cure.clone().filter(within) {
        rungs.push((cure, Phase::Cure));
    }
    for bump in [Bump::Patch, Bump::Minor, Bump::Major] {
        let best = newer.iter().filter(|version| current.bump_to(version) == Some(bump) && bump <= limit).max();
        if let Some(best) = best.filter(|best| rungs.iter().all(|(before, _)| before < *best)) {
            rungs.push((best.clone(), Phase::of(bump)));
        }
    }
    if let Some(cure) = cure.as_ref().filter(|cure| !within(cure)) {
        leave(format!("its smallest cure, {cure}, is further than {} upgrades go", limit.word()), false);
    } else if !package.advisories.is_empty() && package.cure.is_none() {
        leave("no version is known that cures it".to_owned(), false);
    } else if rungs.is_empty() {
        match all.iter().max() {
            Some(newest) if is_held(newest) => {
                let range = range.as_ref().map(ToString::to_string).unwrap_or_default();
                leave(format!("{newest} is held by {range} of the manifest"), true);
            }
            Some(newest) if is_young(newest) => leave(format!("{newest} cools down"), true),
            Some(newest) => leave(format!("{newest} is further than {} upgrades go", limit.word()), true),
            None => leave(package.problem.clone().unwrap_or_else(|| format!("{current} is the newest that can be used")), package.problem.is_none()),
        }
    }
    plan.rungs.extend(rungs.into_iter().map(|(to, phase)| Rung { name: package.name.clone(), to: to.to_string(), phase }));
}

/// A declared constraint without its pins; `None` when that leaves nothing.
fn range(declared: &str) -> Option<Constraint> {
    let parts: Vec<&str> = declared.split(',').map(str::trim).filter(|part| !part.starts_with("==") || part.ends_with('*')).collect();
    Constraint::parse(&parts.join(",")).filter(|range| !range.is_any())
}

/// Versions that may be gone to: known ones, newer, not withdrawn, not past the latest that can be used.
fn newer(package: &Package, current: &Version) -> Vec<Version> {
    let latest = package.latest.as_deref().and_then(Version::parse);
    let released = package.releases.iter().filter(|out| !out.yanked).map(|out| out.version.as_str());
    let named = [&package.patch, &package.wanted, &package.latest, &package.cure];
    let all = released.chain(named.into_iter().flatten().map(String::as_str)).filter_map(Version::parse);
    let usable = |version: &Version| {
        current.bump_to(version).is_some()
            && latest.as_ref().is_none_or(|latest| version <= latest)
            && (!version.is_prerelease() || latest.as_ref() == Some(version) || current.is_prerelease())
    };
    let mut all: Vec<Version> = all.filter(usable).collect();
    all.sort();
    all.dedup();
    all
}

/// The weaknesses that going from one version to another cures.
#[must_use]
pub fn cured<'a>(advisories: &'a [Advisory], from: &str, to: &str) -> Vec<&'a Advisory> {
    let (Some(from), Some(to)) = (Version::parse(from), Version::parse(to)) else { return Vec::new() };
    let cures = |advisory: &&Advisory| {
        let fixed: Vec<Version> = advisory.fixed_in.iter().filter_map(|text| Version::parse(text)).collect();
        // A fix for the same series decides; else a fix that lies between.
        match fixed.iter().find(|fix| fix.series() == to.series()) {
            Some(fix) => *fix > from && *fix <= to,
            None => fixed.iter().any(|fix| *fix > from && *fix <= to),
        }
    };
    advisories.iter().filter(cures).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, current: &str, releases: &[&str]) -> Package {
        let out = |version: &&str| Out { version: (*version).to_owned(), at: None, yanked: version.ends_with(".99") };
        let latest = releases.iter().filter(|version| !version.ends_with(".99")).filter_map(|text| Version::parse(text)).max();
        let current_version = Version::parse(current).unwrap();
        Package {
            name: name.to_owned(),
            locked: Some(current.to_owned()),
            bump: latest.as_ref().and_then(|latest| current_version.bump_to(latest)),
            latest: latest.map(|latest| latest.to_string()),
            releases: releases.iter().map(out).collect(),
            ..Package::default()
        }
    }

    fn weak(mut package: Package, cure: &str, fixed_in: &[&str]) -> Package {
        let fixed_in = fixed_in.iter().map(|text| (*text).to_owned()).collect();
        package.advisories = vec![Advisory { id: "GHSA-1".into(), fixed_in, ..Advisory::default() }];
        package.cure = (!cure.is_empty()).then(|| cure.to_owned());
        package
    }

    fn rungs(packages: &[Package], wishes: &[&str], limit: Bump) -> (String, String) {
        let wishes: Vec<Wish> = wishes.iter().map(|text| Wish::parse(text).unwrap()).collect();
        let plan = plan(packages, &wishes, Reach { bump: limit, before: None });
        let rungs: Vec<String> = plan.rungs.iter().map(|rung| format!("{}={}:{}", rung.name, rung.to, rung.phase.word())).collect();
        let left: Vec<String> = plan.left.iter().map(|left| format!("{}: {}", left.name, left.why)).collect();
        (rungs.join(" "), left.join("; "))
    }

    #[test]
    fn cures_come_first_then_patch_minor_and_major() {
        let all = [
            package("basket", "1.0.0", &["1.0.0", "1.0.4", "1.1.0", "1.1.99", "1.2.0", "2.0.0", "3.1.0", "4.0rc1"]),
            weak(package("till", "5.0.1", &["5.0.1", "5.0.2", "5.0.9", "5.1.0"]), "5.0.2", &["5.0.2"]),
            package("shelf", "2.0", &["2.0"]),
        ];
        // The candidate is not gone to although it is the newest.
        let mut all = all;
        all[0].latest = Some("3.1.0".into());
        let (tried, left) = rungs(&all, &[], Bump::Major);
        assert_eq!(tried, "till=5.0.2:cure basket=1.0.4:patch till=5.0.9:patch basket=1.2.0:minor till=5.1.0:minor basket=3.1.0:major");
        assert_eq!(left, "");
        assert_eq!(rungs(&all, &["basket"], Bump::Minor).0, "basket=1.0.4:patch basket=1.2.0:minor");
        assert_eq!(
            rungs(&all, &["Basket==2.0.0", "shelf"], Bump::Patch),
            ("basket=2.0.0:major".into(), "shelf: 2 is the newest that can be used".replace("2 is", "2.0 is"))
        );
        assert_eq!(rungs(&all, &["basket==0.9", "nobody"], Bump::Major).1, "basket: 0.9 is not newer than 1.0.0; nobody: it is not a package of this project");
    }

    #[test]
    fn a_cure_beyond_the_limit_is_told_and_the_rest_is_tried() {
        let one = weak(package("till", "5.0.1", &["5.0.1", "5.0.2", "6.0"]), "6.0", &["6.0"]);
        let (tried, left) = rungs(std::slice::from_ref(&one), &["till"], Bump::Patch);
        assert_eq!((tried.as_str(), left.as_str()), ("till=5.0.2:patch", "till: its smallest cure, 6.0, is further than patch upgrades go"));
        let none = weak(package("till", "5.0.1", &["5.0.1"]), "", &[]);
        assert_eq!(rungs(&[none], &[], Bump::Major).1, "till: no version is known that cures it");
    }

    #[test]
    fn ranges_and_the_cool_down_hold_what_is_not_asked_for_by_version() {
        let mut one = package("till", "1.0", &["1.0", "1.1", "2.0"]);
        one.declared = Some("<2".into());
        assert_eq!(rungs(std::slice::from_ref(&one), &[], Bump::Major).0, "till=1.1:minor");
        assert_eq!(rungs(std::slice::from_ref(&one), &["till==2.0"], Bump::Major).0, "till=2.0:major");
        one.declared = Some("<1.1".into());
        assert_eq!(rungs(std::slice::from_ref(&one), &["till"], Bump::Major).1, "till: 2.0 is held by <1.1 of the manifest");
        one.declared = Some("==1.0,<2".into());
        assert_eq!(rungs(std::slice::from_ref(&one), &["till"], Bump::Major).0, "till=1.1:minor");
        one.declared = Some("==1.0".into());
        let at = |seconds| Timestamp::from_timestamp(seconds, 0);
        one.releases.iter_mut().zip([100, 200, 300]).for_each(|(out, seconds)| out.at = at(seconds));
        let tried = |one: &Package, before| plan(std::slice::from_ref(one), &[], Reach { bump: Bump::Major, before: at(before) }).rungs.len();
        assert_eq!([tried(&one, 300), tried(&one, 250), tried(&one, 150)], [2, 1, 0]);
        // A cure does not wait.
        assert_eq!(tried(&weak(one, "1.1", &["1.1"]), 150), 1);
    }

    #[test]
    fn what_is_cured_is_told_by_the_fix_of_its_series() {
        let all = weak(package("django", "5.0.3", &[]), "5.0.10", &["4.2.17", "5.0.10", "5.1.4"]).advisories;
        for (to, expected) in [("5.0.9", 0), ("5.0.10", 1), ("5.1.2", 0), ("5.1.4", 1), ("5.2", 1)] {
            assert_eq!(cured(&all, "5.0.3", to).len(), expected, "{to}");
        }
        // What an earlier step cured is not cured again.
        assert_eq!(cured(&all, "5.0.10", "5.0.11").len(), 0);
    }

    #[test]
    fn wishes_are_names_with_or_without_a_version() {
        assert_eq!(Wish::parse("Foo_Bar==1.0").unwrap(), Wish { name: "foo-bar".into(), version: Version::parse("1.0") });
        for bad in ["", "--index-url=x", "a b", "a==", "a==latest", "-r"] {
            assert!(Wish::parse(bad).is_err(), "{bad}");
        }
    }
}
