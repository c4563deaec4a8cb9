//! Error trackers that speak Sentry's API: the issues of an organization or one of its projects, and what may be done to them.
//!
//! What does not belong here: which issues need a person (`rules::issues`), showing them.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `poll` | one poll after the other: first page, rest, what stands beside, the walk through a long list |
//! | `client` | one tracker: its kind and region, its issues' events and changes; shared by polling, details and changes |
//! | `list` | the list of issues, page by page |
//! | `beside` | saved queries, cron monitors, losses, releases: seldom, each by itself |
//! | `monitor` | a cron monitor that a backup's job checks in with: a kind of its own |
//! | `wire` | one request |
//! | `details` | what is asked when one issue is looked at |
//! | `event` | one event, down to the line of code; pure |
//! | `change` | what can be done to an issue; pure |
//! | `alter` | changes told to a tracker, and issues found by name |
//! | `parse`, `facts` | what it says of issues, and beside them; pure |
//! | `examine` | which server it is and what the token lacks, for `doctor` |
//! | `refusal` | what an answer that is none means; pure |
//! | `token` | where the token is |

mod alter;
mod beside;
mod change;
mod client;
mod details;
pub mod event;
mod examine;
mod facts;
mod list;
pub mod monitor;
mod parse;
mod poll;
mod refusal;
#[cfg(test)]
mod tests;
mod token;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use self::change::Change;
use self::client::{Client, Keys, Server, Sort};
pub use self::event::fuzz as fuzz_event;
use self::wire::Wire;
use super::{BoxFuture, BuildContext, Built, Call, Complaint, Detail, DetailBody, Examined, Found, ItemKey, Offer, Outcome, Reach, Seen, Service};
use super::{SourceConfig, SourceSpec};
use crate::config::value::Dur;
use crate::domain::{Capability, SourceError};
use crate::io::api;
use crate::io::secret::SecretRef;

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(60);
/// The time limit of one poll where none is configured.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Saved queries of one source.
const QUERIES: usize = 8;
/// The longest window that the API takes.
const LONGEST: Duration = Duration::from_secs(90 * 86_400);

/// The keys of one tracker.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server itself, without `/api/0/`; the hosted service when not given.
    #[serde(default = "hosted")]
    pub url: String,
    /// The organization's slug, as in the address of its pages.
    pub organization: String,
    /// The project's slug or its number; all that the token sees when not given.
    pub project: Option<String>,
    /// Only issues of this environment.
    pub environment: Option<String>,
    /// The search, in the tracker's own language; `is:unresolved` when not given.
    pub query: Option<String>,
    /// The token, which needs the scopes org:read, project:read and event:read, and event:write for changes. When not given,
    /// `SENTRY_AUTH_TOKEN` and `~/.sentryclirc` are looked at.
    pub token: Option<SecretRef>,
    /// How far back an issue's events are looked for; 24 hours when not given.
    pub period: Option<Dur>,
    /// The order: `date` (the last seen first, when not given), `new`, `freq`, `user`, `trends`. It decides what is read first of a long list.
    pub sort: Option<Sort>,
    /// Saved queries, by name: further searches, of each its first hundred issues, beside the list and not mixed into it.
    pub queries: Option<BTreeMap<String, String>>,
}

fn hosted() -> String {
    token::HOSTED.to_owned()
}

fn complaint(key: &str, message: String, help: &str) -> Complaint {
    Complaint { path: vec![key.to_owned()], message, help: help.to_owned(), warning: false }
}

