//! Barman: the backups of one PostgreSQL server, by `barman list-backup` and `barman check`; restored by `barman recover`.
//!
//! What does not belong here: the verdict on a promise (`rules::backups`), starting what was restored (`actions::drill`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `parse` | what Barman prints; pure |
//! | `log` | the log that it keeps; pure |

mod log;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use self::parse::Shown;
use super::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Source, SourceConfig, SourceSpec};
use crate::backups::clusters::{self, Caller};
use crate::backups::joblog::{self, JobLog};
use crate::backups::{self, CheckConfig, DrillConfig, Entry, Promise, Repository, Restored, plan, tool, user};
use crate::config::value::{Dur, Size};
use crate::domain::backup::Check;
use crate::domain::{Capability, Copy, Data, ErrorKind, Observation, Problem, SourceError};
use crate::io::clock;
use crate::io::exec::Output;
use crate::io::secret::SecretRef;

/// The interval where none is configured: each look connects to the server, as `barman check` does.
const EVERY: Duration = Duration::from_secs(600);
/// The time limit of one look where none is configured.
const TIMEOUT: Duration = Duration::from_secs(90);
/// The time limit of a restore and of a check where none is configured.
const LONG: Duration = Duration::from_secs(2 * 3_600);
/// Backups that one look asks for more of, and that are remembered.
const SHOWN: usize = 8;
const REMEMBERED: usize = 500;
/// Where the configuration is when nothing else is said.
const CONFIGURATIONS: [&str; 2] = ["/etc/barman.conf", "/etc/barman/barman.conf"];

/// The keys of one server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server, as Barman's configuration names it.
    pub server: String,
    /// Barman's configuration; its own default when not given.
    pub config: Option<String>,
    /// The program with what stands before it, such as `["sudo", "-u", "barman", "barman"]`.
    pub command: Option<Vec<String>>,
    /// The promise: how old the last good copy may be; 26 hours when not given.
    pub max_age: Option<Dur>,
    /// The promise: how small a copy may be, such as `"10MiB"`.
    pub min_size: Option<Size>,
    /// The promise: how many copies there are at least.
    #[schemars(range(min = 1))]
    pub retention: Option<u32>,
    /// The log of its runs on this machine, for what a failed one said; where the tool's own configuration puts it when not given.
    pub job_log: Option<String>,
    /// `barman check` now and then; with `data = "all"` also `barman verify-backup` of the newest copy.
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
        if self.server.is_empty() || self.server == "all" || self.server.starts_with('-') || self.server.contains(char::is_whitespace) {
            all.push(complaint("server", "this is no name of one server", "write it as Barman's own configuration does, and a source for each"));
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
        Some(self.server(context).map(|server| Arc::new(server) as Arc<dyn Repository>))
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        let source = Polls { server: self.server(context)?, every: self.spec(context).every };
        Ok(Built { spec: self.spec(context), source: Box::new(source), service: None })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        SourceSpec::of(context, Capability::Backup, EVERY, TIMEOUT, format!("server {}", self.server))
    }
}

impl Config {
    fn caller(&self) -> Caller {
        Caller::new(self.command.as_deref(), "barman", &self.server)
    }

    fn server(&self, context: &BuildContext) -> Result<Server, SourceError> {
        plan::trusted(context)?;
        let caller = self.caller();
        // Over there it is a path of over there.
        let config = self.config.as_ref().map(|path| if caller.elsewhere() { PathBuf::from(path) } else { context.base.join(path) });
        let promise = Promise::new(self.max_age, self.min_size, self.retention, self.check.as_ref(), self.drill.as_ref());
        let timeout = self.spec(context).timeout;
        let (drill, check) = (self.drill.clone().unwrap_or_default(), self.check.clone());
        let job_log = self.job_log.as_ref().map(|path| context.base.join(path));
        Ok(Server { caller, name: self.server.clone(), config, job_log, promise, timeout, zone: context.zone, drill, check, shown: Mutex::default() })
    }
}

/// One server.
#[derive(Debug)]
struct Server {
    caller: Caller,
    name: String,
    config: Option<PathBuf>,
    job_log: Option<PathBuf>,
    promise: Promise,
    timeout: Duration,
    zone: Option<chrono_tz::Tz>,
    drill: DrillConfig,
    check: Option<CheckConfig>,
    /// More of the backups that are finished, which does not change.
    shown: Mutex<HashMap<String, Shown>>,
}

impl Server {
    /// Calls it with these words behind its own options.
    async fn call(&self, json: bool, words: &[&str], timeout: Duration) -> Result<Output, SourceError> {
        let config = self.config.as_ref().map(|config| config.to_string_lossy().into_owned());
        let mut arguments: Vec<&str> = config.as_deref().map_or_else(Vec::new, |config| vec!["-c", config]);
        if json {
            arguments.extend(["-f", "json"]);
        }
        arguments.extend(words);
        self.caller.run(&arguments, timeout).await
    }

