//! Takes the end of a poll into the world: last good values, thresholds, status, samples, log counts.

use std::time::Duration;

use super::msg::{History, Polled};
use super::range::SILENCE;
use super::world::{Bucket, HealthState, LOG_EVENTS, LOG_GROUPS, LOG_HOURS, LOG_MINUTES, LOG_PATHS, LogState, SAMPLES, Sample, SourceState, Window};
use crate::domain::{
    Backup, Data, ErrorKind, Health, Histogram, IssueState, Issues, LifeLine, LifeLines, LogBatch, Packages, Phase, SourceError, Status, Timestamp, Verdict,
};
use crate::sources::Collected;

/// Windows over the last hour are figured anew at most this often once there are many samples.
const REFRESH: i64 = 30;
/// Up to so many samples they are figured at every probe.
const FEW: usize = 120;
/// Hours kept in memory.
const HOURS: i64 = 48;
/// Issues of one source that are kept, also when a list that was read in part is joined to what was known.
const ISSUES: usize = 10_000;
/// Days kept in memory.
const DAYS: i64 = 31;

impl SourceState {
    /// Whether anything was ever seen of it.
    #[must_use]
    pub fn looked_at(&self) -> bool {
        self.checked_at.is_some()
    }

    /// Whether it was looked at by a poll of this run or its like, in time, with an answer to judge by.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        !self.remembered && matches!(self.status, Status::Ok | Status::Degraded | Status::Down)
    }
}

impl SourceState {
    /// Whether a poll of it should have ended by now, given that looking began at `begun`.
    #[must_use]
    pub fn is_overdue(&self, begun: Timestamp, now: Timestamp) -> bool {
        let last = self.checked_at.map_or(begun, |at| at.max(begun));
        self.spec.enabled && !self.spec.continuous && crate::domain::time::since(last, now) > stale_after(self)
    }
}

/// How one pass differs from watching, and how much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// Thresholds count as one, nothing is pending.
    pub one_pass: bool,
    /// Samples kept for each source.
    pub samples: usize,
}

/// The number of samples to keep for each of so many sources: memory stays bounded whatever the number.
pub(super) fn samples_for(sources: usize) -> usize {
    (1_000_000 / sources.max(1)).clamp(120, SAMPLES)
}

/// Takes one poll in. What we are told of (`followed`) and is older than what is known changes nothing; gives `false` then. Our own polls
/// come one after the other: one that looks older was made after the clock was set back, as was all that is older than a future.
pub(super) fn polled(source: &mut SourceState, polled: &Polled, settings: Settings, followed: bool, now: Timestamp) -> bool {
    if followed && source.checked_at.is_some_and(|at| polled.at < at && at <= now) {
        return false;
    }
    source.checked_at = Some(polled.at);
    source.next_at = polled.next_at;
    match &polled.result {
        Ok(collected) => seen(source, polled, collected, settings),
        Err(error) => not_seen(source, polled.at, error, settings),
    }
    true
}

fn set_error(source: &mut SourceState, at: Timestamp, error: Option<SourceError>) {
    match (&source.error, &error) {
        (None, Some(_)) => source.error_since = Some(at),
        (Some(old), Some(new)) if old.kind != new.kind => source.error_since = Some(at),
        (_, None) => source.error_since = None,
        _ => {}
    }
    source.error = error;
}

