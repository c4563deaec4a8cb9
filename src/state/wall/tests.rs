use std::collections::BTreeMap;

use chrono::{TimeDelta, TimeZone, Utc};
use proptest::prelude::*;

use super::*;
use crate::domain::{
    Acknowledgement, Capability, Data, FindingId, Health, Level, LogBatch, LogEvent, LogGroup, LogMark, LogNotice, Observation, SourceId, Verdict,
};
use crate::sources::{Collected, SourceSpec};
use crate::state::msg::Polled;
use crate::state::update::{next_tick, update};
use crate::state::world::{EVENTS, LOG_EVENTS, LOG_GROUPS, LOG_MINUTES, SAMPLES};
use crate::state::{Msg, SiteState};

fn start() -> Timestamp {
    Utc.with_ymd_and_hms(2026, 11, 20, 3, 0, 0).unwrap()
}

fn at(s: i64) -> Timestamp {
    start() + TimeDelta::seconds(s)
}

fn spec(id: &str) -> SourceSpec {
    let id = SourceId::parse(id).unwrap();
    let log = id.kind() == "log";
    SourceSpec {
        title: id.name().to_owned(),
        capability: if log { Capability::Log } else { Capability::Health },
        every: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        retry_every: Duration::from_secs(10),
        failures: 1,
        successes: 1,
        enabled: true,
        continuous: log,
        runbook: None,
        needs: vec![],
        target: String::new(),
        id,
    }
}

fn wall(settings: Settings) -> State {
    let sites = ["shop", "blog"].map(|name| SiteState { name: name.to_owned(), ..SiteState::default() });
    let mut state = State::new(sites.to_vec(), ["shop/http/home", "blog/http/home", "shop/log/app"].map(spec).to_vec(), "ana".to_owned());
    state.view.wall = Some(WallState::new(settings, start()));
    state
}

fn probe(state: &mut State, source: &str, s: i64, code: u16) {
    let verdict = if code < 500 { Verdict::Ok } else { Verdict::Down };
    let health = Health {
        verdict,
        status_code: Some(code),
        latency_ms: Some(20.0 + (s % 7) as f64),
        phases_ms: crate::domain::Phases::default(),
        expectations: vec![],
        limits: crate::domain::LatencyLimits::default(),
        request: String::new(),
        body_bytes: 0,
        error: None,
        silenced: false,
    };
    give(state, source, s, Data::Health(health));
}

fn give(state: &mut State, source: &str, s: i64, data: Data) {
    let collected = Collected { observations: vec![Observation { at: at(s), data }], problems: vec![], complete: true };
    let polled = Polled { source: SourceId::parse(source).unwrap(), started: at(s), at: at(s), result: Ok(collected), next_at: None };
    update(state, Msg::Polled(polled), at(s));
}

fn phase(state: &State) -> &Phase {
    &state.view.wall.as_ref().unwrap().phase
}

fn trouble(state: &State) -> Option<&Trouble> {
    if let Phase::Trouble(trouble) = phase(state) { Some(trouble) } else { None }
}

/// Both endpoints well, then one answers 500.
fn failing() -> State {
    let mut state = wall(Settings::default());
    probe(&mut state, "blog/http/home", 0, 200);
    probe(&mut state, "shop/http/home", 0, 200);
    probe(&mut state, "shop/http/home", 5, 500);
    state
}

#[test]
fn pages_turn_while_all_is_well_and_stand_still_at_trouble() {
    let mut state = wall(Settings::default());
    probe(&mut state, "shop/http/home", 0, 200);
    probe(&mut state, "blog/http/home", 0, 200);
    let turn = |state: &State| state.view.wall.as_ref().unwrap().turn;
    for (s, turns) in [(19, 0), (20, 1), (39, 1), (45, 2), (60, 3)] {
        update(&mut state, Msg::Tick, at(s));
        assert_eq!(turn(&state), turns, "{s}");
    }
    probe(&mut state, "shop/http/home", 61, 500);
    for s in [90, 120, 150] {
        probe(&mut state, "blog/http/home", s, 200);
        probe(&mut state, "shop/http/home", s, 500);
    }
    assert!(trouble(&state).is_some());
    assert_eq!(turn(&state), 3);
    // A long absence is not caught up turn by turn.
    let mut state = wall(Settings { rotate: Duration::from_secs(1), ..Settings::default() });
    update(&mut state, Msg::Tick, at(3_000_000));
    assert_eq!(turn(&state), 3_000_000);
    assert!(state.view.wall.unwrap().turned_at <= at(3_000_000));
}

