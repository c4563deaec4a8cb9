//! `rounds logs`: the logs page as a verb: what is in the logs now, by level and group.

use super::{Context, Exit, Failure, check};
use crate::app::pass;
use crate::domain::time::parse_duration;
use crate::domain::{Capability, SourceError, Status};
use crate::io::clock;
use crate::report::{json, text};

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these logs: site/log/name, or all of a site
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Print one JSON document, one item for each log
    #[arg(long)]
    pub json: bool,
    /// How many of the newest events to print of each log
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub lines: usize,
    /// How long reading may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub timeout: std::time::Duration,
}

/// Reads the logs once and prints what is in them.
///
/// # Errors
/// A wrong configuration; with `--json` it is in the document as well.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut config = match check::configured(&args.ids, context) {
        Ok(config) => config,
        Err(failure) => {
            if args.json {
                context.print(&json::line(&json::no_items(&failure.as_source_error(), clock::now()))?)?;
            }
            return Err(failure);
        }
    };
    config.sources.retain(|entry| entry.config.spec(&entry.context).capability == Capability::Log);
    let state = pass::once(&config, args.timeout, None)?;
    // Nothing was looked at, which is not the same as nothing found.
    let nothing = state.world.sources.is_empty().then(|| SourceError::nothing("no log is watched: nothing was read", "write [site.NAME.log.NAME]"));
    let text = if args.json {
        json::line(&json::items(state.world.sources.values().map(json::log_item).collect(), clock::now()).unless(nothing.as_ref()))?
    } else {
        text::logs(&state.world, clock::now(), args.lines, context.signs())
    };
    context.print(&text)?;
    // A log that could not be read is a failure of this verb, not a verdict about the site.
    let unread = state.world.sources.values().any(|source| source.status == Status::Unknown);
    Ok(Exit(u8::from(unread || nothing.is_some())))
}
