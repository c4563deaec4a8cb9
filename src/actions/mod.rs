//! Every change of the outside world that a person asks for: what is configured, how it is run, what is recorded of it.
//!
//! ```text
//!  x ─▶ confirmation ─▶ Effect::KeepTransition (it begins) ─▶ Effect::RunAction ─▶ runner ─▶ Msg::ActionOutput, ActionStep, ActionEnded
//!                                                                                                └─▶ KeepTransition (it ended), polls
//! ```
//!
//! What a source offers for its items goes the same way as an [`Errand`]: confirmed, recorded, told to the source's service, recorded.
//!
//! An action is one or more argument vectors; no shell ever sees them (product law 4). A configuration that is not trusted runs none.
//! What does not belong here: asking the person (`state`, `ui`, `cli`), starting processes (`io::exec`).

mod action;
pub mod audit;
pub mod drill;
pub mod errand;
mod mask;
pub mod runner;
pub mod upgrade;

pub use action::{Action, ActionSpec, ActionTable, PROMPT, Show, Words, written};
pub use errand::{Errand, Target};
pub use runner::{Order, Progress, StepState};

#[cfg(test)]
mod tests;
