//! One project of a Healthchecks server: requests with its key, and what a refusal means.
//!
//! What does not belong here: reading answers (`parse`), intervals and retries (`runner`).
//!
//! Facts: the server's own sources, `hc/api/urls.py`, `views.py` and `decorators.py`. A slash ends the address of a list and nothing else.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::domain::SourceError;
use crate::io::api;
use crate::io::secret::{self, Secret, SecretRef};
use crate::sources::BuildContext;

/// An answer is not larger than this: all checks of a project, or a thousand pings.
const BODY_BYTES: u64 = 8 << 20;
/// The server's limit is by the minute and it does not say when it ends.
const LIMIT_S: u64 = 60;

/// One server, seen with the key of one project.
#[derive(Debug)]
pub(super) struct Client {
    /// Its address, without `/api/v3/`.
    pub url: Url,
    /// The project's key.
    pub token: SecretRef,
    /// The time limit of one request.
    pub timeout: Duration,
    /// Where the key is looked for.
    pub context: BuildContext,
    /// The key as it was found; looked for again when it was refused.
    pub kept: Mutex<Option<Secret>>,
    /// The version of its interface that it was found to have; `None`: not asked yet.
    pub version: Mutex<Option<&'static str>>,
}

/// The versions that are tried, in this order.
const VERSIONS: [&str; 2] = ["v3", "v1"];

impl Client {
    async fn secret(&self) -> Result<Secret, SourceError> {
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = secret::resolve(&self.token, &self.context.base, self.context.trusted).await?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    /// All checks of the project.
    ///
    /// # Errors
    /// When the server cannot be asked, or refuses.
    pub(super) async fn checks(&self) -> Result<Vec<u8>, SourceError> {
        let known = *self.version.lock().unwrap_or_else(PoisonError::into_inner);
        for version in VERSIONS.into_iter().filter(|version| known.is_none_or(|known| known == *version)) {
            match self.ask(version, &["checks", ""], &[]).await {
                // An old server has no third version.
                Err((Some(StatusCode::NOT_FOUND), _)) if known.is_none() && version != VERSIONS[VERSIONS.len() - 1] => {}
                Err((_, error)) => return Err(error),
                Ok(body) => {
                    *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
                    return Ok(body);
                }
            }
        }
        Err(SourceError::protocol("the server has no interface that is known"))
    }

    /// Something of one check: `pings`, `flips`, the body of a ping.
    ///
    /// # Errors
    /// As [`Client::checks`].
    pub(super) async fn of_check(&self, check: &str, path: &[&str], query: &[(&str, &str)]) -> Result<Vec<u8>, SourceError> {
        let version = self.version.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(VERSIONS[0]);
        let path: Vec<&str> = ["checks", check].iter().chain(path).copied().collect();
        self.ask(version, &path, query).await.map_err(|(_, error)| error)
    }

    async fn ask(&self, version: &str, path: &[&str], query: &[(&str, &str)]) -> Result<Vec<u8>, (Option<StatusCode>, SourceError)> {
        let mut url = self.url.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(["api", version]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let plain = |error: SourceError| (None, error);
        let token = self.secret().await.map_err(plain)?;
        let mut value = HeaderValue::try_from(token.expose()).map_err(|_| {
            plain(SourceError::config("the key holds characters that no key has", "look for line breaks and quotes in the place that `token` points to"))
        })?;
        value.set_sensitive(true);
        let client = api::client(&url).map_err(plain)?;
        let request = client.request(Method::GET, url.clone()).timeout(self.timeout).header(ACCEPT, "application/json");
        let request = request.header(HeaderName::from_static("x-api-key"), value);
        let mut response = request.send().await.map_err(|error| plain(api::failure(&error, &url, self.timeout)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status == StatusCode::UNAUTHORIZED {
            // A new one may have been put in its place.
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        if !status.is_success() {
            return Err((Some(status), self.refusal(status, &headers)));
        }
        let body = api::body(&mut response, BODY_BYTES, self.timeout).await.map_err(plain)?;
        if is_html(&headers) {
            return Err(plain(SourceError::protocol(format!("{} answers with a web page instead of data", api::place(&self.url)))));
        }
        Ok(body)
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap) -> SourceError {
        let place = api::place(&self.url);
        match status.as_u16() {
            401 => SourceError::auth(
                format!("{place} refuses the key"),
                "take the key of this project from its settings, 32 characters (a read-only one is enough), and put it where `token` points to",
            ),
            403 => SourceError::auth(format!("{place} does not show that to this key"), "take the key of the project that the check belongs to"),
            404 => {
                let mut error = SourceError::status(404, format!("{place} serves no such interface (404)"));
                "check `url`: it names the server itself, the page where people log in".clone_into(&mut error.remedy);
                error
            }
            429 => {
                let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|value| value.trim().parse().ok()).unwrap_or(LIMIT_S);
                SourceError::rate_limited(format!("{place} asks to be asked less often"), Some(Duration::from_secs(after)))
            }
            300..=399 => {
                let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("another address");
                let to: String = to.chars().filter(|c| !c.is_control()).take(200).collect();
                SourceError::protocol(format!("{place} sends on to {to}; write the address it ends at as `url`"))
            }
            code => SourceError::status(code, format!("{place} answers {code}")),
        }
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html"))
}
