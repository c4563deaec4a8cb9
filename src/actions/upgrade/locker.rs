//! Tools that keep a lock file beside a manifest: their files and their commands.
//!
//! What does not belong here: running them (`guard`), what the manifest says (`declared`).

/// Who keeps the lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locker {
    /// `uv.lock`.
    Uv,
    /// `poetry.lock`.
    Poetry,
    /// `Pipfile.lock`.
    Pipenv,
    /// `pdm.lock`.
    Pdm,
}

/// The program of a [`Locker`] that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Program {
    /// A name in `PATH`, or its path.
    pub path: String,
    /// The first number of its version; 0 where it was not told.
    pub major: u64,
}

/// Variables that keep these tools from asking, from looking for news, and in the environment of the copy.
pub(super) const QUIET: [(&str, &str); 8] = [
    ("POETRY_NO_INTERACTION", "1"),
    ("PIPENV_YES", "1"),
    ("PIPENV_NOSPIN", "1"),
    // Says nothing of the environment that it was told to use.
    ("PIPENV_VERBOSITY", "-1"),
    ("PDM_CHECK_UPDATE", "0"),
    ("PDM_NON_INTERACTIVE", "1"),
    ("PDM_IGNORE_SAVED_PYTHON", "1"),
    ("UV_PYTHON_DOWNLOADS", "never"),
];

impl Locker {
    /// All.
    pub(super) const ALL: [Self; 4] = [Self::Uv, Self::Poetry, Self::Pipenv, Self::Pdm];

    /// For reading; its program has the same name.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Uv => "uv",
            Self::Poetry => "poetry",
            Self::Pipenv => "pipenv",
            Self::Pdm => "pdm",
        }
    }

    /// The file that a person writes.
    pub(super) const fn manifest(self) -> &'static str {
        match self {
            Self::Pipenv => "Pipfile",
            Self::Uv | Self::Poetry | Self::Pdm => "pyproject.toml",
        }
    }

    /// The file that it writes.
    pub(super) const fn lock(self) -> &'static str {
        match self {
            Self::Uv => "uv.lock",
            Self::Poetry => "poetry.lock",
            Self::Pipenv => "Pipfile.lock",
            Self::Pdm => "pdm.lock",
        }
    }

    /// Whether it may leave the project itself out of the environment.
    pub(super) const fn knows_rootless(self) -> bool {
        matches!(self, Self::Poetry | Self::Pdm)
    }

    /// Makes the environment as the lock file says.
    pub(super) fn install(self, program: &Program, rootless: bool) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Uv => &["sync", "--frozen"],
            Self::Poetry if program.major == 1 => &["install", "--sync"],
            Self::Poetry => &["sync"],
            Self::Pipenv => &["sync", "--dev"],
            Self::Pdm => &["sync", "--clean"],
        };
        let bare = match self {
            Self::Poetry if rootless => Some("--no-root"),
            Self::Pdm if rootless => Some("--no-self"),
            _ => None,
        };
        argv(program, words.iter().copied().chain(bare))
    }

    /// Writes the lock file anew after the manifest was changed; other packages stay where they are.
    pub(super) fn relock(self, program: &Program, name: &str, to: &str, develop: bool) -> Vec<String> {
        let wanted = format!("{name}=={to}");
        match self {
            Self::Uv => argv(program, ["lock", "--upgrade-package", &wanted]),
            Self::Poetry if program.major == 1 => argv(program, ["lock", "--no-update"]),
            Self::Poetry => argv(program, ["lock"]),
            Self::Pipenv if develop => argv(program, ["upgrade", "--dev", "--lock-only", &wanted]),
            Self::Pipenv => argv(program, ["upgrade", "--lock-only", &wanted]),
            Self::Pdm => argv(program, ["lock", "--update-reuse"]),
        }
    }

    /// Asks for one more package at this version, for a moment: what only others ask for has no place in the manifest to change.
    pub(super) fn ask_for(self, program: &Program, name: &str, to: &str, develop: bool) -> Vec<String> {
        let wanted = format!("{name}=={to}");
        match self {
            Self::Uv => self.relock(program, name, to, develop),
            Self::Poetry => argv(program, ["add", "--lock", &wanted]),
            Self::Pipenv if develop => argv(program, ["upgrade", "--dev", &wanted]),
            Self::Pipenv => argv(program, ["upgrade", &wanted]),
            Self::Pdm => argv(program, ["add", "--no-sync", "--update-reuse", &wanted]),
        }
    }
}

fn argv<'a>(program: &'a Program, words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    std::iter::once(program.path.as_str()).chain(words).map(str::to_owned).collect()
}

/// The first number in what a tool says of its version: `Poetry (version 2.5.1)`.
pub(super) fn major(said: &str) -> u64 {
    let digits: String = said.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_follow_the_version_of_the_tool() {
        let poetry = |said: &str| Program { path: "poetry".to_owned(), major: major(said) };
        let (old, new) = (poetry("Poetry (version 1.8.5)"), poetry("Poetry (version 2.5.1)\n"));
        assert_eq!(Locker::Poetry.install(&old, true).join(" "), "poetry install --sync --no-root");
        assert_eq!(Locker::Poetry.install(&new, false).join(" "), "poetry sync");
        assert_eq!(Locker::Poetry.relock(&old, "a", "1", false).join(" "), "poetry lock --no-update");
        assert_eq!(Locker::Poetry.relock(&new, "a", "1", false).join(" "), "poetry lock");
        assert_eq!((major("PDM, version 2.29.3"), major("pipenv, version 2026.10.3"), major("nothing")), (2, 2026, 0));
    }
}
