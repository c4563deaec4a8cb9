//! Page 3: the issues of trackers and the groups of log errors in one list, and what is known of the selected one.

mod beside;
mod detail;
mod frames;

use std::cmp::{Ordering, Reverse};

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::attention::short;
use super::listing;
use crate::domain::{Capability, Issue, IssueState, SourceId, Timestamp};
use crate::state::matching::{Asked, Query};
use crate::state::menu::filter_of;
use crate::state::{Drawn, LogState, Page, SourceState, asked, book, item, offering, saved};
use crate::ui::layout::Class;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;
use crate::ui::theme::Theme;
use crate::ui::widgets::list::{Column, Hidden, List, Row, matched};
use crate::ui::widgets::sparkline::{self, Bucket, Height};

/// The orders `S` goes through.
const ORDERS: [&str; 5] = ["", "events", "users", "last", "first"];

/// What a row is about.
#[derive(Debug, Clone)]
enum What<'a> {
    Issue(&'a Issue),
    /// A group of the error book, in the shape of an issue.
    Group(Box<Issue>, Option<&'a LogState>),
    /// The source itself, which is not wholly known.
    Trouble(Sign, String),
}

/// One row.
#[derive(Debug, Clone)]
struct Entry<'a> {
    source: &'a SourceState,
    what: What<'a>,
    /// Where it is seen too, and how often there.
    beside: Vec<(SourceId, u64)>,
}

impl Entry<'_> {
    fn key(&self) -> String {
        match &self.what {
            What::Issue(issue) => item::key(&self.source.spec.id, &issue.id),
            What::Group(group, _) => item::key(&self.source.spec.id, &group.id),
            What::Trouble(..) => item::key_of_source(&self.source.spec.id),
        }
    }

    /// What it is about, where that is an error.
    fn issue(&self) -> Option<&Issue> {
        match &self.what {
            What::Issue(issue) => Some(issue),
            What::Group(issue, _) => Some(issue),
            What::Trouble(..) => None,
        }
    }

    fn state(&self) -> IssueState {
        self.issue().map_or(IssueState::Ongoing, |issue| issue.state)
    }

    /// What people call it.
    fn name(&self) -> String {
        self.issue().map_or_else(|| self.source.spec.id.site().to_owned(), |issue| issue.short_id.clone())
    }

    fn title(&self) -> &str {
        self.issue().map_or("", |issue| &issue.title)
    }

    fn culprit(&self) -> &str {
        self.issue().and_then(|issue| issue.culprit.as_deref()).unwrap_or_default()
    }

    fn events(&self) -> u64 {
        self.issue().map_or(0, |issue| issue.events)
    }

    fn users(&self) -> Option<u64> {
        self.issue().and_then(|issue| issue.users)
    }

    fn first(&self) -> Option<Timestamp> {
        self.issue().and_then(|issue| issue.first_seen)
    }

    fn last(&self) -> Option<Timestamp> {
        self.issue().and_then(|issue| issue.last_seen)
    }

    /// Events by hour of the last day, oldest first; empty where not known.
    fn hours(&self) -> Vec<u64> {
        self.issue().map(|issue| issue.hours.clone()).unwrap_or_default()
    }
}

