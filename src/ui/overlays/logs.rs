//! The lists of the logs page: its filters, its bookmarks, its files.

use ratatui::text::Span;

use super::{frame, keys};
use crate::domain::Level;
use crate::state::logview::lists::{Row, rows};
use crate::state::{Command, LogList};
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text::{self, sanitise, thousands};
use crate::ui::widgets::list::{offset, thumb};

/// Rows on the screen at most.
const MOST: usize = 14;

/// Draws one.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, list: LogList, selected: usize) {
    let theme = scene.theme;
    let rows = rows(scene.state, list);
    let (title, remark) = match list {
        LogList::Filters => ("filters", "each narrows"),
        LogList::Bookmarks => ("bookmarks", "by time"),
        LogList::Files => ("logs and files", ""),
    };
    let inner = frame(pen, scene, 72, (rows.len().min(MOST) + 5) as u16, title, remark);
    let last = inner.right() - 1;
    let visible = usize::from(inner.height.saturating_sub(3)).min(MOST);
    let first = offset(0, Some(selected), rows.len(), visible);
    let tick = |on: bool| match (on, theme.ascii()) {
        (true, false) => "☑",
        (false, false) => "☐",
        (true, true) => "[x]",
        (false, true) => "[ ]",
    };
    for (at, row) in rows.iter().enumerate().skip(first).take(visible) {
        let y = inner.y + 1 + (at - first) as u16;
        let chosen = at == selected;
        let style = |on: bool| match (chosen, on) {
            (true, _) => theme.bold(theme.text),
            (false, true) => theme.text,
            (false, false) => theme.dim,
        };
        match row {
            Row::Filter { text, on } => {
                let word = if text.starts_with('!') { "hides" } else { "shows only" };
                let end = pen.right(inner.x + 10, y, last, word, theme.dim);
                pen.spans(inner.x, y, end.saturating_sub(3), &[Span::styled(format!("{} ", tick(*on)), theme.accent), Span::styled(text.clone(), style(*on))]);
            }
            Row::Bookmark { bookmark, .. } => {
                let letter = match bookmark.level {
                    Level::Error | Level::Critical => theme.bold(theme.crit),
                    Level::Warning => theme.bold(theme.warn),
                    Level::Info | Level::Debug => theme.dim,
                };
                let (day, second) = (text::day(bookmark.at, scene.now, scene.view.zone), text::second(bookmark.at, scene.view.zone));
                let when = if day == "today" { second } else { format!("{day} {second}") };
                let spans = [
                    Span::styled(format!("{when}  "), theme.dim),
                    Span::styled(bookmark.level.letter().to_string(), letter),
                    Span::styled(format!(" {}", sanitise(&bookmark.message)), style(true)),
                ];
                pen.spans(inner.x, y, last, &spans);
            }
            Row::Log { id, on, lines } => {
                let end = pen.right(inner.x + 10, y, last, &format!("{} lines", thousands(*lines)), theme.dim);
                let spans = [Span::styled(format!("{} ", tick(*on)), theme.accent), Span::styled(id.as_str().to_owned(), style(*on))];
                pen.spans(inner.x, y, end.saturating_sub(3), &spans);
            }
            Row::File { file, on, .. } => {
                let room = usize::from(last.saturating_sub(inner.x + 6));
                let spans =
                    [Span::styled(format!("  {} ", tick(*on)), theme.accent), Span::styled(text::clip_middle(&sanitise(file), room).into_owned(), style(*on))];
                pen.spans(inner.x, y, last, &spans);
            }
        }
        if chosen {
            pen.tint(inner.x - 2, y, last + 2, theme.selection);
            pen.glyph(inner.x - 2, y, '▌', theme.accent);
        }
    }
    thumb(pen, inner.right() + 1, inner.y + 1, visible, first, rows.len());
    let (enter, space, remove) = (scene.key(Command::Enter), scene.key(Command::Mark), scene.key(Command::Remove));
    let pairs: &[(&str, &str)] = match list {
        LogList::Filters => &[(&enter, "change"), (&space, "on or off"), (&remove, "remove"), ("Esc", "close")],
        LogList::Bookmarks => &[(&enter, "go there"), (&remove, "remove"), ("Esc", "close")],
        LogList::Files => &[(&enter, "only this"), (&space, "on or off"), ("Esc", "close")],
    };
    keys(pen, scene, inner, pairs);
}
