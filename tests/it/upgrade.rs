//! The guarded upgrade with real tools: git, pip, pip-tools, uv, poetry (1 and 2), pipenv and pdm against an index on loopback with small wheels made here.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use rounds::domain::TransitionKind;
use rounds::journal::read_snapshot;

use crate::cli::{Place, code, stderr, stdout};

/// Making environments takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Name, version, what the module says.
const WHEELS: &[(&str, &str, &str)] = &[
    ("basket", "1.0", "def size(): return 1"),
    ("basket", "1.1", "def size(): return 1"),
    ("till", "1.0.0", "def count(): return 1"),
    ("till", "1.0.1", "def count(): return 1"),
    ("lamp", "1.0.0", "def light(): return True"),
    ("lamp", "1.0.1", "def light(): return False"),
    ("shelf", "1.0", "def colour(): return 'red'"),
    ("shelf", "1.2", "def colour(): return 'red'"),
    ("shelf", "2.0", "def color(): return 'red'"),
    ("rack", "1.0", "needs = 'peg'"),
    ("peg", "1.0", ""),
    ("peg", "1.1", ""),
];

const WRITE_WHEELS: &str = r#"
import json, sys, zipfile
for name, version, body in json.loads(sys.argv[2]):
    needs = f"Requires-Dist: {eval(body[8:])}\n" if body.startswith("needs = ") else ""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(f"{sys.argv[1]}/{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", body + "\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: gift\n{needs}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
"#;

pub const CHECK: &str = "import basket, lamp, shelf, till\nassert basket.size() == till.count()\nassert lamp.light(), 'it is dark'\nassert shelf.colour() == 'red'\nopen('written-by-the-test', 'w').write('x')\n";

/// Stands for Django's.
const MANAGE: &str = "import sys\nassert sys.argv[1:] == ['check', '--deploy'], 'the database is not there'\n";

/// The program, or `None` where a test is skipped, with the reason printed.
pub fn tool(name: &str, path: &str) -> bool {
    let found = std::env::split_paths(path).any(|dir| dir.join(name).is_file());
    if !found {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none_or(|value| value != "1"), "{name} is not installed, and no test may be skipped");
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// `PATH`, with the tools of the Python that tests may use behind it.
pub fn path() -> String {
    let mut path = std::env::var("PATH").unwrap_or_default();
    if let Some(bin) = std::env::var_os("ROUNDS_TEST_PYTHON").map(PathBuf::from).and_then(|python| Some(python.parent()?.to_owned())) {
        path = format!("{path}:{}", bin.display());
    }
    path
}

#[expect(clippy::disallowed_methods, reason = "a test starts tools itself")]
pub fn command(program: &str) -> Command {
    Command::new(program)
}

/// Serves `/simple/NAME/` and the files, for as long as the test runs.
fn index(files: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let files = files.clone();
            std::thread::spawn(move || serve(stream, &files));
        }
    });
    format!("http://{address}/simple/")
}

fn serve(mut stream: std::net::TcpStream, files: &Path) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? <= 2 {
            break;
        }
    }
    let wanted = first.split_whitespace().nth(1)?.split(['?', '#']).next()?.to_owned();
    let (status, kind, body) = if let Some(name) = wanted.strip_prefix("/simple/").map(|name| name.trim_end_matches('/')) {
        let mut links = String::new();
        for file in fs::read_dir(files).ok()?.flatten() {
            let file = file.file_name().to_string_lossy().into_owned();
            if file.starts_with(&format!("{name}-")) {
                links.push_str(&format!("<a href=\"/files/{file}\">{file}</a>\n"));
            }
        }
        let status = if links.is_empty() { "404 Not Found" } else { "200 OK" };
        (status, "text/html", format!("<!DOCTYPE html><html><body>\n{links}</body></html>").into_bytes())
    } else {
        match fs::read(files.join(wanted.rsplit('/').next()?)) {
            Ok(bytes) => ("200 OK", "application/octet-stream", bytes),
            Err(_) => ("404 Not Found", "text/plain", Vec::new()),
        }
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    if !first.starts_with("HEAD") {
        stream.write_all(&body).ok()?;
    }
    stream.flush().ok()
}

/// A project in a git repository, its index, and a configuration beside it.
pub struct Shop {
    pub place: Place,
    index: String,
}

