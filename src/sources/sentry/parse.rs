//! What a server of this API says, read into our words. Pure, and tolerant: every field but an issue's `id` may be missing,
//! numbers come as numbers or as text, unknown words do no harm.
//!
//! What does not belong here: asking (`client`), and what a refusal means for a person (`refusal`).
//!
//! Facts: Sentry's published OpenAPI document for `organizations/{org}/issues/`, its serializers (`stats` is a list of
//! `[epoch seconds, count]` under the name of its period), and the sources of GlitchTip for where it differs.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::domain::{Issue, IssueState, Level, Problem};

/// Characters of a title that are kept.
pub(super) const TITLE: usize = 500;
/// Characters of any other text that are kept.
pub(super) const TEXT: usize = 200;
/// Characters of an address that are kept.
const LINK: usize = 1_000;
/// A cursor is not longer than this.
const CURSOR: usize = 500;
/// Issues of one page that are told as unreadable one by one.
const PROBLEMS: usize = 20;
/// A server that knows no substatus: an issue first seen within this is new.
const NEW_HOURS: i64 = 24;
/// Hours of `Issue::hours`.
pub const HOURS: usize = 24;

/// One page of a list of issues.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Those that could be read.
    pub issues: Vec<Issue>,
    /// Those that could not.
    pub problems: Vec<Problem>,
}

/// What the body of a refusal says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// `sso-required`, `resource-moved`, …
    pub code: Option<String>,
    /// In the server's own words.
    pub message: Option<String>,
    /// Of a server error, for its operators.
    pub error_id: Option<String>,
    /// The new slug of what was renamed.
    pub slug: Option<String>,
}

/// The first characters of a text.
fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

pub(super) fn text(value: Option<&Value>, characters: usize) -> Option<String> {
    let text = value?.as_str()?.trim();
    (!text.is_empty()).then(|| cut(text, characters))
}

/// A number that comes as a number or as text.
pub(super) fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// An id that comes as text or as a number; only letters, digits, `-` and `_`, because it becomes a part of addresses.
pub(super) fn id(value: Option<&Value>) -> Option<String> {
    let id = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.as_u64()?.to_string(),
        _ => return None,
    };
    is_id(&id).then_some(id)
}

/// Whether this can be an id of an issue or a project.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

pub(super) fn time(value: Option<&Value>) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(value?.as_str()?).ok().map(|at| at.to_utc())
}

/// An address that may be opened.
pub(super) fn link(value: Option<&Value>) -> Option<String> {
    text(value, LINK + 1).filter(|link| link.len() <= LINK && (link.starts_with("https://") || link.starts_with("http://")))
}

/// The level of what is no issue: ordinary where none is told.
pub(super) fn level_or_info(value: Option<&Value>) -> Level {
    if value.is_some_and(|value| matches!(value.as_str(), Some("log" | ""))) { Level::Info } else { value.map_or(Level::Info, |value| level(Some(value))) }
}

fn level(value: Option<&Value>) -> Level {
    match value.and_then(Value::as_str).unwrap_or_default() {
        "debug" => Level::Debug,
        "info" | "sample" => Level::Info,
        "warning" => Level::Warning,
        "fatal" => Level::Critical,
        // The tracker's own default.
        _ => Level::Error,
    }
}

