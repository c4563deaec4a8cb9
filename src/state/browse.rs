//! Looking into copies on the backups' page: which copy is looked into, which of its folders, and where keys stop in the opened detail.
//!
//! Keys move in this sequence (the reducer) and lines are drawn from it (the pane), so that both mean the same place. What does not
//! belong here: asking the tool (`details`, `backups::desk`), how a place looks (`ui`).

use super::details::Known;
use super::view::View;
use super::{Page, State, World, act, item, tries};
use crate::backups::Folder;
use crate::domain::{Backup, Copy, SourceId, Timestamp};
use crate::sources::{DetailBody, ItemKey};

/// A place in the opened detail at which keys stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A copy, by its place among those that are known, oldest first.
    Copy(usize),
    /// The folder above the one that is looked at.
    Up,
    /// A name in the folder that is looked at, by its place there.
    Entry(usize),
}

/// What a reader looks into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Browse {
    /// The key of the row that this is about; of another row nothing is chosen.
    pub of: String,
    /// The copy that was chosen, by its name and its end; `None`: that of the day which the calendar's cursor is on.
    pub copy: Option<(String, Timestamp)>,
    /// The copy is chosen, and what it holds is not shown.
    pub folded: bool,
    /// The folder below the copy's top, without slashes at its ends.
    pub under: String,
    /// Where the cursor is; nowhere before the first step.
    pub at: Option<Stop>,
}

/// What is looked into, with what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Looking<'a> {
    /// The data set.
    pub backup: &'a Backup,
    /// The copy, by its place.
    pub copy: Option<usize>,
    /// What it holds is not shown.
    pub folded: bool,
    /// The folder below its top.
    pub under: &'a str,
    /// What the tool told of that folder.
    pub known: Option<&'a Known>,
    /// Where the cursor is.
    pub at: Option<Stop>,
}

/// What of a view is about this data set, while its detail is open: nothing that is not on the screen decides about anything.
fn of<'a>(view: &'a View, source: &SourceId) -> Option<&'a Browse> {
    let here = view.page == Page::Backups && view.detail_open && view.browse.of == row(source);
    here.then_some(&view.browse)
}

/// The key of a data set's row.
fn row(source: &SourceId) -> String {
    item::key(source, source.name())
}

/// The copy that is looked at: the chosen one, else that of the day which the calendar's cursor is on.
#[must_use]
pub fn copy(backup: &Backup, view: &View, source: &SourceId, now: Timestamp) -> Option<Copy> {
    let chosen = of(view, source).and_then(|browse| browse.copy.as_ref());
    match chosen {
        Some((name, at)) => backup.copies.iter().rev().find(|copy| copy.name == *name && copy.at == *at).cloned(),
        None => tries::copy_at(backup, view, now),
    }
}

/// The copy that somebody chose on purpose: by its line, or by its day.
#[must_use]
pub fn chosen(state: &State, source: &SourceId, now: Timestamp) -> Option<Copy> {
    if state.view.page != Page::Backups {
        return None;
    }
    let by_line = of(&state.view, source).is_some_and(|browse| browse.copy.is_some());
    let (_, backup) = state.shown().sources.get(source).filter(|_| by_line || state.view.day_back > 0)?.backup.as_ref()?;
    copy(backup, &state.view, source, state.shown_at(now))
}

/// What to ask of a source: the copy, and the folder in it; `None`: nothing is looked into.
#[must_use]
pub fn wanted(backup: &Backup, view: &View, source: &SourceId, now: Timestamp) -> Option<(String, Option<String>)> {
    let browse = of(view, source);
    if !view.detail_open || browse.is_some_and(|browse| browse.folded) {
        return None;
    }
    let under = browse.map(|browse| browse.under.clone()).filter(|under| !under.is_empty());
    Some((copy(backup, view, source, now)?.name, under))
}

/// What is looked into in a data set.
#[must_use]
pub fn looking<'a>(world: &'a World, view: &'a View, source: &SourceId, now: Timestamp) -> Option<Looking<'a>> {
    let (_, backup) = world.sources.get(source)?.backup.as_ref()?;
    let browse = of(view, source);
    let copy = copy(backup, view, source, now);
    let key = copy.as_ref().map(|copy| ItemKey { source: source.clone(), item: copy.name.clone() });
    let under = browse.map_or("", |browse| browse.under.as_str());
    let part = Some(under).filter(|under| !under.is_empty());
    Some(Looking {
        backup,
        copy: copy.and_then(|copy| backup.copies.iter().rposition(|other| other.name == copy.name && other.at == copy.at)),
        folded: browse.is_some_and(|browse| browse.folded),
        under,
        known: key.and_then(|key| world.details.get(&key, part)),
        at: browse.and_then(|browse| browse.at),
    })
}

