//! What an answer that is none means for a person: which kind of error, in which words, with which remedy. Pure.
//!
//! What does not belong here: reading bodies (`parse`), asking (`client`).
//!
//! Facts: Sentry's `api/exceptions.py` (details as text or as an object), `middleware/ratelimit.py` (a bare JSON string, no
//! `Retry-After`, headers only where a limit is in force), and its OpenAPI document (scopes).

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{self, HeaderMap};

use super::parse;
use crate::domain::SourceError;

/// A wait that a server asks for is taken to be within these.
const WAIT_S: (i64, i64) = (1, 60);
/// Where it names the wait itself, it may be longer.
const LONG_WAIT_S: i64 = 3_600;

/// What is asked; limits are counted for each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The settings that anybody may read; asked without a token.
    Settings,
    /// The organization itself.
    Organization,
    /// Its projects.
    Projects,
    /// Its issues.
    Issues,
    /// Their events by hour, where they are apart.
    Hours,
    /// One event.
    Event,
    /// How an issue's tags are spread.
    Tags,
    /// One issue.
    Issue,
    /// A change of an issue.
    Change,
    /// The releases, with their deploys and commits.
    Releases,
    /// The cron monitors and their check-ins.
    Crons,
    /// What became of the events.
    Intake,
}

impl Endpoint {
    /// The scope that a token needs.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Settings | Self::Organization | Self::Crons | Self::Intake => "org:read",
            Self::Projects | Self::Releases => "project:read",
            Self::Issues | Self::Hours | Self::Event | Self::Tags | Self::Issue => "event:read",
            Self::Change => "event:write",
        }
    }
}

/// What is known when an answer is refused.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What was asked.
    pub endpoint: Endpoint,
    /// Host and port of the server.
    pub place: &'a str,
    /// The organization.
    pub organization: &'a str,
    /// The project, where one is configured.
    pub project: Option<&'a str>,
    /// The token; nothing that is told may hold it.
    pub token: Option<&'a str>,
}

/// The server's own words, on one line, short, and without the token.
fn words(said: &parse::Said, asked: Asked<'_>) -> Option<String> {
    let mut text = said.message.clone().or_else(|| said.code.clone())?;
    if let Some(token) = asked.token.filter(|token| !token.is_empty()) {
        text = text.replace(token, "***");
    }
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim().trim_end_matches('.').to_owned();
    (!text.is_empty()).then_some(text)
}

fn with(said: Option<&String>, sentence: &str) -> String {
    said.map_or_else(|| sentence.to_owned(), |said| format!("{sentence}: {said}"))
}

/// Why there is no answer in this answer.
pub fn refusal(status: u16, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>, asked: Asked<'_>) -> SourceError {
    let said = parse::said(body);
    let told = words(&said, asked);
    let told = told.as_ref();
    let Asked { place, organization, .. } = asked;
    match status {
        401 => unauthorized(&said, told, asked),
        403 => forbidden(headers, told, asked),
        404 => match (asked.endpoint, is_html(headers)) {
            (Endpoint::Event, _) => SourceError::status(status, "the tracker keeps no event of this issue any more"),
            (Endpoint::Change | Endpoint::Issue | Endpoint::Tags, false) => SourceError::status(status, "the tracker does not know this issue any more"),
            (_, true) => {
                let mut error = SourceError::status(status, format!("{place} serves no such interface (404)"));
                "check `url`: it names the tracker itself, without `/api/0/`".clone_into(&mut error.remedy);
                error
            }
            (_, false) => {
                let project =
                    asked.project.filter(|_| asked.endpoint == Endpoint::Issues).map(|project| format!(" with a project {project}")).unwrap_or_default();
                let mut error = SourceError::status(status, format!("{place} has no organization {organization}{project} that this token may see (404)"));
                "check `organization` and `project` against the address of the project's page, and what the token belongs to".clone_into(&mut error.remedy);
                error
            }
        },
        429 => {
            SourceError::rate_limited(with(told, &format!("{place} asks to be asked less often")), Some(wait(headers, now).unwrap_or(Duration::from_secs(30))))
        }
        300..=399 => moved(headers, &said, asked),
        400 | 422 => {
            let mut error = SourceError::status(status, with(told, &format!("{place} does not understand what it is asked ({status})")));
            "check `query`, `environment` and `period`".clone_into(&mut error.remedy);
            error
        }
        500..=599 => {
            let id = said.error_id.as_ref().map(|id| format!(" (its error {id})")).unwrap_or_default();
            let front = if is_html(headers) { ", and a web page instead of an answer" } else { "" };
            let mut error = SourceError::status(status, with(told, &format!("{place} has trouble of its own: {status}{front}{id}")));
            if let Some(after) = retry_after(headers, now) {
                error.retry_after_s = Some(after.as_secs());
            }
            error
        }
        _ => SourceError::status(status, with(told, &format!("{place} answered {status}"))),
    }
}

