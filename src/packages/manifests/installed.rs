//! The distributions of an environment, read from `site-packages` without running its interpreter
//! (packaging.python.org, "recording installed projects" and "core metadata").
//!
//! What does not belong here: lock files (`locks`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::domain::{Problem, SourceError};
use crate::packages::versions::{Constraint, Interpreter, Requirement, Version, is_name, normalised};

/// As much of a metadata file as holds its headers, in bytes.
const HEAD: u64 = 256 << 10;
/// More distributions than this are not one environment's.
const DISTRIBUTIONS: usize = 20_000;

/// One installed distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Normalised.
    pub name: String,
    /// As its metadata has it.
    pub version: String,
    /// Whether a person asked for it; `None` when the tool that installed it records nothing.
    pub requested: Option<bool>,
    /// `false`: from an address, a repository or a folder.
    pub from_index: bool,
    /// What it asks of others.
    pub requires: Vec<(String, Constraint)>,
}

/// What is installed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Environment {
    /// By name, each once.
    pub distributions: BTreeMap<String, Distribution>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// The interpreter, where `pyvenv.cfg` tells.
    pub interpreter: Option<Interpreter>,
}

impl Environment {
    /// Where nothing was ever recorded as asked for, the tool records nothing.
    pub(super) fn nobody_asked(&mut self) {
        if !self.distributions.values().any(|one| one.requested == Some(true)) {
            self.distributions.values_mut().for_each(|one| one.requested = None);
        }
    }
}

/// What the headers of a metadata file say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// As written.
    pub name: Option<String>,
    /// As written.
    pub version: Option<String>,
    /// `Requires-Dist`, one for each.
    pub requires: Vec<String>,
}

/// Reads the headers: up to the first empty line, a line that begins with a blank going on with the one before it.
#[must_use]
pub fn metadata(text: &str) -> Metadata {
    let mut found = Metadata::default();
    let mut header = String::new();
    let mut take = |header: &str| {
        let Some((key, value)) = header.split_once(':') else { return };
        let value = value.trim().to_owned();
        match key.trim().to_ascii_lowercase().as_str() {
            "name" if found.name.is_none() => found.name = Some(value),
            "version" if found.version.is_none() => found.version = Some(value),
            "requires-dist" => found.requires.push(value),
            _ => {}
        }
    };
    for line in text.lines() {
        // A line of blanks goes on with the one before it: licences are written out in headers, paragraphs and all.
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            header.push(' ');
            header.push_str(line.trim());
        } else {
            take(&header);
            line.clone_into(&mut header);
        }
    }
    take(&header);
    found
}

/// The version of the interpreter by `pyvenv.cfg`: `version` of venv, `version_info` of virtualenv and uv.
#[must_use]
pub fn configuration(text: &str) -> Option<Interpreter> {
    let value = |wanted: &str| {
        text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim().to_owned())
    };
    [value("version_info"), value("version")].into_iter().flatten().find_map(|text| {
        // virtualenv writes `3.12.4.final.0`.
        let numbers: Vec<&str> = text.split('.').take_while(|part| part.starts_with(|c: char| c.is_ascii_digit())).take(3).collect();
        Interpreter::new(&numbers.join("."))
    })
}

/// The interpreter of an environment, where `pyvenv.cfg` tells. Blocks.
#[must_use]
pub fn interpreter(venv: &Path) -> Option<Interpreter> {
    configuration(&head(&venv.join("pyvenv.cfg")).ok()?)
}

