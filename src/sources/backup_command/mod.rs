//! Backups of whatever a command tells of: any program that prints the JSON described in `docs/backup_command.md`.
//!
//! What does not belong here: the verdict on a promise (`rules::backups`), what the copies say (`backups::judge`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `read` | the JSON, and the place of what is wrong in it; pure |

mod read;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::read::fuzz;
use super::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Source, SourceConfig, SourceSpec};
use crate::backups::{self, Promise, plan, tool};
use crate::config::value::{Dur, Size};
use crate::domain::{Capability, Data, Observation, SourceError};
use crate::io::clock;
use crate::io::exec::{self, Limits};
use crate::io::secret::SecretRef;

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(600);
/// The time limit of one run where none is configured.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The keys of one data set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The program and its arguments; it prints one JSON document and exits with 0.
    pub command: Vec<String>,
    /// The promise: how old the last good copy may be; 26 hours when not given.
    pub max_age: Option<Dur>,
    /// The promise: how small a copy may be, such as `"10MiB"`.
    pub min_size: Option<Size>,
    /// The promise: how many copies there are at least.
    #[schemars(range(min = 1))]
    pub retention: Option<u32>,
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all = plan::complaints(self.max_age, None, None);
        if self.command.first().is_none_or(|tool| tool.trim().is_empty()) {
            all.push(Complaint {
                path: vec!["command".to_owned()],
                message: "the command is empty".to_owned(),
                help: "write the program and its arguments as a list".to_owned(),
                warning: false,
            });
        }
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        Vec::new()
    }

    fn commands(&self) -> Vec<Vec<String>> {
        vec![self.command.clone()]
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        plan::trusted(context)?;
        let spec = self.spec(context);
        let promise = Promise::new(self.max_age, self.min_size, self.retention, None, None);
        let source = Told { argv: self.command.clone(), base: context.base.clone(), promise, every: spec.every, timeout: spec.timeout };
        Ok(Built { spec, source: Box::new(source), service: None })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        SourceSpec::of(context, Capability::Backup, EVERY, TIMEOUT, self.command.first().cloned().unwrap_or_default())
    }
}

/// Runs the command and takes what it tells.
struct Told {
    argv: Vec<String>,
    base: PathBuf,
    promise: Promise,
    every: Duration,
    timeout: Duration,
}

impl Source for Told {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(async move {
            let program = tool::program(self.argv.clone(), &[]).directory(&self.base);
            let output = exec::run(&program, Limits::within(self.timeout)).await?;
            if !output.ending.success() {
                let message = format!("{}: {}: {}", program.tool(), output.ending, output.last_error_line());
                let message = message.trim_end_matches([':', ' ']).to_owned();
                return Err(SourceError::missing(message, "run the command by hand as this user and look what it says"));
            }
            let promise = self.promise;
            // Away from the tasks' threads: a list may be megabytes.
            let read = tokio::task::spawn_blocking(move || {
                let now = clock::now();
                let backup = read::document(&output.stdout_text(), now)?;
                Ok((backups::judge(backup, &promise, now), now))
            });
            let (mut backup, now) = read.await.unwrap_or_else(|_| Err(SourceError::protocol("what the command printed could not be read")))?;
            if backup.place.is_empty() {
                backup.place = program.tool().to_owned();
            }
            Ok(Collected { observations: vec![Observation { at: now, data: Data::Backup(Box::new(backup)) }], problems: Vec::new(), complete: true })
        })
    }
}
