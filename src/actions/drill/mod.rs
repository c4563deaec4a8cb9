//! The restore drill: a copy restored into a scratch place, loaded, asserted on, measured, and taken away again.
//!
//! ```text
//!  hold (one at a time) ─▶ leftovers ─▶ look (copy, scratch, disk) ─▶ restore ─▶ load ─▶ assert ─▶ clean ─▶ evidence
//! ```
//!
//! The repository is only read, the source is never touched, and what an interrupted drill left behind is cleaned by the next one.
//! The tool's own check of what it keeps goes the same way, since both take their time and neither may run beside the other.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `place` | the lock, the mark of what was made, the scratch place and its cleaning |
//! | `look` | what is looked at before anything is made: which copy, room on the disk |
//! | `load` | what a restored copy is, and loading it into a database |
//! | `sqlite` | SQLite: loading a dump as text, asking |
//! | `postgres` | PostgreSQL: a throw-away server or a scratch database on a person's own, loading, asking |
//! | `script` | reading a dump as text before it is handed to a server: what it would touch |
//! | `assert` | what must hold of the result |
//! | `run` | the run itself |
//!
//! What does not belong here: what a tool does to restore (its folder in `sources`), when a drill is due (`backups::schedule`), asking the
//! person (`state`, `cli`).

mod assert;
mod load;
mod look;
mod place;
mod postgres;
mod run;
mod script;
mod sqlite;
#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use script::fuzz as fuzz_script;

use self::place::Hold;
use super::{ActionSpec, Show, audit};
use crate::backups::Repository;
use crate::backups::schedule::{self, Job};
use crate::config::model::{Config, Entry};
use crate::domain::backup::Check;
use crate::domain::{ActionEnd, Drill, SourceId, Timestamp, Transition, TransitionKind};
use crate::state::tries;

/// The time limit where none is configured.
pub const LIMIT: Duration = Duration::from_secs(2 * 3_600);

/// What is to be tried.
#[derive(Debug, Clone)]
pub struct Order {
    /// Whose data set.
    pub source: SourceId,
    /// What of it.
    pub job: Job,
    /// Where copies are taken from.
    pub repository: Arc<dyn Repository>,
    /// This copy, by its name or a beginning of it that only one has; the newest when not given.
    pub copy: Option<String>,
    /// Relative paths of the drill's keys are relative to this.
    pub base: PathBuf,
    /// Below this folder locks and marks are kept. All who share a journal share it.
    pub work: PathBuf,
    /// `[journal] redact`, masked in what is shown.
    pub redact: Vec<String>,
}

impl Order {
    /// Bounds all of it.
    #[must_use]
    pub fn limit(&self) -> Duration {
        let limit = match self.job {
            Job::Drill => self.repository.drill().timeout,
            Job::Check => self.repository.check_plan().unwrap_or_default().timeout,
        };
        limit.map_or(LIMIT, crate::config::value::Dur::get)
    }
}

/// What is told while it runs. Texts may be outside text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// What begins or ended, a sentence.
    Doing(String),
    /// A line that a program printed.
    Line(String),
}

/// Why there is no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Nothing was begun: a sentence, and what to do.
    #[error("{0}; {1}")]
    Refused(String, String),
    /// Somebody stopped it; what it had made is taken away.
    #[error("stopped")]
    Stopped,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// Of a drill.
    Drill(Box<Drill>),
    /// Of a check.
    Check(Check),
}

impl Evidence {
    /// Whether all was well.
    #[must_use]
    pub fn ok(&self) -> bool {
        match self {
            Self::Drill(drill) => drill.ok,
            Self::Check(check) => check.ok,
        }
    }

    /// In one sentence, for the record.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Drill(drill) => schedule::drill_words(drill, drill.at).replacen(" just now", "", 1),
            Self::Check(check) if check.ok => format!("well: {}", check.depth),
            Self::Check(check) => format!("failed: {}", if check.message.is_empty() { &check.depth } else { &check.message }),
        }
    }

    /// As it is kept.
    #[must_use]
    pub fn transition(&self, source: &SourceId) -> Transition {
        let (at, kind) = match self {
            Self::Drill(drill) => (drill.at, TransitionKind::Drill(drill.clone())),
            Self::Check(check) => (check.at, TransitionKind::Checked(check.clone())),
        };
        Transition { at, site: source.site().to_owned(), source: Some(source.clone()), kind, sentence: self.words() }
    }
}

/// All that is to be recorded when it is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The evidence, or why there is none.
    pub result: Result<Evidence, Broken>,
    /// The record that ends an earlier run, which was broken off.
    pub closed: Option<Transition>,
}

impl Outcome {
    /// How the run ended, for the record.
    #[must_use]
    pub fn end(&self, took_ms: u64) -> ActionEnd {
        let (ok, words) = match &self.result {
            Ok(evidence) => (evidence.ok(), evidence.words()),
            Err(broken) => (false, broken.to_string()),
        };
        ActionEnd { ok, words, took_ms }
    }

    /// What is to be recorded before the end of the run: that of one that was broken off, the evidence.
    #[must_use]
    pub fn told(&self, source: &SourceId) -> Vec<Transition> {
        self.closed.iter().cloned().chain(self.result.iter().map(|evidence| evidence.transition(source))).collect()
    }
}

