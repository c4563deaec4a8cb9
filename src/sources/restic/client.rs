//! restic, asked. Listings take no lock, so that neither a stale nor an exclusive one holds them up; what takes long waits for its turn.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Config;
use super::parse::{self, HeldLock, Snapshot};
use crate::backups::caller::{Caller, Open, Said};
use crate::backups::disk;
use crate::backups::kept::{Keeper, Kept};
use crate::backups::once::Once;
use crate::backups::{CheckConfig, DrillConfig, Entry, Promise, Repository, Restored, Unlocking, tool};
use crate::domain::backup::{Check, Lock};
use crate::domain::{Copy, SourceError};
use crate::io::clock;
use crate::io::exec::Patience;
use crate::sources::{BoxFuture, BuildContext, SourceSpec};

/// A restore or a check may take so long where nothing is configured.
const LONG: Duration = Duration::from_secs(7_200);
/// Locks that are looked at.
const LOCKS: usize = 8;
/// How long one short question may take.
const SHORT: Duration = Duration::from_secs(60);

/// restic tries for a quarter of an hour what fails. On a disk of this machine that never helps, and far away not for so long.
const PATIENCE_HERE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });
const PATIENCE_AWAY: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 60 });
/// Work for hours may wait for a line that is down.
const PATIENCE_LONG: Duration = Duration::from_secs(if cfg!(test) { 5 } else { 600 });

/// Listings of this process, by repository.
static LISTINGS: LazyLock<Once<Listed>> = LazyLock::new(Once::default);

/// What a listing gave.
#[derive(Debug)]
pub struct Listed {
    /// All snapshots, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// What restic could not read of them, a line each.
    pub unreadable: Vec<String>,
}

/// What is known between the looks.
#[derive(Debug, Default)]
pub struct Memory {
    /// When the listing was read that was looked at last.
    listed: Option<Instant>,
    /// What the newest snapshot protects, where that is on this machine, and the repository.
    protects: Vec<PathBuf>,
}

/// One repository, and the data set in it.
#[derive(Debug)]
pub struct Client {
    caller: Caller,
    host: Option<String>,
    tags: Vec<String>,
    /// What was promised.
    pub promise: Promise,
    /// How a restore is tried.
    pub drill: DrillConfig,
    /// How it is checked.
    pub check: CheckConfig,
    /// Of one look.
    pub timeout: Duration,
    /// The interval of looks.
    pub every: Duration,
    /// What was measured.
    pub keeper: Keeper,
    memory: Mutex<Memory>,
}

/// The path, where the address is one: `/backups/shop`, `local:/backups/shop`.
pub fn local(address: &str) -> Option<&str> {
    const SCHEMES: [&str; 8] = ["sftp:", "rest:", "s3:", "b2:", "azure:", "gs:", "swift:", "rclone:"];
    if SCHEMES.iter().any(|scheme| address.starts_with(scheme)) {
        return None;
    }
    Some(address.strip_prefix("local:").unwrap_or(address)).filter(|path| !path.is_empty())
}

impl Client {
    /// For one data set.
    pub fn new(config: &Config, context: &BuildContext, caller: Caller, spec: &SourceSpec) -> Self {
        Self {
            caller,
            host: config.host.clone(),
            tags: config.tags.clone(),
            promise: config.promise(),
            drill: config.drill.clone().unwrap_or_default(),
            check: config.check.clone().unwrap_or_default(),
            timeout: spec.timeout,
            every: spec.every,
            keeper: Keeper::new(context.cache.as_deref(), &context.id),
            memory: Mutex::default(),
        }
    }

    /// What is known between the looks.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether restic runs where paths are not those of this machine.
    pub fn elsewhere(&self) -> bool {
        self.caller.prefix.elsewhere()
    }

    /// With everything resolved.
    ///
    /// # Errors
    /// When a secret cannot be had.
    pub async fn open(&self) -> Result<Open, SourceError> {
        self.caller.open().await
    }

