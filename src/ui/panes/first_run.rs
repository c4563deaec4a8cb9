//! The screen without any configuration: that nothing is watched, what was found here, what can be done. And page 1 of a configuration
//! with nothing in it.

use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::state::State;
use crate::state::first_run::{Choice, FirstRun, READING_ROWS};
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text::width;
use crate::ui::theme::Theme;

/// The least that is worth writing.
const EXAMPLE: [&str; 5] = ["[site.shop]", "url = \"https://shop.example.com\"", "", "[site.shop.http.home]", "url = \"https://shop.example.com/health/\""];
/// Columns of what was found, and of where.
const FOUND: u16 = 14;
const WHY: u16 = 40;

/// Draws page 1 of a configuration that names no site.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect) {
    let theme = scene.theme;
    let mut rows = Rows { y: body.y, bottom: body.bottom(), last: body.right() - 2 };
    rows.line(pen, 1, "Nothing is watched yet: the configuration names no site.", theme.text);
    rows.skip(1);
    rows.line(pen, 1, "Write this into it, with your own addresses:", theme.text);
    rows.skip(1);
    for text in EXAMPLE {
        rows.line(pen, 3, text, theme.accent);
    }
    rows.skip(1);
    rows.line(pen, 1, "`rounds init DIR` writes one from what a project looks like.", theme.dim);
}

/// Rows from the top until there are no more.
struct Rows {
    y: u16,
    bottom: u16,
    last: u16,
}

impl Rows {
    fn next(&mut self) -> Option<u16> {
        let y = self.y;
        self.y += 1;
        (y < self.bottom).then_some(y)
    }

    fn skip(&mut self, rows: u16) {
        self.y += rows;
    }

    fn line(&mut self, pen: &mut Pen<'_>, x: u16, text: &str, style: ratatui::style::Style) {
        if let Some(y) = self.next() {
            pen.put(x, y, self.last, text, style);
        }
    }
}

/// Draws the whole screen.
pub fn whole(pen: &mut Pen<'_>, state: &State, first: &FirstRun, theme: &Theme) {
    if let Some(line) = first.reading {
        return manual(pen, first, line, theme);
    }
    let area = pen.area();
    let last = area.width.saturating_sub(2);
    pen.put(1, 0, last, "rounds", theme.bold(theme.text));
    pen.right(10, 0, last, "no configuration yet", theme.dim);
    // What can be done never gives way to what was found.
    let footer = area.height - 1;
    let choices = Choice::ALL.len() as u16 + 1;
    let short = area.height < 20;
    let mut rows = Rows { y: if short { 1 } else { 2 }, bottom: footer.saturating_sub(choices + u16::from(!short)), last };
    found(pen, first, theme, &mut rows, short);
    let begin = rows.y.min(rows.bottom) + u16::from(!short);
    let mut rows = Rows { y: begin, bottom: footer, last };
    if let Some(y) = rows.next() {
        pen.rule(1, y, last, &[Span::styled("what now", theme.bold(theme.accent))], &[]);
    }
    for (at, choice) in Choice::ALL.into_iter().enumerate() {
        let Some(y) = rows.next() else { break };
        draw_choice(pen, choice, first, at == first.selected(), y, last, theme);
    }
    rows.skip(2);
    if rows.y + 1 < footer && !first.looked.is_empty() {
        rows.line(pen, 1, "Looked for a configuration in", theme.dim);
        rows.line(pen, 1, &first.looked.join(", "), theme.dim);
    }
    bottom(pen, state, theme, footer, last);
}

/// The manual from one of its lines on, with how far that is.
fn manual(pen: &mut Pen<'_>, first: &FirstRun, line: usize, theme: &Theme) {
    let area = pen.area();
    let last = area.width.saturating_sub(2);
    let rows = usize::from(area.height).saturating_sub(READING_ROWS).max(1);
    let shown = (line + rows).min(first.manual.len());
    pen.put(1, 0, last, "rounds", theme.bold(theme.text));
    pen.put(10, 0, last, "the manual", theme.dim);
    pen.right(22, 0, last, &format!("{} to {shown} of {}", (line + 1).min(shown), first.manual.len()), theme.dim);
    for (text, y) in first.manual.iter().skip(line).zip(2..area.height.saturating_sub(1)) {
        // Heads of sections begin in the first column and are no sentence.
        let head = text.ends_with(':') && !text.starts_with(' ') || text.starts_with("rounds ") && !text.contains(". ");
        pen.put(1, y, last, text, if head { theme.bold(theme.accent) } else { theme.text });
    }
    let mut x = 1;
    for (key, word) in [("j k", "line"), ("PgDn PgUp", "page"), ("q", "back")] {
        x = pen.put(x, area.height - 1, last, key, theme.accent) + 1;
        x = pen.put(x, area.height - 1, last, word, theme.dim) + 3;
    }
}

