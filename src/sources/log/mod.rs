//! Log files, or the output of a command: followed, counted by level and minute, errors grouped, delivered in batches.
//!
//! | file | what |
//! | --- | --- |
//! | `follow`, `desk` | following files, and the thread for it |
//! | `command` | following a command |
//! | `digest` | bytes to events |
//! | `head`, `objects`, `forms`, `stamp`, `trace` | the beginning of a line in each form, its time, tracebacks |
//! | `text` | bytes as text |
//! | `access` | the request a line tells of |
//! | `past` | older events, read back from the files |
//! | `service` | the newest example of an error, and what a person can do to it |
//! | `stack` | what a traceback says, whole, also of other languages |
//! | `group` | which errors are the same |
//! | `tally` | counts, groups, newest events, batches |
//!
//! What does not belong here: judging how many errors are too many (`rules`), keeping lines (nobody does: they are in the files).

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::sync::mpsc;

use super::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Examined, Past, Reach, Source, SourceConfig, SourceSpec};
use crate::config::value::{Dur, Size};
use crate::domain::{Capability, Data, LogBatch, LogLimits, Observation, Problem, SourceError};
use crate::io::clock;
use crate::io::secret::SecretRef;
use crate::io::tail::{self, Position};

pub mod access;
mod command;
mod desk;
pub mod digest;
mod follow;
mod forms;
pub mod group;
pub mod head;
pub mod objects;
pub mod past;
pub mod service;
mod shape;
pub mod stack;
pub mod stamp;
pub mod tally;
pub mod text;
pub mod trace;

#[cfg(test)]
mod servers;
#[cfg(test)]
mod tests;

/// How long the first look may take, so that one pass sees counts.
const FIRST_LOOK: Duration = Duration::from_millis(300);
/// How long the reading may say nothing at all.
const MUTE: Duration = Duration::from_secs(25);
/// Batches that may wait for their taker.
const WAITING: usize = 2;

/// What the groups of `pattern` may be called. The last three make requests of the lines.
const GROUPS: [&str; 6] = ["time", "level", "message", "status", "path", "duration"];

/// One text or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(untagged)]
pub enum OneOrMany {
    /// Not set.
    #[default]
    #[schemars(skip)]
    None,
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn list(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(one) => vec![one.clone()],
            Self::Many(many) => many.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Both;
        impl<'de> Visitor<'de> for Both {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E>(self, one: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(one.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(one) = list.next_element()? {
                    many.push(one);
                }
                Ok(OneOrMany::Many(many))
            }
        }
        deserializer.deserialize_any(Both)
    }
}

/// What is expected of the requests that an access log tells of, over the last five minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Most 5xx of all requests, in percent: `{ warning = 1, critical = 5 }`.
    #[serde(default)]
    pub errors: Option<Percent>,
    /// Most for the 95th percentile of durations: `{ warning = "500ms", critical = "2s" }`.
    #[serde(default)]
    pub latency: Option<Slow>,
}

/// Percentages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Percent {
    /// Over this it is a warning.
    #[serde(default)]
    pub warning: Option<f64>,
    /// Over this it is critical.
    #[serde(default)]
    pub critical: Option<f64>,
}

/// Durations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    /// Over this it is a warning.
    #[serde(default)]
    pub warning: Option<Dur>,
    /// Over this it is critical.
    #[serde(default)]
    pub critical: Option<Dur>,
}

