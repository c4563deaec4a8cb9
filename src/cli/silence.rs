//! `rounds silence SITE --for 30m --why …`: a maintenance window. It ends by itself.

use std::time::Duration;

use super::{Context, Exit, Failure, load, record};
use crate::app::person;
use crate::domain::time::{human, parse_duration, rfc3339};
use crate::domain::{Acknowledgement, FindingId, Transition, TransitionKind};
use crate::io::clock;

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site
    #[arg(value_name = "SITE")]
    pub site: String,
    /// For how long: 30m, 2h
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration, required_unless_present = "undo")]
    pub time: Option<Duration>,
    /// Why
    #[arg(long, value_name = "TEXT", required_unless_present = "undo")]
    pub why: Option<String>,
    /// End it now
    #[arg(long, conflicts_with_all = ["time", "why"])]
    pub undo: bool,
}

/// Writes it to the journal.
///
/// # Errors
/// A wrong configuration, no such site, a journal that cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    record::allowed(context)?;
    let config = load::config(context)?;
    let (now, by) = (clock::now(), person());
    let site = record::site(&args.site, &config)?;
    let id = FindingId::maintenance(&site);
    let (window, sentence, said) = if args.undo {
        let open = record::snapshot(context).acknowledgements.iter().any(|(known, ack)| *known == id && ack.until.is_none_or(|until| until > now));
        if !open {
            return Err(Failure::Usage(format!("{site} is not in maintenance")));
        }
        (None, format!("{by} ended the maintenance window"), format!("{site} is judged again\n"))
    } else {
        let why = record::reason(args.why.as_deref().unwrap_or_default())?;
        let time = args.time.unwrap_or_default();
        let until = chrono::Duration::from_std(time).ok().and_then(|time| now.checked_add_signed(time)).filter(|until| *until > now);
        let Some(until) = until else { return Err(Failure::Usage("--for needs a time such as 30m".to_owned())) };
        let sentence = format!("{by} opened a maintenance window for {}: {why}", human(time));
        (
            Some(Acknowledgement { by: by.clone(), why, at: now, until: Some(until), bound: None }),
            sentence,
            format!("{site} is in maintenance until {}\n", rfc3339(until)),
        )
    };
    let kind = TransitionKind::Acknowledged { finding: id.clone(), by, until: window.as_ref().and_then(|window| window.until) };
    record::keep(&config, context, |journal| {
        journal.keep_acknowledgement(id, window);
        journal.keep_transition(Transition { at: now, site, source: None, kind, sentence });
    })?;
    context.print(&said)?;
    Ok(Exit::OK)
}
