//! All is well, or somebody has what is not: each site with its sign, three figures and its day, then the next dates and how many
//! sources answered. Nothing bright; all of it moves by one cell each hour.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::font::{self, Size};
use super::{Frame, locked, next_hour, shift};
use crate::domain::time::millis_text;
use crate::domain::{Status, Timestamp};
use crate::state::wall::no_news;
use crate::state::{SourceState, range};
use crate::ui::panes::health::{percent, series};
use crate::ui::pen::{Pen, spans_width};
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text::{self, thousands};
use crate::ui::widgets::graph::scale::Unit;
use crate::ui::widgets::graph::{Graph, Point, Scale, Series};

/// Dates that are told.
const DATES: usize = 3;
/// How far back the day of a site goes, or less while less is known.
const DAY: [Duration; 6] = [
    Duration::from_secs(900),
    Duration::from_secs(3_600),
    Duration::from_secs(3 * 3_600),
    Duration::from_secs(6 * 3_600),
    Duration::from_secs(12 * 3_600),
    Duration::from_secs(86_400),
];
/// Minutes over which lines are averaged.
const LINES: i64 = 5;

/// How one site is drawn. All counts are rows.
#[derive(Debug, Clone, Copy)]
struct Form {
    /// Blank rows above the first site.
    above: u16,
    /// The letters; none: a row of text.
    letters: Option<Size>,
    /// Blank rows under the sign and under the letters.
    blanks: (u16, u16),
    graph: u16,
    axis: bool,
    /// Blank rows under it all.
    under: u16,
}

impl Form {
    const TEXT: Self = Self { above: 1, letters: None, blanks: (0, 0), graph: 0, axis: false, under: 0 };
    const SMALL: Self = Self { above: 1, letters: Some(Size::Middle), blanks: (0, 0), graph: 2, axis: false, under: 1 };
    const MIDDLE: Self = Self { above: 2, letters: Some(Size::Middle), blanks: (1, 2), graph: 4, axis: true, under: 2 };
    const LARGE: Self = Self { above: 4, letters: Some(Size::Large), blanks: (1, 2), graph: 7, axis: true, under: 4 };

    /// The form for a screen, of which the rows from `top` on are free.
    fn of(frame: Frame, top: u16, end: u16, ascii: bool) -> Self {
        let wanted: &[Self] = match (frame.area.width, frame.area.height) {
            (190.., 55..) => &[Self::LARGE, Self::MIDDLE, Self::SMALL],
            (100.., 30..) => &[Self::MIDDLE, Self::SMALL],
            (60.., 16..) => &[Self::SMALL],
            _ => &[],
        };
        wanted.iter().copied().find(|form| form.start(top) + form.rows(ascii) - form.under <= end).unwrap_or(Self::TEXT)
    }

    fn start(self, top: u16) -> u16 {
        if top > 0 { top + self.above.min(2) } else { self.above }
    }

    fn rows(self, ascii: bool) -> u16 {
        let Some(size) = self.letters else { return 1 };
        1 + self.blanks.0 + size.height(ascii) + self.blanks.1 + self.graph + u16::from(self.axis) + self.under
    }
}

/// Where sites go: the form, the first row, how many fit.
struct Plan {
    form: Form,
    start: u16,
    fit: usize,
    /// The row of the rule of the dates.
    dates: u16,
}

fn plan(scene: &Scene<'_>, frame: Frame, top: u16, dates: usize) -> Plan {
    let ascii = scene.theme.ascii();
    let airy = u16::from(frame.area.height >= 30);
    let shown = if frame.area.height < 16 { 0 } else { dates };
    let rows = shown.min(DATES) as u16;
    let dates = if rows == 0 { frame.bottom - airy } else { frame.bottom.saturating_sub(rows + 2 + airy) };
    let form = Form::of(frame, top, dates, ascii);
    let start = form.start(top);
    let fit = (dates.saturating_sub(start) + form.under) / form.rows(ascii);
    Plan { form, start, fit: usize::from(fit.max(1)), dates: if shown == 0 { 0 } else { dates } }
}

