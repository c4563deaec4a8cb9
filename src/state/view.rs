//! Where the reader stands: page, selection, filter, overlay, prompt.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tui_input::Input;

use super::first_run::FirstRun;
use super::logview::{Index, LogFilter, Seek};
use super::offering::Asked;
use super::{CommandSpec, Page, World};
use crate::actions::{Errand, Target};
use crate::domain::{Level, SourceId, Timestamp};
use crate::sources::Offer;

/// The parts of a page that can have the focus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The list above.
    #[default]
    List,
    /// The detail below it.
    Detail,
}

/// How one page's list stands. Selection is by the item's key, so that it survives re-ordering.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListView {
    /// Key of the selected item; `None`: the first.
    pub selected: Option<String>,
    /// Its place when it was last seen, for when it is gone.
    pub index: usize,
    /// First row on the screen.
    pub offset: usize,
    /// Which of the page's orders.
    pub sort: usize,
    /// The kept filter.
    pub filter: String,
    /// Keys of marked items.
    pub marked: BTreeSet<String>,
    /// First line of the detail on the screen.
    pub detail_offset: usize,
}

/// What is asked for in the footer row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptKind {
    /// `/`: narrow the list.
    Filter,
    /// `/` on the logs page: find.
    Search,
    /// `&` and `!` on the logs page: show only, or hide.
    LogFilter,
    /// `t` on the logs page: go to a moment.
    LogTime,
    /// `:`: a command, in the palette.
    Palette,
    /// Why it is acknowledged.
    Acknowledge,
    /// For how long it sleeps: `2h`, `3d`.
    Snooze,
    /// Narrows the help.
    Help,
    /// What an action asks for, in its confirmation.
    Answer,
    /// The name of the site, in the confirmation of a dangerous action.
    SiteName,
}

/// An open prompt.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// What is asked for.
    pub kind: PromptKind,
    /// What is typed so far.
    pub input: Input,
}

/// The one overlay on the screen. Contents are made when drawn, from the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// `?`: the keys of this view; the prompt narrows it.
    Help {
        /// Selected row.
        selected: usize,
    },
    /// `:` and Ctrl-p; the prompt narrows it.
    Palette {
        /// Selected row.
        selected: usize,
    },
    /// `=`: numbers and rule of the selected item.
    Why,
    /// The whole text of a notice.
    Notice,
    /// `x`: what can be run here.
    Actions {
        /// Of this site; `None`: of all.
        site: Option<String>,
        /// What was selected: actions for it come first.
        source: Option<SourceId>,
        /// What was marked or selected: what sources offer for it comes before actions.
        items: Vec<Target>,
        /// What they offer for all of these.
        offers: Vec<Offer>,
        /// What takes each offer back, for each of `items`.
        undo: Vec<BTreeMap<String, String>>,
        /// Selected row.
        selected: usize,
    },
    /// A list of the logs page: its filters, its bookmarks, its files.
    LogList {
        /// Which.
        list: LogList,
        /// Selected row.
        selected: usize,
    },
    /// What will run, before it does; the prompt asks for an answer or the site's name.
    Confirm {
        /// What.
        action: SourceId,
        /// The answer to its prompt.
        answer: Option<String>,
    },
    /// What a source will be told, before it is; the prompt asks for an answer or the site's name.
    Offer(Box<Asked>),
    /// What a run prints.
    Output {
        /// Which run.
        run: String,
        /// How many of the newest lines are below the last one shown; 0 follows.
        above: usize,
        /// Whether it is asked if the run shall be stopped.
        stopping: bool,
    },
}

/// A picture that stands still.
#[derive(Debug, Clone)]
pub struct Paused {
    /// Since when.
    pub at: Timestamp,
    /// What was known then.
    pub world: Box<World>,
}

/// One sentence above the footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    /// The sentence.
    pub text: String,
    /// Until when it stays.
    pub until: Timestamp,
    /// It tells of something that went wrong.
    pub trouble: bool,
    /// It tells of the step that the undo key takes back; of no other may that be said.
    pub undoable: bool,
}

/// How the logs page stands.
#[derive(Debug, Clone, Default)]
pub struct LogView {
    /// Sequence number of the selected event; `None`: follows the newest.
    pub selected: Option<(String, u64)>,
    /// Lowest level shown.
    pub level: Option<Level>,
    /// Unfolded tracebacks, by source and sequence number.
    pub unfolded: BTreeSet<(String, u64)>,
    /// What is searched for.
    pub search: String,
    /// Long lines go on in the next row.
    pub wrap: bool,
    /// Bookmarked events, by source and sequence number.
    pub bookmarks: BTreeMap<(String, u64), Bookmark>,
    /// The site whose logs are shown; `None`: the first that has one.
    pub site: Option<String>,
    /// Patterns, in the order in which they were added.
    pub filters: Vec<LogFilter>,
    /// The pattern that is being changed in the prompt.
    pub editing: Option<usize>,
    /// How many events are shown around one that passes the filters and the level.
    pub context: u8,
    /// Events before this are hidden.
    pub cleared: Option<Timestamp>,
    /// Files that are switched off, by source and name.
    pub files_off: BTreeSet<(String, String)>,
    /// What is looked for in older events, while these are read back.
    pub sought: Option<Awaiting>,
    /// How many pages may still be read back without another key.
    pub budget: u32,
    /// The sequence of the page as it was last made.
    pub index: Index,
}

/// What is looked for in older events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaiting {
    /// The nearest of these above the selected line.
    Seek(Seek),
    /// The first line at or after a moment.
    Moment(Timestamp),
}

/// A bookmarked event, as it is listed also when it is not in memory any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    /// When it was written.
    pub at: Timestamp,
    /// Its level.
    pub level: Level,
    /// The beginning of its message; outside text.
    pub message: String,
}

