//! pgBackRest: the backups of one PostgreSQL cluster, by `pgbackrest info`; restored and verified by pgBackRest itself.
//!
//! What does not belong here: the verdict on a promise (`rules::backups`), starting what was restored (`actions::drill`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `parse` | what `info` and `verify` print; pure |
//! | `log` | the log that it keeps of its backups; pure |

mod log;
mod parse;
#[cfg(test)]
mod tests;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Source, SourceConfig, SourceSpec};
use crate::backups::clusters::{self, Caller};
use crate::backups::joblog::{self, JobLog};
use crate::backups::{self, CheckConfig, DrillConfig, Entry, Promise, Repository, Restored, plan, tool, user};
use crate::config::value::{Dur, Size};
use crate::domain::backup::Check;
use crate::domain::{Capability, Copy, Data, Observation, SourceError};
use crate::io::clock;
use crate::io::secret::SecretRef;

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(600);
/// The time limit of one look where none is configured.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The time limit of a restore and of a check where none is configured.
const LONG: Duration = Duration::from_secs(2 * 3_600);
/// Where its logs are when its configuration says nothing else.
const LOGS: &str = "/var/log/pgbackrest";
/// Where the configuration is when nothing else is said.
const CONFIGURATIONS: [&str; 2] = ["/etc/pgbackrest/pgbackrest.conf", "/etc/pgbackrest.conf"];

/// The keys of one stanza.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The stanza.
    pub stanza: String,
    /// pgBackRest's configuration; its own default when not given.
    pub config: Option<String>,
    /// Only this repository, by its number; all when not given.
    #[schemars(range(min = 1))]
    pub repo: Option<u32>,
    /// The program with what stands before it, such as `["sudo", "-u", "postgres", "pgbackrest"]`.
    pub command: Option<Vec<String>>,
    /// The promise: how old the last good copy may be; 26 hours when not given.
    pub max_age: Option<Dur>,
    /// The promise: how small the cluster in a copy may be, such as `"10MiB"`.
    pub min_size: Option<Size>,
    /// The promise: how many copies there are at least.
    #[schemars(range(min = 1))]
    pub retention: Option<u32>,
    /// The log of its runs on this machine, for what a failed one said; where the tool's own configuration puts it when not given.
    pub job_log: Option<String>,
    /// `pgbackrest verify` now and then: it reads all files of the repository.
    pub check: Option<CheckConfig>,
    /// Restoring into a scratch place now and then.
    pub drill: Option<DrillConfig>,
}

fn complaint(key: &str, message: &str, help: &str) -> Complaint {
    Complaint { path: vec![key.to_owned()], message: message.to_owned(), help: help.to_owned(), warning: false }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all = Vec::new();
        if self.stanza.is_empty() || !self.stanza.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) || self.stanza.starts_with('-') {
            all.push(complaint("stanza", "this is no name of a stanza", "write it as pgBackRest's own configuration does"));
        }
        all.extend(plan::empty_command(self.command.as_deref()));
        all.extend(plan::complaints(self.max_age, self.check.as_ref(), self.drill.as_ref()));
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        plan::secrets(self.drill.as_ref())
    }

    fn commands(&self) -> Vec<Vec<String>> {
        std::iter::once(self.caller().words().to_vec()).chain(plan::asserted(self.drill.as_ref())).collect()
    }

    fn repository(&self, context: &BuildContext) -> Option<Result<Arc<dyn Repository>, SourceError>> {
        Some(self.stanza(context).map(|stanza| Arc::new(stanza) as Arc<dyn Repository>))
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        let source = Polls { stanza: self.stanza(context)?, every: self.spec(context).every };
        Ok(Built { spec: self.spec(context), source: Box::new(source), service: None })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        SourceSpec::of(context, Capability::Backup, EVERY, TIMEOUT, format!("stanza {}", self.stanza))
    }
}

impl Config {
    fn caller(&self) -> Caller {
        Caller::new(self.command.as_deref(), "pgbackrest", &self.stanza)
    }

