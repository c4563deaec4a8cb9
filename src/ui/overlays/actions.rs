//! What can be run here, and what runs: title, what it runs, its key.

use ratatui::text::Span;

use super::{frame, keys};
use crate::actions::Target;
use crate::actions::errand::subject;
use crate::sources::Offer;
use crate::state::Command;
use crate::state::acting::{Row, find, is_dangerous, rows};
use crate::ui::keymap::shown;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text::{self, wrap};
use crate::ui::widgets::list::{offset, thumb};

/// Rows on the screen at most.
const MOST: usize = 12;

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, site: Option<&str>, (items, offers): (&[Target], &[Offer]), selected: usize) {
    let theme = scene.theme;
    let world = &scene.state.world;
    let rows = rows(scene.state);
    let width = 72.min(pen.area().width.saturating_sub(4));
    let cells = usize::from(width.saturating_sub(6));
    let mut words = Vec::new();
    // What sources offer runs no command, so it needs no trust; but for verbs.
    let runs = |row: &Row| match row {
        Row::Action(_) => true,
        Row::Offer(at) => offers.get(*at).is_some_and(|offer| !offer.verb.is_empty()),
        Row::Run(_) => false,
    };
    let barred = |row: &Row| world.untrusted.is_some() && runs(row);
    if let Some(path) = world.untrusted.as_ref().filter(|_| offers.is_empty() || !world.actions.is_empty()) {
        let why = format!("{path} was found in the working directory and is not trusted as it is now: nothing of it is run. Read it, then run");
        words.extend(wrap(&why, cells).into_iter().map(|line| (line, theme.text)));
        words.push((format!("rounds trust {path}"), theme.bold(theme.text)));
    } else if rows.is_empty() {
        let of = site.map_or_else(|| "there are no actions".to_owned(), |site| format!("there are no actions of {site}"));
        words.push((of, theme.text));
        words.push((format!("[site.{}.action.NAME] in the configuration makes one", site.unwrap_or("NAME")), theme.dim));
    }
    let height = rows.len().min(MOST) + words.len() + usize::from(!words.is_empty() && !rows.is_empty()) + 5;
    let place = site.unwrap_or("all sites");
    let remark = if offers.is_empty() { place.to_owned() } else { format!("{} of {place}", subject(items)) };
    let inner = frame(pen, scene, width, height as u16, "actions", &remark);
    let last = inner.right() - 1;
    let bottom = inner.bottom().saturating_sub(2);
    let mut y = inner.y + 1;
    for (line, style) in &words {
        if y < bottom {
            pen.put(inner.x, y, last, line, *style);
        }
        y += 1;
    }
    if !words.is_empty() && !rows.is_empty() {
        y += 1;
    }
    let visible = usize::from(bottom.saturating_sub(y)).min(MOST);
    let selected = selected.min(rows.len().saturating_sub(1));
    let first = offset(0, Some(selected), rows.len(), visible);
    let top = y;
    for (at, row) in rows.iter().enumerate().skip(first).take(visible) {
        let chosen = at == selected;
        let style = if barred(row) {
            theme.dim
        } else if chosen {
            theme.bold(theme.text)
        } else {
            theme.text
        };
        match row {
            Row::Run(id) => {
                let Some(run) = world.runs.iter().find(|run| run.id == *id) else { continue };
                let since = format!("running {}", scene.age_by_clock(run.record.at));
                let end = pen.right(inner.x + 10, y, last, &since, theme.dim);
                pen.spans(inner.x, y, end.saturating_sub(3), &[Span::styled("▸ ", theme.accent), Span::styled(run.title.clone(), style)]);
            }
            Row::Offer(at) => {
                let Some(offer) = offers.get(*at) else { continue };
                let sign = if offer.dangerous { Span::styled("▲ ", theme.warn) } else { Span::raw("  ") };
                let more = if offer.asks.is_empty() { "" } else { " …" };
                pen.spans(inner.x, y, last - 8, &[sign, Span::styled(format!("{}{more}", offer.title), style)]);
            }
            Row::Action(id) => {
                let Some(action) = find(world, id) else { continue };
                let key = action.key.as_deref().map_or_else(String::new, |key| shown(key, theme.ascii()));
                pen.right(last - 5, y, last, &key, theme.accent);
                let name = if site.is_none() { format!("{}: {}", id.site(), action.title) } else { action.title.clone() };
                let sign = if is_dangerous(world, action) { Span::styled("▲ ", theme.warn) } else { Span::raw("  ") };
                let end = pen.spans(inner.x, y, last - 8, &[sign, Span::styled(name, style)]);
                let runs = action.steps.first().map(|step| crate::actions::written(step)).unwrap_or_default();
                let more = if action.steps.len() > 1 { format!(" +{}", action.steps.len() - 1) } else { String::new() };
                let begin = end.max(inner.x + 28) + 2;
                if begin + 8 < last {
                    let room = usize::from(last - 7 - begin);
                    pen.put(begin, y, last - 7, &format!("{}{more}", text::clip(&runs, room.saturating_sub(more.len()))), theme.dim);
                }
            }
        }
        if chosen {
            pen.tint(inner.x - 2, y, last + 2, theme.selection);
            pen.glyph(inner.x - 2, y, '▌', theme.accent);
        }
        y += 1;
    }
    thumb(pen, inner.right() + 1, top, visible, first, rows.len());
    let enter = scene.key(Command::Enter);
    if rows.get(selected).is_none_or(barred) {
        keys(pen, scene, inner, &[("Esc", "close")]);
    } else {
        keys(pen, scene, inner, &[(&enter, "ask"), ("Esc", "close")]);
    }
}