    /// Where the repository lies on this machine.
    pub fn path(&self, open: &Open) -> Option<PathBuf> {
        self.caller.path(&open.address)
    }

    /// Runs restic, whatever comes of it.
    async fn run(&self, open: &Open, arguments: &[&str], timeout: Duration) -> Result<Said, SourceError> {
        let mut all = Vec::with_capacity(arguments.len() + 3);
        if open.in_arguments {
            all.extend(["-r", open.address.as_str()]);
        }
        if self.path(open).is_some() {
            // A cache of what lies here would hide damage, and fill the home.
            all.push("--no-cache");
        }
        all.extend_from_slice(arguments);
        let lasts = match self.path(open) {
            Some(_) => PATIENCE_HERE,
            None if timeout > self.timeout => PATIENCE_LONG,
            None => PATIENCE_AWAY,
        };
        open.run_patiently(&all, timeout, Patience { lasts, trouble: parse::trouble }).await
    }

    /// Runs restic, and tells why where it fails.
    ///
    /// # Errors
    /// Why it refused.
    pub async fn ask(&self, open: &Open, arguments: &[&str], timeout: Duration) -> Result<Said, SourceError> {
        let said = self.run(open, arguments, timeout).await?;
        if said.ending.success() { Ok(said) } else { Err(self.refusal(open, &said)) }
    }

    fn refusal(&self, open: &Open, said: &Said) -> SourceError {
        if said.ending.code().is_none() && !said.stuck {
            return SourceError::protocol(format!("restic was {}", said.ending));
        }
        parse::refusal(said.ending.code(), &said.lines, &open.shown(), self.path(open).is_some())
    }

    /// All snapshots of the repository; those that another data set in it read within `fresh` are taken.
    ///
    /// # Errors
    /// When restic refuses, or prints something else.
    pub async fn listed(&self, open: &Open, fresh: Duration) -> Result<Arc<Listed>, SourceError> {
        let last = self.memory().listed;
        let read = async {
            let said = self.ask(open, &["snapshots", "--json", "--no-lock"], self.timeout).await?;
            let unreadable = said.lines.iter().filter(|line| line.contains("could not load snapshot")).cloned().collect();
            // The list of a large repository has megabytes.
            let stdout = said.stdout;
            let snapshots = tokio::task::spawn_blocking(move || parse::snapshots(&stdout)).await;
            let snapshots = snapshots.unwrap_or_else(|_| Err(SourceError::protocol("the list of snapshots could not be read")))?;
            Ok::<_, SourceError>(Listed { snapshots, unreadable })
        };
        let (at, listed) = LISTINGS.get(&open.key_with_secrets(), last, fresh, read).await?;
        self.memory().listed = Some(at);
        Ok(listed)
    }

