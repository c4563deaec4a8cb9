//! Is it slow? Compares the 95th percentile of the last probes with the limits that the probes carry.

use std::time::Duration;

use super::{Answer, Context, Rule, finding};
use crate::domain::time::{human, millis_text};
use crate::domain::{Block, Comparison, Histogram, Severity, Status, Term, Timestamp};
use crate::state::{Sample, SourceState};

/// A window holds this many probes where the interval allows.
const PROBES: u32 = 20;
/// Below this many answers it is not judged.
const ENOUGH: u64 = 5;
/// The shortest and longest window.
const SHORTEST: Duration = Duration::from_secs(20);
const LONGEST: Duration = Duration::from_secs(600);

/// p95 over a limit is a warning or critical.
#[derive(Debug)]
pub struct Latency;

/// The window that is judged: twenty probes, between 20 seconds and ten minutes.
#[must_use]
pub fn window(every: Duration) -> Duration {
    every.saturating_mul(PROBES).clamp(SHORTEST, LONGEST)
}

/// Percentile `q` of the answers between two moments, and how many there were.
fn quantile(samples: impl Iterator<Item = Sample>, q: f64) -> (Option<f64>, u64) {
    let mut histogram = Histogram::default();
    for sample in samples {
        if let Some(ms) = sample.latency_ms {
            histogram.add(f64::from(ms));
        }
    }
    (histogram.quantile(q), histogram.count())
}

impl Rule for Latency {
    fn id(&self) -> &'static str {
        "latency"
    }

    fn words(&self) -> &'static str {
        "p95 of the last 20 probes (at least 20 s, at most 10 m) against `expect.latency`"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(health) = &source.health else { return Answer::Ok(Vec::new()) };
        let Some((at, last)) = &health.last else { return Answer::NotYet(Vec::new()) };
        let limits = last.limits;
        let (Some(limit), false) = (limits.warning_ms.or(limits.critical_ms), matches!(source.status, Status::Down | Status::Paused | Status::Maintenance))
        else {
            return Answer::Ok(Vec::new());
        };
        let span = window(source.spec.every);
        let begin: Timestamp = *at - chrono::Duration::from_std(span).unwrap_or_default();
        let recent = health.samples.iter().rev().take_while(|s| s.at > begin);
        let slow_since = recent.clone().take_while(|s| s.latency_ms.is_none_or(|ms| f64::from(ms) > limit)).last().map(|s| s.at);
        let (p95, count) = quantile(recent.clone().copied(), 0.95);
        let mut terms = vec![Term::new("answers in the window", count.to_string(), format!("of {}; judged from {ENOUGH} on", human(span)))];
        let Some(p95) = p95 else { return Answer::NotYet(terms) };
        terms.push(Term::new("p95", millis_text(p95), "of the window"));
        if let Some(warning) = limits.warning_ms {
            terms.push(Term::new("warning over", millis_text(warning), "expect.latency.warning"));
        }
        if let Some(critical) = limits.critical_ms {
            terms.push(Term::new("critical over", millis_text(critical), "expect.latency.critical"));
        }
        if count < ENOUGH {
            return Answer::NotYet(terms);
        }
        let severity = match (limits.critical_ms, limits.warning_ms) {
            (Some(critical), _) if p95 > critical => Severity::Critical,
            (_, Some(warning)) if p95 > warning => Severity::Warning,
            _ => return Answer::Ok(terms),
        };
        let broken = if severity == Severity::Critical { limits.critical_ms } else { limits.warning_ms }.unwrap_or(limit);
        let before = {
            let hour = begin - chrono::Duration::hours(1);
            quantile(health.samples.iter().rev().skip_while(|s| s.at > begin).take_while(|s| s.at > hour).copied(), 0.95)
        };
        let title = format!("{} is slow: p95 {}, limit {}", source.spec.title, millis_text(p95), millis_text(broken));
        let since = slow_since.unwrap_or(begin).min(context.now);
        let mut found = finding(&source.spec.id, self.id(), severity, since, title);
        found.detail = match before {
            (Some(before), n) if n >= ENOUGH => format!("p95 was {} in the hour before", millis_text(before)),
            _ => format!("p95 {} over the last {}", millis_text(p95), human(span)),
        };
        found.evidence = format!("{}", (p95 / broken).floor());
        found.runbook.clone_from(&source.spec.runbook);
        found.explanation = terms;
        let course = health.samples.iter().rev().take(60).map(|s| s.latency_ms.map(f64::from)).collect::<Vec<_>>();
        let row = |name: &str, q: f64, limited: bool| {
            let after = quantile(recent.clone().copied(), q).0;
            let earlier = if before.1 >= ENOUGH {
                let hour = begin - chrono::Duration::hours(1);
                quantile(health.samples.iter().rev().skip_while(|s| s.at > begin).take_while(|s| s.at > hour).copied(), q).0
            } else {
                None
            };
            Comparison {
                name: name.to_owned(),
                before: earlier.map_or_else(|| "?".to_owned(), millis_text),
                after: after.map_or_else(|| "?".to_owned(), millis_text),
                limit: if limited { millis_text(broken) } else { String::new() },
                broken: (limited).then_some(severity),
                points: if limited { course.iter().rev().copied().collect() } else { Vec::new() },
                limit_value: limited.then_some(broken),
            }
        };
        let failed = recent.clone().filter(|s| s.failed).count();
        let probes = recent.clone().count();
        found.blocks = vec![Block::Comparison(vec![
            row("p95", 0.95, true),
            row("p50", 0.5, false),
            Comparison {
                name: "failed probes".to_owned(),
                before: String::new(),
                after: format!("{failed} of {probes}"),
                limit: String::new(),
                broken: None,
                points: Vec::new(),
                limit_value: None,
            },
        ])];
        Answer::Firing(vec![found])
    }
}
