//! What the keys of the logs page do.
//!
//! What does not belong here: what means the same on every page (`state::act`).

use tui_input::Input;

use super::back::{LogBack, Way};
use super::filters::{self, LogFilter};
use super::lists::{self, Row};
use super::moment::parse_moment;
use super::{Merged, Seek, follow, next_tab};
use crate::domain::{Level, LogPast, LogQuery, SourceError, SourceId, Timestamp};
use crate::state::act::{complain, screen, toast};
use crate::state::view::{Awaiting, Bookmark};
use crate::state::{Command, Effect, LogList, LogState, Overlay, Page, Prompt, PromptKind, State};

/// Bookmarks kept at once.
const BOOKMARKS: usize = 200;
/// Characters of a message that a bookmark keeps.
const REMEMBERED: usize = 200;
/// Events of a page that is read back: while scrolling, and while something is looked for.
const PAGE: usize = 500;
const LONG_PAGE: usize = 5_000;
/// Pages that one key may have read: while scrolling, and while something is looked for.
const SCROLLED: u32 = 20;
const SOUGHT: u32 = 400;
/// How many events around a match `C` shows, one after the other.
const CONTEXT: [u8; 4] = [0, 2, 5, 10];

/// Commands of the logs page; gives `false` for those that mean the same everywhere.
pub(in crate::state) fn command(state: &mut State, command: Command, now: Timestamp, effects: &mut Vec<Effect>) -> bool {
    // What keys act on is what is there now, looked at once.
    follow(state);
    let upward = matches!(command, Command::Up | Command::Top | Command::PageUp | Command::HalfUp);
    let moves = upward || matches!(command, Command::Down | Command::Bottom | Command::PageDown | Command::HalfDown | Command::Follow | Command::Back);
    if moves && state.view.log.sought.take().is_some() && command == Command::Back {
        toast(state, "reading back was stopped".to_owned(), now);
        return true;
    }
    let known = dispatch(state, command, now, effects);
    if known && (moves || state.view.log.sought.is_some()) {
        state.view.log.budget = if state.view.log.sought.is_some() { SOUGHT } else { SCROLLED };
        go_on(state, upward, effects);
    }
    known
}

fn dispatch(state: &mut State, command: Command, now: Timestamp, effects: &mut Vec<Effect>) -> bool {
    match command {
        Command::Down => step(state, 1),
        Command::Up => step(state, -1),
        Command::Top => step(state, isize::MIN),
        Command::Bottom => state.view.log.selected = None,
        Command::Follow => toggle_follow(state, now),
        Command::PageDown => step(state, screen(state)),
        Command::PageUp => step(state, -screen(state)),
        Command::HalfDown => step(state, (screen(state) / 2).max(1)),
        Command::HalfUp => step(state, -(screen(state) / 2).max(1)),
        Command::Left | Command::Right => {
            if let Some(tab) = next_tab(state.shown(), &state.view, command == Command::Right) {
                state.view.log.site = Some(tab);
                state.view.log.selected = None;
            }
        }
        Command::NextError => seek(state, true, Seek::Error, now),
        Command::PreviousError => seek(state, false, Seek::Error, now),
        Command::NextWarning => seek(state, true, Seek::Warning, now),
        Command::PreviousWarning => seek(state, false, Seek::Warning, now),
        Command::NextMatch => seek_match(state, true, now),
        Command::PreviousMatch => seek_match(state, false, now),
        Command::NextBookmark => seek_bookmark(state, true, now),
        Command::PreviousBookmark => seek_bookmark(state, false, now),
        Command::Level => {
            state.view.log.level = match state.view.log.level {
                None => Some(Level::Info),
                Some(Level::Debug | Level::Info) => Some(Level::Warning),
                Some(Level::Warning) => Some(Level::Error),
                Some(Level::Error | Level::Critical) => None,
            };
        }
        Command::Wrap => state.view.log.wrap = !state.view.log.wrap,
        Command::Bookmark | Command::Mark => bookmark(state, now),
        Command::Enter => {
            if let Some(key) = selected(state)
                && !state.view.log.unfolded.remove(&key)
            {
                state.view.log.unfolded.insert(key);
            }
        }
        Command::LogFilter => ask(state, PromptKind::LogFilter, ""),
        Command::LogExclude => ask(state, PromptKind::LogFilter, "!"),
        Command::GoToTime => ask(state, PromptKind::LogTime, ""),
        Command::LogFilters => list(state, LogList::Filters, "there is no filter", now),
        Command::Bookmarks => list(state, LogList::Bookmarks, "nothing is bookmarked", now),
        Command::LogFiles => list(state, LogList::Files, "no log is watched", now),
        Command::Remove => match state.view.log.filters.pop() {
            Some(filter) => toast(state, format!("removed the filter {}", filter.text), now),
            None => toast(state, "there is no filter to remove".to_owned(), now),
        },
        Command::Context => {
            let place = CONTEXT.iter().position(|around| *around == state.view.log.context).unwrap_or(0);
            state.view.log.context = CONTEXT[(place + 1) % CONTEXT.len()];
            let said = match state.view.log.context {
                0 => "only lines that match".to_owned(),
                around => format!("{around} lines around each that matches the filters and the level"),
            };
            toast(state, said, now);
        }
        Command::ClearFromHere => clear(state, now),
        Command::Copy => copy(state, now, effects),
        _ => return false,
    }
    true
}

