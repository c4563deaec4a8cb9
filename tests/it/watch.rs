//! The collector without a screen as the people of a server meet it: real processes, real signals, a real Prometheus.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cli::{Place, code, stderr};
use crate::several::Server;
use rounds::config::model;
use rounds::domain::{SourceId, Status};
use rounds::journal::{Identity, Journal, read_snapshot};

/// How long a thing that takes a second may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A `rounds watch` of its own, whose lines are gathered; killed when it is dropped.
struct Watcher {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Watcher {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        Self::of(place.command().args(arguments).arg("watch"))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (sink, out) = (Arc::clone(&lines), child.stderr.take().unwrap());
        std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).for_each(|line| sink.lock().unwrap().push(line)));
        Self { child, lines }
    }

    fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits for a line that holds this.
    fn says(&self, part: &str) -> String {
        until(part, || self.lines.lock().unwrap().iter().find(|line| line.contains(part)).cloned(), || self.text())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn end(&mut self) -> Option<i32> {
        until("the end", || self.child.try_wait().unwrap(), String::new).code()
    }

    /// Where it serves.
    fn port(&self) -> u16 {
        let line = self.says("http://127.0.0.1:");
        line.split("http://127.0.0.1:").nth(1).unwrap().split('/').next().unwrap().parse().unwrap()
    }

    fn get(&self, path: &str) -> (u16, String) {
        get(self.port(), path, "")
    }

    /// Waits until the page holds this line.
    fn shows(&self, line: &str) -> String {
        let mut last = String::new();
        let begun = Instant::now();
        loop {
            let (status, page) = self.get("/metrics");
            if status == 200 && page.lines().any(|known| known == line) {
                return page;
            }
            last.clone_from(&page);
            assert!(begun.elapsed() < SOON, "the page never had {line}:\n{last}\n{}", self.text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>, context: impl Fn() -> String) -> T {
    let begun = Instant::now();
    loop {
        if let Some(done) = done() {
            return done;
        }
        assert!(begun.elapsed() < SOON, "{what} took too long\n{}", context());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The program, from `PATH` or where the system keeps its daemons. `None`: what needs it is skipped; the reason is printed.
fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from)).map(|dir| dir.join(name)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none_or(|value| value != "1"), "{name} is not installed, and no test may be skipped");
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// One request, with further header lines.
fn get(port: u16, path: &str, headers: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return (0, String::new()) };
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n{headers}connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, if head.contains("openmetrics") { format!("openmetrics\n{body}") } else { body.to_owned() })
}

/// A configuration with an endpoint that is asked each second and a log, served at a free port.
fn configuration(port: u16, more: &str) -> String {
    format!(
        "{more}\n[site.shop]\n[site.shop.http.home]\nurl = \"http://127.0.0.1:{port}/\"\nevery = \"1s\"\nretry_every = \"1s\"\nfailures = 1\nsuccesses = 1\n[site.shop.log.app]\npath = \"app.log\"\n"
    )
}

const FREE: &str = "[watch]\nlisten = \"127.0.0.1:0\"";

fn put(place: &Place, text: &str) -> PathBuf {
    let path = place.path().join("work/rounds.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn state(place: &Place) -> PathBuf {
    place.path().join("home/.state/rounds")
}

/// Whether nobody holds the leases of these sources any more.
fn leases_are_free(dir: &Path) -> bool {
    let settings = model::Journal { keep: Duration::from_hours(24), url: None, redact: Vec::new() };
    let journal = Journal::open(dir, &settings, Identity::of_this_process()).journal.unwrap();
    let wanted = [SourceId::parse("shop/http/home").unwrap()].into();
    let mut leases = journal.leases();
    leases.acquire(&wanted, rounds::io::clock::now()).unwrap().len() == 1
}

#[test]
fn it_looks_tells_keeps_and_stops_cleanly() {
    let (server, place) = (Server::answering(200), Place::new());
    std::fs::write(place.path().join("work/app.log"), "2026-11-20 08:00:00 ERROR app: no\n").unwrap();
    put(&place, &configuration(server.port, FREE));
    let mut watch = Watcher::start(&place, &[]);
    watch.shows("rounds_probe_success{site=\"shop\",kind=\"http\",name=\"home\"} 1");
    let page = watch.shows("rounds_log_events_total{site=\"shop\",kind=\"log\",name=\"app\",level=\"error\"} 1");
    assert!(page.contains("rounds_source_status{site=\"shop\",kind=\"http\",name=\"home\",status=\"ok\"} 1"), "{page}");
    assert_eq!(watch.get("/health"), (200, "ok\n".to_owned()));
    assert_eq!(watch.get("/").0, 404);

    server.answer(500);
    let line = watch.says("shop/http/home: down: 500");
    assert!(line.contains("Z error "), "{line}");
    server.answer(200);
    watch.says("shop/http/home: up: 200");
    assert!(!leases_are_free(&state(&place)));

    watch.signal(Signal::SIGTERM);
    assert_eq!(watch.end(), Some(0), "{}", watch.text());
    watch.says("rounds: stopped");
    assert!(leases_are_free(&state(&place)), "a lease was left behind");
    let snapshot = read_snapshot(&state(&place)).unwrap();
    let statuses: Vec<Status> =
        snapshot.events.iter().filter_map(|event| if let rounds::domain::TransitionKind::Status { to, .. } = event.kind { Some(to) } else { None }).collect();
    assert!(statuses.ends_with(&[Status::Down, Status::Ok]), "{statuses:?}");
    assert_eq!(snapshot.polls.len(), 2, "the journal was not written to the end");
}

#[test]
fn prometheus_reads_the_page() {
    let (up, down, place) = (Server::answering(200), Server::answering(500), Place::new());
    std::fs::write(place.path().join("work/app.log"), "").unwrap();
    let dumps = place.path().join("dumps");
    std::fs::create_dir(&dumps).unwrap();
    std::fs::write(dumps.join("shop.sql"), "-- PostgreSQL database dump\nSELECT 1;\n-- PostgreSQL database dump complete\n").unwrap();
    let mut text = configuration(up.port, FREE);
    let _ = write!(
        text,
        "[site.shop.http.api]\nurl = \"http://127.0.0.1:{}/\"\nevery = \"1s\"\nfailures = 1\n[site.shop.files.dumps]\npath = \"{}/*.sql\"\nmax_age = \"26h\"\n",
        down.port,
        dumps.display()
    );
    put(&place, &text);
    let watch = Watcher::start(&place, &[]);
    watch.shows("rounds_probe_success{site=\"shop\",kind=\"http\",name=\"api\"} 0");
    let page = watch.shows("rounds_backup_max_age_seconds{site=\"shop\",kind=\"files\",name=\"dumps\"} 93600");
    let (_, open) = get(watch.port(), "/metrics", "accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(open.starts_with("openmetrics\n") && open.ends_with("# EOF\n"), "{open}");

    let Some(promtool) = tool("promtool") else { return };
    #[expect(clippy::disallowed_methods, reason = "a test starts the tool itself")]
    let mut lint = Command::new(promtool).args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    lint.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = lint.wait_with_output().unwrap();
    assert!(said.status.success() && said.stdout.is_empty() && said.stderr.is_empty(), "{said:?}");

    let Some(prometheus) = tool("prometheus") else { return };
    let (port, dir) = (TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(), place.path().join("prometheus"));
    std::fs::create_dir(&dir).unwrap();
    let target = watch.port();
    std::fs::write(
        dir.join("p.yml"),
        format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: rounds\n  static_configs: [{{targets: ['127.0.0.1:{target}']}}]\n"),
    )
    .unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test starts the server itself")]
    let server = Command::new(prometheus)
        .arg(format!("--config.file={}", dir.join("p.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Watcher { child: server, lines: Arc::default() };
    let answer = until(
        "a scrape",
        || Some(get(port, "/api/v1/query?query=rounds_probe_success", "").1).filter(|answer| answer.contains("\"api\"")),
        || get(port, "/api/v1/targets", "").1,
    );
    assert!(answer.contains("\"site\":\"shop\"") && answer.contains("\"home\""), "{answer}");
}

#[test]
fn a_hang_up_takes_a_good_configuration_and_refuses_a_broken_one() {
    let (server, place) = (Server::answering(200), Place::new());
    std::fs::write(place.path().join("work/app.log"), "").unwrap();
    let text = configuration(server.port, FREE);
    put(&place, &text);
    let watch = Watcher::start(&place, &[]);
    watch.shows("rounds_probe_success{site=\"shop\",kind=\"http\",name=\"home\"} 1");

    put(&place, &format!("{text}\n[site.shop.http.api]\nurl = \"http://127.0.0.1:{}/\"\nevry = \"1s\"\n", server.port));
    watch.signal(Signal::SIGHUP);
    let line = watch.says("is refused");
    assert!(line.contains("stays in force") && line.contains("rounds.toml:15:1") && line.contains("evry"), "{line}");
    watch.says("did you mean");
    let page = watch.shows("rounds_config_reloads_total{result=\"error\"} 1");
    assert!(!page.contains("name=\"api\""), "{page}");
    let before = Instant::now();
    until("a poll after the refusal", || (server.asked_since(before) > 0).then_some(()), || watch.text());

    put(&place, &format!("{text}\n[site.shop.http.api]\nurl = \"http://127.0.0.1:{}/\"\nevery = \"1s\"\n", server.port));
    watch.signal(Signal::SIGHUP);
    watch.says("another configuration is in force: 1 added");
    watch.shows("rounds_probe_success{site=\"shop\",kind=\"http\",name=\"api\"} 1");
    watch.shows("rounds_config_reloads_total{result=\"ok\"} 1");

    // Another place to listen: served there, and no more where it was.
    let (old, new) = (watch.port(), TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    put(&place, &text.replace("127.0.0.1:0", &format!("127.0.0.1:{new}")));
    watch.signal(Signal::SIGHUP);
    watch.says(&format!("served at http://127.0.0.1:{new}/metrics"));
    assert_eq!((get(new, "/health", "").0, get(old, "/health", "").0), (200, 0));
}

#[test]
fn a_second_one_stands_by_and_takes_over_from_one_that_was_killed() {
    let (server, place) = (Server::answering(200), Place::new());
    std::fs::write(place.path().join("work/app.log"), "").unwrap();
    put(&place, &configuration(server.port, FREE));
    let mut first = Watcher::start(&place, &[]);
    first.shows("rounds_sources_held 2");
    first.shows("rounds_probe_success{site=\"shop\",kind=\"http\",name=\"home\"} 1");

    // Where the first one serves there is no room for a second.
    let taken = first.port();
    let refused = place.run(&["watch", "--listen", &format!("127.0.0.1:{taken}")]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("it is taken, perhaps by another rounds watch"), "{}", stderr(&refused));

    let second = Watcher::start(&place, &[]);
    second.says("rounds: ready");
    second.shows("rounds_probe_success{site=\"shop\",kind=\"http\",name=\"home\"} 1");
    until("following", || second.get("/metrics").1.contains("result=\"followed\"").then_some(()), || second.text());
    second.shows("rounds_sources_held 0");
    server.assert_polled_once(Duration::from_secs(4));
    assert_eq!(second.get("/health").0, 200, "standing by is well");

    first.signal(Signal::SIGKILL);
    assert_eq!(first.end(), None);
    second.shows("rounds_sources_held 2");
    let before = Instant::now();
    until("looking", || (server.asked_since(before) >= 2).then_some(()), || second.text());
    assert_eq!(second.get("/health").0, 200);
}

/// What was called: method, path and body.
struct Receiver {
    port: u16,
    calls: Arc<Mutex<Vec<(String, String)>>>,
}

impl Receiver {
    fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let mut reader = BufReader::new(&stream);
                let (mut first, mut length) = (String::new(), 0);
                let _ = reader.read_line(&mut first);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                    if let Some(count) = line.to_lowercase().strip_prefix("content-length:") {
                        length = count.trim().parse().unwrap_or(0);
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                let _ = reader.read_exact(&mut body);
                seen.lock().unwrap().push((first.trim().to_owned(), String::from_utf8_lossy(&body).into_owned()));
                let _ = write!(&stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nOK");
            }
        });
        Self { port, calls }
    }

    fn called(&self, part: &str) -> Option<(String, String)> {
        self.calls.lock().unwrap().iter().find(|(first, _)| first.contains(part)).cloned()
    }
}

#[test]
fn somebody_outside_is_told_that_it_lives_and_that_its_disk_is_full() {
    let (server, place, outside) = (Server::answering(200), Place::new(), Receiver::start(0));
    let secret = format!("http://127.0.0.1:{}/0f1e2d3c-hush", outside.port);
    std::fs::write(place.path().join("work/app.log"), "").unwrap();
    std::fs::write(place.path().join("beat"), format!("{secret}\n")).unwrap();
    let beat = format!("{FREE}\nheartbeat = {{ file = \"{}\" }}\nheartbeat_every = \"15s\"", place.path().join("beat").display());
    let path = put(&place, &configuration(server.port, &beat));
    // Files of this process may not grow past 64 KiB: what a full disk does, without one.
    #[expect(clippy::disallowed_methods, reason = "a test starts the program itself, with a limit that only a shell can give it")]
    let mut limited = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -S -f 128; exec \"$0\" --config \"$1\" --state-dir \"$2\" watch";
    let state = place.path().join("state");
    // The journal itself is there already: an open file is what has no room.
    let settings = model::Journal { keep: Duration::from_hours(24), url: None, redact: Vec::new() };
    drop(Journal::open(&state, &settings, Identity::of_this_process()));
    limited.args(["-c", script, env!("CARGO_BIN_EXE_rounds")]).arg(&path).arg(&state).stderr(Stdio::piped());
    let watch = Watcher::of(&mut limited);
    let sworn = || outside.calls.lock().unwrap().iter().filter(|(first, _)| first.starts_with("GET /0f1e2d3c-hush ")).count();
    until("the first call", || (sworn() > 0).then_some(()), || watch.text());
    watch.says("the journal cannot be written");
    let (status, reason) = watch.get("/health");
    assert!(status == 503 && reason.contains("the journal cannot be written"), "{status} {reason}");
    watch.shows("rounds_collector_healthy{part=\"journal\"} 0");
    let page = watch.shows("rounds_collector_healthy{part=\"polls\"} 1");
    assert!(page.contains("rounds_probe_success{site=\"shop\",kind=\"http\",name=\"home\"} 1"), "it goes on looking: {page}");
    let (first, body) = until("the call", || outside.called("/fail"), || watch.text());
    assert!(first.starts_with("POST /0f1e2d3c-hush/fail ") && body.contains("the journal cannot be written"), "{first} {body}");
    let before = sworn();

    let Some(prlimit) = tool("prlimit") else { return };
    #[expect(clippy::disallowed_methods, reason = "a test starts the tool itself")]
    let lifted = Command::new(prlimit).args(["--fsize=unlimited:", "--pid", &watch.child.id().to_string()]).status().unwrap();
    assert!(lifted.success());
    watch.says("all is well with the collector again");
    assert_eq!(watch.get("/health").0, 200);
    until("the call", || (sworn() > before).then_some(()), || watch.text());
    assert!(!watch.text().contains("hush"), "{}", watch.text());
}

#[test]
fn a_heartbeat_that_nobody_takes_is_told_once_and_hinders_nothing() {
    let (server, place) = (Server::answering(200), Place::new());
    std::fs::write(place.path().join("work/app.log"), "").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let beat = format!("{FREE}\nheartbeat = {{ env = \"BEAT\" }}\nheartbeat_every = \"15s\"");
    let path = put(&place, &configuration(server.port, &beat));
    let arguments = ["--config", path.to_str().unwrap()];
    let address = format!("http://127.0.0.1:{port}/0f1e2d3c-hush");
    let watch = Watcher::of(place.command().args(arguments).arg("watch").env("BEAT", &address));
    let line = watch.says("the heartbeat is not taken");
    assert!(line.contains("connection refused") && !line.contains("hush"), "{line}");
    watch.shows("rounds_heartbeats_total{result=\"error\"} 1");
    assert_eq!(watch.get("/health").0, 200, "rounds itself is well");
    let outside = Receiver::start(port);
    watch.says("the heartbeat is taken again");
    assert!(outside.called("GET /0f1e2d3c-hush ").is_some());
    watch.shows("rounds_heartbeats_total{result=\"ok\"} 1");

    // Found in the working directory and not trusted: nobody is called.
    drop(watch);
    let watch = Watcher::of(place.command().arg("watch").env("BEAT", &address));
    watch.says("the heartbeat is not called: this configuration is not trusted");
}

#[test]
fn the_service_manager_is_told() {
    let (server, place) = (Server::answering(200), Place::new());
    std::fs::write(place.path().join("work/app.log"), "").unwrap();
    let path = put(&place, &configuration(server.port, FREE));
    let socket = place.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let mut command = place.command();
    command.args(["--config", path.to_str().unwrap(), "watch"]).env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "900000");
    let mut watch = Watcher::of(&mut command);
    let told = |wanted: &str| {
        let begun = Instant::now();
        let mut bytes = [0; 1024];
        loop {
            let count = manager.recv(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            if text.starts_with(wanted) {
                return text;
            }
            assert!(begun.elapsed() < SOON, "never told {wanted}");
        }
    };
    let ready = told("READY=1");
    assert!(ready.contains("STATUS=2 sources: "), "{ready}");
    told("WATCHDOG=1");
    told("WATCHDOG=1");
    watch.signal(Signal::SIGHUP);
    let reloading = told("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    told("READY=1");
    watch.signal(Signal::SIGINT);
    told("STOPPING=1");
    assert_eq!(watch.end(), Some(0));
}

#[test]
fn what_other_machines_reach_is_not_listened_to_unless_that_is_said() {
    let place = Place::new();
    for (table, part) in [
        ("[watch]\nlisten = \"0.0.0.0:9911\"\n", "can be reached by other machines"),
        ("[watch]\nlisten = \"9911\"\n", "this is no address to listen on"),
        ("[watch]\nheartbeat_every = \"1s\"\n", "write \"15s\" or more"),
        ("[watch]\nheartbeat = \"hush\"\n", "a heartbeat is called at an address"),
        ("[watch]\nlisen = \"none\"\n", "did you mean `listen`"),
    ] {
        put(&place, table);
        let output = place.run(&["watch"]);
        assert_eq!(code(&output), 64, "{table}");
        assert!(stderr(&output).contains(part) && !stderr(&output).contains("hush"), "{table}: {}", stderr(&output));
    }
}

/// A data set whose drill is long due and takes its time: what it starts leaves its number in a file. Gives that file.
fn drill_is_due(place: &Place) -> PathBuf {
    let work = place.path().join("work");
    std::fs::create_dir(work.join("copies")).unwrap();
    std::fs::write(work.join("copies/shop.sql"), "-- MySQL dump 10.13\nINSERT INTO t VALUES (1);\n-- Dump completed on 2026-11-20  3:00:00\n").unwrap();
    let pid = work.join("pid");
    let command = format!("echo $$ > {0}.part; mv {0}.part {0}; sleep 600 & wait", pid.display());
    put(
        place,
        &format!(
            "{FREE}\n[site.shop.files.db]\npath = \"copies/*.sql\"\nevery = \"1s\"\ndrill = {{ every = \"30d\", scratch = \"scratch\", assert = {{ command = [\"sh\", \"-c\", {command:?}] }} }}\n"
        ),
    );
    let settings = model::Journal { keep: Duration::from_hours(24 * 400), url: None, redact: Vec::new() };
    let journal = Journal::open(&state(place), &settings, Identity::of_this_process()).journal.unwrap();
    let (source, at) = (SourceId::parse("shop/files/db").unwrap(), rounds::io::clock::now() - chrono::TimeDelta::days(60));
    let drill = rounds::domain::Drill { at, ok: true, seconds: 1.0, copy: None, phases: Vec::new(), assertions: Vec::new(), problem: None };
    journal.keep_transition(rounds::actions::drill::Evidence::Drill(Box::new(drill)).transition(&source));
    assert!(journal.flush(SOON));
    pid
}

/// Whether a process runs; one that has ended and whom nobody asked is no more.
fn runs(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

fn number(file: &Path) -> Option<i32> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// How the runs of the journal ended, one after the other.
fn endings(place: &Place) -> Vec<String> {
    let snapshot = read_snapshot(&state(place)).unwrap();
    let ended = |event: &rounds::domain::Transition| match &event.kind {
        rounds::domain::TransitionKind::Action { ended, .. } => Some(ended.as_ref().map_or_else(|| "begun".to_owned(), |end| end.words.clone())),
        _ => None,
    };
    snapshot.events.iter().filter_map(ended).collect()
}

#[test]
fn stopped_in_the_middle_of_a_drill_it_leaves_nothing_behind() {
    let place = Place::new();
    let file = drill_is_due(&place);
    let mut watch = Watcher::start(&place, &["--config", "rounds.toml"]);
    let pid = until("the drill", || number(&file), || watch.text());
    assert!(runs(pid) && place.path().join("work/scratch").exists());
    watch.signal(Signal::SIGTERM);
    assert_eq!(watch.end(), Some(0), "{}", watch.text());
    watch.says("rounds: stopped");
    until("the end of what the drill had started", || (!runs(pid)).then_some(()), String::new);
    assert!(!place.path().join("work/scratch").exists(), "the scratch place is still there");
    assert_eq!(endings(&place), ["begun", "stopped: the collector ended"]);
    assert!(place.path().join("work/copies/shop.sql").exists());
}

#[test]
fn killed_in_the_middle_of_a_drill_the_next_start_says_so_and_cleans() {
    let place = Place::new();
    let file = drill_is_due(&place);
    let mut watch = Watcher::start(&place, &["--config", "rounds.toml"]);
    let pid = until("the drill", || number(&file), || watch.text());
    watch.signal(Signal::SIGKILL);
    until("the end", || watch.child.try_wait().unwrap(), String::new);
    assert!(runs(pid) && place.path().join("work/scratch").exists(), "nobody could clean");
    std::fs::remove_file(&file).unwrap();

    let mut next = Watcher::start(&place, &["--config", "rounds.toml"]);
    let line = next.says("broken off; what it left is taken away");
    assert!(line.contains("drill of shop/files/db"), "{line}");
    until("the end of what the drill had started", || (!runs(pid)).then_some(()), String::new);
    let left = std::fs::read_dir(place.path().join("work/scratch")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "what was restored still lies there");
    next.signal(Signal::SIGTERM);
    assert_eq!(next.end(), Some(0), "{}", next.text());
    // It is not begun again at once.
    assert_eq!(endings(&place), ["begun", "broken off; what it left is taken away"]);
}
