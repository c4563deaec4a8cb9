//! One exchange over one connection: the request written, the answer read with a cap, and the time each part took.
//!
//! What does not belong here: connecting (`connect`), judging the answer (`expect`), redirects and time limits (`probe`).
//!
//! The connection is driven by the task that probes, not by one of its own: a probe is one task, and a kept connection costs
//! nothing while it waits.

use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use url::Url;

use super::connect::{Connected, Failure, Progress, Route, Stage, add, plain_io, tls_inside};
use super::stream::{Marks, Timed};
use super::tls::plain_problem;
use crate::domain::{Certificate, SourceError};
use crate::io::clock;
use crate::io::http::CappedBody;

/// The first bytes of a body, those that expectations look at.
pub const KEPT_BYTES: usize = 1 << 20;
/// A body past this is no answer of a health endpoint; it is read no further.
pub const READ_BYTES: u64 = 16 << 20;
/// The head of an answer (status line and headers) is not longer than this.
const HEAD_BYTES: usize = 64 << 10;
/// Headers of an answer.
const HEADERS: usize = 200;

/// What is asked in one exchange.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// The headers, without those the client writes itself.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Bytes>,
    /// Whether somebody looks at the answer's body.
    pub keep_body: bool,
    /// Whether the connection is to be kept.
    pub keep_alive: bool,
}

/// The answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; its first bytes only where somebody looks at it.
    pub body: CappedBody,
    /// Why the body is not whole, where it is not.
    pub broke_off: Option<SourceError>,
}

/// An open connection.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Pin<Box<http1::Connection<TokioIo<Timed>, Full<Bytes>>>>,
    ended: bool,
    marks: Arc<Marks>,
    whole_address: bool,
    proxy_authorization: Option<header::HeaderValue>,
    certificate: Option<Box<Certificate>>,
    origin: url::Origin,
}

impl Connection {
    /// Connects for a request to `url`.
    ///
    /// # Errors
    /// As [`Route::connect`].
    pub async fn open(route: &mut Route, url: &Url, progress: &mut Progress) -> Result<Self, Failure> {
        let Connected { io, marks, whole_address, proxy_authorization, certificate } = route.connect(url, progress).await?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES).max_headers(HEADERS);
        let (sender, driver) = builder.handshake(io).await.map_err(|error| Failure::There(plain(&error, &marks)))?;
        Ok(Self { sender, driver: Box::pin(driver), ended: false, marks, whole_address, proxy_authorization, certificate, origin: url.origin() })
    }

    /// Whether a request to `url` may go over this connection: the same host, and not closed meanwhile.
    pub async fn serves(&mut self, url: &Url) -> bool {
        // The other side may have closed it long ago; one look at the socket tells.
        poll_fn(|cx| {
            if !self.ended && self.driver.as_mut().poll(cx).is_ready() {
                self.ended = true;
            }
            Poll::Ready(())
        })
        .await;
        !self.ended && self.sender.is_ready() && self.origin == url.origin()
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// When no head of an answer came. A body that broke off is an answer.
    pub async fn exchange(&mut self, ask: &Ask, progress: &mut Progress) -> Result<Answer, SourceError> {
        self.marks.restart();
        progress.stage = Stage::FirstByte;
        progress.marks = Some(Arc::clone(&self.marks));
        progress.certificate.clone_from(&self.certificate);
        let request = self.request(ask)?;
        let answering = self.sender.send_request(request);
        let answering = drive(&mut self.driver, &mut self.ended, answering).await;
        let first = progress.answered();
        let answer = answering.map_err(|error| plain(&error, &self.marks))?;
        progress.stage = Stage::Transfer;
        progress.status = Some(answer.status().as_u16());
        let (parts, body) = answer.into_parts();
        let mut answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body: CappedBody::default(), broke_off: None };
        self.read(body, ask, &mut answer).await;
        if let Some(first) = first {
            add(&mut progress.phases.transfer, Instant::now().saturating_duration_since(first));
        }
        Ok(answer)
    }

    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, SourceError> {
        let odd = |_| SourceError::config("the request cannot be written", "check `url`, `headers` and `method`");
        let target = if self.whole_address { &ask.url[..url::Position::AfterQuery] } else { &ask.url[url::Position::BeforePath..url::Position::AfterQuery] };
        let body = ask.body.clone().unwrap_or_default();
        let has_body = ask.body.is_some();
        let mut request = Request::builder().method(ask.method.clone()).uri(target).body(Full::new(body)).map_err(odd)?;
        let headers = request.headers_mut();
        let host = &ask.url[url::Position::BeforeHost..url::Position::AfterPort];
        headers.insert(header::HOST, host.parse().map_err(|_| SourceError::config("the host cannot be written in a header", "check `url`"))?);
        headers.insert(header::USER_AGENT, header::HeaderValue::from_static(concat!("rounds/", env!("CARGO_PKG_VERSION"))));
        headers.insert(header::ACCEPT, header::HeaderValue::from_static("*/*"));
        if !ask.keep_alive {
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        }
        if !has_body {
            // A request without a body says nothing of one, whatever its method.
            headers.remove(header::CONTENT_LENGTH);
        }
        for (name, value) in &ask.headers {
            headers.insert(name, value.clone());
        }
        if let Some(authorization) = &self.proxy_authorization {
            headers.insert(header::PROXY_AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }

    async fn read(&mut self, mut body: Incoming, ask: &Ask, answer: &mut Answer) {
        let keep = if ask.keep_body { KEPT_BYTES } else { 0 };
        let announced = body.size_hint().exact();
        if announced.is_some_and(|bytes| bytes > READ_BYTES) {
            answer.broke_off = Some(SourceError::too_large(READ_BYTES));
            return;
        }
        while let Some(frame) = drive(&mut self.driver, &mut self.ended, body.frame()).await {
            match frame {
                Ok(frame) => {
                    if let Some(bytes) = frame.data_ref() {
                        answer.body.push(bytes, keep);
                    }
                }
                Err(error) => {
                    answer.broke_off = Some(half(&error, answer.body.total, announced));
                    return;
                }
            }
            if answer.body.total > READ_BYTES {
                answer.broke_off = Some(SourceError::too_large(READ_BYTES));
                return;
            }
        }
    }
}

/// Runs `work` while the connection flows.
async fn drive<F: Future>(driver: &mut Pin<Box<http1::Connection<TokioIo<Timed>, Full<Bytes>>>>, ended: &mut bool, work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if !*ended && driver.as_mut().poll(cx).is_ready() {
            // What went wrong is told by the request that it went wrong for.
            *ended = true;
        }
        work.as_mut().poll(cx)
    })
    .await
}

