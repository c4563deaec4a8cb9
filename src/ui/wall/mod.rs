//! The wall (`screens.md` section 8): no header, no footer, no selection; big letters in a margin of four.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`font`] | the letters |
//! | [`band`] | the band over the whole width |
//! | [`calm`] | sites with their figures and their day, and what is next |
//! | [`trouble`] | the one thing that needs somebody, and what else does |
//!
//! What does not belong here: what is shown and for how long (`state::wall`).

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::pen::{Pen, spans_width};
use super::scene::Scene;
use super::signs::Sign;
use super::{chrome, layout, panes, text};
use crate::domain::time::since;
use crate::domain::{Severity, Timestamp};
use crate::state::wall::{Phase, WallPage, WallState, no_news, taken};
use crate::state::{Drawn, NoticeKind, Page, Part, State};
use crate::ui::theme::Theme;

mod band;
mod calm;
mod font;
mod trouble;

/// Where things stand on one wall.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// The whole screen.
    area: Rect,
    /// First column of text.
    left: u16,
    /// Last column of text.
    right: u16,
    /// The row of the last line.
    bottom: u16,
}

impl Frame {
    fn of(area: Rect) -> Self {
        let margin = match area.width {
            100.. => 4,
            60.. => 3,
            _ => 1,
        };
        let under = if area.height >= 20 { 2 } else { 1 };
        Self { area, left: area.x + margin, right: area.right() - 1 - margin, bottom: area.bottom() - under }
    }

    /// The same, moved to the right: a picture that stands for weeks burns in.
    const fn shifted(self, by: u16) -> Self {
        Self { left: self.left + by, right: self.right + by, ..self }
    }
}

/// How far the calm picture is moved in this hour: one cell each hour, there and back.
fn shift(now: Timestamp) -> u16 {
    match now.timestamp().div_euclid(3_600).rem_euclid(4) {
        1 | 3 => 1,
        2 => 2,
        _ => 0,
    }
}

/// The start of the next hour, when it moves.
fn next_hour(now: Timestamp) -> Timestamp {
    Timestamp::from_timestamp((now.timestamp().div_euclid(3_600) + 1) * 3_600, 0).unwrap_or(Timestamp::MAX_UTC)
}

/// Draws the wall. `rows` are those of the screen, for the pages of the dashboard.
pub fn draw(pen: &mut Pen<'_>, state: &State, wall: &WallState, theme: &Theme, now: Timestamp, rows: layout::Rows) -> Option<Timestamp> {
    let scene = Scene::new(state, theme, now, rows);
    let frame = Frame::of(pen.area());
    let only = state.view.site.as_deref();
    let newest = no_news(&state.world, only, wall.started).and_then(|(newest, until)| {
        scene.changes_at(until);
        (until <= now).then_some(newest)
    });
    let offline = state.world.notices.iter().find(|notice| notice.kind == NoticeKind::Offline);
    if let Some(notice) = offline {
        let said = format!("since {}: {}", text::moment_short(notice.since, now, scene.view.zone), notice.text);
        let top = band::draw(pen, &frame, "WE ARE", "OFFLINE", "", theme.unknown);
        pages(pen, &scene, wall, frame, top);
        pale(pen, theme, top);
        pen.put(frame.left, top, frame.right, &said, theme.unknown);
    } else if let Some(newest) = newest {
        silent(pen, &scene, wall, frame, newest);
    } else {
        match &wall.phase {
            Phase::Trouble(trouble) => trouble::draw(pen, &scene, frame, trouble),
            Phase::Recovered { site, title, after, .. } => {
                let (after, _) = text::age(now - chrono::Duration::from_std(*after).unwrap_or_default(), now);
                let top = band::draw(pen, &frame, site, "OK", &format!("recovered after {after}: {title}"), theme.ok);
                pages(pen, &scene, wall, frame, top);
            }
            Phase::Calm => {
                let mut has = taken(&state.world, only, wall, now);
                let top = has.next().map_or(0, |finding| {
                    let sign = Sign::from(finding.severity);
                    let by = finding.acknowledged.as_ref().map_or("somebody", |ack| ack.by.as_str());
                    let more = has.count();
                    let more = if more > 0 { format!(" · {more} more") } else { String::new() };
                    let said = format!("{} {}  {}", finding.source.site().to_uppercase(), sign.word(), finding.title);
                    band::line(pen, &frame, &said, &format!("{by} has it{more}"), severity(finding.severity, theme))
                });
                pages(pen, &scene, wall, frame, top);
            }
        }
    }
    prompt(pen, &scene, frame);
    scene.next_change()
}

/// The style of the band.
fn severity(severity: Severity, theme: &Theme) -> Style {
    match severity {
        Severity::Critical => theme.crit,
        Severity::Unknown => theme.unknown,
        Severity::Warning => theme.warn,
        Severity::Info => theme.info,
    }
}

