//! What of a poll is kept: the message itself without log lines, the content that changed, the points of its series. Pure.
//!
//! What does not belong here: SQL (`writer`), masking (`redact`).

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::redact::Redactor;
use super::tiers::{Point, rounded};
use crate::domain::{CronRun, Data, LogBatch, LogGroup, Observation, Phases, Verdict};
use crate::state::msg::Polled;

/// Groups kept of one log between two writes; the state keeps its own bound.
const GROUPS: usize = 1_000;
/// Issues kept of one list.
const ISSUES: usize = 500;

/// A poll ready to be written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) source: String,
    pub(super) at_ns: i64,
    pub(super) body: String,
    pub(super) observations: Vec<Content>,
    pub(super) points: Vec<Point>,
}

/// An observation whose content is compared with the one kept before it.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) capability: &'static str,
    pub(super) at_ms: i64,
    pub(super) hash: Vec<u8>,
    pub(super) body: String,
}

/// Takes personal data out of a log batch: its lines, and the values in its groups' titles. Counts stay. Of a long list of issues the
/// beginning is kept: whoever polls has the rest in memory.
pub(super) fn strip(polled: &mut Polled) {
    let Ok(collected) = &mut polled.result else { return };
    for observation in &mut collected.observations {
        if let Data::Log(batch) = &mut observation.data {
            batch.skipped = batch.skipped.saturating_add(batch.events.len() as u64);
            batch.events = Vec::new();
            batch.marks = Vec::new();
            // Paths may name people, and every process reads the log itself.
            batch.access = None;
            batch.groups.iter_mut().for_each(strip_group);
        }
        if let Data::Issues(issues) = &mut observation.data {
            let long = issues.items.len() > ISSUES;
            issues.items.truncate(ISSUES);
            if long || !issues.ids.is_empty() {
                // To others the beginning is the whole, else what is gone from it would stay with them.
                issues.ids = Vec::new();
                collected.complete = true;
            }
        }
    }
}

/// `ValueError: no such user ann` is kept as `ValueError`, a message that names no exception as nothing.
fn strip_group(group: &mut LogGroup) {
    let name = group.title.split(':').next().unwrap_or_default();
    let is_type = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
    group.title = if is_type { name.to_owned() } else { String::new() };
}

/// Adds a newer poll of the same log to one that waits to be written, so that a flood is one row and no count is lost.
/// Gives the newer one back when the two cannot be joined.
pub(super) fn join(waiting: &mut Polled, newer: Polled) -> Option<Polled> {
    let logs = |polled: &Polled| {
        polled
            .result
            .as_ref()
            .is_ok_and(|collected| collected.problems.is_empty() && matches!(collected.observations.as_slice(), [Observation { data: Data::Log(_), .. }]))
    };
    if waiting.source != newer.source || !logs(waiting) || !logs(&newer) {
        return Some(newer);
    }
    let (Ok(old), Ok(new)) = (&mut waiting.result, newer.result) else { return None };
    for (known, fresh) in old.observations.iter_mut().zip(new.observations) {
        known.at = fresh.at;
        if let (Data::Log(known), Data::Log(fresh)) = (&mut known.data, fresh.data) {
            add(known, fresh);
        }
    }
    (waiting.at, waiting.next_at) = (newer.at, newer.next_at);
    None
}

fn add(known: &mut LogBatch, fresh: LogBatch) {
    known.lines += fresh.lines;
    known.skipped += fresh.skipped;
    known.files = fresh.files;
    known.format = fresh.format;
    known.limits = fresh.limits;
    if !fresh.about.is_empty() {
        known.about = fresh.about;
    }
    for (level, count) in fresh.levels {
        *known.levels.entry(level).or_default() += count;
    }
    for (minute, level, count) in fresh.minutes {
        match known.minutes.iter_mut().find(|(m, l, _)| (*m, *l) == (minute, level)) {
            Some(entry) => entry.2 += count,
            None => known.minutes.push((minute, level, count)),
        }
    }
    for group in fresh.groups {
        if let Some(entry) = known.groups.iter_mut().find(|g| g.fingerprint == group.fingerprint) {
            entry.count += group.count;
            entry.last_seen = entry.last_seen.max(group.last_seen);
        } else if known.groups.len() < GROUPS {
            known.groups.push(group);
        }
    }
}

/// Makes a poll ready; `None` when it cannot be stored without breaking a redaction.
pub(super) fn prepare(polled: &Polled, redactor: &Redactor) -> Option<Prepared> {
    let body = redactor.json(polled)?;
    let (mut observations, mut points) = (Vec::new(), Vec::new());
    for observation in polled.result.iter().flat_map(|collected| &collected.observations) {
        let at_ms = observation.at.timestamp_millis();
        if let Data::Health(health) = &observation.data {
            // What was not judged is no point of a series that uptime is counted from.
            if !health.silenced {
                let value = health.latency_ms.filter(|ms| ms.is_finite()).map(rounded);
                points.push(Point { at_ms, value, failed: health.verdict == Verdict::Down });
            }
        }
        if let Some(content) = content(&observation.data) {
            let hash = Sha256::digest(serde_json::to_vec(&content).ok()?)[..16].to_vec();
            observations.push(Content { capability: observation.data.capability().word(), at_ms, hash, body: redactor.json(observation)? });
        }
    }
    Some(Prepared { source: polled.source.as_str().to_owned(), at_ns: polled.at.timestamp_nanos_opt().unwrap_or_default(), body, observations, points })
}

/// What makes one observation differ from the next: no measured times, sizes, or values that were accepted. `None`: not kept.
fn content(data: &Data) -> Option<Value> {
    match data {
        Data::Health(health) => {
            let mut health = health.clone();
            health.latency_ms = None;
            health.phases_ms = Phases::default();
            health.body_bytes = 0;
            health.silenced = false;
            for expectation in &mut health.expectations {
                if expectation.ok || expectation.name == "latency" {
                    expectation.seen.clear();
                }
            }
            serde_json::to_value(health).ok()
        }
        Data::Certificate(certificate) => serde_json::to_value(certificate).ok(),
        // Counts grow with every event; what an issue is and how it stands is the content.
        Data::Issues(issues) => {
            serde_json::to_value(issues.items.iter().map(|issue| (&issue.id, issue.state, &issue.title, &issue.assignee)).collect::<Vec<_>>()).ok()
        }
        Data::Packages(packages) => {
            let mut packages = packages.clone();
            packages.advisories_at = None;
            serde_json::to_value(packages).ok()
        }
        Data::Life(lines) => serde_json::to_value(&lines.items).ok(),
        Data::Backup(backup) => {
            let mut backup = backup.clone();
            (backup.age_s, backup.checked_at) = (None, None);
            serde_json::to_value(backup).ok()
        }
        Data::Release(releases) => serde_json::to_value(releases).ok(),
        // When a job last ran and is next expected passes by; how it stands is the content.
        Data::Crons(crons) => {
            let stand = |run: &CronRun| (run.environment.clone(), run.state, run.muted, run.bad);
            serde_json::to_value(
                crons.items.iter().map(|cron| (&cron.slug, cron.disabled, cron.muted, cron.runs.iter().map(stand).collect::<Vec<_>>())).collect::<Vec<_>>(),
            )
            .ok()
        }
        // Counts grow with every event; for which reasons events are lost is the content.
        Data::Intake(intake) => serde_json::to_value(intake.dropped.iter().map(|one| (&one.outcome, &one.reason)).collect::<Vec<_>>()).ok(),
        // Lines and counts pass by; they are no content.
        Data::Log(_) => None,
    }
}
