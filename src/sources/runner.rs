//! Runs sources: interval, spread, timeout, retry with backoff, `Retry-After`, cancellation, conflation of "poll now" and
//! isolation of panics, written once for all kinds.
//!
//! What does not belong here: judging what a poll gave (the state's), and leases (the app tells which sources we may poll).
//!
//! Times follow the monotonic clock, which stands still while the machine sleeps: after a sleep the polls go on where they
//! were and nothing bursts. A poll begins on a grid of its interval, so deviations do not add up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::door::Door;
use super::{BoxFuture, Built, Cadence, Collected, Source, SourceSpec, deadline, masking};
use crate::config::model::Entry;
use crate::domain::{ErrorKind, SourceError, SourceId};
use crate::io::clock;
use crate::io::secret::{self, Known};
use crate::state::Msg;
use crate::state::msg::Polled;

/// The first wait after a failed look; doubles up to [`BACKOFF_MAX`] or the interval, whichever is longer.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// The longest wait of a continuous source between tries.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// First polls of neighbouring sources are this far apart, so that a start is no burst; bounded by their interval.
const START_SPACING: Duration = Duration::from_millis(15);
/// How long a poll asked for by hand may follow the one before it.
const POLL_NOW_GAP: Duration = Duration::from_millis(200);
/// Parts of one poll that one pass waits for.
const PARTS: usize = 3;

/// What one source's task is told from outside.
#[derive(Debug)]
struct Control {
    door: Door,
    poll: Notify,
    lead: watch::Sender<bool>,
    cancel: CancellationToken,
}

/// One task for each source that is not paused.
#[derive(Debug)]
pub struct Runner {
    controls: HashMap<SourceId, Arc<Control>>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

/// How to begin.
#[derive(Debug, Clone, Default)]
pub struct RunnerOptions {
    /// `true`: a polled source waits until [`Runner::lead`] says that it is ours. Continuous sources are always read.
    pub wait_for_lead: bool,
    /// Where polls that measure time run; `None`: beside the others.
    pub timed: Option<Handle>,
}

impl Runner {
    /// Starts the tasks on the current tokio runtime. Each ends when [`Runner::stop`] is called or `tx` is closed.
    pub fn start(entries: Vec<Entry>, tx: &mpsc::Sender<Msg>, options: &RunnerOptions) -> Self {
        let tasks = TaskTracker::new();
        let mut runner = Self { controls: HashMap::new(), cancel: CancellationToken::new(), tasks };
        runner.add(entries, tx, options);
        runner.tasks.close();
        runner
    }

    /// Ends these sources and starts those; of one that is in both the old ends first.
    pub fn change(&mut self, gone: &BTreeSet<SourceId>, entries: Vec<Entry>, tx: &mpsc::Sender<Msg>, options: &RunnerOptions) {
        for id in gone {
            if let Some(control) = self.controls.remove(id) {
                control.cancel.cancel();
            }
        }
        self.add(entries, tx, options);
    }

    fn add(&mut self, entries: Vec<Entry>, tx: &mpsc::Sender<Msg>, options: &RunnerOptions) {
        let enabled: Vec<Entry> = entries.into_iter().filter(|entry| entry.config.spec(&entry.context).enabled).collect();
        let count = u32::try_from(enabled.len()).unwrap_or(u32::MAX);
        for (place, entry) in enabled.into_iter().enumerate() {
            let spec = entry.config.spec(&entry.context);
            let (lead, _) = watch::channel(!options.wait_for_lead || spec.continuous);
            let control = Arc::new(Control { door: Door::new(entry.clone()), poll: Notify::new(), lead, cancel: self.cancel.child_token() });
            self.controls.insert(spec.id.clone(), Arc::clone(&control));
            let offset = start_offset(place, count, spec.every);
            let apart = options.timed.as_ref().filter(|_| entry.config.is_timed());
            let task = run(entry.clone(), spec, control, tx.clone(), offset);
            match apart {
                Some(apart) => self.tasks.spawn_on(task, apart),
                None => self.tasks.spawn(task),
            };
        }
    }

