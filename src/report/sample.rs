//! A small state for the tests of this room.

use std::time::Duration;

use chrono::TimeZone;

use crate::domain::{Capability, Finding, FindingId, Health, LatencyLimits, Phases, Severity, SourceId, Status, Timestamp};
use crate::sources::SourceSpec;
use crate::state::{HealthState, SiteState, SourceState, State};

/// 2026-11-20 08:00:00 UTC.
pub fn at() -> Timestamp {
    chrono::Utc.with_ymd_and_hms(2026, 11, 20, 8, 0, 0).unwrap()
}

pub fn health() -> Health {
    Health {
        verdict: crate::domain::Verdict::Ok,
        status_code: Some(200),
        latency_ms: Some(34.1),
        phases_ms: Phases { resolve: Some(0.2), connect: Some(1.1), tls: None, first_byte: Some(32.4), transfer: Some(0.4) },
        expectations: vec![],
        limits: LatencyLimits { warning_ms: Some(500.0), critical_ms: Some(2_000.0) },
        request: "GET /".into(),
        body_bytes: 12,
        error: None,
        silenced: false,
    }
}

pub fn source(id: &str, status: Status) -> SourceState {
    let id = SourceId::parse(id).unwrap();
    let is_log = id.kind() == "log";
    let mut state = SourceState::new(SourceSpec {
        title: id.name().to_owned(),
        capability: if is_log { Capability::Log } else { Capability::Health },
        every: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        retry_every: Duration::from_secs(10),
        failures: 3,
        successes: 2,
        enabled: status != Status::Paused,
        continuous: is_log,
        runbook: None,
        needs: vec![],
        target: "GET /".into(),
        id,
    });
    state.status = status;
    state.since = Some(at() - chrono::TimeDelta::minutes(48));
    state.checked_at = Some(at());
    state.good_at = Some(at());
    state.summary = "200 in 34 ms".into();
    state.health = (!is_log).then(|| HealthState { last: Some((at(), health())), ..HealthState::default() });
    state.log = is_log.then(crate::state::LogState::default);
    state
}

pub fn finding(id: &str, rule: &str, severity: Severity) -> Finding {
    let source = SourceId::parse(id).unwrap();
    Finding {
        id: FindingId::new(&source, rule),
        severity,
        title: format!("{} is down", source.name()),
        detail: "500 three times".into(),
        since: at() - chrono::TimeDelta::minutes(9),
        due: None,
        users: None,
        acknowledged: None,
        actions: vec!["shop/action/restart".into()],
        evidence: String::new(),
        explanation: vec![],
        blocks: vec![],
        runbook: None,
        source,
    }
}

pub fn state(sources: Vec<SourceState>, findings: Vec<Finding>) -> State {
    let mut state = State::default();
    for source in sources {
        let name = source.spec.id.site().to_owned();
        if !state.world.sites.iter().any(|site| site.name == name) {
            state.world.sites.push(SiteState { title: name.clone(), name, ..SiteState::default() });
        }
        state.world.sources.insert(source.spec.id.clone(), source);
    }
    state.world.findings = findings;
    state
}
