//! What batches of a log make: bursts, floods, clocks that jump.

use super::*;

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
