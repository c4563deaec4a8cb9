//! What is run because a person asked: actions, tries of copies, what sources offer, verbs of this program. Each is recorded before it begins.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Hands;
use crate::actions::{self, Errand, Order, Progress, drill, runner};
use crate::app::dashboard::Dashboard;
use crate::domain::{ActionEnd, Timestamp, Transition};
use crate::journal::Journal;
use crate::sources::{ItemKey, Seen};
use crate::state::{Effect, Msg};

/// A record is waited for no longer before what it tells of begins.
const RECORDED: Duration = Duration::from_secs(5);

/// A run of ours whose end is not recorded yet.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) stop: CancellationToken,
    pub(super) task: JoinHandle<ActionEnd>,
    /// The record of its beginning.
    pub(super) record: Transition,
    pub(super) title: String,
    /// How it ended when it could not be waited for.
    pub(super) unanswered: &'static str,
}

impl Hands {
    /// Ends when the record of what begins now is on the disk: whatever becomes of this process in the next moment, it is known that it was
    /// begun. A disk that hangs holds nothing up for longer than `RECORDED`.
    pub(super) fn recorded(&self) -> impl Future<Output = ()> + Send + use<> {
        let written = self.journal().map(Journal::flushing);
        async move {
            if let Some(written) = written {
                let _ = tokio::task::spawn_blocking(move || written.wait(RECORDED)).await;
            }
        }
    }

    /// Runs what was confirmed, and tells what comes of it.
    pub(super) fn run_action(&mut self, order: Order, dashboard: &mut Dashboard, now: Timestamp) {
        if let Some(mut what) = self.tries.get(&order.action).filter(|_| self.trusted).cloned() {
            what.copy = order.answer;
            return self.run_try(what, order.run, dashboard);
        }
        let action = self.actions.iter().find(|action| action.spec.id == order.action).filter(|_| self.trusted).cloned();
        let begun = dashboard.state.world.runs.iter().find(|run| run.id == order.run).map(|run| (run.record.clone(), run.title.clone()));
        let (Some(action), Some((record, title))) = (action, begun) else {
            let end = ActionEnd { ok: false, words: "not run: this configuration is not trusted".to_owned(), took_ms: 0 };
            let effects = dashboard.take(Msg::ActionEnded { run: order.run, end }, now);
            for effect in effects.into_iter().filter(|effect| matches!(effect, Effect::KeepTransition(_))) {
                self.keep(effect);
            }
            return;
        };
        let (stop, messages, run) = (CancellationToken::new(), self.messages.clone(), order.run.clone());
        let (stopped, kept) = (stop.clone(), self.recorded());
        let task = self.runtime.spawn(async move {
            kept.await;
            let run = order.run.clone();
            let tell = |progress| {
                let run = run.clone();
                messages
                    .try_send(match progress {
                        Progress::Step(step, state) => Msg::ActionStep { run, step, state },
                        Progress::Output(lines, dropped) => Msg::ActionOutput { run, lines, dropped },
                    })
                    .is_ok()
            };
            let end = runner::run(&action, &order, &stopped, tell).await;
            // The loop has ended when this fails; then the end is recorded by whoever ended it.
            let _ = messages.send(Msg::ActionEnded { run: order.run.clone(), end: end.clone() }).await;
            end
        });
        self.running.insert(run, Ours { stop, task, record, title, unanswered: "stopped" });
    }

