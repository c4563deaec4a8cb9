//! The graph: several series over time behind an axis, in braille, blocks or ASCII.
//!
//! A series keeps its own hue; the judged one turns warm exactly where it is over a limit. Missing samples leave a gap that no line
//! crosses, and every value of a column leaves its dot, so that a spike stays visible. What stands under the plot is [`timeline`]'s.

pub mod scale;
pub mod timeline;

use std::cmp::Ordering;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::ui::theme::{Glyphs, Theme};
use scale::{Range, Unit};

pub use scale::Scale;

/// One value at one moment (milliseconds since the epoch).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When.
    pub at: i64,
    /// What; a value that is not finite is a gap.
    pub value: f64,
}

/// One line of a graph.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    /// Its name, for monochrome.
    pub name: &'a str,
    /// Its hue.
    pub style: Style,
    /// Its mark in ASCII: `*`, `+`, `.`, `:`.
    pub mark: char,
    /// Its values, in any order.
    pub points: &'a [Point],
    /// Whether it turns warm over the limits.
    pub judged: bool,
    /// Whether it is filled to the bottom: shares and counts of trouble.
    pub filled: bool,
}

/// What to draw.
#[derive(Debug, Clone)]
pub struct Graph<'a> {
    /// From the least to the most important: in a shared cell the later one's hue wins.
    pub series: Vec<Series<'a>>,
    /// The warning limit.
    pub warning: Option<f64>,
    /// The critical limit.
    pub critical: Option<f64>,
    /// How values map to rows.
    pub scale: Scale,
    /// How they are written on the axis.
    pub unit: Unit,
    /// The left edge, milliseconds since the epoch.
    pub from: i64,
    /// The right edge.
    pub to: i64,
    /// Neighbours further apart than this, in milliseconds, are not joined.
    pub joined: i64,
    /// Moments at which nothing was measured because it was seen to fail.
    pub failures: &'a [i64],
    /// Cells for the labels before the axis: 6, in a grid 4.
    pub labels: u16,
}

/// The dots of a braille cell by column and row from the top.
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
const EIGHTHS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];

/// What the cells of the plot hold: dots (or the one mark), and whose style.
struct Canvas {
    width: usize,
    height: usize,
    cells: Vec<(u8, char, Style)>,
}

impl Canvas {
    fn cell(&mut self, x: usize, y: usize) -> Option<&mut (u8, char, Style)> {
        if x >= self.width {
            return None;
        }
        self.cells.get_mut(y * self.width + x)
    }
}

