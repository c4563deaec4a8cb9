//! What a line says about one request: path, status, duration. Access logs of nginx, Apache and gunicorn, Django's own server, uvicorn,
//! Heroku's router, logfmt and JSON lines with a status.
//!
//! What does not belong here: finding lines (`digest`) and counting (`tally`).

use std::borrow::Cow;

use super::head::{Family, Head};
use super::objects::{JsonParts, unquoted};
use super::text::decode;

/// What the numbers of a duration without a unit mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// With a point seconds (nginx), without microseconds (Apache's `%D`, gunicorn's `%(D)s`).
    #[default]
    Auto,
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// As written, with its query; empty where the line names none.
    pub path: &'a [u8],
    /// 100 to 599.
    pub status: u16,
    /// How long it took.
    pub duration_ms: Option<f64>,
}

/// Characters kept of a path.
const PATH: usize = 120;
/// Names of a duration in `key=value` and JSON, and its unit where the name says it.
const NAMES: [(&[u8], Unit); 22] = [
    (b"rt", Unit::S),
    (b"request_time", Unit::S),
    (b"req_time", Unit::S),
    (b"reqtime", Unit::S),
    (b"duration_ms", Unit::Ms),
    (b"elapsed_ms", Unit::Ms),
    (b"latency_ms", Unit::Ms),
    (b"response_time_ms", Unit::Ms),
    (b"durationMs", Unit::Ms),
    (b"responseTime", Unit::Ms),
    (b"service", Unit::Ms),
    (b"duration_s", Unit::S),
    (b"duration_us", Unit::Us),
    (b"duration", Unit::Auto),
    (b"elapsed", Unit::Auto),
    (b"latency", Unit::Auto),
    (b"response_time", Unit::Auto),
    (b"request_duration", Unit::Auto),
    (b"took", Unit::Auto),
    (b"D", Unit::Us),
    (b"T", Unit::S),
    (b"time_taken", Unit::Auto),
];

/// The unit that a name of a duration says; `None`: it is no such name.
pub fn duration_name(name: &[u8]) -> Option<Unit> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, unit)| *unit)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Milliseconds of a figure, perhaps with its unit: `0.123`, `12ms`, `1.5s`, `4711`.
pub fn millis(figure: &[u8], unit: Unit) -> Option<f64> {
    let figure = text(figure)?.trim_matches(|c: char| matches!(c, '"' | '[' | ']' | '(' | ')' | ',' | ';'));
    let digits = figure.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(figure.len());
    let number: f64 = figure.get(..digits)?.parse().ok()?;
    let factor = match (&figure[digits..], unit) {
        ("ms", _) | ("", Unit::Ms) => 1.0,
        ("s", _) | ("", Unit::S) => 1e3,
        ("us" | "\u{b5}s" | "\u{3bc}s", _) | ("", Unit::Us) => 1e-3,
        ("ns", _) => 1e-6,
        ("", Unit::Auto) if figure.contains('.') => 1e3,
        ("", Unit::Auto) => 1e-3,
        _ => return None,
    };
    // More than a day is no request but a number of another meaning.
    Some(number * factor).filter(|ms| (0.0..86_400_000.0).contains(ms))
}

fn status_of(word: &[u8]) -> Option<u16> {
    text(word)?.parse().ok().filter(|status| (100..600).contains(status))
}

/// Whether lines of this family may tell of a request.
pub const fn may(family: Family) -> bool {
    matches!(family, Family::Access | Family::Django | Family::Json | Family::Logfmt | Family::Heroku | Family::Python)
}

/// The request that a line tells of.
pub fn request<'a>(line: &'a [u8], head: &Head, unit: Unit) -> Option<Request<'a>> {
    match head.family {
        Family::Access | Family::Django => {
            let from = head.message;
            (line.get(from) == Some(&b'"')).then(|| quoted(line, from, unit))?
        }
        // uvicorn: INFO:     127.0.0.1:41200 - "GET / HTTP/1.1" 200 OK.
        Family::Python => {
            let window = &line[head.message.min(line.len())..line.len().min(head.message + 80)];
            let at = memchr::memchr_iter(b'"', window).find(|at| window[..*at].ends_with(b" - "))?;
            quoted(line, head.message + at, unit)
        }
        Family::Logfmt | Family::Heroku => pairs_request(line.get(if head.family == Family::Heroku { head.message } else { 0 }..)?, unit),
        _ => None,
    }
}

/// `"GET /path HTTP/1.1" 200 12 "referer" "agent" 0.123 rt=0.123`.
fn quoted(line: &[u8], from: usize, unit: Unit) -> Option<Request<'_>> {
    let end = quote_end(line, from)?;
    let inside = &line[from + 1..end];
    let mut words = inside.split(|b| *b == b' ');
    let path = match (words.next(), words.next()) {
        (Some(method), Some(path)) if method.iter().all(u8::is_ascii_uppercase) => path,
        _ => b"",
    };
    let rest = line.get(end + 2..)?;
    let status = status_of(rest.get(..3)?)?;
    let duration_ms = trailing(rest.get(3..)?, unit);
    Some(Request { path, status, duration_ms })
}

