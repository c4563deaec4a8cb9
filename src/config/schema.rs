//! `config schema`: the JSON schema of the whole file, put together from the schemas of the kinds.

use serde_json::{Map, Value as Json, json};

use super::shape::{CommonTable, JournalTable, OfflineTable, RoundTable, SiteTable, UiTable, WallTable, WatchTable};
use crate::sources::kinds::KINDS;
use crate::state::command::COMMANDS;

/// Names of sites, sources, rounds.
const NAME: &str = "^[a-z0-9][a-z0-9._-]*$";

/// The JSON schema (draft 2020-12) of a configuration file.
#[must_use]
pub fn whole() -> Json {
    let mut definitions = Map::new();
    let common = of::<CommonTable>("common", &mut definitions);
    let mut site = of::<SiteTable>("site", &mut definitions);
    let mut defaults = Map::new();
    for kind in KINDS {
        let mut source = brought_in((kind.schema)(), kind.name, &mut definitions);
        add_properties(&mut source, &common);
        source["description"] = json!(kind.doc);
        // A default need not have what every source must have.
        let mut default = source.clone();
        if let Some(default) = default.as_object_mut() {
            default.remove("required");
        }
        defaults.insert(kind.name.to_owned(), default);
        if let Some(keys) = site["properties"].as_object_mut() {
            keys.insert(kind.name.to_owned(), named(&source, kind.doc));
        }
    }
    let action = of::<crate::actions::ActionTable>("action", &mut definitions);
    if let Some(keys) = site["properties"].as_object_mut() {
        keys.insert("action".to_owned(), named(&action, "A command that a key can run."));
    }
    let commands: Map<String, Json> = COMMANDS
        .iter()
        .map(|row| {
            let key =
                json!({ "description": row.doc, "default": row.keys, "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] });
            (row.id.to_owned(), key)
        })
        .collect();
    let round = of::<RoundTable>("round", &mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rounds",
        "description": "The configuration of rounds.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "site": named(&site, "One deployed application in one environment."),
            "defaults": { "type": "object", "description": "Keys under every source of a kind.", "properties": defaults },
            "journal": of::<JournalTable>("journal", &mut definitions),
            "ui": of::<UiTable>("ui", &mut definitions),
            "keys": { "type": "object", "description": "Keys of commands.", "properties": commands, "additionalProperties": false },
            "wall": of::<WallTable>("wall", &mut definitions),
            "watch": of::<WatchTable>("watch", &mut definitions),
            "round": named(&round, "A checklist."),
            "notify": { "type": "object" },
            "offline": of::<OfflineTable>("offline", &mut definitions),
            "include": {
                "description": "Further files of this configuration, relative to the one that names them.",
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
            },
        },
        "$defs": definitions,
    })
}

fn of<T: schemars::JsonSchema>(name: &str, definitions: &mut Map<String, Json>) -> Json {
    brought_in(schemars::schema_for!(T).to_value(), name, definitions)
}

/// A schema whose definitions were moved to the whole's, under names of their own.
fn brought_in(mut schema: Json, name: &str, definitions: &mut Map<String, Json>) -> Json {
    let own = schema.as_object_mut().and_then(|schema| {
        schema.remove("$schema");
        schema.remove("title");
        schema.remove("$defs")
    });
    point_to(&mut schema, name);
    if let Some(Json::Object(own)) = own {
        for (word, mut definition) in own {
            point_to(&mut definition, name);
            definitions.insert(format!("{name}.{word}"), definition);
        }
    }
    schema
}

fn point_to(node: &mut Json, name: &str) {
    match node {
        Json::Object(map) => {
            for (key, value) in map {
                match value {
                    Json::String(target) if key == "$ref" => {
                        if let Some(word) = target.strip_prefix("#/$defs/") {
                            *target = format!("#/$defs/{name}.{word}");
                        }
                    }
                    value => point_to(value, name),
                }
            }
        }
        Json::Array(array) => array.iter_mut().for_each(|value| point_to(value, name)),
        _ => {}
    }
}

fn add_properties(schema: &mut Json, more: &Json) {
    let more = more["properties"].as_object().cloned().unwrap_or_default();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("additionalProperties".to_owned(), Json::Bool(false));
        if let Some(keys) = schema.entry("properties").or_insert_with(|| json!({})).as_object_mut() {
            for (key, value) in more {
                keys.entry(key).or_insert(value);
            }
        }
    }
}

fn named(schema: &Json, description: &str) -> Json {
    json!({ "type": "object", "description": description, "patternProperties": { NAME: schema }, "additionalProperties": false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(node: &Json, into: &mut Vec<String>) {
        match node {
            Json::Object(map) => {
                for (key, value) in map {
                    match value {
                        Json::String(target) if key == "$ref" => into.push(target.clone()),
                        value => references(value, into),
                    }
                }
            }
            Json::Array(array) => array.iter().for_each(|value| references(value, into)),
            _ => {}
        }
    }

    #[test]
    fn it_has_every_kind_with_its_own_and_the_common_keys_and_every_reference_leads_somewhere() {
        let whole = whole();
        for kind in KINDS {
            let source =
                whole.pointer(&format!("/properties/site/patternProperties/{NAME}/properties/{}/patternProperties/{NAME}/properties", kind.name)).unwrap();
            assert!(source.get("every").is_some() && source.get("runbook").is_some());
            for key in (kind.schema)()["properties"].as_object().into_iter().flat_map(Map::keys) {
                assert!(source.get(key).is_some(), "{}: {key}", kind.name);
            }
        }
        let mut all = Vec::new();
        references(&whole, &mut all);
        for target in all {
            assert!(whole.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
    }
}
