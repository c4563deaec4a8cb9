//! Draws `&State`; never awaits, locks, reads a clock or a disk.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`theme`] | the fifteen styles, from settings, from what the environment says |
//! | [`text`] | cleaning, measuring, cutting; numbers and times as text |
//! | [`pen`] | where text meets cells |
//! | [`signs`] | status, severity and events as shape, word and style |
//! | [`layout`] | size classes and where the rows go |
//! | [`scene`] | what one frame is made of |
//! | [`chrome`] | header, banner, footer, prompt, toast |
//! | [`widgets`] | the list that carries all panes, lines with columns, measures |
//! | [`panes`] | one file for each page |
//! | [`overlays`] | help, palette, why, notice |
//! | [`wall`] | what a screen shows that nobody sits at |
//! | [`keymap`] | from keys to commands |

use ratatui::Frame;

use crate::domain::Timestamp;
use crate::state::{Drawn, State};

pub mod chrome;
pub mod keymap;
pub mod layout;
pub mod overlays;
pub mod panes;
pub mod pen;
pub mod scene;
pub mod signs;
pub mod text;
pub mod theme;
pub mod wall;
pub mod widgets;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

/// Draws the whole screen and tells what it drew: the keys of the list's rows, where they stand, and when the text changes by itself.
pub fn draw(frame: &mut Frame<'_>, state: &State, theme: &theme::Theme, now: Timestamp) -> Drawn {
    let mut drawn = Drawn::default();
    let mut pen = pen::Pen::new(frame.buffer_mut(), theme);
    if let Some(first) = state.view.first_run.as_ref().filter(|_| layout::rows(pen.area(), false).is_some()) {
        panes::first_run::whole(&mut pen, state, first, theme);
        drawn.next_change = state.view.toast.as_ref().map(|toast| toast.until);
        return drawn;
    }
    let Some(rows) = layout::rows(pen.area(), state.view.wall.is_none() && chrome::has_banner(state)) else {
        chrome::too_small(&mut pen, state, theme);
        return drawn;
    };
    if let Some(wall) = &state.view.wall {
        drawn.next_change = wall::draw(&mut pen, state, wall, theme, now, rows);
        return drawn;
    }
    let scene = scene::Scene::new(state, theme, now, rows);
    panes::draw(&mut pen, &scene, rows.body, &mut drawn);
    if scene.offline() {
        chrome::pale(&mut pen, &scene);
    }
    chrome::header(&mut pen, &scene);
    chrome::banner(&mut pen, &scene);
    if !chrome::prompt(&mut pen, &scene) {
        drawn.digits = chrome::footer(&mut pen, &scene);
    }
    chrome::toast(&mut pen, &scene);
    overlays::draw(&mut pen, &scene, &drawn);
    drawn.next_change = scene.next_change();
    drawn
}