/// The server's address as it is asked: without `/api/0`, which people copy along.
pub(super) fn server(url: &str) -> Result<Url, String> {
    let mut url = Url::parse(url.trim()).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err("it begins with neither https:// nor http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user and a password have no place in it".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a part after the path".to_owned());
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/api/0").or_else(|| path.strip_suffix("/api")).unwrap_or(path).to_owned();
    url.set_path(&path);
    Ok(url)
}

/// What is wrong with an address as it is written.
fn written(url: &str) -> Option<Complaint> {
    match server(url) {
        Err(reason) => Some(complaint("url", format!("the address is not right: {reason}"), "write the tracker's own address, such as \"https://sentry.io\"")),
        Ok(url) if url.scheme() == "http" && !api::is_loopback(&url) => {
            let message = "the token goes over the network for all to read".to_owned();
            Some(Complaint { warning: true, ..complaint("url", message, "write https:// where the server has it") })
        }
        Ok(_) => None,
    }
}

/// The server behind an address.
fn reaches(url: &str) -> Vec<Reach> {
    server(url).map_or_else(|_| Vec::new(), |url| Reach::service(&url))
}

/// Any bytes as the server's answers, for fuzzing: must not panic.
pub fn fuzz_answer(bytes: &[u8]) {
    parse::fuzz(bytes);
    monitor::fuzz(bytes);
}

impl Config {
    fn is_slug(text: &str) -> bool {
        parse::is_id(text)
    }

    fn client(&self, context: &BuildContext) -> Result<Client, SourceError> {
        let url = server(&self.url).map_err(|reason| SourceError::config(format!("the address of the tracker is not right: {reason}"), "correct `url`"))?;
        let wire = Wire {
            url,
            organization: self.organization.clone(),
            project: self.project.clone(),
            token: self.token.clone(),
            timeout: self.spec(context).timeout,
            context: context.clone(),
            kept: Mutex::default(),
        };
        let keys = Keys {
            environment: self.environment.clone(),
            query: self.query.clone(),
            period: self.period.unwrap_or(Dur::days(1)),
            sort: self.sort,
            queries: self.queries.clone().unwrap_or_default(),
        };
        Ok(Client::new(wire, keys))
    }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all: Vec<Complaint> = written(&self.url).into_iter().collect();
        if !Self::is_slug(&self.organization) {
            all.push(complaint(
                "organization",
                "this is no slug of an organization".to_owned(),
                "it is the word in the address of its pages: letters, digits, '-' and '_'",
            ));
        }
        if self.project.as_deref().is_some_and(|project| !Self::is_slug(project) || project == "-1") {
            all.push(complaint(
                "project",
                "this is no slug of a project".to_owned(),
                "it is the word in the address of its pages, or its number; leave the key out for all projects",
            ));
        }
        if self.environment.as_deref().is_some_and(|environment| environment.trim().is_empty()) {
            all.push(complaint("environment", "the environment is empty".to_owned(), "leave the key out for all environments"));
        }
        if self.period.is_some_and(|period| period.get() < Duration::from_secs(60) || period.get() > LONGEST) {
            all.push(complaint("period", "a period is between a minute and 90 days".to_owned(), "write for example \"24h\" or \"14d\""));
        }
        if self.queries.as_ref().is_some_and(|queries| queries.len() > QUERIES) {
            all.push(complaint(
                "queries",
                format!("there are more than {QUERIES} saved queries"),
                "each is a request of its own; keep those that are looked at",
            ));
        }
        for (name, query) in self.queries.iter().flatten() {
            let path = vec!["queries".to_owned(), name.clone()];
            if !crate::domain::id::is_name(name) {
                let message = "this is no name for a tab".to_owned();
                all.push(Complaint { path, message, help: "use letters a-z, digits, '.', '-' and '_'".to_owned(), warning: false });
            } else if query.trim().is_empty() {
                let message = "the query is empty".to_owned();
                all.push(Complaint { path, message, help: "write a search, for example \"is:unresolved error.unhandled:true\"".to_owned(), warning: false });
            }
        }
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        self.token.iter().map(|token| (vec!["token".to_owned()], token)).collect()
    }

    fn saved_queries(&self) -> Vec<String> {
        self.queries.iter().flatten().map(|(name, _)| name.clone()).collect()
    }

    fn reaches(&self, _: &BuildContext) -> Vec<Reach> {
        reaches(&self.url)
    }

    fn examine(&self, context: &BuildContext) -> BoxFuture<'_, Vec<Examined>> {
        let client = self.client(context);
        Box::pin(async move {
            vec![match client {
                Ok(client) => examine::look(&client).await,
                Err(error) => Examined::bad(error.message, error.remedy),
            }]
        })
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        let spec = self.spec(context);
        let client = Arc::new(self.client(context)?);
        let source = poll::SentrySource::new(Arc::clone(&client), spec.every, spec.timeout);
        let service = SentryService { client, spec: spec.clone() };
        Ok(Built { spec, source: Box::new(source), service: Some(Arc::new(service)) })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        let project = self.project.as_deref().map(|project| format!("/{project}")).unwrap_or_default();
        let spec = SourceSpec::of(context, Capability::Issues, EVERY, TIMEOUT, format!("{}{project}", self.organization));
        SourceSpec { retry_every: spec.every, ..spec }
    }
}

