//! The dates of one product as endoflife.date writes them (API v1, schema 1.x), read tolerantly; and the copy that comes with the
//! program, for machines without a way out.
//!
//! What does not belong here: asking (`client`). The service computes its yes-or-no fields when its pages are made: dates count
//! first, and these only where there is no date.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The copy. Django: the project's download page; Python: its developer's guide; PostgreSQL: its versioning policy; the others: endoflife.date.
const EMBEDDED: &str = include_str!("../../../assets/support-dates.json");
/// Releases of one product that are read.
const RELEASES: usize = 500;

/// One product.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// As the dates name it: `django`.
    pub name: String,
    /// For reading.
    pub label: String,
    /// Its releases, the newest first.
    pub releases: Vec<Release>,
    /// When the dates were made.
    pub made_at: Option<DateTime<Utc>>,
    /// Whether they came with the program.
    #[serde(default)]
    pub embedded: bool,
}

/// One release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its series: `5.2`.
    pub name: String,
    /// Whether it has long support.
    pub lts: bool,
    /// From this day on it has long support; some begin without.
    #[serde(default)]
    pub lts_from: Option<NaiveDate>,
    /// When it came out.
    pub start: Option<NaiveDate>,
    /// The day on which full support ends.
    pub full_until: Option<NaiveDate>,
    /// The day on which security support ends.
    pub security_until: Option<NaiveDate>,
    /// Said to have ended, without a date.
    pub ended: bool,
    /// Its newest version.
    pub latest: Option<String>,
    /// The first and the last Python that it is for.
    pub pythons: Option<((u64, u64), (u64, u64))>,
}

impl Release {
    /// Whether it has long support on this day: what was said when the dates were made may have changed since.
    #[must_use]
    pub fn is_lts(&self, today: NaiveDate) -> bool {
        self.lts_from.map_or(self.lts, |from| from <= today)
    }
}

/// Reads the answer about one product.
///
/// # Errors
/// What is not right about it.
pub fn answer(body: &[u8]) -> Result<Product, String> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| if error.is_eof() { "the answer ends too early" } else { "the answer is no JSON" }.to_owned())?;
    if value.get("schema_version").and_then(Value::as_str).is_some_and(|version| !version.starts_with("1.")) {
        return Err("the answer is of a schema that is not known".to_owned());
    }
    let made_at = value.get("generated_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let result = value.get("result").ok_or("the answer has no dates")?;
    let mut product = product(result).ok_or("the answer has no dates")?;
    product.made_at = made_at;
    Ok(product)
}

