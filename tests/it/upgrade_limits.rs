//! What an upgrade looks at before it begins, and what it does when a limit is reached: the disk, the time, the network, the tools.

use std::fs;
use std::net::TcpListener;
use std::time::Instant;

use serde_json::Value;

use crate::cli::{code, stderr, stdout};
use crate::upgrade::{CHECK, Shop, command, fates, path, tool};

const REQUIREMENTS: &str = "basket==1.0\ntill==1.0.0\nlamp==1.0.0\nshelf==1.0\n";

fn shop(check: &str, keys: &str) -> Option<Shop> {
    Shop::new(&[("requirements.txt", REQUIREMENTS), ("check.py", check)], &format!("manifest = \"requirements.txt\"\n{keys}"))
}

fn configure(shop: &Shop, change: impl Fn(&str) -> String) {
    let config = shop.place.path().join("work/r.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, change(&text)).unwrap();
}

/// It says so, ends with this code, and nothing is another than before.
fn is_told(shop: &Shop, more: &[&str], exit: i32, words: &[&str]) {
    let output = shop.run(&[&["app", "--yes"], more].concat());
    let said = stderr(&output);
    for word in words {
        assert!(said.contains(word), "{more:?}: no {word:?} in {said}");
    }
    assert_eq!(code(&output), exit, "{said}");
    shop.is_clean();
    assert_eq!(shop.git(&["branch", "--list", "rounds/*"]), "");
}

#[test]
fn a_disk_without_room_is_told_before_anything_is_made() {
    let Some(shop) = shop(CHECK, "venv = \"../venv\"") else { return };
    // Eight TiB that take no room: the copies would.
    let venv = shop.place.path().join("work/venv");
    fs::create_dir(&venv).unwrap();
    fs::write(venv.join("pyvenv.cfg"), "home = /usr/bin\nversion = 3.11.4\n").unwrap();
    fs::create_dir_all(venv.join("lib/python3.11/site-packages/basket-1.0.dist-info")).unwrap();
    fs::write(venv.join("lib/python3.11/site-packages/basket-1.0.dist-info/METADATA"), "Metadata-Version: 2.1\nName: basket\nVersion: 1.0\n").unwrap();
    let large = fs::File::create(venv.join("large")).unwrap();
    if large.set_len(8 << 40).is_err() {
        return eprintln!("skipped: this file system has no room for a file of eight TiB without content");
    }
    let cache = shop.place.path().join("state/cache");
    is_told(
        &shop,
        &["till"],
        64,
        &[&format!("{} has ", cache.display()), "MiB left, and the copies may need 16777", "make room, or name a folder elsewhere with --state-dir"],
    );
    assert!(!shop.runs().exists());
    // Also asked what would be done, it says that it could not be.
    is_told(&shop, &["till", "--dry-run"], 64, &["make room"]);
}

/// Hangs where `basket` is the newer one.
const HANGS: &str = "import time\nfrom importlib.metadata import version\nimport basket, till\nif version('basket') == '1.1':\n    time.sleep(900)\n";

#[test]
fn time_that_is_too_short_is_told_and_what_passed_by_then_is_kept() {
    let project = "[project]\nname = \"shop\"\nversion = \"1\"\nrequires-python = \">=3.9\"\ndependencies = [\"basket==1.0\", \"till==1.0.0\", \"shelf==1.0\"]\n[[tool.uv.index]]\nurl = \"INDEX\"\ndefault = true\n";
    if !tool("uv", &path()) {
        return;
    }
    let Some(shop) = Shop::new(&[("pyproject.toml", project), ("check.py", HANGS)], "manifest = \"uv.lock\"") else { return };
    let locked = command("uv").args(["lock", "--quiet"]).current_dir(shop.dir()).env("PATH", path()).env("HOME", shop.place.path().join("home")).output();
    assert!(locked.as_ref().is_ok_and(|output| output.status.success()), "{locked:?}");
    shop.git(&["add", "."]);
    shop.git(&["commit", "--quiet", "--amend", "--no-edit"]);
    // How long one takes on this machine, as busy as it is.
    let begun = Instant::now();
    let output = shop.run(&["app", "till", "--yes"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let one = begun.elapsed().as_secs();
    let branch = shop.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/rounds/"]);
    shop.git(&["branch", "--quiet", "-D", &branch]);

    // The time for all is over in the middle: who hangs costs what comes after it, not what was kept.
    let limit = format!("{}s", 3 * one + 15);
    let output = shop.run(&["app", "till", "basket", "shelf==2.0", "--yes", "--json", "--timeout", &limit]);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(fates(&document), ["till 1.0.1: kept", "basket 1.1: left", "shelf 2.0: left"], "{document:#} {}", stderr(&output));
    assert!(document["items"][1]["why"].as_str().unwrap().contains("of --timeout were over"), "{document:#}");
    assert_eq!(code(&output), 1);
    let branch = document["branch"].as_str().unwrap().to_owned();
    assert_eq!(shop.git(&["log", "--format=%s", &format!("main..{branch}")]), "Upgrade till from 1.0.0 to 1.0.1");
    shop.is_clean();
    shop.git(&["branch", "--quiet", "-D", &branch]);

    // One command is too slow, or the whole is, before anything could be tried.
    fs::write(shop.dir().join("check.py"), "print('begun', flush=True)\nimport time\ntime.sleep(900)\n").unwrap();
    shop.git(&["commit", "--quiet", "--amend", "--no-edit", "--all"]);
    let step = format!("{}s", one + 10);
    let words = ["python check.py did not end within", "before anything is changed", "give it more with --step-timeout", "| begun", "the whole log: "];
    is_told(&shop, &["till", "--step-timeout", &step], 1, &words);
    is_told(&shop, &["till", "--timeout", "8s"], 1, &["took longer than --timeout allows", "the project is as it was"]);
}

#[test]
fn without_a_network_nothing_begins() {
    let Some(shop) = shop(CHECK, "") else { return };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let index = fs::read_to_string(shop.place.path().join("work/r.toml")).unwrap();
    let index = index.lines().find_map(|line| line.strip_prefix("index = ")).unwrap().to_owned();

    // Advisories are not to be had: what must be upgraded first is not known; a version that a person names is.
    configure(&shop, |text| text.replace("osv = false", &format!("osv = \"http://{closed}\"")));
    is_told(&shop, &["--all"], 64, &["what must be upgraded first is not known", &closed.to_string(), "NAME==VERSION", "osv = false"]);
    let output = shop.run(&["app", "till==1.0.1", "--yes", "--dry-run"]);
    assert_eq!(code(&output), 0, "{output:?}");
    configure(&shop, |text| text.replace(&format!("osv = \"http://{closed}\""), "osv = false"));

    // The index is down.
    configure(&shop, |text| text.replace(&index, &format!("\"http://{closed}/simple/\"")));
    is_told(&shop, &["--all"], 64, &["the versions that are out are not known", "Connection refused", "check that the address is right"]);
    assert!(!shop.runs().exists());

    // It answers now, and goes away before anything is installed.
    configure(&shop, |text| text.replace(&format!("\"http://{closed}/simple/\""), &index));
    fs::write(shop.dir().join("requirements.txt"), format!("--index-url http://{closed}/simple/\n{REQUIREMENTS}")).unwrap();
    shop.git(&["commit", "--quiet", "--amend", "--no-edit", "--all"]);
    let words = ["what is locked now cannot be installed", "No matching distribution found for", "the whole log: ", "upgrade/"];
    is_told(&shop, &["till"], 1, &words);
}

#[test]
fn tools_that_are_missing_are_named_with_what_to_do() {
    let Some(shop) = shop(CHECK, "") else { return };
    let tools = shop.place.path().join("tools");
    fs::create_dir(&tools).unwrap();
    let only = |names: &[&str]| {
        for name in ["git", "sh", "python3"] {
            let _ = fs::remove_file(tools.join(name));
        }
        for name in names {
            let found = std::env::split_paths(&path()).map(|dir| dir.join(name)).find(|path| path.is_file()).unwrap();
            std::os::unix::fs::symlink(found, tools.join(name)).unwrap();
        }
    };
    for (there, words) in [
        (&["git", "sh"][..], ["python3 is not there", "install it, or let `python` name an interpreter"]),
        (&["sh", "python3"], ["git is not installed", "install git, or put it into PATH"]),
    ] {
        only(there);
        let output = shop.run_in(&tools.display().to_string(), &["app", "till", "--yes"]);
        assert!(code(&output) == 64 && words.iter().all(|word| stderr(&output).contains(word)), "{there:?}: {output:?}");
        shop.is_clean();
    }
}
