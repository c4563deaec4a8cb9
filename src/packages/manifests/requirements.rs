//! `requirements.txt`, read as pip reads it, with the files it includes; but one bad line costs one line.
//!
//! What does not belong here: the environment's variables. `${NAME}` stays as it is, and is told.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::{Entry, IndexOption, Manifest, Role, Scope, text};
use crate::domain::Problem;
use crate::packages::indexes::simple;
use crate::packages::versions::{Constraint, Interpreter, Marker, Requirement, is_name, name_end, normalised};

/// Files that one manifest may include.
const FILES: usize = 200;

/// A line after joining, without its comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Of its first physical line, from 1.
    pub number: usize,
    /// Without comment and surrounding blanks; may be empty.
    pub text: String,
    /// What the comment says, when there is one.
    pub comment: Option<String>,
}

/// Joins lines that end in a backslash and cuts comments off: `#` at the beginning or after a blank.
#[must_use]
pub fn lines(text: &str) -> Vec<Line> {
    let mut all = Vec::new();
    let mut joined: Option<(usize, String)> = None;
    let push = |all: &mut Vec<Line>, number: usize, line: &str| {
        let at = line.char_indices().find(|(at, c)| *c == '#' && (*at == 0 || line[..*at].ends_with(char::is_whitespace))).map(|(at, _)| at);
        let (text, comment) = at.map_or((line, None), |at| (&line[..at], Some(line[at + 1..].trim().to_owned())));
        all.push(Line { number, text: text.trim().to_owned(), comment });
    };
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with('#') {
            // A comment ends what was joined so far, and is never joined onward.
            if let Some((number, before)) = joined.take() {
                push(&mut all, number, &before);
            }
            push(&mut all, at + 1, line.trim_start());
            continue;
        }
        let (number, mut before) = joined.take().unwrap_or((at + 1, String::new()));
        if let Some(head) = line.strip_suffix('\\') {
            before.push_str(head);
            joined = Some((number, before));
        } else {
            before.push_str(line);
            push(&mut all, number, &before);
        }
    }
    if let Some((number, before)) = joined {
        push(&mut all, number, &before);
    }
    all
}

/// What one line asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// A package.
    Package(Entry),
    /// `-r FILE`.
    Include(String),
    /// `-c FILE`.
    Constrain(String),
    /// An index.
    Index(IndexOption),
}

/// The statements of one file, with the line each stands on, and what could not be read.
#[must_use]
pub fn statements(text: &str, shown: &str, interpreter: Option<&Interpreter>) -> (Vec<(usize, Statement)>, Vec<Problem>) {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    // Compiled files say in comments who asked for a package; `asked` are the lines that a person asked for.
    let (mut compiled, mut in_via, mut last) = (false, false, None);
    let mut asked: HashSet<usize> = HashSet::new();
    for line in lines(text) {
        let place = format!("{shown}:{}", line.number);
        if !line.text.is_empty() {
            in_via = false;
            last = None;
            match statement(&line.text, &place, interpreter) {
                Ok(Some(found)) => {
                    if matches!(found, Statement::Package(_)) {
                        last = Some(all.len());
                    }
                    all.push((line.number, found));
                }
                Ok(None) => {}
                Err(wrong) => {
                    if let Some(entry) = wrong.entry {
                        last = Some(all.len());
                        all.push((line.number, Statement::Package(*entry)));
                    }
                    problems.push(Problem { subject: place, message: wrong.why });
                }
            }
        }
        if let (Some(comment), Some(at)) = (&line.comment, last) {
            let mut said = comment.as_str();
            if let Some(rest) = said.strip_prefix("via").filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
                (compiled, in_via, said) = (true, true, rest.trim());
            }
            if in_via && ["-r ", "--requirement", "(pyproject.toml)", "(setup.py)", "(setup.cfg)"].iter().any(|mark| said.contains(mark)) {
                asked.insert(at);
            }
        }
    }
    for (at, (_, statement)) in all.iter_mut().enumerate() {
        if let Statement::Package(entry) = statement {
            entry.direct = Some(!compiled || asked.contains(&at));
        }
    }
    (all, problems)
}

/// A line that cannot be read, which may still name its package.
struct Wrong {
    entry: Option<Box<Entry>>,
    why: String,
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self { entry: None, why }
    }
}

/// What stands on a line.
fn statement(line: &str, place: &str, interpreter: Option<&Interpreter>) -> Result<Option<Statement>, Wrong> {
    if line.starts_with('-') {
        return option(line, place, interpreter);
    }
    package(line, place, interpreter).map(|entry| entry.map(Statement::Package))
}

/// Splits `--name=value`, `--name value`, `-n value`, `-nvalue`.
fn split(line: &str) -> (&str, &str) {
    if line.starts_with("--") {
        let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
        (&line[..end], line[end..].trim_start_matches('=').trim())
    } else {
        let end = line.char_indices().nth(2).map_or(line.len(), |(at, _)| at);
        (&line[..end], line[end..].trim_start_matches('=').trim())
    }
}

