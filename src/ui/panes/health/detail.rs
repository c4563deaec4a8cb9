//! The selected endpoint: its result, the graph with its marks, where the time went, what happened.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{Item, facts, series};
use crate::domain::time::{human, millis_text};
use crate::domain::{Health, Status, Timestamp, TransitionKind};
use crate::state::{Drawn, Part, range};
use crate::ui::pen::{Pen, spans_width};
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;
use crate::ui::widgets::detail::{self as lines, Line};
use crate::ui::widgets::graph::scale::Unit;
use crate::ui::widgets::graph::timeline::{Mark, Timeline};
use crate::ui::widgets::graph::{Graph, Scale, Series};
use crate::ui::widgets::stacked;

/// Cells before the axis of the graph.
const LABELS: u16 = 6;
/// A graph of fewer rows says nothing.
const LEAST: u16 = 6;
/// From this width on phases and history stand side by side.
const TWO_COLUMNS: u16 = 110;
/// Rows that phases, facts and history want beside each other.
const LOWER: u16 = 10;

/// How the rows of the detail are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Rows of the graph, with neither time axis nor marks; 0: no graph.
    graph: u16,
    /// The marks have a row of their own.
    events: bool,
    /// A blank row between graph and lower part.
    blank: bool,
    /// Rows under the graph.
    lower: u16,
}

/// Shares `height` rows out. The graph has six rows at least, else it is dropped.
fn plan(height: u16, lines: u16, wide: bool, airy: bool, zoomed: bool) -> Plan {
    let height = height.saturating_sub(1);
    let around = if wide { 1 + 1 + u16::from(airy) } else { 1 };
    let wish = if wide {
        LOWER.max(if zoomed { lines } else { 0 })
    } else if zoomed {
        1 + lines
    } else {
        // Phases and three lines of history.
        4.min(1 + lines)
    };
    if height < LEAST + around + 1 {
        return Plan { graph: 0, events: false, blank: false, lower: height };
    }
    let most = if wide {
        14
    } else if zoomed {
        10
    } else {
        12
    };
    let graph = height.saturating_sub(around + wish).clamp(LEAST, most.max(height / 3));
    let lower = height.saturating_sub(around + graph);
    Plan { graph, events: wide, blank: wide && airy, lower }
}

/// Draws the detail into `area`; `zoomed` when it has the page for itself.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, item: Item<'_>, area: Rect, zoomed: bool, drawn: &mut Drawn) {
    if area.height == 0 || area.width < 20 {
        return;
    }
    let (_, source) = item;
    let health = source.health.as_ref();
    let last = health.and_then(|health| health.last.as_ref()).map(|(_, last)| last);
    let wide = area.width >= TWO_COLUMNS;
    let history: Vec<Line> = {
        let shift = if wide { area.width / 2 } else { 0 };
        facts::history(scene, item).take(200).map(|event| facts::history_line(scene, event, shift)).collect()
    };
    let about = about(scene, item, last, zoomed || area.height > 24, area.width < 70);
    let count = if wide { about.len() + 7 } else { about.len() + history.len() + 1 } as u16;
    let plan = plan(area.height, count.min(500), wide, scene.rows.airy, zoomed);
    let range = scene.view.range.unwrap_or_else(|| super::automatic(scene, &range::GRAPH));
    let lines_over = graph(pen, scene, item, area, plan, range);
    title(pen, scene, item, area, plan, range, lines_over);
    let lower = Rect { y: area.bottom() - plan.lower, height: plan.lower, ..area };
    if lower.height == 0 {
        return;
    }
    drawn.detail_height = usize::from(lower.height.saturating_sub(1));
    let offset = scene.view.list().detail_offset;
    if wide {
        two_columns(pen, scene, last, lower, &about, &history, offset);
        drawn.detail_lines = (about.len() + 7).max(history.len());
        return;
    }
    phases_row(pen, scene, last, Rect { height: 1, ..lower });
    let rest = Rect { y: lower.y + 1, height: lower.height - 1, ..lower };
    let all: Vec<Line> = if zoomed {
        about.into_iter().chain(std::iter::once(Line::new())).chain(history).collect()
    } else {
        let room = usize::from(rest.height).max(3);
        // What happened comes first; the facts stand under it where there is room.
        let spare = room.saturating_sub(about.len() + 1).max(3);
        let (now, later) = history.split_at(history.len().min(spare));
        let gap = (!now.is_empty() && room > 4).then(Line::new);
        now.iter().cloned().chain(gap).chain(about).chain(later.iter().cloned()).collect()
    };
    drawn.detail_lines = all.len();
    if !zoomed && scene.view.focus == Part::List {
        // Nothing scrolls here without the focus: what fits is shown, and no thumb beside the list's.
        for (at, line) in all.iter().take(usize::from(rest.height)).enumerate() {
            line.draw(pen, area, rest.y + at as u16);
        }
    } else {
        lines::draw(pen, rest, &all, offset);
    }
}

