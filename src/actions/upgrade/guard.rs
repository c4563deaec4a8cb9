//! The run: baseline, change, install, check, keep or roll back, halve what failed together, and the branch at the end.
//!
//! What does not belong here: what is tried (`plan`), what is looked at before (`look`), running one command (`commands`).

mod lock;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::commands::{Commands, Ran};
use super::git::Git;
use super::locker;
use super::place::Place;
use super::plan::{self, Phase, Rung};
use super::tool::{Tool, is_project};
use super::{Broken, Fate, Item, Look, Order, Report, Said, begins_at, pins};
use crate::actions::mask::Mask;
use crate::actions::written;
use crate::domain::{NoteWord, Notes, Package};
use crate::io::secret::{self, Known, Secret, SecretRef};
use crate::packages::manifests::{self, Scope, installed};
use crate::packages::notes::sections;
use crate::packages::versions::{Interpreter, Version};
use crate::report::clean;

/// Lines of notes in a commit's message, and characters of one.
const NOTED: usize = 6;
const NOTE: usize = 160;
/// Places in the upgrade command of the configuration.
const PACKAGE: &str = "{package}";
const VERSION: &str = "{version}";
/// No object: a branch is made only where there is none.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// Ids of the weaknesses that this upgrade cures.
pub(super) fn cures(packages: &[Package], name: &str, from: &str, to: &str) -> Vec<String> {
    let advisories = packages.iter().find(|package| package.name == name).map_or(&[][..], |package| &package.advisories);
    plan::cured(advisories, from, to).into_iter().map(|advisory| advisory.id.clone()).collect()
}

/// One thing that an upgrade has to pass.
#[derive(Debug, Clone)]
struct Check {
    argv: Vec<String>,
    folder: PathBuf,
    /// It failed before anything was changed, so it tells nothing; only for those that a person did not ask for.
    ignored: bool,
}

/// Why what was tried is taken back.
struct Failure {
    why: String,
    tail: Vec<String>,
}

/// What was changed and committed, not yet checked.
#[derive(Clone)]
struct Made {
    rung: Rung,
    from: String,
}

struct Guard<'a, 'b> {
    order: &'a Order,
    look: &'a Look,
    place: &'a Place,
    commands: &'a mut Commands<'b>,
    /// The project's folder in the copy.
    folder: PathBuf,
    interpreter: Option<Interpreter>,
    /// The project itself is left out of the environment: it cannot be installed.
    rootless: bool,
    checks: Vec<Check>,
    /// The last commit that passed.
    head: String,
    /// Versions as they are kept now.
    versions: BTreeMap<String, String>,
    items: Vec<Item>,
    notes: Vec<String>,
}

/// Runs it to its end. Whatever the end, the copy and its environments are taken away, and the project is as it was but for the branch.
///
/// # Errors
/// When it could not be begun or gone on with, or was stopped.
pub async fn run(order: &Order, look: &Look, place: &Place, stop: &CancellationToken, tell: &mut (dyn FnMut(Said) + Send)) -> Result<Report, Broken> {
    let git = Git(look.top.clone());
    let failed = |why: String| Broken::Failed(format!("what an earlier run left cannot be taken away: {why}"), Vec::new());
    place.clean(&git).await.map_err(failed)?;
    let done = inner(order, look, place, stop, tell).await;
    let cleaned = place.clean(&git).await;
    let mut report = done?;
    if let Err(why) = cleaned {
        report.notes.push(format!("the copy could not be taken away: {why}"));
    }
    Ok(report)
}

