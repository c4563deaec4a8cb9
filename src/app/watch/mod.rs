//! `rounds watch`: the collector without a screen. It looks under the leases, keeps the journal, starts what is due by schedule, serves what
//! it knows to Prometheus, and has somebody outside watch it. Dashboards beside it follow.
//!
//! One thread takes in messages as the dashboard's does; what may wait runs beside it. What does not belong here: what a message means
//! (`state`), what the page says (`report::prometheus`).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::pace::Pace;
use super::perform::Hands;
use super::reload::{InForce, Load};
use super::signals::{self, Signal};
use super::{Event, history};
use crate::config::model::{Config, Watch};
use crate::domain::{SourceError, Timestamp};
use crate::io::clock;
use crate::io::service::{self, Service};
use crate::journal::{Journal, Redactor, read_snapshot};
use crate::report::Counts;
use crate::report::prometheus::{self, Format, Own};
use crate::state::update::{next_tick, update};
use crate::state::{Effect, Msg, State, World};

mod beat;
mod events;
mod log;
pub mod schedule;
mod serve;
mod vitals;

use beat::{Beat, Target};
use log::{Log, Weight};
use schedule::{Schedules, Turn};
use serve::{Answer, Question, Server};
use vitals::{Keeping, Vitals};

/// Messages of sources that wait to be taken in; past this sources wait.
const MESSAGES: usize = 4_096;
/// Signals and the like that wait.
const EVENTS: usize = 64;
/// Questions of our own page that wait.
const QUESTIONS: usize = 64;
/// Taken in between two looks at the clock.
const BATCH: usize = 256;
/// How long looking waits for the journal to open: a disk may be slow, an outage may not wait for it.
const OPENING: Duration = Duration::from_secs(3);
/// How soon a journal that could not be opened is tried again.
const OPEN_AGAIN: Duration = Duration::from_secs(30);
/// How long leaving waits for what is under way.
const LEAVING: Duration = Duration::from_secs(5);
/// How long a drill that is stopped may take to clean up: a server of its own ends in that time.
const CLEANING: Duration = Duration::from_secs(15);
/// The page is made anew at most this often.
const PAGE: Duration = Duration::from_millis(250);
/// Something may be due by schedule: asked at most and at least this often.
const SCHEDULE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The service manager is told how it stands at most this often.
const STATUS: Duration = Duration::from_secs(5);
/// How it is is looked at at most this often: with ten thousand sources a look at each of them is work.
const VITALS: Duration = Duration::from_secs(1);
/// Messages that follow others wait so long, so that one wake-up takes many: nobody sits here to see them come.
const GATHER: Duration = Duration::from_millis(100);
/// The longest wait when nothing comes: the clock is looked at, so that a sleep is noticed.
const LONGEST: Duration = Duration::from_secs(15);

/// What the collector is started with.
pub struct Options {
    /// What is watched; already narrowed to one site where that was asked.
    pub config: Config,
    /// Where the journal lives.
    pub state_dir: PathBuf,
    /// Nothing is started by schedule that changes anything.
    pub read_only: bool,
    /// Reads the configuration again.
    pub load: Load,
}

/// Why there is no collector, or none to the end.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Its own page cannot be served.
    #[error("cannot listen on {address}: {}; name another place by `listen` in [watch] or --listen, or stop what listens there", reason(.source))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Threads, signals.
    #[error("the collector cannot run: {0}")]
    Io(#[from] io::Error),
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "it is taken, perhaps by another rounds watch".to_owned(),
        io::ErrorKind::AddrNotAvailable => "it is no address of this machine".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not".to_owned(),
        _ => error.to_string(),
    }
}

/// What comes from the collector's own parts.
#[derive(Debug)]
pub(super) enum Inner {
    /// Somebody asks for the page.
    Asked(serve::Ask),
    /// A heartbeat has ended.
    Beaten(Result<(), SourceError>),
}

enum Woken {
    Event(Event),
    Message(Msg),
    Inner(Inner),
    Due,
}

