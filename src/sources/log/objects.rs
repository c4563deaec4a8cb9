//! Lines that are one JSON object: where their parts stand, without building a value. Pure byte tests; this runs for every such line.
//!
//! What does not belong here: other forms (`head`, `forms`), reading a whole value (`tally`, for the few lines that are kept).

use super::access::{self, Unit};
use super::forms;
use super::head::{Family, Head, byte, level, level_of_status, severity};
use super::stamp::{self, Span};
use crate::domain::Level;

/// The parts of a JSON line, as byte ranges of their raw values (a string with its quotes).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonParts {
    /// `level`, `levelname`, `severity`, `lvl`.
    pub level: Option<(usize, usize)>,
    /// `time`, `timestamp`, `asctime`, `@timestamp`, `ts`, `created`.
    pub time: Option<(usize, usize)>,
    /// `message`, `msg`, `event`.
    pub message: Option<(usize, usize)>,
    /// `exc_info`, `exception`, `stack`, `traceback`, `exc_text`.
    pub exception: Option<(usize, usize)>,
    /// `name`, `logger`.
    pub logger: Option<(usize, usize)>,
    /// `status`, `status_code`.
    pub status: Option<(usize, usize)>,
    /// `path`, `uri`, `url`.
    pub path: Option<(usize, usize)>,
    /// `request`, as `GET / HTTP/1.1`.
    pub request: Option<(usize, usize)>,
    /// A duration, and the unit its name says.
    pub duration: Option<((usize, usize), Unit)>,
    /// Whether it is the journal of systemd's.
    pub journal: bool,
}

/// The end of the string whose opening quote is at `at`.
pub fn string_end(line: &[u8], at: usize) -> Option<usize> {
    let mut end = at + 1;
    loop {
        end += memchr::memchr2(b'"', b'\\', line.get(end..)?)?;
        if line[end] == b'"' {
            return Some(end + 1);
        }
        end += 2;
    }
}

