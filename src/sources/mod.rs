//! Sources turn the world into typed observations. One folder per integration; nothing outside a folder knows its wire format.
//!
//! What does not belong here: judging (`rules`), keeping (`journal`), showing (`ui`). Timing, retry, jitter, panics and
//! cancellation are written once, in [`runner`].

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{Capability, ErrorEvent, ErrorKind, LogPast, LogQuery, Notes, Observation, Problem, SourceError, SourceId};

pub mod audit;
pub mod backup_command;
pub mod barman;
pub mod borg;
pub mod borgmatic;
pub mod bugsink;
pub mod cargo;
#[cfg(test)]
pub mod contract;
pub mod deadline;
pub mod door;
pub mod eol;
pub mod files;
pub mod healthchecks;
pub mod heroku_backups;
pub mod http;
pub mod kinds;
pub mod log;
pub mod mail;
mod masking;
pub mod npm;
pub mod offer;
pub mod pgbackrest;
pub mod python;
mod registry;
pub mod restic;
pub mod runner;
pub mod sentry;

pub use offer::{Ask, Form, Found, Now, Seen};

/// A future that can be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// When a source wants to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// At this interval, by the monotonic clock. Asked anew after each poll, so a failing source may ask for a shorter one.
    Every(Duration),
    /// At once: [`Source::collect`] itself waits for the next batch.
    Continuous,
    /// At once, still of the same poll: what was given is a part, and more of it can be had. The runner keeps a small distance.
    More,
}

/// What one poll gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Collected {
    /// What was seen.
    pub observations: Vec<Observation>,
    /// Parts that could not be looked at.
    pub problems: Vec<Problem>,
    /// `false`: merge into what is known; `true`: it replaces this source's slice.
    pub complete: bool,
}

/// Polling or following one configured connection.
pub trait Source: Send {
    /// When to ask again.
    fn cadence(&self) -> Cadence;

    /// One poll, or the wait for the next batch. Cancel-safe: dropping the future loses nothing that was delivered.
    /// The runner bounds it by the source's timeout (a continuous source bounds its own work).
    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>>;
}

/// What can be done to an item beyond looking: details and changes of the outside world. Optional, in the same folder, on the same client.
pub trait Service: Send + Sync {
    /// Drill in: a stack trace, a file list, release notes. `part` names one of several (an event of an issue, a snapshot of a set);
    /// without it, the newest.
    fn detail(&self, key: &ItemKey, part: Option<&str>) -> BoxFuture<'_, Result<Detail, SourceError>>;
    /// What a key may do to the item, and how dangerous it is.
    fn offers(&self, item: &ItemKey) -> Vec<Offer>;
    /// The same for an item as it was seen last, which may have been by another process: a service that is not polled knows of nothing.
    fn offers_for(&self, item: &ItemKey, seen: Seen<'_>) -> Vec<Offer> {
        let _ = seen;
        self.offers(item)
    }
    /// Does it. Only the action runner calls this, after confirmation and audit.
    fn perform(&self, call: &Call) -> BoxFuture<'_, Result<Outcome, SourceError>>;
    /// Does one thing to several items: the calls differ in their item only. One answer for each, in their order. What is refused to
    /// one of them because of who asks, or not answered at all, is not tried with the rest.
    fn perform_all<'a>(&'a self, calls: &'a [Call]) -> BoxFuture<'a, Vec<Result<Outcome, SourceError>>> {
        Box::pin(async move {
            let mut all: Vec<Result<Outcome, SourceError>> = Vec::with_capacity(calls.len());
            for call in calls {
                let stop = |error: &SourceError| {
                    matches!(error.kind, ErrorKind::Auth | ErrorKind::RateLimited | ErrorKind::Connect | ErrorKind::Tls | ErrorKind::Timeout)
                };
                all.push(match all.last() {
                    Some(Err(error)) if stop(error) => Err(error.clone()),
                    _ => self.perform(call).await,
                });
            }
            all
        })
    }
    /// The item that a person calls so (`SHOP-4K2`, `5512`), also one that the last poll did not give. `None`: it has none.
    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Found>, SourceError>> {
        let _ = name;
        Box::pin(async { Ok(None) })
    }
}

/// Reads a log further back than its following does. Independent of the following; never on the loop.
pub trait Past: fmt::Debug + Send + Sync {
    /// One page of older events. Bounded in events and in bytes, so that it comes soon; the answer names what to ask next.
    fn before(&self, query: LogQuery) -> BoxFuture<'static, Result<LogPast, SourceError>>;
}

/// What was given, without the secrets that this process has read: for what comes by another way than a poll or a door.
///
/// # Errors
/// Those of the result; also where a secret stands in it that cannot be masked.
pub fn masked<T: Serialize + serde::de::DeserializeOwned>(mut result: Result<T, SourceError>) -> Result<T, SourceError> {
    masking::mask(&mut result, crate::io::secret::Known::of_process());
    result
}

/// Names one item of one source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ItemKey {
    /// The source that knows it.
    pub source: SourceId,
    /// Its id there.
    pub item: String,
}