fn ask(state: &mut State, kind: PromptKind, text: &str) {
    state.view.log.editing = None;
    state.view.prompt = Some(Prompt { kind, input: Input::new(text.to_owned()) });
}

fn list(state: &mut State, list: LogList, empty: &str, now: Timestamp) {
    if lists::rows(state, list).is_empty() {
        return toast(state, empty.to_owned(), now);
    }
    state.view.overlay = Some(Overlay::LogList { list, selected: 0 });
}

/// The key of the selected entry.
fn selected(state: &State) -> Option<(String, u64)> {
    let merged = Merged::new(state.shown(), &state.view);
    merged.key(merged.position(state.view.log.selected.as_ref())?)
}

fn step(state: &mut State, by: isize) {
    let selected = {
        let merged = Merged::new(state.shown(), &state.view);
        let Some(here) = merged.position(state.view.log.selected.as_ref()) else { return };
        let there = here.saturating_add_signed(by).min(merged.entries().len().saturating_sub(1));
        // What is not in memory is read before one goes on over it.
        let edge = merged.gaps.iter().filter(|(before, gap)| gap.readable && here < *before && *before <= there).map(|(before, _)| before - 1).min();
        edge.map_or_else(|| merged.select(there), |edge| merged.key(edge))
    };
    state.view.log.selected = selected;
}

/// Says what a jump downward left out because it is not in memory.
fn tell_of_gap(state: &mut State, from: usize, now: Timestamp) {
    let over: u64 = {
        let merged = Merged::new(state.shown(), &state.view);
        let here = merged.position(state.view.log.selected.as_ref()).unwrap_or(from);
        merged.gaps.iter().filter(|(before, _)| from < *before && *before <= here).map(|(_, gap)| gap.events).sum()
    };
    if over > 0 {
        toast(state, format!("{over} events between are not in memory and were not looked at"), now);
    }
}

fn toggle_follow(state: &mut State, now: Timestamp) {
    if state.view.log.selected.take().is_some() {
        return;
    }
    if let Some(key) = selected(state) {
        state.view.log.selected = Some(key);
        toast(state, "stays here; what comes is counted above".to_owned(), now);
    }
}

fn seek(state: &mut State, forward: bool, what: Seek, now: Timestamp) {
    let (here, found) = {
        let merged = Merged::new(state.shown(), &state.view);
        let Some(here) = merged.position(state.view.log.selected.as_ref()) else { return };
        (here, merged.seek(here, what, forward).map(|there| merged.select(there)))
    };
    match found {
        Some(there) => {
            state.view.log.selected = there;
            tell_of_gap(state, here, now);
        }
        None if !forward && look_back(state, Awaiting::Seek(what)) => {}
        None => {
            let noun = if what == Seek::Error { "error" } else { "warning" };
            let way = if forward { "below" } else { "above" };
            toast(state, format!("no {noun} {way} this line"), now);
        }
    }
}

