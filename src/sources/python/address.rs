//! Where the index is. Its address is never written into rounds: the configuration names it, or what pip and uv are told, or the
//! interpreter the packages belong to is asked.
//!
//! What does not belong here: reading those settings (`packages::indexes::settings`).

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use crate::domain::SourceError;
use crate::io::exec::{self, Limits, Program};
use crate::io::secret::{self, Secret, SecretRef};
use crate::packages::indexes::client::Index;
use crate::packages::indexes::netrc;
use crate::packages::indexes::settings::{self, Surroundings};
use crate::packages::manifests::{IndexOption, Role};

/// How long an interpreter may take to say which index its pip uses.
const ASKING: Duration = Duration::from_secs(10);
/// A private name of pip's: what it says is checked, and its absence is borne.
const QUESTION: &str = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)";

/// An address as the configuration writes it: text, or a reference to one that holds credentials. Its `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(SecretRef);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SecretRef::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Address {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "IndexAddress".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // Without the mark of a secret: an address without a password may be shown.
        let mut secret = SecretRef::json_schema(generator);
        secret.remove("format");
        secret
    }
}

impl Address {
    /// The text, when it is written out.
    pub(super) fn literal(&self) -> Option<&str> {
        if let SecretRef::Literal(text) = &self.0 { Some(text.expose()) } else { None }
    }

    /// Whether it is, or refers to, something that must not be told.
    pub(super) fn is_secret(&self) -> bool {
        self.literal().is_none_or(|text| url::Url::parse(text.trim()).is_ok_and(|url| !url.username().is_empty() || url.password().is_some()))
    }

    pub(super) fn reference(&self) -> &SecretRef {
        &self.0
    }
}

/// What the configuration says of addresses.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub index: Option<Address>,
    pub extra: Vec<Address>,
    /// The interpreter, where one is configured.
    pub program: Option<PathBuf>,
    pub base: PathBuf,
    pub trusted: bool,
    /// The command that knows passwords: `keyring`.
    pub keyring: String,
}

/// The indexes to ask, the main one first, and what could not be used.
#[derive(Debug, Clone, Default)]
pub(super) struct Indexes {
    pub all: Vec<Index>,
    pub problems: Vec<String>,
}

impl Indexes {
    fn add(&mut self, url: &str, origin: &str) {
        match Index::new(url, netrc::of_this_person) {
            Ok(index) if !self.all.contains(&index) => self.all.push(index),
            Ok(_) => {}
            Err(why) => self.problems.push(format!("the index of {origin} is not used: {why}")),
        }
    }
}

impl Addresses {
    /// Finds the indexes.
    ///
    /// # Errors
    /// When none is named anywhere: what to add.
    pub(super) async fn find(&self, options: &[IndexOption], folder: &Path, venv: Option<&Path>) -> Result<Indexes, SourceError> {
        let mut found = Indexes::default();
        if let Some(index) = &self.index {
            let text = secret::resolve(&index.0, &self.base, self.trusted).await?;
            let index = Index::new(text.expose(), netrc::of_this_person)
                .map_err(|why| SourceError::config(format!("the address of the index is not right: {why}"), "write it as \"https://index.example/simple/\""))?;
            found.all.push(index);
        } else {
            self.around(options, folder, venv, &mut found).await?;
        }
        for address in &self.extra {
            let text = secret::resolve(&address.0, &self.base, self.trusted).await?;
            found.add(text.expose(), "extra_indexes");
        }
        self.passwords(folder, venv, &mut found).await;
        Ok(found)
    }

    /// Asks the command `keyring` for the passwords that addresses lack, where pip or uv are told to. It cannot ask a person back, and what
    /// it prints is shown nowhere.
    async fn passwords(&self, folder: &Path, venv: Option<&Path>, found: &mut Indexes) {
        if found.all.iter().all(|index| index.lacks_password().is_none()) {
            return;
        }
        let Some(keyring) = around(folder, venv).await.keyring.filter(|keyring| keyring.asked) else { return };
        for index in &mut found.all {
            let Some(user) = index.lacks_password().map(str::to_owned) else { continue };
            if !self.trusted {
                let why = format!("{} would have the command `keyring` asked for the password of {user}; run `rounds trust` to allow it", keyring.origin);
                found.problems.push(why);
                continue;
            }
            // By the whole address, then by the place, as uv and pip do.
            let mut why = None;
            for service in [index.shown().to_owned(), index.place()] {
                match ask_keyring(&self.keyring, &service, &user).await {
                    Ok(Some(password)) => {
                        index.set_password(password);
                        why = None;
                        break;
                    }
                    Ok(None) => why = Some(format!("`keyring` has no password of {user} for {}", index.place())),
                    Err(error) => {
                        why = Some(format!("`keyring` was asked for the password of {user}: {error}"));
                        break;
                    }
                }
            }
            found.problems.extend(why);
        }
    }

