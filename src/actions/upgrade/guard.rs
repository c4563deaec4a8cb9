//! The run: baseline, change, install, check, keep or roll back, halve what failed together, and the branch at the end.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `environment` | the copy, its environment, the variables of every command |
//! | `checks` | what has to pass: the baseline, then each upgrade |
//! | `change` | one upgrade in the manifests; `lock` where a tool keeps a lock file |
//! | `commit` | one commit and its message |
//!
//! What does not belong here: what is tried (`plan`), what is looked at before (`look`), running one command (`commands`).

mod change;
mod checks;
mod commit;
mod environment;
mod lock;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::checks::Check;
use super::commands::{Commands, Ran};
use super::git::Git;
use super::place::Place;
use super::plan::{self, Phase, Rung};
use super::telling::telling;
use super::{Broken, Fate, Item, Look, Order, Report, Said, begins_at};
use crate::actions::mask::Mask;
use crate::actions::written;
use crate::domain::Package;
use crate::domain::time::human;
use crate::io::secret::Known;
use crate::packages::versions::Interpreter;
use crate::report::clean;

/// What the end may take when the time for all is over: the branch, and taking the copy away.
const CLOSING: Duration = Duration::from_secs(60);
/// Lines of a failure that are kept.
const OUTPUT: usize = 40;
/// No object: a branch is made only where there is none.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// Ids of the weaknesses that this upgrade cures.
pub(super) fn cures(packages: &[Package], name: &str, from: &str, to: &str) -> Vec<String> {
    let advisories = packages.iter().find(|package| package.name == name).map_or(&[][..], |package| &package.advisories);
    plan::cured(advisories, from, to).into_iter().map(|advisory| advisory.id.clone()).collect()
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
    /// What another upgrade brought along, by name and version.
    brought: Vec<(String, String)>,
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
    let env = environment::environment(order, look, place).await?;
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
        brought: Vec::new(),
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
        match guard.settle(batches).await {
            Err(Broken::Late) => {
                guard.out_of_time();
                break;
            }
            settled => settled?,
        }
    }
    guard.finish().await
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

    /// An argument vector for reading, without the folder of this run.
    fn shown(&self, argv: &[String]) -> String {
        let bin = format!("{}/", self.place.venv().join("bin").to_string_lossy());
        written(&argv.iter().map(|word| word.replace(&bin, "")).collect::<Vec<_>>())
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
        let output = telling(&failure.tail, OUTPUT).iter().map(|line| clean(line)).collect();
        self.items.push(Item { why: Some(failure.why), output, ..Item::of(rung, from, Fate::RolledBack) });
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

    /// The time for all is over in the middle: what passed is kept, and the rest is told.
    fn out_of_time(&mut self) {
        self.commands.more_time(CLOSING);
        let limit = human(self.order.limit);
        self.commands.doing(&format!("the {limit} of --timeout are over: what passed until now is kept"));
        for rung in &self.order.plan.rungs {
            let is_settled = self.items.iter().any(|item| item.name == rung.name && item.to.as_ref() == Some(&rung.to));
            if !is_settled && !self.brought.iter().any(|(name, to)| *name == rung.name && *to == rung.to) {
                let why = format!("the {limit} of --timeout were over: give it more, or fewer packages");
                self.items.push(Item { why: Some(why), ..Item::of(rung, self.versions.get(&rung.name).cloned(), Fate::Left) });
            }
        }
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
