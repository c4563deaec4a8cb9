//! The walk: from the parsed document down to `site.NAME.KIND.NAME`, telling everything that is wrong on the way.
//!
//! What does not belong here: finding and reading the file (`mod`), what a kind's keys mean (the kind).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Level};
use super::keys::{self, Schema, Spot};
use super::model::{Entry, Journal, Place, Site, Ui, Watch};
use super::shape::{CommonTable, PLANNED_KINDS, SiteTable};
use super::show::{self, ShownTable};
use super::texts::Texts;
use super::{leaf, suggest};
use crate::actions::Action;
use crate::domain::SourceId;
use crate::domain::id::is_name;
use crate::domain::time::duration_text;
use crate::io::secret::{self, SecretRef};
use crate::sources::kinds::Kind;
use crate::sources::{BuildContext, Common};
use crate::state::wall::Settings;

/// A source is not asked more often than this.
const SHORTEST_EVERY: Duration = Duration::from_millis(100);

/// What a walk knows beside the document.
pub(super) struct Around<'a> {
    /// The table of kinds.
    pub kinds: &'static [Kind],
    /// Whether commands may run.
    pub trusted: bool,
    /// Reads an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The document has syntax errors: what is missing may only be unreadable.
    pub broken: bool,
}

/// What a walk found. Usable only when nothing told is an error.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub told: Vec<Diagnostic>,
    pub secrets: Vec<Range<usize>>,
    pub sites: Vec<Site>,
    pub sources: Vec<Entry>,
    pub actions: Vec<Action>,
    pub journal: Journal,
    pub keys: BTreeMap<String, Vec<String>>,
    pub ui: Ui,
    pub anchors: Vec<Place>,
    pub wall: Settings,
    pub watch: Watch,
    pub shown: Vec<ShownTable>,
    /// Sources that would run a command.
    pub commands: usize,
}

/// One element of `needs`, and where it stands.
pub(super) type Need = (String, Range<usize>);

pub(super) struct Walk<'a> {
    pub(super) texts: &'a Texts,
    pub(super) around: &'a Around<'a>,
    schemas: HashMap<&'static str, Json>,
    /// `needs`, to be looked at when all sources are known.
    pub(super) needs: Vec<(SourceId, Vec<Need>)>,
    /// What actions name, to be looked at then too.
    pub(super) named: Vec<super::actions::Named>,
    pub(super) out: Walked,
}

/// Walks a document.
pub(super) fn walk(texts: &Texts, document: &DeTable<'_>, around: &Around<'_>) -> Walked {
    let mut walk = Walk {
        texts,
        around,
        schemas: around.kinds.iter().map(|kind| (kind.name, (kind.schema)())).collect(),
        needs: Vec::new(),
        named: Vec::new(),
        out: Walked::default(),
    };
    keys::secret_places(document, None, &mut walk.out.secrets);
    let defaults = walk.defaults(document.get("defaults"));
    walk.top(document);
    if let Some(sites) = document.get("site") {
        walk.sites(sites, &defaults);
    }
    if !around.broken {
        walk.check_needs();
        walk.check_actions();
    }
    walk.out
}

/// The names of the keys every source has.
pub(super) static COMMON: &[&str] = &["every", "timeout", "enabled", "needs", "runbook", "title"];

