//! Who lists packages: requirements files, lock files, `pyproject.toml`, an environment. What one line or one entry has wrong
//! is told with its place, and the rest is read.
//!
//! What does not belong here: versions that are out (`indexes`), the verdict (`compare`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `requirements` | `requirements.txt`, with what it includes |
//! | `locks` | `poetry.lock`, `uv.lock`, `pdm.lock`, `pylock.toml`, `Pipfile.lock` |
//! | `project` | `pyproject.toml`: what is direct, and its constraints |
//! | `installed` | the distributions of an environment, without running its interpreter |
//! | `inspected` | the same of one elsewhere, as `pip inspect` tells |

pub mod inspected;
pub mod installed;
pub mod locks;
pub mod project;
pub mod requirements;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::versions::{Constraint, Interpreter};
use crate::domain::Problem;

/// A manifest is not larger than this, in bytes.
const LIMIT: u64 = 64 << 20;
/// More packages than this are not one project's.
const ENTRIES: usize = 20_000;
/// Problems that are told one by one; the rest is counted.
const PROBLEMS: usize = 50;

/// One package that a manifest lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// Normalised.
    pub name: String,
    /// Which versions the manifest allows.
    pub constraint: Constraint,
    /// The version it is pinned or locked to.
    pub locked: Option<String>,
    /// `false`: from an address, a repository or a folder, so no index knows it.
    pub from_index: bool,
    /// Asked for by a person and not by another package; `None` where nothing tells.
    pub direct: Option<bool>,
    /// `requirements.txt:3`.
    pub place: String,
    /// What it asks of others, as far as a lock file says so.
    pub asks: Vec<(String, Constraint)>,
}

impl Entry {
    /// What the same package asks for elsewhere: with extras it is listed once more.
    fn take_asks(&mut self, asks: Vec<(String, Constraint)>) {
        for one in asks {
            if !self.asks.contains(&one) {
                self.asks.push(one);
            }
        }
    }
}

/// What manifests list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Manifest {
    /// Each name once.
    pub entries: Vec<Entry>,
    /// What could not be read, with its place.
    pub problems: Vec<Problem>,
    /// Indexes that manifests name, in order; they may hold credentials.
    pub options: Vec<IndexOption>,
}

/// An index named by a manifest.
#[derive(Clone, PartialEq, Eq)]
pub struct IndexOption {
    /// Its address, as written.
    pub url: String,
    /// What it is there for.
    pub role: Role,
    /// Where it stands.
    pub place: String,
}

/// What an index named by a manifest is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is the index.
    Main,
    /// Beside the main one.
    Extra,
    /// The packages of a lock file came from it.
    Recorded,
}

impl std::fmt::Debug for IndexOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexOption").field("role", &self.role).field("place", &self.place).finish_non_exhaustive()
    }
}

/// What reading shares: where names of files are relative to, and for whom markers are judged.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Names of files in messages are relative to this.
    pub base: &'a Path,
    /// Markers are judged for this interpreter; without one whatever may apply does.
    pub interpreter: Option<&'a Interpreter>,
}

impl Scope<'_> {
    /// The name of a file in messages.
    #[must_use]
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.base).unwrap_or(path).display().to_string()
    }
}

/// What a manifest is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Lines by pip.
    Requirements,
    /// TOML with `[[package]]`.
    Lock(locks::Format),
    /// JSON by pipenv.
    Pipfile,
    /// `pyproject.toml`.
    Project,
}

impl Shape {
    /// By the file's name.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        match name.as_str() {
            "pipfile.lock" => Self::Pipfile,
            "poetry.lock" => Self::Lock(locks::Format::Poetry),
            "uv.lock" => Self::Lock(locks::Format::Uv),
            "pdm.lock" => Self::Lock(locks::Format::Pdm),
            "pyproject.toml" => Self::Project,
            name if name.starts_with("pylock.") && Path::new(name).extension().is_some_and(|e| e == "toml") => Self::Lock(locks::Format::Pylock),
            _ => Self::Requirements,
        }
    }
}

