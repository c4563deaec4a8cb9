//! The journal beside the loop: what was last known on the first frame, the rest opened behind it, leases and followers kept.
//!
//! Without a journal (no directory, a newer or unwritable one) everything is polled by this process and nothing is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::mpsc;

use super::Event;
use crate::config::model::Config;
use crate::domain::{SourceId, Status, Timestamp, Transition, TransitionKind};
use crate::io::clock;
use crate::journal::{Follower, Identity, Journal, LeaseKeeper, Opened, Snapshot};
use crate::state::update::update;
use crate::state::{Msg, State};

/// Puts what was last known into a fresh state. Its ages are those of then, so nothing of it is green that is stale by now.
pub fn remember(state: &mut State, snapshot: Snapshot, now: Timestamp) {
    let stood = stood(&snapshot.events);
    let events = snapshot.events.clone();
    take(state, Msg::Events(snapshot.events), now);
    for (finding, acknowledgement) in snapshot.acknowledgements.into_iter().filter(|(_, ack)| ack.until.is_none_or(|until| until > now)) {
        take(state, Msg::Acknowledged(finding, Some(acknowledgement)), now);
    }
    for rows in snapshot.books {
        take(state, Msg::Book(Box::new(rows)), now);
    }
    for polled in snapshot.polls {
        let id = polled.source.clone();
        // One poll says what the last of several said: whether it was judged then already stands in the transition.
        state.world.one_pass = stood.get(&id).is_none_or(|(status, _)| *status != Status::Pending);
        take(state, Msg::Followed(polled), now);
    }
    state.world.one_pass = false;
    recall_since(state, &events);
}

/// Gives each source that stands as it stood the moment since when it does.
pub fn recall_since(state: &mut State, events: &[Transition]) {
    for (id, (status, since)) in stood(events) {
        if let Some(source) = state.world.sources.get_mut(&id).filter(|source| source.status == status) {
            source.since = Some(since);
        }
    }
}

/// How each source stood at the end of these events, and since when.
fn stood(events: &[Transition]) -> BTreeMap<SourceId, (Status, Timestamp)> {
    let statuses = events.iter().filter_map(|event| match (&event.source, &event.kind) {
        (Some(source), TransitionKind::Status { to, .. }) => Some((source.clone(), (*to, event.at))),
        _ => None,
    });
    statuses.collect()
}

/// What is remembered asks for nothing to be done: it was done then.
fn take(state: &mut State, msg: Msg, now: Timestamp) {
    drop(update(state, msg, now));
}

/// Opens the journal on a thread and sends what came of it.
///
/// # Errors
/// When no thread can be started.
pub fn open(dir: &Path, config: &Config, events: mpsc::Sender<Event>) -> std::io::Result<()> {
    let (dir, settings) = (dir.to_owned(), config.journal.clone());
    thread::Builder::new().name("rounds-open".to_owned()).spawn(move || {
        let opened = Journal::open(&dir, &settings, Identity::of_this_process());
        // The loop has ended when this fails; dropping the journal closes it.
        let _ = events.blocking_send(Event::Opened(Box::new(opened)));
    })?;
    Ok(())
}

/// The open journal and what runs on it. The order of the fields is the order in which they end.
#[derive(Debug)]
pub struct History {
    keeper: LeaseKeeper,
    _follower: Follower,
    journal: Journal,
    /// Read by every process for itself; the follower looks here.
    continuous: Arc<Mutex<BTreeSet<SourceId>>>,
}