    /// Tries a restore, or lets a tool check what it keeps, and tells what comes of it.
    pub(super) fn run_try(&mut self, what: drill::Order, run: String, dashboard: &Dashboard) {
        let begun = dashboard.state.world.runs.iter().find(|known| known.id == run).map(|run| (run.record.clone(), run.title.clone()));
        let Some((record, title)) = begun else { return };
        let (stop, messages, recorded) = (CancellationToken::new(), self.messages.clone(), record.clone());
        let (stopped, name, kept) = (stop.clone(), run.clone(), self.recorded());
        let task = self.runtime.spawn(async move {
            kept.await;
            let begun = std::time::Instant::now();
            let _ = messages.send(Msg::ActionStep { run: name.clone(), step: 0, state: actions::StepState::Running }).await;
            let mut tell = |said| {
                let line = match said {
                    drill::Said::Doing(words) => words,
                    drill::Said::Line(line) => format!("  {line}"),
                };
                // A line that finds no room is not worth waiting for.
                let _ = messages.try_send(Msg::ActionOutput { run: name.clone(), lines: vec![line], dropped: 0 });
            };
            let outcome = drill::carry_out(&what, &recorded, &stopped, &mut tell).await;
            let end = outcome.end(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
            for told in outcome.told(&what.source) {
                // The loop has ended when this fails.
                let _ = messages.send(Msg::Tried(Box::new(told))).await;
            }
            let _ = messages.send(Msg::ActionEnded { run: name, end: end.clone() }).await;
            end
        });
        self.running.insert(run, Ours { stop, task, record, title, unanswered: "stopped" });
    }

    /// Asks what sources offer for these items.
    pub(super) fn offers(&self, keys: Vec<ItemKey>, dashboard: &Dashboard) {
        // As it was seen last, which may have been by another process.
        let seen = |key: &ItemKey| {
            let source = dashboard.state.world.sources.get(&key.source)?;
            let issue = source.issues.as_ref().and_then(|(_, issues)| Some((issues.find(&key.item)?.clone(), issues.server.clone())));
            Some((issue, source.backup.as_ref().map(|(_, backup)| backup.clone())))
        };
        let asked: Vec<_> = keys.into_iter().map(|key| (self.runner.door(&key.source), seen(&key), key)).collect();
        let messages = self.messages.clone();
        self.runtime.spawn(async move {
            let mut told = Vec::with_capacity(asked.len());
            for (door, seen, key) in asked {
                let seen = match &seen {
                    Some((Some((issue, server)), _)) => Seen::Issue(issue, server),
                    Some((None, Some(backup))) => Seen::Backup(backup),
                    _ => Seen::Nothing,
                };
                let offers = match door {
                    // A source that cannot be built offers nothing; its own row says why.
                    Some(door) => door.offers(&key, seen).await.unwrap_or_default(),
                    None => Vec::new(),
                };
                told.push((key, offers));
            }
            // The loop has ended when this fails.
            let _ = messages.send(Msg::Offered(told)).await;
        });
    }

    /// Tells a source what was confirmed, and what came of it.
    pub(super) fn run_errand(&mut self, errand: Errand, dashboard: &Dashboard) {
        let begun = dashboard.state.world.runs.iter().find(|run| run.id == errand.run).map(|run| (run.record.clone(), run.title.clone()));
        let Some((record, title)) = begun else { return };
        let (door, messages, run) = (self.runner.door(&errand.source), self.messages.clone(), errand.run.clone());
        let redaction = Arc::clone(&self.redaction);
        let task = self.runtime.spawn(async move {
            let begun = std::time::Instant::now();
            let mut results = actions::errand::run(door, &errand).await;
            for result in &mut results {
                redaction.outcome(result);
            }
            let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let end = errand.end(&results, took_ms);
            // The loop has ended when this fails; then the end is recorded by whoever ended it.
            let _ = messages.send(Msg::Performed { run: errand.run.clone(), results, took_ms }).await;
            end
        });
        self.running.insert(run, Ours { stop: CancellationToken::new(), task, record, title, unanswered: "not known: rounds was left before the answer" });
    }

    /// Runs the verb that does what was confirmed, and tells what comes of it.
    pub(super) fn run_verb(&mut self, errand: Errand, dashboard: &mut Dashboard, now: Timestamp) {
        let begun = dashboard.state.world.runs.iter().find(|run| run.id == errand.run).map(|run| (run.record.clone(), run.title.clone()));
        let Some((record, title)) = begun.filter(|_| self.trusted) else {
            let end = ActionEnd { ok: false, words: "not run: this configuration is not trusted".to_owned(), took_ms: 0 };
            let effects = dashboard.take(Msg::ActionEnded { run: errand.run, end }, now);
            for effect in effects.into_iter().filter(|effect| matches!(effect, Effect::KeepTransition(_))) {
                self.keep(effect);
            }
            return;
        };
        let (stop, messages, run) = (CancellationToken::new(), self.messages.clone(), errand.run.clone());
        let (stopped, program, redact) = (stop.clone(), self.program.clone(), self.journal.redact.clone());
        let task = self.runtime.spawn(async move {
            let run = errand.run.clone();
            let tell = |progress| match progress {
                Progress::Output(lines, dropped) => messages.try_send(Msg::ActionOutput { run: run.clone(), lines, dropped }).is_ok(),
                Progress::Step(..) => true,
            };
            let end = actions::errand::run_verb(&program, &errand, &redact, &stopped, tell).await;
            // The loop has ended when this fails; then the end is recorded by whoever ended it.
            let _ = messages.send(Msg::ActionEnded { run: errand.run.clone(), end: end.clone() }).await;
            end
        });
        self.running.insert(run, Ours { stop, task, record, title, unanswered: "stopped" });
    }
}
