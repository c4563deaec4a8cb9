//! Runs an action: step after step through `io::exec`, its output line by line, bounded and masked; the whole process group ends
//! with it, when it takes too long, and when it is stopped.
//!
//! What does not belong here: whether it may run at all (`state`, `cli` ask the person, the caller holds a trusted configuration),
//! what is recorded (`audit`).

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::mask::Mask;
use super::{Action, written};
use crate::domain::{ActionEnd, SourceId};
use crate::io::exec::{self, ExecError, Program};
use crate::io::secret::{self, Known, Secret, SecretRef};

/// Of one line so much is read; the rest of it is dropped.
const RAW_LINE: usize = 8 << 10;
/// So much of a line is shown.
const LINE_CHARS: usize = 1_000;
/// Lines kept between two messages; the oldest go first, and are counted.
pub const BATCH: usize = 200;
/// Output is told at most this often.
const EVERY: Duration = Duration::from_millis(100);
/// Lines that wait to be gathered.
const QUEUE: usize = 256;
/// How long commands that give the secrets of sources may take before an action begins, which could print them.
const LEARNING: Duration = Duration::from_secs(5);
/// How long a program may take to end when it is asked to.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// How long the pipes of a program that has ended may stay open in a child it left behind.
const LINGER: Duration = Duration::from_millis(500);

/// What is to be run, as it was confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// `site/action/name`.
    pub action: SourceId,
    /// Which run of it.
    pub run: String,
    /// Who.
    pub by: String,
    /// The answer to its prompt.
    pub answer: Option<String>,
    /// Every line is told, as fast as it is taken; else the newest, now and then.
    pub whole: bool,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StepState {
    /// Not begun.
    #[default]
    ToCome,
    /// It runs.
    Running,
    /// Exit code 0.
    Done,
    /// Anything else.
    Failed,
}

/// What is told while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A step began or ended.
    Step(usize, StepState),
    /// It printed these lines; so many before them were dropped.
    Output(Vec<String>, u64),
}

/// Runs it to its end. `tell` answers whether it took what it was told; output that it did not take is told again with what follows.
pub async fn run(action: &Action, order: &Order, stop: &CancellationToken, mut tell: impl FnMut(Progress) -> bool) -> ActionEnd {
    let begun = Instant::now();
    let deadline = begun + action.spec.timeout;
    // Secrets that take their time belong to the run.
    let secrets = tokio::select! {
        secrets = tokio::time::timeout(action.spec.timeout, secrets(action)) => secrets.unwrap_or(Err(Stop::Late)),
        () = stop.cancelled() => Err(Stop::Asked),
    };
    let ended = match secrets {
        Ok((env, mask)) => steps(action, order, &env, &mask, deadline, stop, &mut tell).await,
        Err(stop) => Err(stop),
    };
    let (ok, words) = match ended {
        Ok(()) => (true, "exit 0".to_owned()),
        Err(Stop::Failed(words)) => (false, words),
        Err(Stop::Asked) => (false, "stopped".to_owned()),
        Err(Stop::Late) => (false, format!("not ended within {}: stopped", crate::domain::time::human(action.spec.timeout))),
    };
    ActionEnd { ok, words, took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX) }
}

/// Why it did not go through.
enum Stop {
    Failed(String),
    Asked,
    Late,
}

/// The secrets of its environment, and the mask of all that is known.
async fn secrets(action: &Action) -> Result<(Vec<(String, Secret)>, Mask), Stop> {
    let (mut env, mut all) = (Vec::new(), Vec::new());
    for (name, reference) in &action.env {
        let secret = secret::resolve(reference, &action.base, true).await;
        let secret = secret.map_err(|error| Stop::Failed(format!("not begun: {}; {}", error.message, error.remedy)))?;
        if !matches!(reference, SecretRef::Literal(_)) || crate::config::diagnostic::is_secret_key(name) {
            all.push(secret.clone());
        }
        env.push((name.clone(), secret));
    }
    let (commands, others): (Vec<_>, Vec<_>) = action.known.iter().partition(|reference| matches!(reference, SecretRef::Command(_)));
    for reference in others {
        // One that is not there cannot be printed.
        all.extend(secret::resolve(reference, &action.base, true).await);
    }
    secret::learn(&commands, &action.base, LEARNING).await;
    // What was read for other ends is as secret: a token that a command gave, an index's password.
    all.extend(Known::of_process().all());
    Ok((env, Mask::new(all).redacting(&action.redact)))
}

async fn steps(
    action: &Action,
    order: &Order,
    env: &[(String, Secret)],
    mask: &Mask,
    deadline: Instant,
    stop: &CancellationToken,
    tell: &mut impl FnMut(Progress) -> bool,
) -> Result<(), Stop> {
    let steps = action.spec.filled(order.answer.as_deref());
    let of = steps.len();
    let mut gathered = Gathered::default();
    for (at, argv) in steps.into_iter().enumerate() {
        tell(Progress::Step(at, StepState::Running));
        let shown = mask.text(&written(&argv));
        let mut program = Program::new(argv).directory(&action.directory);
        for (name, secret) in env {
            program = program.env(name, secret.clone());
        }
        let ended = step(&program, deadline, (stop, order.whole, GRACE), mask, &mut gathered, tell).await;
        gathered.hand_over(tell);
        let place = if of == 1 { String::new() } else { format!(" in step {} of {of}", at + 1) };
        match ended {
            Ok(ending) if ending.success() => {
                tell(Progress::Step(at, StepState::Done));
            }
            other => {
                tell(Progress::Step(at, StepState::Failed));
                return Err(match other {
                    Ok(ending) => Stop::Failed(format!("{}{place}", ending.to_string().replace("exit code", "exit"))),
                    Err(Ended::Stop(stop)) => stop,
                    Err(Ended::Exec(error)) => {
                        gathered.add(format!("rounds: {shown}: {error}"));
                        gathered.hand_over(tell);
                        Stop::Failed(format!("{}{place}", mask.text(&error.to_string())))
                    }
                });
            }
        }
    }
    Ok(())
}