    /// Polls this source now; several asks before it begins are one.
    pub fn poll(&self, id: &SourceId) {
        if let Some(control) = self.controls.get(id) {
            control.poll.notify_one();
        }
    }

    /// Polls all sources now.
    pub fn poll_all(&self) {
        for control in self.controls.values() {
            control.poll.notify_one();
        }
    }

    /// The way to a source's details and calls; `None` for one that is paused or not there.
    #[must_use]
    pub fn door(&self, id: &SourceId) -> Option<Door> {
        self.controls.get(id).map(|control| control.door.clone())
    }

    /// Tells whether this process is the one that polls this source.
    pub fn lead(&self, id: &SourceId, ours: bool) {
        if let Some(control) = self.controls.get(id) {
            control.lead.send_if_modified(|lead| std::mem::replace(lead, ours) != ours);
        }
    }

    /// Cancels what is under way and waits for the tasks.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.tasks.wait().await;
    }
}

/// Where in its interval a source begins: spread evenly, at most [`START_SPACING`] apart and within one interval.
fn start_offset(place: usize, count: u32, every: Duration) -> Duration {
    let span = every.min(START_SPACING.saturating_mul(count));
    span.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX)) / count.max(1)
}

/// One pass over all entries: each is built, asked once (in parts, where it answers so) and dropped. Ends within `limit`; a source that has
/// not answered by then gives a timeout.
pub async fn once(entries: Vec<Entry>, limit: Duration, max_parallel: usize) -> Vec<Polled> {
    once_behind(entries, limit, max_parallel, &BTreeMap::new()).await
}

/// The same, where details and calls come after it: the service of what is built is put behind its door, so that one source has one client
/// and a limit is counted once.
pub async fn once_behind(entries: Vec<Entry>, limit: Duration, max_parallel: usize, doors: &BTreeMap<SourceId, Door>) -> Vec<Polled> {
    let end = Instant::now() + limit;
    stream::iter(entries.into_iter().filter(|entry| entry.config.spec(&entry.context).enabled))
        .map(|entry| async move {
            let spec = entry.config.spec(&entry.context);
            let mut all = Vec::new();
            let mut built = build(&entry);
            if let (Ok(built), Some(door)) = (&built, doors.get(&entry.id)) {
                door.put(built.service.clone());
            }
            loop {
                let started = clock::now();
                let left = end.saturating_duration_since(Instant::now());
                let (mut result, more) = match &mut built {
                    Ok(built) => {
                        let (result, panicked) = ask(&mut *built.source, spec.timeout.min(left), limit.min(spec.timeout)).await;
                        (result, !panicked && built.source.cadence() == Cadence::More)
                    }
                    Err(error) => (Err(error.clone()), false),
                };
                let more = more && result.is_ok() && all.len() < PARTS && !left.is_zero();
                masking::mask(&mut result, Known::of_process());
                // A part that came late takes nothing from those that were in time.
                if result.is_ok() || all.is_empty() {
                    all.push(Polled { source: spec.id.clone(), started, at: clock::now(), result, next_at: None });
                }
                if !more {
                    return stream::iter(all);
                }
            }
        })
        .buffer_unordered(max_parallel.max(1))
        .flatten()
        .collect()
        .await
}

pub(super) fn build(entry: &Entry) -> Result<Built, SourceError> {
    secret::remember_literals(&entry.config.secrets());
    std::panic::catch_unwind(AssertUnwindSafe(|| entry.config.build(&entry.context))).unwrap_or_else(|panic| Err(crashed(&*panic)))
}

/// The error of a source that panicked.
pub(super) fn crashed(panic: &(dyn std::any::Any + Send)) -> SourceError {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "without a message".to_owned());
    SourceError::protocol(format!("the source crashed and was built anew: {text}"))
}

