//! `config.example.toml` against the program: it is right, it has every key, and the defaults it states are the embedded ones.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value as Json;

use super::keys::Schema;
use super::trust::Standing;
use super::value::Dur;
use super::walk::COMMON;
use crate::domain::SourceId;
use crate::domain::time::parse_duration;
use crate::sources::kinds::{KINDS, Kind};
use crate::sources::{BuildContext, Common};

const TEXT: &str = include_str!("../../config.example.toml");

/// Whether a line is a commented key: `#key = …`, without a space after the sign.
fn uncommented(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('#')?;
    let key = rest.split('=').next()?.trim_end();
    (rest.contains(" = ") && !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))).then_some(rest)
}

/// The tables of the example by header, with the commented keys taken as given.
fn tables() -> BTreeMap<String, toml::Table> {
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    let mut header = String::new();
    for line in TEXT.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut header);
            parts.entry(header.clone()).or_default();
        } else if !header.is_empty() {
            let part = parts.entry(header.clone()).or_default();
            part.push_str(uncommented(line).unwrap_or(line));
            part.push('\n');
        }
    }
    parts.into_iter().map(|(header, text)| (header.clone(), text.parse().unwrap_or_else(|error| panic!("[{header}]: {error}\n{text}")))).collect()
}

fn section_of(kind: &Kind) -> toml::Table {
    let all = tables();
    let (_, table) = all.iter().find(|(header, _)| header.starts_with("site.") && header.split('.').nth(2) == Some(kind.name)).unwrap_or_else(|| {
        panic!("config.example.toml has no [site.NAME.{}.NAME]", kind.name);
    });
    table.clone()
}

fn told(text: &str) -> String {
    let something = |_: &str| Some("x".to_owned());
    match super::parse(text.as_bytes(), Some("config.example.toml".as_ref()), Standing::Trusted, &something) {
        Ok(loaded) => loaded.warnings.render(false, 120),
        Err(error) => error.render(false, 120),
    }
}

#[test]
fn it_is_right() {
    assert_eq!(told(TEXT), "");
}

#[test]
fn every_key_it_shows_could_be_set() {
    // Each by itself: some exclude each other.
    let lines: Vec<&str> = TEXT.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let Some(key) = uncommented(line) else { continue };
        // A secret of a file is looked for, and the example's are nowhere; a log has a path or a command.
        if key.contains("{ file")
            || key.starts_with("command")
            || key.starts_with("needs")
            || ["steps", "prompt", "after"].iter().any(|word| key.starts_with(word))
        {
            continue;
        }
        let text: Vec<&str> = lines.iter().enumerate().map(|(other, line)| if other == at { key } else { line }).collect();
        let told = told(&text.join("\n"));
        let excused = [
            "mails have `path` or `url`, not both",
            "are of an IMAP folder",
            "is of an IMAP folder",
            "not served yet",
            "not run by this version",
            "not used by this version",
            "a password without a user",
            "a key without a certificate",
        ];
        assert!(told.is_empty() || excused.iter().any(|excuse| told.contains(excuse)), "{told}");
    }
}

fn assert_has(table: &toml::Table, schema: Schema<'_>, path: &str) {
    for key in schema.keys() {
        let inner = schema.key(key).unwrap();
        let value = table.get(key).unwrap_or_else(|| panic!("config.example.toml does not mention `{path}{key}`"));
        if !inner.is_secret()
            && let toml::Value::Table(value) = value
        {
            assert_has(value, inner, &format!("{path}{key}."));
        }
    }
}

#[test]
fn it_mentions_every_key_of_every_kind() {
    for kind in KINDS {
        let (table, schema) = (section_of(kind), (kind.schema)());
        assert_has(&table, Schema::new(&schema), &format!("{}: ", kind.name));
        for key in COMMON {
            assert!(table.contains_key(*key), "{}: {key}", kind.name);
        }
    }
    let all = tables();
    let action = schemars::schema_for!(crate::actions::ActionTable).to_value();
    assert_has(&all["site.shop.action.deploy"], Schema::new(&action), "action: ");
    assert_defaults(&all["site.shop.action.deploy"], Schema::new(&action), "action: ");
    let whole = super::schema::whole();
    for name in ["journal", "ui", "watch"] {
        assert_has(&all[name], Schema::new(&whole["properties"][name]), &format!("{name}: "));
    }
    let site = &whole["properties"]["site"]["patternProperties"]["^[a-z0-9][a-z0-9._-]*$"]["properties"];
    for key in site.as_object().unwrap().keys().filter(|key| !KINDS.iter().any(|kind| kind.name == *key) && *key != "action") {
        assert!(all["site.shop"].contains_key(key), "site: {key}");
    }
}

fn duration(value: Option<&toml::Value>) -> Option<Dur> {
    value?.as_str().and_then(|text| parse_duration(text).ok()).map(Dur)
}

fn assert_defaults(table: &toml::Table, schema: Schema<'_>, path: &str) {
    for key in schema.keys() {
        let (inner, stated) = (schema.key(key).unwrap(), &table[key]);
        match (inner.default(), stated) {
            (Some(Json::Null) | None, toml::Value::Table(stated)) if !inner.is_secret() => assert_defaults(stated, inner, &format!("{path}{key}.")),
            (Some(Json::Object(default)), toml::Value::Table(_)) if !default.is_empty() => {}
            (Some(default), stated) if !default.is_null() => {
                let stated_json = serde_json::to_value(stated).unwrap();
                let same = match (duration(Some(stated)), default.as_str().and_then(|text| parse_duration(text).ok())) {
                    (Some(stated), Some(default)) => stated.get() == default,
                    _ => stated_json == *default,
                };
                assert!(same, "{path}{key}: the example states {stated_json}, embedded is {default}");
            }
            _ => {}
        }
    }
}

#[test]
fn the_defaults_it_states_are_the_embedded_ones() {
    for kind in KINDS {
        let (table, schema) = (section_of(kind), (kind.schema)());
        assert_defaults(&table, Schema::new(&schema), &format!("{}: ", kind.name));

        // What a source is when only the needed keys are given.
        let needed = TEXT
            .split_once(&format!("[site.shop.{}.", kind.name))
            .map(|(_, rest)| rest.lines().skip(1).take_while(|line| !line.starts_with('[')).collect::<Vec<_>>().join("\n"))
            .unwrap();
        let config = (kind.parse)(toml::de::Deserializer::parse(&needed).unwrap()).unwrap();
        let id = SourceId::new("shop", kind.name, "x").unwrap();
        let spec = config.spec(&BuildContext { id, common: Common::default(), base: PathBuf::new(), trusted: true, zone: None, cache: None, state: None });
        assert_eq!(duration(table.get("every")), Some(Dur(spec.every)), "{}: every", kind.name);
        assert_eq!(duration(table.get("timeout")), Some(Dur(spec.timeout)), "{}: timeout", kind.name);
        assert!(spec.enabled && spec.needs.is_empty());
        if table.contains_key("retry_every") {
            assert_eq!(duration(table.get("retry_every")), Some(Dur(spec.retry_every)), "{}: retry_every", kind.name);
        }
        for (key, embedded) in [("failures", spec.failures), ("successes", spec.successes)] {
            if let Some(stated) = table.get(key) {
                assert_eq!(stated.as_integer(), Some(i64::from(embedded)), "{}: {key}", kind.name);
            }
        }
    }
    let whole = super::schema::whole();
    for name in ["journal", "watch"] {
        assert_defaults(&tables()[name], Schema::new(&whole["properties"][name]), &format!("{name}: "));
    }
}
