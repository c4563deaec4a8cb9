//! The guarded upgrade: packages of a project upgraded in a copy, kept where the project's own tests pass, given as a branch.
//!
//! ```text
//!  look (git, tool, disk) ─▶ copy (git worktree) ─▶ environment ─▶ baseline ─▶ change, install, check ─┬▶ keep: a commit
//!                                                                                     ▲              └▶ roll back, or halve
//!                                                                                     └──────── next ─────┘    ─▶ branch
//! ```
//!
//! The project's working tree, its environment and its branches are never changed; the branch is made at the very end. What an
//! interrupted run left behind is cleaned by the next one.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `plan` | what is tried, in which order; pure |
//! | `pins` | lines of requirements files |
//! | `tool` | who changes the manifest |
//! | `locker` | tools that keep a lock file: uv, poetry, pipenv, pdm |
//! | `declared` | places in `pyproject.toml` and `Pipfile` |
//! | `look` | what is looked at before anything is made |
//! | `git` | asking git |
//! | `place` | the folder of a run: lock, copy, environment, cleaning |
//! | `commands` | running what is shown and logged |
//! | `guard` | the run itself |
//! | `telling` | which lines of a failure tell why; pure |
//!
//! What does not belong here: which versions there are (`sources::python`), asking the person and printing (`cli`).

mod commands;
mod declared;
mod git;
mod guard;
mod locker;
mod look;
mod pins;
mod place;
mod plan;
mod telling;
mod tool;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

pub use declared::complete;
pub use git::Git;
pub use guard::run;
pub use look::{Look, look};
pub use place::Place;
pub use plan::{Left, Phase, Plan, Reach, Rung, Wish, begins_at, plan};
pub use telling::telling;

use crate::domain::{Notes, Package, SourceId};
use crate::io::secret::SecretRef;

/// A project whose packages can be upgraded, as its source is configured.
#[derive(Debug, Clone)]
pub struct Project {
    /// The source that looks at its packages.
    pub id: SourceId,
    /// Its folder: the site's `directory`, else the configuration's.
    pub base: PathBuf,
    /// Its manifests.
    pub manifests: Vec<PathBuf>,
    /// The live environment; never changed.
    pub venv: Option<PathBuf>,
    /// A version or the path of an interpreter.
    pub python: Option<String>,
    /// The command that tells whether an upgrade is good.
    pub test: Option<Vec<String>>,
    /// The command that changes the manifest instead of the project's tool.
    pub command: Option<Vec<String>>,
    /// How old a release must be.
    pub cooldown: Option<Duration>,
    /// The simple index, where one is configured.
    pub index: Option<SecretRef>,
    /// Indexes beside it.
    pub extra_indexes: Vec<SecretRef>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Order {
    /// In which project.
    pub project: Project,
    /// All packages that are known of it.
    pub packages: Vec<Package>,
    /// What is tried.
    pub plan: Plan,
    /// Bounds one command.
    pub step_limit: Duration,
    /// Bounds all of it.
    pub limit: Duration,
    /// Also without a command that tests.
    pub untested: bool,
    /// Below this folder copies are made.
    pub work: PathBuf,
    /// `2026-11-21`: for the branch's name.
    pub day: String,
    /// `[journal] redact`, masked in what is shown and logged.
    pub redact: Vec<String>,
    /// What projects say of their releases, by package, as far as they were read: for the messages of the commits.
    pub notes: BTreeMap<String, Notes>,
}

/// What is told while it runs. Texts may be outside text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// What begins, a sentence.
    Doing(String),
    /// A command as it is run.
    Command(String),
    /// A line that it printed.
    Line(String),
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Nothing was begun: a sentence, and what to do.
    #[error("{0}; {1}")]
    Refused(String, String),
    /// It was begun and could not go on: a sentence, and the last lines of what was run.
    #[error("{0}")]
    Failed(String, Vec<String>),
    /// The time for all of it was over before anything was kept.
    #[error("the whole upgrade took longer than --timeout allows, and nothing was kept; give it more, or fewer packages; the project is as it was")]
    Late,
    /// Somebody stopped it.
    #[error("stopped; the project is as it was")]
    Stopped,
}

/// How one upgrade ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// To be tried.
    Planned,
    /// It is a commit of the branch.
    Kept,
    /// It was tried and taken back.
    RolledBack,
    /// It was not tried.
    Left,
    /// There was nothing to do.
    Current,
}

/// One upgrade and its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Normalised name.
    pub name: String,
    /// The version before.
    pub from: Option<String>,
    /// The version after.
    pub to: Option<String>,
    /// When in the order it was tried.
    pub phase: Option<Phase>,
    /// How it ended.
    pub status: Fate,
    /// The commit.
    pub commit: Option<String>,
    /// Ids of the weaknesses it cures.
    pub cures: Vec<String>,
    /// Why it was not kept.
    pub why: Option<String>,
    /// The last lines of what failed.
    pub output: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The branch that was made; none when nothing was kept.
    pub branch: Option<String>,
    /// The commit it begins at.
    pub base: String,
    /// What changes the manifest: `pip`, `pip-tools`, `uv`, `poetry`, `pipenv`, `pdm`, or that it is `the configured command`.
    pub tool: String,
    /// What an upgrade had to pass.
    pub checks: Vec<String>,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// The log of all commands.
    pub log: Option<PathBuf>,
    /// In the order in which they were tried.
    pub items: Vec<Item>,
}

impl Report {
    /// Upgrades with this end.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        self.items.iter().filter(|item| item.status == fate).count()
    }

    /// Whether all that was wanted was kept.
    #[must_use]
    pub fn all_kept(&self) -> bool {
        self.items.iter().all(|item| matches!(item.status, Fate::Kept | Fate::Current))
    }

    /// In one sentence, for the record.
    #[must_use]
    pub fn words(&self) -> String {
        let kept = self.count(Fate::Kept);
        let mut parts = vec![format!("{kept} kept")];
        for (fate, word) in [(Fate::RolledBack, "rolled back"), (Fate::Left, "not tried")] {
            match self.count(fate) {
                0 => {}
                count => parts.push(format!("{count} {word}")),
            }
        }
        let branch = self.branch.as_ref().map(|branch| format!(" on branch {branch}")).unwrap_or_default();
        format!("{}{branch}", parts.join(", "))
    }
}

impl Item {
    fn of(rung: &Rung, from: Option<String>, status: Fate) -> Self {
        Self {
            name: rung.name.clone(),
            from,
            to: Some(rung.to.clone()),
            phase: Some(rung.phase),
            status,
            commit: None,
            cures: Vec::new(),
            why: None,
            output: Vec::new(),
        }
    }

    fn left(left: &Left) -> Self {
        Self {
            name: left.name.clone(),
            from: None,
            to: None,
            phase: None,
            status: if left.current { Fate::Current } else { Fate::Left },
            commit: None,
            cures: Vec::new(),
            why: Some(left.why.clone()),
            output: Vec::new(),
        }
    }
}

/// What is left of the plan before anything was tried, for showing.
#[must_use]
pub fn planned(order: &Order) -> Vec<Item> {
    let package = |name: &str| order.packages.iter().find(|package| package.name == name);
    let rungs = order.plan.rungs.iter().map(|rung| {
        let from = package(&rung.name).and_then(begins_at);
        let cures = from.map(|from| guard::cures(&order.packages, &rung.name, from, &rung.to)).unwrap_or_default();
        Item { cures, ..Item::of(rung, from.map(str::to_owned), Fate::Planned) }
    });
    rungs.chain(order.plan.left.iter().map(Item::left)).collect()
}
