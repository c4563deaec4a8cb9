//! The dashboard's loop: one thread that takes in messages and input, draws, and never waits for anything but those.
//!
//! Sources run on a small tokio runtime beside it, frames are written by a thread of their own, and the journal opens behind the
//! first frame.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossterm::event::Event as Input;
use ratatui::Terminal;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::answers::{self, Answers, Asked, Heard};
use super::dashboard::Dashboard;
use super::pace::Pace;
use super::perform::Hands;
use super::reload::{self, InForce, Reload};
use super::screen::{Screen, Writer};
use super::signals::{self, Signal};
use super::terminal::{self, Guard, TerminalError};
use super::{Event, editor, history, input};
use crate::config::detect::{self, Project};
use crate::config::model::Config;
use crate::io::clock;
use crate::io::lend::{self, Lent, Told};
use crate::journal::read_snapshot;
use crate::state::first_run::{Choice, FirstRun, FoundProject};
use crate::state::wall::WallState;
use crate::state::{Effect, Msg};
use crate::ui::theme::{self, EnvFacts, Theme};

/// Messages of sources that wait to be taken in; past this sources wait.
const MESSAGES: usize = 4_096;
/// Inputs and signals that wait.
const EVENTS: usize = 256;
/// Taken in between two looks at the clock, so that a flood never keeps a frame from being drawn.
const BATCH: usize = 256;
/// A SIGCONT this soon after we were continued is the one that did it.
const CONTINUED: Duration = Duration::from_secs(1);
/// How long looking waits for the journal to open: a disk may be slow, an outage may not wait for it.
const OPENING: Duration = Duration::from_secs(3);
/// How long leaving waits for sources and for the journal's last batch.
const LEAVING: Duration = Duration::from_millis(800);

/// What the dashboard is started with.
#[derive(Debug)]
pub struct Options {
    /// What is watched; already narrowed to one site where that was asked.
    pub config: Config,
    /// Where the journal lives; `None`: nothing is kept.
    pub state_dir: Option<PathBuf>,
    /// Only this site is shown.
    pub site: Option<String>,
    /// No acting key is bound.
    pub read_only: bool,
    /// Nobody sits here: the wall.
    pub wall: bool,
    /// What is known of the looks; the terminal may add to it.
    pub looks: EnvFacts,
    /// Further messages, as the demonstration's deploys.
    pub extra: Option<mpsc::Receiver<Msg>>,
    /// The first screen instead of the pages: there is no configuration, and it was looked for here.
    pub first_run: Option<Vec<String>>,
    /// The manual, for the first screen.
    pub manual: Vec<String>,
    /// The configuration is watched, and read again by this; `None`: it is not from a file.
    pub reload: Option<Reload>,
    /// This program and the flags by which it reads the same configuration, for what its verbs do.
    pub program: Vec<String>,
    /// One sentence to say at the start, when a choice of the first screen could not be carried out.
    pub trouble: Option<String>,
    /// What is odd in the configuration, and stops nothing; the first is said at the start.
    pub warnings: Vec<String>,
}

/// How the dashboard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A person left.
    Quit,
    /// A person chose this on the first screen.
    Chosen(Choice),
    /// This signal ended it.
    Signal(i32),
    /// A mistake of rounds itself ended it; its message has been printed.
    Mistake,
}

/// Why there was no dashboard, or none to the end.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// The terminal.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// Threads, signals, output.
    #[error("the dashboard cannot run: {0}")]
    Io(#[from] std::io::Error),
    /// A mistake in rounds; its message has been printed.
    #[error("rounds made a mistake and had to stop; what was kept is kept")]
    Panicked,
    /// The terminal went away without a signal.
    #[error("the terminal is gone")]
    Gone,
}

