//! What an upgrade has to pass: tried on what is there before anything is changed, then after each change.
//!
//! What does not belong here: what follows from it (`guard`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::Broken;
use super::{Failure, Guard, Made, words};
use crate::domain::time::human;

/// One thing that an upgrade has to pass.
#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) argv: Vec<String>,
    folder: PathBuf,
    /// It failed before anything was changed, so it tells nothing; only for those that a person did not ask for.
    ignored: bool,
}

impl Guard<'_, '_> {
    /// What has to pass, tried on what is there now.
    pub(super) async fn baseline(&mut self) -> Result<(), Broken> {
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
        let mut took = Duration::ZERO;
        for check in &mut checks {
            let ran = self.commands.run(&check.argv, &check.folder).await?;
            took += ran.took;
            if let Some(why) = ran.failed {
                check.ignored = true;
                let shown = self.shown(&check.argv);
                self.notes.push(format!("{shown} failed before anything was changed ({why}), so it was not heeded"));
            }
        }
        if let Some(test) = &self.order.project.test {
            let test = check(self.in_the_copy(test));
            let ran = self.commands.run(&test.argv, &test.folder).await?;
            if ran.is_late {
                let (shown, limit) = (self.shown(&test.argv), human(self.order.step_limit));
                let why = format!("{shown} did not end within {limit}, before anything is changed: give it more with --step-timeout, or let `test` name less");
                return Err(Broken::Failed(why, ran.tail));
            }
            took += ran.took;
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
        self.remember_environment().await?;
        let left = self.commands.left();
        if took >= left {
            let why =
                format!("the checks took {}, and {} are left of --timeout: no upgrade could be checked; give it more with --timeout", human(took), human(left));
            return Err(Broken::Failed(why, Vec::new()));
        }
        Ok(())
    }

    /// The command with programs of the live environment taken from the fresh one: the live one would tell nothing.
    pub(super) fn in_the_copy(&self, argv: &[String]) -> Vec<String> {
        let project = &self.order.project;
        let Some(live) = &project.venv else { return argv.to_vec() };
        let moved = |word: &String| {
            let below = project.base.join(word).strip_prefix(live).map(Path::to_owned).ok()?;
            Some(self.place.venv().join(below).to_string_lossy().into_owned())
        };
        argv.iter().map(|word| moved(word).unwrap_or_else(|| word.clone())).collect()
    }

    /// Installs and checks; `None`: all passed.
    pub(super) async fn verify(&mut self, made: &[Made]) -> Result<Option<Failure>, Broken> {
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
}
