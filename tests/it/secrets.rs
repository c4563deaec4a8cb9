//! Secrets reach the wire and nothing else: no screen, document, message, journal or process argument, also when a server echoes them back.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use crate::cli::Place;
use crate::pty::Terminal;
use rounds::domain::{Capability, SourceId};
use rounds::io::clock;
use rounds::journal::{Reader, read_snapshot};

/// Each by its own way into the program, each with its own beginning, so that a cut one is found too.
const BY_ENV: &str = "envsecret-8f2b6c1d9a";
const BY_FILE: &str = "filesecret-77aa03be41";
const BY_COMMAND: &str = "cmdsecret-5d5e6f0912";
const WRITTEN_OUT: &str = "literalsecret-c0ffee12";
const IN_PROXY: &str = "proxysecret-1badb002aa";
const IN_INDEX: &str = "indexsecret-0ddba11afe";
const OF_ACTION: &str = "actionsecret-feedc0de77";
const PERSONAL: &str = "card-4711-0815-3344-9";
const IN_JOURNAL: &str = "pgsecret-deadbeef0011";

/// Answers everything with what it was asked, in the body, a header and the address of a redirect.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(5)));
            let lines: Vec<String> = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let value = |name: &str| {
                lines
                    .iter()
                    .find_map(|line| line.split_once(": ").filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value))
                    .unwrap_or_default()
                    .to_owned()
            };
            let all = format!("{} {} {}", value("authorization"), value("x-token"), value("proxy-authorization")).trim().to_owned();
            let padding = "x".repeat(60);
            let body = format!("{{\"auth\": \"{all}\", \"long\": \"{padding}{all}\"}}");
            let status = if lines.first().is_some_and(|line| line.contains("/moved")) {
                format!("302 Found\r\nlocation: /there?token={}", all.replace(' ', "%20"))
            } else {
                "200 OK".to_owned()
            };
            let _ = (&stream).write_all(
                format!(
                    "HTTP/1.1 {status}\r\nx-echo: {all}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                )
                .as_bytes(),
            );
        }
    });
    port
}

fn configuration(port: u16) -> String {
    let source = |name: &str, path: &str, keys: &str| {
        format!("[site.shop.http.{name}]\nurl = \"http://127.0.0.1:{port}{path}\"\nevery = \"1s\"\nfailures = 1\n{keys}\n")
    };
    [
        format!("[journal]\nurl = \"postgresql://me:{IN_JOURNAL}@127.0.0.1/x\"\n[site.shop]\n"),
        source("env", "/", "proxy = \"none\"\nbearer = { env = \"ROUNDS_TEST_SECRET\" }\nexpect.json = { \"/auth\" = \"nothing\" }"),
        source("cut", "/", "proxy = \"none\"\nbearer = { env = \"ROUNDS_TEST_SECRET\" }\nexpect.json = { \"/long\" = \"nothing\" }"),
        source("moved", "/moved", "proxy = \"none\"\nbearer = { env = \"ROUNDS_TEST_SECRET\" }\nexpect.redirect = \"/elsewhere\""),
        source("file", "/", "proxy = \"none\"\nheaders.x-token = { file = \"token\" }\nexpect.header = { x-echo = \"nothing\" }"),
        source("command", "/", "proxy = \"none\"\nuser = \"ann\"\npassword = { command = [\"cat\", \"password\"] }\nexpect.json = { \"/auth\" = \"nothing\" }"),
        source("literal", "/", &format!("proxy = \"none\"\nbearer = \"{WRITTEN_OUT}\"\nexpect.json = {{ \"/auth\" = \"nothing\" }}")),
        source("header", "/", &format!("proxy = \"none\"\nheaders.authorization = \"Token {WRITTEN_OUT}\"\nexpect.header = {{ x-echo = \"nothing\" }}")),
        source("proxy", "/", &format!("proxy = \"http://ann:{IN_PROXY}@127.0.0.1:{port}\"\nexpect.json = {{ \"/auth\" = \"nothing\" }}")),
    ]
    .concat()
}

