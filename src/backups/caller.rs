//! Calling one tool for one repository: its address and secrets resolved as late as possible, in the environment and never in arguments.
//!
//! What does not belong here: what the tool is asked and what it answers (its folder in `sources`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use sha2::{Digest, Sha256};

use super::address::{self, Address};
use super::prefix::Prefix;
use super::{tool, user};
use crate::config::diagnostic::is_secret_key;
use crate::domain::SourceError;
use crate::io::exec::{Ending, ExecError, Patience, Program};
use crate::io::secret::{self, Secret, SecretRef};

/// A shorter value is in every other sentence.
const SHORTEST_SECRET: usize = 6;
/// Lines of what a tool said that are looked at.
const LINES: usize = 400;
/// Characters of one of them.
const LINE: usize = 300;

/// How a tool is called for one repository.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The program, and what stands before it.
    pub prefix: Prefix,
    /// Relative paths are relative to this.
    pub base: PathBuf,
    /// Where the repository is; `None`: the tool knows.
    pub address: Option<Address>,
    /// The path in an address, where it is one on this machine.
    pub local: fn(&str) -> Option<&str>,
    /// The variable that tells the tool.
    pub address_variable: &'static str,
    /// Variables of its environment.
    pub env: Vec<(String, SecretRef)>,
    /// Variables of our own environment that would stand in their way.
    pub without: Vec<&'static str>,
}

/// The same with everything resolved.
#[derive(Debug, Clone)]
pub struct Open {
    /// The repository; empty where the tool knows.
    pub address: String,
    /// Where the address goes into the arguments, since the environment is lost on the way.
    pub in_arguments: bool,
    prefix: Prefix,
    directory: PathBuf,
    env: Vec<(String, Secret)>,
    without: Vec<&'static str>,
}

/// What a tool gave, cleaned for reading.
#[derive(Debug, Clone)]
pub struct Said {
    /// How it ended.
    pub ending: Ending,
    /// Whether we ended it, since it told of the same trouble again and again.
    pub stuck: bool,
    /// Standard output.
    pub stdout: String,
    /// The lines of standard error that say something, bounded, without control characters and our secrets.
    pub lines: Vec<String>,
    /// The names of messages, where the tool names them, and the messages.
    pub named: Vec<(String, String)>,
}

/// The variables of the `env` key that are to be kept as secrets: named elsewhere, or under a name that sounds like one.
#[must_use]
pub fn secret_variables(env: &BTreeMap<String, SecretRef>) -> Vec<(Vec<String>, &SecretRef)> {
    let is_name = |name: &str| name.ends_with("_FILE") || name.ends_with("_COMMAND") || name.ends_with("_PASSCOMMAND");
    let secret = |name: &str, value: &SecretRef| !matches!(value, SecretRef::Literal(_)) || (is_secret_key(name) && !is_name(name));
    env.iter().filter(|(name, value)| secret(name, value)).map(|(name, value)| (vec!["env".to_owned(), name.clone()], value)).collect()
}

impl Caller {
    /// Where a repository lies on this machine, whole.
    #[must_use]
    pub fn path(&self, address: &str) -> Option<PathBuf> {
        (!self.prefix.elsewhere()).then(|| (self.local)(address)).flatten().map(|path| self.base.join(path))
    }

    /// The address for pasting; `None` where it is a secret, or the tool knows it.
    #[must_use]
    pub fn written(&self) -> Option<String> {
        let address = self.address.as_ref().filter(|address| address.secret().is_none())?.written()?;
        Some(self.path(address).map_or_else(|| address.to_owned(), |path| path.to_string_lossy().into_owned()))
    }

    /// Whom the tool writes as, where this process can give a place to another user: only root can. Without that right a `sudo` before the
    /// tool restores what it may, as a person's own would.
    #[must_use]
    pub fn writes_as(&self) -> Option<String> {
        user::of(self.prefix.words()).filter(|_| nix::unistd::geteuid().is_root())
    }

    /// Resolves the address and every secret. Only a trusted configuration comes this far.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub async fn open(&self) -> Result<Open, SourceError> {
        let mut env = Vec::with_capacity(self.env.len() + 1);
        for (name, value) in &self.env {
            env.push((name.clone(), secret::resolve(value, &self.base, true).await?));
        }
        let mut address = String::new();
        let mut in_arguments = false;
        if let Some(configured) = &self.address {
            address = configured.resolve(&self.base, true).await?;
            if let Some(path) = self.path(&address) {
                address = path.to_string_lossy().into_owned();
            }
            in_arguments = self.prefix.loses_environment();
            if in_arguments && configured.secret().is_some() && self.prefix.elsewhere() {
                return Err(SourceError::config(
                    "the address of the repository is a secret, and would stand in the arguments of another machine",
                    "write an address without a password, and give the password there",
                ));
            }
            in_arguments &= configured.secret().is_none();
            if !in_arguments {
                env.push((self.address_variable.to_owned(), Secret::new(address.clone())));
            }
        }
        Ok(Open { address, in_arguments, prefix: self.prefix.clone(), directory: self.base.clone(), env, without: self.without.clone() })
    }
}