fn seen(source: &mut SourceState, polled: &Polled, collected: &Collected, settings: Settings) {
    let at = polled.at;
    source.problems = collected.problems.iter().map(|p| format!("{}: {}", p.subject, p.message)).collect();
    let (mut verdict, mut error, mut summary) = (Verdict::Ok, None, None);
    for observation in &collected.observations {
        match &observation.data {
            Data::Health(health) => {
                verdict = health.verdict;
                error.clone_from(&health.error);
                summary = Some(health.summary());
                // A probe belongs to the moment at which it began: that is when its user would have asked.
                probe(source.health.get_or_insert_default(), polled.started, at, health, settings.samples);
            }
            Data::Certificate(certificate) => source.certificate = Some((at, certificate.clone())),
            Data::Log(batch) => {
                let log = source.log.get_or_insert_with(LogState::begin);
                take_batch(log, batch, at);
            }
            Data::Issues(issues) => {
                let mut issues = issues.clone();
                if let Some((_, before)) = source.issues.as_mut().filter(|_| !collected.complete) {
                    keep_unseen(&mut issues, std::mem::take(before));
                }
                summary = Some(issues_summary(&issues));
                source.issues = Some((at, issues));
            }
            Data::Packages(packages) => {
                summary = Some(packages_summary(packages));
                take_packages(source, packages, collected.complete, at);
            }
            Data::Backup(backup) => {
                verdict = crate::rules::backups::verdict(backup, at);
                summary = Some(backup_summary(backup, at));
                source.backup = Some((at, backup.clone()));
            }
            Data::Life(lines) => {
                // Beside packages it is an extra: those are what the source is summed up by.
                summary = summary.or_else(|| Some(life_summary(lines, at)));
                source.life = Some((at, lines.clone()));
            }
            // These are read less often than the rest: each has its own time.
            Data::Release(releases) => source.releases = Some((observation.at, releases.clone())),
            Data::Crons(crons) => source.crons = Some((observation.at, crons.clone())),
            Data::Intake(intake) => source.intake = Some((observation.at, intake.clone())),
        }
    }
    if let Some(log) = &source.log {
        summary = Some(log_summary(log));
    }
    if let Some(summary) = summary {
        source.summary = summary;
    }
    let ever_seen = source.health.is_some()
        || source.certificate.is_some()
        || source.log.is_some()
        || source.issues.is_some()
        || source.packages.is_some()
        || source.backup.is_some()
        || source.life.is_some()
        || source.releases.is_some();
    if !ever_seen {
        // It answered, and said nothing yet: that is no reason to be green.
        if settings.one_pass {
            not_seen(source, at, &SourceError::nothing("nothing was read yet", "a longer `--timeout` gives it more time"), settings);
        }
        return;
    }
    set_error(source, at, error);
    if verdict != Verdict::Down {
        source.good_at = Some(at);
    }
    judge(source, at, verdict, settings.one_pass);
}

/// Status from the run of verdicts: `failures` bad ones in a row, `successes` good ones to recover.
fn judge(source: &mut SourceState, at: Timestamp, verdict: Verdict, one_pass: bool) {
    let failures = if one_pass { 1 } else { source.spec.failures.max(1) };
    let successes = if one_pass { 1 } else { source.spec.successes.max(1) };
    let before = source.status;
    let next = if verdict == Verdict::Down {
        if source.failing == 0 {
            source.failing_since = Some(at);
        }
        source.failing = source.failing.saturating_add(1);
        (source.passing, source.slow) = (0, 0);
        match before {
            Status::Paused | Status::Maintenance | Status::Down => before,
            _ if source.failing >= failures => Status::Down,
            _ => Status::Pending,
        }
    } else {
        source.passing = source.passing.saturating_add(1);
        source.slow = if verdict == Verdict::Degraded { source.slow.saturating_add(1) } else { 0 };
        let recovered = before != Status::Down || source.passing >= successes;
        if recovered {
            source.failing = 0;
            source.failing_since = None;
        }
        match (before, verdict) {
            (Status::Paused | Status::Maintenance, _) => before,
            (Status::Down, _) if !recovered => Status::Down,
            (_, Verdict::Degraded) if source.slow >= failures => Status::Degraded,
            (Status::Degraded, Verdict::Ok) if source.passing < successes => Status::Degraded,
            (Status::Degraded, Verdict::Degraded) => Status::Degraded,
            _ => Status::Ok,
        }
    };
    set_status(source, next, at);
}

fn not_seen(source: &mut SourceState, at: Timestamp, error: &SourceError, settings: Settings) {
    // Waiting does not mend these; what may pass by itself is retried first.
    let certain = matches!(error.kind, ErrorKind::Auth | ErrorKind::Config | ErrorKind::Missing | ErrorKind::Nothing);
    if source.failing == 0 {
        source.failing_since = Some(at);
    }
    source.failing = source.failing.saturating_add(1);
    source.passing = 0;
    set_error(source, at, Some(error.clone()));
    if source.summary.is_empty() {
        source.summary.clone_from(&error.message);
    }
    let status = match source.status {
        Status::Paused | Status::Maintenance => source.status,
        _ if certain || settings.one_pass || source.failing >= source.spec.failures.max(1) => Status::Unknown,
        Status::Unknown => Status::Unknown,
        _ => Status::Pending,
    };
    set_status(source, status, at);
}

fn set_status(source: &mut SourceState, status: Status, at: Timestamp) {
    if source.status != status || source.since.is_none() {
        source.since = Some(match status {
            Status::Down | Status::Unknown => source.failing_since.unwrap_or(at),
            _ => at,
        });
        source.status = status;
    }
    source.remembered = false;
}

