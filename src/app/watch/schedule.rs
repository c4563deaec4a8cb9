//! What the collector starts by the clock, beside polling: drills and checks of backups.
//!
//! The seam: [`Schedules::run_due`] is called by the collector's loop each time something may be due, and starts it elsewhere; it must not
//! wait. What does not belong here: when a set is due (`backups`), and running it (`actions`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::actions::{audit, drill};
use crate::app::person;
use crate::backups::schedule::{self, Job};
use crate::config::model::Config;
use crate::domain::{ActionEnd, SourceId, Timestamp, Transition};
use crate::io::clock;
use crate::journal::Journal;
use crate::state::acting::run_id;
use crate::state::{Msg, State};

/// A record is waited for no longer: a disk that hangs must not keep a date from being kept.
const RECORDED: Duration = Duration::from_secs(5);

/// What is known when something may be due.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// What is known of all sources.
    pub state: &'a State,
    /// The sources that this process looks at for all: only theirs are started, so that two collectors do not do one thing twice.
    pub held: &'a BTreeSet<SourceId>,
    /// The journal, for evidence; `None`: it is not open now, and nothing that has to be recorded may begin.
    pub journal: Option<&'a Journal>,
    /// Where to run.
    pub runtime: &'a Handle,
    /// Where to tell what came of it.
    pub messages: &'a mpsc::Sender<Msg>,
    /// Nothing that changes anything may be started.
    pub read_only: bool,
    /// The time of day.
    pub now: Timestamp,
}

/// What was started.
#[derive(Debug, Default)]
pub struct Schedules {
    started: u64,
    running: Option<Running>,
    /// Takes away what killed runs left; once, at the beginning.
    tidying: Option<JoinHandle<()>>,
}

/// What runs now: one thing at a time.
#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    messages: mpsc::Sender<Msg>,
    /// The record of its beginning, and what it is called.
    record: Transition,
    title: String,
}

impl Schedules {
    /// Starts what is due and answers when something is due next, as far as that is known; it is asked again earlier when a poll of a
    /// backup came, the configuration or the leases changed, and every half minute at the latest.
    pub fn run_due(&mut self, turn: &Turn<'_>) -> Option<Timestamp> {
        if self.running.take_if(|running| running.task.is_finished()).is_some() {
            // What came of it is still on its way to the state, by which it would be due once more.
            return Some(turn.now);
        }
        let journal = turn.journal.filter(|_| !turn.read_only && self.running.is_none() && turn.config.trusted)?;
        // Before anything is begun: what an earlier process left may be large, and still running.
        if !self.tidying.get_or_insert_with(|| tidy(turn)).is_finished() {
            return Some(turn.now);
        }
        let world = &turn.state.world;
        let known = |source: &SourceId, job| world.tries.iter().any(|spec| crate::state::tries::id(job, source).as_ref() == Some(&spec.id));
        if let Some(due) = schedule::next(world, turn.now, |source, job| turn.held.contains(source) && known(source, job)) {
            let order = drill::orders(turn.config).into_iter().find(|(_, order)| order.source == due.source && order.job == due.job);
            if let Some((spec, order)) = order {
                self.start(order, spec.title, turn, journal);
                return None;
            }
        }
        schedule::wakes(world, turn.now)
    }

