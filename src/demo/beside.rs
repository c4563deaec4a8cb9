//! What the demonstration's tracker says beside issues: releases with deploys and commits, cron monitors and their check-ins, what became of
//! the events it was sent. As strict as the real one about what it is asked.
//!
//! What does not belong here: issues (`issues`, `sentry`), and who may ask (`sentry`).

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::script;
use super::sentry::{PROJECT, PROJECT_ID};
use crate::domain::Timestamp;
use crate::domain::time::rfc3339;

const DAY: i64 = 86_400;

/// What is refused: the status and the detail.
pub type Refused = (u16, &'static str);
/// Pairs of a query.
pub type Pairs = [(String, String)];

/// The versions before the story, with the days since their deploys.
const BEFORE: [(&str, i64); 2] = [("v213", 3), ("v212", 8)];

/// The deploys of the shop up to `t`: version and how many seconds ago, the latest first.
fn deploys(t: Duration) -> Vec<(String, i64)> {
    let mut all: Vec<(String, i64)> = script::deploys(Duration::ZERO, t)
        .into_iter()
        .filter(|deploy| deploy.site == PROJECT)
        .map(|deploy| (deploy.version, t.saturating_sub(deploy.at).as_secs().cast_signed()))
        .collect();
    all.reverse();
    all.extend(BEFORE.iter().map(|(version, days)| ((*version).to_owned(), days * DAY + t.as_secs().cast_signed())));
    all
}

fn deploy(id: usize, ago: i64, now: Timestamp) -> Value {
    let at = rfc3339(now - TimeDelta::seconds(ago));
    json!({"id": id.to_string(), "environment": "production", "name": null, "url": null, "dateStarted": null, "dateFinished": at})
}

/// Whether all parameters are known here and rightly written.
fn known(query: &Pairs, right: impl Fn(&str, &str) -> bool) -> Result<(), Refused> {
    if query.iter().all(|(key, value)| right(key, value)) { Ok(()) } else { Err((400, "Invalid parameter")) }
}

fn pages(key: &str, value: &str) -> bool {
    key == "per_page" && value.parse::<u16>().is_ok_and(|rows| (1..=100).contains(&rows))
}

fn project(key: &str, value: &str) -> bool {
    key == "project" && (value == PROJECT_ID || value == "40")
}

fn other_project(query: &Pairs) -> bool {
    query.iter().any(|(key, value)| key == "project" && value != PROJECT_ID)
}

/// `releases/`.
///
/// # Errors
/// What is refused.
pub fn releases(query: &Pairs, t: Duration, now: Timestamp) -> Result<Value, Refused> {
    known(query, |key, value| pages(key, value) || project(key, value))?;
    if other_project(query) {
        return Ok(json!([]));
    }
    let deploys = deploys(t);
    let mut seen: Vec<&str> = Vec::new();
    let mut rows = Vec::new();
    for (at, (version, ago)) in deploys.iter().enumerate() {
        if seen.contains(&version.as_str()) {
            continue;
        }
        seen.push(version);
        let times = deploys.iter().filter(|(other, _)| other == version);
        let first = times.clone().map(|(_, ago)| *ago).max().unwrap_or(0);
        rows.push((
            first,
            json!({
                "id": at + 1, "version": format!("{PROJECT}@{version}"), "shortVersion": version, "status": "open", "versionInfo": null,
                "dateCreated": rfc3339(now - TimeDelta::seconds(first + 300)), "dateReleased": null, "newGroups": brought_by(version).len(),
                "commitCount": commits_of(version).len(), "deployCount": times.count(), "lastDeploy": deploy(at, *ago, now), "authors": [],
                "projects": [{"id": 41, "slug": PROJECT, "name": "Shop"}],
            }),
        ));
    }
    // By creation, the latest first, as the real one orders them.
    rows.sort_by_key(|(first, _)| *first);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn short(version: &str) -> Option<&str> {
    version.strip_prefix(PROJECT)?.strip_prefix('@')
}

/// `releases/{version}/deploys/`.
///
/// # Errors
/// What is refused.
pub fn deploys_of(version: &str, query: &Pairs, t: Duration, now: Timestamp) -> Result<Value, Refused> {
    known(query, pages)?;
    let all = deploys(t);
    let of: Vec<Value> =
        all.iter().enumerate().filter(|(_, (one, _))| Some(one.as_str()) == short(version)).map(|(at, (_, ago))| deploy(at, *ago, now)).collect();
    if of.is_empty() { Err((404, "The requested resource does not exist")) } else { Ok(Value::Array(of)) }
}

/// The numbers of the issues that a version brought.
pub fn brought_by(version: &str) -> &'static [u64] {
    match version {
        "v214" => &[5512],
        "v215" => &[5519],
        _ => &[],
    }
}

fn commits_of(version: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    match version {
        "v214" => vec![("8f3c1d2a", "mara", "Prices in the customer's currency\n\nThe session keeps it."), ("1d07aa41", "jon", "Rename a template")],
        "v215" => vec![("77b0c9e3", "jon", "Facets in the search")],
        "v213" => vec![("5521ee90", "ana", "Voucher codes are case-blind")],
        _ => Vec::new(),
    }
}

/// `releases/{version}/commits/`.
///
/// # Errors
/// What is refused.
pub fn commits(version: &str, query: &Pairs, now: Timestamp) -> Result<Value, Refused> {
    known(query, pages)?;
    let version = short(version).ok_or((404, "The requested resource does not exist"))?;
    let row = |(id, author, message): (&str, &str, &str)| json!({"id": id, "message": message, "dateCreated": rfc3339(now - TimeDelta::hours(4)), "author": {"name": author, "email": format!("{author}@shop.example")}, "pullRequest": null});
    Ok(commits_of(version).into_iter().map(row).collect())
}

/// `monitors/`: one job is late, one fails and nobody wants to hear of it, one is switched off.
///
/// # Errors
/// What is refused.
pub fn monitors(query: &Pairs, now: Timestamp) -> Result<Value, Refused> {
    known(query, |key, value| pages(key, value) || project(key, value) || key == "environment")?;
    if other_project(query) {
        return Ok(json!([]));
    }
    let at = |hours: i64| rfc3339(now + TimeDelta::hours(hours));
    let row = |slug: &str, name: &str, status: &str, muted: bool, schedule: Value, environment: Value| {
        json!({"id": format!("{slug}-id"), "slug": slug, "name": name, "status": status, "isMuted": muted, "project": {"id": PROJECT_ID, "slug": PROJECT}, "owner": null,
            "config": {"schedule_type": if schedule.is_array() { "interval" } else { "crontab" }, "schedule": schedule, "checkin_margin": 5, "max_runtime": 30, "timezone": "UTC"},
            "environments": [environment]})
    };
    let run = |status: &str, last: i64, next: i64| json!({"name": "production", "status": status, "isMuted": false, "lastCheckIn": at(last), "nextCheckIn": at(next), "activeIncident": null});
    Ok(json!([
        row("sync-prices", "Prices from the supplier", "active", false, json!([1, "hour"]), run("error", -2, 1)),
        row("nightly-report", "Nightly report", "active", false, json!("30 2 * * *"), run("ok", -9, 15)),
        row("clean-sessions", "Clean sessions", "active", true, json!("0 4 * * *"), run("error", -8, 16)),
        row("import-v1", "Old import", "disabled", false, json!([1, "day"]), run("disabled", -900, -800)),
    ]))
}

/// `monitors/{slug}/checkins/`.
///
/// # Errors
/// What is refused.
pub fn checkins(slug: &str, query: &Pairs, now: Timestamp) -> Result<Value, Refused> {
    known(query, |key, value| pages(key, value) || key == "environment")?;
    let states: &[&str] = match slug {
        "sync-prices" => &["missed", "ok", "ok"],
        "nightly-report" => &["ok", "ok"],
        "clean-sessions" => &["error", "error", "ok"],
        "import-v1" => &[],
        _ => return Err((404, "The requested resource does not exist")),
    };
    let row = |(at, status): (usize, &&str)| {
        let at = rfc3339(now - TimeDelta::hours(1 + i64::try_from(at).unwrap_or(0)));
        json!({"id": format!("{slug}-{at}"), "environment": "production", "status": status, "duration": null, "dateAdded": at, "expectedTime": at})
    };
    Ok(states.iter().enumerate().map(row).collect())
}

/// `stats_v2/`: most is kept, crawlers are filtered, and some went over the quota.
///
/// # Errors
/// What is refused.
pub fn outcomes(query: &Pairs) -> Result<Value, Refused> {
    known(query, |key, value| match key {
        "field" => value == "sum(quantity)",
        "groupBy" => matches!(value, "outcome" | "category" | "reason"),
        "category" => value == "error",
        "statsPeriod" => value == "24h",
        "interval" => matches!(value, "1h" | "1d"),
        _ => project(key, value),
    })?;
    if !query.iter().any(|(key, _)| key == "field") {
        return Err((400, "At least one \"field\" is required."));
    }
    let group = |outcome: &str, reason: &str, events: u64| json!({"by": {"outcome": outcome, "reason": reason}, "totals": {"sum(quantity)": events}, "series": {"sum(quantity)": [events]}});
    let groups = if other_project(query) {
        Vec::new()
    } else {
        vec![
            group("accepted", "none", 12_410),
            group("filtered", "web-crawlers", 1_204),
            group("rate_limited", "key_quota", 386),
            group("client_discard", "sample_rate", 900),
        ]
    };
    Ok(json!({"start": "2026-11-19T08:00:00Z", "end": "2026-11-20T08:00:00Z", "intervals": [], "groups": groups}))
}
