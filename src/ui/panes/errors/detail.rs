//! The selected issue or group: type and value, the frames of its event where that is known, what else is told.

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::beside::{self, VALUE};
use super::frames::{self, Measure};
use super::{Entry, What};
use crate::domain::time::human;
use crate::domain::{ErrorEvent, ErrorKind, LogEvent, SourceError, Timestamp, Transition, TransitionKind};
use crate::sources::ItemKey;
use crate::state::stack::{self, StackView};
use crate::state::{Command, Drawn, Page, Part, item};
use crate::ui::layout::Class;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text;
use crate::ui::widgets::detail::{At, Line};
use crate::ui::widgets::graph::scale::Unit;
use crate::ui::widgets::graph::timeline::{Mark, Timeline};
use crate::ui::widgets::graph::{Graph, Point, Scale, Series};

use super::super::logs::traceback::Folded;

/// From this width on the facts stand beside the frames.
const TWO_COLUMNS: u16 = 110;
/// From so many rows on all is told at once.
const TALL: u16 = 30;
/// Where they begin.
const SECOND: u16 = 78;
/// Rows of the graph with its title and time axis.
const GRAPH: u16 = 6;
/// Deploys further back than this did not precede an issue.
const BEFORE_H: i64 = 24;
/// Breadcrumbs that are shown where there is room.
const BREADCRUMBS: usize = 30;
/// Rows of the second column that are kept for them, with a blank one and their title.
const CRUMBS_KEPT: usize = 9;
/// Frames that are shown at most.
const FRAMES: usize = 40;

/// The event that is on the screen, and what it was asked by.
struct Looked<'a> {
    key: Option<ItemKey>,
    part: Option<String>,
    event: Option<&'a ErrorEvent>,
    view: Option<&'a StackView>,
}

fn looked<'a>(scene: &Scene<'a>, entry: &Entry<'_>) -> Looked<'a> {
    let row = entry.key();
    let key = item::item_key(&row);
    let part = scene.view.parts.get(&Page::Errors).filter(|(of, _)| *of == row).map(|(_, part)| part.clone());
    let event = key.as_ref().and_then(|key| stack::looked_at(scene.state, key, part.as_deref())).map(|(_, event)| event);
    let view = Some(&scene.view.stack).filter(|stack| stack.of == row);
    Looked { key, part, event, view }
}

/// How much is told.
#[derive(Debug, Clone, Copy)]
struct Room {
    width: u16,
    /// Facts stand beside the frames.
    wide: bool,
    /// All of it, to be scrolled.
    whole: bool,
    focused: bool,
}

