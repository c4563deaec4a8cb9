//! What a tracker says beside its issues: releases with their deploys and commits, cron monitors and their check-ins, what became of the
//! events it was sent, what a token may do. Pure, and as tolerant as `parse`.
//!
//! What does not belong here: asking (`beside`), and which of it needs a person (`rules`).
//!
//! Facts: Sentry's OpenAPI document for `releases/`, `deploys/`, `commits/`, `monitors/`, `checkins/` and `stats_v2/`; its monitors'
//! serializer, where `environments` is a list although the document shows one object; `api/endpoints/index.py` for the scopes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::parse::{TEXT, TITLE, id, link, list, number, text, time};
use crate::domain::{Brought, Commit, Cron, CronRun, CronState, Deploy, Dropped, Intake, Release};

/// A version is not longer than this.
const VERSION: usize = 250;
/// Releases of a page that are read.
const RELEASES: usize = 25;
/// Deploys and commits of a release, environments of a job, reasons of losses.
const PARTS: usize = 50;
/// Jobs of a page.
const CRONS: usize = 100;

/// A version that may become a part of an address.
fn version(value: Option<&Value>) -> Option<String> {
    let version = value?.as_str()?;
    let right = !version.trim().is_empty() && version.len() <= VERSION && !matches!(version, "." | "..") && !version.chars().any(char::is_control);
    right.then(|| version.to_owned())
}

fn deploy(value: &Value) -> Option<Deploy> {
    let at = time(value.get("dateFinished")).or_else(|| time(value.get("dateStarted")))?;
    Some(Deploy { environment: text(value.get("environment"), TEXT)?, at, name: text(value.get("name"), TEXT), url: link(value.get("url")) })
}

fn release(value: &Value) -> Option<Release> {
    let version = version(value.get("version"))?;
    // `shortVersion`, else what stands after the package: `shop@4.2.0`.
    let short = text(value.get("shortVersion"), TEXT).or_else(|| text(value.pointer("/versionInfo/description"), TEXT));
    let short = short.or_else(|| version.split_once('@').map(|(_, rest)| rest.to_owned())).filter(|short| !short.is_empty() && *short != version);
    Some(Release {
        short,
        created_at: time(value.get("dateCreated")),
        released_at: time(value.get("dateReleased")),
        deploys: value.get("lastDeploy").and_then(deploy).into_iter().collect(),
        commits: Vec::new(),
        commit_count: number(value.get("commitCount")).unwrap_or(0),
        new_issues: number(value.get("newGroups")).unwrap_or(0),
        issues: Vec::new(),
        version,
    })
}

/// A release with the number of its deploys by the server's own count.
pub type Counted = (Release, u64);

/// One page of releases. Archived ones are left out.
///
/// # Errors
/// When the body is no list.
pub fn releases(body: &[u8]) -> Result<Vec<Counted>, String> {
    let rows = list(body)?;
    let open = rows.iter().filter(|row| row.get("status").and_then(Value::as_str) != Some("archived"));
    Ok(open.filter_map(|row| Some((release(row)?, number(row.get("deployCount")).unwrap_or(0)))).take(RELEASES).collect())
}

/// The deploys of a release, the latest first.
///
/// # Errors
/// When the body is no list.
pub fn deploys(body: &[u8]) -> Result<Vec<Deploy>, String> {
    let mut all: Vec<Deploy> = list(body)?.iter().filter_map(deploy).take(PARTS).collect();
    all.sort_by_key(|deploy| std::cmp::Reverse(deploy.at));
    Ok(all)
}

/// The commits of a release, as the server orders them: the latest first.
///
/// # Errors
/// When the body is no list.
pub fn commits(body: &[u8]) -> Result<Vec<Commit>, String> {
    let commit = |row: &Value| {
        let message = text(row.get("message"), TITLE).unwrap_or_default();
        let author = row.get("author");
        Some(Commit {
            id: id(row.get("id"))?,
            title: message.lines().next().unwrap_or_default().to_owned(),
            author: text(author.and_then(|author| author.get("name")), TEXT).or_else(|| text(author.and_then(|author| author.get("username")), TEXT)),
            at: time(row.get("dateCreated")),
        })
    };
    Ok(list(body)?.iter().filter_map(commit).take(PARTS).collect())
}

