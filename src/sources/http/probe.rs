//! The source: one poll of an endpoint with its redirects, its time limit, and the observations that come of it.
//!
//! What does not belong here: whether a failure is one too many. The state counts; here only the interval follows from it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;
use url::Url;

use super::super::{BoxFuture, BuildContext, Cadence, Collected, Source, SourceSpec};
use super::Config;
use super::check::{address, expression, pinned};
use super::client::{Answer, Ask, Connection, KEPT_BYTES};
use super::connect::{Failure, Progress, ProxyChoice, Route, Stage};
use super::expect::{Expect, Seen, StatusPattern, verdict};
use super::tls::TlsKeys;
use crate::config::value::Dur;
use crate::domain::{Data, ErrorKind, Expectation, Health, Observation, Phases, SourceError, Verdict};
use crate::io::clock;
use crate::io::http::gunzip;
use crate::io::secret::{self, SecretRef};

/// Redirects that are followed.
const HOPS: usize = 10;
/// A body up to this is looked at where it is; JSON of this size takes well under a millisecond.
const INLINE_BYTES: usize = 32 << 10;

/// Polls one endpoint.
pub struct HttpSource {
    config: Config,
    context: BuildContext,
    spec: SourceSpec,
    url: Url,
    method: Method,
    expect: Arc<Expect>,
    route: Route,
    /// The headers with their secrets, once they were there.
    headers: Option<HeaderMap>,
    /// The connection kept for the next poll.
    kept: Option<Connection>,
    streak: Streak,
}

/// What decides the interval.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Streak {
    pub(super) failing: bool,
    successes: u32,
}

impl Streak {
    /// Failing, or not yet back for long enough.
    pub(super) fn count(&mut self, verdict: Verdict, successes: u32) {
        if verdict == Verdict::Down {
            *self = Self { failing: true, successes: 0 };
        } else if self.failing {
            self.successes += 1;
            self.failing = self.successes < successes;
        }
    }
}

/// How a poll ended.
struct Outcome {
    answer: Option<Answer>,
    /// The last address that was asked.
    url: Url,
    /// Where that answer points to.
    location: Option<Url>,
    error: Option<SourceError>,
}

