//! `rounds check`: one pass, then the answer of a Nagios plugin or one JSON document.

use std::time::Duration;

use super::{Context, Exit, Failure, load};
use crate::app::pass;
use crate::config::model::Config;
use crate::domain::time::parse_duration;
use crate::io::clock;
use crate::journal::read_snapshot;
use crate::report::{Verdict, json, nagios, verdict};

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these sources: site/kind/name, or all of a site or of a site/kind
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Print one JSON document (schema 1) instead of the Nagios lines
    #[arg(long)]
    pub json: bool,
    /// How long the whole pass may take; what has not answered by then is unknown
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub timeout: Duration,
}

/// Looks once and says how it all stands, by its exit code too.
///
/// # Errors
/// When standard output cannot be written to. A wrong configuration is no error here but an answer: unknown.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match configured(&args.ids, context) {
        Ok(config) => answer(&config, args.timeout, args.json, context),
        Err(failure) => refuse(&failure, args.json, context),
    }
}

/// The configuration, narrowed to what was asked for.
pub(super) fn configured(ids: &[String], context: &Context) -> Result<Config, Failure> {
    let mut config = load::config(context)?;
    let unknown = pass::narrow(&mut config, ids);
    if unknown.is_empty() {
        Ok(config)
    } else {
        let known = "`rounds config show` lists the sources";
        Err(Failure::Usage(format!("no source is named {}: write site/kind/name, site/kind or site; {known}", unknown.join(", "))))
    }
}

/// Makes the pass and prints the answer.
pub(super) fn answer(config: &Config, timeout: Duration, as_json: bool, context: &Context) -> Result<Exit, Failure> {
    let known = load::state_dir(context).as_deref().and_then(read_snapshot);
    let state = pass::once(config, timeout, known.as_ref())?;
    let text = if as_json { json::line(&json::check(&state.world, clock::now()))? } else { nagios::text(&state.world) };
    let exit = Exit(verdict(&state.world).exit_code());
    match context.print(&text) {
        // Whoever closed the pipe may still look at the exit code.
        Ok(()) | Err(Failure::ClosedPipe) => Ok(exit),
        Err(failure) => Err(failure),
    }
}

/// A command line or configuration that cannot be used is UNKNOWN, never CRITICAL, and still one document with `--json`.
pub(super) fn refuse(failure: &Failure, as_json: bool, context: &Context) -> Result<Exit, Failure> {
    let said = failure.to_string();
    let text = if as_json {
        json::line(&json::refused(&failure.as_source_error(), clock::now()))?
    } else {
        let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        format!("ROUNDS UNKNOWN - not checked: {}\n", crate::report::clean(first).replace('|', "¦"))
    };
    let exit = Exit(Verdict::Unknown.exit_code());
    context.explain(failure);
    match context.print(&text) {
        Ok(()) | Err(Failure::ClosedPipe) => Ok(exit),
        Err(failure) => Err(failure),
    }
}
