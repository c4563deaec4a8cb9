//! Which errors are the same one: exception type and the application's own frames, else the message without what varies.
//! Pure; the same text gives the same fingerprint in every version of the program, because people refer to it.
//!
//! What does not belong here: counting (`tally`).

use sha2::{Digest, Sha256};

use super::trace::{Frame, Parsed};

/// Characters kept of a title.
const TITLE: usize = 200;

/// What a group is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Eight hexadecimal digits.
    pub fingerprint: String,
    /// Exception type and value, or the message.
    pub title: String,
    /// `basket/pricing.py:88 in total`; empty without a traceback.
    pub culprit: String,
}

/// The group of an error.
pub fn identify(message: &str, trace: Option<&Parsed>, project: &[String]) -> Identity {
    let Some(trace) = trace.filter(|trace| !trace.frames.is_empty()) else {
        let text = trace.filter(|trace| !trace.title.is_empty()).map_or(message, |trace| &trace.title);
        return Identity { fingerprint: hash(&["message", &normalise(text)]), title: clip(text), culprit: String::new() };
    };
    let own: Vec<&Frame> = trace.frames.iter().filter(|frame| in_app(&frame.path, project)).collect();
    // Without a frame of the application the innermost one tells where it broke.
    let places: Vec<&Frame> = if own.is_empty() { trace.frames.last().into_iter().collect() } else { own };
    // Line numbers move with every deploy; functions stay.
    let mut parts = vec!["trace".to_owned(), trace.kind.clone()];
    parts.extend(places.iter().map(|frame| format!("{}:{}", normalise(relative(&frame.path, project)), frame.function)));
    parts.dedup();
    parts.extend(trace.inner.iter().cloned());
    let culprit = places.last().map(|frame| {
        let place = format!("{}:{}", short(&frame.path, project), frame.line);
        if frame.function.is_empty() { place } else { format!("{place} in {}", frame.function) }
    });
    let title = if trace.title.is_empty() { message } else { &trace.title };
    Identity { fingerprint: hash(&parts), title: clip(title), culprit: clip(&culprit.unwrap_or_default()) }
}

fn clip(text: &str) -> String {
    text.chars().take(TITLE).collect()
}

fn hash(parts: &[impl AsRef<str>]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_ref().as_bytes());
        digest.update([0]);
    }
    let [a, b, c, d, ..] = <[u8; 32]>::from(digest.finalize());
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

/// Whether a frame is the application's: below a project path, or, when none is configured, outside of what Python installs.
pub fn in_app(path: &str, project: &[String]) -> bool {
    if !project.is_empty() {
        return project.iter().any(|root| below(path, root).is_some());
    }
    let path = path.replace('\\', "/");
    !(path.starts_with('<') || ["/site-packages/", "/dist-packages/", "/lib/python", "/lib64/python", "/Lib/"].iter().any(|part| path.contains(part)))
}

fn below<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    path.strip_prefix(root.trim_end_matches('/'))?.strip_prefix('/')
}

/// The path below the project, or below the place where packages are installed, else whole.
fn relative<'a>(path: &'a str, project: &[String]) -> &'a str {
    let own = project.iter().find_map(|root| below(path, root));
    let installed = || ["/site-packages/", "/dist-packages/"].iter().find_map(|part| path.rsplit_once(part).map(|(_, rest)| rest));
    own.or_else(installed).unwrap_or(path)
}

/// The path as a row shows it: below the project, else its last two parts.
fn short<'a>(path: &'a str, project: &[String]) -> &'a str {
    let rest = relative(path, project);
    if rest.len() < path.len() {
        return rest;
    }
    let mut slashes = path.rmatch_indices(['/', '\\']).map(|(at, _)| at);
    let _ = slashes.next();
    slashes.next().map_or(path, |at| &path[at + 1..])
}

/// The message without what varies: numbers, hexadecimal, UUIDs, addresses, dates, quoted values and the varying parts of paths.
pub fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(400));
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        if out.len() > 400 {
            break;
        }
        // A quoted value; an apostrophe within a word is none.
        if matches!(first, '\'' | '"')
            && !before.is_alphanumeric()
            && let Some(end) = quoted(rest, first)
        {
            out.push_str("'*'");
            rest = &rest[end..];
            before = first;
            continue;
        }
        if first.is_ascii_hexdigit() && uuid(rest) {
            out.push('#');
            rest = &rest[36..];
            before = 'a';
            continue;
        }
        if first.is_alphanumeric() {
            let run = |extra: &[char]| rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || extra.contains(&c))).unwrap_or(rest.len());
            let (word, address) = (run(&[]), run(&['.', '+', '-', '@']));
            if memchr::memchr(b'@', &rest.as_bytes()[..address]).is_some() {
                out.push('*');
                rest = &rest[address..];
            } else {
                token(&rest[..word], &mut out);
                rest = &rest[word..];
            }
            before = 'a';
            continue;
        }
        out.push(if first.is_whitespace() { ' ' } else { first });
        before = first;
        rest = &rest[first.len_utf8()..];
    }
    // Dates, times, addresses and UUIDs are now figures with marks between them: one mark stands for all.
    let mut short = String::with_capacity(out.len());
    let mut chars = out.chars().peekable();
    while let Some(c) = chars.next() {
        short.push(c);
        if c == '#' {
            let mut ahead = chars.clone();
            while let Some(mark) = ahead.next() {
                if matches!(mark, '-' | ':' | '.' | '+' | ',' | 'T') && ahead.peek() == Some(&'#') {
                    ahead.next();
                    chars = ahead.clone();
                } else {
                    break;
                }
            }
        }
    }
    short
}

