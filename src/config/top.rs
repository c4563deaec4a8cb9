//! The tables of the top level: journal, looks, keys, being cut off, the wall, the collector.
//!
//! What does not belong here: sites and their sources (`walk`).

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::keys::{self, Schema, Spot};
use super::model::{Journal, Place, Ui, Watch};
use super::shape::{JournalTable, OfflineTable, PLANNED_KINDS, RoundTable, TOP, UiTable, WallPage, WallTable, WatchTable};
use super::walk::Walk;
use super::{keymap, leaf, show, suggest};
use crate::domain::time::duration_text;
use crate::io::secret::SecretRef;
use crate::state::Page;
use crate::state::wall::{self, Settings};

/// No page of the wall turns faster.
const SHORTEST_TURN: Duration = Duration::from_secs(1);
/// Services that take heartbeats bound how many they take (Healthchecks: five a minute).
const SHORTEST_HEARTBEAT: Duration = Duration::from_secs(15);

impl Walk<'_> {
    /// A table of ours, read with all its errors; `None` when it is no table or something it needs is wrong.
    fn table<T: DeserializeOwned + JsonSchema>(&mut self, name: &str, value: &Spot<'_>) -> Option<T> {
        let DeValue::Table(table) = value.get_ref() else {
            self.error(value.span(), format!("`{name}` is a table: write [{name}]"), "");
            return None;
        };
        let schema = schemars::schema_for!(T).to_value();
        let mut table = table.clone();
        keys::take_unknown(&mut table, Schema::new(&schema), &[], &mut self.out.told);
        leaf::read(&table, &value.span(), self.around.broken, T::deserialize, &mut self.out.told)
    }

    pub(super) fn top(&mut self, document: &DeTable<'_>) {
        if !document.contains_key("journal") {
            let schema = schemars::schema_for!(JournalTable).to_value();
            self.out.shown.push(show::table(&["journal"], self.texts, &DeTable::new(), &DeTable::new(), Schema::new(&schema)));
        }
        for (key, value) in keys::in_order(document) {
            match key.get_ref().as_ref() {
                "site" | "defaults" | "include" => {}
                "journal" => self.journal(value),
                "ui" => self.ui(value),
                "keys" => {
                    let (keys, mut told) = keymap::read(value);
                    self.out.told.append(&mut told);
                    self.out.keys = keys;
                }
                "offline" => self.offline(value),
                "wall" => self.wall(value),
                "watch" => self.watch(value),
                name @ ("round" | "notify") => {
                    self.not_served(name, value);
                    self.out.told.push(Diagnostic::warning(
                        key.span(),
                        format!("`{name}` is not served yet by this version"),
                        "it is read and changes nothing",
                    ));
                }
                name => {
                    let help = if name == "action" {
                        "an action belongs to a site: write [site.NAME.action.NAME]".to_owned()
                    } else if self.names_of_kinds().contains(&name) || PLANNED_KINDS.contains(&name) {
                        format!("`{name}` is a kind of source: write [site.NAME.{name}.NAME]")
                    } else {
                        suggest::help(name, TOP.iter().copied())
                    };
                    self.error(key.span(), format!("unknown key `{name}`"), help);
                }
            }
        }
    }

    fn not_served(&mut self, name: &str, value: &Spot<'_>) {
        match name {
            "round" | "notify" => {
                let DeValue::Table(named) = value.get_ref() else {
                    return self.error(value.span(), format!("`{name}` is a table: write [{name}.NAME]"), "");
                };
                for (key, value) in keys::in_order(named) {
                    if name == "round" {
                        drop(self.table::<RoundTable>(&format!("round.{}", key.get_ref()), value));
                    } else if !matches!(value.get_ref(), DeValue::Table(_)) {
                        self.error(value.span(), "`notify` has named tables: write [notify.NAME]", "");
                    }
                }
            }
            _ => {}
        }
    }

    fn journal(&mut self, value: &Spot<'_>) {
        let Some(table) = self.table::<JournalTable>("journal", value) else { return };
        let place = |key: &str| match value.get_ref() {
            DeValue::Table(table) => keys::place_of(table, value.span(), &[key.to_owned()]),
            _ => value.span(),
        };
        if table.url.is_some() {
            let help = "history is kept in the embedded journal";
            self.out.told.push(Diagnostic::warning(place("url"), "a journal in PostgreSQL is not served yet by this version", help));
        }
        if table.keep.get() < Duration::from_secs(86_400) {
            self.error(place("keep"), "history is kept for a day at least", "write `keep = \"400d\"`, which is the default");
        }
        for (at, pattern) in table.redact.iter().enumerate() {
            if let Err(error) = regex::Regex::new(pattern) {
                let span = match value.get_ref() {
                    DeValue::Table(table) => keys::place_of(table, value.span(), &["redact".to_owned(), at.to_string()]),
                    _ => value.span(),
                };
                self.error(span, format!("not a regular expression: {}", last_line(&error.to_string())), "");
            }
        }
        self.out.journal = Journal { keep: table.keep.get(), url: table.url, redact: table.redact };
        self.show_own("journal", value, &schemars::schema_for!(JournalTable).to_value());
    }

    fn ui(&mut self, value: &Spot<'_>) {
        let Some(table) = self.table::<UiTable>("ui", value) else { return };
        self.out.ui = Ui {
            theme: table.theme.name.map(|theme| theme.word().to_owned()),
            background: table.theme.background.map(|background| background.word().to_owned()),
            dim: table.theme.dim.map(|dim| dim.word().to_owned()),
            glyphs: table.glyphs.map(|glyphs| glyphs.word().to_owned()),
            colors: table.colors.map(|colors| colors.word().to_owned()),
            mouse: table.mouse,
            zone: table.zone.map(|zone| zone.0),
        };
        self.show_own("ui", value, &schemars::schema_for!(UiTable).to_value());
    }

    fn offline(&mut self, value: &Spot<'_>) {
        let Some(table) = self.table::<OfflineTable>("offline", value) else { return };
        let place = match value.get_ref() {
            DeValue::Table(table) => keys::place_of(table, value.span(), &["anchors".to_owned()]),
            _ => value.span(),
        };
        for text in table.anchors.unwrap_or_default() {
            match anchor(&text) {
                Some(place) => self.out.anchors.push(place),
                None => self.error(place.clone(), "this is no anchor", "write \"host:port\" or \"https://host\", without user or password"),
            }
        }
        self.show_own("offline", value, &schemars::schema_for!(OfflineTable).to_value());
    }

    fn wall(&mut self, value: &Spot<'_>) {
        let Some(table) = self.table::<WallTable>("wall", value) else { return };
        let place = |key: &str| match value.get_ref() {
            DeValue::Table(table) => keys::place_of(table, value.span(), &[key.to_owned()]),
            _ => value.span(),
        };
        if table.rotate.get() < SHORTEST_TURN {
            self.error(place("rotate"), "a page that nobody can read", "write at least \"1s\"");
        }
        if table.pages.is_empty() {
            self.error(place("pages"), "a wall without pages", "write [\"sites\"], or leave the key out");
        }
        let page = |page: &WallPage| {
            let word = page.word();
            Page::ALL.into_iter().find(|page| page.title() == word).map_or(wall::WallPage::Sites, wall::WallPage::Page)
        };
        self.out.wall = Settings { rotate: table.rotate.get(), pages: table.pages.iter().map(page).collect(), warnings: table.warnings };
        self.show_own("wall", value, &schemars::schema_for!(WallTable).to_value());
    }

    fn watch(&mut self, value: &Spot<'_>) {
        let Some(table) = self.table::<WatchTable>("watch", value) else { return };
        let place = |key: &str| match value.get_ref() {
            DeValue::Table(table) => keys::place_of(table, value.span(), &[key.to_owned()]),
            _ => value.span(),
        };
        let mut watch = Watch { heartbeat_every: table.heartbeat_every.get(), base: self.texts.folder(value.span().start), ..Watch::default() };
        match listen(&table.listen) {
            Ok(Some(address)) if !address.ip().is_loopback() && !table.listen_to_others => {
                let help = "listen on 127.0.0.1 and let a proxy with a password before it, or write `listen_to_others = true`";
                self.error(place("listen"), format!("{address} can be reached by other machines, and nobody is asked for a password there"), help);
            }
            Ok(address) => watch.listen = address,
            Err(()) => self.error(place("listen"), "this is no address to listen on", "write an address with a port, such as \"127.0.0.1:9911\", or \"none\""),
        }
        if table.heartbeat_every.get() < SHORTEST_HEARTBEAT {
            let help = format!("write \"{}\" or more", duration_text(SHORTEST_HEARTBEAT));
            self.error(place("heartbeat_every"), "services that take heartbeats drop those that come so often", help);
        }
        if let Some(SecretRef::Literal(address)) = &table.heartbeat {
            self.out.secrets.push(place("heartbeat"));
            if url::Url::parse(address.expose()).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
                let help =
                    "who knows it can keep a dead rounds alive: write { env = \"NAME\" }, { file = \"path\" } or { command = [\"program\", \"argument\"] }";
                self.out.told.push(Diagnostic::warning(place("heartbeat"), "a secret is written into the file", help));
            } else {
                self.error(place("heartbeat"), "a heartbeat is called at an address", "write it whole, with https://");
            }
        }
        watch.heartbeat = table.heartbeat;
        self.out.watch = watch;
        self.show_own("watch", value, &schemars::schema_for!(WatchTable).to_value());
    }

    fn show_own(&mut self, header: &str, value: &Spot<'_>, schema: &Json) {
        if let DeValue::Table(table) = value.get_ref() {
            self.out.shown.push(show::table(&[header], self.texts, table, &DeTable::new(), Schema::new(schema)));
        }
    }
}

