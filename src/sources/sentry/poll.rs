//! One poll after the other: the first page at once, then what follows it, then what stands beside the issues; a long list is walked to its
//! end in between, so that no key and no poll waits for it.
//!
//! What does not belong here: asking (`list`, `beside`), intervals and retries (`runner`).
//!
//! A poll comes in parts ([`Cadence::More`]). All but the walk's hold all that is known, so whoever missed one has it from the next.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::beside::Beside;
use super::bounded;
use super::client::{Client, Sort};
use super::list::{LIST, PAGES, Part, Place};
use crate::domain::{Data, ErrorKind, Issue, Issues, Observation, Problem, SourceError, Timestamp};
use crate::io::clock;
use crate::sources::{BoxFuture, Cadence, Collected, Source};

/// A long list is walked to its end again after so many intervals.
const WALK_INTERVALS: u32 = 15;

/// What the next part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The list from its beginning; what a poll begins with.
    Head,
    /// What follows the very first page.
    Rest,
    /// What stands beside the issues.
    Beside,
    /// The next pages of a long list.
    Walk,
}

/// The beginning of the list as it was read last.
#[derive(Debug, Default)]
struct Head {
    items: Vec<Issue>,
    problems: Vec<Problem>,
    at: Timestamp,
    /// A page of it did not come.
    broken: bool,
    /// There is more of the list than it holds.
    long: bool,
}

/// Polls one tracker.
pub struct SentrySource {
    client: Arc<Client>,
    every: Duration,
    timeout: Duration,
    stage: Stage,
    /// The first page has not been seen yet.
    first: bool,
    head: Head,
    total: u64,
    server: &'static str,
    beside: Beside,
    /// Where the head goes on.
    next: Option<Place>,
    /// The walk that is under way.
    walk: Option<Walk>,
    walk_due: Instant,
    head_at: Instant,
    /// Ids of the whole list with the time they were last seen; only of a long one.
    listed: HashMap<String, Option<Timestamp>>,
}

/// A walk through a long list.
#[derive(Debug)]
struct Walk {
    place: Place,
    /// Issues before `place`.
    from: u64,
    /// What it came by.
    met: HashMap<String, Option<Timestamp>>,
}

impl SentrySource {
    /// One that has asked nothing yet.
    pub fn new(client: Arc<Client>, every: Duration, timeout: Duration) -> Self {
        Self {
            client,
            every,
            timeout,
            stage: Stage::Head,
            first: true,
            head: Head::default(),
            total: 0,
            server: "",
            beside: Beside::new(every),
            next: None,
            walk: None,
            walk_due: Instant::now(),
            head_at: Instant::now(),
            listed: HashMap::new(),
        }
    }

    /// Less than the runner allows, so that a part that takes too long is ended by us, who know what it was.
    fn limit(&self) -> Duration {
        self.timeout.mul_f64(0.9)
    }

    async fn head(&mut self) -> Result<Collected, SourceError> {
        self.beside.forget_refusals();
        let pages = if self.first { 1 } else { PAGES };
        let part = match bounded(self.timeout, self.client.begin(pages)).await {
            Ok(part) => part,
            Err(error) => {
                if error.kind == ErrorKind::Auth {
                    self.beside.begin_again();
                }
                return Err(error);
            }
        };
        self.head_at = Instant::now();
        self.total = 0;
        self.head = Head { at: clock::now(), ..Head::default() };
        self.take_head(part);
        let rest = std::mem::take(&mut self.first) && self.next.is_some();
        self.stage = if rest { Stage::Rest } else { self.after_head() };
        Ok(self.told())
    }

    async fn rest(&mut self) -> Collected {
        self.stage = self.after_head();
        if let Some(place) = self.next.take() {
            match tokio::time::timeout(self.limit(), self.client.go_on(place, PAGES - 1)).await {
                Ok(part) => self.take_head(part),
                Err(_) => self.head.fail(&SourceError::timeout(self.timeout)),
            }
        }
        self.stage = self.after_head();
        self.told()
    }

    fn take_head(&mut self, part: Part) {
        let Part { items, hits, problems, broken, next, server } = part;
        self.server = server.word();
        self.head.items.extend(items);
        self.head.problems.extend(problems);
        self.head.broken |= broken;
        self.head.long = next.is_some();
        self.total = self.total.max(hits).max(self.head.items.len() as u64);
        self.next = next;
        if self.head.long {
            self.prune();
        } else if !self.head.broken {
            (self.listed, self.walk) = (HashMap::new(), None);
        }
        let (listed, head, beside) = (&self.listed, &self.head, &self.beside);
        let near: HashSet<&str> = head.items.iter().chain(beside.saved().iter().flat_map(|saved| &saved.items)).map(|issue| issue.id.as_str()).collect();
        self.client.retain(|id| listed.contains_key(id) || near.contains(id));
    }