/// It as an action: asked, run, shown, stopped and recorded like one.
#[must_use]
pub fn spec(order: &Order) -> Option<ActionSpec> {
    let (job, source) = (order.job, &order.source);
    let (title, confirm) = match job {
        Job::Drill => (
            format!("restore drill of {}", source.name()),
            "nothing of what is there now: the copy is restored into a scratch place, looked at, and taken away again",
        ),
        Job::Check => {
            (format!("check of {} by its tool", source.name()), "nothing; the tool reads what it keeps, which may take long, and may lock it meanwhile")
        }
    };
    Some(ActionSpec {
        id: tries::id(job, source)?,
        title,
        scope: vec![source.within_site().to_owned()],
        steps: vec![tries::step(job, source, None)],
        prompt: None,
        confirm: Some(confirm.to_owned()),
        dangerous: false,
        timeout: order.limit(),
        directory: if job == Job::Drill { "a scratch place".to_owned() } else { "the repository".to_owned() },
        env: Vec::new(),
        after: Vec::new(),
        output: Show::Show,
        key: None,
        poll: vec![source.clone()],
        polls: source.within_site().to_owned(),
        runbook: None,
    })
}

/// All that can be tried with the copies of a configuration's data sets.
#[must_use]
pub fn orders(config: &Config) -> Vec<(ActionSpec, Order)> {
    let mut all = Vec::new();
    for entry in &config.sources {
        // One that cannot be made here says so in its own row.
        let Some(Ok(repository)) = entry.config.repository(&entry.context) else { continue };
        let jobs = [Some(Job::Drill), repository.check_plan().map(|_| Job::Check)];
        for job in jobs.into_iter().flatten() {
            let order = Order {
                source: entry.id.clone(),
                job,
                repository: Arc::clone(&repository),
                copy: None,
                base: entry.context.base.clone(),
                work: work(entry),
                redact: config.journal.redact.clone(),
            };
            all.extend(spec(&order).map(|spec| (spec, order)));
        }
    }
    all
}

/// Where locks and marks are kept: beside the journal, so that all who share it see them.
fn work(entry: &Entry) -> PathBuf {
    let context = &entry.context;
    context.state.clone().or_else(|| context.cache.clone()).unwrap_or_else(|| std::env::temp_dir().join(format!("rounds-{}", nix::unistd::getuid())))
}

/// The record before it runs.
#[must_use]
pub fn begun(order: &Order, run: &str, by: &str, now: Timestamp) -> Transition {
    let Order { job, source, copy, .. } = order;
    let (job, limit) = (*job, order.limit());
    Transition {
        at: now,
        site: source.site().to_owned(),
        source: tries::id(job, source),
        sentence: format!("{by} began: {}", title(job, source)),
        kind: TransitionKind::Action {
            run: run.to_owned(),
            by: by.to_owned(),
            steps: vec![tries::step(job, source, copy.as_deref())],
            directory: String::new(),
            limit_s: limit.as_secs().saturating_add(60),
            ended: None,
        },
    }
}

/// What it is called: `drill of shop/restic/db`.
#[must_use]
pub fn title(job: Job, source: &SourceId) -> String {
    format!("{} of {source}", job.word())
}

/// Does it: takes the place, cleans what an earlier one left, runs, cleans. `record` is that of its beginning.
pub async fn carry_out(order: &Order, record: &Transition, stop: &CancellationToken, tell: &mut (dyn FnMut(Said) + Send)) -> Outcome {
    let (work, source) = (order.work.clone(), order.source.clone());
    let taken = tokio::task::spawn_blocking(move || Hold::take(&work, &source)).await;
    let hold = match taken {
        Ok(Ok(hold)) => hold,
        Ok(Err(broken)) => return Outcome { result: Err(broken), closed: None },
        Err(_) => return Outcome { result: Err(Broken::Refused("its place could not be taken".to_owned(), "try again".to_owned())), closed: None },
    };
    let closed = hold.mark().and_then(|mark| closing(order, &mark, GONE));
    let result = match order.job {
        Job::Drill => run::run(order, &hold, record, stop, tell).await.map(|drill| Evidence::Drill(Box::new(drill))),
        Job::Check => run::check(order, &hold, record, stop, tell).await.map(Evidence::Check),
    };
    Outcome { result, closed }
}

/// What is said of a run that was broken off, once nothing of it is left.
const GONE: &str = "broken off; what it left is taken away";

/// The record that ends a run that was broken off.
fn closing(order: &Order, mark: &place::Mark, words: &str) -> Option<Transition> {
    let record = mark.record.as_ref()?;
    let job = if record.source == tries::id(Job::Check, &order.source) { Job::Check } else { Job::Drill };
    let end = ActionEnd { ok: false, words: words.to_owned(), took_ms: 0 };
    audit::ended(record, end, &title(job, &order.source), crate::io::clock::now())
}

/// Takes away what a run of this data set left that was killed, and ends what of it still runs; one that is under way is left alone. Gives the
/// record that ends it. What is restored in a scratch place is people's data: it is not to lie there until the next drill is due.
pub async fn tidy(order: &Order) -> Option<Transition> {
    let (work, source) = (order.work.clone(), order.source.clone());
    let hold = tokio::task::spawn_blocking(move || Hold::take(&work, &source)).await.ok()?.ok()?;
    let mark = hold.mark()?;
    match run::tidy(order, mark.clone()).await {
        Ok(()) => {
            hold.forget();
            closing(order, &mark, GONE)
        }
        Err(said) => {
            // It is told once; the mark stays for the next run.
            let _ = hold.remember(&place::Mark { record: None, ..mark.clone() });
            closing(order, &mark, &format!("broken off; {said}"))
        }
    }
}
