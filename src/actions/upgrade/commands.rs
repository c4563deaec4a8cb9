//! Runs the commands of an upgrade: each shown, each logged with what it prints, masked and bounded.
//!
//! What does not belong here: which commands (`guard`).

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Broken, Said, git};
use crate::actions::mask::Mask;
use crate::actions::runner::{self, Progress};
use crate::actions::written;
use crate::io::exec::Program;
use crate::io::secret::Secret;

/// The last lines of a command that are kept, for telling why it failed.
const TAIL: usize = 1_000;
/// The log is not longer than this, in bytes.
const LOG: u64 = 32 << 20;
/// Variables that would lead Python, pip or the tools that lock to another place than the new environment or the copy.
const WITHOUT: [&str; 27] = [
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_PYTHON",
    "PIP_REQUIREMENT",
    "PIP_DRY_RUN",
    "PIP_LOG",
    "UV_SYSTEM_PYTHON",
    "UV_PROJECT",
    "UV_FROZEN",
    "CONDA_PREFIX",
    "POETRY_ACTIVE",
    "PIPENV_ACTIVE",
    "PIPENV_CUSTOM_VENV_NAME",
    "PIPENV_IGNORE_VIRTUALENVS",
    "PIPENV_PIPFILE",
    "PIPENV_PYTHON",
    "PIPENV_SYSTEM",
    "PDM_FROZEN_LOCKFILE",
    "PDM_IGNORE_ACTIVE_VENV",
    "PDM_IN_VENV",
    "PDM_LOCKFILE",
    "PDM_OVERRIDE",
    "PDM_PROJECT",
];

/// How a command ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Ran {
    /// Why it failed; `None`: exit code 0.
    pub failed: Option<String>,
    /// It failed because it took longer than one command may.
    pub is_late: bool,
    /// How long it took.
    pub took: Duration,
    /// The last lines it printed.
    pub tail: Vec<String>,
}

/// Runs commands for one upgrade.
pub(super) struct Commands<'a> {
    pub mask: Mask,
    /// Variables of every command.
    pub env: Vec<(String, Secret)>,
    pub stop: &'a CancellationToken,
    pub step_limit: Duration,
    pub deadline: Instant,
    pub tell: &'a mut (dyn FnMut(Said) + Send),
    log: Option<File>,
    logged: u64,
}

impl<'a> Commands<'a> {
    pub(super) fn new(mask: Mask, stop: &'a CancellationToken, limits: (Duration, Duration), log: &Path, tell: &'a mut (dyn FnMut(Said) + Send)) -> Self {
        let log = File::options().write(true).create(true).truncate(true).mode(0o600).open(log).ok();
        Self { mask, env: Vec::new(), stop, step_limit: limits.0, deadline: Instant::now() + limits.1, tell, log, logged: 0 }
    }

    /// Lets the end of the run have this much time from now on.
    pub(super) fn more_time(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
    }

    /// How much is left of the time for all.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Tells and logs what begins.
    pub(super) fn doing(&mut self, words: &str) {
        self.log(&format!("== {words}"));
        (self.tell)(Said::Doing(words.to_owned()));
    }

    fn log(&mut self, line: &str) {
        let Some(log) = &mut self.log else { return };
        self.logged += line.len() as u64 + 1;
        if self.logged <= LOG {
            // A full disk must not end the run in the middle of a line.
            let _ = writeln!(log, "{line}");
        }
    }

    /// A program of the new environment, in a folder.
    pub(super) async fn run(&mut self, argv: &[String], folder: &Path) -> Result<Ran, Broken> {
        let program = Program::new(argv.to_vec()).directory(folder);
        let program = WITHOUT.iter().chain(&git::OURS).fold(program, |program, name| program.without(name));
        let program = self.env.iter().fold(program, |program, (name, value)| program.env(name, value.clone()));
        self.program(argv, program).await
    }

    /// Git in a folder.
    pub(super) async fn git(&mut self, arguments: &[&str], folder: &Path) -> Result<Ran, Broken> {
        self.program(&git::argv(arguments), git::program(arguments, folder)).await
    }

    async fn program(&mut self, argv: &[String], program: Program) -> Result<Ran, Broken> {
        let left = self.left();
        if self.stop.is_cancelled() {
            return Err(Broken::Stopped);
        }
        if left.is_zero() {
            return Err(Broken::Late);
        }
        let shown = self.mask.text(&written(argv));
        self.log(&format!("$ {shown}"));
        (self.tell)(Said::Command(shown));
        let (stop, mask, begun) = (self.stop.clone(), self.mask.clone(), Instant::now());
        let mut tail = VecDeque::new();
        let ended = runner::program(&program, (self.step_limit.min(left), runner::GRACE), &stop, &mask, |progress| {
            if let Progress::Output(lines, _) = progress {
                for line in lines {
                    self.log(&line);
                    if tail.len() >= TAIL {
                        tail.pop_front();
                    }
                    tail.push_back(line.clone());
                    (self.tell)(Said::Line(line));
                }
            }
            true
        })
        .await;
        let words = ended.as_ref().err().map_or("exit 0", String::as_str);
        self.log(&format!("-- {words} after {} s", begun.elapsed().as_secs()));
        if self.stop.is_cancelled() {
            return Err(Broken::Stopped);
        }
        if ended.is_err() && Instant::now() >= self.deadline {
            return Err(Broken::Late);
        }
        let took = begun.elapsed();
        let is_late = ended.is_err() && took >= self.step_limit;
        let failed = ended.err().map(|words| if is_late { format!("{words}; --step-timeout gives a command more") } else { words });
        Ok(Ran { is_late, took, failed, tail: tail.into() })
    }
}
