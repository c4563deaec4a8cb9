//! The saved queries of trackers as tabs of page 3: `all`, then each by its name.
//!
//! What does not belong here: asking for them (`sources::sentry`), drawing them (`ui`).

use std::collections::BTreeSet;

use super::{Page, Part, State, View, World};

/// The names of the saved queries that the trackers on the screen have answered, in order, each once.
#[must_use]
pub fn names<'a>(world: &'a World, site: Option<&str>) -> Vec<&'a str> {
    let on_screen = world.sources.values().filter(|source| site.is_none_or(|site| source.spec.id.site() == site));
    let names: BTreeSet<&str> =
        on_screen.filter_map(|source| source.issues.as_ref()).flat_map(|(_, issues)| &issues.saved).map(|saved| saved.name.as_str()).collect();
    names.into_iter().collect()
}

/// The saved query that is shown; `None`: the whole list, also when the chosen one is not there any more.
#[must_use]
pub fn shown<'a>(world: &'a World, view: &View) -> Option<&'a str> {
    let chosen = view.saved.as_deref()?;
    names(world, view.site.as_deref()).into_iter().find(|name| *name == chosen)
}

/// Goes to the next tab or the one before, around the ends, where the list of page 3 has the focus and there are tabs. Gives whether it did.
pub(super) fn walk(state: &mut State, on: bool) -> bool {
    if state.view.page != Page::Errors || state.view.focus != Part::List || state.view.detail_open {
        return false;
    }
    let world = state.shown();
    let names = names(world, state.view.site.as_deref());
    if names.is_empty() {
        return false;
    }
    let tabs = names.len() + 1;
    let here = shown(world, &state.view).and_then(|name| names.iter().position(|known| *known == name)).map_or(0, |at| at + 1);
    let there = (if on { here + 1 } else { here + tabs - 1 }) % tabs;
    let chosen = there.checked_sub(1).and_then(|at| names.get(at)).map(|name| (*name).to_owned());
    state.view.saved = chosen;
    let list = state.view.list_mut();
    (list.selected, list.index, list.offset, list.detail_offset) = (None, 0, 0, 0);
    true
}

/// Leaves of a world only what a saved query gave.
pub fn only(world: &mut World, name: &str) {
    for (_, issues) in world.sources.values_mut().filter_map(|source| source.issues.as_mut()) {
        let found = std::mem::take(&mut issues.saved).into_iter().find(|saved| saved.name == name);
        (issues.total, issues.items) = found.map_or_else(Default::default, |saved| (saved.total, saved.items));
        issues.ids.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Saved;
    use crate::state::{Command, Msg, update::update};
    use crate::ui::fixture::{id, now, story};

    #[test]
    fn tabs_are_walked_in_a_circle_and_narrow_what_is_shown() {
        let mut state = story();
        state.view.page = Page::Errors;
        // Without saved queries the keys do nothing here.
        assert!(!walk(&mut state, true));
        let (_, issues) = state.world.sources.get_mut(&id("shop/sentry/backend")).unwrap().issues.as_mut().unwrap();
        let of = |name: &str, items: Vec<_>| Saved { name: name.to_owned(), query: "is:unresolved".to_owned(), total: 7, items };
        issues.saved = vec![of("mine", issues.items.iter().take(1).cloned().collect()), of("unhandled", vec![])];
        for expected in [Some("mine"), Some("unhandled"), None, Some("mine")] {
            let _ = update(&mut state, Msg::Command(Command::Right), now());
            assert_eq!(state.view.saved.as_deref(), expected);
        }
        let _ = update(&mut state, Msg::Command(Command::Left), now());
        assert_eq!(state.view.saved, None);
        state.view.saved = Some("gone".to_owned());
        assert_eq!(shown(&state.world, &state.view), None);
        // Another site has no tabs.
        assert!(names(&state.world, Some("blog")).is_empty());
        only(&mut state.world, "mine");
        let (_, issues) = state.world.sources[&id("shop/sentry/backend")].issues.as_ref().unwrap();
        assert_eq!((issues.total, issues.items.len(), issues.saved.len()), (7, 1, 0));
    }
}
