//! What `barman -f json` prints. Pure.
//!
//! Facts: Barman's own sources, `barman/output.py` (`JsonOutputWriter`), and version 3.4 as Debian has it: what is not finished has an id
//! and a state only, times are texts, and a folder that may not be read is an empty list.

use chrono::{DateTime, NaiveDateTime, TimeZone};
use serde_json::{Map, Value};

use crate::backups::joblog::LAST_RUN_FAILED;
use crate::domain::backup::JobRun;
use crate::domain::{Backup, Copy, SourceError, Timestamp};

/// Texts that are kept of an error.
const SENTENCE: usize = 300;

/// More of one backup, from `show-backup`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub started: Option<Timestamp>,
    pub added_bytes: Option<u64>,
    pub error: Option<String>,
}

/// Whether a name is an id of Barman: nothing else is handed to it.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 15 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'T')
}

/// Seconds as a number, or as a text.
fn moment(value: Option<&Value>) -> Option<Timestamp> {
    let seconds = value.and_then(|value| value.as_i64().or_else(|| value.as_str()?.trim().parse().ok()))?;
    DateTime::from_timestamp(seconds, 0)
}

/// The moment that an id is made of: the clock of the machine that Barman runs on.
fn of_id(id: &str, zone: Option<chrono_tz::Tz>) -> Option<Timestamp> {
    let at = NaiveDateTime::parse_from_str(id, "%Y%m%dT%H%M%S").ok()?;
    match zone {
        Some(zone) => zone.from_local_datetime(&at).earliest().map(|at| at.to_utc()),
        None => chrono::Local.from_local_datetime(&at).earliest().map(|at| at.to_utc()),
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SENTENCE).collect()
}

/// What Barman says went wrong, where it says so.
pub(super) fn error_of(json: &str) -> Option<String> {
    let value: Value = serde_json::from_str(json).ok()?;
    let said: Vec<&str> = value.get("_ERROR")?.as_array()?.iter().filter_map(Value::as_str).collect();
    Some(clean(&said.join("; ")))
}

/// What stopped Barman in the middle, such as a record that it cannot read.
pub(super) fn exception_of(json: &str) -> Option<String> {
    let value: Value = serde_json::from_str(json).ok()?;
    let said = value.get("_EXCEPTION")?.as_array()?.iter().find_map(Value::as_str)?;
    Some(clean(said.lines().next().unwrap_or_default()))
}

