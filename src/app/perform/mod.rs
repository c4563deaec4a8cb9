//! Performs what the reducer asks for. Nothing here waits: what takes time is handed on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crossterm::clipboard::CopyToClipboard;
use crossterm::queue;
use ratatui::Terminal;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;

mod looking;
mod running;

use running::Ours;

use super::Event;
use super::dashboard::Dashboard;
use super::history::History;
use super::screen::Screen;
use crate::actions::{Action, audit, drill};
use crate::config::model::{Config, Fingerprint, Place};
use crate::domain::{ActionEnd, Data, SourceId, Timestamp, Transition, TransitionKind};
use crate::io::apart::Apart;
use crate::journal::Journal;
use crate::journal::Redactor;
use crate::sources::runner::{Runner, RunnerOptions};
use crate::sources::{Past, SourceSpec};
use crate::state::msg::{Configured, Polled};
use crate::state::{Effect, Msg};

/// The most that is put on a clipboard, in bytes: terminals drop longer sequences, some after 74,994 bytes of base64.
const CLIPBOARD: usize = 48 * 1024;

/// Polls of logs that are held for the case that whoever keeps them dies, and for how long: longer than a lease lives.
const HELD: usize = 256;
const HELD_FOR: Duration = Duration::from_secs(30);
/// Events kept of each, as examples.
const HELD_EVENTS: usize = 50;
/// What waits for the journal to open; past this the oldest is forgotten.
const WAITING: usize = 1_024;

/// What effects are performed with.
#[derive(Debug)]
pub struct Hands {
    runner: Runner,
    /// Where polls that measure time run.
    apart: Option<Apart>,
    runtime: Handle,
    messages: mpsc::Sender<Msg>,
    keeping: Keeping,
    polled: BTreeSet<SourceId>,
    continuous: BTreeSet<SourceId>,
    leads: Option<BTreeSet<SourceId>>,
    /// Whether we were told which sources are ours.
    led: bool,
    /// What was read of logs that are not ours to keep, for the case that they become so.
    held: VecDeque<Box<Polled>>,
    network: Arc<Way>,
    redaction: Arc<Redactor>,
    actions: Vec<Action>,
    trusted: bool,
    /// How the journal keeps and redacts; it may open after another configuration came.
    journal: crate::config::model::Journal,
    running: BTreeMap<String, Ours>,
    /// What each source was built from.
    built_from: BTreeMap<SourceId, Fingerprint>,
    /// Where the code of each source's site is.
    directories: BTreeMap<SourceId, PathBuf>,
    /// This program and the flags by which it reads the same configuration.
    pub(super) program: Vec<String>,
    /// What reads logs further back.
    pasts: BTreeMap<SourceId, Arc<dyn Past>>,
    /// What can be tried with copies, by the id of its action.
    tries: BTreeMap<SourceId, drill::Order>,
}

/// What is looked at to know whether we are cut off, and whether somebody does.
#[derive(Debug)]
struct Way {
    anchors: Vec<Place>,
    targets: Vec<(SourceId, Vec<Place>)>,
    looking: AtomicBool,
}

impl Way {
    fn of(config: &Config) -> Self {
        Self { anchors: config.anchors.clone(), targets: super::network_targets(config), looking: AtomicBool::new(false) }
    }
}

/// The sources that are polled, and those that are followed; without paused ones.
fn kinds(config: &Config) -> (BTreeSet<SourceId>, BTreeSet<SourceId>) {
    let specs = config.sources.iter().map(|entry| entry.config.spec(&entry.context)).filter(|spec| spec.enabled);
    let (continuous, polled): (Vec<_>, Vec<_>) = specs.partition(|spec| spec.continuous);
    let ids = |specs: Vec<SourceSpec>| specs.into_iter().map(|spec| spec.id).collect();
    (ids(polled), ids(continuous))
}

fn fingerprints(config: &Config) -> BTreeMap<SourceId, Fingerprint> {
    config.sources.iter().map(|entry| (entry.id.clone(), entry.fingerprint())).collect()
}

/// What the person wants masked in what is kept is masked in details too.
fn redaction(config: &Config) -> Arc<Redactor> {
    // A pattern that is none was told when the configuration was read.
    Arc::new(Redactor::new(&config.journal.redact).unwrap_or_default())
}

