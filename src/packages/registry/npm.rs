//! npm: `package-lock.json` (versions 1, 2 and 3), its ranges, and the short documents of a registry.
//!
//! Sources: npm's documentation "package-lock.json" and "package metadata" (registry); node-semver, "ranges". Pure.

use std::collections::{BTreeMap, HashMap};

use semver::VersionReq;
use serde::Deserialize;
use serde_json::Value;

use super::listed::{Listed, Locked, Wanted};
use crate::packages::indexes::simple::{Project, Release};

/// The newest version of lock files that is known.
const NEWEST: u64 = 3;
/// More packages than this are not one project's.
const ENTRIES: usize = 50_000;
/// Alternatives of one range.
const ALTERNATIVES: usize = 20;

/// Whether a registry can be asked for a name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with(['.', '_']) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b));
    name.len() <= 214
        && match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
            None => part(name),
        }
}

/// A range as npm reads it; what is none (an address, a tag, an alias) allows any.
#[must_use]
pub fn range(text: &str) -> Wanted {
    let mut any = Vec::new();
    for alternative in text.split("||").take(ALTERNATIVES) {
        match one(alternative.trim()) {
            Some(one) => any.push(one),
            None => return Wanted { text: text.to_owned(), any: Vec::new() },
        }
    }
    Wanted { text: text.to_owned(), any }
}

fn one(text: &str) -> Option<VersionReq> {
    if matches!(text, "" | "*" | "x" | "X") {
        return Some(VersionReq::STAR);
    }
    if let Some((from, to)) = text.split_once(" - ") {
        // The end of a range without all its numbers is inclusive: `1 - 2` is below 3.
        let to = to.trim();
        let upper = if to.split('.').count() == 3 { format!("<={to}") } else { format!("<={}", to.trim_end_matches(".x").trim_end_matches(".*")) };
        return VersionReq::parse(&format!(">={}, {upper}", from.trim())).ok();
    }
    let mut parts: Vec<String> = Vec::new();
    let mut operator = String::new();
    for word in text.split_whitespace() {
        let bare = word.trim_start_matches(['<', '>', '=', '^', '~']);
        let (sign, bare) = (word.len() - bare.len(), bare.strip_prefix('v').unwrap_or(bare));
        operator.push_str(&word[..sign]);
        if bare.is_empty() {
            continue;
        }
        let numbers: Vec<&str> = bare.split('.').take_while(|part| !matches!(*part, "x" | "X" | "*")).collect();
        let whole = numbers.len() >= 3;
        let version = if whole { bare.to_owned() } else { numbers.join(".") };
        parts.push(match (operator.as_str(), whole, version.is_empty()) {
            (_, _, true) => "*".to_owned(),
            ("" | "=", true, _) => format!("={version}"),
            ("" | "=", false, _) => format!("{version}.*"),
            ("~>", ..) => format!("~{version}"),
            (operator, ..) => format!("{operator}{version}"),
        });
        operator.clear();
    }
    VersionReq::parse(&parts.join(", ")).ok()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lock {
    #[serde(rename = "lockfileVersion")]
    version: Option<Value>,
    packages: BTreeMap<String, Value>,
    dependencies: BTreeMap<String, Value>,
}

/// One package of either shape; what else stands there is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<Value>,
    link: bool,
    dependencies: BTreeMap<String, Value>,
    #[serde(rename = "devDependencies")]
    dev: BTreeMap<String, Value>,
    #[serde(rename = "optionalDependencies")]
    optional: BTreeMap<String, Value>,
    #[serde(rename = "peerDependencies")]
    peer: BTreeMap<String, Value>,
}

impl Entry {
    fn asks(&self) -> impl Iterator<Item = (&str, &str)> {
        [&self.dependencies, &self.optional, &self.peer].into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }
}

/// The address of the registry that an archive came from: `https://registry.example/` of `https://registry.example/till/-/till-1.0.0.tgz`.
fn registry(resolved: &str, name: &str) -> Option<String> {
    let (base, _) = resolved.split_once(&format!("{name}/-/"))?;
    (base.starts_with("https://") || base.starts_with("http://")).then(|| base.to_owned())
}

