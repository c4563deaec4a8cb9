//! An errand: what a source offers for its items, taken up for one of them or many. Told to the source, recorded like an action.
//!
//! Some offers are done by a verb of rounds itself (`rounds upgrade`): the program is run like an action, its output told, its report
//! in one line taken as its end, and the verb leaves the record to whoever runs it.
//!
//! What does not belong here: what is offered (`sources`), asking the person (`state::offering`, `cli`).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::mask::Mask;
use super::runner::{self, Progress};
use crate::domain::{ActionEnd, SourceError, SourceId, Timestamp, Transition, TransitionKind};
use crate::io::exec::Program;
use crate::io::secret::Known;
use crate::sources::door::Door;
use crate::sources::{Call, ItemKey, Offer, Outcome};

/// Bounds a whole errand; services bound each of their requests.
pub const LIMIT: Duration = Duration::from_secs(300);
/// Bounds a verb; it bounds itself, and says so, a little before.
pub const VERB_LIMIT: Duration = Duration::from_secs(2 * 3_600 + 300);
/// How long a verb may take to put things in order when it is asked to end.
const GRACE: Duration = Duration::from_secs(20);
/// The flag by which a verb is told that its run is recorded by whoever started it, before the run's name.
pub const RECORDED: &str = "--recorded";
/// Of many that failed so many are named in one sentence.
const NAMED: usize = 6;

/// One item that something is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Which.
    pub key: ItemKey,
    /// What people call it: `SHOP-4K2`.
    pub name: String,
    /// The id of the offer that takes it back, where there is one that needs no more words.
    pub undo: Option<String>,
}

/// An offer taken up, as it was confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// Which run.
    pub run: String,
    /// The source that is told.
    pub source: SourceId,
    /// The offer's id.
    pub offer: String,
    /// For reading: `resolve`.
    pub title: String,
    /// What is called, for the record.
    pub calls: String,
    /// What was asked for.
    pub arguments: BTreeMap<String, String>,
    /// The verb that does it, with its arguments before the names of the items; empty: the source's service does it.
    pub verb: Vec<String>,
    /// Its flags after them.
    pub flags: Vec<String>,
    /// Its items, never empty, all of one source.
    pub items: Vec<Target>,
    /// Who.
    pub by: String,
    /// It takes an earlier one back.
    pub undoes: bool,
}

/// What came of each item, in their order.
pub type Results = Vec<Result<Outcome, SourceError>>;

impl Errand {
    /// One of this offer for these items of one source.
    #[must_use]
    pub fn new(offer: &Offer, arguments: BTreeMap<String, String>, items: Vec<Target>, source: SourceId, run: String, by: String) -> Self {
        let (title, calls) = (offer.title.clone(), offer.calls.clone());
        let (verb, flags) = (offer.verb.clone(), offer.flags.clone());
        Self { run, source, offer: offer.id.clone(), title, calls, arguments, verb, flags, items, by, undoes: false }
    }

    /// Its items for reading: `SHOP-4K2`, `3 issues`.
    #[must_use]
    pub fn subject(&self) -> String {
        subject(&self.items)
    }

