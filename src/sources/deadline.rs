//! When the look under way has to be over: what a source waits for ends before it, so that the reason is told and what was found already is
//! not lost with the rest.

use std::time::Duration;

use tokio::time::Instant;

/// Of what is left, so much is given to one thing waited for: the rest is for telling what came of it.
const SHARE: f64 = 0.9;

tokio::task_local! {
    static UNTIL: Instant;
}

/// Does something that has so long.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    let now = Instant::now();
    UNTIL.scope(now.checked_add(limit).unwrap_or(now), work).await
}

/// What is left of the look under way; `None` where none is.
#[must_use]
pub fn left() -> Option<Duration> {
    UNTIL.try_with(|until| until.saturating_duration_since(Instant::now())).ok()
}

/// A time limit that ends before the look does.
#[must_use]
pub fn capped(limit: Duration) -> Duration {
    left().map_or(limit, |left| limit.min(left.mul_f64(SHARE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_ends_before_the_look_does() {
        let (short, long) = (Duration::from_secs(10), Duration::from_secs(300));
        assert_eq!((left(), capped(long)), (None, long));
        within(short, async {
            assert!(left().is_some_and(|left| left <= short) && capped(long) <= short.mul_f64(SHARE));
            assert_eq!(capped(Duration::from_secs(1)), Duration::from_secs(1));
        })
        .await;
        assert_eq!(left(), None);
    }
}
