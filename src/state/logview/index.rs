//! The sequence of the logs page, kept between frames: each event is looked at once when it comes, and again only when a pattern changes.
//!
//! A key or a frame then costs what is on the screen, and a flood costs what came, not what is in memory. What does not belong here:
//! moving in the sequence ([`super::Merged`]), how a line looks.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::filters::{Filters, Passes, texts};
use crate::domain::{Level, LogEvent, SourceId, Timestamp};
use crate::state::view::LogView;
use crate::state::{Filter, LogState, PromptKind, SourceState, View};

/// Equal neighbours this close to the first of them are one entry.
const FOLD_MS: i64 = 1_000;

/// One entry of the sequence: an event, or several equal ones within a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// When the first of them was written.
    pub at: Timestamp,
    /// Index into [`super::Merged::logs`].
    pub source: usize,
    /// Sequence number of the first of them in its source.
    pub seq: u64,
    /// Sequence number of the last of them.
    pub last_seq: u64,
    /// Its level.
    pub level: Level,
    /// How many there are.
    pub count: u32,
    /// From the first to the last of them, in milliseconds.
    pub span_ms: u32,
    /// It passes no filter and stands here for what is around it.
    pub context: bool,
    /// It is one of those that are searched for.
    pub found: bool,
}

/// One event, with what the patterns said of it.
#[derive(Debug, Clone, Copy)]
struct Item {
    at: Timestamp,
    seq: u64,
    /// Of all that makes two events the same one.
    same: u64,
    source: u16,
    file: u16,
    level: Level,
    passes: Passes,
    found: bool,
}

/// What a sequence is made for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Key {
    logs: Vec<SourceId>,
    patterns: Vec<String>,
    search: String,
    lowest: Option<Level>,
    context: usize,
    cleared: Option<Timestamp>,
    files_off: BTreeSet<(String, String)>,
}

impl Key {
    /// For these logs as the reader wants them; what is being typed counts at once.
    pub fn new(logs: &[(&SourceId, &SourceState)], view: &View) -> Self {
        let log = &view.log;
        let typed = view.prompt.as_ref().map(|prompt| (prompt.kind, prompt.input.value()));
        let mut patterns: Vec<String> = kept(log).map(|(_, text)| text.to_owned()).collect();
        if let Some((PromptKind::LogFilter, text)) = typed {
            patterns.push(text.to_owned());
        }
        let search = match typed {
            Some((PromptKind::Search, text)) => text,
            _ => log.search.as_str(),
        };
        Self {
            logs: logs.iter().map(|(id, _)| (*id).clone()).collect(),
            patterns,
            search: search.to_owned(),
            lowest: log.level,
            context: usize::from(log.context),
            cleared: log.cleared,
            files_off: log.files_off.clone(),
        }
    }
}

/// The patterns in force, with their places in the list; without the one that is being changed.
fn kept(log: &LogView) -> impl Iterator<Item = (usize, &str)> {
    log.filters.iter().enumerate().filter(|(at, filter)| filter.on && log.editing != Some(*at)).map(|(at, filter)| (at, filter.text.as_str()))
}

/// How much of one log is in the sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Progress {
    /// A source that was built anew counts from the beginning.
    watched_since: Option<Timestamp>,
    first: u64,
    next: u64,
    files: usize,
    /// Of the pages that were read back, and what is left of what the ring pushed out.
    back: Option<(u64, u64)>,
}

impl Progress {
    fn of(log: Option<&LogState>) -> Self {
        let Some(log) = log else { return Self::default() };
        Self {
            watched_since: log.watched_since,
            first: log.first_seq,
            next: log.next_seq(),
            files: log.files.len(),
            back: log.back.as_ref().map(|back| (back.revision(), back.spill_first())),
        }
    }

    /// Whether what was taken in so far is still right, up to events that were pushed out.
    fn continues(self, before: Self) -> bool {
        let pages = self.back.map(|(revision, _)| revision) == before.back.map(|(revision, _)| revision);
        self.watched_since == before.watched_since && self.first >= before.first && self.next >= before.next && pages
    }
}