/// What its age makes of a status: stale after two intervals and a timeout, unknown after ten.
#[must_use]
pub(super) fn aged(source: &SourceState, now: Timestamp) -> Status {
    let Some(checked) = source.checked_at else { return source.status };
    if matches!(source.status, Status::Paused | Status::Maintenance) {
        return source.status;
    }
    let age = crate::domain::time::since(checked, now);
    if age > unknown_after(source) {
        Status::Unknown
    } else if age > stale_after(source) {
        Status::Stale
    } else {
        source.status
    }
}

/// The age from which a source is not known any more.
#[must_use]
pub(super) fn unknown_after(source: &SourceState) -> Duration {
    source.spec.every.saturating_mul(10).max(Duration::from_secs(60)).max(stale_after(source)) + source.spec.timeout
}

/// The age from which a source is stale. A wait that was announced (`Retry-After`, a longer retry) is part of the interval.
#[must_use]
pub(super) fn stale_after(source: &SourceState) -> Duration {
    let announced = match (source.checked_at, source.next_at) {
        (Some(checked), Some(next)) => crate::domain::time::since(checked, next),
        _ => Duration::ZERO,
    };
    source.spec.every.saturating_mul(2).max(announced + source.spec.every).max(Duration::from_secs(2)) + source.spec.timeout
}

fn probe(state: &mut HealthState, started: Timestamp, at: Timestamp, health: &Health, keep: usize) {
    let failed = health.verdict == Verdict::Down;
    // What was not judged is no probe of an uptime: a gap, as when nobody looked.
    if !health.silenced {
        let sample = Sample { at: started, latency_ms: health.latency_ms.map(|ms| ms as f32), failed };
        if state.samples.back().is_none_or(|last| crate::domain::time::since(last.at, started) > SILENCE) {
            state.first = Some(started);
        }
        if state.samples.len() >= keep {
            state.samples.pop_front();
        }
        state.samples.push_back(sample);
        count(&mut state.hours, started, 3_600, HOURS, sample);
        count(&mut state.days, started, 86_400, DAYS, sample);
    }
    let kept = if failed { &mut state.last_bad } else { &mut state.last_good };
    *kept = Some((at, health.clone()));
    state.last = Some((at, health.clone()));
    if state.samples.len() <= FEW || state.figured_at.is_none_or(|then| (at - then).num_seconds() >= REFRESH) {
        figure(state, at);
    }
}

fn count(buckets: &mut std::collections::BTreeMap<i64, Bucket>, at: Timestamp, width: i64, keep: i64, sample: Sample) {
    let start = at.timestamp().div_euclid(width) * width;
    let bucket = buckets.entry(start).or_default();
    bucket.total += 1;
    bucket.failed += u64::from(sample.failed);
    if let Some(ms) = sample.latency_ms {
        bucket.latency.add(f64::from(ms));
    }
    while buckets.first_key_value().is_some_and(|(first, _)| *first < start - keep * width) {
        buckets.pop_first();
    }
}

/// The figures of all four windows.
fn figure(state: &mut HealthState, now: Timestamp) {
    state.figured_at = Some(now);
    let begin = now - chrono::Duration::hours(1);
    let mut hour = Bucket::default();
    for sample in state.samples.iter().rev().take_while(|sample| sample.at > begin) {
        hour.total += 1;
        hour.failed += u64::from(sample.failed);
        if let Some(ms) = sample.latency_ms {
            hour.latency.add(f64::from(ms));
        }
    }
    state.hour = window(&hour);
    let merged = |buckets: &std::collections::BTreeMap<i64, Bucket>, begin: i64| {
        let mut all = Bucket::default();
        for bucket in buckets.range(begin..).map(|(_, bucket)| bucket) {
            all.total += bucket.total;
            all.failed += bucket.failed;
            all.latency.merge(&bucket.latency);
        }
        window(&all)
    };
    let now = now.timestamp();
    state.day = merged(&state.hours, now - 86_400);
    state.week = merged(&state.days, now - 7 * 86_400);
    state.month = merged(&state.days, now - 30 * 86_400);
}

fn window(bucket: &Bucket) -> Option<Window> {
    let Bucket { latency, total, failed } = bucket;
    let q = |q| Histogram::quantile(latency, q);
    (*total > 0).then(|| Window { p50: q(0.5), p95: q(0.95), p99: q(0.99), uptime: 100.0 * (total - failed) as f64 / *total as f64, count: *total })
}

