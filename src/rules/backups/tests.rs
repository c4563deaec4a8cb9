use std::sync::LazyLock;

use chrono::TimeDelta;

use super::Backups;
use super::keep::{Failed, Locks, Overlap, Places, Space};
use super::tries::{Checks, Drills};
use crate::actions::ActionSpec;
use crate::backups::schedule::Job;
use crate::domain::backup::{Check, Drill, JobRun, Lock, Place};
use crate::domain::{Backup, Bound, Finding, Severity, Timestamp};
use crate::rules::{Answer, Context, Rule};
use crate::state::{SourceState, World, tries};
use crate::ui::fixture::{id, now, story};

static KNOWN: LazyLock<SourceState> = LazyLock::new(|| story().world.sources[&id("shop/restic/db")].clone());

const DAY: u64 = 86_400;

fn ago(days: i64) -> Timestamp {
    now() - TimeDelta::days(days)
}

/// Data sets `db` and `media` of one site, as `with` makes them.
fn world(with: impl Fn(&str, &mut Backup)) -> World {
    let mut world = World::default();
    for name in ["db", "media"] {
        let mut source = KNOWN.clone();
        source.spec.id = id(&format!("shop/restic/{name}"));
        source.spec.title = name.to_owned();
        source.since = Some(ago(100));
        let mut backup = Backup { last_success: Some(now()), ..Backup::default() };
        with(name, &mut backup);
        source.backup = Some((now(), Box::new(backup)));
        world.sources.insert(source.spec.id.clone(), source);
    }
    world
}

/// Each can be drilled and checked from here.
fn with_tries(mut world: World) -> World {
    for source in world.sources.keys() {
        for job in [Job::Drill, Job::Check] {
            let spec = ActionSpec {
                id: tries::id(job, source).unwrap(),
                title: String::new(),
                scope: vec![source.within_site().to_owned()],
                steps: vec![tries::step(job, source, None)],
                prompt: None,
                confirm: None,
                dangerous: false,
                timeout: std::time::Duration::from_secs(60),
                directory: String::new(),
                env: Vec::new(),
                after: Vec::new(),
                output: crate::actions::Show::Show,
                key: None,
                poll: Vec::new(),
                polls: String::new(),
                runbook: None,
            };
            world.tries.push(spec);
        }
    }
    world
}

fn of(rule: &dyn Rule, world: &World, name: &str) -> Option<Finding> {
    let source = &world.sources[&id(&format!("shop/restic/{name}"))];
    match rule.evaluate(source, Context { world, now: now() }) {
        Answer::Firing(mut found) => found.pop(),
        Answer::Ok(_) | Answer::NotYet(_) => None,
    }
}

fn said(rule: &dyn Rule, world: &World) -> Vec<(Severity, String)> {
    ["db", "media"].iter().filter_map(|name| of(rule, world, name)).map(|found| (found.severity, found.title)).collect()
}

fn drill(days: i64, problem: Option<&str>) -> Drill {
    Drill { at: ago(days), ok: problem.is_none(), seconds: 2.0, problem: problem.map(str::to_owned), ..Drill::default() }
}

#[test]
fn a_restore_that_failed_is_late_or_never_made_is_told() {
    let every = |days: u64, drill: Option<Drill>| {
        world(move |name, b| {
            if name == "db" {
                (b.drill_every_s, b.drill) = (Some(days * DAY), drill.clone());
            }
        })
    };
    use Severity::{Critical, Warning};
    for (world, expected) in [
        (every(30, Some(drill(20, None))), vec![]),
        (every(30, Some(drill(29, None))), vec![(Severity::Info, "Restore drill of db is due".to_owned())]),
        (every(30, Some(drill(31, None))), vec![(Severity::Info, "Restore drill of db is due".to_owned())]),
        (every(30, Some(drill(48, None))), vec![(Warning, "Restore drill of db is 18 days late".to_owned())]),
        (every(30, Some(drill(3, Some("the dump does not load")))), vec![(Critical, "Restore of db failed: the dump does not load".to_owned())]),
        (every(30, None), vec![(Warning, "Backup db was never restored, 70 days late".to_owned())]),
        (every(365, None), vec![]),
    ] {
        assert_eq!(said(&Drills, &world), expected);
    }
    let late = of(&Drills, &every(30, Some(drill(48, None))), "db").unwrap();
    assert_eq!(late.due, Some(ago(18)));
    // Taken, it stays taken while it becomes later; a failure brings it back.
    let bound = Bound::of(&late);
    assert!(bound.covers(&of(&Drills, &every(30, Some(drill(60, None))), "db").unwrap()));
    assert!(!bound.covers(&of(&Drills, &every(30, Some(drill(60, Some("x")))), "db").unwrap()));
}

