//! The wall: what a screen that nobody sits at shows, and for how long.
//!
//! While all is well its pages follow each other; trouble stops them until it is over, for a minute at least, and its end is told for
//! another minute. What is acknowledged does not stop them. All of it is a function of the world and the time; nothing here grows.
//! What does not belong here: how it looks (`ui::wall`), what a finding is (`rules`).

use std::time::Duration;

use super::rank::asleep;
use super::{Command, Effect, Page, Prompt, PromptKind, State, World};
use crate::domain::time::since;
use crate::domain::{Finding, Severity, Status, Timestamp};

/// How long a page stays when the configuration does not say.
pub const ROTATE: Duration = Duration::from_secs(20);
/// How long trouble stays at least, so that somebody who looks up can read it.
pub const DWELL: Duration = Duration::from_secs(60);
/// How long its end is told.
pub const RECOVERED: Duration = Duration::from_secs(60);
/// A question that nobody answers goes away by itself after this.
const ASKED: Duration = Duration::from_secs(30);
/// Intervals without the end of a poll after which there is no news.
const INTERVALS: u32 = 3;
/// Silence is never told before this: short intervals and one slow answer are no news about rounds.
const QUIET: Duration = Duration::from_secs(60);

/// What one page of the rotation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WallPage {
    /// Each site with three figures and its day; as many pages as the sites need.
    Sites,
    /// A page of the dashboard without what is around it.
    Page(Page),
}

/// `[wall]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a page stays.
    pub rotate: Duration,
    /// What is shown while all is well.
    pub pages: Vec<WallPage>,
    /// Whether warnings stop the rotation too.
    pub warnings: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rotate: ROTATE, pages: vec![WallPage::Sites], warnings: false }
    }
}

/// Trouble on the wall.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// As it was last seen; it may be gone by now and only stay for its minute.
    pub finding: Finding,
    /// When the trouble began of which this is the first that was shown.
    pub begun: Timestamp,
    /// Since when it is on the wall.
    pub shown_at: Timestamp,
    /// Whether it is over.
    pub over: bool,
}

/// What the wall shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Phase {
    /// Pages follow each other.
    #[default]
    Calm,
    /// They stand still.
    Trouble(Box<Trouble>),
    /// It is over, and verified so.
    Recovered {
        /// Of which site.
        site: String,
        /// What it was.
        title: String,
        /// How long it took.
        after: Duration,
        /// Until when this is told.
        until: Timestamp,
    },
}

/// How the wall stands.
#[derive(Debug, Clone, PartialEq)]
pub struct WallState {
    /// What was configured.
    pub settings: Settings,
    /// Since when there is a wall.
    pub started: Timestamp,
    /// What it shows.
    pub phase: Phase,
    /// How many times the page was turned; which page that is depends on how many there are.
    pub turn: usize,
    /// When it was turned last.
    pub turned_at: Timestamp,
    asked_at: Option<Timestamp>,
}

impl WallState {
    /// A wall that begins now.
    #[must_use]
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        Self { settings, started: now, phase: Phase::Calm, turn: 0, turned_at: now, asked_at: None }
    }

    /// When the page turns, where there is more than one.
    #[must_use]
    pub fn turns_at(&self) -> Timestamp {
        later(self.turned_at, self.settings.rotate)
    }

    /// Whether a finding stops the rotation, unless somebody has it.
    #[must_use]
    pub fn matters(&self, finding: &Finding) -> bool {
        match finding.severity {
            Severity::Critical | Severity::Unknown => true,
            Severity::Warning => self.settings.warnings,
            Severity::Info => false,
        }
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    chrono::Duration::from_std(by).ok().and_then(|by| at.checked_add_signed(by)).unwrap_or(Timestamp::MAX_UTC)
}

/// Whether so much time has passed; a clock that was set back never holds anything up.
fn passed(from: Timestamp, by: Duration, now: Timestamp) -> bool {
    now >= later(from, by) || now < from
}

fn shown<'a>(world: &'a World, only: Option<&'a str>) -> impl Iterator<Item = &'a Finding> {
    world.findings.iter().filter(move |finding| only.is_none_or(|only| only == finding.source.site()))
}

/// The newest end of a poll, and the moment from which the lack of another is no news from rounds itself. `None` where nothing is polled.
#[must_use]
pub fn no_news(world: &World, only: Option<&str>, started: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let polled = || world.sources.values().filter(|s| s.status != Status::Paused && only.is_none_or(|only| only == s.spec.id.site()));
    // A wait that was announced (`Retry-After`, a longer retry) is part of the interval.
    let wait = |s: &super::SourceState| {
        let announced = s.checked_at.zip(s.next_at).map_or(Duration::ZERO, |(checked, next)| since(checked, next));
        (s.spec.every.max(announced).saturating_mul(INTERVALS) + s.spec.timeout).max(QUIET)
    };
    let shortest = polled().map(wait).min()?;
    let newest = polled().filter_map(|s| s.checked_at).max().unwrap_or(started).max(started);
    Some((newest, later(newest, shortest)))
}