/// The end of a quoted value: within 300 bytes, not followed by a letter.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut from = 1;
    loop {
        let end = from + text.get(from..)?.find(quote)?;
        if end > 300 {
            return None;
        }
        let after = text[end + 1..].chars().next();
        if !text[..end].ends_with('\\') && !after.is_some_and(char::is_alphanumeric) {
            return Some(end + 1);
        }
        from = end + 1;
    }
}

/// Whether a UUID stands here.
fn uuid(text: &str) -> bool {
    text.as_bytes()
        .get(..36)
        .is_some_and(|id| id.iter().enumerate().all(|(at, b)| if matches!(at, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() }))
}

/// A word: figures become `#`, and so does one that is hexadecimal and long.
fn token(word: &str, out: &mut String) {
    let has_digit = word.bytes().any(|b| b.is_ascii_digit());
    if !has_digit {
        out.push_str(word);
        return;
    }
    let hex = word.strip_prefix("0x").unwrap_or(word);
    if word.len() > hex.len() || (hex.len() >= 4 && hex.bytes().all(|b| b.is_ascii_hexdigit())) {
        out.push('#');
        return;
    }
    let mut in_figure = false;
    for c in word.chars() {
        if c.is_ascii_digit() {
            if !in_figure {
                out.push('#');
            }
            in_figure = true;
        } else {
            out.push(c);
            in_figure = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::log::trace;

    #[test]
    fn what_varies_is_left_out() {
        for (left, right) in [
            ("user 17 has no basket", "user 90210 has no basket"),
            ("took 0.548 s", "took 12.1 s"),
            ("object at 0x7f3a2c10 lost", "object at 0x55aa lost"),
            ("order 7f9c24e8-3b12-4fef-91e0-d0c8a1f6b7aa gone", "order 11111111-2222-3333-4444-555555555555 gone"),
            ("from 192.0.2.1: refused", "from 198.51.100.22: refused"),
            ("mail to ana@shop.example.com failed", "mail to bob.x@blog.example failed"),
            ("since 2026-11-20 03:12:01,123", "since 2025-01-02 23:00:00,000"),
            ("Invalid HTTP_HOST header: 'evil.example'. Add it", "Invalid HTTP_HOST header: '203.0.113.9'. Add it"),
            ("Internal Server Error: /order/17/", "Internal Server Error: /order/18/"),
            ("cannot open \"/tmp/a b\"", "cannot open \"/srv/x\""),
        ] {
            assert_eq!(normalise(left), normalise(right));
        }
        for (left, right) in [("user 17 lost", "order 17 lost"), ("Internal Server Error: /basket/", "Internal Server Error: /search/"), ("can't a", "can't b")]
        {
            assert_ne!(normalise(left), normalise(right));
        }
    }

    const TRACE: &str = "Traceback (most recent call last):
  File \"/srv/shop/.venv/lib/python3.12/site-packages/django/core/handlers/base.py\", line 197, in _get_response
    response = wrapped_callback(request)
  File \"/srv/shop/basket/views.py\", line 41, in get
    return Response(Basket(request.session).total)
  File \"/srv/shop/basket/pricing.py\", line 88, in total
    currency = self.session[\"basket\"][\"currency\"]
KeyError: 'currency'";

    fn of(text: &str, project: &[String]) -> Identity {
        identify("Internal Server Error: /x", trace::parse(text.lines()).as_ref(), project)
    }

    #[test]
    fn a_traceback_is_known_by_type_and_own_frames() {
        let one = of(TRACE, &[]);
        assert_eq!((one.title.as_str(), one.culprit.as_str()), ("KeyError: 'currency'", "basket/pricing.py:88 in total"));
        assert_eq!(one.fingerprint.len(), 8);
        // The value, line numbers and frames of the framework may differ.
        assert_eq!(
            one.fingerprint,
            of(&TRACE.replace("'currency'", "'coupon'").replace("line 88", "line 90").replace("_get_response", "inner"), &[]).fingerprint
        );
        assert_ne!(one.fingerprint, of(&TRACE.replace("KeyError", "TypeError"), &[]).fingerprint);
        assert_ne!(one.fingerprint, of(&TRACE.replace("in total", "in sum"), &[]).fingerprint);
    }

    #[test]
    fn a_deploy_into_a_new_directory_keeps_the_fingerprint() {
        let release = |n: &str| of(&TRACE.replace("/srv/shop/", &format!("/srv/shop/releases/{n}/")), &[]).fingerprint;
        assert_eq!(release("20261119"), release("20261120"));
    }

    #[test]
    fn project_paths_decide_what_is_in_app() {
        let project = ["/srv/shop/basket/".to_owned()];
        assert_eq!(of(TRACE, &project).culprit, "pricing.py:88 in total");
        assert!(!in_app("/srv/shopping/x.py", &["/srv/shop".to_owned()]));
        assert!(!in_app("<frozen importlib._bootstrap>", &[]));
        assert!(!in_app("/usr/lib/python3.13/json/decoder.py", &[]));
        assert!(in_app("shop/views.py", &[]));
    }

    #[test]
    fn fingerprints_are_what_they_always_were() {
        assert_eq!(identify("user 17 has no basket", None, &[]).fingerprint, "8a653855");
        assert_eq!(of(TRACE, &[]).fingerprint, "70a3c2d1");
    }
}
