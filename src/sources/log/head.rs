//! The beginning of a log line: level, time stamp, where the message starts. Pure byte tests; this runs for every line.
//!
//! What does not belong here: which lines make one event (`digest`), tracebacks (`trace`).

use super::forms;
use super::objects::{json, string_end};
use super::stamp::{self, Span};
use crate::domain::Level;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Text without level and time.
    Plain,
    /// Django's own: `[20/Nov/2026 03:12:01] "GET / HTTP/1.1" 200 12` and `Internal Server Error: /x`.
    Django,
    /// Django's documented verbose formatter: `{levelname} {asctime} {module} {process:d} {thread:d} {message}`.
    Verbose,
    /// What Python programs use: `2026-11-20 03:12:01,123 ERROR name: message`, `ERROR:name:message`, and their like.
    Python,
    /// `[2026-11-20 03:12:01 +0000] [123] [ERROR] message`.
    Gunicorn,
    /// An object a line.
    Json,
    /// `1.2.3.4 - - [20/Nov/2026:03:12:01 +0000] "GET / HTTP/1.1" 200 12`.
    Access,
    /// `Nov 20 03:12:01 host program[12]: message`.
    Syslog,
    /// `time=2026-11-20T03:12:01Z level=error msg="it broke"`.
    Logfmt,
    /// nginx's error log.
    Nginx,
    /// Apache's error log.
    Apache,
    /// An object a line, of `journalctl -o json`.
    Journald,
    /// What Heroku's logplex relays: `2026-11-20T03:12:01+00:00 app[web.1]: message`.
    Heroku,
    /// The configured pattern.
    Custom,
}

impl Family {
    /// The names that `format` takes, beside `auto`.
    pub const NAMED: [(&'static str, Self); 13] = [
        ("django", Self::Django),
        ("verbose", Self::Verbose),
        ("python", Self::Python),
        ("gunicorn", Self::Gunicorn),
        ("json", Self::Json),
        ("access", Self::Access),
        ("syslog", Self::Syslog),
        ("logfmt", Self::Logfmt),
        ("nginx", Self::Nginx),
        ("apache", Self::Apache),
        ("journald", Self::Journald),
        ("heroku", Self::Heroku),
        ("plain", Self::Plain),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMED.into_iter().find(|(_, family)| *family == self).map_or("pattern", |(name, _)| name)
    }

    /// Whether every event of it has a head, so that a line without one belongs to the event before.
    pub const fn strict(self) -> bool {
        matches!(self, Self::Verbose | Self::Python | Self::Gunicorn | Self::Nginx | Self::Apache | Self::Custom)
    }

    /// Whether a line of it is an object.
    pub const fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Journald)
    }

    /// Whether each line of a program's text comes in a line of its own, with a head of the relay before it.
    pub const fn is_relay(self) -> bool {
        matches!(self, Self::Heroku | Self::Syslog)
    }
}

/// What the beginning of a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How it is written.
    pub family: Family,
    /// Its level; `Info` where it names none.
    pub level: Level,
    /// Its time stamp.
    pub stamp: Option<Span>,
    /// First byte of the message.
    pub message: usize,
}

/// Bytes of a line that are searched for a level.
const WINDOW: usize = 160;

/// The level of a word, its case as loggers write it.
pub fn level(word: &[u8]) -> Option<Level> {
    Some(match word {
        b"INFO" | b"info" | b"Info" | b"NOTICE" | b"notice" | b"SUCCESS" | b"NOTSET" => Level::Info,
        b"ERROR" | b"error" | b"Error" | b"ERR" | b"err" | b"EXCEPTION" | b"exception" => Level::Error,
        b"WARNING" | b"warning" | b"Warning" | b"WARN" | b"warn" => Level::Warning,
        b"DEBUG" | b"debug" | b"Debug" | b"TRACE" | b"trace" => Level::Debug,
        b"CRITICAL" | b"critical" | b"Critical" | b"FATAL" | b"fatal" | b"crit" | b"CRIT" | b"alert" | b"ALERT" | b"emerg" | b"EMERG" | b"PANIC" => {
            Level::Critical
        }
        _ => return None,
    })
}

/// The byte at a place; zero past the end.
pub(super) fn byte(line: &[u8], at: usize) -> u8 {
    line.get(at).copied().unwrap_or(0)
}

/// The level of an HTTP status, as Django's own server logs it.
pub const fn level_of_status(status: u16) -> Level {
    match status {
        500.. => Level::Error,
        400..500 => Level::Warning,
        _ => Level::Info,
    }
}

