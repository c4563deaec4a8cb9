//! The calendar: one row a data set, one cell a day, today last.
//!
//! It is read from the copies that are still there. A day between two copies without one of its own is `none`: copies that were
//! thinned out by a retention look the same as copies never made, and late is said only of what can be known: since the last copy.

use chrono::{Datelike, Days, NaiveDate};
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::Entry;
use crate::domain::Timestamp;
use crate::state::view::ZoneName;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text;
use crate::ui::theme::Theme;

/// Days shown.
pub const DAYS: usize = 60;
/// Where the cells begin.
const CELLS: u16 = 18;

/// How one day went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Day {
    /// No copy of that day.
    #[default]
    None,
    /// Nobody could look.
    Unknown,
    /// A copy that is not whole, and no other.
    Failed,
    /// Late, or something is odd about the copy.
    Odd,
    /// A good copy.
    Good,
}

impl Day {
    /// How it went, in words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "a good copy",
            Self::Odd => "late, or something is odd about the copy",
            Self::Failed => "no whole copy",
            Self::Unknown => "not known: nobody could look",
            Self::None => "no copy of that day is kept",
        }
    }

    /// Its sign.
    pub fn glyph(self, theme: &Theme) -> (char, Style) {
        match self {
            Self::Good => ('▪', theme.ok),
            Self::Odd => ('▲', theme.warn),
            Self::Failed => ('✖', theme.bold(theme.crit)),
            Self::Unknown => ('?', theme.unknown),
            Self::None => ('·', theme.dim),
        }
    }
}

/// The last [`DAYS`] days of a data set, oldest first, today last.
pub fn days(entry: &Entry<'_>, now: Timestamp, zone: ZoneName) -> [Day; DAYS] {
    let mut days = [Day::None; DAYS];
    let today = text::local(now, zone).date();
    let place = |date: NaiveDate| usize::try_from((today - date).num_days()).ok().and_then(|ago| (DAYS - 1).checked_sub(ago));
    let Some(backup) = entry.backup else {
        days[DAYS - 1] = if entry.source.checked_at.is_some() { Day::Unknown } else { Day::None };
        return days;
    };
    for copy in &backup.copies {
        let Some(at) = place(text::local(copy.at, zone).date()) else { continue };
        let day = match (copy.complete, &copy.problem) {
            (Some(false), _) => Day::Failed,
            (_, Some(_)) => Day::Odd,
            _ => Day::Good,
        };
        // A good copy later that day mends a bad one.
        days[at] = days[at].max(day);
    }
    for run in &backup.runs {
        // A run that failed leaves no copy; one that went well may have left it where nobody looks.
        let Some(at) = run.ended.or(run.started).and_then(|at| place(text::local(at, zone).date())) else { continue };
        match run.ok {
            Some(true) => days[at] = days[at].max(Day::Good),
            Some(false) => days[at] = days[at].max(Day::Failed),
            None => {}
        }
    }
    if let Some(last) = backup.last_success {
        let odd =
            backup.complaints.iter().any(|complaint| complaint.starts_with("shrank") || complaint.starts_with("grew") || complaint.starts_with("is too small"));
        let day = text::local(last, zone).date();
        if odd && let Some(at) = place(day) {
            days[at] = Day::Odd;
        }
        // Late is what was seen to be late: after the last look nobody knows.
        let looked = if entry.known() { Some(now) } else { entry.source.backup.as_ref().map(|(at, _)| *at) };
        let promise = backup.max_age_s.map(|limit| chrono::Duration::seconds(i64::try_from(limit).unwrap_or(i64::MAX).min(4_000 * 86_400)));
        let due = promise.and_then(|promise| last.checked_add_signed(promise)).filter(|due| looked.is_some_and(|looked| *due < looked));
        if let Some(due) = due {
            let late = text::local(due, zone).date();
            for (ago, cell) in days.iter_mut().rev().enumerate() {
                let date = today.checked_sub_days(Days::new(ago as u64)).unwrap_or(today);
                if date > day && date >= late && *cell == Day::None {
                    *cell = Day::Odd;
                }
            }
        }
    }
    // What came after the last look is not known, whatever the promise says.
    if !entry.known() {
        let seen = entry.source.backup.as_ref().map(|(at, _)| text::local(*at, zone).date());
        for (ago, cell) in days.iter_mut().rev().enumerate() {
            let date = today.checked_sub_days(Days::new(ago as u64));
            if date < seen {
                break;
            }
            if *cell == Day::None || (date > seen && *cell == Day::Odd) {
                *cell = Day::Unknown;
            }
        }
    }
    days
}

