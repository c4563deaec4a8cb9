//! When to draw and when to wake: frames at most thirty a second, keys at once, and the sleep of the machine noticed.

use std::time::{Duration, Instant};

use crate::domain::Timestamp;

/// Between two frames that nobody pressed a key for.
const FRAME: Duration = Duration::from_millis(33);
/// Between two frames while data streams in: nobody reads faster than eight pictures a second, and drawing costs more than taking in.
const STREAM_FRAME: Duration = Duration::from_millis(125);
/// Frames of data this close to each other are a stream after [`STREAM`] of them.
const CLOSE: Duration = Duration::from_millis(300);
const STREAM: u8 = 4;
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
    streak: u8,
    seen: (Instant, Timestamp),
}

impl Pace {
    /// Begins now.
    #[must_use]
    pub fn new(at: Instant, now: Timestamp) -> Self {
        Self { last_frame: None, last_tick: None, pressed: false, streak: 0, seen: (at, now) }
    }

    /// A key was pressed: its frame may come at once.
    pub fn press(&mut self) {
        self.pressed = true;
    }

    /// When the next frame may be drawn.
    #[must_use]
    pub fn frame_at(&self, at: Instant) -> Instant {
        let gap = if self.pressed {
            KEY_FRAME
        } else if self.streams() {
            STREAM_FRAME
        } else {
            FRAME
        };
        self.last_frame.map_or(at, |last| (last + gap).max(at))
    }

    fn streams(&self) -> bool {
        self.streak >= STREAM
    }

    /// Until when messages may wait while data streams in, so that one wake-up takes many; `None`: they are taken in as they come.
    #[must_use]
    pub fn hold(&self, at: Instant) -> Option<Instant> {
        let until = self.last_frame? + STREAM_FRAME;
        (self.streams() && at < until).then_some(until)
    }

    /// A frame was drawn.
    pub fn drew(&mut self, at: Instant) {
        let close = self.last_frame.is_some_and(|last| at.duration_since(last) < CLOSE);
        self.streak = match (close, self.pressed) {
            (true, false) => self.streak.saturating_add(1),
            (true, true) => self.streak,
            (false, _) => 0,
        };
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
    fn a_stream_is_drawn_less_often_and_one_thing_alone_at_once() {
        let (begin, now) = start();
        let mut pace = Pace::new(begin, now);
        let mut at = begin;
        for _ in 0..6 {
            pace.drew(at);
            at = pace.frame_at(at);
        }
        assert_eq!(pace.frame_at(at), at);
        pace.drew(at);
        assert_eq!(pace.frame_at(at), at + STREAM_FRAME);
        assert_eq!(pace.hold(at + FRAME), Some(at + STREAM_FRAME));
        assert_eq!(pace.hold(at + STREAM_FRAME), None);
        pace.press();
        assert_eq!(pace.frame_at(at + Duration::from_millis(10)), at + Duration::from_millis(10), "a key is never held up");
        pace.drew(at + Duration::from_millis(10));
        let later = at + Duration::from_secs(1);
        pace.drew(later);
        assert_eq!((pace.hold(later), pace.frame_at(later)), (None, later + FRAME));
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
