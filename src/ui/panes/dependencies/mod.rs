//! Page 6: the life lines, the packages that need care in groups by what they need, and what is known of the selected one.
//!
//! What is up to date is counted, not listed; a manifest that could not be read is the first row, never a shorter list. The tail of
//! the least urgent groups is folded where the list would not fit.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `life` | the life lines above the list |
//! | `table` | the columns of the list |
//! | `detail` | what is known of the selected package |
//! | `notes` | what its project says of its releases |
//! | `versions` | its versions on a line |

mod detail;
mod life;
mod notes;
mod table;
mod versions;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::listing;
use crate::domain::package::CRITICAL_CVSS;
use crate::domain::{Bump, Capability, LifeLine, Package, Phase};
use crate::state::menu::filter_of;
use crate::state::{Command, Drawn, Page, SourceState, item};
use crate::ui::layout;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;
use crate::ui::theme::Theme;
use crate::ui::widgets::list::{Hidden, List, Row};

/// The orders; the first is by urgency.
const ORDERS: [&str; 5] = ["", "name", "score", "released", "libyears"];
/// Rows of a group that are never folded.
const KEPT: usize = 2;

/// What a package needs, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Trouble,
    Vulnerable,
    Yanked,
    Abandoned,
    EndOfLife,
    NotKnown,
    Major,
    Minor,
    Patch,
}

impl Group {
    /// What a package needs; `None`: nothing. `ended`: its release is supported no longer.
    fn of(package: &Package, ended: bool) -> Option<Self> {
        if !package.advisories.is_empty() {
            return Some(Self::Vulnerable);
        }
        if package.yanked {
            return Some(Self::Yanked);
        }
        if package.project_status.as_deref().is_some_and(|status| status != "active") {
            return Some(Self::Abandoned);
        }
        if ended {
            return Some(Self::EndOfLife);
        }
        if package.problem.is_some() {
            return Some(Self::NotKnown);
        }
        package.at_hand().map(|bump| match bump {
            Bump::Major => Self::Major,
            Bump::Minor => Self::Minor,
            Bump::Patch => Self::Patch,
        })
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Trouble => "",
            Self::Vulnerable => "vulnerable",
            Self::Yanked => "yanked",
            Self::Abandoned => "abandoned",
            Self::EndOfLife => "end of life",
            Self::NotKnown => "not known",
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Patch => "patch",
        }
    }
}

/// One row.
#[derive(Debug, Clone)]
struct Entry<'a> {
    source: &'a SourceState,
    group: Group,
    package: Option<&'a Package>,
    trouble: Option<(Sign, String)>,
}

impl Entry<'_> {
    fn key(&self) -> String {
        self.package.map_or_else(|| item::key_of_source(&self.source.spec.id), |package| item::key(&self.source.spec.id, &package.name))
    }
}

/// The highest score of a package's weaknesses.
fn score(package: &Package) -> Option<f64> {
    package.advisories.iter().filter_map(|advisory| advisory.cvss).max_by(f64::total_cmp)
}

/// The style of a weakness.
fn judged(score: Option<f64>, theme: &Theme) -> Style {
    theme.bold(if score.is_some_and(|score| score >= CRITICAL_CVSS) { theme.crit } else { theme.warn })
}

