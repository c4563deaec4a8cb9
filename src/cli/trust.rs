//! `rounds trust [FILE]`: lets a configuration found in a working directory run its commands, as it is now.

use std::path::{Path, PathBuf};

use super::{Context, Exit, Failure, load};
use crate::config::find::Origin;
use crate::config::{Config, LoadError, Search, gather, parse_gathered, read, trust};
use crate::io::clock;
use crate::io::secret::SecretRef;
use crate::report::clean;

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration; the one that is found when not given
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Records path and content, and tells which commands may run now.
///
/// # Errors
/// When there is no configuration, it is wrong, others may change it, or the record cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let named = args.file.clone().or_else(|| context.global.config.clone());
    let (path, origin) = Search::of_process(named).find().map_err(|looked| LoadError::None { looked })?;
    if matches!(origin, Origin::Environment | Origin::User | Origin::System) {
        context.print(&format!("{} needs no trust: it is {origin}\n", clean(&path.display().to_string())))?;
        return Ok(Exit::OK);
    }
    let bytes = read(&path).map_err(|source| LoadError::Unreadable { path: path.clone(), source })?;
    // Believed for this reading only, so that a secret that is not there yet hides no command.
    // A wrong one is not trusted: correcting it would change it, and nobody could say what it runs.
    let gathered = gather(&bytes, Some(&path))?;
    let (files, content) = (gathered.files(), gathered.content());
    let loaded = parse_gathered(gathered, Some(&path), trust::Standing::Trusted, &|_| Some("x".to_owned()))?;
    let store = load::trust_store(context);
    let included = files.iter().skip(1);
    for file in included.clone() {
        trust::refuse_shared(file).map_err(|error| Failure::Usage(error.to_string()))?;
    }
    let hash = store.trust(&path, &content, clock::now()).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut text = format!("trusted {}, as it is now (sha256 {})\n", clean(&path.display().to_string()), hash.get(..12).unwrap_or_default());
    for file in included {
        text.push_str(&format!("  with {}\n", clean(&file.display().to_string())));
    }
    text.push_str(&commands(&loaded.config));
    context.print(&text)?;
    Ok(Exit::OK)
}

/// One line for each command.
fn commands(config: &Config) -> String {
    let mut lines = Vec::new();
    for source in &config.sources {
        let own = source.config.commands();
        let secrets = source.config.secrets().into_iter().filter_map(|(_, secret)| match secret {
            SecretRef::Command(argv) => Some(argv.clone()),
            _ => None,
        });
        let project = source.config.project(&source.context);
        let upgrade = project.into_iter().flat_map(|project| [project.test, project.command]).flatten();
        for argv in own.into_iter().chain(secrets).chain(upgrade) {
            lines.push(format!("  {}: {}\n", source.id, clean(&written(&argv, &source.context.base))));
        }
    }
    for action in &config.actions {
        for argv in &action.spec.steps {
            lines.push(format!("  {}: {}\n", action.spec.id, clean(&written(argv, &action.directory))));
        }
        for (name, secret) in &action.env {
            if let SecretRef::Command(argv) = secret {
                lines.push(format!("  {} ({}): {}\n", action.spec.id, clean(name), clean(&written(argv, &action.base))));
            }
        }
    }
    if lines.is_empty() { "it runs no command\n".to_owned() } else { format!("these commands may run now:\n{}", lines.concat()) }
}

/// An argument vector for reading, its parts told apart.
fn written(argv: &[String], base: &Path) -> String {
    let words = crate::actions::written(argv);
    if base.as_os_str().is_empty() { words } else { format!("{words}  (in {})", base.display()) }
}
