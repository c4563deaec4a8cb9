//! The shapes of the tables that are not a kind's: sites, the common keys, and the top level. What a kind's table looks like is
//! the kind's own matter.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::suggest;
use super::value::Dur;
use crate::io::secret::SecretRef;

/// The keys every source has.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CommonTable {
    /// The interval between two looks; a kind has its own default.
    pub every: Option<Dur>,
    /// Bounds one whole look; a kind has its own default.
    pub timeout: Option<Dur>,
    /// `false`: paused, and shown as such.
    pub enabled: Option<bool>,
    /// Sources of the same site (`kind/name`) that must be up for this one to be judged.
    pub needs: Option<Vec<String>>,
    /// A page that tells what to do when this is wrong.
    pub runbook: Option<String>,
    /// For reading; the name when not given.
    pub title: Option<String>,
}

/// `[site.NAME]`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SiteTable {
    /// For reading; the name when not given.
    pub title: Option<String>,
    /// Its address.
    pub url: Option<String>,
    /// Where its project lives; relative paths of its sources are relative to this, and this to the file.
    pub directory: Option<PathBuf>,
    /// `production`, `staging`, …: on `production` a dangerous action asks for the site's name.
    pub environment: Option<String>,
    /// For filters.
    pub tags: Option<Vec<String>>,
    /// The zone of time stamps without one, such as `Europe/Berlin`.
    pub zone: Option<Zone>,
    /// Who is asked.
    pub owner: Option<String>,
}

/// `[journal]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalTable {
    /// How long history is kept.
    #[serde(default = "keep")]
    pub keep: Dur,
    /// A PostgreSQL address; the embedded journal without it.
    pub url: Option<String>,
    /// Regular expressions whose matches are masked before anything is stored.
    #[serde(default)]
    pub redact: Vec<String>,
}

fn keep() -> Dur {
    Dur::days(400)
}

impl Default for JournalTable {
    fn default() -> Self {
        Self { keep: keep(), url: None, redact: Vec::new() }
    }
}

/// `[ui]`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UiTable {
    /// The colours, by name or as a table; those of the terminal when not given.
    #[serde(default)]
    #[schemars(with = "Option<ThemeShape>")]
    pub theme: ThemeTable,
    /// What graphs are drawn with; by the locale when not given.
    pub glyphs: Option<Glyphs>,
    /// How many colours; found out when not given.
    pub colors: Option<Colors>,
    /// Whether the mouse is taken.
    pub mouse: Option<bool>,
    /// The zone times are shown in; the machine's when not given.
    pub zone: Option<Zone>,
}

/// `theme = "dark"`, or `theme.name = "dark"` beside `theme.background` and `theme.dim`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ThemeTable {
    /// The colours.
    pub name: Option<Theme>,
    /// What stands behind the text; the terminal is asked when not given.
    pub background: Option<Background>,
    /// How what is not important is dimmed; found out when not given.
    pub dim: Option<Dim>,
}

/// The keys of `theme` as a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ThemeKeys {
    /// The colours.
    name: Option<Theme>,
    /// What stands behind the text; the terminal is asked when not given.
    background: Option<Background>,
    /// How what is not important is dimmed: by the palette's grey, or by the dim attribute where that grey is the background.
    dim: Option<Dim>,
}

/// The two ways to write it, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum ThemeShape {
    Name(Theme),
    Keys(ThemeKeys),
}

