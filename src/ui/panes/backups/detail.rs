//! The selected data set: what is wrong first, then the last good copy, the copies, the checks.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::{Entry, calendar, holds, jobs, odd_size};
use crate::backups::schedule::{self, Job, took};
use crate::domain::time::{duration_text, human, since, size_text};
use crate::domain::{Backup, Copy, JobRun, Timestamp};
use crate::state::{Command, Drawn, Part};
use crate::ui::panes::attention::short;
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
/// Runs that are listed.
const RUNS: usize = 12;
/// Lines shown of what a failed run printed, until the detail has the whole screen.
const PRINTED: usize = 6;
/// Where names of copies begin.
const NAME: u16 = 25;
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
    let (all, stops) = about(scene, entry, left.width, most);
    drawn.stops = stops;
    drawn.detail_lines = all.len();
    drawn.detail_height = usize::from(inner.height);
    super::listing::lines(pen, scene, left, &all, whole);
    let Some(backup) = entry.backup.filter(|_| sized) else { return };
    let free = inner.height.saturating_sub(all.len() as u16 + 1);
    if beside {
        let right = Rect { x: area.x + SECOND, width: area.width - SECOND, height: inner.height.min(GRAPH), ..inner };
        graph(pen, scene, backup, right);
        let below = inner.height.saturating_sub(GRAPH + 1);
        if below >= 5 {
            durations(pen, scene, backup, Rect { y: right.bottom() + 1, height: below.min(GRAPH - 1), ..right });
        }
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

/// The lines, and which of them are stops for the keys.
fn about(scene: &Scene<'_>, entry: &Entry<'_>, width: u16, most: usize) -> (Vec<Line>, Vec<usize>) {
    let theme = scene.theme;
    let cells = usize::from(width.saturating_sub(3)).max(10);
    let mut all = of_day(scene, entry, width);
    all.extend(reasons(scene, entry, cells));
    let Some(backup) = entry.backup else {
        if entry.source.checked_at.is_some() {
            all.push(Line::text("nothing is known of its copies", theme.dim));
        }
        all.push(Line::new());
        all.push(hints(scene, entry));
        return (all, Vec::new());
    };
    let mut fact = |name: &'static str, spans: Vec<Span<'static>>| all.push(Line::new().put(1, name, theme.dim).spans(At::Left(VALUE), spans));
    let warn = theme.bold(theme.warn);
    let plain = |words: String| vec![Span::styled(words, theme.text)];
    match (backup.last_success, backup.copies.iter().rev().find(|copy| copy.complete != Some(false))) {
        (Some(at), copy) => {
            let mut words = when(scene, at);
            words.extend(backup.size_bytes.map(|size| format!(", {}", size_text(size))));
            words.extend(copy.and_then(|copy| copy.added_bytes).map(|added| format!(", added {}", size_text(added))));
            words.extend(copy.and_then(|copy| copy.started).map(|began| format!(", took {}", took(since(began, at).as_secs_f64()))));
            fact("last good", plain(words));
        }
        (None, _) => fact("last good", vec![Span::styled("none", theme.bold(theme.crit))]),
    }
    if let Some(median) = backup.median_size_bytes {
        let style = if odd_size(backup) { warn } else { theme.text };
        let least = backup.min_size_bytes.map_or(String::new(), |least| format!(", at least {} promised", size_text(least)));
        let words = format!("{}, median {}{least}", backup.size_bytes.map_or_else(|| "?".to_owned(), size_text), size_text(median));
        fact("size", vec![Span::styled(words, style)]);
    }
    let promised = backup.retention.map_or(String::new(), |kept| format!(", {} promised", text::thousands(kept)));
    let few = backup.snapshots <= 1 || backup.retention.is_some_and(|kept| backup.snapshots < kept);
    fact("kept", vec![Span::styled(format!("{}{promised}", text::thousands(backup.snapshots)), if few { warn } else { theme.text })]);
    if !backup.places.is_empty() {
        fact("copies", vec![places(scene, backup)]);
    }
    fact("check", check_words(scene, entry, backup));
    fact("drill", drill_words(scene, entry, backup));
    if let Some(at) = backup.next_at {
        let (word, style) = if at < scene.now { ("did not run", warn) } else { ("expected", theme.text) };
        fact("next", vec![Span::styled(format!("{} {word}", text::moment_short(at, scene.now, scene.view.zone)), style)]);
    }
    if let Some(run) = &backup.last_failure {
        let at = run.ended.or(run.started);
        // A copy that came after it is the better news.
        let healed = at.zip(backup.last_success).is_some_and(|(failed, good)| good > failed);
        let ago = at.map_or_else(|| "a run".to_owned(), |at| when(scene, at));
        let said = if run.message.is_empty() { "it said nothing of itself" } else { &run.message };
        fact("failed", vec![Span::styled(format!("{ago}: {said}"), if healed { theme.text } else { warn })]);
    }
    for lock in &backup.locks {
        let held = lock.since.map_or_else(String::new, |at| format!(" for {}", scene.age(at)));
        let (ended, style) = if lock.stale { (", which has ended: the lock is stale", warn) } else { ("", theme.text) };
        fact("lock", vec![Span::styled(format!("{}{held}{ended}", lock.holder), style)]);
    }
    if let Some(full) = backup.full_on {
        let soon = full < scene.now + chrono::TimeDelta::days(14);
        let free = backup.free_bytes.map_or_else(String::new, |free| format!(", {} are free", size_text(free)));
        let words = format!("full on {}{free}", text::day(full, scene.now, scene.view.zone));
        fact("disk", vec![Span::styled(words, if soon { warn } else { theme.text })]);
    } else if let Some(free) = backup.free_bytes {
        fact("disk", plain(format!("{} are free", size_text(free))));
    }
    all.push(Line::new());
    all.push(hints(scene, entry));
    all.extend(jobs::lines(scene, entry, width));
    if let Some(drill) = backup.drill.as_ref().filter(|drill| !drill.assertions.is_empty() && (most == usize::MAX || !drill.ok)) {
        all.push(Line::new());
        all.push(Line::text("the last drill", theme.dim));
        all.extend(drill.assertions.iter().map(|assertion| {
            let (sign, style) = if assertion.ok { (Sign::Ok, theme.text) } else { (Sign::Crit, theme.bold(theme.crit)) };
            Line::of(vec![sign.span(theme), Span::raw(" "), Span::styled(format!("{}: {}", assertion.name, assertion.seen), style)])
        }));
        let phases: Vec<String> = drill.phases.iter().map(|(phase, seconds)| format!("{phase} {}", took(*seconds))).collect();
        all.push(Line::text(phases.join(" · "), theme.dim));
    }
    if let Some(run) = backup.last_failure.as_ref().filter(|run| !run.output.is_empty()) {
        let shown = if most == usize::MAX { run.output.len() } else { run.output.len().min(PRINTED) };
        let more = run.output.len() - shown;
        all.push(Line::new());
        all.push(Line::text(
            if more > 0 { format!("what the failed run printed last, {more} more lines with z") } else { "what the failed run printed last".to_owned() },
            theme.dim,
        ));
        all.extend(run.output[more..].iter().map(|line| Line::text(line.clone(), theme.text)));
    }
    if !backup.runs.is_empty() && most == usize::MAX {
        all.push(Line::new());
        all.push(Line::text("runs, newest first", theme.dim));
        all.extend(backup.runs.iter().rev().take(RUNS).map(|run| run_line(scene, run)));
    }
    if backup.copies.is_empty() {
        return (all, Vec::new());
    }
    all.push(Line::new());
    let heading = Line::text("copies, newest first", theme.dim);
    if scene.view.detail_open {
        all.push(heading.spans(At::Edge(0), scene.hint(Command::Enter, "look into it")));
        let stops = holds::lines(scene, &entry.source.spec.id, width, &mut all);
        return (all, stops);
    }
    all.push(heading);
    all.extend(backup.copies.iter().rev().take(most).map(|copy| copy_line(scene, copy, width)));
    if let Some(more) = backup.copies.len().checked_sub(most).filter(|more| *more > 0) {
        all.push(Line::text(format!("{more} more"), theme.dim));
    }
    (all, Vec::new())
}

/// `nas1 33 h, s3 33 h; none on the machine it protects`.
fn places(scene: &Scene<'_>, backup: &Backup) -> Span<'static> {
    let theme = scene.theme;
    let age = |place: &crate::domain::Place| place.newest.map_or_else(|| "nothing good".to_owned(), |at| short(&scene.age(at)));
    let names: Vec<String> = backup.places.iter().map(|place| format!("{} {}", place.name, age(place))).collect();
    let near = backup.places.iter().filter(|place| place.same_machine == Some(true)).count();
    let known = backup.places.iter().all(|place| place.same_machine.is_some());
    let (more, odd) = match (near, backup.places.len()) {
        (near, all) if near == all => ("; all on the machine it protects", true),
        (_, 1) => ("; in one place: what takes it takes them all", true),
        (0, _) if known => ("; none on the machine it protects", false),
        _ => ("", false),
    };
    Span::styled(format!("{}{more}", names.join(", ")), if odd { theme.bold(theme.warn) } else { theme.text })
}

/// `12 d ago, structure only; next in 2 days`.
fn check_words(scene: &Scene<'_>, entry: &Entry<'_>, backup: &Backup) -> Vec<Span<'static>> {
    let theme = scene.theme;
    let mut spans = match (&backup.check, backup.checked_at) {
        (Some(check), _) if !check.ok => {
            let said = if check.message.is_empty() { &check.depth } else { &check.message };
            vec![Span::styled(format!("{}, failed: {said}", when(scene, check.at)), theme.bold(theme.crit))]
        }
        (Some(check), _) => vec![Span::styled(format!("{}, {}: all is well", when(scene, check.at), check.depth), theme.text)],
        (None, Some(at)) => vec![Span::styled(format!("{}: it is whole", when(scene, at)), theme.text)],
        (None, None) => vec![Span::styled("never: whether it is whole is not known", theme.bold(theme.warn))],
    };
    spans.extend(next_words(scene, entry, Job::Check));
    spans
}

/// `48 d ago, 18 d late, took 14 m 3 s, 4 of 4 assertions held`.
fn drill_words(scene: &Scene<'_>, entry: &Entry<'_>, backup: &Backup) -> Vec<Span<'static>> {
    let theme = scene.theme;
    let mut spans = match &backup.drill {
        Some(drill) => {
            let held = drill.assertions.iter().filter(|assertion| assertion.ok).count();
            let held =
                if drill.assertions.is_empty() { "every assertion held".to_owned() } else { format!("{held} of {} assertions held", drill.assertions.len()) };
            let words = match (drill.ok, &drill.problem) {
                (true, _) => format!("{}, took {}, {held}", when(scene, drill.at), took(drill.seconds)),
                (false, Some(problem)) => format!("{}, failed: {problem}", when(scene, drill.at)),
                (false, None) => format!("{}, took {}, failed", when(scene, drill.at), took(drill.seconds)),
            };
            vec![Span::styled(words, if drill.ok { theme.text } else { theme.bold(theme.crit) })]
        }
        None => vec![Span::styled("never: nobody has restored it yet", theme.bold(theme.warn))],
    };
    spans.extend(next_words(scene, entry, Job::Drill));
    spans
}

