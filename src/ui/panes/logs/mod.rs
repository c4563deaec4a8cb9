//! Page 4: the lines of a site's logs, newest at the bottom, under a histogram of at most the last hour.
//!
//! Only the rows on the screen are formatted. While a reader is not at the end the picture stands still: the frame before says
//! (by the keys of its rows) which entry stood at the top. What does not belong here: what is shown and in which order (`logview`).

mod lines;
pub(super) mod traceback;

use chrono::TimeDelta;
use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::domain::{Level, Status, Timestamp, TransitionKind};
use crate::state::logview::Merged;
use crate::state::logview::lists::files_shown;
use crate::state::view::PromptKind;
use crate::state::{Drawn, Filter, Page, Part, range};
use crate::ui::layout::Class;
use crate::ui::pen::{Pen, spans_width};
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text::{self, thousands};
use crate::ui::widgets::graph::timeline::{Mark, Timeline};
use crate::ui::widgets::histogram::{Histogram, column_of, columns};

/// Cells before the histogram's axis: `   22 │`.
const LABELS: u16 = 5;
/// A body of fewer rows has no histogram.
const WITH_HISTOGRAM: u16 = 16;

/// Draws the page.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect, drawn: &mut Drawn) {
    let merged = Merged::new(scene.world, scene.view);
    if merged.logs.is_empty() {
        return super::empty::draw(pen, scene, body, Page::Logs);
    }
    if scene.view.log.selected.is_some()
        && let Some(at) = merged.position(scene.view.log.selected.as_ref())
    {
        let below = merged.events_below(at);
        scene.say_in_header(if below > 0 { format!("{} new below", thousands(below)) } else { "not following".to_owned() });
    }
    if scene.view.log.sought.is_some() {
        let at = merged.entries().first().map_or_else(String::new, |entry| format!(", at {}", text::moment_short(entry.at, scene.now, scene.view.zone)));
        scene.say_in_header(format!("reading back{at}   Esc stops"));
    }
    let all = merged.index.shown + merged.index.hidden + merged.index.below;
    scene.counted.set(Some((merged.index.shown as usize, all as usize)));
    let airy = scene.rows.airy;
    let mut y = body.y;
    let last = body.right() - 2;
    let big = body.height >= WITH_HISTOGRAM && scene.rows.class >= Class::Standard && !scene.view.zoom;
    if scene.rows.class > Class::Narrow {
        title(pen, scene, &merged, y, last);
        y += 1;
    }
    if big {
        y = histogram(pen, scene, &merged, Rect { y, height: body.bottom() - y, ..body }, airy);
        y += u16::from(airy);
    }
    if scene.rows.class > Class::Narrow {
        second_rule(pen, scene, &merged, y, last);
        y += 1;
    }
    let troubles = troubles(scene, &merged);
    let foot = (troubles.len() as u16).min((body.bottom() - y) / 3);
    let area = Rect { y, height: body.bottom().saturating_sub(y + foot), ..body };
    if merged.entries().is_empty() {
        nothing(pen, scene, &merged, area);
    }
    lines::draw(pen, scene, &merged, &search(scene), area, drawn);
    for (at, line) in troubles.iter().take(usize::from(foot)).enumerate() {
        pen.spans(1, area.bottom() + at as u16, last, line);
    }
}

/// What is searched for: what is being typed, else what was kept.
fn search(scene: &Scene<'_>) -> Filter {
    match &scene.view.prompt {
        Some(prompt) if prompt.kind == PromptKind::Search => Filter::new(prompt.input.value()),
        _ => Filter::new(&scene.view.log.search),
    }
}

