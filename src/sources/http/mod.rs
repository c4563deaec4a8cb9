//! Health endpoints over HTTP and HTTPS: the keys of `[site.NAME.http.NAME]`, and the source made of them.
//!
//! What does not belong here: thresholds over several probes, percentiles and uptime (the state), dates that come near (rules).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `check` | values that types cannot check |
//! | `probe` | the source: one poll, its time limit, its observations |
//! | `client` | one exchange over one connection, with the time each part took |
//! | `connect` | names, proxies, TCP and TLS up to a stream |
//! | `proxy` | through a proxy |
//! | `stream` | a stream that marks when bytes flowed |
//! | `tls` | TLS settings that are shared, and what a certificate says |
//! | `expect` | what was expected and what was seen; pure |

mod check;
mod client;
mod connect;
mod expect;
mod probe;
mod proxy;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

pub(super) use self::tls::own_verifier;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use self::expect::Statuses;
use super::{BuildContext, Built, Complaint, Reach, SourceConfig, SourceSpec};
use crate::config::value::Dur;
use crate::domain::{Capability, SourceError};
use crate::io::secret::SecretRef;

/// Any bytes as an answer's head and body, and as a certificate: must not panic. For `fuzz/` and the test that runs its corpus.
pub fn fuzz(bytes: &[u8]) {
    expect::fuzz(bytes);
    let _ = tls::read_chain(&[bytes, bytes], "shop.example.com", chrono::DateTime::UNIX_EPOCH, None);
}

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(30);
/// The time limit of one probe where none is configured.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest interval while failing where none is configured.
const RETRY_EVERY: Duration = Duration::from_secs(10);

/// The keys of one endpoint.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The endpoint itself: `https://shop.example.com/health/`. User and password have keys of their own.
    pub url: String,
    /// The method of the request; `GET` when not given.
    pub method: Option<String>,
    /// Headers of the request, by name. A value may be a secret.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    /// The body of the request.
    pub body: Option<String>,
    /// The user of basic authentication.
    pub user: Option<String>,
    /// The password of basic authentication.
    pub password: Option<SecretRef>,
    /// A token, sent as `Authorization: Bearer`.
    pub bearer: Option<SecretRef>,
    /// A PEM file of the authorities that are trusted here instead of the system's; a server's own certificate may stand there too.
    pub ca: Option<PathBuf>,
    /// A PEM file with the certificate (and its chain) that is shown to the server.
    pub client_certificate: Option<PathBuf>,
    /// A PEM file with the key of `client_certificate`; not needed when the key stands in the same file.
    pub client_key: Option<PathBuf>,
    /// Accepts any certificate; what is wrong with it is still shown.
    #[serde(default)]
    pub insecure: bool,
    /// Follows up to ten redirects. Credentials are not sent to another host.
    #[serde(default)]
    pub follow_redirects: bool,
    /// An address (`192.0.2.7` or `192.0.2.7:8443`) that is asked instead of the one the name resolves to.
    pub resolve: Option<String>,
    /// A proxy (`http://`, `https://` or `socks5://`) instead of the one the environment names; `"none"` goes directly.
    pub proxy: Option<SecretRef>,
    /// Keeps the connection between probes (of `GET`, `HEAD` and `OPTIONS`). A fresh one shows DNS, connect and TLS as a user meets them.
    #[serde(default)]
    pub keep_alive: bool,
    /// Failures in a row before it is down; 3 when not given.
    #[schemars(range(min = 1))]
    pub failures: Option<u32>,
    /// Successes in a row before it is up again; 2 when not given.
    #[schemars(range(min = 1))]
    pub successes: Option<u32>,
    /// The interval while failing; the shorter of `every` and 10 seconds when not given.
    pub retry_every: Option<Dur>,
    /// What is expected of the answer.
    #[serde(default)]
    pub expect: ExpectConfig,
}