/// Draws the detail with its rule; `whole` when it has the page for itself.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, entry: &Entry<'_>, area: Rect, whole: bool, drawn: &mut Drawn) {
    let theme = scene.theme;
    let focused = scene.view.focus == Part::Detail || scene.view.detail_open;
    let style = theme.bold(if focused { theme.accent } else { theme.text });
    let title = match &entry.what {
        What::Group(group, _) => format!("log:{}", group.id),
        What::Issue(issue) => issue.short_id.clone(),
        What::Trouble(..) => entry.source.spec.id.to_string(),
    };
    let looked = looked(scene, entry);
    pen.rule(area.x + 1, area.y, area.right() - 2, &[Span::styled(title, style)], &[Span::styled(remark(scene, entry, looked.event), theme.dim)]);
    let inner = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let wide = area.width >= TWO_COLUMNS;
    let left = if wide { Rect { width: SECOND - 1, ..inner } } else { inner };
    let room = Room { width: left.width, wide, whole: whole || focused || inner.height >= TALL, focused };
    let (mut all, stops) = main(scene, entry, &looked, room);
    let facts = facts(scene, entry, looked.event);
    let hours = entry.hours();
    let graph = hours.iter().any(|count| *count > 0);
    let crumbs = looked.event.filter(|event| !event.breadcrumbs.is_empty());
    let pinned = looked.event.filter(|_| !wide && !room.whole && inner.height > 6).and_then(|event| beside::row(scene, event));
    drawn.detail_height = usize::from(inner.height);
    if wide {
        let right = Rect { x: area.x + SECOND, width: area.width - SECOND, ..inner };
        let under = if graph && right.height > GRAPH {
            draw_graph(pen, scene, entry, &hours, Rect { height: GRAPH, ..right });
            GRAPH + 1
        } else {
            0
        };
        let rest = Rect { y: right.y + under, height: right.height.saturating_sub(under), ..right };
        // What happened before is worth more than the last of the facts: half of the column at most is kept for it.
        let height = usize::from(rest.height);
        let kept = crumbs.map_or(0, |event| (event.breadcrumbs.len() + 2).min(CRUMBS_KEPT).min(height / 2));
        let mut second = facts.clone();
        let over = second.split_off(facts.len().min(height - kept));
        all.extend((!over.is_empty()).then(Line::new));
        all.extend(over);
        if let Some(event) = crumbs {
            let most = height.saturating_sub(second.len() + 1);
            second.push(Line::new());
            second.extend(beside::breadcrumbs(scene, event, most));
        }
        for (line, y) in second.iter().zip(rest.y..rest.bottom()) {
            line.draw(pen, rest, y);
        }
    } else if room.whole || looked.event.is_none() {
        all.push(Line::new());
        all.extend(facts);
        if let Some(event) = crumbs {
            all.push(Line::new());
            all.extend(beside::breadcrumbs(scene, event, BREADCRUMBS));
        }
    }
    if let Some(event) = looked.event.filter(|_| room.whole) {
        if wide && event.breadcrumbs.len() > 3 {
            all.push(Line::new());
            all.extend(beside::breadcrumbs(scene, event, BREADCRUMBS));
        }
        all.extend(beside::whole(scene, event, usize::from(left.width)));
    }
    if pinned.is_none() {
        all.push(Line::new());
        all.push(hints(scene, entry));
    }
    drawn.detail_lines = all.len();
    drawn.stops = stops;
    if let Some(line) = pinned {
        // What tells whom it hits stands in the last row, however long the frames are.
        all.truncate(usize::from(inner.height).saturating_sub(2));
        super::listing::lines(pen, scene, Rect { height: inner.height - 1, ..inner }, &all, whole);
        line.draw(pen, inner, inner.bottom() - 1);
        return;
    }
    super::listing::lines(pen, scene, left, &all, whole);
    let free = inner.height.saturating_sub(all.len() as u16 + 1);
    if !wide && graph && free > GRAPH && inner.width >= 40 {
        draw_graph(pen, scene, entry, &hours, Rect { y: inner.bottom() - free, height: free.min(GRAPH + 4), ..inner });
    }
}

/// `unhandled · first 02:59 in v214, 1 m after its deploy`.
fn remark(scene: &Scene<'_>, entry: &Entry<'_>, event: Option<&ErrorEvent>) -> String {
    let mut parts = Vec::new();
    match &entry.what {
        What::Issue(issue) => match issue.unhandled {
            Some(true) => parts.push("unhandled".to_owned()),
            Some(false) => parts.push("handled".to_owned()),
            None => {}
        },
        What::Group(..) => parts.push(entry.source.spec.id.to_string()),
        What::Trouble(sign, _) => parts.push(sign.word().to_lowercase()),
    }
    if let Some(first) = entry.first() {
        let release = event.and_then(|event| event.first_release.as_deref());
        let of = release.map_or(String::new(), |release| format!(" in {}", text::sanitise(release)));
        parts.push(format!("first {}{of}{}", text::moment_short(first, scene.now, scene.view.zone), after_deploy(scene, entry, first, release)));
    }
    parts.join(" · ")
}

/// The deploy of the site that came last before a moment.
fn deploy<'a>(scene: &Scene<'a>, entry: &Entry<'_>, before: Timestamp) -> Option<(&'a Transition, &'a str)> {
    let from = before.checked_sub_signed(chrono::Duration::hours(BEFORE_H))?;
    scene
        .world
        .events
        .iter()
        .rev()
        .filter(|event| event.site == entry.source.spec.id.site() && event.at <= before && event.at >= from)
        .find_map(|event| if let TransitionKind::Deploy { version, .. } = &event.kind { Some((event, version.as_str())) } else { None })
}

