//! The histogram of log lines by level: columns of eighths, errors at the bottom, then warnings, then the rest.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::graph::timeline;
use crate::ui::theme::{Glyphs, Theme};

/// The lines of one column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Column {
    /// Errors and worse.
    pub errors: u64,
    /// Warnings.
    pub warnings: u64,
    /// All else.
    pub rest: u64,
}

impl Column {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.errors.saturating_add(self.warnings).saturating_add(self.rest)
    }

    fn highest(self, other: Self) -> Self {
        Self { errors: self.errors.max(other.errors), warnings: self.warnings.max(other.warnings), rest: self.rest.max(other.rest) }
    }
}

/// Spreads counts by minute (start in epoch seconds; indexed by level, lowest first) over `width` columns from `from` to `to` (epoch
/// seconds). A minute wider than a column fills several, so that heights stay lines a minute; a column wider than a minute shows the
/// highest in it.
#[must_use]
pub fn columns(minutes: &BTreeMap<i64, [u64; 5]>, from: i64, to: i64, width: usize) -> Vec<Column> {
    let span = i128::from(to) - i128::from(from);
    let mut columns = vec![Column::default(); width];
    if span <= 0 || width == 0 {
        return columns;
    }
    let edge = |column: usize| i128::from(from) + span * column as i128 / width as i128;
    let minute = |moment: i128| i64::try_from(moment).map_or(i64::MAX, |moment| moment.div_euclid(60).saturating_mul(60));
    for (place, column) in columns.iter_mut().enumerate() {
        // The last moment of a column is not of it, unless it has only that one.
        let (first, last) = (minute(edge(place)), minute((edge(place + 1) - 1).max(edge(place))));
        for (_, [debug, info, warning, error, critical]) in minutes.range(first..=last.max(first)) {
            let here = Column { errors: error.saturating_add(*critical), warnings: *warning, rest: debug.saturating_add(*info) };
            *column = column.highest(here);
        }
    }
    columns
}

/// What to draw.
#[derive(Debug, Clone, Copy)]
pub struct Histogram<'a> {
    /// One for each cell of the plot's width; more are left out.
    pub columns: &'a [Column],
    /// The column of the selected line, if it has one.
    pub cursor: Option<usize>,
    /// Cells for the labels before the axis.
    pub labels: u16,
}

const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl Histogram<'_> {
    /// How wide the plot in an area of this width is: what to give [`columns`].
    #[must_use]
    pub fn plot_width(width: u16, labels: u16) -> u16 {
        width.saturating_sub(Self::left(width, labels))
    }

    /// Labels, axis: what stands left of the plot.
    fn left(width: u16, labels: u16) -> u16 {
        if width > labels + 8 { labels + 1 } else { u16::from(width > 1) }
    }

    /// Draws into `area` and returns where the plot stands in it; never outside `area`.
    pub fn draw(&self, area: Rect, buf: &mut Buffer, theme: &Theme) -> Rect {
        let area = area.intersection(buf.area);
        let left = Self::left(area.width, self.labels);
        let plot = Rect { x: area.x + left, width: area.width - left, ..area };
        if plot.is_empty() {
            return plot;
        }
        let ascii = theme.glyphs == Glyphs::Ascii;
        let highest = self.columns.iter().take(usize::from(plot.width)).map(Column::total).max().unwrap_or(0);
        if left > 0 {
            for y in plot.y..plot.bottom() {
                buf[(plot.x - 1, y)].set_char(if ascii { '|' } else { '│' }).set_style(theme.faint);
            }
        }
        if left > 1 {
            let mut label = |y: u16, value: u64| {
                let text = super::graph::scale::Unit::Count.tick(value as f64);
                let room = left - 2;
                if text.len() <= usize::from(room) {
                    buf.set_string(area.x + room - text.len() as u16, y, text, theme.dim);
                }
            };
            if plot.height > 1 {
                label(plot.y, highest);
            }
            label(plot.bottom() - 1, 0);
        }
        for (x, column) in (plot.x..plot.right()).zip(self.columns) {
            for (row, (cell, style)) in cells(column, highest, plot.height, theme).into_iter().enumerate() {
                buf[(x, plot.bottom() - 1 - row as u16)].set_char(cell).set_style(style);
            }
        }
        if let Some(cursor) = self.cursor.filter(|cursor| *cursor < usize::from(plot.width)) {
            let x = plot.x + cursor as u16;
            for y in plot.y..plot.bottom() {
                let cell = &mut buf[(x, y)];
                if cell.symbol() == " " {
                    cell.set_char(if ascii { '|' } else { '│' }).set_style(theme.accent);
                } else if y == plot.y {
                    cell.set_style(theme.accent);
                }
            }
        }
        plot
    }
}