/// More about an item than its list shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// What it is about.
    pub key: ItemKey,
    /// It.
    pub body: DetailBody,
    /// A page to open.
    pub link: Option<String>,
}

/// What a detail consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DetailBody {
    /// Lines for reading; outside text, not yet cleaned.
    Lines(Vec<String>),
    /// What lies in a folder of a copy.
    Folder(Box<crate::backups::Folder>),
    /// One event of an issue.
    Event(Box<ErrorEvent>),
    /// Release notes of a package.
    Notes(Box<Notes>),
}

/// One thing that can be done to an item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offer {
    /// Stable name: `resolve`, `archive`.
    pub id: String,
    /// For reading: `resolve`, `archive until it escalates`.
    pub title: String,
    /// Whether it asks for the typed site name on production.
    pub dangerous: bool,
    /// The id of the offer that undoes it.
    pub undo: Option<String>,
    /// What is asked for first, in this order; the answers are the arguments of the call.
    pub asks: Vec<Ask>,
    /// What is called, for the confirmation: method and address, without secrets.
    pub calls: String,
    /// What it changes, one sentence.
    pub changes: String,
    /// How it is undone, one sentence; empty: it cannot be from here.
    pub undone: String,
    /// A verb of rounds itself that does it, with its arguments before the names of the items; empty: the service does it.
    pub verb: Vec<String>,
    /// Flags of that verb after the names.
    pub flags: Vec<String>,
}

/// An offer taken up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Which item.
    pub key: ItemKey,
    /// Which offer.
    pub offer: String,
    /// Its arguments, by name.
    pub arguments: std::collections::BTreeMap<String, String>,
}

/// What came of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// One sentence.
    pub message: String,
    /// The call that takes it back, where there is one.
    pub undo: Option<Call>,
    /// What is true of the item now.
    pub now: Now,
}

/// What the engine knows of a source beside the source itself.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSpec {
    /// `site/kind/name`.
    pub id: SourceId,
    /// For reading; the name when none is configured.
    pub title: String,
    /// Its primary capability.
    pub capability: Capability,
    /// The interval; for a continuous source the time after which silence of the source itself is stale.
    pub every: Duration,
    /// Bounds one whole poll.
    pub timeout: Duration,
    /// The interval while failing.
    pub retry_every: Duration,
    /// Failures in a row before it is judged down.
    pub failures: u32,
    /// Successes in a row before it is judged up again.
    pub successes: u32,
    /// `false`: paused.
    pub enabled: bool,
    /// Whether it follows instead of polling.
    pub continuous: bool,
    /// A page that tells what to do.
    pub runbook: Option<String>,
    /// A source that must be up for this one to be judged (`kind/name` of the same site).
    pub needs: Vec<String>,
    /// What is asked, for reading: `GET /health/`, a path, a repository.
    pub target: String,
}

impl SourceSpec {
    /// What most kinds say of a source: the keys that every source has, else the kind's own interval and limit; tried again within a minute;
    /// one look is enough to judge by.
    #[must_use]
    pub fn of(context: &BuildContext, capability: Capability, every: Duration, timeout: Duration, target: String) -> Self {
        let common = &context.common;
        let every = common.every.unwrap_or(every);
        Self {
            id: context.id.clone(),
            title: common.title.clone().unwrap_or_else(|| context.id.name().to_owned()),
            capability,
            every,
            timeout: common.timeout.unwrap_or(timeout),
            retry_every: every.min(Duration::from_secs(60)),
            failures: 1,
            successes: 1,
            enabled: common.enabled.unwrap_or(true),
            continuous: false,
            runbook: common.runbook.clone(),
            needs: common.needs.clone(),
            target,
        }
    }
}

/// A source ready to run.
pub struct Built {
    /// What the engine knows of it.
    pub spec: SourceSpec,
    /// It.
    pub source: Box<dyn Source>,
    /// Details and calls, where it has them.
    pub service: Option<Arc<dyn Service>>,
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Built").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// The keys every source has, whatever its kind. Parsed by `config` and handed to the kind's [`SourceConfig::build`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Common {
    /// Interval.
    pub every: Option<Duration>,
    /// Bounds one whole poll.
    pub timeout: Option<Duration>,
    /// `false`: paused.
    pub enabled: Option<bool>,
    /// Sources that must be up for this one to be judged.
    pub needs: Vec<String>,
    /// A page that tells what to do.
    pub runbook: Option<String>,
    /// For reading.
    pub title: Option<String>,
}

/// What a source is built from, beside its own keys.
#[derive(Debug, Clone)]
pub struct BuildContext {
    /// Its id.
    pub id: SourceId,
    /// The common keys, after `[defaults.KIND]`.
    pub common: Common,
    /// Relative paths are relative to this: the site's `directory`, else the configuration file's.
    pub base: PathBuf,
    /// Whether the configuration may run commands (product law 4).
    pub trusted: bool,
    /// The site's zone for reading time stamps without one, where configured.
    pub zone: Option<chrono_tz::Tz>,
    /// A folder for what can be had again: answers of services. `None`: kept in memory.
    pub cache: Option<PathBuf>,
    /// The directory of the journal, for what a person says of items that no server keeps. `None`: nothing is kept.
    pub state: Option<PathBuf>,
}

