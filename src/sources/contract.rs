//! The contract every source keeps, whatever the other side does: a server of bytes with scripted faults, and the harness
//! that runs a source against each of them. For tests only.
//!
//! A source's tests call [`suite`] with a way to build the source for a server's address, then look at what each fault gave:
//!
//! ```ignore
//! let answers = contract::suite(&Page::json("{\"ok\":true}"), |server| source_for(&server.url("/"), server.ca.as_deref())).await;
//! assert_eq!(contract::kind_of(&answers, Faulty::Hang), Some(ErrorKind::Timeout));
//! ```
//!
//! Sources that run a tool have [`commands`] beside it.
//!
//! What does not belong here: what one source makes of a fault (its own tests), and time-outs with paused time (`runner`).

pub mod commands;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::{Collected, Source};
use crate::domain::{Data, ErrorKind, SourceError};
use crate::io::http::provider;

/// Sources under test are given this as every credential; it must be in nothing that they say.
pub const SECRET: &str = "hush-7f3a91c2";
/// The time limit that sources under test are given.
pub const TIMEOUT: Duration = Duration::from_millis(700);
/// Past the time limit by this much a poll is late, also on a loaded machine.
const SLACK: Duration = Duration::from_secs(5);

/// What the server does to each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Faulty {
    /// Answers well.
    Ok,
    /// Accepts and closes without a byte.
    Empty,
    /// 200 without a body.
    EmptyBody,
    /// Valid, but cut in the middle at a place that the length hides: the body is half the document.
    Partial,
    /// 401.
    Unauthorized,
    /// 404.
    NotFound,
    /// 429 with `Retry-After: 7`.
    RateLimited,
    /// 500.
    ServerError,
    /// 200 and a page of HTML.
    Html,
    /// Closes after half of the announced body.
    HalfBody,
    /// Closes in the middle of the headers.
    HalfHead,
    /// A body without end, never announced.
    Endless,
    /// Announces 1 GB and sends it as long as somebody reads.
    Gigabyte,
    /// Headers without end.
    EndlessHead,
    /// Accepts and says nothing.
    Hang,
    /// One byte now and then.
    Drip,
    /// Nothing listens.
    Refused,
    /// Bytes that are no HTTP.
    Garbage,
    /// A chunked body whose chunk sizes are rubbish.
    BadChunks,
    /// Control characters, a NUL and invalid UTF-8 in a header's value and the body.
    Controls,
    /// Redirects to itself for ever.
    Redirects,
    /// Over TLS, under the server's own authority.
    TlsOk,
    /// A certificate that has ended.
    TlsExpired,
    /// A certificate for another name.
    TlsWrongName,
    /// A certificate that nobody signed.
    TlsSelfSigned,
    /// Speaks HTTP where TLS is expected.
    TlsPlain,
    /// Closes during the TLS handshake.
    TlsHalf,
}

impl Faulty {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::Ok,
        Self::Empty,
        Self::EmptyBody,
        Self::Partial,
        Self::Unauthorized,
        Self::NotFound,
        Self::RateLimited,
        Self::ServerError,
        Self::Html,
        Self::HalfBody,
        Self::HalfHead,
        Self::Endless,
        Self::Gigabyte,
        Self::EndlessHead,
        Self::Hang,
        Self::Drip,
        Self::Refused,
        Self::Garbage,
        Self::BadChunks,
        Self::Controls,
        Self::Redirects,
        Self::TlsOk,
        Self::TlsExpired,
        Self::TlsWrongName,
        Self::TlsSelfSigned,
        Self::TlsPlain,
        Self::TlsHalf,
    ];

    const fn over_tls(self) -> bool {
        matches!(self, Self::TlsOk | Self::TlsExpired | Self::TlsWrongName | Self::TlsSelfSigned)
    }

    const fn is_secure(self) -> bool {
        self.over_tls() || matches!(self, Self::TlsPlain | Self::TlsHalf)
    }
}

/// A good answer of the service that is observed.
#[derive(Debug, Clone)]
pub struct Page {
    content_type: &'static str,
    body: Vec<u8>,
}

impl Page {
    /// A JSON document.
    pub fn json(body: &str) -> Self {
        Self { content_type: "application/json", body: body.as_bytes().to_vec() }
    }

    /// Plain text.
    pub fn text(body: &str) -> Self {
        Self { content_type: "text/plain; charset=utf-8", body: body.as_bytes().to_vec() }
    }
}

