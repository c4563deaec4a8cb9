use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::domain::LogNotice;
use crate::sources::SourceSpec;
use crate::state::SiteState;

fn start() -> Timestamp {
    Timestamp::from_timestamp(1_795_143_124, 0).unwrap()
}

fn event(ms: i64, level: Level, message: &str) -> LogEvent {
    LogEvent { at: start() + TimeDelta::milliseconds(ms), level, file: 0, message: message.to_owned(), detail: Vec::new(), fingerprint: None, place: None }
}

fn source(id: &str, first_seq: u64, events: Vec<LogEvent>) -> (SourceId, SourceState) {
    let id = SourceId::parse(id).unwrap();
    let spec = SourceSpec {
        id: id.clone(),
        title: String::new(),
        capability: Capability::Log,
        every: Duration::from_secs(10),
        timeout: Duration::from_secs(10),
        retry_every: Duration::from_secs(10),
        failures: 1,
        successes: 1,
        enabled: true,
        continuous: true,
        runbook: None,
        needs: Vec::new(),
        target: String::new(),
    };
    let log = LogState { files: vec!["django.log".to_owned()], first_seq, events: events.into(), ..LogState::default() };
    let mut state = SourceState::new(spec);
    state.log = Some(log);
    (id, state)
}

fn world(sources: Vec<(SourceId, SourceState)>) -> World {
    let names: BTreeSet<String> = sources.iter().map(|(id, _)| id.site().to_owned()).collect();
    let sites = names.into_iter().map(|name| SiteState { name, ..SiteState::default() }).collect();
    World { sites, sources: sources.into_iter().collect(), ..World::default() }
}

fn messages(merged: &Merged<'_>) -> Vec<String> {
    merged.entries().iter().map(|entry| merged.event(entry).unwrap().message.clone()).collect()
}

#[test]
fn the_logs_of_a_site_are_one_sequence_by_time() {
    let world = world(vec![
        source("shop/log/access", 7, vec![event(0, Level::Info, "a"), event(2_000, Level::Info, "c")]),
        source("shop/log/django", 0, vec![event(1_000, Level::Error, "b"), event(3_000, Level::Info, "d")]),
        source("blog/log/django", 0, vec![event(500, Level::Error, "other site")]),
    ]);
    let mut view = View::default();
    view.log.site = Some("shop".to_owned());
    let merged = Merged::new(&world, &view);
    assert_eq!(messages(&merged), ["a", "b", "c", "d"]);
    assert_eq!(merged.key(2), Some(("shop/log/access".to_owned(), 8)));
    assert_eq!(tabs(&world, &view), ["blog", "shop", "shop/log/access", "shop/log/django"]);
    assert_eq!(next_tab(&world, &view, true).as_deref(), Some("shop/log/access"));
    view.log.site = Some("shop/log/django".to_owned());
    assert_eq!(messages(&Merged::new(&world, &view)), ["b", "d"]);
    view.log.site = Some("gone".to_owned());
    assert_eq!(messages(&Merged::new(&world, &view)), ["other site"]);
}

#[test]
fn equal_neighbours_within_a_second_are_one_entry() {
    let view = View::default();
    let world = world(vec![source(
        "shop/log/django",
        0,
        vec![
            event(0, Level::Error, "boom"),
            event(400, Level::Error, "boom"),
            event(900, Level::Error, "boom"),
            event(1_100, Level::Error, "boom"),
            event(1_200, Level::Info, "ok"),
            event(1_300, Level::Error, "boom"),
        ],
    )]);
    let merged = Merged::new(&world, &view);
    assert_eq!(merged.entries().iter().map(|entry| (entry.count, entry.span_ms)).collect::<Vec<_>>(), [(3, 900), (1, 0), (1, 0), (1, 0)]);
    // The second of three equal ones is found in their entry.
    assert_eq!(merged.position(Some(&("shop/log/django".to_owned(), 1))), Some(0));
    assert_eq!(merged.events_below(0), 3);
}

