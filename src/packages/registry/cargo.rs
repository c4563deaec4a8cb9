//! Cargo: `Cargo.lock`, what `Cargo.toml` beside it asks for, and a sparse index.
//!
//! Sources: the Cargo book, "Cargo.toml vs Cargo.lock", "specifying dependencies", "registry index". Pure.

use std::collections::{BTreeMap, HashMap};

use semver::VersionReq;
use serde::Deserialize;
use toml::Value;

use super::listed::{Listed, Locked, Wanted};
use crate::packages::indexes::simple::{Project, Release};

/// More packages than this are not one project's.
const ENTRIES: usize = 50_000;
/// The newest version of lock files that is known.
const NEWEST: i64 = 4;

/// Whether an index can be asked for a name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// Where a sparse index has a package, below its address.
#[must_use]
pub fn path(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.len() {
        1 => format!("1/{name}"),
        2 => format!("2/{name}"),
        3 => format!("3/{}/{name}", &name[..1]),
        _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
    }
}

#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default)]
    version: Option<i64>,
    #[serde(default)]
    package: Vec<Package>,
    /// Version 1 and older name the project apart.
    #[serde(default)]
    root: Option<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Reads a lock file. `manifest` is the `Cargo.toml` beside it, which tells what the project asks for.
///
/// # Errors
/// When it is no lock file; in words.
pub fn read(text: &str, manifest: Option<&str>) -> Result<Listed, String> {
    let lock: Lock = toml::from_str(text).map_err(|error| first_words(error.message()))?;
    let mut listed = Listed::default();
    if lock.version.is_some_and(|version| version > NEWEST) {
        listed
            .problems
            .push(("version".to_owned(), format!("{} is newer than {NEWEST}, which is known; it is read as that", lock.version.unwrap_or_default())));
    }
    if lock.package.is_empty() && lock.root.is_none() {
        return Err("it lists no package".to_owned());
    }
    let mut packages: Vec<Package> = lock.package.into_iter().chain(lock.root).collect();
    packages.truncate(ENTRIES);
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut at_of: Vec<Option<usize>> = Vec::with_capacity(packages.len());
    for package in &packages {
        // What has no source is a folder of the project.
        let Some(source) = &package.source else {
            at_of.push(None);
            continue;
        };
        if let Some(base) = source.strip_prefix("sparse+").filter(|base| !listed.recorded.iter().any(|known| known == base)) {
            listed.recorded.push(base.to_owned());
        }
        let from_registry = is_name(&package.name) && (source.starts_with("registry+") || source.starts_with("sparse+"));
        places.entry(&package.name).or_default().push(listed.all.len());
        at_of.push(Some(listed.all.len()));
        listed.all.push(Locked { name: package.name.clone(), version: package.version.clone(), from_registry, asks: Vec::new() });
    }
    let wants = manifest.map(wants).unwrap_or_default();
    listed.knows_roots = packages.iter().any(|package| package.source.is_none());
    for (package, at) in packages.iter().zip(&at_of) {
        for written in &package.dependencies {
            let mut words = written.split(' ');
            let (Some(name), version) = (words.next(), words.next()) else { continue };
            let found = places.get(name).and_then(|all| match version {
                Some(version) => all.iter().find(|at| listed.all[**at].version == version),
                None => all.first(),
            });
            let Some(found) = found.copied() else { continue };
            match at {
                Some(at) => listed.all[*at].asks.push((found, None)),
                None => listed.roots.push((found, wants.get(name).cloned())),
            }
        }
    }
    Ok(listed)
}

/// What `Cargo.toml` asks for, by the package's own name: all its tables of dependencies, and those of the workspace.
fn wants(text: &str) -> BTreeMap<String, Wanted> {
    let Ok(whole) = toml::from_str::<Value>(text) else { return BTreeMap::new() };
    let mut tables: Vec<&Value> = Vec::new();
    let mut of = |value: &'_ Value| -> Vec<Value> {
        ["dependencies", "dev-dependencies", "build-dependencies"].iter().filter_map(|name| value.get(name).cloned()).collect()
    };
    let mut all = of(&whole);
    all.extend(whole.get("workspace").map(&mut of).unwrap_or_default());
    if let Some(targets) = whole.get("target").and_then(Value::as_table) {
        all.extend(targets.values().flat_map(&mut of));
    }
    tables.extend(all.iter());
    let mut wants = BTreeMap::new();
    for (name, value) in tables.into_iter().filter_map(Value::as_table).flatten() {
        let text = value.as_str().or_else(|| value.get("version")?.as_str());
        let own = value.get("package").and_then(Value::as_str).unwrap_or(name);
        if let Some(text) = text {
            wants.insert(own.to_owned(), Wanted { text: text.to_owned(), any: VersionReq::parse(text).into_iter().collect() });
        }
    }
    wants
}

