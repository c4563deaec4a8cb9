//! The one client that sources ask services' APIs with: shared, with the program's provider and verifier, without redirects.
//!
//! What does not belong here: health endpoints, whose parts are timed (`sources::http`), and what an answer means (the sources).
//!
//! A redirect is never followed by itself: what is sent holds a token, and a token goes to the server it was given for.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use super::http;
use crate::domain::SourceError;

/// How long a connection may take, whatever the time limit of the whole.
const CONNECT: Duration = Duration::from_secs(10);
/// Connections that wait for the next request to the same server.
const IDLE: usize = 2;

/// The name has no address; of its own type, so that it is told apart from a refused connection.
#[derive(Debug, thiserror::Error)]
#[error("{name} does not resolve: {reason}")]
struct Unresolved {
    name: String,
    reason: String,
}

/// Names are looked up as everywhere in the program, so many at a time.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = http::resolve(name.as_str(), 0).await.map_err(|error| {
                let text = error.to_string();
                let reason = text.rsplit(": ").next().unwrap_or_default().to_lowercase();
                Box::new(Unresolved { name: name.as_str().to_owned(), reason }) as Box<dyn Error + Send + Sync>
            })?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether the address is this very machine: it is asked directly, whatever proxy the environment names.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// The client for a server. Cheap after the first call for a server of its sort: connections and settings are shared.
///
/// # Errors
/// When this machine has no authorities to check a server with.
pub fn client(target: &Url) -> Result<reqwest::Client, SourceError> {
    static CLIENTS: Mutex<[Option<reqwest::Client>; 4]> = Mutex::new([None, None, None, None]);
    let (direct, secure) = (is_loopback(target), target.scheme() == "https");
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = &mut clients[usize::from(direct) * 2 + usize::from(secure)];
    if let Some(client) = place {
        return Ok(client.clone());
    }
    let made = build(direct, secure)?;
    *place = Some(made.clone());
    Ok(made)
}

fn build(direct: bool, secure: bool) -> Result<reqwest::Client, SourceError> {
    let odd = |error: &dyn std::fmt::Display| SourceError::config(format!("the HTTP client cannot be set up: {error}"), "report this");
    let config = ClientConfig::builder_with_provider(http::provider()).with_safe_default_protocol_versions().map_err(|error| odd(&error))?;
    // Without TLS nothing is verified, and a machine without authorities can ask its own services.
    let mut config = if secure {
        let verifier = http::platform_verifier().map_err(|_| {
            SourceError::config("this machine has no certificate authorities to check a server with", "install the system's package of certificate authorities")
        })?;
        config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
    } else {
        config.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .user_agent(concat!("rounds/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(IDLE)
        .dns_resolver(Arc::new(Names));
    if direct {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| odd(&root(&error)))
}

/// The body of an answer, at most `cap` bytes of it after unpacking.
///
/// # Errors
/// [`SourceError::too_large`] past the cap; when it broke off.
pub async fn body(response: &mut reqwest::Response, cap: u64, limit: Duration) -> Result<Vec<u8>, SourceError> {
    if response.content_length().is_some_and(|bytes| bytes > cap) {
        return Err(SourceError::too_large(cap));
    }
    let mut all = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) if all.len() as u64 + bytes.len() as u64 > cap => return Err(SourceError::too_large(cap)),
            Ok(Some(bytes)) => all.extend_from_slice(&bytes),
            Ok(None) => return Ok(all),
            Err(error) if error.is_timeout() => return Err(SourceError::timeout(limit)),
            Err(_) => return Err(SourceError::protocol(format!("the answer broke off after {} bytes", all.len()))),
        }
    }
}

