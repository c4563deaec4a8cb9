//! Runs programs: an argument vector, never a shell; a time-out, an output cap, an own process group, and the whole group
//! killed on time-out or when the future is dropped. Standard input is empty.
//!
//! What does not belong here: asking whether a configuration may run commands (product law 4). Whoever calls holds a
//! configuration that is trusted.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::secret::Secret;
use crate::domain::SourceError;

mod patience;

pub use patience::Patience;

/// How long a group that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_millis(500);

/// The same where it has something to give back.
const GIVING_BACK: Duration = Duration::from_secs(10);

/// How long the pipes of a program that has ended may stay open in a child it left behind.
const LINGER: Duration = Duration::from_millis(500);

/// The niceness of what can wait. The tests wait for it too, also on a busy machine.
const LOW: i32 = if cfg!(test) { 1 } else { 15 };

/// What is run. Its `Debug` shows no value of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    argv: Vec<String>,
    directory: Option<PathBuf>,
    env: Vec<(String, Secret)>,
    without: Vec<String>,
    low: bool,
    user: Option<(u32, u32)>,
    interrupted: bool,
}

impl Program {
    /// The program is `argv[0]`, searched in `PATH` unless it has a slash.
    #[must_use]
    pub fn new(argv: Vec<String>) -> Self {
        Self { argv, directory: None, env: Vec::new(), without: Vec::new(), low: false, user: None, interrupted: false }
    }

    /// Runs it in this directory.
    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Adds a variable to the environment, which is otherwise ours. The right place for a secret, which never goes into arguments.
    #[must_use]
    pub fn env(mut self, name: &str, value: Secret) -> Self {
        self.env.push((name.to_owned(), value));
        self
    }

    /// Leaves a variable of our own environment out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.without.push(name.to_owned());
        self
    }

    /// Runs it, and what it starts, behind the work of the machine it is on: what it does can wait.
    #[must_use]
    pub fn low_priority(mut self) -> Self {
        self.low = true;
        self
    }

    /// When it takes too long it is interrupted as from a keyboard, and has some seconds to give back what it holds.
    #[must_use]
    pub fn interrupted(mut self) -> Self {
        self.interrupted = true;
        self
    }

    /// Runs it as this user and group, and no other group: only root may.
    #[must_use]
    pub fn as_user(mut self, user: u32, group: u32) -> Self {
        self.user = Some((user, group));
        self
    }

    /// The program's name as configured, for messages. Arguments are not shown: they may hold what people put there.
    #[must_use]
    pub fn tool(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

/// What bounds a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the whole run.
    pub timeout: Duration,
    /// More than this on standard output is an error.
    pub stdout_bytes: usize,
    /// Standard error is kept up to this; the rest is read and dropped.
    pub stderr_bytes: usize,
}

impl Limits {
    /// This time-out, 8 MiB of output, 64 KiB of errors.
    #[must_use]
    pub const fn within(timeout: Duration) -> Self {
        Self { timeout, stdout_bytes: 8 << 20, stderr_bytes: 64 << 10 }
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending(ExitStatus);

impl Ending {
    /// As one that we ended.
    #[must_use]
    pub fn ended_by_us() -> Self {
        Self(ExitStatus::from_raw(Signal::SIGTERM as i32))
    }

    /// Whether it exited with 0.
    #[must_use]
    pub fn success(self) -> bool {
        self.0.success()
    }

    /// Its exit code; `None` when a signal ended it.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        self.0.code()
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => match Signal::try_from(signal) {
                Ok(signal) => write!(f, "ended by {signal}"),
                Err(_) => write!(f, "ended by signal {signal}"),
            },
            (None, None) => f.write_str("ended"),
        }
    }
}

/// What a run gave. The texts are the program's own: outside text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended; a failure is not an error of the run.
    pub ending: Ending,
    /// Standard output, whole.
    pub stdout: Vec<u8>,
    /// Standard error, up to its limit.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text, invalid UTF-8 replaced.
    #[must_use]
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last line with text of standard error, clipped to 200 characters and without control characters; empty when there is none.
    #[must_use]
    pub fn last_error_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        line.chars().filter(|c| !c.is_control()).take(200).collect()
    }
}

