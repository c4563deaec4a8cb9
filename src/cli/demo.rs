//! `rounds demo`: the dashboard, or one pass, on the built-in demonstration. It never touches the user's own state.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use super::{Context, Exit, Failure, check, dashboard, load};
use crate::demo::{Options, Site};

/// Its flags.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Make one pass and exit as `check` does
    #[arg(long)]
    pub check: bool,
    /// With --check: print one JSON document
    #[arg(long, requires = "check")]
    pub json: bool,
    /// Leave the generated configuration, logs and history in this directory, to learn from
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// How long the pass of `--check` may take.
const PASS: Duration = Duration::from_secs(20);

/// Starts the demonstration and looks at it.
///
/// # Errors
/// When it cannot start, or the dashboard fails.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let started = match &args.keep {
        Some(dir) => Site::start(dir, Options::default()),
        None => Site::temporary(Options::default()),
    };
    let mut site = started.context("the demonstration does not start")?;
    // Its own configuration and state, whatever else was named.
    let mut global = context.global.clone();
    global.config = Some(site.config_path());
    global.state_dir = Some(site.state_dir());
    let own = Context { global };
    if args.check {
        let config = load::config(&own)?;
        return check::answer(&config, PASS, args.json, &own);
    }
    let extra = site.messages();
    let exit = dashboard::run(&own, extra);
    site.stop();
    if let (Some(dir), Ok(_)) = (&args.keep, &exit) {
        super::complain(&format!("the configuration is {}", dir.join("rounds.toml").display()));
    }
    exit
}
