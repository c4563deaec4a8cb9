//! The collector's own page: `/metrics` for Prometheus and `/health`, over HTTP/1.1, by default on loopback.
//!
//! Connections, heads and waiting are bounded; every answer is made by the collector's loop, so that a loop that hangs is no healthy one.
//! What does not belong here: what the answers say (`report::prometheus`, `vitals`).

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::report::prometheus::Format;

/// Connections served at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 32;
/// Bounds the wait for a request's head and the idle time of a kept connection.
const HEAD: Duration = Duration::from_secs(10);
/// How long the loop may take for an answer.
const ANSWER: Duration = Duration::from_secs(5);

const PLAIN: &str = "text/plain; charset=utf-8";

/// What is asked of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `/metrics`.
    Metrics(Format),
    /// `/health`.
    Health,
}

/// The loop's answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Type of the body.
    pub content_type: &'static str,
    /// It.
    pub body: Bytes,
}

/// A question with the way back.
#[derive(Debug)]
pub struct Ask {
    /// What.
    pub question: Question,
    /// Where the answer goes; nobody may be waiting any more.
    pub answer: oneshot::Sender<Answer>,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
}

impl Server {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the address is taken, not of this machine, or not allowed.
    pub fn start(runtime: &Handle, address: SocketAddr, asks: mpsc::Sender<Inner>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let stop = CancellationToken::new();
        let server = Self { address: listener.local_addr()?, stop: stop.clone() };
        let _entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        runtime.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = accept(listener, asks, &stop) => {}
            }
        });
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: tokio::net::TcpListener, asks: mpsc::Sender<Inner>, stop: &CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let Ok((socket, _)) = listener.accept().await else {
            // Out of file descriptors, or a connection that was gone at once: neither ends a server.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (asks, stop) = (asks.clone(), stop.clone());
        tokio::spawn(async move {
            let _slot = slot;
            let service = service_fn(|request: Request<Incoming>| answer(request, asks.clone()));
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_buf_size(16 << 10)
                .serve_connection(TokioIo::new(socket), service);
            tokio::select! {
                // A client that goes away ends as an error here, which is ordinary.
                _ = served => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn answer(request: Request<Incoming>, asks: mpsc::Sender<Inner>) -> Result<Response<Full<Bytes>>, Infallible> {
    let question = match request.uri().path() {
        "/metrics" => {
            let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
            Question::Metrics(Format::accepted(accept))
        }
        "/health" => Question::Health,
        _ => return Ok(plain(StatusCode::NOT_FOUND, "there are /metrics and /health\n")),
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are allowed\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(refused);
    }
    let (way, back) = oneshot::channel();
    let late = || plain(StatusCode::SERVICE_UNAVAILABLE, "the collector does not answer\n");
    let asked = async {
        asks.send(Inner::Asked(Ask { question, answer: way })).await.ok()?;
        back.await.ok()
    };
    let Ok(Some(answer)) = tokio::time::timeout(ANSWER, asked).await else { return Ok(late()) };
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    Ok(response)
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PLAIN));
    response
}

/// `/health`: 200, or 503 with the reasons.
#[must_use]
pub fn health(verdict: &Result<(), String>) -> Answer {
    let (status, text) = match verdict {
        Ok(()) => (200, "ok\n".to_owned()),
        Err(reason) => (503, format!("{}\n", crate::report::clean(reason))),
    };
    Answer { status, content_type: PLAIN, body: Bytes::from(text) }
}