/// What must be nowhere: the beginnings, and what stands for user and password in basic authentication.
fn needles() -> Vec<String> {
    use base64::Engine;
    let basic = |password: &str| base64::engine::general_purpose::STANDARD.encode(format!("ann:{password}"));
    let mut needles: Vec<String> = [BY_ENV, BY_FILE, BY_COMMAND, WRITTEN_OUT, IN_PROXY, IN_INDEX, OF_ACTION, PERSONAL, IN_JOURNAL]
        .iter()
        .map(|secret| secret[..secret.len() - 6].to_owned())
        .collect();
    needles.extend([basic(BY_COMMAND), basic(IN_PROXY), basic(IN_INDEX)].iter().map(|pair| pair[..20].to_owned()));
    needles
}

fn assert_clean(place: &str, text: &str) {
    // A line that was broken on the screen hides nothing.
    let joined: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    for needle in needles() {
        assert!(!text.contains(&needle) && !joined.contains(&needle), "{needle} is in {place}:\n{text}");
    }
}

fn assert_files_clean(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            assert_files_clean(&entry.path());
        } else {
            assert_clean(&entry.path().display().to_string(), &String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()));
        }
    }
}

/// The arguments of a process and of those it started.
fn assert_arguments_clean(process: u32) {
    let Ok(processes) = std::fs::read_dir("/proc") else { return };
    for entry in processes.flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)).unwrap_or_default().to_owned();
        if entry.file_name().to_string_lossy() == process.to_string() || parent == process.to_string() {
            let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            assert_clean("the arguments of a process", &String::from_utf8_lossy(&arguments));
        }
    }
}

#[test]
fn secrets_are_nowhere_but_on_the_wire() {
    let place = Place::new();
    let work = place.path().join("work");
    std::fs::write(work.join("token"), format!("{BY_FILE}\n")).unwrap();
    std::fs::write(work.join("password"), format!("{BY_COMMAND}\n")).unwrap();
    let file = work.join("mine.toml");
    std::fs::write(&file, configuration(echo())).unwrap();
    let config = file.to_str().unwrap();

    for arguments in [
        &["check"][..],
        &["check", "--json"],
        &["doctor"],
        &["config", "show"],
        &["config", "check"],
        &["trust", config],
        &["logs", "--json"],
        &["baseline"],
        &["check", "--no-such-flag"],
    ] {
        let output = crate::cli::run(place.command().args(["--config", config]).args(arguments).env("ROUNDS_TEST_SECRET", BY_ENV));
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!text.is_empty(), "{arguments:?} says nothing");
        assert_clean(&format!("what {arguments:?} says"), &text);
        if arguments == ["check", "--json"] {
            // They were really sent and came back, else nothing is proven.
            assert!(text.matches("***").count() >= 6, "{text}");
        }
    }

    let mut terminal = Terminal::start(&place, &["--config", config], &[("ROUNDS_TEST_SECRET", BY_ENV)]);
    terminal.wait_for_text("is down");
    assert_arguments_clean(terminal.process());
    std::thread::sleep(std::time::Duration::from_secs(2));
    for keys in ["", "2", "jjj", "\r", "=", "\u{1b}", "\u{1b}", "0", "\r", "\u{1b}", "1", "\r", "="] {
        terminal.press(keys);
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert_clean(&format!("the screen after {keys:?}"), &terminal.text());
    }
    assert_clean("what was written to the terminal", &terminal.raw());
    terminal.press("\u{3}\u{3}\u{3}\u{3}");
    assert_eq!(terminal.end(), 0);
    assert_clean("the terminal at the end", &terminal.raw());

    let state = place.path().join("home/.state/rounds");
    assert_files_clean(&place.path().join("home"));
    let snapshot = read_snapshot(&state).unwrap();
    assert_eq!(snapshot.polls.len(), 8);
    assert_clean("the snapshot", &format!("{snapshot:?}"));
    // What is compressed is looked at unpacked.
    let reader = Reader::open(&state).unwrap();
    assert_clean("the transitions", &format!("{:?}", reader.transitions(clock::now() - chrono::Duration::hours(1), 1_000).unwrap()));
    for name in ["env", "cut", "moved", "file", "command", "literal", "header", "proxy"] {
        let source = SourceId::parse(&format!("shop/http/{name}")).unwrap();
        let kept = reader.observation(&source, Capability::Health, clock::now()).unwrap();
        assert!(kept.is_some(), "{name}");
        assert_clean("the observations", &format!("{kept:?}"));
    }
}

