//! The selected data set: what is wrong first, then the last good copy, the copies, the checks.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::{Entry, calendar, odd_size};
use crate::domain::time::{duration_text, human, size_text};
use crate::domain::{Backup, Copy, Timestamp};
use crate::state::{Command, Drawn, Part};
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;
use crate::ui::widgets::detail::{At, Line};
use crate::ui::widgets::graph::scale::Unit;
use crate::ui::widgets::graph::timeline::Timeline;
use crate::ui::widgets::graph::{Graph, Point, Scale, Series};

/// Column of the values of facts.
const VALUE: u16 = 13;
/// From this width on the sizes stand beside the facts.
const TWO_COLUMNS: u16 = 110;
/// Where they begin.
const SECOND: u16 = 71;
/// Rows of their graph, with title and time axis, at most.
const GRAPH: u16 = 8;
/// Copies that are listed beside the list.
const COPIES: usize = 12;
/// Days of the graph.
const DAYS: i64 = 60;

/// Draws the detail with its rule.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, entry: &Entry<'_>, area: Rect, whole: bool, drawn: &mut Drawn) {
    if area.height == 0 {
        return;
    }
    let theme = scene.theme;
    let focused = scene.view.focus == Part::Detail || scene.view.detail_open;
    let style = theme.bold(if focused { theme.accent } else { theme.text });
    pen.rule(area.x + 1, area.y, area.right() - 2, &[Span::styled(entry.source.spec.id.to_string(), style)], &[Span::styled(remark(entry), theme.dim)]);
    let inner = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let sized = entry.backup.is_some_and(|backup| backup.copies.iter().filter(|copy| copy.size_bytes.is_some()).count() > 1);
    let beside = sized && area.width >= TWO_COLUMNS && inner.height > 4;
    let left = if beside { Rect { width: SECOND - 1, ..inner } } else { inner };
    let most = if whole || focused { usize::MAX } else { COPIES };
    let all = about(scene, entry, left.width, most);
    drawn.detail_lines = all.len();
    drawn.detail_height = usize::from(inner.height);
    super::listing::lines(pen, scene, left, &all, whole);
    let Some(backup) = entry.backup.filter(|_| sized) else { return };
    let free = inner.height.saturating_sub(all.len() as u16 + 1);
    if beside {
        graph(pen, scene, backup, Rect { x: area.x + SECOND, width: area.width - SECOND, height: inner.height.min(GRAPH), ..inner });
    } else if free >= 6 && inner.width >= 40 {
        graph(pen, scene, backup, Rect { y: inner.bottom() - free, height: free.min(GRAPH), ..inner });
    }
}

/// `/backups/media · every 24 h · promise 26 h`.
fn remark(entry: &Entry<'_>) -> String {
    let mut parts = Vec::new();
    match entry.backup.filter(|backup| !backup.place.is_empty()) {
        Some(backup) => parts.push(text::clip_middle(&backup.place, 40).into_owned()),
        None => parts.push(entry.source.spec.target.clone()),
    }
    parts.push(format!("looked at every {}", duration_text(entry.source.spec.every)));
    parts.extend(entry.backup.and_then(|backup| backup.max_age_s).map(|limit| format!("promise {}", human(Duration::from_secs(limit)))));
    parts.join(" · ")
}

fn when(scene: &Scene<'_>, at: Timestamp) -> String {
    format!("{} ago, {}", scene.age(at), text::moment_short(at, scene.now, scene.view.zone))
}

