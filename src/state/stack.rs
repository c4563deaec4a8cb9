//! The frames of an event as a sequence that keys walk: which of them are open, where the reader stands.
//!
//! Keys move in this sequence (the reducer) and lines are drawn from it (the pane), so that both mean the same frame. What does not
//! belong here: how a frame looks (`ui`), reading an event (`sources`).

use std::collections::BTreeMap;

use super::details::{Known, wanted};
use super::effect::FramePlace;
use super::{Effect, Page, Part, State, act};
use crate::domain::{ErrorEvent, Frame, Timestamp};
use crate::sources::{DetailBody, ItemKey};

/// From this width on two frames of one's own code are open from the start.
const WIDE: u16 = 120;
/// From this one on the detail stands beside the list, and is narrow again.
const DOUBLE: u16 = 190;

/// A place in the detail of an event at which keys stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// A frame: the number of its exception, and its own in it.
    Frame(usize, usize),
    /// The frames of an exception that are not the application's own, as one.
    Foreign(usize),
}

/// How far a frame is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// One line.
    Folded,
    /// With its source and the locals that its line names.
    Open,
    /// With all its locals.
    Whole,
}

/// How the reader has left the frames of an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackView {
    /// The key of the row that this is about; of another row nothing is changed.
    pub of: String,
    /// The number of the stop.
    pub at: usize,
    /// Frames that were opened or closed by hand.
    pub folds: BTreeMap<Stop, Fold>,
}

/// The top package of a frame: `rest_framework`.
#[must_use]
pub fn package(frame: &Frame) -> &str {
    let name = frame.module.as_deref().and_then(|module| module.split(['.', ':', '/']).find(|part| !part.is_empty()));
    name.or_else(|| frame.path.split('/').find(|part| !part.is_empty())).map_or("", |name| name.strip_suffix(".py").unwrap_or(name))
}

/// How far a frame is open, where `open` own frames are from the start.
#[must_use]
pub fn fold(event: &ErrorEvent, view: Option<&StackView>, stop: Stop, open: usize) -> Fold {
    if let Some(fold) = view.and_then(|view| view.folds.get(&stop)) {
        return *fold;
    }
    let Stop::Frame(exception, frame) = stop else { return Fold::Folded };
    let Some(place) = event.place() else { return Fold::Folded };
    if place == (exception, frame) {
        return Fold::Open;
    }
    let own = event.exceptions.get(exception).map_or(0, |one| one.frames.iter().take(frame).filter(|frame| frame.in_app).count());
    let is_own = event.exceptions.get(exception).and_then(|one| one.frames.get(frame)).is_some_and(|frame| frame.in_app);
    if place.0 == exception && is_own && own < open { Fold::Open } else { Fold::Folded }
}

/// The stops of an event in the order in which they are drawn: of each exception its own frames, then the others as one.
#[must_use]
pub fn stops(event: &ErrorEvent, view: Option<&StackView>) -> Vec<Stop> {
    let mut all = Vec::new();
    for (at, exception) in event.exceptions.iter().enumerate() {
        let numbered = || exception.frames.iter().enumerate();
        all.extend(numbered().filter(|(_, frame)| frame.in_app).map(|(frame, _)| Stop::Frame(at, frame)));
        if numbered().any(|(_, frame)| !frame.in_app) {
            all.push(Stop::Foreign(at));
            if view.and_then(|view| view.folds.get(&Stop::Foreign(at))).is_some_and(|fold| *fold != Fold::Folded) {
                all.extend(numbered().filter(|(_, frame)| !frame.in_app).map(|(frame, _)| Stop::Frame(at, frame)));
            }
        }
    }
    all
}

/// How many own frames are open from the start on a terminal of this width.
#[must_use]
pub const fn open_at(columns: u16) -> usize {
    if columns >= WIDE && columns < DOUBLE { 2 } else { 1 }
}

/// What is known of the selected item's event that is looked at; of the newest one while another is on its way.
#[must_use]
pub fn looked_at<'a>(state: &'a State, key: &ItemKey, part: Option<&str>) -> Option<(&'a Known, &'a ErrorEvent)> {
    let details = &state.shown().details;
    let event = |known: &'a Known| match &known.good.as_ref()?.1.body {
        DetailBody::Event(event) => Some((known, event.as_ref())),
        DetailBody::Lines(_) | DetailBody::Folder(_) | DetailBody::Notes(_) => None,
    };
    details.get(key, part).and_then(event).or_else(|| details.get(key, None).and_then(event))
}

/// The event of the selection.
#[must_use]
pub fn selected(state: &State) -> Option<&ErrorEvent> {
    if state.view.page != Page::Errors {
        return None;
    }
    let (key, part) = wanted(state)?;
    looked_at(state, &key, part.as_deref()).map(|(_, event)| event)
}

fn view_of(state: &mut State) -> Option<&mut StackView> {
    let row = act::selected_key(state)?.to_owned();
    let stack = &mut state.view.stack;
    if stack.of != row {
        *stack = StackView { of: row, ..StackView::default() };
    }
    Some(stack)
}