/// The directories of sites that have one, by source.
fn directories(config: &Config) -> BTreeMap<SourceId, PathBuf> {
    let has_one = |id: &SourceId| config.sites.iter().any(|site| site.name == id.site() && site.directory.is_some());
    config.sources.iter().filter(|entry| has_one(&entry.id)).map(|entry| (entry.id.clone(), entry.context.base.clone())).collect()
}

/// What reads logs further back; one that cannot be built says why when its source is built.
fn pasts(config: &Config) -> BTreeMap<SourceId, Arc<dyn Past>> {
    let built = config.sources.iter().filter_map(|entry| Some((entry.id.clone(), entry.config.past(&entry.context)?.ok()?)));
    built.collect()
}

/// What can be tried with copies.
fn tries(config: &Config) -> BTreeMap<SourceId, drill::Order> {
    drill::orders(config).into_iter().map(|(spec, order)| (spec.id, order)).collect()
}

/// Holds a poll of a log that somebody else keeps, for a while.
fn hold(held: &mut VecDeque<Box<Polled>>, mut polled: Box<Polled>, led: bool) {
    let Ok(collected) = &mut polled.result else { return };
    for observation in &mut collected.observations {
        if let Data::Log(batch) = &mut observation.data {
            if batch.book.is_empty() && led {
                return;
            }
            batch.looked_back = true;
            let over = batch.events.len().saturating_sub(HELD_EVENTS);
            batch.events.drain(..over);
        }
    }
    let now = polled.at;
    held.push_back(polled);
    while held.len() > HELD || held.front().is_some_and(|oldest| crate::domain::time::since(oldest.at, now) > HELD_FOR) {
        held.pop_front();
    }
}

/// Where what is kept goes.
#[derive(Debug)]
enum Keeping {
    /// The journal is being opened.
    Later(VecDeque<Effect>),
    /// It is open.
    Open(Box<History>),
    /// There is none.
    Nowhere,
}

impl Hands {
    /// Starts the sources. With a journal to come they wait until it says which are ours.
    #[must_use]
    pub fn start(config: &Config, runtime: Handle, messages: mpsc::Sender<Msg>, journal_to_come: bool) -> Self {
        let (polled, continuous) = kinds(config);
        let built_from = fingerprints(config);
        // Without a thread of their own polls run beside the others: less exact, and no reason not to look.
        let apart = Apart::start("rounds-probes").ok();
        let runner = {
            let _entered = runtime.enter();
            Runner::start(
                config.sources.clone(),
                &messages,
                &RunnerOptions { wait_for_lead: journal_to_come, timed: apart.as_ref().map(|apart| apart.handle().clone()) },
            )
        };
        let keeping = if journal_to_come { Keeping::Later(VecDeque::new()) } else { Keeping::Nowhere };
        Self {
            runner,
            apart,
            runtime,
            messages,
            keeping,
            polled,
            continuous,
            leads: None,
            led: false,
            held: VecDeque::new(),
            network: Arc::new(Way::of(config)),
            redaction: redaction(config),
            built_from,
            directories: directories(config),
            pasts: pasts(config),
            tries: tries(config),
            program: Vec::new(),
            actions: config.actions.clone(),
            trusted: config.trusted,
            journal: config.journal.clone(),
            running: BTreeMap::new(),
        }
    }

