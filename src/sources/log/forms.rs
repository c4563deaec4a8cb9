//! Heads of lines that programs other than Python write: logfmt, error logs of nginx and Apache, Heroku's logplex, syslog with a day.
//!
//! What does not belong here: the forms of Python and Django, and telling the forms apart (`head`).

use super::access;
use super::head::{self, Family, Head, level};
use super::stamp::{self, Span};
use super::text::decode;
use crate::domain::Level;

fn byte(line: &[u8], at: usize) -> u8 {
    line.get(at).copied().unwrap_or(0)
}

/// `time=2026-11-20T03:12:01Z level=error msg="it broke" user=17`. Two of time, level and message make it one.
pub fn logfmt(line: &[u8]) -> Option<Head> {
    // Cheap first: the first word ends at an equals sign.
    let end = line.iter().take(40).position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'@' | b'-')))?;
    if end == 0 || line[end] != b'=' {
        return None;
    }
    let (mut named, mut stamp, mut message) = (None, None, None);
    for (key, value, at) in access::pairs(line).take(32) {
        let quoted = usize::from(value.len() > 1 && value[0] == b'"');
        let inside = &value[quoted..value.len() - quoted];
        match key {
            b"level" | b"lvl" | b"severity" | b"at" if named.is_none() => named = level(inside).or_else(|| level(&inside.to_ascii_uppercase())),
            b"time" | b"ts" | b"t" | b"timestamp" | b"date" if stamp.is_none() => {
                let start = at + quoted;
                stamp = Some(match stamp::span(line, start) {
                    Some(span) if span.len <= inside.len() => span,
                    _ => Span { start, len: inside.len(), minute: 0 },
                });
            }
            b"msg" | b"message" | b"event" if message.is_none() => message = Some(at + quoted),
            _ => {}
        }
    }
    let known = usize::from(named.is_some()) + usize::from(stamp.is_some()) + usize::from(message.is_some());
    let level = named.or_else(|| access::pairs(line).find(|(key, _, _)| *key == b"status").and_then(|(_, value, _)| by_status(value)));
    (known >= 2).then(|| Head { family: Family::Logfmt, level: level.unwrap_or(Level::Info), stamp, message: message.unwrap_or(0) })
}

fn by_status(value: &[u8]) -> Option<Level> {
    let status: u16 = std::str::from_utf8(value).ok()?.parse().ok()?;
    (100..600).contains(&status).then(|| head::level_of_status(status))
}

/// The message of a logfmt line and the pairs that are neither time nor level, for reading.
pub fn logfmt_text(line: &[u8]) -> String {
    let (mut text, mut rest) = (String::new(), String::new());
    for (key, value, _) in access::pairs(line).take(256) {
        match key {
            b"level" | b"lvl" | b"severity" | b"time" | b"ts" | b"t" | b"timestamp" | b"date" => {}
            b"msg" | b"message" | b"event" if text.is_empty() => {
                let value = decode(value);
                text = serde_json::from_str::<String>(&value).unwrap_or_else(|_| value.into_owned());
            }
            _ => {
                rest.push(' ');
                rest.push_str(&decode(key));
                rest.push('=');
                rest.push_str(&decode(value));
            }
        }
    }
    if text.is_empty() { rest.trim_start().to_owned() } else { text + &rest }
}

/// nginx: `2026/11/20 03:12:01 [error] 7#7: *1 open() failed`. `after` is the end of the stamp.
pub fn nginx(line: &[u8], span: Span, after: usize) -> Option<Head> {
    if byte(line, after) != b' ' || byte(line, after + 1) != b'[' {
        return None;
    }
    let end = after + 2 + memchr::memchr(b']', line.get(after + 2..line.len().min(after + 12))?)?;
    let level = level(&line[after + 2..end])?;
    Some(Head { family: Family::Nginx, level, stamp: Some(span), message: (end + 2).min(line.len()) })
}

/// Apache: `[Fri Nov 20 03:12:01.123456 2026] [core:error] [pid 12:tid 34] [client 192.0.2.1:1] AH00001: it broke`.
pub fn apache(line: &[u8]) -> Option<Head> {
    let span = stamp::span(line, 5).filter(|_| byte(line, 4) == b' ')?;
    let close = memchr::memchr(b']', line.get(..line.len().min(48))?)?;
    let open = close + 2;
    if byte(line, close + 1) != b' ' || byte(line, open) != b'[' {
        return None;
    }
    let end = open + memchr::memchr(b']', line.get(open..line.len().min(open + 60))?)?;
    let word = &line[open + 1..end];
    let word = word.rsplit(|b| *b == b':').next().unwrap_or(word);
    // trace1 to trace8 are finer than debug.
    let level = if word.starts_with(b"trace") { Level::Debug } else { level(word)? };
    let mut message = end + 1;
    while byte(line, message) == b' ' && (line[message..].starts_with(b" [pid ") || line[message..].starts_with(b" [client ")) {
        message += memchr::memchr(b']', &line[message..])? + 1;
    }
    Some(Head { family: Family::Apache, level, stamp: Some(span), message: (message + 1).min(line.len()) })
}

