//! What borg prints: archives, sizes, file lists, and why it refused. Pure. borgmatic prints the same documents in an array.
//!
//! The forms are those of borg 1.1 to 1.4 (its `docs/internals/frontends.rst`). Its times have no zone and are local to where it runs,
//! which is why it runs with `TZ=UTC`.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Deserializer};

use crate::backups::kept::Measured;
use crate::backups::{Entry, tool};
use crate::domain::{Copy, ErrorKind, SourceError, Timestamp};

/// Files of one folder that are listed.
const MOST_FILES: usize = 5_000;

/// One repository, as `borg list --json` and `borg info --json` tell of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Document {
    /// Its archives.
    #[serde(default)]
    pub archives: Vec<Archive>,
    /// The repository.
    pub repository: About,
    /// Sizes, of `info`.
    #[serde(default)]
    pub cache: Option<Cache>,
    /// What borg warned of meanwhile, where it ended with a warning.
    #[serde(skip)]
    pub warned: Option<String>,
}

/// The repository itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct About {
    /// Where it is.
    #[serde(default)]
    pub location: String,
    /// What borgmatic's configuration calls it.
    #[serde(default)]
    pub label: Option<String>,
}

/// What is known of its chunks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Cache {
    /// Sizes.
    #[serde(default)]
    pub stats: CacheStats,
}

/// Sizes of all chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CacheStats {
    /// What they take, each once.
    #[serde(default)]
    pub unique_csize: Option<u64>,
}

/// One archive.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Archive {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// When its run began.
    pub start: Timestamp,
    /// When it ended, of `info`.
    pub end: Option<Timestamp>,
    /// The machine, of `info`.
    pub hostname: Option<String>,
    /// Sizes, of `info`.
    pub stats: Option<Stats>,
}

/// An archive as it is written: a list has its time twice.
#[derive(Debug, Deserialize)]
struct Raw {
    name: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    start: Option<String>,
    #[serde(default)]
    time: Option<String>,
    #[serde(default, deserialize_with = "maybe_moment")]
    end: Option<Timestamp>,
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default)]
    stats: Option<Stats>,
}

impl TryFrom<Raw> for Archive {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let written = raw.start.as_deref().or(raw.time.as_deref()).unwrap_or_default();
        let start = read_moment(written).ok_or_else(|| format!("`{written}` is no time of an archive"))?;
        Ok(Self { name: raw.name, id: raw.id, start, end: raw.end, hostname: raw.hostname, stats: raw.stats })
    }
}

/// Sizes of one archive.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Stats {
    /// Of what was backed up.
    #[serde(default)]
    pub original_size: Option<u64>,
    /// What this archive alone holds.
    #[serde(default)]
    pub deduplicated_size: Option<u64>,
}

/// A time without a zone is UTC; newer versions may write one.
fn read_moment(text: &str) -> Option<Timestamp> {
    let zoned = DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc));
    zoned.or_else(|| text.parse::<NaiveDateTime>().ok().map(|at| at.and_utc()))
}

fn maybe_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.as_deref().and_then(read_moment))
}

impl Archive {
    /// Whether it is what an interrupted run left: no copy.
    #[must_use]
    pub fn is_checkpoint(&self) -> bool {
        let Some((_, rest)) = self.name.rsplit_once(".checkpoint") else { return false };
        rest.is_empty() || rest.strip_prefix('.').is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// What a look at it found.
    #[must_use]
    pub fn measured(&self, newest: bool) -> Measured {
        let stats = self.stats.as_ref();
        Measured {
            size: stats.and_then(|stats| stats.original_size),
            // Of an older one it is what no other archive holds any more, not what it added.
            added: stats.filter(|_| newest).and_then(|stats| stats.deduplicated_size),
            ended: self.end.map(|end| end.timestamp()),
            host: self.hostname.clone(),
        }
    }

    /// As a copy, with what was measured of it.
    #[must_use]
    pub fn copy(&self, measured: Option<&Measured>) -> Copy {
        let ended = measured.and_then(|measured| measured.ended).and_then(|ended| DateTime::from_timestamp(ended, 0));
        Copy {
            name: self.name.clone(),
            at: ended.unwrap_or(self.start),
            size_bytes: measured.and_then(|measured| measured.size),
            started: ended.map(|_| self.start),
            added_bytes: measured.and_then(|measured| measured.added),
            host: measured.and_then(|measured| measured.host.clone()),
            kind: Some("archive".to_owned()),
            ..Copy::default()
        }
    }
}

/// The first document in what was printed, in an array or alone: borgmatic prints one for each repository.
///
/// # Errors
/// When it is none.
pub fn documents(stdout: &str, who: &str) -> Result<Vec<Document>, SourceError> {
    let text = tool::json(stdout);
    let wrong = |error: serde_json::Error| SourceError::protocol(format!("{who}'s answer cannot be read: {}", tool::unreadable(&error)));
    if text.starts_with('[') {
        return match serde_json::Deserializer::from_str(text).into_iter::<Vec<Document>>().next() {
            Some(all) => all.map_err(wrong),
            None => Err(SourceError::protocol(format!("{who} printed nothing"))),
        };
    }
    match serde_json::Deserializer::from_str(text).into_iter::<Document>().next() {
        Some(one) => one.map(|one| vec![one]).map_err(wrong),
        None => Err(SourceError::protocol(format!("{who} printed no list of archives"))),
    }
}

#[derive(Debug, Deserialize)]
struct Item {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default, deserialize_with = "maybe_moment")]
    mtime: Option<Timestamp>,
}

