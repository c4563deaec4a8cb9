//! Is a log bursting with errors?

use super::{Answer, Context, Rule, finding};
use crate::domain::{Block, Level, LogGroup, Severity, Term, Timestamp};
use crate::state::{LogState, SourceState};

/// Fewer errors than this in a minute are no burst.
const LEAST: f64 = 10.0;
/// A burst is this many times the rate before.
const TIMES: f64 = 5.0;
/// Minutes before the last one that the rate is compared with.
const BEFORE_MINUTES: i64 = 60;
/// The same hour of so many earlier days is looked at, and so many of them must be known.
const DAYS: i64 = 7;
const KNOWN_DAYS: usize = 3;
/// Where they are known a burst is this many times their mean as well.
const TIMES_THEN: f64 = 3.0;
/// From this share of all events on, a burst is critical.
const CRITICAL_SHARE: f64 = 0.2;
/// What burns goes out below this part of what lit it: a rate that stands at a limit would flicker.
const OUT: f64 = 0.7;

/// Errors of the last minute against the hour before.
#[derive(Debug)]
pub struct Burst;

/// Rates in events a minute.
struct Rates {
    now: f64,
    all_now: f64,
    before: Option<f64>,
    since: Timestamp,
}

/// The last sixty seconds by sliding between two minute counts, and the mean of the minutes before.
fn rates(log: &LogState, now: Timestamp, began: Option<Timestamp>) -> Option<Rates> {
    let minute = now.timestamp().div_euclid(60) * 60;
    let share = 1.0 - (now.timestamp() - minute) as f64 / 60.0;
    let errors = |counts: &[u64; 5]| (counts[Level::Error as usize] + counts[Level::Critical as usize]) as f64;
    let at = |start: i64| log.minutes.get(&start).copied().unwrap_or_default();
    let all = |counts: &[u64; 5]| counts.iter().sum::<u64>() as f64;
    let (current, previous) = (at(minute), at(minute - 60));
    let first = *log.minutes.keys().next()?;
    // While it burns it is compared with the time before it began, else a steady fire would become its own measure.
    let end = began.map_or(minute - 60, |began| (began.timestamp().div_euclid(60) * 60).min(minute - 60));
    let begin = (end - BEFORE_MINUTES * 60).max(first);
    let minutes = (end - begin) / 60;
    let before = (minutes > 0).then(|| log.minutes.range(begin..end).map(|(_, counts)| errors(counts)).sum::<f64>() / minutes as f64);
    // The burst began with the first of the latest minutes that each hold enough errors.
    let mut since = minute;
    while errors(&at(since - 60)) >= LEAST {
        since -= 60;
    }
    let since = if errors(&at(since)) >= LEAST || since < minute { since } else { minute - 60 };
    let since = log.events.iter().rev().filter(|e| e.level.is_error()).take_while(|e| e.at.timestamp() >= since).last().map(|e| e.at);
    Some(Rates { now: errors(&current) + errors(&previous) * share, all_now: all(&current) + all(&previous) * share, before, since: since.unwrap_or(now) })
}

/// Errors a minute in this hour of earlier days, and how many days that is of. What was read since the start tells it, else the error book,
/// which outlives us. A day on which nothing at all was read is not known.
fn same_hour(source: &SourceState, log: &LogState, now: Timestamp) -> (f64, usize) {
    let hour = now.timestamp().div_euclid(3_600) * 3_600;
    let read = |hour: i64| log.hours.get(&hour).map(|c| c[Level::Error as usize] + c[Level::Critical as usize]);
    let counts: Vec<u64> = (1..=DAYS).map(|day| hour - day * 86_400).filter_map(|hour| read(hour).or_else(|| source.book.errors_in_hour(hour))).collect();
    let mean = if counts.is_empty() { 0.0 } else { counts.iter().sum::<u64>() as f64 / counts.len() as f64 / 60.0 };
    (mean, counts.len())
}

/// The group that most of the last minute's errors belong to, by the events still in memory.
fn leading(log: &LogState, now: Timestamp) -> Option<(&LogGroup, f64)> {
    let begin = now - chrono::Duration::seconds(60);
    let mut counts = std::collections::BTreeMap::<&str, u32>::new();
    let mut total = 0u32;
    for event in log.events.iter().rev().take_while(|e| e.at >= begin).filter(|e| e.level.is_error()) {
        total += 1;
        if let Some(fingerprint) = &event.fingerprint {
            *counts.entry(fingerprint).or_default() += 1;
        }
    }
    // A traceback says more than the line that announces it.
    let (fingerprint, count) = counts.into_iter().max_by_key(|(fingerprint, n)| (*n, log.groups.get(*fingerprint).is_some_and(|g| !g.culprit.is_empty())))?;
    log.groups.get(fingerprint).map(|group| (group, f64::from(count) / f64::from(total.max(1))))
}