async fn inner(order: &Order, look: &Look, place: &Place, stop: &CancellationToken, tell: &mut (dyn FnMut(Said) + Send)) -> Result<Report, Broken> {
    let env = environment(order, look, place).await?;
    let mask = Mask::new(Known::of_process().all()).redacting(&order.redact);
    let mut commands = Commands::new(mask, stop, (order.step_limit, order.limit), &place.log(), tell);
    commands.env = env;
    let mut guard = Guard {
        order,
        look,
        place,
        commands: &mut commands,
        folder: place.copy().join(&look.below),
        interpreter: None,
        rootless: false,
        checks: Vec::new(),
        head: look.head.clone(),
        versions: order.packages.iter().filter_map(|package| Some((package.name.clone(), begins_at(package)?.to_owned()))).collect(),
        items: Vec::new(),
        notes: look.notes.clone(),
    };
    guard.prepare().await?;
    guard.baseline().await?;
    for phase in Phase::ALL {
        let rungs: Vec<Rung> = order.plan.rungs.iter().filter(|rung| rung.phase == phase).cloned().collect();
        // A cure is wanted for itself, and a major one mostly fails for itself.
        let batches: Vec<Vec<Rung>> = if matches!(phase, Phase::Cure | Phase::Major) {
            rungs.into_iter().map(|rung| vec![rung]).collect()
        } else if rungs.is_empty() {
            Vec::new()
        } else {
            vec![rungs]
        };
        guard.settle(batches).await?;
    }
    guard.finish().await
}

/// Variables of every command: the new environment in front, the configured index, nothing that asks.
async fn environment(order: &Order, look: &Look, place: &Place) -> Result<Vec<(String, Secret)>, Broken> {
    let project = &order.project;
    let venv = place.venv();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(venv.join("bin")).chain(std::env::split_paths(&path)))
        .map_err(|_| Broken::Refused("the folder of the copy has a colon in its name".to_owned(), "name another with --state-dir".to_owned()))?;
    let mut env = vec![
        ("PATH".to_owned(), path.to_string_lossy().into_owned()),
        ("VIRTUAL_ENV".to_owned(), venv.to_string_lossy().into_owned()),
        ("UV_PROJECT_ENVIRONMENT".to_owned(), venv.to_string_lossy().into_owned()),
    ];
    let fixed = [("PIP_DISABLE_PIP_VERSION_CHECK", "1"), ("PIP_NO_INPUT", "1"), ("PIP_USER", "0"), ("NO_COLOR", "1")];
    env.extend(fixed.into_iter().chain(locker::QUIET).map(|(name, value)| (name.to_owned(), value.to_owned())));
    if look.by_uv
        && let Some(python) = &look.python
    {
        env.push(("UV_PYTHON".to_owned(), python.clone()));
    }
    let mut env: Vec<(String, Secret)> = env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();

    let resolve = async |reference: &SecretRef| {
        let resolved = secret::resolve(reference, &project.base, true).await;
        let resolved = resolved.map_err(|error| Broken::Refused(error.message, error.remedy))?;
        if url::Url::parse(resolved.expose()).is_ok_and(|url| url.password().is_some() || !url.username().is_empty()) {
            Known::of_process().remember(resolved.expose());
        }
        Ok::<Secret, Broken>(resolved)
    };
    if let Some(index) = &project.index {
        let index = resolve(index).await?;
        if local(index.expose()) {
            // A proxy could not reach what is on this machine.
            for name in ["no_proxy", "NO_PROXY"] {
                let others = std::env::var(name).unwrap_or_default();
                env.push((name.to_owned(), Secret::new(format!("{others}{}127.0.0.1,localhost,::1", if others.is_empty() { "" } else { "," }))));
            }
        }
        env.push(("PIP_INDEX_URL".to_owned(), index.clone()));
        // A lock file of uv names its index: another would change every line of it.
        if !look.by_uv || lock_names(&look.top.join(&look.below), look, index.expose()) {
            env.push(("UV_DEFAULT_INDEX".to_owned(), index));
        }
    }
    let mut extra = Vec::new();
    for reference in &project.extra_indexes {
        extra.push(resolve(reference).await?.expose().to_owned());
    }
    if !extra.is_empty() {
        let extra = Secret::new(extra.join(" "));
        env.push(("PIP_EXTRA_INDEX_URL".to_owned(), extra.clone()));
        if !look.by_uv {
            env.push(("UV_INDEX".to_owned(), extra));
        }
    }
    Ok(env)
}

