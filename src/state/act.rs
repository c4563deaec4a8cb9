//! What a person's commands do: moving, filtering, opening, acknowledging.

use std::time::Duration;

use tui_input::{Input, InputRequest};

use super::logview;
use super::menu::Choice;
use super::view::{Paused, PromptKind};
use super::{Command, Effect, Overlay, Page, Part, Prompt, State, Toast, acting, command, item, selection, taking};
use crate::domain::Timestamp;
use crate::domain::time::{human, parse_duration};

pub(super) use super::selection::screen;
pub use super::selection::{selected_finding, selected_key, selected_source};

/// Days of the backups' calendar.
const CALENDAR_DAYS: u16 = 60;
/// How long a toast stays.
const TOAST: i64 = 6;
/// Longest text a prompt takes.
const PROMPT_CHARS: usize = 300;
/// The ranges of a graph, in hours.
pub const RANGES_H: [u64; 6] = [1, 3, 24, 24 * 7, 24 * 30, 24 * 365];

/// Does what a command says.
pub(super) fn command(state: &mut State, command: Command, now: Timestamp, effects: &mut Vec<Effect>) {
    if state.view.read_only && command::spec(command).is_some_and(|spec| spec.acts) {
        return toast(state, "read-only: nothing is changed from here".to_owned(), now);
    }
    if state.view.toast.is_some() && !matches!(command, Command::Undo) {
        state.view.toast = None;
    }
    if state.view.prompt.is_some() || state.view.overlay.is_some() {
        return in_front(state, command, now, effects);
    }
    if super::first_run::command(state, command, effects) {
        return;
    }
    if state.view.page == Page::Logs && logview::act::command(state, command, now, effects) {
        return;
    }
    match command {
        Command::Down | Command::Up => {
            let by = if command == Command::Down { 1 } else { -1 };
            if !super::stack::step(state, by) && !super::browse::step(state, by, now) {
                selection::step(state, by);
            }
        }
        Command::Top => selection::step(state, isize::MIN),
        Command::Bottom => selection::step(state, isize::MAX),
        Command::PageDown => selection::step(state, selection::screen(state)),
        Command::PageUp => selection::step(state, -selection::screen(state)),
        Command::HalfDown => selection::step(state, (selection::screen(state) / 2).max(1)),
        Command::HalfUp => selection::step(state, -(selection::screen(state) / 2).max(1)),
        Command::Left | Command::Right if super::saved::walk(state, command == Command::Right) => {}
        Command::Left | Command::Right if super::stack::neighbour(state, command == Command::Right, now, effects) => {}
        Command::Left | Command::Right if state.view.page == Page::Backups => {
            let back = state.view.day_back;
            state.view.day_back = if command == Command::Left { (back + 1).min(CALENDAR_DAYS - 1) } else { back.saturating_sub(1) };
            state.view.list_mut().detail_offset = 0;
            state.view.browse = super::browse::Browse::default();
        }
        Command::Left | Command::Right | Command::NextMatch | Command::PreviousMatch => {}
        Command::NextError | Command::PreviousError | Command::NextWarning | Command::PreviousWarning => {}
        Command::Level | Command::Wrap | Command::Bookmark | Command::Follow => {}
        Command::LogFilter | Command::LogExclude | Command::LogFilters | Command::LogFiles | Command::Remove | Command::Context => {}
        Command::ClearFromHere | Command::GoToTime | Command::Bookmarks | Command::NextBookmark | Command::PreviousBookmark => {}
        Command::NextPart => {
            state.view.focus = if state.view.focus == Part::List && state.view.drawn.detail { Part::Detail } else { Part::List };
        }
        Command::Enter if super::stack::edit(state, effects) => {}
        Command::Enter if super::stack::turn(state) || super::browse::enter(state, now) => {}
        Command::Enter => enter(state),
        Command::Back if super::browse::up(state, now) => {}
        Command::Back => {
            back(state);
        }
        Command::Quit | Command::Interrupt => {
            if !close(state) && acting::may_leave(state, now) {
                effects.push(Effect::Quit);
            }
        }
        Command::Page(page) => {
            state.view.page = page;
            state.view.detail_open = false;
            state.view.focus = Part::List;
            state.view.zoom = false;
        }
        Command::CommandLog => {
            state.view.page = Page::Activity;
            state.view.detail_open = false;
            state.view.focus = Part::List;
        }
        Command::Filter => {
            let kind = if state.view.page == Page::Logs { PromptKind::Search } else { PromptKind::Filter };
            let text = if kind == PromptKind::Search { state.view.log.search.clone() } else { state.view.list().filter.clone() };
            state.view.prompt = Some(Prompt { kind, input: Input::new(text) });
        }
        Command::Palette => {
            state.view.overlay = Some(Overlay::Palette { selected: 0 });
            state.view.prompt = Some(Prompt { kind: PromptKind::Palette, input: Input::default() });
        }
        Command::Help => {
            state.view.overlay = Some(Overlay::Help { selected: 0 });
            state.view.prompt = Some(Prompt { kind: PromptKind::Help, input: Input::default() });
        }
        Command::Why => {
            state.view.overlay = Some(if state.world.notices.is_empty() || selected_source(state).is_some() { Overlay::Why } else { Overlay::Notice });
        }
        Command::Poll => match selected_source(state) {
            Some(id) => {
                toast(state, format!("looking at {id} again"), now);
                state.world.details.outdate(&id);
                effects.push(Effect::Poll(id));
            }
            None => effects.push(Effect::PollAll),
        },
        Command::PollAll => {
            toast(state, "looking at everything again".to_owned(), now);
            effects.push(Effect::PollAll);
        }
        Command::Mark if super::stack::turn(state) => {}
        Command::Mark => selection::mark(state),
        Command::Sort => {
            let list = state.view.list_mut();
            list.sort = list.sort.wrapping_add(1);
        }
        Command::Timestamps => state.view.absolute = !state.view.absolute,
        Command::Pause => {
            state.view.paused = match state.view.paused.take() {
                Some(paused) => {
                    logview::act::carry_over(state, *paused.world);
                    None
                }
                None => Some(Paused { at: now, world: Box::new(state.world.clone()) }),
            };
        }
        Command::Zoom => state.view.zoom = !state.view.zoom,
        Command::Range => range(state, 1, true, now),
        Command::ZoomIn => range(state, -1, false, now),
        Command::ZoomOut => range(state, 1, false, now),
        Command::Actions => acting::open(state, effects),
        Command::Acknowledge => taking::prompt_for_finding(state, PromptKind::Acknowledge, now),
        Command::Snooze => taking::prompt_for_finding(state, PromptKind::Snooze, now),
        Command::Undo => taking::undo(state, now, effects),
        Command::Open => open(state, now, effects),
        Command::Copy => copy(state, now, effects),
        Command::Redraw => effects.push(Effect::Redraw),
        Command::Suspend => effects.push(Effect::Suspend),
    }
}

