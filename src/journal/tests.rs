//! Whole-room tests: files, threads, processes that die, disks that are full.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::writer::Tuning;
use super::*;
use crate::domain::{
    Capability, Certificate, Data, Expectation, Health, LatencyLimits, Level, LogBatch, LogEvent, LogGroup, Observation, Phases, SourceError, SourceId, Status,
    TransitionKind, Verdict,
};
use crate::sources::Collected;

const SOON: Duration = Duration::from_secs(20);

fn settings() -> model::Journal {
    model::Journal { keep: Duration::from_secs(400 * 86_400), url: None, redact: Vec::new() }
}

fn quick() -> Tuning {
    Tuning {
        flush: Duration::from_millis(20),
        retry: (Duration::from_millis(20), Duration::from_millis(50)),
        look: Duration::from_millis(20),
        beat: Duration::from_millis(50),
        ..Tuning::default()
    }
}

fn identity(pid: u32) -> Identity {
    Identity { host: "web1".to_owned(), pid, user: "ann".to_owned() }
}

fn open(dir: &Path) -> Journal {
    let opened = Journal::open_with(dir, &settings(), identity(std::process::id()), quick());
    assert_eq!(opened.trouble, None);
    opened.journal.unwrap()
}

fn source(name: &str) -> SourceId {
    SourceId::new("shop", "http", name).unwrap()
}

fn at(s: i64) -> Timestamp {
    Timestamp::from_timestamp(1_790_000_000 + s, 0).unwrap()
}

fn health(latency_ms: Option<f64>, verdict: Verdict) -> Data {
    Data::Health(Health {
        verdict,
        status_code: latency_ms.map(|_| 200),
        latency_ms,
        phases_ms: Phases { first_byte: latency_ms, ..Phases::default() },
        expectations: vec![Expectation { name: "latency".into(), ok: true, level: Verdict::Down, expected: "2 s".into(), seen: format!("{latency_ms:?}") }],
        limits: LatencyLimits::default(),
        request: "GET /".into(),
        body_bytes: 12,
        error: None,
        silenced: false,
    })
}

fn polled(source: &SourceId, at: Timestamp, data: Vec<Data>) -> Polled {
    let observations = data.into_iter().map(|data| Observation { at, data }).collect();
    Polled { source: source.clone(), started: at, at, result: Ok(Collected { observations, problems: Vec::new(), complete: true }), next_at: None }
}

fn probe(name: &str, s: i64, ms: f64) -> Polled {
    polled(&source(name), at(s), vec![health(Some(ms), Verdict::Ok)])
}

fn became(name: &str, s: i64, to: Status) -> Transition {
    Transition {
        at: at(s),
        site: "shop".into(),
        source: Some(source(name)),
        kind: TransitionKind::Status { from: Status::Pending, to },
        sentence: format!("{name} is {}", to.word()),
    }
}

#[test]
fn what_was_seen_in_a_maintenance_window_is_kept_and_is_no_point_of_the_uptime() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let silenced = |s: i64| {
        let mut data = health(None, Verdict::Down);
        if let Data::Health(health) = &mut data {
            health.silenced = true;
        }
        polled(&source("home"), at(s), vec![data])
    };
    journal.keep_poll(probe("home", 1, 5.0));
    journal.keep_poll(silenced(2));
    journal.keep_poll(silenced(3));
    assert!(journal.flush(SOON));
    let history = journal.reader().unwrap().history(&source("home"), at(60)).unwrap();
    assert_eq!((history.samples.len(), history.days.iter().map(|(_, day)| (day.total, day.failed)).collect::<Vec<_>>()), (1, vec![(1, 0)]));
    assert_eq!(read_snapshot(dir.path()).unwrap().polls, [silenced(3)]);
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {SOON:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_was_kept_is_on_the_next_first_frame() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state/rounds");
    assert_eq!(read_snapshot(&state), None);
    let journal = open(&state);
    let failed = Polled { result: Err(SourceError::timeout(Duration::from_secs(2))), ..probe("api", 3, 1.0) };
    journal.keep_poll(probe("home", 1, 34.1));
    journal.keep_poll(probe("home", 2, 35.2));
    journal.keep_poll(failed.clone());
    journal.keep_transition(became("home", 1, Status::Ok));
    let finding = FindingId::new(&source("api"), "availability");
    let ack = Acknowledgement { by: "ann".into(), why: "deploy".into(), at: at(4), until: None, bound: None };
    journal.keep_acknowledgement(finding.clone(), Some(ack.clone()));
    drop(journal);
    let snapshot = read_snapshot(&state).unwrap();
    assert_eq!(snapshot.polls, [failed, probe("home", 2, 35.2)]);
    assert_eq!(snapshot.events, [became("home", 1, Status::Ok)]);
    assert_eq!(snapshot.acknowledgements, [(finding, ack)]);
    assert_eq!((snapshot.newest(), snapshot.unreadable), (Some(at(3)), 0));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
}

