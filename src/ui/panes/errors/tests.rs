use crate::domain::{Breadcrumb, ErrorEvent, EventRequest, Exception, Frame, Level, Link, SourceError, TagSpread, Timestamp};
use crate::sources::{Detail, DetailBody, ItemKey};
use crate::state::details::Told;
use crate::state::update::update;
use crate::state::{Command, Msg, Page, Part, State};
use crate::ui::fixture::*;
use crate::ui::tests::{SIZES, snapshot};

fn told() -> State {
    let mut state = story();
    state.view.page = Page::Errors;
    state.view.drawn.keys = vec!["shop/sentry/backend#4101".to_owned()];
    state
}

fn key() -> ItemKey {
    ItemKey { source: id("shop/sentry/backend"), item: "4101".to_owned() }
}

fn frame(path: &str, line: u32, function: &str, in_app: bool, source: (u32, &[&str])) -> Frame {
    let source = (source.0..).zip(source.1.iter().map(|text| (*text).to_owned())).collect();
    let absolute = Some(format!("/srv/shop/{path}"));
    let module = Some(path.trim_end_matches(".py").replace('/', "."));
    Frame { path: path.to_owned(), absolute, module, function: Some(function.to_owned()), line: Some(line), in_app, source, locals: vec![] }
}

/// What the tracker tells of the first issue.
fn event() -> ErrorEvent {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut pricing = frame(
        "basket/pricing.py",
        88,
        "Basket.total",
        true,
        (
            84,
            &[
                "",
                "@property",
                "def total(self):",
                "    lines = self.session[\"basket\"][\"lines\"]",
                "    currency = self.session[\"basket\"][\"currency\"]",
                "    return sum(convert(line, currency) for line in lines)",
                "",
                "def convert(line, currency):",
            ],
        ),
    );
    pricing.locals = vec![
        pair("lines", "[<Line 1>, <Line 2>, <Line 3>]"),
        pair("self", "<Basket 7781>"),
        pair("self.session[\"basket\"]", "{\"lines\": […3], \"voucher\": None}"),
    ];
    let views = frame("basket/views.py", 41, "BasketView.get", true, (40, &["def get(self, request):", "    return Response(Basket(request.session).total)"]));
    let mut frames = vec![pricing, views];
    for n in 0..8 {
        frames.push(frame("rest_framework/views.py", 470 + n, "dispatch", false, (1, &[])));
    }
    for n in 0..6 {
        frames.push(frame("django/core/handlers/base.py", 190 + n, "inner", false, (1, &[])));
    }
    let crumb = |ms: i64, category: &str, message: &str| Breadcrumb {
        at: Some(ago(6) - chrono::Duration::milliseconds(ms)),
        category: category.to_owned(),
        level: Level::Info,
        message: message.to_owned(),
    };
    let spread = |key: &str, values: &[(&str, u64)]| TagSpread {
        key: key.to_owned(),
        total: 412,
        values: values.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect(),
    };
    ErrorEvent {
        id: "e412".to_owned(),
        at: Some(ago(6)),
        exceptions: vec![Exception { kind: "KeyError".to_owned(), value: "'currency'".to_owned(), handled: Some(false), frames, ..Exception::default() }],
        breadcrumbs: vec![crumb(4_100, "http", "GET /session/ 200"), crumb(200, "query", "SELECT … basket_line"), crumb(0, "log", "basket 7781 loaded")],
        request: Some(EventRequest {
            method: Some("GET".to_owned()),
            url: "https://shop.example/api/basket/".to_owned(),
            headers: vec![pair("Cookie", "***"), pair("Host", "shop.example")],
            ..EventRequest::default()
        }),
        tags: vec![pair("server_name", "web1"), pair("session", "from before the deploy")],
        spread: vec![
            spread("server_name", &[("web1", 212), ("web2", 200)]),
            spread("browser", &[("Firefox 128", 412)]),
            spread("session", &[("from before the deploy", 408), ("new", 4)]),
        ],
        release: Some("v214".to_owned()),
        first_release: Some("v214".to_owned()),
        environment: Some("production".to_owned()),
        server: Some("web1".to_owned()),
        user: Some("7".to_owned()),
        contexts: vec![pair("runtime", "CPython 3.12.3")],
        previous: Some("e411".to_owned()),
        ..ErrorEvent::default()
    }
}