fn option(line: &str, place: &str, interpreter: Option<&Interpreter>) -> Result<Option<Statement>, Wrong> {
    let (name, value) = split(line);
    let value = value.trim_matches(|c| c == '"' || c == '\'');
    let index = |role| Ok(Some(Statement::Index(IndexOption { url: value.to_owned(), role, place: place.to_owned() })));
    match name {
        "-r" | "--requirement" | "--requirements" if !value.is_empty() => Ok(Some(Statement::Include(value.to_owned()))),
        "-c" | "--constraint" | "--constraints" if !value.is_empty() => Ok(Some(Statement::Constrain(value.to_owned()))),
        "-e" | "--editable" if !value.is_empty() => Ok(elsewhere(value, place, interpreter).map_err(Wrong::from)?.map(Statement::Package)),
        "-i" | "--index-url" | "--pypi-url" if !value.is_empty() => index(Role::Main),
        "--extra-index-url" if !value.is_empty() => index(Role::Extra),
        "-r" | "--requirement" | "-c" | "--constraint" | "-e" | "--editable" | "-i" | "--index-url" | "--extra-index-url" => {
            Err(format!("{name} names nothing").into())
        }
        "-f"
        | "--find-links"
        | "--no-index"
        | "--no-binary"
        | "--only-binary"
        | "--prefer-binary"
        | "--require-hashes"
        | "--no-require-hashes"
        | "--pre"
        | "--all-releases"
        | "--only-final"
        | "--trusted-host"
        | "--use-feature"
        | "-Z"
        | "--always-unzip" => Ok(None),
        _ => {
            let name: String = name.chars().take(40).collect();
            Err(format!("the option {name} is not known").into())
        }
    }
}

/// A variable that stays as it is: `${NAME}`.
fn variable(text: &str) -> Option<&str> {
    let from = text.find("${")?;
    let end = text[from..].find('}')?;
    let name = &text[from + 2..from + end];
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')).then(|| &text[from..=from + end])
}

fn entry(name: &str, place: &str) -> Entry {
    Entry {
        name: normalised(name),
        constraint: Constraint::default(),
        locked: None,
        from_index: true,
        direct: Some(true),
        place: place.to_owned(),
        ..Entry::default()
    }
}

fn package(line: &str, place: &str, interpreter: Option<&Interpreter>) -> Result<Option<Entry>, Wrong> {
    // Options of the one requirement follow it: `--hash=sha256:…`.
    let cut = line.match_indices("--").find(|(at, _)| line[..*at].ends_with(char::is_whitespace)).map_or(line.len(), |(at, _)| at);
    let line = line[..cut].trim();
    let (name, rest) = line.split_at(name_end(line));
    let after_extras = rest.trim_start();
    let after_extras = if after_extras.starts_with('[') { after_extras.split_once(']').map_or("", |(_, rest)| rest).trim_start() } else { after_extras };
    if is_name(name) && after_extras.starts_with('@') {
        let marker = after_extras.split_once(" ;").map(|(_, marker)| marker);
        if marker.is_some_and(|text| Marker::parse(text.trim()).is_some_and(|marker| !marker.holds(interpreter))) {
            return Ok(None);
        }
        return Ok(Some(Entry { from_index: false, ..entry(name, place) }));
    }
    let path = line.starts_with(['.', '/', '~']) || rest.starts_with(['/', '\\', ':']) || rest.starts_with('+') && line.contains("://");
    if path || simple::distribution(line.split([';', ' ']).next().unwrap_or(line), None).is_some() {
        return elsewhere(line, place, interpreter).map_err(Wrong::from);
    }
    match Requirement::parse(line) {
        Ok(read) if !read.marker.holds(interpreter) => Ok(None),
        Ok(read) => {
            let locked = read.constraint.pin();
            Ok(Some(Entry {
                name: read.name,
                locked,
                constraint: read.constraint,
                from_index: !read.url,
                direct: Some(true),
                place: place.to_owned(),
                ..Entry::default()
            }))
        }
        Err(why) => {
            let why = variable(line).map_or(why, |name| format!("{name} is not put in: the environment is not asked"));
            if !is_name(name) {
                return Err(why.into());
            }
            // The version is kept as text where it is one that PEP 440 does not know.
            let pinned = rest.trim_start().strip_prefix("==").map(|text| text.trim_start_matches('=').split(';').next().unwrap_or_default().trim());
            let locked = pinned.filter(|text| !text.is_empty() && text.len() < 80 && !text.contains(['$', '*', ',', ' '])).map(str::to_owned);
            Err(Wrong { entry: Some(Box::new(Entry { locked, ..entry(name, place) })), why })
        }
    }
}

