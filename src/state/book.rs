//! The error book in the state: rows as the journal tells them, or counted here where there is none; and the list of its groups beside the
//! issues of trackers, each error once.
//!
//! What does not belong here: what an event makes of a group (`domain::book`), how a row looks (`ui`).

use std::collections::{BTreeMap, BTreeSet};

use super::Effect;
use super::findings;
use super::msg::{BookRows, Polled};
use super::world::{LOG_GROUPS, SourceState, World};
use crate::domain::book::Shown;
use crate::domain::{Capability, Data, Issue, SourceId, Timestamp};
use crate::sources::log::group;

/// Takes in what the journal keeps of a source's book.
pub(super) fn told(world: &mut World, rows: BookRows, now: Timestamp, effects: &mut Vec<Effect>) {
    // Before the journal is open this is what was last known: its findings were told then.
    let quiet = !world.book_kept;
    let Some(source) = world.sources.get_mut(&rows.source) else { return };
    let book = &mut source.book;
    (book.begun, book.upto) = (rows.begun.or(book.begun), rows.upto.max(book.upto));
    for (fingerprint, group) in rows.rows {
        match group {
            Some(group) => {
                book.groups.insert(fingerprint, group);
            }
            None => {
                book.groups.remove(&fingerprint);
            }
        }
    }
    book.bound(LOG_GROUPS);
    findings::review(world, &rows.source, now, quiet, effects);
}

/// Counts what a poll of ours brought, where no journal does.
pub(super) fn count(world: &mut World, polled: &Polled) {
    let Ok(collected) = &polled.result else { return };
    let release = world.sites.iter().find(|site| site.name == polled.source.site()).and_then(|site| site.release.clone());
    let Some(source) = world.sources.get_mut(&polled.source) else { return };
    for observation in &collected.observations {
        if let Data::Log(batch) = &observation.data {
            source.book.take(batch, polled.at, |at| release.as_ref().filter(|(_, deployed)| *deployed <= at).map(|(version, _)| version.clone()));
        }
    }
    source.book.bound(LOG_GROUPS);
}

/// When the version that runs was deployed.
#[must_use]
pub fn deploy(world: &World, source: &SourceId) -> Option<Timestamp> {
    world.sites.iter().find(|site| site.name == source.site())?.release.as_ref().map(|(_, at)| *at)
}

/// A group of a book in the shape of a tracker's issue.
#[must_use]
pub fn issue(shown: &Shown<'_>) -> Issue {
    let group = shown.group;
    let title = if group.title.is_empty() { "(no message)".to_owned() } else { group.title.clone() };
    Issue {
        id: group.fingerprint.clone(),
        short_id: short_id(&group.fingerprint),
        title,
        culprit: Some(group.culprit.clone()).filter(|culprit| !culprit.is_empty()),
        level: group.level,
        events: shown.count,
        users: None,
        first_seen: Some(shown.first_seen),
        last_seen: Some(shown.last_seen),
        state: shown.state,
        permalink: None,
        hours: shown.day.clone(),
        unhandled: None,
        assignee: None,
        priority: None,
        first_release: group.release.clone(),
    }
}

/// What people call a group: `log:9e1f`.
#[must_use]
pub fn short_id(fingerprint: &str) -> String {
    format!("log:{}", fingerprint.chars().take(4).collect::<String>())
}

/// One error of a log or mail box that has a row of its own.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The source that leads.
    pub source: &'a SourceState,
    /// It, as an issue.
    pub issue: Issue,
    /// Where it is seen too, and how often there.
    pub beside: Vec<(SourceId, u64)>,
}

/// The groups of all books, each error once, and what trackers tell of as well.
#[derive(Debug, Clone, Default)]
pub struct Rows<'a> {
    /// Those that no tracker tells of.
    pub own: Vec<Row<'a>>,
    /// Beside the issues of trackers, by source and issue: where they are seen too, and how often there.
    pub beside: BTreeMap<(SourceId, String), Vec<(SourceId, u64)>>,
}

