//! One audit of a set of packages: OSV is asked, else the index's own list, else what was said last; then each package is judged.
//! Nobody's answer is never taken for "no weakness": such a package stays unaudited, and why is said.
//!
//! What does not belong here: asking (`client`, `indexes::client`), judging one package (`judge`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::DateTime;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::client::{Osv, Query, Said};
use super::judge::{Ignore, Judged, Release, Subject, judge};
use super::listed;
use super::record::Record;
use super::store::{Answered, Store, key};
use crate::domain::time::{human, since};
use crate::domain::{Package, Packages, Problem, SourceError, Timestamp};
use crate::io::clock;
use crate::packages::ecosystem::Ecosystem;
use crate::packages::indexes::client::{Asker, Index};

/// Packages that are asked about at one time; how many of them go to a server at once is for the client to say.
const PARALLEL: usize = 64;
/// So many releases that an index has no list for, and none that it has: it keeps none.
const NO_LIST: usize = 4;
/// How often a cure is asked about in turn.
const ROUNDS: usize = 3;

/// Who is asked, and what is borne.
#[derive(Debug)]
pub struct Auditor {
    /// Whose packages.
    pub ecosystem: Ecosystem,
    /// OSV, unless it is switched off.
    pub osv: Option<Osv>,
    /// What is borne.
    pub ignores: Vec<Ignore>,
    /// An answer younger than this is not asked for again.
    pub fresh: Duration,
    /// What was said last.
    pub store: Arc<Store>,
    /// Who asks: the source's id.
    pub source: String,
}

/// The index's own list, where it may be asked.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Asks.
    pub asker: Arc<Asker>,
    /// Is asked.
    pub index: Index,
}

/// What is known beside the packages themselves.
pub struct Beside<'a> {
    /// What is out, by name.
    pub releases: &'a (dyn Fn(&str) -> Vec<Release> + Sync),
    /// From an address, a repository or a folder: nobody knows these.
    pub elsewhere: &'a HashSet<String>,
    /// The fallback.
    pub listed: Option<Listed>,
}

/// Records by the version they are about, and when the oldest answer was given.
type ByVersion = (HashMap<Query, Vec<Arc<Record>>>, Option<i64>);

/// What was said of the versions that are there.
#[derive(Debug)]
pub enum First {
    /// By OSV.
    Osv(Said),
    /// By the index's own list.
    Listed(ByVersion),
    /// Nobody was asked.
    Nobody,
}

/// The version that weaknesses are known by: a build of one's own has those of what it was made of.
fn query(package: &Package, ecosystem: Ecosystem) -> Option<Query> {
    let version = package.current()?.trim();
    ecosystem.compare(version, version)?;
    let version = if ecosystem == Ecosystem::PyPi { version.split('+').next().unwrap_or(version) } else { version };
    let plain = package.name.len() <= 214 && package.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@/".contains(&b));
    plain.then(|| Query { name: package.name.clone(), version: version.to_owned() })
}

impl std::fmt::Debug for Beside<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beside").field("elsewhere", &self.elsewhere).field("listed", &self.listed).finish_non_exhaustive()
    }
}

impl Auditor {
    /// Asks about the versions that are there, within `deadline`: OSV, else the index's own list. What is out need not be known for that.
    pub async fn ask(&self, packages: &Packages, elsewhere: &HashSet<String>, listed: Option<&Listed>, deadline: Instant) -> First {
        let asked: Vec<Query> = self.queries(packages, elsewhere).into_iter().map(|(_, query)| query).collect();
        match (&self.osv, listed) {
            _ if asked.is_empty() => First::Nobody,
            (Some(osv), _) => First::Osv(osv.ask(&asked, self.fresh, deadline).await),
            (None, Some(listed)) => First::Listed(self.listed(listed, &asked, deadline).await),
            (None, None) => First::Nobody,
        }
    }

    fn queries(&self, packages: &Packages, elsewhere: &HashSet<String>) -> Vec<(usize, Query)> {
        let asked = packages.items.iter().enumerate().filter(|(_, package)| !elsewhere.contains(&package.name));
        asked.filter_map(|(at, package)| Some((at, query(package, self.ecosystem)?))).collect()
    }

