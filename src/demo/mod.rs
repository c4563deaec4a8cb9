//! The built-in demonstration: two small sites with real servers on loopback and real log files, and a story that goes on in them.
//!
//! The ordinary sources poll them over sockets and files as they would any site; nothing that a person sees is made up here.
//! Used by `rounds demo` and by tests that want a real server.
//! What does not belong here: the verb itself (`cli`), reading the configuration back (`config`).

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::domain::{Transition, TransitionKind};
use crate::io::clock;
use crate::state::Msg;

pub mod advisories;
mod beside;
mod certificate;
mod changes;
pub mod config;
mod dice;
pub mod drills;
mod dumps;
pub mod index;
mod issues;
mod lines;
mod occurrences;
pub mod packages;
pub mod pages;
mod repository;
pub mod script;
pub mod sentry;
mod servers;
pub mod wheels;
mod writer;

pub use config::{Ports, text as config_text};

/// Lines of answered requests that wait for the log writer.
const LOG_QUEUE: usize = 1_024;
/// Deploys that wait to be told; one comes every minute at most.
const MESSAGE_QUEUE: usize = 16;

/// How often the story listens to a person.
const LISTEN: Duration = Duration::from_millis(200);

/// Why the demonstration does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory has something of that name already.
    #[error("{} exists already: the demonstration overwrites nothing, give it another directory", .0.display())]
    Exists(PathBuf),
    /// A file or directory.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No loopback server.
    #[error("cannot serve on 127.0.0.1: {0}")]
    Serve(io::Error),
    /// No certificate.
    #[error("cannot make the demonstration's certificate: {0}")]
    Tls(String),
}

impl Error {
    fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AlreadyExists { Self::Exists(path.to_owned()) } else { Self::Io { what, path: path.to_owned(), source } }
    }
}

/// How the demonstration begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Where in the story; tests begin in the middle of it.
    pub begin: Duration,
    /// Days until the feed's certificate ends.
    pub certificate_days: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { begin: Duration::ZERO, certificate_days: 9 }
    }
}

/// The time of the story.
#[derive(Debug, Clone)]
struct Watch {
    started: Instant,
    begin: Duration,
    /// What a person's action skipped of it, in milliseconds.
    skipped: Arc<AtomicU64>,
    /// Whether a person took the deploy back, which is to be told.
    by_hand: Arc<AtomicBool>,
}

impl Watch {
    fn elapsed(&self) -> Duration {
        self.begin + self.started.elapsed() + Duration::from_millis(self.skipped.load(Ordering::Relaxed))
    }

