//! `rounds init [DIR]`: looks at a project, runs nothing of it, and writes a commented configuration of what was found.

use std::io;
use std::path::{Path, PathBuf};

use super::{Context, Exit, Failure};
use crate::config::detect::{self, Detected, Project};
use crate::config::{find, init};
use crate::report::clean;
use crate::report::text::Signs;

/// Its flags.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// The project; the working directory when not given
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Write here, instead of rounds.toml in the project
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Looks, writes, and tells what was found on standard output.
///
/// # Errors
/// When the project cannot be looked at, or the file is there already, or cannot be written: all with the remedy.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let (found, path) = look_and_write(&dir, args.output.as_deref())?;
    context.print(&told(&found, &path, context.signs()))?;
    Ok(Exit::OK)
}

/// Writes `rounds.toml` in the working directory, for the first screen.
///
/// # Errors
/// Those of [`run`].
pub fn here() -> Result<(), Failure> {
    look_and_write(Path::new("."), None).map(drop)
}

fn look_and_write(dir: &Path, output: Option<&Path>) -> Result<(Detected, PathBuf), Failure> {
    let project = Project::of_process(dir).map_err(|error| {
        let why = if error.kind() == io::ErrorKind::NotADirectory { "it is no directory".to_owned() } else { error.to_string() };
        Failure::Usage(format!("{}: {why}; name the directory of a project", dir.display()))
    })?;
    let path = output.map_or_else(|| dir.join(find::FILE_NAME), Path::to_owned);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = std::fs::canonicalize(folder).is_ok_and(|folder| folder == project.root());
    let found = detect::detect(&project);
    let text = init::text(&found, beside, &|name| std::env::var(name).ok());
    init::write(&path, &text).map_err(|error| {
        let shown = path.display();
        Failure::Usage(match error.kind() {
            io::ErrorKind::AlreadyExists => format!("{shown} is there already and is left as it is; move it away, or write elsewhere by --output FILE"),
            _ => format!("{shown} cannot be written: {error}; write elsewhere by --output FILE"),
        })
    })?;
    Ok((found, path))
}

/// What was found, one line each, and what to do next.
fn told(found: &Detected, path: &Path, signs: Signs) -> String {
    let mut text = match found.kind() {
        Some(kind) => format!("{} looks like {kind}:\n", clean(&found.root)),
        None => format!("{} does not look like a project; what is written is an example to complete:\n", clean(&found.root)),
    };
    for row in found.rows() {
        let sign = match (row.known, signs) {
            (true, Signs::Utf8) => "✔",
            (true, Signs::Ascii) => "+",
            (false, _) => "?",
        };
        text.push_str(&format!("{sign} {:<10} {:<25} {}\n", row.what, clean(&row.found), clean(&row.why)));
    }
    let path = clean(&path.display().to_string());
    text.push_str(&format!("wrote {path}; read it, then: rounds check --config {path}\n"));
    text
}