    /// What is told to the service.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let call = |target: &Target| Call { key: target.key.clone(), offer: self.offer.clone(), arguments: self.arguments.clone() };
        self.items.iter().map(call).collect()
    }

    /// What was done, as the command log writes it: `resolve SHOP-4K2 SHOP-31C`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        if !self.verb.is_empty() {
            return self.command("rounds");
        }
        let arguments = self.arguments.iter().map(|(name, value)| format!("{name}={value}"));
        std::iter::once(self.offer.clone()).chain(arguments).chain(self.items.iter().map(|target| target.name.clone())).collect()
    }

    /// The verb as a command line of this program.
    fn command(&self, program: &str) -> Vec<String> {
        let names = self.items.iter().map(|target| &target.name);
        std::iter::once(program.to_owned()).chain(self.verb.iter().chain(names).chain(&self.flags).cloned()).collect()
    }

    /// How long it may take at most.
    #[must_use]
    pub fn limit(&self) -> Duration {
        if self.verb.is_empty() { LIMIT } else { VERB_LIMIT }
    }

    /// Whether it can be stopped on its way: what a source was told cannot be called back.
    #[must_use]
    pub fn can_stop(&self) -> bool {
        !self.verb.is_empty()
    }

    /// The record before it is told.
    #[must_use]
    pub fn begun(&self, now: Timestamp) -> Transition {
        Transition {
            at: now,
            site: self.source.site().to_owned(),
            source: Some(self.source.clone()),
            sentence: format!("{} began: {} {}", self.by, self.title, self.subject()),
            kind: TransitionKind::Action {
                run: self.run.clone(),
                by: self.by.clone(),
                steps: vec![self.words()],
                directory: self.calls.clone(),
                limit_s: self.limit().as_secs(),
                ended: None,
            },
        }
    }

    /// How it ended, in words that name what failed.
    #[must_use]
    pub fn end(&self, results: &[Result<Outcome, SourceError>], took_ms: u64) -> ActionEnd {
        let done = results.iter().filter(|result| result.is_ok()).count();
        let failed: Vec<(&str, &SourceError)> =
            self.items.iter().zip(results).filter_map(|(target, result)| Some((target.name.as_str(), result.as_ref().err()?))).collect();
        let words = match (failed.as_slice(), results) {
            ([], [Ok(one)]) => one.message.clone(),
            ([], _) => format!("all {done} done"),
            ([(_, error)], [_]) => format!("failed: {}", error.message),
            ([(_, first), ..], _) => {
                let names: Vec<&str> = failed.iter().take(NAMED).map(|(name, _)| *name).collect();
                let more = if failed.len() > NAMED { format!(" and {} more", failed.len() - NAMED) } else { String::new() };
                format!("{done} of {} done, not {}{more}: {}", results.len(), names.join(", "), first.message)
            }
        };
        ActionEnd { ok: failed.is_empty() && done > 0, words, took_ms }
    }

    /// What takes back what was done, each by its own offer and arguments.
    #[must_use]
    pub fn undone_by(&self, results: &[Result<Outcome, SourceError>]) -> Vec<Self> {
        let mut undo: Vec<Self> = Vec::new();
        for (target, result) in self.items.iter().zip(results) {
            let Ok(outcome) = result else { continue };
            let plain = || Some(Call { key: target.key.clone(), offer: target.undo.clone()?, arguments: BTreeMap::new() });
            let Some(call) = outcome.undo.clone().or_else(plain) else { continue };
            let back = Target { undo: None, ..target.clone() };
            match undo.iter_mut().find(|known| known.offer == call.offer && known.arguments == call.arguments) {
                Some(known) => known.items.push(back),
                None => undo.push(Self {
                    offer: call.offer,
                    title: format!("undo: {}", self.title),
                    arguments: call.arguments,
                    items: vec![back],
                    undoes: true,
                    ..self.clone()
                }),
            }
        }
        undo
    }
}

/// Items for reading: the name of one, the number of several.
#[must_use]
pub fn subject(items: &[Target]) -> String {
    match items {
        [one] => one.name.clone(),
        several => format!("{} items", several.len()),
    }
}

/// The line in which a verb says how it ended, for whoever reads its output.
#[must_use]
pub fn headline(source: &SourceId, words: &str, took: &str) -> String {
    format!("{source}: {words} ({took})")
}

/// What a verb's output says of its end.
#[derive(Debug, Default)]
struct Said {
    headline: Option<String>,
    complaint: Option<String>,
}

impl Said {
    fn hear(&mut self, source: &SourceId, line: &str) {
        if let Some(words) = line.strip_prefix(source.as_str()).and_then(|rest| rest.strip_prefix(": ")).and_then(|rest| rest.rsplit_once(" (")) {
            self.headline = Some(words.0.to_owned());
        } else if let Some(words) = line.strip_prefix("rounds: ") {
            self.complaint = Some(words.to_owned());
        }
    }

    fn end(self, ended: Result<(), String>, took_ms: u64) -> ActionEnd {
        let (ok, words) = match ended {
            Ok(()) => (true, self.headline.unwrap_or_else(|| "exit 0".to_owned())),
            Err(words) if words.starts_with("exit ") => (false, self.headline.or(self.complaint).unwrap_or(words)),
            Err(words) => (false, words),
        };
        ActionEnd { ok, words, took_ms }
    }
}

/// Runs the verb of an errand: `program` is this program with the flags by which it reads the same configuration. `tell` answers whether
/// it took what it was told.
pub async fn run_verb(program: &[String], errand: &Errand, redact: &[String], stop: &CancellationToken, mut tell: impl FnMut(Progress) -> bool) -> ActionEnd {
    let begun = std::time::Instant::now();
    let took = || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Some((first, flags)) = program.split_first().filter(|_| errand.can_stop()) else {
        return ActionEnd { ok: false, words: "not run: this program does not know where it is".to_owned(), took_ms: took() };
    };
    let mut argv = errand.command(first);
    argv.splice(1..1, flags.iter().cloned());
    argv.extend([RECORDED.to_owned(), errand.run.clone()]);
    let mask = Mask::new(Known::of_process().all()).redacting(redact);
    let mut said = Said::default();
    let hear = |progress: Progress| {
        if let Progress::Output(lines, _) = &progress {
            for line in lines {
                said.hear(&errand.source, line);
            }
        }
        tell(progress)
    };
    let ended = runner::program(&Program::new(argv), (errand.limit(), GRACE), stop, &mask, hear).await;
    said.end(ended, took())
}

