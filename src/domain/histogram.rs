//! A mergeable histogram of latencies: percentiles are read from merged counts, never averaged.
//!
//! Logarithmic buckets of a constant relative width of 2 %, so that a percentile read back is within 1 % of a value
//! that was put in. Only buckets that hold something are kept.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Relative width of a bucket.
const GAMMA: f64 = 1.02;
/// The smallest value told apart, in whatever unit the caller uses.
const FLOOR: f64 = 0.001;

/// Counts by logarithmic bucket, sorted, sparse.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram {
    buckets: Vec<(u16, u32)>,
}

impl Histogram {
    fn index(value: f64) -> u16 {
        if value.is_nan() || value <= FLOOR {
            return 0;
        }
        let index = (value / FLOOR).ln() / GAMMA.ln();
        // A float-to-int cast saturates, which is the wanted behaviour for absurd values.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating by language rule")]
        let index = index.floor() as u16;
        index.saturating_add(1)
    }

    fn value(index: u16) -> f64 {
        if index == 0 { FLOOR } else { FLOOR * GAMMA.powf(f64::from(index) - 0.5) }
    }

    /// Counts one value. Negative values and NaN count as the smallest.
    pub fn add(&mut self, value: f64) {
        self.add_bucket(Self::index(value), 1);
    }

    fn add_bucket(&mut self, index: u16, count: u32) {
        match self.buckets.binary_search_by_key(&index, |(i, _)| *i) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
            Err(at) => self.buckets.insert(at, (index, count)),
        }
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        // Side by side, since both are sorted: inserting one by one would move the rest each time.
        let mut joined = Vec::with_capacity(self.buckets.len() + other.buckets.len());
        let (mut left, mut right) = (self.buckets.as_slice(), other.buckets.as_slice());
        while let (Some(a), Some(b)) = (left.first(), right.first()) {
            match a.0.cmp(&b.0) {
                Ordering::Less => {
                    joined.push(*a);
                    left = &left[1..];
                }
                Ordering::Greater => {
                    joined.push(*b);
                    right = &right[1..];
                }
                Ordering::Equal => {
                    joined.push((a.0, a.1.saturating_add(b.1)));
                    (left, right) = (&left[1..], &right[1..]);
                }
            }
        }
        joined.extend_from_slice(left);
        joined.extend_from_slice(right);
        self.buckets = joined;
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, n)| u64::from(*n)).sum()
    }

    /// The value below which the share `q` (0 to 1) of all values lies, by nearest rank; `None` when empty.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, n) in &self.buckets {
            seen += u64::from(*n);
            if seen >= rank {
                return Some(Self::value(*index));
            }
        }
        None
    }

    /// Sorted buckets (index, count): the stored form.
    #[must_use]
    pub fn buckets(&self) -> &[(u16, u32)] {
        &self.buckets
    }

    /// From stored buckets; sorts and joins, so that a damaged form cannot break the order.
    #[must_use]
    pub fn from_buckets(buckets: impl IntoIterator<Item = (u16, u32)>) -> Self {
        let mut histogram = Self::default();
        for (index, count) in buckets {
            // In the order in which they were stored this is an append.
            if histogram.buckets.last().is_none_or(|(last, _)| *last < index) {
                histogram.buckets.push((index, count));
            } else {
                histogram.add_bucket(index, count);
            }
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_histogram_has_no_percentile() {
        assert_eq!(Histogram::default().quantile(0.95), None);
    }

    proptest! {
        #[test]
        fn a_percentile_is_within_one_percent_of_the_exact_one(mut values in prop::collection::vec(0.1f64..100_000.0, 1..300), q in 0.0f64..=1.0) {
            let mut histogram = Histogram::default();
            for value in &values {
                histogram.add(*value);
            }
            values.sort_by(f64::total_cmp);
            let rank = ((q * values.len() as f64).ceil() as usize).max(1) - 1;
            let exact = values[rank];
            let read = histogram.quantile(q).unwrap();
            prop_assert!((read - exact).abs() <= exact * 0.0101, "{read} {exact}");
        }

        #[test]
        fn merging_is_the_same_as_counting_together(a in prop::collection::vec(0.0f64..1e6, 0..100), b in prop::collection::vec(0.0f64..1e6, 0..100)) {
            let (mut left, mut right, mut both) = (Histogram::default(), Histogram::default(), Histogram::default());
            for v in &a { left.add(*v); both.add(*v); }
            for v in &b { right.add(*v); both.add(*v); }
            left.merge(&right);
            prop_assert_eq!(left, both);
        }
    }
}
