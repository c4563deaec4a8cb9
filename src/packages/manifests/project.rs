//! `pyproject.toml`: which packages are direct, within which constraints, and which indexes are named (read by `indexes::settings`).
//!
//! What does not belong here: lock files (`locks`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::{Table, Value};

use super::{Entry, Manifest, Scope, text};
use crate::domain::Problem;
use crate::packages::versions::{Constraint, Interpreter, Marker, Requirement, Version, normalised};

/// What a project asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Project {
    /// Normalised name to constraint and whether an index has it.
    pub direct: BTreeMap<String, (Constraint, bool)>,
    /// What could not be read.
    pub problems: Vec<String>,
    /// Its own name, normalised.
    pub name: Option<String>,
    /// Name to the extras that are asked for, all normalised.
    pub extras: BTreeMap<String, BTreeSet<String>>,
}

/// The project of a folder; `None` when there is none that can be read.
#[must_use]
pub fn beside(folder: &Path, scope: Scope<'_>) -> Option<Project> {
    let text = text(&folder.join("pyproject.toml")).ok()?;
    read(&text, scope.interpreter).ok()
}

/// Reads it for any interpreter.
///
/// # Errors
/// When it is no TOML.
pub fn parse(text: &str) -> Result<Project, String> {
    read(text, None)
}

fn read(text: &str, interpreter: Option<&Interpreter>) -> Result<Project, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| super::locks::place_of(text, &error, 0).1)?;
    let mut found = Project::default();
    let project = table.get("project").and_then(Value::as_table);
    found.name = project.and_then(|p| p.get("name")).and_then(Value::as_str).map(normalised);
    if let Some(list) = project.and_then(|p| p.get("dependencies")) {
        standard(list, "[project] dependencies", interpreter, &mut found);
    }
    for (extra, list) in project.and_then(|p| p.get("optional-dependencies")).and_then(Value::as_table).into_iter().flatten() {
        standard(list, &format!("[project] {}", shown(extra)), interpreter, &mut found);
    }
    if let Some(table) = table.get("dependency-groups") {
        groups(table, interpreter, &mut found);
    }
    let tool = |name: &str| table.get("tool").and_then(|tool| tool.get(name));
    if let Some(list) = tool("uv").and_then(|uv| uv.get("dev-dependencies")) {
        standard(list, "[tool.uv] dev-dependencies", interpreter, &mut found);
    }
    if let Some(groups) = tool("pdm").and_then(|pdm| pdm.get("dev-dependencies")).and_then(Value::as_table) {
        groups.iter().for_each(|(name, list)| standard(list, &format!("[tool.pdm] {}", shown(name)), interpreter, &mut found));
    }
    if let Some(poetry) = tool("poetry") {
        if found.name.is_none() {
            found.name = poetry.get("name").and_then(Value::as_str).map(normalised);
        }
        let groups = poetry.get("group").and_then(Value::as_table).into_iter().flat_map(|groups| groups.values().filter_map(|group| group.get("dependencies")));
        for table in [poetry.get("dependencies"), poetry.get("dev-dependencies")].into_iter().flatten().chain(groups).filter_map(Value::as_table) {
            for (name, value) in table {
                if normalised(name) != "python" {
                    caret(name, value, interpreter, &mut found);
                }
            }
        }
    }
    Ok(found)
}

fn keep(found: &mut Project, name: String, constraint: &Constraint, from_index: bool) {
    let known = found.direct.entry(name).or_insert_with(|| (Constraint::default(), true));
    known.0 = known.0.and(constraint);
    known.1 &= from_index;
}

/// A name of the file, for a message.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// A list of requirements by PEP 508; what else stands in it is no requirement.
fn standard(list: &Value, place: &str, interpreter: Option<&Interpreter>, found: &mut Project) {
    for text in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
        match Requirement::parse(text) {
            // An extra that takes in others names the project itself: `all = ["shop[dev]"]`.
            Ok(read) if found.name.as_ref() == Some(&read.name) || !read.marker.holds(interpreter) => {}
            Ok(read) => {
                if !read.extras.is_empty() {
                    found.extras.entry(read.name.clone()).or_default().extend(read.extras);
                }
                keep(found, read.name, &read.constraint, !read.url);
            }
            Err(why) => found.problems.push(format!("{place}: {}: {why}", shown(text))),
        }
    }
}

