//! The only way detection looks at anything: bounded reads inside one project, and inside `/etc` of a system root.
//!
//! Nothing is run and nothing is followed out: a link that leads elsewhere is as good as absent.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The most that is read of one file; settings and manifests are far smaller, lock files are only looked for.
const LIMIT_BYTES: u64 = 1 << 20;
/// Names taken from one folder; a virtual environment has a few hundred.
const LIMIT_NAMES: usize = 5_000;

/// A project to look at.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
    system: Option<PathBuf>,
    variables: BTreeSet<String>,
}

impl Project {
    /// The project in `root`. `system` stands for `/`, `variables` are the names of environment variables that are set.
    ///
    /// # Errors
    /// When `root` is no directory that can be entered.
    pub fn new(root: &Path, system: &Path, variables: BTreeSet<String>) -> io::Result<Self> {
        let root = fs::canonicalize(root)?;
        if !root.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { root, system: fs::canonicalize(system.join("etc")).ok(), variables })
    }

    /// The project in `root` on this machine.
    ///
    /// # Errors
    /// Those of [`Project::new`].
    pub fn of_process(root: &Path) -> io::Result<Self> {
        let set = std::env::vars_os().filter(|(_, value)| !value.is_empty()).filter_map(|(name, _)| name.into_string().ok());
        Self::new(root, Path::new("/"), set.collect())
    }

    /// Where it is, without links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The name of its folder.
    #[must_use]
    pub fn folder(&self) -> String {
        self.root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Whether an environment variable is set. Its value is never looked at.
    #[must_use]
    pub fn is_set(&self, variable: &str) -> bool {
        self.variables.contains(variable)
    }

    /// Whether there is such a file.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        inside(&self.root, &self.root.join(path)).is_some_and(|path| path.is_file())
    }

    /// Whether there is such a folder.
    #[must_use]
    pub fn has_folder(&self, path: &str) -> bool {
        inside(&self.root, &self.root.join(path)).is_some_and(|path| path.is_dir())
    }

    /// The text of a file, its first mebibyte.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<String> {
        text(&inside(&self.root, &self.root.join(path))?)
    }

    /// Names in a folder, sorted.
    #[must_use]
    pub fn names(&self, folder: &str) -> Vec<String> {
        inside(&self.root, &self.root.join(folder)).map(|path| names(&path)).unwrap_or_default()
    }

    /// The text of a file of the system: `/etc/…`.
    #[must_use]
    pub fn read_system(&self, path: &str) -> Option<String> {
        let etc = self.system.as_ref()?;
        text(&inside(etc, &etc.join(path.strip_prefix("/etc/")?))?)
    }

    /// Names in a folder of the system: `/etc/…`.
    #[must_use]
    pub fn system_names(&self, folder: &str) -> Vec<String> {
        let Some((etc, rest)) = self.system.as_ref().zip(folder.strip_prefix("/etc/")) else { return Vec::new() };
        inside(etc, &etc.join(rest)).map(|path| names(&path)).unwrap_or_default()
    }
}

/// The path without links, when it still lies in `root`.
fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok().filter(|path| path.starts_with(root))
}

fn text(path: &Path) -> Option<String> {
    // A pipe or a device would hold us up.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LIMIT_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').to_owned())
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.take(LIMIT_NAMES).filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
}