/// Tells it to the source. Nothing is told when nobody holds the way to it.
pub async fn run(door: Option<Door>, errand: &Errand) -> Results {
    match door {
        Some(door) => door.perform(&errand.calls(), LIMIT).await,
        None => {
            let error = SourceError::config(format!("{} is not configured, or paused", errand.source), "nothing was changed");
            errand.items.iter().map(|_| Err(error.clone())).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errand(names: &[&str]) -> Errand {
        let source = SourceId::parse("shop/sentry/errors").unwrap();
        let target = |name: &&str| Target {
            key: ItemKey { source: source.clone(), item: name.to_lowercase() },
            name: (*name).to_owned(),
            undo: Some("unresolve".to_owned()),
        };
        let items = names.iter().map(target).collect();
        Errand::new(&Offer::new("resolve", "resolve"), BTreeMap::new(), items, source, "ana@1#0".into(), "ana".into())
    }

    fn good(words: &str) -> Outcome {
        Outcome { message: words.to_owned(), ..Outcome::default() }
    }

    #[test]
    fn its_end_names_what_failed() {
        let bad = || Err(SourceError::auth("it needs event:write (403)", "give it"));
        for (names, results, ok, words) in [
            (&["A"][..], vec![Ok(good("issue 1 is resolved"))], true, "issue 1 is resolved"),
            (&["A", "B"], vec![Ok(good("x")), Ok(good("y"))], true, "all 2 done"),
            (&["A"], vec![bad()], false, "failed: it needs event:write (403)"),
            (&["A", "B", "C"], vec![Ok(good("x")), bad(), bad()], false, "1 of 3 done, not B, C: it needs event:write (403)"),
        ] {
            let end = errand(names).end(&results, 5);
            assert_eq!((end.ok, end.words.as_str()), (ok, words));
        }
    }

    #[test]
    fn only_what_was_done_is_taken_back_each_in_its_own_way() {
        let errand = errand(&["A", "B", "C"]);
        let to = |who: &str| [("to".to_owned(), who.to_owned())].into();
        let given = Call { key: errand.items[2].key.clone(), offer: "assign".into(), arguments: to("team:9") };
        let third = Ok(Outcome { undo: Some(given), ..Outcome::default() });
        let undo = errand.undone_by(&[Ok(good("x")), Err(SourceError::connect("no")), third]);
        let told: Vec<Vec<String>> = undo.iter().map(Errand::words).collect();
        assert_eq!(told, [vec!["unresolve", "A"], vec!["assign", "to=team:9", "C"]]);
        assert!(undo.iter().all(|undo| undo.undoes && undo.items.iter().all(|target| target.undo.is_none())));
    }

    fn verb(names: &[&str]) -> Errand {
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect();
        Errand { verb: words(&["upgrade", "shop/sentry/errors"]), flags: words(&["--yes"]), ..errand(names) }
    }

    /// The program is a shell that prints what it was given.
    #[tokio::test]
    async fn a_verb_is_run_with_the_names_and_its_report_is_its_end() {
        let run = async |script: &str| {
            let program = ["sh", "-c", script, "rounds"].map(str::to_owned);
            let mut lines = Vec::new();
            let end = run_verb(&program, &verb(&["django", "redis"]), &[], &CancellationToken::new(), |progress| {
                if let Progress::Output(some, _) = progress {
                    lines.extend(some);
                }
                true
            })
            .await;
            (end.ok, end.words, lines)
        };
        let (ok, words, lines) = run("echo \"$@\"; echo 'shop/sentry/errors: 2 kept on branch rounds/upgrade-2026-11-21 (3 m)'; echo more").await;
        assert_eq!((ok, words.as_str()), (true, "2 kept on branch rounds/upgrade-2026-11-21"));
        assert_eq!(lines[0], "upgrade shop/sentry/errors django redis --yes --recorded ana@1#0");
        let (ok, words, _) = run("echo 'rounds: looks' >&2; echo 'rounds: nobody commits here; git config' >&2; exit 64").await;
        assert_eq!((ok, words.as_str()), (false, "nobody commits here; git config"));
        let (ok, words, _) = run("echo 'shop/sentry/errors: 1 kept, 1 rolled back on branch x (3 m)'; exit 1").await;
        assert_eq!((ok, words.as_str()), (false, "1 kept, 1 rolled back on branch x"));
        assert_eq!(run("exit 3").await.1, "exit 3");
    }

    #[tokio::test]
    async fn a_verb_that_is_stopped_says_so() {
        let stop = CancellationToken::new();
        stop.cancel();
        let program = ["sh", "-c", "sleep 60", "rounds"].map(str::to_owned);
        let end = run_verb(&program, &verb(&["django"]), &[], &stop, |_| true).await;
        assert_eq!((end.ok, end.words.as_str()), (false, "stopped"));
        assert!(!run_verb(&[], &verb(&["django"]), &[], &stop, |_| true).await.ok);
    }

    #[test]
    fn the_record_says_who_what_and_where() {
        let begun = errand(&["A", "B"]).begun(crate::io::clock::now());
        assert_eq!(begun.sentence, "ana began: resolve 2 items");
        let TransitionKind::Action { steps, ended, .. } = begun.kind else { panic!("no action") };
        assert_eq!((steps[0].join(" ").as_str(), ended), ("resolve A B", None));
    }
}
