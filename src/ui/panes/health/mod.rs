//! Page 2: the endpoints, each with its last hour, and under them the graph of the selected one.

mod detail;
mod facts;
pub(in crate::ui) mod series;

use std::cmp::Ordering;
use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::domain::{Capability, LatencyLimits, SourceId, Status};
use crate::state::matching::Query;
use crate::state::{Drawn, Page, Part, SourceState, range};
use crate::ui::layout::{self, Class, Wish};
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;
use crate::ui::widgets::list::{Column, Hidden, List, Row};
use crate::ui::widgets::sparkline::{self, Height};

type Item<'a> = (&'a SourceId, &'a SourceState);

/// The orders `S` goes through.
const ORDERS: [&str; 4] = ["", "p95", "uptime", "name"];

/// Draws the page.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect, drawn: &mut Drawn) {
    let all: Vec<Item<'_>> = scene.sources().filter(|(_, source)| source.spec.capability == Capability::Health).collect();
    if all.is_empty() {
        return super::empty::draw(pen, scene, body, Page::Health);
    }
    let view = scene.view.list();
    let filter = match &scene.view.prompt {
        Some(prompt) if prompt.kind == crate::state::PromptKind::Filter => prompt.input.value(),
        _ => view.filter.as_str(),
    };
    let query = Query::new(filter).fitting(all.iter().map(said));
    let (mut items, hidden): (Vec<Item<'_>>, Vec<Item<'_>>) = all.into_iter().partition(|item| query.accepts(&said(item)));
    sort(&mut items, scene, view.sort);
    drawn.keys = items.iter().map(|(id, _)| id.as_str().to_owned()).collect();
    let selected = super::selected(view, &drawn.keys);
    scene.counted.set(Some((items.len(), items.len() + hidden.len())));

    let zoomed = scene.view.zoom && scene.view.focus == Part::List;
    let wish = Wish { only_list: zoomed, only_detail: scene.view.detail_open || (scene.view.zoom && scene.view.focus == Part::Detail) };
    let wish = if items.is_empty() { Wish { only_list: true, only_detail: false } } else { wish };
    let table = Table::of(scene, &items, body);
    let columns = table.columns();
    let row = |at: usize| items.get(at).map_or_else(Row::new, |item| table.row(scene, item));
    let title = match (filter.is_empty(), ORDERS[view.sort % ORDERS.len()]) {
        (true, "") => "endpoints".to_owned(),
        (true, order) => format!("endpoints by {order}"),
        (false, "") => format!("endpoints  filter {filter}"),
        (false, order) => format!("endpoints by {order}  filter {filter}"),
    };
    let down = hidden.iter().filter(|(_, source)| source.status == Status::Down).count();
    let list =
        List { hidden: Hidden::of(hidden.len(), down, ["endpoint", "endpoints"]), ..super::listing::of(scene, &title, &columns, &row, &drawn.keys, selected) };
    let split = layout::split(&scene.rows, body, list.needs(), wish);
    if let Some(area) = split.list {
        // On a narrow screen the rows begin where the rule would stand.
        let area = if list.bare { Rect { y: area.y.saturating_sub(1), height: area.height + 1, ..area } } else { area };
        let shown = list.draw(pen, area);
        (drawn.offset, drawn.height, drawn.top) = (shown.offset, shown.height, shown.top);
        if list.tight {
            scene.counted.set(Some((shown.height.min(items.len()), items.len() + hidden.len())));
        }
    }
    if let Some(x) = split.divider {
        for y in body.y..body.bottom() {
            pen.glyph(x, y, '│', scene.theme.faint);
        }
    }
    if let (Some(area), Some(item)) = (split.detail, selected.and_then(|at| items.get(at))) {
        drawn.detail = true;
        detail::draw(pen, scene, *item, area, split.list.is_none(), drawn);
    }
}

/// The shortest of these ranges that covers what is known of the endpoints on the screen: one for all, so that rows compare.
fn automatic(scene: &Scene<'_>, ranges: &[Duration]) -> Duration {
    let known = range::known_since(scene.sources().filter_map(|(_, source)| source.health.as_ref()), scene.now);
    let (range, grows) = range::shortest(ranges, known, scene.now);
    if let Some(at) = grows.filter(|_| scene.now == scene.clock) {
        scene.changes_at(at);
    }
    range
}

/// The text that stands for an endpoint when it is filtered.
fn said((id, source): &Item<'_>) -> String {
    let request = source.health.as_ref().and_then(|health| health.last.as_ref()).map_or("", |(_, health)| health.request.as_str());
    format!("{id} {} {} {request} {}", source.spec.title, source.status.word(), source.summary)
}

