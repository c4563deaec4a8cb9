//! The connections to one server: one that carries all questions at once where it speaks HTTP/2, else a few with one question each.
//!
//! Over TLS the first connection is opened before anything is asked and tells which of the two it is, so that nobody learns it from
//! an answer: questions either all go on it, or it is handed on to be the first of the few. Nothing is asked twice, and nothing needs
//! to be remembered of a server.
//!
//! What does not belong here: what is asked, and what an answer means (`client`).

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::Connection;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, Version};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::domain::SourceError;

/// Questions at one time on one connection; what a server does not take at once waits in the connection.
const MANY: usize = 128;
/// Questions at one time, each on a connection of its own.
const FEW: usize = 8;
/// How long a connection may take.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// How often a question waits for the one connection; then it gets one of the few.
const ROUNDS: u8 = 4;
/// Failures in a row to open the one connection, after which all who wait for it get the last.
const TRIES: u8 = 2;
/// For so long: who asks later tries anew.
const FRESH: Duration = Duration::from_secs(1);
/// A connection that was opened and not used for longer is not.
const SPARE: Duration = Duration::from_secs(5);

type Failure = Box<dyn Error + Send + Sync>;

/// Questions to one server.
#[derive(Debug)]
pub(super) struct Lane {
    /// For a server over TLS, as long as it may speak HTTP/2.
    one: Option<(Client, Semaphore)>,
    few: (Client, Semaphore),
    opening: Arc<Opening>,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum Unasked {
    /// The round ended while it waited for its turn.
    Ended(SourceError),
    /// The connection or the answer failed.
    Failed(reqwest::Error),
}

impl Lane {
    /// Makes the clients; `builder` gives one with all that does not concern connecting.
    ///
    /// # Errors
    /// Those of making a client.
    pub(super) fn new(secure: bool, builder: impl Fn() -> ClientBuilder) -> reqwest::Result<Self> {
        let opening = Arc::new(Opening::default());
        let one = if secure {
            let client = builder().http2_prior_knowledge().connector_layer(One(Arc::clone(&opening))).build()?;
            Some((client, Semaphore::new(MANY)))
        } else {
            None
        };
        let few = builder().connect_timeout(CONNECT).connector_layer(Few(Arc::clone(&opening))).build()?;
        Ok(Self { one, few: (few, Semaphore::new(FEW)), opening })
    }

    /// Asks when it is this question's turn. The turn ends when what is given is dropped, which is after the answer was read.
    ///
    /// # Errors
    /// When nothing was answered, or the round is `ended`.
    pub(super) async fn ask(
        &self,
        question: impl Fn(&Client) -> RequestBuilder,
        ended: Option<&OnceLock<SourceError>>,
    ) -> Result<(SemaphorePermit<'_>, Response), Unasked> {
        for _ in 0..ROUNDS {
            let Some(one) = self.one.as_ref().filter(|_| !self.opening.is_http1()) else { break };
            match turn(one, &question, ended).await {
                // Another was to open the connection and could not, so nothing was asked yet.
                Err(Unasked::Failed(error)) if error.is_connect() && !holds::<Shared>(&error) => {}
                answered => return answered,
            }
        }
        let answered = turn(&self.few, &question, ended).await?;
        if answered.1.version() == Version::HTTP_2 {
            self.opening.is_http1.store(false, Ordering::Relaxed);
        }
        Ok(answered)
    }
}

async fn turn<'a>(
    (client, slots): &'a (Client, Semaphore),
    question: &impl Fn(&Client) -> RequestBuilder,
    ended: Option<&OnceLock<SourceError>>,
) -> Result<(SemaphorePermit<'a>, Response), Unasked> {
    // Nobody closes it.
    let slot = slots.acquire().await.map_err(|_| Unasked::Ended(SourceError::protocol("the turns are over")))?;
    if let Some(error) = ended.and_then(OnceLock::get) {
        return Err(Unasked::Ended(error.clone()));
    }
    let response = question(client).send().await.map_err(Unasked::Failed)?;
    Ok((slot, response))
}

/// The server speaks HTTP/1.1.
#[derive(Debug, thiserror::Error)]
#[error("the server speaks HTTP/1.1")]
struct Other;

/// Whether an error of this type is among its reasons.
fn holds<E: Error + 'static>(error: &reqwest::Error) -> bool {
    let mut at = error.source();
    while let Some(one) = at {
        if one.is::<E>() {
            return true;
        }
        at = one.source();
    }
    false
}

/// An error that several get.
#[derive(Debug, Clone)]
struct Shared(Arc<dyn Error + Send + Sync>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// What was found when connecting.
#[derive(Debug, Default)]
struct Opening {
    is_http1: AtomicBool,
    /// A connection for the few.
    spare: Mutex<Option<(Instant, Box<dyn Any + Send>)>>,
    failed: Mutex<Option<(Instant, u8, Shared)>>,
}

impl Opening {
    fn is_http1(&self) -> bool {
        self.is_http1.load(Ordering::Relaxed)
    }

    /// Why nobody need try at this moment.
    fn known(&self) -> Option<Failure> {
        if self.is_http1() {
            return Some(Box::new(Other));
        }
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, times, error) = failed.as_ref()?;
        (*times >= TRIES && at.elapsed() < FRESH).then(|| Box::new(error.clone()) as Failure)
    }

    fn failed(&self, error: Failure) -> Failure {
        let error = Shared(Arc::from(error));
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failed.as_ref().map_or(0, |(_, times, _)| *times).saturating_add(1);
        *failed = Some((Instant::now(), times, error.clone()));
        Box::new(error)
    }

    /// Takes a connection that speaks HTTP/2; another is for the few.
    fn opened<C: Connection + Send + 'static>(&self, connection: C) -> Result<C, Failure> {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if connection.connected().is_negotiated_h2() {
            return Ok(connection);
        }
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Box::new(connection)));
        self.is_http1.store(true, Ordering::Relaxed);
        Err(Box::new(Other))
    }

    fn spare<C: 'static>(&self) -> Option<C> {
        let (at, connection) = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        connection.downcast().ok().filter(|_| at.elapsed() < SPARE).map(|connection| *connection)
    }
}

type Connecting<C> = Pin<Box<dyn Future<Output = Result<C, Failure>> + Send>>;

/// Opens the one connection.
#[derive(Clone)]
struct One(Arc<Opening>);

impl<S> Layer<S> for One {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector { inner, opening: Arc::clone(&self.0), is_one: true }
    }
}

/// Opens the few.
#[derive(Clone)]
struct Few(Arc<Opening>);

impl<S> Layer<S> for Few {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector { inner, opening: Arc::clone(&self.0), is_one: false }
    }
}

#[derive(Clone)]
struct Connector<S> {
    inner: S,
    opening: Arc<Opening>,
    is_one: bool,
}

impl<S, T> Service<T> for Connector<S>
where
    S: Service<T, Error = Failure>,
    S::Response: Connection + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Failure;
    type Future = Connecting<S::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, target: T) -> Self::Future {
        let known = if self.is_one { self.opening.known().map(Err) } else { self.opening.spare().map(Ok) };
        if let Some(known) = known {
            return Box::pin(std::future::ready(known));
        }
        let connecting = self.inner.call(target);
        if !self.is_one {
            return Box::pin(connecting);
        }
        let opening = Arc::clone(&self.opening);
        Box::pin(async move {
            match tokio::time::timeout(CONNECT, connecting).await {
                Ok(Ok(connection)) => opening.opened(connection),
                Ok(Err(error)) => Err(opening.failed(error)),
                Err(_) => Err(opening.failed(Box::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))),
            }
        })
    }
}
