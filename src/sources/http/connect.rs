//! From an address to a stream that HTTP can be spoken on: the name, the proxy, TCP and TLS, each timed.
//!
//! What does not belong here: the request (`client`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::proxy::{Proxy, tunnel};
use super::stream::{BoxIo, Marks, Timed};
use super::tls::{Tls, TlsKeys, plain_problem};
use crate::domain::{Certificate, Phases, SourceError};
use crate::io::secret::Secret;
use crate::io::{clock, http};

/// Which proxy is used.
#[derive(Debug, Default)]
pub enum ProxyChoice {
    /// The one the environment names for the address.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// The one at this address, which may hold a password.
    At(Secret),
}

/// How to get to an endpoint; the same for all probes of a source.
#[derive(Debug, Default)]
pub struct Route {
    /// An address instead of DNS, for the host of the configured address.
    pub pinned: Option<(String, SocketAddr)>,
    /// Which proxy.
    pub proxy: ProxyChoice,
    /// The TLS keys.
    pub keys: TlsKeys,
    /// The TLS settings, once they are needed.
    pub tls: Option<Arc<Tls>>,
}

/// How far a probe came; read after a time-out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// Looking the name up.
    #[default]
    Resolve,
    /// Connecting.
    Connect,
    /// Shaking hands.
    Tls,
    /// The request is sent.
    FirstByte,
    /// Its head is there.
    Transfer,
}

/// What is known of a probe while it runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// How far it came.
    pub stage: Stage,
    /// The time of each part, summed over redirects.
    pub phases: Phases,
    /// When bytes of the exchange under way flowed.
    pub marks: Option<Arc<Marks>>,
    /// The newest status.
    pub status: Option<u16>,
    /// The newest certificate, with the host it was shown for.
    pub certificate: Option<Box<Certificate>>,
}

impl Progress {
    /// Ends the wait for the first byte, where it came, and tells when.
    pub fn answered(&mut self) -> Option<Instant> {
        let (sent, first) = self.marks.take()?.times();
        add(&mut self.phases.first_byte, first?.saturating_duration_since(sent?));
        first
    }
}

/// Adds to a phase.
pub fn add(phase: &mut Option<f64>, time: Duration) {
    *phase = Some(phase.unwrap_or(0.0) + time.as_secs_f64() * 1_000.0);
}

/// A connected stream, and how requests are to be written on it.
pub struct Connected {
    /// The stream.
    pub io: TokioIo<Timed>,
    /// When bytes flowed.
    pub marks: Arc<Marks>,
    /// Whether the request line has the whole address: a plain request through an HTTP proxy.
    pub whole_address: bool,
    /// What the proxy wants to be told with such a request.
    pub proxy_authorization: Option<HeaderValue>,
    /// The certificate of this connection.
    pub certificate: Option<Box<Certificate>>,
}

impl Route {
    /// Connects for a request to `url`.
    ///
    /// # Errors
    /// Why there is no connection: the name, TCP, the proxy or TLS; or that the settings do not work here.
    pub async fn connect(&mut self, url: &Url, progress: &mut Progress) -> Result<Connected, Failure> {
        let secure = url.scheme() == "https";
        let proxy = self.proxy(url)?;
        let mut connected = Connected::over(match &proxy {
            None => {
                let addresses = self.addresses(url, progress).await?;
                Box::new(tcp(&addresses, progress).await?) as BoxIo
            }
            Some(proxy) => self.through(proxy, url, secure, progress).await?,
        });
        if let Some(proxy) = proxy.filter(|proxy| !secure && proxy.uri().scheme_str().is_some_and(|scheme| scheme.starts_with("http"))) {
            connected.whole_address = true;
            connected.proxy_authorization = proxy.basic_auth().cloned();
        }
        if secure {
            let tls = self.tls().await?;
            connected = connected.secured(&tls, self.keys.insecure, url, progress).await?;
        }
        Ok(connected)
    }

    async fn tls(&mut self) -> Result<Arc<Tls>, Failure> {
        if let Some(tls) = &self.tls {
            return Ok(Arc::clone(tls));
        }
        let tls = load(self.keys.clone()).await?;
        self.tls = Some(Arc::clone(&tls));
        Ok(tls)
    }

    fn proxy(&self, url: &Url) -> Result<Option<Intercept>, Failure> {
        if self.pinned.is_some() {
            return Ok(None);
        }
        let target = uri(url)?;
        match &self.proxy {
            ProxyChoice::Environment => Ok(http::environment_proxy(&target)),
            ProxyChoice::Direct => Ok(None),
            ProxyChoice::At(address) => match http::configured_proxy(address.expose(), &target) {
                Some(proxy) => Ok(Some(proxy)),
                None => {
                    Err(Failure::Here(SourceError::config("what `proxy` gives is no proxy's address", "write \"http://proxy.example:3128\" or \"socks5://…\"")))
                }
            },
        }
    }

    async fn addresses(&self, url: &Url, progress: &mut Progress) -> Result<Vec<SocketAddr>, Failure> {
        let port = url.port_or_known_default().unwrap_or(80);
        if let Some((_, address)) = self.pinned.as_ref().filter(|(host, _)| url.host_str() == Some(host)) {
            return Ok(vec![*address]);
        }
        match url.host() {
            Some(Host::Ipv4(ip)) => Ok(vec![SocketAddr::from((ip, port))]),
            Some(Host::Ipv6(ip)) => Ok(vec![SocketAddr::from((ip, port))]),
            Some(Host::Domain(name)) => look_up(name, port, progress).await,
            None => Err(Failure::There(SourceError::connect("an address without a host"))),
        }
    }

