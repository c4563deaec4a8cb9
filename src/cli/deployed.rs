//! `rounds deployed VERSION`: tells that a version went out, for the last line of a deploy script.

use super::{Context, Exit, Failure, load, record};
use crate::app::person;
use crate::domain::{Transition, TransitionKind};
use crate::io::clock;
use crate::report::clean;

/// Longest version or name that is kept.
const LONGEST: usize = 100;

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The version: a tag, a number, a commit
    #[arg(value_name = "VERSION")]
    pub version: String,
    /// By whom; the login name when not given
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// Writes it to the journal. `--site` names the site where there are several.
///
/// # Errors
/// A wrong configuration, several sites and none named, a journal that cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    record::allowed(context)?;
    let config = load::config(context)?;
    let site = match config.sites.as_slice() {
        [site] => site.name.clone(),
        [] => return Err(Failure::Usage("there is no site in the configuration".to_owned())),
        several => {
            let names: Vec<&str> = several.iter().map(|site| site.name.as_str()).collect();
            return Err(Failure::Usage(format!("which site? --site {}", names.join(" or --site "))));
        }
    };
    let short = |text: &str| clean(text).trim().chars().take(LONGEST).collect::<String>();
    let version = short(&args.version);
    if version.is_empty() {
        return Err(Failure::Usage("which version? write a tag, a number or a commit".to_owned()));
    }
    let by = args.by.as_deref().map_or_else(person, short);
    let sentence = if by.is_empty() { format!("deploy {version}") } else { format!("deploy {version} by {by}") };
    let said = format!("{site}: {sentence}\n");
    let kind = TransitionKind::Deploy { version, by };
    record::keep(&config, context, |journal| journal.keep_transition(Transition { at: clock::now(), site, source: None, kind, sentence }))?;
    context.print(&said)?;
    Ok(Exit::OK)
}
