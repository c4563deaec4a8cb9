//! When a restore is tried and a check runs by itself: which data sets are due, and which one may begin now. Pure.
//!
//! ```text
//!  promise (drill.every, check.every) + what was tried (state::tries) ─▶ plan ─▶ due list, rules, page 7
//!                                                                          └▶ next ─▶ rounds watch: one run at a time
//! ```
//!
//! What does not belong here: running (`actions::drill`), the verdict on what is late (`rules::backups`).

use std::time::Duration;

use chrono::TimeDelta;

use crate::actions::audit;
use crate::domain::time::{human, since};
use crate::domain::{Backup, Drill, SourceId, Status, Timestamp, TransitionKind};
use crate::state::{SourceState, World};

/// A data set that was never tried is tried so long after it was first seen to have a copy: not in the minute in which somebody is
/// still writing its configuration.
const FIRST: TimeDelta = TimeDelta::hours(1);
/// What went wrong is tried again after so long, or after its interval where that is shorter.
const AGAIN: Duration = Duration::from_secs(86_400);
/// What was begun and gave no evidence (refused, stopped) is begun again after so long at the soonest.
const PAUSE: TimeDelta = TimeDelta::hours(1);
/// The largest slack of a date: what is past due by less is not late.
const SLACK: Duration = Duration::from_secs(2 * 86_400);
/// A job that began so long ago and did not tell its end is not waited for.
const STILL_RUNS: TimeDelta = TimeDelta::hours(12);

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// A restore into a scratch place.
    Drill,
    /// The tool's own look at what it keeps.
    Check,
}

impl Job {
    /// Its verb: `drill`, `check`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drill => "drill",
            Self::Check => "check",
        }
    }

    /// The job of this verb.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Drill, Self::Check].into_iter().find(|job| job.word() == word)
    }

    /// How often it was promised.
    #[must_use]
    pub fn every(self, backup: &Backup) -> Option<Duration> {
        let every = match self {
            Self::Drill => backup.drill_every_s,
            Self::Check => backup.check_every_s,
        };
        every.filter(|every| *every > 0).map(Duration::from_secs)
    }

    /// When it was last done, and how it went.
    #[must_use]
    pub fn last(self, backup: &Backup) -> Option<(Timestamp, bool)> {
        match self {
            Self::Drill => backup.drill.as_ref().map(|drill| (drill.at, drill.ok)),
            Self::Check => backup.check.as_ref().map(|check| (check.at, check.ok)),
        }
    }
}

/// One date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose data set.
    pub source: SourceId,
    /// What.
    pub job: Job,
    /// When it is due by the promise.
    pub at: Timestamp,
    /// When it begins by itself at the soonest: spread, so that not all of a site begin together.
    pub begins: Timestamp,
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::days(36_500)).min(TimeDelta::days(36_500))
}

/// How far past its date something may be before it is late: a tenth of its interval, two days at most.
#[must_use]
pub fn slack(every: Duration) -> Duration {
    (every / 10).min(SLACK)
}

/// When a job is due by its promise: an interval after it was last done; what was never done, an interval after the data set was
/// first seen. `None`: nothing is promised, or nothing was seen yet.
#[must_use]
pub fn due_at(source: &SourceState, job: Job) -> Option<Timestamp> {
    let (seen, backup) = source.backup.as_ref()?;
    let every = job.every(backup)?;
    let from = job.last(backup).map_or_else(|| source.since.unwrap_or(*seen), |(at, _)| at);
    from.checked_add_signed(delta(every))
}