fn after_deploy(scene: &Scene<'_>, entry: &Entry<'_>, at: Timestamp, release: Option<&str>) -> String {
    deploy(scene, entry, at).map_or(String::new(), |(event, version)| {
        let after = human(crate::domain::time::since(event.at, at));
        if release == Some(version) { format!(", {after} after its deploy") } else { format!(", {after} after the deploy of {version}") }
    })
}

/// Type and value, then the frames.
fn main(scene: &Scene<'_>, entry: &Entry<'_>, looked: &Looked<'_>, room: Room) -> (Vec<Line>, Vec<usize>) {
    let Room { width, whole, .. } = room;
    let theme = scene.theme;
    if let What::Trouble(_, why) = &entry.what {
        let mut all: Vec<Line> = Vec::new();
        let cells = usize::from(width.saturating_sub(3));
        all.extend(text::wrap(why, cells).into_iter().map(|line| Line::text(line, theme.bold(theme.unknown))));
        if let Some(error) = &entry.source.error {
            all.extend(text::wrap(&error.remedy, cells).into_iter().map(|line| Line::text(line, theme.text)));
        }
        let kept = entry.source.issues.as_ref().map(|(at, issues)| format!("the {} issues above are as of {} ago", issues.items.len(), scene.age(*at)));
        all.extend(kept.map(|words| Line::text(words, theme.dim)));
        all.extend(entry.source.problems.iter().map(|problem| Line::text(problem.clone(), theme.text)));
        return (all, Vec::new());
    }
    let cells = usize::from(width.saturating_sub(3)).max(10);
    let (kind, value) = head_of(entry, looked.event);
    let title = format!("{kind}{value}");
    let mut all = Vec::new();
    let mut head = vec![Span::styled(kind.clone(), theme.bold(theme.crit)), Span::styled(value, theme.bold(theme.text))];
    let figures = figures(scene, entry, looked.event, room.wide);
    if text::width(&title) + text::width(&figures) + 3 <= cells {
        head.push(Span::styled(format!("   {figures}"), theme.dim));
        all.push(Line::of(head));
    } else if whole && text::width(&title) > cells {
        let wrapped = text::wrap(&title, cells);
        for (at, line) in wrapped.into_iter().enumerate() {
            let rest = line.strip_prefix(kind.as_str()).map(str::to_owned);
            all.push(match rest {
                Some(rest) if at == 0 => Line::of(vec![Span::styled(kind.clone(), theme.bold(theme.crit)), Span::styled(rest, theme.bold(theme.text))]),
                _ => Line::text(line, theme.bold(theme.text)),
            });
        }
        all.push(Line::text(figures, theme.dim));
    } else {
        all.push(Line::of(head));
        all.push(Line::text(figures, theme.dim));
    }
    // A log's own example stands in for the event that was not asked for yet.
    let example = if let What::Group(group, log) = &entry.what {
        log.and_then(|log| log.events.iter().rev().find(|event| event.fingerprint.as_deref() == Some(&group.id)))
    } else {
        None
    };
    let nothing = |error: &SourceError| error.kind == ErrorKind::Nothing && example.is_some();
    let failed = |key: &ItemKey| scene.world.details.get(key, None).and_then(|known| known.error.as_ref()).is_some_and(|(_, error)| !nothing(error));
    if let Some(key) = looked.key.as_ref().filter(|key| !matches!(entry.what, What::Group(..)) || looked.event.is_some() || failed(key)) {
        all.extend(beside::standing(scene, key, looked.part.as_deref(), cells));
    }
    if let Some(event) = looked.event {
        let stops = told(scene, event, looked, room, &mut all);
        return (all, stops);
    }
    if let What::Group(..) = &entry.what {
        all.push(Line::new());
        match example {
            Some(event) => frames_of_log(scene, event, width, &mut all),
            None => all.push(Line::text("no example is in memory any more; the counts stay", theme.dim)),
        }
    }
    (all, Vec::new())
}

