//! What every HTTP client of the program shares: the cryptography provider, the platform's certificate verifier (its root
//! store is read once), the environment's proxies, bounded name look-ups, connecting, and bodies read with a cap.
//!
//! What does not belong here: what is asked and what is expected (`sources`), and what a certificate says (`sources::http::tls`).

use std::io::{self, Read};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Name look-ups at one time: each takes a thread of the system's resolver, and a resolver that hangs must not take them all.
const LOOKUPS: usize = 64;
/// How long one address may take before the next one is tried beside it (RFC 8305, section 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// The one cryptography provider. Always passed explicitly: with two in the tree rustls' process default panics.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// The verifier with the platform's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured), built once and shared:
/// reading the root store takes milliseconds. A failure is not kept, so that installed authorities are found by the next call.
///
/// # Errors
/// When the platform has no authorities; the text says so.
pub fn platform_verifier() -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    static VERIFIER: Mutex<Option<Arc<rustls_platform_verifier::Verifier>>> = Mutex::new(None);
    let mut kept = VERIFIER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(verifier) = &*kept {
        return Ok(Arc::clone(verifier) as Arc<dyn ServerCertVerifier>);
    }
    let verifier = Arc::new(rustls_platform_verifier::Verifier::new(provider())?);
    *kept = Some(Arc::clone(&verifier));
    Ok(verifier)
}

/// The proxy that `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` ask for, read as curl reads them.
#[must_use]
pub fn environment_proxy(target: &Uri) -> Option<Intercept> {
    static MATCHER: OnceLock<Matcher> = OnceLock::new();
    MATCHER.get_or_init(Matcher::from_env).intercept(target)
}

/// The proxy of a configured address: `http://`, `https://`, `socks5://` or `socks5h://`, with or without `user:password@`.
#[must_use]
pub fn configured_proxy(address: &str, target: &Uri) -> Option<Intercept> {
    Matcher::builder().all(address.trim()).build().intercept(target)
}

/// The addresses of a name, in the system resolver's order (RFC 6724). A look-up whose caller went away ends in its own
/// time and keeps its place among the [`LOOKUPS`] until then.
///
/// # Errors
/// Those of the system's resolver.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    static PLACES: OnceLock<Arc<Semaphore>> = OnceLock::new();
    let places = Arc::clone(PLACES.get_or_init(|| Arc::new(Semaphore::new(LOOKUPS))));
    let place = places.acquire_owned().await.map_err(io::Error::other)?;
    let host = host.to_owned();
    tokio::task::spawn_blocking(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(|addresses| addresses.take(ADDRESSES).collect());
        drop(place);
        found
    })
    .await
    .map_err(io::Error::other)?
}

/// Connects to the first address that answers: in order, the next one beside it after [`NEXT_ADDRESS`] or at once after a failure.
///
/// # Errors
/// That of the first address, when none answers.
pub async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    if let [address] = addresses {
        return open(*address).await;
    }
    let mut waiting = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    let mut first_error = None;
    loop {
        match waiting.next() {
            Some(address) => attempts.push(open(address)),
            None if attempts.is_empty() => break,
            None => {}
        }
        let step = tokio::time::sleep(if waiting.len() == 0 { Duration::MAX } else { NEXT_ADDRESS });
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => first_error = first_error.or(Some(error)),
            },
            () = step => {}
        }
    }
    Err(first_error.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // A small request must not wait for the answer to the one before it.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A body as far as it was read: the first bytes are kept where somebody looks at them, all are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CappedBody {
    /// The first bytes, at most the cap given to [`CappedBody::push`].
    pub kept: Vec<u8>,
    /// How many bytes came in all.
    pub total: u64,
}

impl CappedBody {
    /// Takes the next bytes, keeping at most `keep` in all.
    pub fn push(&mut self, bytes: &[u8], keep: usize) {
        self.total += bytes.len() as u64;
        let room = keep.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether bytes came that were not kept.
    #[must_use]
    pub fn cut(&self) -> bool {
        self.total > self.kept.len() as u64
    }
}

/// Unpacks gzip, at most `cap` bytes of it: a bomb costs no more than the cap. Gives what could be read, and whether that is all.
#[must_use]
pub fn gunzip(packed: &[u8], cap: usize) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(packed).take(cap as u64 + 1);
    let whole = reader.read_to_end(&mut plain).is_ok() && plain.len() <= cap;
    plain.truncate(cap);
    (plain, whole)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_body_keeps_its_beginning_and_counts_all() {
        let mut body = CappedBody::default();
        body.push(b"abc", 4);
        assert!(!body.cut());
        body.push(b"defg", 4);
        assert_eq!((body.kept.as_slice(), body.total, body.cut()), (&b"abcd"[..], 7, true));
    }

    #[test]
    fn a_gzip_bomb_costs_its_cap() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![b'a'; 10_000_000]).unwrap();
        let packed = packer.finish().unwrap();
        let (plain, whole) = gunzip(&packed, 1_000);
        assert_eq!((plain.len(), whole), (1_000, false));
        let (plain, whole) = gunzip(&packed, 10_000_000);
        assert_eq!((plain.len(), whole), (10_000_000, true));
        let (_, whole) = gunzip(&packed[..packed.len() / 2], 10_000_000);
        assert!(!whole, "half a body is not a whole one");
    }

    #[test]
    fn a_configured_proxy_gives_its_address_without_its_password() {
        let target: Uri = "https://shop.example.com/".parse().unwrap();
        let proxy = configured_proxy("http://me:pw@proxy.example:3128", &target).unwrap();
        assert_eq!(proxy.uri().to_string(), "http://proxy.example:3128/");
        assert!(proxy.basic_auth().is_some());
        assert!(configured_proxy("ftp://proxy.example", &target).is_none());
    }

    #[tokio::test]
    async fn a_dead_address_does_not_hide_a_living_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead_address = dead.local_addr().unwrap();
        drop(dead);
        let stream = connect(&[dead_address, listener.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(connect(&[dead_address, dead_address]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect(&[]).await.is_err());
    }

    #[tokio::test]
    async fn names_are_looked_up() {
        let found = resolve("localhost", 80).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80), "{found:?}");
        assert!(resolve("no-such-name.invalid", 80).await.is_err());
    }
}
