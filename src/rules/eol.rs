//! Is what this stands on still supported, and until when? One finding for each release that has ended or is about to.

use chrono::{Datelike, NaiveDate};

use super::{Answer, Context, Rule, finding};
use crate::domain::{Block, FindingId, LifeLine, Phase, Severity, Term};
use crate::state::SourceState;

/// Days before the end from which on it is told.
const TOLD: i64 = 180;
/// Days before the end from which on it is a warning.
const WARNED: i64 = 90;

/// Ends of support.
#[derive(Debug)]
pub struct EndOfLife;

fn date(day: NaiveDate) -> String {
    day.format("%-d %b %Y").to_string()
}

/// What to move to, as a sentence.
fn after(line: &LifeLine) -> Option<String> {
    let word = |lts: bool| if lts { " LTS" } else { "" };
    if let Some(next) = &line.next {
        let until = next.security_until.map_or(String::new(), |until| format!(", supported until {}", date(until)));
        return Some(format!("{} {}{} is out{until}", line.label, next.cycle, word(next.lts)));
    }
    coming(line)
}

fn coming(line: &LifeLine) -> Option<String> {
    let coming = line.coming.as_ref()?;
    // The first of a month stands for one whose day is not set.
    let month = |at: NaiveDate| format!("in {}", at.format("%B %Y"));
    let at = coming.at.map_or_else(|| "later".to_owned(), |at| if at.day() == 1 { month(at) } else { format!("on {}", date(at)) });
    Some(format!("the next{} is {}, {at}", if coming.lts { " LTS" } else { "" }, coming.cycle))
}

/// Whether a source of its own of the same site names this release: it is told once.
fn is_named(source: &SourceState, line: &LifeLine, context: Context<'_>) -> bool {
    source.spec.id.kind() != "eol"
        && context.world.sources.values().any(|other| {
            let lines = other.life.as_ref().map(|(_, lines)| lines.items.as_slice()).unwrap_or_default();
            let same = |one: &LifeLine| one.product == line.product && one.cycle == line.cycle;
            other.spec.id.kind() == "eol" && other.spec.id.site() == source.spec.id.site() && lines.iter().any(same)
        })
}

impl Rule for EndOfLife {
    fn id(&self) -> &'static str {
        "eol"
    }

    fn words(&self) -> &'static str {
        "warning when a release is supported no longer or for less than 90 days, info from 180 days on; versions that do not go together are a warning"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some((_, lines)) = &source.life else { return Answer::NotYet(Vec::new()) };
        let today = context.now.date_naive();
        let dates = lines.dates_at.map_or_else(
            || "not known".to_owned(),
            |at| format!("of {}{}", date(at.date_naive()), if lines.embedded { ", some came with rounds" } else { "" }),
        );
        let mut found = Vec::new();
        for line in lines.items.iter().filter(|line| !is_named(source, line, context)) {
            let phase = line.phase(today);
            let left = line.security_until.map(|end| (end - today).num_days());
            let misfit = line.conflicts.iter().find(|one| one.contains(" is for "));
            let end = line.security_until.map_or_else(|| "at a day that is not known".to_owned(), date);
            let (severity, title) = match (phase, left) {
                (Phase::Ended, _) => (Severity::Warning, format!("{} ended {end}", line.title())),
                (_, Some(left)) if left < WARNED => (Severity::Warning, format!("{} ends {end}", line.title())),
                (_, Some(left)) if left < TOLD => (Severity::Info, format!("{} ends {end}", line.title())),
                _ => match misfit {
                    Some(misfit) => (Severity::Warning, misfit.clone()),
                    None => continue,
                },
            };
            let since = line.security_until.filter(|_| phase == Phase::Ended).and_then(|end| end.and_hms_opt(0, 0, 0)).map(|at| at.and_utc());
            let mut one = finding(&source.spec.id, self.id(), severity, since.or(source.since).unwrap_or(context.now), title);
            one.id = FindingId::about(&source.spec.id, self.id(), &format!("{}-{}", line.product, line.cycle.as_deref().unwrap_or("unknown")));
            one.due = line.security_until.and_then(|end| end.and_hms_opt(0, 0, 0)).map(|at| at.and_utc());
            one.detail = after(line).unwrap_or_else(|| "nothing newer is known".to_owned());
            one.evidence = format!("{} {}", line.version, phase.word());
            one.runbook.clone_from(&source.spec.runbook);
            let mut sentences = vec![format!("{} {} is used, seen in {}", line.label, line.version, line.seen)];
            sentences.extend(after(line));
            sentences.extend(coming(line).filter(|_| line.next.is_some()));
            sentences.extend(line.conflicts.iter().cloned());
            one.blocks = vec![Block::Sentences(sentences)];
            one.explanation = vec![
                Term::new("today", date(today), phase.word()),
                Term::new("end", end, format!("warning from {WARNED} days before on, info from {TOLD}")),
                Term::new("dates", dates.clone(), "endoflife.date, or what `url` names"),
            ];
            found.push(one);
        }
        if found.is_empty() {
            return Answer::Ok(vec![Term::new("releases", lines.items.len().to_string(), "all supported for longer"), Term::new("dates", dates, "")]);
        }
        Answer::Firing(found)
    }
}
