//! Versions, specifiers and markers, thousands of them, beside the reference implementation.

use serde_json::{Value, json};

use super::{python, run};
use crate::packages::versions::{Constraint, Interpreter, Marker, Version};

/// Numbers that look like chance and are always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn version(&mut self) -> String {
        let mut text = self.one(&["", "", "", "", "v", "1!", "0!"]).to_owned();
        for at in 0..=self.below(4) {
            text.push_str(if at > 0 { "." } else { "" });
            text.push_str(self.one(&["0", "1", "2", "9", "10", "2024", "00", "07"]));
        }
        text.push_str(self.one(&["", "", "", "a1", "b2", "rc1", ".beta-3", "-alpha", "c4", "_pre2"]));
        text.push_str(self.one(&["", "", "", "", ".post1", "-1", "post", ".rev2", "-r3"]));
        text.push_str(self.one(&["", "", "", "", ".dev0", ".dev3", "dev", "-dev"]));
        text.push_str(self.one(&["", "", "", "", "", "+abc.1", "+1", "+ubuntu-1", "+a_b", "x", " "]));
        text
    }

    fn specifier(&mut self) -> String {
        let one = |dice: &mut Self| {
            let operator = dice.one(&["==", "!=", "<", "<=", ">", ">=", "~="]);
            let version = dice.version();
            let star = if matches!(operator, "==" | "!=") && dice.below(3) == 0 { ".*" } else { "" };
            format!("{operator}{}{version}{star}", dice.one(&["", " "]))
        };
        let mut text = one(self);
        for _ in 0..self.below(3) {
            text = format!("{text},{}", one(self));
        }
        text
    }

    fn marker(&mut self, depth: usize) -> String {
        if depth > 0 && self.below(2) == 0 {
            let (a, b) = (self.marker(depth - 1), self.marker(depth - 1));
            return format!("({a}) {} ({b})", self.one(&["and", "or"]));
        }
        let (name, values) = [
            ("python_version", &["2.7", "3.8", "3.11", "3.12", "4"][..]),
            ("python_full_version", &["3.11.4", "3.11", "3.12.0"]),
            ("sys_platform", &["linux", "win32", "darwin"]),
            ("os_name", &["posix", "nt"]),
            ("platform_system", &["Linux", "Windows"]),
            ("implementation_name", &["cpython", "pypy"]),
            ("platform_python_implementation", &["CPython", "PyPy"]),
        ][self.below(7)];
        let value = self.one(values);
        let operator = if name.contains("version") { self.one(&["<", "<=", ">", ">=", "==", "!="]) } else { self.one(&["==", "!="]) };
        if self.below(4) == 0 && matches!(operator, "==" | "!=") { format!("'{value}' {operator} {name}") } else { format!("{name} {operator} \"{value}\"") }
    }
}

const ASK: &str = r#"
import json, sys
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.version import Version
def version(text):
    try: return Version(text)
    except Exception: return None
def order(a, b):
    a, b = version(a), version(b)
    return None if a is None or b is None else (a > b) - (a < b)
def allows(spec, text):
    try: spec = SpecifierSet(spec)
    except Exception: return None
    text = version(text)
    if text is None: return None
    said = spec.contains(text, prereleases=True)
    # Where the crate is stricter; docs/python.md names it.
    base = lambda v: Version(v.base_version)
    strict = any(one.operator in ("<", ">") and Version(one.version).is_prerelease and base(Version(one.version)) == base(text) for one in spec)
    return [said] if strict else said
def holds(text, environment):
    try: return Marker(text).evaluate(environment)
    except Exception: return None
cases = json.load(open(sys.argv[1]))
print(json.dumps({"order": [order(*pair) for pair in cases["order"]], "allows": [allows(*pair) for pair in cases["allows"]],
                  "holds": [holds(text, cases["environment"]) for text in cases["holds"]]}))
"#;

#[tokio::test]
async fn versions_specifiers_and_markers_are_those_of_packaging() {
    let Some(python) = python() else { return };
    let mut dice = Dice(7);
    let pairs: Vec<(String, String)> = (0..3_000).map(|_| (dice.version(), dice.version())).collect();
    let specifiers: Vec<(String, String)> = (0..3_000).map(|_| (dice.specifier(), dice.version())).collect();
    let markers: Vec<String> = (0..1_000).map(|_| dice.marker(2)).collect();
    let environment = json!({
        "implementation_name": "cpython", "implementation_version": "3.11.4", "os_name": "posix", "platform_machine": "x86_64", "platform_release": "",
        "platform_python_implementation": "CPython", "platform_system": "Linux", "platform_version": "", "python_full_version": "3.11.4",
        "python_version": "3.11", "sys_platform": "linux", "extra": "",
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cases.json");
    std::fs::write(&file, json!({ "order": pairs, "allows": specifiers, "holds": markers, "environment": environment }).to_string()).unwrap();
    let said: Value = serde_json::from_str(&run(&[&python, "-c", ASK, &file.to_string_lossy()], 120).await.unwrap()).unwrap();
    let mut wrong = Vec::new();
    for ((a, b), theirs) in pairs.iter().zip(said["order"].as_array().unwrap()) {
        let ours = Version::parse(a).zip(Version::parse(b)).map(|(a, b)| a.cmp(&b) as i64);
        if ours != theirs.as_i64() {
            wrong.push(format!("{a:?} {b:?}: {ours:?}, packaging {theirs}"));
        }
    }
    for ((specifier, version), theirs) in specifiers.iter().zip(said["allows"].as_array().unwrap()) {
        let ours = Constraint::parse(specifier).zip(Version::parse(version)).map(|(constraint, version)| constraint.allows(&version));
        let agrees = match theirs {
            // Never laxer.
            Value::Array(said) => ours.is_some_and(|ours| !ours || said[0] == json!(true)),
            said => ours == said.as_bool(),
        };
        if !agrees {
            wrong.push(format!("{specifier:?} {version:?}: {ours:?}, packaging {theirs}"));
        }
    }
    if cfg!(target_os = "linux") {
        let here = Interpreter::new("3.11.4");
        for (marker, theirs) in markers.iter().zip(said["holds"].as_array().unwrap()) {
            let ours = Marker::parse(marker).map(|marker| marker.holds(here.as_ref()));
            if ours != theirs.as_bool() {
                wrong.push(format!("{marker:?}: {ours:?}, packaging {theirs}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n"));
}
