//! The journal between real processes, and files of every version ever written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rounds::config::model;
use rounds::domain::book::Mark;
use rounds::domain::{
    Acknowledgement, Capability, Data, Deed, FindingId, Health, LatencyLimits, Level, LogBatch, LogEvent, LogGroup, Noted, Observation, Phases, SourceId,
    Status, Timestamp, Transition, TransitionKind, Verdict,
};
use rounds::journal::{FILE, Identity, Journal, Reader, VERSION, read_snapshot};
use rounds::sources::Collected;
use rounds::state::Msg;
use rounds::state::msg::Polled;

const SOON: Duration = Duration::from_secs(30);
/// Where the other process finds the directory.
const DIR: &str = "ROUNDS_TEST_JOURNAL";

fn settings() -> model::Journal {
    model::Journal { keep: Duration::from_hours(400 * 24), url: None, redact: Vec::new() }
}

fn open(dir: &Path) -> Journal {
    let opened = Journal::open(dir, &settings(), Identity::of_this_process());
    assert_eq!(opened.trouble, None);
    opened.journal.unwrap()
}

fn source() -> SourceId {
    SourceId::parse("shop/http/home").unwrap()
}

fn at(s: i64) -> Timestamp {
    Timestamp::from_timestamp(1_790_000_000 + s, 0).unwrap()
}

fn probe(s: i64) -> Polled {
    let health = Health {
        verdict: Verdict::Ok,
        status_code: Some(200),
        latency_ms: Some(20.0 + (s % 50) as f64),
        phases_ms: Phases::default(),
        expectations: Vec::new(),
        limits: LatencyLimits::default(),
        request: "GET /health/".to_owned(),
        body_bytes: 12,
        error: None,
        silenced: false,
    };
    let collected = Collected { observations: vec![Observation { at: at(s), data: Data::Health(health) }], problems: Vec::new(), complete: true };
    Polled { source: source(), started: at(s), at: at(s), result: Ok(collected), next_at: None }
}

fn became_ok(s: i64) -> Transition {
    Transition {
        at: at(s),
        site: "shop".to_owned(),
        source: Some(source()),
        kind: TransitionKind::Status { from: Status::Pending, to: Status::Ok },
        sentence: "home answers".to_owned(),
    }
}

fn log() -> SourceId {
    SourceId::parse("shop/log/django").unwrap()
}

/// A group of the error book that came three times and was resolved.
fn fill_book(journal: &Journal) {
    let (fingerprint, level) = ("9e1f00aa55bb".to_owned(), Level::Error);
    let event = LogEvent {
        at: at(9),
        level,
        file: 0,
        message: "Internal Server Error: /basket/".to_owned(),
        detail: vec!["Traceback (most recent call last):".to_owned(), "KeyError: 'currency'".to_owned()],
        fingerprint: Some(fingerprint.clone()),
        place: None,
    };
    let group = LogGroup {
        fingerprint: fingerprint.clone(),
        title: "KeyError: 'currency'".to_owned(),
        culprit: "basket/pricing.py:88 in total".to_owned(),
        level,
        count: 3,
        first_seen: at(7),
        last_seen: at(9),
    };
    let noted = Noted { fingerprint: fingerprint.clone(), former: None, times: vec![(at(7).timestamp(), 1), (at(9).timestamp(), 2)] };
    let batch = LogBatch { groups: vec![group], book: vec![noted], events: vec![event], ..LogBatch::default() };
    let collected = Collected { observations: vec![Observation { at: at(9), data: Data::Log(batch) }], problems: Vec::new(), complete: false };
    journal.keep_poll(Polled { source: log(), started: at(9), at: at(9), result: Ok(collected), next_at: None });
    assert!(journal.flush(SOON));
}

