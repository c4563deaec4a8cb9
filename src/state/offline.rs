//! What being cut off means for what is known: nothing that needs the network is judged, and after five minutes it is not known.
//!
//! A poll that failed to connect waits here until it is certain whether the way out is there; that takes seconds. A target on this
//! machine or a near network is never excused. What does not belong here: finding out (`io::net`).

use std::collections::BTreeSet;

use super::msg::{Network, Polled};
use super::world::{NoticeKind, SourceState, World};
use super::{Effect, Notice, findings};
use crate::domain::time::{human, since};
use crate::domain::{Data, ErrorKind, Health, SourceError, SourceId, Status, Timestamp, Transition, TransitionKind, Verdict};

/// After so long nothing that was known is believed any more, in seconds.
const BELIEVED_S: i64 = 300;
/// How long polls wait for the answer whether we are cut off; then they are judged, in seconds.
const WAITED_S: i64 = 10;
/// How often it is looked whether we still are, in seconds.
const LOOK_S: i64 = 10;

/// What is known of the way out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Offline {
    /// Sources that need it: those with a target that is not this machine.
    pub guarded: BTreeSet<SourceId>,
    /// Failed to connect, and not judged yet; the last of each source.
    held: Vec<Polled>,
    /// Since when they wait.
    held_since: Option<Timestamp>,
    /// Since when we are cut off.
    since: Option<Timestamp>,
    /// Which sources that excuses.
    excused: BTreeSet<SourceId>,
    /// When it was looked last.
    looked: Option<Timestamp>,
    /// Whether what was known is no longer believed.
    unknown: bool,
}

impl Offline {
    /// Whether a source is excused now.
    #[must_use]
    pub fn excuses(&self, id: &SourceId) -> bool {
        self.since.is_some() && self.excused.contains(id)
    }

    /// Another configuration is in force.
    pub(super) fn guard(&mut self, guarded: BTreeSet<SourceId>) {
        self.held.retain(|held| guarded.contains(&held.source));
        self.excused.retain(|id| guarded.contains(id));
        self.guarded = guarded;
    }

    /// When something changes by itself.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let held = self.held_since.map(|at| at + chrono::Duration::seconds(WAITED_S));
        let look = self.since.and(self.looked).map(|at| at + chrono::Duration::seconds(LOOK_S));
        let doubt = self.since.filter(|_| !self.unknown).map(|at| at + chrono::Duration::seconds(BELIEVED_S));
        held.into_iter().chain(look).chain(doubt).min()
    }
}

/// Whether a poll failed for want of a connection.
#[must_use]
pub fn failed_to_connect(polled: &Polled) -> bool {
    let kind = |error: &SourceError| matches!(error.kind, ErrorKind::Connect | ErrorKind::Timeout);
    match &polled.result {
        Err(error) => kind(error),
        Ok(collected) => collected.observations.iter().any(|seen| match &seen.data {
            Data::Health(health) => health.verdict == Verdict::Down && health.error.as_ref().is_some_and(|error| kind(error) && !was_connected(health, error)),
            _ => false,
        }),
    }
}

/// Whether there was a connection before it failed: what was connected once has answered, be it late. The time of a refused
/// connection is measured as well, so that alone says nothing.
fn was_connected(health: &Health, error: &SourceError) -> bool {
    let phases = &health.phases_ms;
    phases.tls.is_some() || phases.first_byte.is_some() || (error.kind == ErrorKind::Timeout && phases.connect.is_some())
}

/// Takes a poll of ours, or leaves it to be judged: gives it back then.
pub(super) fn sift(world: &mut World, polled: Polled, now: Timestamp, effects: &mut Vec<Effect>) -> Option<Polled> {
    if !world.offline.guarded.contains(&polled.source) {
        return Some(polled);
    }
    if !failed_to_connect(&polled) {
        if world.offline.excuses(&polled.source) {
            // It answered: whatever the routes say, we are not cut off.
            effects.extend(over(world, now));
        }
        return Some(polled);
    }
    if world.offline.excuses(&polled.source) {
        excuse(world, &polled, now);
        return None;
    }
    if world.one_pass {
        return Some(polled);
    }
    look(world, now, effects);
    world.offline.held_since.get_or_insert(now);
    world.offline.held.retain(|held| held.source != polled.source);
    world.offline.held.push(polled);
    None
}

