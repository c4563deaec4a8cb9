//! One look at the data set: what the listing of every repository says, and what is measured now and then.

use super::client::{Client, best};
use super::log;
use crate::backups::caller::Open;
use crate::backups::disk::Disk;
use crate::backups::judge::{self, is_ahead};
use crate::backups::kept::Kept;
use crate::backups::look::{Looked, PATIENCE, Time, runs};
use crate::backups::places::place;
use crate::backups::{disk, growth, joblog, tool};
use crate::domain::backup::Place;
use crate::domain::time::{human, since};
use crate::domain::{Backup, Copy, ErrorKind, Problem, SourceError, Timestamp};
use crate::io::clock;
use crate::sources::BoxFuture;
use crate::sources::borg::parse::{self, Document};
use crate::sources::borg::{locks, where_to};

/// Repositories that are told.
const MOST: usize = 20;

impl Looked for Client {
    fn look(&self) -> BoxFuture<'_, Result<(Backup, Vec<Problem>), SourceError>> {
        Box::pin(async {
            let (backup, problem) = look(self).await?;
            Ok((backup, problem.into_iter().collect()))
        })
    }

    /// A log that cannot be read leaves out nothing of the copies.
    fn is_complete(&self, _: &[Problem]) -> bool {
        true
    }
}

/// Measures the newest archives, where they are not known yet: once for each run of the job.
async fn measure(client: &Client, open: &Open, time: Time, all: &[Document], kept: &mut Kept) {
    let newest: Vec<&str> = all.iter().filter_map(|document| document.archives.last()).map(|archive| archive.id.as_str()).collect();
    let (now, identity) = (clock::now().timestamp(), newest.join(" "));
    let again = kept.damage.is_some() && kept.is_due(now, &identity);
    if !again && newest.iter().all(|id| kept.copies.contains_key(*id)) {
        return;
    }
    let Some(left) = time.left() else { return };
    // A check or a restore that runs now has the turn: then another time.
    let Ok(_turn) = tokio::time::timeout(PATIENCE, tool::turn(&client.name())).await else { return };
    let unknown = |kept: &mut Kept| {
        for id in &newest {
            kept.copies.entry((*id).to_owned()).or_default();
        }
    };
    match client.info(open, left).await {
        Ok(closer) => {
            (kept.damage, kept.measured) = (None, Some((now, identity)));
            for archive in closer.iter().flat_map(|document| &document.archives) {
                kept.copies.insert(archive.id.clone(), archive.measured(true));
            }
            let of = best(all, clock::now()).map(|document| document.repository.location.as_str());
            let document = closer.iter().find(|document| Some(document.repository.location.as_str()) == of);
            if let Some(size) = document.and_then(|document| document.cache.as_ref()).and_then(|cache| cache.stats.unique_csize) {
                kept.note_size(now, size);
            }
            // The newest of a repository may be of another data set, and is not asked for again.
            unknown(kept);
        }
        Err(error) if error.kind == ErrorKind::Timeout && time.is_whole() => unknown(kept),
        Err(error) if parse::is_damage(&error) => (kept.damage, kept.measured) = (Some(error.message), Some((now, identity))),
        Err(_) => {}
    }
}

/// What is wrong with a repository whose last archive is not that of the best one.
fn behind(document: &Document, name: &str, max_age_s: Option<u64>, now: Timestamp) -> Option<String> {
    match document.archives.iter().rfind(|archive| !is_ahead(archive.start, now)) {
        None if !document.archives.is_empty() => Some(format!("{} in one place: {name}", judge::FROM_THE_FUTURE)),
        None => Some(format!("has no archive in one place: {name}")),
        Some(last) => {
            let age = since(last.start, now);
            max_age_s.is_some_and(|limit| age.as_secs() > limit).then(|| format!("is late in one place: {name}, {} old", human(age)))
        }
    }
}

/// Looks once.
async fn look(client: &Client) -> Result<(Backup, Option<Problem>), SourceError> {
    let time = Time::begin(client.timeout);
    let open = client.open().await?;
    let all = client.listed(&open).await?;
    let mut kept = client.keeper.get(&client.name()).await;
    measure(client, &open, time, &all, &mut kept).await;
    kept.forget(|id| all.iter().any(|document| document.archives.iter().any(|archive| archive.id == id)));
    client.keeper.put(kept.clone()).await;

    let now = clock::now();
    let Some(best) = best(&all, now) else { return Err(SourceError::nothing("no repository has an archive", "check that the backup ran at least once")) };
    let copies: Vec<Copy> = best.archives.iter().map(|archive| archive.copy(kept.copies.get(&archive.id))).collect();
    let host = copies.iter().rev().find_map(|copy| copy.host.clone());
    let mut complaints: Vec<String> = kept.damage.iter().map(|damage| format!("is damaged: {damage}")).collect();
    let (mut places, mut all_locks, mut free_bytes): (Vec<Place>, _, _) = (Vec::new(), Vec::new(), None);
    for document in all.iter().take(MOST) {
        let location = open.masked(&document.repository.location);
        let path = client.path(&document.repository.location);
        let mut disk = Disk::default();
        if let Some(path) = &path {
            disk = disk::look(path).await;
            all_locks.extend(disk::asked(path, locks::look).await.unwrap_or_default());
        }
        if document.repository == best.repository {
            free_bytes = disk.free_bytes;
        } else {
            complaints.extend(behind(document, document.repository.label.as_deref().unwrap_or(&location), client.promise.max_age_s, now));
        }
        if !client.elsewhere() {
            let newest = document.archives.iter().map(|archive| archive.start).rfind(|start| !is_ahead(*start, now));
            places.push(place(&where_to(&location, path.as_deref(), disk), host.as_deref(), &disk::host(), newest));
        }
    }
    complaints.extend(all_locks.iter().filter(|lock| lock.stale).map(|lock| format!("has a lock whose holder is gone: {}", lock.holder)));
    let mut backup = Backup {
        tool: "borgmatic".to_owned(),
        place: open.masked(&best.repository.location),
        next_at: growth::next_at(&copies),
        runs: runs(&copies),
        full_on: free_bytes.and_then(|free| growth::full_on(&kept.sizes, free, now)),
        free_bytes,
        repository_bytes: kept.sizes.last().map(|(_, bytes)| *bytes),
        places,
        locks: all_locks,
        complaints,
        copies,
        ..Backup::default()
    };
    let mut unread = None;
    if let Some(log) = client.log() {
        let (configuration, zone) = (client.configuration().map(str::to_owned), client.zone);
        let (runs, problem) = log.runs(move |text| log::runs(text, configuration.as_deref(), zone)).await;
        joblog::add(&mut backup, runs, !client.elsewhere(), now);
        unread = problem;
    }
    Ok((judge::judge(backup, &client.promise, now), unread))
}
