//! What of an event is kept: texts, each and all together bounded, and secrets masked by the name they go under. Pure.
//!
//! What does not belong here: which parts an event has (`mod`, `parts`).

use serde_json::Value;

/// Bytes of text of one event that are kept.
pub const KEPT: usize = 1 << 20;
/// Tags, contexts, headers, parameters: of each so many.
pub(super) const PAIRS: usize = 80;
/// Notes.
const NOTES: usize = 20;
/// Characters of a line of source, a local, a breadcrumb.
pub(super) const LINE: usize = 400;
/// Characters of a name.
pub(super) const NAME: usize = 200;
/// Characters of a message and of a request's body.
pub(super) const LONG: usize = 4_000;
/// What stands in place of what is masked.
pub(super) const MASK: &str = "***";

/// Whether a header, a parameter, a variable of this name is not for the eyes of whoever watches.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "cookie", "passw", "secret", "token", "api_key", "apikey", "api-key", "private_key", "credential", "sessionid", "csrf", "x-forwarded-for"]
        .iter()
        .any(|word| name.contains(word))
        || name == "auth"
        || name == "pwd"
}

/// Counts what is kept.
pub(super) struct Keeper {
    left: usize,
    pub(super) cut: bool,
    pub(super) notes: Vec<String>,
}

impl Keeper {
    pub(super) fn new() -> Self {
        Self { left: KEPT, cut: false, notes: Vec::new() }
    }

    /// The text, of at most so many characters and not more than is left.
    pub(super) fn keep(&mut self, text: &str, characters: usize) -> String {
        let end = text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
        let mut kept = &text[..end];
        if kept.len() > self.left {
            self.cut = true;
            let mut end = self.left;
            while !kept.is_char_boundary(end) {
                end -= 1;
            }
            kept = &kept[..end];
        }
        self.left -= kept.len();
        if end < text.len() && !kept.is_empty() { format!("{kept}…") } else { kept.to_owned() }
    }

    /// A text that is one, and not empty.
    pub(super) fn text(&mut self, value: Option<&Value>, characters: usize) -> Option<String> {
        let text = value?.as_str()?;
        (!text.trim().is_empty()).then(|| self.keep(text, characters))
    }

    /// Anything as one text: a string as it is, the rest as short as it can be read.
    pub(super) fn any(&mut self, value: &Value, characters: usize) -> String {
        match value {
            Value::String(text) => self.keep(text, characters),
            other => {
                let mut text = String::new();
                write_value(other, characters, &mut text);
                self.keep(&text, characters)
            }
        }
    }

    pub(super) fn note(&mut self, note: String) {
        if self.notes.len() < NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// A name and its value, masked where it is nobody's business.
    pub(super) fn pair(&mut self, name: &str, value: &Value) -> (String, String) {
        let value = if is_secret(name) { MASK.to_owned() } else { self.any(value, LINE) };
        (self.keep(name, NAME), value)
    }

    /// Pairs that come as an object, as a list of pairs, or as a list of `{key, value}`.
    pub(super) fn pairs(&mut self, value: Option<&Value>) -> Vec<(String, String)> {
        let mut all = Vec::new();
        match value {
            Some(Value::Object(fields)) => {
                for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()).take(PAIRS) {
                    all.push(self.pair(name, value));
                }
            }
            Some(Value::Array(items)) => {
                for item in items.iter().take(PAIRS) {
                    let (name, value) = (item.get(0).or_else(|| item.get("key")), item.get(1).or_else(|| item.get("value")));
                    if let (Some(Value::String(name)), Some(value)) = (name, value)
                        && !value.is_null()
                    {
                        all.push(self.pair(name, value));
                    }
                }
            }
            Some(Value::String(text)) => {
                for (name, value) in url::form_urlencoded::parse(text.trim_start_matches('?').as_bytes()).take(PAIRS) {
                    all.push(self.pair(&name, &Value::String(value.into_owned())));
                }
            }
            _ => {}
        }
        all
    }
}

/// Writes a value without quotes, up to about so many bytes: `[1, 2]`, `{lines: […], voucher: None}`.
fn write_value(value: &Value, most: usize, text: &mut String) {
    let one = |item: &Value, text: &mut String| {
        if text.len() > most {
            return false;
        }
        write_value(item, most, text);
        true
    };
    match value {
        Value::String(string) => text.extend(string.chars().take(most)),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                if !one(item, text) {
                    text.push('…');
                    break;
                }
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (at, (name, item)) in fields.iter().enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                text.extend(name.chars().take(NAME));
                text.push_str(": ");
                if is_secret(name) {
                    text.push_str(MASK);
                } else if !one(item, text) {
                    text.push('…');
                    break;
                }
            }
            text.push('}');
        }
        other => text.push_str(&other.to_string()),
    }
}
