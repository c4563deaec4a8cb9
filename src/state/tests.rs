//! The reducer as a user meets it: messages in, statuses, findings, events and effects out.

use std::time::Duration;

use chrono::{TimeZone, Utc};

use super::msg::{History, Polled};
use super::update::{next_tick, update};
use super::*;
use crate::domain::*;
use crate::sources::{Collected, SourceSpec};

fn at(s: i64) -> Timestamp {
    Utc.with_ymd_and_hms(2026, 11, 20, 3, 0, 0).unwrap() + chrono::Duration::seconds(s)
}

fn id(text: &str) -> SourceId {
    SourceId::parse(text).unwrap()
}

fn spec(text: &str) -> SourceSpec {
    let id = id(text);
    SourceSpec {
        title: id.name().to_owned(),
        capability: if id.kind() == "log" { Capability::Log } else { Capability::Health },
        every: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        retry_every: Duration::from_secs(10),
        failures: 3,
        successes: 2,
        enabled: true,
        continuous: id.kind() == "log",
        runbook: None,
        needs: vec![],
        target: String::new(),
        id,
    }
}

fn state() -> State {
    let sites = vec![SiteState { name: "shop".into(), title: "Shop".into(), url: Some("https://shop.example.com".into()), ..SiteState::default() }];
    State::new(sites, vec![spec("shop/http/home"), spec("shop/http/basket"), spec("shop/log/django")], "ana".into())
}

fn health(code: u16, ms: f64) -> Health {
    let limits = LatencyLimits { warning_ms: Some(500.0), critical_ms: Some(2_000.0) };
    let ok = code == 200;
    let slow = ms > 500.0;
    Health {
        verdict: if !ok {
            Verdict::Down
        } else if slow {
            Verdict::Degraded
        } else {
            Verdict::Ok
        },
        status_code: Some(code),
        latency_ms: Some(ms),
        phases_ms: Phases::default(),
        expectations: vec![Expectation { name: "status".into(), ok, level: Verdict::Down, expected: "200".into(), seen: code.to_string() }],
        limits,
        request: "GET /basket/".into(),
        body_bytes: 0,
        error: None,
        silenced: false,
    }
}

fn poll(source: &str, s: i64, result: Result<Vec<Data>, SourceError>) -> Msg {
    let result =
        result.map(|data| Collected { observations: data.into_iter().map(|data| Observation { at: at(s), data }).collect(), problems: vec![], complete: true });
    Msg::Polled(Polled { source: id(source), started: at(s), at: at(s), result, next_at: Some(at(s + 30)) })
}

fn probe(state: &mut State, source: &str, s: i64, code: u16, ms: f64) -> Vec<Effect> {
    update(state, poll(source, s, Ok(vec![Data::Health(health(code, ms))])), at(s))
}

fn status(state: &State, source: &str) -> Status {
    state.world.sources[&id(source)].status
}

#[test]
fn three_failures_make_it_down_and_two_successes_well_again() {
    let mut state = state();
    probe(&mut state, "shop/http/basket", 0, 200, 40.0);
    assert_eq!(status(&state, "shop/http/basket"), Status::Ok);
    let mut seen = Vec::new();
    for (s, code) in [(30, 500), (40, 500), (50, 500), (60, 200), (90, 200)] {
        let effects = probe(&mut state, "shop/http/basket", s, code, 212.0);
        seen.push((status(&state, "shop/http/basket"), state.world.findings.len(), effects.contains(&Effect::Bell)));
    }
    assert_eq!(seen, [(Status::Pending, 0, false), (Status::Pending, 0, false), (Status::Down, 1, true), (Status::Down, 1, false), (Status::Ok, 0, false)]);
    let sentences: Vec<&str> = state.world.events.iter().filter(|e| e.in_feed()).map(|e| e.sentence.as_str()).collect();
    assert_eq!(
        sentences,
        ["500 in 212 ms, expected 200, first failure; tried again after 10 s", "down: 500 in 212 ms, expected 200, third in a row", "up: 200 in 212 ms",]
    );
}

#[test]
fn the_finding_says_since_the_first_failure_and_explains_the_time_to_critical() {
    let mut state = state();
    probe(&mut state, "shop/http/basket", 0, 200, 40.0);
    for s in [30, 40, 50, 60] {
        probe(&mut state, "shop/http/basket", s, 500, 212.0);
    }
    let finding = &state.world.findings[0];
    assert_eq!(finding.id.as_str(), "shop/http/basket#availability");
    assert_eq!((finding.severity, finding.since), (Severity::Critical, at(30)));
    assert_eq!(finding.title, "basket is down: 500 in 3 of 3 probes");
    let term = finding.explanation.iter().find(|t| t.name == "from failure to CRITICAL").unwrap();
    assert_eq!(term.value, "1 m");
}

#[test]
fn one_pass_judges_at_once_and_is_never_pending() {
    let mut state = state();
    state.world.one_pass = true;
    probe(&mut state, "shop/http/basket", 0, 500, 10.0);
    assert_eq!(status(&state, "shop/http/basket"), Status::Down);
    update(&mut state, poll("shop/http/home", 0, Err(SourceError::connect("refused"))), at(0));
    assert_eq!(status(&state, "shop/http/home"), Status::Unknown);
}

#[test]
fn an_answer_without_anything_in_it_is_not_green() {
    let mut state = state();
    update(&mut state, poll("shop/log/django", 0, Ok(vec![])), at(0));
    assert_eq!(status(&state, "shop/log/django"), Status::Pending);
    state.world.one_pass = true;
    update(&mut state, poll("shop/log/django", 1, Ok(vec![])), at(1));
    assert_eq!(status(&state, "shop/log/django"), Status::Unknown);
}

#[test]
fn an_error_never_erases_the_last_good_value() {
    let mut state = state();
    probe(&mut state, "shop/http/home", 0, 200, 40.0);
    update(&mut state, poll("shop/http/home", 30, Err(SourceError::auth("the token has expired", "renew it"))), at(30));
    let source = &state.world.sources[&id("shop/http/home")];
    assert_eq!(source.status, Status::Unknown);
    assert_eq!(source.health.as_ref().unwrap().last_good.as_ref().unwrap().1.status_code, Some(200));
    assert_eq!(source.good_at, Some(at(0)));
    assert_eq!(source.summary, "200 in 40 ms");
    let finding = &state.world.findings[0];
    assert_eq!((finding.severity, finding.title.as_str()), (Severity::Unknown, "home not known: the token has expired"));
}

