//! `rounds` without a verb: the dashboard where there is a terminal, else the text summary of one pass.

use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::mpsc;

use super::{Context, Exit, Failure, check, load};
use crate::app::{self, Ending, pass, terminal};
use crate::config::LoadError;
use crate::config::model::Config;
use crate::io::clock;
use crate::journal::read_snapshot;
use crate::report::{text, verdict};
use crate::state::Msg;

/// How long the pass of the text summary may take.
const PASS: Duration = Duration::from_secs(30);

/// Runs it.
///
/// # Errors
/// No or a wrong configuration, a terminal that cannot be taken, a dashboard that failed.
pub fn run(context: &Context, extra: Option<mpsc::Receiver<Msg>>) -> Result<Exit, Failure> {
    if !terminal::is_drawable() {
        return summary(context);
    }
    let (config, state_dir, warning) = match load::quietly(context) {
        Ok(loaded) => {
            let warning = loaded.warnings.lines().into_iter().next();
            (load::narrow(loaded, context)?, load::state_dir(context), warning)
        }
        // The first run: the screen says what to do. Nothing is written.
        Err(Failure::Config(error)) if matches!(*error, LoadError::None { .. }) => (Config::empty(), None, None),
        Err(failure) => return Err(failure),
    };
    let options = app::Options {
        theme: load::theme(context, Some(&config)),
        state_dir,
        site: context.global.site.clone(),
        read_only: context.global.read_only,
        config,
        extra,
        warning,
    };
    match app::dashboard(options) {
        Ok(Ending::Quit) => Ok(Exit::OK),
        // As a shell tells a process that this signal ended.
        Ok(Ending::Signal(number)) => Ok(Exit(128u8.saturating_add(u8::try_from(number).unwrap_or(0)))),
        Err(app::DashboardError::Panicked) => Ok(Exit(super::MISTAKE)),
        Err(error) => Err(Failure::Other(anyhow!(error))),
    }
}

/// Where nothing can be drawn: one pass, as text, with the exit code of `check`.
fn summary(context: &Context) -> Result<Exit, Failure> {
    let config = check::configured(&[], context)?;
    let known = load::state_dir(context).as_deref().and_then(read_snapshot);
    let state = pass::once(&config, PASS, known.as_ref())?;
    let exit = Exit(verdict(&state.world).exit_code());
    match context.print(&text::summary(&state.world, clock::now(), context.signs())) {
        Ok(()) | Err(Failure::ClosedPipe) => Ok(exit),
        Err(failure) => Err(failure),
    }
}
