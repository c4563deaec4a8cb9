//! `rounds deps`: the dependencies page as a verb: what is installed, locked and wanted against what is out.

use super::{Context, Exit, Failure, check};
use crate::app::pass;
use crate::domain::time::parse_duration;
use crate::domain::{Capability, SourceError};
use crate::io::clock;
use crate::report::{json, text, verdict};

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these sources: site/kind/name, or all of a site or of a site/kind
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Print one JSON document, one item for each package
    #[arg(long)]
    pub json: bool,
    /// Also the packages that need nothing
    #[arg(long)]
    pub all: bool,
    /// How long asking may take
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = parse_duration)]
    pub timeout: std::time::Duration,
}

/// Asks once and prints what there is; the exit code is that of `check` for these sources.
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
    config.sources.retain(|entry| entry.config.spec(&entry.context).capability == Capability::Packages);
    let state = pass::once(&config, args.timeout, None)?;
    let text = if args.json {
        let items: Vec<_> = state.world.sources.values().flat_map(json::package_items).collect();
        let failed = state.world.sources.values().find_map(|source| source.error.clone());
        match failed.or_else(|| state.world.sources.is_empty().then(nothing)) {
            Some(error) => json::line(&json::items_but(items, &error, clock::now()))?,
            None => json::line(&json::items(items, clock::now()))?,
        }
    } else {
        text::deps(&state.world, args.all, context.signs())
    };
    context.print(&text)?;
    Ok(Exit(verdict(&state.world).exit_code()))
}

/// No source of packages: nothing was scanned, which is not the same as nothing found.
fn nothing() -> SourceError {
    SourceError::nothing("no packages are watched: nothing was scanned", "write [site.NAME.python.NAME] with `manifest` or `venv`")
}
