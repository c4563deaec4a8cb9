//! A stacked row: the parts of one whole side by side, each at least one cell.

use ratatui::style::Style;
use ratatui::text::Span;

use crate::ui::theme::{Glyphs, Theme};

/// How many cells of `width` each part gets: in proportion, at least one, in all exactly `width`. Parts that are nothing, negative or
/// not a number count as nothing but keep their cell; where there are more parts than cells the last ones get none.
#[must_use]
pub fn widths(parts: &[f64], width: usize) -> Vec<usize> {
    let parts: Vec<f64> = parts.iter().map(|part| if part.is_finite() { part.max(0.0) } else { 0.0 }).collect();
    let most = parts.iter().copied().fold(0.0, f64::max);
    // Scaled by the largest first, so that a sum of huge parts stays finite.
    let sum: f64 = if most > 0.0 { parts.iter().map(|part| part / most).sum() } else { 0.0 };
    let mut cells: Vec<usize> = (0..parts.len()).map(|place| usize::from(place < width)).collect();
    let spare = width.saturating_sub(parts.len());
    if sum <= 0.0 {
        if let Some(last) = cells.last_mut() {
            *last += spare;
        }
        return cells;
    }
    let mut given = 0;
    for (cell, part) in cells.iter_mut().zip(&parts) {
        let more = ((part / most / sum * spare as f64) as usize).min(spare - given);
        *cell += more;
        given += more;
    }
    // What rounding left goes to the longest part, where it shows least.
    if let Some(longest) = (0..parts.len()).max_by(|a, b| parts[*a].total_cmp(&parts[*b])) {
        cells[longest] += spare - given;
    }
    cells
}

/// The style of the part at this place: `graph4 graph3 graph2 graph1 graph4`, over and over.
#[must_use]
pub fn style(place: usize, theme: &Theme) -> Style {
    [theme.graph4, theme.graph3, theme.graph2, theme.graph1, theme.graph4][place % 5]
}

/// The row, `width` cells wide, of parts with their styles. In monochrome the fills are `█` for the longest, then `▓ ░` in turn, so that parts are told apart.
#[must_use]
pub fn spans(parts: &[(f64, Style)], width: usize, theme: &Theme) -> Vec<Span<'static>> {
    let values: Vec<f64> = parts.iter().map(|(value, _)| *value).collect();
    let longest = (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]));
    widths(&values, width)
        .into_iter()
        .zip(parts)
        .enumerate()
        .filter(|(_, (cells, _))| *cells > 0)
        .map(|(place, (cells, (_, style)))| {
            let fill = match theme.glyphs {
                Glyphs::Ascii if Some(place) == longest => "=",
                Glyphs::Ascii => [":", "-"][place % 2],
                _ if theme.mono && Some(place) == longest => "█",
                _ if theme.mono => ["▓", "░"][place % 2],
                _ => "▆",
            };
            Span::styled(fill.repeat(cells), *style)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_part_has_a_cell_and_the_longest_the_rest() {
        assert_eq!(widths(&[0.2, 1.1, 9.8, 199.6, 1.3], 46), [1, 1, 2, 41, 1]);
        assert_eq!(widths(&[1.0, 1.0], 1), [1, 0]);
        assert_eq!(widths(&[0.0, f64::NAN], 6), [1, 5]);
        assert!(widths(&[], 6).is_empty());
    }

    proptest! {
        #[test]
        fn any_parts_fill_the_row(parts in prop::collection::vec(any::<f64>(), 1..8), width in 0usize..200) {
            let cells = widths(&parts, width);
            prop_assert_eq!(cells.iter().sum::<usize>(), width);
            let styled: Vec<(f64, Style)> = parts.iter().map(|part| (*part, Style::new())).collect();
            let text: String = spans(&styled, width, &Theme::default()).iter().map(|span| span.content.as_ref()).collect();
            prop_assert_eq!(text.chars().count(), width);
        }
    }
}