/// Draws the page.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect, drawn: &mut Drawn) {
    let sources: Vec<&SourceState> =
        scene.sources().map(|(_, source)| source).filter(|source| matches!(source.spec.capability, Capability::Issues | Capability::Log)).collect();
    if sources.is_empty() {
        return super::empty::draw(pen, scene, body, Page::Errors);
    }
    let view = scene.view.list();
    let tab = saved::shown(scene.world, scene.view);
    let all = tab.map_or_else(|| entries(scene, &sources), |tab| entries_of(scene, &sources, tab));
    let mut query = filter_of(scene.view);
    let total = all.len();
    let mut picked = query.pick(&all, haystack, |entry, asked| answer(scene, entry, asked)).into_iter();
    let (mut items, hidden): (Vec<Entry<'_>>, Vec<Entry<'_>>) = all.into_iter().partition(|_| picked.next().unwrap_or(true));
    sort(&mut items, view.sort);
    drawn.keys = items.iter().map(Entry::key).collect();
    let selected = super::selected(view, &drawn.keys);
    scene.counted.set(Some((items.len(), total)));

    let class = listing::class(scene);
    let names = items.iter().map(|entry| text::width(&entry.name())).max().unwrap_or(8).clamp(8, 14) as u16;
    let columns = columns(class, names);
    let row = |at: usize| items.get(at).map_or_else(Row::new, |entry| row(scene, entry, class, names, &query));
    let title = listing::title(scene, &heading(scene, tab), ORDERS[view.sort % ORDERS.len()]);
    let trackers = sources.iter().any(|source| source.spec.capability == Capability::Issues);
    let what = if tab.is_some() {
        "No issue of this saved query"
    } else if trackers {
        "No issue in the last 24 h"
    } else {
        "No error in the logs since rounds began to look"
    };
    let mut after = Vec::new();
    if total == 0 {
        after.extend(listing::verified(scene, sources.iter().copied(), what));
    }
    after.extend(cut(&sources, tab).map(|words| vec![Span::styled(words, scene.theme.dim)]));
    let critical = hidden.iter().filter(|entry| entry.state() == IssueState::New).count();
    let list =
        List { hidden: Hidden::of(hidden.len(), critical, ["issue", "issues"]), after, ..listing::of(scene, &title, &columns, &row, &drawn.keys, selected) };
    let placed = listing::draw(pen, scene, body, &list, total, drawn);
    if let (Some(area), Some(entry)) = (placed.detail, selected.and_then(|at| items.get(at))) {
        detail::draw(pen, scene, entry, area, placed.whole, drawn);
    }
}

/// What stands on the rule: `issues`, and the tabs of the saved queries where there are any, the chosen one in brackets.
fn heading(scene: &Scene<'_>, tab: Option<&str>) -> String {
    let names = saved::names(scene.world, scene.view.site.as_deref());
    if names.is_empty() {
        return "issues".to_owned();
    }
    let tabs = std::iter::once(None).chain(names.into_iter().map(Some));
    let said = tabs.map(|name| if name == tab { format!("[{}]", name.unwrap_or("all")) } else { name.unwrap_or("all").to_owned() });
    format!("issues {}", said.collect::<Vec<_>>().join(" "))
}

/// What one saved query of the trackers gave.
fn entries_of<'a>(scene: &Scene<'a>, sources: &[&'a SourceState], tab: &str) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    for source in sources.iter().filter(|source| source.spec.capability == Capability::Issues) {
        let given = source.issues.iter().flat_map(|(_, issues)| &issues.saved).filter(|saved| saved.name == tab).flat_map(|saved| &saved.items);
        entries.extend(given.map(|issue| Entry { source, what: What::Issue(issue), beside: Vec::new() }));
        if let Some((sign, why)) = listing::trouble(scene, source) {
            entries.push(Entry { source, what: What::Trouble(sign, why), beside: Vec::new() });
        }
    }
    entries
}

fn entries<'a>(scene: &Scene<'a>, sources: &[&'a SourceState]) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    let book::Rows { own, mut beside } = book::rows(scene.world, sources, scene.now);
    for row in own {
        entries.push(Entry { source: row.source, what: What::Group(Box::new(row.issue), row.source.log.as_ref()), beside: row.beside });
    }
    for source in sources {
        for issue in source.issues.iter().flat_map(|(_, issues)| &issues.items) {
            let beside = if beside.is_empty() { None } else { beside.remove(&(source.spec.id.clone(), issue.id.clone())) };
            entries.push(Entry { source, what: What::Issue(issue), beside: beside.unwrap_or_default() });
        }
        if let Some((sign, why)) = listing::trouble(scene, source) {
            entries.push(Entry { source, what: What::Trouble(sign, why), beside: Vec::new() });
        }
    }
    entries
}