impl Rule for Burst {
    fn id(&self) -> &'static str {
        "burst"
    }

    fn words(&self) -> &'static str {
        "errors of the last minute: at least 10, five times the mean of the hour before, and where known three times the same hour of earlier days; critical when a fifth of all events are errors; over below seven tenths of each"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(log) = &source.log else { return Answer::Ok(Vec::new()) };
        let began = context.world.findings.iter().find(|f| f.source == source.spec.id && f.id.rule() == self.id()).map(|f| f.since);
        let Some(rates) = rates(log, context.now, began) else { return Answer::NotYet(vec![Term::new("events", "0", "nothing was read yet")]) };
        let before = rates.before.unwrap_or(0.0);
        let share = if rates.all_now > 0.0 { rates.now / rates.all_now } else { 0.0 };
        let terms = vec![
            Term::new("errors in the last minute", format!("{:.0}", rates.now), format!("a burst from {LEAST:.0} on")),
            match rates.before {
                Some(before) => Term::new("a minute in the hour before", format!("{before:.1}"), format!("a burst from {TIMES:.0} times that on")),
                None => Term::new("a minute in the hour before", "?", "the log does not reach back far enough; counted as none"),
            },
            Term::new("share of all events", format!("{:.0} %", share * 100.0), format!("critical from {:.0} % on", CRITICAL_SHARE * 100.0)),
        ];
        let (then, days) = same_hour(source, log, context.now);
        let mut terms = terms;
        terms.push(if days >= KNOWN_DAYS {
            Term::new("a minute in this hour of earlier days", format!("{then:.1}"), format!("of {days} days; a burst from {TIMES_THEN:.0} times that on"))
        } else {
            Term::new("this hour of earlier days", "not yet", format!("{days} days known, looked at from {KNOWN_DAYS} on"))
        });
        let before_it = context.world.findings.iter().find(|f| f.source == source.spec.id && f.id.rule() == self.id()).map(|f| f.severity);
        let part = if before_it.is_some() { OUT } else { 1.0 };
        let usual = days >= KNOWN_DAYS && rates.now < then * TIMES_THEN * part;
        if rates.now < LEAST * part || rates.now < before * TIMES * part || usual {
            return Answer::Ok(terms);
        }
        let critical = CRITICAL_SHARE * if before_it == Some(Severity::Critical) { OUT } else { 1.0 };
        let severity = if share >= critical { Severity::Critical } else { Severity::Warning };
        let rate = format!("{:.0} a minute", rates.now);
        let leader = leading(log, context.now);
        let title = match leader {
            Some((group, part)) if part >= 0.5 => format!("{}: {rate}", group.title),
            _ => format!("Errors in {}: {rate}", source.spec.title),
        };
        let mut found = finding(&source.spec.id, self.id(), severity, rates.since, title);
        found.detail = match rates.before {
            Some(before) => format!("{rate}, {before:.1} in the hour before"),
            None => rate,
        };
        found.evidence = leader.map(|(group, _)| group.fingerprint.clone()).unwrap_or_default();
        found.explanation = terms;
        found.runbook.clone_from(&source.spec.runbook);
        let mut lines = vec![format!("{}; {:.0} % of all events", found.detail, share * 100.0)];
        let mut groups: Vec<&LogGroup> = log.groups.values().filter(|g| context.now - g.last_seen < chrono::Duration::seconds(120)).collect();
        groups.sort_by_key(|g| std::cmp::Reverse(g.count));
        for group in groups.iter().take(4) {
            let place = if group.culprit.is_empty() { String::new() } else { format!("  {}", group.culprit) };
            lines.push(format!("{:>6}  {}{place}", group.count, group.title));
        }
        found.blocks = vec![Block::Sentences(lines)];
        if let Some(example) = log.events.iter().rev().find(|e| e.level.is_error() && !e.detail.is_empty()) {
            let keep = example.detail.len().saturating_sub(8);
            found.blocks.push(Block::Evidence(example.detail[keep..].to_vec()));
        }
        Answer::Firing(vec![found])
    }
}