/// Groups of dependencies and what they take in of each other (PEP 735). All of them are read, so that what one takes in of another is
/// there already; what cannot be taken in is told, as the tools would refuse it.
fn groups(table: &Value, interpreter: Option<&Interpreter>, found: &mut Project) {
    let Some(table) = table.as_table() else { return found.problems.push("[dependency-groups] is no table of groups".to_owned()) };
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    let mut takes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, list) in table {
        if let Some(other) = names.insert(normalised(name), name) {
            found.problems.push(format!("[dependency-groups] {} and {} are one name", shown(other), shown(name)));
        }
        let place = format!("[dependency-groups] {}", shown(name));
        let Some(entries) = list.as_array() else {
            found.problems.push(format!("{place} is no list"));
            continue;
        };
        standard(list, &place, interpreter, found);
        for entry in entries.iter().filter(|entry| !entry.is_str()) {
            match entry.as_table().filter(|entry| entry.len() == 1).and_then(|entry| entry.get("include-group")).and_then(Value::as_str) {
                Some(other) => takes.entry(name).or_default().push(other.to_owned()),
                None => found.problems.push(format!("{place}: an entry is neither a requirement nor {{ include-group = \"…\" }}")),
            }
        }
    }
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, others) in &takes {
        for other in others {
            match names.get(&normalised(other)) {
                Some(other) => next.entry(name).or_default().push(other),
                None => found.problems.push(format!("[dependency-groups] {} includes {}, which is not there", shown(name), shown(other))),
            }
        }
    }
    for way in circles(&next) {
        let way: Vec<String> = way.into_iter().map(shown).collect();
        found.problems.push(format!("[dependency-groups] include each other in a circle: {}", way.join(" → ")));
    }
}

/// The circles of what leads to what, one for each group that closes one: with its beginning at the end again.
fn circles<'a>(next: &BTreeMap<&'a str, Vec<&'a str>>) -> Vec<Vec<&'a str>> {
    let mut all = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in next.keys() {
        // The way to where we are, each step with how many of its groups were followed.
        let mut way: Vec<(&str, usize)> = vec![(*start, 0)];
        while let Some((name, at)) = way.last_mut() {
            let (name, step) = (*name, *at);
            *at += 1;
            match next.get(name).and_then(|all| all.get(step)).filter(|_| !done.contains(name)) {
                None => {
                    done.insert(name);
                    way.pop();
                }
                Some(other) => match way.iter().position(|(one, _)| one == other) {
                    Some(from) => all.push(way[from..].iter().map(|(one, _)| *one).chain([*other]).collect()),
                    None => way.push((*other, 0)),
                },
            }
        }
    }
    all
}

/// A dependency as Poetry writes it: text, a table, or several tables for several markers.
fn caret(name: &str, value: &Value, interpreter: Option<&Interpreter>, found: &mut Project) {
    match value {
        Value::String(text) => match poetry_constraint(text) {
            Some(constraint) => keep(found, normalised(name), &constraint, true),
            None => {
                keep(found, normalised(name), &Constraint::default(), true);
                found.problems.push(format!("the constraint of {name} is not known"));
            }
        },
        Value::Table(table) => {
            let marker = table.get("markers").and_then(Value::as_str).and_then(Marker::parse);
            if marker.is_some_and(|marker| !marker.holds(interpreter)) {
                return;
            }
            let python = table.get("python").and_then(Value::as_str).and_then(poetry_constraint);
            if let (Some(python), Some(interpreter)) = (python, interpreter)
                && !python.allows(&interpreter.version)
            {
                return;
            }
            let extras: Vec<String> = table.get("extras").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(normalised).collect();
            if !extras.is_empty() {
                found.extras.entry(normalised(name)).or_default().extend(extras);
            }
            let elsewhere = ["git", "path", "url", "file"].iter().any(|key| table.contains_key(*key));
            let constraint = table.get("version").and_then(Value::as_str).and_then(poetry_constraint).unwrap_or_default();
            keep(found, normalised(name), &constraint, !elsewhere);
        }
        Value::Array(all) => all.iter().for_each(|one| caret(name, one, interpreter, found)),
        _ => found.problems.push(format!("the constraint of {name} is not known")),
    }
}

