//! What a Healthchecks server says of a check, as a data set with the history of its job. Pure.
//!
//! A check says that a job ran, not that a copy is there: nothing here is a copy.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::backups::judge::without_future;
use crate::domain::backup::JobRun;
use crate::domain::time::{human, since};
use crate::domain::{Backup, SourceError, Timestamp};

/// Runs that are told.
const RUNS: usize = 60;
/// A change to "down" so soon after a ping was that ping's doing; a missed one comes a minute later at the least, the shortest period.
const SAME: TimeDelta = TimeDelta::seconds(30);

/// One check, as the list has it. Newer and older servers have more and fewer fields.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Check {
    pub name: String,
    pub slug: String,
    pub status: String,
    pub started: bool,
    /// In seconds.
    pub grace: Option<u64>,
    /// In seconds, of one that is expected at an interval.
    pub timeout: Option<u64>,
    pub schedule: Option<String>,
    pub tz: Option<String>,
    pub last_ping: Option<DateTime<Utc>>,
    pub next_ping: Option<DateTime<Utc>>,
    uuid: Option<String>,
    update_url: Option<String>,
    unique_key: Option<String>,
}

impl Check {
    /// Its id where the key may see its pings.
    pub(super) fn uuid(&self) -> Option<&str> {
        let is_uuid = |text: &&str| text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let of_url = || self.update_url.as_deref().and_then(|url| url.rsplit('/').next()).filter(is_uuid);
        self.uuid.as_deref().filter(is_uuid).or_else(of_url)
    }

