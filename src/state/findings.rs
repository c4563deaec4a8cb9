//! Keeps findings: joins what the rules say now with what was known, opens and closes them, and holds acknowledgements to
//! their severity and evidence.

use super::world::World;
use super::{Effect, rank};
use crate::domain::{Acknowledgement, Finding, FindingId, Severity, SourceId, Timestamp, Transition, TransitionKind};
use crate::rules;

/// Re-reads all rules about one source. Gives the effects of what opened or closed (none when `quiet`).
pub(super) fn review(world: &mut World, id: &SourceId, now: Timestamp, quiet: bool, effects: &mut Vec<Effect>) {
    let Some(source) = world.sources.get(id) else { return };
    let drafts = rules::evaluate(source, rules::Context { world, now });
    let had_any = world.findings.iter().any(|f| &f.source == id);
    if drafts.is_empty() && !had_any {
        return;
    }
    let mut opened = Vec::new();
    let mut kept = Vec::with_capacity(drafts.len());
    for mut draft in drafts {
        let known = world.findings.iter().find(|f| f.id == draft.id);
        if let Some(known) = known {
            draft.since = draft.since.min(known.since);
        }
        let ack = known.and_then(|k| k.acknowledged.clone()).or_else(|| world.acknowledgements.get(&draft.id).cloned());
        // Worse, or of another kind than what was taken: it is back.
        let worse = known.is_some_and(|k| draft.severity < k.severity || (draft.severity == k.severity && draft.evidence != k.evidence));
        match ack {
            Some(_) if worse => {
                world.acknowledgements.remove(&draft.id);
                if !quiet {
                    effects.push(Effect::KeepAcknowledgement(draft.id.clone(), None));
                }
            }
            ack => draft.acknowledged = ack,
        }
        if known.is_none_or(|k| k.severity != draft.severity) {
            opened.push(draft.clone());
        }
        kept.push(draft);
    }
    let closed: Vec<Finding> = world.findings.iter().filter(|f| &f.source == id && !kept.iter().any(|k| k.id == f.id)).cloned().collect();
    world.findings.retain(|f| &f.source != id);
    world.findings.extend(kept);
    sort(world, now);
    for finding in &closed {
        if world.acknowledgements.remove(&finding.id).is_some() && !quiet {
            effects.push(Effect::KeepAcknowledgement(finding.id.clone(), None));
        }
    }
    if quiet {
        return;
    }
    for finding in opened {
        if finding.severity == Severity::Critical && finding.acknowledged.is_none() {
            effects.push(Effect::Bell);
        }
        let kind = TransitionKind::Opened { finding: finding.id.clone(), severity: finding.severity };
        note(world, effects, Transition { at: now, site: id.site().to_owned(), source: Some(id.clone()), kind, sentence: finding.title });
    }
    for finding in closed {
        let kind = TransitionKind::Closed { finding: finding.id.clone() };
        let sentence = format!("over: {}", finding.title);
        note(world, effects, Transition { at: now, site: id.site().to_owned(), source: Some(id.clone()), kind, sentence });
    }
}

/// Puts the findings in the order of attention.
pub(super) fn sort(world: &mut World, now: Timestamp) {
    world.findings.sort_by(|a, b| rank::compare(a, b, now));
}

/// Adds a transition to the feed and asks for it to be kept.
pub(super) fn note(world: &mut World, effects: &mut Vec<Effect>, transition: Transition) {
    effects.push(Effect::KeepTransition(transition.clone()));
    remember(world, transition);
}

/// Adds a transition to the feed.
pub(super) fn remember(world: &mut World, transition: Transition) {
    while world.events.len() >= super::world::EVENTS {
        world.events.pop_front();
    }
    // Told late (by the journal, by another process): it takes its place by time.
    let place = world.events.iter().rposition(|known| known.at <= transition.at).map_or(0, |at| at + 1);
    if let crate::domain::TransitionKind::Deploy { version, .. } = &transition.kind
        && let Some(site) = world.sites.iter_mut().find(|site| site.name == transition.site)
        && site.release.as_ref().is_none_or(|(_, at)| *at <= transition.at)
    {
        site.release = Some((version.clone(), transition.at));
    }
    world.events.insert(place, transition);
}

/// Sets or lifts an acknowledgement. Gives `false` when there is no such finding.
pub(super) fn acknowledge(world: &mut World, id: &FindingId, ack: Option<Acknowledgement>, now: Timestamp) -> bool {
    match &ack {
        Some(ack) => {
            world.acknowledgements.insert(id.clone(), ack.clone());
        }
        None => {
            world.acknowledgements.remove(id);
        }
    }
    let Some(finding) = world.findings.iter_mut().find(|f| &f.id == id) else { return false };
    finding.acknowledged = ack;
    sort(world, now);
    true
}
