//! What restic prints: snapshots, locks, sizes, file lists, and why it refused. Pure.
//!
//! The forms are those of restic 0.9 to 0.18 (its `doc/075_scripting.rst`): before 0.17 every failure exits with 1 and only the text tells
//! which it was, and no snapshot tells its size.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::backups::kept::Measured;
use crate::backups::{Entry, tool};
use crate::domain::{Copy, SourceError, Timestamp};

/// Files of one folder that are listed.
const MOST_FILES: usize = 5_000;

/// One snapshot, as `restic snapshots --json` tells of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Snapshot {
    /// When its run began.
    pub time: DateTime<Utc>,
    /// What was backed up.
    #[serde(default)]
    pub paths: Option<Vec<String>>,
    /// The machine.
    #[serde(default)]
    pub hostname: String,
    /// Its tags.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// 64 hexadecimal digits.
    pub id: String,
    /// From 0.17 on.
    #[serde(default)]
    pub summary: Option<Summary>,
}

/// What the run that made a snapshot did.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Summary {
    /// When it began.
    #[serde(default)]
    pub backup_start: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(default)]
    pub backup_end: Option<DateTime<Utc>>,
    /// What it added, as stored.
    #[serde(default)]
    pub data_added_packed: Option<u64>,
    /// What it added.
    #[serde(default)]
    pub data_added: Option<u64>,
    /// The size of what was backed up.
    #[serde(default)]
    pub total_bytes_processed: Option<u64>,
}

impl Snapshot {
    /// The id as people write it.
    #[must_use]
    pub fn short(&self) -> &str {
        self.id.get(..8).unwrap_or(&self.id)
    }

    /// As a copy; a size that an old restic does not tell was measured by us.
    #[must_use]
    pub fn copy(&self, measured: Option<&Measured>) -> Copy {
        let summary = self.summary.as_ref();
        let ended = summary.and_then(|summary| summary.backup_end);
        Copy {
            name: self.short().to_owned(),
            at: ended.unwrap_or(self.time),
            size_bytes: summary.and_then(|summary| summary.total_bytes_processed).or_else(|| measured.and_then(|measured| measured.size)),
            started: ended.map(|_| summary.and_then(|summary| summary.backup_start).unwrap_or(self.time)),
            added_bytes: summary.and_then(|summary| summary.data_added_packed.or(summary.data_added)),
            host: Some(self.hostname.clone()).filter(|host| !host.is_empty()),
            tags: self.tags.clone().unwrap_or_default(),
            kind: Some("snapshot".to_owned()),
            ..Copy::default()
        }
    }
}

/// The first JSON document in what was printed; tools put words before it and after it.
fn document<'a, T: Deserialize<'a>>(stdout: &'a str) -> Result<Option<T>, SourceError> {
    let text = tool::json(stdout);
    if text.is_empty() {
        return Ok(None);
    }
    let mut all = serde_json::Deserializer::from_str(text).into_iter::<T>();
    match all.next() {
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(error)) => Err(SourceError::protocol(format!("restic's answer cannot be read: {}", tool::unreadable(&error)))),
        None => Ok(None),
    }
}

/// The snapshots, oldest first. Up to 0.10 none is `null`.
///
/// # Errors
/// When it is no list of snapshots.
pub fn snapshots(stdout: &str) -> Result<Vec<Snapshot>, SourceError> {
    let mut all: Vec<Snapshot> = match document(stdout)? {
        Some(all) => all,
        None if stdout.trim().lines().last().is_some_and(|line| line.trim() == "null") => Vec::new(),
        None => return Err(SourceError::protocol("restic printed no list of snapshots")),
    };
    all.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.id.cmp(&b.id)));
    Ok(all)
}

/// A lock, as `restic cat lock` tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HeldLock {
    /// When it was made or renewed: a living holder renews it every five minutes.
    pub time: DateTime<Utc>,
    /// Whether nobody else may use the repository.
    #[serde(default)]
    pub exclusive: bool,
    /// Where its holder runs.
    #[serde(default)]
    pub hostname: String,
    /// Its process there.
    #[serde(default)]
    pub pid: i32,
}

/// One lock.
pub fn lock(stdout: &str) -> Option<HeldLock> {
    document(stdout).ok().flatten()
}

/// The ids that a `restic list` printed, a line each.
pub fn ids(stdout: &str) -> Vec<String> {
    let is_id = |line: &&str| line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    stdout.lines().map(str::trim).filter(is_id).map(str::to_owned).collect()
}

/// What `restic stats --json` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Stats {
    /// In bytes: of the files, or with `raw-data` of the repository.
    pub total_size: u64,
}

/// Sizes.
pub fn stats(stdout: &str) -> Option<Stats> {
    document(stdout).ok().flatten()
}

