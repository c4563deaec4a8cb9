//! The shapes of OSV's answers (OSV schema 1.x; API v1): read tolerantly, since databases add what they like.
//!
//! What does not belong here: asking (`client`), what a record means for a version (`record`).

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::record::{Affected, End, Record, Run, line};
use crate::packages::ecosystem::Ecosystem;

/// Packages that one record is read for; some speak of whole distributions.
const PACKAGES: usize = 200;
/// Single versions of one package that are kept.
const VERSIONS: usize = 4_000;
/// Events of one range.
const EVENTS: usize = 1_000;

/// One weakness in the answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Mention {
    /// Of the record.
    pub id: String,
    /// When the record last changed, as written.
    #[serde(default)]
    pub modified: String,
}

/// The answer to one query of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Result1 {
    /// What was found.
    pub found: Vec<Mention>,
    /// There is more: the query is asked again with this.
    pub next: Option<String>,
}

/// Whether an id may stand in an address and a file's name.
#[must_use]
pub fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 100 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b)) && !id.starts_with('.')
}

/// The answers of a batch, in the order of its queries.
///
/// # Errors
/// What is not right about it.
pub fn batch(body: &[u8]) -> Result<Vec<Result1>, String> {
    #[derive(Deserialize)]
    struct Answer {
        results: Vec<Option<One>>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        vulns: Option<Vec<Value>>,
        #[serde(default)]
        next_page_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|error| wrong(&error))?;
    let one = |one: Option<One>| {
        let Some(one) = one else { return Result1::default() };
        let found = one.vulns.unwrap_or_default().iter().filter_map(|value| Mention::deserialize(value).ok()).filter(|mention| is_id(&mention.id)).collect();
        Result1 { found, next: one.next_page_token.filter(|token| !token.is_empty()) }
    };
    Ok(answer.results.into_iter().map(one).collect())
}

fn wrong(error: &serde_json::Error) -> String {
    if error.is_eof() { "the answer ends too early".to_owned() } else { "the answer is not what OSV answers".to_owned() }
}

/// One record, with what it says of this ecosystem's packages.
///
/// # Errors
/// What is not right about it.
pub fn record(body: &[u8], ecosystem: Ecosystem) -> Result<Record, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| wrong(&error))?;
    of_value(&value, ecosystem)
}

fn of_value(value: &Value, ecosystem: Ecosystem) -> Result<Record, String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let id = text("id").filter(|id| is_id(id)).ok_or("the record has no id")?.to_owned();
    if text("schema_version").is_some_and(|version| version.split('.').next() != Some("1")) {
        return Err(format!("the record {id} is of a schema that is not known"));
    }
    let strings = |key: &str| {
        value.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).filter(|id| is_id(id)).map(str::to_owned).take(50).collect()
    };
    let time = |key: &str| text(key).and_then(|text| text.parse::<DateTime<Utc>>().ok());
    let parts = || value.get("affected").and_then(Value::as_array).into_iter().flatten();
    let severities = || std::iter::once(value).chain(parts()).filter_map(|holder| holder.get("severity")).filter_map(Value::as_array).flatten();
    let score = severities().filter_map(score).max_by(f64::total_cmp);
    let mut said = std::iter::once(value).chain(parts()).filter_map(|holder| holder.get("database_specific")?.get("severity")?.as_str());
    let word = said.find_map(word);
    let summary = text("summary").or_else(|| text("details")?.lines().find(|line| !line.trim().is_empty())).map(|text| line(text, 200));
    let affected = parts().take(PACKAGES).filter_map(|part| affected(part, ecosystem)).collect();
    Ok(Record {
        aliases: strings("aliases"),
        modified: text("modified").unwrap_or_default().to_owned(),
        withdrawn: value.get("withdrawn").is_some_and(|at| !at.is_null()),
        summary: summary.filter(|text| !text.is_empty()),
        published: time("published"),
        url: link(value),
        score,
        word: word.map(str::to_owned),
        affected,
        id,
    })
}

