//! The one list that carries all panes: columns, selection, marks, scroll thumb, the line about what a filter hides.
//!
//! Rows are asked for only when they are on the screen. What does not belong here: what the rows say.

use std::collections::BTreeSet;

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use crate::ui::pen::{Pen, spans_width};

/// Rows kept in sight above and below the selected one.
pub const CONTEXT: usize = 3;

/// How wide a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wide {
    /// So many cells.
    Cells(u16),
    /// What is left; one column of a list.
    Flex,
    /// As wide as this row's text, at least so many cells; the flexible column takes the rest. Right-aligned.
    Hug(u16),
}

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its head, on the rule; may be empty.
    pub head: &'static str,
    /// Its width.
    pub wide: Wide,
    /// Ends at its last cell instead of beginning at its first.
    pub right: bool,
    /// Blank cells before it.
    pub gap: u16,
}

impl Column {
    /// A left-aligned column of so many cells, after one blank.
    #[must_use]
    pub const fn left(cells: u16) -> Self {
        Self { head: "", wide: Wide::Cells(cells), right: false, gap: 1 }
    }

    /// A right-aligned column of so many cells, after one blank.
    #[must_use]
    pub const fn right(cells: u16) -> Self {
        Self { head: "", wide: Wide::Cells(cells), right: true, gap: 1 }
    }

    /// The column that takes what is left, after one blank.
    #[must_use]
    pub const fn flex() -> Self {
        Self { head: "", wide: Wide::Flex, right: false, gap: 1 }
    }

    /// A right-aligned column as wide as each row's text, at least so many cells, after one blank.
    #[must_use]
    pub const fn hug(least: u16) -> Self {
        Self { head: "", wide: Wide::Hug(least), right: true, gap: 1 }
    }

    /// With so many blanks before it.
    #[must_use]
    pub const fn gap(self, gap: u16) -> Self {
        Self { gap, ..self }
    }

    /// With a head on the rule.
    #[must_use]
    pub const fn head(self, head: &'static str) -> Self {
        Self { head, ..self }
    }
}

/// One cell: spans one after the other.
pub type Cell = Vec<Span<'static>>;

/// One row: a cell for each column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// In the order of the columns; a missing one is empty.
    pub cells: Vec<Cell>,
    /// The last cell takes the columns after it too: a sentence in place of figures.
    pub spills: bool,
}

impl Row {
    /// An empty row.
    #[must_use]
    pub const fn new() -> Self {
        Self { cells: Vec::new(), spills: false }
    }

    /// With a last cell of spans that takes the columns after it too.
    #[must_use]
    pub fn rest(mut self, spans: Cell) -> Self {
        self.cells.push(spans);
        self.spills = true;
        self
    }

    /// With one more cell of one style.
    #[must_use]
    pub fn cell(mut self, text: impl Into<String>, style: Style) -> Self {
        self.cells.push(vec![Span::styled(text.into(), style)]);
        self
    }

    /// With one more cell of spans.
    #[must_use]
    pub fn spans(mut self, spans: Cell) -> Self {
        self.cells.push(spans);
        self
    }
}

/// What a filter took away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hidden {
    /// How many.
    pub count: usize,
    /// How many of them are critical.
    pub critical: usize,
    /// What they are, in the number of `count`: `finding` of one, `findings` of more.
    pub noun: &'static str,
}

impl Hidden {
    /// What a filter took away, `critical` of them critical; `None` where it took nothing. `nouns` are what they are: of one, of more.
    #[must_use]
    pub fn of(count: usize, critical: usize, nouns: [&'static str; 2]) -> Option<Self> {
        (count > 0).then(|| Self { count, critical, noun: nouns[usize::from(count > 1)] })
    }
}

/// A list with its rule.
pub struct List<'a> {
    /// Title on the rule.
    pub title: &'a str,
    /// Remark at the end of the rule; not shown where columns have heads.
    pub remark: Vec<Span<'static>>,
    /// The columns, from the left.
    pub columns: &'a [Column],
    /// How many rows.
    pub len: usize,
    /// The row of an index.
    pub row: &'a dyn Fn(usize) -> Row,
    /// The selected row.
    pub selected: Option<usize>,
    /// Marked rows.
    pub marked: BTreeSet<usize>,
    /// First row on the screen in the frame before.
    pub offset: usize,
    /// Whether keys act on it.
    pub focused: bool,
    /// What a filter took away.
    pub hidden: Option<Hidden>,
    /// Lines after the last row (a source that is not known, `312 more`); shown when the list ends on the screen.
    pub after: Vec<Vec<Span<'static>>>,
    /// Without its rule: the row of the rule stays blank.
    pub bare: bool,
    /// Without a column for the scroll thumb: on narrow screens the footer tells how many there are.
    pub tight: bool,
}

