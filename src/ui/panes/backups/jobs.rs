//! The jobs of the last day: one row a data set, its runs on a line of 24 hours, and which of them met.

use ratatui::text::Span;

use super::Entry;
use crate::domain::{Capability, Timestamp};
use crate::rules::backups::keep::{spans, together};
use crate::ui::scene::Scene;
use crate::ui::text;
use crate::ui::widgets::detail::{At, Line};

/// From this width on there is room for the line.
const WIDE: u16 = 70;
/// Where it begins, and its cells: half an hour each.
const FIRST: u16 = 13;
const CELLS: usize = 48;
/// Data sets shown.
const MOST: usize = 6;

/// The lines, where there is room for them and something ran.
pub(super) fn lines(scene: &Scene<'_>, entry: &Entry<'_>, width: u16) -> Vec<Line> {
    if width < WIDE {
        return Vec::new();
    }
    let theme = scene.theme;
    let now = scene.now;
    let begin = now - chrono::TimeDelta::hours(24);
    let site = entry.source.spec.id.site();
    let mut sets: Vec<_> = scene
        .sources()
        .filter(|(id, source)| id.site() == site && source.spec.capability == Capability::Backup)
        .filter_map(|(_, source)| Some((source, source.backup.as_ref().map(|(_, backup)| backup)?)))
        .map(|(source, backup)| (source, backup, spans(backup, now).into_iter().filter(|(_, to)| *to >= begin).collect::<Vec<_>>()))
        .filter(|(.., runs)| !runs.is_empty())
        .collect();
    sets.truncate(MOST);
    if sets.is_empty() {
        return Vec::new();
    }
    let cell = |at: Timestamp| ((at - begin).num_minutes().max(0) as usize * CELLS / (24 * 60)).min(CELLS - 1);
    let mut all = vec![Line::new(), Line::text(format!("jobs of {site} in the last 24 h"), theme.dim)];
    let mut hours = Line::new();
    for quarter in 1..4 {
        let at = begin + chrono::TimeDelta::hours(6 * quarter);
        hours = hours.put(FIRST + (CELLS as u16 / 4) * quarter as u16 - 2, text::minute(at, scene.view.zone), theme.dim);
    }
    all.push(hours.right(FIRST + CELLS as u16 - 1, "now", theme.accent));
    for (source, _, runs) in &sets {
        let mut ran = [false; CELLS];
        for (from, to) in runs {
            ran[cell(*from)..=cell(*to)].fill(true);
        }
        let mut line: Vec<Span<'static>> = Vec::new();
        let mut at = 0;
        while at < CELLS {
            let to = ran[at..].iter().position(|other| *other != ran[at]).map_or(CELLS, |more| at + more);
            let (glyph, style) = match (ran[at], theme.ascii()) {
                (true, false) => ("▇", theme.graph1),
                (true, true) => ("#", theme.graph1),
                (false, false) => ("─", theme.dim),
                (false, true) => ("-", theme.dim),
            };
            line.push(Span::styled(glyph.repeat(to - at), style));
            at = to;
        }
        let name = text::clip(&source.spec.title, usize::from(FIRST) - 3).into_owned();
        all.push(Line::new().put(1, name, theme.text).spans(At::Left(FIRST), line));
    }
    for (at, (source, backup, _)) in sets.iter().enumerate() {
        for (other, its, _) in &sets[at + 1..] {
            if let Some((from, to)) = together(backup, its, now).filter(|(_, to)| *to >= begin) {
                let words = format!(
                    "{} and {} ran at the same time, {} to {}",
                    source.spec.title,
                    other.spec.title,
                    text::minute(from, scene.view.zone),
                    text::minute(to, scene.view.zone)
                );
                all.push(Line::new().put(FIRST, words, theme.text));
            }
        }
    }
    all
}
