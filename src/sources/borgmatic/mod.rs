//! Backups that borgmatic makes: the archives of every repository of one of its configurations, as copies in several places.
//!
//! What does not belong here: what borg prints (`borg::parse`), the verdict on a promise (`rules::backups`), a drill (`actions::drill`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `client` | borgmatic, asked: archives, sizes, files, restoring, checking |
//! | `poll` | one look at the data set |
//! | `log` | the log file that it writes where it is told to; pure |
//! | `said` | what borgmatic says on standard error; pure |

mod client;
mod log;
mod poll;
mod said;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use self::client::Client;
use super::{BuildContext, Built, Complaint, SourceConfig, SourceSpec, borg};
use crate::backups::caller::Caller;
use crate::backups::keys;
use crate::backups::look::Looking;
use crate::backups::prefix::Prefix;
use crate::backups::{CheckConfig, Desk, DrillConfig, Promise, Repository};
use crate::config::value::{Dur, Size};
use crate::domain::SourceError;
use crate::io::secret::SecretRef;

/// The keys of one data set.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The configuration of borgmatic; where it looks by itself (`/etc/borgmatic/config.yaml`) when not given.
    pub config: Option<String>,
    /// Only this repository of it, by path or label; all when not given, each a place of its own.
    pub repository: Option<String>,
    /// The passphrase, where borgmatic's configuration has none.
    pub passphrase: Option<SecretRef>,
    /// More of its environment.
    #[serde(default)]
    #[schemars(extend("default" = null))]
    pub env: BTreeMap<String, SecretRef>,
    /// Only archives with such a name, with `*`, `?` and `[…]`: `"web1-*"`.
    pub archive: Option<String>,
    /// The promise: how old the last archive may be, in every repository; 26 hours when not given.
    pub max_age: Option<Dur>,
    /// The promise: how small an archive may be, such as `"10MiB"`.
    pub min_size: Option<Size>,
    /// The promise: how many archives there are at least.
    #[schemars(range(min = 1))]
    pub retention: Option<u32>,
    /// The log of its runs on this machine, for what a failed one said; `log_file` of its configuration when not given.
    pub job_log: Option<String>,
    /// Letting `borgmatic check` look at the repositories now and then.
    pub check: Option<CheckConfig>,
    /// Restoring into a scratch place now and then.
    pub drill: Option<DrillConfig>,
    /// How borgmatic is called: `["sudo", "borgmatic"]`; just `borgmatic` when not given.
    pub command: Option<Vec<String>>,
}

impl Config {
    fn prefix(&self) -> Prefix {
        Prefix::new(self.command.as_deref(), "borgmatic")
    }

    fn client(&self, context: &BuildContext) -> Result<Client, SourceError> {
        keys::trusted(context)?;
        // borgmatic knows the passphrase itself: an empty one would come before what it runs to get it.
        let (mut env, without) = borg::environment(self.passphrase.as_ref(), &self.env);
        env.retain(|(name, _)| name != "BORG_PASSPHRASE" || self.passphrase.is_some() || self.env.contains_key(name));
        let (prefix, base) = (self.prefix(), context.base.clone());
        let config = self.config.as_ref().map(|config| if prefix.elsewhere() { config.clone() } else { base.join(config).to_string_lossy().into_owned() });
        let caller = Caller { prefix, base, address: None, local: borg::local, address_variable: "BORG_REPO", env, without };
        Ok(Client::new(self, config, caller, context, &self.spec(context)))
    }

    fn promise(&self) -> Promise {
        Promise::new(self.max_age, self.min_size, self.retention, self.check.as_ref(), self.drill.as_ref())
    }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all = Vec::new();
        for (key, value) in [("config", &self.config), ("repository", &self.repository)] {
            if value.as_ref().is_some_and(|value| value.trim().is_empty() || value.starts_with('-')) {
                all.push(keys::complaint(&[key], "this is no name", "leave it out, or write \"./\" before a path that begins with a hyphen"));
            }
        }
        let promises = (self.max_age, self.check.as_ref(), self.drill.as_ref());
        all.extend(borg::complaints(self.command.as_deref(), &self.env, self.archive.as_deref(), promises));
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        keys::secrets(&self.env, None, ("passphrase", self.passphrase.as_ref()), self.drill.as_ref())
    }

    fn commands(&self) -> Vec<Vec<String>> {
        keys::commands(&self.prefix(), self.drill.as_ref())
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
        keys::spec(context, self.config.clone().unwrap_or_else(|| "borgmatic".to_owned()))
    }
}