/// The next or previous match; at the end it goes on at the other one, and says so.
fn seek_match(state: &mut State, forward: bool, now: Timestamp) {
    if state.view.log.search.is_empty() {
        return toast(state, "nothing is searched for: / searches".to_owned(), now);
    }
    let (here, there, wrapped) = {
        let merged = Merged::new(state.shown(), &state.view);
        let Some(here) = merged.position(state.view.log.selected.as_ref()) else { return };
        let all = merged.entries();
        match merged.seek(here, Seek::Match, forward) {
            Some(there) => (here, Some(merged.select(there)), false),
            None if forward => (here, all.iter().position(|entry| entry.found).map(|there| merged.select(there)), true),
            None => (here, all.iter().rposition(|entry| entry.found).map(|there| merged.select(there)), true),
        }
    };
    if !forward && (wrapped || there.is_none()) && look_back(state, Awaiting::Seek(Seek::Match)) {
        return;
    }
    match there {
        None => complain(state, format!("{} is not in these lines", state.view.log.search), now),
        Some(there) => {
            state.view.log.selected = there;
            if wrapped {
                let from = if forward { "first" } else { "last" };
                toast(state, format!("the search went round: this is the {from} match"), now);
            } else {
                tell_of_gap(state, here, now);
            }
        }
    }
}

/// After a search was typed: the line itself, else the nearest match above, else the first below.
fn first_match(state: &mut State, now: Timestamp) {
    let (there, any) = {
        let merged = Merged::new(state.shown(), &state.view);
        let Some(here) = merged.position(state.view.log.selected.as_ref()) else { return };
        if merged.entries().get(here).is_some_and(|entry| entry.found) {
            return;
        }
        let there = merged.seek(here, Seek::Match, false).or_else(|| merged.seek(here, Seek::Match, true));
        (there.map(|there| merged.select(there)), merged.index.found > 0)
    };
    match there {
        Some(there) => state.view.log.selected = there,
        None if any || look_back(state, Awaiting::Seek(Seek::Match)) => {}
        None => complain(state, format!("{} is not in these lines", state.view.log.search), now),
    }
}

fn bookmark(state: &mut State, now: Timestamp) {
    let Some(key) = selected(state) else { return };
    if state.view.log.bookmarks.remove(&key).is_some() {
        return;
    }
    if state.view.log.bookmarks.len() >= BOOKMARKS {
        return complain(state, format!("no more than {BOOKMARKS} bookmarks are kept: remove some in the list"), now);
    }
    let marked = {
        let merged = Merged::new(state.shown(), &state.view);
        let event = merged.holding(&key).and_then(|index| merged.entries().get(index)).and_then(|entry| merged.event(entry));
        event.map(|event| Bookmark { at: event.at, level: event.level, message: event.message.chars().take(REMEMBERED).collect() })
    };
    if let Some(marked) = marked {
        state.view.log.bookmarks.insert(key, marked);
    }
}

fn seek_bookmark(state: &mut State, forward: bool, now: Timestamp) {
    let there = {
        let merged = Merged::new(state.shown(), &state.view);
        let Some(here) = merged.position(state.view.log.selected.as_ref()) else { return };
        let mut places: Vec<usize> = state.view.log.bookmarks.keys().filter_map(|key| merged.holding(key)).collect();
        places.sort_unstable();
        let there = if forward { places.into_iter().find(|place| *place > here) } else { places.into_iter().rfind(|place| *place < here) };
        there.map(|there| merged.key(there))
    };
    match there {
        Some(there) => state.view.log.selected = there,
        None => toast(state, format!("no bookmark {} this line", if forward { "below" } else { "above" }), now),
    }
}

/// Hides what is above the selected line, or all that came while following; again shows it.
fn clear(state: &mut State, now: Timestamp) {
    if state.view.log.cleared.take().is_some() {
        return toast(state, "what was hidden above is shown again".to_owned(), now);
    }
    let from = {
        let merged = Merged::new(state.shown(), &state.view);
        let at = merged.position(state.view.log.selected.as_ref()).and_then(|index| merged.entries().get(index)).map(|entry| entry.at);
        match (state.view.log.selected.is_some(), at) {
            (true, at) => at,
            (false, at) => at.map(|at| at.max(now).max(merged.entries().last().map_or(at, |last| last.at))),
        }
    };
    let Some(from) = from else { return toast(state, "there is nothing to hide".to_owned(), now) };
    let following = state.view.log.selected.is_none();
    state.view.log.cleared = Some(if following { from + chrono::TimeDelta::milliseconds(1) } else { from });
    toast(state, "cleared: what is above is hidden until the same key shows it again".to_owned(), now);
}

