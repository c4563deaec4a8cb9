//! The composition root: opens everything, runs the dashboard's loop, performs effects, and gives the terminal back.
//!
//! What does not belong here: what a message means (`state`), what a frame looks like (`ui`), what a verb prints (`cli`, `report`).

pub mod screen;
pub mod terminal;
