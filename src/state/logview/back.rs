//! Events of a log that are older than those in its ring: pages that were read back on demand, nearest first, in bounded memory.
//!
//! A page is known by what it was asked with, so that one that was let go of can be asked for again. Numbers of events go on downward
//! from the ring's. What does not belong here: reading (the source does), when to ask (`act`).

use std::collections::{BTreeMap, VecDeque};

use crate::domain::{LogEvent, LogFrom, LogPast, LogQuery, Timestamp};
use crate::state::LogState;

/// Events read back that are in memory at once, and their bytes. What is farthest from the reader goes first.
const EVENTS: usize = 20_000;
const BYTES: usize = 16 << 20;
/// Events that were pushed out of the ring while the reader is above them.
const SPILL: usize = 5_000;
/// Pages whose place is remembered.
const CURSORS: usize = 20_000;
/// Minutes whose counts are kept.
const MINUTES: usize = 10_080;

/// How a page is asked for, and the number after its newest event.
#[derive(Debug, Clone, PartialEq)]
struct Cursor {
    from: Vec<LogFrom>,
    limit: usize,
    end: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct Page {
    first: u64,
    events: Vec<LogEvent>,
    bytes: usize,
}

/// Which way one goes on reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To older events.
    Older,
    /// To those between the pages and the ring that were let go of.
    Newer,
}

/// What is not in memory between two events that are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The time of the last event above it.
    pub after: Timestamp,
    /// How many events.
    pub events: u64,
    /// Whether they can be read again.
    pub readable: bool,
}

/// What was read back of one log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogBack {
    cursors: Vec<Cursor>,
    /// Nearest to the ring first.
    pages: VecDeque<Page>,
    /// The number of the first of them.
    nearest: usize,
    reading: Option<usize>,
    /// How many pages there are, once that is known.
    bottom: Option<usize>,
    spill: VecDeque<LogEvent>,
    spill_first: u64,
    minutes: BTreeMap<i64, [u64; 5]>,
    counted: usize,
    revision: u64,
}

fn bytes_of(event: &LogEvent) -> usize {
    size_of::<LogEvent>() + event.message.len() + event.detail.iter().map(|line| line.len() + size_of::<String>()).sum::<usize>()
}

impl LogBack {
    /// Begins above the ring of a log.
    #[must_use]
    pub fn above(log: &LogState) -> Self {
        let mut oldest: BTreeMap<u16, &LogEvent> = BTreeMap::new();
        for event in &log.events {
            oldest.entry(event.file).or_insert(event);
        }
        let name = |file: &u16| log.files.get(usize::from(*file)).cloned();
        let from = oldest.iter().filter_map(|(file, event)| Some(LogFrom { file: name(file)?, place: event.place, at: Some(event.at) })).collect();
        Self {
            cursors: vec![Cursor { from, limit: 0, end: log.first_seq }],
            pages: VecDeque::new(),
            nearest: 0,
            reading: None,
            bottom: None,
            spill: VecDeque::new(),
            spill_first: log.first_seq,
            minutes: BTreeMap::new(),
            counted: 0,
            revision: 0,
        }
    }