    fn stanza(&self, context: &BuildContext) -> Result<Stanza, SourceError> {
        plan::trusted(context)?;
        let caller = self.caller();
        // Over there it is a path of over there.
        let config = self.config.as_ref().map(|path| if caller.elsewhere() { PathBuf::from(path) } else { context.base.join(path) });
        let promise = Promise::new(self.max_age, self.min_size, self.retention, self.check.as_ref(), self.drill.as_ref());
        let timeout = self.spec(context).timeout;
        let (drill, check) = (self.drill.clone().unwrap_or_default(), self.check.clone());
        let job_log = self.job_log.as_ref().map(|path| context.base.join(path));
        Ok(Stanza { caller, name: self.stanza.clone(), config, job_log, zone: context.zone, repo: self.repo, promise, timeout, drill, check })
    }
}

/// One stanza.
#[derive(Debug)]
struct Stanza {
    caller: Caller,
    name: String,
    config: Option<PathBuf>,
    job_log: Option<PathBuf>,
    zone: Option<chrono_tz::Tz>,
    repo: Option<u32>,
    promise: Promise,
    timeout: Duration,
    drill: DrillConfig,
    check: Option<CheckConfig>,
}

impl Stanza {
    /// The options that every call has; messages of progress are not wanted among them.
    fn options(&self, repo: Option<u64>, level: &str) -> Vec<String> {
        let config = self.config.as_ref().map(|config| format!("--config={}", config.display()));
        let repo = repo.map(|repo| format!("--repo={repo}"));
        let fixed =
            [format!("--stanza={}", self.name), format!("--log-level-console={level}"), "--log-level-file=off".to_owned(), "--no-log-timestamp".to_owned()];
        fixed.into_iter().chain(config).chain(repo).collect()
    }

    async fn run(&self, options: &[String], command: &str, timeout: Duration) -> Result<String, SourceError> {
        let arguments: Vec<&str> = options.iter().map(String::as_str).chain([command]).collect();
        let output = self.caller.run(&arguments, timeout).await?;
        if output.ending.success() { Ok(output.stdout_text()) } else { Err(self.caller.failure(&output)) }
    }

    async fn info(&self) -> Result<(crate::domain::Backup, Vec<crate::domain::Problem>), SourceError> {
        let mut options = self.options(self.repo.map(u64::from), "error");
        options.push("--output=json".to_owned());
        let said = self.run(&options, "info", self.timeout).await?;
        parse::info(tool::json(&said), &self.name, clock::now())
    }

    /// The configurations that tell of it, as far as they are on this machine.
    fn configurations(&self) -> Vec<PathBuf> {
        self.config.clone().map_or_else(|| CONFIGURATIONS.iter().map(PathBuf::from).collect(), |config| vec![config])
    }

    /// The log of its backups, where that is on this machine.
    fn log(&self) -> Option<JobLog> {
        JobLog::of(self.job_log.as_deref(), || {
            let sections = [format!("{}:backup", self.name), self.name.clone(), "global:backup".to_owned(), "global".to_owned()];
            let configured = self.configurations().iter().find_map(|file| clusters::setting(file, &sections, "log-path"));
            let name = format!("{}-backup.log", self.name);
            (!self.caller.elsewhere()).then(|| Path::new(configured.as_deref().unwrap_or(LOGS)).join(name))
        })
    }

    fn restoring(&self, copy: &Copy, into: &str) -> Vec<String> {
        let mut options = self.options(parse::repository_of(copy), "warn");
        options.extend([
            format!("--set={}", copy.name),
            format!("--pg1-path={into}/data"),
            // The cluster may be another machine's here; nothing of it goes where the running one is.
            "--reset-pg1-host".to_owned(),
            format!("--tablespace-map-all={into}/tablespaces"),
            // Neither does what is started on it archive into the repository that it came from.
            "--archive-mode=off".to_owned(),
            "--type=immediate".to_owned(),
            "--target-action=promote".to_owned(),
        ]);
        options
    }
}

impl Repository for Stanza {
    fn drill(&self) -> DrillConfig {
        self.drill.clone()
    }

    fn check_plan(&self) -> Option<CheckConfig> {
        self.check.clone()
    }