fn sites<'a>(scene: &Scene<'a>) -> Vec<&'a str> {
    scene.world.sites.iter().map(|site| site.name.as_str()).filter(|site| scene.shows(site)).collect()
}

/// How many pages the sites need below row `top`.
pub(super) fn pages(scene: &Scene<'_>, frame: Frame, top: u16) -> usize {
    sites(scene).len().div_ceil(plan(scene, frame, top, dates(scene).len()).fit)
}

/// Draws one page of the sites; `told` is which page of how many it is, counted from nothing.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame, top: u16, page: usize, told: (usize, usize)) {
    let theme = scene.theme;
    let dates = dates(scene);
    let plan = plan(scene, frame, top, dates.len());
    let frame = if frame.area.width >= 60 { frame.shifted(shift(scene.now)) } else { frame };
    scene.changes_at(next_hour(scene.now));
    let signs = scene.sites();
    let sites = sites(scene);
    for (at, name) in sites.iter().skip(page * plan.fit).take(plan.fit).enumerate() {
        let sign = signs.iter().find(|(_, site)| site == name).map_or(Sign::Unknown, |(sign, _)| *sign);
        let y = plan.start + plan.form.rows(theme.ascii()) * at as u16;
        site(pen, scene, frame, plan.form, y, name, sign);
    }
    if plan.dates > 0 {
        pen.rule(frame.left, plan.dates, frame.right, &[Span::styled("next", theme.bold(theme.text))], &[]);
        for ((at, site, what), y) in dates.iter().take(DATES).zip(plan.dates + 1..) {
            let due = scene.due(*at);
            pen.right(frame.left, y, frame.left + 7, &due.text, theme.dim);
            let x = pen.put(frame.left + 11, y, frame.right, site, theme.dim);
            pen.put(x + 2, y, frame.right, what, theme.dim);
        }
    }
    last_line(pen, scene, frame, told);
}

/// `✔ all 31 sources answered, nothing is stale     page 1 of 3 · keys locked · as of 5 s ago`.
pub(super) fn last_line(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame, (page, of): (usize, usize)) {
    let theme = scene.theme;
    let first = if of > 1 { format!("page {} of {of}", page + 1) } else { String::new() };
    let silent = scene.view.wall.as_ref().and_then(|wall| no_news(scene.world, scene.view.site.as_deref(), wall.started));
    let mut spans = match (scene.state.world.notices.first(), silent) {
        (Some(notice), _) => vec![Sign::Warn.span(theme), Span::styled(format!(" {}", notice.text), theme.warn)],
        (None, Some((newest, until))) if until <= scene.now => {
            let at = text::moment_short(newest, scene.now, scene.view.zone);
            vec![Sign::Stale.span(theme), Span::styled(format!(" no answer has come in since {at}"), theme.stale)]
        }
        (None, _) => {
            let (sign, said) = answered(scene);
            vec![sign.span(theme), Span::styled(format!(" {said}"), theme.dim)]
        }
    };
    if scene.view.read_only {
        spans.push(Span::styled("   read-only", theme.dim));
    }
    let end = locked(pen, scene, frame, &first, spans_width(&spans)).saturating_sub(3);
    pen.spans(frame.left, frame.bottom, end, &spans);
}

