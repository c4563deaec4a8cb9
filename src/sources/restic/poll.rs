//! One look at the data set: what the listing says, what its locks say, and what is measured now and then.

use std::path::Path;

use super::client::{Client, Listed};
use super::parse::Snapshot;
use crate::backups::caller::Open;
use crate::backups::kept::{Kept, Measured};
use crate::backups::look::{Looked, OLDER, PATIENCE, Time, runs};
use crate::backups::places::{Where, host_of, place};
use crate::backups::{disk, growth, judge, tool};
use crate::domain::backup::Lock;
use crate::domain::{Backup, Copy, ErrorKind, Problem, SourceError};
use crate::io::clock;
use crate::sources::BoxFuture;

impl Looked for Client {
    fn look(&self) -> BoxFuture<'_, Result<(Backup, Vec<Problem>), SourceError>> {
        Box::pin(look(self))
    }
}

/// What is at hand during one look.
struct Look<'a> {
    client: &'a Client,
    open: &'a Open,
    time: Time,
}

impl Look<'_> {
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
        if of_repository && let Some(left) = self.time.left() {
            let size = self.client.stats(self.open, None, left).await;
            // A look of `rounds check` may have had too little time for it.
            if self.time.is_whole() || !matches!(&size, Err(error) if error.kind == ErrorKind::Timeout) {
                kept.measured = Some((now, newest_of_all.to_owned()));
            }
            match size {
                Ok(size) => {
                    kept.damage = None;
                    kept.note_size(now, size);
                }
                Err(error) if error.kind == ErrorKind::Protocol => kept.damage = Some(error.message),
                // What was known of it stands.
                Err(_) => {}
            }
        }
        for (place, snapshot) in mine.iter().rev().take(OLDER).enumerate().filter(|(_, snapshot)| snapshot.summary.is_none()) {
            if kept.copies.contains_key(&snapshot.id) {
                continue;
            }
            let Some(left) = self.time.left_for(place) else { break };
            match self.client.stats(self.open, Some(&snapshot.id), left).await {
                Ok(size) => drop(kept.copies.insert(snapshot.id.clone(), Measured { size: Some(size), ..Measured::default() })),
                // It takes longer than a look may: not again.
                Err(error) if error.kind == ErrorKind::Timeout && self.time.is_whole() => drop(kept.copies.insert(snapshot.id.clone(), Measured::default())),
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

fn stale(locks: &[Lock]) -> impl Iterator<Item = String> + '_ {
    locks.iter().filter(|lock| lock.stale).map(|lock| format!("has a lock whose holder is gone: {}", lock.holder))
}

/// Looks once.
async fn look(client: &Client) -> Result<(Backup, Vec<Problem>), SourceError> {
    let open = client.open().await?;
    let this = Look { client, open: &open, time: Time::begin(client.timeout) };
    let listed = client.listed(&open, client.every / 2).await?;
    let mine = client.mine(&open, &listed)?;
    let mut problems = Vec::new();
    let locks = match this.time.left() {
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
