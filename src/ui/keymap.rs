//! From keys to commands: the table of commands with what the configuration remaps, and keys as text.
//!
//! Keys are written as in `[keys]`: `j`, `G`, `ctrl-d`, `space`, `f1`, `pgdn`, `|`. What does not belong here: what a command does.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::state::command::{COMMANDS, Command, CommandSpec, Scope};
use crate::state::{Page, View};

/// One key with its modifiers, in one canonical form: upper case means shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// Why `[keys]` does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// The text is no key.
    #[error(
        "\"{key}\" is not a key: write a character, or one of enter, esc, tab, space, up, down, left, right, home, end, pgup, pgdn, f1 to f12, with ctrl- or alt- before it"
    )]
    Key {
        /// The command it was for.
        command: String,
        /// The text.
        key: String,
    },
    /// No command has this id.
    #[error("there is no command \"{command}\"{}", .like.map(|like| format!(": did you mean \"{like}\"?")).unwrap_or_default())]
    Command {
        /// The text.
        command: String,
        /// The nearest id.
        like: Option<&'static str>,
    },
    /// One key for two commands of one page.
    #[error("the key {key} is bound to both {first} and {second}")]
    Conflict {
        /// The key.
        key: String,
        /// A command.
        first: &'static str,
        /// Another.
        second: &'static str,
    },
    /// A key that terminals, multiplexers and shells have taught hands to press without thinking.
    #[error("the key {key} is never bound to what changes anything, such as {command}: it is pressed by habit in shells and multiplexers")]
    Forbidden {
        /// The key.
        key: String,
        /// The command.
        command: &'static str,
    },
    /// A key of an action that is a command's.
    #[error("the key {key} is bound to {command} already: an action needs one of its own, and `[keys]` can free this one")]
    Taken {
        /// The key.
        key: String,
        /// The command.
        command: &'static str,
    },
    /// A key of an action that terminals, multiplexers and shells have taught hands to press without thinking.
    #[error("the key {key} is never bound to what changes anything: it is pressed by habit in shells and multiplexers")]
    Habit {
        /// The key.
        key: String,
    },
    /// Help and a way out must stay.
    #[error("{command} needs a key: without one there is no way to {why}")]
    Unbound {
        /// The command.
        command: &'static str,
        /// What could not be done.
        why: &'static str,
    },
}

impl KeymapError {
    /// The id below `[keys]` that the complaint is about.
    #[must_use]
    pub fn at(&self) -> &str {
        match self {
            Self::Key { command, .. } | Self::Command { command, .. } => command,
            Self::Conflict { second, .. } => second,
            Self::Taken { .. } | Self::Habit { .. } => "",
            Self::Forbidden { command, .. } | Self::Unbound { command, .. } => command,
        }
    }
}

const NAMES: [(&str, KeyCode); 16] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backtab", KeyCode::BackTab),
    ("space", KeyCode::Char(' ')),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("insert", KeyCode::Insert),
    ("delete", KeyCode::Delete),
    ("backspace", KeyCode::Backspace),
];

impl Key {
    /// The key of an event, in canonical form.
    #[must_use]
    pub fn of(event: &KeyEvent) -> Self {
        let mut modifiers = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let mut code = event.code;
        if let KeyCode::Char(c) = code {
            // Terminals that tell of shift send both the capital and the modifier.
            if modifiers.contains(KeyModifiers::SHIFT) && c.is_ascii_lowercase() {
                code = KeyCode::Char(c.to_ascii_uppercase());
            }
            modifiers -= KeyModifiers::SHIFT;
            if modifiers.contains(KeyModifiers::CONTROL) {
                code = KeyCode::Char(match code {
                    KeyCode::Char(c) => c.to_ascii_lowercase(),
                    _ => c,
                });
            }
        }
        if code == KeyCode::BackTab {
            modifiers -= KeyModifiers::SHIFT;
        }
        Self { code, modifiers }
    }

    fn is_ctrl(self, letters: &str) -> bool {
        self.modifiers == KeyModifiers::CONTROL && matches!(self.code, KeyCode::Char(c) if letters.contains(c))
    }
}

