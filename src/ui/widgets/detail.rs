//! Lines with columns, scrolled: the detail below a list, and the insides of overlays.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::list::thumb;
use crate::ui::pen::Pen;

/// Where a piece of a line stands, relative to the detail's first column (col 0 is the gutter).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Begins here.
    Left(u16),
    /// Ends here.
    Right(u16),
    /// Ends so many cells before the right edge.
    Edge(u16),
}

/// One line: pieces at their columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    pieces: Vec<(At, Vec<Span<'static>>)>,
}

impl Line {
    /// An empty line.
    #[must_use]
    pub const fn new() -> Self {
        Self { pieces: Vec::new() }
    }

    /// A line of one text from column 1.
    #[must_use]
    pub fn text(text: impl Into<String>, style: Style) -> Self {
        Self::new().put(1, text, style)
    }

    /// A line of spans from column 1.
    #[must_use]
    pub fn of(spans: Vec<Span<'static>>) -> Self {
        Self::new().spans(At::Left(1), spans)
    }

    /// With a text from this column on.
    #[must_use]
    pub fn put(self, column: u16, text: impl Into<String>, style: Style) -> Self {
        self.spans(At::Left(column), vec![Span::styled(text.into(), style)])
    }

    /// With a text ending in this column.
    #[must_use]
    pub fn right(self, column: u16, text: impl Into<String>, style: Style) -> Self {
        self.spans(At::Right(column), vec![Span::styled(text.into(), style)])
    }

    /// With spans.
    #[must_use]
    pub fn spans(mut self, at: At, spans: Vec<Span<'static>>) -> Self {
        self.pieces.push((at, spans));
        self
    }

    /// Draws it in row `y` of `area`.
    pub fn draw(&self, pen: &mut Pen<'_>, area: Rect, y: u16) {
        let last = area.right().saturating_sub(2);
        for (at, (place, spans)) in self.pieces.iter().enumerate() {
            match place {
                At::Left(column) => {
                    // A piece ends before the next one that begins to its right.
                    let next = self.pieces[at + 1..].iter().find_map(|(place, _)| match place {
                        At::Left(next) if next > column => Some(area.x + next.saturating_sub(2)),
                        _ => None,
                    });
                    pen.spans(area.x + column, y, next.unwrap_or(last).min(last), spans);
                }
                At::Right(column) => {
                    pen.spans_right(area.x + 1, y, (area.x + column).min(last), spans);
                }
                At::Edge(before) => {
                    pen.spans_right(area.x + 1, y, last.saturating_sub(*before), spans);
                }
            }
        }
    }
}

/// Draws lines from `offset` on; the rest scrolls, with a thumb. Returns the offset used, which never leaves nothing to see.
pub fn draw(pen: &mut Pen<'_>, area: Rect, lines: &[Line], offset: usize) -> usize {
    let height = usize::from(area.height);
    let offset = offset.min(lines.len().saturating_sub(height));
    for (at, line) in lines.iter().skip(offset).take(height).enumerate() {
        line.draw(pen, area, area.y + at as u16);
    }
    if height > 0 {
        thumb(pen, area.right() - 1, area.y, height, offset, lines.len());
    }
    offset
}
