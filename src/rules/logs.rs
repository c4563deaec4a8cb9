//! What logs tell of themselves and of the requests in them: too many 5xx, slow answers, silence, a disk that fills, files that never
//! rotate. Bursts of errors are a question of their own (`errors`).

use std::time::Duration;

use super::{Answer, Context, Rule, finding};
use crate::domain::time::{human, millis_text, since};
use crate::domain::{AccessMinute, Block, LogFile, Severity, Term, Timestamp, size_text};
use crate::state::{LogState, SourceState};

/// Minutes that requests are judged by, the current one with them.
const MINUTES: i64 = 5;
/// Fewer requests than this in the window are not judged.
const ENOUGH: u64 = 20;
/// How much of its rhythm must be known before a log's silence means something.
const RHYTHM: i64 = 86_400;
/// A log is silent after five times its longest pause, and never before ten minutes.
const PAUSES: i64 = 5;
const PATIENCE: i64 = 600;
/// Days until the disk is full, for a warning and for critical.
const FULL_WARNING: f64 = 7.0;
const FULL_CRITICAL: f64 = 1.0;
/// A shorter growth than this says nothing of a day.
const GROWTH: f64 = 3_600.0;
/// A file that never rotates and is this large is a warning; this old and a quarter as large it is worth knowing.
const LARGE: u64 = 1 << 30;
const OLD_DAYS: i64 = 90;

/// 5xx of all requests of the last minutes against `expect.errors`.
#[derive(Debug)]
pub struct ErrorShare;

/// The 95th percentile of the last minutes against `expect.latency`.
#[derive(Debug)]
pub struct SlowRequests;

/// A log that fell silent, against its own rhythm or `silence`.
#[derive(Debug)]
pub struct Silent;

/// A log that grows past its disk.
#[derive(Debug)]
pub struct Filling;

/// Files that nobody rotates.
#[derive(Debug)]
pub struct Unrotated;

/// The requests of the last minutes, in one.
#[must_use]
pub fn recent(log: &LogState, now: Timestamp) -> AccessMinute {
    let from = now.timestamp().div_euclid(60) * 60 - (MINUTES - 1) * 60;
    let mut all = AccessMinute { start: from, ..AccessMinute::default() };
    for minute in log.access.range(from..=now.timestamp()).map(|(_, minute)| minute) {
        all.merge(minute);
    }
    all
}

/// How many minutes [`recent`] is about: fewer for a log that was begun since, and the current one in part.
#[must_use]
pub fn span(log: &LogState, now: Timestamp) -> f64 {
    let from = now.timestamp().div_euclid(60) * 60 - (MINUTES - 1) * 60;
    let first = log.access.keys().next().copied().unwrap_or(from).max(from);
    ((now.timestamp() - first) as f64 / 60.0).clamp(1.0, MINUTES as f64)
}

/// The first of the latest minutes that are each as bad as `bad` says.
fn began(log: &LogState, now: Timestamp, bad: impl Fn(&AccessMinute) -> bool) -> Timestamp {
    let minutes = log.access.range(..=now.timestamp()).rev();
    let first = minutes.take_while(|(_, minute)| minute.requests() == 0 || bad(minute)).last().map(|(start, _)| *start);
    first.and_then(|start| Timestamp::from_timestamp(start, 0)).unwrap_or(now)
}

/// The paths that `rank` puts first, as lines.
fn paths(log: &LogState, rank: impl Fn(&crate::domain::AccessPath) -> f64) -> Vec<String> {
    let mut all: Vec<_> = log.paths.values().map(|path| (rank(path), path)).filter(|(rank, _)| *rank > 0.0).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let line = |path: &crate::domain::AccessPath| {
        let p95 = path.latency_ms.quantile(0.95).map_or_else(String::new, |ms| format!(", p95 {}", millis_text(ms)));
        let requests: u64 = path.statuses.iter().sum();
        format!("{}: {} of {requests} failed{p95}", if path.path.is_empty() { "(no path)" } else { &path.path }, path.statuses[4])
    };
    all.into_iter().take(5).map(|(_, path)| line(path)).collect()
}

fn severity(value: f64, (warning, critical): (Option<f64>, Option<f64>)) -> Option<(Severity, f64)> {
    match (warning, critical) {
        (_, Some(critical)) if value > critical => Some((Severity::Critical, critical)),
        (Some(warning), _) if value > warning => Some((Severity::Warning, warning)),
        _ => None,
    }
}