#[derive(Debug, Deserialize)]
struct Node {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    mtime: Option<DateTime<Utc>>,
}

/// What lies directly in a folder, from the lines of `restic ls --json`, which tells of the folder itself too.
pub fn files(stdout: &str, under: &str) -> Vec<Entry> {
    let under = under.trim_matches('/');
    let mut all = Vec::new();
    // The first line is the snapshot, which has no path of its own.
    for node in stdout.lines().filter_map(|line| serde_json::from_str::<Node>(line).ok()) {
        let path = node.path.trim_start_matches('/');
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if parent == under && !name.is_empty() {
            all.push(Entry { path: path.to_owned(), folder: node.kind == "dir", size: node.size.filter(|_| node.kind == "file"), changed: node.mtime });
        }
        if all.len() >= MOST_FILES {
            break;
        }
    }
    all
}

/// Whether a line tells of damage that a check found.
fn of_damage(line: &str) -> bool {
    let noise =
        ["using temporary cache", "create exclusive lock", "load indexes", "check all packs", "check snapshots", "read all data", "Fatal: repository contains"];
    !line.is_empty() && !noise.iter().any(|start| line.starts_with(start)) && !line.contains("returned error, retrying")
}

/// What a line tells that restic tries again: which of its operations, without its bounds, and why. So all versions write it.
fn trying_again(line: &str) -> Option<(&str, &str)> {
    let (operation, rest) = line.split_once(" returned error, retrying after ")?;
    Some((operation, rest.split_once(": ").map_or("", |(_, why)| why)))
}

/// The operation that a line tells of as tried again.
pub fn trouble(line: &str) -> Option<&str> {
    trying_again(line).map(|(operation, _)| operation)
}

/// What restic tried again until it was ended, one line. `None`: it did not try again.
fn tried(lines: &[String]) -> Option<String> {
    lines.iter().rev().find_map(|line| trying_again(line)).map(|(operation, why)| format!("{operation}: {why}"))
}

/// Whether what is tried again is a file that a server does not have, or has with other bytes, and no bad line.
fn is_gone(tried: &str) -> bool {
    ["does not exist", "no such file", "(404)", "invalid data returned", "not found"].iter().any(|words| tried.to_lowercase().contains(words))
}

/// What a failed check found: how many lines of it, and the first. `None`: it did not come to a verdict. `here`: the repository is on this
/// machine, where what cannot be read is damage and no bad line.
pub fn damage(lines: &[String], stdout: &str, here: bool) -> Option<String> {
    const VERDICTS: [&str; 4] = ["repository contains errors", "were found in the repo", "num_errors", "LoadIndex returned errors"];
    let both = || lines.iter().map(String::as_str).chain(stdout.lines());
    let found: Vec<&str> = lines.iter().map(|line| line.trim()).filter(|line| of_damage(line)).collect();
    let tried = tried(lines).filter(|tried| here || is_gone(tried) || found.iter().any(|line| line.starts_with("pack ")));
    if tried.is_none() && !both().any(|line| VERDICTS.iter().any(|verdict| line.contains(verdict))) {
        return None;
    }
    // A line that ends with a colon goes on in the next one.
    let first = match found.as_slice() {
        [] => tried.unwrap_or_else(|| "the repository contains errors".to_owned()),
        [head, next, ..] if head.ends_with(':') => format!("{head} {next}"),
        [head, ..] => (*head).to_owned(),
    };
    let more = found.len().saturating_sub(1 + usize::from(found.first().is_some_and(|head| head.ends_with(':'))));
    Some(if more > 0 { format!("{first} (and {more} more lines)") } else { first })
}

/// Words of servers that do not know us, or not well enough: S3's codes as sentences, REST's status, ssh's refusals.
const REFUSED: [&str; 11] = [
    "access denied",
    "accessdenied",
    "access key id you provided does not exist",
    "request signature we calculated does not match",
    "invalid access key",
    "(401)",
    "(403)",
    "401 unauthorized",
    "403 forbidden",
    "permission denied (",
    "host key verification failed",
];

/// Words of a connection that does not come to be, or does not last.
const UNREACHED: [&str; 13] = [
    "connection refused",
    "no such host",
    "dial tcp",
    "connection timed out",
    "network is unreachable",
    "could not resolve",
    "unable to start the sftp",
    "connection reset",
    "no route to host",
    "i/o timeout",
    "tls handshake timeout",
    "connection lost",
    "context deadline exceeded",
];