/// Keys of a log source. Either `path` or `command`.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A file, a glob, or a list of them. Relative ones are below the site's `directory`.
    #[serde(default)]
    #[schemars(extend("default" = null))]
    pub path: OneOrMany,
    /// A command that prints the log and keeps running, as a list: `["ssh", "web1", "tail", "-n0", "-F", "/var/log/app.log"]`.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// `auto` (default), `django`, `verbose`, `python`, `gunicorn`, `json`, `access`, `syslog`, `logfmt`, `nginx`, `apache`, `journald`,
    /// `heroku` or `plain`.
    #[serde(default)]
    pub format: Option<String>,
    /// A regular expression for lines of another format, with the named groups `time`, `level` and `message`, for requests also `status`, `path`
    /// and `duration`.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Zone of time stamps that name none, such as `Europe/Berlin`; default the site's, else the machine's.
    #[serde(default)]
    pub zone: Option<String>,
    /// Regular expressions whose matches are masked before anything is stored or shown.
    #[serde(default)]
    pub redact: Vec<String>,
    /// What a duration without a unit means in an access log: `auto` (default: with a point seconds, without microseconds), `s`, `ms` or `us`.
    #[serde(default)]
    pub duration: access::Unit,
    /// What is expected of the requests in an access log; nothing when not given.
    #[serde(default)]
    pub expect: Expect,
    /// How long the log may be without a line; default its own rhythm, once a day of it is known.
    #[serde(default)]
    pub silence: Option<Dur>,
    /// From which size on a file that never rotates is a warning; default `1GiB`.
    #[serde(default)]
    pub max_size: Option<Size>,
    /// Paths whose frames in a traceback count as the application's own; default all but installed packages.
    #[serde(default)]
    pub project: OneOrMany,
    /// How far the log was read, for when the source is built anew.
    #[serde(skip)]
    memory: Arc<Mutex<Memory>>,
}

/// How far a source has delivered, so that one built anew neither loses nor doubles a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Whether there was a first look.
    begun: bool,
    positions: HashMap<PathBuf, Position>,
    files: Vec<String>,
}

/// How lines are read: the configuration, compiled.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One family only.
    pub family: Option<head::Family>,
    /// Lines of another format.
    pub pattern: Option<regex::bytes::Regex>,
    /// Of stamps without one.
    pub zone: stamp::Zone,
    /// What is masked.
    pub redact: Vec<regex::Regex>,
    /// Paths of the application.
    pub project: Vec<String>,
    /// What a duration without a unit means.
    pub unit: access::Unit,
    /// What is expected; `None`: nothing.
    pub limits: Option<LogLimits>,
}

impl Default for Settings {
    fn default() -> Self {
        let (redact, project) = (Vec::new(), Vec::new());
        Self { family: None, pattern: None, zone: stamp::Zone::Machine, redact, project, unit: access::Unit::Auto, limits: None }
    }
}

impl Settings {
    /// The text with what is to be masked masked.
    #[must_use]
    pub fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for pattern in &self.redact {
            if let std::borrow::Cow::Owned(masked) = pattern.replace_all(&text, "***") {
                text = masked;
            }
        }
        text
    }

    /// Whether the pattern names the status of requests.
    fn pattern_requests(&self) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.capture_names().flatten().any(|name| name == "status"))
    }
}

/// What the fuzzer runs: any bytes, whole and in pieces, give the same counts.
///
/// # Panics
/// When they do not, or when a parser does.
pub fn fuzz(bytes: &[u8]) {
    let seen = crate::domain::Timestamp::UNIX_EPOCH;
    let read = |size: usize| {
        let mut tally = tally::Tally::new(Settings { zone: stamp::Zone::Named(chrono_tz::UTC), ..Settings::default() }, 100);
        let mut stream = digest::Stream::new(0, false).at((1, 1), 0);
        for piece in bytes.chunks(size.max(1)) {
            stream.feed(piece, seen, &mut tally);
        }
        stream.end(seen, &mut tally);
        tally.take(&[], seen)
    };
    let (whole, pieces) = (read(bytes.len()), read(7));
    assert_eq!((whole.lines, &whole.levels, &whole.events), (pieces.lines, &pieces.levels, &pieces.events));
}

/// One batch and what is known with it.
#[derive(Debug)]
pub struct Delivery {
    batch: LogBatch,
    problems: Vec<Problem>,
    memory: Memory,
}

fn complaint(path: &[&str], message: String, help: &str) -> Complaint {
    Complaint { path: path.iter().map(ToString::to_string).collect(), message, help: help.to_owned(), warning: false }
}

/// The first line of a regular expression's error that says what is wrong.
fn regex_error(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or("it cannot be read").to_owned()
}

