//! What the collector starts by the clock, beside polling: drills and checks of backups.
//!
//! The seam: [`Schedules::run_due`] is called by the collector's loop each time something may be due, and starts it elsewhere; it must not
//! wait. What does not belong here: when a set is due (`backups`), and running it (`actions`).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;

use crate::config::model::Config;
use crate::domain::{SourceId, Timestamp};
use crate::journal::Journal;
use crate::state::{Msg, State};

/// What is known when something may be due.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// What is known of all sources.
    pub state: &'a State,
    /// The sources that this process looks at for all: only theirs are started, so that two collectors do not do one thing twice.
    pub held: &'a BTreeSet<SourceId>,
    /// The journal, for evidence; `None`: it is not open now, and nothing that has to be recorded may begin.
    pub journal: Option<&'a Journal>,
    /// Where to run.
    pub runtime: &'a Handle,
    /// Where to tell what came of it.
    pub messages: &'a mpsc::Sender<Msg>,
    /// Nothing that changes anything may be started.
    pub read_only: bool,
    /// The time of day.
    pub now: Timestamp,
}

/// What was started.
#[derive(Debug, Default)]
pub struct Schedules {
    started: u64,
}

impl Schedules {
    /// Starts what is due and answers when something is due next, as far as that is known; it is asked again earlier when a poll of a
    /// backup came, the configuration or the leases changed, and every half minute at the latest.
    pub fn run_due(&mut self, turn: &Turn<'_>) -> Option<Timestamp> {
        let _ = turn;
        None
    }

    /// How much was started so far.
    #[must_use]
    pub const fn started(&self) -> u64 {
        self.started
    }

    /// Ends what is under way, within `limit`, and lets it clean up.
    pub fn stop(self, runtime: &Runtime, limit: Duration) {
        let _ = (runtime, limit);
    }
}
