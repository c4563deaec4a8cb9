//! Which errors did the tracker itself not keep?

use super::{Answer, Context, Rule};
use crate::domain::time::{human, since};
use crate::domain::{Block, Dropped, Intake, Severity, Term};
use crate::state::SourceState;

/// From this share of all events on, losses are a warning.
const LOST_SHARE: f64 = 0.01;
/// So many lost events are one whatever their share.
const LOST: u64 = 1_000;
/// From this share of all events on, what the project's own filters left out is told.
const FILTERED_SHARE: f64 = 0.5;
/// Fewer filtered events than this are never told.
const FILTERED: u64 = 100;

/// Events that were dropped, over a quota, or filtered.
#[derive(Debug)]
pub struct Dropping;

/// Why, for reading: `386 over the quota (key_quota)`.
fn words(one: &Dropped) -> String {
    let what = match one.outcome.as_str() {
        "rate_limited" => "over a limit",
        "filtered" => "filtered",
        "invalid" => "not valid",
        "abuse" => "taken for abuse",
        "cardinality_limited" => "of too many kinds",
        other => other,
    };
    let reason = one.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{} {what}{reason}", one.events)
}

fn share(part: u64, intake: &Intake) -> f64 {
    let all = intake.all();
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

impl Rule for Dropping {
    fn id(&self) -> &'static str {
        "dropped"
    }

    fn words(&self) -> &'static str {
        "events of the last day that the tracker did not keep: any that were lost, a warning from 1 % or 1,000 on; those that its filters left out from half of all on"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some((at, intake)) = &source.intake else { return Answer::NotYet(Vec::new()) };
        let (lost, filtered) = (intake.lost(), intake.filtered());
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let mut terms = vec![
            Term::new("kept", intake.accepted.to_string(), format!("events of {} h", intake.hours)),
            Term::new("lost", lost.to_string(), format!("{}; a warning from {} or {LOST} on", percent(share(lost, intake)), percent(LOST_SHARE))),
            Term::new(
                "filtered",
                filtered.to_string(),
                format!("{}; told from {} and {FILTERED} on", percent(share(filtered, intake)), percent(FILTERED_SHARE)),
            ),
        ];
        terms.extend(intake.dropped.iter().take(6).map(|one| Term::new(&one.outcome, one.events.to_string(), one.reason.clone().unwrap_or_default())));
        terms.push(Term::new("counted", format!("{} ago", human(since(*at, context.now))), format!("of {}", intake.of)));
        let much_filtered = filtered >= FILTERED && share(filtered, intake) >= FILTERED_SHARE;
        if lost == 0 && !much_filtered {
            return Answer::Ok(terms);
        }
        let grave = lost >= LOST || share(lost, intake) >= LOST_SHARE;
        let severity = if grave { Severity::Warning } else { Severity::Info };
        let title = if lost > 0 {
            format!("{lost} errors of {} were not kept, {} of all", intake.of, percent(share(lost, intake)))
        } else {
            format!("{filtered} errors of {} were filtered, {} of all", intake.of, percent(share(filtered, intake)))
        };
        let mut finding = super::finding(&source.spec.id, self.id(), severity, *at, title);
        let lines: Vec<String> = intake.dropped.iter().take(8).map(words).collect();
        finding.detail = lines.join(", ");
        // Why is what somebody takes; how many changes every hour.
        let mut reasons: Vec<String> = intake.dropped.iter().filter(|one| one.outcome != "filtered" || much_filtered).map(|one| one.outcome.clone()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        finding.evidence = reasons.join(" ");
        finding.explanation = terms;
        finding.runbook.clone_from(&source.spec.runbook);
        let first = format!("In the last {} h the tracker kept {} errors and did not keep:", intake.hours, intake.accepted);
        finding.blocks = vec![Block::Sentences(std::iter::once(first).chain(lines).collect())];
        Answer::Firing(vec![finding])
    }
}