#[test]
fn a_filter_and_a_level_say_what_they_hide() {
    let world = world(vec![source(
        "shop/log/django",
        0,
        vec![event(0, Level::Info, "GET /healthz"), event(1, Level::Info, "GET /"), event(2, Level::Error, "healthz broke"), event(3, Level::Debug, "x")],
    )]);
    let mut view = View::default();
    view.log.filters.push(LogFilter { text: "!healthz".to_owned(), on: true });
    view.log.level = Some(Level::Info);
    let merged = Merged::new(&world, &view);
    assert_eq!(messages(&merged), ["GET /"]);
    assert_eq!((merged.index.hidden, merged.index.hidden_errors, merged.index.below), (2, 1, 1));
}

#[test]
fn seeking_goes_to_the_next_of_its_kind_and_stays_at_the_ends() {
    let view = View::default();
    let mut traceback = event(2_000, Level::Error, "Internal Server Error");
    traceback.detail = vec!["KeyError: 'currency'".to_owned()];
    let world = world(vec![source(
        "shop/log/django",
        0,
        vec![event(0, Level::Error, "a"), event(1_000, Level::Warning, "b"), traceback, event(3_000, Level::Critical, "d"), event(4_000, Level::Info, "e")],
    )]);
    let merged = Merged::new(&world, &view);
    assert_eq!(merged.seek(0, Seek::Error, true), Some(2));
    assert_eq!(merged.seek(2, Seek::Error, true), Some(3));
    assert_eq!(merged.seek(3, Seek::Error, true), None);
    assert_eq!(merged.seek(4, Seek::Error, false), Some(3));
    assert_eq!(merged.seek(3, Seek::Warning, false), Some(1));
    assert_eq!(merged.seek(0, Seek::Match, true), None);
    assert_eq!(merged.seek(usize::MAX, Seek::Error, true), None);
    let mut view = View::default();
    view.log.search = "currency".to_owned();
    let merged = Merged::new(&world, &view);
    assert_eq!((merged.seek(0, Seek::Match, true), merged.index.found, merged.rank(2), merged.rank(1)), (Some(2), 1, Some(1), None));
}

#[test]
fn the_selection_follows_at_the_end_and_survives_what_it_stood_on() {
    let view = View::default();
    let world = world(vec![source("shop/log/django", 100, (0..10).map(|n| event(n * 2_000, Level::Info, &format!("{n}"))).collect())]);
    let merged = Merged::new(&world, &view);
    assert_eq!(merged.position(None), Some(9));
    assert_eq!(merged.select(9), None);
    let key = merged.select(4).unwrap();
    assert_eq!(key, ("shop/log/django".to_owned(), 104));
    assert_eq!(merged.position(Some(&key)), Some(4));
    // It was pushed out of memory: the oldest that is left.
    assert_eq!(merged.position(Some(&("shop/log/django".to_owned(), 3))), Some(0));
    // Its source is gone.
    assert_eq!(merged.position(Some(&("shop/log/other".to_owned(), 3))), Some(9));
    assert_eq!(Merged::default().position(None), None);
}

#[test]
fn a_rotation_stands_where_it_was_noticed() {
    let view = View::default();
    let (id, mut state) = source("shop/log/django", 10, vec![event(0, Level::Info, "a"), event(2_000, Level::Info, "b")]);
    let at = start() + TimeDelta::days(1);
    state.log.as_mut().unwrap().marks =
        [(11, LogMark { at, file: 0, notice: LogNotice::Rotated }), (12, LogMark { at, file: 0, notice: LogNotice::Gone })].into();
    let world = world(vec![(id, state)]);
    let merged = Merged::new(&world, &view);
    assert_eq!(merged.marks.iter().map(|mark| mark.before).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_world_without_logs_has_no_sequence() {
    let view = View::default();
    let world = World::default();
    let merged = Merged::new(&world, &view);
    assert!(merged.tab.is_empty() && merged.entries().is_empty());
}