impl Graph<'_> {
    /// Draws into `area` and returns where the plot stands in it (for the time axis below); never outside `area`.
    pub fn draw(&self, area: Rect, buf: &mut Buffer, theme: &Theme) -> Rect {
        let area = area.intersection(buf.area);
        let labels = if area.width > self.labels + 8 { self.labels } else { 0 };
        let axis = u16::from(area.width > 1);
        let plot = Rect { x: area.x + labels + axis, width: area.width - labels - axis, ..area };
        if plot.is_empty() {
            return plot;
        }
        let range = self.range();
        self.axis(area, plot, labels, &range, buf, theme);
        let mut canvas = Canvas {
            width: usize::from(plot.width),
            height: usize::from(plot.height),
            cells: vec![(0, ' ', Style::new()); usize::from(plot.width) * usize::from(plot.height)],
        };
        let mut ends = Vec::new();
        for series in &self.series {
            if let Some(row) = self.line(series, &range, &mut canvas, theme) {
                ends.push((row, series));
            }
        }
        for y in 0..plot.height {
            for x in 0..plot.width {
                let Some((bits, mark, style)) = canvas.cell(usize::from(x), usize::from(y)).copied() else { continue };
                let symbol = if bits == 0 { mark } else { char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ') };
                if symbol != ' ' {
                    buf[(plot.x + x, plot.y + y)].set_char(symbol).set_style(style);
                }
            }
        }
        self.crosses(plot, &mut canvas, buf, theme);
        if theme.mono && theme.glyphs != Glyphs::Ascii {
            names(plot, &ends, buf);
        }
        plot
    }

    fn range(&self) -> Range {
        let values = self.series.iter().flat_map(|series| series.points).filter(|point| self.place(point.at, 1).is_some()).map(|point| point.value);
        Range::of(self.scale, values, self.warning, self.critical)
    }

    /// The column of a moment among `columns`; `None` outside the range.
    fn place(&self, at: i64, columns: usize) -> Option<usize> {
        timeline::column(at, self.from, self.to, columns)
    }

    fn axis(&self, area: Rect, plot: Rect, labels: u16, range: &Range, buf: &mut Buffer, theme: &Theme) {
        let ascii = theme.glyphs == Glyphs::Ascii;
        let rows = plot.height;
        if plot.x > area.x {
            for y in plot.y..plot.bottom() {
                buf[(plot.x - 1, y)].set_char(if ascii { '|' } else { '│' }).set_style(theme.faint);
            }
        }
        let mut taken = vec![false; usize::from(rows)];
        let mut label = |row: u16, text: &str, style: Style, buf: &mut Buffer| {
            let width = text.chars().count();
            if width <= usize::from(labels) && !std::mem::replace(&mut taken[usize::from(row)], true) {
                buf.set_string(area.x + labels - width as u16, plot.y + row, text, style);
            }
        };
        // The critical limit first: where both stand in one row, it is the one that shows.
        let mut lines = vec![false; usize::from(rows)];
        for (limit, style) in [(self.critical, theme.crit), (self.warning, theme.warn)] {
            let Some((limit, row)) = limit.and_then(|limit| range.row(limit, rows).map(|row| (limit, row))) else { continue };
            if std::mem::replace(&mut lines[usize::from(row)], true) {
                continue;
            }
            for x in plot.x..plot.right() {
                buf[(x, plot.y + row)].set_char(if ascii { '-' } else { '┈' }).set_style(style);
            }
            let text = self.unit.limit(limit, usize::from(labels));
            label(row, &text, style.add_modifier(Modifier::BOLD), buf);
        }
        for tick in range.ticks(rows) {
            if let Some(row) = range.row(tick, rows) {
                label(row, &self.unit.tick(tick), theme.dim, buf);
            }
        }
    }

    /// Draws one series; returns the row in which it ends.
    fn line(&self, series: &Series<'_>, range: &Range, canvas: &mut Canvas, theme: &Theme) -> Option<usize> {
        let (across, down) = match theme.glyphs {
            Glyphs::Braille => (2, 4),
            Glyphs::Block => (1, 7),
            Glyphs::Ascii => (1, 1),
        };
        let columns = canvas.width * across;
        let dots = canvas.height * down;
        let mut points: Vec<(usize, usize, i64)> = series
            .points
            .iter()
            .filter(|point| point.value.is_finite())
            .filter_map(|point| Some((self.place(point.at, columns)?, range.dot(point.value, dots), point.at)))
            .collect();
        points.sort_by_key(|point| point.2);
        let over = |limit: Option<f64>| limit.map_or(usize::MAX, |limit| range.dot(limit, dots));
        let (warning, critical) = if series.judged { (over(self.warning), over(self.critical)) } else { (usize::MAX, usize::MAX) };
        // Dots count from the bottom; a dot is over a limit when it stands above the limit's own.
        let style = |dot: usize| {
            if dot > critical {
                theme.crit
            } else if dot > warning {
                theme.warn
            } else {
                series.style
            }
        };
        let mut put = |column: usize, low: usize, high: usize| {
            let low = if series.filled { 0 } else { low };
            match theme.glyphs {
                Glyphs::Braille => {
                    for dot in low..=high {
                        let from_top = dots - 1 - dot.min(dots - 1);
                        if let Some(cell) = canvas.cell(column / 2, from_top / 4) {
                            cell.0 |= DOTS[column % 2][from_top % 4];
                            cell.2 = style(dot);
                        }
                    }
                }
                // One value a column, the highest: what stands lower in it is drawn over by what comes later.
                Glyphs::Block => {
                    let row = canvas.height - 1 - (high / 7).min(canvas.height - 1);
                    if series.filled {
                        for y in row + 1..canvas.height {
                            let dot = (canvas.height - 1 - y) * 7 + 6;
                            if let Some(cell) = canvas.cell(column, y) {
                                *cell = (0, '█', style(dot));
                            }
                        }
                    }
                    if let Some(cell) = canvas.cell(column, row) {
                        *cell = (0, EIGHTHS[high % 7], style(high));
                    }
                }
                Glyphs::Ascii => {
                    for dot in if series.filled { low } else { high }..=high {
                        let row = canvas.height - 1 - dot.min(canvas.height - 1);
                        if let Some(cell) = canvas.cell(column, row) {
                            *cell = (0, series.mark, style(dot));
                        }
                    }
                }
            }
        };
        let mut highest: Option<(usize, usize)> = None;
        let mut before: Option<(usize, usize, i64)> = None;
        for (column, dot, at) in points.iter().copied() {
            // Without braille a column shows one value: the highest seen in it.
            let top = match highest {
                Some((same, top)) if same == column => top.max(dot),
                _ => dot,
            };
            highest = Some((column, top));
            match before {
                Some((last_column, last_dot, last_at)) if at.saturating_sub(last_at) <= self.joined => {
                    if last_column == column {
                        let high = if theme.glyphs == Glyphs::Braille { last_dot.max(dot) } else { top };
                        put(column, last_dot.min(dot), high);
                    } else {
                        let mut previous = last_dot;
                        for between in last_column + 1..=column {
                            let share = (between - last_column) as f64 / (column - last_column) as f64;
                            let y = (last_dot as f64 + (dot as f64 - last_dot as f64) * share).round() as usize;
                            // The upright stroke stands in the new column and touches the old one.
                            let (low, high) = match y.cmp(&previous) {
                                Ordering::Greater => (previous + 1, y),
                                Ordering::Less => (y, previous - 1),
                                Ordering::Equal => (y, y),
                            };
                            put(between, low, if theme.glyphs == Glyphs::Braille { high } else { y });
                            previous = y;
                        }
                    }
                }
                _ => put(column, dot, top),
            }
            before = Some((column, dot, at));
        }
        points.last().map(|(_, dot, _)| canvas.height - 1 - (dot / down).min(canvas.height - 1))
    }

    /// A failure in a column where nothing was measured: `×` at the bottom.
    fn crosses(&self, plot: Rect, canvas: &mut Canvas, buf: &mut Buffer, theme: &Theme) {
        for at in self.failures {
            let Some(column) = self.place(*at, canvas.width) else { continue };
            if (0..canvas.height).all(|y| canvas.cell(column, y).is_none_or(|cell| cell.0 == 0 && cell.1 == ' ')) {
                let cell = &mut buf[(plot.x + column as u16, plot.bottom() - 1)];
                cell.set_char(if theme.glyphs == Glyphs::Ascii { 'x' } else { '×' }).set_style(theme.crit.add_modifier(Modifier::BOLD));
            }
        }
    }
}

/// Each line's name over its last three cells; where two end in one row, the less important one moves to the nearest free row.
fn names(plot: Rect, ends: &[(usize, &Series<'_>)], buf: &mut Buffer) {
    let height = usize::from(plot.height);
    let mut taken = vec![false; height];
    for (row, series) in ends.iter().rev() {
        let name: String = series.name.chars().take(3).collect();
        let width = name.chars().count() as u16;
        let Some(row) = (0..height).filter(|y| !taken[*y]).min_by_key(|y| y.abs_diff(*row)) else { return };
        if width <= plot.width {
            taken[row] = true;
            buf.set_string(plot.right() - width, plot.y + row as u16, name, series.style.add_modifier(Modifier::BOLD));
        }
    }
}

#[cfg(test)]
mod tests;
