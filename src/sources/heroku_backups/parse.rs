//! What Heroku's data service says of an application's Postgres backups. Pure.
//!
//! Facts: the command line client's own sources, `packages/cli/src/lib/pg`: a transfer from `pg_dump` to `gof3r` is a backup; its
//! name is `b` and its number, `a` where a schedule made it; the order of the list is not promised.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

use crate::backups::joblog::LAST_RUN_FAILED;
use crate::domain::backup::JobRun;
use crate::domain::{Backup, Copy, SourceError, Timestamp};

/// Runs that are told.
const RUNS: usize = 60;

/// RFC 3339, or as older answers had it: `2026-08-20 03:00:05 +0000`.
fn moment(value: Option<&Value>) -> Option<Timestamp> {
    let text = value?.as_str()?.trim();
    let other = || DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f %z").ok();
    let bare = || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S UTC").ok().map(|at| at.and_utc());
    DateTime::parse_from_rfc3339(text).ok().or_else(other).map(|at| at.with_timezone(&Utc)).or_else(bare)
}

/// What a transfer is called: `a012` where a schedule made it, else `b012`, unless an older service named it.
fn name(row: &Value) -> Option<String> {
    if let Some(name) = row.pointer("/options/pgbackups_name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        return Some(format!("o{name}"));
    }
    let letter = if row.get("schedule").is_some_and(|schedule| !schedule.is_null()) { 'a' } else { 'b' };
    row.get("num")?.as_u64().map(|number| format!("{letter}{number:03}"))
}

/// The data set, not yet judged; `database` names the one whose backups count.
pub(super) fn transfers(body: &[u8], database: Option<&str>, place: &str) -> Result<Backup, SourceError> {
    let odd = || SourceError::protocol("the list of transfers is not what was agreed");
    let value: Value = serde_json::from_slice(body).map_err(|_| odd())?;
    let rows = value.as_array().ok_or_else(odd)?;
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut databases: Vec<String> = Vec::new();
    let (mut copies, mut runs): (Vec<Copy>, Vec<JobRun>) = (Vec::new(), Vec::new());
    for row in rows.iter().filter(|row| text(row, "from_type") == "pg_dump" && text(row, "to_type") == "gof3r") {
        let from = text(row, "from_name");
        if !databases.contains(&from) && databases.len() < 20 {
            databases.push(from.clone());
        }
        if database.is_some_and(|database| !database.eq_ignore_ascii_case(&from)) {
            continue;
        }
        let name = name(row).ok_or_else(odd)?;
        let started = moment(row.get("started_at"));
        let ended = moment(row.get("finished_at"));
        let canceled = moment(row.get("canceled_at")).is_some();
        // A time that cannot be read must not look like a backup that is not over.
        let said = |key: &str| row.get(key).is_some_and(|value| !value.is_null());
        if said("finished_at") && ended.is_none() {
            return Err(odd());
        }
        let succeeded = row.get("succeeded").and_then(Value::as_bool) == Some(true) && !canceled;
        let warnings = row.get("warnings").and_then(Value::as_u64).unwrap_or(0);
        let bytes = row.get("processed_bytes").and_then(Value::as_u64);
        let ok = if ended.is_some() || canceled { Some(succeeded) } else { None };
        let message = match ok {
            Some(false) if canceled => format!("{name} was cancelled"),
            Some(false) => format!("{name} failed"),
            Some(true) if warnings > 0 => format!("{name} ended with {warnings} warnings"),
            _ => String::new(),
        };
        let began = started.or_else(|| moment(row.get("created_at")));
        runs.push(JobRun { started: began, ended: ended.or_else(|| moment(row.get("canceled_at"))), ok, message: message.clone(), ..JobRun::default() });
        if let (Some(at), Some(true)) = (ended, ok) {
            let problem = if bytes == Some(0) { Some("is empty".to_owned()) } else { (warnings > 0).then(|| format!("was made with {warnings} warnings")) };
            copies.push(Copy {
                name,
                at,
                started,
                size_bytes: bytes,
                complete: (bytes == Some(0)).then_some(false),
                problem,
                kind: Some(if text(row, "schedule").is_empty() && row.get("schedule").is_none_or(Value::is_null) { "manual" } else { "scheduled" }.to_owned()),
                tags: vec![from],
                ..Copy::default()
            });
        }
    }
    if let Some(database) = database.filter(|_| runs.is_empty() && !databases.is_empty()) {
        return Err(SourceError::config(format!("no backup is of {database}"), format!("there are backups of {}", databases.join(", "))));
    }
    if database.is_none() && databases.len() > 1 {
        return Err(SourceError::config(
            format!("the application has backups of {} databases", databases.len()),
            format!("name one by `database`, and write a source for each: {}", databases.join(", ")),
        ));
    }
    if runs.is_empty() {
        return Err(SourceError::nothing(
            "the application has no logical backup",
            "schedule one with `heroku pg:backups:schedule`; databases with continuous protection may need none, and are not watched by this kind",
        ));
    }
    runs.sort_by_key(|run| run.ended.or(run.started));
    let last_failure = runs.iter().rev().find(|run| run.ok == Some(false)).cloned();
    let newest = copies.iter().map(|copy| copy.at).max();
    let mut complaints = Vec::new();
    if let Some(failed) = last_failure.as_ref().filter(|failed| newest.is_none_or(|newest| failed.ended.or(failed.started).is_none_or(|at| at > newest))) {
        complaints.push(format!("{LAST_RUN_FAILED}{}", failed.message));
    }
    if let Some(warned) = copies.iter().max_by_key(|copy| copy.at).filter(|copy| copy.complete != Some(false)).and_then(|copy| copy.problem.as_ref()) {
        complaints.push(warned.clone());
    }
    runs.drain(..runs.len().saturating_sub(RUNS));
    Ok(Backup { tool: "heroku".to_owned(), place: place.to_owned(), copies, runs, last_failure, complaints, ..Backup::default() })
}

/// Any bytes as the service's answer, for fuzzing: must not panic.
pub fn fuzz(bytes: &[u8]) {
    let _ = transfers(bytes, None, "shop");
    let _ = transfers(bytes, Some("DATABASE"), "shop");
}
