//! Watches the configuration file while the dashboard runs: a good new one is taken, a wrong one is told and the one before it stays.
//!
//! What does not belong here: finding and reading it (`config`, handed in by `cli`), and what a new one changes (`Hands`, the reducer).

use std::fmt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Event;
use crate::config::model::{Config, Ui};
use crate::config::{digest, read, trust};
use crate::domain::Timestamp;
use crate::io::watch::Watch;
use crate::state::{Notice, NoticeKind};
use crate::ui::theme::EnvFacts;

/// How often the file is looked at without a notice of the system.
const LOOK: Duration = Duration::from_secs(3);
/// How long a file must stand still: editors write in several steps.
const SETTLE: Duration = Duration::from_millis(200);

/// Why a new file was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// For the banner: `rounds.toml:31:1 unknown key "evry"`.
    pub line: String,
    /// The whole of it, with lines and carets.
    pub detail: Vec<String>,
}

impl Refused {
    /// As a banner.
    #[must_use]
    pub fn notice(self, since: Timestamp) -> Notice {
        Notice { kind: NoticeKind::Configuration, since, text: self.line, detail: self.detail }
    }
}

/// A file that was read and found right.
#[derive(Debug)]
pub struct Read {
    /// What it says.
    pub config: Config,
    /// The looks it asks for, with those of the environment.
    pub looks: EnvFacts,
    /// What is odd in it, and stops nothing.
    pub warnings: Vec<String>,
}

/// The configuration in force, for telling what another one changes.
#[derive(Debug)]
pub struct InForce {
    /// It.
    pub config: Config,
    /// What is odd in it.
    pub warnings: Vec<String>,
}

impl InForce {
    /// What is another beside the sources, in the words of the file.
    #[must_use]
    pub fn others(&self, next: &Config) -> Vec<&'static str> {
        let (was, is) = (&self.config, next);
        let looks = |ui: &Ui| (ui.theme.clone(), ui.background.clone(), ui.dim.clone(), ui.glyphs.clone(), ui.colors.clone());
        let actions = |config: &Config| format!("{:#?}", config.actions);
        let parts = [
            (was.sites != is.sites, "sites"),
            (actions(was) != actions(is), "actions"),
            (was.keys != is.keys, "keys"),
            (looks(&was.ui) != looks(&is.ui), "looks"),
            (was.ui.mouse.unwrap_or(false) != is.ui.mouse.unwrap_or(false), "mouse"),
            (was.ui.zone != is.ui.zone, "zone"),
            (was.wall != is.wall, "wall"),
            (was.watch != is.watch, "watch"),
            (was.journal != is.journal, "journal"),
            (was.anchors != is.anchors, "anchors"),
            (was.trusted != is.trusted, "trust"),
        ];
        parts.into_iter().filter(|(differs, _)| *differs).map(|(_, word)| word).collect()
    }

    /// Another one is in force. Gives a warning of it that the one before did not have.
    pub fn replace(&mut self, config: Config, warnings: Vec<String>) -> Option<String> {
        // The same oddity on another line is not news.
        let words = |warning: &str| warning.strip_prefix("line ").and_then(|rest| rest.split_once(": ")).map_or(warning, |(_, words)| words).to_owned();
        let known: Vec<String> = self.warnings.iter().map(|warning| words(warning)).collect();
        let new = warnings.iter().find(|warning| !known.contains(&words(warning))).cloned();
        *self = Self { config, warnings };
        new
    }
}

/// Reads the configuration again, as it was read at the start.
pub type Load = Box<dyn Fn() -> Result<Read, Refused> + Send>;

/// What is watched, and how it is read.
pub struct Reload {
    /// The file.
    pub path: PathBuf,
    /// Where it is recorded which files may run commands: `rounds trust` changes what the same file may do.
    pub trust: PathBuf,
    /// Reads it.
    pub load: Load,
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Watches on a thread of its own, until nobody listens. `hash` is that of the content in force.
///
/// # Errors
/// When no thread can be started.
pub fn start(reload: Reload, hash: String, events: mpsc::Sender<Event>) -> std::io::Result<()> {
    let (mut watch, waker) = Watch::new()?;
    thread::Builder::new().name("rounds-reload".to_owned()).spawn(move || {
        // Nobody wakes it; without this end of the pipe every wait would be over at once.
        let _waker = waker;
        let of = |path: &PathBuf| read(path).map_or_else(|error| error.kind().to_string(), |bytes| trust::hash(&bytes));
        let content = || (digest(&reload.path), of(&reload.trust));
        let mut known = (hash, of(&reload.trust));
        loop {
            // Again each time: another file may have taken the name.
            watch.file(&reload.path);
            if let Some(folder) = reload.path.parent() {
                watch.directory(folder);
            }
            watch.wait(Some(LOOK));
            if events.is_closed() {
                return;
            }
            let mut now = content();
            while now != known {
                thread::sleep(SETTLE);
                let still = content();
                if still == now {
                    known = now;
                    if events.blocking_send(Event::Reloaded(Box::new((reload.load)()))).is_err() {
                        return;
                    }
                    break;
                }
                now = still;
            }
        }
    })?;
    Ok(())
}
