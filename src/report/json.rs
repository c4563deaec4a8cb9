//! The JSON contract of `check --json` and of the other verbs (schema 1: fields may be added, never renamed).
//!
//! Outside text keeps every character, but those that a terminal would act on are written as `\uXXXX`, so that a document
//! printed on a terminal is harmless too.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::Formatter;

use super::{Counts, is_harmful, verdict};
use crate::domain::{Acknowledgement, Capability, Finding, SourceError, Timestamp, time::rfc3339};
use crate::state::{SourceState, World, book};

/// The schema that is written.
pub const SCHEMA: u32 = 1;

/// The document of `check --json`.
#[derive(Debug, Serialize)]
pub struct Check<'a> {
    schema: u32,
    at: String,
    status: &'static str,
    counts: Counts,
    sources: Vec<Source<'a>>,
    findings: Vec<Found<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
}

/// Why there is no value, or why it is bad.
#[derive(Debug, Serialize)]
pub struct Error<'a> {
    kind: &'static str,
    message: &'a str,
    remedy: &'a str,
    since: Option<String>,
    retry_at: Option<String>,
}

impl<'a> Error<'a> {
    fn of(error: &'a SourceError, since: Option<Timestamp>, retry_at: Option<Timestamp>) -> Self {
        Self { kind: error.kind.word(), message: &error.message, remedy: &error.remedy, since: since.map(rfc3339), retry_at: retry_at.map(rfc3339) }
    }
}

/// One source.
#[derive(Debug, Serialize)]
pub struct Source<'a> {
    id: &'a str,
    site: &'a str,
    kind: &'a str,
    name: &'a str,
    title: &'a str,
    capability: &'static str,
    status: &'static str,
    since: Option<String>,
    checked_at: Option<String>,
    summary: &'a str,
    error: Option<Error<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    problems: &'a [String],
    also: BTreeMap<&'static str, Value>,
    data: Option<Value>,
}

impl<'a> Source<'a> {
    /// One source as the contract writes it.
    #[must_use]
    pub fn of(source: &'a SourceState) -> Self {
        let id = &source.spec.id;
        let primary = source.spec.capability;
        let also = Capability::ALL
            .into_iter()
            .filter(|capability| *capability != primary)
            .filter_map(|capability| Some((capability.word(), data(source, capability)?)))
            .collect();
        Self {
            id: id.as_str(),
            site: id.site(),
            kind: id.kind(),
            name: id.name(),
            title: &source.spec.title,
            capability: primary.word(),
            status: source.status.word(),
            since: source.since.map(rfc3339),
            checked_at: source.checked_at.map(rfc3339),
            summary: &source.summary,
            error: source.error.as_ref().map(|error| Error::of(error, source.error_since, source.next_at)),
            problems: &source.problems,
            also,
            data: data(source, primary),
        }
    }
}

/// What a source knows by this capability; absent before it was seen.
fn data(source: &SourceState, capability: Capability) -> Option<Value> {
    match capability {
        Capability::Health => serde_json::to_value(&source.health.as_ref()?.last.as_ref()?.1).ok().map(rounded),
        Capability::Certificate => serde_json::to_value(&source.certificate.as_ref()?.1).ok(),
        Capability::Issues => serde_json::to_value(&source.issues.as_ref()?.1).ok(),
        Capability::Packages => serde_json::to_value(&source.packages.as_ref()?.1).ok(),
        Capability::Backup => serde_json::to_value(&source.backup.as_ref()?.1).ok(),
        Capability::Life => serde_json::to_value(&source.life.as_ref()?.1).ok(),
        Capability::Release => serde_json::to_value(&source.releases.as_ref()?.1).ok(),
        Capability::Crons => serde_json::to_value(&source.crons.as_ref()?.1).ok(),
        Capability::Intake => serde_json::to_value(&source.intake.as_ref()?.1).ok(),
        Capability::Log => {
            let log = source.log.as_ref()?;
            // Written before it was ever read, a log of zero lines would be a false green.
            log.watched_since?;
            let groups: Vec<_> = log.groups.values().collect();
            let levels: BTreeMap<&str, u64> = log.levels.iter().map(|(level, count)| (level.word(), *count)).collect();
            let mut data = serde_json::json!({ "lines": log.lines, "levels": levels, "groups": groups, "format": log.format, "files": log.files });
            if let Value::Object(data) = &mut data {
                data.insert("about".to_owned(), log.about.iter().map(|file| about(log, file)).collect());
                if !log.access.is_empty() {
                    data.insert("access".to_owned(), access(log));
                }
            }
            Some(data)
        }
    }
}