/// Site or log, files, counts by level, `lines a minute`.
fn title(pen: &mut Pen<'_>, scene: &Scene<'_>, merged: &Merged<'_>, y: u16, last: u16) {
    let theme = scene.theme;
    let style = theme.bold(if scene.view.focus == Part::List { theme.accent } else { theme.text });
    let mut counts = [0u64; 5];
    let mut files: Vec<&str> = Vec::new();
    for (id, source) in &merged.logs {
        let Some(log) = &source.log else { continue };
        for (level, count) in &log.levels {
            counts[*level as usize] += count;
        }
        let on = log.files.iter().filter(|file| !scene.view.log.files_off.contains(&(id.as_str().to_owned(), (*file).clone())));
        files.extend(on.map(|file| file.rsplit('/').next().unwrap_or(file)));
    }
    let mut figures = vec![
        Span::styled("   E", theme.bold(theme.crit)),
        Span::styled(format!(" {}", thousands(counts[3] + counts[4])), theme.text),
        Span::styled("  W", theme.bold(theme.warn)),
        Span::styled(format!(" {}", thousands(counts[2])), theme.text),
        Span::styled("  I", theme.dim),
        Span::styled(format!(" {}", thousands(counts[0] + counts[1])), theme.text),
    ];
    let remark = [Span::styled("lines a minute", theme.dim)];
    let histogram = scene.rows.class >= Class::Standard && scene.rows.body.height >= WITH_HISTOGRAM && !scene.view.zoom;
    let remark = if histogram { &remark[..] } else { &[] };
    // The figures stay whole; names of files give way.
    let room = (last + 1).saturating_sub(1 + text::width(&merged.tab) as u16 + 2 + spans_width(&figures) + spans_width(remark) + 4);
    let (shown, all) = files_shown(merged, &scene.view.log.files_off);
    let count = if shown < all { format!("{shown} of {all} files: ") } else { String::new() };
    let files = text::clip(&format!("{count}{}", files.join(" ")), usize::from(room)).into_owned();
    let mut spans = vec![Span::styled(merged.tab.clone(), style), Span::raw("  "), Span::styled(files, theme.text)];
    spans.append(&mut figures);
    pen.rule(1, y, last, &spans, remark);
}

/// The histogram, its times and its marks. Returns the row after them.
fn histogram(pen: &mut Pen<'_>, scene: &Scene<'_>, merged: &Merged<'_>, area: Rect, airy: bool) -> u16 {
    let theme = scene.theme;
    let zone = scene.view.zone;
    let to = scene.now.timestamp();
    let known = range::lines_since(merged.logs.iter().filter_map(|(_, source)| source.log.as_ref()));
    let (span, grows) = range::shortest(&range::LOG, known, scene.now);
    if let Some(at) = grows.filter(|_| scene.now == scene.clock) {
        scene.changes_at(at);
    }
    let span = i64::try_from(span.as_secs()).unwrap_or(3_600);
    let selected = scene.view.log.selected.as_ref().and_then(|key| merged.entries().get(merged.position(Some(key))?));
    // A reader who went back further sees the time around the line.
    let to = selected.map(|entry| entry.at.timestamp()).filter(|at| *at < to - span).map_or(to, |at| at + span / 2);
    let from = to - span;
    let rows = if airy { 5 } else { 3 };
    let area = Rect { x: 1, width: area.width - 2, height: rows, ..area };
    let mut minutes = std::collections::BTreeMap::new();
    for (_, source) in &merged.logs {
        let Some(log) = &source.log else { continue };
        // What was read back is older than what was counted.
        let counted = log.minutes.first_key_value().map_or(i64::MAX, |(minute, _)| *minute);
        let read = log.back.iter().flat_map(|back| back.minutes().range(from - 60..=to)).filter(|(minute, _)| **minute < counted);
        for (minute, counts) in read.chain(log.minutes.range(from - 60..=to)) {
            let sum: &mut [u64; 5] = minutes.entry(*minute).or_default();
            for (sum, count) in sum.iter_mut().zip(counts) {
                *sum = sum.saturating_add(*count);
            }
        }
    }
    let width = Histogram::plot_width(area.width, LABELS);
    let columns = columns(&minutes, from, to, usize::from(width));
    let cursor = selected.and_then(|entry| column_of(entry.at.timestamp(), from, to, width));
    let plot = Histogram { columns: &columns, cursor, labels: LABELS }.draw(area, pen.buffer(), theme);

    let long = plot.width >= 90;
    let step = if long { span / 6 } else { span };
    let times: Vec<(i64, String)> =
        (0..=span / step).map(|n| from + n * step).filter_map(|at| Some((at, text::minute(Timestamp::from_timestamp(at, 0)?, zone)))).collect();
    let marks: Vec<Mark> = scene
        .world
        .events
        .iter()
        .filter(|event| event.site == merged.site || event.site.is_empty())
        .filter_map(|event| match &event.kind {
            TransitionKind::Deploy { version, .. } => Some(Mark {
                at: event.at.timestamp(),
                glyph: if theme.ascii() { text::ascii('◆') } else { '◆' },
                style: theme.accent,
                label: text::sanitise(&format!("{} {version}", text::minute(event.at, zone))).into_owned(),
            }),
            _ => None,
        })
        .collect();
    let row = Rect { y: area.bottom(), height: 1, ..plot };
    if airy {
        Timeline { from, to, times: &times, marks: &[] }.draw(row, pen.buffer(), theme);
        if marks.iter().any(|mark| (from..=to).contains(&mark.at)) {
            pen.put(1, row.y + 1, area.right(), "events", theme.dim);
            Timeline { from, to, times: &[], marks: &marks }.draw(Rect { y: row.y + 1, ..row }, pen.buffer(), theme);
            return row.y + 2;
        }
        return row.y + 1;
    }
    Timeline { from, to, times: &times, marks: &marks }.draw(row, pen.buffer(), theme);
    row.y + 1
}

