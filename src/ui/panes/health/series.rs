//! From samples to the figures of the health page: the row sparkline, and percentiles over time for the graph.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::state::HealthState;
use crate::state::world::Bucket as Tier;
use crate::ui::widgets::graph::Point;
use crate::ui::widgets::sparkline::{Bucket, buckets};

/// A percentile is taken of this many intervals at least: of fewer the 95th is nothing but the highest.
const ENOUGH: u32 = 30;
/// Up to this range samples make the graph; beyond it hours and days do.
pub const SAMPLED: Duration = Duration::from_secs(3 * 3_600);
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

/// The last `span` in `width` buckets, worst of each.
#[must_use]
pub fn recent(health: &HealthState, now: Timestamp, span: Duration, width: usize) -> Vec<Bucket> {
    let to = now.timestamp_millis();
    let from = to - i64::try_from(span.as_millis()).unwrap_or(3_600_000);
    let recent = health.samples.iter().rev().take_while(|sample| sample.at.timestamp_millis() >= from - 3_600_000);
    let points = recent.map(|sample| {
        let bucket = match sample.latency_ms {
            _ if sample.failed => Bucket::Failed,
            Some(ms) => Bucket::Value(f64::from(ms)),
            None => Bucket::Failed,
        };
        (sample.at.timestamp_millis(), bucket)
    });
    buckets(points, from, to, width)
}

/// Three lines over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Percentiles {
    /// Median.
    pub p50: Vec<Point>,
    /// 95th percentile.
    pub p95: Vec<Point>,
    /// 99th percentile.
    pub p99: Vec<Point>,
    /// Probes that failed without an answer.
    pub failures: Vec<i64>,
    /// Neighbours further apart than this, in milliseconds, have a gap between them.
    pub joined: i64,
    /// Over how much time each point is taken.
    pub over: Duration,
}

impl Percentiles {
    fn push(&mut self, at: i64, [p50, p95, p99]: [f64; 3]) {
        self.p50.push(Point { at, value: p50 });
        self.p95.push(Point { at, value: p95 });
        self.p99.push(Point { at, value: p99 });
    }
}

/// The lines from `to - range` to `to` at `columns` moments (dots, not cells).
#[must_use]
pub fn percentiles(health: &HealthState, every: Duration, range: Duration, to: Timestamp, columns: usize) -> Percentiles {
    let hours = i64::try_from(range.as_secs()).unwrap_or(i64::MAX).min(400 * DAY_S);
    let from = to.timestamp().saturating_sub(hours);
    if range <= SAMPLED {
        return sampled(health, every, from.saturating_mul(1_000), to.timestamp_millis(), columns);
    }
    if hours <= 2 * DAY_S { tiered(&health.hours, HOUR_S, from, to.timestamp()) } else { tiered(&health.days, DAY_S, from, to.timestamp()) }
}

fn tiered(tiers: &BTreeMap<i64, Tier>, size: i64, from: i64, to: i64) -> Percentiles {
    let mut lines = Percentiles { joined: size * 1_500, over: Duration::from_secs(size.unsigned_abs()), ..Percentiles::default() };
    for (start, tier) in tiers.range(from.saturating_sub(size)..=to) {
        // In the middle of its time, and inside the graph.
        let at = (start + size / 2).clamp(from, to).saturating_mul(1_000);
        match (tier.latency.quantile(0.5), tier.latency.quantile(0.95), tier.latency.quantile(0.99)) {
            (Some(p50), Some(p95), Some(p99)) => lines.push(at, [p50, p95, p99]),
            _ if tier.failed > 0 => lines.failures.push(at),
            _ => {}
        }
    }
    lines
}

