//! One poll: read what is listed and installed, ask the indexes for all of it side by side, compare.
//!
//! What does not belong here: what is made of the answers (`packages::compare`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::address::{Addresses, Indexes};
use crate::domain::{Data, ErrorKind, Observation, Packages, Problem, SourceError};
use crate::io::clock;
use crate::io::exec::{self, Limits, Program};
use crate::packages::advisories::audit::{Auditor, Beside, Listed};
use crate::packages::compare::{self, Facts, Known, Pace, compare};
use crate::packages::ecosystem::Ecosystem;
use crate::packages::indexes::cache::Cache;
use crate::packages::indexes::client::{Answer, Asker, Index};
use crate::packages::life::client::{self as life, Dates, Used};
use crate::packages::manifests::installed::Environment;
use crate::packages::manifests::{self, Manifest, Scope, inspected, installed};
use crate::packages::versions::Interpreter;
use crate::sources::{BoxFuture, Cadence, Collected, Source};

/// Packages that are asked about at one time; how many of them go to a server at once is for the client to say.
const PARALLEL: usize = 128;
/// After so many failures of the connection the index is left alone until the next poll.
const PATIENCE: u8 = 16;
/// A report of what is installed is not larger than this, in bytes: it holds the descriptions of all packages.
const REPORT: usize = 64 << 20;

/// What a source is made of.
#[derive(Debug)]
pub(super) struct Setup {
    pub manifests: Vec<PathBuf>,
    pub venv: Option<PathBuf>,
    pub interpreter: Option<Interpreter>,
    pub addresses: Addresses,
    pub base: PathBuf,
    pub cache: Arc<Cache>,
    pub limit: Duration,
    pub auditor: Auditor,
    pub dates: Option<Dates>,
    pub cooldown_s: i64,
    /// The command that tells what is installed elsewhere.
    pub inspect: Option<Vec<String>>,
    /// What it told last: who looks at one package need not wait for it.
    pub inspected: Mutex<Option<Environment>>,
}

/// Looks at one project's packages.
pub(super) struct PythonSource {
    setup: Arc<Setup>,
    every: Duration,
    asker: Option<Arc<Asker>>,
}

impl PythonSource {
    pub(super) fn new(setup: Arc<Setup>, every: Duration) -> Self {
        Self { setup, every, asker: None }
    }
}

/// What is here, before anybody is asked.
pub(super) struct Here {
    manifest: Manifest,
    environment: Option<Environment>,
    interpreter: Option<Interpreter>,
    pace: Pace,
    /// The packages as they are, before an index says anything of them.
    bare: Packages,
}

impl Here {
    /// The version of a package that is there: installed, else locked.
    pub(super) fn current(&self, name: &str) -> Option<String> {
        let facts = self.facts();
        let installed = facts.installed.and_then(|all| all.get(name)).map(|one| one.version.clone());
        installed.or_else(|| facts.entries.iter().find(|entry| entry.name == name)?.locked.clone())
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            entries: &self.manifest.entries,
            installed: self.environment.as_ref().map(|environment| &environment.distributions),
            interpreter: self.interpreter.as_ref(),
            pace: self.pace,
        }
    }
}

impl Setup {
    /// The indexes to ask.
    ///
    /// # Errors
    /// When none is named anywhere.
    pub(super) async fn indexes(&self, here: &Here) -> Result<Indexes, SourceError> {
        let folder = self.manifests.first().and_then(|path| path.parent()).unwrap_or(&self.base);
        self.addresses.find(&here.manifest.options, folder, self.venv.as_deref()).await
    }
}