    async fn around(&self, options: &[IndexOption], folder: &Path, venv: Option<&Path>, found: &mut Indexes) -> Result<(), SourceError> {
        let usable = |option: &&IndexOption| !option.url.contains("${");
        for option in options.iter().filter(|option| option.role != Role::Recorded && !usable(option)) {
            found.problems.push(format!("the index at {} is not used: variables are not put in", option.place));
        }
        let settings = around(folder, venv).await;
        // A requirements file is nearest, then the settings; what a lock file came from tells when nobody else does.
        let named = |role| options.iter().filter(usable).find(move |option| option.role == role).map(|option| (option.url.as_str(), option.place.as_str()));
        let main =
            named(Role::Main).or_else(|| settings.main.as_ref().map(|named| (named.url.as_str(), named.origin.as_str()))).or_else(|| named(Role::Recorded));
        match main {
            Some((url, origin)) => found.add(url, origin),
            None => match self.ask(venv).await {
                Some(url) => found.add(&url, "the interpreter"),
                None => {
                    let remedy = if self.trusted {
                        "add the line `index = \"…\"` with the address of your simple index, or set PIP_INDEX_URL"
                    } else {
                        "add the line `index = \"…\"` with the address of your simple index, or run `rounds trust`, so that the interpreter may be asked"
                    };
                    return Err(SourceError::config("no package index is named anywhere", remedy));
                }
            },
        }
        if found.all.is_empty() {
            let why = found.problems.pop().unwrap_or_default();
            return Err(SourceError::config(why, "correct it there, or add the line `index = \"…\"` here"));
        }
        for named in &settings.extra {
            found.add(&named.url, &named.origin);
        }
        for option in options.iter().filter(usable).filter(|option| option.role == Role::Extra) {
            found.add(&option.url, &option.place);
        }
        Ok(())
    }

    /// Asks an interpreter which index its pip uses; only for a configuration that may run commands.
    async fn ask(&self, venv: Option<&Path>) -> Option<String> {
        if !self.trusted {
            return None;
        }
        let own = self.program.clone().or_else(|| venv.map(|venv| venv.join("bin/python")));
        for program in own.into_iter().chain([PathBuf::from("python3")]) {
            let argv = vec![program.to_string_lossy().into_owned(), "-c".to_owned(), QUESTION.to_owned()];
            let limits = Limits { timeout: ASKING, stdout_bytes: 4_096, stderr_bytes: 4_096 };
            let Ok(output) = exec::run(&Program::new(argv), limits).await else { continue };
            let said = output.stdout_text().trim().to_owned();
            if output.ending.success() && Index::new(&said, |_| None).is_ok() {
                return Some(said);
            }
        }
        None
    }
}

/// What pip and uv are told around here.
async fn around(folder: &Path, venv: Option<&Path>) -> settings::Found {
    let (place, environment) = (folder.to_owned(), venv.map(Path::to_owned));
    let settings = tokio::task::spawn_blocking(move || {
        let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
        let around = Surroundings { variable: &|name| std::env::var(name).ok(), home, root: PathBuf::from("/") };
        settings::find(&around, &place, environment.as_deref())
    });
    settings.await.unwrap_or_default()
}

/// What the command `keyring` has; `None` when it has nothing. Its standard error may hold anything, and is not repeated.
async fn ask_keyring(tool: &str, service: &str, user: &str) -> Result<Option<Secret>, String> {
    let words = [tool, "get", service, user];
    let limits = Limits { timeout: ASKING, stdout_bytes: 16 << 10, stderr_bytes: 4_096 };
    let output = exec::run(&Program::new(words.map(str::to_owned).to_vec()), limits).await.map_err(|error| error.to_string())?;
    let password = output.stdout_text().trim_end_matches(['\r', '\n']).to_owned();
    Ok((output.ending.success() && !password.is_empty()).then(|| Secret::new(password)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn the_keyring_is_asked_as_uv_and_pip_ask_it_and_only_where_that_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
            std::fs::set_permissions(dir.path().join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        put("pyproject.toml", "[tool.uv]\nkeyring-provider = \"subprocess\"\n");
        // Knows one user of one place, by host and port.
        put("keyring", "#!/bin/sh\n[ \"$1 $2 $3\" = 'get index.example:8443 me' ] && echo hush && exit 0\necho no such thing >&2\nexit 1\n");
        let tool = dir.path().join("keyring").to_string_lossy().into_owned();
        let found = |url: &str, trusted| {
            let address: Address = serde_json::from_value(serde_json::json!(url)).unwrap();
            Addresses { index: Some(address), extra: Vec::new(), program: None, base: dir.path().to_owned(), trusted, keyring: tool.clone() }
        };
        for (url, trusted, lacks, told) in [
            ("https://index.example/simple/", true, None, ""),
            ("https://me:own@index.example/simple/", true, None, ""),
            ("https://me@index.example:8443/simple/", false, Some("me"), "rounds trust"),
            ("https://me@index.example:8443/simple/", true, None, ""),
            ("https://me@other.example/simple/", true, Some("me"), "has no password of me for other.example"),
        ] {
            let indexes = found(url, trusted).find(&[], dir.path(), None).await.unwrap();
            assert_eq!(indexes.all[0].lacks_password(), lacks, "{url}");
            assert!(indexes.problems.iter().all(|problem| problem.contains(told)) && indexes.problems.is_empty() == told.is_empty(), "{:?}", indexes.problems);
        }
    }
}