/// What the trackers did not give, of the list or of one saved query: `312 more`.
fn cut(sources: &[&SourceState], tab: Option<&str>) -> Option<String> {
    let known = sources.iter().filter_map(|source| source.issues.as_ref()).map(|(_, issues)| issues);
    let more = |total: u64, read: usize| total.saturating_sub(read as u64);
    let more: u64 = match tab {
        None => known.map(|issues| more(issues.total, issues.items.len())).sum(),
        Some(tab) => known.flat_map(|issues| &issues.saved).filter(|saved| saved.name == tab).map(|saved| more(saved.total, saved.items.len())).sum(),
    };
    (more > 0).then(|| format!("{} more were not read", text::thousands(more)))
}

/// Whether a word like `is:new` is true of an entry; `None` of what is not known.
fn answer(scene: &Scene<'_>, entry: &Entry<'_>, asked: &Asked) -> Option<bool> {
    entry.issue().map(|issue| asked::holds(scene.world, &scene.view.person, &entry.source.spec.id, issue, asked))
}

fn haystack(entry: &Entry<'_>) -> String {
    let why = if let What::Trouble(_, why) = &entry.what { why.as_str() } else { entry.state().word() };
    format!("{} {} {} {why} {}", entry.name(), entry.title(), entry.culprit(), entry.source.spec.id)
}

const fn place(state: IssueState) -> u8 {
    match state {
        IssueState::New => 0,
        IssueState::Regressed | IssueState::Escalating => 1,
        IssueState::Ongoing => 2,
        IssueState::Archived => 3,
        IssueState::Resolved => 4,
    }
}

