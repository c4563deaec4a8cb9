//! Page 0: what changed, newest first, and what rounds ran.

use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::actions::{audit, written};
use crate::domain::time::human;
use crate::domain::{Transition, TransitionKind};
use crate::state::matching::Query;
use crate::state::menu::filter_of;
use crate::state::{Drawn, Part, PromptKind};
use crate::ui::chrome::zone_name;
use crate::ui::layout::{self, Class, Wish};
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::{Sign, mark};
use crate::ui::text;
use crate::ui::widgets::detail::{self, At, Line};
use crate::ui::widgets::list::{Column, Hidden, List, Row, matched};

/// Equal events this close to each other are one row.
const FOLD_S: i64 = 60;
/// Commands beside the events at most.
const COMMANDS: usize = 4;
/// Minutes before an event that are told of.
const BEFORE_MIN: i64 = 15;

/// One row: an event, and how many equal ones within a minute it stands for.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The newest of them.
    pub event: &'a Transition,
    /// How many.
    pub count: usize,
}

/// The events on the screen, newest first, equal neighbours within a minute folded.
#[must_use]
pub fn fold<'a>(scene: &Scene<'a>) -> Vec<Event<'a>> {
    let mut rows: Vec<Event<'a>> = Vec::new();
    for event in scene.world.events.iter().rev().filter(|event| event.in_feed() && (event.site.is_empty() || scene.shows(&event.site))) {
        if let Some(last) = rows.last_mut()
            && last.event.source == event.source
            && last.event.site == event.site
            && last.event.sentence == event.sentence
            && (last.event.at - event.at).num_seconds().abs() < FOLD_S
        {
            last.count += 1;
            continue;
        }
        rows.push(Event { event, count: 1 });
    }
    rows
}

/// The columns of events at this width.
#[must_use]
pub fn columns(width: u16) -> Vec<Column> {
    match Class::of(width) {
        Class::Narrow => vec![Column::right(9), Column::left(1), Column::flex()],
        Class::List => vec![Column::right(9), Column::left(1).gap(2), Column::left(5), Column::flex()],
        Class::Standard if width < 110 => vec![Column::right(9), Column::left(1).gap(2), Column::left(5), Column::left(13), Column::flex()],
        _ => vec![Column::right(9), Column::left(1).gap(2), Column::left(5), Column::left(17), Column::flex()],
    }
}

/// The row of an event; columns that a narrower list lacks are left out by the number of columns.
#[must_use]
pub fn row(scene: &Scene<'_>, row: &Event<'_>, query: &Query) -> Row {
    row_for(scene, row, query, 5)
}

fn row_for(scene: &Scene<'_>, event: &Event<'_>, query: &Query, columns: usize) -> Row {
    let theme = scene.theme;
    let transition = event.event;
    let mut row = Row::new().cell(when(scene, transition), theme.dim).spans(vec![mark(&transition.kind, theme)]);
    if columns > 3 {
        row = row.cell(if transition.site.is_empty() { "–" } else { &transition.site }, theme.dim);
    }
    if columns > 4 {
        let source = transition.source.as_ref().map_or("rounds", |source| source.within_site());
        let source = text::clip_middle(if transition.source.is_none() && !transition.site.is_empty() { "release" } else { source }, 17).into_owned();
        row = row.spans(matched(&source, &query.marks(&source), theme.text));
    }
    let mut sentence = text::sanitise(&transition.sentence).into_owned();
    if event.count > 1 {
        sentence = format!("{sentence} ×{}", event.count);
    }
    let marks = query.marks(&sentence);
    row.spans(matched(&sentence, &marks, theme.text))
}

/// The time of an event in nine cells.
fn when(scene: &Scene<'_>, event: &Transition) -> String {
    let zone = scene.view.zone;
    let text = text::moment(event.at, scene.now, zone);
    if text.len() > 9 { text::local(event.at, zone).format("%b %Y").to_string() } else { text }
}

fn haystack(event: &Event<'_>) -> String {
    let source = event.event.source.as_ref().map_or("", |source| source.as_str());
    format!("{} {source} {}", event.event.sentence, event.event.site)
}