/// One sentence above the footer.
pub(super) fn toast(state: &mut State, text: String, now: Timestamp) {
    state.view.toast = Some(Toast { text, until: now + chrono::Duration::seconds(TOAST), trouble: false, undoable: false });
}

/// One sentence about what went wrong.
pub(super) fn complain(state: &mut State, text: String, now: Timestamp) {
    toast(state, text, now);
    if let Some(toast) = &mut state.view.toast {
        toast.trouble = true;
    }
}

/// A command while a prompt or an overlay is in front.
fn in_front(state: &mut State, command: Command, now: Timestamp, effects: &mut Vec<Effect>) {
    if acting::in_front(state, command, now, effects) {
        return;
    }
    let count = match state.view.overlay {
        Some(Overlay::Help { .. }) => super::menu::help_entries(state).len(),
        Some(Overlay::Palette { .. }) => super::menu::palette_entries(state).len(),
        Some(Overlay::LogList { list, .. }) => logview::lists::rows(state, list).len(),
        _ => 0,
    };
    if let Some(Overlay::LogList { list, selected }) = state.view.overlay
        && matches!(command, Command::Enter | Command::Mark | Command::Remove)
    {
        return logview::act::in_list(state, command, (list, selected), now, effects);
    }
    match command {
        Command::Back | Command::Interrupt => {
            close(state);
        }
        Command::Quit if state.view.prompt.is_none() => {
            close(state);
        }
        Command::Enter => submit(state, now, effects),
        Command::Down | Command::PageDown | Command::Up | Command::PageUp => {
            if let Some(Overlay::Help { selected } | Overlay::Palette { selected } | Overlay::LogList { selected, .. }) = &mut state.view.overlay {
                *selected = match command {
                    Command::Down => *selected + 1,
                    Command::PageDown => *selected + 10,
                    Command::Up => selected.saturating_sub(1),
                    _ => selected.saturating_sub(10),
                }
                .min(count.saturating_sub(1));
            }
        }
        Command::Why | Command::Help if state.view.prompt.is_none() => {
            close(state);
        }
        Command::Redraw => effects.push(Effect::Redraw),
        Command::Suspend => effects.push(Effect::Suspend),
        _ => {}
    }
}

