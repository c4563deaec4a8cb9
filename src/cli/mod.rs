//! The command line: one thin file for each verb. Data goes to standard output, messages to standard error.
//!
//! What does not belong here: what a verb shows (`report`), what the dashboard does (`app`).
//!
//! A verb is a file with `Args` (its flags) and `run(&Args, &Context) -> Result<Exit, Failure>`, and a line in [`Verb`].

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config::LoadError;
use crate::domain::SourceError;
use crate::io::clock;
use crate::report::json;
use crate::report::text::Signs;

pub mod ack;
pub mod act;
pub mod backups;
pub mod baseline;
pub mod check;
pub mod completions;
pub mod config;
pub mod dashboard;
pub mod demo;
pub mod deployed;
pub mod deps;
pub mod doctor;
pub mod drill;
pub mod errors;
pub mod init;
pub mod load;
pub mod logs;
pub mod man;
mod record;
pub mod silence;
pub mod status;
pub mod trust;
pub mod upgrade;
pub mod watch;

/// Is it all right now, and what upkeep does it need, by when?
///
/// Without a command: the dashboard of the sites in the configuration, searched in --config, $ROUNDS_CONFIG, rounds.toml here or in a
/// parent directory, the user's and the system's configuration directory.
#[derive(Debug, Parser)]
#[command(name = "rounds", version, max_term_width = 100)]
pub struct Cli {
    /// What applies to every verb.
    #[command(flatten)]
    pub global: Global,
    /// The verb; without one, the dashboard.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// Flags of every verb.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Read this configuration
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep history and trust here, instead of in the user's state directory
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Only this site
    #[arg(long, global = true, value_name = "NAME")]
    pub site: Option<String>,
    /// Bind no key that changes anything
    #[arg(long, global = true)]
    pub read_only: bool,
    /// For a screen that nobody sits at: big letters, input locked, pages in rotation that stop at trouble
    #[arg(long, global = true)]
    pub wall: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Draw with nothing outside ASCII
    #[arg(long, global = true)]
    pub ascii: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// As the terminal and `NO_COLOR` say.
    #[default]
    Auto,
    /// Never.
    Never,
    /// Also where it is no terminal.
    Always,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the dashboard on a built-in demonstration: real servers on this machine, with a story
    Demo(demo::Args),
    /// Look at a project and write a commented configuration of what was found; never overwrites
    Init(init::Args),
    /// Look once at all or the named sources; exit 0 ok, 1 warning, 2 critical, 3 unknown
    Check(check::Args),
    /// Print the issues of error trackers and the error groups of logs
    Errors(errors::Args),
    /// Print what is in the logs now
    Logs(logs::Args),
    /// Run an action, as its key does: asked first, recorded before and after
    Act(act::Args),
    /// Print which packages are outdated or withdrawn; the exit code is that of check for them
    Deps(deps::Args),
    /// Upgrade packages in a copy, keep what passes the project's tests, give the result as a branch
    Upgrade(upgrade::Args),
    /// Print how the backups stand, or one of them whole
    Backups(backups::Args),
    /// Restore a copy into a scratch place, look whether what must hold does, take it away; recorded before and after
    Drill(drill::Args),
    /// Look and keep history without a screen, for a server; serves /metrics
    Watch(watch::Args),
    /// Look whether all that rounds needs is there, with what to do
    Doctor(doctor::Args),
    /// Print what was last known, without looking
    Status(status::Args),
    /// Take a finding, with a reason, or give it back
    Ack(ack::Args),
    /// Open a maintenance window for a site: it is looked at and not judged
    Silence(silence::Args),
    /// Accept all findings that are there now, so that only what changes is told
    Baseline(baseline::Args),
    /// Tell that a version was deployed
    Deployed(deployed::Args),
    /// Check, show or describe the configuration
    Config(config::Args),
    /// Let a configuration found in the working directory run its commands, as it is now
    Trust(trust::Args),
    /// Print completions for a shell
    Completions(completions::Args),
    /// Print the manual page
    Man(man::Args),
}

/// How a verb that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// All done.
    pub const OK: Self = Self(0);
}

/// Exit code of a wrong command line or configuration, never to be taken for CRITICAL (`EX_USAGE` of sysexits.h).
pub const USAGE: u8 = 64;

/// Exit code after a mistake of rounds itself (`EX_SOFTWARE` of sysexits.h).
pub const MISTAKE: u8 = 70;

/// Why a verb did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line is wrong: a sentence, and what to do.
    #[error("{0}")]
    Usage(String),
    /// The configuration: none, unreadable, or wrong.
    #[error(transparent)]
    Config(Box<LoadError>),
    /// Standard output was closed by its reader, who has what was wanted.
    #[error("standard output is closed")]
    ClosedPipe,
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::ClosedPipe } else { Self::Other(error.into()) }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::Config(Box::new(error))
    }
}

impl Failure {
    /// The exit code: 64 for what the caller has to change, 1 for the rest.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) => USAGE,
            Self::ClosedPipe => 0,
            Self::Other(_) => 1,
        }
    }

    /// The same as data, for `--json`.
    #[must_use]
    pub fn as_source_error(&self) -> SourceError {
        match self {
            Self::Usage(_) => SourceError::config(self.to_string(), "rounds --help shows what can be asked"),
            Self::Config(error) => SourceError::config(error.to_string(), error.remedy()),
            Self::ClosedPipe | Self::Other(_) => SourceError::config(self.to_string(), "rounds doctor looks for the cause"),
        }
    }
}

