//! What is expected of an answer, and what was seen. Pure: an answer in, expectations with text out.
//!
//! What does not belong here: getting the answer (`client`), thresholds over several probes (the state).

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::HeaderName;
use regex::bytes::Regex;
use serde::de::{self, Deserializer, Visitor};
use serde_json::Value;

use crate::domain::time::{duration_text, millis_text};
use crate::domain::{Expectation, LatencyLimits, Verdict};

/// Characters of outside text that an expectation shows.
const SEEN: usize = 120;

/// One accepted status: a number, or a class written `2xx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPattern {
    /// Exactly this one.
    Code(u16),
    /// All of this hundred: 2 is 200 to 299.
    Class(u16),
}

impl StatusPattern {
    /// Reads `200` or `2xx`.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no HTTP status: write a number from 100 to 599, or a class such as \"2xx\"");
        if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
            return class.parse().ok().filter(|class| (1..=5).contains(class)).map(Self::Class).ok_or_else(wrong);
        }
        text.parse().ok().filter(|code| (100..=599).contains(code)).map(Self::Code).ok_or_else(wrong)
    }

    /// Whether this status is accepted.
    #[must_use]
    pub const fn accepts(self, status: u16) -> bool {
        match self {
            Self::Code(code) => status == code,
            Self::Class(class) => status / 100 == class,
        }
    }
}

impl std::fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl<'de> serde::Deserialize<'de> for StatusPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pattern;
        impl Visitor<'_> for Pattern {
            type Value = StatusPattern;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an HTTP status such as 200, or a class such as \"2xx\"")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<StatusPattern, E> {
                StatusPattern::parse(&number.to_string()).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusPattern, E> {
                StatusPattern::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Pattern)
    }
}

impl schemars::JsonSchema for StatusPattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Status".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An HTTP status: a number, or a class such as \"2xx\".",
            "anyOf": [{ "type": "integer", "minimum": 100, "maximum": 599 }, { "type": "string", "pattern": "^[1-5](xx|[0-9][0-9])$" }]
        })
    }
}

/// Accepted statuses: a list, or a single one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(pub Vec<StatusPattern>);

impl<'de> serde::Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Statuses;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of HTTP statuses, such as [200, \"3xx\"]")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Statuses, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Statuses, E> {
                StatusPattern::parse(text).map(|one| Statuses(vec![one])).map_err(E::custom)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Statuses, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(Statuses(all))
            }
        }
        deserializer.deserialize_any(List)
    }
}

impl schemars::JsonSchema for Statuses {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Statuses".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = StatusPattern::json_schema(generator).to_value();
        schemars::json_schema!({ "anyOf": [{ "type": "array", "items": one.clone() }, one] })
    }
}

/// What is expected, compiled.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// One of these; never empty in practice (the configuration's default is `2xx`).
    pub status: Vec<StatusPattern>,
    /// Over the first it is degraded, over the second down.
    pub warning: Option<Duration>,
    /// See `warning`.
    pub critical: Option<Duration>,
    /// The body matches.
    pub body: Option<Regex>,
    /// The body does not match.
    pub not_body: Option<Regex>,
    /// Each header is there and equals the text or matches the expression.
    pub headers: Vec<(HeaderName, String, Regex)>,
    /// The value at each JSON pointer (RFC 6901).
    pub json: Vec<(String, Value)>,
    /// The address it redirects to, or ends at when redirects are followed.
    pub redirect: Option<String>,
}

/// An answer as far as it came.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// From the start to the last byte; `None` when the answer broke off.
    pub latency_ms: Option<f64>,
    /// The body's beginning and whether that is all of it; `None` when the answer broke off.
    pub body: Option<(&'a [u8], bool)>,
    /// Where it redirects to, or where following redirects ended.
    pub redirect: Option<&'a str>,
}