/// Whether an address is on this machine.
fn local(index: &str) -> bool {
    let Ok(url) = url::Url::parse(index.trim()) else { return false };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the lock file came from this index.
fn lock_names(folder: &Path, look: &Look, index: &str) -> bool {
    let Ok(mut url) = url::Url::parse(index.trim()) else { return false };
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return false;
    }
    let bare = url.as_str().trim_end_matches('/');
    look.tools.iter().any(|tool| std::fs::read_to_string(folder.join(tool.lock())).is_ok_and(|text| text.contains(bare)))
}

fn words(argv: &[&str]) -> Vec<String> {
    argv.iter().map(|&word| word.to_owned()).collect()
}

impl Guard<'_, '_> {
    fn python(&self) -> String {
        self.place.venv().join("bin/python").to_string_lossy().into_owned()
    }

    /// A command that must go well, or nothing does.
    async fn must(&mut self, argv: &[String], folder: &Path, why: &str) -> Result<(), Broken> {
        let ran = self.commands.run(argv, folder).await?;
        ended_well(ran, why)
    }

    async fn must_git(&mut self, arguments: &[&str], folder: &Path, why: &str) -> Result<(), Broken> {
        let ran = self.commands.git(arguments, folder).await?;
        ended_well(ran, why)
    }

    /// The copy and its environment, as the last commit locks it.
    async fn prepare(&mut self) -> Result<(), Broken> {
        self.commands.doing("copy the last commit");
        let (copy, top) = (self.place.copy(), self.look.top.clone());
        let shown = copy.to_string_lossy().into_owned();
        let head = self.head.clone();
        self.must_git(&["worktree", "add", "--detach", "--quiet", &shown, &head], &top, "the copy could not be made").await?;
        self.commands.doing("make an environment and install what is locked");
        let venv = self.place.venv();
        if !self.look.by_uv {
            let python = self.look.python.clone().unwrap_or_else(|| "python3".to_owned());
            let argv = words(&[&python, "-m", "venv", &venv.to_string_lossy()]);
            let dir = self.place.dir.clone();
            self.must(&argv, &dir, "the environment could not be made").await?;
            // What pip is told in the live environment holds in its copy.
            if let Some(live) = &self.order.project.venv {
                let _ = std::fs::copy(live.join("pip.conf"), venv.join("pip.conf"));
            }
        }
        let mut failure = self.install().await?;
        if let Some(first) = &failure
            && let Some(by) = self.look.tools.iter().find_map(Tool::locker).filter(|by| by.knows_rootless())
        {
            let note = format!("{} could not install the project itself, so it is left out: {}", by.word(), first.why);
            self.rootless = true;
            failure = self.install().await?;
            self.notes.extend(failure.is_none().then_some(note));
        }
        if let Some(failure) = failure {
            return Err(Broken::Failed(format!("what is locked now cannot be installed: {}", failure.why), failure.tail));
        }
        self.interpreter = installed::interpreter(&venv);
        Ok(())
    }

    /// Installs what the manifests say now.
    async fn install(&mut self) -> Result<Option<Failure>, Broken> {
        let mut commands: Vec<(Vec<String>, PathBuf)> = Vec::new();
        let mut pip = words(&[&self.python(), "-m", "pip", "install", "--quiet"]);
        for tool in &self.look.tools {
            match tool {
                Tool::Locked { folder, by } => commands.push((by.install(&self.look.locker, self.rootless), self.folder.join(folder))),
                Tool::Pip { file } | Tool::Compiled { output: file, .. } => pip.extend(["-r".to_owned(), file.to_string_lossy().into_owned()]),
            }
        }
        if pip.len() > 5 {
            commands.push((pip, self.folder.clone()));
        }
        for (argv, folder) in commands {
            let ran = self.commands.run(&argv, &folder).await?;
            if let Some(words) = ran.failed {
                return Ok(Some(Failure { why: format!("it cannot be installed: {words}"), tail: ran.tail }));
            }
        }
        Ok(None)
    }