/// Draws the page.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect, drawn: &mut Drawn) {
    let theme = scene.theme;
    let view = scene.view;
    let all = fold(scene);
    let query = filter_of(view).fitting(all.iter().map(haystack));
    let shown: Vec<Event<'_>> = all.iter().copied().filter(|event| query.is_empty() || query.accepts(&haystack(event))).collect();
    scene.counted.set(Some((shown.len(), all.len())));
    drawn.keys = keys(&shown);
    let list_view = view.list();
    let selected = super::selected(list_view, &drawn.keys);
    let wish = Wish { only_list: view.zoom && view.focus == Part::List, only_detail: view.detail_open || (view.zoom && view.focus == Part::Detail) };
    // The commands have a part of their own between events and detail.
    let runs = scene.world.events.iter().filter(|event| matches!(&event.kind, TransitionKind::Action { ended: None, .. })).take(COMMANDS).count().max(1) as u16;
    let commands = 1 + runs + u16::from(scene.rows.airy);
    let hidden = all.len() - shown.len();
    let needed = (shown.len() + if hidden > 0 { 2 } else { 0 }).clamp(1, 500) as u16;
    let mut split = layout::split(&scene.rows, body, needed, wish);
    split.divider = None;
    if let (Some(list), Some(_)) = (split.list, split.detail) {
        // Under one another at every width: a sentence wants the whole row.
        let height = (needed + 1).min(body.height / 2 + 1);
        let list = Rect { width: body.width, height: height.max(list.height.min(6)), ..list };
        split.list = Some(list);
        let y = list.bottom() + u16::from(scene.rows.airy);
        command_log(pen, scene, Rect { y, height: 1 + runs, ..body });
        let top = y + commands;
        split.detail = (body.bottom() > top + 2).then(|| Rect { y: top, height: body.bottom() - top, ..body });
    }
    let focused = view.focus == Part::List || split.detail.is_none();
    if let Some(area) = split.list {
        let columns = columns(area.width);
        let filter = &list_view.filter;
        let mut remark = Vec::new();
        if !filter.is_empty() && !view.prompt.as_ref().is_some_and(|prompt| prompt.kind == PromptKind::Filter) {
            remark.push(Span::styled(format!("filter {filter}   "), theme.accent));
        }
        let sites = view.site.as_deref().map_or_else(|| "all sites".to_owned(), |site| format!("only {site}"));
        let zone = zone_name(view.zone).map_or(String::new(), |zone| format!(" · {zone}"));
        remark.push(Span::styled(format!("newest first · {sites}{zone}"), theme.dim));
        let row = |at: usize| row_for(scene, &shown[at], &query, columns.len());
        let widget = List {
            remark,
            selected,
            offset: list_view.offset,
            focused,
            hidden: Hidden::of(hidden, 0, ["event", "events"]),
            after: nothing(scene, all.is_empty()),
            tight: Class::of(area.width) == Class::Narrow,
            ..List::of("events", &columns, shown.len(), &row)
        };
        let placed = widget.draw(pen, area);
        (drawn.offset, drawn.height, drawn.top) = (placed.offset, placed.height, placed.top);
    }
    if let (Some(area), Some(at)) = (split.detail, selected) {
        drawn.detail = true;
        detail_of(pen, scene, area, &shown[at], !focused, drawn);
    }
}

