//! Healthchecks, hosted or your own: a check that a backup job pings, as a data set with the history of its runs. Read-only.
//!
//! What does not belong here: the verdict on a promise (`rules::backups`); cron monitors of a tracker (`sentry`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `client` | requests, and what a refusal means |
//! | `parse` | what it says; pure |

mod client;
mod parse;
#[cfg(test)]
mod tests;

use std::sync::Mutex;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use self::client::Client;
pub use self::parse::fuzz;
use super::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Reach, Source, SourceConfig, SourceSpec};
use crate::backups::plan;
use crate::config::value::Dur;
use crate::domain::backup::JobRun;
use crate::domain::{Capability, Data, Observation, Problem, SourceError};
use crate::io::secret::SecretRef;
use crate::io::{api, clock};

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(120);
/// The time limit of one poll where none is configured.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The hosted service.
const HOSTED: &str = "https://healthchecks.io";
/// Changes between up and down are asked for so far back, in seconds: 60 days, as the calendar has.
const BACK_S: &str = "5184000";

/// The keys of one check.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server itself, without `/api/v3/`; the hosted service when not given.
    pub url: Option<String>,
    /// A key of the project; a read-only one is enough.
    pub token: SecretRef,
    /// The check: its slug, name or id. May be left out where the project has only one.
    pub check: Option<String>,
    /// The promise: how old the last good ping may be; the check's own interval and grace time when not given.
    pub max_age: Option<Dur>,
}

impl Config {
    fn server(&self) -> Result<Url, String> {
        let text = self.url.as_deref().unwrap_or(HOSTED).trim().trim_end_matches('/');
        let text = ["/api/v1", "/api/v2", "/api/v3"].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err("it does not begin with https:// and a name".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err("it holds more than the server's own address".to_owned());
        }
        Ok(url)
    }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let complaint = |key: &str, message: String, help: &str, warning| Complaint { path: vec![key.to_owned()], message, help: help.to_owned(), warning };
        let mut all = plan::complaints(self.max_age, None, None);
        match self.server() {
            Err(reason) => {
                let help = "write the server's own address, such as \"https://hc.example.com\"";
                all.push(complaint("url", format!("the address is not right: {reason}"), help, false));
            }
            Ok(url) if url.scheme() == "http" && !api::is_loopback(&url) => {
                let message = "the key goes over the network for all to read".to_owned();
                all.push(complaint("url", message, "write https:// where the server has it", true));
            }
            Ok(_) => {}
        }
        if self.check.as_deref().is_some_and(|check| check.trim().is_empty()) {
            all.push(complaint("check", "the check is empty".to_owned(), "write its slug, name or id", false));
        }
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        vec![(vec!["token".to_owned()], &self.token)]
    }

    fn reaches(&self, _: &BuildContext) -> Vec<Reach> {
        self.server().map_or_else(|_| Vec::new(), |url| Reach::service(&url))
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        let spec = self.spec(context);
        let url = self.server().map_err(|reason| SourceError::config(format!("the address of the server is not right: {reason}"), "correct `url`"))?;
        let client =
            Client { url, token: self.token.clone(), timeout: spec.timeout, context: context.clone(), kept: Mutex::default(), version: Mutex::default() };
        let check = self.check.as_deref().map(|check| check.trim().to_owned());
        let promised = self.max_age.map(Dur::get);
        let source = Watched { client, check, promised, allowed: None, told: None, every: spec.every, timeout: spec.timeout };
        Ok(Built { spec, source: Box::new(source), service: None })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        SourceSpec::of(context, Capability::Backup, EVERY, TIMEOUT, self.check.clone().unwrap_or_else(|| self.url.clone().unwrap_or_else(|| HOSTED.to_owned())))
    }
}

/// One check that is read.
struct Watched {
    client: Client,
    check: Option<String>,
    promised: Option<Duration>,
    /// How long after a ping the next must be there, as seen when it could be told last: not while the job runs or is down.
    allowed: Option<Duration>,
    /// What the newest failed ping that has a text says, by its number.
    told: Option<(u64, Vec<String>)>,
    every: Duration,
    timeout: Duration,
}

impl Watched {
    /// The history of the check. With a read-only key there are no pings, only its changes between up and down.
    async fn runs(&mut self, check: &parse::Check) -> Result<Vec<JobRun>, SourceError> {
        let Some(uuid) = check.uuid() else {
            let Some(key) = check.unique_key() else { return Ok(parse::runs_of_flips(check, &[])) };
            let flips = self.client.of_check(key, &["flips", ""], &[("seconds", BACK_S)]).await?;
            return Ok(parse::runs_of_flips(check, &parse::flips(&flips)?));
        };
        let (mut runs, text) = parse::runs_of_pings(&self.client.of_check(uuid, &["pings", ""], &[]).await?)?;
        if let (Some(number), Some(failed)) = (text, runs.iter_mut().rev().find(|run| run.ok == Some(false) && run.ended.is_some())) {
            if self.told.as_ref().is_none_or(|(known, _)| *known != number) {
                // Texts are not kept for ever; without it the failure is one all the same.
                let body = self.client.of_check(uuid, &["pings", &number.to_string(), "body"], &[]).await.unwrap_or_default();
                let body = String::from_utf8_lossy(&body);
                self.told = Some((number, JobRun::tail(&body)));
            }
            if let Some((_, lines)) = &self.told {
                failed.message = lines.last().map_or_else(String::new, |line| line.trim().to_owned());
                failed.output.clone_from(lines);
            }
        }
        Ok(runs)
    }

    async fn poll(&mut self) -> Result<Collected, SourceError> {
        let check = parse::choose(parse::checks(&self.client.checks().await?)?, self.check.as_deref())?;
        let mut problems = Vec::new();
        let runs = match self.runs(&check).await {
            Ok(runs) => runs,
            // The list tells how it stands; the history is more.
            Err(error) => {
                problems.push(Problem { subject: "history".to_owned(), message: error.message });
                parse::runs_of_flips(&check, &[])
            }
        };
        self.allowed = parse::allowed(&check).or(self.allowed);
        let now = clock::now();
        let mut backup = parse::backup(&check, runs, self.promised.or(self.allowed), now)?;
        backup.place = format!("{} on {}", check.said(), api::place(&self.client.url));
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
        Box::pin(async move { tokio::time::timeout(limit, self.poll()).await.unwrap_or_else(|_| Err(SourceError::timeout(limit))) })
    }
}