    /// What has to pass, tried on what is there now.
    async fn baseline(&mut self) -> Result<(), Broken> {
        self.commands.doing("check what is there before anything is changed");
        let python = self.python();
        let pip = if self.look.by_uv { words(&["uv", "pip", "check", "--python", &python]) } else { words(&[&python, "-m", "pip", "check"]) };
        let folder = self.folder.clone();
        let check = |argv: Vec<String>| Check { argv, folder: folder.clone(), ignored: false };
        let mut checks = vec![check(pip)];
        if folder.join("manage.py").is_file() {
            checks.push(check(words(&["python", "manage.py", "check", "--deploy"])));
            checks.push(check(words(&["python", "manage.py", "makemigrations", "--check", "--dry-run"])));
        }
        for check in &mut checks {
            let ran = self.commands.run(&check.argv, &check.folder).await?;
            if let Some(why) = ran.failed {
                check.ignored = true;
                let shown = self.shown(&check.argv);
                self.notes.push(format!("{shown} failed before anything was changed ({why}), so it was not heeded"));
            }
        }
        if let Some(test) = &self.order.project.test {
            let test = check(self.in_the_copy(test));
            let ran = self.commands.run(&test.argv, &test.folder).await?;
            if let Some(why) = ran.failed {
                let shown = self.shown(&test.argv);
                return Err(Broken::Failed(
                    format!("{shown} fails before anything is changed ({why}): it cannot tell whether an upgrade is good. A copy has only what git knows"),
                    ran.tail,
                ));
            }
            checks.push(test);
        } else {
            self.notes.push("no test is configured: nothing was tested but that it installs".to_owned());
        }
        checks.retain(|check| !check.ignored);
        self.checks = checks;
        self.remember_environment().await
    }

    /// The command with programs of the live environment taken from the fresh one: the live one would tell nothing.
    fn in_the_copy(&self, argv: &[String]) -> Vec<String> {
        let project = &self.order.project;
        let Some(live) = &project.venv else { return argv.to_vec() };
        let moved = |word: &String| {
            let below = project.base.join(word).strip_prefix(live).map(Path::to_owned).ok()?;
            Some(self.place.venv().join(below).to_string_lossy().into_owned())
        };
        argv.iter().map(|word| moved(word).unwrap_or_else(|| word.clone())).collect()
    }

    /// An argument vector for reading, without the folder of this run.
    fn shown(&self, argv: &[String]) -> String {
        let bin = format!("{}/", self.place.venv().join("bin").to_string_lossy());
        written(&argv.iter().map(|word| word.replace(&bin, "")).collect::<Vec<_>>())
    }

    /// Keeps the environment as it is now, to go back to.
    async fn remember_environment(&mut self) -> Result<(), Broken> {
        self.copy_environment(self.place.venv(), self.place.good()).await
    }

    /// The environment as it was when it last passed. A copy, so that it is exact and asks nobody.
    async fn restore_environment(&mut self) -> Result<(), Broken> {
        self.copy_environment(self.place.good(), self.place.venv()).await
    }

