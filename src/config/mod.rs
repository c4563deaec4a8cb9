//! The configuration: found, walked, checked, explained. It opens no source and runs no command.
//!
//! [`load`] does all of it; [`parse`] reads a text that is in hand. Every error of a file is told in one run.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

mod actions;
pub mod detect;
pub mod diagnostic;
#[cfg(test)]
mod example_tests;
pub mod find;
mod gather;
pub mod init;
mod keymap;
mod keys;
mod leaf;
pub mod model;
mod needs;
pub mod schema;
mod shape;
pub mod show;
pub mod suggest;
#[cfg(test)]
mod tests;
mod texts;
mod top;
pub mod trust;
pub mod value;
mod walk;

pub use diagnostic::{Diagnostic, Level, Report};
pub use find::{Origin, Search};
pub use gather::Gathered;
pub use model::Config;
pub use show::ShownTable;
pub use trust::TrustStore;

use crate::sources::kinds::{KINDS, Kind};
use trust::Standing;

/// A configuration is not larger than this.
const LIMIT_BYTES: u64 = 4 << 20;

/// A configuration that was read and found right, with what is to be told all the same.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// It.
    pub config: Config,
    /// Warnings only; may be empty.
    pub warnings: Report,
    /// Which step of the search found it; `None` for a text in hand.
    pub origin: Option<Origin>,
    /// The effective keys, for `config show`.
    pub shown: Vec<ShownTable>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is none anywhere.
    #[error("no configuration found")]
    None {
        /// All places that were looked at, in their order.
        looked: Vec<PathBuf>,
    },
    /// It is there, or was named, and cannot be read.
    #[error("{}: {}", .path.display(), reason(.source))]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is wrong.
    #[error("the configuration is wrong: {}", first(&.0.lines()))]
    Wrong(Box<Report>),
}

impl LoadError {
    /// The exit code of every verb but `check`, which maps it to 3.
    pub const EXIT: u8 = 64;

    /// What to do about it, in a few words.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::None { .. } => "rounds init writes one",
            Self::Unreadable { .. } => "name another by --config, or make it readable",
            Self::Wrong(_) => "rounds config check explains it",
        }
    }

    /// All there is to say, ready for standard error; ends with a line end.
    #[must_use]
    pub fn render(&self, color: bool, width: usize) -> String {
        match self {
            Self::None { looked } => {
                let places: Vec<String> = looked.iter().map(|path| format!("  {}", diagnostic::harmless(&path.display().to_string()))).collect();
                let places = places.join("\n");
                format!(
                    "no configuration found; looked for\n{places}\nname one by --config or $ROUNDS_CONFIG, write one by `rounds init`, or see `rounds demo`\n"
                )
            }
            Self::Unreadable { .. } => format!("{}\n", diagnostic::harmless(&self.to_string())),
            Self::Wrong(report) => report.render(color, width),
        }
    }
}

/// The first of several mistakes, and how many more there are.
fn first(lines: &[String]) -> String {
    let first = lines.first().map_or_else(String::new, |line| line.replacen(": error: ", ": ", 1));
    match lines.len() {
        0 | 1 => first,
        n => format!("{first} (and {} more)", n - 1),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "the file is not there".to_owned(),
        io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::FileTooLarge => format!("it is larger than {} MiB, which no configuration is", LIMIT_BYTES >> 20),
        _ => error.to_string(),
    }
}

