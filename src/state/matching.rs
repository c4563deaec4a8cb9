//! The filter of lists, the palette and the help: words as they stand, `!` inverts, `|` separates alternatives, a blank means both.
//!
//! Where no item has the words as they stand, letters of them in order are enough: a slip of the finger still finds what was meant.
//!
//! The logs page searches by regular expression instead ([`filter`](super::filter)).

use nucleo_matcher::pattern::{Atom, AtomKind, CaseMatching, Normalization};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// Longest filter taken, in characters; the rest is ignored.
const LONGEST: usize = 120;

/// One word that must, or must not, be found.
#[derive(Debug, Clone)]
struct Word {
    atom: Atom,
    /// The same with its letters in order and others between them.
    loose: Atom,
    inverted: bool,
    /// A score below this is letters scattered over the text, which nobody means.
    enough: u16,
}

/// A filter ready to match.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Any of these, each all of its words.
    alternatives: Vec<Vec<Word>>,
    loose: bool,
}

impl Query {
    /// Reads a filter as it was typed. Empty: everything matches.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text: String = text.chars().take(LONGEST).collect();
        let (all, text) = match text.trim().strip_prefix('!') {
            // In front of alternatives it turns all of them: `!a|b` is neither.
            Some(rest) if rest.contains('|') => (true, rest.to_owned()),
            _ => (false, text),
        };
        let mut alternatives: Vec<Vec<Word>> =
            text.split('|').map(|part| part.split_whitespace().filter_map(word).collect::<Vec<_>>()).filter(|words| !words.is_empty()).collect();
        if all {
            let words = alternatives.into_iter().flatten().map(|word| Word { inverted: true, ..word }).collect();
            alternatives = vec![words];
        }
        Self { alternatives, loose: false }
    }

    /// The same for a list of texts: as it stands where that lets anything through, else with letters between.
    #[must_use]
    pub fn fitting(mut self, texts: impl IntoIterator<Item = String>) -> Self {
        self.loose = !self.is_empty() && !texts.into_iter().any(|text| self.accepts(&text));
        self
    }

    fn find(&self, word: &Word, text: Utf32Str<'_>, matcher: &mut Matcher) -> Option<u16> {
        if self.loose && !word.inverted { word.loose.score(text, matcher).filter(|score| *score >= word.enough) } else { word.atom.score(text, matcher) }
    }

    /// Whether it lets everything through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.alternatives.is_empty()
    }

    /// How well the text that stands for an item matches: higher is better; `None`: not at all.
    #[must_use]
    pub fn score(&self, text: &str) -> Option<u32> {
        if self.is_empty() {
            return Some(0);
        }
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let haystack = Utf32Str::new(text, &mut buffer);
        self.alternatives
            .iter()
            .filter_map(|words| {
                words.iter().try_fold(0u32, |sum, word| {
                    let found = self.find(word, haystack, &mut matcher);
                    match (found, word.inverted) {
                        (Some(score), false) => Some(sum + u32::from(score)),
                        (None, true) => Some(sum),
                        _ => None,
                    }
                })
            })
            .max()
    }

    /// Whether it lets an item through that this text stands for.
    #[must_use]
    pub fn accepts(&self, text: &str) -> bool {
        self.score(text).is_some()
    }

    /// Which characters of the text to underline, by their place, in order.
    #[must_use]
    pub fn marks(&self, text: &str) -> Vec<usize> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let haystack = Utf32Str::new(text, &mut buffer);
        let mut places = Vec::new();
        for word in self.alternatives.iter().flatten().filter(|word| !word.inverted) {
            let mut found = Vec::new();
            let (atom, enough) = if self.loose { (&word.loose, word.enough) } else { (&word.atom, 0) };
            if atom.indices(haystack, &mut matcher, &mut found).is_some_and(|score| score >= enough) {
                places.extend(found.into_iter().map(|place| place as usize));
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

fn word(text: &str) -> Option<Word> {
    let (inverted, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    if text.is_empty() {
        return None;
    }
    let atom = |kind| Atom::new(text, CaseMatching::Smart, Normalization::Smart, kind, false);
    // Each letter is worth 16, each gap costs 3 and 1 a letter: three quarters leave room for a few gaps.
    let letters = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    Some(Word { atom: atom(AtomKind::Substring), loose: atom(AtomKind::Fuzzy), inverted, enough: if letters < 2 { 1 } else { letters.saturating_mul(12) } })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLES: [&str; 6] = [
        "Deploy v214 is worse: 5xx 0.2 → 3.1 %, p95 180 → 940 ms",
        "Django 4.2, Python 3.10 are past their end of life",
        "Backup media not known: repository locked by web1",
        "Restore drill of media is overdue",
        "Certificate of blog.example.com ends on 2 Dec",
        "Backup dump shrank 38 %: 254 MiB, median 411 MiB",
    ];

    fn passing(filter: &str) -> Vec<usize> {
        let query = Query::new(filter).fitting(TITLES.map(str::to_owned));
        TITLES.iter().enumerate().filter(|(_, title)| query.accepts(title)).map(|(at, _)| at).collect()
    }

    #[test]
    fn filters_narrow_as_people_expect() {
        for (filter, passes) in [
            ("", vec![0, 1, 2, 3, 4, 5]),
            ("  ", vec![0, 1, 2, 3, 4, 5]),
            ("backup|drill", vec![2, 3, 5]),
            ("!backup", vec![0, 1, 3, 4]),
            ("!backup|drill", vec![0, 1, 4]),
            ("media !drill", vec![2, 5]),
            ("bckup", vec![2, 5]),
            // As it stands it is in one; its letters would be in more.
            ("dia", vec![2, 3, 5]),
            ("dec", vec![4]),
            ("end life", vec![1]),
            ("bckup shrank", vec![5]),
            ("Backup", vec![2, 5]),
            ("BACKUP", vec![]),
            ("drill backup", vec![]),
            ("|", vec![0, 1, 2, 3, 4, 5]),
            ("!", vec![0, 1, 2, 3, 4, 5]),
        ] {
            assert_eq!(passing(filter), passes, "{filter:?}");
        }
    }

    #[test]
    fn matched_letters_are_told_by_place() {
        assert_eq!(Query::new("drill").marks("Restore drill"), [8, 9, 10, 11, 12]);
        assert_eq!(Query::new("é").marks("café"), [3]);
        assert!(Query::new("!drill").marks("Restore drill").is_empty());
        assert!(Query::new("zzz").marks("Restore drill").is_empty());
    }

    #[test]
    fn odd_filters_do_not_panic() {
        for filter in ["\u{0}", "日本", "!!!", "||!|", "e\u{301}", "^$\\", &"x".repeat(10_000)] {
            let query = Query::new(filter);
            let _ = (query.accepts("text é 日本"), query.marks("text é 日本"));
        }
    }
}