/// The same share of each source's slack every time: 0 to 1.
fn spread(source: &SourceId, job: Job) -> f64 {
    // The 32-bit hash of Fowler, Noll and Vo (FNV-1a).
    let bytes = source.as_str().bytes().chain(job.word().bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    f64::from(hash) / f64::from(u32::MAX)
}

/// The date of one job of one source.
#[must_use]
pub fn due(source: &SourceState, world: &World, job: Job) -> Option<Due> {
    let (seen, backup) = source.backup.as_ref()?;
    let every = job.every(backup)?;
    let at = due_at(source, job)?;
    let id = &source.spec.id;
    // Half of the slack at most, so that what runs by itself is never late by being spread.
    let spread = delta(slack(every).mul_f64(spread(id, job) / 2.0));
    let first = source.since.unwrap_or(*seen) + FIRST.min(delta(every));
    let mut begins = match job.last(backup) {
        None => first,
        Some((last, true)) => last.checked_add_signed(delta(every))?,
        Some((last, false)) => last.checked_add_signed(delta(every.min(AGAIN)))?,
    } + if job.last(backup).is_none() { spread.min(FIRST) } else { spread };
    let begun = world.tried.get(id).and_then(|tried| match job {
        Job::Drill => tried.drill_begun,
        Job::Check => tried.check_begun,
    });
    if let Some(begun) = begun.filter(|begun| job.last(backup).is_none_or(|(last, _)| last < *begun)) {
        begins = begins.max(begun + PAUSE);
    }
    Some(Due { source: id.clone(), job, at, begins })
}

/// All dates, the nearest first.
#[must_use]
pub fn plan(world: &World) -> Vec<Due> {
    let mut all: Vec<Due> = world.sources.values().flat_map(|source| [Job::Drill, Job::Check].into_iter().filter_map(|job| due(source, world, job))).collect();
    all.sort_by(|a, b| (a.at, &a.source, a.job).cmp(&(b.at, &b.source, b.job)));
    all
}

/// Why nothing can begin at a data set now, in words; `None`: it can.
#[must_use]
pub fn hindered(source: &SourceState, now: Timestamp) -> Option<String> {
    if !source.spec.enabled {
        return Some("the source is paused".to_owned());
    }
    if matches!(source.status, Status::Unknown | Status::Stale | Status::Pending | Status::Paused | Status::Maintenance) {
        return Some(format!("the source is {}", source.status.word()));
    }
    let Some((_, backup)) = &source.backup else { return Some("nothing is known of it yet".to_owned()) };
    if backup.last_success.is_none() {
        return Some("there is no good copy".to_owned());
    }
    if let Some(lock) = backup.locks.iter().find(|lock| !lock.stale) {
        return Some(format!("{} holds a lock", lock.holder));
    }
    let runs = backup.runs.last().is_some_and(|run| run.ended.is_none() && run.ok.is_none() && run.started.is_some_and(|at| at > now - STILL_RUNS));
    runs.then(|| "a backup runs".to_owned())
}

/// Whether a restore or a check runs anywhere, as far as is known.
#[must_use]
pub fn runs(world: &World, now: Timestamp) -> bool {
    audit::runs(world.events.iter())
        .iter()
        .any(|run| run.is_running(now) && matches!(&run.began.kind, TransitionKind::Action { steps, .. } if crate::state::tries::job_of(steps).is_some()))
}

/// What begins now by itself: one at a time, the longest overdue first, only what `may` says, never while the data set cannot be used.
#[must_use]
pub fn next(world: &World, now: Timestamp, may: impl Fn(&SourceId, Job) -> bool) -> Option<Due> {
    if runs(world, now) {
        return None;
    }
    let free = |due: &Due| world.sources.get(&due.source).is_some_and(|source| hindered(source, now).is_none());
    plan(world).into_iter().filter(|due| due.begins <= now && may(&due.source, due.job) && free(due)).min_by_key(|due| due.begins)
}

/// When [`next`] may have something to say, for whoever sleeps until then; what is hindered is looked at again as its polls come.
#[must_use]
pub fn wakes(world: &World, now: Timestamp) -> Option<Timestamp> {
    plan(world).into_iter().map(|due| due.begins.max(now)).min()
}

/// How a restore went: `restored 12 days ago in 4 min 10 s, 3 of 3 assertions held`; a failed one says why first.
#[must_use]
pub fn drill_words(drill: &Drill, now: Timestamp) -> String {
    let held = drill.assertions.iter().filter(|assertion| assertion.ok).count();
    let held = format!("{held} of {} assertions held", drill.assertions.len());
    let ago = ago(drill.at, now);
    match (drill.ok, &drill.problem) {
        (true, _) => format!("restored {ago} in {}, {held}", took(drill.seconds)),
        (false, Some(problem)) => format!("failed {ago}: {problem}"),
        (false, None) => format!("failed {ago}: {held}"),
    }
}

/// The line of the due list: how it went last, and when it is due next.
#[must_use]
pub fn words(source: &SourceState, now: Timestamp) -> Option<String> {
    let (_, backup) = source.backup.as_ref()?;
    let last = backup.drill.as_ref().map(|drill| drill_words(drill, now));
    let next = due_at(source, Job::Drill)
        .map(|at| if at > now { format!("next due in {}", long(since(now, at))) } else { format!("due since {}", long(since(at, now))) });
    match (last, next) {
        (Some(last), Some(next)) => Some(format!("{last}; {next}")),
        (None, Some(next)) => Some(format!("never restored; {next}")),
        (last, None) => last,
    }
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    match since(at, now) {
        age if age < Duration::from_secs(60) => "just now".to_owned(),
        age => format!("{} ago", long(age)),
    }
}

/// A duration with whole words, for sentences: `12 days`, `5 hours`, `40 min`.
#[must_use]
pub fn long(duration: Duration) -> String {
    let s = duration.as_secs();
    let count = |n: u64, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    match s {
        0..3_600 => format!("{} min", (s / 60).max(1)),
        3_600..172_800 => count(s / 3_600, "hour"),
        _ => count(s / 86_400, "day"),
    }
}

/// How long something took: `4 min 10 s`, `0.8 s`.
#[must_use]
pub fn took(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        _ if seconds < 10.0 => format!("{:.1} s", seconds.max(0.0)),
        0..60 => format!("{whole} s"),
        60..3_600 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => human(Duration::from_secs(whole)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::backup::{Assertion, Check, JobRun, Lock};
    use crate::domain::{ActionEnd, Transition};
    use crate::state::tries::{Tried, step};
    use crate::ui::fixture::{id, now, story};

    const DAY: u64 = 86_400;

    fn days(n: i64) -> TimeDelta {
        TimeDelta::days(n)
    }

    fn drill(days_ago: i64, ok: bool) -> Drill {
        let assertions = (0..3).map(|n| Assertion { name: n.to_string(), ok: true, seen: String::new() }).collect();
        Drill { at: now() - days(days_ago), ok, seconds: 250.0, assertions, ..Drill::default() }
    }

    /// A data set that was looked at.
    static KNOWN: LazyLock<SourceState> = LazyLock::new(|| story().world.sources[&id("shop/restic/db")].clone());

    /// Three healthy data sets: of `a` nothing is promised.
    fn world(with: impl Fn(&mut Backup)) -> World {
        let mut world = World::default();
        for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
            let mut source = KNOWN.clone();
            source.spec.id = id(&format!("shop/restic/{name}"));
            source.since = Some(now() - days(40));
            source.status = Status::Ok;
            let mut backup = Backup { last_success: Some(now()), drill_every_s: (at > 0).then_some(30 * DAY), ..Backup::default() };
            with(&mut backup);
            source.backup = Some((now(), Box::new(backup)));
            world.sources.insert(source.spec.id.clone(), source);
        }
        world
    }

    fn next_of(world: &World, at: Timestamp) -> Option<String> {
        next(world, at, |_, _| true).map(|due| format!("{} {}", due.job.word(), due.source.name()))
    }

    #[test]
    fn only_what_is_promised_and_past_its_date_begins() {
        assert_eq!(plan(&world(|b| b.drill_every_s = None)), []);
        let fresh = world(|b| b.drill = Some(drill(1, true)));
        assert_eq!(next_of(&fresh, now()), None);
        assert!(next_of(&fresh, now() + days(30)).is_some());
        assert!(wakes(&fresh, now()).is_some_and(|at| at >= now() + days(29) && at <= now() + days(30)));
    }

    #[test]
    fn what_was_never_tried_begins_kindly_soon_after_it_was_first_seen() {
        let mut new = world(|_| {});
        for source in new.sources.values_mut() {
            source.since = Some(now());
        }
        assert_eq!(next_of(&new, now() + TimeDelta::minutes(59)), None);
        assert!(next_of(&new, now() + TimeDelta::minutes(121)).is_some());
    }

    #[test]
    fn one_at_a_time_and_not_again_at_once() {
        let mut world = world(|_| {});
        let first = next(&world, now(), |_, _| true).unwrap();
        let action = |ended: Option<ActionEnd>| Transition {
            at: now(),
            site: "shop".into(),
            source: Some(first.source.clone()),
            sentence: String::new(),
            kind: TransitionKind::Action {
                run: "r".into(),
                by: "ana".into(),
                steps: vec![step(Job::Drill, &first.source, None)],
                directory: String::new(),
                limit_s: 7_200,
                ended,
            },
        };
        world.events.push_back(action(None));
        world.tried.insert(first.source.clone(), Tried { drill_begun: Some(now()), ..Tried::default() });
        assert_eq!(next_of(&world, now() + TimeDelta::minutes(1)), None, "one runs");
        // It was refused: the other one has its turn, and it itself in an hour.
        world.events.push_back(action(Some(ActionEnd { ok: false, words: "refused".into(), took_ms: 1 })));
        let second = next(&world, now() + TimeDelta::minutes(2), |_, _| true).unwrap();
        assert_ne!(second.source, first.source);
        world.tried.insert(second.source, Tried { drill_begun: Some(now()), ..Tried::default() });
        assert_eq!(next_of(&world, now() + TimeDelta::minutes(3)), None);
        assert!(next_of(&world, now() + TimeDelta::minutes(61)).is_some());
        assert_eq!(next(&world, now() + TimeDelta::minutes(61), |_, _| false), None, "of another's sources nothing");
        // Whoever ran it died: past its limit it is not waited for.
        world.events.pop_back();
        assert!(next_of(&world, now() + TimeDelta::hours(4)).is_some());
    }

    #[test]
    fn a_failed_one_is_tried_again_the_next_day() {
        let failed = world(|b| b.drill = Some(drill(0, false)));
        assert_eq!(next_of(&failed, now() + TimeDelta::hours(23)), None);
        assert!(next_of(&failed, now() + days(2)).is_some());
    }

    #[test]
    fn what_cannot_be_used_is_left_alone() {
        for (why, with) in [
            ("no good copy", (|b: &mut Backup| b.last_success = None) as fn(&mut Backup)),
            ("holds a lock", |b| b.locks = vec![Lock { holder: "web1".into(), since: None, stale: false }]),
            ("a backup runs", |b| b.runs = vec![JobRun { started: Some(now() - TimeDelta::hours(1)), ..JobRun::default() }]),
        ] {
            let world = world(with);
            assert_eq!(next_of(&world, now()), None, "{why}");
            let said = hindered(world.sources.values().next().unwrap(), now()).unwrap();
            assert!(said.contains(why), "{said}");
        }
        let stale = world(|b| b.locks = vec![Lock { holder: "web1".into(), since: None, stale: true }]);
        assert!(next_of(&stale, now()).is_some());
        let mut unknown = world(|_| {});
        unknown.sources.values_mut().for_each(|source| source.status = Status::Unknown);
        assert_eq!(next_of(&unknown, now()), None);
    }

    #[test]
    fn checks_have_dates_of_their_own() {
        let check = |n| Check { at: now() - days(n), ok: true, depth: "structure only".into(), message: String::new() };
        let world = world(|b| (b.drill_every_s, b.check_every_s, b.check) = (None, Some(7 * DAY), Some(check(9))));
        assert!(next_of(&world, now()).unwrap().starts_with("check "));
    }

    #[test]
    fn the_due_list_says_it_in_words() {
        let mut source = world(|b| b.drill = Some(drill(12, true))).sources.remove(&id("shop/restic/b")).unwrap();
        assert_eq!(words(&source, now()).unwrap(), "restored 12 days ago in 4 min 10 s, 3 of 3 assertions held; next due in 18 days");
        let (_, backup) = source.backup.as_mut().unwrap();
        backup.drill = Some(Drill { problem: Some("the archive is cut".into()), ..drill(40, false) });
        assert_eq!(words(&source, now()).unwrap(), "failed 40 days ago: the archive is cut; due since 10 days");
        let (_, backup) = source.backup.as_mut().unwrap();
        backup.drill = None;
        assert_eq!(words(&source, now()).unwrap(), "never restored; due since 10 days");
        for (seconds, text) in [(0.84, "0.8 s"), (42.0, "42 s"), (120.0, "2 min"), (250.0, "4 min 10 s"), (8_000.0, "2 h 13 m")] {
            assert_eq!(took(seconds), text);
        }
    }

    proptest! {
        /// Whatever the dates: nothing that is kept on time is late, and nothing panics.
        #[test]
        fn spread_never_makes_late(every in 3_600..4_000 * DAY, ago in -400_000_000_i64..400_000_000) {
            let world = world(|b| {
                b.drill_every_s = Some(every);
                b.drill = Some(Drill { at: now() - TimeDelta::seconds(ago), ok: true, ..Drill::default() });
            });
            for due in plan(&world) {
                prop_assert!(due.begins >= due.at && due.begins <= due.at + delta(slack(Duration::from_secs(every))));
            }
        }
    }
}