/// Why a program gave no output.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The argument vector is empty.
    #[error("the command is empty")]
    Empty,
    /// The program is not there.
    #[error("{tool} is not installed, or not in PATH")]
    Missing {
        /// `argv[0]`.
        tool: String,
    },
    /// The directory to run it in is not there.
    #[error("the directory {} is not there", .directory.display())]
    Directory {
        /// As configured.
        directory: PathBuf,
    },
    /// It could not be started: no right, not executable, no process left.
    #[error("{tool} cannot be started: {source}")]
    Start {
        /// `argv[0]`.
        tool: String,
        /// What the system said.
        source: io::Error,
    },
    /// It did not end in time and was killed with all its children.
    #[error("{tool} did not end within {}", crate::domain::time::duration_text(*.after))]
    Timeout {
        /// `argv[0]`.
        tool: String,
        /// The time allowed.
        after: Duration,
        /// What it had printed on standard error by then.
        stderr: Vec<u8>,
    },
    /// It told of the same trouble for longer than anybody waits, or was asked to end ([`heeding`]), and is ended with all its children.
    #[error("{tool} got no further, and was ended")]
    Stuck {
        /// `argv[0]`.
        tool: String,
        /// What it had printed on standard error by then.
        stderr: Vec<u8>,
    },
    /// It printed more than the limit and was killed.
    #[error("{tool} printed more than {} KiB", .limit_bytes / 1024)]
    TooLarge {
        /// `argv[0]`.
        tool: String,
        /// Of standard output.
        limit_bytes: usize,
    },
    /// Its output could not be read.
    #[error("the output of {tool} cannot be read: {source}")]
    Read {
        /// `argv[0]`.
        tool: String,
        /// What the system said.
        source: io::Error,
    },
}

impl From<ExecError> for SourceError {
    fn from(error: ExecError) -> Self {
        let message = error.to_string();
        match error {
            ExecError::Empty => Self::config(message, "write the program and its arguments: [\"program\", \"argument\"]"),
            ExecError::Missing { tool } => Self::missing(message, format!("install {tool}, or write its whole path")),
            ExecError::Directory { .. } => Self::missing(message, "create it, or correct `directory`"),
            ExecError::Start { .. } | ExecError::Read { .. } => Self::config(message, "run the command by hand as this user and look what it says"),
            ExecError::Timeout { after, .. } => {
                Self { message, remedy: "run the command by hand; `timeout` sets how long to wait".to_owned(), ..Self::timeout(after) }
            }
            ExecError::Stuck { .. } => Self::protocol(message),
            ExecError::TooLarge { limit_bytes, .. } => Self { message, remedy: "let the command print less".to_owned(), ..Self::too_large(limit_bytes as u64) },
        }
    }
}