    /// Audits all of them, within `deadline`; `first` is what was said of the versions that are there.
    pub async fn audit(&self, packages: &mut Packages, beside: Beside<'_>, first: First, deadline: Instant) -> Vec<Problem> {
        let now = clock::now();
        let queries = self.queries(packages, beside.elsewhere);
        let asked: Vec<Query> = queries.iter().map(|(_, query)| query.clone()).collect();
        if asked.is_empty() {
            return Vec::new();
        }
        let mut problems = Vec::new();
        let (mut records, mut oldest, mut error) = (HashMap::new(), None, None);
        let mut from: Vec<String> = Vec::new();
        let mut listing = None;
        if let First::Osv(said) = first {
            if !said.records.is_empty() {
                from.push("OSV".to_owned());
            }
            (records, oldest, error, problems) = (said.records, said.oldest_s, said.error, said.problems);
        } else if let First::Listed(told) = first {
            listing = Some(told);
        }
        let left: Vec<Query> = asked.iter().filter(|query| !records.contains_key(*query)).cloned().collect();
        if let (false, Some(listed)) = (left.is_empty(), &beside.listed) {
            let (more, at) = match listing {
                Some(told) => told,
                None => self.listed(listed, &left, deadline).await,
            };
            if !more.is_empty() {
                from.push("the index".to_owned());
                oldest = [oldest, at].into_iter().flatten().min();
                records.extend(more);
            }
        }
        packages.advisories_from = (!from.is_empty()).then(|| from.join(" and "));
        packages.advisories_at = oldest.and_then(|s| DateTime::from_timestamp(s, 0));
        packages.advisories_problem = error.as_ref().map(|error| self.told(error, packages, asked.len() - records.len(), now));
        if let Some(message) = &packages.advisories_problem {
            problems.insert(0, Problem { subject: "advisories".to_owned(), message: message.clone() });
        }
        let mut also: HashMap<usize, Vec<Arc<Record>>> = HashMap::new();
        let mut open: HashSet<usize> = queries.iter().map(|(at, _)| *at).collect();
        for _ in 0..ROUNDS {
            let mut cures = Vec::new();
            for (at, query) in queries.iter().filter(|(at, _)| open.contains(at)) {
                let Some(known) = records.get(query) else { continue };
                let package = &mut packages.items[*at];
                let judged = self.judge(query, known, also.get(at).map_or(&[], Vec::as_slice), &beside, now);
                if let Some(cure) = judged.cure.as_ref().filter(|cure| package.cure.as_ref() != Some(cure)) {
                    cures.push((*at, Query { name: query.name.clone(), version: cure.clone() }));
                }
                package.audited = true;
                (package.advisories, package.borne, package.cure) = (judged.advisories, judged.borne, judged.cure);
            }
            // A version that cures these may have others.
            let Some(osv) = self.osv.as_ref().filter(|_| !cures.is_empty() && error.is_none()) else { break };
            let asked: Vec<Query> = cures.iter().map(|(_, query)| query.clone()).collect();
            let said = osv.ask(&asked, self.fresh, deadline).await;
            open.clear();
            for (at, query) in cures {
                if let Some(found) = said.records.get(&query).filter(|found| !found.is_empty()) {
                    also.entry(at).or_default().extend(found.iter().cloned());
                    open.insert(at);
                }
            }
            if open.is_empty() {
                break;
            }
        }
        problems
    }

    fn judge(&self, query: &Query, known: &[Arc<Record>], also: &[Arc<Record>], beside: &Beside<'_>, now: Timestamp) -> Judged {
        if known.is_empty() {
            return Judged::default();
        }
        let releases = (beside.releases)(&query.name);
        let subject = Subject { ecosystem: self.ecosystem, name: &query.name, version: &query.version, releases: &releases };
        judge(subject, known, also, &self.ignores, now.date_naive())
    }

    /// What a person is told when OSV did not answer.
    fn told(&self, error: &SourceError, packages: &Packages, unanswered: usize, now: Timestamp) -> String {
        let place = self.osv.as_ref().map(Osv::shown).unwrap_or_default();
        let why = if error.message.contains(&place) { error.message.clone() } else { format!("{place}: {}", error.message) };
        match (&packages.advisories_from, packages.advisories_at) {
            (Some(from), Some(at)) if unanswered == 0 => format!("{why}; what {from} said {} ago is shown", human(since(at, now))),
            (Some(from), Some(at)) => format!("{why}; what {from} said {} ago is shown, and nothing is known of {unanswered} packages", human(since(at, now))),
            _ => format!("{why}; whether packages are vulnerable is not known"),
        }
    }

    /// What the index's own list has. Answers of before stand in for those that do not come.
    async fn listed(&self, listed: &Listed, queries: &[Query], deadline: Instant) -> ByVersion {
        let who = format!("{} listed {}", listed.index.shown(), self.source);
        let (store, name) = (Arc::clone(&self.store), who.clone());
        let known = tokio::task::spawn_blocking(move || store.answers(&name)).await.unwrap_or_default();
        let now = clock::now().timestamp();
        let (with, without) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (known, with, without) = (&known, &with, &without);
        let one = |query: Query| async move {
            let kept = known.get(&key(&query.name, &query.version)).cloned();
            let fresh = i64::try_from(self.fresh.as_secs()).unwrap_or(0);
            if kept.as_ref().is_some_and(|kept| (0..fresh).contains(&(now - kept.at_s))) {
                return (query, kept);
            }
            if with.load(Ordering::Relaxed) == 0 && without.load(Ordering::Relaxed) >= NO_LIST {
                return (query, kept);
            }
            let asked = timeout_at(deadline, listed.asker.release(&listed.index, &query.name, &query.version)).await;
            let read = match asked {
                Ok(Ok(Some(body))) => listed::read(&body, &query.name, self.ecosystem).ok(),
                _ => None,
            };
            let counter = if read.is_some() { with } else { without };
            counter.fetch_add(1, Ordering::Relaxed);
            let fresh = read.map(|records| Answered { at_s: now, found: Vec::new(), records: records.into_iter().map(Arc::new).collect() });
            (query, fresh.or(kept))
        };
        // The first few tell whether it keeps one.
        let (head, rest) = queries.split_at(queries.len().min(NO_LIST));
        let mut all: Vec<(Query, Option<Answered>)> = stream::iter(head.to_vec()).map(one).buffer_unordered(NO_LIST).collect().await;
        all.extend(stream::iter(rest.to_vec()).map(one).buffer_unordered(PARALLEL).collect::<Vec<_>>().await);
        let mut answers: BTreeMap<String, Answered> = known.as_ref().clone();
        let (mut found, mut oldest) = (HashMap::new(), None);
        for (query, answered) in all {
            let Some(answered) = answered else { continue };
            oldest = Some(oldest.map_or(answered.at_s, |oldest: i64| oldest.min(answered.at_s)));
            found.insert(query.clone(), answered.records.clone());
            answers.insert(key(&query.name, &query.version), answered);
        }
        let store = Arc::clone(&self.store);
        // Nobody waits for the disk when the poll is over.
        let _ = tokio::task::spawn_blocking(move || store.keep(&who, answers)).await;
        (found, oldest)
    }
}
