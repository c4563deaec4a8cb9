//! Lock files. Those in TOML are read package by package, so that a merge mark or a cut end costs one package and not the file.
//!
//! What does not belong here: constraints, which stand in `pyproject.toml` (`project`).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Deserialize;
use toml::Value;

use super::project::Project;
use super::{Entry, IndexOption, Manifest, Role};
use crate::domain::Problem;
use crate::packages::versions::{Constraint, Interpreter, Marker, Requirement, Version, is_name, normalised};

/// Whose lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `poetry.lock`, 1.x and 2.x.
    Poetry,
    /// `uv.lock`, version 1.
    Uv,
    /// `pdm.lock`, 4.x.
    Pdm,
    /// `pylock.toml`, 1.x (PEP 751).
    Pylock,
}

/// One `[[package]]`; what else stands there is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Package {
    name: Option<String>,
    version: Option<Value>,
    source: Option<Value>,
    marker: Option<Value>,
    markers: Option<Value>,
    #[serde(rename = "resolution-markers")]
    resolutions: Option<Value>,
    metadata: Option<Value>,
    vcs: Option<Value>,
    directory: Option<Value>,
    archive: Option<Value>,
    git: Option<Value>,
    path: Option<Value>,
    url: Option<Value>,
    editable: Option<Value>,
    index: Option<Value>,
    dependencies: Option<Value>,
    #[serde(rename = "optional-dependencies")]
    optional: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Piece {
    package: Vec<Package>,
    packages: Vec<Package>,
    distribution: Vec<Package>,
    metadata: Option<Value>,
    version: Option<Value>,
    #[serde(rename = "lock-version")]
    lock_version: Option<Value>,
}

/// The line of an error, counted from the beginning of the file, and what it says.
pub(super) fn place_of(text: &str, error: &toml::de::Error, before: usize) -> (usize, String) {
    let line = error.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.matches('\n').count() + 1);
    let message: String = error.message().lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(120).collect();
    (before + line, format!("cannot be read: {message}"))
}

/// The pieces of a file: its head, then one for each package, with the line each begins on.
fn pieces(text: &str) -> Vec<(usize, String)> {
    let mut all = vec![(0, String::new())];
    for (at, line) in text.lines().enumerate() {
        if matches!(line.trim_end(), "[[package]]" | "[[packages]]" | "[[distribution]]") {
            all.push((at, String::new()));
        }
        if let Some((_, piece)) = all.last_mut() {
            piece.push_str(line);
            piece.push('\n');
        }
    }
    all
}

