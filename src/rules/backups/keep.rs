//! Where copies lie and what happens to the place: one place only, a disk that fills, a lock that stayed, jobs that run into each other,
//! a run that failed.

use chrono::TimeDelta;

use crate::backups::schedule::long;
use crate::domain::time::since;
use crate::domain::{Backup, Block, Capability, Severity, Term, Timestamp, size_text};
use crate::rules::{Answer, Context, Rule, finding};
use crate::state::SourceState;

/// A disk that is full within this is worth a word; within the second, a call.
const SOON: TimeDelta = TimeDelta::days(14);
const NOW: TimeDelta = TimeDelta::days(3);
/// A lock that is held for longer is told, though its holder may live.
const HELD: TimeDelta = TimeDelta::hours(24);
/// Jobs that overlap by less do not.
const OVERLAP: TimeDelta = TimeDelta::minutes(1);
/// Runs older than this say nothing of how it is now.
const RECENT: TimeDelta = TimeDelta::hours(48);

/// The last run of the job failed.
#[derive(Debug)]
pub struct Failed;

/// All copies in one place, or on the machine that they protect.
#[derive(Debug)]
pub struct Places;

/// The disk of the copies fills.
#[derive(Debug)]
pub struct Space;

/// A lock that stayed.
#[derive(Debug)]
pub struct Locks;

/// Jobs of one site that run at the same time.
#[derive(Debug)]
pub struct Overlap;

fn of(source: &SourceState) -> Option<&Backup> {
    source.backup.as_ref().map(|(_, backup)| &**backup)
}

impl Rule for Failed {
    fn id(&self) -> &'static str {
        "job"
    }

    fn words(&self) -> &'static str {
        "warning when the last run of the job that makes copies failed"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(backup) = of(source) else { return Answer::NotYet(Vec::new()) };
        let at = |run: &crate::domain::JobRun| run.ended.or(run.started);
        // One that runs now says nothing yet.
        let last = backup.runs.iter().rev().find(|run| run.ok.is_some()).or(backup.last_failure.as_ref()).filter(|run| run.ok == Some(false));
        // A copy that came after it is the better news.
        let Some(run) = last.filter(|run| at(run).is_none_or(|at| backup.last_success.is_none_or(|good| good < at))) else {
            return Answer::Ok(vec![Term::new("last run", backup.runs.last().map_or("not known", |_| "did not fail"), "")]);
        };
        let when = at(run).unwrap_or(context.now).min(context.now);
        let why = if run.message.is_empty() { String::new() } else { format!(": {}", run.message) };
        let mut found = finding(&source.spec.id, self.id(), Severity::Warning, when, format!("The last run of backup {} failed{why}", source.spec.title));
        found.evidence = "failed".to_owned();
        found.explanation = vec![Term::new("last run", format!("{} ago", long(since(when, context.now))), "failed")];
        found.blocks = vec![Block::Sentences(vec![if run.message.is_empty() { "it said nothing of itself".to_owned() } else { run.message.clone() }])];
        found.runbook.clone_from(&source.spec.runbook);
        Answer::Firing(vec![found])
    }
}

