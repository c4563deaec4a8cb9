//! The packages of a Python project: what manifests list and an environment holds, against what indexes have.
//!
//! What does not belong here: reading manifests and asking indexes (`packages`), the verdict (`rules::dependencies`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `address` | where the index is: the configuration, the settings around it, the interpreter |
//! | `look` | one poll |
//! | `service` | what can be done to a package |

mod address;
#[cfg(test)]
mod agreement;
mod look;
mod service;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use self::address::Address;
use super::audit;
pub use super::audit::{Asked, IgnoreConfig};
use super::{BuildContext, Built, Complaint, Reach, SourceConfig, SourceSpec};
use crate::config::value::Dur;
use crate::domain::{Capability, SourceError};
use crate::io::secret::SecretRef;
use crate::packages::ecosystem::Ecosystem;
use crate::packages::indexes::cache::Cache;
use crate::packages::indexes::client::Index;
use crate::packages::life::client::Dates;
use crate::packages::notes::client::Reader;
use crate::packages::versions::Interpreter;

/// The interval where none is configured.
const EVERY: Duration = Duration::from_secs(6 * 3_600);
/// The time limit of one poll where none is configured.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The keys of one set of packages.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file that lists packages, or several: requirements files, lock files, `pyproject.toml`.
    pub manifest: Option<OneOrMany>,
    /// The environment whose installed packages are looked at: the folder that holds `pyvenv.cfg`, or a `site-packages` folder.
    pub venv: Option<PathBuf>,
    /// The command that tells of an environment elsewhere what `pip inspect` tells: `["ssh", "web1", "/srv/shop/.venv/bin/pip", "inspect"]`.
    pub inspect: Option<Vec<String>>,
    /// Whom versions are chosen for: a version such as `"3.12"`, or the path of an interpreter.
    pub python: Option<String>,
    /// The simple index, such as `"https://index.example/simple/"`; else what pip and uv are told is used.
    pub index: Option<Address>,
    /// Indexes that are asked beside it.
    #[serde(default)]
    pub extra_indexes: Vec<Address>,
    /// Where advisories are asked for, such as `"https://osv.example"`; OSV itself when not given. `false`: only the index's own list.
    pub osv: Option<Asked>,
    /// Where support dates of Python and Django are asked for; endoflife.date when not given. `false`: only those that came with the program.
    pub eol: Option<Asked>,
    /// Advisories that are known and borne.
    #[serde(default)]
    pub ignore: Vec<IgnoreConfig>,
    /// How old a release must be before it is wanted, such as `"7d"`.
    pub cooldown: Option<Dur>,
    /// The command that tells whether an upgrade is good: `rounds upgrade` runs it in a copy.
    pub test: Option<Vec<String>>,
    /// The command that changes the manifest in that copy; `{package}` and `{version}` take their place. The project's own tool when not given.
    pub upgrade: Option<Vec<String>>,
}

/// One path, or a list of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(PathBuf),
    /// Several.
    Many(Vec<PathBuf>),
}

impl OneOrMany {
    fn all(&self) -> Vec<PathBuf> {
        match self {
            Self::One(path) => vec![path.clone()],
            Self::Many(paths) => paths.clone(),
        }
    }
}

fn complaint(key: &str, message: &str, help: &str) -> Complaint {
    Complaint { path: vec![key.to_owned()], message: message.to_owned(), help: help.to_owned(), warning: false }
}

