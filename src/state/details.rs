//! Details on demand: what a tracker, an index or a repository tells of one item when somebody looks at it, kept for a while.
//!
//! A selection that rests asks its source once; walking a list asks nothing. What was told stays until it is too much or the item
//! changed, and a look that failed leaves what was known beside its reason. What does not belong here: asking (`app`), what a detail
//! says (`sources`), showing it (`ui`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::{Effect, Item, Page, Part, State, World, act, item};
use crate::domain::{ErrorKind, SourceError, SourceId, Timestamp};
use crate::sources::{Detail, ItemKey};

/// Details kept in memory; what was not looked at for longest goes first.
pub const DETAILS: usize = 32;
/// A selection that stayed so long is looked at, in milliseconds.
pub const RESTS_MS: i64 = 300;
/// After a look that failed the next one waits so long, in seconds.
pub const RETRY_S: i64 = 30;
/// A look that has not ended by then, in seconds, is taken to be lost.
const LOST_S: i64 = 120;

/// What is known of one item, or of one of its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What it is about.
    pub key: ItemKey,
    /// Which of several; `None`: the newest.
    pub part: Option<String>,
    /// The last detail that was given, and when.
    pub good: Option<(Timestamp, Arc<Detail>)>,
    /// Why the last look gave none, and when that was.
    pub error: Option<(Timestamp, SourceError)>,
    /// How far the item had come when it was looked at: its last event.
    stamp: Option<Timestamp>,
    /// Somebody asked for a newer one.
    outdated: bool,
}

/// A look that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    key: ItemKey,
    part: Option<String>,
    stamp: Option<Timestamp>,
    at: Timestamp,
}

/// What was told of items, and what is being asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    /// Least recently used first, bounded by [`DETAILS`].
    kept: VecDeque<Known>,
    /// One look at most for each source.
    asked: BTreeMap<SourceId, Asked>,
    /// Sources that have nothing to tell beyond their list.
    without: BTreeSet<SourceId>,
}

/// What came of a look.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What was looked at.
    pub key: ItemKey,
    /// Which of several; `None`: the newest.
    pub part: Option<String>,
    /// The detail; `None`: the source has nothing to tell beyond its list.
    pub result: Option<Result<Detail, SourceError>>,
}

/// What the reader's selection stands for, and since when it has stayed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    key: ItemKey,
    part: Option<String>,
    since: Timestamp,
}

impl Details {
    /// What is known of an item or of one of its parts.
    #[must_use]
    pub fn get(&self, key: &ItemKey, part: Option<&str>) -> Option<&Known> {
        self.kept.iter().find(|known| &known.key == key && known.part.as_deref() == part)
    }

    /// Whether a look at it is under way.
    #[must_use]
    pub fn is_asked(&self, key: &ItemKey, part: Option<&str>) -> bool {
        self.asked.get(&key.source).is_some_and(|asked| &asked.key == key && asked.part.as_deref() == part)
    }

    /// Whether the source told that it has nothing to tell beyond its list.
    #[must_use]
    pub fn has_none(&self, source: &SourceId) -> bool {
        self.without.contains(source)
    }

    /// Takes in what came of a look.
    pub fn take(&mut self, told: Told, at: Timestamp) {
        let Told { key, part, result } = told;
        let asked = match self.asked.get(&key.source) {
            Some(asked) if asked.key == key && asked.part == part => self.asked.remove(&key.source),
            _ => None,
        };
        let Some(result) = result else {
            self.without.insert(key.source);
            return;
        };
        let place = self.kept.iter().position(|known| known.key == key && known.part == part);
        let mut known = place.and_then(|place| self.kept.remove(place)).unwrap_or(Known { key, part, good: None, error: None, stamp: None, outdated: false });
        known.outdated = false;
        known.stamp = asked.and_then(|asked| asked.stamp);
        match result {
            Ok(detail) => {
                known.good = Some((at, Arc::new(detail)));
                known.error = None;
            }
            // What was known stays, beside the reason why it is not newer.
            Err(error) => known.error = Some((at, error)),
        }
        self.kept.push_back(known);
        while self.kept.len() > DETAILS {
            self.kept.pop_front();
        }
    }

