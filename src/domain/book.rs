//! The error book: what is kept of each group of errors from logs and mails: how often and when, an example's place, and what people said of it.
//!
//! Pure: the same news make the same book, in the journal and in a process without one. What does not belong here: telling errors apart
//! (`sources`), storing (`journal`).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{IssueState, Level, LogBatch, LogGroup};

/// Hours that are counted apart: a week.
pub const HOURS: usize = 168;
/// Below so many events an hour nothing escalates.
pub const ESCALATES_FROM: u64 = 10;
/// What is ignored comes back at so many times its own mean, unless another number was given.
pub const TIMES: u32 = 5;
/// Its own mean is known after so many seconds.
const MEAN_AFTER_S: i64 = 24 * HOUR_S;
/// A group is new for so long, in seconds.
const NEW_S: i64 = 24 * HOUR_S;
/// Until the book of a log is so old, in seconds, it learns: nothing in it is new.
pub const LEARNS_S: i64 = 24 * HOUR_S;
/// What came back is told as such for so long, in seconds.
const BACK_S: i64 = 7 * 24 * HOUR_S;
const HOUR_S: i64 = 3_600;
/// In place of a second: nobody knows when, nor whether it was counted before.
pub const UNDATED: i64 = 0;

/// What was said of a group, or what became of that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Nothing.
    #[default]
    Open,
    /// It was resolved.
    Resolved,
    /// It is ignored until it escalates.
    Ignored,
    /// It was resolved and is back.
    Regressed,
    /// It was ignored and escalated.
    Escalated,
}

/// Who said something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Who; empty: nobody, it happened.
    pub by: String,
    /// When.
    #[serde(with = "super::time::seconds")]
    pub at: DateTime<Utc>,
}

/// What a person does to a group. All of it can be taken back by another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Done with: it is back when it comes again.
    Resolve,
    /// Put aside until its events an hour are so many times its own mean.
    Ignore(u32),
    /// Open as if nothing had been said.
    Reopen,
    /// The same error as this group; what it had is kept apart.
    Merge(String),
    /// Apart again.
    Split,
}

/// Why a deed cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeedError {
    /// There is no such group.
    #[error("the error book has no group {0}")]
    Unknown(String),
    /// A group cannot be merged into itself.
    #[error("a group cannot be merged into itself")]
    Itself,
    /// It was not merged.
    #[error("{0} is not merged into another group")]
    Apart(String),
}

/// One group of errors of one log or mail box, as the book keeps it. Text is from outside, bounded, masked by `[journal] redact`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookGroup {
    /// Its id.
    pub fingerprint: String,
    /// Exception type and value, or the message; the newest.
    pub title: String,
    /// `basket/pricing.py:88 in total`, may be empty; the newest.
    #[serde(default)]
    pub culprit: String,
    /// The worst level seen.
    pub level: Level,
    /// How often in all.
    pub count: u64,
    /// By start of the hour, epoch seconds, oldest first; the hours of the last week that had any.
    #[serde(default)]
    pub hours: Vec<(i64, u64)>,
    /// First time seen.
    #[serde(with = "super::time::seconds")]
    pub first_seen: DateTime<Utc>,
    /// Last time seen.
    #[serde(with = "super::time::seconds")]
    pub last_seen: DateTime<Utc>,
    /// The version that was deployed when it was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// What was said of it.
    #[serde(default)]
    pub mark: Mark,
    /// Who said that, or when it came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
    /// Ignored until its events an hour are so many times its own mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The group it was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
}

/// When the events of one group of a batch happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Which group of the batch.
    pub fingerprint: String,
    /// What the algorithm before called it, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<String>,
    /// Second (epoch) and how many. A moment that the lines did not tell is that of reading; of lines that were there before us [`UNDATED`].
    pub times: Vec<(i64, u64)>,
}

/// The book of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// By fingerprint, also those merged into others.
    pub groups: BTreeMap<String, BookGroup>,
    /// Events up to this second (epoch) are in it.
    pub upto: Option<i64>,
    /// When it was begun.
    pub begun: Option<DateTime<Utc>>,
}

impl BookGroup {
    fn begin(group: &LogGroup, at: DateTime<Utc>, release: Option<String>) -> Self {
        Self {
            fingerprint: group.fingerprint.clone(),
            title: String::new(),
            culprit: String::new(),
            level: group.level,
            count: 0,
            hours: Vec::new(),
            first_seen: at,
            last_seen: at,
            release,
            mark: Mark::Open,
            said: None,
            times: None,
            into: None,
        }
    }