/// The lines about the endpoint: one for the certificate and one for what is expected; in full where there is room.
fn about(scene: &Scene<'_>, item: Item<'_>, last: Option<&Health>, full: bool, narrow: bool) -> Vec<Line> {
    let theme = scene.theme;
    let mut about = Vec::new();
    if let Some(error) = &item.1.error {
        about.push(Line::of(vec![Span::styled(error.message.clone(), theme.bold(theme.unknown)), Span::styled(format!("   {}", error.remedy), theme.dim)]));
    }
    if full {
        about.extend(facts::expectations(last, narrow, theme));
        let certificate = facts::certificate(scene, item);
        if !certificate.is_empty() && !about.is_empty() {
            about.push(Line::new());
        }
        about.extend(certificate);
    } else {
        about.extend(facts::certificate_line(scene, item));
    }
    about.push(facts::expects_line(item, last, theme));
    about
}

/// `shop/http/basket 500 in 212 ms ── p50 p95 p99 ───── 3 h, log scale`.
fn title(pen: &mut Pen<'_>, scene: &Scene<'_>, (id, source): Item<'_>, area: Rect, plan: Plan, range: Duration, over: Duration) {
    let theme = scene.theme;
    let last = area.right() - 2;
    let focused = scene.view.focus == Part::Detail || scene.view.detail_open;
    let style = theme.bold(if focused { theme.accent } else { theme.text });
    let sign = Sign::from(source.status);
    let result_style = match source.status {
        _ if source.checked_at.is_none() => theme.dim,
        Status::Ok => theme.text,
        Status::Down => theme.bold(theme.crit),
        _ => sign.style(theme),
    };
    let said = match (&source.error, source.checked_at) {
        (_, None) => "not looked at yet".to_owned(),
        (Some(error), _) if source.status == Status::Unknown => error.message.clone(),
        _ => source.summary.clone(),
    };
    let dash = if theme.ascii() { "-- " } else { "── " };
    let mut legend = vec![
        Span::styled(dash, theme.faint),
        Span::styled("p50", theme.graph3),
        Span::raw(" "),
        Span::styled("p95", theme.bold(theme.graph1)),
        Span::raw(" "),
        Span::styled("p99", theme.graph2),
    ];
    let range = human(range);
    let mut remark = if area.width >= TWO_COLUMNS { format!("{range}, log scale, each point over {}", human(over)) } else { format!("{range}, log scale") };
    if plan.graph == 0 {
        remark.clear();
        legend.clear();
    }
    // The figures come first: the remark gives way to them, then the legend; what was expected goes before anything is cut.
    let said = text::sanitise(&said).into_owned();
    let figures = said.split_once(", ").map_or(said.as_str(), |(figures, _)| figures).to_owned();
    let room = |legend: &[Span<'_>], remark: &str| {
        let taken = text::width(id.as_str()) + 2 + usize::from(spans_width(legend)) + 1 + text::width(remark) + if remark.is_empty() { 0 } else { 5 };
        usize::from(area.width).saturating_sub(2 + taken)
    };
    if text::width(&figures) > room(&legend, &remark) {
        remark.clear();
    }
    if text::width(&figures) > room(&legend, &remark) {
        legend.clear();
    }
    let room = room(&legend, &remark);
    let said = if text::width(&said) > room && text::width(&figures) <= room { figures } else { text::clip(&said, room).into_owned() };
    let mut spans = vec![Span::styled(id.as_str().to_owned(), style), Span::raw(" "), Span::styled(said, result_style)];
    if !legend.is_empty() {
        spans.push(Span::raw(" "));
        spans.extend(legend);
    }
    let remark = if remark.is_empty() { vec![] } else { vec![Span::styled(remark, theme.dim)] };
    pen.rule(area.x + 1, area.y, last, &spans, &remark);
}