    /// Forgets what sources told that are another now, or gone.
    pub fn retain(&mut self, stays: impl Fn(&SourceId) -> bool) {
        self.kept.retain(|known| stays(&known.key.source));
        self.asked.retain(|source, _| stays(source));
        self.without.retain(|source| stays(source));
    }

    /// What was told of a source's items is looked at again when somebody looks.
    pub fn outdate(&mut self, source: &SourceId) {
        self.without.remove(source);
        for known in self.kept.iter_mut().filter(|known| &known.key.source == source) {
            known.outdated = known.part.is_none() || known.error.is_some();
            known.error = None;
        }
    }

    fn touch(&mut self, key: &ItemKey, part: Option<&str>) {
        if let Some(place) = self.kept.iter().position(|known| &known.key == key && known.part.as_deref() == part)
            && place + 1 < self.kept.len()
            && let Some(known) = self.kept.remove(place)
        {
            self.kept.push_back(known);
        }
    }

    /// When it may be looked at; `None`: there is no need.
    fn due(&self, resting: &Resting, stamp: Option<Timestamp>, reading: bool) -> Option<Timestamp> {
        if self.has_none(&resting.key.source) {
            return None;
        }
        if let Some(asked) = self.asked.get(&resting.key.source) {
            return (asked.key != resting.key || asked.part != resting.part).then_some(asked.at + chrono::Duration::seconds(LOST_S));
        }
        // A part that was asked for by name was asked for on purpose.
        let rested = if resting.part.is_some() { resting.since } else { resting.since + chrono::Duration::milliseconds(RESTS_MS) };
        let Some(known) = self.get(&resting.key, resting.part.as_deref()) else { return Some(rested) };
        if let Some((at, error)) = &known.error {
            // What is not there yet costs nobody anything to ask for.
            let least = if error.kind == ErrorKind::Nothing { 1 } else { RETRY_S };
            let wait = error.retry_after_s.and_then(|after| i64::try_from(after).ok()).unwrap_or(RETRY_S).clamp(least, 3_600);
            return Some(rested.max(*at + chrono::Duration::seconds(wait)));
        }
        // One event does not change, and what somebody reads is not changed under the eyes.
        let moved = resting.part.is_none() && !reading && known.stamp != stamp;
        (known.good.is_none() || known.outdated || moved).then_some(rested)
    }
}

/// What the selection stands for, and which part of it is looked at.
#[must_use]
pub fn wanted(state: &State) -> Option<(ItemKey, Option<String>)> {
    // The day matters on the backups' page only.
    if state.view.page == Page::Backups { None } else { wanted_at(state, Timestamp::UNIX_EPOCH) }
}

/// The same on every page.
fn wanted_at(state: &State, now: Timestamp) -> Option<(ItemKey, Option<String>)> {
    if state.view.wall.is_some() || state.view.first_run.is_some() || !matches!(state.view.page, Page::Errors | Page::Dependencies | Page::Backups) {
        return None;
    }
    let row = act::selected_key(state)?;
    let mut key = item::item_key(row)?;
    let source = state.world.sources.get(&key.source).filter(|source| source.spec.enabled)?;
    if state.view.page == Page::Backups {
        // A tool is run for it, maybe over a network: only for who looks at the whole, and for the copy of that day.
        let (_, backup) = source.backup.as_ref()?;
        let (copy, under) = super::browse::wanted(backup, &state.view, &key.source, state.shown_at(now))?;
        key.item = copy;
        return Some((key, under));
    }
    let part = state.view.parts.get(&state.view.page).filter(|(of, _)| of == row).map(|(_, part)| part.clone());
    Some((key, part))
}