/// Finds and reads the configuration. `variable` reads the environment, which tells whether secrets are there.
///
/// # Errors
/// When there is none, or it cannot be read, or anything in it is wrong.
pub fn load(search: &Search, trust: &TrustStore, variable: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, LoadError> {
    let (path, origin) = search.find().map_err(|looked| LoadError::None { looked })?;
    let bytes = read(&path).map_err(|source| LoadError::Unreadable { path: path.clone(), source })?;
    let gathered = gather(&bytes, Some(&path))?;
    let standing = if origin.is_trusted() { Standing::Trusted } else { trust.standing(&path, &gathered.hash()) };
    let mut loaded = parse_gathered(gathered, Some(&path), standing, variable)?;
    loaded.origin = Some(origin);
    Ok(loaded)
}

/// The bytes of a file, which are not more than a configuration may have.
///
/// # Errors
/// Those of the system, and `FileTooLarge`.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Reads what a file includes. `path` is the file that the bytes are from; without one nothing can be included.
///
/// # Errors
/// [`LoadError::Wrong`] when it is no text.
pub fn gather(bytes: &[u8], path: Option<&Path>) -> Result<Gathered, LoadError> {
    gather::gather(bytes, path).map_err(|report| LoadError::Wrong(Box::new(report)))
}

/// A digest that is another when a file or one that it includes is; for one that cannot be read, of the reason.
#[must_use]
pub fn digest(path: &Path) -> String {
    match read(path) {
        Ok(bytes) => gather::gather(&bytes, Some(path)).map_or_else(|_| trust::hash(&bytes), |gathered| gathered.hash()),
        Err(error) => error.kind().to_string(),
    }
}

/// Reads a configuration that is in hand. `path` is the file it is from; relative paths are relative to its folder.
///
/// # Errors
/// [`LoadError::Wrong`] with everything that is wrong.
pub fn parse(bytes: &[u8], path: Option<&Path>, standing: Standing, variable: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, LoadError> {
    parse_gathered(gather(bytes, path)?, path, standing, variable)
}

/// [`parse`] with what was gathered.
///
/// # Errors
/// [`LoadError::Wrong`] with everything that is wrong.
pub fn parse_gathered(gathered: Gathered, path: Option<&Path>, standing: Standing, variable: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, LoadError> {
    understand(KINDS, gathered, path, standing, variable)
}

/// [`parse_gathered`] with a table of kinds.
fn understand(
    kinds: &'static [Kind],
    gathered: Gathered,
    path: Option<&Path>,
    standing: Standing,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, LoadError> {
    let shown_path = path.unwrap_or(Path::new("configuration"));
    let wrong = |report: Report| LoadError::Wrong(Box::new(report));
    let hash = gathered.hash();
    let Gathered { texts, told: mut gathering, outside, .. } = gathered;
    if standing != Standing::Trusted && !outside.is_empty() {
        // Nothing of a file from elsewhere is shown, not even what is wrong with it.
        return Err(wrong(Report::of(texts, Vec::new(), outside)));
    }

    // Each is parsed where it stands in the whole, so that its places are places of the whole.
    let texts_of: Vec<Cow<'_, str>> =
        texts.parts().map(|part| if part.start == 0 { Cow::Borrowed(part.text) } else { Cow::Owned("\n".repeat(part.start) + part.text) }).collect();
    let mut document = DeTable::new();
    let mut syntax = Vec::new();
    for (at, text) in texts_of.iter().enumerate() {
        let (one, errors) = DeTable::parse_recoverable(text);
        syntax.extend(errors.iter().map(in_words));
        if at == 0 {
            document = one.into_inner();
        } else {
            gather::merge(&mut document, one.into_inner(), &texts, &mut gathering);
        }
    }
    // One slip often gives several errors on its line; the first is the slip.
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', texts.whole().as_bytes()).collect();
    let line_at = |one: &Diagnostic| one.span.as_ref().map(|span| ends.partition_point(|end| *end < span.start));
    syntax.sort_by_key(|one| one.span.as_ref().map(|span| span.start));
    syntax.dedup_by_key(|one| line_at(one));

    let around = walk::Around { kinds, trusted: standing == Standing::Trusted, variable, broken: !syntax.is_empty() };
    let mut walked = walk::walk(&texts, &document, &around);
    let mut told = std::mem::take(&mut walked.told);
    told.append(&mut gathering);
    if !syntax.is_empty() {
        let broken: BTreeSet<_> = syntax.iter().map(line_at).collect();
        told.retain(|one| one.level == Level::Error && !broken.contains(&line_at(one)));
        told.append(&mut syntax);
    }
    if walked.commands + walked.actions.len() > 0 && standing != Standing::Trusted && told.iter().all(|one| one.level == Level::Warning) {
        told.push(untrusted(walked.commands, walked.actions.len(), standing, shown_path));
    }
    let included = texts.parts().skip(1).map(|part| part.path.to_owned()).collect();
    let report = Report::of(texts.clone(), walked.secrets, told);
    if report.is_error() {
        return Err(wrong(report));
    }
    let mut actions = walked.actions;
    let known = actions::secrets_of(&walked.sources);
    for action in &mut actions {
        action.known.clone_from(&known);
        action.redact.clone_from(&walked.journal.redact);
    }
    let config = Config {
        path: path.map(Path::to_owned),
        included,
        hash,
        trusted: around.trusted,
        sites: walked.sites,
        sources: walked.sources,
        actions,
        journal: walked.journal,
        keys: walked.keys,
        ui: walked.ui,
        anchors: walked.anchors,
        wall: walked.wall,
        watch: walked.watch,
    };
    Ok(Loaded { config, warnings: report, origin: None, shown: walked.shown })
}

/// What the reader of TOML found, in words.
fn in_words(error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    match error.message() {
        "string values must be quoted, expected literal string" => Diagnostic::error(span, "a text stands in quotes", "put it in quotes"),
        "duplicate key" => Diagnostic::error(span, "this was written before", "take one of them out"),
        message => Diagnostic::error(span, diagnostic::harmless(message), ""),
    }
}

/// Told once for the whole file: which of its sources do not run, and what makes them run.
fn untrusted(commands: usize, actions: usize, standing: Standing, path: &Path) -> Diagnostic {
    let what = if standing == Standing::Changed { "was changed since it was trusted" } else { "was found in the working directory and is not trusted" };
    let sources = match (commands, actions) {
        (0, _) => "its actions do not run",
        (1, 0) => "the one source that runs a command stays unknown",
        (_, 0) => "the sources that run commands stay unknown",
        _ => "the sources that run commands stay unknown, its actions do not run",
    };
    Diagnostic::whole(Level::Warning, format!("this configuration {what}: {sources}"), format!("read it, then run `rounds trust {}`", path.display()))
}

/// A file that is not UTF-8: the first bad byte of each line.
fn not_text(bytes: &[u8], path: &Path) -> Report {
    // The replacement is told apart from what stands in the file by where it is, so places are found in the lossy text.
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (mut told, mut offset) = (Vec::new(), 0);
    for chunk in bytes.utf8_chunks() {
        offset += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            let end = offset + char::REPLACEMENT_CHARACTER.len_utf8();
            told.push(Diagnostic::error(offset..end, "not UTF-8", "save the file as UTF-8"));
            offset = end;
        }
    }
    let mut last = None;
    told.retain(|one: &Diagnostic| {
        let line = one.span.as_ref().map(|span| text[..span.start].matches('\n').count());
        std::mem::replace(&mut last, line) != line
    });
    Report::new(path, &text, Vec::new(), told)
}
