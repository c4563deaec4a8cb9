//! One look at the data set: what the listing says, what its locks say, and what is measured now and then.

use std::path::Path;
use std::sync::Arc;

use super::client::Client;
use super::locks;
use super::parse::{self, Archive, Document};
use crate::backups::caller::Open;
use crate::backups::kept::{Kept, Measured};
use crate::backups::look::{Looked, OLDER, PATIENCE, Time, runs};
use crate::backups::places::{Where, host_of, place};
use crate::backups::{disk, growth, judge, tool};
use crate::domain::{Backup, Copy, ErrorKind, Problem, SourceError};
use crate::io::clock;
use crate::sources::BoxFuture;

impl Looked for Client {
    fn look(&self) -> BoxFuture<'_, Result<(Backup, Vec<Problem>), SourceError>> {
        Box::pin(async { Ok((look(self).await?, Vec::new())) })
    }
}

/// Measures what is not known yet and worth it now: `borg info` walks the whole index, on a large repository for minutes.
async fn measure(client: &Client, open: &Open, time: Time, mine: &[&Archive], kept: &mut Kept) {
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
        let Some(left) = time.left_for(place) else { break };
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
            Err(error) if error.kind == ErrorKind::Timeout && time.is_whole() => drop(kept.copies.insert(archive.id.clone(), Measured::default())),
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

/// Looks once.
async fn look(client: &Client) -> Result<Backup, SourceError> {
    let time = Time::begin(client.timeout);
    let open = client.open().await?;
    let listed: Arc<Document> = client.listed(&open, client.every / 2).await?;
    let mine = client.mine(&open, &listed)?;
    let mut kept = client.keeper.get(&open.address).await;
    measure(client, &open, time, &mine, &mut kept).await;
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