/// What somebody has taken on, the most urgent first: it does not stop the rotation, and is told all the same.
pub fn taken<'a>(world: &'a World, only: Option<&'a str>, wall: &'a WallState, now: Timestamp) -> impl Iterator<Item = &'a Finding> {
    shown(world, only).filter(move |finding| wall.matters(finding) && asleep(finding, now))
}

/// Time passed or something was learnt: which page, which trouble. Takes the state's wall where there is one.
pub fn step(state: &mut State, now: Timestamp) {
    let Some(wall) = &mut state.view.wall else { return };
    if state.view.prompt.is_some() && wall.asked_at.is_none_or(|at| passed(at, ASKED, now)) {
        state.view.prompt = None;
    }
    let only = state.view.site.as_deref();
    let (mut phase, mut calm_since) = (std::mem::take(&mut wall.phase), None);
    let urgent = shown(&state.world, only).find(|finding| wall.matters(finding) && !asleep(finding, now));
    let show = |finding: &Finding, begun: Timestamp| {
        Phase::Trouble(Box::new(Trouble { finding: finding.clone(), begun: begun.min(finding.since), shown_at: now, over: false }))
    };
    phase = match phase {
        Phase::Trouble(mut trouble) => {
            let known = state.world.findings.iter().find(|finding| finding.id == trouble.finding.id);
            let acknowledged = known.is_some_and(|finding| asleep(finding, now));
            trouble.over = match known {
                Some(finding) if !acknowledged && wall.matters(finding) => {
                    if trouble.finding != *finding {
                        trouble.finding.clone_from(finding);
                    }
                    false
                }
                _ => true,
            };
            let leaves = acknowledged || (trouble.over && passed(trouble.shown_at, DWELL, now));
            match urgent {
                // Nothing but worse takes its place while it lasts.
                Some(finding) if leaves || finding.severity < trouble.finding.severity => show(finding, trouble.begun),
                None if leaves => {
                    calm_since = Some(now);
                    let well = state.world.sources.get(&trouble.finding.source).is_some_and(|s| matches!(s.status, Status::Ok | Status::Degraded));
                    if well && !acknowledged {
                        Phase::Recovered {
                            site: trouble.finding.source.site().to_owned(),
                            title: trouble.finding.title.clone(),
                            after: since(trouble.begun, now),
                            until: later(now, RECOVERED),
                        }
                    } else {
                        Phase::Calm
                    }
                }
                _ => Phase::Trouble(trouble),
            }
        }
        before => match (urgent, before) {
            (Some(finding), _) => show(finding, finding.since),
            (None, Phase::Recovered { until, .. }) if until <= now => Phase::Calm,
            (None, before) => before,
        },
    };
    wall.phase = phase;
    if let Some(at) = calm_since {
        wall.turned_at = at;
    }
    match wall.phase {
        Phase::Trouble(_) => wall.turned_at = now,
        _ if now < wall.turned_at => wall.turned_at = now,
        _ => {
            let every = wall.settings.rotate.max(Duration::from_secs(1));
            let turns = since(wall.turned_at, now).as_millis() / every.as_millis();
            if turns > 0 {
                wall.turn = wall.turn.wrapping_add(usize::try_from(turns).unwrap_or(1));
                let whole = every.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX));
                wall.turned_at = later(wall.turned_at, whole).min(now);
            }
        }
    }
}

/// When [`step`] has something to do by itself. The turning of pages is known to the drawing, which knows how many there are.
#[must_use]
pub fn next(state: &State) -> Option<Timestamp> {
    let wall = state.view.wall.as_ref()?;
    let phase = match &wall.phase {
        Phase::Calm => None,
        Phase::Trouble(trouble) => trouble.over.then(|| later(trouble.shown_at, DWELL)),
        Phase::Recovered { until, .. } => Some(*until),
    };
    let asked = state.view.prompt.as_ref().and(wall.asked_at).map(|at| later(at, ASKED));
    phase.into_iter().chain(asked).min()
}

/// A command on the wall: it can be left, and unlocked by name. All else is locked.
pub(super) fn command(state: &mut State, command: Command, now: Timestamp, effects: &mut Vec<Effect>) {
    let typed = state.view.prompt.take().map(|prompt| prompt.input.value().trim().to_owned());
    match (command, typed) {
        (Command::Enter, Some(typed)) if typed == "unlock" => state.view.wall = None,
        (Command::Quit | Command::Interrupt, None) => effects.push(Effect::Quit),
        (Command::Palette, None) => {
            state.view.prompt = Some(Prompt { kind: PromptKind::Palette, input: tui_input::Input::default() });
            if let Some(wall) = &mut state.view.wall {
                wall.asked_at = Some(now);
            }
        }
        (Command::Redraw, _) => effects.push(Effect::Redraw),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