/// Reads a lock file in TOML. `project` tells what is direct, and its constraints.
#[must_use]
pub fn toml(text: &str, format: Format, shown: &str, project: Option<&Project>, interpreter: Option<&Interpreter>) -> Manifest {
    let mut found = Manifest::default();
    // uv writes the project itself into the lock, with what it asks for.
    let mut asked: Option<HashSet<String>> = None;
    let mut told = HashSet::new();
    let mut optional = Vec::new();
    // One version for each range of Pythons.
    let mut forked: BTreeSet<String> = BTreeSet::new();
    for (start, piece) in pieces(text) {
        let read: Piece = match toml::from_str(&piece) {
            Ok(read) => read,
            Err(error) => {
                let (line, message) = place_of(&piece, &error, start);
                found.problems.push(Problem { subject: format!("{shown}:{line}"), message });
                continue;
            }
        };
        if let Some(version) = unknown_version(&read, format)
            && told.insert(version.clone())
        {
            found.problems.push(Problem { subject: shown.to_owned(), message: format!("lock version {version} is not known; it is read as far as it goes") });
        }
        for package in read.package.into_iter().chain(read.packages).chain(read.distribution) {
            let place = format!("{shown}:{}", start + 1);
            let Some(name) = package.name.as_deref().filter(|name| is_name(name)) else {
                found.problems.push(Problem { subject: place, message: "a package without a name".to_owned() });
                continue;
            };
            let name = normalised(name);
            if is_project(&package, format) {
                asked.get_or_insert_default().extend(uv_asks(&package));
                continue;
            }
            if project.is_some_and(|project| project.name.as_ref() == Some(&name)) || !applies(&package, interpreter) {
                continue;
            }
            if package.resolutions.is_some() {
                forked.insert(name.clone());
            }
            if format == Format::Poetry {
                optional.extend(ways(&package).filter_map(|way| Optional::of(&name, &way)));
            }
            let known = project.and_then(|project| project.direct.get(&name));
            recorded(&package, format, &place, &mut found.options);
            found.entries.push(Entry {
                constraint: known.map(|(constraint, _)| constraint.clone()).unwrap_or_default(),
                locked: package.version.as_ref().and_then(Value::as_str).map(str::to_owned),
                from_index: from_index(&package, format),
                direct: project.map(|_| known.is_some()),
                asks: asks(&package, format, &name, interpreter),
                place,
                name,
            });
        }
    }
    if let Some(asked) = asked.filter(|asked| project.is_none() && !asked.is_empty()) {
        for entry in &mut found.entries {
            entry.direct = Some(asked.contains(&entry.name));
        }
    }
    found.problems.extend(one_of_each(&mut found.entries, &forked).map(|message| Problem { subject: shown.to_owned(), message }));
    if format == Format::Poetry {
        by_extras(&mut found.entries, &optional, project, interpreter);
    }
    // Packages with extras are listed once more, with the same version.
    found.entries.dedup_by(|later, first| {
        let same = later.name == first.name && later.locked == first.locked;
        if same {
            first.take_asks(std::mem::take(&mut later.asks));
        }
        same
    });
    found
}

fn unknown_version(read: &Piece, format: Format) -> Option<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let metadata = |key: &str| read.metadata.as_ref().and_then(|metadata| metadata.get(key)).map(text);
    let (version, known): (Option<String>, &[&str]) = match format {
        Format::Uv => (read.version.as_ref().map(text), &["1"]),
        Format::Pylock => (read.lock_version.as_ref().map(text), &["1"]),
        Format::Poetry => (metadata("lock-version"), &["1", "2"]),
        Format::Pdm => (metadata("lock_version"), &["3", "4"]),
    };
    version.filter(|version| !known.contains(&version.split('.').next().unwrap_or_default())).map(|v| v.chars().filter(|c| !c.is_control()).take(20).collect())
}

/// The project itself or a member of its workspace.
fn is_project(package: &Package, format: Format) -> bool {
    let source = |key: &str| package.source.as_ref().and_then(|source| source.get(key)).is_some();
    format == Format::Uv && (source("virtual") || source("editable"))
}

/// Remembers the index that a package came from, each one once.
fn recorded(package: &Package, format: Format, place: &str, into: &mut Vec<IndexOption>) {
    let source = package.source.as_ref();
    let url = match format {
        Format::Uv => source.and_then(|source| source.get("registry")),
        Format::Poetry => source.filter(|source| source.get("type").and_then(Value::as_str) == Some("legacy")).and_then(|source| source.get("url")),
        Format::Pylock => package.index.as_ref(),
        Format::Pdm => None,
    };
    let Some(url) = url.and_then(Value::as_str).filter(|url| url.starts_with("http")) else { return };
    if into.len() < 16 && !into.iter().any(|one| one.url == url) {
        into.push(IndexOption { url: url.to_owned(), role: Role::Recorded, place: place.to_owned() });
    }
}

/// What the project asks for, by its entry in `uv.lock`.
fn uv_asks(package: &Package) -> Vec<String> {
    let metadata = package.metadata.as_ref();
    let lists = metadata.and_then(|m| m.get("requires-dist")).into_iter();
    let groups = metadata.and_then(|m| m.get("requires-dev")).and_then(Value::as_table).into_iter().flat_map(|groups| groups.values());
    lists.chain(groups).filter_map(Value::as_array).flatten().filter_map(|one| one.get("name").and_then(Value::as_str)).map(normalised).collect()
}

