//! What stands under a plot: the first and last time, and the marks of events in the column of their moment.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::ui::theme::{Glyphs, Theme};

/// One event on the time axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// When, milliseconds since the epoch.
    pub at: i64,
    /// Its glyph, already that of the theme: `◆`, ASCII `d`.
    pub glyph: char,
    /// Its style: `accent`, or the verdict's.
    pub style: Style,
    /// What is written beside it; may be empty. Cleaned for the terminal.
    pub label: String,
}

/// The column of a moment among `columns`; `None` outside of the range, or where there is none.
#[must_use]
pub fn column(at: i64, from: i64, to: i64, columns: usize) -> Option<usize> {
    let span = i128::from(to) - i128::from(from);
    let offset = i128::from(at) - i128::from(from);
    if span <= 0 || offset < 0 || offset > span || columns == 0 {
        return None;
    }
    usize::try_from(offset * columns as i128 / span).ok().map(|column| column.min(columns - 1))
}

/// The cells of one row that are taken, so that texts keep a blank between them.
struct Row {
    taken: Vec<bool>,
}

impl Row {
    /// Takes `width` cells from `start` if they and their neighbours are free.
    fn take(&mut self, start: usize, width: usize) -> bool {
        let end = start + width;
        if width == 0 || end > self.taken.len() {
            return false;
        }
        let around = start.saturating_sub(1)..(end + 1).min(self.taken.len());
        if self.taken[around].iter().any(|taken| *taken) {
            return false;
        }
        self.taken[start..end].fill(true);
        true
    }

    /// The same without the blanks around: the ends of the axis may touch a mark.
    fn take_tight(&mut self, start: usize, width: usize) -> bool {
        let free = width > 0 && self.taken.get(start..start + width).is_some_and(|cells| cells.iter().all(|taken| !taken));
        if free {
            self.taken[start..start + width].fill(true);
        }
        free
    }

    /// The same as [`Row::take`], where the text belongs to the mark at `mark` and one blank to it suffices.
    fn take_beside(&mut self, start: usize, width: usize, mark: usize) -> bool {
        let was = std::mem::replace(&mut self.taken[mark], false);
        let took = self.take(start, width);
        self.taken[mark] = was;
        took
    }
}

/// What one row under a plot shows.
#[derive(Debug, Clone, Copy)]
pub struct Timeline<'a> {
    /// The left edge, milliseconds since the epoch.
    pub from: i64,
    /// The right edge.
    pub to: i64,
    /// Times to write, by moment; the first at the left edge, the last at the right one, those between where they fit. Empty: none.
    pub times: &'a [(i64, String)],
    /// Events; empty: none.
    pub marks: &'a [Mark],
}