/// The files that `list-files` names.
pub(super) fn files(json: &str) -> Result<Vec<String>, SourceError> {
    let value: Value = serde_json::from_str(json).map_err(|_| SourceError::protocol("barman printed no list of files"))?;
    // A backup without any is told by an empty answer.
    let named = value.get("_INFO").and_then(Value::as_array);
    Ok(named.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn of_server(json: &str, server: &str) -> Result<Value, SourceError> {
    let odd = |words: &str| SourceError { remedy: "run `barman -f json list-backup` by hand as this user".to_owned(), ..SourceError::protocol(words) };
    let mut value: Value = serde_json::from_str(json).map_err(|_| odd("barman printed no JSON"))?;
    value.get_mut(server).map(Value::take).ok_or_else(|| odd("barman says nothing of this server"))
}

/// The ids of the backups, newest first, and whether each is finished.
pub(super) fn ids(json: &str, server: &str) -> Vec<(String, bool)> {
    let rows = of_server(json, server).ok().and_then(|value| value.as_array().cloned()).unwrap_or_default();
    let row = |row: &Value| {
        let id = row.get("backup_id")?.as_str().filter(|id| is_id(id))?;
        Some((id.to_owned(), row.get("end_time_timestamp").is_some()))
    };
    rows.iter().filter_map(row).collect()
}

/// `show-backup` of one backup.
pub(super) fn shown(json: &str, server: &str) -> Shown {
    let value = of_server(json, server).unwrap_or_default();
    let base = value.get("base_backup_information");
    let of_base = |key: &str| base.and_then(|base| base.get(key));
    Shown {
        started: moment(of_base("begin_time_timestamp")),
        added_bytes: of_base("incremental_size_bytes").and_then(Value::as_u64),
        error: value.get("error").and_then(Value::as_str).map(clean).filter(|error| !error.is_empty() && error != "None"),
    }
}

/// The tablespaces of a backup: they would be restored to where they were.
pub(super) fn tablespaces(json: &str, server: &str, id: &str) -> Vec<String> {
    let rows = of_server(json, server).ok().and_then(|value| value.as_array().cloned()).unwrap_or_default();
    let row = rows.iter().find(|row| row.get("backup_id").and_then(Value::as_str) == Some(id));
    let all = row.and_then(|row| row.get("tablespaces")).and_then(Value::as_array);
    let name = |one: &Value| one.get("name").unwrap_or(one).as_str().map(|name| name.split(':').next().unwrap_or_default().to_owned());
    all.into_iter().flatten().filter_map(name).collect()
}

/// Checks of which others follow, the most telling first; then those that tell of the copies themselves. The rest comes after them.
const TELLING: [&str; 12] = [
    "directories",
    "systemid coherence",
    "postgresql",
    "ssh",
    "postgresql streaming",
    "wal archive",
    "backup maximum age",
    "backup minimum size",
    "minimum redundancy requirements",
    "failed backups",
    "receive wal running",
    "archiver errors",
];
/// Failed checks that are told.
const FAILED: usize = 20;

/// What `check` finds wrong, a line each, the most telling first.
pub(super) fn failed_checks(json: &str, server: &str) -> Result<Vec<String>, SourceError> {
    let value = of_server(json, server)?;
    let odd = || SourceError::protocol("barman check printed something else than its checks");
    let all: &Map<String, Value> = value.as_object().filter(|all| !all.is_empty()).ok_or_else(odd)?;
    let one = |(name, check): (&String, &Value)| {
        let name = clean(&name.replace('_', " "));
        let status = check.get("status").and_then(Value::as_str).unwrap_or("of an unknown state");
        let hint = check.get("hint").and_then(Value::as_str).filter(|hint| !hint.is_empty()).map_or_else(String::new, |hint| format!(" ({})", clean(hint)));
        let place = (status != "FAILED", TELLING.iter().position(|known| *known == name).unwrap_or(TELLING.len()));
        (status != "OK").then(|| (place, format!("{name}: {}{hint}", clean(&status.to_lowercase()))))
    };
    let mut failed: Vec<((bool, usize), String)> = all.iter().filter_map(one).collect();
    // Of the same rank they stay in the order of their names.
    failed.sort_by_key(|(place, _)| *place);
    Ok(failed.into_iter().take(FAILED).map(|(_, words)| words).collect())
}

/// The data set as `list-backup` tells of it, not yet judged.
pub(super) fn list(json: &str, server: &str, zone: Option<chrono_tz::Tz>, known: impl Fn(&str) -> Option<Shown>) -> Result<Backup, SourceError> {
    let value = of_server(json, server)?;
    let rows = value.as_array().ok_or_else(|| SourceError::protocol("barman printed no list of backups"))?;
    if rows.is_empty() {
        return Err(SourceError::nothing(
            format!("barman has no backup of {server}, or may not read them"),
            "run `barman list-backup` by hand as this user, which should be barman's own",
        ));
    }
    let (mut copies, mut runs) = (Vec::new(), Vec::new());
    for (place, row) in rows.iter().enumerate() {
        let Some(id) = row.get("backup_id").and_then(Value::as_str) else {
            return Err(SourceError::protocol("barman lists a backup without an id"));
        };
        let shown = known(id).unwrap_or_default();
        let state = row.get("status").and_then(Value::as_str).unwrap_or("of an unknown state");
        let ended = moment(row.get("end_time_timestamp"));
        match (state, ended) {
            ("DONE" | "WAITING_FOR_WALS", Some(at)) => {
                let waits = state != "DONE";
                let kept = row.get("retention_status").and_then(Value::as_str).filter(|kept| !matches!(*kept, "-" | "VALID" | ""));
                copies.push(Copy {
                    name: id.to_owned(),
                    at,
                    started: shown.started,
                    size_bytes: row.get("size_bytes").and_then(Value::as_u64),
                    added_bytes: shown.added_bytes,
                    kind: row.get("backup_type").and_then(Value::as_str).map(clean),
                    complete: waits.then_some(false),
                    problem: waits.then(|| "waits for its WAL".to_owned()),
                    tags: kept.map(|kept| clean(&kept.to_lowercase())).into_iter().collect(),
                    ..Copy::default()
                });
            }
            // The newest may still be at it; one that others came after is not.
            ("STARTED" | "EMPTY" | "SYNCING", _) if place == 0 => runs.push(JobRun { started: of_id(id, zone), ..JobRun::default() }),
            _ => {
                let words = match state {
                    "FAILED" => "failed".to_owned(),
                    "STARTED" | "EMPTY" => "began and did not end".to_owned(),
                    other => format!("is {}", clean(&other.to_lowercase().replace('_', " "))),
                };
                let message = shown.error.map_or_else(|| format!("{id} {words}"), |error| format!("{id} {words}: {error}"));
                runs.push(JobRun { started: of_id(id, zone), ended: None, ok: Some(false), message, ..JobRun::default() });
            }
        }
    }
    runs.sort_by_key(|run| run.started);
    let failed = runs.iter().rev().find(|run| run.ok == Some(false)).cloned();
    let newest = copies.iter().map(|copy| copy.at).max();
    let mut complaints = Vec::new();
    // One that failed after the newest copy was made is news; an older one is history.
    if let Some(failed) = failed.as_ref().filter(|failed| newest.is_none_or(|newest| failed.started.is_none_or(|started| started > newest))) {
        complaints.push(format!("{LAST_RUN_FAILED}{}", failed.message));
    }
    let bytes = rows.iter().flat_map(|row| [row.get("size_bytes"), row.get("wal_size_bytes")]).flatten().filter_map(Value::as_u64).sum();
    Ok(Backup {
        tool: "barman".to_owned(),
        place: format!("server {server}"),
        snapshots: copies.len() as u64,
        repository_bytes: Some(bytes),
        last_failure: failed,
        copies,
        runs,
        complaints,
        ..Backup::default()
    })
}