/// The page whose turn it is, below row `top`.
fn pages(pen: &mut Pen<'_>, scene: &Scene<'_>, wall: &WallState, frame: Frame, top: u16) {
    let of_sites = calm::pages(scene, frame, top).max(1);
    let count: usize = wall.settings.pages.iter().map(|page| if *page == WallPage::Sites { of_sites } else { 1 }).sum();
    if count > 1 {
        scene.changes_at(wall.turns_at());
    }
    let turn = wall.turn % count.max(1);
    let mut before = 0;
    for page in &wall.settings.pages {
        let here = if *page == WallPage::Sites { of_sites } else { 1 };
        if turn < before + here {
            let told = (turn, count);
            return match page {
                WallPage::Sites => calm::draw(pen, scene, frame, top, turn - before, told),
                WallPage::Page(page) => dashboard_page(pen, scene, frame, top, *page, told),
            };
        }
        before += here;
    }
}

/// A page of the dashboard without what is around it: title, rows, the last line.
fn dashboard_page(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame, top: u16, page: Page, told: (usize, usize)) {
    let mut view = scene.view.clone();
    (view.page, view.focus, view.detail_open, view.zoom) = (page, Part::Detail, false, false);
    let top = top + u16::from(top > 0);
    let body = Rect { x: 0, y: top + 2, width: frame.area.width, height: frame.bottom.saturating_sub(top + 3) };
    let rows = layout::Rows { body, ..scene.rows };
    let mut inner = Scene::new(scene.state, scene.theme, scene.clock, rows);
    inner.view = &view;
    pen.put(1, top, frame.right, page.title(), scene.theme.bold(scene.theme.text));
    panes::draw(pen, &inner, body, &mut Drawn::default());
    if let Some(at) = inner.next_change() {
        scene.changes_at(at);
    }
    calm::last_line(pen, scene, frame, told);
}

/// `page 1 of 3 · keys locked · as of 5 s ago`, at the right of the last line. Gives the column it begins in.
///
/// What stands at the left has `taken` cells, as far as the age leaves them.
fn locked(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame, first: &str, taken: u16) -> u16 {
    let age = chrome::oldest(scene, Page::Attention).map_or_else(String::new, |at| format!("as of {} ago", scene.step(at)));
    let parts: Vec<&str> = [first, "keys locked", &age].into_iter().filter(|part| !part.is_empty()).collect();
    let room = (frame.right + 1 - frame.left).saturating_sub(taken + 3);
    // The age is never cut: what stands before it goes.
    let said = (0..parts.len()).map(|from| parts[from..].join(" · ")).find(|said| text::width(said) <= usize::from(room)).unwrap_or(age.clone());
    pen.right(frame.left, frame.bottom, frame.right, &said, scene.theme.dim)
}

/// How the sites stand, worst first, in the last line; as many as fit before column `end`.
fn strip(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame, end: u16) -> u16 {
    let mut x = frame.left;
    let sites = scene.sites();
    for (at, (sign, name)) in sites.iter().enumerate() {
        let spans = [sign.span(scene.theme), Span::styled(format!(" {name}"), scene.theme.text)];
        let more = format!("+{}", sites.len() - at);
        if x + spans_width(&spans) + 2 + more.len() as u16 > end {
            return pen.put(x, frame.bottom, end, &more, scene.theme.dim);
        }
        x = pen.spans(x, frame.bottom, end, &spans) + 3;
    }
    x
}

/// No poll has ended for a long time: whatever is on the screen is old, and the band says how old.
fn silent(pen: &mut Pen<'_>, scene: &Scene<'_>, wall: &WallState, frame: Frame, newest: Timestamp) {
    let theme = scene.theme;
    let top = band::draw(pen, &frame, "NO NEWS", &elapsed(scene, newest), "", theme.stale);
    pages(pen, scene, wall, frame, top);
    pale(pen, theme, top);
}

/// All from this row on in `dim`: nothing of it is to be trusted.
fn pale(pen: &mut Pen<'_>, theme: &Theme, top: u16) {
    let area = pen.area();
    pen.wash(Rect { y: top, height: area.height.saturating_sub(top), ..area }, theme.dim);
}

/// An age in one number and a unit, to be read from far away: `14 min`. Noted as a text that changes.
fn elapsed(scene: &Scene<'_>, then: Timestamp) -> String {
    let s = since(then, scene.now).as_secs();
    let (step, unit, word) = match s {
        0..60 => (5, 1, "s"),
        60..3_600 => (60, 60, "min"),
        3_600..172_800 => (3_600, 3_600, "h"),
        _ => (86_400, 86_400, "d"),
    };
    let next = i64::try_from((s / step + 1) * step).unwrap_or(i64::MAX / 4_000);
    if let Some(at) = chrono::Duration::try_seconds(next).and_then(|after| then.checked_add_signed(after)) {
        scene.changes_at(at);
    }
    format!("{} {word}", s / step * step / unit)
}

/// The one thing that can be typed.
fn prompt(pen: &mut Pen<'_>, scene: &Scene<'_>, frame: Frame) {
    let Some(prompt) = &scene.view.prompt else { return };
    let theme = scene.theme;
    pen.clear(Rect { x: 0, y: frame.bottom, width: frame.area.width, height: 1 });
    let x = pen.put(frame.left, frame.bottom, frame.right, ":", theme.accent);
    let said = "unlock gives the keys back";
    let end = pen.right(x + 16, frame.bottom, frame.right, said, theme.dim);
    chrome::input(pen, x, frame.bottom, end.saturating_sub(2), prompt.input.value(), prompt.input.cursor(), theme.bold(theme.text));
}

#[cfg(test)]
mod tests;
