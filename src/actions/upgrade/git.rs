//! Asking git, without hooks, without the caller's `GIT_*` variables, without writing what only makes it faster.
//!
//! What does not belong here: what is made of the answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::io::exec::{self, ExecError, Limits, Program};
use crate::io::secret::Secret;

/// Bounds one question.
const LIMIT: Duration = Duration::from_secs(120);
/// What is said where there is none.
pub(super) const MISSING: &str = "git is not installed";
/// Variables that would lead git to another repository, index or person's editor.
pub(super) const OURS: [&str; 8] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX"];

/// Git in one folder.
#[derive(Debug, Clone)]
pub struct Git(pub PathBuf);

/// The whole argument vector.
pub(super) fn argv(arguments: &[&str]) -> Vec<String> {
    let own = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"];
    own.into_iter().chain(arguments.iter().copied()).map(str::to_owned).collect()
}

/// The program with the variables it needs.
pub(super) fn program(arguments: &[&str], folder: &Path) -> Program {
    let program = Program::new(argv(arguments)).directory(folder);
    let program = OURS.iter().fold(program, |program, name| program.without(name));
    // A look at the state of a tree must not write its index.
    let fixed = [("GIT_OPTIONAL_LOCKS", "0"), ("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C")];
    fixed.into_iter().fold(program, |program, (name, value)| program.env(name, Secret::new(value.to_owned())))
}

impl Git {
    /// What it prints, without the last line end.
    ///
    /// # Errors
    /// Its last word, or why it did not run.
    pub async fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let output = exec::run(&program(arguments, &self.0), Limits::within(LIMIT)).await.map_err(|error| match error {
            ExecError::Missing { .. } => MISSING.to_owned(),
            other => other.to_string(),
        })?;
        if output.ending.success() {
            Ok(output.stdout_text().trim_end_matches('\n').to_owned())
        } else {
            let said = String::from_utf8_lossy(&output.stderr).lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
            Err(if said.is_empty() { format!("git {}: {}", arguments.first().unwrap_or(&""), output.ending) } else { said })
        }
    }
}