/// A complaint about a key whose type is right and whose value is not: the place is given by the path below the source's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Below the source's table: `["expect", "body"]`.
    pub path: Vec<String>,
    /// What is wrong, one sentence.
    pub message: String,
    /// What to do, one sentence; may be empty.
    pub help: String,
    /// A literal secret is accepted with a warning; all else is an error.
    pub warning: bool,
}

/// Something outside that a source needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// A server that accepts connections: host (a name or an address without brackets) and port.
    Tcp(String, u16),
    /// A file, or a glob that should match one.
    Files(PathBuf),
}

impl Reach {
    /// The server of a service's address; nothing where a proxy stands before it: what stands behind one is the proxy's to reach.
    #[must_use]
    pub fn service(url: &url::Url) -> Vec<Self> {
        let target = url.as_str().parse::<hyper::Uri>().ok();
        if !crate::io::api::is_loopback(url) && target.is_some_and(|target| crate::io::http::environment_proxy(&target).is_some()) {
            return Vec::new();
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        vec![Self::Tcp(host, url.port_or_known_default().unwrap_or(443))]
    }
}

/// How something that was examined is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and not as well as it could.
    Odd,
    /// It does not work so.
    Bad,
}

/// One thing that was found out about the other end of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// How it is meant.
    pub verdict: Verdict,
    /// What was seen, one sentence.
    pub seen: String,
    /// What to do; empty when nothing.
    pub remedy: String,
}

impl Examined {
    /// It is as it should be.
    #[must_use]
    pub fn good(seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, seen: seen.into(), remedy: String::new() }
    }

    /// It works, and not as well as it could.
    #[must_use]
    pub fn odd(seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Odd, seen: seen.into(), remedy: remedy.into() }
    }

    /// It does not work so.
    #[must_use]
    pub fn bad(seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, seen: seen.into(), remedy: remedy.into() }
    }
}

/// The keys of one source of one kind, deserialised.
pub trait SourceConfig: fmt::Debug + Send + Sync {
    /// Checks values that types cannot: URLs, regular expressions, limits, contradictions. Looks at nothing outside.
    fn check(&self) -> Vec<Complaint>;

    /// Secrets it refers to, with their path, so that a missing one is told before anything starts.
    fn secrets(&self) -> Vec<(Vec<String>, &crate::io::secret::SecretRef)>;

    /// Whether it runs a command, and which: needs trust.
    fn commands(&self) -> Vec<Vec<String>> {
        Vec::new()
    }

    /// Whether it is another source when the configuration is trusted: it runs a command, or hands the environment's credentials out.
    fn heeds_trust(&self) -> bool {
        true
    }

    /// Whether its polls are short and measure time, so that nothing which parses may run beside them.
    fn is_timed(&self) -> bool {
        false
    }

    /// What must be there for it to work. `doctor` looks whether it is; it never asks anything of it.
    fn reaches(&self, context: &BuildContext) -> Vec<Reach> {
        let _ = context;
        Vec::new()
    }

    /// What stands at its other end beyond that it can be reached: which server answers, what a token may not do, which format a file has.
    /// `doctor` tells it. It may ask as a poll does, changes nothing, and runs no command but a trusted one that gives a secret.
    fn examine(&self, context: &BuildContext) -> BoxFuture<'_, Vec<Examined>> {
        let _ = context;
        Box::pin(async { Vec::new() })
    }

    /// The project whose packages it looks at, where they can be upgraded (`rounds upgrade`).
    fn project(&self, context: &BuildContext) -> Option<crate::actions::upgrade::Project> {
        let _ = context;
        None
    }

    /// The names of its saved queries, in order, where it has any.
    fn saved_queries(&self) -> Vec<String> {
        Vec::new()
    }

    /// What reads this source further back, where it is a log in files.
    ///
    /// # Errors
    /// When it cannot work at all here.
    fn past(&self, context: &BuildContext) -> Option<Result<Arc<dyn Past>, SourceError>> {
        let _ = context;
        None
    }

    /// Where copies of its data set are taken from: to restore one in a drill, to look into one, to let the tool check them.
    /// `None`: this kind is no backup, or has nothing to restore from.
    ///
    /// # Errors
    /// When it cannot work at all here.
    fn repository(&self, context: &BuildContext) -> Option<Result<Arc<dyn crate::backups::Repository>, SourceError>> {
        let _ = context;
        None
    }

    /// Makes the source. Called again after a panic.
    ///
    /// # Errors
    /// When it cannot work at all here; the source is then `unknown` with this error.
    fn build(&self, context: &BuildContext) -> Result<Built, SourceError>;

    /// What the engine knows of it, without building it (also for `config show` and paused sources).
    fn spec(&self, context: &BuildContext) -> SourceSpec;
}
