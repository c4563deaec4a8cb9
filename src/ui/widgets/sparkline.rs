//! The sparkline of a row: one cell a bucket, never the full height, so that rows do not grow together.

use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use crate::ui::theme::{Glyphs, Theme};

/// What a bucket of time holds: the worst of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Bucket {
    /// Nothing was seen.
    #[default]
    Gap,
    /// Seen to fail.
    Failed,
    /// The worst value.
    Value(f64),
}

impl Bucket {
    /// The worse of two: a failure, else the higher value.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Failed, _) | (_, Self::Failed) => Self::Failed,
            (Self::Gap, rest) | (rest, Self::Gap) => rest,
            (Self::Value(a), Self::Value(b)) => Self::Value(if a.is_nan() { b } else { a.max(b) }),
        }
    }
}

/// What the height means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Height {
    /// Half of it is the warning limit, so that rows compare; without a limit, half of it is twice the own median.
    Latency {
        /// Over this a cell is warm.
        warning: Option<f64>,
        /// Over this it is critical.
        critical: Option<f64>,
    },
    /// From nothing to the own maximum: counts.
    Counts,
    /// From half to one and a half times the own median: sizes, of which a small one is bad.
    Sizes,
}

/// `▁`…`▇`.
const BLOCKS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];

fn finite(buckets: &[Bucket]) -> Vec<f64> {
    buckets.iter().filter_map(|bucket| if let Bucket::Value(value) = bucket { Some(*value) } else { None }).filter(|value| value.is_finite()).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// 1 to 7 for a share of the whole height; what is not a number has the least.
fn level(share: f64) -> usize {
    if share.is_nan() { 1 } else { ((share * 7.0).ceil().clamp(1.0, 7.0)) as usize }
}

/// 1 to 3 up to the limit, 4 to 7 over it: the shape alone tells the side.
fn level_by_limit(value: f64, limit: f64) -> usize {
    if limit <= 0.0 || value.is_nan() {
        1
    } else if value <= limit {
        ((value / limit * 3.0).ceil().clamp(1.0, 3.0)) as usize
    } else {
        3 + (((value - limit) / limit * 4.0).ceil().clamp(1.0, 4.0)) as usize
    }
}

/// One span for each run of cells of one style; the width is that of `buckets`. `calm` draws all values in this style, unjudged
/// (stale rows, the calm wall).
#[must_use]
pub fn spans(buckets: &[Bucket], height: Height, calm: Option<Style>, theme: &Theme) -> Vec<Span<'static>> {
    let values = finite(buckets);
    let (stand_in, maximum) = match height {
        Height::Latency { warning: Some(limit), .. } => (limit, 0.0),
        Height::Latency { warning: None, .. } => (median(values) * 2.0, 0.0),
        Height::Counts => (0.0, values.into_iter().fold(0.0, f64::max)),
        Height::Sizes => (median(values), 0.0),
    };
    let mut runs: Vec<(String, Style)> = Vec::new();
    for bucket in buckets {
        let (cell, style) = match *bucket {
            Bucket::Gap => (' ', theme.text),
            Bucket::Failed => (if theme.glyphs == Glyphs::Ascii { 'x' } else { '×' }, theme.crit.add_modifier(Modifier::BOLD)),
            Bucket::Value(value) => {
                let (level, style) = match height {
                    Height::Latency { warning, critical } => {
                        let over = |limit: Option<f64>| limit.is_some_and(|limit| value > limit);
                        let style = if over(critical) {
                            theme.crit
                        } else if over(warning) {
                            theme.warn
                        } else {
                            theme.graph1
                        };
                        (level_by_limit(value, stand_in), style)
                    }
                    Height::Counts => (level(if maximum > 0.0 { value / maximum } else { 0.0 }), theme.graph1),
                    Height::Sizes => (level(if stand_in > 0.0 { value / stand_in - 0.5 } else { 0.0 }), theme.graph1),
                };
                (glyph(level, height, theme.glyphs), calm.unwrap_or(style))
            }
        };
        match runs.last_mut() {
            Some((text, last)) if *last == style => text.push(cell),
            _ => runs.push((cell.to_string(), style)),
        }
    }
    runs.into_iter().map(|(text, style)| Span::styled(text, style)).collect()
}

fn glyph(level: usize, height: Height, glyphs: Glyphs) -> char {
    let level = level.clamp(1, 7);
    if glyphs != Glyphs::Ascii {
        return BLOCKS[level - 1];
    }
    match (height, level) {
        (_, 1) | (Height::Latency { .. }, 2) => '_',
        (_, 2 | 3) => '-',
        (_, 4..=5) => '=',
        _ => '#',
    }
}

