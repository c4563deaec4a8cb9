//! What a mail says of an error: subject and body of what Django's `AdminEmailHandler` sends, or any mail with a traceback in it. Pure.
//!
//! Shape: Django 5.2, `django/utils/log.py` (subject `PREFIX LEVEL (EXTERNAL IP): message`, a text part with the plain report of
//! `technical_500.txt`, an HTML part where asked for). Its traceback names the exception apart (`Exception Type`, `Exception Value`) and
//! an inner one by its value only; here the lines become those that the interpreter itself writes, so that the error has the fingerprint
//! that it has in a log.
//!
//! What does not belong here: where mails lie (`place`, `imap`), telling errors apart (`sources::log::group`).

use std::sync::LazyLock;

use mail_parser::MessageParser;
use regex::Regex;

use crate::domain::{Level, Timestamp};
use crate::sources::log::head;

/// Lines of a body that are looked at, and characters of each.
const LINES: usize = 2_000;
const CHARS: usize = 4_096;
/// Lines kept of a traceback.
const KEPT: usize = 400;

/// One error that a mail tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// By its `Date`, where it has one that can be read.
    pub at: Option<Timestamp>,
    /// How bad.
    pub level: Level,
    /// What the subject says after the level.
    pub message: String,
    /// The traceback as the interpreter writes it.
    pub detail: Vec<String>,
}

/// The error of a mail; `None`: it tells of none, or is no mail.
pub fn report(bytes: &[u8]) -> Option<Report> {
    static SUBJECT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?:^|[\s\]:>])(DEBUG|INFO|WARNING|ERROR|CRITICAL)(?: \((?:EXTERNAL|internal) IP\))?: (.*)$").ok());
    let mail = MessageParser::default().parse(bytes)?;
    let subject: String = mail.subject().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").chars().take(CHARS).collect();
    let at = mail.date().and_then(|date| Timestamp::from_timestamp(date.to_timestamp(), 0));
    let body = mail.body_text(0).unwrap_or_default();
    let detail = traceback(body.lines().take(LINES).map(|line| line.trim_end().chars().take(CHARS).collect()));
    let found = SUBJECT.as_ref().and_then(|subject_of| subject_of.captures(&subject));
    let (level, message) = match found {
        Some(found) => (head::level(found[1].as_bytes()).unwrap_or(Level::Error), found[2].to_owned()),
        None if !detail.is_empty() => (Level::Error, subject),
        None => return None,
    };
    Some(Report { at, level, message, detail })
}

/// The traceback of a body, in the words of the interpreter.
fn traceback(lines: impl Iterator<Item = String>) -> Vec<String> {
    const START: &str = "Traceback (most recent call last):";
    let mut out: Vec<String> = Vec::new();
    let mut within = false;
    let mut kind: Option<String> = None;
    for line in lines {
        if line.starts_with(START) || line.trim() == "Traceback:" {
            if !out.is_empty() && within {
                out.push(String::new());
            }
            out.push(START.to_owned());
            within = true;
        } else if !within {
            continue;
        } else if let Some(named) = line.strip_prefix("Exception Type: ") {
            // `ValueError at /basket/17/`.
            kind = Some(named.split(" at ").next().unwrap_or(named).trim().to_owned());
        } else if let Some(value) = line.strip_prefix("Exception Value: ") {
            out.push(format!("{}: {value}", kind.take().unwrap_or_else(|| "Exception".to_owned())));
            break;
        } else if let Some((value, sentence)) = linked(&line) {
            if out.last().is_some_and(String::is_empty) {
                out.pop();
            }
            // Of an inner exception Django names the value only.
            out.push(format!("Exception: {value}"));
            out.extend([String::new(), sentence.to_owned(), String::new(), START.to_owned()]);
        } else if ["Request information:", "Raised during:", "Request data not supplied"].iter().any(|next| line.starts_with(next)) {
            break;
        } else if line.is_empty() && out.last().is_some_and(|last| !last.starts_with(' ')) {
            // After the exception of a plain traceback its mail goes on with something else, unless a chain does.
        } else {
            out.push(line);
        }
        if out.len() >= KEPT {
            break;
        }
    }
    if let Some(kind) = kind {
        out.push(kind);
    }
    // Django writes the heading also where nothing was raised.
    if !out.iter().any(|line| line.trim_start().starts_with("File \"")) {
        return Vec::new();
    }
    while out.last().is_some_and(|line| line.trim().is_empty()) {
        out.pop();
    }
    out
}