impl Shop {
    /// `None`: a tool is missing, and the test is skipped.
    pub fn new(files: &[(&str, &str)], keys: &str) -> Option<Self> {
        if !tool("git", &path()) || !tool("python3", &path()) {
            return None;
        }
        let place = Place::new();
        let wheels = place.path().join("wheels");
        fs::create_dir(&wheels).unwrap();
        let made = command("python3").args(["-c", WRITE_WHEELS]).arg(&wheels).arg(serde_json::to_string(WHEELS).unwrap()).status().unwrap();
        assert!(made.success());
        let index = index(wheels);
        let shop = Self { place, index };
        fs::create_dir(shop.dir()).unwrap();
        for (name, text) in files {
            fs::write(shop.dir().join(name), text.replace("INDEX", &shop.index)).unwrap();
        }
        let config = format!(
            "[site.shop]\ndirectory = \"shop\"\n[site.shop.python.app]\nindex = \"{}\"\nosv = false\neol = false\ntest = [\"python\", \"check.py\"]\n{keys}\n",
            shop.index
        );
        fs::write(shop.place.path().join("work/r.toml"), config).unwrap();
        shop.git(&["init", "--quiet", "--initial-branch=main"]);
        shop.git(&["config", "user.name", "Ana"]);
        shop.git(&["config", "user.email", "ana@shop.example"]);
        shop.git(&["add", "."]);
        shop.git(&["commit", "--quiet", "-m", "Begin"]);
        Some(shop)
    }

    pub fn dir(&self) -> PathBuf {
        self.place.path().join("work/shop")
    }

    pub fn runs(&self) -> PathBuf {
        let upgrade = self.place.path().join("state/cache/upgrade");
        fs::read_dir(&upgrade).ok().and_then(|mut all| all.next()?.ok()).map_or(upgrade.join("none"), |entry| entry.path())
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let home = self.place.path().join("home");
        let output = command("git").args(arguments).current_dir(self.dir()).env("HOME", home).env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = self.place.command();
        command.env("PATH", path()).args(["--config", "r.toml", "--state-dir"]).arg(self.place.path().join("state")).arg("upgrade").args(more);
        // These must lead nobody away from the copy.
        command.env("PIP_TARGET", self.place.path().join("elsewhere")).env("GIT_DIR", "/nowhere").env("PYTHONPATH", "/nowhere");
        command
    }

    pub fn run(&self, more: &[&str]) -> Output {
        ends(self.command(more))
    }

    /// With these folders for programs.
    pub fn run_in(&self, path: &str, more: &[&str]) -> Output {
        let mut command = self.command(more);
        command.env("PATH", path);
        ends(command)
    }

    /// Writes `work/py`, an interpreter that stands still where a gate is, as a slow disk would, and leaves its process in `GATE.reached`.
    pub fn stands_still_at(&self, gate: &Path) {
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *'-m venv'*) if [ -e {gate} ]; then echo $$ > {gate}.part; mv {gate}.part {gate}.reached; sleep 600; fi;; esac\nexec python3 \"$@\"\n",
            gate = gate.display()
        );
        let py = self.place.path().join("work/py");
        fs::write(&py, script).unwrap();
        fs::set_permissions(&py, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Nothing of the project is another than before, and nothing of the run is left.
    pub fn is_untouched(&self) {
        assert_eq!(self.git(&["status", "--porcelain"]), "");
        assert_eq!(self.git(&["rev-parse", "--abbrev-ref", "HEAD"]), "main");
        assert_eq!(self.git(&["log", "--format=%s", "main"]), "Begin");
        assert_eq!(self.git(&["stash", "list"]), "");
        assert!(!self.place.path().join("elsewhere").exists());
    }

    pub fn is_clean(&self) {
        self.is_untouched();
        assert_eq!(self.git(&["worktree", "list"]).lines().count(), 1);
        for name in ["copy", "venv", "good", "begun.json"] {
            assert!(!self.runs().join(name).exists(), "{name} is left");
        }
    }
}