/// `; next in 18 days`, `; 18 days late`.
fn next_words(scene: &Scene<'_>, entry: &Entry<'_>, job: Job) -> Option<Span<'static>> {
    let at = schedule::due_at(entry.source, job)?;
    let theme = scene.theme;
    Some(if at > scene.now {
        Span::styled(format!("; next in {}", schedule::long(since(scene.now, at))), theme.dim)
    } else {
        Span::styled(format!("; {} late", schedule::long(since(at, scene.now))), theme.bold(theme.warn))
    })
}

/// `Fri 02:37  3 m 12 s  failed  no space left`.
fn run_line(scene: &Scene<'_>, run: &JobRun) -> Line {
    let theme = scene.theme;
    let at = run.ended.or(run.started).map_or_else(|| "?".to_owned(), |at| text::moment_short(at, scene.now, scene.view.zone));
    let lasted = run.started.zip(run.ended).map_or_else(String::new, |(from, to)| took(since(from, to).as_secs_f64()));
    let (word, style) = match run.ok {
        Some(true) => ("well", theme.text),
        Some(false) => ("failed", theme.bold(theme.crit)),
        None if run.ended.is_none() => ("runs", theme.accent),
        None => ("not known", theme.unknown),
    };
    let spans = vec![Span::styled(word, style), Span::styled(format!("  {}", run.message), theme.text)];
    Line::new().put(1, at, theme.dim).right(22, lasted, theme.text).spans(At::Left(25), spans)
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
    let runs = entry.backup.map(|backup| backup.runs.as_slice()).unwrap_or_default();
    let of_day = |run: &&JobRun| run.ended.or(run.started).is_some_and(|at| text::local(at, scene.view.zone).date() == date);
    all.extend(runs.iter().rev().filter(of_day).map(|run| run_line(scene, run)));
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
    let line = Line::new().put(1, text::moment_short(copy.at, scene.now, scene.view.zone), scene.theme.dim);
    named(scene, line, copy, (width, NAME), scene.theme.text)
}

