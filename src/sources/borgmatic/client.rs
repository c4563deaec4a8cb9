//! borgmatic, asked. It takes borg's lock for a listing, so that one during a running job is refused: that is told as such.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Config, log, said};
use crate::backups::caller::{Caller, Open, Said};
use crate::backups::joblog::JobLog;
use crate::backups::judge::is_ahead;
use crate::backups::kept::Keeper;
use crate::backups::{CheckConfig, DrillConfig, Entry, Promise, Repository, Restored, clusters, tool};
use crate::domain::backup::Check;
use crate::domain::{Copy, SourceError, Timestamp};
use crate::io::clock;
use crate::sources::borg::parse::{self, Archive, Document};
use crate::sources::{BoxFuture, BuildContext, SourceSpec};

/// A restore or a check may take so long where nothing is configured.
const LONG: Duration = Duration::from_secs(7_200);
/// Where the configuration is when nothing else is said.
const CONFIGURATIONS: [&str; 1] = ["/etc/borgmatic/config.yaml"];
/// Folders above what was backed up that are not in an archive themselves.
const DEEPEST: usize = 6;

/// What is known between the looks.
#[derive(Debug, Default)]
pub struct Memory {
    /// Whether this borgmatic takes a pattern for archives; not known before the first look.
    takes_pattern: Option<bool>,
    /// The repository that copies are taken from.
    chosen: Option<String>,
    /// Repositories on this machine.
    protects: Vec<PathBuf>,
}

/// One configuration of borgmatic's, and the data set in it.
#[derive(Debug)]
pub struct Client {
    caller: Caller,
    config: Option<String>,
    repository: Option<String>,
    archive: Option<glob::Pattern>,
    /// What was promised.
    pub promise: Promise,
    /// How a restore is tried.
    pub drill: DrillConfig,
    /// How it is checked.
    pub check: CheckConfig,
    /// The log of its runs, where a person named it.
    job_log: Option<PathBuf>,
    /// The zone of the times in it.
    pub zone: Option<chrono_tz::Tz>,
    /// Of one look.
    pub timeout: Duration,
    /// What was measured.
    pub keeper: Keeper,
    memory: Mutex<Memory>,
}

