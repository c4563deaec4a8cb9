//! What a person may run: the list of actions, the confirmation, what runs, and its end.
//!
//! What does not belong here: running (`actions::runner`), drawing (`ui::overlays`).

use tui_input::Input;

use super::tries;
use super::world::{RUN_LINES, RUNS, Run, RunStep};
use super::{Command, Effect, Overlay, Prompt, PromptKind, State, World, act, browse, findings, offering};
use crate::actions::{ActionSpec, Order, Show, StepState, Target, audit, written};
use crate::domain::{ActionEnd, SourceId, Timestamp, Transition, TransitionKind};

/// How long asking to leave is remembered, in seconds.
const LEAVING: i64 = 6;

/// One row of the list of actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A run of ours, by its id.
    Run(String),
    /// What a source offers for what is marked or selected, by its place.
    Offer(usize),
    /// What can be run.
    Action(SourceId),
}

/// The actions of a source's site, the best fitting first; of equal ones as configured.
#[must_use]
pub fn offered<'w>(world: &'w World, source: &SourceId) -> Vec<&'w ActionSpec> {
    let mut actions: Vec<&ActionSpec> = world.actions.iter().filter(|action| action.id.site() == source.site()).collect();
    actions.extend(tries(world, source));
    actions.sort_by_key(|action| action.fit(source));
    actions
}

/// What can be tried with the copies of a data set.
fn tries<'w>(world: &'w World, source: &SourceId) -> impl Iterator<Item = &'w ActionSpec> {
    world.tries.iter().filter(move |action| action.id.site() == source.site() && action.fit(source) == 0)
}

/// An action by its id.
#[must_use]
pub fn find<'w>(world: &'w World, id: &SourceId) -> Option<&'w ActionSpec> {
    world.actions.iter().chain(&world.tries).find(|action| &action.id == id)
}

/// What runs after an action when all ends well, each once, in order.
#[must_use]
pub fn chain<'w>(world: &'w World, first: &ActionSpec) -> Vec<&'w ActionSpec> {
    let mut chain: Vec<&ActionSpec> = Vec::new();
    let mut next: Vec<&SourceId> = first.after.iter().rev().collect();
    while let Some(id) = next.pop() {
        if let Some(action) = find(world, id)
            && action.id != first.id
            && !chain.iter().any(|known| known.id == *id)
        {
            chain.push(action);
            next.extend(action.after.iter().rev());
        }
    }
    chain
}

/// Whether it, or what follows it, can do harm.
#[must_use]
pub fn is_dangerous(world: &World, action: &ActionSpec) -> bool {
    action.dangerous || chain(world, action).iter().any(|after| after.dangerous)
}

/// Whether the site is one that people use.
#[must_use]
pub fn is_production(world: &World, site: &str) -> bool {
    let environment = world.sites.iter().find(|known| known.name == site).and_then(|known| known.environment.as_deref());
    environment.is_some_and(|environment| environment.eq_ignore_ascii_case("production"))
}

/// Whether the name of the site has to be typed.
#[must_use]
pub fn needs_name(world: &World, action: &ActionSpec) -> bool {
    is_dangerous(world, action) && is_production(world, action.id.site())
}

/// The site that the reader looks at, where it is one.
fn site_here(state: &State) -> Option<String> {
    let of_source = act::selected_source(state).map(|id| id.site().to_owned());
    let only = || match state.world.sites.as_slice() {
        [one] => Some(one.name.clone()),
        _ => None,
    };
    of_source.or_else(|| state.view.site.clone()).or_else(only)
}

/// `x`: the list of what can be run here.
pub(super) fn open(state: &mut State, effects: &mut Vec<Effect>) {
    let (site, source) = (site_here(state), act::selected_source(state));
    let keys = offering::items_here(state);
    let items = keys.iter().map(|key| Target { key: key.clone(), name: offering::name(&state.world, key), undo: None }).collect();
    state.view.behind = None;
    state.view.overlay = Some(Overlay::Actions { site, source, items, offers: Vec::new(), undo: Vec::new(), selected: 0 });
    if !keys.is_empty() {
        effects.push(Effect::Offers(keys));
    }
}

/// The rows of the list: what runs, then what can be run, the best fitting first.
#[must_use]
pub fn rows(state: &State) -> Vec<Row> {
    let Some(Overlay::Actions { site, source, offers, .. }) = &state.view.overlay else { return Vec::new() };
    let here = |id: &SourceId| site.as_deref().is_none_or(|site| site == id.site());
    let world = &state.world;
    let running = world.runs.iter().rev().filter(|run| run.ended.is_none());
    let mut rows: Vec<Row> = running.map(|run| Row::Run(run.id.clone())).collect();
    rows.extend((0..offers.len()).map(Row::Offer));
    let mut actions: Vec<&ActionSpec> = world.actions.iter().filter(|action| here(&action.id)).collect();
    if let Some(source) = source {
        actions.extend(tries(world, source));
        actions.sort_by_key(|action| action.fit(source));
    }
    rows.extend(actions.into_iter().map(|action| Row::Action(action.id.clone())));
    rows
}

