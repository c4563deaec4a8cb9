//! The list of weaknesses that a Python index keeps with each release (`/pypi/NAME/VERSION/json`, `vulnerabilities`): the same
//! flaws as OSV's, without severity and without ranges.
//!
//! What does not belong here: asking for it (`indexes::client`).

use serde_json::Value;

use super::osv::is_id;
use super::record::{Affected, Record, line};
use crate::packages::ecosystem::Ecosystem;

/// Weaknesses of one release; more are not read.
const MOST: usize = 500;

/// The records of one release, those that were taken back left out.
///
/// # Errors
/// What is not right about the answer.
pub fn read(body: &[u8], name: &str, ecosystem: Ecosystem) -> Result<Vec<Record>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "the answer is no JSON".to_owned())?;
    if value.get("info").is_none() {
        return Err("the answer is not that of an index".to_owned());
    }
    let Some(list) = value.get("vulnerabilities").and_then(Value::as_array) else { return Err("the index keeps no list of weaknesses".to_owned()) };
    Ok(list.iter().take(MOST).filter_map(|one| record(one, name, ecosystem)).collect())
}

fn record(one: &Value, name: &str, ecosystem: Ecosystem) -> Option<Record> {
    let text = |key: &str| one.get(key).and_then(Value::as_str);
    if one.get("withdrawn").is_some_and(|at| !at.is_null()) {
        return None;
    }
    let strings = |key: &str| one.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).take(100);
    let cures: Vec<String> = strings("fixed_in").filter(|text| ecosystem.compare(text, text).is_some()).map(str::to_owned).collect();
    let summary = text("summary").or_else(|| text("details")?.lines().find(|line| !line.trim().is_empty())).map(|text| line(text, 200));
    Some(Record {
        id: text("id").filter(|id| is_id(id))?.to_owned(),
        aliases: strings("aliases").filter(|id| is_id(id)).map(str::to_owned).collect(),
        summary: summary.filter(|text| !text.is_empty()),
        url: text("link").filter(|url| url.starts_with("https://") && url.len() < 500 && !url.chars().any(char::is_control)).map(str::to_owned),
        affected: vec![Affected { name: name.to_owned(), cures, ..Affected::default() }],
        ..Record::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_a_release_is_read_without_what_was_taken_back() {
        let body = br#"{"info":{},"vulnerabilities":[
            {"id":"PYSEC-2021-9","aliases":["CVE-2021-3281"],"details":"a way out of the folder","summary":null,"fixed_in":["2.2.18","3.0.12","soon"],"withdrawn":null,"link":"https://osv.example/PYSEC-2021-9"},
            {"id":"PYSEC-2021-8","aliases":[],"details":"","fixed_in":[],"withdrawn":"2022-01-01T00:00:00Z"},{"id":7}]}"#;
        let read = read(body, "django", Ecosystem::PyPi).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].id.as_str(), read[0].summary.as_deref()), ("PYSEC-2021-9", Some("a way out of the folder")));
        assert_eq!(read[0].about("django").fixed_after(Ecosystem::PyPi, "3.0.1"), ["3.0.12"]);
        for wrong in [&b"<html>"[..], b"{}", b"{\"info\":{}}", b""] {
            assert!(super::read(wrong, "django", Ecosystem::PyPi).is_err());
        }
    }
}