impl Rule for Places {
    fn id(&self) -> &'static str {
        "places"
    }

    fn words(&self) -> &'static str {
        "warning when every copy is on the machine that it protects; info, once a site, when the copies of a data set are in one place only"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(backup) = of(source) else { return Answer::NotYet(Vec::new()) };
        if backup.places.is_empty() {
            return Answer::NotYet(vec![Term::new("places", "not known", "")]);
        }
        let near = |backup: &Backup| backup.places.iter().all(|place| place.same_machine == Some(true));
        let names = |backup: &Backup| backup.places.iter().map(|place| place.name.clone()).collect::<Vec<_>>().join(", ");
        let terms = vec![
            Term::new("places", backup.places.len().to_string(), names(backup)),
            Term::new("on the machine itself", backup.places.iter().filter(|place| place.same_machine == Some(true)).count().to_string(), "lost with it"),
        ];
        let since = source.since.unwrap_or(context.now).min(context.now);
        if near(backup) {
            let text = format!("Backup {} is only on the machine it protects", source.spec.title);
            let mut found = finding(&source.spec.id, self.id(), Severity::Warning, since, text);
            found.evidence = "near".to_owned();
            found.explanation = terms;
            found.detail = format!("{}: lost with the machine", names(backup));
            found.blocks = vec![Block::Sentences(vec![found.detail.clone(), "a copy elsewhere survives it".to_owned()])];
            return Answer::Firing(vec![found]);
        }
        let site = source.spec.id.site();
        let single = |other: &&SourceState| {
            other.spec.id.site() == site && other.spec.enabled && of(other).is_some_and(|backup| backup.places.len() == 1 && !near(backup))
        };
        let all: Vec<&SourceState> = context.world.sources.values().filter(single).collect();
        if all.first().is_none_or(|first| first.spec.id != source.spec.id) {
            return Answer::Ok(terms);
        }
        let text = match all.as_slice() {
            [one] => format!("Backup {} is in one place only", one.spec.title),
            several => format!("{} backups of {site} are in one place only", several.len()),
        };
        let mut found = finding(&source.spec.id, self.id(), Severity::Info, since, text);
        found.evidence = all.iter().map(|source| source.spec.id.within_site()).collect::<Vec<_>>().join(" ");
        found.explanation = terms;
        let lines = all.iter().filter_map(|source| Some(format!("{}: {}", source.spec.id, names(of(source)?))));
        found.detail = "three copies, on two kinds of storage, one of them elsewhere".to_owned();
        found.blocks = vec![Block::Sentences(lines.chain([found.detail.clone()]).collect())];
        Answer::Firing(vec![found])
    }
}

impl Rule for Space {
    fn id(&self) -> &'static str {
        "space"
    }

    fn words(&self) -> &'static str {
        "warning when the disk of the copies is full within 14 days at the rate of the past; critical within 3 days"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(backup) = of(source) else { return Answer::NotYet(Vec::new()) };
        let mut terms: Vec<Term> = Vec::new();
        terms.extend(backup.free_bytes.map(|free| Term::new("free", size_text(free), "where the copies lie")));
        terms.extend(backup.repository_bytes.map(|size| Term::new("taken", size_text(size), "by the copies")));
        let Some(full) = backup.full_on else { return Answer::NotYet(terms) };
        let left = full - context.now;
        terms.push(Term::new("full on", full.format("%-d %b %Y").to_string(), "at the rate of the past"));
        if left > SOON {
            return Answer::Ok(terms);
        }
        let severity = if left <= NOW { Severity::Critical } else { Severity::Warning };
        let when = if left <= TimeDelta::zero() { "is full".to_owned() } else { format!("is full in {}", long(since(context.now, full))) };
        let mut found = finding(&source.spec.id, self.id(), severity, context.now, format!("The disk of backup {} {when}", source.spec.title));
        found.evidence = "full".to_owned();
        found.due = Some(full);
        found.detail = backup.place.clone();
        found.blocks = vec![Block::Sentences(terms.iter().map(|term| format!("{}: {}", term.name, term.value)).collect())];
        found.explanation = terms;
        found.runbook.clone_from(&source.spec.runbook);
        Answer::Firing(vec![found])
    }
}

