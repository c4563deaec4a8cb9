//! The whole dashboard on a test backend: polls and keys go in as they would, and what a person would see comes out.

use std::time::Duration;

use chrono::{TimeDelta, TimeZone};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use rounds::app::dashboard::Dashboard;
use rounds::domain::{Capability, Data, Health, Observation, Phases, SourceId, Timestamp, Verdict};
use rounds::sources::{Collected, SourceSpec};
use rounds::state::msg::Polled;
use rounds::state::{Effect, Msg, SiteState, State};
use rounds::ui::keymap::Keymap;
use rounds::ui::theme::Theme;

/// A dashboard with two endpoints of one site, its screen, and a clock that moves by hand.
struct Run {
    dashboard: Dashboard,
    terminal: Terminal<TestBackend>,
    now: Timestamp,
}

impl Run {
    fn new(columns: u16, rows: u16) -> Self {
        let now = chrono::Utc.with_ymd_and_hms(2026, 11, 20, 3, 12, 0).unwrap();
        let sites = vec![SiteState { name: "shop".into(), title: "Shop".into(), ..SiteState::default() }];
        let mut state = State::new(sites, vec![spec("shop/http/basket"), spec("shop/http/home")], "ana".into());
        state.view.size = (columns, rows);
        Self { dashboard: Dashboard::new(state, Theme::default(), Keymap::default()), terminal: Terminal::new(TestBackend::new(columns, rows)).unwrap(), now }
    }

    fn take(&mut self, msg: Msg) -> Vec<Effect> {
        self.dashboard.take(msg, self.now)
    }

    /// One poll of a source, a second after what was before it.
    fn poll(&mut self, id: &str, code: u16) -> Vec<Effect> {
        self.now += TimeDelta::seconds(1);
        let polled = Polled {
            source: SourceId::parse(id).unwrap(),
            started: self.now,
            at: self.now,
            result: Ok(Collected { observations: vec![Observation { at: self.now, data: Data::Health(health(code)) }], problems: vec![], complete: true }),
            next_at: None,
        };
        self.take(Msg::Polled(polled))
    }

    fn key(&mut self, code: KeyCode) -> Vec<Effect> {
        let effects = self.dashboard.input(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)), self.now);
        self.draw();
        effects
    }

    fn draw(&mut self) {
        self.dashboard.draw(&mut self.terminal, self.now).unwrap();
    }

    /// What is on the screen, drawn now.
    fn screen(&mut self) -> String {
        self.draw();
        self.terminal.backend().to_string()
    }

    fn assert_shows(&mut self, text: &str) {
        let screen = self.screen();
        assert!(screen.contains(text), "\"{text}\" is not on the screen:\n{screen}");
    }

    fn assert_hides(&mut self, text: &str) {
        let screen = self.screen();
        assert!(!screen.contains(text), "\"{text}\" is on the screen:\n{screen}");
    }
}

fn spec(id: &str) -> SourceSpec {
    let id = SourceId::parse(id).unwrap();
    SourceSpec {
        title: id.name().to_owned(),
        capability: Capability::Health,
        every: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        retry_every: Duration::from_secs(1),
        failures: 3,
        successes: 2,
        enabled: true,
        continuous: false,
        runbook: None,
        needs: vec![],
        target: "GET /".into(),
        id,
    }
}

fn health(code: u16) -> Health {
    let ok = code < 400;
    Health {
        verdict: if ok { Verdict::Ok } else { Verdict::Down },
        status_code: Some(code),
        latency_ms: Some(34.0),
        phases_ms: Phases::default(),
        expectations: vec![rounds::domain::Expectation { name: "status".into(), ok, level: Verdict::Down, expected: "200".into(), seen: code.to_string() }],
        limits: rounds::domain::LatencyLimits::default(),
        request: "GET /".into(),
        body_bytes: 2,
        error: None,
        silenced: false,
    }
}

#[test]
fn an_outage_climbs_to_the_top_and_goes_when_it_is_over() {
    let mut run = Run::new(80, 24);
    for id in ["shop/http/basket", "shop/http/home"] {
        run.poll(id, 200);
    }
    run.assert_hides("CRIT");
    run.poll("shop/http/basket", 500);
    // One failure is not an outage yet.
    run.assert_hides("CRIT");
    run.poll("shop/http/basket", 500);
    let effects = run.poll("shop/http/basket", 500);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::KeepTransition(_))), "{effects:?}");
    run.assert_shows("CRIT");
    run.assert_shows("basket is down");
    run.poll("shop/http/basket", 200);
    run.poll("shop/http/basket", 200);
    run.assert_hides("CRIT");
}

#[test]
fn keys_go_to_pages_and_overlays_and_back() {
    let mut run = Run::new(80, 24);
    run.poll("shop/http/home", 200);
    run.assert_shows("attention");
    run.key(KeyCode::Char('2'));
    run.assert_shows("health");
    run.key(KeyCode::Char('?'));
    // The help of this page: what it can do, and none of what only the logs can.
    run.assert_shows("range of the graph");
    run.assert_hides("next warning");
    // Typing narrows it, and what is left can be run.
    for c in "events and".chars() {
        run.key(KeyCode::Char(c));
    }
    run.assert_hides("range of the graph");
    run.key(KeyCode::Enter);
    run.assert_hides("range of the graph");
    run.assert_shows("activity");
    run.key(KeyCode::Char('2'));
    run.key(KeyCode::Char('?'));
    run.assert_shows("range of the graph");
    run.key(KeyCode::Esc);
    run.assert_hides("range of the graph");
    run.assert_shows("health");
    run.key(KeyCode::Char('0'));
    run.assert_shows("activity");
    // In a filter letters are text, also those that are commands.
    run.key(KeyCode::Char('/'));
    assert!(run.key(KeyCode::Char('q')).is_empty());
    run.assert_shows("/q");
    run.key(KeyCode::Esc);
    assert_eq!(run.key(KeyCode::Char('q')), [Effect::Quit]);
}

