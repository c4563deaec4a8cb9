//! What the past of copies and of a repository's size says of what comes: the next copy, the day the disk is full. Pure.

use chrono::{DateTime, TimeDelta};

use crate::domain::{Copy, Timestamp};

/// Distances that a rhythm is the median of: the newest, since retention thins out the older ones.
const DISTANCES: usize = 6;
/// Fewer are no rhythm.
const ENOUGH: usize = 3;
/// Copies that came within this of each other are of one run, unless all come that often.
const TOGETHER: TimeDelta = TimeDelta::minutes(30);
/// A rate needs so long a past.
const SHORTEST: TimeDelta = TimeDelta::hours(20);
/// Further off a date says nothing.
const HORIZON: TimeDelta = TimeDelta::days(3_650);

/// When the next copy is expected: as long after the last as they came one after the other. Copies that came together count as one.
#[must_use]
pub fn next_at(copies: &[Copy]) -> Option<Timestamp> {
    let mut times: Vec<Timestamp> = copies.iter().filter(|copy| copy.complete != Some(false)).map(|copy| copy.at).collect();
    times.sort_unstable();
    let (first, last) = (*times.first()?, *times.last()?);
    let mean = (last - first) / i32::try_from(times.len()).ok()?;
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > TOGETHER.min(mean / 4));
    let mut newest: Vec<TimeDelta> = gaps.collect::<Vec<_>>().into_iter().rev().take(DISTANCES).collect();
    newest.sort_unstable();
    (newest.len() >= ENOUGH).then(|| last + newest[(newest.len() - 1) / 2])
}

/// When the free space is used up, from the sizes of the past (seconds since 1970, bytes; oldest first). `None`: it does not grow, or there
/// is too little past, or it is further off than ten years.
#[must_use]
pub fn full_on(sizes: &[(i64, u64)], free: u64, now: Timestamp) -> Option<Timestamp> {
    let (first, last) = (sizes.first()?, sizes.last()?);
    let span = last.0 - first.0;
    if span < SHORTEST.num_seconds() || last.1 <= first.1 {
        return None;
    }
    let a_second = (last.1 - first.1) as f64 / span as f64;
    let left = free as f64 / a_second;
    (left < HORIZON.num_seconds() as f64).then(|| DateTime::from_timestamp(now.timestamp() + left as i64, 0)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(hours)
    }

    fn copies(hours: &[i64]) -> Vec<Copy> {
        hours.iter().map(|hour| Copy { at: at(*hour), ..Copy::default() }).collect()
    }

    #[test]
    fn the_next_copy_follows_the_rhythm() {
        for (hours, expected) in [
            (&[0, 24, 48, 72][..], Some(96)),
            // Not in order; three paths a night; thinned out before; one that was missed.
            (&[72, 0, 48, 24], Some(96)),
            (&[0, 0, 0, 24, 24, 24, 48, 48, 48, 72, 72, 72], Some(96)),
            (&[-5_000, -4_280, -3_560, -700, -532, -364, -196, -100, -76, -52, -28, -4], Some(20)),
            (&[0, 24, 72, 96, 120], Some(144)),
            (&[0, 24, 48], None),
            (&[0], None),
            (&[], None),
            (&[5, 5, 5, 5, 5], None),
        ] {
            assert_eq!(next_at(&copies(hours)), expected.map(at), "{hours:?}");
        }
    }

    #[test]
    fn the_disk_is_full_at_the_rate_of_the_past() {
        let day = |day: i64, gib: u64| (at(day * 24).timestamp(), gib << 30);
        assert_eq!(full_on(&[day(0, 10), day(5, 15), day(10, 20)], 30 << 30, at(240)), Some(at(960)));
        assert_eq!(full_on(&[day(0, 20), day(10, 10)], 30 << 30, at(240)), None, "it shrinks");
        assert_eq!(full_on(&[day(0, 10), (at(2).timestamp(), 20 << 30)], 1, at(2)), None, "too little past");
        assert_eq!(full_on(&[day(0, 10), day(10, 10), (at(240).timestamp() + 1, (10 << 30) + 1)], 1 << 40, at(240)), None, "far off");
        assert_eq!(full_on(&[], 1, at(0)), None);
    }
}