/// Enter in a prompt or overlay.
fn submit(state: &mut State, now: Timestamp, effects: &mut Vec<Effect>) {
    let chosen = match &state.view.overlay {
        Some(Overlay::Help { selected }) => super::menu::help_entries(state).get(*selected).map(|spec| (Choice::Run(spec.command), None)),
        Some(Overlay::Palette { selected }) => super::menu::palette_entries(state).into_iter().nth(*selected).map(|entry| (entry.choice, entry.disabled)),
        _ => None,
    };
    if matches!(state.view.overlay, Some(Overlay::Help { .. } | Overlay::Palette { .. })) {
        state.view.overlay = None;
        state.view.prompt = None;
        match chosen {
            Some((_, Some(reason))) => toast(state, format!("not here: {reason}"), now),
            Some((Choice::Run(chosen), None)) => command(state, chosen, now, effects),
            Some((Choice::Act(id), None)) => acting::choose(state, &id, now),
            Some((Choice::Notice, None)) => state.view.overlay = Some(Overlay::Notice),
            Some((Choice::Errors(filter), None)) => {
                command(state, Command::Page(Page::Errors), now, effects);
                filter.clone_into(&mut state.view.list_mut().filter);
            }
            Some((Choice::Site(site), None)) => state.view.site = site,
            Some((Choice::Poll(id), None)) => {
                toast(state, format!("looking at {id} again"), now);
                effects.push(Effect::Poll(id));
            }
            None => {}
        }
        return;
    }
    let Some(prompt) = state.view.prompt.take() else {
        state.view.overlay = None;
        return;
    };
    let text = prompt.input.value().trim().to_owned();
    match prompt.kind {
        PromptKind::Filter => state.view.list_mut().filter = text,
        kind @ (PromptKind::Search | PromptKind::LogFilter | PromptKind::LogTime) => {
            logview::act::submit(state, kind, &text, now, effects);
        }
        PromptKind::Acknowledge => {
            if text.is_empty() {
                toast(state, "nothing acknowledged: a reason is needed".to_owned(), now);
            } else {
                taking::acknowledge(state, &text, None, now, effects);
            }
        }
        PromptKind::Snooze => match parse_duration(&text) {
            Ok(time) if !time.is_zero() => {
                let until = chrono::Duration::from_std(time).ok().and_then(|time| now.checked_add_signed(time));
                match until {
                    Some(until) => taking::acknowledge(state, &format!("snoozed for {}", human(time)), Some(until), now, effects),
                    None => toast(state, "not snoozed: that is too long".to_owned(), now),
                }
            }
            Ok(_) => toast(state, "not snoozed: for how long?".to_owned(), now),
            Err(error) => toast(state, format!("not snoozed: {error}"), now),
        },
        PromptKind::Palette | PromptKind::Help | PromptKind::Answer | PromptKind::SiteName => {}
    }
}

