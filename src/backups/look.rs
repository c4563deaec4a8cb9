//! One look at a data set whose tool is asked: at an interval, within a time of which measuring has its share.
//!
//! What does not belong here: what a tool is asked (its folder in `sources`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::backup::JobRun;
use crate::domain::{Backup, Copy, Data, Observation, Problem, SourceError};
use crate::io::clock;
use crate::sources::{BoxFuture, Cadence, Collected, Source, deadline};

/// The share of the time limit that a look may use before it stops measuring.
const SHARE: f64 = 0.7;
/// A look of nearly all of its time is a whole one.
const ABOUT: f64 = 0.95;
/// What is left must be so long for a measurement to begin.
const WORTH_IT: Duration = Duration::from_secs(2);
/// Older copies are measured as long as a look took no longer than this.
const SPARE: Duration = Duration::from_secs(8);
/// So many older ones at once.
pub const OLDER: usize = 15;
/// Waiting for somebody else's long command.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// Runs told.
const RUNS: usize = 30;

/// What can be looked at.
pub trait Looked: Send + Sync + 'static {
    /// Looks once; also tells what had to be left out.
    fn look(&self) -> BoxFuture<'_, Result<(Backup, Vec<Problem>), SourceError>>;

    /// Whether a look with these problems told of all that there is.
    fn is_complete(&self, problems: &[Problem]) -> bool {
        problems.is_empty()
    }
}

/// Looks at one data set at an interval.
pub struct Looking<C> {
    client: Arc<C>,
    every: Duration,
}

impl<C> Looking<C> {
    /// At this interval.
    pub const fn new(client: Arc<C>, every: Duration) -> Self {
        Self { client, every }
    }
}

impl<C: Looked> Source for Looking<C> {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(async move {
            let (backup, problems) = self.client.look().await?;
            let complete = self.client.is_complete(&problems);
            Ok(Collected { observations: vec![Observation { at: clock::now(), data: Data::Backup(Box::new(backup)) }], problems, complete })
        })
    }
}

/// The time of one look.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    began: Instant,
    timeout: Duration,
    /// Whether this look has less time than looks have.
    short: bool,
}

impl Time {
    /// From now on.
    #[must_use]
    pub fn begin(timeout: Duration) -> Self {
        let left = deadline::left().unwrap_or(timeout);
        Self { began: Instant::now(), timeout: timeout.min(left), short: left < timeout.mul_f64(ABOUT) }
    }

    /// Whether what took too long now would take too long at any time.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.short
    }

    /// What is left for measuring, where that is worth it.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        self.timeout.mul_f64(SHARE).checked_sub(self.began.elapsed()).filter(|left| *left >= WORTH_IT)
    }

    /// The same for the copy at `place`, the newest being the first: older ones only while there is time to spare.
    #[must_use]
    pub fn left_for(&self, place: usize) -> Option<Duration> {
        self.left().filter(|_| place == 0 || self.began.elapsed() < SPARE)
    }
}

/// The runs that made these copies, as far as they are known, oldest first.
#[must_use]
pub fn runs(copies: &[Copy]) -> Vec<JobRun> {
    let run = |copy: &Copy| {
        copy.started.map(|started| JobRun { started: Some(started), ended: Some(copy.at), ok: Some(true), message: copy.name.clone(), ..JobRun::default() })
    };
    let runs: Vec<JobRun> = copies.iter().rev().filter_map(run).take(RUNS).collect();
    runs.into_iter().rev().collect()
}