/// The size of a copy, its name, and what is wrong with it, from this column on.
pub(super) fn named(scene: &Scene<'_>, line: Line, copy: &Copy, (width, column): (u16, u16), style: Style) -> Line {
    let theme = scene.theme;
    let line = line.right(column - 3, copy.size_bytes.map_or_else(|| "?".to_owned(), size_text), style);
    let bad = copy.complete == Some(false) || copy.problem.is_some();
    let said = copy.problem.clone().or_else(|| (copy.complete == Some(false)).then(|| "is not whole".to_owned()));
    let odd = if copy.complete == Some(false) { theme.bold(theme.crit) } else { theme.warn };
    let room = usize::from(width).saturating_sub(usize::from(column) + 2 + said.as_deref().map_or(0, |said| text::width(said).min(30) + 2));
    let mut spans = vec![Span::styled(text::clip_middle(&copy.name, room.max(8)).into_owned(), style)];
    if bad {
        spans.push(Span::styled(format!("  {}", said.unwrap_or_default()), odd));
    }
    line.spans(At::Left(column), spans)
}

fn hints(scene: &Scene<'_>, entry: &Entry<'_>) -> Line {
    let id = &entry.source.spec.id;
    let can = scene.world.tries.iter().any(|spec| spec.id.site() == id.site() && spec.fit(id) == 0);
    let mut spans = scene.hint(Command::Poll, "look again");
    let more = [(Command::Actions, "drill and more", can && !scene.view.read_only), (Command::Copy, "restore command", can), (Command::Why, "why?", true)];
    for (command, word, _) in more.into_iter().filter(|(.., shown)| *shown) {
        spans.push(Span::raw("   "));
        spans.extend(scene.hint(command, word));
    }
    Line::of(spans)
}