/// This same test program, doing nothing but [`the_other_process`].
#[expect(clippy::disallowed_methods, reason = "a process that is killed half-way is what is tested")]
fn other_process(dir: &Path) -> Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "journal::the_other_process", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test by itself: in a process started by [`other_process`] it holds the lease and polls until it is killed.
#[test]
fn the_other_process() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let journal = open(Path::new(&dir));
    let _keeper = journal.leases().keep([source()].into(), |_| {}).unwrap();
    let began = Instant::now();
    for s in 0.. {
        journal.keep_poll(probe(s));
        thread::sleep(Duration::from_millis(2));
        if began.elapsed() > SOON * 2 {
            return;
        }
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {SOON:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_process_leaves_a_sound_journal_and_its_lease_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let (tell, told) = std::sync::mpsc::channel();
    let _follower = journal.follow(0, move |msg| tell.send(msg).is_ok()).unwrap();
    let mut child = other_process(dir.path());
    // Its polls arrive here as messages while it lives.
    let heard = |least: i64| wait_for("its polls", || told.try_iter().any(|msg| matches!(msg, Msg::Polled(polled) if polled.at >= at(least))).then_some(()));
    heard(200);
    let mut leases = journal.leases();
    let wanted = [source()].into();
    assert!(leases.acquire(&wanted, rounds::io::clock::now()).unwrap().is_empty(), "it polls, we do not");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(leases.acquire(&wanted, rounds::io::clock::now()).unwrap(), &wanted, "at once: it is gone from this machine");
    // What it had written is whole: every probe up to the last one, none missing in between.
    let last = read_snapshot(dir.path()).unwrap().polls[0].at;
    let samples = journal.reader().unwrap().samples(&source(), at(0), last).unwrap();
    let missing: Vec<i64> = (0..=(last - at(0)).num_seconds()).filter(|s| !samples.iter().any(|point| point.at_ms == at(*s).timestamp_millis())).collect();
    assert!(last >= at(200) && missing.is_empty(), "{missing:?}");
    // And it goes on.
    journal.keep_poll(probe(1_000_000));
    assert!(journal.flush(SOON));
    assert_eq!(read_snapshot(dir.path()).unwrap().polls[0], probe(1_000_000));
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/journal")
}

/// What every fixture holds.
fn fill(journal: &Journal) {
    for s in 0..400 {
        journal.keep_poll(probe(s * 60));
    }
    journal.keep_transition(became_ok(5));
    let by_ann = Acknowledgement { by: "ann".to_owned(), why: "deploy".to_owned(), at: at(7), until: Some(at(3_600)), bound: None };
    journal.keep_acknowledgement(FindingId::new(&source(), "availability"), Some(by_ann));
    journal.keep_acknowledgement(FindingId::new(&source(), "latency"), None);
    assert!(journal.flush(SOON));
}

#[test]
fn a_file_of_every_version_ever_written_is_read() {
    let today = fixtures().join(format!("v{VERSION}.sqlite"));
    // A new version gets its file once, by hand, and keeps it for ever.
    if std::env::var_os("ROUNDS_WRITE_FIXTURES").is_some() && !today.exists() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path());
        fill(&journal);
        fill_book(&journal);
        rounds::journal::perform(dir.path(), &log(), "9e1f00aa55bb", &Deed::Resolve, "ann", at(20)).unwrap();
        drop(journal);
        fs::create_dir_all(fixtures()).unwrap();
        fs::copy(dir.path().join(FILE), &today).unwrap();
    }
    for version in 1..=VERSION {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(fixtures().join(format!("v{version}.sqlite")), dir.path().join(FILE)).unwrap();
        // Opened for writing first: that migrates an older one.
        let journal = open(dir.path());
        let snapshot = read_snapshot(dir.path()).unwrap();
        let polls: Vec<Polled> = snapshot.polls.into_iter().filter(|polled| polled.source == source()).collect();
        assert_eq!((polls, snapshot.events, snapshot.unreadable), (vec![probe(399 * 60)], vec![became_ok(5)], 0), "v{version}");
        if version >= 2 {
            let book = snapshot.books.iter().find(|book| book.source == log()).unwrap();
            let (name, Some(group)) = &book.rows[0] else { panic!("a group") };
            assert_eq!((name.as_str(), group.count, group.mark, group.said.as_ref().unwrap().by.as_str()), ("9e1f00aa55bb", 3, Mark::Resolved, "ann"));
            assert_eq!(Reader::open(dir.path()).unwrap().example(&log(), name).unwrap().unwrap().event.message, "Internal Server Error: /basket/");
        }
        assert_eq!(snapshot.acknowledgements.iter().map(|(id, ack)| (id.rule(), ack.by.as_str())).collect::<Vec<_>>(), [("availability", "ann")]);
        let reader = Reader::open(dir.path()).unwrap();
        assert_eq!(reader.samples(&source(), at(0), at(100_000)).unwrap().len(), 400);
        let history = reader.history(&source(), at(399 * 60)).unwrap();
        assert_eq!(history.days.iter().map(|(_, bucket)| bucket.total).sum::<u64>(), 400);
        assert!(reader.observation(&source(), Capability::Health, at(100)).unwrap().is_some());
        journal.keep_poll(probe(500 * 60));
        assert!(journal.flush(SOON));
    }
}

#[test]
fn a_read_only_directory_still_gives_the_first_frame() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    fill(&journal);
    drop(journal);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let polls = read_snapshot(dir.path()).map(|snapshot| snapshot.polls.len());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(polls, Some(1));
}
