//! `rounds config check|show|schema`.

use super::{Context, Exit, Failure, load};
use crate::config::{Loaded, schema, show};

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What about it
    #[command(subcommand)]
    pub what: What,
}

/// What about the configuration.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub enum What {
    /// Tell everything that is wrong with it; exit 64 then
    Check,
    /// Print what it comes to, and where each value came from; secrets are masked
    Show,
    /// Print its JSON schema, for editors
    Schema,
}

/// Runs it.
///
/// # Errors
/// When there is no configuration, it is wrong, or standard output cannot be written to.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match args.what {
        What::Schema => {
            let text = serde_json::to_string_pretty(&schema::whole()).map_err(anyhow::Error::from)?;
            context.print(&format!("{text}\n"))?;
        }
        What::Check | What::Show => {
            let loaded = load::quietly(context)?;
            if !loaded.warnings.is_empty() {
                super::complain_as_it_is(&loaded.warnings.render(context.colours_messages(), super::message_width()));
            }
            context.print(&if matches!(args.what, What::Show) { show::text(&loaded) } else { verdict(&loaded) })?;
        }
    }
    Ok(Exit::OK)
}

/// `rounds.toml: right, 2 sites, 9 sources`.
fn verdict(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let path = config.path.as_ref().map_or_else(String::new, |path| format!("{}: ", crate::report::clean(&path.display().to_string())));
    let count = |count: usize, word: &str| if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") };
    let more = if config.included.is_empty() { String::new() } else { format!(", {} included", count(config.included.len(), "file")) };
    format!("{path}right, {}, {}{more}\n", count(config.sites.len(), "site"), count(config.sources.len(), "source"))
}