/// Runs one program that is no configured action, in the same way. `Err` in words when it did not end with exit code 0; what could not
/// be started is told as a line too. `grace` is how long it may take to end when it is asked to.
pub(super) async fn program(
    program: &Program,
    (limit, grace): (Duration, Duration),
    stop: &CancellationToken,
    mask: &Mask,
    mut tell: impl FnMut(Progress) -> bool,
) -> Result<(), String> {
    let mut gathered = Gathered::default();
    let ended = step(program, Instant::now() + limit, (stop, true, grace), mask, &mut gathered, &mut tell).await;
    gathered.hand_over(&mut tell);
    match ended {
        Ok(ending) if ending.success() => Ok(()),
        Ok(ending) => Err(ending.to_string().replace("exit code", "exit")),
        Err(Ended::Stop(Stop::Late)) => Err(format!("not ended within {}: stopped", crate::domain::time::human(limit))),
        Err(Ended::Stop(Stop::Asked)) => Err("stopped".to_owned()),
        Err(Ended::Stop(Stop::Failed(words))) => Err(words),
        Err(Ended::Exec(error)) => Err(mask.text(&error.to_string())),
    }
}

enum Ended {
    Stop(Stop),
    Exec(ExecError),
}

impl From<ExecError> for Ended {
    fn from(error: ExecError) -> Self {
        Self::Exec(error)
    }
}

/// One program to its end, or until it is stopped.
async fn step(
    program: &Program,
    deadline: Instant,
    (stop, whole, grace): (&CancellationToken, bool, Duration),
    mask: &Mask,
    gathered: &mut Gathered,
    tell: &mut impl FnMut(Progress) -> bool,
) -> Result<exec::Ending, Ended> {
    let mut running = exec::start(program)?;
    let (lines, mut lines_in) = mpsc::channel(QUEUE);
    let (out, err) = (running.take_stdout(), running.take_stderr());
    let reading = async { tokio::join!(read_lines(out, mask, lines.clone()), read_lines(err, mask, lines.clone())) };
    tokio::pin!(reading);
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let late = tokio::time::sleep_until(deadline.into());
    tokio::pin!(late);
    let (mut read, mut ending, mut linger) = (false, None, None);
    let why = loop {
        if let (Some(ending), true) = (ending, read) {
            while let Ok(line) = lines_in.try_recv() {
                gathered.add(line);
            }
            running.ended_alone();
            return Ok(ending);
        }
        let lingering = async {
            match linger {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break Stop::Asked,
            () = &mut late => break Stop::Late,
            _ = tick.tick() => gathered.hand_over(tell),
            Some(line) = lines_in.recv() => {
                gathered.add(line);
                if whole && gathered.lines.len() >= BATCH {
                    gathered.hand_over(tell);
                }
            }
            _ = &mut reading, if !read => read = true,
            ended = running.wait(), if ending.is_none() => {
                ending = Some(ended?);
                linger = Some(tokio::time::Instant::now() + LINGER);
            }
            // What it left behind holds its output: it goes with the group when `running` is dropped.
            () = lingering => if let Some(ending) = ending { return Ok(ending) },
        }
    };
    // It may go on printing while it is asked to end, and would block on a full pipe.
    let draining = async {
        while lines_in.recv().await.is_some() {}
        std::future::pending::<()>().await;
    };
    let reading = async {
        if !read {
            reading.await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = running.stop_within(grace) => {}
        () = reading => {}
        () = draining => {}
    }
    Err(Ended::Stop(why))
}

/// Reads lines (ended by a line feed or a carriage return) until the pipe is closed; masks and clips each.
async fn read_lines(pipe: Option<impl AsyncRead + Unpin>, mask: &Mask, lines: mpsc::Sender<String>) {
    let Some(mut pipe) = pipe else { return };
    let (mut piece, mut line) = (vec![0; 8 << 10], Vec::new());
    loop {
        // A pipe that cannot be read is at its end.
        let read = pipe.read(&mut piece).await.unwrap_or(0);
        for byte in &piece[..read] {
            match byte {
                b'\n' | b'\r' => {
                    if !line.is_empty() && lines.send(clean(&line, mask)).await.is_err() {
                        return;
                    }
                    line.clear();
                }
                byte if line.len() < RAW_LINE => line.push(*byte),
                _ => {}
            }
        }
        if read == 0 {
            if !line.is_empty() {
                let _ = lines.send(clean(&line, mask)).await;
            }
            return;
        }
    }
}

fn clean(line: &[u8], mask: &Mask) -> String {
    mask.text(&String::from_utf8_lossy(line)).chars().take(LINE_CHARS).collect()
}

/// Lines that wait to be told.
#[derive(Debug, Default)]
struct Gathered {
    lines: Vec<String>,
    dropped: u64,
}

impl Gathered {
    fn add(&mut self, line: String) {
        if self.lines.len() >= 2 * BATCH {
            self.lines.drain(..BATCH);
            self.dropped += BATCH as u64;
        }
        self.lines.push(line);
    }

    fn hand_over(&mut self, tell: &mut impl FnMut(Progress) -> bool) {
        if self.lines.is_empty() {
            return;
        }
        if self.lines.len() > BATCH {
            let over = self.lines.len() - BATCH;
            self.lines.drain(..over);
            self.dropped += over as u64;
        }
        if tell(Progress::Output(self.lines.clone(), self.dropped)) {
            self.lines.clear();
            self.dropped = 0;
        }
    }
}