fn first_words(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect()
}

/// A file of a sparse index: a JSON object a line.
///
/// # Errors
/// When no line is one.
pub fn project(body: &[u8]) -> Result<Project, String> {
    #[derive(Deserialize)]
    struct Line {
        vers: String,
        #[serde(default)]
        yanked: bool,
        #[serde(default)]
        pubtime: Option<String>,
    }
    let text = String::from_utf8_lossy(body);
    let mut releases = Vec::new();
    let mut wrong = 0_usize;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            wrong += 1;
            continue;
        };
        let at = line.pubtime.as_deref().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok()).map(|at| at.timestamp());
        releases.push(Release { version: line.vers, released_at_s: at, yanked: line.yanked.then(String::new), ..Release::default() });
    }
    // A cut file has its newest release missing: a short list must not look whole.
    if releases.is_empty() || wrong > 0 {
        return Err("the answer is no file of a sparse index".to_owned());
    }
    releases.reverse();
    Ok(Project { releases, ..Project::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_and_its_manifest_tell_who_asks_for_what() {
        let lock = r#"version = 4
[[package]]
name = "shop"
version = "0.1.0"
dependencies = ["till", "bell 2.0.0", "own"]
[[package]]
name = "till"
version = "1.0.3"
source = "sparse+https://index.example/crates/"
checksum = "x"
dependencies = ["bell 1.0.0"]
[[package]]
name = "bell"
version = "1.0.0"
source = "registry+https://index.example/git"
[[package]]
name = "bell"
version = "2.0.0"
source = "registry+https://index.example/git"
[[package]]
name = "own"
version = "0.3.0"
source = "git+https://x.example/own#abc"
"#;
        let manifest = "[dependencies]\ntill = \"1\"\nclock = { package = \"bell\", version = \"2.0\" }\n[target.'cfg(unix)'.dependencies]\nown = { git = \"https://x.example/own\" }\n";
        let listed = read(lock, Some(manifest)).unwrap();
        let names: Vec<String> = listed.all.iter().map(|one| format!("{} {} {}", one.name, one.version, one.from_registry)).collect();
        assert_eq!(names, ["till 1.0.3 true", "bell 1.0.0 true", "bell 2.0.0 true", "own 0.3.0 false"]);
        let roots: Vec<_> = listed.roots.iter().map(|(at, wanted)| (*at, wanted.as_ref().map(|wanted| wanted.text.as_str()))).collect();
        assert_eq!(roots, [(0, Some("1")), (2, Some("2.0")), (3, None)]);
        assert_eq!((listed.all[0].asks[0].0, listed.recorded.clone()), (1, vec!["https://index.example/crates/".to_owned()]));
        assert!(read("version = 9\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n", None).unwrap().problems[0].1.contains("newer than 4"));
        assert!(read("", None).unwrap_err().contains("no package") && read("<<<<<<<\n", None).is_err());
    }

    #[test]
    fn a_sparse_index_has_a_line_for_each_release() {
        for (name, place) in [("a", "1/a"), ("ab", "2/ab"), ("abc", "3/a/abc"), ("Tokio-Util", "to/ki/tokio-util")] {
            assert_eq!(path(name), place);
        }
        let body = b"{\"name\":\"till\",\"vers\":\"1.0.0\",\"yanked\":true}\n{\"name\":\"till\",\"vers\":\"1.0.1\",\"yanked\":false,\"pubtime\":\"2026-10-01T00:00:00Z\"}\n";
        let project = project(body).unwrap();
        let told: Vec<_> = project.releases.iter().map(|one| (one.version.as_str(), one.yanked.is_some(), one.released_at_s.is_some())).collect();
        assert_eq!(told, [("1.0.1", false, true), ("1.0.0", true, false)]);
        assert!(super::project(b"<html>").is_err() && super::project(&body[..body.len() - 9]).is_err());
    }
}
