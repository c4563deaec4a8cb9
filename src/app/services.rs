//! The services of the sources of this process: what details are asked of and changes are told to. Each process has its own, also of a
//! source that another one polls; each is built when it is first needed.
//!
//! What does not belong here: polling (`sources::runner`), asking the person (`state`).

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::config::model::{Config, Entry};
use crate::domain::{SourceError, SourceId};
use crate::io::secret;
use crate::sources::Service;

/// The services of a configuration.
#[derive(Default)]
pub struct Services {
    entries: BTreeMap<SourceId, Entry>,
    built: BTreeMap<SourceId, Result<Option<Arc<dyn Service>>, SourceError>>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("built", &self.built.keys()).finish_non_exhaustive()
    }
}

impl Services {
    /// Those of this configuration, none of them built.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let entries = config.sources.iter().map(|entry| (entry.id.clone(), entry.clone())).collect();
        Self { entries, built: BTreeMap::new() }
    }

    /// Another configuration is in force: what is built of an entry that is the same stays.
    pub fn reconfigure(&mut self, config: &Config) {
        let mut next = Self::of(config);
        for (id, built) in std::mem::take(&mut self.built) {
            let same = |entry: &Entry| self.entries.get(&id).is_some_and(|before| before.fingerprint() == entry.fingerprint());
            if next.entries.get(&id).is_some_and(same) {
                next.built.insert(id, built);
            }
        }
        *self = next;
    }

    /// The service of a source; `None` where it has none, or is not configured.
    ///
    /// # Errors
    /// When the source cannot work here.
    pub fn get(&mut self, id: &SourceId) -> Result<Option<Arc<dyn Service>>, SourceError> {
        let Some(entry) = self.entries.get(id) else { return Ok(None) };
        let made = || {
            secret::remember_literals(&entry.config.secrets());
            let built = std::panic::catch_unwind(AssertUnwindSafe(|| entry.config.build(&entry.context)));
            built.unwrap_or_else(|_| Err(SourceError::protocol("the source crashed while it was built"))).map(|built| built.service)
        };
        self.built.entry(id.clone()).or_insert_with(made).clone()
    }
}
