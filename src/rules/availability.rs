//! Does it answer as expected? And if we could not look: why not?

use super::{Answer, Context, Rule, finding, time_to_judgement};
use crate::domain::time::{duration_text, human, millis_text};
use crate::domain::{Block, Capability, Severity, Status, Term};
use crate::state::SourceState;

/// Down is critical; not known is unknown.
#[derive(Debug)]
pub struct Availability;

impl Rule for Availability {
    fn id(&self) -> &'static str {
        "availability"
    }

    fn words(&self) -> &'static str {
        "critical after `failures` bad probes in a row, over after `successes` good ones; unknown when we could not look"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let spec = &source.spec;
        let since = source.failing_since.or(source.since).unwrap_or(context.now);
        let mut terms = terms(source);
        if let Some(needed) = missing_need(source, context) {
            terms.push(Term::new("needs", needed, "which is not well; this one is not judged meanwhile"));
            return Answer::NotYet(terms);
        }
        match source.status {
            // A late or odd backup has a rule of its own.
            Status::Down if source.health.is_none() => Answer::Ok(terms),
            Status::Down => {
                let title = down_title(source);
                let mut found = finding(&spec.id, self.id(), Severity::Critical, since, title);
                found.detail = if source.passing > 0 {
                    format!("answers again: {} of {} good probes", source.passing, spec.successes)
                } else {
                    format!("{}, {} in a row", source.summary, times(source.failing))
                };
                found.evidence = evidence(source);
                found.explanation = terms;
                found.runbook.clone_from(&spec.runbook);
                found.blocks = vec![Block::Sentences(sentences(source))];
                Answer::Firing(vec![found])
            }
            Status::Unknown => {
                let Some(error) = &source.error else { return Answer::NotYet(terms) };
                let since = source.error_since.unwrap_or(since);
                let mut found = finding(&spec.id, self.id(), Severity::Unknown, since, format!("{} not known: {}", subject(source), error.message));
                found.detail = error.remedy.clone();
                found.evidence = error.kind.word().to_owned();
                found.explanation = terms;
                found.runbook.clone_from(&spec.runbook);
                let mut lines = vec![format!("We could not look: {}", error.message), error.remedy.clone()];
                lines.extend(source.problems.iter().take(3).cloned());
                found.blocks = vec![Block::Sentences(lines)];
                Answer::Firing(vec![found])
            }
            Status::Pending => Answer::NotYet(terms),
            Status::Ok | Status::Degraded | Status::Stale | Status::Paused | Status::Maintenance => Answer::Ok(terms),
        }
    }
}

/// A source of the same site that this one needs and that is down or not known: one outage is one finding.
fn missing_need(source: &SourceState, context: Context<'_>) -> Option<String> {
    let site = source.spec.id.site();
    let known = source.spec.needs.iter().find(|need| {
        let needed = context.world.sources.values().find(|s| s.spec.id.site() == site && s.spec.id.within_site() == need.as_str());
        needed.is_some_and(|s| matches!(s.status, Status::Down | Status::Unknown))
    });
    known.cloned()
}

/// What is not known, as a person says it.
fn subject(source: &SourceState) -> String {
    match source.spec.capability {
        Capability::Issues => format!("Errors of {}", source.spec.title),
        Capability::Packages => format!("Packages of {}", source.spec.title),
        Capability::Backup => format!("Backup {}", source.spec.title),
        Capability::Life => format!("Support dates of {}", source.spec.title),
        Capability::Release => format!("Releases of {}", source.spec.title),
        Capability::Health | Capability::Certificate | Capability::Log | Capability::Crons | Capability::Intake => source.spec.title.clone(),
    }
}

fn times(n: u32) -> String {
    match n {
        0 | 1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

/// `basket is down: 500 in 3 of 3 probes`, `home is down: connection refused`.
fn down_title(source: &SourceState) -> String {
    let title = &source.spec.title;
    let last = source.health.as_ref().and_then(|health| health.last_bad.as_ref().map(|(_, last)| last));
    match last {
        Some(last) if last.error.is_none() => {
            let broken = last.expectations.iter().filter(|e| !e.ok).max_by_key(|e| e.level);
            let seen = match (broken, last.status_code, last.latency_ms) {
                (Some(e), Some(code), _) if e.name == "status" => code.to_string(),
                (Some(e), _, Some(ms)) if e.name == "latency" => millis_text(ms),
                (Some(e), _, _) => format!("{} is not as expected", e.name),
                (None, Some(code), _) => code.to_string(),
                _ => "no good answer".to_owned(),
            };
            // The threshold, not the running count: a title that changes with every probe is no title.
            let probes = source.failing.clamp(1, source.spec.failures.max(1));
            format!("{title} is down: {seen} in {probes} of {probes} probes")
        }
        Some(last) => format!("{title} is down: {}", last.summary()),
        None => format!("{title} is down: {}", source.summary),
    }
}

fn evidence(source: &SourceState) -> String {
    let last = source.health.as_ref().and_then(|health| health.last_bad.as_ref().map(|(_, last)| last));
    match last {
        Some(last) => match (&last.error, last.status_code) {
            (Some(error), _) => error.kind.word().to_owned(),
            (None, Some(code)) => code.to_string(),
            (None, None) => String::new(),
        },
        None => source.error.as_ref().map(|e| e.kind.word().to_owned()).unwrap_or_default(),
    }
}

fn sentences(source: &SourceState) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(health) = &source.health {
        if let Some((_, last)) = &health.last_bad {
            let what = if last.request.is_empty() { String::new() } else { format!("{}: ", last.request) };
            lines.push(format!("{what}{}", last.summary()));
            for e in last.expectations.iter().filter(|e| !e.ok) {
                lines.push(format!("{}: expected {}, seen {}", e.name, e.expected, e.seen));
            }
            if let Some(error) = &last.error {
                lines.push(error.remedy.clone());
            }
        }
        match &health.last_good {
            Some((at, good)) => {
                let before = source.failing_since.map_or(String::new(), |failing| format!(" {} before", human(crate::domain::time::since(*at, failing))));
                lines.push(format!("Last good answer{before}: {}", good.summary()));
            }
            None => lines.push("No good answer since rounds began to look.".to_owned()),
        }
    } else {
        lines.push(source.summary.clone());
    }
    lines
}

/// The numbers behind the verdict, with the time from a failure to CRITICAL.
fn terms(source: &SourceState) -> Vec<Term> {
    let spec = &source.spec;
    let mut terms = vec![
        Term::new("bad probes in a row", source.failing.to_string(), format!("down from {} on", spec.failures)),
        Term::new("good probes in a row", source.passing.to_string(), format!("well again from {} on", spec.successes)),
        Term::new("interval", duration_text(spec.every), format!("{} while failing", duration_text(spec.retry_every))),
        Term::new("timeout", duration_text(spec.timeout), "of one whole probe"),
    ];
    if !spec.continuous {
        let most = time_to_judgement(spec.every, spec.retry_every, spec.timeout, spec.failures);
        terms.push(Term::new("from failure to CRITICAL", human(most), "at most: interval, then retries with their timeouts"));
    }
    terms
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_time_to_critical_follows_from_the_settings() {
        let s = Duration::from_secs;
        assert_eq!(time_to_judgement(s(30), s(10), s(10), 3), s(80));
        assert_eq!(time_to_judgement(s(30), s(10), s(10), 1), s(40));
    }
}