    /// By the order of the list: what was last seen after the head's end and is not in the head is in the list no more.
    fn prune(&mut self) {
        let in_order = matches!(self.client.keys.sort, None | Some(Sort::Date));
        let end = self.head.items.iter().filter_map(|issue| issue.last_seen).min();
        if let Some(end) = end.filter(|_| in_order && !self.head.broken) {
            self.listed.retain(|_, last| last.is_none_or(|last| last <= end));
        }
        self.listed.extend(self.head.items.iter().map(|issue| (issue.id.clone(), issue.last_seen)));
    }

    fn after_head(&self) -> Stage {
        if self.beside.is_due(&self.client) { Stage::Beside } else { self.after_beside() }
    }

    fn after_beside(&self) -> Stage {
        let begins = self.walk.is_none() && self.next.is_some() && self.walk_due <= Instant::now();
        // Between two parts of a walk the list's beginning is looked at when its time has come.
        if (self.walk.is_some() || begins) && self.head_at.elapsed() < self.every { Stage::Walk } else { Stage::Head }
    }

    async fn beside(&mut self) -> Collected {
        let limit = self.limit();
        self.stage = self.after_beside();
        self.beside.ask(&self.client, limit).await;
        self.told()
    }

    /// The next pages of a long list.
    async fn walk(&mut self) -> Collected {
        let walk = match (self.walk.take(), self.next.take()) {
            (Some(walk), _) => walk,
            (None, Some(place)) => Walk { place, from: self.head.items.len() as u64, met: HashMap::new() },
            (None, None) => {
                self.stage = Stage::Head;
                return self.told();
            }
        };
        self.walk_due = Instant::now() + self.every * WALK_INTERVALS;
        let Walk { place, from, mut met } = walk;
        let read = tokio::time::timeout(self.limit(), self.client.go_on(place, PAGES)).await;
        let mut part = read.unwrap_or_else(|_| Part::lost(&SourceError::timeout(self.timeout)));
        let room = LIST.saturating_sub(usize::try_from(from).unwrap_or(LIST));
        part.items.truncate(room);
        met.extend(part.items.iter().map(|issue| (issue.id.clone(), issue.last_seen)));
        self.listed.extend(part.items.iter().map(|issue| (issue.id.clone(), issue.last_seen)));
        self.total = self.total.max(part.hits);
        let mut ids = Vec::new();
        let read = part.items.len() as u64;
        if let Some(place) = part.next {
            self.walk = Some(Walk { place, from: from + read, met });
        } else if !part.broken {
            // The end: whatever was met neither here nor at the beginning is in the list no more.
            met.extend(self.head.items.iter().map(|issue| (issue.id.clone(), issue.last_seen)));
            self.listed = met;
            ids = self.listed.keys().cloned().collect();
        }
        self.stage = self.after_beside();
        if self.walk.is_none() {
            self.stage = Stage::Head;
        }
        let issues = Issues { total: self.total, items: part.items, server: self.server.to_owned(), from, ids, saved: Vec::new() };
        let mut problems = self.problems();
        problems.extend(part.problems);
        Collected { observations: vec![Observation { at: clock::now(), data: Data::Issues(issues) }], problems, complete: false }
    }

    fn problems(&self) -> Vec<Problem> {
        self.head.problems.iter().cloned().chain(self.beside.problems()).collect()
    }

    /// All that is known, but for what a walk gave.
    fn told(&self) -> Collected {
        let mut items = self.head.items.clone();
        for issue in &mut items {
            // What was changed from here since it was read.
            issue.state = self.client.state_of(&issue.id).unwrap_or(issue.state);
        }
        if let Some(releases) = self.beside.releases() {
            for issue in &mut items {
                issue.first_release = releases.that_brought(&issue.id).map(|release| release.said().to_owned());
            }
        }
        // What is not known for certain, or not yet, takes nothing away.
        let sure = self.head.long && !self.head.broken && self.stage != Stage::Rest;
        let ids = if sure { self.listed.keys().cloned().collect() } else { Vec::new() };
        let issues = Issues { total: self.total, items, server: self.server.to_owned(), from: 0, ids, saved: self.beside.saved().to_vec() };
        let mut observations = vec![Observation { at: self.head.at, data: Data::Issues(issues) }];
        observations.extend(self.beside.observations());
        let complete = !self.head.broken && !self.head.long;
        Collected { observations, problems: self.problems(), complete }
    }
}

impl Head {
    fn fail(&mut self, error: &SourceError) {
        self.problems.push(Problem { subject: "the issues after the first page".to_owned(), message: error.message.clone() });
        self.broken = true;
    }
}

impl Source for SentrySource {
    fn cadence(&self) -> Cadence {
        if self.stage == Stage::Head && (self.walk.is_none() || self.head_at.elapsed() < self.every) { Cadence::Every(self.every) } else { Cadence::More }
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(async move {
            match self.stage {
                Stage::Head => self.head().await,
                Stage::Rest => Ok(self.rest().await),
                Stage::Beside => Ok(self.beside().await),
                Stage::Walk => Ok(self.walk().await),
            }
        })
    }
}
