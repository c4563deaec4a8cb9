//! The reducer as a user meets it: messages in, statuses, findings, events and effects out.
//!
//! Here stands what its tests share: a site, its sources, and polls of them.

mod judging;
mod logs;
mod people;
mod upkeep;

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

fn keys(state: &mut State) {
    state.view.drawn.keys = state.world.findings.iter().map(|f| f.id.as_str().to_owned()).collect();
    state.view.drawn.height = 10;
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

fn taken(by: &str, s: i64, until: Option<i64>) -> Acknowledgement {
    Acknowledgement { by: by.into(), why: "known".into(), at: at(s), until: until.map(at), bound: None }
}
