//! The logs page as a sequence: the logs of one site merged by time, filtered, equal neighbours folded into one.
//!
//! Keys move in this sequence (the reducer) and rows are drawn from it (the pane), so that both mean the same thing by
//! "the next error". What does not belong here: how a line looks.

use super::filter::Filter;
use super::{LogState, Page, PromptKind, SourceState, View, World};
use crate::domain::{Capability, Level, LogEvent, LogMark, SourceId, Timestamp};

/// Equal neighbours this close to the first of them are one entry.
const FOLD_MS: i64 = 1_000;

/// One entry of the sequence: an event, or several equal ones within a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// When the first of them was written.
    pub at: Timestamp,
    /// Index into [`Merged::logs`].
    pub source: usize,
    /// Sequence number of the first of them in its source.
    pub seq: u64,
    /// Its level.
    pub level: Level,
    /// How many there are.
    pub count: u32,
    /// From the first to the last of them, in milliseconds.
    pub span_ms: u32,
}

/// A row of its own between two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkAt<'a> {
    /// It stands before the entry of this index; the number of entries: at the end.
    pub before: usize,
    /// What happened.
    pub mark: &'a LogMark,
}

/// What one search looks for.
#[derive(Debug, Clone, Copy)]
pub enum Seek<'a> {
    /// An error or worse.
    Error,
    /// Exactly a warning.
    Warning,
    /// An event whose message or traceback matches.
    Match(&'a Filter),
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
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// Rotations, skipped lines, by where they stand.
    pub marks: Vec<MarkAt<'a>>,
    /// How many events the filter hides.
    pub hidden: u64,
    /// How many of those are errors.
    pub hidden_errors: u64,
    /// How many events stand below the lowest level shown.
    pub below: u64,
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

/// The texts of one event that a pattern is tried on.
fn texts(event: &LogEvent) -> impl Iterator<Item = &str> {
    std::iter::once(event.message.as_str()).chain(event.detail.iter().map(String::as_str))
}

fn same(a: &LogEvent, b: &LogEvent) -> bool {
    a.level == b.level && a.file == b.file && a.fingerprint == b.fingerprint && a.message == b.message && a.detail.last() == b.detail.last()
}

impl<'a> Merged<'a> {
    /// The sequence as the view wants it: its tab, its level, its filter.
    #[must_use]
    pub fn new(world: &'a World, view: &View) -> Self {
        let Some(tab) = tab(world, view) else { return Self::default() };
        let site_name = tab.split('/').next().unwrap_or_default();
        let shown: Vec<(&SourceId, &SourceState)> =
            logs(world).filter(|(id, _)| if tab.contains('/') { id.as_str() == tab } else { id.site() == site_name }).collect();
        let site = shown.first().map_or("", |(id, _)| id.site());
        // What is being typed narrows at once.
        let filter = match &view.prompt {
            Some(prompt) if prompt.kind == PromptKind::Filter && view.page == Page::Logs => prompt.input.value(),
            _ => view.lists.get(&Page::Logs).map_or("", |list| list.filter.as_str()),
        };
        let filter = Filter::new(filter);
        let lowest = view.log.level.unwrap_or(Level::Debug);
        let mut merged = Self { tab, site, logs: shown, ..Self::default() };
        merged.collect(&filter, lowest);
        merged
    }

    fn collect(&mut self, filter: &Filter, lowest: Level) {
        let mut all = Vec::with_capacity(self.logs.iter().filter_map(|(_, s)| s.log.as_ref()).map(|log| log.events.len()).sum());
        let mut marks: Vec<(Timestamp, &'a LogMark)> = Vec::new();
        for (source, (_, state)) in self.logs.iter().enumerate() {
            let Some(log) = &state.log else { continue };
            for (seq, event) in (log.first_seq..).zip(&log.events) {
                if event.level < lowest {
                    self.below += 1;
                } else if filter.matches(texts(event)) {
                    all.push(Entry { at: event.at, source, seq, level: event.level, count: 1, span_ms: 0 });
                } else {
                    self.hidden += 1;
                    self.hidden_errors += u64::from(event.level.is_error());
                }
            }
            // A mark stands where it came in the reading; its time there is that of the event after it.
            for (seq, mark) in &log.marks {
                let next = seq.checked_sub(log.first_seq).and_then(|at| usize::try_from(at).ok()).and_then(|at| log.events.get(at));
                marks.push((next.map_or(mark.at, |event| event.at), mark));
            }
        }
        // Stable: what a source read first stays first among equal times. Nearly sorted already, so nearly linear.
        all.sort_by_key(|entry| entry.at);
        self.fold(all);
        marks.sort_by_key(|(at, _)| *at);
        self.marks = marks.into_iter().map(|(at, mark)| MarkAt { before: self.entries.partition_point(|entry| entry.at < at), mark }).collect();
    }

    fn fold(&mut self, all: Vec<Entry>) {
        self.entries.reserve(all.len());
        for entry in all {
            if let Some(last) = self.entries.last().copied() {
                let span = (entry.at - last.at).num_milliseconds();
                if span < FOLD_MS
                    && last.source == entry.source
                    && last.level == entry.level
                    && let (Some(a), Some(b)) = (self.event(&last), self.event(&entry))
                    && same(a, b)
                    && let Some(last) = self.entries.last_mut()
                {
                    last.count = last.count.saturating_add(1);
                    last.span_ms = u32::try_from(span).unwrap_or(0);
                    continue;
                }
            }
            self.entries.push(entry);
        }
    }

    /// The state of an entry's log.
    #[must_use]
    pub fn log(&self, entry: &Entry) -> Option<&'a LogState> {
        self.logs.get(entry.source).and_then(|(_, state)| state.log.as_ref())
    }

    /// The (first) event of an entry.
    #[must_use]
    pub fn event(&self, entry: &Entry) -> Option<&'a LogEvent> {
        let log = self.log(entry)?;
        log.events.get(usize::try_from(entry.seq.checked_sub(log.first_seq)?).ok()?)
    }

    /// The key of an entry, as [`super::view::LogView`] keeps it: source id and sequence number.
    #[must_use]
    pub fn key(&self, index: usize) -> Option<(String, u64)> {
        let entry = self.entries.get(index)?;
        Some((self.logs.get(entry.source)?.0.as_str().to_owned(), entry.seq))
    }

    /// Where the selection stands: the last entry when it follows; for a key that is folded, hidden or gone the nearest one after it.
    /// `None` when there is no entry.
    #[must_use]
    pub fn position(&self, selected: Option<&(String, u64)>) -> Option<usize> {
        let last = self.entries.len().checked_sub(1)?;
        let Some((id, seq)) = selected else { return Some(last) };
        let Some(source) = self.logs.iter().position(|(other, _)| other.as_str() == id) else { return Some(last) };
        let mine = || self.entries.iter().enumerate().filter(move |(_, entry)| entry.source == source);
        mine()
            .find(|(_, entry)| entry.seq <= *seq && *seq - entry.seq < u64::from(entry.count))
            .or_else(|| mine().filter(|(_, entry)| entry.seq > *seq).min_by_key(|(_, entry)| entry.seq))
            .map_or(Some(last), |(index, _)| Some(index))
    }

    /// The next or previous entry from `from`, not itself; `None` when there is none in that direction.
    #[must_use]
    pub fn seek(&self, from: usize, what: Seek<'_>, forward: bool) -> Option<usize> {
        let fits = |index: &usize| {
            self.entries.get(*index).is_some_and(|entry| match what {
                Seek::Error => entry.level.is_error(),
                Seek::Warning => entry.level == Level::Warning,
                Seek::Match(filter) => !filter.is_empty() && self.event(entry).is_some_and(|event| filter.matches(texts(event))),
            })
        };
        if forward { (from.saturating_add(1)..self.entries.len()).find(fits) } else { (0..from.min(self.entries.len())).rev().find(fits) }
    }

    /// What to put into [`super::view::LogView::selected`] for the entry of this index: `None`, which follows, on the last one.
    #[must_use]
    pub fn select(&self, index: usize) -> Option<(String, u64)> {
        if index + 1 >= self.entries.len() { None } else { self.key(index) }
    }

    /// How many events stand below this entry.
    #[must_use]
    pub fn events_below(&self, index: usize) -> u64 {
        self.entries.iter().skip(index.saturating_add(1)).map(|entry| u64::from(entry.count)).sum()
    }
}

#[cfg(test)]
mod tests;
