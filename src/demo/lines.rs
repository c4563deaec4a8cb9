//! The lines of the demonstration's logs, in the shapes their programs really write. Pure.
//!
//! - `django.log` of the shop: Django's documentation, "Logging", formatter `verbose`:
//!   `{levelname} {asctime} {module} {process:d} {thread:d} {message}`; tracebacks as Django 5.2 and Django REST framework 3.18 wrote them
//!   for a view made to fail in this way.
//! - `access.log` of the blog: the built-in formatter `django.server`: `[{server_time}] {message}`.
//! - `worker.log` of the blog: one JSON object a line.

use std::time::Duration;

use super::dice::{between, roll};
use super::pages::Host;
use super::script::{self, Trouble};
use crate::domain::Timestamp;

/// Which file a line goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// `django.log` of the shop.
    Shop,
    /// `access.log` of the blog.
    BlogAccess,
    /// `worker.log` of the blog.
    BlogWorker,
}

/// All files, in the order in which the writer keeps them.
pub const FILES: [File; 3] = [File::Shop, File::BlogAccess, File::BlogWorker];

impl File {
    /// Below the demonstration's directory.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Shop => "logs/shop/django.log",
            Self::BlogAccess => "logs/blog/access.log",
            Self::BlogWorker => "logs/blog/worker.log",
        }
    }
}

/// One request that a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// By which server.
    pub host: Host,
    /// `GET`, …
    pub method: String,
    /// Path and query, as sent; a URI has no control characters.
    pub target: String,
    /// The status answered.
    pub status: u16,
    /// Bytes of the body.
    pub bytes: usize,
    /// How long it took.
    pub took: Duration,
    /// The traceback behind a 500.
    pub trouble: Option<Trouble>,
}

const BASKET: &str = include_str!("tracebacks/basket.txt");
const SEARCH: &str = include_str!("tracebacks/search.txt");
/// The process id of the pretended application server, and the first of its threads.
const PROCESS: u32 = 1432;
const THREAD: u64 = 140_583_962_254_208;
/// A request line in a log is cut at this many characters.
const TARGET_MAX: usize = 200;

const VISITS: [(&str, &str, u16); 10] = [
    ("GET", "/", 200),
    ("GET", "/catalog/tea/", 200),
    ("GET", "/catalog/tea/assam/", 200),
    ("GET", "/search/?q=mug", 200),
    ("GET", "/search/?q=teapot", 200),
    ("POST", "/basket/lines/", 201),
    ("GET", "/static/site.css", 304),
    ("GET", "/account/", 200),
    ("POST", "/account/login/", 302),
    ("GET", "/catalog/cups/", 200),
];

const WARNINGS: [&str; 4] = [
    "Not Found: /favicon.ico",
    "Not Found: /wp-login.php",
    "Forbidden (CSRF token from POST incorrect.): /account/login/",
    "slow query 0.512 s: SELECT ... FROM catalog_product WHERE search @@ %s ORDER BY rank DESC",
];

/// How many of something that happens `rate` times a second happen in `span`.
fn count(seed: u64, rate: f64, span: Duration) -> u32 {
    let expected = rate * span.as_secs_f64();
    let share = (roll(seed) % 10_000) as f64 / 10_000.0;
    expected as u32 + u32::from(share < expected.fract())
}

/// Django's verbose format, without the line's end.
fn verbose(level: &str, at: Timestamp, module: &str, thread: u64, message: &str) -> String {
    format!("{level} {} {module} {PROCESS} {} {message}", at.format("%Y-%m-%d %H:%M:%S,%3f"), THREAD + (thread % 8) * 8_392_704)
}

/// What the shop logs when a view raised: the line and its traceback.
fn raised(at: Timestamp, thread: u64, trouble: Trouble) -> String {
    let (path, traceback) = match trouble {
        Trouble::Currency => ("/basket/", BASKET),
        Trouble::Index => ("/search/", SEARCH),
    };
    format!("{}\n{traceback}", verbose("ERROR", at, "log", thread, &format!("Internal Server Error: {path}")))
}

/// What a server logs of one request; whole lines.
pub fn served(request: &Served, at: Timestamp, seed: u64) -> (File, String) {
    let target: String = request.target.chars().take(TARGET_MAX).collect();
    match request.host {
        Host::Shop => {
            let mut text = request.trouble.map(|trouble| raised(at, seed, trouble)).unwrap_or_default();
            if request.status == 404 {
                text.push_str(&verbose("WARNING", at, "log", seed, &format!("Not Found: {target}\n")));
            }
            let message = format!("{} {target} {} {:.3} s\n", request.method, request.status, request.took.as_secs_f64());
            text.push_str(&verbose("INFO", at, "middleware", seed, &message));
            (File::Shop, text)
        }
        Host::Blog | Host::Feed => {
            let time = at.format("%d/%b/%Y %H:%M:%S");
            (File::BlogAccess, format!("[{time}] \"{} {target} HTTP/1.1\" {} {}\n", request.method, request.status, request.bytes))
        }
    }
}

/// The first line of each file, so that it exists before anybody looks.
pub fn opening(file: File, at: Timestamp) -> String {
    match file {
        File::Shop => verbose("INFO", at, "apps", 0, "shop is ready, v213\n"),
        File::BlogAccess => String::new(),
        File::BlogWorker => json(at, "info", "worker is ready"),
    }
}

fn json(at: Timestamp, level: &str, event: &str) -> String {
    let time = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    format!("{{\"timestamp\": \"{time}\", \"level\": \"{level}\", \"logger\": \"blog.tasks\", \"event\": \"{event}\"}}\n")
}