/// The last line of a message of several: what a regular expression's error says after it has drawn the pattern.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

/// `host:port`, `[address]:port` or a URL: what is connected to.
fn anchor(text: &str) -> Option<Place> {
    let (url, needs_port) = if text.contains("://") { (text.to_owned(), false) } else { (format!("tcp://{text}"), true) };
    let url = url::Url::parse(&url).ok()?;
    let port = if needs_port { url.port() } else { url.port_or_known_default() };
    let host = url.host_str()?.trim_matches(['[', ']']);
    let plain = url.username().is_empty() && url.password().is_none() && (!needs_port || url.path().is_empty());
    (plain && !host.is_empty() && !host.contains(char::is_whitespace)).then_some((host.to_owned(), port?))
}

/// Where to listen: an address of a machine with a port, `localhost` with a port, or `none`.
fn listen(text: &str) -> Result<Option<SocketAddr>, ()> {
    if text == "none" {
        return Ok(None);
    }
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map(Some).map_err(drop)
}

#[cfg(test)]
mod tests {
    use super::{anchor, listen};

    #[test]
    fn anchors_are_places_or_addresses_of_pages() {
        for (text, place) in [
            ("gateway.example:53", Some(("gateway.example", 53))),
            ("192.0.2.1:443", Some(("192.0.2.1", 443))),
            ("[2001:db8::1]:443", Some(("2001:db8::1", 443))),
            ("https://example.com/x", Some(("example.com", 443))),
            ("http://example.com:8080", Some(("example.com", 8080))),
            ("example.com", None),
            ("example.com/x:80", None),
            ("https://me:hush@example.com", None),
            ("", None),
            ("a b:80", None),
            ("host:99999", None),
        ] {
            assert_eq!(anchor(text), place.map(|(host, port)| (host.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn a_place_to_listen_is_an_address_with_a_port_or_none() {
        for (text, place) in [
            ("127.0.0.1:9911", Ok(Some("127.0.0.1:9911"))),
            ("[::1]:80", Ok(Some("[::1]:80"))),
            ("localhost:9911", Ok(Some("127.0.0.1:9911"))),
            ("none", Ok(None)),
            ("9911", Err(())),
            ("127.0.0.1", Err(())),
            ("shop.example:9911", Err(())),
            ("", Err(())),
        ] {
            assert_eq!(listen(text), place.map(|place| place.map(|place| place.parse().unwrap())), "{text}");
        }
    }
}
