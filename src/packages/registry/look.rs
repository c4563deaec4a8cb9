//! One poll of a lock file: read it, ask the registry for all of it side by side, compare, ask for advisories.
//!
//! What does not belong here: where the registry is (`sources::npm`, `sources::cargo`).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::client::{Registry, UNKNOWN};
use super::listed::{Listed, Locked, compare, tell_apart};
use super::{cargo, npm};
use crate::domain::{Data, ErrorKind, Observation, Package, Packages, Problem, SourceError};
use crate::io::clock;
use crate::packages::advisories::audit::{Auditor, Beside};
use crate::packages::advisories::judge;
use crate::packages::ecosystem::Ecosystem;
use crate::packages::indexes::cache::Cache;
use crate::packages::indexes::simple::Project;
use crate::packages::manifests;

/// Requests at one time.
const PARALLEL: usize = 8;
/// After so many failures of the connection the registry is left alone until the next poll.
const PATIENCE: u8 = 16;

/// What one poll is made of.
#[derive(Debug)]
pub struct Look {
    /// Whose packages.
    pub ecosystem: Ecosystem,
    /// The lock file.
    pub lock: PathBuf,
    /// As it is said.
    pub shown: String,
    /// Answers of before.
    pub cache: Arc<Cache>,
    /// Who knows advisories.
    pub auditor: Auditor,
    /// For all of it.
    pub limit: Duration,
}

/// The registry to ask, or why there is none.
pub type Where = Result<Registry, String>;

/// Which registry has which package.
#[derive(Debug)]
pub struct Registries {
    /// What no other has.
    pub main: Where,
    /// By the beginning of the name: a scope of npm.
    pub apart: Vec<(String, Registry)>,
}

impl Registries {
    /// The one to ask for this package.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Registry> {
        let apart = self.apart.iter().find(|(scope, _)| name.starts_with(scope.as_str())).map(|(_, registry)| registry);
        apart.or(self.main.as_ref().ok())
    }
}

