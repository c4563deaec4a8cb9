//! Which errors are new, back, or getting worse?

use super::{Answer, Context, Rule};
use crate::domain::time::human;
use crate::domain::{Block, FindingId, Issue, IssueState, Level, Severity, Term};
use crate::state::{SourceState, releases};

/// A new issue is one of the last day.
const NEW_HOURS: i64 = 24;
/// From so many users on, a new or growing error is critical.
const USERS: u64 = 10;
/// Where users are not known: from so many events on.
const EVENTS: u64 = 100;
/// More than this in one source is told in one finding.
const MANY: usize = 12;

/// New, regressed and escalating issues of a tracker.
#[derive(Debug)]
pub struct Issues;

fn severity(issue: &Issue, hits: bool) -> Severity {
    let grave = issue.level >= Level::Error;
    match issue.state {
        IssueState::New | IssueState::Escalating if grave && hits => Severity::Critical,
        _ => Severity::Warning,
    }
}

impl Rule for Issues {
    fn id(&self) -> &'static str {
        "issue"
    }

    fn words(&self) -> &'static str {
        "an error first seen within 24 h, back after it was resolved, or escalating; critical when it is an error that hits 10 users or comes 100 times"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some((_, issues)) = &source.issues else { return Answer::NotYet(Vec::new()) };
        let mut found = Vec::new();
        for issue in &issues.items {
            let young = issue.first_seen.is_some_and(|first| context.now - first < chrono::Duration::hours(NEW_HOURS));
            let word = match issue.state {
                IssueState::New if young => "New",
                IssueState::Regressed => "Back",
                IssueState::Escalating => "Escalating",
                _ => continue,
            };
            let hits = issue.users.map_or(issue.events >= EVENTS, |users| users >= USERS);
            let severity = severity(issue, hits);
            let since = match issue.state {
                IssueState::New => issue.first_seen,
                _ => None,
            };
            let since = since.or(source.since).unwrap_or(context.now);
            let place = issue.culprit.as_deref().filter(|c| !c.is_empty()).map(|c| format!(" in {c}")).unwrap_or_default();
            let mut finding = super::finding(&source.spec.id, self.id(), severity, since, format!("{word}: {}{place}", issue.title));
            finding.id = FindingId::about(&source.spec.id, self.id(), &issue.id);
            finding.users = issue.users;
            finding.evidence = issue.state.word().to_owned();
            finding.detail = format!("{} events, {} users", issue.events, issue.users.map_or_else(|| "?".to_owned(), |n| n.to_string()));
            finding.runbook = issue.permalink.clone().or_else(|| source.spec.runbook.clone());
            finding.explanation = vec![
                Term::new("state", issue.state.word(), "new, back or escalating are told"),
                Term::new("level", issue.level.word(), "an error or worse can be critical"),
                Term::new("users", issue.users.map_or_else(|| "?".to_owned(), |n| n.to_string()), format!("critical from {USERS} on")),
                Term::new("events", issue.events.to_string(), format!("critical from {EVENTS} on where users are not known")),
            ];
            let mut lines = vec![format!("{}  {}", issue.short_id, finding.detail)];
            if let Some(first) = issue.first_seen {
                let deploy = releases::deployed(context.world, source.spec.id.site());
                let deploy = deploy.filter(|_| releases::new_since_deploy(context.world, &source.spec.id, issue));
                let after = deploy.map(|(version, at)| format!("{} after the deploy of {version}", human(crate::domain::time::since(at, first))));
                if let Some(after) = &after {
                    finding.explanation.push(Term::new("since deploy", "new", after));
                }
                let parts = [Some(format!("First seen {} ago", human(crate::domain::time::since(first, context.now)))), after];
                let caught = (issue.unhandled == Some(true)).then(|| "nothing caught it".to_owned());
                lines.push(parts.into_iter().flatten().chain(caught).collect::<Vec<_>>().join(", "));
            }
            if let Some(release) = &issue.first_release {
                lines.push(format!("First seen in {release}"));
                finding.explanation.push(Term::new("first release", release, "as the tracker tells"));
            }
            if let Some(who) = &issue.assignee {
                lines.push(format!("Assigned to {who}"));
            }
            finding.blocks = vec![Block::Sentences(lines)];
            found.push(finding);
        }
        if found.len() > MANY {
            found.sort_by(|a, b| a.severity.cmp(&b.severity).then(b.users.cmp(&a.users)));
            found.truncate(MANY);
        }
        if found.is_empty() {
            Answer::Ok(vec![Term::new("issues", issues.items.len().to_string(), "none new, back or escalating")])
        } else {
            Answer::Firing(found)
        }
    }
}