impl Expect {
    /// Whether anybody looks at the body.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        self.body.is_some() || self.not_body.is_some() || !self.json.is_empty()
    }

    /// The limits for rules and graphs.
    #[must_use]
    pub fn limits(&self) -> LatencyLimits {
        let ms = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64() * 1_000.0);
        LatencyLimits { warning_ms: ms(self.warning), critical_ms: ms(self.critical) }
    }

    /// Holds the answer against each expectation. What could not be seen because the answer broke off is left out.
    #[must_use]
    pub fn judge(&self, seen: &Seen<'_>) -> Vec<Expectation> {
        let mut all = Vec::with_capacity(2);
        all.push(self.judge_status(seen));
        all.extend(self.judge_latency(seen));
        for (name, text, expression) in &self.headers {
            let value = seen.headers.get(name);
            let ok = value.is_some_and(|value| value.as_bytes() == text.as_bytes() || expression.is_match(value.as_bytes()));
            let found = value.map_or_else(|| "no such header".to_owned(), |value| clip(value.as_bytes()));
            all.push(judged(format!("header {name}"), ok, text.clone(), found));
        }
        if let Some(expected) = &self.redirect {
            let ok = seen.redirect == Some(expected);
            let found = seen.redirect.map_or_else(|| "no redirect".to_owned(), |to| clip(shown_address(to, expected).as_bytes()));
            all.push(judged("redirect".to_owned(), ok, expected.clone(), found));
        }
        if let Some((body, whole)) = seen.body {
            self.judge_body(body, whole, &mut all);
        }
        all
    }

    fn judge_status(&self, seen: &Seen<'_>) -> Expectation {
        let ok = self.status.iter().any(|pattern| pattern.accepts(seen.status));
        let expected: Vec<String> = self.status.iter().map(StatusPattern::to_string).collect();
        let found = match seen.redirect.filter(|_| !ok && seen.status / 100 == 3) {
            Some(to) => format!("{} to {}", seen.status, clip(shown_address(to, "").as_bytes())),
            None => seen.status.to_string(),
        };
        judged("status".to_owned(), ok, expected.join(" or "), found)
    }

    fn judge_latency(&self, seen: &Seen<'_>) -> Option<Expectation> {
        let ms = seen.latency_ms?;
        let over = |limit: Option<Duration>| limit.filter(|limit| ms > limit.as_secs_f64() * 1_000.0);
        let (ok, level, limit) = match (over(self.critical), over(self.warning)) {
            (Some(limit), _) => (false, Verdict::Down, limit),
            (None, Some(limit)) => (false, Verdict::Degraded, limit),
            (None, None) => (true, Verdict::Degraded, self.warning.or(self.critical)?),
        };
        Some(Expectation { name: "latency".to_owned(), ok, level, expected: format!("under {}", duration_text(limit)), seen: millis_text(ms) })
    }

    fn judge_body(&self, body: &[u8], whole: bool, all: &mut Vec<Expectation>) {
        let part = if whole { "" } else { " (only the beginning was read)" };
        if let Some(expression) = &self.body {
            let found = expression.find(body);
            let text = found.map_or_else(|| if body.is_empty() { "an empty body".to_owned() } else { clip(body) }, |found| clip(found.as_bytes()));
            let part = if found.is_some() { "" } else { part };
            all.push(judged("body".to_owned(), found.is_some(), expression.to_string(), text + part));
        }
        if let Some(expression) = &self.not_body {
            let found = expression.find(body);
            let text = found.map_or_else(|| format!("not there{part}"), |found| clip(found.as_bytes()));
            all.push(judged("not_body".to_owned(), found.is_none(), format!("not {expression}"), text));
        }
        if self.json.is_empty() {
            return;
        }
        let document: Result<Value, _> = serde_json::from_slice(body);
        for (pointer, expected) in &self.json {
            let (ok, text) = match &document {
                Ok(document) => match document.pointer(pointer) {
                    Some(value) => (same(value, expected), clip(plain(value).as_bytes())),
                    None => (false, "no such value".to_owned()),
                },
                Err(_) if body.is_empty() => (false, "an empty body".to_owned()),
                Err(_) => (false, format!("not JSON: {}{part}", clip(body))),
            };
            all.push(judged(format!("json {pointer}"), ok, plain(expected), text));
        }
    }
}

/// The verdict that follows: the worst level of what did not hold.
#[must_use]
pub fn verdict(expectations: &[Expectation]) -> Verdict {
    expectations.iter().filter(|expectation| !expectation.ok).map(|expectation| expectation.level).max().unwrap_or(Verdict::Ok)
}

fn judged(name: String, ok: bool, expected: String, seen: String) -> Expectation {
    Expectation { name, ok, level: Verdict::Down, expected, seen }
}

/// Equal values; numbers by their value, so that `1` of the configuration is `1.0` of the answer.
fn same(seen: &Value, expected: &Value) -> bool {
    match (seen, expected) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64().is_some_and(|a| b.as_f64() == Some(a)),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b))),
        (a, b) => a == b,
    }
}