/// What a package asks of others, where its marker holds: `uv.lock` and `pylock.toml` name them, `poetry.lock` and `pdm.lock` give constraints
/// too. What Poetry calls optional came by an extra: [`by_extras`].
fn asks(package: &Package, format: Format, own: &str, interpreter: Option<&Interpreter>) -> Vec<(String, Constraint)> {
    let text = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
    let holds = |one: &Value, key: &str| text(one, key).and_then(|text| Marker::parse(&text)).is_none_or(|marker| marker.holds(interpreter));
    let listed = package.dependencies.as_ref();
    let mut all: Vec<(String, Constraint)> = Vec::new();
    let mut keep = |name: &str, constraint: Option<Constraint>| {
        let one = (normalised(name), constraint.unwrap_or_default());
        if is_name(name) && one.0 != own && !all.contains(&one) {
            all.push(one);
        }
    };
    match format {
        Format::Uv | Format::Pylock => {
            let extras = package.optional.as_ref().and_then(Value::as_table).into_iter().flat_map(|table| table.values());
            for one in listed.into_iter().chain(extras).filter_map(Value::as_array).flatten().filter(|one| holds(one, "marker")) {
                if let Some(name) = text(one, "name") {
                    keep(&name, None);
                }
            }
        }
        Format::Pdm => {
            for one in listed.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).filter_map(|text| Requirement::parse(text).ok()) {
                if one.marker.holds(interpreter) {
                    keep(&one.name, Some(one.constraint));
                }
            }
        }
        Format::Poetry => {
            for way in ways(package).filter(|way| holds(way.told, "markers") && !way.is_optional()) {
                keep(way.name, way.constraint());
            }
        }
    }
    all
}

/// One way in which a package of `poetry.lock` asks for another.
struct Way<'a> {
    name: &'a str,
    told: &'a Value,
}

/// Those of a package; several tables for one name are for several markers.
fn ways(package: &Package) -> impl Iterator<Item = Way<'_>> {
    let listed = package.dependencies.as_ref().and_then(Value::as_table).into_iter().flatten();
    listed.flat_map(|(name, value)| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter().map(move |told| Way { name, told }))
}

impl Way<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.told.get(key).and_then(Value::as_str)
    }

    fn is_optional(&self) -> bool {
        self.told.get("optional").and_then(Value::as_bool) == Some(true)
    }

    fn constraint(&self) -> Option<Constraint> {
        self.told.as_str().or_else(|| self.text("version")).and_then(super::project::poetry_constraint)
    }
}

/// A way that is open only with an extra of the one who asks, or one that asks for extras of the other.
struct Optional {
    from: String,
    to: String,
    constraint: Constraint,
    marker: Option<Marker>,
    /// The extras of `from` that its marker names; none: it is open to everybody.
    opened_by: Vec<String>,
    /// It needs one of them; else it only asks for extras of `to`.
    by_extra: bool,
    /// The extras of `to` that it asks for.
    extras: Vec<String>,
}

impl Optional {
    /// `None` for a way that has to do with no extra.
    fn of(from: &str, way: &Way<'_>) -> Option<Self> {
        let extras: Vec<String> = way.told.get("extras").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(normalised).collect();
        let is_optional = way.is_optional();
        if !is_optional && extras.is_empty() || !is_name(way.name) {
            return None;
        }
        let text = way.text("markers").unwrap_or_default();
        let opened_by = text.split("extra ==").skip(1).filter_map(|rest| rest.trim_start().get(1..)?.split(['"', '\'']).next().map(normalised)).collect();
        let constraint = way.constraint().unwrap_or_default();
        Some(Self { from: from.to_owned(), to: normalised(way.name), constraint, marker: Marker::parse(text), opened_by, by_extra: is_optional, extras })
    }

