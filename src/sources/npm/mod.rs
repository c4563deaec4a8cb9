//! The packages of a JavaScript project: what `package-lock.json` pins, against what a registry of npm has.
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
use crate::io::secret::{Secret, SecretRef};
use crate::packages::ecosystem::Ecosystem;

/// The keys of one lock file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The lock file: `package-lock.json`.
    pub manifest: PathBuf,
    /// The registry, such as `"https://registry.example/"`; else what npm is told is used.
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
            ecosystem: Ecosystem::Npm,
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

/// What npm is told: its variables, `.npmrc` beside the lock file, that of the person. Blocks.
fn around(lock: &Path) -> Around {
    let own = variable("npm_config_userconfig").or_else(|| variable("NPM_CONFIG_USERCONFIG")).map(PathBuf::from);
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".npmrc"));
    let files = [lock.parent().map(|dir| dir.join(".npmrc")), own.or(home)];
    let text = |path: &PathBuf| {
        let about = path.metadata().ok()?;
        (about.is_file() && about.len() <= LIMIT).then(|| std::fs::read_to_string(path).ok()).flatten()
    };
    let texts: Vec<String> = files.iter().flatten().filter_map(text).collect();
    let named = variable("npm_config_registry").or_else(|| variable("NPM_CONFIG_REGISTRY"));
    settings(&texts, named, &|name| std::env::var(name).ok())
}

/// What files say, the nearest first; `variables` of the environment take the place of `${NAME}`.
fn settings(texts: &[String], named: Option<String>, variables: &dyn Fn(&str) -> Option<String>) -> Around {
    let mut around = Around::default();
    let mut tokens: Vec<(String, String)> = Vec::new();
    let mut scopes: Vec<(String, String)> = Vec::new();
    let mut registry = named;
    for text in texts {
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let (key, Some(value)) = (key.trim(), filled(value.trim().trim_matches('"'), variables)) else { continue };
            if key == "registry" {
                registry.get_or_insert(value);
            } else if let Some(place) = key.strip_suffix(":_authToken").and_then(|key| key.strip_prefix("//")) {
                tokens.push((place.trim_end_matches('/').to_owned(), value));
            } else if let Some(scope) = key.strip_suffix(":registry").filter(|scope| scope.starts_with('@')) {
                let scope = format!("{scope}/");
                if !scopes.iter().any(|(known, _)| *known == scope) {
                    scopes.push((scope, value));
                }
            }
        }
    }
    let token = |registry: &str| {
        let place = registry.split_once("//").map(|(_, place)| place.trim_end_matches('/').to_owned());
        // A token is for the address it stands at, and for what is below it.
        let fits = |of: &str| place.as_ref().is_some_and(|place| place == of || place.strip_prefix(of).is_some_and(|rest| rest.starts_with('/')));
        tokens.iter().find(|(of, _)| fits(of)).map(|(_, token)| Secret::new(token.clone()))
    };
    around.apart = scopes.into_iter().map(|(scope, registry)| (scope, registry.clone(), token(&registry))).collect();
    around.found = registry.map(|registry| (registry.clone(), token(&registry)));
    around
}

/// `${NAME}` filled in; `None` where one is not set.
fn filled(text: &str, variables: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}')?;
        out.push_str(before);
        out.push_str(&variables(name)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}