/// Type and value: of the event where it is known, else as the list has them.
fn head_of(entry: &Entry<'_>, event: Option<&ErrorEvent>) -> (String, String) {
    if let Some(exception) = event.and_then(|event| event.exceptions.first()).filter(|exception| !exception.kind.is_empty()) {
        return frames::parts_of(exception);
    }
    let title = text::sanitise(entry.title()).into_owned();
    match title.split_once(": ") {
        Some((kind, value)) if !kind.contains(' ') => (format!("{kind}: "), value.to_owned()),
        _ => (String::new(), title),
    }
}

/// The frames of an event and what is said beside them; gives the lines at which keys stop.
fn told(scene: &Scene<'_>, event: &ErrorEvent, looked: &Looked<'_>, room: Room, all: &mut Vec<Line>) -> Vec<usize> {
    let theme = scene.theme;
    let cells = usize::from(room.width.saturating_sub(3)).max(10);
    let ample = room.wide || room.whole;
    let value = event.exceptions.first().map_or("", |exception| exception.value.as_str());
    if let Some(message) = event.message.as_deref().filter(|message| !message.trim().is_empty() && *message != value) {
        all.extend(text::wrap(&text::sanitise(message), cells).into_iter().take(if room.whole { 12 } else { 2 }).map(|line| Line::text(line, theme.text)));
    }
    let small = scene.rows.class < Class::Standard;
    if !small {
        all.push(Line::new());
    }
    let measure = Measure {
        cells,
        around: if ample { (4, 3) } else { (2, 1) },
        locals: if ample { 3 } else { 1 },
        open: if room.wide { 2 } else { 1 },
        airy: room.wide || (room.whole && !small),
    };
    let (lines, stops) = frames::lines(scene, event, looked.view, room.focused, measure);
    let before = all.len();
    if lines.is_empty() {
        all.push(Line::text("the event has no frames", theme.dim));
    }
    all.extend(lines);
    if event.exceptions.len() == 1 && ample {
        all.push(Line::new());
        all.push(Line::text("no cause, no chained exception", theme.dim));
    }
    all.extend(event.notes.iter().map(|note| Line::of(vec![Span::styled("i ", theme.info), Span::styled(text::sanitise(note).into_owned(), theme.dim)])));
    stops.into_iter().map(|stop| before + stop).collect()
}

/// `GET /api/basket/   61 users   412 events`; on a wide screen, where the request stands beside it, which event it is and of when.
fn figures(scene: &Scene<'_>, entry: &Entry<'_>, event: Option<&ErrorEvent>, wide: bool) -> String {
    let plural = |n: u64, one: &str| format!("{} {one}{}", text::thousands(n), if n == 1 { "" } else { "s" });
    let users = entry.users().map_or(String::new(), |users| format!("{}   ", plural(users, "user")));
    let counts = format!("{users}{}", plural(entry.events(), "event"));
    let Some(event) = event else { return counts };
    if wide || event.next.is_some() {
        let which = if event.next.is_some() { "an earlier event" } else { "the newest event" };
        let at = event.at.map_or(String::new(), |at| format!(", {}", text::moment(at, scene.now, scene.view.zone)));
        return if wide { format!("{which}{at}") } else { format!("{which}{at}   {counts}") };
    }
    let request = event.request.as_ref().filter(|request| !request.url.is_empty()).map_or(String::new(), |request| {
        let path = beside::path_of(request);
        format!("{} {}   ", request.method.as_deref().unwrap_or_default(), text::clip_middle(&text::sanitise(path), 28))
    });
    format!("{request}{counts}")
}

