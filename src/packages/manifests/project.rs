//! `pyproject.toml`: which packages are direct, within which constraints, and which indexes are named (read by `indexes::settings`).
//!
//! What does not belong here: lock files (`locks`).

use std::collections::BTreeMap;
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
    for list in [project.and_then(|p| p.get("dependencies"))].into_iter().flatten() {
        standard(list, interpreter, &mut found);
    }
    let groups = [project.and_then(|p| p.get("optional-dependencies")), table.get("dependency-groups")];
    for group in groups.into_iter().flatten().filter_map(Value::as_table) {
        group.values().for_each(|list| standard(list, interpreter, &mut found));
    }
    let tool = |name: &str| table.get("tool").and_then(|tool| tool.get(name));
    if let Some(list) = tool("uv").and_then(|uv| uv.get("dev-dependencies")) {
        standard(list, interpreter, &mut found);
    }
    if let Some(groups) = tool("pdm").and_then(|pdm| pdm.get("dev-dependencies")).and_then(Value::as_table) {
        groups.values().for_each(|list| standard(list, interpreter, &mut found));
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

/// A list of requirements by PEP 508; tables in it include other groups.
fn standard(list: &Value, interpreter: Option<&Interpreter>, found: &mut Project) {
    for text in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
        match Requirement::parse(text) {
            Ok(read) if !read.marker.holds(interpreter) => {}
            Ok(read) => keep(found, read.name, &read.constraint, !read.url),
            Err(why) => found.problems.push(why),
        }
    }
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
            let elsewhere = ["git", "path", "url", "file"].iter().any(|key| table.contains_key(*key));
            let constraint = table.get("version").and_then(Value::as_str).and_then(poetry_constraint).unwrap_or_default();
            keep(found, normalised(name), &constraint, !elsewhere);
        }
        Value::Array(all) => all.iter().for_each(|one| caret(name, one, interpreter, found)),
        _ => found.problems.push(format!("the constraint of {name} is not known")),
    }
}

/// `^1.2`, `~1.2`, `1.2.*`, `1.2` (exact), `*`, and PEP 440; `||` has no like of it and allows any.
fn poetry_constraint(text: &str) -> Option<Constraint> {
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
                })
                .collect(),
            problems: project.problems.into_iter().map(|message| Problem { subject: shown.to_owned(), message }).collect(),
            options: Vec::new(),
        },
    }
}