/// A JSON value for reading: a text without its quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Outside bytes for reading: lossy, white space folded, clipped. Not cleaned for a terminal; drawing does that.
#[must_use]
pub fn clip(bytes: &[u8]) -> String {
    // A character has at most four bytes, and folding only shortens.
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SEEN * 16)]);
    let mut clipped = String::new();
    let mut count = 0;
    for word in text.split_whitespace() {
        if count > 0 && count < SEEN {
            clipped.push(' ');
            count += 1;
        }
        for character in word.chars() {
            if count == SEEN {
                clipped.push('…');
                return clipped;
            }
            clipped.push(character);
            count += 1;
        }
    }
    clipped
}

/// An address for reading: its query may carry a session or a token, so it is shown only where the configuration wrote one.
pub fn shown_address(address: &str, expected: &str) -> String {
    match address.split_once(['?', '#']) {
        Some((before, _)) if !expected.contains('?') => format!("{before}?…"),
        _ => address.to_owned(),
    }
}

/// Any bytes as the answer of an endpoint, held against every expectation: must not panic. For `fuzz/` and the test that runs its corpus.
pub fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\n\n").map_or((&*text, bytes), |(head, _)| (head, &bytes[(head.len() + 2).min(bytes.len())..]));
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().filter_map(|line| line.split_once(':')).take(200) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), value.trim().parse()) {
            headers.append(name, value);
        }
    }
    let first = head.lines().next().unwrap_or_default();
    let status = first.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(200);
    let pointer = format!("/{}", text.chars().take(40).collect::<String>());
    let expect = Expect {
        status: first.split([' ', ',']).filter_map(|word| StatusPattern::parse(word).ok()).collect(),
        warning: Some(Duration::from_millis(500)),
        critical: Some(Duration::from_secs(2)),
        body: Regex::new(first).ok(),
        not_body: Regex::new("error|exception").ok(),
        headers: Regex::new("^text/").ok().map(|expression| (hyper::header::CONTENT_TYPE, "text/html".to_owned(), expression)).into_iter().collect(),
        json: vec![("/status".to_owned(), Value::from("ok")), (String::new(), Value::from(1)), (pointer, Value::Null)],
        redirect: Some("https://shop.example.com/".to_owned()),
    };
    for whole in [true, false] {
        let to = headers.get("location").and_then(|to| to.to_str().ok());
        let seen = Seen { status, headers: &headers, latency_ms: Some(bytes.len() as f64), body: Some((body, whole)), redirect: to };
        let _ = verdict(&expect.judge(&seen));
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn answer<'a>(status: u16, headers: &'a HeaderMap, body: &'a [u8]) -> Seen<'a> {
        Seen { status, headers, latency_ms: Some(34.0), body: Some((body, true)), redirect: None }
    }

    fn two_hundred() -> Expect {
        Expect { status: vec![StatusPattern::Class(2)], ..Expect::default() }
    }

    fn one(expect: &Expect, seen: &Seen<'_>, name: &str) -> Expectation {
        expect.judge(seen).into_iter().find(|e| e.name == name).unwrap_or_else(|| panic!("{name} was judged"))
    }

    #[test]
    fn a_status_is_a_number_or_a_class() {
        for (text, accepted, refused) in [("200", 200, 201), ("2xx", 299, 300), ("4XX", 404, 500)] {
            let pattern = StatusPattern::parse(text).unwrap();
            assert!(pattern.accepts(accepted) && !pattern.accepts(refused), "{text}");
        }
        for bad in ["", "xx", "6xx", "99", "600", "2x", "ok", "-1", "0xx"] {
            assert!(StatusPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unexpected_redirect_says_where_to_without_its_query() {
        let headers = HeaderMap::new();
        let seen = Seen { redirect: Some("https://a.example/login?next=secret"), ..answer(302, &headers, b"") };
        let status = one(&two_hundred(), &seen, "status");
        assert_eq!((status.ok, status.expected.as_str(), status.seen.as_str()), (false, "2xx", "302 to https://a.example/login?…"));
    }

    #[test]
    fn latency_has_two_limits() {
        let expect = Expect { warning: Some(Duration::from_millis(500)), critical: Some(Duration::from_secs(2)), ..two_hundred() };
        let headers = HeaderMap::new();
        for (ms, level, text) in [(34.0, Verdict::Ok, "under 500ms"), (700.0, Verdict::Degraded, "under 500ms"), (2_500.0, Verdict::Down, "under 2s")] {
            let seen = Seen { latency_ms: Some(ms), ..answer(200, &headers, b"") };
            assert_eq!(verdict(&expect.judge(&seen)), level, "{ms}");
            assert_eq!(one(&expect, &seen, "latency").expected, text);
        }
    }

    #[test]
    fn bodies_match_or_say_what_was_there() {
        let expect = Expect { body: Some(Regex::new("work(s|ing)").unwrap()), not_body: Some(Regex::new("(?i)error").unwrap()), ..two_hundred() };
        let headers = HeaderMap::new();
        let good = answer(200, &headers, b"it is working\nwell");
        assert_eq!((one(&expect, &good, "body").seen.as_str(), verdict(&expect.judge(&good))), ("working", Verdict::Ok));
        let bad = answer(200, &headers, b"<h1>Server\n\n  Error</h1>");
        assert_eq!(one(&expect, &bad, "body").seen, "<h1>Server Error</h1>");
        assert_eq!(one(&expect, &bad, "not_body").seen, "Error");
        let cut = Seen { body: Some((b"beginning", false)), ..good };
        assert_eq!(one(&expect, &cut, "body").seen, "beginning (only the beginning was read)");
        assert_eq!(one(&expect, &answer(200, &headers, b""), "body").seen, "an empty body");
    }

    #[test]
    fn json_is_compared_by_value() {
        let pointers = [("/status", json!("ok")), ("/n", json!(1)), ("/gone", json!(true)), ("", json!({"status": "ok"}))];
        let expect = Expect { json: pointers.map(|(p, v)| (p.to_owned(), v)).to_vec(), ..two_hundred() };
        let headers = HeaderMap::new();
        let seen = answer(200, &headers, br#"{"status":"ok","n":1.0}"#);
        let oks: Vec<(bool, String)> = expect.judge(&seen).into_iter().skip(1).map(|e| (e.ok, e.seen)).collect();
        assert_eq!(oks[0], (true, "ok".to_owned()));
        assert_eq!(oks[1], (true, "1.0".to_owned()));
        assert_eq!(oks[2], (false, "no such value".to_owned()));
        assert!(!oks[3].0);
        assert_eq!(one(&expect, &answer(200, &headers, b"<html>"), "json /status").seen, "not JSON: <html>");
    }

    #[test]
    fn a_header_equals_or_matches() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/problem+json"));
        headers.insert("x-odd", HeaderValue::from_bytes(b"caf\xe9\x9b31m").unwrap());
        let header = |name: &'static str, text: &str| (HeaderName::from_static(name), text.to_owned(), Regex::new(text).unwrap());
        let expect =
            Expect { headers: vec![header("content-type", "application/problem+json"), header("x-odd", "^none$"), header("x-gone", ".")], ..two_hundred() };
        let seen = answer(200, &headers, b"");
        assert!(one(&expect, &seen, "header content-type").ok);
        assert_eq!(one(&expect, &seen, "header x-odd").seen, "caf\u{fffd}31m");
        assert_eq!(one(&expect, &seen, "header x-gone").seen, "no such header");
    }

    #[test]
    fn what_broke_off_is_not_judged() {
        let expect = Expect { body: Some(Regex::new("x").unwrap()), warning: Some(Duration::from_secs(1)), ..two_hundred() };
        let headers = HeaderMap::new();
        let names: Vec<String> = expect.judge(&Seen { latency_ms: None, body: None, ..answer(200, &headers, b"") }).into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["status"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_and_clipped(body in proptest::collection::vec(any::<u8>(), 0..3_000), status in 100u16..600) {
            let expect = Expect {
                body: Some(Regex::new("ok").unwrap()), not_body: Some(Regex::new("error").unwrap()),
                json: vec![("/a/0".to_owned(), json!(1))], ..two_hundred()
            };
            let headers = HeaderMap::new();
            for expectation in expect.judge(&answer(status, &headers, &body)) {
                prop_assert!(expectation.seen.chars().count() <= SEEN + 50);
            }
        }

        #[test]
        fn clipping_never_grows(bytes in proptest::collection::vec(any::<u8>(), 0..5_000)) {
            prop_assert!(clip(&bytes).chars().count() <= SEEN + 1);
        }
    }
}