/// Joins the books of these sources with each other and with the issues of the trackers of the same site.
#[must_use]
pub fn rows<'a>(world: &'a World, sources: &[&'a SourceState], now: Timestamp) -> Rows<'a> {
    let mut rows = Rows::default();
    let mut by_fingerprint: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let twins = Twins::of(world, sources.iter().map(|source| source.spec.id.site()));
    for source in sources.iter().filter(|source| source.spec.capability == Capability::Log) {
        let site = source.spec.id.site();
        for shown in source.book.all_shown(deploy(world, &source.spec.id), now) {
            let seen = (source.spec.id.clone(), shown.count);
            if let Some((tracker, issue)) = twins.find(site, &shown.group.title, &shown.group.culprit) {
                rows.beside.entry((tracker.spec.id.clone(), issue.id.clone())).or_default().push(seen);
            } else if let Some(place) = by_fingerprint.get(&(site, shown.group.fingerprint.as_str())) {
                rows.own[*place].beside.push(seen);
            } else {
                by_fingerprint.insert((site, &shown.group.fingerprint), rows.own.len());
                rows.own.push(Row { source, issue: issue(&shown), beside: Vec::new() });
            }
        }
    }
    rows
}

/// The tracker's issue that a group of a log is, where one tells of it.
#[must_use]
pub fn twin<'a>(world: &'a World, source: &SourceId, title: &str, culprit: &str) -> Option<(&'a SourceState, &'a Issue)> {
    Twins::of(world, [source.site()].into_iter()).find(source.site(), title, culprit)
}

/// Issues of trackers by site and class of their exception.
struct Twins<'a> {
    by_class: BTreeMap<(String, String), Vec<(&'a SourceState, &'a Issue)>>,
}

impl<'a> Twins<'a> {
    fn of<'s>(world: &'a World, sites: impl Iterator<Item = &'s str>) -> Self {
        let sites: BTreeSet<&str> = sites.collect();
        let mut by_class: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for source in world.sources.values().filter(|source| sites.contains(source.spec.id.site())) {
            for issue in source.issues.iter().flat_map(|(_, issues)| &issues.items) {
                let (class, _) = class_and_value(&issue.title);
                by_class.entry((source.spec.id.site().to_owned(), class.to_owned())).or_default().push((source, issue));
            }
        }
        Self { by_class }
    }

    fn find(&self, site: &str, title: &str, culprit: &str) -> Option<(&'a SourceState, &'a Issue)> {
        let (class, value) = class_and_value(title);
        let candidates = self.by_class.get(&(site.to_owned(), class.to_owned()))?;
        let value = group::values(value);
        candidates.iter().copied().find(|(_, issue)| {
            let (_, other) = class_and_value(&issue.title);
            // A tracker cuts long titles.
            let other = other.trim_end_matches(['…', '.']);
            let same = if other.len() >= 60 { value.starts_with(&group::values(other)) } else { value == group::values(other) };
            same && same_place(culprit, issue.culprit.as_deref().unwrap_or_default())
        })
    }
}

/// `("KeyError", "'currency'")` of `builtins.KeyError: 'currency'`; a message without a type has all of it as its value.
fn class_and_value(title: &str) -> (&str, &str) {
    match title.split_once(": ").unwrap_or((title, "")) {
        (kind, value) if !kind.contains(char::is_whitespace) => (group::class(kind), value),
        _ => ("", title),
    }
}

/// Module and function of a culprit: `("pricing", "total")` of `basket/pricing.py:88 in total` and of `basket.pricing in total`; `None`:
/// it names no place in code, as the route of a request.
fn place(culprit: &str) -> Option<(&str, &str)> {
    let (path, function) = culprit.split_once(" in ")?;
    let path = path.split(':').next().unwrap_or(path);
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    // Of a file the end is its kind, of a module its last part.
    let is_file = path.contains(['/', '\\']) || file.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("py"));
    let module = if is_file { file.split('.').next() } else { file.rsplit('.').next() };
    Some((module?, function.rsplit('.').next().unwrap_or(function)))
}

/// Whether two culprits may be the same place: one that names none contradicts nothing.
fn same_place(one: &str, other: &str) -> bool {
    match (place(one), place(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn culprits_of_logs_and_trackers_name_the_same_places() {
        for (log, tracker, same) in [
            ("basket/pricing.py:88 in total", "basket.pricing in total", true),
            ("basket/pricing.py:88 in total", "basket/pricing.py in Basket.total", true),
            ("basket/pricing.py:88 in total", "basket.pricing in discount", false),
            ("basket/pricing.py:88 in total", "shop.shipping in total", false),
            ("basket/pricing.py:88 in total", "/basket/{id}/", true),
            ("", "basket.pricing in total", true),
        ] {
            assert_eq!(same_place(log, tracker), same, "{log} / {tracker}");
        }
        assert_eq!(class_and_value("shop.errors.BasketError: bad basket 17"), ("BasketError", "bad basket 17"));
        assert_eq!(class_and_value("payment refused: order 17"), ("", "payment refused: order 17"));
    }
}