/// The process group of a child: killed whole when this is dropped, unless the program ended and left nothing behind.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The group may be gone already, which is what is wanted.
            let _ = killpg(group, signal);
        }
    }

    fn over(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// A program that runs. Dropping it kills its whole group.
#[derive(Debug)]
pub struct Running {
    // Before `child`: the group is killed before its leader is waited for.
    group: Group,
    child: Child,
    tool: String,
    interrupted: bool,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

impl Running {
    /// Its standard output, once; to be read to the end, or it blocks.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// Its standard error, once; to be read to the end, or it blocks.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.stderr.take()
    }

    /// Waits until the program itself has ended; children it left behind are killed when `self` is dropped.
    ///
    /// # Errors
    /// What the system said.
    pub async fn wait(&mut self) -> Result<Ending, ExecError> {
        self.child.wait().await.map(Ending).map_err(|source| ExecError::Read { tool: self.tool.clone(), source })
    }

    /// Asks the whole group to end, and kills it when it does not within half a second, or some seconds where it gives something back.
    pub async fn stop(self) {
        let grace = if self.interrupted { GIVING_BACK } else { GRACE };
        self.stop_within(grace).await;
    }

    /// The program ended and left nothing behind that holds its output: what it started in the background goes on.
    pub fn ended_alone(&mut self) {
        self.group.over();
    }

    /// Asks the whole group to end, and kills it when the program itself does not within `grace`.
    pub async fn stop_within(mut self, grace: Duration) {
        self.group.signal(if self.interrupted { Signal::SIGINT } else { Signal::SIGTERM });
        let _ = timeout(grace, self.child.wait()).await;
        self.group.signal(Signal::SIGKILL);
        let _ = timeout(GRACE, self.child.wait()).await;
    }
}

/// Starts a program whose output is followed. [`run`] is for one that ends.
///
/// # Errors
/// When it cannot be started.
pub fn start(program: &Program) -> Result<Running, ExecError> {
    let Some((tool, arguments)) = program.argv.split_first().filter(|(tool, _)| !tool.is_empty()) else {
        return Err(ExecError::Empty);
    };
    #[expect(clippy::disallowed_methods, reason = "this is the one place that runs programs")]
    let mut command = Command::new(tool);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    program.without.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.envs(program.env.iter().map(|(name, value)| (name, value.expose())));
    if let Some(directory) = &program.directory {
        if !directory.is_dir() {
            return Err(ExecError::Directory { directory: directory.clone() });
        }
        command.current_dir(directory);
    }
    if let Some((user, group)) = program.user {
        // Where the user changes and nothing else is said, the groups of ours are left behind too.
        command.uid(user).gid(group);
    }
    let mut child = command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ExecError::Missing { tool: tool.clone() },
        _ => ExecError::Start { tool: tool.clone(), source },
    })?;
    // The child leads its group, so the group's number is the child's.
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if program.low {
        // Where this fails the program has ended already, or runs as ever.
        let _ = rustix::process::setpriority_process(id.and_then(rustix::process::Pid::from_raw), LOW);
    }
    let group = Group(id.map(Pid::from_raw));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    Ok(Running { group, child, tool: tool.clone(), interrupted: program.interrupted, stdout, stderr })
}

/// Reads to the end; stops at the cap and says so by `false`.
async fn read_capped(pipe: Option<impl AsyncRead + Unpin>, cap: usize, into: &mut Vec<u8>) -> io::Result<bool> {
    let Some(pipe) = pipe else { return Ok(true) };
    let mut capped = pipe.take(cap as u64 + 1);
    capped.read_to_end(into).await?;
    let whole = into.len() <= cap;
    into.truncate(cap);
    Ok(whole)
}

/// What is kept of standard error, and until when.
struct Errors {
    cap: usize,
    patience: Option<Patience>,
    /// Told once where patience is over.
    stuck: Notify,
    /// What comes while a program is being ended is about its end.
    closed: AtomicBool,
}

/// Reads to the end and keeps the beginning, so that the program never blocks on a full pipe.
async fn read_and_drop(pipe: Option<impl AsyncRead + Unpin>, errors: &Errors, into: &mut Vec<u8>) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut since = HashMap::new();
    let mut line = Vec::new();
    let mut piece = vec![0; 8 << 10];
    loop {
        let read = pipe.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        if errors.closed.load(Ordering::Relaxed) {
            continue;
        }
        let room = errors.cap.saturating_sub(into.len()).min(read);
        into.extend_from_slice(&piece[..room]);
        if errors.patience.is_some_and(|patience| patience.is_over(&piece[..read], &mut line, &mut since)) {
            errors.stuck.notify_one();
        }
    }
}

/// Runs a program to its end. A failing exit code is no error: look at [`Output::ending`].
///
/// # Errors
/// When it cannot be started, takes too long, or prints too much; the whole group is killed then, as when the future is dropped.
pub async fn run(program: &Program, limits: Limits) -> Result<Output, ExecError> {
    run_patiently(program, limits, None).await
}

