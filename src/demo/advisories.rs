//! A service on loopback that knows advisories as OSV does, and support dates as endoflife.date does: strict about method, path, media type and shape, one wrong query
//! refuses the whole batch, answers come in pages; and failing where asked to. For the demonstration and for tests.
//!
//! What does not belong here: asking such a service (`packages::advisories`).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::packages::advisories::osv;
use crate::packages::ecosystem::Ecosystem;

/// Connections served at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 32;
/// Bounds the wait for a request's head, and the idle time of a kept connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A question is not larger than this, in bytes.
const BODY: usize = 4 << 20;
/// Queries of a batch.
const BATCH: usize = 1_000;

/// What the service knows and how it speaks.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Records as OSV writes them, by id.
    pub records: BTreeMap<String, Value>,
    /// Support dates as endoflife.date writes them, by product.
    pub products: BTreeMap<String, Value>,
    /// Dates asked for.
    pub dates: AtomicU64,
    /// Records of one page of one query's answer; 0 for all at once.
    pub page: usize,
    /// Answers everything with this status while set to other than 0.
    pub status: AtomicU64,
    /// Has no details of records.
    pub without_details: AtomicBool,
    /// Batches asked for.
    pub batches: AtomicU64,
    /// Queries of them.
    pub queries: AtomicU64,
    /// Details asked for.
    pub details: AtomicU64,
}

impl Shelf {
    /// One with these records.
    #[must_use]
    pub fn of(records: Vec<Value>) -> Self {
        let by_id = |record: Value| Some((record.get("id")?.as_str()?.to_owned(), record));
        Self { records: records.into_iter().filter_map(by_id).collect(), ..Self::default() }
    }

    fn answer(&self, method: &Method, path: &str, kind: &str, body: &[u8]) -> (u16, Value) {
        let refuse = |code: u16, grpc: u8, message: &str| (code, json!({ "code": grpc, "message": message }));
        let status = self.status.load(Ordering::Relaxed);
        if status != 0 {
            return refuse(u16::try_from(status).unwrap_or(500), 13, "out of order");
        }
        match (method, path) {
            (&Method::POST, "/v1/querybatch") => {
                self.batches.fetch_add(1, Ordering::Relaxed);
                if !kind.starts_with("application/json") {
                    return refuse(415, 3, "application/json is wanted");
                }
                let Ok(Value::Object(question)) = serde_json::from_slice(body) else { return refuse(400, 3, "no JSON") };
                let Some(queries) = question.get("queries").and_then(Value::as_array) else { return refuse(400, 3, "no queries") };
                if queries.len() > BATCH {
                    return refuse(400, 3, "too many queries");
                }
                self.queries.fetch_add(queries.len() as u64, Ordering::Relaxed);
                let mut results = Vec::new();
                for (at, query) in queries.iter().enumerate() {
                    match self.query(query) {
                        Some(result) => results.push(result),
                        None => return refuse(400, 3, &format!("error in query at index {at}: Invalid query.")),
                    }
                }
                (200, json!({ "results": results }))
            }
            // One question, answered by whole records.
            (&Method::POST, "/v1/query") => match serde_json::from_slice(body).ok().and_then(|query| self.query(&query)) {
                Some(found) => {
                    let ids = found["vulns"].as_array().into_iter().flatten().filter_map(|mention| mention["id"].as_str());
                    let vulns: Vec<&Value> = ids.filter_map(|id| self.records.get(id)).collect();
                    (200, if vulns.is_empty() { json!({}) } else { json!({ "vulns": vulns }) })
                }
                None => refuse(400, 3, "Invalid query."),
            },
            (&Method::GET, path) if path.starts_with("/v1/vulns/") => {
                self.details.fetch_add(1, Ordering::Relaxed);
                let id = path.trim_start_matches("/v1/vulns/");
                match self.records.get(id).filter(|_| !self.without_details.load(Ordering::Relaxed)) {
                    Some(record) => (200, record.clone()),
                    None => refuse(404, 5, "Vulnerability not found."),
                }
            }
            (&Method::GET, path) if path.starts_with("/api/v1/products/") => {
                self.dates.fetch_add(1, Ordering::Relaxed);
                match self.products.get(path.trim_start_matches("/api/v1/products/")) {
                    Some(product) => (200, json!({ "schema_version": "1.2.1", "generated_at": "2026-08-22T08:52:34+00:00", "result": product })),
                    None => refuse(404, 5, "Not Found"),
                }
            }
            (_, "/v1/querybatch") => refuse(501, 12, "Method Not Allowed"),
            _ => refuse(404, 5, "Not Found"),
        }
    }