/// Reads a lock file. `manifest` is the `package.json` beside it, which version 1 needs to tell what the project itself asks for.
///
/// # Errors
/// When it is no lock file; in words.
pub fn read(text: &str, manifest: Option<&str>) -> Result<Listed, String> {
    let lock: Lock = serde_json::from_str(text).map_err(|error| format!("line {}: {}", error.line(), first_words(&error.to_string())))?;
    let mut listed = Listed::default();
    match lock.version.as_ref().and_then(Value::as_u64) {
        Some(version) if version > NEWEST => {
            listed.problems.push(("lockfileVersion".to_owned(), format!("{version} is newer than {NEWEST}, which is known; it is read as that")));
        }
        None if lock.packages.is_empty() && lock.dependencies.is_empty() => return Err("it has neither `packages` nor `dependencies`".to_owned()),
        _ => {}
    }
    let mut raw: Vec<(String, Value)> = lock.packages.into_iter().collect();
    if raw.is_empty() {
        nested(String::new(), lock.dependencies, &mut raw);
        if let Some(root) = manifest.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            raw.push((String::new(), root));
        }
    }
    if raw.len() > ENTRIES {
        listed.problems.push(("packages".to_owned(), format!("{} are listed; the first {ENTRIES} are looked at", raw.len())));
        raw.truncate(ENTRIES);
    }
    let mut entries: Vec<(String, Entry)> = Vec::with_capacity(raw.len());
    for (path, value) in raw {
        match serde_json::from_value::<Entry>(value) {
            Ok(entry) => entries.push((path, entry)),
            Err(error) => listed.problems.push((path, first_words(&error.to_string()))),
        }
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    for (path, entry) in &entries {
        // Folders of the project itself, and links to them, are no packages of a registry.
        let Some((_, written)) = path.rsplit_once("node_modules/") else { continue };
        let name = entry.name.clone().unwrap_or_else(|| written.to_owned());
        let resolved = entry.resolved.as_ref().and_then(Value::as_str).unwrap_or_default();
        let Some(version) = entry.version.clone().filter(|_| !entry.link) else { continue };
        let from_registry = is_name(&name) && (resolved.is_empty() || resolved.starts_with("http")) && crate::packages::ecosystem::semantic(&version).is_some();
        if let Some(base) = registry(resolved, &name).filter(|base| !listed.recorded.contains(base)) {
            listed.recorded.push(base);
        }
        places.insert(path.clone(), listed.all.len());
        listed.all.push(Locked { name, version, from_registry, asks: Vec::new() });
    }
    for (path, entry) in &entries {
        let dev = path.is_empty() || !path.contains("node_modules/");
        let own = entry.dev.iter().filter(|_| dev).filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
        let asked: Vec<(usize, Option<Wanted>)> =
            entry.asks().chain(own).filter_map(|(name, text)| Some((find(&places, path, name)?, Some(range(text))))).collect();
        match places.get(path) {
            Some(at) => listed.all[*at].asks = asked,
            // The project, and the folders of its workspaces.
            None if dev => {
                listed.knows_roots = true;
                listed.roots.extend(asked);
            }
            None => {}
        }
    }
    Ok(listed)
}

/// The package that a name means for one at this path: the nearest folder upwards (Node.js, "loading from node_modules folders").
fn find(places: &HashMap<String, usize>, path: &str, name: &str) -> Option<usize> {
    let mut here = path;
    loop {
        let key = if here.is_empty() { format!("node_modules/{name}") } else { format!("{here}/node_modules/{name}") };
        if let Some(at) = places.get(&key) {
            return Some(*at);
        }
        here = match here.rfind("/node_modules/") {
            Some(at) => &here[..at],
            None if here.is_empty() => return None,
            None => "",
        };
    }
}

