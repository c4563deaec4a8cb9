//! The one function that changes state.

use super::ingest::{self, Settings};
use super::msg::{Configured, Polled};
use super::world::World;
use super::{Effect, Msg, NoticeKind, SiteState, SourceState, State, act, acting, findings, logview, offering, offline, releases, silence};
use crate::domain::time::human;
use crate::domain::{FindingId, SourceId, Status, Timestamp, Transition, TransitionKind};
use crate::sources::SourceSpec;

impl State {
    /// A state in which nothing was looked at yet. `person` is who sits here.
    #[must_use]
    pub fn new(sites: Vec<SiteState>, specs: Vec<SourceSpec>, person: String) -> Self {
        let mut state = Self::default();
        state.world.sites = sites;
        state.world.sources = specs.into_iter().map(|spec| (spec.id.clone(), SourceState::new(spec))).collect();
        state.view.person = person;
        state
    }
}

/// Takes one message in and says what is to be done outside.
pub fn update(state: &mut State, msg: Msg, now: Timestamp) -> Vec<Effect> {
    let mut effects = Vec::new();
    match msg {
        Msg::Polled(polled) => {
            if let Some(polled) = offline::sift(&mut state.world, polled, now, &mut effects) {
                take(&mut state.world, polled, now, false, &mut effects);
            }
        }
        Msg::Configured(configured) => reconfigure(state, *configured, now, &mut effects),
        Msg::Network(network) => {
            for polled in offline::told(&mut state.world, network, now, &mut effects) {
                take(&mut state.world, polled, now, false, &mut effects);
            }
        }
        Msg::Followed(polled) => take(&mut state.world, polled, now, true, &mut effects),
        Msg::Command(command) if state.view.wall.is_some() => super::wall::command(state, command, now, &mut effects),
        Msg::Click(..) if state.view.wall.is_some() => {}
        Msg::Command(command) => act::command(state, command, now, &mut effects),
        Msg::Edit(request) => act::edit(state, request),
        Msg::Paste(text) => act::paste(state, &text),
        Msg::Click(column, row) => act::click(state, column, row, now, &mut effects),
        Msg::Resize(columns, rows) => state.view.size = (columns, rows),
        Msg::Tick => tick(state, now, &mut effects),
        Msg::Slept(gap) => {
            let sentence = format!("the machine slept for {}; nothing was looked at meanwhile", human(gap));
            findings::note(&mut state.world, &mut effects, Transition { at: now, site: String::new(), source: None, kind: TransitionKind::Note, sentence });
            tick(state, now, &mut effects);
            effects.push(Effect::PollAll);
        }
        Msg::History(history) => {
            let keep = ingest::samples_for(state.world.sources.len());
            if let Some(source) = state.world.sources.get_mut(&history.source) {
                ingest::history(source, &history, keep, now);
            }
        }
        Msg::Events(transitions) => {
            for transition in transitions {
                let tried = matches!(transition.kind, TransitionKind::Drill(_) | TransitionKind::Checked(_)).then(|| transition.source.clone()).flatten();
                findings::remember(&mut state.world, transition);
                if let Some(source) = tried {
                    findings::review(&mut state.world, &source, now, true, &mut effects);
                }
            }
        }
        Msg::Book(rows) => super::book::told(&mut state.world, *rows, now, &mut effects),
        Msg::BookKept(kept) => state.world.book_kept = kept,
        Msg::Acknowledged(id, ack) => {
            findings::acknowledge(&mut state.world, &id, ack, now);
            if id.site_in_maintenance().is_some() {
                silence::cover(&mut state.world, now, &mut effects);
            }
        }
        Msg::Notice(notice) => {
            state.world.notices.retain(|known| known.kind != notice.kind);
            state.world.notices.push(notice);
            state.world.notices.sort_by_key(|notice| notice.kind);
        }
        Msg::NoticeOver(kind) => state.world.notices.retain(|known| known.kind != kind),
        Msg::Detail(told) => {
            // What is asked for while the picture stands still is asked for to be seen.
            if let Some(paused) = &mut state.view.paused {
                paused.world.details.take((*told).clone(), now);
            }
            state.world.details.take(*told, now);
        }
        Msg::ActKey(key) => acting::key(state, &key, now),
        Msg::ActionStep { run, step, state: stands } => acting::step(&mut state.world, &run, step, stands, now),
        Msg::ActionOutput { run, lines, dropped } => acting::output(&mut state.world, &run, lines, dropped),
        Msg::ActionEnded { run, end } => acting::ended(state, &run, end, now, &mut effects),
        Msg::Tried(evidence) => acting::tried(state, *evidence, now, &mut effects),
        Msg::LogPast { source, query, result } => logview::act::past(state, (&source, &query), result, now, &mut effects),
        Msg::Offered(told) => offering::offered(state, told),
        Msg::Performed { run, results, took_ms } => offering::performed(state, &run, &results, took_ms, now, &mut effects),
        Msg::FrameHere(Some(file), line) => effects.push(Effect::Edit(file, line)),
        // It is shown instead.
        Msg::FrameHere(None, _) => {
            super::stack::turn(state);
        }
        Msg::Toast(text) => act::toast(state, text, now),
        Msg::Found(project) => {
            if let Some(first) = &mut state.view.first_run {
                first.project = Some(project);
            }
        }
        Msg::Choose(choice) => {
            if let Some(first) = &mut state.view.first_run {
                super::first_run::choose(first, choice, &mut effects);
            }
        }
    }
    super::details::look(state, now, &mut effects);
    logview::follow(state);
    if state.view.wall.is_some() {
        super::wall::step(state, now);
        // Nobody sits there who would hear it, all night.
        effects.retain(|effect| *effect != Effect::Bell);
    }
    effects
}

