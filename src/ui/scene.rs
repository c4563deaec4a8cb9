//! What one frame is made of: the state that is shown, the theme, the time; and what it learns while drawing: when its text
//! will change by itself.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use ratatui::text::Span;

use super::layout::Rows;
use super::signs::Sign;
use super::text;
use super::theme::Theme;
use crate::domain::{Capability, Finding, Severity, SourceId, Status, Timestamp};
use crate::state::rank::asleep;
use crate::state::{Page, SourceState, State, View, World};

/// What one frame is made of.
#[derive(Debug)]
pub struct Scene<'a> {
    /// All of it.
    pub state: &'a State,
    /// The world on the screen: the frozen one while paused.
    pub world: &'a World,
    /// Where the reader stands.
    pub view: &'a View,
    /// The styles.
    pub theme: &'a Theme,
    /// The moment the world on the screen is of.
    pub now: Timestamp,
    /// The moment of drawing.
    pub clock: Timestamp,
    /// The rows of the screen.
    pub rows: Rows,
    /// Items that pass the filter and all of the page's list, for the prompt and the narrow footer.
    pub counted: Cell<Option<(usize, usize)>>,
    changes: Cell<Option<Timestamp>>,
    aside: RefCell<Option<String>>,
}

impl<'a> Scene<'a> {
    /// The scene of a state at a moment.
    #[must_use]
    pub fn new(state: &'a State, theme: &'a Theme, clock: Timestamp, rows: Rows) -> Self {
        Self {
            state,
            world: state.shown(),
            view: &state.view,
            theme,
            now: state.shown_at(clock),
            clock,
            rows,
            counted: Cell::new(None),
            changes: Cell::new(None),
            aside: RefCell::new(None),
        }
    }

    /// What the header says in place of an age: `142 new below`. A page that knows better than the age says so before the header is drawn.
    pub fn say_in_header(&self, words: String) {
        *self.aside.borrow_mut() = Some(words);
    }

    /// What a page said in place of the age.
    #[must_use]
    pub fn header_aside(&self) -> Option<String> {
        self.aside.borrow().clone()
    }

    /// The text on the screen changes at this moment by itself.
    pub fn changes_at(&self, at: Timestamp) {
        if at > self.clock && self.changes.get().is_none_or(|known| at < known) {
            self.changes.set(Some(at));
        }
    }

    /// The earliest of those moments.
    #[must_use]
    pub fn next_change(&self) -> Option<Timestamp> {
        self.changes.get()
    }

    fn after(&self, from: Timestamp, stays: std::time::Duration) {
        // What is paused does not age.
        if from == self.clock
            && let Ok(stays) = chrono::Duration::from_std(stays)
            && let Some(at) = from.checked_add_signed(stays)
        {
            self.changes_at(at);
        }
    }

    /// How long ago something was, for lists: `14 m`; noted as a text that changes.
    #[must_use]
    pub fn age(&self, then: Timestamp) -> String {
        let (text, stays) = text::age(then, self.now);
        self.after(self.now, stays);
        text
    }

    /// The same against the real time, also while paused.
    #[must_use]
    pub fn age_by_clock(&self, then: Timestamp) -> String {
        let (text, stays) = text::age(then, self.clock);
        self.after(self.clock, stays);
        text
    }

    /// An age in the coarse steps of values: 5, 15, 30 s, 1, 2, 5 m …
    #[must_use]
    pub fn step(&self, then: Timestamp) -> String {
        self.step_at(then, self.now)
    }

    /// The same against the real time, also while paused.
    #[must_use]
    pub fn step_by_clock(&self, then: Timestamp) -> String {
        self.step_at(then, self.clock)
    }

    fn step_at(&self, then: Timestamp, now: Timestamp) -> String {
        let age = crate::domain::time::since(then, now);
        self.after(now, crate::domain::time::until_next_step(age));
        crate::domain::time::age_text(age)
    }

    /// A due date in words.
    #[must_use]
    pub fn due(&self, due: Timestamp) -> text::Due {
        if self.now == self.clock {
            self.changes_at(text::next_midnight(self.now, self.view.zone));
        }
        text::due(due, self.now, self.view.zone)
    }

    /// A moment for lists: absolute when the reader wants it so, else the age.
    #[must_use]
    pub fn when(&self, then: Timestamp) -> String {
        if self.view.absolute { text::moment_short(then, self.now, self.view.zone) } else { self.age(then) }
    }

    /// Whether what belongs to this site is shown.
    #[must_use]
    pub fn shows(&self, site: &str) -> bool {
        self.view.site.as_deref().is_none_or(|only| only == site)
    }

    /// The sources on the screen.
    pub fn sources(&self) -> impl Iterator<Item = (&'a SourceId, &'a SourceState)> {
        self.world.sources.iter().filter(|(id, _)| self.shows(id.site()))
    }

