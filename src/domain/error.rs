//! Why a source could not look. A small closed set, each with a remedy; nobody matches on message text.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The kind of a [`SourceError`], as the JSON contract names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Refused: a token or password is wrong, expired or lacks a right.
    Auth,
    /// No answer within the time allowed.
    Timeout,
    /// No connection: name not resolved, refused, reset, unreachable.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// Asked to come back later.
    RateLimited,
    /// An HTTP status that is no answer (404, 500 of the observed service's API).
    Status,
    /// An answer that is not what was agreed: HTML instead of JSON, half a body.
    Protocol,
    /// An answer past the size we read.
    TooLarge,
    /// A tool, file or directory is not there.
    Missing,
    /// The configuration does not work here.
    Config,
    /// There was nothing to look at, which is not the same as nothing found.
    Nothing,
}

impl ErrorKind {
    /// The word of the JSON contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::RateLimited => "rate_limited",
            Self::Status => "status",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::Missing => "missing",
            Self::Config => "config",
            Self::Nothing => "nothing",
        }
    }
}

/// Why one poll gave nothing: what happened, and what a person can do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// Which of the closed set.
    pub kind: ErrorKind,
    /// What happened, one line, lower case, without secrets.
    pub message: String,
    /// What to do about it, one line.
    pub remedy: String,
    /// How long the other side asked us to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

impl SourceError {
    fn of(kind: ErrorKind, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind, message: message.into(), remedy: remedy.into(), retry_after_s: None }
    }

    /// No answer within `limit`.
    #[must_use]
    pub fn timeout(limit: Duration) -> Self {
        let limit = super::time::duration_text(limit);
        Self::of(ErrorKind::Timeout, format!("no answer within {limit}"), "look at the service; `timeout` sets how long to wait")
    }

    /// No connection, for the reason in `message`.
    #[must_use]
    pub fn connect(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Connect, message, "check that the address is right and the service is listening")
    }

    /// The TLS handshake failed, for the reason in `message`.
    #[must_use]
    pub fn tls(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Tls, message, "renew or install the certificate; `ca` names an authority of your own")
    }

    /// The other side refused our credentials.
    #[must_use]
    pub fn auth(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::of(ErrorKind::Auth, message, remedy)
    }

    /// Asked to come back later.
    #[must_use]
    pub fn rate_limited(message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        let mut error = Self::of(ErrorKind::RateLimited, message, "rounds waits as asked; a longer `every` avoids it");
        error.retry_after_s = retry_after.map(|after| after.as_secs());
        error
    }

    /// An HTTP status that is no answer.
    #[must_use]
    pub fn status(code: u16, message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Status, message, format!("the service answered {code}: check the address and the service's own log"))
    }

    /// An answer that is not what was agreed.
    #[must_use]
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Protocol, message, "check that the address names the service itself and no proxy or login page")
    }

    /// An answer past the size we read, in bytes.
    #[must_use]
    pub fn too_large(limit_bytes: u64) -> Self {
        Self::of(
            ErrorKind::TooLarge,
            format!("the answer is larger than {} KiB", limit_bytes / 1024),
            "check that the address names the service and no download",
        )
    }

    /// A tool, file or directory that is not there.
    #[must_use]
    pub fn missing(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::of(ErrorKind::Missing, what, remedy)
    }

    /// The configuration does not work here.
    #[must_use]
    pub fn config(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::of(ErrorKind::Config, message, remedy)
    }

    /// There was nothing to look at.
    #[must_use]
    pub fn nothing(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::of(ErrorKind::Nothing, reason, remedy)
    }

    /// How long the other side asked us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_s.map(Duration::from_secs)
    }
}