fn rank(sorted: &[f64], q: f64) -> f64 {
    let at = ((q * sorted.len() as f64).ceil() as usize).max(1) - 1;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

fn sampled(health: &HealthState, every: Duration, from: i64, to: i64, columns: usize) -> Percentiles {
    let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).clamp(1, i64::MAX / 100);
    let columns_ms = ((to - from) / i64::try_from(columns.max(1)).unwrap_or(1)).max(1);
    let window = (every_ms * i64::from(ENOUGH)).max(columns_ms).min((to - from).max(1));
    let recent = (every_ms * 3 / 2).max(columns_ms);
    let mut lines =
        Percentiles { joined: (every_ms * 5 / 2).max(columns_ms * 2), over: Duration::from_millis(window.unsigned_abs()), ..Percentiles::default() };
    let mut samples: Vec<(i64, Option<f64>)> = Vec::with_capacity(health.samples.len());
    for sample in &health.samples {
        let at = sample.at.timestamp_millis();
        if at < from - window || at > to {
            continue;
        }
        if sample.latency_ms.is_none() {
            lines.failures.push(at);
        }
        samples.push((at, sample.latency_ms.map(f64::from).filter(|ms| ms.is_finite())));
    }
    // A clock that was set back leaves them out of order.
    samples.sort_by_key(|(at, _)| *at);
    let (mut low, mut high) = (0, 0);
    let mut sorted: Vec<f64> = Vec::new();
    for column in 0..columns {
        let at = from + (to - from) * (i64::try_from(column).unwrap_or(0) + 1) / i64::try_from(columns).unwrap_or(1);
        while samples.get(high).is_some_and(|(when, _)| *when <= at) {
            high += 1;
        }
        while samples.get(low).is_some_and(|(when, _)| *when <= at - window) {
            low += 1;
        }
        // A point needs a sample of its own: one that is merely near would paint over the gap.
        let window = samples.get(low..high).unwrap_or_default();
        if !window.iter().rev().take_while(|(when, _)| *when > at - recent).any(|(_, ms)| ms.is_some()) {
            continue;
        }
        sorted.clear();
        sorted.extend(window.iter().filter_map(|(_, ms)| *ms));
        sorted.sort_by(f64::total_cmp);
        lines.push(at, [rank(&sorted, 0.5), rank(&sorted, 0.95), rank(&sorted, 0.99)]);
    }
    lines
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::state::Sample;

    fn now() -> Timestamp {
        Timestamp::from_timestamp(1_795_143_124, 0).unwrap()
    }

    /// One sample each ten seconds for three hours, oldest first.
    fn health(latency: impl Fn(i64) -> Option<f32>) -> HealthState {
        let samples = (0..1_080)
            .rev()
            .filter_map(|n| {
                let latency_ms = latency(n)?;
                Some(Sample { at: now() - TimeDelta::seconds(n * 10), latency_ms: Some(latency_ms), failed: false })
            })
            .collect();
        HealthState { samples, ..HealthState::default() }
    }

    #[test]
    fn a_step_shows_in_all_percentiles_and_a_gap_stays_a_gap() {
        let health = health(|n| match n {
            300..400 => None,
            n if n < 90 => Some(900.0),
            n if n % 10 == 0 => Some(300.0),
            _ => Some(60.0),
        });
        let lines = percentiles(&health, Duration::from_secs(10), SAMPLED, now(), 142);
        let at = |line: &[Point], ago_s: i64| {
            let moment = now().timestamp_millis() - ago_s * 1_000;
            line.iter().min_by_key(|point| (point.at - moment).abs()).unwrap().value
        };
        assert_eq!((at(&lines.p50, 7_000), at(&lines.p95, 7_000), at(&lines.p99, 7_000)), (60.0, 300.0, 300.0));
        assert_eq!((at(&lines.p50, 100), at(&lines.p95, 100)), (900.0, 900.0));
        let widest = lines.p95.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap();
        assert!(widest > lines.joined && widest >= 900_000, "{widest}");
    }

    #[test]
    fn a_long_range_reads_merged_histograms() {
        let mut health = HealthState::default();
        for hour in 0..24 {
            let mut tier = Tier::default();
            for ms in 1..=100 {
                tier.latency.add(f64::from(ms));
            }
            tier.total = 100;
            health.hours.insert(now().timestamp() / HOUR_S * HOUR_S - hour * HOUR_S, tier);
        }
        let lines = percentiles(&health, Duration::from_secs(10), Duration::from_secs(86_400), now(), 100);
        assert_eq!(lines.p95.len(), 24);
        assert!((lines.p95[3].value - 95.0).abs() < 1.5);
        assert_eq!(lines.over.as_secs(), 3_600);
    }

    proptest! {
        #[test]
        fn any_samples_give_lines(samples in prop::collection::vec((any::<i32>(), prop::option::of(any::<f32>()), any::<bool>()), 0..80), every in 0u64..100_000, range in 0u64..u64::MAX, columns in 0usize..300) {
            let samples = samples.into_iter().map(|(s, latency_ms, failed)| Sample { at: now() + TimeDelta::seconds(i64::from(s)), latency_ms, failed }).collect();
            let health = HealthState { samples, ..HealthState::default() };
            let lines = percentiles(&health, Duration::from_secs(every), Duration::from_secs(range), now(), columns);
            prop_assert!(lines.p50.len() <= columns.max(1));
            prop_assert_eq!(recent(&health, now(), Duration::from_secs(3_600), columns).len(), columns);
        }
    }
}
