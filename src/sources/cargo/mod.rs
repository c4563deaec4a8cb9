//! The packages of a Rust project: what `Cargo.lock` pins, against what a sparse index has.
//!
//! What does not belong here: reading the lock file and asking the registry (`packages::registry`), the poll (`sources::registry`).

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::audit::{Asked, IgnoreConfig};
use super::registry::{Around, Keys, variable};
use super::{BuildContext, Built, Complaint, Reach, SourceConfig, SourceSpec};
use crate::domain::SourceError;
use crate::io::secret::SecretRef;
use crate::packages::ecosystem::Ecosystem;

/// The keys of one lock file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The lock file: `Cargo.lock`.
    pub manifest: PathBuf,
    /// The sparse index, such as `"https://index.example/crates/"`; else the one that replaces the public registry in Cargo's settings, or that the lock file records.
    pub index: Option<String>,
    /// A token that may read it, sent to that address only.
    pub token: Option<SecretRef>,
    /// Where advisories are asked for, such as `"https://osv.example"`; OSV itself when not given. `false`: nobody is asked.
    pub osv: Option<Asked>,
    /// Advisories that are known and borne.
    #[serde(default)]
    pub ignore: Vec<IgnoreConfig>,
}

impl Config {
    fn keys(&self) -> Keys<'_> {
        Keys {
            ecosystem: Ecosystem::Cargo,
            manifest: &self.manifest,
            index: self.index.as_deref(),
            token: self.token.as_ref(),
            osv: self.osv.as_ref(),
            ignore: &self.ignore,
        }
    }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        self.keys().check()
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        self.token.iter().map(|token| (vec!["token".to_owned()], token)).collect()
    }

    fn reaches(&self, context: &BuildContext) -> Vec<Reach> {
        self.keys().reaches(context)
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        self.keys().build(context, around)
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        self.keys().spec(context)
    }
}

/// A settings file is not larger than this, in bytes.
const LIMIT: u64 = 1 << 20;

/// What Cargo is told: `.cargo/config.toml` beside the lock file and in the folders above, then that of the person (the Cargo book,
/// "source replacement"). Blocks.
fn around(lock: &Path) -> Around {
    let own = variable("CARGO_HOME").map(PathBuf::from).or_else(|| directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".cargo")));
    let above = lock.ancestors().skip(1).map(|dir| dir.join(".cargo"));
    let text = |dir: PathBuf| {
        ["config.toml", "config"].iter().find_map(|name| {
            let path = dir.join(name);
            let about = path.metadata().ok()?;
            (about.is_file() && about.len() <= LIMIT).then(|| std::fs::read_to_string(path).ok()).flatten()
        })
    };
    let texts: Vec<String> = above.chain(own).filter_map(text).collect();
    Around { found: replaced(&texts).map(|index| (index, None)), apart: Vec::new() }
}

/// The sparse index that stands for the public registry, the nearest file first.
fn replaced(texts: &[String]) -> Option<String> {
    let tables: Vec<toml::Table> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    let get = |source: &str, key: &str| tables.iter().find_map(|table| table.get("source")?.get(source)?.get(key)?.as_str().map(str::to_owned));
    let mut name = "crates-io".to_owned();
    // A replacement may be replaced.
    for _ in 0..8 {
        match get(&name, "replace-with") {
            Some(next) => name = next,
            None => break,
        }
    }
    let index = tables.iter().find_map(|table| table.get("registries")?.get(&name)?.get("index")?.as_str().map(str::to_owned));
    get(&name, "registry").or(index).filter(|index| index.starts_with("sparse+"))
}