/// `level all   filter !healthz hides 5 214 ───── 18 443 lines since 02:12`.
fn second_rule(pen: &mut Pen<'_>, scene: &Scene<'_>, merged: &Merged<'_>, y: u16, last: u16) {
    let theme = scene.theme;
    let (log, index) = (&scene.view.log, &merged.index);
    let level = log.level.filter(|level| *level > Level::Debug);
    let mut spans = vec![Span::styled("level ", theme.dim), Span::styled(level.map_or("all", Level::word), theme.text)];
    let hides = |count: u64| if count > 0 { format!(" hides {}", thousands(count)) } else { String::new() };
    spans.push(Span::styled(hides(index.below), theme.dim));
    let (filter, off) = filter_text(scene);
    let search = match &scene.view.prompt {
        Some(prompt) if prompt.kind == PromptKind::Search => prompt.input.value().to_owned(),
        _ => log.search.clone(),
    };
    // Figures stay whole; what was typed gives way, each part to the same length.
    let mut tail: Vec<Span<'static>> = Vec::new();
    if !search.is_empty() {
        let at = merged.position(log.selected.as_ref()).and_then(|at| merged.rank(at));
        let count = thousands(index.found as u64);
        tail.push(Span::styled(at.map_or_else(|| format!(" {count} found"), |at| format!(" {} of {count}", thousands(at as u64))), theme.dim));
    }
    if log.context > 0 {
        let sign = if theme.ascii() { "+-" } else { "±" };
        tail.push(Span::styled(format!("   {sign}{}", log.context), theme.accent));
    }
    if let Some(from) = log.cleared {
        tail.push(Span::styled(format!("   cleared above {}", text::second(from, scene.view.zone)), theme.accent));
        tail.push(Span::styled(hides(index.cleared), theme.dim));
    }
    let mut counts = Vec::new();
    if !filter.is_empty() {
        counts.push(Span::styled(format!(" hides {}", thousands(index.hidden)), theme.dim));
        if index.hidden_errors > 0 {
            counts.push(Span::styled(format!(", {} errors", thousands(index.hidden_errors)), theme.warn));
        }
    }
    if off > 0 {
        counts.push(Span::styled(format!(" {off} off"), theme.dim));
    }
    let labels = if filter.is_empty() && off == 0 { 0 } else { 10 } + if search.is_empty() { 0 } else { 10 };
    let taken = spans_width(&spans) + spans_width(&counts) + spans_width(&tail) + labels;
    let room = usize::from(last.saturating_sub(taken)).max(8);
    let share = if filter.is_empty() || search.is_empty() { room } else { (room / 2).max(room.saturating_sub(text::width(&search))) };
    if !filter.is_empty() || off > 0 {
        spans.push(Span::styled("   filter", theme.dim));
        if !filter.is_empty() {
            spans.push(Span::styled(format!(" {}", text::clip(&text::sanitise(&filter), share)), theme.accent));
        }
        spans.extend(counts);
    }
    if !search.is_empty() {
        spans.push(Span::styled("   search ", theme.dim));
        let left = room.saturating_sub(text::width(&filter).min(share)).max(4);
        spans.push(Span::styled(text::clip(&text::sanitise(&search), left).into_owned(), theme.accent));
    }
    spans.extend(tail);
    let logs = || merged.logs.iter().filter_map(|(_, source)| source.log.as_ref());
    let count: u64 = logs().map(|log| log.lines).sum();
    let since = logs().filter_map(|log| log.watched_since).min();
    let short = format!("{} lines", thousands(count));
    let long = since.map_or_else(|| short.clone(), |since| format!("{short} since {}", text::moment_short(since, scene.now, scene.view.zone)));
    let left = usize::from(last.saturating_sub(spans_width(&spans) + 5));
    // A remark that would be cut is left out: half a figure is another figure.
    let remark = [long, short].into_iter().find(|remark| text::width(remark) <= left).unwrap_or_default();
    pen.rule(1, y, last, &spans, &[Span::styled(remark, theme.dim)]);
}