fn about(scene: &Scene<'_>, entry: &Entry<'_>, width: u16, most: usize) -> Vec<Line> {
    let theme = scene.theme;
    let cells = usize::from(width.saturating_sub(3)).max(10);
    let mut all = of_day(scene, entry, width);
    all.extend(reasons(scene, entry, cells));
    let Some(backup) = entry.backup else {
        if entry.source.checked_at.is_some() {
            all.push(Line::text("nothing is known of its copies", theme.dim));
        }
        all.push(Line::new());
        all.push(hints(scene));
        return all;
    };
    let mut fact = |name: &'static str, value: String, style: Style| all.push(Line::new().put(1, name, theme.dim).put(VALUE, value, style));
    match backup.last_success {
        Some(at) => {
            let size = backup.size_bytes.map_or(String::new(), |size| format!(", {}", size_text(size)));
            fact("last good", format!("{}{size}", when(scene, at)), theme.text);
        }
        None => fact("last good", "none".to_owned(), theme.bold(theme.crit)),
    }
    if let Some(median) = backup.median_size_bytes {
        let style = if odd_size(backup) { theme.bold(theme.warn) } else { theme.text };
        let least = backup.min_size_bytes.map_or(String::new(), |least| format!(", at least {} promised", size_text(least)));
        fact("size", format!("{}, median {}{least}", backup.size_bytes.map_or_else(|| "?".to_owned(), size_text), size_text(median)), style);
    }
    let places = match backup.places.len() as u64 {
        0 => String::new(),
        1 => ", in one place: what takes it takes them all".to_owned(),
        places => format!(", in {} places", text::thousands(places)),
    };
    let promised = backup.retention.map_or(String::new(), |kept| format!(", {} promised", text::thousands(kept)));
    let few = backup.snapshots <= 1 || backup.retention.is_some_and(|kept| backup.snapshots < kept);
    let style = if few || backup.places.len() == 1 { theme.bold(theme.warn) } else { theme.text };
    fact("copies", format!("{}{promised}{places}", text::thousands(backup.snapshots)), style);
    match backup.checked_at {
        Some(at) => fact("check", format!("{}: it is whole", when(scene, at)), theme.text),
        None => fact("check", "never: whether it is whole is not known".to_owned(), theme.bold(theme.warn)),
    }
    match &backup.drill {
        Some(drill) => {
            let took = human(Duration::try_from_secs_f64(drill.seconds).unwrap_or_default());
            let (said, style) = if drill.ok { ("every assertion held", theme.text) } else { ("failed", theme.bold(theme.crit)) };
            fact("drill", format!("{}, took {took}, {said}", when(scene, drill.at)), style);
        }
        None => fact("drill", "never: nobody has restored it yet".to_owned(), theme.bold(theme.warn)),
    }
    all.push(Line::new());
    all.push(hints(scene));
    if !backup.copies.is_empty() {
        all.push(Line::new());
        all.push(Line::text("copies, newest first", theme.dim));
        all.extend(backup.copies.iter().rev().take(most).map(|copy| copy_line(scene, copy, width)));
        if let Some(more) = backup.copies.len().checked_sub(most).filter(|more| *more > 0) {
            all.push(Line::text(format!("{more} more"), theme.dim));
        }
    }
    all
}

/// The day that the cursor of the calendar is on, where it is not today: how it went, and its copies.
fn of_day(scene: &Scene<'_>, entry: &Entry<'_>, width: u16) -> Vec<Line> {
    let theme = scene.theme;
    let back = usize::from(scene.view.day_back).min(calendar::DAYS - 1);
    let today = text::local(scene.now, scene.view.zone).date();
    let (true, Some(date)) = (back > 0, today.checked_sub_days(chrono::Days::new(back as u64))) else { return Vec::new() };
    let day = calendar::days(entry, scene.now, scene.view.zone)[calendar::DAYS - 1 - back];
    let (glyph, style) = day.glyph(theme);
    let mut line = vec![Span::styled(date.format("%a %-d %b").to_string(), theme.bold(theme.text)), Span::raw("  ")];
    line.push(Span::styled(format!("{glyph} {}", day.word()), style));
    let mut all = vec![Line::of(line)];
    let copies = entry.backup.map(|backup| backup.copies.as_slice()).unwrap_or_default();
    all.extend(copies.iter().rev().filter(|copy| text::local(copy.at, scene.view.zone).date() == date).map(|copy| copy_line(scene, copy, width)));
    all.push(Line::new());
    all
}

/// Why it is not well, the worst first.
fn reasons(scene: &Scene<'_>, entry: &Entry<'_>, cells: usize) -> Vec<Line> {
    let theme = scene.theme;
    let mut all = Vec::new();
    let mut say = |words: &str, style: Style| all.extend(text::wrap(words, cells).into_iter().map(|line| Line::text(line, style)));
    if let Some((sign, why)) = super::listing::trouble(scene, entry.source) {
        let style = if matches!(sign, Sign::Unknown | Sign::Stale) { theme.bold(theme.unknown) } else { theme.dim };
        say(&why, style);
        if let Some(error) = &entry.source.error {
            say(&error.remedy, theme.text);
        }
    }
    let late = entry.share(scene.now).filter(|share| *share > 1.0);
    if let (Some(share), Some(at), Some(limit)) = (late, entry.backup.and_then(|backup| backup.last_success), entry.backup.and_then(|backup| backup.max_age_s))
    {
        let style = theme.bold(if share > 1.5 { theme.crit } else { theme.warn });
        let (style, known) = if entry.known() { (style, "last good copy") } else { (theme.bold(theme.unknown), "last good copy that is known") };
        say(&format!("late: the {known} is {} old, {} are promised", scene.age(at), human(Duration::from_secs(limit))), style);
    }
    let bad = entry.backup.is_some_and(|backup| backup.last_success.is_none());
    for complaint in entry.backup.map(|backup| backup.complaints.as_slice()).unwrap_or_default() {
        say(complaint, theme.bold(if bad { theme.crit } else { theme.warn }));
    }
    all
}

