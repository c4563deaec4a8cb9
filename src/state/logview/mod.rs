//! The logs page as a sequence: the logs of one site merged by time, filtered, equal neighbours folded into one.
//!
//! Keys move in this sequence (the reducer) and rows are drawn from it (the pane), so that both mean the same thing by
//! "the next error". What does not belong here: how a line looks.

use std::borrow::Cow;

use super::{LogState, Page, SourceState, State, View, World};
use crate::domain::{Capability, Level, LogEvent, LogMark, SourceId, Timestamp};

pub(super) mod act;
pub mod back;
pub mod filters;
pub mod index;
pub mod lists;
pub mod moment;

pub use filters::LogFilter;
pub use index::{Entry, Index};

/// A row of its own between two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkAt<'a> {
    /// It stands before the entry of this index; the number of entries: at the end.
    pub before: usize,
    /// What happened.
    pub mark: &'a LogMark,
}

/// What one search looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// An error or worse.
    Error,
    /// Exactly a warning.
    Warning,
    /// An event whose message or traceback has what is searched for.
    Match,
}

/// The logs of one tab, merged.
#[derive(Debug, Clone, Default)]
pub struct Merged<'a> {
    /// The tab: a site, or the id of one source of it. Empty when no log is watched.
    pub tab: String,
    /// The site.
    pub site: &'a str,
    /// Its log sources, by id.
    pub logs: Vec<(&'a SourceId, &'a SourceState)>,
    /// What is shown of them, in order.
    pub index: Cow<'a, Index>,
    /// Rotations, skipped lines, by where they stand.
    pub marks: Vec<MarkAt<'a>>,
    /// What is not in memory, by the entry that it stands before.
    pub gaps: Vec<(usize, back::Gap)>,
}

fn logs(world: &World) -> impl Iterator<Item = (&SourceId, &SourceState)> {
    world.sources.iter().filter(|(_, source)| source.spec.capability == Capability::Log)
}

/// The tabs of the page: each site with a log, in the order of the configuration, and after a site with several logs each of them by its id.
#[must_use]
pub fn tabs(world: &World, view: &View) -> Vec<String> {
    let mut sites: Vec<&str> = world.sites.iter().map(|site| site.name.as_str()).collect();
    for (id, _) in logs(world) {
        if !sites.contains(&id.site()) {
            sites.push(id.site());
        }
    }
    let mut tabs = Vec::new();
    for site in sites {
        if view.site.as_deref().is_some_and(|only| only != site) {
            continue;
        }
        let ids: Vec<&SourceId> = logs(world).map(|(id, _)| id).filter(|id| id.site() == site).collect();
        if !ids.is_empty() {
            tabs.push(site.to_owned());
        }
        if ids.len() > 1 {
            tabs.extend(ids.iter().map(|id| id.as_str().to_owned()));
        }
    }
    tabs
}

/// The tab on the screen: the chosen one while it exists, else the first.
#[must_use]
pub fn tab(world: &World, view: &View) -> Option<String> {
    let tabs = tabs(world, view);
    view.log.site.as_ref().filter(|chosen| tabs.contains(chosen)).cloned().or_else(|| tabs.into_iter().next())
}

/// The tab beside the one on the screen; stays at the ends. What to put into [`super::view::LogView::site`].
#[must_use]
pub fn next_tab(world: &World, view: &View, forward: bool) -> Option<String> {
    let tabs = tabs(world, view);
    let now = tab(world, view)?;
    let at = tabs.iter().position(|tab| *tab == now)?;
    let to = if forward { (at + 1).min(tabs.len() - 1) } else { at.saturating_sub(1) };
    tabs.into_iter().nth(to)
}

/// The logs of the tab on the screen.
fn shown<'a>(world: &'a World, tab: &str) -> Vec<(&'a SourceId, &'a SourceState)> {
    let site = tab.split('/').next().unwrap_or_default();
    logs(world).filter(|(id, _)| if tab.contains('/') { id.as_str() == tab } else { id.site() == site }).collect()
}

