//! Keeps findings: joins what the rules say now with what was known, opens and closes them, and holds acknowledgements to
//! their severity and evidence.

use super::world::World;
use super::{Effect, rank};
use crate::domain::{Acknowledgement, Bound, Finding, FindingId, Severity, SourceId, Timestamp, Transition, TransitionKind};
use crate::rules;

/// Re-reads all rules about one source. Gives the effects of what opened or closed (none when `quiet`).
pub(super) fn review(world: &mut World, id: &SourceId, now: Timestamp, quiet: bool, effects: &mut Vec<Effect>) {
    let Some(source) = world.sources.get(id) else { return };
    let drafts = rules::evaluate(source, rules::Context { world, now });
    let over: Vec<FindingId> = taken_of(world, id)
        .filter(|taken| !drafts.iter().any(|draft| draft.id == **taken))
        .filter(|taken| source.is_judged() && rules::has_answer(taken.rule(), source, rules::Context { world, now }))
        .cloned()
        .collect();
    let had_any = world.findings.iter().any(|f| &f.source == id);
    if drafts.is_empty() && !had_any && over.is_empty() {
        return;
    }
    let (mut opened, mut gone) = (Vec::new(), Vec::new());
    let mut kept = Vec::with_capacity(drafts.len());
    for mut draft in drafts {
        let known = world.findings.iter().find(|f| f.id == draft.id);
        draft.actions = super::acting::offered(world, id).into_iter().map(|action| action.id.to_string()).collect();
        if let Some(known) = known {
            draft.since = draft.since.min(known.since);
        }
        if let Some(ack) = world.acknowledgements.get_mut(&draft.id) {
            let bound = ack.bound.get_or_insert_with(|| Bound::of(known.unwrap_or(&draft)));
            if bound.covers(&draft) {
                draft.acknowledged = Some(ack.clone());
            } else {
                // Worse, or other evidence than what was taken: it is back.
                gone.push(draft.id.clone());
            }
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
    // Who had what is over; a look that could not judge (stale, not known, not yet) ends nothing.
    for id in gone.into_iter().chain(over) {
        if world.acknowledgements.remove(&id).is_some() && !quiet {
            effects.push(Effect::KeepAcknowledgement(id, None));
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

/// What somebody took of one source.
fn taken_of<'a>(world: &'a World, id: &'a SourceId) -> impl Iterator<Item = &'a FindingId> {
    world.acknowledgements.keys().filter(|taken| taken.about_what() == id.as_str())
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
    super::tries::told(world, &transition);
    world.events.insert(place, transition);
}

/// Sets or lifts an acknowledgement. Gives `false` when there is no such finding.
pub(super) fn acknowledge(world: &mut World, id: &FindingId, mut ack: Option<Acknowledgement>, now: Timestamp) -> bool {
    if let (Some(ack), Some(finding)) = (&mut ack, world.findings.iter().find(|f| &f.id == id)) {
        let bound = ack.bound.get_or_insert_with(|| Bound::of(finding));
        if !bound.covers(finding) {
            // It has become worse since: nobody has that.
            world.acknowledgements.insert(id.clone(), ack.clone());
            return true;
        }
    }
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
