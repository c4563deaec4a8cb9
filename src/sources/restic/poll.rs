//! One look at the data set: what the listing says, what its locks say, and what is measured now and then.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::{Client, Listed};
use super::parse::Snapshot;
use crate::backups::caller::Open;
use crate::backups::kept::{Kept, Measured};
use crate::backups::places::{Where, host_of, place};
use crate::backups::{disk, growth, judge, tool};
use crate::domain::backup::{JobRun, Lock};
use crate::domain::{Backup, Copy, Data, ErrorKind, Observation, Problem, SourceError};
use crate::io::clock;
use crate::sources::{BoxFuture, Cadence, Collected, Source};

/// The share of the time limit that a look may use before it stops measuring.
const SHARE: f64 = 0.7;
/// What is left must be so long for a measurement to begin.
const WORTH_IT: Duration = Duration::from_secs(2);
/// Sizes of older snapshots are had as long as a look took no longer than this.
const SPARE: Duration = Duration::from_secs(8);
/// So many older ones at once.
const OLDER: usize = 15;
/// Waiting for somebody else's long command.
const PATIENCE: Duration = Duration::from_millis(100);
/// Runs told.
const RUNS: usize = 30;

/// Looks at one data set.
pub struct ResticSource {
    client: Arc<Client>,
    every: Duration,
}

impl ResticSource {
    /// At this interval.
    pub fn new(client: Arc<Client>, every: Duration) -> Self {
        Self { client, every }
    }
}

impl Source for ResticSource {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(async move {
            let (backup, problems) = look(&self.client).await?;
            let complete = problems.is_empty();
            Ok(Collected { observations: vec![Observation { at: clock::now(), data: Data::Backup(Box::new(backup)) }], problems, complete })
        })
    }
}

/// What is at hand during one look.
struct Look<'a> {
    client: &'a Client,
    open: &'a Open,
    began: Instant,
}

impl Look<'_> {
    /// What is left of the time.
    fn left(&self) -> Option<Duration> {
        self.client.timeout.mul_f64(SHARE).checked_sub(self.began.elapsed()).filter(|left| *left >= WORTH_IT)
    }

    /// Measures what is not known yet and worth it now.
    async fn measure(&self, mine: &[&Snapshot], listed: &Listed, kept: &mut Kept) {
        let Some(newest) = mine.last() else { return };
        let newest_of_all = listed.snapshots.last().map_or(newest.id.as_str(), |snapshot| snapshot.id.as_str());
        let now = clock::now().timestamp();
        let unknown = |snapshot: &&&Snapshot, kept: &Kept| snapshot.summary.is_none() && !kept.copies.contains_key(&snapshot.id);
        let of_repository = kept.is_due(now, newest_of_all);
        if !of_repository && !mine.iter().rev().take(OLDER).any(|snapshot| unknown(&snapshot, kept)) {
            return;
        }
        // A check or a restore that runs now has the turn: then another time.
        let Ok(_turn) = tokio::time::timeout(PATIENCE, tool::turn(&self.open.key())).await else { return };
        if of_repository && let Some(left) = self.left() {
            let size = self.client.stats(self.open, None, left).await;
            kept.measured = Some((now, newest_of_all.to_owned()));
            kept.damage = size.as_ref().err().filter(|error| error.kind == ErrorKind::Protocol).map(|error| error.message.clone());
            if let Ok(size) = size {
                kept.note_size(now, size);
            }
        }
        for (place, snapshot) in mine.iter().rev().take(OLDER).enumerate().filter(|(_, snapshot)| snapshot.summary.is_none()) {
            if kept.copies.contains_key(&snapshot.id) {
                continue;
            }
            let Some(left) = self.left().filter(|_| place == 0 || self.began.elapsed() < SPARE) else { break };
            match self.client.stats(self.open, Some(&snapshot.id), left).await {
                Ok(size) => drop(kept.copies.insert(snapshot.id.clone(), Measured { size: Some(size), ..Measured::default() })),
                // It takes longer than a look may: not again.
                Err(error) if error.kind == ErrorKind::Timeout => drop(kept.copies.insert(snapshot.id.clone(), Measured::default())),
                Err(error) => {
                    if error.kind == ErrorKind::Protocol {
                        (kept.damage, kept.measured) = (Some(error.message), Some((now, newest_of_all.to_owned())));
                    }
                    break;
                }
            }
        }
    }
}

/// Whether a repository that lies here has no index, which makes every snapshot unreadable.
async fn without_index(path: &Path) -> bool {
    let look = |path: &Path| std::fs::read_dir(path.join("index")).map(|mut files| files.next().is_none());
    matches!(disk::asked(path, look).await, Some(Ok(true)))
}

