//! One Bugsink: requests with the token, and what a refusal means.
//!
//! What does not belong here: reading answers (`parse`), intervals and retries (`runner`).
//!
//! Facts: Bugsink's own sources, `*/api_views.py` below `api/canonical/0/`; the token is global and belongs to nobody.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::parse::{self, Project, Rows};
use crate::domain::SourceError;
use crate::io::api;
use crate::io::secret::{self, Secret, SecretRef};
use crate::sources::BuildContext;

/// An answer is not larger than this. A stored event may have a megabyte by the server's own default.
const BODY_BYTES: u64 = 8 << 20;
/// Pages of projects that are looked at.
const PROJECT_PAGES: usize = 4;

/// One server.
#[derive(Debug)]
pub struct Client {
    /// Its address, without `/api/canonical/0/`.
    pub url: Url,
    /// The token.
    pub token: SecretRef,
    /// The time limit of one request.
    pub timeout: Duration,
    /// Where the token is looked for.
    pub context: BuildContext,
    /// The token as it was found; looked for again when it was refused.
    pub kept: Mutex<Option<Secret>>,
}

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

    /// The body of a good answer. The path is below `api/canonical/0/`; every address ends with a slash, as the server's own do.
    async fn ask(&self, method: Method, path: &[&str], query: &[(&str, &str)], sent: Option<&Value>) -> Result<Vec<u8>, SourceError> {
        let mut url = self.url.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(["api", "canonical", "0"]).extend(path).push("");
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let token = self.secret().await?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| {
            SourceError::config("the token holds characters that no token has", "look for line breaks and quotes in the place that `token` points to")
        })?;
        value.set_sensitive(true);
        let mut request = api::client(&url)?.request(method, url.clone()).timeout(self.timeout).header(ACCEPT, "application/json").header(AUTHORIZATION, value);
        if let Some(sent) = sent {
            request = request.json(sent);
        }
        let mut response = request.send().await.map_err(|error| api::failure(&error, &url, self.timeout))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match api::body(&mut response, BODY_BYTES, self.timeout).await {
            Ok(body) => body,
            // A refusal is one, also with half of its words.
            Err(_) if !status.is_success() => Vec::new(),
            Err(error) => return Err(error),
        };
        if status == StatusCode::UNAUTHORIZED {
            // A new one may have been put in its place.
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        if !status.is_success() {
            return Err(self.refusal(status, &headers, &body, token.expose()));
        }
        if is_html(&headers) {
            return Err(SourceError::protocol(format!("{} answers with a web page instead of data", api::place(&self.url))));
        }
        Ok(body)
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8], token: &str) -> SourceError {
        let place = api::place(&self.url);
        let said = parse::said(body).map(|said| if token.is_empty() { said } else { said.replace(token, "***") });
        let with = |sentence: String| said.as_ref().map_or(sentence.clone(), |said| format!("{sentence}: {said}"));
        let code = status.as_u16();
        match code {
            401 => SourceError::auth(
                with(format!("{place} refuses the token")),
                "make a token on its page of tokens, 40 letters and digits, and put it where `token` points to",
            ),
            403 => SourceError::auth(with(format!("{place} does not let this token do that")), "give the token the right on its page of tokens"),
            404 if is_html(headers) || body.is_empty() => {
                let mut error = SourceError::status(code, format!("{place} serves no such interface (404)"));
                "check `url`: it names the server itself, and the Bugsink there must be new enough to have an interface of its own"
                    .clone_into(&mut error.remedy);
                error
            }
            404 => SourceError::status(code, format!("{place} does not know that any more (404)")),
            429 => {
                let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|value| value.trim().parse().ok()).unwrap_or(30);
                SourceError::rate_limited(with(format!("{place} asks to be asked less often")), Some(Duration::from_secs(after)))
            }
            300..=399 => {
                let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("another address");
                let to: String = to.chars().filter(|c| !c.is_control()).take(200).collect();
                SourceError::protocol(format!("{place} sends on to {to}; write the address it ends at as `url`"))
            }
            400 => SourceError::status(code, with(format!("{place} does not accept that"))),
            _ => SourceError::status(code, with(format!("{place} answers {code}"))),
        }
    }

    async fn page(&self, path: &[&str], query: &[(&str, &str)], cursor: Option<&str>) -> Result<Rows, SourceError> {
        let mut query = query.to_vec();
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let body = self.ask(Method::GET, path, &query, None).await?;
        parse::rows(&body).map_err(SourceError::protocol)
    }

    /// The projects that the token sees.
    ///
    /// # Errors
    /// When the server cannot be asked, or gives another answer.
    pub async fn projects(&self) -> Result<Vec<Project>, SourceError> {
        let mut all = Vec::new();
        let mut cursor = None;
        for _ in 0..PROJECT_PAGES {
            let page = self.page(&["projects"], &[], cursor.as_deref()).await?;
            all.extend(parse::projects(&page.rows));
            if page.cursor.is_none() || page.cursor == cursor {
                break;
            }
            cursor = page.cursor;
        }
        Ok(all)
    }

    /// One page of a project's issues, the last seen first.
    ///
    /// # Errors
    /// As [`Client::projects`].
    pub async fn issues(&self, project: &str, cursor: Option<&str>) -> Result<Rows, SourceError> {
        self.page(&["issues"], &[("project", project), ("sort", "last_seen"), ("order", "desc")], cursor).await
    }

    /// The ids of an issue's newest events, the newest first.
    ///
    /// # Errors
    /// As [`Client::projects`].
    pub async fn events(&self, issue: &str) -> Result<Vec<String>, SourceError> {
        Ok(parse::ids(&self.page(&["events"], &[("issue", issue), ("order", "desc")], None).await?.rows))
    }

    /// One event with all that the SDK sent.
    ///
    /// # Errors
    /// As [`Client::projects`].
    pub async fn event(&self, event: &str) -> Result<Vec<u8>, SourceError> {
        self.ask(Method::GET, &["events", event], &[], None).await
    }

    /// One issue as it stands.
    ///
    /// # Errors
    /// As [`Client::projects`].
    pub async fn issue(&self, issue: &str) -> Result<Value, SourceError> {
        parse::json(&self.ask(Method::GET, &["issues", issue], &[], None).await?).map_err(SourceError::protocol)
    }

    /// Does something to one issue; gives it as it stands then.
    ///
    /// # Errors
    /// As [`Client::projects`]; also when the issue is not in a state in which that can be done.
    pub async fn act(&self, issue: &str, deed: &str, sent: Option<&Value>) -> Result<Value, SourceError> {
        parse::json(&self.ask(Method::POST, &["issues", issue, deed], &[], sent).await?).map_err(SourceError::protocol)
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html"))
}