impl<'a> List<'a> {
    /// Rows below a rule, and nothing else: no selection, no marks, no keys.
    #[must_use]
    pub fn of(title: &'a str, columns: &'a [Column], len: usize, row: &'a dyn Fn(usize) -> Row) -> Self {
        Self {
            title,
            remark: Vec::new(),
            columns,
            len,
            row,
            selected: None,
            marked: BTreeSet::new(),
            offset: 0,
            focused: false,
            hidden: None,
            after: Vec::new(),
            bare: false,
            tight: false,
        }
    }
}

/// Where a list was drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// First row on the screen.
    pub offset: usize,
    /// Rows on the screen.
    pub height: usize,
    /// Where the first row stands.
    pub top: u16,
}

/// First row on the screen: as before where that still shows the selected one with its context.
#[must_use]
pub fn offset(before: usize, selected: Option<usize>, len: usize, height: usize) -> usize {
    if height == 0 || len <= height {
        return 0;
    }
    let most = len - height;
    let Some(selected) = selected else { return before.min(most) };
    let context = CONTEXT.min((height - 1) / 2);
    let lowest = (selected + context + 1).saturating_sub(height);
    let highest = selected.saturating_sub(context);
    before.clamp(lowest.min(highest), highest.max(lowest)).min(most)
}

impl List<'_> {
    /// How many rows it needs, without its rule.
    #[must_use]
    pub fn needs(&self) -> u16 {
        (self.len + self.after.len() + if self.hidden.is_some() { 2 } else { 0 }).min(10_000) as u16
    }

    /// Draws it into `area`, whose first row is the rule's.
    pub fn draw(&self, pen: &mut Pen<'_>, area: Rect) -> Shown {
        if area.height == 0 || area.width < 8 {
            return Shown::default();
        }
        let theme = *pen.theme;
        let edge = area.right() - 2;
        if !self.bare {
            self.rule(pen, area, edge);
        }
        let top = area.y + 1;
        let mut rows = usize::from(area.height - 1);
        // What is hidden is told even when the rows would fill the list.
        if self.hidden.is_some() {
            rows = rows.saturating_sub(1);
        }
        let first = offset(self.offset, self.selected, self.len, rows);
        let count = rows.min(self.len - first.min(self.len));
        for at in 0..count {
            let index = first + at;
            let y = top + at as u16;
            let selected = self.selected == Some(index);
            self.draw_row(pen, area, y, &(self.row)(index), selected);
            if selected {
                pen.tint(area.x, y, area.right() - 1, theme.selection);
                pen.glyph(area.x, y, '▌', if self.focused { theme.accent } else { theme.dim });
            } else if self.marked.contains(&index) {
                pen.glyph(area.x, y, '▪', theme.accent);
            }
        }
        let mut y = top + count as u16;
        let bottom = area.bottom();
        if first + count == self.len {
            for line in &self.after {
                if y < bottom - u16::from(self.hidden.is_some()) {
                    pen.spans(area.x + 1, y, edge - 1, line);
                    y += 1;
                }
            }
        }
        if let Some(hidden) = &self.hidden {
            if y + 1 < bottom && count > 0 {
                y += 1;
            }
            let critical = if hidden.critical > 0 { format!(", {} of them critical", hidden.critical) } else { String::new() };
            let (noun, are) = if hidden.count == 1 { (hidden.noun.strip_suffix('s').unwrap_or(hidden.noun), "is") } else { (hidden.noun, "are") };
            pen.put(area.x + 1, y.min(bottom - 1), edge, &format!("{} {noun} {are} hidden by the filter{critical}", hidden.count), theme.warn);
        }
        if count < self.len && rows > 0 && !self.tight {
            thumb(pen, area.right() - 1, top, rows, first, self.len);
        }
        Shown { offset: first, height: rows, top }
    }

    fn rule(&self, pen: &mut Pen<'_>, area: Rect, edge: u16) {
        let theme = *pen.theme;
        let style = theme.bold(if self.focused { theme.accent } else { theme.text });
        let title = [Span::styled(self.title.to_owned(), style)];
        let places = self.places(area, None);
        let heads: Vec<(u16, u16, &Column)> =
            places.iter().zip(self.columns).filter(|(_, column)| !column.head.is_empty()).map(|((from, to), column)| (*from, *to, column)).collect();
        if heads.is_empty() {
            pen.rule(area.x + 1, area.y, edge, &title, &self.remark);
            return;
        }
        let mut stop = edge;
        for (from, to, column) in heads {
            let begin = if column.right {
                // A head may be wider than its column; it grows to the left as its numbers do.
                let cells = crate::ui::text::width(column.head) as u16;
                pen.right((to + 1).saturating_sub(cells).max(area.x + 1), area.y, to, column.head, theme.dim)
            } else {
                pen.put(from, area.y, to.max(from + 1), column.head, theme.dim);
                from
            };
            stop = stop.min(begin.saturating_sub(2));
        }
        pen.rule(area.x + 1, area.y, stop, &title, &[]);
    }

    /// First and last column of each cell. With a row, its hugging cell takes what its text needs.
    fn places(&self, area: Rect, row: Option<&Row>) -> Vec<(u16, u16)> {
        let edge = area.right() - if self.tight { 2 } else { 3 };
        let wide = |at: usize, column: &Column| match column.wide {
            Wide::Cells(cells) => cells,
            Wide::Flex => 0,
            Wide::Hug(least) => row.and_then(|row| row.cells.get(at)).map_or(least, |cell| spans_width(cell).max(least)),
        };
        let taken: u16 = self.columns.iter().enumerate().map(|(at, column)| wide(at, column) + if at == 0 { 0 } else { column.gap }).sum();
        let flex = (edge + 1).saturating_sub(area.x + 1).saturating_sub(taken);
        let mut x = area.x + 1;
        let mut places = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                x += column.gap;
            }
            let cells = if column.wide == Wide::Flex { flex } else { wide(at, column) };
            // An empty column has its last cell before its first.
            places.push((x, (x + cells).saturating_sub(1).min(edge)));
            x += cells;
        }
        places
    }

    fn draw_row(&self, pen: &mut Pen<'_>, area: Rect, y: u16, row: &Row, selected: bool) {
        let theme = *pen.theme;
        let places = self.places(area, Some(row));
        let end = places.last().map_or(0, |(_, to)| *to);
        for (at, ((&(from, to), column), cell)) in places.iter().zip(self.columns).zip(&row.cells).enumerate() {
            let spills = row.spills && at + 1 == row.cells.len();
            let to = if spills { end } else { to };
            if to < from {
                continue;
            }
            let mut spans = cell.clone();
            if selected && self.focused {
                for span in &mut spans {
                    if span.style.remove_modifier(Modifier::UNDERLINED) == theme.text.remove_modifier(Modifier::UNDERLINED) {
                        span.style = span.style.add_modifier(Modifier::BOLD);
                    }
                }
            }
            if column.right && !spills {
                pen.spans_right(from, y, to, &spans);
            } else {
                pen.spans(from, y, to, &spans);
            }
        }
    }
}