/// Reads the head of a line of any family; `None`: no family but plain text.
pub fn read(line: &[u8]) -> Option<Head> {
    read_any(line, true)
}

/// Of a line within a line: a relay within a relay is none, so that this ends.
pub fn read_inner(line: &[u8]) -> Option<Head> {
    read_any(line, false)
}

fn read_any(line: &[u8], relays: bool) -> Option<Head> {
    match byte(line, 0) {
        b'{' => json(line),
        b'[' => bracketed(line),
        b'0'..=b'9' => match stamp::span(line, 0) {
            Some(span) => match byte(line, 4) {
                b'/' => forms::nginx(line, span, span.len),
                _ if relays && byte(line, 10) == b'T' && span.len > 19 => forms::relayed(line, span, span.len),
                _ => None,
            }
            .or_else(|| stamped(line, span, span.len)),
            None => access(line),
        },
        b'a'..=b'z' | b'@' => forms::logfmt(line).or_else(|| access(line)),
        b'A'..=b'Z' => leveled(line).or_else(|| syslog(line, 0)).or_else(|| access(line)).or_else(|| phrase(line)),
        b'<' => priority(line),
        b' ' | b'\t' | 0 => None,
        _ => access(line),
    }
}

/// The head that a line without one gets: the message is all of it.
pub fn plain(line: &[u8]) -> Head {
    let level = words(line, 0, 5).find_map(|(word, _, framed)| if framed || is_upper(word) { level(word) } else { None });
    Head { family: Family::Plain, level: level.unwrap_or(Level::Info), stamp: None, message: 0 }
}

fn is_upper(word: &[u8]) -> bool {
    word.iter().all(u8::is_ascii_uppercase)
}

const fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')
}

/// The next words from `at`: word, where it ends, and whether it stands in brackets or before a colon.
fn words(line: &[u8], at: usize, count: usize) -> impl Iterator<Item = (&[u8], usize, bool)> {
    let line = &line[..line.len().min(at + WINDOW)];
    let mut at = at;
    std::iter::from_fn(move || {
        while at < line.len() && !is_word(line[at]) {
            at += 1;
        }
        let start = at;
        while at < line.len() && is_word(line[at]) {
            at += 1;
        }
        let before = start.checked_sub(1).map_or(0, |place| line[place]);
        let framed = matches!(byte(line, at), b']' | b':' | b'|' | b'>') || matches!(before, b'[' | b'<' | b'|');
        (start < at).then(|| (&line[start..at], at, framed))
    })
    .take(count)
}

/// Past the punctuation between the parts of a head.
fn past(line: &[u8], mut at: usize) -> usize {
    while matches!(byte(line, at), b' ' | b':' | b']' | b'-' | b'|' | b'\t' | b'>') && at < line.len() {
        at += 1;
    }
    at
}

/// After a stamp at the front: the level is among the next words.
fn stamped(line: &[u8], span: Span, from: usize) -> Option<Head> {
    // 2026-11-20T03:12:01Z LEVEL …; the usual case first: the level is the next word, between blanks.
    if byte(line, from) == b' ' {
        let start = from + 1;
        let len = line[start..].iter().take(9).take_while(|b| b.is_ascii_uppercase()).count();
        if byte(line, start + len) == b' '
            && let Some(level) = level(&line[start..start + len])
        {
            return Some(Head { family: Family::Python, level, stamp: Some(span), message: past(line, start + len) });
        }
    }
    for (word, end, framed) in words(line, from, 6) {
        if let Some(level) = level(word)
            && (framed || is_upper(word))
        {
            // Celery writes ERROR/MainProcess], others ERROR/name:.
            let end = if byte(line, end) == b'/' { memchr::memchr3(b']', b':', b' ', &line[end..]).map_or(end, |n| end + n) } else { end };
            return Some(Head { family: Family::Python, level, stamp: Some(span), message: past(line, end) });
        }
    }
    let message = past(line, from);
    // A stamp alone: a day without a level is still a head, a time of day alone is not.
    (span.minute > 5).then_some(Head { family: Family::Python, level: Level::Info, stamp: Some(span), message })
}