/// Brings the kept sequence up to date while the page is on the screen, and lets go of it elsewhere. Whoever follows the newest needs
/// nothing of what was read back.
pub(super) fn follow(state: &mut State) {
    if state.view.page != Page::Logs {
        state.view.log.index = Index::default();
        return;
    }
    if state.view.log.selected.is_none() && state.view.log.sought.is_none() {
        let paused = state.view.paused.iter_mut().map(|paused| &mut *paused.world);
        for world in paused.chain(std::iter::once(&mut state.world)) {
            for log in world.sources.values_mut().filter_map(|source| source.log.as_mut()) {
                log.back = None;
            }
        }
    }
    let mut index = std::mem::take(&mut state.view.log.index);
    if let Some(tab) = tab(state.shown(), &state.view) {
        let logs = shown(state.shown(), &tab);
        let key = index::Key::new(&logs, &state.view);
        if !index.is_of(&key, &logs) {
            index.follow(key, &logs);
        }
    }
    state.view.log.index = index;
}

impl<'a> Merged<'a> {
    /// The sequence as the view wants it: its tab, its level, its filters. The one that is kept, where it is up to date.
    #[must_use]
    pub fn new(world: &'a World, view: &'a View) -> Self {
        let Some(tab) = tab(world, view) else { return Self::default() };
        let logs = shown(world, &tab);
        let site = logs.first().map_or("", |(id, _)| id.site());
        let key = index::Key::new(&logs, view);
        let index = if view.log.index.is_of(&key, &logs) {
            Cow::Borrowed(&view.log.index)
        } else {
            let mut index = Index::default();
            index.follow(key, &logs);
            Cow::Owned(index)
        };
        let mut merged = Self { tab, site, logs, index, marks: Vec::new(), gaps: Vec::new() };
        merged.marks = merged.marks();
        let backs = merged.logs.iter().filter_map(|(_, state)| state.log.as_ref()?.back.as_ref());
        let gaps = backs.filter_map(|back| back.gap()).map(|gap| (merged.entries().partition_point(|entry| entry.at <= gap.after), gap)).collect();
        merged.gaps = gaps;
        merged
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.index.entries
    }

    fn marks(&self) -> Vec<MarkAt<'a>> {
        let mut marks: Vec<(Timestamp, &'a LogMark)> = Vec::new();
        for log in self.logs.iter().filter_map(|(_, state)| state.log.as_ref()) {
            // A mark stands where it came in the reading; its time there is that of the event after it.
            marks.extend(log.marks.iter().map(|(seq, mark)| (log.event(*seq).map_or(mark.at, |event| event.at), mark)));
        }
        marks.sort_by_key(|(at, _)| *at);
        marks.into_iter().map(|(at, mark)| MarkAt { before: self.entries().partition_point(|entry| entry.at < at), mark }).collect()
    }