fn ends(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |pipe: &mut dyn Read| {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).map(|_| bytes).unwrap_or_default()
    };
    let reading = std::thread::spawn(move || read(&mut err));
    let bytes = std::thread::spawn(move || read(&mut out));
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed() > PATIENCE => {
                child.kill().unwrap();
                panic!("{command:?} did not end");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    Output { status, stdout: bytes.join().unwrap(), stderr: reading.join().unwrap() }
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `name to: status`, in the order of the document.
pub fn fates(document: &Value) -> Vec<String> {
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    document["items"].as_array().unwrap().iter().map(|item| format!("{} {}: {}", text(item, "name"), text(item, "to"), text(item, "status"))).collect()
}

const REQUIREMENTS: &str = "# what the shop needs\nbasket == 1.0  # keep this\ntill==1.0.0 ; python_version > \"3\"\n-r more.txt\n";
const MORE: &str = "lamp==1.0.0\nshelf==1.0\n";

#[test]
fn what_passes_is_kept_and_the_culprits_are_rolled_back() {
    let files = [("requirements.txt", REQUIREMENTS), ("more.txt", MORE), ("check.py", CHECK)];
    let Some(shop) = Shop::new(&files, "manifest = \"requirements.txt\"\npython = \"../py\"") else { return };
    let gate = shop.place.path().join("gate");
    shop.stands_still_at(&gate);
    let reached = gate.with_extension("reached");

    // Looked at, not made.
    let output = shop.run(&["app", "--all", "--dry-run"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let said = stdout(&output);
    assert!(said.contains("patch    lamp 1.0.0 to 1.0.1") && said.contains("major    shelf 1.0 to 2.0"), "{said}");
    assert!(!shop.runs().exists());

    // Stopped by a signal, it cleans up; killed, the next run does.
    fs::write(&gate, "").unwrap();
    let start = || shop.command(&["app", "--all", "--yes"]).spawn().unwrap();
    let pid = |child: &std::process::Child| Pid::from_raw(i32::try_from(child.id()).unwrap());
    let mut child = start();
    until("the environment is never made", || reached.exists());
    let output = shop.run(&["app", "--all", "--yes"]);
    assert!(code(&output) == 64 && stderr(&output).contains("another upgrade of"), "{output:?}");
    kill(pid(&child), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    shop.is_clean();
    fs::remove_file(&reached).unwrap();
    let mut child = start();
    until("the environment is never made", || reached.exists());
    kill(pid(&child), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    shop.is_untouched();
    assert!(shop.runs().join("copy").exists());
    let left: i32 = fs::read_to_string(&reached).unwrap().trim().parse().unwrap();
    fs::remove_file(&gate).unwrap();

    let output = shop.run(&["shop/python/app", "--all", "--yes", "--json"]);
    assert_eq!(code(&output), 1, "{output:?}");
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        fates(&document),
        ["lamp 1.0.1: rolled_back", "till 1.0.1: kept", "basket 1.1: kept", "shelf 1.2: kept", "shelf 2.0: rolled_back"],
        "{document:#}"
    );
    let items = document["items"].as_array().unwrap();
    assert!(items[0]["output"].to_string().contains("it is dark") && items[0]["why"].to_string().contains("python check.py failed: exit 1"), "{document:#}");
    shop.is_clean();
    until("what the killed run left still runs", || kill(Pid::from_raw(left), None).is_err());
    let branch = document["branch"].as_str().unwrap();
    assert!(branch.starts_with("rounds/upgrade-2"));
    let log = shop.git(&["log", "--format=%an %s", &format!("main..{branch}")]);
    assert_eq!(log, "Ana Upgrade shelf from 1.0 to 1.2\nAna Upgrade basket from 1.0 to 1.1\nAna Upgrade till from 1.0.0 to 1.0.1");
    assert_eq!(shop.git(&["show", &format!("{branch}:requirements.txt")]), REQUIREMENTS.replace("1.0  #", "1.1  #").replace("1.0.0 ;", "1.0.1 ;").trim_end());
    assert_eq!(shop.git(&["show", &format!("{branch}:more.txt")]), MORE.replace("shelf==1.0", "shelf==1.2").trim_end());
    assert_eq!(shop.git(&["diff", "--name-only", &format!("main..{branch}")]), "more.txt\nrequirements.txt");
    let log = fs::read_to_string(shop.runs().join("log")).unwrap();
    assert!(log.contains("$ python check.py") && log.contains("it is dark"), "{log}");

    // Recorded before and after; also the one that was killed has an end.
    let known = read_snapshot(&shop.place.path().join("state")).unwrap();
    let told: Vec<&str> =
        known.events.iter().filter(|event| matches!(event.kind, TransitionKind::Action { .. })).map(|event| event.sentence.as_str()).collect();
    assert_eq!(told.len(), 6, "{told:?}");
    assert!(told.iter().any(|words| words.contains("stopped by")) && told.iter().any(|words| words.contains("broken off")), "{told:?}");
    assert!(told.iter().any(|words| words.contains(&format!("3 kept, 2 rolled back on branch {branch}"))), "{told:?}");
}

#[test]
fn what_cannot_be_upgraded_is_refused_before_anything_is_made() {
    let Some(shop) = Shop::new(&[("requirements.txt", "basket==1.0\n")], "manifest = \"requirements.txt\"") else { return };
    let refused = |more: &[&str], said: &str| {
        let output = shop.run(more);
        assert!(code(&output) == 64 && stderr(&output).contains(said), "{more:?}: {output:?}");
        assert!(!shop.runs().exists());
    };
    refused(&["app"], "--all");
    refused(&["app", "basket"], "no terminal");
    refused(&["app", "basket", "--yes", "--read-only"], "read-only");
    refused(&["app", "basket", "--yes=blog"], "is not the site");
    refused(&["blog", "basket", "--yes"], "there is no project");
    refused(&["app", "-r=x"], "unexpected argument");
    // A package that is not there is told, with an exit code of its own.
    let output = shop.run(&["app", "nobody", "--yes", "--json"]);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((code(&output), document["items"][0]["status"].as_str()), (1, Some("left")));

    fs::write(shop.dir().join("requirements.txt"), "basket==1.0\n# changed\n").unwrap();
    refused(&["app", "basket", "--yes"], "requirements.txt differs from the last commit");
    shop.git(&["checkout", "--quiet", "requirements.txt"]);
    let config = shop.place.path().join("work/r.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("test = [\"python\", \"check.py\"]", "")).unwrap();
    refused(&["app", "basket", "--yes"], "--untested");
    // What was found in the working directory runs nothing.
    fs::copy(&config, shop.place.path().join("work/rounds.toml")).unwrap();
    let output = ends({
        let mut command = shop.place.command();
        command.args(["upgrade", "app", "basket", "--yes"]);
        command
    });
    assert!(code(&output) == 64 && stderr(&output).contains("rounds trust"), "{output:?}");
    fs::rename(shop.dir().join(".git"), shop.place.path().join("git")).unwrap();
    refused(&["app", "basket", "--yes"], "not in the working tree of a git repository");
}

#[test]
fn a_baseline_that_fails_stops_it_and_uv_projects_are_upgraded_by_uv() {
    if !tool("uv", &path()) {
        return;
    }
    let project = "[project]\nname = \"shop\"\nversion = \"1\"\nrequires-python = \">=3.9\"\ndependencies = [\"basket==1.0\", \"till\", \"lamp\", \"shelf<2\"]\n[[tool.uv.index]]\nurl = \"INDEX\"\ndefault = true\n";
    let files = [("pyproject.toml", project), ("check.py", CHECK), ("manage.py", MANAGE)];
    let Some(shop) = Shop::new(&files, "manifest = \"uv.lock\"") else { return };
    let mut lock = command("uv");
    lock.args(["lock", "--quiet"]).args(["till", "lamp", "shelf"].iter().flat_map(|name| ["--upgrade-package".to_owned(), format!("{name}<1.0.1")]));
    let locked = lock.current_dir(shop.dir()).env("PATH", path()).env("HOME", shop.place.path().join("home")).output().unwrap();
    assert!(locked.status.success(), "{locked:?}");
    shop.git(&["add", "."]);
    shop.git(&["commit", "--quiet", "--amend", "--no-edit"]);

    let output = shop.run(&["app", "--all", "--yes", "--json"]);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(fates(&document), ["lamp 1.0.1: rolled_back", "till 1.0.1: kept", "basket 1.1: kept", "shelf 1.2: kept"], "{document:#} {}", stderr(&output));
    // A check that fails before anything is changed is left out, and that is told.
    assert!(document["notes"].to_string().contains("makemigrations") && document["checks"].to_string().contains("manage.py check --deploy"), "{document:#}");
    let branch = document["branch"].as_str().unwrap();
    assert_eq!(shop.git(&["diff", "--name-only", &format!("main..{branch}")]), "pyproject.toml\nuv.lock");
    assert_eq!(
        shop.git(&["show", &format!("{branch}:pyproject.toml")]),
        project.replace("basket==1.0", "basket==1.1").replace("INDEX", &shop.index).trim_end()
    );
    assert!(shop.git(&["show", &format!("{branch}:uv.lock")]).contains("name = \"shelf\"\nversion = \"1.2\""));
    shop.is_clean();

    // Its name is taken now, and a test that fails already tells nothing.
    fs::write(shop.dir().join("check.py"), "raise SystemExit('broken before')\n").unwrap();
    shop.git(&["commit", "--quiet", "--amend", "--no-edit", "--all"]);
    let actions = || {
        let known = read_snapshot(&shop.place.path().join("state")).unwrap();
        known.events.iter().filter(|event| matches!(event.kind, TransitionKind::Action { .. })).count()
    };
    let before = actions();
    // Whoever started this keeps the record of it.
    let output = shop.run(&["app", "basket", "--yes=shop", "--recorded", "ana@1#0"]);
    assert_eq!(actions(), before);
    assert!(code(&output) == 1 && stderr(&output).contains("fails before anything is changed") && stderr(&output).contains("broken before"), "{output:?}");
    shop.is_clean();
    assert_eq!(shop.git(&["branch", "--list", "rounds/*"]).lines().count(), 1);
}

#[test]
fn compiled_requirements_are_compiled_again() {
    if !tool("pip-compile", &path()) {
        return;
    }
    let head = "#\n# This file is autogenerated by pip-compile with Python 3\n# by the following command:\n#\n#    pip-compile --generate-hashes --output-file=requirements.txt requirements.in\n#\n";
    let files =
        [("requirements.in", "basket==1.0  # by hand\nshelf<2\nrack\n"), ("requirements.txt", head), ("check.py", "import basket, shelf\nshelf.colour()\n")];
    let Some(shop) = Shop::new(&files, "manifest = \"requirements.txt\"\nvenv = \".venv\"") else { return };
    // An address with a password, and a test that names the live environment, which would tell nothing.
    let config = shop.place.path().join("work/r.toml");
    let text = fs::read_to_string(&config).unwrap().replace(&format!("\"{}\"", shop.index), "{ env = \"SHOP_INDEX\" }");
    fs::write(&config, text.replace("[\"python\",", "[\".venv/bin/python\",")).unwrap();
    let address = shop.index.replace("http://", "http://ana:hush-hush-hush@");
    let compile = |more: &[&str]| {
        let mut compile = command("pip-compile");
        compile.args(["--quiet", "--generate-hashes", "--no-emit-index-url", "--output-file=requirements.txt"]).args(more).arg("requirements.in");
        let output =
            compile.current_dir(shop.dir()).env("PATH", path()).env("HOME", shop.place.path().join("home")).env("PIP_INDEX_URL", &shop.index).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    compile(&["--upgrade-package", "shelf==1.0"]);
    shop.git(&["commit", "--quiet", "--amend", "--no-edit", "--all"]);
    let run = |more: &[&str]| {
        let mut command = shop.command(&["app", "--yes", "--json"]);
        command.args(more).env("SHOP_INDEX", &address);
        let output = ends(command);
        let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
        (output, document)
    };
    let (output, document) = run(&["basket", "shelf"]);
    assert_eq!(fates(&document), ["basket 1.1: kept", "shelf 1.2: kept"], "{document:#} {}", stderr(&output));
    assert_eq!(code(&output), 0);
    let (wanted, told) = run(&["shelf==2.0"]);
    assert_eq!((code(&wanted), fates(&told)), (1, vec!["shelf 2.0: rolled_back".to_owned()]), "{told:#}");
    assert!(told["items"][0]["why"].as_str().unwrap().contains("pip-tools does not allow it") && told["branch"].is_null(), "{told:#}");
    let log = fs::read_to_string(shop.runs().join("log")).unwrap();
    for text in [stdout(&output), stderr(&output), stdout(&wanted), stderr(&wanted), log] {
        assert!(!text.contains("hush-hush"), "{text}");
    }
    let branch = document["branch"].as_str().unwrap();
    assert_eq!(shop.git(&["show", &format!("{branch}:requirements.in")]), "basket==1.1  # by hand\nshelf<2\nrack");
    let compiled = shop.git(&["show", &format!("{branch}:requirements.txt")]);
    assert!(compiled.contains("basket==1.1 \\\n    --hash=sha256:") && compiled.contains("shelf==1.2 \\") && !compiled.contains("127.0.0.1"), "{compiled}");
    shop.is_clean();
}

/// A project whose lock file is kept by a tool of its own. The manifest pins `basket` and asks for `till`, `lamp`, `shelf<2` and `rack`.
struct Locked<'a> {
    tool: &'a str,
    /// Where its programs are found.
    path: String,
    manifest: &'a str,
    lock: &'a str,
    text: &'a str,
    /// Makes the lock file.
    locks: &'a [&'a str],
    /// Tells whether manifest and lock file are one.
    sound: &'a [&'a str],
}

/// In `PATH` for the tool alone, with a home and an environment of its own.
fn asks(shop: &Shop, path: &str, folder: &Path, arguments: &[&str]) {
    let program = std::env::split_paths(path).map(|dir| dir.join(arguments[0])).find(|program| program.is_file()).unwrap();
    let mut asked = command(&program.display().to_string());
    asked.args(&arguments[1..]).current_dir(folder).env("PATH", path).env("HOME", shop.place.path().join("home"));
    asked.env("VIRTUAL_ENV", shop.place.path().join("venv")).env("PDM_CHECK_UPDATE", "0").env("PIPENV_YES", "1").env("PIPENV_NOSPIN", "1");
    let output = ends(asked);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// The pin moves where it stands, ranges stay as they are, what only others need moves in the lock file alone, and the culprit is found.
fn is_upgraded_by_its_own_tool(locked: &Locked<'_>) {
    let path = &locked.path;
    if !tool(locked.tool, path) {
        return;
    }
    let Some(shop) = Shop::new(&[(locked.manifest, locked.text), ("check.py", CHECK)], &format!("manifest = \"{}\"", locked.lock)) else { return };
    let manifest = fs::read_to_string(shop.dir().join(locked.manifest)).unwrap();
    // Locked when nothing newer was out.
    let (wheels, later) = (shop.place.path().join("wheels"), shop.place.path().join("later"));
    fs::create_dir(&later).unwrap();
    let newer: Vec<String> = WHEELS
        .iter()
        .filter(|(_, version, _)| !matches!(*version, "1.0" | "1.0.0"))
        .map(|(name, version, _)| format!("{name}-{version}-py3-none-any.whl"))
        .collect();
    for wheel in &newer {
        fs::rename(wheels.join(wheel), later.join(wheel)).unwrap();
    }
    asks(&shop, path, &shop.dir(), &["python3", "-m", "venv", &shop.place.path().join("venv").to_string_lossy()]);
    asks(&shop, path, &shop.dir(), locked.locks);
    for wheel in &newer {
        fs::rename(later.join(wheel), wheels.join(wheel)).unwrap();
    }
    shop.git(&["add", "."]);
    shop.git(&["commit", "--quiet", "--amend", "--no-edit"]);
    assert_eq!(shop.git(&["show", &format!("main:{}", locked.manifest)]), manifest.trim_end());

    let output = shop.run_in(path, &["app", "basket", "till", "lamp", "shelf", "peg", "--yes", "--json"]);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let expected = ["lamp 1.0.1: rolled_back", "till 1.0.1: kept", "basket 1.1: kept", "peg 1.1: kept", "shelf 1.2: kept"];
    let log = || fs::read_to_string(shop.runs().join("log")).unwrap_or_default();
    assert_eq!(fates(&document), expected, "{document:#} {}", log());
    assert_eq!((code(&output), document["tool"].as_str()), (1, Some(locked.tool)));
    assert!(document["items"][0]["output"].to_string().contains("it is dark"), "{document:#}");
    shop.is_clean();
    let branch = document["branch"].as_str().unwrap();
    let subjects = shop.git(&["log", "--format=%s", &format!("main..{branch}")]);
    assert_eq!(subjects, "Upgrade shelf from 1.0 to 1.2\nUpgrade peg from 1.0 to 1.1\nUpgrade basket from 1.0 to 1.1\nUpgrade till from 1.0.0 to 1.0.1");
    // One line of the manifest is another, and only in the commit that is about it.
    let upgraded = shop.git(&["show", &format!("{branch}:{}", locked.manifest)]);
    let other: Vec<(&str, &str)> = manifest.lines().zip(upgraded.lines()).filter(|(old, new)| old != new).collect();
    assert!(matches!(other[..], [(old, new)] if new == old.replace("1.0", "1.1")), "{upgraded}");
    for (back, files) in [("~3", vec![locked.lock]), ("~2", vec![locked.lock, locked.manifest]), ("~1", vec![locked.lock]), ("", vec![locked.lock])] {
        let commit = format!("{branch}{back}");
        let mut changed: Vec<String> = shop.git(&["diff", "--name-only", &format!("{commit}~1..{commit}")]).lines().map(str::to_owned).collect();
        let mut files = files;
        changed.sort();
        files.sort_unstable();
        assert_eq!(changed, files, "{commit}");
    }
    // The tool itself finds nothing to correct.
    let copy = shop.place.path().join("taken");
    shop.git(&["worktree", "add", "--quiet", "--detach", &copy.to_string_lossy(), branch]);
    asks(&shop, path, &copy, locked.sound);
    assert!(log().contains(&format!("$ {}", locked.tool)), "{}", log());
}

const POETRY: Locked<'_> = Locked {
    tool: "poetry",
    path: String::new(),
    manifest: "pyproject.toml",
    lock: "poetry.lock",
    text: "[tool.poetry]\npackage-mode = false\n\n[tool.poetry.dependencies]\npython = \">=3.9\"\nbasket = {version = \"1.0\", extras = [\"gift\"], markers = \"python_version > '3'\"} # by hand\ntill = \"^1.0.0\"\nlamp = \"*\"\nshelf = \"<2\"\n\n[tool.poetry.group.dev.dependencies]\nrack = \"*\"\n\n[[tool.poetry.source]]\nname = \"shop\"\nurl = \"INDEX\"\npriority = \"primary\"\n",
    locks: &["poetry", "lock", "--no-interaction"],
    sound: &["poetry", "check", "--lock", "--no-interaction"],
};

#[test]
fn poetry_projects_are_upgraded_by_poetry() {
    is_upgraded_by_its_own_tool(&Locked { path: path(), ..POETRY });
}

/// Poetry 1 has other commands for the same; it is in an environment of its own, which `ROUNDS_TEST_POETRY1` names.
#[test]
fn poetry_1_projects_are_upgraded_by_poetry_1() {
    let own = std::env::var("ROUNDS_TEST_POETRY1").unwrap_or_default();
    if own.is_empty() {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none_or(|value| value != "1"), "name a Poetry 1 in ROUNDS_TEST_POETRY1");
        return eprintln!("skipped: ROUNDS_TEST_POETRY1 names no Poetry 1");
    }
    // Only this program of it: the interpreter beside it is not the one to use.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&own, folder.path().join("poetry")).unwrap();
    is_upgraded_by_its_own_tool(&Locked { path: format!("{}:{}", folder.path().display(), path()), ..POETRY });
}

#[test]
fn pdm_projects_are_upgraded_by_pdm() {
    let text = "[project]\nname = \"shop\"\nversion = \"1\"\nrequires-python = \">=3.9\"\ndependencies = [\n    \"basket[gift]==1.0 ; python_version > '3'\", # by hand\n    \"till~=1.0\",\n    \"lamp\",\n    \"shelf<2\",\n]\n\n[dependency-groups]\ndev = [\"rack\"]\n\n[tool.pdm]\ndistribution = false\n\n[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"INDEX\"\nverify_ssl = false\n";
    is_upgraded_by_its_own_tool(&Locked {
        tool: "pdm",
        path: path(),
        manifest: "pyproject.toml",
        lock: "pdm.lock",
        text,
        locks: &["pdm", "lock"],
        sound: &["pdm", "lock", "--check"],
    });
}

#[test]
fn pipenv_projects_are_upgraded_by_pipenv() {
    let text = "[[source]]\nname = \"shop\"\nurl = \"INDEX\"\nverify_ssl = false\n\n[packages]\nbasket = {version = \"==1.0\", extras = [\"gift\"], markers = \"python_version > '3'\"} # by hand\nlamp = \"*\"\nshelf = \"<2\"\nrack = \"*\"\n\n[dev-packages]\ntill = \"~=1.0\"\n";
    is_upgraded_by_its_own_tool(&Locked {
        tool: "pipenv",
        path: path(),
        manifest: "Pipfile",
        lock: "Pipfile.lock",
        text,
        locks: &["pipenv", "lock"],
        sound: &["pipenv", "verify"],
    });
}
