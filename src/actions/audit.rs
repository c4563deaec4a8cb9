//! What is recorded of an action: one transition before it runs, one when it has ended. Both are kept in the journal.
//!
//! What does not belong here: keeping (`journal`), showing (`ui`).

use std::collections::BTreeMap;

use super::ActionSpec;
use crate::domain::{ActionEnd, SourceId, Timestamp, Transition, TransitionKind};

/// The record before it runs.
#[must_use]
pub fn begun(spec: &ActionSpec, steps: Vec<Vec<String>>, run: &str, by: &str, now: Timestamp) -> Transition {
    Transition {
        at: now,
        site: spec.id.site().to_owned(),
        source: Some(spec.id.clone()),
        sentence: format!("{by} began: {}", spec.title),
        kind: TransitionKind::Action {
            run: run.to_owned(),
            by: by.to_owned(),
            steps,
            directory: spec.directory.clone(),
            limit_s: spec.timeout.as_secs().saturating_add(1),
            ended: None,
        },
    }
}

/// The record of its end, made from that of its beginning; `None` when that was none.
#[must_use]
pub fn ended(begun: &Transition, end: ActionEnd, title: &str, now: Timestamp) -> Option<Transition> {
    let TransitionKind::Action { run, by, steps, directory, limit_s, .. } = &begun.kind else { return None };
    let sentence = format!("{title} by {by}: {}", end.words);
    let kind =
        TransitionKind::Action { run: run.clone(), by: by.clone(), steps: steps.clone(), directory: directory.clone(), limit_s: *limit_s, ended: Some(end) };
    Some(Transition { at: now, site: begun.site.clone(), source: begun.source.clone(), sentence, kind })
}

/// How long a run whose end nobody told is still believed to run past its limit: it is stopped then, which takes a while.
const SLACK_S: i64 = 30;

/// One run as the events tell it.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// When it began.
    pub began: &'a Transition,
    /// When it ended.
    pub ended: Option<&'a Transition>,
}

impl Run<'_> {
    /// Whether it still runs, as far as is known: past its limit it does not, whatever became of who ran it.
    #[must_use]
    pub fn is_running(&self, now: Timestamp) -> bool {
        let TransitionKind::Action { limit_s, .. } = &self.began.kind else { return false };
        let limit = i64::try_from(*limit_s).unwrap_or(i64::MAX).min(10 * 365 * 86_400);
        self.ended.is_none() && now < self.began.at + chrono::Duration::seconds(limit + SLACK_S)
    }
}

/// All runs that the events tell of, newest first; an end without its beginning stands for both.
#[must_use]
pub fn runs<'a>(events: impl Iterator<Item = &'a Transition>) -> Vec<Run<'a>> {
    let mut order = Vec::new();
    let mut by_run: BTreeMap<&str, (Option<&Transition>, Option<&Transition>)> = BTreeMap::new();
    for event in events {
        let TransitionKind::Action { run, ended, .. } = &event.kind else { continue };
        let entry = by_run.entry(run).or_insert_with(|| {
            order.push(run.as_str());
            (None, None)
        });
        if ended.is_some() { entry.1 = Some(event) } else { entry.0 = Some(event) }
    }
    let mut runs: Vec<Run<'_>> = order
        .into_iter()
        .filter_map(|run| {
            let (began, ended) = by_run.get(run)?;
            Some(Run { began: (*began).or(*ended)?, ended: *ended })
        })
        .collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.began.at));
    runs
}

/// Who runs this action now, as the events tell.
pub fn running<'a>(events: impl Iterator<Item = &'a Transition>, id: &SourceId, now: Timestamp) -> Vec<Run<'a>> {
    runs(events).into_iter().filter(|run| run.began.source.as_ref() == Some(id) && run.is_running(now)).collect()
}
