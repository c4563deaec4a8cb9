//! Secrets: named by environment variable, file or command; never printed.
//!
//! What does not belong here: where a secret goes. It is resolved as late as possible and exposed only on the wire.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::exec::{self, Limits, Program};
use crate::domain::SourceError;

/// How long a command that prints a secret may take: some ask a key agent.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// A secret is not longer than this.
const LIMIT_BYTES: usize = 64 << 10;

/// A reference to a secret, as the configuration writes it. Its `Debug` never shows a literal.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `{ env = "NAME" }`.
    Env(String),
    /// `{ file = "path" }`: its first line.
    File(PathBuf),
    /// `{ command = ["pass", "show", "x"] }`: the first line it prints.
    Command(Vec<String>),
    /// Written out: accepted with a warning.
    Literal(Secret),
}

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Command(argv) => write!(f, "command {argv:?}"),
            // `{:#?}` tells one from another, by a digest whose key ends with this process.
            Self::Literal(secret) if f.alternate() => write!(f, "literal {:016x}", KEY.hash_one(secret.expose())),
            Self::Literal(_) => f.write_str("literal"),
        }
    }
}

/// The secret itself. Not `Display`, not `Serialize`; `Debug` is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret text; call it only where it is put on the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The secrets that this process has read, so that what servers echo back can be masked. Bounded; the newest stay.
#[derive(Debug, Default)]
pub struct Known(RwLock<VecDeque<Secret>>);

/// Secrets of this process.
static KNOWN: LazyLock<Known> = LazyLock::new(Known::default);

/// A shorter text is in every other sentence: it is no secret that masking could keep.
const SHORTEST: usize = 6;
/// So many are remembered.
const REMEMBERED: usize = 1_000;

impl Known {
    /// Those of this process.
    pub fn of_process() -> &'static Self {
        &KNOWN
    }

    /// Remembers one, or what stands for it on the wire (user and password in base64).
    pub fn remember(&self, secret: &str) {
        if secret.chars().count() < SHORTEST {
            return;
        }
        if self.0.read().unwrap_or_else(PoisonError::into_inner).iter().any(|known| known.0 == secret) {
            return;
        }
        if let Ok(url) = url::Url::parse(secret)
            && let Some(password) = url.password()
        {
            // An address with a password in it, as a proxy has, and the pair as it goes over the wire.
            // As a form it would have blanks for plus signs.
            let plain = |text: &str| {
                let text = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
                url::form_urlencoded::parse(text.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
            };
            self.remember(password);
            self.remember(&plain(password));
            self.remember(&pair(&plain(url.username()), &plain(password)));
        }
        if let Some((_, last)) = secret.rsplit_once(' ').filter(|(_, last)| last.len() >= 16) {
            // `Token abc…`: the word before says how it is used.
            self.remember(last);
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.pop_front();
        }
        known.push_back(Secret(secret.to_owned()));
    }

    /// Whether nothing was read so far.
    pub fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether one of them, or its beginning, may be in a JSON text.
    pub fn may_be_in(&self, json: &str) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|secret| {
            let begin: String = secret.0.chars().take(SHORTEST).collect();
            // As JSON writes it, without its quotes.
            let written = serde_json::to_string(&begin).unwrap_or_default();
            json.contains(written.trim_matches('"')) || json.contains(&begin)
        })
    }

    /// All of them, the longest first, so that one that holds another is masked whole.
    pub fn all(&self) -> Vec<Secret> {
        let mut all: Vec<Secret> = self.0.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        all.sort_by_key(|secret| std::cmp::Reverse(secret.0.len()));
        all
    }
}

/// User and password as basic authentication sends them (RFC 7617).
#[must_use]
pub fn pair(user: &str, password: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
}

impl Secret {
    /// The beginnings of it that are long enough to tell, the longest first, without the whole.
    pub fn beginnings(&self) -> impl Iterator<Item = &str> {
        let ends: Vec<usize> = self.0.char_indices().map(|(at, _)| at).skip(SHORTEST).collect();
        ends.into_iter().rev().map(|end| &self.0[..end])
    }
}

