//! The whole text of what rounds has to say of itself.

use super::{frame, keys};
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text::{moment_short, wrap};

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>) {
    let theme = scene.theme;
    let cells = usize::from(pen.area().width.saturating_sub(10)).min(94);
    let mut lines = Vec::new();
    for notice in &scene.state.world.notices {
        if !lines.is_empty() {
            lines.push((String::new(), theme.text));
        }
        lines.extend(wrap(&notice.text, cells).into_iter().map(|line| (line, theme.bold(theme.text))));
        lines.push((format!("since {}", moment_short(notice.since, scene.clock, scene.view.zone)), theme.dim));
        // Source lines with a caret under them keep their columns: they are cut, not wrapped.
        lines.extend(notice.detail.iter().map(|line| (line.clone(), theme.text)));
    }
    if lines.is_empty() {
        lines.push(("It is over.".to_owned(), theme.text));
    }
    let inner = frame(pen, scene, 100, lines.len() as u16 + 5, "what rounds has to say", "");
    let room = usize::from(inner.height.saturating_sub(3));
    if lines.len() > room {
        let left = lines.len() - room.saturating_sub(1);
        lines.truncate(room.saturating_sub(1));
        lines.push((format!("{left} more lines; `rounds config check` prints all of it"), theme.dim));
    }
    for ((line, style), y) in lines.iter().zip(inner.y + 1..inner.bottom() - 1) {
        pen.put(inner.x, y, inner.right() - 1, line, *style);
    }
    keys(pen, scene, inner, &[("Esc", "close")]);
}