/// Runs of ours that have not ended.
fn running<'w>(world: &'w World, id: &SourceId) -> Option<&'w Run> {
    world.runs.iter().rev().find(|run| run.action == *id && run.ended.is_none())
}

/// The key of an action: that of the site here, else the only one that has it.
pub(super) fn key(state: &mut State, key: &str, now: Timestamp) {
    if state.view.read_only {
        return act::toast(state, "read-only: nothing is changed from here".to_owned(), now);
    }
    let here = site_here(state);
    let of_key: Vec<SourceId> = state.world.actions.iter().filter(|action| action.key.as_deref() == Some(key)).map(|action| action.id.clone()).collect();
    let chosen = match &here {
        Some(site) => of_key.iter().find(|id| id.site() == site),
        None => of_key.first().filter(|_| of_key.len() == 1),
    };
    match (chosen.cloned(), of_key.first()) {
        (Some(id), _) => choose(state, &id, now),
        (None, Some(other)) => {
            let text = format!("{key} is a key of {}: select something of that site", other.site());
            act::toast(state, text, now);
        }
        (None, None) => {}
    }
}

/// Another configuration has these actions. What was asked about an action that is another now is not asked any more: the answer
/// would be about something that was never shown.
pub(super) fn replaced(state: &mut State, actions: Vec<ActionSpec>) {
    let before = std::mem::replace(&mut state.world.actions, actions);
    let now = &state.world.actions;
    // What follows an action is part of the question.
    let same = |id: &SourceId| {
        let of = |all: &[ActionSpec]| all.iter().filter(|action| action.id.site() == id.site()).cloned().collect::<Vec<_>>();
        of(&before) == of(now)
    };
    let outdated = |overlay: &Option<Overlay>| matches!(overlay, Some(Overlay::Confirm { action, .. }) if !same(action));
    if outdated(&state.view.overlay) {
        state.view.overlay = None;
        state.view.behind = None;
        state.view.prompt = None;
    }
    if outdated(&state.view.behind) {
        state.view.behind = None;
    }
}

/// Asks whether an action shall run; one that runs already is shown.
pub(super) fn choose(state: &mut State, id: &SourceId, now: Timestamp) {
    if state.view.read_only {
        return act::toast(state, "read-only: nothing is changed from here".to_owned(), now);
    }
    let Some(action) = find(&state.world, id).cloned() else { return };
    let behind = state.view.overlay.take().filter(|overlay| matches!(overlay, Overlay::Actions { .. }));
    if state.world.untrusted.is_some() {
        // The list says why.
        state.view.overlay = Some(behind.unwrap_or(Overlay::Actions {
            site: Some(id.site().to_owned()),
            source: None,
            items: Vec::new(),
            offers: Vec::new(),
            undo: Vec::new(),
            selected: 0,
        }));
        return;
    }
    state.view.behind = behind;
    if let Some(run) = running(&state.world, id) {
        state.view.overlay = Some(Overlay::Output { run: run.id.clone(), above: 0, stopping: false });
        return;
    }
    // A restore that is tried takes the copy that was chosen.
    let answer = tries::drilled(&action).and_then(|source| browse::chosen(state, &source, now)).map(|copy| copy.name);
    state.view.overlay = Some(Overlay::Confirm { action: id.clone(), answer });
    state.view.prompt =
        if action.prompt.is_some() { Some(Prompt { kind: PromptKind::Answer, input: Input::default() }) } else { name_prompt(&state.world, &action) };
}

fn name_prompt(world: &World, action: &ActionSpec) -> Option<Prompt> {
    needs_name(world, action).then(|| Prompt { kind: PromptKind::SiteName, input: Input::default() })
}

/// A command while one of these overlays is in front; gives whether it was taken.
pub(super) fn in_front(state: &mut State, command: Command, now: Timestamp, effects: &mut Vec<Effect>) -> bool {
    match state.view.overlay {
        Some(Overlay::Actions { .. }) => in_list(state, command, now),
        Some(Overlay::Confirm { .. }) => match command {
            Command::Enter => {
                confirmed(state, now, effects);
                true
            }
            _ => false,
        },
        Some(Overlay::Offer(_)) => offering::in_front(state, command, now, effects),
        Some(Overlay::Output { .. }) => in_output(state, command, now, effects),
        _ => false,
    }
}