/// Runs the dashboard until somebody leaves. When this returns the terminal is as it was before.
///
/// # Errors
/// When it cannot start, or fails; the terminal is given back then too.
pub fn dashboard(options: Options) -> Result<Ending, DashboardError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(128).thread_name("rounds-io").enable_all().build()?;
    let (events, events_in) = mpsc::channel(EVENTS);
    // Before the terminal is taken: a signal in between would leave it taken.
    runtime.block_on(async { signals::start(&events) })?;
    let guard = Guard::arm(options.config.ui.mouse.unwrap_or(false))?;
    terminal::install_panic_hook(guard.shared());
    let lived = std::panic::catch_unwind(AssertUnwindSafe(|| live(options, &runtime, &guard, &events, events_in)));
    drop(guard);
    let ending = match lived {
        Ok(Ok((ending, hands))) => {
            // The person has the prompt back already; now what is under way ends.
            hands.let_go(&runtime, LEAVING);
            Ok(ending)
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(DashboardError::Panicked),
    };
    runtime.shutdown_timeout(Duration::from_millis(100));
    ending
}

fn live(
    mut options: Options,
    runtime: &Runtime,
    guard: &Guard,
    events: &mpsc::Sender<Event>,
    mut events_in: mpsc::Receiver<Event>,
) -> Result<(Ending, Hands), DashboardError> {
    let keymap = super::keymap(&options.config);
    let now = clock::now();
    let mut state = super::initial_state(&options.config);
    state.view.read_only = options.read_only;
    state.view.site = options.site;
    state.view.zone = super::zone(&options.config, now);
    state.view.size = terminal::size();
    state.view.editor = editor::configured().is_some() && !options.wall;
    state.view.first_run =
        options.first_run.as_ref().map(|looked| FirstRun { looked: looked.clone(), manual: options.manual.clone().into(), ..FirstRun::default() });
    state.view.wall = (options.wall && options.first_run.is_none()).then(|| WallState::new(options.config.wall.clone(), now));
    let snapshot = options.state_dir.as_deref().and_then(read_snapshot);
    let seq = snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
    if let Some(snapshot) = snapshot {
        history::remember(&mut state, snapshot, now);
    }

    let (written, gone) = (events.clone(), events.clone());
    let writer = Writer::start(terminal::output()?, move || drop(written.try_send(Event::Written)), move || drop(gone.try_send(Event::TerminalGone)))?;
    let synchronised = std::env::var_os("TMUX").is_none();
    let mut terminal = Terminal::new(Screen::new(writer, state.view.size, synchronised))?;
    let mut dashboard = Dashboard::new(state, theme_of(&options.looks), keymap);
    if let Some(said) = options.trouble.as_ref().or(options.warnings.first()) {
        dashboard.take(Msg::Toast(said.clone()), now);
    }
    dashboard.draw(&mut terminal, now)?;

    // All that follows opens behind the first frame.
    input::start(events.clone())?;
    catch_resize(runtime, dashboard.state.view.size, events.clone());
    let mut looks = options.looks;
    let questions = answers::questions(&looks);
    let mut answers = Answers::to(questions);
    let mut asked = !questions.is_empty();
    terminal.backend_mut().aside(questions)?;
    let (messages, mut messages_in) = mpsc::channel(MESSAGES);
    if let Some(extra) = options.extra {
        forward(runtime, extra, messages.clone());
    }
    if options.first_run.is_some() {
        look_around(messages.clone())?;
    }
    let mut hands = Hands::start(&options.config, runtime.handle().clone(), messages, options.state_dir.is_some());
    hands.program = std::mem::take(&mut options.program);
    if let Some(dir) = &options.state_dir {
        history::open(dir, &options.config, events.clone())?;
        let late = events.clone();
        runtime.spawn(async move {
            tokio::time::sleep(OPENING).await;
            // The loop has ended when this fails.
            let _ = late.send(Event::OpensLate).await;
        });
    }
    if let Some(reload) = options.reload {
        reload::start(reload, options.config.hash.clone(), events.clone())?;
    }
    let mut in_force = InForce { config: options.config, warnings: options.warnings };
    let mut pace = Pace::new(Instant::now(), now);
    pace.drew(Instant::now());
    let mut continued: Option<Instant> = None;
    // An editor that has the terminal: until it gives it back nothing is drawn, and everything else goes on.
    let mut lent: Option<Lent> = None;
    #[cfg(debug_assertions)]
    let panics = std::env::var_os("ROUNDS_TEST_PANIC").is_some();

    loop {
        let until = wake_at(&dashboard, &pace, terminal.backend(), lent.is_some());
        let hold = pace.hold(Instant::now());
        let mut next = runtime.block_on(wait(&mut events_in, &mut messages_in, until, hold));
        let (at, now) = (Instant::now(), clock::now());
        if let Some(gap) = pace.slept(at, now) {
            let effects = dashboard.take(Msg::Slept(gap), now);
            hands.perform_all(effects, &mut dashboard, &mut terminal, now)?;
        }
        let mut taken = 0;
        while let Some(woken) = next {
            let effects = match woken {
                Woken::Message(msg) => dashboard.take(msg, now),
                Woken::Due if dashboard.next_change(now).is_some_and(|change| change <= now) => {
                    pace.ticked(at);
                    dashboard.take(Msg::Tick, now)
                }
                Woken::Due | Woken::Event(Event::Written) => Vec::new(),
                Woken::Event(Event::Input(input)) => {
                    #[cfg(debug_assertions)]
                    assert!(!(panics && matches!(input, Input::Key(_))), "asked to by ROUNDS_TEST_PANIC");
                    pace.press();
                    if let Input::Resize(columns, rows) = input
                        && columns > 0
                        && rows > 0
                    {
                        terminal.backend_mut().resize(columns, rows);
                    }
                    match answers.hear(input) {
                        Heard::Inputs(inputs) => inputs.iter().flat_map(|input| dashboard.input(input, now)).collect(),
                        Heard::Answer(asked, colour) => {
                            match asked {
                                Asked::Background => looks.answered = Some(colour),
                                Asked::Grey => looks.grey = Some(colour),
                            }
                            dashboard.wear(theme_of(&looks));
                            Vec::new()
                        }
                    }
                }
                Woken::Event(Event::Opened(opened)) => {
                    let (journal, notice) = history::judge(*opened, now);
                    hands.opened(journal, seq, events.clone())?;
                    notice.map(|notice| dashboard.take(notice, now)).unwrap_or_default()
                }
                Woken::Event(Event::Reloaded(read)) => match *read {
                    Ok(read) => {
                        let others = in_force.others(&read.config);
                        dashboard.remap(super::keymap(&read.config));
                        looks = EnvFacts { answered: looks.answered, grey: looks.grey, ..read.looks };
                        dashboard.wear(theme_of(&looks));
                        let questions = answers::questions(&looks);
                        if !questions.is_empty() && !std::mem::replace(&mut asked, true) {
                            answers = Answers::to(questions);
                            terminal.backend_mut().aside(questions)?;
                        }
                        terminal.backend_mut().aside(&guard.shared().set_mouse(read.config.ui.mouse.unwrap_or(false)))?;
                        let told = hands.reconfigure(&read.config, others, now)?;
                        let mut effects = dashboard.take(told, now);
                        // Last, so that it stays: what came with this file is more than what it changed.
                        if let Some(warning) = in_force.replace(read.config, read.warnings) {
                            effects.extend(dashboard.take(Msg::Toast(warning), now));
                        }
                        effects
                    }
                    Err(refused) => dashboard.take(Msg::Notice(refused.notice(now)), now),
                },
                Woken::Event(Event::OpensLate) => {
                    hands.opens_late();
                    Vec::new()
                }
                Woken::Event(Event::Leads(held)) => {
                    hands.leads(held);
                    Vec::new()
                }
                Woken::Event(Event::TerminalGone) => return Err(DashboardError::Gone),
                Woken::Event(Event::Lent(told)) => {
                    if let Some(editing) = lent.take() {
                        if told == Told::Stopped {
                            stop_with(&editing);
                            lent = Some(editing);
                        } else {
                            take_back(&editing, guard, &mut dashboard, &mut terminal)?;
                        }
                    }
                    Vec::new()
                }
                Woken::Event(Event::Signal(Signal::End(number))) => {
                    if let Some(editing) = &lent {
                        editing.hang_up();
                    }
                    return Ok((Ending::Signal(number), hands));
                }
                // They are the editor's while it has the terminal.
                Woken::Event(Event::Signal(Signal::Stop | Signal::Continue)) if lent.is_some() => Vec::new(),
                Woken::Event(Event::Signal(Signal::Stop)) => vec![Effect::Suspend],
                Woken::Event(Event::Signal(Signal::Reload)) => Vec::new(),
                Woken::Event(Event::Signal(Signal::Continue)) => {
                    if continued.is_none_or(|when| when.elapsed() > CONTINUED) {
                        guard.shared().arm()?;
                        vec![Effect::Redraw]
                    } else {
                        Vec::new()
                    }
                }
            };
            if effects.contains(&Effect::Quit) {
                return Ok((Ending::Quit, hands));
            }
            if let Some(choice) = effects.iter().find_map(|effect| if let Effect::Choose(choice) = effect { Some(*choice) } else { None }) {
                return Ok((Ending::Chosen(choice), hands));
            }
            if effects.contains(&Effect::Suspend) {
                suspend(guard, &mut dashboard, &mut terminal)?;
                continued = Some(Instant::now());
            }
            if let Some(Effect::Edit(file, line)) = effects.iter().find(|effect| matches!(effect, Effect::Edit(..)))
                && lent.is_none()
            {
                lent = edit(file, *line, guard, &mut dashboard, &mut terminal, events)?;
            }
            hands.perform_all(effects, &mut dashboard, &mut terminal, now)?;
            taken += 1;
            next = if taken < BATCH { next_now(&mut events_in, &mut messages_in) } else { None };
        }
        if lent.is_none() && dashboard.is_stale() && pace.frame_at(at) <= at && terminal.backend().is_idle() {
            dashboard.draw(&mut terminal, clock::now())?;
            pace.drew(at);
        }
    }
}

