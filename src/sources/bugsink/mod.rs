//! Bugsink through its own API: the issues of one project or of all that the token sees, their events, and what may be done to them.
//!
//! What does not belong here: which issues need a person (`rules::issues`), showing them; trackers that speak Sentry's API (`sentry`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `client` | requests, and what a refusal means |
//! | `parse` | what it says; pure |

mod client;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use self::client::Client;
use self::parse::Project;
use super::sentry::{self, event};
use super::{
    Ask, BoxFuture, BuildContext, Built, Cadence, Call, Collected, Complaint, Detail, DetailBody, Examined, Form, Found, ItemKey, Now, Offer, Outcome,
};
use super::{Reach, Seen, Service, Source, SourceConfig, SourceSpec};
use crate::domain::{Capability, Data, ErrorEvent, ErrorKind, Issue, IssueState, Issues, Observation, Problem, SourceError};
use crate::io::secret::SecretRef;
use crate::io::{api, clock};

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(60);
/// The time limit of one poll where none is configured.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Pages of issues of one project that a poll reads; the server's pages have 250.
const PAGES: usize = 4;
/// Projects that one source reads.
const PROJECTS: usize = 20;
/// Issues of one source that are kept.
const KEPT: usize = 2_000;

/// The keys of one Bugsink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server itself, without `/api/canonical/0/`.
    pub url: String,
    /// The project's slug, name or number; all that the token sees when not given.
    pub project: Option<String>,
    /// The token, made on the server's page of tokens.
    pub token: SecretRef,
}

fn server(url: &str) -> Result<url::Url, String> {
    let url = url.trim().trim_end_matches('/');
    sentry::server(url.strip_suffix("/api/canonical/0").unwrap_or(url))
}

impl Config {
    fn client(&self, context: &BuildContext) -> Result<Client, SourceError> {
        let url = server(&self.url).map_err(|reason| SourceError::config(format!("the address of the server is not right: {reason}"), "correct `url`"))?;
        Ok(Client { url, token: self.token.clone(), timeout: self.spec(context).timeout, context: context.clone(), kept: Mutex::default() })
    }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let complaint = |key: &str, message: String, help: &str, warning| Complaint { path: vec![key.to_owned()], message, help: help.to_owned(), warning };
        let mut all = Vec::new();
        match server(&self.url) {
            Err(reason) => {
                let help = "write the server's own address, such as \"https://bugsink.example.com\"";
                all.push(complaint("url", format!("the address is not right: {reason}"), help, false));
            }
            Ok(url) if url.scheme() == "http" && !api::is_loopback(&url) => {
                let message = "the token goes over the network for all to read".to_owned();
                all.push(complaint("url", message, "write https:// where the server has it", true));
            }
            Ok(_) => {}
        }
        if self.project.as_deref().is_some_and(|project| project.trim().is_empty()) {
            all.push(complaint("project", "the project is empty".to_owned(), "leave the key out for all projects", false));
        }
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        vec![(vec!["token".to_owned()], &self.token)]
    }

    fn reaches(&self, _: &BuildContext) -> Vec<Reach> {
        server(&self.url).map_or_else(|_| Vec::new(), |url| Reach::service(&url))
    }

    fn examine(&self, context: &BuildContext) -> BoxFuture<'_, Vec<Examined>> {
        let client = self.client(context);
        Box::pin(async move {
            let found = match client {
                Ok(client) => client.projects().await.map(|projects| (api::place(&client.url), projects.len())),
                Err(error) => Err(error),
            };
            vec![match found {
                Ok((place, projects)) => {
                    Examined::good(format!("{place} is a Bugsink; the token sees {projects} project{}", if projects == 1 { "" } else { "s" }))
                }
                Err(error) => Examined::bad(error.message, error.remedy),
            }]
        })
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        let spec = self.spec(context);
        let client = self.client(context)?;
        let tracker = Arc::new(Tracker { client, project: self.project.clone(), spec: spec.clone(), seen: Mutex::default() });
        Ok(Built { spec, source: Box::new(Polls(Arc::clone(&tracker))), service: Some(tracker) })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        let spec = SourceSpec::of(context, Capability::Issues, EVERY, TIMEOUT, self.project.clone().unwrap_or_else(|| self.url.clone()));
        SourceSpec { retry_every: spec.every, ..spec }
    }
}

