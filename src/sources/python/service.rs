//! What is known of a package and can be done to it beyond looking: release notes, asked for when somebody looks at it, and the guarded
//! upgrade, offered where there is a manifest to change.
//!
//! What does not belong here: the upgrade itself (`actions::upgrade`, run by the verb), reading notes (`packages::notes`).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use super::look::{self, Setup};
use crate::domain::{Notes, SourceError, SourceId};
use crate::packages::indexes::client::{Asker, Index};
use crate::packages::notes::client::{Question, Reader};
use crate::packages::notes::meta;
use crate::packages::versions::Version;
use crate::sources::{BoxFuture, Call, Detail, DetailBody, ItemKey, Offer, Outcome, Service};

/// All of one look at notes.
const LIMIT: Duration = Duration::from_secs(40);

/// What a source knows of its packages beyond its list.
pub(super) struct PythonService {
    setup: Arc<Setup>,
    asker: tokio::sync::OnceCell<Arc<Asker>>,
    notes: Reader,
    upgrades: Upgrades,
}

/// The guarded upgrades of one source.
#[derive(Debug)]
pub(super) struct Upgrades {
    /// Which source.
    pub id: SourceId,
    /// Whether there is a manifest, and the configuration may run commands.
    pub can_upgrade: bool,
    /// The command that tells whether an upgrade is good.
    pub test: Option<Vec<String>>,
}

/// A package as the index has it.
struct Released {
    asker: Arc<Asker>,
    index: Index,
    latest: String,
}

impl PythonService {
    /// One that looks at what the source looks at.
    pub(super) fn new(setup: Arc<Setup>, notes: Reader, upgrades: Upgrades) -> Self {
        Self { setup, asker: tokio::sync::OnceCell::new(), notes, upgrades }
    }

    /// Which version is there, and which index has it.
    async fn here(&self, name: &str) -> Result<(String, Released), SourceError> {
        let here = look::here(&self.setup, false).await?;
        let current = here.current(name).ok_or_else(|| SourceError::nothing(format!("{name} has no version here"), ""))?;
        let indexes = self.setup.indexes(&here).await?;
        let made = async {
            let cache = Arc::clone(&self.setup.cache);
            let made = tokio::task::spawn_blocking(move || Asker::new(cache)).await;
            made.map_err(|_| SourceError::tls("the certificates cannot be read"))?.map(Arc::new)
        };
        let asker = Arc::clone(self.asker.get_or_try_init(|| made).await?);
        let mut error = None;
        for index in indexes.all {
            let answer = asker.ask(&index, name, &OnceLock::new()).await;
            let newest = answer.project.and_then(|project| {
                let good = project.releases.iter().filter(|release| release.yanked.is_none());
                let all = good.filter_map(|release| Some((Version::parse(&release.version)?, release.version.clone())));
                all.filter(|(version, _)| !version.is_prerelease()).max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, text)| text)
            });
            if let Some(latest) = newest {
                return Ok((current, Released { asker, index, latest }));
            }
            error = answer.error.or(error);
        }
        Err(error.unwrap_or_else(|| SourceError::nothing(format!("no index has a release of {name}"), "")))
    }

    async fn notes(&self, name: &str) -> Result<(Notes, Option<String>), SourceError> {
        let deadline = Instant::now() + LIMIT;
        let (from, released) = self.here(name).await?;
        let Released { asker, index, latest } = &released;
        let question = Question { name, from: &from, latest, index: index.shown(), local: index.is_local() };
        let meta = async {
            // A mirror that has only the simple index gives the metadata beside its files, if at all.
            if let Some(meta) = asker.release(index, name, latest).await?.and_then(|body| meta::json(&body)) {
                return Ok(Some(meta));
            }
            Ok(asker.metadata(index, name, latest).await?.map(|body| meta::core(&String::from_utf8_lossy(&body))))
        };
        self.notes.read(question, meta, deadline).await
    }
}

impl Upgrades {
    fn offers(&self) -> Vec<Offer> {
        if !self.can_upgrade {
            return Vec::new();
        }
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let site = format!("--yes={}", self.id.site());
        let one = |id: &str, title: &str, changes: String, flags: &[&str]| Offer {
            changes,
            undone: "the branch is neither checked out nor pushed: delete it".to_owned(),
            verb: words(&["upgrade", self.id.as_str()]),
            flags: [words(flags), vec![site.clone()]].concat(),
            ..Offer::new(id, title)
        };
        let Some(test) = &self.test else {
            let changes =
                "a new branch of the repository with what installs: no `test` is configured that could tell more; the working tree and the environment stay";
            return vec![one("upgrade-untested", "guarded upgrade, without tests", changes.to_owned(), &["--untested"])];
        };
        let test = crate::actions::written(test);
        let changes = format!("a new branch of the repository with one commit for each upgrade that passes {test}; the working tree and the environment stay");
        vec![
            one("upgrade", "guarded upgrade", changes.clone(), &[]),
            one("upgrade-minor", "guarded upgrade, no major releases", changes.clone(), &["--minor"]),
            one("upgrade-patch", "guarded upgrade, patch releases only", changes, &["--patch"]),
        ]
    }
}

impl Service for PythonService {
    fn detail(&self, key: &ItemKey, _: Option<&str>) -> BoxFuture<'_, Result<Detail, SourceError>> {
        let key = key.clone();
        Box::pin(async move {
            let (notes, link) = self.notes(&key.item).await?;
            Ok(Detail { key, body: DetailBody::Notes(Box::new(notes)), link })
        })
    }

    fn offers(&self, _: &ItemKey) -> Vec<Offer> {
        self.upgrades.offers()
    }

    fn perform(&self, _: &Call) -> BoxFuture<'_, Result<Outcome, SourceError>> {
        // What is offered is done by a verb.
        Box::pin(async { Err(SourceError::config("a package is upgraded by `rounds upgrade`", "nothing was changed")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_is_offered_as_a_verb_and_only_where_it_can_be() {
        let id = SourceId::parse("shop/python/app").unwrap();
        let offers = |can_upgrade, test: Option<&str>| Upgrades { id: id.clone(), can_upgrade, test: test.map(|test| vec![test.to_owned()]) }.offers();
        assert!(offers(false, Some("true")).is_empty());
        let tested = offers(true, Some("true"));
        assert_eq!(tested.iter().map(|offer| offer.flags.join(" ")).collect::<Vec<_>>(), ["--yes=shop", "--minor --yes=shop", "--patch --yes=shop"]);
        assert!(tested.iter().all(|offer| offer.verb == ["upgrade", "shop/python/app"] && offer.changes.contains("true")));
        let untested = offers(true, None);
        assert!(matches!(untested.as_slice(), [one] if one.flags == ["--untested", "--yes=shop"]));
    }
}