#[test]
fn what_is_old_is_stale_then_unknown_and_never_green() {
    let mut state = state();
    probe(&mut state, "shop/http/home", 0, 200, 40.0);
    update(&mut state, Msg::Tick, at(60));
    assert_eq!(status(&state, "shop/http/home"), Status::Ok);
    let due = next_tick(&state, at(60)).unwrap();
    assert!(due > at(60) && due <= at(75), "{due}");
    update(&mut state, Msg::Tick, at(80));
    assert_eq!(status(&state, "shop/http/home"), Status::Stale);
    assert_eq!(state.world.findings[0].severity, Severity::Unknown);
    update(&mut state, Msg::Tick, at(400));
    assert_eq!(status(&state, "shop/http/home"), Status::Unknown);
    probe(&mut state, "shop/http/home", 410, 200, 40.0);
    assert_eq!(status(&state, "shop/http/home"), Status::Ok);
    assert!(state.world.findings.is_empty());
}

#[test]
fn what_was_remembered_is_shown_with_its_age_and_kept_by_nobody_again() {
    let mut state = state();
    let Msg::Polled(polled) = poll("shop/http/home", 0, Ok(vec![Data::Health(health(200, 40.0))])) else { unreachable!() };
    let effects = update(&mut state, Msg::Followed(polled), at(3_600));
    assert!(effects.is_empty(), "{effects:?}");
    let source = &state.world.sources[&id("shop/http/home")];
    assert!(source.remembered && source.status == Status::Unknown, "{:?}", source.status);
    assert_eq!(source.summary, "200 in 40 ms");
}

#[test]
fn what_needs_a_source_that_is_down_is_not_judged_beside_it() {
    let mut state = state();
    state.world.sources.get_mut(&id("shop/http/basket")).unwrap().spec.needs = vec!["http/home".into()];
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
    }
    assert_eq!(state.world.findings.len(), 1);
    for s in [1, 11, 21] {
        probe(&mut state, "shop/http/home", s, 500, 10.0);
    }
    let ids: Vec<&str> = state.world.findings.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(ids, ["shop/http/home#availability"]);
    for s in [30, 40] {
        probe(&mut state, "shop/http/home", s, 200, 10.0);
    }
    let ids: Vec<&str> = state.world.findings.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(ids, ["shop/http/basket#availability"]);
}

#[test]
fn older_news_than_what_is_known_changes_nothing() {
    let mut state = state();
    probe(&mut state, "shop/http/home", 100, 500, 40.0);
    let told = |s: i64| match poll("shop/http/home", s, Ok(vec![Data::Health(health(200, 40.0))])) {
        Msg::Polled(polled) => Msg::Followed(polled),
        other => panic!("{other:?}"),
    };
    update(&mut state, told(50), at(110));
    assert_eq!(state.world.sources[&id("shop/http/home")].checked_at, Some(at(100)));
    assert_eq!(status(&state, "shop/http/home"), Status::Pending);
    // The clock was set back: what was known is of a future, and what is seen now is news, ours and what others tell.
    update(&mut state, told(50), at(51));
    assert_eq!(status(&state, "shop/http/home"), Status::Ok);
    probe(&mut state, "shop/http/home", 40, 500, 40.0);
    assert_eq!((state.world.sources[&id("shop/http/home")].checked_at, status(&state, "shop/http/home")), (Some(at(40)), Status::Pending));
}

#[test]
fn a_slow_endpoint_is_degraded_and_its_p95_a_finding() {
    let mut state = state();
    for n in 0..30 {
        probe(&mut state, "shop/http/home", n * 30, 200, 100.0);
    }
    for n in 30..40 {
        probe(&mut state, "shop/http/home", n * 30, 200, 640.0);
    }
    assert_eq!(status(&state, "shop/http/home"), Status::Degraded);
    let finding = state.world.findings.iter().find(|f| f.id.rule() == "latency").unwrap();
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.title.starts_with("home is slow: p95 6"), "{}", finding.title);
    assert!(finding.title.ends_with("limit 500 ms"));
    assert_eq!(finding.since, at(900));
    let Block::Comparison(rows) = &finding.blocks[0] else { panic!() };
    assert!(rows[0].before.starts_with("10") || rows[0].before.starts_with("99"), "{rows:?}");
}

#[test]
fn uptime_and_percentiles_are_of_the_window() {
    let mut state = state();
    for n in 0..100 {
        probe(&mut state, "shop/http/home", n * 30, if n == 7 { 500 } else { 200 }, f64::from(i32::try_from(n).unwrap()) + 1.0);
    }
    let window = state.world.sources[&id("shop/http/home")].health.as_ref().unwrap().hour.unwrap();
    assert_eq!(window.count, 100);
    assert!((window.uptime - 99.0).abs() < 0.01);
    assert!((window.p95.unwrap() - 95.0).abs() < 1.5, "{window:?}");
}

#[test]
fn history_of_the_journal_joins_what_was_seen_since() {
    let mut state = state();
    probe(&mut state, "shop/http/home", 7_200, 200, 10.0);
    let samples = vec![Sample { at: at(3_000), latency_ms: Some(20.0), failed: false }, Sample { at: at(7_200), latency_ms: Some(10.0), failed: false }];
    let hour = at(0).timestamp();
    let mut bucket = world::Bucket { total: 100, failed: 50, ..Default::default() };
    bucket.latency.add(20.0);
    update(&mut state, Msg::History(History { source: id("shop/http/home"), hours: vec![(hour, bucket)], days: vec![], samples }), at(7_201));
    let health = state.world.sources[&id("shop/http/home")].health.as_ref().unwrap();
    assert_eq!(health.samples.len(), 2, "the overlap is not doubled");
    let day = health.day.unwrap();
    assert_eq!(day.count, 101);
    assert!((day.uptime - 100.0 * 51.0 / 101.0).abs() < 0.01);
}

fn certificate(days: i64) -> Certificate {
    let (not_before, not_after) = (at(0) - chrono::Duration::days(60), at(0) + chrono::Duration::days(days));
    Certificate {
        host: "shop.example.com".into(),
        not_before,
        not_after,
        issuer: "Test CA".into(),
        subject: "shop.example.com".into(),
        names: vec![],
        chain_ok: days > 0,
        problem: (days <= 0).then(|| "expired".into()),
        chain: vec![ChainLink { subject: "shop.example.com".into(), issuer: "Test CA".into(), not_before, not_after }],
        warning_s: Some(21 * 86_400),
        critical_s: Some(7 * 86_400),
    }
}