/// Closes what is in front: overlay or prompt, then an opened detail, a zoom, a kept filter, a pause. Gives whether there was anything.
pub(super) fn close(state: &mut State) -> bool {
    let view = &mut state.view;
    if view.overlay.take().is_some() {
        view.prompt = None;
        view.overlay = view.behind.take();
        return true;
    }
    if let Some(prompt) = view.prompt.take() {
        match prompt.kind {
            PromptKind::Filter => view.list_mut().filter.clear(),
            PromptKind::Search => view.log.search.clear(),
            PromptKind::LogFilter => view.log.editing = None,
            _ => {}
        }
        return true;
    }
    back(state)
}

/// Esc on the page itself.
fn back(state: &mut State) -> bool {
    let view = &mut state.view;
    if view.detail_open {
        view.detail_open = false;
        view.focus = Part::List;
        view.browse = super::browse::Browse::default();
        view.list_mut().detail_offset = 0;
    } else if view.zoom {
        view.zoom = false;
    } else if view.page == Page::Logs && !view.log.search.is_empty() {
        view.log.search.clear();
    } else if !view.list().filter.is_empty() {
        view.list_mut().filter.clear();
    } else if view.focus == Part::Detail {
        view.focus = Part::List;
    } else {
        return false;
    }
    true
}

fn enter(state: &mut State) {
    if !state.view.drawn.keys.is_empty() {
        if !state.view.detail_open {
            state.view.browse = super::browse::Browse::default();
        }
        // What somebody looks into stays, however the rows are sorted meanwhile.
        if state.view.page == Page::Backups {
            let key = selected_key(state).map(str::to_owned);
            state.view.list_mut().selected = key;
        }
        state.view.detail_open = true;
        state.view.focus = Part::Detail;
    }
}

fn range(state: &mut State, by: isize, round: bool, now: Timestamp) {
    let current = state.view.range.map_or(3, |range| range.as_secs() / 3_600);
    let place = RANGES_H.iter().position(|h| *h >= current).unwrap_or(0);
    let next = place.saturating_add_signed(by);
    let next = if round { next % RANGES_H.len() } else { next.min(RANGES_H.len() - 1) };
    state.view.range = Some(Duration::from_secs(RANGES_H[next] * 3_600));
    toast(state, format!("range {}", human(Duration::from_secs(RANGES_H[next] * 3_600))), now);
}

/// The link of the selected thing: its runbook, else the address of its site.
fn open(state: &mut State, now: Timestamp, effects: &mut Vec<Effect>) {
    let world = state.shown();
    let of_item = selected_key(state).and_then(|key| item::link(world, key));
    let link = of_item.or_else(|| selected_finding(state).and_then(|f| f.runbook.clone())).or_else(|| {
        let id = selected_source(state)?;
        let runbook = world.sources.get(&id).and_then(|s| s.spec.runbook.clone());
        runbook.or_else(|| world.sites.iter().find(|s| s.name == id.site()).and_then(|s| s.url.clone()))
    });
    match link {
        Some(link) => {
            toast(state, link.clone(), now);
            effects.push(Effect::Open(link));
        }
        None => toast(state, "it has no link: `runbook` or the site's `url` gives it one".to_owned(), now),
    }
}

