//! Several at once on one journal: dashboards, a check, and verbs that tell something. Real processes, one of them killed.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::cli::Place;
use crate::pty::Terminal;
use rounds::config::model;
use rounds::journal::{Identity, Journal, read_snapshot};

/// How long a thing that takes a second may take on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// A server that answers one status and remembers when it was asked.
pub struct Server {
    pub port: u16,
    asked: Arc<Mutex<Vec<Instant>>>,
    status: Arc<AtomicU16>,
}

impl Server {
    fn start() -> Self {
        Self::answering(500)
    }

    /// Answers this from now on; 0: nothing at all.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub fn answering(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let answers = Arc::clone(&status);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming().flatten() {
                seen.lock().unwrap().push(Instant::now());
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let mut lines = BufReader::new(&stream).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let status = answers.load(Ordering::SeqCst);
                if status == 0 {
                    silent.push(stream);
                    continue;
                }
                let _ = write!(&stream, "HTTP/1.1 {status} Oh\r\ncontent-length: 3\r\nconnection: close\r\n\r\noh\n");
            }
        });
        Self { port, asked, status }
    }

    pub fn asked_since(&self, begin: Instant) -> usize {
        self.asked.lock().unwrap().iter().filter(|at| **at > begin).count()
    }

    /// Asked in this time by one poller of one second: twice that would be two of them.
    pub fn assert_polled_once(&self, window: Duration) {
        let begin = Instant::now();
        std::thread::sleep(window);
        let asked = self.asked_since(begin);
        let seconds = begin.elapsed().as_secs_f64();
        assert!((asked as f64) < seconds * 1.5 + 1.0, "asked {asked} times in {seconds:.1} s");
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < SOON, "{what} took too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn said(place: &Place, arguments: &[&str]) -> (i32, String) {
    let output = place.run(arguments);
    (output.status.code().unwrap(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn dashboards_a_check_and_an_acknowledgement_share_one_journal_and_survive_a_kill() {
    let server = Server::start();
    let place = Place::new();
    std::fs::write(
        place.path().join("work/rounds.toml"),
        format!(
            "[site.shop]\ntitle = \"Shop\"\n[site.shop.http.basket]\nurl = \"http://127.0.0.1:{}/\"\nevery = \"1s\"\nretry_every = \"1s\"\nfailures = 2\n",
            server.port
        ),
    )
    .unwrap();
    let state = place.path().join("home/.state/rounds");

    let mut first = Terminal::start(&place, &[], &[]);
    first.wait_for_text("basket is down");
    let second = Terminal::start(&place, &[], &[]);
    second.wait_for_text("basket is down");
    let mut wall = Terminal::start(&place, &["--wall"], &[]);
    wall.wait_for_text("basket is down");
    // The second one has said by now which sources it polls: none.
    std::thread::sleep(Duration::from_secs(1));
    server.assert_polled_once(Duration::from_secs(4));

    let (code, text) = said(&place, &["check"]);
    assert_eq!(code, 2, "{text}");
    let begun = Instant::now();
    let (code, text) = said(&place, &["ack", "shop/http/basket", "--why", "the disk is on its way"]);
    assert_eq!(code, 0, "{text}");
    for terminal in [&first, &second] {
        terminal.wait_for("the acknowledgement", |screen| screen.contents().contains("z ACK"));
    }
    wall.wait_for_text("has it");
    assert!(begun.elapsed() < SOON, "the acknowledgement took {:?}", begun.elapsed());
    println!("everybody knew of the acknowledgement {:?} after the verb began", begun.elapsed());

    first.signal(Signal::SIGKILL);
    first.end();
    let killed = Instant::now();
    until("taking the lease over", || server.asked_since(killed) >= 2);
    server.assert_polled_once(Duration::from_secs(3));
    wall.wait_for_text("has it");
    wall.press("q");
    assert_eq!(wall.end(), 0);
    assert!(second.text().contains("z ACK"), "the successor knows who has it:\n{}", second.text());

    let (code, text) = said(&place, &["deployed", "v7", "--by", "ci"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = said(&place, &["silence", "shop", "--for", "4s", "--why", "the disk is changed"]);
    assert_eq!(code, 0, "{text}");
    second.wait_for("the maintenance window", |screen| screen.contents().contains("◇ shop"));
    let (code, text) = said(&place, &["check"]);
    assert!(code == 0 && text.contains("1 in maintenance") && text.contains("MAINTENANCE shop/http/basket"), "{text}");
    second.wait_for("its end", |screen| screen.contents().contains("z ACK"));

    let mut second = second;
    second.press("0");
    second.wait_for_text("deploy v7 by ci");
    second.press("q");
    assert_eq!(second.end(), 0);

    let (code, text) = said(&place, &["ack", "shop/http/basket#availability", "--undo"]);
    assert_eq!(code, 0, "{text}");
    let snapshot = read_snapshot(&state).unwrap();
    assert_eq!((snapshot.unreadable, snapshot.acknowledgements.iter().filter(|(id, _)| id.rule() == "availability").count()), (0, 0));
    let settings = model::Journal { keep: Duration::from_hours(24), url: None, redact: Vec::new() };
    assert_eq!(Journal::open(&state, &settings, Identity::of_this_process()).trouble, None);
}

#[test]
fn what_somebody_has_counts_no_more_in_the_exit_code_of_check() {
    let place = Place::new();
    let demo = rounds::demo::Site::start(&place.path().join("demo"), rounds::demo::Options::default()).unwrap();
    let (config, state) = (demo.config_path(), place.path().join("state"));
    let rounds = |arguments: &[&str]| {
        let common = ["--config", config.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
        said(&place, &[&common[..], arguments].concat())
    };
    let (code, text) = rounds(&["check", "blog/http/feed"]);
    assert!(code == 1 && text.contains("Certificate of"), "{code} {text}");
    for (arguments, part) in [
        (&["ack", "blog/http/feed", "--why", ""][..], "a reason is needed"),
        (&["ack", "blog/http/nothing", "--why", "x"], "no source is named"),
        (&["ack", "blog/http/feed#availability", "--why", "x"], "there is blog/http/feed#certificate"),
        (&["ack", "blog/http/feed", "--why", "x", "--until", "2020-01-01"], "is over already"),
        (&["ack", "blog/http/feed", "--undo"], "nobody has"),
        (&["ack", "blog/http/feed"], "--why"),
        (&["silence", "nowhere", "--for", "1h", "--why", "x"], "there are: shop, blog"),
        (&["silence", "blog", "--undo"], "not in maintenance"),
        (&["deployed", "v1"], "which site?"),
        (&["--read-only", "ack", "blog/http/feed", "--why", "x"], "nothing is changed"),
    ] {
        let (code, text) = rounds(arguments);
        assert!(code == 64 && text.contains(part), "{arguments:?}: {code} {text}");
    }
    assert_eq!(rounds(&["ack", "blog/http/feed#certificate", "--why", "ordered", "--until", "2d"]).0, 0);
    let (code, text) = rounds(&["check", "--json", "blog/http/feed"]);
    assert!(code == 0 && text.contains("\"why\":\"ordered\""), "{code} {text}");
    assert_eq!(rounds(&["ack", "blog/http/feed", "--undo"]).0, 0);
    assert_eq!(rounds(&["check", "blog/http/feed"]).0, 1);

    // The baseline takes what is there, and gives back only what it took.
    let (code, text) = rounds(&["--site", "blog", "baseline"]);
    assert!(code == 0 && text.contains("blog/http/feed#certificate"), "{code} {text}");
    assert_eq!(rounds(&["check", "blog/http/feed"]).0, 0);
    assert_eq!(rounds(&["--site", "blog", "baseline", "--undo"]).0, 0);
    assert_eq!(rounds(&["check", "blog/http/feed"]).0, 1);
}

/// A port that nothing listens at, as far as anybody knows.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn being_cut_off_is_said_on_evidence_only_and_hides_nothing_that_is_near() {
    // No connection goes to the broadcast address: the system refuses it, and nothing leaves this machine.
    let write = |place: &Place, anchor: u16| {
        let text = format!(
            "[offline]\nanchors = [\"127.0.0.1:{anchor}\"]\n[site.shop]\n[site.shop.http.far]\nurl = \"http://255.255.255.255/\"\nevery = \"1s\"\nretry_every = \"1s\"\ntimeout = \"500ms\"\nproxy = \"none\"\n[site.shop.http.near]\nurl = \"http://127.0.0.1:{}/\"\nevery = \"1s\"\nretry_every = \"1s\"\nfailures = 2\n",
            closed_port()
        );
        std::fs::write(place.path().join("work/rounds.toml"), text).unwrap();
    };
    let place = Place::new();
    let anchor = closed_port();
    write(&place, anchor);
    let (code, text) = said(&place, &["check", "shop/http/far"]);
    assert!(code == 3 && text.contains("this machine is offline"), "{code} {text}");
    let (code, text) = said(&place, &["check"]);
    assert!(code == 2 && text.contains("DOWN shop/http/near") && text.contains("UNKNOWN shop/http/far"), "{code} {text}");

    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_text("WE ARE OFFLINE");
    terminal.wait_for_text("near is down");
    assert!(!terminal.text().contains("far is down"), "{}", terminal.text());
    // The anchor answers: it is the site that does not.
    let _back = TcpListener::bind(("127.0.0.1", anchor)).unwrap();
    terminal.wait_for_text("far is down");
    assert!(!terminal.text().contains("OFFLINE"), "{}", terminal.text());
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    let (code, text) = said(&place, &["check", "shop/http/far"]);
    assert!(code == 2 && text.contains("DOWN shop/http/far"), "{code} {text}");
}

#[test]
fn a_configuration_is_taken_while_running_and_a_broken_one_is_told() {
    let (old, added) = (Server::start(), Server::start());
    let place = Place::new();
    let file = place.path().join("work/rounds.toml");
    let source =
        |name: &str, port: u16| format!("[site.shop.http.{name}]\nurl = \"http://127.0.0.1:{port}/\"\nevery = \"1s\"\nretry_every = \"1s\"\nfailures = 2\n");
    std::fs::write(&file, source("basket", old.port)).unwrap();
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_text("basket is down");

    std::fs::write(&file, format!("{}evry = \"1s\"\n", source("basket", old.port))).unwrap();
    terminal.wait_for_text("unknown key `evry`");
    assert!(terminal.text().contains("▲ rounds.toml:6:1") && terminal.text().contains("the file before it is in force"), "{}", terminal.text());
    let begin = Instant::now();
    until("the old configuration goes on", || old.asked_since(begin) >= 2);

    // As editors do it: another file takes the name.
    let other = place.path().join("work/rounds.toml.new");
    std::fs::write(&other, format!("{}{}", source("basket", old.port), source("search", added.port))).unwrap();
    std::fs::rename(&other, &file).unwrap();
    terminal.wait_for_text("search is down");
    let text = terminal.text();
    assert!(!text.contains("evry") && text.contains("basket is down"), "{text}");
    terminal.press("0");
    terminal.wait_for_text("another configuration is in force: 1 added");

    std::fs::write(&file, source("search", added.port)).unwrap();
    terminal.press("1");
    terminal.wait_for("basket to go", |screen| screen.contents().contains("search is down") && !screen.contents().contains("basket is down"));
    let begin = Instant::now();
    std::thread::sleep(Duration::from_secs(2));
    assert!(old.asked_since(begin) <= 1, "nobody asks what is not watched any more");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn all_that_a_configuration_says_is_taken_while_running() {
    let server = Server::start();
    let place = Place::new();
    let file = place.path().join("work/rounds.toml");
    let ran = place.path().join("ran");
    let site = format!("[site.shop]\n[site.shop.http.basket]\nurl = \"http://127.0.0.1:{}/\"\nevery = \"1s\"\nfailures = 2\n", server.port);
    let action = |name: &str, key: &str| format!("[site.shop.action.{name}]\nrun = [\"touch\", \"{}\"]\nkey = \"{key}\"\n", ran.join(name).display());
    std::fs::create_dir(&ran).unwrap();
    std::fs::write(&file, format!("{site}{}", action("warm", "X"))).unwrap();
    assert_eq!(said(&place, &["trust"]).0, 0);
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_text("basket is down");
    terminal.press("X");
    terminal.wait_for_text("run it");

    // The question is about what it was: it goes, and Enter runs nothing. The changed file is not trusted yet.
    let next = format!(
        "[ui]\ntheme = \"mono\"\nmouse = true\nzone = \"Asia/Tokyo\"\n[keys]\nquit = \"Q\"\n[journal]\nredact = [\"cold[a-z]*\"]\n{site}{}",
        action("colder", "Y")
    );
    std::fs::write(&file, &next).unwrap();
    terminal.wait_for_text("changed since it was trusted: its actions do not run");
    terminal.wait_for("the question to go", |screen| !screen.contents().contains("run it"));
    terminal.wait_for("the mouse", |screen| screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None);
    terminal.press("\rX");
    terminal.press("0");
    terminal.wait_for_text("new actions, keys, looks, mouse");
    let coloured =
        |screen: &vt100::Screen| (0..24).any(|row| (0..80).any(|column| screen.cell(row, column).is_some_and(|cell| cell.fgcolor() != vt100::Color::Default)));
    terminal.wait_for("no colour", |screen| !coloured(screen));

    // Trusted while it is in force: the next look at the file says that it may run.
    assert_eq!(said(&place, &["trust"]).0, 0);
    terminal.wait_for_text("new trust");
    terminal.press("1");
    terminal.wait_for_text("basket is down");
    terminal.press("Y");
    terminal.wait_for_text("run it");
    terminal.press("\r");
    until("the new action", || ran.join("colder").exists());
    assert!(!ran.join("warm").exists());
    terminal.press("\u{1b}");
    // `q` has another key now.
    terminal.wait_for("the page", |screen| screen.contents().contains("1 ") && !screen.contents().contains("┌"));
    terminal.press("q");
    std::thread::sleep(Duration::from_millis(300));
    terminal.press("Q");
    assert_eq!(terminal.end(), 0);
    let kept = read_snapshot(&place.path().join("home/.state/rounds")).unwrap();
    let about: Vec<String> = kept.events.iter().map(|event| format!("{:?}", event.kind)).filter(|kind| kind.contains("Action")).collect();
    assert!(!about.is_empty() && about.iter().all(|kind| !kind.contains("touch") || kind.contains("***")), "{about:?}");
}

#[test]
fn why_opens_the_diagnostic_of_a_broken_file_with_its_line_and_caret() {
    let place = Place::new();
    let file = place.path().join("work/rounds.toml");
    let site = "[site.shop]\n[site.shop.http.basket]\nurl = \"http://127.0.0.1:1/\"\nevery = \"1s\"\nfailures = 1\n";
    std::fs::write(&file, site).unwrap();
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_text("basket is down");
    std::fs::write(&file, format!("{site}evry = \"1s\"\n")).unwrap();
    terminal.wait_for_text("rounds.toml:6:1 unknown key `evry`");
    terminal.press(":why");
    terminal.wait_for_text("why: rounds.toml:6:1");
    terminal.press("\r");
    terminal.wait_for_text("what rounds has to say");
    let text = terminal.text();
    for part in ["6 |", "evry = \"1s\"", "^^^^", "did you mean `every`", "since "] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    terminal.press("\u{1b}");
    std::fs::write(&file, site).unwrap();
    terminal.wait_for("the banner to go", |screen| !screen.contents().contains("evry"));
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}
