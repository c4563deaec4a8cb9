//! The range of graphs while nobody has chosen one: the shortest that covers what is known, so that the first minutes of a site are
//! not one column at the right edge. It only ever grows.
//!
//! What does not belong here: the range a person chose ([`super::View::range`]), drawing.

use std::time::Duration;

use super::{HealthState, LogState};
use crate::domain::Timestamp;
use crate::domain::time::since;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Ranges of a graph.
pub const GRAPH: [Duration; 4] = [Duration::from_secs(5 * MINUTE), Duration::from_secs(15 * MINUTE), Duration::from_secs(HOUR), Duration::from_secs(3 * HOUR)];
/// Ranges of a row's sparkline.
pub const ROW: [Duration; 3] = [Duration::from_secs(5 * MINUTE), Duration::from_secs(15 * MINUTE), Duration::from_secs(HOUR)];
/// Ranges of the histogram of log lines.
pub const LOG: [Duration; 3] = [Duration::from_secs(15 * MINUTE), Duration::from_secs(30 * MINUTE), Duration::from_secs(HOUR)];
/// A silence from this on begins anew: nothing from before it is on any of the graphs.
pub const SILENCE: Duration = GRAPH[3];

/// The first sample that matters to the graphs of these endpoints; `None`: none has one.
pub fn known_since<'a>(endpoints: impl IntoIterator<Item = &'a HealthState>, now: Timestamp) -> Option<Timestamp> {
    let heard = |health: &HealthState| health.samples.back().is_some_and(|last| since(last.at, now) <= SILENCE);
    endpoints.into_iter().filter(|health| heard(health)).filter_map(|health| health.first).min()
}

/// The moment from which the lines of these logs are known: since they are read, or since the first line that was there already.
pub fn lines_since<'a>(logs: impl IntoIterator<Item = &'a LogState>) -> Option<Timestamp> {
    let first = |log: &LogState| log.minutes.first_key_value().and_then(|(minute, _)| Timestamp::from_timestamp(*minute, 0));
    logs.into_iter().filter_map(|log| log.watched_since.into_iter().chain(first(log)).min()).min()
}

/// The shortest of `ranges` (ascending) that covers the time from `since` to `now`, and the moment at which it will be the next one.
/// Nothing known: the shortest.
#[must_use]
pub fn shortest(ranges: &[Duration], known: Option<Timestamp>, now: Timestamp) -> (Duration, Option<Timestamp>) {
    let longest = ranges.last().copied().unwrap_or(SILENCE);
    let Some(known) = known else { return (ranges.first().copied().unwrap_or(longest), None) };
    let age = since(known, now);
    let range = ranges.iter().copied().find(|range| age <= *range).unwrap_or(longest);
    let grows = (range < longest).then(|| known + chrono::Duration::from_std(range).unwrap_or_default() + chrono::Duration::milliseconds(1));
    (range, grows)
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone, Utc};
    use proptest::prelude::*;

    use super::*;

    fn start() -> Timestamp {
        Utc.with_ymd_and_hms(2026, 11, 20, 3, 0, 0).unwrap()
    }

    #[test]
    fn the_range_is_the_shortest_that_covers_what_is_known() {
        let at = |s: i64| start() + TimeDelta::seconds(s);
        for (s, minutes) in [(0, 5), (300, 5), (301, 15), (900, 15), (901, 60), (3_600, 60), (3_601, 180), (999_999, 180)] {
            assert_eq!(shortest(&GRAPH, Some(start()), at(s)).0.as_secs(), minutes * 60, "{s}");
        }
        assert_eq!(shortest(&ROW, Some(start()), at(9_999)).0.as_secs(), 3_600);
        assert_eq!(shortest(&LOG, None, at(0)).0.as_secs(), 900);
        let (range, grows) = shortest(&LOG, Some(start()), at(60));
        assert_eq!(shortest(&LOG, Some(start()), grows.unwrap()).0.as_secs(), range.as_secs() * 2);
    }

    proptest! {
        #[test]
        fn it_never_shrinks(a in 0i64..20_000, b in 0i64..20_000) {
            let (early, late) = (a.min(b), a.max(b));
            let at = |s: i64| shortest(&GRAPH, Some(start()), start() + TimeDelta::seconds(s)).0;
            prop_assert!(at(early) <= at(late));
        }
    }
}