impl HttpSource {
    /// Prepares all that needs nothing from outside.
    ///
    /// # Errors
    /// When a value is wrong; `check` tells the same before with its place.
    pub fn new(config: Config, context: &BuildContext, spec: &SourceSpec) -> Result<Self, SourceError> {
        let wrong = |message: String| SourceError::config(message, "correct the configuration; `rounds config check` shows the place");
        let url = address(&config.url).map_err(wrong)?;
        let method = config.method.as_deref().unwrap_or("GET").parse().map_err(|_| wrong("`method` is no HTTP method".to_owned()))?;
        let expect = Arc::new(expectations(&config, &url).map_err(wrong)?);
        let join = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| context.base.join(path));
        let keys = TlsKeys {
            ca: join(&config.ca),
            client_certificate: join(&config.client_certificate),
            client_key: join(&config.client_key),
            insecure: config.insecure,
        };
        let port = url.port_or_known_default().unwrap_or(80);
        let pinned = match &config.resolve {
            Some(text) => {
                Some((url.host_str().unwrap_or_default().to_owned(), pinned(text, port).ok_or_else(|| wrong(format!("`resolve` is no address: {text}")))?))
            }
            None => None,
        };
        let route = Route { pinned, proxy: ProxyChoice::default(), keys, tls: None };
        Ok(Self { config, context: context.clone(), spec: spec.clone(), url, method, expect, route, headers: None, kept: None, streak: Streak::default() })
    }

    /// Gets the secrets, once; again after the server refused them.
    async fn prepare(&mut self) -> Result<HeaderMap, SourceError> {
        if let Some(headers) = &self.headers {
            return Ok(headers.clone());
        }
        let cannot = |key: &str| SourceError::config(format!("`{key}` has characters that a header cannot carry"), "use printable characters on one line");
        let mut headers = HeaderMap::new();
        for (name, value) in &self.config.headers {
            let key: HeaderName = name.parse().map_err(|_| cannot(name))?;
            let mut value = HeaderValue::from_str(resolve(&self.context, value).await?.expose()).map_err(|_| cannot(name))?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        let authorization = if let Some(token) = &self.config.bearer {
            Some(("bearer", format!("Bearer {}", resolve(&self.context, token).await?.expose())))
        } else if let Some(user) = &self.config.user {
            let password = match &self.config.password {
                Some(password) => resolve(&self.context, password).await?,
                None => secret::Secret::new(String::new()),
            };
            let pair = secret::pair(user, password.expose());
            if !password.expose().is_empty() {
                secret::Known::of_process().remember(&pair);
            }
            Some(("password", format!("Basic {pair}")))
        } else {
            None
        };
        if let Some((key, text)) = authorization {
            let mut value = HeaderValue::from_str(&text).map_err(|_| cannot(key))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        if let Some(proxy) = &self.config.proxy {
            let address = resolve(&self.context, proxy).await?;
            self.route.proxy = if address.expose() == "none" { ProxyChoice::Direct } else { ProxyChoice::At(address) };
        }
        self.headers = Some(headers.clone());
        Ok(headers)
    }

    /// The exchange, and those that redirects ask for. `Err` is ours: we could not look.
    async fn run(&mut self, headers: HeaderMap, progress: &mut Progress) -> Result<Outcome, SourceError> {
        let mut ask = Ask {
            method: self.method.clone(),
            url: self.url.clone(),
            headers,
            body: self.config.body.clone().map(Bytes::from),
            keep_body: self.expect.needs_body(),
            keep_alive: self.config.keep_alive && self.method.is_safe(),
        };
        for hop in 0..=HOPS {
            let answer = match self.one(&ask, progress).await {
                Ok(answer) => answer,
                Err(Failure::There(error)) => return Ok(Outcome { answer: None, url: ask.url, location: None, error: Some(error) }),
                Err(Failure::Here(error)) => return Err(error),
            };
            let location = location(&answer, &ask.url);
            let follow = self.config.follow_redirects && answer.broke_off.is_none();
            match location.as_ref().filter(|_| follow).and_then(|to| redirected(&ask, &answer, to)) {
                Some(_) if hop == HOPS => {
                    let error = SourceError::protocol(format!(
                        "redirects for ever: {HOPS} followed, the last to {}",
                        super::expect::shown_address(ask.url.as_str(), "")
                    ));
                    return Ok(Outcome { answer: Some(answer), url: ask.url, location, error: Some(error) });
                }
                Some(next) => ask = next,
                None => {
                    let error = answer.broke_off.clone();
                    return Ok(Outcome { answer: Some(answer), url: ask.url, location, error });
                }
            }
        }
        // Each turn of the loop ends it or asks again, and the last one ends it.
        Err(SourceError::protocol("redirects for ever"))
    }

    /// One exchange, over the kept connection where there is one.
    async fn one(&mut self, ask: &Ask, progress: &mut Progress) -> Result<Answer, Failure> {
        if let Some(mut connection) = self.kept.take()
            && connection.serves(&ask.url).await
        {
            // A kept connection may die while the request is on its way; a fresh one tells whether the server did. Only what is
            // safe to ask twice is asked over a kept one.
            if let Ok(answer) = connection.exchange(ask, progress).await {
                self.keep(ask, connection, &answer);
                return Ok(answer);
            }
            progress.phases = Phases::default();
        }
        let mut connection = Connection::open(&mut self.route, &ask.url, progress).await?;
        let answer = connection.exchange(ask, progress).await.map_err(Failure::There)?;
        self.keep(ask, connection, &answer);
        Ok(answer)
    }

    fn keep(&mut self, ask: &Ask, connection: Connection, answer: &Answer) {
        if ask.keep_alive && answer.broke_off.is_none() {
            self.kept = Some(connection);
        }
    }

    /// Bounds the run so that the verdict comes from here, with what was known, and not from the runner's own limit.
    fn limit(&self) -> Duration {
        let slack = (self.spec.timeout / 50).clamp(Duration::from_millis(5), Duration::from_millis(100));
        self.spec.timeout.saturating_sub(slack).max(self.spec.timeout / 2)
    }

    async fn poll(&mut self) -> Result<Collected, SourceError> {
        let headers = self.prepare().await?;
        let mut progress = Progress::default();
        let started = Instant::now();
        let limit = self.limit();
        let outcome = if let Ok(outcome) = timeout(limit, self.run(headers, &mut progress)).await {
            outcome?
        } else {
            let begun = progress.answered().is_some();
            Outcome { answer: None, url: self.url.clone(), location: None, error: Some(late(self.spec.timeout, progress.stage, begun)) }
        };
        let latency = started.elapsed();
        let mut health = Health {
            verdict: Verdict::Down,
            status_code: progress.status,
            latency_ms: outcome.answer.is_some().then_some(latency.as_secs_f64() * 1_000.0),
            phases_ms: progress.phases,
            expectations: Vec::new(),
            limits: self.expect.limits(),
            request: self.spec.target.clone(),
            body_bytes: outcome.answer.as_ref().map_or(0, |answer| answer.body.total),
            error: outcome.error,
            silenced: false,
        };
        if let Some(answer) = outcome.answer {
            let whole = health.error.is_none();
            let status = answer.status;
            let ended = if self.config.follow_redirects { Some(outcome.url) } else { outcome.location };
            health.expectations = judged(&self.expect, answer, health.latency_ms.filter(|_| whole), ended, whole).await?;
            if whole {
                health.verdict = verdict(&health.expectations);
            }
            if matches!(status, 401 | 403 | 407) {
                // A rotated secret is read anew.
                self.headers = None;
            }
        }
        if health.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Tls) {
            // A renewed authority or client certificate is read anew.
            self.route.tls = None;
        }
        self.streak.count(health.verdict, self.spec.successes);
        let at = clock::now();
        let mut observations = vec![Observation { at, data: Data::Health(health) }];
        if let Some(mut certificate) = progress.certificate {
            let (warning, critical) = self.config.expect.certificate_limits();
            certificate.warning_s = Some(warning.as_secs());
            certificate.critical_s = Some(critical.as_secs());
            observations.push(Observation { at, data: Data::Certificate(*certificate) });
        }
        Ok(Collected { observations, problems: Vec::new(), complete: true })
    }
}

