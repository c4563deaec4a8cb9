//! Words of the errors page's filter that are asked of the issue itself: `is:new-since-deploy`, `release:4.2`, `level:error`.
//!
//! What does not belong here: reading a filter ([`matching`](super::matching)), the search language of a tracker (its `query` key).

use super::matching::Asked;
use super::{World, releases};
use crate::domain::{Issue, IssueState, SourceId};

/// What may stand before the colon.
pub const KEYS: [&str; 5] = ["is", "release", "level", "priority", "assigned"];

/// What may stand after `is:`.
const IS: [&str; 11] = ["new", "new-since-deploy", "regressed", "escalating", "ongoing", "unresolved", "archived", "resolved", "unhandled", "mine", "assigned"];

/// Whether such a word is true of an issue. One that is half typed is true where any of what it may become is; one that nobody knows is
/// true of nothing.
#[must_use]
pub fn holds(world: &World, person: &str, source: &SourceId, issue: &Issue, asked: &Asked) -> bool {
    let value = asked.value.as_str();
    if value.is_empty() {
        return true;
    }
    let begins = |word: &str| word.to_lowercase().starts_with(value);
    match asked.key {
        "is" if IS.contains(&value) => is(world, person, source, issue, value),
        "is" => IS.iter().filter(|word| word.starts_with(value)).any(|word| is(world, person, source, issue, word)),
        "release" => of_release(world, source, issue, value),
        "level" => begins(issue.level.word()),
        "priority" => issue.priority.as_deref().is_some_and(begins),
        "assigned" if value == "me" => is_mine(person, issue),
        "assigned" if value == "none" => issue.assignee.is_none(),
        "assigned" => issue.assignee.as_deref().is_some_and(|who| who.to_lowercase().contains(value)),
        _ => false,
    }
}

fn is(world: &World, person: &str, source: &SourceId, issue: &Issue, word: &str) -> bool {
    match word {
        "new-since-deploy" => releases::new_since_deploy(world, source, issue),
        "unresolved" => !matches!(issue.state, IssueState::Archived | IssueState::Resolved),
        "unhandled" => issue.unhandled == Some(true),
        "mine" => is_mine(person, issue),
        "assigned" => issue.assignee.is_some(),
        word => issue.state.word() == word,
    }
}

/// Whether it was first seen in a release of this name; `latest` is the one that runs.
fn of_release(world: &World, source: &SourceId, issue: &Issue, value: &str) -> bool {
    let first = issue.first_release.as_deref().map(str::to_lowercase);
    if value != "latest" {
        return first.is_some_and(|first| first.contains(value));
    }
    // A tracker writes `shop@4.2.1` of what is deployed as 4.2.1.
    let same = |first: &str, runs: &str| first == runs || first.split_once('@').is_some_and(|(_, version)| version == runs);
    let runs = releases::deployed(world, source.site()).map(|(version, _)| version.to_lowercase());
    match (first, runs) {
        (Some(first), Some(runs)) => same(&first, &runs),
        _ => releases::new_since_deploy(world, source, issue),
    }
}

/// Whether it is assigned to who sits here: by the whole name, or by what stands before the `@` of an address.
fn is_mine(person: &str, issue: &Issue) -> bool {
    let Some(who) = issue.assignee.as_deref().filter(|_| !person.is_empty()) else { return false };
    let name = |text: &str| text.split('@').next().unwrap_or_default().to_lowercase();
    name(who) == name(person)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::fixture::{ago, id, story};

    /// The short ids of the story's issues of which the word is true.
    fn those(word: &str) -> Vec<String> {
        let mut state = story();
        state.world.sites.iter_mut().find(|site| site.name == "shop").unwrap().release = Some(("v214".to_owned(), ago(780)));
        let backend = id("shop/sentry/backend");
        let (key, value) = word.split_once(':').unwrap();
        let key = KEYS.into_iter().find(|known| *known == key).unwrap();
        let asked = Asked { key, value: value.to_owned() };
        let (_, issues) = state.world.sources[&backend].issues.as_ref().unwrap();
        let of = |issue: &&Issue| holds(&state.world, "mara", &backend, issue, &asked);
        issues.items.iter().filter(of).map(|issue| issue.short_id.clone()).collect()
    }

    #[test]
    fn words_say_what_they_mean() {
        assert_eq!(those("is:new"), ["SHOP-4K2"]);
        assert_eq!(those("is:new-since-deploy"), ["SHOP-4K2"]);
        assert_eq!(those("release:latest"), ["SHOP-4K2"]);
        assert_eq!(those("is:unhandled"), ["SHOP-4K2"]);
        assert_eq!(those("priority:high"), ["SHOP-4K2"]);
        assert_eq!(those("is:regressed"), ["SHOP-31C"]);
        for word in ["is:mine", "assigned:me", "assigned:mar", "is:assigned"] {
            assert_eq!(those(word), ["SHOP-31C"], "{word}");
        }
        assert!(!those("assigned:none").contains(&"SHOP-31C".to_owned()));
        // Half typed, it narrows already; what nobody knows is true of nothing.
        assert_eq!(those("is:regr"), ["SHOP-31C"]);
        assert_eq!(those("is:").len(), those("level:").len());
        for word in ["is:odd", "release:v9", "level:odd"] {
            assert!(those(word).is_empty(), "{word}");
        }
    }

    #[test]
    fn without_a_deploy_nothing_is_new_since() {
        let mut state = story();
        for site in &mut state.world.sites {
            site.release = None;
        }
        let backend = id("shop/sentry/backend");
        let asked = Asked { key: "is", value: "new-since-deploy".to_owned() };
        let (_, issues) = state.world.sources[&backend].issues.as_ref().unwrap();
        assert!(!issues.items.iter().any(|issue| holds(&state.world, "", &backend, issue, &asked)));
    }
}