/// Asks whether the way out is there.
pub(super) fn look(world: &mut World, now: Timestamp, effects: &mut Vec<Effect>) {
    world.offline.looked = Some(now);
    if !effects.contains(&Effect::LookAtNetwork) {
        effects.push(Effect::LookAtNetwork);
    }
}

/// Takes the answer. Gives the polls that are to be judged now.
pub(super) fn told(world: &mut World, network: Network, now: Timestamp, effects: &mut Vec<Effect>) -> Vec<Polled> {
    match network {
        Network::Online => {
            let held = release(world);
            if world.offline.since.is_some() {
                effects.extend(over(world, now));
            }
            held
        }
        Network::Offline { text, excused } => {
            world.offline.excused = excused.intersection(&world.offline.guarded).cloned().collect();
            let begin = world.offline.held_since.unwrap_or(now);
            let (excused, judged): (Vec<Polled>, Vec<Polled>) = release(world).into_iter().partition(|held| world.offline.excused.contains(&held.source));
            if world.offline.excused.is_empty() {
                return judged;
            }
            if world.offline.since.is_none() {
                world.offline.since = Some(begin);
                let sentence = format!("rounds is cut off: {text}");
                findings::note(world, effects, Transition { at: now, site: String::new(), source: None, kind: TransitionKind::Note, sentence });
            }
            let since = world.offline.since.unwrap_or(now);
            let detail = vec![
                format!("{} sources need the network and are not judged meanwhile", world.offline.excused.len()),
                "what was known of them is not believed after five minutes".to_owned(),
                "[offline] anchors names addresses that tell whether this machine is cut off".to_owned(),
            ];
            world.notices.retain(|known| known.kind != NoticeKind::Offline);
            world.notices.push(Notice { kind: NoticeKind::Offline, since, text, detail });
            world.notices.sort_by_key(|notice| notice.kind);
            for polled in excused {
                excuse(world, &polled, now);
            }
            doubt(world, now, effects);
            judged
        }
    }
}

/// Time passed. Gives the polls that waited long enough.
pub(super) fn tick(world: &mut World, now: Timestamp, effects: &mut Vec<Effect>) -> Vec<Polled> {
    let late = |at: Option<Timestamp>, limit: i64| at.is_some_and(|at| (now - at).num_seconds() >= limit);
    let held = if late(world.offline.held_since, WAITED_S) { release(world) } else { Vec::new() };
    if world.offline.since.is_some() {
        if late(world.offline.looked, LOOK_S) {
            look(world, now, effects);
        }
        doubt(world, now, effects);
    }
    held
}

fn release(world: &mut World) -> Vec<Polled> {
    world.offline.held_since = None;
    std::mem::take(&mut world.offline.held)
}

/// A poll that says nothing of what it looked at.
fn excuse(world: &mut World, polled: &Polled, now: Timestamp) {
    let one_pass = world.one_pass;
    let Some(source) = world.sources.get_mut(&polled.source) else { return };
    source.next_at = polled.next_at;
    if one_pass {
        source.checked_at = Some(polled.at);
        not_known(source, now);
        let id = polled.source.clone();
        findings::review(world, &id, now, true, &mut Vec::new());
    }
}

/// After five minutes what was known is not believed any more.
fn doubt(world: &mut World, now: Timestamp, effects: &mut Vec<Effect>) {
    let Some(begin) = world.offline.since.filter(|begin| (now - *begin).num_seconds() >= BELIEVED_S) else { return };
    world.offline.unknown = true;
    for id in world.offline.excused.clone() {
        let Some(source) = world.sources.get_mut(&id) else { continue };
        if matches!(source.status, Status::Paused | Status::Maintenance) || is_ours(source) {
            continue;
        }
        not_known(source, begin);
        findings::review(world, &id, now, false, effects);
    }
}

/// Whether it is not known because we are cut off.
fn is_ours(source: &SourceState) -> bool {
    source.status == Status::Unknown && source.error.as_ref().is_some_and(|error| error.message == CUT_OFF)
}

const CUT_OFF: &str = "this machine is offline";

