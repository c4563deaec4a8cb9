//! What the copies of a data set say of it, whatever tool made them. Pure.

use chrono::TimeDelta;

use super::plan::Promise;
use crate::domain::time::{human, since, size_text};
use crate::domain::{Backup, Copy, Timestamp};

/// Copies that a median needs.
const ENOUGH: usize = 3;
/// Copies before the last that the median is of.
const PAST: usize = 14;
/// Below this share of the median it shrank oddly; above this many times it grew oddly.
const SHRANK: f64 = 0.67;
const GREW: f64 = 3.0;
/// A run took oddly long, or oddly short, beyond this many times the median, and by so many seconds at least.
const TIMES: f64 = 3.0;
const NOTICED_S: f64 = 60.0;
/// Copies told by name.
const TOLD: usize = 60;
/// Clocks that differ by less are not worth a word.
const CLOCKS: TimeDelta = TimeDelta::minutes(5);
/// What is said of a moment that has not come yet.
pub const FROM_THE_FUTURE: &str = "is dated in the future: a clock is wrong";

/// Whether a moment lies further ahead than clocks differ: such a copy would be the newest for ever, and never late.
#[must_use]
pub fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at > now + CLOCKS
}

/// Takes back what a run or a ping from the future makes the last success: the last that has come counts. For data sets that tell of runs
/// and of no copies.
pub fn without_future(backup: &mut Backup, now: Timestamp) {
    if backup.last_success.is_some_and(|at| is_ahead(at, now)) {
        let good = backup.runs.iter().filter(|run| run.ok == Some(true)).filter_map(|run| run.ended.or(run.started));
        backup.last_success = good.filter(|at| !is_ahead(*at, now)).max();
        backup.age_s = backup.last_success.map(|at| since(at, now).as_secs());
        backup.complaints.push(FROM_THE_FUTURE.to_owned());
    }
}

/// The middle of what there was before; `None` where that is too little.
#[must_use]
pub fn median(mut past: Vec<u64>) -> Option<u64> {
    past.sort_unstable();
    (past.len() >= ENOUGH).then(|| past[past.len() / 2])
}

/// The sizes before the copy at `last`, of those that were good.
#[must_use]
pub fn median_size(copies: &[Copy], last: usize) -> Option<u64> {
    let good = copies[..last].iter().rev().filter(|copy| copy.complete != Some(false));
    median(good.filter_map(|copy| copy.size_bytes).filter(|size| *size > 0).take(PAST).collect())
}

/// What is odd about a size: against the median of its own past, and against what was promised.
#[must_use]
pub fn odd_size(size: u64, median: Option<u64>, promise: &Promise) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(median) = median.filter(|median| *median > 0) {
        let share = size as f64 / median as f64;
        if share < SHRANK {
            said.push(format!("shrank {:.0} %: {}, median {}", (1.0 - share) * 100.0, size_text(size), size_text(median)));
        } else if share > GREW {
            said.push(format!("grew {share:.1} times: {}, median {}", size_text(size), size_text(median)));
        }
    }
    if let Some(least) = promise.min_size_bytes.filter(|least| size < *least) {
        said.push(format!("is too small: {}, at least {} promised", size_text(size), size_text(least)));
    }
    said
}

/// How long the run that made a copy took.
fn took(copy: &Copy) -> Option<u64> {
    copy.started.map(|started| since(started, copy.at).as_secs())
}

/// What is odd about the time that the copy at `last` took.
fn odd_time(copies: &[Copy], last: usize) -> Option<String> {
    let now = took(&copies[last])?;
    let usual = median(copies[..last].iter().rev().filter_map(took).take(PAST).collect())?;
    let (now_s, usual_s) = (now as f64, usual as f64);
    let text = |seconds| human(std::time::Duration::from_secs(seconds));
    let told = |word: &str| Some(format!("{word}: took {}, median {}", text(now), text(usual)));
    if (now_s - usual_s).abs() < NOTICED_S {
        None
    } else if now_s > usual_s * TIMES {
        told("was slow")
    } else if now_s * TIMES < usual_s {
        told("was oddly fast")
    } else {
        None
    }
}

