//! Backups that restic keeps: snapshots judged by age, size and number; locks, sizes and growth of the repository beside them.
//!
//! What does not belong here: the verdict on a promise (`rules::backups`), a drill (`actions::drill`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `client` | restic, asked: snapshots, locks, sizes, files, restoring, checking |
//! | `poll` | one look at the data set |
//! | `parse` | what restic prints; pure |

mod client;
pub mod parse;
mod poll;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use self::client::Client;
use super::{BuildContext, Built, Complaint, Reach, SourceConfig, SourceSpec};
use crate::backups::address::Address;
use crate::backups::caller::Caller;
use crate::backups::keys::{self, complaint};
use crate::backups::look::Looking;
use crate::backups::prefix::Prefix;
use crate::backups::{CheckConfig, Desk, DrillConfig, Promise, Repository};
use crate::config::value::{Dur, Size};
use crate::domain::SourceError;
use crate::io::secret::SecretRef;

/// The keys of one data set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The repository as restic names it: a path, `sftp:…`, `rest:…`, `s3:…`; one with a password in it is written `{ env | file | command }`.
    pub repository: Address,
    /// Its password; what restic finds by itself (`RESTIC_PASSWORD`, `RESTIC_PASSWORD_FILE`, …) when not given.
    pub password: Option<SecretRef>,
    /// More of its environment: `{ AWS_ACCESS_KEY_ID = { env = "BACKUP_KEY" } }`.
    #[serde(default)]
    #[schemars(extend("default" = null))]
    pub env: BTreeMap<String, SecretRef>,
    /// Only snapshots of this machine.
    pub host: Option<String>,
    /// Only snapshots that have all these tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The promise: how old the last snapshot may be; 26 hours when not given.
    pub max_age: Option<Dur>,
    /// The promise: how small a snapshot may be, such as `"10MiB"`.
    pub min_size: Option<Size>,
    /// The promise: how many snapshots there are at least.
    #[schemars(range(min = 1))]
    pub retention: Option<u32>,
    /// Letting `restic check` look at the repository now and then.
    pub check: Option<CheckConfig>,
    /// Restoring into a scratch place now and then.
    pub drill: Option<DrillConfig>,
    /// How restic is called: `["sudo", "restic"]`, `["ssh", "web1", "restic"]`; just `restic` when not given.
    pub command: Option<Vec<String>>,
}

impl Config {
    fn prefix(&self) -> Prefix {
        Prefix::new(self.command.as_deref(), "restic")
    }

    fn client(&self, context: &BuildContext) -> Result<Client, SourceError> {
        keys::trusted(context)?;
        let mut env: Vec<(String, SecretRef)> = self.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut without = vec!["RESTIC_REPOSITORY", "RESTIC_REPOSITORY_FILE"];
        if let Some(password) = &self.password {
            env.push(("RESTIC_PASSWORD".to_owned(), password.clone()));
            // Either of these would come before it.
            without.extend(["RESTIC_PASSWORD_FILE", "RESTIC_PASSWORD_COMMAND"]);
        }
        let address = Some(self.repository.clone());
        let (prefix, base) = (self.prefix(), context.base.clone());
        let caller = Caller { prefix, base, address, local: client::local, address_variable: "RESTIC_REPOSITORY", env, without };
        Ok(Client::new(self, context, caller, &self.spec(context)))
    }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all = Vec::new();
        if self.repository.written().is_some_and(|text| text.trim().is_empty()) {
            all.push(complaint(&["repository"], "the repository is empty", "write a path, or an address such as \"sftp:nas1:/backups/shop\""));
        }
        if self.repository.written().is_some_and(|text| text.starts_with('-')) {
            all.push(complaint(&["repository"], "an address does not begin with a hyphen", "write \"./\" before a path that does"));
        }
        all.extend(keys::of_calling(self.command.as_deref(), &self.env, "AWS_ACCESS_KEY_ID"));
        if self.tags.iter().any(|tag| tag.trim().is_empty()) {
            all.push(complaint(&["tags"], "a tag is empty", "leave it out"));
        }
        all.extend(keys::of_promise(self.max_age, self.check.as_ref(), self.drill.as_ref()));
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        keys::secrets(&self.env, Some(&self.repository), ("password", self.password.as_ref()), self.drill.as_ref())
    }

    fn commands(&self) -> Vec<Vec<String>> {
        keys::commands(&self.prefix(), self.drill.as_ref())
    }

    fn reaches(&self, context: &BuildContext) -> Vec<Reach> {
        let path = self.repository.written().filter(|_| !self.prefix().elsewhere()).and_then(client::local);
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

impl Config {
    /// What was promised.
    fn promise(&self) -> Promise {
        Promise::new(self.max_age, self.min_size, self.retention, self.check.as_ref(), self.drill.as_ref())
    }
}
