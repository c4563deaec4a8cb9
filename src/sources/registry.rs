//! What the kinds of packages that go by semantic versions share: one poll of a lock file against its registry.
//!
//! What does not belong here: where the registry is (`npm`, `cargo`), reading and comparing (`packages::registry`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::audit::{self, Asked, IgnoreConfig};
use super::{
    BoxFuture, BuildContext, Built, Cadence, Call, Collected, Complaint, Detail, DetailBody, ItemKey, Offer, Outcome, Reach, Service, Source, SourceSpec,
};
use crate::domain::{Capability, Notes, SourceError};
use crate::io::secret::{self, SecretRef};
use crate::packages::ecosystem::{Ecosystem, semantic};
use crate::packages::indexes::cache::Cache;
use crate::packages::indexes::simple::Project;
use crate::packages::notes::client::{Question, Reader};
use crate::packages::registry::client::Registry;
use crate::packages::registry::listed::{Listed, Locked};
use crate::packages::registry::look::{Look, Registries, Where};

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(6 * 3_600);
/// The time limit of one poll where none is configured.
const TIMEOUT: Duration = Duration::from_secs(120);

/// All of one look at notes.
const LIMIT: Duration = Duration::from_secs(40);

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
    /// Beginnings of names that have a registry of their own: that, and its token.
    pub apart: Vec<(String, String, Option<secret::Secret>)>,
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
        let spec = SourceSpec::of(context, Capability::Packages, EVERY, TIMEOUT, self.manifest.display().to_string());
        SourceSpec { retry_every: spec.every.min(Duration::from_secs(600)), ..spec }
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
        let setup = Arc::new(Setup {
            look: Arc::new(look),
            index: self.index.map(str::to_owned),
            token: self.token.cloned(),
            find,
            base: context.base.clone(),
            trusted: context.trusted,
        });
        let service = RegistryService { setup: Arc::clone(&setup), notes: Reader::new(context.cache.as_deref()) };
        Ok(Built { source: Box::new(RegistrySource { setup, every: spec.every }), spec, service: Some(Arc::new(service)) })
    }
}

/// What a source is made of.
struct Setup {
    look: Arc<Look>,
    index: Option<String>,
    token: Option<SecretRef>,
    find: Find,
    base: PathBuf,
    trusted: bool,
}

impl Setup {
    /// What is pinned, and which registries know it.
    async fn read(&self) -> Result<(Listed, Registries), SourceError> {
        let (look, find, lock) = (Arc::clone(&self.look), self.find, self.look.lock.clone());
        let read = tokio::task::spawn_blocking(move || look.read().map(|listed| (listed, find(&lock))));
        let (mut listed, around) = read.await.map_err(|_| SourceError::protocol("the look at the lock file broke off"))??;
        let token = match &self.token {
            Some(token) => Some(secret::resolve(token, &self.base, self.trusted).await?),
            None => None,
        };
        let recorded = || listed.recorded.first().map(|base| (base.clone(), None));
        let named = self.index.clone().map(|index| (index, None)).or(around.found).or_else(recorded);
        let main: Where = match named {
            Some((text, own)) => Registry::new(&text, self.look.ecosystem).map(|registry| registry.with_token(token.or(own))),
            None => Err("no registry is named anywhere; add the line `index = \"…\"`".to_owned()),
        };
        let mut apart = Vec::new();
        for (scope, text, token) in around.apart {
            let of_scope = |name: &str| name.starts_with(scope.as_str());
            if !listed.all.iter().any(|one| one.from_registry && of_scope(&one.name)) {
                continue;
            }
            match Registry::new(&text, self.look.ecosystem) {
                Ok(registry) => apart.push((scope, registry.with_token(token))),
                Err(why) => {
                    // The public registry may have another package of that name.
                    listed.problems.push((scope.trim_end_matches('/').to_owned(), format!("has a registry of its own, which cannot be asked: {why}")));
                    listed.all.iter_mut().filter(|one| of_scope(&one.name)).for_each(|one| one.from_registry = false);
                }
            }
        }
        Ok((listed, Registries { main, apart }))
    }
}

/// Looks at one lock file.
struct RegistrySource {
    setup: Arc<Setup>,
    every: Duration,
}

impl RegistrySource {
    async fn poll(&self) -> Result<Collected, SourceError> {
        let started = Instant::now();
        let (listed, registries) = self.setup.read().await?;
        let look = &self.setup.look;
        if let (Err(why), None) = (&registries.main, &look.auditor.osv) {
            return Err(SourceError::config(format!("nobody can be asked: {why}"), "add the line `index = \"…\"` with the address of your registry"));
        }
        let (observations, problems, complete) = look.look(listed, registries, started).await?;
        Ok(Collected { observations, problems, complete })
    }
}

