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

/// What a failed check found: how many lines of it, and the first. `None`: it did not come to a verdict.
pub fn damage(lines: &[String], stdout: &str) -> Option<String> {
    let both = || lines.iter().map(String::as_str).chain(stdout.lines());
    if !both().any(|line| line.contains("repository contains errors") || line.contains("were found in the repo") || line.contains("num_errors")) {
        return None;
    }
    let found: Vec<&str> = lines.iter().map(|line| line.trim()).filter(|line| of_damage(line)).collect();
    // A line that ends with a colon goes on in the next one.
    let first = match found.as_slice() {
        [] => "the repository contains errors".to_owned(),
        [head, next, ..] if head.ends_with(':') => format!("{head} {next}"),
        [head, ..] => (*head).to_owned(),
    };
    let more = found.len().saturating_sub(1 + usize::from(found.first().is_some_and(|head| head.ends_with(':'))));
    Some(if more > 0 { format!("{first} (and {more} more lines)") } else { first })
}

/// Why restic refused: by its exit code from 0.17 on, by its words before.
pub fn refusal(code: Option<i32>, lines: &[String], place: &str) -> SourceError {
    let all = lines.join("\n").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| all.contains(word));
    // The first line that is fatal says what; what follows it is advice.
    // What it did not see coming it tells with its stack: then the first line is the one that says what.
    let is_stack = lines.iter().any(|line| line.starts_with("runtime/") || line.contains(".go:"));
    let other = if is_stack { lines.first() } else { lines.last() };
    let fatal = lines.iter().find_map(|line| line.strip_prefix("Fatal: ")).or(other.map(String::as_str)).unwrap_or_default();
    if has(&["permission denied", "access denied", "accessdenied"]) {
        return SourceError::auth(
            format!("{place} may not be read: {fatal}"),
            "let this user read it, or put `sudo` before it: `command = [\"sudo\", \"restic\"]`",
        );
    }
    if code == Some(12) || has(&["wrong password or no key found"]) {
        return SourceError::auth("the password of the repository is wrong", "correct `password`");
    }
    if has(&["an empty password is not a password", "unable to read password", "resolving password failed", "password is required"]) {
        return SourceError::auth("no password of the repository was given", "set `password`, or RESTIC_PASSWORD_FILE where restic runs");
    }
    if has(&[
        "connection refused",
        "no such host",
        "dial tcp",
        "connection timed out",
        "network is unreachable",
        "could not resolve",
        "unable to start the sftp",
    ]) || code == Some(255)
    {
        return SourceError::connect(format!("{place} is not reached: {fatal}"));
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
    if code == Some(10) || has(&["unable to open config file", "is there a repository at the following location", "repository does not exist"]) {
        return SourceError::missing(format!("there is no repository at {place}"), "correct `repository`; `restic init` makes one");
    }
    if code == Some(130) {
        return SourceError::protocol("restic was interrupted");
    }
    let said = if fatal.is_empty() { "restic failed and said nothing".to_owned() } else { format!("restic failed: {fatal}") };
    SourceError { remedy: "run restic by hand as this user, and look what it says".to_owned(), ..SourceError::protocol(said) }
}

/// Since when a lock that is not renewed is taken for left behind: restic itself takes half an hour.
pub const RENEWED_WITHIN_S: i64 = 1_800;

/// Whether the holder of a lock is gone. `runs`: whether a process runs here; `None` where it is another machine's.
pub fn is_stale(lock: &HeldLock, now: Timestamp, runs: Option<bool>) -> bool {
    (now - lock.time).num_seconds() > RENEWED_WITHIN_S || runs == Some(false)
}