impl Rule for Locks {
    fn id(&self) -> &'static str {
        "lock"
    }

    fn words(&self) -> &'static str {
        "warning when a lock stayed whose holder has ended, or one is held for longer than a day"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(backup) = of(source) else { return Answer::NotYet(Vec::new()) };
        let held = |at: Option<Timestamp>| at.is_some_and(|at| context.now - at > HELD);
        let Some(lock) = backup.locks.iter().find(|lock| lock.stale).or_else(|| backup.locks.iter().find(|lock| held(lock.since))) else {
            return Answer::Ok(vec![Term::new("locks", backup.locks.len().to_string(), "")]);
        };
        let for_long = lock.since.map_or_else(String::new, |at| format!(" for {}", long(since(at, context.now))));
        let text =
            if lock.stale { format!("A stale lock is on backup {}", source.spec.title) } else { format!("Backup {} is locked{for_long}", source.spec.title) };
        let begin = lock.since.or(source.since).unwrap_or(context.now).min(context.now);
        let mut found = finding(&source.spec.id, self.id(), Severity::Warning, begin, text);
        found.evidence = format!("{} {}", if lock.stale { "stale" } else { "held" }, lock.holder.replace(' ', "_"));
        found.detail = format!("held by {}{for_long}{}", lock.holder, if lock.stale { "; it has ended" } else { "" });
        found.explanation = vec![Term::new("lock", lock.holder.clone(), if lock.stale { "its holder has ended" } else { "told past a day" })];
        found.blocks = vec![Block::Sentences(vec![found.detail.clone()])];
        found.runbook.clone_from(&source.spec.runbook);
        Answer::Firing(vec![found])
    }
}

/// The last runs of a job: from when to when.
#[must_use]
pub fn spans(backup: &Backup, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let runs = backup.runs.iter().filter_map(|run| Some((run.started?, run.ended.unwrap_or(now))));
    let copies = backup.copies.iter().filter_map(|copy| Some((copy.started?, copy.at)));
    let mut all: Vec<(Timestamp, Timestamp)> = if backup.runs.iter().any(|run| run.started.is_some()) { runs.collect() } else { copies.collect() };
    all.retain(|(from, to)| from <= to && *to > now - RECENT && *from <= now);
    all.sort_unstable();
    all
}

/// The newest time at which two jobs ran together.
#[must_use]
pub fn together(a: &Backup, b: &Backup, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let (a, b) = (spans(a, now), spans(b, now));
    let both = a.iter().flat_map(|one| b.iter().map(move |other| (one.0.max(other.0), one.1.min(other.1))));
    both.filter(|(from, to)| *to - *from >= OVERLAP).max()
}

impl Rule for Overlap {
    fn id(&self) -> &'static str {
        "overlap"
    }

    fn words(&self) -> &'static str {
        "info when backup jobs of one site ran at the same time for a minute or more within the last two days"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some(backup) = of(source) else { return Answer::NotYet(Vec::new()) };
        let runs = spans(backup, context.now);
        if runs.is_empty() {
            return Answer::NotYet(vec![Term::new("runs of two days", "not known", "")]);
        }
        // Each pair is told once: by the one that comes first.
        let later = context
            .world
            .sources
            .values()
            .filter(|other| other.spec.id.site() == source.spec.id.site() && other.spec.id > source.spec.id && other.spec.capability == Capability::Backup);
        let met: Vec<(&str, (Timestamp, Timestamp))> =
            later.filter_map(|other| Some((other.spec.title.as_str(), together(backup, of(other)?, context.now)?))).collect();
        let terms =
            vec![Term::new("runs of two days", runs.len().to_string(), ""), Term::new("others at the same time", met.len().to_string(), "a minute or more")];
        let Some((_, (from, _))) = met.first() else { return Answer::Ok(terms) };
        let names: Vec<&str> = met.iter().map(|(name, _)| *name).collect();
        let text = format!("Backups {} and {} run at the same time", source.spec.title, names.join(", "));
        let mut found = finding(&source.spec.id, self.id(), Severity::Info, (*from).min(context.now), text);
        found.evidence = names.iter().map(|name| name.replace(' ', "_")).collect::<Vec<_>>().join(" ");
        found.explanation = terms;
        let lines = met
            .iter()
            .map(|(name, (from, to))| format!("{} and {name}: {} min from {} UTC on", source.spec.title, (*to - *from).num_minutes(), from.format("%H:%M")));
        found.blocks = vec![Block::Sentences(lines.collect())];
        found.detail = "each slows the other; start one when the other has ended".to_owned();
        Answer::Firing(vec![found])
    }
}