    /// Goes on where the deploy is taken back, if it has brought trouble.
    fn roll_back(&self) {
        let skip = script::until_rollback(self.elapsed());
        self.by_hand.store(!skip.is_zero(), Ordering::Relaxed);
        self.skipped.fetch_add(u64::try_from(skip.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }
}

/// A running demonstration. Dropping it ends its servers and its log writer and removes what was temporary.
#[derive(Debug)]
pub struct Site {
    dir: PathBuf,
    ports: Ports,
    messages: Option<mpsc::Receiver<Msg>>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    /// Removed after the threads have ended.
    temporary: Option<tempfile::TempDir>,
}

impl Site {
    /// Starts in a directory of its own among the temporary files, which is removed at the end.
    ///
    /// # Errors
    /// When the directory, the servers or the certificate cannot be made.
    pub fn temporary(options: Options) -> Result<Self, Error> {
        let temporary = tempfile::Builder::new().prefix("rounds-demo-").tempdir().map_err(|e| Error::io("make a directory in", &std::env::temp_dir(), e))?;
        let mut site = Self::start(temporary.path(), options)?;
        site.temporary = Some(temporary);
        Ok(site)
    }

    /// Starts in `dir`, which is made when it is not there, and leaves the files behind: `rounds.toml`, `ca.pem`,
    /// `tracker.token`, `rollback.sh`, `logs/`, `backups/`, `shop/` and `blog/` (packages, each a git repository where there is git), `state/`.
    /// When this returns, the servers accept and the log files exist.
    ///
    /// # Errors
    /// [`Error::Exists`] when one of the files is there already, before anything is written; else when something cannot be made.
    pub fn start(dir: &Path, options: Options) -> Result<Self, Error> {
        let config = dir.join("rounds.toml");
        let authority = dir.join("ca.pem");
        let token = dir.join("tracker.token");
        let others = [config::SCRIPT, "logs", "state", dumps::FOLDER].into_iter().chain(packages::PROJECTS.map(|project| project.folder));
        for path in [config.clone(), authority.clone(), token.clone()].into_iter().chain(others.map(|name| dir.join(name))) {
            if path.symlink_metadata().is_ok() {
                return Err(Error::Exists(path));
            }
        }
        let certificate = certificate::make(clock::now(), options.certificate_days)?;
        let (shop, blog, feed, tracker, releases, facts) = (listen()?, listen()?, listen()?, listen()?, listen()?, listen()?);
        let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port()).map_err(Error::Serve);
        let ports =
            Ports { shop: port(&shop)?, blog: port(&blog)?, feed: port(&feed)?, tracker: port(&tracker)?, index: port(&releases)?, facts: port(&facts)? };

        let state = dir.join("state");
        DirBuilder::new().recursive(true).mode(0o700).create(&state).map_err(|e| Error::io("make the directory", &state, e))?;
        write_new(&authority, &certificate.authority)?;
        write_new(&token, &format!("{}\n", sentry::TOKEN))?;
        write_new(&config, &config_text(ports))?;
        write_new(&dir.join(config::SCRIPT), config::SCRIPT_TEXT)?;
        let (asked, projects) = (dir.join(config::ASKED), dir.to_owned());
        packages::write(dir)?;
        dumps::write(dir, clock::now())?;
        let writer = writer::Writer::create(dir)?;

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Serve)?;
        let watch = Watch { started: Instant::now(), begin: options.begin, skipped: Arc::default(), by_hand: Arc::default() };
        let (log, requests) = sync_channel(LOG_QUEUE);
        let shared = Arc::new(servers::Shared { watch: watch.clone(), log, requests: AtomicU64::new(0) });
        let (tell, messages) = mpsc::channel(MESSAGE_QUEUE);
        let stop = CancellationToken::new();

        let mut site = Self { dir: dir.to_owned(), ports, messages: Some(messages), stop: stop.clone(), threads: Vec::new(), temporary: None };
        let story = watch.clone();
        site.threads.push(spawn("demo-servers", move || {
            runtime.block_on(async {
                tokio::spawn(servers::serve(shop, pages::Host::Shop, None, Arc::clone(&shared)));
                tokio::spawn(servers::serve(blog, pages::Host::Blog, None, Arc::clone(&shared)));
                tokio::spawn(servers::serve(feed, pages::Host::Feed, Some(TlsAcceptor::from(certificate.server)), shared));
                let time = story.clone();
                tokio::spawn(sentry::serve(tracker, Arc::new(sentry::Tracker::new(sentry::Setup::default())), move || time.elapsed()));
                tokio::spawn(index::serve(releases, Arc::new(packages::catalogue(clock::now())), Arc::default()));
                tokio::spawn(advisories::serve(facts, Arc::new(packages::shelf(clock::now()))));
                tokio::spawn(drills::run(config.clone(), state.clone(), tell.clone()));
                tokio::spawn(tell_deploys(story.clone(), tell));
                tokio::spawn(listen_for_rollbacks(story, asked));
                // Not left half done: the end waits for it.
                repository::make(projects).await;
                stop.cancelled().await;
            });
            // Ends every connection; the last sender of log lines goes with them, and with it the writer.
            drop(runtime);
        })?);
        site.threads.push(spawn("demo-logs", move || writer.run(&watch, &requests))?);
        Ok(site)
    }

    /// The directory that everything is in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.dir.join("rounds.toml")
    }

    /// Where the journal of a demonstration belongs, instead of the user's own.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The ports of the servers.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// What the demonstration tells the reducer beside what sources see: deploys, as they happen. Given once.
    pub fn messages(&mut self) -> Option<mpsc::Receiver<Msg>> {
        self.messages.take()
    }

    /// Ends it, as dropping does.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // A thread that panicked has ended; there is nobody left to tell.
            let _ = thread.join();
        }
        drop(self.temporary.take());
    }
}

fn listen() -> Result<TcpListener, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Serve)?;
    listener.set_nonblocking(true).map_err(Error::Serve)?;
    Ok(listener)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new().name(name.to_owned()).spawn(body).map_err(Error::Serve)
}

/// Writes a file that must not exist. Only the owner reads it, as everything in a demonstration.
fn write_new(path: &Path, text: &str) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let mut file: fs::File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|e| Error::io("write", path, e))
}

/// Looks for what the action `rollback` leaves behind.
async fn listen_for_rollbacks(watch: Watch, asked: PathBuf) {
    loop {
        tokio::time::sleep(LISTEN).await;
        if tokio::fs::remove_file(&asked).await.is_ok() {
            watch.roll_back();
        }
    }
}

async fn tell_deploys(watch: Watch, tell: mpsc::Sender<Msg>) {
    let mut told = watch.elapsed();
    while let Some(deploy) = script::next_deploy(told) {
        // In small steps: a person may take a deploy back before its time.
        while watch.elapsed() < deploy.at {
            tokio::time::sleep(deploy.at.saturating_sub(watch.elapsed()).min(LISTEN)).await;
        }
        told = deploy.at;
        let back = deploy.remark == script::TAKEN_BACK;
        let by = if back && watch.by_hand.swap(false, Ordering::Relaxed) { crate::app::person() } else { "ci".to_owned() };
        let what = if back { "rolled back to" } else { "deploy" };
        let transition = Transition {
            at: clock::now(),
            site: deploy.site.to_owned(),
            source: None,
            sentence: format!("{what} {} by {by}: {}", deploy.version, deploy.remark),
            kind: TransitionKind::Deploy { version: deploy.version, by },
        };
        if let Err(mpsc::error::TrySendError::Closed(_)) = tell.try_send(Msg::Events(vec![transition])) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