/// Draws the rule with the legend, the months, and a row for each data set as far as they fit.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, items: &[Entry<'_>], selected: Option<usize>, area: Rect) {
    if area.height < 3 || area.width < CELLS + DAYS as u16 + 2 {
        return;
    }
    let theme = scene.theme;
    let mut legend = vec![Span::styled("60 days", theme.bold(theme.text))];
    for (day, word) in [(Day::Good, "good"), (Day::Odd, "late, odd"), (Day::Failed, "failed"), (Day::Unknown, "not known"), (Day::None, "none")] {
        let (glyph, style) = day.glyph(theme);
        legend.push(Span::styled(format!("  {glyph}"), style));
        legend.push(Span::styled(format!(" {word}"), theme.dim));
    }
    pen.rule(area.x + 1, area.y, area.right() - 2, &legend, &[]);
    months(pen, scene, area);
    let wide = area.width >= 110;
    if wide {
        pen.put(area.x + 84, area.y + 1, area.right() - 2, "kept", theme.dim);
        pen.put(area.x + 96, area.y + 1, area.right() - 2, "promised", theme.dim);
        pen.put(area.x + 110, area.y + 1, area.right() - 2, "full on", theme.dim);
    }
    let cursor = (DAYS - 1).saturating_sub(usize::from(scene.view.day_back));
    for (row, (entry, y)) in items.iter().zip(area.y + 2..area.bottom()).enumerate() {
        let after = pen.put(area.x + 1, y, area.x + 6, entry.source.spec.id.site(), theme.dim);
        pen.put((area.x + 7).max(after + 1), y, area.x + CELLS - 2, entry.name(), theme.text);
        for (at, day) in days(entry, scene.now, scene.view.zone).into_iter().enumerate() {
            let (glyph, style) = day.glyph(theme);
            let style = if selected == Some(row) && at == cursor { theme.reversed(style) } else { style };
            pen.glyph(area.x + CELLS + at as u16, y, glyph, style);
        }
        if wide && let Some(backup) = entry.backup {
            pen.put(area.x + 84, y, area.x + 94, &text::thousands(backup.snapshots), theme.text);
            let promised = backup.retention.map_or_else(|| "–".to_owned(), text::thousands);
            pen.put(area.x + 96, y, area.x + 108, &promised, theme.dim);
            let soon = backup.full_on.is_some_and(|full| full < scene.now + chrono::TimeDelta::days(14));
            let full = backup.full_on.map_or_else(|| "–".to_owned(), |full| text::day(full, scene.now, scene.view.zone));
            pen.put(area.x + 110, y, area.right() - 2, &full, if soon { theme.bold(theme.warn) } else { theme.dim });
        }
    }
}

/// `22 Sep    Oct    Nov    today` over the cells.
fn months(pen: &mut Pen<'_>, scene: &Scene<'_>, area: Rect) {
    let theme = scene.theme;
    let (y, first) = (area.y + 1, area.x + CELLS);
    let end = first + DAYS as u16 - 1;
    let today = text::local(scene.now, scene.view.zone).date();
    scene.changes_at(text::next_midnight(scene.now, scene.view.zone));
    let begins = today.checked_sub_days(Days::new(DAYS as u64 - 1)).unwrap_or(today);
    let mut free = pen.put(first, y, end, &begins.format("%-d %b").to_string(), theme.dim) + 1;
    let stop = pen.right(first, y, end, "today", theme.accent);
    for ago in (0..DAYS as u16 - 1).rev() {
        let Some(date) = today.checked_sub_days(Days::new(u64::from(ago))) else { continue };
        let x = end - ago;
        if date.day() == 1 && x >= free && x + 4 < stop {
            free = pen.put(x, y, end, &date.format("%b").to_string(), theme.dim) + 1;
        }
    }
}