/// Where a status stands on this page: the broken first, what is not judged last.
const fn place(status: Status) -> u8 {
    match status {
        Status::Down => 0,
        Status::Degraded => 1,
        Status::Pending => 2,
        Status::Unknown => 3,
        Status::Stale => 4,
        Status::Ok => 5,
        Status::Maintenance => 6,
        Status::Paused => 7,
    }
}

fn sort(items: &mut [Item<'_>], scene: &Scene<'_>, order: usize) {
    let site = |id: &SourceId| scene.world.sites.iter().position(|site| site.name == id.site()).unwrap_or(usize::MAX);
    let p95 = |source: &SourceState| source.health.as_ref().and_then(|health| health.hour?.p95).unwrap_or(-1.0);
    let uptime = |source: &SourceState| source.health.as_ref().and_then(|health| health.day).map_or(101.0, |day| day.uptime);
    items.sort_by(|(a_id, a), (b_id, b)| {
        let first = match order % ORDERS.len() {
            1 => p95(b).total_cmp(&p95(a)),
            2 => uptime(a).total_cmp(&uptime(b)),
            3 => Ordering::Equal,
            _ => place(a.status).cmp(&place(b.status)),
        };
        let by_site = if order % ORDERS.len() == 3 { Ordering::Equal } else { site(a_id).cmp(&site(b_id)).then_with(|| a_id.site().cmp(b_id.site())) };
        first.then(by_site).then_with(|| name(a_id, a).cmp(name(b_id, b))).then_with(|| a_id.cmp(b_id))
    });
}

fn name<'a>(id: &'a SourceId, source: &'a SourceState) -> &'a str {
    if source.spec.title.is_empty() { id.name() } else { &source.spec.title }
}

/// Which columns there is room for, and how wide they are.
#[derive(Debug, Clone, Copy)]
struct Table {
    word: bool,
    site: u16,
    name: u16,
    request: Option<u16>,
    spark: u16,
    /// What the sparklines are of, the same for all rows.
    span: Duration,
    p50: bool,
    p99: bool,
    day: bool,
    month: bool,
    age: bool,
    /// Blanks between figures: a wide screen has two.
    gap: u16,
}

impl Table {
    fn of(scene: &Scene<'_>, items: &[Item<'_>], body: Rect) -> Self {
        let longest = items.iter().map(|(id, _)| id.site().len()).max().unwrap_or(4) as u16;
        let names = items.iter().map(|(id, source)| text::width(name(id, source))).max().unwrap_or(6) as u16;
        let (width, class) = match scene.rows.class {
            // The list of a double screen is as wide as its left part.
            Class::Double if scene.rows.airy => (118, Class::Wide),
            class => (body.width, class),
        };
        let site = longest.clamp(4, 10);
        let span = automatic(scene, &range::ROW);
        // What is left for name, request and sparkline once the rest stands.
        let room = |fixed: u16| width.saturating_sub(3 + fixed);
        match class {
            Class::Narrow => {
                let site = site.min(5);
                let name = room(10 + site);
                Self { word: false, site, name, request: None, spark: 0, span, p50: false, p99: false, day: false, month: false, age: false, gap: 1 }
            }
            Class::List => {
                let fixed = 16 + site;
                let name = names.clamp(6, 12);
                let spark = room(fixed + name).min(24);
                let name = room(fixed + spark);
                Self { word: false, site, name, request: None, spark, span, p50: true, p99: false, day: false, month: false, age: false, gap: 1 }
            }
            Class::Standard => {
                let fixed = 8 + site + 2 + 1 + 5 + 7 + 7 + 7 + 6;
                let name = names.clamp(10, 24).min(room(fixed + 10));
                let spark = room(fixed + name).min(40);
                let name = room(fixed + spark);
                Self { word: true, site, name, request: None, spark, span, p50: true, p99: true, day: true, month: false, age: true, gap: 1 }
            }
            Class::Wide | Class::Double => {
                let fixed = 8 + site + 2 + 2 + 6 + 8 + 8 + 8 + 9 + 9;
                let name = names.clamp(10, 24).min(room(fixed + 16 + 12));
                let rest = room(fixed + name);
                let spark = rest.saturating_sub(19).clamp(12, 36).min(rest);
                Self { word: true, site, name, request: Some(rest - spark), spark, span, p50: true, p99: true, day: true, month: true, age: true, gap: 2 }
            }
        }
    }

    fn columns(&self) -> Vec<Column> {
        let mut columns =
            vec![Column::left(if self.word { 7 } else { 1 }), Column::left(self.site), Column::left(self.name).gap(if self.word { 2 } else { 1 })];
        if let Some(request) = self.request {
            columns.push(Column::left(request).head("request"));
        }
        if self.spark > 0 {
            columns.push(Column::left(self.spark).head(match self.span.as_secs() {
                0..=300 => "last 5 m",
                301..=900 => "last 15 m",
                _ => "last hour",
            }));
        }
        let figure = |head: &'static str, cells: u16| Column::right(cells).head(head).gap(self.gap);
        if self.p50 {
            columns.push(figure("p50", if self.gap > 1 { 6 } else { 5 }).gap(0));
        }
        columns.push(figure("p95", 6));
        if self.p99 {
            columns.push(figure("p99", 6));
        }
        if self.day {
            columns.push(figure("24 h %", 6));
        }
        if self.month {
            columns.push(figure("30 d %", 6).gap(3));
        }
        if self.age {
            columns.push(figure("age", if self.gap > 1 { 7 } else { 5 }));
        }
        columns
    }

    fn row(&self, scene: &Scene<'_>, (id, source): &Item<'_>) -> Row {
        let theme = scene.theme;
        let waiting = source.checked_at.is_none() && source.status == Status::Pending;
        let sign = if waiting { Sign::Waiting } else { Sign::from(source.status) };
        let calm = scene.offline() || matches!(source.status, Status::Stale | Status::Maintenance | Status::Paused);
        let content = if calm { theme.dim } else { theme.text };
        let mut row = Row::new().spans(vec![if self.word { sign.with_word(theme) } else { sign.span(theme) }]);
        row = row.cell(id.site().to_owned(), content).cell(name(id, source).to_owned(), content);
        let health = source.health.as_ref();
        let limits = health.and_then(|health| health.last.as_ref()).map(|(_, health)| health.limits).unwrap_or_default();
        if self.request.is_some() {
            let request = health.and_then(|health| health.last.as_ref()).map_or(source.spec.target.as_str(), |(_, health)| health.request.as_str());
            row = row.cell(request.to_owned(), theme.dim);
        }
        if self.spark > 0 {
            let height = Height::Latency { warning: limits.warning_ms, critical: limits.critical_ms };
            let cells = health.map(|health| series::recent(health, scene.now, self.span, usize::from(self.spark))).unwrap_or_default();
            row = row.spans(sparkline::spans(&cells, height, calm.then_some(theme.dim), theme));
        }
        let hour = health.and_then(|health| health.hour);
        let figure = |value: Option<f64>, judged: bool| match value {
            Some(ms) => Span::styled(millis(ms), if judged && !calm { over(ms, limits, content, scene) } else { content }),
            None => Span::styled("·", theme.dim),
        };
        let share = |window: Option<crate::state::Window>| match window {
            Some(window) if window.count > 0 => Span::styled(percent(window.uptime), content),
            _ => Span::styled("·", theme.dim),
        };
        if self.p50 {
            row = row.spans(vec![figure(hour.and_then(|hour| hour.p50), false)]);
        }
        row = row.spans(vec![figure(hour.and_then(|hour| hour.p95), true)]);
        if self.p99 {
            row = row.spans(vec![figure(hour.and_then(|hour| hour.p99), false)]);
        }
        if self.day {
            row = row.spans(vec![share(health.and_then(|health| health.day))]);
        }
        if self.month {
            row = row.spans(vec![share(health.and_then(|health| health.month))]);
        }
        if self.age {
            let age = match (source.status, source.good_at.or(source.checked_at), source.checked_at) {
                (Status::Stale, Some(good), _) => Span::styled(scene.step(good), theme.bold(theme.stale)),
                (_, _, Some(checked)) => Span::styled(scene.step(checked), theme.dim),
                _ => Span::styled("·", theme.dim),
            };
            row = row.spans(vec![age]);
        }
        row
    }
}

/// The style of a value against its limits.
fn over(ms: f64, limits: LatencyLimits, within: Style, scene: &Scene<'_>) -> Style {
    let theme = scene.theme;
    if limits.critical_ms.is_some_and(|limit| ms > limit) {
        theme.bold(theme.crit)
    } else if limits.warning_ms.is_some_and(|limit| ms > limit) {
        theme.bold(theme.warn)
    } else {
        within
    }
}

/// Milliseconds without a unit, from a second on with: `66`, `1.24 s`.
fn millis(ms: f64) -> String {
    if !ms.is_finite() {
        return "·".to_owned();
    }
    let text = crate::domain::time::millis_text(ms);
    text.strip_suffix(" ms").map_or(text.clone(), str::to_owned)
}

/// Two decimals; `100` only for what is whole.
pub(in crate::ui) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "·".to_owned();
    }
    if share >= 100.0 {
        return "100".to_owned();
    }
    // Never rounded up to a whole that it was not.
    format!("{:.2}", (share * 100.0).floor() / 100.0)
}

#[cfg(test)]
mod tests;
