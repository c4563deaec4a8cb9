//! Asking a simple index for one project: conditionally, within a size, credentials to their own host only.
//!
//! What does not belong here: which projects are asked for and what is made of it (`sources::python`).

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, RETRY_AFTER,
};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, ClientBuilder, Response, StatusCode};
use rustls::client::danger::ServerCertVerifier;
use tokio::sync::Semaphore;
use url::Url;

use super::cache::{Cache, Kept};
use super::lane::{self, Lane, Unasked};
use super::simple::{self, Project};
use crate::domain::SourceError;
use crate::io::secret::Secret;
use crate::io::{api, clock, http};

/// The largest page that is read, unpacked, in bytes.
const LIMIT: usize = 32 << 20;
/// One request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Kept answers read at one time: more would each start a thread for less than its start costs.
const READERS: usize = 4;
/// What may be on its way of one answer, and of all on one connection, before we take it: without such room a distant server waits for us
/// again and again.
const WINDOWS: (u32, u32) = (1 << 20, 8 << 20);
/// A server may not keep us from asking for longer than this, in seconds.
const LONGEST_AGE_S: u64 = 3_600;
/// Both shapes, the better one first (PEP 691, "version and format selection").
const ACCEPTED: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/// The file of a page that is looked for: its core metadata stand beside it (PEP 658, 714).
#[derive(serde::Deserialize)]
struct Files<'a> {
    #[serde(borrow, default)]
    files: Vec<File<'a>>,
}

#[derive(serde::Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    filename: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    url: std::borrow::Cow<'a, str>,
    #[serde(rename = "core-metadata", default)]
    metadata: serde_json::Value,
    #[serde(rename = "data-dist-info-metadata", default)]
    older: serde_json::Value,
}

impl File<'_> {
    fn has_metadata(&self) -> bool {
        [&self.metadata, &self.older].into_iter().any(|value| value.is_object() || value.as_bool() == Some(true))
    }
}

/// One index. Its `Debug` shows no credentials.
#[derive(Clone)]
pub struct Index {
    base: Url,
    auth: Option<(String, Secret)>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        self.base == other.base
    }
}

impl Index {
    /// From an address that may hold `user:password@`; else `credentials` are asked by host.
    ///
    /// # Errors
    /// When it is no address of an index; the text does not repeat it.
    pub fn new(text: &str, credentials: impl Fn(&str) -> Option<(String, Secret)>) -> Result<Self, String> {
        let mut base = Url::parse(text.trim()).map_err(|error| format!("it is no address: {error}"))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(format!("it begins with {}: and not with https: or http:", base.scheme()));
        }
        let Some(host) = base.host_str().map(str::to_owned) else { return Err("it has no host".to_owned()) };
        let decoded = |text: &str| percent(text);
        let auth = match (base.username(), base.password()) {
            ("", None) => credentials(&host),
            // As pip and uv do: a name in the address, and its password where passwords are kept.
            (user, None) => {
                let user = decoded(user);
                let password = credentials(&host).filter(|(name, _)| *name == user).map_or_else(|| Secret::new(String::new()), |(_, password)| password);
                Some((user, password))
            }
            (user, password) => Some((decoded(user), Secret::new(decoded(password.unwrap_or_default())))),
        };
        // Only an address that cannot hold credentials refuses these, and such a one was refused above.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        Ok(Self { base, auth })
    }

    /// The user whose password is not known.
    #[must_use]
    pub fn lacks_password(&self) -> Option<&str> {
        self.auth.as_ref().filter(|(user, password)| !user.is_empty() && password.expose().is_empty()).map(|(user, _)| user.as_str())
    }

    /// With this password for the user it has.
    pub fn set_password(&mut self, password: Secret) {
        if let Some((_, old)) = &mut self.auth {
            *old = password;
        }
    }

    /// Host and port, by which passwords are kept too.
    #[must_use]
    pub fn place(&self) -> String {
        api::place(&self.base)
    }

    /// Its address, without credentials.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.base.as_str()
    }

    /// The page of one release in the older JSON form, which stands beside the simple index: `/simple/` becomes `/pypi/`.
    fn release(&self, name: &str, version: &str) -> Option<Url> {
        let mut url = self.base.clone();
        let path = url.path().strip_suffix("simple/")?.to_owned();
        url.set_path(&path);
        url.path_segments_mut().ok()?.pop_if_empty().extend(["pypi", name, version, "json"]);
        Some(url)
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        api::is_loopback(&self.base)
    }

    /// Its host and port.
    #[must_use]
    pub fn reach(&self) -> Option<(String, u16)> {
        Some((self.base.host_str()?.trim_matches(['[', ']']).to_owned(), self.base.port_or_known_default()?))
    }
}