/// Why restic refused: by its exit code from 0.17 on, by its words before. `here`: the repository is on this machine.
pub fn refusal(code: Option<i32>, lines: &[String], place: &str, here: bool) -> SourceError {
    let all = lines.join("\n").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| all.contains(word));
    // The first line that is fatal says what; what follows it is advice.
    // What it did not see coming it tells with its stack: then the first line is the one that says what.
    let is_stack = lines.iter().any(|line| line.starts_with("runtime/") || line.contains(".go:"));
    let other = if is_stack { lines.first() } else { lines.last() };
    // Before it, ssh says why there is no session.
    let ssh = lines.iter().find_map(|line| line.split_once("subprocess ssh: ")).map(|(_, line)| line.strip_prefix("ssh: ").unwrap_or(line));
    let fatal = lines.iter().find_map(|line| line.strip_prefix("Fatal: ")).or(other.map(String::as_str)).unwrap_or_default();
    let fatal = fatal.strip_prefix("unable to open config file: ").unwrap_or(fatal);
    let tried = tried(lines);
    let fatal = ssh.or(tried.as_deref()).unwrap_or(fatal);
    if !here && has(&REFUSED) {
        // Both write at once, and ssh's line may come in pieces.
        let says = |line: &str| REFUSED.iter().any(|words| line.to_lowercase().contains(words));
        let why = if says(fatal) { fatal } else { lines.iter().map(String::as_str).find(|line| says(line)).unwrap_or(fatal) };
        return SourceError::auth(
            format!("{place} refuses us: {why}"),
            "correct the name and password in `repository`, the keys of the service in `env`, or the key that ssh uses",
        );
    }
    if has(&["permission denied", "access denied", "accessdenied"]) {
        let remedy = if here {
            "let this user read it, or put `sudo` before it: `command = [\"sudo\", \"restic\"]`"
        } else {
            "let this user read it there, or name another one in `repository`"
        };
        return SourceError::auth(format!("{place} may not be read: {fatal}"), remedy);
    }
    if code == Some(12) || has(&["wrong password or no key found"]) {
        return SourceError::auth("the password of the repository is wrong", "correct `password`");
    }
    if has(&["an empty password is not a password", "unable to read password", "resolving password failed", "password is required"]) {
        return SourceError::auth("no password of the repository was given", "set `password`, or RESTIC_PASSWORD_FILE where restic runs");
    }
    if has(&UNREACHED) || code == Some(255) {
        let error = SourceError::connect(format!("{place} is not reached: {fatal}"));
        // What ssh says comes through only where restic lives a moment longer.
        let unheard = ssh.is_none() && has(&["unable to start the sftp"]);
        return if unheard { SourceError { remedy: "run `ssh` to that machine as this user, and look what it says".to_owned(), ..error } } else { error };
    }
    if code == Some(127) || has(&["command not found"]) {
        return SourceError::missing(format!("restic is not found there: {fatal}"), "install it where `command` runs it");
    }
    if code == Some(11) || has(&["already locked", "unable to create lock"]) {
        let by = lines.iter().find_map(|line| line.split_once("already locked").map(|(_, by)| by.trim().to_owned())).unwrap_or_default();
        let by = by.trim_end_matches(['.', ':']);
        return SourceError::nothing(
            format!("{place} is locked {by}").trim_end().to_owned(),
            "wait until it is done; `restic unlock` removes locks whose holder is gone",
        );
    }
    if has(&["bucket does not exist", "container does not exist", "container not found", "directory not found"]) {
        return SourceError::missing(format!("there is no repository at {place}: {fatal}"), "correct `repository`; `restic init` makes one");
    }
    let no_file = has(&["does not exist", "no such file", "not found", "doesn't exist", "(404)"]);
    if code == Some(10) || (no_file && has(&["unable to open config file", "is there a repository at the following location"])) {
        return SourceError::missing(format!("there is no repository at {place}"), "correct `repository`; `restic init` makes one");
    }
    if code == Some(130) {
        return SourceError::protocol("restic was interrupted");
    }
    let remedy = "run restic by hand as this user, and look what it says".to_owned();
    let said = match &tried {
        Some(tried) if !here && !is_gone(tried) => {
            return SourceError { remedy, ..SourceError::connect(format!("{place} does not answer as it should: {fatal}")) };
        }
        Some(_) => format!("restic gets no further: {fatal}"),
        None if fatal.is_empty() => "restic failed and said nothing".to_owned(),
        None => format!("restic failed: {fatal}"),
    };
    SourceError { remedy, ..SourceError::protocol(said) }
}

/// Since when a lock that is not renewed is taken for left behind: restic itself takes half an hour.
pub const RENEWED_WITHIN_S: i64 = 1_800;

/// Whether the holder of a lock is gone. `runs`: whether a process runs here; `None` where it is another machine's.
pub fn is_stale(lock: &HeldLock, now: Timestamp, runs: Option<bool>) -> bool {
    (now - lock.time).num_seconds() > RENEWED_WITHIN_S || runs == Some(false)
}