impl FromStr for Key {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        while rest.chars().count() > 1 {
            let lower = rest.to_ascii_lowercase();
            let modifier = match lower.as_str() {
                l if l.starts_with("ctrl-") => KeyModifiers::CONTROL,
                l if l.starts_with("alt-") => KeyModifiers::ALT,
                l if l.starts_with("shift-") => KeyModifiers::SHIFT,
                _ => break,
            };
            modifiers |= modifier;
            rest = rest.split_once('-').map_or("", |(_, rest)| rest);
        }
        let mut chars = rest.chars();
        let code = match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_control() && c != ' ' => KeyCode::Char(c),
            (Some(_), Some(_)) => {
                let lower = rest.to_ascii_lowercase();
                let function = lower.strip_prefix('f').and_then(|n| n.parse::<u8>().ok()).filter(|n| (1..=12).contains(n)).map(KeyCode::F);
                function.or_else(|| NAMES.iter().find(|(name, _)| *name == lower).map(|(_, code)| *code)).ok_or(())?
            }
            _ => return Err(()),
        };
        Ok(Self::of(&KeyEvent::new(code, modifiers)))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, word) in [(KeyModifiers::CONTROL, "ctrl-"), (KeyModifiers::ALT, "alt-"), (KeyModifiers::SHIFT, "shift-")] {
            if self.modifiers.contains(modifier) {
                f.write_str(word)?;
            }
        }
        match self.code {
            KeyCode::Char(' ') => f.write_str("space"),
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(n) => write!(f, "f{n}"),
            code => f.write_str(NAMES.iter().find(|(_, known)| *known == code).map_or("?", |(name, _)| name)),
        }
    }
}

/// A key of the configuration as the screen shows it: `↵`, `Ctrl-d`, `↑`; with ASCII only it is spelled.
#[must_use]
pub fn shown(key: &str, ascii: bool) -> String {
    match key {
        "enter" if ascii => "Enter".to_owned(),
        "enter" => "↵".to_owned(),
        "up" if !ascii => "↑".to_owned(),
        "down" if !ascii => "↓".to_owned(),
        "left" if !ascii => "←".to_owned(),
        "right" if !ascii => "→".to_owned(),
        "pgup" => "PgUp".to_owned(),
        "pgdn" => "PgDn".to_owned(),
        "space" => "space".to_owned(),
        _ if key.chars().count() == 1 => key.to_owned(),
        _ => {
            let mut chars = key.chars();
            chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
        }
    }
}

/// Keys by command, ready to look up.
#[derive(Debug, Clone)]
pub struct Keymap {
    bound: Vec<(Key, &'static CommandSpec)>,
    /// Keys of actions.
    acting: Vec<Key>,
}

impl Default for Keymap {
    fn default() -> Self {
        // The defaults are proved free of conflicts by a test; a key that could not be read would simply not be bound.
        let bound = COMMANDS.iter().flat_map(|spec| spec.keys.iter().filter_map(move |key| key.parse().ok().map(|key| (key, spec)))).collect();
        Self { bound, acting: Vec::new() }
    }
}

impl Keymap {
    /// The table with `[keys]` laid over it; a command named there has those keys and no others. All complaints at once.
    ///
    /// # Errors
    /// Texts that are no keys, unknown commands, conflicts within a page, keys that hands press by habit on what changes things.
    pub fn new(remapped: &BTreeMap<String, Vec<String>>) -> Result<Self, Vec<KeymapError>> {
        let mut errors = Vec::new();
        let mut changed: BTreeMap<&'static str, Vec<Key>> = BTreeMap::new();
        for (id, keys) in remapped {
            let Some(spec) = COMMANDS.iter().find(|spec| spec.id == id) else {
                let like =
                    COMMANDS.iter().map(|spec| (strsim::damerau_levenshtein(spec.id, id), spec.id)).filter(|(far, _)| *far <= 2).min().map(|(_, like)| like);
                errors.push(KeymapError::Command { command: id.clone(), like });
                continue;
            };
            let mut parsed = Vec::new();
            for key in keys {
                match key.parse::<Key>() {
                    Ok(key) => parsed.push(key),
                    Err(()) => errors.push(KeymapError::Key { command: id.clone(), key: key.clone() }),
                }
            }
            changed.insert(spec.id, parsed);
        }
        let mut bound: Vec<(Key, &'static CommandSpec)> = Vec::new();
        for spec in COMMANDS {
            let keys = changed.remove(spec.id).unwrap_or_else(|| spec.keys.iter().filter_map(|key| key.parse().ok()).collect());
            for key in keys {
                if let Some((_, other)) = bound.iter().find(|(known, other)| *known == key && other.command != spec.command && overlap(other.scope, spec.scope))
                {
                    // The complaint belongs to the one the person wrote.
                    let (first, second) = if remapped.contains_key(spec.id) { (other.id, spec.id) } else { (spec.id, other.id) };
                    errors.push(KeymapError::Conflict { key: key.to_string(), first, second });
                }
                if spec.acts && key.is_ctrl("dkabsqhjl") {
                    errors.push(KeymapError::Forbidden { key: key.to_string(), command: spec.id });
                }
                bound.push((key, spec));
            }
        }
        for (command, why) in [(Command::Quit, "leave"), (Command::Help, "find the others")] {
            if let Some(spec) = crate::state::command::spec(command)
                && !bound.iter().any(|(_, known)| known.command == command)
            {
                errors.push(KeymapError::Unbound { command: spec.id, why });
            }
        }
        if errors.is_empty() { Ok(Self { bound, acting: Vec::new() }) } else { Err(errors) }
    }

    /// Whether an action may have this key; gives it in canonical form.
    ///
    /// # Errors
    /// A text that is no key, a key of a command on whatever page, one that hands press by habit.
    pub fn free_for_action(&self, text: &str) -> Result<String, KeymapError> {
        let key: Key = text.parse().map_err(|()| KeymapError::Key { command: String::new(), key: text.to_owned() })?;
        if let Some((_, spec)) = self.bound.iter().find(|(known, _)| *known == key) {
            return Err(KeymapError::Taken { key: key.to_string(), command: spec.id });
        }
        if key.is_ctrl("dkabsqhjl") {
            return Err(KeymapError::Habit { key: key.to_string() });
        }
        Ok(key.to_string())
    }

    /// Binds the keys of actions too. A key that is not free stays what it was.
    #[must_use]
    pub fn with_actions<'k>(mut self, keys: impl Iterator<Item = &'k str>) -> Self {
        self.acting = keys.filter(|key| self.free_for_action(key).is_ok()).filter_map(|key| key.parse().ok()).collect();
        self
    }

