//! Commands, pages, sites and sources by name, fuzzy; the ten best.

use super::{frame, keys};
use crate::state::matching::Query;
use crate::state::menu::{palette_entries, palette_size};
use crate::ui::chrome::input;
use crate::ui::keymap::shown;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::widgets::list::{matched, offset};

/// Entries on the screen.
const BEST: usize = 10;

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, selected: usize) {
    let theme = scene.theme;
    let entries = palette_entries(scene.state);
    let (typed, cursor) = scene.view.prompt.as_ref().map_or(("", 0), |prompt| (prompt.input.value(), prompt.input.cursor()));
    let query = Query::new(typed).fitting(entries.iter().map(|entry| entry.label.clone()));
    let inner = frame(pen, scene, 60, BEST as u16 + 7, "command", "");
    let last = inner.right() - 1;
    let tight = inner.height < BEST as u16 + 5;
    let y = inner.y + u16::from(!tight);
    let count = format!("{} of {}", entries.len(), palette_size(scene.state));
    let end = pen.right(inner.x + 10, y, last, &count, theme.dim);
    pen.put(inner.x, y, last, ":", theme.accent);
    input(pen, inner.x + 2, y, end.saturating_sub(2), typed, cursor, theme.bold(theme.text));
    let top = y + 1 + u16::from(!tight);
    let bottom = inner.bottom() - 1 - u16::from(!tight);
    let rows = usize::from(bottom.saturating_sub(top)).min(BEST);
    let selected = selected.min(entries.len().saturating_sub(1));
    let first = offset(0, Some(selected), entries.len(), rows);
    let key_column = 6;
    for (at, entry) in entries.iter().enumerate().skip(first).take(rows) {
        let y = top + (at - first) as u16;
        let chosen = at == selected;
        let style = match (&entry.disabled, chosen) {
            (Some(_), _) => theme.dim,
            (None, true) => theme.bold(theme.text),
            (None, false) => theme.text,
        };
        pen.right(last - key_column, y, last, &shown(&entry.key, theme.ascii()), theme.accent);
        let kind = entry.disabled.unwrap_or(entry.kind);
        let begin = pen.right(inner.x + 20, y, last - key_column - 4, kind, theme.dim);
        pen.spans(inner.x, y, begin.saturating_sub(2), &matched(&entry.label, &query.marks(&entry.label), style));
        if chosen {
            pen.tint(inner.x - 2, y, last + 2, theme.selection);
            pen.glyph(inner.x - 2, y, '▌', theme.accent);
        }
    }
    if entries.is_empty() {
        pen.put(inner.x, top, last, "nothing goes by that name", theme.dim);
    }
    let enter = scene.key(crate::state::Command::Enter);
    keys(pen, scene, inner, &[(&enter, "run"), ("Esc", "close")]);
}