/// Takes in what the journal knows: counts of both are joined, for the journal's end where ours begin.
pub(super) fn history(source: &mut SourceState, history: &History, keep: usize, now: Timestamp) {
    let state = source.health.get_or_insert_default();
    let first = state.samples.front().map(|sample| sample.at);
    for sample in history.samples.iter().rev().filter(|sample| first.is_none_or(|first| sample.at < first)) {
        if state.samples.len() >= keep {
            break;
        }
        let near = state.samples.front().is_none_or(|next| crate::domain::time::since(sample.at, next.at) <= SILENCE);
        if near && state.first.is_none_or(|first| state.samples.front().is_none_or(|next| first >= next.at)) {
            state.first = Some(sample.at);
        }
        state.samples.push_front(*sample);
    }
    for (own, told) in [(&mut state.hours, &history.hours), (&mut state.days, &history.days)] {
        for (start, bucket) in told {
            // Each hour is counted by the journal or by this process, whichever saw more of it.
            let mine = own.entry(*start).or_default();
            if bucket.total > mine.total {
                *mine = bucket.clone();
            }
        }
    }
    figure(state, now);
}

fn take_batch(log: &mut LogState, batch: &LogBatch, at: Timestamp) {
    let first = log.watched_since.is_none();
    log.watched_since.get_or_insert(at);
    if batch.lines > 0 {
        // What was there before us was written when its file was.
        let before = batch.about.iter().filter_map(|file| file.modified).max();
        log.last_line = log.last_line.max(Some(if first { before.map_or(at, |before| before.min(at)) } else { at }));
    }
    if batch.files.len() >= log.files.len() {
        log.files.clone_from(&batch.files);
    }
    if !batch.format.is_empty() {
        log.format.clone_from(&batch.format);
    }
    log.lines += batch.lines;
    for (level, n) in &batch.levels {
        *log.levels.entry(*level).or_default() += n;
    }
    for (start, level, n) in &batch.minutes {
        log.minutes.entry(*start).or_default()[*level as usize] += n;
        log.hours.entry(start.div_euclid(3_600) * 3_600).or_default()[*level as usize] += n;
    }
    while log.hours.len() > LOG_HOURS {
        log.hours.pop_first();
    }
    take_requests(log, batch);
    while log.minutes.len() > LOG_MINUTES {
        log.minutes.pop_first();
    }
    for group in &batch.groups {
        match log.groups.get_mut(&group.fingerprint) {
            Some(known) => {
                known.count += group.count;
                known.last_seen = known.last_seen.max(group.last_seen);
                known.first_seen = known.first_seen.min(group.first_seen);
            }
            None => {
                if log.groups.len() >= LOG_GROUPS {
                    let oldest = log.groups.values().min_by_key(|g| g.last_seen).map(|g| g.fingerprint.clone());
                    if let Some(oldest) = oldest {
                        log.groups.remove(&oldest);
                    }
                }
                log.groups.insert(group.fingerprint.clone(), group.clone());
            }
        }
    }
    let next = log.first_seq + log.events.len() as u64;
    for mark in &batch.marks {
        log.marks.push_back((next, mark.clone()));
    }
    for event in &batch.events {
        if log.events.len() >= LOG_EVENTS {
            let old = log.events.pop_front();
            log.first_seq += 1;
            if let (Some(back), Some(old)) = (&mut log.back, old) {
                back.spill(old);
            }
        }
        log.newest = log.newest.max(Some(event.at));
        log.events.push_back(event.clone());
    }
    while log.marks.len() > LOG_EVENTS || log.marks.front().is_some_and(|(seq, _)| *seq < log.first_seq) {
        log.marks.pop_front();
    }
}

/// Requests and what is known of the files.
fn take_requests(log: &mut LogState, batch: &LogBatch) {
    log.limits = batch.limits;
    if !batch.about.is_empty() {
        log.about.clone_from(&batch.about);
    }
    let Some(access) = &batch.access else { return };
    for minute in &access.minutes {
        let known = log.access.entry(minute.start).or_default();
        known.start = minute.start;
        known.merge(minute);
    }
    while log.access.len() > LOG_MINUTES {
        log.access.pop_first();
    }
    for path in &access.paths {
        if log.paths.len() >= LOG_PATHS && !log.paths.contains_key(&path.path) {
            // The least asked for makes room, and begins anew should it come again.
            let fewest = log.paths.values().min_by_key(|known| known.statuses.iter().sum::<u64>()).map(|known| known.path.clone());
            fewest.map(|fewest| log.paths.remove(&fewest));
        }
        let known = log.paths.entry(path.path.clone()).or_default();
        known.path.clone_from(&path.path);
        for (into, count) in known.statuses.iter_mut().zip(path.statuses) {
            *into += count;
        }
        known.latency_ms.merge(&path.latency_ms);
    }
}

