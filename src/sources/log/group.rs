//! Which errors are the same one: exception type and the application's own frames, else the message without what varies.
//! Pure; the same text gives the same fingerprint in every version of the program, because people refer to it and the book keeps it.
//!
//! What counts (algorithm 2): the class name of the exception (without its module, as a mail or a tracker writes it); of every frame of the
//! application its path below the project, the place where packages are installed or where the release lies, and its function. What does not:
//! line numbers, values, frames of frameworks, frames of comprehensions (which newer interpreters do not have). Without frames: the message,
//! with everything that varies normalised ([`values`]). A change of any of this is a new algorithm, and the fingerprint of the one before is
//! told beside it, so that the book finds what it kept.
//!
//! What does not belong here: counting (`tally`), keeping (`journal`).

use std::sync::LazyLock;

use regex::Regex;
use sha2::{Digest, Sha256};

use super::trace::{Frame, Parsed};

/// Characters kept of a title.
const TITLE: usize = 200;
/// Bytes of a message that are looked at.
const MESSAGE: usize = 2_000;
/// The algorithm that makes fingerprints now.
pub const ALGORITHM: u8 = 2;

/// What a group is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Twelve hexadecimal digits.
    pub fingerprint: String,
    /// What the algorithm before would have called it.
    pub former: String,
    /// Exception type and value, or the message.
    pub title: String,
    /// `basket/pricing.py:88 in total`; empty without a traceback.
    pub culprit: String,
}

/// The group of an error.
pub fn identify(message: &str, trace: Option<&Parsed>, project: &[String]) -> Identity {
    let former = identify_1(message, trace, project);
    let Some(trace) = trace.filter(|trace| !trace.frames.is_empty()) else {
        let text = trace.filter(|trace| !trace.title.is_empty()).map_or(message, |trace| &trace.title);
        return Identity { fingerprint: hash::<6>(&["message", &values(text)]), former, title: clip(text), culprit: String::new() };
    };
    let places = places(trace, project);
    let mut parts = vec!["trace".to_owned(), class(&trace.kind).to_owned()];
    let steps: Vec<String> = places.iter().map(|frame| format!("{}:{}", place(&frame.path, project), frame.function)).collect();
    let named = |step: &&String| !["<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"].iter().any(|inline| step.ends_with(inline));
    let mut kept: Vec<String> = steps.iter().filter(named).cloned().collect();
    if kept.is_empty() {
        kept = steps;
    }
    kept.dedup();
    parts.extend(kept);
    parts.extend(trace.inner.iter().map(|kind| class(kind).to_owned()));
    let culprit = places.last().map(|frame| {
        let place = if frame.line == 0 { short(&frame.path, project).to_owned() } else { format!("{}:{}", short(&frame.path, project), frame.line) };
        if frame.function.is_empty() { place } else { format!("{place} in {}", frame.function) }
    });
    let title = if trace.title.is_empty() { message } else { &trace.title };
    Identity { fingerprint: hash::<6>(&parts), former, title: clip(title), culprit: clip(&culprit.unwrap_or_default()) }
}

/// The fingerprint of algorithm 1.
fn identify_1(message: &str, trace: Option<&Parsed>, project: &[String]) -> String {
    let Some(trace) = trace.filter(|trace| !trace.frames.is_empty()) else {
        let text = trace.filter(|trace| !trace.title.is_empty()).map_or(message, |trace| &trace.title);
        return hash::<4>(&["message", &normalise(text)]);
    };
    let mut parts = vec!["trace".to_owned(), trace.kind.clone()];
    parts.extend(places(trace, project).iter().map(|frame| format!("{}:{}", normalise(relative(&frame.path, project)), frame.function)));
    parts.dedup();
    parts.extend(trace.inner.iter().cloned());
    hash::<4>(&parts)
}

/// The frames that tell where it broke: the application's own, else the innermost.
fn places<'a>(trace: &'a Parsed, project: &[String]) -> Vec<&'a Frame> {
    let own: Vec<&Frame> = trace.frames.iter().filter(|frame| in_app(&frame.path, project)).collect();
    if own.is_empty() { trace.frames.last().into_iter().collect() } else { own }
}

/// The class name of an exception: `OperationalError` of `django.db.utils.OperationalError`.
pub fn class(kind: &str) -> &str {
    kind.rsplit(['.', '\\']).next().filter(|name| !name.is_empty()).or_else(|| kind.rsplit("::").next()).unwrap_or(kind)
}

