//! The one overlay in front of the page (`screens.md` section 6): a frame, a title, keys in the last row. The page behind it turns dim.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::pen::{Pen, spans_width};
use super::scene::Scene;
use crate::state::{Drawn, Overlay};

mod actions;
mod confirm;
mod help;
mod logs;
mod notice;
mod offer;
mod output;
mod palette;
mod why;

#[cfg(test)]
mod tests;

/// Draws the overlay, where there is one.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, drawn: &Drawn) {
    let Some(overlay) = &scene.view.overlay else { return };
    let all = pen.area();
    pen.wash(all, scene.theme.dim);
    match overlay {
        Overlay::Help { selected } => help::draw(pen, scene, *selected),
        Overlay::Palette { selected } => palette::draw(pen, scene, *selected),
        Overlay::Why => why::draw(pen, scene, drawn),
        Overlay::Actions { site, items, offers, selected, .. } => actions::draw(pen, scene, site.as_deref(), (items, offers), *selected),
        Overlay::Offer(asked) => offer::draw(pen, scene, asked),
        Overlay::Confirm { action, answer } => confirm::draw(pen, scene, action, answer.as_deref()),
        Overlay::Output { run, above, stopping } => output::draw(pen, scene, run, *above, *stopping),
        Overlay::LogList { list, selected } => logs::draw(pen, scene, *list, *selected),
        Overlay::Notice => notice::draw(pen, scene),
    }
}

/// A frame of this size in the middle of the screen, at most W-4 by H-2; returns what is inside of it, two blanks from its sides.
fn frame(pen: &mut Pen<'_>, scene: &Scene<'_>, width: u16, height: u16, title: &str, remark: &str) -> Rect {
    framed(pen, scene, scene.theme.accent, (width, height), title, remark)
}

/// The same in another style.
fn framed(pen: &mut Pen<'_>, scene: &Scene<'_>, style: Style, (width, height): (u16, u16), title: &str, remark: &str) -> Rect {
    let screen = pen.area();
    let (width, height) = (width.min(screen.width - 4), height.clamp(5, screen.height - 2));
    let area = Rect { x: (screen.width - width) / 2, y: (screen.height - height) / 2, width, height };
    let theme = scene.theme;
    let (right, bottom) = (area.right() - 1, area.bottom() - 1);
    pen.clear(area);
    for (y, left, end) in [(area.y, '┌', '┐'), (bottom, '└', '┘')] {
        pen.fill(area.x + 1, y, right - 1, '─', style);
        pen.glyph(area.x, y, left, style);
        pen.glyph(right, y, end, style);
    }
    for y in area.y + 1..bottom {
        pen.glyph(area.x, y, '│', style);
        pen.glyph(right, y, '│', style);
    }
    let title = [Span::styled(format!(" {title} "), theme.bold(style))];
    let after = pen.spans(area.x + 2, area.y, right - 2, &title);
    let remark = [Span::styled(format!(" {remark} "), theme.dim)];
    if remark[0].content.len() > 2 && after + 2 + spans_width(&remark) < right {
        pen.spans_right(after + 1, area.y, right - 2, &remark);
    }
    Rect { x: area.x + 3, y: area.y + 1, width: area.width - 6, height: area.height - 2 }
}

/// Keys in the last row of an overlay: `↵ run   Esc close`.
fn keys(pen: &mut Pen<'_>, scene: &Scene<'_>, inner: Rect, pairs: &[(&str, &str)]) {
    let theme = scene.theme;
    let mut spans = Vec::new();
    for (key, word) in pairs {
        if !spans.is_empty() {
            spans.push(Span::raw("   "));
        }
        spans.push(Span::styled((*key).to_owned(), theme.bold(theme.accent)));
        spans.push(Span::styled(format!(" {word}"), theme.dim));
    }
    pen.spans(inner.x, inner.bottom() - 1, inner.right() - 1, &spans);
}