/// What every verb is given.
#[derive(Debug)]
pub struct Context {
    /// Flags of every verb.
    pub global: Global,
}

impl Context {
    /// Prints data. A closed pipe is told as [`Failure::ClosedPipe`], which is no error.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Tells on standard error why a verb did not do its work.
    pub fn explain(&self, failure: &Failure) {
        match failure {
            Failure::ClosedPipe => {}
            Failure::Config(error) => complain_as_it_is(&error.render(self.colours_messages(), message_width())),
            Failure::Usage(_) | Failure::Other(_) => complain(&failure.to_string()),
        }
    }

    /// Whether messages on standard error have colours.
    #[must_use]
    pub fn colours_messages(&self) -> bool {
        match self.global.color {
            Color::Never => false,
            Color::Always => true,
            Color::Auto => io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// Which signs may be printed: ASCII when asked for, or when the locale is not UTF-8.
    #[must_use]
    pub fn signs(&self) -> Signs {
        if self.global.ascii || !is_utf8_locale() { Signs::Ascii } else { Signs::Utf8 }
    }
}

/// The locale of characters: the first of `LC_ALL`, `LC_CTYPE`, `LANG` that is set (POSIX, "Environment Variables").
#[must_use]
pub fn locale() -> Option<String> {
    ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty())
}

/// Whether the locale says UTF-8.
#[must_use]
pub fn is_utf8_locale() -> bool {
    locale().is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::from(run(&std::env::args_os().collect::<Vec<_>>()))
}

fn run(arguments: &[OsString]) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, arguments),
    };
    let context = Context { global: cli.global };
    let done = match &cli.verb {
        None => dashboard::run(&context, None),
        Some(Verb::Demo(args)) => demo::run(args, &context),
        Some(Verb::Init(args)) => init::run(args, &context),
        Some(Verb::Check(args)) => check::run(args, &context),
        Some(Verb::Errors(args)) => errors::run(args, &context),
        Some(Verb::Logs(args)) => logs::run(args, &context),
        Some(Verb::Act(args)) => act::run(args, &context),
        Some(Verb::Deps(args)) => deps::run(args, &context),
        Some(Verb::Upgrade(args)) => upgrade::run(args, &context),
        Some(Verb::Backups(args)) => backups::run(args, &context),
        Some(Verb::Drill(args)) => drill::run(args, &context),
        Some(Verb::Watch(args)) => watch::run(args, &context),
        Some(Verb::Doctor(args)) => doctor::run(args, &context),
        Some(Verb::Status(args)) => status::run(args, &context),
        Some(Verb::Ack(args)) => ack::run(args, &context),
        Some(Verb::Silence(args)) => silence::run(args, &context),
        Some(Verb::Baseline(args)) => baseline::run(args, &context),
        Some(Verb::Deployed(args)) => deployed::run(args, &context),
        Some(Verb::Config(args)) => config::run(args, &context),
        Some(Verb::Trust(args)) => trust::run(args, &context),
        Some(Verb::Completions(args)) => completions::run(args, &context),
        Some(Verb::Man(args)) => man::run(args, &context),
    };
    match done {
        Ok(exit) => exit.0,
        Err(failure) => {
            context.explain(&failure);
            failure.exit_code()
        }
    }
}

/// Prints help or version as asked, else what is wrong with the command line. `check` answers in its own way.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !asked && is_check(arguments) {
        let context = Context { global: Global::default() };
        let as_json = arguments.iter().any(|argument| argument == "--json");
        let said = error.to_string();
        let said = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        return check::refuse(&Failure::Usage(said), as_json, &context).map_or_else(|failure| failure.exit_code(), |exit| exit.0);
    }
    let gives_document = arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json");
    if !asked && gives_document {
        // Whatever happens, what reads standard output gets one document.
        let context = Context { global: Global::default() };
        let said = error.to_string();
        let said = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let document = json::line(&json::no_items(&Failure::Usage(said).as_source_error(), clock::now()));
        let _ = document.map(|document| context.print(&document));
    }
    // Nobody is left to be told when these streams are closed.
    let _ = error.print();
    if asked { 0 } else { USAGE }
}

/// Whether the verb of a command line that could not be read is `check`: the first word that is neither a flag nor a flag's value.
fn is_check(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--config" | "--state-dir" | "--site" | "--color") => drop(words.next()),
            Some(flag) if flag.starts_with('-') => {}
            verb => return verb == Some("check"),
        }
    }
    false
}

/// A message on standard error, cleaned.
fn complain(message: &str) {
    let message: Vec<String> = message.lines().map(crate::report::clean).collect();
    // Nobody is left to be told when standard error is closed.
    let _ = io::stderr().lock().write_all(format!("rounds: {}\n", message.join("\n")).as_bytes());
}

/// A message that is cleaned and laid out already.
fn complain_as_it_is(message: &str) {
    // Nobody is left to be told when standard error is closed.
    let _ = io::stderr().lock().write_all(message.as_bytes());
}

/// Columns for messages: the terminal's, within reason.
fn message_width() -> usize {
    if io::stderr().is_terminal() { usize::from(crate::app::terminal::size().0).clamp(40, 160) } else { 120 }
}

/// The whole command, for completions and the manual.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Whether a person reads standard output.
#[must_use]
pub fn is_read_by_a_person() -> bool {
    io::stdout().is_terminal()
}
