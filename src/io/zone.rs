//! The machine's time zone, looked up once: drawing must not ask the system.

use chrono::{Offset, TimeZone};

use crate::domain::Timestamp;
use crate::state::view::ZoneName;

/// The zone of this machine: by its name where it has one that is known, so that summer and winter time change while the program
/// runs; else as far from UTC as it is now.
#[must_use]
pub fn machine(now: Timestamp) -> ZoneName {
    let utc = now.naive_utc();
    let offset = chrono::Local.offset_from_utc_datetime(&utc).fix();
    match named().filter(|zone| zone.offset_from_utc_datetime(&utc).fix() == offset) {
        Some(zone) => ZoneName::Named(zone),
        None => ZoneName::Fixed(offset),
    }
}

/// The name that `TZ` gives, else that of `/etc/localtime` or `/etc/timezone`.
fn named() -> Option<chrono_tz::Tz> {
    if let Ok(name) = std::env::var("TZ") {
        return name.trim_start_matches(':').parse().ok();
    }
    let link = std::fs::read_link("/etc/localtime").ok();
    let linked = link.as_deref().and_then(|path| path.to_str()).and_then(|path| path.split_once("zoneinfo/")).and_then(|(_, name)| name.parse().ok());
    linked.or_else(|| std::fs::read_to_string("/etc/timezone").ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_the_same_time_as_the_system() {
        for at in ["2026-01-15T12:00:00Z", "2026-07-15T12:00:00Z"] {
            let at: Timestamp = at.parse().unwrap();
            let system = chrono::Local.from_utc_datetime(&at.naive_utc()).naive_local();
            assert_eq!(crate::ui::text::local(at, machine(at)), system);
        }
    }
}