/// A server on loopback that does one thing to each request. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens (or, refused, does not).
    pub address: SocketAddr,
    /// Whether its address begins with `https:`.
    pub secure: bool,
    /// The authority it is under, as PEM.
    pub ca: Option<String>,
    /// Its own certificate, as PEM.
    pub leaf: Option<String>,
    requests: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Server {
    /// Starts it.
    pub async fn start(faulty: Faulty, page: &Page) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, written) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        if faulty == Faulty::Refused {
            drop(listener);
            return Self { address, secure: false, ca: None, leaf: None, requests, written, task: None };
        }
        let identity = faulty.over_tls().then(|| Identity::new(faulty));
        let config = identity.as_ref().map(|identity| identity.server(None));
        Self::run(faulty, page, listener, identity, config)
    }

    /// A good server over TLS that answers only those whose certificate `clients` has issued.
    pub async fn asking_for_certificates(clients: &Authority, page: &Page) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let identity = Identity::new(Faulty::TlsOk);
        let config = identity.server(Some(clients));
        Self::run(Faulty::TlsOk, page, listener, Some(identity), Some(config))
    }

    fn run(faulty: Faulty, page: &Page, listener: TcpListener, identity: Option<Identity>, config: Option<ServerConfig>) -> Self {
        let address = listener.local_addr().unwrap();
        let (requests, written) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let acceptor = config.map(|config| TlsAcceptor::from(Arc::new(config)));
        let script = Script { faulty, page: page.clone(), requests: Arc::clone(&requests), written: Arc::clone(&written) };
        let task = tokio::spawn(async move {
            // The tasks of connections end with this one.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, acceptor) = (script.clone(), acceptor.clone());
                connections.spawn(async move {
                    match acceptor {
                        None => script.play(stream).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                script.play(stream).await;
                            }
                        }
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            secure: faulty.is_secure(),
            ca: identity.as_ref().map(|i| i.ca.clone()),
            leaf: identity.map(|i| i.leaf.pem()),
            requests,
            written,
            task: Some(task),
        }
    }

    /// Its address with this path; over TLS by the name `localhost`.
    pub fn url(&self, path: &str) -> String {
        if self.secure { format!("https://localhost:{}{path}", self.address.port()) } else { format!("http://{}{path}", self.address) }
    }

    /// Requests that came so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of bodies written so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Clone)]
struct Script {
    faulty: Faulty,
    page: Page,
    requests: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
}

impl Script {
    async fn play(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        if matches!(self.faulty, Faulty::TlsHalf | Faulty::TlsPlain) {
            let mut some = [0; 2_048];
            let _ = stream.read(&mut some).await;
            if self.faulty == Faulty::TlsPlain {
                send(&mut stream, &whole("400 Bad Request", "text/html", "", b"<h1>Bad Request</h1>")).await;
            }
            return;
        }
        // One request after the other, for clients that keep their connection.
        while let Some(head) = request_head(&mut stream).await {
            self.requests.fetch_add(1, Ordering::Relaxed);
            if self.answer(&mut stream, &head).await.is_none() {
                break;
            }
            if head.to_ascii_lowercase().contains("connection: close") {
                break;
            }
        }
        let _ = stream.shutdown().await;
    }

    /// `None`: the connection is done.
    async fn answer(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin), head: &str) -> Option<()> {
        let page = &self.page;
        match self.faulty {
            Faulty::Ok | Faulty::TlsOk | Faulty::TlsExpired | Faulty::TlsWrongName | Faulty::TlsSelfSigned => {
                send(stream, &whole("200 OK", page.content_type, "", &page.body)).await
            }
            Faulty::Unauthorized => send(stream, &whole("401 Unauthorized", "application/json", "", b"{\"detail\":\"no\"}")).await,
            // Closed after the request was read: closing with bytes unread resets the connection, which is another fault.
            Faulty::Empty => None,
            Faulty::EmptyBody => send(stream, &whole("200 OK", page.content_type, "", b"")).await,
            Faulty::Partial => send(stream, &whole("200 OK", page.content_type, "", &page.body[..page.body.len() / 2])).await,
            Faulty::NotFound => send(stream, &whole("404 Not Found", "text/html", "", b"<h1>Not Found</h1>")).await,
            Faulty::RateLimited => send(stream, &whole("429 Too Many Requests", "text/plain", "Retry-After: 7\r\n", b"slow down")).await,
            Faulty::ServerError => send(stream, &whole("500 Internal Server Error", "text/html", "", b"<h1>Server Error (500)</h1>")).await,
            Faulty::Html => send(stream, &whole("200 OK", "text/html", "", b"<!doctype html><title>Sign in</title><form></form>")).await,
            Faulty::HalfBody => {
                let announced = whole("200 OK", page.content_type, "", &page.body);
                send(stream, &announced[..announced.len() - page.body.len().div_ceil(2)]).await;
                None
            }
            Faulty::HalfHead => {
                send(stream, b"HTTP/1.1 200 OK\r\nContent-Ty").await;
                None
            }
            Faulty::Endless => {
                send(stream, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n").await?;
                self.flood(stream, b'a').await
            }
            Faulty::Gigabyte => {
                send(stream, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000000\r\n\r\n").await?;
                self.flood(stream, b'a').await
            }
            Faulty::EndlessHead => {
                send(stream, b"HTTP/1.1 200 OK\r\nX-Long: ").await?;
                self.flood(stream, b'a').await
            }
            Faulty::Hang => {
                std::future::pending::<()>().await;
                None
            }
            Faulty::Drip => {
                for byte in whole("200 OK", page.content_type, "", &page.body) {
                    send(stream, &[byte]).await?;
                    tokio::time::sleep(TIMEOUT / 4).await;
                }
                None
            }
            Faulty::Garbage => {
                send(stream, b"SSH-2.0-OpenSSH_9.2p1\r\n\x00\xff\xfe garbage \x1b]52;c;aGk=\x07\r\n\r\n").await;
                None
            }
            Faulty::BadChunks => {
                send(stream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzzzz\r\n").await;
                None
            }
            Faulty::Controls => {
                let body = b"\x1b]52;c;aGk=\x07 caf\xe9 \x00 \xc2\x9b31m \xe2\x80\xae odd";
                send(stream, &whole("200 OK", "text/plain", "X-Odd: caf\u{e9}\u{9b}31m\r\n", body)).await
            }
            Faulty::Redirects => {
                let path = head.split(' ').nth(1).unwrap_or("/");
                send(stream, &whole("302 Found", "text/html", &format!("Location: {path}x\r\n"), b"")).await
            }
            Faulty::Refused | Faulty::TlsPlain | Faulty::TlsHalf => None,
        }
    }

    async fn flood(&self, stream: &mut (impl AsyncWrite + Unpin), byte: u8) -> Option<()> {
        let some = vec![byte; 64 << 10];
        loop {
            send(stream, &some).await?;
            self.written.fetch_add(some.len() as u64, Ordering::Relaxed);
        }
    }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Option<()> {
    stream.write_all(bytes).await.ok()?;
    stream.flush().await.ok()
}

fn whole(status: &str, content_type: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Reads one request, its body too, and gives its head; `None` at the end.
pub async fn request_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    let mut some = [0; 4_096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|n| n.trim().parse().ok()).unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                return Some(head);
            }
        }
        match stream.read(&mut some).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&some[..count]),
            _ => return None,
        }
    }
}

