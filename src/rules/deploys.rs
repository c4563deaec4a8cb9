//! Did the last deploy bring new errors?

use super::{Answer, Context, Rule};
use crate::domain::time::{human, since};
use crate::domain::{Block, Issue, IssueState, Level, Severity, Term};
use crate::state::{SourceState, releases};

/// One new issue is told by its own finding, which says so; from so many on the deploy is.
const SEVERAL: usize = 2;
/// A deploy of longer ago is no news.
const DAYS: i64 = 7;
/// From so many users on it is critical.
const USERS: u64 = 10;

/// Issues that were first seen after the last deploy.
#[derive(Debug)]
pub struct SinceDeploy;

impl Rule for SinceDeploy {
    fn id(&self) -> &'static str {
        "since-deploy"
    }

    fn words(&self) -> &'static str {
        "two or more open issues first seen since the site's last deploy, which was within a week; critical when they are errors that hit 10 users"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some((_, issues)) = &source.issues else { return Answer::NotYet(Vec::new()) };
        let Some((version, at)) = releases::deployed(context.world, source.spec.id.site()) else {
            return Answer::NotYet(vec![Term::new("last deploy", "?", "`rounds deployed` tells it, or the tracker's releases")]);
        };
        let age = since(at, context.now);
        let open = |issue: &&Issue| !matches!(issue.state, IssueState::Resolved | IssueState::Archived);
        let new: Vec<&Issue> = issues.items.iter().filter(open).filter(|issue| releases::new_since_deploy(context.world, &source.spec.id, issue)).collect();
        let users = new.iter().filter_map(|issue| issue.users).max();
        let terms = vec![
            Term::new("last deploy", version, format!("{} ago", human(age))),
            Term::new("new since", new.len().to_string(), format!("told together from {SEVERAL} on")),
            Term::new("users of one", users.map_or_else(|| "?".to_owned(), |users| users.to_string()), format!("critical from {USERS} on")),
        ];
        if new.len() < SEVERAL || context.now - at > chrono::Duration::days(DAYS) {
            return Answer::Ok(terms);
        }
        let grave = new.iter().any(|issue| issue.level >= Level::Error && issue.users.is_some_and(|users| users >= USERS));
        let severity = if grave { Severity::Critical } else { Severity::Warning };
        let begun = new.iter().filter_map(|issue| issue.first_seen).min().unwrap_or(at);
        let mut finding = super::finding(&source.spec.id, self.id(), severity, begun, format!("{version}: {} new issues since its deploy", new.len()));
        finding.users = users;
        finding.evidence = version.to_owned();
        finding.detail = format!("deployed {} ago", human(age));
        finding.explanation = terms;
        let mut lines = vec![format!("{version} was deployed {} ago; since then these were seen for the first time:", human(age))];
        lines.extend(new.iter().take(8).map(|issue| format!("{}  {}", issue.short_id, issue.title)));
        let known = source.releases.iter().flat_map(|(_, releases)| &releases.items).find(|release| release.said() == version);
        if let Some(release) = known.filter(|release| !release.commits.is_empty()) {
            lines.push("Its commits:".to_owned());
            lines.extend(release.commits.iter().take(6).map(|commit| {
                let id: String = commit.id.chars().take(8).collect();
                let who = commit.author.as_ref().map(|who| format!(" {who}")).unwrap_or_default();
                format!("{id}{who}  {}", commit.title)
            }));
        }
        finding.blocks = vec![Block::Sentences(lines)];
        Answer::Firing(vec![finding])
    }
}
