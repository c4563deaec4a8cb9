//! An environment of a hundred real old packages: the table of what is outdated beside `pip list --outdated` and `uv pip list --outdated`,
//! advisories beside `pip-audit`. All of them are given the same answers, by an index and a service of advisories on loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::super::address::Addresses;
use super::super::{BuildContext, Config, SourceConfig};
use super::{python, run, said};
use crate::demo::advisories::{self, Shelf};
use crate::domain::{Data, Package};
use crate::packages::advisories::osv;
use crate::packages::ecosystem::Ecosystem;
use crate::packages::versions::{Version, normalised};

/// Old releases that are wheels and can be installed by Python 3.11 and later.
const OLD: &str = include_str!("old.txt");
/// What is known of their weaknesses: a line for each record of the database that OSV has them from.
const KNOWN: &str = include_str!("advisories.txt");
/// Projects that have only pre-releases: pip and uv leave them out of their lists, though their own upgrade would take the newer one.
const ONLY_PRE_RELEASES: [&str; 2] = ["opentelemetry-instrumentation", "opentelemetry-semantic-conventions"];

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

/// The records of [`KNOWN`] as OSV has them: each flaw that GitHub's database tells of too stands there twice.
fn records() -> Vec<Value> {
    let mut all = Vec::new();
    for line in KNOWN.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap_or_else(|| panic!("{line}"));
        let (id, aliases, withdrawn, name) = (next(), next(), next() == "withdrawn", next());
        let events: Vec<Value> = words
            .map(|event| {
                let kind = match &event[..1] {
                    "+" => "introduced",
                    "-" => "fixed",
                    "=" => "last_affected",
                    _ => panic!("{line}"),
                };
                json!({ kind: event[1..] })
            })
            .collect();
        let aliases: Vec<&str> = aliases.split(',').filter(|alias| *alias != "-").collect();
        let record = |id: &str, aliases: Vec<&str>| {
            let mut record = json!({
                "id": id, "modified": "2024-10-10T00:00:00Z", "aliases": aliases, "schema_version": "1.6.0", "details": "told elsewhere",
                "affected": [{ "package": { "name": name, "ecosystem": "PyPI" }, "ranges": [{ "type": "ECOSYSTEM", "events": events }] }],
            });
            if withdrawn {
                record["withdrawn"] = "2024-10-10T00:00:00Z".into();
            }
            record
        };
        if let Some(twin) = aliases.iter().find(|alias| alias.starts_with("GHSA-")) {
            all.push(record(twin, aliases.iter().copied().filter(|alias| alias.starts_with("CVE-")).collect()));
        }
        all.push(record(id, aliases));
    }
    all
}

/// Which records speak of which version, by the reference implementation of versions.
const ASK: &str = r#"
import json, sys
from packaging.utils import canonicalize_name
from packaging.version import Version
def holds(events, version):
    key = lambda event: (Version("0.dev0") if event[1] == "0" else Version(event[1]), ["introduced", "last_affected", "fixed"].index(event[0]))
    vulnerable = False
    for kind, text in sorted((pair for event in events for pair in event.items()), key=key):
        if kind == "introduced" and (text == "0" or version >= Version(text)): vulnerable = True
        if kind == "fixed" and version >= Version(text): vulnerable = False
        if kind == "last_affected" and version > Version(text): vulnerable = False
    return vulnerable
cases = json.load(open(sys.argv[1]))
found = []
for record in cases["records"]:
    for part in record["affected"]:
        name = canonicalize_name(part["package"]["name"])
        if name in cases["installed"] and holds(part["ranges"][0]["events"], Version(cases["installed"][name])):
            found.append([name, record["id"]])
print(json.dumps(found))
"#;

/// Of each package the flaws that are told of: their names, and the versions after the installed one that cure them.
type Told = BTreeMap<String, BTreeSet<(BTreeSet<String>, Vec<Version>)>>;

/// As `pip-audit` prints them. Cures of older lines, which it lists too, are left out.
fn audited(printed: &str) -> Told {
    let all: Value = serde_json::from_str(printed).unwrap();
    let mut told = Told::new();
    for one in all["dependencies"].as_array().unwrap() {
        let installed = Version::parse(one["version"].as_str().unwrap()).unwrap();
        for flaw in one["vulns"].as_array().unwrap() {
            let names = flaw["aliases"].as_array().unwrap().iter().chain([&flaw["id"]]).map(|name| name.as_str().unwrap().to_owned()).collect();
            let fixes = flaw["fix_versions"].as_array().unwrap().iter().filter_map(|fix| Version::parse(fix.as_str()?));
            told.entry(normalised(one["name"].as_str().unwrap())).or_default().insert((names, fixes.filter(|fix| *fix > installed).collect()));
        }
    }
    told
}

fn ours(packages: &[Package]) -> Told {
    let flaws = |package: &Package| {
        let one = |flaw: &crate::domain::Advisory| {
            let names = flaw.aliases.iter().chain([&flaw.id]).cloned().collect();
            (names, flaw.fixed_in.iter().filter_map(|fix| Version::parse(fix)).collect())
        };
        package.advisories.iter().map(one).collect()
    };
    packages.iter().filter(|package| !package.advisories.is_empty()).map(|package| (package.name.clone(), flaws(package))).collect()
}