    /// Counts events at a second.
    fn count(&mut self, second: i64, count: u64) {
        let hour = second.div_euclid(HOUR_S) * HOUR_S;
        self.count += count;
        match self.hours.binary_search_by_key(&hour, |(hour, _)| *hour) {
            Ok(at) => self.hours[at].1 += count,
            Err(at) => self.hours.insert(at, (hour, count)),
        }
        if self.hours.len() > HOURS {
            self.hours.remove(0);
        }
        if let Some(at) = DateTime::from_timestamp(second, 0) {
            self.first_seen = self.first_seen.min(at);
            self.last_seen = self.last_seen.max(at);
        }
    }
}

/// Events within the hour before a second, from counts by hour: the hour before last counts by its share.
fn lately(hours: &[(i64, u64)], second: i64) -> u64 {
    let hour = second.div_euclid(HOUR_S) * HOUR_S;
    let of = |start: i64| hours.iter().find(|(hour, _)| *hour == start).map_or(0, |(_, count)| *count);
    let share = 1.0 - (second - hour) as f64 / HOUR_S as f64;
    of(hour) + (of(hour - HOUR_S) as f64 * share) as u64
}

/// Events an hour before the last two hours, over at most a week; `None`: it is not known for a day yet.
fn mean(hours: &[(i64, u64)], first_seen: i64, second: i64) -> Option<f64> {
    let end = second.div_euclid(HOUR_S) * HOUR_S - HOUR_S;
    let begin = first_seen.max(end - (HOURS.cast_signed() as i64 - 2) * HOUR_S);
    (end - begin >= MEAN_AFTER_S - 2 * HOUR_S).then(|| {
        let events: u64 = hours.iter().filter(|(hour, _)| (begin - HOUR_S..end).contains(hour)).map(|(_, count)| count).sum();
        events as f64 / ((end - begin) as f64 / HOUR_S as f64)
    })
}

/// Whether so many events an hour are an escalation.
fn escalates(hours: &[(i64, u64)], first_seen: i64, second: i64, times: u32) -> bool {
    let lately = lately(hours, second);
    lately >= ESCALATES_FROM && mean(hours, first_seen, second).is_some_and(|mean| lately as f64 > mean * f64::from(times))
}

impl Book {
    /// The group that another was merged into, or it itself.
    #[must_use]
    pub fn root<'a>(&'a self, fingerprint: &'a str) -> &'a str {
        // Merging is flat; one step more than that is a damaged row.
        match self.groups.get(fingerprint).and_then(|group| group.into.as_deref()) {
            Some(into) if self.groups.contains_key(into) => into,
            _ => fingerprint,
        }
    }

    /// The groups merged into this one.
    pub fn members<'a>(&'a self, root: &'a str) -> impl Iterator<Item = &'a BookGroup> {
        self.groups.values().filter(move |group| group.into.as_deref() == Some(root))
    }