impl Rule for ErrorShare {
    fn id(&self) -> &'static str {
        "error-share"
    }

    fn words(&self) -> &'static str {
        "5xx of all requests of the last 5 minutes in an access log, from 20 requests on, against `expect.errors`"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(log) = &source.log else { return Answer::Ok(Vec::new()) };
        let Some(limits) = log.limits.map(|limits| limits.errors).filter(|(warning, critical)| warning.is_some() || critical.is_some()) else {
            return Answer::Ok(Vec::new());
        };
        let window = recent(log, context.now);
        let (requests, failed) = (window.requests(), window.statuses[4]);
        let share = if requests == 0 { 0.0 } else { failed as f64 / requests as f64 };
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let mut terms = vec![
            Term::new("requests in 5 minutes", requests.to_string(), format!("judged from {ENOUGH} on")),
            Term::new("5xx of them", failed.to_string(), percent(share)),
        ];
        terms.extend(limits.0.map(|limit| Term::new("warning over", percent(limit), "expect.errors.warning")));
        terms.extend(limits.1.map(|limit| Term::new("critical over", percent(limit), "expect.errors.critical")));
        if requests < ENOUGH {
            return Answer::NotYet(terms);
        }
        let Some((severity, limit)) = severity(share, limits) else { return Answer::Ok(terms) };
        let over = |minute: &AccessMinute| minute.statuses[4] as f64 > limit * minute.requests() as f64;
        let title = format!("{} of the requests in {} fail", percent(share), source.spec.title);
        let mut found = finding(&source.spec.id, self.id(), severity, began(log, context.now, over), title);
        found.detail = format!("{failed} of {requests} in 5 minutes, over {}", percent(limit));
        found.explanation = terms;
        found.runbook.clone_from(&source.spec.runbook);
        found.blocks = vec![Block::Sentences(vec![found.detail.clone()]), Block::Evidence(paths(log, |path| path.statuses[4] as f64))];
        Answer::Firing(vec![found])
    }
}

impl Rule for SlowRequests {
    fn id(&self) -> &'static str {
        "slow-requests"
    }

    fn words(&self) -> &'static str {
        "p95 of the durations of the last 5 minutes in an access log, from 20 on, against `expect.latency`"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(log) = &source.log else { return Answer::Ok(Vec::new()) };
        let Some(limits) = log.limits.map(|limits| limits.p95_ms).filter(|(warning, critical)| warning.is_some() || critical.is_some()) else {
            return Answer::Ok(Vec::new());
        };
        let window = recent(log, context.now);
        let count = window.latency_ms.count();
        let mut terms = vec![Term::new("durations in 5 minutes", count.to_string(), format!("judged from {ENOUGH} on"))];
        let Some(p95) = window.latency_ms.quantile(0.95) else { return Answer::NotYet(terms) };
        terms.push(Term::new("p95", millis_text(p95), "of the merged minutes"));
        terms.extend(limits.0.map(|limit| Term::new("warning over", millis_text(limit), "expect.latency.warning")));
        terms.extend(limits.1.map(|limit| Term::new("critical over", millis_text(limit), "expect.latency.critical")));
        if count < ENOUGH {
            return Answer::NotYet(terms);
        }
        let Some((severity, limit)) = severity(p95, limits) else { return Answer::Ok(terms) };
        let over = |minute: &AccessMinute| minute.latency_ms.quantile(0.95).is_none_or(|p95| p95 > limit);
        let title = format!("p95 {} in {}", millis_text(p95), source.spec.title);
        let mut found = finding(&source.spec.id, self.id(), severity, began(log, context.now, over), title);
        found.detail = format!("of {count} requests in 5 minutes, over {}", millis_text(limit));
        found.explanation = terms;
        found.runbook.clone_from(&source.spec.runbook);
        let slowest = paths(log, |path| path.latency_ms.quantile(0.95).unwrap_or_default());
        found.blocks = vec![Block::Sentences(vec![found.detail.clone()]), Block::Evidence(slowest)];
        Answer::Firing(vec![found])
    }
}

/// The longest pause between minutes with events, in seconds, and how long the rhythm is known.
fn rhythm(log: &LogState) -> Option<(i64, i64)> {
    let (first, last) = (*log.minutes.keys().next()?, *log.minutes.keys().next_back()?);
    let longest = log.minutes.keys().zip(log.minutes.keys().skip(1)).map(|(before, after)| after - before).max().unwrap_or(0);
    Some((longest, last - first))
}