/// Remembers the secrets of a source that are written out, before it is built.
pub fn remember_literals(secrets: &[(Vec<String>, &SecretRef)]) {
    for (_, secret) in secrets {
        if let SecretRef::Literal(text) = secret {
            Known::of_process().remember(text.expose());
        }
    }
}

/// Gets the secret, and remembers it for masking. A relative `file` is relative to `base`; a `command` runs there, and only when `trusted`.
///
/// # Errors
/// With the remedy: the variable is not set, the file not readable, the command failed or is not trusted, or what it gave is empty.
pub async fn resolve(secret: &SecretRef, base: &Path, trusted: bool) -> Result<Secret, SourceError> {
    // What is written out may be an ordinary value; [`remember_literals`] is told which of those are secrets.
    let reference = secret;
    let secret = read(reference, base, trusted).await?;
    if !matches!(reference, SecretRef::Literal(_)) {
        Known::of_process().remember(secret.expose());
    }
    if let SecretRef::Command(argv) = reference {
        GIVEN.write().unwrap_or_else(PoisonError::into_inner).insert((argv.clone(), base.to_owned()));
    }
    Ok(secret)
}

/// A command and where it ran.
type Ran = (Vec<String>, PathBuf);

/// The commands that gave a secret to this process.
static GIVEN: LazyLock<RwLock<HashSet<Ran>>> = LazyLock::new(RwLock::default);

/// Learns secrets for masking only: commands run, all at a time and within `limit`, unless they gave their secret already.
pub async fn learn(secrets: &[&SecretRef], base: &Path, limit: Duration) {
    let is_given = |secret: &SecretRef| match secret {
        SecretRef::Command(argv) => GIVEN.read().unwrap_or_else(PoisonError::into_inner).contains(&(argv.clone(), base.to_owned())),
        _ => false,
    };
    let asked = secrets.iter().filter(|secret| !is_given(secret)).map(|secret| resolve(secret, base, true));
    // Whoever does not answer in time keeps its secret.
    let _ = tokio::time::timeout(limit, futures_util::future::join_all(asked)).await;
}

async fn read(secret: &SecretRef, base: &Path, trusted: bool) -> Result<Secret, SourceError> {
    match secret {
        SecretRef::Literal(secret) => Ok(secret.clone()),
        SecretRef::Env(name) => from_env(name, |name| std::env::var(name).ok()),
        SecretRef::File(path) => {
            let path = base.join(path);
            let shown = path.display().to_string();
            // Reading may block: a pipe, a network file system.
            tokio::task::spawn_blocking(move || from_file(&path))
                .await
                .unwrap_or_else(|_| Err(SourceError::missing(format!("{shown} cannot be read"), "look at the file by hand")))
        }
        SecretRef::Command(argv) => from_command(argv, base, trusted).await,
    }
}

/// Whether the secret is there, as far as that can be told without running anything: a command is believed.
///
/// # Errors
/// As [`resolve`].
pub fn present(secret: &SecretRef, base: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<(), SourceError> {
    match secret {
        SecretRef::Literal(_) | SecretRef::Command(_) => Ok(()),
        SecretRef::Env(name) => from_env(name, variable).map(drop),
        SecretRef::File(path) => from_file(&base.join(path)).map(drop),
    }
}

fn from_env(name: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Secret, SourceError> {
    let remedy = || format!("export {name} in the environment rounds is started from, or name the secret by `file` or `command`");
    match variable(name) {
        None => Err(SourceError::missing(format!("the environment variable {name} is not set"), remedy())),
        Some(text) if text.trim().is_empty() => Err(SourceError::missing(format!("the environment variable {name} is empty"), remedy())),
        Some(text) => Ok(Secret(text.trim().to_owned())),
    }
}

fn from_file(path: &Path) -> Result<Secret, SourceError> {
    let shown = path.display();
    // A pipe without a writer would block the start for ever.
    let read = match path.metadata() {
        Ok(about) if !about.is_file() => return Err(SourceError::missing(format!("{shown} is no file"), "name a file whose first line is the secret")),
        Ok(_) => File::open(path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(LIMIT_BYTES as u64).read_to_end(&mut bytes).map(|_| bytes)
        }),
        Err(error) => Err(error),
    };
    let bytes = read.map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::NotFound => "create it with the secret as its first line, or correct the path",
            std::io::ErrorKind::PermissionDenied => "let this user read it",
            _ => "look at the file by hand",
        };
        SourceError::missing(format!("the secret file {shown} cannot be read: {}", reason(&error)), remedy)
    })?;
    first_line(&bytes).ok_or_else(|| SourceError::missing(format!("the secret file {shown} is empty"), "write the secret as its first line"))
}