#[test]
fn a_certificate_warns_before_its_end() {
    for (days, expected) in [
        (60, None),
        (12, Some((Severity::Warning, "Certificate of shop.example.com ends on 2 Dec"))),
        (3, Some((Severity::Critical, "Certificate of shop.example.com ends on 23 Nov"))),
        (-1, Some((Severity::Critical, "Certificate of shop.example.com ended on 19 Nov"))),
    ] {
        let mut state = state();
        let data = vec![Data::Health(health(200, 40.0)), Data::Certificate(certificate(days))];
        update(&mut state, poll("shop/http/home", 0, Ok(data)), at(0));
        let found = state.world.findings.iter().find(|f| f.id.rule() == "certificate");
        assert_eq!(found.map(|f| (f.severity, f.title.as_str())), expected, "{days}");
        if let Some(found) = found {
            assert_eq!(found.due, Some(at(0) + chrono::Duration::days(days)));
        }
    }
}

#[test]
fn a_certificate_of_six_days_is_not_critical_for_all_its_life() {
    let mut short = certificate(5);
    short.not_before = at(0) - chrono::Duration::days(1);
    let mut state = state();
    update(&mut state, poll("shop/http/home", 0, Ok(vec![Data::Certificate(short)])), at(0));
    assert!(state.world.findings.is_empty());
}

fn batch(s: i64, level: Level, n: u64, fingerprint: Option<&str>) -> Data {
    let minute = at(s).timestamp().div_euclid(60) * 60;
    let event = |_| LogEvent {
        at: at(s),
        level,
        file: 0,
        message: "Internal Server Error: /basket/".into(),
        detail: vec![],
        fingerprint: fingerprint.map(str::to_owned),
        place: None,
    };
    Data::Log(LogBatch {
        files: vec!["django.log".into()],
        lines: n,
        levels: [(level, n)].into(),
        minutes: vec![(minute, level, n)],
        groups: fingerprint
            .map(|f| LogGroup {
                fingerprint: f.into(),
                title: "KeyError: 'currency'".into(),
                culprit: "basket/pricing.py:88".into(),
                level,
                count: n,
                first_seen: at(s),
                last_seen: at(s),
            })
            .into_iter()
            .collect(),
        events: (0..n.min(50)).map(event).collect(),
        format: "django".into(),
        ..LogBatch::default()
    })
}

#[test]
fn a_burst_of_errors_is_a_finding_and_ends_by_itself() {
    let mut state = state();
    for minute in 0..30 {
        update(&mut state, poll("shop/log/django", minute * 60 + 1, Ok(vec![batch(minute * 60, Level::Info, 300, None)])), at(minute * 60 + 1));
    }
    assert!(state.world.findings.is_empty());
    update(&mut state, poll("shop/log/django", 1_830, Ok(vec![batch(1_830, Level::Error, 31, Some("9e1"))])), at(1_830));
    let finding = &state.world.findings[0];
    assert_eq!((finding.id.rule(), finding.severity), ("burst", Severity::Warning));
    assert_eq!(finding.title, "KeyError: 'currency': 31 a minute");
    assert!(next_tick(&state, at(1_830)).unwrap() <= at(1_836));
    // The log is still looked at, and nothing more came.
    update(&mut state, poll("shop/log/django", 1_980, Ok(vec![])), at(1_980));
    update(&mut state, Msg::Tick, at(1_990));
    assert!(state.world.findings.is_empty(), "{:?}", state.world.findings);
}

#[test]
fn the_same_hour_of_earlier_days_is_known_after_a_restart_by_the_error_book() {
    use crate::domain::BookGroup;
    // Errors a minute in this hour of the four days before, and whether 31 a minute are a burst then.
    for (usual, days, bursts) in [(20, 4, false), (2, 4, true), (20, 2, true), (0, 0, true)] {
        let mut state = state();
        let hour = at(0).timestamp().div_euclid(3_600) * 3_600;
        let hours: Vec<(i64, u64)> = (1..=days).rev().map(|day| (hour - day * 86_400, usual * 60)).collect();
        let known = BookGroup {
            fingerprint: "9e1".into(),
            title: "KeyError: 'currency'".into(),
            culprit: String::new(),
            level: Level::Error,
            count: 1,
            hours,
            first_seen: at(-7 * 86_400),
            last_seen: at(-86_400),
            release: None,
            mark: crate::domain::book::Mark::Open,
            said: None,
            times: None,
            into: None,
        };
        // As the journal tells it on the first frame.
        let rows =
            crate::state::msg::BookRows { source: id("shop/log/django"), begun: Some(at(-8 * 86_400)), upto: None, rows: vec![("9e1".into(), Some(known))] };
        update(&mut state, Msg::Book(Box::new(rows)), at(0));
        update(&mut state, poll("shop/log/django", 1_500, Ok(vec![batch(1_500, Level::Info, 300, None)])), at(1_500));
        update(&mut state, poll("shop/log/django", 1_830, Ok(vec![batch(1_830, Level::Error, 31, Some("9e1"))])), at(1_830));
        let found = state.world.findings.iter().any(|finding| finding.id.rule() == "burst");
        assert_eq!(found, bursts, "{usual} a minute on {days} days: {:?}", state.world.findings);
    }
}

#[test]
fn a_clock_that_is_set_back_or_forward_neither_loses_lines_nor_cries() {
    let mut state = state();
    let mut give = |s: i64, level: Level| update(&mut state, poll("shop/log/django", s, Ok(vec![batch(s, level, 40, None)])), at(s));
    for minute in 0..10 {
        give(minute * 60, Level::Info);
    }
    // Three hours back, then two days on.
    for s in [-10_800, -10_740, 172_800, 172_860] {
        give(s, Level::Info);
    }
    update(&mut state, Msg::Tick, at(172_861));
    let log = state.world.sources[&id("shop/log/django")].log.as_ref().unwrap();
    assert_eq!(log.levels[&Level::Info], 14 * 40);
    assert_eq!(log.minutes.values().flatten().sum::<u64>(), 14 * 40);
    assert!(state.world.findings.is_empty(), "{:?}", state.world.findings);
}