/// A path without what a deploy changes: below the project, below where packages are installed, below the release, without figures.
fn place(path: &str, project: &[String]) -> String {
    static ROOTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let roots = [
            r".*/(?:releases|deploys|deployments|versions|builds|revisions)/[^/]+/",
            r".*/current/",
            r"/(?:srv|opt|data|mnt|workspaces?|var/www|usr/src|usr/local|usr/share)/[^/]+/",
            r"/(?:home|Users)/[^/]+/(?:[^/]+/)?",
            r"/(?:app|code|src|www|application|project|site|root)/",
            r"(?i:[a-z]):/(?:[^/]+/)?",
        ];
        Regex::new(&format!("^(?:{})", roots.join("|"))).ok()
    });
    let path = path.strip_prefix("file://").unwrap_or(path).replace('\\', "/");
    let rest = relative(&path, project);
    if rest.len() < path.len() {
        return values(rest);
    }
    let end = ROOTS.as_ref().and_then(|roots| roots.find(&path)).map_or(0, |root| root.end());
    values(&path[end..])
}

fn clip(text: &str) -> String {
    text.chars().take(TITLE).collect()
}

/// The first `N` bytes of the digest of the parts.
fn hash<const N: usize>(parts: &[impl AsRef<str>]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_ref().as_bytes());
        digest.update([0]);
    }
    digest.finalize().iter().take(N).fold(String::with_capacity(2 * N), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// Whether a frame is the application's: below a project path, or, when none is configured, outside of what Python installs.
pub fn in_app(path: &str, project: &[String]) -> bool {
    if !project.is_empty() {
        // A virtual environment often lies within the project.
        let installed = |rest: &str| ["site-packages/", "dist-packages/", "node_modules/"].iter().any(|part| rest.contains(part));
        return project.iter().any(|root| below(path, root).is_some_and(|rest| !installed(rest)));
    }
    let path = path.replace('\\', "/");
    let installed = [
        "/site-packages/",
        "/dist-packages/",
        "/lib/python",
        "/lib64/python",
        "/Lib/",
        "node_modules/",
        "/gems/",
        "/ruby/",
        "/usr/local/go/",
        "/usr/lib/go",
        "/pkg/mod/",
        "vendor/",
    ];
    // Places of Java are written as class names.
    let platform = ["java.", "javax.", "jdk.", "sun.", "jakarta.", "kotlin.", "scala.", "org.springframework.", "org.apache.", "org.eclipse.", "io.netty."];
    let built_in = path.starts_with('<') || path.starts_with("node:") || path.starts_with("internal/") || path.starts_with("[internal");
    !(built_in || installed.iter().any(|part| path.contains(part)) || platform.iter().any(|package| path.starts_with(package)))
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
pub(super) fn short<'a>(path: &'a str, project: &[String]) -> &'a str {
    let rest = relative(path, project);
    if rest.len() < path.len() {
        return rest;
    }
    let mut slashes = path.rmatch_indices(['/', '\\']).map(|(at, _)| at);
    let _ = slashes.next();
    slashes.next().map_or(path, |at| &path[at + 1..])
}