fn not_known(source: &mut SourceState, at: Timestamp) {
    let mut error = SourceError::connect(CUT_OFF);
    "look at this machine's own connection first".clone_into(&mut error.remedy);
    (source.status, source.since) = (Status::Unknown, Some(at));
    (source.error, source.error_since) = (Some(error), Some(at));
    if source.summary.is_empty() {
        CUT_OFF.clone_into(&mut source.summary);
    }
}

/// We are back.
fn over(world: &mut World, now: Timestamp) -> Vec<Effect> {
    let mut effects = Vec::new();
    let Some(begin) = world.offline.since.take() else { return effects };
    world.offline.excused.clear();
    world.offline.unknown = false;
    world.notices.retain(|notice| notice.kind != NoticeKind::Offline);
    let sentence = format!("rounds is back after {}", human(since(begin, now)));
    findings::note(world, &mut effects, Transition { at: now, site: String::new(), source: None, kind: TransitionKind::Note, sentence });
    effects.push(Effect::PollAll);
    // What is not looked at again by then has grown old meanwhile.
    let soon = now + chrono::Duration::seconds(LOOK_S);
    world.ages_at = Some(world.ages_at.map_or(soon, |at| at.min(soon)));
    effects
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{Capability, LatencyLimits, Observation, Phases};
    use crate::sources::{Collected, SourceSpec};
    use crate::state::update::{next_tick, update};
    use crate::state::{Msg, State};

    fn at(s: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(1_790_000_000 + s, 0).unwrap()
    }

    fn id(text: &str) -> SourceId {
        SourceId::parse(text).unwrap()
    }

    fn state() -> State {
        let spec = |text: &str| SourceSpec {
            id: id(text),
            title: id(text).name().to_owned(),
            capability: Capability::Health,
            every: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            retry_every: Duration::from_secs(10),
            failures: 2,
            successes: 1,
            enabled: true,
            continuous: false,
            runbook: None,
            needs: vec![],
            target: String::new(),
        };
        let mut state = State::new(vec![], vec![spec("shop/http/far"), spec("shop/http/away"), spec("shop/http/here")], "ana".into());
        state.world.offline.guarded = BTreeSet::from([id("shop/http/far"), id("shop/http/away")]);
        state
    }

    fn health(error: Option<SourceError>, connected: bool) -> Health {
        Health {
            verdict: if error.is_some() { Verdict::Down } else { Verdict::Ok },
            status_code: error.is_none().then_some(200),
            latency_ms: None,
            phases_ms: Phases { connect: connected.then_some(1.0), ..Phases::default() },
            expectations: vec![],
            limits: LatencyLimits::default(),
            request: String::new(),
            body_bytes: 0,
            error,
            silenced: false,
        }
    }

    fn polled(source: &str, s: i64, health: Health) -> Polled {
        let observations = vec![Observation { at: at(s), data: Data::Health(health) }];
        Polled {
            source: id(source),
            started: at(s),
            at: at(s),
            result: Ok(Collected { observations, problems: vec![], complete: true }),
            next_at: Some(at(s + 30)),
        }
    }

    fn good(state: &mut State, source: &str, s: i64) -> Vec<Effect> {
        update(state, Msg::Polled(polled(source, s, health(None, true))), at(s))
    }

    fn bad(state: &mut State, source: &str, s: i64) -> Vec<Effect> {
        update(state, Msg::Polled(polled(source, s, health(Some(SourceError::connect("no route")), false))), at(s))
    }

    fn offline(state: &mut State, s: i64) -> Vec<Effect> {
        let excused = BTreeSet::from([id("shop/http/far"), id("shop/http/here")]);
        update(state, Msg::Network(Network::Offline { text: "nothing answers".into(), excused }), at(s))
    }

    fn status(state: &State, source: &str) -> Status {
        state.world.sources[&id(source)].status
    }

    #[test]
    fn what_failed_to_connect() {
        let timeout = || SourceError::timeout(Duration::from_secs(1));
        for (result, failed) in [
            (Ok(health(None, true)), false),
            (Ok(health(Some(SourceError::connect("refused")), false)), true),
            (Ok(health(Some(SourceError::connect("unreachable")), true)), true),
            (Ok(health(Some(timeout()), false)), true),
            (Ok(health(Some(timeout()), true)), false),
            (Ok(health(Some(SourceError::tls("expired")), true)), false),
            (Err(SourceError::connect("no such host")), true),
            (Err(timeout()), true),
            (Err(SourceError::auth("401", "renew it")), false),
        ] {
            let mut poll = polled("shop/http/far", 0, health(None, true));
            match result.clone() {
                Ok(health) => poll = polled("shop/http/far", 0, health),
                Err(error) => poll.result = Err(error),
            }
            assert_eq!(failed_to_connect(&poll), failed, "{result:?}");
        }
    }

    #[test]
    fn while_we_are_cut_off_nothing_is_judged_and_after_five_minutes_nothing_is_known() {
        let mut state = state();
        for source in ["shop/http/far", "shop/http/away", "shop/http/here"] {
            good(&mut state, source, 0);
        }
        let effects = bad(&mut state, "shop/http/far", 30);
        assert_eq!(effects, [Effect::LookAtNetwork], "it waits for the answer");
        assert_eq!(status(&state, "shop/http/far"), Status::Ok);
        offline(&mut state, 32);
        assert_eq!(state.world.notices[0].since, at(30));
        // Not even a poll after the other is judged, and nothing rings; what is here is judged as ever.
        for s in [40, 50, 60] {
            assert!(bad(&mut state, "shop/http/far", s).is_empty());
        }
        bad(&mut state, "shop/http/here", 61);
        assert!(bad(&mut state, "shop/http/here", 71).contains(&Effect::Bell));
        update(&mut state, Msg::Tick, at(200));
        assert_eq!(status(&state, "shop/http/far"), Status::Ok, "judged as of before");
        assert!(next_tick(&state, at(200)).is_some_and(|next| next <= at(330)));
        let effects = update(&mut state, Msg::Tick, at(331));
        assert!(effects.contains(&Effect::LookAtNetwork) && !effects.contains(&Effect::Bell), "{effects:?}");
        assert_eq!(status(&state, "shop/http/far"), Status::Unknown);
        let finding = state.world.findings.iter().find(|finding| finding.source == id("shop/http/far")).unwrap();
        assert!(finding.title.contains("offline"), "{}", finding.title);

        let effects = update(&mut state, Msg::Network(Network::Online), at(400));
        assert!(effects.contains(&Effect::PollAll) && state.world.notices.is_empty());
        good(&mut state, "shop/http/far", 401);
        assert_eq!(status(&state, "shop/http/far"), Status::Ok);
    }

    #[test]
    fn an_outage_is_one_when_the_anchors_answer() {
        let mut state = state();
        bad(&mut state, "shop/http/far", 0);
        update(&mut state, Msg::Network(Network::Online), at(1));
        bad(&mut state, "shop/http/far", 10);
        let effects = update(&mut state, Msg::Network(Network::Online), at(11));
        assert!(effects.contains(&Effect::Bell), "{effects:?}");
        assert_eq!((status(&state, "shop/http/far"), state.world.notices.len()), (Status::Down, 0));
    }

    #[test]
    fn without_an_answer_it_is_judged_and_what_is_not_excused_is_too() {
        let mut state = state();
        bad(&mut state, "shop/http/far", 0);
        update(&mut state, Msg::Tick, at(11));
        assert_eq!(status(&state, "shop/http/far"), Status::Pending, "the look was lost");
        bad(&mut state, "shop/http/away", 12);
        bad(&mut state, "shop/http/far", 12);
        offline(&mut state, 13);
        assert_eq!((status(&state, "shop/http/away"), state.world.sources[&id("shop/http/far")].failing), (Status::Pending, 1));
    }

    #[test]
    fn an_answer_of_what_was_excused_ends_it() {
        let mut state = state();
        bad(&mut state, "shop/http/far", 0);
        offline(&mut state, 1);
        assert_eq!(state.world.notices.len(), 1);
        assert!(good(&mut state, "shop/http/far", 20).contains(&Effect::PollAll));
        assert!(state.world.notices.is_empty());
        assert_eq!(status(&state, "shop/http/far"), Status::Ok);
    }
}
