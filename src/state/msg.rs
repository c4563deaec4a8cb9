//! Everything that can happen, as data: loggable, recordable, replayable.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::details::Told;
use super::first_run::{Choice, FoundProject};
use super::view::ZoneName;
use super::{Command, Notice, NoticeKind, SiteState, world::Bucket};
use crate::actions::errand::Results;
use crate::actions::{ActionSpec, StepState};
use crate::domain::{Acknowledgement, ActionEnd, BookGroup, FindingId, LogPast, LogQuery, SourceError, SourceId, Timestamp, Transition};
use crate::sources::{Collected, ItemKey, Offer, SourceSpec};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Msg {
    /// A poll of ours ended.
    Polled(Polled),
    /// A poll that the journal told of: the last one before this process began, or another process's. Nothing of it is kept again.
    Followed(Polled),
    /// A person's command.
    Command(Command),
    /// A change of the text in the open prompt.
    Edit(tui_input::InputRequest),
    /// Text pasted into the open prompt.
    Paste(String),
    /// The file of the frame that Enter was pressed on, where it is here, and the line in it.
    FrameHere(Option<PathBuf>, u32),
    /// A click on a cell (column, row).
    Click(u16, u16),
    /// The terminal's size changed: columns, rows.
    Resize(u16, u16),
    /// Older events of a log, as [`super::Effect::ReadLogBack`] asked.
    LogPast {
        /// Whose.
        source: SourceId,
        /// What was asked.
        query: Box<LogQuery>,
        /// The page, or why there is none.
        result: Result<LogPast, SourceError>,
    },
    /// Time passed: ages, staleness, toasts. Sent when something on the screen is due to change, not at a fixed rate.
    Tick,
    /// The machine slept (or the process was stopped) for this long.
    Slept(Duration),
    /// Hours and days of a source from the journal.
    History(History),
    /// Transitions from the journal, oldest first.
    Events(Vec<Transition>),
    /// Another process acknowledged a finding, or gave it back (`None`).
    Acknowledged(FindingId, Option<Acknowledgement>),
    /// Groups of the error book as the journal keeps them.
    Book(Box<BookRows>),
    /// Whether the journal keeps the error book: where it does not, this process counts for itself.
    BookKept(bool),
    /// Another configuration is in force.
    Configured(Box<Configured>),
    /// Whether the way out is there, as [`super::Effect::LookAtNetwork`] asked.
    Network(Network),
    /// What came of a look at an item, as [`super::Effect::LookAt`] asked.
    Detail(Box<Told>),
    /// The key of an action, in canonical form.
    ActKey(String),
    /// A step of a run of ours began or ended.
    ActionStep {
        /// Which run.
        run: String,
        /// Which step, from 0.
        step: usize,
        /// How it stands.
        state: StepState,
    },
    /// A run of ours printed something, masked already.
    ActionOutput {
        /// Which run.
        run: String,
        /// The newest lines.
        lines: Vec<String>,
        /// So many before them were dropped.
        dropped: u64,
    },
    /// A run of ours ended.
    ActionEnded {
        /// Which run.
        run: String,
        /// How.
        end: ActionEnd,
    },
    /// What a restore or a check of ours told: its evidence, and where it is no run of [`super::World::runs`] its beginning and end.
    Tried(Box<Transition>),
    /// What can be done to items, as [`super::Effect::Offers`] asked; in the order of the question.
    Offered(Vec<(ItemKey, Vec<Offer>)>),
    /// What became of an errand.
    Performed {
        /// Which run.
        run: String,
        /// One for each of its items.
        results: Results,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// rounds has something to say of itself.
    Notice(Notice),
    /// That is over.
    NoticeOver(NoticeKind),
    /// One sentence for the line above the footer.
    Toast(String),
    /// What was found in the working directory, for the first screen.
    Found(FoundProject),
    /// A choice on the first screen, by its key.
    Choose(Choice),
}

/// The end of one poll. Kept in the journal as it is, so that a following process feeds the same into the same function.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Polled {
    /// Whose.
    pub source: SourceId,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub at: Timestamp,
    /// What it gave.
    pub result: Result<Collected, SourceError>,
    /// When the next one is due.
    pub next_at: Option<Timestamp>,
}

/// Groups of one source's error book as they are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct BookRows {
    /// Whose.
    pub source: SourceId,
    /// When it was begun.
    pub begun: Option<Timestamp>,
    /// Events up to this second (epoch) are in it.
    pub upto: Option<i64>,
    /// Fingerprint and group; `None`: it is gone.
    pub rows: Vec<(String, Option<BookGroup>)>,
}

/// What another configuration watches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configured {
    /// Its sites.
    pub sites: Vec<SiteState>,
    /// Its sources.
    pub specs: Vec<SourceSpec>,
    /// Those of them that are not what they were: what was known is of something else.
    pub changed: BTreeSet<SourceId>,
    /// Sources that need the network.
    pub guarded: BTreeSet<SourceId>,
    /// Its actions.
    pub actions: Vec<ActionSpec>,
    /// What can be tried with its copies.
    pub tries: Vec<ActionSpec>,
    /// The file, where it may not run commands.
    pub untrusted: Option<String>,
    /// The zone times are shown in.
    pub zone: ZoneName,
    /// How the wall behaves, where there is one.
    pub wall: super::wall::Settings,
    /// What else is another, for reading: `keys`, `theme`.
    pub others: Vec<&'static str>,
}

/// Whether this machine is cut off, by a look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// There is no evidence that it is.
    Online,
    /// It is.
    Offline {
        /// The evidence, for reading: `nothing answers`.
        text: String,
        /// Sources that this explains.
        excused: BTreeSet<SourceId>,
    },
}

/// What the journal knows of a source's probes.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Whose.
    pub source: SourceId,
    /// Hours, by start (epoch seconds).
    pub hours: Vec<(i64, Bucket)>,
    /// Days, by start (epoch seconds).
    pub days: Vec<(i64, Bucket)>,
    /// Raw samples, oldest first.
    pub samples: Vec<super::Sample>,
}