impl Look {
    /// Reads the lock file with the manifest beside it. Blocks.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn read(&self) -> Result<Listed, SourceError> {
        let told = |why: &str| format!("{}: {why}", self.shown);
        if !self.lock.exists() {
            let tool = if self.ecosystem == Ecosystem::Cargo { "cargo generate-lockfile" } else { "npm install --package-lock-only" };
            return Err(SourceError::missing(told("it is not there"), format!("let `manifest` name the lock file; {tool} makes one")));
        }
        let text = manifests::text(&self.lock).map_err(|why| SourceError::nothing(told(&why), "check that rounds may read it"))?;
        let beside = if self.ecosystem == Ecosystem::Cargo { "Cargo.toml" } else { "package.json" };
        let manifest = manifests::text(&self.lock.parent().unwrap_or(Path::new(".")).join(beside)).ok();
        let read = if self.ecosystem == Ecosystem::Cargo { cargo::read(&text, manifest.as_deref()) } else { npm::read(&text, manifest.as_deref()) };
        let listed = read.map_err(|why| SourceError::nothing(told(&why), "correct it, or make it anew with its tool"))?;
        if listed.all.is_empty() {
            return Err(SourceError::nothing(told("it lists no package"), "let `manifest` name the lock file that lists the packages"));
        }
        Ok(listed)
    }

    /// Asks and compares.
    ///
    /// # Errors
    /// When nobody answered for anything.
    pub async fn look(&self, listed: Listed, registries: Registries, started: Instant) -> Result<(Vec<Observation>, Vec<Problem>, bool), SourceError> {
        // What has come by then is told, rather than nothing.
        let deadline = started + self.limit.saturating_sub((self.limit / 10).min(Duration::from_secs(3)));
        let mut problems: Vec<Problem> =
            listed.problems.iter().map(|(subject, message)| Problem { subject: subject.clone(), message: message.clone() }).collect();
        let names: BTreeSet<String> = listed.all.iter().filter(|one| one.from_registry).map(|one| one.name.clone()).collect();
        let elsewhere: HashSet<String> = listed.all.iter().filter(|one| !names.contains(&one.name)).map(|one| one.name.clone()).collect();
        let mut known: BTreeMap<String, (Option<Arc<Project>>, Option<String>)> = BTreeMap::new();
        let mut complete = true;
        // Whether packages are vulnerable can be said without it.
        if let Err(why) = &registries.main {
            problems.push(Problem { subject: "index".to_owned(), message: format!("what is out is not known: {why}") });
        }
        let names: BTreeSet<String> = names.into_iter().filter(|name| registries.of(name).is_some()).collect();
        // Versions are known by the lock file, so nobody needs to wait for the registry to be asked about their weaknesses.
        let pinned = |one: &Locked| Package { name: one.name.clone(), locked: Some(one.version.clone()), ..Package::default() };
        let bare = Packages { items: listed.all.iter().map(pinned).collect(), ..Packages::default() };
        let (all, said) = tokio::join!(self.ask(&registries, names, deadline), self.auditor.ask(&bare, &elsewhere, None, deadline));
        if !all.is_empty() {
            let errors: Vec<&SourceError> = all.iter().filter_map(|(_, _, error)| error.as_ref()).collect();
            let answered = all.iter().any(|(_, project, error)| error.is_none() || project.is_some() || error.as_ref().is_some_and(is_unknown));
            if !answered && self.auditor.osv.is_none() {
                return Err(errors.into_iter().min_by_key(|error| rank(error)).cloned().unwrap_or_else(|| SourceError::timeout(self.limit)));
            }
            // Nobody knows one name of a registry that is no registry.
            if all.len() == errors.len()
                && errors.iter().all(|error| is_unknown(error))
                && let Some(error) = errors.first().filter(|_| self.auditor.osv.is_none())
            {
                return Err((*error).clone());
            }
            let mut failed: Vec<Problem> =
                all.iter().filter_map(|(name, _, error)| Some(Problem { subject: name.clone(), message: error.as_ref()?.message.clone() })).collect();
            failed.sort_by(|a, b| a.subject.cmp(&b.subject));
            problems.append(&mut failed);
            complete = all.iter().all(|(_, _, error)| error.as_ref().is_none_or(is_unknown));
            known = all.into_iter().map(|(name, project, error)| (name, (project, error.map(|error| error.message)))).collect();
        }
        let (shown, ecosystem, place) = (self.shown.clone(), self.ecosystem, self.lock.file_name().map(|name| name.to_string_lossy().into_owned()));
        let index = registries.main.as_ref().ok().map(|registry| registry.shown().to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let items = compare(&listed, &known, place.as_deref().unwrap_or(&shown), ecosystem == Ecosystem::Cargo);
            let packages = Packages { manifest: shown, items, index, ecosystem: Some(ecosystem.word().to_owned()), ..Packages::default() };
            (packages, known)
        });
        let (mut packages, known) = work.await.map_err(|_| SourceError::protocol("the comparison broke off"))?;
        let releases = |name: &str| {
            let project = known.get(name).and_then(|(project, _)| project.as_ref());
            let of = |release: &crate::packages::indexes::simple::Release| judge::Release {
                version: release.version.clone(),
                at: release.released_at_s.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0)),
                usable: release.yanked.is_none(),
            };
            project.map(|project| project.releases.iter().map(of).collect()).unwrap_or_default()
        };
        let beside = Beside { releases: &releases, elsewhere: &elsewhere, listed: None };
        problems.append(&mut self.auditor.audit(&mut packages, beside, said, deadline).await);
        tell_apart(&mut packages.items);
        packages.items.sort_by(|a, b| a.name.cmp(&b.name));
        manifests::bound(&mut problems);
        Ok((vec![Observation { at: clock::now(), data: Data::Packages(packages) }], problems, complete))
    }

    async fn ask(&self, registries: &Registries, names: BTreeSet<String>, deadline: Instant) -> Vec<(String, Option<Arc<Project>>, Option<SourceError>)> {
        let (failures, ended) = (AtomicU8::new(0), OnceLock::<SourceError>::new());
        let (failures, ended) = (&failures, &ended);
        let one = |name: String| async move {
            if let Some(error) = ended.get() {
                return (name, None, Some(error.clone()));
            }
            let Some(registry) = registries.of(&name) else { return (name, None, None) };
            let Ok((project, error)) = timeout_at(deadline, registry.ask(&name, &self.cache)).await else {
                return (name, None, Some(SourceError::timeout(self.limit)));
            };
            // One that is alone is left in peace; of several the others are asked on.
            if let Some(error) = error.as_ref().filter(|_| registries.apart.is_empty()) {
                let broken = matches!(error.kind, ErrorKind::Connect | ErrorKind::Tls | ErrorKind::Timeout);
                if error.kind == ErrorKind::RateLimited || (broken && failures.fetch_add(1, Ordering::Relaxed) >= PATIENCE) {
                    // Another task may have said so first.
                    let _ = ended.set(error.clone());
                }
            }
            (name, project, error)
        };
        stream::iter(names).map(one).buffer_unordered(PARALLEL).collect().await
    }
}

fn is_unknown(error: &SourceError) -> bool {
    error.message == UNKNOWN
}

/// Of several reasons the one that a person can do something about.
fn rank(error: &SourceError) -> u8 {
    match error.kind {
        ErrorKind::Auth => 0,
        ErrorKind::RateLimited => 1,
        ErrorKind::Tls => 2,
        ErrorKind::Connect => 3,
        _ => 4,
    }
}
