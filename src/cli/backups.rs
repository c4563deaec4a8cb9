//! `rounds backups`: the backups page as a verb: each data set against its promise.

use super::{Context, Exit, Failure, check};
use crate::app::pass;
use crate::domain::time::parse_duration;
use crate::domain::{Capability, SourceError, Status};
use crate::io::clock;
use crate::report::{json, tables};

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these data sets: site/kind/name, or all of a site or of a site/kind
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Print one JSON document, one item for each data set
    #[arg(long)]
    pub json: bool,
    /// How long looking may take
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    pub timeout: std::time::Duration,
}

/// Looks once and prints how the data sets stand.
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
    config.sources.retain(|entry| entry.config.spec(&entry.context).capability == Capability::Backup);
    let state = pass::once(&config, args.timeout, None)?;
    // Nothing was looked at, which is not the same as nothing found.
    let nothing = state.world.sources.is_empty().then(|| SourceError::nothing("no backup is watched: nothing was looked at", "write [site.NAME.files.NAME]"));
    let text = if args.json {
        json::line(&json::items(state.world.sources.values().map(json::backup_item).collect(), clock::now()).unless(nothing.as_ref()))?
    } else {
        tables::backups(&state.world, clock::now(), context.signs())
    };
    context.print(&text)?;
    // What could not be looked at is a failure of this verb, not a verdict about the site.
    let unseen = state.world.sources.values().any(|source| source.status == Status::Unknown);
    Ok(Exit(u8::from(unseen || nothing.is_some())))
}
