//! What was said last of weaknesses, on disk where there is a place for it, else in memory: so that nothing is asked twice, and
//! silence now is not taken for "nothing found". A damaged file is one that is not there.
//!
//! What does not belong here: when what was kept may be used without asking (`client`).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::osv::{Mention, is_id};
use super::record::Record;
use crate::packages::kept;

/// Changes whenever what is kept changes its shape or meaning.
const SHAPE: &str = "advisories-1";
/// A file of answers is not larger than this, in bytes.
const LIMIT: u64 = 32 << 20;

/// What was answered for one version of one package.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// When, in seconds since 1970.
    pub at_s: i64,
    /// The records that speak of it.
    #[serde(default)]
    pub found: Vec<Mention>,
    /// Records of a list that has no details to ask for.
    #[serde(default)]
    pub records: Vec<Arc<Record>>,
}

/// All that was answered of one set of packages: `NAME VERSION` to the answer.
pub type Answers = BTreeMap<String, Answered>;

/// The key of an answer.
#[must_use]
pub fn key(name: &str, version: &str) -> String {
    format!("{name} {version}")
}

/// Where answers are kept.
#[derive(Debug)]
pub struct Store {
    folder: Option<PathBuf>,
    answers: Mutex<HashMap<String, Arc<Answers>>>,
    records: Mutex<HashMap<String, Arc<Record>>>,
}

impl Store {
    /// In this folder, else in memory.
    #[must_use]
    pub fn new(folder: Option<&Path>) -> Self {
        Self { folder: folder.map(|folder| folder.join(SHAPE)), answers: Mutex::default(), records: Mutex::default() }
    }

    /// The last answers. `who` names service, ecosystem and source. Blocks.
    #[must_use]
    pub fn answers(&self, who: &str) -> Arc<Answers> {
        let mut all = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(who) {
            return Arc::clone(known);
        }
        let read = Arc::new(self.read::<Answers>(&format!("{}.json", kept::short(who))).unwrap_or_default());
        all.insert(who.to_owned(), Arc::clone(&read));
        read
    }

    /// Keeps answers. Blocks.
    pub fn keep(&self, who: &str, answers: Answers) {
        let answers = Arc::new(answers);
        let before = self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(who.to_owned(), Arc::clone(&answers));
        if before.is_none_or(|before| before != answers) {
            self.write(&format!("{}.json", kept::short(who)), answers.as_ref());
        }
    }

    fn file(base: &str, ecosystem: &str, id: &str) -> String {
        format!("{}/{}.json", kept::short(&format!("{base} {ecosystem}")), id.replace(':', "_"))
    }

    /// A record as it was last. Blocks.
    #[must_use]
    pub fn record(&self, base: &str, ecosystem: &str, id: &str) -> Option<Arc<Record>> {
        if !is_id(id) {
            return None;
        }
        let file = Self::file(base, ecosystem, id);
        let mut all = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&file) {
            return Some(Arc::clone(known));
        }
        let read = Arc::new(self.read::<Record>(&file)?);
        all.insert(file, Arc::clone(&read));
        Some(read)
    }

    /// Keeps a record. Blocks.
    pub fn keep_record(&self, base: &str, ecosystem: &str, record: &Arc<Record>) {
        let file = Self::file(base, ecosystem, &record.id);
        self.write(&file, record.as_ref());
        self.records.lock().unwrap_or_else(PoisonError::into_inner).insert(file, Arc::clone(record));
    }

    fn read<T: DeserializeOwned>(&self, file: &str) -> Option<T> {
        kept::read(&self.folder.as_ref()?.join(file), LIMIT)
    }

    fn write<T: Serialize>(&self, file: &str, what: &T) {
        if let Some(folder) = &self.folder {
            // A disk that is full or read-only costs the next poll some bytes, and nothing else.
            let _ = kept::write(&folder.join(file), what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_records_outlive_the_process_and_damage_is_absence() {
        let dir = tempfile::tempdir().unwrap();
        let record = Arc::new(Record { id: "GHSA-a".into(), modified: "m".into(), ..Record::default() });
        let answers =
            Answers::from([(key("django", "5.2"), Answered { at_s: 7, found: vec![Mention { id: "GHSA-a".into(), modified: "m".into() }], records: vec![] })]);
        for folder in [Some(dir.path()), None] {
            let store = Store::new(folder);
            assert!(store.answers("who").is_empty());
            store.keep("who", answers.clone());
            store.keep_record("https://osv.example/", "PyPI", &record);
            let again = if folder.is_some() { Store::new(folder) } else { store };
            assert_eq!(*again.answers("who"), answers);
            assert_eq!(again.record("https://osv.example/", "PyPI", "GHSA-a"), Some(Arc::clone(&record)));
            assert_eq!(again.record("https://osv.example/", "npm", "GHSA-a"), None);
            assert_eq!(again.record("https://osv.example/", "PyPI", "../GHSA-a"), None);
        }
        let file = dir.path().join(SHAPE).join(format!("{}.json", kept::short("who")));
        std::fs::write(file, "{\"django").unwrap();
        assert!(Store::new(Some(dir.path())).answers("who").is_empty());
        Store::new(Some(Path::new("/dev/null/x"))).keep("who", answers);
    }
}