#[test]
fn a_directory_shared_by_a_group_gives_a_journal_shared_by_the_group() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o770)).unwrap();
    let journal = open(dir.path());
    journal.keep_poll(probe("home", 1, 1.0));
    assert!(journal.flush(SOON));
    for name in [FILE, "journal.sqlite-wal", "journal.sqlite-shm"] {
        assert_eq!(fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, 0o660, "{name}");
    }
}

#[test]
fn history_has_hours_days_and_samples_across_sealed_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    // 15 hours each minute: several blocks and a rest; one outage without an answer.
    for i in 0..900 {
        let down = (300..310).contains(&i);
        let data = if down { health(None, Verdict::Down) } else { health(Some(10.0 + (i % 100) as f64), Verdict::Ok) };
        journal.keep_poll(polled(&source("home"), at(i * 60), vec![data]));
    }
    assert!(journal.flush(SOON));
    let reader = journal.reader().unwrap();
    let history = reader.history(&source("home"), at(900 * 60)).unwrap();
    assert_eq!(history.hours.iter().map(|(_, b)| b.total).sum::<u64>(), 900);
    assert_eq!(history.days.iter().map(|(_, b)| (b.total, b.failed)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)), (900, 10));
    assert!(history.hours.windows(2).all(|pair| pair[0].0 + 3_600 == pair[1].0), "hours follow each other once");
    assert_eq!(history.samples.len(), 180);
    assert_eq!(history.samples.last().map(|s| (s.at, s.latency_ms)), Some((at(899 * 60), Some(109.0))));
    let median = history
        .days
        .iter()
        .fold(crate::domain::Histogram::default(), |mut all, (_, b)| {
            all.merge(&b.latency);
            all
        })
        .quantile(0.5)
        .unwrap();
    assert!((median - 59.0).abs() < 1.5, "{median}");
    let range = reader.range(&source("home"), at(0), at(900 * 60), Duration::from_secs(600)).unwrap();
    assert_eq!(range.iter().map(|slot| slot.count).sum::<u64>(), 900);
    assert_eq!((range.iter().map(|slot| slot.max).fold(0.0, f64::max), range[0].start_s % 600), (109.0, 0));
    assert_eq!(reader.history(&source("nobody"), at(0)).unwrap().hours.len(), 0);
    let stats = reader.stats().unwrap();
    assert_eq!((stats.samples, stats.version), (900, VERSION));
    assert!(stats.oldest.unwrap() <= at(0) && stats.oldest.unwrap() > at(-3_600), "the hour of the first probe");
}

#[test]
fn an_observation_is_kept_when_its_content_changed_and_once_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for i in 0..50 {
        journal.keep_poll(probe("home", i, 30.0 + i as f64));
    }
    journal.keep_poll(polled(&source("home"), at(60), vec![health(None, Verdict::Down)]));
    journal.keep_poll(probe("home", 86_400, 9.0));
    journal.keep_poll(probe("home", 86_401, 9.5));
    assert!(journal.flush(SOON));
    let reader = journal.reader().unwrap();
    assert_eq!(reader.stats().unwrap().rows["observations"], 3);
    let seen = |s| reader.observation(&source("home"), Capability::Health, at(s)).unwrap().map(|o| o.at);
    assert_eq!((seen(-1), seen(40), seen(70), seen(90_000)), (None, Some(at(0)), Some(at(60)), Some(at(86_400))));
}

