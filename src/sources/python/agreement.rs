//! Agreement with the tools that people use: versions, specifiers and markers with `packaging`, the table of outdated packages with
//! `pip list --outdated` and `uv pip list --outdated`, package by package, on real old packages and one and the same index.
//! What differs on purpose is named in docs/python.md.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::address::Addresses;
use super::*;
use crate::domain::Data;
use crate::io::exec::{self, Limits, Program};
use crate::packages::versions::{Constraint, Marker, Version};

/// The Python that tests may use; `None` where a test is skipped, with the reason printed.
fn python() -> Option<String> {
    let python = std::env::var("ROUNDS_TEST_PYTHON").ok();
    if python.is_none() {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(), "name a Python with packaging, pip and uv in ROUNDS_TEST_PYTHON");
        eprintln!("skipped: ROUNDS_TEST_PYTHON names no Python");
    }
    python
}

async fn run(argv: &[&str], limit_s: u64) -> Result<String, String> {
    // What this machine is told of other places must not come between.
    let names = ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_FIND_LINKS"];
    let bare = |program: Program, name| if argv.contains(&"install") { program } else { Program::without(program, name) };
    let program = names.into_iter().fold(Program::new(argv.iter().map(|&word| word.to_owned()).collect()), bare);
    let limits = Limits { timeout: Duration::from_secs(limit_s), stdout_bytes: 16 << 20, stderr_bytes: 1 << 20 };
    let output = exec::run(&program, limits).await.map_err(|error| error.to_string())?;
    if output.ending.success() { Ok(output.stdout_text()) } else { Err(format!("{argv:?}: {} {}", output.ending, String::from_utf8_lossy(&output.stderr))) }
}

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

/// Old releases that are wheels and nothing else is needed for.
const OLD: [&str; 32] = [
    "six==1.10.0",
    "requests==2.19.0",
    "urllib3==1.23",
    "idna==2.7",
    "certifi==2018.8.24",
    "chardet==3.0.4",
    "Jinja2==2.10",
    "click==6.7",
    "itsdangerous==1.1.0",
    "Werkzeug==0.14.1",
    "Flask==1.0.2",
    "pytz==2018.5",
    "python-dateutil==2.7.3",
    "attrs==18.1.0",
    "packaging==17.1",
    "pyparsing==2.2.0",
    "pluggy==0.7.1",
    "Django==2.1",
    "djangorestframework==3.8.2",
    "sqlparse==0.2.4",
    "tqdm==4.25.0",
    "decorator==4.3.0",
    "Pygments==2.2.0",
    "redis==2.10.6",
    "celery==4.2.1",
    "kombu==4.2.1",
    "amqp==2.3.2",
    "gunicorn==19.9.0",
    "sentry-sdk==0.3.0",
    "oauthlib==2.1.0",
    "PyJWT==1.6.4",
    "beautifulsoup4==4.6.3",
];

/// A page of an index: its media type, and it.
type Fetched = (String, Vec<u8>);

/// Serves what was fetched, to all alike.
fn serve(pages: BTreeMap<String, Fetched>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let pages = Arc::new(pages);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let pages = Arc::clone(&pages);
            std::thread::spawn(move || answer(stream, &pages));
        }
    });
    format!("http://{address}/simple/")
}

fn answer(mut stream: TcpStream, pages: &BTreeMap<String, Fetched>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?.take(64 << 10)).lines();
    let first = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    let name = first.split(' ').nth(1)?.strip_prefix("/simple/").map(|name| name.trim_end_matches('/').to_owned()).unwrap_or_default();
    let (status, kind, body) = pages.get(&name).map_or(("404 Not Found", "text/plain", &b""[..]), |(kind, body)| ("200 OK", kind.as_str(), body.as_slice()));
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()
}

async fn fetched(index: &str, name: &str) -> Result<Fetched, String> {
    let url = url::Url::parse(&format!("{index}{name}/")).map_err(|error| error.to_string())?;
    let client = crate::io::api::client(&url).map_err(|error| error.message)?;
    let request = client.get(url).header("Accept", "application/vnd.pypi.simple.v1+json, text/html;q=0.1").timeout(Duration::from_secs(60));
    let response = request.send().await.and_then(reqwest::Response::error_for_status).map_err(|error| error.without_url().to_string())?;
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("text/html").to_owned();
    response.bytes().await.map(|bytes| (kind, bytes.to_vec())).map_err(|error| error.without_url().to_string())
}