    /// Its id where the key may not.
    pub(super) fn unique_key(&self) -> Option<&str> {
        self.unique_key.as_deref().filter(|key| key.len() == 40 && key.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    /// What people call it.
    pub(super) fn said(&self) -> &str {
        [&self.name, &self.slug].into_iter().find(|text| !text.is_empty()).map_or("a check without a name", String::as_str)
    }

    fn is_called(&self, wanted: &str) -> bool {
        self.slug == wanted || self.name == wanted || self.uuid() == Some(wanted) || self.unique_key() == Some(wanted)
    }
}

/// All checks of the project.
pub(super) fn checks(body: &[u8]) -> Result<Vec<Check>, SourceError> {
    #[derive(Deserialize)]
    struct Answer {
        checks: Vec<Check>,
    }
    serde_json::from_slice::<Answer>(body)
        .map(|answer| answer.checks)
        .map_err(|error| SourceError::protocol(format!("the list of checks is not what was agreed (line {}, column {})", error.line(), error.column())))
}

/// The check that is meant: the named one, or the only one.
pub(super) fn choose(mut all: Vec<Check>, wanted: Option<&str>) -> Result<Check, SourceError> {
    let seen = all.iter().take(6).map(|check| if check.slug.is_empty() { check.name.as_str() } else { &check.slug }).collect::<Vec<_>>().join(", ");
    match wanted {
        _ if all.is_empty() => Err(SourceError::nothing("the project has no check", "make one there, and let the backup ping it")),
        None if all.len() == 1 => Ok(all.remove(0)),
        None => Err(SourceError::config(format!("the project has {} checks", all.len()), format!("name one by `check`, and write a source for each: {seen}"))),
        Some(wanted) => {
            let mut called: Vec<usize> = (0..all.len()).filter(|at| all[*at].is_called(wanted)).collect();
            match (called.pop(), called.is_empty()) {
                (Some(at), true) => Ok(all.swap_remove(at)),
                (None, _) => Err(SourceError::config(format!("the project has no check {wanted}"), format!("it has {seen}"))),
                _ => {
                    Err(SourceError::config(format!("the project has more than one check {wanted}"), "name it by its id, which is in the address of its page"))
                }
            }
        }
    }
}

/// When a check went down or came up, oldest first: the documentation has a bare list, the server an object around it.
pub(super) fn flips(body: &[u8]) -> Result<Vec<(Timestamp, bool)>, SourceError> {
    let odd = || SourceError::protocol("the changes of the check are not what was agreed");
    let value: Value = serde_json::from_slice(body).map_err(|_| odd())?;
    let rows = value.as_array().or_else(|| value.get("flips")?.as_array()).ok_or_else(odd)?;
    let row = |row: &Value| {
        let up = row.get("up")?;
        Some((row.get("timestamp")?.as_str()?.parse().ok()?, up.as_bool().or_else(|| up.as_i64().map(|up| up == 1))?))
    };
    let mut all: Vec<(Timestamp, bool)> = rows.iter().filter_map(row).collect();
    all.sort_unstable();
    Ok(all)
}

/// The runs that the pings tell of, oldest first, and the number of the newest failed ping that has a text.
pub(super) fn runs_of_pings(body: &[u8]) -> Result<(Vec<JobRun>, Option<u64>), SourceError> {
    let odd = || SourceError::protocol("the pings of the check are not what was agreed");
    let value: Value = serde_json::from_slice(body).map_err(|_| odd())?;
    let rows = value.get("pings").and_then(Value::as_array).ok_or_else(odd)?;
    let mut pings: Vec<(Timestamp, &Value)> = rows.iter().filter_map(|row| Some((row.get("date")?.as_str()?.parse().ok()?, row))).collect();
    pings.sort_by_key(|(at, _)| *at);
    let mut runs: Vec<JobRun> = Vec::new();
    let (mut begun, mut text) = (None, None);
    let broken =
        |started| JobRun { started: Some(started), ended: None, ok: Some(false), message: "began and did not tell its end".to_owned(), ..JobRun::default() };
    for (at, ping) in pings {
        let ok = match ping.get("type").and_then(Value::as_str) {
            Some("success") => true,
            Some("fail") => false,
            Some("start") => {
                runs.extend(begun.replace(at).map(broken));
                continue;
            }
            _ => continue,
        };
        let took = ping.get("duration").and_then(Value::as_f64).and_then(|seconds| TimeDelta::try_milliseconds((seconds * 1e3) as i64));
        let started = took.map(|took| at - took).or(begun);
        begun = None;
        if !ok {
            text = ping.get("body_url").and_then(Value::as_str).and_then(|_| ping.get("n")?.as_u64());
        }
        runs.push(JobRun { started, ended: Some(at), ok: Some(ok), ..JobRun::default() });
    }
    runs.extend(begun.map(|started| JobRun { started: Some(started), ..JobRun::default() }));
    Ok((runs, text))
}

/// The runs that changes between up and down tell of, with the last ping; oldest first.
pub(super) fn runs_of_flips(check: &Check, flips: &[(Timestamp, bool)]) -> Vec<JobRun> {
    let words = |up: bool| if up { String::new() } else { "failed, or was missed".to_owned() };
    let mut runs: Vec<JobRun> = flips.iter().map(|(at, up)| JobRun { ended: Some(*at), ok: Some(*up), message: words(*up), ..JobRun::default() }).collect();
    if let Some(at) = check.last_ping.filter(|at| runs.last().and_then(|run| run.ended).is_none_or(|last| *at > last + SAME)) {
        // A ping that changed nothing was of the kind that the check is in; in version 1 a running job hides which that is.
        let was_up = match check.status.as_str() {
            "up" | "grace" => Some(true),
            _ => flips.last().map(|(_, up)| *up),
        };
        runs.push(JobRun { ended: Some(at), ok: was_up, ..JobRun::default() });
    }
    runs
}

/// When the last good ping was. `None`: never, or it cannot be told.
fn last_success(check: &Check, runs: &[JobRun]) -> Option<Timestamp> {
    let seen = || runs.iter().filter(|run| run.ok == Some(true)).filter_map(|run| run.ended).max();
    match check.status.as_str() {
        "up" | "grace" => check.last_ping,
        // Missed: the ping before it was a good one, unless it is the one that told of a failure.
        "down" => {
            let failed = runs.iter().filter(|run| run.ok == Some(false)).filter_map(|run| run.ended);
            match (check.last_ping, failed.max()) {
                (Some(ping), Some(failed)) if failed > ping + SAME => Some(ping),
                _ => seen(),
            }
        }
        _ => seen(),
    }
}

/// How long after a ping the next must be there: interval or schedule, and the grace time.
pub(super) fn allowed(check: &Check) -> Option<Duration> {
    let grace = Duration::from_secs(check.grace.unwrap_or(0));
    let by_schedule = || match (check.status.as_str(), check.started, check.last_ping, check.next_ping) {
        ("up" | "grace", false, Some(last), Some(next)) if next > last => Some(since(last, next)),
        _ => None,
    };
    check.timeout.map(Duration::from_secs).or_else(by_schedule).map(|period| period + grace)
}

/// The check as a data set: its history, what is expected, what is wrong.
pub(super) fn backup(check: &Check, mut runs: Vec<JobRun>, allowed: Option<Duration>, now: Timestamp) -> Result<Backup, SourceError> {
    let name = check.said();
    if check.last_ping.is_none() && !check.started && runs.iter().all(|run| run.ok.is_none()) {
        let words = if check.status == "paused" { "is paused and has no ping" } else { "never got a ping" };
        return Err(SourceError::nothing(format!("{name} {words}"), "let the backup ping it when it has ended, and look there whether it is paused"));
    }
    let last_success = last_success(check, &runs);
    let expected = check.next_ping.filter(|_| !check.started);
    let mut complaints = Vec::new();
    match check.status.as_str() {
        "up" | "started" => {}
        "grace" => {
            let late = expected.map_or_else(String::new, |at| format!(" since {}", human(since(at, now))));
            complaints.push(format!("is late{late}, within its grace time"));
        }
        "down" if check.started => complaints.push("hangs: began and did not tell its end in time".to_owned()),
        "down" => {
            let failed = last_success.is_none_or(|at| check.last_ping.is_some_and(|ping| ping > at + SAME));
            complaints.push(if failed { "failed: its last ping tells so" } else { "was missed: no ping came in time" }.to_owned());
        }
        "paused" => complaints.push("is paused: nobody waits for its pings".to_owned()),
        "new" => complaints.push("waits for its first ping since it was resumed".to_owned()),
        other => complaints.push(format!("is in a state that is not known: {}", other.chars().filter(|c| !c.is_control()).take(40).collect::<String>())),
    }
    if check.started && !runs.iter().any(|run| run.ended.is_none() && run.ok.is_none()) {
        runs.push(JobRun::default());
    }
    runs.drain(..runs.len().saturating_sub(RUNS));
    let mut backup = Backup {
        age_s: last_success.map(|at| since(at, now).as_secs()),
        last_success,
        tool: "healthchecks".to_owned(),
        max_age_s: allowed.map(|allowed| allowed.as_secs()),
        last_failure: runs.iter().rev().find(|run| run.ok == Some(false)).cloned(),
        next_at: expected,
        complaints,
        runs,
        ..Backup::default()
    };
    without_future(&mut backup, now);
    Ok(backup)
}

/// Any bytes as the server's answers, for fuzzing: must not panic.
pub fn fuzz(bytes: &[u8]) {
    let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    let flips = flips(bytes).unwrap_or_default();
    let runs = runs_of_pings(bytes).map(|(runs, _)| runs).unwrap_or_default();
    for check in checks(bytes).unwrap_or_default() {
        let _ = backup(&check, runs_of_flips(&check, &flips), allowed(&check), now);
        let _ = backup(&check, runs.clone(), allowed(&check), now);
    }
}