#[tokio::test]
async fn a_hundred_old_packages_are_judged_as_pip_uv_and_pip_audit_do() {
    let Some(python) = python() else { return };
    let old: Vec<&str> = OLD.lines().collect();
    assert!(old.len() >= 100);
    let unreachable = |why: &str| {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(), "the old packages cannot be had: {why}");
        eprintln!("skipped: the old packages cannot be had: {why}");
    };
    let dir = tempfile::tempdir().unwrap();
    let venv = dir.path().join("venv");
    let shown = venv.to_string_lossy().into_owned();
    let inner = venv.join("bin/python").to_string_lossy().into_owned();
    run(&[&python, "-m", "venv", "--without-pip", &shown], 120).await.unwrap();
    // The index of this person, as a source would find it.
    let program = Some(PathBuf::from(&python));
    let here = Addresses { index: None, extra: Vec::new(), program, base: dir.path().to_owned(), trusted: true, keyring: "keyring".to_owned() };
    let index = here.find(&[], Path::new("/"), None).await.unwrap().all[0].shown().to_owned();
    let mut install = vec![python.as_str(), "-m", "uv", "pip", "install", "--python", &inner, "--quiet", "--no-deps", "--default-index", &index];
    install.extend(["--only-binary", ":all:"].iter().chain(&old));
    if let Err(why) = run(&install, 300).await {
        return unreachable(&why);
    }
    let names: Vec<String> = old.iter().map(|one| normalised(one.split("==").next().unwrap())).collect();
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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(advisories::serve(listener, Arc::new(Shelf::of(records()))));

    let list = ["--python", &inner, "--disable-pip-version-check", "list", "--outdated", "--format", "json", "--index-url", &index];
    let pip = outdated(&run(&[&[python.as_str(), "-m", "pip"][..], &list].concat(), 120).await.unwrap());
    let list = ["pip", "list", "--python", &inner, "--outdated", "--format", "json", "--default-index", &index, "--no-cache", "--no-config"];
    let uv = outdated(&run(&[&[python.as_str(), "-m", "uv"][..], &list].concat(), 120).await.unwrap());
    let text = format!("venv = \"{shown}\"\nindex = \"{index}\"\nosv = \"{service}\"\neol = false");
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
    assert_eq!((packages.items.len(), problems.len()), (old.len(), 0), "{problems:?}");
    let mut outdated: BTreeMap<String, String> =
        packages.items.iter().filter(|package| package.outdated()).filter_map(|package| Some((package.name.clone(), package.latest.clone()?))).collect();
    assert!(ONLY_PRE_RELEASES.iter().all(|name| outdated.remove(*name).is_some()), "{outdated:?}");
    assert!(outdated.len() > old.len() / 2, "{outdated:?}");
    assert_eq!(outdated, pip, "pip list --outdated");
    assert_eq!(outdated, uv, "uv pip list --outdated");

    let installed: BTreeMap<&str, &str> = packages.items.iter().filter_map(|package| Some((package.name.as_str(), package.installed.as_deref()?))).collect();
    let file = dir.path().join("cases.json");
    std::fs::write(&file, json!({ "records": records(), "installed": installed }).to_string()).unwrap();
    let reference: BTreeSet<(String, String)> = serde_json::from_str(&run(&[&python, "-c", ASK, &file.to_string_lossy()], 120).await.unwrap()).unwrap();
    let mut judged = BTreeSet::new();
    for record in records() {
        let record = osv::record(record.to_string().as_bytes(), Ecosystem::PyPi).unwrap();
        let speaks = |(name, version): &(&&str, &&str)| record.about(name).holds(Ecosystem::PyPi, version) == Some(true);
        judged.extend(installed.iter().filter(speaks).map(|(name, _)| ((*name).to_owned(), record.id.clone())));
    }
    assert_eq!(judged, reference, "which records speak of which version");

    let site = std::fs::read_dir(venv.join("lib")).unwrap().flatten().next().unwrap().path().join("site-packages").to_string_lossy().into_owned();
    let cache = dir.path().join("cache").to_string_lossy().into_owned();
    let query = format!("{service}/v1/query");
    let audit =
        [&python, "-m", "pip_audit", "--path", &site, "-s", "osv", "--osv-url", &query, "--cache-dir", &cache, "-f", "json", "--progress-spinner", "off"];
    // 1 stands for "there are weaknesses".
    let printed = said(&audit, 180, &[1]).await.unwrap();
    serving.abort();
    let (theirs, ours) = (audited(&printed), ours(&packages.items));
    assert!(ours.values().map(BTreeSet::len).sum::<usize>() > 60, "{ours:?}");
    for name in theirs.keys().chain(ours.keys()) {
        assert_eq!(ours.get(name), theirs.get(name), "pip-audit on {name}");
    }
}
