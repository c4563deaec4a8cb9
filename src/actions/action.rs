//! What is configured: `[site.NAME.action.NAME]`, and what the rest of the program knows of it.
//!
//! What does not belong here: places of mistakes in the file (`config::actions`), running (`runner`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::value::Dur;
use crate::domain::SourceId;
use crate::io::secret::SecretRef;

/// In an argument: the answer to `prompt` takes its place.
pub const PROMPT: &str = "{prompt}";

/// The keys of an action.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionTable {
    /// The program and its arguments; no shell sees them. Either this or `steps`.
    pub run: Option<Vec<String>>,
    /// Several programs, one after the other; the first that fails ends the action.
    pub steps: Option<Vec<Vec<String>>>,
    /// For reading; the name when not given.
    pub title: Option<String>,
    /// Kinds (`http`) or sources (`http/basket`) of the site whose findings it may cure: it is suggested there first.
    pub scope: Option<Words>,
    /// Asks for one line before it runs; the answer takes the place of `{prompt}` in the arguments.
    pub prompt: Option<String>,
    /// A sentence for the confirmation: what it changes and how that is undone.
    pub confirm: Option<String>,
    /// On a site whose `environment` is `production` the site's name has to be typed.
    #[serde(default)]
    pub dangerous: bool,
    /// For the whole action; past it everything it started is stopped.
    #[serde(default = "five_minutes")]
    pub timeout: Dur,
    /// Where it runs, relative to the site's `directory`; that when not given.
    pub directory: Option<PathBuf>,
    /// Variables of its environment beside our own: texts or secrets.
    #[serde(default)]
    pub env: BTreeMap<String, SecretRef>,
    /// Actions of the same site (`action/NAME`) that run when this one ended well.
    pub after: Option<Words>,
    /// `show`: its output opens in front; `quiet`: only its end is told.
    #[serde(default)]
    pub output: Show,
    /// Runs it (asking first) from every page while the site is selected.
    pub key: Option<String>,
    /// Kinds or sources of the site that are looked at when it has ended; all of them when not given.
    pub poll: Option<Words>,
    /// A page that tells when to use it.
    pub runbook: Option<String>,
}

const fn five_minutes() -> Dur {
    Dur::secs(300)
}

/// A text, or a list of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Words;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text in quotes or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Words, E> {
                Ok(Words(vec![text.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element()? {
                    words.push(word);
                }
                Ok(Words(words))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Words {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Words".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
    }
}

/// What is shown while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Show {
    /// Its output, in front.
    #[default]
    Show,
    /// Only that it runs, and its end.
    Quiet,
}

/// An action as configured, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// What everybody may know of it.
    pub spec: ActionSpec,
    /// Where it runs.
    pub directory: PathBuf,
    /// What its secrets' files are relative to.
    pub base: PathBuf,
    /// Variables of its environment beside our own.
    pub env: Vec<(String, SecretRef)>,
    /// Secrets of the whole configuration, masked where it prints them.
    pub known: Vec<SecretRef>,
    /// Patterns of `[journal] redact`, masked there too.
    pub redact: Vec<String>,
}

/// What the state, the screen and the verbs know of an action. Its steps hold no secret that came by `env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionSpec {
    /// `site/action/name`.
    pub id: SourceId,
    /// For reading; the name when none is configured.
    pub title: String,
    /// What findings it is suggested for first: kinds or `kind/name`.
    pub scope: Vec<String>,
    /// Argument vectors, in their order; never empty.
    pub steps: Vec<Vec<String>>,
    /// What is asked for before it runs.
    pub prompt: Option<String>,
    /// What it changes, in a sentence.
    pub confirm: Option<String>,
    /// Whether it can do harm.
    pub dangerous: bool,
    /// For the whole action.
    pub timeout: Duration,
    /// Where it runs, for reading.
    pub directory: String,
    /// Names of the variables it is given.
    pub env: Vec<String>,
    /// What runs when it ended well.
    pub after: Vec<SourceId>,
    /// What is shown while it runs.
    pub output: Show,
    /// Its key, in canonical form.
    pub key: Option<String>,
    /// Sources that are looked at afterwards.
    pub poll: Vec<SourceId>,
    /// The same in words: `http/*, sentry/backend`.
    pub polls: String,
    /// A page that tells when to use it.
    pub runbook: Option<String>,
}

impl ActionSpec {
    /// The argument vectors with the answer to its prompt in its place.
    #[must_use]
    pub fn filled(&self, answer: Option<&str>) -> Vec<Vec<String>> {
        let Some(answer) = answer else { return self.steps.clone() };
        self.steps.iter().map(|step| step.iter().map(|part| part.replace(PROMPT, answer)).collect()).collect()
    }

    /// How well it fits a source: lower is better; an action without a scope fits everything of its site, and stands between.
    #[must_use]
    pub fn fit(&self, source: &SourceId) -> u8 {
        if self.scope.iter().any(|word| word == source.within_site()) {
            0
        } else if self.scope.iter().any(|word| word == source.kind()) {
            1
        } else if self.scope.is_empty() {
            2
        } else {
            3
        }
    }
}

/// An argument vector for reading, its parts told apart.
#[must_use]
pub fn written(argv: &[String]) -> String {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'\\$`;&|<>".contains(c);
    let parts: Vec<String> = argv.iter().map(|part| if part.is_empty() || part.contains(odd) { format!("{part:?}") } else { part.clone() }).collect();
    parts.join(" ")
}
