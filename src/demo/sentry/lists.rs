//! The list of issues as the real servers page it, and one issue in their shape.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::issues::{self, Row, Standing};
use super::super::{beside, changes};
use super::{Ask, Flavour, ORGANIZATION, PROJECT, PROJECT_ID, Reply, Tracker};
use crate::domain::Timestamp;
use crate::domain::time::rfc3339;

impl Tracker {
    pub(super) fn list(&self, ask: &Ask<'_>, t: Duration, now: Timestamp) -> Reply {
        let glitchtip = self.setup.flavour == Flavour::GlitchTip;
        if let Err(reply) = self.well_asked(ask) {
            return reply;
        }
        let limit = ask.first("limit").and_then(|limit| limit.parse().ok()).unwrap_or(if glitchtip { 50 } else { 100 });
        let offset = ask.first("cursor").and_then(|cursor| cursor.split(':').nth(1)?.parse().ok()).unwrap_or(0_usize);
        let search = ask.first("query").unwrap_or(if glitchtip { "" } else { "is:unresolved" });
        let wanted: Vec<&str> = ask.query.iter().filter(|(key, _)| key == "group").map(|(_, id)| id.as_str()).collect();
        let rows: Vec<Row> = if !wanted.is_empty() {
            self.rows(t).into_iter().filter(|row| wanted.contains(&row.id.to_string().as_str())).collect()
        } else if matches!(ask.first("project"), Some("40" | "blog")) {
            Vec::new()
        } else {
            self.rows(t).into_iter().filter(|row| matches(row, search)).collect()
        };
        let number = offset / limit + 1;
        if self.setup.broken_page == Some(number) {
            return Reply::of(500, json!({"detail": "Internal Error", "errorId": "5f1e8c"}));
        }
        let host = "https://tracker.example";
        let more = offset + limit < rows.len();
        let page: Vec<Value> =
            rows.iter().skip(offset).take(limit).filter(|row| !(self.setup.gaps && row.id % 3 == 0)).map(|row| self.issue(row, now)).collect();
        let entry = |rel: &str, results: bool, offset: usize| {
            let cursor = format!("0:{offset}:{}", u8::from(rel == "previous"));
            if glitchtip && !results {
                return format!("<{host}{}>; rel=\"{rel}\"; results=\"false\"", ask.path);
            }
            format!("<{host}{}?limit={limit}&cursor={cursor}>; rel=\"{rel}\"; results=\"{results}\"; cursor=\"{cursor}\"", ask.path)
        };
        let link = format!("{}, {}", entry("previous", offset > 0, offset.saturating_sub(limit)), entry("next", more, offset + limit));
        let link = if glitchtip { format!("{{'{link}'}}") } else { link };
        let hits = rows.len().to_string();
        Reply { status: 200, headers: vec![("link", link), ("x-hits", hits), ("x-max-hits", "1000".to_owned())], body: Some(Value::Array(page)) }
    }

    /// Whether the parameters are those that the server knows.
    fn well_asked(&self, ask: &Ask<'_>) -> Result<(), Reply> {
        let bad = |detail: &str| Err(Reply::detail(400, detail));
        for (key, value) in &ask.query {
            let number = || value.parse::<usize>().is_ok_and(|n| (1..=100).contains(&n));
            let window = || value.len() > 1 && value[..value.len() - 1].bytes().all(|b| b.is_ascii_digit()) && value.ends_with(['s', 'm', 'h', 'd', 'w']);
            match (key.as_str(), self.setup.flavour) {
                ("query" | "environment", _) => {}
                ("limit", _) if number() => {}
                ("cursor", _) if value.split(':').count() == 3 && value.split(':').all(|part| part.parse::<u64>().is_ok()) => {}
                ("project", _) if value == PROJECT_ID || value == "40" => {}
                ("project", Flavour::Sentry | Flavour::OldSentry) if value == "-1" => {}
                ("group", Flavour::Sentry | Flavour::OldSentry) if value.parse::<u64>().is_ok() => {}
                ("project", Flavour::Sentry) if value == PROJECT || value == "blog" => {}
                ("project", Flavour::Sentry) => return Err(Reply::detail(403, "You do not have permission to perform this action.")),
                ("project", Flavour::OldSentry) => return bad("Invalid project parameter. Values must be numbers."),
                ("sort", Flavour::GlitchTip) if matches!(value.trim_start_matches('-'), "last_seen" | "first_seen" | "count" | "priority") => {}
                (_, Flavour::GlitchTip) => {
                    return Err(Reply::of(422, json!({"detail": [{"loc": ["query", key], "msg": "Input should be a valid value", "type": "enum"}]})));
                }
                ("statsPeriod", _) if window() => {}
                ("groupStatsPeriod", _) if matches!(value.as_str(), "" | "24h" | "14d" | "auto") => {}
                ("sort", _) if matches!(value.as_str(), "date" | "new" | "freq" | "user" | "trends") => {}
                ("collapse", _) if matches!(value.as_str(), "stats" | "lifetime" | "filtered" | "unhandled" | "base") => {}
                _ => return bad(&format!("Invalid {key}")),
            }
        }
        Ok(())
    }