/// The whole event: time, level and text as they were read, with all the lines under it.
fn copy(state: &mut State, now: Timestamp, effects: &mut Vec<Effect>) {
    let copied = {
        let merged = Merged::new(state.shown(), &state.view);
        merged.position(state.view.log.selected.as_ref()).and_then(|at| merged.entries().get(at)).and_then(|entry| merged.event(entry)).map(|event| {
            let mut text = event.message.clone();
            for line in &event.detail {
                text.push('\n');
                text.push_str(line);
            }
            (text, event.detail.len() + 1)
        })
    };
    match copied {
        Some((text, lines)) => {
            let said = if lines == 1 { "copied 1 line".to_owned() } else { format!("copied {lines} lines") };
            toast(state, said, now);
            effects.push(Effect::Copy(text));
        }
        None => toast(state, "there is nothing to copy".to_owned(), now),
    }
}

/// Enter in a prompt of the logs page; gives `false` for other prompts.
pub(in crate::state) fn submit(state: &mut State, kind: PromptKind, text: &str, now: Timestamp, effects: &mut Vec<Effect>) {
    match kind {
        PromptKind::Search => {
            text.clone_into(&mut state.view.log.search);
            follow(state);
            if !text.is_empty() {
                first_match(state, now);
            }
        }
        PromptKind::LogFilter => add(state, text, now),
        PromptKind::LogTime => match parse_moment(text, state.shown_at(now), state.view.zone) {
            Ok(at) => go_to(state, at, now),
            Err(error) => complain(state, error, now),
        },
        _ => {}
    }
    go_on(state, false, effects);
}

/// Adds patterns, or puts them in the place of the one that was changed.
fn add(state: &mut State, text: &str, now: Timestamp) {
    let log = &mut state.view.log;
    let new: Vec<LogFilter> = filters::parts(text).map(|part| LogFilter { text: part.to_owned(), on: true }).collect();
    let place = match log.editing.take().filter(|place| *place < log.filters.len()) {
        Some(place) => {
            log.filters.remove(place);
            place
        }
        None => log.filters.len(),
    };
    for (nth, filter) in new.into_iter().enumerate() {
        if !log.filters.contains(&filter) {
            let place = (place + nth).min(log.filters.len());
            log.filters.insert(place, filter);
        }
    }
    let over = log.filters.len().saturating_sub(filters::MOST);
    if over > 0 {
        log.filters.drain(..over);
        complain(state, format!("no more than {} filters: the oldest is gone", filters::MOST), now);
    }
}

fn go_to(state: &mut State, at: Timestamp, now: Timestamp) {
    let (key, later, older) = {
        let merged = Merged::new(state.shown(), &state.view);
        let there = merged.at_or_after(at);
        (merged.key(there), there >= merged.entries().len(), merged.horizon().is_some_and(|(horizon, _)| there <= horizon))
    };
    if older && look_back(state, Awaiting::Moment(at)) {
        state.view.log.selected = key;
        return;
    }
    state.view.log.selected = key;
    if later {
        toast(state, "nothing is that new: this is the end".to_owned(), now);
    }
}

