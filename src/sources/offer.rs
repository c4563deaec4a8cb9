//! What a service offers beside its name: what it asks for before it is done, and what is known of the item it is offered for. Pure.
//!
//! What does not belong here: asking (`state::offering`, `cli`), doing it (a service's own folder).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ItemKey, Offer};
use crate::domain::time::{duration_text, parse_duration};
use crate::domain::{Backup, Issue, IssueState};

/// The longest answer, in characters.
const LONGEST: usize = 200;

/// What is known of an item where offers are made for it, by whoever polled it: perhaps another process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Seen<'a> {
    /// Nothing.
    #[default]
    Nothing,
    /// An issue, and the kind of server it is from, for reading: `sentry`, `glitchtip`.
    Issue(&'a Issue, &'a str),
    /// The backups of a data set.
    Backup(&'a Backup),
}

/// One thing that is asked for before an offer is taken up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The name of the argument.
    pub name: String,
    /// For reading: `after how many events?`.
    pub question: String,
    /// What an answer looks like.
    pub form: Form,
}

/// What an answer looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A whole number from 1 to this.
    Count(u64),
    /// A time between these, in seconds; the argument is written in seconds.
    Time(u64, u64),
    /// A commit: 4 to 64 hexadecimal digits.
    Commit,
    /// One word without blanks.
    Word,
}

impl Ask {
    /// What is asked for under this name.
    #[must_use]
    pub fn new(name: &str, question: &str, form: Form) -> Self {
        Self { name: name.to_owned(), question: question.to_owned(), form }
    }
}

impl Form {
    /// The argument that an answer stands for.
    ///
    /// # Errors
    /// What is wrong with the answer, for reading.
    pub fn read(&self, answer: &str) -> Result<String, String> {
        let answer = answer.trim();
        if answer.is_empty() {
            return Err("nothing was written".to_owned());
        }
        if answer.chars().count() > LONGEST || answer.chars().any(char::is_control) {
            return Err("that is too long, or holds what cannot be written".to_owned());
        }
        match self {
            Self::Count(most) => match answer.parse::<u64>() {
                Ok(count) if (1..=*most).contains(&count) => Ok(count.to_string()),
                _ => Err(format!("a whole number from 1 to {most}")),
            },
            Self::Time(least, most) => match parse_duration(answer) {
                Ok(time) if (*least..=*most).contains(&time.as_secs()) => Ok(time.as_secs().to_string()),
                _ => {
                    let text = |seconds| duration_text(Duration::from_secs(seconds));
                    Err(format!("a time from {} to {}, such as 2h or 7d", text(*least), text(*most)))
                }
            },
            Self::Commit if (4..=64).contains(&answer.len()) && answer.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(answer.to_ascii_lowercase()),
            Self::Commit => Err("a commit: 4 to 64 hexadecimal digits".to_owned()),
            Self::Word if answer.contains(char::is_whitespace) => Err("one word, without blanks".to_owned()),
            Self::Word => Ok(answer.to_owned()),
        }
    }

    /// An argument for reading.
    #[must_use]
    pub fn written(&self, argument: &str) -> String {
        match (self, argument.parse::<u64>()) {
            (Self::Time(..), Ok(seconds)) => duration_text(Duration::from_secs(seconds)),
            _ => argument.to_owned(),
        }
    }
}

/// What is true of an item once a call was answered, as far as the answer told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Now {
    /// How an issue stands.
    pub state: Option<IssueState>,
    /// Who has it; an empty name: nobody.
    pub assignee: Option<String>,
}

/// One thing that a service found by the name a person gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What it is.
    pub key: ItemKey,
    /// It, where it is an issue.
    pub issue: Option<Issue>,
    /// The kind of server, for reading.
    pub server: String,
}

impl Offer {
    /// An offer that asks for nothing, does no harm, and cannot be taken back.
    #[must_use]
    pub fn new(id: &str, title: &str) -> Self {
        Self { id: id.to_owned(), title: title.to_owned(), ..Self::default() }
    }
}

/// The offers that stand for every one of several items, in the order of the first.
#[must_use]
pub fn common(mut offers: impl Iterator<Item = Vec<Offer>>) -> Vec<Offer> {
    let Some(mut common) = offers.next() else { return Vec::new() };
    for others in offers {
        common.retain_mut(|offer| {
            let Some(other) = others.iter().find(|other| other.id == offer.id && other.asks == offer.asks) else { return false };
            offer.dangerous |= other.dangerous;
            // What cannot be taken back for one of them is not said to be for all.
            if other.undone.is_empty() {
                offer.undone.clear();
            }
            true
        });
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_bad_ones_told() {
        for (form, answer, expected) in [
            (Form::Count(100), " 12 ", Ok("12")),
            (Form::Count(100), "0", Err("a whole number from 1 to 100")),
            (Form::Count(100), "101", Err("from 1 to 100")),
            (Form::Count(100), "-1", Err("from 1 to 100")),
            (Form::Count(100), "many", Err("from 1 to 100")),
            (Form::Time(60, 86_400), "2h", Ok("7200")),
            (Form::Time(60, 86_400), "10s", Err("from 1m to 1d")),
            (Form::Time(60, 86_400), "2d", Err("such as 2h")),
            (Form::Time(60, 86_400), "soon", Err("such as 2h")),
            (Form::Commit, "8F3c1d2", Ok("8f3c1d2")),
            (Form::Commit, "main", Err("hexadecimal")),
            (Form::Word, "acme/shop", Ok("acme/shop")),
            (Form::Word, "acme shop", Err("without blanks")),
            (Form::Word, "  ", Err("nothing")),
            (Form::Word, "a\u{1b}[2J", Err("cannot be written")),
        ] {
            match (form.read(answer), expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{answer}"),
                (Err(said), Err(expected)) => assert!(said.contains(expected), "{answer}: {said}"),
                (read, _) => panic!("{answer}: {read:?}"),
            }
        }
        assert_eq!(Form::Time(60, 86_400).written("7200"), "2h");
    }

    #[test]
    fn only_what_stands_for_all_is_common() {
        let offer = |id: &str, undone: &str| Offer { undone: undone.to_owned(), ..Offer::new(id, id) };
        let all = common([vec![offer("a", "x"), offer("b", "x"), offer("c", "x")], vec![offer("c", ""), offer("a", "x")]].into_iter());
        assert_eq!(all, [offer("a", "x"), offer("c", "")]);
        assert!(common(std::iter::empty()).is_empty());
    }
}