/// The sequence.
#[derive(Debug, Clone, Default)]
pub struct Index {
    key: Key,
    progress: Vec<Progress>,
    /// By time, then as they were read.
    items: Vec<Item>,
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// Events that patterns hide.
    pub hidden: u64,
    /// How many of those are errors.
    pub hidden_errors: u64,
    /// Events below the lowest level shown.
    pub below: u64,
    /// Events above the place from which was cleared.
    pub cleared: u64,
    /// Events of files that are switched off.
    pub elsewhere: u64,
    /// Events of the entries.
    pub shown: u64,
    /// Entries that are searched for.
    pub found: usize,
}

fn same(event: &LogEvent) -> u64 {
    let mut hasher = DefaultHasher::new();
    (event.level, event.file, &event.fingerprint, &event.message, event.detail.last()).hash(&mut hasher);
    hasher.finish()
}

/// What the patterns are, ready to match.
struct Patterns {
    filters: Filters,
    search: Filter,
}

impl Patterns {
    fn of(key: &Key) -> Self {
        Self { filters: Filters::new(key.patterns.iter().map(String::as_str)), search: Filter::new(&key.search) }
    }

    fn found(&self, event: &LogEvent) -> bool {
        !self.search.is_empty() && self.search.matches(texts(event))
    }

    fn item(&self, source: usize, seq: u64, event: &LogEvent) -> Item {
        Item {
            at: event.at,
            seq,
            same: same(event),
            source: u16::try_from(source).unwrap_or(u16::MAX),
            file: event.file,
            level: event.level,
            passes: self.filters.passes(event),
            found: self.found(event),
        }
    }
}

impl Index {
    /// Whether it is the sequence of these logs for this key.
    pub fn is_of(&self, key: &Key, logs: &[(&SourceId, &SourceState)]) -> bool {
        self.key == *key
            && self.progress.len() == logs.len()
            && logs.iter().zip(&self.progress).all(|((_, state), known)| Progress::of(state.log.as_ref()) == *known)
    }

    /// Makes it so, with as little looking as that needs.
    pub fn follow(&mut self, key: Key, logs: &[(&SourceId, &SourceState)]) {
        let now: Vec<Progress> = logs.iter().map(|(_, state)| Progress::of(state.log.as_ref())).collect();
        let patterns = Patterns::of(&key);
        if self.key.logs == key.logs && now.len() == self.progress.len() && now.iter().zip(&self.progress).all(|(now, before)| now.continues(*before)) {
            self.go_on(&key, &now, logs, &patterns);
        } else {
            self.items.clear();
            self.take(&vec![0; logs.len()], logs, &patterns);
        }
        self.key = key;
        self.progress = now;
        self.fold(logs);
    }

    fn go_on(&mut self, key: &Key, now: &[Progress], logs: &[(&SourceId, &SourceState)], patterns: &Patterns) {
        let log = |item: &Item| logs.get(usize::from(item.source)).and_then(|(_, state)| state.log.as_ref());
        if now.iter().zip(&self.progress).any(|(now, before)| now.first > before.first) {
            self.items.retain(|item| log(item).is_some_and(|log| log.event(item.seq).is_some()));
        }
        let (filters, search) = (self.key.patterns != key.patterns, self.key.search != key.search);
        if filters || search {
            for item in &mut self.items {
                let Some(event) = log(item).and_then(|log| log.event(item.seq)) else { continue };
                if filters {
                    item.passes = patterns.filters.passes(event);
                }
                if search {
                    item.found = patterns.found(event);
                }
            }
        }
        let from: Vec<u64> = self.progress.iter().map(|before| before.next).collect();
        self.take(&from, logs, patterns);
    }