/// Takes a poll in, ours or one we were told of.
fn take(world: &mut World, mut polled: Polled, now: Timestamp, followed: bool, effects: &mut Vec<Effect>) {
    super::tries::join(world, &mut polled);
    let settings = Settings { one_pass: world.one_pass, samples: ingest::samples_for(world.sources.len()) };
    let id = polled.source.clone();
    let Some(source) = world.sources.get_mut(&id) else { return };
    let window = silence::lift(source);
    if window.is_some() {
        silence::mark(&mut polled);
    }
    let (before, looked_at) = (source.status, source.looked_at());
    let released = source.releases.as_ref().map(|(_, releases)| releases.items.iter().map(|release| release.version.clone()).collect());
    let news = ingest::polled(source, &polled, settings, followed, now);
    if let Some(at) = window {
        silence::put(source, at);
        if news && !followed {
            effects.push(Effect::KeepPoll(Box::new(polled)));
        }
        return;
    }
    if !news {
        return;
    }
    if followed {
        // What was true when it was written may be old by now.
        source.remembered = !looked_at;
        age(source, now);
    }
    let after = source.status;
    let ages_at = ages_at(source);
    let worth_telling = after != before && (looked_at || after != Status::Ok);
    if worth_telling && !followed {
        let transition = Transition {
            at: polled.at,
            site: id.site().to_owned(),
            source: Some(id.clone()),
            kind: TransitionKind::Status { from: before, to: after },
            sentence: sentence(source, before),
        };
        findings::note(world, effects, transition);
    }
    world.ages_at = world.ages_at.into_iter().chain(ages_at).min();
    releases::told(world, &id, released, followed, effects);
    if !followed && !world.book_kept {
        super::book::count(world, &polled);
    }
    if !followed && !releases::goes_on(&polled) {
        effects.push(Effect::KeepPoll(Box::new(polled)));
    }
    findings::review(world, &id, now, followed, effects);
    if before != after {
        review_dependants(world, &id, now, followed, effects);
    }
}

