//! What `pgbackrest info` and `pgbackrest verify` print. Pure.
//!
//! Facts: pgBackRest's own sources, `src/command/info/info.c`, and version 2.45 as Debian has it: `info` exits with 0 whatever it finds
//! (a missing stanza, a repository that may not be read), and so does `verify`.

use chrono::DateTime;
use serde::Deserialize;

use crate::backups::judge::is_ahead;
use crate::domain::backup::{JobRun, Place};
use crate::domain::{Backup, Copy, Problem, SourceError, Timestamp};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: i64,
    message: String,
    lock: Locks,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Locks {
    backup: Held,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Held {
    held: bool,
}

#[derive(Debug, Deserialize)]
struct Repo {
    key: u64,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Database {
    id: i64,
    #[serde(rename = "repo-key")]
    repo_key: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Archive {
    min: Option<String>,
    max: Option<String>,
    database: Database,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wal {
    start: Option<String>,
    stop: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Times {
    start: i64,
    stop: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    size: Option<u64>,
    repository: Added,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Added {
    delta: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    label: String,
    #[serde(rename = "type", default)]
    sort: String,
    #[serde(default)]
    error: Option<bool>,
    timestamp: Times,
    #[serde(default)]
    archive: Wal,
    #[serde(default)]
    info: Info,
    #[serde(default)]
    database: Database,
}

#[derive(Debug, Deserialize)]
struct Stanza {
    name: String,
    status: Status,
    #[serde(default)]
    repo: Vec<Repo>,
    #[serde(default)]
    archive: Vec<Archive>,
    #[serde(default)]
    backup: Vec<Entry>,
}

/// Whether a name is a label of pgBackRest: nothing else is handed to it.
pub(super) fn is_label(text: &str) -> bool {
    text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'F' | b'D' | b'I'))
}

/// The repository that a copy is in, as its tags tell.
pub(super) fn repository_of(copy: &Copy) -> Option<u64> {
    copy.tags.iter().find_map(|tag| tag.strip_prefix("repo")?.parse().ok())
}

/// What is wrong with a backup's WAL: what it needs is not between the first and the last that the archive has.
fn wal_problem(entry: &Entry, archives: &[Archive]) -> Option<String> {
    let (start, stop) = (entry.archive.start.as_deref()?, entry.archive.stop.as_deref()?);
    let mut own = archives.iter().filter(|archive| archive.database.id == entry.database.id && archive.database.repo_key == entry.database.repo_key);
    let has = |archive: &Archive| match (archive.min.as_deref(), archive.max.as_deref()) {
        (Some(min), Some(max)) => min <= start && stop <= max,
        _ => false,
    };
    (!own.any(has)).then(|| format!("its WAL {start} to {stop} is not in the archive"))
}

fn copy(entry: &Entry, archives: &[Archive]) -> Option<Copy> {
    let at = |seconds: i64| DateTime::from_timestamp(seconds, 0);
    let problem = if entry.error == Some(true) { Some("page checksums are wrong".to_owned()) } else { wal_problem(entry, archives) };
    let mut tags = vec![format!("repo{}", entry.database.repo_key.max(1))];
    if let (Some(start), Some(stop)) = (&entry.archive.start, &entry.archive.stop) {
        tags.push(format!("wal {start}..{stop}"));
    }
    let kind = match entry.sort.as_str() {
        "incr" => "incremental",
        "diff" => "differential",
        other => other,
    };
    Some(Copy {
        name: entry.label.clone(),
        at: at(entry.timestamp.stop)?,
        started: at(entry.timestamp.start),
        size_bytes: entry.info.size,
        added_bytes: entry.info.repository.delta,
        kind: (!kind.is_empty()).then(|| kind.to_owned()),
        complete: problem.is_some().then_some(false),
        problem,
        tags,
        ..Copy::default()
    })
}

/// The data set as `info` tells of it, not yet judged, and the repositories that could not be looked at.
pub(super) fn info(json: &str, wanted: &str, now: Timestamp) -> Result<(Backup, Vec<Problem>), SourceError> {
    let odd = |what: &str| SourceError { remedy: "run `pgbackrest info --output=json` by hand as this user".to_owned(), ..SourceError::protocol(what) };
    let all: Vec<Stanza> = serde_json::from_str(json).map_err(|_| odd("pgbackrest printed no list of stanzas"))?;
    let stanza = all.into_iter().find(|stanza| stanza.name == wanted);
    let Some(stanza) = stanza else { return Err(odd("pgbackrest says nothing of this stanza")) };
    let (mut problems, mut complaints) = (Vec::new(), Vec::new());
    for repo in stanza.repo.iter().filter(|repo| repo.status.code != 0) {
        problems.push(Problem { subject: format!("repo{}", repo.key), message: repo.status.message.clone() });
    }
    let running = stanza.status.lock.backup.held;
    let copies: Vec<Copy> = stanza.backup.iter().filter_map(|entry| copy(entry, &stanza.archive)).collect();
    if copies.is_empty() {
        let said = problems.first().map_or(stanza.status.message.as_str(), |problem| problem.message.as_str());
        let message = format!("stanza {wanted}: {said}");
        return Err(match stanza.status.code {
            // The stanza or its data is not there, or holds no backup.
            1..=3 => SourceError::nothing(message, "check `stanza` and `config`, and that a backup ran; `pgbackrest stanza-create` makes a stanza"),
            0 => SourceError::nothing(format!("stanza {wanted} has no backup"), "run `pgbackrest backup`"),
            _ => SourceError::missing(message, "run `pgbackrest info` by hand as this user; `command` can put such as sudo before it"),
        });
    }
    // 4 is "different across repositories", which the places tell.
    if !matches!(stanza.status.code, 0 | 4) {
        complaints.push(format!("pgbackrest says: {}", stanza.status.message));
    }
    complaints.extend(problems.iter().map(|problem| format!("{}: {}", problem.subject, problem.message)));
    let counts = |copy: &&Copy| copy.complete != Some(false) && !is_ahead(copy.at, now);
    let newest = |key: u64| copies.iter().filter(counts).filter(|copy| repository_of(copy) == Some(key)).map(|copy| copy.at).max();
    let places = stanza.repo.iter().map(|repo| Place { name: format!("repo{}", repo.key), newest: newest(repo.key), same_machine: None }).collect();
    let added: Option<Vec<u64>> = copies.iter().map(|copy| copy.added_bytes).collect();
    let backup = Backup {
        tool: "pgbackrest".to_owned(),
        place: format!("stanza {wanted}"),
        snapshots: copies.len() as u64,
        repository_bytes: added.map(|added| added.iter().sum()),
        runs: if running { vec![JobRun::default()] } else { Vec::new() },
        copies,
        complaints,
        places,
        ..Backup::default()
    };
    Ok((backup, problems))
}

/// A repository whose newest copy is much older than the others': its jobs fail while those of another go on.
pub(super) fn behind(backup: &mut Backup, limit_s: u64, now: Timestamp) {
    for place in backup.places.iter().filter(|_| backup.places.len() > 1) {
        if place.newest.is_none_or(|at| (now - at).num_seconds() > i64::try_from(limit_s).unwrap_or(i64::MAX)) {
            backup.complaints.push(format!(
                "{} is behind: {}",
                place.name,
                place.newest.map_or_else(|| "no good copy".to_owned(), crate::domain::time::rfc3339)
            ));
        }
    }
}

/// Lines of a check that are told.
const FOUND: usize = 20;

/// What `verify` found, by the lines of its log that tell something bad. A backup without its manifest it takes for no error, and one of which
/// nothing is said was not looked at: so each of these labels has to be among what it calls valid, where it tells of them one by one.
pub(super) fn verified(log: &str, labels: &[String]) -> Result<Vec<String>, &'static str> {
    if !log.contains("verify command end: completed successfully") {
        return Err("pgbackrest verify did not tell that it ended");
    }
    let clean = |line: &str| line.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    let mut found: Vec<String> = log.lines().map(str::trim).filter(|line| is_bad(line)).take(FOUND).map(clean).collect();
    let told: Vec<&str> = log.lines().filter_map(|line| line.trim().strip_prefix("backup: ")?.split(',').next()).collect();
    if !told.is_empty() && log.contains("status: valid") {
        let unseen = labels.iter().filter(|label| !told.contains(&label.as_str()));
        found.extend(unseen.map(|label| format!("{label}: nothing is said of it")));
    }
    Ok(found)
}

/// Whether a line of its log tells something bad. Counts are told of what is well too, as 0.
fn is_bad(line: &str) -> bool {
    if let Some((_, status)) = line.strip_prefix("backup: ").and_then(|rest| rest.split_once("status: ")) {
        return !["valid", "in-progress"].contains(&status.split(',').next().unwrap_or_default());
    }
    let counted = |words: &str| {
        line.contains(words) && {
            let count = line.split(words).nth(1).unwrap_or_default().trim_start();
            !count.starts_with('0') || count[1..].starts_with(|c: char| c.is_ascii_digit())
        }
    };
    ["status: error", "none found", "file missing", "invalid checksum"].iter().any(|word| line.contains(word))
        || line.starts_with("No usable")
        || ["checksum invalid:", "size invalid:", "missing:", "other:"].into_iter().any(counted)
}