/// `%40` is `@`, as addresses write it.
fn percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What an index said of one project.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What it knows now, or, with an error, what it knew when it last answered.
    pub project: Option<Arc<Project>>,
    /// Why it did not answer.
    pub error: Option<SourceError>,
}

/// Asks. One for each source; its connections are shared by all that it asks.
#[derive(Debug)]
pub struct Asker {
    tls: rustls::ClientConfig,
    cache: Arc<Cache>,
    readers: Semaphore,
    /// The connections to each server, by its scheme, host and port.
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    /// Asks other hosts, which an index names for its files; and, where the host is this machine, past any proxy.
    elsewhere: [OnceLock<Client>; 2],
}

/// Redirects stay on the host and never leave TLS: an index that moved is a thing to be told, not to be followed with a token in hand.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let same = attempt.previous().last().is_some_and(|from| {
        let to = attempt.url();
        let port = from.port_or_known_default() == to.port_or_known_default();
        from.host_str() == to.host_str() && (from.scheme() == to.scheme() && port || from.scheme() == "http" && to.scheme() == "https")
    });
    if same && attempt.previous().len() <= 5 { attempt.follow() } else { attempt.stop() }
}

impl Asker {
    /// Makes the client; reads the platform's certificates the first time.
    ///
    /// # Errors
    /// When the platform has none.
    pub fn new(cache: Arc<Cache>) -> Result<Self, SourceError> {
        let verifier = http::platform_verifier().map_err(|error| SourceError::tls(format!("this system's certificates cannot be used: {error}")))?;
        Self::trusting(verifier, cache)
    }

