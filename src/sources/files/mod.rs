//! Backups that are plain files: dumps and archives in a folder, judged by age, size, wholeness and number.
//!
//! What does not belong here: the verdict on a promise (`rules::backups`), what a dump is inside (`backups::dump`), drills (`actions`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `list` | which files there are, here or told by a command |
//! | `judge` | what the list says of the data set; pure |
//! | `restore` | copies taken out of the folder |

mod judge;
mod list;
mod restore;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use self::list::{File, Listing, StopOnDrop};
use super::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Service, Source, SourceConfig, SourceSpec};
use crate::backups::dump::{self, Form, Whole};
use crate::backups::kept::Keeper;
use crate::backups::{Desk, DrillConfig, Promise, Repository, fetch, growth, plan};
use crate::config::value::{Dur, Size};
use crate::domain::{Backup, Capability, Data, Observation, SourceError, Timestamp};
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
    /// A command that lists the copies elsewhere, a line each: seconds since 1970, bytes, name (as `find DIR -printf '%T@ %s %p\n'` prints
    /// them), or as django-dbbackup's `listbackups` prints them. Records that end with a NUL instead may have names with line breaks.
    pub command: Option<Vec<String>>,
    /// A command that brings one copy for a drill: `{copy}` is its path, `{into}` the directory to put it into.
    pub fetch: Option<Vec<String>>,
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
    /// pg_dump's directory format: `path` names the folders, and each is one copy.
    Directory,
    /// An SQLite database.
    Sqlite,
    /// A tar archive.
    Tar,
    /// Anything compressed by gzip.
    Gz,
    /// Anything compressed by zstd.
    Zst,
}

impl FileKind {
    /// What it is looked at as; `None`: as its beginning tells.
    const fn form(self) -> Option<Form> {
        match self {
            Self::Auto => None,
            Self::Sql => Some(Form::Sql("")),
            Self::Custom => Some(Form::Custom),
            Self::Directory => Some(Form::Directory),
            Self::Sqlite => Some(Form::Sqlite),
            Self::Tar => Some(Form::Tar),
            Self::Gz => Some(Form::Gz),
            Self::Zst => Some(Form::Zst),
        }
    }
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
        all.extend(self.fetch.as_deref().and_then(fetch::complaint));
        all.extend(plan::complaints(self.max_age, None, self.drill.as_ref()));
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        plan::secrets(self.drill.as_ref())
    }

    fn commands(&self) -> Vec<Vec<String>> {
        [self.command.clone(), self.fetch.clone(), plan::asserted(self.drill.as_ref())].into_iter().flatten().collect()
    }

    fn repository(&self, context: &BuildContext) -> Option<Result<Arc<dyn Repository>, SourceError>> {
        Some(plan::trusted(context).map(|()| Arc::new(self.folder(context)) as Arc<dyn Repository>))
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        if self.command.is_some() {
            plan::trusted(context)?;
        }
        let spec = self.spec(context);
        let promise = Promise::new(self.max_age, self.min_size, self.retention, None, self.drill.as_ref());
        let keeper = Keeper::new(context.cache.as_deref(), &context.id);
        let source = FilesSource { listing: self.listing(context), promise, every: spec.every, looked: Arc::default(), keeper };
        // Nothing looks into copies that are on another machine.
        let service = self.command.is_none().then(|| Arc::new(Desk::new(Arc::new(self.folder(context)))) as Arc<dyn Service>);
        Ok(Built { spec, source: Box::new(source), service })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        SourceSpec::of(context, Capability::Backup, EVERY, TIMEOUT, self.path.clone())
    }
}

impl Config {
    fn folder(&self, context: &BuildContext) -> restore::Folder {
        let drill = self.drill.clone().unwrap_or_default();
        restore::Folder { listing: self.listing(context), fetch: self.fetch.clone(), drill, base: context.base.clone() }
    }