/// What visitors and workers bring about in the `span` that ends at `t` since the start; whole lines.
pub fn visitors(t: Duration, span: Duration, at: Timestamp, seed: u64) -> Vec<(File, String)> {
    let traffic = script::traffic(t);
    let mut lines = Vec::new();
    for deploy in script::deploys(t.saturating_sub(span), t).iter().filter(|deploy| deploy.site == "shop") {
        lines.push((File::Shop, verbose("INFO", at, "apps", 0, &format!("shop is ready, {}\n", deploy.version))));
    }
    for visit in 0..count(seed ^ 1, traffic.requests, span) {
        let seed = seed.wrapping_mul(31).wrapping_add(u64::from(visit));
        let (method, target, status) = VISITS[roll(seed) as usize % VISITS.len()];
        let slow = target.starts_with("/search/") && script::trouble(t).is_some();
        let took = f64::from(between(seed ^ 2, 8, 120)) / 1_000.0 + if slow { 0.6 } else { 0.0 };
        lines.push((File::Shop, verbose("INFO", at, "middleware", seed, &format!("{method} {target} {status} {took:.3} s\n"))));
    }
    for warning in 0..count(seed ^ 3, traffic.warnings, span) {
        let seed = seed.wrapping_mul(37).wrapping_add(u64::from(warning));
        let message = WARNINGS[roll(seed) as usize % WARNINGS.len()];
        let module = if message.starts_with("slow") { "queries" } else { "log" };
        lines.push((File::Shop, verbose("WARNING", at, module, seed, &format!("{message}\n"))));
    }
    if let Some(trouble) = script::trouble(t) {
        for error in 0..count(seed ^ 4, traffic.errors, span) {
            lines.push((File::Shop, raised(at, seed.wrapping_add(u64::from(error)), trouble)));
        }
    }
    for task in 0..count(seed ^ 5, 0.7, span) {
        let seed = seed.wrapping_add(u64::from(task));
        let line = match roll(seed ^ 6) % 24 {
            0 => json(at, "warning", "webmention refused by its target, tried again in 60 s"),
            n => json(at, "info", &format!("thumbnail {} made in {} ms", 4_000 + n, between(seed ^ 7, 40, 160))),
        };
        lines.push((File::BlogWorker, line));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::script::{DEPLOY, ROLLBACK};
    use crate::domain::time::parse_duration;

    fn at() -> Timestamp {
        "2026-11-20T03:12:04.973Z".parse().unwrap()
    }

    fn text(t: Duration) -> String {
        (0..50).flat_map(|seed| visitors(t, Duration::from_millis(200), at(), seed)).map(|(_, line)| line).collect()
    }

    #[test]
    fn a_failed_view_is_logged_as_django_does() {
        let lines = raised(at(), 0, Trouble::Currency);
        assert!(
            lines.starts_with("ERROR 2026-11-20 03:12:04,973 log 1432 140583962254208 Internal Server Error: /basket/\nTraceback (most recent call last):\n")
        );
        assert!(lines.ends_with("KeyError: 'currency'\n"));
        let frames: Vec<&str> = lines.lines().filter(|line| line.starts_with("  File ")).collect();
        let framework = frames.iter().filter(|frame| frame.contains("/site-packages/") || frame.contains("/lib/python3")).count();
        assert_eq!((frames.len(), framework), (17, 15));
        assert_eq!(frames.last().unwrap().trim(), "File \"/srv/shop/basket/pricing.py\", line 88, in total");
    }

    #[test]
    fn tracebacks_burst_in_trouble_only() {
        assert!(!text(DEPLOY).contains("Traceback"));
        assert!(text(ROLLBACK).matches("Traceback").count() > 10);
        assert!(text(ROLLBACK + script::PERIOD).contains("TimeoutError: index did not answer"));
    }

    #[test]
    fn every_text_is_whole_lines() {
        for t in ["5s", "30s", "450s", "100s"] {
            let text = text(parse_duration(t).unwrap());
            assert!(text.ends_with('\n') && !text.contains("\n\n"), "{t}");
        }
    }

    #[test]
    fn a_request_is_logged_by_its_own_site() {
        let mut request =
            Served { host: Host::Shop, method: "GET".into(), target: "/none/".into(), status: 404, bytes: 10, took: Duration::from_millis(44), trouble: None };
        let (file, text) = served(&request, at(), 0);
        assert_eq!(file, File::Shop);
        assert_eq!(
            text,
            "WARNING 2026-11-20 03:12:04,973 log 1432 140583962254208 Not Found: /none/\n\
             INFO 2026-11-20 03:12:04,973 middleware 1432 140583962254208 GET /none/ 404 0.044 s\n"
        );
        request.host = Host::Feed;
        assert_eq!(served(&request, at(), 0), (File::BlogAccess, "[20/Nov/2026 03:12:04] \"GET /none/ HTTP/1.1\" 404 10\n".to_owned()));
    }

    #[test]
    fn the_worker_writes_json() {
        let line = json(at(), "info", "worker is ready");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["level"], "info");
        assert_eq!(value["timestamp"], "2026-11-20T03:12:04.973Z");
    }

    #[test]
    fn rates_hold_over_time() {
        let count: u32 = (0..5_000).map(|seed| count(seed, 2.5, Duration::from_millis(200))).sum();
        assert!((2_300..2_700).contains(&count), "{count} in 1,000 s at 2.5 a second");
    }
}