/// What is expected of the answer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectConfig {
    /// Accepted statuses: numbers, or classes such as `"2xx"`. When not given `2xx`, or `3xx` where a redirect is expected.
    pub status: Option<Statuses>,
    /// How long the whole answer may take.
    pub latency: Option<Limits>,
    /// A regular expression that must match the body's first MiB.
    pub body: Option<String>,
    /// A regular expression that must not match the body's first MiB.
    pub not_body: Option<String>,
    /// Headers of the answer: each must equal the text or match it as a regular expression.
    pub header: BTreeMap<String, String>,
    /// Values in a JSON body by JSON pointer: `"/status" = "ok"`.
    pub json: BTreeMap<String, serde_json::Value>,
    /// How long before its end a certificate is a warning and a critical finding; 21 and 7 days when not given.
    pub certificate: Option<Limits>,
    /// The address it must redirect to; with `follow_redirects` the one where it must end.
    pub redirect: Option<String>,
}

/// A warning and a critical limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The first limit.
    pub warning: Option<Dur>,
    /// The second limit.
    pub critical: Option<Dur>,
}

impl ExpectConfig {
    /// The certificate's limits, the shorter one never after the longer.
    fn certificate_limits(&self) -> (Duration, Duration) {
        let given = self.certificate.unwrap_or_default();
        match (given.warning.map(Dur::get), given.critical.map(Dur::get)) {
            (Some(warning), Some(critical)) => (warning, critical),
            (Some(warning), None) => (warning, Dur::days(7).get().min(warning / 3)),
            (None, Some(critical)) => (Dur::days(21).get().max(critical * 3), critical),
            (None, None) => (Dur::days(21).get(), Dur::days(7).get()),
        }
    }
}

impl Config {
    /// `GET /health/`, without the query: it may carry a token.
    fn request(&self) -> String {
        let method = self.method.as_deref().unwrap_or("GET");
        match url::Url::parse(&self.url) {
            Ok(url) => format!("{method} {}", url.path()),
            Err(_) => method.to_owned(),
        }
    }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        check::check(self)
    }

    fn heeds_trust(&self) -> bool {
        self.secrets().iter().any(|(_, reference)| matches!(reference, SecretRef::Command(_)))
    }

    fn is_timed(&self) -> bool {
        true
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        let mut all = Vec::new();
        for (name, value) in &self.headers {
            // An ordinary header is no secret that was written out.
            if !matches!(value, SecretRef::Literal(_)) || check::is_sensitive(name) {
                all.push((vec!["headers".to_owned(), name.clone()], value));
            }
        }
        all.extend(self.password.as_ref().map(|secret| (vec!["password".to_owned()], secret)));
        all.extend(self.bearer.as_ref().map(|secret| (vec!["bearer".to_owned()], secret)));
        if let Some(proxy) = self.proxy.as_ref().filter(|proxy| !matches!(proxy, SecretRef::Literal(text) if !text.expose().contains('@'))) {
            all.push((vec!["proxy".to_owned()], proxy));
        }
        all
    }

    fn reaches(&self, context: &BuildContext) -> Vec<Reach> {
        let direct = match &self.proxy {
            None => true,
            Some(SecretRef::Literal(text)) => text.expose() == "none",
            Some(_) => false,
        };
        let mut all: Vec<Reach> =
            [&self.ca, &self.client_certificate, &self.client_key].into_iter().flatten().map(|file| Reach::Files(context.base.join(file))).collect();
        // What stands behind a proxy is the proxy's to reach.
        if direct && let Ok(url) = url::Url::parse(&self.url) {
            let port = url.port_or_known_default().unwrap_or(443);
            let place = match &self.resolve {
                Some(address) => address
                    .parse::<std::net::SocketAddr>()
                    .map_or_else(|_| (address.trim_matches(['[', ']']).to_owned(), port), |address| (address.ip().to_string(), address.port())),
                None => (url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(), port),
            };
            all.push(Reach::Tcp(place.0, place.1));
        }
        all
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        let spec = self.spec(context);
        let source = Box::new(probe::HttpSource::new(self.clone(), context, &spec)?);
        Ok(Built { spec, source, service: None })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        let spec = SourceSpec::of(context, Capability::Health, EVERY, TIMEOUT, self.request());
        SourceSpec {
            retry_every: self.retry_every.map_or_else(|| spec.every.min(RETRY_EVERY), Dur::get),
            failures: self.failures.unwrap_or(3),
            successes: self.successes.unwrap_or(2),
            ..spec
        }
    }
}