/// `[2026-…] [12] [LEVEL] …`, `[20/Nov/2026 …] "GET …`, `[LEVEL] …`.
fn bracketed(line: &[u8]) -> Option<Head> {
    if let Some(span) = stamp::span(line, 1) {
        let after = 1 + span.len;
        if byte(line, 3) == b'/' && byte(line, after) == b']' {
            return django(line, span, past(line, after));
        }
        let mut head = stamped(line, span, after)?;
        if byte(line, after) == b']' && byte(line, after + 2) == b'[' && byte(line, after + 3).is_ascii_digit() {
            head.family = Family::Gunicorn;
        }
        return Some(head);
    }
    if byte(line, 1).is_ascii_uppercase()
        && byte(line, 4) == b' '
        && let Some(head) = forms::apache(line)
    {
        return Some(head);
    }
    let (word, end, framed) = words(line, 1, 1).next()?;
    let level = level(word).filter(|_| framed && byte(line, end) == b']')?;
    let at = past(line, end);
    let stamp = stamp::span(line, at + usize::from(byte(line, at) == b'['));
    let message = stamp.map_or(at, |span| past(line, span.start + span.len));
    Some(Head { family: Family::Python, level, stamp, message })
}

/// Django's own server: the status gives the level.
fn django(line: &[u8], span: Span, at: usize) -> Option<Head> {
    let level = if byte(line, at) == b'"' { level_of_status(status(line, at)?) } else { Level::Info };
    // Some put the level there: [20/Nov/2026 03:12:01] ERROR [name:12] message.
    let (level, message, family) = match words(line, at, 1).next() {
        Some((word, end, _)) if is_upper(word) && byte(line, at) != b'"' => match self::level(word) {
            Some(level) => (level, past(line, end), Family::Python),
            None => (level, at, Family::Django),
        },
        _ => (level, at, Family::Django),
    };
    Some(Head { family, level, stamp: Some(span), message })
}

/// The status after a quoted request at `at`. A quote within is escaped by all who write this.
fn status(line: &[u8], at: usize) -> Option<u16> {
    let mut end = at + 1;
    loop {
        end += memchr::memchr(b'"', line.get(end..)?)?;
        if byte(line, end - 1) != b'\\' {
            break;
        }
        end += 1;
    }
    let code = line.get(end + 2..end + 5)?;
    std::str::from_utf8(code).ok()?.parse().ok().filter(|code| (100..600).contains(code))
}

/// `ERROR 2026-… module 12 34 message`, `ERROR:name:message`, `ERROR message`.
fn leveled(line: &[u8]) -> Option<Head> {
    let end = line.iter().take(10).position(|b| !b.is_ascii_uppercase())?;
    let level = level(&line[..end])?;
    let after = past(line, end);
    if !matches!(line[end], b' ' | b':' | b'\t' | b'|') {
        return None;
    }
    let bracket = usize::from(byte(line, after) == b'[');
    let Some(span) = stamp::span(line, after + bracket) else {
        let message = if line[end] == b':' { end + 1 } else { after };
        return Some(Head { family: Family::Python, level, stamp: None, message: message.min(line.len()) });
    };
    let at = past(line, span.start + span.len);
    match three(line, at) {
        Some(message) => Some(Head { family: Family::Verbose, level, stamp: Some(span), message }),
        None => Some(Head { family: Family::Python, level, stamp: Some(span), message: at }),
    }
}

/// Past `module process thread `, the two last being numbers.
fn three(line: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    let module = memchr::memchr(b' ', &line[at..line.len().min(at + 80)])?;
    at += module + 1;
    for _ in 0..2 {
        let digits = line[at..].iter().take(20).take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || !matches!(byte(line, at + digits), b' ' | 0) {
            return None;
        }
        at = (at + digits + 1).min(line.len());
    }
    Some(at)
}

/// `host - user [stamp] "request" status …`.
fn access(line: &[u8]) -> Option<Head> {
    let window = &line[..line.len().min(400)];
    // The first bracket behind a blank. A searcher for the two would cost more than the search.
    let bracket = memchr::memchr_iter(b'[', window).find(|at| *at > 0 && window[at - 1] == b' ')? + 1;
    let span = stamp::span(line, bracket).filter(|span| span.minute == 17)?;
    let after = span.start + span.len;
    if byte(line, after) != b']' {
        return None;
    }
    let message = past(line, after);
    let level = if byte(line, message) == b'"' { level_of_status(status(line, message)?) } else { Level::Info };
    Some(Head { family: Family::Access, level, stamp: Some(span), message })
}

/// `Nov 20 03:12:01 host program[12]: message`.
fn syslog(line: &[u8], at: usize) -> Option<Head> {
    let span = stamp::span(line, at)?;
    let host = past(line, span.start + span.len);
    let program = host + memchr::memchr(b' ', line.get(host..)?)? + 1;
    let level = words(line, program, 5).find_map(|(word, _, framed)| if framed || is_upper(word) { level(word) } else { None });
    Some(Head { family: Family::Syslog, level: level.unwrap_or(Level::Info), stamp: Some(span), message: program })
}