/// The issues of a page, by name only.
///
/// # Errors
/// When the body is no list.
pub fn brought(body: &[u8]) -> Result<Vec<Brought>, String> {
    let one = |row: &Value| {
        let id = id(row.get("id"))?;
        let short_id = text(row.get("shortId"), TEXT).unwrap_or_else(|| id.clone());
        Some(Brought { title: text(row.get("title"), TITLE).unwrap_or_else(|| format!("issue {short_id}")), id, short_id })
    };
    Ok(list(body)?.iter().filter_map(one).take(PARTS).collect())
}

/// When a job is to run: `0 3 * * *`, `every 2 hours`.
fn schedule(config: Option<&Value>) -> String {
    let Some(config) = config else { return String::new() };
    let zone = text(config.get("timezone"), TEXT).filter(|zone| zone != "UTC").map(|zone| format!(" {zone}")).unwrap_or_default();
    match config.get("schedule") {
        Some(Value::String(crontab)) => format!("{}{zone}", crontab.chars().take(TEXT).collect::<String>()),
        Some(Value::Array(parts)) => match (number(parts.first()), text(parts.get(1), TEXT)) {
            (Some(1), Some(unit)) => format!("every {unit}"),
            (Some(count), Some(unit)) => format!("every {count} {unit}s"),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// How a job stands, by the word of an environment or a check-in.
fn cron_state(word: &str) -> CronState {
    match word {
        "ok" | "in_progress" => CronState::Ok,
        "missed" | "missed_checkin" => CronState::Missed,
        "timeout" => CronState::Timeout,
        "error" => CronState::Failed,
        "disabled" | "pending_deletion" | "deletion_in_progress" => CronState::Off,
        _ => CronState::Waiting,
    }
}

fn run(value: &Value) -> Option<CronRun> {
    let off = value.get("status").and_then(Value::as_str).map_or(CronState::Waiting, cron_state);
    let muted = value.get("isMuted").and_then(Value::as_bool).unwrap_or(false);
    Some(CronRun {
        environment: text(value.get("name"), TEXT)?,
        state: off,
        muted,
        last: time(value.get("lastCheckIn")),
        next: time(value.get("nextCheckIn")),
        since: time(value.pointer("/activeIncident/startingTimestamp")),
        bad: 0,
    })
}

/// One page of cron monitors.
///
/// # Errors
/// When the body is no list.
pub fn crons(body: &[u8]) -> Result<Vec<Cron>, String> {
    let one = |row: &Value| {
        let slug = id(row.get("slug"))?;
        let environments = match row.get("environments") {
            Some(Value::Array(all)) => all.iter().take(PARTS).filter_map(run).collect(),
            // As the published document shows it.
            Some(single @ Value::Object(_)) => run(single).into_iter().collect(),
            _ => Vec::new(),
        };
        Some(Cron {
            name: text(row.get("name"), TEXT).unwrap_or_else(|| slug.clone()),
            schedule: schedule(row.get("config")),
            disabled: row.get("status").and_then(Value::as_str).is_some_and(|status| cron_state(status) == CronState::Off),
            muted: row.get("isMuted").and_then(Value::as_bool).unwrap_or(false),
            runs: environments,
            slug,
        })
    };
    Ok(list(body)?.iter().filter_map(one).take(CRONS).collect())
}

/// How the latest check-ins of a job went, the latest first: which state it is in, and how many were bad in a row. `None` where nothing
/// is told.
///
/// # Errors
/// When the body is no list.
pub fn checkins(body: &[u8]) -> Result<Option<(CronState, u64)>, String> {
    let states: Vec<CronState> =
        list(body)?.iter().filter_map(|row| row.get("status")?.as_str()).filter(|word| *word != "in_progress").map(cron_state).take(PARTS).collect();
    let bad = states.iter().take_while(|state| state.is_bad()).count() as u64;
    Ok(states.first().filter(|state| state.is_bad()).map(|state| (*state, bad)))
}

/// What became of the events: sums by outcome and reason.
///
/// # Errors
/// When the body is not of the shape that the statistics have.
pub fn intake(body: &[u8], hours: u64, of: String) -> Result<Intake, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("the answer is not JSON: line {}, column {}", error.line(), error.column()))?;
    let groups = value.get("groups").and_then(Value::as_array).ok_or("the answer is JSON, but no statistics")?;
    let mut accepted = 0_u64;
    let mut sums: BTreeMap<(String, Option<String>), u64> = BTreeMap::new();
    for group in groups.iter().take(1_000) {
        let Some(outcome) = text(group.pointer("/by/outcome"), TEXT) else { continue };
        let events = number(group.get("totals").and_then(|totals| totals.get("sum(quantity)"))).unwrap_or(0);
        match outcome.as_str() {
            "accepted" => accepted = accepted.saturating_add(events),
            // What an SDK left out itself never reached the tracker.
            "client_discard" => {}
            _ if events == 0 => {}
            _ => {
                let reason = text(group.pointer("/by/reason"), TEXT).filter(|reason| reason != "none");
                let sum = sums.entry((outcome, reason)).or_default();
                *sum = sum.saturating_add(events);
            }
        }
    }
    let mut dropped: Vec<Dropped> = sums.into_iter().map(|((outcome, reason), events)| Dropped { outcome, reason, events }).collect();
    dropped.sort_by_key(|one| std::cmp::Reverse(one.events));
    dropped.truncate(PARTS);
    Ok(Intake { hours, accepted, dropped, of })
}

/// What the token may do, where the server tells it at the root of its API; `None` where it does not.
#[must_use]
pub fn scopes(body: &[u8]) -> Option<Vec<String>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let scopes = value.pointer("/auth/scopes")?.as_array()?;
    Some(scopes.iter().filter_map(|scope| text(Some(scope), TEXT)).take(100).collect())
}

