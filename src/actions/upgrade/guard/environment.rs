//! The copy and its environment: made as the last commit locks it, kept and put back, and the variables of every command in it.
//!
//! What does not belong here: what is tried in it (`change`, `checks`).

use std::path::{Path, PathBuf};

use super::super::locker;
use super::super::place::Place;
use super::super::tool::Tool;
use super::super::{Broken, Look, Order};
use super::{Failure, Guard, words};
use crate::io::secret::{self, Known, Secret, SecretRef};
use crate::packages::manifests::installed;

/// Variables of every command: the new environment in front, the configured index, nothing that asks.
pub(super) async fn environment(order: &Order, look: &Look, place: &Place) -> Result<Vec<(String, Secret)>, Broken> {
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

impl Guard<'_, '_> {
    /// The copy and its environment, as the last commit locks it.
    pub(super) async fn prepare(&mut self) -> Result<(), Broken> {
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
    pub(super) async fn install(&mut self) -> Result<Option<Failure>, Broken> {
        let mut commands: Vec<(Vec<String>, PathBuf)> = Vec::new();
        // Not quiet: that would also leave out why versions conflict.
        let mut pip = words(&[&self.python(), "-m", "pip", "install", "--progress-bar", "off"]);
        let bare = pip.len();
        for tool in &self.look.tools {
            match tool {
                Tool::Locked { folder, by } => commands.push((by.install(&self.look.locker, self.rootless), self.folder.join(folder))),
                Tool::Pip { file } | Tool::Compiled { output: file, .. } => pip.extend(["-r".to_owned(), file.to_string_lossy().into_owned()]),
            }
        }
        if pip.len() > bare {
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

    /// Keeps the environment as it is now, to go back to.
    pub(super) async fn remember_environment(&mut self) -> Result<(), Broken> {
        self.copy_environment(self.place.venv(), self.place.good()).await
    }

    /// The environment as it was when it last passed. A copy, so that it is exact and asks nobody.
    pub(super) async fn restore_environment(&mut self) -> Result<(), Broken> {
        self.copy_environment(self.place.good(), self.place.venv()).await
    }

    pub(super) async fn copy_environment(&mut self, from: PathBuf, to: PathBuf) -> Result<(), Broken> {
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
}
