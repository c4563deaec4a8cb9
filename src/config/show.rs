//! What `config show` shows: the effective keys of each table and where each value came from, secrets masked.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value as Json;
use toml::Value;
use toml::de::{DeTable, DeValue};

use unicode_width::UnicodeWidthStr;

use super::Loaded;
use super::diagnostic::{harmless, is_secret_key, without_password};
use super::keys::{Schema, in_order};
use super::texts::Texts;
use crate::domain::time::duration_text;
use crate::sources::kinds;

/// One table of the effective configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownTable {
    /// Without brackets: `site.shop.http.home`.
    pub header: String,
    /// Its keys.
    pub rows: Vec<Row>,
}

/// One key of the effective configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `every`, `expect.status`.
    pub key: String,
    /// As TOML writes it; a secret is masked.
    pub value: String,
    /// `line 12`, `[defaults.http], line 3`, `default`.
    pub origin: String,
}

impl ShownTable {
    /// Adds what a key is when nobody says anything, unless somebody did.
    fn add_default(&mut self, key: &str, value: String) {
        if !self.rows.iter().any(|row| row.key == key) {
            self.rows.push(Row { key: key.to_owned(), value, origin: "default".to_owned() });
        }
    }
}

/// The effective configuration as TOML, each value with where it came from; secrets are masked, control characters replaced.
#[must_use]
pub fn text(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut text = String::new();
    if let Some(path) = &config.path {
        let origin = loaded.origin.map_or_else(String::new, |origin| format!(", {origin}"));
        let trust = if config.trusted { "trusted" } else { "not trusted: runs no command" };
        let _ = writeln!(text, "# {}{origin}, {trust}", harmless(&path.display().to_string()));
    }
    let mut tables = loaded.shown.clone();
    for entry in &config.sources {
        let header = header_of(&["site", entry.id.site(), entry.id.kind(), entry.id.name()]);
        let (Some(table), Some(kind)) = (tables.iter_mut().find(|table| table.header == header), kinds::find(entry.id.kind())) else { continue };
        let (spec, schema) = (entry.config.spec(&entry.context), (kind.schema)());
        let own = Schema::new(&schema).keys();
        let duration = |duration| format!("\"{}\"", duration_text(duration));
        table.add_default("every", duration(spec.every));
        table.add_default("timeout", duration(spec.timeout));
        for (key, value) in [("failures", spec.failures.to_string()), ("successes", spec.successes.to_string()), ("retry_every", duration(spec.retry_every))] {
            if own.contains(&key) {
                table.add_default(key, value);
            }
        }
    }
    for table in tables.iter().filter(|table| !table.rows.is_empty() || table.header.starts_with("site.")) {
        let _ = writeln!(text, "\n[{}]", harmless(&table.header));
        let lines: Vec<String> = table.rows.iter().map(|row| format!("{} = {}", row.key, row.value)).collect();
        let width = lines.iter().map(|line| line.width()).filter(|width| *width <= 60).max().unwrap_or(0);
        for (line, row) in lines.iter().zip(&table.rows) {
            let gap = " ".repeat(width.saturating_sub(line.width()) + 2);
            let _ = writeln!(text, "{}{gap}# {}", harmless(line), row.origin);
        }
    }
    text
}

/// `site.shop.http.home`, with parts in quotes where TOML needs them.
fn header_of(parts: &[&str]) -> String {
    parts.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(".")
}

/// The effective keys of a table: its own, then those of the defaults, then the embedded ones.
pub(super) fn table(header: &[&str], texts: &Texts, own: &DeTable<'_>, default: &DeTable<'_>, schema: Schema<'_>) -> ShownTable {
    let mut rows = Vec::new();
    let kind = header.get(2).copied().unwrap_or_default();
    entries("", texts, own, Some(schema), "", &mut rows);
    entries("", texts, default, Some(schema), &format!("[defaults.{kind}], "), &mut rows);
    embedded("", schema, &mut rows, 4);
    ShownTable { header: header_of(header), rows }
}

