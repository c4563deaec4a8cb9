//! Mails about errors: what Django sends to its administrators, in a maildir, an mbox or an IMAP folder, as another input to the error book.
//!
//! | file | what |
//! | --- | --- |
//! | `place` | mails on disk |
//! | `imap` | mails on a server |
//! | `parse` | what a mail says |
//!
//! Strictly read-only: nothing is marked as seen, moved, locked or removed. What does not belong here: which errors are the same
//! (`sources::log::group`), what is kept of them (`domain::book`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::log::service::BookService;
use super::log::{OneOrMany, group, stack};
use super::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Reach, Source, SourceConfig, SourceSpec};
use crate::domain::{Capability, Data, Level, LogBatch, LogEvent, LogGroup, Noted, Observation, Problem, SourceError, Timestamp};
use crate::io::secret::{self, SecretRef};
use crate::io::{clock, net};

pub mod imap;
pub mod parse;
pub mod place;

#[cfg(test)]
mod servers;
#[cfg(test)]
mod tests;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(60);
/// How long one look may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Events kept of one look.
const EVENTS: usize = 200;

/// Keys of a mail source. Either `path`, or `url` with `user` and `password`.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A maildir (a directory with `new` and `cur`) or an mbox file.
    #[serde(default)]
    pub path: Option<String>,
    /// An IMAP folder: `imaps://mail.example.com/INBOX`.
    #[serde(default)]
    pub url: Option<String>,
    /// Whose mail it is, for the IMAP server.
    #[serde(default)]
    pub user: Option<String>,
    /// The password for it.
    #[serde(default)]
    pub password: Option<SecretRef>,
    /// A PEM file of authorities to verify an `imaps:` server with, instead of the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Regular expressions whose matches are masked before anything is stored or shown.
    #[serde(default)]
    pub redact: Vec<String>,
    /// Paths whose frames in a traceback count as the application's own; default all but installed packages.
    #[serde(default)]
    #[schemars(extend("default" = null))]
    pub project: OneOrMany,
    /// How far the mails were read, for when the source is built anew.
    #[serde(skip)]
    memory: Arc<Mutex<Memory>>,
}

/// How far a source has read.
#[derive(Debug, Default, Clone)]
struct Memory {
    disk: place::Memory,
    imap: imap::Memory,
}

fn complaint(path: &[&str], message: String, help: &str) -> Complaint {
    Complaint { path: path.iter().map(ToString::to_string).collect(), message, help: help.to_owned(), warning: false }
}