/// Milliseconds to the microsecond: a clock gives no more, and a reader wants no more.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => serde_json::json!((float * 1_000.0).round() / 1_000.0),
            None => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(rounded).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, rounded(value))).collect(),
        other => other,
    }
}

/// One finding.
#[derive(Debug, Serialize)]
pub struct Found<'a> {
    id: &'a str,
    source: &'a str,
    severity: &'static str,
    title: &'a str,
    detail: &'a str,
    since: String,
    due: Option<String>,
    acknowledged: Option<Taken<'a>>,
    actions: &'a [String],
}

/// Who has a finding.
#[derive(Debug, Serialize)]
struct Taken<'a> {
    by: &'a str,
    why: &'a str,
    at: String,
    until: Option<String>,
}

impl<'a> Found<'a> {
    /// One finding as the contract writes it.
    #[must_use]
    pub fn of(finding: &'a Finding) -> Self {
        let taken = |ack: &'a Acknowledgement| Taken { by: &ack.by, why: &ack.why, at: rfc3339(ack.at), until: ack.until.map(rfc3339) };
        Self {
            id: finding.id.as_str(),
            source: finding.source.as_str(),
            severity: finding.severity.word(),
            title: &finding.title,
            detail: &finding.detail,
            since: rfc3339(finding.since),
            due: finding.due.map(rfc3339),
            acknowledged: finding.acknowledged.as_ref().map(taken),
            actions: &finding.actions,
        }
    }
}

/// The document of `check --json`.
#[must_use]
pub fn check(world: &World, now: Timestamp) -> Check<'_> {
    Check {
        schema: SCHEMA,
        at: rfc3339(now),
        status: verdict(world).word(),
        counts: Counts::of(world),
        sources: world.sources.values().map(Source::of).collect(),
        findings: world.findings.iter().map(Found::of).collect(),
        error: None,
    }
}

/// The document of a `check --json` that could not begin: a wrong command line or configuration.
#[must_use]
pub fn refused(error: &SourceError, now: Timestamp) -> Check<'_> {
    Check {
        schema: SCHEMA,
        at: rfc3339(now),
        status: super::Verdict::Unknown.word(),
        counts: Counts::default(),
        sources: Vec::new(),
        findings: Vec::new(),
        error: Some(Error::of(error, None, None)),
    }
}

/// The document of the other verbs: `{"schema":1,"at":…,"items":[…]}`.
#[derive(Debug, Serialize)]
pub struct Items<T> {
    schema: u32,
    at: String,
    #[serde(rename = "items")]
    list: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<Value>,
}

impl<T> Items<T> {
    /// With the sources that could not be looked at: an item less must not look like one that is well.
    #[must_use]
    pub fn and_unknown<'a>(mut self, sources: impl IntoIterator<Item = &'a SourceState>) -> Self {
        self.unknown = sources.into_iter().filter(|source| unknown(source)).map(standing).collect();
        self
    }

    /// With the reason why there is nothing, where nothing is watched: an empty list alone would read as all well.
    #[must_use]
    pub fn unless(mut self, nothing: Option<&SourceError>) -> Self {
        if let Some(error) = nothing {
            self.error = serde_json::to_value(Error::of(error, None, None)).ok();
        }
        self
    }
}

/// Whether nothing that a source says can be relied on now.
fn unknown(source: &SourceState) -> bool {
    source.status == crate::domain::Status::Unknown || (source.checked_at.is_none() && source.spec.enabled)
}

/// Which source, how it stands, and why.
fn standing(source: &SourceState) -> Value {
    serde_json::json!({
        "source": source.spec.id.as_str(),
        "site": source.spec.id.site(),
        "status": source.status.word(),
        "error": source.error.as_ref().and_then(|error| serde_json::to_value(Error::of(error, source.error_since, source.next_at)).ok()),
    })
}