    async fn copy_environment(&mut self, from: PathBuf, to: PathBuf) -> Result<(), Broken> {
        let gone = to.clone();
        let gone = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(gone)).await;
        if let Ok(Err(error)) = gone
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Broken::Failed(format!("{}: {}", to.display(), error.kind()), Vec::new()));
        }
        let argv = words(&["cp", "-a", &from.to_string_lossy(), &to.to_string_lossy()]);
        let dir = self.place.dir.clone();
        self.must(&argv, &dir, "the environment could not be copied").await
    }

    /// The tree as it was at this commit.
    async fn go_to(&mut self, commit: &str) -> Result<(), Broken> {
        let copy = self.place.copy();
        self.must_git(&["reset", "--hard", "--quiet", commit], &copy, "the copy could not be put back").await?;
        self.must_git(&["clean", "-fdq"], &copy, "the copy could not be put back").await
    }

    /// Tries batches one after the other; one that fails is halved until who failed is alone.
    async fn settle(&mut self, batches: Vec<Vec<Rung>>) -> Result<(), Broken> {
        let mut waiting: Vec<Vec<Rung>> = batches.into_iter().rev().collect();
        while let Some(batch) = waiting.pop() {
            let begin = self.head.clone();
            let mut made: Vec<Made> = Vec::new();
            for rung in &batch {
                made.extend(self.make(rung, &batch).await?);
            }
            if made.is_empty() {
                continue;
            }
            let Some(failure) = self.verify(&made).await? else {
                self.keep(&begin, made).await?;
                continue;
            };
            self.go_to(&begin).await?;
            self.restore_environment().await?;
            if let [one] = made.as_slice() {
                self.took_back(&one.rung, Some(one.from.clone()), failure);
                continue;
            }
            let names: Vec<&str> = made.iter().map(|made| made.rung.name.as_str()).collect();
            self.commands.doing(&format!("{} fail together: {}; each half by itself", names.join(", "), failure.why));
            let mut first: Vec<Rung> = made.into_iter().map(|made| made.rung).collect();
            let second = first.split_off(first.len() / 2);
            waiting.push(second);
            waiting.push(first);
        }
        Ok(())
    }

    fn took_back(&mut self, rung: &Rung, from: Option<String>, failure: Failure) {
        self.commands.doing(&format!("{} {} is taken back: {}", rung.name, rung.to, failure.why));
        let output = failure.tail.iter().map(|line| clean(line)).collect();
        self.items.push(Item { why: Some(failure.why), output, ..Item::of(rung, from, Fate::RolledBack) });
    }

    /// Changes the manifests for one upgrade and commits that. `None` when it was taken back or is there already.
    async fn make(&mut self, rung: &Rung, batch: &[Rung]) -> Result<Option<Made>, Broken> {
        let from = self.versions.get(&rung.name).cloned().unwrap_or_default();
        if let (Some(now), Some(to)) = (self.locked(&rung.name).or_else(|| Version::parse(&from)), Version::parse(&rung.to))
            && now >= to
        {
            // Another upgrade brought it along.
            return Ok(None);
        }
        self.commands.doing(&format!("{} {from} to {}", rung.name, rung.to));
        let copy = self.place.copy();
        let begin = Git(copy.clone()).ask(&["rev-parse", "HEAD"]).await.map_err(|said| Broken::Failed(said, Vec::new()))?;
        let before = self.secrets();
        let changed = self.change(rung).await?;
        let failure = match changed {
            Err(failure) => failure,
            Ok(()) if self.secrets() > before => Failure { why: "the tool wrote a password into the manifest".to_owned(), tail: Vec::new() },
            Ok(()) => {
                self.commit(rung, &from, batch).await?;
                return Ok(Some(Made { rung: rung.clone(), from }));
            }
        };
        self.go_to(&begin).await?;
        self.took_back(rung, Some(from), failure);
        Ok(None)
    }

    /// The version that the manifests of the copy lock now.
    fn locked(&self, name: &str) -> Option<Version> {
        let paths: Vec<PathBuf> = self.look.tools.iter().map(|tool| self.folder.join(tool.lock())).collect();
        let scope = Scope { base: &self.folder, interpreter: self.interpreter.as_ref() };
        let all = manifests::read(&paths, scope);
        all.entries.into_iter().find(|entry| entry.name == name).and_then(|entry| Version::parse(&entry.locked?))
    }

    /// Files that an upgrade may change, in the copy.
    fn files(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = self.look.tools.iter().flat_map(|tool| tool.files(&self.folder)).collect();
        all.sort();
        all.dedup();
        all
    }

    /// How many of the secrets that this process knows stand in the manifests now.
    fn secrets(&self) -> usize {
        let secrets = Known::of_process().all();
        let texts: Vec<String> = self.files().iter().filter_map(|file| std::fs::read_to_string(self.folder.join(file)).ok()).collect();
        secrets.iter().filter(|secret| texts.iter().any(|text| text.contains(secret.expose()))).count()
    }

    /// Lets the tool change the manifests.
    async fn change(&mut self, rung: &Rung) -> Result<Result<(), Failure>, Broken> {
        let refused = |why: String| Ok(Err(Failure { why, tail: Vec::new() }));
        if let Some(command) = &self.order.project.command {
            let argv: Vec<String> = command.iter().map(|word| word.replace(PACKAGE, &rung.name).replace(VERSION, &rung.to)).collect();
            let folder = self.folder.clone();
            let ran = self.commands.run(&argv, &folder).await?;
            if let Some(words) = ran.failed {
                return Ok(Err(Failure { why: format!("{} failed: {words}", self.shown(&argv)), tail: ran.tail }));
            }
        } else {
            let mut known = false;
            for tool in self.look.tools.clone() {
                match self.with(&tool, rung).await? {
                    Ok(did) => known |= did,
                    Err(failure) => return Ok(Err(failure)),
                }
            }
            if !known {
                return refused("no manifest names it, so there is nothing to change".to_owned());
            }
        }
        match self.locked(&rung.name) {
            Some(now) if Version::parse(&rung.to).is_some_and(|to| now >= to) => Ok(Ok(())),
            Some(now) => refused(format!("the manifest stayed at {now}")),
            None => refused("the manifest does not lock it".to_owned()),
        }
    }

    /// One tool: whether it knows the package.
    async fn with(&mut self, tool: &Tool, rung: &Rung) -> Result<Result<bool, Failure>, Broken> {
        let wanted = format!("{}=={}", rung.name, rung.to);
        let (argv, folder) = match tool {
            Tool::Pip { file } => return Ok(self.repin(file, rung, true)),
            Tool::Locked { folder, by } => return self.lock(*by, folder, rung).await,
            Tool::Compiled { output, sources, options, by_uv } => {
                let lines = pins::read(&self.folder, output, self.interpreter.as_ref());
                if !lines.by_name.contains_key(&rung.name) {
                    return Ok(Ok(false));
                }
                for source in sources.iter().filter(|source| !is_project(source)) {
                    // What the source pins itself would hold it.
                    if let Err(failure) = self.repin(source, rung, false) {
                        return Ok(Err(failure));
                    }
                }
                let mut argv = if *by_uv { words(&["uv", "pip", "compile", "--quiet"]) } else { words(&[&self.compiler(), "--quiet"]) };
                argv.extend(options.iter().filter(|option| *option != "--quiet").cloned());
                let says_index = std::fs::read_to_string(self.folder.join(output)).is_ok_and(|text| text.lines().any(|line| line.starts_with("--index-url")));
                if !by_uv && !says_index && !options.iter().any(|option| option == "--no-emit-index-url") {
                    argv.push("--no-emit-index-url".to_owned());
                }
                argv.extend(words(&["--output-file", &output.to_string_lossy(), "--upgrade-package", &wanted]));
                argv.extend(sources.iter().map(|source| source.to_string_lossy().into_owned()));
                (argv, self.folder.clone())
            }
        };
        let ran = self.commands.run(&argv, &folder).await?;
        Ok(match ran.failed {
            Some(words) => Err(Failure { why: format!("{} does not allow it: {words}", tool.word()), tail: ran.tail }),
            None => Ok(true),
        })
    }

    fn compiler(&self) -> String {
        let own = self.place.venv().join("bin/pip-compile");
        if own.exists() { own.to_string_lossy().into_owned() } else { self.look.compiler.clone().unwrap_or_else(|| "pip-compile".to_owned()) }
    }

    /// Changes the pins of a requirements file and what it includes. `strict`: a line without a pin is a failure.
    fn repin(&self, file: &Path, rung: &Rung, strict: bool) -> Result<bool, Failure> {
        let failure = |why: String| Failure { why, tail: Vec::new() };
        let compiled: Vec<PathBuf> = self.look.tools.iter().filter(|tool| matches!(tool, Tool::Compiled { .. })).map(Tool::lock).collect();
        let lines = pins::read(&self.folder, file, self.interpreter.as_ref());
        let Some(named) = lines.by_name.get(&rung.name) else { return Ok(false) };
        let pinned = named.iter().any(|line| line.pin.is_some());
        for line in named.iter().filter(|line| !compiled.contains(&line.file)) {
            // A range beside a pin says nothing that the installer would not tell.
            if line.pin.is_none() && (pinned || !strict) {
                continue;
            }
            let place = format!("{}:{}", line.file.display(), line.number);
            let path = self.folder.join(&line.file);
            let text = std::fs::read_to_string(&path).map_err(|error| failure(format!("{place}: {}", error.kind())))?;
            match pins::repin(&text, line.number, &rung.name, &rung.to) {
                Ok(changed) => std::fs::write(&path, changed).map_err(|error| failure(format!("{place}: {}", error.kind())))?,
                Err(why) => return Err(failure(format!("{place}: {why}"))),
            }
        }
        Ok(true)
    }

    /// One commit for one upgrade.
    async fn commit(&mut self, rung: &Rung, from: &str, batch: &[Rung]) -> Result<(), Broken> {
        let copy = self.place.copy();
        if self.order.project.command.is_some() {
            self.must_git(&["add", "--update"], &copy, "the change could not be committed").await?;
        } else {
            let files: Vec<String> = self.files().iter().map(|file| format!(":(literal,top){}", self.look.below.join(file).display())).collect();
            let mut arguments = vec!["add", "--"];
            arguments.extend(files.iter().map(String::as_str));
            self.must_git(&arguments, &copy, "the change could not be committed").await?;
        }
        let message = self.message(rung, from, batch);
        let arguments = ["commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", &message];
        self.must_git(&arguments, &copy, "the change could not be committed").await
    }

    fn message(&self, rung: &Rung, from: &str, batch: &[Rung]) -> String {
        let package = self.order.packages.iter().find(|package| package.name == rung.name);
        let advisories = package.map_or(&[][..], |package| &package.advisories);
        let mut text = format!("Upgrade {} from {from} to {}\n", rung.name, rung.to);
        for advisory in plan::cured(advisories, from, &rung.to) {
            let about: Vec<&str> = advisory.severity.iter().chain(&advisory.summary).map(String::as_str).collect();
            let names: Vec<&str> = std::iter::once(&advisory.id).chain(&advisory.aliases).map(String::as_str).collect();
            let about = if about.is_empty() { String::new() } else { format!(": {}", about.join(", ")) };
            text.push_str(&format!("\nCures {}{about}", clean(&names.join(", ")), about = clean(&about)));
        }
        text.push_str(&self.order.notes.get(&rung.name).map_or_else(String::new, |notes| said(notes, from, &rung.to)));
        let checks: Vec<String> = self.checks.iter().map(|check| self.shown(&check.argv)).collect();
        text.push_str(&format!("\nChecked with: {}", checks.join("; ")));
        let beside: Vec<String> = batch.iter().filter(|other| other.name != rung.name).map(|other| format!("{} {}", other.name, other.to)).collect();
        if !beside.is_empty() {
            text.push_str(&format!("\nChecked together with: {}", beside.join(", ")));
        }
        text.push('\n');
        text
    }

    /// Installs and checks; `None`: all passed.
    async fn verify(&mut self, made: &[Made]) -> Result<Option<Failure>, Broken> {
        let names: Vec<String> = made.iter().map(|made| format!("{} {}", made.rung.name, made.rung.to)).collect();
        self.commands.doing(&format!("install and check {}", names.join(", ")));
        if let Some(failure) = self.install().await? {
            return Ok(Some(failure));
        }
        for check in self.checks.clone() {
            let ran = self.commands.run(&check.argv, &check.folder).await?;
            if let Some(words) = ran.failed {
                return Ok(Some(Failure { why: format!("{} failed: {words}", self.shown(&check.argv)), tail: ran.tail }));
            }
        }
        Ok(None)
    }

    /// They passed: the commits since then stay.
    async fn keep(&mut self, begin: &str, made: Vec<Made>) -> Result<(), Broken> {
        let git = Git(self.place.copy());
        let failed = |said: String| Broken::Failed(said, Vec::new());
        let commits = git.ask(&["rev-list", "--reverse", &format!("{begin}..HEAD")]).await.map_err(failed)?;
        let commits: Vec<String> = commits.lines().map(str::to_owned).collect();
        self.head = commits.last().cloned().unwrap_or_else(|| begin.to_owned());
        // What the checks wrote is not part of what comes next.
        let head = self.head.clone();
        self.go_to(&head).await?;
        self.remember_environment().await?;
        for (made, commit) in made.into_iter().zip(commits) {
            let cures = cures(&self.order.packages, &made.rung.name, &made.from, &made.rung.to);
            self.versions.insert(made.rung.name.clone(), made.rung.to.clone());
            self.items.push(Item { commit: Some(commit), cures, ..Item::of(&made.rung, Some(made.from), Fate::Kept) });
        }
        Ok(())
    }

    /// The branch, when something was kept, and the report.
    async fn finish(&mut self) -> Result<Report, Broken> {
        let mut branch = None;
        if self.head != self.look.head {
            let name = format!("refs/heads/{}", self.look.branch);
            let (head, top) = (self.head.clone(), self.look.top.clone());
            self.commands.doing(&format!("make the branch {}", self.look.branch));
            self.must_git(&["update-ref", "-m", "rounds upgrade", &name, &head, NOTHING], &top, "the branch could not be made").await?;
            branch = Some(self.look.branch.clone());
        }
        let mut items = std::mem::take(&mut self.items);
        items.extend(self.order.plan.left.iter().map(Item::left));
        Ok(Report {
            branch,
            base: self.look.head.clone(),
            tool: self.look.tool(),
            checks: self.checks.iter().map(|check| self.shown(&check.argv)).collect(),
            notes: std::mem::take(&mut self.notes),
            log: Some(self.place.log()),
            items,
        })
    }
}

