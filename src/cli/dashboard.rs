//! `rounds` without a verb: the dashboard where there is a terminal, else the text summary of one pass.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::mpsc;

use super::{Context, Exit, Failure, check, demo, init, load, man};
use crate::app::reload::{Read, Refused, Reload};
use crate::app::{self, Ending, pass, terminal};
use crate::config::model::Config;
use crate::config::{LoadError, find};
use crate::io::clock;
use crate::journal::read_snapshot;
use crate::report::{text, verdict};
use crate::state::Msg;
use crate::state::first_run::Choice;

/// Columns of the diagnostic behind the banner: what the overlay holds on the smallest screen that has a detail.
const DETAIL: usize = 70;
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
    let mut extra = extra;
    // What to say on the next screen, when a choice of the first one could not be carried out.
    let mut trouble = None;
    loop {
        let chosen = match screen(context, extra.take(), trouble.take())? {
            Ending::Quit => return Ok(Exit::OK),
            // As a shell tells a process that this signal ended.
            Ending::Signal(number) => return Ok(Exit(128u8.saturating_add(u8::try_from(number).unwrap_or(0)))),
            Ending::Mistake => return Ok(Exit(super::MISTAKE)),
            Ending::Chosen(choice) => choice,
        };
        match chosen {
            // With what was written there is a configuration, and the pages come up.
            Choice::Init => trouble = init::here().err().map(|failure| failure.to_string()),
            Choice::Demo => return demo::run(&demo::Args::default(), context),
            // It is read on the screen itself.
            Choice::Manual => {}
        }
    }
}

/// The dashboard once, from its start to its end.
fn screen(context: &Context, extra: Option<mpsc::Receiver<Msg>>, trouble: Option<String>) -> Result<Ending, Failure> {
    let mut first_run = None;
    let (config, state_dir, warnings) = match load::quietly(context) {
        Ok(loaded) => {
            let warnings = in_brief(loaded.warnings.lines(), loaded.config.path.as_deref());
            (load::narrow(loaded, context)?, load::state_dir(context), warnings)
        }
        // The first run: the screen says what to do. Nothing is written.
        Err(Failure::Config(error)) => match *error {
            LoadError::None { looked } => {
                first_run = Some(places(&looked));
                (Config::empty(), None, Vec::new())
            }
            error => return Err(error.into()),
        },
        Err(failure) => return Err(failure),
    };
    let options = app::Options {
        reload: config.path.clone().map(|path| reload(path, context)),
        program: program(context),
        looks: load::facts(context, Some(&config)),
        state_dir,
        site: context.global.site.clone(),
        read_only: context.global.read_only,
        wall: context.global.wall,
        config,
        extra,
        manual: if first_run.is_some() { man::lines() } else { Vec::new() },
        first_run,
        trouble,
        warnings,
    };
    match app::dashboard(options) {
        Ok(ending) => Ok(ending),
        Err(app::DashboardError::Panicked) => Ok(Ending::Mistake),
        Err(error) => Err(Failure::Other(anyhow!(error))),
    }
}

/// This program, with the flags by which it reads the same configuration and keeps to the same state: a verb of it that is run in the
/// same directory sees what this process sees. Empty where nobody knows where the program is.
fn program(context: &Context) -> Vec<String> {
    let Some(program) = std::env::current_exe().ok().and_then(|path| path.to_str().map(str::to_owned)) else { return Vec::new() };
    let global = &context.global;
    let flags = [("--config", &global.config), ("--state-dir", &global.state_dir)];
    let flags = flags.into_iter().filter_map(|(flag, path)| Some([flag.to_owned(), path.as_ref()?.to_str()?.to_owned()]));
    std::iter::once(program).chain(flags.flatten()).collect()
}

/// Where a configuration was looked for, as a person writes it.
fn places(looked: &[PathBuf]) -> Vec<String> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let in_folders = looked.iter().filter(|path| path.ends_with(find::FILE_NAME)).count();
    let begin = match in_folders {
        0 => None,
        1 => Some("./rounds.toml".to_owned()),
        _ => Some("./rounds.toml and its parents".to_owned()),
    };
    let rest = looked.iter().filter(|path| !path.ends_with(find::FILE_NAME)).map(|path| {
        let below = home.as_ref().and_then(|home| path.strip_prefix(home).ok());
        below.map_or_else(|| path.display().to_string(), |below| format!("~/{}", below.display()))
    });
    begin.into_iter().chain(rest).collect()
}

/// Warnings for a row of the screen: without the folder, which is known, and without the word.
fn in_brief(lines: Vec<String>, path: Option<&Path>) -> Vec<String> {
    let path = path.map(|path| path.display().to_string()).unwrap_or_default();
    let place = |line: &str| line.strip_prefix(&path).filter(|_| !path.is_empty()).map(|rest| rest.trim_start_matches(':').to_owned());
    let brief = |line: String| match place(&line) {
        Some(rest) => match rest.split_once("warning: ") {
            Some((at, words)) if at.trim().is_empty() => words.to_owned(),
            Some((at, words)) => format!("line {}: {words}", at.split(':').next().unwrap_or_default()),
            None => rest,
        },
        None => line,
    };
    lines.into_iter().map(brief).collect()
}

/// Reads the configuration again the way it was read for this command line.
pub(super) fn reload(path: PathBuf, context: &Context) -> Reload {
    let trust = load::trust_store(context).path().to_owned();
    let context = Context { global: context.global.clone() };
    let (named, folder) = (path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(), path.display().to_string());
    let file = path.clone();
    let load = move || {
        let read = load::quietly(&context).and_then(|loaded| {
            let warnings = in_brief(loaded.warnings.lines(), Some(&file));
            let config = load::narrow(loaded, &context)?;
            Ok(Read { looks: load::facts(&context, Some(&config)), config, warnings })
        });
        read.map_err(|failure| match failure {
            Failure::Config(error) => {
                let first = match &*error {
                    LoadError::Wrong(report) => report.lines().into_iter().find(|line| line.contains(": error: ")).unwrap_or_default(),
                    other => other.to_string(),
                };
                // The banner has one row: the place, and what is wrong.
                let first = first.replacen(&folder, &named, 1).replacen(": error: ", " ", 1);
                let line = first.split("; ").next().unwrap_or_default().to_owned();
                Refused { line, detail: error.render(false, DETAIL).lines().map(str::to_owned).collect() }
            }
            other => Refused { line: other.to_string(), detail: Vec::new() },
        })
    };
    Reload { path, trust, load: Box::new(load) }
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
