//! Was a copy ever restored, does the tool look at what it keeps, and how did that go?

use crate::backups::schedule::{self, Job, due_at, long, slack};
use crate::domain::time::since;
use crate::domain::{Backup, Block, Finding, Severity, SourceId, Term, Timestamp};
use crate::rules::{Answer, Context, Rule, finding};
use crate::state::{SourceState, tries};

/// A restore that failed, is late, or was never made.
#[derive(Debug)]
pub struct Drills;

/// A check that failed, is late, or was never made.
#[derive(Debug)]
pub struct Checks;

/// Whether a restore or a check is past its date by more than is granted.
#[must_use]
pub fn is_late(source: &SourceState, backup: &Backup, job: Job, now: Timestamp) -> bool {
    late(source, backup, job, now).is_some()
}

/// When a job was due that is late.
fn late(source: &SourceState, backup: &Backup, job: Job, now: Timestamp) -> Option<Timestamp> {
    let due = due_at(source, job)?;
    let slack = chrono::TimeDelta::from_std(slack(job.every(backup)?)).unwrap_or_default();
    (now > due + slack).then_some(due)
}

/// The date of a job that comes within a week, or a quarter of its interval where that is less.
fn soon(source: &SourceState, backup: &Backup, job: Job, now: Timestamp) -> Option<Timestamp> {
    let due = due_at(source, job)?;
    let ahead = chrono::TimeDelta::from_std(job.every(backup)? / 4).unwrap_or_default().min(chrono::TimeDelta::days(7));
    (due <= now + ahead).then_some(due)
}

fn terms(source: &SourceState, backup: &Backup, job: Job, now: Timestamp) -> Vec<Term> {
    let ago = |at: Timestamp| format!("{} ago", long(since(at, now)));
    let last = job.last(backup).map_or_else(|| "never".to_owned(), |(at, _)| ago(at));
    let mut terms = vec![Term::new(format!("last {}", job.word()), last, "")];
    if let Some(every) = job.every(backup) {
        terms.push(Term::new("promised every", long(every), format!("late past {} more", long(slack(every)))));
    } else {
        terms.push(Term::new("promised", "no", "`every` makes it a promise"));
    }
    if let Some(due) = due_at(source, job) {
        terms.push(Term::new(
            "due",
            if due > now { format!("in {}", long(since(now, due))) } else { ago(due) },
            "an interval after the last, or after it was first seen",
        ));
    }
    terms
}

/// The data sets of a site that could be tried, were not, and of which nothing is promised; told by the first of them, once for all.
fn never<'a>(source: &'a SourceState, context: Context<'a>, job: Job) -> Option<Vec<&'a SourceState>> {
    let world = context.world;
    let can = |source: &SourceId| tries::id(job, source).is_some_and(|id| world.tries.iter().any(|spec| spec.id == id));
    let untried = |other: &&SourceState| {
        let backup = other.backup.as_ref().map(|(_, backup)| backup);
        other.spec.id.site() == source.spec.id.site()
            && other.spec.enabled
            && can(&other.spec.id)
            && backup
                .is_some_and(|b| b.last_success.is_some() && job.last(b).is_none() && job.every(b).is_none() && (job == Job::Drill || b.checked_at.is_none()))
    };
    let all: Vec<&SourceState> = world.sources.values().filter(untried).collect();
    (all.first()?.spec.id == source.spec.id).then_some(all)
}

/// What is said once for a site.
fn told_once(source: &SourceState, context: Context<'_>, job: Job, rule: &str, what: &str, how: &str) -> Option<Finding> {
    let all = never(source, context, job)?;
    let title = match all.as_slice() {
        [one] => format!("Backup {} was never {what}", one.spec.title),
        several => format!("{} backups of {} were never {what}", several.len(), source.spec.id.site()),
    };
    let mut found = finding(&source.spec.id, rule, Severity::Info, source.since.unwrap_or(context.now).min(context.now), title);
    found.detail = how.to_owned();
    found.evidence = all.iter().map(|source| source.spec.id.within_site()).collect::<Vec<_>>().join(" ");
    found.blocks = vec![Block::Sentences(all.iter().map(|source| source.spec.id.to_string()).chain([how.to_owned()]).collect())];
    Some(found)
}