/// The sizes over time, from a floor that the title says.
fn graph(pen: &mut Pen<'_>, scene: &Scene<'_>, backup: &Backup, area: Rect) {
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
    course(pen, scene, &points, area, ("size", &format!("size, {unit}, from 0")));
}

/// How long the runs took, over time.
fn durations(pen: &mut Pen<'_>, scene: &Scene<'_>, backup: &Backup, area: Rect) {
    let runs = backup.runs.iter().filter_map(|run| Some((run.started?, run.ended?)));
    let copies = backup.copies.iter().filter_map(|copy| Some((copy.started?, copy.at)));
    let spans: Vec<(Timestamp, Timestamp)> = if backup.copies.iter().any(|copy| copy.started.is_some()) { copies.collect() } else { runs.collect() };
    let most = spans.iter().map(|(from, to)| since(*from, *to).as_secs()).max().unwrap_or(0);
    if spans.len() < 2 || most == 0 {
        return;
    }
    let (unit, by) = match most {
        0..180 => ("seconds", 1.0),
        180..10_800 => ("minutes", 60.0),
        _ => ("hours", 3_600.0),
    };
    let points: Vec<Point> = spans.iter().map(|(from, to)| Point { at: to.timestamp_millis(), value: since(*from, *to).as_secs_f64() / by }).collect();
    course(pen, scene, &points, area, ("took", &format!("took, {unit}")));
}

/// One course over the days, from 0.
fn course(pen: &mut Pen<'_>, scene: &Scene<'_>, points: &[Point], area: Rect, (name, title): (&'static str, &str)) {
    let theme = scene.theme;
    let to = scene.now.timestamp_millis();
    let oldest = points.iter().map(|point| point.at).min().unwrap_or(to);
    let from = oldest.clamp(to - DAYS * 86_400_000, to - 86_400_000);
    let widest = points.windows(2).map(|pair| (pair[1].at - pair[0].at).abs()).max().unwrap_or(0);
    pen.put(area.x + 1, area.y, area.right() - 2, title, theme.text);
    let series = Series { name, style: theme.graph1, mark: '*', points, judged: false, filled: false };
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
