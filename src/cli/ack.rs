//! `rounds ack ID --why …`: takes a finding, or gives it back. Dashboards that run show it within a second.

use super::record::{self, moment};
use super::{Context, Exit, Failure, load};
use crate::app::person;
use crate::config::model::Config;
use crate::domain::{Acknowledgement, Bound, Finding, FindingId, SourceId, Timestamp, Transition, TransitionKind};
use crate::io::clock;
use crate::report::clean;

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The finding (site/kind/name#rule, as `check --json` names it), or a source with one finding
    #[arg(value_name = "ID")]
    pub id: String,
    /// Why it needs nobody else
    #[arg(long, value_name = "TEXT", required_unless_present = "undo")]
    pub why: Option<String>,
    /// For so long, or until then: 2h, 2026-12-01, 2026-12-01T18:00; without it, until it is over
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Give it back
    #[arg(long, conflicts_with_all = ["why", "until"])]
    pub undo: bool,
}

/// Writes it to the journal.
///
/// # Errors
/// A wrong configuration, no such finding, a moment that is over, a journal that cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    record::allowed(context)?;
    let config = load::config(context)?;
    let now = clock::now();
    if args.undo { give_back(args, &config, context, now) } else { take(args, &config, context, now) }
}

fn take(args: &Args, config: &Config, context: &Context, now: Timestamp) -> Result<Exit, Failure> {
    let why = record::reason(args.why.as_deref().unwrap_or_default())?;
    let until = args.until.as_deref().map(|text| moment(text, config, now)).transpose()?;
    let source = source_of(&args.id, config)?;
    let state = record::present(config, &record::snapshot(context), |id| *id == source)?;
    let found: Vec<&Finding> = state.world.findings.iter().filter(|finding| finding.id.as_str() == args.id || finding.source.as_str() == args.id).collect();
    let finding = match found.as_slice() {
        [finding] => *finding,
        [] => {
            let others: Vec<&Finding> = state.world.findings.iter().filter(|finding| finding.source == source).collect();
            return Err(Failure::Usage(format!("there is no finding {}; {}", clean(&args.id), listed("there is", &others))));
        }
        several => return Err(Failure::Usage(format!("{} has several findings; {}", clean(&args.id), listed("name one of", several)))),
    };
    let by = person();
    let ack = Acknowledgement { by: by.clone(), why: why.clone(), at: now, until, bound: Some(Bound::of(finding)) };
    record::keep(config, context, |journal| {
        journal.keep_acknowledgement(finding.id.clone(), Some(ack));
        journal.keep_transition(told(&finding.id, &source, &by, until, format!("{by} acknowledged: {why}"), now));
    })?;
    let until = until.map_or_else(|| "until it is over".to_owned(), |until| format!("until {}", crate::domain::time::rfc3339(until)));
    context.print(&format!("acknowledged {}, {until}: {}\n", finding.id, clean(&finding.title)))?;
    Ok(Exit::OK)
}

fn give_back(args: &Args, config: &Config, context: &Context, now: Timestamp) -> Result<Exit, Failure> {
    let source = source_of(&args.id, config)?;
    let taken: Vec<FindingId> = record::snapshot(context)
        .acknowledgements
        .into_iter()
        .map(|(id, _)| id)
        .filter(|id| id.as_str() == args.id || (id.about_what() == source.as_str() && source.as_str() == args.id))
        .collect();
    if taken.is_empty() {
        return Err(Failure::Usage(format!("nobody has {}", clean(&args.id))));
    }
    let by = person();
    record::keep(config, context, |journal| {
        for id in &taken {
            journal.keep_acknowledgement(id.clone(), None);
            journal.keep_transition(told(id, &source, &by, None, format!("{by} gave it back"), now));
        }
    })?;
    let names: Vec<&str> = taken.iter().map(FindingId::as_str).collect();
    context.print(&format!("given back: {}\n", names.join(", ")))?;
    Ok(Exit::OK)
}

/// The configured source that an id is about.
fn source_of(id: &str, config: &Config) -> Result<SourceId, Failure> {
    let about = id.split_once('#').map_or(id, |(source, _)| source);
    let known = config.sources.iter().find(|entry| entry.id.as_str() == about);
    let hint = "`rounds check --json` names the findings, `rounds config show` the sources";
    known.map(|entry| entry.id.clone()).ok_or_else(|| Failure::Usage(format!("no source is named {}: {hint}", clean(about))))
}

fn told(finding: &FindingId, source: &SourceId, by: &str, until: Option<Timestamp>, sentence: String, now: Timestamp) -> Transition {
    let kind = TransitionKind::Acknowledged { finding: finding.clone(), by: by.to_owned(), until };
    Transition { at: now, site: source.site().to_owned(), source: Some(source.clone()), kind, sentence }
}

fn listed(words: &str, findings: &[&Finding]) -> String {
    if findings.is_empty() {
        return "nothing is wrong with it as far as is known".to_owned();
    }
    let names: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
    format!("{words} {}", names.join(", "))
}