/// The value that Django puts into the sentence between two exceptions, and the sentence as the interpreter writes it.
fn linked(line: &str) -> Option<(&str, &'static str)> {
    let rest = line.trim_start();
    if let Some(rest) = rest.strip_prefix("The above exception (") {
        let end = rest.rfind(") was the direct cause of the following exception")?;
        return Some((&rest[..end], "The above exception was the direct cause of the following exception:"));
    }
    let rest = rest.strip_prefix("During handling of the above exception (")?;
    let end = rest.rfind("), another exception occurred")?;
    Some((&rest[..end], "During handling of the above exception, another exception occurred:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::log::{group, stack};

    const BODY: &str = "Internal Server Error: /basket/17/

ValueError at /basket/17/
bad basket 17

Request Method: GET

Traceback (most recent call last):
  File \"/srv/shop/basket/pricing.py\", line 88, in total
    currency = session[\"currency\"]
               ^^^^^^^^^^^^^^^^^^^

The above exception ('currency') was the direct cause of the following exception:
  File \"/srv/shop/.venv/lib/python3.13/site-packages/django/core/handlers/base.py\", line 197, in _get_response
    response = wrapped_callback(request)
  File \"/srv/shop/basket/views.py\", line 41, in get
    raise ValueError(f\"bad basket {n}\") from error

Exception Type: ValueError at /basket/17/
Exception Value: bad basket 17
Raised during: basket.views.get
Request information:
USER: ana
";
    const LOGGED: &str = "Traceback (most recent call last):
  File \"/srv/shop/basket/pricing.py\", line 88, in total
    currency = session[\"currency\"]
KeyError: 'currency'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File \"/srv/shop/.venv/lib/python3.13/site-packages/django/core/handlers/base.py\", line 197, in _get_response
    response = wrapped_callback(request)
  File \"/srv/shop/basket/views.py\", line 41, in get
    raise ValueError(f\"bad basket {n}\") from error
ValueError: bad basket 17";

    fn mail(subject: &str, body: &str) -> Vec<u8> {
        format!("Subject: {subject}\r\nDate: Sat, 21 Nov 2026 15:24:45 -0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}", body.replace('\n', "\r\n"))
            .into_bytes()
    }

    #[test]
    fn a_mail_tells_of_the_error_that_a_log_tells_of() {
        let told = report(&mail("[Django] ERROR (EXTERNAL IP): Internal Server Error: /basket/17/", BODY)).unwrap();
        assert_eq!((told.level, told.message.as_str()), (Level::Error, "Internal Server Error: /basket/17/"));
        assert_eq!(told.at.unwrap().to_rfc3339(), "2026-11-21T15:24:45+00:00");
        let of = |detail: &[String]| group::identify("x", stack::parse("x", detail).as_ref(), &[]);
        let logged: Vec<String> = LOGGED.lines().map(str::to_owned).collect();
        let mailed = of(&told.detail);
        assert_eq!((mailed.title.as_str(), mailed.culprit.as_str()), ("ValueError: bad basket 17", "basket/views.py:41 in get"));
        assert_eq!(mailed.fingerprint, of(&logged).fingerprint);
    }

    #[test]
    fn subjects_of_any_prefix_and_mails_of_other_things() {
        for (subject, body, told) in [
            ("[shop prod] CRITICAL: queue is gone", "queue is gone\n", Some((Level::Critical, "queue is gone"))),
            ("ERROR: payment refused order 17", "", Some((Level::Error, "payment refused order 17"))),
            ("[Django] WARNING (internal IP): Not Found: /x", "", Some((Level::Warning, "Not Found: /x"))),
            (
                "job failed",
                "it said\n\nTraceback (most recent call last):\n  File \"/srv/a.py\", line 1, in f\n    x\nKeyError: 'x'\n",
                Some((Level::Error, "job failed")),
            ),
            ("lunch on Friday?", "no ERRORS: here\n", None),
            ("Re: TERROR: a film", "", None),
        ] {
            let seen = report(&mail(subject, body));
            assert_eq!(seen.as_ref().map(|seen| (seen.level, seen.message.as_str())), told, "{subject}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2_000), cut in 0usize..2_000) {
            drop(report(&bytes));
            let whole = mail("[Django] ERROR (EXTERNAL IP): Internal Server Error: /x", BODY);
            drop(report(&whole[..cut.min(whole.len())]));
        }
    }
}