fn quote_end(line: &[u8], from: usize) -> Option<usize> {
    let mut end = from + 1;
    loop {
        end += memchr::memchr(b'"', line.get(end..)?)?;
        if line[end - 1] != b'\\' {
            return Some(end);
        }
        end += 1;
    }
}

/// A duration behind the status: by its name, else the first figure behind the size and the quoted parts.
fn trailing(rest: &[u8], unit: Unit) -> Option<f64> {
    let rest = &rest[..rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())];
    let mut at = 0;
    let mut bare: Option<f64> = None;
    let mut size_seen = false;
    while at < rest.len() {
        match rest[at] {
            b' ' | b'\r' => at += 1,
            b'"' => {
                let Some(end) = quote_end(rest, at) else { break };
                // Some quote the figure too.
                let inside = &rest[at + 1..end];
                if size_seen && bare.is_none() && inside.len() < 12 && memchr::memchr(b'.', inside).is_some() {
                    bare = figure(inside, unit);
                }
                size_seen = true;
                at = end + 1;
            }
            _ => {
                let end = rest[at..].iter().position(|b| matches!(b, b' ' | b'\r')).map_or(rest.len(), |n| at + n);
                let word = &rest[at..end];
                if let Some(equals) = memchr::memchr(b'=', word) {
                    if let Some(named) = duration_name(&word[..equals]) {
                        return millis(&word[equals + 1..], if unit == Unit::Auto { named } else { unit });
                    }
                } else if !size_seen {
                    // The first word is the size of the answer; Django's server writes nothing behind it.
                    size_seen = true;
                } else if bare.is_none() {
                    bare = figure(word, unit);
                }
                at = end;
            }
        }
    }
    bare
}

/// A bare figure is a duration where it begins with a digit and looks like one.
fn figure(word: &[u8], unit: Unit) -> Option<f64> {
    word.first().is_some_and(u8::is_ascii_digit).then(|| millis(word, unit))?
}

/// The pairs of a logfmt line: key and value, a quoted value with its quotes.
pub fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            while matches!(line.get(at), Some(b' ' | b'\t')) {
                at += 1;
            }
            let start = at;
            while line.get(at).is_some_and(|b| !matches!(b, b' ' | b'=' | b'\t' | b'\n' | b'"')) {
                at += 1;
            }
            match line.get(at) {
                None | Some(b'\n') => return None,
                Some(b'=') if at > start => {
                    let key = &line[start..at];
                    at += 1;
                    let value = at;
                    if line.get(at) == Some(&b'"') {
                        at = quote_end(line, at)? + 1;
                    } else {
                        at += line[at..].iter().position(|b| matches!(b, b' ' | b'\t' | b'\n')).unwrap_or(line.len() - at);
                    }
                    return Some((key, &line[value..at], value));
                }
                // A word without a value.
                Some(_) => at += 1,
            }
        }
    })
}

fn pairs_request(line: &[u8], unit: Unit) -> Option<Request<'_>> {
    let (mut path, mut status, mut duration_ms) = (&b""[..], None, None);
    let trim = |value: &'_ [u8]| -> std::ops::Range<usize> {
        let quoted = value.len() > 1 && value[0] == b'"';
        usize::from(quoted)..value.len() - usize::from(quoted)
    };
    for (key, value, _) in pairs(line).take(64) {
        let value = &value[trim(value)];
        match key {
            b"status" | b"status_code" | b"code" => status = status.or_else(|| status_of(value)),
            b"path" | b"uri" | b"url" | b"request_uri" => path = value,
            _ => {
                if duration_ms.is_none()
                    && let Some(named) = duration_name(key)
                {
                    duration_ms = millis(value, if unit == Unit::Auto { named } else { unit });
                }
            }
        }
    }
    let status = status?;
    // A status alone may be anything's.
    (!path.is_empty() || duration_ms.is_some()).then_some(Request { path, status, duration_ms })
}

/// The request of a JSON line, by its parts.
pub fn json_request<'a>(line: &'a [u8], parts: &JsonParts, unit: Unit) -> Option<Request<'a>> {
    let inside = |place: Option<(usize, usize)>| place.map(|place| unquoted(line, place).1);
    let status = status_of(inside(parts.status)?)?;
    let path = inside(parts.path).or_else(|| inside(parts.request).and_then(|request| request.split(|b| *b == b' ').nth(1))).unwrap_or_default();
    let duration_ms = parts.duration.and_then(|(place, named)| millis(unquoted(line, place).1, if unit == Unit::Auto { named } else { unit }));
    (!path.is_empty() || duration_ms.is_some()).then_some(Request { path, status, duration_ms })
}