    /// Those of this data set, oldest first.
    ///
    /// # Errors
    /// When there is none, with the reason.
    pub fn mine<'a>(&self, open: &Open, listed: &'a Listed) -> Result<Vec<&'a Snapshot>, SourceError> {
        let host = |snapshot: &Snapshot| self.host.as_ref().is_none_or(|host| *host == snapshot.hostname);
        let tagged = |snapshot: &Snapshot| self.tags.iter().all(|tag| snapshot.tags.iter().flatten().any(|has| has == tag));
        let mine: Vec<&Snapshot> = listed.snapshots.iter().filter(|snapshot| host(snapshot) && tagged(snapshot)).collect();
        let Some(newest) = mine.last() else { return Err(self.none(open, listed)) };
        let mut protects: Vec<PathBuf> = self.path(open).into_iter().collect();
        if !self.elsewhere() && disk::same_host(&newest.hostname, &disk::host()) {
            protects.extend(newest.paths.iter().flatten().map(PathBuf::from));
        }
        self.memory().protects = protects;
        Ok(mine)
    }

    fn none(&self, open: &Open, listed: &Listed) -> SourceError {
        let place = open.shown();
        if let Some(first) = listed.unreadable.first() {
            return SourceError {
                remedy: "run `restic check`; restore the repository itself from another copy".to_owned(),
                ..SourceError::protocol(format!("no snapshot in {place} can be read: {first}"))
            };
        }
        if listed.snapshots.is_empty() {
            return SourceError::nothing(format!("there is no snapshot in {place}"), "check that the backup ran at least once, and where to");
        }
        let mut hosts: Vec<&str> = listed.snapshots.iter().map(|snapshot| snapshot.hostname.as_str()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts.truncate(5);
        let of = self.host.as_ref().map_or(String::new(), |host| format!(" of {host}"));
        let tagged = if self.tags.is_empty() { String::new() } else { format!(" tagged {}", self.tags.join(", ")) };
        SourceError::nothing(
            format!("there is no snapshot{of}{tagged} in {place}"),
            format!("correct `host` or `tags`: it has {} snapshots, of {}", listed.snapshots.len(), hosts.join(", ")),
        )
    }

    /// The locks there are, with whether their holders are gone.
    ///
    /// # Errors
    /// When restic refuses.
    pub async fn locks(&self, open: &Open, timeout: Duration) -> Result<Vec<Lock>, SourceError> {
        let said = self.ask(open, &["list", "locks", "--no-lock", "-q"], timeout.min(SHORT)).await?;
        let mut locks = Vec::new();
        for id in parse::ids(&said.stdout).iter().take(LOCKS) {
            // One that is gone by now was given back.
            let said = self.run(open, &["cat", "lock", id, "--no-lock", "--json"], timeout.min(SHORT)).await?;
            locks.extend(parse::lock(&said.stdout).map(|lock| self.seen(&lock)));
        }
        Ok(locks)
    }

    fn seen(&self, lock: &HeldLock) -> Lock {
        let here = !self.elsewhere() && disk::same_host(&lock.hostname, &disk::host());
        let exclusive = if lock.exclusive { ", exclusive" } else { "" };
        Lock {
            holder: format!("{} (pid {}{exclusive})", lock.hostname, lock.pid),
            since: Some(lock.time),
            stale: parse::is_stale(lock, clock::now(), here.then(|| disk::runs(lock.pid))),
        }
    }

    /// What the sizes say: of one snapshot, or with `None` of the whole repository.
    ///
    /// # Errors
    /// When restic refuses, which damage makes it do.
    pub async fn stats(&self, open: &Open, snapshot: Option<&str>, timeout: Duration) -> Result<u64, SourceError> {
        let arguments: &[&str] = match &snapshot {
            Some(id) => &["stats", "--json", "--no-lock", "--mode", "restore-size", id],
            None => &["stats", "--json", "--no-lock", "--mode", "raw-data"],
        };
        let said = self.ask(open, arguments, timeout).await?;
        parse::stats(&said.stdout).map(|stats| stats.total_size).ok_or_else(|| SourceError::nothing("restic told no size", "run `restic stats` by hand"))
    }

    /// How deep a check goes, for reading.
    pub fn depth(&self) -> String {
        match self.check.data.as_deref() {
            None => "structure only".to_owned(),
            Some("all") => "all data".to_owned(),
            Some(share) => format!("{} % of the data", share.trim_end_matches('%').trim()),
        }
    }
}

impl Repository for Client {
    fn drill(&self) -> DrillConfig {
        self.drill.clone()
    }

    fn check_plan(&self) -> Option<CheckConfig> {
        Some(self.check.clone())
    }

