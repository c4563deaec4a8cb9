//! What is known of a group of the error book beyond its list, and what a person can do to it: the newest example down to the line of code;
//! resolving, ignoring until it escalates, merging and splitting. All of it is kept in the journal, so it needs one.
//!
//! What does not belong here: what a deed makes of a group (`domain::book`), keeping it (`journal`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::stack;
use crate::domain::book::{Mark, TIMES};
use crate::domain::{Breadcrumb, Deed, IssueState, SourceError};
use crate::io::clock;
use crate::journal::{self, BookError, Identity, Reader};
use crate::sources::{Ask, BoxFuture, Call, Detail, DetailBody, Form, ItemKey, Now, Offer, Outcome, Service};

/// The name of the argument that tells how many times its mean an error must come to escalate.
const TIMES_ARGUMENT: &str = "times";
/// The name of the argument that tells which group another is merged into.
const INTO: &str = "into";

/// The book of one source.
#[derive(Debug, Clone)]
pub struct BookService {
    /// Where the journal is; `None`: nothing is kept.
    pub state: Option<PathBuf>,
    /// Paths of the application.
    pub project: Vec<String>,
}

fn without() -> SourceError {
    SourceError::nothing("there is no journal, so nothing is kept of a log's errors", "start rounds with a --state-dir that can be written")
}

fn refused(error: &BookError) -> SourceError {
    match error {
        BookError::Store(error) => SourceError::nothing(format!("the journal: {error}"), "see `rounds doctor`"),
        BookError::Deed(error) => SourceError::nothing(error.to_string(), "`rounds errors` lists the groups"),
    }
}

impl BookService {
    /// Runs something that may wait for a disk.
    async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, SourceError> + Send + 'static) -> Result<T, SourceError> {
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(SourceError::protocol("the error book could not be asked")))
    }
}

fn deed(call: &Call) -> Result<Deed, SourceError> {
    let argument = |name: &str| call.arguments.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    Ok(match call.offer.as_str() {
        "resolve" => Deed::Resolve,
        "unresolve" => Deed::Reopen,
        "archive" | "archive_times" => match argument(TIMES_ARGUMENT) {
            None => Deed::Ignore(TIMES),
            Some(times) => Deed::Ignore(times.parse().map_err(|_| SourceError::config(format!("\"{times}\" is no number"), "a whole number from 2 on"))?),
        },
        "merge" => {
            let into = argument(INTO).ok_or_else(|| SourceError::config("no group to merge into was named", "name it by its id"))?;
            Deed::Merge(into.strip_prefix("log:").unwrap_or(into).to_owned())
        }
        "split" => Deed::Split,
        other => return Err(SourceError::config(format!("an error of a log knows no \"{other}\""), "resolve, archive, unresolve, merge or split")),
    })
}

/// The call that takes a deed back.
fn undo(call: &Call, before: &crate::domain::BookGroup, deed: &Deed) -> Call {
    let (offer, arguments) = match (deed, before.mark) {
        (Deed::Merge(_), _) => match &before.into {
            Some(into) => ("merge", BTreeMap::from([(INTO.to_owned(), into.clone())])),
            None => ("split", BTreeMap::new()),
        },
        (Deed::Split, _) => ("merge", BTreeMap::from([(INTO.to_owned(), before.into.clone().unwrap_or_default())])),
        (_, Mark::Resolved) => ("resolve", BTreeMap::new()),
        (_, Mark::Ignored) => ("archive_times", BTreeMap::from([(TIMES_ARGUMENT.to_owned(), before.times.unwrap_or(TIMES).to_string())])),
        (_, Mark::Open | Mark::Regressed | Mark::Escalated) => ("unresolve", BTreeMap::new()),
    };
    Call { key: call.key.clone(), offer: offer.to_owned(), arguments }
}