/// The latest example of a group: its frames, the application's own ones in full, the newest first.
fn frames_of_log(scene: &Scene<'_>, event: &LogEvent, width: u16, all: &mut Vec<Line>) {
    let theme = scene.theme;
    let folded = Folded::new(&event.detail);
    let cells = usize::from(width.saturating_sub(4));
    if folded.frames == 0 {
        all.push(Line::text(text::clip(&event.message, cells).into_owned(), theme.text));
        all.extend(event.detail.iter().take(FRAMES).map(|line| Line::of(vec![Span::styled("│ ", theme.faint), Span::styled(line.clone(), theme.dim)])));
        return;
    }
    for (at, frame) in folded.own.iter().rev().take(FRAMES).enumerate() {
        let mut head = vec![Span::styled(if frame.code.is_empty() { "▸ " } else { "▾ " }, theme.dim), Span::styled(frame.short(), theme.bold(theme.text))];
        if let Some(function) = frame.function() {
            head.push(Span::styled(" in ", theme.dim));
            head.push(Span::styled(function.to_owned(), theme.bold(theme.text)));
        }
        let whose = if frame.is_foreign() { "not in app" } else { "in app" };
        all.push(Line::of(head).spans(At::Edge(0), vec![Span::styled(whose, theme.dim)]));
        if !frame.code.is_empty() {
            // The line at which it broke is marked in red; those above it led there.
            let mark = if at == 0 { theme.bold(theme.crit) } else { theme.dim };
            let code = if at == 0 { theme.bold(theme.text) } else { theme.dim };
            all.push(
                Line::new().put(if frame.place.1.len() > 4 { 2 } else { 3 }, "▸", mark).right(8, frame.place.1.to_owned(), mark).put(10, "│", theme.faint).put(
                    12,
                    frame.code.to_owned(),
                    code,
                ),
            );
        }
    }
    let hidden = folded.frames - folded.own.len().min(folded.frames);
    if hidden > 0 {
        let of = if folded.foreign.is_empty() { String::new() } else { format!(" in {}", folded.foreign.join(", ")) };
        let frames = if hidden == 1 { "frame" } else { "frames" };
        all.push(Line::of(vec![Span::styled(format!("▸ {hidden} {frames}{of}"), theme.dim)]).spans(At::Edge(0), vec![Span::styled("folded", theme.dim)]));
    }
    all.push(Line::new());
    all.push(Line::of(vec![
        Span::styled("latest ", theme.dim),
        Span::styled(text::moment(event.at, scene.now, scene.view.zone), theme.text),
        Span::styled(format!("   {}", text::sanitise(&event.message)), theme.text),
    ]));
}

/// Both: how long ago, and when.
fn both(scene: &Scene<'_>, at: Timestamp) -> String {
    format!("{} ago, {}", scene.age(at), text::moment(at, scene.now, scene.view.zone))
}

fn facts(scene: &Scene<'_>, entry: &Entry<'_>, event: Option<&ErrorEvent>) -> Vec<Line> {
    let theme = scene.theme;
    let mut all = Vec::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            let name = text::clip(&text::sanitise(name), usize::from(VALUE) - 2).into_owned();
            all.push(Line::new().put(1, name, theme.dim).put(VALUE, text::sanitise(value).into_owned(), theme.text));
        }
    };
    if let Some(event) = event {
        if let Some(users) = entry.users() {
            add("users", &text::thousands(users));
        }
        for (name, value) in beside::facts(event) {
            add(&name, &value);
        }
    }
    let mut fact = |name: &'static str, value: String| add(name, &value);
    fact("place", entry.culprit().to_owned());
    if !matches!(entry.what, What::Trouble(..)) {
        let level = match &entry.what {
            What::Issue(issue) => issue.level.word(),
            What::Group(group, _) => group.level.word(),
            What::Trouble(..) => "",
        };
        fact("state", format!("{} · {level}", entry.state().word()));
    }
    if let Some(first) = entry.first() {
        fact("first seen", both(scene, first));
        if let Some((event, version)) = deploy(scene, entry, first) {
            fact("preceded by", format!("deploy of {version}, {}", text::moment_short(event.at, scene.now, scene.view.zone)));
        }
    }
    if let Some(last) = entry.last() {
        fact("last seen", both(scene, last));
    }
    match &entry.what {
        What::Issue(issue) => {
            if issue.users.is_none() {
                fact("users", "not known".to_owned());
            }
            fact("assigned", issue.assignee.clone().unwrap_or_else(|| "nobody".to_owned()));
            fact("priority", issue.priority.clone().unwrap_or_default());
            fact("link", issue.permalink.clone().unwrap_or_default());
        }
        What::Group(..) => fact("users", "– a log cannot know".to_owned()),
        What::Trouble(..) => {}
    }
    if let (What::Group(group, _), book) = (&entry.what, &entry.source.book) {
        if let Some(kept) = book.groups.get(&group.id) {
            fact("release", kept.release.as_ref().map(|version| format!("{version} when first seen")).unwrap_or_default());
            if let Some(said) = &kept.said {
                let who = if said.by.is_empty() { String::new() } else { format!("by {}, ", said.by) };
                fact("since", format!("{who}{}", both(scene, said.at)));
            }
        }
        let merged = book.members(&group.id).count();
        fact("merged", if merged == 0 { String::new() } else { format!("{merged} more groups are counted here") });
    }
    for (source, count) in &entry.beside {
        fact("also in", format!("{source}, {} events", text::thousands(*count)));
    }
    fact("from", entry.source.spec.id.to_string());
    all
}