#[test]
fn trouble_stays_for_a_minute_at_least_and_its_end_is_told_for_another() {
    let mut state = failing();
    assert_eq!(trouble(&state).unwrap().finding.title.split(':').next(), Some("home is down"));
    probe(&mut state, "shop/http/home", 20, 200);
    assert!(state.world.findings.is_empty());
    assert!(trouble(&state).unwrap().over);
    // The wall asks to be woken for it.
    assert_eq!(next(&state), Some(at(65)));
    assert!(next_tick(&state, at(20)).is_some_and(|tick| tick <= at(65)));
    probe(&mut state, "shop/http/home", 50, 200);
    probe(&mut state, "blog/http/home", 50, 200);
    assert!(trouble(&state).is_some());
    update(&mut state, Msg::Tick, at(65));
    assert!(matches!(phase(&state), Phase::Recovered { site, after, until, .. } if site == "shop" && after.as_secs() == 60 && *until == at(125)));
    probe(&mut state, "shop/http/home", 80, 200);
    probe(&mut state, "blog/http/home", 80, 200);
    update(&mut state, Msg::Tick, at(124));
    assert!(matches!(phase(&state), Phase::Recovered { .. }));
    update(&mut state, Msg::Tick, at(125));
    assert_eq!(*phase(&state), Phase::Calm);
}

#[test]
fn an_end_that_nobody_verified_is_no_recovery() {
    let mut state = failing();
    let source = SourceId::parse("shop/http/home").unwrap();
    state.world.findings.clear();
    state.world.sources.get_mut(&source).unwrap().status = Status::Paused;
    update(&mut state, Msg::Tick, at(66));
    assert_eq!(*phase(&state), Phase::Calm);
}

#[test]
fn nothing_but_worse_takes_the_place_of_what_lasts() {
    let mut state = failing();
    probe(&mut state, "blog/http/home", 10, 500);
    assert_eq!(trouble(&state).unwrap().finding.source.site(), "shop");
    // When it is over, the other is next, and nothing has recovered.
    for s in [30, 60, 90] {
        probe(&mut state, "shop/http/home", s, 200);
        probe(&mut state, "blog/http/home", s, 500);
    }
    assert_eq!(trouble(&state).unwrap().finding.source.site(), "blog");
    assert_eq!(trouble(&state).unwrap().begun, at(5));

    let mut state = wall(Settings::default());
    probe(&mut state, "shop/http/home", 0, 200);
    let source = SourceId::parse("shop/http/home").unwrap();
    let error = Err(crate::domain::SourceError::auth("401", "renew"));
    let polled = Polled { source, started: at(5), at: at(5), result: error, next_at: None };
    update(&mut state, Msg::Polled(polled), at(5));
    assert_eq!(trouble(&state).unwrap().finding.severity, Severity::Unknown);
    probe(&mut state, "blog/http/home", 6, 500);
    assert_eq!(trouble(&state).unwrap().finding.severity, Severity::Critical);
}

#[test]
fn what_somebody_has_stops_nothing_and_is_told() {
    let mut state = failing();
    let id = state.world.findings[0].id.clone();
    let ack = Acknowledgement { by: "ana".to_owned(), why: "rolling back".to_owned(), at: at(10), until: Some(at(300)), bound: None };
    update(&mut state, Msg::Acknowledged(id, Some(ack)), at(10));
    assert_eq!(*phase(&state), Phase::Calm);
    let wall = state.view.wall.clone().unwrap();
    assert_eq!(taken(&state.world, None, &wall, at(10)).count(), 1);
    // Its end brings it back.
    for s in (20..=310).step_by(20) {
        probe(&mut state, "shop/http/home", s, 500);
        probe(&mut state, "blog/http/home", s, 200);
    }
    assert!(trouble(&state).is_some());
}

#[test]
fn warnings_stop_it_only_where_that_was_asked_for() {
    let finding = |severity| Finding { severity, ..failing().world.findings[0].clone() };
    let wall = WallState::new(Settings::default(), start());
    let strict = WallState::new(Settings { warnings: true, ..Settings::default() }, start());
    for (severity, default, asked) in
        [(Severity::Critical, true, true), (Severity::Unknown, true, true), (Severity::Warning, false, true), (Severity::Info, false, false)]
    {
        assert_eq!((wall.matters(&finding(severity)), strict.matters(&finding(severity))), (default, asked), "{severity:?}");
    }
}

