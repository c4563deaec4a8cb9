//! What the reader of a log lets through: several patterns at once, each of which narrows.
//!
//! A pattern is what [`Filter`] understands. `a & !b` typed at once is two of them. What does not belong here: the level, which is
//! a property of the event and no pattern.

use crate::domain::LogEvent;
use crate::state::Filter;

/// Patterns kept at once; a further one takes the place of the oldest.
pub const MOST: usize = 32;

/// One pattern of the reader, on or off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// As it was typed; `!` in front hides what matches.
    pub text: String,
    /// Switched off it stays in the list and does nothing.
    pub on: bool,
}

/// The texts of one event that a pattern is tried on.
pub fn texts(event: &LogEvent) -> impl Iterator<Item = &str> {
    std::iter::once(event.message.as_str()).chain(event.detail.iter().map(String::as_str))
}

/// The patterns of one typed text: ` & ` joins several.
pub fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(" & ").map(str::trim).filter(|part| !part.is_empty() && *part != "!")
}

/// Patterns ready to match.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    all: Vec<Filter>,
}

/// What patterns say of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passes {
    /// It is let through.
    Yes,
    /// It lacks what was asked for; near one that passes it may be shown for context.
    No,
    /// It has what was asked to be hidden.
    Excluded,
}

impl Filters {
    /// Reads patterns.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self { all: texts.into_iter().flat_map(parts).map(Filter::new).filter(|filter| !filter.is_empty()).collect() }
    }

    /// Whether everything is let through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What they say of this event.
    #[must_use]
    pub fn passes(&self, event: &LogEvent) -> Passes {
        let mut passes = Passes::Yes;
        for filter in &self.all {
            if !filter.matches(texts(event)) {
                if filter.is_inverted() {
                    return Passes::Excluded;
                }
                passes = Passes::No;
            }
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Level;

    fn event(message: &str, detail: &[&str]) -> LogEvent {
        let at = crate::domain::Timestamp::from_timestamp(0, 0).unwrap();
        let detail = detail.iter().map(|line| (*line).to_owned()).collect();
        LogEvent { at, level: Level::Info, file: 0, message: message.to_owned(), detail, fingerprint: None, place: None }
    }

    #[test]
    fn every_pattern_narrows_and_an_exclusion_is_final() {
        for (patterns, message, passes) in [
            (&[][..], "anything", Passes::Yes),
            (&["basket"], "GET /basket/", Passes::Yes),
            (&["basket"], "GET /", Passes::No),
            (&["!healthz"], "GET /healthz", Passes::Excluded),
            (&["basket", "!healthz"], "GET /healthz", Passes::Excluded),
            (&["GET", "basket"], "POST /basket/", Passes::No),
            (&["get & basket"], "GET /basket/", Passes::Yes),
            (&["get & !basket"], "GET /basket/", Passes::Excluded),
            (&["\"a+b\""], "GET /a+b/", Passes::Yes),
            (&["\"a+b\""], "GET /aab/", Passes::No),
            (&["a+b"], "GET /aab/", Passes::Yes),
            (&["get|post", "!/static/"], "POST /x", Passes::Yes),
            (&["  &  ", "!", " & "], "x", Passes::Yes),
        ] {
            assert_eq!(Filters::new(patterns.iter().copied()).passes(&event(message, &[])), passes, "{patterns:?} on {message}");
        }
        assert_eq!(Filters::new(["KeyError"]).passes(&event("boom", &["KeyError: 'currency'"])), Passes::Yes);
        assert!(Filters::new(["  & !"]).is_empty());
    }
}