/// Name and latest version of what is outdated, as pip and uv print it.
fn outdated(printed: &str) -> BTreeMap<String, String> {
    let all: Vec<Value> = serde_json::from_str(printed).unwrap();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    all.iter().map(|one| (crate::packages::versions::normalised(&text(one, "name")), text(one, "latest_version"))).collect()
}

#[tokio::test]
async fn the_table_of_outdated_packages_is_that_of_pip_and_uv() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let venv = dir.path().join("venv");
    let shown = venv.to_string_lossy().into_owned();
    let inner = venv.join("bin/python").to_string_lossy().into_owned();
    run(&[&python, "-m", "venv", "--without-pip", &shown], 120).await.unwrap();
    let mut install = vec![python.as_str(), "-m", "pip", "--python", &inner, "--disable-pip-version-check", "install", "--quiet", "--no-deps"];
    install.extend(["--only-binary", ":all:"].iter().chain(&OLD));
    let unreachable = |why: &str| {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(), "the old packages cannot be had: {why}");
        eprintln!("skipped: the old packages cannot be had: {why}");
    };
    if let Err(why) = run(&install, 300).await {
        return unreachable(&why);
    }
    // The index of this person, as a source would find it.
    let here = Addresses { index: None, extra: Vec::new(), program: Some(PathBuf::from(&python)), base: dir.path().to_owned(), trusted: true };
    let index = here.find(&[], Path::new("/"), None).await.unwrap().all[0].shown().to_owned();
    let names: Vec<String> = OLD.iter().map(|one| crate::packages::versions::normalised(one.split("==").next().unwrap())).collect();
    let fetch = |name: String| {
        let index = index.clone();
        async move {
            let page = fetched(&index, &name).await;
            (name, page)
        }
    };
    let pages: Vec<(String, Result<Fetched, String>)> = stream::iter(names).map(fetch).buffer_unordered(8).collect().await;
    if let Some((name, Err(why))) = pages.iter().find(|(_, page)| page.is_err()) {
        return unreachable(&format!("{name}: {why}"));
    }
    let index = serve(pages.into_iter().filter_map(|(name, page)| Some((name, page.ok()?))).collect());

    let list = ["--python", &inner, "--disable-pip-version-check", "list", "--outdated", "--format", "json", "--index-url", &index];
    let pip = outdated(&run(&[&[python.as_str(), "-m", "pip"][..], &list].concat(), 120).await.unwrap());
    let list = ["pip", "list", "--python", &inner, "--outdated", "--format", "json", "--default-index", &index, "--no-cache", "--no-config"];
    let uv = outdated(&run(&[&[python.as_str(), "-m", "uv"][..], &list].concat(), 120).await.unwrap());
    let text = format!("venv = \"{shown}\"\nindex = \"{index}\"\nosv = false\neol = false");
    let context = BuildContext {
        id: crate::domain::SourceId::parse("shop/python/app").unwrap(),
        common: crate::sources::Common::default(),
        base: dir.path().to_owned(),
        trusted: false,
        zone: None,
        cache: None,
        state: None,
    };
    let collected = toml::from_str::<Config>(&text).unwrap().build(&context).unwrap().source.collect().await.unwrap();
    let Data::Packages(packages) = &collected.observations[0].data else { panic!("{collected:?}") };
    // How long Django 2.1 was supported is another question.
    let problems: Vec<_> = collected.problems.iter().filter(|problem| !problem.message.starts_with("no dates are known")).collect();
    assert_eq!((packages.items.len(), problems.len()), (OLD.len(), 0), "{problems:?}");
    let ours: BTreeMap<String, String> =
        packages.items.iter().filter(|package| package.outdated()).filter_map(|package| Some((package.name.clone(), package.latest.clone()?))).collect();
    assert!(ours.len() > OLD.len() / 2, "{ours:?}");
    assert_eq!(ours, pip, "pip list --outdated");
    assert_eq!(ours, uv, "uv pip list --outdated");
}
