//! Asking an index over TLS: how many connections it costs, whichever protocol the server speaks, today and tomorrow.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::cache::Cache;
use super::client::{Asker, Index};
use crate::domain::ErrorKind;
use crate::io::http;

/// How many packages are asked for.
const PACKAGES: u64 = 60;
/// Connections to a server that takes one question on each: eight at one time, and now and then one that was begun when another came free.
const FEW: u64 = 16;

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicU64,
    requests: AtomicU64,
}

impl Seen {
    fn take(&self) -> (u64, u64) {
        (self.connections.swap(0, Ordering::Relaxed), self.requests.swap(0, Ordering::Relaxed))
    }
}

/// A server on loopback that speaks these protocols, and answers nobody before `together` questions were asked.
struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Identity {
    key: rcgen::CertifiedKey<rcgen::KeyPair>,
}

impl Identity {
    fn new() -> Self {
        Self { key: rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap() }
    }

    fn asker(&self) -> Asker {
        let mut roots = RootCertStore::empty();
        roots.add(self.key.cert.der().clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), http::provider()).build().unwrap();
        Asker::trusting(verifier, Arc::new(Cache::new(None))).unwrap()
    }

    async fn serve(&self, at: &str, protocols: &[&str], together: u64) -> Server {
        let key = PrivateKeyDer::try_from(self.key.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(http::provider()).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(vec![self.key.cert.der().clone()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let counters = Arc::clone(&seen);
        let (asked, _) = tokio::sync::watch::channel(0);
        let asked = Arc::new(asked);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, counters, asked) = (acceptor.clone(), Arc::clone(&counters), Arc::clone(&asked));
                counters.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let service = service_fn(move |request: Request<Incoming>| {
                        counters.requests.fetch_add(1, Ordering::Relaxed);
                        asked.send_modify(|count| *count += 1);
                        let mut waiting = asked.subscribe();
                        async move {
                            let _ = waiting.wait_for(|count| *count >= together).await;
                            let name = request.uri().path().trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
                            let page = format!(r#"{{"meta":{{"api-version":"1.0"}},"name":"{name}","files":[{{"filename":"{name}-1.5.tar.gz","url":"x"}}]}}"#);
                            let mut response = Response::new(Full::new(Bytes::from(page)));
                            response.headers_mut().insert("content-type", "application/vnd.pypi.simple.v1+json".parse().unwrap());
                            Ok::<_, Infallible>(response)
                        }
                    });
                    let stream = TokioIo::new(stream);
                    if is_h2 {
                        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
                    } else {
                        let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
                    }
                });
            }
        });
        Server { address, seen, task }
    }
}

/// Asks for all at once; how many were answered, and the first error.
async fn ask(asker: &Asker, address: SocketAddr) -> (u64, Option<ErrorKind>) {
    let index = Index::new(&format!("https://localhost:{}/simple/", address.port()), |_| None).unwrap();
    let ended = OnceLock::new();
    let names: Vec<String> = (0..PACKAGES).map(|n| format!("mq-{n}")).collect();
    let all = join_all(names.iter().map(|name| asker.ask(&index, name, &ended)));
    let all = tokio::time::timeout(Duration::from_secs(60), all).await.expect("an answer");
    let known = all.iter().filter(|answer| answer.project.as_ref().is_some_and(|project| project.releases.len() == 1)).count();
    (known as u64, all.iter().find_map(|answer| Some(answer.error.as_ref()?.kind)))
}

#[tokio::test]
async fn all_questions_go_at_once_on_one_connection_from_the_very_first_look() {
    let identity = Identity::new();
    // Nobody is answered before all have asked: who first waited for one answer would wait for ever.
    let server = identity.serve("127.0.0.1:0", &["h2", "http/1.1"], PACKAGES).await;
    let asker = identity.asker();
    for expected in [(1, PACKAGES), (0, PACKAGES)] {
        assert_eq!(ask(&asker, server.address).await, (PACKAGES, None));
        assert_eq!(server.seen.take(), expected, "the second look finds the connection open");
    }
}

#[tokio::test]
async fn a_server_that_speaks_only_http_1_gets_few_connections_and_no_question_twice() {
    let identity = Identity::new();
    for protocols in [&["http/1.1"][..], &[]] {
        let server = identity.serve("127.0.0.1:0", protocols, 1).await;
        let asker = identity.asker();
        for look in 0..2 {
            assert_eq!(ask(&asker, server.address).await, (PACKAGES, None), "{protocols:?}");
            let (connections, requests) = server.seen.take();
            assert_eq!(requests, PACKAGES);
            assert!(connections <= FEW && (look > 0 || connections > 0), "{protocols:?}: {connections} connections, the opened one among them");
        }
    }
}

#[tokio::test]
async fn a_server_may_change_its_protocol_between_two_looks() {
    let identity = Identity::new();
    let asker = identity.asker();
    let mut at = "127.0.0.1:0".to_owned();
    for protocols in [&["h2"][..], &["http/1.1"], &["h2", "http/1.1"], &["h2"]] {
        let server = identity.serve(&at, protocols, 1).await;
        at = server.address.to_string();
        assert_eq!(ask(&asker, server.address).await, (PACKAGES, None), "{protocols:?}");
        let (connections, requests) = server.seen.take();
        assert_eq!(requests, PACKAGES, "{protocols:?}");
        assert!(connections <= FEW, "{protocols:?}: {connections} connections");
        drop(server);
        // The other side's end is noticed.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(ask(&asker, at.parse().unwrap()).await, (PACKAGES, Some(ErrorKind::Connect)), "nobody is there any more, and what was said stays");
}