fn is_empty(paths: &OneOrMany) -> bool {
    paths.all().is_empty() || paths.all().iter().any(|path| path.as_os_str().is_empty())
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all = Vec::new();
        if self.manifest.is_none() && self.venv.is_none() && self.inspect.is_none() {
            all.push(complaint("manifest", "nothing is named to look at", "add `manifest = \"requirements.txt\"` or `venv = \".venv\"`"));
        }
        if self.venv.is_some() && self.inspect.is_some() {
            all.push(complaint("inspect", "`venv` names an environment too", "keep one of them: an environment here is `venv`, one elsewhere is `inspect`"));
        }
        if self.manifest.as_ref().is_some_and(is_empty) {
            all.push(complaint("manifest", "the path is empty", "name a file such as \"requirements.txt\", or a list of files"));
        }
        if self.python.as_ref().is_some_and(|text| text.trim().is_empty()) {
            all.push(complaint("python", "the interpreter is empty", "write a version such as \"3.12\", or the path of an interpreter"));
        }
        let literal = |address: &Address| address.literal().and_then(|text| Index::new(text, |_| None).err());
        if let Some(why) = self.index.as_ref().and_then(literal) {
            all.push(complaint("index", &format!("the address is not right: {why}"), "write the simple index, such as \"https://index.example/simple/\""));
        }
        for (at, why) in self.extra_indexes.iter().enumerate().filter_map(|(at, address)| Some((at, literal(address)?))) {
            let mut one =
                complaint("extra_indexes", &format!("the address is not right: {why}"), "write a simple index, such as \"https://index.example/simple/\"");
            one.path.push(at.to_string());
            all.push(one);
        }
        all.extend(audit::check(self.osv.as_ref(), &self.ignore));
        if let Some(Asked::Address(text)) = &self.eol
            && let Err(why) = Dates::new(text, None, EVERY)
        {
            all.push(complaint(
                "eol",
                &format!("the address is not right: {why}"),
                "write the base of the service, such as \"https://dates.example/api/v1\", or false",
            ));
        }
        if self.inspect.as_ref().is_some_and(|argv| argv.first().is_none_or(|tool| tool.trim().is_empty())) {
            all.push(complaint("inspect", "the command is empty", "write the program and its arguments: [\"ssh\", \"web1\", \"pip\", \"inspect\"]"));
        }
        for (key, argv) in [("test", &self.test), ("upgrade", &self.upgrade)] {
            if argv.as_ref().is_some_and(|argv| argv.first().is_none_or(|tool| tool.trim().is_empty())) {
                all.push(complaint(key, "the command is empty", "write the program and its arguments: [\"python\", \"manage.py\", \"test\"]"));
            }
        }
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        let extra = self.extra_indexes.iter().enumerate().map(|(at, address)| (vec!["extra_indexes".to_owned(), at.to_string()], address));
        let index = self.index.iter().map(|address| (vec!["index".to_owned()], address));
        index.chain(extra).filter(|(_, address)| address.is_secret()).map(|(path, address)| (path, address.reference())).collect()
    }

    fn commands(&self) -> Vec<Vec<String>> {
        self.inspect.iter().cloned().collect()
    }

    fn reaches(&self, context: &BuildContext) -> Vec<Reach> {
        let mut all: Vec<Reach> = self.paths(context).into_iter().map(Reach::Files).collect();
        let addresses = self.index.iter().chain(&self.extra_indexes).filter_map(Address::literal);
        all.extend(addresses.filter_map(|text| Index::new(text, |_| None).ok()?.reach()).map(|(host, port)| Reach::Tcp(host, port)));
        all
    }

    fn project(&self, context: &BuildContext) -> Option<crate::actions::upgrade::Project> {
        Some(crate::actions::upgrade::Project {
            id: context.id.clone(),
            base: context.base.clone(),
            manifests: self.paths(context),
            venv: self.venv.as_ref().map(|path| context.base.join(path)),
            python: self.python.as_deref().map(str::trim).map(str::to_owned),
            test: self.test.clone(),
            command: self.upgrade.clone(),
            cooldown: self.cooldown.map(|age| age.0),
            index: self.index.as_ref().map(|address| address.reference().clone()),
            extra_indexes: self.extra_indexes.iter().map(|address| address.reference().clone()).collect(),
        })
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        let spec = self.spec(context);
        // A version, else the path of a program.
        let given = self.python.as_deref().map(str::trim);
        let interpreter = given.and_then(Interpreter::new);
        let program = given.filter(|_| interpreter.is_none()).map(|text| if text.contains('/') { context.base.join(text) } else { PathBuf::from(text) });
        let setup = look::Setup {
            manifests: self.paths(context),
            venv: self.venv.as_ref().map(|path| context.base.join(path)),
            interpreter,
            addresses: address::Addresses {
                index: self.index.clone(),
                extra: self.extra_indexes.clone(),
                program,
                base: context.base.clone(),
                trusted: context.trusted,
                keyring: "keyring".to_owned(),
            },
            base: context.base.clone(),
            inspect: self.inspect.clone(),
            inspected: Mutex::default(),
            cache: Arc::new(Cache::new(context.cache.as_deref())),
            limit: spec.timeout,
            cooldown_s: self.cooldown.map_or(0, |age| i64::try_from(age.0.as_secs()).unwrap_or(i64::MAX / 2)),
            dates: audit::dates(self.eol.as_ref(), context, spec.every)?,
            auditor: audit::build(self.osv.as_ref(), &self.ignore, Ecosystem::PyPi, context, spec.every)?,
        };
        let can_upgrade = context.trusted && !setup.manifests.is_empty();
        let upgrades = service::Upgrades { id: context.id.clone(), can_upgrade, test: self.test.clone() };
        let setup = Arc::new(setup);
        let service = service::PythonService::new(Arc::clone(&setup), Reader::new(context.cache.as_deref()), upgrades);
        Ok(Built { source: Box::new(look::PythonSource::new(setup, spec.every)), spec, service: Some(Arc::new(service)) })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        let paths = self.manifest.as_ref().map(OneOrMany::all).unwrap_or_default();
        let mut shown: Vec<String> = paths.iter().chain(&self.venv).map(|path| path.display().to_string()).collect();
        shown.extend(self.inspect.as_ref().map(|argv| argv.join(" ")));
        let spec = SourceSpec::of(context, Capability::Packages, EVERY, TIMEOUT, shown.join(", "));
        SourceSpec { retry_every: spec.every.min(Duration::from_secs(600)), ..spec }
    }
}

impl Config {
    fn paths(&self, context: &BuildContext) -> Vec<PathBuf> {
        self.manifest.as_ref().map(OneOrMany::all).unwrap_or_default().into_iter().map(|path| context.base.join(path)).collect()
    }
}