/// `^1.2`, `~1.2`, `1.2.*`, `1.2` (exact), `*`, and PEP 440; `||` has no like of it and allows any.
pub(super) fn poetry_constraint(text: &str) -> Option<Constraint> {
    if text.contains("||") || text.contains('|') {
        return Some(Constraint::default());
    }
    let mut all = Constraint::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let one = if let Some(base) = part.strip_prefix('^') {
            let numbers = release(base)?;
            let at = numbers.iter().position(|n| *n != 0).unwrap_or(numbers.len().saturating_sub(1));
            Constraint::parse(&format!(">={base},<{}", next(&numbers, at)))?
        } else if let Some(base) = part.strip_prefix('~').filter(|rest| !rest.starts_with('=')) {
            let numbers = release(base)?;
            Constraint::parse(&format!(">={base},<{}", next(&numbers, 1.min(numbers.len().saturating_sub(1)))))?
        } else if part.starts_with(|c: char| c.is_ascii_digit()) {
            Constraint::parse(&format!("=={part}"))?
        } else {
            Constraint::parse(part)?
        };
        all = all.and(&one);
    }
    Some(all)
}

fn release(text: &str) -> Option<Vec<u64>> {
    Version::parse(text)?;
    let digits: String = text.trim().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let numbers: Vec<u64> = digits.split('.').filter_map(|part| part.parse().ok()).collect();
    (!numbers.is_empty()).then_some(numbers)
}

fn next(numbers: &[u64], at: usize) -> String {
    let parts: Vec<String> =
        numbers.iter().take(at + 1).enumerate().map(|(i, n)| if i == at { n.saturating_add(1).to_string() } else { n.to_string() }).collect();
    parts.join(".")
}

/// The project itself as the manifest: constraints, nothing locked.
#[must_use]
pub fn manifest(text: &str, shown: &str, interpreter: Option<&Interpreter>) -> Manifest {
    match read(text, interpreter) {
        Err(message) => super::failed(shown, message),
        Ok(project) => Manifest {
            entries: project
                .direct
                .into_iter()
                .map(|(name, (constraint, from_index))| Entry {
                    locked: constraint.pin(),
                    name,
                    constraint,
                    from_index,
                    direct: Some(true),
                    place: shown.to_owned(),
                    ..Entry::default()
                })
                .collect(),
            problems: project.problems.into_iter().map(|message| Problem { subject: shown.to_owned(), message }).collect(),
            options: Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (Vec<String>, Vec<String>) {
        let read = parse(text).unwrap();
        (read.direct.into_keys().collect(), read.problems)
    }

    #[test]
    fn groups_take_in_each_other() {
        let (direct, problems) = told(
            "[project]\nname = \"shop\"\ndependencies = [\"django>=5\"]\n[project.optional-dependencies]\nall = [\"Shop[dev]\", \"redis\"]\n\
             [dependency-groups]\nTest = [\"pytest\", { include-group = \"typing_own\" }]\ntyping-own = [\"mypy\"]\nci = [{include-group = \"test\"}]\n",
        );
        assert_eq!(direct, ["django", "mypy", "pytest", "redis"], "and not the project itself");
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn what_groups_cannot_take_in_is_told_and_the_rest_is_read() {
        for (text, why) in [
            (
                "a = [\"x\", {include-group = \"b\"}]\nb = [{include-group = \"c\"}]\nc = [\"y\", {include-group = \"a\"}]\nd = [{include-group = \"a\"}]",
                "in a circle: a → b → c → a",
            ),
            ("a = [\"x\", \"y\", {include-group = \"a\"}]", "in a circle: a → a"),
            ("a = [\"x\", \"y\", {include-group = \"tets\"}]", "a includes tets, which is not there"),
            ("a = [\"x\", \"y\", {include-groups = \"b\"}]\nb = []", "neither a requirement nor"),
            ("a-b = [\"x\"]\na_B = [\"y\"]", "are one name"),
            ("a = [\"x\", \"y\", \"!z\"]", "a: !z: it begins with no name"),
            ("a = [\"x\", \"y\"]\nb = \"z\"", "b is no list"),
        ] {
            let (direct, problems) = told(&format!("[dependency-groups]\n{text}\n"));
            assert_eq!(direct, ["x", "y"], "{text}");
            assert!(matches!(problems.as_slice(), [one] if one.contains(why)), "{text}: {problems:?}");
        }
    }
}
