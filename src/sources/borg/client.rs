//! borg, asked. Listings pass locks by, so that neither a stale nor an exclusive one holds them up; what takes long waits for its turn.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::parse::{self, Archive, Document};
use crate::backups::caller::{Caller, Open, Said};
use crate::backups::kept::Keeper;
use crate::backups::once::Once;
use crate::backups::{CheckConfig, DrillConfig, Entry, Promise, Repository, Restored, Unlocking, tool};
use crate::domain::backup::Check;
use crate::domain::{Copy, SourceError};
use crate::io::clock;
use crate::sources::{BoxFuture, BuildContext, SourceSpec};

/// A restore or a check may take so long where nothing is configured.
const LONG: Duration = Duration::from_secs(7_200);
/// How long one short question may take.
const SHORT: Duration = Duration::from_secs(60);
/// Folders above what was backed up that are not in an archive themselves.
const DEEPEST: usize = 6;

/// Listings of this process, by repository.
static LISTINGS: LazyLock<Once<Document>> = LazyLock::new(Once::default);

/// What is known between the looks.
#[derive(Debug, Default)]
pub struct Memory {
    listed: Option<Instant>,
}

/// What is looked at in a repository, and what was promised of it.
#[derive(Debug)]
pub struct Data {
    /// Names of archives.
    pub archive: Option<glob::Pattern>,
    /// What was promised.
    pub promise: Promise,
    /// How a restore is tried.
    pub drill: DrillConfig,
    /// How it is checked.
    pub check: CheckConfig,
}

/// One repository, and the data set in it.
#[derive(Debug)]
pub struct Client {
    caller: Caller,
    /// The data set.
    pub data: Data,
    /// Of one look.
    pub timeout: Duration,
    /// The interval of looks.
    pub every: Duration,
    /// A cache of our own for listings: a job that runs holds a lock on borg's, and would hold them up.
    cache: Option<PathBuf>,
    /// What was measured.
    pub keeper: Keeper,
    memory: Mutex<Memory>,
}

/// The path, where the address is one: not `ssh://…`, not `me@nas1:shop`.
pub fn local(address: &str) -> Option<&str> {
    if let Some(path) = address.strip_prefix("file://") {
        return Some(path);
    }
    let remote = address.contains("://") || address.split('/').next().is_some_and(|first| first.contains(':'));
    (!remote && !address.is_empty()).then_some(address)
}

impl Client {
    /// For one data set.
    pub fn new(caller: Caller, data: Data, context: &BuildContext, spec: &SourceSpec) -> Self {
        let keeper = Keeper::new(context.cache.as_deref(), &context.id);
        let cache = context.cache.as_ref().map(|cache| cache.join("backups").join("borg"));
        Self { caller, data, timeout: spec.timeout, every: spec.every, cache, keeper, memory: Mutex::default() }
    }

    /// What is known between the looks.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether borg runs where paths are not those of this machine.
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

    /// The repository, or an archive in it, as an argument.
    fn named(open: &Open, archive: &str) -> String {
        let repository = if open.in_arguments { open.address.as_str() } else { "" };
        if archive.is_empty() && open.in_arguments { repository.to_owned() } else { format!("{repository}::{archive}") }
    }

    fn refusal(open: &Open, said: &Said) -> SourceError {
        if said.ending.code().is_none() {
            return SourceError::protocol(format!("borg was {}", said.ending));
        }
        parse::refusal(said.ending.code(), &said.named, &said.lines, &open.shown())
    }

    /// With a cache of our own, where there is a folder for it.
    fn apart(&self, open: &Open) -> Open {
        self.cache.as_ref().map_or_else(|| open.clone(), |cache| open.with("BORG_CACHE_DIR", cache))
    }

    /// Runs borg, and tells why where it fails. A warning is no failure.
    ///
    /// # Errors
    /// Why it refused.
    async fn ask(&self, open: &Open, arguments: &[&str], timeout: Duration) -> Result<Said, SourceError> {
        let said = open.run(&[&["--log-json"], arguments].concat(), timeout).await?;
        if parse::is_done(said.ending.code()) {
            return Ok(said);
        }
        // It did not understand us: then another one may have been installed under its name.
        if said.lines.iter().any(|line| line.starts_with("usage: "))
            && let Ok(version) = open.run(&["--version"], timeout.min(SHORT)).await
            && let Some(error) = parse::not_supported(&version.stdout)
        {
            return Err(error);
        }
        Err(Self::refusal(open, &said))
    }