    async fn run(&self, json: bool, words: &[&str], timeout: Duration) -> Result<(bool, String), SourceError> {
        let output = self.call(json, words, timeout).await?;
        let said = output.stdout_text();
        let json = tool::json(&said);
        if let Some(said) = parse::exception_of(json) {
            return Err(SourceError::missing(format!("barman broke off: {said}"), "a record of it may be damaged: look at Barman's own log"));
        }
        match parse::error_of(json) {
            Some(error) => Err(SourceError::config(format!("barman: {error}"), "check `server` and `config`; `barman list-server` names the servers")),
            // `check` ends with 1 when something is wrong, and says what.
            None if output.ending.success() || output.ending.code() == Some(1) && !json.is_empty() => Ok((output.ending.success(), json.to_owned())),
            None => Err(self.caller.failure(&output)),
        }
    }

    async fn list(&self) -> Result<String, SourceError> {
        let (well, list) = self.run(true, &["list-backup", &self.name], self.timeout).await?;
        if well { Ok(list) } else { Err(SourceError::protocol("barman list-backup failed and does not say why")) }
    }

    /// Asks for more of those that are not known yet: when they began, what they added, why they failed.
    async fn learn(&self, list: &str) {
        let mut asked = 0;
        for (id, finished) in parse::ids(list, &self.name) {
            let is_known = self.shown.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id);
            if is_known || asked >= SHOWN {
                continue;
            }
            asked += 1;
            let Ok((_, said)) = self.run(true, &["show-backup", &self.name, &id], self.timeout).await else { continue };
            let shown = parse::shown(&said, &self.name);
            let mut known = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= REMEMBERED {
                known.clear();
            }
            // What is not finished may yet say more.
            if finished || shown.error.is_some() {
                known.insert(id, shown);
            }
        }
    }

    /// The configurations that tell of it, as far as they are on this machine.
    fn configurations(&self) -> Vec<PathBuf> {
        self.config.clone().map_or_else(|| CONFIGURATIONS.iter().map(PathBuf::from).collect(), |config| vec![config])
    }

    /// Its log, where that is on this machine.
    fn log(&self) -> Option<JobLog> {
        let own = || self.configurations().iter().find_map(|file| clusters::setting(file, &["barman".to_owned()], "log_file")).map(PathBuf::from);
        JobLog::of(self.job_log.as_deref(), || own().filter(|path| path.is_absolute() && !self.caller.elsewhere()))
    }

    /// Whom Barman runs as by its configuration.
    fn own_user(&self) -> String {
        let said = self.configurations().iter().find_map(|file| clusters::setting(file, &["barman".to_owned()], "barman_user"));
        said.unwrap_or_else(|| "barman".to_owned())
    }

    fn read(&self, list: &str) -> Result<crate::domain::Backup, SourceError> {
        let known = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        parse::list(list, &self.name, self.zone, |id| known.get(id).cloned())
    }

    async fn failed_checks(&self, timeout: Duration) -> Result<Vec<String>, SourceError> {
        let (_, said) = self.run(true, &["check", &self.name], timeout).await?;
        parse::failed_checks(&said, &self.name)
    }

    /// Why there is nothing: a folder that may not be read is an empty list, and Barman's own check knows of it.
    async fn why_nothing(&self, error: SourceError) -> SourceError {
        let failed = self.failed_checks(self.timeout).await.unwrap_or_default();
        match failed.iter().find(|failed| failed.starts_with("directories: ")) {
            Some(failed) => SourceError::missing(format!("no backup of {} can be read: {failed}", self.name), "run this as Barman's own user"),
            None => error,
        }
    }

    /// WAL of the newest copy that Barman has in its list and that is not there, or is empty: no check of its own looks.
    async fn lost_wal(&self, timeout: Duration) -> Result<Option<String>, SourceError> {
        if self.caller.elsewhere() {
            return Ok(None);
        }
        let (_, said) = self.run(true, &["list-files", "--target", "wal", &self.name, "latest"], timeout).await?;
        let names = parse::files(&said)?;
        let looked = tokio::task::spawn_blocking(move || {
            // What this user may not look at is not known to be lost.
            let is_lost = |name: &&String| match std::fs::metadata(name) {
                Ok(about) => about.len() == 0,
                Err(error) => error.kind() == std::io::ErrorKind::NotFound,
            };
            let lost: Vec<&String> = names.iter().filter(is_lost).collect();
            let first = lost.first().and_then(|name| name.rsplit('/').next());
            first.map(|first| format!("WAL that the newest copy needs is lost: {} of {} files, such as {first}", lost.len(), names.len()))
        });
        looked.await.map_err(|_| SourceError::protocol("the look at the WAL broke off"))
    }

    async fn poll(&self) -> Result<Collected, SourceError> {
        let list = self.list().await?;
        self.learn(&list).await;
        let mut backup = match self.read(&list) {
            Err(error) if error.kind == ErrorKind::Nothing => return Err(self.why_nothing(error).await),
            read => read?,
        };
        let mut problems = Vec::new();
        match self.failed_checks(self.timeout).await {
            Ok(failed) => backup.complaints.extend(failed.into_iter().map(|failed| format!("barman check: {failed}"))),
            Err(error) => {
                // Not looked at is not the same as nothing found.
                backup.complaints.push("barman check could not be run".to_owned());
                problems.push(Problem { subject: "barman check".to_owned(), message: error.message });
            }
        }
        let (now, complete) = (clock::now(), problems.is_empty());
        if let Some(log) = self.log() {
            let (name, zone) = (self.name.clone(), self.zone);
            let (runs, problem) = log.runs(move |text| log::runs(text, &name, zone)).await;
            joblog::add(&mut backup, runs, !self.caller.elsewhere(), now);
            problems.extend(problem);
        }
        let backup = backups::judge(backup, &self.promise, now);
        Ok(Collected { observations: vec![Observation { at: now, data: Data::Backup(Box::new(backup)) }], problems, complete })
    }
}