#[test]
fn where_nothing_is_promised_it_is_said_once_a_site() {
    assert!(said(&Drills, &world(|_, _| {})).is_empty(), "what cannot be restored from here is not asked for");
    let both = with_tries(world(|_, _| {}));
    assert_eq!(said(&Drills, &both), [(Severity::Info, "2 backups of shop were never restored".to_owned())]);
    assert_eq!(said(&Checks, &both), [(Severity::Info, "2 backups of shop were never checked".to_owned())]);
    let one = with_tries(world(|name, b| {
        if name == "db" {
            b.drill = Some(drill(400, None));
        }
    }));
    assert_eq!(said(&Drills, &one), [(Severity::Info, "Backup media was never restored".to_owned())]);
    let checked = with_tries(world(|_, b| b.checked_at = Some(now())));
    assert!(said(&Checks, &checked).is_empty());
}

#[test]
fn a_check_that_failed_or_is_late_is_told_once() {
    let check = |days: i64, ok: bool| Some(Check { at: ago(days), ok, depth: "structure only".into(), message: "pack 4f is damaged".into() });
    let of_check = |every: Option<u64>, check: Option<Check>, complaints: &[&str]| {
        let complaints: Vec<String> = complaints.iter().map(|&c| c.to_owned()).collect();
        let world = world(|name, b| {
            if name == "db" {
                (b.check_every_s, b.check, b.complaints) = (every, check.clone(), complaints.clone());
            }
        });
        said(&Checks, &world)
    };
    assert!(of_check(Some(7 * DAY), check(6, true), &[]).is_empty());
    assert_eq!(of_check(Some(7 * DAY), check(12, true), &[]), [(Severity::Warning, "Check of db is 5 days late".to_owned())]);
    assert_eq!(of_check(None, check(1, false), &[]), [(Severity::Critical, "Check of db failed: pack 4f is damaged".to_owned())]);
    assert!(of_check(None, check(1, false), &["failed its check: pack 4f is damaged"]).is_empty(), "told by the rule of the promises");
}

#[test]
fn a_run_that_failed_is_told_until_a_copy_comes() {
    let run = |hours: i64, ok| JobRun { ended: Some(now() - TimeDelta::hours(hours)), ok: Some(ok), message: "no space left".into(), ..JobRun::default() };
    let failed = |good: i64, runs: Vec<JobRun>| {
        let world = world(|name, b| {
            if name == "db" {
                (b.last_success, b.runs) = (Some(now() - TimeDelta::hours(good)), runs.clone());
            }
        });
        said(&Failed, &world)
    };
    assert_eq!(failed(30, vec![run(30, true), run(6, false)]), [(Severity::Warning, "The last run of backup db failed: no space left".to_owned())]);
    assert!(failed(2, vec![run(6, false)]).is_empty());
    assert!(failed(2, vec![run(6, false), run(2, true)]).is_empty());
}