    /// The key of an action, in canonical form; nothing in read-only mode.
    #[must_use]
    pub fn action(&self, event: &KeyEvent, view: &View) -> Option<String> {
        let key = Key::of(event);
        let wanted = event.kind != KeyEventKind::Release && !view.read_only && self.acting.contains(&key);
        wanted.then(|| key.to_string())
    }

    /// The command of a key press on the reader's page; nothing for releases, and nothing that acts in read-only mode.
    #[must_use]
    pub fn command(&self, event: &KeyEvent, view: &View) -> Option<Command> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let key = Key::of(event);
        self.bound.iter().find(|(known, spec)| *known == key && view.offers(spec)).map(|(_, spec)| spec.command)
    }

    /// The command that this key has on other pages only.
    #[must_use]
    pub fn elsewhere(&self, event: &KeyEvent, view: &View) -> Option<&'static CommandSpec> {
        let key = Key::of(event);
        let bound = self.bound.iter().filter(|(known, spec)| event.kind != KeyEventKind::Release && *known == key && !(view.read_only && spec.acts));
        bound.map(|(_, spec)| *spec).find(|spec| !spec.scope.on(view.page))
    }

    /// The remapped commands with their keys, for [`View::keys`]: footer, help and palette show these.
    #[must_use]
    pub fn remapped(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut all: BTreeMap<&'static str, Vec<String>> = COMMANDS.iter().map(|spec| (spec.id, Vec::new())).collect();
        for (key, spec) in &self.bound {
            all.entry(spec.id).or_default().push(key.to_string());
        }
        all.retain(|id, keys| COMMANDS.iter().find(|spec| spec.id == *id).is_none_or(|spec| spec.keys != keys.as_slice()));
        all
    }
}

fn overlap(one: Scope, other: Scope) -> bool {
    Page::ALL.into_iter().any(|page| one.on(page) && other.on(page))
}