    fn is_open(&self, with: &BTreeSet<String>, interpreter: Option<&Interpreter>) -> bool {
        let with: Vec<&str> = with.iter().map(String::as_str).collect();
        (!self.by_extra || !self.opened_by.is_empty()) && self.marker.as_ref().is_none_or(|marker| marker.holds_with(interpreter, &with))
    }
}

/// Opens the ways of extras that somebody asks for: the project, or a package that is there. Who is neither asked for by the project nor
/// reached then came by an extra of which nothing tells, so all ways to it are taken.
fn by_extras(entries: &mut [Entry], optional: &[Optional], project: Option<&Project>, interpreter: Option<&Interpreter>) {
    if optional.is_empty() {
        return;
    }
    let mut extras: BTreeMap<String, BTreeSet<String>> = project.map(|project| project.extras.clone()).unwrap_or_default();
    let mut is_open = vec![false; optional.len()];
    let none = BTreeSet::new();
    loop {
        let opens: Vec<usize> =
            (0..optional.len()).filter(|at| !is_open[*at] && optional[*at].is_open(extras.get(&optional[*at].from).unwrap_or(&none), interpreter)).collect();
        if opens.is_empty() {
            break;
        }
        for at in opens {
            is_open[at] = true;
            extras.entry(optional[at].to.clone()).or_default().extend(optional[at].extras.iter().cloned());
        }
    }
    let mut reached: HashSet<String> = entries.iter().flat_map(|entry| entry.asks.iter().map(|(name, _)| name.clone())).collect();
    reached.extend(optional.iter().zip(&is_open).filter(|(_, is_open)| **is_open).map(|(way, _)| way.to.clone()));
    let is_lost = |entry: &&Entry| entry.direct == Some(false) && !reached.contains(&entry.name);
    let lost: HashSet<String> = entries.iter().filter(is_lost).map(|entry| entry.name.clone()).collect();
    for (way, is_open) in optional.iter().zip(is_open) {
        let all: BTreeSet<String> = way.opened_by.iter().cloned().collect();
        if way.by_extra && (is_open || lost.contains(&way.to) && way.is_open(&all, interpreter)) && way.to != way.from {
            for entry in entries.iter_mut().filter(|entry| entry.name == way.from) {
                entry.take_asks(vec![(way.to.clone(), way.constraint.clone())]);
            }
        }
    }
}

fn from_index(package: &Package, format: Format) -> bool {
    match format {
        Format::Uv => package.source.as_ref().is_none_or(|source| source.get("registry").is_some()),
        // Poetry names a source only when it is not the default index; `legacy` is another index.
        Format::Poetry => package.source.as_ref().and_then(|source| source.get("type")).and_then(Value::as_str).is_none_or(|kind| kind == "legacy"),
        Format::Pdm => [&package.git, &package.path, &package.url, &package.editable].iter().all(|value| value.is_none()),
        Format::Pylock => [&package.vcs, &package.directory, &package.archive].iter().all(|value| value.is_none()),
    }
}

/// Whether its marker holds. Markers on extras and groups of the lock itself cannot be judged here: those packages are kept.
fn applies(package: &Package, interpreter: Option<&Interpreter>) -> bool {
    let resolutions = package.resolutions.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let holds = |one: &Value| one.as_str().and_then(Marker::parse).is_none_or(|marker| marker.holds(interpreter));
    if !resolutions.is_empty() && !resolutions.iter().any(holds) {
        return false;
    }
    let marker = package.marker.as_ref().or(package.markers.as_ref()).and_then(Value::as_str);
    let Some(text) = marker.filter(|text| !text.contains("extra") && !text.contains("dependency_groups")) else { return true };
    Marker::parse(text).is_none_or(|marker| marker.holds(interpreter))
}

