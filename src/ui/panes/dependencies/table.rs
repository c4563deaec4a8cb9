//! The columns of the list of packages and what stands in them.
//!
//! What does not belong here: which packages have a row, and in what order (`mod`).

use std::collections::BTreeMap;

use ratatui::style::Style;
use ratatui::text::Span;

use super::{CRITICAL_CVSS, Entry, Group, Lead, end_of, judged, released, score};
use crate::domain::{Bump, Package};
use crate::state::matching::Query;
use crate::state::offering::pending;
use crate::ui::layout::Class;
use crate::ui::panes::attention::short;
use crate::ui::panes::listing;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;
use crate::ui::theme::Theme;
use crate::ui::widgets::list::{Column, Row, matched};

/// Cells of the last column where there is no room for two.
const WHY: usize = 14;

/// The sign of a group by its worst member.
fn sign(group: Group, worst: Option<f64>, theme: &Theme) -> Span<'static> {
    match group {
        Group::Vulnerable if worst.is_some_and(|score| score >= CRITICAL_CVSS) => Sign::Crit.span(theme),
        Group::Vulnerable | Group::Yanked | Group::Abandoned | Group::EndOfLife => Sign::Warn.span(theme),
        Group::NotKnown | Group::Trouble => Sign::Unknown.span(theme),
        Group::Major | Group::Minor | Group::Patch => Span::styled("·", theme.dim),
    }
}

/// Which columns there is room for, and how wide they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    class: Class,
    lead: u16,
    site: u16,
    version: u16,
}