fn found(pen: &mut Pen<'_>, first: &FirstRun, theme: &Theme, rows: &mut Rows, short: bool) {
    let sentence = match &first.project {
        None => "Nothing is watched yet. Looking at this directory …".to_owned(),
        Some(project) => match project.kind {
            Some(kind) => format!("Nothing is watched yet. This directory looks like {kind}:"),
            None => "Nothing is watched yet, and this directory does not look like a project.".to_owned(),
        },
    };
    rows.line(pen, 1, &sentence, theme.bold(theme.text));
    rows.skip(u16::from(!short));
    let Some(project) = first.project.as_ref().filter(|project| project.kind.is_some()) else { return };
    for row in &project.rows {
        let Some(y) = rows.next() else { return };
        let (sign, style) = if row.known { ('✔', theme.ok) } else { ('?', theme.unknown) };
        pen.glyph(1, y, sign, style);
        pen.put(3, y, FOUND - 2, row.what, theme.dim);
        if rows.last > WHY + 8 {
            pen.put(FOUND, y, WHY - 2, &row.found, theme.text);
            pen.put(WHY, y, rows.last, &row.why, theme.dim);
        } else {
            pen.put(FOUND, y, rows.last, &row.found, theme.text);
        }
    }
}

fn draw_choice(pen: &mut Pen<'_>, choice: Choice, first: &FirstRun, selected: bool, y: u16, last: u16, theme: &Theme) {
    let is_project = first.project.as_ref().is_none_or(|project| project.kind.is_some());
    let (long, short, verb) = match choice {
        Choice::Init if is_project => ("write rounds.toml here, commented, from what was found", "write rounds.toml from what was found", "rounds init"),
        Choice::Init => ("write rounds.toml here, an example to complete", "write an example rounds.toml", "rounds init"),
        Choice::Demo => ("look around first: a demonstration site in this terminal", "look around: a demonstration", "rounds demo"),
        Choice::Manual => ("read the manual", "read the manual", "rounds man"),
    };
    if selected {
        pen.tint(0, y, pen.area().width.saturating_sub(1), theme.selection);
        pen.glyph(0, y, '▌', theme.selection.patch(theme.accent));
    }
    let text = if selected { theme.selection.patch(theme.bold(theme.text)) } else { theme.text };
    pen.put(3, y, last, &choice.key().to_string(), if selected { theme.selection.patch(theme.bold(theme.accent)) } else { theme.accent });
    let wide = usize::from(last) > width(long) + width(verb) + 8;
    if wide {
        let begin = pen.right(6, y, last, verb, if selected { theme.selection.patch(theme.dim) } else { theme.dim });
        pen.put(6, y, begin.saturating_sub(2), long, text);
    } else {
        pen.put(6, y, last, short, text);
    }
}

/// The footer: the keys, and that nothing happened yet. A toast takes the row above it.
fn bottom(pen: &mut Pen<'_>, state: &State, theme: &Theme, y: u16, last: u16) {
    if let Some(toast) = &state.view.toast
        && y > 1
    {
        pen.fill(0, y - 1, last, ' ', theme.text);
        pen.put(1, y - 1, last, &toast.text, theme.warn);
    }
    let enter = if theme.ascii() { "Enter" } else { "↵" };
    let mut x = 1;
    for (key, word) in [(enter, "do it"), ("j k", "move"), ("q", "leave")] {
        x = pen.put(x, y, last, key, theme.accent) + 1;
        x = pen.put(x, y, last, word, theme.dim) + 3;
    }
    let remark = "nothing was written, nothing sent";
    if usize::from(last) > usize::from(x) + width(remark) {
        pen.right(x, y, last, remark, theme.dim);
    }
}