#[test]
fn log_lines_are_never_stored_and_a_flood_loses_no_count() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let id = SourceId::parse("shop/log/django").unwrap();
    for i in 0..1_000i64 {
        let event = LogEvent {
            at: at(i),
            level: Level::Error,
            file: 0,
            message: "secret-line".into(),
            detail: vec!["secret-local".into()],
            fingerprint: None,
            place: None,
        };
        let group = LogGroup {
            fingerprint: "9e1".into(),
            title: "ValueError: secret-value".into(),
            culprit: "basket.py:8".into(),
            level: Level::Error,
            count: 2,
            first_seen: at(0),
            last_seen: at(i),
        };
        let batch = LogBatch {
            files: vec!["/var/log/shop.log".into()],
            lines: 3,
            levels: BTreeMap::from([(Level::Error, 2)]),
            minutes: vec![(0, Level::Error, 2)],
            groups: vec![group],
            events: vec![event],
            ..LogBatch::default()
        };
        journal.keep_poll(polled(&id, at(i), vec![Data::Log(batch)]));
    }
    assert!(journal.flush(SOON));
    assert_eq!(journal.lost(), 0);
    drop(journal);
    let bytes: Vec<u8> = fs::read_dir(dir.path()).unwrap().flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(!bytes.windows(7).any(|window| window == b"secret-"));
    let snapshot = read_snapshot(dir.path()).unwrap();
    let Data::Log(batch) = &snapshot.polls[0].result.as_ref().unwrap().observations[0].data else { panic!("a log") };
    assert_eq!((batch.groups[0].title.as_str(), batch.events.len()), ("ValueError", 0));
}

#[test]
fn redaction_applies_before_anything_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let with = model::Journal { redact: vec![r"tok-\w+".into()], ..settings() };
    let journal = Journal::open_with(dir.path(), &with, identity(1), quick()).journal.unwrap();
    let mut transition = became("home", 1, Status::Down);
    transition.sentence = "refused tok-abc123".into();
    journal.keep_transition(transition);
    journal.keep_poll(Polled { result: Err(SourceError::auth("bad tok-abc123", "renew tok-abc123")), ..probe("home", 1, 1.0) });
    let certificate = Certificate {
        host: "tok-abc123".into(),
        not_before: at(0),
        not_after: at(9),
        issuer: "x tok-abc123".into(),
        subject: String::new(),
        names: vec!["tok-abc123".into()],
        chain_ok: true,
        problem: None,
        chain: Vec::new(),
        warning_s: None,
        critical_s: None,
    };
    journal.keep_poll(polled(&source("tls"), at(1), vec![Data::Certificate(certificate)]));
    journal.keep_acknowledgement(
        FindingId::from_text("x"),
        Some(Acknowledgement { by: "a".into(), why: "tok-abc123".into(), at: at(1), until: None, bound: None }),
    );
    drop(journal);
    let bytes: Vec<u8> = fs::read_dir(dir.path()).unwrap().flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(!bytes.windows(6).any(|window| window == b"abc123"));
    let snapshot = read_snapshot(dir.path()).unwrap();
    assert_eq!((snapshot.polls.len(), snapshot.events[0].sentence.as_str()), (2, "refused ***"));
    // Another configuration masks from now on, also what has not been written yet.
    let later = tempfile::tempdir().unwrap();
    let journal = open(later.path());
    for (at_s, secret) in [(0, "tok-before"), (1, "tok-after")] {
        if secret == "tok-after" {
            assert!(journal.flush(SOON));
            journal.renew(&with);
            // What is no pattern changes nothing: the one before it goes on.
            journal.renew(&model::Journal { redact: vec!["(".into()], ..settings() });
        }
        let kind = TransitionKind::Note;
        journal.keep_transition(Transition { at: at(at_s), site: "shop".into(), source: None, kind, sentence: format!("seen {secret}") });
    }
    assert!(journal.flush(SOON));
    let sentences: Vec<String> = journal.reader().unwrap().transitions(at(-10), 10).unwrap().into_iter().map(|event| event.sentence).collect();
    assert!(sentences.contains(&"seen tok-before".to_owned()) && sentences.contains(&"seen ***".to_owned()), "{sentences:?}");

    let refused = Journal::open(dir.path(), &model::Journal { redact: vec!["(".into()], ..settings() }, identity(1));
    assert!(refused.journal.is_none() && refused.trouble == Some(Trouble::Redact { pattern: "(".into() }));
}