fn tell(state: &mut State, result: Result<ErrorEvent, SourceError>, at: Timestamp) {
    let result = result.map(|event| Detail { key: key(), body: DetailBody::Event(Box::new(event)), link: None });
    update(state, Msg::Detail(Box::new(Told { key: key(), part: None, result: Some(result) })), at);
}

/// The same when the tracker has told the latest event.
fn looked() -> State {
    let mut state = told();
    tell(&mut state, Ok(event()), ago(4));
    state
}

#[test]
fn errors_at_every_size() {
    let state = looked();
    for (width, height) in SIZES {
        snapshot("errors", &state, &rich(), width, height);
    }
    snapshot("errors-mono", &state, &mono(), 80, 24);
    snapshot("errors-ascii", &state, &plain(), 80, 24);
}

#[test]
fn a_group_of_a_log_shows_its_latest_example() {
    let mut state = told();
    told_apart(&mut state);
    state.view.list_mut().selected = Some("shop/log/django#9e1f03aa".to_owned());
    for (width, height) in [(80, 24), (120, 40)] {
        snapshot("errors-group", &state, &rich(), width, height);
    }
    state.view.detail_open = true;
    state.view.focus = Part::Detail;
    snapshot("errors-group-detail", &state, &rich(), 80, 24);
}

#[test]
fn an_event_is_told_to_the_line_and_walked() {
    let mut state = looked();
    state.view.size = (80, 24);
    update(&mut state, Msg::Command(Command::Enter), now());
    snapshot("errors-event", &state, &rich(), 80, 24);
    let (buffer, drawn) = screen(&state, &rich(), 80, 24);
    assert_eq!(drawn.stops.len(), 3, "{}", text(&buffer));
    state.view.drawn = drawn;
    // The frame is opened whole, the second one opened, and what is not ours unfolded.
    update(&mut state, Msg::Command(Command::Enter), now());
    assert!(text(&screen(&state, &rich(), 80, 24).0).contains("self = <Basket 7781>"), "all its locals");
    update(&mut state, Msg::Command(Command::Down), now());
    update(&mut state, Msg::Command(Command::Enter), now());
    update(&mut state, Msg::Command(Command::Down), now());
    update(&mut state, Msg::Command(Command::Mark), now());
    snapshot("errors-event-open", &state, &rich(), 120, 40);
}

#[test]
fn a_chain_says_how_one_led_to_the_other() {
    let mut state = told();
    let mut event = event();
    let cause =
        Exception { kind: "RateError".to_owned(), value: "no rate".to_owned(), frames: event.exceptions[0].frames[..1].to_vec(), ..Exception::default() };
    event.exceptions[0].link = Link::Cause;
    event.exceptions.push(cause);
    event.notes.push("Source code was not found".to_owned());
    tell(&mut state, Ok(event), now());
    let shown = text(&screen(&state, &rich(), 120, 40).0);
    assert!(shown.contains("raised from RateError: no rate"), "{shown}");
    state.view.detail_open = true;
    state.view.focus = Part::Detail;
    let shown = text(&screen(&state, &rich(), 80, 60).0);
    assert!(shown.contains("i Source code was not found") && !shown.contains("no chained exception"), "{shown}");
}

#[test]
fn a_detail_says_whether_it_is_known() {
    let mut state = told();
    assert!(text(&screen(&state, &rich(), 80, 24).0).contains("the latest event is being read"));
    let refused = || SourceError::auth("401, token expired", "make a new token");
    tell(&mut state, Err(refused()), ago(60));
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("not known since 03:11: 401, token expired") && shown.contains("make a new token"), "{shown}");
    let mut state = looked();
    tell(&mut state, Err(refused()), ago(1));
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("not known since 03:12: 401") && shown.contains("basket/pricing.py:88 in Basket.total"), "{shown}");
    assert!(shown.contains("below is what was known"), "{shown}");
    // One without an exception, one without anything.
    let message = ErrorEvent { message: Some("the page's policy kept it out".to_owned()), ..ErrorEvent::default() };
    for (event, words) in [(message, "the page's policy kept it out"), (ErrorEvent::default(), "the event has no frames")] {
        let mut state = told();
        tell(&mut state, Ok(event), now());
        let shown = text(&screen(&state, &rich(), 80, 24).0);
        assert!(shown.contains(words), "{shown}");
    }
}