/// What is said instead of events where there are none.
pub(super) fn nothing(scene: &Scene<'_>, none: bool) -> Vec<Vec<Span<'static>>> {
    if none { vec![vec![Span::styled("· Nothing changed since rounds began to look", scene.theme.dim)]] } else { Vec::new() }
}

/// Keys that survive new events: the moment and the subject, and which of equal ones.
fn keys(events: &[Event<'_>]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::with_capacity(events.len());
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for event in events.iter().rev() {
        let source = event.event.source.as_ref().map_or(event.event.site.as_str(), |source| source.as_str());
        let key = format!("{}@{source}", event.event.at.timestamp_millis());
        let count = seen.entry(key.clone()).or_default();
        keys.push(format!("{key}@{count}"));
        *count += 1;
    }
    keys.reverse();
    keys
}

/// What rounds ran, newest first: time, mark, who, command, how long, how it ended.
fn command_log(pen: &mut Pen<'_>, scene: &Scene<'_>, area: Rect) {
    let theme = scene.theme;
    let last = area.right() - 2;
    pen.rule(1, area.y, last, &[Span::styled("commands", theme.bold(theme.text))], &[Span::styled("what rounds ran", theme.dim)]);
    let runs: Vec<audit::Run<'_>> = audit::runs(scene.world.events.iter().filter(|event| scene.shows(&event.site)));
    if runs.is_empty() {
        pen.put(1, area.y + 1, last, "· None yet", theme.dim);
        return;
    }
    for (run, y) in runs.iter().zip(area.y + 1..area.bottom()) {
        let TransitionKind::Action { by, steps, .. } = &run.began.kind else { continue };
        let (sign, took, ending) = match run.ended.map(|event| &event.kind) {
            Some(TransitionKind::Action { ended: Some(end), .. }) => {
                let sign = if end.ok { Sign::Ok } else { Sign::Crit }.span(theme);
                (sign, human(std::time::Duration::from_millis(end.took_ms)), Span::styled(end.words.clone(), theme.text))
            }
            _ if run.is_running(scene.now) => (Span::styled("▸", theme.accent), scene.age(run.began.at), Span::styled("running", theme.bold(theme.text))),
            // Whoever ran it is gone, or could not tell.
            _ => (Sign::Unknown.span(theme), String::new(), Span::styled("end not known", theme.unknown)),
        };
        pen.right(1, y, 9, &when(scene, run.began), theme.dim);
        pen.spans(12, y, last, &[sign]);
        let after = pen.put(14, y, last, &text::clip(by, 10), theme.dim);
        let begin = pen.spans_right(after.max(last.saturating_sub(area.width / 3)), y, last, &[ending]);
        let begin = pen.right(begin.saturating_sub(12).max(after), y, begin.saturating_sub(3), &took, theme.dim);
        let more = if steps.len() > 1 { format!(" +{}", steps.len() - 1) } else { String::new() };
        let command = steps.first().map(|step| written(step)).unwrap_or_default();
        let from = after.max(19) + 1;
        let room = usize::from(begin.saturating_sub(from + 2)).saturating_sub(more.len());
        pen.put(from, y, begin.saturating_sub(2), &format!("{}{more}", text::clip(&command, room)), theme.text);
    }
}

fn detail_of(pen: &mut Pen<'_>, scene: &Scene<'_>, area: Rect, event: &Event<'_>, focused: bool, drawn: &mut Drawn) {
    let theme = scene.theme;
    let transition = event.event;
    let subject = match &transition.source {
        Some(source) => source.as_str(),
        None if transition.site.is_empty() => "rounds",
        None => &transition.site,
    };
    let zone = scene.view.zone;
    let style = theme.bold(if focused { theme.accent } else { theme.text });
    let when = format!("{} · {} ago", text::moment(transition.at, scene.now, zone), scene.age(transition.at));
    pen.rule(area.x + 1, area.y, area.right() - 2, &[Span::styled(subject.to_owned(), style)], &[Span::styled(when, theme.dim)]);
    let cells = usize::from(area.width.saturating_sub(3));
    let mut lines: Vec<Line> = text::wrap(&transition.sentence, cells).into_iter().map(|line| Line::text(line, theme.text)).collect();
    let begin = transition.at - chrono::Duration::minutes(BEFORE_MIN);
    let before: Vec<&Transition> = scene
        .world
        .events
        .iter()
        .filter(|other| other.in_feed() && other.at >= begin && other.at < transition.at && (other.site == transition.site || other.site.is_empty()))
        .collect();
    lines.push(Line::new());
    if before.is_empty() {
        lines.push(Line::text(format!("Nothing else changed in the {BEFORE_MIN} m before"), theme.dim));
    } else {
        lines.push(Line::text(format!("changed in the {BEFORE_MIN} m before"), theme.dim));
        for other in before.iter().rev() {
            let source = other.source.as_ref().map_or(String::new(), |source| format!("{} ", source.within_site()));
            lines.push(
                Line::new()
                    .put(1, text::moment(other.at, scene.now, zone), theme.dim)
                    .spans(At::Left(12), vec![mark(&other.kind, theme)])
                    .spans(At::Left(15), vec![Span::styled(source, theme.dim), Span::styled(other.sentence.clone(), theme.text)]),
            );
        }
    }
    drawn.detail_lines = lines.len();
    let inner = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    drawn.detail_height = usize::from(inner.height);
    detail::draw(pen, inner, &lines, scene.view.list().detail_offset);
}
