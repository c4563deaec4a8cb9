//! A simple index on loopback: strict about method, path and what is accepted, with entity tags, in JSON or only in HTML, and
//! failing for some names where asked to. For the demonstration and for tests.
//!
//! What does not belong here: reading such an index (`packages::indexes`).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, HeaderValue, IF_NONE_MATCH, LOCATION, RETRY_AFTER, VARY};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::wheels::Wheel;

/// Connections served at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// Bounds the wait for a request's head, and the idle time of a kept connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const JSON: &str = "application/vnd.pypi.simple.v1+json";

/// One release of a project.
#[derive(Debug, Clone, Default)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// When it came, RFC 3339.
    pub at: Option<String>,
    /// What it asks of the interpreter.
    pub requires_python: Option<String>,
    /// Why it was withdrawn.
    pub yanked: Option<String>,
}

impl Release {
    /// One that asks nothing.
    #[must_use]
    pub fn new(version: &str) -> Self {
        Self { version: version.to_owned(), ..Self::default() }
    }
}

/// What the index answers for a name.
#[derive(Debug, Clone)]
pub enum Page {
    /// Its releases and its status.
    Releases(Vec<Release>, Option<String>),
    /// This status code, and nothing of use.
    Status(u16),
    /// A form to sign in, with 200.
    Form,
    /// Half of an answer, said to be whole.
    Half,
    /// To another host.
    Away,
}

/// What the index holds and how it speaks.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// By normalised name; what is not here is 404.
    pub pages: BTreeMap<String, Page>,
    /// Speaks no JSON, as old mirrors do.
    pub html_only: bool,
    /// `Authorization` that is asked for, whole: `Basic …`.
    pub authorization: Option<String>,
    /// How long answers hold, in seconds.
    pub max_age_s: u64,
    /// Weaknesses of releases, as `vulnerabilities` of the older JSON form; by `name version`. Without any there is no such form.
    pub listed: BTreeMap<String, serde_json::Value>,
    /// What projects say of their releases, in Markdown, by name: served as `/notes/NAME.md`, which the metadata beside the files name.
    pub notes: BTreeMap<String, String>,
    /// Files that can be had, by name; of the others only the page tells.
    pub wheels: BTreeMap<String, Wheel>,
}

/// What was asked so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests.
    pub requests: AtomicU64,
    /// Answers of 304.
    pub unchanged: AtomicU64,
    /// Bytes of bodies.
    pub bytes: AtomicU64,
}

/// One project in JSON (PEP 691).
#[must_use]
pub fn json(name: &str, releases: &[Release], status: Option<&str>) -> String {
    Catalogue::default().json(name, releases, status)
}

impl Catalogue {
    fn json(&self, name: &str, releases: &[Release], status: Option<&str>) -> String {
        whole(name, releases, status, self.notes.contains_key(name), &self.wheels)
    }
}

fn whole(name: &str, releases: &[Release], status: Option<&str>, noted: bool, wheels: &BTreeMap<String, Wheel>) -> String {
    let stem = name.replace('-', "_");
    let mut files = Vec::new();
    for release in releases {
        for file in [format!("{stem}-{}-py3-none-any.whl", release.version), format!("{stem}-{}.tar.gz", release.version)] {
            let wheel = wheels.get(&file);
            files.push(serde_json::json!({
                "filename": file,
                "url": format!("/files/{file}"),
                "hashes": { "sha256": hex(&Sha256::digest(wheel.map_or(file.as_bytes(), |wheel| &wheel.bytes))) },
                "requires-python": release.requires_python,
                "upload-time": release.at,
                "core-metadata": wheel.is_some() || noted && !file.ends_with(".tar.gz"),
                "yanked": release.yanked.as_ref().map_or(serde_json::Value::Bool(false), |reason| reason.as_str().into()),
            }));
        }
    }
    let mut page = serde_json::json!({ "meta": { "api-version": "1.4" }, "name": name, "files": files });
    if let Some(status) = status {
        page["project-status"] = serde_json::json!({ "status": status });
    }
    page.to_string()
}