#[test]
fn an_equal_state_is_an_equal_frame_and_what_is_old_is_not_green() {
    let mut run = Run::new(80, 24);
    run.poll("shop/http/home", 200);
    run.poll("shop/http/basket", 200);
    let before = run.screen();
    assert!(!run.dashboard.is_stale());
    assert_eq!(run.screen(), before);
    // Nobody looks any more: the next changes come by themselves, and the green goes.
    let begun = run.now;
    while run.now < begun + TimeDelta::hours(1) {
        let Some(change) = run.dashboard.next_change(run.now) else { break };
        run.now = change.max(run.now + TimeDelta::milliseconds(250));
        run.take(Msg::Tick);
        run.draw();
    }
    run.assert_hides("all well");
}

#[test]
fn every_size_is_drawn_and_too_small_says_so() {
    let mut run = Run::new(80, 24);
    run.poll("shop/http/home", 500);
    for (columns, rows) in [(200, 60), (120, 40), (80, 24), (60, 15), (40, 10), (39, 9), (1, 1)] {
        run.terminal.backend_mut().resize(columns, rows);
        run.take(Msg::Resize(columns, rows));
        let screen = run.screen();
        if (columns, rows) == (39, 9) {
            assert!(screen.contains("needs 40x10"), "{screen}");
        }
    }
}

#[test]
fn a_flood_of_messages_leaves_the_next_key_working() {
    let mut run = Run::new(80, 24);
    for turn in 0..2_000 {
        run.poll("shop/http/home", if turn % 3 == 0 { 500 } else { 200 });
    }
    run.key(KeyCode::Char('2'));
    run.assert_shows("health");
}

#[test]
fn an_issue_is_resolved_by_keys_and_taken_back() {
    use rounds::domain::{Issue, IssueState, Issues, Level};
    use rounds::sources::{Offer, Outcome, offer};
    let mut run = Run::new(80, 24);
    let source = SourceId::parse("shop/sentry/errors").unwrap();
    let tracker = SourceSpec { capability: Capability::Issues, ..spec("shop/sentry/errors") };
    let mut state = State::new(vec![SiteState { name: "shop".into(), ..SiteState::default() }], vec![tracker], "ana".into());
    state.view.size = (80, 24);
    run.dashboard = Dashboard::new(state, Theme::default(), Keymap::default());
    let issue = Issue {
        id: "5512".into(),
        short_id: "SHOP-4K2".into(),
        title: "KeyError: 'currency'".into(),
        culprit: None,
        level: Level::Error,
        events: 412,
        users: Some(61),
        first_seen: Some(run.now),
        last_seen: Some(run.now),
        state: IssueState::New,
        permalink: None,
        hours: vec![],
        unhandled: None,
        assignee: None,
        priority: None,
        first_release: None,
    };
    let data = Data::Issues(Issues { total: 1, items: vec![issue], server: "sentry".into(), ..Issues::default() });
    let result = Ok(Collected { observations: vec![Observation { at: run.now, data }], problems: vec![], complete: true });
    run.take(Msg::Polled(Polled { source: source.clone(), started: run.now, at: run.now, result, next_at: None }));
    run.key(KeyCode::Char('3'));
    run.assert_shows("SHOP-4K2");
    let offered = |run: &mut Run| {
        let effects = run.key(KeyCode::Char('x'));
        let Some(Effect::Offers(keys)) = effects.into_iter().find(|effect| matches!(effect, Effect::Offers(_))) else { panic!("nobody was asked") };
        let resolve = Offer { undo: Some("unresolve".into()), calls: "PUT there".into(), undone: "opens it again".into(), ..Offer::new("resolve", "resolve") };
        run.take(Msg::Offered(keys.into_iter().map(|key| (key, vec![resolve.clone()])).collect()));
        run.assert_shows("resolve");
        run.key(KeyCode::Enter);
        run.assert_shows("PUT there");
        run.assert_shows("u opens it again");
        assert!(run.key(KeyCode::Char('y')).iter().all(|effect| !matches!(effect, Effect::Perform(_))), "y does not answer");
        let effects = run.key(KeyCode::Enter);
        let Some(Effect::Perform(errand)) = effects.into_iter().find(|effect| matches!(effect, Effect::Perform(_))) else { panic!("nothing is told") };
        run.assert_shows("▸ asked");
        errand
    };
    let errand = offered(&mut run);
    let refused = rounds::domain::SourceError::auth("it needs event:write (403)", "give the token the scope event:write");
    run.take(Msg::Performed { run: errand.run.clone(), results: vec![Err(refused)], took_ms: 5 });
    run.assert_shows("give the token the scope event:write");
    run.key(KeyCode::Esc);
    run.assert_shows("● new");
    run.assert_hides("u undo");
    let errand = offered(&mut run);
    let now = offer::Now { state: Some(IssueState::Resolved), ..offer::Now::default() };
    let good = Outcome { message: "issue 5512 is resolved".into(), now, ..Outcome::default() };
    let effects = run.take(Msg::Performed { run: errand.run.clone(), results: vec![Ok(good)], took_ms: 5 });
    assert!(effects.contains(&Effect::Poll(source)));
    run.assert_shows("✔ done");
    run.assert_shows("u undo");
    let effects = run.key(KeyCode::Char('u'));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Perform(errand) if errand.offer == "unresolve")), "{effects:?}");
}
