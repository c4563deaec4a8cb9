//! One table read whole: every error of it, not only the first.
//!
//! Deserialising stops at its first error. So the wrong entry is told, taken out, and the table is read again, until nothing is
//! wrong or nothing more can be taken out.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Deserializer, Error};

use super::diagnostic::{Diagnostic, harmless};
use super::suggest;

/// So many wrong values of one table are told in one run.
const ROUNDS: usize = 64;

/// Reads a table by `parse` and tells everything that is wrong. What is read is there also when optional keys were wrong, so that
/// the other keys' values can still be checked. `missing_told`: a missing key is not told again.
pub(super) fn read<'i, T>(
    table: &DeTable<'i>,
    here: &Range<usize>,
    missing_told: bool,
    parse: impl Fn(Deserializer<'i>) -> Result<T, Error>,
    told: &mut Vec<Diagnostic>,
) -> Option<T> {
    let mut table = table.clone();
    let mut wrong = false;
    for _ in 0..ROUNDS {
        let error = match parse(Deserializer::from(toml::Spanned::new(here.clone(), table.clone()))) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let span = error.span().unwrap_or_else(|| here.clone());
        // What was taken out is missing now; that is no error of the file.
        let echo = error.message().starts_with("missing field") && (wrong || missing_told);
        if !echo {
            told.push(explain(&error, span.clone()));
        }
        wrong = true;
        if !take_out(&mut table, &span) {
            break;
        }
    }
    None
}

/// Takes the innermost entry that holds the place out of the table.
pub(super) fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let mut found = None;
    for (key, value) in table.iter_mut() {
        if let DeValue::Table(inner) = value.get_mut()
            && take_out(inner, span)
        {
            return true;
        }
        if holds(&key.span(), span) || holds(&value.span(), span) {
            found = Some(key.get_ref().to_string());
        }
    }
    found.is_some_and(|key| table.remove(key.as_str()).is_some())
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Says in plain words what deserialising found.
fn explain(error: &Error, span: Range<usize>) -> Diagnostic {
    let message = harmless(error.message());
    if let Some(rest) = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))
        && let Some((found, expected)) = rest.rsplit_once(", expected ")
    {
        return Diagnostic::error(span, format!("expected {}, found {}", plain(expected), plain(found)), "");
    }
    if let Some(rest) = message.strip_prefix("unknown variant ")
        && let Some((found, expected)) = rest.split_once(", expected ")
    {
        let words: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let found = found.trim_matches('`');
        return Diagnostic::error(span, format!("\"{found}\" is not possible here"), suggest::help(found, words));
    }
    if let Some(key) = message.strip_prefix("missing field ") {
        return Diagnostic::error(span, format!("the key {key} is missing"), "");
    }
    if let Some(rest) = message.strip_prefix("unknown field ")
        && let Some((found, expected)) = rest.split_once(", expected ")
    {
        let words: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        return Diagnostic::error(span, format!("unknown key {found}"), suggest::help(found.trim_matches('`'), words));
    }
    // A sentence with what to do after its colon is the message of one of our own values.
    match message.split_once(": ") {
        Some((message, help)) if !message.starts_with("invalid") => Diagnostic::error(span, message, help),
        _ => Diagnostic::error(span, message, ""),
    }
}

/// The words of a person who writes TOML for those of Rust.
fn plain(text: &str) -> String {
    let text = text.replace("a sequence", "a list").replace("sequence", "a list").replace("a map", "a table").replace("map", "a table");
    for number in ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "usize"] {
        if text == number {
            return "a whole number that fits".to_owned();
        }
    }
    match text.as_str() {
        "f64" | "f32" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" | "path string" => "a text in quotes".to_owned(),
        _ if text.starts_with("struct ") => "a table".to_owned(),
        _ => text.strip_prefix("string ").map_or_else(|| text.clone(), |rest| format!("the text {rest}")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::config::value::Dur;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its reading is tested")]
    struct Sample {
        url: String,
        wait: Option<Dur>,
        count: Option<u8>,
        inner: Option<Inner>,
        headers: Option<BTreeMap<String, String>>,
        on: Option<bool>,
        list: Option<Vec<u16>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its reading is tested")]
    struct Inner {
        limit: Dur,
        word: Option<Word>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Loud,
        Quiet,
    }

    #[test]
    fn every_wrong_value_is_told_once_in_plain_words() {
        let text = r#"
            url = 5
            wait = "soon"
            count = 300
            inner.limit = 5
            inner.word = "loudd"
            headers = { A = 1, B = "x" }
            on = "yes"
            list = [1, "a"]
        "#;
        let (table, errors) = DeTable::parse_recoverable(text);
        assert!(errors.is_empty());
        let mut told = Vec::new();
        assert!(read(table.get_ref(), &(0..0), false, Sample::deserialize, &mut told).is_none(), "url is required and was wrong");
        told.sort_by_key(|one| one.span.as_ref().map(|span| span.start));
        let lines: Vec<String> =
            told.iter().map(|one| format!("{} | {} | {}", &text[one.span.clone().unwrap()], one.message, one.help.split(" such").next().unwrap())).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
5 | expected a text in quotes, found integer `5` | 
"soon" | "soon" is not a duration | write a number and a unit,
300 | expected a whole number that fits, found integer `300` | 
5 | a duration needs its unit, in quotes | write "5s" for 5 seconds
"loudd" | "loudd" is not possible here | did you mean `loud`?
1 | expected a text in quotes, found integer `1` | 
"yes" | expected `true` or `false`, found the text "yes" | 
"a" | expected a whole number that fits, found the text "a" |
"#);
    }
}