/// Every parser of this file on any bytes.
pub fn fuzz(bytes: &[u8]) {
    let _ = (releases(bytes), deploys(bytes), commits(bytes), brought(bytes), crons(bytes), checkins(bytes), intake(bytes, 24, String::new()), scopes(bytes));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bytes(value: &Value) -> Vec<u8> {
        value.to_string().into_bytes()
    }

    #[test]
    fn releases_are_read_whatever_is_missing() {
        let body = json!([
            {"id": 3, "version": "shop@4.2.0+build/7", "shortVersion": "4.2.0", "dateCreated": "2026-11-20T02:50:00Z", "dateReleased": null, "newGroups": 2,
             "commitCount": "3", "deployCount": 2, "status": "open",
             "lastDeploy": {"id": "9", "environment": "production", "name": null, "url": "https://ci.example/512", "dateStarted": null, "dateFinished": "2026-11-20T02:58:00.25Z"}},
            {"version": "a1b2c3"}, {"version": "old", "status": "archived"}, {"version": ""}, {"version": ".."}, {"id": 4}, null, 7,
            {"version": "shop@4.1.0", "lastDeploy": {"environment": "production"}},
        ]);
        let all = releases(&bytes(&body)).unwrap();
        assert_eq!(
            all.iter().map(|(release, _)| (release.version.as_str(), release.said())).collect::<Vec<_>>(),
            [("shop@4.2.0+build/7", "4.2.0"), ("a1b2c3", "a1b2c3"), ("shop@4.1.0", "4.1.0"),]
        );
        let (first, deploys) = &all[0];
        assert_eq!((first.new_issues, first.commit_count, *deploys, first.released_at), (2, 3, 2, None));
        assert_eq!(first.deploys[0].at.to_rfc3339(), "2026-11-20T02:58:00.250+00:00");
        assert!(all[2].0.deploys.is_empty(), "a deploy without a time");
        for bad in ["", "{}", "[", "<html>"] {
            assert!(
                releases(bad.as_bytes()).is_err() && deploys_of(bad).is_err() && crons(bad.as_bytes()).is_err() && checkins(bad.as_bytes()).is_err(),
                "{bad}"
            );
        }
    }

    fn deploys_of(text: &str) -> Result<Vec<Deploy>, String> {
        deploys(text.as_bytes())
    }

    #[test]
    fn deploys_commits_and_what_a_release_brought_are_read() {
        let found = deploys_of(
            r#"[{"environment":"staging","dateFinished":"2026-11-20T01:00:00Z"},{"environment":"production","dateStarted":"2026-11-20T02:00:00Z"},{}]"#,
        )
        .unwrap();
        assert_eq!(found.iter().map(|one| one.environment.as_str()).collect::<Vec<_>>(), ["production", "staging"]);
        let commits = commits(br#"[{"id":"8f3c1d2","message":"Prices in the currency\n\nlong","author":{"name":"mara"},"dateCreated":"2026-11-20T01:00:00Z"},{"id":"x/../y"},{"message":"m"}]"#).unwrap();
        assert_eq!(commits.len(), 1);
        assert_eq!((commits[0].title.as_str(), commits[0].author.as_deref()), ("Prices in the currency", Some("mara")));
        let issues = brought(br#"[{"id":"5512","shortId":"SHOP-4K2","title":"KeyError: 'currency'"},{"id":7},{}]"#).unwrap();
        assert_eq!(issues.iter().map(|one| one.short_id.as_str()).collect::<Vec<_>>(), ["SHOP-4K2", "7"]);
    }

    #[test]
    fn jobs_are_read_with_one_environment_or_several() {
        let config = json!({"schedule_type": "crontab", "schedule": "0 3 * * *", "timezone": "Europe/Paris"});
        let body = json!([
            {"slug": "nightly", "name": "Nightly dump", "status": "active", "isMuted": false, "config": config, "environments": [
                {"name": "production", "status": "error", "isMuted": false, "lastCheckIn": "2026-11-19T03:00:10Z", "nextCheckIn": "2026-11-21T03:00:00Z",
                 "activeIncident": {"startingTimestamp": "2026-11-20T03:30:00Z"}},
                {"name": "staging", "status": "ok", "isMuted": true}, {"status": "ok"}]},
            {"slug": "hourly", "status": "disabled", "config": {"schedule": [2, "hour"]}, "environments": {"name": "production", "status": "missed_checkin"}},
            {"slug": "../x"}, {"name": "no slug"}, null,
        ]);
        let all = crons(&bytes(&body)).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].schedule.as_str(), all[0].runs.len(), all[0].runs[0].state), ("0 3 * * * Europe/Paris", 2, CronState::Failed));
        assert_eq!(
            (all[1].schedule.as_str(), all[1].disabled, all[1].name.as_str(), all[1].runs[0].state),
            ("every 2 hours", true, "hourly", CronState::Missed)
        );
        let of = |text: &str| checkins(text.as_bytes()).unwrap();
        assert_eq!(
            of(r#"[{"status":"in_progress"},{"status":"missed"},{"status":"error"},{"status":"ok"},{"status":"missed"}]"#),
            Some((CronState::Missed, 2))
        );
        assert_eq!(of(r#"[{"status":"ok"},{"status":"missed"}]"#), None);
        assert_eq!(of("[]"), None);
    }

    #[test]
    fn what_was_not_kept_is_summed_by_outcome_and_reason() {
        let group = |outcome: &str, reason: Value, events: Value| json!({"by": {"outcome": outcome, "reason": reason}, "totals": {"sum(quantity)": events}, "series": {}});
        let body = json!({"start": "x", "intervals": [], "groups": [
            group("accepted", json!("none"), json!(900)), group("rate_limited", json!("project_quota"), json!(80)), group("rate_limited", json!("project_quota"), json!("20")),
            group("filtered", json!("web-crawlers"), json!(30)), group("client_discard", json!("sample_rate"), json!(5_000)), group("invalid", Value::Null, json!(0)), json!({}),
        ]});
        let found = intake(&bytes(&body), 24, "shop".to_owned()).unwrap();
        assert_eq!((found.accepted, found.lost(), found.filtered(), found.all()), (900, 100, 30, 1_030));
        assert_eq!(
            (found.dropped[0].outcome.as_str(), found.dropped[0].reason.as_deref(), found.dropped[0].events),
            ("rate_limited", Some("project_quota"), 100)
        );
        assert!(intake(b"[]", 24, String::new()).is_err() && intake(b"{", 24, String::new()).is_err());
    }

    #[test]
    fn scopes_are_told_by_some_servers() {
        assert_eq!(scopes(br#"{"version":"0","auth":{"scopes":["event:read","org:read"]},"user":null}"#).unwrap(), ["event:read", "org:read"]);
        assert_eq!(scopes(br#"{"version":"5.1","auth":null}"#), None);
        assert_eq!(scopes(b"[]"), None);
    }
}
