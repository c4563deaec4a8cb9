//! The folder of a run: one run at a time, the copy and its environment, and nothing of them left behind.
//!
//! What does not belong here: what is done in it (`guard`).

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest as _, Sha256};

use super::Broken;
use super::git::Git;

/// The record of a run that has begun, kept beside the lock.
const BEGUN: &str = "begun.json";

/// The folder of one project's runs, held by this process.
#[derive(Debug)]
pub struct Place {
    /// It.
    pub dir: PathBuf,
    /// Held until this is dropped, and by the system no longer than this process lives.
    lock: File,
}

impl Place {
    /// Takes the place of a repository below `work`. Blocks.
    ///
    /// # Errors
    /// Refused when another run holds it, or when the folder cannot be made.
    pub fn take(work: &Path, top: &Path) -> Result<Self, Broken> {
        let digest = Sha256::digest(top.as_os_str().as_encoded_bytes());
        let name = digest.iter().take(8).fold(String::new(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        });
        let dir = work.join("upgrade").join(name);
        let refused = |error: &std::io::Error| {
            Broken::Refused(format!("{} cannot be written: {}", dir.display(), error.kind()), "name another folder with --state-dir".to_owned())
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|error| refused(&error))?;
        // As git writes it, so that what it lists can be found again.
        let dir = dir.canonicalize().map_err(|error| refused(&error))?;
        let path = dir.join("lock");
        let mut lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(|error| refused(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&mut lock).take(64).read_to_string(&mut holder);
                let holder = holder.trim();
                let by = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                return Err(Broken::Refused(format!("another upgrade of {} runs{by}", top.display()), "wait for its end".to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(refused(&error)),
        }
        let written = lock.set_len(0).and_then(|()| lock.seek(SeekFrom::Start(0))).and_then(|_| write!(lock, "{}", std::process::id()));
        written.map_err(|error| refused(&error))?;
        Ok(Self { dir, lock })
    }

    /// The copy of the project.
    pub fn copy(&self) -> PathBuf {
        self.dir.join("copy")
    }

    /// The environment that is tried.
    pub fn venv(&self) -> PathBuf {
        self.dir.join("venv")
    }

    /// The environment as it was when it last passed.
    pub fn good(&self) -> PathBuf {
        self.dir.join("good")
    }

    /// The log of the last run.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Takes away the copy and the environments of this or an interrupted run, and what of it still runs there.
    ///
    /// # Errors
    /// What could not be taken away.
    pub(super) async fn clean(&self, git: &Git) -> Result<(), String> {
        let copy = self.copy();
        let dir = self.dir.clone();
        let _ = tokio::task::spawn_blocking(move || end_leftovers(&dir)).await;
        let shown = copy.to_string_lossy().into_owned();
        if copy.exists() {
            // Twice: also when it is locked. What git does not know is taken away below.
            let _ = git.ask(&["worktree", "remove", "--force", "--force", &shown]).await;
        }
        let paths = [copy, self.venv(), self.good()];
        let gone = tokio::task::spawn_blocking(move || paths.iter().try_for_each(|path| remove(path))).await;
        gone.map_err(|_| "the cleaning broke off".to_owned())?.map_err(|error| format!("{shown}: {}", error.kind()))?;
        let listed = git.ask(&["worktree", "list", "--porcelain"]).await.unwrap_or_default();
        if listed.lines().any(|line| line.strip_prefix("worktree ") == Some(shown.as_str())) {
            // One that was killed while it was made is locked, and would stay.
            let _ = git.ask(&["worktree", "unlock", &shown]).await;
            git.ask(&["worktree", "prune"]).await?;
        }
        Ok(())
    }

    /// Remembers the record of a beginning, for the next run if this one is killed. Blocks.
    pub fn remember(&self, record: &str) {
        // Without it only that record's end is missing.
        let _ = fs::write(self.dir.join(BEGUN), record);
    }

    /// The record of a run that never told its end. Blocks.
    #[must_use]
    pub fn broken_off(&self) -> Option<String> {
        fs::read_to_string(self.dir.join(BEGUN)).ok()
    }

    /// Its end was told. Blocks.
    pub fn forget(&self) {
        let _ = fs::remove_file(self.dir.join(BEGUN));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The file stays: taken away, two could hold a lock of the same name.
        let _ = self.lock.set_len(0);
        let _ = self.lock.unlock();
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Ends programs that an interrupted run left: those of this person whose working directory lies in the folder of its runs.
fn end_leftovers(dir: &Path) {
    let Ok(dir) = dir.canonicalize() else { return };
    for entry in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let there = fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&dir));
        if there && pid > 1 && u32::try_from(pid) != Ok(std::process::id()) {
            // It may have ended by itself in between.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_a_time_holds_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let first = Place::take(dir.path(), Path::new("/srv/shop")).unwrap();
        let Err(Broken::Refused(said, _)) = Place::take(dir.path(), Path::new("/srv/shop")) else { panic!("two hold it") };
        assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
        assert!(Place::take(dir.path(), Path::new("/srv/blog")).is_ok());
        drop(first);
        assert!(Place::take(dir.path(), Path::new("/srv/shop")).is_ok());
    }
}