impl Table {
    /// For these rows.
    pub(super) fn of(class: Class, items: &[Entry<'_>]) -> Self {
        let site = items.iter().map(|entry| text::width(entry.source.spec.id.site())).max().unwrap_or(4).clamp(4, 8) as u16;
        let widest = |package: &&Package| {
            let shown = [package.current(), package.wanted.as_deref(), package.latest.as_deref()];
            shown.into_iter().flatten().map(text::width).max().unwrap_or(0)
        };
        let versions = items.iter().filter_map(|entry| entry.package).map(|package| widest(&package)).max().unwrap_or(7);
        let mut sizes: BTreeMap<Group, usize> = BTreeMap::new();
        for entry in items {
            *sizes.entry(entry.group).or_default() += 1;
        }
        let least = if class >= Class::Wide { 16 } else { 14 };
        let lead = sizes.iter().map(|(group, count)| text::width(group.word()) + 3 + count.to_string().len().max(usize::from(least == 16) * 2)).max();
        Self { class, lead: lead.unwrap_or(0).clamp(least, 18) as u16, site, version: versions.clamp(7, 10) as u16 }
    }

    /// Cells before the site, for lines under the rows.
    pub(super) const fn indent(self) -> usize {
        match self.class {
            Class::Narrow | Class::List => 2,
            Class::Standard | Class::Wide | Class::Double => self.lead as usize + 1,
        }
    }

    /// The columns.
    pub(super) fn columns(self) -> Vec<Column> {
        let version = |head| Column::left(self.version).head(head);
        let installed = Column::left(self.version.max(9)).head("installed");
        match self.class {
            Class::Narrow => vec![Column::left(1), Column::flex(), Column::hug(5)],
            Class::List => {
                vec![Column::left(1), Column::left(self.site), Column::flex(), version("wanted"), Column::left(5).head("bump"), Column::right(14).head("why")]
            }
            Class::Standard => vec![
                Column::left(self.lead),
                Column::left(self.site),
                Column::flex(),
                installed,
                version("wanted"),
                version("latest"),
                Column::left(5).head("bump"),
                Column::right(WHY as u16).head("CVSS, why").gap(0),
            ],
            Class::Wide | Class::Double => vec![
                Column::left(self.lead),
                Column::left(self.site),
                Column::flex().gap(2),
                installed,
                Column::left(self.version.max(8)).head("wanted"),
                Column::left(self.version.max(8)).head("latest"),
                Column::left(5).head("bump"),
                Column::left(10).head("released").gap(2),
                Column::right(10).head("advisories").gap(0),
                Column::left(20).head("why it waits").gap(3),
            ],
        }
    }

    /// One row.
    pub(super) fn row(self, scene: &Scene<'_>, entry: &Entry<'_>, lead: Lead, query: &Query) -> Row {
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
            let count = match lead {
                Lead::First(count) if class >= Class::Wide => Some(format!(" {count:>2} ")),
                Lead::First(count) => Some(format!(" {count} ")),
                Lead::Within => None,
                Lead::Alone => Some(" ".to_owned()),
            };
            Row::new().spans(count.map_or_else(Vec::new, |count| {
                let strong = entry.group <= Group::EndOfLife;
                let style = if strong { theme.bold(theme.text) } else { theme.text };
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
        let bump = match package.at_hand() {
            Some(Bump::Major) => theme.warn,
            Some(Bump::Minor) => theme.text,
            _ => theme.dim,
        };
        row = row.cell(package.at_hand().map_or("", Bump::word), if pale { theme.dim } else { bump });
        let out = released(package).map(|at| short(&scene.age(at)));
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
        let (words, style) = reason(scene, entry, package, true);
        row.cell(words, style)
    }
}

/// Why a package waits, or what is wrong with it, in few words; may be empty.
fn reason(scene: &Scene<'_>, entry: &Entry<'_>, package: &Package, wide: bool) -> (String, Style) {
    let theme = scene.theme;
    if pending(scene.world, &entry.source.spec.id, &package.name).is_some() {
        return (if wide { "▸ upgrade runs" } else { "▸ upgrading" }.to_owned(), theme.accent);
    }
    let held = package.held_by.as_deref().map(|held| held_by(scene, package, held, wide));
    match entry.group {
        Group::NotKnown => (package.problem.clone().unwrap_or_default(), theme.unknown),
        Group::Yanked => (package.yanked_reason.clone().unwrap_or_else(|| "withdrawn".to_owned()), theme.dim),
        Group::Abandoned => (format!("project {}", package.project_status.as_deref().unwrap_or("abandoned")), theme.dim),
        Group::EndOfLife => {
            let end = end_of(scene, entry.source, package).and_then(|line| line.security_until);
            let ended = end.map_or_else(|| "ended".to_owned(), |end| format!("ended {}", end.format("%-d %b %Y")));
            held.map_or((ended, theme.warn), |held| (held, theme.dim))
        }
        Group::Vulnerable if package.cure.is_none() => ("no cure yet".to_owned(), theme.warn),
        Group::Vulnerable => {
            let due = package.due().map(|due| scene.due(due));
            // A manifest that forbids what cures comes before the day by which it should be in.
            let held = held.filter(|_| package.wanted.as_deref() == package.current());
            match (due, held) {
                (Some(due), None) if due.late => (if wide { format!("policy: {}", due.text) } else { due.text }, theme.bold(theme.warn)),
                (_, Some(held)) => (held, theme.dim),
                (Some(due), None) => {
                    let left = due.text.strip_prefix("in ").map_or_else(|| due.text.clone(), |left| format!("{left} left"));
                    (if wide { format!("policy: {left}") } else { left }, theme.dim)
                }
                (None, None) => (String::new(), theme.dim),
            }
        }
        _ => (held.unwrap_or_default(), theme.dim),
    }
}

/// What holds a package, in words: `celery wants <6`, `needs Python 3.12`, `pinned, line 14`, `cool-down, 3 d left`.
fn held_by(scene: &Scene<'_>, package: &Package, held: &str, wide: bool) -> String {
    if !wide {
        // The line of the manifest and the bound stand in the detail.
        return if held.starts_with("pinned") { "pinned" } else { held }.to_owned();
    }
    if let Some(until) = package.cooling_until {
        let due = scene.due(until).text;
        return format!("{held}, {}", due.strip_prefix("in ").map_or_else(|| due.clone(), |left| format!("{left} left")));
    }
    if held.starts_with("Python ") {
        return format!("needs {held}");
    }
    if held.starts_with("pinned") || held.starts_with(['<', '>', '=', '!', '~', '^']) {
        let line = package.place.as_deref().and_then(|place| place.rsplit_once(':')).map(|(_, line)| line);
        let line = line.filter(|line| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()));
        return line.map_or_else(|| held.to_owned(), |line| format!("{held}, line {line}"));
    }
    match held.split_once(' ') {
        Some((who, bound)) if bound.starts_with(['<', '>', '=', '!', '~', '^']) => format!("{who} wants {bound}"),
        _ => held.to_owned(),
    }
}

/// The same in [`WHY`] cells with the score before it, or since when the new version is out.
fn why(scene: &Scene<'_>, entry: &Entry<'_>, package: &Package, out: Option<String>) -> Vec<Span<'static>> {
    let theme = scene.theme;
    let mut spans = Vec::new();
    // The column begins right after the one before it.
    let mut room = WHY - 1;
    match (package.advisories.len(), score(package)) {
        (0, _) => {}
        (_, Some(score)) => spans.push(Span::styled(format!("{score:.1}"), judged(Some(score), theme))),
        (1, None) => spans.push(Span::styled("advisory", judged(None, theme))),
        (n, None) => spans.push(Span::styled(format!("{n} advis."), judged(None, theme))),
    }
    if let Some(span) = spans.first() {
        room -= text::width(&span.content) + 1;
    }
    let (mut words, style) = reason(scene, entry, package, false);
    if words.is_empty() {
        words = out.map_or_else(String::new, |age| format!("out {age}"));
    }
    let words = text::clip(&words, room).into_owned();
    if !words.is_empty() {
        spans.push(Span::styled(if spans.is_empty() { words } else { format!(" {words}") }, style));
    }
    spans
}
