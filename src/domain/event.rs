//! One occurrence of an issue, down to the line of code: from an error tracker or from a traceback in a log.
//!
//! What does not belong here: the wire format of any tracker (`sources`), how it is shown (`ui`). All text is from outside, bounded by
//! whoever read it, and not yet cleaned for a terminal.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Level;

/// One line of source code: its number, from 1, and its text.
pub type CodeLine = (u32, String);

/// One occurrence of an issue. What the tracker did not tell is empty or `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorEvent {
    /// The tracker's own id of this event.
    pub id: String,
    /// When it happened.
    pub at: Option<DateTime<Utc>>,
    /// What was said, where it is no exception or more than its value.
    pub message: Option<String>,
    /// The chain, the exception that ended it first, each next one the cause of the one before.
    pub exceptions: Vec<Exception>,
    /// What the program did before, oldest first.
    pub breadcrumbs: Vec<Breadcrumb>,
    /// The request it happened in.
    pub request: Option<EventRequest>,
    /// Tags in the tracker's order.
    pub tags: Vec<(String, String)>,
    /// How the values of a tag are spread over all events of the issue.
    pub spread: Vec<TagSpread>,
    /// The release it happened in.
    pub release: Option<String>,
    /// The release in which the issue was seen first.
    pub first_release: Option<String>,
    /// `production`, …
    pub environment: Option<String>,
    /// The machine.
    pub server: Option<String>,
    /// Who was hit, as the tracker names people: an id, a name, an address.
    pub user: Option<String>,
    /// What surrounded it: `runtime` `CPython 3.12.3`, and what the program added. Secrets are masked.
    pub contexts: Vec<(String, String)>,
    /// `python`, `javascript`, …
    pub platform: Option<String>,
    /// The event before this one of the same issue.
    pub previous: Option<String>,
    /// The event after this one.
    pub next: Option<String>,
    /// What the tracker says is missing from it: cut, too large, not symbolicated.
    pub notes: Vec<String>,
}

/// One exception of a chain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exception {
    /// `KeyError`.
    pub kind: String,
    /// `'currency'`.
    pub value: String,
    /// The module its type lives in, where told.
    pub module: Option<String>,
    /// Whether something caught it.
    pub handled: Option<bool>,
    /// Innermost call first: where it was raised, then who called that.
    pub frames: Vec<Frame>,
    /// How the next one of the chain led here.
    pub link: Link,
}

/// How an exception came from the next one of its chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// Not told.
    #[default]
    Unknown,
    /// `raise … from …`: the next one is named as its cause.
    Cause,
    /// Raised while the next one was being handled.
    Context,
}

/// One call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// As people say it: `basket/pricing.py`.
    pub path: String,
    /// Where it lies on the machine that ran it.
    pub absolute: Option<String>,
    /// Its module or package.
    pub module: Option<String>,
    /// `Basket.total`.
    pub function: Option<String>,
    /// From 1.
    pub line: Option<u32>,
    /// Whether it is the application's own code.
    pub in_app: bool,
    /// Source around `line`, in order; it may lack `line` itself.
    pub source: Vec<CodeLine>,
    /// Local variables as their representation, in the tracker's order.
    pub locals: Vec<(String, String)>,
}

/// What the program did shortly before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breadcrumb {
    /// When.
    pub at: Option<DateTime<Utc>>,
    /// `query`, `http`, `django.request`.
    pub category: String,
    /// Its level.
    pub level: Level,
    /// For reading, on one line.
    pub message: String,
}

/// The request an event happened in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventRequest {
    /// `GET`.
    pub method: Option<String>,
    /// Its address.
    pub url: String,
    /// What was asked beside the path.
    pub query: Vec<(String, String)>,
    /// Headers as the tracker kept them.
    pub headers: Vec<(String, String)>,
    /// The body for reading, cut.
    pub body: Option<String>,
}

/// How often each value of a tag was seen over the events of an issue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagSpread {
    /// `server_name`.
    pub key: String,
    /// Events that have the tag at all.
    pub total: u64,
    /// The most frequent first.
    pub values: Vec<(String, u64)>,
}

impl ErrorEvent {
    /// The frame to look at first: the innermost one of the application's own code, else the innermost of all. The numbers are
    /// those of the exception and of the frame in it.
    #[must_use]
    pub fn place(&self) -> Option<(usize, usize)> {
        let own = |exception: &Exception| exception.frames.iter().position(|frame| frame.in_app);
        self.exceptions
            .iter()
            .enumerate()
            .find_map(|(at, exception)| own(exception).map(|frame| (at, frame)))
            .or_else(|| self.exceptions.iter().position(|exception| !exception.frames.is_empty()).map(|at| (at, 0)))
    }
}

impl Frame {
    /// `basket/pricing.py:88`.
    #[must_use]
    pub fn place(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.path),
            None => self.path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(own: &[bool]) -> Exception {
        Exception { frames: own.iter().map(|&in_app| Frame { in_app, ..Frame::default() }).collect(), ..Exception::default() }
    }

    #[test]
    fn the_place_is_the_innermost_own_frame_of_the_first_exception_that_has_one() {
        for (chain, place) in [
            (vec![], None),
            (vec![exception(&[])], None),
            (vec![exception(&[false, true, true])], Some((0, 1))),
            (vec![exception(&[false]), exception(&[false, true])], Some((1, 1))),
            (vec![exception(&[]), exception(&[false])], Some((1, 0))),
        ] {
            assert_eq!(ErrorEvent { exceptions: chain, ..ErrorEvent::default() }.place(), place);
        }
    }
}