/// Enter, space and remove in a list of the logs page.
pub(in crate::state) fn in_list(state: &mut State, command: Command, (list, place): (LogList, usize), now: Timestamp, effects: &mut Vec<Effect>) {
    let Some(row) = lists::rows(state, list).into_iter().nth(place) else { return };
    let log = &mut state.view.log;
    match (row, command) {
        (Row::Filter { .. }, Command::Mark) => log.filters[place].on = !log.filters[place].on,
        (Row::Filter { .. }, Command::Remove) => {
            log.filters.remove(place);
        }
        (Row::Filter { text, .. }, Command::Enter) => {
            log.editing = Some(place);
            state.view.overlay = None;
            state.view.prompt = Some(Prompt { kind: PromptKind::LogFilter, input: Input::new(text) });
        }
        (Row::Bookmark { key, .. }, Command::Remove) => {
            log.bookmarks.remove(&key);
        }
        (Row::Bookmark { key, bookmark }, Command::Enter) => {
            state.view.overlay = None;
            go_to_bookmark(state, key, &bookmark, now);
            go_on(state, false, effects);
        }
        (Row::Log { id, on, .. }, Command::Mark) => {
            let names: Vec<String> = state.shown().sources.get(&id).and_then(|source| source.log.as_ref()).map_or_else(Vec::new, |log| log.files.clone());
            for file in names {
                switch(state, (id.as_str().to_owned(), file), !on);
            }
        }
        (Row::Log { id, .. }, Command::Enter) => {
            state.view.log.site = Some(id.as_str().to_owned());
            state.view.overlay = None;
        }
        (Row::File { id, file, on }, Command::Mark) => switch(state, (id.as_str().to_owned(), file), !on),
        (Row::File { id, file, .. }, Command::Enter) => {
            only(state, &(id.as_str().to_owned(), file));
            state.view.overlay = None;
        }
        _ => {}
    }
    let left = lists::rows(state, list).len();
    if let Some(Overlay::LogList { selected, .. }) = &mut state.view.overlay {
        *selected = (*selected).min(left.saturating_sub(1));
        if left == 0 {
            state.view.overlay = None;
        }
    }
}

fn switch(state: &mut State, file: (String, String), on: bool) {
    let off = &mut state.view.log.files_off;
    if on {
        off.remove(&file);
    } else {
        off.insert(file);
    }
}

/// Only this file of those in the list; where it is the only one already, all of them.
fn only(state: &mut State, wanted: &(String, String)) {
    let files: Vec<(String, String, bool)> = lists::rows(state, LogList::Files)
        .into_iter()
        .filter_map(|row| if let Row::File { id, file, on } = row { Some((id.as_str().to_owned(), file, on)) } else { None })
        .collect();
    let alone = files.iter().filter(|(_, _, on)| *on).all(|(id, file, _)| (id, file) == (&wanted.0, &wanted.1));
    for (id, file, _) in files {
        let on = alone || (&id, &file) == (&wanted.0, &wanted.1);
        switch(state, (id, file), on);
    }
}

fn go_to_bookmark(state: &mut State, key: (String, u64), bookmark: &Bookmark, now: Timestamp) {
    let held = Merged::new(state.shown(), &state.view).logs.iter().any(|(id, _)| id.as_str() == key.0);
    if !held {
        state.view.log.site = key.0.split('/').next().map(str::to_owned);
    }
    state.view.page = Page::Logs;
    follow(state);
    let shown = Merged::new(state.shown(), &state.view).holding(&key).is_some();
    if shown {
        state.view.log.selected = Some(key);
    } else {
        go_to(state, bookmark.at, now);
    }
}

/// Looks for something in older events, where there may be some.
fn look_back(state: &mut State, what: Awaiting) -> bool {
    let older = Merged::new(state.shown(), &state.view).horizon().is_some();
    if older {
        state.view.log.sought = Some(what);
        state.view.log.budget = SOUGHT;
    }
    older
}

/// Asks for what the reader comes to next, where it is not in memory: older events near the horizon, newer ones near a gap.
pub(in crate::state) fn go_on(state: &mut State, upward: bool, effects: &mut Vec<Effect>) {
    if state.view.page != Page::Logs || state.view.log.budget == 0 {
        return;
    }
    let near = state.view.drawn.height.max(1);
    let sought = state.view.log.sought.is_some();
    let wanted: Option<(SourceId, Way)> = {
        let merged = Merged::new(state.shown(), &state.view);
        if merged.is_reading() || (state.view.log.selected.is_none() && !upward && !sought) {
            None
        } else {
            let here = merged.position(state.view.log.selected.as_ref()).unwrap_or(0);
            let newer = merged.gaps.iter().find(|(before, gap)| gap.readable && !upward && !sought && *before <= here + near && here < *before);
            match (newer, merged.horizon()) {
                (Some((_, gap)), _) => gap_of(&merged, *gap).map(|id| (id, Way::Newer)),
                (None, Some((horizon, id))) if sought || here <= horizon + near => Some((id.clone(), Way::Older)),
                _ => None,
            }
        }
    };
    let Some((id, way)) = wanted else { return };
    let limit = if sought { LONG_PAGE } else { PAGE };
    let Some(log) = shown_log(state, &id) else { return };
    let mut back = log.back.take().unwrap_or_else(|| Box::new(LogBack::above(log)));
    let query = back.ask(way, limit, &log.files);
    log.back = Some(back);
    if let Some(query) = query {
        state.view.log.budget -= 1;
        effects.push(Effect::ReadLogBack(id, Box::new(query)));
    }
}