/// Runs the collector until a signal ends it. Gives the signal.
///
/// # Errors
/// When it cannot start: its place to listen is taken, or the system refuses threads or signals.
pub fn watch(options: Options) -> Result<i32, WatchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(128).thread_name("rounds-io").enable_all().build()?;
    let (events, mut events_in) = mpsc::channel(EVENTS);
    runtime.block_on(async { signals::start_without_screen(&events) })?;
    let (messages, mut messages_in) = mpsc::channel(MESSAGES);
    let (inner, mut inner_in) = mpsc::channel(QUESTIONS);
    let mut collector = Collector::start(options, &runtime, messages, events, inner)?;

    let mut gathered: Option<Instant> = None;
    let signal = loop {
        let until = collector.wake_at(Instant::now(), clock::now());
        let hold = gathered.map(|last| last + GATHER).filter(|until| *until > Instant::now());
        let mut next = runtime.block_on(wait(&mut events_in, &mut messages_in, &mut inner_in, until, hold));
        let (at, now) = (Instant::now(), clock::now());
        if let Some(gap) = collector.pace.slept(at, now) {
            collector.begun = now;
            collector.take(Msg::Slept(gap), now);
        }
        let (mut taken, mut ended) = (0, None);
        while let Some(woken) = next {
            match woken {
                Woken::Message(msg) => {
                    gathered = Some(at);
                    collector.take(msg, now);
                }
                Woken::Inner(Inner::Asked(ask)) => collector.answer(ask, at, now),
                Woken::Inner(Inner::Beaten(result)) => collector.beaten(&result, now),
                Woken::Event(Event::Signal(Signal::End(number))) => ended = Some(number),
                Woken::Event(event) => collector.event(event, at, now)?,
                Woken::Due => {}
            }
            taken += 1;
            if ended.is_some() || taken >= BATCH {
                break;
            }
            next = now_there(&mut events_in, &mut messages_in, &mut inner_in);
        }
        if let Some(number) = ended {
            // What was gathered is taken in, or the journal would lack it.
            while let Ok(msg) = messages_in.try_recv() {
                collector.take(msg, now);
            }
            break number;
        }
        if taken >= BATCH {
            // There is more than one turn takes.
            gathered = None;
        }
        collector.turn(at, now);
    };
    collector.end(signal, &runtime);
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(signal)
}

async fn wait(
    events: &mut mpsc::Receiver<Event>,
    messages: &mut mpsc::Receiver<Msg>,
    inner: &mut mpsc::Receiver<Inner>,
    until: Instant,
    hold: Option<Instant>,
) -> Option<Woken> {
    let until = hold.map_or(until, |hold| hold.min(until));
    tokio::select! {
        biased;
        Some(event) = events.recv() => Some(Woken::Event(event)),
        Some(inner) = inner.recv() => Some(Woken::Inner(inner)),
        Some(msg) = messages.recv(), if hold.is_none() => Some(Woken::Message(msg)),
        () = tokio::time::sleep_until(until.into()) => Some(Woken::Due),
    }
}

/// What has come already.
fn now_there(events: &mut mpsc::Receiver<Event>, messages: &mut mpsc::Receiver<Msg>, inner: &mut mpsc::Receiver<Inner>) -> Option<Woken> {
    let event = events.try_recv().ok().map(Woken::Event);
    event.or_else(|| inner.try_recv().ok().map(Woken::Inner)).or_else(|| messages.try_recv().ok().map(Woken::Message))
}

