//! Log events as lines of text or of JSON, for `rounds logs`.
//!
//! What does not belong here: which events (`app::lines`).

use serde_json::{Value, json};

use super::text::Signs;
use crate::domain::{Level, LogEvent, SourceId};
use crate::ui::text::sanitise;

/// One event with where it is from.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Of which log.
    pub source: SourceId,
    /// The name of its file.
    pub file: String,
    /// It.
    pub event: LogEvent,
}

/// How text looks.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// On a terminal.
    pub colours: bool,
    /// Whether all of it is ASCII.
    pub signs: Signs,
}

/// Outside text without what a terminal would obey.
#[must_use]
pub fn clean(text: &str) -> String {
    sanitise(text).into_owned()
}

fn at(line: &Line) -> String {
    line.event.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// `2026-11-20T03:12:04.973Z E shop/log/django Internal Server Error`, and what stands under it, indented.
#[must_use]
pub fn text_line(line: &Line, style: Style) -> String {
    let paint = |code: &str, text: &str| if style.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() };
    let letter = line.event.level.letter().to_string();
    let level = match line.event.level {
        Level::Error | Level::Critical => paint("1;31", &letter),
        Level::Warning => paint("1;33", &letter),
        Level::Info | Level::Debug => letter,
    };
    let plain = |text: &str| super::text::ascii(clean(text), style.signs);
    let mut text = format!("{} {level} {} {}\n", paint("2", &at(line)), paint("2", line.source.as_str()), plain(line.event.message.trim_end()));
    for under in &line.event.detail {
        text.push_str(&format!("    {}\n", plain(under)));
    }
    text
}

fn event(line: &Line) -> Value {
    json!({
        "at": at(line),
        "level": line.event.level.word(),
        "file": clean(&line.file),
        "message": clean(&line.event.message),
        "detail": line.event.detail.iter().map(|under| clean(under)).collect::<Vec<_>>(),
        "fingerprint": line.event.fingerprint,
    })
}

/// One event as one line of JSON.
#[must_use]
pub fn json_line(line: &Line) -> String {
    let mut value = event(line);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("source".to_owned(), line.source.as_str().into());
    }
    format!("{value}\n")
}

/// The item of a log with its events.
#[must_use]
pub fn with_events(mut item: Value, lines: &[Line], source: &SourceId) -> Value {
    if let Some(fields) = item.as_object_mut() {
        fields.insert("events".to_owned(), lines.iter().filter(|line| line.source == *source).map(event).collect());
    }
    item
}
