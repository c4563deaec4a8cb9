//! Release notes: what a project says of the releases between the one that is there and the newest.
//!
//! What does not belong here: where they are read (`packages::notes`).

use serde::{Deserialize, Serialize};

/// What a line warns of, by its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoteWord {
    /// Something works no longer, or otherwise.
    Breaking,
    /// Something will be gone.
    Deprecated,
    /// A weakness is cured.
    Security,
}

impl NoteWord {
    /// All of them, the gravest for an upgrade first.
    pub const ALL: [Self; 3] = [Self::Breaking, Self::Deprecated, Self::Security];

    /// For reading.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Breaking => "breaking or removed",
            Self::Deprecated => "deprecated",
            Self::Security => "security",
        }
    }
}

/// One line. Outside text, not yet cleaned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteLine {
    /// It.
    pub text: String,
    /// What it warns of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<NoteWord>,
}

/// What is said of one release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseNotes {
    /// Its version, as written.
    pub version: String,
    /// In their order; bounded.
    pub lines: Vec<NoteLine>,
    /// How many lines more there are.
    #[serde(default, skip_serializing_if = "is_none")]
    pub more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// What is said of several, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Those newer than the one that is there.
    pub releases: Vec<ReleaseNotes>,
    /// Where they were read: an address, or `the description`.
    pub read_in: String,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Notes {
    /// Lines that warn of something.
    #[must_use]
    pub fn count(&self, word: NoteWord) -> usize {
        self.releases.iter().flat_map(|release| &release.lines).filter(|line| line.word == Some(word)).count()
    }

    /// In a few words: `4 releases; no word of breaking or removed`, `4 releases: breaking or removed 2, deprecated 1`.
    #[must_use]
    pub fn summary(&self) -> String {
        let releases = match self.releases.len() {
            1 => "1 release".to_owned(),
            count => format!("{count} releases"),
        };
        let words: Vec<String> =
            NoteWord::ALL.into_iter().map(|word| (word, self.count(word))).filter(|(_, n)| *n > 0).map(|(word, n)| format!("{} {n}", word.word())).collect();
        let calm = if self.count(NoteWord::Breaking) == 0 { "; no word of breaking or removed" } else { "" };
        if words.is_empty() { format!("{releases}{calm}") } else { format!("{releases}: {}{calm}", words.join(", ")) }
    }
}