    fn copies(&self) -> BoxFuture<'_, Result<Vec<Copy>, SourceError>> {
        Box::pin(async move {
            let (backup, _) = self.info().await?;
            let mut copies: Vec<Copy> = backup.copies.into_iter().filter(|copy| copy.complete != Some(false)).collect();
            copies.sort_by_key(|copy| copy.at);
            Ok(copies)
        })
    }

    fn files<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, SourceError>> {
        Box::pin(async { Err(SourceError::config("pgBackRest keeps a cluster as a whole: no file of it is of use alone", "a drill restores it")) })
    }

    fn restore<'a>(&'a self, copy: &'a Copy, into: &'a Path) -> BoxFuture<'a, Result<Restored, SourceError>> {
        Box::pin(async move {
            if !parse::is_label(&copy.name) {
                return Err(SourceError::config("this is no label of pgBackRest", "name a copy as `rounds backups show` does"));
            }
            if self.caller.elsewhere() {
                return Err(SourceError::config("the tool runs on another machine, and would restore there", "run the drill on that machine"));
            }
            let data = into.join("data");
            for folder in [&data, &into.join("tablespaces")] {
                // It belongs to whom the place was given to: whom the tool runs as.
                let made = std::fs::create_dir(folder).and_then(|()| {
                    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
                    let place = into.metadata()?;
                    std::os::unix::fs::chown(folder, Some(place.uid()), Some(place.gid()))
                });
                made.map_err(|error| SourceError::missing(format!("{}: {error}", folder.display()), "look at the scratch place"))?;
            }
            let timeout = self.drill.timeout.map_or(LONG, Dur::get);
            self.run(&self.restoring(copy, &into.to_string_lossy()), "restore", timeout).await?;
            Ok(Restored::Cluster(data))
        })
    }

    fn writes_as(&self) -> Option<String> {
        user::of(self.caller.words())
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, SourceError>> {
        Box::pin(async move {
            let timeout = self.check.as_ref().and_then(|check| check.timeout).map_or(LONG, Dur::get);
            let (backup, _) = self.info().await?;
            let labels: Vec<String> = backup.copies.into_iter().map(|copy| copy.name).collect();
            let mut options = self.options(self.repo.map(u64::from), "info");
            options.push("--verbose".to_owned());
            let said = match self.run(&options, "verify", timeout).await {
                // Before version 2.44 it tells of no backup by name.
                Err(error) if error.message.contains("invalid option '--verbose'") => {
                    options.pop();
                    self.run(&options, "verify", timeout).await?
                }
                said => said?,
            };
            let found = parse::verified(&said, &labels).map_err(SourceError::protocol)?;
            Ok(Check { at: clock::now(), ok: found.is_empty(), depth: "all data".to_owned(), message: clusters::sentence(&found) })
        })
    }

    fn by_hand(&self, copy: &Copy) -> String {
        let repo = parse::repository_of(copy).map(|repo| format!("--repo={repo}"));
        let config = self.config.as_ref().map(|config| format!("--config={}", config.display()));
        let fixed = [format!("--stanza={}", self.name), format!("--set={}", copy.name), "--type=immediate".to_owned(), "--pg1-path=DIRECTORY".to_owned()];
        let words: Vec<String> = fixed.into_iter().chain(config).chain(repo).chain(["restore".to_owned()]).collect();
        self.caller.line(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn protects(&self) -> Vec<PathBuf> {
        if self.caller.elsewhere() {
            return Vec::new();
        }
        let is_key = |key: &str| {
            let number = key.strip_prefix("pg").or_else(|| key.strip_prefix("repo")).and_then(|rest| rest.strip_suffix("-path"));
            number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        self.configurations().iter().flat_map(|file| clusters::paths(file, is_key)).collect()
    }
}

/// Polls it.
struct Polls {
    stanza: Stanza,
    every: Duration,
}

impl Source for Polls {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(async move {
            let (mut backup, mut problems) = self.stanza.info().await?;
            let (complete, zone) = (problems.is_empty(), self.stanza.zone);
            let now = clock::now();
            if let Some(log) = self.stanza.log() {
                let (runs, problem) = log.runs(move |text| log::runs(text, zone)).await;
                joblog::add(&mut backup, runs, !self.stanza.caller.elsewhere(), now);
                problems.extend(problem);
            }
            parse::behind(&mut backup, self.stanza.promise.max_age_s.unwrap_or(u64::MAX), now);
            let backup = backups::judge(backup, &self.stanza.promise, now);
            Ok(Collected { observations: vec![Observation { at: now, data: Data::Backup(Box::new(backup)) }], problems, complete })
        })
    }
}