/// Another configuration: what is watched as before keeps all that is known of it.
fn reconfigure(state: &mut State, configured: Configured, now: Timestamp, effects: &mut Vec<Effect>) {
    let Configured { sites, specs, changed, guarded, actions, tries, untrusted, zone, wall, others } = configured;
    acting::replaced(state, actions);
    state.world.tries = tries;
    state.view.zone = zone;
    if let Some(known) = &mut state.view.wall {
        known.settings = wall;
    }
    let world = &mut state.world;
    let mut known = std::mem::take(&mut world.sources);
    let before = known.len();
    let mut added = 0;
    for spec in specs {
        let source = match known.remove(&spec.id) {
            Some(source) if !changed.contains(&spec.id) => source,
            Some(source) => SourceState { book: source.book, ..SourceState::new(spec) },
            None => {
                added += 1;
                SourceState::new(spec)
            }
        };
        world.sources.insert(source.spec.id.clone(), source);
    }
    world.details.retain(|id| world.sources.contains_key(id) && !changed.contains(id));
    let removed = before - (world.sources.len() - added);
    let releases: Vec<_> = std::mem::take(&mut world.sites).into_iter().filter_map(|site| Some((site.name, site.release?))).collect();
    world.sites = sites;
    for site in &mut world.sites {
        site.release = releases.iter().find(|(name, _)| *name == site.name).map(|(_, release)| release.clone());
    }
    let (sources, findings) = (&world.sources, &mut world.findings);
    findings.retain(|finding| sources.contains_key(&finding.source) && !changed.contains(&finding.source));
    world.offline.guard(guarded);
    world.untrusted = untrusted;
    world.notices.retain(|notice| notice.kind != NoticeKind::Configuration);
    world.ages_at = Some(now);
    silence::cover(world, now, effects);
    let parts = [(added, "added"), (changed.len(), "changed"), (removed, "removed")];
    let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let others = if others.is_empty() { None } else { Some(format!("new {}", others.join(", "))) };
    let parts: Vec<String> = parts.into_iter().chain(others).collect();
    if parts.is_empty() {
        return act::toast(state, "the configuration was read again: it says what it said".to_owned(), now);
    }
    let sentence = format!("another configuration is in force: {}", parts.join(", "));
    findings::note(world, effects, Transition { at: now, site: String::new(), source: None, kind: TransitionKind::Note, sentence: sentence.clone() });
    act::toast(state, sentence, now);
}

/// Sources that need this one are judged by it.
fn review_dependants(world: &mut World, id: &SourceId, now: Timestamp, quiet: bool, effects: &mut Vec<Effect>) {
    let dependants: Vec<SourceId> = world
        .sources
        .values()
        .filter(|s| s.spec.id.site() == id.site() && s.spec.needs.iter().any(|need| need == id.within_site()))
        .map(|s| s.spec.id.clone())
        .collect();
    for dependant in dependants {
        findings::review(world, &dependant, now, quiet, effects);
    }
}

/// What a change of status says in the event feed.
fn sentence(source: &SourceState, before: Status) -> String {
    let nth = |n: u32| match n {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        n => format!("{n}th"),
    };
    match source.status {
        Status::Down => format!("down: {}, {} in a row", source.summary, nth(source.failing)),
        Status::Pending => {
            let retry = human(source.spec.retry_every);
            let reason = source.error.as_ref().map_or(source.summary.as_str(), |error| error.message.as_str());
            format!("{reason}, {} failure; tried again after {retry}", nth(source.failing))
        }
        Status::Unknown => format!("not known: {}", source.error.as_ref().map_or("not looked at", |error| error.message.as_str())),
        Status::Degraded => format!("degraded: {}", source.summary),
        Status::Ok if before == Status::Down => format!("up: {}", source.summary),
        Status::Ok => format!("ok: {}", source.summary),
        Status::Stale => "not looked at in time".to_owned(),
        Status::Paused => "paused".to_owned(),
        Status::Maintenance => "maintenance".to_owned(),
    }
}