/// A list that was read in part takes nothing away: what it did not come to stays as it was known, unless it tells all ids there are.
fn keep_unseen(issues: &mut Issues, before: Issues) {
    use std::collections::HashSet;
    let listed: HashSet<String> = std::mem::take(&mut issues.ids).into_iter().collect();
    let fresh: HashSet<String> = issues.items.iter().map(|issue| issue.id.clone()).collect();
    let old = before.items.into_iter().filter(|issue| !fresh.contains(&issue.id) && (listed.is_empty() || listed.contains(&issue.id)));
    if issues.from > 0 {
        // What comes later in the list stands after what is known already.
        let later = std::mem::take(&mut issues.items);
        issues.items = old.take(ISSUES).collect();
        let room = ISSUES.saturating_sub(issues.items.len());
        issues.items.extend(later.into_iter().take(room));
        (issues.from, issues.total) = (0, issues.total.max(before.total));
    } else {
        let room = ISSUES.saturating_sub(issues.items.len());
        issues.items.extend(old.take(room));
    }
    if issues.saved.is_empty() {
        issues.saved = before.saved;
    }
}

fn issues_summary(issues: &Issues) -> String {
    let n = |state| issues.items.iter().filter(|issue| issue.state == state).count();
    let (new, back, more) = (n(IssueState::New), n(IssueState::Regressed), n(IssueState::Escalating));
    format!("{} issues: {new} new, {back} back, {more} escalating", issues.total.max(issues.items.len() as u64))
}

fn packages_summary(packages: &Packages) -> String {
    let vulnerable = packages.items.iter().filter(|p| !p.advisories.is_empty()).count();
    let outdated = packages.items.iter().filter(|p| p.outdated()).count();
    // Nobody said so is not the same as none.
    let is_known = packages.items.is_empty() || packages.items.iter().any(|package| package.audited || !package.advisories.is_empty());
    let vulnerable = if is_known { format!("{vulnerable} vulnerable") } else { "weaknesses not known".to_owned() };
    format!("{} packages: {vulnerable}, {outdated} outdated", packages.items.len())
}

fn life_summary(lines: &LifeLines, now: Timestamp) -> String {
    let today = now.date_naive();
    let ended: Vec<String> = lines.items.iter().filter(|line| line.phase(today) == Phase::Ended).map(LifeLine::title).collect();
    match ended.as_slice() {
        [] => format!("{} releases, all supported", lines.items.len()),
        [one] => format!("{one} has ended"),
        [one, more @ ..] => format!("{one} and {} more have ended", more.len()),
    }
}

fn backup_summary(backup: &Backup, now: Timestamp) -> String {
    let age =
        backup.last_success.map_or_else(|| "no good copy".to_owned(), |at| format!("{} old", crate::domain::time::human(crate::domain::time::since(at, now))));
    match backup.complaints.first() {
        Some(complaint) => format!("{age}, {complaint}"),
        None => format!("{age}, {} copies", backup.snapshots),
    }
}

/// A part answer brings news of some packages and leaves the others as they were; a whole one replaces them.
fn take_packages(source: &mut SourceState, packages: &Packages, complete: bool, at: Timestamp) {
    let care = |packages: &Packages| -> Vec<(String, Option<crate::domain::Bump>, usize)> {
        packages.items.iter().filter(|p| p.outdated() || !p.advisories.is_empty()).map(|p| (p.name.clone(), p.bump, p.advisories.len())).collect()
    };
    let mut next = packages.clone();
    if !complete && let Some((_, known)) = &source.packages {
        for item in &mut next.items {
            // The index gave no answer for it this time: what it said last stays, with the reason beside it.
            if item.problem.is_some()
                && item.latest.is_none()
                && let Some(old) = known.items.iter().find(|old| old.name == item.name)
            {
                let problem = item.problem.take();
                let (installed, locked) = (item.installed.take(), item.locked.take());
                *item = old.clone();
                (item.problem, item.installed, item.locked) = (problem, installed, locked);
            }
        }
    }
    let same = source.packages.as_ref().is_some_and(|(_, known)| care(known) == care(&next));
    if !same || source.packages_since.is_none() {
        source.packages_since = Some(at);
    }
    source.packages = Some((at, next));
}

fn log_summary(log: &LogState) -> String {
    use crate::domain::Level;
    let n = |level| log.levels.get(&level).copied().unwrap_or(0);
    format!("{} lines, {} errors, {} warnings", log.lines, n(Level::Error) + n(Level::Critical), n(Level::Warning))
}