/// Draws the page.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect, drawn: &mut Drawn) {
    let sources: Vec<&SourceState> = scene.sources().map(|(_, source)| source).filter(|source| source.spec.capability == Capability::Packages).collect();
    if sources.is_empty() {
        return super::empty::draw(pen, scene, body, Page::Dependencies);
    }
    let theme = scene.theme;
    let lives = life::lines(scene);
    let above = life::height(scene, &lives, body);
    if above > 0 {
        life::draw(pen, scene, &lives, Rect { height: above, ..body });
    }
    let body = Rect { y: body.y + above, height: body.height - above, ..body };
    let view = scene.view.list();
    let (mut all, current) = entries(scene, &sources);
    let order = view.sort % ORDERS.len();
    sort(&mut all, scene, order);
    let query = filter_of(scene.view).fitting(all.iter().map(haystack));
    let total = all.len();
    let (items, hidden): (Vec<Entry<'_>>, Vec<Entry<'_>>) = all.into_iter().partition(|entry| query.is_empty() || query.accepts(&haystack(entry)));
    scene.counted.set(Some((items.len(), total)));

    let class = listing::class(scene);
    let table = table::Table::of(class, &items);
    let sizes = items.iter().fold(BTreeMap::new(), |mut sizes, entry| {
        *sizes.entry(entry.group).or_insert(0) += 1;
        sizes
    });
    let plain = order == 0 && query.is_empty() && !scene.view.zoom;
    let (items, folded) = if plain { fold(scene, body, items) } else { (items, Vec::new()) };
    drawn.keys = items.iter().map(Entry::key).collect();
    let selected = super::selected(view, &drawn.keys);
    let columns = table.columns();
    let lead = |at: usize| lead(&items, at, order == 0, &sizes);
    let row = |at: usize| items.get(at).map_or_else(Row::new, |entry| table.row(scene, entry, lead(at), &query));
    let title = listing::title(scene, "packages", ORDERS[order]);
    let mut after: Vec<Vec<Span<'static>>> = Vec::new();
    if !folded.is_empty() {
        let mut words = vec![Span::styled(format!("{:indent$}{}", "", tail(&folded), indent = table.indent()), theme.dim)];
        words.push(Span::styled("   ", theme.dim));
        words.extend(scene.hint(Command::Zoom, "shows all"));
        after.push(words);
    }
    let count = |n: usize| format!("{} package{}", text::thousands(n as u64), if n == 1 { "" } else { "s" });
    match (total, current) {
        (0, 0) => after.extend(listing::verified(scene, sources.iter().copied(), "No package is listed")),
        (0, n) => after.extend(listing::verified(scene, sources.iter().copied(), &format!("All {} are up to date", count(n)))),
        (_, 0) => {}
        (_, n) => after.push(vec![Sign::Ok.span(theme), Span::styled(format!(" {} up to date", count(n)), theme.dim)]),
    }
    let critical = hidden.iter().filter(|entry| entry.package.and_then(score) >= Some(CRITICAL_CVSS)).count();
    let list = List {
        hidden: Hidden::of(hidden.len(), critical, ["package", "packages"]),
        after,
        ..listing::of(scene, &title, &columns, &row, &drawn.keys, selected)
    };
    let placed = listing::draw(pen, scene, body, &list, total, drawn);
    if let (Some(area), Some(entry)) = (placed.detail, selected.and_then(|at| items.get(at))) {
        detail::draw(pen, scene, entry, area, placed.whole, drawn);
    }
}

/// The rows, and how many packages need nothing.
fn entries<'a>(scene: &Scene<'a>, sources: &[&'a SourceState]) -> (Vec<Entry<'a>>, usize) {
    let (mut entries, mut current) = (Vec::new(), 0);
    for source in sources {
        let items = source.packages.as_ref().map(|(_, packages)| packages.items.as_slice()).unwrap_or_default();
        // Packages that are not known have rows of their own; the source's list of problems would tell them twice.
        let told = items.iter().any(|package| package.problem.is_some());
        let partly =
            !matches!(source.status, crate::domain::Status::Unknown | crate::domain::Status::Stale) && source.error.is_none() && source.checked_at.is_some();
        if let Some(trouble) = listing::trouble(scene, source).filter(|_| !(told && partly)) {
            entries.push(Entry { source, group: Group::Trouble, package: None, trouble: Some(trouble) });
        }
        for package in items {
            match Group::of(package, ended(scene, source, package)) {
                Some(group) => entries.push(Entry { source, group, package: Some(package), trouble: None }),
                // What was up to date when it was last seen is not said to be so now.
                None => current += usize::from(!listing::pale(scene, source)),
            }
        }
    }
    (entries, current)
}

fn haystack(entry: &Entry<'_>) -> String {
    let why = entry.trouble.as_ref().map_or("", |(_, why)| why.as_str());
    let (name, more) = entry.package.map_or(("", String::new()), |package| {
        let ids: Vec<&str> =
            package.advisories.iter().flat_map(|advisory| std::iter::once(&advisory.id).chain(&advisory.aliases)).map(String::as_str).collect();
        (package.name.as_str(), ids.join(" "))
    });
    format!("{name} {} {} {more} {why}", entry.group.word(), entry.source.spec.id)
}

/// Whether the release of a package that has dates of its own (`django`) is supported no longer.
fn ended(scene: &Scene<'_>, source: &SourceState, package: &Package) -> bool {
    end_of(scene, source, package).is_some()
}

/// The life line of such a release, where it has ended.
fn end_of<'a>(scene: &Scene<'a>, source: &SourceState, package: &Package) -> Option<&'a LifeLine> {
    let today = text::local(scene.now, scene.view.zone).date();
    let current = package.current()?;
    let of_site = scene.sources().filter(|(id, _)| id.site() == source.spec.id.site());
    let mut lines = of_site.flat_map(|(_, source)| source.life.iter().flat_map(|(_, lines)| &lines.items));
    lines.find(|line| {
        let series = line.cycle.as_deref().and_then(|cycle| current.strip_prefix(cycle));
        line.product == package.name && series.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) && line.phase(today) == Phase::Ended
    })
}