impl Rule for Silent {
    fn id(&self) -> &'static str {
        "silent"
    }

    fn words(&self) -> &'static str {
        "time since the last line against `silence`; without it against five times the longest pause of a day, at least 10 minutes"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(log) = &source.log else { return Answer::Ok(Vec::new()) };
        let Some(last) = log.last_line.or(log.newest) else {
            return match log.limits.and_then(|limits| limits.silence_s) {
                // Nothing was ever written: since we look it has been silent.
                Some(_) if log.watched_since.is_some() => self.judge(source, log, log.watched_since.unwrap_or(context.now), context.now),
                _ => Answer::NotYet(vec![Term::new("lines", "0", "nothing was read yet")]),
            };
        };
        self.judge(source, log, last, context.now)
    }
}

impl Silent {
    fn judge(&self, source: &SourceState, log: &LogState, last: Timestamp, now: Timestamp) -> Answer {
        let quiet = since(last, now);
        let mut terms = vec![Term::new("last line", format!("{} ago", human(quiet)), "")];
        let limit = if let Some(limit) = log.limits.and_then(|limits| limits.silence_s) {
            terms.push(Term::new("silent after", human(Duration::from_secs(limit)), "silence"));
            Duration::from_secs(limit)
        } else {
            let Some((longest, known)) = rhythm(log) else { return Answer::NotYet(terms) };
            let seconds = |s: i64| Duration::from_secs(s.max(0).cast_unsigned());
            terms.push(Term::new("longest pause", human(seconds(longest)), format!("in {} of this log", human(seconds(known)))));
            if known < RHYTHM {
                terms.push(Term::new("rhythm", "not yet", format!("judged once {} are known; `silence` judges at once", human(seconds(RHYTHM)))));
                return Answer::NotYet(terms);
            }
            let limit = seconds((longest * PAUSES).max(PATIENCE));
            terms.push(Term::new("silent after", human(limit), format!("{PAUSES} times that, at least {}", human(seconds(PATIENCE)))));
            limit
        };
        if quiet <= limit {
            return Answer::Ok(terms);
        }
        let title = format!("{} fell silent: no line for {}", source.spec.title, human(quiet));
        let mut found = finding(&source.spec.id, self.id(), Severity::Warning, last, title);
        found.detail = format!("expected one within {}", human(limit));
        found.blocks = vec![Block::Sentences(vec![
            format!("the last line came {} ago; it counts as silent after {}", human(quiet), human(limit)),
            "a program that hangs, that lost its log file to a rotation, or whose disk is full writes nothing".to_owned(),
        ])];
        found.explanation = terms;
        found.runbook.clone_from(&source.spec.runbook);
        Answer::Firing(vec![found])
    }
}

fn name(log: &LogState, file: &LogFile) -> String {
    log.files.get(usize::from(file.file)).cloned().unwrap_or_default()
}

/// Bytes a day, from the first line of a file to its last.
fn growth(file: &LogFile) -> Option<f64> {
    let seconds = since(file.begins?, file.modified?).as_secs_f64();
    (seconds >= GROWTH).then(|| file.size_bytes as f64 * 86_400.0 / seconds)
}

impl Rule for Filling {
    fn id(&self) -> &'static str {
        "disk"
    }

    fn words(&self) -> &'static str {
        "free bytes of the log's file system by its growth a day: a warning when full within 7 days, critical within one"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(log) = source.log.as_ref().filter(|log| !log.about.is_empty()) else { return Answer::Ok(Vec::new()) };
        // What rotates gives its room back; what it keeps is not known, so its growth is not held against it.
        let growing = log.about.iter().filter(|file| !file.rotates).filter_map(|file| Some((growth(file)?, file.free_bytes?, file)));
        let Some((rate, free, file)) = growing.max_by(|a, b| (a.0 / (a.1 as f64 + 1.0)).total_cmp(&(b.0 / (b.1 as f64 + 1.0)))) else {
            return Answer::Ok(Vec::new());
        };
        let days = free as f64 / rate.max(1.0);
        let a_day = format!("{} a day", size_text(rate as u64));
        let terms = vec![
            Term::new("growth", a_day.clone(), name(log, file)),
            Term::new("free", size_text(free), file.total_bytes.map_or_else(String::new, |total| format!("of {}", size_text(total)))),
            Term::new(
                "full in",
                if days > 3_650.0 { "years".to_owned() } else { format!("{days:.1} days") },
                format!("a warning within {FULL_WARNING:.0}, critical within {FULL_CRITICAL:.0}"),
            ),
        ];
        if days > FULL_WARNING {
            return Answer::Ok(terms);
        }
        let severity = if days <= FULL_CRITICAL { Severity::Critical } else { Severity::Warning };
        let title = format!("{} fills its disk in {}", source.spec.title, human(Duration::from_secs_f64((days * 86_400.0).max(60.0))));
        let mut found = finding(&source.spec.id, self.id(), severity, context.now, title);
        found.due = context.now.checked_add_signed(chrono::Duration::seconds((days * 86_400.0) as i64));
        found.detail = format!("{a_day}, {} free", size_text(free));
        found.evidence = name(log, file);
        found.explanation = terms;
        found.blocks = vec![Block::Sentences(vec![format!("{}: {}", name(log, file), found.detail), "rotate it (logrotate), or log less".to_owned()])];
        found.runbook.clone_from(&source.spec.runbook);
        Answer::Firing(vec![found])
    }
}