async fn from_command(argv: &[String], base: &Path, trusted: bool) -> Result<Secret, SourceError> {
    if !trusted {
        return Err(SourceError::config("a secret is given by a command, and this configuration is not trusted", "read it, then run `rounds trust`"));
    }
    let program = Program::new(argv.to_vec()).directory(base);
    let output = exec::run(&program, Limits { timeout: COMMAND_TIMEOUT, stdout_bytes: LIMIT_BYTES, stderr_bytes: LIMIT_BYTES }).await?;
    let tool = program.tool();
    let remedy = format!("run {tool} by hand as this user, with the arguments of the configuration");
    if !output.ending.success() {
        // What it printed is not repeated: it may be the secret.
        return Err(SourceError::missing(format!("{tool}, which prints a secret, failed: {}", output.ending), remedy));
    }
    first_line(&output.stdout).ok_or_else(|| SourceError::missing(format!("{tool} printed no secret"), remedy))
}

/// The first line, trimmed; `None` when there is nothing on it.
fn first_line(bytes: &[u8]) -> Option<Secret> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default().trim_start_matches('\u{feff}').trim();
    if line.is_empty() { None } else { Some(Secret(line.to_owned())) }
}

fn reason(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there",
        std::io::ErrorKind::PermissionDenied => "no permission",
        _ => "the system refuses",
    }
}

const EXPECTED: &str = "{ env = \"NAME\" }, { file = \"path\" } or { command = [\"program\", \"argument\"] }";

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = SecretRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretRef, E> {
                if text.is_empty() { Err(E::custom(format!("an empty secret: write {EXPECTED}"))) } else { Ok(SecretRef::Literal(Secret(text.to_owned()))) }
            }

            // Numbers are refused without being repeated: they may be the secret.
            fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretRef, E> {
                Err(E::custom(format!("a number is no secret: write {EXPECTED}")))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
                self.visit_i64(0)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
                let mut found = None;
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if found.is_some() {
                        return Err(de::Error::custom("a secret has exactly one of `env`, `file` and `command`"));
                    }
                    found = Some(match &*key {
                        "env" => SecretRef::Env(map.next_value::<Name>()?.0),
                        "file" => SecretRef::File(map.next_value()?),
                        "command" => SecretRef::Command(map.next_value::<Argv>()?.0),
                        other => return Err(de::Error::unknown_field(other, &["env", "file", "command"])),
                    });
                }
                found.ok_or_else(|| de::Error::custom(format!("an empty table: write {EXPECTED}")))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A name of an environment variable; its own type so that the error points at it.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() || text.contains(['=', '\0', '$']) || text.contains(char::is_whitespace) {
            return Err(de::Error::custom("the name of an environment variable, without `$`, is expected"));
        }
        Ok(Self(text))
    }
}

/// An argument vector that names a program.
struct Argv(Vec<String>);

impl<'de> Deserialize<'de> for Argv {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let argv = Vec::<String>::deserialize(deserializer)?;
        if argv.first().is_none_or(String::is_empty) {
            return Err(de::Error::custom("an empty command: write the program and its arguments, [\"program\", \"argument\"]"));
        }
        Ok(Self(argv))
    }
}

