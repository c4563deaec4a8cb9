//! Copies taken out of the folder, for a drill and for a person: the file itself, or what `fetch` brings of another machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chrono::DateTime;

use super::judge::{self, name};
use super::list::{File, Listing, StopOnDrop, base_of};
use crate::backups::dump::{Form, Whole, form, tar, unpack};
use crate::backups::{DrillConfig, Entry, Promise, Repository, Restored, dump, fetch};
use crate::domain::{Copy, SourceError};
use crate::io::clock;
use crate::sources::BoxFuture;

/// The time limit of a restore where none is configured.
const TIMEOUT: Duration = Duration::from_secs(2 * 3_600);
/// Names of an archive that are told.
const TOLD: usize = 1_000;

/// The folder as a repository.
#[derive(Debug)]
pub(super) struct Folder {
    pub listing: Listing,
    pub fetch: Option<Vec<String>>,
    pub drill: DrillConfig,
    pub base: PathBuf,
}

impl Folder {
    fn timeout(&self) -> Duration {
        self.drill.timeout.map_or(TIMEOUT, crate::config::value::Dur::get)
    }

    /// The file that a copy is.
    async fn file(&self, matches: impl Fn(&File) -> bool) -> Result<PathBuf, SourceError> {
        let found = self.listing.files().await?;
        let file = found.files.into_iter().rev().find(|file| matches(file));
        file.map(|file| file.path).ok_or_else(|| SourceError::nothing("the copy is not there any more", "list the copies again"))
    }

    async fn of_copy(&self, copy: &Copy) -> Result<PathBuf, SourceError> {
        self.file(|file| name(&file.path) == copy.name && file.at.timestamp() == copy.at.timestamp() && file.size == copy.size_bytes).await
    }
}

/// What an archive holds directly below a folder.
fn members(path: &Path, under: &str, stop: &AtomicBool) -> std::io::Result<Option<Vec<Entry>>> {
    let prefix = if under.is_empty() { String::new() } else { format!("{}/", under.trim_matches('/')) };
    let mut all: std::collections::BTreeMap<String, Entry> = std::collections::BTreeMap::new();
    let mut tell = |member: tar::Member| {
        let full = member.name.trim_start_matches("./").trim_end_matches('/');
        let Some(rest) = full.strip_prefix(prefix.as_str()).filter(|rest| !rest.is_empty()) else { return };
        let (first, deeper) = rest.split_once('/').map_or((rest, false), |(first, _)| (first, true));
        if all.len() >= TOLD && !all.contains_key(first) || stop.load(std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        let folder = deeper || member.sort == b'5';
        let changed = i64::try_from(member.changed).ok().and_then(|at| DateTime::from_timestamp(at, 0)).filter(|_| !deeper);
        let entry = Entry { path: format!("{prefix}{first}"), folder, size: (!folder).then_some(member.size), changed };
        all.entry(first.to_owned()).or_insert(entry);
    };
    let is_archive = dump::whole::members(path, stop, &mut tell)?;
    Ok(is_archive.then(|| all.into_values().collect()))
}

impl Repository for Folder {
    fn drill(&self) -> DrillConfig {
        self.drill.clone()
    }

    fn copies(&self) -> BoxFuture<'_, Result<Vec<Copy>, SourceError>> {
        Box::pin(async move {
            let found = self.listing.files().await?;
            let (here, kind) = (self.listing.command.is_none(), self.listing.kind);
            let place = self.listing.pattern.clone();
            let stop = Arc::new(AtomicBool::new(false));
            let _guard = StopOnDrop(Arc::clone(&stop));
            let judged = tokio::task::spawn_blocking(move || {
                let look = |file: &File| {
                    let seen = if here { dump::look(&file.path, kind.form(), &stop) } else { Ok((Whole::NotLookedAt, Form::Unknown)) };
                    seen.unwrap_or_else(|error| (Whole::No(format!("cannot be read: {error}")), Form::Unknown))
                };
                judge::judge(&found, clock::now(), &Promise::default(), &place, look)
            });
            let judged = judged.await.map_err(|_| SourceError::protocol("the look at the files broke off"))??;
            Ok(judged.copies.into_iter().filter(|copy| copy.complete != Some(false)).collect())
        })
    }

    fn files<'a>(&'a self, copy: &'a str, under: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, SourceError>> {
        Box::pin(async move {
            if self.listing.command.is_some() {
                return Err(SourceError::config("the copies are on another machine: nothing looks into them from here", "a drill brings one here"));
            }
            let path = self.file(|file| name(&file.path) == copy).await?;
            let (under, size) = (under.to_owned(), fs::metadata(&path).map(|meta| meta.len()).ok());
            let stop = Arc::new(AtomicBool::new(false));
            let _guard = StopOnDrop(Arc::clone(&stop));
            let read = tokio::task::spawn_blocking(move || members(&path, &under, &stop)).await;
            let read = read.map_err(|_| SourceError::protocol("the look at the copy broke off"))?;
            let members = read.map_err(|error| SourceError::protocol(format!("the copy cannot be read: {error}")))?;
            Ok(members.unwrap_or_else(|| vec![Entry { path: copy.to_owned(), folder: false, size, changed: None }]))
        })
    }

    fn restore<'a>(&'a self, copy: &'a Copy, into: &'a Path) -> BoxFuture<'a, Result<Restored, SourceError>> {
        Box::pin(async move {
            let path = self.of_copy(copy).await?;
            match &self.fetch {
                Some(command) => fetch::run(command, &self.base, &path.to_string_lossy(), into, self.timeout()).await,
                None if self.listing.command.is_some() => Err(SourceError::config(
                    "the copies are on another machine, and nothing says how one is brought here",
                    "write such as fetch = [\"scp\", \"backup1:{copy}\", \"{into}/\"]",
                )),
                None => unpack::restore(&path, into, self.timeout()).await,
            }
        })
    }

    fn by_hand(&self, copy: &Copy) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        if let Some(command) = &self.fetch {
            let words = fetch::argv(command, &copy.name, ".").unwrap_or_default();
            return words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        }
        let path = base_of(&self.listing.pattern).join(&copy.name);
        let (file, lower) = (quoted(&path.to_string_lossy()), copy.name.to_ascii_lowercase());
        let ends = lower.rsplit('.').next().unwrap_or_default();
        let stem = quoted(copy.name.rsplit_once('.').map_or("restored", |(stem, _)| stem));
        if form::is_encrypted(&path) {
            format!("gpg --decrypt --output {stem} {file}")
        } else if [".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(|end| lower.ends_with(end)) {
            format!("tar -xf {file} -C .")
        } else if ends == "gz" {
            format!("gunzip -c {file} > {stem}")
        } else if ends == "zst" {
            format!("zstd -dc {file} > {stem}")
        } else if copy.kind.as_deref().is_some_and(|kind| kind == "custom" || kind == "directory") {
            format!("pg_restore --dbname=NAME {file}")
        } else {
            format!("cp -a {file} .")
        }
    }

    fn protects(&self) -> Vec<PathBuf> {
        if self.listing.command.is_some() { Vec::new() } else { vec![base_of(&self.listing.pattern)] }
    }
}
