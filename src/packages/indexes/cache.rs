//! What an index answered last, boiled down, so that "nothing new" costs neither bytes nor parsing. On disk where there is a
//! place for it, else in memory. A damaged file is one that is not there.
//!
//! What does not belong here: when an answer may be used without asking (`client`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::prune;
use super::simple::Project;
use crate::packages::kept;

/// Changes whenever what is kept changes its shape or meaning.
const SHAPE: &str = "simple-1";
/// A kept answer is not larger than this, in bytes.
const LIMIT: u64 = 16 << 20;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// As the server wrote it.
    pub etag: Option<String>,
    /// As the server wrote it.
    pub modified: Option<String>,
    /// When it was answered or confirmed, in seconds since 1970.
    pub asked_at_s: i64,
    /// How long the server says that it holds.
    pub max_age_s: u64,
    /// The answer.
    pub project: Arc<Project>,
}

/// Where answers are kept.
#[derive(Debug)]
pub enum Cache {
    /// A file for each project.
    Disk(PathBuf),
    /// As long as the source lives.
    Memory(Mutex<HashMap<String, Kept>>),
}

impl Cache {
    /// In this folder, else in memory.
    #[must_use]
    pub fn new(folder: Option<&Path>) -> Self {
        folder.map_or_else(|| Self::Memory(Mutex::default()), |folder| Self::Disk(folder.join(SHAPE)))
    }

    /// `base` is the index's address without credentials; `name` is normalised, so it is a safe file name.
    fn key(base: &str, name: &str) -> String {
        format!("{}/{name}.json", kept::short(base))
    }

    /// The last answer. Blocks.
    #[must_use]
    pub fn get(&self, base: &str, name: &str) -> Option<Kept> {
        let key = Self::key(base, name);
        match self {
            Self::Memory(all) => all.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned(),
            Self::Disk(folder) => kept::read(&folder.join(key), LIMIT),
        }
    }

    /// Keeps an answer; a disk that is full or read-only costs the next poll some bytes, and nothing else. Blocks.
    pub fn put(&self, base: &str, name: &str, answer: &Kept) {
        let key = Self::key(base, name);
        match self {
            Self::Memory(all) => drop(all.lock().unwrap_or_else(PoisonError::into_inner).insert(key, answer.clone())),
            Self::Disk(folder) => {
                drop(kept::write(&folder.join(key), answer));
                prune::now_and_then(folder, crate::io::clock::now().timestamp());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_and_damage_is_absence() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept { etag: Some("\"a\"".into()), modified: None, asked_at_s: 7, max_age_s: 600, project: Arc::default() };
        for cache in [Cache::new(Some(dir.path())), Cache::new(None)] {
            assert_eq!(cache.get("https://index.example/simple/", "basket"), None);
            cache.put("https://index.example/simple/", "basket", &kept);
            assert_eq!(cache.get("https://index.example/simple/", "basket"), Some(kept.clone()));
            assert_eq!(cache.get("https://other.example/simple/", "basket"), None);
        }
        let cache = Cache::new(Some(dir.path()));
        let path = dir.path().join(SHAPE).join(Cache::key("https://index.example/simple/", "basket"));
        for damage in [&b""[..], b"{", b"\xff\xfe", b"{\"etag\":3}"] {
            std::fs::write(&path, damage).unwrap();
            assert_eq!(cache.get("https://index.example/simple/", "basket"), None);
        }
        let nowhere = Cache::new(Some(Path::new("/dev/null/x")));
        nowhere.put("https://index.example/simple/", "basket", &kept);
        assert_eq!(nowhere.get("https://index.example/simple/", "basket"), None);
    }
}
