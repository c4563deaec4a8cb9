//! Life lines: until when what the sites stand on is supported, with today on them (`screens.md`, page 6).
//!
//! What does not belong here: the dates (`packages::life`), whether an end needs a person (`rules::eol`).

use chrono::{Datelike, NaiveDate};
use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::domain::{LifeLine, Phase};
use crate::ui::layout::Class;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text;

/// A body of fewer rows has none.
const LEAST: u16 = 20;
/// Rows of a standard screen, and of a wide one.
const ROWS: (usize, usize) = (4, 6);
/// Cells for the date at the right edge, with a blank before it.
const DATE: u16 = 14;
/// Days before an end from which on its date is a warning, as `rules::eol` has it.
const SOON: i64 = 90;

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Life<'a> {
    site: &'a str,
    line: &'a LifeLine,
}

/// All that are known on the screen, each release of a site once: those that ended first, then by their end.
pub fn lines<'a>(scene: &Scene<'a>) -> Vec<Life<'a>> {
    let mut all: Vec<Life<'a>> = Vec::new();
    for (id, source) in scene.sources() {
        for line in source.life.iter().flat_map(|(_, lines)| &lines.items) {
            let same = |known: &Life<'_>| known.site == id.site() && known.line.product == line.product && known.line.cycle == line.cycle;
            if !all.iter().any(same) {
                all.push(Life { site: id.site(), line });
            }
        }
    }
    let today = today(scene);
    all.sort_by_key(|one| {
        let ended = one.line.phase(today) == Phase::Ended;
        let unknown = if ended { NaiveDate::MIN } else { NaiveDate::MAX };
        (!ended, one.line.security_until.unwrap_or(unknown), one.site, one.line.product.as_str())
    });
    all
}

fn today(scene: &Scene<'_>) -> NaiveDate {
    text::local(scene.now, scene.view.zone).date()
}

/// How many rows they take of a body, with their rule and the blank after them; 0 where there is no room, and for none.
pub fn height(scene: &Scene<'_>, lines: &[Life<'_>], body: Rect) -> u16 {
    let view = scene.view;
    if lines.is_empty() || scene.rows.class < Class::Standard || body.height < LEAST || view.detail_open || view.zoom {
        return 0;
    }
    lines.len().min(most(scene)) as u16 + 1 + u16::from(scene.rows.airy)
}

fn most(scene: &Scene<'_>) -> usize {
    if scene.rows.class == Class::Standard { ROWS.0 } else { ROWS.1 }
}

/// Which column a day has.
#[derive(Debug, Clone, Copy)]
struct Scale {
    first: u16,
    last: u16,
    today: u16,
    day: NaiveDate,
    /// Cells of a year.
    year: f64,
}

impl Scale {
    fn new(scene: &Scene<'_>, first: u16, last: u16) -> Self {
        let year = if scene.rows.class == Class::Standard { 9.5 } else { 12.0 };
        Self { first, last, today: first + (last - first) * 9 / 20, day: today(scene), year }
    }

    /// Without regard to the edges.
    fn column(&self, day: NaiveDate) -> i64 {
        let days = (day - self.day).num_days() as f64;
        i64::from(self.today) + (days / 365.25 * self.year).round() as i64
    }

    fn within(&self, day: NaiveDate) -> u16 {
        self.column(day).clamp(i64::from(self.first), i64::from(self.last)) as u16
    }
}