/// How far an item has come: a detail that was of an earlier time is not of the newest.
fn stamp(world: &World, key: &ItemKey) -> Option<Timestamp> {
    match item::item(world, &item::key(&key.source, &key.item))? {
        Item::Issue(issue) => issue.last_seen,
        Item::Group(group) => Some(group.last_seen),
        Item::Package(_) | Item::Backup(_) => None,
    }
}

fn reading(state: &State) -> bool {
    state.view.focus == Part::Detail || state.view.detail_open
}

/// Notes where the selection rests, and asks when it is time.
pub(super) fn look(state: &mut State, now: Timestamp, effects: &mut Vec<Effect>) {
    let Some((key, part)) = wanted_at(state, now) else {
        state.view.resting = None;
        return;
    };
    let resting = match state.view.resting.take() {
        // A clock that was set back waits no longer for that.
        Some(resting) if resting.key == key && resting.part == part && resting.since <= now => resting,
        _ => {
            state.world.details.touch(&key, part.as_deref());
            Resting { key, part, since: now }
        }
    };
    let stamp = stamp(&state.world, &resting.key);
    if state.world.details.due(&resting, stamp, reading(state)).is_some_and(|due| due <= now) {
        let (key, part) = (resting.key.clone(), resting.part.clone());
        state.world.details.asked.insert(key.source.clone(), Asked { key: key.clone(), part: part.clone(), stamp, at: now });
        effects.push(Effect::LookAt { key, part });
    }
    state.view.resting = Some(resting);
}

