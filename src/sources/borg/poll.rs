//! One look at the data set: what the listing says, what its locks say, and what is measured now and then.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::Client;
use super::locks;
use super::parse::{self, Archive, Document};
use crate::backups::caller::Open;
use crate::backups::kept::{Kept, Measured};
use crate::backups::places::{Where, host_of, place};
use crate::backups::{disk, growth, judge, tool};
use crate::domain::backup::JobRun;
use crate::domain::{Backup, Copy, Data, ErrorKind, Observation, SourceError};
use crate::io::clock;
use crate::sources::{BoxFuture, Cadence, Collected, Source};

/// The share of the time limit that a look may use before it stops measuring.
const SHARE: f64 = 0.7;
/// What is left must be so long for a measurement to begin.
const WORTH_IT: Duration = Duration::from_secs(2);
/// Older archives are looked at as long as a look took no longer than this.
const SPARE: Duration = Duration::from_secs(8);
/// So many older ones at once.
const OLDER: usize = 15;
/// Waiting for somebody else's long command.
const PATIENCE: Duration = Duration::from_millis(100);
/// Runs told.
const RUNS: usize = 30;

/// Looks at one data set.
pub struct BorgSource {
    client: Arc<Client>,
    every: Duration,
}

impl BorgSource {
    /// At this interval.
    pub fn new(client: Arc<Client>, every: Duration) -> Self {
        Self { client, every }
    }
}

impl Source for BorgSource {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(async move {
            let backup = look(&self.client).await?;
            let observations = vec![Observation { at: clock::now(), data: Data::Backup(Box::new(backup)) }];
            Ok(Collected { observations, problems: Vec::new(), complete: true })
        })
    }
}

/// Measures what is not known yet and worth it now: `borg info` walks the whole index, on a large repository for minutes.
async fn measure(client: &Client, open: &Open, began: Instant, mine: &[&Archive], kept: &mut Kept) {
    let left = || client.timeout.mul_f64(SHARE).checked_sub(began.elapsed()).filter(|left| *left >= WORTH_IT);
    let now = clock::now().timestamp();
    let Some(newest) = mine.last() else { return };
    let again = kept.damage.is_some() && kept.is_due(now, &newest.id);
    if !again && mine.iter().rev().take(OLDER).all(|archive| kept.copies.contains_key(&archive.id)) {
        return;
    }
    // A check or a restore that runs now has the turn: then another time.
    let Ok(_turn) = tokio::time::timeout(PATIENCE, tool::turn(&open.key())).await else { return };
    for (place, archive) in mine.iter().rev().take(OLDER).enumerate() {
        if kept.copies.contains_key(&archive.id) && !(place == 0 && again) {
            continue;
        }
        let Some(left) = left().filter(|_| place == 0 || began.elapsed() < SPARE) else { break };
        match client.info(open, &archive.name, left).await {
            Ok(document) => {
                if let Some(closer) = document.archives.first() {
                    kept.copies.insert(archive.id.clone(), closer.measured(place == 0));
                }
                if place == 0 {
                    (kept.damage, kept.measured) = (None, Some((now, archive.id.clone())));
                    if let Some(size) = document.cache.and_then(|cache| cache.stats.unique_csize) {
                        kept.note_size(now, size);
                    }
                }
            }
            // It takes longer than a look may: not again.
            Err(error) if error.kind == ErrorKind::Timeout => drop(kept.copies.insert(archive.id.clone(), Measured::default())),
            Err(error) => {
                if parse::is_damage(&error) {
                    (kept.damage, kept.measured) = (Some(error.message), Some((now, newest.id.clone())));
                }
                break;
            }
        }
    }
}

/// Where an address leads: to a path of this machine, or `ssh://me@nas1:22/./x`, `me@nas1:x`.
pub fn where_to<'a>(address: &str, path: Option<&'a Path>, disk: disk::Disk) -> Where<'a> {
    if let Some(path) = path {
        return Where::Here(path, disk);
    }
    let authority = match address.split_once("://") {
        Some((_, rest)) => rest.split('/').next(),
        None => address.split_once(':').map(|(authority, _)| authority),
    };
    authority.and_then(host_of).map_or_else(|| Where::Service(address.split(':').next().unwrap_or_default().to_owned()), Where::Server)
}

/// The runs that made these copies, as far as that was measured.
pub fn runs(copies: &[Copy]) -> Vec<JobRun> {
    let run = |copy: &Copy| {
        copy.started.map(|started| JobRun { started: Some(started), ended: Some(copy.at), ok: Some(true), message: copy.name.clone(), ..JobRun::default() })
    };
    let runs: Vec<JobRun> = copies.iter().rev().filter_map(run).take(RUNS).collect();
    runs.into_iter().rev().collect()
}

/// Looks once.
async fn look(client: &Client) -> Result<Backup, SourceError> {
    let began = Instant::now();
    let open = client.open().await?;
    let listed: Arc<Document> = client.listed(&open, client.every / 2).await?;
    let mine = client.mine(&open, &listed)?;
    let mut kept = client.keeper.get(&open.address).await;
    measure(client, &open, began, &mine, &mut kept).await;
    kept.forget(|id| listed.archives.iter().any(|archive| archive.id == id));
    client.keeper.put(kept.clone()).await;

    let now = clock::now();
    let path = client.path(&open);
    let (mut disk, mut locks) = (disk::Disk::default(), Vec::new());
    if let Some(path) = &path {
        disk = disk::look(path).await;
        locks = disk::asked(path, locks::look).await.unwrap_or_default();
    }
    let mut complaints = Vec::new();
    complaints.extend(kept.damage.as_ref().map(|damage| format!("is damaged: {damage}")));
    complaints.extend(listed.warned.as_ref().map(|warned| format!("was listed with a warning: {warned}")));
    complaints.extend(locks.iter().filter(|lock| lock.stale).map(|lock| format!("has a lock whose holder is gone: {}", lock.holder)));
    let copies: Vec<Copy> = mine.iter().map(|archive| archive.copy(kept.copies.get(&archive.id))).collect();
    let newest = copies.last();
    let at = where_to(&open.address, path.as_deref(), disk);
    let place = place(&at, newest.and_then(|copy| copy.host.as_deref()), &disk::host(), newest.map(|copy| copy.at));
    let backup = Backup {
        tool: "borg".to_owned(),
        place: open.shown(),
        next_at: growth::next_at(&copies),
        runs: runs(&copies),
        full_on: disk.free_bytes.and_then(|free| growth::full_on(&kept.sizes, free, now)),
        free_bytes: disk.free_bytes,
        repository_bytes: kept.sizes.last().map(|(_, bytes)| *bytes),
        places: if client.elsewhere() { Vec::new() } else { vec![place] },
        locks,
        complaints,
        copies,
        ..Backup::default()
    };
    Ok(judge(backup, &client.data.promise, now))
}

#[cfg(test)]
mod tests {
    use super::super::local;
    use super::*;

    #[test]
    fn where_an_address_leads_is_read_from_it() {
        for (address, expected) in [("ssh://me@nas1:22/./shop", "nas1"), ("me@nas1:shop", "nas1"), ("nas1:/backups/shop", "nas1"), ("ssh://[::1]/x", "::1")] {
            assert_eq!(where_to(address, None, disk::Disk::default()), Where::Server(expected.to_owned()), "{address}");
            assert_eq!(local(address), None, "{address}");
        }
        for (address, path) in [("/backups/shop", "/backups/shop"), ("shop", "shop"), ("./a:b", "./a:b"), ("file:///b", "/b")] {
            assert_eq!(local(address), Some(path));
        }
    }
}