fn gap_of(merged: &Merged<'_>, gap: super::back::Gap) -> Option<SourceId> {
    let has = |log: &LogState| log.back.as_ref().and_then(|back| back.gap()) == Some(gap);
    merged.logs.iter().find(|(_, state)| state.log.as_ref().is_some_and(has)).map(|(id, _)| (*id).clone())
}

/// A log of the world on the screen.
fn shown_log<'s>(state: &'s mut State, id: &SourceId) -> Option<&'s mut LogState> {
    let world = match &mut state.view.paused {
        Some(paused) => &mut *paused.world,
        None => &mut state.world,
    };
    world.sources.get_mut(id)?.log.as_mut()
}

/// Takes older events in, looks for what is sought in them, and asks for more where that is needed.
pub(in crate::state) fn past(
    state: &mut State,
    (source, query): (&SourceId, &LogQuery),
    result: Result<LogPast, SourceError>,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) {
    let Some(log) = shown_log(state, source) else { return };
    let files = log.files.clone();
    let Some(back) = &mut log.back else { return };
    let mine = match result {
        Ok(past) => {
            let trouble = past.problems.first().map(|problem| format!("{}: {}", problem.subject, problem.message));
            let mine = back.take(query, past, &files);
            if let Some(trouble) = trouble.filter(|_| mine) {
                complain(state, trouble, now);
            }
            mine
        }
        Err(error) => {
            let mine = back.give_up(query, true);
            if mine {
                complain(state, format!("not read back: {}", error.message), now);
            }
            mine
        }
    };
    if !mine {
        return;
    }
    follow(state);
    if let Some(what) = state.view.log.sought {
        sought(state, what, now);
    }
    go_on(state, false, effects);
}

/// Whether what is looked for has come; when there is nothing older it is given up, in words.
fn sought(state: &mut State, awaiting: Awaiting, now: Timestamp) {
    let (there, ended) = {
        let merged = Merged::new(state.shown(), &state.view);
        let horizon = merged.horizon();
        let here = merged.position(state.view.log.selected.as_ref()).unwrap_or(0);
        let there = match awaiting {
            Awaiting::Seek(what) => merged.seek(here, what, false),
            Awaiting::Moment(at) => Some(merged.at_or_after(at)).filter(|there| horizon.is_none_or(|(horizon, _)| *there > horizon)),
        };
        // Above the horizon of another log something nearer may still come.
        let sure = there.filter(|there| horizon.is_none_or(|(horizon, _)| *there >= horizon));
        (sure.map(|there| merged.key(there)), horizon.is_none())
    };
    match there {
        Some(key) => {
            state.view.log.selected = key;
            state.view.log.sought = None;
            // A screen around it is read too.
            state.view.log.budget = SCROLLED;
        }
        None if ended => {
            state.view.log.sought = None;
            match awaiting {
                Awaiting::Seek(Seek::Match) => seek_match(state, false, now),
                Awaiting::Seek(what) => seek(state, false, what, now),
                Awaiting::Moment(at) => go_to(state, at, now),
            }
        }
        None if state.view.log.budget == 0 => {
            state.view.log.sought = None;
            toast(state, "not found so far back; the same key goes on looking".to_owned(), now);
        }
        None => {}
    }
}

/// After a pause: what was read back above the picture goes on above the log as it is now.
pub(in crate::state) fn carry_over(state: &mut State, mut picture: crate::state::World) {
    for (id, source) in &mut picture.sources {
        let Some(mut back) = source.log.as_mut().and_then(|log| log.back.take()) else { continue };
        let begun = source.log.as_ref().and_then(|log| log.watched_since);
        if let Some(log) = state.world.sources.get_mut(id).and_then(|source| source.log.as_mut()).filter(|log| log.watched_since == begun) {
            back.go_on(log);
            log.back = Some(back);
        }
    }
}