impl Source for HttpSource {
    fn cadence(&self) -> Cadence {
        Cadence::Every(if self.streak.failing { self.spec.retry_every } else { self.spec.every })
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(self.poll())
    }
}

async fn resolve(context: &BuildContext, reference: &SecretRef) -> Result<secret::Secret, SourceError> {
    secret::resolve(reference, &context.base, context.trusted).await
}

/// Compiles what is expected.
fn expectations(config: &Config, url: &Url) -> Result<Expect, String> {
    let keys = &config.expect;
    let compiled = |text: &String| expression(text).map_err(|error| error.to_string());
    let status = match &keys.status {
        Some(status) => status.0.clone(),
        None if keys.redirect.is_some() && !config.follow_redirects => vec![StatusPattern::Class(3)],
        None => vec![StatusPattern::Class(2)],
    };
    let latency = keys.latency.unwrap_or_default();
    let mut headers = Vec::new();
    for (name, text) in &keys.header {
        headers.push((name.parse().map_err(|_| format!("\"{name}\" is no name of a header"))?, text.clone(), compiled(text)?));
    }
    Ok(Expect {
        status,
        warning: latency.warning.map(Dur::get),
        critical: latency.critical.map(Dur::get),
        body: keys.body.as_ref().map(compiled).transpose()?,
        not_body: keys.not_body.as_ref().map(compiled).transpose()?,
        headers,
        json: keys.json.iter().map(|(pointer, value)| (pointer.clone(), value.clone())).collect(),
        redirect: keys.redirect.as_ref().map(|to| url.join(to).map(String::from).map_err(|error| error.to_string())).transpose()?,
    })
}