fn theme_of(looks: &EnvFacts) -> Theme {
    Theme::new(theme::detect(looks))
}

/// Looks at the working directory on a thread of its own: a disk may be slow.
fn look_around(messages: mpsc::Sender<Msg>) -> std::io::Result<()> {
    std::thread::Builder::new().name("rounds-detect".to_owned()).spawn(move || {
        let project = std::env::current_dir().and_then(|here| Project::of_process(&here));
        let found = project.map(|project| {
            let found = detect::detect(&project);
            FoundProject { kind: found.kind(), rows: found.rows() }
        });
        // The loop has ended when this fails.
        let _ = messages.blocking_send(Msg::Found(found.unwrap_or_default()));
    })?;
    Ok(())
}

/// A size that changed after it was first asked for and before somebody listened for changes would never be told: it is asked for
/// again a few times while the program starts.
fn catch_resize(runtime: &Runtime, first: (u16, u16), events: mpsc::Sender<Event>) {
    runtime.spawn(async move {
        for wait_ms in [30, 200, 1_000] {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            let size = terminal::size();
            if size != first {
                // The loop has ended when this fails.
                let _ = events.send(Event::Input(Input::Resize(size.0, size.1))).await;
                return;
            }
        }
    });
}

/// Opens a file in the person's editor, which gets the terminal; `None`: it did not come to that, and the screen says why.
fn edit(
    file: &Path,
    line: u32,
    guard: &Guard,
    dashboard: &mut Dashboard,
    terminal: &mut Terminal<Screen>,
    events: &mpsc::Sender<Event>,
) -> Result<Option<Lent>, DashboardError> {
    let Some(words) = editor::configured() else { return Ok(None) };
    if !input::lend() {
        dashboard.take(Msg::Toast("the keyboard could not be handed on".to_owned()), clock::now());
        return Ok(None);
    }
    guard.shared().restore();
    let events = events.clone();
    // The loop has ended when this fails.
    let tell = move |told| drop(events.blocking_send(Event::Lent(told)));
    match lend::lend(&editor::argv(words, file, line), file.parent(), terminal::output()?, tell) {
        Ok(lent) => Ok(Some(lent)),
        Err(error) => {
            returned(guard, dashboard, terminal)?;
            dashboard.take(Msg::Toast(error.to_string()), clock::now());
            Ok(None)
        }
    }
}

