//! An errand: what a source offers for its items, taken up for one of them or many. Told to the source, recorded like an action.
//!
//! What does not belong here: what is offered (`sources`), asking the person (`state::offering`, `cli`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{ActionEnd, SourceError, SourceId, Timestamp, Transition, TransitionKind};
use crate::sources::door::Door;
use crate::sources::{Call, ItemKey, Offer, Outcome};

/// Bounds a whole errand; services bound each of their requests.
pub const LIMIT: Duration = Duration::from_secs(300);
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
        Self { run, source, offer: offer.id.clone(), title, calls, arguments, items, by, undoes: false }
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
        let arguments = self.arguments.iter().map(|(name, value)| format!("{name}={value}"));
        std::iter::once(self.offer.clone()).chain(arguments).chain(self.items.iter().map(|target| target.name.clone())).collect()
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
                limit_s: LIMIT.as_secs(),
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

    #[test]
    fn the_record_says_who_what_and_where() {
        let begun = errand(&["A", "B"]).begun(crate::io::clock::now());
        assert_eq!(begun.sentence, "ana began: resolve 2 items");
        let TransitionKind::Action { steps, ended, .. } = begun.kind else { panic!("no action") };
        assert_eq!((steps[0].join(" ").as_str(), ended), ("resolve A B", None));
    }
}