/// The same, ended early where our patience with its troubles is over.
///
/// # Errors
/// As [`run`], and [`ExecError::Stuck`].
pub async fn run_patiently(program: &Program, limits: Limits, patience: Option<Patience>) -> Result<Output, ExecError> {
    let mut running = start(program)?;
    let tool = running.tool.clone();
    let by = ASKED.try_with(CancellationToken::clone).ok().filter(|_| running.interrupted);
    let (stdout_pipe, stderr_pipe) = (running.take_stdout(), running.take_stderr());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let errors = Errors { cap: limits.stderr_bytes, patience, stuck: Notify::new(), closed: AtomicBool::new(false) };
    let finished = {
        let reading = async {
            let (out, err) = tokio::join!(read_capped(stdout_pipe, limits.stdout_bytes, &mut stdout), read_and_drop(stderr_pipe, &errors, &mut stderr));
            err?;
            out
        }
        .fuse();
        tokio::pin!(reading);
        let finished = timeout(limits.timeout, async {
            tokio::select! {
                read = &mut reading => {
                    // Past the cap the program may go on writing for ever: it is not waited for.
                    let whole = read.map_err(|source| ExecError::Read { tool: tool.clone(), source })?;
                    if whole { running.wait().await.map(|ending| (ending, true)) } else { Err(ExecError::TooLarge { tool: tool.clone(), limit_bytes: limits.stdout_bytes }) }
                }
                ending = running.wait() => {
                    // A child left behind may hold the pipes open; what the program itself wrote is there at once.
                    let ending = ending?;
                    match timeout(LINGER, &mut reading).await {
                        Ok(Ok(true)) => Ok((ending, true)),
                        Ok(Ok(false)) => Err(ExecError::TooLarge { tool: tool.clone(), limit_bytes: limits.stdout_bytes }),
                        Ok(Err(source)) => Err(ExecError::Read { tool: tool.clone(), source }),
                        Err(_) => Ok((ending, false)),
                    }
                }
                () = errors.stuck.notified() => Err(ExecError::Stuck { tool: tool.clone(), stderr: Vec::new() }),
                () = asked(by) => Err(ExecError::Stuck { tool: tool.clone(), stderr: Vec::new() }),
            }
        })
        .await;
        match finished {
            Ok(Ok(done)) => Ok((running, done)),
            Ok(Err(error @ ExecError::Stuck { .. })) => Err(stopped(running, &errors, reading, error).await),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(stopped(running, &errors, reading, ExecError::Timeout { tool, after: limits.timeout, stderr: Vec::new() }).await),
        }
    };
    match finished {
        Ok((mut running, (ending, alone))) => {
            if alone {
                running.group.over();
            }
            Ok(Output { ending, stdout, stderr })
        }
        Err(ExecError::Stuck { tool, .. }) => Err(ExecError::Stuck { tool, stderr }),
        Err(ExecError::Timeout { tool, after, .. }) => Err(ExecError::Timeout { tool, after, stderr }),
        Err(error) => Err(error),
    }
}

tokio::task_local! {
    /// Who may ask programs that are run below to end.
    static ASKED: CancellationToken;
}

/// Does `work`, in which programs that give something back ([`Program::interrupted`]) hear of `stop`: they are interrupted, have their seconds,
/// and the work goes on with the error of one that got no further. Dropping the work instead would kill them.
pub async fn heeding<F: Future>(stop: &CancellationToken, work: F) -> F::Output {
    ASKED.scope(stop.clone(), work).await
}

/// Ends when a program is asked to.
async fn asked(by: Option<CancellationToken>) {
    match by {
        Some(by) => by.cancelled().await,
        None => std::future::pending().await,
    }
}

/// Ends a program while what it prints is still read: one that gives something back would die of a closed pipe before it has.
async fn stopped(running: Running, errors: &Errors, reading: impl Future, error: ExecError) -> ExecError {
    errors.closed.store(true, Ordering::Relaxed);
    tokio::select! {
        () = running.stop() => {}
        () = async { let _ = reading.await; std::future::pending().await } => {}
    }
    error
}

#[cfg(test)]
mod tests;