fn head(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The folder of the distributions: `lib/python3.X/site-packages` of an environment, or that folder itself.
fn site(venv: &Path, interpreter: Option<&Interpreter>) -> Option<PathBuf> {
    let mut candidates = vec![venv.join("Lib/site-packages")];
    let mut libs: Vec<PathBuf> = glob::glob(&format!("{}/lib/py*/site-packages", glob::Pattern::escape(&venv.to_string_lossy())))
        .map(|paths| paths.filter_map(Result::ok).take(20).collect())
        .unwrap_or_default();
    libs.sort();
    if let Some(interpreter) = interpreter {
        let (major, minor) = interpreter.version.series();
        candidates.push(venv.join(format!("lib/python{major}.{minor}/site-packages")));
    }
    candidates.extend(libs.into_iter().rev());
    candidates.into_iter().find(|path| path.is_dir()).or_else(|| {
        let itself = venv.is_dir() && !venv.join("pyvenv.cfg").exists() && (venv.ends_with("site-packages") || venv.ends_with("dist-packages"));
        itself.then(|| venv.to_owned())
    })
}

/// Reads an environment. Blocks.
///
/// # Errors
/// When there is none, or no distribution in it.
pub fn read(venv: &Path) -> Result<Environment, SourceError> {
    let shown = venv.display();
    if !venv.is_dir() {
        return Err(SourceError::missing(format!("there is no environment at {shown}"), "make it, or let `venv` name the folder that holds pyvenv.cfg"));
    }
    let interpreter = interpreter(venv);
    let Some(site) = site(venv, interpreter.as_ref()) else {
        return Err(SourceError::missing(format!("{shown} has no site-packages"), "let `venv` name the folder that holds pyvenv.cfg"));
    };
    let listing = std::fs::read_dir(&site)
        .map_err(|error| SourceError::missing(format!("{} cannot be read: {}", site.display(), super::reason(&error)), "let this user read it"))?;
    let mut names: Vec<PathBuf> = listing.filter_map(Result::ok).map(|one| one.path()).collect();
    names.sort();
    let mut found = Environment { interpreter, ..Environment::default() };
    for path in names {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let lower = name.to_lowercase();
        let kind = Path::new(&lower).extension().and_then(|e| e.to_str()).unwrap_or_default();
        if !matches!(kind, "dist-info" | "egg-info") {
            continue;
        }
        let mut say = |message: String| found.problems.push(Problem { subject: name.clone(), message });
        if name.starts_with('~') {
            say("is left over from an installation that broke off".to_owned());
            continue;
        }
        match distribution(&path, &name, found.interpreter.as_ref()) {
            Err(message) => say(message),
            Ok((one, problem)) => {
                if let Some(problem) = problem {
                    say(problem);
                }
                if found.distributions.len() >= DISTRIBUTIONS {
                    say(format!("is not looked at: there are more than {DISTRIBUTIONS}"));
                    break;
                }
                match found.distributions.get_mut(&one.name) {
                    Some(first) if first.version == one.version => {}
                    Some(first) => {
                        found
                            .problems
                            .push(Problem { subject: one.name.clone(), message: format!("is installed twice: {} and {}", first.version, one.version) });
                        if Version::parse(&one.version) > Version::parse(&first.version) {
                            *first = one;
                        }
                    }
                    None => drop(found.distributions.insert(one.name.clone(), one)),
                }
            }
        }
    }
    found.nobody_asked();
    super::bound(&mut found.problems);
    if found.distributions.is_empty() {
        let reason = format!("nothing is installed in {}", site.display());
        return Err(SourceError::nothing(reason, "install the project's packages there, or let `venv` name another environment"));
    }
    Ok(found)
}

fn distribution(path: &Path, file_name: &str, interpreter: Option<&Interpreter>) -> Result<(Distribution, Option<String>), String> {
    let folder = path.is_dir();
    let text = if folder { head(&path.join("METADATA")).or_else(|_| head(&path.join("PKG-INFO"))) } else { head(path) };
    let read = text.as_deref().map(metadata).unwrap_or_default();
    // The folder's name has both as well: `zope_interface-6.1.dist-info`, `Old-1.0-py3.11.egg-info`.
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
    let (stem_name, stem_version) = stem.split_once('-').map_or((stem, None), |(name, rest)| (name, rest.split('-').next()));
    let name = read.name.as_deref().filter(|name| is_name(name)).unwrap_or(stem_name);
    let version = read.version.clone().filter(|version| !version.is_empty()).or_else(|| stem_version.map(str::to_owned));
    let (true, Some(version)) = (is_name(name), version) else { return Err("has neither name nor version".to_owned()) };
    let problem = match &text {
        Err(_) => Some("has no METADATA that can be read; its folder's name is believed".to_owned()),
        Ok(_) if read.name.is_none() || read.version.is_none() => Some("its METADATA is not whole; its folder's name is believed".to_owned()),
        Ok(_) => None,
    };
    // Bounds of optional extras do not apply, and neither does what asks for any version.
    let requires = read.requires.iter().filter_map(|text| Requirement::parse(text).ok()).filter(|one| one.marker.holds(interpreter));
    let one = Distribution {
        requires: requires.map(|one| (one.name, one.constraint)).collect(),
        name: normalised(name),
        version: version.chars().filter(|c| !c.is_control()).take(80).collect(),
        requested: folder.then(|| path.join("REQUESTED").exists()),
        from_index: !folder || !path.join("direct_url.json").exists(),
    };
    Ok((one, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_at_the_first_empty_line_and_not_at_one_of_blanks() {
        let text = "Name: till\nLicense: Apache\n   Version 2.0\n        \n        1. Definitions.\n\t\nVersion: 1.0\nRequires-Dist: lamp\n\nRequires-Dist: not-this\n";
        let read = metadata(text);
        assert_eq!((read.name.as_deref(), read.version.as_deref(), read.requires), (Some("till"), Some("1.0"), vec!["lamp".to_owned()]));
        assert_eq!(metadata("Name: till\r\nVersion: 1.0\r\n\r\nVersion: 2\r\n").version.as_deref(), Some("1.0"));
    }
}
