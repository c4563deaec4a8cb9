//! The run itself: phase after phase, each bounded and measured, cleaned up however it ends.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User};
use tokio_util::sync::CancellationToken;

use super::assert::{self, Subject};
use super::load::{self, Load, Loaded};
use super::place::{self, Hold, Mark, Scratch};
use super::{Broken, Order, Said, look, postgres};
use crate::actions::mask::Mask;
use crate::backups::{DrillConfig, Restored};
use crate::domain::backup::Check;
use crate::domain::{Copy, Drill, SourceError, Transition, size_text};
use crate::io::clock;
use crate::io::exec::{self, Limits, Program};
use crate::io::secret::{self, Known, Secret};

/// How long a tool that was asked to end is waited for; it is killed before.
const GIVING_BACK: Duration = Duration::from_secs(15);
/// How often the disk is looked at while it fills.
const LOOK: Duration = Duration::from_secs(2);
/// Below so much the run ends by itself: half of what is left free when it begins.
const LOW: u64 = look::RESERVE / 2;
/// How long a look at a right may take.
const ASKED: Duration = Duration::from_secs(60);

/// Why a phase ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Halt {
    /// It failed: a sentence.
    Failed(String),
    /// Somebody stopped it.
    Stopped,
}

/// What bounds every phase.
struct Bounds<'a> {
    stop: &'a CancellationToken,
    deadline: Instant,
    limit: Duration,
    /// A folder on the disk that fills.
    disk: Option<PathBuf>,
}

impl Bounds<'_> {
    /// A phase, unless it is stopped, takes too long, or fills the disk.
    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        let filled = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if self.disk.as_deref().and_then(place::free).is_some_and(|free| free < LOW) {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            done = work => Ok(done),
            () = tokio::time::sleep_until(self.deadline.into()) => {
                Err(Halt::Failed(format!("it did not end within {}; `drill.timeout` sets how long it may take", crate::domain::time::human(self.limit))))
            }
            () = filled => Err(Halt::Failed(format!("the disk ran full: less than {} is left", size_text(LOW)))),
        }
    }
}

/// How far a drill came.
#[derive(Debug, Default)]
struct Course {
    phases: Vec<(String, f64)>,
    assertions: Vec<crate::domain::Assertion>,
}

impl Course {
    fn took(&mut self, phase: &str, since: Instant) {
        self.phases.push((phase.to_owned(), (since.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0));
    }
}

fn refused(what: impl Into<String>, remedy: impl Into<String>) -> Broken {
    Broken::Refused(what.into(), remedy.into())
}

fn unmarked(error: &std::io::Error) -> Broken {
    refused(format!("what is made could not be marked: {error}"), "name another folder with --state-dir")
}

fn unlisted(error: &SourceError) -> Broken {
    refused(format!("the copies could not be listed: {}", error.message), error.remedy.clone())
}

fn mask(order: &Order) -> Mask {
    Mask::new(Known::of_process().all()).redacting(&order.redact)
}

/// The address of the person's own server, where one is configured.
async fn server(order: &Order, config: &DrillConfig) -> Result<Option<Secret>, Broken> {
    let Some(reference) = &config.server else { return Ok(None) };
    let address = secret::resolve(reference, &order.base, true).await.map_err(|error| refused(format!("`drill.server`: {}", error.message), error.remedy))?;
    let (reach, _) = postgres::reach(&address).map_err(|said| refused(said, "mend the key"))?;
    if let Some((_, password)) = reach.iter().find(|(name, _)| name == "PGPASSWORD") {
        Known::of_process().remember(password.expose());
    }
    Ok(Some(address))
}

/// Whom the tool writes as, where it is another one than we are, and the scratch place must be his.
fn writer(order: &Order) -> Result<Option<User>, Broken> {
    let Some(name) = order.repository.writes_as() else { return Ok(None) };
    let known = name.parse().map_or_else(|_| User::from_name(&name), |number| User::from_uid(Uid::from_raw(number)));
    let user = known.ok().flatten().ok_or_else(|| refused(format!("the tool runs as {name}, and there is no such user here"), "look at `command`"))?;
    let ours = nix::unistd::geteuid();
    if user.uid == ours || ours.is_root() && user.uid.is_root() {
        return Ok(None);
    }
    if !ours.is_root() {
        // What the tool writes we could neither read nor take away.
        let what = format!("the tool runs as {name}, whose files a drill of another user can neither look at nor take away");
        return Err(refused(what, format!("run this as {name}, or as root: sudo -u {name} rounds drill {}", order.source)));
    }
    Ok(Some(user))
}

/// Whether a user may write into a folder: what lies above it counts too.
async fn reaches(user: &User, folder: &Path) -> bool {
    let argv = ["test", "-w", &folder.to_string_lossy()].map(str::to_owned).to_vec();
    let program = Program::new(argv).directory(Path::new("/")).as_user(user.uid.as_raw(), user.gid.as_raw());
    // Where it cannot be tried, the restore itself tells.
    exec::run(&program, Limits::within(ASKED)).await.map_or(true, |output| output.ending.success())
}

/// Takes away what an earlier run had made and could not.
async fn leftovers(mark: Mark, server: Option<&Secret>) -> Result<(), String> {
    if let Some(name) = &mark.database {
        let Some(server) = server else {
            return Err(format!("the scratch database {name} of an earlier drill is still there, and no server is configured any more: drop it by hand"));
        };
        postgres::drop_database(server, name).await.map_err(|said| format!("the scratch database {name} of an earlier drill could not be dropped: {said}"))?;
    }
    let gone = tokio::task::spawn_blocking(move || place::remove_leftovers(&mark.places)).await;
    match gone {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("the scratch place of an earlier drill could not be taken away: {error}")),
        Err(_) => Err("the cleaning broke off".to_owned()),
    }
}

