//! `rounds errors`: the errors page as a verb: the issues of trackers and the error groups of logs, in one list.

use super::{Context, Exit, Failure, check};
use crate::app::pass;
use crate::domain::time::parse_duration;
use crate::domain::{Capability, SourceError, Status};
use crate::io::clock;
use crate::journal::read_snapshot;
use crate::report::{json, tables};

/// Its flags: those of `list`, which is what it does without a word.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub what: Option<What>,
    /// Without one: the list.
    #[command(flatten)]
    pub list: List,
}

/// What can be done with errors.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print the issues of error trackers and the error groups of logs
    List(List),
}

/// Flags of `list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only of these sources: site/kind/name, or all of a site or of a site/kind
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Print one JSON document, one item for each issue
    #[arg(long)]
    pub json: bool,
    /// How long looking may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub timeout: std::time::Duration,
}

/// Looks once and prints the issues.
///
/// # Errors
/// A wrong configuration; with `--json` it is in the document as well.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let args = match &args.what {
        Some(What::List(list)) => list,
        None => &args.list,
    };
    let mut config = match check::configured(&args.ids, context) {
        Ok(config) => config,
        Err(failure) => {
            if args.json {
                context.print(&json::line(&json::no_items(&failure.as_source_error(), clock::now()))?)?;
            }
            return Err(failure);
        }
    };
    config.sources.retain(|entry| matches!(entry.config.spec(&entry.context).capability, Capability::Issues | Capability::Log));
    // What is new or resolved in a log is told by what was known before.
    let known = super::load::state_dir(context).as_deref().and_then(read_snapshot);
    let state = pass::once(&config, args.timeout, known.as_ref())?;
    let sources = || state.world.sources.values();
    // Nothing was looked at, which is not the same as nothing found.
    let nothing = state
        .world
        .sources
        .is_empty()
        .then(|| SourceError::nothing("no error tracker and no log is watched: nothing was asked", "write [site.NAME.sentry.NAME]"));
    let text = if args.json {
        json::line(&json::items(json::error_items(&state.world, clock::now()), clock::now()).and_unknown(sources()).unless(nothing.as_ref()))?
    } else {
        tables::errors(&state.world, clock::now(), context.signs())
    };
    context.print(&text)?;
    // What could not be looked at is a failure of this verb, not a verdict about the site.
    let unseen = sources().any(|source| source.status == Status::Unknown);
    Ok(Exit(u8::from(unseen || nothing.is_some())))
}