/// The patterns in force, with the one that is being typed, and how many are switched off.
fn filter_text(scene: &Scene<'_>) -> (String, usize) {
    let log = &scene.view.log;
    let kept = log.filters.iter().enumerate().filter(|(at, _)| log.editing != Some(*at)).map(|(_, filter)| filter);
    let mut on: Vec<&str> = kept.clone().filter(|filter| filter.on).map(|filter| filter.text.as_str()).collect();
    if let Some(prompt) = scene.view.prompt.as_ref().filter(|prompt| prompt.kind == PromptKind::LogFilter) {
        on.extend(Some(prompt.input.value().trim()).filter(|text| !text.is_empty() && *text != "!"));
    }
    (on.join(" & "), kept.filter(|filter| !filter.on).count())
}

/// One line for each log that is not read as it should be.
fn troubles(scene: &Scene<'_>, merged: &Merged<'_>) -> Vec<Vec<Span<'static>>> {
    let theme = scene.theme;
    let mut lines = Vec::new();
    for (id, source) in &merged.logs {
        let sign = Sign::from(source.status);
        let said = match source.status {
            Status::Unknown | Status::Stale | Status::Down => {
                let since = source.error_since.or(source.since);
                let since = since.map_or(String::new(), |since| format!(" since {}", text::moment_short(since, scene.now, scene.view.zone)));
                let reason = source.error.as_ref().map_or_else(|| "no news in time".to_owned(), |error| error.message.clone());
                let remedy = source.error.as_ref().map_or_else(String::new, |error| format!("; {}", error.remedy));
                format!("not known{since}: {reason}{remedy}")
            }
            Status::Paused => "not being read".to_owned(),
            _ if source.log.is_none() => "the first look is under way".to_owned(),
            _ => continue,
        };
        let style = if matches!(source.status, Status::Unknown | Status::Stale | Status::Down) { theme.unknown } else { theme.dim };
        lines.push(vec![sign.with_word(theme), Span::styled(format!("  {}  ", id.within_site()), theme.text), Span::styled(said, style)]);
    }
    lines
}

/// What stands in place of lines.
fn nothing(pen: &mut Pen<'_>, scene: &Scene<'_>, merged: &Merged<'_>, area: Rect) {
    let theme = scene.theme;
    let last = area.right().saturating_sub(3);
    if area.height == 0 {
        return;
    }
    let index = &merged.index;
    let away = index.hidden + index.below + index.cleared + index.elsewhere;
    if away > 0 {
        let errors = if index.hidden_errors > 0 { format!(", {} of them errors", thousands(index.hidden_errors)) } else { String::new() };
        let by = match (index.hidden, index.below, index.cleared) {
            (1.., _, _) => "the filter",
            (_, 1.., _) => "the level",
            (_, _, 1..) => "clearing",
            _ => "the choice of files",
        };
        let are = if away == 1 { "event is" } else { "events are" };
        pen.put(1, area.y, last, &format!("{} {are} hidden by {by}{errors}", thousands(away)), theme.warn);
        return;
    }
    let watched = merged.logs.iter().filter(|(_, source)| source.status == Status::Ok).filter_map(|(_, source)| source.log.as_ref()?.watched_since).min();
    if let Some(since) = watched {
        let since = text::moment_short(since, scene.now, scene.view.zone);
        pen.spans(1, area.y, last, &[Sign::Ok.span(theme), Span::styled(format!(" No line since {since}"), theme.dim)]);
    }
}

/// The start of a day's rows: `── Thu 19 Nov ──`.
fn day_of(at: Timestamp, scene: &Scene<'_>) -> chrono::NaiveDate {
    text::local(at, scene.view.zone).date()
}

/// Time stamps from the far future are somebody's wrong clock; they are shown as what they say.
fn in_future(at: Timestamp, now: Timestamp) -> bool {
    at > now + TimeDelta::days(1)
}

#[cfg(test)]
mod tests;