/// One server and what was seen there last.
struct Tracker {
    client: Client,
    project: Option<String>,
    spec: SourceSpec,
    /// How the issues of the last poll stood, and after what was done since.
    seen: Mutex<Vec<(String, IssueState)>>,
}

/// Polls it.
struct Polls(Arc<Tracker>);

impl Source for Polls {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.0.spec.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(self.0.bounded(self.0.poll()))
    }
}

impl Tracker {
    /// Several requests are bounded as one.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, SourceError>>) -> Result<T, SourceError> {
        let limit = self.spec.timeout;
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(SourceError::timeout(limit)))
    }

    /// The projects whose issues are read: the configured one, else all.
    async fn projects(&self) -> Result<Vec<Project>, SourceError> {
        let mut all = self.client.projects().await?;
        let Some(wanted) = &self.project else {
            if all.is_empty() {
                return Err(SourceError::nothing(
                    "the server has no project that the token sees, so no issue either",
                    "make a project there, or another token",
                ));
            }
            return Ok(all);
        };
        let wanted = wanted.trim();
        if let Some(at) = all.iter().position(|project| project.slug == wanted || project.id == wanted || project.name == wanted) {
            return Ok(vec![all.swap_remove(at)]);
        }
        let seen: Vec<&str> = all.iter().take(6).map(|project| project.slug.as_str()).collect();
        let remedy = if seen.is_empty() { "it sees none at all".to_owned() } else { format!("it sees {}", seen.join(", ")) };
        Err(SourceError::config(format!("the token sees no project {wanted}"), remedy))
    }

    /// The open issues of one project, the last seen first.
    async fn issues_of(&self, project: &Project, into: &mut Vec<Issue>, problems: &mut Vec<Problem>) -> Result<(), SourceError> {
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            let page = self.client.issues(&project.id, cursor.as_deref()).await?;
            let (issues, odd) = parse::issues(&page.rows, &self.client.url, clock::now());
            into.extend(issues);
            problems.extend(odd);
            if page.cursor.is_none() || page.cursor == cursor {
                return Ok(());
            }
            cursor = page.cursor;
        }
        problems.push(Problem { subject: project.slug.clone(), message: format!("it has more issues than the last {PAGES} pages, which were read") });
        Ok(())
    }

    async fn poll(&self) -> Result<Collected, SourceError> {
        let projects = self.projects().await?;
        let (mut issues, mut problems) = (Vec::new(), Vec::new());
        let mut complete = true;
        for (place, project) in projects.iter().take(PROJECTS).enumerate() {
            match self.issues_of(project, &mut issues, &mut problems).await {
                Ok(()) => {}
                // Without the first nothing is known; a later one takes nothing from the others.
                Err(error) if place == 0 => return Err(error),
                Err(error) => {
                    complete = false;
                    problems.push(Problem { subject: project.slug.clone(), message: error.message });
                }
            }
        }
        if projects.len() > PROJECTS {
            let message = format!("only the first {PROJECTS} of {} projects were read; `project` names one", projects.len());
            problems.push(Problem { subject: "projects".to_owned(), message });
        }
        let seen = issues.iter().map(|issue| (issue.id.clone(), issue.state)).take(KEPT).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        // The server has no search: what is put aside or done with is left out here, as the other trackers leave it out.
        issues.retain(|issue| !matches!(issue.state, IssueState::Resolved | IssueState::Archived));
        let total = issues.len() as u64;
        issues.truncate(KEPT);
        let data = Data::Issues(Issues { total, items: issues, server: "bugsink".to_owned(), ..Issues::default() });
        // Where a project did not come, what was known of it stays.
        Ok(Collected { observations: vec![Observation { at: clock::now(), data }], problems, complete })
    }

    fn own<'a>(&self, key: &'a ItemKey) -> Result<&'a str, SourceError> {
        if key.source == self.spec.id && parse::is_id(&key.item) {
            Ok(&key.item)
        } else {
            Err(SourceError::config(format!("{} has no such issue", self.spec.id), "name the issue by the id that `rounds errors --json` gives"))
        }
    }

    fn state_of(&self, issue: &str) -> Option<IssueState> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|(id, _)| id == issue).map(|(_, state)| *state)
    }

    /// An event of an issue, the latest or this one, with the names of its neighbours.
    async fn event(&self, issue: &str, part: Option<&str>) -> Result<ErrorEvent, SourceError> {
        if part.is_some_and(|part| !parse::is_id(part)) {
            return Err(SourceError::config("this is no id of an event", "name an event by the id that its neighbour gives"));
        }
        let ids = self.client.events(issue).await?;
        let Some(wanted) = part.or_else(|| ids.first().map(String::as_str)).map(str::to_owned) else {
            return Err(SourceError::status(404, "the tracker keeps no event of this issue any more"));
        };
        let body = self.client.event(&wanted).await?;
        // Away from the tasks' threads: an event may be megabytes.
        let read = tokio::task::spawn_blocking(move || {
            let stored = parse::json(&body)?;
            let (raw, at) = parse::raw(&stored);
            let raw = raw.ok_or("the event holds nothing of what was sent")?;
            let mut event = event::of_value(raw);
            event.at = event.at.or(at);
            Ok(event)
        });
        let read: Result<ErrorEvent, String> = read.await.unwrap_or_else(|_| Err("the answer could not be read".to_owned()));
        let mut event = read.map_err(SourceError::protocol)?;
        let place = ids.iter().position(|id| *id == wanted);
        event.previous = place.and_then(|place| ids.get(place + 1)).cloned();
        event.next = place.and_then(|place| place.checked_sub(1)).and_then(|place| ids.get(place)).cloned();
        event.id = wanted;
        Ok(event)
    }

    async fn change(&self, issue: &str, offer: &str, arguments: &BTreeMap<String, String>) -> Result<(IssueState, &'static str), SourceError> {
        let mut sent = None;
        let (deed, done) = match offer {
            RESOLVE => ("resolve", "is resolved"),
            RESOLVE_NEXT => ("resolve-next", "is resolved by the next release"),
            MUTE => ("mute", "is muted"),
            MUTE_FOR => {
                let hours =
                    arguments.get(FOR).and_then(|seconds| seconds.parse::<u64>().ok()).map(|seconds| seconds.div_ceil(3_600)).filter(|hours| *hours > 0);
                let hours = hours.ok_or_else(|| SourceError::config("for how long was not said", "nothing was changed; say it again with a time"))?;
                sent = Some(serde_json::json!({ "period_name": "hour", "nr_of_periods": hours }));
                ("mute-for", "is muted for that time")
            }
            UNRESOLVE => {
                // Which of the two it needs is asked of the server: it refuses the other one.
                match parse::state(&self.client.issue(issue).await?, clock::now()) {
                    IssueState::Resolved => ("reopen", "is open again"),
                    IssueState::Archived => ("unmute", "is open again"),
                    state => return Ok((state, "was open")),
                }
            }
            other => {
                return Err(SourceError::config(
                    format!("an issue cannot be told to {other}"),
                    "resolve, resolve_in_next_release, archive_forever, archive_for or unresolve",
                ));
            }
        };
        let state = parse::state(&self.client.act(issue, deed, sent.as_ref()).await?, clock::now());
        let right = match deed {
            "resolve" | "resolve-next" => state == IssueState::Resolved,
            "mute" | "mute-for" => state == IssueState::Archived,
            _ => !matches!(state, IssueState::Resolved | IssueState::Archived),
        };
        if !right {
            return Err(SourceError::protocol(format!("the tracker accepted the change and did not make it; the issue is {}", state.word())));
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = seen.iter_mut().find(|(id, _)| id == issue) {
            *known = state;
        }
        Ok((state, done))
    }
}