/// The levels of syslog's severities.
pub(super) const fn severity(number: u16) -> Level {
    match number {
        0..=2 => Level::Critical,
        3 => Level::Error,
        4 => Level::Warning,
        5 | 6 => Level::Info,
        _ => Level::Debug,
    }
}

/// `<131>Nov 20 …` and `<131>1 2026-…`: the number's low three bits are the severity (RFC 5424, 6.2.1).
fn priority(line: &[u8]) -> Option<Head> {
    let end = memchr::memchr(b'>', &line[..line.len().min(5)])?;
    let number: u16 = std::str::from_utf8(&line[1..end]).ok()?.parse().ok()?;
    let level = severity(number & 7);
    let dated = line.get(end + 1..end + 3) == Some(b"1 ");
    let at = end + 1 + 2 * usize::from(dated);
    let Some(span) = stamp::span(line, at) else {
        // A device without a clock writes `-` there.
        let bare = dated && line.get(at..at + 2) == Some(b"- ");
        return bare.then(|| Head { family: Family::Syslog, level, stamp: None, message: structured(line, at + 2).unwrap_or(at) });
    };
    let host = past(line, span.start + span.len);
    if dated && let Some(message) = structured(line, host) {
        return Some(Head { family: Family::Syslog, level, stamp: Some(span), message });
    }
    let program = host + memchr::memchr(b' ', line.get(host..)?)? + 1;
    Some(Head { family: Family::Syslog, level, stamp: Some(span), message: program })
}

/// Past `host program pid msgid [structured data]` (RFC 5424, 6.2 and 6.3).
fn structured(line: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    for _ in 0..4 {
        at += memchr::memchr(b' ', line.get(at..)?)? + 1;
    }
    if byte(line, at) == b'-' {
        at += 1;
    }
    while byte(line, at) == b'[' {
        loop {
            match byte(line, at) {
                b'"' => at = string_end(line, at)?,
                b']' => break,
                _ if at >= line.len() => return None,
                _ => at += 1,
            }
        }
        at += 1;
    }
    at += usize::from(byte(line, at) == b' ');
    at += 3 * usize::from(line.get(at..at + 3) == Some(b"\xef\xbb\xbf"));
    (at <= line.len()).then_some(at)
}