/// Version 1 keeps packages in each other; as paths they are what the later versions have.
fn nested(path: String, dependencies: BTreeMap<String, Value>, into: &mut Vec<(String, Value)>) {
    let mut waiting = vec![(path, dependencies)];
    while let Some((path, dependencies)) = waiting.pop() {
        for (name, mut value) in dependencies {
            let here = if path.is_empty() { format!("node_modules/{name}") } else { format!("{path}/node_modules/{name}") };
            if into.len() > ENTRIES {
                return;
            }
            let Some(fields) = value.as_object_mut() else { continue };
            let inner = fields.remove("dependencies");
            // What later versions call `dependencies` is `requires` here.
            if let Some(requires @ Value::Object(_)) = fields.remove("requires") {
                fields.insert("dependencies".to_owned(), requires);
            }
            into.push((here.clone(), value));
            if let Some(inner) = inner.and_then(|inner| serde_json::from_value(inner).ok()) {
                waiting.push((here, inner));
            }
        }
    }
}

fn first_words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// A registry's document: short (`application/vnd.npm.install-v1+json`) or whole.
///
/// # Errors
/// When it is none; in words.
pub fn project(body: &[u8]) -> Result<Project, String> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "dist-tags", default)]
        tags: BTreeMap<String, Value>,
        versions: BTreeMap<String, One>,
        #[serde(default)]
        time: BTreeMap<String, Value>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        deprecated: Option<Value>,
    }
    let document: Document =
        serde_json::from_slice(body).map_err(|error| format!("the answer is no document of a registry: {}", first_words(&error.to_string())))?;
    let at = |version: &str| {
        let text = document.time.get(version)?.as_str()?;
        chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp())
    };
    let deprecated = |one: &One| match &one.deprecated {
        Some(Value::String(reason)) if !reason.is_empty() => Some(first_words(reason)),
        Some(Value::Bool(true)) => Some(String::new()),
        _ => None,
    };
    let releases: Vec<Release> = document
        .versions
        .iter()
        .map(|(version, one)| Release { version: version.clone(), released_at_s: at(version), yanked: deprecated(one), ..Release::default() })
        .collect();
    // Who deprecates all of them has given the project up.
    let given_up = !releases.is_empty() && releases.iter().all(|release| release.yanked.is_some());
    let latest = document.tags.get("latest").and_then(Value::as_str).map(str::to_owned);
    Ok(Project { releases, status: given_up.then(|| "deprecated".to_owned()), latest })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_those_of_npm() {
        let allows = |range_text: &str, version: &str| {
            let wanted = range(range_text);
            wanted.any.is_empty() || wanted.any.iter().any(|one| one.matches(&semver::Version::parse(version).unwrap()))
        };
        for (text, yes, no) in [
            ("1.2.3", "1.2.3", "1.2.4"),
            ("^1.2.3", "1.9.0", "2.0.0"),
            ("^0.2.3", "0.2.9", "0.3.0"),
            ("~1.2", "1.2.9", "1.3.0"),
            ("1.x", "1.9.9", "2.0.0"),
            ("1.2", "1.2.7", "1.3.0"),
            (">= 1.2 < 2", "1.5.0", "2.0.0"),
            ("1.2.3 - 2.3.4", "2.3.4", "2.3.5"),
            ("1 - 2", "2.9.9", "3.0.0"),
            ("^1 || ^3", "3.1.0", "2.0.0"),
            ("=v1.0.0", "1.0.0", "1.0.1"),
            ("^1.0.0", "1.0.0", "1.1.0-rc.1"),
        ] {
            assert!(allows(text, yes) && !allows(text, no), "{text}");
        }
        for text in ["*", "", "latest", "git+ssh://x", "npm:other@^1", "workspace:*", "file:../x"] {
            assert!(allows(text, "9.9.9"), "{text}");
        }
    }

    const THREE: &str = r#"{"name":"shop","lockfileVersion":3,"packages":{
        "":{"name":"shop","dependencies":{"till":"^1.0.0","@shop/bell":"^2.0.0"},"devDependencies":{"lint":"~3.0.0"}},
        "node_modules/till":{"version":"1.0.0","resolved":"https://registry.example/till/-/till-1.0.0.tgz","dependencies":{"lamp":"^1.0.0"}},
        "node_modules/@shop/bell":{"version":"2.0.0","resolved":"https://registry.example/@shop/bell/-/bell-2.0.0.tgz","dependencies":{"lamp":"^2.0.0"}},
        "node_modules/@shop/bell/node_modules/lamp":{"version":"2.0.0"},
        "node_modules/lamp":{"version":"1.0.0"},
        "node_modules/lint":{"version":"3.0.0","dev":true},
        "node_modules/own":{"version":"1.0.0","resolved":"git+ssh://git@x.example/own.git#abc"},
        "node_modules/linked":{"resolved":"packages/linked","link":true},
        "packages/linked":{"version":"1.0.0","dependencies":{"lamp":"^1.0.0"}}}}"#;

    #[test]
    fn every_version_of_lock_files_is_read() {
        let listed = read(THREE, None).unwrap();
        let names: Vec<String> =
            listed.all.iter().map(|one| format!("{} {}{}", one.name, one.version, if one.from_registry { "" } else { " elsewhere" })).collect();
        assert_eq!(names, ["@shop/bell 2.0.0", "lamp 2.0.0", "lamp 1.0.0", "lint 3.0.0", "own 1.0.0 elsewhere", "till 1.0.0"]);
        let asks =
            |name: &str| listed.all.iter().find(|one| one.name == name).unwrap().asks.iter().map(|(at, _)| listed.all[*at].version.clone()).collect::<Vec<_>>();
        assert_eq!((asks("till"), asks("@shop/bell")), (vec!["1.0.0".to_owned()], vec!["2.0.0".to_owned()]), "the nearest folder upwards");
        assert_eq!((listed.roots.len(), listed.recorded.clone()), (4, vec!["https://registry.example/".to_owned()]));

        let one = r#"{"lockfileVersion":1,"dependencies":{"till":{"version":"1.0.0","requires":{"lamp":"^2.0.0"},"dependencies":{"lamp":{"version":"2.0.0"}}},"lamp":{"version":"1.0.0"}}}"#;
        let listed = read(one, Some(r#"{"dependencies":{"till":"^1.0.0"}}"#)).unwrap();
        assert_eq!((listed.all.len(), listed.roots.len(), listed.knows_roots), (3, 1, true));
        let till = listed.all.iter().find(|one| one.name == "till").unwrap();
        assert_eq!(listed.all[till.asks[0].0].version, "2.0.0");
        assert!(!read(one, None).unwrap().knows_roots);

        assert!(read(r#"{"lockfileVersion":9,"packages":{}}"#, None).unwrap().problems[0].1.contains("newer than 3"));
        assert!(read("{}", None).unwrap_err().contains("neither"));
        assert!(read("<<<<<<< ours\n{}", None).unwrap_err().contains("line 1"));
        let odd = read(r#"{"lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0"},"node_modules/b":{"version":7},"node_modules/../../x":{"version":"1.0.0"}}}"#, None).unwrap();
        assert_eq!((odd.all.iter().filter(|one| one.from_registry).count(), odd.problems.len()), (1, 1));
    }

    #[test]
    fn documents_tell_versions_tags_and_what_was_given_up() {
        let body = br#"{"name":"till","modified":"2026-11-01T00:00:00Z","dist-tags":{"latest":"1.1.0","next":"2.0.0-rc.1"},
            "versions":{"1.0.0":{"deprecated":"broken\u0007"},"1.1.0":{},"2.0.0-rc.1":{}},"time":{"1.1.0":"2026-10-01T00:00:00.000Z"}}"#;
        let project = project(body).unwrap();
        assert_eq!(project.latest.as_deref(), Some("1.1.0"));
        let told: Vec<_> = project.releases.iter().map(|one| (one.version.as_str(), one.yanked.as_deref(), one.released_at_s.is_some())).collect();
        assert_eq!(told, [("1.0.0", Some("broken"), false), ("1.1.0", None, true), ("2.0.0-rc.1", None, false)]);
        assert!(super::project(b"<html>").is_err());
    }

    proptest! {
        #[test]
        fn any_range_is_read(text in "[-0-9.xX*^~<>=| va]{0,30}") {
            let wanted = range(&text);
            prop_assert_eq!(wanted.text, text);
        }
    }
}