/// What is known of a package beyond its versions: the notes of its releases.
struct RegistryService {
    setup: Arc<Setup>,
    notes: Reader,
}

impl RegistryService {
    async fn notes(&self, item: &str) -> Result<(Notes, Option<String>), SourceError> {
        let deadline = Instant::now() + LIMIT;
        let (listed, registries) = self.setup.read().await?;
        // Of several versions of one package all but one have it in their name: `lamp@1.0.0`.
        let is = |one: &&Locked| one.name == item || item.strip_prefix(one.name.as_str()).and_then(|rest| rest.strip_prefix('@')) == Some(&one.version);
        let locked = listed.all.iter().filter(is).max_by_key(|one| semantic(&one.version));
        let locked = locked.ok_or_else(|| SourceError::nothing(format!("{item} is not in the lock file"), ""))?;
        let registry = registries.of(&locked.name).filter(|_| locked.from_registry);
        let registry = registry.ok_or_else(|| SourceError::nothing(format!("no registry is asked for {item}"), "add the line `index = \"…\"`"))?;
        let (project, error) = registry.ask(&locked.name, &self.setup.look.cache).await;
        let good = |project: &Project| {
            let all = project.releases.iter().filter(|release| release.yanked.is_none()).filter_map(|release| Some((semantic(&release.version)?, release)));
            let stable = all.filter(|(version, _)| version.pre.is_empty()).max_by(|(a, _), (b, _)| a.cmp_precedence(b));
            project.latest.clone().or_else(|| stable.map(|(_, release)| release.version.clone()))
        };
        let Some(latest) = project.and_then(|project| good(&project)) else {
            return Err(error.unwrap_or_else(|| SourceError::nothing(format!("the registry has no release of {item}"), "")));
        };
        let question = Question { name: &locked.name, from: &locked.version, latest: &latest, index: registry.shown(), local: registry.is_local() };
        self.notes.read(question, registry.about(&locked.name, &latest), deadline).await
    }
}

impl Service for RegistryService {
    fn detail(&self, key: &ItemKey, _: Option<&str>) -> BoxFuture<'_, Result<Detail, SourceError>> {
        let key = key.clone();
        Box::pin(async move {
            let (notes, link) = self.notes(&key.item).await?;
            Ok(Detail { key, body: DetailBody::Notes(Box::new(notes)), link })
        })
    }

    fn offers(&self, _: &ItemKey) -> Vec<Offer> {
        Vec::new()
    }

    fn perform(&self, _: &Call) -> BoxFuture<'_, Result<Outcome, SourceError>> {
        // Nothing is offered.
        Box::pin(async { Err(SourceError::config("these packages are upgraded by their own tool", "nothing was changed")) })
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

#[cfg(test)]
pub(super) mod tests {
    use std::io::{BufRead, BufReader, Read, Write};

    use super::*;
    use crate::domain::{NoteLine, SourceId};

    /// A server on loopback with these pages, for as long as the tests run; gives its address.
    pub(in crate::sources) fn serves(pages: impl Fn(&str) -> Vec<(&'static str, &'static str, String)>) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let pages = pages(&url);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten().take(20) {
                let mut head = BufReader::new((&stream).take(64 << 10)).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
                let path = head.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
                head.for_each(drop);
                let found = pages.iter().find(|(known, _, _)| *known == path);
                let (status, kind, body) = found.map_or(("404 Not Found", "text/plain", ""), |(_, kind, body)| ("200 OK", kind, body));
                let text = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
                let _ = stream.write_all(text.as_bytes());
            }
        });
        url
    }

    /// What page 6 shows of a package, `RELEASE: (WORD) LINE` each, and the page that its key opens.
    pub(in crate::sources) async fn notes(service: &dyn Service, source: &str, name: &str) -> (Vec<String>, Option<String>) {
        let key = ItemKey { source: SourceId::parse(source).unwrap(), item: name.to_owned() };
        let detail = service.detail(&key, None).await.unwrap();
        let DetailBody::Notes(notes) = detail.body else { panic!("no notes") };
        let warns = |line: &NoteLine| line.word.map(|word| format!("({word:?}) ")).unwrap_or_default();
        let lines =
            notes.releases.iter().flat_map(|release| release.lines.iter().map(move |line| format!("{}: {}{}", release.version, warns(line), line.text)));
        (lines.collect(), detail.link)
    }
}
