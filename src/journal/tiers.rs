//! What a series is kept as: blocks of raw points, and slots of a minute or an hour that can be merged. Pure.
//!
//! A slot holds count, failures, least, most, sum and a histogram, so that a percentile over any span is read from merged
//! counts and never averaged. What does not belong here: SQL (`store`, `writer`, `reader`).

use std::collections::BTreeMap;

use super::codec::{CodecError, Columns, Reading, whole};
use crate::domain::Histogram;

/// Version of the form of a block of points.
const POINTS: u8 = 1;
/// Scales tried for least, most and sum.
const SUM_SCALES: [f64; 4] = [1.0, 10.0, 100.0, 1_000.0];
/// The mark of least, most and sum kept as floats.
const FLOATS: u8 = 255;
/// Numbers up to this do not overflow when they are multiplied by a count.
const LARGEST: i64 = 1 << 42;
/// Version of the form of a block of slots.
const SLOTS: u8 = 1;

/// How finely a stored block looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Every probe; 48 hours.
    Raw,
    /// Minutes; 30 days.
    Minute,
    /// Hours; as long as `[journal] keep`.
    Hour,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Minute, Self::Hour];

    /// The table that holds its blocks.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::Raw => "raw_blocks",
            Self::Minute => "minute_blocks",
            Self::Hour => "hour_blocks",
        }
    }

    /// Width of its slots in seconds; 0 for raw points.
    #[must_use]
    pub const fn step_s(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }
}

/// One probe as it is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Latency in milliseconds, where there was an answer.
    pub value: Option<f64>,
    /// Whether it was judged down.
    pub failed: bool,
}

/// A latency with the digits worth keeping: four significant ones at least, so that a percentile is off by 0.05 % at most.
#[must_use]
pub fn rounded(ms: f64) -> f64 {
    let scale = match ms.abs() {
        size if size < 10.0 => 1_000.0,
        size if size < 100.0 => 100.0,
        _ => 10.0,
    };
    (ms * scale).round() / scale
}

/// Points as one compressed block, in their order.
#[must_use]
pub fn encode_points(points: &[Point]) -> Vec<u8> {
    let mut columns = Columns::new(POINTS, points.len());
    columns.steps(points.iter().map(|point| point.at_ms));
    // Runs of equal flags: an endpoint that answers for hours is one run.
    let flags = |point: &Point| u8::from(point.value.is_none()) | u8::from(point.failed) << 1;
    let mut rest = points;
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|point| flags(point) == flags(first)).count();
        columns.byte(flags(first));
        columns.unsigned(run as u64);
        rest = &rest[run..];
    }
    columns.part();
    let values: Vec<f64> = points.iter().filter_map(|point| point.value).collect();
    columns.floats(&values);
    columns.finish()
}

/// The points of a block.
///
/// # Errors
/// When the bytes are damaged or of a later form.
pub fn decode_points(block: &[u8]) -> Result<Vec<Point>, CodecError> {
    let mut reading = Reading::new(block, POINTS)?;
    let rows = reading.rows;
    let times = reading.steps(rows)?;
    let mut flags = Vec::with_capacity(rows);
    while flags.len() < rows {
        let flag = reading.byte()?;
        let run = reading.count()?;
        if run == 0 || run > rows - flags.len() {
            return Err(CodecError::Damaged);
        }
        flags.resize(flags.len() + run, flag);
    }
    let mut values = reading.floats(flags.iter().filter(|flag| **flag & 1 == 0).count())?.into_iter();
    Ok(times
        .into_iter()
        .zip(flags)
        .map(|(at_ms, flag)| Point { at_ms, value: if flag & 1 == 0 { values.next() } else { None }, failed: flag & 2 != 0 })
        .collect())
}

/// The probes of one minute, hour or other span, merged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slot {
    /// Its start, in seconds since the epoch.
    pub start_s: i64,
    /// Probes.
    pub count: u64,
    /// Probes that were judged down.
    pub failed: u64,
    /// Least latency in milliseconds; 0 when nothing answered.
    pub min: f64,
    /// Most latency.
    pub max: f64,
    /// Sum of the latencies.
    pub sum: f64,
    /// The latencies.
    pub latency: Histogram,
}