/// Sorts moments (milliseconds) with their bucket into `width` equal buckets from `from` to `to`, keeping the worst of each.
/// What lies outside is left out; an empty or backward range gives gaps.
#[must_use]
pub fn buckets(points: impl IntoIterator<Item = (i64, Bucket)>, from: i64, to: i64, width: usize) -> Vec<Bucket> {
    let mut cells = vec![Bucket::Gap; width];
    let span = i128::from(to) - i128::from(from);
    if span <= 0 {
        return cells;
    }
    for (at, bucket) in points {
        let offset = i128::from(at) - i128::from(from);
        if offset < 0 || offset > span {
            continue;
        }
        let place = usize::try_from(offset * width as i128 / span).unwrap_or(0).min(width.saturating_sub(1));
        if let Some(cell) = cells.get_mut(place) {
            *cell = cell.worse(bucket);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::style::Color;

    use super::*;

    fn theme() -> Theme {
        Theme { graph1: Style::new().fg(Color::Cyan), warn: Style::new().fg(Color::Yellow), crit: Style::new().fg(Color::Red), ..Theme::default() }
    }

    fn text(spans: &[Span<'_>]) -> String {
        spans.iter().map(|span| span.content.as_ref()).collect()
    }

    fn values(values: &[f64]) -> Vec<Bucket> {
        values.iter().map(|value| Bucket::Value(*value)).collect()
    }

    const LIMITS: Height = Height::Latency { warning: Some(500.0), critical: Some(2_000.0) };

    #[test]
    fn half_the_height_is_the_limit() {
        let spans = spans(&values(&[0.0, 100.0, 300.0, 500.0, 501.0, 1_000.0, 2_001.0]), LIMITS, None, &theme());
        assert_eq!(text(&spans), "▁▁▂▃▄▇▇");
        let styles: Vec<Style> = spans.iter().map(|span| span.style).collect();
        assert_eq!(styles, [theme().graph1, theme().warn, theme().crit]);
        let ascii = Theme { glyphs: Glyphs::Ascii, ..theme() };
        assert_eq!(text(&super::spans(&values(&[10.0, 300.0, 500.0, 600.0, 2_001.0]), LIMITS, None, &ascii)), "__-=#");
    }

    #[test]
    fn a_gap_is_blank_and_a_failure_is_a_cross() {
        let cells = [Bucket::Value(1.0), Bucket::Gap, Bucket::Failed, Bucket::Value(f64::NAN)];
        assert_eq!(text(&spans(&cells, LIMITS, None, &theme())), "▁ ×▁");
    }

    #[test]
    fn counts_reach_the_top_and_a_shrunken_size_the_floor() {
        assert_eq!(text(&spans(&values(&[0.0, 5.0, 10.0]), Height::Counts, None, &theme())), "▁▄▇");
        assert_eq!(text(&spans(&values(&[100.0, 100.0, 40.0]), Height::Sizes, None, &theme())), "▄▄▁");
    }

    #[test]
    fn the_worst_of_a_bucket_stays() {
        let points =
            [(0, Bucket::Value(1.0)), (1, Bucket::Value(9.0)), (5, Bucket::Failed), (6, Bucket::Value(1.0)), (99, Bucket::Failed), (-1, Bucket::Failed)];
        assert_eq!(buckets(points, 0, 10, 2), [Bucket::Value(9.0), Bucket::Failed]);
        assert_eq!(buckets(points, 10, 0, 2), [Bucket::Gap; 2]);
        assert!(buckets(points, 0, 10, 0).is_empty());
    }

    proptest! {
        #[test]
        fn any_values_fill_exactly_their_width(input in prop::collection::vec(prop_oneof![Just(Bucket::Gap), Just(Bucket::Failed), any::<f64>().prop_map(Bucket::Value)], 0..80),
            warning in prop::option::of(any::<f64>()), critical in prop::option::of(any::<f64>()), kind in 0..3, glyphs in prop_oneof![Just(Glyphs::Ascii), Just(Glyphs::Braille)]) {
            let height = match kind { 0 => Height::Latency { warning, critical }, 1 => Height::Counts, _ => Height::Sizes };
            let text = text(&spans(&input, height, None, &Theme { glyphs, ..theme() }));
            prop_assert_eq!(text.chars().count(), input.len());
            prop_assert!(!text.contains('█'));
        }

        #[test]
        fn any_moments_are_sorted_in(points in prop::collection::vec((any::<i64>(), any::<f64>().prop_map(Bucket::Value)), 0..50), from in any::<i64>(), to in any::<i64>(), width in 0usize..300) {
            prop_assert_eq!(buckets(points, from, to, width).len(), width);
        }
    }
}
