//! The way to a source's [`Service`] from outside its task: details are asked through it, bounded, isolated from panics and masked
//! like a poll.
//!
//! What does not belong here: when to ask and what is kept of the answer (`state::details`), what a service does (its folder).

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;

use super::runner::{build, crashed};
use super::{Call, Detail, Found, ItemKey, Offer, Outcome, Seen, Service, masking};
use crate::config::model::Entry;
use crate::domain::SourceError;
use crate::io::secret::Known;

/// What is known of a source's service.
#[derive(Clone, Default)]
enum Slot {
    /// Nobody has built the source yet.
    #[default]
    Unbuilt,
    /// It was built; it may have none.
    Built(Option<Arc<dyn Service>>),
}

/// The way to one source's service. The runner puts the one of the source that it polls here, so that both share a client; where another
/// process polls, it is built when first asked for.
#[derive(Clone)]
pub struct Door {
    entry: Arc<Entry>,
    slot: Arc<Mutex<Slot>>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("source", &self.entry.id).finish_non_exhaustive()
    }
}

impl Door {
    /// The way to the service of a source that is not built yet.
    #[must_use]
    pub fn new(entry: Entry) -> Self {
        Self { entry: Arc::new(entry), slot: Arc::default() }
    }

    /// The service of the source as it was built last.
    pub fn put(&self, service: Option<Arc<dyn Service>>) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Slot::Built(service);
    }

    /// The service; `None` where the source has none. Builds the source where nobody has, which may read files: not on the screen's thread.
    ///
    /// # Errors
    /// When it cannot be built here.
    pub fn service(&self) -> Result<Option<Arc<dyn Service>>, SourceError> {
        if let Slot::Built(service) = self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(service);
        }
        let built = build(&self.entry)?.service;
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Slot::Built(service) = &*slot {
            // The source was built meanwhile; that one counts.
            return Ok(service.clone());
        }
        *slot = Slot::Built(built.clone());
        Ok(built)
    }

    /// The same from an async task.
    ///
    /// # Errors
    /// As [`Door::service`].
    pub async fn open(&self) -> Result<Option<Arc<dyn Service>>, SourceError> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.service()).await.unwrap_or_else(|_| Err(SourceError::protocol("the source could not be built")))
    }

    /// What the source knows of an item; `None` where it has nothing to tell beyond its list. Bounded by the source's timeout, isolated,
    /// and without the secrets that this process has read.
    pub async fn detail(&self, key: &ItemKey, part: Option<&str>) -> Option<Result<Detail, SourceError>> {
        let service = match self.open().await {
            Ok(service) => service?,
            Err(error) => return Some(Err(error)),
        };
        let limit = self.entry.config.spec(&self.entry.context).timeout;
        let asked = tokio::time::timeout(limit, AssertUnwindSafe(service.detail(key, part)).catch_unwind()).await;
        let mut result = match asked {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(crashed(&*panic)),
            Err(_) => Err(SourceError::timeout(limit)),
        };
        masking::mask(&mut result, Known::of_process());
        Some(result)
    }

    /// What can be done to an item, which was seen like this; nothing where the source has no service.
    ///
    /// # Errors
    /// When the source cannot be built here.
    pub async fn offers(&self, key: &ItemKey, seen: Seen<'_>) -> Result<Vec<Offer>, SourceError> {
        let Some(service) = self.open().await? else { return Ok(Vec::new()) };
        let mut offers = std::panic::catch_unwind(AssertUnwindSafe(|| service.offers_for(key, seen))).map_err(|panic| crashed(&*panic));
        masking::mask(&mut offers, Known::of_process());
        offers
    }

    /// Does one thing to several items; one answer for each, in their order. A service bounds its own requests; `limit` bounds all of it.
    /// Only the action runner calls this.
    pub async fn perform(&self, calls: &[Call], limit: Duration) -> Vec<Result<Outcome, SourceError>> {
        let all = |error: &SourceError| calls.iter().map(|_| Err(error.clone())).collect::<Vec<_>>();
        let service = match self.open().await {
            Ok(Some(service)) => service,
            Ok(None) => return all(&SourceError::config("nothing can be done to what this source knows", "nothing was changed")),
            Err(error) => return all(&error),
        };
        let done = tokio::time::timeout(limit, AssertUnwindSafe(service.perform_all(calls)).catch_unwind()).await;
        let mut results = match done {
            Ok(Ok(results)) if results.len() == calls.len() => results,
            Ok(Ok(_)) => all(&SourceError::protocol("not every item has an answer")),
            Ok(Err(panic)) => all(&crashed(&*panic)),
            Err(_) => {
                let mut error = SourceError::timeout(limit);
                "whether it was done is not known: look before trying again".clone_into(&mut error.remedy);
                all(&error)
            }
        };
        for result in &mut results {
            masking::mask(result, Known::of_process());
        }
        results
    }

    /// The item that a person calls so; `None`: the source has none, or nothing to find it with.
    ///
    /// # Errors
    /// When it could not be looked for.
    pub async fn find(&self, name: &str) -> Result<Option<Found>, SourceError> {
        let Some(service) = self.open().await? else { return Ok(None) };
        let limit = self.entry.config.spec(&self.entry.context).timeout;
        let asked = tokio::time::timeout(limit, AssertUnwindSafe(service.find(name)).catch_unwind()).await;
        let mut result = match asked {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(crashed(&*panic)),
            Err(_) => Err(SourceError::timeout(limit)),
        };
        masking::mask(&mut result, Known::of_process());
        result
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::{Capability, ErrorKind, SourceId};
    use crate::io::secret::{self, SecretRef};
    use crate::sources::{
        BoxFuture, BuildContext, Built, Cadence, Call, Collected, Common, Complaint, DetailBody, Offer, Outcome, Source, SourceConfig, SourceSpec,
    };

    /// A source whose service does what the item's name says.
    #[derive(Debug)]
    struct Acts {
        serves: bool,
        builds: Arc<AtomicUsize>,
    }

    struct Silent;

    impl Source for Silent {
        fn cadence(&self) -> Cadence {
            Cadence::Every(Duration::from_secs(1))
        }
        fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
            Box::pin(async { Ok(Collected::default()) })
        }
    }

    struct Acting;

    impl Service for Acting {
        fn detail(&self, key: &ItemKey, part: Option<&str>) -> BoxFuture<'_, Result<Detail, SourceError>> {
            let (key, part) = (key.clone(), part.unwrap_or("newest").to_owned());
            Box::pin(async move {
                match key.item.as_str() {
                    "panic" => panic!("a bug in the service"),
                    "hang" => std::future::pending().await,
                    _ => Ok(Detail { key, body: DetailBody::Lines(vec![part]), link: None }),
                }
            })
        }
        fn offers(&self, _: &ItemKey) -> Vec<Offer> {
            Vec::new()
        }
        fn perform(&self, _: &Call) -> BoxFuture<'_, Result<Outcome, SourceError>> {
            Box::pin(async { Err(SourceError::nothing("nothing", "")) })
        }
    }

    impl SourceConfig for Acts {
        fn check(&self) -> Vec<Complaint> {
            Vec::new()
        }
        fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
            Vec::new()
        }
        fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
            self.builds.fetch_add(1, Ordering::Relaxed);
            let service: Option<Arc<dyn Service>> = if self.serves { Some(Arc::new(Acting)) } else { None };
            Ok(Built { spec: self.spec(context), source: Box::new(Silent), service })
        }
        fn spec(&self, context: &BuildContext) -> SourceSpec {
            SourceSpec {
                id: context.id.clone(),
                title: "t".into(),
                capability: Capability::Issues,
                every: Duration::from_secs(60),
                timeout: Duration::from_secs(5),
                retry_every: Duration::from_secs(60),
                failures: 1,
                successes: 1,
                enabled: true,
                continuous: false,
                runbook: None,
                needs: vec![],
                target: String::new(),
            }
        }
    }

    fn door(serves: bool) -> (Door, Arc<AtomicUsize>) {
        let builds = Arc::new(AtomicUsize::new(0));
        let id = SourceId::parse("shop/sentry/backend").unwrap();
        let context = BuildContext { id: id.clone(), common: Common::default(), base: PathBuf::new(), trusted: true, zone: None, cache: None, state: None };
        let entry = Entry { id, config: Arc::new(Acts { serves, builds: Arc::clone(&builds) }), context };
        (Door::new(entry), builds)
    }

    fn key(item: &str) -> ItemKey {
        ItemKey { source: SourceId::parse("shop/sentry/backend").unwrap(), item: item.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn details_are_bounded_isolated_and_masked() {
        let (door, builds) = door(true);
        let told = |result: Option<Result<Detail, SourceError>>| match result.unwrap() {
            Ok(Detail { body: DetailBody::Lines(lines), .. }) => Ok(lines.concat()),
            Ok(_) => panic!("an event"),
            Err(error) => Err(error.kind),
        };
        assert_eq!(told(door.detail(&key("1"), None).await), Ok("newest".to_owned()));
        secret::Known::of_process().remember("open-sesame-of-door");
        assert_eq!(told(door.detail(&key("1"), Some("open-sesame-of-door")).await), Ok("***".to_owned()));
        assert_eq!(told(door.detail(&key("panic"), None).await), Err(ErrorKind::Protocol));
        assert_eq!(told(door.detail(&key("hang"), None).await), Err(ErrorKind::Timeout));
        assert_eq!(told(door.detail(&key("1"), None).await), Ok("newest".to_owned()), "it lives on");
        assert_eq!(builds.load(Ordering::Relaxed), 1, "it is built once");
    }

    #[tokio::test]
    async fn a_source_without_a_service_says_so() {
        let (door, _) = door(false);
        assert!(door.detail(&key("1"), None).await.is_none());
        // The one that the runner built counts.
        door.put(Some(Arc::new(Acting)));
        assert!(door.detail(&key("1"), None).await.is_some());
    }
}
