//! `rounds baseline`: "accept the present, tell me what changes". Each finding comes back when it becomes worse or its evidence is new.

use super::{Context, Exit, Failure, load, record};
use crate::app::person;
use crate::domain::{Acknowledgement, Bound, FindingId, Transition, TransitionKind};
use crate::io::clock;
use crate::report::clean;

/// The reason that tells it from what a person took by name.
const WHY: &str = "baseline";

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Give back all that was accepted so
    #[arg(long)]
    pub undo: bool,
}

/// Writes it to the journal.
///
/// # Errors
/// A wrong configuration, a journal that cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    record::allowed(context)?;
    let config = load::config(context)?;
    let (now, by) = (clock::now(), person());
    let snapshot = record::snapshot(context);
    let watched = |id: &FindingId| config.sources.iter().any(|entry| entry.id.as_str() == id.about_what());
    let mut lines = String::new();
    let changes: Vec<(FindingId, Option<Acknowledgement>)> = if args.undo {
        snapshot.acknowledgements.into_iter().filter(|(id, ack)| ack.why == WHY && watched(id)).map(|(id, _)| (id, None)).collect()
    } else {
        let state = record::present(&config, &snapshot, |_| true)?;
        let open = state.world.findings.iter().filter(|finding| finding.acknowledged.is_none());
        open.map(|finding| {
            lines.push_str(&format!("  {} {}: {}\n", finding.severity.word(), finding.id, clean(&finding.title)));
            let ack = Acknowledgement { by: by.clone(), why: WHY.to_owned(), at: now, until: None, bound: Some(Bound::of(finding)) };
            (finding.id.clone(), Some(ack))
        })
        .collect()
    };
    let count = match changes.len() {
        0 if args.undo => return nothing(context, "nothing was accepted by a baseline\n"),
        0 => return nothing(context, "there is nothing to accept: no finding is open\n"),
        1 => "1 finding".to_owned(),
        n => format!("{n} findings"),
    };
    let sentence = if args.undo { format!("{by} gave back the baseline: {count}") } else { format!("{by} accepted the present: {count}") };
    let site = context.global.site.clone().unwrap_or_default();
    record::keep(&config, context, |journal| {
        for (id, ack) in changes {
            journal.keep_acknowledgement(id, ack);
        }
        journal.keep_transition(Transition { at: now, site, source: None, kind: TransitionKind::Note, sentence });
    })?;
    let said = if args.undo { format!("given back: {count}\n") } else { format!("accepted {count}; worse or new brings them back\n{lines}") };
    context.print(&said)?;
    Ok(Exit::OK)
}

fn nothing(context: &Context, said: &str) -> Result<Exit, Failure> {
    context.print(said)?;
    Ok(Exit::OK)
}
