//! A page as headings, items and lines: HTML, Markdown, reStructuredText, plain text and Atom feeds, read for their structure only.
//!
//! What does not belong here: what the headings mean (`sections`). Pure, and bounded by the size of what is given.

use std::sync::LazyLock;

use regex::Regex;

use crate::packages::indexes::simple::unescape;

/// A longer line is cut, in characters.
const LINE: usize = 400;
/// Pieces that are kept.
const PIECES: usize = 20_000;

/// One piece of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A heading and its level, 1 for the highest.
    Heading(u8, String),
    /// An item of a list, or a paragraph.
    Line(String),
}

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// HTML.
    Html,
    /// Markdown, reStructuredText, or neither.
    Text,
    /// A feed of releases.
    Atom,
}

/// Its pieces.
#[must_use]
pub fn pieces(text: &str, form: Form) -> Vec<Piece> {
    match form {
        Form::Html => html(text),
        Form::Text => written(text),
        Form::Atom => atom(text),
    }
}

/// One line without what only marks it up, blanks joined, cut.
fn plain(text: &str) -> String {
    static LINK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"!?\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])").ok());
    static ROLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r":[A-Za-z:+-]+:`~?([^`]+)`").ok());
    static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"`([^`<>]+?)\s*<[^<>`]*>`_{1,2}").ok());
    static TAG: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"</?[A-Za-z][^<>]{0,200}>").ok());
    let mut text = text.to_owned();
    for pattern in [&LINK, &REFERENCE, &ROLE] {
        if let Some(pattern) = pattern.as_ref() {
            text = pattern.replace_all(&text, "$1").into_owned();
        }
    }
    if let Some(tag) = TAG.as_ref() {
        text = tag.replace_all(&text, "").into_owned();
    }
    let text = text.replace("**", "").replace(['`', '¶'], "");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(LINE).collect()
}

/// Collects pieces; empty ones are none.
#[derive(Debug, Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn line(&mut self, text: &str) {
        let text = plain(text);
        if !text.is_empty() && self.0.len() < PIECES {
            self.0.push(Piece::Line(text));
        }
    }

    fn heading(&mut self, level: u8, text: &str) {
        let text = plain(text);
        if !text.is_empty() && self.0.len() < PIECES {
            self.0.push(Piece::Heading(level, text));
        }
    }
}

/// Elements whose content is no text of the page.
const SKIPPED: [&str; 7] = ["script", "style", "nav", "svg", "template", "head", "footer"];
/// Elements that begin a line of their own.
const BLOCKS: [&str; 16] = ["p", "div", "br", "li", "ul", "ol", "tr", "table", "section", "article", "pre", "dt", "dd", "blockquote", "main", "header"];

fn html(text: &str) -> Vec<Piece> {
    let (mut all, mut line, mut heading) = (Pieces::default(), String::new(), None::<u8>);
    let mut rest = text;
    let flush = |all: &mut Pieces, line: &mut String, heading: Option<u8>| {
        match heading {
            Some(level) => all.heading(level, line),
            None => all.line(line),
        }
        line.clear();
    };
    while let Some(at) = rest.find('<') {
        line.push_str(&unescape(&rest[..at]));
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let closing = rest.starts_with('/');
        let bare = rest.trim_start_matches('/');
        let name_end = bare.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(bare.len());
        let name = bare[..name_end].to_ascii_lowercase();
        if name.is_empty() && !rest.starts_with('!') && !rest.starts_with('?') {
            line.push('<');
            continue;
        }
        rest = after_tag(rest);
        if !closing && SKIPPED.contains(&name.as_str()) {
            rest = after_element(rest, &name);
            continue;
        }
        let level = name.strip_prefix('h').and_then(|digit| digit.parse::<u8>().ok()).filter(|level| (1..=6).contains(level));
        if let Some(level) = level {
            flush(&mut all, &mut line, heading);
            heading = (!closing).then_some(level);
        } else if BLOCKS.contains(&name.as_str()) && heading.is_none() {
            flush(&mut all, &mut line, None);
        }
    }
    line.push_str(&unescape(rest));
    flush(&mut all, &mut line, heading);
    all.0
}