/// The cells of one column from the bottom, as far as they are filled. Whatever has an error has a red cell at its foot.
fn cells(column: &Column, highest: u64, rows: u16, theme: &Theme) -> Vec<(char, Style)> {
    let total = column.total();
    if total == 0 || highest == 0 {
        return Vec::new();
    }
    let eighths = |count: u64| (count as f64 / highest as f64 * f64::from(rows) * 8.0).round() as usize;
    let filled = eighths(total).clamp(1, usize::from(rows) * 8);
    let height = filled.div_ceil(8);
    let red = if column.errors > 0 { eighths(column.errors).div_ceil(8).clamp(1, height) } else { 0 };
    // A cell has one colour: warnings get it where they fill most of it, so that a few among many do not look like many.
    let yellow = ((eighths(column.warnings) + 4) / 8).min(height - red);
    (0..height)
        .filter_map(|row| {
            let part = (filled - row * 8).min(8);
            let (style, solid, ascii) = match row {
                row if row < red => (theme.crit, '█', '#'),
                row if row < red + yellow => (theme.warn, '▓', '='),
                _ => (theme.graph4, '░', ':'),
            };
            let whole = part >= 4 || row == 0;
            match theme.glyphs {
                Glyphs::Ascii => whole.then_some((ascii, style)),
                _ if theme.mono => whole.then_some((solid, style)),
                _ => Some((EIGHTHS[part - 1], style)),
            }
        })
        .collect()
}

/// The column of a moment (epoch seconds) in a plot of this width.
#[must_use]
pub fn column_of(at: i64, from: i64, to: i64, width: u16) -> Option<usize> {
    timeline::column(at, from, to, usize::from(width))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::style::Color;

    use super::*;

    fn theme(glyphs: Glyphs, mono: bool) -> Theme {
        let (crit, warn) = if mono { (Style::new(), Style::new()) } else { (Style::new().fg(Color::Red), Style::new().fg(Color::Yellow)) };
        Theme { warn, crit, glyphs, mono, ..Theme::default() }
    }

    fn drawn(columns: &[Column], width: u16, height: u16, theme: &Theme) -> Buffer {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        Histogram { columns, cursor: None, labels: 6 }.draw(area, &mut buf, theme);
        buf
    }

    fn text(buf: &Buffer) -> Vec<String> {
        (0..buf.area.height).map(|y| (0..buf.area.width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned()).collect()
    }

    fn column(errors: u64, warnings: u64, rest: u64) -> Column {
        Column { errors, warnings, rest }
    }

    #[test]
    fn errors_stand_at_the_foot() {
        let columns = [column(0, 0, 8), column(8, 8, 8), column(1, 0, 23), column(0, 0, 0), column(0, 0, 1)];
        let theme = theme(Glyphs::Braille, false);
        let buf = drawn(&columns, 16, 3, &theme);
        assert_eq!(text(&buf), ["   24 │ ██", "      │ ██", "    0 │███ ▁"]);
        assert_eq!([buf[(8, 2)].fg, buf[(8, 1)].fg, buf[(8, 0)].fg], [Color::Red, Color::Yellow, Color::Reset]);
        // One error among many lines is seen.
        assert_eq!([buf[(9, 2)].fg, buf[(9, 1)].fg], [Color::Red, Color::Reset]);
    }

    #[test]
    fn without_colour_the_fills_tell_the_levels() {
        let columns = [column(8, 8, 8)];
        assert_eq!(text(&drawn(&columns, 16, 3, &theme(Glyphs::Braille, true))), ["   24 │░", "      │▓", "    0 │█"]);
        assert_eq!(text(&drawn(&columns, 16, 3, &theme(Glyphs::Ascii, true))), ["   24 |:", "      |=", "    0 |#"]);
    }

    #[test]
    fn heights_are_lines_a_minute_at_any_width() {
        let minutes = BTreeMap::from([(0, [0, 10, 0, 0, 0]), (60, [0, 20, 1, 0, 2])]);
        assert_eq!(columns(&minutes, 0, 120, 4), [column(0, 0, 10), column(0, 0, 10), column(2, 1, 20), column(2, 1, 20)]);
        assert_eq!(columns(&minutes, 0, 120, 1), [column(2, 1, 20)]);
        assert_eq!(columns(&minutes, 120, 0, 2), [Column::default(); 2]);
    }

    proptest! {
        #[test]
        fn any_counts_stay_inside(counts in prop::collection::vec((any::<u64>(), any::<u64>(), 0u64..100), 0..80), width in 0u16..90, height in 0u16..8, cursor in prop::option::of(0usize..200), mono in any::<bool>()) {
            let columns: Vec<Column> = counts.into_iter().map(|(errors, warnings, rest)| column(errors, warnings, rest)).collect();
            let mut buf = Buffer::empty(Rect::new(0, 0, 96, 12));
            let area = Rect::new(3, 2, width, height);
            Histogram { columns: &columns, cursor, labels: 6 }.draw(area, &mut buf, &theme(Glyphs::Braille, mono));
            for y in 0..12 {
                for x in 0..96 {
                    prop_assert!(area.contains((x, y).into()) || buf[(x, y)].symbol() == " ");
                }
            }
        }

        #[test]
        fn any_minutes_spread(minutes in prop::collection::btree_map(any::<i64>(), any::<[u64; 5]>(), 0..20), from in any::<i64>(), to in any::<i64>(), width in 0usize..100) {
            prop_assert_eq!(columns(&minutes, from, to, width).len(), width);
        }
    }
}