    pub(super) fn stats(&self, ask: &Ask<'_>, t: Duration, now: Timestamp) -> Reply {
        let wanted: Vec<&str> = ask.query.iter().filter(|(key, _)| key == "groups").map(|(_, id)| id.as_str()).collect();
        if wanted.is_empty() {
            return Reply::of(422, json!({"detail": [{"loc": ["query", "groups"], "msg": "Field required", "type": "missing"}]}));
        }
        // Sparse: only hours in which something came.
        let rows = self.rows(t).into_iter().filter(|row| wanted.contains(&row.id.to_string().as_str()));
        let all: Vec<Value> = rows
            .map(|row| {
                let pairs: Vec<Value> = buckets(&row, now).into_iter().filter(|pair| pair[1] != json!(0)).collect();
                json!({"id": row.id.to_string(), "count": row.events.to_string(), "stats": {"24h": pairs}})
            })
            .collect();
        Reply::of(200, Value::Array(all))
    }

    /// One issue in the server's shape.
    pub(super) fn issue(&self, row: &Row, now: Timestamp) -> Value {
        let ago = |ago: Duration| rfc3339(now - ago);
        let (status, substatus) = match row.standing {
            Standing::New => ("unresolved", Some("new")),
            Standing::Regressed => ("unresolved", Some("regressed")),
            Standing::Escalating => ("unresolved", Some("escalating")),
            Standing::Ongoing => ("unresolved", Some("ongoing")),
            Standing::Archived => ("ignored", Some("archived_until_escalating")),
            Standing::Resolved => ("resolved", None),
        };
        let title = format!("{}: {}", row.kind, row.value);
        let permalink = format!("https://{ORGANIZATION}.tracker.example/issues/{}/", row.id);
        let base = json!({
            "id": row.id.to_string(), "shortId": row.short_id, "title": title, "culprit": row.culprit, "permalink": permalink, "level": row.level,
            "status": status, "statusDetails": {}, "type": "error", "metadata": {"type": row.kind, "value": row.value}, "numComments": 0,
            "project": {"id": PROJECT_ID, "name": "Shop", "slug": PROJECT, "platform": "python-django"},
            "count": row.events.to_string(), "firstSeen": ago(row.first), "lastSeen": ago(row.last),
        });
        let more = match self.setup.flavour {
            Flavour::GlitchTip => json!({"userCount": 0, "stats": {"24h": []}}),
            Flavour::OldSentry => json!({"userCount": row.users, "annotations": ["a"], "stats": {"24h": buckets(row, now)}}),
            Flavour::Sentry => json!({
                "substatus": substatus, "priority": if row.level == "error" { "high" } else { "low" }, "isUnhandled": !row.handled, "userCount": row.users,
                "assignedTo": row.assignee.map(changes::person), "annotations": [], "filtered": null,
                "stats": {"24h": buckets(row, now)},
                "lifetime": {"count": row.events.to_string(), "userCount": row.users, "firstSeen": ago(row.first), "lastSeen": ago(row.last), "stats": null},
            }),
        };
        let (Value::Object(mut base), Value::Object(more)) = (base, more) else { return Value::Null };
        base.extend(more);
        Value::Object(base)
    }
}

/// Hourly buckets of the last day, as `[epoch seconds, count]`.
fn buckets(row: &Row, now: Timestamp) -> Vec<Value> {
    let hour = now.timestamp() / 3_600;
    (-23..=0).zip(issues::hours(row)).map(|(back, count)| json!([(hour + back) * 3_600, count])).collect()
}

/// The few words of the search language that are understood: `is:` and free text.
fn matches(row: &Row, search: &str) -> bool {
    let open = !matches!(row.standing, Standing::Archived | Standing::Resolved);
    search.split_whitespace().all(|word| match word {
        "is:unresolved" => open,
        "is:resolved" => row.standing == Standing::Resolved,
        "is:archived" | "is:ignored" => row.standing == Standing::Archived,
        "is:new" => row.standing == Standing::New,
        "is:regressed" => row.standing == Standing::Regressed,
        "is:escalating" => row.standing == Standing::Escalating,
        "error.unhandled:true" => !row.handled,
        _ if word.starts_with("firstRelease:") => {
            let version = word["firstRelease:".len()..].trim_matches('"').trim_start_matches("shop@");
            beside::brought_by(version).contains(&row.id)
        }
        text => format!("{}: {}", row.kind, row.value).to_lowercase().contains(&text.to_lowercase()),
    })
}