    /// Takes in the events of each log from a sequence number on.
    fn take(&mut self, from: &[u64], logs: &[(&SourceId, &SourceState)], patterns: &Patterns) {
        let order = |item: &Item| (item.at, item.source, item.seq);
        let before = self.items.len();
        for (source, ((_, state), from)) in logs.iter().zip(from).enumerate() {
            let Some(log) = &state.log else { continue };
            self.items.extend(log.events_from(*from).map(|(seq, event)| patterns.item(source, seq, event)));
        }
        let sorted = self.items[before.saturating_sub(1)..].is_sorted_by_key(order);
        if !sorted {
            // Two runs, each nearly sorted: this is nearly linear.
            self.items.sort_by_key(order);
        }
    }

    /// Makes the entries of the items: which are shown, and which are the same one.
    fn fold(&mut self, logs: &[(&SourceId, &SourceState)]) {
        (self.hidden, self.hidden_errors, self.below, self.cleared, self.elsewhere, self.shown, self.found) = (0, 0, 0, 0, 0, 0, 0);
        self.entries.clear();
        let off: Vec<Vec<bool>> = logs
            .iter()
            .map(|(id, state)| {
                let files = state.log.iter().flat_map(|log| &log.files);
                files.map(|file| self.key.files_off.contains(&(id.as_str().to_owned(), file.clone()))).collect()
            })
            .collect();
        let lowest = self.key.lowest.unwrap_or(Level::Debug);
        let near = self.near(lowest, &off);
        let mut last_same = 0;
        for (place, item) in self.items.iter().enumerate() {
            let source = usize::from(item.source);
            if self.key.cleared.is_some_and(|from| item.at < from) {
                self.cleared += 1;
                continue;
            }
            if is_off(&off, item) {
                self.elsewhere += 1;
                continue;
            }
            let passes = item.level >= lowest && item.passes == Passes::Yes;
            if !passes && !near.get(place).copied().unwrap_or(false) {
                if item.level < lowest {
                    self.below += 1;
                } else {
                    self.hidden += 1;
                    self.hidden_errors += u64::from(item.level.is_error());
                }
                continue;
            }
            self.shown += 1;
            if let Some(last) = self.entries.last_mut() {
                let span = (item.at - last.at).num_milliseconds();
                if span < FOLD_MS && last.source == source && last.context != passes && last_same == item.same {
                    last.count = last.count.saturating_add(1);
                    last.last_seq = last.last_seq.max(item.seq);
                    last.span_ms = u32::try_from(span).unwrap_or(0);
                    continue;
                }
            }
            last_same = item.same;
            self.found += usize::from(item.found);
            self.entries.push(Entry {
                at: item.at,
                source,
                seq: item.seq,
                last_seq: item.seq,
                level: item.level,
                count: 1,
                span_ms: 0,
                context: !passes,
                found: item.found,
            });
        }
    }

    /// Which items stand within the wanted number of events around one that passes; empty when none are wanted. What was asked to be
    /// hidden is neither shown nor counted.
    fn near(&self, lowest: Level, off: &[Vec<bool>]) -> Vec<bool> {
        let around = self.key.context;
        if around == 0 {
            return Vec::new();
        }
        let mut near = vec![false; self.items.len()];
        let passing = |item: &Item| item.passes == Passes::Yes && item.level >= lowest;
        let barred = |item: &Item| item.passes == Passes::Excluded || is_off(off, item) || self.key.cleared.is_some_and(|from| item.at < from);
        let mut pass = |places: &mut dyn Iterator<Item = usize>| {
            let mut left = 0usize;
            for place in places {
                let item = &self.items[place];
                if barred(item) {
                    continue;
                }
                if passing(item) {
                    left = around;
                } else if left > 0 {
                    near[place] = true;
                    left -= 1;
                }
            }
        };
        pass(&mut (0..self.items.len()));
        pass(&mut (0..self.items.len()).rev());
        near
    }
}

/// Whether the event is of a file that is switched off.
fn is_off(off: &[Vec<bool>], item: &Item) -> bool {
    off.get(usize::from(item.source)).and_then(|files| files.get(usize::from(item.file))).copied().unwrap_or(false)
}