/// How many sources answered in time; never better than what was looked at.
fn answered(scene: &Scene<'_>) -> (Sign, String) {
    let mut counts = [0usize; 7];
    for (_, source) in scene.sources() {
        let place = match source.status {
            Status::Paused => continue,
            _ if source.checked_at.is_none() => 5,
            Status::Down => 1,
            Status::Unknown => 2,
            Status::Stale => 3,
            Status::Degraded => 4,
            Status::Pending => 6,
            Status::Ok | Status::Maintenance => 0,
        };
        counts[place] += 1;
    }
    let all: usize = counts.iter().sum();
    if all == 0 {
        return (Sign::Unknown, "nothing is watched".to_owned());
    }
    if counts[0] == all {
        let said = if all == 1 { "the one source".to_owned() } else { format!("all {all} sources") };
        return (Sign::Ok, format!("{said} answered, nothing is stale"));
    }
    let words = [
        (1, Sign::Crit, "down"),
        (2, Sign::Unknown, "not known"),
        (3, Sign::Stale, "stale"),
        (4, Sign::Warn, "degraded"),
        (6, Sign::Pending, "being tried again"),
        (5, Sign::Waiting, "not looked at yet"),
    ];
    let bad: Vec<_> = words.iter().filter(|(at, ..)| counts[*at] > 0).collect();
    let sign = bad.iter().map(|(_, sign, _)| *sign).min().unwrap_or(Sign::Unknown);
    let said: Vec<String> = bad.iter().map(|(at, _, word)| format!("{} {word}", counts[*at])).collect();
    (sign, format!("{} of {all} sources well: {}", counts[0], said.join(", ")))
}

/// The dates that are to come, the nearest first.
fn dates(scene: &Scene<'_>) -> Vec<(Timestamp, String, String)> {
    let mut dates: Vec<(Timestamp, String, String)> = scene
        .sources()
        .filter_map(|(id, source)| {
            let (_, certificate) = source.certificate.as_ref()?;
            Some((certificate.not_after, id.site().to_owned(), format!("Certificate of {}", certificate.host)))
        })
        .chain(scene.findings().filter(|finding| finding.id.rule() != "certificate").filter_map(|finding| {
            let site = finding.source.site().to_owned();
            Some((finding.due?, site, finding.title.clone()))
        }))
        .filter(|(at, ..)| *at > scene.now)
        .collect();
    dates.sort();
    dates.dedup();
    dates
}

/// One figure of a site.
struct Figure {
    label: &'static str,
    number: String,
    unit: &'static str,
}

/// The endpoint of a site that is slowest, by p95 of the last hour.
fn slowest<'a>(scene: &Scene<'a>, site: &str) -> Option<(&'a SourceState, f64)> {
    let endpoints = scene.sources().filter(|(id, _)| id.site() == site);
    endpoints.filter_map(|(_, source)| Some((source, source.health.as_ref()?.hour?.p95?))).max_by(|a, b| a.1.total_cmp(&b.1))
}

fn figures(scene: &Scene<'_>, site: &str) -> [Figure; 3] {
    let of_site = || scene.sources().filter(|(id, _)| id.site() == site).map(|(_, source)| source);
    let none = || ("-".to_owned(), "");
    let (p95, p95_unit) = slowest(scene, site).map_or_else(none, |(_, ms)| {
        let text = millis_text(ms);
        match text.strip_suffix(" ms") {
            Some(number) => (number.to_owned(), "ms"),
            None => (text.trim_end_matches(" s").to_owned(), "s"),
        }
    });
    let hours: Vec<_> = of_site().filter_map(|source| source.health.as_ref()?.hour).collect();
    let probes: u64 = hours.iter().map(|hour| hour.count).sum();
    let failed: f64 = hours.iter().map(|hour| (100.0 - hour.uptime) * hour.count as f64).sum();
    let (share, share_unit) = if probes == 0 { none() } else { (share(failed / probes as f64), "%") };
    let mut lines: Option<Option<f64>> = None;
    let minute = scene.now.timestamp().div_euclid(60) * 60;
    for log in of_site().filter_map(|source| source.log.as_ref()) {
        // Over the whole minutes that were watched; before the first has passed there is no rate, which is not a rate of nothing.
        let first = log.watched_since.map_or(minute, |since| (since.timestamp() + 59).div_euclid(60) * 60).max(minute - LINES * 60);
        let sum: u64 = log.minutes.range(first.min(minute)..minute).flat_map(|(_, levels)| levels).sum();
        let rate = (first < minute).then(|| sum as f64 * 60.0 / (minute - first) as f64);
        lines = Some(match (lines.flatten(), rate) {
            (Some(known), Some(rate)) => Some(known + rate),
            (known, rate) => known.or(rate),
        });
    }
    let third = match lines {
        Some(lines) => {
            if lines.is_none() {
                scene.changes_at(Timestamp::from_timestamp(minute + 60, 0).unwrap_or(Timestamp::MAX_UTC));
            }
            let number = lines.map_or_else(|| none().0, |lines| thousands(lines.round() as u64));
            Figure { label: "log lines a minute", number, unit: "" }
        }
        None => Figure { label: "probes an hour", number: if probes == 0 { none().0 } else { thousands(probes) }, unit: "" },
    };
    [Figure { label: "latency p95", number: p95, unit: p95_unit }, Figure { label: "failed probes", number: share, unit: share_unit }, third]
}