/// The editor was stopped with Ctrl-Z: we stop with it, and both go on together.
fn stop_with(editing: &Lent) {
    if signals::can_stop() {
        editing.take_back();
        signals::stop();
    }
    // Where nobody could continue us it goes on at once.
    editing.give();
}

/// The terminal is ours again.
fn take_back(editing: &Lent, guard: &Guard, dashboard: &mut Dashboard, terminal: &mut Terminal<Screen>) -> Result<(), DashboardError> {
    editing.take_back();
    returned(guard, dashboard, terminal)
}

fn returned(guard: &Guard, dashboard: &mut Dashboard, terminal: &mut Terminal<Screen>) -> Result<(), DashboardError> {
    guard.shared().arm()?;
    input::take_back();
    let (columns, rows) = terminal::size();
    terminal.backend_mut().resize(columns, rows);
    dashboard.take(Msg::Resize(columns, rows), clock::now());
    terminal.clear()?;
    Ok(())
}

/// Gives the terminal back, stops, and takes it again when continued.
fn suspend(guard: &Guard, dashboard: &mut Dashboard, terminal: &mut Terminal<Screen>) -> Result<(), DashboardError> {
    if !signals::can_stop() {
        let now = clock::now();
        dashboard.take(Msg::Toast("nothing here could continue a stopped rounds: it goes on".to_owned()), now);
        return Ok(());
    }
    guard.shared().restore();
    signals::stop();
    guard.shared().arm()?;
    let (columns, rows) = terminal::size();
    terminal.backend_mut().resize(columns, rows);
    dashboard.take(Msg::Resize(columns, rows), clock::now());
    terminal.clear()?;
    Ok(())
}

