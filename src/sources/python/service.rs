//! What can be done to a package beyond looking: the guarded upgrade, offered where there is a manifest to change.
//!
//! What does not belong here: the upgrade itself (`actions::upgrade`, run by the verb).

use crate::domain::{SourceError, SourceId};
use crate::sources::{BoxFuture, Call, Detail, ItemKey, Offer, Outcome, Service};

/// What is offered for the packages of one source.
#[derive(Debug)]
pub struct PythonService {
    /// Which source.
    pub id: SourceId,
    /// Whether there is a manifest, and the configuration may run commands.
    pub can_upgrade: bool,
    /// The command that tells whether an upgrade is good.
    pub test: Option<Vec<String>>,
}

impl PythonService {
    fn upgrades(&self) -> Vec<Offer> {
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
    fn detail(&self, _: &ItemKey, _: Option<&str>) -> BoxFuture<'_, Result<Detail, SourceError>> {
        Box::pin(async { Err(SourceError::nothing("nothing more is known", "")) })
    }

    fn offers(&self, _: &ItemKey) -> Vec<Offer> {
        if self.can_upgrade { self.upgrades() } else { Vec::new() }
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
        let key = ItemKey { source: id.clone(), item: "django".to_owned() };
        let service = |can_upgrade, test: Option<&str>| PythonService { id: id.clone(), can_upgrade, test: test.map(|test| vec![test.to_owned()]) };
        assert!(service(false, Some("true")).offers(&key).is_empty());
        let tested = service(true, Some("true")).offers(&key);
        assert_eq!(tested.iter().map(|offer| offer.flags.join(" ")).collect::<Vec<_>>(), ["--yes=shop", "--minor --yes=shop", "--patch --yes=shop"]);
        assert!(tested.iter().all(|offer| offer.verb == ["upgrade", "shop/python/app"] && offer.changes.contains("true")));
        let untested = service(true, None).offers(&key);
        assert!(matches!(untested.as_slice(), [one] if one.flags == ["--untested", "--yes=shop"]));
    }
}