impl Config {
    fn server(&self) -> Result<Option<imap::Place>, Complaint> {
        let Some(text) = &self.url else { return Ok(None) };
        let url = Url::parse(text).map_err(|error| complaint(&["url"], format!("\"{text}\" is no address: {error}"), "write imaps://host/INBOX"))?;
        if !matches!(url.scheme(), "imap" | "imaps") || url.host_str().is_none_or(str::is_empty) {
            return Err(complaint(&["url"], format!("\"{text}\" is no IMAP folder"), "write imaps://host/INBOX"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(complaint(&["url"], "the address holds a name or a password".into(), "write them as `user` and `password`"));
        }
        let host = url.host_str().unwrap_or_default();
        if url.scheme() == "imap" && !net::is_this_machine(host) {
            return Err(complaint(&["url"], format!("over imap: the password would travel bare to {host}"), "write imaps:, or tunnel it to this machine"));
        }
        let Some(user) = self.user.clone().filter(|user| !user.is_empty()) else {
            return Err(complaint(&[], "an IMAP folder needs `user`".into(), "write whose mail it is"));
        };
        if self.password.is_none() {
            return Err(complaint(&[], "an IMAP folder needs `password`".into(), "write it as { env = \"NAME\" } or { file = \"path\" }"));
        }
        if self.ca.is_some() && url.scheme() == "imap" {
            return Err(complaint(&["ca"], "over imap: there is no certificate to verify".into(), "leave `ca` out, or write imaps:"));
        }
        Ok(Some(imap::Place { url, user, ca: None }))
    }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all = Vec::new();
        match (self.path.as_deref(), &self.url) {
            (None, None) => all.push(complaint(&[], "mails need `path` or `url`".into(), "set `path` to a maildir or an mbox")),
            (Some(_), Some(_)) => all.push(complaint(&["url"], "mails have `path` or `url`, not both".into(), "make two sources of it")),
            (Some(path), None) => {
                if path.is_empty() {
                    all.push(complaint(&["path"], "the path is empty".into(), "name a maildir or an mbox"));
                }
                if self.user.is_some() || self.password.is_some() {
                    all.push(complaint(&["user"], "`user` and `password` are of an IMAP folder".into(), "leave them out, or set `url`"));
                }
                if self.ca.is_some() {
                    all.push(complaint(&["ca"], "`ca` is of an IMAP folder".into(), "leave it out, or set `url`"));
                }
            }
            (None, Some(_)) => all.extend(self.server().err()),
        }
        for pattern in &self.redact {
            if regex::Regex::new(pattern).is_err() {
                all.push(complaint(&["redact"], format!("\"{pattern}\" is not a regular expression"), ""));
            }
        }
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        self.password.iter().map(|secret| (vec!["password".to_owned()], secret)).collect()
    }

    fn reaches(&self, context: &BuildContext) -> Vec<Reach> {
        match (&self.path, self.server()) {
            (Some(path), _) => vec![Reach::Files(context.base.join(path))],
            (None, Ok(Some(server))) => {
                let (host, port) = server.address();
                vec![Reach::Tcp(host, port)]
            }
            _ => Vec::new(),
        }
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        if let Some(first) = self.check().iter().find(|complaint| !complaint.warning) {
            return Err(SourceError::config(first.message.clone(), first.help.clone()));
        }
        let server = self.server().ok().flatten();
        let from = match (&self.path, server) {
            (Some(path), _) => From::Disk(context.base.join(path)),
            (None, Some(server)) => {
                let ca = self.ca.as_ref().map(|ca| context.base.join(ca));
                From::Imap(imap::Place { ca, ..server }, self.password.clone())
            }
            (None, None) => return Err(SourceError::config("mails need `path` or `url`", "set `path` to a maildir or an mbox")),
        };
        let spec = self.spec(context);
        let project: Vec<String> = self.project.list().iter().map(|path| context.base.join(path).display().to_string()).collect();
        let service = BookService { state: context.state.clone(), project: project.clone() };
        let source = MailSource {
            from,
            every: spec.every,
            target: spec.target.clone(),
            project,
            redact: self.redact.iter().filter_map(|pattern| regex::Regex::new(pattern).ok()).collect(),
            memory: Arc::clone(&self.memory),
            base: context.base.clone(),
            trusted: context.trusted,
        };
        Ok(Built { spec, source: Box::new(source), service: Some(Arc::new(service)) })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        SourceSpec {
            failures: 2,
            ..SourceSpec::of(context, Capability::Log, EVERY, TIMEOUT, self.path.clone().or_else(|| self.url.clone()).unwrap_or_default())
        }
    }
}

#[derive(Debug, Clone)]
enum From {
    Disk(PathBuf),
    Imap(imap::Place, Option<SecretRef>),
}

#[derive(Debug)]
struct MailSource {
    from: From,
    every: Duration,
    target: String,
    project: Vec<String>,
    redact: Vec<regex::Regex>,
    memory: Arc<Mutex<Memory>>,
    base: PathBuf,
    trusted: bool,
}

impl Source for MailSource {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(async move {
            let now = clock::now();
            // Taken over only when the look has ended: a look that was dropped is done again.
            let mut held = self.memory.lock().await;
            let mut memory = held.clone();
            let found = match &self.from {
                From::Disk(path) => {
                    let path = path.clone();
                    let (found, disk) = tokio::task::spawn_blocking(move || {
                        let found = place::look(&path, &mut memory.disk);
                        found.map(|found| (found, memory.disk))
                    })
                    .await
                    .map_err(|_| SourceError::protocol("the look at the mails broke off"))??;
                    memory = Memory { disk, imap: held.imap };
                    found
                }
                From::Imap(server, password) => {
                    let password = password.as_ref().ok_or_else(|| SourceError::config("an IMAP folder needs `password`", ""))?;
                    let password = secret::resolve(password, &self.base, self.trusted).await?;
                    imap::look(server, &password, &mut memory.imap, now).await?
                }
            };
            let (target, project, redact) = (self.target.clone(), self.project.clone(), self.redact.clone());
            let (batch, problems) = tokio::task::spawn_blocking(move || gather(found, &target, &project, &redact, now))
                .await
                .map_err(|_| SourceError::protocol("the mails could not be read"))?;
            *held = memory;
            Ok(Collected { observations: vec![Observation { at: now, data: Data::Log(batch) }], problems, complete: false })
        })
    }
}