#[test]
fn killed_in_the_middle_loses_the_last_batch_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for i in 0..500 {
        journal.keep_poll(probe("home", i, 5.0));
    }
    assert!(journal.flush(SOON));
    for i in 500..600 {
        journal.keep_poll(probe("home", i, 5.0));
    }
    // What a killed process leaves behind: file and log as they lie now, nobody closed them.
    let left = tempfile::tempdir().unwrap();
    for name in [FILE, "journal.sqlite-wal"] {
        fs::copy(dir.path().join(name), left.path().join(name)).unwrap();
    }
    let again = open(left.path());
    let samples = again.reader().unwrap().samples(&source("home"), at(0), at(1_000)).unwrap();
    assert!(samples.len() >= 500, "{}", samples.len());
    again.keep_poll(probe("home", 700, 6.0));
    assert!(again.flush(SOON));
}

#[test]
fn a_full_disk_is_said_once_and_all_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = heard.clone();
    let follower = journal
        .follow(0, move |msg| {
            sink.lock().unwrap().push(msg);
            true
        })
        .unwrap();
    journal.run(|connection| {
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        connection.pragma_update(None, "max_page_count", pages + 1).unwrap();
    });
    for i in 0..400 {
        journal.keep_poll(probe(&format!("page-{i}"), i, 5.0));
    }
    let notices = || heard.lock().unwrap().clone();
    wait_for("the notice", || notices().iter().any(|m| matches!(m, Msg::Notice(n) if n.text.contains("the disk is full"))).then_some(()));
    // Still accepts without waiting.
    journal.keep_poll(probe("late", 1_000, 5.0));
    assert!(!journal.flush(Duration::from_millis(200)));
    journal.run(|connection| connection.pragma_update(None, "max_page_count", 1_000_000).unwrap());
    wait_for("the end of it", || notices().contains(&Msg::NoticeOver(NoticeKind::Journal)).then_some(()));
    assert!(journal.flush(SOON));
    assert_eq!((read_snapshot(dir.path()).unwrap().polls.len(), journal.lost()), (401, 0));
    assert_eq!(notices().iter().filter(|m| matches!(m, Msg::Notice(_))).count(), 1);
    drop(follower);
}

#[test]
fn a_damaged_journal_is_moved_aside_and_a_new_one_begun() {
    for damage in [b"this is no database at all, only some text that stands in its place".to_vec(), vec![0xff; 20_000]] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), &damage).unwrap();
        assert_eq!(read_snapshot(dir.path()), None);
        let opened = Journal::open(dir.path(), &settings(), identity(1));
        let Some(Trouble::MovedAside { to, reason }) = &opened.trouble else { panic!("{:?}", opened.trouble) };
        assert!(!reason.is_empty() && to.file_name().unwrap().to_string_lossy().starts_with("journal.sqlite.corrupt-"));
        assert_eq!(fs::read(to).unwrap(), damage);
        assert!(opened.trouble.as_ref().unwrap().notice(at(0)).text.contains("moved aside"));
        let journal = opened.journal.unwrap();
        journal.keep_poll(probe("home", 1, 1.0));
        assert!(journal.flush(SOON));
    }
}

#[test]
fn damage_met_while_running_is_said_and_cured_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for i in 0..300 {
        journal.keep_poll(probe(&format!("page-{i}"), i, 5.0));
    }
    assert!(journal.flush(SOON));
    journal.run(|connection| connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap());
    drop(journal);
    let path = dir.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    let len = bytes.len();
    // All but the schema's page and those the start looks at stay; the leaves become noise.
    for (i, byte) in bytes.iter_mut().enumerate().skip(4_096 * 20) {
        if i % 4_096 < 64 {
            *byte = 0xa5;
        }
    }
    assert!(len > 4_096 * 24);
    fs::write(&path, &bytes).unwrap();
    let opened = Journal::open_with(dir.path(), &settings(), identity(1), quick());
    let journal = match (opened.journal, opened.trouble) {
        (_, Some(Trouble::MovedAside { .. })) => return,
        (journal, None) => journal.unwrap(),
        (_, other) => panic!("{other:?}"),
    };
    for i in 0..300 {
        journal.keep_poll(probe(&format!("page-{i}"), 1_000 + i, 5.0));
    }
    let _ = journal.flush(SOON);
    let Some((Trouble::Damaged { .. }, _)) = journal.shared.trouble() else { panic!("{:?}", journal.shared.trouble()) };
    drop(journal);
    let opened = Journal::open_with(dir.path(), &settings(), identity(1), quick());
    assert!(matches!(opened.trouble, Some(Trouble::MovedAside { .. })), "{:?}", opened.trouble);
    assert!(opened.journal.is_some());
}