/// Takes away what a mark tells of, with the configured server where it needs one.
pub(super) async fn tidy(order: &Order, mark: Mark) -> Result<(), String> {
    let server = match &mark.database {
        Some(_) => server(order, &order.repository.drill()).await.map_err(|broken| broken.to_string())?,
        None => None,
    };
    leftovers(mark, server.as_ref()).await
}

/// Tries a restore.
pub(super) async fn run(
    order: &Order,
    hold: &Hold,
    record: &Transition,
    stop: &CancellationToken,
    tell: &mut (dyn FnMut(Said) + Send),
) -> Result<Drill, Broken> {
    let config = order.repository.drill();
    let server = server(order, &config).await?;
    let writer = writer(order)?;
    if let Some(mark) = hold.mark() {
        tell(Said::Doing("take away what an earlier drill left".to_owned()));
        leftovers(mark, server.as_ref()).await.map_err(|said| refused(said, "then try again"))?;
    }
    // Whoever ends this process in the next moment: the next start tells that it began.
    let mark = Mark { record: Some(record.clone()), ..Mark::default() };
    hold.remember(&mark).map_err(|error| unmarked(&error))?;
    let done = marked(order, hold, record, (&config, server.as_ref(), writer.as_ref()), stop, tell).await;
    let nothing = |mark: Mark| mark.database.is_none() && !mark.places.iter().any(|place| place.exists());
    if done.is_err() && hold.mark().is_some_and(nothing) {
        hold.forget();
    }
    done
}

