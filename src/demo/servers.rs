//! The demonstration's servers: HTTP/1.1 on loopback, one of them over TLS. What a page does at a time is the script's business.
//!
//! They are strict: an unknown path is 404, another method than GET and HEAD is 405, slow heads are cut, connections are bounded.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION, SERVER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::Watch;
use super::lines::Served;
use super::pages::{Host, Page};
use super::script::{self, Answer};

/// Connections served at once by each server; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// Bounds a TLS handshake, the wait for a request's head, and the idle time of a kept connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the patience of every source of the demonstration.
const HANG: Duration = Duration::from_secs(30);

type Body = BoxBody<Bytes, io::Error>;

/// What every request needs to know.
pub struct Shared {
    /// The time of the story.
    pub watch: Watch,
    /// Where requests are logged. Bounded: past it a line is not written.
    pub log: SyncSender<Served>,
    /// Requests so far; the latencies follow from it.
    pub requests: AtomicU64,
}

/// Serves one listener until the task is dropped.
///
/// # Errors
/// When the listener cannot be handed to the runtime.
pub async fn serve(listener: TcpListener, host: Host, tls: Option<TlsAcceptor>, shared: Arc<Shared>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return Ok(()) };
        let Ok((socket, _)) = listener.accept().await else {
            // Out of file descriptors, or a connection that was gone at once: neither ends a server.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = socket.set_nodelay(true);
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let _slot = slot;
            match tls {
                None => connection(socket, host, shared).await,
                Some(acceptor) => {
                    if let Ok(Ok(socket)) = tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(socket)).await {
                        connection(socket, host, shared).await;
                    }
                }
            }
        });
    }
}

async fn connection(socket: impl AsyncRead + AsyncWrite + Unpin, host: Host, shared: Arc<Shared>) {
    let service = service_fn(|request: Request<Incoming>| answer(request, host, Arc::clone(&shared)));
    // A client that goes away, and an answer that is cut on purpose, end as errors here; both are ordinary.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

async fn answer(request: Request<Incoming>, host: Host, shared: Arc<Shared>) -> Result<Response<Body>, Infallible> {
    let began = Instant::now();
    let t = shared.watch.elapsed();
    let number = shared.requests.fetch_add(1, Ordering::Relaxed);
    let page = Page::find(host, request.uri().path());
    let readable = matches!(*request.method(), Method::GET | Method::HEAD);
    let behaviour = page.filter(|_| readable).map(|page| (page, script::behaviour(page, t)));

    let mut trouble = None;
    let response = match behaviour {
        None if page.is_some() => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "method not allowed\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        None => plain(StatusCode::NOT_FOUND, "text/html; charset=utf-8", "<!doctype html><title>Not Found</title>\n"),
        Some((page, behaviour)) => {
            tokio::time::sleep(behaviour.think(number)).await;
            match behaviour.answer {
                Answer::Well => well(page),
                Answer::Status(status) => {
                    trouble = script::trouble(t).filter(|_| status == 500);
                    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    plain(status, "text/html; charset=utf-8", "<!doctype html><title>Server Error</title>\n")
                }
                Answer::Cut => cut(page),
                Answer::Hang => {
                    tokio::time::sleep(HANG).await;
                    plain(StatusCode::GATEWAY_TIMEOUT, "text/plain", "too late\n")
                }
            }
        }
    };
    let served = Served {
        host,
        method: request.method().to_string(),
        target: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        status: response.status().as_u16(),
        bytes: page.map_or(0, |page| page.body().len()),
        took: began.elapsed(),
        trouble,
    };
    // A full queue costs a line of the log, never an answer.
    let _ = shared.log.try_send(served);
    Ok(response)
}

fn plain(status: StatusCode, content_type: &'static str, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(SERVER, HeaderValue::from_static("gunicorn"));
    response
}

fn well(page: Page) -> Response<Body> {
    let status = StatusCode::from_u16(page.status()).unwrap_or(StatusCode::OK);
    let mut response = plain(status, page.content_type(), page.body());
    if page == Page::ShopAdmin {
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("/admin/login/?next=/admin/"));
    }
    response
}

/// Half of the body that was promised, then the end of the connection.
fn cut(page: Page) -> Response<Body> {
    let body = page.body().as_bytes();
    let half = Bytes::from_static(&body[..body.len() / 2]);
    let first = stream::iter([Ok(Frame::data(half))]);
    // The pause lets what was written leave before the connection does.
    let end = stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    let mut response = well(page);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = BodyExt::boxed(StreamBody::new(first.chain(end)));
    response
}