fn in_list(state: &mut State, command: Command, now: Timestamp) -> bool {
    let rows = rows(state);
    let Some(Overlay::Actions { selected, .. }) = &mut state.view.overlay else { return false };
    let last = rows.len().saturating_sub(1);
    match command {
        Command::Down => *selected = (*selected + 1).min(last),
        Command::Up => *selected = selected.saturating_sub(1),
        Command::PageDown | Command::Bottom => *selected = last,
        Command::PageUp | Command::Top => *selected = 0,
        Command::Actions => {
            act::close(state);
        }
        Command::Enter => match rows.get(*selected).cloned() {
            Some(Row::Run(run)) => {
                state.view.behind = state.view.overlay.take();
                state.view.overlay = Some(Overlay::Output { run, above: 0, stopping: false });
            }
            Some(Row::Offer(at)) => offering::choose(state, at),
            Some(Row::Action(id)) => choose(state, &id, now),
            None => {
                act::close(state);
            }
        },
        _ => return false,
    }
    true
}

/// Enter in the confirmation.
fn confirmed(state: &mut State, now: Timestamp, effects: &mut Vec<Effect>) {
    let Some(Overlay::Confirm { action, answer }) = state.view.overlay.clone() else { return };
    let Some(spec) = find(&state.world, &action).cloned() else { return };
    let typed = state.view.prompt.as_ref().map(|prompt| (prompt.kind, prompt.input.value().trim().to_owned()));
    match typed {
        Some((PromptKind::Answer, text)) => {
            if !text.is_empty() {
                state.view.overlay = Some(Overlay::Confirm { action, answer: Some(text) });
                state.view.prompt = name_prompt(&state.world, &spec);
            }
            return;
        }
        Some((PromptKind::SiteName, text)) if text != action.site() => return,
        _ => {}
    }
    state.view.prompt = None;
    state.view.overlay = None;
    state.view.behind = None;
    begin(state, &spec, answer, now, effects);
    if spec.output == Show::Show
        && let Some(run) = running(&state.world, &spec.id)
    {
        state.view.overlay = Some(Overlay::Output { run: run.id.clone(), above: 0, stopping: false });
    } else {
        act::toast(state, format!("{} runs", spec.title), now);
    }
}

/// Records that it begins, and asks for it to be run.
fn begin(state: &mut State, spec: &ActionSpec, answer: Option<String>, now: Timestamp, effects: &mut Vec<Effect>) {
    let by = state.view.person.clone();
    let world = &mut state.world;
    let id = run_id(&by, now, world.runs.len());
    let steps = tries::steps(spec, answer.as_deref());
    let record = audit::begun(spec, steps.clone(), &id, &by, now);
    findings::note(world, effects, record.clone());
    let steps = steps.iter().map(|step| RunStep { words: written(step), state: StepState::ToCome, began: None, ended: None }).collect();
    if world.runs.len() >= RUNS
        && let Some(oldest) = world.runs.iter().position(|run| run.ended.is_some())
    {
        world.runs.remove(oldest);
    }
    world.runs.push(Run {
        id: id.clone(),
        action: spec.id.clone(),
        title: spec.title.clone(),
        steps,
        limit: spec.timeout,
        record,
        lines: std::collections::VecDeque::new(),
        dropped: 0,
        ended: None,
        errand: None,
    });
    effects.push(Effect::RunAction(Box::new(Order { action: spec.id.clone(), run: id, by, answer, whole: false })));
}

/// What a restore or a check of ours told: its beginning and end are recorded, its evidence is judged too.
pub(super) fn tried(state: &mut State, told: Transition, now: Timestamp, effects: &mut Vec<Effect>) {
    let evidence = matches!(told.kind, TransitionKind::Drill(_) | TransitionKind::Checked(_)).then(|| told.source.clone()).flatten();
    findings::note(&mut state.world, effects, told);
    if let Some(source) = evidence {
        findings::review(&mut state.world, &source, now, false, effects);
        effects.push(Effect::Poll(source));
    }
}

/// Unique among all that share a journal: one person does not begin two things in one millisecond, but for a row of them.
#[must_use]
pub fn run_id(by: &str, now: Timestamp, nth: usize) -> String {
    format!("{by}@{}#{nth}", now.timestamp_millis())
}