/// Where an issue stands; `None` for one that is going away.
fn state(issue: &Value, first_seen: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<IssueState> {
    let word = |key: &str| issue.get(key).and_then(Value::as_str).unwrap_or_default();
    match word("status") {
        "resolved" | "resolvedInNextRelease" => return Some(IssueState::Resolved),
        "ignored" | "muted" => return Some(IssueState::Archived),
        "pending_deletion" | "deletion_in_progress" | "pending_merge" => return None,
        _ => {}
    }
    Some(match word("substatus") {
        "new" => IssueState::New,
        "regressed" => IssueState::Regressed,
        "escalating" => IssueState::Escalating,
        "ongoing" => IssueState::Ongoing,
        "archived_until_escalating" | "archived_until_condition_met" | "archived_forever" => IssueState::Archived,
        _ if first_seen.is_some_and(|first| now - first < TimeDelta::hours(NEW_HOURS)) => IssueState::New,
        _ => IssueState::Ongoing,
    })
}

/// What the title says when the server gives none.
fn title_of(metadata: Option<&Value>) -> Option<String> {
    let of = |key: &str| text(metadata?.get(key), TITLE);
    match (of("type"), of("value")) {
        (Some(kind), Some(value)) => Some(cut(&format!("{kind}: {value}"), TITLE)),
        (kind, value) => of("title").or(kind).or(value),
    }
}

/// Events by hour of the last day, oldest first, from `[epoch seconds, count]` pairs; empty where there are none.
/// A whole day of buckets is taken as it is, whatever this machine's clock says; sparse ones go to their hour.
fn hours(stats: Option<&Value>, now: DateTime<Utc>) -> Vec<u64> {
    let Some(stats) = stats.and_then(Value::as_object) else { return Vec::new() };
    let Some(pairs) = stats.get("24h").or_else(|| stats.get("auto")).and_then(Value::as_array) else { return Vec::new() };
    let mut buckets: Vec<(u64, u64)> = pairs.iter().take(1_000).filter_map(|pair| Some((number(pair.get(0))?, number(pair.get(1)).unwrap_or(0)))).collect();
    buckets.sort_unstable();
    let hourly = buckets.windows(2).all(|pair| pair[1].0 - pair[0].0 == 3_600);
    if hourly && buckets.len() >= HOURS {
        return buckets[buckets.len() - HOURS..].iter().map(|(_, count)| *count).collect();
    }
    if buckets.is_empty() {
        return Vec::new();
    }
    let this_hour = now.timestamp().max(0) as u64 / 3_600;
    let mut found = vec![0_u64; HOURS];
    for (at, count) in buckets {
        let back = this_hour.saturating_sub(at / 3_600) as usize;
        if at / 3_600 <= this_hour && back < HOURS {
            found[HOURS - 1 - back] = found[HOURS - 1 - back].saturating_add(count);
        }
    }
    found
}

/// One issue. `Ok(None)` for one that is being deleted or merged into another.
///
/// # Errors
/// What is wrong with it, one line.
pub fn issue(value: &Value, now: DateTime<Utc>) -> Result<Option<Issue>, String> {
    if !value.is_object() {
        return Err("it is no object".to_owned());
    }
    let id = id(value.get("id")).ok_or("it has no id")?;
    // With a time window the top-level times are those of the window; `lifetime` has the whole.
    let lifetime = value.get("lifetime").filter(|lifetime| lifetime.is_object());
    let first_seen = time(lifetime.and_then(|lifetime| lifetime.get("firstSeen"))).or_else(|| time(value.get("firstSeen")));
    let last_seen = time(value.get("lastSeen")).or_else(|| time(lifetime.and_then(|lifetime| lifetime.get("lastSeen"))));
    let count = |key: &str| number(value.get(key)).or_else(|| number(lifetime?.get(key)));
    let Some(state) = state(value, first_seen, now) else { return Ok(None) };
    let short_id = text(value.get("shortId"), TEXT).unwrap_or_else(|| id.clone());
    Ok(Some(Issue {
        title: text(value.get("title"), TITLE).or_else(|| title_of(value.get("metadata"))).unwrap_or_else(|| format!("issue {short_id}")),
        short_id,
        culprit: text(value.get("culprit"), TEXT),
        level: level(value.get("level")),
        events: count("count").unwrap_or(0),
        users: count("userCount"),
        first_seen,
        last_seen,
        state,
        permalink: link(value.get("permalink")),
        hours: hours(value.get("stats"), now),
        unhandled: value.get("isUnhandled").and_then(Value::as_bool),
        assignee: value.get("assignedTo").and_then(|who| text(who.get("name"), TEXT).or_else(|| text(who.get("email"), TEXT))),
        priority: text(value.get("priority"), TEXT).filter(|priority| matches!(priority.as_str(), "low" | "medium" | "high")),
        first_release: None,
        id,
    }))
}

/// One page of issues.
///
/// # Errors
/// When the body is no list.
pub fn page(body: &[u8], now: DateTime<Utc>) -> Result<Page, String> {
    let rows = list(body)?;
    let mut page = Page::default();
    for (at, row) in rows.iter().enumerate() {
        match issue(row, now) {
            Ok(Some(issue)) => page.issues.push(issue),
            Ok(None) => {}
            Err(message) if page.problems.len() < PROBLEMS => {
                let subject = text(row.get("shortId"), TEXT).unwrap_or_else(|| format!("issue {} of the page", at + 1));
                page.problems.push(Problem { subject, message });
            }
            Err(_) => {}
        }
    }
    Ok(page)
}

/// A JSON list.
pub(super) fn list(body: &[u8]) -> Result<Vec<Value>, String> {
    match serde_json::from_slice(body) {
        Ok(Value::Array(rows)) => Ok(rows),
        Ok(_) => Err("the answer is JSON, but no list".to_owned()),
        Err(error) if body.is_empty() || error.is_eof() => Err(format!("the answer ends in the middle, after {} bytes", body.len())),
        Err(error) => Err(format!("the answer is not JSON: line {}, column {}", error.line(), error.column())),
    }
}

/// The cursor of the next page in a `Link` header; `None` at the last one.
///
/// Both entries are always there, and `results` tells whether one leads anywhere. GlitchTip has been seen to wrap the header
/// in `{'…'}`.
#[must_use]
pub fn next_cursor(header: &str) -> Option<String> {
    let header = header.trim().trim_start_matches(['{', '\'', '[']).trim_end_matches(['}', '\'', ']']);
    for entry in entries(header, b',') {
        let mut target = None;
        let (mut next, mut more, mut cursor) = (false, false, None);
        for part in entries(entry, b';') {
            let part = part.trim();
            if let Some(address) = part.strip_prefix('<') {
                target = Some(address.trim_end_matches('>'));
            } else if let Some((name, value)) = part.split_once('=') {
                let value = value.trim().trim_matches(['"', '\'']);
                match name.trim().to_ascii_lowercase().as_str() {
                    "rel" => next = value == "next",
                    "results" => more = value == "true",
                    "cursor" => cursor = Some(value.to_owned()),
                    _ => {}
                }
            }
        }
        if next && more {
            let in_address = || {
                let address = url::Url::parse(target?).ok()?;
                address.query_pairs().find(|(key, _)| key == "cursor").map(|(_, value)| value.into_owned())
            };
            return cursor.or_else(in_address).filter(|cursor| !cursor.is_empty() && cursor.len() <= CURSOR && cursor.bytes().all(|b| b.is_ascii_graphic()));
        }
    }
    None
}

/// Splits at a sign that stands neither in `<…>` nor in quotes.
fn entries(text: &str, sign: u8) -> impl Iterator<Item = &str> {
    let (mut address, mut quoted) = (false, false);
    text.split(move |c: char| {
        match c {
            '"' if !address => quoted = !quoted,
            '<' if !quoted => address = true,
            '>' if !quoted => address = false,
            _ => {}
        }
        c == char::from(sign) && !address && !quoted
    })
}

/// What a refusal says: `{"detail": …}` with text or an object, `{"message": …}`, a bare JSON string, a list of complaints about
/// fields, or nothing readable.
#[must_use]
pub fn said(body: &[u8]) -> Said {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return Said::default() };
    let mut said = Said { error_id: text(value.get("errorId"), TEXT), ..Said::default() };
    let detail = value.get("detail").unwrap_or(&value);
    match detail {
        Value::String(_) => said.message = text(Some(detail), TEXT),
        Value::Object(fields) => {
            said.code = text(fields.get("code"), TEXT);
            said.message = text(fields.get("message"), TEXT);
            said.slug = fields.get("extra").and_then(|extra| text(extra.get("slug"), TEXT));
            if said.message.is_none() && said.code.is_none() {
                // Complaints by field: {"status": ["…"]}.
                let first = fields.iter().find_map(|(key, complaints)| Some(format!("{key}: {}", complaints.get(0).unwrap_or(complaints).as_str()?)));
                said.message = first.map(|first| cut(&first, TEXT));
            }
        }
        // GlitchTip: [{"loc": …, "msg": …, "type": …}].
        Value::Array(complaints) => said.message = complaints.first().and_then(|complaint| text(complaint.get("msg"), TEXT)),
        _ => {}
    }
    said
}

