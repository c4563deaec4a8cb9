//! Maintenance windows of sites: while one is open its sources are looked at and not judged.
//!
//! A window is kept as an acknowledgement of [`FindingId::maintenance`], so that every process learns of it the way it learns who has
//! what. What does not belong here: who opens one (`cli::silence`).

use super::msg::Polled;
use super::world::{SourceState, World};
use super::{Effect, findings};
use crate::domain::{Acknowledgement, Data, FindingId, SourceId, Status, Timestamp};

/// The open window of a site.
#[must_use]
pub fn window<'a>(world: &'a World, site: &str, now: Timestamp) -> Option<&'a Acknowledgement> {
    // Most worlds have none: an empty map is asked for nothing.
    if world.acknowledgements.is_empty() {
        return None;
    }
    world.acknowledgements.get(&FindingId::maintenance(site)).filter(|window| window.until.is_none_or(|until| until > now))
}

/// Puts sources into the windows that are open now and takes them out of those that are over.
pub(super) fn cover(world: &mut World, now: Timestamp, effects: &mut Vec<Effect>) {
    let changes: Vec<(SourceId, Option<Timestamp>)> = world
        .sources
        .values()
        .filter(|source| source.status != Status::Paused)
        .filter_map(|source| {
            let window = window(world, source.spec.id.site(), now).map(|window| window.at);
            (window.is_some() != source.beneath.is_some()).then(|| (source.spec.id.clone(), window))
        })
        .collect();
    for (id, window) in &changes {
        if let Some(source) = world.sources.get_mut(id) {
            match window {
                Some(at) => put(source, *at),
                None => {
                    lift(source);
                    // It may have grown old beneath.
                    world.ages_at = Some(now);
                }
            }
        }
    }
    for (id, window) in &changes {
        // What it hid is not over, so nothing is told of what goes; what is there when it ends is.
        findings::review(world, id, now, window.is_some(), effects);
    }
}

/// How a source stands beneath its window, while something is taken in. Gives since when the window is open, to put it back.
pub(super) fn lift(source: &mut SourceState) -> Option<Timestamp> {
    let (status, since) = source.beneath.take()?;
    let at = source.since;
    (source.status, source.since) = (status, since);
    at
}

/// Notes on the probes of a poll that they were made while a window was open: kept so, they are judged by nobody later.
pub(super) fn mark(polled: &mut Polled) {
    let observations = polled.result.iter_mut().flat_map(|collected| &mut collected.observations);
    for observation in observations {
        if let Data::Health(health) = &mut observation.data {
            health.silenced = true;
        }
    }
}

/// Puts a source into a window that is open since `at`.
pub(super) fn put(source: &mut SourceState, at: Timestamp) {
    source.beneath = Some((source.status, source.since));
    (source.status, source.since) = (Status::Maintenance, Some(at));
}
