//! One issue looked at: its latest event or another one, the release it was first seen in, how its tags are spread.
//!
//! What does not belong here: reading an event (`event`), when to ask (`state::details`).
//!
//! Facts: Sentry's OpenAPI document (`issues/{id}/events/{latest|oldest|ID}/`, `issues/{id}/`), its `group_tags` endpoint, and
//! GlitchTip's sources, which have all three without the organization only.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use url::Url;

use super::client::{Client, Server};
use super::refusal::Endpoint;
use super::wire::{Answer, Ask};
use super::{event, parse};
use crate::domain::{ErrorEvent, SourceError, TagSpread};

/// Issues of which the spread and the first release are kept, for their other events.
const KEPT: usize = 16;

/// What is true of all events of an issue.
#[derive(Debug, Clone, Default)]
struct About {
    issue: String,
    first_release: Option<String>,
    spread: Vec<TagSpread>,
}

/// What was found out about issues that were looked at.
#[derive(Debug, Default)]
pub struct Looked(Mutex<VecDeque<About>>);

impl Looked {
    fn get(&self, issue: &str) -> Option<About> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|about| about.issue == issue).cloned()
    }

    fn put(&self, about: About) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|known| known.issue != about.issue);
        kept.push_back(about);
        while kept.len() > KEPT {
            kept.pop_front();
        }
    }
}

impl Client {
    /// An event of an issue: the latest, or the one of this id. With it what is known of all of them, where the server tells it.
    ///
    /// # Errors
    /// As [`Client::page`]; also when the event is not kept any more.
    pub async fn event(&self, issue: &str, part: Option<&str>) -> Result<ErrorEvent, SourceError> {
        let which = part.unwrap_or("latest");
        if !parse::is_id(issue) || !parse::is_id(which) {
            return Err(SourceError::config("this is no id of an event", "name an issue, and an event by the id that its neighbour gives"));
        }
        let server = self.server().await?;
        let base = self.base(server).await?;
        let environment: Vec<(&str, &str)> = self.keys.environment.as_deref().map(|environment| ("environment", environment)).into_iter().collect();
        let answer = self.of_issue(server, &base, Endpoint::Event, &[issue, "events", which], &environment).await?;
        let mut event = read(answer.body, |body| event::event(&body)).await?;
        // What is true of all events is asked with the latest one; its neighbours need not ask again.
        let known = if part.is_some() { self.looked.get(issue) } else { None };
        let about = match known {
            Some(about) => about,
            None => self.about(server, &base, issue, &environment).await,
        };
        (event.first_release, event.spread) = (about.first_release, about.spread);
        Ok(event)
    }

    /// What is true of all events of an issue. Without it an event is still worth reading.
    async fn about(&self, server: Server, base: &Url, issue: &str, environment: &[(&str, &str)]) -> About {
        let mut about = About { issue: issue.to_owned(), ..About::default() };
        if let Ok(answer) = self.of_issue(server, base, Endpoint::Tags, &[issue, "tags"], environment).await {
            about.spread = read(answer.body, |body| event::spread(&body)).await.unwrap_or_default();
        }
        if let Ok(answer) = self.of_issue(server, base, Endpoint::Issue, &[issue], &[]).await {
            about.first_release = read(answer.body, |body| Ok(event::first_release(&body))).await.ok().flatten();
        }
        self.looked.put(about.clone());
        about
    }

    /// Asks for something below an issue, where this server has it.
    pub(super) async fn of_issue(&self, server: Server, base: &Url, endpoint: Endpoint, below: &[&str], query: &[(&str, &str)]) -> Result<Answer, SourceError> {
        let long: Vec<&str> = ["0", "organizations", self.wire.organization.as_str(), "issues"].iter().chain(below).copied().collect();
        let short: Vec<&str> = ["0", "issues"].iter().chain(below).copied().collect();
        let secret = self.wire.token().await?;
        let path = if server == Server::GlitchTip { &short } else { &long };
        let mut answer = self.wire.ask(Ask::get(endpoint, base, path, query)).await?;
        if matches!(answer.status, 404 | 405) && server == Server::Sentry {
            // Older servers have it without the organization.
            answer = self.wire.ask(Ask::get(endpoint, base, &short, query)).await?;
        }
        self.wire.good(answer, endpoint, Some(&secret))
    }
}

/// Reads an answer away from the tasks' threads: an event may be megabytes.
async fn read<T: Send + 'static>(body: Vec<u8>, read: impl FnOnce(Vec<u8>) -> Result<T, String> + Send + 'static) -> Result<T, SourceError> {
    let read = tokio::task::spawn_blocking(move || read(body)).await;
    read.unwrap_or_else(|_| Err("the answer could not be read".to_owned())).map_err(SourceError::protocol)
}
