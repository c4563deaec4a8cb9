//! The keys that every kind of backup has: what is promised, how the tool checks what it keeps, how a restore is tried.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::value::{Dur, Size};
use crate::domain::SourceError;
use crate::io::secret::SecretRef;
use crate::sources::{BuildContext, Complaint};

/// How old the last good copy may be where nothing is promised: a day, and two hours for the job to run.
const MAX_AGE: Duration = Duration::from_secs(26 * 3_600);

/// What was promised of a data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Promise {
    /// How old the last good copy may be, in seconds.
    pub max_age_s: Option<u64>,
    /// How small it may be, in bytes.
    pub min_size_bytes: Option<u64>,
    /// How many copies are kept at least.
    pub retention: Option<u64>,
    /// How often the tool checks what it keeps, in seconds.
    pub check_every_s: Option<u64>,
    /// How often a restore is tried, in seconds.
    pub drill_every_s: Option<u64>,
}

impl Promise {
    /// From the keys; without `max_age` it is 26 hours.
    #[must_use]
    pub fn new(max_age: Option<Dur>, min_size: Option<Size>, retention: Option<u32>, check: Option<&CheckConfig>, drill: Option<&DrillConfig>) -> Self {
        let seconds = |every: Option<Dur>| every.map(|every| every.get().as_secs());
        Self {
            max_age_s: Some(max_age.map_or(MAX_AGE, Dur::get).as_secs()),
            min_size_bytes: min_size.map(Size::bytes),
            retention: retention.map(u64::from),
            check_every_s: check.and_then(|check| seconds(check.every)),
            drill_every_s: drill.and_then(|drill| seconds(drill.every)),
        }
    }
}

/// The tool's own look at what it keeps. It may read much, so it runs only on this schedule (`rounds watch`) or when asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckConfig {
    /// How often. Without it nothing is checked by itself.
    pub every: Option<Dur>,
    /// How much of the data is read, where the tool can: `"5%"`, `"all"`; only the structure when not given.
    pub data: Option<String>,
    /// The time limit of one check; 2 hours when not given.
    pub timeout: Option<Dur>,
}

/// A restore into a scratch place.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DrillConfig {
    /// How often. `rounds watch` runs it then; without it a person does, by key or `rounds drill`.
    pub every: Option<Dur>,
    /// What the copy is loaded into once it is restored; by the copy itself when not given.
    pub into: Option<Into>,
    /// An empty or not yet existing directory below which scratch places are made; the system's folder for temporary files when not given.
    pub scratch: Option<String>,
    /// A PostgreSQL server on which a scratch database is made, as an address; a throw-away server is started when not given.
    pub server: Option<SecretRef>,
    /// Only these paths of the copy are restored.
    pub paths: Vec<String>,
    /// The time limit of a whole drill; 2 hours when not given.
    pub timeout: Option<Dur>,
    /// What must hold of what was restored.
    pub assert: AssertConfig,
}

/// What a restored copy is loaded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Into {
    /// Nothing: the files are what is looked at.
    Files,
    /// An SQLite database.
    Sqlite,
    /// A PostgreSQL database.
    Postgres,
}

/// What must hold of what was restored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AssertConfig {
    /// Files that must be there and not empty: names with `*`, `?`, `[…]` or `**`.
    pub files: Vec<String>,
    /// Tables that must be there.
    pub tables: Vec<String>,
    /// Rows that a table must have at least: `{ orders = 1000 }`.
    pub rows: BTreeMap<String, u64>,
    /// How old the newest value of a column of times may have been when the copy was made: `{ "orders.created" = "26h" }`.
    pub newest: BTreeMap<String, Dur>,
    /// So many restored files, chosen at random, must be the same as in the source where they did not change since the copy.
    pub same: Option<u32>,
    /// A command that must exit with 0, in the restored directory; `ROUNDS_DRILL_DIR` and, with a database, `ROUNDS_DRILL_DATABASE` tell where.
    pub command: Option<Vec<String>>,
}

/// The secrets of a drill, with their keys.
#[must_use]
pub fn secrets(drill: Option<&DrillConfig>) -> Vec<(Vec<String>, &SecretRef)> {
    let server = drill.and_then(|drill| drill.server.as_ref());
    server.map(|secret| (vec!["drill".to_owned(), "server".to_owned()], secret)).into_iter().collect()
}

/// The command by which a drill asserts.
#[must_use]
pub fn asserted(drill: Option<&DrillConfig>) -> Option<Vec<String>> {
    drill.and_then(|drill| drill.assert.command.clone())
}

/// Nothing is run for a configuration that nobody has looked at.
///
/// # Errors
/// When it is not trusted.
pub fn trusted(context: &BuildContext) -> Result<(), SourceError> {
    let untrusted = || SourceError::config("this configuration may not run commands", "look at it, then run `rounds trust`");
    context.trusted.then_some(()).ok_or_else(untrusted)
}

