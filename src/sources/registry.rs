//! What the kinds of packages that go by semantic versions share: one poll of a lock file against its registry.
//!
//! What does not belong here: where the registry is (`npm`, `cargo`), reading and comparing (`packages::registry`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::audit::{self, Asked, IgnoreConfig};
use super::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Reach, Source, SourceSpec};
use crate::domain::{Capability, SourceError};
use crate::io::secret::{self, SecretRef};
use crate::packages::ecosystem::Ecosystem;
use crate::packages::indexes::cache::Cache;
use crate::packages::registry::client::Registry;
use crate::packages::registry::look::{Look, Where};

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(6 * 3_600);
/// The time limit of one poll where none is configured.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The keys of such a kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    pub ecosystem: Ecosystem,
    pub manifest: &'a PathBuf,
    pub index: Option<&'a str>,
    pub token: Option<&'a SecretRef>,
    pub osv: Option<&'a Asked>,
    pub ignore: &'a [IgnoreConfig],
}

/// What the surroundings of a lock file say of registries.
#[derive(Debug, Clone, Default)]
pub(super) struct Around {
    /// The registry and its token.
    pub found: Option<(String, Option<secret::Secret>)>,
    /// Beginnings of names that have a registry of their own, which is not asked.
    pub apart: Vec<String>,
}

/// Looks around a lock file; blocks.
pub(super) type Find = fn(&std::path::Path) -> Around;

fn complaint(key: &str, message: String, help: &str) -> Complaint {
    Complaint { path: vec![key.to_owned()], message, help: help.to_owned(), warning: false }
}

impl Keys<'_> {
    pub(super) fn check(self) -> Vec<Complaint> {
        let mut all = Vec::new();
        if self.manifest.as_os_str().is_empty() {
            all.push(complaint("manifest", "the path is empty".to_owned(), "name the lock file"));
        }
        if let Some(why) = self.index.and_then(|text| Registry::new(text, self.ecosystem).err()) {
            all.push(complaint("index", format!("the address is not right: {why}"), "write the registry's address, such as \"https://registry.example/\""));
        }
        all.extend(audit::check(self.osv, self.ignore));
        all
    }

    pub(super) fn reaches(self, context: &BuildContext) -> Vec<Reach> {
        let registry = self.index.and_then(|text| Registry::new(text, self.ecosystem).ok()?.reach());
        let tcp = registry.map(|(host, port)| Reach::Tcp(host, port));
        std::iter::once(Reach::Files(context.base.join(self.manifest))).chain(tcp).collect()
    }

    pub(super) fn spec(self, context: &BuildContext) -> SourceSpec {
        let common = &context.common;
        let every = common.every.unwrap_or(EVERY);
        SourceSpec {
            id: context.id.clone(),
            title: common.title.clone().unwrap_or_else(|| context.id.name().to_owned()),
            capability: Capability::Packages,
            every,
            timeout: common.timeout.unwrap_or(TIMEOUT),
            retry_every: every.min(Duration::from_secs(600)),
            failures: 1,
            successes: 1,
            enabled: common.enabled.unwrap_or(true),
            continuous: false,
            runbook: common.runbook.clone(),
            needs: common.needs.clone(),
            target: self.manifest.display().to_string(),
        }
    }

    pub(super) fn build(self, context: &BuildContext, find: Find) -> Result<Built, SourceError> {
        let spec = self.spec(context);
        let look = Look {
            ecosystem: self.ecosystem,
            lock: context.base.join(self.manifest),
            shown: self.manifest.display().to_string(),
            cache: Arc::new(Cache::new(context.cache.as_deref())),
            auditor: audit::build(self.osv, self.ignore, self.ecosystem, context, spec.every)?,
            limit: spec.timeout,
        };
        let source = RegistrySource {
            look: Arc::new(look),
            index: self.index.map(str::to_owned),
            token: self.token.cloned(),
            find,
            base: context.base.clone(),
            trusted: context.trusted,
            every: spec.every,
        };
        Ok(Built { source: Box::new(source), spec, service: None })
    }
}

/// Looks at one lock file.
struct RegistrySource {
    look: Arc<Look>,
    index: Option<String>,
    token: Option<SecretRef>,
    find: Find,
    base: PathBuf,
    trusted: bool,
    every: Duration,
}

impl RegistrySource {
    async fn poll(&self) -> Result<Collected, SourceError> {
        let started = Instant::now();
        let (look, find, lock) = (Arc::clone(&self.look), self.find, self.look.lock.clone());
        let read = tokio::task::spawn_blocking(move || look.read().map(|listed| (listed, find(&lock))));
        let (mut listed, around) = read.await.map_err(|_| SourceError::protocol("the look at the lock file broke off"))??;
        let token = match &self.token {
            Some(token) => Some(secret::resolve(token, &self.base, self.trusted).await?),
            None => None,
        };
        let recorded = || listed.recorded.first().map(|base| (base.clone(), None));
        let named = self.index.clone().map(|index| (index, None)).or(around.found).or_else(recorded);
        let registry: Where = match named {
            Some((text, own)) => Registry::new(&text, self.look.ecosystem).map(|registry| registry.with_token(token.or(own))),
            None => Err("no registry is named anywhere; add the line `index = \"…\"`".to_owned()),
        };
        if let (Err(why), None) = (&registry, &self.look.auditor.osv) {
            return Err(SourceError::config(format!("nobody can be asked: {why}"), "add the line `index = \"…\"` with the address of your registry"));
        }
        for scope in &around.apart {
            let of_scope = |name: &str| name.starts_with(scope.as_str());
            let count = listed.all.iter().filter(|one| one.from_registry && of_scope(&one.name)).count();
            if count > 0 {
                let words = format!("{count} packages have a registry of their own, which is not asked");
                listed.problems.push((scope.trim_end_matches('/').to_owned(), words));
                listed.all.iter_mut().filter(|one| of_scope(&one.name)).for_each(|one| one.from_registry = false);
            }
        }
        let (observations, problems, complete) = self.look.look(listed, registry, started).await?;
        Ok(Collected { observations, problems, complete })
    }
}

impl Source for RegistrySource {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(self.poll())
    }
}

/// Reads a variable of the environment that is set to something.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