    /// The state of an entry's log.
    #[must_use]
    pub fn log(&self, entry: &Entry) -> Option<&'a LogState> {
        self.logs.get(entry.source).and_then(|(_, state)| state.log.as_ref())
    }

    /// The (first) event of an entry.
    #[must_use]
    pub fn event(&self, entry: &Entry) -> Option<&'a LogEvent> {
        self.log(entry)?.event(entry.seq)
    }

    /// The key of an entry, as [`super::view::LogView`] keeps it: source id and sequence number.
    #[must_use]
    pub fn key(&self, index: usize) -> Option<(String, u64)> {
        let entry = self.entries().get(index)?;
        Some((self.logs.get(entry.source)?.0.as_str().to_owned(), entry.seq))
    }

    /// The entry that this event is in; `None`: it is not shown.
    #[must_use]
    pub fn holding(&self, key: &(String, u64)) -> Option<usize> {
        let source = self.logs.iter().position(|(id, _)| id.as_str() == key.0)?;
        let at = self.logs[source].1.log.as_ref()?.event(key.1)?.at;
        let entries = self.entries();
        let after = entries.partition_point(|entry| entry.at <= at);
        let earliest = at - chrono::TimeDelta::seconds(1);
        let holds = |entry: &Entry| entry.source == source && (entry.seq..=entry.last_seq).contains(&key.1);
        (0..after).rev().take_while(|index| entries[*index].at >= earliest).find(|index| holds(&entries[*index]))
    }

    /// Where the selection stands: the last entry when it follows; for an event that is hidden or gone the nearest one after it.
    /// `None` when there is no entry.
    #[must_use]
    pub fn position(&self, selected: Option<&(String, u64)>) -> Option<usize> {
        let last = self.entries().len().checked_sub(1)?;
        let Some(key) = selected else { return Some(last) };
        if let Some(index) = self.holding(key) {
            return Some(index);
        }
        let Some(source) = self.logs.iter().position(|(other, _)| other.as_str() == key.0) else { return Some(last) };
        let there = match self.logs[source].1.log.as_ref().and_then(|log| log.event(key.1)) {
            Some(event) => Some(self.entries().partition_point(|entry| entry.at < event.at)),
            None => self.entries().iter().position(|entry| entry.source == source && entry.seq > key.1),
        };
        Some(there.unwrap_or(last).min(last))
    }

    /// Down to where all logs are in memory, and the log that is to be read back first to come further; `None`: there is nothing older.
    #[must_use]
    pub fn horizon(&self) -> Option<(usize, &'a SourceId)> {
        let known = |state: &SourceState| {
            let log = state.log.as_ref()?;
            let ended = log.back.as_ref().is_some_and(|back| back.is_ended());
            (!ended)
                .then(|| log.back.as_ref().and_then(|back| back.oldest()).or_else(|| log.events.front().map(|event| event.at)).unwrap_or(Timestamp::MAX_UTC))
        };
        let (at, id) = self.logs.iter().filter_map(|(id, state)| Some((known(state)?, *id))).max_by_key(|(at, _)| *at)?;
        Some((self.entries().partition_point(|entry| entry.at < at), id))
    }

    /// Whether older events of any of the logs are being read.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.logs.iter().any(|(_, state)| state.log.as_ref().and_then(|log| log.back.as_ref()).is_some_and(|back| back.is_reading()))
    }

    /// The next or previous entry from `from`, not itself; `None` when there is none in that direction.
    #[must_use]
    pub fn seek(&self, from: usize, what: Seek, forward: bool) -> Option<usize> {
        let fits = |index: &usize| {
            self.entries().get(*index).is_some_and(|entry| match what {
                Seek::Error => entry.level.is_error(),
                Seek::Warning => entry.level == Level::Warning,
                Seek::Match => entry.found,
            })
        };
        let end = self.entries().len();
        if forward { (from.saturating_add(1)..end).find(fits) } else { (0..from.min(end)).rev().find(fits) }
    }

    /// Which of the entries that are searched for this one is, from 1; `None`: it is none.
    #[must_use]
    pub fn rank(&self, index: usize) -> Option<usize> {
        self.entries().get(index)?.found.then(|| self.entries()[..=index].iter().filter(|entry| entry.found).count())
    }

    /// The first entry at or after a moment; the number of entries when all are older.
    #[must_use]
    pub fn at_or_after(&self, at: Timestamp) -> usize {
        self.entries().partition_point(|entry| entry.at < at)
    }

    /// What to put into [`super::view::LogView::selected`] for the entry of this index: `None`, which follows, on the last one.
    #[must_use]
    pub fn select(&self, index: usize) -> Option<(String, u64)> {
        if index + 1 >= self.entries().len() { None } else { self.key(index) }
    }

    /// How many events stand below this entry.
    #[must_use]
    pub fn events_below(&self, index: usize) -> u64 {
        self.entries().iter().skip(index.saturating_add(1)).map(|entry| u64::from(entry.count)).sum()
    }
}

#[cfg(test)]
mod tests;