/// Runs the command that tells what is installed elsewhere; `None` where none is configured.
async fn inspect(setup: &Setup) -> Option<Result<Environment, SourceError>> {
    let argv = setup.inspect.as_ref()?;
    if !setup.addresses.trusted {
        return Some(Err(SourceError::config("this configuration may not run `inspect`", "look at it, then run `rounds trust`")));
    }
    let program = Program::new(argv.clone()).directory(&setup.base);
    let tool = program.tool().to_owned();
    let run = async {
        let output = exec::run(&program, Limits { stdout_bytes: REPORT, ..Limits::within(setup.limit / 2) }).await?;
        let by_hand = "run the command by hand as this user: it must print what `pip inspect` prints (pip 22.2 or later)";
        if !output.ending.success() {
            let message = format!("{tool}: {}: {}", output.ending, output.last_error_line());
            return Err(SourceError::missing(message.trim_end_matches([':', ' ']).to_owned(), by_hand));
        }
        // Away from the tasks' threads: a report may be megabytes.
        let read = tokio::task::spawn_blocking(move || inspected::read(&output.stdout_text())).await;
        let read = read.map_err(|_| SourceError::protocol("the report could not be read"))?;
        read.map_err(|why| SourceError::nothing(format!("{tool}: {why}"), by_hand))
    };
    let told = run.await;
    if let Ok(environment) = &told {
        *setup.inspected.lock().unwrap_or_else(PoisonError::into_inner) = Some(environment.clone());
    }
    Some(told)
}

/// Reads the manifests and the environment; `again`: a remote one is asked although it told before.
pub(super) async fn here(setup: &Arc<Setup>, again: bool) -> Result<Here, SourceError> {
    let known = || setup.inspected.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let remote = match known().filter(|_| !again) {
        Some(known) => Some(Ok(known)),
        None => inspect(setup).await,
    };
    let setup = Arc::clone(setup);
    tokio::task::spawn_blocking(move || read(&setup, remote)).await.map_err(|_| SourceError::protocol("the look at the manifest broke off"))?
}

/// Reads the manifests and the environment. Blocks.
fn read(setup: &Setup, remote: Option<Result<Environment, SourceError>>) -> Result<Here, SourceError> {
    let mut problems = Vec::new();
    let mut environment = None;
    match remote {
        Some(Ok(found)) => environment = Some(found),
        // The manifest alone is worth a look.
        Some(Err(error)) if !setup.manifests.is_empty() => problems.push(Problem { subject: "inspect".to_owned(), message: error.message }),
        Some(Err(error)) => return Err(error),
        None => {}
    }
    if let Some(venv) = &setup.venv {
        match installed::read(venv) {
            Ok(found) => environment = Some(found),
            // The manifest alone is worth a look.
            Err(error) if !setup.manifests.is_empty() => problems.push(Problem { subject: "venv".to_owned(), message: error.message }),
            Err(error) => return Err(error),
        }
    }
    let of_venv = || environment.as_ref().and_then(|environment: &Environment| environment.interpreter.clone());
    // `bin/python` of an environment has its `pyvenv.cfg` two folders up.
    let of_program = || setup.addresses.program.as_deref().and_then(Path::parent).and_then(Path::parent).and_then(installed::interpreter);
    let interpreter = setup.interpreter.clone().or_else(of_program).or_else(of_venv);
    let mut manifest = manifests::read(&setup.manifests, Scope { base: &setup.base, interpreter: interpreter.as_ref() });
    if manifest.entries.is_empty() && environment.is_none() {
        return Err(match manifest.problems.first().or(problems.first()) {
            Some(problem) => {
                let message = format!("no package can be read: {}: {}", problem.subject, problem.message);
                if setup.manifests.iter().any(|path| path.exists()) {
                    SourceError::nothing(message, "correct the manifest, or let `manifest` name another")
                } else {
                    SourceError::missing(message, "let `manifest` name the file that lists the packages")
                }
            }
            None => SourceError::nothing("the manifest lists no package", "let `manifest` name the file that lists the packages"),
        });
    }
    problems.append(&mut manifest.problems);
    if let Some(environment) = &mut environment {
        problems.append(&mut environment.problems);
    }
    manifest.problems = problems;
    let pace = Pace { now_s: clock::now().timestamp(), cooldown_s: setup.cooldown_s };
    let python = interpreter.as_ref().map(|interpreter| interpreter.text.clone());
    let mut here = Here { manifest, environment, interpreter, pace, bare: Packages { python, ..Packages::default() } };
    here.bare.items = compare(here.facts(), &BTreeMap::new());
    Ok(here)
}