/// What comes after the `>` of a tag; one within quotes is none.
fn after_tag(rest: &str) -> &str {
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (None, '>') => return &rest[at + 1..],
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    ""
}

/// What comes after the end of an element.
fn after_element<'a>(rest: &'a str, name: &str) -> &'a str {
    let mut from = rest;
    while let Some(at) = from.find("</") {
        let tag = &from[at + 2..];
        if tag.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return after_tag(tag);
        }
        from = tag;
    }
    ""
}

/// The releases of a feed: the title of each entry is a heading, its content HTML.
fn atom(text: &str) -> Vec<Piece> {
    let between = |text: &str, name: &str| -> Option<String> {
        let begin = text.find(&format!("<{name}"))?;
        let inner = after_tag(&text[begin + 1..]);
        Some(inner[..inner.find(&format!("</{name}>"))?].to_owned())
    };
    let mut all = Vec::new();
    for entry in text.split("<entry").skip(1) {
        let entry = entry.split("</entry>").next().unwrap_or_default();
        let tag = between(entry, "id").unwrap_or_default();
        let tag = tag.rsplit('/').next().unwrap_or_default().to_owned();
        let title = between(entry, "title").map(|title| plain(&unescape(&title))).unwrap_or_default();
        // The tag names the version where the title is a sentence.
        let versioned = title.contains(|c: char| c.is_ascii_digit());
        all.push(Piece::Heading(1, if versioned { title } else { plain(&unescape(&tag)) }));
        if let Some(content) = between(entry, "content") {
            // Headings inside belong to the release.
            all.extend(html(&unescape(&content)).into_iter().map(|piece| match piece {
                Piece::Heading(level, text) => Piece::Heading(level.saturating_add(1), text),
                line @ Piece::Line(_) => line,
            }));
        }
    }
    all
}

/// The character that a line consists of, where it is an underline.
fn ruler(line: &str) -> Option<char> {
    let line = line.trim_end();
    let first = line.chars().next().filter(|c| c.is_ascii_punctuation() && !"<>|[](){}".contains(*c))?;
    (line.len() >= 3 && line.chars().all(|c| c == first)).then_some(first)
}

/// A line that is a version and little else: `1.2.3 (2024-01-01)`, `v2.0`, `Version 3.1`.
fn is_version_line(line: &str) -> bool {
    static VERSION: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)^\[?(?:version |release |v\.? ?)?\d+(?:\.\d+)+[0-9a-z.+-]*\]?:?(?:\s*[-–—,:(].*|\s+\d.*|\s*)$").ok());
    line.len() <= 80 && VERSION.as_ref().is_some_and(|version| version.is_match(line.trim_end()))
}

fn written(text: &str) -> Vec<Piece> {
    let (mut all, mut line) = (Pieces::default(), String::new());
    // The marks of reStructuredText have no order of their own: the first that is seen is the highest.
    let mut marks: Vec<char> = Vec::new();
    let (mut fenced, mut blank) = (false, true);
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let raw = lines[at];
        let trimmed = raw.trim();
        at += 1;
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") && !trimmed.chars().all(|c| c == '~') {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        if trimmed.is_empty() {
            all.line(&std::mem::take(&mut line));
            blank = true;
            continue;
        }
        let hashes = trimmed.chars().take_while(|c| *c == '#').count();
        if (1..=6).contains(&hashes) && trimmed[hashes..].starts_with([' ', '\t']) {
            all.line(&std::mem::take(&mut line));
            all.heading(hashes as u8, trimmed[hashes..].trim_end_matches('#'));
            blank = true;
            continue;
        }
        let under = lines.get(at).copied().and_then(ruler).filter(|_| ruler(raw).is_none() && !raw.starts_with(char::is_whitespace) && trimmed.len() <= 200);
        if let Some(mark) = under.filter(|_| !is_item(trimmed)) {
            all.line(&std::mem::take(&mut line));
            let level = marks.iter().position(|known| *known == mark).unwrap_or_else(|| {
                marks.push(mark);
                marks.len() - 1
            });
            all.heading(level.min(5) as u8 + 1, trimmed);
            at += 1;
            blank = true;
            continue;
        }
        if ruler(raw).is_some() {
            continue;
        }
        if blank && !raw.starts_with(char::is_whitespace) && is_version_line(trimmed) {
            all.line(&std::mem::take(&mut line));
            all.heading(6, trimmed);
            continue;
        }
        blank = false;
        match item(trimmed) {
            Some(words) => {
                all.line(&std::mem::take(&mut line));
                line.push_str(words);
            }
            // Directives of reStructuredText say nothing.
            None if trimmed.starts_with(".. ") => {}
            None => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(trimmed);
            }
        }
        // One line without an end is none of a changelog.
        if line.len() > 20 * LINE {
            all.line(&std::mem::take(&mut line));
        }
    }
    all.line(&line);
    all.0
}