impl Rule for Unrotated {
    fn id(&self) -> &'static str {
        "unrotated"
    }

    fn words(&self) -> &'static str {
        "files without a rotated neighbour: a warning from `max_size` (1 GiB) on, worth knowing from 90 days and a quarter of that on"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(log) = source.log.as_ref().filter(|log| !log.about.is_empty()) else { return Answer::Ok(Vec::new()) };
        let limit = log.limits.and_then(|limits| limits.size_bytes).unwrap_or(LARGE);
        let age_days = |file: &LogFile| file.begins.map_or(0, |begins| (context.now - begins).num_days());
        let large = |file: &&LogFile| file.size_bytes >= limit;
        let old = |file: &&LogFile| age_days(file) >= OLD_DAYS && file.size_bytes >= limit / 4;
        let mut files: Vec<&LogFile> = log.about.iter().filter(|file| !file.rotates).filter(|file| large(file) || old(file)).collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.size_bytes));
        let unrotated = log.about.iter().filter(|file| !file.rotates);
        let largest = unrotated.clone().map(|file| file.size_bytes).max().unwrap_or(0);
        let mut terms = vec![
            Term::new("files that never rotate", unrotated.count().to_string(), format!("of {}", log.about.len())),
            Term::new("largest of them", size_text(largest), format!("a warning from {} on", size_text(limit))),
        ];
        let Some(first) = files.first() else { return Answer::Ok(terms) };
        let say = |file: &LogFile| {
            let age = age_days(file);
            let age = if age > 0 { format!(", {age} days old") } else { String::new() };
            format!("{}: {}{age}, nothing rotated beside it", name(log, file), size_text(file.size_bytes))
        };
        terms.push(Term::new("age", format!("{} days", age_days(first)), format!("worth knowing from {OLD_DAYS} on")));
        let severity = if files.iter().any(large) { Severity::Warning } else { Severity::Info };
        let title = match files.len() {
            1 => format!("{} is {} and never rotates", name(log, first), size_text(first.size_bytes)),
            n => format!("{n} files of {} never rotate", source.spec.title),
        };
        let mut found = finding(&source.spec.id, self.id(), severity, context.now, title);
        found.detail = say(first);
        found.explanation = terms;
        found.blocks = vec![Block::Sentences(files.iter().take(8).map(|file| say(file)).collect())];
        found.runbook.clone_from(&source.spec.runbook);
        Answer::Firing(vec![found])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AccessPath, Capability, LogLimits, SourceId};
    use crate::sources::SourceSpec;
    use crate::state::World;

    const NOW: i64 = 1_795_144_320;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(NOW + seconds, 0).unwrap()
    }

    fn source(log: LogState) -> SourceState {
        let id = SourceId::parse("shop/log/access").unwrap();
        let spec = SourceSpec {
            title: "access".into(),
            capability: Capability::Log,
            every: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            retry_every: Duration::from_secs(2),
            failures: 1,
            successes: 1,
            enabled: true,
            continuous: true,
            runbook: None,
            needs: vec![],
            target: String::new(),
            id,
        };
        SourceState { log: Some(log), ..SourceState::new(spec) }
    }

    fn ask(rule: &dyn Rule, log: LogState) -> Answer {
        let world = World::default();
        rule.evaluate(&source(log), Context { world: &world, now: at(0) })
    }

    fn only(answer: Answer) -> crate::domain::Finding {
        match answer {
            Answer::Firing(mut found) if found.len() == 1 => found.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// Ten minutes of requests, the last three of them bad.
    fn requests(limits: LogLimits) -> LogState {
        let mut log = LogState { limits: Some(limits), ..LogState::default() };
        for n in 0..10 {
            let bad = n < 3;
            let start = NOW - n * 60;
            let mut minute = AccessMinute { start, statuses: [0, 90, 0, 0, if bad { 10 } else { 0 }], ..AccessMinute::default() };
            for _ in 0..100 {
                minute.latency_ms.add(if bad { 3_000.0 } else { 50.0 });
            }
            log.access.insert(start, minute);
        }
        let path = AccessPath { path: "/basket/".into(), statuses: [0, 70, 0, 0, 30], ..AccessPath::default() };
        log.paths.insert(path.path.clone(), path);
        log
    }

    #[test]
    fn requests_that_fail_or_are_slow_are_findings_where_limits_are_set() {
        let none = LogLimits::default();
        assert_eq!(ask(&ErrorShare, requests(none)), Answer::Ok(vec![]));
        assert_eq!(ask(&SlowRequests, requests(none)), Answer::Ok(vec![]));
        let found = only(ask(&ErrorShare, requests(LogLimits { errors: (Some(0.01), Some(0.05)), ..none })));
        assert_eq!((found.severity, found.title.as_str(), found.since), (Severity::Critical, "6.2 % of the requests in access fail", at(-120)));
        assert!(format!("{:?}", found.blocks).contains("/basket/: 30 of 100 failed"));
        let found = only(ask(&SlowRequests, requests(LogLimits { p95_ms: (Some(500.0), None), ..none })));
        assert_eq!((found.severity, found.since), (Severity::Warning, at(-120)));
        assert!(matches!(ask(&ErrorShare, requests(LogLimits { errors: (Some(0.5), None), ..none })), Answer::Ok(_)));
        // Too few to say.
        let mut few = requests(LogLimits { errors: (Some(0.01), None), ..none });
        few.access.retain(|start, _| *start == NOW - 600);
        assert!(matches!(ask(&ErrorShare, few), Answer::NotYet(_)));
    }

    #[test]
    fn silence_is_judged_by_its_limit_or_by_a_day_of_rhythm() {
        let quiet = |minutes: i64, limit: Option<u64>, known: i64| {
            let mut log =
                LogState { last_line: Some(at(-minutes * 60)), limits: Some(LogLimits { silence_s: limit, ..LogLimits::default() }), ..LogState::default() };
            for n in 0..known {
                log.minutes.insert(NOW - minutes * 60 - n * 240, [0, 1, 0, 0, 0]);
            }
            ask(&Silent, log)
        };
        assert!(matches!(quiet(14, Some(900), 0), Answer::Ok(_)));
        let found = only(quiet(16, Some(900), 0));
        assert_eq!((found.title.as_str(), found.since), ("access fell silent: no line for 16 m", at(-16 * 60)));
        assert!(matches!(quiet(600, None, 100), Answer::NotYet(_)));
        assert!(matches!(quiet(19, None, 400), Answer::Ok(_)));
        assert_eq!(only(quiet(21, None, 400)).severity, Severity::Warning);
    }

    fn file(size_bytes: u64, days: i64, free: u64, rotates: bool) -> LogState {
        let about = LogFile {
            size_bytes,
            begins: Some(at(-days * 86_400)),
            modified: Some(at(0)),
            free_bytes: Some(free),
            total_bytes: Some(100 << 30),
            rotates,
            ..LogFile::default()
        };
        LogState { files: vec!["/var/log/x.log".into()], about: vec![about], ..LogState::default() }
    }

    #[test]
    fn a_log_that_fills_its_disk_says_when() {
        // Ten GiB in ten days, five left.
        let found = only(ask(&Filling, file(10 << 30, 10, 5 << 30, false)));
        assert_eq!((found.severity, found.title.as_str()), (Severity::Warning, "access fills its disk in 5 d"));
        assert_eq!(found.due.unwrap().timestamp(), NOW + 5 * 86_400);
        assert_eq!(only(ask(&Filling, file(10 << 30, 10, 1 << 29, false))).severity, Severity::Critical);
        assert!(matches!(ask(&Filling, file(10 << 30, 10, 50 << 30, false)), Answer::Ok(_)));
        assert!(matches!(ask(&Filling, file(10 << 30, 10, 1 << 20, true)), Answer::Ok(_)));
        assert!(matches!(ask(&Filling, LogState::default()), Answer::Ok(_)));
    }

    #[test]
    fn files_that_never_rotate_are_told_by_size_and_age() {
        assert_eq!(only(ask(&Unrotated, file(2 << 30, 10, 1 << 40, false))).severity, Severity::Warning);
        assert_eq!(only(ask(&Unrotated, file(300 << 20, 120, 1 << 40, false))).severity, Severity::Info);
        assert!(matches!(ask(&Unrotated, file(300 << 20, 10, 1 << 40, false)), Answer::Ok(_)));
        assert!(matches!(ask(&Unrotated, file(2 << 30, 10, 1 << 40, true)), Answer::Ok(_)));
    }
}