/// What Django's request logger says for each reason phrase (`django.utils.log.log_response`): 5xx is an error, 4xx a warning.
fn phrase(line: &[u8]) -> Option<Head> {
    const PHRASES: [(&[u8], Level); 12] = [
        (b"Internal Server Error: ", Level::Error),
        (b"Not Implemented: ", Level::Error),
        (b"Bad Gateway: ", Level::Error),
        (b"Service Unavailable: ", Level::Error),
        (b"Gateway Timeout: ", Level::Error),
        (b"Invalid HTTP_HOST header: ", Level::Error),
        (b"Not Found: ", Level::Warning),
        (b"Bad Request: ", Level::Warning),
        (b"Unauthorized: ", Level::Warning),
        (b"Forbidden: ", Level::Warning),
        (b"Forbidden (", Level::Warning),
        (b"Method Not Allowed (", Level::Warning),
    ];
    let (_, level) = PHRASES.into_iter().find(|(phrase, _)| line.starts_with(phrase))?;
    Some(Head { family: Family::Django, level, stamp: None, message: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_each_family() {
        use Family::{Access, Django, Gunicorn, Json, Python, Syslog, Verbose};
        use Level::{Critical, Debug, Error, Info, Warning};
        for (line, family, level, message, stamped) in [
            ("ERROR 2026-11-20 03:12:01,123 log 25173 140079419317120 Internal Server Error: /x", Verbose, Error, "Internal Server Error: /x", true),
            ("INFO 2026-11-20 03:12:01,123 basehttp 1 2 ", Verbose, Info, "", true),
            ("2026-11-20 03:12:01,123 ERROR django.request: Not good", Python, Error, "django.request: Not good", true),
            ("2026-11-20 03:12:01,123 - django.request - WARNING - Not good", Python, Warning, "Not good", true),
            ("2026-11-20 03:12:01,123 [ERROR] shop: Not good", Python, Error, "shop: Not good", true),
            ("2026-11-20T03:12:01.5Z info no level here", Python, Info, "info no level here", true),
            ("[2026-11-20 03:12:01,123: ERROR/MainProcess] Task x raised", Python, Error, "Task x raised", true),
            ("[2026-11-20 03:12:01 +0000] [123] [CRITICAL] WORKER TIMEOUT (pid:9)", Gunicorn, Critical, "WORKER TIMEOUT (pid:9)", true),
            ("[ERROR] 2026-11-20 03:12:01,1 boom", Python, Error, "boom", true),
            ("ERROR:django.request:Not good", Python, Error, "django.request:Not good", false),
            ("DEBUG plain message", Python, Debug, "plain message", false),
            ("[20/Nov/2026 03:12:01] \"GET / HTTP/1.1\" 200 1234", Django, Info, "\"GET / HTTP/1.1\" 200 1234", true),
            ("[20/Nov/2026 03:12:01] \"GET /x HTTP/1.1\" 500 145", Django, Error, "\"GET /x HTTP/1.1\" 500 145", true),
            ("[20/Nov/2026 03:12:01] ERROR [shop:12] boom", Python, Error, "[shop:12] boom", true),
            ("Internal Server Error: /basket/", Django, Error, "Internal Server Error: /basket/", false),
            ("Not Found: /nope/", Django, Warning, "Not Found: /nope/", false),
            (
                "192.0.2.1 - - [20/Nov/2026:03:12:01 +0000] \"GET /a\\\"b HTTP/1.1\" 404 12 \"-\" \"x\"",
                Access,
                Warning,
                "\"GET /a\\\"b HTTP/1.1\" 404 12 \"-\" \"x\"",
                true,
            ),
            ("Nov 20 03:12:01 web1 shop[12]: ERROR boom", Syslog, Error, "shop[12]: ERROR boom", true),
            ("<131>Nov 20 03:12:01 web1 shop[12]: boom", Syslog, Error, "shop[12]: boom", true),
            ("<131>1 2026-11-20T03:12:01Z web1 shop 12 - - boom", Syslog, Error, "boom", true),
            (r#"<131>1 2026-11-20T03:12:01Z web1 shop 12 ID1 [a@1 b="x] \" y"][c@2] boom"#, Syslog, Error, "boom", true),
            ("<131>1 - web1 shop 12 - - boom", Syslog, Error, "boom", false),
            (r#"{"levelname": "ERROR", "asctime": "2026-11-20 03:12:01,123", "message": "x"}"#, Json, Error, "", true),
            (r#"{"event":"a\"b","level":"warning","timestamp":"2026-11-20T03:12:01Z","n":[1,{"level":"error"}]}"#, Json, Warning, "", true),
            (r#"{"level":60,"time":1795144321500,"msg":"x"}"#, Json, Critical, "", true),
            (r#"{"severity":"CRITICAL"}"#, Json, Critical, "", false),
            (r#"{"__REALTIME_TIMESTAMP":"1795144321500000","PRIORITY":"3","MESSAGE":"boom"}"#, Family::Journald, Error, "", true),
            (r#"{"@timestamp":"2026-11-20T03:12:01Z","log":{"level":"error","logger":"a"},"message":"x"}"#, Json, Error, "", true),
            (r#"{"log":"ERROR:a:boom\n","stream":"stderr","time":"2026-11-20T03:12:01.123456789Z"}"#, Json, Error, "", true),
            (r#"{"time":"2026-11-20T03:12:01Z","path":"/x","status":503}"#, Json, Error, "", true),
        ] {
            let head = read(line.as_bytes()).unwrap_or_else(|| panic!("no head: {line}"));
            assert_eq!((head.family, head.level, head.stamp.is_some()), (family, level, stamped), "{line}");
            if !family.is_json() {
                assert_eq!(&line[head.message..], message, "{line}");
            }
        }
    }

    #[test]
    fn what_is_no_head() {
        for line in [
            "",
            "  File \"x.py\", line 1, in f",
            "KeyError: 'currency'",
            "Traceback (most recent call last):",
            "{not json",
            "{\"a\": 1",
            "{\"a\"}",
            "12:00 noon",
            "[x] y",
            "ERRORS are bad",
            "Watching for file changes with StatReloader",
            "2026 was a year",
            "<b>",
            "[20/Nov/2026 03:12:01] \"GET",
        ] {
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn plain_text_names_its_level_early_and_loud() {
        for (line, level) in [
            ("disk WARNING almost full", Level::Warning),
            ("app [error] it broke", Level::Error),
            ("there was no error here", Level::Info),
            ("one two three four five six ERROR", Level::Info),
            ("error: cannot open", Level::Error),
        ] {
            assert_eq!(plain(line.as_bytes()).level, level, "{line}");
        }
    }
}