/// The dates of a product in the copy that comes with the program.
#[must_use]
pub fn embedded(name: &str) -> Option<Product> {
    let value: Value = serde_json::from_str(EMBEDDED).ok()?;
    let made_at = value.get("generated_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
    Some(Product { made_at, embedded: true, ..product(&raw(name)?)? })
}

/// A product of that copy as the service would write it; for stand-ins.
#[must_use]
pub fn raw(name: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(EMBEDDED).ok()?;
    value.get("products")?.as_array()?.iter().find(|one| one.get("name").and_then(Value::as_str) == Some(name)).cloned()
}

fn text(value: &Value, key: &str) -> Option<String> {
    let text: String = value.get(key)?.as_str()?.chars().filter(|c| !c.is_control()).take(80).collect();
    (!text.is_empty()).then_some(text)
}

fn product(value: &Value) -> Option<Product> {
    let name = text(value, "name")?;
    let releases = value.get("releases")?.as_array()?;
    Some(Product {
        label: text(value, "label").unwrap_or_else(|| name.clone()),
        releases: releases.iter().take(RELEASES).filter_map(release).collect(),
        name,
        made_at: None,
        embedded: false,
    })
}

fn release(value: &Value) -> Option<Release> {
    let date = |key: &str| value.get(key).and_then(Value::as_str).and_then(|text| text.get(..10)).and_then(|text| text.parse().ok());
    let flag = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or(false);
    let security_until = date("eolFrom");
    Some(Release {
        name: text(value, "name")?,
        lts: flag("isLts"),
        lts_from: date("ltsFrom"),
        start: date("releaseDate"),
        full_until: date("eoasFrom"),
        security_until,
        ended: security_until.is_none() && flag("isEol"),
        latest: value.get("latest").and_then(|latest| text(latest, "name")),
        pythons: value.get("custom").and_then(|custom| text(custom, "supportedPythonVersions")).and_then(|text| pythons(&text)),
    })
}

/// `3.10 - 3.14 (added in 5.2.8)`: the first and the last number before a bracket.
fn pythons(text: &str) -> Option<((u64, u64), (u64, u64))> {
    let plain = text.split('(').next()?;
    let mut all = plain.split(|c: char| !(c.is_ascii_digit() || c == '.')).filter_map(|part| {
        let (major, minor) = part.split_once('.')?;
        Some((major.parse::<u64>().ok()?, minor.parse::<u64>().ok()?))
    });
    let first = all.next()?;
    Some((first, all.next_back().unwrap_or(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_holds_what_is_watched_most() {
        for name in ["django", "python", "postgresql"] {
            let product = embedded(name).unwrap();
            assert!(product.embedded && product.made_at.is_some() && product.releases.len() >= 6, "{name}");
            assert!(product.releases.iter().all(|release| release.start.is_some() && release.security_until.is_some()), "{name}");
        }
        for name in ["redis", "valkey", "nginx", "mysql", "mariadb", "nodejs", "debian", "ubuntu", "alpine-linux"] {
            let product = embedded(name).unwrap();
            assert!(product.releases.len() >= 3 && product.releases.iter().all(|release| release.start.is_some()), "{name}");
            assert!(product.releases.iter().any(|release| release.security_until.is_some()), "{name}");
        }
        assert_eq!(embedded("teapot"), None);
        // As Django, Python and endoflife.date had them when the copy was made.
        for (name, series, end) in [
            ("django", "6.1", "2027-12-31"),
            ("django", "6.0", "2027-04-30"),
            ("django", "5.2", "2028-04-30"),
            ("django", "4.2", "2026-04-07"),
            ("python", "3.14", "2030-10-31"),
            ("python", "3.10", "2026-10-31"),
            ("python", "3.9", "2025-10-31"),
            ("postgresql", "14", "2026-11-12"),
            ("redis", "8.0", "2026-12-01"),
            ("nginx", "1.29", "2026-05-13"),
            ("debian", "12", "2026-07-11"),
            ("ubuntu", "26.04", "2031-04-30"),
        ] {
            let product = embedded(name).unwrap();
            let release = product.releases.iter().find(|release| release.name == series).unwrap();
            assert_eq!(release.security_until.unwrap().to_string(), end, "{name} {series}");
        }
    }

    #[test]
    fn an_answer_is_read_by_its_dates() {
        let body = br#"{"schema_version":"1.2.1","generated_at":"2026-08-22T08:52:34+00:00","result":{"name":"django","label":"Django","releases":[
            {"name":"5.2","releaseDate":"2025-04-02","isLts":true,"isEoas":true,"eoasFrom":"2025-12-03","isEol":false,"eolFrom":"2028-04-30",
             "latest":{"name":"5.2.17"},"custom":{"supportedPythonVersions":"3.10 - 3.14 (added in 5.2.8)"}},
            {"name":"1.0","isEol":true,"eolFrom":null,"custom":null},{"label":"no name"}]}}"#;
        let read = answer(body).unwrap();
        assert_eq!(read.releases.len(), 2);
        assert_eq!((read.releases[0].lts, read.releases[0].pythons, read.releases[0].latest.as_deref()), (true, Some(((3, 10), (3, 14))), Some("5.2.17")));
        assert!(read.releases[1].ended && !read.releases[0].ended);
        for wrong in [&b"<html>"[..], b"{}", b"{\"schema_version\":\"2.0\",\"result\":{}}", b"{\"result\":{\"name\":\"x\"}}", b"{\"result\":"] {
            assert!(answer(wrong).is_err());
        }
    }
}