impl Config {
    fn settings(&self, context: &BuildContext) -> Result<Settings, SourceError> {
        let wrong = |complaint: &Complaint| SourceError::config(complaint.message.clone(), complaint.help.clone());
        if let Some(first) = self.check().iter().find(|complaint| !complaint.warning) {
            return Err(wrong(first));
        }
        let family = self.format.as_deref().and_then(|name| head::Family::NAMED.into_iter().find(|(known, _)| *known == name));
        let zone = self.zone.as_deref().and_then(|zone| zone.parse().ok()).or(context.zone);
        Ok(Settings {
            family: family.map(|(_, family)| family),
            pattern: self.pattern.as_deref().and_then(|pattern| regex::bytes::Regex::new(pattern).ok()),
            zone: zone.map_or(stamp::Zone::Machine, stamp::Zone::Named),
            redact: self.redact.iter().filter_map(|pattern| regex::Regex::new(pattern).ok()).collect(),
            project: self.project.list().iter().map(|path| context.base.join(path).display().to_string()).collect(),
            unit: self.duration,
            limits: self.limits(),
        })
    }

    /// What is expected, where anything is.
    fn limits(&self) -> Option<LogLimits> {
        let ms = |limit: Option<Dur>| limit.map(|limit| limit.0.as_secs_f64() * 1e3);
        let share = |limit: Option<f64>| limit.map(|percent| percent / 100.0);
        let limits = LogLimits {
            errors: self.expect.errors.map_or((None, None), |limits| (share(limits.warning), share(limits.critical))),
            p95_ms: self.expect.latency.map_or((None, None), |limits| (ms(limits.warning), ms(limits.critical))),
            silence_s: self.silence.map(|limit| limit.0.as_secs()),
            size_bytes: self.max_size.map(Size::bytes),
        };
        (limits != LogLimits::default()).then_some(limits)
    }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all = Vec::new();
        let paths = self.path.list();
        match (&self.path, &self.command) {
            (OneOrMany::None, None) => all.push(complaint(&[], "a log needs `path` or `command`".into(), "set `path` to the log file")),
            (OneOrMany::One(_) | OneOrMany::Many(_), Some(_)) => {
                all.push(complaint(&["command"], "a log has `path` or `command`, not both".into(), "make two sources of it"));
            }
            (OneOrMany::Many(list), None) if list.is_empty() => all.push(complaint(&["path"], "the list is empty".into(), "name a file")),
            (OneOrMany::None, Some(command)) if command.first().is_none_or(String::is_empty) => {
                all.push(complaint(&["command"], "the command is empty".into(), "write it as a list: [\"ssh\", \"web1\", \"tail\", \"-F\", \"app.log\"]"));
            }
            _ => {}
        }
        for path in &paths {
            if path.is_empty() {
                all.push(complaint(&["path"], "the path is empty".into(), "name a file"));
            } else if let Err(reason) = tail::check_glob(path)
                && tail::is_glob(path)
            {
                all.push(complaint(&["path"], format!("\"{path}\" is not a glob: {reason}"), "write [[] for a bracket that is part of a name"));
            }
        }
        if let Some(format) = &self.format
            && format != "auto"
            && !head::Family::NAMED.iter().any(|(name, _)| name == format)
        {
            let names: Vec<&str> = head::Family::NAMED.iter().map(|(name, _)| *name).collect();
            all.push(complaint(&["format"], format!("there is no format \"{format}\""), &format!("one of auto, {}", names.join(", "))));
        }
        if let Some(pattern) = &self.pattern {
            match regex::bytes::Regex::new(pattern) {
                Err(error) => all.push(complaint(&["pattern"], format!("not a regular expression: {}", regex_error(&error)), "")),
                Ok(pattern) => {
                    let names: Vec<&str> = pattern.capture_names().flatten().collect();
                    if let Some(odd) = names.iter().find(|name| !GROUPS.contains(name)) {
                        let help = format!("the groups are {}", GROUPS.join(", "));
                        all.push(complaint(&["pattern"], format!("the group \"{odd}\" means nothing"), &help));
                    }
                    if names.is_empty() {
                        all.push(complaint(&["pattern"], "no named group".into(), "name the parts: (?<time>…), (?<level>…), (?<message>…)"));
                    }
                    if self.format.as_deref().is_some_and(|format| format != "auto") {
                        all.push(complaint(&["pattern"], "`format` and `pattern` exclude each other".into(), "leave `format` out"));
                    }
                }
            }
        }
        if let Some(errors) = self.expect.errors {
            for (key, limit) in [("warning", errors.warning), ("critical", errors.critical)] {
                if limit.is_some_and(|limit| !(0.0..=100.0).contains(&limit)) {
                    all.push(complaint(&["expect", "errors", key], "a percentage is between 0 and 100".into(), "write 5 for 5 %"));
                }
            }
            if let (Some(warning), Some(critical)) = (errors.warning, errors.critical)
                && warning > critical
            {
                all.push(complaint(&["expect", "errors", "critical"], "critical is below warning".into(), "swap them"));
            }
        }
        if let Some(latency) = self.expect.latency
            && let (Some(warning), Some(critical)) = (latency.warning, latency.critical)
            && warning.0 > critical.0
        {
            all.push(complaint(&["expect", "latency", "critical"], "critical is below warning".into(), "swap them"));
        }
        if self.silence.is_some_and(|limit| limit.0.is_zero()) {
            all.push(complaint(&["silence"], "no time at all is always over".into(), "leave it out, or write \"15m\""));
        }
        if let Some(zone) = &self.zone
            && zone.parse::<chrono_tz::Tz>().is_err()
        {
            all.push(complaint(&["zone"], format!("there is no zone \"{zone}\""), "write it as \"Europe/Berlin\" or \"UTC\""));
        }
        for pattern in &self.redact {
            if let Err(error) = regex::Regex::new(pattern) {
                all.push(complaint(&["redact"], format!("\"{pattern}\" is not a regular expression: {}", regex_error(&error)), ""));
            }
        }
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        Vec::new()
    }

    fn commands(&self) -> Vec<Vec<String>> {
        self.command.iter().cloned().collect()
    }

    fn reaches(&self, context: &BuildContext) -> Vec<Reach> {
        self.path.list().into_iter().map(|path| Reach::Files(context.base.join(path))).collect()
    }

    fn examine(&self, context: &BuildContext) -> BoxFuture<'_, Vec<Examined>> {
        let built = if self.command.is_some() { None } else { Some(self.build(context)) };
        Box::pin(async move {
            let collected = match built {
                // It is not run for this.
                None => return Vec::new(),
                Some(Err(error)) => Err(error),
                Some(Ok(mut built)) => {
                    tokio::time::timeout(built.spec.timeout, built.source.collect()).await.unwrap_or_else(|_| Err(SourceError::timeout(MUTE)))
                }
            };
            match collected {
                Ok(collected) => formats(&collected),
                // That no file can be read is told already.
                Err(_) => Vec::new(),
            }
        })
    }

    fn past(&self, context: &BuildContext) -> Option<Result<Arc<dyn Past>, SourceError>> {
        if self.command.is_some() {
            return None;
        }
        Some(self.settings(context).map(|settings| -> Arc<dyn Past> { Arc::new(past::Reader::new(self.path.list(), context.base.clone(), settings)) }))
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        let settings = self.settings(context)?;
        if self.command.is_some() && !context.trusted {
            return Err(SourceError::config(
                "this configuration was found in the working directory and may not run commands yet",
                "read it, then run `rounds trust`",
            ));
        }
        let book = service::BookService { state: context.state.clone(), project: settings.project.clone() };
        let from = match &self.command {
            Some(argv) => From::Command(argv.clone()),
            None => From::Files(self.path.list()),
        };
        let source = LogSource { from, base: context.base.clone(), settings, memory: Arc::clone(&self.memory), following: None };
        Ok(Built { spec: self.spec(context), source: Box::new(source), service: Some(Arc::new(book)) })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        let target = self.command.as_ref().map_or_else(|| self.path.list().join(", "), |argv| argv.join(" "));
        SourceSpec {
            retry_every: Duration::from_secs(2),
            continuous: true,
            ..SourceSpec::of(context, Capability::Log, Duration::from_secs(30), Duration::from_secs(10), target)
        }
    }
}

