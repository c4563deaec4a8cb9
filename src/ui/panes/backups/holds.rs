//! The copies of the opened detail, newest first, and below the one that is looked into what its folder holds.

use ratatui::style::Style;
use ratatui::text::Span;

use super::detail::named;
use crate::backups::Entry;
use crate::domain::SourceId;
use crate::domain::time::size_text;
use crate::state::browse::{Looking, Stop, looking};
use crate::ui::scene::Scene;
use crate::ui::text;
use crate::ui::widgets::detail::{At, Line};

/// Where names begin.
const NAME: u16 = 29;

/// Adds the lines, and says which of them are stops for the keys.
pub(super) fn lines(scene: &Scene<'_>, source: &SourceId, width: u16, all: &mut Vec<Line>) -> Vec<usize> {
    let Some(looking) = looking(scene.world, scene.view, source, scene.now) else { return Vec::new() };
    let theme = scene.theme;
    let stops = looking.stops();
    let cursor = looking.cursor(&stops);
    let mut at = Vec::with_capacity(stops.len());
    for (place, stop) in stops.iter().enumerate() {
        at.push(all.len());
        let here = cursor == Some(place);
        let style = if here { theme.bold(theme.text) } else { theme.text };
        let line = if here { Line::new().put(0, "▌", theme.accent) } else { Line::new() };
        match *stop {
            Stop::Copy(copy) => {
                let open = looking.copy == Some(copy);
                let Some(known) = looking.backup.copies.get(copy) else { continue };
                let mark = if open && !looking.folded { "▾" } else { "▸" };
                let line = line.put(1, mark, if open { theme.accent } else { theme.dim });
                let line = line.put(3, text::moment_short(known.at, scene.now, scene.view.zone), theme.dim);
                all.push(named(scene, line, known, (width, NAME), style));
                if open && !looking.folded {
                    said(scene, source, &looking, width, all);
                }
            }
            Stop::Up => {
                let room = usize::from(width.saturating_sub(NAME + 9));
                let spans = vec![Span::styled("../", style), Span::styled(format!("   {}", text::clip_middle(looking.under, room)), theme.dim)];
                all.push(line.spans(At::Left(NAME), spans));
            }
            Stop::Entry(entry) => {
                let Some(entry) = looking.folder().and_then(|folder| folder.entries.get(entry)) else { continue };
                all.push(of_entry(scene, line, entry, looking.under, (width, style)));
            }
        }
    }
    at
}

/// What stands between the copy and what it holds: why that is not known, or that there is nothing.
fn said(scene: &Scene<'_>, source: &SourceId, looking: &Looking<'_>, width: u16, all: &mut Vec<Line>) {
    let theme = scene.theme;
    let room = usize::from(width.saturating_sub(NAME + 2)).max(10);
    if let Some((_, error)) = looking.known.and_then(|known| known.error.as_ref()) {
        let words = text::wrap(&format!("what it holds is not known: {}", error.message), room);
        all.extend(words.into_iter().map(|words| Line::new().put(NAME, words, theme.unknown)));
    } else if looking.folder().is_some_and(|folder| folder.entries.is_empty()) {
        all.push(Line::new().put(NAME, "nothing is in it", theme.dim));
    } else if looking.known.is_none() && !scene.world.details.has_none(source) {
        all.push(Line::new().put(NAME, "what it holds is asked …", theme.dim));
    }
}

/// `Fri 02:37   2.00 KiB  dump.sql`.
fn of_entry(scene: &Scene<'_>, line: Line, entry: &Entry, under: &str, (width, style): (u16, Style)) -> Line {
    let theme = scene.theme;
    let changed = entry.changed.map_or_else(String::new, |at| text::moment_short(at, scene.now, scene.view.zone));
    let size = if entry.folder { String::new() } else { entry.size.map_or_else(|| "?".to_owned(), size_text) };
    let path = entry.path.trim_start_matches('/');
    let name = path.strip_prefix(under).map_or(path, |rest| rest.trim_start_matches('/'));
    let room = usize::from(width.saturating_sub(NAME + 3)).max(8);
    let name = format!("{}{}", text::clip_middle(name, room), if entry.folder { "/" } else { "" });
    line.put(3, changed, theme.dim).right(NAME - 3, size, theme.dim).put(NAME, name, style)
}