/// The table of keys for the README.
#[must_use]
pub fn markdown_table() -> String {
    let mut table = "| key | command | what it does | where |\n| --- | --- | --- | --- |\n".to_owned();
    for spec in COMMANDS {
        let keys: Vec<String> = spec.keys.iter().map(|key| format!("`{}`", key.replace('|', "\\|"))).collect();
        let place = match spec.scope {
            Scope::Everywhere => "everywhere".to_owned(),
            Scope::Pages(pages) => pages.iter().map(|page| page.title()).collect::<Vec<_>>().join(", "),
        };
        table.push_str(&format!("| {} | `{}` | {} | {place} |\n", keys.join(" "), spec.id, spec.doc));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn press(text: &str) -> KeyEvent {
        let key: Key = text.parse().unwrap();
        KeyEvent::new(key.code, key.modifiers)
    }

    fn remap(pairs: &[(&str, &[&str])]) -> Result<Keymap, Vec<KeymapError>> {
        Keymap::new(&pairs.iter().map(|(id, keys)| ((*id).to_owned(), keys.iter().map(|key| (*key).to_owned()).collect())).collect())
    }

    #[test]
    fn keys_read_and_write_themselves() {
        for text in ["j", "G", "ctrl-d", "space", "f1", "pgdn", "|", "?", "-", "ctrl-p", "alt-x", "esc", "é", "=", ":"] {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
        }
        assert_eq!("Ctrl-D".parse::<Key>().unwrap().to_string(), "ctrl-d");
        assert_eq!("shift-g".parse::<Key>().unwrap().to_string(), "G");
        for bad in ["", " ", "ctrl-", "foo", "f13", "f0", "jj", "hyper-x"] {
            assert!(bad.parse::<Key>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn shift_is_the_capital_however_the_terminal_tells() {
        let map = Keymap::default();
        let view = View::default();
        for event in [
            KeyEvent::new(KeyCode::Char('G'), KeyModifiers::NONE),
            KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT),
            KeyEvent::new(KeyCode::Char('g'), KeyModifiers::SHIFT),
        ] {
            assert_eq!(map.command(&event, &view), Some(Command::Bottom));
        }
        assert_eq!(map.command(&press("?"), &view), Some(Command::Help));
        assert_eq!(map.command(&KeyEvent::new(KeyCode::Char('?'), KeyModifiers::SHIFT), &view), Some(Command::Help));
    }

    #[test]
    fn every_command_is_documented_and_has_a_key() {
        let mut ids = BTreeSet::new();
        for spec in COMMANDS {
            assert!(!spec.doc.is_empty() && !spec.id.is_empty() && !spec.keys.is_empty(), "{}", spec.id);
            assert!(ids.insert(spec.id), "{} is there twice", spec.id);
            assert!(crate::domain::id::is_name(spec.id));
            for key in spec.keys {
                assert_eq!(key.parse::<Key>().unwrap().to_string(), *key, "{}", spec.id);
            }
        }
    }

    #[test]
    fn the_defaults_have_no_conflict_and_nothing_forbidden() {
        let map = remap(&[]).unwrap();
        for page in Page::ALL {
            let view = View { page, ..View::default() };
            for spec in COMMANDS.iter().filter(|spec| spec.scope.on(page)) {
                for key in spec.keys {
                    assert_eq!(map.command(&press(key), &view), Some(spec.command), "{key} on {}", page.title());
                }
            }
        }
        assert!(map.remapped().is_empty());
    }

    #[test]
    fn remapping_takes_the_old_keys_away() {
        let map = remap(&[("acknowledge", &["A"])]).unwrap();
        let view = View::default();
        assert_eq!(map.command(&press("A"), &view), Some(Command::Acknowledge));
        assert_eq!(map.command(&press("a"), &view), None);
        assert_eq!(map.remapped().get("acknowledge").map(Vec::as_slice), Some(&["A".to_owned()][..]));
    }

    #[test]
    fn mistakes_are_named_all_at_once() {
        let errors =
            remap(&[("acknowlege", &["A"]), ("poll", &["nokey"]), ("mark", &["r2"]), ("snooze", &["ctrl-s"]), ("sort", &["j"]), ("quit", &[])]).unwrap_err();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        for part in [
            "did you mean \"acknowledge\"",
            "\"nokey\" is not a key",
            "\"r2\" is not a key",
            "ctrl-s is never bound",
            "j is bound to both down and sort",
            "quit needs a key",
        ] {
            assert!(texts.iter().any(|text| text.contains(part)), "{part}: {texts:?}");
        }
        assert!(errors.iter().any(|error| error.at() == "sort"));
    }

    #[test]
    fn read_only_does_not_bind_what_acts_and_pages_bind_their_own() {
        let map = Keymap::default();
        assert_eq!(map.command(&press("a"), &View { read_only: true, ..View::default() }), None);
        assert_eq!(map.command(&press("e"), &View::default()), None);
        assert_eq!(map.command(&press("e"), &View { page: Page::Logs, ..View::default() }), Some(Command::NextError));
        let mut event = press("q");
        event.kind = KeyEventKind::Release;
        assert_eq!(map.command(&event, &View::default()), None);
    }

    #[test]
    fn the_table_for_readers_names_every_command_once() {
        let table = markdown_table();
        for spec in COMMANDS {
            assert_eq!(table.matches(&format!("| `{}` |", spec.id)).count(), 1, "{}", spec.id);
        }
        assert!(table.contains("`\\|`"));
    }
}