fn sort(entries: &mut [Entry<'_>], scene: &Scene<'_>, order: usize) {
    entries.sort_by(|a, b| {
        let scored = |entry: &Entry<'_>| entry.package.and_then(score).unwrap_or(-1.0);
        let by_score = || scored(b).total_cmp(&scored(a));
        // What waits longest comes first; where nothing tells, last.
        let out = |entry: &Entry<'_>| entry.package.and_then(released).unwrap_or(scene.now);
        let years = |entry: &Entry<'_>| entry.package.and_then(|package| package.libyears).unwrap_or(-1.0);
        let trouble = |entry: &Entry<'_>| entry.group != Group::Trouble;
        let first = match order {
            1 => Ordering::Equal,
            2 => by_score(),
            3 => out(a).cmp(&out(b)),
            4 => years(b).total_cmp(&years(a)),
            _ => a.group.cmp(&b.group).then_with(by_score).then_with(|| out(a).cmp(&out(b))),
        };
        let name = |entry: &Entry<'_>| entry.package.map(|package| package.name.clone());
        let (site, names) = (a.source.spec.id.cmp(&b.source.spec.id), name(a).cmp(&name(b)));
        let ordering = trouble(a).cmp(&trouble(b)).then(first);
        if order == 1 { ordering.then(names).then(site) } else { ordering.then(site).then(names) }
    });
}

/// When what would be moved to came out.
fn released(package: &Package) -> Option<crate::domain::Timestamp> {
    let newer = package.wanted.as_deref().filter(|wanted| Some(*wanted) != package.current());
    package.out(newer.or(package.latest.as_deref())?)
}

/// What stands in the first column of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// The group begins here and has so many.
    First(usize),
    /// Inside of a group.
    Within,
    /// Rows are not in groups: each says what it is.
    Alone,
}

fn lead(items: &[Entry<'_>], at: usize, grouped: bool, sizes: &BTreeMap<Group, usize>) -> Lead {
    let Some(group) = items.get(at).map(|entry| entry.group) else { return Lead::Within };
    if !grouped {
        return Lead::Alone;
    }
    let begins = at == 0 || items.get(at - 1).is_some_and(|before| before.group != group);
    if begins { Lead::First(sizes.get(&group).copied().unwrap_or(1)) } else { Lead::Within }
}

/// Takes the tails of the least urgent groups away as far as the list would not fit; gives what stays and what was taken away. What is
/// selected or marked stays.
fn fold<'a>(scene: &Scene<'_>, body: Rect, items: Vec<Entry<'a>>) -> (Vec<Entry<'a>>, Vec<Entry<'a>>) {
    let view = scene.view.list();
    let room = layout::split(&scene.rows, body, u16::MAX, layout::Wish::default()).list.map_or(0, |area| usize::from(area.height.saturating_sub(1)));
    if items.len() <= room {
        return (items, Vec::new());
    }
    let mut over = items.len() + 1 - room;
    let mut gone = vec![false; items.len()];
    for group in [Group::Patch, Group::Minor, Group::Major] {
        let of_group: Vec<usize> = (0..items.len()).filter(|at| items[*at].group == group).collect();
        for at in of_group.into_iter().skip(KEPT).rev() {
            let key = items[at].key();
            if over > 0 && view.selected.as_ref() != Some(&key) && !view.marked.contains(&key) {
                gone[at] = true;
                over -= 1;
            }
        }
    }
    // One row less and one line more is nothing gained.
    if gone.iter().filter(|gone| **gone).count() < 2 {
        return (items, Vec::new());
    }
    let (gone, kept): (Vec<_>, Vec<_>) = items.into_iter().zip(gone).partition(|(_, gone)| *gone);
    let bare = |all: Vec<(Entry<'a>, bool)>| all.into_iter().map(|(entry, _)| entry).collect::<Vec<_>>();
    (bare(kept), bare(gone))
}

/// `14 more: minor 5, patch 9`.
fn tail(folded: &[Entry<'_>]) -> String {
    let of = |group: Group| (folded.iter().filter(|entry| entry.group == group).count(), group.word());
    let parts: Vec<String> =
        [Group::Major, Group::Minor, Group::Patch].map(of).into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{word} {n}")).collect();
    format!("{} more: {}", folded.len(), parts.join(", "))
}

#[cfg(test)]
mod tests;