impl Slot {
    fn add(&mut self, point: &Point) {
        self.count += 1;
        self.failed += u64::from(point.failed);
        if let Some(value) = point.value.filter(|value| value.is_finite()) {
            let none_yet = self.latency.buckets().is_empty();
            self.min = if none_yet { value } else { self.min.min(value) };
            self.max = if none_yet { value } else { self.max.max(value) };
            self.sum += value;
            self.latency.add(value);
        }
    }

    /// Adds all that `other` holds; the start stays.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.failed += other.failed;
        if other.latency.buckets().is_empty() {
            return;
        }
        let none_yet = self.latency.buckets().is_empty();
        self.min = if none_yet { other.min } else { self.min.min(other.min) };
        self.max = if none_yet { other.max } else { self.max.max(other.max) };
        self.sum += other.sum;
        if none_yet {
            self.latency = other.latency.clone();
        } else {
            self.latency.merge(&other.latency);
        }
    }
}

/// The start of the span of `step_s` seconds that holds `at_s`.
#[must_use]
pub const fn floor(at_s: i64, step_s: i64) -> i64 {
    at_s.saturating_sub(at_s.rem_euclid(step_s))
}

/// Points into slots of `step_s` seconds, sorted by start. The points may stand in any order.
#[must_use]
pub fn roll<'a>(points: impl IntoIterator<Item = &'a Point>, step_s: i64) -> Vec<Slot> {
    let mut slots: BTreeMap<i64, Slot> = BTreeMap::new();
    for point in points {
        let start_s = floor(point.at_ms.div_euclid(1_000), step_s);
        slots.entry(start_s).or_insert_with(|| Slot { start_s, ..Slot::default() }).add(point);
    }
    slots.into_values().collect()
}

/// Slots into wider (or equally wide) ones of `step_s` seconds, sorted by start; equal starts become one.
#[must_use]
pub fn widen(slots: impl IntoIterator<Item = Slot>, step_s: i64) -> Vec<Slot> {
    let mut wide: BTreeMap<i64, Slot> = BTreeMap::new();
    for slot in slots {
        let start_s = floor(slot.start_s, step_s);
        match wide.get_mut(&start_s) {
            Some(known) => known.merge(&slot),
            None => {
                wide.insert(start_s, Slot { start_s, ..slot });
            }
        }
    }
    wide.into_values().collect()
}

/// Slots as one compressed block, in their order.
#[must_use]
pub fn encode_slots(slots: &[Slot]) -> Vec<u8> {
    let mut columns = Columns::new(SLOTS, slots.len());
    columns.steps(slots.iter().map(|slot| slot.start_s));
    columns.deltas(slots.iter().map(|slot| slot.count.cast_signed()));
    columns.deltas(slots.iter().map(|slot| slot.failed.cast_signed()));
    columns.part();
    measures(&mut columns, slots);
    columns.part();
    for slot in slots {
        columns.unsigned(slot.latency.buckets().len() as u64);
    }
    // The first index of a slot is near the first of the slot before; the others are steps upward.
    columns.deltas(slots.iter().filter_map(|slot| slot.latency.buckets().first()).map(|(index, _)| i64::from(*index)));
    columns.part();
    for pair in slots.iter().flat_map(|slot| slot.latency.buckets().windows(2)) {
        columns.unsigned(u64::from(pair[1].0 - pair[0].0));
    }
    columns.part();
    for (_, count) in slots.iter().flat_map(|slot| slot.latency.buckets()) {
        columns.unsigned(u64::from(*count));
    }
    columns.finish()
}

/// Least, most and sum. As whole numbers of one scale where that is exact: then the most is told by its distance from the least,
/// and the sum by its distance from the middle of the two, which are small. Else as floats.
fn measures(columns: &mut Columns, slots: &[Slot]) {
    // Adding floats leaves noise far below a microsecond, which would cost eight bytes a slot.
    let sum = |slot: &Slot| (slot.sum * 1_000.0).round() / 1_000.0;
    let scaled = |scale: f64| -> Option<Vec<[i64; 3]>> {
        let small = |value: f64| whole(value, scale).filter(|number| number.abs() < LARGEST);
        slots.iter().map(|slot| Some([small(slot.min)?, small(slot.max)?, small(sum(slot))?]).filter(|_| slot.count < 1 << 20)).collect()
    };
    let Some((index, rows)) = SUM_SCALES.into_iter().enumerate().find_map(|(index, scale)| Some((index, scaled(scale)?))) else {
        columns.byte(FLOATS);
        columns.floats(&slots.iter().map(|slot| slot.min).collect::<Vec<_>>());
        columns.floats(&slots.iter().map(|slot| slot.max).collect::<Vec<_>>());
        columns.floats(&slots.iter().map(sum).collect::<Vec<_>>());
        return;
    };
    columns.byte(index as u8);
    columns.deltas(rows.iter().map(|[min, _, _]| *min));
    for [min, max, _] in &rows {
        columns.signed(max - min);
    }
    for (slot, [min, max, sum]) in slots.iter().zip(&rows) {
        columns.signed(2 * sum - slot.count.cast_signed() * (min + max));
    }
}