/// The base score of a vector (`CVSS:3.1/AV:N/…`); a kind that is not CVSS has none.
fn score(severity: &Value) -> Option<f64> {
    let text = severity.get("score")?.as_str()?.trim();
    if text.len() > 400 {
        return None;
    }
    if let Ok(number) = text.parse::<f64>() {
        return (severity.get("type")?.as_str()?.starts_with("CVSS") && (0.0..=10.0).contains(&number)).then_some(number);
    }
    let vector: cvss::Cvss = text.parse().ok()?;
    let score = (vector.score() * 10.0).round() / 10.0;
    (0.0..=10.0).contains(&score).then_some(score)
}

fn word(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "low" => Some("low"),
        "medium" | "moderate" => Some("medium"),
        "high" | "important" => Some("high"),
        "critical" => Some("critical"),
        _ => None,
    }
}

/// The page to open: an advisory, else what tells more.
fn link(value: &Value) -> Option<String> {
    let all: Vec<(&str, &str)> = value
        .get("references")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| Some((one.get("type").and_then(Value::as_str).unwrap_or_default(), one.get("url")?.as_str()?)))
        .filter(|(_, url)| (url.starts_with("https://") || url.starts_with("http://")) && url.len() < 500 && !url.chars().any(char::is_control))
        .collect();
    let of = |kind: &str| all.iter().find(|(one, _)| *one == kind);
    ["ADVISORY", "REPORT", "ARTICLE", "WEB"].iter().find_map(|kind| of(kind)).or(all.first()).map(|(_, url)| (*url).to_owned())
}

fn affected(part: &Value, ecosystem: Ecosystem) -> Option<Affected> {
    let package = part.get("package")?;
    if !ecosystem.is_of(package) {
        return None;
    }
    let name = ecosystem.name(package.get("name")?.as_str()?);
    let list = |key: &str| part.get(key).and_then(Value::as_array).into_iter().flatten();
    let mut runs = Vec::new();
    for range in list("ranges").filter(|range| range.get("type").and_then(Value::as_str) != Some("GIT")).take(100) {
        let events = range.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        runs.extend(ranges(events, ecosystem));
    }
    let versions = list("versions").filter_map(Value::as_str).filter(|text| text.len() <= 128).take(VERSIONS).map(str::to_owned).collect();
    Some(Affected { name, runs, versions, cures: Vec::new() })
}