/// Draws graph, time axis and marks; gives over how much time each point is taken.
fn graph(pen: &mut Pen<'_>, scene: &Scene<'_>, (id, source): Item<'_>, area: Rect, plan: Plan, range: Duration) -> Duration {
    if plan.graph == 0 {
        return Duration::ZERO;
    }
    let theme = scene.theme;
    let place = Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: plan.graph };
    let columns = usize::from(place.width.saturating_sub(LABELS + 1)) * 2;
    let found = source.health.as_ref().map(|health| series::percentiles(health, source.spec.every, range, scene.now, columns)).unwrap_or_default();
    let limits = source.health.as_ref().and_then(|health| health.last.as_ref()).map(|(_, last)| last.limits).unwrap_or_default();
    let to = scene.now.timestamp_millis();
    let from = to - i64::try_from(range.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    let line = |name, style, mark, points, judged| Series { name, style, mark, points, judged, filled: false };
    let plot = Graph {
        series: vec![
            line("p99", theme.graph2, '+', &found.p99[..], false),
            line("p50", theme.graph3, '.', &found.p50[..], false),
            line("p95", theme.graph1, '*', &found.p95[..], true),
        ],
        warning: limits.warning_ms,
        critical: limits.critical_ms,
        scale: Scale::Log,
        unit: Unit::Millis,
        from,
        to,
        joined: found.joined,
        failures: &found.failures,
        labels: LABELS,
    }
    .draw(place, pen.buffer(), theme);
    if found.p95.is_empty() && found.failures.is_empty() && plot.width > 24 {
        let said = "no probe in this range";
        pen.put(plot.x + (plot.width - said.len() as u16) / 2, plot.y + plot.height / 2, plot.right(), said, theme.dim);
    }
    let zone = scene.view.zone;
    let short = |at: i64| {
        Timestamp::from_timestamp_millis(at)
            .map_or_else(String::new, |at| if range <= Duration::from_secs(86_400) { text::minute(at, zone) } else { text::day(at, scene.now, zone) })
    };
    let steps = if plot.width >= 90 { 6 } else { 1 };
    let times: Vec<(i64, String)> = (0..=steps).map(|n| from + (to - from) / steps * n).map(|at| (at, short(at))).collect();
    let marks: Vec<Mark> = scene
        .world
        .events
        .iter()
        .filter(|event| event.site == id.site())
        .filter_map(|event| match &event.kind {
            TransitionKind::Deploy { version, .. } => Some(Mark {
                at: event.at.timestamp_millis(),
                glyph: if theme.ascii() { text::ascii('◆') } else { '◆' },
                style: theme.accent,
                label: text::sanitise(&if plan.events { version.clone() } else { format!("{} {version}", text::minute(event.at, zone)) }).into_owned(),
            }),
            _ => None,
        })
        .collect();
    let row = Rect { y: place.bottom(), height: 1, ..plot };
    if plan.events {
        Timeline { from, to, times: &times, marks: &[] }.draw(row, pen.buffer(), theme);
        if marks.iter().any(|mark| (from..=to).contains(&mark.at)) {
            pen.put(area.x + 1, row.y + 1, area.right(), "events", theme.dim);
        }
        Timeline { from, to, times: &[], marks: &marks }.draw(Rect { y: row.y + 1, ..row }, pen.buffer(), theme);
    } else {
        Timeline { from, to, times: &times, marks: &marks }.draw(row, pen.buffer(), theme);
    }
    found.over
}

