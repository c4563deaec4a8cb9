//! What a Bugsink says, read into our words. Pure, and tolerant: every field but an `id` may be missing.
//!
//! What does not belong here: asking (`client`), one event's exceptions and frames (`sentry::event`, which reads an SDK's raw event).
//!
//! Facts: Bugsink's own sources, `issues/serializers.py`, `events/serializers.py`, `projects/serializers.py`; the envelope of lists is that
//! of Django REST framework's cursor pagination.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use url::Url;

use crate::domain::{Issue, IssueState, Level, Problem};

/// Characters of a title that are kept.
const TITLE: usize = 500;
/// Characters of any other text that are kept.
const TEXT: usize = 200;
/// Rows of a page that are read; the server sends 250.
const ROWS: usize = 500;
/// A cursor is not longer than this.
const CURSOR: usize = 500;
/// Issues of one page that are told as unreadable one by one.
const PROBLEMS: usize = 20;
/// An issue first seen within this is new; the server has no such word.
const NEW_HOURS: i64 = 24;

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Its rows.
    pub rows: Vec<Value>,
    /// Where the next one begins.
    pub cursor: Option<String>,
}

/// One project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// A number; newer servers may have another form.
    pub id: String,
    /// As in addresses.
    pub slug: String,
    /// For reading.
    pub name: String,
}

fn text(value: Option<&Value>, characters: usize) -> Option<String> {
    let text = value?.as_str()?.trim();
    (!text.is_empty()).then(|| text.chars().take(characters).collect())
}

/// Whether this can be an id: it becomes a part of addresses.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn id(value: Option<&Value>) -> Option<String> {
    let id = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.as_u64()?.to_string(),
        _ => return None,
    };
    is_id(&id).then_some(id)
}

fn time(value: Option<&Value>) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(value?.as_str()?).ok().map(|at| at.to_utc())
}

/// A body that is JSON.
///
/// # Errors
/// Where it is not.
pub fn json(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| {
        if body.is_empty() || error.is_eof() {
            format!("the answer ends in the middle, after {} bytes", body.len())
        } else {
            format!("the answer is not JSON: line {}, column {}", error.line(), error.column())
        }
    })
}

/// One page of a list.
///
/// # Errors
/// When the body is no such page.
pub fn rows(body: &[u8]) -> Result<Rows, String> {
    let mut page = json(body)?;
    let cursor = page.get("next").and_then(Value::as_str).and_then(|next| {
        // Behind a proxy the address itself may be one that only the server knows: the cursor is all that is taken.
        let next = Url::parse(next).ok()?;
        next.query_pairs().find(|(key, _)| key == "cursor").map(|(_, value)| value.into_owned())
    });
    let Some(Value::Array(mut rows)) = page.get_mut("results").map(Value::take) else { return Err("the answer is JSON, but no page of a list".to_owned()) };
    rows.truncate(ROWS);
    Ok(Rows { rows, cursor: cursor.filter(|cursor| !cursor.is_empty() && cursor.len() <= CURSOR) })
}

/// The projects of a page.
pub fn projects(rows: &[Value]) -> Vec<Project> {
    let one = |row: &Value| {
        let id = id(row.get("id"))?;
        let slug = text(row.get("slug"), TEXT).unwrap_or_else(|| id.clone());
        Some(Project { name: text(row.get("name"), TEXT).unwrap_or_else(|| slug.clone()), slug, id })
    };
    rows.iter().filter_map(one).collect()
}

/// How an issue stands.
pub fn state(row: &Value, now: DateTime<Utc>) -> IssueState {
    let is = |key: &str| row.get(key).and_then(Value::as_bool).unwrap_or(false);
    if is("is_resolved") || is("is_resolved_by_next_release") {
        IssueState::Resolved
    } else if is("is_muted") {
        IssueState::Archived
    } else if time(row.get("first_seen")).is_some_and(|first| now - first < TimeDelta::hours(NEW_HOURS)) {
        IssueState::New
    } else {
        IssueState::Ongoing
    }
}

/// The page of an issue's latest event.
pub fn page_of(server: &Url, issue: &str) -> String {
    format!("{}/issues/issue/{issue}/event/last/", server.as_str().trim_end_matches('/'))
}

