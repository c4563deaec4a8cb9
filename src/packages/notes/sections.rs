//! What is said of each version, and which lines warn.
//!
//! What does not belong here: how a page is written (`markup`). Pure.

use std::sync::LazyLock;

use regex::Regex;

use super::markup::Piece;
use crate::domain::{NoteLine, NoteWord, ReleaseNotes};
use crate::packages::versions::Version;

/// Lines kept of one version.
const LINES: usize = 40;
/// Versions kept of one page.
const VERSIONS: usize = 120;
/// Words that may stand before the version in a heading, beside the package's own name.
const BEFORE: [&str; 16] =
    ["version", "release", "released", "changes", "change", "in", "new", "what", "whats", "s", "for", "notes", "changelog", "the", "of", "v"];

/// The version that a heading is about.
fn version(heading: &str, name: &str) -> Option<String> {
    static NUMBER: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)\bv?(\d+(?:\.\d+)+(?:[-._]?(?:alpha|beta|post|dev|rc|a|b|c)[-._]?\d*)?)(?:[^\w.]|\.?$|\.\s)").ok());
    static WHOLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)^\W*(?:version |release |v)(\d+)\W*(?:$|\()").ok());
    let whole = || WHOLE.as_ref()?.captures(heading)?.get(1);
    let found = NUMBER.as_ref()?.captures(heading).and_then(|found| found.get(1)).or_else(whole)?;
    let before = heading[..found.start()].to_lowercase();
    let own: Vec<&str> = name.split('-').collect();
    let mut words = before.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let fits = words.all(|word| BEFORE.contains(&word) || own.contains(&word) || word == name.replace('-', ""));
    (fits && Version::parse(found.as_str()).is_some()).then(|| found.as_str().to_owned())
}

/// What a line warns of.
#[must_use]
pub fn word(line: &str) -> Option<NoteWord> {
    static BREAKING: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i)\bbreaking\b|backwards?[- ]incompat|\bincompatible\b|\bremov(?:e|ed|es|al)\b|\bdrop(?:s|ped)?\b.{0,30}\bsupport|\bno longer\b").ok()
    });
    static DEPRECATED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)\bdeprecat").ok());
    static SECURITY: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)\bsecurity\b|\bCVE-\d|\bGHSA-|\bvulnerab").ok());
    let is = |pattern: &LazyLock<Option<Regex>>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(line));
    [(&SECURITY, NoteWord::Security), (&BREAKING, NoteWord::Breaking), (&DEPRECATED, NoteWord::Deprecated)]
        .into_iter()
        .find(|(pattern, _)| is(pattern))
        .map(|(_, word)| word)
}

/// What a page says of each version, in the order of the page. `name` is the package's.
#[must_use]
pub fn read(pieces: &[Piece], name: &str) -> Vec<ReleaseNotes> {
    let mut all: Vec<ReleaseNotes> = Vec::new();
    let (mut here, mut under) = (None, None);
    for piece in pieces {
        match piece {
            Piece::Heading(_, text) => match version(text, name) {
                Some(found) => {
                    under = None;
                    here = all.iter().position(|known| known.version == found).or_else(|| {
                        (all.len() < VERSIONS).then(|| {
                            all.push(ReleaseNotes { version: found, ..ReleaseNotes::default() });
                            all.len() - 1
                        })
                    });
                }
                // What stands under "Removed" is removed.
                None => under = word(text),
            },
            Piece::Line(text) => {
                let Some(notes) = here.and_then(|at| all.get_mut(at)) else { continue };
                if notes.lines.len() < LINES {
                    notes.lines.push(NoteLine { text: text.clone(), word: word(text).or(under) });
                } else {
                    notes.more += 1;
                }
            }
        }
    }
    all.retain(|notes| !notes.lines.is_empty());
    all
}

/// Those newer than `from`, and not newer than `to` where that is given; the newest first.
#[must_use]
pub fn between(all: &[ReleaseNotes], from: &str, to: Option<&str>) -> Vec<ReleaseNotes> {
    let Some(from) = Version::parse(from) else { return Vec::new() };
    let to = to.and_then(Version::parse);
    let mut wanted: Vec<(Version, &ReleaseNotes)> = all
        .iter()
        .filter_map(|notes| Some((Version::parse(&notes.version)?, notes)))
        .filter(|(version, _)| *version > from && to.as_ref().is_none_or(|to| version <= to))
        .collect();
    wanted.sort_by(|(a, _), (b, _)| b.cmp(a));
    wanted.into_iter().map(|(_, notes)| notes.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::markup::{Form, pieces};
    use super::*;

    #[test]
    fn headings_are_versions_only_where_they_are() {
        for (heading, expected) in [
            ("5.2.19 release notes", Some("5.2.19")),
            ("Django 5.2.19 release notes", Some("5.2.19")),
            ("[1.2.0] - 2024-01-01", Some("1.2.0")),
            ("v2.0.0rc1 (unreleased)", Some("2.0.0rc1")),
            ("What's new in Django 6.1", Some("6.1")),
            ("Version 12", Some("12")),
            ("Release 61.0.", Some("61.0")),
            ("Support for Python 3.13", None),
            ("Removed in 3.0", None),
            ("Bugfixes", None),
            ("2024-01-01", None),
        ] {
            assert_eq!(version(heading, "django").as_deref(), expected, "{heading}");
        }
        assert_eq!(version("Sentry SDK 2.51.0", "sentry-sdk").as_deref(), Some("2.51.0"));
    }

    #[test]
    fn words_warn() {
        for (line, expected) in [
            ("Dropped support for Python 3.8.", Some(NoteWord::Breaking)),
            ("`a` was removed", Some(NoteWord::Breaking)),
            ("This is a breaking change", Some(NoteWord::Breaking)),
            ("`b` is deprecated in favour of `c`", Some(NoteWord::Deprecated)),
            ("CVE-2025-1: denial of service, fixed", Some(NoteWord::Security)),
            ("Fixed a crash in the admin", None),
        ] {
            assert_eq!(word(line), expected, "{line}");
        }
    }

    #[test]
    fn the_notes_between_two_versions_come_newest_first() {
        let text = "# Changes\n## 2.0\n### Removed\n- old()\n## 1.3\n- a fix\n## 1.2\n- before\n## 1.10\n- later\n";
        let all = read(&pieces(text, Form::Text), "till");
        let shown = |from: &str, to: Option<&str>| between(&all, from, to).iter().map(|notes| notes.version.clone()).collect::<Vec<_>>().join(" ");
        assert_eq!(shown("1.2", None), "2.0 1.10 1.3");
        assert_eq!(shown("1.2", Some("1.10")), "1.10 1.3");
        assert_eq!(all[0].lines[0], NoteLine { text: "old()".to_owned(), word: Some(NoteWord::Breaking) });
    }
}
