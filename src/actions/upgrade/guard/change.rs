//! One upgrade in the manifests of the copy: by the project's own tool, by the configured command, or line by line.
//!
//! What does not belong here: tools that keep a lock file (`lock`), the message of the commit (`commit`).

use std::path::{Path, PathBuf};

use super::super::git::Git;
use super::super::plan::Rung;
use super::super::tool::{Tool, is_project};
use super::super::{Broken, pins};
use super::{Failure, Guard, Made, words};
use crate::io::secret::Known;
use crate::packages::manifests::{self, Scope};
use crate::packages::versions::Version;

/// Places in the upgrade command of the configuration.
const PACKAGE: &str = "{package}";
const VERSION: &str = "{version}";

impl Guard<'_, '_> {
    /// Changes the manifests for one upgrade and commits that. `None` when it was taken back or is there already.
    pub(super) async fn make(&mut self, rung: &Rung, batch: &[Rung]) -> Result<Option<Made>, Broken> {
        let from = self.versions.get(&rung.name).cloned().unwrap_or_default();
        if let (Some(now), Some(to)) = (self.locked(&rung.name).or_else(|| Version::parse(&from)), Version::parse(&rung.to))
            && now >= to
        {
            // Another upgrade brought it along.
            self.brought.push((rung.name.clone(), rung.to.clone()));
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
    pub(super) fn locked(&self, name: &str) -> Option<Version> {
        let paths: Vec<PathBuf> = self.look.tools.iter().map(|tool| self.folder.join(tool.lock())).collect();
        let scope = Scope { base: &self.folder, interpreter: self.interpreter.as_ref() };
        let all = manifests::read(&paths, scope);
        all.entries.into_iter().find(|entry| entry.name == name).and_then(|entry| Version::parse(&entry.locked?))
    }

    /// Files that an upgrade may change, in the copy.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = self.look.tools.iter().flat_map(|tool| tool.files(&self.folder)).collect();
        all.sort();
        all.dedup();
        all
    }

    /// How many of the secrets that this process knows stand in the manifests now.
    pub(super) fn secrets(&self) -> usize {
        let secrets = Known::of_process().all();
        let texts: Vec<String> = self.files().iter().filter_map(|file| std::fs::read_to_string(self.folder.join(file)).ok()).collect();
        secrets.iter().filter(|secret| texts.iter().any(|text| text.contains(secret.expose()))).count()
    }

    /// Lets the tool change the manifests.
    pub(super) async fn change(&mut self, rung: &Rung) -> Result<Result<(), Failure>, Broken> {
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
    pub(super) async fn with(&mut self, tool: &Tool, rung: &Rung) -> Result<Result<bool, Failure>, Broken> {
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

    pub(super) fn compiler(&self) -> String {
        let own = self.place.venv().join("bin/pip-compile");
        if own.exists() { own.to_string_lossy().into_owned() } else { self.look.compiler.clone().unwrap_or_else(|| "pip-compile".to_owned()) }
    }

    /// Changes the pins of a requirements file and what it includes. `strict`: a line without a pin is a failure.
    pub(super) fn repin(&self, file: &Path, rung: &Rung, strict: bool) -> Result<bool, Failure> {
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
}
