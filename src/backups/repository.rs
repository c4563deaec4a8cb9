//! Where copies are taken from: what a tool can do with its repository beyond being polled.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan::{CheckConfig, DrillConfig};
use crate::domain::backup::Check;
use crate::domain::{Copy, SourceError, Timestamp};
use crate::sources::BoxFuture;

/// A repository as a drill, a check and a person browsing it need it. Never writes to it, but for what the tool's own check does.
pub trait Repository: fmt::Debug + Send + Sync {
    /// How a restore is tried, as configured.
    fn drill(&self) -> DrillConfig;

    /// How it is checked, as configured; `None`: the tool has no check, or it is not to be run.
    fn check_plan(&self) -> Option<CheckConfig> {
        None
    }

    /// The good copies there are now, newest last.
    fn copies(&self) -> BoxFuture<'_, Result<Vec<Copy>, SourceError>>;

    /// What a copy holds directly below this folder (`""`: at its top), bounded; an error where the tool cannot tell.
    fn files<'a>(&'a self, copy: &'a str, under: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, SourceError>>;

    /// Restores a copy into this empty directory. Dropping the future ends the tool.
    fn restore<'a>(&'a self, copy: &'a Copy, into: &'a Path) -> BoxFuture<'a, Result<Restored, SourceError>>;

    /// Whom the tool writes as, by name or number, where it may be another one than this process: the place of a restore must be his.
    fn writes_as(&self) -> Option<String> {
        None
    }

    /// Lets the tool check what it keeps, as deep as [`Self::check_plan`] says.
    fn check(&self) -> BoxFuture<'_, Result<Check, SourceError>> {
        Box::pin(async { Err(SourceError::config("this kind of backup has no check of its own", "a drill looks at a copy as a whole")) })
    }

    /// The command by which a person restores this copy, for pasting; secrets as variables.
    fn by_hand(&self, copy: &Copy) -> String;

    /// Paths of this machine that no scratch place may be, be in, or hold: the repository, and what it protects.
    fn protects(&self) -> Vec<PathBuf>;

    /// How a lock that was left behind is taken away; `None`: the tool has no locks, or no way.
    fn unlocking(&self) -> Option<Unlocking> {
        None
    }

    /// Takes away the locks whose holders are gone, and tells what was done in one sentence. Only what [`Self::unlocking`] offers.
    fn unlock(&self) -> BoxFuture<'_, Result<String, SourceError>> {
        Box::pin(async { Err(SourceError::config("this kind of backup has no locks that could be taken away", "nothing was changed")) })
    }
}

/// How a tool takes away a lock that was left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unlocking {
    /// What is called, for reading.
    pub calls: &'static str,
    /// What it changes, one sentence.
    pub changes: &'static str,
    /// It takes away every lock, so that none may have a holder.
    pub takes_all: bool,
}

/// What lies directly in one folder of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// The copy.
    pub copy: String,
    /// The folder below the copy's top, without slashes at its ends; empty: the top.
    pub under: String,
    /// What lies there, bounded.
    pub entries: Vec<Entry>,
}

/// One name in a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Below the copy's top, with `/`.
    pub path: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// In bytes, of a file.
    pub size: Option<u64>,
    /// When it was last changed.
    pub changed: Option<Timestamp>,
}

/// What a restore gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// Files, in the directory that was given.
    Files,
    /// One dump as a file in that directory, no longer packed.
    Dump(PathBuf),
    /// The data directory of a PostgreSQL server, ready to be started.
    Cluster(PathBuf),
}