/// What the mails of one look tell of.
fn gather(found: place::Found, target: &str, project: &[String], redact: &[regex::Regex], now: Timestamp) -> (LogBatch, Vec<Problem>) {
    let mut batch = LogBatch { files: vec![target.to_owned()], looked_back: found.looked_back, format: "mail".to_owned(), ..LogBatch::default() };
    let mut minutes: BTreeMap<(i64, Level), u64> = BTreeMap::new();
    let mut groups: BTreeMap<String, (LogGroup, Noted)> = BTreeMap::new();
    batch.lines = found.mails.len() as u64 + found.skipped;
    batch.skipped = found.skipped;
    let masked = |text: String| redact.iter().fold(text, |text, pattern| pattern.replace_all(&text, "***").into_owned());
    for mail in found.mails {
        let Some(report) = parse::report(&mail.bytes) else { continue };
        // A clock of tomorrow says nothing of when it happened.
        let at = report.at.or(mail.came).filter(|at| *at <= now).unwrap_or(now);
        *batch.levels.entry(report.level).or_default() += 1;
        *minutes.entry((at.timestamp().div_euclid(60) * 60, report.level)).or_default() += 1;
        let message = masked(report.message);
        let detail: Vec<String> = report.detail.into_iter().map(masked).collect();
        let mut fingerprint = None;
        if report.level.is_error() || !detail.is_empty() {
            let identity = group::identify(&message, stack::parse(&message, &detail).as_ref(), project);
            let new = || {
                let group = LogGroup {
                    fingerprint: identity.fingerprint.clone(),
                    title: identity.title.clone(),
                    culprit: identity.culprit.clone(),
                    level: report.level,
                    count: 0,
                    first_seen: at,
                    last_seen: at,
                };
                (group, Noted { fingerprint: identity.fingerprint.clone(), former: Some(identity.former.clone()), times: Vec::new() })
            };
            let (group, noted) = groups.entry(identity.fingerprint.clone()).or_insert_with(new);
            group.count += 1;
            group.level = group.level.max(report.level);
            (group.first_seen, group.last_seen) = (group.first_seen.min(at), group.last_seen.max(at));
            noted.times.push((at.timestamp(), 1));
            fingerprint = Some(identity.fingerprint);
        }
        batch.events.push(LogEvent { at, level: report.level, file: 0, message, detail, fingerprint, place: None });
    }
    batch.events.sort_by_key(|event| event.at);
    let over = batch.events.len().saturating_sub(EVENTS);
    batch.skipped += over as u64;
    batch.events.drain(..over);
    batch.minutes = minutes.into_iter().map(|((minute, level), count)| (minute, level, count)).collect();
    (batch.groups, batch.book) = groups.into_values().unzip();
    (batch, found.problems)
}
