//! What is wrong with a configuration, and how it is told: file, line, column, the line, a caret, what to do.
//!
//! What does not belong here: finding what is wrong. Nothing here shows a secret or sends a control character of the file on.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use annotate_snippets::{AnnotationKind, Group, Level as Tone, Origin, Renderer, Snippet};
use regex::Regex;

use super::texts::Texts;

/// More than this many are counted, not shown: a file with that many has one cause.
const SHOWN: usize = 100;

/// A longer line is shown in part.
const LINE_CHARS: usize = 400;

/// Whether it stops the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing starts.
    Error,
    /// Told, and started.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the start.
    pub level: Level,
    /// Where, in bytes of the file; `None`: about the whole file.
    pub span: Option<Range<usize>>,
    /// What is wrong, one sentence, lower case.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
}

impl Diagnostic {
    /// An error at a place.
    #[must_use]
    pub fn error(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { level: Level::Error, span: Some(span), message: message.into(), help: help.into() }
    }

    /// A warning at a place.
    #[must_use]
    pub fn warning(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { level: Level::Warning, span: Some(span), message: message.into(), help: help.into() }
    }

    /// About the whole file.
    #[must_use]
    pub fn whole(level: Level, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { level, span: None, message: message.into(), help: help.into() }
    }
}

/// All that is wrong with one file, in its order. Its text keeps what is shown, so that it can be rendered later.
#[derive(Debug, Clone)]
pub struct Report {
    texts: Texts,
    secrets: Vec<Range<usize>>,
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Sorts by place and drops what was said twice. `secrets` are the places whose text is never shown.
    #[must_use]
    pub fn new(path: &Path, text: &str, secrets: Vec<Range<usize>>, diagnostics: Vec<Diagnostic>) -> Self {
        Self::of(Texts::one(path, text), secrets, diagnostics)
    }

    /// The same for a file and those it includes.
    pub(super) fn of(texts: Texts, secrets: Vec<Range<usize>>, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|one| (one.span.as_ref().map_or(usize::MAX, |span| span.start), one.level));
        diagnostics.dedup();
        Self { texts, secrets, diagnostics }
    }

    /// What is wrong, in the order of the file.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether nothing starts.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.diagnostics.iter().any(|one| one.level == Level::Error)
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Line and column of a byte in its file, both from 1; columns are characters, as editors count them.
    #[must_use]
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let part = self.texts.at(offset);
        place(part.text, offset - part.start)
    }

    /// The path of the file that a diagnostic is about.
    fn path(&self, one: &Diagnostic) -> String {
        harmless(&self.texts.at(one.span.as_ref().map_or(0, |span| span.start)).path.display().to_string())
    }

    /// One line each for the first hundred: `path:line:col: error: message; help`, for logs and `doctor`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.diagnostics
            .iter()
            .take(SHOWN)
            .map(|one| {
                let mut line = self.path(one);
                if let Some(span) = &one.span {
                    let (row, column) = self.place(span.start);
                    let _ = write!(line, ":{row}:{column}");
                }
                let _ = write!(line, ": {}: {}", if one.level == Level::Error { "error" } else { "warning" }, shown(&one.message));
                if !one.help.is_empty() {
                    let _ = write!(line, "; {}", shown(&one.help));
                }
                line
            })
            .collect()
    }

    /// The whole report with the lines of the file and carets, ready to print; ends with a line end. `width` is that of the terminal.
    #[must_use]
    pub fn render(&self, color: bool, width: usize) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() }.term_width(width.max(40));
        let mut text = String::new();
        for (at, one) in self.diagnostics.iter().take(SHOWN).enumerate() {
            if at > 0 {
                text.push('\n');
            }
            text.push_str(&renderer.render(&[self.group(one)]));
            text.push('\n');
        }
        if self.diagnostics.len() > SHOWN {
            let _ = writeln!(text, "\nand {} more", self.diagnostics.len() - SHOWN);
        }
        text
    }

    fn group(&self, one: &Diagnostic) -> Group<'_> {
        let tone = match one.level {
            Level::Error => Tone::ERROR,
            Level::Warning => Tone::WARNING,
        };
        let path = self.path(one);
        let mut group = Group::with_title(tone.primary_title(shown(&one.message)));
        group = match &one.span {
            None => group.element(Origin::path(path)),
            Some(span) => {
                let part = self.texts.at(span.start);
                let shift = |range: &Range<usize>| range.start.saturating_sub(part.start)..range.end.saturating_sub(part.start);
                let secrets: Vec<_> = self.secrets.iter().map(shift).collect();
                let excerpt = excerpt(part.text, &secrets, &shift(span));
                let snippet = Snippet::source(excerpt.text).line_start(excerpt.line).annotation(AnnotationKind::Primary.span(excerpt.caret));
                if excerpt.clipped {
                    group.element(Origin::path(path).line(excerpt.line).char_column(excerpt.column)).element(snippet)
                } else {
                    group.element(snippet.path(path))
                }
            }
        };
        if one.help.is_empty() { group } else { group.element(Tone::HELP.message(shown(&one.help))) }
    }
}