#[test]
fn the_orders_change_and_sources_that_are_not_known_stay_last() {
    let mut state = told();
    told_apart(&mut state);
    let first = |state: &State| screen(state, &rich(), 80, 24).1.keys;
    assert_eq!(first(&state)[0], "shop/sentry/backend#4101");
    for (sort, key) in [(1, "shop/log/django#9e1f03aa"), (2, "shop/sentry/backend#4101"), (4, "shop/log/django#9e1f03aa")] {
        state.view.list_mut().sort = sort;
        let keys = first(&state);
        assert_eq!(keys[0], key, "{sort}");
        assert_eq!(&keys[keys.len() - 2..], ["blog/log/app#?", "blog/sentry/blog#?"], "{sort}");
    }
    assert!(text(&screen(&state, &rich(), 80, 24).0).contains("issues by first"));
}

#[test]
fn an_error_in_the_tracker_and_in_a_log_is_one_row_with_both_counts() {
    let mut state = told();
    let (buffer, drawn) = screen(&state, &rich(), 120, 40);
    assert!(drawn.keys.iter().all(|key| !key.contains("9e1f03aa")), "{:?}", drawn.keys);
    let shown = text(&buffer);
    let row = shown.lines().find(|line| line.contains("SHOP-4K2")).unwrap();
    assert!(row.contains("+456 log"), "{shown}");
    state.view.detail_open = true;
    let shown = text(&screen(&state, &rich(), 120, 40).0);
    assert!(shown.contains("shop/log/django, "), "{shown}");
}

#[test]
fn a_filter_says_what_it_hides() {
    let mut state = told();
    told_apart(&mut state);
    state.view.list_mut().filter = "payment".to_owned();
    let (buffer, drawn) = screen(&state, &rich(), 80, 24);
    assert_eq!(drawn.keys, ["shop/sentry/backend#4104"]);
    assert!(text(&buffer).contains("8 issues are hidden by the filter, 2 of them critical"), "{}", text(&buffer));
}

#[test]
fn a_filter_asks_the_issues_themselves_and_hides_no_source_that_is_not_known() {
    let mut state = told();
    state.world.sites.iter_mut().find(|site| site.name == "shop").unwrap().release = Some(("v214".to_owned(), ago(780)));
    state.view.person = "mara@example.com".to_owned();
    let unknown = ["blog/log/app#?", "blog/sentry/blog#?"];
    for (filter, first) in [
        ("is:new-since-deploy", "shop/sentry/backend#4101"),
        ("is:mine", "shop/sentry/backend#4103"),
        ("is:regressed|is:odd", "shop/sentry/backend#4103"),
        ("!is:unresolved !is:archived", ""),
    ] {
        state.view.list_mut().filter = filter.to_owned();
        let keys = screen(&state, &rich(), 120, 40).1.keys;
        let expected: Vec<&str> = Some(first).filter(|key| !key.is_empty()).into_iter().chain(unknown).collect();
        assert_eq!(keys, expected, "{filter}");
    }
    assert!(text(&screen(&state, &rich(), 120, 40).0).contains("are hidden by the filter"));
}

#[test]
fn saved_queries_are_tabs_of_the_list() {
    let mut state = told();
    let (_, issues) = state.world.sources.get_mut(&id("shop/sentry/backend")).unwrap().issues.as_mut().unwrap();
    let items = issues.items.iter().filter(|issue| issue.id == "4103").cloned().collect();
    issues.saved = vec![
        crate::domain::Saved { name: "mine".to_owned(), query: "assigned:me".to_owned(), total: 3, items },
        crate::domain::Saved { name: "unhandled".to_owned(), ..Default::default() },
    ];
    let (buffer, drawn) = screen(&state, &rich(), 80, 24);
    assert!(text(&buffer).contains("issues [all] mine unhandled") && drawn.keys.len() > 3, "{}", text(&buffer));
    state.view.saved = Some("mine".to_owned());
    let (buffer, drawn) = screen(&state, &rich(), 80, 24);
    let shown = text(&buffer);
    assert_eq!(drawn.keys, ["shop/sentry/backend#4103", "blog/sentry/blog#?"]);
    assert!(shown.contains("issues all [mine] unhandled") && shown.contains("2 more were not read"), "{shown}");
}