#[test]
fn silence_is_told_after_three_intervals() {
    let mut state = wall(Settings::default());
    assert_eq!(no_news(&state.world, None, start()), Some((start(), at(100))));
    probe(&mut state, "shop/http/home", 40, 200);
    assert_eq!(no_news(&state.world, None, start()), Some((at(40), at(140))));
    assert_eq!(no_news(&state.world, Some("blog"), start()), Some((start(), at(100))));
    // A wait that was announced is no silence.
    for source in state.world.sources.values_mut() {
        source.checked_at = Some(at(40));
        source.next_at = Some(at(640));
    }
    assert_eq!(no_news(&state.world, None, start()), Some((at(40), at(40 + 1_800 + 10))));
    for source in state.world.sources.values_mut() {
        source.status = Status::Paused;
    }
    assert_eq!(no_news(&state.world, None, start()), None);
}

#[test]
fn keys_are_locked_but_for_leaving_and_unlocking() {
    let mut state = failing();
    let before = (state.view.page, state.world.clone().acknowledgements);
    for spec in crate::state::command::COMMANDS {
        if matches!(spec.command, Command::Quit | Command::Interrupt | Command::Palette) {
            continue;
        }
        let effects = update(&mut state, Msg::Command(spec.command), at(6));
        assert!(effects.iter().all(|effect| *effect == Effect::Redraw), "{}: {effects:?}", spec.id);
        assert!(state.view.prompt.is_none() && state.view.overlay.is_none() && state.view.wall.is_some(), "{}", spec.id);
    }
    update(&mut state, Msg::Click(5, 5), at(6));
    update(&mut state, Msg::Paste("q".to_owned()), at(6));
    assert_eq!((state.view.page, state.world.clone().acknowledgements), before);
    assert_eq!(update(&mut state, Msg::Command(Command::Quit), at(6)), [Effect::Quit]);

    let mut ask = |text: &str, command: Command| {
        update(&mut state, Msg::Command(Command::Palette), at(7));
        update(&mut state, Msg::Paste(text.to_owned()), at(7));
        let effects = update(&mut state, Msg::Command(command), at(7));
        (effects, state.view.wall.is_some(), state.view.prompt.is_some())
    };
    assert_eq!(ask("quit", Command::Enter), (vec![], true, false));
    assert_eq!(ask("unlock", Command::Back), (vec![], true, false));
    assert_eq!(ask("unlock", Command::Enter), (vec![], false, false));
}

#[test]
fn a_question_that_nobody_answers_goes_away() {
    let mut state = failing();
    update(&mut state, Msg::Command(Command::Palette), at(10));
    assert!(next(&state).is_some_and(|when| when <= at(40)));
    update(&mut state, Msg::Tick, at(39));
    assert!(state.view.prompt.is_some());
    update(&mut state, Msg::Tick, at(40));
    assert!(state.view.prompt.is_none());
}

proptest! {
    #[test]
    fn no_order_of_news_and_no_clock_breaks_it(steps in prop::collection::vec((0u8..4, -100i64..400, any::<bool>()), 1..60)) {
        let mut state = wall(Settings::default());
        let mut now = 0;
        for (what, by, bad) in steps {
            now += by;
            let code = if bad { 500 } else { 200 };
            match what {
                0 => probe(&mut state, "shop/http/home", now, code),
                1 => probe(&mut state, "blog/http/home", now, code),
                2 => {
                    let ack = Acknowledgement { by: "ana".to_owned(), why: String::new(), at: at(now), until: bad.then(|| at(now + 60)), bound: None };
                    let first = state.world.findings.first().map(|finding| finding.id.clone());
                    if let Some(id) = first {
                        update(&mut state, Msg::Acknowledged(id, Some(ack)), at(now));
                    }
                }
                _ => {}
            }
            update(&mut state, Msg::Tick, at(now));
            let wall = state.view.wall.as_ref().unwrap();
            prop_assert!(wall.turned_at <= at(now));
            // What needs somebody is never hidden behind a calm picture.
            let urgent = state.world.findings.iter().any(|finding| wall.matters(finding) && !asleep(finding, at(now)));
            prop_assert!(!urgent || trouble(&state).is_some());
        }
    }
}