/// A message without what varies: numbers, hexadecimal, UUIDs, addresses of machines and people, dates, quoted values, queries, and
/// paths of files. Paths of a site stay but for their figures: they tell places apart.
pub fn values(text: &str) -> String {
    static PARTS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let day = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? )?";
        let month = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*";
        let dates = [
            format!(
                r"\b{day}\d{{1,2}}[ /.-]{month}[ /.-]\d{{2,4}}(?:[ :T]\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d+)?)?)?(?: ?(?:[+-]\d{{2}}:?\d{{2}}|Z|UTC|GMT))?"
            ),
            format!(r"\b{day}{month} {{1,2}}\d{{1,2}},? (?:\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d+)?)? ?)?\d{{0,4}}"),
            r"\b\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?(?: ?(?:[+-]\d{2}:?\d{2}|Z|UTC))?".to_owned(),
        ];
        let mut parts: Vec<(String, &str)> = dates.into_iter().map(|date| (date, " # ")).collect();
        parts.extend([
            // A query, and what follows a fragment mark.
            (r"(/[^\s?'\x22#]*)[?#][^\s'\x22]+".to_owned(), "$1"),
            (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*".to_owned(), "*"),
            // IPv6, also with a zone and a port: at least two colons between hexadecimal groups.
            (r"\[?\b[0-9A-Fa-f]{0,4}:(?:[0-9A-Fa-f]{0,4}:){1,6}(?:[0-9A-Fa-f]{1,4}|\d+\.\d+\.\d+\.\d+)(?:%\w+)?\b\]?(?::\d+)?".to_owned(), "#"),
            (r"(^|[\s:=(\[<])::1\b".to_owned(), "$1#"),
            (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b".to_owned(), "#"),
            (r"(^|[\s'\x22=(:,\[])(?:[A-Za-z]:\\[^\s'\x22,;)]+|~?/(?:tmp|var|home|srv|opt|usr|etc|mnt|media|data|run|root|dev|proc|Users|private|app|code)/[^\s'\x22:,;)\]]+)".to_owned(), "$1*"),
            // Digests: hexadecimal through and through.
            (r"\b[0-9a-fA-F]{8,}\b".to_owned(), "#"),
        ]);
        // ASCII is meant, and its classes are made at once; those of all alphabets take a good part of a second in a debug build.
        let ascii = |pattern: &str| {
            [(r"\d", "[0-9]"), (r"\w", "[0-9A-Za-z_]"), (r"\s", r"[ \t\r\n]"), (r"\b", r"(?-u:\b)")]
                .iter()
                .fold(pattern.to_owned(), |pattern, (wide, narrow)| pattern.replace(wide, narrow))
        };
        parts.into_iter().filter_map(|(pattern, mark)| Some((Regex::new(&ascii(&pattern)).ok()?, mark))).collect()
    });
    let cut = text.len().min(MESSAGE);
    let cut = (0..=cut).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let mut text = text[..cut].to_owned();
    for (pattern, mark) in PARTS.iter() {
        if let std::borrow::Cow::Owned(other) = pattern.replace_all(&text, *mark) {
            text = other;
        }
    }
    // Tokens: long, with figures among the letters.
    let token = |word: &str| {
        word.len() >= 20 && word.bytes().filter(u8::is_ascii_digit).count() >= 3 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let text = text.split(' ').map(|word| if token(word.trim_matches(['(', ')', ',', '.', ':'])) { "#" } else { word }).collect::<Vec<_>>().join(" ");
    // A number's sign varies with it; runs of blanks and marks are one.
    let mut out = String::with_capacity(text.len());
    for word in normalise(&text).replace("-#", "#").split_whitespace() {
        if !(out.is_empty() || word == "#" && out.ends_with('#')) {
            out.push(' ');
        }
        if !(word == "#" && out.ends_with('#')) {
            out.push_str(word);
        }
    }
    out
}