impl Rule for Drills {
    fn id(&self) -> &'static str {
        "drill"
    }

    fn words(&self) -> &'static str {
        "critical when the last restore into a scratch place failed; warning when the next is late (a tenth of `drill.every`, two days at most, are granted); info in the week before it is due, and once a site where none is promised"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some((_, backup)) = &source.backup else { return Answer::NotYet(Vec::new()) };
        let now = context.now;
        let terms = terms(source, backup, Job::Drill, now);
        let title = &source.spec.title;
        let mut lines: Vec<String> = schedule::words(source, now).into_iter().collect();
        let mut found = if let Some(drill) = backup.drill.as_ref().filter(|drill| !drill.ok) {
            let why = drill.problem.clone().unwrap_or_else(|| "an assertion did not hold".to_owned());
            lines.extend(drill.assertions.iter().map(|a| format!("{} {}: {}", if a.ok { "holds" } else { "fails" }, a.name, a.seen)));
            let mut found = finding(&source.spec.id, self.id(), Severity::Critical, drill.at.min(now), format!("Restore of {title} failed: {why}"));
            found.evidence = "failed".to_owned();
            found
        } else if let Some(due) = late(source, backup, Job::Drill, now) {
            let by = long(since(due, now));
            let text = match &backup.drill {
                Some(_) => format!("Restore drill of {title} is {by} late"),
                None => format!("Backup {title} was never restored, {by} late"),
            };
            let mut found = finding(&source.spec.id, self.id(), Severity::Warning, due.min(now), text);
            found.evidence = "late".to_owned();
            found.due = Some(due);
            found
        } else if let Some(due) = soon(source, backup, Job::Drill, now) {
            let mut found = finding(&source.spec.id, self.id(), Severity::Info, now, format!("Restore drill of {title} is due"));
            found.evidence = "due".to_owned();
            found.due = Some(due);
            found
        } else {
            let how = "`drill = { every = \"30d\" }` lets `rounds watch` try it; `rounds drill` tries it now";
            match told_once(source, context, Job::Drill, self.id(), "restored", how) {
                Some(found) => found,
                None => return Answer::Ok(terms),
            }
        };
        found.explanation = terms;
        found.runbook.clone_from(&source.spec.runbook);
        if found.blocks.is_empty() {
            found.detail = lines.first().cloned().unwrap_or_default();
            found.blocks = vec![Block::Sentences(lines)];
        }
        Answer::Firing(vec![found])
    }
}

impl Rule for Checks {
    fn id(&self) -> &'static str {
        "check"
    }

    fn words(&self) -> &'static str {
        "critical when the tool's last check of what it keeps failed; warning when the next is late (a tenth of `check.every`, two days at most, are granted); info, once a site, where the tool could and none is promised"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some((_, backup)) = &source.backup else { return Answer::NotYet(Vec::new()) };
        let now = context.now;
        let terms = terms(source, backup, Job::Check, now);
        let title = &source.spec.title;
        // Where the look itself tells of it, the rule of the promises does.
        let told = backup.complaints.iter().any(|complaint| complaint.starts_with("failed its check"));
        let mut found = if let Some(check) = backup.check.as_ref().filter(|check| !check.ok && !told) {
            let said = if check.message.is_empty() { &check.depth } else { &check.message };
            let mut found = finding(&source.spec.id, self.id(), Severity::Critical, check.at.min(now), format!("Check of {title} failed: {said}"));
            found.evidence = "failed".to_owned();
            found.blocks = vec![Block::Sentences(vec![format!("{}: {said}", check.depth)])];
            found
        } else if let Some(due) = late(source, backup, Job::Check, now) {
            let by = long(since(due, now));
            let text = match &backup.check {
                Some(_) => format!("Check of {title} is {by} late"),
                None => format!("Backup {title} was never checked, {by} late"),
            };
            let mut found = finding(&source.spec.id, self.id(), Severity::Warning, due.min(now), text);
            found.evidence = "late".to_owned();
            found.due = Some(due);
            found
        } else {
            let how = "`check = { every = \"7d\" }` lets `rounds watch` do it; `rounds backups check` does it now";
            match told_once(source, context, Job::Check, self.id(), "checked", how) {
                Some(found) => found,
                None => return Answer::Ok(terms),
            }
        };
        found.explanation = terms;
        found.runbook.clone_from(&source.spec.runbook);
        Answer::Firing(vec![found])
    }
}