/// When [`look`] has something to do next.
pub(super) fn next(state: &State, now: Timestamp) -> Option<Timestamp> {
    let (key, part) = wanted_at(state, now)?;
    match &state.view.resting {
        Some(resting) if resting.key == key && resting.part == part => {
            state.world.details.due(resting, stamp(&state.world, &key), reading(state)).map(|due| due.max(now))
        }
        _ => Some(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::DetailBody;
    use crate::state::update::{next_tick, update};
    use crate::state::{Command, Msg};
    use crate::ui::fixture::{id, now, story};

    const FIRST: &str = "4101";

    fn later(ms: i64) -> Timestamp {
        now() + chrono::Duration::milliseconds(ms)
    }

    fn key(item: &str) -> ItemKey {
        ItemKey { source: id("shop/sentry/backend"), item: item.to_owned() }
    }

    fn told(item: &str, result: Result<&str, SourceError>) -> Msg {
        let result = result.map(|line| Detail { key: key(item), body: DetailBody::Lines(vec![line.to_owned()]), link: None });
        Msg::Detail(Box::new(Told { key: key(item), part: None, result: Some(result) }))
    }

    fn at_errors() -> State {
        let mut state = story();
        state.view.page = Page::Errors;
        state.view.drawn.keys = ["4101", "4102", "4103", "4104"].map(|item| format!("shop/sentry/backend#{item}")).into();
        state
    }

    fn looks(effects: &[Effect]) -> Vec<&str> {
        effects.iter().filter_map(|effect| if let Effect::LookAt { key, .. } = effect { Some(key.item.as_str()) } else { None }).collect()
    }

    fn line(state: &State, item: &str) -> Option<String> {
        match &state.world.details.get(&key(item), None)?.good.as_ref()?.1.body {
            DetailBody::Lines(lines) => lines.first().cloned(),
            DetailBody::Event(_) | DetailBody::Folder(_) | DetailBody::Notes(_) => None,
        }
    }

    #[test]
    fn a_selection_that_rests_is_looked_at_once_and_a_walk_is_not() {
        let mut state = at_errors();
        assert_eq!(next_tick(&state, now()), Some(now()), "what was drawn first is noted at once");
        for step in 0..3 {
            assert!(looks(&update(&mut state, Msg::Command(Command::Down), later(step * 100))).is_empty());
        }
        assert!(looks(&update(&mut state, Msg::Tick, later(400))).is_empty());
        assert_eq!(next_tick(&state, later(400)), Some(later(200 + RESTS_MS)));
        assert_eq!(looks(&update(&mut state, Msg::Tick, later(500))), ["4104"]);
        assert!(looks(&update(&mut state, Msg::Tick, later(900))).is_empty(), "one look is under way");
        assert!(state.world.details.is_asked(&key("4104"), None));
        update(&mut state, told("4104", Ok("frames")), later(1_000));
        assert_eq!(line(&state, "4104").as_deref(), Some("frames"));
        assert!(looks(&update(&mut state, Msg::Tick, later(9_000))).is_empty(), "it is known");
    }

    #[test]
    fn never_two_looks_at_one_source() {
        let mut state = at_errors();
        update(&mut state, Msg::Tick, later(0));
        assert_eq!(looks(&update(&mut state, Msg::Tick, later(300))), [FIRST]);
        update(&mut state, Msg::Command(Command::Down), later(400));
        assert!(looks(&update(&mut state, Msg::Tick, later(2_000))).is_empty());
        // The answer frees the way.
        assert_eq!(looks(&update(&mut state, told(FIRST, Ok("x")), later(2_100))), ["4102"]);
        // One that never ends is given up.
        update(&mut state, Msg::Command(Command::Down), later(2_200));
        assert_eq!(looks(&update(&mut state, Msg::Tick, later(2_100 + LOST_S * 1_000))), ["4103"]);
    }

    #[test]
    fn a_failed_look_keeps_what_was_known_and_waits_before_the_next() {
        let mut state = at_errors();
        update(&mut state, Msg::Tick, later(0));
        update(&mut state, Msg::Tick, later(300));
        update(&mut state, told(FIRST, Ok("frames")), later(400));
        // A new event: it is asked again, but not while it is read.
        let (_, issues) = state.world.sources.get_mut(&id("shop/sentry/backend")).unwrap().issues.as_mut().unwrap();
        issues.items.iter_mut().for_each(|issue| issue.last_seen = Some(later(1_000)));
        state.view.focus = Part::Detail;
        assert!(looks(&update(&mut state, Msg::Tick, later(2_000))).is_empty());
        state.view.focus = Part::List;
        assert_eq!(looks(&update(&mut state, Msg::Tick, later(3_000))), [FIRST]);
        let busy = SourceError::rate_limited("busy", Some(std::time::Duration::from_secs(60)));
        update(&mut state, told(FIRST, Err(busy)), later(4_000));
        let known = state.world.details.get(&key(FIRST), None).unwrap();
        assert_eq!((line(&state, FIRST).as_deref(), known.error.as_ref().unwrap().1.message.as_str()), (Some("frames"), "busy"));
        assert!(looks(&update(&mut state, Msg::Tick, later(40_000))).is_empty());
        assert_eq!(looks(&update(&mut state, Msg::Tick, later(64_000))), [FIRST]);
    }

    #[test]
    fn what_is_kept_is_bounded_and_goes_with_its_source() {
        let mut details = Details::default();
        let tell = |details: &mut Details, n: usize| {
            let key = key(&n.to_string());
            let detail = Detail { key: key.clone(), body: DetailBody::Lines(vec![]), link: None };
            details.take(Told { key, part: None, result: Some(Ok(detail)) }, now());
        };
        for n in 0..DETAILS {
            tell(&mut details, n);
        }
        details.touch(&key("0"), None);
        tell(&mut details, DETAILS);
        assert!(details.get(&key("0"), None).is_some() && details.get(&key("1"), None).is_none());
        details.take(Told { key: key("7"), part: None, result: None }, now());
        assert!(details.has_none(&key("7").source));
        details.outdate(&key("7").source);
        assert!(!details.has_none(&key("7").source));
        details.retain(|_| false);
        assert_eq!(details, Details::default());
    }
}