/// The message as algorithm 1 normalised it.
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

    /// Real lines, two of each kind: with other values they are the same error.
    const SAME: [(&str, &str); 24] = [
        ("user 17 has no basket", "user 90210 has no basket"),
        ("took 0.548 s", "took 12.1 s"),
        ("balance is -3", "balance is 250"),
        ("object at 0x7f3a2c10 lost", "object at 0x55aa lost"),
        ("order 7f9c24e8-3b12-4fef-91e0-d0c8a1f6b7aa gone", "order 11111111-2222-3333-4444-555555555555 gone"),
        ("from 192.0.2.1: refused", "from 198.51.100.22: refused"),
        ("connect to [2001:db8::17]:5432 failed", "connect to [2001:db8:0:1::a]:5432 failed"),
        ("connection from 2001:db8::17 refused", "connection from fe80::1 refused"),
        ("mail to ana@shop.example.com failed", "mail to bob.x+y@blog.example failed"),
        ("since 2026-11-20 03:12:01,123", "since 2025-01-02T23:00:00Z"),
        ("expired on Fri, 20 Nov 2026 03:12:01 GMT", "expired on Mon, 01 Dec 2025 23:00:59 GMT"),
        ("last seen 20/Nov/2026:03:12:01 +0000", "last seen 01/Dec/2025:23:00:59 +0100"),
        ("certificate ends Nov 20 03:12:01 2026 GMT", "certificate ends Jan  2 13:00:00 2027 GMT"),
        ("Invalid HTTP_HOST header: 'evil.example'. Add it", "Invalid HTTP_HOST header: '203.0.113.9'. Add it"),
        ("Internal Server Error: /order/17/", "Internal Server Error: /order/18/"),
        ("Internal Server Error: /search/?q=mug", "Internal Server Error: /search/?q=tea%20pot&page=2"),
        ("cannot open \"/tmp/a b\"", "cannot open \"/srv/x\""),
        ("No such file: /var/media/ann/photo.jpg", "No such file: /var/media/bob/x/me.png"),
        ("could not read C:\\Users\\ann\\a.txt", "could not read D:\\work\\b.txt"),
        ("bad digest deadbeefcafe", "bad digest 0123456789abcdef"),
        ("session 4fk2l9xq81mzp0aa7tyw3 expired", "session zz91kq0x7yt5rw2mn4pb8 expired"),
        ("GET https://api.example.com/rates?day=1 failed", "GET https://api.example.com/rates?day=17&x=y failed"),
        ("duplicate key value violates \"orders_pkey\": Key (id)=(17)", "duplicate key value violates \"lines_pkey\": Key (id)=(4)"),
        ("commit 3fa9c1b is not known", "commit 90ab12c is not known"),
    ];

    #[test]
    fn what_varies_is_left_out() {
        for (left, right) in SAME {
            assert_eq!(values(left), values(right));
        }
        for (left, right) in [
            ("user 17 lost", "order 17 lost"),
            ("Internal Server Error: /basket/", "Internal Server Error: /search/"),
            ("GET https://api.example.com/rates failed", "GET https://api.example.com/stock failed"),
            ("can't a", "can't b"),
            ("Shop::Basket is closed", "Shop::Order is closed"),
            ("may fail", "must fail"),
        ] {
            assert_ne!(values(left), values(right));
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
        assert_eq!(one.fingerprint.len(), 12);
        let same = |text: &str| of(text, &[]).fingerprint == one.fingerprint;
        // The value, line numbers, the module of the class and frames of the framework may differ.
        assert!(same(&TRACE.replace("'currency'", "'coupon'").replace("line 88", "line 90").replace("_get_response", "inner")));
        assert!(same(&TRACE.replace("KeyError", "shop.errors.KeyError")));
        assert!(!same(&TRACE.replace("KeyError", "TypeError")));
        assert!(!same(&TRACE.replace("in total", "in sum")));
        assert!(!same(&TRACE.replace("basket/pricing.py", "basket/shipping.py")));
        assert!(!same(&TRACE.replace("shop/basket/", "shop/orders/")));
        // An interpreter that shows comprehensions as calls of their own.
        let shown = TRACE.replace("KeyError:", "  File \"/srv/shop/basket/pricing.py\", line 88, in <listcomp>\nKeyError:");
        assert!(same(&shown));
    }

    #[test]
    fn a_deploy_into_a_new_directory_keeps_the_fingerprint() {
        let at = |root: &str| of(&TRACE.replace("/srv/shop/", root), &[]).fingerprint;
        for root in ["/srv/shop/releases/20261119/", "/srv/shop/current/", "/app/", "/home/ann/shop/", "/usr/src/app/", "/var/www/shop/releases/3fa9c1b/"] {
            assert_eq!(at("/srv/shop/"), at(root), "{root}");
        }
        let project = ["/elsewhere/deep/shop/".to_owned()];
        assert_eq!(of(&TRACE.replace("/srv/shop/", "/elsewhere/deep/shop/"), &project).fingerprint, at("/srv/shop/"));
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
        let message = identify("user 17 has no basket", None, &[]);
        assert_eq!((message.fingerprint.as_str(), message.former.as_str()), ("8a65385531dc", "8a653855"));
        let trace = of(TRACE, &[]);
        assert_eq!((trace.fingerprint.as_str(), trace.former.as_str()), ("bf62c8ae2692", "70a3c2d1"));
    }

    proptest::proptest! {
        #[test]
        fn other_values_give_the_same_group(a in 0u64..u64::MAX, b in 0u64..u64::MAX, name in "[a-z]{1,12}", other in "[a-z]{1,12}", line in 1u32..99_999) {
            let with = |n: u64, who: &str| format!("order {n} of {who}@shop.example from {}.{}.{}.{} lost '{who} {n}' at {:#x}, see /tmp/{who}-{n}.txt", n % 256, n % 7, n % 99, n % 255, n % 0xffff_ffff + 0x1000);
            let one = identify(&with(a, &name), None, &[]);
            proptest::prop_assert_eq!(&one.fingerprint, &identify(&with(b, &other), None, &[]).fingerprint, "{} / {}", values(&with(a, &name)), values(&with(b, &other)));
            let moved = TRACE.replace("line 88", &format!("line {line}")).replace("'currency'", &format!("'{name}'"));
            proptest::prop_assert_eq!(of(TRACE, &[]).fingerprint, of(&moved, &[]).fingerprint);
        }

        #[test]
        fn anything_can_be_normalised_and_is_then_still(text in "\\PC{0,300}") {
            let once = values(&text);
            proptest::prop_assert!(once.len() <= 1_300, "{}", once.len());
            drop(identify(&text, trace::parse(text.lines()).as_ref(), &[]));
        }
    }
}
