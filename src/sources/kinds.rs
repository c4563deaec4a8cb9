//! The table of kinds. Adding a source is its folder and its line here.

use serde::de::DeserializeOwned;

use super::SourceConfig;
use crate::domain::Capability;

/// One kind of source: its name in the configuration, its keys, and how it is made.
pub struct Kind {
    /// `http`, `log`, …: the third part of `[site.NAME.KIND.NAME]`.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Primary capability.
    pub capability: Capability,
    /// JSON schema of its own keys (without the common ones).
    pub schema: fn() -> serde_json::Value,
    /// Deserialises its own keys (without the common ones), keeping spans in the error.
    pub parse: fn(toml::de::Deserializer<'_>) -> Result<Box<dyn SourceConfig>, toml::de::Error>,
}

/// Deserialises one kind's configuration.
pub(crate) fn parse<C: SourceConfig + DeserializeOwned + 'static>(table: toml::de::Deserializer<'_>) -> Result<Box<dyn SourceConfig>, toml::de::Error> {
    Ok(Box::new(C::deserialize(table)?))
}

/// The JSON schema of one kind's keys.
pub(crate) fn schema<C: schemars::JsonSchema>() -> serde_json::Value {
    schemars::schema_for!(C).to_value()
}

/// All kinds, in the order in which they are documented.
pub static KINDS: &[Kind] = &[
    Kind {
        name: "http",
        doc: "A health endpoint over HTTP or HTTPS.",
        capability: Capability::Health,
        schema: schema::<super::http::Config>,
        parse: parse::<super::http::Config>,
    },
    Kind {
        name: "log",
        doc: "Log files, or a command that prints a log.",
        capability: Capability::Log,
        schema: schema::<super::log::Config>,
        parse: parse::<super::log::Config>,
    },
    Kind {
        name: "mail",
        doc: "Mails about errors: a maildir, an mbox, or an IMAP folder.",
        capability: Capability::Log,
        schema: schema::<super::mail::Config>,
        parse: parse::<super::mail::Config>,
    },
    Kind {
        name: "sentry",
        doc: "An error tracker that speaks Sentry's API.",
        capability: Capability::Issues,
        schema: schema::<super::sentry::Config>,
        parse: parse::<super::sentry::Config>,
    },
    Kind {
        name: "bugsink",
        doc: "A Bugsink, through its own API.",
        capability: Capability::Issues,
        schema: schema::<super::bugsink::Config>,
        parse: parse::<super::bugsink::Config>,
    },
    Kind {
        name: "files",
        doc: "Backups that are plain files: dumps and archives in a folder.",
        capability: Capability::Backup,
        schema: schema::<super::files::Config>,
        parse: parse::<super::files::Config>,
    },
    Kind {
        name: "restic",
        doc: "Backups that restic keeps.",
        capability: Capability::Backup,
        schema: schema::<super::restic::Config>,
        parse: parse::<super::restic::Config>,
    },
    Kind {
        name: "borg",
        doc: "Backups that borg keeps.",
        capability: Capability::Backup,
        schema: schema::<super::borg::Config>,
        parse: parse::<super::borg::Config>,
    },
    Kind {
        name: "borgmatic",
        doc: "Backups that borgmatic makes.",
        capability: Capability::Backup,
        schema: schema::<super::borgmatic::Config>,
        parse: parse::<super::borgmatic::Config>,
    },
    Kind {
        name: "pgbackrest",
        doc: "Backups of a PostgreSQL cluster by pgBackRest.",
        capability: Capability::Backup,
        schema: schema::<super::pgbackrest::Config>,
        parse: parse::<super::pgbackrest::Config>,
    },
    Kind {
        name: "barman",
        doc: "Backups of a PostgreSQL server by Barman.",
        capability: Capability::Backup,
        schema: schema::<super::barman::Config>,
        parse: parse::<super::barman::Config>,
    },
    Kind {
        name: "heroku_backups",
        doc: "The logical backups of a Heroku Postgres database.",
        capability: Capability::Backup,
        schema: schema::<super::heroku_backups::Config>,
        parse: parse::<super::heroku_backups::Config>,
    },
    Kind {
        name: "backup_command",
        doc: "Backups that a command of yours tells of.",
        capability: Capability::Backup,
        schema: schema::<super::backup_command::Config>,
        parse: parse::<super::backup_command::Config>,
    },
    Kind {
        name: "sentry_monitor",
        doc: "A cron monitor of Sentry that a backup's job checks in with.",
        capability: Capability::Backup,
        schema: schema::<super::sentry::monitor::Config>,
        parse: parse::<super::sentry::monitor::Config>,
    },
    Kind {
        name: "healthchecks",
        doc: "A check of Healthchecks that a backup pings.",
        capability: Capability::Backup,
        schema: schema::<super::healthchecks::Config>,
        parse: parse::<super::healthchecks::Config>,
    },
    Kind {
        name: "python",
        doc: "The packages of a Python project: requirements, lock files, an environment.",
        capability: Capability::Packages,
        schema: schema::<super::python::Config>,
        parse: parse::<super::python::Config>,
    },
    Kind {
        name: "npm",
        doc: "The packages of a JavaScript project, by its package-lock.json.",
        capability: Capability::Packages,
        schema: schema::<super::npm::Config>,
        parse: parse::<super::npm::Config>,
    },
    Kind {
        name: "cargo",
        doc: "The packages of a Rust project, by its Cargo.lock.",
        capability: Capability::Packages,
        schema: schema::<super::cargo::Config>,
        parse: parse::<super::cargo::Config>,
    },
    Kind {
        name: "eol",
        doc: "Until when the products that a site stands on are supported.",
        capability: Capability::Life,
        schema: schema::<super::eol::Config>,
        parse: parse::<super::eol::Config>,
    },
];

/// The kind of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
