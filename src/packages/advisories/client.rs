//! Asking OSV: all packages in few batches, page by page, and the details of a record only when it changed.
//!
//! Facts: OSV's API, `POST /v1/querybatch` and `GET /v1/vulns/{id}`: at most 1000 queries in a batch, answers in the order of the
//! queries, one wrong query refuses the whole batch. What does not belong here: reading the answers (`osv`), judging them (`judge`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::osv::{self, Mention};
use super::record::Record;
use super::store::{Answered, Store, key};
use crate::domain::{Problem, SourceError};
use crate::io::{api, clock};
use crate::packages::ecosystem::Ecosystem;

/// The service, where no other is named.
pub const DEFAULT: &str = "https://api.osv.dev";
/// Queries of one batch; the most that the service takes.
const BATCH: usize = 1_000;
/// Pages that one batch is followed for.
const PAGES: usize = 30;
/// Wrong queries that are taken out of a batch before it is given up.
const WRONG: usize = 5;
/// Details that are asked for at one time.
const PARALLEL: usize = 8;
/// Details of one poll.
const DETAILS: usize = 5_000;
/// One request.
const TIMEOUT: Duration = Duration::from_secs(40);
/// The largest answer, unpacked, in bytes.
const LIMIT: u64 = 32 << 20;
/// Between a failure that may pass and the second try.
const PAUSE: Duration = Duration::from_millis(400);
/// Answers that nobody asked for again are forgotten after so many seconds.
const FORGOTTEN_S: i64 = 120 * 86_400;

/// A package at a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query {
    /// As its ecosystem compares names.
    pub name: String,
    /// A version that its ecosystem knows.
    pub version: String,
}

/// A record, or why it could not be had, with what is known of it all the same.
type Fetched = Result<Arc<Record>, (Arc<Record>, SourceError)>;

/// What was said.
#[derive(Debug, Default)]
pub struct Said {
    /// The records of each query that was answered, now or before.
    pub records: HashMap<Query, Vec<Arc<Record>>>,
    /// When the oldest of the answers was given, in seconds since 1970.
    pub oldest_s: Option<i64>,
    /// Parts that could not be asked for.
    pub problems: Vec<Problem>,
    /// Why some answers are old or missing.
    pub error: Option<SourceError>,
}

/// The service, as one source asks it.
#[derive(Debug)]
pub struct Osv {
    base: Url,
    ecosystem: Ecosystem,
    store: Arc<Store>,
    who: String,
}

