//! The filter of lists, the palette and the help: words as they stand, `!` inverts, `|` separates alternatives, a blank means both.
//!
//! Where no item has the words as they stand, letters of them in order are enough: a slip of the finger still finds what was meant.
//! A page may have words that are asked of the item itself instead of its text: `is:new` on the errors page.
//!
//! The logs page searches by regular expression instead ([`filter`](super::filter)).

use std::cell::RefCell;

use nucleo_matcher::pattern::{Atom, AtomKind, CaseMatching, Normalization};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// Longest filter taken, in characters; the rest is ignored.
const LONGEST: usize = 120;

/// A word that is asked of the item itself: `is:new`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What stands before the colon, one of those that the page knows.
    pub key: &'static str,
    /// What stands after it, in lower case.
    pub value: String,
}

/// What a word is looked for in.
#[derive(Debug, Clone)]
enum Kind {
    /// The text that stands for the item.
    Text {
        atom: Atom,
        /// The same with its letters in order and others between them.
        loose: Atom,
        /// A score below this is letters scattered over the text, which nobody means.
        enough: u16,
    },
    /// The item itself.
    Asked(Asked),
}

/// One word that must, or must not, be found.
#[derive(Debug, Clone)]
struct Word {
    kind: Kind,
    inverted: bool,
}

/// The matcher and its buffer. A matcher's memory is large, so one serves a query for all of its items.
#[derive(Default)]
struct Tools(RefCell<Option<(Matcher, Vec<char>)>>);

impl Tools {
    fn with<T>(&self, work: impl FnOnce(&mut Matcher, &mut Vec<char>) -> T) -> T {
        let mut tools = self.0.borrow_mut();
        let (matcher, buffer) = tools.get_or_insert_with(|| {
            #[cfg(test)]
            count::MATCHERS.set(count::MATCHERS.get() + 1);
            (Matcher::new(Config::DEFAULT), Vec::new())
        });
        work(matcher, buffer)
    }
}

impl Clone for Tools {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for Tools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tools")
    }
}

/// A filter ready to match.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Any of these, each all of its words.
    alternatives: Vec<Vec<Word>>,
    loose: bool,
    tools: Tools,
}

impl Query {
    /// Reads a filter as it was typed. Empty: everything matches.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::asking(text, &[])
    }

    /// The same where words that begin with one of these keys and a colon are asked of the item itself.
    #[must_use]
    pub fn asking(text: &str, keys: &[&'static str]) -> Self {
        let text: String = text.chars().take(LONGEST).collect();
        let (all, text) = match text.trim().strip_prefix('!') {
            // In front of alternatives it turns all of them: `!a|b` is neither.
            Some(rest) if rest.contains('|') => (true, rest.to_owned()),
            _ => (false, text),
        };
        let words = |part: &str| part.split_whitespace().filter_map(|text| word(text, keys)).collect::<Vec<_>>();
        let mut alternatives: Vec<Vec<Word>> = text.split('|').map(words).filter(|words| !words.is_empty()).collect();
        if all {
            let words = alternatives.into_iter().flatten().map(|word| Word { inverted: true, ..word }).collect();
            alternatives = vec![words];
        }
        Self { alternatives, ..Self::default() }
    }

    /// The same for a list of texts: as it stands where that lets anything through, else with letters between.
    #[must_use]
    pub fn fitting(mut self, texts: impl IntoIterator<Item = String>) -> Self {
        self.loose = !self.is_empty() && !texts.into_iter().any(|text| self.accepts(&text));
        self
    }

    /// Which of these items it lets through, in their order: as it stands where that is any, else with letters between. Each text is made
    /// once and looked at twice at most.
    ///
    /// `answer` says whether a word that is asked of the item is true of it; `None`: nobody knows, and it is let through.
    pub fn pick<T>(&mut self, items: &[T], text: impl Fn(&T) -> String, answer: impl Fn(&T, &Asked) -> Option<bool>) -> Vec<bool> {
        if self.is_empty() {
            return vec![true; items.len()];
        }
        let texts: Vec<String> = items.iter().map(text).collect();
        let look =
            |query: &Self| -> Vec<bool> { items.iter().zip(&texts).map(|(item, text)| query.weigh(text, |asked| answer(item, asked)).is_some()).collect() };
        self.loose = false;
        let picked = look(self);
        let words = self.alternatives.iter().flatten().any(|word| !word.inverted && matches!(word.kind, Kind::Text { .. }));
        if picked.contains(&true) || !words {
            return picked;
        }
        self.loose = true;
        look(self)
    }

    /// Whether it lets everything through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.alternatives.is_empty()
    }

    fn weigh(&self, text: &str, answer: impl Fn(&Asked) -> Option<bool>) -> Option<u32> {
        if self.is_empty() {
            return Some(0);
        }
        #[cfg(test)]
        count::LOOKS.set(count::LOOKS.get() + 1);
        self.tools.with(|matcher, buffer| {
            let haystack = Utf32Str::new(text, buffer);
            let weight = |word: &Word, matcher: &mut Matcher| match &word.kind {
                Kind::Text { loose, enough, .. } if self.loose && !word.inverted => {
                    loose.score(haystack, matcher).filter(|score| score >= enough).map(u32::from)
                }
                Kind::Text { atom, .. } => match (atom.score(haystack, matcher), word.inverted) {
                    (Some(score), false) => Some(u32::from(score)),
                    (None, true) => Some(0),
                    _ => None,
                },
                Kind::Asked(asked) => answer(asked).is_none_or(|holds| holds != word.inverted).then_some(0),
            };
            let all = |words: &Vec<Word>, matcher: &mut Matcher| words.iter().try_fold(0u32, |sum, word| weight(word, matcher).map(|more| sum + more));
            self.alternatives.iter().filter_map(|words| all(words, matcher)).max()
        })
    }

    /// How well the text that stands for an item matches: higher is better; `None`: not at all. A word that is asked of the item itself is
    /// true of no text.
    #[must_use]
    pub fn score(&self, text: &str) -> Option<u32> {
        self.weigh(text, |_| Some(false))
    }

    /// Whether it lets an item through that this text stands for.
    #[must_use]
    pub fn accepts(&self, text: &str) -> bool {
        self.score(text).is_some()
    }

    /// Which characters of the text to underline, by their place, in order.
    #[must_use]
    pub fn marks(&self, text: &str) -> Vec<usize> {
        let words = || self.alternatives.iter().flatten().filter(|word| !word.inverted);
        if !words().any(|word| matches!(word.kind, Kind::Text { .. })) {
            return Vec::new();
        }
        let mut places = Vec::new();
        self.tools.with(|matcher, buffer| {
            let haystack = Utf32Str::new(text, buffer);
            for word in words() {
                let Kind::Text { atom, loose, enough } = &word.kind else { continue };
                let mut found = Vec::new();
                let (atom, enough) = if self.loose { (loose, *enough) } else { (atom, 0) };
                if atom.indices(haystack, matcher, &mut found).is_some_and(|score| score >= enough) {
                    places.extend(found.into_iter().map(|place| place as usize));
                }
            }
        });
        places.sort_unstable();
        places.dedup();
        places
    }
}

