//! Which jobs did not run, or failed, by what they tell a tracker?

use super::{Answer, Context, Rule};
use crate::domain::time::{human, rfc3339, since};
use crate::domain::{Block, CronState, FindingId, Severity, Term};
use crate::state::SourceState;

/// From so many bad check-ins in a row on it is critical.
const CRITICAL_FROM: u64 = 3;
/// More than this in one source is not told one by one.
const MANY: usize = 12;

/// Missed and failed check-ins of cron monitors.
#[derive(Debug)]
pub struct Crons;

impl Rule for Crons {
    fn id(&self) -> &'static str {
        "cron"
    }

    fn words(&self) -> &'static str {
        "a watched job that missed its check-in, did not end in time or failed; critical from the third time in a row on; muted and switched off ones are left out"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some((at, crons)) = &source.crons else { return Answer::NotYet(Vec::new()) };
        let looked = Term::new("looked at", format!("{} ago", human(since(*at, context.now))), "jobs are asked for less often than issues");
        let mut found = Vec::new();
        for (cron, run) in crons.bad() {
            let severity = if run.bad >= CRITICAL_FROM { Severity::Critical } else { Severity::Warning };
            let what = match run.state {
                CronState::Missed => "did not run",
                CronState::Timeout => "did not end in time",
                _ => "failed",
            };
            let times = if run.bad > 1 { format!(", {} times in a row", run.bad) } else { String::new() };
            let begun = run.since.or(run.last).unwrap_or(*at);
            let mut finding = super::finding(&source.spec.id, self.id(), severity, begun, format!("Job {} {what} in {}{times}", cron.name, run.environment));
            finding.id = FindingId::about(&source.spec.id, self.id(), &format!("{}-{}", cron.slug, run.environment));
            let ago = |at: Option<_>| at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", human(since(at, context.now))));
            let next = match run.next {
                Some(next) if next > context.now => format!("in {}", human((next - context.now).to_std().unwrap_or_default())),
                Some(next) => format!("{} ago", human(since(next, context.now))),
                None => "?".to_owned(),
            };
            finding.detail = format!("last told of itself {}, expected {next}", ago(run.last));
            finding.evidence = run.state.word().to_owned();
            finding.runbook.clone_from(&source.spec.runbook);
            finding.explanation = vec![
                Term::new("state", run.state.word(), "missed, timeout and failed are told"),
                Term::new(
                    "bad check-ins in a row",
                    if run.bad == 0 { "?".to_owned() } else { run.bad.to_string() },
                    format!("critical from {CRITICAL_FROM} on"),
                ),
                Term::new("environment", &run.environment, ""),
                Term::new("schedule", if cron.schedule.is_empty() { "?" } else { &cron.schedule }, ""),
                Term::new("last check-in", run.last.map_or_else(|| "never".to_owned(), rfc3339), ""),
                Term::new("next expected", run.next.map_or_else(|| "?".to_owned(), rfc3339), ""),
                looked.clone(),
            ];
            let mut lines = vec![format!("{} in {}: {what}{times}", cron.slug, run.environment), format!("{}.", finding.detail)];
            if !cron.schedule.is_empty() {
                lines.push(format!("Schedule {}", cron.schedule));
            }
            finding.blocks = vec![Block::Sentences(lines)];
            found.push(finding);
        }
        if found.is_empty() {
            let watched = crons.items.iter().filter(|cron| !cron.disabled && !cron.muted).count();
            return Answer::Ok(vec![Term::new("jobs", watched.to_string(), "none missed or failed"), looked]);
        }
        found.sort_by(|a, b| a.severity.cmp(&b.severity).then(b.since.cmp(&a.since)));
        found.truncate(MANY);
        Answer::Firing(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RULES, evaluate};
    use super::*;
    use crate::domain::{Brought, Capability, Cron, CronRun, Crons as Jobs, Dropped, Finding, Intake, Issue, IssueState, Issues, Release, Releases};
    use crate::report::sample::{at, source};
    use crate::state::{SiteState, World};

    fn run(environment: &str, state: CronState, bad: u64, muted: bool) -> CronRun {
        let hours = chrono::Duration::hours(9);
        CronRun { environment: environment.into(), state, muted, last: Some(at() - hours), next: Some(at() + hours), since: None, bad }
    }

    fn cron(slug: &str, disabled: bool, muted: bool, runs: Vec<CronRun>) -> Cron {
        Cron { slug: slug.into(), name: slug.into(), schedule: "0 3 * * *".into(), disabled, muted, runs }
    }

    fn tracker() -> SourceState {
        let mut one = source("shop/sentry/backend", crate::domain::Status::Ok);
        one.spec.capability = Capability::Issues;
        one.health = None;
        one
    }

    fn found(source: &SourceState, world: &World) -> Vec<Finding> {
        evaluate(source, Context { world, now: at() })
    }

    fn told(source: &SourceState, world: &World) -> Vec<(Severity, String)> {
        found(source, world).into_iter().map(|finding| (finding.severity, finding.title)).collect()
    }

    #[test]
    fn watched_jobs_that_did_not_run_are_told_and_muted_ones_are_not() {
        let mut one = tracker();
        let runs = vec![run("production", CronState::Missed, 1, false), run("staging", CronState::Failed, 0, true), run("demo", CronState::Ok, 0, false)];
        let items = vec![
            cron("dump", false, false, runs),
            cron("report", false, false, vec![run("production", CronState::Failed, 4, false), run("qa", CronState::Waiting, 0, false)]),
            cron("muted", false, true, vec![run("production", CronState::Failed, 9, false)]),
            cron("off", true, false, vec![run("production", CronState::Missed, 9, false)]),
        ];
        one.crons = Some((at(), Jobs { items }));
        let expected = [
            (Severity::Critical, "Job report failed in production, 4 times in a row".to_owned()),
            (Severity::Warning, "Job dump did not run in production".to_owned()),
        ];
        assert_eq!(told(&one, &World::default()), expected);
        let finding = &found(&one, &World::default())[1];
        assert_eq!(
            (finding.id.as_str(), finding.detail.as_str()),
            ("shop/sentry/backend#cron:dump-production", "last told of itself 9 h ago, expected in 9 h")
        );
        assert!(finding.explanation.iter().any(|term| term.name == "next expected"));
        one.crons = Some((at(), Jobs::default()));
        assert_eq!(told(&one, &World::default()), []);
    }

    #[test]
    fn what_the_tracker_did_not_keep_is_told_with_its_numbers() {
        let dropped = |outcome: &str, events: u64| Dropped { outcome: outcome.into(), reason: Some("key_quota".into()), events };
        let of = |accepted: u64, dropped: Vec<Dropped>| {
            let mut one = tracker();
            one.intake = Some((at(), Intake { hours: 24, accepted, dropped, of: "shop".into() }));
            told(&one, &World::default())
        };
        assert_eq!(of(1_000, vec![dropped("filtered", 90)]), []);
        assert_eq!(of(100_000, vec![dropped("rate_limited", 5)]), [(Severity::Info, "5 errors of shop were not kept, 0.0 % of all".to_owned())]);
        assert_eq!(
            of(900, vec![dropped("rate_limited", 100), dropped("filtered", 5)]),
            [(Severity::Warning, "100 errors of shop were not kept, 10.0 % of all".to_owned())]
        );
        assert_eq!(of(100, vec![dropped("filtered", 300)]), [(Severity::Info, "300 errors of shop were filtered, 75.0 % of all".to_owned())]);
        assert_eq!(of(0, vec![]), []);
    }

    #[test]
    fn a_deploy_that_brought_several_issues_is_told_once_with_its_commits() {
        let issue = |id: &str, minutes: i64, state: IssueState| Issue {
            id: id.into(),
            short_id: format!("SHOP-{id}"),
            title: "KeyError: 'a'".into(),
            culprit: None,
            level: crate::domain::Level::Error,
            events: 4,
            users: Some(12),
            first_seen: Some(at() - chrono::Duration::minutes(minutes)),
            last_seen: Some(at()),
            state,
            permalink: None,
            hours: vec![],
            unhandled: None,
            assignee: None,
            priority: None,
            first_release: None,
        };
        let mut one = tracker();
        let items = vec![
            issue("1", 5, IssueState::Ongoing),
            issue("2", 3, IssueState::Ongoing),
            issue("3", 90, IssueState::Ongoing),
            issue("4", 2, IssueState::Resolved),
        ];
        one.issues = Some((at(), Issues { total: 4, items, ..Issues::default() }));
        let deployed = at() - chrono::Duration::minutes(14);
        let commit = crate::domain::Commit { id: "8f3c1d2a77".into(), title: "Prices".into(), author: Some("mara".into()), at: None };
        let release = Release {
            version: "shop@v214".into(),
            short: Some("v214".into()),
            created_at: Some(deployed),
            released_at: None,
            deploys: vec![],
            commits: vec![commit],
            commit_count: 1,
            new_issues: 2,
            issues: vec![Brought { id: "1".into(), short_id: "SHOP-1".into(), title: "x".into() }],
        };
        one.releases = Some((at(), Releases { items: vec![release], environment: None }));
        let world =
            World { sites: vec![SiteState { name: "shop".into(), release: Some(("v214".into(), deployed)), ..SiteState::default() }], ..World::default() };
        let all = found(&one, &world);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!((all[0].severity, all[0].title.as_str()), (Severity::Critical, "v214: 2 new issues since its deploy"));
        let Block::Sentences(lines) = &all[0].blocks[0] else { panic!("{all:?}") };
        assert!(lines.contains(&"SHOP-2  KeyError: 'a'".to_owned()) && lines.contains(&"8f3c1d2a mara  Prices".to_owned()), "{lines:?}");
        // Without a deploy there is nothing to compare with.
        assert_eq!(told(&one, &World::default()), []);
        assert!(RULES.iter().all(|rule| !rule.words().is_empty()));
    }
}
