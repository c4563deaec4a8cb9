//! What runs where: deploys that sources tell of, beside those that people and scripts tell with `rounds deployed`.
//!
//! What does not belong here: which errors a release brought needs a person for (`rules::deploys`).

use super::msg::Polled;
use super::{Effect, World, findings};
use crate::domain::{Data, Issue, SourceId, Timestamp, Transition, TransitionKind};

/// An issue counts as new since a deploy also when its clock was so much behind ours.
const SKEW_S: i64 = 5;

/// Takes note of the release that a source says is in force. `before`: the versions that it told of the last time, where it did.
pub(super) fn told(world: &mut World, id: &SourceId, before: Option<Vec<String>>, followed: bool, effects: &mut Vec<Effect>) {
    let Some((_, releases)) = world.sources.get(id).and_then(|source| source.releases.as_ref()) else { return };
    let Some(site) = world.sites.iter_mut().find(|site| site.name == id.site()) else { return };
    let Some((release, at)) = releases.in_force(site.environment.as_deref()) else { return };
    // Whoever told the later deploy is right; of the same version the one who told it first.
    if site.release.as_ref().is_some_and(|(version, since)| *since >= at || version == release.said() || *version == release.version) {
        return;
    }
    site.release = Some((release.said().to_owned(), at));
    // What was there when we began to look is no news.
    if !followed && before.is_some_and(|before| !before.contains(&release.version)) {
        let kind = TransitionKind::Deploy { version: release.said().to_owned(), by: String::new() };
        let sentence = format!("deployed {}, as {} tells", release.said(), id.within_site());
        findings::note(world, effects, Transition { at, site: id.site().to_owned(), source: Some(id.clone()), kind, sentence });
    }
}

/// Whether a poll is a later part of a long list: the next one holds all that is worth keeping.
pub(super) fn goes_on(polled: &Polled) -> bool {
    let later = |data: &Data| matches!(data, Data::Issues(issues) if issues.from > 0);
    polled.result.as_ref().is_ok_and(|collected| collected.observations.iter().any(|observation| later(&observation.data)))
}

/// The last deploy of a site: its version and when.
#[must_use]
pub fn deployed<'a>(world: &'a World, site: &str) -> Option<(&'a str, Timestamp)> {
    let release = world.sites.iter().find(|one| one.name == site)?.release.as_ref()?;
    Some((&release.0, release.1))
}

/// Whether an issue was seen for the first time since the last deploy of the site of its source.
#[must_use]
pub fn new_since_deploy(world: &World, source: &SourceId, issue: &Issue) -> bool {
    let Some((_, at)) = deployed(world, source.site()) else { return false };
    issue.first_seen.is_some_and(|first| first >= at - chrono::Duration::seconds(SKEW_S))
}
