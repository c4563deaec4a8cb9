//! What the pages of items have in common: the list above with its filter, the detail below, the rows of sources that are not known.

use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::domain::Status;
use crate::state::{Drawn, Part, PromptKind, SourceState};
use crate::ui::layout::{self, Class, Wish};
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;
use crate::ui::widgets::detail::{self, Line};
use crate::ui::widgets::list::{Column, List, Row};

/// Where the parts of a page went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Placed {
    /// The detail, with its rule.
    pub detail: Option<Rect>,
    /// What is free under the list on a double screen.
    pub below: Option<Rect>,
    /// The detail has the page for itself.
    pub whole: bool,
}

/// The width that decides about the columns of a page's list, and its class: on a double screen that of the left part.
#[must_use]
pub fn class(scene: &Scene<'_>) -> Class {
    if scene.rows.class == Class::Double { Class::Wide } else { scene.rows.class }
}

/// Title on the rule of a list: what it is, its order, what narrows it.
#[must_use]
pub fn title(scene: &Scene<'_>, what: &str, order: &str) -> String {
    let mut title = what.to_owned();
    if !order.is_empty() {
        title.push_str(&format!(" by {order}"));
    }
    let filter = &scene.view.list().filter;
    if !filter.is_empty() && !scene.view.prompt.as_ref().is_some_and(|prompt| prompt.kind == PromptKind::Filter) {
        title.push_str(&format!("  filter {filter}"));
    }
    if let Some(site) = &scene.view.site {
        title.push_str(&format!("  only {site}"));
    }
    title
}

/// The list of a page whose items have keys: their marks, the page's scroll and focus, and the form of a narrow screen.
pub fn of<'a>(scene: &Scene<'_>, title: &'a str, columns: &'a [Column], row: &'a dyn Fn(usize) -> Row, keys: &[String], selected: Option<usize>) -> List<'a> {
    let view = scene.view.list();
    let narrow = class(scene) == Class::Narrow;
    List {
        selected,
        marked: keys.iter().enumerate().filter(|(_, key)| view.marked.contains(*key)).map(|(at, _)| at).collect(),
        offset: view.offset,
        focused: scene.view.focus == Part::List,
        bare: narrow,
        tight: narrow,
        ..List::of(title, columns, keys.len(), row)
    }
}

/// Draws the list and the line beside it; says where the rest of the page goes. A list without rows has the page for itself.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect, list: &List<'_>, all: usize, drawn: &mut Drawn) -> Placed {
    let view = scene.view;
    let wish = Wish { only_list: view.zoom && view.focus == Part::List, only_detail: view.detail_open || (view.zoom && view.focus == Part::Detail) };
    let wish = if list.len == 0 { Wish { only_list: true, only_detail: false } } else { wish };
    let split = layout::split(&scene.rows, body, list.needs(), wish);
    if let Some(area) = split.list {
        // On a narrow screen the rows begin where the rule would stand.
        let area = if list.bare { Rect { y: area.y.saturating_sub(1), height: area.height + 1, ..area } } else { area };
        let shown = list.draw(pen, area);
        (drawn.offset, drawn.height, drawn.top) = (shown.offset, shown.height, shown.top);
        if list.tight {
            scene.counted.set(Some((shown.height.min(list.len), all)));
        }
    }
    if let Some(x) = split.divider {
        for y in body.y..body.bottom() {
            pen.glyph(x, y, '│', scene.theme.faint);
        }
    }
    drawn.detail = split.detail.is_some();
    Placed { detail: split.detail, below: split.below, whole: split.list.is_none() }
}

/// Draws the lines of a detail. Without the focus nothing scrolls: what fits is shown, and no thumb stands beside the list's.
pub fn lines(pen: &mut Pen<'_>, scene: &Scene<'_>, area: Rect, lines: &[Line], whole: bool) {
    if whole || scene.view.focus == Part::Detail {
        detail::draw(pen, area, lines, scene.view.list().detail_offset);
        return;
    }
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        line.draw(pen, area, y);
    }
}

/// Why what a source says is not, or not wholly, known; nothing where it is. For a row of its own.
#[must_use]
pub fn trouble(scene: &Scene<'_>, source: &SourceState) -> Option<(Sign, String)> {
    let message = |fallback: &str| source.error.as_ref().map_or_else(|| fallback.to_owned(), |error| error.message.clone());
    let since = || source.error_since.or(source.since).map_or(String::new(), |at| format!(" since {}", text::moment_short(at, scene.now, scene.view.zone)));
    match source.status {
        Status::Paused => Some((Sign::Paused, "not being checked".to_owned())),
        _ if source.checked_at.is_none() => Some((Sign::Waiting, "the first look is under way".to_owned())),
        Status::Unknown => Some((Sign::Unknown, format!("not known{}: {}", since(), message("not looked at in time")))),
        Status::Stale => {
            let age = source.checked_at.map_or(String::new(), |at| scene.age(at));
            Some((Sign::Stale, format!("last looked at {age} ago")))
        }
        Status::Pending => Some((Sign::Pending, format!("{}; tried again", message("no answer")))),
        _ => match source.problems.as_slice() {
            [] => None,
            [one] => Some((Sign::Unknown, format!("not all of it is known: {one}"))),
            [one, rest @ ..] => Some((Sign::Unknown, format!("not all of it is known: {one}, and {} more", rest.len()))),
        },
    }
}

/// The words of such a row: which source, why, and what to do.
#[must_use]
pub fn words(scene: &Scene<'_>, source: &SourceState, sign: Sign, why: &str) -> Vec<Span<'static>> {
    let theme = scene.theme;
    let style = if matches!(sign, Sign::Unknown | Sign::Stale) { theme.unknown } else { theme.dim };
    let mut spans = vec![Span::styled(format!("{} {why}", source.spec.id.within_site()), style)];
    if let Some(error) = &source.error
        && !error.remedy.is_empty()
    {
        spans.push(Span::styled(format!("   {}", error.remedy), theme.dim));
    }
    spans
}

/// Whether the values of a source are too old, or not judged, and so drawn pale.
#[must_use]
pub fn pale(scene: &Scene<'_>, source: &SourceState) -> bool {
    scene.offline() || matches!(source.status, Status::Unknown | Status::Stale | Status::Paused | Status::Maintenance)
}

/// The line of a page on which everything was looked at and nothing was found; `None` while anything is not known.
#[must_use]
pub fn verified<'a>(scene: &Scene<'a>, sources: impl Iterator<Item = &'a SourceState>, what: &str) -> Option<Vec<Span<'static>>> {
    let theme = scene.theme;
    let mut oldest = None;
    for source in sources {
        if trouble(scene, source).is_some() {
            return None;
        }
        let at = source.checked_at?;
        oldest = Some(oldest.map_or(at, |known: crate::domain::Timestamp| known.min(at)));
    }
    let age = scene.step(oldest?);
    Some(vec![Sign::Ok.span(theme), Span::styled(format!(" {what} (looked {age} ago)"), theme.dim)])
}