/// What all indexes together said of one package.
struct Asked {
    name: String,
    known: Known,
    error: Option<SourceError>,
    /// Whether an index answered now, be it that it does not know the name.
    answered: bool,
}

/// One round of asking.
struct Round {
    asker: Arc<Asker>,
    indexes: Vec<Index>,
    deadline: Instant,
    limit: Duration,
    failures: AtomicU8,
    /// Set once an index asked for patience or refused us: it is not asked on.
    ended: std::sync::OnceLock<SourceError>,
}

impl Round {
    async fn ask(&self, name: String) -> Asked {
        let mut asked = Asked { name, known: Known::default(), error: None, answered: false };
        let mut unknown = None;
        for index in &self.indexes {
            let Answer { project, error } = self.one(index, &asked.name).await;
            match error {
                None => asked.answered = true,
                Some(error) if is_unknown(&error) => unknown = Some(error),
                Some(error) => asked.error = Some(error),
            }
            if let Some(project) = project {
                asked.known.projects.push(project);
                asked.known.places.push(index.shown().to_owned());
            }
        }
        if !asked.answered && asked.error.is_none() {
            asked.error = unknown;
        }
        asked.known.problem = asked.error.as_ref().map(|error| error.message.clone());
        asked
    }

    async fn one(&self, index: &Index, name: &str) -> Answer {
        let stop = |error: SourceError| Answer { project: None, error: Some(error) };
        if let Some(error) = self.ended.get() {
            return stop(error.clone());
        }
        let Ok(answer) = tokio::time::timeout_at(self.deadline, self.asker.ask(index, name, &self.ended)).await else {
            return stop(SourceError::timeout(self.limit));
        };
        if let Some(error) = &answer.error {
            let broken = matches!(error.kind, ErrorKind::Connect | ErrorKind::Tls | ErrorKind::Timeout);
            let tired = broken && self.failures.fetch_add(1, Ordering::Relaxed) >= PATIENCE;
            if self.indexes.len() == 1 && (tired || error.kind == ErrorKind::RateLimited) {
                // Another task may have said so first.
                let _ = self.ended.set(error.clone());
            }
        }
        answer
    }
}

fn is_unknown(error: &SourceError) -> bool {
    error.kind == ErrorKind::Status && error.message.starts_with("the index does not know")
}

