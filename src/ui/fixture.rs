//! The story the screens tell, as far as http and log sources can tell it: on Friday 20 November at 03:12, a quarter of an hour
//! after deploy v214 of `shop`, sessions from before the deploy lack a key; `basket` answers 500. Meanwhile a certificate of
//! `blog` ends, its feed is stale, its log is missing.
//!
//! Made by the reducer from polls, so that what the screens show is what the program would.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{TimeZone, Utc};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::theme::{Depth, Glyphs, Name, Theme, ThemeSettings};
use crate::domain::*;
use crate::sources::{Collected, SourceSpec};
use crate::state::msg::Polled;
use crate::state::update::update;
use crate::state::{Drawn, Msg, SiteState, State};

/// The moment all screens are of: 03:12:10.
pub(crate) fn now() -> Timestamp {
    Utc.with_ymd_and_hms(2026, 11, 20, 3, 12, 10).unwrap()
}

/// So many seconds before [`now`].
pub(crate) fn ago(s: i64) -> Timestamp {
    now() - chrono::Duration::seconds(s)
}

pub(crate) fn id(text: &str) -> SourceId {
    SourceId::parse(text).unwrap()
}

fn spec(text: &str, every_s: u64) -> SourceSpec {
    let id = id(text);
    let log = id.kind() == "log";
    SourceSpec {
        title: id.name().to_owned(),
        capability: if log { Capability::Log } else { Capability::Health },
        every: Duration::from_secs(every_s),
        timeout: Duration::from_secs(10),
        retry_every: Duration::from_secs(10),
        failures: 3,
        successes: 2,
        enabled: text != "blog/http/search",
        continuous: log,
        runbook: (id.name() == "basket").then(|| "https://wiki.example.com/basket".to_owned()),
        needs: vec![],
        target: if log { format!("/var/log/{}/*.log", id.site()) } else { format!("GET /{}/", id.name()) },
        id,
    }
}

/// The sources of the story, in no special order, with their interval.
const SOURCES: [(&str, u64); 12] = [
    ("shop/http/basket", 30),
    ("shop/http/search", 30),
    ("shop/http/checkout", 30),
    ("shop/http/admin", 30),
    ("shop/http/health", 30),
    ("shop/http/home", 30),
    ("shop/log/django", 60),
    ("blog/http/home", 30),
    ("blog/http/feed", 30),
    ("blog/http/search", 30),
    ("blog/http/archive", 30),
    ("blog/log/app", 60),
];

/// One answer of an endpoint.
pub(crate) fn health(name: &str, code: u16, ms: f64) -> Health {
    let limits = LatencyLimits { warning_ms: Some(500.0), critical_ms: Some(2_000.0) };
    let ok = code == 200;
    let verdict = match (ok, ms > 500.0) {
        (false, _) => Verdict::Down,
        (true, true) => Verdict::Degraded,
        (true, false) => Verdict::Ok,
    };
    Health {
        verdict,
        status_code: Some(code),
        latency_ms: Some(ms),
        phases_ms: Phases { resolve: Some(0.4), connect: Some(1.2), tls: Some(9.4), first_byte: Some((ms - 12.0).max(0.5)), transfer: Some(1.0) },
        expectations: vec![
            Expectation { name: "status".to_owned(), ok, level: Verdict::Down, expected: "200".to_owned(), seen: code.to_string() },
            Expectation { name: "latency".to_owned(), ok: ms <= 500.0, level: Verdict::Degraded, expected: "500 ms".to_owned(), seen: format!("{ms:.0} ms") },
        ],
        limits,
        request: format!("GET /{name}/"),
        body_bytes: 4_211,
        error: None,
    }
}

fn certificate(days: i64) -> Certificate {
    let (not_before, not_after) = (ago(86_400 * 78), now() + chrono::Duration::days(days));
    let link = ChainLink { subject: "blog.example.com".to_owned(), issuer: "R11".to_owned(), not_before, not_after };
    Certificate {
        host: "blog.example.com".to_owned(),
        not_before,
        not_after,
        issuer: "R11".to_owned(),
        subject: "blog.example.com".to_owned(),
        names: vec!["blog.example.com".to_owned()],
        chain_ok: true,
        problem: None,
        chain: vec![link],
        warning_s: Some(21 * 86_400),
        critical_s: Some(7 * 86_400),
    }
}

