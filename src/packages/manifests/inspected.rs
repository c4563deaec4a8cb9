//! An environment as `pip inspect` tells of it: for one on another machine, or in a container, that a command reaches
//! (pip's documentation, "pip inspect JSON report format").
//!
//! What does not belong here: running the command (`sources::python`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::installed::{Distribution, Environment};
use crate::domain::Problem;
use crate::packages::versions::{Interpreter, Requirement, Told, is_name, normalised};

/// More distributions than this are not one environment's.
const DISTRIBUTIONS: usize = 20_000;

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    version: Value,
    installed: Vec<Value>,
    #[serde(default)]
    environment: Option<Told>,
}

#[derive(Deserialize)]
struct Installed {
    metadata: Metadata,
    #[serde(default)]
    requested: Option<bool>,
    #[serde(default)]
    direct_url: Option<Value>,
    #[serde(default)]
    metadata_location: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
    #[serde(default)]
    requires_dist: Vec<String>,
}

/// Reads the report.
///
/// # Errors
/// What is not right about it, in words.
pub fn read(text: &str) -> Result<Environment, String> {
    // What a login shell prints before it is no part of the report.
    let of_line = if text.starts_with('{') { Some(0) } else { text.find("\n{").map(|at| at + 1) };
    let start = of_line.or_else(|| text.find('{')).ok_or("it printed no JSON")?;
    let mut stream = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Report>();
    let report = match stream.next() {
        Some(Ok(report)) => report,
        Some(Err(error)) if error.is_eof() => return Err("what it printed ends too early".to_owned()),
        _ => return Err("what it printed is no report of `pip inspect`".to_owned()),
    };
    let mut found = Environment { interpreter: report.environment.as_ref().and_then(Interpreter::told), ..Environment::default() };
    let version = report.version.as_str().map_or_else(|| report.version.to_string(), str::to_owned);
    if version.split('.').next() != Some("1") {
        let version: String = version.chars().filter(|c| !c.is_control()).take(20).collect();
        found
            .problems
            .push(Problem { subject: "inspect".to_owned(), message: format!("version {version} of the report is not known; it is read as far as it goes") });
    }
    if found.interpreter.is_none() {
        found.problems.push(Problem { subject: "inspect".to_owned(), message: "the report does not tell for which Python it is".to_owned() });
    }
    let mut all: BTreeMap<String, Distribution> = BTreeMap::new();
    for value in report.installed.into_iter().take(DISTRIBUTIONS) {
        let one = match Installed::deserialize(&value) {
            Ok(one) if is_name(&one.metadata.name) => one,
            _ => {
                found.problems.push(Problem { subject: "inspect".to_owned(), message: "a distribution has neither name nor version".to_owned() });
                continue;
            }
        };
        // A leftover of an installation that broke off (`~ip-23.2.dist-info`).
        if one.metadata_location.as_deref().and_then(|place| place.rsplit(['/', '\\']).next()).is_some_and(|name| name.starts_with('~')) {
            found.problems.push(Problem { subject: normalised(&one.metadata.name), message: "is left over from an installation that broke off".to_owned() });
            continue;
        }
        let requires = one.metadata.requires_dist.iter().filter_map(|text| Requirement::parse(text).ok());
        let distribution = Distribution {
            requires: requires.filter(|one| one.marker.holds(found.interpreter.as_ref())).map(|one| (one.name, one.constraint)).collect(),
            name: normalised(&one.metadata.name),
            version: one.metadata.version.chars().filter(|c| !c.is_control()).take(80).collect(),
            requested: one.requested,
            from_index: one.direct_url.is_none_or(|url| url.is_null()),
        };
        // The first on the interpreter's path is the one that is imported.
        all.entry(distribution.name.clone()).or_insert(distribution);
    }
    found.distributions = all;
    found.nobody_asked();
    super::bound(&mut found.problems);
    if found.distributions.is_empty() { Err("nothing is installed there".to_owned()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"version":"1","pip_version":"23.2.1","installed":[
        {"metadata":{"metadata_version":"2.1","name":"Django","version":"4.2.1","requires_dist":["asgiref (<4,>=3.6.0)","tzdata ; sys_platform == \"win32\"","bcrypt ; extra == 'bcrypt'"]},
         "metadata_location":"/srv/venv/lib/python3.9/site-packages/Django-4.2.1.dist-info","installer":"pip","requested":true},
        {"metadata":{"name":"asgiref","version":"3.6.0"},"requested":false},
        {"metadata":{"name":"Own_Thing","version":"0.1+abc"},"requested":true,"direct_url":{"url":"https://git.example/own","vcs_info":{"vcs":"git"}}},
        {"metadata":{"name":"pip","version":"1"},"metadata_location":"/srv/venv/lib/python3.9/site-packages/~ip-1.dist-info"},
        {"metadata":{"version":"1"}}],
        "environment":{"implementation_name":"cpython","implementation_version":"3.9.18","os_name":"posix","platform_machine":"aarch64","platform_release":"6.1",
         "platform_system":"Linux","platform_version":"x","python_full_version":"3.9.18","platform_python_implementation":"CPython","python_version":"3.9","sys_platform":"linux"}}"#;

    #[test]
    fn a_report_tells_what_is_installed_and_for_whom() {
        for text in [REPORT.to_owned(), format!("Welcome to {{web1}}\n{REPORT}\nbye\n")] {
            let read = read(&text).unwrap();
            let told: Vec<_> = read.distributions.values().map(|one| (one.name.as_str(), one.version.as_str(), one.requested, one.from_index)).collect();
            assert_eq!(
                told,
                [("asgiref", "3.6.0", Some(false), true), ("django", "4.2.1", Some(true), true), ("own-thing", "0.1+abc", Some(true), false)],
                "{text}"
            );
            let requires: Vec<&str> = read.distributions["django"].requires.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(requires, ["asgiref"], "neither what is for another system nor what is optional");
            let python = read.interpreter.unwrap();
            assert_eq!((python.text.as_str(), python.takes("cp39-cp39-manylinux2014_aarch64")), ("3.9.18", true));
            assert_eq!(read.problems.len(), 2, "{:?}", read.problems);
        }
    }

    #[test]
    fn what_is_no_report_is_told() {
        for (text, why) in [
            ("", "no JSON"),
            ("bash: pip: command not found", "no JSON"),
            (&REPORT[..400], "ends too early"),
            ("{\"installed\":7}", "no report"),
            ("{\"version\":\"1\",\"installed\":[]}", "nothing is installed"),
        ] {
            assert!(read(text).unwrap_err().contains(why), "{text}");
        }
        let newer = read(&REPORT.replace("\"version\":\"1\",\"pip", "\"version\":\"2\",\"pip")).unwrap();
        assert!(newer.problems[0].message.contains("version 2 of the report is not known") && newer.distributions.len() == 3);
    }
}