    /// One that trusts whom `verifier` trusts.
    ///
    /// # Errors
    /// Those of the cryptography provider.
    pub(super) fn trusting(verifier: Arc<dyn ServerCertVerifier>, cache: Arc<Cache>) -> Result<Self, SourceError> {
        let mut tls = rustls::ClientConfig::builder_with_provider(http::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| SourceError::tls(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { tls, cache, readers: Semaphore::new(READERS), lanes: Mutex::default(), elsewhere: [OnceLock::new(), OnceLock::new()] })
    }

    /// A proxy of the environment must not come between us and this machine.
    fn builder(&self, direct: bool) -> ClientBuilder {
        let builder = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .user_agent(concat!("rounds/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::custom(follow))
            .timeout(TIMEOUT)
            .http2_initial_stream_window_size(WINDOWS.0)
            .http2_initial_connection_window_size(WINDOWS.1);
        if direct { builder.no_proxy() } else { builder }
    }

    /// What the index knows of this project (normalised name). Who waits for its turn is not asked for once the round is `ended`.
    pub async fn ask(&self, index: &Index, name: &str, ended: &OnceLock<SourceError>) -> Answer {
        let (cache, base, key) = (Arc::clone(&self.cache), index.base.as_str().to_owned(), name.to_owned());
        let reader = self.readers.acquire().await.ok();
        let kept = tokio::task::spawn_blocking(move || cache.get(&base, &key)).await.ok().flatten();
        drop(reader);
        let now = clock::now().timestamp();
        if let Some(kept) = &kept
            && (0..i64::try_from(kept.max_age_s.min(LONGEST_AGE_S)).unwrap_or(0)).contains(&(now - kept.asked_at_s))
        {
            return Answer { project: Some(Arc::clone(&kept.project)), error: None };
        }
        match self.request(index, name, kept.as_ref(), ended).await {
            Ok(project) => Answer { project: Some(project), error: None },
            Err(error) => Answer { project: kept.map(|kept| kept.project), error: Some(error) },
        }
    }

    fn lane(&self, index: &Index) -> Result<Arc<Lane>, SourceError> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let place = index.base.origin().ascii_serialization();
        if let Some(lane) = lanes.get(&place) {
            return Ok(Arc::clone(lane));
        }
        let made = Lane::new(index.base.scheme() == "https", || self.builder(index.is_local())).map_err(|error| unmade(&error))?;
        let lane = Arc::new(made);
        lanes.insert(place, Arc::clone(&lane));
        Ok(lane)
    }

    /// What the index says of one release in its older JSON form; `None` when it has no such form or does not know the release.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn release(&self, index: &Index, name: &str, version: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(url) = index.release(name, version) else { return Ok(None) };
        let lane = self.lane(index)?;
        let question = |client: &Client| {
            let request = client.get(url.clone()).header(ACCEPT, "application/json");
            match &index.auth {
                Some((user, password)) => request.basic_auth(user, Some(password.expose())),
                None => request,
            }
        };
        let (_turn, response) = lane.ask(question, None).await.map_err(unasked)?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
        match response.status().as_u16() {
            200 if content_type.contains("json") => body(response).await.map(Some),
            // A page instead of JSON is what mirrors answer that have only the simple index.
            200 | 404 | 405 | 406 | 410 => Ok(None),
            _ => Err(refused(&response)),
        }
    }

    /// The core metadata of one release, where the index gives them beside its files; `None` when it does not.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metadata(&self, index: &Index, name: &str, version: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let url = index.base.join(&format!("{name}/")).map_err(|_| SourceError::config(format!("{name} makes no address"), "look at the manifest"))?;
        let page = self.get(index, &url, ACCEPTED).await?;
        let (place, is_json) = (page.url().clone(), is_json(&page));
        if page.status() != StatusCode::OK || !is_json {
            return Ok(None);
        }
        let (page, name, version) = (body(page).await?, name.to_owned(), version.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            let files = serde_json::from_slice::<Files<'_>>(&page).ok()?.files;
            let of_release = |file: &&File<'_>| simple::distribution(&file.filename, Some(&name)).is_some_and(|found| found.version == version);
            let file = files.iter().filter(|file| file.has_metadata()).find(of_release)?;
            Url::parse(&format!("{}.metadata", place.join(&file.url).ok()?)).ok()
        });
        let Some(url) = found.await.ok().flatten().filter(|url| matches!(url.scheme(), "http" | "https")) else { return Ok(None) };
        let answer = self.get(index, &url, "*/*").await?;
        if answer.status() == StatusCode::OK { body(answer).await.map(Some) } else { Ok(None) }
    }

    /// One request; credentials go to the index's own host only.
    async fn get(&self, index: &Index, url: &Url, accept: &str) -> Result<Response, SourceError> {
        let direct = api::is_loopback(url);
        let place = &self.elsewhere[usize::from(direct)];
        let client = if let Some(client) = place.get() {
            client.clone()
        } else {
            let made = self.builder(direct).connect_timeout(lane::CONNECT).build().map_err(|error| unmade(&error))?;
            place.get_or_init(|| made).clone()
        };
        let mut request = client.get(url.clone()).header(ACCEPT, accept);
        let own =
            url.host_str() == index.base.host_str() && url.port_or_known_default() == index.base.port_or_known_default() && url.scheme() == index.base.scheme();
        if let Some((user, password)) = index.auth.as_ref().filter(|_| own) {
            request = request.basic_auth(user, Some(password.expose()));
        }
        request.send().await.map_err(|error| failed(&error))
    }

    async fn request(&self, index: &Index, name: &str, kept: Option<&Kept>, ended: &OnceLock<SourceError>) -> Result<Arc<Project>, SourceError> {
        let url = index.base.join(&format!("{name}/")).map_err(|_| SourceError::config(format!("{name} makes no address"), "look at the manifest"))?;
        let lane = self.lane(index)?;
        let question = |client: &Client| {
            let mut request = client.get(url.clone()).header(ACCEPT, ACCEPTED);
            if let Some((user, password)) = &index.auth {
                request = request.basic_auth(user, Some(password.expose()));
            }
            match kept {
                Some(Kept { etag: Some(etag), .. }) => request.header(IF_NONE_MATCH, etag),
                Some(Kept { modified: Some(modified), .. }) => request.header(IF_MODIFIED_SINCE, modified),
                _ => request,
            }
        };
        let (_turn, response) = lane.ask(question, Some(ended)).await.map_err(unasked)?;
        let status = response.status();
        let max_age_s = max_age(response.headers());
        if let (StatusCode::NOT_MODIFIED, Some(kept)) = (status, kept) {
            if max_age_s > 0 {
                self.keep(index, name, Kept { asked_at_s: clock::now().timestamp(), max_age_s, ..kept.clone() });
            }
            return Ok(Arc::clone(&kept.project));
        }
        if status != StatusCode::OK {
            return Err(refused(&response));
        }
        let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (etag, modified, content_type) = (header(ETAG), header(LAST_MODIFIED), header(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase());
        let body = body(response).await?;
        let (cache, base, name) = (Arc::clone(&self.cache), index.base.as_str().to_owned(), name.to_owned());
        // Pages of old projects have megabytes.
        let read = tokio::task::spawn_blocking(move || {
            let read = if content_type.contains("json") {
                simple::json(&body, &name)
            } else if content_type.contains("html") {
                simple::html(&body, &name)
            } else {
                Err("the answer is neither JSON nor HTML".to_owned())
            };
            let project = Arc::new(read.map_err(SourceError::protocol)?);
            let asked_at_s = clock::now().timestamp();
            cache.put(&base, &name, &Kept { etag, modified, asked_at_s, max_age_s, project: Arc::clone(&project) });
            Ok(project)
        });
        read.await.map_err(|_| SourceError::protocol("the answer could not be read"))?
    }

    fn keep(&self, index: &Index, name: &str, kept: Kept) {
        let (cache, base, name) = (Arc::clone(&self.cache), index.base.as_str().to_owned(), name.to_owned());
        // Nobody waits for it: an answer that is not kept is asked for again.
        drop(tokio::task::spawn_blocking(move || cache.put(&base, &name, &kept)));
    }
}