/// What lies directly in a folder, from the lines of `borg list --json-lines`, which may tell of deeper ones only: the folders above what
/// was backed up are not in an archive.
pub fn files(stdout: &str, under: &str) -> Vec<Entry> {
    let under = under.trim_matches('/');
    let mut all: Vec<Entry> = Vec::new();
    for item in stdout.lines().filter_map(|line| serde_json::from_str::<Item>(line).ok()) {
        let path = item.path.trim_start_matches('/');
        let below = if under.is_empty() { Some(path) } else { path.strip_prefix(under).and_then(|rest| rest.strip_prefix('/')) };
        let Some(below) = below.filter(|below| !below.is_empty()) else { continue };
        match below.split_once('/') {
            None => {
                let entry = Entry { path: path.to_owned(), folder: item.kind == "d", size: item.size.filter(|_| item.kind == "-"), changed: item.mtime };
                match all.iter_mut().find(|other| other.folder && other.path == entry.path) {
                    Some(other) => *other = entry,
                    None => all.push(entry),
                }
            }
            Some((first, _)) => {
                let folder = path[..path.len() - below.len() + first.len()].to_owned();
                // Names of one folder come together.
                if !all.iter().rev().take(50).any(|other| other.path == folder) {
                    all.push(Entry { path: folder, folder: true, size: None, changed: None });
                }
            }
        }
        if all.len() >= MOST_FILES {
            break;
        }
    }
    all
}

/// A text within a regular expression of Python's that stands for itself.
pub fn escaped(text: &str) -> String {
    let special = |c: char| !(c.is_alphanumeric() || c == '_' || c == '/' || c.is_whitespace());
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain(std::iter::once(c))).collect()
}

/// What a failed check found. `None`: it did not come to a verdict.
pub fn damage(lines: &[String]) -> Option<String> {
    let words = ["errors found", "integrity error", "Integrity error", "not found", "missing", "corrupt"];
    if !lines.iter().any(|line| words.iter().any(|word| line.contains(word))) {
        return None;
    }
    let summary = |line: &&String| line.starts_with("Finished ") || line.starts_with("Archive consistency check complete");
    let found: Vec<&String> = lines.iter().filter(|line| !summary(line) && !line.starts_with("Starting ") && !line.starts_with("ID:")).collect();
    let first = found.first().map_or("errors were found", |line| line.as_str());
    Some(if found.len() > 1 { format!("{first} (and {} more lines)", found.len() - 1) } else { first.to_owned() })
}

/// What is told of a borg that is too new, its beta being another one every few months. `what`: what tells of it.
fn too_new(what: &str) -> SourceError {
    SourceError::config(
        format!("borg 2 is not supported yet: {what}, and repositories of borg 1.1 to 1.4 are read"),
        "let `command` call a borg 1 where the repository is one of borg 1, or let a command tell of the copies: kind `backup_command`",
    )
}

/// Whether `borg --version` tells of one that answers otherwise: why that is no use.
pub fn not_supported(version: &str) -> Option<SourceError> {
    let number: String = version.split_whitespace().last()?.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').take(20).collect();
    let major: u32 = number.split('.').next()?.parse().ok()?;
    (major >= 2).then(|| too_new(&format!("this is {number}")))
}

