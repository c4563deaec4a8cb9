//! What the collector does about its own events: the journal opens, leases change, the configuration is read again.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Instant;

use super::log::Weight;
use super::serve::Server;
use super::{Collector, OPEN_AGAIN, WatchError, redaction, standing};
use crate::app::reload::InForce;
use crate::app::signals::Signal;
use crate::app::{Event, history};
use crate::domain::Timestamp;
use crate::state::Msg;

impl Collector {
    pub(super) fn event(&mut self, event: Event, at: Instant, now: Timestamp) -> Result<(), WatchError> {
        match event {
            Event::Opened(opened) => {
                let (journal, notice) = history::judge(*opened, now);
                let reason = match &notice {
                    Some(Msg::Notice(notice)) => notice.text.clone(),
                    _ => "there is no journal".to_owned(),
                };
                if journal.is_some() && self.without_journal.is_some() {
                    self.log.say(Weight::Notice, "rounds: the journal is open now", now);
                }
                self.without_journal = journal.is_none().then_some((reason, at + OPEN_AGAIN));
                if let Some(notice) = notice {
                    self.take(notice, now);
                }
                self.hands.opened(journal, self.seq, self.events.clone())?;
                self.ready(now);
            }
            Event::OpensLate => {
                self.hands.opens_late();
                self.ready(now);
            }
            Event::Leads(held) => {
                self.hands.leads(held);
                self.touched = true;
            }
            Event::Signal(Signal::Reload) => self.read_again(now)?,
            Event::Reloaded(read) => {
                let again = self.reading.take();
                match *read {
                    Ok(read) => {
                        self.reloads.0 += 1;
                        let others = self.in_force.others(&read.config);
                        let told = self.hands.reconfigure(&read.config, others, now)?;
                        self.log.renew(redaction(&read.config));
                        self.take(told, now);
                        let before = std::mem::replace(&mut self.in_force, InForce { config: read.config, warnings: Vec::new() });
                        for warning in &read.warnings {
                            self.log.say(Weight::Warning, &format!("rounds: {warning}"), now);
                        }
                        self.serve_elsewhere(before.config.watch.listen, now);
                        self.settle_beat(at, now);
                        self.begun = now;
                        self.touched = true;
                    }
                    Err(refused) => {
                        self.reloads.1 += 1;
                        self.log.say(
                            Weight::Error,
                            &format!("rounds: the new configuration is refused, the one before it stays in force: {}", refused.line),
                            now,
                        );
                        for line in &refused.detail {
                            self.log.say(Weight::Error, line, now);
                        }
                    }
                }
                self.service.ready(&standing(&self.state.world));
                if again == Some(true) {
                    self.read_again(now)?;
                }
            }
            // What comes from a terminal does not come here.
            _ => {}
        }
        Ok(())
    }

    /// The collector works: whoever waits for that is told, once.
    pub(super) fn ready(&mut self, now: Timestamp) {
        if !std::mem::replace(&mut self.ready, true) {
            self.service.ready(&standing(&self.state.world));
            self.log.say(Weight::Info, "rounds: ready", now);
        }
    }

    /// Reads the configuration again, on a thread of its own: a disk may be slow.
    fn read_again(&mut self, now: Timestamp) -> io::Result<()> {
        if let Some(again) = &mut self.reading {
            // What is read now may be what stood there before.
            *again = true;
            return Ok(());
        }
        self.reading = Some(false);
        self.service.reloading();
        self.log.say(Weight::Info, "rounds: reading the configuration again", now);
        let (load, events) = (Arc::clone(&self.load), self.events.clone());
        thread::Builder::new().name("rounds-reload".to_owned()).spawn(move || {
            let read = load.lock().unwrap_or_else(PoisonError::into_inner)();
            // The loop has ended when this fails.
            let _ = events.blocking_send(Event::Reloaded(Box::new(read)));
        })?;
        Ok(())
    }

    /// Serves where the configuration says now. Where that cannot be, it is served where it was.
    fn serve_elsewhere(&mut self, before: Option<SocketAddr>, now: Timestamp) {
        let wanted = self.in_force.config.watch.listen;
        if wanted == before {
            return;
        }
        let Some(address) = wanted else {
            self.server = None;
            return;
        };
        match Server::start(&self.runtime, address, self.inner.clone()) {
            Ok(server) => {
                self.log.say(Weight::Notice, &format!("rounds: served at http://{}/metrics", server.address), now);
                self.server = Some(server);
            }
            Err(source) => {
                let trouble = WatchError::Listen { address, source };
                self.log.say(Weight::Error, &format!("rounds: {trouble}"), now);
                // The next reload tries again.
                self.in_force.config.watch.listen = before;
            }
        }
    }
}