fn word(text: &str, keys: &[&'static str]) -> Option<Word> {
    let (inverted, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    if text.is_empty() {
        return None;
    }
    if let Some((before, value)) = text.split_once(':')
        && let Some(key) = keys.iter().find(|key| key.eq_ignore_ascii_case(before))
    {
        return Some(Word { kind: Kind::Asked(Asked { key, value: value.to_lowercase() }), inverted });
    }
    let atom = |kind| Atom::new(text, CaseMatching::Smart, Normalization::Smart, kind, false);
    // Each letter is worth 16, each gap costs 3 and 1 a letter: three quarters leave room for a few gaps.
    let letters = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    let enough = if letters < 2 { 1 } else { letters.saturating_mul(12) };
    Some(Word { kind: Kind::Text { atom: atom(AtomKind::Substring), loose: atom(AtomKind::Fuzzy), enough }, inverted })
}

/// How much work was done by this thread, for tests that bound it.
#[cfg(test)]
pub(crate) mod count {
    use std::cell::Cell;

    thread_local! {
        /// Matchers made.
        pub(crate) static MATCHERS: Cell<usize> = const { Cell::new(0) };
        /// Texts looked at.
        pub(crate) static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    /// What `work` made and looked at: matchers, texts.
    pub(crate) fn of(work: impl FnOnce()) -> (usize, usize) {
        let before = (MATCHERS.get(), LOOKS.get());
        work();
        (MATCHERS.get() - before.0, LOOKS.get() - before.1)
    }
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

    #[test]
    fn words_asked_of_an_item_join_those_of_its_text() {
        let items = [("alpha one", Some(true)), ("alpha two", Some(false)), ("beta", Some(true)), ("gamma", None)];
        for (filter, picked) in [
            ("is:new", vec![true, false, true, true]),
            ("!is:new", vec![false, true, false, true]),
            ("IS:New alpha", vec![true, false, false, false]),
            ("is:new|two", vec![true, true, true, true]),
            // A slip of the finger is looked for among what the rest lets through.
            ("is:new bta", vec![false, false, true, false]),
            // Nothing else is close to a word that is true of nothing.
            ("is:new !alpha !beta !gamma", vec![false; 4]),
            ("other:new", vec![false; 4]),
        ] {
            let mut query = Query::asking(filter, &["is"]);
            let found = query.pick(&items, |item| item.0.to_owned(), |item, asked| if asked.value == "new" { item.1 } else { Some(false) });
            assert_eq!(found, picked, "{filter:?}");
        }
        assert!(Query::asking("is:new", &["is"]).marks("is:new").is_empty());
    }

    #[test]
    fn ten_thousand_items_are_narrowed_by_one_matcher_in_two_looks_at_most() {
        let items: Vec<String> = (0..10_000).map(|at| format!("SHOP-{at} KeyError: 'currency' in basket.pricing")).collect();
        for (filter, looks) in [("keyerror", 10_000), ("kyerror 9999", 20_000), ("", 0)] {
            let work = count::of(|| {
                let picked = Query::new(filter).pick(&items, String::clone, |_, _| None);
                assert!(picked.contains(&true), "{filter}");
            });
            assert_eq!(work, (usize::from(looks > 0), looks), "{filter}");
        }
    }
}