fn hints(scene: &Scene<'_>, entry: &Entry<'_>) -> Line {
    let mut spans = Vec::new();
    if matches!(&entry.what, What::Issue(issue) if issue.permalink.is_some()) {
        spans.extend(scene.hint(Command::Open, "its page"));
        spans.push(Span::raw("   "));
    }
    if matches!(entry.what, What::Group(..)) {
        spans.extend(scene.hint(Command::Page(crate::state::Page::Logs), "the log"));
        spans.push(Span::raw("   "));
    }
    spans.extend(scene.hint(Command::Why, "why?"));
    Line::of(spans)
}

/// Events an hour over the last day, with the deploys under them.
fn draw_graph(pen: &mut Pen<'_>, scene: &Scene<'_>, entry: &Entry<'_>, hours: &[u64], area: Rect) {
    let theme = scene.theme;
    let last = area.right() - 2;
    let peak = hours.iter().copied().max().unwrap_or(0);
    pen.put(area.x + 1, area.y, last, "events an hour", theme.text);
    pen.right(area.x + 16, area.y, last, &format!("most {}", text::thousands(peak)), theme.dim);
    let to = scene.now.timestamp_millis();
    let span = 24 * 3_600_000;
    let from = to - span;
    let step = span / i64::try_from(hours.len().max(1)).unwrap_or(24);
    // An hour is as wide as it lasted: two points at its ends.
    let points: Vec<Point> = hours
        .iter()
        .enumerate()
        .flat_map(|(at, count)| {
            let begin = from + step * i64::try_from(at).unwrap_or(0);
            (0..8).map(move |n| Point { at: begin + step * n / 8, value: *count as f64 })
        })
        .collect();
    let graph = Graph {
        series: vec![Series { name: "events", style: theme.graph1, mark: '*', points: &points, judged: false, filled: true }],
        warning: None,
        critical: None,
        scale: Scale::Zero,
        unit: Unit::Count,
        from,
        to,
        joined: step,
        failures: &[],
        labels: 6,
    };
    let rows = area.height.saturating_sub(2);
    let plot = graph.draw(Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: rows }, pen.buffer(), theme);
    let zone = scene.view.zone;
    let times = [(from, text::minute(scene.now - chrono::Duration::hours(24), zone)), (to, text::minute(scene.now, zone))];
    let marks: Vec<Mark> = scene
        .world
        .events
        .iter()
        .filter(|event| event.site == entry.source.spec.id.site())
        .filter_map(|event| match &event.kind {
            TransitionKind::Deploy { version, .. } => Some(Mark {
                at: event.at.timestamp_millis(),
                glyph: if theme.ascii() { text::ascii('◆') } else { '◆' },
                style: theme.accent,
                label: text::sanitise(version).into_owned(),
            }),
            _ => None,
        })
        .collect();
    Timeline { from, to, times: &times, marks: &marks }.draw(Rect { x: plot.x, y: plot.bottom(), width: plot.width, height: 1 }, pen.buffer(), theme);
}
