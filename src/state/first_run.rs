//! The first screen: what was found where there is no configuration yet, and what can be done.

use std::sync::Arc;

use super::{Command, Effect, State};

/// Rows of the screen that are not the manual's while it is read.
pub const READING_ROWS: usize = 3;

/// One thing that was looked for in the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRow {
    /// Whether it is known; what is missing is shown as such.
    pub known: bool,
    /// `health`, `packages`, …
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// Where, or what is missing.
    pub why: String,
}

/// What was found in the working directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundProject {
    /// `a Django project`; `None`: not like a project.
    pub kind: Option<&'static str>,
    /// One row for each thing.
    pub rows: Vec<FoundRow>,
}

/// What can be done on the first screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Write a configuration from what was found.
    Init,
    /// The demonstration.
    Demo,
    /// The manual.
    Manual,
}

impl Choice {
    /// In the order of the screen.
    pub const ALL: [Self; 3] = [Self::Init, Self::Demo, Self::Manual];

    /// Its key.
    #[must_use]
    pub const fn key(self) -> char {
        match self {
            Self::Init => 'i',
            Self::Demo => 'd',
            Self::Manual => 'h',
        }
    }
}

/// The first screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstRun {
    /// What was found; `None`: still looking.
    pub project: Option<FoundProject>,
    /// Where a configuration was looked for, in order.
    pub looked: Vec<String>,
    /// The manual, line by line.
    pub manual: Arc<[String]>,
    /// The manual is read, from this line on; `None`: it is not.
    pub reading: Option<usize>,
    /// The selected one of [`Choice::ALL`]; `None`: the one that fits what was found.
    pub selected: Option<usize>,
}

impl FirstRun {
    /// The selected choice: to write a configuration where there is a project, else the demonstration.
    #[must_use]
    pub fn selected(&self) -> usize {
        let is_project = self.project.as_ref().is_none_or(|project| project.kind.is_some());
        self.selected.unwrap_or(usize::from(!is_project)).min(Choice::ALL.len() - 1)
    }
}

/// A command on the first screen. Answers whether it was one for it.
pub(super) fn command(state: &mut State, command: Command, effects: &mut Vec<Effect>) -> bool {
    // Title and footer stand above and below what is read.
    let rows = usize::from(state.view.size.1).saturating_sub(READING_ROWS).max(1);
    let Some(first) = &mut state.view.first_run else { return false };
    if let Some(line) = first.reading {
        return read(first, line, rows, command);
    }
    let at = first.selected();
    let last = Choice::ALL.len() - 1;
    match command {
        Command::Down => first.selected = Some((at + 1).min(last)),
        Command::Up => first.selected = Some(at.saturating_sub(1)),
        Command::Top | Command::PageUp | Command::HalfUp => first.selected = Some(0),
        Command::Bottom | Command::PageDown | Command::HalfDown => first.selected = Some(last),
        Command::Enter => choose(first, Choice::ALL[at], effects),
        Command::Help => choose(first, Choice::Manual, effects),
        Command::Quit | Command::Interrupt | Command::Redraw | Command::Suspend => return false,
        // There is one page, and nothing on it to ask about.
        _ => {}
    }
    true
}

/// A choice by its key. The manual is read here; all else leaves the screen.
pub(super) fn choose(first: &mut FirstRun, choice: Choice, effects: &mut Vec<Effect>) {
    match (choice, first.reading) {
        // Keys of choices mean nothing to a reader.
        (_, Some(_)) => {}
        (Choice::Manual, None) => first.reading = Some(0),
        (choice, None) => effects.push(Effect::Choose(choice)),
    }
}

/// A command while the manual is read.
fn read(first: &mut FirstRun, line: usize, rows: usize, command: Command) -> bool {
    let last = first.manual.len().saturating_sub(rows);
    let to = match command {
        Command::Down => line + 1,
        Command::Up => line.saturating_sub(1),
        Command::PageDown => line + rows.saturating_sub(1).max(1),
        Command::PageUp => line.saturating_sub(rows.saturating_sub(1).max(1)),
        Command::HalfDown => line + (rows / 2).max(1),
        Command::HalfUp => line.saturating_sub((rows / 2).max(1)),
        Command::Top => 0,
        Command::Bottom => last,
        Command::Back | Command::Quit | Command::Interrupt | Command::Help => {
            first.reading = None;
            return true;
        }
        Command::Redraw | Command::Suspend => return false,
        _ => line,
    };
    first.reading = Some(to.min(last));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::state::Msg;
    use crate::state::update::update;

    fn press(state: &mut State, command: Command) -> Vec<Effect> {
        update(state, Msg::Command(command), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_is_selected_fits_what_was_found_until_a_person_moves() {
        let mut state = State::default();
        state.view.first_run = Some(FirstRun::default());
        update(&mut state, Msg::Found(FoundProject::default()), Timestamp::UNIX_EPOCH);
        assert_eq!(press(&mut state, Command::Enter), [Effect::Choose(Choice::Demo)]);
        update(&mut state, Msg::Found(FoundProject { kind: Some("a Django project"), rows: vec![] }), Timestamp::UNIX_EPOCH);
        assert_eq!(press(&mut state, Command::Enter), [Effect::Choose(Choice::Init)]);
        press(&mut state, Command::Up);
        press(&mut state, Command::Bottom);
        press(&mut state, Command::Down);
        assert!(press(&mut state, Command::Enter).is_empty() && state.view.first_run.as_ref().unwrap().reading.is_some());
        press(&mut state, Command::Quit);
        assert!(press(&mut state, Command::Help).is_empty() && state.view.overlay.is_none());
        press(&mut state, Command::Back);
        assert_eq!(press(&mut state, Command::Quit), [Effect::Quit]);
    }

    #[test]
    fn the_manual_is_read_line_by_line_and_closed_again() {
        let mut state = State::default();
        state.view.size = (80, 24);
        state.view.first_run = Some(FirstRun { manual: (0..100).map(|line| line.to_string()).collect(), ..FirstRun::default() });
        let line = |state: &State| state.view.first_run.as_ref().unwrap().reading;
        assert!(update(&mut state, Msg::Choose(Choice::Manual), Timestamp::UNIX_EPOCH).is_empty());
        assert_eq!(line(&state), Some(0));
        for (command, expected) in [
            (Command::Up, 0),
            (Command::Down, 1),
            (Command::PageDown, 21),
            (Command::HalfDown, 31),
            (Command::PageUp, 11),
            (Command::Bottom, 79),
            (Command::PageDown, 79),
            (Command::Top, 0),
            (Command::Sort, 0),
        ] {
            press(&mut state, command);
            assert_eq!(line(&state), Some(expected), "{command:?}");
        }
        // The keys of choices mean nothing to a reader.
        assert!(update(&mut state, Msg::Choose(Choice::Init), Timestamp::UNIX_EPOCH).is_empty());
        press(&mut state, Command::Quit);
        assert_eq!(line(&state), None);
        assert_eq!(update(&mut state, Msg::Choose(Choice::Init), Timestamp::UNIX_EPOCH), [Effect::Choose(Choice::Init)]);
    }
}
