//! What is looked at before anything is made: the repository, the tool, the interpreter, room on the disk. Changes nothing.
//!
//! What does not belong here: the run itself (`guard`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::git::Git;
use super::locker::{self, Locker};
use super::tool::{self, Tool};
use super::{Broken, Order};
use crate::io::exec::{self, ExecError, Limits, Program};
use crate::packages::versions::Interpreter;

/// Bounds one question to an interpreter or a tool.
const ASKING: Duration = Duration::from_secs(30);
/// So many files of an environment are measured.
const MEASURED: usize = 200_000;
/// Room for an environment whose size is not known, in bytes.
const UNKNOWN_VENV: u64 = 200 << 20;
/// Room beside the environments and the copy: wheels, logs, objects of git.
const BESIDE: u64 = 100 << 20;
/// Branches of one day.
const BRANCHES: usize = 100;

/// What was seen.
#[derive(Debug, Clone)]
pub struct Look {
    /// The repository's working tree.
    pub top: PathBuf,
    /// The project's folder below it.
    pub below: PathBuf,
    /// The commit that the copy is made of.
    pub head: String,
    /// The branch that would be made.
    pub branch: String,
    /// What makes the environment: an interpreter, or for uv what it is told.
    pub python: Option<String>,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// Room that is needed, in bytes.
    pub needs: u64,
    pub(super) tools: Vec<Tool>,
    /// Whether uv keeps the environment.
    pub(super) by_uv: bool,
    /// Whether `upgrade` of the configuration changes the manifest.
    by_command: bool,
    /// The program that keeps the lock file, where there is one.
    pub(super) locker: locker::Program,
    /// The program that compiles, where it is not in the new environment.
    pub(super) compiler: Option<String>,
}

impl Look {
    /// What changes the manifest, for reading.
    #[must_use]
    pub fn tool(&self) -> String {
        if self.by_command {
            return "the configured command".to_owned();
        }
        let mut words: Vec<&str> = self.tools.iter().map(Tool::word).collect();
        words.dedup();
        words.join(" and ")
    }
}

fn refuse(why: impl Into<String>, remedy: impl Into<String>) -> Broken {
    Broken::Refused(why.into(), remedy.into())
}

/// Looks.
///
/// # Errors
/// Refused, with what to do: no repository, changed manifests, a tool that is missing, too little room.
pub async fn look(order: &Order) -> Result<Look, Broken> {
    let project = &order.project;
    let Some(first) = project.manifests.first() else {
        return Err(refuse("no manifest is configured, and an upgrade changes one", "add `manifest = \"requirements.txt\"` to the source"));
    };
    let beside = first.parent().unwrap_or(Path::new("/")).to_owned();
    let (top, folder) = repository(&project.base, &beside, &project.manifests).await?;
    let git = Git(top.clone());
    let below = folder.strip_prefix(&top).unwrap_or(Path::new("")).to_owned();
    let head = git.ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).await;
    let head = head.map_err(|_| refuse(format!("{} has no commit yet", top.display()), "commit the project first"))?;
    git.ask(&["var", "GIT_COMMITTER_IDENT"]).await.map_err(|_| {
        refuse("git does not know who commits here", "git config user.name \"…\" and git config user.email \"…\", in this repository or --global")
    })?;

    let manifests: Vec<PathBuf> = project.manifests.iter().filter_map(|path| canonical(path)?.strip_prefix(&folder).ok().map(Path::to_owned)).collect();
    let place = folder.clone();
    let tools = tokio::task::spawn_blocking(move || {
        let tools = tool::find(&place, &manifests)?;
        let files: Vec<PathBuf> = tools.iter().flat_map(|tool| tool.files(&place)).collect();
        Ok((tools, files))
    });
    let (tools, files) = tools
        .await
        .unwrap_or_else(|_| Err(("the look at the manifests broke off".to_owned(), "try again".to_owned())))
        .map_err(|(why, remedy)| refuse(why, remedy))?;
    clean_manifests(&git, &below, &files).await?;

    let by_uv = tools.iter().any(|tool| matches!(tool, Tool::Locked { by: Locker::Uv, .. }));
    let python = interpreter(order, by_uv).await?;
    let locker = locker(&tools, project.venv.as_deref()).await?;
    let by_command = project.command.is_some();
    // A command of the configuration compiles by itself, if at all.
    let compiler = if by_command { None } else { compiler(&tools, project.venv.as_deref()).await? };
    if project.test.is_none() && !order.untested {
        return Err(refuse(
            "no command tells whether an upgrade is good",
            "add `test = [\"python\", \"manage.py\", \"test\"]` to the source, or write --untested",
        ));
    }

    let mut notes = Vec::new();
    let changed = git.ask(&["status", "--porcelain", "--untracked-files=no", "-z"]).await.unwrap_or_default();
    match changed.split('\0').filter(|entry| !entry.is_empty()).count() {
        0 => {}
        count => notes.push(format!("the copy is of the last commit: {count} changed files are not in it")),
    }
    if top.join(".gitmodules").is_file() {
        notes.push("submodules are not in the copy".to_owned());
    }
    let venv = project.venv.clone();
    let size = tokio::task::spawn_blocking(move || venv.and_then(|venv| measure(&venv))).await.ok().flatten().unwrap_or(UNKNOWN_VENV);
    let tree = git.ask(&["ls-tree", "-r", "-l", "-z", &head]).await.unwrap_or_default();
    let tree: u64 = tree.split('\0').filter_map(|entry| entry.split_whitespace().nth(3)?.parse::<u64>().ok()).sum();
    // The environment, the copy of it that is gone back to, and the tree.
    let needs = size.saturating_mul(2).saturating_add(tree).saturating_add(BESIDE);
    if let Some(free) = free(&order.work)
        && free < needs
    {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        return Err(refuse(
            format!("{} has {} MiB left, and the copies may need {} MiB", order.work.display(), mib(free), mib(needs)),
            "make room, or name a folder elsewhere with --state-dir",
        ));
    }
    Ok(Look { branch: branch(&git, &order.day).await?, top, below, head, python, notes, needs, tools, by_uv, by_command, locker, compiler })
}