#[test]
fn a_burst_that_stands_at_its_limit_does_not_flicker() {
    let mut state = state();
    let take = |state: &mut State, minute: i64, errors: u64| {
        let s = minute * 60 + 59;
        let mut data = batch(s, Level::Info, 300, None);
        if let (Data::Log(all), Data::Log(bad)) = (&mut data, batch(s, Level::Error, errors, Some("9e1"))) {
            all.levels.extend(bad.levels);
            all.minutes.extend(bad.minutes);
            all.groups.extend(bad.groups);
            all.events.extend(bad.events);
        }
        update(state, poll("shop/log/django", s, Ok(vec![data])), at(s));
        update(state, Msg::Tick, at(s));
        state.world.findings.iter().filter(|finding| finding.id.rule() == "burst").count()
    };
    for minute in 0..30 {
        assert_eq!(take(&mut state, minute, 0), 0);
    }
    // Ten a minute light it; it goes out below seven, not at nine.
    let seen: Vec<usize> = [9, 12, 9, 8, 9, 11, 8, 6, 9, 9].into_iter().zip(30..).map(|(errors, minute)| take(&mut state, minute, errors)).collect();
    assert_eq!(seen, [0, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    let told = state.world.events.iter().filter(|event| matches!(event.kind, TransitionKind::Opened { .. } | TransitionKind::Closed { .. })).count();
    assert_eq!(told, 2, "{:?}", state.world.events);
}

#[test]
fn a_steady_fire_does_not_become_its_own_measure() {
    let mut state = state();
    for minute in 0..90 {
        let s = minute * 60 + 30;
        let data = if minute < 30 { batch(s, Level::Info, 300, None) } else { batch(s, Level::Error, 31, Some("9e1")) };
        update(&mut state, poll("shop/log/django", s, Ok(vec![data])), at(s));
        update(&mut state, Msg::Tick, at(s + 1));
        assert_eq!(state.world.findings.len(), usize::from(minute >= 30), "{minute}");
    }
    assert!(state.world.events.iter().filter(|e| e.in_feed()).count() <= 3, "{:?}", state.world.events);
}

#[test]
fn a_log_flood_keeps_memory_bounded_and_counts_exact() {
    let mut state = state();
    for n in 0..200 {
        let Data::Log(mut one) = batch(n, Level::Info, 50, None) else { unreachable!() };
        one.lines = 10_000;
        one.levels = [(Level::Info, 10_000)].into();
        update(&mut state, poll("shop/log/django", n, Ok(vec![Data::Log(one)])), at(n));
    }
    let log = state.world.sources[&id("shop/log/django")].log.as_ref().unwrap();
    assert_eq!(log.lines, 2_000_000);
    assert_eq!(log.levels[&Level::Info], 2_000_000);
    assert_eq!(log.events.len(), world::LOG_EVENTS);
    assert_eq!(log.first_seq, LogState::begin().first_seq + 200 * 50 - world::LOG_EVENTS as u64);
}

fn keys(state: &mut State) {
    state.view.drawn.keys = state.world.findings.iter().map(|f| f.id.as_str().to_owned()).collect();
    state.view.drawn.height = 10;
}

fn type_text(state: &mut State, text: &str, now: Timestamp) {
    for c in text.chars() {
        update(state, Msg::Edit(tui_input::InputRequest::InsertChar(c)), now);
    }
}

#[test]
fn an_acknowledged_finding_sinks_and_comes_back_when_it_is_worse() {
    let mut state = state();
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
        probe(&mut state, "shop/http/home", s + 1, 500, 10.0);
    }
    keys(&mut state);
    let first = state.world.findings[0].id.clone();
    update(&mut state, Msg::Command(Command::Acknowledge), at(30));
    type_text(&mut state, "the vendor knows", at(30));
    let effects = update(&mut state, Msg::Command(Command::Enter), at(30));
    assert!(matches!(&effects[0], Effect::KeepAcknowledgement(id, Some(ack)) if *id == first && ack.by == "ana" && ack.why == "the vendor knows"));
    assert_eq!(state.world.findings[1].id, first, "it sinks");
    // The same again changes nothing; another evidence brings it back.
    probe(&mut state, first.as_str().split('#').next().unwrap(), 40, 500, 10.0);
    assert!(state.world.findings[1].acknowledged.is_some());
    probe(&mut state, first.as_str().split('#').next().unwrap(), 50, 404, 10.0);
    assert!(state.world.findings.iter().all(|f| f.acknowledged.is_none()));
}

#[test]
fn undo_gives_the_finding_back() {
    let mut state = state();
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
    }
    keys(&mut state);
    update(&mut state, Msg::Command(Command::Snooze), at(30));
    update(&mut state, Msg::Command(Command::Enter), at(30));
    let until = state.world.findings[0].acknowledged.as_ref().unwrap().until;
    assert_eq!(until, Some(at(30 + 7_200)));
    assert!(state.view.toast.as_ref().unwrap().undoable);
    // What is told of another step must not offer to undo the snooze in its name.
    let mut later = state.clone();
    act::toast(&mut later, "range 1 h".to_owned(), at(30));
    assert!(!later.view.undo.is_empty() && !later.view.toast.unwrap().undoable);
    update(&mut state, Msg::Command(Command::Undo), at(31));
    assert!(state.world.findings[0].acknowledged.is_none());
    assert!(!state.view.toast.unwrap().undoable);
}

#[test]
fn a_snooze_ends_when_its_time_is_over() {
    let mut state = state();
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
    }
    let id = state.world.findings[0].id.clone();
    let ack = Acknowledgement { by: "jon".into(), why: "x".into(), at: at(21), until: Some(at(40)), bound: None };
    update(&mut state, Msg::Acknowledged(id, Some(ack)), at(21));
    assert!(state.world.findings[0].acknowledged.is_some());
    update(&mut state, Msg::Tick, at(41));
    assert!(state.world.findings[0].acknowledged.is_none());
}

#[test]
fn in_read_only_mode_nothing_is_taken() {
    let mut state = state();
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
    }
    keys(&mut state);
    state.view.read_only = true;
    update(&mut state, Msg::Command(Command::Acknowledge), at(30));
    assert!(state.view.prompt.is_none());
}