/// Why there is no answer, in plain words; `limit` is the time that was allowed. Never holds an address or a header.
#[must_use]
pub fn failure(error: &reqwest::Error, target: &Url, limit: Duration) -> SourceError {
    let place = place(target);
    for cause in causes(error) {
        if let Some(unresolved) = cause.downcast_ref::<Unresolved>() {
            return SourceError::connect(unresolved.to_string());
        }
        if let Some(tls) = tls_inside(cause) {
            return tls_failure(&place, &tls_words(tls));
        }
    }
    if error.is_timeout() {
        return if error.is_connect() { SourceError::connect(format!("{place}: no answer to the connection")) } else { SourceError::timeout(limit) };
    }
    if let Some(kind) = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(innermost) {
        let words = match kind {
            io::ErrorKind::ConnectionRefused => "connection refused",
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => "connection reset",
            io::ErrorKind::TimedOut => "no answer to the connection",
            io::ErrorKind::HostUnreachable => "host unreachable",
            io::ErrorKind::NetworkUnreachable => "network unreachable",
            io::ErrorKind::UnexpectedEof => "the connection was closed",
            _ => "the connection failed",
        };
        // Once there is a connection, what ends it before TLS stands is the other side's TLS.
        let before_tls = matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) && error.is_connect();
        if before_tls && target.scheme() == "https" {
            return tls_failure(&place, "the server closed the connection during the handshake");
        }
        return SourceError::connect(format!("{place}: {words}"));
    }
    if error.is_connect() {
        return SourceError::connect(format!("{place}: {}", root(error)));
    }
    SourceError::protocol(format!("no answer in HTTP: {}", root(error)))
}

/// The TLS error that an error is, or that errors of the stream are wrapped around.
fn tls_inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        None => error.downcast_ref(),
        Some(wrapped) => tls_inside(wrapped.get_ref()?),
    }
}

/// The kind of the error that errors of streams are wrapped around.
fn innermost(error: &io::Error) -> io::ErrorKind {
    error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()).map_or_else(|| error.kind(), innermost)
}

/// Host and port, for reading.
#[must_use]
pub fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn tls_failure(place: &str, words: &str) -> SourceError {
    let mut error = SourceError::tls(format!("{place}: {words}"));
    "renew or install the certificate; SSL_CERT_FILE names authorities of your own".clone_into(&mut error.remedy);
    error
}

fn tls_words(error: &rustls::Error) -> String {
    use rustls::CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            C::Expired | C::ExpiredContext { .. } => "the certificate expired".to_owned(),
            C::NotValidYet | C::NotValidYetContext { .. } => "the certificate is not valid yet".to_owned(),
            C::NotValidForName | C::NotValidForNameContext { .. } => "the certificate is not for this name".to_owned(),
            C::UnknownIssuer => "unknown issuer of the certificate".to_owned(),
            C::Revoked => "the certificate was revoked".to_owned(),
            other => format!("the certificate was refused: {other}"),
        },
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS on this port".to_owned(),
        rustls::Error::PeerIncompatible(_) => "no common TLS version or cipher".to_owned(),
        other => format!("the handshake failed: {other}"),
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// The innermost cause: those around it repeat the address.
fn root(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "the request failed".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ErrorKind;

    #[test]
    fn this_machine_is_known() {
        for (url, loopback) in [
            ("http://127.0.0.1:8000/", true),
            ("http://[::1]/", true),
            ("http://demo.localhost/", true),
            ("https://sentry.io/", false),
            ("http://localhost.example/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), loopback, "{url}");
        }
    }

    #[tokio::test]
    async fn failures_are_told_apart() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let limit = Duration::from_secs(5);
        for (url, kind, words) in [
            (format!("http://127.0.0.1:{port}/"), ErrorKind::Connect, format!("127.0.0.1:{port}: connection refused")),
            ("http://no-such-name.localhost.invalid/".to_owned(), ErrorKind::Connect, "no-such-name.localhost.invalid does not resolve: ".to_owned()),
        ] {
            let url = Url::parse(&url).unwrap();
            // A proxy of the environment must not come between.
            let client = build(true, false).unwrap();
            let error = client.get(url.clone()).send().await.unwrap_err();
            let told = failure(&error, &url, limit);
            assert_eq!(told.kind, kind, "{told:?}");
            assert!(told.message.starts_with(&words), "{told:?}");
        }
    }
}
