//! The one table of commands: id, words, default keys, where it applies. It feeds dispatch, help, footer, palette,
//! remapping and the README's key table.

use serde::{Deserialize, Serialize};

/// The pages, by digit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Page {
    /// 1: ranked findings.
    #[default]
    Attention,
    /// 2: endpoints and latency.
    Health,
    /// 3: issues.
    Errors,
    /// 4: log lines.
    Logs,
    /// 5: series.
    Metrics,
    /// 6: packages.
    Dependencies,
    /// 7: data sets and their copies.
    Backups,
    /// 8: releases, pipelines, processes.
    Deploys,
    /// 9: dates and the checklist.
    Due,
    /// 0: events and the command log.
    Activity,
}

impl Page {
    /// In the order of the footer.
    pub const ALL: [Self; 10] =
        [Self::Attention, Self::Health, Self::Errors, Self::Logs, Self::Metrics, Self::Dependencies, Self::Backups, Self::Deploys, Self::Due, Self::Activity];

    /// Its digit.
    #[must_use]
    pub fn digit(self) -> char {
        let at = Self::ALL.iter().position(|page| *page == self).unwrap_or(0);
        char::from(b"1234567890"[at])
    }

    /// Its title.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::Health => "health",
            Self::Errors => "errors",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Dependencies => "dependencies",
            Self::Backups => "backups",
            Self::Deploys => "deploys",
            Self::Due => "due",
            Self::Activity => "activity",
        }
    }
}

/// What a person can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the table below documents each, and a test proves that it does")]
pub enum Command {
    Down,
    Up,
    Top,
    Bottom,
    PageDown,
    PageUp,
    HalfDown,
    HalfUp,
    Left,
    Right,
    NextPart,
    Enter,
    Back,
    Page(Page),
    Filter,
    LogFilter,
    LogExclude,
    LogFilters,
    LogFiles,
    Remove,
    Context,
    ClearFromHere,
    GoToTime,
    Bookmarks,
    NextBookmark,
    PreviousBookmark,
    NextMatch,
    PreviousMatch,
    Palette,
    Help,
    Poll,
    PollAll,
    Why,
    Mark,
    Sort,
    Follow,
    NextError,
    PreviousError,
    NextWarning,
    PreviousWarning,
    Level,
    Wrap,
    Bookmark,
    Timestamps,
    Pause,
    Zoom,
    Range,
    ZoomIn,
    ZoomOut,
    Acknowledge,
    Snooze,
    Actions,
    Undo,
    Open,
    Copy,
    CommandLog,
    Redraw,
    Suspend,
    Interrupt,
    Quit,
}

/// Where a command applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// On every page.
    Everywhere,
    /// On these pages only.
    Pages(&'static [Page]),
}

impl Scope {
    /// Whether it applies on this page.
    #[must_use]
    pub fn on(self, page: Page) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Pages(pages) => pages.contains(&page),
        }
    }
}

/// The group a command stands under in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Moving.
    Move,
    /// Acting on the selected thing.
    This,
    /// Choosing a page.
    Pages,
    /// All else.
    Everywhere,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct CommandSpec {
    /// What it does.
    pub command: Command,
    /// Its name in the configuration and the palette.
    pub id: &'static str,
    /// One short phrase for the help.
    pub doc: &'static str,
    /// One word for the footer; empty: never in the footer.
    pub word: &'static str,
    /// Default keys, as the configuration writes them: `j`, `down`, `ctrl-d`, `G`, `space`.
    pub keys: &'static [&'static str],
    /// Where it applies.
    pub scope: Scope,
    /// The group in the help.
    pub group: Group,
    /// It changes more than the view; not bound in read-only mode.
    pub acts: bool,
}