fn is_json(response: &Response) -> bool {
    response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|kind| kind.to_ascii_lowercase().contains("json"))
}

async fn body(mut response: Response) -> Result<Vec<u8>, SourceError> {
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + bytes.len() > LIMIT {
            return Err(SourceError::too_large(LIMIT as u64));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

fn max_age(headers: &HeaderMap) -> u64 {
    let text = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let mut words = text.split(',').map(str::trim);
    if words.clone().any(|word| word.starts_with("no-cache") || word.starts_with("no-store")) {
        return 0;
    }
    words.find_map(|word| word.strip_prefix("max-age=")).and_then(|seconds| seconds.trim_matches('"').parse().ok()).unwrap_or(0)
}

/// What an answer that is none means.
fn refused(response: &Response) -> SourceError {
    let code = response.status().as_u16();
    match code {
        401 | 403 | 407 => {
            let remedy = "put a user and token that may read it into the address, ~/.netrc or the variable that holds the address";
            SourceError::auth(format!("the index refuses us ({code})"), remedy)
        }
        404 | 410 => SourceError {
            remedy: "look at the name; a private package needs its own index".to_owned(),
            ..SourceError::status(code, "the index does not know it")
        },
        429 | 503 if response.headers().contains_key(RETRY_AFTER) || code == 429 => {
            let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
            SourceError::rate_limited(format!("the index asks for patience ({code})"), seconds.map(|s: u64| Duration::from_secs(s.min(86_400))))
        }
        300..=399 => {
            let elsewhere = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| response.url().join(to).ok());
            let host = elsewhere.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "elsewhere".to_owned());
            let host: String = host.chars().filter(|c| !c.is_control()).take(100).collect();
            SourceError {
                remedy: "if that is right, let `index` name the new address".to_owned(),
                ..SourceError::status(code, format!("the index sends us to {host}"))
            }
        }
        _ => SourceError::status(code, format!("the index answers {code}")),
    }
}

/// The innermost reason, without the address, on one line.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    let text = if error.source().is_none() { "it broke off".to_owned() } else { innermost.to_string() };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect()
}

/// Errors of the handshake lie inside errors of input and output, which do not name them as their source.
fn is_tls(error: &(dyn std::error::Error + 'static), depth: u8) -> bool {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || depth > 0 && inner.is_some_and(|inner| is_tls(inner, depth - 1))
}

fn unmade(error: &reqwest::Error) -> SourceError {
    SourceError::config(format!("no HTTP client: {}", cause(error)), "run `rounds doctor`")
}

fn unasked(why: Unasked) -> SourceError {
    match why {
        Unasked::Ended(error) => error,
        Unasked::Failed(error) => failed(&error),
    }
}

fn failed(error: &reqwest::Error) -> SourceError {
    if error.is_timeout() {
        return SourceError::timeout(if error.is_connect() { lane::CONNECT } else { TIMEOUT });
    }
    let (mut at, mut tls) = (error.source(), false);
    while let Some(one) = at {
        tls |= is_tls(one, 4);
        at = one.source();
    }
    if tls {
        return SourceError { remedy: "let SSL_CERT_FILE name the authority of the index".to_owned(), ..SourceError::tls(cause(error)) };
    }
    if error.is_connect() {
        return SourceError::connect(cause(error));
    }
    SourceError::protocol(format!("the answer broke off: {}", cause(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_from_the_address_and_never_shown() {
        let index = Index::new("https://me:h%40sh@index.example/simple?x#y", |_| None).unwrap();
        assert_eq!(index.shown(), "https://index.example/simple/");
        assert_eq!(format!("{index:?}"), "https://index.example/simple/");
        let (user, password) = index.auth.clone().unwrap();
        assert_eq!((user.as_str(), password.expose()), ("me", "h@sh"));
        let asked = Index::new("https://index.example/simple/", |host| Some((host.to_owned(), Secret::new("x".into())))).unwrap();
        assert_eq!(asked.auth.unwrap().0, "index.example");
        for wrong in ["", "index.example", "ftp://index.example/", "file:///srv/simple", "https://me:hush@/"] {
            let error = Index::new(wrong, |_| None).unwrap_err();
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_server_says_how_long_its_answer_holds() {
        let of = |text: &str| max_age(&HeaderMap::from_iter([(CACHE_CONTROL, text.parse().unwrap())]));
        assert_eq!((of("max-age=600, public"), of("public, Max-Age=7"), of("no-cache, max-age=9"), of("rubbish")), (600, 7, 0, 0));
    }
}
