//! When does a certificate end, and does it verify?

use super::{Answer, Context, Rule, finding};
use crate::domain::time::human;
use crate::domain::{Block, Severity, Term};
use crate::state::SourceState;

/// A finding before the end, and one when the chain does not verify.
#[derive(Debug)]
pub struct Certificates;

/// A certificate of a short life is not always about to end: never warn before this share of its life is left.
const SHARE_LEFT: f64 = 1.0 / 3.0;

impl Rule for Certificates {
    fn id(&self) -> &'static str {
        "certificate"
    }

    fn words(&self) -> &'static str {
        "the earliest end in the chain against `expect.certificate`, and not before a third of its life is left"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some((_, seen)) = &source.certificate else { return Answer::NotYet(Vec::new()) };
        let left = seen.not_after - context.now;
        let left_s = left.num_seconds();
        let life_s = (seen.not_after - seen.not_before).num_seconds();
        let ending = seen.chain.iter().min_by_key(|link| link.not_after);
        let mut terms = vec![Term::new("ends", crate::domain::time::rfc3339(seen.not_after), ending.map(|l| l.subject.clone()).unwrap_or_default())];
        terms.push(Term::new(
            "left",
            human(left.to_std().unwrap_or_default()),
            format!("of {} of its life", human(std::time::Duration::from_secs(life_s.unsigned_abs()))),
        ));
        let within =
            |limit: Option<u64>| limit.is_some_and(|limit| left_s < i64::try_from(limit).unwrap_or(i64::MAX)) && (left_s as f64) < life_s as f64 * SHARE_LEFT;
        for (word, limit) in [("warning", seen.warning_s), ("critical", seen.critical_s)] {
            if let Some(limit) = limit {
                terms.push(Term::new(format!("{word} from"), human(std::time::Duration::from_secs(limit)), "before the end"));
            }
        }
        let severity = if left_s <= 0 || within(seen.critical_s) {
            Severity::Critical
        } else if within(seen.warning_s) || !seen.chain_ok {
            Severity::Warning
        } else {
            return Answer::Ok(terms);
        };
        let date = seen.not_after.format("%-d %b");
        let title = if left_s <= 0 {
            format!("Certificate of {} ended on {date}", seen.host)
        } else if !seen.chain_ok && severity == Severity::Warning && !within(seen.warning_s) {
            format!("Certificate of {} is not trusted: {}", seen.host, seen.problem.as_deref().unwrap_or("it does not verify"))
        } else {
            format!("Certificate of {} ends on {date}", seen.host)
        };
        let since = if left_s <= 0 {
            seen.not_after
        } else {
            let limit = if severity == Severity::Critical { seen.critical_s } else { seen.warning_s }.unwrap_or(0);
            let begin = seen.not_after - chrono::Duration::seconds(i64::try_from(limit).unwrap_or(0));
            begin.min(context.now)
        };
        let mut found = finding(&source.spec.id, self.id(), severity, since, title);
        found.due = (seen.chain_ok || left_s <= 0 || within(seen.warning_s)).then_some(seen.not_after);
        found.detail = format!("issued by {}", seen.issuer);
        found.evidence = if left_s <= 0 { "ended".to_owned() } else { seen.problem.clone().unwrap_or_default() };
        found.explanation = terms;
        found.runbook.clone_from(&source.spec.runbook);
        let mut lines = vec![format!("issued by {} for {}", seen.issuer, seen.names.join(", "))];
        if let Some(problem) = &seen.problem {
            lines.push(format!("it does not verify: {problem}"));
        }
        for link in &seen.chain {
            lines.push(format!("{}  until {}", link.subject, link.not_after.format("%-d %b %Y")));
        }
        found.blocks = vec![Block::Sentences(lines)];
        Answer::Firing(vec![found])
    }
}