    fn copies(&self) -> BoxFuture<'_, Result<Vec<Copy>, SourceError>> {
        Box::pin(async move {
            let open = self.open().await?;
            let listed = self.listed(&open, Duration::ZERO).await?;
            let kept: Kept = self.keeper.get(&open.address).await;
            Ok(self.mine(&open, &listed)?.into_iter().map(|snapshot| snapshot.copy(kept.copies.get(&snapshot.id))).collect())
        })
    }

    fn files<'a>(&'a self, copy: &'a str, under: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, SourceError>> {
        Box::pin(async move {
            let open = self.open().await?;
            let folder = format!("/{}", under.trim_matches('/'));
            let said = self.ask(&open, &["ls", "--json", "--no-lock", "--", copy, &folder], self.timeout).await?;
            Ok(parse::files(&said.stdout, under))
        })
    }

    fn restore<'a>(&'a self, copy: &'a Copy, into: &'a Path) -> BoxFuture<'a, Result<Restored, SourceError>> {
        Box::pin(async move {
            if self.elsewhere() {
                return Err(SourceError::config(
                    "restic runs on another machine, where the copy would be restored too",
                    "name the repository so that it is reached from here, such as \"sftp:nas1:/backups\"",
                ));
            }
            let open = self.open().await?;
            let Some(target) = into.to_str() else { return Err(SourceError::config("the scratch path is not UTF-8", "set `drill.scratch`")) };
            let mut arguments = vec!["restore", "--no-lock", "--target", target];
            for path in &self.drill.paths {
                arguments.extend(["--include", path]);
            }
            arguments.extend(["--", &copy.name]);
            let _turn = tool::turn(&open.key()).await;
            let said = self.run(&open, &arguments, self.drill.timeout.map_or(LONG, Into::into)).await?;
            if !said.ending.success() {
                return Err(self.refusal(&open, &said));
            }
            // Old versions tell what they could not restore, and exit with 0.
            match said.lines.iter().find(|line| line.starts_with("ignoring error for") || line.starts_with("There were ")) {
                Some(line) => Err(SourceError::protocol(format!("not all of the copy could be restored: {line}"))),
                None => Ok(Restored::Files),
            }
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, SourceError>> {
        Box::pin(async move {
            let open = self.open().await?;
            let mut arguments = vec!["check".to_owned()];
            arguments.extend(match self.check.data.as_deref() {
                Some("all") => Some("--read-data".to_owned()),
                Some(share) => Some(format!("--read-data-subset={}", share.replace(' ', ""))),
                None => None,
            });
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let _turn = tool::turn(&open.key()).await;
            let said = self.run(&open, &arguments, self.check.timeout.map_or(LONG, Into::into)).await?;
            let (at, depth) = (clock::now(), self.depth());
            if said.ending.success() {
                return Ok(Check { at, ok: true, depth, message: String::new() });
            }
            match parse::damage(&said.lines, &said.stdout, self.path(&open).is_some()) {
                Some(message) => Ok(Check { at, ok: false, depth, message }),
                None => Err(self.refusal(&open, &said)),
            }
        })
    }

    fn writes_as(&self) -> Option<String> {
        self.caller.writes_as()
    }

    fn by_hand(&self, copy: &Copy) -> String {
        let restore = ["restore", copy.name.as_str(), "--target", "restored"];
        match self.caller.written() {
            Some(place) => self.caller.prefix.line(&[&["-r", place.as_str()][..], &restore[..]].concat()),
            // Its address is a secret: the variable has it.
            None => self.caller.prefix.line(&restore),
        }
    }

    fn protects(&self) -> Vec<PathBuf> {
        let mut all = self.memory().protects.clone();
        if let Some(path) = self.caller.address.as_ref().and_then(|address| address.written()).and_then(|text| self.caller.path(text))
            && !all.contains(&path)
        {
            all.push(path);
        }
        all
    }

    fn unlocking(&self) -> Option<Unlocking> {
        let changes = "removes locks whose holder is gone; a job that still runs elsewhere would lose nothing, restic leaves its lock";
        Some(Unlocking { calls: "restic unlock", changes, takes_all: false })
    }

    fn unlock(&self) -> BoxFuture<'_, Result<String, SourceError>> {
        Box::pin(async move {
            let open = self.open().await?;
            self.ask(&open, &["unlock"], SHORT).await?;
            Ok("locks whose holder is gone were removed".to_owned())
        })
    }
}