#[test]
fn a_newer_journal_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let path = dir.path().join(FILE);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
    connection.close().unwrap();
    let before = fs::read(&path).unwrap();
    let opened = Journal::open(dir.path(), &settings(), identity(1));
    assert!(opened.journal.is_none());
    assert_eq!(opened.trouble, Some(Trouble::Newer { found: VERSION + 1 }));
    assert!(opened.trouble.unwrap().notice(at(0)).text.contains("left untouched"));
    assert_eq!(read_snapshot(dir.path()), None);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_state_directory_that_cannot_be_made_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let opened = Journal::open(&file.join("state"), &settings(), identity(1));
    assert!(opened.journal.is_none() && matches!(opened.trouble, Some(Trouble::Unwritable { .. })));
}

#[test]
fn four_writers_never_lock_each_other_out_and_each_hears_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let heard: Vec<Arc<Mutex<Vec<Msg>>>> = (0..4).map(|_| Arc::default()).collect();
    let journals: Vec<(Journal, Follower)> = heard
        .iter()
        .map(|sink| {
            let journal = open(&path);
            let sink = sink.clone();
            let follower = journal
                .follow(0, move |msg| {
                    sink.lock().unwrap().push(msg);
                    true
                })
                .unwrap();
            (journal, follower)
        })
        .collect();
    thread::scope(|scope| {
        for (n, (journal, _)) in journals.iter().enumerate() {
            scope.spawn(move || {
                for i in 0..300 {
                    journal.keep_poll(probe(&format!("of-{n}"), i, 5.0));
                    journal.keep_transition(became(&format!("of-{n}-{i}"), i, Status::Down));
                }
                assert!(journal.flush(SOON));
            });
        }
    });
    for (journal, _) in &journals {
        assert_eq!((journal.shared.trouble(), journal.lost()), (None, 0));
    }
    let reader = journals[0].0.reader().unwrap();
    for n in 0..4 {
        assert_eq!(reader.samples(&source(&format!("of-{n}")), at(0), at(1_000)).unwrap().len(), 300);
    }
    assert_eq!(reader.transitions(at(0), 10_000).unwrap().len(), 1_200);
    assert_eq!(reader.transitions(at(299), 10_000).unwrap().len(), 4);
    for (n, sink) in heard.iter().enumerate() {
        let last = |m: usize| sink.lock().unwrap().iter().any(|msg| matches!(msg, Msg::Polled(p) if p.source == source(&format!("of-{m}")) && p.at == at(299)));
        wait_for("the others' last polls", || (0..4).filter(|m| *m != n).all(last).then_some(()));
        assert!(!last(n), "nobody hears himself");
        let events = sink.lock().unwrap().iter().filter(|msg| matches!(msg, Msg::Events(_))).count();
        assert_eq!(events, 900);
    }
}

#[test]
fn what_came_from_the_journal_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = open(dir.path());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = heard.clone();
    let _follower = second
        .follow(0, move |msg| {
            sink.lock().unwrap().push(msg);
            true
        })
        .unwrap();
    first.keep_poll(probe("home", 1, 5.0));
    first.keep_transition(became("home", 1, Status::Down));
    assert!(first.flush(SOON));
    wait_for("the poll", || heard.lock().unwrap().iter().any(|msg| matches!(msg, Msg::Polled(_))).then_some(()));
    first.keep_poll(probe("home", 2, 6.0));
    assert!(first.flush(SOON));
    // The same update function gives the same effects in the second process.
    second.keep_poll(probe("home", 1, 5.0));
    second.keep_transition(Transition { at: at(2), ..became("home", 1, Status::Down) });
    second.keep_transition(became("home", 3, Status::Ok));
    second.keep_transition(became("home", 4, Status::Down));
    assert!(second.flush(SOON));
    let snapshot = read_snapshot(dir.path()).unwrap();
    assert_eq!(snapshot.polls, [probe("home", 2, 6.0)]);
    assert_eq!(snapshot.events.len(), 3, "{:?}", snapshot.events);
    // Nor is the snapshot of a start.
    drop((first, second));
    let third = open(dir.path());
    let before = read_snapshot(dir.path()).unwrap();
    third.keep_poll(before.polls[0].clone());
    assert!(third.flush(SOON));
    assert_eq!(read_snapshot(dir.path()).unwrap().seq, before.seq);
}

