//! What the update function asks for; the app performs it.

use std::path::PathBuf;

use super::first_run::Choice;
use super::msg::Polled;
use crate::actions::{Errand, Order};
use crate::domain::{Acknowledgement, FindingId, LogQuery, SourceId, Transition};
use crate::sources::ItemKey;

/// Where a frame says that its code is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FramePlace {
    /// The source whose event it is of: its site has the directory.
    pub source: SourceId,
    /// As people say it; outside text.
    pub path: String,
    /// Where it lay on the machine that ran it; outside text.
    pub absolute: Option<String>,
    /// From 1.
    pub line: u32,
}

/// One thing to do outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Poll this source now.
    Poll(SourceId),
    /// Read events of a log that are older than those in memory, and tell by [`super::Msg::LogPast`].
    ReadLogBack(SourceId, Box<LogQuery>),
    /// Poll all sources now.
    PollAll,
    /// Ask a source what it knows of an item, and tell by [`super::Msg::Detail`].
    LookAt {
        /// Of what.
        key: ItemKey,
        /// Which of several; `None`: the newest.
        part: Option<String>,
    },
    /// Look whether the way out is there, and tell by [`super::Msg::Network`].
    LookAtNetwork,
    /// Keep the end of a poll.
    KeepPoll(Box<Polled>),
    /// Keep a transition.
    KeepTransition(Transition),
    /// Keep an acknowledgement, or its end.
    KeepAcknowledgement(FindingId, Option<Acknowledgement>),
    /// Run an action that was confirmed; its beginning is kept already.
    RunAction(Box<Order>),
    /// Ask sources what can be done to these items, and tell by [`super::Msg::Offered`].
    Offers(Vec<ItemKey>),
    /// Tell a source of a change that was confirmed; its beginning is kept already. The answer comes as [`super::Msg::Performed`].
    Perform(Box<Errand>),
    /// Stop a run of ours with all it started.
    StopAction(String),
    /// Put the command by which a person restores this copy of a source on the clipboard.
    CopyRestore(SourceId, Box<crate::domain::Copy>),
    /// Put text on the clipboard (OSC 52).
    Copy(String),
    /// Open a link.
    Open(String),
    /// Look whether the file of a frame is here, and tell by [`super::Msg::FrameHere`].
    FindFrame(Box<FramePlace>),
    /// Open this file at this line in the person's editor, which gets the terminal.
    Edit(PathBuf, u32),
    /// Ring the bell once.
    Bell,
    /// Stop the process as Ctrl-Z does.
    Suspend,
    /// Draw the whole screen anew.
    Redraw,
    /// Leave.
    Quit,
    /// Leave the first screen for this.
    Choose(Choice),
}
