//! What is known and can be done beyond the look: browsing an archive, restoring one, checking.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::client::Client;
use crate::backups::{CheckConfig, DrillConfig, Entry, Repository, Restored, listing};
use crate::domain::backup::Check;
use crate::domain::{Copy, SourceError};
use crate::sources::{BoxFuture, Call, Detail, DetailBody, ItemKey, Offer, Outcome, Service};

/// One data set's repository.
#[derive(Debug, Clone)]
pub struct Desk(Arc<Client>);

impl Desk {
    /// On the client that the source polls with.
    pub fn new(client: Arc<Client>) -> Self {
        Self(client)
    }
}

impl Repository for Desk {
    fn drill(&self) -> DrillConfig {
        self.0.drill.clone()
    }

    fn check_plan(&self) -> Option<CheckConfig> {
        Some(self.0.check.clone())
    }

    fn copies(&self) -> BoxFuture<'_, Result<Vec<Copy>, SourceError>> {
        Box::pin(self.0.copies())
    }

    fn files<'a>(&'a self, copy: &'a str, under: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, SourceError>> {
        Box::pin(self.0.files(copy, under))
    }

    fn restore<'a>(&'a self, copy: &'a Copy, into: &'a Path) -> BoxFuture<'a, Result<Restored, SourceError>> {
        Box::pin(async move { self.0.restore(copy, into).await.map(|()| Restored::Files) })
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, SourceError>> {
        Box::pin(self.0.checked())
    }

    fn by_hand(&self, copy: &Copy) -> String {
        self.0.by_hand(copy)
    }

    fn protects(&self) -> Vec<PathBuf> {
        self.0.protects()
    }
}

impl Service for Desk {
    /// The files of an archive (of the newest, where the item names none) below the folder that `part` names.
    fn detail(&self, key: &ItemKey, part: Option<&str>) -> BoxFuture<'_, Result<Detail, SourceError>> {
        let (key, under) = (key.clone(), part.unwrap_or_default().to_owned());
        Box::pin(async move {
            let copies = self.0.copies().await?;
            let copy = listing::chosen(&copies, &key.item)?;
            let files = self.0.files(&copy.name, &under).await?;
            Ok(Detail { body: DetailBody::Lines(listing::lines(&copy.name, &under, &files)), key, link: None })
        })
    }

    fn offers(&self, _: &ItemKey) -> Vec<Offer> {
        Vec::new()
    }

    fn perform(&self, call: &Call) -> BoxFuture<'_, Result<Outcome, SourceError>> {
        let offer = call.offer.clone();
        Box::pin(async move { Err(SourceError::config(format!("borgmatic knows no \"{offer}\""), "a check is run by `rounds backups check`")) })
    }
}