/// The folder that was told.
#[must_use]
pub fn folder(known: &Known) -> Option<&Folder> {
    match &known.good.as_ref()?.1.body {
        DetailBody::Folder(folder) => Some(folder),
        DetailBody::Lines(_) | DetailBody::Event(_) | DetailBody::Notes(_) => None,
    }
}

impl<'a> Looking<'a> {
    /// The folder, where it was told.
    #[must_use]
    pub fn folder(&self) -> Option<&'a Folder> {
        self.known.and_then(folder)
    }

    /// The places in the order in which they are drawn: the copies, newest first, and below the one that is looked at what it holds.
    #[must_use]
    pub fn stops(&self) -> Vec<Stop> {
        let mut all = Vec::with_capacity(self.backup.copies.len());
        for copy in (0..self.backup.copies.len()).rev() {
            all.push(Stop::Copy(copy));
            if self.copy == Some(copy) && !self.folded {
                all.extend((!self.under.is_empty()).then_some(Stop::Up));
                all.extend((0..self.folder().map_or(0, |folder| folder.entries.len())).map(Stop::Entry));
            }
        }
        all
    }

    /// The cursor's place in that sequence. While a folder is on its way, that of the copy.
    #[must_use]
    pub fn cursor(&self, stops: &[Stop]) -> Option<usize> {
        let at = self.at?;
        let copy = || stops.iter().position(|stop| self.copy.is_some_and(|copy| *stop == Stop::Copy(copy)));
        stops.iter().position(|stop| *stop == at).or_else(|| stops.iter().position(|stop| *stop == Stop::Up)).or_else(copy)
    }
}

/// The data set whose detail is open.
fn here(state: &State) -> Option<SourceId> {
    (state.view.page == Page::Backups && state.view.detail_open).then(|| act::selected_source(state)).flatten()
}

/// The view of the data set, to change.
fn browse<'a>(view: &'a mut View, source: &SourceId) -> &'a mut Browse {
    let row = row(source);
    if view.browse.of != row {
        view.browse = Browse { of: row, ..Browse::default() };
    }
    &mut view.browse
}

/// Walks to the next place in sight; `false`: there is none, and the lines scroll.
pub(super) fn step(state: &mut State, by: isize, now: Timestamp) -> bool {
    let Some(source) = here(state).filter(|_| by.unsigned_abs() == 1) else { return false };
    let Some(looking) = looking(state.shown(), &state.view, &source, state.shown_at(now)) else { return false };
    let stops = looking.stops();
    let drawn = &state.view.drawn;
    if drawn.stops.len() != stops.len() {
        return false;
    }
    let (first, height) = (state.view.list().detail_offset.min(drawn.detail_lines.saturating_sub(drawn.detail_height)), drawn.detail_height);
    let seen = |at: &usize| (first..first + height).contains(&drawn.stops[*at]);
    let cursor = looking.cursor(&stops).filter(seen);
    let there = match (cursor, by > 0) {
        (Some(at), true) => Some(at + 1).filter(|at| *at < stops.len() && seen(at)),
        (Some(at), false) => at.checked_sub(1).filter(seen),
        (None, true) => (0..stops.len()).find(seen),
        (None, false) => (0..stops.len()).rev().find(seen),
    };
    let Some(there) = there else { return false };
    let stop = stops[there];
    browse(&mut state.view, &source).at = Some(stop);
    true
}

/// Looks into the copy or folder under the cursor; `false`: there is none.
pub(super) fn enter(state: &mut State, now: Timestamp) -> bool {
    let Some(source) = here(state) else { return false };
    let Some(looking) = looking(state.shown(), &state.view, &source, state.shown_at(now)) else { return false };
    let stops = looking.stops();
    let Some(at) = looking.cursor(&stops) else { return false };
    let line = state.view.drawn.stops.get(at).copied().unwrap_or_default();
    match stops[at] {
        Stop::Copy(place) => {
            let (is_it, folded) = (looking.copy == Some(place), looking.folded);
            let Some(copy) = looking.backup.copies.get(place).map(|copy| (copy.name.clone(), copy.at)) else { return false };
            let browse = browse(&mut state.view, &source);
            *browse =
                Browse { of: std::mem::take(&mut browse.of), copy: Some(copy), folded: is_it && !folded, under: String::new(), at: Some(Stop::Copy(place)) };
        }
        Stop::Up => return up(state, now),
        Stop::Entry(place) => {
            let Some(entry) = looking.folder().and_then(|folder| folder.entries.get(place)).filter(|entry| entry.folder) else { return true };
            let path = entry.path.trim_matches('/').to_owned();
            let browse = browse(&mut state.view, &source);
            (browse.under, browse.at) = (path, Some(Stop::Entry(0)));
        }
    }
    // What it holds comes below it, and is to be seen.
    let height = state.view.drawn.detail_height;
    let list = state.view.list_mut();
    list.detail_offset = list.detail_offset.max((line + height / 2 + 1).saturating_sub(height));
    true
}