    /// The findings on the screen, most urgent first.
    pub fn findings(&self) -> impl Iterator<Item = &'a Finding> {
        self.world.findings.iter().filter(|finding| self.shows(finding.source.site()))
    }

    /// Whether rounds itself is cut off.
    #[must_use]
    pub fn offline(&self) -> bool {
        self.state.world.notices.iter().any(|notice| notice.kind == crate::state::NoticeKind::Offline)
    }

    /// Unacknowledged findings by severity: critical, unknown, warning. While paused those of the real world: critical news is told.
    #[must_use]
    pub fn counts(&self) -> [(Sign, usize); 3] {
        let mut counts = [(Sign::Crit, 0), (Sign::Unknown, 0), (Sign::Warn, 0)];
        for finding in self.state.world.findings.iter().filter(|f| !asleep(f, self.clock) && self.shows(f.source.site())) {
            match finding.severity {
                Severity::Critical => counts[0].1 += 1,
                Severity::Unknown => counts[1].1 += 1,
                Severity::Warning => counts[2].1 += 1,
                Severity::Info => {}
            }
        }
        counts
    }

    /// How each site stands, worst first, then in the order of the configuration.
    #[must_use]
    pub fn sites(&self) -> Vec<(Sign, &'a str)> {
        let mut worst: BTreeMap<&str, Sign> = BTreeMap::new();
        let mut taken: BTreeMap<&str, bool> = BTreeMap::new();
        for finding in self.findings() {
            let site = finding.source.site();
            if finding.severity == Severity::Info {
                continue;
            }
            if asleep(finding, self.now) {
                taken.insert(site, true);
                continue;
            }
            let sign = Sign::from(finding.severity);
            let known = worst.entry(site).or_insert(sign);
            *known = sign.min(*known);
        }
        let mut sites: Vec<(Sign, &str)> = Vec::new();
        for site in self.world.sites.iter().filter(|site| self.shows(&site.name)) {
            let name = site.name.as_str();
            let sign = match (worst.get(name), taken.get(name)) {
                _ if self.offline() => Sign::Stale,
                (Some(sign), _) => *sign,
                (None, Some(_)) => Sign::Acknowledged,
                (None, None) => self.site_by_sources(name),
            };
            sites.push((sign, name));
        }
        sites.sort_by_key(|(sign, _)| *sign);
        sites
    }

    /// How a site without findings stands: never better than what was looked at.
    fn site_by_sources(&self, site: &str) -> Sign {
        let mut looked = false;
        let (mut waiting, mut paused) = (false, false);
        let mut worst = Sign::Ok;
        for (_, source) in self.sources().filter(|(id, _)| id.site() == site) {
            if source.checked_at.is_none() && source.status != Status::Paused {
                waiting = true;
                continue;
            }
            // One that is switched off on purpose says nothing of the site.
            if source.status == Status::Paused {
                paused = true;
                continue;
            }
            looked = true;
            worst = worst.min(Sign::from(source.status));
        }
        match (looked, waiting) {
            (_, true) if worst > Sign::Waiting || !looked => Sign::Waiting,
            (false, false) if paused => Sign::Paused,
            (false, false) => Sign::Unknown,
            _ => worst,
        }
    }

    /// The worst sign of a page by its unacknowledged findings; trouble only.
    #[must_use]
    pub fn page_sign(&self, page: Page) -> Option<Sign> {
        self.findings()
            .filter(|finding| !asleep(finding, self.now) && pages_of(self.world, finding).contains(&page))
            .map(|finding| Sign::from(finding.severity))
            .min()
            .filter(|sign| sign.is_trouble())
    }

    /// The keys of a command as a reader types them, joined by blanks; with ASCII only, spelled.
    #[must_use]
    pub fn key(&self, command: crate::state::Command) -> String {
        crate::state::command::spec(command)
            .and_then(|spec| self.view.keys_of(spec).into_iter().next())
            .map(|key| super::keymap::shown(&key, self.theme.ascii()))
            .unwrap_or_default()
    }

    /// A key and what it does: `↵ open`.
    #[must_use]
    pub fn hint(&self, command: crate::state::Command, word: &str) -> Vec<Span<'static>> {
        vec![Span::styled(self.key(command), self.theme.accent), Span::styled(format!(" {word}"), self.theme.dim)]
    }
}

/// The pages that show what a finding is about, the closest first. Attention shows all and is not named.
#[must_use]
pub fn pages_of(world: &World, finding: &Finding) -> Vec<Page> {
    let mut pages = match world.sources.get(&finding.source).map(|source| source.spec.capability) {
        Some(Capability::Health | Capability::Certificate) => vec![Page::Health],
        Some(Capability::Log) => vec![Page::Logs],
        Some(Capability::Packages | Capability::Life) => vec![Page::Dependencies],
        Some(Capability::Issues | Capability::Crons | Capability::Intake) => vec![Page::Errors],
        Some(Capability::Release) => vec![Page::Deploys],
        Some(Capability::Backup) => vec![Page::Backups],
        None => Vec::new(),
    };
    if finding.due.is_some() {
        pages.push(Page::Due);
    }
    pages
}