/// Reads these manifests and joins them. Blocks.
#[must_use]
pub fn read(paths: &[PathBuf], scope: Scope<'_>) -> Manifest {
    let mut all = Manifest::default();
    for path in paths {
        let shape = Shape::of(path);
        let one = if shape == Shape::Requirements {
            requirements::read(path, scope)
        } else {
            match text(path) {
                Err(why) => failed(&scope.shown(path), why),
                Ok(text) => {
                    let project = path.parent().and_then(|dir| project::beside(dir, scope));
                    match shape {
                        Shape::Lock(format) => locks::toml(&text, format, &scope.shown(path), project.as_ref(), scope.interpreter),
                        Shape::Pipfile => locks::pipfile(&text, &scope.shown(path), scope.interpreter),
                        Shape::Project | Shape::Requirements => project::manifest(&text, &scope.shown(path), scope.interpreter),
                    }
                }
            }
        };
        all.entries.extend(one.entries);
        all.problems.extend(one.problems);
        all.options.extend(one.options);
    }
    join(&mut all);
    all
}

fn failed(subject: &str, message: String) -> Manifest {
    Manifest { problems: vec![Problem { subject: subject.to_owned(), message }], ..Manifest::default() }
}

/// Each name once; two lines for one name are joined, and told when they contradict.
fn join(all: &mut Manifest) {
    if all.entries.len() > ENTRIES {
        all.problems
            .push(Problem { subject: "manifest".to_owned(), message: format!("{} packages are listed; the first {ENTRIES} are looked at", all.entries.len()) });
        all.entries.truncate(ENTRIES);
    }
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut entries: Vec<Entry> = Vec::with_capacity(all.entries.len());
    for entry in all.entries.drain(..) {
        let Some(at) = known.get(&entry.name) else {
            known.insert(entry.name.clone(), entries.len());
            entries.push(entry);
            continue;
        };
        let first = &mut entries[*at];
        if let (Some(a), Some(b)) = (&first.locked, &entry.locked)
            && a != b
        {
            all.problems.push(Problem { subject: entry.place.clone(), message: format!("{} is {b} here and {a} at {}", entry.name, first.place) });
        } else {
            first.constraint = first.constraint.and(&entry.constraint);
        }
        first.locked = first.locked.take().or(entry.locked);
        first.take_asks(entry.asks);
        first.direct = match (first.direct, entry.direct) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (one, other) => one.or(other),
        };
    }
    all.entries = entries;
    bound(&mut all.problems);
}

/// Keeps the first problems and counts the rest.
pub fn bound(problems: &mut Vec<Problem>) {
    if problems.len() > PROBLEMS {
        let more = problems.len() - PROBLEMS;
        problems.truncate(PROBLEMS);
        problems.push(Problem { subject: "manifest".to_owned(), message: format!("{more} more problems") });
    }
}

/// Reads a text file as tools write it: UTF-8, or UTF-16 with its mark. What is not text is replaced. Blocks.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn text(path: &Path) -> Result<String, String> {
    let about = path.metadata().map_err(|error| format!("cannot be read: {}", reason(&error)))?;
    if !about.is_file() {
        return Err("is no file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes)).map_err(|error| format!("cannot be read: {}", reason(&error)))?;
    if bytes.len() as u64 > LIMIT {
        return Err(format!("is larger than {} MiB", LIMIT >> 20));
    }
    Ok(decode(&bytes))
}

fn decode(bytes: &[u8]) -> String {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn reason(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there",
        std::io::ErrorKind::PermissionDenied => "this user may not",
        std::io::ErrorKind::IsADirectory => "it is a folder",
        _ => "the system refuses",
    }
}

/// Any bytes are read without a panic, by every reader; for `fuzz/`.
pub fn fuzz(bytes: &[u8]) {
    let text = decode(bytes);
    let interpreter = Interpreter::new("3.12.1");
    let interpreter = interpreter.as_ref();
    let project = project::parse(&text);
    let _ = requirements::lines(&text);
    let _ = requirements::statements(&text, "requirements.txt", interpreter);
    for format in [locks::Format::Poetry, locks::Format::Uv, locks::Format::Pdm, locks::Format::Pylock] {
        let _ = locks::toml(&text, format, "lock", project.as_ref().ok(), interpreter);
    }
    let _ = locks::pipfile(&text, "Pipfile.lock", interpreter);
    let _ = project::manifest(&text, "pyproject.toml", interpreter);
    let _ = installed::metadata(&text);
    let _ = installed::configuration(&text);
    let _ = inspected::read(&text);
}