#[test]
fn quit_closes_what_is_open_first_and_then_leaves() {
    let mut state = state();
    update(&mut state, Msg::Command(Command::Help), at(0));
    for _ in 0..2 {
        assert!(!update(&mut state, Msg::Command(Command::Interrupt), at(0)).contains(&Effect::Quit) || state.view.overlay.is_none());
    }
    state.view.prompt = None;
    state.view.overlay = None;
    update(&mut state, Msg::Command(Command::Filter), at(0));
    type_text(&mut state, "bask", at(0));
    assert_eq!(state.view.list().filter, "bask");
    update(&mut state, Msg::Command(Command::Enter), at(0));
    assert!(update(&mut state, Msg::Command(Command::Quit), at(0)).is_empty());
    assert_eq!(state.view.list().filter, "");
    assert_eq!(update(&mut state, Msg::Command(Command::Quit), at(0)), [Effect::Quit]);
}

#[test]
fn pages_are_not_levels() {
    let mut state = state();
    update(&mut state, Msg::Command(Command::Page(Page::Health)), at(0));
    assert_eq!(update(&mut state, Msg::Command(Command::Quit), at(0)), [Effect::Quit]);
}

#[test]
fn the_selection_follows_its_item_when_the_order_changes() {
    let mut state = state();
    state.view.drawn.keys = vec!["a".into(), "b".into(), "c".into()];
    update(&mut state, Msg::Command(Command::Down), at(0));
    state.view.drawn.keys = vec!["b".into(), "c".into(), "a".into()];
    assert_eq!(act::selected_key(&state), Some("b"));
    update(&mut state, Msg::Command(Command::Down), at(0));
    assert_eq!(act::selected_key(&state), Some("c"));
    // The item went away: the row that took its place is selected.
    state.view.drawn.keys = vec!["b".into(), "a".into()];
    assert_eq!(act::selected_key(&state), Some("a"));
}

#[test]
fn pausing_holds_the_picture_while_the_world_goes_on() {
    let mut state = state();
    probe(&mut state, "shop/http/home", 0, 200, 40.0);
    update(&mut state, Msg::Command(Command::Pause), at(1));
    for s in [30, 40, 50] {
        probe(&mut state, "shop/http/home", s, 500, 40.0);
    }
    assert_eq!(state.shown().sources[&id("shop/http/home")].status, Status::Ok);
    assert_eq!(status(&state, "shop/http/home"), Status::Down);
    assert_eq!(state.shown_at(at(60)), at(1));
    update(&mut state, Msg::Command(Command::Pause), at(61));
    assert_eq!(state.shown().sources[&id("shop/http/home")].status, Status::Down);
}

#[test]
fn a_deploy_is_the_sites_release() {
    let mut state = state();
    let deploy = |s, version: &str| Transition {
        at: at(s),
        site: "shop".into(),
        source: None,
        kind: TransitionKind::Deploy { version: version.into(), by: "ci".into() },
        sentence: format!("{version} deployed by ci"),
    };
    update(&mut state, Msg::Events(vec![deploy(20, "v214"), deploy(10, "v213")]), at(30));
    assert_eq!(state.world.sites[0].release, Some(("v214".into(), at(20))));
    assert!(state.world.events[0].at < state.world.events[1].at, "the feed stays in order of time");
}

#[test]
fn a_sleep_of_the_machine_is_a_gap_and_not_an_outage() {
    let mut state = state();
    probe(&mut state, "shop/http/home", 0, 200, 40.0);
    let effects = update(&mut state, Msg::Slept(Duration::from_secs(7_200)), at(7_200));
    assert!(effects.contains(&Effect::PollAll));
    assert_ne!(status(&state, "shop/http/home"), Status::Ok);
    assert!(state.world.findings.iter().all(|f| f.severity != Severity::Critical));
}

#[test]
fn pasted_text_is_one_clean_line() {
    let mut state = state();
    update(&mut state, Msg::Command(Command::Filter), at(0));
    update(&mut state, Msg::Paste("a\nb\u{1b}[31mc\u{0}".into()), at(0));
    assert_eq!(state.view.list().filter, "a b[31mc");
}

proptest::proptest! {
    #[test]
    fn no_order_of_polls_and_commands_breaks_it(steps in proptest::collection::vec((0u8..12, 0i64..5_000, 0u16..3), 1..120)) {
        let mut state = state();
        for (what, s, which) in steps {
            let source = ["shop/http/home", "shop/http/basket", "shop/log/django"][usize::from(which)];
            keys(&mut state);
            let msg = match what {
                0..=2 => poll(source, s, Ok(vec![Data::Health(health(200, 40.0))])),
                3 => poll(source, s, Ok(vec![Data::Health(health(500, 4_000.0))])),
                4 => poll(source, s, Err(SourceError::connect("refused"))),
                5 => poll(source, s, Ok(vec![batch(s, Level::Error, 20, Some("a"))])),
                6 => Msg::Tick,
                7 => Msg::Command(command::COMMANDS[usize::try_from(s).unwrap() % command::COMMANDS.len()].command),
                8 => Msg::Click(which * 9, which * 3),
                9 => Msg::Paste("x|y !z".into()),
                10 => Msg::Command(Command::Page(Page::ALL[usize::try_from(s).unwrap() % 10])),
                _ => Msg::Slept(Duration::from_secs(100)),
            };
            update(&mut state, msg, at(s));
            // Nothing that is too old is green.
            for source in state.world.sources.values() {
                if source.status == Status::Ok && what == 6 {
                    proptest::prop_assert!(at(s) - source.checked_at.unwrap() < chrono::Duration::seconds(100));
                }
            }
            let mut sorted = state.world.findings.clone();
            sorted.sort_by_key(|f| f.severity);
            let live = |f: &&Finding| f.acknowledged.is_none();
            let (a, b): (Vec<_>, Vec<_>) = (state.world.findings.iter().filter(live).map(|f| f.severity).collect(), sorted.iter().filter(live).map(|f| f.severity).collect());
            proptest::prop_assert_eq!(a, b);
        }
    }
}

fn issue(id: &str, state: IssueState, users: u64) -> Issue {
    Issue {
        id: id.into(),
        short_id: format!("SHOP-{id}"),
        title: "KeyError: 'currency'".into(),
        culprit: Some("basket/pricing.py".into()),
        level: Level::Error,
        events: users * 3,
        users: Some(users),
        first_seen: Some(at(-60)),
        last_seen: Some(at(0)),
        state,
        permalink: Some("https://sentry.example.com/issues/1/".into()),
        hours: vec![],
        unhandled: Some(true),
        assignee: None,
        priority: None,
        first_release: None,
    }
}