fn entries(prefix: &str, texts: &Texts, table: &DeTable<'_>, schema: Option<Schema<'_>>, origin: &str, rows: &mut Vec<Row>) {
    for (key, value) in in_order(table) {
        let name = format!("{prefix}{}", quoted(key.get_ref()));
        let inner = schema.and_then(|schema| schema.key(key.get_ref()));
        let secret = inner.map_or_else(|| is_secret_key(key.get_ref()), Schema::is_secret);
        if let (DeValue::Table(table), false) = (value.get_ref(), secret) {
            entries(&format!("{name}."), texts, table, inner, origin, rows);
            continue;
        }
        // A secret of the own table hides the default's whole, whatever form it has.
        if rows.iter().any(|row| row.key == name || row.key.starts_with(&format!("{name}."))) {
            continue;
        }
        let line = texts.line(key.span().start);
        let literal = secret && !matches!(value.get_ref(), DeValue::Table(_));
        let value = if literal { "\"***\"".to_owned() } else { written(&plain(value.get_ref())) };
        rows.push(Row { key: name, value, origin: format!("{origin}{line}") });
    }
}

fn embedded(prefix: &str, schema: Schema<'_>, rows: &mut Vec<Row>, depth: usize) {
    for key in schema.keys() {
        let Some(inner) = schema.key(key) else { continue };
        let name = format!("{prefix}{key}");
        let below = format!("{name}.");
        if inner.is_secret() {
            continue;
        }
        match inner.default().and_then(from_json) {
            Some(value) if !matches!(value, Value::Table(_)) && !rows.iter().any(|row| row.key == name || row.key.starts_with(&below)) => {
                rows.push(Row { key: name, value: written(&value), origin: "default".to_owned() });
            }
            Some(Value::Table(table)) if table.is_empty() && depth > 0 => embedded(&below, inner, rows, depth - 1),
            Some(Value::Table(table)) => flatten(&below, &table, rows),
            Some(_) => {}
            // The defaults inside a table that nobody wrote are none.
            None if depth > 0 && rows.iter().any(|row| row.key.starts_with(&below)) => embedded(&below, inner, rows, depth - 1),
            None => {}
        }
    }
}

fn flatten(prefix: &str, table: &toml::Table, rows: &mut Vec<Row>) {
    for (key, value) in table {
        let name = format!("{prefix}{}", quoted(key));
        match value {
            Value::Table(inner) => flatten(&format!("{name}."), inner, rows),
            value if !rows.iter().any(|row| row.key == name) => rows.push(Row { key: name, value: written(value), origin: "default".to_owned() }),
            _ => {}
        }
    }
}

fn quoted(key: &str) -> Cow<'_, str> {
    if !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) { key.into() } else { Value::from(key).to_string().into() }
}

/// As TOML writes it, the passwords of addresses masked.
fn written(value: &Value) -> String {
    without_password(&value.to_string())
}

fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_or_else(|_| Value::from(number.to_string()), Value::from),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or_else(|_| Value::from(number.to_string()), Value::from),
        DeValue::Boolean(yes) => Value::from(*yes),
        DeValue::Datetime(at) => Value::Datetime(*at),
        DeValue::Array(array) => Value::Array(array.iter().map(|one| plain(one.get_ref())).collect()),
        DeValue::Table(table) => {
            Value::Table(in_order(table).into_iter().map(|(key, value)| (key.get_ref().to_string(), masked(key.get_ref(), plain(value.get_ref())))).collect())
        }
    }
}

fn masked(key: &str, value: Value) -> Value {
    if is_secret_key(key) && !matches!(value, Value::Table(_)) { Value::from("***") } else { value }
}

pub(super) fn from_json(json: &Json) -> Option<Value> {
    Value::try_from(json).ok().filter(|_| !json.is_null())
}