#[test]
fn ten_thousand_issues_are_narrowed_with_bounded_work() {
    let mut state = told();
    let (_, issues) = state.world.sources.get_mut(&id("shop/sentry/backend")).unwrap().issues.as_mut().unwrap();
    let one = issues.items[0].clone();
    issues.items = (0..10_000).map(|at| crate::domain::Issue { id: (10_000 + at).to_string(), ..one.clone() }).collect();
    state.view.list_mut().filter = "payment is:ongoing".to_owned();
    let mut shown = 0;
    let (matchers, looks) = crate::state::matching::count::of(|| shown = screen(&state, &rich(), 80, 24).1.keys.len());
    assert_eq!(shown, 10_000);
    // One look at each row; one matcher for the page, and one or two for what stands in front of it.
    assert!(matchers <= 3 && looks <= 10_100, "{matchers} matchers, {looks} looks");
}

#[test]
fn a_tracker_that_refuses_keeps_its_last_issues_and_says_since_when() {
    let mut state = told();
    let error = crate::domain::SourceError::auth("the server answers 403", "give the token `event:read`");
    poll(&mut state, "shop/sentry/backend", now(), Err(error));
    let shown = text(&screen(&state, &rich(), 120, 40).0);
    assert!(shown.contains("SHOP-4K2") && shown.contains("sentry/backend not known since 03:12: the server answers 403   give the token"), "{shown}");
}

#[test]
fn empty_is_said_only_of_what_was_looked_at() {
    let mut state = told();
    for id in ["shop/log/django", "blog/log/app", "blog/sentry/blog"] {
        state.world.sources.remove(&id_of(id));
    }
    let nothing = crate::domain::Issues { server: "sentry".to_owned(), ..Default::default() };
    poll(&mut state, "shop/sentry/backend", ago(2), Ok(vec![crate::domain::Data::Issues(nothing)]));
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("✔ No issue in the last 24 h (looked 5 s ago)"), "{shown}");
    let backend = state.world.sources.get_mut(&id_of("shop/sentry/backend")).unwrap();
    *backend = crate::state::SourceState::new(backend.spec.clone());
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(!shown.contains('✔') && shown.contains("· FIRST shop"), "{shown}");
    state.world.sources.clear();
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("? No error tracker is watched") && shown.contains("[site.shop.sentry.NAME]"), "{shown}");
}

fn id_of(text: &str) -> crate::domain::SourceId {
    id(text)
}

/// What a tracker says may try to command the terminal.
#[test]
fn hostile_titles_are_drawn_as_text() {
    let mut state = told();
    let (_, issues) = state.world.sources.get_mut(&id("shop/sentry/backend")).unwrap().issues.as_mut().unwrap();
    for issue in &mut issues.items {
        issue.title = "\u{1b}]52;c;cm0=\u{7}Evil\u{202e}: \u{9b}2J日本語".repeat(9);
        issue.short_id = "\u{1b}[2JX\n".repeat(9);
        issue.culprit = Some("\u{7}a/b".repeat(30));
        issue.permalink = Some("https://x/\u{1b}[31m".to_owned());
        issue.hours = vec![u64::MAX; 3];
        (issue.events, issue.users) = (u64::MAX, Some(u64::MAX));
        issue.first_seen = Some(crate::domain::Timestamp::MIN_UTC);
        issue.last_seen = Some(crate::domain::Timestamp::MAX_UTC);
    }
    let hostile = "\u{1b}]52;c;cm0=\u{7}Evil\u{202e}\n\t\u{9b}2J日本語".repeat(40);
    let text = serde_json::to_string(&event()).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    worsen(&mut value, &hostile);
    tell(&mut state, Ok(serde_json::from_value(value).unwrap()), now());
    for open in [false, true] {
        state.view.detail_open = open;
        for (width, height) in SIZES {
            let (buffer, _) = screen(&state, &rich(), width, height);
            assert!(buffer.content().iter().all(|cell| !cell.symbol().chars().any(char::is_control)), "{width}x{height}");
        }
    }
}

/// Puts a text in place of every other one that is not of a closed set.
fn worsen(value: &mut serde_json::Value, with: &str) {
    match value {
        serde_json::Value::String(text) if text.parse::<Timestamp>().is_ok() || matches!(text.as_str(), "info" | "unknown") => {}
        serde_json::Value::String(text) => with.clone_into(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| worsen(item, with)),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(|item| worsen(item, with)),
        _ => {}
    }
}