/// An authority made for one test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// Makes one.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = common_name("contract authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate, as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name and its key, as PEM.
    pub fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (leaf(name).signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn leaf(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name = common_name(name);
    params
}

/// A server's certificate for one fault, with its key and its authority.
struct Identity {
    leaf: Certificate,
    key: KeyPair,
    ca: String,
}

impl Identity {
    fn new(faulty: Faulty) -> Self {
        let authority = Authority::new();
        let mut leaf = leaf(if faulty == Faulty::TlsWrongName { "other.example" } else { "localhost" });
        if faulty == Faulty::TlsExpired {
            leaf.not_before = date_time_ymd(2020, 1, 1);
            leaf.not_after = date_time_ymd(2020, 2, 1);
        }
        let key = KeyPair::generate().unwrap();
        let leaf = if faulty == Faulty::TlsSelfSigned { leaf.self_signed(&key) } else { leaf.signed_by(&key, &authority.0) }.unwrap();
        Self { leaf, key, ca: authority.pem() }
    }

    fn server(&self, clients: Option<&Authority>) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap())
            }
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        builder.with_single_cert(vec![self.leaf.der().clone()], key).unwrap()
    }
}

/// What each fault gave.
pub type Answers = Vec<(Faulty, Result<Collected, SourceError>)>;

/// Runs a source of its own against each fault and asserts the contract: it neither panics nor outlives its time limit, it
/// reads no more than it may, its errors have a message and a remedy, and nothing it says holds a secret.
pub async fn suite(page: &Page, make: impl Fn(&Server) -> Box<dyn Source>) -> Answers {
    let mut answers = Vec::new();
    for faulty in Faulty::ALL {
        let server = Server::start(faulty, page).await;
        let mut source = make(&server);
        let started = Instant::now();
        let result = tokio::time::timeout(TIMEOUT + SLACK, source.collect()).await;
        let result = result.unwrap_or_else(|_| panic!("{faulty:?}: not done {:?} after the start", started.elapsed()));
        let written = server.written();
        assert!(written <= 64 << 20, "{faulty:?}: {written} bytes of a body were taken");
        let text = format!("{result:?}");
        assert!(text.len() <= 64 << 10, "{faulty:?}: what was seen is not bounded");
        assert!(!text.contains(SECRET), "{faulty:?}: a secret is told: {text}");
        for error in errors(&result) {
            assert!(!error.message.is_empty() && !error.remedy.is_empty(), "{faulty:?}: {error:?}");
            assert!(!error.message.contains('\n'), "{faulty:?}: one line: {error:?}");
        }
        answers.push((faulty, result));
    }
    answers
}

fn errors(result: &Result<Collected, SourceError>) -> Vec<&SourceError> {
    match result {
        Err(error) => vec![error],
        Ok(collected) => collected
            .observations
            .iter()
            .filter_map(|observation| match &observation.data {
                Data::Health(health) => health.error.as_ref(),
                _ => None,
            })
            .collect(),
    }
}

/// The kind of error a fault gave, whether told as an error or as the reason of a verdict.
pub fn kind_of(answers: &Answers, faulty: Faulty) -> Option<ErrorKind> {
    let (_, result) = answers.iter().find(|(of, _)| *of == faulty)?;
    errors(result).first().map(|error| error.kind)
}