/// Several requests are bounded as one.
async fn bounded<T>(limit: Duration, work: impl Future<Output = Result<T, SourceError>>) -> Result<T, SourceError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(SourceError::timeout(limit)))
}

/// Details and changes.
struct SentryService {
    client: Arc<Client>,
    spec: SourceSpec,
}

impl SentryService {
    fn own<'a>(&self, key: &'a ItemKey) -> Result<&'a str, SourceError> {
        if key.source == self.spec.id && parse::is_id(&key.item) {
            Ok(&key.item)
        } else {
            Err(SourceError::config(format!("{} has no such issue", self.spec.id), "name the issue by the id that `rounds errors --json` gives"))
        }
    }
}

impl Service for SentryService {
    fn detail(&self, key: &ItemKey, part: Option<&str>) -> BoxFuture<'_, Result<Detail, SourceError>> {
        let (key, part) = (key.clone(), part.map(str::to_owned));
        Box::pin(async move {
            let issue = self.own(&key)?;
            let event = bounded(self.spec.timeout, self.client.event(issue, part.as_deref())).await?;
            let link = self.client.page_of(issue);
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
        let (state, assignee, server) = match seen {
            Seen::Issue(issue, server) => (Some(issue.state), issue.assignee.as_deref(), Server::of_word(server)),
            Seen::Nothing | Seen::Backup(_) => (self.client.state_of(&item.item), None, None),
        };
        let server = server.or_else(|| self.client.known_server()).unwrap_or(Server::Sentry);
        change::offers(state, assignee, server, &self.client.place_of_changes())
    }

    fn perform(&self, call: &Call) -> BoxFuture<'_, Result<Outcome, SourceError>> {
        let call = call.clone();
        Box::pin(async move {
            let nothing = || Err(SourceError::config("no issue was named", "name one; nothing was changed"));
            self.perform_all(std::slice::from_ref(&call)).await.pop().unwrap_or_else(nothing)
        })
    }

    fn perform_all<'a>(&'a self, calls: &'a [Call]) -> BoxFuture<'a, Vec<Result<Outcome, SourceError>>> {
        Box::pin(async move {
            let Some(first) = calls.first() else { return Vec::new() };
            let refused = |error: &SourceError, of: usize| (0..of).map(|_| Err(error.clone())).collect::<Vec<_>>();
            let alike = calls.iter().all(|call| call.offer == first.offer && call.arguments == first.arguments);
            let own = calls.iter().try_for_each(|call| self.own(&call.key).map(drop));
            let ready = own.and_then(|()| Change::read(&first.offer, &first.arguments));
            let change = match ready {
                Ok(change) if alike => change,
                Ok(_) => return refused(&SourceError::config("different things at once", "nothing was changed"), calls.len()),
                Err(error) => return refused(&error, calls.len()),
            };
            let mut all: Vec<Result<Outcome, SourceError>> = Vec::with_capacity(calls.len());
            for some in calls.chunks(alter::AT_ONCE) {
                let stop = all.last().and_then(|last| last.as_ref().err()).filter(|error| alter::is_for_all(error)).cloned();
                if let Some(error) = stop {
                    all.extend(refused(&error, some.len()));
                    continue;
                }
                let keys: Vec<&ItemKey> = some.iter().map(|call| &call.key).collect();
                let done = bounded(self.spec.timeout, async { Ok(self.client.alter(&keys, &change).await) }).await;
                match done {
                    Ok(done) => all.extend(done),
                    Err(error) => all.extend(refused(&alter::told(error), some.len())),
                }
            }
            all
        })
    }

    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Found>, SourceError>> {
        Box::pin(async move {
            let found = bounded(self.spec.timeout, self.client.named(name)).await?;
            Ok(found.map(|(issue, server)| Found {
                key: ItemKey { source: self.spec.id.clone(), item: issue.id.clone() },
                server: server.word().to_owned(),
                issue: Some(issue),
            }))
        })
    }
}
