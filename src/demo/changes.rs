//! What a tracker makes of the body of a change, as strict as the real one; and who there is to have an issue. Pure.
//!
//! What does not belong here: which issue it is for, and what is kept of it (`sentry`).
//!
//! Facts: Sentry's OpenAPI document, `PUT organizations/{org}/issues/`; GlitchTip takes `status` only.

use serde_json::{Map, Value, json};

use super::issues::Standing;

/// Who can have an issue: type, id, name. The first is who made the token.
pub const PEOPLE: [(&str, &str, &str); 5] =
    [("user", "7", "ana"), ("user", "42", "ben"), ("team", "9", "backend"), ("team", "11", "catalog"), ("team", "12", "payment")];

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// How the issue stands.
    Standing(Standing),
    /// Who has it.
    Assign(Option<&'static str>),
    /// It was looked at.
    Reviewed,
}

/// Who is meant, and as the API writes them.
pub fn person(name: &str) -> Value {
    PEOPLE.iter().find(|(.., known)| *known == name).map_or(Value::Null, |(kind, id, name)| json!({"type": kind, "id": id, "name": name}))
}

/// Reads a body; else the complaint of a 400.
///
/// # Errors
/// The body of the refusal.
pub fn read(body: &[u8], only_status: bool) -> Result<Edit, Value> {
    let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(body) else { return Err(json!({"detail": "JSON parse error"})) };
    let known = |key: &str| key == "status" || (!only_status && matches!(key, "substatus" | "statusDetails" | "assignedTo" | "inbox"));
    if let Some(odd) = fields.keys().find(|key| !known(key)) {
        return Err(json!({ odd.as_str(): ["Unknown field."] }));
    }
    let bad = |key: &str, words: &str| Err(json!({ key: [words] }));
    match (fields.get("status"), fields.len()) {
        (Some(_), _) if fields.contains_key("assignedTo") || fields.contains_key("inbox") => bad("status", "One thing at a time here"),
        (Some(Value::String(status)), _) => status_of(status, &fields).map(Edit::Standing),
        (None, 1) => match (fields.get("assignedTo"), fields.get("inbox")) {
            (Some(Value::String(who)), _) if who.is_empty() => Ok(Edit::Assign(None)),
            (Some(Value::String(who)), _) => {
                let meant = |(kind, id, name): &&(&str, &str, &'static str)| *who == format!("{kind}:{id}") || (*kind == "user" && who == name);
                PEOPLE.iter().find(meant).map_or_else(|| bad("assignedTo", "Unknown actor input"), |(.., name)| Ok(Edit::Assign(Some(name))))
            }
            (_, Some(Value::Bool(false))) => Ok(Edit::Reviewed),
            _ => bad("status", "Invalid change"),
        },
        _ => bad("status", "Invalid status"),
    }
}

fn status_of(status: &str, fields: &Map<String, Value>) -> Result<Standing, Value> {
    let substatus = fields.get("substatus").and_then(Value::as_str);
    let details = match fields.get("statusDetails") {
        None => None,
        Some(Value::Object(details)) if details.len() == 1 => details.iter().next().map(|(key, value)| (key.as_str(), value)),
        Some(_) => return Err(json!({"statusDetails": ["One condition at a time here"]})),
    };
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let count = |value: &Value| value.as_u64().is_some_and(|count| count > 0);
    match (status, substatus, details) {
        ("resolved", None, None | Some(("inNextRelease", Value::Bool(true)))) => Ok(Standing::Resolved),
        ("resolved", None, Some(("inRelease", release))) if text(release) => Ok(Standing::Resolved),
        ("resolved", None, Some(("inCommit", commit))) => match commit.get("repository").and_then(Value::as_str) {
            Some("acme/shop") if commit.get("commit").is_some_and(text) => Ok(Standing::Resolved),
            _ => Err(json!({"statusDetails": {"inCommit": {"repository": ["Unable to find the given repository."]}}})),
        },
        ("unresolved", None, None) => Ok(Standing::Ongoing),
        ("ignored", None | Some("archived_until_escalating" | "archived_forever"), None) => Ok(Standing::Archived),
        ("ignored", Some("archived_until_condition_met"), Some(("ignoreDuration" | "ignoreCount" | "ignoreUserCount", value))) if count(value) => {
            Ok(Standing::Archived)
        }
        _ => Err(json!({"status": ["Invalid status"]})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_strictly() {
        let read = |body: &str| read(body.as_bytes(), false).ok();
        assert_eq!(read(r#"{"status":"resolved","statusDetails":{"inNextRelease":true}}"#), Some(Edit::Standing(Standing::Resolved)));
        assert_eq!(read(r#"{"assignedTo":"team:9"}"#), Some(Edit::Assign(Some("backend"))));
        assert_eq!(read(r#"{"assignedTo":""}"#), Some(Edit::Assign(None)));
        assert_eq!(read(r#"{"inbox":false}"#), Some(Edit::Reviewed));
        for body in [
            "",
            "[]",
            "{}",
            r#"{"status":"gone"}"#,
            r#"{"status":"resolved","discard":true}"#,
            r#"{"status":"resolved","assignedTo":"team:9"}"#,
            r#"{"status":"resolved","statusDetails":{"inNextRelease":false}}"#,
            r#"{"status":"resolved","statusDetails":{"ignoreCount":5}}"#,
            r#"{"status":"ignored","substatus":"archived_until_condition_met"}"#,
            r#"{"status":"ignored","substatus":"archived_until_condition_met","statusDetails":{"ignoreCount":0}}"#,
            r#"{"assignedTo":"team:99"}"#,
            r#"{"assignedTo":null}"#,
            r#"{"inbox":true}"#,
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