/// Draws the rule with its years, and a row for each as far as there is room.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, lines: &[Life<'_>], area: Rect) {
    let theme = scene.theme;
    // Days pass.
    scene.changes_at(text::next_midnight(scene.now, scene.view.zone));
    let shown = &lines[..lines.len().min(most(scene))];
    let site = shown.iter().map(|one| text::width(one.site)).max().unwrap_or(4).clamp(4, 8) as u16;
    let wide = scene.rows.class > Class::Standard;
    let names = area.x + 1 + site + if wide { 2 } else { 1 };
    let name = shown.iter().map(|one| text::width(&one.line.title())).max().unwrap_or(0).clamp(14, 22) as u16;
    let (first, last) = (names + name + if wide { 6 } else { 2 }, area.right() - 3 - DATE);
    let scale = Scale::new(scene, first, last);

    let mut title = vec![Span::styled("life lines", theme.bold(theme.text))];
    if shown.len() < lines.len() {
        title.push(Span::styled(format!(" {} of {}", shown.len(), lines.len()), theme.dim));
    }
    pen.rule(area.x + 1, area.y, area.right() - 2, &title, &[]);
    years(pen, scene, &scale, area.y);
    for (at, one) in shown.iter().enumerate() {
        let y = area.y + 1 + at as u16;
        let again = at > 0 && shown[at - 1].site == one.site;
        if !again {
            pen.put(area.x + 1, y, names - 2, one.site, theme.dim);
        }
        pen.put(names, y, first - 2, &one.line.title(), theme.text);
        row(pen, scene, &scale, one.line, y);
    }
}

/// `── 2025 ──── 2026 ── ▼ today ──── 2028 ──`.
fn years(pen: &mut Pen<'_>, scene: &Scene<'_>, scale: &Scale, y: u16) {
    let theme = scene.theme;
    let words = " today ";
    let mut put = |x: u16, text: &str, style| {
        pen.put(x - 1, y, scale.last + DATE, &format!(" {text} "), style);
    };
    let end = scale.today + words.len() as u16 + 1;
    for year in scale.day.year() - 12..scale.day.year() + 12 {
        let Some(x) = NaiveDate::from_ymd_opt(year, 1, 1).map(|day| scale.column(day)) else { continue };
        let Ok(x) = u16::try_from(x) else { continue };
        // What would touch today's mark, or stand beside the plot, is left out.
        if x >= scale.first && x + 4 < scale.last && (x + 6 < scale.today || x > end) {
            put(x, &year.to_string(), theme.dim);
        }
    }
    put(scale.today, "▼ today", theme.accent);
}

fn row(pen: &mut Pen<'_>, scene: &Scene<'_>, scale: &Scale, line: &LifeLine, y: u16) {
    let theme = scene.theme;
    let edge = scale.last + DATE;
    let phase = line.phase(scale.day);
    let ended = phase == Phase::Ended;
    let words = match (line.security_until, phase) {
        (Some(end), Phase::Ended) => format!("ended {}", written(end, scale.day)),
        (None, Phase::Ended) => "ended".to_owned(),
        (Some(end), _) => written(end, scale.day),
        (None, _) => "end not known".to_owned(),
    };
    let soon = line.security_until.is_some_and(|end| (end - scale.day).num_days() < SOON);
    let style = match phase {
        Phase::Ended => theme.bold(theme.warn),
        Phase::Unknown => theme.unknown,
        _ if soon => theme.warn,
        _ => theme.dim,
    };
    pen.right(scale.last + 1, y, edge, &words, style);
    let crossing = |x: u16| x == scale.today;
    let mut crossed = false;
    if let Some(end) = line.security_until {
        let (begin, stop) = (line.start.map_or(scale.first, |day| scale.within(day)), scale.within(end));
        let full = line.full_until.map_or(stop, |day| scale.within(day.min(end)));
        let style = if ended { theme.dim } else { theme.ok };
        for x in begin..=stop {
            let full = x < full || (x == begin && line.full_until.is_none_or(|day| scale.column(day) > i64::from(begin)));
            pen.glyph(x, y, if full { '━' } else { '─' }, style);
        }
        if ended {
            for x in stop + 1..scale.today {
                pen.glyph(x, y, '×', theme.warn);
            }
        }
        let seen = (i64::from(scale.first)..=i64::from(scale.last)).contains(&scale.column(end));
        if seen {
            pen.glyph(stop, y, '┥', if ended { theme.warn } else { theme.text });
        }
        crossed = !ended && (begin..stop).any(crossing);
    }
    pen.glyph(scale.today, y, if crossed { '┿' } else { '┊' }, theme.accent);
}

/// `7 Apr`, another year `30 Apr 2028`.
fn written(day: NaiveDate, today: NaiveDate) -> String {
    day.format(if day.year() == today.year() { "%-d %b" } else { "%-d %b %Y" }).to_string()
}
