//! The clock. Everything else gets `now` as an argument.

use crate::domain::Timestamp;

/// The time of day, in UTC.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> Timestamp {
    chrono::Utc::now()
}