/// How many files of one source `doctor` names.
const EXAMINED: usize = 12;

/// How each file is read, by what its last lines look like.
fn formats(collected: &Collected) -> Vec<Examined> {
    let Some(batch) = collected.observations.iter().find_map(|one| if let Data::Log(batch) = &one.data { Some(batch) } else { None }) else {
        return Vec::new();
    };
    let name = |file: &crate::domain::LogFile| batch.files.get(usize::from(file.file)).cloned().unwrap_or_default();
    let one = |file: &crate::domain::LogFile| match file.format.as_str() {
        "" => Examined::odd(format!("{} has no line yet, so its format is not known", name(file)), ""),
        "plain" => Examined::odd(
            format!("{} is read as plain text: its lines name neither time nor level", name(file)),
            "give a `pattern` if they do in a way that is not recognised",
        ),
        format => Examined::good(format!("{} is read as {format}", name(file))),
    };
    let mut all: Vec<Examined> = batch.about.iter().take(EXAMINED).map(one).collect();
    if batch.about.len() > EXAMINED {
        all.push(Examined::good(format!("and {} more files", batch.about.len() - EXAMINED)));
    }
    all
}

#[derive(Debug, Clone)]
enum From {
    Files(Vec<String>),
    Command(Vec<String>),
}

impl From {
    fn words(&self) -> String {
        match self {
            Self::Files(patterns) => patterns.join(", "),
            Self::Command(argv) => argv.join(" "),
        }
    }
}

