//! The last look at what a source gave before anybody sees it: secrets that this process has read are masked, wherever a server echoed
//! them back.
//!
//! What does not belong here: personal data (`[journal] redact`, the log's `redact`), and never printing secrets in the first place.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::SourceError;
use crate::io::secret::Known;

/// What stands in place of a secret.
const MASK: &str = "***";

/// Masks what a poll gave. What cannot be masked is not given at all.
pub(super) fn mask<T: Serialize + DeserializeOwned>(result: &mut Result<T, SourceError>, known: &Known) {
    if known.is_empty() {
        return;
    }
    match result {
        Ok(collected) => match masked(collected, known) {
            Ok(None) => {}
            Ok(Some(clean)) => *collected = clean,
            Err(()) => *result = Err(SourceError::protocol("the answer holds a secret where it cannot be masked")),
        },
        Err(error) => {
            for text in [&mut error.message, &mut error.remedy] {
                if let Some(clean) = clean(text, known) {
                    *text = clean;
                }
            }
        }
    }
}

/// A masked copy, where there is something to mask.
fn masked<T: Serialize + DeserializeOwned>(item: &T, known: &Known) -> Result<Option<T>, ()> {
    let text = serde_json::to_string(item).map_err(drop)?;
    // A look at the whole text first: hardly any answer holds anything.
    if !known.may_be_in(&text) {
        return Ok(None);
    }
    let mut value: Value = serde_json::from_str(&text).map_err(drop)?;
    if !walk(&mut value, known) {
        return Ok(None);
    }
    T::deserialize(value).map(Some).map_err(drop)
}

fn walk(value: &mut Value, known: &Known) -> bool {
    match value {
        Value::String(text) => match clean(text, known) {
            Some(clean) => {
                *text = clean;
                true
            }
            None => false,
        },
        Value::Array(items) => items.iter_mut().fold(false, |changed, item| walk(item, known) | changed),
        Value::Object(fields) => fields.values_mut().fold(false, |changed, item| walk(item, known) | changed),
        _ => false,
    }
}

/// The text without secrets; `None` when there is none in it. A text that was cut may end within one.
fn clean(text: &str, known: &Known) -> Option<String> {
    let mut clean: Option<String> = None;
    for secret in known.all() {
        let now = clean.as_deref().unwrap_or(text);
        if now.contains(secret.expose()) {
            clean = Some(now.replace(secret.expose(), MASK));
        }
        let now = clean.as_deref().unwrap_or(text);
        let body = now.trim_end_matches(['…', '.', ' ']);
        let begins = secret.beginnings().find(|begin| body.ends_with(begin));
        if let Some(begin) = begins {
            clean = Some(format!("{}{MASK}", &body[..body.len() - begin.len()]));
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Problem;
    use crate::sources::Collected;

    fn known() -> Known {
        let known = Known::default();
        for secret in ["hunter2-hunter2", "p\"ss\\wörd", "short"] {
            known.remember(secret);
        }
        known
    }

    #[test]
    fn secrets_are_masked_in_whole_escaped_and_cut() {
        for (text, expected) in [
            ("Bearer hunter2-hunter2!", Some("Bearer ***!")),
            ("it is p\"ss\\wörd", Some("it is ***")),
            ("Bearer hunter2-hu…", Some("Bearer ***")),
            ("hunter2-hunter2 hunter2-hunter2", Some("*** ***")),
            ("hunter2 is not it", None),
            ("it ends in hunter2-", Some("it ends in ***")),
            ("a short word", None),
            ("", None),
        ] {
            assert_eq!(clean(text, &known()).as_deref(), expected, "{text}");
            let mut result = Ok(Collected { problems: vec![Problem { subject: "x".into(), message: text.into() }], ..Collected::default() });
            mask(&mut result, &known());
            assert_eq!(result.unwrap().problems[0].message, expected.unwrap_or(text));
            let mut result: Result<Collected, _> = Err(SourceError::connect(text));
            mask(&mut result, &known());
            assert_eq!(result.unwrap_err().message, expected.unwrap_or(text));
        }
    }
}