/// A package from an address, a repository or a folder. `None` for the project itself.
fn elsewhere(text: &str, place: &str, interpreter: Option<&Interpreter>) -> Result<Option<Entry>, String> {
    let (source, marker) = text.split_once(" ;").map_or((text, None), |(source, marker)| (source.trim(), Some(marker.trim())));
    if marker.and_then(Marker::parse).is_some_and(|marker| !marker.holds(interpreter)) {
        return Ok(None);
    }
    let bare = source.split('[').next().unwrap_or(source).trim();
    if matches!(bare, "." | "./" | "") {
        return Ok(None);
    }
    let (address, fragment) = source.split_once('#').unwrap_or((source, ""));
    let egg = fragment.split('&').find_map(|part| part.strip_prefix("egg="));
    let last = address.split(['?']).next().unwrap_or(address).trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or_default();
    let found = match (egg, simple::distribution(last, None)) {
        (Some(egg), _) => {
            let egg = egg.split(['[', ' ']).next().unwrap_or_default();
            // Old links have `#egg=name-1.0`.
            let name = egg.rsplit_once('-').filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit())).map_or(egg, |(name, _)| name);
            Some((name.to_owned(), None))
        }
        (None, Some(file)) => Some((file.name, Some(file.version))),
        // A repository or folder is mostly named like what is in it.
        (None, None) => {
            let folder = last.split('[').next().unwrap_or_default();
            let folder = if address.contains("://") { folder.split('@').next().unwrap_or_default() } else { folder };
            Some((folder.strip_suffix(".git").unwrap_or(folder).to_owned(), None))
        }
    };
    match found {
        Some((name, version)) if is_name(&name) => Ok(Some(Entry { locked: version, from_index: false, ..entry(&name, place) })),
        _ => Err("it does not tell the name of the package: `name @ address` does".to_owned()),
    }
}

/// What was gathered while following includes.
#[derive(Debug, Default)]
struct Gathered {
    all: Manifest,
    /// From `-c`: no packages, but bounds of those that are.
    bounds: BTreeMap<String, Constraint>,
    seen: HashSet<(PathBuf, bool)>,
}

/// Reads a file and what it includes. Blocks.
#[must_use]
pub fn read(path: &Path, scope: Scope<'_>) -> Manifest {
    let mut gathered = Gathered::default();
    follow(path, false, scope, &mut gathered, &mut Vec::new(), None);
    let Gathered { mut all, bounds, .. } = gathered;
    for entry in &mut all.entries {
        if let Some(bound) = bounds.get(&entry.name) {
            entry.constraint = entry.constraint.and(bound);
            entry.locked = entry.locked.take().or_else(|| bound.pin());
        }
    }
    all
}

fn follow(path: &Path, constraints: bool, scope: Scope<'_>, gathered: &mut Gathered, stack: &mut Vec<PathBuf>, from: Option<&str>) {
    let shown = scope.shown(path);
    let told = |message: String| Problem { subject: from.map_or_else(|| shown.clone(), str::to_owned), message };
    let known = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if stack.contains(&known) {
        gathered.all.problems.push(told(format!("{shown} includes itself")));
        return;
    }
    if !gathered.seen.insert((known.clone(), constraints)) {
        return;
    }
    if gathered.seen.len() > FILES {
        gathered.all.problems.push(told(format!("more than {FILES} files are included")));
        return;
    }
    let text = match text(path) {
        Ok(text) => text,
        Err(why) => return gathered.all.problems.push(told(if from.is_some() { format!("{shown} {why}") } else { why })),
    };
    let (statements, problems) = statements(&text, &shown, scope.interpreter);
    gathered.all.problems.extend(problems);
    // What was compiled pins everything; the file it was compiled from has the person's own constraints.
    let compiled = statements.iter().any(|(_, statement)| matches!(statement, Statement::Package(entry) if entry.direct == Some(false)));
    let own = (compiled && !constraints).then(|| own_constraints(path, scope)).flatten();
    stack.push(known);
    let folder = path.parent().unwrap_or(Path::new(""));
    for (number, statement) in statements {
        let place = format!("{shown}:{number}");
        match statement {
            Statement::Package(entry) if constraints => {
                let bound = gathered.bounds.entry(entry.name).or_default();
                *bound = bound.and(&entry.constraint);
            }
            Statement::Package(mut entry) => {
                if let Some(own) = &own {
                    entry.constraint = own.get(&entry.name).cloned().unwrap_or_default();
                }
                gathered.all.entries.push(entry);
            }
            Statement::Index(index) => gathered.all.options.push(index),
            Statement::Include(name) | Statement::Constrain(name) if name.contains("://") => {
                gathered.all.problems.push(Problem { subject: place, message: "a manifest at an address is not fetched".to_owned() });
            }
            Statement::Include(name) => follow(&folder.join(name), constraints, scope, gathered, stack, Some(&place)),
            Statement::Constrain(name) => follow(&folder.join(name), true, scope, gathered, stack, Some(&place)),
        }
    }
    stack.pop();
}

/// The constraints of `requirements.in` beside `requirements.txt`.
fn own_constraints(path: &Path, scope: Scope<'_>) -> Option<BTreeMap<String, Constraint>> {
    let source = path.with_extension("in");
    if source == path || !source.is_file() {
        return None;
    }
    let mut gathered = Gathered::default();
    follow(&source, false, scope, &mut gathered, &mut Vec::new(), None);
    Some(gathered.all.entries.into_iter().map(|entry| (entry.name, entry.constraint)).collect())
}
