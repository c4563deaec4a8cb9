//! Which configurations found in a working directory may run commands: path and content, recorded once by this person.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::Timestamp;
use crate::domain::time::seconds;

/// The file in the state directory.
const FILE_NAME: &str = "trust.json";

/// One configuration that was trusted, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Trusted {
    path: PathBuf,
    hash: String,
    #[serde(with = "seconds")]
    at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    schema: u32,
    #[serde(default)]
    files: Vec<Trusted>,
}

/// What was trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// This content at this path.
    Trusted,
    /// This path, with another content than now.
    Changed,
    /// Not this path.
    Never,
}

/// Why nothing could be recorded.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Somebody else may change the file after it was read.
    #[error("others may write {}: what it runs could be changed behind your back; run chmod go-w on it first", .0.display())]
    Writable(PathBuf),
    /// Somebody else owns it.
    #[error("{} belongs to another user: what it runs could be changed behind your back; make a copy of your own first", .0.display())]
    Foreign(PathBuf),
    /// The list cannot be written or the file cannot be read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The record of trust in a state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustStore {
    path: PathBuf,
}

/// SHA-256 of a content, hexadecimal.
#[must_use]
pub fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl TrustStore {
    /// The record in this state directory, which need not be there.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join(FILE_NAME) }
    }

    /// The file of the record.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this content at this path was trusted. A record that cannot be read trusts nothing.
    #[must_use]
    pub fn standing(&self, path: &Path, hash: &str) -> Standing {
        let path = canonical(path);
        match self.read().into_iter().find(|file| file.path == path) {
            Some(file) if file.hash == hash => Standing::Trusted,
            Some(_) => Standing::Changed,
            None => Standing::Never,
        }
    }

    /// Records that this content of a file was read and found good, in place of what was recorded for the file. Gives its hash.
    ///
    /// # Errors
    /// When others may change the file, or the record cannot be written.
    pub fn trust(&self, path: &Path, content: &[u8], now: Timestamp) -> Result<String, TrustError> {
        refuse_shared(path)?;
        let (path, hash) = (canonical(path), hash(content));
        let mut files = self.read();
        files.retain(|file| file.path != path);
        files.push(Trusted { path, hash: hash.clone(), at: now });
        self.write(files).map_err(|source| TrustError::Io { path: self.path.clone(), source })?;
        Ok(hash)
    }

    fn read(&self) -> Vec<Trusted> {
        let stored = fs::read(&self.path).ok().and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        stored.map(|stored| stored.files).unwrap_or_default()
    }

    /// A reader sees the old list or the new one, never a part.
    fn write(&self, files: Vec<Trusted>) -> io::Result<()> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let part = folder.join(format!("{FILE_NAME}.{}.part", std::process::id()));
        let written = (|| {
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            let mut text = serde_json::to_vec_pretty(&Stored { schema: 1, files })?;
            text.push(b'\n');
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&part, &self.path)
        })();
        if written.is_err() {
            // Best effort: the error that matters is already in hand.
            let _ = fs::remove_file(&part);
        }
        written
    }
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A file that another user may write or owns.
///
/// # Errors
/// Which of the two it is.
pub fn refuse_shared(path: &Path) -> Result<(), TrustError> {
    use std::os::unix::fs::MetadataExt;

    let about = fs::metadata(path).map_err(|source| TrustError::Io { path: path.to_owned(), source })?;
    let me = nix::unistd::geteuid().as_raw();
    if about.uid() != me && about.uid() != 0 {
        return Err(TrustError::Foreign(path.to_owned()));
    }
    // A group of one's own with write permission is how many systems set people up; it is told apart by its number.
    let own_group = about.gid() == about.uid();
    if about.mode() & 0o002 != 0 || about.mode() & 0o020 != 0 && !own_group {
        return Err(TrustError::Writable(path.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_timestamp(1_790_000_000, 0).unwrap()
    }

    #[test]
    fn trust_is_bound_to_path_and_content() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("rounds.toml"), folder.path().join("other.toml"));
        fs::write(&file, "a = 1").unwrap();
        fs::write(&other, "a = 1").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let store = TrustStore::new(&folder.path().join("state/rounds"));
        let digest = hash(b"a = 1");
        assert_eq!(store.standing(&file, &digest), Standing::Never);
        assert_eq!(store.trust(&file, b"a = 1", now()).unwrap(), digest);
        assert_eq!(store.standing(&file, &digest), Standing::Trusted);
        assert_eq!(store.standing(&other, &digest), Standing::Never);
        assert_eq!(store.standing(&file, &hash(b"a = 2")), Standing::Changed);
        // The same file by another way.
        assert_eq!(store.standing(&folder.path().join("state/../rounds.toml"), &digest), Standing::Trusted);

        store.trust(&file, b"a = 2", now()).unwrap();
        assert_eq!(store.standing(&file, &hash(b"a = 2")), Standing::Trusted);
        assert_eq!(store.read().len(), 1);
        let state = folder.path().join("state/rounds");
        assert_eq!(fs::metadata(state.join(FILE_NAME)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "a part was left behind");
    }

    #[test]
    fn what_others_may_write_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rounds.toml");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let store = TrustStore::new(folder.path());
        assert!(matches!(store.trust(&file, b"", now()), Err(TrustError::Writable(_))));
        assert!(matches!(store.trust(&folder.path().join("none"), b"", now()), Err(TrustError::Io { .. })));
    }

    #[test]
    fn a_damaged_record_trusts_nothing_and_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rounds.toml");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(folder.path().join(FILE_NAME), "{\"schema\":").unwrap();
        let store = TrustStore::new(folder.path());
        assert_eq!(store.standing(&file, &hash(b"")), Standing::Never);
        store.trust(&file, b"", now()).unwrap();
        assert_eq!(store.standing(&file, &hash(b"")), Standing::Trusted);
    }
}