/// The same in HTML (PEP 503).
#[must_use]
pub fn html(name: &str, releases: &[Release]) -> String {
    let stem = name.replace('-', "_");
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut page = "<!DOCTYPE html>\n<html><head><meta name=\"pypi:repository-version\" content=\"1.0\"></head><body>\n".to_owned();
    for release in releases {
        let python = release.requires_python.as_ref().map(|text| format!(" data-requires-python=\"{}\"", escape(text))).unwrap_or_default();
        let yanked = release.yanked.as_ref().map(|text| format!(" data-yanked=\"{}\"", escape(text))).unwrap_or_default();
        for file in [format!("{stem}-{}-py3-none-any.whl", release.version), format!("{stem}-{}.tar.gz", release.version)] {
            page.push_str(&format!("<a href=\"/files/{file}\"{python}{yanked}>{file}</a><br/>\n"));
        }
    }
    page.push_str("</body></html>\n");
    page
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// `/pypi/NAME/VERSION/json`.
fn older(path: &str) -> Option<[&str; 2]> {
    let (name, version) = path.strip_prefix("/pypi/")?.strip_suffix("/json")?.split_once('/')?;
    Some([name, version])
}

impl Catalogue {
    /// A file, to whoever may ask for it.
    fn wheel(&self, request: &Request<Incoming>) -> Option<Response<Bytes>> {
        let asked = request.method() == Method::GET || request.method() == Method::HEAD;
        let wheel = self.wheels.get(request.uri().path().strip_prefix("/files/")?).filter(|_| asked && self.authorization.is_none())?;
        let mut response = Response::new(Bytes::from(wheel.bytes.clone()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        Some(response)
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
        let plain = |code: u16| {
            let mut response = Response::new(format!("{code}\n"));
            *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            response
        };
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = plain(405);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        if self.authorization.as_deref().is_some_and(|wanted| header(AUTHORIZATION) != wanted) {
            return plain(401);
        }
        if let Some([name, version]) = older(request.uri().path()) {
            if self.listed.is_empty() || !self.pages.contains_key(name) {
                return plain(404);
            }
            let list = self.listed.get(&format!("{name} {version}")).cloned().unwrap_or_else(|| serde_json::json!([]));
            let mut response = Response::new(serde_json::json!({ "info": { "name": name }, "vulnerabilities": list }).to_string());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return response;
        }
        let text = |body: String| {
            let mut response = Response::new(body);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            response
        };
        if let Some(name) = request.uri().path().strip_prefix("/notes/").and_then(|rest| rest.strip_suffix(".md")) {
            return self.notes.get(name).map_or_else(|| plain(404), |notes| text(notes.clone()));
        }
        if let Some(file) = request.uri().path().strip_prefix("/files/").and_then(|rest| rest.strip_suffix(".metadata")) {
            let name = file.split('-').next().unwrap_or_default().replace('_', "-");
            let head = match (self.wheels.get(file), self.notes.contains_key(&name)) {
                (Some(wheel), false) => return text(wheel.metadata.clone()),
                (Some(wheel), true) => wheel.metadata.clone(),
                (None, true) => format!("Metadata-Version: 2.1\nName: {name}\n"),
                (None, false) => return plain(404),
            };
            let host = header(HOST);
            return text(format!("{head}Project-URL: Changelog, http://{host}/notes/{name}.md\n\nA package.\n"));
        }
        let name = request.uri().path().strip_prefix("/simple/").and_then(|rest| rest.strip_suffix('/'));
        let Some(name) = name.filter(|name| !name.is_empty() && *name == crate::packages::versions::normalised(name)) else { return plain(404) };
        let (releases, status) = match self.pages.get(name) {
            None => return plain(404),
            Some(Page::Status(code)) => {
                let mut response = plain(*code);
                if *code == 429 {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("7"));
                }
                return response;
            }
            Some(Page::Form) => {
                let mut response = Response::new("<!doctype html><title>Sign in</title><form></form>".to_owned());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
                return response;
            }
            Some(Page::Half) => {
                let mut body = json(name, &[Release::new("1.0")], None);
                body.truncate(body.len() / 2);
                let mut response = Response::new(body);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
                return response;
            }
            Some(Page::Away) => {
                let mut response = plain(302);
                response.headers_mut().insert(LOCATION, HeaderValue::from_static("http://elsewhere.example/simple/"));
                return response;
            }
            Some(Page::Releases(releases, status)) => (releases, status),
        };
        let accepted = header(ACCEPT);
        let as_json = !self.html_only && accepted.contains(JSON);
        if !as_json && !["text/html", "*/*"].iter().any(|kind| accepted.contains(kind)) {
            return plain(406);
        }
        let (body, kind) = if as_json { (self.json(name, releases, status.as_deref()), JSON) } else { (html(name, releases), "text/html; charset=utf-8") };
        let tag = format!("\"{}\"", &hex(&Sha256::digest(body.as_bytes()))[..16]);
        let unchanged = header(IF_NONE_MATCH).split(',').any(|one| one.trim() == tag);
        let mut response = if unchanged { Response::new(String::new()) } else { Response::new(body) };
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else if let Ok(kind) = HeaderValue::from_str(kind) {
            response.headers_mut().insert(CONTENT_TYPE, kind);
        }
        for (name, value) in [(ETAG, tag), (CACHE_CONTROL, format!("max-age={}, public", self.max_age_s)), (VARY, "Accept".to_owned())] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// Serves until the task is dropped.
///
/// # Errors
/// When the listener cannot be handed to the runtime.
pub async fn serve(listener: std::net::TcpListener, catalogue: Arc<Catalogue>, counters: Arc<Counters>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    // The connections end with this task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return Ok(()) };
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (catalogue, counters) = (Arc::clone(&catalogue), Arc::clone(&counters));
        connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let response = catalogue.wheel(&request).unwrap_or_else(|| catalogue.answer(&request).map(Bytes::from));
                counters.requests.fetch_add(1, Ordering::Relaxed);
                counters.unchanged.fetch_add(u64::from(response.status() == StatusCode::NOT_MODIFIED), Ordering::Relaxed);
                counters.bytes.fetch_add(response.body().len() as u64, Ordering::Relaxed);
                async move { Ok::<_, Infallible>(response.map(Full::new)) }
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