impl Open {
    /// The same with one more variable.
    #[must_use]
    pub fn with(&self, name: &str, value: &Path) -> Self {
        let mut with = self.clone();
        with.env.push((name.to_owned(), Secret::new(value.to_string_lossy().into_owned())));
        with
    }

    /// The address for reading.
    #[must_use]
    pub fn shown(&self) -> String {
        address::shown(&self.address)
    }

    /// What the repository is called among the turns.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}\0{}\0{}", self.prefix.words().join("\0"), self.directory.display(), self.address)
    }

    /// The same with the secrets that it is opened with, as a digest: who has a wrong password reads nothing that another one read.
    #[must_use]
    pub fn key_with_secrets(&self) -> String {
        let mut digest = Sha256::new();
        for (name, secret) in &self.env {
            digest.update(name.as_bytes());
            digest.update([0]);
            digest.update(secret.expose().as_bytes());
            digest.update([0]);
        }
        format!("{}\0{}", self.key(), base64::engine::general_purpose::STANDARD.encode(digest.finalize()))
    }

    /// Runs the tool.
    ///
    /// # Errors
    /// When it cannot be started, takes too long or prints too much.
    pub async fn run(&self, arguments: &[&str], timeout: Duration) -> Result<Said, SourceError> {
        self.started(self.program(&self.directory, arguments), timeout, None).await
    }

    /// The same in another directory.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_in(&self, directory: &Path, arguments: &[&str], timeout: Duration) -> Result<Said, SourceError> {
        self.started(self.program(directory, arguments), timeout, None).await
    }

    /// The same for a tool that tries again by itself: ended where it gets no further, interrupted so that it gives back its lock.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_patiently(&self, arguments: &[&str], timeout: Duration, patience: Patience) -> Result<Said, SourceError> {
        self.started(self.program(&self.directory, arguments).interrupted(), timeout, Some(patience)).await
    }

    fn program(&self, directory: &Path, arguments: &[&str]) -> Program {
        let argv = self.prefix.with_set(&[("LC_ALL", "C.UTF-8"), ("TZ", "UTC")], arguments);
        let mut program: Program = tool::program(argv, &self.env);
        for name in &self.without {
            program = program.without(name);
        }
        if directory.is_dir() { program.directory(directory) } else { program }
    }

    async fn started(&self, program: Program, timeout: Duration, patience: Option<Patience>) -> Result<Said, SourceError> {
        let output = match tool::run_patiently(&program, timeout, patience).await {
            Ok(output) => output,
            Err(ExecError::Stuck { stderr, .. }) => {
                let (lines, named) = self.said(&stderr);
                return Ok(Said { ending: Ending::ended_by_us(), stuck: true, stdout: String::new(), lines, named });
            }
            Err(error) => return Err(self.not_ended(error)),
        };
        let stdout = output.stdout_text();
        let (lines, named) = self.said(&output.stderr);
        Ok(Said { ending: output.ending, stuck: false, stdout, lines, named })
    }

    /// Why a run gave nothing. One that took too long had a reason, and may have told it.
    fn not_ended(&self, error: ExecError) -> SourceError {
        let last = match &error {
            ExecError::Timeout { stderr, .. } => Some(self.said(stderr).0.pop()),
            _ => None,
        };
        let mut error = SourceError::from(error);
        match last {
            Some(Some(line)) => error.message = format!("{}, and last said: {line}", error.message),
            Some(None) if !self.address.is_empty() => {
                error.message = format!("{} and said nothing", error.message);
                error.remedy = format!("look whether {} answers, and run the command by hand; `timeout` sets how long to wait", self.shown());
            }
            _ => {}
        }
        error
    }

    /// The lines of a text of the tool: newer tools print their messages as JSON, and name some.
    fn said(&self, bytes: &[u8]) -> (Vec<String>, Vec<(String, String)>) {
        let text = String::from_utf8_lossy(bytes);
        let (mut lines, mut named) = (Vec::new(), Vec::new());
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let message = line.starts_with('{').then(|| serde_json::from_str::<serde_json::Value>(line).ok()).flatten();
            let field = |name: &str| message.as_ref().and_then(|value| value.get(name).and_then(serde_json::Value::as_str));
            let (name, message) = (field("msgid"), field("message"));
            named.extend(name.map(|name| (self.masked(name), self.masked(message.unwrap_or_default()))));
            for line in message.unwrap_or(line).lines() {
                lines.push(self.masked(line));
            }
            if lines.len() >= LINES {
                break;
            }
        }
        (lines, named)
    }

    /// A text without control characters and without our secrets, clipped.
    #[must_use]
    pub fn masked(&self, text: &str) -> String {
        let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
        for (_, secret) in self.env.iter().filter(|(name, secret)| secret.expose().len() >= SHORTEST_SECRET && is_secret_key(name)) {
            text = text.replace(secret.expose(), "***");
        }
        address::shown(&text).chars().take(LINE).collect()
    }
}