/// Line and column of a byte, both from 1.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let at = floor(text, offset);
    let before = &text[..at];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[start..].trim_start_matches('\u{feff}').chars().count();
    (before.bytes().filter(|byte| *byte == b'\n').count() + 1, column + 1)
}

/// The nearest place at or before `offset` where a character begins.
fn floor(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The line of a diagnostic as it may be shown.
struct Excerpt {
    text: String,
    /// In bytes of `text`.
    caret: Range<usize>,
    /// From 1.
    line: usize,
    /// From 1.
    column: usize,
    /// Whether only a part of the line is shown.
    clipped: bool,
}

fn excerpt(text: &str, secrets: &[Range<usize>], span: &Range<usize>) -> Excerpt {
    let mut from = floor(text, span.start);
    let mut to = floor(text, span.end).max(from);
    // The end of the file has no line of its own: the end of its last line is shown instead.
    if from == text.len() && text.ends_with('\n') {
        from = text.trim_end().len();
        to = from;
    }
    let start = text[..from].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[from..].find('\n').map_or(text.len(), |newline| from + newline);
    let start = if text[start..].starts_with('\u{feff}') { (start + '\u{feff}'.len_utf8()).min(end) } else { start };
    let end = start + text[start..end].trim_end_matches('\r').len();
    let (from, to) = (from.clamp(start, end), to.clamp(start, end));
    let (line, column) = place(text, from);
    let line_text = &text[start..end];
    let hidden = hidden(line_text, start, secrets);

    // One character for one character, so that columns stay.
    let caret_at = text[start..from].chars().count();
    let caret_chars = text[from..to].chars().count();
    let total = line_text.chars().count();
    let clipped = total > LINE_CHARS;
    let first = if clipped { caret_at.saturating_sub(LINE_CHARS / 4) } else { 0 };
    let (mut shown_text, mut caret) = (String::new(), 0..0);
    for (at, (byte, c)) in line_text.char_indices().enumerate().skip(first).take(LINE_CHARS) {
        if at == caret_at {
            caret.start = shown_text.len();
        }
        if at == caret_at + caret_chars {
            caret.end = shown_text.len();
        }
        shown_text.push(if hidden.iter().any(|range| range.contains(&byte)) { '*' } else { harmless_char(c) });
    }
    if caret_at >= total {
        caret.start = shown_text.len();
    }
    if caret.end < caret.start || caret_at + caret_chars >= total.min(first + LINE_CHARS) {
        caret.end = shown_text.len();
    }
    Excerpt { text: shown_text, caret, line, column, clipped }
}

static PASSWORD_IN_URL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"://[^/\s:@"']*:([^/\s@"']+)@"#).ok());
static SECRET_KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?:password|passphrase|passwd|secret|token|bearer|authorization|cookie|api[_-]?key)[\w-]*["']?\s*=\s*([^\s{\[][^,}\]]*)"#).ok()
});

/// Whether what stands under this key is not for the screen.
#[must_use]
pub(crate) fn is_secret_key(key: &str) -> bool {
    static NAMES: [&str; 9] = ["password", "passphrase", "passwd", "secret", "token", "bearer", "authorization", "cookie", "api-key"];
    let key = key.to_lowercase().replace('_', "-");
    NAMES.iter().any(|name| key.contains(name)) || key == "apikey" || key.ends_with("-key") && key.starts_with("x-")
}