fn in_output(state: &mut State, command: Command, now: Timestamp, effects: &mut Vec<Effect>) -> bool {
    let Some(Overlay::Output { run, above, stopping }) = &mut state.view.overlay else { return false };
    let Some(known) = state.world.runs.iter().find(|known| known.id == *run) else { return false };
    let (last, runs) = (known.lines.len().saturating_sub(1), known.ended.is_none());
    match command {
        // What a source was told cannot be called back on its way.
        Command::Interrupt if runs && !*stopping && known.errand.as_ref().is_none_or(crate::actions::Errand::can_stop) => *stopping = true,
        Command::Back if *stopping && runs => *stopping = false,
        Command::Enter if *stopping && runs => {
            effects.push(Effect::StopAction(run.clone()));
            *stopping = false;
            act::toast(state, "asked to end; what has not ended after 3 s is killed".to_owned(), now);
        }
        Command::Enter if runs => {}
        Command::Up => *above = (*above + 1).min(last),
        Command::PageUp => *above = (*above + 10).min(last),
        Command::Top => *above = last,
        Command::Down => *above = above.saturating_sub(1),
        Command::PageDown => *above = above.saturating_sub(10),
        Command::Bottom | Command::Follow => *above = 0,
        Command::Copy => {
            let text: Vec<&str> = known.lines.iter().map(String::as_str).collect();
            effects.push(Effect::Copy(text.join("\n")));
            act::toast(state, "copied".to_owned(), now);
        }
        Command::Enter => {
            act::close(state);
        }
        _ => return false,
    }
    true
}

/// Whether leaving may go on: what runs is stopped by it, so it is asked for twice then.
pub(super) fn may_leave(state: &mut State, now: Timestamp) -> bool {
    let Some(run) = state.world.runs.iter().find(|run| run.ended.is_none()) else { return true };
    if state.view.leaving.is_some_and(|until| now <= until) {
        return true;
    }
    let text = format!("{} runs, and leaving stops it: once more to leave", run.title);
    state.view.leaving = Some(now + chrono::Duration::seconds(LEAVING));
    act::toast(state, text, now);
    false
}

/// A step began or ended.
pub(super) fn step(world: &mut World, run: &str, step: usize, stands: StepState, now: Timestamp) {
    let Some(step) = world.runs.iter_mut().find(|known| known.id == run).and_then(|run| run.steps.get_mut(step)) else { return };
    step.state = stands;
    match stands {
        StepState::Running => step.began = Some(now),
        StepState::Done | StepState::Failed => step.ended = Some(now),
        StepState::ToCome => {}
    }
}

/// It printed something.
pub(super) fn output(world: &mut World, run: &str, lines: Vec<String>, dropped: u64) {
    let Some(run) = world.runs.iter_mut().find(|known| known.id == run) else { return };
    run.dropped += dropped;
    run.lines.extend(lines);
    while run.lines.len() > RUN_LINES {
        run.lines.pop_front();
        run.dropped += 1;
    }
}

/// It ended: recorded, told, what it was about is looked at again, and what follows it begins.
pub(super) fn ended(state: &mut State, run: &str, end: ActionEnd, now: Timestamp, effects: &mut Vec<Effect>) {
    let by = state.view.person.clone();
    let world = &mut state.world;
    let Some(known) = world.runs.iter_mut().find(|known| known.id == run && known.ended.is_none()) else { return };
    for step in known.steps.iter_mut().filter(|step| step.state == StepState::Running) {
        (step.state, step.ended) = (if end.ok { StepState::Done } else { StepState::Failed }, Some(now));
    }
    let mut end = end;
    if end.words == "stopped" {
        end.words = format!("stopped by {by}");
    }
    known.ended = Some((now, end.clone()));
    let (title, id, record) = (known.title.clone(), known.action.clone(), known.record.clone());
    if let Some(transition) = audit::ended(&record, end.clone(), &title, now) {
        findings::note(world, effects, transition);
    }
    let said = format!("{title}: {}", end.words);
    if end.ok {
        act::toast(state, said, now);
    } else {
        act::complain(state, said, now);
    }
    let Some(spec) = find(&state.world, &id).cloned() else { return };
    for source in &spec.poll {
        if state.world.sources.contains_key(source) {
            effects.push(Effect::Poll(source.clone()));
        }
    }
    if end.ok {
        for next in &spec.after {
            let Some(next) = find(&state.world, next).cloned() else { continue };
            if running(&state.world, &next.id).is_some() {
                continue;
            }
            begin(state, &next, None, now, effects);
            // Who looks on, looks on.
            if let Some(Overlay::Output { run: shown, above, .. }) = &mut state.view.overlay
                && shown == run
                && let Some(begun) = state.world.runs.last()
            {
                shown.clone_from(&begun.id);
                *above = 0;
            }
        }
    }
}