impl History {
    /// Starts the follower and the leases, and asks for the history of every source. `continuous` are read by every process for
    /// itself, so what others read of them is not taken in.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn begin(
        journal: Journal,
        seq: u64,
        sources: &BTreeSet<SourceId>,
        continuous: BTreeSet<SourceId>,
        messages: &mpsc::Sender<Msg>,
        events: mpsc::Sender<Event>,
    ) -> std::io::Result<Self> {
        let continuous = Arc::new(Mutex::new(continuous));
        let follower = {
            let (messages, continuous) = (messages.clone(), Arc::clone(&continuous));
            // The loop takes it in before anything of the book; where the queue is full already, the book's own rows set it right.
            let _ = messages.try_send(Msg::BookKept(true));
            journal.follow(seq, move |msg| match msg {
                Msg::Polled(polled) if continuous.lock().unwrap_or_else(PoisonError::into_inner).contains(&polled.source) => true,
                Msg::Polled(polled) => messages.blocking_send(Msg::Followed(polled)).is_ok(),
                Msg::Notice(notice) => messages.blocking_send(Msg::BookKept(false)).is_ok() && messages.blocking_send(Msg::Notice(notice)).is_ok(),
                Msg::NoticeOver(kind) => messages.blocking_send(Msg::BookKept(true)).is_ok() && messages.blocking_send(Msg::NoticeOver(kind)).is_ok(),
                msg => messages.blocking_send(msg).is_ok(),
            })?
        };
        let keeper = journal.leases().keep(sources.clone(), move |held| {
            // Nothing is lead when the loop has ended.
            let _ = events.blocking_send(Event::Leads(held.cloned()));
        })?;
        let history = Self { keeper, _follower: follower, journal, continuous };
        history.ask(sources.clone(), messages.clone())?;
        Ok(history)
    }

    /// Asks for the history of these sources.
    fn ask(&self, wanted: BTreeSet<SourceId>, messages: mpsc::Sender<Msg>) -> std::io::Result<()> {
        let Ok(reader) = self.journal.reader() else { return Ok(()) };
        thread::Builder::new().name("rounds-history".to_owned()).spawn(move || {
            for source in wanted {
                // A source without history has none to tell; one that cannot be read begins anew.
                if let Ok(history) = reader.history(&source, clock::now())
                    && messages.blocking_send(Msg::History(history)).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(())
    }

    /// Other sources are watched; the history of the `new` ones is asked for.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn want(
        &self,
        sources: BTreeSet<SourceId>,
        continuous: BTreeSet<SourceId>,
        new: BTreeSet<SourceId>,
        messages: mpsc::Sender<Msg>,
    ) -> std::io::Result<()> {
        *self.continuous.lock().unwrap_or_else(PoisonError::into_inner) = continuous;
        self.keeper.want(sources);
        self.ask(new, messages)
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }
}

/// What opening gave, taken apart: a journal to begin with, and a banner.
#[must_use]
pub fn judge(opened: Opened, now: Timestamp) -> (Option<Journal>, Option<Msg>) {
    let notice = opened.trouble.map(|trouble| Msg::Notice(trouble.notice(now)));
    (opened.journal, notice)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::{Acknowledgement, Data, FindingId, Observation, Verdict};
    use crate::report::sample::{at, health, source};
    use crate::sources::Collected;
    use crate::state::msg::Polled;

    fn fresh() -> State {
        State::new(vec![], vec![source("shop/http/home", Status::Ok).spec], "ana".into())
    }

    fn poll(verdict: Verdict) -> Polled {
        let mut health = health();
        health.verdict = verdict;
        let observations = vec![Observation { at: at(), data: Data::Health(health) }];
        let source = SourceId::parse("shop/http/home").unwrap();
        Polled { source, started: at(), at: at(), result: Ok(Collected { observations, problems: vec![], complete: true }), next_at: None }
    }

    fn transition(to: Status, minutes: i64) -> Transition {
        Transition {
            at: at() - TimeDelta::minutes(minutes),
            site: "shop".into(),
            source: Some(SourceId::parse("shop/http/home").unwrap()),
            kind: TransitionKind::Status { from: Status::Ok, to },
            sentence: String::new(),
        }
    }

    #[test]
    fn what_was_down_is_down_at_once_and_since_then() {
        let mut state = fresh();
        let snapshot = Snapshot { polls: vec![poll(Verdict::Down)], events: vec![transition(Status::Down, 11)], ..Snapshot::default() };
        remember(&mut state, snapshot, at() + TimeDelta::seconds(5));
        let home = state.world.sources.values().next().unwrap();
        assert_eq!((home.status, home.since), (Status::Down, Some(at() - TimeDelta::minutes(11))));
        assert!(!state.world.one_pass);
    }

    #[test]
    fn a_first_failure_stays_one() {
        let mut state = fresh();
        let snapshot = Snapshot { polls: vec![poll(Verdict::Down)], events: vec![transition(Status::Pending, 0)], ..Snapshot::default() };
        remember(&mut state, snapshot, at() + TimeDelta::seconds(5));
        assert_eq!(state.world.sources.values().next().unwrap().status, Status::Pending);
    }

    #[test]
    fn nothing_remembered_is_green_that_is_old() {
        let mut state = fresh();
        remember(&mut state, Snapshot { polls: vec![poll(Verdict::Ok)], ..Snapshot::default() }, at() + TimeDelta::hours(2));
        assert_ne!(state.world.sources.values().next().unwrap().status, Status::Ok);
    }

    #[test]
    fn who_has_a_finding_is_remembered() {
        let mut state = fresh();
        let finding = FindingId::from_text("shop/http/home#availability");
        let acknowledgement = Acknowledgement { by: "jon".into(), why: "known".into(), at: at(), until: None, bound: None };
        let snapshot = Snapshot {
            polls: vec![poll(Verdict::Down)],
            events: vec![transition(Status::Down, 11)],
            acknowledgements: vec![(finding.clone(), acknowledgement)],
            ..Snapshot::default()
        };
        remember(&mut state, snapshot, at() + TimeDelta::seconds(5));
        let found = state.world.findings.iter().find(|found| found.id == finding).unwrap();
        assert_eq!(found.acknowledged.as_ref().unwrap().by, "jon");
    }
}