const fn row(command: Command, id: &'static str, doc: &'static str, word: &'static str, keys: &'static [&'static str], group: Group) -> CommandSpec {
    CommandSpec { command, id, doc, word, keys, scope: Scope::Everywhere, group, acts: false }
}

const fn on(pages: &'static [Page], row: CommandSpec) -> CommandSpec {
    CommandSpec { scope: Scope::Pages(pages), ..row }
}

const fn acting(row: CommandSpec) -> CommandSpec {
    CommandSpec { acts: true, ..row }
}

const LOGS: &[Page] = &[Page::Logs];
const FINDINGS: &[Page] = &[Page::Attention, Page::Errors, Page::Dependencies, Page::Backups, Page::Due];
const GRAPHS: &[Page] = &[Page::Health];
/// Lists with more than one order.
const SORTED: &[Page] = &[Page::Health, Page::Errors, Page::Dependencies];

/// All commands, in the order of the help.
pub static COMMANDS: &[CommandSpec] = &[
    row(Command::Down, "down", "next row", "", &["j", "down"], Group::Move),
    row(Command::Up, "up", "previous row", "", &["k", "up"], Group::Move),
    row(Command::Top, "top", "first row", "", &["g", "home"], Group::Move),
    row(Command::Bottom, "bottom", "last row", "", &["G", "end"], Group::Move),
    row(Command::PageDown, "page-down", "a screen down", "", &["pgdn"], Group::Move),
    row(Command::PageUp, "page-up", "a screen up", "", &["pgup"], Group::Move),
    row(Command::HalfDown, "half-down", "half a screen down", "", &["ctrl-d"], Group::Move),
    row(Command::HalfUp, "half-up", "half a screen up", "", &["ctrl-u"], Group::Move),
    row(Command::Left, "left", "previous tab, or a step back in time", "", &["h", "left", "["], Group::Move),
    row(Command::Right, "right", "next tab, or a step on in time", "", &["l", "right", "]"], Group::Move),
    row(Command::NextPart, "next-part", "next part of the page", "", &["tab"], Group::Move),
    row(Command::Enter, "enter", "open", "open", &["enter"], Group::This),
    row(Command::Back, "back", "back", "", &["esc"], Group::This),
    on(FINDINGS, acting(row(Command::Acknowledge, "acknowledge", "acknowledge, with a reason", "ack", &["a"], Group::This))),
    on(FINDINGS, acting(row(Command::Snooze, "snooze", "snooze for a time", "snooze", &["s"], Group::This))),
    acting(row(Command::Actions, "actions", "actions: what can be run here, what runs", "actions", &["x"], Group::This)),
    row(Command::Why, "why", "why is it so?", "why?", &["="], Group::This),
    row(Command::Poll, "poll", "look again now", "poll", &["r"], Group::This),
    row(Command::Mark, "mark", "mark", "", &["space"], Group::This),
    row(Command::Open, "open-link", "open the link", "link", &["o"], Group::This),
    row(Command::Copy, "copy", "copy", "", &["y"], Group::This),
    on(LOGS, row(Command::NextError, "next-error", "next error", "error", &["e"], Group::This)),
    on(LOGS, row(Command::PreviousError, "previous-error", "previous error", "", &["E"], Group::This)),
    on(LOGS, row(Command::NextWarning, "next-warning", "next warning", "warning", &["w"], Group::This)),
    on(LOGS, row(Command::PreviousWarning, "previous-warning", "previous warning", "", &["W"], Group::This)),
    on(LOGS, row(Command::NextMatch, "next-match", "next match", "", &["n"], Group::This)),
    on(LOGS, row(Command::PreviousMatch, "previous-match", "previous match", "", &["N"], Group::This)),
    on(LOGS, row(Command::LogFilter, "log-filter", "show only lines that match, `!` hides them", "filter", &["&"], Group::This)),
    on(LOGS, row(Command::LogExclude, "log-exclude", "hide lines that match", "", &["!"], Group::This)),
    on(LOGS, row(Command::LogFilters, "log-filters", "list of the filters", "", &["ctrl-f"], Group::This)),
    on(LOGS, row(Command::Remove, "remove", "remove the last filter; in a list, the selected row", "", &["delete"], Group::This)),
    on(LOGS, row(Command::Context, "context", "lines around those that match", "context", &["C"], Group::This)),
    on(LOGS, row(Command::Level, "level", "lowest level shown", "level", &["L"], Group::This)),
    on(LOGS, row(Command::Follow, "follow", "follow the newest, or stay here", "follow", &["f"], Group::This)),
    on(LOGS, row(Command::GoToTime, "go-to-time", "go to a moment", "time", &["t"], Group::This)),
    on(LOGS, row(Command::LogFiles, "log-files", "which logs and files are shown", "files", &["F"], Group::This)),
    on(LOGS, row(Command::ClearFromHere, "clear-from-here", "hide what is above; again shows it", "", &["ctrl-x"], Group::This)),
    on(LOGS, row(Command::Wrap, "wrap", "wrap long lines", "", &["|"], Group::This)),
    on(LOGS, row(Command::Bookmark, "bookmark", "bookmark", "", &["m"], Group::This)),
    on(LOGS, row(Command::NextBookmark, "next-bookmark", "next bookmark", "", &["'"], Group::This)),
    on(LOGS, row(Command::PreviousBookmark, "previous-bookmark", "previous bookmark", "", &["\""], Group::This)),
    on(LOGS, row(Command::Bookmarks, "bookmarks", "list of the bookmarks", "", &["M"], Group::This)),
    on(GRAPHS, row(Command::Range, "range", "range of the graph", "range", &["t"], Group::This)),
    on(GRAPHS, row(Command::ZoomIn, "zoom-in", "shorter range", "", &["+"], Group::This)),
    on(GRAPHS, row(Command::ZoomOut, "zoom-out", "longer range", "", &["-"], Group::This)),
    row(Command::Page(Page::Attention), "attention", "what needs a person", "", &["1"], Group::Pages),
    row(Command::Page(Page::Health), "health", "endpoints and latency", "", &["2"], Group::Pages),
    row(Command::Page(Page::Errors), "errors", "issues", "", &["3"], Group::Pages),
    row(Command::Page(Page::Logs), "logs", "log lines", "", &["4"], Group::Pages),
    row(Command::Page(Page::Metrics), "metrics", "series", "", &["5"], Group::Pages),
    row(Command::Page(Page::Dependencies), "dependencies", "packages", "", &["6"], Group::Pages),
    row(Command::Page(Page::Backups), "backups", "backups", "", &["7"], Group::Pages),
    row(Command::Page(Page::Deploys), "deploys", "deploys and processes", "", &["8"], Group::Pages),
    row(Command::Page(Page::Due), "due", "dates and the checklist", "", &["9"], Group::Pages),
    row(Command::Page(Page::Activity), "activity", "events and commands", "", &["0"], Group::Pages),
    row(Command::Filter, "filter", "filter; in logs search", "filter", &["/"], Group::Everywhere),
    on(SORTED, row(Command::Sort, "sort", "next order", "sort", &["S"], Group::This)),
    row(Command::Pause, "pause", "pause the picture", "pause", &["p"], Group::Everywhere),
    row(Command::Zoom, "zoom", "give this part the page", "", &["z"], Group::Everywhere),
    row(Command::PollAll, "poll-all", "look at everything again", "", &["R"], Group::Everywhere),
    row(Command::Timestamps, "timestamps", "times relative or absolute", "", &["T"], Group::Everywhere),
    row(Command::CommandLog, "command-log", "what rounds ran", "", &["@"], Group::Everywhere),
    acting(row(Command::Undo, "undo", "undo the last acknowledgement or change", "", &["u"], Group::Everywhere)),
    row(Command::Palette, "command", "a command by name", "command", &[":", "ctrl-p"], Group::Everywhere),
    row(Command::Help, "help", "help of this view", "help", &["?", "f1"], Group::Everywhere),
    row(Command::Redraw, "redraw", "draw the screen anew", "", &["ctrl-l"], Group::Everywhere),
    row(Command::Suspend, "suspend", "stop, until fg", "", &["ctrl-z"], Group::Everywhere),
    row(Command::Interrupt, "interrupt", "close, else leave", "", &["ctrl-c"], Group::Everywhere),
    row(Command::Quit, "quit", "close what is open, else leave", "", &["q"], Group::Everywhere),
];

/// The row of a command.
#[must_use]
pub fn spec(command: Command) -> Option<&'static CommandSpec> {
    COMMANDS.iter().find(|row| row.command == command)
}
