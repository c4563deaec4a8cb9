//! One request to a tracker: the token put where it may go, limits kept before they refuse, the answer taken up to a bound.
//!
//! What does not belong here: what is asked and why (`client`), what a refusal means (`refusal`).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use url::Url;

use super::refusal::{self, Asked, Endpoint};
use super::token;
use crate::domain::SourceError;
use crate::io::secret::{Secret, SecretRef};
use crate::io::{api, clock};
use crate::sources::BuildContext;

/// A page of issues, unpacked, is not larger than this.
const BODY_BYTES: u64 = 8 << 20;
/// A wait for the next window of a limit that is sat out within a poll; a longer one ends it.
const SHORT_WAIT: Duration = Duration::from_secs(5);

/// What every request needs.
#[derive(Debug)]
pub struct Wire {
    /// The server, without `/api/0/`.
    pub url: Url,
    /// The organization's slug.
    pub organization: String,
    /// The project's slug or id.
    pub project: Option<String>,
    /// Where the token is.
    pub token: Option<SecretRef>,
    /// Bounds one request.
    pub timeout: Duration,
    /// For the token.
    pub context: BuildContext,
    /// What the answers so far told.
    pub kept: Mutex<Kept>,
}

/// What is kept between requests.
#[derive(Debug, Default)]
pub struct Kept {
    token: Option<Secret>,
    /// Before these times the endpoint is not asked again.
    closed: HashMap<Endpoint, Instant>,
}

/// An answer, of whatever status.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, unpacked.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether it is what was asked for.
    pub const fn is_good(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// One request.
pub struct Ask<'a> {
    /// What is asked; limits are counted by it.
    pub endpoint: Endpoint,
    /// The method.
    pub method: Method,
    /// The server or its region.
    pub base: &'a Url,
    /// Below `/api/`.
    pub path: &'a [&'a str],
    /// Pairs of the query.
    pub query: &'a [(&'a str, &'a str)],
    /// A JSON body.
    pub body: Option<serde_json::Value>,
}

impl<'a> Ask<'a> {
    /// A reading request.
    pub const fn get(endpoint: Endpoint, base: &'a Url, path: &'a [&'a str], query: &'a [(&'a str, &'a str)]) -> Self {
        Self { endpoint, method: Method::GET, base, path, query, body: None }
    }
}

impl Wire {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self) -> String {
        api::place(&self.url)
    }

    /// Whether the token may be sent there: to the server itself, and to what is below its name. A region elsewhere that an
    /// answer names is not believed, nor one that is less private.
    pub fn trusts(&self, other: &Url) -> bool {
        let own = &self.url;
        let (Some(host), Some(theirs)) = (own.host_str(), other.host_str()) else { return false };
        let below = |name: &str, of: &str| name.strip_suffix(of).is_some_and(|rest| rest.ends_with('.'));
        let same = theirs == host;
        // The hosted service's regions stand beside each other: us.sentry.io, de.sentry.io.
        let hosted = (host == "sentry.io" || below(host, "sentry.io")) && below(theirs, "sentry.io");
        let named = matches!(own.host(), Some(url::Host::Domain(_))) && below(theirs, host);
        (same || named || hosted) && other.scheme() == own.scheme()
    }

    /// Asks, with the token, and gives the answer whatever its status.
    ///
    /// # Errors
    /// When there is no token, no connection or no answer, or a limit says not yet.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Answer, SourceError> {
        self.wait_for(ask.endpoint).await?;
        let secret = if ask.endpoint == Endpoint::Settings { None } else { Some(self.token().await?) };
        let mut url = ask.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(ask.path).push("");
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(ask.query);
        }
        let mut request = api::client(&url)?.request(ask.method, url.clone()).timeout(self.timeout).header(ACCEPT, "application/json");
        if let Some(secret) = secret.as_ref().filter(|_| self.trusts(&url)) {
            let mut value = HeaderValue::try_from(format!("Bearer {}", secret.expose())).map_err(|_| {
                SourceError::config("the token holds characters that no token has", "look for line breaks and quotes in the place that `token` points to")
            })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|error| api::failure(&error, &url, self.timeout))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let now = clock::now();
        let closed = if status == 429 { refusal::wait(&headers, now) } else { refusal::spent(&headers, now).or_else(|| refusal::spread(&headers, now)) };
        if let Some(wait) = closed {
            self.kept().closed.insert(ask.endpoint, Instant::now() + wait);
        }
        let body = match api::body(&mut response, BODY_BYTES, self.timeout).await {
            Ok(body) => body,
            // A refusal is one, also with half of its words.
            Err(_) if status >= 300 => Vec::new(),
            Err(error) => return Err(error),
        };
        if status == 401 {
            // A new one may have been put in its place.
            self.kept().token = None;
        }
        Ok(Answer { status, headers, body })
    }

    /// The answer where it is one, else what it means.
    ///
    /// # Errors
    /// What the refusal means.
    pub fn good(&self, answer: Answer, endpoint: Endpoint, secret: Option<&Secret>) -> Result<Answer, SourceError> {
        if !answer.is_good() {
            let place = self.place();
            let asked =
                Asked { endpoint, place: &place, organization: &self.organization, project: self.project.as_deref(), token: secret.map(Secret::expose) };
            return Err(refusal::refusal(answer.status, &answer.headers, &answer.body, clock::now(), asked));
        }
        if refusal::is_html(&answer.headers) {
            return Err(SourceError::protocol(format!("{} answers with a web page instead of data", self.place())));
        }
        Ok(answer)
    }

    /// Asks for a good answer.
    ///
    /// # Errors
    /// As [`Wire::ask`] and [`Wire::good`].
    pub async fn fetch(&self, ask: Ask<'_>) -> Result<Answer, SourceError> {
        let endpoint = ask.endpoint;
        // The token as it was sent, for what must not be told.
        let secret = if endpoint == Endpoint::Settings { None } else { Some(self.token().await?) };
        let answer = self.ask(ask).await?;
        self.good(answer, endpoint, secret.as_ref())
    }

    /// The token, looked for once, and again after it was refused.
    ///
    /// # Errors
    /// When there is none.
    pub async fn token(&self) -> Result<Secret, SourceError> {
        if let Some(token) = &self.kept().token {
            return Ok(token.clone());
        }
        let found = token::find(self.token.as_ref(), &self.context, &self.url).await?;
        self.kept().token = Some(found.clone());
        Ok(found)
    }

    /// Waits for a limit's next window, when that is near; else says when.
    async fn wait_for(&self, endpoint: Endpoint) -> Result<(), SourceError> {
        let left = self.kept().closed.get(&endpoint).map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default();
        if left > SHORT_WAIT {
            let message = format!("{} allows no more requests of this sort for now", self.place());
            return Err(SourceError::rate_limited(message, Some(left + Duration::from_secs(1))));
        }
        tokio::time::sleep(left).await;
        Ok(())
    }
}
