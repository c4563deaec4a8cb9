//! How the collector itself is: whether polls progress, and whether the journal takes writes. Pure.
//!
//! What does not belong here: who is told (`serve`, `beat`, the service manager), and how the sites are, which is what findings are for.

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::time::{human, since};
use crate::journal::Writes;
use crate::state::World;

/// Something that waits longer than this to be written waits for a disk that hangs.
const WRITES: Duration = Duration::from_secs(60);
/// How long a start may take until there is a journal.
const OPENING: Duration = Duration::from_secs(15);

/// What is known of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping {
    /// It is being opened.
    Opening,
    /// There is none, for this reason.
    None(String),
    /// It is open; what is wrong with it, where something is.
    Open(Writes, Option<String>),
}

/// How it is; each part with the reason why it is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// Whether what is to be looked at is looked at in time.
    pub polls: Result<(), String>,
    /// Whether what is seen is kept.
    pub journal: Result<(), String>,
}

impl Vitals {
    /// Whether all is well, else why not.
    ///
    /// # Errors
    /// With the reasons, in one line.
    pub fn verdict(&self) -> Result<(), String> {
        let reasons: Vec<&str> = [&self.polls, &self.journal].into_iter().filter_map(|part| part.as_ref().err().map(String::as_str)).collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
    }
}

/// Looks at both. `begun` is when polling began, or began anew after a sleep: what is older says nothing.
#[must_use]
pub fn of(world: &World, keeping: &Keeping, begun: Timestamp, now: Timestamp) -> Vitals {
    Vitals { polls: polls(world, begun, now), journal: journal(keeping, begun, now) }
}

/// Every poll ends within its time limit, well or not, so what nobody looked at in time is our own trouble. One source may be slow to come
/// to its turn; when it is more than half of them, looking does not progress.
fn polls(world: &World, begun: Timestamp, now: Timestamp) -> Result<(), String> {
    let polled = || world.sources.values().filter(|source| source.spec.enabled && !source.spec.continuous);
    let (all, overdue) = (polled().count(), polled().filter(|source| source.is_overdue(begun, now)).count());
    if overdue * 2 <= all {
        return Ok(());
    }
    let last = polled().filter_map(|source| source.checked_at).max();
    let last = last.map_or_else(|| "none ended so far".to_owned(), |at| format!("the last one ended {} ago", human(since(at, now))));
    Err(format!("{overdue} of {all} polls did not end in time; {last}"))
}

fn journal(keeping: &Keeping, begun: Timestamp, now: Timestamp) -> Result<(), String> {
    match keeping {
        Keeping::Opening if since(begun, now) <= OPENING => Ok(()),
        Keeping::Opening => Err("the journal does not open".to_owned()),
        Keeping::None(reason) => Err(reason.clone()),
        Keeping::Open(_, Some(trouble)) => Err(trouble.clone()),
        Keeping::Open(writes, None) => match writes.waits {
            Some(at) if since(at, now) > WRITES => Err(format!("the journal was not written for {}", human(since(at, now)))),
            _ => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::Status;
    use crate::report::sample::{at, source, state};

    fn open() -> Keeping {
        Keeping::Open(Writes::default(), None)
    }

    #[test]
    fn polls_progress_while_most_of_them_end_in_time() {
        // Every 30 s with a limit of 10 s: a poll is overdue after 70 s.
        let world = state((0..4).map(|n| source(&format!("shop/http/{n}"), Status::Ok)).collect(), vec![]).world;
        let begun = at() - TimeDelta::hours(1);
        let late = |seconds| of(&world, &open(), begun, at() + TimeDelta::seconds(seconds)).verdict();
        assert_eq!(late(60), Ok(()));
        assert_eq!(late(75), Err("4 of 4 polls did not end in time; the last one ended 1 m ago".to_owned()));
        // After a start or a sleep there is time for the first round.
        assert_eq!(of(&world, &open(), at() + TimeDelta::hours(8), at() + TimeDelta::hours(8)).verdict(), Ok(()));
        // A failing poll ends too: the site is down, rounds is well.
        let mut half = world.clone();
        half.sources.values_mut().take(2).for_each(|source| source.checked_at = Some(at() + TimeDelta::seconds(70)));
        assert_eq!(of(&half, &open(), begun, at() + TimeDelta::seconds(75)).verdict(), Ok(()));
        // Logs and paused sources are not polled.
        let others = state(vec![source("shop/log/app", Status::Ok), source("shop/http/off", Status::Paused)], vec![]).world;
        assert_eq!(of(&others, &open(), begun, at() + TimeDelta::days(1)).verdict(), Ok(()));
    }

    #[test]
    fn the_journal_must_take_writes() {
        let world = state(vec![], vec![]).world;
        let later = |seconds| at() + TimeDelta::seconds(seconds);
        let judge = |keeping: &Keeping, seconds| of(&world, keeping, at(), later(seconds)).verdict();
        assert_eq!(judge(&Keeping::Opening, 5), Ok(()));
        assert!(judge(&Keeping::Opening, 60).is_err());
        assert_eq!(judge(&Keeping::None("no".into()), 0), Err("no".to_owned()));
        assert_eq!(judge(&Keeping::Open(Writes::default(), Some("full".into())), 0), Err("full".to_owned()));
        let waits = Keeping::Open(Writes { waits: Some(at()), ..Writes::default() }, None);
        assert_eq!(judge(&waits, 30), Ok(()));
        assert_eq!(judge(&waits, 120), Err("the journal was not written for 2 m".to_owned()));
    }
}
