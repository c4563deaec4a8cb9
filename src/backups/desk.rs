//! What can be known of and done with a data set beyond its poll, for any repository: looking into a copy, taking away a lock that was
//! left behind.
//!
//! What does not belong here: restores and checks, which are recorded (`actions::drill`), how a tool does any of it (its folder in
//! `sources`).

use std::sync::Arc;

use super::{Folder, Repository};
use crate::domain::SourceError;
use crate::domain::backup::Lock;
use crate::sources::{BoxFuture, Call, Detail, DetailBody, ItemKey, Now, Offer, Outcome, Seen, Service};

/// The offer that takes away a lock.
const UNLOCK: &str = "unlock";

/// The service of one data set.
#[derive(Debug)]
pub struct Desk<R>(Arc<R>);

impl<R> Desk<R> {
    /// On the repository that the source polls with.
    pub const fn new(repository: Arc<R>) -> Self {
        Self(repository)
    }
}

impl<R: Repository + 'static> Desk<R> {
    /// What is offered while these locks are held.
    fn unlocking(&self, locks: &[Lock]) -> Option<Offer> {
        let way = self.0.unlocking()?;
        let left = if way.takes_all { !locks.is_empty() && locks.iter().all(|lock| lock.stale) } else { locks.iter().any(|lock| lock.stale) };
        left.then(|| Offer {
            dangerous: true,
            calls: way.calls.to_owned(),
            changes: way.changes.to_owned(),
            ..Offer::new(UNLOCK, "remove the lock that was left behind")
        })
    }
}

impl<R: Repository + 'static> Service for Desk<R> {
    /// What lies in the folder of a copy (of the newest, where the item names none) that `part` names; without it, at its top.
    fn detail(&self, key: &ItemKey, part: Option<&str>) -> BoxFuture<'_, Result<Detail, SourceError>> {
        let (key, under) = (key.clone(), part.unwrap_or_default().trim_matches('/').to_owned());
        Box::pin(async move {
            let copy = match key.item.as_str() {
                "" | "latest" | "newest" => {
                    let newest = self.0.copies().await?.pop();
                    newest.ok_or_else(|| SourceError::nothing("there is no copy", "it may have been removed by retention; look again"))?.name
                }
                name => name.to_owned(),
            };
            let entries = self.0.files(&copy, &under).await?;
            Ok(Detail { body: DetailBody::Folder(Box::new(Folder { copy, under, entries })), key, link: None })
        })
    }

    /// Without having seen its locks, nothing.
    fn offers(&self, _: &ItemKey) -> Vec<Offer> {
        Vec::new()
    }

    fn offers_for(&self, _: &ItemKey, seen: Seen<'_>) -> Vec<Offer> {
        match seen {
            Seen::Backup(backup) => self.unlocking(&backup.locks).into_iter().collect(),
            Seen::Nothing | Seen::Issue(..) => Vec::new(),
        }
    }

    fn perform(&self, call: &Call) -> BoxFuture<'_, Result<Outcome, SourceError>> {
        let offer = call.offer.clone();
        Box::pin(async move {
            if offer != UNLOCK {
                return Err(SourceError::config(
                    format!("a backup knows no \"{offer}\""),
                    "a restore or a check is run by `rounds drill` and `rounds backups check`",
                ));
            }
            Ok(Outcome { message: self.0.unlock().await?, undo: None, now: Now::default() })
        })
    }
}