/// `Fri 02:37  254 MiB  dump-2026-11-20.sql.gz   ends in the middle`.
fn copy_line(scene: &Scene<'_>, copy: &Copy, width: u16) -> Line {
    let theme = scene.theme;
    let line = Line::new().put(1, text::moment_short(copy.at, scene.now, scene.view.zone), theme.dim).right(
        22,
        copy.size_bytes.map_or_else(|| "?".to_owned(), size_text),
        theme.text,
    );
    let bad = copy.complete == Some(false) || copy.problem.is_some();
    let said = copy.problem.clone().or_else(|| (copy.complete == Some(false)).then(|| "is not whole".to_owned()));
    let style = if copy.complete == Some(false) { theme.bold(theme.crit) } else { theme.warn };
    let room = usize::from(width).saturating_sub(27 + said.as_deref().map_or(0, |said| text::width(said).min(30) + 2));
    let mut spans = vec![Span::styled(text::clip_middle(&copy.name, room.max(8)).into_owned(), theme.text)];
    if bad {
        spans.push(Span::styled(format!("  {}", said.unwrap_or_default()), style));
    }
    line.spans(At::Left(25), spans)
}

fn hints(scene: &Scene<'_>) -> Line {
    let mut spans = scene.hint(Command::Poll, "look again");
    spans.push(Span::raw("   "));
    spans.extend(scene.hint(Command::Why, "why?"));
    Line::of(spans)
}

/// The sizes over time, from a floor that the title says.
fn graph(pen: &mut Pen<'_>, scene: &Scene<'_>, backup: &Backup, area: Rect) {
    let theme = scene.theme;
    let most = backup.copies.iter().filter_map(|copy| copy.size_bytes).max().unwrap_or(1).max(1);
    let (mut unit, mut by) = ("B", 1.0);
    for name in ["KiB", "MiB", "GiB", "TiB"] {
        if most as f64 / by >= 999.5 {
            (unit, by) = (name, by * 1_024.0);
        }
    }
    let points: Vec<Point> = backup
        .copies
        .iter()
        .filter(|copy| copy.complete != Some(false))
        .filter_map(|copy| Some(Point { at: copy.at.timestamp_millis(), value: copy.size_bytes? as f64 / by }))
        .collect();
    let to = scene.now.timestamp_millis();
    let oldest = points.iter().map(|point| point.at).min().unwrap_or(to);
    let from = oldest.clamp(to - DAYS * 86_400_000, to - 86_400_000);
    let widest = points.windows(2).map(|pair| (pair[1].at - pair[0].at).abs()).max().unwrap_or(0);
    pen.put(area.x + 1, area.y, area.right() - 2, &format!("size, {unit}, from 0"), theme.text);
    let series = Series { name: "size", style: theme.graph1, mark: '*', points: &points, judged: false, filled: false };
    let graph = Graph {
        series: vec![series],
        warning: None,
        critical: None,
        scale: Scale::Zero,
        unit: Unit::Count,
        from,
        to,
        joined: widest.min(3 * 86_400_000),
        failures: &[],
        labels: 6,
    };
    let rows = area.height.saturating_sub(2);
    let plot = graph.draw(Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: rows }, pen.buffer(), theme);
    let begin = Timestamp::from_timestamp_millis(from).map_or_else(String::new, |at| text::day(at, scene.now, scene.view.zone));
    let times = [(from, begin), (to, "today".to_owned())];
    Timeline { from, to, times: &times, marks: &[] }.draw(Rect { x: plot.x, y: plot.bottom(), width: plot.width, height: 1 }, pen.buffer(), theme);
}
