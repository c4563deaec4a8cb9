//! The detail of a finding, from four blocks in this order, as many as fit: comparison, sentences, what happened, actions.

use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::domain::{Block, Comparison, Finding, Severity, Timestamp};
use crate::state::rank::asleep;
use crate::state::{Command, Drawn, HealthState, offering, range};
use crate::ui::layout::Class;
use crate::ui::pen::Pen;
use crate::ui::scene::{Scene, pages_of};
use crate::ui::signs::{Sign, mark};
use crate::ui::text;
use crate::ui::widgets::detail;
use crate::ui::widgets::detail::{At, Line};
use crate::ui::widgets::graph::scale::Unit;
use crate::ui::widgets::graph::timeline::{Mark, Timeline};
use crate::ui::widgets::graph::{Graph, Point, Scale, Series};
use crate::ui::widgets::histogram::{self, Histogram};
use crate::ui::widgets::sparkline::{self, Bucket, Height};

/// Minutes before a finding that are told of.
const BEFORE_MIN: i64 = 15;
/// Events that are told of beside a list.
const HAPPENED: usize = 5;
/// Where the second half of a wide detail begins.
const SECOND: u16 = 59;
/// Rows of the graph at most.
const GRAPH_ROWS: u16 = 12;

/// Draws the detail with its rule.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, area: Rect, finding: &Finding, focused: bool, drawn: &mut Drawn) {
    let theme = scene.theme;
    let wide = Class::of(pen.area().width) >= Class::Wide;
    let whole = scene.view.detail_open || scene.view.zoom;
    let title = if wide || whole { finding.title.as_str() } else { finding.source.as_str() };
    let style = theme.bold(if focused { theme.accent } else { theme.text });
    pen.rule(area.x + 1, area.y, area.right() - 2, &[Span::styled(title.to_owned(), style)], &remark(scene, finding, wide || whole));

    let inner = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let graphs = !whole && area.width >= 110 && inner.height >= 8 && latency_points(scene, finding).is_some();
    let columns = if graphs { SECOND - 3 } else { area.width.saturating_sub(2) };
    let lines = lines(scene, finding, columns, inner.height, whole || focused, !graphs);
    drawn.detail_lines = lines.len();
    drawn.detail_height = usize::from(inner.height);
    let column = if graphs { Rect { width: columns + 2, ..inner } } else { inner };
    detail::draw(pen, column, &lines, scene.view.list().detail_offset);
    // A double screen has no room beside the lines, but under them.
    let free = inner.height.saturating_sub(lines.len() as u16 + 1);
    if !graphs && !whole && wide && free >= 8 && latency_points(scene, finding).is_some() {
        let height = free.min(GRAPH_ROWS + 2);
        graph(pen, scene, finding, Rect { x: area.x + 1, y: inner.bottom() - free, width: area.width - 3, height });
    }
    if graphs {
        graph(pen, scene, finding, Rect { x: area.x + SECOND, width: area.width - SECOND - 1, ..inner });
    }
}