    /// Takes a batch in; answers which groups changed. Of one that looked back only what is newer than what was known is counted, so that
    /// lines read again by another process are not counted again. `release` gives what was deployed at a moment.
    pub fn take(&mut self, batch: &LogBatch, at: DateTime<Utc>, release: impl Fn(DateTime<Utc>) -> Option<String>) -> Vec<String> {
        let after = if batch.looked_back { self.upto } else { None };
        self.begun.get_or_insert(at);
        let mut changed = Vec::new();
        for noted in &batch.book {
            let Some(news) = batch.groups.iter().find(|group| group.fingerprint == noted.fingerprint) else { continue };
            let new = |(second, count): &(i64, u64)| *count > 0 && after.is_none_or(|after| *second > after);
            let dated = |(second, count)| (if second == UNDATED { at.timestamp() } else { second }, count);
            let times: Vec<(i64, u64)> = noted.times.iter().copied().filter(new).map(dated).collect();
            let Some((first, last)) = times.iter().map(|(second, _)| *second).min().zip(times.iter().map(|(second, _)| *second).max()) else { continue };
            self.upto = self.upto.max(Some(last.min(at.timestamp())));
            let moment = |second: i64| DateTime::from_timestamp(second, 0).unwrap_or(at);
            if !self.groups.contains_key(&noted.fingerprint) {
                // Known by what the algorithm before called it: it keeps all that was kept of it.
                let known = noted.former.as_ref().and_then(|former| self.groups.remove(former).map(|group| (former.clone(), group)));
                let group = match known {
                    Some((former, mut group)) => {
                        group.fingerprint.clone_from(&noted.fingerprint);
                        for member in self.groups.values_mut().filter(|member| member.into.as_deref() == Some(&former)) {
                            member.into = Some(noted.fingerprint.clone());
                            changed.push(member.fingerprint.clone());
                        }
                        changed.push(former);
                        group
                    }
                    None => BookGroup::begin(news, moment(first), release(moment(first))),
                };
                self.groups.insert(noted.fingerprint.clone(), group);
            }
            if let Some(group) = self.groups.get_mut(&noted.fingerprint) {
                group.level = group.level.max(news.level);
                if !news.title.is_empty() {
                    group.title.clone_from(&news.title);
                    group.culprit.clone_from(&news.culprit);
                }
                for (second, count) in times {
                    group.count(second, count);
                }
            }
            changed.push(noted.fingerprint.clone());
            let root = self.root(&noted.fingerprint).to_owned();
            if self.stir(&root, last, at) {
                changed.push(root);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// What an event makes of what was said: resolved and seen again is back, ignored and far more than usual has escalated.
    fn stir(&mut self, root: &str, second: i64, at: DateTime<Utc>) -> bool {
        let hours = self.hours(root);
        let Some(group) = self.groups.get_mut(root) else { return false };
        let next = match group.mark {
            Mark::Resolved if group.said.as_ref().is_none_or(|said| second > said.at.timestamp()) => Mark::Regressed,
            Mark::Ignored if escalates(&hours, group.first_seen.timestamp(), second.min(at.timestamp()), group.times.unwrap_or(TIMES)) => Mark::Escalated,
            _ => return false,
        };
        group.mark = next;
        group.said = Some(Said { by: String::new(), at });
        true
    }

    /// Does what a person asks; answers which groups changed.
    ///
    /// # Errors
    /// When there is no such group, or the deed makes no sense of it; nothing has changed then.
    pub fn perform(&mut self, fingerprint: &str, deed: &Deed, by: &str, at: DateTime<Utc>) -> Result<Vec<String>, DeedError> {
        let known = |book: &Self, name: &str| if book.groups.contains_key(name) { Ok(()) } else { Err(DeedError::Unknown(name.to_owned())) };
        known(self, fingerprint)?;
        let said = Some(Said { by: by.to_owned(), at });
        match deed {
            Deed::Merge(into) => {
                known(self, into)?;
                let into = self.root(into).to_owned();
                if into == fingerprint {
                    return Err(DeedError::Itself);
                }
                let mut changed = Vec::new();
                for group in self.groups.values_mut().filter(|group| group.fingerprint == fingerprint || group.into.as_deref() == Some(fingerprint)) {
                    group.into = Some(into.clone());
                    group.said.clone_from(&said);
                    changed.push(group.fingerprint.clone());
                }
                Ok(changed)
            }
            Deed::Split => {
                let Some(group) = self.groups.get_mut(fingerprint).filter(|group| group.into.is_some()) else {
                    return Err(DeedError::Apart(fingerprint.to_owned()));
                };
                (group.into, group.mark, group.said) = (None, Mark::Open, said);
                Ok(vec![fingerprint.to_owned()])
            }
            Deed::Resolve | Deed::Ignore(_) | Deed::Reopen => {
                let root = self.root(fingerprint).to_owned();
                if let Some(group) = self.groups.get_mut(&root) {
                    (group.mark, group.times) = match deed {
                        Deed::Resolve => (Mark::Resolved, None),
                        Deed::Ignore(times) => (Mark::Ignored, Some((*times).max(2))),
                        _ => (Mark::Open, None),
                    };
                    group.said = said;
                }
                Ok(vec![root])
            }
        }
    }

    /// Counts by hour of a group with those merged into it.
    #[must_use]
    pub fn hours(&self, root: &str) -> Vec<(i64, u64)> {
        let mut hours: BTreeMap<i64, u64> = BTreeMap::new();
        for (hour, count) in self.groups.get(root).into_iter().chain(self.members(root)).flat_map(|group| &group.hours) {
            *hours.entry(*hour).or_default() += count;
        }
        hours.into_iter().collect()
    }

    /// How a group stands now. `deploy`: when the version that runs was deployed.
    #[must_use]
    pub fn state(&self, root: &str, deploy: Option<DateTime<Utc>>, now: DateTime<Utc>) -> IssueState {
        let Some(group) = self.groups.get(root) else { return IssueState::Ongoing };
        let said_ago = group.said.as_ref().map_or(0, |said| (now - said.at).num_seconds());
        match group.mark {
            Mark::Resolved => return IssueState::Resolved,
            Mark::Ignored => return IssueState::Archived,
            Mark::Regressed if said_ago < BACK_S => return IssueState::Regressed,
            Mark::Escalated if said_ago < NEW_S => return IssueState::Escalating,
            Mark::Open | Mark::Regressed | Mark::Escalated => {}
        }
        let first = std::iter::once(group).chain(self.members(root)).map(|group| group.first_seen).min().unwrap_or(group.first_seen);
        if self.is_new(first, deploy, now) {
            IssueState::New
        } else if escalates(&self.hours(root), first.timestamp(), now.timestamp(), TIMES) {
            IssueState::Escalating
        } else {
            IssueState::Ongoing
        }
    }

    /// Whether what was first seen then is new: within the last day, and by a book that knew what is usual: for a day, or from before
    /// the last deploy on.
    fn is_new(&self, first: DateTime<Utc>, deploy: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
        let Some(begun) = self.begun else { return false };
        let learned = (first - begun).num_seconds() >= LEARNS_S;
        let since_deploy = deploy.is_some_and(|deploy| begun < deploy && first >= deploy);
        (now - first).num_seconds() < NEW_S && (learned || since_deploy)
    }

    /// Whether it is too young to say what is new.
    #[must_use]
    pub fn learns(&self, now: DateTime<Utc>) -> bool {
        self.begun.is_none_or(|begun| (now - begun).num_seconds() < LEARNS_S)
    }
}

/// A group with all that was merged into it, as a list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown<'a> {
    /// The group that leads.
    pub group: &'a BookGroup,
    /// How often in all.
    pub count: u64,
    /// First time seen.
    pub first_seen: DateTime<Utc>,
    /// Last time seen.
    pub last_seen: DateTime<Utc>,
    /// How it stands.
    pub state: IssueState,
    /// Events by hour of the last day, oldest first.
    pub day: Vec<u64>,
    /// How many groups were merged into it.
    pub merged: usize,
}

impl Book {
    /// A group as a list shows it; `None`: not known, or merged into another.
    #[must_use]
    pub fn shown(&self, root: &str, deploy: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<Shown<'_>> {
        let group = self.groups.get(root).filter(|_| self.root(root) == root)?;
        let all = || std::iter::once(group).chain(self.groups.values().filter(|member| member.into.as_deref() == Some(root)));
        let hour = now.timestamp().div_euclid(HOUR_S);
        let mut day = vec![0; 24];
        for (start, count) in all().flat_map(|group| &group.hours) {
            let ago = hour - start.div_euclid(HOUR_S);
            if let Some(place) = usize::try_from(ago).ok().and_then(|ago| 23_usize.checked_sub(ago)) {
                day[place] += count;
            }
        }
        Some(Shown {
            group,
            count: all().map(|group| group.count).sum(),
            first_seen: all().map(|group| group.first_seen).min().unwrap_or(group.first_seen),
            last_seen: all().map(|group| group.last_seen).max().unwrap_or(group.last_seen),
            state: self.state(root, deploy, now),
            day,
            merged: all().count() - 1,
        })
    }

    /// All groups that stand for themselves, as a list shows them.
    pub fn all_shown(&self, deploy: Option<DateTime<Utc>>, now: DateTime<Utc>) -> impl Iterator<Item = Shown<'_>> {
        self.groups.keys().filter_map(move |root| self.shown(root, deploy, now))
    }

    /// Errors within an hour that begins at this second (epoch), of all groups. `None`: it is not known, because the book was begun later,
    /// or knows of nothing at all within half a day of it, when perhaps nobody read the log.
    #[must_use]
    pub fn errors_in_hour(&self, hour: i64) -> Option<u64> {
        if self.begun.is_none_or(|begun| begun.timestamp() > hour) {
            return None;
        }
        let (mut errors, mut known) = (0_u64, false);
        for group in self.groups.values() {
            let near = group.hours.partition_point(|(start, _)| *start < hour - 12 * HOUR_S);
            known |= group.hours.get(near).is_some_and(|(start, _)| *start <= hour + 12 * HOUR_S);
            if group.level.is_error()
                && let Ok(at) = group.hours.binary_search_by_key(&hour, |(start, _)| *start)
            {
                errors = errors.saturating_add(group.hours[at].1);
            }
        }
        known.then_some(errors)
    }

    /// Keeps at most so many groups: the least recent go first.
    pub fn bound(&mut self, most: usize) {
        if self.groups.len() <= most {
            return;
        }
        let mut all: Vec<(DateTime<Utc>, String)> = self.groups.values().map(|group| (group.last_seen, group.fingerprint.clone())).collect();
        all.sort_unstable();
        let over = self.groups.len() - most;
        for (_, fingerprint) in all.into_iter().take(over) {
            self.groups.remove(&fingerprint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_763_600_400;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn batch(fingerprint: &str, times: &[(i64, u64)], looked_back: bool) -> LogBatch {
        let group = LogGroup {
            fingerprint: fingerprint.to_owned(),
            title: format!("KeyError: {fingerprint}"),
            culprit: "basket/pricing.py:88 in total".to_owned(),
            level: Level::Error,
            count: times.iter().map(|(_, count)| count).sum(),
            first_seen: at(T0),
            last_seen: at(T0),
        };
        let noted = Noted { fingerprint: fingerprint.to_owned(), former: None, times: times.to_vec() };
        LogBatch { groups: vec![group], book: vec![noted], looked_back, ..LogBatch::default() }
    }

    fn none(_: DateTime<Utc>) -> Option<String> {
        None
    }

    #[test]
    fn the_errors_of_an_hour_are_known_where_the_log_was_read_about_then() {
        let book = settled();
        let of = |ago: i64| book.errors_in_hour((T0.div_euclid(HOUR_S) - ago) * HOUR_S);
        assert_eq!((of(1), of(24), of(48)), (Some(1), Some(1), Some(1)));
        assert_eq!(of(24 * 9), None, "before it was begun");
        let mut gone = book.clone();
        gone.groups.clear();
        assert_eq!(gone.errors_in_hour((T0.div_euclid(HOUR_S) - 1) * HOUR_S), None, "nobody may have read it");
    }

    /// A book that was begun three days before and knows group `a`, once an hour since.
    fn settled() -> Book {
        let mut book = Book { begun: Some(at(T0 - 3 * 86_400)), ..Book::default() };
        for hour in (0..72).rev() {
            let second = T0 - hour * HOUR_S;
            book.take(&batch("a", &[(second, 1)], false), at(second), none);
        }
        book
    }

    #[test]
    fn lines_read_again_are_counted_once() {
        let mut book = Book::default();
        book.take(&batch("a", &[(T0, 2), (T0 + 5, 1)], true), at(T0 + 6), none);
        assert_eq!(book.groups["a"].count, 3);
        // Another process looks back over the same lines, and one more.
        book.take(&batch("a", &[(UNDATED, 7), (T0, 2), (T0 + 5, 1), (T0 + 9, 1)], true), at(T0 + 10), none);
        assert_eq!(book.groups["a"].count, 4);
        // What is followed live is counted as it comes, also several within a second.
        book.take(&batch("a", &[(T0 + 9, 2)], false), at(T0 + 10), none);
        assert_eq!(book.groups["a"].count, 6);
        let mut fresh = Book::default();
        fresh.take(&batch("a", &[(UNDATED, 7)], true), at(T0 + 10), none);
        assert_eq!((fresh.groups["a"].count, fresh.groups["a"].last_seen), (7, at(T0 + 10)));
    }

    #[test]
    fn nothing_is_new_while_the_book_learns_but_what_came_with_a_deploy() {
        let mut book = Book::default();
        book.take(&batch("a", &[(T0, 1)], false), at(T0), none);
        assert!(book.learns(at(T0 + 60)));
        assert_eq!(book.state("a", None, at(T0 + 60)), IssueState::Ongoing);
        book.take(&batch("b", &[(T0 + 600, 1)], false), at(T0 + 600), |_| Some("1.4.2".to_owned()));
        assert_eq!(book.state("b", Some(at(T0 + 300)), at(T0 + 700)), IssueState::New);
        assert_eq!(book.groups["b"].release.as_deref(), Some("1.4.2"));
        let mut settled = settled();
        settled.take(&batch("c", &[(T0 + 10, 1)], false), at(T0 + 10), none);
        assert_eq!(settled.state("c", None, at(T0 + 60)), IssueState::New);
        assert_eq!(settled.state("a", None, at(T0 + 60)), IssueState::Ongoing);
        assert_eq!(settled.state("c", None, at(T0 + 60 + 86_400)), IssueState::Ongoing);
    }

    #[test]
    fn resolved_and_seen_again_is_back() {
        let mut book = settled();
        book.perform("a", &Deed::Resolve, "ana", at(T0 + 10)).unwrap();
        assert_eq!(book.state("a", None, at(T0 + 11)), IssueState::Resolved);
        // A line of before that comes late does not bring it back.
        book.take(&batch("a", &[(T0 + 9, 1)], false), at(T0 + 12), none);
        assert_eq!(book.state("a", None, at(T0 + 13)), IssueState::Resolved);
        book.take(&batch("a", &[(T0 + 20, 1)], false), at(T0 + 20), none);
        assert_eq!(book.state("a", None, at(T0 + 21)), IssueState::Regressed);
        book.perform("a", &Deed::Reopen, "ana", at(T0 + 30)).unwrap();
        assert_eq!(book.state("a", None, at(T0 + 31)), IssueState::Ongoing);
    }

    #[test]
    fn ignored_comes_back_when_it_escalates() {
        let mut book = settled();
        book.perform("a", &Deed::Ignore(20), "ana", at(T0 + 1)).unwrap();
        book.take(&batch("a", &[(T0 + 60, 12)], false), at(T0 + 60), none);
        assert_eq!(book.state("a", None, at(T0 + 61)), IssueState::Archived);
        book.take(&batch("a", &[(T0 + 90, 12)], false), at(T0 + 90), none);
        assert_eq!(book.state("a", None, at(T0 + 91)), IssueState::Escalating);
        // One that nobody spoke of escalates at the usual times its mean.
        let mut open = settled();
        open.take(&batch("a", &[(T0 + 60, 12)], false), at(T0 + 60), none);
        assert_eq!(open.state("a", None, at(T0 + 61)), IssueState::Escalating);
    }

    #[test]
    fn merged_groups_are_one_and_can_be_split_off_again() {
        let mut book = settled();
        book.take(&batch("b", &[(T0 + 5, 4)], false), at(T0 + 5), none);
        book.take(&batch("c", &[(T0 + 5, 1)], false), at(T0 + 5), none);
        book.perform("c", &Deed::Merge("b".into()), "ana", at(T0 + 6)).unwrap();
        book.perform("b", &Deed::Merge("a".into()), "ana", at(T0 + 6)).unwrap();
        let shown = book.shown("a", None, at(T0 + 7)).unwrap();
        assert_eq!((shown.count, shown.merged, shown.last_seen, shown.day[23]), (77, 2, at(T0 + 5), 6));
        assert!(book.shown("c", None, at(T0 + 7)).is_none());
        book.perform("a", &Deed::Resolve, "ana", at(T0 + 8)).unwrap();
        book.take(&batch("c", &[(T0 + 9, 1)], false), at(T0 + 9), none);
        assert_eq!(book.state("a", None, at(T0 + 10)), IssueState::Regressed);
        book.perform("c", &Deed::Split, "ana", at(T0 + 11)).unwrap();
        assert_eq!(book.shown("c", None, at(T0 + 12)).unwrap().count, 2);
        assert_eq!(book.shown("a", None, at(T0 + 12)).unwrap().count, 76);
        assert_eq!(book.perform("c", &Deed::Split, "ana", at(T0 + 11)), Err(DeedError::Apart("c".into())));
        assert_eq!(book.perform("a", &Deed::Merge("b".into()), "ana", at(T0 + 11)), Err(DeedError::Itself));
        assert_eq!(book.perform("x", &Deed::Resolve, "ana", at(T0 + 11)), Err(DeedError::Unknown("x".into())));
    }

    #[test]
    fn a_group_of_the_algorithm_before_keeps_its_history() {
        let mut book = settled();
        book.perform("a", &Deed::Resolve, "ana", at(T0 + 1)).unwrap();
        let mut news = batch("a2", &[(T0 + 60, 1)], false);
        news.book[0].former = Some("a".to_owned());
        assert_eq!(book.take(&news, at(T0 + 60), none), ["a", "a2"]);
        assert_eq!((book.groups.len(), book.groups["a2"].count), (1, 73));
        assert_eq!(book.state("a2", None, at(T0 + 61)), IssueState::Regressed);
    }
}