/// Wraps the items of a verb.
#[must_use]
pub fn items<T: Serialize>(items: Vec<T>, now: Timestamp) -> Items<T> {
    Items { schema: SCHEMA, at: rfc3339(now), list: items, error: None, unknown: Vec::new() }
}

/// The document of a verb that could not begin.
#[must_use]
pub fn no_items(error: &SourceError, now: Timestamp) -> Items<Value> {
    Items { schema: SCHEMA, at: rfc3339(now), list: Vec::new(), error: serde_json::to_value(Error::of(error, None, None)).ok(), unknown: Vec::new() }
}

/// Items beside the reason why there are not more of them.
#[must_use]
pub fn items_but<T: Serialize>(list: Vec<T>, error: &SourceError, now: Timestamp) -> Items<T> {
    Items { error: serde_json::to_value(Error::of(error, None, None)).ok(), ..items(list, now) }
}

/// The items of `deps --json` of one source: one for each package, with its source.
#[must_use]
pub fn package_items(source: &SourceState) -> Vec<Value> {
    let Some((_, packages)) = &source.packages else { return Vec::new() };
    let items = packages.items.iter().filter_map(|package| serde_json::to_value(package).ok());
    items
        .map(|mut item| {
            if let Some(fields) = item.as_object_mut() {
                fields.insert("source".to_owned(), source.spec.id.as_str().into());
                fields.insert("manifest".to_owned(), packages.manifest.as_str().into());
            }
            item
        })
        .collect()
}

/// One followed file: its format, size and dates.
fn about(log: &crate::state::LogState, file: &crate::domain::LogFile) -> Value {
    let name = log.files.get(usize::from(file.file));
    serde_json::json!({
        "file": name, "format": file.format, "size_bytes": file.size_bytes, "free_bytes": file.free_bytes, "rotates": file.rotates,
        "begins": file.begins.map(rfc3339), "modified": file.modified.map(rfc3339),
    })
}

/// Requests of an access log: all that is known, the newest minutes, and the paths that fail most or are slowest.
fn access(log: &crate::state::LogState) -> Value {
    let mut all = crate::domain::AccessMinute::default();
    for minute in log.access.values() {
        all.merge(minute);
    }
    let of = |latency: &crate::domain::Histogram| {
        let q = |q| latency.quantile(q);
        serde_json::json!({ "p50_ms": q(0.5), "p95_ms": q(0.95), "p99_ms": q(0.99) })
    };
    let statuses = |statuses: &[u64; 5]| -> Value {
        (1..=5).zip(statuses).map(|(class, n)| (format!("{class}xx"), Value::from(*n))).collect::<serde_json::Map<_, _>>().into()
    };
    let minutes = log.access.values().rev().take(60).rev();
    let minutes: Vec<Value> = minutes
        .map(|minute| {
            let at = crate::domain::Timestamp::from_timestamp(minute.start, 0).map(rfc3339);
            serde_json::json!({ "at": at, "requests": minute.requests(), "statuses": statuses(&minute.statuses), "latency": of(&minute.latency_ms) })
        })
        .collect();
    let mut paths: Vec<_> = log.paths.values().collect();
    paths.sort_by(|a, b| {
        b.statuses[4].cmp(&a.statuses[4]).then_with(|| b.latency_ms.quantile(0.95).unwrap_or(0.0).total_cmp(&a.latency_ms.quantile(0.95).unwrap_or(0.0)))
    });
    let paths: Vec<Value> = paths
        .into_iter()
        .take(20)
        .map(|path| serde_json::json!({ "path": path.path, "statuses": statuses(&path.statuses), "latency": of(&path.latency_ms) }))
        .collect();
    serde_json::json!({ "requests": all.requests(), "statuses": statuses(&all.statuses), "latency": of(&all.latency_ms), "minutes": minutes, "paths": paths })
}

/// One item of `logs --json`: the data of a log source with its id and how it stands.
#[must_use]
pub fn log_item(source: &SourceState) -> Value {
    let mut item = serde_json::json!({
        "source": source.spec.id.as_str(),
        "site": source.spec.id.site(),
        "status": source.status.word(),
        "checked_at": source.checked_at.map(rfc3339),
        "error": source.error.as_ref().and_then(|error| serde_json::to_value(Error::of(error, source.error_since, source.next_at)).ok()),
        "lines": 0,
        "levels": {},
        "groups": [],
    });
    if let (Some(into), Some(Value::Object(from))) = (item.as_object_mut(), data(source, Capability::Log)) {
        into.extend(from);
    }
    item
}

