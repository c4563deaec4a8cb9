//! From values to rows, and the round numbers on the axis.

/// How values map to rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Logarithmic: latency.
    Log,
    /// Linear from nothing: shares and counts.
    Zero,
    /// Linear from this floor, which the title says: sizes.
    Floor(f64),
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds: `200`, `2 s`; limits `500 ms`.
    Millis,
    /// Percent: `2.5`; limits `1.0 %`.
    Percent,
    /// A plain number.
    Count,
}

/// At most two decimals, none that are nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Unit {
    /// A tick: without a unit where the page says it.
    #[must_use]
    pub fn tick(self, value: f64) -> String {
        match self {
            Self::Millis if value >= 60_000.0 => format!("{} m", short(value / 60_000.0)),
            Self::Millis if value >= 1_000.0 => format!("{} s", short(value / 1_000.0)),
            Self::Count if value >= 1e6 => format!("{} M", short(value / 1e6)),
            Self::Count if value >= 1e4 => format!("{} k", short(value / 1e3)),
            _ => short(value),
        }
    }

    /// A limit: with its unit where `width` cells allow.
    #[must_use]
    pub fn limit(self, value: f64, width: usize) -> String {
        let with = match self {
            Self::Millis if value < 1_000.0 => format!("{} ms", short(value)),
            Self::Percent if value < 10.0 => format!("{value:.1} %"),
            Self::Percent => format!("{} %", short(value)),
            _ => self.tick(value),
        };
        if with.chars().count() <= width { with } else { self.tick(value) }
    }
}

/// The lowest and the highest value of a plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    low: f64,
    high: f64,
    log: bool,
}

/// The next round number (1, 2, 5 times a power of ten) that is not above `value`.
fn round_below(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|step| step * decade).find(|round| *round <= value * 1.000_001).unwrap_or(decade)
}

/// The next number fit for the top of an axis that is not below `value`.
fn round_above(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0].into_iter().map(|step| step * decade).find(|round| *round >= value * 0.999_999).unwrap_or(decade * 10.0)
}

/// Values beyond these are drawn at the edge.
const SMALLEST: f64 = 1e-3;
const LARGEST: f64 = 1e12;