impl PythonSource {
    async fn look(&mut self) -> Result<Collected, SourceError> {
        let started = Instant::now();
        let setup = Arc::clone(&self.setup);
        let (known, cache) = (self.asker.clone(), Arc::clone(&setup.cache));
        // The platform's certificates are some hundred files: they are read beside the project's own.
        let making = tokio::task::spawn_blocking(move || known.map_or_else(|| Asker::new(cache).map(Arc::new), Ok));
        let here = here(&setup, true).await?;
        let indexes = setup.indexes(&here).await?;
        let asker = making.await.map_err(|_| SourceError::tls("the certificates cannot be read"))??;
        self.asker = Some(Arc::clone(&asker));
        // What has come by then is told, rather than nothing.
        let limit = setup.limit.saturating_sub((setup.limit / 10).min(Duration::from_secs(3)));
        let shown = indexes.all.first().map(|index| index.shown().to_owned());
        let listed = indexes.all.first().map(|index| Listed { asker: Arc::clone(&asker), index: index.clone() });
        let round = Round { asker, indexes: indexes.all, deadline: started + limit, limit, failures: AtomicU8::new(0), ended: std::sync::OnceLock::new() };
        let names = here.facts().asked();
        let (elsewhere, used) = (here.facts().elsewhere(), used(&here.bare));
        // What is there is known, so nobody needs to wait for the index to be asked about its weaknesses and its dates.
        let deadline = started + limit;
        let (all, said, (lines, mut told, _)): (Vec<Asked>, _, _) = tokio::join!(
            stream::iter(names.into_iter().map(|name| round.ask(name))).buffer_unordered(PARALLEL).collect(),
            setup.auditor.ask(&here.bare, &elsewhere, listed.as_ref(), deadline),
            life::look(setup.dates.as_ref(), &used, deadline),
        );
        if !all.is_empty()
            && all.iter().all(|one| !one.answered)
            && let Some(mut error) = worst(&all)
        {
            // Who has no password is mostly told so for this very reason.
            if let (ErrorKind::Auth, false) = (error.kind, indexes.problems.is_empty()) {
                error.message = format!("{}: {}", error.message, indexes.problems.join("; "));
            }
            return Err(error);
        }
        let mut problems: Vec<Problem> = here.manifest.problems.clone();
        problems.extend(indexes.problems.into_iter().map(|message| Problem { subject: "index".to_owned(), message }));
        let mut failed: Vec<Problem> =
            all.iter().filter_map(|one| Some(Problem { subject: one.name.clone(), message: one.error.as_ref()?.message.clone() })).collect();
        failed.sort_by(|a, b| a.subject.cmp(&b.subject));
        problems.append(&mut failed);
        let complete = all.iter().all(|one| one.error.as_ref().is_none_or(is_unknown));
        let manifest = if setup.manifests.is_empty() {
            let venv = setup.venv.as_ref().map(|venv| Scope { base: &setup.base, interpreter: None }.shown(venv));
            venv.or_else(|| setup.inspect.as_ref().map(|argv| argv.join(" "))).unwrap_or_default()
        } else {
            let scope = Scope { base: &setup.base, interpreter: None };
            setup.manifests.iter().map(|path| scope.shown(path)).collect::<Vec<_>>().join(", ")
        };
        let work = tokio::task::spawn_blocking(move || {
            let known: BTreeMap<String, Known> = all.into_iter().map(|one| (one.name, one.known)).collect();
            let items = compare(here.facts(), &known);
            let python = here.bare.python.clone();
            let packages = Packages { manifest, items, python, index: shown, ecosystem: Some(Ecosystem::PyPi.word().to_owned()), ..Packages::default() };
            (packages, known, here.interpreter)
        });
        let (mut packages, known, interpreter) = work.await.map_err(|_| SourceError::protocol("the comparison broke off"))?;
        let releases = |name: &str| known.get(name).map(|known| compare::releases(known, interpreter.as_ref())).unwrap_or_default();
        let beside = Beside { releases: &releases, elsewhere: &elsewhere, listed };
        problems.append(&mut setup.auditor.audit(&mut packages, beside, said, deadline).await);
        problems.append(&mut told);
        manifests::bound(&mut problems);
        let at = clock::now();
        let mut observations = vec![Observation { at, data: Data::Packages(packages) }];
        if !lines.items.is_empty() {
            observations.push(Observation { at, data: Data::Life(lines) });
        }
        Ok(Collected { observations, problems, complete })
    }
}

/// What of these packages has dates of its own: the interpreter and Django.
fn used(packages: &Packages) -> Vec<Used> {
    let place = |installed: bool| if installed { "the environment" } else { "the manifest" }.to_owned();
    let python = packages.python.iter().map(|version| Used { product: "python".to_owned(), version: version.clone(), seen: place(true) });
    let django = packages.items.iter().filter(|package| package.name == "django");
    let django = django
        .filter_map(|package| Some(Used { product: "django".to_owned(), version: package.current()?.to_owned(), seen: place(package.installed.is_some()) }));
    python.chain(django).collect()
}

/// The error to tell when nothing was answered: one that a person can act on before one that passes.
fn worst(all: &[Asked]) -> Option<SourceError> {
    let rank = |error: &SourceError| match error.kind {
        ErrorKind::Auth => 0,
        ErrorKind::RateLimited => 1,
        ErrorKind::Tls | ErrorKind::Connect => 2,
        ErrorKind::Timeout => 4,
        _ if is_unknown(error) => 5,
        _ => 3,
    };
    let mut error = all.iter().filter_map(|one| one.error.as_ref()).min_by_key(|error| rank(error))?.clone();
    if is_unknown(&error) {
        error.message = format!("the index knows none of the {} packages", all.len());
        "check that the address of the index is right: it mostly ends in /simple/".clone_into(&mut error.remedy);
    }
    Some(error)
}

impl Source for PythonSource {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(self.look())
    }
}