impl Client {
    /// For one data set.
    pub fn new(keys: &Config, config: Option<String>, caller: Caller, context: &BuildContext, spec: &SourceSpec) -> Self {
        Self {
            caller,
            config,
            repository: keys.repository.clone(),
            archive: keys.archive.as_deref().and_then(|archive| glob::Pattern::new(archive).ok()),
            promise: keys.promise(),
            drill: keys.drill.clone().unwrap_or_default(),
            check: keys.check.clone().unwrap_or_default(),
            job_log: keys.job_log.as_ref().map(|path| context.base.join(path)),
            zone: context.zone,
            timeout: spec.timeout,
            keeper: Keeper::new(context.cache.as_deref(), &context.id),
            memory: Mutex::default(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether borgmatic runs where paths are not those of this machine.
    pub fn elsewhere(&self) -> bool {
        self.caller.prefix.elsewhere()
    }

    /// The configuration that it was given.
    pub fn configuration(&self) -> Option<&str> {
        self.config.as_deref()
    }

    /// The log of its runs, where that is on this machine and known.
    pub fn log(&self) -> Option<JobLog> {
        JobLog::of(self.job_log.as_deref(), || {
            let files = self.config.as_ref().map_or_else(|| CONFIGURATIONS.iter().map(PathBuf::from).collect(), |config| vec![PathBuf::from(config)]);
            let own = || files.iter().find_map(|file| log::path(&clusters::text(file)));
            if self.elsewhere() { None } else { own().map(PathBuf::from) }
        })
    }

    /// With everything resolved.
    ///
    /// # Errors
    /// When a secret cannot be had.
    pub async fn open(&self) -> Result<Open, SourceError> {
        self.caller.open().await
    }

    /// What it is called, for reading and for the cache.
    pub fn name(&self) -> String {
        self.config.clone().unwrap_or_else(|| "borgmatic".to_owned())
    }

    /// Where a repository lies on this machine.
    pub fn path(&self, location: &str) -> Option<PathBuf> {
        self.caller.path(location)
    }

    async fn run(&self, open: &Open, arguments: &[&str], timeout: Duration) -> Result<Said, SourceError> {
        let mut all = Vec::with_capacity(arguments.len() + 2);
        if let Some(config) = &self.config {
            all.extend(["-c", config]);
        }
        all.extend_from_slice(arguments);
        let mut answer = open.run(&all, timeout).await?;
        answer.lines = said::telling(&answer.lines);
        Ok(answer)
    }

    fn refusal(&self, answer: &Said) -> SourceError {
        if answer.ending.code().is_none() {
            return SourceError::protocol(format!("borgmatic was {}", answer.ending));
        }
        if let Some(line) = said::no_configuration(&answer.lines) {
            return SourceError::config(format!("borgmatic cannot use its configuration: {line}"), "correct `config`, or run `borgmatic config validate`");
        }
        let failed = said::failed(&answer.lines);
        let place = if failed.is_empty() { self.name() } else { failed.join(", ") };
        let mut error = parse::refusal(answer.ending.code(), &answer.named, &answer.lines, &place);
        if parse::is_damage(&error) {
            "run borgmatic by hand as this user, with --verbosity 1, and look what it says".clone_into(&mut error.remedy);
            error.message = error.message.replacen("borg failed", "borgmatic failed", 1);
        }
        error
    }

    /// Asks for documents. Newer versions show archives of this host's name only unless a pattern says otherwise; 1.7 hands borg 1 one that
    /// it does not know.
    async fn documents(&self, open: &Open, arguments: &[&str], timeout: Duration) -> Result<Vec<Document>, SourceError> {
        let mut arguments = arguments.to_vec();
        if let Some(repository) = &self.repository {
            arguments.extend(["--repository", repository]);
        }
        let known = self.memory().takes_pattern;
        let mut answer = None;
        if known != Some(false) {
            let with = self.run(open, &[&arguments[..], &["-a", "*"]].concat(), timeout).await?;
            let takes = with.ending.success() || !said::unknown_option(&with.lines);
            // Only a success tells that it does.
            self.memory().takes_pattern = if with.ending.success() {
                Some(true)
            } else if takes {
                known
            } else {
                Some(false)
            };
            answer = takes.then_some(with);
        }
        let answer = match answer {
            Some(answer) => answer,
            None => self.run(open, &arguments, timeout).await?,
        };
        if !answer.ending.success() {
            return Err(self.refusal(&answer));
        }
        let all = tokio::task::spawn_blocking(move || parse::documents(&answer.stdout, "borgmatic")).await;
        all.unwrap_or_else(|_| Err(SourceError::protocol("borgmatic's answer could not be read")))
    }

    /// The repositories with their archives of this data set, oldest first.
    ///
    /// # Errors
    /// When borgmatic refuses, or none of them has an archive of it.
    pub async fn listed(&self, open: &Open) -> Result<Vec<Document>, SourceError> {
        let mut all = self.documents(open, &["list", "--json"], self.timeout).await?;
        let others = all.iter().map(|document| document.archives.len()).sum::<usize>();
        for document in &mut all {
            document.archives.retain(|archive| !archive.is_checkpoint() && self.archive.as_ref().is_none_or(|pattern| pattern.matches(&archive.name)));
            document.archives.sort_by(|a, b| a.start.cmp(&b.start).then_with(|| a.name.cmp(&b.name)));
        }
        let mut memory = self.memory();
        memory.protects = all.iter().filter_map(|document| self.path(&document.repository.location)).collect();
        memory.chosen = best(&all, clock::now()).map(|document| document.repository.location.clone());
        drop(memory);
        if all.is_empty() {
            return Err(SourceError::nothing(format!("{} names no repository", self.name()), "look at the configuration of borgmatic"));
        }
        if all.iter().all(|document| document.archives.is_empty()) {
            let places: Vec<String> = all.iter().map(|document| open.masked(&document.repository.location)).collect();
            let message = match (&self.archive, others) {
                (Some(pattern), 1..) => format!("no archive in {} is called {pattern}", places.join(", ")),
                _ => format!("there is no archive in {}", places.join(", ")),
            };
            return Err(SourceError::nothing(message, "check that the backup ran at least once, and where to"));
        }
        Ok(all)
    }

    /// A closer look at the newest archive of each repository.
    ///
    /// # Errors
    /// When borgmatic refuses, which damage makes it do.
    pub async fn info(&self, open: &Open, timeout: Duration) -> Result<Vec<Document>, SourceError> {
        self.documents(open, &["info", "--json", "--last", "1"], timeout).await
    }

    /// The repository that copies are taken from.
    async fn chosen(&self) -> Result<String, SourceError> {
        if let Some(chosen) = self.memory().chosen.clone() {
            return Ok(chosen);
        }
        self.copies().await?;
        self.memory().chosen.clone().ok_or_else(|| SourceError::nothing("no repository has an archive", "check that the backup ran at least once"))
    }

    /// How deep a check goes, for reading.
    pub fn depth(&self) -> String {
        if self.check.data.as_deref() == Some("all") { "all data".to_owned() } else { "the checks of borgmatic's configuration".to_owned() }
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
            let listed = self.listed(&open).await?;
            let kept = self.keeper.get(&self.name()).await;
            Ok(best(&listed, clock::now())
                .into_iter()
                .flat_map(|document| &document.archives)
                .map(|archive| archive.copy(kept.copies.get(&archive.id)))
                .collect())
        })
    }

    fn files<'a>(&'a self, copy: &'a str, under: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, SourceError>> {
        Box::pin(async move {
            let (open, repository) = (self.open().await?, self.chosen().await?);
            let under = under.trim_matches('/');
            let start = if under.is_empty() { String::new() } else { format!("{}/", parse::escaped(under)) };
            for depth in 1..=DEEPEST {
                let deeper = format!("re:^{start}(?:[^/]+/){{{depth}}}");
                let mut newer = vec!["list", "--json", "--repository", &repository, "--archive", copy, "-e", &deeper];
                let mut older = vec!["borg", "--repository", &repository, "--archive", copy, "list", "--json-lines", "-e", &deeper];
                // It puts the archive before the options, and a path after them is not understood.
                let outside = format!("re:^(?!{}(?:/|$))", parse::escaped(under));
                if !under.is_empty() {
                    newer.extend(["--path", under]);
                    older.extend(["-e", &outside]);
                }
                let mut answer = self.run(&open, &newer, self.timeout).await?;
                if !answer.ending.success() {
                    // Up to 1.7 a list of files is no JSON, and borg is asked by way of it.
                    answer = self.run(&open, &older, self.timeout).await?;
                }
                if !answer.ending.success() {
                    return Err(self.refusal(&answer));
                }
                let found = parse::files(&answer.stdout, under);
                if !found.is_empty() {
                    return Ok(found);
                }
                if answer.stdout.lines().any(|line| line.starts_with('{')) {
                    // The folder is there, and empty.
                    break;
                }
            }
            Ok(Vec::new())
        })
    }

