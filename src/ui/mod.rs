//! Draws `&State`; never awaits, locks, reads a clock or a disk.

pub mod theme;
pub mod widgets;
