//! The first screen: what was found where there is no configuration yet, and what can be done.

use super::{Command, Effect, State};

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
    let Some(first) = &mut state.view.first_run else { return false };
    let at = first.selected();
    let last = Choice::ALL.len() - 1;
    match command {
        Command::Down => first.selected = Some((at + 1).min(last)),
        Command::Up => first.selected = Some(at.saturating_sub(1)),
        Command::Top | Command::PageUp | Command::HalfUp => first.selected = Some(0),
        Command::Bottom | Command::PageDown | Command::HalfDown => first.selected = Some(last),
        Command::Enter => effects.push(Effect::Choose(Choice::ALL[at])),
        Command::Quit | Command::Interrupt | Command::Redraw | Command::Suspend => return false,
        // There is one page, and nothing on it to ask about.
        _ => {}
    }
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
        assert_eq!(press(&mut state, Command::Enter), [Effect::Choose(Choice::Manual)]);
        assert!(press(&mut state, Command::Help).is_empty() && state.view.overlay.is_none());
        assert_eq!(press(&mut state, Command::Quit), [Effect::Quit]);
    }
}
