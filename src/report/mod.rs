//! Text, JSON and the Nagios line: views of the same [`State`] that the screen draws.
//!
//! What does not belong here: looking (`sources`), judging (`rules`), and writing to a stream (`cli`): every function gives text back.

pub mod event;
pub mod formats;
pub mod json;
pub mod line;
pub mod log_lines;
pub mod nagios;
pub mod prometheus;
pub mod tables;
pub mod text;

use crate::domain::{Severity, Status};
use crate::state::{State, World};

/// How it all stands, in the four words of a Nagios plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was looked at and is within its limits.
    Ok,
    /// Something needs a person soon.
    Warning,
    /// Something cannot be said.
    Unknown,
    /// Something needs a person now.
    Critical,
}

impl Verdict {
    /// The exit code of `check`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    /// The word of the JSON contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }

    /// Worst last: critical, then unknown, then warning.
    const fn rank(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Unknown => 2,
            Self::Critical => 3,
        }
    }

    fn of(severity: Severity) -> Self {
        match severity {
            Severity::Critical => Self::Critical,
            Severity::Unknown => Self::Unknown,
            Severity::Warning => Self::Warning,
            Severity::Info => Self::Ok,
        }
    }
}

/// The worst of the statuses and of the findings nobody has taken. Nothing watched is unknown: it must never look like nothing found.
#[must_use]
pub fn verdict(world: &World) -> Verdict {
    if world.sources.is_empty() {
        return Verdict::Unknown;
    }
    let statuses = world.sources.values().map(|source| source.status.severity().map_or(Verdict::Ok, Verdict::of));
    // What was never looked at is not ok either; a pending source that was seen good before is.
    let unseen = world.sources.values().filter(|source| source.status == Status::Pending && source.checked_at.is_none()).map(|_| Verdict::Unknown);
    let findings = world.findings.iter().filter(|finding| finding.acknowledged.is_none()).map(|finding| Verdict::of(finding.severity));
    statuses.chain(unseen).chain(findings).max_by_key(|verdict| verdict.rank()).unwrap_or(Verdict::Ok)
}

/// How many sources stand in each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Looked at, in time, within limits.
    pub ok: usize,
    /// Over a warning limit.
    pub degraded: usize,
    /// Not working.
    pub down: usize,
    /// Failed, and being retried.
    pub pending: usize,
    /// Could not be looked at.
    pub unknown: usize,
    /// Known once, too old now.
    pub stale: usize,
    /// Not being checked.
    pub paused: usize,
    /// Not judged.
    pub maintenance: usize,
}

impl Counts {
    /// Counts the sources of a world.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let mut counts = Self::default();
        for source in world.sources.values() {
            *match source.status {
                Status::Ok => &mut counts.ok,
                Status::Degraded => &mut counts.degraded,
                Status::Down => &mut counts.down,
                Status::Pending => &mut counts.pending,
                Status::Unknown => &mut counts.unknown,
                Status::Stale => &mut counts.stale,
                Status::Paused => &mut counts.paused,
                Status::Maintenance => &mut counts.maintenance,
            } += 1;
        }
        counts
    }

    /// `1 down, 1 degraded, 14 ok`: worst first, zero counts left out.
    #[must_use]
    pub fn text(self) -> String {
        let parts: Vec<String> = [
            (self.down, "down"),
            (self.unknown, "unknown"),
            (self.stale, "stale"),
            (self.degraded, "degraded"),
            (self.pending, "pending"),
            (self.maintenance, "in maintenance"),
            (self.paused, "paused"),
            (self.ok, "ok"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
        if parts.is_empty() { "nothing is watched".to_owned() } else { parts.join(", ") }
    }
}

/// Leaves only what belongs to one site.
pub fn narrow_to_site(state: &mut State, site: &str) {
    state.world.sites.retain(|known| known.name == site);
    state.world.sources.retain(|id, _| id.site() == site);
    state.world.findings.retain(|finding| finding.source.site() == site);
}

/// Whether a character must not reach a terminal raw: controls (C0, DEL, C1) and those that reorder or hide text.
#[must_use]
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Outside text on one line, without anything a terminal would act on.
#[must_use]
pub fn clean(text: &str) -> String {
    crate::ui::text::sanitise(text).into_owned()
}

#[cfg(test)]
pub(crate) mod sample;

#[cfg(test)]
mod tests {
    use super::sample::{finding, source, state};
    use super::*;
    use crate::domain::Acknowledgement;

    #[test]
    fn nothing_watched_is_not_ok() {
        assert_eq!(verdict(&World::default()), Verdict::Unknown);
    }

    #[test]
    fn the_worst_is_critical_then_unknown_then_warning() {
        use Status::{Degraded, Down, Maintenance, Ok, Paused, Pending, Stale, Unknown};
        for (statuses, verdict_expected) in [
            (&[Ok, Ok][..], Verdict::Ok),
            (&[Ok, Degraded], Verdict::Warning),
            (&[Unknown, Degraded], Verdict::Unknown),
            (&[Stale, Ok], Verdict::Unknown),
            (&[Down, Unknown, Degraded], Verdict::Critical),
            (&[Paused, Maintenance], Verdict::Ok),
            (&[Pending], Verdict::Ok),
        ] {
            let sources = statuses.iter().enumerate().map(|(i, status)| source(&format!("shop/http/s{i}"), *status)).collect();
            assert_eq!(verdict(&state(sources, vec![]).world), verdict_expected, "{statuses:?}");
        }
    }

    #[test]
    fn what_was_never_looked_at_is_unknown() {
        let mut pending = source("shop/http/home", Status::Pending);
        pending.checked_at = None;
        assert_eq!(verdict(&state(vec![pending], vec![]).world), Verdict::Unknown);
    }

    #[test]
    fn a_finding_counts_until_somebody_has_it() {
        let mut found = finding("shop/http/home", "latency", Severity::Warning);
        let ok = || source("shop/http/home", Status::Ok);
        assert_eq!(verdict(&state(vec![ok()], vec![found.clone()]).world), Verdict::Warning);
        found.acknowledged = Some(Acknowledgement { by: "ana".into(), why: "known".into(), at: found.since, until: None, bound: None });
        assert_eq!(verdict(&state(vec![ok()], vec![found]).world), Verdict::Ok);
        assert_eq!(verdict(&state(vec![ok()], vec![finding("shop/http/home", "eol", Severity::Info)]).world), Verdict::Ok);
    }

    #[test]
    fn cleaning_leaves_nothing_a_terminal_acts_on() {
        assert_eq!(clean("a\u{1b}]52;c;x\u{7}b\u{9b}31m\r\nc\u{202e}d"), "ab cd");
    }
}