/// Keeps the newest of the versions that a lock file has of one package for different Pythons, where nothing told which of them is in use;
/// and says so.
fn one_of_each(entries: &mut Vec<Entry>, forked: &BTreeSet<String>) -> Option<String> {
    let mut newest: BTreeMap<String, Version> = BTreeMap::new();
    let mut several: BTreeSet<String> = BTreeSet::new();
    for entry in entries.iter().filter(|entry| forked.contains(&entry.name)) {
        let Some(version) = entry.locked.as_deref().and_then(Version::parse) else { continue };
        match newest.get_mut(&entry.name) {
            Some(known) if *known == version => {}
            Some(known) => {
                several.insert(entry.name.clone());
                *known = version.max(known.clone());
            }
            None => drop(newest.insert(entry.name.clone(), version)),
        }
    }
    entries.retain(|entry| !several.contains(&entry.name) || entry.locked.as_deref().and_then(Version::parse).as_ref() == newest.get(&entry.name));
    let names: Vec<&str> = several.iter().take(3).map(String::as_str).collect();
    let more = if several.len() > names.len() { ", …" } else { "" };
    (!several.is_empty()).then(|| {
        let count = several.len();
        let packages = if count == 1 { "1 package has" } else { &format!("{count} packages have") };
        format!(
            "{packages} a version for each of several Pythons ({}{more}): the newest is looked at; let `python` or `venv` say which is in use",
            names.join(", ")
        )
    })
}

/// The version of `Pipfile.lock` that is known.
const SPEC: u64 = 6;

#[derive(Debug, Deserialize)]
struct Pinned {
    version: Option<String>,
    markers: Option<String>,
}

/// Reads `Pipfile.lock`.
#[must_use]
pub fn pipfile(text: &str, shown: &str, interpreter: Option<&Interpreter>) -> Manifest {
    let mut found = Manifest::default();
    let table: serde_json::Map<String, serde_json::Value> = match serde_json::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            let message = if error.is_eof() { "it ends too early" } else { "it is no JSON" };
            return super::failed(&format!("{shown}:{}", error.line().max(1)), format!("cannot be read: {message}"));
        }
    };
    let spec = table.get("_meta").and_then(|meta| meta.get("pipfile-spec"));
    if let Some(spec) = spec.filter(|spec| spec.as_u64() != Some(SPEC)) {
        let spec: String = spec.to_string().chars().filter(|c| !c.is_control()).take(20).collect();
        found.problems.push(Problem { subject: shown.to_owned(), message: format!("lock version {spec} is not known; it is read as far as it goes") });
    }
    let sources = table.get("_meta").and_then(|meta| meta.get("sources")).and_then(serde_json::Value::as_array);
    for url in sources.into_iter().flatten().filter_map(|source| source.get("url").and_then(serde_json::Value::as_str)).take(16) {
        found.options.push(IndexOption { url: url.to_owned(), role: Role::Recorded, place: shown.to_owned() });
    }
    for (category, packages) in table.iter().filter(|(category, _)| *category != "_meta") {
        let Some(packages) = packages.as_object() else {
            found.problems.push(Problem { subject: shown.to_owned(), message: "a category is no table of packages".to_owned() });
            continue;
        };
        for (name, value) in packages {
            let place = format!("{shown} {category}");
            let pinned = Pinned::deserialize(value);
            let (true, Ok(pinned)) = (is_name(name), pinned) else {
                found.problems.push(Problem { subject: place, message: "a package cannot be read".to_owned() });
                continue;
            };
            if pinned.markers.as_deref().and_then(Marker::parse).is_some_and(|marker| !marker.holds(interpreter)) {
                continue;
            }
            let elsewhere = ["git", "path", "file", "editable", "hg", "svn"].iter().any(|key| value.get(key).is_some());
            found.entries.push(Entry {
                name: normalised(name),
                constraint: Constraint::default(),
                locked: pinned.version.map(|version| version.trim_start_matches('=').trim().to_owned()),
                from_index: !elsewhere,
                direct: None,
                place,
                asks: Vec::new(),
            });
        }
    }
    found
}