fn with(kind: &str, capability: Capability) -> (State, String) {
    let id = format!("shop/{kind}/x");
    let mut one = spec(&id);
    one.capability = capability;
    (State::new(vec![], vec![one], "ana".into()), id)
}

#[test]
fn new_and_returned_issues_are_findings_and_ongoing_ones_are_not() {
    let (mut state, id) = with("sentry", Capability::Issues);
    let items =
        vec![issue("1", IssueState::New, 61), issue("2", IssueState::Regressed, 3), issue("3", IssueState::Ongoing, 900), issue("4", IssueState::Archived, 9)];
    update(&mut state, poll(&id, 0, Ok(vec![Data::Issues(Issues { total: 4, items, server: "sentry".into(), ..Issues::default() })])), at(0));
    let found: Vec<_> = state.world.findings.iter().map(|f| (f.severity, f.title.as_str(), f.users)).collect();
    assert_eq!(
        found,
        [
            (Severity::Critical, "New: KeyError: 'currency' in basket/pricing.py", Some(61)),
            (Severity::Warning, "Back: KeyError: 'currency' in basket/pricing.py", Some(3)),
        ]
    );
    update(&mut state, poll(&id, 30, Err(SourceError::auth("the token has expired", "make a new one"))), at(30));
    assert!(state.world.findings.iter().any(|f| f.title == "Errors of x not known: the token has expired"));
    assert_eq!(state.world.sources[&crate::domain::SourceId::parse(&id).unwrap()].issues.as_ref().unwrap().1.items.len(), 4, "the last good list stays");
    // A list of which a page did not come takes nothing away.
    let mut part = poll(
        &id,
        60,
        Ok(vec![Data::Issues(Issues { total: 4, items: vec![issue("2", IssueState::Ongoing, 3)], server: "sentry".into(), ..Issues::default() })]),
    );
    if let Msg::Polled(Polled { result: Ok(collected), .. }) = &mut part {
        collected.complete = false;
    }
    update(&mut state, part, at(60));
    let known = &state.world.sources[&crate::domain::SourceId::parse(&id).unwrap()].issues.as_ref().unwrap().1;
    let ids: Vec<(&str, IssueState)> = known.items.iter().map(|issue| (issue.id.as_str(), issue.state)).collect();
    assert_eq!(ids, [("2", IssueState::Ongoing), ("1", IssueState::New), ("3", IssueState::Ongoing), ("4", IssueState::Archived)]);
}

#[test]
fn packages_are_one_finding_and_a_part_answer_keeps_the_rest() {
    let (mut state, id) = with("python", Capability::Packages);
    let package = |name: &str, bump: Option<Bump>, cvss: Option<f64>| Package {
        name: name.into(),
        installed: Some("1.0".into()),
        latest: Some("2.0".into()),
        wanted: Some("1.1".into()),
        bump,
        cure: cvss.map(|_| "1.1".into()),
        advisories: cvss
            .map(|score| Advisory {
                id: "GHSA-1".into(),
                aliases: vec![],
                severity: None,
                cvss: Some(score),
                fixed_in: vec!["1.1".into()],
                ..Advisory::default()
            })
            .into_iter()
            .collect(),
        ..Package::default()
    };
    let seen = |items| vec![Data::Packages(Packages { manifest: "requirements.txt".into(), items, ..Packages::default() })];
    update(&mut state, poll(&id, 0, Ok(seen(vec![package("a", Some(Bump::Major), None), package("b", Some(Bump::Patch), None)]))), at(0));
    let finding = &state.world.findings[0];
    assert_eq!((finding.severity, finding.title.as_str()), (Severity::Info, "2 packages are outdated: 1 major, 1 patch"));
    update(&mut state, poll(&id, 30, Ok(seen(vec![package("a", Some(Bump::Major), Some(7.5)), package("b", None, None)]))), at(30));
    let finding = &state.world.findings[0];
    assert_eq!((finding.severity, finding.title.as_str()), (Severity::Warning, "a 1.0 → 1.1 cures 1 advisory, CVSS 7.5"));
    let Msg::Polled(mut part) = poll(&id, 60, Ok(seen(vec![Package { name: "a".into(), problem: Some("no answer".into()), ..Package::default() }]))) else {
        unreachable!()
    };
    part.result.as_mut().unwrap().complete = false;
    update(&mut state, Msg::Polled(part), at(60));
    assert_eq!(state.world.findings[0].severity, Severity::Warning, "what was known of it stays");
}

#[test]
fn a_late_backup_breaks_its_promise() {
    let hour = 3_600;
    for (age_h, complaints, expected) in [
        (20, vec![], None),
        (33, vec![], Some((Severity::Warning, "Backup x is late: 33 h of 26 h"))),
        (60, vec![], Some((Severity::Critical, "Backup x is late: 2 d of 26 h"))),
        (20, vec!["shrank 38 %: 254 MiB, median 411 MiB".to_owned()], Some((Severity::Warning, "Backup x shrank 38 %: 254 MiB, median 411 MiB"))),
    ] {
        let (mut state, id) = with("files", Capability::Backup);
        let backup = Backup {
            last_success: Some(at(-age_h * hour)),
            snapshots: 5,
            tool: "files".into(),
            place: "/backups".into(),
            max_age_s: Some(26 * 3_600),
            complaints,
            ..Backup::default()
        };
        update(&mut state, poll(&id, 0, Ok(vec![Data::Backup(Box::new(backup))])), at(0));
        assert_eq!(state.world.findings.first().map(|f| (f.severity, f.title.as_str())), expected, "{age_h}");
        assert!(state.world.findings.len() <= 1);
    }
}

fn taken(by: &str, s: i64, until: Option<i64>) -> Acknowledgement {
    Acknowledgement { by: by.into(), why: "known".into(), at: at(s), until: until.map(at), bound: None }
}