fn sort(entries: &mut [Entry<'_>], order: usize) {
    entries.sort_by(|a, b| {
        let newer = |a: Option<Timestamp>, b: Option<Timestamp>| Reverse(a).cmp(&Reverse(b));
        let users = || b.users().unwrap_or(0).cmp(&a.users().unwrap_or(0));
        let trouble = |entry: &Entry<'_>| matches!(entry.what, What::Trouble(..));
        let first = match order % ORDERS.len() {
            1 => b.events().cmp(&a.events()),
            2 => users(),
            3 => newer(a.last(), b.last()),
            4 => newer(a.first(), b.first()),
            _ => place(a.state()).cmp(&place(b.state())).then_with(users),
        };
        let ordering: Ordering = trouble(a).cmp(&trouble(b)).then(first);
        ordering.then_with(|| newer(a.last(), b.last())).then_with(|| a.source.spec.id.cmp(&b.source.spec.id)).then_with(|| a.key().cmp(&b.key()))
    });
}

/// The sign of a state, its word in five cells, and its style.
fn state_sign(state: IssueState, theme: &Theme) -> (char, &'static str, Style) {
    match state {
        IssueState::New => ('●', "new", theme.bold(theme.crit)),
        IssueState::Escalating => ('↑', "escal", theme.bold(theme.warn)),
        IssueState::Regressed => ('↺', "regr", theme.bold(theme.warn)),
        IssueState::Ongoing => ('·', "ongo", theme.dim),
        IssueState::Archived => ('z', "arch", theme.dim),
        IssueState::Resolved => ('✔', "done", theme.dim),
    }
}

fn columns(class: Class, names: u16) -> Vec<Column> {
    let figures = |last: u16| vec![Column::right(6).head("events"), Column::right(5).head("users"), Column::right(last).head("last").gap(0)];
    match class {
        Class::Narrow => vec![Column::left(1), Column::flex(), Column::hug(3)],
        Class::List => vec![Column::left(1), Column::left(names), Column::flex(), Column::right(6).head("events"), Column::right(5).head("users")],
        Class::Standard => {
            let mut columns = vec![Column::left(7), Column::left(names), Column::flex(), Column::left(8).head("24 h")];
            columns.extend(figures(5));
            columns
        }
        Class::Wide | Class::Double => {
            let mut columns =
                vec![Column::left(12), Column::left(names), Column::flex().gap(2), Column::left(19).head("culprit").gap(2), Column::left(14).head("24 h")];
            columns.extend(figures(5));
            columns
        }
    }
}

/// Hours in so many cells, the worst of each; hours without an event are gaps.
fn buckets(hours: &[u64], cells: usize) -> Vec<Bucket> {
    let mut buckets = vec![Bucket::Gap; cells];
    for (hour, count) in hours.iter().enumerate().filter(|(_, count)| **count > 0) {
        if let Some(bucket) = buckets.get_mut(hour * cells / hours.len()) {
            *bucket = bucket.worse(Bucket::Value(*count as f64));
        }
    }
    buckets
}

fn row(scene: &Scene<'_>, entry: &Entry<'_>, class: Class, names: u16, query: &Query) -> Row {
    let theme = scene.theme;
    if let What::Trouble(sign, why) = &entry.what {
        let mut row = Row::new().spans(vec![if class < Class::Standard { sign.span(theme) } else { sign.with_word(theme) }]);
        let mut words = listing::words(scene, entry.source, *sign, why);
        if class > Class::Narrow {
            row = row.cell(entry.name(), theme.dim);
        } else {
            words.insert(0, Span::styled(format!("{} ", entry.name()), theme.dim));
        }
        return row.rest(words);
    }
    let state = entry.state();
    let calm = listing::pale(scene, entry.source) || matches!(state, IssueState::Archived | IssueState::Resolved);
    let (glyph, word, style) = state_sign(state, theme);
    let content = if calm { theme.dim } else { theme.text };
    // What the tracker is being told is shown as that, until it has answered.
    let told = entry.issue().is_some_and(|issue| offering::pending(&scene.state.world, &entry.source.spec.id, &issue.id).is_some());
    let (glyph, word, style) = if told { ('▸', "asked", theme.bold(theme.accent)) } else { (glyph, word, style) };
    let mut row = match class {
        Class::Wide | Class::Double if told => Row::new().cell(format!("{glyph} {word}"), style),
        Class::Narrow | Class::List => Row::new().cell(glyph.to_string(), style),
        Class::Standard => Row::new().cell(format!("{glyph} {word}"), style),
        Class::Wide | Class::Double => Row::new().cell(format!("{glyph} {}", state.word()), style),
    };
    if class > Class::Narrow {
        let name = text::clip_middle(&entry.name(), usize::from(names)).into_owned();
        row = row.spans(matched(&name, &query.marks(&name), theme.dim));
    }
    let title = text::sanitise(entry.title()).into_owned();
    let mut words = matched(&title, &query.marks(&title), content);
    // Seen in a log as well: counted there, told once.
    let also: u64 = entry.beside.iter().map(|(_, count)| count).sum();
    if also > 0 && class > Class::Narrow {
        words.push(Span::styled(format!("  +{} log", figure(also)), theme.dim));
    }
    row = row.spans(words);
    if class >= Class::Wide {
        row = row.cell(entry.culprit(), theme.dim);
    }
    if class >= Class::Standard {
        let cells = if class >= Class::Wide { 14 } else { 8 };
        row = row.spans(sparkline::spans(&buckets(&entry.hours(), cells), Height::Counts, calm.then_some(theme.dim), theme));
    }
    row = row.cell(figure(entry.events()), content);
    if class > Class::Narrow {
        row = row.cell(entry.users().map_or_else(|| "–".to_owned(), figure), if entry.users().is_some() { content } else { theme.dim });
    }
    if class >= Class::Standard {
        let last = entry.last().map_or_else(|| "?".to_owned(), |at| if scene.view.absolute { scene.when(at) } else { short(&scene.age(at)) });
        row = row.cell(last, theme.dim);
    }
    row
}

/// A count in at most six cells: `412`, `18 443`, `1.2 M`.
fn figure(count: u64) -> String {
    match count {
        0..100_000 => text::thousands(count),
        100_000..1_000_000 => format!("{} k", count / 1_000),
        _ => format!("{} M", text::number(count as f64 / 1e6)),
    }
}

#[cfg(test)]
mod tests;