/// The issues of one source's tracker.
#[must_use]
fn issue_items(source: &SourceState) -> Vec<Value> {
    let mut items: Vec<Value> = source.issues.iter().flat_map(|(_, issues)| &issues.items).filter_map(|issue| serde_json::to_value(issue).ok()).collect();
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        item.insert("source".to_owned(), source.spec.id.as_str().into());
    }
    items
}

/// The items of `errors --json`: the issues of trackers, and the errors of logs and mails that no tracker tells of, each once; `also`
/// names where an error is seen besides.
#[must_use]
pub fn error_items(world: &World, now: Timestamp) -> Vec<Value> {
    let sources: Vec<&SourceState> = world.sources.values().collect();
    let rows = book::rows(world, &sources, now);
    let also = |beside: &[(crate::domain::SourceId, u64)]| -> Value {
        beside.iter().map(|(source, events)| serde_json::json!({"source": source.as_str(), "events": events})).collect()
    };
    let mut items = Vec::new();
    for source in sources {
        for mut item in issue_items(source) {
            let id = item.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            if let (Some(beside), Some(fields)) = (rows.beside.get(&(source.spec.id.clone(), id)), item.as_object_mut()) {
                fields.insert("also".to_owned(), also(beside));
            }
            items.push(item);
        }
        for row in rows.own.iter().filter(|row| row.source.spec.id == source.spec.id) {
            let Ok(mut item) = serde_json::to_value(&row.issue) else { continue };
            if let Some(fields) = item.as_object_mut() {
                fields.insert("short_id".to_owned(), format!("log:{}", row.issue.id).into());
                fields.insert("source".to_owned(), source.spec.id.as_str().into());
                if !row.beside.is_empty() {
                    fields.insert("also".to_owned(), also(&row.beside));
                }
            }
            items.push(item);
        }
    }
    items
}

/// The item of `backups --json` of one source: its data set. What is not known is null.
#[must_use]
pub fn backup_item(source: &SourceState) -> Value {
    let mut item = standing(source);
    if let Some(into) = item.as_object_mut() {
        for name in ["last_success", "age_s", "snapshots", "size_bytes", "checked_at", "drill"] {
            into.insert(name.to_owned(), Value::Null);
        }
        into.insert("looked_at".to_owned(), source.checked_at.map(rfc3339).into());
        if let Some(Value::Object(from)) = data(source, Capability::Backup) {
            into.extend(from);
        }
    }
    item
}