/// One bounded, isolated question. The flag tells whether the source panicked and must be built anew.
async fn ask(source: &mut dyn Source, limit: Duration, said: Duration) -> (Result<Collected, SourceError>, bool) {
    match timeout(limit, deadline::within(limit, AssertUnwindSafe(source.collect()).catch_unwind())).await {
        Ok(Ok(result)) => (result, false),
        Ok(Err(panic)) => (Err(crashed(&*panic)), true),
        Err(_) => (Err(SourceError::timeout(said)), false),
    }
}

/// A source's task: until cancelled.
async fn run(entry: Entry, spec: SourceSpec, control: Arc<Control>, tx: mpsc::Sender<Msg>, offset: Duration) {
    // On the heap: a task that could be both would be as large as both.
    let work: BoxFuture<'_, ()> =
        if spec.continuous { Box::pin(follow(&entry, &spec, &control, &tx)) } else { Box::pin(poll(&entry, &spec, &control, &tx, offset)) };
    tokio::select! {
        () = control.cancel.cancelled() => {}
        () = work => {}
    }
}

/// Polls on the grid of the interval until nobody listens.
async fn poll(entry: &Entry, spec: &SourceSpec, control: &Control, tx: &mpsc::Sender<Msg>, offset: Duration) {
    let mut lead = control.lead.subscribe();
    let mut built: Option<Built> = None;
    let mut grid = Instant::now() + offset;
    let mut due = grid;
    let mut backoff = spec.retry_every;
    loop {
        if lead.wait_for(|ours| *ours).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep_until(due) => {}
            () = control.poll.notified() => {}
            changed = lead.changed() => {
                if changed.is_err() { return; }
                continue;
            }
        }
        // What was asked for while waiting is answered by this poll.
        let _ = control.poll.notified().now_or_never();
        let (begun, started) = (Instant::now(), clock::now());
        let (mut result, cadence) = match &mut built {
            Some(ready) => {
                let (result, panicked) = ask(&mut *ready.source, spec.timeout, spec.timeout).await;
                let cadence = ready.source.cadence();
                if panicked {
                    built = None;
                }
                (result, cadence)
            }
            none => match build(entry) {
                Ok(ready) => {
                    control.door.put(ready.service.clone());
                    let ready = none.insert(ready);
                    let (result, panicked) = ask(&mut *ready.source, spec.timeout, spec.timeout).await;
                    let cadence = ready.source.cadence();
                    if panicked {
                        *none = None;
                    }
                    (result, cadence)
                }
                Err(error) => (Err(error), Cadence::Every(spec.every)),
            },
        };
        let ended = Instant::now();
        let every = match cadence {
            Cadence::Every(every) => every.max(Duration::from_millis(10)),
            Cadence::Continuous | Cadence::More => spec.every,
        };
        let more = cadence == Cadence::More;
        due = match &result {
            Ok(_) if more => {
                backoff = spec.retry_every;
                ended
            }
            Ok(_) if every < spec.every => {
                backoff = spec.retry_every;
                (begun + every).max(ended)
            }
            Ok(_) => {
                backoff = spec.retry_every;
                next_on_grid(&mut grid, spec.every, ended)
            }
            Err(error) => {
                let wait = match (error.kind, error.retry_after()) {
                    (_, Some(asked)) => asked.max(spec.retry_every),
                    // Asking again at once does not mend a wrong token; the interval is soon enough.
                    (ErrorKind::Auth | ErrorKind::Config | ErrorKind::Missing | ErrorKind::Nothing, None) => spec.every,
                    (_, None) => {
                        let wait = backoff.min(spec.every);
                        backoff = backoff.saturating_mul(2);
                        wait
                    }
                };
                ended + wait
            }
        };
        let at = clock::now();
        let next_at = chrono::Duration::from_std(due.saturating_duration_since(ended)).ok().map(|wait| at + wait);
        masking::mask(&mut result, Known::of_process());
        let polled = Polled { source: spec.id.clone(), started, at, result, next_at };
        if tx.send(Msg::Polled(polled)).await.is_err() {
            return;
        }
        due = due.max(begun + POLL_NOW_GAP.min(spec.every));
    }
}