/// Adds what follows from the facts of a look: the last good copy, its age, the median, and what is wrong. The copies may be in any order
/// and any number; afterwards the newest are left, newest last. Complaints that are there already stay first.
#[must_use]
pub fn judge(mut backup: Backup, promise: &Promise, now: Timestamp) -> Backup {
    backup.copies.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.name.cmp(&b.name)));
    backup.snapshots = backup.snapshots.max(backup.copies.len() as u64);
    (backup.max_age_s, backup.min_size_bytes, backup.retention) = (promise.max_age_s, promise.min_size_bytes, promise.retention);
    (backup.check_every_s, backup.drill_every_s) = (promise.check_every_s, promise.drill_every_s);
    without_future(&mut backup, now);
    for copy in backup.copies.iter_mut().filter(|copy| is_ahead(copy.at, now) && copy.complete != Some(false)) {
        (copy.complete, copy.problem) = (Some(false), Some(FROM_THE_FUTURE.to_owned()));
    }
    let good = backup.copies.iter().rposition(|copy| copy.complete != Some(false));
    for copy in backup.copies[good.map_or(0, |good| good + 1)..].iter().rev() {
        let problem = copy.problem.as_deref().unwrap_or("is not whole");
        backup.complaints.push(format!("{}: {problem}", copy.name));
    }
    if let Some(last) = good {
        let copy = &backup.copies[last];
        backup.last_success = Some(copy.at);
        backup.age_s = Some(since(copy.at, now).as_secs());
        backup.size_bytes = copy.size_bytes;
        backup.median_size_bytes = median_size(&backup.copies, last);
        if let Some(size) = copy.size_bytes {
            backup.complaints.extend(odd_size(size, backup.median_size_bytes, promise));
        }
        backup.complaints.extend(odd_time(&backup.copies, last));
    }
    if let Some(kept) = promise.retention.filter(|kept| backup.snapshots < *kept) {
        backup.complaints.push(format!("has too few copies: {} of {kept}", backup.snapshots));
    }
    if let Some(check) = backup.check.as_ref().filter(|check| !check.ok) {
        backup.complaints.insert(0, format!("failed its check: {}", if check.message.is_empty() { &check.depth } else { &check.message }));
    }
    let past = backup.copies.len().saturating_sub(TOLD);
    backup.copies.drain(..past);
    backup
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        chrono::DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(hours)
    }

    fn copy(hours: i64, size: u64, took_s: i64) -> Copy {
        Copy { name: format!("c{hours}"), at: at(hours), size_bytes: Some(size), started: Some(at(hours) - TimeDelta::seconds(took_s)), ..Copy::default() }
    }

    fn judged(copies: Vec<Copy>, promise: Promise) -> Backup {
        judge(Backup { copies, ..Backup::default() }, &promise, at(100))
    }

    #[test]
    fn the_last_good_copy_counts() {
        let bad = Copy { complete: Some(false), problem: Some("ends early".to_owned()), ..copy(99, 10, 5) };
        let backup = judged(vec![bad, copy(90, 1000, 5)], Promise::default());
        assert_eq!((backup.last_success, backup.age_s, backup.snapshots), (Some(at(90)), Some(36_000), 2));
        assert_eq!(backup.complaints, ["c99: ends early"]);
        assert_eq!(judged(Vec::new(), Promise::default()).last_success, None);
    }

    #[test]
    fn what_is_unlike_its_past_is_told() {
        let past: Vec<Copy> = (0..5).map(|day| copy(day, 1 << 20, 300)).collect();
        let with = |last: Copy, promise: Promise| judged(past.iter().cloned().chain([last]).collect(), promise).complaints;
        assert!(with(copy(90, 1 << 20, 310), Promise::default()).is_empty());
        assert_eq!(with(copy(90, 1 << 18, 300), Promise::default()), ["shrank 75 %: 256 KiB, median 1.00 MiB"]);
        assert_eq!(with(copy(90, 1 << 23, 300), Promise::default()), ["grew 8.0 times: 8.00 MiB, median 1.00 MiB"]);
        assert_eq!(with(copy(90, 1 << 20, 3_000), Promise::default()), ["was slow: took 50 m, median 5 m"]);
        assert_eq!(with(copy(90, 1 << 20, 2), Promise::default()), ["was oddly fast: took 2 s, median 5 m"]);
        let promise = Promise { min_size_bytes: Some(2 << 20), retention: Some(7), ..Promise::default() };
        assert_eq!(with(copy(90, 1 << 20, 300), promise), ["is too small: 1.00 MiB, at least 2.00 MiB promised", "has too few copies: 6 of 7"]);
        // Two copies are no past.
        assert!(judged(vec![copy(1, 1000, 5), copy(2, 1000, 5), copy(90, 10, 5)], Promise::default()).complaints.is_empty());
    }

    #[test]
    fn a_clock_from_the_future_makes_nothing_look_fresh() {
        let late = judged(vec![copy(1, 1000, 5), copy(2, 1000, 5), copy(120, 10, 5)], Promise::default());
        assert_eq!((late.last_success, late.age_s, late.size_bytes), (Some(at(2)), Some(98 * 3_600), Some(1000)));
        assert_eq!(late.complaints, ["c120: is dated in the future: a clock is wrong"]);
        // Clocks of two machines are never quite the same.
        let skewed = Copy { at: at(100) + TimeDelta::minutes(4), ..copy(100, 1000, 5) };
        let fresh = judged(vec![copy(90, 1000, 5), skewed], Promise::default());
        assert_eq!((fresh.age_s, fresh.complaints.len()), (Some(0), 0));
        let only = judged(vec![copy(120, 10, 5)], Promise::default());
        assert_eq!((only.last_success, only.age_s), (None, None));
        // Where runs are told and no copies.
        let run = |hours: i64, ok| crate::domain::JobRun { ended: Some(at(hours)), ok: Some(ok), ..crate::domain::JobRun::default() };
        let told = Backup { last_success: Some(at(200)), runs: vec![run(80, true), run(90, false), run(200, true)], ..Backup::default() };
        let told = judge(told, &Promise::default(), at(100));
        assert_eq!((told.last_success, told.age_s), (Some(at(80)), Some(20 * 3_600)));
        assert_eq!(told.complaints, ["is dated in the future: a clock is wrong"]);
    }

    #[test]
    fn only_the_newest_are_told() {
        let backup = judged((0..90).map(|hours| copy(hours, 1, 1)).collect(), Promise::default());
        assert_eq!((backup.copies.len(), backup.snapshots), (TOLD, 90));
        assert_eq!(backup.copies.last().map(|copy| copy.name.as_str()), Some("c89"));
    }
}