/// Where an address leads that is no path: `sftp:me@nas1:/x`, `rest:https://nas1:8000/x`, `s3:…`.
fn away(address: &str) -> Where<'static> {
    let server = match address.split_once("://") {
        Some((scheme, rest)) if !scheme.starts_with("s3") => rest.split('/').next().and_then(host_of),
        _ => address.strip_prefix("sftp:").and_then(|rest| rest.split(':').next()).and_then(host_of),
    };
    // A service that no machine of ours is.
    server.map_or_else(|| Where::Service(address.split(':').next().unwrap_or_default().to_owned()), Where::Server)
}

fn runs(copies: &[Copy]) -> Vec<JobRun> {
    let run = |copy: &Copy| {
        copy.started.map(|started| JobRun { started: Some(started), ended: Some(copy.at), ok: Some(true), message: copy.name.clone(), ..JobRun::default() })
    };
    let runs: Vec<JobRun> = copies.iter().filter_map(run).collect();
    runs.into_iter().rev().take(RUNS).rev().collect()
}

fn stale(locks: &[Lock]) -> impl Iterator<Item = String> + '_ {
    locks.iter().filter(|lock| lock.stale).map(|lock| format!("has a lock whose holder is gone: {}", lock.holder))
}

/// Looks once.
async fn look(client: &Client) -> Result<(Backup, Vec<Problem>), SourceError> {
    let open = client.open().await?;
    let this = Look { client, open: &open, began: Instant::now() };
    let listed = client.listed(&open, client.every / 2).await?;
    let mine = client.mine(&open, &listed)?;
    let mut problems = Vec::new();
    let locks = match this.left() {
        Some(left) => client.locks(&open, left).await.unwrap_or_else(|error| {
            problems.push(Problem { subject: "locks".to_owned(), message: error.message });
            Vec::new()
        }),
        None => Vec::new(),
    };
    let mut kept = client.keeper.get(&open.address).await;
    this.measure(&mine, &listed, &mut kept).await;
    kept.forget(|id| listed.snapshots.iter().any(|snapshot| snapshot.id == id));
    client.keeper.put(kept.clone()).await;

    let now = clock::now();
    let path = client.path(&open);
    let mut complaints = Vec::new();
    let mut disk = disk::Disk::default();
    if let Some(path) = &path {
        disk = disk::look(path).await;
        if without_index(path).await {
            complaints.push("has no index: nothing can be restored until `restic repair index` (before 0.16 `rebuild-index`) made one".to_owned());
        }
    }
    complaints.extend(kept.damage.as_ref().map(|damage| format!("is damaged: {damage}")));
    if let Some(first) = listed.unreadable.first() {
        complaints.push(format!("has snapshots that cannot be read: {} of them, {first}", listed.unreadable.len()));
    }
    complaints.extend(stale(&locks));
    let copies: Vec<Copy> = mine.iter().map(|snapshot| snapshot.copy(kept.copies.get(&snapshot.id))).collect();
    let newest = mine.last();
    let at = path.as_deref().map_or_else(|| away(&open.address), |path| Where::Here(path, disk));
    let place = place(&at, newest.map(|snapshot| snapshot.hostname.as_str()), &disk::host(), newest.map(|snapshot| snapshot.time));
    let repository_bytes = kept.sizes.last().map(|(_, bytes)| *bytes);
    let backup = Backup {
        tool: "restic".to_owned(),
        place: open.shown(),
        next_at: growth::next_at(&copies),
        runs: runs(&copies),
        full_on: disk.free_bytes.and_then(|free| growth::full_on(&kept.sizes, free, now)),
        free_bytes: disk.free_bytes,
        repository_bytes,
        places: if client.elsewhere() { Vec::new() } else { vec![place] },
        locks,
        complaints,
        copies,
        ..Backup::default()
    };
    Ok((judge(backup, &client.promise, now), problems))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_of_a_repository_is_read_from_its_address() {
        for (address, expected) in [
            ("sftp:me@nas1:/backups", "nas1"),
            ("sftp:nas1:/backups", "nas1"),
            ("sftp://me@nas1:2222//backups", "nas1"),
            ("rest:https://me:hush@backup1.example:8000/shop", "backup1.example"),
            ("rest:http://[::1]:8000/", "::1"),
        ] {
            assert_eq!(away(address), Where::Server(expected.to_owned()), "{address}");
        }
        assert_eq!(away("s3:https://objects.example/shop"), Where::Service("s3".to_owned()));
        assert_eq!(away("b2:bucket:shop"), Where::Service("b2".to_owned()));
    }
}
