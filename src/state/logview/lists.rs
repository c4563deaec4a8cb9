//! The lists of the logs page: its filters, its bookmarks, its files. The reducer acts on the selected row, the overlay draws the same rows.

use super::{Merged, tab};
use crate::domain::SourceId;
use crate::state::view::Bookmark;
use crate::state::{LogList, State};

/// One row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A pattern.
    Filter {
        /// As it was typed.
        text: String,
        /// Whether it is in force.
        on: bool,
    },
    /// A bookmark.
    Bookmark {
        /// Source and sequence number.
        key: (String, u64),
        /// What it marks.
        bookmark: Bookmark,
    },
    /// A log.
    Log {
        /// Which.
        id: SourceId,
        /// Whether any of its files is shown.
        on: bool,
        /// Physical lines read of it.
        lines: u64,
    },
    /// A file of the log above it.
    File {
        /// Of which log.
        id: SourceId,
        /// Its name.
        file: String,
        /// Whether it is shown.
        on: bool,
    },
}

/// The rows of a list.
#[must_use]
pub fn rows(state: &State, list: LogList) -> Vec<Row> {
    let log = &state.view.log;
    match list {
        LogList::Filters => log.filters.iter().map(|filter| Row::Filter { text: filter.text.clone(), on: filter.on }).collect(),
        LogList::Bookmarks => {
            let mut all: Vec<_> = log.bookmarks.iter().collect();
            all.sort_by_key(|(key, bookmark)| (bookmark.at, (*key).clone()));
            all.into_iter().map(|(key, bookmark)| Row::Bookmark { key: key.clone(), bookmark: bookmark.clone() }).collect()
        }
        LogList::Files => files(state),
    }
}

fn files(state: &State) -> Vec<Row> {
    let Some(tab) = tab(state.shown(), &state.view) else { return Vec::new() };
    let site = tab.split('/').next().unwrap_or_default();
    let mut rows = Vec::new();
    for (id, source) in super::logs(state.shown()).filter(|(id, _)| id.site() == site) {
        let names: Vec<&String> = source.log.iter().flat_map(|log| &log.files).collect();
        let on = |file: &String| !state.view.log.files_off.contains(&(id.as_str().to_owned(), file.clone()));
        let lines = source.log.as_ref().map_or(0, |log| log.lines);
        rows.push(Row::Log { id: id.clone(), on: names.is_empty() || names.iter().any(|file| on(file)), lines });
        if names.len() > 1 {
            rows.extend(names.into_iter().map(|file| Row::File { id: id.clone(), file: file.clone(), on: on(file) }));
        }
    }
    rows
}

/// The files of the logs on the screen: how many are shown, and how many there are.
#[must_use]
pub fn files_shown(merged: &Merged<'_>, off: &std::collections::BTreeSet<(String, String)>) -> (usize, usize) {
    let all = || merged.logs.iter().flat_map(|(id, source)| source.log.iter().flat_map(|log| &log.files).map(|file| (id.as_str().to_owned(), file.clone())));
    (all().filter(|file| !off.contains(file)).count(), all().count())
}
