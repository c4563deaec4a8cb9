//! The stand-in on a socket.
//!
//! What does not belong here: what it answers (the stand-in itself).

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use super::{Ask, Seen, Tracker};
use crate::io::clock;

/// Connections served at once.
const CONNECTIONS: usize = 64;
/// Bounds the wait for a request's head and the idle time of a kept connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The body of a change is not larger.
const BODY_BYTES: usize = 64 << 10;
/// Requests that are remembered.
const REMEMBERED: usize = 200;

/// Serves one listener until the task is dropped; `at` gives the time of the story.
///
/// # Errors
/// When the listener cannot be handed to the runtime.
pub async fn serve(listener: TcpListener, tracker: Arc<Tracker>, at: impl Fn() -> Duration + Clone + Send + Sync + 'static) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return Ok(()) };
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = socket.set_nodelay(true);
        let (tracker, at) = (Arc::clone(&tracker), at.clone());
        // They end with this task.
        connections.spawn(async move {
            let _slot = slot;
            let service = service_fn(|request: Request<Incoming>| respond(request, Arc::clone(&tracker), at()));
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(16 << 10)
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn respond(request: Request<Incoming>, tracker: Arc<Tracker>, t: Duration) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let token = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    {
        let mut state = tracker.state();
        if state.seen.len() == REMEMBERED {
            state.seen.pop_front();
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        state.seen.push_back(Seen { method: head.method.to_string(), target, with_token: token.is_some(), body });
    }
    let query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let ask = Ask { method: &head.method, path: head.uri.path(), query, token, body: &body };
    let reply = tracker.answer(&ask, t, clock::now());
    let text = reply.body.map(|body| body.to_string()).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}