/// Goes to the folder above; `false`: there is none.
pub(super) fn up(state: &mut State, now: Timestamp) -> bool {
    let Some(source) = here(state) else { return false };
    let left = match of(&state.view, &source) {
        Some(browse) if !browse.under.is_empty() => browse.under.clone(),
        _ => return false,
    };
    let above = left.rsplit_once('/').map_or("", |(above, _)| above).to_owned();
    browse(&mut state.view, &source).under = above;
    // The cursor goes where it came from.
    let told = looking(state.shown(), &state.view, &source, state.shown_at(now)).and_then(|looking| looking.folder());
    let place = told.and_then(|folder| folder.entries.iter().position(|entry| entry.path.trim_matches('/') == left)).unwrap_or(0);
    browse(&mut state.view, &source).at = Some(Stop::Entry(place));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::{ActionSpec, Show};
    use crate::backups::Entry;
    use crate::backups::schedule::Job;
    use crate::sources::Detail;
    use crate::state::details::Told;
    use crate::state::update::update;
    use crate::state::{Command, Effect, Msg, Overlay};
    use crate::ui::fixture::{id, now, rich, screen, story, text};

    fn db() -> SourceId {
        id("shop/restic/db")
    }

    fn entry(path: &str, folder: bool) -> Entry {
        Entry { path: path.to_owned(), folder, size: (!folder).then_some(2_048), changed: None }
    }

    fn opened() -> State {
        let mut state = story();
        state.view.page = Page::Backups;
        state.view.size = (120, 40);
        state.view.list_mut().selected = Some("shop/restic/db#db".to_owned());
        state.view.drawn = screen(&state, &rich(), 120, 40).1;
        press(&mut state, Command::Enter);
        state
    }

    fn press(state: &mut State, command: Command) -> Vec<Effect> {
        let mut effects = update(state, Msg::Command(command), now());
        state.view.drawn = screen(state, &rich(), 120, 40).1;
        effects.extend(update(state, Msg::Tick, now() + chrono::Duration::seconds(1)));
        effects
    }

    fn asked(effects: &[Effect]) -> Option<(String, Option<String>)> {
        effects.iter().find_map(|effect| if let Effect::LookAt { key, part } = effect { Some((key.item.clone(), part.clone())) } else { None })
    }

    fn tell(state: &mut State, copy: &str, part: Option<&str>, entries: Vec<Entry>) {
        let (key, part) = (ItemKey { source: db(), item: copy.to_owned() }, part.map(str::to_owned));
        let folder = Folder { copy: copy.to_owned(), under: part.clone().unwrap_or_default(), entries };
        let detail = Detail { key: key.clone(), body: DetailBody::Folder(Box::new(folder)), link: None };
        update(state, Msg::Detail(Box::new(Told { key, part, result: Some(Ok(detail)) })), now());
        state.view.drawn = screen(state, &rich(), 120, 40).1;
    }

    fn shown(state: &State) -> String {
        text(&screen(state, &rich(), 120, 40).0)
    }

    /// Steps down until the line under the cursor has this in it.
    fn go_to(state: &mut State, words: &str) {
        for _ in 0..200 {
            if shown(state).lines().any(|line| line.starts_with('▌') && line.contains(words)) {
                return;
            }
            press(state, Command::Down);
        }
        panic!("no line with {words}:\n{}", shown(state));
    }

    #[test]
    fn folders_of_a_copy_are_walked_down_and_up() {
        let mut state = opened();
        let copies = state.world.sources[&db()].backup.as_ref().unwrap().1.copies.clone();
        let newest = copies.last().unwrap().name.clone();
        tell(&mut state, &newest, None, vec![entry("etc", true), entry("srv", true), entry("notes.txt", false)]);
        go_to(&mut state, "srv/");
        assert_eq!(asked(&press(&mut state, Command::Enter)), Some((newest.clone(), Some("srv".to_owned()))));
        tell(&mut state, &newest, Some("srv"), vec![entry("srv/data", true)]);
        assert!(shown(&state).lines().any(|line| line.starts_with('▌') && line.contains("data/")), "{}", shown(&state));
        assert_eq!(asked(&press(&mut state, Command::Enter)), Some((newest.clone(), Some("srv/data".to_owned()))));
        tell(&mut state, &newest, Some("srv/data"), vec![entry("srv/data/dump.sql", false)]);
        assert!(shown(&state).contains("dump.sql") && shown(&state).contains("srv/data"), "{}", shown(&state));
        // A file is no folder: nothing is asked.
        assert_eq!(asked(&press(&mut state, Command::Enter)), None);
        // Back, a folder at a time, to where one came from; then the detail closes.
        press(&mut state, Command::Back);
        press(&mut state, Command::Back);
        assert!(shown(&state).lines().any(|line| line.starts_with('▌') && line.contains("srv/")), "{}", shown(&state));
        assert!(state.view.detail_open);
        press(&mut state, Command::Back);
        assert!(!state.view.detail_open);
        press(&mut state, Command::Enter);
        assert_eq!(state.view.browse, Browse::default(), "opened again it begins anew");
    }

    #[test]
    fn an_older_copy_is_chosen_for_all_that_is_done_with_one() {
        let mut state = opened();
        let copies = state.world.sources[&db()].backup.as_ref().unwrap().1.copies.clone();
        let older = copies[copies.len() - 3].name.clone();
        let action = tries::id(Job::Drill, &db()).unwrap();
        state.world.tries = vec![ActionSpec {
            id: action.clone(),
            title: "restore drill of db".to_owned(),
            scope: vec![db().within_site().to_owned()],
            steps: vec![tries::step(Job::Drill, &db(), None)],
            prompt: None,
            confirm: None,
            dangerous: false,
            timeout: std::time::Duration::from_secs(60),
            directory: String::new(),
            env: Vec::new(),
            after: Vec::new(),
            output: Show::Quiet,
            key: None,
            poll: Vec::new(),
            polls: String::new(),
            runbook: None,
        }];
        tell(&mut state, &copies[copies.len() - 1].name, None, vec![entry("srv", true)]);
        go_to(&mut state, &older);
        assert_eq!(asked(&press(&mut state, Command::Enter)), Some((older.clone(), None)));
        let copied = press(&mut state, Command::Copy);
        assert!(copied.iter().any(|effect| matches!(effect, Effect::CopyRestore(_, copy) if copy.name == older)), "{copied:?}");
        // A restore that is tried takes it too, and says so before it begins.
        crate::state::acting::choose(&mut state, &action, now());
        assert!(matches!(&state.view.overlay, Some(Overlay::Confirm { answer: Some(copy), .. }) if *copy == older), "{:?}", state.view.overlay);
        let drawn = shown(&state);
        assert!(drawn.contains("rounds drill shop/restic/db --copy") && drawn.contains(&format!("copy      {older}")), "{drawn}");
        let begun = press(&mut state, Command::Enter);
        assert!(begun.iter().any(|effect| matches!(effect, Effect::RunAction(order) if order.answer.as_deref() == Some(older.as_str()))), "{begun:?}");
        // Walking the calendar chooses by the day again; folding shows nothing of it.
        press(&mut state, Command::Left);
        assert_eq!(state.view.browse.copy, None);
        press(&mut state, Command::Right);
        let newest = copies.last().unwrap().name.clone();
        go_to(&mut state, &newest);
        tell(&mut state, &newest, None, vec![entry("etc", true)]);
        press(&mut state, Command::Enter);
        assert!(!shown(&state).contains("etc/"), "{}", shown(&state));
        press(&mut state, Command::Enter);
        assert!(shown(&state).contains("etc/"), "{}", shown(&state));
    }

    #[test]
    fn what_cannot_be_told_is_said_and_what_is_gone_is_not_kept() {
        let mut state = opened();
        let newest = state.world.sources[&db()].backup.as_ref().unwrap().1.copies.last().unwrap().name.clone();
        let key = ItemKey { source: db(), item: newest };
        let error = crate::domain::SourceError::nothing("the repository is locked", "look again");
        update(&mut state, Msg::Detail(Box::new(Told { key, part: None, result: Some(Err(error)) })), now());
        for _ in 0..60 {
            press(&mut state, Command::PageDown);
        }
        let mut all = String::new();
        for _ in 0..60 {
            all.push_str(&shown(&state));
            press(&mut state, Command::PageUp);
        }
        assert!(all.contains("what it holds is not known: the"), "{all}");
        // The copies go while one is chosen.
        let copies = state.world.sources[&db()].backup.as_ref().unwrap().1.copies.clone();
        go_to(&mut state, &copies[copies.len() - 2].name);
        press(&mut state, Command::Enter);
        state.world.sources.get_mut(&db()).unwrap().backup.as_mut().unwrap().1.copies.truncate(1);
        assert_eq!(chosen(&state, &db(), now()), None);
        press(&mut state, Command::Down);
        press(&mut state, Command::Enter);
    }
}
