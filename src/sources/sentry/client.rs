//! One tracker, asked: its kind and region found once, its lists read page by page, its issues changed. Shared by polling, details
//! and changes.
//!
//! What does not belong here: reading what it says (`parse`), what a refusal means (`refusal`), when to ask (`runner`).
//!
//! Facts: Sentry's API documentation, "Pagination" and "Data storage location"; paths always end with a slash, because a
//! redirect would lose a body. The token goes to the configured server and to regions that this server names below itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::details::Looked;
use super::list::{PAGE, next_page};
use super::parse;
use super::refusal::Endpoint;
use super::wire::{Answer, Ask, Wire};
use crate::config::value::Dur;
use crate::domain::{Issue, IssueState, SourceError};
use crate::io::clock;

/// Pages of projects that are looked through for one name.
const PROJECT_PAGES: usize = 10;
/// What is asked for where `query` is not given. Without it Sentry means the same, and GlitchTip everything.
const QUERY: &str = "is:unresolved";

/// Which program the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Sentry, hosted or one's own.
    Sentry,
    /// GlitchTip.
    GlitchTip,
}

impl Server {
    /// The kind of server that this word stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Sentry, Self::GlitchTip].into_iter().find(|server| server.word() == word)
    }

    /// For reading.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sentry => "sentry",
            Self::GlitchTip => "glitchtip",
        }
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct Keys {
    /// Only this environment.
    pub environment: Option<String>,
    /// The search.
    pub query: Option<String>,
    /// The window of the search.
    pub period: Dur,
    /// The order; the server's own when not given, which is the last seen first.
    pub sort: Option<Sort>,
    /// Saved queries by name.
    pub queries: std::collections::BTreeMap<String, String>,
}

/// In which order the issues come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// The last seen first.
    Date,
    /// The latest first seen.
    New,
    /// The most events first.
    Freq,
    /// The most users first.
    User,
    /// What grows fastest first.
    Trends,
}

impl Sort {
    /// As the server writes it; `None`: it is the order that it has anyway, or one that it does not have.
    pub const fn word(self, server: Server) -> Option<&'static str> {
        match (self, server) {
            (Self::Date, _) | (Self::User | Self::Trends, Server::GlitchTip) => None,
            (Self::New, Server::Sentry) => Some("new"),
            (Self::New, Server::GlitchTip) => Some("-first_seen"),
            (Self::Freq, Server::Sentry) => Some("freq"),
            (Self::Freq, Server::GlitchTip) => Some("-count"),
            (Self::User, Server::Sentry) => Some("user"),
            (Self::Trends, Server::Sentry) => Some("trends"),
        }
    }
}

/// What was found out; kept between polls.
#[derive(Debug, Default)]
struct Known {
    server: Option<Server>,
    region: Option<Url>,
    /// The project's id, where the server takes no slug.
    project_id: Option<String>,
    sees_projects: bool,
    /// Issues of the last poll: how they stood, and their page.
    issues: HashMap<String, (IssueState, Option<String>)>,
}

/// One tracker.
#[derive(Debug)]
pub struct Client {
    pub(super) wire: Wire,
    pub(super) keys: Keys,
    pub(super) looked: Looked,
    known: Mutex<Known>,
}

