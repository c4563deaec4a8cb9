//! Is the last good copy young enough, large enough and whole? Was one ever restored, and where do they lie?
//!
//! | file | what lives there |
//! | --- | --- |
//! | `mod` | the promises of age, size and number |
//! | `tries` | restores and checks: failed, late, never made |
//! | `keep` | failed runs, places, the disk, locks, jobs that overlap |

pub mod keep;
#[cfg(test)]
mod tests;
pub mod tries;

use std::time::Duration;

use super::{Answer, Context, Rule, finding};
use crate::backups::joblog::LAST_RUN_FAILED;
use crate::domain::time::{human, size_text};
use crate::domain::{Backup, Block, Severity, Term, Verdict};
use crate::state::SourceState;

/// A promise broken by this factor is critical.
const CRITICAL_TIMES: f64 = 1.5;

/// Late, odd or missing copies.
#[derive(Debug)]
pub struct Backups;

/// Whether the promise of age is kept at `now`, and the age.
fn age(backup: &Backup, now: crate::domain::Timestamp) -> Option<Duration> {
    backup.last_success.map(|at| crate::domain::time::since(at, now))
}

/// What one look at a backup says of it: late is degraded, far beyond the promise or without any good copy down.
#[must_use]
pub fn verdict(backup: &Backup, now: crate::domain::Timestamp) -> Verdict {
    match (age(backup, now), backup.max_age_s) {
        (None, _) => Verdict::Down,
        (Some(age), Some(limit)) if age.as_secs_f64() > limit as f64 * CRITICAL_TIMES => Verdict::Down,
        (Some(age), Some(limit)) if age.as_secs() > limit => Verdict::Degraded,
        _ if !backup.complaints.is_empty() => Verdict::Degraded,
        _ => Verdict::Ok,
    }
}

impl Rule for Backups {
    fn id(&self) -> &'static str {
        "backup"
    }

    fn words(&self) -> &'static str {
        "warning when the last good copy is older than `max_age` or something is odd about it; critical at one and a half times `max_age`, or with no good copy"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some((_, backup)) = &source.backup else { return Answer::NotYet(Vec::new()) };
        let title = &source.spec.title;
        let age = age(backup, context.now);
        let mut terms = vec![Term::new("last good copy", age.map_or_else(|| "none".to_owned(), human), "old")];
        if let Some(limit) = backup.max_age_s {
            let limit = Duration::from_secs(limit);
            terms.push(Term::new("promise", human(limit), format!("critical from {} on", human(limit.mul_f64(CRITICAL_TIMES)))));
        }
        terms.push(Term::new("copies", backup.snapshots.to_string(), backup.retention.map_or(String::new(), |n| format!("{n} promised"))));
        terms.push(Term::new("odd", backup.complaints.len().to_string(), backup.complaints.first().cloned().unwrap_or_default()));
        // That the last run failed is a finding of its own.
        let own: Vec<&String> = backup.complaints.iter().filter(|complaint| !complaint.starts_with(LAST_RUN_FAILED)).collect();
        let complaints: Vec<&String> =
            if matches!(keep::Failed.evaluate(source, context), Answer::Firing(_)) { own } else { backup.complaints.iter().collect() };
        let late = matches!((age, backup.max_age_s), (Some(age), Some(limit)) if age.as_secs() > limit);
        let severity = match verdict(backup, context.now) {
            Verdict::Ok => return Answer::Ok(terms),
            Verdict::Degraded if !late && complaints.is_empty() => return Answer::Ok(terms),
            Verdict::Degraded => Severity::Warning,
            Verdict::Down => Severity::Critical,
        };
        let (text, since) = match (age, backup.max_age_s) {
            (None, _) => {
                let why = complaints.first().map_or(String::new(), |c| format!(": {c}"));
                (format!("Backup {title} has no good copy{why}"), source.since)
            }
            (Some(age), Some(limit)) if late => {
                let since = backup.last_success.map(|at| at + chrono::Duration::seconds(i64::try_from(limit).unwrap_or(0)));
                (format!("Backup {title} is late: {} of {}", human(age), human(Duration::from_secs(limit))), since)
            }
            _ => (format!("Backup {title} {}", complaints.first().map_or("is odd", |complaint| complaint.as_str())), source.since),
        };
        let mut found = finding(&source.spec.id, self.id(), severity, since.unwrap_or(context.now).min(context.now), text);
        found.detail = format!("{} copies in {}", backup.snapshots, backup.place);
        found.evidence = format!("{}{}", if late { "late " } else { "" }, complaints.iter().filter_map(|c| c.split(':').next()).collect::<Vec<_>>().join(","));
        found.explanation = terms;
        found.runbook.clone_from(&source.spec.runbook);
        let mut lines = vec![format!("{} copies in {}", backup.snapshots, backup.place)];
        lines.extend(backup.complaints.iter().cloned());
        for copy in backup.copies.iter().rev().take(4) {
            let size = copy.size_bytes.map_or_else(|| "?".to_owned(), size_text);
            lines.push(format!("{}  {size}{}", copy.name, copy.problem.as_deref().map_or(String::new(), |p| format!("  {p}"))));
        }
        found.blocks = vec![Block::Sentences(lines)];
        Answer::Firing(vec![found])
    }
}
