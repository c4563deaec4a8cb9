//! Findings: what needs a person, derived by a rule from observations, with evidence and explanation.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{FindingId, SourceId};

/// How urgent. The order of the variants is the order of attention, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Act now.
    Critical,
    /// We do not know, which may be worse than it looks.
    Unknown,
    /// Act soon.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// The word of the JSON contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// Who took it, why, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    #[serde(with = "super::time::seconds")]
    pub at: DateTime<Utc>,
    /// Until when; `None`: until it is over.
    pub until: Option<DateTime<Utc>>,
}

/// One line of an explanation: a term, its number as text, and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// What: `failures in a row`, `interval`, `p95 of 10 m`.
    pub name: String,
    /// Its value, with unit.
    pub value: String,
    /// What it means here, may be empty.
    pub note: String,
}

impl Term {
    /// A term with a note.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>, note: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), note: note.into() }
    }
}

/// One row of a comparison: before, after and the limit, for reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What: `p95`, `5xx share`.
    pub name: String,
    /// Before it began.
    pub before: String,
    /// Now.
    pub after: String,
    /// The limit, may be empty.
    pub limit: String,
    /// Whether `after` breaks the limit.
    pub broken: Option<Severity>,
    /// The course, `None` where nothing was seen; oldest first.
    pub points: Vec<Option<f64>>,
    /// The value of the limit on the scale of `points`.
    pub limit_value: Option<f64>,
}

/// One line of "what happened": a time, a sign and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// When.
    pub at: DateTime<Utc>,
    /// The mark or sign of `screens.md` section 3, as its UTF-8 glyph.
    pub mark: char,
    /// What.
    pub sentence: String,
}

/// A block of a finding's detail, drawn in this order as far as they fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// Before against after.
    Comparison(Vec<Comparison>),
    /// Sentences.
    Sentences(Vec<String>),
    /// A traceback or other text from outside, as it was written.
    Evidence(Vec<String>),
}

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// `source#rule`.
    pub id: FindingId,
    /// Where it was seen.
    pub source: SourceId,
    /// How urgent.
    pub severity: Severity,
    /// Within 50 columns, the subject and the figures first.
    pub title: String,
    /// One sentence more.
    pub detail: String,
    /// Since when, by observation.
    #[serde(with = "super::time::seconds")]
    pub since: DateTime<Utc>,
    /// By when something must be done.
    pub due: Option<DateTime<Utc>>,
    /// How many users it hits, where known.
    #[serde(default)]
    pub users: Option<u64>,
    /// Who has it.
    pub acknowledged: Option<Acknowledgement>,
    /// Ids of actions that may help, the suggested one first.
    pub actions: Vec<String>,
    /// A short text that changes when the evidence becomes worse: an acknowledgement is bound to it.
    #[serde(default)]
    pub evidence: String,
    /// Numbers and rule, for `=`.
    #[serde(default)]
    pub explanation: Vec<Term>,
    /// The detail's blocks.
    #[serde(default)]
    pub blocks: Vec<Block>,
    /// A page to open, from the source's or action's `runbook`.
    #[serde(default)]
    pub runbook: Option<String>,
}
