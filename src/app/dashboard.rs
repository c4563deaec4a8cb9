//! The dashboard without its surroundings: messages and input in, effects and frames out. Whole-app tests drive it on a test backend.

use crossterm::event::Event as Input;
use ratatui::Terminal;
use ratatui::backend::Backend;

use super::input;
use crate::domain::Timestamp;
use crate::state::update::{next_tick, update};
use crate::state::{Effect, Msg, State};
use crate::ui;
use crate::ui::keymap::Keymap;
use crate::ui::theme::Theme;

/// State, looks and keys together.
#[derive(Debug)]
pub struct Dashboard {
    /// What is known and where the reader stands.
    pub state: State,
    theme: Theme,
    keymap: Keymap,
    stale: bool,
}

impl Dashboard {
    /// A dashboard that has not been drawn yet.
    #[must_use]
    pub fn new(mut state: State, theme: Theme, keymap: Keymap) -> Self {
        state.view.keys = keymap.remapped();
        Self { state, theme, keymap, stale: true }
    }

    /// Other keys are in force.
    pub fn remap(&mut self, keymap: Keymap) {
        self.state.view.keys = keymap.remapped();
        self.keymap = keymap;
        self.stale = true;
    }

    /// Takes one message in.
    pub fn take(&mut self, msg: Msg, now: Timestamp) -> Vec<Effect> {
        self.stale = true;
        update(&mut self.state, msg, now)
    }

    /// Takes one input from the terminal in.
    pub fn input(&mut self, input: &Input, now: Timestamp) -> Vec<Effect> {
        match input::message(input, &self.state.view, &self.keymap) {
            Some(msg) => self.take(msg, now),
            None => Vec::new(),
        }
    }

    /// Draws with this theme from now on.
    pub fn wear(&mut self, theme: Theme) {
        if self.theme != theme {
            self.theme = theme;
            self.stale = true;
        }
    }

    /// Asks for a frame although nothing was taken in.
    pub fn touch(&mut self) {
        self.stale = true;
    }

    /// Whether something was taken in since the last frame.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Draws a frame, and remembers what was seen for the keys and clicks that follow.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn draw<B: Backend>(&mut self, terminal: &mut Terminal<B>, now: Timestamp) -> Result<(), B::Error> {
        let mut drawn = None;
        terminal.draw(|frame| drawn = Some(ui::draw(frame, &self.state, &self.theme, now)))?;
        if let Some(drawn) = drawn {
            self.state.view.drawn = drawn;
        }
        self.stale = false;
        Ok(())
    }

    /// When something changes by itself: on the screen, or in the state.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.state.view.drawn.next_change.into_iter().chain(next_tick(&self.state, now)).min()
    }
}