/// Events, in any order, made into runs (OSV schema, "evaluation").
fn ranges(events: &[Value], ecosystem: Ecosystem) -> Vec<Run> {
    /// For equal versions what begins comes first.
    fn order(kind: &str) -> u8 {
        match kind {
            "introduced" => 0,
            "last_affected" => 1,
            _ => 2,
        }
    }
    let mut all: Vec<(&str, &str)> = events
        .iter()
        .take(EVENTS)
        .filter_map(Value::as_object)
        .flatten()
        .filter_map(|(kind, version)| Some((kind.as_str(), version.as_str()?)))
        .filter(|(kind, version)| {
            matches!(*kind, "introduced" | "fixed" | "last_affected" | "limit") && (*version == "0" || ecosystem.compare(version, version).is_some())
        })
        .collect();
    all.sort_by(|(a_kind, a), (b_kind, b)| match (*a == "0", *b == "0") {
        (true, true) => order(a_kind).cmp(&order(b_kind)),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        _ => ecosystem.compare(a, b).unwrap_or(Ordering::Equal).then(order(a_kind).cmp(&order(b_kind))),
    });
    let mut runs = Vec::new();
    let mut open: Option<Option<String>> = None;
    for (kind, version) in all {
        match kind {
            "introduced" => {
                if open.is_none() {
                    open = Some((version != "0").then(|| version.to_owned()));
                }
            }
            "last_affected" => {
                if let Some(from) = open.take() {
                    runs.push(Run { from, end: End::Last(version.to_owned()) });
                }
            }
            // `limit` bounds what is enumerated: what comes after it is not known to be affected.
            _ => {
                if let Some(from) = open.take() {
                    runs.push(Run { from, end: End::Fixed(version.to_owned()) });
                }
            }
        }
    }
    runs.extend(open.map(|from| Run { from, end: End::Open }));
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"id":"PYSEC-2024-123","modified":"2024-08-20T10:00:00Z","published":"2024-08-07T15:15:00Z",
        "aliases":["CVE-2024-42005","GHSA-pv4p-cwwg-4rph"],"details":"\nA query\u001b[2J may be\n two","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"},{"type":"Ubuntu","score":"high"}],
        "affected":[{"package":{"name":"Django","ecosystem":"PyPI","purl":"pkg:pypi/django"},
          "ranges":[{"type":"GIT","repo":"x","events":[{"introduced":"0"},{"fixed":"abc"}]},
                    {"type":"ECOSYSTEM","events":[{"fixed":"4.2.15"},{"introduced":"5.0"},{"fixed":"5.0.8"},{"introduced":"4.2"},{"fixed":"not a version"}]}],
          "versions":["4.2","4.2.1"]},{"package":{"name":"django","ecosystem":"Debian:12"}}],
        "references":[{"type":"WEB","url":"https://web.example/"},{"type":"ADVISORY","url":"https://advisory.example/"},{"type":"ADVISORY","url":"javascript:x"}],"schema_version":"1.6.3","new_key":{}}"#;

    #[test]
    fn a_record_is_boiled_down() {
        let read = record(RECORD.as_bytes(), Ecosystem::PyPi).unwrap();
        assert_eq!((read.id.as_str(), read.score, read.word.as_deref(), read.withdrawn), ("PYSEC-2024-123", Some(7.5), None, false));
        assert_eq!(read.summary.as_deref(), Some("A query[2J may be"), "one line without control characters");
        assert_eq!(read.url.as_deref(), Some("https://advisory.example/"));
        assert_eq!(read.affected.len(), 1, "another ecosystem's package of the same name is another");
        let about = read.about("django");
        assert_eq!(about.fixed_after(Ecosystem::PyPi, "4.2.1"), ["4.2.15", "5.0.8"]);
        assert_eq!(["4.2.14", "4.2.15", "5.0", "5.0.8"].map(|v| about.holds(Ecosystem::PyPi, v).unwrap()), [true, false, true, false]);
        assert!(record(RECORD.replace("1.6.3", "2.0.0").as_bytes(), Ecosystem::PyPi).unwrap_err().contains("schema"));
        assert!(record(RECORD.replace("\"modified\"", "\"withdrawn\":\"2025-01-01T00:00:00Z\",\"modified\"").as_bytes(), Ecosystem::PyPi).unwrap().withdrawn);
    }

    #[test]
    fn scores_come_from_every_generation_of_vectors() {
        let of = |text: &str| score(&serde_json::json!({"type": "CVSS_V4", "score": text}));
        assert_eq!(of("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), Some(9.8));
        assert_eq!(of("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H/E:P/RL:O"), Some(7.5));
        assert_eq!(of("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"), Some(9.3));
        assert_eq!(of("7.1"), Some(7.1));
        for odd in ["", "high", "CVSS:9/AV:N", "CVSS:3.1/", "99"] {
            assert_eq!(of(odd), None, "{odd}");
        }
        assert_eq!((word("MODERATE"), word("none")), (Some("medium"), None));
    }

    #[test]
    fn a_batch_keeps_the_order_and_the_tokens() {
        let read =
            batch(br#"{"results":[{},{"vulns":[{"id":"GHSA-a","modified":"m"},{"id":"../x"},{"modified":"m"}]},{"next_page_token":"t"},null]}"#).unwrap();
        assert_eq!(read.len(), 4);
        assert_eq!(read[1].found, [Mention { id: "GHSA-a".into(), modified: "m".into() }]);
        assert_eq!((read[2].next.as_deref(), read[0].next.as_deref()), (Some("t"), None));
        assert!(batch(b"<html>").is_err() && batch(br#"{"results":[{"#).unwrap_err().contains("early"));
    }
}