fn canonical(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

/// The working tree, and the project's folder in it: the configured one where all manifests are below it, else the first manifest's.
async fn repository(base: &Path, beside: &Path, manifests: &[PathBuf]) -> Result<(PathBuf, PathBuf), Broken> {
    for folder in [base, beside] {
        let Some(folder) = canonical(folder) else { continue };
        if !manifests.iter().all(|path| canonical(path).is_none_or(|path| path.starts_with(&folder))) {
            continue;
        }
        match Git(folder.clone()).ask(&["rev-parse", "--show-toplevel"]).await {
            Ok(top) if !top.is_empty() => {
                let Some(top) = canonical(Path::new(&top)) else { continue };
                return Ok((top, folder));
            }
            Ok(_) => {}
            Err(said) if said.contains("not a git repository") => {}
            Err(said) if said == super::git::MISSING => {
                return Err(refuse(format!("{said}, and an upgrade is given as a branch"), "install git, or put it into PATH"));
            }
            Err(said) => return Err(refuse(format!("git cannot be asked in {}: {said}", folder.display()), "correct that first")),
        }
    }
    Err(refuse(
        format!("{} is not in the working tree of a git repository", beside.display()),
        "an upgrade is given as a branch: git init and commit the project, or let the site's `directory` name the repository",
    ))
}

/// Manifests must be known to git and as they were committed: the copy is of the last commit.
async fn clean_manifests(git: &Git, below: &Path, files: &[PathBuf]) -> Result<(), Broken> {
    let paths: Vec<String> = files.iter().map(|file| format!(":(literal,top){}", below.join(file).display())).collect();
    let arguments = |words: &[&'static str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).chain(paths.iter().cloned()).collect() };
    let ask = async |words: &[&'static str]| {
        let all = arguments(words);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        git.ask(&all).await
    };
    let status = ask(&["status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--"]).await.map_err(|said| refuse(said, "correct that first"))?;
    let changed: Vec<&str> = status.split('\0').filter_map(|entry| entry.get(3..)).collect();
    if !changed.is_empty() {
        return Err(refuse(format!("{} differs from the last commit", changed.join(", ")), "commit or stash it first"));
    }
    Ok(())
}

/// The interpreter that makes the environment.
async fn interpreter(order: &Order, by_uv: bool) -> Result<Option<String>, Broken> {
    let project = &order.project;
    let live = project.venv.as_ref().map(|venv| venv.join("bin/python")).filter(|path| path.exists()).map(|path| path.to_string_lossy().into_owned());
    let python = match project.python.as_deref() {
        Some(text) if by_uv && Interpreter::new(text).is_some() => Some(text.to_owned()),
        Some(text) => Some(match Interpreter::new(text) {
            Some(version) => {
                let (major, minor) = version.version.series();
                format!("python{major}.{minor}")
            }
            None if text.contains('/') => project.base.join(text).to_string_lossy().into_owned(),
            None => text.to_owned(),
        }),
        None => live,
    };
    if by_uv {
        return Ok(python);
    }
    let python = python.unwrap_or_else(|| "python3".to_owned());
    match ask(&[&python, "-I", "-B", "-c", "import venv, ensurepip"]).await {
        Ok(_) => Ok(Some(python)),
        Err(ExecError::Missing { .. }) => Err(refuse(format!("{python} is not there"), "install it, or let `python` name an interpreter")),
        Err(_) => Err(refuse(format!("{python} cannot make an environment"), "install its venv module (python3-venv on Debian), or let `python` name another")),
    }
}

/// What it prints, when it goes well.
async fn ask(argv: &[&str]) -> Result<String, ExecError> {
    let program = ["PYTHONPATH", "PYTHONHOME"].into_iter().fold(Program::new(argv.iter().map(|&word| word.to_owned()).collect()), Program::without);
    let output = exec::run(&program, Limits::within(ASKING)).await?;
    if output.ending.success() { Ok(output.stdout_text()) } else { Err(ExecError::Empty) }
}

/// The program that keeps the lock file: from `PATH`, else from the live environment.
async fn locker(tools: &[Tool], venv: Option<&Path>) -> Result<locker::Program, Broken> {
    let Some(by) = tools.iter().find_map(Tool::locker) else {
        return Ok(locker::Program::default());
    };
    let word = by.word();
    let live = venv.map(|venv| venv.join("bin").join(word)).filter(|path| path.exists()).map(|path| path.to_string_lossy().into_owned());
    for path in [Some(word.to_owned()), live].into_iter().flatten() {
        if let Ok(said) = ask(&[&path, "--version"]).await {
            return Ok(locker::Program { path, major: locker::major(&said) });
        }
    }
    Err(refuse(format!("{word} is not installed, and this project uses it"), format!("install {word}, or put it into PATH")))
}

/// What compiles, when the new environment will not have it: found now, so that it is not missed in the middle.
async fn compiler(tools: &[Tool], venv: Option<&Path>) -> Result<Option<String>, Broken> {
    let compiled = |uv: bool| tools.iter().any(|tool| matches!(tool, Tool::Compiled { by_uv, .. } if *by_uv == uv));
    if compiled(true) {
        ask(&["uv", "--version"]).await.map_err(|_| refuse("uv is not installed, and it compiled the manifest", "install uv, or put it into PATH"))?;
    }
    if !compiled(false) {
        return Ok(None);
    }
    let live = venv.map(|venv| venv.join("bin/pip-compile")).filter(|path| path.exists()).map(|path| path.to_string_lossy().into_owned());
    for program in [Some("pip-compile".to_owned()), live].into_iter().flatten() {
        if ask(&[&program, "--version"]).await.is_ok() {
            return Ok(Some(program));
        }
    }
    Err(refuse("pip-compile is not installed, and it compiled the manifest", "install pip-tools in the project's environment, or put it into PATH"))
}

/// `rounds/upgrade-DAY`, or with a number where that is taken.
async fn branch(git: &Git, day: &str) -> Result<String, Broken> {
    let taken = git.ask(&["for-each-ref", "--format=%(refname:short)", "refs/heads/rounds/"]).await.unwrap_or_default();
    let free = |name: &String| !taken.lines().any(|taken| taken == name);
    let plain = format!("rounds/upgrade-{day}");
    let numbered = (2..=BRANCHES).map(|at| format!("rounds/upgrade-{day}-{at}"));
    std::iter::once(plain).chain(numbered).find(free).ok_or_else(|| refuse(format!("there are {BRANCHES} branches of {day} already"), "delete some"))
}

/// The size of an environment, in bytes, as far as it is measured. Blocks.
fn measure(venv: &Path) -> Option<u64> {
    let (mut waiting, mut total, mut seen) = (vec![venv.to_owned()], 0_u64, 0);
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).ok().into_iter().flatten().filter_map(Result::ok) {
            seen += 1;
            if seen > MEASURED {
                return Some(total);
            }
            // Links are not followed.
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() { waiting.push(entry.path()) } else { total = total.saturating_add(about.len()) }
        }
    }
    (total > 0).then_some(total)
}

/// Room for this person on the disk of a folder, or of the nearest above it that is there.
fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|path| path.is_dir())?;
    let about = nix::sys::statvfs::statvfs(there).ok()?;
    Some((about.blocks_available() as u64).saturating_mul(about.fragment_size() as u64))
}