#[test]
fn that_the_last_run_failed_is_one_finding() {
    let failed = |complaints: &[&str], then: Vec<JobRun>| {
        let complaints: Vec<String> = complaints.iter().map(|&complaint| complaint.to_owned()).collect();
        let world = world(|name, b| {
            if name == "db" {
                let run = JobRun { ended: Some(now() - TimeDelta::hours(2)), ok: Some(false), message: "full".into(), ..JobRun::default() };
                (b.last_success, b.complaints) = (Some(now() - TimeDelta::hours(20)), complaints.clone());
                b.runs = std::iter::once(run).chain(then.clone()).collect();
            }
        });
        [said(&Failed, &world), said(&Backups, &world)].concat().into_iter().map(|(_, title)| title).collect::<Vec<_>>()
    };
    let told = "the last run failed: full";
    assert_eq!(failed(&[told], Vec::new()), ["The last run of backup db failed: full"]);
    assert_eq!(failed(&[told, "is too small: x"], Vec::new()), ["The last run of backup db failed: full", "Backup db is too small: x"]);
    // The next try runs: that says nothing of the one before.
    assert_eq!(failed(&[told], vec![JobRun::default()]), ["The last run of backup db failed: full"]);
    let well = JobRun { ended: Some(now() - TimeDelta::hours(1)), ok: Some(true), ..JobRun::default() };
    assert_eq!(failed(&[told], vec![well]), ["Backup db the last run failed: full"], "what no other rule tells is told here");
}

#[test]
fn where_the_copies_lie_is_told() {
    let place = |name: &str, near| Place { name: name.into(), newest: None, same_machine: near };
    let places = |of: Vec<Place>| world(move |_, b| b.places.clone_from(&of));
    assert!(said(&Places, &places(vec![])).is_empty());
    assert!(said(&Places, &places(vec![place("nas", Some(false)), place("s3", None)])).is_empty());
    assert_eq!(said(&Places, &places(vec![place("nas", Some(false))])), [(Severity::Info, "2 backups of shop are in one place only".to_owned())]);
    let near = said(&Places, &places(vec![place("/backups", Some(true))]));
    assert_eq!(near.len(), 2);
    assert_eq!(near[0], (Severity::Warning, "Backup db is only on the machine it protects".to_owned()));
}

#[test]
fn a_disk_that_fills_and_a_lock_that_stayed_are_told() {
    let full = |days: i64| {
        said(
            &Space,
            &world(|name, b| {
                if name == "db" {
                    b.full_on = Some(ago(-days));
                }
            }),
        )
    };
    assert!(full(15).is_empty());
    assert_eq!(full(10), [(Severity::Warning, "The disk of backup db is full in 10 days".to_owned())]);
    assert_eq!(full(2), [(Severity::Critical, "The disk of backup db is full in 2 days".to_owned())]);
    assert_eq!(full(-1)[0].1, "The disk of backup db is full");
    let lock = |hours: i64, stale: bool| {
        let lock = Lock { holder: "web1 (pid 4127)".into(), since: Some(now() - TimeDelta::hours(hours)), stale };
        said(
            &Locks,
            &world(|name, b| {
                if name == "db" {
                    b.locks = vec![lock.clone()];
                }
            }),
        )
    };
    assert!(lock(3, false).is_empty());
    assert_eq!(lock(9, true), [(Severity::Warning, "A stale lock is on backup db".to_owned())]);
    assert_eq!(lock(30, false), [(Severity::Warning, "Backup db is locked for 30 hours".to_owned())]);
}

#[test]
fn jobs_that_run_into_each_other_are_told_once() {
    let run = |from: i64, minutes: i64| JobRun {
        started: Some(now() - TimeDelta::minutes(from)),
        ended: Some(now() - TimeDelta::minutes(from - minutes)),
        ok: Some(true),
        ..JobRun::default()
    };
    let runs = |media: JobRun| {
        let world = world(|name, b| b.runs = vec![if name == "db" { run(600, 20) } else { media.clone() }]);
        said(&Overlap, &world)
    };
    assert_eq!(runs(run(590, 30)), [(Severity::Info, "Backups db and media run at the same time".to_owned())]);
    assert!(runs(run(580, 30)).is_empty());
    assert!(runs(run(500, 5)).is_empty());
    assert!(runs(JobRun::default()).is_empty());
}