/// One decimal; what is not nothing is never rounded to it.
pub(super) fn share(percent: f64) -> String {
    if percent >= 9.95 {
        format!("{percent:.0}")
    } else if percent > 0.0 {
        format!("{:.1}", percent.max(0.1))
    } else {
        "0.0".to_owned()
    }
}

/// Sign, availability, name, figures, day.
fn site(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame, form: Form, y: u16, name: &str, sign: Sign) {
    let theme = scene.theme;
    let figures = figures(scene, name);
    let Some(size) = form.letters else {
        let said: Vec<String> = figures.iter().take(2).map(|figure| format!("{} {}", figure.number, figure.unit)).collect();
        let begin = pen.right(frame.left + 10, y, frame.right, &said.join("   "), theme.dim);
        pen.spans(frame.left, y, begin.saturating_sub(2), &[sign.span(theme), Span::styled(format!(" {name}"), theme.bold(theme.text))]);
        return;
    };
    let room = frame.right + 1 - frame.left;
    // Three columns of figures at the right of the name, each 23 % wide.
    let step = (room * 23 + 50) / 100;
    let first = frame.left + room - 3 * step;
    let bold = theme.bold(sign.style(theme));
    let wide = step >= 22;
    // Where the figures are no letters the name has their room, but for one column of text.
    let edge = if wide { first - 2 } else { frame.right - 26 };
    let x = pen.put(frame.left, y, edge, &format!("{} {}", sign.glyph(), sign.word()), bold);
    let month: Vec<_> = scene.sources().filter(|(id, _)| id.site() == name).filter_map(|(_, source)| source.health.as_ref()?.month).collect();
    let count: u64 = month.iter().map(|window| window.count).sum();
    if count > 0 {
        let uptime = month.iter().map(|window| window.uptime * window.count as f64).sum::<f64>() / count as f64;
        let said = [Span::styled("30 days ", theme.dim), Span::styled(format!("{} %", percent(uptime)), theme.text)];
        pen.spans(x + 3, y, edge, &said);
    }
    let letters = y + 1 + form.blanks.0;
    let foot = letters + size.height(theme.ascii()) - 1;
    let caps = name.to_uppercase();
    let whole = font::clip(&caps, size, edge + 1 - frame.left);
    if whole.len() == caps.len() || size == Size::Middle {
        font::draw(pen, frame.left, letters, edge, whole, size, theme.text);
    } else {
        // A long name is written smaller before it is cut.
        let cut = font::clip(&caps, Size::Middle, edge + 1 - frame.left);
        font::draw(pen, frame.left, letters, edge, cut, Size::Middle, theme.text);
    }
    for (at, figure) in figures.iter().enumerate() {
        if !wide {
            let y = letters + at as u16;
            pen.put(frame.right - 23, y, frame.right, figure.label, theme.dim);
            pen.right(frame.right - 8, y, frame.right, format!("{} {}", figure.number, figure.unit).trim(), theme.text);
            continue;
        }
        let x = first + step * at as u16;
        let last = x + step - 2;
        pen.put(x, y, last, figure.label, theme.dim);
        let unit = text::width(figure.unit) as u16 + 1;
        let size = [size, Size::Middle].into_iter().find(|size| x + font::width(&figure.number, *size) + unit <= last + 1);
        let end = match size {
            Some(size) => font::draw(pen, x, letters, last, &figure.number, size, theme.graph4),
            None => pen.put(x, foot, last, &figure.number, theme.graph4),
        };
        pen.put(end + 1, foot, last + 1, figure.unit, theme.dim);
    }
    day(pen, scene, frame, name, Rect { x: frame.left, y: foot + 1 + form.blanks.1, width: room, height: form.graph }, form.axis);
}

