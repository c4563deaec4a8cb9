//! Files of what can be had again: written whole or not at all, readable by this person only, and absent when damaged.
//!
//! What does not belong here: what is kept, and for how long (`indexes`, `advisories`, `life`).

use std::fs;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// A short name for a text that may be no file's name.
#[must_use]
pub fn short(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Reads a file; what is larger, damaged or none is absent. Blocks.
#[must_use]
pub fn read<T: DeserializeOwned>(path: &Path, limit: u64) -> Option<T> {
    let about = path.metadata().ok()?;
    (about.is_file() && about.len() <= limit).then(|| fs::read(path).ok())?.and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// Writes a file whole or not at all: several processes share the folder. Blocks.
///
/// # Errors
/// When the disk does not take it.
pub fn write<T: Serialize>(path: &Path, what: &T) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = path.parent().ok_or(std::io::ErrorKind::InvalidInput)?;
    // Names of packages tell about private code.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let bytes = serde_json::to_vec(what)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