fn in_detail(state: &State) -> bool {
    state.view.focus == Part::Detail || state.view.detail_open
}

/// Walks the frames of the event in the detail; `false`: there are none, or none further.
pub(super) fn step(state: &mut State, by: isize) -> bool {
    if by.unsigned_abs() != 1 || !in_detail(state) || state.view.drawn.stops.is_empty() || selected(state).is_none() {
        return false;
    }
    let lines = state.view.drawn.stops.clone();
    let height = state.view.drawn.detail_height.max(1);
    let Some(stack) = view_of(state) else { return false };
    let here = stack.at.min(lines.len() - 1);
    let Some(there) = here.checked_add_signed(by).filter(|there| *there < lines.len()) else { return false };
    stack.at = there;
    let (line, list) = (lines[there], state.view.list_mut());
    // Some lines of what is open below it shall be seen too.
    if line < list.detail_offset {
        list.detail_offset = line.saturating_sub(1);
    } else if line + (height / 3) >= list.detail_offset + height {
        list.detail_offset = (line + height / 3 + 1).saturating_sub(height);
    }
    true
}

/// The stop under the cursor, with the event and how the reader has left it.
fn under_cursor(state: &State) -> Option<(&ErrorEvent, Option<&StackView>, Stop)> {
    if !in_detail(state) {
        return None;
    }
    let event = selected(state)?;
    let row = act::selected_key(state).unwrap_or_default();
    let view = Some(&state.view.stack).filter(|stack| stack.of == row);
    let all = stops(event, view);
    let stop = all.get(view.map_or(0, |view| view.at).min(all.len().saturating_sub(1))).copied()?;
    Some((event, view, stop))
}

/// Asks whether the file of the frame under the cursor is here, to open it in the person's editor; `false`: there is no such frame, or
/// no editor.
pub(super) fn edit(state: &State, effects: &mut Vec<Effect>) -> bool {
    let Some((event, _, Stop::Frame(exception, frame))) = under_cursor(state).filter(|_| state.view.editor) else { return false };
    let (Some((key, _)), Some(frame)) = (wanted(state), event.exceptions.get(exception).and_then(|one| one.frames.get(frame))) else { return false };
    let Some(line) = frame.line else { return false };
    effects.push(Effect::FindFrame(Box::new(FramePlace { source: key.source, path: frame.path.clone(), absolute: frame.absolute.clone(), line })));
    true
}

/// Opens the frame under the cursor further, or closes it; `false`: there is none.
pub(super) fn turn(state: &mut State) -> bool {
    let open = open_at(state.view.size.0);
    let Some((event, view, stop)) = under_cursor(state) else { return false };
    let locals = matches!(stop, Stop::Frame(exception, frame) if !event.exceptions[exception].frames[frame].locals.is_empty());
    let next = match fold(event, view, stop, open) {
        Fold::Folded => Fold::Open,
        Fold::Open if locals => Fold::Whole,
        Fold::Open | Fold::Whole => Fold::Folded,
    };
    if let Some(stack) = view_of(state) {
        stack.folds.insert(stop, next);
    }
    true
}

/// Goes to the event before or after this one; `false`: the selection has no events.
pub(super) fn neighbour(state: &mut State, forward: bool, now: Timestamp, effects: &mut Vec<Effect>) -> bool {
    let Some(event) = selected(state) else { return false };
    let to = if forward { event.next.clone() } else { event.previous.clone() };
    let Some(row) = act::selected_key(state).map(str::to_owned) else { return false };
    match to {
        Some(part) => {
            state.view.parts.insert(Page::Errors, (row, part));
            state.view.stack.folds.clear();
            super::details::look(state, now, effects);
        }
        None if forward => {
            // From the newest that was known, the newest that there is.
            state.view.parts.remove(&Page::Errors);
            act::toast(state, "this is the newest event".to_owned(), now);
        }
        None => act::toast(state, "this is the oldest event that is kept".to_owned(), now),
    }
    true
}