fn ended_well(ran: Ran, why: &str) -> Result<(), Broken> {
    match ran.failed {
        None => Ok(()),
        Some(words) => Err(Broken::Failed(format!("{why}: {words}"), ran.tail)),
    }
}

/// What is said of the releases between two versions, for a commit's message: what warns first, a few lines.
fn said(notes: &Notes, from: &str, to: &str) -> String {
    let releases = sections::between(&notes.releases, from, Some(to));
    let mut lines: Vec<(Option<NoteWord>, String)> =
        releases.iter().flat_map(|release| release.lines.iter().map(|line| (line.word, format!("{}: {}", release.version, line.text)))).collect();
    let all = lines.len();
    // Stable: what warns of the same stays in its order.
    lines.sort_by_key(|(word, _)| word.map_or(u8::MAX, |word| word as u8));
    lines.truncate(NOTED);
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("\nNotes ({}):", clean(&notes.read_in));
    for (_, line) in &lines {
        let line = clean(line);
        let cut: String = line.chars().take(NOTE).collect();
        text.push_str(&format!("\n- {cut}{}", if cut.len() < line.len() { "…" } else { "" }));
    }
    if all > lines.len() {
        text.push_str(&format!("\n- and {} more", all - lines.len()));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NoteLine, ReleaseNotes};

    #[test]
    fn notes_of_a_commit_are_few_and_what_warns_comes_first() {
        let lines = |texts: &[&str]| texts.iter().map(|text| NoteLine { text: (*text).to_owned(), word: sections::word(text) }).collect::<Vec<_>>();
        let release = |version: &str, texts: &[&str]| ReleaseNotes { version: version.to_owned(), lines: lines(texts), more: 0 };
        let old = release("1.2", &["a fix", "the drawer was removed", "a\u{1b}[2Jb"]);
        let releases = vec![release("2.0", &["all is new"]), old, release("1.1", &["c", "d", "e", "f"])];
        let notes = Notes { releases, read_in: "docs.example".to_owned(), problem: None };
        let text = said(&notes, "1.0", "1.2");
        assert!(text.starts_with("\nNotes (docs.example):\n- 1.2: the drawer was removed\n- 1.2: a fix\n"), "{text}");
        assert!(text.ends_with("- and 1 more\n") && !text.contains('\u{1b}') && !text.contains("2.0"), "{text}");
        assert_eq!(said(&notes, "2.0", "2.1"), "");
    }
}