impl Range {
    /// The range that holds the values and the limits. On a linear scale a limit far above all values (over four times) is left out, so
    /// that the values keep their shape; on a logarithmic one both are always in the picture.
    #[must_use]
    pub fn of(scale: Scale, values: impl Iterator<Item = f64>, warning: Option<f64>, critical: Option<f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0f64);
        for value in values.filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        let limits = [warning, critical].into_iter().flatten().filter(|limit| limit.is_finite() && *limit > 0.0);
        match scale {
            Scale::Log => {
                for limit in limits {
                    low = low.min(limit);
                    high = high.max(limit);
                }
                if !low.is_finite() {
                    (low, high) = (10.0, 1_000.0);
                }
                let low = round_below(low.clamp(SMALLEST, LARGEST));
                Self { low, high: high.clamp(low * 4.0, LARGEST * 10.0), log: true }
            }
            Scale::Zero | Scale::Floor(_) => {
                let floor = if let Scale::Floor(floor) = scale { floor } else { 0.0 };
                let floor = if floor.is_finite() { floor.clamp(-LARGEST, LARGEST) } else { 0.0 };
                for limit in limits {
                    if limit <= high * 4.0 || high <= 0.0 {
                        high = high.max(limit);
                    }
                }
                let span = (high - floor).clamp(SMALLEST, LARGEST);
                Self { low: floor, high: floor + round_above(span), log: false }
            }
        }
    }

    /// 0 at the bottom, 1 at the top; what is beyond is at the edge.
    fn share(&self, value: f64) -> f64 {
        let share = if self.log { (value.max(self.low) / self.low).ln() / (self.high / self.low).ln() } else { (value - self.low) / (self.high - self.low) };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// The dot of a value among `dots`, counted from the bottom.
    #[must_use]
    pub fn dot(&self, value: f64, dots: usize) -> usize {
        ((self.share(value) * dots.saturating_sub(1) as f64).round() as usize).min(dots.saturating_sub(1))
    }

    /// The row of a value among `rows`, counted from the top; `None` for one that is outside.
    #[must_use]
    pub fn row(&self, value: f64, rows: u16) -> Option<u16> {
        if rows == 0 || value.is_nan() || value > self.high * 1.000_001 || value < self.low - self.low.abs() * 0.000_001 {
            return None;
        }
        // By the dots of braille, so that a limit stands in the row in which a value of that size would.
        let dot = self.dot(value, usize::from(rows) * 4) as u16;
        Some(rows - 1 - (dot / 4).min(rows - 1))
    }

    /// Round numbers for the axis, most important first: the ends, then what lies between where there are rows for it.
    #[must_use]
    pub fn ticks(&self, rows: u16) -> Vec<f64> {
        if !self.log {
            let mut ticks = vec![self.low, self.high];
            if rows >= 5 {
                ticks.push(f64::midpoint(self.low, self.high));
            }
            return ticks;
        }
        let mut all = Vec::new();
        let mut decade = 10f64.powf(self.low.log10().floor());
        while decade <= self.high {
            all.extend([1.0, 2.0, 5.0].into_iter().map(|step| step * decade).filter(|tick| *tick >= self.low * 0.999_999 && *tick <= self.high * 1.000_001));
            decade *= 10.0;
        }
        let mut ticks: Vec<f64> = all.first().copied().into_iter().chain(all.last().copied()).collect();
        if rows >= 8 {
            ticks.extend(all.iter().skip(1));
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_are_round_and_short() {
        for (value, text) in [(50.0, "50"), (0.5, "0.5"), (1_000.0, "1 s"), (1_750.0, "1.75 s"), (120_000.0, "2 m")] {
            assert_eq!(Unit::Millis.tick(value), text);
        }
        assert_eq!(Unit::Millis.limit(500.0, 6), "500 ms");
        assert_eq!(Unit::Millis.limit(500.0, 4), "500");
        assert_eq!(Unit::Percent.limit(1.0, 6), "1.0 %");
        assert_eq!(Unit::Count.tick(18_000.0), "18 k");
    }

    #[test]
    fn a_latency_axis_begins_at_a_round_number_and_holds_the_limits() {
        let range = Range::of(Scale::Log, [62.0, 310.0].into_iter(), Some(500.0), Some(2_000.0));
        assert_eq!((range.low, range.high), (50.0, 2_000.0));
        assert_eq!(range.row(2_000.0, 6), Some(0));
        assert_eq!(range.row(50.0, 6), Some(5));
        assert_eq!(range.row(2_100.0, 6), None);
    }

    #[test]
    fn a_share_starts_at_nothing_and_a_far_limit_stays_away() {
        let range = Range::of(Scale::Zero, [0.2, 3.1].into_iter(), Some(1.0), Some(50.0));
        assert_eq!((range.low, range.high), (0.0, 4.0));
        assert_eq!(range.row(50.0, 4), None);
        assert_eq!(range.ticks(5), [0.0, 4.0, 2.0]);
    }

    proptest! {
        #[test]
        fn any_value_has_a_row_in_the_plot(values in prop::collection::vec(any::<f64>(), 0..20), warning in prop::option::of(any::<f64>()), rows in 0u16..80, kind in 0..3, floor in any::<f64>()) {
            let scale = match kind { 0 => Scale::Log, 1 => Scale::Zero, _ => Scale::Floor(floor) };
            let range = Range::of(scale, values.iter().copied(), warning, None);
            for value in values.iter().copied().chain(warning) {
                prop_assert!(range.row(value, rows).is_none_or(|row| row < rows));
                prop_assert!(range.dot(value, usize::from(rows)) <= usize::from(rows.saturating_sub(1)));
            }
            for tick in range.ticks(rows) {
                prop_assert!(tick.is_finite());
            }
        }
    }
}
