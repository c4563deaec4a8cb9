//! Which errors of logs and mails are new, back, or coming far more often?

use super::{Answer, Context, Rule};
use crate::domain::book::{ESCALATES_FROM, LEARNS_S, TIMES};
use crate::domain::time::human;
use crate::domain::{Block, Capability, FindingId, IssueState, Level, Severity, Term};
use crate::state::{SourceState, book};

/// From so many events in a day on, a new or growing error is critical.
const EVENTS: u64 = 100;
/// More than this of one source is told in one look, the gravest.
const MANY: usize = 12;

/// New, regressed and escalating groups of the error book.
#[derive(Debug)]
pub struct Groups;

impl Rule for Groups {
    fn id(&self) -> &'static str {
        "group"
    }

    fn words(&self) -> &'static str {
        "an error in a log that the error book had not seen before the last deploy, or in its first day; back after it was resolved; or more than five times its own mean an hour; critical when it is an error that comes 100 times a day"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        if source.spec.capability != Capability::Log {
            return Answer::Ok(Vec::new());
        }
        let Some(begun) = source.book.begun else { return Answer::NotYet(vec![Term::new("error book", "empty", "nothing was read yet")]) };
        let deploy = book::deploy(context.world, &source.spec.id);
        let mut found = Vec::new();
        for shown in source.book.all_shown(deploy, context.now) {
            let (word, since) = match shown.state {
                IssueState::New => ("New", shown.first_seen),
                IssueState::Regressed => ("Back", shown.group.said.as_ref().map_or(shown.last_seen, |said| said.at)),
                IssueState::Escalating => ("Escalating", shown.group.said.as_ref().map_or(context.now, |said| said.at)),
                _ => continue,
            };
            let group = shown.group;
            // A tracker that knows it tells of it.
            if book::twin(context.world, &source.spec.id, &group.title, &group.culprit).is_some() {
                continue;
            }
            let day: u64 = shown.day.iter().sum();
            let grave = group.level >= Level::Error && day >= EVENTS && shown.state != IssueState::Regressed;
            let severity = if grave { Severity::Critical } else { Severity::Warning };
            let issue = book::issue(&shown);
            let place = issue.culprit.as_deref().map(|culprit| format!(" in {culprit}")).unwrap_or_default();
            let mut finding = super::finding(&source.spec.id, self.id(), severity, since, format!("{word}: {}{place}", issue.title));
            finding.id = FindingId::about(&source.spec.id, self.id(), &group.fingerprint);
            finding.evidence = shown.state.word().to_owned();
            finding.detail = format!("{} events, {day} in the last 24 h", shown.count);
            finding.runbook.clone_from(&source.spec.runbook);
            let age = human(crate::domain::time::since(begun, context.now));
            finding.explanation = vec![
                Term::new("state", shown.state.word(), "new, back or escalating are told"),
                Term::new("error book", age, format!("what it sees first is new from {} h on, or after a deploy it saw", LEARNS_S / 3_600)),
                Term::new("events in the last 24 h", day.to_string(), format!("critical from {EVENTS} on")),
                Term::new("escalates at", format!("{} times its mean", group.times.unwrap_or(TIMES)), format!("from {ESCALATES_FROM} an hour on")),
                Term::new("first release", group.release.as_deref().unwrap_or("?"), "deployed when it was first seen"),
            ];
            let mut lines = vec![format!("{}  {}", issue.short_id, finding.detail)];
            lines.push(format!("First seen {} ago", human(crate::domain::time::since(shown.first_seen, context.now))));
            lines.extend(group.release.as_ref().map(|version| format!("{version} was deployed then")));
            finding.blocks = vec![Block::Sentences(lines)];
            found.push(finding);
        }
        if found.len() > MANY {
            found.sort_by(|a, b| a.severity.cmp(&b.severity).then(b.since.cmp(&a.since)));
            found.truncate(MANY);
        }
        let count = Term::new("groups", source.book.groups.len().to_string(), "in the error book");
        if !found.is_empty() {
            Answer::Firing(found)
        } else if source.book.learns(context.now) {
            Answer::NotYet(vec![count, Term::new("error book", human(crate::domain::time::since(begun, context.now)), "it learns for a day what is usual")])
        } else {
            Answer::Ok(vec![count])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Deed, LogBatch, LogGroup, Noted, Timestamp};
    use crate::state::World;

    const T0: i64 = 1_763_600_400;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    fn seen(source: &mut SourceState, fingerprint: &str, second: i64, count: u64) {
        let group = LogGroup {
            fingerprint: fingerprint.into(),
            title: format!("KeyError: '{fingerprint}'"),
            culprit: "basket/pricing.py:88 in total".into(),
            level: Level::Error,
            count,
            first_seen: at(second),
            last_seen: at(second),
        };
        let noted = Noted { fingerprint: fingerprint.into(), former: None, times: vec![(second, count)] };
        source.book.take(&LogBatch { groups: vec![group], book: vec![noted], ..LogBatch::default() }, at(second), |_| None);
    }

    fn titles(source: &SourceState, world: &World, now: i64) -> Vec<(Severity, String)> {
        match Groups.evaluate(source, Context { world, now: at(now) }) {
            Answer::Firing(found) => found.into_iter().map(|finding| (finding.severity, finding.title)).collect(),
            Answer::Ok(_) => vec![],
            Answer::NotYet(_) => vec![(Severity::Unknown, "not yet".into())],
        }
    }

    #[test]
    fn the_first_day_is_for_learning_then_what_is_new_back_or_growing_is_told() {
        let world = World::default();
        let mut source = crate::report::sample::source("shop/log/django", crate::domain::Status::Ok);
        source.spec.capability = Capability::Log;
        seen(&mut source, "a", T0, 1);
        assert_eq!(titles(&source, &world, T0 + 60), [(Severity::Unknown, "not yet".to_owned())]);
        let later = T0 + 2 * 86_400;
        assert_eq!(titles(&source, &world, later), []);
        seen(&mut source, "b", later, 3);
        let new = "New: KeyError: 'b' in basket/pricing.py:88 in total".to_owned();
        assert_eq!(titles(&source, &world, later + 1), [(Severity::Warning, new.clone())]);
        seen(&mut source, "b", later + 5, 200);
        assert_eq!(titles(&source, &world, later + 6), [(Severity::Critical, new)]);
        source.book.perform("b", &Deed::Resolve, "ana", at(later + 10)).unwrap();
        assert_eq!(titles(&source, &world, later + 11), []);
        seen(&mut source, "b", later + 20, 1);
        assert_eq!(titles(&source, &world, later + 21)[0].1, "Back: KeyError: 'b' in basket/pricing.py:88 in total");
    }
}
