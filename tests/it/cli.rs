//! The command line as a shell sees it: exit codes, what goes to which stream, and that it always ends.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a verb may take; far more than any needs, so that a hang fails instead of standing still.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place of its own for one run: nothing of the person who runs the tests is read or written.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["home", "work", "state"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The program, with an environment of its own.
    pub fn command(&self) -> Command {
        #[expect(clippy::disallowed_methods, reason = "a test starts the program itself")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_rounds"));
        let home = self.path().join("home");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_STATE_HOME", home.join(".state"))
            .env("XDG_DATA_HOME", home.join(".data"))
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .current_dir(self.path().join("work"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        run(self.command().args(arguments))
    }
}

/// Waits for the end, but not for ever.
pub fn run(command: &mut Command) -> Output {
    let mut child = command.spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map(|_| bytes)
    });
    let err = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        err.read_to_end(&mut bytes).map(|_| bytes)
    });
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Output { status, stdout: out.join().unwrap().unwrap(), stderr: err.join().unwrap().unwrap() }
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}"))
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_wrong_command_line_is_64_and_never_taken_for_critical() {
    let place = Place::new();
    for arguments in [&["dance"][..], &["--colour"], &["completions", "cmd.exe"], &["completions"], &["--color", "sometimes", "man"]] {
        let output = place.run(arguments);
        assert_eq!(code(&output), 64, "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn with_json_a_wrong_command_line_gives_a_document_too() {
    let place = Place::new();
    for arguments in [&["logs", "--json", "--lines", "many"][..], &["logs", "--json", "--dance"], &["--json", "logs"]] {
        let output = place.run(arguments);
        assert_eq!(code(&output), 64, "{arguments:?}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(document["schema"], 1);
        assert_eq!(document["error"]["kind"], "config", "{document}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn init_writes_what_check_accepts_and_never_overwrites() {
    let place = Place::new();
    let work = place.path().join("work");
    let project = work.join("shop");
    std::fs::create_dir_all(project.join("shop")).unwrap();
    std::fs::write(project.join("manage.py"), "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n").unwrap();
    // Nothing listens there: the look itself must work.
    std::fs::write(
        project.join("shop/settings.py"),
        "ALLOWED_HOSTS = ['shop.invalid']\nLOGGING = {'handlers': {'f': {'filename': BASE_DIR / 'app.log'}}}\nBASE_DIR = Path(__file__).parent.parent\n",
    )
    .unwrap();
    std::fs::write(project.join("app.log"), "").unwrap();
    std::fs::write(project.join(".env"), "SENTRY_DSN=https://feedfacefeedface@sentry.example/1\n").unwrap();
    let output = place.run(&["init", "shop"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(stdout(&output).contains("a Django project") && output.stderr.is_empty(), "{output:?}");
    let written = std::fs::read_to_string(project.join("rounds.toml")).unwrap();
    assert!(!written.contains("feedface"));
    let output = place.run(&["--config", "shop/rounds.toml", "config", "check"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let output = place.run(&["--config", "shop/rounds.toml", "check", "shop/log/django"]);
    assert_eq!(code(&output), 0, "{output:?}");

    let again = place.run(&["init", "shop"]);
    assert_eq!(code(&again), 64);
    assert!(stderr(&again).contains("--output"), "{again:?}");
    assert_eq!(std::fs::read_to_string(project.join("rounds.toml")).unwrap(), written);
    // Elsewhere it names the folder that its paths are relative to.
    let output = place.run(&["init", "shop", "--output", "elsewhere.toml"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let output = place.run(&["--config", "elsewhere.toml", "check", "shop/log/django"]);
    assert_eq!(code(&output), 0, "{output:?}");
    for arguments in [&["init", "nowhere"][..], &["init", "shop/manage.py"], &["init", "shop", "--output", "nowhere/x.toml"]] {
        let output = place.run(arguments);
        assert_eq!(code(&output), 64, "{output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn help_version_manual_and_completions_are_data() {
    let place = Place::new();
    for (arguments, holds) in [
        (&["--help"][..], "--read-only"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["man"], ".SH ROUNDS COMPLETIONS"),
        (&["completions", "bash"], "_rounds()"),
        (&["completions", "zsh"], "#compdef rounds"),
        (&["completions", "fish"], "complete -c rounds"),
    ] {
        let output = place.run(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}");
        assert!(stdout(&output).contains(holds), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    for arguments in [&["man"][..], &["completions", "zsh"], &["--help"]] {
        let mut child = place.command().args(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{arguments:?}");
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}

/// Answers every request on a loopback port with this status and body; ends with the process.
fn serve(status: &'static str, body: &'static str) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request);
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        }
    });
    port
}

/// A port on which nobody listens.
fn nobody() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn configure(place: &Place, text: &str) {
    std::fs::write(place.path().join("work/rounds.toml"), text).unwrap();
}

fn endpoint(name: &str, port: u16, more: &str) -> String {
    format!("[site.shop.http.{name}]\nurl = \"http://127.0.0.1:{port}/\"\nproxy = \"none\"\n{more}\n")
}

pub fn json(output: &Output) -> serde_json::Value {
    let text = stdout(output);
    assert_eq!(text.lines().count(), 1, "not one document: {text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn check_says_by_its_exit_code_how_it_all_stands() {
    let (good, bad) = (serve("200 OK", "working"), serve("500 Internal Server Error", "oops"));
    for (text, word, exit) in [
        (endpoint("home", good, ""), "ok", 0),
        // Over a warning limit.
        (endpoint("home", good, "expect.latency = { warning = \"1ms\", critical = \"1h\" }\nexpect.body = \"work\""), "ok|warning", 1),
        (endpoint("home", good, "") + &endpoint("api", bad, ""), "critical", 2),
        (endpoint("home", good, "") + &endpoint("gone", nobody(), ""), "critical", 2),
        (endpoint("home", good, "") + "[site.shop.log.app]\npath = \"no/such.log\"\n", "unknown", 3),
        // Not being checked is said, and is no fault.
        (endpoint("home", good, "") + &endpoint("old", nobody(), "enabled = false"), "ok", 0),
        // Nothing watched is not nothing found.
        ("[site.shop]\ntitle = \"Shop\"\n".to_owned(), "unknown", 3),
    ] {
        let place = Place::new();
        configure(&place, &text);
        let output = place.run(&["check", "--json"]);
        let document = json(&output);
        let status = document["status"].as_str().unwrap().to_owned();
        assert!(word.contains(&status), "{text}\n{document}");
        // A loopback answer may be quicker than a millisecond: then there is nothing to warn of.
        if word == status {
            assert_eq!(code(&output), exit, "{text}\n{document}");
        }
        let plain = place.run(&["check"]);
        let said = stdout(&plain);
        assert!(said.starts_with("ROUNDS "), "{said}");
        if word == status {
            assert_eq!(code(&plain), exit, "{text}\n{said}");
        }
    }
}

#[test]
fn check_json_is_one_document_of_the_contract_whatever_happens() {
    let place = Place::new();
    configure(&place, &endpoint("home", serve("200 OK", "working"), ""));
    let document = json(&place.run(&["check", "--json"]));
    assert_eq!(document["schema"], 1);
    let source = &document["sources"][0];
    for key in ["id", "site", "kind", "name", "capability", "status", "since", "checked_at", "summary", "error", "also", "data"] {
        assert!(source.get(key).is_some(), "{key} is missing: {source}");
    }
    assert_eq!(source["data"]["status_code"], 200);
    for key in ["resolve", "connect", "tls", "first_byte", "transfer"] {
        assert!(source["data"]["phases_ms"].get(key).is_some(), "{key} is missing");
    }
    // What cannot begin is a document too, and unknown, not critical.
    for arguments in [
        &["check", "--json", "shop/http/nope"][..],
        &["check", "--json", "--nope"],
        &["check", "--json", "--site", "nope"],
        &["--site", "nope", "check", "--json"],
    ] {
        let output = place.run(arguments);
        assert_eq!(code(&output), 3, "{arguments:?}");
        let document = json(&output);
        assert_eq!((document["schema"].as_u64(), document["status"].as_str()), (Some(1), Some("unknown")), "{arguments:?}");
        assert!(document["error"]["message"].is_string(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_wrong_configuration_is_64_with_its_place_and_3_for_check() {
    let place = Place::new();
    configure(&place, "[site.shop.http.home]\nurl = \"http://127.0.0.1:1/\"\nevry = \"30s\"\n");
    for arguments in [&[][..], &["logs"], &["status", "--line"]] {
        let output = place.run(arguments);
        assert_eq!(code(&output), 64, "{arguments:?}");
        let said = stderr(&output);
        assert!(said.contains("rounds.toml:3:1") && said.contains("evry") && said.contains("every"), "{said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let output = place.run(&["check"]);
    assert_eq!(code(&output), 3);
    assert!(stdout(&output).starts_with("ROUNDS UNKNOWN - not checked"), "{output:?}");
    assert!(stderr(&output).contains("evry"));
    let output = place.run(&["check", "--json"]);
    assert_eq!((code(&output), json(&output)["error"]["kind"].as_str()), (3, Some("config")));
    assert_eq!(code(&place.run(&["doctor"])), 1);
    // With --json the other verbs print a document as well.
    let output = place.run(&["logs", "--json"]);
    assert_eq!((code(&output), json(&output)["items"].as_array().map(Vec::len)), (64, Some(0)));
}

#[test]
fn without_a_configuration_a_sentence_and_64() {
    let place = Place::new();
    let output = place.run(&[]);
    assert_eq!(code(&output), 64);
    assert!(stderr(&output).contains("no configuration found") && stderr(&output).contains("rounds demo"), "{output:?}");
    // There is nothing that `config check` could explain: what helps is a first one.
    assert!(stderr(&output).contains("rounds init"), "{output:?}");
    assert!(stdout(&place.run(&["doctor"])).contains("no configuration found; rounds init"), "{output:?}");
    let refused = json(&place.run(&["check", "--json"]));
    assert_eq!(refused["error"]["remedy"], "rounds init writes one");
}

#[test]
fn nothing_watched_is_not_nothing_found() {
    let place = Place::new();
    configure(&place, "[site.shop]\n");
    for verb in ["logs", "errors", "backups"] {
        let output = place.run(&[verb, "--json"]);
        let read = json(&output);
        assert_eq!((code(&output), read["error"]["kind"].as_str()), (1, Some("nothing")), "{verb}: {read}");
        assert!(read["error"]["remedy"].as_str().is_some_and(|remedy| remedy.contains("[site.NAME.")), "{read}");
        let output = place.run(&[verb]);
        assert!(code(&output) == 1 && stdout(&output).starts_with('?'), "{verb}: {output:?}");
    }
}

#[test]
fn without_a_configuration_and_a_home_64() {
    let place = Place::new();
    let output = run(place.command().env("TERM", "dumb").env_remove("LANG").env_remove("HOME").env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME"));
    assert_eq!(code(&output), 64, "{output:?}");
}

#[test]
fn where_nothing_can_be_drawn_there_is_the_text() {
    let place = Place::new();
    configure(&place, &(endpoint("home", serve("200 OK", ""), "") + &endpoint("api", serve("500 No", ""), "")));
    let mut bare = place.command();
    bare.env("TERM", "dumb").env_remove("LANG").env_remove("HOME").env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME");
    for command in [&mut place.command(), &mut bare] {
        let output = run(command);
        assert_eq!(code(&output), 2, "{output:?}");
        let said = stdout(&output);
        assert!(said.starts_with("rounds: critical") && said.contains("shop/http/api") && !said.contains('\u{1b}'), "{said}");
    }
    assert!(stdout(&run(&mut bare)).is_ascii());
}

#[test]
fn what_an_endpoint_says_reaches_no_terminal() {
    let place = Place::new();
    let port = serve("500 \u{1b}]52;c;eA==\u{7}", "\u{1b}[2J\u{9b}31m\u{202e}gone");
    configure(&place, &endpoint("home", port, "expect.body = \"fine\"\nexpect.status = [200]"));
    for arguments in [&["check"][..], &["check", "--json"], &[]] {
        let said = stdout(&place.run(arguments));
        assert!(!said.trim_end().replace('\n', "").chars().any(char::is_control) && !said.contains('\u{202e}'), "{said:?}");
    }
}

#[test]
fn logs_are_counted_by_level_and_group() {
    let place = Place::new();
    let log = "2026-11-20 03:12:01,000 ERROR shop.basket Internal Server Error: /basket/\nTraceback (most recent call last):\n  File \"/srv/shop/basket/pricing.py\", line 88, in total\n    x()\nKeyError: 'currency'\n2026-11-20 03:12:02,000 INFO shop \u{1b}[2Jfine\n";
    std::fs::write(place.path().join("work/app.log"), log).unwrap();
    configure(&place, "[site.shop.log.app]\npath = \"app.log\"\nzone = \"UTC\"\n");
    let output = place.run(&["logs", "--json"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let item = json(&output)["items"][0].clone();
    assert_eq!(item["source"], "shop/log/app");
    assert_eq!((item["lines"].as_u64(), item["levels"]["error"].as_u64()), (Some(6), Some(1)), "{item}");
    assert!(item["groups"][0]["title"].as_str().unwrap().contains("KeyError"), "{item}");
    let said = stdout(&place.run(&["logs"]));
    assert!(said.contains("shop/log/app") && said.contains("KeyError") && !said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn errors_are_items_and_what_is_not_known_is_told() {
    let place = Place::new();
    let log = "2026-11-20 03:12:01,000 ERROR shop.basket Internal Server Error: /basket/\nTraceback (most recent call last):\n  File \"/srv/shop/basket/pricing.py\", line 88, in total\n    x()\nKeyError: 'currency\u{1b}[2J'\n";
    std::fs::write(place.path().join("work/app.log"), log).unwrap();
    configure(&place, "[site.shop.log.app]\npath = \"app.log\"\nzone = \"UTC\"\n");
    for arguments in [&["errors", "--json"][..], &["errors", "list", "--json"]] {
        let output = place.run(arguments);
        let document = json(&output);
        assert_eq!((code(&output), document["schema"].as_u64()), (0, Some(1)), "{document}");
        let item = &document["items"][0];
        assert_eq!((item["source"].as_str(), item["events"].as_u64(), item["state"].as_str()), (Some("shop/log/app"), Some(1), Some("ongoing")), "{item}");
    }
    let said = stdout(&place.run(&["errors"]));
    assert!(said.contains("KeyError") && said.contains("ongoing") && !said.contains('\u{1b}'), "{said:?}");
    std::fs::remove_file(place.path().join("work/app.log")).unwrap();
    let output = place.run(&["errors", "list", "--json"]);
    assert_eq!((code(&output), json(&output)["unknown"][0]["source"].as_str()), (1, Some("shop/log/app")), "{output:?}");
    assert!(stdout(&place.run(&["errors"])).contains("? UNKN   shop/log/app"));
}

#[test]
fn backups_are_items_one_for_each_data_set() {
    let place = Place::new();
    std::fs::write(place.path().join("work/dump-1.sql"), "--\n").unwrap();
    configure(&place, "[site.shop.files.dump]\npath = \"dump-*.sql\"\nmax_age = \"26h\"\n[site.shop.files.media]\npath = \"media-*.tar\"\nmax_age = \"26h\"\n");
    let output = place.run(&["backups", "--json"]);
    let items = json(&output)["items"].clone();
    assert_eq!(items.as_array().map(Vec::len), Some(2), "{items}");
    assert_eq!((items[0]["source"].as_str(), items[0]["snapshots"].as_u64()), (Some("shop/files/dump"), Some(1)), "{items}");
    assert_eq!((items[1]["last_success"].as_str(), items[1]["source"].as_str()), (None, Some("shop/files/media")), "{items}");
    assert_ne!(items[1]["status"], "ok");
    let said = stdout(&place.run(&["backups"]));
    assert!(said.contains("shop/files/dump") && said.contains("1 copy") && said.contains("shop/files/media"), "{said}");
    let output = place.run(&["backups", "shop/files/nothing", "--json"]);
    assert_eq!(code(&output), 64);
}

#[test]
fn the_demonstration_makes_a_pass_and_leaves_what_was_asked_for() {
    let place = Place::new();
    // A proxy of the environment stands between nobody and the servers of this machine.
    let output = run(place
        .command()
        .args(["demo", "--check", "--json", "--keep", "kept"])
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1"));
    let document = json(&output);
    let findings = document["findings"].as_array().unwrap();
    for (id, title) in [
        ("blog/http/feed#certificate", "Certificate of"),
        ("blog/files/dump#backup", "Backup dump shrank 38 %"),
        ("blog/python/app#packages", "markdown-x 3.8.1 was withdrawn"),
        ("shop/python/app#packages", "django 5.2.15 → 5.2.18 cures 2 advisories, CVSS 7.5"),
    ] {
        let found = findings.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("{id}: {document}"));
        assert!(found["title"].as_str().unwrap().contains(title), "{found}");
    }
    // A warning: the story begins calm. Only a very busy machine makes one of its pages too slow.
    let slow = findings.iter().any(|one| one["severity"] == "critical" && one["id"].as_str().unwrap().contains("/http/"));
    assert_eq!(code(&output), if slow { 2 } else { 1 }, "{document}");
    assert!(document["counts"]["ok"].as_u64().unwrap() >= 5, "{document}");
    assert!(place.path().join("work/kept/rounds.toml").is_file());
    assert!(std::fs::read_dir(place.path().join("home")).unwrap().next().is_none(), "the user's own state was touched");
    // It overwrites nothing.
    let output = place.run(&["demo", "--check", "--keep", "kept"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("exists already"), "{output:?}");
}

#[test]
fn doctor_has_a_line_for_each_thing_and_what_to_do() {
    let place = Place::new();
    let (good, gone) = (serve("200 OK", ""), nobody());
    configure(
        &place,
        &(endpoint("home", good, "")
            + &endpoint("gone", gone, "bearer = { env = \"SHOP_TOKEN\" }")
            + "[site.shop.log.app]\npath = \"app.log\"\n"
            + "[site.shop.log.web]\npath = \"*.txt\"\n"),
    );
    std::fs::write(place.path().join("work/access.txt"), "192.0.2.1 - - [20/Nov/2026:03:12:01 +0000] \"GET /a HTTP/1.1\" 404 12 \"-\" \"x\"\n").unwrap();
    std::fs::write(place.path().join("work/cron.txt"), "the job is done\n").unwrap();
    let output = run(place.command().arg("doctor").env("SHOP_TOKEN", "s3cret").env("SSL_CERT_FILE", "/no/such.pem"));
    let said = stdout(&output);
    assert_eq!(code(&output), 1, "{said}");
    for holds in [
        "✔ configuration".to_owned(),
        "$SHOP_TOKEN is set".to_owned(),
        format!("✔ reach          127.0.0.1:{good}"),
        format!("✖ reach          127.0.0.1:{gone}"),
        "app.log is not there yet".to_owned(),
        "✔ log            shop/log/web: ".to_owned(),
        "work/access.txt is read as access".to_owned(),
        "work/cron.txt is read as plain text".to_owned(),
        "✖ authorities".to_owned(),
        "terminal".to_owned(),
        "✔ journal".to_owned(),
    ] {
        assert!(said.contains(&holds), "{holds} is missing:\n{said}");
    }
    assert!(!said.contains("s3cret"));
}

#[test]
fn the_line_for_a_prompt_never_looks_and_never_fails() {
    let place = Place::new();
    assert_eq!(stdout(&place.run(&["status", "--line"])), "? rounds is not running\n");
    configure(&place, &endpoint("home", nobody(), ""));
    let output = place.run(&["status", "--line", "--tmux", "--width", "12"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "#[fg=magenta]? rounds is…#[default]\n"));
    assert_eq!(stdout(&place.run(&["status", "--line", "--ascii"])), "? rounds is not running\n");
}

#[test]
fn deps_says_by_its_exit_code_whether_packages_could_be_looked_at() {
    use rounds::demo::index::{self, Release};
    let page: &'static str = Box::leak(index::json("basket", &[Release::new("1.0"), Release::new("1.10")], None).into_boxed_str());
    let port = serve("200 OK\r\nContent-Type: application/vnd.pypi.simple.v1+json", page);
    let place = Place::new();
    std::fs::write(place.path().join("work/requirements.txt"), "basket==1.0\n").unwrap();
    let section =
        |port: u16| format!("[site.shop.python.app]\nmanifest = \"requirements.txt\"\nindex = \"http://127.0.0.1:{port}/simple/\"\nosv = false\neol = false\n");
    configure(&place, &section(port));
    let output = place.run(&["deps", "--json"]);
    let read = json(&output);
    assert_eq!(code(&output), 0, "outdated alone is no alarm: {}", stderr(&output));
    let item = &read["items"][0];
    assert_eq!((&item["source"], &item["name"], &item["locked"]), (&"shop/python/app".into(), &"basket".into(), &"1.0".into()));
    assert_eq!((&item["latest"], &item["bump"], &item["installed"]), (&"1.10".into(), &"minor".into(), &serde_json::Value::Null));
    assert_eq!((&item["wanted"], &item["newest"], &item["direct"], &item["yanked"]), (&"1.0".into(), &"1.10".into(), &true.into(), &false.into()));
    assert!(item["advisories"].as_array().unwrap().is_empty() && item.get("requires_python").is_some() && item.get("released_at").is_some());
    let said = stdout(&place.run(&["deps"]));
    assert!(said.contains("1 package is outdated: 1 minor") && said.contains("basket") && said.contains("pinned"), "{said}");

    configure(&place, &section(nobody()));
    let output = place.run(&["deps", "--json"]);
    assert_eq!((code(&output), &json(&output)["error"]["kind"]), (3, &"connect".into()));
    std::fs::write(place.path().join("work/requirements.txt"), "# nothing\n").unwrap();
    assert_eq!(json(&place.run(&["deps", "--json"]))["error"]["kind"], "nothing");

    configure(&place, &endpoint("home", nobody(), ""));
    let output = place.run(&["deps"]);
    assert_eq!(code(&output), 4, "a code of its own");
    assert!(stdout(&output).contains("nothing was scanned"), "{}", stdout(&output));
}

/// A log of two days, the older one packed beside it as logrotate does.
fn rotated(place: &Place) {
    let line = |day: u32, minute: u32, level: &str, text: &str| format!("2026-11-{day} 03:{minute:02}:00,000 {level} shop {text}\n");
    let old: String = (0..60).map(|n| line(19, n, "INFO", &format!("old {n}"))).collect();
    let new: String = (0..5).map(|n| line(20, n, if n == 3 { "ERROR" } else { "INFO" }, &format!("new {n} \u{1b}[2J"))).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(old.as_bytes()).unwrap();
    std::fs::write(place.path().join("work/app.log.1.gz"), packed.finish().unwrap()).unwrap();
    std::fs::write(place.path().join("work/app.log"), new).unwrap();
    configure(place, "[site.shop.log.app]\npath = \"app.log\"\nzone = \"UTC\"\n");
}

#[test]
fn lines_of_logs_are_chosen_by_pattern_level_and_number() {
    let place = Place::new();
    rotated(&place);
    let said = |arguments: &[&str]| {
        let output = place.run(arguments);
        assert_eq!(code(&output), 0, "{output:?}");
        let said = stdout(&output);
        assert!(!said.contains('\u{1b}'), "{said:?}");
        said
    };
    let lines = said(&["logs", "--grep", "NEW|new", "--exclude", "new [12]"]);
    assert_eq!(lines.lines().map(|line| line.split_whitespace().nth(5).unwrap()).collect::<Vec<_>>(), ["0", "3", "4"], "{lines}");
    assert!(lines.starts_with("2026-11-20T03:00:00.000Z I shop/log/app shop new 0"), "{lines}");
    assert!(said(&["logs", "--level", "error"]).contains("E shop/log/app shop new 3"));
    assert_eq!(said(&["logs", "--since", "2026-11-20 03:03", "-n", "1"]).lines().count(), 1);
    assert_eq!(said(&["logs", "--since", "2026-11-20 03:03"]).lines().count(), 2);
    let document = json(&place.run(&["logs", "--json", "--level", "error"]));
    assert_eq!(document["items"][0]["events"].as_array().map(Vec::len), Some(1), "{document}");
    assert_eq!(document["items"][0]["events"][0]["at"], "2026-11-20T03:03:00.000Z");
    for arguments in [&["logs", "--grep", "("][..], &["logs", "--since", "noon"], &["logs", "--level", "loud"]] {
        assert_eq!(code(&place.run(arguments)), 64, "{arguments:?}");
    }
    assert!(stdout(&run(place.command().args(["--color", "always", "logs", "--level", "error"]))).contains("\u{1b}[1;31mE"));
}

#[test]
fn older_files_are_read_for_what_is_looked_for() {
    let place = Place::new();
    rotated(&place);
    let found = stdout(&place.run(&["logs", "--grep", "old 7$"]));
    assert_eq!(found.lines().count(), 1, "{found}");
    assert!(found.starts_with("2026-11-19T03:07:00.000Z"), "{found}");
    assert_eq!(stdout(&place.run(&["logs", "--since", "2026-11-19 03:50"])).lines().count(), 15);
}

#[test]
fn following_prints_what_comes_and_ends_with_its_reader() {
    let place = Place::new();
    rotated(&place);
    let mut child = place.command().args(["logs", "--follow", "--json", "--grep", "new"]).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let first: Vec<serde_json::Value> = (0..5).map(|_| serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap()).collect();
    assert_eq!(first[0]["source"], "shop/log/app");
    let mut log = std::fs::OpenOptions::new().append(true).open(place.path().join("work/app.log")).unwrap();
    writeln!(log, "2026-11-20 03:59:00,000 WARNING shop new and last").unwrap();
    let next: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((next["level"].as_str(), next["message"].as_str()), (Some("warning"), Some("shop new and last")), "{next}");
    // The reader goes; the next line finds the pipe closed, which is no error.
    drop(lines);
    let begun = Instant::now();
    let status = loop {
        writeln!(log, "2026-11-20 04:00:00,000 INFO shop new").unwrap();
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("it goes on without a reader");
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(status.code(), Some(0));
}