/// Where an answer redirects to. Outside text: what is no address of the web is none.
fn location(answer: &Answer, from: &Url) -> Option<Url> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let to = answer.headers.get(header::LOCATION)?.to_str().ok()?;
    from.join(to).ok().filter(|to| matches!(to.scheme(), "http" | "https"))
}

/// The request that a redirect asks for (RFC 9110, section 15.4). Another host gets no credentials; `None` when it would get a body.
fn redirected(ask: &Ask, answer: &Answer, to: &Url) -> Option<Ask> {
    let mut next = Ask { url: to.clone(), ..ask.clone() };
    // A user in a redirect's address would be sent nowhere, and must not be shown.
    next.url.set_username("").ok()?;
    next.url.set_password(None).ok()?;
    let becomes_get = answer.status == 303 && ask.method != Method::HEAD || matches!(answer.status, 301 | 302) && ask.method == Method::POST;
    if becomes_get {
        next.method = Method::GET;
        next.body = None;
        next.headers.remove(header::CONTENT_TYPE);
    }
    if next.url.origin() != ask.url.origin() {
        if next.body.is_some() {
            return None;
        }
        let harmless = [header::ACCEPT, header::ACCEPT_LANGUAGE, header::ACCEPT_ENCODING, header::USER_AGENT, header::CACHE_CONTROL];
        let kept = harmless.into_iter().filter_map(|name| ask.headers.get(&name).map(|value| (name, value.clone())));
        next.headers = kept.collect();
    }
    Some(next)
}

/// Holds the answer against what was expected; a large or packed body off the tasks' threads, where it would delay others.
async fn judged(expect: &Arc<Expect>, answer: Answer, latency_ms: Option<f64>, redirect: Option<Url>, whole: bool) -> Result<Vec<Expectation>, SourceError> {
    let large = answer.body.kept.len() > INLINE_BYTES || is_packed(&answer) && !answer.body.kept.is_empty();
    let expect = Arc::clone(expect);
    let judge = move || {
        let body = (whole && expect.needs_body()).then(|| plain_body(&answer));
        expect.judge(&Seen {
            status: answer.status,
            headers: &answer.headers,
            latency_ms,
            body: body.as_ref().map(|(body, whole)| (body.as_ref(), *whole)),
            redirect: redirect.as_ref().map(Url::as_str),
        })
    };
    if large {
        // What was not judged must not count as good.
        tokio::task::spawn_blocking(judge).await.map_err(|_| SourceError::protocol("looking at the answer's body was interrupted"))
    } else {
        Ok(judge())
    }
}

fn is_packed(answer: &Answer) -> bool {
    answer.headers.get(header::CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"))
}

/// The body as expectations look at it, unpacked, and whether that is all of it.
fn plain_body(answer: &Answer) -> (Cow<'_, [u8]>, bool) {
    if is_packed(answer) {
        let (plain, whole) = gunzip(&answer.body.kept, KEPT_BYTES);
        return (Cow::Owned(plain), whole && !answer.body.cut());
    }
    (Cow::Borrowed(&answer.body.kept), !answer.body.cut())
}

/// No answer in time, and how far it came.
fn late(limit: Duration, stage: Stage, begun: bool) -> SourceError {
    let mut error = SourceError::timeout(limit);
    error.message.push_str(match stage {
        Stage::Resolve => ", the name does not resolve",
        Stage::Connect => ", no connection",
        Stage::Tls => ", the TLS handshake is not done",
        Stage::FirstByte if begun => ", the answer has only begun",
        Stage::FirstByte => ", connected but no byte came",
        Stage::Transfer => ", the body is not whole",
    });
    error
}