/// The bytes of a line that are secrets: those known to be, and, for a line that could not be parsed, what looks like one.
fn hidden(line: &str, start: usize, secrets: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = secrets
        .iter()
        .filter(|range| range.start < start + line.len() && start < range.end)
        .map(|range| range.start.saturating_sub(start)..range.end - start)
        .collect();
    for pattern in [&PASSWORD_IN_URL, &SECRET_KEY] {
        if let Some(pattern) = &**pattern {
            ranges.extend(pattern.captures_iter(line).filter_map(|found| found.get(1)).map(|found| found.range()));
        }
    }
    ranges
}

/// A text with the passwords of its addresses masked.
#[must_use]
pub(crate) fn without_password(text: &str) -> String {
    match &*PASSWORD_IN_URL {
        Some(pattern) => pattern
            .replace_all(text, |found: &regex::Captures<'_>| {
                let whole = &found[0];
                format!("{}***@", &whole[..whole.len() - found[1].len() - 1])
            })
            .into_owned(),
        None => text.to_owned(),
    }
}

fn shown(text: &str) -> String {
    harmless(&without_password(text))
}

/// Control characters, and those that turn the direction of text, as one replacement character each.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(harmless_char).collect()
}

fn harmless_char(c: char) -> char {
    match c {
        '\t' => '\t',
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, needle: &str) -> String {
        let at = text.find(needle).unwrap();
        Report::new(Path::new("rounds.toml"), text, Vec::new(), vec![Diagnostic::error(at..at + needle.len(), "wrong", "")]).render(false, 100)
    }

    #[test]
    fn columns_count_characters_past_marks_tabs_and_wide_ones() {
        let text = "\u{feff}[x]\r\n\tмир 日本 = \"x\"  metod = 5\r\n";
        insta::assert_snapshot!(render(text, "metod"), @r#"
        error: wrong
         --> rounds.toml:2:16
          |
        2 |     мир 日本 = "x"  metod = 5
          |                     ^^^^^
        "#);
        insta::assert_snapshot!(render(text, "x]"), @"
        error: wrong
         --> rounds.toml:1:2
          |
        1 | [x]
          |  ^^
        ");
    }

    #[test]
    fn a_span_of_several_lines_is_shown_at_its_first() {
        insta::assert_snapshot!(render("a = [\n1,\n2]\n", "[\n1,\n2]"), @"
        error: wrong
         --> rounds.toml:1:5
          |
        1 | a = [
          |     ^
        ");
    }

    #[test]
    fn the_end_of_the_file_is_the_end_of_its_last_line() {
        let text = "a = [1,\n\n";
        let report = Report::new(Path::new("rounds.toml"), text, Vec::new(), vec![Diagnostic::error(text.len()..text.len(), "unclosed", "close it")]);
        insta::assert_snapshot!(report.render(false, 100), @"
        error: unclosed
         --> rounds.toml:1:8
          |
        1 | a = [1,
          |        ^
          |
          = help: close it
        ");
    }

    #[test]
    fn no_control_character_and_no_secret_is_shown() {
        let text = "title = \"a\u{1b}]52;c;x\u{7}\u{202e}b\u{9b}\" # \u{1b}[31m\n";
        let rendered = render(text, "title");
        assert!(!rendered.chars().any(|c| c != '\n' && c.is_control() || c == '\u{202e}'), "{rendered:?}");

        insta::assert_snapshot!(render("password = hush hush\nurl = \"https://me:hush@x.example/\"\n", "hush hush"), @"
        error: wrong
         --> rounds.toml:1:12
          |
        1 | password = *********
          |            ^^^^^^^^^
        ");
        let rendered = render("url = \"https://me:hush@x.example/\" \n", "url");
        assert!(!rendered.contains("hush") && rendered.contains("https://me:****@x.example/"), "{rendered}");
        assert_eq!(without_password("see https://me:hush@x.example/ there"), "see https://me:***@x.example/ there");
    }

    #[test]
    fn a_long_line_is_shown_in_part() {
        let text = format!("{} metod = 5 {}", "x".repeat(100_000), "y".repeat(100_000));
        let rendered = render(&text, "metod");
        assert!(rendered.len() < 2_000 && rendered.contains("rounds.toml:1:100002") && rendered.contains("metod"), "{rendered}");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}(\r?\n\\PC{0,40}){0,3}", from in 0usize..200, length in 0usize..50, secret in 0usize..100) {
            let report = Report::new(Path::new("x"), &text, std::iter::once(secret..secret + 10).collect(), vec![Diagnostic::error(from..from + length, "wrong", "")]);
            let _ = report.render(false, 80);
            let _ = report.lines();
        }
    }
}