/// Why no answer came.
fn plain(error: &hyper::Error, marks: &Marks) -> SourceError {
    let answered = marks.times().1.is_some();
    if let Some(inner) = io_inside(error) {
        return match tls_inside(inner) {
            Some(tls) => SourceError::tls(plain_problem(tls, None, clock::now())),
            None => SourceError::connect(plain_io(inner)),
        };
    }
    SourceError::protocol(if error.is_parse_too_large() {
        format!("the headers of the answer are longer than {} KiB or more than {HEADERS}", HEAD_BYTES / 1024)
    } else if error.is_parse_version_h2() {
        "the server speaks HTTP/2 only".to_owned()
    } else if error.is_parse() {
        match error.source() {
            Some(reason) => format!("the answer is not HTTP: {reason}"),
            None => "the answer is not HTTP".to_owned(),
        }
    } else if answered {
        "the connection was closed in the middle of the answer's head".to_owned()
    } else {
        "the connection was closed without an answer".to_owned()
    })
}

/// Why the body is not whole.
fn half(error: &hyper::Error, got: u64, announced: Option<u64>) -> SourceError {
    let of = announced.map(|bytes| format!(" of {bytes}")).unwrap_or_default();
    match io_inside(error) {
        Some(inner)
            if inner.kind() != io::ErrorKind::UnexpectedEof && inner.kind() != io::ErrorKind::InvalidInput && inner.kind() != io::ErrorKind::InvalidData =>
        {
            SourceError::connect(format!("{} after {got}{of} bytes of the body", plain_io(inner)))
        }
        Some(inner) if inner.kind() != io::ErrorKind::UnexpectedEof => SourceError::protocol(format!("the body is broken after {got} bytes: {inner}")),
        _ => SourceError::protocol(format!("the connection was closed after {got}{of} bytes of the body")),
    }
}

fn io_inside(error: &hyper::Error) -> Option<&io::Error> {
    error.source()?.downcast_ref()
}