    fn listing(&self, context: &BuildContext) -> Listing {
        let pattern = if self.command.is_some() { self.path.clone() } else { context.base.join(&self.path).to_string_lossy().into_owned() };
        let timeout = context.common.timeout.unwrap_or(TIMEOUT);
        Listing { pattern, kind: self.kind, command: self.command.clone(), timeout, zone: context.zone }
    }
}

/// Files remembered.
const REMEMBERED: usize = 256;

/// What was found out of files that did not change since: reading a dump to its end is done once.
#[derive(Debug, Default)]
struct Memory {
    known: HashMap<(PathBuf, Option<u64>, Timestamp), (Whole, Form)>,
}

impl Memory {
    /// Looks into a file once; again only when it changed.
    fn look(&mut self, file: &File, kind: FileKind, stop: &AtomicBool) -> (Whole, Form) {
        let key = (file.path.clone(), file.size, file.at);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        match dump::look(&file.path, kind.form(), stop) {
            Ok((Whole::NotLookedAt, form)) => (Whole::NotLookedAt, form),
            Ok(seen) => {
                if self.known.len() >= REMEMBERED {
                    self.known.clear();
                }
                self.known.insert(key, seen.clone());
                seen
            }
            // Rights may be given meanwhile: it is looked at again.
            Err(error) => (Whole::No(format!("cannot be read: {error}")), Form::Unknown),
        }
    }
}

/// Looks at the copies of one data set.
struct FilesSource {
    listing: Listing,
    promise: Promise,
    every: Duration,
    looked: Arc<Mutex<Memory>>,
    /// How much the copies took before, for the day on which the disk is full.
    keeper: Keeper,
}

impl Source for FilesSource {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(async move {
            let mut found = self.listing.files().await?;
            let now = clock::now();
            let stop = Arc::new(AtomicBool::new(false));
            let _guard = StopOnDrop(Arc::clone(&stop));
            let (kind, promise, place, looked) = (self.listing.kind, self.promise, self.listing.pattern.clone(), Arc::clone(&self.looked));
            let here = self.listing.command.is_none();
            let problems = std::mem::take(&mut found.problems);
            let work = tokio::task::spawn_blocking(move || {
                let mut memory = looked.lock().unwrap_or_else(PoisonError::into_inner);
                judge::judge(&found, now, &promise, &place, |file| if here { memory.look(file, kind, &stop) } else { (Whole::NotLookedAt, Form::Unknown) })
            });
            let mut backup = work.await.map_err(|_| SourceError::protocol("the look at the files broke off"))??;
            backup.full_on = self.full_on(&backup, now).await;
            let complete = problems.is_empty();
            Ok(Collected { observations: vec![Observation { at: now, data: Data::Backup(Box::new(backup)) }], problems, complete })
        })
    }
}

impl FilesSource {
    /// When the room where the copies lie runs out, as they have grown so far; `None`: they lie elsewhere, do not grow, or not for long yet.
    async fn full_on(&self, backup: &Backup, now: Timestamp) -> Option<Timestamp> {
        let (free, bytes) = (backup.free_bytes?, backup.repository_bytes?);
        let mut kept = self.keeper.get(&self.listing.pattern).await;
        kept.note_look(now.timestamp(), bytes);
        let full = growth::full_on(&kept.sizes, free, now);
        self.keeper.put(kept).await;
        full
    }
}

/// What a command lists, for fuzzing: must not panic.
pub fn fuzz(bytes: &[u8]) {
    let _ = list::lines(&String::from_utf8_lossy(bytes), "*.gz", None);
    dump::fuzz(bytes);
}

/// Looks through a folder and judges what is there, for the benchmark: how many copies there are.
///
/// # Errors
/// When the folder cannot be read.
pub fn judge_folder(pattern: &str) -> Result<u64, SourceError> {
    let stop = AtomicBool::new(false);
    let found = list::here(pattern, FileKind::Auto, None, &stop)?;
    let look = |file: &File| dump::look(&file.path, None, &stop).unwrap_or((Whole::NotLookedAt, Form::Unknown));
    judge::judge(&found, clock::now(), &Promise::default(), pattern, look).map(|backup| backup.snapshots)
}