/// The scroll thumb on its track, where there is more than fits.
pub fn thumb(pen: &mut Pen<'_>, x: u16, top: u16, rows: usize, first: usize, len: usize) {
    if len <= rows || rows == 0 {
        return;
    }
    let theme = *pen.theme;
    let size = (rows * rows).div_ceil(len).clamp(1, rows);
    let travel = rows - size;
    let hidden = len - rows;
    let begin = if first >= hidden { travel } else { first * travel / hidden };
    for at in 0..rows {
        let y = top + at as u16;
        if at >= begin && at < begin + size {
            pen.glyph(x, y, '┃', theme.dim);
        } else if theme.ascii() {
            pen.glyph(x, y, ' ', theme.faint);
        } else {
            pen.glyph(x, y, '│', theme.faint);
        }
    }
}

/// Spans of a text whose matched characters are underlined.
#[must_use]
pub fn matched(text: &str, marks: &[usize], style: Style) -> Cell {
    if marks.is_empty() {
        return vec![Span::styled(text.to_owned(), style)];
    }
    let mut spans: Cell = Vec::new();
    let mut part = String::new();
    let mut underlined = false;
    for (at, c) in text.chars().enumerate() {
        let mark = marks.binary_search(&at).is_ok();
        if mark != underlined && !part.is_empty() {
            spans.push(Span::styled(std::mem::take(&mut part), if underlined { style.add_modifier(Modifier::UNDERLINED) } else { style }));
        }
        underlined = mark;
        part.push(c);
    }
    if !part.is_empty() {
        spans.push(Span::styled(part, if underlined { style.add_modifier(Modifier::UNDERLINED) } else { style }));
    }
    spans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_selected_row_keeps_three_rows_of_context() {
        for (before, selected, len, height, first) in [
            (0, 0, 15, 11, 0),
            (0, 7, 15, 11, 0),
            (0, 8, 15, 11, 1),
            (0, 14, 15, 11, 4),
            (4, 7, 15, 11, 4),
            (4, 6, 15, 11, 3),
            (9, 3, 15, 11, 0),
            (0, 5, 6, 11, 0),
            (0, 50, 100, 1, 50),
        ] {
            assert_eq!(offset(before, Some(selected), len, height), first, "{before} {selected} {len} {height}");
        }
        assert_eq!(offset(90, None, 100, 20), 80);
    }

    #[test]
    fn matched_letters_are_underlined() {
        let spans = matched("Restore drill", &[8, 9, 10, 11, 12], Style::new());
        assert_eq!(spans.len(), 2);
        assert!(spans[1].style.add_modifier.contains(Modifier::UNDERLINED));
    }

    proptest! {
        #[test]
        fn the_selected_row_is_always_on_the_screen(before in 0usize..200, selected in 0usize..200, len in 1usize..200, height in 1usize..60) {
            let selected = selected.min(len - 1);
            let first = offset(before, Some(selected), len, height);
            prop_assert!(first <= selected && selected < first + height);
            prop_assert!(len <= height || first + height <= len);
        }
    }
}
