//! Something needs somebody: the band, what it is, three figures, its course, and what else there is.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::calm::share;
use super::font::{self, Size};
use super::{Frame, band, elapsed, locked, severity, strip};
use crate::domain::time::millis_text;
use crate::domain::{Block, Comparison, Finding, Severity, Term, TransitionKind};
use crate::state::rank::asleep;
use crate::state::wall::Trouble;
use crate::ui::panes::finding;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;

/// Minutes before the finding in which a deploy is told of.
const BEFORE_MIN: i64 = 15;
/// What else there is, at most.
const ALSO: u16 = 4;

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame, trouble: &Trouble) {
    let theme = scene.theme;
    let found = &trouble.finding;
    let sign = Sign::from(found.severity);
    let (w, h) = (frame.area.width, frame.area.height);
    let mut y = band::draw(pen, &frame, found.source.site(), sign.word(), "", severity(found.severity, theme));
    let airy = u16::from(h >= 30);
    let roomy = h >= 50 && w >= 190;
    y += 1;
    if roomy {
        y += 1;
        let head = headline(&found.title, frame.right + 1 - frame.left);
        if !head.is_empty() && !theme.ascii() {
            font::draw(pen, frame.left, y, frame.right, &head, Size::Middle, theme.text);
            y += 5;
        }
    }
    pen.put(frame.left, y, frame.right, &found.title, theme.bold(theme.text));
    pen.put(frame.left, y + 1, frame.right, &preceded(scene, found), theme.dim);
    y += 2 + airy * if roomy { 2 } else { 1 };
    y = if h < 20 || w < 60 { since_line(pen, scene, frame, found, y) } else { figures(pen, scene, frame, found, y) };

    // From below: the last line, what else there is, and between them and the figures the course.
    let others = |other: &&Finding| other.id != found.id && other.severity < Severity::Info && !asleep(other, scene.now);
    let also: Vec<&Finding> = scene.findings().filter(others).collect();
    let free = frame.bottom.saturating_sub(y);
    let told = (also.len() as u16).min(ALSO).min(free.saturating_sub(3));
    let under = 2 + if airy > 0 && h < 50 { 2 } else { 0 };
    let begin = frame.bottom.saturating_sub(if told == 0 { 1 } else { told + under });
    let rows = begin.saturating_sub(y + airy * 2);
    if rows >= 4 {
        finding::course(pen, scene, found, Rect { x: frame.left, y: y + airy, width: frame.right + 1 - frame.left, height: rows.min(14) });
    }
    if told > 0 {
        pen.rule(frame.left, begin, frame.right, &[Span::styled("also", theme.bold(theme.text))], &[]);
        for (other, y) in also.iter().take(usize::from(told)).zip(begin + 1..) {
            let sign = Sign::from(other.severity);
            let x = pen.spans(frame.left, y, frame.right, &[sign.with_word(theme)]);
            let x = pen.put((frame.left + 8).max(x + 1), y, frame.right, other.source.site(), theme.text);
            pen.put(x + 2, y, frame.right, &other.title, theme.text);
        }
    }
    last_line(pen, scene, frame, trouble);
}

/// The beginning of the title in letters: up to a colon, else as many words as fit.
fn headline(title: &str, room: u16) -> String {
    let clean = text::sanitise(title);
    let begin = clean.split(": ").next().unwrap_or_default().to_uppercase();
    let mut line = String::new();
    for word in begin.split_whitespace() {
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if font::width(&longer, Size::Middle) > room {
            break;
        }
        line = longer;
    }
    line
}

/// `preceded by the deploy v214 at 02:58 by ci`, else what the finding says of itself.
fn preceded(scene: &Scene<'_>, found: &Finding) -> String {
    let begin = found.since - chrono::Duration::minutes(BEFORE_MIN);
    let deploy = scene.world.events.iter().rev().filter(|event| event.site == found.source.site() && event.at >= begin && event.at <= found.since);
    let deploy = deploy.filter_map(|event| match &event.kind {
        TransitionKind::Deploy { version, by } => Some(format!("preceded by the deploy of {version} at {} by {by}", text::minute(event.at, scene.view.zone))),
        _ => None,
    });
    let sentence = || {
        let of_blocks = found.blocks.iter().find_map(|block| if let Block::Sentences(lines) = block { lines.first().cloned() } else { None });
        if found.detail.is_empty() { of_blocks.unwrap_or_default() } else { found.detail.clone() }
    };
    deploy.into_iter().next().unwrap_or_else(sentence)
}

fn since_words(scene: &Scene<'_>, found: &Finding) -> String {
    let at = text::moment_short(found.since, scene.now, scene.view.zone);
    match &found.acknowledged {
        Some(ack) if asleep(found, scene.now) => format!("{at}, {} has it", ack.by),
        _ => format!("{at}, nobody has it yet"),
    }
}

fn since_line(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame, found: &Finding, y: u16) -> u16 {
    let said = format!("for {}, since {}", elapsed(scene, found.since), since_words(scene, found));
    pen.put(frame.left, y, frame.right, &said, scene.theme.text);
    y + 1
}