#[test]
fn an_acknowledgement_of_another_process_holds_to_what_was_taken() {
    let mut state = state();
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
    }
    let finding = state.world.findings[0].clone();
    let ack = Acknowledgement { bound: Some(Bound::of(&finding)), ..taken("jon", 21, None) };
    update(&mut state, Msg::Acknowledged(finding.id.clone(), Some(ack.clone())), at(21));
    probe(&mut state, "shop/http/basket", 30, 500, 10.0);
    assert!(state.world.findings[0].acknowledged.is_some(), "the same evidence");
    let effects = probe(&mut state, "shop/http/basket", 40, 503, 10.0);
    assert!(state.world.findings[0].acknowledged.is_none(), "other evidence brings it back");
    assert!(effects.contains(&Effect::KeepAcknowledgement(finding.id.clone(), None)));
    // What was taken elsewhere of something less bad covers nothing here.
    update(&mut state, Msg::Acknowledged(finding.id, Some(ack)), at(41));
    assert!(state.world.findings[0].acknowledged.is_none());
}

#[test]
fn what_was_taken_before_a_restart_holds_until_a_look_says_otherwise() {
    let mut state = state();
    let id = FindingId::from_text("shop/http/basket#availability");
    update(&mut state, Msg::Acknowledged(id.clone(), Some(taken("jon", 0, None))), at(0));
    for s in [1, 11, 21] {
        let effects = probe(&mut state, "shop/http/basket", s, 500, 10.0);
        assert!(!effects.iter().any(|e| matches!(e, Effect::KeepAcknowledgement(..) | Effect::Bell)), "at {s}: {effects:?}");
    }
    assert_eq!(state.world.findings[0].acknowledged.as_ref().unwrap().by, "jon");
    let mut gone = Vec::new();
    for s in [31, 41, 51] {
        gone.extend(probe(&mut state, "shop/http/basket", s, 200, 10.0));
    }
    assert!(gone.contains(&Effect::KeepAcknowledgement(id.clone(), None)), "it is over, and a next time is another time");
    assert!(state.world.acknowledgements.is_empty());
}

#[test]
fn a_maintenance_window_hides_nothing_for_longer_than_it_lasts() {
    let mut state = state();
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
    }
    let basket = SourceId::parse("shop/http/basket").unwrap();
    let id = FindingId::maintenance("shop");
    let effects = update(&mut state, Msg::Acknowledged(id, Some(taken("ana", 21, Some(60)))), at(21));
    assert_eq!(state.world.sources[&basket].status, Status::Maintenance);
    assert!(state.world.findings.is_empty() && !effects.contains(&Effect::Bell), "{effects:?}");
    assert!(state.world.sources.values().filter(|s| s.spec.id.site() != "shop").all(|s| s.status != Status::Maintenance), "another site is judged");
    // It is looked at, and not judged.
    let effects = probe(&mut state, "shop/http/basket", 30, 503, 10.0);
    assert!(matches!(effects.as_slice(), [Effect::KeepPoll(_)]), "{effects:?}");
    assert_eq!(state.world.sources[&basket].status, Status::Maintenance);
    assert_eq!(super::update::next_tick(&state, at(31)).map(|next| next <= at(60)), Some(true));
    let effects = update(&mut state, Msg::Tick, at(61));
    assert_eq!(state.world.sources[&basket].status, Status::Down, "it was down beneath");
    assert!(effects.contains(&Effect::Bell) && state.world.findings.len() == 1, "{effects:?}");
    assert!(state.world.events.iter().any(|event| event.sentence == "the maintenance window is over"));
}

#[test]
fn probes_of_a_maintenance_window_count_in_no_uptime_here_or_elsewhere() {
    let (mut state, mut elsewhere) = (state(), state());
    let mut given = Vec::new();
    let take = |state: &mut State, given: &mut Vec<Effect>, s: i64, code: u16| given.extend(probe(state, "shop/http/basket", s, code, 10.0));
    take(&mut state, &mut given, 0, 200);
    take(&mut state, &mut given, 10, 200);
    update(&mut state, Msg::Acknowledged(FindingId::maintenance("shop"), Some(taken("ana", 11, Some(60)))), at(11));
    for s in [20, 30, 40, 50] {
        take(&mut state, &mut given, s, 503);
    }
    let figures = |state: &State| {
        let health = state.world.sources[&id("shop/http/basket")].health.as_ref().unwrap();
        let windows = [health.hour, health.day, health.week, health.month].map(|window| window.map(|window| (window.uptime, window.count)));
        (windows, health.samples.len(), health.last.as_ref().unwrap().1.status_code)
    };
    assert_eq!(figures(&state), ([Some((100.0, 2)); 4], 2, Some(503)), "it is still looked at");
    // As it is kept it is followed, by a process that knows nothing of the window any more.
    for effect in given {
        if let Effect::KeepPoll(polled) = effect {
            update(&mut elsewhere, Msg::Followed(*polled), at(61));
        }
    }
    assert_eq!(figures(&elsewhere), ([Some((100.0, 2)); 4], 2, Some(503)));
    update(&mut state, Msg::Tick, at(61));
    probe(&mut state, "shop/http/basket", 70, 503, 10.0);
    assert_eq!(figures(&state).0[0], Some((200.0 / 3.0, 3)), "after it all counts");
}

#[test]
fn keys_act_on_issues_packages_and_backups() {
    let mut state = crate::ui::fixture::story();
    let now = crate::ui::fixture::now();
    let give = |state: &mut State, command: Command| update(state, Msg::Command(command), now);
    let select = |state: &mut State, page: Page, key: &str| {
        state.view.page = page;
        state.view.drawn.keys = vec!["other".to_owned(), key.to_owned()];
        state.view.list_mut().selected = Some(key.to_owned());
    };
    let link = "https://sentry.example.com/organizations/acme/issues/4104/".to_owned();
    select(&mut state, Page::Errors, "shop/sentry/backend#4104");
    assert!(give(&mut state, Command::Open).contains(&Effect::Open(link.clone())));
    assert!(give(&mut state, Command::Copy).contains(&Effect::Copy(format!("SHOP-41B TimeoutError: payment gateway did not answer {link}"))));
    assert!(give(&mut state, Command::Poll).contains(&Effect::Poll(id("shop/sentry/backend"))));
    // An issue that nothing tells of cannot be taken; one that is new can.
    give(&mut state, Command::Acknowledge);
    assert!(state.view.prompt.is_none());
    select(&mut state, Page::Errors, "shop/sentry/backend#4101");
    give(&mut state, Command::Acknowledge);
    type_text(&mut state, "mara looks", now);
    give(&mut state, Command::Enter);
    let taken = state.world.findings.iter().find(|f| f.id.as_str() == "shop/sentry/backend#issue:4101").unwrap();
    assert_eq!(taken.acknowledged.as_ref().unwrap().why, "mara looks");
    select(&mut state, Page::Dependencies, "shop/python/app#django");
    assert!(give(&mut state, Command::Copy).contains(&Effect::Copy("django 5.2.15 → 5.2.19".to_owned())));
    select(&mut state, Page::Backups, "shop/restic/media#media");
    assert!(give(&mut state, Command::Poll).contains(&Effect::Poll(id("shop/restic/media"))));
    give(&mut state, Command::Enter);
    assert!(state.view.detail_open);
    give(&mut state, Command::Back);
    assert!(!state.view.detail_open);
}