/// The day of a site: lines of its logs a minute, else the latency of its slowest endpoint.
fn day(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame, site: &str, area: Rect, axis: bool) {
    let theme = scene.theme;
    let logs: Vec<_> = scene.sources().filter(|(id, _)| id.site() == site).filter_map(|(_, source)| source.log.as_ref()).collect();
    let slowest = slowest(scene, site).and_then(|(source, _)| Some((source, source.health.as_ref()?)));
    let known = if logs.is_empty() { range::known_since(slowest.map(|(_, health)| health), scene.now) } else { range::lines_since(logs.iter().copied()) };
    let Some(known) = known else { return };
    let (span, grows) = range::shortest(&DAY, Some(known), scene.now);
    if let Some(at) = grows {
        scene.changes_at(at);
    }
    let to = scene.now.timestamp_millis();
    let from = to - i64::try_from(span.as_millis()).unwrap_or(86_400_000);
    let dots = usize::from(area.width) * 2;
    let (points, name, scale, unit, joined) = if logs.is_empty() {
        let Some((source, health)) = slowest else { return };
        let lines = series::percentiles(health, source.spec.every, span, scene.now, dots);
        (lines.p95, "latency p95", Scale::Zero, Unit::Millis, lines.joined)
    } else {
        let mut points = Vec::with_capacity(dots);
        let first = known.timestamp().div_euclid(60) * 60;
        // The minute under way is not whole yet.
        let last = scene.now.timestamp().div_euclid(60) * 60 - 60;
        let all = i64::from(area.width.max(1)) * 2;
        for dot in 0..all {
            let edge = |dot: i64| (from + (to - from) * dot / all).div_euclid(1_000).div_euclid(60) * 60;
            let (begin, end) = (edge(dot), edge(dot + 1).min(last));
            if end < first || begin > last {
                continue;
            }
            let minutes = ((end - begin) / 60).max(0) + 1;
            let sum: u64 = logs.iter().flat_map(|log| log.minutes.range(begin..=end.max(begin))).flat_map(|(_, levels)| levels).sum();
            points.push(Point { at: from + (to - from) * (dot * 2 + 1) / (all * 2), value: sum as f64 / minutes as f64 });
        }
        (points, "log lines", Scale::Zero, Unit::Count, i64::MAX)
    };
    let series = vec![Series { name: "", style: theme.graph4, mark: ':', points: &points, judged: false, filled: false }];
    // The axis stands in the margin, and is taken away again: nothing but the line.
    let outer = Rect { x: area.x - 1, width: area.width + 1, ..area };
    let graph = Graph { series, warning: None, critical: None, scale, unit, from, to, joined, failures: &[], labels: 0 };
    graph.draw(outer, pen.buffer(), theme);
    for y in outer.y..outer.bottom() {
        pen.glyph(outer.x, y, ' ', theme.text);
    }
    if axis {
        let y = area.bottom();
        let begin = Timestamp::from_timestamp_millis(from).map_or_else(String::new, |at| {
            let today = text::local(at, scene.view.zone).date() == text::local(scene.now, scene.view.zone).date();
            let minute = text::minute(at, scene.view.zone);
            if today { minute } else { format!("yesterday {minute}") }
        });
        let end = pen.put(frame.left, y, frame.right, &begin, theme.dim);
        pen.right(end + 2, y, frame.right, name, theme.dim);
    }
}