const RESOLVE: &str = "resolve";
/// The words that the other trackers have for these.
const RESOLVE_NEXT: &str = "resolve_in_next_release";
const MUTE: &str = "archive_forever";
const MUTE_FOR: &str = "archive_for";
/// The argument of the last, in seconds.
const FOR: &str = "for";
/// The longest time an issue is put aside for, in seconds: a year.
const LONGEST_S: u64 = 365 * 86_400;
const UNRESOLVE: &str = "unresolve";

impl Service for Tracker {
    fn detail(&self, key: &ItemKey, part: Option<&str>) -> BoxFuture<'_, Result<Detail, SourceError>> {
        let (key, part) = (key.clone(), part.map(str::to_owned));
        Box::pin(async move {
            let issue = self.own(&key)?;
            let event = self.bounded(self.event(issue, part.as_deref())).await?;
            let link = Some(parse::page_of(&self.client.url, issue));
            Ok(Detail { key, body: DetailBody::Event(Box::new(event)), link })
        })
    }

    fn offers(&self, item: &ItemKey) -> Vec<Offer> {
        self.offers_for(item, Seen::Nothing)
    }

    fn offers_for(&self, item: &ItemKey, seen: Seen<'_>) -> Vec<Offer> {
        if self.own(item).is_err() {
            return Vec::new();
        }
        let base = self.client.url.as_str().trim_end_matches('/');
        let offer = |id: &str, title: &str, deed: &str, undo: &str, changes: &str| Offer {
            undo: Some(undo.to_owned()),
            calls: format!("POST {base}/api/canonical/0/issues/{}/{deed}/", item.item),
            changes: changes.to_owned(),
            undone: if undo == UNRESOLVE { "open it again".to_owned() } else { format!("{} again", if undo == RESOLVE { "resolve it" } else { "mute it" }) },
            ..Offer::new(id, title)
        };
        let resolve = || offer(RESOLVE, "resolve", "resolve", UNRESOLVE, "it is done with until it comes again");
        let state = match seen {
            Seen::Issue(issue, _) => Some(issue.state),
            Seen::Nothing | Seen::Backup(_) => self.state_of(&item.item),
        };
        match state {
            Some(IssueState::Resolved) => vec![offer(UNRESOLVE, "open again", "reopen", RESOLVE, "it is open, as before it was resolved")],
            Some(IssueState::Archived) => vec![resolve(), offer(UNRESOLVE, "open again", "unmute", MUTE, "it is open, as before it was muted")],
            _ => vec![
                resolve(),
                offer(RESOLVE_NEXT, "resolve by the next release", "resolve-next", UNRESOLVE, "it is done with until it comes in a later release"),
                offer(MUTE, "mute", "mute", UNRESOLVE, "it is put aside until it is opened again"),
                Offer {
                    asks: vec![Ask::new(FOR, "for how long? 2h, 7d", Form::Time(3_600, LONGEST_S))],
                    ..offer(MUTE_FOR, "mute for a time", "mute-for", UNRESOLVE, "it is put aside for that time")
                },
            ],
        }
    }

    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Found>, SourceError>> {
        Box::pin(async move {
            if !parse::is_id(name) {
                return Ok(None);
            }
            match self.bounded(self.client.issue(name)).await {
                Ok(row) => {
                    let (mut issues, _) = parse::issues(std::slice::from_ref(&row), &self.client.url, clock::now());
                    let found = |issue: Issue| Found {
                        key: ItemKey { source: self.spec.id.clone(), item: issue.id.clone() },
                        server: "bugsink".to_owned(),
                        issue: Some(issue),
                    };
                    Ok(issues.pop().map(found))
                }
                Err(error) if error.kind == ErrorKind::Status && error.message.ends_with("(404)") => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn perform(&self, call: &Call) -> BoxFuture<'_, Result<Outcome, SourceError>> {
        let call = call.clone();
        Box::pin(async move {
            let issue = self.own(&call.key)?;
            let (state, done) = self.bounded(self.change(issue, &call.offer, &call.arguments)).await?;
            Ok(Outcome { message: format!("issue {issue} {done}"), now: Now { state: Some(state), assignee: None }, ..Outcome::default() })
        })
    }
}