/// Feeds the end of one poll.
pub(crate) fn poll(state: &mut State, source: &str, at: Timestamp, result: Result<Vec<Data>, SourceError>) {
    let result =
        result.map(|data| Collected { observations: data.into_iter().map(|data| Observation { at, data }).collect(), problems: vec![], complete: true });
    update(state, Msg::Polled(Polled { source: id(source), started: at, at, result, next_at: None }), at);
}

/// A number between 0 and 1 that looks like chance and is always the same.
fn noise(seed: i64) -> f64 {
    let mixed = (seed.wrapping_mul(0x1E37_79B9_7F4A_7C15) >> 33) & 0xffff;
    mixed as f64 / 65_535.0
}

fn traceback() -> Vec<String> {
    [
        "Traceback (most recent call last):",
        "  File \"/srv/shop/venv/lib/python3.12/site-packages/django/core/handlers/base.py\", line 197, in _get_response",
        "    response = wrapped_callback(request, *callback_args, **callback_kwargs)",
        "  File \"/srv/shop/basket/views.py\", line 41, in get",
        "    return Response(Basket(request.session).total)",
        "  File \"/srv/shop/basket/pricing.py\", line 88, in total",
        "    currency = self.session[\"basket\"][\"currency\"]",
        "KeyError: 'currency'",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// One minute of the shop's log: quiet requests, and from the deploy on errors.
fn log_minute(minutes_ago: i64) -> LogBatch {
    let start = ago(minutes_ago * 60 + 50);
    let minute = start.timestamp().div_euclid(60) * 60;
    let failed: i64 = if minutes_ago < 13 { 22 + (12 - minutes_ago) * 2 + (noise(minutes_ago) * 3.0) as i64 } else { 0 };
    let errors = failed.unsigned_abs();
    let (warnings, infos) = (1 + (noise(minutes_ago * 7) * 3.0) as u64, 280 + (noise(minutes_ago * 3) * 60.0) as u64);
    let mut events = Vec::new();
    let at = |s: i64| start + chrono::Duration::seconds(s);
    let event = |s: i64, level, message: &str| LogEvent { at: at(s), level, file: 0, message: message.to_owned(), detail: vec![], fingerprint: None };
    events.push(LogEvent { file: 1, ..event(1, Level::Info, "GET /search/?q=tea 200 0.611 s") });
    events.push(LogEvent { file: 1, ..event(3, Level::Info, "GET /basket/ 200 0.048 s") });
    events.push(event(4, Level::Warning, "slow query 0.548 s: SELECT … FROM catalog_product WHERE search @@ plainto_tsquery('tea')"));
    for s in 0..failed.min(20) {
        events.push(LogEvent {
            detail: traceback(),
            fingerprint: Some("9e1f03aa".to_owned()),
            ..event(5 + s * 2, Level::Error, "Internal Server Error: /api/basket/")
        });
    }
    events.push(event(48, Level::Warning, "Invalid HTTP_HOST header: '203.0.113.9'. You may need to add '203.0.113.9' to ALLOWED_HOSTS."));
    let group = LogGroup {
        fingerprint: "9e1f03aa".to_owned(),
        title: "KeyError: 'currency'".to_owned(),
        culprit: "basket/pricing.py:88 in total".to_owned(),
        level: Level::Error,
        count: errors,
        first_seen: at(5),
        last_seen: at(5 + (failed.min(20) - 1).max(0) * 2),
    };
    LogBatch {
        files: vec!["/var/log/shop/django.log".to_owned(), "/var/log/shop/access.log".to_owned()],
        lines: infos + warnings + errors * 9,
        levels: BTreeMap::from([(Level::Info, infos), (Level::Warning, warnings), (Level::Error, errors)]),
        minutes: vec![(minute, Level::Info, infos), (minute, Level::Warning, warnings), (minute, Level::Error, errors)],
        groups: if errors > 0 { vec![group] } else { vec![] },
        events,
        marks: vec![],
        skipped: infos.saturating_sub(2),
        format: "django".to_owned(),
    }
}

/// The whole story.
pub(crate) fn story() -> State {
    let site = |name: &str, version: &str, since_s: i64| SiteState {
        name: name.to_owned(),
        title: name.to_owned(),
        url: Some(format!("https://{name}.example.com")),
        environment: Some("production".to_owned()),
        release: Some((version.to_owned(), ago(since_s))),
    };
    let mut state = State::new(
        vec![site("shop", "v214", 843), site("blog", "v58", 86_400 * 19)],
        SOURCES.iter().map(|(id, every)| spec(id, *every)).collect(),
        "ana".to_owned(),
    );
    // One hour in steps of ten seconds, so that everything comes in the order of time.
    for step in (0..360i64).rev() {
        let s = step * 10;
        let at = ago(s + 5);
        for (nth, (source, _)) in (0i64..).zip(SOURCES.iter()) {
            let name = source.rsplit('/').next().unwrap();
            let chance = noise(step * 31 + nth);
            let due = s % 30 == 0;
            let base = match name {
                "basket" => 66.0,
                "search" => 210.0,
                "checkout" => 132.0,
                "health" => 12.0,
                _ => 46.0,
            };
            let ms = base * (0.8 + 0.5 * chance);
            match *source {
                "shop/http/basket" if s <= 678 => poll(&mut state, source, at, Ok(vec![Data::Health(health(name, 500, 180.0 + 60.0 * chance))])),
                "shop/http/search" if due && s <= 610 => poll(&mut state, source, at, Ok(vec![Data::Health(health(name, 200, 540.0 + 110.0 * chance))])),
                "shop/http/checkout" if s == 0 => poll(&mut state, source, at, Err(SourceError::timeout(Duration::from_secs(10)))),
                "shop/log/django" if s % 60 == 0 => poll(&mut state, source, at, Ok(vec![Data::Log(log_minute(step / 6))])),
                "blog/log/app" if s % 60 == 0 => {
                    let error = SourceError::missing("no file matches /var/log/blog/*.log", "check `path`, and that rounds may read it");
                    poll(&mut state, source, at, Err(error));
                }
                "blog/http/feed" if s <= 600 => {}
                "blog/http/archive" if due && s <= 300 => {
                    poll(&mut state, source, at, Ok(vec![Data::Health(health(name, 200, 530.0 + 40.0 * chance))]));
                }
                "blog/http/search" | "shop/log/django" | "blog/log/app" => {}
                "blog/http/home" if due => poll(&mut state, source, at, Ok(vec![Data::Health(health(name, 200, ms)), Data::Certificate(certificate(12))])),
                _ if due => poll(&mut state, source, at, Ok(vec![Data::Health(health(name, 200, ms))])),
                _ => {}
            }
        }
        if s == 840 {
            let kind = TransitionKind::Deploy { version: "v214".to_owned(), by: "ci".to_owned() };
            let deploy = Transition { at: ago(843), site: "shop".to_owned(), source: None, kind, sentence: "v214 deployed by ci".to_owned() };
            update(&mut state, Msg::Events(vec![deploy]), at);
        }
    }
    update(&mut state, Msg::Tick, now());
    let slow = FindingId::new(&id("blog/http/archive"), "latency");
    let monday = Utc.with_ymd_and_hms(2026, 11, 23, 9, 0, 0).unwrap();
    let ack = Acknowledgement { by: "ana".to_owned(), why: "the archive moves on Monday".to_owned(), at: ago(110), until: Some(monday), bound: None };
    update(&mut state, Msg::Acknowledged(slow, Some(ack)), now());
    state
}

/// Draws a state into a buffer of this size.
pub(crate) fn screen(state: &State, theme: &Theme, width: u16, height: u16) -> (Buffer, Drawn) {
    screen_at(state, theme, width, height, now())
}

/// The same at another moment.
pub(crate) fn screen_at(state: &State, theme: &Theme, width: u16, height: u16, at: Timestamp) -> (Buffer, Drawn) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut drawn = Drawn::default();
    terminal.draw(|frame| drawn = super::draw(frame, state, theme, at)).unwrap();
    (terminal.backend().buffer().clone(), drawn)
}

/// The rows of a buffer as text, without the blanks at their ends.
pub(crate) fn rows(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    (0..area.height)
        .map(|y| {
            let mut row = String::new();
            let mut skip = 0;
            for x in 0..area.width {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let symbol = buffer[(x, y)].symbol();
                skip = super::text::width(symbol).saturating_sub(1);
                row.push_str(symbol);
            }
            row.trim_end().to_owned()
        })
        .collect()
}

/// All rows as one text.
pub(crate) fn text(buffer: &Buffer) -> String {
    rows(buffer).join("\n")
}

/// The default theme at true colour, as most terminals have it.
pub(crate) fn rich() -> Theme {
    Theme::new(ThemeSettings { depth: Depth::True, ..ThemeSettings::default() })
}

/// Without colour.
pub(crate) fn mono() -> Theme {
    Theme::new(ThemeSettings { name: Name::Mono, ..ThemeSettings::default() })
}

/// Sixteen colours, ASCII.
pub(crate) fn plain() -> Theme {
    Theme::new(ThemeSettings { glyphs: Glyphs::Ascii, ..ThemeSettings::default() })
}