/// When a source's age changes its status next.
fn ages_at(source: &SourceState) -> Option<Timestamp> {
    let after = match source.status {
        Status::Ok | Status::Degraded | Status::Pending | Status::Down => ingest::stale_after(source),
        Status::Stale => ingest::unknown_after(source),
        Status::Unknown | Status::Paused | Status::Maintenance => return None,
    };
    Some(source.checked_at? + chrono::Duration::from_std(after).unwrap_or_default() + chrono::Duration::milliseconds(1))
}

fn age(source: &mut SourceState, now: Timestamp) -> bool {
    let status = ingest::aged(source, now);
    if status == source.status {
        return false;
    }
    source.status = status;
    source.since = source.checked_at;
    true
}

/// Time passed: what is too old turns stale, acknowledgements end, toasts go.
fn tick(state: &mut State, now: Timestamp, effects: &mut Vec<Effect>) {
    if state.view.toast.as_ref().is_some_and(|toast| toast.until <= now) {
        state.view.toast = None;
    }
    let world = &mut state.world;
    let ended: Vec<FindingId> =
        world.acknowledgements.iter().filter(|(_, ack)| ack.until.is_some_and(|until| until <= now)).map(|(id, _)| id.clone()).collect();
    for id in &ended {
        findings::acknowledge(world, id, None, now);
        if let Some(site) = id.site_in_maintenance() {
            let sentence = "the maintenance window is over".to_owned();
            findings::note(world, effects, Transition { at: now, site: site.to_owned(), source: None, kind: TransitionKind::Note, sentence });
        }
    }
    if ended.iter().any(|id| id.site_in_maintenance().is_some()) {
        silence::cover(world, now, effects);
    }
    for polled in offline::tick(world, now, effects) {
        take(world, polled, now, false, effects);
    }
    let mut changed = Vec::new();
    if world.ages_at.is_some_and(|at| at <= now) {
        // While we are cut off, the age of what needs the network says nothing of it.
        for source in world.sources.values_mut().filter(|source| !world.offline.excuses(&source.spec.id)) {
            let (before, remembered) = (source.status, source.remembered);
            if age(source, now) {
                changed.push((source.spec.id.clone(), before, remembered));
            }
        }
        world.ages_at = world.sources.values().filter(|source| !world.offline.excuses(&source.spec.id)).filter_map(ages_at).min();
    }
    if changed.iter().any(|(id, _, remembered)| !remembered && world.offline.guarded.contains(id)) {
        // Nobody looked at it in time: perhaps because whoever does is cut off.
        offline::look(world, now, effects);
    }
    for (id, before, remembered) in changed {
        if let Some(source) = world.sources.get(&id)
            && !remembered
        {
            let kind = TransitionKind::Status { from: before, to: source.status };
            let sentence = sentence(source, before);
            findings::note(world, effects, Transition { at: now, site: id.site().to_owned(), source: Some(id.clone()), kind, sentence });
        }
        findings::review(world, &id, now, remembered, effects);
    }
    // Bursts end by the mere passing of time.
    let bursting: Vec<SourceId> = world.findings.iter().filter(|f| f.id.rule() == "burst").map(|f| f.source.clone()).collect();
    for id in bursting {
        findings::review(world, &id, now, false, effects);
    }
}

/// When a tick is due next for the state itself: the nearest moment at which something turns stale, an acknowledgement ends, or a
/// burst may be over. What changes on the screen alone is in [`super::Drawn::next_change`].
#[must_use]
pub fn next_tick(state: &State, now: Timestamp) -> Option<Timestamp> {
    let stale = state.world.ages_at.map(|at| at.max(now)).into_iter();
    let acks = state.world.acknowledgements.values().filter_map(|ack| ack.until);
    let toast = state.view.toast.as_ref().map(|toast| toast.until);
    let burst = state.world.findings.iter().any(|f| f.id.rule() == "burst").then(|| now + chrono::Duration::seconds(5));
    let network = state.world.offline.next();
    stale.chain(acks).chain(toast).chain(burst).chain(network).chain(super::wall::next(state)).chain(super::details::next(state, now)).min()
}
