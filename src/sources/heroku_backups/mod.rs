//! Backups of Heroku Postgres: the logical backups of one application's database, by Heroku's data service. Read-only.
//!
//! What does not belong here: deploys and dynos of the application (the kind `heroku`), the verdict on a promise (`rules::backups`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `parse` | what the service says; pure |

mod parse;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

pub use self::parse::fuzz;
use super::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Reach, Source, SourceConfig, SourceSpec};
use crate::backups::{self, Promise, plan};
use crate::config::value::{Dur, Size};
use crate::domain::{Capability, Data, Observation, SourceError};
use crate::io::secret::{self, Secret, SecretRef};
use crate::io::{api, clock};

/// The interval where none is configured: backups come once a day.
const EVERY: Duration = Duration::from_secs(600);
/// The time limit of one poll where none is configured.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The data service.
const HOSTED: &str = "https://api.data.heroku.com";
/// An answer is not larger than this.
const BODY_BYTES: u64 = 8 << 20;
/// A time to wait that is larger is a date: an old service told seconds since 1970.
const YEAR_S: i64 = 366 * 86_400;
/// How long to wait where the service does not say.
const LIMIT_S: u64 = 60;

/// The keys of one database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The data service; Heroku's own when not given.
    pub url: Option<String>,
    /// The application.
    pub app: String,
    /// A token that may read it.
    pub token: SecretRef,
    /// The database, such as `DATABASE`; may be left out where only one has backups.
    pub database: Option<String>,
    /// The promise: how old the last good copy may be; 26 hours when not given.
    pub max_age: Option<Dur>,
    /// The promise: how small a copy may be, such as `"10MiB"`.
    pub min_size: Option<Size>,
    /// The promise: how many copies there are at least.
    #[schemars(range(min = 1))]
    pub retention: Option<u32>,
}

impl Config {
    fn server(&self) -> Result<Url, String> {
        let url = Url::parse(self.url.as_deref().unwrap_or(HOSTED).trim()).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err("it does not begin with https:// and a name".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err("it holds more than the service's own address".to_owned());
        }
        Ok(url)
    }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let complaint = |key: &str, message: String, help: &str, warning| Complaint { path: vec![key.to_owned()], message, help: help.to_owned(), warning };
        let mut all = plan::complaints(self.max_age, None, None);
        match self.server() {
            Err(reason) => all.push(complaint("url", format!("the address is not right: {reason}"), "leave it out for Heroku's own service", false)),
            Ok(url) if url.scheme() == "http" && !api::is_loopback(&url) => {
                all.push(complaint("url", "the token goes over the network for all to read".to_owned(), "write https://", true));
            }
            Ok(_) => {}
        }
        let is_name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_name(&self.app) {
            all.push(complaint("app", "this is no name of an application".to_owned(), "write its name or its id, as Heroku does", false));
        }
        if self.database.as_deref().is_some_and(|database| database.trim().is_empty()) {
            all.push(complaint("database", "the database is empty".to_owned(), "write such as \"DATABASE\"", false));
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
        let url = self.server().map_err(|reason| SourceError::config(format!("the address of the service is not right: {reason}"), "correct `url`"))?;
        let promise = Promise::new(self.max_age, self.min_size, self.retention, None, None);
        let source = Watched { url, config: self.clone(), context: context.clone(), promise, every: spec.every, timeout: spec.timeout, kept: Mutex::default() };
        Ok(Built { spec, source: Box::new(source), service: None })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        SourceSpec::of(context, Capability::Backup, EVERY, TIMEOUT, self.app.clone())
    }
}

/// One application's backups.
struct Watched {
    url: Url,
    config: Config,
    context: BuildContext,
    promise: Promise,
    every: Duration,
    timeout: Duration,
    /// The token as it was found; looked for again when it was refused.
    kept: Mutex<Option<Secret>>,
}

impl Watched {
    async fn secret(&self) -> Result<Secret, SourceError> {
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = secret::resolve(&self.config.token, &self.context.base, self.context.trusted).await?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    async fn transfers(&self) -> Result<Vec<u8>, SourceError> {
        let mut url = self.url.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(["client", "v11", "apps", &self.config.app, "transfers"]);
        }
        let token = self.secret().await?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| {
            SourceError::config("the token holds characters that no token has", "look for line breaks and quotes in the place that `token` points to")
        })?;
        value.set_sensitive(true);
        let request = api::client(&url)?.get(url.clone()).timeout(self.timeout).header(AUTHORIZATION, value);
        let request = request.header(ACCEPT, "application/vnd.heroku+json; version=3");
        let mut response = request.send().await.map_err(|error| api::failure(&error, &url, self.timeout))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status == StatusCode::UNAUTHORIZED {
            // A new one may have been put in its place.
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        // 206 is a list too: the service answers so to ranges.
        if !status.is_success() {
            return Err(self.refusal(status, &headers));
        }
        let body = api::body(&mut response, BODY_BYTES, self.timeout).await?;
        if headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| value.to_ascii_lowercase().starts_with("text/html")) {
            return Err(SourceError::protocol(format!("{} answers with a web page instead of data", api::place(&self.url))));
        }
        Ok(body)
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap) -> SourceError {
        let (place, app) = (api::place(&self.url), &self.config.app);
        match status.as_u16() {
            401 => SourceError::auth(
                format!("{place} refuses the token"),
                "make one with `heroku authorizations:create --scope read`, and put it where `token` points to",
            ),
            402 | 403 => SourceError::auth(format!("{place} does not show {app} to this token"), "take the token of an account that may see the application"),
            404 => SourceError::config(format!("{place} knows no application {app} with a database"), "check `app`: the name as `heroku apps` prints it"),
            429 => {
                let after: Option<i64> = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|value| value.trim().parse().ok());
                let after = after.map(|after| if after > YEAR_S { after - clock::now().timestamp() } else { after });
                let after = after.and_then(|after| u64::try_from(after).ok()).unwrap_or(LIMIT_S);
                SourceError::rate_limited(format!("{place} asks to be asked less often"), Some(Duration::from_secs(after)))
            }
            code @ 300..=399 => SourceError::protocol(format!("{place} sends on to another address ({code}), where no token is sent")),
            code => SourceError::status(code, format!("{place} answers {code}")),
        }
    }
}

impl Source for Watched {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(async move {
            let body = self.transfers().await?;
            let backup = parse::transfers(&body, self.config.database.as_deref(), &format!("{} on Heroku", self.config.app))?;
            let now = clock::now();
            let backup = backups::judge(backup, &self.promise, now);
            Ok(Collected { observations: vec![Observation { at: now, data: Data::Backup(Box::new(backup)) }], problems: Vec::new(), complete: true })
        })
    }
}