    fn start(&mut self, order: drill::Order, title: String, turn: &Turn<'_>, journal: &Journal) {
        let by = person();
        let record = drill::begun(&order, &run_id(&format!("{by}.{}", std::process::id()), turn.now, 0), &by, turn.now);
        let (stop, messages) = (CancellationToken::new(), turn.messages.clone());
        let (stopped, told, recorded, called) = (stop.clone(), messages.clone(), record.clone(), title.clone());
        journal.keep_transition(record.clone());
        let written = journal.flushing();
        let task = turn.runtime.spawn(async move {
            // On the disk before it begins: who looks meanwhile sees it run, and who kills it in the next moment cannot hide it.
            let _ = tokio::task::spawn_blocking(move || written.wait(RECORDED)).await;
            if told.send(Msg::Events(vec![recorded.clone()])).await.is_err() {
                return;
            }
            let begun = Instant::now();
            let outcome = drill::carry_out(&order, &recorded, &stopped, &mut |_| {}).await;
            let mut end = outcome.end(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
            if outcome.result == Err(drill::Broken::Stopped) {
                "stopped: the collector ended".clone_into(&mut end.words);
            }
            let ended = audit::ended(&recorded, end, &called, clock::now());
            for transition in outcome.told(&order.source).into_iter().chain(ended) {
                // The loop has ended when this fails.
                let _ = told.send(Msg::Tried(Box::new(transition))).await;
            }
        });
        self.started += 1;
        self.running = Some(Running { stop, task, messages, record, title });
    }

    /// How much was started so far.
    #[must_use]
    pub const fn started(&self) -> u64 {
        self.started
    }

    /// Ends what is under way, within `limit`, and lets it clean up. Gives the records that nobody takes from its messages any more.
    #[must_use]
    pub fn stop(self, runtime: &Runtime, limit: Duration) -> Vec<Transition> {
        let Some(Running { stop, task, messages, record, title }) = self.running else { return Vec::new() };
        stop.cancel();
        drop(messages);
        // What it could not clean in time the next run cleans; its mark tells of it.
        let _ = runtime.block_on(async { tokio::time::timeout(limit, task).await });
        let took_ms = u64::try_from(crate::domain::time::since(record.at, clock::now()).as_millis()).unwrap_or(u64::MAX);
        let end = ActionEnd { ok: false, words: "stopped: the collector ended".to_owned(), took_ms };
        audit::ended(&record, end, &title, clock::now()).into_iter().collect()
    }
}

/// Takes away what killed runs of these data sets left, and records their end.
fn tidy(turn: &Turn<'_>) -> JoinHandle<()> {
    let orders: Vec<drill::Order> = drill::orders(turn.config).into_iter().map(|(_, order)| order).filter(|order| order.job == Job::Drill).collect();
    let messages = turn.messages.clone();
    turn.runtime.spawn(async move {
        for order in orders {
            if let Some(ended) = drill::tidy(&order).await {
                // The loop has ended when this fails.
                let _ = messages.send(Msg::Tried(Box::new(ended))).await;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::actions::drill::tests::Folder;
    use crate::backups::{DrillConfig, Repository};
    use crate::config::model::Entry;
    use crate::domain::{Backup, SourceError, Status, TransitionKind};
    use crate::io::secret::SecretRef;
    use crate::journal::Identity;
    use crate::sources::{BuildContext, Built, Complaint, SourceConfig, SourceSpec};

    /// A data set whose copies are the files of a folder.
    #[derive(Debug)]
    struct Kept(Arc<Folder>, SourceSpec);

    impl SourceConfig for Kept {
        fn check(&self) -> Vec<Complaint> {
            Vec::new()
        }

        fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
            Vec::new()
        }

        fn repository(&self, _: &BuildContext) -> Option<Result<Arc<dyn Repository>, SourceError>> {
            Some(Ok(Arc::clone(&self.0) as Arc<dyn Repository>))
        }

        fn build(&self, _: &BuildContext) -> Result<Built, SourceError> {
            Err(SourceError::config("never polled", "here"))
        }

        fn spec(&self, _: &BuildContext) -> SourceSpec {
            self.1.clone()
        }
    }

    /// A configuration with one data set whose drill is long due.
    fn due(dir: &Path, takes: Duration, now: Timestamp) -> (Config, State) {
        std::fs::create_dir_all(dir.join("copies")).unwrap();
        std::fs::write(dir.join("copies/a.txt"), "x").unwrap();
        let drill = DrillConfig { scratch: Some("scratch".to_owned()), ..DrillConfig::default() };
        let folder = Arc::new(Folder { dir: dir.join("copies"), drill, takes, tree: true });
        let id = SourceId::parse("shop/files/db").unwrap();
        let spec = SourceSpec { id: id.clone(), ..crate::report::sample::source("shop/http/home", Status::Ok).spec };
        let context = BuildContext {
            id: id.clone(),
            common: crate::sources::Common::default(),
            base: dir.to_owned(),
            trusted: true,
            zone: None,
            cache: None,
            state: Some(dir.join("state")),
        };
        let mut config = Config::empty();
        config.sources = vec![Entry { id: id.clone(), config: Arc::new(Kept(folder, spec)), context }];
        let mut state = crate::app::initial_state(&config);
        let source = state.world.sources.get_mut(&id).unwrap();
        (source.status, source.since) = (Status::Ok, Some(now - chrono::TimeDelta::days(40)));
        source.backup = Some((now, Box::new(Backup { last_success: Some(now), drill_every_s: Some(30 * 86_400), ..Backup::default() })));
        (config, state)
    }

    /// Asks until something was started: what earlier runs left is looked for first.
    fn begun(schedules: &mut Schedules, turn: &Turn<'_>) {
        let since = Instant::now();
        while schedules.started() == 0 && since.elapsed() < Duration::from_secs(60) {
            schedules.run_due(turn);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn tried(runtime: &Runtime, messages: &mut mpsc::Receiver<Msg>) -> Transition {
        let next = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), messages.recv()).await });
        match next.unwrap() {
            Some(Msg::Tried(told)) => *told,
            Some(Msg::Events(mut told)) => told.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_due_runs_once_and_is_told_from_its_beginning_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let now = clock::now();
        let (config, state) = due(dir.path(), Duration::ZERO, now);
        let journal = Journal::open(&dir.path().join("state"), &config.journal, Identity::of_this_process()).journal.unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (messages, mut told) = mpsc::channel(16);
        let held: BTreeSet<SourceId> = state.world.sources.keys().cloned().collect();
        let nothing = BTreeSet::new();
        let turn =
            |held, journal, read_only| Turn { config: &config, state: &state, held, journal, runtime: runtime.handle(), messages: &messages, read_only, now };
        let mut schedules = Schedules::default();
        // Of another's sources nothing, without a journal nothing, read-only nothing.
        schedules.run_due(&turn(&nothing, Some(&journal), false));
        schedules.run_due(&turn(&held, None, false));
        schedules.run_due(&turn(&held, Some(&journal), true));
        assert_eq!(schedules.started(), 0);
        begun(&mut schedules, &turn(&held, Some(&journal), false));
        schedules.run_due(&turn(&held, Some(&journal), false));
        assert_eq!(schedules.started(), 1);
        let kinds: Vec<TransitionKind> = (0..3).map(|_| tried(&runtime, &mut told).kind).collect();
        assert!(matches!(&kinds[0], TransitionKind::Action { ended: None, .. }));
        assert!(matches!(&kinds[1], TransitionKind::Drill(drill) if drill.ok), "{kinds:?}");
        assert!(matches!(&kinds[2], TransitionKind::Action { ended: Some(end), .. } if end.ok));
        assert!(schedules.stop(&runtime, Duration::from_secs(20)).len() <= 1);
        assert!(!dir.path().join("scratch").exists());
    }

    #[test]
    fn one_that_is_stopped_with_the_collector_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let now = clock::now();
        let (config, state) = due(dir.path(), Duration::from_secs(600), now);
        let journal = Journal::open(&dir.path().join("state"), &config.journal, Identity::of_this_process()).journal.unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (messages, mut told) = mpsc::channel(16);
        let held: BTreeSet<SourceId> = state.world.sources.keys().cloned().collect();
        let mut schedules = Schedules::default();
        let turn = Turn {
            config: &config,
            state: &state,
            held: &held,
            journal: Some(&journal),
            runtime: runtime.handle(),
            messages: &messages,
            read_only: false,
            now,
        };
        begun(&mut schedules, &turn);
        let record = tried(&runtime, &mut told);
        // What is told of is on the disk: nothing was waited for since.
        let kept = crate::journal::read_snapshot(&dir.path().join("state")).unwrap();
        assert!(kept.events.iter().any(|event| event.kind == record.kind), "{:?}", kept.events);
        for _ in 0..500 {
            if dir.path().join("scratch").exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let records = schedules.stop(&runtime, Duration::from_secs(20));
        assert_eq!(records.len(), 1);
        assert!(records[0].sentence.contains("stopped: the collector ended"), "{}", records[0].sentence);
        assert!(!dir.path().join("scratch").exists());
    }
}