impl Repository for Server {
    fn drill(&self) -> DrillConfig {
        self.drill.clone()
    }

    fn check_plan(&self) -> Option<CheckConfig> {
        self.check.clone()
    }

    fn copies(&self) -> BoxFuture<'_, Result<Vec<Copy>, SourceError>> {
        Box::pin(async move {
            let mut copies = self.read(&self.list().await?)?.copies;
            copies.retain(|copy| copy.complete != Some(false));
            copies.sort_by_key(|copy| copy.at);
            Ok(copies)
        })
    }

    fn files<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, SourceError>> {
        Box::pin(async { Err(SourceError::config("Barman keeps a cluster as a whole: no file of it is of use alone", "a drill restores it")) })
    }

    fn restore<'a>(&'a self, copy: &'a Copy, into: &'a Path) -> BoxFuture<'a, Result<Restored, SourceError>> {
        Box::pin(async move {
            if !parse::is_id(&copy.name) {
                return Err(SourceError::config("this is no id of Barman", "name a copy as `rounds backups show` does"));
            }
            if self.caller.elsewhere() {
                return Err(SourceError::config("the tool runs on another machine, and would restore there", "run the drill on that machine"));
            }
            // Tablespaces would be restored to where the running server has them.
            let spaces = parse::tablespaces(&self.list().await?, &self.name, &copy.name);
            let spaces: Vec<String> =
                spaces.iter().enumerate().map(|(at, name)| format!("{name}:{}", into.join(format!("tablespace-{at}")).display())).collect();
            let data = into.join("data");
            let target = data.to_string_lossy().into_owned();
            let mut words = vec!["recover", "--target-immediate", "--target-action", "promote", "--no-get-wal"];
            for space in &spaces {
                words.extend(["--tablespace", space]);
            }
            words.extend([self.name.as_str(), copy.name.as_str(), target.as_str()]);
            let (well, _) = self.run(false, &words, self.drill.timeout.map_or(LONG, Dur::get)).await?;
            if well { Ok(Restored::Cluster(data)) } else { Err(SourceError::protocol("barman recover failed and does not say why")) }
        })
    }

    fn writes_as(&self) -> Option<String> {
        // Started by root it becomes the user of its configuration by itself.
        user::of(self.caller.words()).or_else(|| nix::unistd::geteuid().is_root().then(|| self.own_user()))
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, SourceError>> {
        Box::pin(async move {
            let check = self.check.clone().unwrap_or_default();
            let timeout = check.timeout.map_or(LONG, Dur::get);
            let mut found = self.failed_checks(timeout).await?;
            let mut depth = "settings and connections";
            if check.data.is_some() {
                depth = "the newest copy against its manifest";
                // Not as JSON: not every version says there what is wrong.
                let output = self.call(false, &["verify-backup", &self.name, "latest"], timeout).await?;
                if !output.ending.success() {
                    let errors = Caller::errors(&output);
                    found.extend(if errors.is_empty() { vec![self.caller.failure(&output).message] } else { errors });
                }
                found.extend(self.lost_wal(timeout).await?);
            }
            Ok(Check { at: clock::now(), ok: found.is_empty(), depth: depth.to_owned(), message: clusters::sentence(&found) })
        })
    }

    fn by_hand(&self, copy: &Copy) -> String {
        let config = self.config.as_ref().map(|config| config.to_string_lossy().into_owned());
        let mut words: Vec<&str> = config.as_deref().map_or_else(Vec::new, |config| vec!["-c", config]);
        words.extend(["recover", "--target-immediate", &self.name, &copy.name, "DIRECTORY"]);
        self.caller.line(&words)
    }

    fn protects(&self) -> Vec<PathBuf> {
        if self.caller.elsewhere() {
            return Vec::new();
        }
        let is_key = |key: &str| matches!(key, "barman_home" | "backup_directory" | "basebackups_directory" | "wals_directory");
        self.configurations().iter().flat_map(|file| clusters::paths(file, is_key)).collect()
    }
}

/// Polls it.
struct Polls {
    server: Server,
    every: Duration,
}

impl Source for Polls {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        let limit = self.server.timeout;
        // Several calls are bounded as one.
        Box::pin(async move { tokio::time::timeout(limit, self.server.poll()).await.unwrap_or_else(|_| Err(SourceError::timeout(limit))) })
    }
}
