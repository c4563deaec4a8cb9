//! A configuration that was read and found right.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::actions::Action;
use crate::domain::SourceId;
use crate::io::secret::SecretRef;
use crate::sources::{BuildContext, SourceConfig};
use crate::state::wall::Settings;

/// One site as configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// `[site.NAME]`.
    pub name: String,
    /// For reading.
    pub title: Option<String>,
    /// Its address.
    pub url: Option<String>,
    /// Where its project lives; relative paths of its sources are relative to this.
    pub directory: Option<PathBuf>,
    /// `production`, `staging`, …
    pub environment: Option<String>,
    /// For filters.
    pub tags: Vec<String>,
    /// Zone of its logs' time stamps.
    pub zone: Option<chrono_tz::Tz>,
    /// Who is asked.
    pub owner: Option<String>,
}

/// One source as configured, checked, not yet built.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `site/kind/name`.
    pub id: SourceId,
    /// Its own keys.
    pub config: Arc<dyn SourceConfig>,
    /// What it is built from beside them.
    pub context: BuildContext,
}

impl Entry {
    /// Differs when the source has to be built anew.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut context = self.context.clone();
        // What is the same with and without trust goes on when only that is another.
        context.trusted |= !self.config.heeds_trust();
        // Only its digest is kept: with thousands of sources the texts would be a large part of all memory. The long form tells secrets apart.
        Sha256::digest(format!("{:#?} {context:#?}", self.config)).into()
    }
}

/// A digest (SHA-256) of all that a source is built from.
pub type Fingerprint = [u8; 32];

/// `[journal]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// How long history is kept; default 400 days.
    pub keep: Duration,
    /// A PostgreSQL address; accepted, not yet served.
    pub url: Option<String>,
    /// Regular expressions whose matches are masked before anything is stored.
    pub redact: Vec<String>,
}

/// `[ui]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ui {
    /// `terminal`, `dark`, `light`, `contrast`, `deutan`, `tritan`, `mono`.
    pub theme: Option<String>,
    /// `dark`, `light`: what stands behind the text; asked for when not given.
    pub background: Option<String>,
    /// `colour`, `attribute`: how what is not important is dimmed; found out when not given.
    pub dim: Option<String>,
    /// `braille`, `block`, `ascii`.
    pub glyphs: Option<String>,
    /// `auto`, `none`, `16`, `256`, `true`.
    pub colors: Option<String>,
    /// Whether the mouse is taken.
    pub mouse: Option<bool>,
    /// The zone times are shown in.
    pub zone: Option<chrono_tz::Tz>,
}

/// `[watch]`: the collector without a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Where its own page is served; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// The address that is called while all is well with rounds itself; a secret.
    pub heartbeat: Option<SecretRef>,
    /// How often.
    pub heartbeat_every: Duration,
    /// Relative paths of secrets are relative to this.
    pub base: PathBuf,
}

impl Default for Watch {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9911))), heartbeat: None, heartbeat_every: Duration::from_secs(60), base: PathBuf::new() }
    }
}

/// A host (a name, or an address without brackets) and its port.
pub type Place = (String, u16);

/// A configuration that was read and found right.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from; `None` for one made in the program.
    pub path: Option<PathBuf>,
    /// Files that it includes, in the order in which they were read.
    pub included: Vec<PathBuf>,
    /// SHA-256 of the file's bytes, and of those of the files it includes, hexadecimal.
    pub hash: String,
    /// Whether it may run commands (product law 4).
    pub trusted: bool,
    /// In the order of the file.
    pub sites: Vec<Site>,
    /// In the order of the file.
    pub sources: Vec<Entry>,
    /// In the order of the file.
    pub actions: Vec<Action>,
    /// `[journal]`.
    pub journal: Journal,
    /// `[keys]`: command id to keys.
    pub keys: BTreeMap<String, Vec<String>>,
    /// `[ui]`.
    pub ui: Ui,
    /// `[offline] anchors`: places that answer unless this machine is cut off.
    pub anchors: Vec<Place>,
    /// `[wall]`.
    pub wall: Settings,
    /// `[watch]`.
    pub watch: Watch,
}

impl Default for Journal {
    fn default() -> Self {
        Self { keep: Duration::from_secs(400 * 86_400), url: None, redact: Vec::new() }
    }
}

impl Config {
    /// The configuration of somebody who has none: nothing is watched.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            path: None,
            included: Vec::new(),
            hash: String::new(),
            trusted: true,
            sites: Vec::new(),
            sources: Vec::new(),
            actions: Vec::new(),
            journal: Journal::default(),
            keys: BTreeMap::new(),
            ui: Ui::default(),
            anchors: Vec::new(),
            wall: Settings::default(),
            watch: Watch::default(),
        }
    }
}