/// The next place on the grid after `now`. Places that passed meanwhile are left out, never made up for.
fn next_on_grid(grid: &mut Instant, every: Duration, now: Instant) -> Instant {
    if *grid > now {
        return *grid;
    }
    let behind = now.saturating_duration_since(*grid);
    let missed = behind.as_nanos() / every.as_nanos().max(1);
    let steps = u32::try_from(missed + 1).unwrap_or(u32::MAX);
    *grid += every.saturating_mul(steps);
    *grid
}

/// Reads batch after batch until nobody listens.
async fn follow(entry: &Entry, spec: &SourceSpec, control: &Control, tx: &mpsc::Sender<Msg>) {
    let mut backoff = BACKOFF_FIRST;
    loop {
        let mut failed = None;
        match build(entry) {
            Err(error) => failed = Some((clock::now(), error)),
            Ok(mut built) => {
                control.door.put(built.service.clone());
                while failed.is_none() {
                    let started = clock::now();
                    let mut result = AssertUnwindSafe(built.source.collect()).catch_unwind().await.unwrap_or_else(|panic| Err(crashed(&*panic)));
                    masking::mask(&mut result, Known::of_process());
                    match result {
                        Ok(collected) => {
                            // Nothing yet, or that it may still be connecting, says nothing of being well again.
                            if !collected.observations.is_empty() && collected.problems.is_empty() {
                                backoff = BACKOFF_FIRST;
                            }
                            let polled = Polled { source: spec.id.clone(), started, at: clock::now(), result: Ok(collected), next_at: None };
                            if tx.send(Msg::Polled(polled)).await.is_err() {
                                return;
                            }
                        }
                        Err(error) => failed = Some((started, error)),
                    }
                }
            }
        }
        if let Some((started, error)) = failed {
            let wait = error.retry_after().unwrap_or(backoff);
            backoff = backoff.saturating_mul(2).min(BACKOFF_MAX);
            let at = clock::now();
            let next_at = chrono::Duration::from_std(wait).ok().map(|wait| at + wait);
            if tx.send(Msg::Polled(Polled { source: spec.id.clone(), started, at, result: Err(error), next_at })).await.is_err() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = control.poll.notified() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::Capability;
    use crate::io::secret::SecretRef;
    use crate::sources::{BoxFuture, BuildContext, Common, Complaint, SourceConfig};

    /// What the scripted source does at its nth poll.
    #[derive(Debug, Clone)]
    enum Act {
        Fine,
        Retry(Duration),
        Fail(SourceError),
        Panic,
        Hang,
        Slow(Duration),
    }

    #[derive(Debug)]
    struct Script {
        acts: Vec<Act>,
        every: Duration,
        continuous: bool,
        polls: Arc<Mutex<Vec<Instant>>>,
        builds: Arc<AtomicUsize>,
    }

    struct Scripted {
        acts: Vec<Act>,
        every: Duration,
        continuous: bool,
        wait: Option<Duration>,
        polls: Arc<Mutex<Vec<Instant>>>,
    }

    impl Source for Scripted {
        fn cadence(&self) -> Cadence {
            if self.continuous { Cadence::Continuous } else { Cadence::Every(self.wait.unwrap_or(self.every)) }
        }

        fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
            Box::pin(async move {
                let place = {
                    let mut polls = self.polls.lock().unwrap();
                    polls.push(Instant::now());
                    polls.len() - 1
                };
                self.wait = None;
                match self.acts.get(place).cloned().unwrap_or(Act::Fine) {
                    Act::Fine if self.continuous && place > 3 => std::future::pending().await,
                    Act::Fine => Ok(Collected::default()),
                    Act::Retry(wait) => {
                        self.wait = Some(wait);
                        Ok(Collected::default())
                    }
                    Act::Fail(error) => Err(error),
                    Act::Panic => panic!("a bug in the source"),
                    Act::Hang => std::future::pending().await,
                    Act::Slow(time) => {
                        tokio::time::sleep(time).await;
                        Ok(Collected::default())
                    }
                }
            })
        }
    }

    impl SourceConfig for Script {
        fn check(&self) -> Vec<Complaint> {
            Vec::new()
        }
        fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
            Vec::new()
        }
        fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
            self.builds.fetch_add(1, Ordering::Relaxed);
            let source = Scripted { acts: self.acts.clone(), every: self.every, continuous: self.continuous, wait: None, polls: Arc::clone(&self.polls) };
            Ok(Built { spec: self.spec(context), source: Box::new(source), service: None })
        }
        fn spec(&self, context: &BuildContext) -> SourceSpec {
            SourceSpec {
                id: context.id.clone(),
                title: "t".into(),
                capability: Capability::Health,
                every: self.every,
                timeout: Duration::from_secs(5),
                retry_every: Duration::from_secs(2),
                failures: 3,
                successes: 2,
                enabled: true,
                continuous: self.continuous,
                runbook: None,
                needs: vec![],
                target: String::new(),
            }
        }
    }

    struct Bench {
        polls: Arc<Mutex<Vec<Instant>>>,
        builds: Arc<AtomicUsize>,
        entry: Entry,
    }

    fn bench(acts: Vec<Act>, every: u64, continuous: bool) -> Bench {
        let (polls, builds) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let config = Script { acts, every: Duration::from_secs(every), continuous, polls: Arc::clone(&polls), builds: Arc::clone(&builds) };
        let id = SourceId::parse("shop/http/home").unwrap();
        let context = BuildContext { id: id.clone(), common: Common::default(), base: PathBuf::new(), trusted: true, zone: None, cache: None, state: None };
        Bench { polls, builds, entry: Entry { id, config: Arc::new(config), context } }
    }

    /// Runs the source alone for this many seconds of paused time; gives the starts in seconds and the results.
    async fn play(bench: Bench, seconds: u64) -> (Vec<f64>, Vec<Polled>) {
        let begin = Instant::now();
        let (tx, mut rx) = mpsc::channel(1_000);
        let runner = Runner::start(vec![bench.entry], &tx, &RunnerOptions::default());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        runner.stop().await;
        let mut polled = Vec::new();
        while let Ok(Msg::Polled(one)) = rx.try_recv() {
            polled.push(one);
        }
        let starts = bench.polls.lock().unwrap().iter().map(|at| (*at - begin).as_secs_f64()).collect();
        (starts, polled)
    }

    fn near(seen: &[f64], expected: &[f64]) {
        assert_eq!(seen.len(), expected.len(), "{seen:?} {expected:?}");
        for (a, b) in seen.iter().zip(expected) {
            assert!((a - b).abs() < 0.1, "{seen:?} {expected:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn polls_stand_on_the_grid_however_long_each_takes() {
        let acts = vec![Act::Slow(Duration::from_millis(900)), Act::Slow(Duration::from_millis(2_500)), Act::Fine];
        let (starts, polled) = play(bench(acts, 10, false), 45).await;
        near(&starts, &[0.0, 10.0, 20.0, 30.0, 40.0]);
        assert!(polled.iter().all(|p| p.result.is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_missed_place_on_the_grid_is_left_out() {
        let (starts, _) = play(bench(vec![Act::Slow(Duration::from_secs(3))], 2, false), 9).await;
        near(&starts, &[0.0, 4.0, 6.0, 8.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_source_may_ask_for_a_shorter_wait_and_returns_to_its_grid() {
        let retry = Act::Retry(Duration::from_secs(2));
        let (starts, _) = play(bench(vec![retry.clone(), retry], 10, false), 25).await;
        near(&starts, &[0.0, 2.0, 4.0, 10.0, 20.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hang_is_a_timeout_and_the_next_poll_comes() {
        let (starts, polled) = play(bench(vec![Act::Hang], 10, false), 12).await;
        assert_eq!(polled[0].result.as_ref().unwrap_err().kind, ErrorKind::Timeout);
        // Five seconds of timeout, two of retry.
        near(&starts, &[0.0, 7.0, 10.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn retries_back_off_up_to_the_interval_and_a_rate_limit_is_kept() {
        let fail = Act::Fail(SourceError::connect("refused"));
        let (starts, _) = play(bench(vec![fail.clone(), fail.clone(), fail.clone(), fail], 6, false), 22).await;
        near(&starts, &[0.0, 2.0, 6.0, 12.0, 18.0]);
        let limited = Act::Fail(SourceError::rate_limited("slow down", Some(Duration::from_secs(15))));
        let (starts, polled) = play(bench(vec![limited], 6, false), 17).await;
        near(&starts, &[0.0, 15.0]);
        assert!(polled[0].next_at.is_some());
        let auth = Act::Fail(SourceError::auth("expired", "renew it"));
        let (starts, _) = play(bench(vec![auth.clone(), auth], 6, false), 13).await;
        near(&starts, &[0.0, 6.0, 12.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_the_sources_error_and_it_is_built_anew() {
        let bench = bench(vec![Act::Fine, Act::Panic], 10, false);
        let builds = Arc::clone(&bench.builds);
        let (_, polled) = play(bench, 25).await;
        let error = polled[1].result.as_ref().unwrap_err();
        assert!(error.message.contains("a bug in the source"), "{error}");
        assert!(polled[2].result.is_ok());
        assert_eq!(builds.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn asking_twice_polls_once_more_and_the_grid_stays() {
        let bench = bench(vec![], 10, false);
        let (polls, id) = (Arc::clone(&bench.polls), bench.entry.id.clone());
        let (tx, _rx) = mpsc::channel(100);
        let runner = Runner::start(vec![bench.entry], &tx, &RunnerOptions::default());
        let begin = Instant::now();
        tokio::time::sleep(Duration::from_secs(3)).await;
        runner.poll(&id);
        runner.poll(&id);
        tokio::time::sleep(Duration::from_secs(9)).await;
        runner.stop().await;
        let starts: Vec<f64> = polls.lock().unwrap().iter().map(|at| (*at - begin).as_secs_f64()).collect();
        near(&starts, &[0.0, 3.0, 10.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_polls_nothing_until_it_leads() {
        let bench = bench(vec![], 10, false);
        let (polls, id) = (Arc::clone(&bench.polls), bench.entry.id.clone());
        let (tx, _rx) = mpsc::channel(100);
        let runner = Runner::start(vec![bench.entry], &tx, &RunnerOptions { wait_for_lead: true, ..RunnerOptions::default() });
        tokio::time::sleep(Duration::from_secs(25)).await;
        assert!(polls.lock().unwrap().is_empty());
        runner.lead(&id, true);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(polls.lock().unwrap().len(), 1);
        runner.lead(&id, false);
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(polls.lock().unwrap().len(), 1);
        runner.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_continuous_source_is_asked_again_at_once_and_after_a_failure_with_backoff() {
        let acts = vec![Act::Fine, Act::Fail(SourceError::connect("closed")), Act::Fail(SourceError::connect("closed")), Act::Fine, Act::Fine];
        let (starts, polled) = play(bench(acts, 60, true), 20).await;
        near(&starts, &[0.0, 0.0, 1.0, 3.0, 3.0]);
        assert_eq!(polled.iter().filter(|p| p.result.is_err()).count(), 2);
    }

    #[test]
    fn starts_are_spread_within_the_interval() {
        let every = Duration::from_secs(10);
        let offsets: Vec<Duration> = (0..10_000).map(|place| start_offset(place, 10_000, every)).collect();
        assert!(offsets.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(offsets[9_999] < every);
        assert!(start_offset(2, 3, every) < Duration::from_millis(50));
    }
}
