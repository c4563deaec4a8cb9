//! What polls make of a source: status, age, percentiles, certificates, and what windows leave out.

use super::*;

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