/// What [`measures`] wrote: least, most and sum of each row.
fn read_measures(reading: &mut Reading, counts: &[i64]) -> Result<Vec<[f64; 3]>, CodecError> {
    let rows = counts.len();
    let form = reading.byte()?;
    if form == FLOATS {
        let (min, max, sum) = (reading.floats(rows)?, reading.floats(rows)?, reading.floats(rows)?);
        return Ok((0..rows).map(|row| [min[row], max[row], sum[row]]).collect());
    }
    let scale = SUM_SCALES.get(usize::from(form)).ok_or(CodecError::Unknown)?;
    let min = reading.deltas(rows)?;
    let max = min.iter().map(|min| Ok(min.wrapping_add(reading.signed()?))).collect::<Result<Vec<i64>, CodecError>>()?;
    (0..rows)
        .map(|row| {
            let middle = counts[row].wrapping_mul(min[row].wrapping_add(max[row]));
            let sum = reading.signed()?.wrapping_add(middle) / 2;
            Ok([min[row], max[row], sum].map(|number| number as f64 / scale))
        })
        .collect()
}

/// The slots of a block.
///
/// # Errors
/// When the bytes are damaged or of a later form.
pub fn decode_slots(block: &[u8]) -> Result<Vec<Slot>, CodecError> {
    let mut reading = Reading::new(block, SLOTS)?;
    let rows = reading.rows;
    let starts = reading.steps(rows)?;
    let counts = reading.deltas(rows)?;
    let failed = reading.deltas(rows)?;
    let measures = read_measures(&mut reading, &counts)?;
    let sizes: Vec<usize> = (0..rows).map(|_| reading.count()).collect::<Result<_, _>>()?;
    let firsts = reading.deltas(sizes.iter().filter(|size| **size > 0).count())?;
    let mut firsts = firsts.into_iter();
    let mut indexes = Vec::with_capacity(rows);
    for size in &sizes {
        let mut own = Vec::new();
        if *size > 0 {
            let mut index = firsts.next().and_then(|first| u16::try_from(first).ok()).ok_or(CodecError::Damaged)?;
            own.push((index, 0u32));
            for _ in 1..*size {
                let step = u16::try_from(reading.unsigned()?).map_err(|_| CodecError::Damaged)?;
                index = index.checked_add(step).ok_or(CodecError::Damaged)?;
                own.push((index, 0));
            }
        }
        indexes.push(own);
    }
    for entry in indexes.iter_mut().flatten() {
        entry.1 = u32::try_from(reading.unsigned()?).map_err(|_| CodecError::Damaged)?;
    }
    Ok(indexes
        .into_iter()
        .enumerate()
        .map(|(row, buckets)| Slot {
            start_s: starts[row],
            count: counts[row].max(0) as u64,
            failed: failed[row].max(0) as u64,
            min: measures[row][0],
            max: measures[row][1],
            sum: measures[row][2],
            latency: Histogram::from_buckets(buckets),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Equal also where a value is not a number.
    fn same(a: &Point, b: &Point) -> bool {
        a.at_ms == b.at_ms && a.failed == b.failed && a.value.map(f64::to_bits) == b.value.map(f64::to_bits)
    }

    fn point() -> impl Strategy<Value = Point> {
        let value = prop_oneof![
            4 => (0.0f64..5_000.0).prop_map(|v| Some(rounded(v))),
            1 => Just(None),
            1 => any::<f64>().prop_map(Some),
            1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(f64::MIN_POSITIVE), Just(f64::MAX)].prop_map(Some),
        ];
        (any::<i64>(), value, any::<bool>()).prop_map(|(at_ms, value, failed)| Point { at_ms, value, failed })
    }

    proptest! {
        #[test]
        fn any_points_come_back_bit_by_bit(points in prop::collection::vec(point(), 0..200)) {
            let read = decode_points(&encode_points(&points)).unwrap();
            prop_assert_eq!(read.len(), points.len());
            for (a, b) in read.iter().zip(&points) {
                prop_assert!(same(a, b), "{:?} {:?}", a, b);
            }
        }

        #[test]
        fn an_ordinary_series_with_gaps_and_a_clock_that_jumps_back_comes_back(
            steps in prop::collection::vec((prop_oneof![9 => 9_990i64..10_010, 1 => -100_000i64..1_000_000], 1.0f64..500.0), 1..300)
        ) {
            let mut at_ms = 1_790_000_000_000;
            let points: Vec<Point> = steps.into_iter().map(|(step, value)| { at_ms += step; Point { at_ms, value: Some(rounded(value)), failed: false } }).collect();
            prop_assert_eq!(decode_points(&encode_points(&points)).unwrap(), points.clone());
            // Rolling counts each point exactly once, whatever the order.
            prop_assert_eq!(roll(&points, 60).iter().map(|slot| slot.count).sum::<u64>(), points.len() as u64);
        }

        #[test]
        fn damaged_bytes_are_refused_and_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>()) {
            let _ = decode_points(&bytes);
            let _ = decode_slots(&bytes);
            let mut block = encode_points(&[Point { at_ms: 5, value: Some(1.5), failed: true }; 9]);
            let at = flip.index(block.len());
            block[at] ^= 0x41;
            let _ = decode_points(&block);
            // The same past the checksum: well-formed zlib around nonsense.
            bytes.insert(0, 1);
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, &bytes).unwrap();
            let wrapped = encoder.finish().unwrap();
            let _ = decode_points(&wrapped);
            let _ = decode_slots(&wrapped);
        }

        #[test]
        fn slots_come_back(values in prop::collection::vec((0i64..100_000_000, prop::option::of(0.0f64..90_000.0), any::<bool>()), 0..300)) {
            let points: Vec<Point> = values.into_iter().map(|(at_ms, value, failed)| Point { at_ms, value: value.map(rounded), failed }).collect();
            let slots = roll(&points, 3_600);
            let read = decode_slots(&encode_slots(&slots)).unwrap();
            prop_assert_eq!(read.len(), slots.len());
            for (a, b) in read.iter().zip(&slots) {
                prop_assert_eq!((a.start_s, a.count, a.failed, a.min, a.max, &a.latency), (b.start_s, b.count, b.failed, b.min, b.max, &b.latency));
                prop_assert!((a.sum - b.sum).abs() < 0.001);
            }
        }

        #[test]
        fn percentiles_across_tiers_are_the_exact_ones_within_one_percent(values in prop::collection::vec(0.5f64..20_000.0, 1..800), q in 0.0f64..=1.0) {
            let points: Vec<Point> =
                values.iter().enumerate().map(|(i, value)| Point { at_ms: i.cast_signed() as i64 * 9_700, value: Some(rounded(*value)), failed: false }).collect();
            // Minutes of two halves, stored, read back, widened to hours and then to one day.
            let (left, right) = points.split_at(points.len() / 2);
            let minutes = [roll(left, 60), roll(right, 60)].iter().flat_map(|slots| decode_slots(&encode_slots(slots)).unwrap()).collect::<Vec<_>>();
            let days = widen(widen(minutes, 3_600), 86_400);
            prop_assert_eq!(days.len(), 1);
            let read = days[0].latency.quantile(q).unwrap();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[((q * sorted.len() as f64).ceil() as usize).max(1) - 1];
            prop_assert!((read - exact).abs() <= exact * 0.011, "{} {}", read, exact);
            prop_assert!((days[0].sum - values.iter().sum::<f64>()).abs() < values.len() as f64 * 2.0);
        }
    }

    #[test]
    fn an_ordinary_hour_is_small() {
        // 360 probes at ten seconds with a few milliseconds of jitter.
        let points: Vec<Point> = (0..360i64)
            .map(|i| Point {
                at_ms: 1_790_000_000_000 + i * 10_000 + (i * 7) % 5,
                value: Some(rounded(40.0 + f64::from((i * 37 % 40) as i32) / 10.0)),
                failed: false,
            })
            .collect();
        let size = encode_points(&points).len();
        assert!(size < 360 * 3, "{size}");
    }
}