    /// One query's result; `None` for one that the service does not take.
    fn query(&self, query: &Value) -> Option<Value> {
        let package = query.get("package")?;
        let version = query.get("version")?.as_str()?;
        // A package URL stands for both name and ecosystem, and not beside them.
        let purl = package.get("purl").and_then(Value::as_str).and_then(|purl| purl.strip_prefix("pkg:cargo/"));
        let (name, word) = match (purl, package.get("name"), package.get("ecosystem")) {
            (Some(name), None, None) => (name, Ecosystem::Cargo.word()),
            (None, Some(name), Some(word)) => (name.as_str()?, word.as_str()?),
            _ => return None,
        };
        if name.is_empty() || version.is_empty() || query.as_object()?.keys().any(|key| !matches!(key.as_str(), "package" | "version" | "page_token")) {
            return None;
        }
        // Ecosystems and names are compared letter by letter.
        let ecosystem = Ecosystem::find(word)?;
        let found: Vec<Value> = self
            .records
            .values()
            .filter(|record| {
                let parts = record["affected"].as_array().into_iter().flatten();
                let mut names = parts.filter_map(|part| part["package"]["name"].as_str());
                names.any(|own| ecosystem.name(own) == name)
            })
            .filter(|record| {
                let read = serde_json::to_vec(record).ok().and_then(|bytes| osv::record(&bytes, ecosystem).ok());
                read.is_some_and(|read| ecosystem.name(name) == name && read.about(name).holds(ecosystem, version) == Some(true))
            })
            .map(|record| json!({ "id": record["id"], "modified": record["modified"] }))
            .collect();
        if self.page == 0 || found.is_empty() {
            return Some(if found.is_empty() { json!({}) } else { json!({ "vulns": found }) });
        }
        let from: usize = query.get("page_token").and_then(Value::as_str).map_or(Some(0), |token| token.parse().ok())?;
        let page: Vec<Value> = found.iter().skip(from).take(self.page).cloned().collect();
        let next = from + self.page;
        Some(if next < found.len() { json!({ "vulns": page, "next_page_token": next.to_string() }) } else { json!({ "vulns": page }) })
    }
}

/// Serves until the task is dropped.
///
/// # Errors
/// When the listener cannot be handed to the runtime.
pub async fn serve(listener: std::net::TcpListener, shelf: Arc<Shelf>) -> io::Result<()> {
    serve_with(listener, move |method, path, kind, body| {
        let (code, value) = shelf.answer(method, path, kind, body);
        (code, "application/json", value.to_string())
    })
    .await
}

/// Serves answers made by a function of method, path, media type and body: status, media type, body.
///
/// # Errors
/// When the listener cannot be handed to the runtime.
pub(super) async fn serve_with<F>(listener: std::net::TcpListener, answer: F) -> io::Result<()>
where
    F: Fn(&Method, &str, &str, &[u8]) -> (u16, &'static str, String) + Send + Sync + 'static,
{
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let answer = Arc::new(answer);
    // The connections end with this task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return Ok(()) };
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let answer = Arc::clone(&answer);
        connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = Arc::clone(&answer);
                async move {
                    let (head, body) = request.into_parts();
                    let kind = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
                    let body = Limited::new(body, BODY).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
                    let (code, kind, text) = answer(&head.method, head.uri.path(), kind, &body);
                    let response = Response::builder().status(code).header(CONTENT_TYPE, kind).body(Full::new(Bytes::from(text)));
                    Ok::<_, Infallible>(response.unwrap_or_default())
                }
            });
            // A client that goes away ends its own connection only.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(socket), service)
                .await;
            drop(slot);
        });
        while connections.try_join_next().is_some() {}
    }
}
