//! The composition root: opens everything, runs the dashboard's loop, performs effects, and gives the terminal back.
//!
//! What does not belong here: what a message means (`state`), what a frame looks like (`ui`), what a verb prints (`cli`, `report`).

pub mod answers;
pub mod dashboard;
pub mod editor;
pub mod history;
pub mod input;
pub mod lines;
pub mod pace;
pub mod pass;
pub mod perform;
pub mod reload;
pub mod run;
pub mod screen;
pub mod signals;
pub mod terminal;
pub mod watch;

pub use run::{DashboardError, Ending, Options, dashboard};
use signals::Signal;

use crate::actions::drill;
use crate::config::model::{Config, Entry, Place, Site};
use crate::domain::{SourceId, Timestamp};
use crate::io::net;
use crate::sources::Reach;
use crate::state::view::ZoneName;
use crate::state::{SiteState, State};
use crate::ui::keymap::Keymap;

/// What wakes the loop beside messages.
#[derive(Debug)]
pub enum Event {
    /// From the terminal.
    Input(crossterm::event::Event),
    /// A signal.
    Signal(Signal),
    /// The frame that was waited for has gone out.
    Written,
    /// The terminal is gone: it can be neither read nor written.
    TerminalGone,
    /// What became of the program that has the terminal.
    Lent(crate::io::lend::Told),
    /// The journal was opened, or not.
    Opened(Box<crate::journal::Opened>),
    /// The configuration file changed, and was read.
    Reloaded(Box<Result<reload::Read, reload::Refused>>),
    /// The journal takes long to open.
    OpensLate,
    /// Which sources this process polls for all; `None`: the journal cannot be written and everyone polls by itself.
    Leads(Option<std::collections::BTreeSet<crate::domain::SourceId>>),
}

/// The state before anything was looked at.
#[must_use]
pub fn initial_state(config: &Config) -> State {
    let sites = config.sites.iter().map(site_state).collect();
    let specs = config.sources.iter().map(|entry| entry.config.spec(&entry.context)).collect();
    let mut state = State::new(sites, specs, person());
    state.world.offline.guarded = network_targets(config).into_iter().map(|(id, _)| id).collect();
    state.world.actions = config.actions.iter().map(|action| action.spec.clone()).collect();
    state.world.tries = drill::orders(config).into_iter().map(|(spec, _)| spec).collect();
    if !config.trusted {
        state.world.untrusted = Some(config.path.as_ref().map_or_else(String::new, |path| path.display().to_string()));
    }
    state
}

/// The zone times are shown in: the configured one, else the machine's.
#[must_use]
pub fn zone(config: &Config, now: Timestamp) -> ZoneName {
    config.ui.zone.map_or_else(|| crate::io::zone::machine(now), ZoneName::Named)
}

/// What is bound to keys: commands as remapped, and actions.
#[must_use]
pub fn keymap(config: &Config) -> Keymap {
    let actions = config.actions.iter().filter_map(|action| action.spec.key.as_deref());
    Keymap::new(&config.keys).unwrap_or_default().with_actions(actions)
}

/// Sources with a target that is not certainly this machine, and what they connect to.
#[must_use]
pub fn network_targets(config: &Config) -> Vec<(SourceId, Vec<Place>)> {
    let places = |entry: &Entry| -> Vec<Place> {
        let reaches = entry.config.reaches(&entry.context).into_iter();
        reaches.filter_map(|reach| if let Reach::Tcp(host, port) = reach { Some((host, port)) } else { None }).collect()
    };
    let all = config.sources.iter().map(|entry| (entry.id.clone(), places(entry)));
    all.filter(|(_, places)| places.iter().any(|(host, _)| !net::is_this_machine(host))).collect()
}

fn site_state(site: &Site) -> SiteState {
    SiteState {
        name: site.name.clone(),
        title: site.title.clone().unwrap_or_else(|| site.name.clone()),
        url: site.url.clone(),
        environment: site.environment.clone(),
        release: None,
    }
}

/// Who sits here: the login name, for acknowledgements.
#[must_use]
pub fn person() -> String {
    let user = nix::unistd::getuid();
    nix::unistd::User::from_uid(user).ok().flatten().map_or_else(|| user.to_string(), |user| user.name)
}

/// Leaves only one site. Answers whether there is one of this name.
#[must_use]
pub fn narrow_to_site(config: &mut Config, site: &str) -> bool {
    config.sites.retain(|known| known.name == site);
    config.sources.retain(|entry| entry.id.site() == site);
    config.actions.retain(|action| action.spec.id.site() == site);
    !config.sites.is_empty()
}