#[test]
fn secrets_of_trackers_indexes_and_actions_are_masked_live_and_kept() {
    let place = Place::new();
    let work = place.path().join("work");
    std::fs::write(work.join("password"), format!("{BY_COMMAND}\n")).unwrap();
    std::fs::write(work.join("deploy"), format!("{OF_ACTION}\n")).unwrap();
    std::fs::write(work.join("requirements.txt"), "django==5.2.15\n").unwrap();
    std::fs::write(work.join("leak.sh"), format!("echo env $DEPLOY\ncat password deploy\necho of {PERSONAL} done\n")).unwrap();
    let port = echo();
    let text = format!(
        "[journal]\nredact = ['card-[0-9-]+']\n[site.shop]\n\
         [site.shop.sentry.errors]\nurl = \"http://127.0.0.1:{port}\"\norganization = \"acme\"\ntoken = {{ command = [\"cat\", \"password\"] }}\n\
         [site.shop.python.app]\nmanifest = \"requirements.txt\"\nindex = \"http://ann:{IN_INDEX}@127.0.0.1:{port}/simple/\"\n\
         [site.shop.action.leak]\nrun = [\"sh\", \"leak.sh\"]\nkey = \"X\"\nenv = {{ DEPLOY = {{ command = [\"cat\", \"deploy\"] }}, OTHER = {{ command = [\"cat\", \"password\"] }} }}\n"
    );
    let file = work.join("mine.toml");
    std::fs::write(&file, text).unwrap();
    let config = file.to_str().unwrap();
    for arguments in [
        &["act", "leak", "--yes"][..],
        &["check"],
        &["check", "--json"],
        &["errors", "list", "--json"],
        &["errors", "show", "5512", "--json"],
        &["errors", "resolve", "5512", "--yes", "--json"],
        &["deps", "--json"],
        &["doctor"],
        &["config", "show"],
    ] {
        let output = crate::cli::run(place.command().args(["--config", config]).args(arguments));
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!text.is_empty(), "{arguments:?} says nothing");
        assert_clean(&format!("what {arguments:?} says"), &text);
        if arguments[0] == "act" {
            // They were really printed, else nothing is proven.
            assert!(text.contains("of *** done") && text.matches("••••").count() >= 3, "{text}");
        }
    }
    let mut terminal = Terminal::start(&place, &["--config", config], &[]);
    terminal.wait_for_text("attention");
    let mut printed = false;
    for keys in ["3", "\r", "x", "\u{1b}", "\u{1b}", "6", "\r", "\u{1b}", "x", "\r", "\r", "", "\u{1b}", "0", "\r", "="] {
        terminal.press(keys);
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_clean(&format!("the screen after {keys:?}"), &terminal.text());
        assert_arguments_clean(terminal.process());
        printed |= terminal.text().contains("of *** done");
    }
    assert!(printed, "the action was not run, or its output not shown");
    terminal.press("\u{3}\u{3}\u{3}\u{3}\u{3}");
    assert_eq!(terminal.end(), 0);
    assert_clean("the terminal at the end", &terminal.raw());
    let state = place.path().join("home/.state/rounds");
    assert_files_clean(&place.path().join("home"));
    assert_clean("the snapshot", &format!("{:?}", read_snapshot(&state).unwrap()));
    let kept = Reader::open(&state).unwrap().transitions(clock::now() - chrono::Duration::hours(1), 1_000).unwrap();
    assert!(kept.iter().any(|kept| matches!(kept.kind, rounds::domain::TransitionKind::Action { .. })));
    assert_clean("the transitions", &format!("{kept:?}"));
}