/// Three figures: two of the comparison, and the age. Gives the row after them.
fn figures(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame, found: &Finding, y: u16) -> u16 {
    let theme = scene.theme;
    let mut columns: Vec<(String, String, String, Style)> = Vec::new();
    for block in &found.blocks {
        let Block::Comparison(rows) = block else { continue };
        for row in rows.iter().filter(|row| !row.after.is_empty()).take(2 - columns.len().min(2)) {
            let style = match row.broken {
                Some(Severity::Critical) => theme.bold(theme.crit),
                Some(_) => theme.bold(theme.warn),
                None => theme.text,
            };
            columns.push((row.name.clone(), row.after.clone(), was(row), style));
        }
    }
    if columns.is_empty() {
        columns = of_source(scene, found);
    }
    if columns.is_empty() {
        columns = of_terms(scene, found);
    }
    columns.push(("since".to_owned(), elapsed(scene, found.since), since_words(scene, found), theme.text));
    let room = frame.right + 1 - frame.left;
    let step = room * 100 / 311;
    let (w, h) = (frame.area.width, frame.area.height);
    let sizes: &[Size] = match (w, h) {
        (190.., 50..) => &[Size::Large, Size::Middle],
        (100.., 30..) => &[Size::Middle],
        _ => &[],
    };
    let largest = sizes.first().copied();
    let airy = u16::from(largest.is_some());
    let height = largest.map_or(1, |size| size.height(theme.ascii()));
    let foot = y + 1 + airy + height + airy;
    for (at, (label, value, was, style)) in columns.iter().enumerate() {
        let x = frame.left + at as u16 * step;
        let last = if at + 1 == columns.len() { frame.right } else { x + step - 2 };
        pen.put(x, y, last, label, theme.dim);
        let letters = y + 1 + airy;
        match sizes.iter().copied().find(|size| font::width(value, *size) <= last + 1 - x) {
            Some(size) => drop(font::draw(pen, x, letters, last, value, size, *style)),
            None => drop(pen.put(x, letters + height - 1, last, value, theme.bold(*style))),
        }
        pen.put(x, foot, last, was, theme.dim);
    }
    foot + 1
}

/// The figures of an endpoint, for a finding that compares nothing: failed probes and latency of the last hour.
fn of_source(scene: &Scene<'_>, found: &Finding) -> Vec<(String, String, String, Style)> {
    let theme = scene.theme;
    let Some(health) = scene.world.sources.get(&found.source).and_then(|source| source.health.as_ref()) else { return Vec::new() };
    let Some(hour) = health.hour else { return Vec::new() };
    let limits = health.last.as_ref().map(|(_, last)| last.limits).unwrap_or_default();
    let failed = |uptime: f64| format!("{} %", share(100.0 - uptime));
    let style = if hour.uptime < 100.0 { theme.bold(severity(found.severity, theme)) } else { theme.text };
    let day = health.day.map_or_else(String::new, |day| format!("in 24 h {}", failed(day.uptime)));
    let mut columns = vec![("failed probes".to_owned(), failed(hour.uptime), day, style)];
    if let Some(p95) = hour.p95 {
        let over = |limit: Option<f64>| limit.is_some_and(|limit| p95 > limit);
        let style = match (over(limits.critical_ms), over(limits.warning_ms)) {
            (true, _) => theme.bold(theme.crit),
            (false, true) => theme.bold(theme.warn),
            (false, false) => theme.text,
        };
        let limit = limits.warning_ms.map_or_else(|| "in the last hour".to_owned(), |limit| format!("limit {}", millis_text(limit)));
        columns.push(("latency p95".to_owned(), millis_text(p95), limit, style));
    }
    columns
}

/// The first numbers that the rule judged by, for what has no latency: events and users of an issue, errors a minute, ages.
fn of_terms(scene: &Scene<'_>, found: &Finding) -> Vec<(String, String, String, Style)> {
    let number = |term: &&Term| term.value != "0" && term.value.starts_with(|c: char| c.is_ascii_digit());
    let mut columns: Vec<_> =
        found.explanation.iter().filter(number).take(2).map(|term| (term.name.clone(), term.value.clone(), term.note.clone(), scene.theme.text)).collect();
    if let Some(first) = columns.first_mut() {
        first.3 = scene.theme.bold(severity(found.severity, scene.theme));
    }
    columns
}

/// `was 180 ms, limit 500 ms`.
fn was(row: &Comparison) -> String {
    let part = |word: &str, value: &str| if value.is_empty() { String::new() } else { format!("{word} {value}") };
    [part("was", &row.before), part("limit", &row.limit)].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Sites, runbook, `rotation stands still · keys locked · as of 5 s ago`.
fn last_line(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame, trouble: &Trouble) {
    let theme = scene.theme;
    let said = if trouble.over { "over, told for a minute" } else { "rotation stands still" };
    let sites: usize = scene.sites().iter().map(|(_, name)| text::width(name) + 5).sum();
    let end = locked(pen, scene, frame, said, (sites as u16).min(frame.area.width / 2)).saturating_sub(3);
    let x = strip(pen, scene, frame, end);
    if let Some(runbook) = &trouble.finding.runbook {
        let link = runbook.trim_start_matches("https://").trim_start_matches("http://");
        let x = x + 3;
        if x + 10 + (text::width(link) as u16) < end {
            let x = pen.put(x, frame.bottom, end, "runbook  ", theme.dim);
            pen.put(x, frame.bottom, end, link, theme.text);
        }
    }
}