struct Collector {
    state: State,
    hands: Hands,
    in_force: InForce,
    log: Log,
    service: Service,
    server: Option<Server>,
    schedules: Schedules,
    beat: Option<Beat>,
    load: Arc<Mutex<Load>>,
    /// The configuration is being read; and whether somebody asked for that again meanwhile.
    reading: Option<bool>,
    state_dir: PathBuf,
    read_only: bool,
    seq: u64,
    /// Why there is no journal, and when it is tried again.
    without_journal: Option<(String, Instant)>,
    events: mpsc::Sender<Event>,
    messages: mpsc::Sender<Msg>,
    inner: mpsc::Sender<Inner>,
    runtime: tokio::runtime::Handle,
    pace: Pace,
    started: Timestamp,
    /// When polling began, or began anew after a sleep.
    begun: Timestamp,
    polls: BTreeMap<(String, &'static str), u64>,
    last_poll: Option<Timestamp>,
    reloads: (u64, u64),
    page: Option<(Instant, Format, Bytes)>,
    /// Something happened that may have made something due by schedule.
    touched: bool,
    schedule_at: (Instant, Instant),
    alive_at: Option<Instant>,
    status: (Instant, String),
    ready: bool,
    /// How it was when it was last looked at.
    looked: Option<(Instant, Vitals)>,
    /// Whether it was well then; a change is a line.
    well: Result<(), String>,
}

impl Collector {
    fn start(
        options: Options,
        runtime: &Runtime,
        messages: mpsc::Sender<Msg>,
        events: mpsc::Sender<Event>,
        inner: mpsc::Sender<Inner>,
    ) -> Result<Self, WatchError> {
        let Options { config, state_dir, read_only, load } = options;
        let (at, now) = (Instant::now(), clock::now());
        let handle = runtime.handle().clone();
        let server = match config.watch.listen {
            Some(address) => Some(Server::start(&handle, address, inner.clone()).map_err(|source| WatchError::Listen { address, source })?),
            None => None,
        };
        let log = Log::start(service::errors_go_to_journal(), redaction(&config))?;
        let mut state = super::initial_state(&config);
        let snapshot = read_snapshot(&state_dir);
        let seq = snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
        if let Some(snapshot) = snapshot {
            history::remember(&mut state, snapshot, now);
        }
        let hands = Hands::start(&config, handle.clone(), messages.clone(), true);
        history::open(&state_dir, &config, events.clone())?;
        let late = events.clone();
        runtime.spawn(async move {
            tokio::time::sleep(OPENING).await;
            // The loop has ended when this fails.
            let _ = late.send(Event::OpensLate).await;
        });
        let served = server.as_ref().map_or_else(|| "serves nothing".to_owned(), |server| format!("http://{}/metrics", server.address));
        let count = config.sources.len();
        log.say(Weight::Info, &format!("rounds: watching {count} sources; {served}; journal in {}", state_dir.display()), now);
        let mut this = Self {
            state,
            hands,
            log,
            service: Service::of_process(),
            server,
            schedules: Schedules::default(),
            beat: None,
            load: Arc::new(Mutex::new(load)),
            reading: None,
            state_dir,
            read_only,
            seq,
            without_journal: None,
            events,
            messages,
            inner,
            runtime: handle,
            pace: Pace::new(at, now),
            started: now,
            begun: now,
            polls: BTreeMap::new(),
            last_poll: None,
            reloads: (0, 0),
            page: None,
            touched: true,
            schedule_at: (at, at),
            alive_at: None,
            status: (at, String::new()),
            ready: false,
            looked: None,
            well: Ok(()),
            in_force: InForce { config, warnings: Vec::new() },
        };
        this.settle_beat(at, now);
        Ok(this)
    }

    /// The heartbeat as the configuration says.
    fn settle_beat(&mut self, at: Instant, now: Timestamp) {
        let Watch { heartbeat, heartbeat_every, .. } = &self.in_force.config.watch;
        match (heartbeat, &mut self.beat) {
            (None, _) => self.beat = None,
            (Some(_), _) if !self.in_force.config.trusted => {
                self.beat = None;
                self.log.say(
                    Weight::Warning,
                    "rounds: the heartbeat is not called: this configuration is not trusted; name it by --config, or run `rounds trust`",
                    now,
                );
            }
            (Some(_), Some(beat)) => beat.renew(*heartbeat_every, at),
            (Some(_), none) => *none = Some(Beat::new(*heartbeat_every, at)),
        }
    }

    /// Takes one message in, does what it asks for, and says what changed.
    fn take(&mut self, msg: Msg, now: Timestamp) {
        match &msg {
            Msg::Polled(polled) | Msg::Followed(polled) => {
                let result = match (&msg, &polled.result) {
                    (Msg::Followed(_), _) => "followed",
                    (_, Ok(_)) => "ok",
                    (_, Err(_)) => "error",
                };
                self.last_poll = self.last_poll.max(Some(polled.at));
                // Bounded: the kinds of the configuration.
                if let Some(source) = self.state.world.sources.get(&polled.source) {
                    self.touched |= source.backup.is_some();
                    *self.polls.entry((polled.source.kind().to_owned(), result)).or_default() += 1;
                }
            }
            Msg::Events(transitions) => transitions.iter().for_each(|transition| self.log.transition(transition)),
            Msg::Notice(notice) => self.log.say(Weight::Warning, &format!("rounds: {}", notice.text), now),
            Msg::NoticeOver(_) => self.log.say(Weight::Notice, "rounds: the journal can be written again", now),
            _ => {}
        }
        for effect in update(&mut self.state, msg, now) {
            if let Effect::KeepTransition(transition) = &effect {
                self.log.transition(transition);
            }
            // What needs a screen is for nobody here.
            drop(self.hands.perform(effect));
        }
    }