impl Timeline<'_> {
    /// Draws into the first row of `area`, whose columns are those of the plot. Marks are never dropped; labels are, oldest first.
    pub fn draw(&self, area: Rect, buf: &mut Buffer, theme: &Theme) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        let width = usize::from(area.width);
        let mut row = Row { taken: vec![false; width] };
        let mut write = |at: usize, text: &str, style: Style| {
            buf.set_stringn(area.x + at as u16, area.y, text, width - at, style);
        };
        // Columns with marks first: those are never dropped.
        let mut columns: Vec<(usize, Vec<&Mark>)> = Vec::new();
        let mut marks: Vec<&Mark> = self.marks.iter().collect();
        marks.sort_by_key(|mark| mark.at);
        for mark in marks {
            let Some(column) = column(mark.at, self.from, self.to, width) else { continue };
            match columns.last_mut() {
                Some((last, same)) if *last == column => same.push(mark),
                _ => columns.push((column, vec![mark])),
            }
        }
        for (column, marks) in &columns {
            row.taken[*column] = true;
            let Some(newest) = marks.last() else { continue };
            let glyph = match marks.len() {
                1 => newest.glyph,
                _ if theme.glyphs == Glyphs::Ascii => '&',
                _ => '≡',
            };
            let style = marks.iter().find(|mark| mark.style == theme.crit).map_or(newest.style, |worst| worst.style);
            write(*column, glyph.encode_utf8(&mut [0; 4]), style);
        }
        if let [first, rest @ ..] = self.times {
            if row.take_tight(0, first.1.width()) {
                write(0, &first.1, theme.dim);
            }
            if let Some(last) = rest.last()
                && let Some(start) = width.checked_sub(last.1.width())
                && row.take_tight(start, last.1.width())
            {
                write(start, &last.1, theme.dim);
            }
        }
        for (column, marks) in columns.iter().rev() {
            let Some(mark) = marks.last() else { continue };
            let size = mark.label.width();
            let before = column.checked_sub(size + 1);
            if row.take_beside(column + 2, size, *column) {
                write(column + 2, &mark.label, mark.style);
            } else if let Some(start) = before
                && row.take_beside(start, size, *column)
            {
                write(start, &mark.label, mark.style);
            }
        }
        if let [first, between @ .., last] = self.times {
            // Steps under a minute round to the same time; said twice it would look like a mistake.
            let mut said = &first.1;
            for (at, text) in between {
                if text == said || *text == last.1 {
                    continue;
                }
                if let Some(start) = column(*at, self.from, self.to, width)
                    && row.take(start, text.width())
                {
                    write(start, text, theme.dim);
                    said = text;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(width: u16, times: &[(i64, &str)], marks: &[(i64, &str)]) -> String {
        let area = Rect::new(0, 0, width, 1);
        let mut buf = Buffer::empty(area);
        let times: Vec<(i64, String)> = times.iter().map(|(at, text)| (*at, (*text).to_owned())).collect();
        let marks: Vec<Mark> = marks.iter().map(|(at, label)| Mark { at: *at, glyph: '◆', style: Style::new(), label: (*label).to_owned() }).collect();
        Timeline { from: 0, to: 100, times: &times, marks: &marks }.draw(area, &mut buf, &Theme::default());
        buf.content().iter().map(ratatui::buffer::Cell::symbol).collect()
    }

    #[test]
    fn a_label_stands_after_its_mark_and_before_it_near_the_edge() {
        assert_eq!(drawn(40, &[(0, "00:12"), (100, "03:12")], &[(40, "v1")]), "00:12           ◆ v1               03:12");
        assert_eq!(drawn(40, &[(0, "00:12"), (100, "03:12")], &[(80, "v214")]), "00:12                      v214 ◆  03:12");
    }

    #[test]
    fn labels_drop_oldest_first_and_marks_never() {
        assert_eq!(drawn(20, &[], &[(40, "one"), (50, "two"), (60, "three")]), "    one ◆ ◆ ◆ three ");
        assert_eq!(drawn(20, &[], &[(25, "older"), (50, "younger")]), "     ◆    ◆ younger ");
        assert_eq!(drawn(20, &[], &[(50, "one"), (51, "two")]), "          ≡ two     ");
        assert_eq!(drawn(20, &[(0, "00:12"), (100, "03:12")], &[(10, "")]), "  ◆            03:12");
    }

    #[test]
    fn times_between_stand_where_they_fit() {
        assert_eq!(drawn(30, &[(0, "00:00"), (30, "01:00"), (60, "02:00"), (90, "03:00"), (100, "03:20")], &[]), "00:00    01:00    02:00  03:20");
    }

    proptest! {
        #[test]
        fn anything_fits_and_two_draws_are_equal(width in 0u16..120, from in any::<i64>(), to in any::<i64>(), marks in prop::collection::vec((any::<i64>(), "\\PC{0,12}"), 0..12)) {
            let outer = Rect::new(0, 0, 130, 3);
            let area = Rect::new(3, 1, width, 1);
            let marks: Vec<Mark> = marks.into_iter().map(|(at, label)| Mark { at, glyph: '◆', style: Style::new(), label }).collect();
            let times = [(from, "00:12".to_owned()), (to, "03:12".to_owned())];
            let draw = || {
                let mut buf = Buffer::empty(outer);
                Timeline { from, to, times: &times, marks: &marks }.draw(area, &mut buf, &Theme::default());
                buf
            };
            let buf = draw();
            prop_assert_eq!(&buf, &draw());
            for y in 0..3 {
                for x in 0..130 {
                    prop_assert!(area.contains((x, y).into()) || buf[(x, y)].symbol() == " ");
                }
            }
        }
    }
}
