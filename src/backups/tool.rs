//! Running a backup tool: English and UTC, nothing asked on a terminal, at low priority, and never twice at once on one repository.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::domain::SourceError;
use crate::io::exec::{self, ExecError, Limits, Output, Patience, Program};
use crate::io::secret::Secret;
use crate::sources::deadline;

/// Who uses which repository at the moment.
static TURNS: LazyLock<Mutex<HashMap<String, Weak<Turn<()>>>>> = LazyLock::new(Mutex::default);

/// Waits until nothing else of this process runs a tool on the repository, for as long as the answer is held.
pub async fn turn(repository: &str) -> OwnedMutexGuard<()> {
    let turn = {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        match turns.get(repository).and_then(Weak::upgrade) {
            Some(turn) => turn,
            None => {
                let turn = Arc::new(Turn::new(()));
                turns.insert(repository.to_owned(), Arc::downgrade(&turn));
                turn
            }
        }
    };
    turn.lock_owned().await
}

/// A tool with its arguments, to be run politely. Secrets go into `env`, never into arguments.
#[must_use]
pub fn program(argv: Vec<String>, env: &[(String, Secret)]) -> Program {
    let plain = |text: &str| Secret::new(text.to_owned());
    let mut program = Program::new(argv).low_priority().env("LC_ALL", plain("C.UTF-8")).env("TZ", plain("UTC"));
    // ssh would otherwise ask on the terminal that the screen is drawn on; so it is told that nobody answers.
    program = program.env("SSH_ASKPASS_REQUIRE", plain("force")).env("SSH_ASKPASS", plain("/bin/false"));
    for (name, value) in env {
        program = program.env(name, value.clone());
    }
    program
}

/// Runs it to its end.
///
/// # Errors
/// When it cannot be started, takes too long or prints too much. How it ended is the caller's to judge.
pub async fn run(program: &Program, timeout: Duration) -> Result<Output, SourceError> {
    Ok(run_patiently(program, timeout, None).await?)
}

/// The same, ended early where it tells of one trouble for too long.
///
/// # Errors
/// As [`run`], and when it was ended so.
pub async fn run_patiently(program: &Program, timeout: Duration, patience: Option<Patience>) -> Result<Output, ExecError> {
    // Before the look is over: then nobody would learn what it said.
    exec::run_patiently(program, Limits { stdout_bytes: 64 << 20, ..Limits::within(deadline::capped(timeout)) }, patience).await
}

/// The JSON document in what a tool printed: from the first line that begins one, since tools put words before it.
#[must_use]
pub fn json(stdout: &str) -> &str {
    let mut at = 0;
    for line in stdout.split_inclusive('\n') {
        if line.trim_start().starts_with(['[', '{']) {
            return stdout[at..].trim();
        }
        at += line.len();
    }
    ""
}

/// Why a document could not be read, clipped and without control characters: a reader repeats what it met.
#[must_use]
pub fn unreadable(error: &serde_json::Error) -> String {
    error.to_string().chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_before_the_document_are_skipped() {
        assert_eq!(json("repository 8f3 opened\n\n  [{\"a\":1}]\n"), "[{\"a\":1}]");
        assert_eq!(json("{\"a\":\n1}"), "{\"a\":\n1}");
        assert_eq!(json("nothing here"), "");
        assert_eq!(json(""), "");
    }

    #[tokio::test]
    async fn a_repository_is_used_by_one_at_a_time() {
        let first = turn("/backups/a").await;
        let _other = turn("/backups/b").await;
        let second = tokio::spawn(async { turn("/backups/a").await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!second.is_finished());
        drop(first);
        let _guard = tokio::time::timeout(Duration::from_secs(10), second).await.unwrap().unwrap();
    }
}