#[test]
fn the_first_row_of_the_events_follows_the_newest() {
    let mut state = state();
    state.view.page = Page::Activity;
    state.view.drawn.keys = vec!["a".to_owned(), "b".to_owned()];
    update(&mut state, Msg::Command(Command::Bottom), at(0));
    assert_eq!(state.view.list().selected.as_deref(), Some("b"));
    update(&mut state, Msg::Command(Command::Top), at(0));
    assert_eq!(state.view.list().selected, None);
}

#[test]
fn a_long_list_comes_in_parts_and_what_is_in_it_no_more_goes() {
    let (mut state, id) = with("sentry", Capability::Issues);
    let part = |from: u64, names: &[&str], ids: &[&str], complete: bool, at_s: i64| {
        let items = names.iter().map(|name| issue(name, IssueState::Ongoing, 1)).collect();
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let mut msg = poll(&id, at_s, Ok(vec![Data::Issues(Issues { total: 9, items, server: "sentry".into(), from, ids, saved: vec![] })]));
        if let Msg::Polled(Polled { result: Ok(collected), .. }) = &mut msg {
            collected.complete = complete;
        }
        msg
    };
    let source = crate::domain::SourceId::parse(&id).unwrap();
    let known =
        |state: &State| state.world.sources[&source].issues.as_ref().unwrap().1.items.iter().map(|issue| issue.id.clone()).collect::<Vec<_>>().join(" ");
    let kept = |effects: Vec<Effect>| effects.iter().any(|effect| matches!(effect, Effect::KeepPoll(_)));
    assert!(kept(update(&mut state, part(0, &["1", "2"], &[], false, 0), at(0))));
    assert!(!kept(update(&mut state, part(2, &["3", "4"], &[], false, 1), at(1))), "the rest of a long list is not for the journal");
    update(&mut state, part(4, &["5"], &["1", "2", "3", "5"], false, 2), at(2));
    assert_eq!(known(&state), "1 2 3 5");
    // The beginning is read again: what moved there is there once, what is not in the list is gone.
    update(&mut state, part(0, &["5", "2"], &["2", "3", "5"], false, 60), at(60));
    assert_eq!(known(&state), "5 2 3");
    assert!(state.world.sources[&source].issues.as_ref().unwrap().1.ids.is_empty());
    update(&mut state, part(0, &["2"], &[], true, 120), at(120));
    assert_eq!(known(&state), "2");
}

#[test]
fn a_deploy_that_a_tracker_tells_counts_beside_those_that_people_tell() {
    let (mut state, id) = with("sentry", Capability::Issues);
    state.world.sites.push(SiteState { name: "shop".into(), environment: Some("production".into()), ..SiteState::default() });
    let release = |version: &str, s: i64| crate::domain::Release {
        version: format!("shop@{version}"),
        short: Some(version.to_owned()),
        created_at: None,
        released_at: None,
        deploys: vec![crate::domain::Deploy { environment: "production".into(), at: at(s), name: None, url: None }],
        commits: vec![],
        commit_count: 0,
        new_issues: 0,
        issues: vec![],
    };
    let told = |items: Vec<crate::domain::Release>, s: i64| {
        poll(&id, s, Ok(vec![Data::Issues(Issues::default()), Data::Release(crate::domain::Releases { items, environment: None })]))
    };
    let deploys = |state: &State| state.world.events.iter().filter(|event| matches!(event.kind, TransitionKind::Deploy { .. })).count();
    update(&mut state, told(vec![release("v1", 10)], 20), at(20));
    assert_eq!((state.world.sites[0].release.clone(), deploys(&state)), (Some(("v1".into(), at(10))), 0), "what was there before is no news");
    update(&mut state, told(vec![release("v2", 30), release("v1", 10)], 40), at(40));
    assert_eq!((state.world.sites[0].release.clone(), deploys(&state)), (Some(("v2".into(), at(30))), 1));
    assert_eq!(state.world.events.back().unwrap().sentence, "deployed v2, as sentry/x tells");
    // What people tell later is right, and an older word does not undo it.
    let kind = TransitionKind::Deploy { version: "v3".into(), by: "ana".into() };
    update(&mut state, Msg::Events(vec![Transition { at: at(50), site: "shop".into(), source: None, kind, sentence: String::new() }]), at(50));
    update(&mut state, told(vec![release("v2", 30)], 60), at(60));
    assert_eq!(state.world.sites[0].release, Some(("v3".into(), at(50))));
}

#[test]
fn requests_of_a_log_are_joined_by_minute_and_path() {
    use crate::domain::{AccessMinute, AccessPath, LogAccess, LogBatch};
    let mut state = state();
    for n in 0..3 {
        let mut minute = AccessMinute { start: at(0).timestamp(), statuses: [0, 9, 0, 0, 1], ..AccessMinute::default() };
        minute.latency_ms.add(100.0);
        let path = AccessPath { path: "/basket/".into(), statuses: [0, 9, 0, 0, 1], latency_ms: minute.latency_ms.clone() };
        let access = LogAccess { minutes: vec![minute], paths: vec![path] };
        let batch = LogBatch { files: vec!["access.log".into()], lines: 10, access: Some(access), ..LogBatch::default() };
        update(&mut state, poll("shop/log/django", n, Ok(vec![Data::Log(batch)])), at(n));
    }
    let log = state.world.sources[&id("shop/log/django")].log.as_ref().unwrap();
    let minute = log.access.values().next().unwrap();
    assert_eq!((log.access.len(), minute.requests(), minute.statuses[4], minute.latency_ms.count()), (1, 30, 3, 3));
    assert_eq!((log.paths["/basket/"].statuses[1], log.last_line), (27, Some(at(2))));
}
