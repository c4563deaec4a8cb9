//! Where text meets cells: everything drawn passes here, cleaned, clipped to its columns and, where asked, in ASCII.
//!
//! Columns are as in the design: the first and the last one, both inclusive.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use super::text::{ascii, clip, clusters, sanitise, width};
use super::theme::Theme;

/// Draws into a buffer with one theme.
#[derive(Debug)]
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    /// The styles.
    pub theme: &'a Theme,
}

impl<'a> Pen<'a> {
    /// A pen on this buffer.
    pub const fn new(buffer: &'a mut Buffer, theme: &'a Theme) -> Self {
        Self { buffer, theme }
    }

    /// The whole screen.
    #[must_use]
    pub const fn area(&self) -> Rect {
        self.buffer.area
    }

    /// The buffer itself, for widgets that set cells one by one (graphs). Text goes through the pen.
    pub const fn buffer(&mut self) -> &mut Buffer {
        self.buffer
    }

    /// One cell.
    pub fn glyph(&mut self, x: u16, y: u16, glyph: char, style: Style) {
        let glyph = if self.theme.ascii() { ascii(glyph) } else { glyph };
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_char(glyph).set_style(style);
        }
    }

    /// Text from column `x` to `last` at most; what is too long ends in `…`. Returns the column after it.
    pub fn put(&mut self, x: u16, y: u16, last: u16, text: &str, style: Style) -> u16 {
        if x > last {
            return x;
        }
        let text = clip(text, usize::from(last - x) + 1);
        self.cells(x, y, &text, style)
    }

    /// Text that ends in column `last`. What does not fit between `first` and `last` is cut. Returns the column it begins in.
    pub fn right(&mut self, first: u16, y: u16, last: u16, text: &str, style: Style) -> u16 {
        if first > last {
            return last + 1;
        }
        let text = clip(text, usize::from(last - first) + 1);
        let x = last + 1 - (width(&text) as u16).min(last + 1);
        self.cells(x, y, &text, style);
        x
    }

    /// Spans one after the other from `x` to `last` at most; what is too long ends in `…`. Returns the column after them.
    pub fn spans(&mut self, x: u16, y: u16, last: u16, spans: &[Span<'_>]) -> u16 {
        let mut x = x;
        for (at, span) in spans.iter().enumerate() {
            if x > last {
                return x;
            }
            let room = usize::from(last - x) + 1;
            let text = sanitise(&span.content);
            let more = spans[at + 1..].iter().any(|span| width(&sanitise(&span.content)) > 0);
            if width(&text) > room || (width(&text) == room && more) {
                let cut = if width(&text) == room { clip(&text, room - 1).into_owned() + "…" } else { clip(&text, room).into_owned() };
                return self.cells(x, y, &cut.replace("……", "…"), span.style);
            }
            x = self.cells(x, y, &text, span.style);
        }
        x
    }

    /// Spans that end in column `last`. Returns the column they begin in.
    pub fn spans_right(&mut self, first: u16, y: u16, last: u16, spans: &[Span<'_>]) -> u16 {
        let room = (last + 1).saturating_sub(first);
        let x = last + 1 - spans_width(spans).min(room);
        self.spans(x, y, last, spans);
        x
    }

    /// The same character from `x` to `last`.
    pub fn fill(&mut self, x: u16, y: u16, last: u16, glyph: char, style: Style) {
        for x in x..=last.min(self.buffer.area.right().saturating_sub(1)) {
            self.glyph(x, y, glyph, style);
        }
    }

    /// Lays a style over a row's cells without touching their text: the background of the selection.
    pub fn tint(&mut self, x: u16, y: u16, last: u16, style: Style) {
        if last >= x {
            let area = Rect { x, y, width: last - x + 1, height: 1 }.intersection(self.buffer.area);
            self.buffer.set_style(area, style);
        }
    }

    /// Blank cells in the default style.
    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.rows().map(|row| row.y) {
            for x in area.x..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
            // Half of a wide character at the edge cannot stay.
            if area.x > 0
                && let Some(cell) = self.buffer.cell_mut((area.x - 1, y))
                && width(cell.symbol()) > 1
            {
                cell.set_char(' ');
            }
        }
    }

    /// Turns all that is drawn so far to one style, keeping its characters: the page behind an overlay.
    pub fn wash(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buffer.area);
        for position in area.positions() {
            if let Some(cell) = self.buffer.cell_mut(position) {
                cell.modifier = Modifier::empty();
                cell.set_style(Style::reset().patch(style));
            }
        }
    }

    /// A rule with its title and remark: `title ─────── remark`, from column `x` to `last`.
    pub fn rule(&mut self, x: u16, y: u16, last: u16, title: &[Span<'_>], remark: &[Span<'_>]) {
        let theme = *self.theme;
        let mut from = x;
        if spans_width(title) > 0 {
            from = self.spans(x, y, last, title) + 1;
        }
        let mut to = last;
        let room = (last + 1).saturating_sub(from + 3);
        if spans_width(remark) > 0 && room >= 4 {
            let begin = self.spans_right(last + 1 - room, y, last, remark);
            to = begin.saturating_sub(2);
        }
        if from <= to {
            self.fill(from, y, to, '─', theme.faint);
        }
    }

    fn cells(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        let ascii_only = self.theme.ascii();
        let edge = self.buffer.area.right();
        let mut x = x;
        for (cluster, cells) in clusters(text) {
            let next = x + cells as u16;
            if next > edge {
                break;
            }
            let Some(cell) = self.buffer.cell_mut((x, y)) else { break };
            if ascii_only && !cluster.is_ascii() {
                cell.set_char(cluster.chars().next().map_or('?', ascii));
                cell.set_style(style);
                if cells > 1
                    && let Some(cell) = self.buffer.cell_mut((x + 1, y))
                {
                    cell.set_char('?').set_style(style);
                }
            } else {
                cell.set_symbol(cluster).set_style(style);
                if cells > 1
                    && let Some(cell) = self.buffer.cell_mut((x + 1, y))
                {
                    // The second half of a wide character is the terminal's: it holds nothing of its own.
                    cell.reset();
                    cell.set_style(style);
                }
            }
            x = next;
        }
        x
    }
}

/// Cells that spans take.
#[must_use]
pub fn spans_width(spans: &[Span<'_>]) -> u16 {
    spans.iter().map(|span| width(&sanitise(&span.content))).sum::<usize>().min(usize::from(u16::MAX)) as u16
}
