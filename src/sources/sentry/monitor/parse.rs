//! What Sentry says of a cron monitor, as a data set with the history of its job. Pure.
//!
//! A check-in says that a job ran, not that a copy is there: nothing here is a copy.
//!
//! Facts: Sentry's OpenAPI document for `monitors/` and `checkins/` (a duration is in milliseconds); the monitors' serializer, where
//! `environments` is a list although the document shows one object.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;

use super::super::parse::{TEXT, list, number, text, time};
use crate::backups::judge::without_future;
use crate::domain::backup::JobRun;
use crate::domain::time::{human, since};
use crate::domain::{Backup, SourceError, Timestamp};

/// Runs that are told.
const RUNS: usize = 60;
/// Environments that are read.
const ENVIRONMENTS: usize = 50;

/// One monitor in one of its environments.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Monitor {
    /// What people call it.
    pub name: String,
    /// `ok`, `error`, `active`, `disabled`, …
    pub status: String,
    /// Nobody waits for its check-ins.
    pub is_off: bool,
    /// Nobody is told of it.
    pub is_muted: bool,
    /// The environment.
    pub environment: String,
    pub last: Option<Timestamp>,
    pub next: Option<Timestamp>,
    /// When it is missed.
    pub next_latest: Option<Timestamp>,
}

fn is_off(value: &Value) -> bool {
    matches!(value.get("status").and_then(Value::as_str), Some("disabled" | "pending_deletion" | "deletion_in_progress"))
}

/// The monitor in the environment that is meant: the named one, or the only one.
pub(super) fn monitor(body: &[u8], slug: &str, wanted: Option<&str>) -> Result<Monitor, SourceError> {
    let odd = || SourceError::protocol("the monitor is not what was agreed");
    let value: Value = serde_json::from_slice(body).map_err(|_| odd())?;
    if !value.is_object() || value.get("slug").and_then(Value::as_str).is_none() {
        return Err(odd());
    }
    let name = text(value.get("name"), TEXT).filter(|name| !name.is_empty()).unwrap_or_else(|| slug.to_owned());
    let environments: Vec<&Value> = match value.get("environments") {
        Some(Value::Array(all)) => all.iter().take(ENVIRONMENTS).collect(),
        // As the published document shows it.
        Some(single @ Value::Object(_)) => vec![single],
        _ => Vec::new(),
    };
    let called = |value: &Value| text(value.get("name"), TEXT).unwrap_or_default();
    let names = || environments.iter().take(6).map(|value| called(value)).collect::<Vec<_>>().join(", ");
    let one = match wanted {
        _ if environments.is_empty() => {
            return Err(SourceError::nothing(format!("{name} never got a check-in"), "let the backup check in when it has ended"));
        }
        None if environments.len() > 1 => {
            let message = format!("{name} has check-ins of {} environments", environments.len());
            return Err(SourceError::config(message, format!("name one by `environment`: {}", names())));
        }
        None => environments[0],
        Some(wanted) => environments
            .iter()
            .find(|value| called(value) == wanted)
            .ok_or_else(|| SourceError::config(format!("{name} has no check-in of the environment {wanted}"), format!("it has {}", names())))?,
    };
    let muted = |value: &Value| value.get("isMuted").and_then(Value::as_bool).unwrap_or(false);
    Ok(Monitor {
        status: text(one.get("status"), TEXT).unwrap_or_default(),
        is_off: is_off(&value) || is_off(one),
        is_muted: muted(&value) || muted(one),
        environment: called(one),
        last: time(one.get("lastCheckIn")),
        next: time(one.get("nextCheckIn")),
        next_latest: time(one.get("nextCheckInLatest")),
        name,
    })
}

