//! When to draw and when to wake: frames at most thirty a second, keys at once, and the sleep of the machine noticed.

use std::time::{Duration, Instant};

use crate::domain::Timestamp;

/// Between two frames that nobody pressed a key for.
const FRAME: Duration = Duration::from_millis(33);
/// Between two frames after keys: a held key or pasted keys draw no more often than this.
const KEY_FRAME: Duration = Duration::from_millis(8);
/// Between two wake-ups for things that change by themselves.
const TICK: Duration = Duration::from_millis(250);
/// A difference of wall and monotonic clock from this on was a sleep; below it somebody corrected the clock.
const SLEEP: Duration = Duration::from_secs(10);

/// Decides from clocks alone.
#[derive(Debug)]
pub struct Pace {
    last_frame: Option<Instant>,
    last_tick: Option<Instant>,
    pressed: bool,
    seen: (Instant, Timestamp),
}

impl Pace {
    /// Begins now.
    #[must_use]
    pub fn new(at: Instant, now: Timestamp) -> Self {
        Self { last_frame: None, last_tick: None, pressed: false, seen: (at, now) }
    }

    /// A key was pressed: its frame may come at once.
    pub fn press(&mut self) {
        self.pressed = true;
    }

    /// When the next frame may be drawn.
    #[must_use]
    pub fn frame_at(&self, at: Instant) -> Instant {
        let gap = if self.pressed { KEY_FRAME } else { FRAME };
        self.last_frame.map_or(at, |last| (last + gap).max(at))
    }

    /// A frame was drawn.
    pub fn drew(&mut self, at: Instant) {
        self.last_frame = Some(at);
        self.pressed = false;
    }

    /// When to wake for a change at `change`, given that it is `now`.
    #[must_use]
    pub fn tick_at(&self, at: Instant, now: Timestamp, change: Timestamp) -> Instant {
        let due = at + (change - now).to_std().unwrap_or(Duration::ZERO);
        self.last_tick.map_or(due, |last| due.max(last + TICK))
    }

    /// A tick was taken in.
    pub fn ticked(&mut self, at: Instant) {
        self.last_tick = Some(at);
    }

    /// Compares the clocks with the last time: how long the machine slept in between, if it did. The monotonic clock stands still
    /// meanwhile (`CLOCK_MONOTONIC`, clock_gettime(2)).
    pub fn slept(&mut self, at: Instant, now: Timestamp) -> Option<Duration> {
        let (before, then) = std::mem::replace(&mut self.seen, (at, now));
        let gap = (now - then).to_std().ok()?.checked_sub(at.duration_since(before))?;
        (gap >= SLEEP).then_some(gap)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn start() -> (Instant, Timestamp) {
        (Instant::now(), chrono::Utc.with_ymd_and_hms(2026, 11, 20, 8, 0, 0).unwrap())
    }

    #[test]
    fn data_waits_for_its_frame_and_a_key_does_not() {
        let (at, now) = start();
        let mut pace = Pace::new(at, now);
        assert_eq!(pace.frame_at(at), at);
        pace.drew(at);
        assert_eq!(pace.frame_at(at + Duration::from_millis(5)), at + FRAME);
        pace.press();
        assert_eq!(pace.frame_at(at + Duration::from_millis(9)), at + Duration::from_millis(9));
    }

    #[test]
    fn ticks_are_not_more_than_four_a_second() {
        let (at, now) = start();
        let mut pace = Pace::new(at, now);
        pace.ticked(at);
        assert_eq!(pace.tick_at(at, now, now - chrono::TimeDelta::seconds(5)), at + TICK);
        assert_eq!(pace.tick_at(at, now, now + chrono::TimeDelta::seconds(5)), at + Duration::from_secs(5));
    }

    #[test]
    fn a_sleep_is_noticed_and_a_corrected_clock_is_none() {
        let (at, now) = start();
        let mut pace = Pace::new(at, now);
        assert_eq!(pace.slept(at + Duration::from_secs(5), now + chrono::TimeDelta::seconds(7)), None);
        assert_eq!(pace.slept(at + Duration::from_secs(6), now + chrono::TimeDelta::seconds(3_608)), Some(Duration::from_secs(3_600)));
        assert_eq!(pace.slept(at + Duration::from_secs(7), now), None);
    }
}