    /// One document.
    async fn document(&self, open: &Open, arguments: &[&str], timeout: Duration) -> Result<Document, SourceError> {
        let said = self.ask(open, arguments, timeout).await?;
        let warned = (said.ending.code() != Some(0)).then(|| said.lines.first().map_or_else(|| said.ending.to_string(), Clone::clone));
        let document = tokio::task::spawn_blocking(move || parse::documents(&said.stdout, "borg")).await;
        let all = document.unwrap_or_else(|_| Err(SourceError::protocol("borg's answer could not be read")))?;
        let document = all.into_iter().next().ok_or_else(|| SourceError::protocol("borg told of no repository"))?;
        Ok(Document { warned, ..document })
    }

    /// All archives of the repository; those that another data set in it read within `fresh` are taken.
    ///
    /// # Errors
    /// When borg refuses, or prints something else.
    pub async fn listed(&self, open: &Open, fresh: Duration) -> Result<Arc<Document>, SourceError> {
        let last = self.memory().listed;
        let named = Self::named(open, "");
        let mut arguments = vec!["list", "--json", "--bypass-lock", "--lock-wait", "1"];
        // Without an archive the variable alone names it.
        arguments.extend(open.in_arguments.then_some(named.as_str()));
        let read = async {
            let mut document = self.document(&self.apart(open), &arguments, self.timeout).await?;
            document.archives.retain(|archive| !archive.is_checkpoint());
            document.archives.sort_by(|a, b| a.start.cmp(&b.start).then_with(|| a.name.cmp(&b.name)));
            Ok::<_, SourceError>(document)
        };
        let (at, listed) = LISTINGS.get(&open.key_with_secrets(), last, fresh, read).await?;
        self.memory().listed = Some(at);
        Ok(listed)
    }

    /// Those of this data set, oldest first.
    ///
    /// # Errors
    /// When there is none, with the reason.
    pub fn mine<'a>(&self, open: &Open, listed: &'a Document) -> Result<Vec<&'a Archive>, SourceError> {
        let wanted = |archive: &&Archive| self.data.archive.as_ref().is_none_or(|pattern| pattern.matches(&archive.name));
        let mine: Vec<&Archive> = listed.archives.iter().filter(wanted).collect();
        if !mine.is_empty() {
            return Ok(mine);
        }
        let place = open.shown();
        Err(match (&self.data.archive, listed.archives.last()) {
            (Some(pattern), Some(last)) => SourceError::nothing(
                format!("no archive in {place} is called {pattern}"),
                format!("correct `archive`: it has {} others, the last is {}", listed.archives.len(), open.masked(&last.name)),
            ),
            _ => SourceError::nothing(format!("there is no archive in {place}"), "check that the backup ran at least once, and where to"),
        })
    }

    /// What a closer look at an archive finds, and at the repository with it.
    ///
    /// # Errors
    /// When borg refuses, which damage makes it do.
    pub async fn info(&self, open: &Open, archive: &str, timeout: Duration) -> Result<Document, SourceError> {
        let named = Self::named(open, archive);
        self.document(open, &["info", "--json", "--bypass-lock", "--lock-wait", "1", &named], timeout).await
    }

    /// How deep a check goes, for reading.
    pub fn depth(&self) -> String {
        if self.data.check.data.as_deref() == Some("all") { "all data".to_owned() } else { "checksums and archives".to_owned() }
    }
}

impl Repository for Client {
    fn drill(&self) -> DrillConfig {
        self.data.drill.clone()
    }

    fn check_plan(&self) -> Option<CheckConfig> {
        Some(self.data.check.clone())
    }

