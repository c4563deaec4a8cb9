//! What was measured of a repository, kept in the cache: sizes of copies that never change, and how large the repository was when. It can
//! all be had again, at a price: a look at every copy takes a tool minutes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::SourceId;

/// Copies that are remembered.
const COPIES: usize = 2_000;
/// Sizes of the repository that are remembered: a year and more, a day each.
const SIZES: usize = 400;
/// A file that is larger is not ours.
const LARGEST: u64 = 4 << 20;

/// What was measured of one copy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Its size in bytes.
    pub size: Option<u64>,
    /// What it added.
    pub added: Option<u64>,
    /// When its run ended, in seconds since 1970.
    pub ended: Option<i64>,
    /// The machine it was made on.
    pub host: Option<String>,
}

/// What was measured of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// Which repository: a digest of its address.
    pub of: String,
    /// By the id of a copy.
    pub copies: BTreeMap<String, Measured>,
    /// Seconds since 1970 and bytes, oldest first.
    pub sizes: Vec<(i64, u64)>,
    /// When it was measured last, and what its newest copy was then.
    pub measured: Option<(i64, String)>,
    /// What stood in the way of measuring it then, where it looks like damage.
    pub damage: Option<String>,
}

/// A repository is measured so often at most, and only when something was added.
const MEASURED_EVERY_S: i64 = 86_400;
/// The same where measuring met with damage: it may be mended, or may have been a passing fault.
const DAMAGE_AGAIN_S: i64 = 3_600;

impl Kept {
    /// Whether the repository is to be measured, its newest copy being this one.
    #[must_use]
    pub fn is_due(&self, now_s: i64, newest: &str) -> bool {
        match &self.measured {
            None => true,
            Some((at, _)) if self.damage.is_some() => now_s - at >= DAMAGE_AGAIN_S,
            Some((at, then)) => then != newest && now_s - at >= MEASURED_EVERY_S,
        }
    }

    /// Notes how large the repository is. Measured twice within hours, the newer counts.
    pub fn note_size(&mut self, at_s: i64, bytes: u64) {
        while self.sizes.len() > 1 && self.sizes.last().is_some_and(|(last, _)| at_s - last < 12 * 3_600) {
            self.sizes.pop();
        }
        self.sizes.push((at_s, bytes));
        let past = self.sizes.len().saturating_sub(SIZES);
        self.sizes.drain(..past);
    }

    /// Notes it after a look that costs nothing and comes often: only what is another size, or half a day later.
    pub fn note_look(&mut self, at_s: i64, bytes: u64) {
        if self.sizes.last().is_none_or(|(last, known)| *known != bytes || at_s - last >= 12 * 3_600) {
            self.note_size(at_s, bytes);
        }
    }

    /// Forgets copies that are no longer there.
    pub fn forget(&mut self, is_there: impl Fn(&str) -> bool) {
        self.copies.retain(|id, _| is_there(id));
        while self.copies.len() > COPIES {
            self.copies.pop_first();
        }
    }
}

/// Where it is kept: a file in the cache, or only here.
#[derive(Debug, Clone)]
pub struct Keeper {
    path: Option<PathBuf>,
    now: Arc<Mutex<Option<Kept>>>,
}

impl Keeper {
    /// For one source.
    #[must_use]
    pub fn new(cache: Option<&Path>, id: &SourceId) -> Self {
        let path = cache.map(|cache| cache.join("backups").join(format!("{}.json", id.to_string().replace('/', "+"))));
        Self { path, now: Arc::default() }
    }

    /// What is known of the repository at this address.
    pub async fn get(&self, address: &str) -> Kept {
        let of = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(address.as_bytes()));
        let known = self.now.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = match (known, self.path.clone()) {
            (Some(known), _) => Some(known),
            (None, Some(path)) => tokio::task::spawn_blocking(move || read(&path)).await.ok().flatten(),
            (None, None) => None,
        };
        known.filter(|known| known.of == of).unwrap_or(Kept { of, ..Kept::default() })
    }

    /// Keeps it. Where it cannot be written it is had again next time.
    pub async fn put(&self, kept: Kept) {
        let before = self.now.lock().unwrap_or_else(PoisonError::into_inner).replace(kept.clone());
        if before.as_ref() == Some(&kept) {
            return;
        }
        if let Some(path) = self.path.clone() {
            let _ = tokio::task::spawn_blocking(move || write(&path, &kept)).await;
        }
    }
}

fn read(path: &Path) -> Option<Kept> {
    let about = path.metadata().ok()?;
    (about.is_file() && about.len() <= LARGEST).then(|| std::fs::read(path).ok()).flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

fn write(path: &Path, kept: &Kept) -> Option<()> {
    let folder = path.parent()?;
    std::fs::create_dir_all(folder).ok()?;
    // Whole or not at all, also where another process writes at the same time.
    let mut file = tempfile::NamedTempFile::new_in(folder).ok()?;
    file.write_all(&serde_json::to_vec(kept).ok()?).ok()?;
    file.persist(path).ok().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_survives_the_process_and_belongs_to_one_repository() {
        let dir = tempfile::tempdir().unwrap();
        let id = SourceId::parse("shop/restic/db").unwrap();
        let keeper = Keeper::new(Some(dir.path()), &id);
        let mut kept = keeper.get("/a").await;
        kept.copies.insert("1".into(), Measured { size: Some(7), ..Measured::default() });
        kept.note_size(0, 10);
        kept.note_size(100_000, 20);
        kept.note_size(100_100, 21);
        assert_eq!(kept.sizes, [(0, 10), (100_100, 21)]);
        keeper.put(kept.clone()).await;
        assert_eq!(Keeper::new(Some(dir.path()), &id).get("/a").await, kept);
        assert!(Keeper::new(Some(dir.path()), &id).get("/b").await.copies.is_empty(), "another repository");
        std::fs::write(dir.path().join("backups/shop+restic+db.json"), "{ half").unwrap();
        assert!(Keeper::new(Some(dir.path()), &id).get("/a").await.copies.is_empty());
        assert!(kept.is_due(0, "1"));
        kept.measured = Some((0, "1".to_owned()));
        assert!(!kept.is_due(200_000, "1"), "nothing was added");
        assert!(!kept.is_due(80_000, "2") && kept.is_due(90_000, "2"), "at most daily");
        kept.damage = Some("a pack is missing".to_owned());
        assert!(!kept.is_due(10, "1") && kept.is_due(4_000, "1"));
        kept.forget(|id| id == "2");
        assert!(kept.copies.is_empty());
    }
}