/// The words of an item of a list.
fn item(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(['-', '*', '+', '•'])?;
    rest.starts_with([' ', '\t']).then(|| rest.trim_start())
}

fn is_item(line: &str) -> bool {
    item(line).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, form: Form) -> Vec<String> {
        let one = |piece: Piece| match piece {
            Piece::Heading(level, text) => format!("{} {text}", "#".repeat(level.into())),
            Piece::Line(text) => text,
        };
        pieces(text, form).into_iter().map(one).collect()
    }

    #[test]
    fn every_form_has_the_same_pieces() {
        let markdown = "# Changelog\n\n## [1.2.0] - 2024-01-01\n\n### Removed\n- the **old** [API](https://x.example)\n  and its `helper`\n- more\n";
        let rst = "=========\nChangelog\n=========\n\n[1.2.0] - 2024-01-01\n--------------------\n\nRemoved\n~~~~~~~\n\n* the **old** `API <https://x.example>`_\n  and its :func:`helper`\n* more\n";
        let html = "<html><head><title>x</title></head><nav><ul><li>menu</ul></nav><h1>Changelog</h1><h2 title=\"a > b\">[1.2.0] - 2024-01-01<a href=\"#\">¶</a></h2><h3>Removed</h3><ul><li>the <b>old</b> <a href=x>API</a>\nand its <code>helper</code><li>more</ul><script>if (a < b) {}</script>";
        let expected = ["# Changelog", "## [1.2.0] - 2024-01-01", "### Removed", "the old API and its helper", "more"];
        assert_eq!(shown(markdown, Form::Text), expected);
        assert_eq!(shown(rst, Form::Text), expected);
        assert_eq!(shown(html, Form::Html), expected);
    }

    #[test]
    fn plain_files_and_feeds_have_headings_too() {
        assert_eq!(
            shown("Changes\n\n1.2 (2024-01-01)\n  - one\n  - two\n\nv1.1\nfirst\n", Form::Text),
            ["Changes", "###### 1.2 (2024-01-01)", "one", "two", "###### v1.1", "first"]
        );
        let feed = "<feed><title>x</title><entry><id>tag:github.com,2008:Repository/1/v2.0</id><title>Spring</title><content type=\"html\">&lt;h2&gt;Removed&lt;/h2&gt;&lt;ul&gt;&lt;li&gt;a &amp;amp; b&lt;/li&gt;&lt;/ul&gt;</content></entry></feed>";
        assert_eq!(shown(feed, Form::Atom), ["# v2.0", "### Removed", "a & b"]);
    }

    proptest! {
        #[test]
        fn anything_is_read_within_bounds(text in "[-#=~* <>/a-z0-9.\n\"'`&;\\[\\]()é]{0,400}") {
            for form in [Form::Html, Form::Text, Form::Atom] {
                for piece in pieces(&text, form) {
                    let (Piece::Heading(_, line) | Piece::Line(line)) = piece;
                    prop_assert!(!line.is_empty() && line.chars().count() <= LINE && !line.contains('\n'));
                }
            }
        }
    }
}