    fn keeping(&self) -> Keeping {
        match (self.hands.journal(), &self.without_journal) {
            (Some(journal), _) => Keeping::Open(journal.writes(), journal.trouble().map(|(trouble, since)| trouble.notice(since).text)),
            (None, Some((reason, _))) => Keeping::None(reason.clone()),
            (None, None) => Keeping::Opening,
        }
    }

    /// How it is now.
    fn look(&mut self, at: Instant, now: Timestamp) -> Vitals {
        let vitals = vitals::of(&self.state.world, &self.keeping(), self.begun, now);
        self.looked = Some((at, vitals.clone()));
        vitals
    }

    /// How it was a moment ago, for the turns of the loop.
    fn vitals(&mut self, at: Instant, now: Timestamp) -> Vitals {
        match &self.looked {
            Some((when, vitals)) if at.saturating_duration_since(*when) < VITALS => vitals.clone(),
            _ => self.look(at, now),
        }
    }

    fn answer(&mut self, ask: serve::Ask, at: Instant, now: Timestamp) {
        let answer = match ask.question {
            Question::Health => serve::health(&self.look(at, now).verdict()),
            Question::Metrics(format) => {
                let made = self.page.take().filter(|(when, of, _)| *of == format && at.duration_since(*when) < PAGE);
                let (when, _, body) = match made {
                    Some(made) => made,
                    None => {
                        let own = self.own(at, now);
                        (at, format, Bytes::from(prometheus::text(&self.state.world, &own, now, format)))
                    }
                };
                self.page = Some((when, format, body.clone()));
                Answer { status: 200, content_type: format.content_type(), body }
            }
        };
        // Whoever asked may be gone.
        let _ = ask.answer.send(answer);
    }

    fn own(&mut self, at: Instant, now: Timestamp) -> Own {
        let vitals = self.look(at, now);
        let writes = self.hands.journal().map(Journal::writes).unwrap_or_default();
        Own {
            started: self.started,
            polls_progress: vitals.polls.is_ok(),
            journal_writes: vitals.journal.is_ok(),
            polls: self.polls.clone(),
            last_poll: self.last_poll,
            held: self.hands.held().map_or(0, |held| held.len()),
            transactions: writes.transactions,
            failures: writes.failures,
            lost: writes.lost,
            last_write: writes.last,
            heartbeats: self.beat.as_ref().map(|beat| (beat.taken, beat.refused)),
            last_heartbeat: self.beat.as_ref().and_then(|beat| beat.last),
            reloads: self.reloads,
            lines_lost: self.log.lost(),
            scheduled: self.schedules.started(),
        }
    }

    fn beaten(&mut self, result: &Result<(), SourceError>, now: Timestamp) {
        let Some(beat) = &mut self.beat else { return };
        if let Some(line) = beat.ended(result, now) {
            let weight = if beat.is_failing() { Weight::Warning } else { Weight::Notice };
            self.log.say(weight, &format!("rounds: {line}"), now);
        }
    }

    /// What is due by the clock.
    fn turn(&mut self, at: Instant, now: Timestamp) {
        if next_tick(&self.state, now).is_some_and(|due| due <= now) && self.pace.tick_at(at, now, now) <= at {
            self.pace.ticked(at);
            self.take(Msg::Tick, now);
        }
        if let Some((_, again)) = &mut self.without_journal
            && *again <= at
        {
            *again = at + OPEN_AGAIN;
            // A thread that cannot be started today may be tomorrow.
            let _ = history::open(&self.state_dir, &self.in_force.config, self.events.clone());
        }
        let vitals = self.vitals(at, now);
        let well = vitals.verdict();
        if well.is_ok() != self.well.is_ok() {
            match &well {
                Ok(()) => self.log.say(Weight::Notice, "rounds: all is well with the collector again", now),
                Err(reason) => self.log.say(Weight::Error, &format!("rounds: the collector is not well: {reason}"), now),
            }
            self.well.clone_from(&well);
        }
        // Nothing was looked at yet: there is nothing to swear to.
        let nothing_polled = !self.state.world.sources.values().any(|source| source.spec.enabled && !source.spec.continuous);
        if (self.last_poll.is_some() || nothing_polled || well.is_err())
            && let Some(call) = self.beat.as_mut().and_then(|beat| beat.turn(at, &well))
            && let Some(address) = self.in_force.config.watch.heartbeat.clone()
        {
            let target = Target { address, base: self.in_force.config.watch.base.clone(), trusted: self.in_force.config.trusted };
            let inner = self.inner.clone();
            self.runtime.spawn(async move {
                let result = beat::call(&target, &call).await;
                // The loop has ended when this fails.
                let _ = inner.send(Inner::Beaten(result)).await;
            });
        }
        self.tell_service(at, vitals.polls.is_ok());
        self.run_due(at, now);
    }