fn copy(state: &mut State, now: Timestamp, effects: &mut Vec<Effect>) {
    if state.view.page == Page::Backups
        && let Some((source, copy)) = restorable(state, now)
    {
        toast(state, format!("the command that restores {} is copied", copy.name), now);
        effects.push(Effect::CopyRestore(source, Box::new(copy)));
        return;
    }
    let text = if let Some(line) = super::stack::line(state) {
        Some(line)
    } else if let Some(line) = selected_key(state).and_then(|key| item::line(state.shown(), key)) {
        Some(line)
    } else if let Some(finding) = selected_finding(state) {
        Some(format!("{} {}: {}", finding.id, finding.title, finding.detail))
    } else {
        selected_key(state).map(str::to_owned)
    };
    match text {
        Some(text) => {
            toast(state, "copied".to_owned(), now);
            effects.push(Effect::Copy(text));
        }
        None => toast(state, "there is nothing to copy".to_owned(), now),
    }
}

/// The copy that the reader looks at, where it can be restored from here.
fn restorable(state: &State, now: Timestamp) -> Option<(crate::domain::SourceId, crate::domain::Copy)> {
    let source = selected_source(state)?;
    let (_, backup) = state.shown().sources.get(&source)?.backup.as_ref()?;
    let id = super::tries::id(crate::backups::schedule::Job::Drill, &source)?;
    acting::find(&state.world, &id)?;
    Some((source.clone(), super::browse::copy(backup, &state.view, &source, state.shown_at(now))?))
}

/// A change of the text in the open prompt; a filter narrows as one types.
pub(super) fn edit(state: &mut State, request: InputRequest) {
    let Some(prompt) = &mut state.view.prompt else { return };
    if matches!(request, InputRequest::InsertChar(c) if c.is_control() || prompt.input.value().chars().count() >= PROMPT_CHARS) {
        return;
    }
    prompt.input.handle(request);
    edited(state);
}

/// Pasted text goes into the open prompt as one line, without control characters.
pub(super) fn paste(state: &mut State, text: &str) {
    let Some(prompt) = &mut state.view.prompt else { return };
    let room = PROMPT_CHARS.saturating_sub(prompt.input.value().chars().count());
    for c in text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !c.is_control()).take(room) {
        prompt.input.handle(InputRequest::InsertChar(c));
    }
    edited(state);
}

fn edited(state: &mut State) {
    let Some(prompt) = &state.view.prompt else { return };
    let text = prompt.input.value().to_owned();
    match prompt.kind {
        PromptKind::Filter => state.view.list_mut().filter = text,
        PromptKind::Search => state.view.log.search = text,
        PromptKind::Palette | PromptKind::Help => {
            if let Some(Overlay::Help { selected } | Overlay::Palette { selected }) = &mut state.view.overlay {
                *selected = 0;
            }
        }
        PromptKind::Acknowledge | PromptKind::Snooze | PromptKind::Answer | PromptKind::SiteName | PromptKind::LogFilter | PromptKind::LogTime => {}
    }
}

/// A click: on a digit of the footer its page, on a row of the list that row.
pub(super) fn click(state: &mut State, column: u16, row: u16, now: Timestamp, effects: &mut Vec<Effect>) {
    let drawn = &state.view.drawn;
    if row + 1 == state.view.size.1 {
        let page = drawn.digits.iter().find(|(first, last, _)| (*first..=*last).contains(&column)).map(|(_, _, page)| *page);
        if let Some(page) = page {
            command(state, Command::Page(page), now, effects);
        }
        return;
    }
    if row >= drawn.top && usize::from(row - drawn.top) < drawn.height {
        let place = drawn.offset + usize::from(row - drawn.top);
        if let Some(key) = drawn.keys.get(place).cloned() {
            if state.view.page == Page::Logs {
                state.view.log.selected = key.rsplit_once('#').and_then(|(id, seq)| Some((id.to_owned(), seq.parse().ok()?)));
                return;
            }
            let list = state.view.list_mut();
            list.index = place;
            list.selected = Some(key);
            list.detail_offset = 0;
        }
    }
}