/// `phases ▆▆▆▆▆▆▆▆▆▆ first byte 200 ms of 212`.
fn phases_row(pen: &mut Pen<'_>, scene: &Scene<'_>, last: Option<&Health>, area: Rect) {
    let theme = scene.theme;
    let edge = area.right() - 2;
    let x = pen.put(area.x + 1, area.y, edge, "phases ", theme.dim);
    let phases = last.map(|last| facts::phases(&last.phases_ms)).unwrap_or_default();
    let Some((name, most)) = phases.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)) else {
        pen.put(x, area.y, edge, "not measured: there was no answer", theme.dim);
        return;
    };
    let whole: f64 = phases.iter().map(|(_, ms)| ms).sum();
    let of = millis_text(whole);
    let of = of.strip_suffix(" ms").unwrap_or(&of).to_owned();
    let named = [
        Span::styled(format!("{name} "), theme.dim),
        Span::styled(millis_text(most), theme.bold(facts::phase_style(name, theme))),
        Span::styled(format!(" of {of}"), theme.dim),
    ];
    let begin = pen.spans_right(x, area.y, edge, &named);
    let parts: Vec<(f64, ratatui::style::Style)> = phases.iter().map(|(name, ms)| (*ms, facts::phase_style(name, theme))).collect();
    if begin > x + 6 {
        pen.spans(x, area.y, begin - 2, &stacked::spans(&parts, usize::from(begin - 1 - x), theme));
    }
}

/// Phases as a table and facts at the left, history at the right.
fn two_columns(pen: &mut Pen<'_>, scene: &Scene<'_>, last: Option<&Health>, area: Rect, about: &[Line], history: &[Line], offset: usize) {
    let theme = scene.theme;
    let middle = area.x + area.width / 2;
    let edge = area.right() - 2;
    let phases = last.map(|last| facts::phases(&last.phases_ms)).unwrap_or_default();
    let whole: f64 = phases.iter().map(|(_, ms)| ms).sum();
    let remark = if phases.is_empty() { vec![] } else { vec![Span::styled(millis_text(whole), theme.dim)] };
    pen.rule(area.x + 1, area.y, middle - 2, &[Span::styled("phases", theme.bold(theme.text))], &remark);
    pen.rule(middle + 1, area.y, edge, &[Span::styled("history", theme.bold(theme.text))], &[]);
    let left = Rect { y: area.y + 1, height: area.height - 1, width: middle - area.x, ..area };
    let mut y = left.y;
    let longest = phases.iter().map(|(_, ms)| *ms).fold(0.0, f64::max);
    let (from, to) = (area.x + 25, middle.saturating_sub(3));
    let mut before = 0.0;
    for (name, ms) in &phases {
        if y >= left.bottom() {
            break;
        }
        let style = facts::phase_style(name, theme);
        let (strong, text) = if *ms >= longest { (theme.bold(theme.text), theme.bold(style)) } else { (theme.text, theme.text) };
        pen.put(area.x + 1, y, area.x + 12, name, strong);
        pen.right(area.x + 13, y, area.x + 21, &millis_text(*ms), text);
        if to > from && whole > 0.0 {
            let cells = f64::from(to - from + 1);
            let width = ((ms / whole * cells).round() as u16).clamp(1, to - from + 1);
            let start = (from + (before / whole * cells) as u16).min(to + 1 - width);
            pen.fill(start, y, start + width - 1, if theme.mono && !theme.ascii() { '█' } else { '▆' }, style);
        }
        before += ms;
        y += 1;
    }
    if phases.is_empty() && y < left.bottom() {
        pen.put(area.x + 1, y, middle - 2, "not measured: there was no answer", theme.dim);
        y += 1;
    }
    y += u16::from(scene.rows.airy);
    let room = usize::from(left.bottom().saturating_sub(y));
    let skip = offset.min(about.len().saturating_sub(room));
    for line in about.iter().skip(skip).take(room) {
        line.draw(pen, Rect { width: middle - area.x, ..area }, y);
        y += 1;
    }
    let right = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let skip = offset.min(history.len().saturating_sub(usize::from(right.height)));
    for (at, line) in history.iter().skip(skip).take(usize::from(right.height)).enumerate() {
        line.draw(pen, right, right.y + at as u16);
    }
    if history.is_empty() {
        pen.put(middle + 2, right.y, edge, "no change that rounds knows of", theme.dim);
    }
}