    fn copies(&self) -> BoxFuture<'_, Result<Vec<Copy>, SourceError>> {
        Box::pin(async move {
            let open = self.open().await?;
            let listed = self.listed(&open, Duration::ZERO).await?;
            let kept = self.keeper.get(&open.address).await;
            Ok(self.mine(&open, &listed)?.into_iter().map(|archive| archive.copy(kept.copies.get(&archive.id))).collect())
        })
    }

    fn files<'a>(&'a self, copy: &'a str, under: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, SourceError>> {
        Box::pin(async move {
            let open = self.open().await?;
            let (under, named) = (under.trim_matches('/'), Self::named(&open, copy));
            let start = if under.is_empty() { String::new() } else { format!("{}/", parse::escaped(under)) };
            for depth in 1..=DEEPEST {
                // Only as deep as needed: an archive may hold millions.
                let deeper = format!("re:^{start}(?:[^/]+/){{{depth}}}");
                let mut arguments = vec!["list", "--json-lines", "--bypass-lock", "--lock-wait", "1", "-e", &deeper, "--", &named];
                arguments.extend((!under.is_empty()).then_some(under));
                let said = self.ask(&self.apart(&open), &arguments, self.timeout).await?;
                let found = parse::files(&said.stdout, under);
                if !found.is_empty() {
                    return Ok(found);
                }
                if said.stdout.lines().count() > 0 {
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
                    "borg runs on another machine, where the copy would be restored too",
                    "name the repository so that it is reached from here, such as \"ssh://nas1/./backups\"",
                ));
            }
            let open = self.open().await?;
            let named = Self::named(&open, &copy.name);
            let mut arguments = vec!["--log-json", "extract", "--bypass-lock", "--lock-wait", "1", "--", &named];
            arguments.extend(self.data.drill.paths.iter().map(|path| path.trim_start_matches('/')));
            let _turn = tool::turn(&open.key()).await;
            let said = open.run_in(into, &arguments, self.data.drill.timeout.map_or(LONG, Into::into)).await?;
            match said.ending.code() {
                Some(0) => Ok(Restored::Files),
                // A file that could not be restored is a warning to borg; to a drill it is none.
                Some(1 | 100..=126) => {
                    let line = said.lines.first().map_or("borg warned", String::as_str);
                    Err(SourceError::protocol(format!("not all of the copy could be restored: {line}")))
                }
                _ => Err(Self::refusal(&open, &said)),
            }
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, SourceError>> {
        Box::pin(async move {
            let open = self.open().await?;
            let named = Self::named(&open, "");
            let mut arguments = vec!["--log-json", "check", "--lock-wait", "1"];
            arguments.extend((self.data.check.data.as_deref() == Some("all")).then_some("--verify-data"));
            arguments.extend(open.in_arguments.then_some(named.as_str()));
            let _turn = tool::turn(&open.key()).await;
            let said = open.run(&arguments, self.data.check.timeout.map_or(LONG, Into::into)).await?;
            let (at, depth) = (clock::now(), self.depth());
            if said.ending.success() {
                return Ok(Check { at, ok: true, depth, message: String::new() });
            }
            let refused = Self::refusal(&open, &said);
            // Whoever is in the way is told as such; the rest is what the check found.
            match parse::damage(&said.lines).filter(|_| parse::is_damage(&refused)) {
                Some(message) => Ok(Check { at, ok: false, depth, message }),
                None => Err(refused),
            }
        })
    }

    fn writes_as(&self) -> Option<String> {
        self.caller.writes_as()
    }

    fn by_hand(&self, copy: &Copy) -> String {
        // Without an address the variable has it.
        self.caller.prefix.line(&["extract", &format!("{}::{}", self.caller.written().unwrap_or_default(), copy.name)])
    }

    fn protects(&self) -> Vec<PathBuf> {
        self.caller.address.as_ref().and_then(|address| address.written()).and_then(|text| self.caller.path(text)).into_iter().collect()
    }

    fn unlocking(&self) -> Option<Unlocking> {
        let changes = "removes every lock; the holders of those seen are gone from this machine, a job that began since would go on without one";
        Some(Unlocking { calls: "borg break-lock", changes, takes_all: true })
    }

    fn unlock(&self) -> BoxFuture<'_, Result<String, SourceError>> {
        Box::pin(async move {
            let open = self.open().await?;
            let named = Self::named(&open, "");
            let mut arguments = vec!["break-lock"];
            arguments.extend(open.in_arguments.then_some(named.as_str()));
            self.ask(&open, &arguments, SHORT).await?;
            Ok("the locks were removed".to_owned())
        })
    }
}
