//! The state of rounds and the one function that changes it: `update(&mut State, Msg, now) -> Vec<Effect>`.
//!
//! [`World`] is what is known of the outside; [`View`] is where its reader stands. Pausing keeps a copy of the world on the
//! screen while the real one goes on. What does not belong here: clocks, channels, drawing.

pub mod act;
pub mod acting;
pub mod asked;
pub mod book;
pub mod browse;
pub mod command;
pub mod details;
pub mod effect;
pub mod filter;
mod findings;
pub mod first_run;
mod ingest;
pub mod item;
pub mod logview;
pub mod matching;
pub mod menu;
pub mod msg;
pub mod offering;
pub mod offline;
pub mod range;
pub mod rank;
pub mod releases;
pub mod saved;
pub mod selection;
pub mod silence;
pub mod stack;
mod taking;
#[cfg(test)]
mod tests;
pub mod tries;
pub mod update;
pub mod view;
pub mod wall;
pub mod world;

pub use command::{Command, CommandSpec, Page, Scope};
pub use details::Details;
pub use effect::Effect;
pub use filter::Filter;
pub use item::Item;
pub use msg::Msg;
pub use view::{Drawn, ListView, LogList, Overlay, Part, Prompt, PromptKind, Toast, View};
pub use world::{HealthState, LogState, Notice, NoticeKind, Run, RunStep, Sample, SiteState, SourceState, Window, World};

use crate::domain::Timestamp;

/// Everything the screen, the verbs, the JSON and the report are views of.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// What is known of the outside, now.
    pub world: World,
    /// Where the reader stands.
    pub view: View,
}

impl State {
    /// The world that is on the screen: the frozen copy while paused, else the real one.
    #[must_use]
    pub fn shown(&self) -> &World {
        self.view.paused.as_ref().map_or(&self.world, |paused| &paused.world)
    }

    /// The moment the screen is about: when it was paused, else `now`.
    #[must_use]
    pub fn shown_at(&self, now: Timestamp) -> Timestamp {
        self.view.paused.as_ref().map_or(now, |paused| paused.at)
    }
}
