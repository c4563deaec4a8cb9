//! What is selected on the page, and how the selection moves.
//!
//! What does not belong here: what is done with it (`act`), what a row's key stands for (`item`).

use super::logview::Merged;
use super::{Page, Part, State, item};

/// Rows of a screen, less the context.
pub(super) fn screen(state: &State) -> isize {
    let drawn = &state.view.drawn;
    let rows = if state.view.focus == Part::Detail || state.view.detail_open { drawn.detail_height } else { drawn.height };
    isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1)
}

/// Moves the selection, or the detail's first line when the detail has the focus.
pub(super) fn step(state: &mut State, by: isize) {
    let view = &mut state.view;
    if view.focus == Part::Detail || view.detail_open {
        let last = view.drawn.detail_lines.saturating_sub(view.drawn.detail_height);
        let list = view.list_mut();
        list.detail_offset = list.detail_offset.saturating_add_signed(by).min(last);
        return;
    }
    let keys = std::mem::take(&mut view.drawn.keys);
    if !keys.is_empty() {
        let list = view.list_mut();
        let here = list.selected.as_ref().and_then(|key| keys.iter().position(|k| k == key)).unwrap_or_else(|| list.index.min(keys.len() - 1));
        let there = here.saturating_add_signed(by).min(keys.len() - 1);
        list.index = there;
        list.selected = Some(keys[there].clone());
        list.detail_offset = 0;
        // On the first row of page 0 the selection stays with the newest.
        if there == 0 && view.page == Page::Activity {
            view.list_mut().selected = None;
        }
    }
    view.drawn.keys = keys;
}

/// The key of the selected row, as it stood on the last frame.
#[must_use]
pub fn selected_key(state: &State) -> Option<&str> {
    let (list, keys) = (state.view.list(), &state.view.drawn.keys);
    match &list.selected {
        Some(key) if keys.contains(key) => Some(key),
        _ => keys.get(list.index.min(keys.len().saturating_sub(1))).map(String::as_str),
    }
}

/// The source that the selection is about.
#[must_use]
pub fn selected_source(state: &State) -> Option<crate::domain::SourceId> {
    let world = state.shown();
    if state.view.page == Page::Logs {
        let merged = Merged::new(world, &state.view);
        let (source, _) = merged.key(merged.position(state.view.log.selected.as_ref())?)?;
        return crate::domain::SourceId::parse(&source).ok();
    }
    let key = selected_key(state)?;
    if let Some(finding) = world.findings.iter().find(|f| f.id.as_str() == key) {
        return Some(finding.source.clone());
    }
    item::source(world, key).map(|source| source.spec.id.clone())
}

/// The finding that the selection is about.
#[must_use]
pub fn selected_finding(state: &State) -> Option<&crate::domain::Finding> {
    item::finding(state.shown(), selected_key(state)?)
}

pub(super) fn mark(state: &mut State) {
    if let Some(key) = selected_key(state).map(str::to_owned) {
        let marked = &mut state.view.list_mut().marked;
        if !marked.remove(&key) {
            marked.insert(key);
        }
        step(state, 1);
    }
}