#[test]
fn a_follower_begins_where_the_snapshot_ends() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    first.keep_transition(became("home", 1, Status::Down));
    assert!(first.flush(SOON));
    let snapshot = read_snapshot(dir.path()).unwrap();
    let finding = FindingId::new(&source("home"), "availability");
    first.keep_acknowledgement(finding.clone(), Some(Acknowledgement { by: "ann".into(), why: String::new(), at: at(1), until: None, bound: None }));
    first.keep_acknowledgement(finding.clone(), None);
    assert!(first.flush(SOON));
    let second = open(dir.path());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = heard.clone();
    let _follower = second
        .follow(snapshot.seq, move |msg| {
            sink.lock().unwrap().push(msg);
            true
        })
        .unwrap();
    wait_for("the acknowledgement", || (!heard.lock().unwrap().is_empty()).then_some(()));
    assert_eq!(*heard.lock().unwrap(), [Msg::Acknowledged(finding, None)]);
}

#[test]
fn a_lease_is_held_by_one_and_taken_over_when_its_holder_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let wanted: BTreeSet<SourceId> = [source("home"), source("api")].into();
    let here = std::process::id();
    // Process ids beyond the kernel's limit do not run.
    let dead = Journal::open_with(dir.path(), &settings(), identity(2_000_000_000), quick()).journal.unwrap();
    let first = open(dir.path());
    let second = Journal::open_with(dir.path(), &settings(), Identity { host: "web2".into(), ..identity(here) }, quick()).journal.unwrap();
    let (mut of_dead, mut of_first, mut of_second) = (dead.leases(), first.leases(), second.leases());
    let now = crate::io::clock::now();
    assert_eq!(of_dead.acquire(&wanted, now).unwrap(), &wanted);
    // Another machine cannot tell whether it runs: it waits until the heartbeat is old.
    assert!(of_second.acquire(&wanted, now).unwrap().is_empty());
    // Its own machine sees at once that it is gone.
    assert_eq!(of_first.acquire(&wanted, now).unwrap(), &wanted);
    assert!(of_second.acquire(&wanted, now + Duration::from_secs(5)).unwrap().is_empty());
    assert_eq!(of_first.acquire(&wanted, now + Duration::from_secs(9)).unwrap(), &wanted);
    assert!(of_second.acquire(&wanted, now + Duration::from_secs(11)).unwrap().is_empty(), "renewed");
    assert_eq!(of_second.acquire(&wanted, now + Duration::from_secs(20)).unwrap(), &wanted, "expired");
    assert!(of_first.acquire(&wanted, now + Duration::from_secs(21)).unwrap().is_empty(), "it slept and sees that it lost");
    let one: BTreeSet<SourceId> = [source("home")].into();
    assert_eq!(of_second.acquire(&one, now + Duration::from_secs(22)).unwrap(), &one);
    assert_eq!(of_first.acquire(&wanted, now + Duration::from_secs(23)).unwrap(), &[source("api")].into());
    drop(of_second);
    assert_eq!(of_first.acquire(&wanted, now + Duration::from_secs(24)).unwrap(), &wanted, "given back");
}

#[test]
fn keepers_share_the_sources_and_the_survivor_takes_all() {
    let dir = tempfile::tempdir().unwrap();
    let wanted: BTreeSet<SourceId> = (0..5).map(|i| source(&format!("page-{i}"))).collect();
    let held: Vec<Arc<Mutex<BTreeSet<SourceId>>>> = (0..2).map(|_| Arc::default()).collect();
    let mut keepers: Vec<(Journal, LeaseKeeper)> = held
        .iter()
        .map(|held| {
            let journal = open(dir.path());
            let held = held.clone();
            let keeper = journal.leases().keep(wanted.clone(), move |now| *held.lock().unwrap() = now.cloned().unwrap_or_default()).unwrap();
            (journal, keeper)
        })
        .collect();
    let count = |i: usize| held[i].lock().unwrap().len();
    wait_for("all are polled by one each", || (count(0) + count(1) == 5).then_some(()));
    let (loser, survivor) = if count(0) > 0 { (0, 1) } else { (1, 0) };
    drop(keepers.remove(loser));
    wait_for("taken over", || (count(survivor) == 5).then_some(()));
}

