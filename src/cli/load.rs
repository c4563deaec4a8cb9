//! What verbs read before they do their work: the configuration, the state directory, what was last known, how the terminal looks.

use std::path::PathBuf;

use super::{Color, Context, Failure};
use crate::app;
use crate::config::model::Config;
use crate::config::{self, Loaded, Search, TrustStore};
use crate::io::clock;
use crate::journal::read_snapshot;
use crate::state::State;
use crate::ui::theme::{self, Depth, EnvFacts, Glyphs, Theme};

/// The configuration, narrowed to `--site`; its warnings go to standard error.
///
/// # Errors
/// None found, one that cannot be read or is wrong, or no site of that name in it.
pub fn config(context: &Context) -> Result<Config, Failure> {
    let loaded = quietly(context)?;
    if !loaded.warnings.is_empty() {
        super::complain_as_it_is(&loaded.warnings.render(context.colours_messages(), super::message_width()));
    }
    narrow(loaded, context)
}

/// The same without a word about warnings: for a prompt, and before the screen is taken.
///
/// # Errors
/// Those of `config`, but for the site.
pub fn quietly(context: &Context) -> Result<Loaded, Failure> {
    let search = Search::of_process(context.global.config.clone());
    let mut loaded = config::load(&search, &trust_store(context), &variable)?;
    let (cache, state) = (cache_dir(context), state_dir(context));
    for entry in &mut loaded.config.sources {
        entry.context.cache.clone_from(&cache);
        entry.context.state.clone_from(&state);
    }
    Ok(loaded)
}

/// Narrows what was loaded to `--site`.
///
/// # Errors
/// When there is no site of that name.
pub fn narrow(loaded: Loaded, context: &Context) -> Result<Config, Failure> {
    let mut config = loaded.config;
    if let Some(site) = &context.global.site {
        let known: Vec<String> = config.sites.iter().map(|site| site.name.clone()).collect();
        if !app::narrow_to_site(&mut config, site) {
            return Err(Failure::Usage(format!("there is no site \"{site}\"; there are: {}", known.join(", "))));
        }
    }
    Ok(config)
}

/// The record of trusted configurations. Without a state directory nothing was ever trusted.
#[must_use]
pub fn trust_store(context: &Context) -> TrustStore {
    TrustStore::new(&state_dir(context).unwrap_or_else(|| PathBuf::from("/dev/null/rounds")))
}

/// `--state-dir`, else the user's: `$XDG_STATE_HOME/rounds`, `~/.local/state/rounds`, or what stands for it on this system.
#[must_use]
pub fn state_dir(context: &Context) -> Option<PathBuf> {
    if let Some(dir) = &context.global.state_dir {
        return Some(std::path::absolute(dir).unwrap_or_else(|_| dir.clone()));
    }
    let dirs = directories::ProjectDirs::from("", "", "rounds")?;
    Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned())
}

/// For what can be had again: below `--state-dir`, else the user's `$XDG_CACHE_HOME/rounds`, `~/.cache/rounds`.
#[must_use]
pub fn cache_dir(context: &Context) -> Option<PathBuf> {
    if context.global.state_dir.is_some() {
        return Some(state_dir(context)?.join("cache"));
    }
    Some(directories::ProjectDirs::from("", "", "rounds")?.cache_dir().to_owned())
}

/// What was last known, from the journal alone; `None` without one, or without a configuration.
///
/// # Errors
/// A configuration that was found and is wrong.
pub fn last_known(context: &Context) -> Result<Option<State>, Failure> {
    let loaded = match quietly(context) {
        Ok(loaded) => loaded,
        Err(Failure::Config(error)) if matches!(*error, config::LoadError::None { .. }) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let config = narrow(loaded, context)?;
    let Some(snapshot) = state_dir(context).as_deref().and_then(read_snapshot) else { return Ok(None) };
    let mut state = app::initial_state(&config);
    app::history::remember(&mut state, snapshot, clock::now());
    Ok(Some(state))
}

/// Reads one variable of the environment.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The theme that the environment, the flags and the configuration ask for, without asking the terminal.
#[must_use]
pub fn theme(context: &Context, config: Option<&Config>) -> Theme {
    Theme::new(theme::detect(&facts(context, config)))
}

/// The same in words: `256 colours, braille`.
#[must_use]
pub fn looks(context: &Context, config: Option<&Config>) -> String {
    let settings = theme::detect(&facts(context, config));
    let depth = match settings.depth {
        Depth::None => "no colour",
        Depth::Sixteen => "16 colours",
        Depth::TwoFiftySix => "256 colours",
        Depth::True => "true colour",
    };
    let glyphs = match settings.glyphs {
        Glyphs::Braille => "braille",
        Glyphs::Block => "block",
        Glyphs::Ascii => "ASCII",
    };
    format!("{depth}, {glyphs} graphs")
}

/// What the environment, the flags and the configuration say of the looks.
#[must_use]
pub fn facts(context: &Context, config: Option<&Config>) -> EnvFacts {
    let ui = config.map(|config| config.ui.clone()).unwrap_or_default();
    let color = match context.global.color {
        Color::Auto => "auto",
        Color::Never => "never",
        Color::Always => "always",
    };
    EnvFacts {
        no_color: variable("NO_COLOR"),
        term: variable("TERM"),
        colorterm: variable("COLORTERM"),
        colorfgbg: variable("COLORFGBG"),
        locale: super::locale(),
        color: Some(color.to_owned()),
        theme: ui.theme,
        glyphs: if context.global.ascii { Some("ascii".to_owned()) } else { ui.glyphs },
        colors: ui.colors,
        background: ui.background,
        dim: ui.dim,
        ..EnvFacts::default()
    }
}