/// The frame under the cursor, as a line to copy: `basket/pricing.py:88 in Basket.total`.
pub(super) fn line(state: &State) -> Option<String> {
    if !in_detail(state) {
        return None;
    }
    let event = selected(state)?;
    let row = act::selected_key(state)?;
    let view = Some(&state.view.stack).filter(|stack| stack.of == row);
    let all = stops(event, view);
    let Stop::Frame(exception, frame) = *all.get(view.map_or(0, |view| view.at))? else { return None };
    let frame = event.exceptions.get(exception)?.frames.get(frame)?;
    Some(frame.function.as_ref().map_or_else(|| frame.place(), |function| format!("{} in {function}", frame.place())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Exception;
    use crate::sources::Detail;
    use crate::state::details::Told;
    use crate::state::update::update;
    use crate::state::{Command, Msg};
    use crate::ui::fixture::{id, now, story};

    fn frame(path: &str, in_app: bool) -> Frame {
        Frame { path: path.to_owned(), in_app, line: Some(1), locals: vec![("x".to_owned(), "1".to_owned())], ..Frame::default() }
    }

    fn event() -> ErrorEvent {
        let frames = vec![frame("a.py", true), frame("django/x.py", false), frame("b.py", true), frame("rest/y.py", false)];
        ErrorEvent {
            id: "e2".to_owned(),
            previous: Some("e1".to_owned()),
            exceptions: vec![Exception { frames, ..Exception::default() }],
            ..ErrorEvent::default()
        }
    }

    fn told() -> State {
        let mut state = story();
        state.view.page = Page::Errors;
        state.view.size = (80, 24);
        state.view.drawn.keys = vec!["shop/sentry/backend#4101".to_owned()];
        let key = ItemKey { source: id("shop/sentry/backend"), item: "4101".to_owned() };
        let detail = Detail { key: key.clone(), body: DetailBody::Event(Box::new(event())), link: None };
        update(&mut state, Msg::Detail(Box::new(Told { key, part: None, result: Some(Ok(detail)) })), now());
        state
    }

    #[test]
    fn own_frames_come_first_and_the_others_as_one() {
        use Stop::{Foreign, Frame};
        let event = event();
        assert_eq!(stops(&event, None), [Frame(0, 0), Frame(0, 2), Foreign(0)]);
        let mut view = StackView::default();
        view.folds.insert(Foreign(0), Fold::Open);
        assert_eq!(stops(&event, Some(&view)), [Frame(0, 0), Frame(0, 2), Foreign(0), Frame(0, 1), Frame(0, 3)]);
        let folds = |open| stops(&event, None).into_iter().map(|stop| fold(&event, None, stop, open)).collect::<Vec<_>>();
        assert_eq!(folds(1), [Fold::Open, Fold::Folded, Fold::Folded]);
        assert_eq!(folds(2), [Fold::Open, Fold::Open, Fold::Folded]);
        assert_eq!(package(&event.exceptions[0].frames[1]), "django");
    }

    #[test]
    fn keys_walk_frames_and_open_them_in_the_detail_only() {
        let mut state = told();
        update(&mut state, Msg::Command(Command::Enter), now());
        assert!(state.view.detail_open && state.view.stack.folds.is_empty(), "the first Enter gives the detail the page");
        state.view.drawn.stops = vec![2, 6, 7];
        state.view.drawn.detail_height = 20;
        update(&mut state, Msg::Command(Command::Down), now());
        assert_eq!(line(&state).as_deref(), Some("b.py:1"));
        for expected in [Fold::Open, Fold::Whole, Fold::Folded] {
            update(&mut state, Msg::Command(Command::Enter), now());
            assert_eq!(state.view.stack.folds[&Stop::Frame(0, 2)], expected);
        }
        update(&mut state, Msg::Command(Command::Up), now());
        assert_eq!(state.view.stack.at, 0);
    }

    #[test]
    fn enter_asks_for_the_file_where_there_is_an_editor_and_shows_the_frame_where_it_is_not_here() {
        let mut state = told();
        state.view.editor = true;
        update(&mut state, Msg::Command(Command::Enter), now());
        state.view.drawn.stops = vec![2, 6, 7];
        state.view.drawn.detail_height = 20;
        update(&mut state, Msg::Command(Command::Down), now());
        let asked = update(&mut state, Msg::Command(Command::Enter), now());
        let [Effect::FindFrame(place)] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!((place.path.as_str(), place.line, place.source.as_str()), ("b.py", 1, "shop/sentry/backend"));
        assert!(state.view.stack.folds.is_empty());
        let file = std::path::PathBuf::from("/srv/shop/b.py");
        assert_eq!(update(&mut state, Msg::FrameHere(Some(file.clone()), 1), now()), [Effect::Edit(file, 1)]);
        update(&mut state, Msg::FrameHere(None, 1), now());
        assert_eq!(state.view.stack.folds[&Stop::Frame(0, 2)], Fold::Open);
        // Many frames as one have no file; space shows a frame whatever there is.
        update(&mut state, Msg::Command(Command::Down), now());
        assert!(update(&mut state, Msg::Command(Command::Enter), now()).is_empty());
        assert_eq!(state.view.stack.folds[&Stop::Foreign(0)], Fold::Open);
    }

    #[test]
    fn the_events_before_and_after_are_asked_for_by_their_ids() {
        let mut state = told();
        let effects = update(&mut state, Msg::Command(Command::Left), now());
        assert!(effects.iter().any(|effect| matches!(effect, Effect::LookAt { part: Some(part), .. } if part == "e1")), "{effects:?}");
        assert_eq!(selected(&state).unwrap().id, "e2", "until it has come the newest is shown");
        let mut state = told();
        update(&mut state, Msg::Command(Command::Right), now());
        assert_eq!(state.view.toast.unwrap().text, "this is the newest event");
    }
}