#[test]
fn what_is_older_than_it_is_kept_goes_and_small_blocks_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    // Ten days, a probe each 100 seconds.
    for i in 0..8_640 {
        journal.keep_poll(probe("home", i * 100, 20.0 + (i % 7) as f64));
        if i % 1_000 == 0 {
            assert!(journal.flush(SOON));
        }
    }
    journal.keep_transition(became("home", 1, Status::Ok));
    assert!(journal.flush(SOON));
    let now = at(864_000);
    let reader = journal.reader().unwrap();
    let before = (reader.history(&source("home"), now).unwrap(), reader.stats().unwrap());
    let ran = |keep_days: u64| {
        let mut connection = store::connect(&dir.path().join(FILE)).unwrap();
        connection.execute("UPDATE counter SET swept = 0", []).unwrap();
        assert!(sweep::run(&mut connection, Duration::from_secs(keep_days * 86_400), now, Duration::from_hours(1)).unwrap());
        assert!(!sweep::run(&mut connection, Duration::from_secs(keep_days * 86_400), now, Duration::from_hours(1)).unwrap(), "once an hour");
    };
    ran(400);
    let after = (reader.history(&source("home"), now).unwrap(), reader.stats().unwrap());
    assert_eq!(before.0, after.0);
    assert!(after.1.rows["hour_blocks"] < before.1.rows["hour_blocks"], "{:?} {:?}", before.1, after.1);
    let raw = reader.samples(&source("home"), at(0), now).unwrap();
    assert!(raw.len() >= 1_728 && raw.len() < 1_728 + 2 * series::SEAL as usize, "two days of every probe: {}", raw.len());
    ran(5);
    let days = reader.history(&source("home"), now).unwrap().days;
    assert!(days.len() <= 7, "{}", days.len());
    assert_eq!(reader.transitions(at(0), 10).unwrap().len(), 0);
}

#[test]
fn rows_that_cannot_be_read_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for i in 0..600 {
        journal.keep_poll(probe("home", i, 5.0));
    }
    journal.keep_poll(probe("api", 1, 5.0));
    journal.keep_transition(became("home", 1, Status::Ok));
    assert!(journal.flush(SOON));
    journal.run(|connection| {
        connection
            .execute_batch(
                "UPDATE latest SET body = '{\"source\":\"of tomorrow\"}' WHERE source LIKE '%api';
             INSERT INTO transitions VALUES (9000, 5, 1, 'x', 'not json'); INSERT INTO transitions VALUES (9001, 6, 1, 'x', x'00ff');
             INSERT INTO acknowledgements VALUES ('y', 9002, 1, 5, '{}');
             UPDATE raw_blocks SET body = x'0102' WHERE id = (SELECT min(id) FROM raw_blocks);",
            )
            .unwrap();
    });
    assert!(journal.flush(SOON));
    let snapshot = read_snapshot(dir.path()).unwrap();
    assert_eq!((snapshot.polls.len(), snapshot.events.len(), snapshot.acknowledgements.len(), snapshot.unreadable), (1, 1, 0, 4));
    let reader = journal.reader().unwrap();
    assert_eq!(reader.samples(&source("home"), at(0), at(600)).unwrap().len(), 600 - series::SEAL as usize);
    assert_eq!(reader.transitions(at(-1_000_000_000_000 / 1_000), 100).unwrap().len(), 1);
}

#[test]
fn a_clock_that_jumps_back_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for i in 0..500 {
        journal.keep_poll(probe("home", i * 10, 5.0));
    }
    for i in 0..500 {
        journal.keep_poll(probe("home", 1_000 + i * 10 + 5, 5.0));
    }
    assert!(journal.flush(SOON));
    let reader = journal.reader().unwrap();
    assert_eq!(reader.samples(&source("home"), at(0), at(100_000)).unwrap().len(), 1_000);
    assert_eq!(reader.history(&source("home"), at(6_100)).unwrap().days.iter().map(|(_, b)| b.total).sum::<u64>(), 1_000);
    assert_eq!(read_snapshot(dir.path()).unwrap().polls[0].at, at(1_000 + 4_995));
}
