//! Page 6: the packages that need care, in groups by what they need, and what is known of the selected one.
//!
//! What is up to date is counted, not listed; a manifest that could not be read is the first row, never a shorter list.

mod detail;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::attention::short;
use super::listing;
use crate::domain::{Bump, Capability, Package};
use crate::state::matching::Query;
use crate::state::menu::filter_of;
use crate::state::{Drawn, Page, Part, SourceState, item};
use crate::ui::layout::Class;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;
use crate::ui::theme::Theme;
use crate::ui::widgets::list::{Column, Hidden, List, Row, matched};

/// From this base score on, a weakness is critical.
const CRITICAL_CVSS: f64 = 9.0;

/// Cells of the last column where there is no room for two.
const WHY: usize = 14;

/// What a package needs, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Trouble,
    Vulnerable,
    Yanked,
    Abandoned,
    NotKnown,
    Major,
    Minor,
    Patch,
}

impl Group {
    /// What a package needs; `None`: nothing.
    fn of(package: &Package) -> Option<Self> {
        if !package.advisories.is_empty() {
            return Some(Self::Vulnerable);
        }
        if package.yanked {
            return Some(Self::Yanked);
        }
        if package.project_status.as_deref().is_some_and(|status| status != "active") {
            return Some(Self::Abandoned);
        }
        if package.problem.is_some() {
            return Some(Self::NotKnown);
        }
        package.bump.map(|bump| match bump {
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
    let view = scene.view.list();
    let (mut all, current) = entries(scene, &sources);
    sort(&mut all, scene);
    let query = filter_of(scene.view).fitting(all.iter().map(haystack));
    let total = all.len();
    let (items, hidden): (Vec<Entry<'_>>, Vec<Entry<'_>>) = all.into_iter().partition(|entry| query.is_empty() || query.accepts(&haystack(entry)));
    drawn.keys = items.iter().map(Entry::key).collect();
    let selected = super::selected(view, &drawn.keys);
    scene.counted.set(Some((items.len(), total)));

    let class = listing::class(scene);
    let table = Table::of(class, &items);
    let columns = table.columns();
    let row = |at: usize| items.get(at).map_or_else(Row::new, |entry| table.row(scene, entry, lead(&items, at), &query));
    let title = listing::title(scene, "packages", "");
    let mut after = Vec::new();
    let count = |n: usize| format!("{} package{}", text::thousands(n as u64), if n == 1 { "" } else { "s" });
    match (total, current) {
        (0, 0) => after.extend(listing::verified(scene, sources.iter().copied(), "No package is listed")),
        (0, n) => after.extend(listing::verified(scene, sources.iter().copied(), &format!("All {} are up to date", count(n)))),
        (_, 0) => {}
        (_, n) => after.push(vec![Sign::Ok.span(theme), Span::styled(format!(" {} up to date", count(n)), theme.dim)]),
    }
    let list = List {
        title: &title,
        remark: vec![],
        columns: &columns,
        len: items.len(),
        row: &row,
        selected,
        marked: drawn.keys.iter().enumerate().filter(|(_, key)| view.marked.contains(*key)).map(|(at, _)| at).collect(),
        offset: view.offset,
        focused: scene.view.focus == Part::List,
        hidden: (!hidden.is_empty()).then(|| Hidden {
            count: hidden.len(),
            critical: hidden.iter().filter(|entry| entry.package.and_then(score) >= Some(CRITICAL_CVSS)).count(),
            noun: if hidden.len() == 1 { "package" } else { "packages" },
        }),
        after,
        bare: class == Class::Narrow,
        tight: class == Class::Narrow,
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
            match Group::of(package) {
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

fn sort(entries: &mut [Entry<'_>], scene: &Scene<'_>) {
    entries.sort_by(|a, b| {
        let scored = |entry: &Entry<'_>| entry.package.and_then(score).unwrap_or(-1.0);
        // What waits longest comes first; where nothing tells, last.
        let out = |entry: &Entry<'_>| entry.package.and_then(|package| package.released_at).unwrap_or(scene.now);
        a.group
            .cmp(&b.group)
            .then_with(|| scored(b).total_cmp(&scored(a)))
            .then_with(|| out(a).cmp(&out(b)))
            .then_with(|| a.source.spec.id.cmp(&b.source.spec.id))
            .then_with(|| a.package.map(|package| &package.name).cmp(&b.package.map(|package| &package.name)))
    });
}

/// How many rows the group has that begins at this row; `None` inside of a group.
fn lead(items: &[Entry<'_>], at: usize) -> Option<usize> {
    let group = items.get(at)?.group;
    let begins = at == 0 || items.get(at - 1).is_some_and(|before| before.group != group);
    begins.then(|| items[at..].iter().take_while(|entry| entry.group == group).count())
}

/// The sign of a group by its worst member.
fn sign(group: Group, worst: Option<f64>, theme: &Theme) -> Span<'static> {
    match group {
        Group::Vulnerable if worst.is_some_and(|score| score >= CRITICAL_CVSS) => Sign::Crit.span(theme),
        Group::Vulnerable | Group::Yanked | Group::Abandoned => Sign::Warn.span(theme),
        Group::NotKnown | Group::Trouble => Sign::Unknown.span(theme),
        Group::Major | Group::Minor | Group::Patch => Span::styled("·", theme.dim),
    }
}

/// Which columns there is room for, and how wide they are.
#[derive(Debug, Clone, Copy)]
struct Table {
    class: Class,
    site: u16,
    version: u16,
}

impl Table {
    fn of(class: Class, items: &[Entry<'_>]) -> Self {
        let site = items.iter().map(|entry| text::width(entry.source.spec.id.site())).max().unwrap_or(4).clamp(4, 8) as u16;
        let widest = |package: &&Package| {
            let shown = [package.current(), package.wanted.as_deref(), package.latest.as_deref()];
            shown.into_iter().flatten().map(text::width).max().unwrap_or(0)
        };
        let versions = items.iter().filter_map(|entry| entry.package).map(|package| widest(&package)).max().unwrap_or(7);
        Self { class, site, version: versions.clamp(7, 10) as u16 }
    }

    fn columns(self) -> Vec<Column> {
        let version = |head| Column::left(self.version).head(head);
        let installed = Column::left(self.version.max(9)).head("installed");
        match self.class {
            Class::Narrow => vec![Column::left(1), Column::flex(), Column::hug(5)],
            Class::List => {
                vec![Column::left(1), Column::left(self.site), Column::flex(), version("wanted"), Column::left(5).head("bump"), Column::right(14).head("why")]
            }
            Class::Standard => vec![
                Column::left(14),
                Column::left(self.site),
                Column::flex(),
                installed,
                version("wanted"),
                version("latest"),
                Column::left(5).head("bump"),
                Column::right(14).head("CVSS, why"),
            ],
            Class::Wide | Class::Double => vec![
                Column::left(16),
                Column::left(self.site),
                Column::flex().gap(2),
                installed,
                version("wanted").gap(2),
                version("latest").gap(2),
                Column::left(5).head("bump").gap(2),
                Column::left(9).head("released").gap(2),
                Column::right(10).head("advisories").gap(1),
                Column::left(19).head("why it waits").gap(3),
            ],
        }
    }

    /// One row; `lead` is the size of its group where it is the first of it.
    fn row(self, scene: &Scene<'_>, entry: &Entry<'_>, lead: Option<usize>, query: &Query) -> Row {
        let theme = scene.theme;
        let class = self.class;
        let site = entry.source.spec.id.site().to_owned();
        let Some(package) = entry.package else {
            let (trouble, why) = entry.trouble.as_ref().map_or((Sign::Unknown, ""), |(sign, why)| (*sign, why.as_str()));
            let mut words = listing::words(scene, entry.source, trouble, why);
            let row = Row::new().spans(vec![if class < Class::Standard { trouble.span(theme) } else { trouble.with_word(theme) }]);
            if class == Class::Narrow {
                words.insert(0, Span::styled(format!("{site} "), theme.dim));
                return row.rest(words);
            }
            return row.cell(site, theme.text).rest(words);
        };
        let pale = listing::pale(scene, entry.source);
        let content = if pale { theme.dim } else { theme.text };
        let worst = score(package);
        let mut row = if class < Class::Standard {
            Row::new().spans(vec![sign(entry.group, worst, theme)])
        } else {
            Row::new().spans(lead.map_or_else(Vec::new, |count| {
                let strong = entry.group <= Group::Abandoned;
                let style = if strong { theme.bold(theme.text) } else { theme.text };
                let count = if class >= Class::Wide { format!(" {count:>2} ") } else { format!(" {count} ") };
                vec![sign(entry.group, worst, theme), Span::styled(format!("{count}{}", entry.group.word()), style)]
            }))
        };
        if class > Class::Narrow {
            row = row.cell(site, theme.dim);
        }
        let name = text::sanitise(&package.name).into_owned();
        row = row.spans(matched(&name, &query.marks(&name), content));
        let current = package.current();
        let or_unknown = |version: Option<&str>| version.map_or_else(|| "?".to_owned(), str::to_owned);
        if class >= Class::Standard {
            row = row.cell(or_unknown(current), theme.dim);
        }
        if let (Group::NotKnown, Some(problem), true) = (entry.group, &package.problem, class > Class::Narrow) {
            // Its versions are not known: the reason takes their place.
            return row.rest(vec![Span::styled(problem.clone(), theme.unknown)]);
        }
        let newer = package.wanted.is_some() && package.wanted.as_deref() != current;
        row = row.cell(or_unknown(package.wanted.as_deref()), if newer && !pale { theme.bold(theme.text) } else { theme.dim });
        if class == Class::Narrow {
            return row;
        }
        if class >= Class::Standard {
            let further = package.latest.is_some() && package.latest != package.wanted;
            row = row.cell(or_unknown(package.latest.as_deref()), if further { content } else { theme.dim });
        }
        let bump = match package.bump {
            Some(Bump::Major) => theme.warn,
            Some(Bump::Minor) => theme.text,
            _ => theme.dim,
        };
        row = row.cell(package.bump.map_or("", Bump::word), if pale { theme.dim } else { bump });
        let out = package.released_at.map(|at| short(&scene.age(at)));
        if class < Class::Wide {
            return row.spans(why(scene, entry, package, out));
        }
        row = row.cell(out.map_or_else(|| "?".to_owned(), |age| format!("{age} ago")), theme.dim);
        let advisories = match (package.advisories.len(), worst) {
            (0, _) => String::new(),
            (n, Some(score)) => format!("{n} · {score:.1}"),
            (n, None) => n.to_string(),
        };
        row = row.cell(advisories, judged(worst, theme));
        let (words, style) = reason(entry, package, theme);
        row.cell(words, style)
    }
}

/// Why a package waits, or what is wrong with it, in few words; may be empty.
fn reason(entry: &Entry<'_>, package: &Package, theme: &Theme) -> (String, Style) {
    match entry.group {
        Group::NotKnown => (package.problem.clone().unwrap_or_default(), theme.unknown),
        Group::Yanked => (package.yanked_reason.clone().unwrap_or_else(|| "withdrawn".to_owned()), theme.dim),
        Group::Abandoned => (format!("project {}", package.project_status.as_deref().unwrap_or("abandoned")), theme.dim),
        Group::Vulnerable if package.cure.is_none() => ("no cure yet".to_owned(), theme.warn),
        _ => (package.held_by.clone().unwrap_or_default(), theme.dim),
    }
}

/// The same in [`WHY`] cells with the score before it, or since when the new version is out.
fn why(scene: &Scene<'_>, entry: &Entry<'_>, package: &Package, out: Option<String>) -> Vec<Span<'static>> {
    let theme = scene.theme;
    let mut spans = Vec::new();
    let mut room = WHY;
    match (package.advisories.len(), score(package)) {
        (0, _) => {}
        (_, Some(score)) => spans.push(Span::styled(format!("{score:.1}"), judged(Some(score), theme))),
        (1, None) => spans.push(Span::styled("advisory", judged(None, theme))),
        (n, None) => spans.push(Span::styled(format!("{n} advis."), judged(None, theme))),
    }
    if let Some(span) = spans.first() {
        room -= text::width(&span.content) + 1;
    }
    let (mut words, style) = reason(entry, package, theme);
    if words.is_empty() {
        words = out.map_or_else(String::new, |age| format!("out {age}"));
    }
    let words = text::clip(&words, room).into_owned();
    if !words.is_empty() {
        spans.push(Span::styled(if spans.is_empty() { words } else { format!(" {words}") }, style));
    }
    spans
}

#[cfg(test)]
mod tests;