    /// Signs of life for the service manager: as long as the loop turns and polls progress, which a restart would mend if they did not.
    fn tell_service(&mut self, at: Instant, progress: bool) {
        if !self.service.is_there() {
            return;
        }
        if let Some(limit) = self.service.watchdog()
            && progress
            && self.alive_at.is_none_or(|due| due <= at)
        {
            self.service.alive();
            self.alive_at = Some(at + limit / 3);
        }
        if self.ready && self.status.0 + STATUS <= at {
            let standing = standing(&self.state.world);
            if standing != self.status.1 {
                self.service.status(&standing);
            }
            self.status = (at, standing);
        }
    }

    fn run_due(&mut self, at: Instant, now: Timestamp) {
        let (earliest, latest) = self.schedule_at;
        if at < earliest || !(self.touched || latest <= at) {
            return;
        }
        // Who polls what is not known at the start.
        let Some(held) = self.hands.held() else { return };
        self.touched = false;
        let turn = Turn {
            config: &self.in_force.config,
            state: &self.state,
            held: &held,
            journal: self.hands.journal(),
            runtime: &self.runtime,
            messages: &self.messages,
            read_only: self.read_only,
            now,
        };
        let next = self.schedules.run_due(&turn);
        let wait = next.map_or(SCHEDULE.1, |next| (next - now).to_std().unwrap_or_default()).clamp(SCHEDULE.0, SCHEDULE.1);
        self.schedule_at = (at + SCHEDULE.0, at + wait);
    }

    /// When to wake although nothing comes.
    fn wake_at(&self, at: Instant, now: Timestamp) -> Instant {
        let tick = next_tick(&self.state, now).map(|due| self.pace.tick_at(at, now, due));
        let beat = self.beat.as_ref().and_then(Beat::due).filter(|due| *due > at);
        let alive = self.service.watchdog().and(self.alive_at).filter(|due| *due > at);
        let open = self.without_journal.as_ref().map(|(_, again)| *again);
        let (earliest, latest) = self.schedule_at;
        let schedule = Some(if self.touched { earliest } else { latest }).filter(|due| *due > at);
        [tick, beat, alive, open, schedule].into_iter().flatten().chain([at + LONGEST]).min().unwrap_or(at + LONGEST)
    }

    /// Ends what is under way, gives the leases back and writes what the journal still holds.
    fn end(mut self, signal: i32, runtime: &Runtime) {
        let name = nix::sys::signal::Signal::try_from(signal).map_or_else(|_| signal.to_string(), |signal| signal.to_string());
        self.service.stopping();
        self.log.say(Weight::Info, &format!("rounds: stopping: {name}"), clock::now());
        drop(self.server);
        for record in self.schedules.stop(runtime, CLEANING) {
            drop(self.hands.perform(Effect::KeepTransition(record)));
        }
        self.hands.let_go(runtime, LEAVING);
        self.log.say(Weight::Info, "rounds: stopped", clock::now());
    }
}

/// What the person wants masked in what is kept is masked in lines too: a service manager keeps them.
fn redaction(config: &Config) -> Redactor {
    // A pattern that is none was told when the configuration was read.
    Redactor::new(&config.journal.redact).unwrap_or_default()
}

/// How the sites stand, in one line: `60 sources: 58 ok, 1 down, 1 unknown`.
fn standing(world: &World) -> String {
    let counts = Counts::of(world);
    let parts = [
        (counts.ok, "ok"),
        (counts.degraded, "degraded"),
        (counts.down, "down"),
        (counts.pending, "pending"),
        (counts.unknown, "unknown"),
        (counts.stale, "stale"),
        (counts.paused, "paused"),
        (counts.maintenance, "in maintenance"),
    ];
    let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    format!("{} sources: {}", world.sources.len(), parts.join(", "))
}