impl Service for BookService {
    fn detail(&self, key: &ItemKey, _: Option<&str>) -> BoxFuture<'_, Result<Detail, SourceError>> {
        let (key, project, state) = (key.clone(), self.project.clone(), self.state.clone());
        Box::pin(Self::blocking(move || {
            let dir = state.ok_or_else(without)?;
            let read = Reader::open(&dir).and_then(|reader| reader.example(&key.source, &key.item));
            let example = read.map_err(|error| refused(&BookError::Store(error)))?;
            // The journal writes what came a moment ago.
            let not_yet =
                || SourceError { retry_after_s: Some(2), ..SourceError::nothing("no example of this error was kept", "the next one that comes is kept") };
            let example = example.ok_or_else(not_yet)?;
            let mut event = stack::event(&example.event, &project);
            event.breadcrumbs = example
                .before
                .into_iter()
                .map(|line| Breadcrumb { at: Some(line.at), category: "log".to_owned(), level: line.level, message: line.message })
                .collect();
            Ok(Detail { key, body: DetailBody::Event(Box::new(event)), link: None })
        }))
    }

    fn offers(&self, _: &ItemKey) -> Vec<Offer> {
        if self.state.is_none() {
            return Vec::new();
        }
        let offer = |id: &str, title: &str, undo: &str, changes: &str, undone: &str, asks: Vec<Ask>| Offer {
            id: id.to_owned(),
            title: title.to_owned(),
            dangerous: false,
            undo: Some(undo.to_owned()),
            asks,
            calls: "the journal of this machine".to_owned(),
            changes: changes.to_owned(),
            undone: undone.to_owned(),
            ..Offer::default()
        };
        let times = Ask::new(TIMES_ARGUMENT, "at how many times its mean an hour does it come back?", Form::Count(1_000));
        let into = Ask::new(INTO, "into which group? its id", Form::Word);
        vec![
            offer("resolve", "resolve", "unresolve", "it is done with until it comes again", "unresolve opens it again", vec![]),
            offer(
                "archive",
                "ignore until it escalates",
                "unresolve",
                "it is put aside until it comes five times as often as usual",
                "unresolve opens it again",
                vec![],
            ),
            offer(
                "archive_times",
                "ignore until it comes so many times as often",
                "unresolve",
                "it is put aside until it escalates",
                "unresolve opens it again",
                vec![times],
            ),
            offer("unresolve", "unresolve", "resolve", "it is open, as if nothing had been said of it", "resolve or ignore it again", vec![]),
            offer("merge", "merge into another group", "split", "both are counted as one error", "split takes them apart again", vec![into]),
            offer("split", "split off again", "merge", "it is an error of its own again", "merge joins them again", vec![]),
        ]
    }

    fn perform(&self, call: &Call) -> BoxFuture<'_, Result<Outcome, SourceError>> {
        let (call, state) = (call.clone(), self.state.clone());
        Box::pin(Self::blocking(move || {
            let dir = state.ok_or_else(without)?;
            let deed = deed(&call)?;
            let by = Identity::of_this_process().user;
            let before = journal::perform(&dir, &call.key.source, &call.key.item, &deed, &by, clock::now()).map_err(|error| refused(&error))?;
            let (done, state) = match &deed {
                Deed::Resolve => ("resolved".to_owned(), Some(IssueState::Resolved)),
                Deed::Ignore(times) => (format!("ignored until it comes {times} times as often as usual"), Some(IssueState::Archived)),
                Deed::Reopen => ("open again".to_owned(), Some(IssueState::Ongoing)),
                Deed::Merge(into) => (format!("merged into {into}"), None),
                Deed::Split => ("split off".to_owned(), None),
            };
            Ok(Outcome { message: format!("log:{} is {done}", call.key.item), undo: Some(undo(&call, &before, &deed)), now: Now { state, assignee: None } })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Data, Level, LogBatch, LogEvent, LogGroup, Noted, Observation, SourceId};
    use crate::journal::Journal;
    use crate::sources::Collected;
    use crate::state::msg::Polled;

    fn key(item: &str) -> ItemKey {
        ItemKey { source: SourceId::parse("shop/log/django").unwrap(), item: item.to_owned() }
    }

    fn call(item: &str, offer: &str, arguments: &[(&str, &str)]) -> Call {
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Call { key: key(item), offer: offer.to_owned(), arguments }
    }

    /// A journal that knows the groups `a` and `b`.
    fn kept(dir: &std::path::Path) -> Journal {
        let settings = crate::config::model::Journal { keep: std::time::Duration::from_hours(24 * 400), url: None, redact: Vec::new() };
        let journal = Journal::open(dir, &settings, Identity::of_this_process()).journal.unwrap();
        let now = clock::now();
        for name in ["a", "b"] {
            let group = LogGroup {
                fingerprint: name.into(),
                title: "KeyError: 'currency'".into(),
                culprit: "basket/pricing.py:88 in total".into(),
                level: Level::Error,
                count: 1,
                first_seen: now,
                last_seen: now,
            };
            let detail = "Traceback (most recent call last):\n  File \"/srv/shop/basket/pricing.py\", line 88, in total\n    x\nKeyError: 'currency'";
            let event = LogEvent {
                at: now,
                level: Level::Error,
                file: 0,
                message: "Internal Server Error: /basket/".into(),
                detail: detail.lines().map(str::to_owned).collect(),
                fingerprint: Some(name.into()),
                place: None,
            };
            let noted = Noted { fingerprint: name.into(), former: None, times: vec![(now.timestamp(), 1)] };
            let batch = LogBatch { groups: vec![group], book: vec![noted], events: vec![event], ..LogBatch::default() };
            let observations = vec![Observation { at: now, data: Data::Log(batch) }];
            let result = Ok(Collected { observations, problems: vec![], complete: false });
            journal.keep_poll(Polled { source: key(name).source, started: now, at: now, result, next_at: None });
        }
        assert!(journal.flush(std::time::Duration::from_secs(20)));
        journal
    }

    #[tokio::test]
    async fn an_error_of_a_log_is_told_down_to_the_line_and_what_is_done_to_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let _journal = kept(dir.path());
        let service = BookService { state: Some(dir.path().to_owned()), project: Vec::new() };
        let DetailBody::Event(event) = service.detail(&key("a"), None).await.unwrap().body else { panic!("an event") };
        assert_eq!((event.exceptions[0].kind.as_str(), event.exceptions[0].frames[0].place()), ("KeyError", "basket/pricing.py:88".to_owned()));
        assert_eq!(event.request.unwrap().url, "/basket/");
        for (offer, arguments, back) in
            [("resolve", &[][..], "unresolve"), ("archive_times", &[("times", "9")], "unresolve"), ("merge", &[("into", "log:b")], "split")]
        {
            let outcome = service.perform(&call("a", offer, arguments)).await.unwrap();
            let undo = outcome.undo.unwrap();
            assert_eq!(undo.offer, back, "{offer}");
            let again = service.perform(&undo).await.unwrap().undo.unwrap();
            assert_eq!((again.offer.as_str(), again.arguments.len()), (offer, arguments.len()), "what took it back is taken back");
        }
        let refused = service.perform(&call("nope", "resolve", &[])).await.unwrap_err();
        assert!(refused.message.contains("no group nope"), "{}", refused.message);
        assert!(service.perform(&call("a", "explode", &[])).await.is_err());
        // Every offer is one that can be performed.
        for offer in service.offers(&key("a")) {
            let arguments: Vec<(&str, &str)> = offer.asks.iter().map(|ask| (ask.name.as_str(), if ask.name == "into" { "b" } else { "5" })).collect();
            assert!(deed(&call("a", &offer.id, &arguments)).is_ok(), "{}", offer.id);
        }
        let without = BookService { state: None, project: Vec::new() };
        assert!(without.offers(&key("a")).is_empty());
        assert!(without.detail(&key("a"), None).await.unwrap_err().message.contains("no journal"));
    }
}