/// Why borg refused, by the names of its messages, and where it has none by their words.
pub fn refusal(code: Option<i32>, named: &[(String, String)], lines: &[String], place: &str) -> SourceError {
    let all = lines.join("\n").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| all.contains(word));
    let is = |names: &[&str]| named.iter().any(|(name, _)| names.contains(&name.as_str()));
    let said = named.iter().rev().map(|(_, message)| message.as_str()).find(|message| !message.is_empty() && *message != "Local Exception");
    // The last line of a traceback says what; what follows is about the machine.
    let exception = lines.iter().rev().find(|line| line.split_once(": ").is_some_and(|(name, _)| name.ends_with("Error") || name.ends_with("Exception")));
    let said = said.or(exception.map(String::as_str)).or(lines.last().map(String::as_str)).unwrap_or("it said nothing");
    // What ssh and the other machine say, where borg only knows that nobody answers.
    let away =
        |words: &[&str]| lines.iter().filter_map(|line| line.strip_prefix("Remote: ")).find(|line| words.iter().any(|word| line.to_lowercase().contains(word)));
    if let Some(why) = away(&["permission denied (", "host key verification failed", "no matching host key"]) {
        return SourceError::auth(
            format!("{place} refuses us: {why}"),
            "give ssh a key and a host that both sides know: BORG_RSH in `env`; try it by hand as this user",
        );
    }
    if let Some(why) = away(&["command not found", "borg: not found", "borg: no such file"]) {
        return SourceError::missing(format!("borg is not found on the machine of {place}: {why}"), "install it there, or name it: BORG_REMOTE_PATH in `env`");
    }
    if has(&["repository version 2 is not supported", "repository version 3 is not supported"]) {
        return too_new(&format!("{place} is one of its repositories"));
    }
    if has(&["permission denied"]) && !has(&["permission denied (publickey"]) {
        return SourceError::auth(
            format!("{place} may not be read: {said}"),
            "let this user read it, or put `sudo` before it: `command = [\"sudo\", \"borg\"]`",
        );
    }
    if is(&["PassphraseWrong"]) || has(&["passphrase supplied in", "is incorrect"]) {
        return SourceError::auth("the passphrase of the repository is wrong, or none was given", "correct `passphrase`");
    }
    if is(&["NoPassphraseFailure", "PasscommandFailure", "KeyfileNotFoundError", "RepoKeyNotFoundError", "KeyfileMismatchError"]) {
        return SourceError::auth(format!("the key of {place} cannot be used: {said}"), "correct `passphrase`, or give borg its key file");
    }
    if is(&["Cache.RepositoryAccessAborted"]) || has(&["repository access aborted"]) {
        return SourceError::config(
            format!("{place} was somewhere else before, and borg asks whether that is right"),
            "look whether it is the right one, then run `borg list` there once and answer yes",
        );
    }
    if is(&["Cache.CacheInitAbortedError"]) || has(&["cache initialization aborted"]) {
        return SourceError::config(
            format!("{place} is not encrypted and not known here, and borg asks whether that is right"),
            "run `borg list` there once and answer yes, or set BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK in `env`",
        );
    }
    if is(&["LockTimeout", "LockError", "LockErrorT", "LockFailed"]) || has(&["failed to create/acquire the lock"]) {
        return SourceError::nothing(format!("{place} is locked"), "wait until it is done; `borg break-lock` removes a lock whose holder is gone");
    }
    if is(&["ConnectionClosed", "ConnectionClosedWithHint", "ConnectionBrokenWithHint"])
        || has(&["connection refused", "could not resolve"])
        || code == Some(255)
    {
        let why = lines.iter().find(|line| line.contains("ssh: ") || line.starts_with("Remote: ")).map_or(said, String::as_str);
        let why = why.strip_prefix("Remote: ").unwrap_or(why);
        let why = why.strip_prefix("ssh: ").unwrap_or(why);
        let error = SourceError::connect(format!("{place} is not reached: {why}"));
        // What ssh says comes through only where borg lives a moment longer.
        let unheard = !lines.iter().any(|line| line.starts_with("Remote: "));
        let remedy = "run `ssh` to that machine as this user, and look what it says".to_owned();
        return if unheard { SourceError { remedy, ..error } } else { error };
    }
    if is(&["Repository.DoesNotExist", "Repository.ParentPathDoesNotExist", "Repository.PathPermissionDenied"]) || has(&["does not exist."]) {
        return SourceError::missing(format!("there is no repository at {place}"), "correct `repository`; `borg init` makes one");
    }
    if is(&["Repository.InvalidRepository"]) || has(&["is not a valid repository"]) {
        return SourceError::missing(format!("{place} is no borg repository, or lost its config"), "correct `repository`, or look at the repository by hand");
    }
    if code == Some(127) || has(&["command not found"]) {
        return SourceError::missing(format!("borg is not found there: {said}"), "install it where `command` runs it");
    }
    let remedy = "run borg by hand as this user, and look what it says".to_owned();
    SourceError { remedy, ..SourceError::protocol(format!("borg failed: {said}")) }
}

/// Whether borg did what it was asked to: 1, and 100 to 127 where it tells more, are warnings.
pub fn is_done(code: Option<i32>) -> bool {
    matches!(code, Some(0 | 1 | 100..=126))
}

/// Whether an error looks like damage, not like somebody in the way.
pub fn is_damage(error: &SourceError) -> bool {
    error.kind == ErrorKind::Protocol
}