    fn restore<'a>(&'a self, copy: &'a Copy, into: &'a Path) -> BoxFuture<'a, Result<Restored, SourceError>> {
        Box::pin(async move {
            if self.elsewhere() {
                return Err(SourceError::config(
                    "borgmatic runs on another machine, where the copy would be restored too",
                    "let rounds run there, or name the repository by `borg`",
                ));
            }
            let (open, repository) = (self.open().await?, self.chosen().await?);
            let Some(target) = into.to_str() else { return Err(SourceError::config("the scratch path is not UTF-8", "set `drill.scratch`")) };
            let mut arguments = vec!["extract", "--repository", &repository, "--archive", &copy.name, "--destination", target];
            for path in &self.drill.paths {
                arguments.extend(["--path", path.trim_start_matches('/')]);
            }
            let _turn = tool::turn(&self.name()).await;
            let answer = self.run(&open, &arguments, self.drill.timeout.map_or(LONG, Into::into)).await?;
            if answer.ending.success() { Ok(Restored::Files) } else { Err(self.refusal(&answer)) }
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, SourceError>> {
        Box::pin(async move {
            let open = self.open().await?;
            let mut arguments = vec!["check", "--force"];
            if self.check.data.as_deref() == Some("all") {
                arguments.extend(["--only", "data"]);
            }
            let _turn = tool::turn(&self.name()).await;
            let answer = self.run(&open, &arguments, self.check.timeout.map_or(LONG, Into::into)).await?;
            let (at, depth) = (clock::now(), self.depth());
            if answer.ending.success() {
                return Ok(Check { at, ok: true, depth, message: String::new() });
            }
            let refused = self.refusal(&answer);
            match parse::damage(&answer.lines).filter(|_| parse::is_damage(&refused)) {
                Some(message) => Ok(Check { at, ok: false, depth, message }),
                None => Err(refused),
            }
        })
    }

    fn by_hand(&self, copy: &Copy) -> String {
        let repository = self.memory().chosen.clone().or_else(|| self.repository.clone());
        let mut words = Vec::new();
        words.extend(self.config.iter().flat_map(|config| ["-c", config]));
        words.push("extract");
        words.extend(repository.iter().flat_map(|repository| ["--repository", repository]));
        words.extend(["--archive", &copy.name, "--destination", "restored"]);
        self.caller.prefix.line(&words)
    }

    fn protects(&self) -> Vec<PathBuf> {
        self.memory().protects.clone()
    }
}

/// The repository whose last archive is the newest; of several the first. One from the future counts only where there is no other.
pub fn best(all: &[Document], now: Timestamp) -> Option<&Document> {
    let last = |document: &Document| {
        let come = document.archives.iter().rfind(|archive: &&Archive| !is_ahead(archive.start, now));
        come.map(|archive| (true, archive.start)).or_else(|| document.archives.last().map(|archive| (false, archive.start)))
    };
    all.iter().rev().filter(|document| last(document).is_some()).max_by_key(|document| last(document))
}
