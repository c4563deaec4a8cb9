//! Backups that are plain files: dumps and archives in a folder, judged by age, size, wholeness and number.
//!
//! What does not belong here: the verdict on a promise (`rules::backups`), restoring (`actions`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `list` | which files there are, here or told by a command |
//! | `whole` | whether one file is whole, by its kind |
//! | `judge` | what the list says of the data set; pure |

mod judge;
mod list;
#[cfg(test)]
mod tests;
mod whole;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::whole::fuzz_end as fuzz_dump_end;
use super::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Source, SourceConfig, SourceSpec};
use crate::backups::{DrillConfig, Promise, plan};
use crate::config::value::{Dur, Size};
use crate::domain::{Capability, Data, Observation, SourceError};
use crate::io::clock;
use crate::io::secret::SecretRef;

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(600);
/// The time limit of one look where none is configured: a large dump is read to its end once.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The keys of one data set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The copies: a file name with `*`, `?`, `[…]` or `**`.
    pub path: String,
    /// The promise: how old the last good copy may be; 26 hours when not given.
    pub max_age: Option<Dur>,
    /// The promise: how small a copy may be, such as `"10MiB"`.
    pub min_size: Option<Size>,
    /// What the files are, for the look at their end; `auto` goes by their beginning.
    #[serde(default)]
    pub kind: FileKind,
    /// The promise: how many copies there are at least.
    #[schemars(range(min = 1))]
    pub retention: Option<u32>,
    /// A command that lists the copies elsewhere, a line each: seconds since 1970, bytes, name (as `find DIR -printf '%T@ %s %p\n'` prints them).
    pub command: Option<Vec<String>>,
    /// Restoring into a scratch place now and then.
    pub drill: Option<DrillConfig>,
}

/// What a copy is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// By its beginning.
    #[default]
    Auto,
    /// A dump as text; pg_dump, mysqldump and sqlite3 write an end mark.
    Sql,
    /// pg_dump's custom format.
    Custom,
    /// An SQLite database.
    Sqlite,
    /// A tar archive.
    Tar,
    /// Anything compressed by gzip.
    Gz,
    /// Anything compressed by zstd.
    Zst,
}

fn complaint(key: &str, message: String, help: &str) -> Complaint {
    Complaint { path: vec![key.to_owned()], message, help: help.to_owned(), warning: false }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all = Vec::new();
        if self.path.trim().is_empty() {
            all.push(complaint("path", "the path is empty".to_owned(), "name the files, such as \"/var/backups/shop-*.sql.gz\""));
        } else if let Err(error) = glob::Pattern::new(&self.path) {
            all.push(complaint("path", format!("the pattern is not right: {}", error.msg), "`*` is any text, `**` any folders, `[…]` one of"));
        }
        if self.command.as_ref().is_some_and(Vec::is_empty) {
            all.push(complaint("command", "the command is empty".to_owned(), "write the program and its arguments as a list"));
        }
        all.extend(plan::complaints(self.max_age, None, self.drill.as_ref()));
        if self.drill.is_some() {
            let mut one = complaint("drill", "drills are not run by this version".to_owned(), "the rest of the data set is watched");
            one.warning = true;
            all.push(one);
        }
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        Vec::new()
    }

    fn commands(&self) -> Vec<Vec<String>> {
        self.command.clone().into_iter().collect()
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        if self.command.is_some() && !context.trusted {
            return Err(SourceError::config("this configuration may not run commands", "look at it, then run `rounds trust`"));
        }
        let spec = self.spec(context);
        let promise = Promise::new(self.max_age, self.min_size, self.retention, None, self.drill.as_ref());
        let pattern = if self.command.is_some() { self.path.clone() } else { context.base.join(&self.path).to_string_lossy().into_owned() };
        let source = FilesSource {
            place: pattern.clone(),
            listing: list::Listing { pattern, command: self.command.clone(), timeout: spec.timeout },
            kind: self.kind,
            promise,
            every: spec.every,
            looked: Arc::default(),
        };
        Ok(Built { spec, source: Box::new(source), service: None })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        let common = &context.common;
        let every = common.every.unwrap_or(EVERY);
        SourceSpec {
            id: context.id.clone(),
            title: common.title.clone().unwrap_or_else(|| context.id.name().to_owned()),
            capability: Capability::Backup,
            every,
            timeout: common.timeout.unwrap_or(TIMEOUT),
            retry_every: every.min(Duration::from_secs(60)),
            failures: 1,
            successes: 1,
            enabled: common.enabled.unwrap_or(true),
            continuous: false,
            runbook: common.runbook.clone(),
            needs: common.needs.clone(),
            target: self.path.clone(),
        }
    }
}

/// Looks at the copies of one data set.
struct FilesSource {
    listing: list::Listing,
    place: String,
    kind: FileKind,
    promise: Promise,
    every: Duration,
    /// What was found out of files that did not change since: reading a dump to its end is done once.
    looked: Arc<std::sync::Mutex<whole::Memory>>,
}

/// Ends the reading when the poll that wanted it is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Source for FilesSource {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(async move {
            let found = self.listing.files().await?;
            let now = clock::now();
            let stop = Arc::new(AtomicBool::new(false));
            let _guard = StopOnDrop(Arc::clone(&stop));
            let (kind, promise, place, looked) = (self.kind, self.promise, self.place.clone(), Arc::clone(&self.looked));
            let here = self.listing.command.is_none();
            let work = tokio::task::spawn_blocking(move || {
                let mut memory = looked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                judge::judge(found.files, now, promise, &place, |file| if here { memory.whole(file, kind, &stop) } else { whole::Whole::NotLookedAt })
                    .map(|backup| (backup, found.problems))
            });
            let (backup, problems) = work.await.map_err(|_| SourceError::protocol("the look at the files broke off"))??;
            let complete = problems.is_empty();
            Ok(Collected { observations: vec![Observation { at: now, data: Data::Backup(Box::new(backup)) }], problems, complete })
        })
    }
}