/// The end of the JSON value at `at`: not validated, only measured.
fn value_end(line: &[u8], at: usize) -> Option<usize> {
    match byte(line, at) {
        b'"' => string_end(line, at),
        b'{' | b'[' => {
            let (mut depth, mut end) = (0usize, at);
            loop {
                match line.get(end)? {
                    b'"' => {
                        end = string_end(line, end)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                end += 1;
                if depth == 0 {
                    return Some(end);
                }
            }
        }
        _ => Some(at + line[at..].iter().position(|b| matches!(b, b',' | b'}' | b' ' | b'\t'))?),
    }
}

/// Takes a key and the place of its value.
type Each<'a> = dyn FnMut(&[u8], (usize, usize)) + 'a;

/// Walks the members of the object at `at`; `None`: it is no whole object.
fn members(line: &[u8], at: usize, each: &mut Each<'_>) -> Option<()> {
    let space = |mut at: usize| {
        while matches!(byte(line, at), b' ' | b'\t') {
            at += 1;
        }
        at
    };
    let mut at = space(at + 1);
    if byte(line, at) == b'}' {
        return Some(());
    }
    loop {
        if byte(line, at) != b'"' {
            return None;
        }
        let key_end = string_end(line, at)?;
        let key = &line[at + 1..key_end - 1];
        at = space(key_end);
        if byte(line, at) != b':' {
            return None;
        }
        at = space(at + 1);
        let end = value_end(line, at)?;
        if end == at {
            return None;
        }
        if &line[at..end] != b"null" {
            each(key, (at, end));
        }
        at = space(end);
        match byte(line, at) {
            b',' => at = space(at + 1),
            b'}' => return Some(()),
            _ => return None,
        }
    }
}

/// Walks the keys of one object. `None`: it is no whole object.
pub fn json_parts(line: &[u8]) -> Option<JsonParts> {
    let mut parts = JsonParts::default();
    members(line, 0, &mut |key, place| {
        let nested = line[place.0] == b'{';
        let slot = match key {
            // ECS and pino nest: {"log": {"level": …}}, {"error": {"stack_trace": …}}, {"err": {"stack": …}}; Docker's `log` is the line.
            b"log" | b"error" | b"err" | b"exception" | b"http" | b"req" | b"res" if nested => {
                let mut within = |key: &[u8], place: (usize, usize)| {
                    let slot = match key {
                        b"level" => &mut parts.level,
                        b"stack_trace" | b"stack" | b"stacktrace" | b"traceback" => &mut parts.exception,
                        b"statusCode" | b"status_code" => &mut parts.status,
                        b"url" | b"path" => &mut parts.path,
                        _ => return,
                    };
                    slot.get_or_insert(place);
                };
                let _ = members(line, place.0, &mut within);
                return;
            }
            b"level" | b"levelname" | b"severity" | b"lvl" | b"log.level" | b"PRIORITY" => &mut parts.level,
            b"time" | b"timestamp" | b"asctime" | b"@timestamp" | b"ts" | b"created" | b"__REALTIME_TIMESTAMP" | b"time_iso8601" | b"t" => {
                parts.journal |= key == b"__REALTIME_TIMESTAMP";
                &mut parts.time
            }
            b"message" | b"msg" | b"event" | b"MESSAGE" | b"log" => &mut parts.message,
            b"exc_info" | b"exception" | b"stack" | b"traceback" | b"exc_text" | b"error.stack_trace" | b"stack_info" => &mut parts.exception,
            b"name" | b"logger" | b"SYSLOG_IDENTIFIER" | b"log.logger" => &mut parts.logger,
            b"status" | b"status_code" | b"http.response.status_code" => &mut parts.status,
            b"path" | b"uri" | b"url" | b"request_uri" | b"request_path" | b"url.path" => &mut parts.path,
            b"request" => &mut parts.request,
            key => {
                if parts.duration.is_none()
                    && let Some(unit) = access::duration_name(key)
                {
                    parts.duration = Some((place, unit));
                }
                return;
            }
        };
        slot.get_or_insert(place);
    })?;
    Some(parts)
}

/// The inside of a raw string value; other values as they are.
pub fn unquoted(line: &[u8], (start, end): (usize, usize)) -> (usize, &[u8]) {
    if byte(line, start) == b'"' && end > start + 1 { (start + 1, &line[start + 1..end - 1]) } else { (start, &line[start..end]) }
}

/// What a line that is one object says.
pub fn json(line: &[u8]) -> Option<Head> {
    let parts = json_parts(line)?;
    let named = parts.level.and_then(|place| {
        let (_, word) = unquoted(line, place);
        level(word).or_else(|| match word {
            // Bunyan and pino write numbers: 10 trace, 20 debug, 30 info, 40 warning, 50 error, 60 fatal.
            b"10" | b"20" | b"30" | b"40" | b"50" | b"60" => Some(Level::ALL[usize::from(word[0] - b'1').saturating_sub(1)]),
            // The journal of systemd writes the severities of syslog.
            [digit @ b'0'..=b'7'] => Some(severity(u16::from(digit - b'0'))),
            _ => level(&word.to_ascii_uppercase()),
        })
    });
    let level = named.unwrap_or(if parts.exception.is_some() { Level::Error } else { Level::Info });
    let stamp = parts.time.map(|place| {
        let (start, text) = unquoted(line, place);
        match stamp::span(line, start) {
            Some(span) if span.len <= text.len() => Span { len: text.len(), ..span },
            _ => Span { start, len: text.len(), minute: 0 },
        }
    });
    let level = if named.is_none() && level == Level::Info { by_text(line, &parts) } else { level };
    let family = if parts.journal { Family::Journald } else { Family::Json };
    Some(Head { family, level, stamp, message: 0 })
}

/// Of an object that names no level: what its request or its text says. Docker's log driver gives the line of the program.
fn by_text(line: &[u8], parts: &JsonParts) -> Level {
    if let Some(place) = parts.status
        && (parts.path.is_some() || parts.request.is_some())
        && let Some(status) = std::str::from_utf8(unquoted(line, place).1).ok().and_then(|text| text.parse().ok())
    {
        return level_of_status(status);
    }
    parts.message.map_or(Level::Info, |place| forms::inner_level(unquoted(line, place).1))
}