impl Osv {
    /// At this address. `source` names who asks: its answers are kept under that name.
    ///
    /// # Errors
    /// When it is no address; the text does not repeat it.
    pub fn new(address: &str, ecosystem: Ecosystem, store: Arc<Store>, source: &str) -> Result<Self, String> {
        let mut base = Url::parse(address.trim()).map_err(|error| format!("it is no address: {error}"))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err("it does not begin with https: or http:".to_owned());
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err("it holds a password, which this service does not ask for".to_owned());
        }
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let who = format!("{base} {} {source}", ecosystem.word());
        Ok(Self { base, ecosystem, store, who })
    }

    /// Where it is, for reading.
    #[must_use]
    pub fn shown(&self) -> String {
        api::place(&self.base)
    }

    /// Its host and port.
    #[must_use]
    pub fn reach(&self) -> Option<(String, u16)> {
        Some((self.base.host_str()?.trim_matches(['[', ']']).to_owned(), self.base.port_or_known_default()?))
    }

    /// What is known of these. An answer younger than `fresh` is used as it is; after `deadline` what was said last has to do.
    pub async fn ask(&self, queries: &[Query], fresh: Duration, deadline: Instant) -> Said {
        let mut said = Said::default();
        let (store, who) = (Arc::clone(&self.store), self.who.clone());
        let known = tokio::task::spawn_blocking(move || store.answers(&who)).await.unwrap_or_default();
        let now = clock::now().timestamp();
        let young = |answered: &Answered| (0..i64::try_from(fresh.as_secs()).unwrap_or(0)).contains(&(now - answered.at_s));
        let stale: Vec<&Query> = queries.iter().filter(|query| known.get(&key(&query.name, &query.version)).is_none_or(|one| !young(one))).collect();
        let mut answers: BTreeMap<String, Answered> = known.as_ref().clone();
        for batch in stale.chunks(BATCH) {
            match timeout_at(deadline, self.batch(batch, &mut said.problems)).await {
                Ok(Ok(found)) => {
                    for (query, found) in found {
                        answers.insert(key(&query.name, &query.version), Answered { at_s: now, found, records: Vec::new() });
                    }
                }
                Ok(Err(error)) => said.error = Some(error),
                Err(_) => said.error = Some(SourceError::timeout(TIMEOUT)),
            }
            if said.error.is_some() {
                break;
            }
        }
        answers.retain(|_, answered| now - answered.at_s < FORGOTTEN_S);
        let wanted: BTreeMap<String, Mention> = queries
            .iter()
            .filter_map(|query| answers.get(&key(&query.name, &query.version)))
            .flat_map(|answered| &answered.found)
            .map(|mention| (mention.id.clone(), mention.clone()))
            .collect();
        if wanted.len() > DETAILS {
            said.problems.push(Problem { subject: "advisories".to_owned(), message: format!("only the first {DETAILS} of {} are looked at", wanted.len()) });
        }
        let down = said.error.is_some();
        let details: Vec<(String, Fetched)> = stream::iter(wanted.into_values().take(DETAILS))
            .map(|mention| async move { (mention.id.clone(), self.record(&mention, down, deadline).await) })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        let mut records: HashMap<String, Arc<Record>> = HashMap::new();
        let mut broken = 0;
        for (id, record) in details {
            let record = record.unwrap_or_else(|(record, error)| {
                broken += 1;
                if broken <= 3 && !down {
                    said.problems.push(Problem { subject: id.clone(), message: format!("its details are not there: {}", error.message) });
                }
                record
            });
            records.insert(id, record);
        }
        said.problems.sort_by(|a, b| a.subject.cmp(&b.subject));
        for query in queries {
            let Some(answered) = answers.get(&key(&query.name, &query.version)) else { continue };
            said.oldest_s = Some(said.oldest_s.map_or(answered.at_s, |oldest| oldest.min(answered.at_s)));
            let found = answered.found.iter().filter_map(|mention| records.get(&mention.id).cloned()).collect();
            said.records.insert(query.clone(), found);
        }
        let (store, who) = (Arc::clone(&self.store), self.who.clone());
        // Nobody waits for the disk when the poll is over.
        let _ = tokio::task::spawn_blocking(move || store.keep(&who, answers)).await;
        said
    }

    /// One batch with all its pages.
    async fn batch<'q>(&self, queries: &[&'q Query], problems: &mut Vec<Problem>) -> Result<Vec<(&'q Query, Vec<Mention>)>, SourceError> {
        let mut found: Vec<Vec<Mention>> = vec![Vec::new(); queries.len()];
        let mut refused = vec![false; queries.len()];
        let mut open: Vec<(usize, Option<String>)> = (0..queries.len()).map(|at| (at, None)).collect();
        let mut wrong = 0;
        for _ in 0..PAGES {
            if open.is_empty() {
                break;
            }
            let body = self.body(queries, &open);
            let answer = match self.send(&["v1", "querybatch"], Some(body)).await {
                Ok(answer) => answer,
                Err(Refused::Query(at)) if wrong < WRONG && at < open.len() => {
                    // One query that it does not take refuses them all.
                    let (at, _) = open.remove(at);
                    refused[at] = true;
                    wrong += 1;
                    problems
                        .push(Problem { subject: queries[at].name.clone(), message: "the service of advisories does not take its name or version".to_owned() });
                    continue;
                }
                Err(Refused::Query(_)) => return Err(SourceError::status(400, "the service of advisories does not take the question")),
                Err(Refused::Other(error)) => return Err(error),
            };
            let results = osv::batch(&answer).map_err(SourceError::protocol)?;
            if results.len() != open.len() {
                return Err(SourceError::protocol(format!("{} answers to {} questions about advisories", results.len(), open.len())));
            }
            let mut next = Vec::new();
            for ((at, _), result) in open.iter().zip(results) {
                found[*at].extend(result.found);
                if let Some(token) = result.next {
                    next.push((*at, Some(token)));
                }
            }
            open = next;
        }
        for (at, _) in &open {
            problems.push(Problem { subject: queries[*at].name.clone(), message: format!("has more than {PAGES} pages of advisories") });
        }
        let all = queries.iter().zip(found).zip(refused);
        Ok(all.filter(|(_, refused)| !refused).map(|((query, found), _)| (*query, found)).collect())
    }

    fn body(&self, queries: &[&Query], open: &[(usize, Option<String>)]) -> serde_json::Value {
        let one = |(at, token): &(usize, Option<String>)| {
            let query = queries[*at];
            let mut one = serde_json::json!({ "package": self.ecosystem.asked(&query.name), "version": query.version });
            if let (Some(token), Some(fields)) = (token, one.as_object_mut()) {
                fields.insert("page_token".to_owned(), token.as_str().into());
            }
            one
        };
        serde_json::json!({ "queries": open.iter().map(one).collect::<Vec<_>>() })
    }

    /// The details of a record: as kept when it did not change since. With the error, what is known of it all the same.
    async fn record(&self, mention: &Mention, down: bool, deadline: Instant) -> Fetched {
        let (store, base, id) = (Arc::clone(&self.store), self.base.to_string(), mention.id.clone());
        let word = self.ecosystem.word();
        let kept = tokio::task::spawn_blocking(move || store.record(&base, word, &id)).await.ok().flatten();
        if let Some(kept) = &kept
            && kept.modified == mention.modified
        {
            return Ok(Arc::clone(kept));
        }
        let bare = || Arc::new(Record { id: mention.id.clone(), ..Record::default() });
        if down {
            return Err((kept.unwrap_or_else(bare), SourceError::connect("the service of advisories does not answer")));
        }
        let read = match timeout_at(deadline, self.send(&["v1", "vulns", &mention.id], None)).await {
            Ok(Ok(body)) => osv::record(&body, self.ecosystem).map_err(SourceError::protocol),
            Ok(Err(Refused::Other(error))) => Err(error),
            Ok(Err(Refused::Query(_))) => Err(SourceError::status(400, "the service does not take the id")),
            Err(_) => Err(SourceError::timeout(TIMEOUT)),
        };
        match read {
            Ok(mut record) => {
                // What the batch said is what the next one is compared with.
                record.modified.clone_from(&mention.modified);
                let record = Arc::new(record);
                let (store, base, kept) = (Arc::clone(&self.store), self.base.to_string(), Arc::clone(&record));
                let _ = tokio::task::spawn_blocking(move || store.keep_record(&base, word, &kept)).await;
                Ok(record)
            }
            Err(error) => Err((kept.unwrap_or_else(bare), error)),
        }
    }

    async fn send(&self, path: &[&str], body: Option<serde_json::Value>) -> Result<Vec<u8>, Refused> {
        let mut tried = self.send_once(path, body.as_ref()).await;
        if let Err((_, true)) = tried {
            tokio::time::sleep(PAUSE).await;
            tried = self.send_once(path, body.as_ref()).await;
        }
        tried.map_err(|(refused, _)| refused)
    }

    /// The body of the answer, or why there is none and whether a second try may help.
    async fn send_once(&self, path: &[&str], body: Option<&serde_json::Value>) -> Result<Vec<u8>, (Refused, bool)> {
        let other = |error: SourceError, again: bool| (Refused::Other(error), again);
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let client = api::client(&url).map_err(|error| other(error, false))?;
        let request = match body {
            Some(body) => client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body.to_string()),
            None => client.get(url.clone()),
        };
        let mut response = request.timeout(TIMEOUT).send().await.map_err(|error| {
            let again = !error.is_timeout();
            other(api::failure(&error, &url, TIMEOUT), again)
        })?;
        let code = response.status().as_u16();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse::<u64>().ok());
        let answer = api::body(&mut response, LIMIT, TIMEOUT).await;
        match code {
            200 => answer.map_err(|error| other(error, true)),
            400 => Err((
                answer
                    .ok()
                    .as_deref()
                    .and_then(wrong_query)
                    .map_or_else(|| Refused::Other(SourceError::status(code, "the service of advisories does not take the question")), Refused::Query),
                false,
            )),
            429 => Err(other(
                SourceError::rate_limited("the service of advisories asks for patience (429)", wait.map(|s| Duration::from_secs(s.min(86_400)))),
                false,
            )),
            401 | 403 => Err(other(SourceError::auth(format!("the service of advisories refuses us ({code})"), "check the address in `osv`"), false)),
            _ => Err(other(SourceError::status(code, format!("the service of advisories answers {code}")), code >= 500)),
        }
    }
}

/// Why there is no answer.
enum Refused {
    /// It does not take the query at this place of the batch.
    Query(usize),
    /// Something else.
    Other(SourceError),
}

/// `error in query at index 3: …`.
fn wrong_query(body: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once("index ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