/// The issues of a page, those that are resolved and muted among them, and what could not be read.
pub fn issues(rows: &[Value], server: &Url, now: DateTime<Utc>) -> (Vec<Issue>, Vec<Problem>) {
    let (mut issues, mut problems) = (Vec::new(), Vec::new());
    for row in rows {
        let Some(id) = id(row.get("id")) else {
            if problems.len() < PROBLEMS {
                problems.push(Problem { subject: "an issue".to_owned(), message: "it has no id".to_owned() });
            }
            continue;
        };
        let short_id = text(row.get("friendly_id"), TEXT).unwrap_or_else(|| id.chars().take(8).collect());
        let title = match (text(row.get("calculated_type"), TITLE), text(row.get("calculated_value"), TITLE)) {
            (Some(kind), Some(value)) => format!("{kind}: {}", value.lines().next().unwrap_or_default()).chars().take(TITLE).collect(),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => format!("issue {short_id}"),
        };
        issues.push(Issue {
            short_id,
            title,
            culprit: text(row.get("transaction"), TEXT),
            level: Level::Error,
            events: row.get("digested_event_count").and_then(Value::as_u64).unwrap_or(0),
            users: None,
            first_seen: time(row.get("first_seen")),
            last_seen: time(row.get("last_seen")),
            state: state(row, now),
            permalink: Some(page_of(server, &id)),
            hours: Vec::new(),
            unhandled: None,
            assignee: None,
            priority: None,
            first_release: None,
            id,
        });
    }
    (issues, problems)
}

/// The ids of a page of events, as the server orders them.
pub fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().filter_map(|row| id(row.get("id"))).collect()
}

/// The raw event of the SDK that a stored one holds, and when it came.
pub fn raw(event: &Value) -> (Option<&Value>, Option<DateTime<Utc>>) {
    (event.get("data").filter(|data| data.is_object()), time(event.get("timestamp")).or_else(|| time(event.get("ingested_at"))))
}

/// What the body of a refusal says, on one line.
pub fn said(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let first = value.as_object()?.iter().next()?;
    let words = match first.1 {
        Value::String(words) => words.clone(),
        Value::Array(all) => all.first()?.as_str()?.to_owned(),
        _ => return None,
    };
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT).collect();
    let words = words.trim().trim_end_matches('.').to_owned();
    (!words.is_empty()).then(|| if first.0 == "detail" { words } else { format!("{}: {words}", first.0) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn all(value: &Value) {
        let body = value.to_string().into_bytes();
        let server = Url::parse("https://bugsink.example/").unwrap();
        if let Ok(page) = rows(&body) {
            let (issues, problems) = issues(&page.rows, &server, DateTime::UNIX_EPOCH);
            assert!(issues.len() + problems.len() <= page.rows.len());
            assert!(issues.iter().all(|issue| is_id(&issue.id) && issue.title.chars().count() <= TITLE));
            let _ = (projects(&page.rows), ids(&page.rows));
        }
        let _ = (said(&body), state(value, DateTime::UNIX_EPOCH), raw(value));
    }

    /// A document with the words that this API has, in places where they belong and where they do not.
    fn document() -> impl Strategy<Value = Value> {
        let word = prop::sample::select(vec![
            "next",
            "results",
            "id",
            "friendly_id",
            "slug",
            "first_seen",
            "calculated_type",
            "calculated_value",
            "is_muted",
            "is_resolved",
            "data",
            "detail",
            "digested_event_count",
            "timestamp",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            Just(json!("https://x.example/?cursor=abc")),
            Just(json!("2026-01-02T03:04:05Z")),
            Just(json!("3fa85f64-5717-4562-b3fc-2c963f66afa6")),
        ];
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((word.clone(), inner), 0..8).prop_map(|pairs| pairs
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_document_is_read_or_refused(value in document()) {
            all(&value);
            all(&json!({ "next": value, "results": [value] }));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = (rows(&bytes), json(&bytes), said(&bytes));
        }
    }

    #[test]
    fn states_and_refusals_are_read() {
        let now = "2026-02-02T00:00:00Z".parse().unwrap();
        for (row, expected) in [
            (json!({ "is_resolved": true, "is_muted": true }), IssueState::Resolved),
            (json!({ "is_resolved_by_next_release": true }), IssueState::Resolved),
            (json!({ "is_muted": true }), IssueState::Archived),
            (json!({ "first_seen": "2026-02-01T12:00:00Z" }), IssueState::New),
            (json!({ "first_seen": "2026-01-01T12:00:00Z" }), IssueState::Ongoing),
            (json!({}), IssueState::Ongoing),
        ] {
            assert_eq!(state(&row, now), expected, "{row}");
        }
        assert_eq!(said(br#"{"detail":"Issue is already resolved."}"#).as_deref(), Some("Issue is already resolved"));
        assert_eq!(said(br#"{"project":["This field is required."]}"#).as_deref(), Some("project: This field is required"));
        assert_eq!(said(b"<html>"), None);
    }
}