/// Behind a stamp with a zone: `web1 shop[12]: text` (syslog with a day) or `app[web.1]: text` (Heroku). `after` is the end of the stamp.
pub fn relayed(line: &[u8], span: Span, after: usize) -> Option<Head> {
    if byte(line, after) != b' ' {
        return None;
    }
    let window = &line[..line.len().min(after + 120)];
    let first = after + 1 + memchr::memchr(b' ', &window[after + 1..])?;
    let word = &window[after + 1..first];
    if let Some(name) = word.strip_suffix(b"]:") {
        if !(name.starts_with(b"app[") || name.starts_with(b"heroku[")) {
            return None;
        }
        let message = first + 1;
        let inner = line.get(message..)?;
        let at_error = name.starts_with(b"heroku[") && inner.starts_with(b"at=error");
        let level = if at_error { Level::Error } else { inner_level(inner) };
        return Some(Head { family: Family::Heroku, level, stamp: Some(span), message });
    }
    let named = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    if !word.iter().all(named) || level(word).is_some() || word.ends_with(b":") {
        return None;
    }
    let second = first + 1 + memchr::memchr(b' ', &window[first + 1..])?;
    let program = window[first + 1..second].strip_suffix(b":")?;
    let pid = program.strip_suffix(b"]");
    if pid.is_none() && (program.is_empty() || level(program).is_some() || !program.iter().all(|b| named(b) || *b == b'/')) {
        return None;
    }
    Some(Head { family: Family::Syslog, level: inner_level(&line[second + 1..]), stamp: Some(span), message: first + 1 })
}

/// The level that a line within a line names.
pub fn inner_level(inner: &[u8]) -> Level {
    match head::read_inner(inner) {
        Some(head) => head.level,
        None if inner.starts_with(super::trace::START) => Level::Error,
        None => head::plain(inner).level,
    }
}

/// Where the text begins that a program wrote into a relay: behind `shop[12]: `.
pub fn inner_start(line: &[u8], head: &Head) -> usize {
    match head.family {
        Family::Syslog => {
            let window = &line[head.message.min(line.len())..line.len().min(head.message + 80)];
            memchr::memmem::find(window, b": ").map_or(head.message, |at| head.message + at + 2)
        }
        _ => head.message,
    }
}

/// A line without what the relay put before it.
pub fn unrelayed(line: &[u8]) -> &[u8] {
    head::read(line).filter(|head| head.family.is_relay()).map_or(line, |head| &line[inner_start(line, &head).min(line.len())..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_other_programs() {
        use Family::{Apache, Heroku, Logfmt, Nginx, Syslog};
        for (line, family, level, message) in [
            (r#"time=2026-11-20T03:12:01Z level=error msg="it broke" user=17"#, Logfmt, Level::Error, r#"it broke" user=17"#),
            ("ts=1795144321.5 lvl=WARN msg=slow", Logfmt, Level::Warning, "slow"),
            ("2026/11/20 03:12:01 [error] 7#7: *1 open() failed", Nginx, Level::Error, "7#7: *1 open() failed"),
            ("2026/11/20 03:12:01 [emerg] 7#7: no", Nginx, Level::Critical, "7#7: no"),
            ("[Fri Nov 20 03:12:01.123456 2026] [core:error] [pid 12:tid 34] [client 192.0.2.1:1] AH00001: broke", Apache, Level::Error, "AH00001: broke"),
            ("[Fri Nov 20 03:12:01 2026] [notice] caught SIGTERM", Apache, Level::Info, "caught SIGTERM"),
            ("2026-11-20T03:12:01.123456+00:00 app[web.1]: ERROR:django.request:Not good", Heroku, Level::Error, "ERROR:django.request:Not good"),
            ("2026-11-20T03:12:01.123456+00:00 heroku[router]: at=error code=H12 status=503", Heroku, Level::Error, "at=error code=H12 status=503"),
            ("2026-11-20T03:12:01.123456+00:00 web1 shop[12]: ERROR boom", Syslog, Level::Error, "shop[12]: ERROR boom"),
            ("2026-11-20T03:12:01+01:00 web1 systemd[1]: Started x.", Syslog, Level::Info, "systemd[1]: Started x."),
        ] {
            let head = head::read(line.as_bytes()).unwrap_or_else(|| panic!("no head: {line}"));
            assert_eq!((head.family, head.level, &line[head.message..]), (family, level, message), "{line}");
            assert!(head.stamp.is_some(), "{line}");
        }
        for line in ["a=b", "x", "a=b c=d", "=", "level=", "path=/x status=200"] {
            assert_eq!(logfmt(line.as_bytes()), None, "{line}");
        }
        assert_eq!(logfmt_text(br#"time=2026 level=error msg="it \"broke\"" user=17 err="no: way""#), r#"it "broke" user=17 err="no: way""#);
    }
}