impl Client {
    /// A client that has asked nothing yet.
    pub fn new(wire: Wire, keys: Keys) -> Self {
        Self { wire, keys, looked: Looked::default(), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which program it is. Asked once, without the token, of what everybody may read.
    pub(super) async fn server(&self) -> Result<Server, SourceError> {
        if let Some(server) = self.known().server {
            return Ok(server);
        }
        let host = self.wire.url.host_str().unwrap_or_default();
        let found = match host {
            "sentry.io" => Server::Sentry,
            "app.glitchtip.com" => Server::GlitchTip,
            _ if host.ends_with(".sentry.io") => Server::Sentry,
            _ => {
                let answer = self.wire.ask(Ask::get(Endpoint::Settings, &self.wire.url, &["settings"], &[])).await?;
                match answer.status {
                    // It will have to be asked again.
                    429 | 500..=599 => return Ok(Server::Sentry),
                    200 if parse::is_glitchtip(&answer.body) => Server::GlitchTip,
                    _ => Server::Sentry,
                }
            }
        };
        self.known().server = Some(found);
        Ok(found)
    }

    /// Where the organization lives. A server without regions is its own; so is one that will not say.
    pub(super) async fn base(&self, server: Server) -> Result<Url, SourceError> {
        if server == Server::GlitchTip {
            return Ok(self.wire.url.clone());
        }
        if let Some(region) = &self.known().region {
            return Ok(region.clone());
        }
        let organization = self.wire.organization.as_str();
        let secret = self.wire.token().await?;
        let answer = self.wire.ask(Ask::get(Endpoint::Organization, &self.wire.url, &["0", "organizations", organization], &[])).await?;
        let region = match answer.status {
            200..=299 => parse::region(&answer.body).and_then(|region| Url::parse(&region).ok()).filter(|region| self.wire.trusts(region)),
            // A token may well read issues and nothing else.
            403 => None,
            // Trouble that passes: the list tells it.
            500..=599 => return Ok(self.wire.url.clone()),
            _ => return Err(self.wire.good(answer, Endpoint::Organization, Some(&secret)).err().unwrap_or_else(|| SourceError::protocol("an odd answer"))),
        };
        let base = region.unwrap_or_else(|| self.wire.url.clone());
        self.known().region = Some(base.clone());
        Ok(base)
    }

    /// The project's id, looked up among those that the token sees.
    ///
    /// # Errors
    /// When it is not among them, with those that are.
    pub(super) async fn project_id(&self, base: &Url, project: &str) -> Result<String, SourceError> {
        if let Some(id) = &self.known().project_id {
            return Ok(id.clone());
        }
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PROJECT_PAGES {
            let mut query = vec![("per_page", "100")];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let answer = self.wire.fetch(Ask::get(Endpoint::Projects, base, &["0", "organizations", &self.wire.organization, "projects"], &query)).await?;
            let page = parse::projects(&answer.body).map_err(SourceError::protocol)?;
            if let Some((id, _)) = page.iter().find(|(_, slug)| slug == project) {
                self.known().project_id = Some(id.clone());
                return Ok(id.clone());
            }
            seen.extend(page.into_iter().map(|(_, slug)| slug));
            let next = next_page(&answer.headers);
            if next.is_none() || next == cursor {
                break;
            }
            cursor = next;
        }
        seen.sort();
        let some: Vec<&str> = seen.iter().take(6).map(String::as_str).collect();
        let remedy =
            if some.is_empty() { "the token sees no project at all: give its owner the right to".to_owned() } else { format!("it sees {}", some.join(", ")) };
        Err(SourceError::config(format!("the token sees no project {project} in {}", self.wire.organization), remedy))
    }

    /// One page of issues.
    pub(super) async fn page(&self, server: Server, base: &Url, project: Option<&str>, cursor: Option<&str>) -> Result<Answer, SourceError> {
        let period = period_text(self.keys.period.get());
        let limit = PAGE.to_string();
        let mut query = vec![("query", self.keys.query.as_deref().unwrap_or(QUERY)), ("limit", limit.as_str())];
        query.extend(project.map(|project| ("project", project)));
        query.extend(self.keys.environment.as_deref().map(|environment| ("environment", environment)));
        if server == Server::Sentry {
            // The counts under the search's conditions are not used; whether an issue is unhandled is.
            query.extend([("statsPeriod", period.as_str()), ("groupStatsPeriod", "24h"), ("collapse", "filtered")]);
        }
        query.extend(self.keys.sort.and_then(|sort| sort.word(server)).map(|word| ("sort", word)));
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        self.wire.ask(Ask::get(Endpoint::Issues, base, &["0", "organizations", &self.wire.organization, "issues"], &query)).await
    }

    /// The first page; a project that the server knows by its id only is asked for by its id.
    pub(super) async fn first_page(&self, server: Server, base: &Url, project: &mut Option<String>) -> Result<Answer, SourceError> {
        let secret = self.wire.token().await?;
        let slug = project.as_deref().filter(|project| !project.bytes().all(|byte| byte.is_ascii_digit())).map(ToOwned::to_owned);
        if let Some(slug) = slug.as_deref()
            && (server == Server::GlitchTip || self.known().project_id.is_some())
        {
            *project = Some(self.project_id(base, slug).await?);
        }
        let answer = self.page(server, base, project.as_deref(), None).await?;
        if let Some(slug) = slug.filter(|slug| Some(slug) == project.as_ref())
            && matches!(answer.status, 400 | 403 | 404)
        {
            match self.project_id(base, &slug).await {
                Ok(id) if answer.status == 400 => {
                    *project = Some(id);
                    let answer = self.page(server, base, project.as_deref(), None).await?;
                    if !answer.is_good() {
                        self.known().project_id = None;
                    }
                    return self.wire.good(answer, Endpoint::Issues, Some(&secret));
                }
                Ok(_) => self.known().project_id = None,
                // That the project is not there says more than that it is forbidden.
                Err(error) if error.kind == crate::domain::ErrorKind::Config => return Err(error),
                Err(_) => {}
            }
        }
        if !answer.is_good() {
            // Projects are made anew and organizations move: what was found out is looked for again.
            let mut known = self.known();
            (known.project_id, known.region) = (None, None);
        }
        self.wire.good(answer, Endpoint::Issues, Some(&secret))
    }

    /// The project as the list of issues knows it, by what was found out: by its number where the server takes no slug.
    ///
    /// # Errors
    /// When it is not among those that the token sees.
    pub(super) async fn project_for_lists(&self, server: Server, base: &Url) -> Result<Option<String>, SourceError> {
        let Some(project) = self.wire.project.clone() else { return Ok(None) };
        let number = project.bytes().all(|byte| byte.is_ascii_digit());
        if !number && (server == Server::GlitchTip || self.known().project_id.is_some()) {
            return self.project_id(base, &project).await.map(Some);
        }
        Ok(Some(project))
    }

    /// The answer where it is one, else what it means.
    ///
    /// # Errors
    /// What the refusal means.
    pub(super) async fn accept(&self, answer: Answer, endpoint: Endpoint) -> Result<Answer, SourceError> {
        let secret = self.wire.token().await?;
        self.wire.good(answer, endpoint, Some(&secret))
    }

    /// How these issues stand, for what can be done to them.
    pub(super) fn remember(&self, issues: &[Issue]) {
        self.known().issues.extend(issues.iter().map(|issue| (issue.id.clone(), (issue.state, issue.permalink.clone()))));
    }

    /// Forgets the issues that are in no list any more.
    pub(super) fn retain(&self, listed: impl Fn(&str) -> bool) {
        self.known().issues.retain(|id, _| listed(id));
    }

    /// A token that sees no project gets an empty list, which looks like all is well.
    pub(super) async fn assure_projects(&self, base: &Url) -> Result<(), SourceError> {
        if self.known().sees_projects {
            return Ok(());
        }
        let path = ["0", "organizations", self.wire.organization.as_str(), "projects"];
        let answer = self.wire.ask(Ask::get(Endpoint::Projects, base, &path, &[("per_page", "100")])).await?;
        if answer.is_good() && parse::projects(&answer.body).is_ok_and(|projects| projects.is_empty()) {
            return Err(SourceError::nothing(
                format!("the token sees no project of {}, so no issue either", self.wire.organization),
                "add the token's owner to the team of the project",
            ));
        }
        // Where it may not be asked, the list is believed.
        self.known().sees_projects = true;
        Ok(())
    }

    /// What GlitchTip has apart from its list: events by hour. Its user counts are never counted.
    pub(super) async fn fill(&self, base: &Url, items: &mut [Issue]) {
        for item in items.iter_mut() {
            item.users = item.users.filter(|users| *users > 0);
        }
        let wanted: Vec<String> = items.iter().take(PAGE).map(|issue| issue.id.clone()).collect();
        if wanted.is_empty() {
            return;
        }
        let mut query: Vec<(&str, &str)> = wanted.iter().map(|id| ("groups", id.as_str())).collect();
        query.push(("statsPeriod", "24h"));
        let path = ["0", "organizations", self.wire.organization.as_str(), "issues-stats"];
        // Without them the list is still right.
        let Ok(answer) = self.wire.fetch(Ask::get(Endpoint::Hours, base, &path, &query)).await else { return };
        let mut by_id = parse::hours_by_id(&answer.body, clock::now());
        for item in items {
            if let Some(hours) = by_id.remove(&item.id) {
                item.hours = hours;
            }
        }
    }

    /// Takes note of how an issue stands since it was changed.
    pub(super) fn stands(&self, issue: &str, now: IssueState) {
        if let Some((state, _)) = self.known().issues.get_mut(issue) {
            *state = now;
        }
    }

    /// The kind of server, where it was found out.
    pub(super) fn known_server(&self) -> Option<Server> {
        self.known().server
    }

    /// How the issue stood when it was last seen.
    pub fn state_of(&self, issue: &str) -> Option<IssueState> {
        self.known().issues.get(issue).map(|(state, _)| *state)
    }

    /// The issue's page.
    pub fn page_of(&self, issue: &str) -> Option<String> {
        self.known().issues.get(issue)?.1.clone()
    }
}

/// A duration as the API writes it: `24h`, `14d`.
pub fn period_text(period: Duration) -> String {
    let seconds = period.as_secs().max(1);
    match seconds {
        // A day is written as the API's own documentation does.
        86_400 => "24h".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}
