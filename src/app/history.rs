//! The journal beside the loop: what was last known on the first frame, the rest opened behind it, leases and followers kept.
//!
//! Without a journal (no directory, a newer or unwritable one) everything is polled by this process and nothing is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;

use tokio::sync::mpsc;

use super::Event;
use crate::config::model::Config;
use crate::domain::{SourceId, Status, Timestamp, TransitionKind};
use crate::io::clock;
use crate::journal::{Follower, Identity, Journal, LeaseKeeper, Opened, Snapshot};
use crate::state::update::update;
use crate::state::{Msg, State};

/// Puts what was last known into a fresh state. Its ages are those of then, so nothing of it is green that is stale by now.
pub fn remember(state: &mut State, snapshot: Snapshot, now: Timestamp) {
    let mut stood: BTreeMap<SourceId, (Status, Timestamp)> = BTreeMap::new();
    for event in &snapshot.events {
        if let (Some(source), TransitionKind::Status { to, .. }) = (&event.source, &event.kind) {
            stood.insert(source.clone(), (*to, event.at));
        }
    }
    take(state, Msg::Events(snapshot.events), now);
    for (finding, acknowledgement) in snapshot.acknowledgements {
        take(state, Msg::Acknowledged(finding, Some(acknowledgement)), now);
    }
    for polled in snapshot.polls {
        let id = polled.source.clone();
        // One poll says what the last of several said: whether it was judged then already stands in the transition.
        state.world.one_pass = stood.get(&id).is_none_or(|(status, _)| *status != Status::Pending);
        take(state, Msg::Followed(polled), now);
        if let (Some(source), Some((status, since))) = (state.world.sources.get_mut(&id), stood.get(&id))
            && source.status == *status
        {
            source.since = Some(*since);
        }
    }
    state.world.one_pass = false;
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
    _keeper: Option<LeaseKeeper>,
    _follower: Option<Follower>,
    journal: Journal,
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
        let follower = {
            let messages = messages.clone();
            journal.follow(seq, move |msg| match &msg {
                Msg::Followed(polled) if continuous.contains(&polled.source) => true,
                _ => messages.blocking_send(msg).is_ok(),
            })?
        };
        let keeper = journal.leases().keep(sources.clone(), move |held| {
            // Nothing is lead when the loop has ended.
            let _ = events.blocking_send(Event::Leads(held.cloned()));
        })?;
        let (wanted, messages) = (sources.clone(), messages.clone());
        if let Ok(reader) = journal.reader() {
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
        }
        Ok(Self { _keeper: Some(keeper), _follower: Some(follower), journal })
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
