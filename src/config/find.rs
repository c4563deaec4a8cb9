//! Where the configuration is: the search order.

use std::fmt;
use std::path::{Path, PathBuf};

/// The name of a configuration in a project.
pub const FILE_NAME: &str = "rounds.toml";

/// Everything the search looks at, so that nothing of the process is read here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// `--config`.
    pub explicit: Option<PathBuf>,
    /// `$ROUNDS_CONFIG`; empty counts as not set.
    pub env: Option<PathBuf>,
    /// The working directory.
    pub cwd: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME/rounds`, or what stands for it here.
    pub user_dir: Option<PathBuf>,
    /// `/etc/rounds/config.toml`.
    pub system: Option<PathBuf>,
}

/// Which step of the search found the file; it decides about trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `--config`.
    Explicit,
    /// `$ROUNDS_CONFIG`.
    Environment,
    /// In the working directory or a parent of it: commands run only after `rounds trust`.
    Project,
    /// The user's.
    User,
    /// The system's.
    System,
}

impl Origin {
    /// Whether it is trusted without being asked about (product law 4).
    #[must_use]
    pub const fn is_trusted(self) -> bool {
        !matches!(self, Self::Project)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Explicit => "named by --config",
            Self::Environment => "named by $ROUNDS_CONFIG",
            Self::Project => "found in the working directory or a parent",
            Self::User => "the user's",
            Self::System => "the system's",
        })
    }
}

impl Search {
    /// The search of this process. `explicit` is `--config`.
    #[must_use]
    pub fn of_process(explicit: Option<PathBuf>) -> Self {
        Self {
            explicit,
            env: std::env::var_os("ROUNDS_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from),
            cwd: std::env::current_dir().ok(),
            user_dir: directories::ProjectDirs::from("", "", "rounds").map(|dirs| dirs.config_dir().to_owned()),
            system: Some(PathBuf::from("/etc/rounds/config.toml")),
        }
    }

    /// The first file of the order. A file that was named is taken even if it is not there, so that its absence is told.
    ///
    /// # Errors
    /// All places that were looked at, when nothing is in any of them.
    pub fn find(&self) -> Result<(PathBuf, Origin), Vec<PathBuf>> {
        if let Some(path) = &self.explicit {
            return Ok((self.absolute(path), Origin::Explicit));
        }
        if let Some(path) = &self.env {
            return Ok((self.absolute(path), Origin::Environment));
        }
        let mut looked = Vec::new();
        let project = self.cwd.iter().flat_map(|cwd| cwd.ancestors()).map(|folder| (folder.join(FILE_NAME), Origin::Project));
        let user = self.user_dir.iter().map(|folder| (folder.join("config.toml"), Origin::User));
        let system = self.system.iter().map(|path| (path.clone(), Origin::System));
        for (path, origin) in project.chain(user).chain(system) {
            // Something that is there and cannot be read is told rather than passed over; a folder of that name is none.
            match path.symlink_metadata() {
                Ok(about) if !about.is_dir() => return Ok((path, origin)),
                _ => looked.push(path),
            }
        }
        Err(looked)
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        self.cwd.as_ref().map_or_else(|| path.to_owned(), |cwd| cwd.join(path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_order_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("project/deep/er")).unwrap();
        fs::create_dir_all(at("user")).unwrap();
        let mut search = Search {
            explicit: Some("given.toml".into()),
            env: Some(at("env.toml")),
            cwd: Some(at("project/deep/er")),
            user_dir: Some(at("user")),
            system: Some(at("system.toml")),
        };
        assert_eq!(search.find(), Ok((at("project/deep/er/given.toml"), Origin::Explicit)));
        search.explicit = None;
        assert_eq!(search.find(), Ok((at("env.toml"), Origin::Environment)));
        search.env = None;
        let looked = search.find().unwrap_err();
        assert_eq!(looked[..3], [at("project/deep/er/rounds.toml"), at("project/deep/rounds.toml"), at("project/rounds.toml")]);
        assert_eq!(looked[looked.len() - 2..], [at("user/config.toml"), at("system.toml")]);
        for (file, origin) in [
            ("system.toml", Origin::System),
            ("user/config.toml", Origin::User),
            ("project/rounds.toml", Origin::Project),
            ("project/deep/er/rounds.toml", Origin::Project),
        ] {
            fs::write(at(file), "").unwrap();
            assert_eq!(search.find(), Ok((at(file), origin)));
        }
    }
}