/// One check-in as a run of the job; `None`: what it means is not known.
fn run(row: &Value) -> Option<JobRun> {
    let added = time(row.get("dateAdded"))?;
    let began = time(row.get("dateInProgress"));
    let took = number(row.get("duration")).and_then(|ms| TimeDelta::try_milliseconds(i64::try_from(ms).ok()?));
    let (ok, message) = match row.get("status")?.as_str()? {
        "in_progress" => return Some(JobRun { started: Some(began.unwrap_or(added)), ..JobRun::default() }),
        "ok" => (true, ""),
        "error" => (false, "its check-in tells that it failed"),
        "missed" => (false, "was missed: no check-in came in time"),
        "timeout" => (false, "began and did not tell its end in time"),
        _ => return None,
    };
    if message.starts_with("was missed") {
        return Some(JobRun { ended: Some(time(row.get("expectedTime")).unwrap_or(added)), ok: Some(ok), message: message.to_owned(), ..JobRun::default() });
    }
    let ended = match (began, took) {
        (Some(began), Some(took)) => began.checked_add_signed(took),
        _ => None,
    };
    let ended = ended.or_else(|| time(row.get("dateUpdated")).filter(|_| began.is_some())).unwrap_or(added);
    let started = began.or_else(|| ended.checked_sub_signed(took?));
    Some(JobRun { started, ended: Some(ended), ok: Some(ok), message: message.to_owned(), ..JobRun::default() })
}

/// The runs that check-ins tell of, oldest first.
pub(super) fn runs(body: &[u8]) -> Result<Vec<JobRun>, SourceError> {
    let rows = list(body).map_err(SourceError::protocol)?;
    let mut runs: Vec<JobRun> = rows.iter().filter_map(run).take(RUNS).collect();
    runs.sort_by_key(|run| run.ended.or(run.started));
    Ok(runs)
}

/// How long after a check-in the next must be there; `None`: it cannot be told now.
pub(super) fn allowed(monitor: &Monitor) -> Option<Duration> {
    let (last, next) = (monitor.last?, monitor.next_latest.or(monitor.next)?);
    (monitor.status == "ok" && next > last).then(|| since(last, next))
}

/// The monitor as a data set: its history, what is expected, what is wrong.
pub(super) fn backup(monitor: &Monitor, runs: Vec<JobRun>, allowed: Option<Duration>, now: Timestamp) -> Result<Backup, SourceError> {
    let name = &monitor.name;
    if monitor.last.is_none() && runs.iter().all(|run| run.ok.is_none()) {
        let words = if monitor.is_off { "is switched off and has no check-in" } else { "never got a check-in" };
        return Err(SourceError::nothing(format!("{name} {words}"), "let the backup check in when it has ended, and look there whether it is switched off"));
    }
    let seen = runs.iter().filter(|run| run.ok == Some(true)).filter_map(|run| run.ended).max();
    // The history may be shorter than the distance to the last good one.
    let last_success = seen.or(monitor.last.filter(|_| monitor.status == "ok"));
    let last_failure = runs.iter().rev().find(|run| run.ok == Some(false)).cloned();
    let mut complaints = Vec::new();
    match monitor.status.as_str() {
        _ if monitor.is_off => complaints.push("is switched off: nobody waits for its check-ins".to_owned()),
        "ok" => {
            let late = monitor.next_latest.or(monitor.next).filter(|at| *at < now && runs.last().is_none_or(|run| run.ended.is_some()));
            complaints.extend(late.map(|at| format!("is late since {}", human(since(at, now)))));
        }
        "active" => complaints.push("waits for its first check-in".to_owned()),
        "error" | "missed" | "missed_checkin" | "timeout" => {
            let newest = runs.iter().rev().find(|run| run.ok.is_some()).filter(|run| run.ok == Some(false));
            complaints.push(newest.map_or_else(|| "failed: its check-ins tell so".to_owned(), |run| run.message.clone()));
        }
        other => complaints.push(format!("is in a state that is not known: {}", other.chars().filter(|c| !c.is_control()).take(40).collect::<String>())),
    }
    complaints.extend(monitor.is_muted.then(|| "is muted there: nobody is told when it fails".to_owned()));
    let mut backup = Backup {
        age_s: last_success.map(|at| since(at, now).as_secs()),
        last_success,
        tool: "sentry".to_owned(),
        max_age_s: allowed.map(|allowed| allowed.as_secs()),
        last_failure,
        next_at: monitor.next.filter(|_| !monitor.is_off),
        complaints,
        runs,
        ..Backup::default()
    };
    without_future(&mut backup, now);
    Ok(backup)
}

/// Any bytes as the server's answers: must not panic.
pub(super) fn fuzz(bytes: &[u8]) {
    let now = Timestamp::UNIX_EPOCH + TimeDelta::days(20_000);
    let history = runs(bytes).unwrap_or_default();
    for wanted in [None, Some("production")] {
        if let Ok(monitor) = monitor(bytes, "db", wanted) {
            let _ = backup(&monitor, history.clone(), allowed(&monitor), now);
        }
    }
}