/// The region's address in an organization's own entry.
#[must_use]
pub fn region(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    link(value.get("links")?.get("regionUrl"))
}

/// Whether this is what GlitchTip tells everybody at `/api/settings/`.
#[must_use]
pub fn is_glitchtip(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|value| value.get("iPaidForGlitchTip").is_some())
}

/// The projects of a page, as id and slug.
///
/// # Errors
/// When the body is no list.
pub fn projects(body: &[u8]) -> Result<Vec<(String, String)>, String> {
    Ok(list(body)?.iter().filter_map(|project| Some((id(project.get("id"))?, text(project.get("slug"), TEXT)?))).collect())
}

/// Events by hour for each id, where the server has them apart from the list.
#[must_use]
pub fn hours_by_id(body: &[u8], now: DateTime<Utc>) -> HashMap<String, Vec<u64>> {
    let rows = list(body).unwrap_or_default();
    rows.iter().filter_map(|row| Some((id(row.get("id"))?, hours(row.get("stats"), now)))).collect()
}

/// The status word in the answer to a change.
#[must_use]
pub fn status_word(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    text(value.get("status"), TEXT)
}

/// Every parser of this file on any bytes. For `fuzz/` and the test that runs its corpus.
pub fn fuzz(bytes: &[u8]) {
    let now = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
    super::facts::fuzz(bytes);
    let _ = (page(bytes, now), said(bytes), region(bytes), is_glitchtip(bytes), projects(bytes), hours_by_id(bytes, now), status_word(bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = next_cursor(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-08-22T21:30:00Z".parse().unwrap()
    }

    fn read(value: &Value) -> Issue {
        issue(value, now()).unwrap().unwrap()
    }

    #[test]
    fn a_whole_issue_is_read() {
        let text = include_str!("fixtures/issue.json");
        let page = page(text.as_bytes(), now()).unwrap();
        assert_eq!(page.problems, []);
        let issue = &page.issues[0];
        assert_eq!((issue.id.as_str(), issue.short_id.as_str()), ("5512", "SHOP-7F"));
        assert_eq!((issue.events, issue.users, issue.state, issue.level), (40, Some(11), IssueState::Escalating, Level::Error));
        // The window's first event is not the first event.
        assert_eq!(issue.first_seen.unwrap().to_rfc3339(), "2026-08-20T07:11:03+00:00");
        assert_eq!(issue.hours.len(), HOURS);
        assert_eq!((issue.hours[23], issue.hours[22], issue.hours.iter().sum::<u64>()), (28, 12, 40));
        assert_eq!((issue.unhandled, issue.assignee.as_deref(), issue.priority.as_deref()), (Some(true), Some("backend"), Some("high")));
        assert_eq!(issue.permalink.as_deref(), Some("https://acme.example/issues/5512/"));
    }

    #[test]
    fn all_but_the_id_may_be_missing() {
        let issue = read(&json!({"id": 7}));
        assert_eq!((issue.id.as_str(), issue.short_id.as_str(), issue.title.as_str()), ("7", "7", "issue 7"));
        assert_eq!((issue.state, issue.events, issue.users, issue.hours.len()), (IssueState::Ongoing, 0, None, 0));
        let odd = json!({"id": "7", "title": 3, "metadata": {"type": "KeyError", "value": "'a'"}, "count": null, "userCount": "12", "level": [], "stats": 4,
            "permalink": "javascript:alert(1)", "lifetime": {"count": "9"}, "assignedTo": "x", "firstSeen": "yesterday", "annotations": ["a", {"url": "b"}]});
        let issue = read(&odd);
        assert_eq!((issue.title.as_str(), issue.events, issue.users, issue.permalink), ("KeyError: 'a'", 9, Some(12), None));
        for bad in [json!({}), json!([]), json!("7"), json!({"id": null}), json!({"id": "../../users/1"}), json!({"id": ""}), json!({"id": -1})] {
            assert!(super::issue(&bad, now()).is_err(), "{bad}");
        }
    }

    #[test]
    fn states_are_told_by_status_and_substatus() {
        for (status, substatus, expected) in [
            ("unresolved", "new", Some(IssueState::New)),
            ("unresolved", "ongoing", Some(IssueState::Ongoing)),
            ("unresolved", "escalating", Some(IssueState::Escalating)),
            ("unresolved", "regressed", Some(IssueState::Regressed)),
            ("unresolved", "something else", Some(IssueState::Ongoing)),
            ("ignored", "archived_until_escalating", Some(IssueState::Archived)),
            ("ignored", "", Some(IssueState::Archived)),
            ("resolved", "", Some(IssueState::Resolved)),
            ("reprocessing", "ongoing", Some(IssueState::Ongoing)),
            ("pending_deletion", "", None),
        ] {
            let value = json!({"id": "1", "status": status, "substatus": substatus});
            assert_eq!(issue(&value, now()).unwrap().map(|issue| issue.state), expected, "{status} {substatus}");
        }
        let young = json!({"id": "1", "status": "unresolved", "firstSeen": "2026-08-22T20:00:00.123456Z"});
        assert_eq!(read(&young).state, IssueState::New, "a server without substatus");
    }

    #[test]
    fn one_bad_issue_is_not_the_end() {
        let page = page(br#"[{"id":"1"},{"shortId":"SHOP-2"},null,{"id":"4","status":"pending_deletion"},{"id":"5"}]"#, now()).unwrap();
        assert_eq!(page.issues.iter().map(|issue| issue.id.as_str()).collect::<Vec<_>>(), ["1", "5"]);
        assert_eq!(page.problems.iter().map(|problem| problem.subject.as_str()).collect::<Vec<_>>(), ["SHOP-2", "issue 3 of the page"]);
        for (body, words) in [("", "ends in the middle"), ("[{\"id\":", "ends in the middle"), ("{}", "no list"), ("<html>", "not JSON")] {
            assert!(super::page(body.as_bytes(), now()).unwrap_err().contains(words), "{body}");
        }
    }

    #[test]
    fn hours_are_dense_or_sparse() {
        let at = |hours_back: i64| now().timestamp() - hours_back * 3_600;
        // Sparse, out of order, in the future, too old.
        let sparse = json!({"24h": [[at(0), 5], [at(30), 99], [at(3), "2"], [at(-2), 7], ["x", 1], 4]});
        let found = hours(Some(&sparse), now());
        assert_eq!((found[23], found[20], found.iter().sum::<u64>()), (5, 2, 7));
        // Dense by a clock that is a day off: taken as it is.
        let dense: Vec<_> = (0..25_i64).map(|hour| json!([1_000_000_i64 * 3_600 + hour * 3_600, hour])).collect();
        assert_eq!(hours(Some(&json!({"24h": dense})), now()), (1..25).collect::<Vec<u64>>());
        for none in [json!({}), json!({"24h": []}), json!({"14d": [[1, 2]]}), json!([])] {
            assert!(hours(Some(&none), now()).is_empty(), "{none}");
        }
    }

    #[test]
    fn the_next_page_is_found_and_the_last_one_too() {
        let both = |results: &str| {
            format!(
                "<https://sentry.example/api/0/organizations/acme/issues/?limit=25&cursor=0:0:1>; rel=\"previous\"; results=\"false\"; cursor=\"0:0:1\", \
                 <https://sentry.example/api/0/organizations/acme/issues/?limit=25&query=a,b;c&cursor=0:25:0>; rel=\"next\"; results=\"{results}\"; cursor=\"0:25:0\""
            )
        };
        assert_eq!(next_cursor(&both("true")).as_deref(), Some("0:25:0"));
        assert_eq!(next_cursor(&both("false")), None);
        let wrapped = "{'<https://tracker.example/api/0/issues/?cursor=bz0w>; rel=\"next\"; results=\"true\"; cursor=\"bz0w\"'}";
        assert_eq!(next_cursor(wrapped).as_deref(), Some("bz0w"));
        let in_address = "<https://tracker.example/api/0/issues/?cursor=a%3D%3D&limit=5>; results=true; rel=next";
        assert_eq!(next_cursor(in_address).as_deref(), Some("a=="));
        for none in ["", "<", "<https://a.example>; rel=\"next\"", "rel=next;results=true", "<x>; rel=\"next\"; results=\"true\"; cursor=\"a b\"", ",;,;\"<"] {
            assert_eq!(next_cursor(none), None, "{none}");
        }
    }

    #[test]
    fn refusals_are_read_in_every_shape() {
        let of = |text: &str| said(text.as_bytes());
        let message = |text: &str| of(text).message.unwrap_or_default();
        assert_eq!(message(r#"{"detail":"Invalid token"}"#), "Invalid token");
        let sso = of(r#"{"detail":{"code":"sso-required","message":"Must login via SSO","extra":{"loginUrl":"/auth/login/acme/"}}}"#);
        assert_eq!((sso.code.as_deref(), sso.message.as_deref()), (Some("sso-required"), Some("Must login via SSO")));
        let moved = of(r#"{"detail":{"code":"resource-moved","extra":{"url":"/x","slug":"new-shop"}}}"#);
        assert_eq!(moved.slug.as_deref(), Some("new-shop"));
        assert_eq!(message("\"You are attempting to use this endpoint too frequently.\""), "You are attempting to use this endpoint too frequently.");
        assert_eq!(message(r#"{"message":"Please retry later"}"#), "Please retry later");
        assert_eq!(message(r#"{"status":["Invalid status"]}"#), "status: Invalid status");
        assert_eq!(message(r#"{"detail":[{"loc":["query","sort"],"msg":"unexpected value","type":"enum"}]}"#), "unexpected value");
        assert_eq!(of(r#"{"detail":"Internal Error","errorId":"ab12"}"#).error_id.as_deref(), Some("ab12"));
        for nothing in ["", "<html>", "[]", "4", "null"] {
            assert_eq!(of(nothing).message, None, "{nothing}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), ".{0,12}".prop_map(Value::from)];
        let keys =
            prop::sample::select(vec!["id", "count", "stats", "24h", "lifetime", "firstSeen", "status", "substatus", "metadata", "detail", "tags", "key"]);
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((keys.clone(), inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_document_is_read_or_refused(value in any_json()) {
            fuzz(value.to_string().as_bytes());
            fuzz(Value::Array(vec![value]).to_string().as_bytes());
        }

        #[test]
        fn any_text_is_a_link_header(text in "[<>;,\"'={} a-z]{0,80}") {
            let _ = next_cursor(&text);
        }

        #[test]
        fn a_cursor_comes_back_as_it_was_written(cursor in "[0-9]{1,13}:[0-9]{1,4}:[01]", more in any::<bool>()) {
            let header = format!("<https://a.example/?cursor=x>; rel=\"previous\"; results=\"true\"; cursor=\"x\", <https://a.example/?cursor={cursor}>; rel=\"next\"; results=\"{more}\"; cursor=\"{cursor}\"");
            prop_assert_eq!(next_cursor(&header), more.then_some(cursor));
        }
    }
}