enum Woken {
    Event(Event),
    Message(Msg),
    Due,
}

/// When to wake although nothing comes: for a frame that waits for its time, or for what changes by itself.
fn wake_at(dashboard: &Dashboard, pace: &Pace, screen: &Screen, lent: bool) -> Option<Instant> {
    let (at, now) = (Instant::now(), clock::now());
    // A busy writer tells when it is done.
    let frame = (!lent && dashboard.is_stale() && screen.is_idle()).then(|| pace.frame_at(at));
    let tick = dashboard.next_change(now).map(|change| pace.tick_at(at, now, change));
    frame.into_iter().chain(tick).min()
}

/// The next thing to take in. Input goes before messages, so that a flood of these never freezes a key.
async fn wait(events: &mut mpsc::Receiver<Event>, messages: &mut mpsc::Receiver<Msg>, until: Option<Instant>, hold: Option<Instant>) -> Option<Woken> {
    let until = until.into_iter().chain(hold).min();
    let due = async {
        match until {
            Some(until) => tokio::time::sleep_until(until.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        Some(event) = events.recv() => Some(Woken::Event(event)),
        Some(msg) = messages.recv(), if hold.is_none() => Some(Woken::Message(msg)),
        () = due => Some(Woken::Due),
    }
}

/// What has come already.
fn next_now(events: &mut mpsc::Receiver<Event>, messages: &mut mpsc::Receiver<Msg>) -> Option<Woken> {
    events.try_recv().ok().map(Woken::Event).or_else(|| messages.try_recv().ok().map(Woken::Message))
}

/// Passes messages on, until either end is closed.
fn forward(runtime: &Runtime, mut from: mpsc::Receiver<Msg>, to: mpsc::Sender<Msg>) {
    runtime.spawn(async move {
        while let Some(msg) = from.recv().await {
            if to.send(msg).await.is_err() {
                return;
            }
        }
    });
}
