//! Backups that borg keeps: archives judged by age, size and number; locks, sizes and growth of the repository beside them.
//!
//! What does not belong here: the verdict on a promise (`rules::backups`), a drill (`actions::drill`), borgmatic's own part (`borgmatic`,
//! which reads the same documents).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `client` | borg, asked: archives, sizes, files, restoring, checking |
//! | `poll` | one look at the data set |
//! | `locks` | locks of a repository on this machine |
//! | `parse` | what borg prints; pure |

mod client;
pub mod locks;
pub mod parse;
mod poll;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::client::local;
use self::client::{Client, Data};
pub use self::poll::where_to;
use super::{BuildContext, Built, Complaint, Reach, SourceConfig, SourceSpec};
use crate::backups::address::Address;
use crate::backups::caller::Caller;
use crate::backups::keys::{self, complaint};
use crate::backups::look::Looking;
use crate::backups::prefix::Prefix;
use crate::backups::{CheckConfig, Desk, DrillConfig, Promise, Repository, plan};
use crate::config::value::{Dur, Size};
use crate::domain::SourceError;
use crate::io::secret::{Secret, SecretRef};

/// The keys of one data set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The repository as borg names it: a path, `me@nas1:shop`, `ssh://…`.
    pub repository: Address,
    /// Its passphrase; what borg finds by itself (`BORG_PASSPHRASE`, `BORG_PASSCOMMAND`) when not given.
    pub passphrase: Option<SecretRef>,
    /// More of its environment: `{ BORG_RSH = "ssh -i /etc/rounds/key" }`.
    #[serde(default)]
    #[schemars(extend("default" = null))]
    pub env: BTreeMap<String, SecretRef>,
    /// Only archives with such a name, with `*`, `?` and `[…]`: `"web1-*"`.
    pub archive: Option<String>,
    /// The promise: how old the last archive may be; 26 hours when not given.
    pub max_age: Option<Dur>,
    /// The promise: how small an archive may be, such as `"10MiB"`.
    pub min_size: Option<Size>,
    /// The promise: how many archives there are at least.
    #[schemars(range(min = 1))]
    pub retention: Option<u32>,
    /// Letting `borg check` look at the repository now and then.
    pub check: Option<CheckConfig>,
    /// Restoring into a scratch place now and then.
    pub drill: Option<DrillConfig>,
    /// How borg is called: `["sudo", "borg"]`, `["ssh", "web1", "borg"]`; just `borg` when not given.
    pub command: Option<Vec<String>>,
}

/// The environment of borg, for borg itself and for borgmatic. Nothing is asked on a terminal: without a passphrase an empty one is tried,
/// and a server that wants a password is not reached.
pub(super) fn environment(passphrase: Option<&SecretRef>, env: &BTreeMap<String, SecretRef>) -> (Vec<(String, SecretRef)>, Vec<&'static str>) {
    let set = |name: &str| env.contains_key(name) || std::env::var_os(name).is_some();
    let mut all: Vec<(String, SecretRef)> = env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut without = vec!["BORG_REPO", "BORG_PASSPHRASE_FD"];
    match passphrase {
        Some(passphrase) => {
            all.push(("BORG_PASSPHRASE".to_owned(), passphrase.clone()));
            without.push("BORG_PASSCOMMAND");
        }
        None if !set("BORG_PASSPHRASE") && !set("BORG_PASSCOMMAND") => {
            all.push(("BORG_PASSPHRASE".to_owned(), SecretRef::Literal(Secret::new(String::new()))));
        }
        None => {}
    }
    (all, without)
}

/// What is wrong with the keys that borg and borgmatic have both.
pub(super) fn complaints(
    command: Option<&[String]>,
    env: &BTreeMap<String, SecretRef>,
    archive: Option<&str>,
    (max_age, check, drill): (Option<Dur>, Option<&CheckConfig>, Option<&DrillConfig>),
) -> Vec<Complaint> {
    let mut all = keys::of_calling(command, env, "BORG_RSH");
    if archive.is_some_and(|archive| glob::Pattern::new(archive).is_err()) {
        all.push(complaint(&["archive"], "the pattern is not right", "`*` is any text, `?` one character, `[…]` one of"));
    }
    if check.and_then(|check| check.data.as_deref()).is_some_and(|data| plan::share(data).is_some()) {
        all.push(complaint(&["check", "data"], "borg reads all data or none", "write \"all\", or leave it out"));
    }
    all.extend(keys::of_promise(max_age, check, drill));
    all
}

impl Config {
    fn prefix(&self) -> Prefix {
        Prefix::new(self.command.as_deref(), "borg")
    }

    fn client(&self, context: &BuildContext) -> Result<Client, SourceError> {
        keys::trusted(context)?;
        let (env, without) = environment(self.passphrase.as_ref(), &self.env);
        let (prefix, base, address) = (self.prefix(), context.base.clone(), Some(self.repository.clone()));
        let caller = Caller { prefix, base, address, local, address_variable: "BORG_REPO", env, without };
        let archive = self.archive.as_deref().and_then(|archive| glob::Pattern::new(archive).ok());
        let promise = Promise::new(self.max_age, self.min_size, self.retention, self.check.as_ref(), self.drill.as_ref());
        let data = Data { archive, promise, drill: self.drill.clone().unwrap_or_default(), check: self.check.clone().unwrap_or_default() };
        Ok(Client::new(caller, data, context, &self.spec(context)))
    }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all = Vec::new();
        if self.repository.written().is_some_and(|text| text.starts_with('-') || text.contains("::")) {
            all.push(complaint(
                &["repository"],
                "this is no address of a repository",
                "write it without an archive, and \"./\" before a path that begins with a hyphen",
            ));
        }
        let promises = (self.max_age, self.check.as_ref(), self.drill.as_ref());
        all.extend(complaints(self.command.as_deref(), &self.env, self.archive.as_deref(), promises));
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        keys::secrets(&self.env, Some(&self.repository), ("passphrase", self.passphrase.as_ref()), self.drill.as_ref())
    }

    fn commands(&self) -> Vec<Vec<String>> {
        keys::commands(&self.prefix(), self.drill.as_ref())
    }

    fn reaches(&self, context: &BuildContext) -> Vec<Reach> {
        let path = self.repository.written().filter(|_| !self.prefix().elsewhere()).and_then(local);
        path.map(|path| Reach::Files(context.base.join(path))).into_iter().collect()
    }

    fn repository(&self, context: &BuildContext) -> Option<Result<Arc<dyn Repository>, SourceError>> {
        Some(self.client(context).map(|client| Arc::new(client) as Arc<dyn Repository>))
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        let client = Arc::new(self.client(context)?);
        let spec = self.spec(context);
        let source = Looking::new(Arc::clone(&client), spec.every);
        Ok(Built { spec, source: Box::new(source), service: Some(Arc::new(Desk::new(client))) })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        keys::spec(context, self.repository.shown())
    }
}