/// The run, once its beginning is marked.
async fn marked(
    order: &Order,
    hold: &Hold,
    record: &Transition,
    (config, server, writer): (&DrillConfig, Option<&Secret>, Option<&User>),
    stop: &CancellationToken,
    tell: &mut (dyn FnMut(Said) + Send),
) -> Result<Drill, Broken> {
    let limit = order.limit();
    let mut bounds = Bounds { stop, deadline: Instant::now() + limit, limit, disk: None };
    tell(Said::Doing(format!("look at the copies of {}", order.source)));
    let copies = match bounds.within(order.repository.copies()).await {
        Ok(Ok(copies)) => copies,
        Ok(Err(error)) => return Err(unlisted(&error)),
        Err(Halt::Stopped) => return Err(Broken::Stopped),
        Err(Halt::Failed(said)) => return Err(refused(format!("the copies could not be listed: {said}"), "look at the tool by hand")),
    };
    let copy = look::choose(&copies, order.copy.as_deref(), clock::now())?;
    let protects = order.repository.protects();
    let scratch = {
        let configured = config.scratch.as_ref().map(|scratch| order.base.join(scratch));
        let known = protects.clone();
        let planned = tokio::task::spawn_blocking(move || place::plan(configured.as_deref(), &known)).await;
        let plan = planned.map_err(|_| refused("the look at the scratch place broke off", "try again"))??;
        look::room(order, &copy, config, &plan.root)?;
        bounds.disk = plan.root.parent().map(Path::to_owned);
        let mark = Mark { record: Some(record.clone()), places: vec![plan.root.clone()], database: None };
        hold.remember(&mark).map_err(|error| unmarked(&error))?;
        plan.make(&order.source, &protects)?
    };
    if let Some(user) = writer
        && !(scratch.give(user).is_ok() && reaches(user, &scratch.copy()).await)
    {
        if scratch.remove().is_ok() {
            hold.forget();
        }
        let what = format!("the tool runs as {}, who cannot write into {}", user.name, scratch.copy().display());
        return Err(refused(what, "let `drill.scratch` name a directory whose parents everybody may pass through, such as one in /var/tmp"));
    }
    let mask = mask(order);
    let size = copy.size_bytes.map_or_else(String::new, |size| format!(", {}", size_text(size)));
    tell(Said::Doing(format!("restore {}{size} into {}", copy.name, scratch.copy().display())));
    let mut mark = Mark { record: Some(record.clone()), places: vec![scratch.root.clone()], database: None };
    let mut course = Course::default();
    let parts = Parts { order, hold, config, copy: &copy, scratch: &scratch, protects: &protects, server, writer, mask: &mask };
    let (tried, loaded) = parts.attempt(&bounds, &mut mark, &mut course, tell).await;
    let begun = Instant::now();
    tell(Said::Doing("take it all away again".to_owned()));
    let left = parts.clean(loaded, &mark).await;
    course.took("clean", begun);
    match &left {
        Ok(()) => hold.forget(),
        // The mark stays: the next run tries again.
        Err(said) => tell(Said::Line(format!("left behind: {said}"))),
    }
    if tried == Err(Halt::Stopped) {
        return Err(Broken::Stopped);
    }
    let seconds: f64 = course.phases.iter().filter(|(phase, _)| phase == "restore" || phase == "load").map(|(_, took)| took).sum();
    let broken = course.assertions.iter().find(|assertion| !assertion.ok);
    let problem = match tried {
        Err(Halt::Failed(said)) => Some(said),
        _ => broken.map(|assertion| format!("{}: {}", assertion.name, assertion.seen)),
    };
    Ok(Drill {
        at: clock::now(),
        ok: problem.is_none(),
        seconds,
        copy: Some(copy.name),
        phases: course.phases,
        assertions: course.assertions,
        problem: problem.map(|problem| mask.text(&problem)),
    })
}

/// What the phases share.
struct Parts<'a> {
    order: &'a Order,
    hold: &'a Hold,
    config: &'a DrillConfig,
    copy: &'a Copy,
    scratch: &'a Scratch,
    protects: &'a [PathBuf],
    server: Option<&'a Secret>,
    writer: Option<&'a User>,
    mask: &'a Mask,
}

