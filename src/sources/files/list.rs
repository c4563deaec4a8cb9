//! Which files there are: by a pattern on this machine, or as a command tells of another.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::{Problem, SourceError, Timestamp};
use crate::io::exec::{self, Limits, Program};

/// More copies than this are not looked at one by one; the newest count.
const MOST: usize = 10_000;

/// One file as the folder tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Its path.
    pub path: PathBuf,
    /// When it was last written.
    pub at: Timestamp,
    /// Its size in bytes.
    pub size: u64,
    /// The file system it is on, where it was looked at here.
    pub device: Option<u64>,
}

/// What the look gave.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In no order.
    pub files: Vec<File>,
    /// Folders and files that could not be looked at.
    pub problems: Vec<Problem>,
}

/// Where to look.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    /// Absolute, or as the other machine understands it.
    pub pattern: String,
    /// Lists them elsewhere.
    pub command: Option<Vec<String>>,
    /// Bounds the command.
    pub timeout: Duration,
}

impl Listing {
    /// Looks.
    pub(super) async fn files(&self) -> Result<Found, SourceError> {
        match &self.command {
            Some(argv) => self.told(argv).await,
            None => {
                let pattern = self.pattern.clone();
                tokio::task::spawn_blocking(move || here(&pattern)).await.map_err(|_| SourceError::protocol("the look at the folder broke off"))?
            }
        }
    }

    async fn told(&self, argv: &[String]) -> Result<Found, SourceError> {
        let program = Program::new(argv.to_vec());
        let output = exec::run(&program, Limits::within(self.timeout)).await?;
        if !output.ending.success() {
            let message = format!("{}: {}: {}", program.tool(), output.ending, output.last_error_line());
            return Err(SourceError::missing(message, "run the command by hand as this user and look what it says"));
        }
        Ok(lines(&output.stdout_text(), &self.pattern))
    }
}

/// Reads `seconds bytes name` lines; those that are not so are told as problems, the first few by their text.
pub(super) fn lines(text: &str, pattern: &str) -> Found {
    let wanted = glob::Pattern::new(pattern).ok();
    let mut found = Found::default();
    let mut odd = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()).take(MOST) {
        let mut parts = line.splitn(3, char::is_whitespace);
        let read = (|| {
            let seconds: f64 = parts.next()?.parse().ok()?;
            let size = parts.next()?.parse().ok()?;
            let path = PathBuf::from(parts.next()?.trim());
            let at = DateTime::<Utc>::from_timestamp(seconds as i64, 0)?;
            Some(File { path, at, size, device: None })
        })();
        match read {
            Some(file) => {
                let named =
                    wanted.as_ref().is_none_or(|w| w.matches_path(&file.path) || file.path.file_name().is_some_and(|n| w.matches(&n.to_string_lossy())));
                if named {
                    found.files.push(file);
                }
            }
            None => odd += 1,
        }
    }
    if odd > 0 {
        found.problems.push(Problem { subject: "command".to_owned(), message: format!("{odd} lines are not `seconds bytes name`") });
    }
    found
}

fn here(pattern: &str) -> Result<Found, SourceError> {
    let paths = glob::glob(pattern).map_err(|error| SourceError::config(format!("the pattern is not right: {}", error.msg), "mend `path`"))?;
    let mut found = Found::default();
    for path in paths.take(MOST) {
        let read = match path {
            Ok(path) => std::fs::metadata(&path).map(|meta| (path, meta)).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok((path, meta)) if meta.is_file() => {
                let at = meta.modified().map_or(DateTime::<Utc>::UNIX_EPOCH, DateTime::<Utc>::from);
                found.files.push(File { path, at, size: meta.len(), device: Some(std::os::unix::fs::MetadataExt::dev(&meta)) });
            }
            Ok(_) => {}
            Err(message) => found.problems.push(Problem { subject: "path".to_owned(), message }),
        }
    }
    if found.files.is_empty() && !found.problems.is_empty() {
        let message = found.problems.swap_remove(0).message;
        return Err(SourceError::missing(format!("the copies cannot be read: {message}"), "give this user the right to read the folder"));
    }
    Ok(found)
}