/// What is wrong with a tool's own words.
#[must_use]
pub fn empty_command(command: Option<&[String]>) -> Option<Complaint> {
    let empty = command.is_some_and(|argv| argv.first().is_none_or(String::is_empty));
    empty.then(|| complaint(&["command"], "the command is empty", "write the program and what stands before it as a list"))
}

fn complaint(path: &[&str], message: &str, help: &str) -> Complaint {
    Complaint { path: path.iter().map(|&part| part.to_owned()).collect(), message: message.to_owned(), help: help.to_owned(), warning: false }
}

/// What is wrong with the keys that every kind of backup has.
#[must_use]
pub fn complaints(max_age: Option<Dur>, check: Option<&CheckConfig>, drill: Option<&DrillConfig>) -> Vec<Complaint> {
    let mut all = Vec::new();
    if max_age.is_some_and(|age| age.get().is_zero()) {
        all.push(complaint(&["max_age"], "no copy is zero seconds old", "write how old the last copy may be, such as \"26h\""));
    }
    if let Some(check) = check {
        if check.every.is_some_and(|every| every.get() < Duration::from_secs(3_600)) {
            all.push(complaint(&["check", "every"], "a check reads much: once an hour is the most", "write such as \"7d\""));
        }
        if check.data.as_deref().is_some_and(|data| data != "all" && share(data).is_none()) {
            all.push(complaint(&["check", "data"], "this is no share of the data", "write \"5%\", or \"all\""));
        }
    }
    if let Some(drill) = drill {
        if drill.every.is_some_and(|every| every.get() < Duration::from_secs(3_600)) {
            all.push(complaint(&["drill", "every"], "a drill restores a whole copy: once an hour is the most", "write such as \"30d\""));
        }
        if drill.assert.command.as_ref().is_some_and(Vec::is_empty) {
            all.push(complaint(&["drill", "assert", "command"], "the command is empty", "write the program and its arguments as a list"));
        }
        for pattern in drill.assert.files.iter().filter(|pattern| glob::Pattern::new(pattern).is_err()) {
            all.push(complaint(&["drill", "assert", "files"], &format!("`{pattern}` is not a pattern"), "`*` is any text, `**` any folders, `[…]` one of"));
        }
        for column in drill.assert.newest.keys().filter(|column| column.split_once('.').is_none_or(|(table, column)| table.is_empty() || column.is_empty())) {
            all.push(complaint(&["drill", "assert", "newest"], &format!("`{column}` names no column of a table"), "write \"table.column\" = \"26h\""));
        }
        let wants_database = !drill.assert.tables.is_empty() || !drill.assert.rows.is_empty() || !drill.assert.newest.is_empty();
        if drill.into == Some(Into::Files) && wants_database {
            all.push(complaint(
                &["drill", "into"],
                "tables are asserted, but nothing is loaded into a database",
                "write \"sqlite\" or \"postgres\", or leave `into` out",
            ));
        }
    }
    all
}

/// `"5%"` as 5.0; above 0 and up to 100.
#[must_use]
pub fn share(text: &str) -> Option<f64> {
    let share: f64 = text.trim().strip_suffix('%')?.trim().parse().ok()?;
    (share > 0.0 && share <= 100.0).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill(text: &str) -> DrillConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let said = |text: &str| -> Vec<String> {
            complaints(None, None, Some(&drill(text))).into_iter().map(|c| format!("{}: {}", c.path.join("."), c.message)).collect()
        };
        assert!(said("every = \"30d\"\nassert.files = [\"*/dump.sql\"]").is_empty());
        assert_eq!(said("every = \"5m\""), ["drill.every: a drill restores a whole copy: once an hour is the most"]);
        assert_eq!(said("assert.command = []"), ["drill.assert.command: the command is empty"]);
        assert_eq!(said("assert.files = [\"a[\"]"), ["drill.assert.files: `a[` is not a pattern"]);
        assert_eq!(said("assert.newest = { orders = \"26h\" }"), ["drill.assert.newest: `orders` names no column of a table"]);
        assert_eq!(said("into = \"files\"\nassert.tables = [\"orders\"]").len(), 1);
        let check = CheckConfig { data: Some("half".to_owned()), ..CheckConfig::default() };
        assert_eq!(complaints(Some(Dur::secs(0)), Some(&check), None).len(), 2);
    }

    #[test]
    fn a_share_is_a_number_of_hundredths() {
        for (text, expected) in [("5%", Some(5.0)), (" 2.5 %", Some(2.5)), ("100%", Some(100.0)), ("0%", None), ("101%", None), ("5", None), ("NaN%", None)] {
            assert_eq!(share(text), expected, "{text}");
        }
    }
}