impl JsonSchema for SecretRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = |key: &str, description: &str, value: serde_json::Value| {
            json_schema!({
                "type": "object",
                "description": description,
                "properties": { key: value },
                "required": [key],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "format": "rounds-secret",
            "oneOf": [
                one("env", "The environment variable that holds it.", serde_json::json!({ "type": "string" })),
                one("file", "The file whose first line it is.", serde_json::json!({ "type": "string" })),
                one(
                    "command",
                    "The program, with its arguments, that prints it as its first line.",
                    serde_json::json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
                ),
                json_schema!({ "type": "string", "description": "Written out: accepted with a warning." }),
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ErrorKind;

    #[derive(Debug, Deserialize)]
    struct Sample {
        token: SecretRef,
    }

    fn read(text: &str) -> Result<SecretRef, (String, Option<std::ops::Range<usize>>)> {
        toml::from_str::<Sample>(text).map(|sample| sample.token).map_err(|error| (error.message().to_owned(), error.span()))
    }

    #[test]
    fn reads_its_four_forms() {
        assert_eq!(read("token = { env = \"TOKEN\" }"), Ok(SecretRef::Env("TOKEN".to_owned())));
        assert_eq!(read("token = { file = \"a/b\" }"), Ok(SecretRef::File("a/b".into())));
        assert_eq!(read("token.command = [\"pass\", \"x\"]"), Ok(SecretRef::Command(vec!["pass".to_owned(), "x".to_owned()])));
        assert_eq!(read("token = \"hush\""), Ok(SecretRef::Literal(Secret::new("hush".to_owned()))));
        assert!(!format!("{:?}", read("token = \"hush\"")).contains("hush"));
    }

    #[test]
    fn what_is_no_secret_is_told_at_its_place() {
        for (text, message, at) in [
            ("token = 5", "a number is no secret: write {", "5"),
            ("token = {}", "an empty table: write {", "{}"),
            ("token = { env = \"A\", file = \"b\" }", "a secret has exactly one of `env`, `file` and `command`", "{ env = \"A\", file = \"b\" }"),
            ("token = { env = \"$A\" }", "the name of an environment variable, without `$`, is expected", "\"$A\""),
            ("token = { command = [] }", "an empty command: write the program and its arguments", "[]"),
            ("token = { environment = \"A\" }", "unknown field `environment`, expected one of `env`, `file`, `command`", "{ environment = \"A\" }"),
        ] {
            let (found, span) = read(text).unwrap_err();
            assert!(found.starts_with(message), "{text}: {found}");
            assert_eq!(&text[span.unwrap()], at, "{text}");
        }
    }

    #[tokio::test]
    async fn is_resolved_from_a_file_or_a_command() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pw"), "\u{feff}hush \r\nuser: x\n").unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        let file = |name: &str| SecretRef::File(name.into());
        assert_eq!(resolve(&file("pw"), folder.path(), false).await.unwrap().expose(), "hush");
        let error = resolve(&file("empty"), folder.path(), false).await.unwrap_err();
        assert!(error.message.ends_with("is empty") && error.kind == ErrorKind::Missing);
        let error = resolve(&file("none"), folder.path(), false).await.unwrap_err();
        assert!(error.message.ends_with("cannot be read: it is not there") && error.remedy.starts_with("create it"), "{error:?}");
        let error = resolve(&file("."), folder.path(), false).await.unwrap_err();
        assert!(error.message.ends_with("is no file"));

        let command = |script: &str| SecretRef::Command(["sh", "-c", script].map(str::to_owned).to_vec());
        assert_eq!(resolve(&command("head -n1 pw"), folder.path(), true).await.unwrap().expose(), "hush");
        let error = resolve(&command("touch ran"), folder.path(), false).await.unwrap_err();
        assert!(error.remedy.contains("rounds trust"));
        assert!(!folder.path().join("ran").exists(), "an untrusted configuration ran a command");
        let error = resolve(&command("echo hush; exit 1"), folder.path(), true).await.unwrap_err();
        assert!(error.message.contains("failed: exit code 1") && !error.message.contains("hush"));
    }

    #[test]
    fn is_looked_for_before_anything_starts() {
        let base = Path::new("/");
        let nothing = |_: &str| None;
        let error = present(&SecretRef::Env("TOKEN".to_owned()), base, nothing).unwrap_err();
        assert_eq!(error.message, "the environment variable TOKEN is not set");
        let error = present(&SecretRef::Env("TOKEN".to_owned()), base, |_| Some(" ".to_owned())).unwrap_err();
        assert_eq!(error.message, "the environment variable TOKEN is empty");
        assert!(present(&SecretRef::Env("TOKEN".to_owned()), base, |_| Some("x".to_owned())).is_ok());
        assert!(present(&SecretRef::Command(vec!["x".to_owned()]), base, nothing).is_ok());
    }
}
