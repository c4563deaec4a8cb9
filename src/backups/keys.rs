//! What the keys of tools with a repository have in common: restic, borg, borgmatic. Pure.
//!
//! What does not belong here: keys of one tool (its folder in `sources`), drills and checks (`plan`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::address::Address;
use super::caller::secret_variables;
use super::prefix::Prefix;
use super::{CheckConfig, DrillConfig, plan};
use crate::config::value::Dur;
use crate::domain::{Capability, SourceError};
use crate::io::secret::SecretRef;
use crate::sources::{BuildContext, Complaint, SourceSpec};

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(900);
/// The time limit of one look where none is configured.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A complaint about a key.
#[must_use]
pub fn complaint(path: &[&str], message: &str, help: &str) -> Complaint {
    Complaint { path: path.iter().map(|&part| part.to_owned()).collect(), message: message.to_owned(), help: help.to_owned(), warning: false }
}

/// What is wrong with the command and the environment; `variable` is the name of one that the tool knows.
#[must_use]
pub fn of_calling(command: Option<&[String]>, env: &BTreeMap<String, SecretRef>, variable: &str) -> Vec<Complaint> {
    let mut all = Vec::new();
    if command.is_some_and(|argv| argv.first().is_none_or(String::is_empty)) {
        all.push(complaint(&["command"], "the command is empty", "write the program and what stands before it as a list"));
    }
    if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        all.push(complaint(&["env", name], "this is no name of a variable", &format!("write such as {variable}")));
    }
    all
}

/// What is wrong with the promise, the check and the drill.
#[must_use]
pub fn of_promise(max_age: Option<Dur>, check: Option<&CheckConfig>, drill: Option<&DrillConfig>) -> Vec<Complaint> {
    plan::complaints(max_age, check, drill)
}

/// Every secret of a data set: of its environment, in its address, what opens it under the name of its key, and of its drill.
#[must_use]
pub fn secrets<'a>(
    env: &'a BTreeMap<String, SecretRef>,
    address: Option<&'a Address>,
    (key, opens): (&str, Option<&'a SecretRef>),
    drill: Option<&'a DrillConfig>,
) -> Vec<(Vec<String>, &'a SecretRef)> {
    let mut all = secret_variables(env);
    all.extend(address.and_then(Address::secret).map(|secret| (vec!["repository".to_owned()], secret)));
    all.extend(opens.map(|secret| (vec![key.to_owned()], secret)));
    all.extend(drill.and_then(|drill| drill.server.as_ref()).map(|secret| (vec!["drill".to_owned(), "server".to_owned()], secret)));
    all
}

/// Every command that a data set runs.
#[must_use]
pub fn commands(prefix: &Prefix, drill: Option<&DrillConfig>) -> Vec<Vec<String>> {
    let drill = drill.and_then(|drill| drill.assert.command.clone());
    std::iter::once(prefix.words().to_vec()).chain(drill).collect()
}

/// Refuses to run anything for a configuration that nobody trusts.
///
/// # Errors
/// When it is not trusted.
pub fn trusted(context: &BuildContext) -> Result<(), SourceError> {
    let refused = || SourceError::config("this configuration may not run commands", "look at it, then run `rounds trust`");
    if context.trusted { Ok(()) } else { Err(refused()) }
}

/// What the engine knows of a data set.
#[must_use]
pub fn spec(context: &BuildContext, target: String) -> SourceSpec {
    let spec = SourceSpec::of(context, Capability::Backup, EVERY, TIMEOUT, target);
    SourceSpec { retry_every: spec.every.min(Duration::from_secs(300)), ..spec }
}