impl Parts<'_> {
    /// Restore, load, assert. What was loaded is given back for the cleaning, however far it came.
    async fn attempt(
        &self,
        bounds: &Bounds<'_>,
        mark: &mut Mark,
        course: &mut Course,
        tell: &mut (dyn FnMut(Said) + Send),
    ) -> (Result<(), Halt>, Option<Loaded>) {
        let begun = Instant::now();
        let into = self.scratch.copy();
        let restored = match bounds.within(self.order.repository.restore(self.copy, &into)).await {
            Ok(Ok(restored)) => Ok(restored),
            Ok(Err(error)) => Err(Halt::Failed(format!("it could not be restored: {}", error.message))),
            Err(halt) => Err(halt),
        };
        course.took("restore", begun);
        let restored = match restored.and_then(|restored| self.inside(restored)) {
            Ok(restored) => restored,
            Err(halt) => return (Err(halt), None),
        };
        let begun = Instant::now();
        let load = Load {
            restored: &restored,
            copy: &into,
            scratch: &self.scratch.root,
            into: self.config.into,
            assert: &self.config.assert,
            server: self.server,
            restored_as: self.writer,
        };
        let mut remember = |mark: &Mark| self.hold.remember(mark).map_err(|error| Halt::Failed(format!("what is made could not be marked: {error}")));
        let loaded = match bounds.within(load::load(&load, mark, &mut remember, tell)).await {
            Ok(loaded) => loaded,
            Err(halt) => Err(halt),
        };
        let loaded = match loaded {
            Ok(Loaded::Nothing) => Loaded::Nothing,
            other => {
                course.took("load", begun);
                match other {
                    Ok(loaded) => loaded,
                    Err(halt) => return (Err(halt), None),
                }
            }
        };
        let begun = Instant::now();
        tell(Said::Doing("look whether what must hold does".to_owned()));
        let subject = Subject {
            copy_dir: &into,
            copy: self.copy,
            loaded: &loaded,
            protects: self.protects,
            assert: &self.config.assert,
            mask: self.mask,
            deadline: bounds.deadline,
            stop: bounds.stop,
        };
        let asserted = bounds.within(assert::all(&subject, tell)).await;
        course.took("assert", begun);
        match asserted {
            // A command that was stopped with the run says nothing of the copy.
            Ok(_) if bounds.stop.is_cancelled() => (Err(Halt::Stopped), Some(loaded)),
            Ok(mut assertions) => {
                for assertion in &mut assertions {
                    assertion.seen = self.mask.text(&assertion.seen).chars().take(300).collect();
                }
                course.assertions = assertions;
                (Ok(()), Some(loaded))
            }
            Err(halt) => (Err(halt), Some(loaded)),
        }
    }

    /// What a tool says it made must lie where it was told to.
    fn inside(&self, restored: Restored) -> Result<Restored, Halt> {
        let path = match &restored {
            Restored::Files => return Ok(restored),
            Restored::Dump(path) | Restored::Cluster(path) => path,
        };
        let within = |path: &Path| path.canonicalize().is_ok_and(|real| real.starts_with(&self.scratch.root));
        if within(path) { Ok(restored) } else { Err(Halt::Failed("what was restored is not in the scratch place".to_owned())) }
    }

    /// Takes everything away; tells what could not be.
    async fn clean(&self, loaded: Option<Loaded>, mark: &Mark) -> Result<(), String> {
        if let Some(Loaded::Postgres(database)) = loaded {
            database.end().await;
        }
        let mut left = Vec::new();
        if let (Some(name), Some(server)) = (&mark.database, self.server)
            && let Err(said) = postgres::drop_database(server, name).await
        {
            left.push(format!("the scratch database {name}: {said}"));
        }
        let others: Vec<PathBuf> = mark.places.iter().filter(|place| **place != self.scratch.root).cloned().collect();
        let root = self.scratch.root.clone();
        let gone = tokio::task::spawn_blocking(move || {
            // A server that was killed leaves children, who end by themselves and may still write.
            let mut gone = place::remove(&root);
            for _ in 0..20 {
                if gone.is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
                gone = place::remove(&root);
            }
            others.iter().try_for_each(|place| place::remove(place)).and(gone)
        });
        match gone.await {
            Ok(Ok(())) => {
                let _ = self.scratch.remove();
            }
            Ok(Err(error)) => left.push(format!("{}: {error}", self.scratch.root.display())),
            Err(_) => left.push(format!("{}: the cleaning broke off", self.scratch.root.display())),
        }
        if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
    }
}

/// Lets the tool check what it keeps.
pub(super) async fn check(
    order: &Order,
    hold: &Hold,
    record: &Transition,
    stop: &CancellationToken,
    tell: &mut (dyn FnMut(Said) + Send),
) -> Result<Check, Broken> {
    // What an interrupted drill left is a drill's to clean.
    let before = hold.mark().unwrap_or_default();
    let mark = Mark { record: Some(record.clone()), ..before.clone() };
    let _ = hold.remember(&mark);
    let limit = order.limit();
    let bounds = Bounds { stop, deadline: Instant::now() + limit, limit, disk: None };
    tell(Said::Doing(format!("let the tool check what it keeps of {}", order.source)));
    let work = exec::heeding(stop, order.repository.check());
    tokio::pin!(work);
    let done = bounds.within(&mut work).await;
    if matches!(done, Err(Halt::Stopped)) {
        // A tool that is killed leaves its lock behind, which keeps the next backup out: it has been asked to end, and gives it back.
        let _ = tokio::time::timeout(GIVING_BACK, &mut work).await;
    }
    if before.places.is_empty() && before.database.is_none() {
        hold.forget();
    } else {
        let _ = hold.remember(&Mark { record: None, ..before });
    }
    match done {
        Ok(Ok(check)) => Ok(Check { message: mask(order).text(&check.message), ..check }),
        Ok(Err(error)) => Err(refused(format!("it could not be checked: {}", error.message), error.remedy)),
        Err(Halt::Stopped) => Err(Broken::Stopped),
        Err(Halt::Failed(said)) => Err(refused(format!("it could not be checked: {said}"), "look at the tool by hand")),
    }
}