/// One minute of a log: lines, an error of its own, now and then a rotation.
fn lines(minute: i64) -> LogBatch {
    let event = |n: i64| LogEvent {
        at: at(minute * 60 + n),
        level: Level::Info,
        file: 0,
        message: format!("line {n}"),
        detail: vec![],
        fingerprint: None,
        place: None,
    };
    let fingerprint = format!("{minute:08x}");
    LogBatch {
        files: vec!["app.log".to_owned()],
        lines: 3,
        levels: BTreeMap::from([(Level::Info, 3)]),
        minutes: vec![(at(minute * 60).timestamp().div_euclid(60) * 60, Level::Info, 3)],
        groups: vec![LogGroup {
            title: fingerprint.clone(),
            fingerprint,
            culprit: String::new(),
            level: Level::Error,
            count: 1,
            first_seen: at(minute * 60),
            last_seen: at(minute * 60),
        }],
        events: (0..3).map(event).collect(),
        marks: if minute % 10 == 0 { vec![LogMark { at: at(minute * 60), file: 0, notice: LogNotice::Rotated }] } else { vec![] },
        skipped: 0,
        format: "django".to_owned(),
        ..LogBatch::default()
    }
}

/// How much there is of everything that could grow.
fn sizes(state: &State) -> Vec<(&'static str, usize, usize)> {
    let (world, view) = (&state.world, &state.view);
    let health = |pick: fn(&crate::state::HealthState) -> usize| world.sources.values().filter_map(|s| s.health.as_ref()).map(pick).max().unwrap_or(0);
    let log = |pick: fn(&crate::state::LogState) -> usize| world.sources.values().filter_map(|s| s.log.as_ref()).map(pick).max().unwrap_or(0);
    vec![
        ("samples", health(|health| health.samples.len()), SAMPLES),
        ("hours", health(|health| health.hours.len()), 49),
        ("days", health(|health| health.days.len()), 32),
        ("buckets of a day", health(|health| health.days.values().map(|day| day.latency.buckets().len()).max().unwrap_or(0)), 200),
        ("log events", log(|log| log.events.len()), LOG_EVENTS),
        ("log minutes", log(|log| log.minutes.len()), LOG_MINUTES),
        ("log groups", log(|log| log.groups.len()), LOG_GROUPS),
        ("log marks", log(|log| log.marks.len()), LOG_EVENTS),
        ("log files", log(|log| log.files.len()), 1),
        ("events", world.events.len(), EVENTS),
        ("findings", world.findings.len(), 10),
        ("acknowledgements", world.acknowledgements.len(), 10),
        ("notices", world.notices.len(), 3),
        ("undo", view.undo.len(), 0),
        ("lists", view.lists.len(), 10),
        ("problems", world.sources.values().map(|source| source.problems.len()).sum(), 0),
    ]
}

#[test]
fn a_week_on_the_wall_leaves_no_more_in_memory_than_it_may() {
    let mut state = wall(Settings { rotate: Duration::from_secs(20), ..Settings::default() });
    for source in state.world.sources.values_mut() {
        source.spec.every = Duration::from_secs(120);
    }
    let (mut troubled, mut well) = (0u32, 0u32);
    for minute in (0..7 * 24 * 60i64).step_by(2) {
        let s = minute * 60;
        // One outage of twenty minutes every six hours; somebody takes every third one on.
        let down = minute % 360 >= 340;
        probe(&mut state, "shop/http/home", s, if down { 500 } else { 200 });
        give(&mut state, "shop/log/app", s, Data::Log(lines(minute)));
        if minute % 1_080 == 346 {
            let ids: Vec<FindingId> = state.world.findings.iter().map(|finding| finding.id.clone()).collect();
            for id in ids {
                let ack = Acknowledgement { by: "ana".to_owned(), why: "on it".to_owned(), at: at(s), until: None, bound: None };
                update(&mut state, Msg::Acknowledged(id, Some(ack)), at(s));
            }
        }
        update(&mut state, Msg::Tick, at(s + 90));
        match phase(&state) {
            Phase::Trouble(_) => troubled += 1,
            _ => well += 1,
        }
        if minute % 1_440 == 1_438 {
            for (what, size, most) in sizes(&state) {
                assert!(size <= most, "day {}: {size} {what}, at most {most}", minute / 1_440);
            }
        }
    }
    assert!(troubled > 150 && well > 4_000, "{troubled} {well}");
}