fn unauthorized(said: &parse::Said, told: Option<&String>, asked: Asked<'_>) -> SourceError {
    let remedy = match said.code.as_deref() {
        Some("sso-required") => "sign in to the organization once more with the account that made the token, or use the token of an internal integration",
        Some("2fa-required") => {
            "the organization wants two factors: set them up for the account that made the token, or use the token of an internal integration"
        }
        Some("member-disabled-over-limit") => "the account that made the token is disabled in the organization; ask its owner",
        _ => "make a new token with the scopes org:read, project:read and event:read, and put it where `token` points",
    };
    SourceError::auth(with(told, &format!("{} refuses the token (401)", asked.place)), remedy)
}

fn forbidden(headers: &HeaderMap, told: Option<&String>, asked: Asked<'_>) -> SourceError {
    // Newer servers name it: Bearer error="insufficient_scope", scope="event:read".
    let named = headers.get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).and_then(|challenge| {
        let scope = challenge.split("scope=\"").nth(1)?.split('"').next()?;
        let right = |c: char| c.is_ascii_lowercase() || matches!(c, ':' | '_' | '-' | ' ');
        (!scope.is_empty() && scope.len() < 100 && scope.chars().all(right)).then(|| scope.to_owned())
    });
    let scope = named.as_deref().unwrap_or(asked.endpoint.scope());
    let remedy = if asked.token.is_some_and(|token| token.starts_with("sntrys_")) {
        format!("an organization token can only upload: make a user token or an internal integration with the scope {scope}")
    } else {
        format!("give the token the scope {scope}, and its owner the right to see the project")
    };
    SourceError::auth(with(told, &format!("{} does not let the token do this; it needs {scope} (403)", asked.place)), remedy)
}

fn moved(headers: &HeaderMap, said: &parse::Said, asked: Asked<'_>) -> SourceError {
    if let Some(slug) = said.slug.as_deref().filter(|slug| parse::is_id(slug)) {
        return SourceError::config(
            format!("{} is now called {slug}", asked.project.unwrap_or(asked.organization)),
            format!("write {slug} in the configuration"),
        );
    }
    // Only where it leads is told; the rest of an address may hold a secret.
    let to = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).and_then(|to| url::Url::parse(to).ok());
    let to = to.filter(url::Url::has_host).map(|to| format!(" to {}://{}", to.scheme(), crate::io::api::place(&to))).unwrap_or_default();
    SourceError::protocol(format!("{} redirects{to}; the token is not sent after it", asked.place))
        .remedied("write as `url` the address that the tracker itself answers at")
}