/// The lists of the logs page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogList {
    /// Patterns.
    Filters,
    /// Bookmarks, by time.
    Bookmarks,
    /// Logs and their files.
    Files,
}

/// What the last frame held: drawing returns it, so that keys and clicks act on what was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drawn {
    /// Keys of the list's rows in order, all of them, filtered and sorted.
    pub keys: Vec<String>,
    /// First row on the screen.
    pub offset: usize,
    /// Rows on the screen.
    pub height: usize,
    /// Where the list's first row stands on the screen.
    pub top: u16,
    /// Lines of the detail, all of them.
    pub detail_lines: usize,
    /// Lines of the detail at which keys stop: the frames of an event.
    pub stops: Vec<usize>,
    /// Rows of the detail on the screen.
    pub detail_height: usize,
    /// Whether the detail is on the screen beside the list.
    pub detail: bool,
    /// Columns of the page digits in the footer: (first, last, page).
    pub digits: Vec<(u16, u16, Page)>,
    /// When the text on the screen changes by itself (an age steps, a toast ends).
    pub next_change: Option<Timestamp>,
}

/// Where the reader stands.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The page.
    pub page: Page,
    /// Terminal size: columns, rows.
    pub size: (u16, u16),
    /// Lists by page.
    pub lists: BTreeMap<Page, ListView>,
    /// The part with the focus.
    pub focus: Part,
    /// The focused part has the whole body.
    pub zoom: bool,
    /// Enter gave the detail the whole page.
    pub detail_open: bool,
    /// The overlay.
    pub overlay: Option<Overlay>,
    /// The overlay that it took the place of, which comes back when it is left.
    pub behind: Option<Overlay>,
    /// Leaving was asked for while an action runs: until then, asking again leaves.
    pub leaving: Option<Timestamp>,
    /// The prompt.
    pub prompt: Option<Prompt>,
    /// A picture that stands still.
    pub paused: Option<Paused>,
    /// One sentence above the footer.
    pub toast: Option<Toast>,
    /// `T`: absolute times in lists.
    pub absolute: bool,
    /// The range of graphs; default three hours.
    pub range: Option<Duration>,
    /// The logs page.
    pub log: LogView,
    /// Read-only: acting keys are neither bound nor shown.
    pub read_only: bool,
    /// The person has an editor: Enter on a frame opens its file where that is here.
    pub editor: bool,
    /// Only this site is shown.
    pub site: Option<String>,
    /// The saved query whose issues page 3 shows; `None`: the whole list.
    pub saved: Option<String>,
    /// Nobody sits here: input is locked and pages turn by themselves.
    pub wall: Option<super::wall::WallState>,
    /// Who sits here, for acknowledgements.
    pub person: String,
    /// Findings acknowledged in this sitting, newest last, for undo.
    pub undo: Vec<crate::domain::FindingId>,
    /// What takes back what sources were told last; empty when an acknowledgement came after it.
    pub undo_errands: Vec<Errand>,
    /// How many days before today the cursor of the backups' calendar is.
    pub day_back: u16,
    /// Seconds east of UTC and the zone's name, for times on the screen.
    pub zone: ZoneName,
    /// Keys of commands that were remapped, by the command's id, as the configuration writes keys. What is not here has its default keys.
    pub keys: BTreeMap<&'static str, Vec<String>>,
    /// Which part of an item is looked at, by page: the row's key and the part. Of other rows it is the newest.
    pub parts: BTreeMap<Page, (String, String)>,
    /// How the frames of the looked-at event were left.
    pub stack: super::stack::StackView,
    /// What the opened detail of the backups' page looks into.
    pub browse: super::browse::Browse,
    /// Where the selection rests, for details on demand.
    pub resting: Option<super::details::Resting>,
    /// The first screen, while there is no configuration.
    pub first_run: Option<FirstRun>,
    /// What the last frame held.
    pub drawn: Drawn,
}

/// The zone times are shown in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ZoneName {
    /// UTC.
    #[default]
    Utc,
    /// The machine's own where it has no name that is known: so far east of UTC.
    Fixed(chrono::FixedOffset),
    /// A configured one.
    Named(chrono_tz::Tz),
}

impl ZoneName {
    /// The day that a moment is of, there.
    #[must_use]
    pub fn date(self, at: Timestamp) -> chrono::NaiveDate {
        match self {
            Self::Utc => at.date_naive(),
            Self::Fixed(offset) => at.with_timezone(&offset).date_naive(),
            Self::Named(zone) => at.with_timezone(&zone).date_naive(),
        }
    }
}

impl View {
    /// The keys of a command, remapped or by default.
    #[must_use]
    pub fn keys_of(&self, spec: &CommandSpec) -> Vec<String> {
        self.keys.get(spec.id).cloned().unwrap_or_else(|| spec.keys.iter().map(|key| (*key).to_owned()).collect())
    }

    /// Whether a command can be given on this page: it applies there, has not been unbound by read-only mode.
    #[must_use]
    pub fn offers(&self, spec: &CommandSpec) -> bool {
        spec.scope.on(self.page) && !(self.read_only && spec.acts)
    }

    /// The list of the current page.
    #[must_use]
    pub fn list(&self) -> &ListView {
        static EMPTY: ListView = ListView { selected: None, index: 0, offset: 0, sort: 0, filter: String::new(), marked: BTreeSet::new(), detail_offset: 0 };
        self.lists.get(&self.page).unwrap_or(&EMPTY)
    }

    /// The list of the current page, to change.
    pub fn list_mut(&mut self) -> &mut ListView {
        self.lists.entry(self.page).or_default()
    }
}