    /// Whether a page is under way.
    #[must_use]
    pub const fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Whether there is nothing older than what was read.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.bottom.is_some()
    }

    /// Changes whenever pages come or go.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The number of the oldest event that was pushed out of the ring and is still there.
    #[must_use]
    pub const fn spill_first(&self) -> u64 {
        self.spill_first
    }

    /// What to ask for next in this direction, with at most `limit` events; `None`: nothing is to be had there, or a page is under way.
    pub fn ask(&mut self, way: Way, limit: usize, files: &[String]) -> Option<LogQuery> {
        if self.reading.is_some() {
            return None;
        }
        let nth = match way {
            Way::Older => self.nearest + self.pages.len(),
            Way::Newer => self.nearest.checked_sub(1)?,
        };
        if self.bottom.is_some_and(|bottom| nth >= bottom) || nth >= CURSORS {
            return None;
        }
        let last = nth + 1 == self.cursors.len();
        let cursor = self.cursors.get_mut(nth)?;
        if last && nth >= self.counted {
            cursor.limit = limit;
        }
        self.reading = Some(nth);
        Some(LogQuery { files: files.to_vec(), from: cursor.from.clone(), limit: cursor.limit, ..LogQuery::default() })
    }

    /// Takes a page in; `false`: it is not the one that was asked for.
    pub fn take(&mut self, query: &LogQuery, past: LogPast, files: &[String]) -> bool {
        let Some(nth) = self.reading else { return false };
        let Some(cursor) = self.cursors.get(nth).filter(|cursor| cursor.from == query.from && cursor.limit == query.limit) else { return false };
        let end = cursor.end;
        self.reading = None;
        self.revision += 1;
        let mut events = past.events;
        // The numbers of a page end where those of the one below it begin.
        let over = events.len().saturating_sub(usize::try_from(end).unwrap_or(usize::MAX));
        events.drain(..over);
        for event in &mut events {
            let name = past.files.get(usize::from(event.file));
            let place = name.and_then(|name| files.iter().position(|known| known == name));
            event.file = place.and_then(|place| u16::try_from(place).ok()).unwrap_or(u16::MAX);
        }
        let first = end - events.len() as u64;
        let newest_cursor = nth + 1 == self.cursors.len();
        if events.is_empty() && newest_cursor {
            // Nothing yet: reading goes on from where it stopped.
            match past.next {
                Some(next) => self.cursors[nth].from = next,
                None => self.bottom = Some(nth),
            }
            return true;
        }
        if newest_cursor {
            match past.next {
                Some(next) => self.cursors.push(Cursor { from: next, limit: query.limit, end: first }),
                None => self.bottom = Some(nth + 1),
            }
        }
        if nth >= self.counted {
            self.counted = nth + 1;
            for event in &events {
                let minute = event.at.timestamp().div_euclid(60) * 60;
                let counts = self.minutes.entry(minute).or_default();
                counts[event.level as usize] = counts[event.level as usize].saturating_add(1);
            }
            while self.minutes.len() > MINUTES {
                self.minutes.pop_last();
            }
        }
        let page = Page { first, bytes: events.iter().map(bytes_of).sum(), events };
        if self.pages.is_empty() || nth == self.nearest + self.pages.len() {
            if self.pages.is_empty() {
                self.nearest = nth;
            }
            self.pages.push_back(page);
            while self.is_full() {
                self.pages.pop_front();
                self.nearest += 1;
            }
        } else if nth + 1 == self.nearest {
            self.pages.push_front(page);
            self.nearest = nth;
            while self.is_full() {
                self.pages.pop_back();
            }
        }
        true
    }

    /// The page that was asked for does not come.
    pub fn give_up(&mut self, query: &LogQuery, for_good: bool) -> bool {
        let mine = self.reading.filter(|nth| self.cursors.get(*nth).is_some_and(|cursor| cursor.from == query.from));
        if let Some(nth) = mine {
            self.reading = None;
            if for_good {
                self.bottom = Some(nth);
            }
        }
        mine.is_some()
    }

    fn is_full(&self) -> bool {
        let sum = |of: fn(&Page) -> usize| self.pages.iter().map(of).sum::<usize>();
        self.pages.len() > 1 && (sum(|page| page.events.len()) > EVENTS || sum(|page| page.bytes) > BYTES)
    }

    /// An event was pushed out of the ring: it stays while the reader is above it.
    pub fn spill(&mut self, event: LogEvent) {
        self.spill.push_back(event);
        if self.spill.len() > SPILL {
            self.spill.pop_front();
            self.spill_first += 1;
        }
    }

    /// Goes on with a ring that moved meanwhile, as after a pause.
    pub fn go_on(&mut self, log: &LogState) {
        if log.first_seq != self.spill_first + self.spill.len() as u64 {
            self.spill.clear();
            self.spill_first = log.first_seq;
        }
        self.reading = None;
        self.revision += 1;
    }

    /// The event of this number, while it is in memory.
    #[must_use]
    pub fn event(&self, seq: u64) -> Option<&LogEvent> {
        if let Some(at) = seq.checked_sub(self.spill_first) {
            return self.spill.get(usize::try_from(at).ok()?);
        }
        let page = self.pages.iter().find(|page| page.first <= seq)?;
        page.events.get(usize::try_from(seq - page.first).ok()?)
    }

    /// The events in memory from this number on, oldest first, with their numbers.
    pub fn events_from(&self, seq: u64) -> impl Iterator<Item = (u64, &LogEvent)> {
        let pages = self.pages.iter().rev().filter(move |page| page.first + page.events.len() as u64 > seq).flat_map(|page| (page.first..).zip(&page.events));
        let spill = (self.spill_first..).zip(&self.spill);
        pages.chain(spill).filter(move |(number, _)| *number >= seq)
    }

    /// The time of the oldest event that was read back.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.pages.back()?.events.iter().map(|event| event.at).min()
    }

    /// Events read back, by minute and level.
    #[must_use]
    pub const fn minutes(&self) -> &BTreeMap<i64, [u64; 5]> {
        &self.minutes
    }

    /// What is missing between the pages and the ring.
    #[must_use]
    pub fn gap(&self) -> Option<Gap> {
        let after = self.pages.front()?.events.last()?.at;
        let end = self.cursors.get(self.nearest)?.end;
        let events = self.spill_first.saturating_sub(end);
        (events > 0).then_some(Gap { after, events, readable: self.nearest > 0 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Level;

    fn event(n: u64) -> LogEvent {
        let at = Timestamp::from_timestamp(1_000_000 + n.cast_signed(), 0).unwrap();
        LogEvent { at, level: Level::Info, file: 0, message: format!("line {n}"), detail: Vec::new(), fingerprint: None, place: None }
    }

    /// The file holds lines 0..n; this is what its reader answers.
    fn page(query: &LogQuery) -> LogPast {
        let end = query.from[0].at.unwrap().timestamp().cast_unsigned() - 1_000_000;
        let first = end.saturating_sub(query.limit as u64);
        let next = (first > 0).then(|| vec![LogFrom { file: "a".to_owned(), place: None, at: Some(event(first).at) }]);
        LogPast { events: (first..end).map(event).collect(), files: query.files.clone(), next, ..LogPast::default() }
    }

    /// A ring that begins with the line of this number.
    fn ring(first: u64) -> LogState {
        LogState { files: vec!["a".to_owned()], first_seq: (1 << 32) + first, events: [event(first)].into(), ..LogState::default() }
    }

    fn held(back: &LogBack) -> Vec<u64> {
        back.events_from(0).map(|(seq, _)| seq - (1 << 32)).collect()
    }

    #[test]
    fn pages_come_go_and_come_again_with_the_same_numbers() {
        let log = ring(60_000);
        let mut back = LogBack::above(&log);
        while !back.is_ended() {
            let query = back.ask(Way::Older, 4_000, &log.files).unwrap();
            assert!(back.ask(Way::Older, 4_000, &log.files).is_none(), "one at a time");
            assert!(back.take(&query, page(&query), &log.files));
            assert!(held(&back).len() <= EVENTS);
        }
        assert_eq!(held(&back).first(), Some(&0));
        assert!(back.gap().is_some_and(|gap| gap.readable && gap.events == 40_000));
        assert!(back.ask(Way::Older, 4_000, &log.files).is_none());
        while back.gap().is_some() {
            let query = back.ask(Way::Newer, 500, &log.files).unwrap();
            assert!(back.take(&query, page(&query), &log.files));
            assert!(held(&back).len() <= EVENTS);
            assert!(back.events_from(0).all(|(seq, line)| line.message == format!("line {}", seq - (1 << 32))));
        }
        assert_eq!(held(&back).last(), Some(&59_999));
        // And back once more, although the end was seen.
        assert!(back.ask(Way::Older, 500, &log.files).is_some());
    }

    #[test]
    fn an_empty_page_is_gone_on_from_and_a_wrong_one_ignored() {
        let log = ring(10);
        let mut back = LogBack::above(&log);
        let query = back.ask(Way::Older, 5, &log.files).unwrap();
        let next = vec![LogFrom { file: "a".to_owned(), place: None, at: Some(event(5).at) }];
        assert!(back.take(&query, LogPast { next: Some(next.clone()), ..LogPast::default() }, &log.files));
        assert!(!back.take(&query, page(&query), &log.files));
        let query = back.ask(Way::Older, 5, &log.files).unwrap();
        assert_eq!(query.from, next);
        assert!(back.give_up(&query, true) && back.is_ended());
    }

    proptest! {
        #[test]
        fn what_is_held_is_in_order_and_found_by_its_number(steps in prop::collection::vec((any::<bool>(), 1usize..3_000, 0u64..300), 1..40)) {
            let mut log = ring(50_000);
            let mut back = LogBack::above(&log);
            for (older, limit, spilled) in steps {
                if let Some(query) = back.ask(if older { Way::Older } else { Way::Newer }, limit, &log.files) {
                    prop_assert!(back.take(&query, page(&query), &log.files));
                }
                for _ in 0..spilled {
                    back.spill(event(log.first_seq - (1 << 32)));
                    log.first_seq += 1;
                }
                let all: Vec<(u64, &LogEvent)> = back.events_from(0).collect();
                prop_assert!(all.is_sorted_by_key(|(seq, _)| *seq));
                prop_assert!(all.len() <= EVENTS + SPILL + 3_000);
                for (seq, line) in all {
                    prop_assert_eq!(back.event(seq), Some(line));
                    prop_assert_eq!(&line.message, &format!("line {}", seq - (1 << 32)));
                }
            }
        }
    }
}