/// Whether the answer is a web page.
pub fn is_html(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

fn whole(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The time by the server's own clock, where it says so: what it names is compared with it.
fn server_time(headers: &HeaderMap, now: DateTime<Utc>) -> DateTime<Utc> {
    let date = headers.get(header::DATE).and_then(|value| value.to_str().ok());
    date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()).map_or(now, |at| at.to_utc())
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse::<i64>().ok().or_else(|| {
        let at = DateTime::parse_from_rfc2822(text).ok()?;
        Some((at.to_utc() - server_time(headers, now)).num_seconds())
    })?;
    u64::try_from(seconds.clamp(WAIT_S.0, LONG_WAIT_S)).ok().map(Duration::from_secs)
}

fn until_reset(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let reset = whole(headers, "x-sentry-rate-limit-reset")?;
    let seconds = reset.saturating_sub(server_time(headers, now).timestamp());
    u64::try_from(seconds.clamp(WAIT_S.0, WAIT_S.1)).ok().map(Duration::from_secs)
}

/// How long a refused asker is to wait, where the answer says so.
pub fn wait(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    retry_after(headers, now).or_else(|| until_reset(headers, now))
}

/// How long to wait before the next request because this one was the last of its window. Self-hosted servers say nothing.
pub fn spent(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    (whole(headers, "x-sentry-rate-limit-remaining")? <= 0).then(|| until_reset(headers, now)).flatten()
}

/// How long to wait before the next request so that what is left of the window lasts: from its last quarter on the rest is spread over
/// the time there is. Others may be asking with the same token, and the count is theirs as well.
pub fn spread(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let crowded = whole(headers, "x-sentry-rate-limit-concurrentremaining").is_some_and(|left| left <= 0).then(|| Duration::from_secs(1));
    let (limit, left) = (whole(headers, "x-sentry-rate-limit-limit")?, whole(headers, "x-sentry-rate-limit-remaining")?);
    let sparse = left > 0 && left.saturating_mul(4) < limit;
    let share = sparse.then(|| until_reset(headers, now)).flatten().map(|time| time / u32::try_from(left.saturating_add(1)).unwrap_or(u32::MAX));
    crowded.max(share)
}

/// How many there are by the server's own count.
pub fn hits(headers: &HeaderMap) -> Option<u64> {
    whole(headers, "x-hits").and_then(|hits| u64::try_from(hits).ok())
}

/// A remedy of one's own.
trait Remedied {
    fn remedied(self, remedy: &str) -> Self;
}

impl Remedied for SourceError {
    fn remedied(mut self, remedy: &str) -> Self {
        remedy.clone_into(&mut self.remedy);
        self
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::domain::ErrorKind;

    const TOKEN: &str = "sntryu_5f1e";

    fn asked(endpoint: Endpoint) -> Asked<'static> {
        Asked { endpoint, place: "sentry.example", organization: "acme", project: Some("shop"), token: Some(TOKEN) }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn now() -> DateTime<Utc> {
        "2026-11-20T08:00:00Z".parse().unwrap()
    }

    fn told(status: u16, pairs: &[(&'static str, &str)], body: &str, endpoint: Endpoint) -> SourceError {
        let error = refusal(status, &headers(pairs), body.as_bytes(), now(), asked(endpoint));
        assert!(!error.message.contains(TOKEN) && !error.remedy.contains(TOKEN) && !error.message.contains('\n') && !error.remedy.is_empty(), "{error:?}");
        error
    }

    #[test]
    fn each_refusal_has_its_kind_its_words_and_its_remedy() {
        let html = [("content-type", "text/html; charset=utf-8")];
        let scope = [("www-authenticate", "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"event:admin\"")];
        let there = [("location", "https://login.example/?next=secret")];
        for (status, headers, body, endpoint, kind, message, remedy) in [
            (
                401,
                &[][..],
                r#"{"detail":"Invalid token"}"#,
                Endpoint::Issues,
                ErrorKind::Auth,
                "sentry.example refuses the token (401): Invalid token",
                "new token",
            ),
            (
                401,
                &[][..],
                r#"{"detail":{"code":"sso-required","message":"Must login via SSO"}}"#,
                Endpoint::Issues,
                ErrorKind::Auth,
                "Must login via SSO",
                "sign in",
            ),
            (401, &[][..], "", Endpoint::Issues, ErrorKind::Auth, "sentry.example refuses the token (401)", "new token"),
            (
                403,
                &[][..],
                r#"{"detail":"You do not have permission to perform this action."}"#,
                Endpoint::Issues,
                ErrorKind::Auth,
                "it needs event:read (403)",
                "the scope event:read",
            ),
            (403, &[][..], "", Endpoint::Change, ErrorKind::Auth, "it needs event:write", "the scope event:write"),
            (403, &scope[..], "", Endpoint::Change, ErrorKind::Auth, "it needs event:admin", "the scope event:admin"),
            (404, &[][..], "", Endpoint::Issues, ErrorKind::Status, "no organization acme with a project shop that this token may see", "check `organization`"),
            (404, &html[..], "<h1>Not Found</h1>", Endpoint::Issues, ErrorKind::Status, "serves no such interface", "check `url`"),
            (404, &[][..], "", Endpoint::Event, ErrorKind::Status, "keeps no event", "404"),
            (
                302,
                &[][..],
                r#"{"detail":{"code":"resource-moved","extra":{"url":"/x/","slug":"new-shop"}}}"#,
                Endpoint::Issues,
                ErrorKind::Config,
                "shop is now called new-shop",
                "new-shop",
            ),
            (302, &there[..], "", Endpoint::Issues, ErrorKind::Protocol, "redirects to https://login.example; the token is not sent after it", "`url`"),
            (400, &[][..], r#"{"detail":"Invalid query"}"#, Endpoint::Issues, ErrorKind::Status, "(400): Invalid query", "`query`"),
            (
                500,
                &[][..],
                r#"{"detail":"Internal Error","errorId":"ab12"}"#,
                Endpoint::Issues,
                ErrorKind::Status,
                "500 (its error ab12): Internal Error",
                "500",
            ),
            (502, &html[..], "<h1>Bad Gateway</h1>", Endpoint::Issues, ErrorKind::Status, "502, and a web page instead of an answer", "502"),
            (418, &[][..], "", Endpoint::Issues, ErrorKind::Status, "answered 418", "418"),
        ] {
            let error = told(status, headers, body, endpoint);
            assert_eq!(error.kind, kind, "{error:?}");
            assert!(error.message.contains(message) && error.remedy.contains(remedy), "{status} {body}: {error:?}");
        }
    }

    #[test]
    fn an_organization_token_is_told_what_it_is() {
        let asked = Asked { token: Some("sntrys_abc"), ..asked(Endpoint::Issues) };
        let error = refusal(403, &HeaderMap::new(), b"", now(), asked);
        assert!(error.remedy.starts_with("an organization token can only upload"), "{error:?}");
    }

    #[test]
    fn a_token_that_is_echoed_is_not_told() {
        let error = told(401, &[], &format!("{{\"detail\":\"no such token {TOKEN}\\n\\u001b[2J\"}}"), Endpoint::Issues);
        assert!(error.message.contains("no such token ***"), "{error:?}");
        assert!(!error.message.chars().any(char::is_control));
    }

    #[test]
    fn the_wait_is_read_in_every_shape() {
        let reset = (now().timestamp() + 12).to_string();
        for (pairs, seconds) in [
            (vec![("retry-after", "7")], Some(7)),
            (vec![("retry-after", "Fri, 20 Nov 2026 08:00:40 GMT")], Some(40)),
            (vec![("x-sentry-rate-limit-reset", reset.as_str())], Some(12)),
            // By the server's clock, which is five seconds behind ours.
            (vec![("x-sentry-rate-limit-reset", reset.as_str()), ("date", "Fri, 20 Nov 2026 07:59:55 GMT")], Some(17)),
            (vec![("x-sentry-rate-limit-reset", "9999999999")], Some(60)),
            (vec![("x-sentry-rate-limit-reset", "5")], Some(1)),
            (vec![("x-sentry-rate-limit-reset", "soon"), ("retry-after", "-")], None),
            (vec![], None),
        ] {
            assert_eq!(wait(&headers(&pairs), now()).map(|wait| wait.as_secs()), seconds, "{pairs:?}");
        }
        let error = told(429, &[("x-sentry-rate-limit-reset", &reset)], "\"You are attempting to use this endpoint too frequently.\"", Endpoint::Issues);
        assert_eq!((error.kind, error.retry_after_s), (ErrorKind::RateLimited, Some(12)));
        assert!(error.message.ends_with("less often: You are attempting to use this endpoint too frequently"), "{error:?}");
        let error = told(429, &[("retry-after", "9")], r#"{"detail":"slow down"}"#, Endpoint::Issues);
        assert_eq!((error.retry_after_s, error.message.ends_with(": slow down")), (Some(9), true));
    }

    #[test]
    fn a_spent_window_is_noticed_before_it_refuses() {
        let reset = (now().timestamp() + 3).to_string();
        let of = |remaining: &str| spent(&headers(&[("x-sentry-rate-limit-remaining", remaining), ("x-sentry-rate-limit-reset", &reset)]), now());
        assert_eq!(of("0"), Some(Duration::from_secs(3)));
        assert_eq!(of("1"), None);
        assert_eq!(spent(&HeaderMap::new(), now()), None, "a self-hosted server says nothing");
    }

    #[test]
    fn the_last_quarter_of_a_window_is_spread() {
        let reset = (now().timestamp() + 10).to_string();
        let of = |left: &str| {
            let limits = [("x-sentry-rate-limit-limit", "40"), ("x-sentry-rate-limit-remaining", left), ("x-sentry-rate-limit-reset", &reset)];
            spread(&headers(&limits), now()).map(|wait| wait.as_secs())
        };
        assert_eq!((of("40"), of("10"), of("9"), of("4"), of("1"), of("0")), (None, None, Some(1), Some(2), Some(5), None));
        assert_eq!(spread(&HeaderMap::new(), now()), None);
        let crowded = [("x-sentry-rate-limit-limit", "40"), ("x-sentry-rate-limit-remaining", "39"), ("x-sentry-rate-limit-concurrentremaining", "0")];
        assert_eq!(spread(&headers(&crowded), now()), Some(Duration::from_secs(1)));
    }
}
