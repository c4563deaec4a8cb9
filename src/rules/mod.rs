//! Rules: pure functions from what is known to findings. One file for each question an on-call asks.
//!
//! A rule reads capabilities, never configuration or wire formats; limits travel inside the observations. Each has three answers
//! and explains itself with numbers. What does not belong here: keeping findings, acknowledging, ranking (`state`).

use std::time::Duration;

use crate::domain::{Finding, FindingId, Severity, SourceId, Status, Term, Timestamp};
use crate::state::{SourceState, World};

pub mod availability;
pub mod backups;
pub mod book;
pub mod certificates;
pub mod crons;
pub mod dependencies;
pub mod deploys;
pub mod eol;
pub mod errors;
pub mod intake;
pub mod issues;
pub mod latency;
pub mod logs;
pub mod staleness;

/// What a rule says of one source.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Looked at, and nothing to say.
    Ok(Vec<Term>),
    /// Not enough to judge; the terms say what is missing.
    NotYet(Vec<Term>),
    /// Something needs a person.
    Firing(Vec<Finding>),
}

/// What a rule may look at beside the source.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// All that is known.
    pub world: &'a World,
    /// The moment.
    pub now: Timestamp,
}

/// One question.
pub trait Rule: Sync {
    /// The part of a finding's id after `#`.
    fn id(&self) -> &'static str;
    /// The rule in words, for `=`.
    fn words(&self) -> &'static str;
    /// Its answer about one source.
    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer;
}

/// All rules.
pub static RULES: &[&dyn Rule] = &[
    &availability::Availability,
    &latency::Latency,
    &certificates::Certificates,
    &errors::Burst,
    &logs::ErrorShare,
    &logs::SlowRequests,
    &logs::Silent,
    &logs::Filling,
    &logs::Unrotated,
    &issues::Issues,
    &book::Groups,
    &deploys::SinceDeploy,
    &crons::Crons,
    &intake::Dropping,
    &dependencies::Dependencies,
    &eol::EndOfLife,
    &backups::Backups,
    &backups::keep::Failed,
    &backups::tries::Drills,
    &backups::tries::Checks,
    &backups::keep::Space,
    &backups::keep::Locks,
    &backups::keep::Places,
    &backups::keep::Overlap,
    &staleness::Staleness,
];

/// The rule of this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static dyn Rule> {
    RULES.iter().copied().find(|rule| rule.id() == id)
}

/// Whether a rule can say something of a source now, be it that all is well.
#[must_use]
pub fn has_answer(id: &str, source: &SourceState, context: Context<'_>) -> bool {
    find(id).is_none_or(|rule| !matches!(rule.evaluate(source, context), Answer::NotYet(_)))
}

/// The findings of all rules about one source; in a maintenance window it is not judged.
#[must_use]
pub fn evaluate(source: &SourceState, context: Context<'_>) -> Vec<Finding> {
    if source.status == Status::Maintenance {
        return Vec::new();
    }
    RULES
        .iter()
        .flat_map(|rule| match rule.evaluate(source, context) {
            Answer::Firing(findings) => findings,
            Answer::Ok(_) | Answer::NotYet(_) => Vec::new(),
        })
        .collect()
}

/// A finding with the fields that every rule fills; the rest is for the rule.
fn finding(source: &SourceId, rule: &str, severity: Severity, since: Timestamp, title: String) -> Finding {
    Finding {
        id: FindingId::new(source, rule),
        source: source.clone(),
        severity,
        title,
        detail: String::new(),
        since,
        due: None,
        users: None,
        acknowledged: None,
        actions: Vec::new(),
        evidence: String::new(),
        explanation: Vec::new(),
        blocks: Vec::new(),
        runbook: None,
    }
}

/// How long after the beginning of a failure a source of these settings is judged, at most.
#[must_use]
pub fn time_to_judgement(every: Duration, retry_every: Duration, timeout: Duration, failures: u32) -> Duration {
    every + (retry_every + timeout).saturating_mul(failures.saturating_sub(1)) + timeout
}
