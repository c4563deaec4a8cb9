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
    /// What was taken; `None` where an older rounds wrote it: it is then bound to what is seen first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
}

/// How bad a finding was when somebody took it, and on what evidence. Worse, or other evidence, brings it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// How urgent it was.
    pub severity: Severity,
    /// The words of its evidence: numbers as they are, all else as digests, so that what is kept holds nobody's data.
    pub evidence: String,
}

impl Bound {
    /// What there is to be taken of a finding now.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        let words: Vec<String> = finding.evidence.split_whitespace().map(digest).collect();
        Self { severity: finding.severity, evidence: words.join(" ") }
    }

    /// Whether what was taken covers the finding as it is now: no more urgent, no larger number, no new word of evidence.
    #[must_use]
    pub fn covers(&self, finding: &Finding) -> bool {
        match finding.severity.cmp(&self.severity) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => {
                let now = Self::of(finding).evidence;
                match (self.evidence.parse::<f64>(), now.parse::<f64>()) {
                    (Ok(taken), Ok(now)) if finding.id.rule() == "latency" => now <= taken,
                    _ => now.split(' ').all(|word| word.is_empty() || self.evidence.split(' ').any(|taken| taken == word)),
                }
            }
        }
    }
}

/// A word of evidence for keeping: a number stays, all else becomes its 64-bit FNV-1a digest (Fowler, Noll and Vo).
fn digest(word: &str) -> String {
    if word.len() <= 12 && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return word.to_owned();
    }
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, severity: Severity, evidence: &str) -> Finding {
        let source = SourceId::parse("shop/http/home").unwrap();
        Finding {
            id: FindingId::new(&source, rule),
            source,
            severity,
            title: String::new(),
            detail: String::new(),
            since: DateTime::default(),
            due: None,
            users: None,
            acknowledged: None,
            actions: Vec::new(),
            evidence: evidence.to_owned(),
            explanation: Vec::new(),
            blocks: Vec::new(),
            runbook: None,
        }
    }

    #[test]
    fn worse_or_new_brings_it_back_and_better_does_not() {
        use Severity::{Critical, Unknown, Warning};
        for (rule, taken, now, covered) in [
            ("availability", (Critical, "500"), (Critical, "500"), true),
            ("availability", (Critical, "500"), (Critical, "503"), false),
            ("availability", (Critical, "503"), (Critical, "500"), false),
            ("availability", (Critical, "connect"), (Critical, "timeout"), false),
            ("availability", (Unknown, "auth"), (Critical, "500"), false),
            ("certificate", (Critical, "ended"), (Warning, ""), true),
            ("latency", (Warning, "3"), (Warning, "2"), true),
            ("latency", (Warning, "2"), (Warning, "3"), false),
            ("advisories", (Warning, "CVE-1 CVE-2"), (Warning, "CVE-2"), true),
            ("advisories", (Warning, "CVE-1 CVE-2"), (Warning, "CVE-2 CVE-3"), false),
            ("burst", (Warning, ""), (Warning, ""), true),
        ] {
            let bound = Bound::of(&finding(rule, taken.0, taken.1));
            assert_eq!(bound.covers(&finding(rule, now.0, now.1)), covered, "{rule} {taken:?} {now:?}");
        }
    }

    #[test]
    fn what_is_kept_of_the_evidence_holds_nobodys_data_and_an_old_one_is_read() {
        let bound = Bound::of(&finding("certificate", Severity::Warning, "not for ann@shop.example"));
        assert!(!bound.evidence.contains("ann"), "{}", bound.evidence);
        let old: Acknowledgement = serde_json::from_str(r#"{"by":"ann","why":"x","at":"2026-11-20T03:12:00Z","until":null}"#).unwrap();
        assert_eq!(old.bound, None);
    }
}
