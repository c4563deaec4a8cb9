//! One file for each page. A pane reads the scene and draws with the pen; it tells in [`Drawn`] where it drew what.

use ratatui::layout::Rect;

use super::pen::Pen;
use super::scene::Scene;
use crate::state::{Drawn, ListView, Page};

pub mod activity;
pub mod attention;
pub mod backups;
pub mod dependencies;
pub mod due;
pub mod empty;
pub mod errors;
pub mod finding;
pub mod first_run;
pub mod health;
mod listing;
pub mod logs;
pub mod lower;
pub mod sites;

/// Draws the page into its body.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect, drawn: &mut Drawn) {
    match scene.view.page {
        Page::Attention => attention::draw(pen, scene, body, drawn),
        Page::Health => health::draw(pen, scene, body, drawn),
        Page::Logs => logs::draw(pen, scene, body, drawn),
        Page::Errors => errors::draw(pen, scene, body, drawn),
        Page::Dependencies => dependencies::draw(pen, scene, body, drawn),
        Page::Backups => backups::draw(pen, scene, body, drawn),
        Page::Activity => activity::draw(pen, scene, body, drawn),
        Page::Due => due::draw(pen, scene, body, drawn),
        page @ (Page::Metrics | Page::Deploys) => empty::draw(pen, scene, body, page),
    }
}

/// The selected row: by its key, else where it last was.
#[must_use]
pub fn selected(list: &ListView, keys: &[String]) -> Option<usize> {
    if keys.is_empty() {
        return None;
    }
    let by_key = list.selected.as_ref().and_then(|selected| keys.iter().position(|key| key == selected));
    Some(by_key.unwrap_or_else(|| if list.selected.is_some() { list.index.min(keys.len() - 1) } else { 0 }))
}
