//! `[keys]`: command ids and the keys they get. What a key is and where two clash is known where keys are dispatched.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::diagnostic::Diagnostic;
use super::keys::{Spot, in_order};
use super::suggest;
use crate::state::command::COMMANDS;
use crate::ui::keymap::Keymap;

/// Reads `[keys]`: a key or a list of keys for each command.
pub(super) fn read(value: &Spot<'_>) -> (BTreeMap<String, Vec<String>>, Vec<Diagnostic>) {
    let (mut keys, mut told) = (BTreeMap::new(), Vec::new());
    let DeValue::Table(table) = value.get_ref() else {
        told.push(Diagnostic::error(value.span(), "`keys` is a table: write [keys]", ""));
        return (keys, told);
    };
    for (id, value) in in_order(table) {
        let name = id.get_ref().as_ref();
        if !COMMANDS.iter().any(|row| row.id == name) {
            let help = suggest::nearest(name, COMMANDS.iter().map(|row| row.id))
                .map_or_else(|| "`?` in the dashboard shows all commands".to_owned(), |near| format!("did you mean `{near}`?"));
            told.push(Diagnostic::error(id.span(), format!("unknown command `{name}`"), help));
            continue;
        }
        let mut own = Vec::new();
        let elements: Vec<&Spot<'_>> = match value.get_ref() {
            DeValue::Array(array) => array.iter().collect(),
            _ => vec![value],
        };
        for element in elements {
            match element.get_ref() {
                DeValue::String(key) => own.push(key.to_string()),
                _ => told.push(Diagnostic::error(element.span(), "a key is a text in quotes", "write a key such as \"j\", or a list of keys")),
            }
        }
        keys.insert(name.to_owned(), own);
    }
    if told.is_empty()
        && let Err(errors) = Keymap::new(&keys)
    {
        for error in errors {
            let place = table.get_key_value(error.at()).map_or_else(|| value.span(), |(key, _)| key.span());
            told.push(Diagnostic::error(place, error.to_string(), ""));
        }
    }
    (keys, told)
}