    /// Connects to the proxy, and through it where the proxy is not asked for the page itself.
    async fn through(&self, proxy: &Intercept, url: &Url, secure: bool, progress: &mut Progress) -> Result<BoxIo, Failure> {
        let at = Proxy::of(proxy);
        let addresses = look_up(&at.host, at.port, progress).await.map_err(|failure| at.blamed(failure))?;
        let mut stream = Box::new(tcp(&addresses, progress).await.map_err(|failure| at.blamed(failure))?) as BoxIo;
        let started = Instant::now();
        if at.scheme == "https" {
            let (config, recorder) = load(TlsKeys::default()).await?.for_connection(false);
            let name = ServerName::try_from(at.host.clone()).map_err(|_| at.blamed(Failure::There(SourceError::connect("its name cannot be used"))))?;
            let result = TlsConnector::from(config).connect(name, stream).await;
            let shown = recorder.take().and_then(|shown| shown.certificate(&at.host, clock::now()));
            stream = Box::new(result.map_err(|error| at.blamed(Failure::There(tls_error(&error, shown.as_ref()))))?);
        }
        if secure || at.scheme.starts_with("socks") {
            let through = tunnel(proxy, &at.scheme, uri(url)?, stream).await;
            stream = through.map_err(|reason| at.blamed(Failure::There(SourceError::connect(reason))))?;
        }
        add(&mut progress.phases.connect, started.elapsed());
        Ok(stream)
    }
}

/// Reads files, and the first time the platform's root store: off the tasks' threads.
async fn load(keys: TlsKeys) -> Result<Arc<Tls>, Failure> {
    let loaded = tokio::task::spawn_blocking(move || keys.load()).await;
    loaded.unwrap_or_else(|_| Err(SourceError::config("TLS cannot be set up", "report this"))).map_err(Failure::Here)
}

/// Why a probe has no answer.
#[derive(Debug)]
pub enum Failure {
    /// The other side's doing: it is down.
    There(SourceError),
    /// Ours: we could not look.
    Here(SourceError),
}

fn uri(url: &Url) -> Result<Uri, Failure> {
    let port = url.port_or_known_default().unwrap_or(80);
    let text = format!("{}://{}:{port}/", url.scheme(), url.host_str().unwrap_or_default());
    text.parse().map_err(|_| Failure::There(SourceError::connect("an address that cannot be asked for")))
}

async fn look_up(name: &str, port: u16, progress: &mut Progress) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(ip) = name.parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    progress.stage = Stage::Resolve;
    let started = Instant::now();
    let found = http::resolve(name, port).await;
    add(&mut progress.phases.resolve, started.elapsed());
    found.map_err(|error| {
        // The system's words behind its own prefix: "Name or service not known".
        let text = error.to_string();
        let reason = text.rsplit(": ").next().unwrap_or_default().to_lowercase();
        Failure::There(SourceError::connect(format!("{name} does not resolve: {reason}")))
    })
}

async fn tcp(addresses: &[SocketAddr], progress: &mut Progress) -> Result<tokio::net::TcpStream, Failure> {
    progress.stage = Stage::Connect;
    let started = Instant::now();
    let stream = http::connect(addresses).await;
    add(&mut progress.phases.connect, started.elapsed());
    stream.map_err(|error| {
        let to = addresses.first().map(|address| format!(" by {address}")).unwrap_or_default();
        Failure::There(SourceError::connect(match error.kind() {
            io::ErrorKind::ConnectionRefused => format!("connection refused{to}"),
            _ => plain_io(&error),
        }))
    })
}

/// An error of a connection, as a plain phrase.
pub fn plain_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => "connection reset".to_owned(),
        io::ErrorKind::TimedOut => "no answer to the connection".to_owned(),
        io::ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        io::ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
        _ => error.to_string().to_lowercase(),
    }
}

/// The TLS error inside an error of a stream.
pub fn tls_inside(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn tls_error(error: &io::Error, certificate: Option<&Certificate>) -> SourceError {
    SourceError::tls(match tls_inside(error) {
        Some(inside) => plain_problem(inside, certificate, clock::now()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "the server closed the connection during the handshake".to_owned(),
        None => format!("{} during the handshake", plain_io(error)),
    })
}

impl Connected {
    fn over(stream: BoxIo) -> Self {
        let marks = Arc::new(Marks::default());
        let timed = Timed { stream, marks: Arc::clone(&marks), lenient: false };
        Self { io: TokioIo::new(timed), marks, whole_address: false, proxy_authorization: None, certificate: None }
    }

    async fn secured(self, tls: &Tls, insecure: bool, url: &Url, progress: &mut Progress) -> Result<Self, Failure> {
        progress.stage = Stage::Tls;
        let started = Instant::now();
        let host = url.host_str().unwrap_or_default();
        let (config, recorder) = tls.for_connection(insecure);
        let name = match url.host() {
            Some(Host::Ipv4(ip)) => ServerName::from(std::net::IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => ServerName::from(std::net::IpAddr::V6(ip)),
            _ => ServerName::try_from(host.to_owned()).map_err(|_| Failure::There(SourceError::tls(format!("{host} cannot be asked for in TLS"))))?,
        };
        let stream = self.io.into_inner().stream;
        let result = TlsConnector::from(config).connect(name, stream).await;
        add(&mut progress.phases.tls, started.elapsed());
        let certificate = recorder.take().and_then(|shown| shown.certificate(host, clock::now())).map(Box::new);
        progress.certificate.clone_from(&certificate);
        let stream = result.map_err(|error| Failure::There(tls_error(&error, certificate.as_deref())))?;
        let mut connected = Self::over(Box::new(stream));
        connected.io.inner_mut().lenient = true;
        connected.certificate = certificate;
        Ok(connected)
    }
}