/// Writes a document on one line, with its end of line.
///
/// # Errors
/// When a value cannot be written as JSON, which no document of this module does.
pub fn line(document: &impl Serialize) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(4_096);
    document.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Harmless))?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// Escapes what a terminal would act on; JSON itself asks it of C0 only.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut from = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_harmful(*c)) {
            writer.write_all(&fragment.as_bytes()[from..at])?;
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            from = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[from..])
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{at, finding, source, state};
    use super::*;
    use crate::domain::{Severity, Status};

    #[test]
    fn the_document_of_check_has_the_shape_of_the_contract() {
        let mut bad = source("shop/http/api", Status::Unknown);
        bad.error = Some(SourceError::connect("connection refused"));
        bad.error_since = Some(at());
        bad.health = None;
        let state = state(vec![source("shop/http/home", Status::Ok), bad], vec![finding("shop/http/api", "availability", Severity::Critical)]);
        let read: Value = serde_json::from_str(&line(&check(&state.world, at())).unwrap()).unwrap();
        assert_eq!(read["schema"], 1);
        assert_eq!(read["at"], "2026-11-20T08:00:00Z");
        assert_eq!(read["status"], "critical");
        assert_eq!(read["counts"]["ok"], 1);
        assert_eq!(read["counts"]["unknown"], 1);
        let home = &read["sources"][1];
        assert_eq!(home["id"], "shop/http/home");
        assert_eq!((&home["site"], &home["kind"], &home["name"]), (&"shop".into(), &"http".into(), &"home".into()));
        assert_eq!(home["capability"], "health");
        assert_eq!(home["since"], "2026-11-20T07:12:00Z");
        assert_eq!(home["data"]["status_code"], 200);
        assert_eq!(home["data"]["phases_ms"]["first_byte"], 32.4);
        assert_eq!(home["error"], Value::Null);
        assert_eq!(home["also"], serde_json::json!({}));
        let api = &read["sources"][0];
        assert_eq!(api["data"], Value::Null);
        assert_eq!(api["error"]["kind"], "connect");
        assert_eq!(api["error"]["retry_at"], Value::Null);
        let found = &read["findings"][0];
        assert_eq!(found["id"], "shop/http/api#availability");
        assert_eq!(found["severity"], "critical");
        assert_eq!(found["due"], Value::Null);
        assert_eq!(found["actions"][0], "shop/action/restart");
    }

    #[test]
    fn what_a_terminal_acts_on_is_escaped_and_not_lost() {
        let text = "a\u{1b}[2J\u{9b}x\u{202e}\u{e0041}\u{7f}ä";
        let line = line(&items(vec![text], at())).unwrap();
        assert!(line.trim_end().chars().all(|c| !is_harmful(c)), "{line:?}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["items"][0], text);
    }

    #[test]
    fn issues_and_groups_are_items_of_one_shape() {
        let mut state = crate::ui::fixture::story();
        let also = |state: &crate::state::State| {
            let all = error_items(&state.world, crate::ui::fixture::now());
            all.iter().find(|item| item["id"] == "4101").unwrap()["also"].clone()
        };
        assert_eq!(also(&state)[0]["source"], "shop/log/django");
        crate::ui::fixture::told_apart(&mut state);
        assert_eq!(also(&state), Value::Null);
        let world = &state.world;
        let all: Vec<Value> = error_items(world, crate::ui::fixture::now());
        let document = items(all, at()).and_unknown(world.sources.values().filter(|source| source.spec.id.kind() == "sentry"));
        let read: Value = serde_json::from_str(&line(&document).unwrap()).unwrap();
        let item = |id: &str| read["items"].as_array().unwrap().iter().find(|item| item["id"] == id).unwrap().clone();
        let (issue, group) = (item("4101"), item("9e1f03aa"));
        for field in ["id", "short_id", "title", "culprit", "level", "events", "users", "first_seen", "last_seen", "state", "permalink", "source"] {
            assert!(issue.get(field).is_some() && group.get(field).is_some(), "{field}");
        }
        assert_eq!((&issue["source"], &issue["users"], &issue["state"]), (&"shop/sentry/backend".into(), &61.into(), &"new".into()));
        assert_eq!(issue["first_seen"], "2026-11-20T02:59:14Z");
        assert_eq!((&group["source"], &group["users"]), (&"shop/log/django".into(), &Value::Null));
        // A tracker that refused us is told of, not left out.
        assert_eq!((&read["unknown"][0]["source"], &read["unknown"][0]["error"]["kind"]), (&"blog/sentry/blog".into(), &"auth".into()));
        assert_eq!(read["unknown"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_data_set_is_an_item_whether_known_or_not() {
        let state = crate::ui::fixture::story();
        let of = |id: &str| backup_item(state.world.sources.values().find(|source| source.spec.id.as_str() == id).unwrap());
        let db = of("shop/restic/db");
        assert_eq!((&db["source"], &db["status"], &db["snapshots"]), (&"shop/restic/db".into(), &"ok".into(), &60.into()));
        assert_eq!(db["last_success"], "2026-11-19T18:12:10Z");
        assert_eq!((&db["drill"]["ok"], &db["error"]), (&true.into(), &Value::Null));
        // The last good values stay beside the error.
        let media = of("shop/restic/media");
        assert_eq!((&media["status"], &media["snapshots"], &media["error"]["kind"]), (&"unknown".into(), &58.into(), &"missing".into()));
        let mut never = state.world.sources.values().find(|source| source.spec.id.as_str() == "shop/restic/db").unwrap().clone();
        never.backup = None;
        assert_eq!((&backup_item(&never)["last_success"], &backup_item(&never)["snapshots"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn a_log_never_read_has_no_data() {
        let unread = source("shop/log/django", Status::Pending);
        assert!(Source::of(&unread).data.is_none());
        assert_eq!(log_item(&unread)["status"], "pending");
    }
}