    /// Another configuration: what is not in it ends, what is new begins, what is another is built anew; the rest goes on. What runs
    /// now ends as it began. Gives what the state is to be told; `others` is what else is another, for reading.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn reconfigure(&mut self, config: &Config, others: Vec<&'static str>, now: Timestamp) -> std::io::Result<Msg> {
        let next = fingerprints(config);
        let gone: BTreeSet<SourceId> = self.built_from.iter().filter(|(id, was)| next.get(*id) != Some(*was)).map(|(id, _)| id.clone()).collect();
        let new: BTreeSet<SourceId> = next.iter().filter(|(id, is)| self.built_from.get(*id) != Some(*is)).map(|(id, _)| id.clone()).collect();
        let changed = gone.intersection(&new).cloned().collect();
        let entries = config.sources.iter().filter(|entry| new.contains(&entry.id)).cloned().collect();
        let alone = matches!(self.keeping, Keeping::Nowhere);
        {
            let _entered = self.runtime.enter();
            self.runner.change(
                &gone,
                entries,
                &self.messages,
                &RunnerOptions { wait_for_lead: !alone, timed: self.apart.as_ref().map(|apart| apart.handle().clone()) },
            );
        }
        (self.polled, self.continuous) = kinds(config);
        self.network = Arc::new(Way::of(config));
        self.redaction = redaction(config);
        self.built_from = next;
        self.directories = directories(config);
        self.pasts = pasts(config);
        self.tries = tries(config);
        self.actions.clone_from(&config.actions);
        self.trusted = config.trusted;
        self.journal.clone_from(&config.journal);
        if let Keeping::Open(history) = &self.keeping {
            history.journal().renew(&self.journal);
            history.want(self.polled.union(&self.continuous).cloned().collect(), self.continuous.clone(), new, self.messages.clone())?;
            // What we hold already goes on; what is new is told when we have it.
            self.lead(self.leads.as_ref());
        }
        let state = super::initial_state(config);
        let specs = state.world.sources.into_values().map(|source| source.spec).collect();
        Ok(Msg::Configured(Box::new(Configured {
            sites: state.world.sites,
            specs,
            changed,
            guarded: state.world.offline.guarded,
            actions: state.world.actions,
            tries: state.world.tries,
            untrusted: state.world.untrusted,
            zone: super::zone(config, now),
            wall: config.wall.clone(),
            others,
        })))
    }

    /// Begins with the journal that was opened, or without one.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn opened(&mut self, journal: Option<Journal>, seq: u64, events: mpsc::Sender<Event>) -> std::io::Result<()> {
        let Some(journal) = journal else {
            self.keeping = Keeping::Nowhere;
            self.lead(None);
            return Ok(());
        };
        let wanted = self.polled.union(&self.continuous).cloned().collect();
        journal.renew(&self.journal);
        let history = History::begin(journal, seq, &wanted, self.continuous.clone(), &self.messages, events)?;
        if let Keeping::Later(waiting) = std::mem::replace(&mut self.keeping, Keeping::Open(Box::new(history))) {
            for effect in waiting {
                self.keep(effect);
            }
        }
        Ok(())
    }

    /// The journal has not opened yet and looking can wait no longer.
    pub fn opens_late(&self) {
        if matches!(self.keeping, Keeping::Later(_)) {
            self.lead(None);
        }
    }

    /// Takes note of which sources are ours; `None`: all. What is read continuously is read by every process, and kept by one.
    pub fn leads(&mut self, held: Option<BTreeSet<SourceId>>) {
        self.lead(held.as_ref());
        self.leads = held;
        self.led = true;
        // What was read of a log since whoever kept it before stopped doing so is ours to keep now; the book counts only what is newer
        // than what it has.
        for polled in std::mem::take(&mut self.held) {
            self.keep(Effect::KeepPoll(polled));
        }
    }

    fn lead(&self, held: Option<&BTreeSet<SourceId>>) {
        for id in &self.polled {
            self.runner.lead(id, held.is_none_or(|held| held.contains(id)));
        }
    }

    fn keep(&mut self, effect: Effect) {
        if let Effect::KeepTransition(Transition { kind: TransitionKind::Action { run, ended: Some(_), .. }, .. }) = &effect {
            self.running.remove(run);
        }
        match &mut self.keeping {
            Keeping::Nowhere => {}
            Keeping::Later(waiting) => {
                if waiting.len() >= WAITING {
                    waiting.pop_front();
                }
                waiting.push_back(effect);
            }
            Keeping::Open(history) => match effect {
                Effect::KeepPoll(polled) => {
                    // Every process reads a log; if each kept what it read, it would count several times.
                    let ours = !self.continuous.contains(&polled.source) || self.led && self.leads.as_ref().is_none_or(|leads| leads.contains(&polled.source));
                    if ours {
                        history.journal().keep_poll(*polled);
                    } else {
                        hold(&mut self.held, polled, self.led);
                    }
                }
                Effect::KeepTransition(transition) => history.journal().keep_transition(transition),
                Effect::KeepAcknowledgement(finding, acknowledgement) => history.journal().keep_acknowledgement(finding, acknowledgement),
                _ => {}
            },
        }
    }

    /// Performs an effect that needs no screen; one that does is given back.
    pub fn perform(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::LookAtNetwork => self.look_at_network(),
            Effect::Poll(id) => self.runner.poll(&id),
            Effect::PollAll => self.runner.poll_all(),
            Effect::ReadLogBack(id, query) => self.read_log_back(id, query),
            Effect::KeepPoll(_) | Effect::KeepTransition(_) | Effect::KeepAcknowledgement(..) => self.keep(effect),
            effect => return Some(effect),
        }
        None
    }

    /// The journal, where it is open.
    #[must_use]
    pub fn journal(&self) -> Option<&Journal> {
        if let Keeping::Open(history) = &self.keeping { Some(history.journal()) } else { None }
    }

    /// The sources that this process polls for all; `None`: it is not known yet.
    #[must_use]
    pub fn held(&self) -> Option<BTreeSet<SourceId>> {
        match (&self.keeping, &self.leads) {
            (Keeping::Open(_), Some(held)) => Some(held.clone()),
            // Who cannot share polls by itself.
            (Keeping::Open(_), None) if self.led => Some(self.polled.union(&self.continuous).cloned().collect()),
            (Keeping::Nowhere, _) => Some(self.polled.union(&self.continuous).cloned().collect()),
            _ => None,
        }
    }

    /// Performs all effects but those of the loop itself (leaving and stopping).
    ///
    /// # Errors
    /// When the terminal cannot be drawn on.
    pub fn perform_all(&mut self, effects: Vec<Effect>, dashboard: &mut Dashboard, terminal: &mut Terminal<Screen>, now: Timestamp) -> std::io::Result<()> {
        for effect in effects {
            let Some(effect) = self.perform(effect) else { continue };
            let effect = match effect {
                Effect::CopyRestore(source, copy) => match self.tries.values().find(|order| order.source == source) {
                    Some(order) => Effect::Copy(order.repository.by_hand(&copy)),
                    None => continue,
                },
                effect => effect,
            };
            match effect {
                Effect::LookAt { key, part } => self.look_at(key, part, dashboard, now),
                Effect::RunAction(order) => self.run_action(*order, dashboard, now),
                Effect::Offers(keys) => self.offers(keys, dashboard),
                Effect::Perform(errand) if errand.can_stop() => self.run_verb(*errand, dashboard, now),
                Effect::Perform(errand) => self.run_errand(*errand, dashboard),
                Effect::StopAction(run) => {
                    if let Some(ours) = self.running.get(&run) {
                        ours.stop.cancel();
                    }
                }
                Effect::Copy(text) => {
                    if text.len() > CLIPBOARD {
                        dashboard.take(Msg::Toast("too long for the clipboard".to_owned()), now);
                    } else {
                        let mut bytes = Vec::new();
                        queue!(bytes, CopyToClipboard::to_clipboard_from(&text))?;
                        terminal.backend_mut().aside(&bytes)?;
                    }
                }
                Effect::FindFrame(place) => self.find_frame(*place, dashboard, now),
                Effect::Open(link) => self.open(link, dashboard, now),
                Effect::Bell => terminal.backend_mut().aside(b"\x07")?,
                Effect::Redraw => {
                    terminal.clear()?;
                    dashboard.touch();
                }
                // The rest is performed already, or the loop's.
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends what is under way, within `limit`, and writes what the journal still holds.
    pub fn let_go(self, runtime: &Runtime, limit: Duration) {
        let mut this = self;
        let running = std::mem::take(&mut this.running);
        for ours in running.values() {
            ours.stop.cancel();
        }
        let ends = runtime.block_on(async {
            // What does not end in time is killed with all it started when its task is dropped with the runtime.
            let until = tokio::time::Instant::now() + limit;
            let mut ends = Vec::new();
            for (_, ours) in running {
                let end = tokio::time::timeout_at(until, ours.task).await.ok().and_then(Result::ok);
                let took = crate::domain::time::since(ours.record.at, crate::io::clock::now());
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                let mut end = end.unwrap_or_else(|| ActionEnd { ok: false, words: ours.unanswered.to_owned(), took_ms });
                if end.words == "stopped" {
                    "stopped: rounds was left".clone_into(&mut end.words);
                }
                ends.extend(audit::ended(&ours.record, end, &ours.title, crate::io::clock::now()));
            }
            ends
        });
        for end in ends {
            this.keep(Effect::KeepTransition(end));
        }
        let Self { runner, keeping, .. } = this;
        runtime.block_on(async {
            // What does not end in time is dropped with the runtime.
            let _ = tokio::time::timeout(limit, runner.stop()).await;
        });
        drop(keeping);
    }
}
