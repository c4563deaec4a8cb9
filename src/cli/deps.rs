//! `rounds deps`: the dependencies page as a verb: what is installed, locked and wanted against what is out.

use super::{Context, Exit, Failure, check};
use crate::app::pass;
use crate::domain::time::parse_duration;
use crate::domain::{Advisory, Capability, ErrorKind, SourceError};
use crate::io::clock;
use crate::report::{formats, json, text, verdict};
use crate::state::SourceState;

/// How a run ends that had nothing to look at: no source of packages, no manifest, an empty one.
pub const NOTHING_SCANNED: u8 = 4;

/// A form that other tools read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table.
    Text,
    /// One document of rounds' own.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// CycloneDX 1.5.
    Cyclonedx,
}

/// How grave an advisory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Level {
    /// CVSS below 4.0.
    Low,
    /// Below 7.0.
    Medium,
    /// Below 9.0.
    High,
    /// The rest, and malicious packages.
    Critical,
}

impl Level {
    /// Whether an advisory is this grave; of unknown gravity it may be.
    fn is_reached(self, advisory: &Advisory) -> bool {
        match advisory.severity.as_deref() {
            Some("low") => self <= Self::Low,
            Some("medium") => self <= Self::Medium,
            Some("high") => self <= Self::High,
            _ => true,
        }
    }
}

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these sources: site/kind/name, or all of a site or of a site/kind
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Print one JSON document, one item for each package
    #[arg(long)]
    pub json: bool,
    /// Print for another tool: sarif (weaknesses) or cyclonedx (all packages and their weaknesses)
    #[arg(long, value_enum, conflicts_with = "json")]
    pub format: Option<Format>,
    /// End with 1 when a package has an advisory that is this grave or graver, or whose gravity nobody knows; else with 0
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub fail_on: Option<Level>,
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
            if args.json || args.format == Some(Format::Json) {
                context.print(&json::line(&json::no_items(&failure.as_source_error(), clock::now()))?)?;
            }
            return Err(failure);
        }
    };
    let as_json = args.json || args.format == Some(Format::Json);
    config.sources.retain(|entry| entry.config.spec(&entry.context).capability == Capability::Packages);
    let state = pass::once(&config, args.timeout, None)?;
    let sources = &state.world.sources;
    let text = match args.format {
        Some(Format::Sarif) => json::line(&formats::sarif(&state.world))?,
        Some(Format::Cyclonedx) => json::line(&formats::cyclonedx(&state.world, clock::now()))?,
        _ if as_json => {
            let items: Vec<_> = sources.values().flat_map(json::package_items).collect();
            let failed = sources.values().find_map(|source| source.error.clone());
            match failed.or_else(|| sources.is_empty().then(nothing)) {
                Some(error) => json::line(&json::items_but(items, &error, clock::now()))?,
                None => json::line(&json::items(items, clock::now()))?,
            }
        }
        _ => text::deps(&state.world, args.all, context.signs()),
    };
    context.print(&text)?;
    // What could not be reached is unknown; where there was nothing to look at, somebody forgot something.
    let empty = |source: &SourceState| source.error.as_ref().is_some_and(|error| matches!(error.kind, ErrorKind::Nothing | ErrorKind::Missing));
    if sources.values().all(|source| source.packages.is_none() && empty(source)) {
        return Ok(Exit(NOTHING_SCANNED));
    }
    let Some(level) = args.fail_on else { return Ok(Exit(verdict(&state.world).exit_code())) };
    let known = sources.values().filter_map(|source| source.packages.as_ref().map(|(_, packages)| packages));
    if known.clone().flat_map(|packages| &packages.items).flat_map(|package| &package.advisories).any(|advisory| level.is_reached(advisory)) {
        return Ok(Exit(1));
    }
    // A gate that could not see is not open.
    let blind = sources.values().any(|source| source.packages.is_none()) || known.into_iter().any(|packages| packages.advisories_from.is_none());
    Ok(Exit(if blind { 3 } else { 0 }))
}

/// No source of packages: nothing was scanned, which is not the same as nothing found.
fn nothing() -> SourceError {
    SourceError::nothing("no packages are watched: nothing was scanned", "write [site.NAME.python.NAME] with `manifest` or `venv`")
}
