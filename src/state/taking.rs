//! Who takes a finding, for how long, and gives it back.
//!
//! What does not belong here: what an acknowledgement covers (`findings`, `domain::finding`), the verb (`cli::ack`).

use tui_input::Input;

use super::act::toast;
use super::selection::selected_finding;
use super::view::PromptKind;
use super::{Effect, Prompt, State, findings, item};
use crate::domain::{Acknowledgement, Bound, Timestamp, Transition, TransitionKind};

pub(super) fn prompt_for_finding(state: &mut State, kind: PromptKind, now: Timestamp) {
    if selected_finding(state).is_some() || !state.view.list().marked.is_empty() {
        let text = if kind == PromptKind::Snooze { "2h" } else { "" };
        state.view.prompt = Some(Prompt { kind, input: Input::new(text.to_owned()) });
    } else {
        toast(state, "there is no finding to take here".to_owned(), now);
    }
}

/// Acknowledges the marked findings, else the selected one.
pub(super) fn acknowledge(state: &mut State, why: &str, until: Option<Timestamp>, now: Timestamp, effects: &mut Vec<Effect>) {
    let marked = state.view.list().marked.clone();
    let ids: Vec<_> = if marked.is_empty() {
        selected_finding(state).map(|f| f.id.clone()).into_iter().collect()
    } else {
        // Several marked rows may be told of by one finding.
        let ids: std::collections::BTreeSet<_> = marked.iter().filter_map(|key| item::finding(&state.world, key)).map(|f| f.id.clone()).collect();
        ids.into_iter().collect()
    };
    let by = state.view.person.clone();
    for id in &ids {
        let bound = state.world.findings.iter().find(|f| &f.id == id).map(Bound::of);
        let ack = Acknowledgement { by: by.clone(), why: why.to_owned(), at: now, until, bound };
        if findings::acknowledge(&mut state.world, id, Some(ack.clone()), now) {
            effects.push(Effect::KeepAcknowledgement(id.clone(), Some(ack)));
            note_ack(state, id, format!("{by} acknowledged: {why}"), until, now, effects);
        }
    }
    state.view.list_mut().marked.clear();
    match ids.len() {
        0 => toast(state, "it is over meanwhile".to_owned(), now),
        1 => toast(state, "acknowledged".to_owned(), now),
        n => toast(state, format!("{n} acknowledged"), now),
    }
    if let Some(toast) = &mut state.view.toast {
        toast.undoable = !ids.is_empty();
    }
    state.view.undo = ids;
    state.view.undo_errands.clear();
}

fn note_ack(state: &mut State, id: &crate::domain::FindingId, sentence: String, until: Option<Timestamp>, now: Timestamp, effects: &mut Vec<Effect>) {
    let source = state.world.findings.iter().find(|f| &f.id == id).map(|f| f.source.clone());
    let site = source.as_ref().map(|s| s.site().to_owned()).unwrap_or_default();
    let kind = TransitionKind::Acknowledged { finding: id.clone(), by: state.view.person.clone(), until };
    findings::note(&mut state.world, effects, Transition { at: now, site, source, kind, sentence });
}

pub(super) fn undo(state: &mut State, now: Timestamp, effects: &mut Vec<Effect>) {
    if super::offering::undo(state, now, effects) {
        return;
    }
    let ids = std::mem::take(&mut state.view.undo);
    let mut undone = 0;
    for id in &ids {
        if findings::acknowledge(&mut state.world, id, None, now) {
            undone += 1;
            effects.push(Effect::KeepAcknowledgement(id.clone(), None));
            let by = state.view.person.clone();
            note_ack(state, id, format!("{by} gave it back"), None, now, effects);
        }
    }
    let text = if undone == 0 { "there is nothing to undo" } else { "undone: it is open again" };
    toast(state, text.to_owned(), now);
}
