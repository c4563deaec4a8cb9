//! One pass over the sources without a screen: what `check`, `logs` and the text summary look with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{history, initial_state, network_targets};
use crate::config::model::Config;
use crate::domain::SourceId;
use crate::io::{clock, net};
use crate::journal::Snapshot;
use crate::sources::door::Door;
use crate::sources::runner;
use crate::state::offline::failed_to_connect;
use crate::state::update::update;
use crate::state::{Msg, State};

/// How many sources are asked at a time.
const PARALLEL: usize = 64;

/// Asks every source once, for at most `limit` in all, and gives the state that follows. Thresholds count as one, so nothing is pending.
/// Of what was last known, who has which finding and since when each source stands as it does are taken over; no values are.
///
/// # Errors
/// When no threads can be started.
pub fn once(config: &Config, limit: Duration, known: Option<&Snapshot>) -> std::io::Result<State> {
    once_behind(config, limit, known, &BTreeMap::new())
}

/// The same, where details and calls come after it: sources and their doors share a client.
///
/// # Errors
/// As [`once`].
pub fn once_behind(config: &Config, limit: Duration, known: Option<&Snapshot>, doors: &BTreeMap<SourceId, Door>) -> std::io::Result<State> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("rounds-io").enable_all().build()?;
    let mut state = initial_state(config);
    state.world.one_pass = true;
    for (finding, acknowledgement) in known.iter().flat_map(|known| &known.acknowledgements) {
        drop(update(&mut state, Msg::Acknowledged(finding.clone(), Some(acknowledgement.clone())), clock::now()));
    }
    if let Some(known) = known {
        crate::state::tries::recall(&mut state.world, &known.polls, &known.events);
    }
    // What is new is told by what was known before.
    for rows in known.iter().flat_map(|known| &known.books) {
        drop(update(&mut state, Msg::Book(Box::new(rows.clone())), clock::now()));
    }
    let polls = runtime.block_on(runner::once_behind(config.sources.clone(), limit, PARALLEL, doors));
    // What could not connect says nothing of its target when we are cut off ourselves.
    if polls.iter().any(|polled| state.world.offline.guarded.contains(&polled.source) && failed_to_connect(polled)) {
        let network = runtime.block_on(net::look(&config.anchors, &network_targets(config)));
        drop(update(&mut state, Msg::Network(network), clock::now()));
    }
    for polled in polls {
        // Nothing is kept of a single pass, and nobody is there to act on what it asks for.
        drop(update(&mut state, Msg::Polled(polled), clock::now()));
    }
    // Staleness by passing time is judged like anywhere else.
    drop(update(&mut state, Msg::Tick, clock::now()));
    if let Some(known) = known {
        history::recall_since(&mut state, &known.events);
    }
    // A name that is being resolved cannot be cancelled and must not keep us.
    runtime.shutdown_background();
    Ok(state)
}

/// Leaves only the sources that `ids` name: a whole id, a site, or a site and a kind. Gives those that name nothing.
#[must_use]
pub fn narrow(config: &mut Config, ids: &[String]) -> Vec<String> {
    if ids.is_empty() {
        return Vec::new();
    }
    let names = |wanted: &str, id: &str| id == wanted || id.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'));
    let unknown = ids.iter().filter(|wanted| !config.sources.iter().any(|entry| names(wanted, entry.id.as_str()))).cloned().collect();
    config.sources.retain(|entry| ids.iter().any(|wanted| names(wanted, entry.id.as_str())));
    let left: BTreeSet<String> = config.sources.iter().map(|entry| entry.id.site().to_owned()).collect();
    config.sites.retain(|site| left.contains(&site.name));
    unknown
}
