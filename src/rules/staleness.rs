//! Is what we know too old to be trusted?

use super::{Answer, Context, Rule, finding};
use crate::domain::time::{age_text, duration_text, since};
use crate::domain::{Block, Severity, Status, Term};
use crate::state::SourceState;

/// A value past its expected interval.
#[derive(Debug)]
pub struct Staleness;

impl Rule for Staleness {
    fn id(&self) -> &'static str {
        "staleness"
    }

    fn words(&self) -> &'static str {
        "stale after two intervals and a timeout without a look; unknown after ten"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(checked) = source.checked_at else { return Answer::NotYet(Vec::new()) };
        let age = since(checked, context.now);
        let terms =
            vec![Term::new("last looked", age_text(age), "ago"), Term::new("interval", duration_text(source.spec.every), "stale after two and a timeout")];
        let long_gone = source.status == Status::Unknown && source.error.is_none();
        if source.status != Status::Stale && !long_gone {
            return Answer::Ok(terms);
        }
        let title = format!("{} is not looked at any more", source.spec.title);
        let mut found = finding(&source.spec.id, self.id(), Severity::Unknown, checked, title);
        found.detail = format!("last known: {}", source.summary);
        found.explanation = terms;
        found.blocks = vec![Block::Sentences(vec![
            format!("Last known: {}", source.summary),
            "Nothing has looked at it since; what is shown is the last that was seen.".to_owned(),
        ])];
        Answer::Firing(vec![found])
    }
}
