//! What `/` understands, the same on every page: a regular expression, `!` in front inverts.
//!
//! Upper case in the pattern makes it case-sensitive. A text in double quotes is taken as it stands, and so is one that is no regular
//! expression, so that half a pattern typed so far (`api(`) narrows instead of failing.

use regex::{Regex, RegexBuilder};

/// A pattern ready to match.
#[derive(Debug, Clone)]
pub struct Filter {
    regex: Option<Regex>,
    inverted: bool,
}

/// Longest pattern taken, in bytes; the rest is ignored.
const LONGEST: usize = 256;

impl Filter {
    /// Reads a pattern. Empty, or nothing but `!`: everything matches.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let (inverted, pattern) = match text.trim().strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text.trim()),
        };
        let mut end = pattern.len().min(LONGEST);
        while !pattern.is_char_boundary(end) {
            end -= 1;
        }
        let pattern = &pattern[..end];
        let quoted = pattern.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).filter(|text| !text.is_empty());
        let (pattern, plain) = quoted.map_or((pattern, false), |text| (text, true));
        if pattern.is_empty() {
            return Self { regex: None, inverted: false };
        }
        let insensitive = !pattern.chars().any(char::is_uppercase);
        let build = |pattern: &str| RegexBuilder::new(pattern).case_insensitive(insensitive).size_limit(1 << 20).build();
        let escaped = || build(&regex::escape(pattern)).ok();
        let regex = if plain { escaped() } else { build(pattern).ok().or_else(escaped) };
        Self { regex, inverted }
    }

    /// Whether it lets everything through.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.regex.is_none()
    }

    /// Whether it hides what matches.
    #[must_use]
    pub const fn is_inverted(&self) -> bool {
        self.inverted
    }

    /// Whether any of the texts that stand for one item lets it through; inverted: whether none of them matches.
    pub fn matches<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        let Some(regex) = &self.regex else { return true };
        texts.into_iter().any(|text| regex.is_match(text)) != self.inverted
    }

    /// The byte ranges in `text` to highlight: what matches, never empty ones; none when inverted.
    #[must_use]
    pub fn ranges(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        match &self.regex {
            Some(regex) if !self.inverted => regex.find_iter(text).map(|found| found.range()).filter(|range| !range.is_empty()).take(64).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_narrows_and_an_exclamation_mark_inverts() {
        for (pattern, text, passes) in [
            ("", "anything", true),
            ("!", "anything", true),
            ("healthz", "GET /healthz 200", true),
            ("!healthz", "GET /healthz 200", false),
            ("! healthz", "GET / 200", true),
            ("backup|drill", "Restore drill of media", true),
            ("keyerror", "KeyError: 'x'", true),
            ("KeyError", "keyerror: 'x'", false),
            ("api(", "GET /api(1)", true),
            ("api(", "GET /api/", false),
            ("\"a.c\"", "abc", false),
            ("!\"a.c\"", "a.c", false),
            ("\"", "say \"hi\"", true),
        ] {
            assert_eq!(Filter::new(pattern).matches([text]), passes, "{pattern} on {text}");
        }
    }

    #[test]
    fn highlights_are_what_matched() {
        assert_eq!(Filter::new("a+").ranges("caab a"), [1..3, 5..6]);
        assert!(Filter::new("x*").ranges("abc").is_empty());
        assert!(Filter::new("!a").ranges("abc").is_empty());
    }
}