impl Walk<'_> {
    pub(super) fn names_of_kinds(&self) -> Vec<&'static str> {
        self.around.kinds.iter().map(|kind| kind.name).collect()
    }

    pub(super) fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.out.told.push(Diagnostic::error(span, message, help));
    }

    /// `[defaults.KIND]`, each with its wrong keys told and taken out.
    fn defaults<'i>(&mut self, value: Option<&Spot<'i>>) -> HashMap<&'static str, DeTable<'i>> {
        let mut defaults = HashMap::new();
        let Some(value) = value else { return defaults };
        let DeValue::Table(kinds) = value.get_ref() else {
            self.error(value.span(), "`defaults` has a table for each kind: write [defaults.http]", "");
            return defaults;
        };
        for (key, value) in keys::in_order(kinds) {
            let name = key.get_ref().as_ref();
            let Some(kind) = self.around.kinds.iter().find(|kind| kind.name == name) else {
                if PLANNED_KINDS.contains(&name) {
                    let help = "it is read and changes nothing";
                    self.out.told.push(Diagnostic::warning(key.span(), format!("this version does not know the kind `{name}` yet"), help));
                } else {
                    self.error(key.span(), format!("unknown kind `{name}`"), suggest::help(name, self.names_of_kinds()));
                }
                continue;
            };
            let DeValue::Table(table) = value.get_ref() else {
                self.error(value.span(), format!("`defaults.{name}` is a table: write [defaults.{name}]"), "");
                continue;
            };
            let mut table = table.clone();
            let schemas = std::mem::take(&mut self.schemas);
            if let Some(schema) = schemas.get(kind.name).map(Schema::new) {
                keys::secret_places(&table, Some(schema), &mut self.out.secrets);
                keys::take_unknown(&mut table, schema, COMMON, &mut self.out.told);
            }
            self.schemas = schemas;
            // A type that is wrong here is told here and once, not in every source it would reach.
            let before = self.out.told.len();
            let (common, own) = Self::split(&table);
            leaf::read(&common, &value.span(), true, CommonTable::deserialize, &mut self.out.told);
            leaf::read(&own, &value.span(), true, kind.parse, &mut self.out.told);
            let wrong: Vec<Range<usize>> = self.out.told[before..].iter().filter_map(|one| one.span.clone()).collect();
            for span in wrong {
                leaf::take_out(&mut table, &span);
            }
            defaults.insert(kind.name, table);
        }
        defaults
    }

    /// The common keys, and the kind's own.
    fn split<'i>(table: &DeTable<'i>) -> (DeTable<'i>, DeTable<'i>) {
        (keys::only(table, |key| COMMON.contains(&key)), keys::only(table, |key| !COMMON.contains(&key)))
    }

    fn sites(&mut self, value: &Spot<'_>, defaults: &HashMap<&'static str, DeTable<'_>>) {
        let DeValue::Table(sites) = value.get_ref() else {
            return self.error(value.span(), "`site` has a table for each site: write [site.NAME]", "");
        };
        let mut nameless = false;
        for (key, value) in keys::in_order(sites) {
            if let DeValue::Table(table) = value.get_ref() {
                self.site(key, value, table, defaults);
            } else if !nameless {
                nameless = true;
                let help = format!("write [site.NAME], and `{}` below it", key.get_ref());
                self.error(key.span(), "a site needs a name", help);
            }
        }
    }

    pub(super) fn name(&mut self, what: &str, key: &toml::Spanned<std::borrow::Cow<'_, str>>) -> bool {
        let name = key.get_ref();
        if is_name(name) {
            return true;
        }
        let better: String =
            name.to_lowercase().chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect();
        let better = better.trim_start_matches(['.', '_', '-']).trim_end_matches('-');
        let help = if is_name(better) { format!("write `{better}`; `title` may be any text") } else { "`title` may be any text".to_owned() };
        let message = format!("\"{name}\" is no name of {what}: lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit");
        self.error(key.span(), message, help);
        false
    }

    fn site(&mut self, key: &toml::Spanned<std::borrow::Cow<'_, str>>, value: &Spot<'_>, table: &DeTable<'_>, defaults: &HashMap<&'static str, DeTable<'_>>) {
        let named = self.name("a site", key);
        let name = key.get_ref().as_ref();
        let schema = schemars::schema_for!(SiteTable).to_value();
        let site_keys = Schema::new(&schema).keys();
        let own = keys::only(table, |key| site_keys.contains(&key));
        let read = leaf::read(&own, &value.span(), true, SiteTable::deserialize, &mut self.out.told).unwrap_or_default();
        if let Some(url) = &read.url {
            self.check_address(url, keys::place_of(&own, value.span(), &["url".to_owned()]));
        }
        let site = Site {
            name: name.to_owned(),
            title: read.title,
            url: read.url,
            directory: read.directory.map(|directory| self.texts.folder(keys::place_of(&own, value.span(), &["directory".to_owned()]).start).join(directory)),
            environment: read.environment,
            tags: read.tags.unwrap_or_default(),
            zone: read.zone.map(|zone| zone.0),
            owner: read.owner,
        };
        self.out.shown.push(show::table(&["site", name], self.texts, &own, &DeTable::new(), Schema::new(&schema)));

        for (key, value) in keys::in_order(table) {
            let word = key.get_ref().as_ref();
            if let Some(kind) = self.around.kinds.iter().find(|kind| kind.name == word) {
                self.kind(&site, kind, value, defaults.get(kind.name));
            } else if word == "action" {
                self.actions(&site, value);
            } else if site_keys.contains(&word) {
            } else if PLANNED_KINDS.contains(&word) {
                let help = format!("it knows {}", sentence(&self.names_of_kinds()));
                self.error(key.span(), format!("this version does not know the kind `{word}` yet"), help);
            } else if matches!(value.get_ref(), DeValue::Table(_)) {
                let all: Vec<&str> = self.names_of_kinds().into_iter().chain(PLANNED_KINDS.iter().copied()).chain(["action"]).collect();
                let help = suggest::nearest(word, all).map_or_else(|| suggest::help("", self.names_of_kinds()), |near| format!("did you mean `{near}`?"));
                self.error(key.span(), format!("unknown kind `{word}`"), help);
            } else {
                self.error(key.span(), format!("unknown key `{word}` of a site"), suggest::help(word, site_keys.clone()));
            }
        }
        if named {
            self.out.sites.push(site);
        }
    }

    fn check_address(&mut self, address: &str, span: Range<usize>) {
        match url::Url::parse(address) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {}
            Ok(_) => self.error(span, "an address begins with https:// or http://", ""),
            Err(error) => self.error(span, format!("not an address: {error}"), "write it whole, such as \"https://shop.example.com\""),
        }
    }

    fn kind(&mut self, site: &Site, kind: &'static Kind, value: &Spot<'_>, default: Option<&DeTable<'_>>) {
        let (site_name, kind_name) = (&site.name, kind.name);
        let shape = format!("[site.{site_name}.{kind_name}.NAME]");
        let sources = match value.get_ref() {
            DeValue::Table(table) => table,
            DeValue::Array(_) => {
                return self.error(value.span(), format!("`{kind_name}` is no list: each source has a name"), format!("write {shape} for each"));
            }
            _ => return self.error(value.span(), format!("`{kind_name}` is a kind of source"), format!("write {shape}")),
        };
        let schemas = std::mem::take(&mut self.schemas);
        if let Some(schema) = schemas.get(kind.name).map(Schema::new) {
            // `[site.x.http]` with the keys of a source: the name was forgotten.
            let text = self.texts.whole();
            let header = |span: Range<usize>| text.get(span).is_some_and(|text| text.starts_with('['));
            let own_key = |key: &str| schema.key(key).is_some() || COMMON.contains(&key);
            let nameless = sources.is_empty()
                || sources.iter().any(|(key, value)| !matches!(value.get_ref(), DeValue::Table(_)) || own_key(key.get_ref()) && !header(value.span()));
            if nameless {
                let example = if kind_name == "http" { "home" } else { "main" };
                let help = format!("write {shape}, such as [site.{site_name}.{kind_name}.{example}]");
                self.error(value.span(), format!("a source of the kind `{kind_name}` needs a name"), help);
            }
            for (key, value) in keys::in_order(sources) {
                if let DeValue::Table(table) = value.get_ref()
                    && !(nameless && own_key(key.get_ref()))
                {
                    self.source(site, kind, schema, key, value, table, default);
                }
            }
        }
        self.schemas = schemas;
    }

    #[expect(clippy::too_many_arguments, reason = "the steps of the walk to this place")]
    fn source(
        &mut self,
        site: &Site,
        kind: &'static Kind,
        schema: Schema<'_>,
        key: &toml::Spanned<std::borrow::Cow<'_, str>>,
        value: &Spot<'_>,
        table: &DeTable<'_>,
        default: Option<&DeTable<'_>>,
    ) {
        let named = self.name("a source", key);
        let here = value.span();
        keys::secret_places(table, Some(schema), &mut self.out.secrets);
        let mut own = table.clone();
        keys::take_unknown(&mut own, schema, COMMON, &mut self.out.told);
        let nothing = DeTable::new();
        let default = default.unwrap_or(&nothing);
        let merged = keys::merged(&own, default, schema);

        let before = self.out.told.len();
        if !self.around.broken {
            keys::tell_missing(&merged, here.clone(), kind.name, schema, &mut self.out.told);
        }
        let missing_told = self.around.broken || self.out.told.len() > before;
        let (common, rest) = Self::split(&merged);
        let common_read = leaf::read(&common, &here, true, CommonTable::deserialize, &mut self.out.told);
        let config = leaf::read(&rest, &here, missing_told, kind.parse, &mut self.out.told);
        if let Some(common_read) = &common_read {
            self.check_common(common_read, &merged, here.clone());
        }
        let Some(id) = named.then(|| SourceId::new(&site.name, kind.name, key.get_ref()).ok()).flatten() else { return };
        let Some(common_read) = common_read else { return };
        let needs = common_read.needs.clone().unwrap_or_default();
        let places = (0..needs.len()).map(|at| keys::place_of(&merged, here.clone(), &["needs".to_owned(), at.to_string()]));
        self.needs.push((id.clone(), needs.iter().cloned().zip(places).collect()));
        let Some(config) = config else { return };

        let enabled = common_read.enabled.unwrap_or(true);
        let base = site.directory.clone().unwrap_or_else(|| self.texts.folder(here.start));
        let mut warned = HashSet::new();
        for complaint in config.check() {
            let span = keys::place_of(&merged, here.clone(), &complaint.path);
            let level = if complaint.warning { Level::Warning } else { Level::Error };
            warned.insert(span.clone());
            self.out.told.push(Diagnostic { level, span: Some(span), message: complaint.message, help: complaint.help });
        }
        let mut runs = !config.commands().is_empty();
        for (path, reference) in config.secrets() {
            let span = keys::place_of(&merged, here.clone(), &path);
            runs |= matches!(reference, SecretRef::Command(_));
            if matches!(reference, SecretRef::Literal(_)) {
                self.out.secrets.push(span.clone());
                if !warned.contains(&span) {
                    let help = "write { env = \"NAME\" }, { file = \"path\" } or { command = [\"program\", \"argument\"] }";
                    self.out.told.push(Diagnostic::warning(span, "a secret is written into the file", help));
                }
            } else if enabled && let Err(error) = secret::present(reference, &base, self.around.variable) {
                self.error(span, error.message, error.remedy);
            }
        }
        self.out.commands += usize::from(runs && enabled);
        self.out.shown.push(show::table(&["site", &site.name, kind.name, id.name()], self.texts, &own, default, schema));
        let common = Common {
            every: common_read.every.map(Into::into),
            timeout: common_read.timeout.map(Into::into),
            enabled: common_read.enabled,
            needs,
            runbook: common_read.runbook,
            title: common_read.title,
        };
        let context = BuildContext { id: id.clone(), common, base, trusted: self.around.trusted, zone: site.zone, cache: None, state: None };
        self.out.sources.push(Entry { id, config: Arc::from(config), context });
    }

    fn check_common(&mut self, common: &CommonTable, table: &DeTable<'_>, here: Range<usize>) {
        if let Some(every) = common.every
            && every.get() < SHORTEST_EVERY
        {
            let span = keys::place_of(table, here.clone(), &["every".to_owned()]);
            let help = format!("write \"{}\" or more", duration_text(SHORTEST_EVERY));
            self.error(span, "`every` is too short: looking so often is itself a load", help);
        }
        if let Some(timeout) = common.timeout
            && timeout.get().is_zero()
        {
            let span = keys::place_of(table, here, &["timeout".to_owned()]);
            self.error(span, "`timeout` is nothing: no answer comes in no time", "write a time such as \"10s\"");
        }
    }
}

/// `http and log`.
fn sentence(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
