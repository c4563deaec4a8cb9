//! What the key of a list's row stands for: a finding, a source, or an item of a source (`source#item`).
//!
//! Items are keyed by what their source calls them: an issue's id, a log group's fingerprint, a package's name, a data set's name.
//! What does not belong here: which row is selected (`act`), how a row looks (`ui`).

use super::{SourceState, World};
use crate::domain::{Backup, BookGroup, Capability, Finding, FindingId, Issue, Package, Severity, SourceId};
use crate::sources::ItemKey;

/// What stands in place of an item where a source itself has a row, because it is not known.
const NONE: &str = "?";

/// An item of a source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item<'a> {
    /// An issue of a tracker.
    Issue(&'a Issue),
    /// A group of the error book of a log or mail box.
    Group(&'a BookGroup),
    /// A package.
    Package(&'a Package),
    /// A data set's copies.
    Backup(&'a Backup),
}

/// The key of an item.
#[must_use]
pub fn key(source: &SourceId, item: &str) -> String {
    format!("{source}#{item}")
}

/// The key of the row that a source has for itself.
#[must_use]
pub fn key_of_source(source: &SourceId) -> String {
    key(source, NONE)
}

/// The name of an item among all sources, for asking its source; `None` for rows of findings and of sources themselves.
#[must_use]
pub fn item_key(key: &str) -> Option<ItemKey> {
    let (source, item) = key.split_once('#')?;
    (item != NONE).then_some(())?;
    Some(ItemKey { source: SourceId::parse(source).ok()?, item: item.to_owned() })
}

/// The source that a key is about: that of a finding, of an item, or the source itself.
#[must_use]
pub fn source<'a>(world: &'a World, key: &str) -> Option<&'a SourceState> {
    let id = key.split_once('#').map_or(key, |(source, _)| source);
    world.sources.get(&SourceId::parse(id).ok()?)
}

/// The item of a key.
#[must_use]
pub fn item<'a>(world: &'a World, key: &str) -> Option<Item<'a>> {
    let (_, name) = key.split_once('#')?;
    let source = source(world, key)?;
    match source.spec.capability {
        Capability::Issues => source.issues.as_ref()?.1.find(name).map(Item::Issue),
        Capability::Log => source.book.groups.get(source.book.root(name)).map(Item::Group),
        Capability::Packages => source.packages.as_ref()?.1.items.iter().find(|package| package.name == name).map(Item::Package),
        Capability::Backup => source.backup.as_ref().filter(|_| source.spec.id.name() == name).map(|(_, backup)| Item::Backup(backup)),
        Capability::Health | Capability::Certificate | Capability::Life | Capability::Release | Capability::Crons | Capability::Intake => None,
    }
}

/// The finding that a key is about: itself, or the one that tells of the item.
#[must_use]
pub fn finding<'a>(world: &'a World, key: &str) -> Option<&'a Finding> {
    if let Some(finding) = world.findings.iter().find(|finding| finding.id.as_str() == key) {
        return Some(finding);
    }
    let (_, name) = key.split_once('#')?;
    let source = source(world, key)?;
    let id = &source.spec.id;
    let mut of_source = world.findings.iter().filter(|finding| &finding.source == id);
    match item(world, key) {
        Some(Item::Issue(issue)) => {
            let about = FindingId::about(id, "issue", &issue.id);
            of_source.find(|finding| finding.id == about)
        }
        Some(Item::Group(group)) => {
            let about = FindingId::about(id, "group", &group.fingerprint);
            world
                .findings
                .iter()
                .find(|finding| finding.id == about)
                .or_else(|| of_source.find(|finding| finding.id.rule() == "burst" && finding.evidence == group.fingerprint))
        }
        // One finding tells of all packages: what is merely outdated is not what a graver one is about.
        Some(Item::Package(package)) => {
            let grave = !package.advisories.is_empty() || package.yanked || package.project_status.as_deref().is_some_and(|status| status != "active");
            of_source.find(|finding| finding.id.rule() == "packages" && (grave || (finding.severity == Severity::Info && package.outdated())))
        }
        Some(Item::Backup(_)) => of_source.next(),
        None if name == NONE || name == id.name() => of_source.find(|finding| matches!(finding.id.rule(), "availability" | "staleness")),
        None => None,
    }
}

/// The page of an item, where its source knows one.
#[must_use]
pub fn link(world: &World, key: &str) -> Option<String> {
    match item(world, key)? {
        Item::Issue(issue) => issue.permalink.clone(),
        // The page of its changes, once its notes were looked at.
        Item::Package(_) => world.details.get(&item_key(key)?, None)?.good.as_ref()?.1.link.clone(),
        _ => None,
    }
}

/// An item as one line, to be copied.
#[must_use]
pub fn line(world: &World, key: &str) -> Option<String> {
    let id = &source(world, key)?.spec.id;
    Some(match item(world, key)? {
        Item::Issue(issue) => {
            let link = issue.permalink.as_deref().map_or(String::new(), |link| format!(" {link}"));
            format!("{} {}{link}", issue.short_id, issue.title)
        }
        Item::Group(group) if group.culprit.is_empty() => format!("{id} {}", group.title),
        Item::Group(group) => format!("{id} {} {}", group.title, group.culprit),
        Item::Package(package) => match (package.current(), package.wanted.as_deref().or(package.latest.as_deref())) {
            (Some(from), Some(to)) if from != to => format!("{} {from} → {to}", package.name),
            (Some(version), _) | (None, Some(version)) => format!("{} {version}", package.name),
            (None, None) => package.name.clone(),
        },
        Item::Backup(backup) => format!("{id} {}", backup.place),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::fixture::{id, story};

    #[test]
    fn keys_of_rows_lead_to_their_source_item_and_finding() {
        let state = story();
        let world = &state.world;
        let new = key(&id("shop/sentry/backend"), "4101");
        assert_eq!(source(world, &new).unwrap().spec.id, id("shop/sentry/backend"));
        assert_eq!(finding(world, &new).unwrap().id.as_str(), "shop/sentry/backend#issue:4101");
        assert!(link(world, &new).unwrap().contains("4101"));
        assert!(line(world, &new).unwrap().starts_with("SHOP-4K2 KeyError: 'currency' https://"));
        // One that is merely going on has no finding; a vanished one is no item.
        assert!(finding(world, "shop/sentry/backend#4104").is_none());
        assert!(item(world, "shop/sentry/backend#0").is_none());
        assert!(source(world, "shop/sentry/backend#0").is_some());
        // A source that is not known is told by its own finding.
        let lost = key_of_source(&id("blog/sentry/blog"));
        assert_eq!(finding(world, &lost).unwrap().id.rule(), "availability");
        // One finding for a manifest: only the packages that it is about lead to it.
        assert_eq!(finding(world, "shop/python/app#django").unwrap().id.rule(), "packages");
        assert!(finding(world, "shop/python/app#gunicorn").is_none());
        assert_eq!(line(world, "shop/python/app#django").unwrap(), "django 5.2.15 → 5.2.19");
        assert_eq!(finding(world, "blog/files/dump#dump").unwrap().id.rule(), "backup");
        assert!(finding(world, "shop/http/basket").is_none());
    }
}
