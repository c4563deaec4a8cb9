//! A cron monitor of Sentry that a backup's job checks in with: when it last ended well, how long it took, whether it was missed.
//! Read-only.
//!
//! What does not belong here: the tracker's issues and all its monitors at a glance (the kind `sentry`), the verdict on a promise
//! (`rules::backups`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `parse` | what the server says; pure |

mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::client::{Client, Keys, Server};
use super::refusal::Endpoint;
use super::wire::{Ask, Wire};
use super::{complaint, hosted, reaches, server, written};
use crate::backups::plan;
use crate::config::value::Dur;
use crate::domain::{Capability, Data, Observation, Problem, SourceError};
use crate::io::secret::SecretRef;
use crate::io::{api, clock};
use crate::sources::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Reach, Source, SourceConfig, SourceSpec};

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(120);
/// The time limit of one poll where none is configured.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Check-ins that are asked for.
const CHECKINS: &str = "60";

/// The keys of one monitor.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server itself, without `/api/0/`; the hosted service when not given.
    #[serde(default = "hosted")]
    pub url: String,
    /// The organization's slug, as in the address of its pages.
    pub organization: String,
    /// The monitor's slug, as in the address of its page.
    pub monitor: String,
    /// The environment whose check-ins count; may be left out where there is only one.
    pub environment: Option<String>,
    /// The token, which needs the scope org:read or alerts:read. When not given, `SENTRY_AUTH_TOKEN` and `~/.sentryclirc` are looked at.
    pub token: Option<SecretRef>,
    /// The promise: how old the last good check-in may be; the distance of the monitor's schedule and its margin when not given.
    pub max_age: Option<Dur>,
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all: Vec<Complaint> = written(&self.url).into_iter().collect();
        for (key, text) in [("organization", &self.organization), ("monitor", &self.monitor)] {
            if !super::parse::is_id(text) {
                let help = "it is the word in the address of its page: letters, digits, '-' and '_'";
                all.push(complaint(key, "this is no slug".to_owned(), help));
            }
        }
        if self.environment.as_deref().is_some_and(|environment| environment.trim().is_empty()) {
            all.push(complaint("environment", "the environment is empty".to_owned(), "leave the key out where there is only one"));
        }
        all.extend(plan::complaints(self.max_age, None, None));
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        self.token.iter().map(|token| (vec!["token".to_owned()], token)).collect()
    }

    fn reaches(&self, _: &BuildContext) -> Vec<Reach> {
        reaches(&self.url)
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        let spec = self.spec(context);
        let url = server(&self.url).map_err(|reason| SourceError::config(format!("the address of the tracker is not right: {reason}"), "correct `url`"))?;
        let (organization, token) = (self.organization.clone(), self.token.clone());
        let wire = Wire { url, organization, project: None, token, timeout: spec.timeout, context: context.clone(), kept: Mutex::default() };
        let keys = Keys { environment: self.environment.clone(), query: None, period: Dur::days(1), sort: None, queries: BTreeMap::new() };
        let source = Watched {
            client: Client::new(wire, keys),
            monitor: self.monitor.clone(),
            promised: self.max_age.map(Dur::get),
            allowed: None,
            every: spec.every,
            timeout: spec.timeout,
        };
        Ok(Built { spec, source: Box::new(source), service: None })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        SourceSpec::of(context, Capability::Backup, EVERY, TIMEOUT, format!("{}/{}", self.organization, self.monitor))
    }
}

/// One monitor that is read.
struct Watched {
    client: Client,
    monitor: String,
    promised: Option<Duration>,
    /// How long after a check-in the next must be there, as seen when it could be told last: not while it is bad.
    allowed: Option<Duration>,
    every: Duration,
    timeout: Duration,
}

impl Watched {
    async fn poll(&mut self) -> Result<Collected, SourceError> {
        let (client, slug) = (&self.client, self.monitor.as_str());
        let kind = client.server().await?;
        if kind == Server::GlitchTip {
            let message = "this is a GlitchTip: its monitors look at addresses, no job checks in with them";
            return Err(SourceError::config(message, "watch the copies by a kind of their own, or let the job ping a Healthchecks"));
        }
        let base = client.base(kind).await?;
        let (organization, wanted) = (client.wire.organization.as_str(), client.keys.environment.as_deref());
        let query: Vec<(&str, &str)> = wanted.into_iter().map(|environment| ("environment", environment)).collect();
        let answer = client.wire.ask(Ask::get(Endpoint::Crons, &base, &["0", "organizations", organization, "monitors", slug], &query)).await?;
        if answer.status == 404 {
            let message = format!("{organization} has no monitor {slug} on {}", api::place(&client.wire.url));
            return Err(SourceError::config(message, "check `organization` and `monitor`: the slugs in the address of its page"));
        }
        let answer = client.accept(answer, Endpoint::Crons).await?;
        let monitor = parse::monitor(&answer.body, slug, wanted)?;
        let path = ["0", "organizations", organization, "monitors", slug, "checkins"];
        let query = [("per_page", CHECKINS), ("environment", monitor.environment.as_str())];
        let mut problems = Vec::new();
        let history = client.wire.fetch(Ask::get(Endpoint::Crons, &base, &path, &query)).await.and_then(|answer| parse::runs(&answer.body));
        // The monitor tells how it stands; the history is more.
        let runs = history.unwrap_or_else(|error| {
            problems.push(Problem { subject: "history".to_owned(), message: error.message });
            Vec::new()
        });
        self.allowed = parse::allowed(&monitor).or(self.allowed);
        let now = clock::now();
        let mut backup = parse::backup(&monitor, runs, self.promised.or(self.allowed), now)?;
        backup.place = format!("{} on {}", monitor.name, api::place(&self.client.wire.url));
        let complete = problems.is_empty();
        Ok(Collected { observations: vec![Observation { at: now, data: Data::Backup(Box::new(backup)) }], problems, complete })
    }
}

impl Source for Watched {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        let limit = self.timeout;
        // Several requests are bounded as one.
        Box::pin(super::bounded(limit, self.poll()))
    }
}

/// Any bytes as the server's answers, for fuzzing: must not panic.
pub(super) fn fuzz(bytes: &[u8]) {
    parse::fuzz(bytes);
}