impl<'de> Deserialize<'de> for ThemeTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ThemeTable;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a theme such as \"dark\", or a table")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ThemeTable, E> {
                Theme::deserialize(de::value::StrDeserializer::new(text)).map(|name| ThemeTable { name: Some(name), ..ThemeTable::default() })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ThemeTable, A::Error> {
                let keys = ThemeKeys::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(ThemeTable { name: keys.name, background: keys.background, dim: keys.dim })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
        pub(super) enum $name {
            $(#[serde(rename = $word)] $variant),+
        }

        impl $name {
            pub(super) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// The colours.
    Theme { Terminal = "terminal", Dark = "dark", Light = "light", Contrast = "contrast", Deutan = "deutan", Tritan = "tritan", Mono = "mono" }
}
words! {
    /// What stands behind the text.
    Background { Dark = "dark", Light = "light" }
}
words! {
    /// How what is not important is dimmed.
    Dim { Colour = "colour", Attribute = "attribute" }
}
words! {
    /// What graphs are drawn with.
    Glyphs { Braille = "braille", Block = "block", Ascii = "ascii" }
}
words! {
    /// How many colours.
    Colors { Auto = "auto", None = "none", Sixteen = "16", Many = "256", True = "true" }
}

words! {
    /// What a page of the wall shows.
    WallPage {
        Sites = "sites", Attention = "attention", Health = "health", Errors = "errors", Logs = "logs", Metrics = "metrics", Dependencies = "dependencies",
        Backups = "backups", Deploys = "deploys", Due = "due", Activity = "activity"
    }
}

/// `[wall]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WallTable {
    /// How long a page stays while all is well.
    #[serde(default = "rotate")]
    pub rotate: Dur,
    /// The pages shown while all is well: `sites`, and pages of the dashboard by name.
    #[serde(default = "wall_pages")]
    pub pages: Vec<WallPage>,
    /// Whether warnings stop the rotation as critical and unknown findings do.
    #[serde(default)]
    pub warnings: bool,
}

fn rotate() -> Dur {
    Dur(std::time::Duration::from_secs(20))
}

fn wall_pages() -> Vec<WallPage> {
    vec![WallPage::Sites]
}

/// `[watch]`: the collector without a screen, `rounds watch`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WatchTable {
    /// Where `/metrics` and `/health` are served: an address of this machine with a port, or `none`.
    #[serde(default = "listen")]
    pub listen: String,
    /// Whether `listen` may be an address that other machines reach.
    #[serde(default)]
    pub listen_to_others: bool,
    /// An address of yours that is called while rounds looks and keeps, so that somebody watches rounds.
    pub heartbeat: Option<SecretRef>,
    /// How often it is called.
    #[serde(default = "heartbeat_every")]
    pub heartbeat_every: Dur,
}

fn listen() -> String {
    "127.0.0.1:9911".to_owned()
}

fn heartbeat_every() -> Dur {
    Dur::secs(60)
}

/// `[round.NAME]`: accepted, not served yet.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "checked, and served by a later version")]
pub(super) struct RoundTable {
    /// The items of the checklist.
    #[schemars(with = "Option<Vec<serde_json::Value>>")]
    pub items: Option<Vec<toml::Value>>,
}

/// `[offline]`: how rounds knows that it is cut off itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfflineTable {
    /// Addresses that answer unless this machine is cut off: `host:port`, or a URL. Without them it is when there is no default route.
    pub anchors: Option<Vec<String>>,
}

/// A zone of the time zone database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Zone(pub chrono_tz::Tz);

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Zone;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time zone such as \"Europe/Berlin\" or \"UTC\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Zone, E> {
                text.parse().map(Zone).map_err(|_| {
                    let near = suggest::nearest(text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
                    let near = near.map_or_else(|| "write one such as \"Europe/Berlin\" or \"UTC\"".to_owned(), |near| format!("did you mean \"{near}\"?"));
                    E::custom(format!("\"{text}\" is no time zone: {near}"))
                })
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

impl JsonSchema for Zone {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Zone".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A zone of the time zone database.", "examples": ["UTC", "Europe/Berlin"] })
    }
}

/// Kinds that the contract names and this version does not serve yet, so that they are not taken for a typing mistake.
pub(super) static PLANNED_KINDS: &[&str] = &[
    "http",
    "tcp",
    "tls",
    "dns",
    "ping",
    "plugin",
    "heartbeat",
    "hygiene",
    "django",
    "sentry",
    "bugsink",
    "log",
    "mail",
    "python",
    "npm",
    "cargo",
    "eol",
    "restic",
    "borg",
    "borgmatic",
    "pgbackrest",
    "barman",
    "files",
    "healthchecks",
    "sentry_monitor",
    "backup_command",
    "prometheus",
    "alertmanager",
    "scrape",
    "graphite",
    "statsd",
    "grafana",
    "newrelic",
    "graph",
    "circleci",
    "github",
    "git",
    "heroku",
    "dockerhub",
    "supervisor",
    "systemd",
    "postgres",
    "mysql",
    "redis",
    "memcached",
    "rabbitmq",
    "elasticsearch",
    "varnish",
    "nginx",
    "celery",
    "task",
    "objective",
];

/// The tables and keys of the top level.
pub(super) static TOP: &[&str] = &["site", "defaults", "journal", "ui", "keys", "wall", "watch", "round", "notify", "offline", "include"];