/// The path without its query and what varies: `/order/17/?a=1` is `/order/#/`. Bounded in length.
pub fn normalise(path: &[u8]) -> Cow<'_, str> {
    let end = path.iter().position(|b| matches!(b, b'?' | b'#' | b';')).unwrap_or(path.len()).min(4 * PATH);
    let text = decode(&path[..end]);
    if !text.bytes().any(|b| b.is_ascii_digit()) && text.len() <= PATH {
        return text;
    }
    let mut out = String::with_capacity(text.len().min(PATH));
    for (n, part) in text.split('/').enumerate() {
        if n > 0 {
            out.push('/');
        }
        out.push_str(if varies(part) { "#" } else { part });
        if out.chars().count() > PATH {
            return out.chars().take(PATH - 1).chain(['\u{2026}']).collect::<String>().into();
        }
    }
    out.into()
}

/// Numbers, UUIDs, hexadecimal, and long names with digits in them; `v2` is a name.
fn varies(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return false;
    }
    let hex = part.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    digits == part.len() || hex && part.len() >= 8 || digits >= 4 && !part.contains('.') || part.len() > 30
}

#[cfg(test)]
mod tests {
    use super::super::head;
    use super::*;

    fn read(line: &str) -> Option<(String, u16, Option<f64>)> {
        let head = head::read(line.as_bytes()).unwrap_or_else(|| panic!("no head: {line}"));
        let request = match head.family {
            Family::Json => json_request(line.as_bytes(), &super::super::objects::json_parts(line.as_bytes()).unwrap(), Unit::Auto),
            _ => request(line.as_bytes(), &head, Unit::Auto),
        };
        request.map(|request| {
            let ms = request.duration_ms.map(|ms| (ms * 1e3).round() / 1e3);
            (String::from_utf8_lossy(request.path).into_owned(), request.status, ms)
        })
    }

    #[test]
    fn requests_of_each_kind() {
        let front = r#"192.0.2.1 - - [20/Nov/2026:03:12:01 +0000] "GET /a?b=1 HTTP/1.1" 200 12"#;
        for (line, path, status, ms) in [
            (front.to_owned(), "/a?b=1", 200, None),
            (format!(r#"{front} "-" "Mozilla/5.0 (X11; rv 1.0)""#), "/a?b=1", 200, None),
            (format!(r#"{front} "-" "curl/8" 0.123"#), "/a?b=1", 200, Some(123.0)),
            (format!(r#"{front} "-" "curl/8" "0.123""#), "/a?b=1", 200, Some(123.0)),
            (format!(r#"{front} "-" "curl/8" rt=0.250 uct="0.000" urt="0.249""#), "/a?b=1", 200, Some(250.0)),
            (format!(r#"{front} "-" "curl/8" 4711"#), "/a?b=1", 200, Some(4.711)),
            (format!(r#"{front} "-" "curl/8" 12ms"#), "/a?b=1", 200, Some(12.0)),
            (format!(r#"{front} "-" "-" "203.0.113.9""#), "/a?b=1", 200, None),
            (format!("example.com:443 {front}"), "/a?b=1", 200, None),
            (r#"192.0.2.1 - - [20/Nov/2026:03:12:01 +0000] "\x16\x03" 400 150 "-" "-""#.to_owned(), "", 400, None),
            (r#"[20/Nov/2026 03:12:01] "POST /basket/ HTTP/1.1" 500 145"#.to_owned(), "/basket/", 500, None),
            (r#"INFO:     127.0.0.1:41200 - "GET /x HTTP/1.1" 404 Not Found"#.to_owned(), "/x", 404, None),
            (
                r#"2026-11-20T03:12:01.123456+00:00 heroku[router]: at=info method=GET path="/a" host=x dyno=web.1 connect=1ms service=18ms status=200 bytes=13"#.to_owned(),
                "/a",
                200,
                Some(18.0),
            ),
            (r"time=2026-11-20T03:12:01Z level=info msg=request method=GET path=/a status=503 duration=1.5s".to_owned(), "/a", 503, Some(1_500.0)),
            (r#"{"time":"2026-11-20T03:12:01Z","level":"info","method":"GET","path":"/a","status":200,"duration_ms":12.5}"#.to_owned(), "/a", 200, Some(12.5)),
            (r#"{"time_iso8601":"2026-11-20T03:12:01+00:00","request":"GET /a HTTP/1.1","status":"200","request_time":"0.012"}"#.to_owned(), "/a", 200, Some(12.0)),
        ] {
            assert_eq!(read(&line), Some((path.to_owned(), status, ms)), "{line}");
        }
        for line in
            ["2026-11-20 03:12:01,123 INFO a: fine", r#"{"status":"ok","message":"x"}"#, "level=info msg=x status=200", r#"{"status":404,"message":"x"}"#]
        {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn paths_without_what_varies() {
        for (path, means) in [
            ("/order/17/?a=1", "/order/#/"),
            ("/api/v2/users/7f9c24e8-3b12-4fef-91e0-d0c8a1f6b7aa", "/api/v2/users/#"),
            ("/static/app.4f2a11bc.js", "/static/app.4f2a11bc.js"),
            ("/deadbeef01/x", "/#/x"),
            ("/basket/", "/basket/"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(normalise(path.as_bytes()), means, "{path}");
        }
        assert!(normalise("/a1/".repeat(500).as_bytes()).chars().count() <= PATH);
        assert!(normalise("/ab/".repeat(500).as_bytes()).len() <= 2 * PATH + 200);
    }
}