fn remark(scene: &Scene<'_>, finding: &Finding, wide: bool) -> Vec<Span<'static>> {
    let theme = scene.theme;
    let since = text::moment_short(finding.since, scene.now, scene.view.zone);
    let mut words = match &finding.acknowledged {
        Some(ack) if asleep(finding, scene.now) => format!("{} has it: {}", ack.by, ack.why),
        _ if finding.severity == Severity::Unknown => format!("not known since {since}"),
        _ => match finding.due {
            Some(due) => format!("due {}", text::moment_short(due, scene.now, scene.view.zone)),
            None => format!("since {since}"),
        },
    };
    if wide {
        words = format!("{} · {words}", finding.source);
    }
    vec![Span::styled(words, theme.dim)]
}

fn lines(scene: &Scene<'_>, finding: &Finding, columns: u16, height: u16, whole: bool, sparklines: bool) -> Vec<Line> {
    let theme = scene.theme;
    let cells = usize::from(columns.saturating_sub(1)).max(8);
    let mut lines = Vec::new();
    let mut told = String::new();
    for block in &finding.blocks {
        if let Block::Comparison(rows) = block {
            comparison(scene, rows, columns, sparklines, &mut lines);
        }
    }
    let mut sentences = Vec::new();
    for block in &finding.blocks {
        if let Block::Sentences(texts) = block {
            for sentence in texts {
                told.push_str(sentence);
                sentences.extend(text::wrap(sentence, cells).into_iter().map(|line| Line::text(line, theme.text)));
            }
        }
    }
    if !finding.detail.is_empty() && !told.to_lowercase().contains(&finding.detail.to_lowercase()) {
        let first = text::wrap(&finding.detail, cells).into_iter().map(|line| Line::text(line, theme.text));
        sentences.splice(0..0, first);
    }
    push_block(&mut lines, sentences);
    let mut evidence = Vec::new();
    for block in &finding.blocks {
        if let Block::Evidence(texts) = block {
            let last = texts.len().saturating_sub(1);
            for (at, line) in texts.iter().enumerate() {
                let style = if at == last { theme.bold(theme.crit) } else { theme.dim };
                let spans = vec![Span::styled("│ ", theme.faint), Span::styled(line.clone(), style)];
                evidence.push(Line::of(spans));
            }
        }
    }
    push_block(&mut lines, evidence);
    let actions = actions(scene, finding, if columns < 70 { 3 } else { 6 });
    let room = usize::from(height).saturating_sub(lines.len() + 2 + 2);
    let happened = happened(scene, finding, if whole { usize::MAX } else { room.min(HAPPENED) });
    if !happened.is_empty() {
        push_block(&mut lines, happened);
    }
    // The actions stand last and are not pushed out by evidence, unless there is more than one screen anyway.
    if !whole && lines.len() + 2 > usize::from(height) && lines.len() < usize::from(height) {
        lines.truncate(usize::from(height).saturating_sub(1));
        lines.push(actions);
    } else {
        push_block(&mut lines, vec![actions]);
    }
    lines
}

/// Adds lines after one blank line.
fn push_block(lines: &mut Vec<Line>, more: Vec<Line>) {
    if more.is_empty() {
        return;
    }
    if !lines.is_empty() {
        lines.push(Line::new());
    }
    lines.extend(more);
}

/// Ends of the columns before, after and limit, and the first of the sparkline.
fn places(columns: u16) -> (u16, u16, u16, u16) {
    if columns >= 78 {
        (33, 43, 53, 56)
    } else if columns >= 56 {
        (30, 41, 52, 99)
    } else {
        (26, 37, 48, 99)
    }
}

fn comparison(scene: &Scene<'_>, rows: &[Comparison], columns: u16, sparklines: bool, lines: &mut Vec<Line>) {
    let theme = scene.theme;
    let (before, after, limit, spark) = places(columns);
    let limited = rows.iter().any(|row| !row.limit.is_empty());
    let earlier = rows.iter().any(|row| !row.before.is_empty());
    let mut head = Line::new();
    if earlier {
        head = head.right(before, "before", theme.dim).right(after, "after", theme.dim);
    } else {
        head = head.right(after, "now", theme.dim);
    }
    if limited {
        head = head.right(limit, "limit", theme.dim);
    }
    lines.push(head);
    for row in rows {
        let judged = match row.broken {
            Some(Severity::Critical) => theme.bold(theme.crit),
            Some(_) => theme.bold(theme.warn),
            None => theme.bold(theme.text),
        };
        let mut line = Line::new()
            .put(1, text::clip(&row.name, usize::from(before) - 12).into_owned(), theme.text)
            .right(before, row.before.clone(), theme.dim)
            .right(after, row.after.clone(), judged);
        if limited {
            line = line.right(limit, row.limit.clone(), theme.dim);
        }
        if sparklines && spark < columns && !row.points.is_empty() {
            let width = usize::from((columns - spark).min(22));
            line = line.spans(At::Left(spark), spark_of(scene, row, width));
        }
        lines.push(line);
    }
}

/// The course of one row, the worst of each bucket.
fn spark_of(scene: &Scene<'_>, row: &Comparison, width: usize) -> Vec<Span<'static>> {
    let count = row.points.len();
    let mut buckets = vec![Bucket::Gap; width];
    for (at, point) in row.points.iter().enumerate() {
        if let Some(value) = point
            && let Some(bucket) = buckets.get_mut(at * width / count)
        {
            *bucket = bucket.worse(Bucket::Value(*value));
        }
    }
    // A course shorter than its cells leaves holes that are none.
    if count < width {
        for at in 1..width {
            if buckets[at] == Bucket::Gap && row.points[at * count / width].is_some() {
                buckets[at] = buckets[at - 1];
            }
        }
    }
    let (warning, critical) = if row.broken == Some(Severity::Critical) { (None, row.limit_value) } else { (row.limit_value, None) };
    let height = Height::Latency { warning: warning.or(critical), critical };
    sparkline::spans(&buckets, height, None, scene.theme)
}

/// What happened to the site from shortly before the finding on, oldest first.
fn happened(scene: &Scene<'_>, finding: &Finding, most: usize) -> Vec<Line> {
    let theme = scene.theme;
    let begin = finding.since - chrono::Duration::minutes(BEFORE_MIN);
    let site = finding.source.site();
    let mut events: Vec<_> =
        scene.world.events.iter().filter(|event| event.in_feed() && event.at >= begin && (event.site == site || event.site.is_empty())).collect();
    events.sort_by_key(|event| event.at);
    if events.is_empty() || most == 0 {
        return Vec::new();
    }
    let mut lines = vec![Line::text("what happened", theme.dim)];
    // The beginning says more than the end: what came first preceded the rest.
    for event in events.iter().take(most) {
        let subject = event.source.as_ref().filter(|id| **id != finding.source).map_or(String::new(), |id| format!("{} ", id.within_site()));
        lines.push(
            Line::new()
                .put(1, text::moment(event.at, scene.now, scene.view.zone), theme.dim)
                .spans(At::Left(12), vec![mark(&event.kind, theme)])
                .spans(At::Left(15), vec![Span::styled(subject, theme.dim), Span::styled(event.sentence.clone(), theme.text)]),
        );
    }
    lines
}

fn actions(scene: &Scene<'_>, finding: &Finding, gap: usize) -> Line {
    let theme = scene.theme;
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut add = |key: String, words: &str, bold: bool| {
        if key.is_empty() {
            return;
        }
        if !spans.is_empty() {
            spans.push(Span::raw(" ".repeat(gap)));
        }
        spans.push(Span::styled(key, theme.accent));
        spans.push(Span::styled(format!("  {words}"), if bold { theme.bold(theme.text) } else { theme.dim }));
    };
    if finding.runbook.is_some() {
        add(scene.key(Command::Open), "open the runbook", true);
    }
    if !scene.view.read_only {
        let trusted = scene.world.untrusted.is_none();
        let first = finding.actions.first().and_then(|id| scene.world.actions.iter().find(|action| action.id.as_str() == id)).filter(|_| trusted);
        let of_issue = finding.id.rule() == "issue" && offering::of_finding(finding).is_some();
        match first {
            Some(action) if action.fit(&finding.source) < 2 => add(scene.key(Command::Actions), &action.title, finding.runbook.is_none()),
            _ if of_issue => add(scene.key(Command::Actions), "resolve", false),
            Some(_) => add(scene.key(Command::Actions), "actions", false),
            None => {}
        }
    }
    let pages = pages_of(scene.world, finding);
    if let Some(page) = pages.first() {
        add(scene.key(Command::Page(*page)), &format!("{} of {}", page.title(), finding.source.site()), false);
    }
    let first = scene.world.findings.first().is_some_and(|first| first.id == finding.id);
    add(scene.key(Command::Why), if first { "why first?" } else { "why here?" }, false);
    Line::of(spans)
}

/// How far back the graph of a source goes: an hour, or less while less is known.
fn span(scene: &Scene<'_>, health: &HealthState) -> chrono::Duration {
    let (range, grows) = range::shortest(&range::ROW, range::known_since([health], scene.now), scene.now);
    if let Some(at) = grows.filter(|_| scene.now == scene.clock) {
        scene.changes_at(at);
    }
    chrono::Duration::from_std(range).unwrap_or_default()
}

/// Latencies of the finding's source over the time of the graph.
fn latency_points(scene: &Scene<'_>, finding: &Finding) -> Option<Vec<Point>> {
    // How fast it answers says nothing about when a certificate ends, and would be the first thing seen.
    if finding.id.rule() == "certificate" {
        return None;
    }
    let health = scene.world.sources.get(&finding.source)?.health.as_ref()?;
    let from = scene.now - span(scene, health);
    let points: Vec<Point> = health
        .samples
        .iter()
        .filter(|sample| sample.at >= from)
        .filter_map(|sample| Some(Point { at: sample.at.timestamp_millis(), value: f64::from(sample.latency_ms?) }))
        .collect();
    (points.len() > 1).then_some(points)
}

/// The course of what a finding is about, with its times: latency, or lines by level; nothing where neither is known.
pub(in crate::ui) fn course(pen: &mut Pen<'_>, scene: &Scene<'_>, finding: &Finding, area: Rect) {
    let Some(source) = scene.world.sources.get(&finding.source) else { return };
    let Some(log) = &source.log else {
        if latency_points(scene, finding).is_some() {
            graph(pen, scene, finding, area);
        }
        return;
    };
    if area.height < 3 {
        return;
    }
    let (span, grows) = range::shortest(&range::LOG, range::lines_since([log]), scene.now);
    if let Some(at) = grows {
        scene.changes_at(at);
    }
    let to = scene.now.timestamp();
    let from = to - i64::try_from(span.as_secs()).unwrap_or(3_600);
    pen.put(area.x, area.y, area.right() - 1, "lines a minute", scene.theme.text);
    let columns = histogram::columns(&log.minutes, from, to, usize::from(Histogram::plot_width(area.width, 6)));
    let place = Rect { y: area.y + 1, height: (area.height - 2).min(GRAPH_ROWS), ..area };
    let plot = Histogram { columns: &columns, cursor: None, labels: 6 }.draw(place, pen.buffer(), scene.theme);
    let time = |at: i64| Timestamp::from_timestamp(at, 0).map_or_else(String::new, |at| text::minute(at, scene.view.zone));
    let times = [(from, time(from)), (to, time(to))];
    let under = Rect { x: plot.x, y: plot.bottom(), width: plot.width, height: 1 };
    Timeline { from, to, times: &times, marks: &[] }.draw(under, pen.buffer(), scene.theme);
}

fn graph(pen: &mut Pen<'_>, scene: &Scene<'_>, finding: &Finding, area: Rect) {
    let (Some(points), Some(source)) = (latency_points(scene, finding), scene.world.sources.get(&finding.source)) else { return };
    let Some(health) = &source.health else { return };
    let theme = scene.theme;
    let limits = health.last.as_ref().map(|(_, last)| last.limits).unwrap_or_default();
    let begin = scene.now - span(scene, health);
    let (from, to) = (begin.timestamp_millis(), scene.now.timestamp_millis());
    let failures: Vec<i64> =
        health.samples.iter().filter(|sample| sample.latency_ms.is_none() && sample.failed).map(|sample| sample.at.timestamp_millis()).collect();
    pen.put(area.x, area.y, area.right() - 1, "latency, ms", theme.text);
    let rows = area.height.saturating_sub(2).min(GRAPH_ROWS);
    let joined = i64::try_from(source.spec.every.max(source.spec.retry_every).as_millis()).unwrap_or(60_000).saturating_mul(5) / 2;
    let graph = Graph {
        series: vec![Series { name: "latency", style: theme.graph1, mark: '*', points: &points, judged: true, filled: false }],
        warning: limits.warning_ms,
        critical: limits.critical_ms,
        scale: Scale::Log,
        unit: Unit::Millis,
        from,
        to,
        joined,
        failures: &failures,
        labels: 6,
    };
    let plot = graph.draw(Rect { y: area.y + 1, height: rows, ..area }, pen.buffer(), theme);
    let times = [(from, text::minute(begin, scene.view.zone)), (to, text::minute(scene.now, scene.view.zone))];
    let marks: Vec<Mark> = scene
        .world
        .events
        .iter()
        .filter(|event| event.site == finding.source.site())
        .filter_map(|event| match &event.kind {
            crate::domain::TransitionKind::Deploy { version, .. } => Some(Mark {
                at: event.at.timestamp_millis(),
                glyph: if theme.ascii() { text::ascii('◆') } else { '◆' },
                style: theme.accent,
                label: text::sanitise(version).into_owned(),
            }),
            _ => None,
        })
        .collect();
    let under = Rect { x: plot.x, y: plot.bottom(), width: plot.width, height: 1 };
    if under.bottom() <= area.bottom() {
        Timeline { from, to, times: &times, marks: &marks }.draw(under, pen.buffer(), theme);
    }
}

/// The sign a finding is shown with.
#[must_use]
pub fn sign(scene: &Scene<'_>, finding: &Finding) -> Sign {
    if asleep(finding, scene.now) { Sign::Acknowledged } else { Sign::from(finding.severity) }
}