/// What is being followed; dropping it stops that.
#[derive(Debug)]
struct Following {
    batches: mpsc::Receiver<Result<Delivery, SourceError>>,
    _files: Option<desk::Handle>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[derive(Debug)]
struct LogSource {
    from: From,
    base: PathBuf,
    settings: Settings,
    memory: Arc<Mutex<Memory>>,
    following: Option<Following>,
}

impl LogSource {
    fn begin(&self) -> Result<Following, SourceError> {
        let (to, batches) = mpsc::channel(WAITING);
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match &self.from {
            From::Files(patterns) => {
                let order = follow::Order { patterns: patterns.clone(), base: self.base.clone(), settings: self.settings.clone(), memory, to };
                Ok(Following { batches, _files: Some(desk::follow(order)?), task: None })
            }
            From::Command(argv) => {
                let work = command::follow(argv.clone(), self.base.clone(), self.settings.clone(), memory.begun, to);
                Ok(Following { batches, _files: None, task: Some(tokio::spawn(work)) })
            }
        }
    }
}

impl Source for LogSource {
    fn cadence(&self) -> Cadence {
        Cadence::Continuous
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(async move {
            let first = self.following.is_none();
            if first {
                self.following = Some(self.begin()?);
            }
            let Some(following) = &mut self.following else { return Ok(Collected::default()) };
            let received = if first {
                match tokio::time::timeout(FIRST_LOOK, following.batches.recv()).await {
                    Ok(received) => received,
                    // Nothing was looked at yet, and nothing is said.
                    Err(_) => return Ok(Collected::default()),
                }
            } else if let Ok(received) = tokio::time::timeout(MUTE, following.batches.recv()).await {
                received
            } else {
                // The thread says something each ten seconds, whatever happens: it hangs in a file system.
                self.following = None;
                let message = format!("reading {} hangs", self.from.words());
                return Err(SourceError { message, remedy: "look at the mount: `df` on it may hang as well".to_owned(), ..SourceError::timeout(MUTE) });
            };
            match received {
                Some(Ok(delivery)) => {
                    // Delivered: from here on a source built anew begins after it.
                    *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = delivery.memory;
                    let observation = Observation { at: clock::now(), data: Data::Log(delivery.batch) };
                    Ok(Collected { observations: vec![observation], problems: delivery.problems, complete: false })
                }
                Some(Err(error)) => {
                    self.memory.lock().unwrap_or_else(PoisonError::into_inner).begun = true;
                    self.following = None;
                    Err(error)
                }
                None => {
                    self.following = None;
                    Err(SourceError::protocol("following the log stopped"))
                }
            }
        })
    }
}
