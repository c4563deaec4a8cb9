//! Page 7: the data sets, how much of each promise is used, their last sixty days, and what is known of the selected one.

mod calendar;
mod detail;
mod holds;
mod jobs;

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::attention::short;
use super::listing;
use crate::backups::schedule::Job;
use crate::domain::time::{human, since, size_text};
use crate::domain::{Backup, Capability, Copy, Status, Timestamp};
use crate::rules::backups::tries::is_late;
use crate::state::matching::Query;
use crate::state::menu::filter_of;
use crate::state::{Drawn, Page, SourceState, item};
use crate::ui::layout::Class;
use crate::ui::pen::{Pen, spans_width};
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;
use crate::ui::widgets::bar;
use crate::ui::widgets::list::{Column, Hidden, List, Row, matched};
use crate::ui::widgets::sparkline::{self, Bucket, Height};

/// A body of fewer rows keeps the detail and has no calendar.
const WITH_CALENDAR: u16 = 18;
/// Rows that the detail keeps under the calendar.
const DETAIL: u16 = 6;
/// Days of the sparkline of sizes.
const SIZES_D: i64 = 30;

/// One row: a data set.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    source: &'a SourceState,
    backup: Option<&'a Backup>,
}

impl<'a> Entry<'a> {
    fn key(&self) -> String {
        item::key(&self.source.spec.id, self.source.spec.id.name())
    }

    fn name(&self) -> &'a str {
        let spec = &self.source.spec;
        if spec.title.is_empty() { spec.id.name() } else { &spec.title }
    }

    /// The share of the promise that is used; nothing where there is no promise or no copy.
    fn share(&self, now: Timestamp) -> Option<f64> {
        let backup = self.backup?;
        let limit = backup.max_age_s.filter(|limit| *limit > 0)?;
        Some(since(backup.last_success?, now).as_secs_f64() / limit as f64)
    }

    /// Whether what is shown is known to be so now.
    fn known(&self) -> bool {
        !matches!(self.source.status, Status::Unknown | Status::Stale)
    }

    fn sign(&self) -> Sign {
        if self.source.checked_at.is_none() && self.source.status == Status::Pending { Sign::Waiting } else { Sign::from(self.source.status) }
    }
}

/// Whether the size is what is odd about a backup.
fn odd_size(backup: &Backup) -> bool {
    let small = backup.min_size_bytes.zip(backup.size_bytes).is_some_and(|(least, size)| size < least);
    small || backup.complaints.iter().any(|complaint| complaint.starts_with("shrank") || complaint.starts_with("grew"))
}

/// Draws the page.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect, drawn: &mut Drawn) {
    let all: Vec<Entry<'_>> = scene
        .sources()
        .filter(|(_, source)| source.spec.capability == Capability::Backup)
        .map(|(_, source)| Entry { source, backup: source.backup.as_ref().map(|(_, backup)| &**backup) })
        .collect();
    if all.is_empty() {
        return super::empty::draw(pen, scene, body, Page::Backups);
    }
    let view = scene.view.list();
    let query = filter_of(scene.view).fitting(all.iter().map(haystack));
    let total = all.len();
    let (mut items, hidden): (Vec<Entry<'_>>, Vec<Entry<'_>>) = all.into_iter().partition(|entry| query.is_empty() || query.accepts(&haystack(entry)));
    items.sort_by(|a, b| {
        let share = |entry: &Entry<'_>| entry.share(scene.now).unwrap_or(-1.0);
        let status = |entry: &Entry<'_>| entry.source.status.rank();
        status(a).cmp(&status(b)).then_with(|| share(b).total_cmp(&share(a))).then_with(|| a.source.spec.id.cmp(&b.source.spec.id))
    });
    drawn.keys = items.iter().map(Entry::key).collect();
    let selected = super::selected(view, &drawn.keys);
    scene.counted.set(Some((items.len(), total)));

    let class = listing::class(scene);
    let table = Table::of(class, &items);
    let columns = table.columns();
    let row = |at: usize| items.get(at).map_or_else(Row::new, |entry| table.row(scene, entry, &query));
    let title = listing::title(scene, "backups", "");
    let critical = hidden.iter().filter(|entry| entry.source.status == Status::Down).count();
    let list = List { hidden: Hidden::of(hidden.len(), critical, ["backup", "backups"]), ..listing::of(scene, &title, &columns, &row, &drawn.keys, selected) };
    let placed = listing::draw(pen, scene, body, &list, total, drawn);
    if let Some(below) = placed.below {
        calendar::draw(pen, scene, &items, selected, below);
    }
    let Some(mut area) = placed.detail else { return };
    if !placed.whole && placed.below.is_none() && body.height >= WITH_CALENDAR && class >= Class::Standard {
        let gap = u16::from(scene.rows.airy);
        let height = (items.len() as u16 + 2).min(area.height.saturating_sub(DETAIL + gap));
        if height > 2 {
            calendar::draw(pen, scene, &items, selected, Rect { height, ..area });
            area = Rect { y: area.y + height + gap, height: area.height - height - gap, ..area };
        }
    }
    if let Some(entry) = selected.and_then(|at| items.get(at)) {
        detail::draw(pen, scene, entry, area, placed.whole, drawn);
    }
}

fn haystack(entry: &Entry<'_>) -> String {
    let backup = entry.backup.map_or(String::new(), |backup| format!("{} {} {}", backup.tool, backup.place, backup.complaints.join(" ")));
    format!("{} {} {} {backup}", entry.source.spec.id, entry.name(), entry.source.status.word())
}

/// Which columns there is room for, and how wide they are.
#[derive(Debug, Clone, Copy)]
struct Table {
    class: Class,
    sign: u16,
    site: u16,
    /// Cells of the bar before its promise.
    track: u16,
    /// Cells of the words beside it.
    words: u16,
}

impl Table {
    fn of(class: Class, items: &[Entry<'_>]) -> Self {
        let site = items.iter().map(|entry| text::width(entry.source.spec.id.site())).max().unwrap_or(4).clamp(4, 10) as u16;
        let word = items.iter().map(|entry| entry.sign().word().len()).max().unwrap_or(4) as u16;
        match class {
            Class::Narrow => Self { class, sign: 1, site: site.min(5), track: 5, words: 12 },
            Class::List => Self { class, sign: 1, site, track: 8, words: 13 },
            Class::Standard => Self { class, sign: word + 2, site, track: 8, words: 14 },
            Class::Wide | Class::Double => Self { class, sign: 7, site, track: 14, words: 13 },
        }
    }

    const fn bar(self) -> u16 {
        self.track + 1 + bar::SPILL as u16
    }

    fn columns(self) -> Vec<Column> {
        let promise = Column::left(self.bar() + self.words).head("age of promise");
        let (check, drill) = (Column::right(5).head("check"), Column::right(6).head("drill"));
        match self.class {
            Class::Narrow => vec![Column::left(1), Column::left(self.site), Column::flex(), promise],
            Class::List => vec![Column::left(1), Column::left(self.site), Column::flex(), promise, check, drill],
            Class::Standard => vec![
                Column::left(self.sign),
                Column::left(self.site),
                Column::flex(),
                promise,
                Column::right(10).head("size"),
                Column::right(6).head("copies"),
                check,
                drill,
            ],
            Class::Wide | Class::Double => vec![
                Column::left(self.sign),
                Column::left(self.site),
                Column::flex().gap(2).head("data set"),
                Column::left(11).head("tool"),
                promise,
                Column::left(12).head("30 days").gap(3),
                Column::right(9).head("size").gap(3),
                Column::right(6).head("copies").gap(2),
                check,
                drill,
            ],
        }
    }

    fn row(self, scene: &Scene<'_>, entry: &Entry<'_>, query: &Query) -> Row {
        let theme = scene.theme;
        let class = self.class;
        let sign = entry.sign();
        let content = if entry.known() && !scene.offline() { theme.text } else { theme.dim };
        let name = text::sanitise(entry.name()).into_owned();
        let mut row = Row::new()
            .spans(vec![if class < Class::Standard { sign.span(theme) } else { sign.with_word(theme) }])
            .cell(entry.source.spec.id.site().to_owned(), theme.dim)
            .spans(matched(&name, &query.marks(&name), theme.text));
        if class >= Class::Wide {
            let tool = entry.backup.map_or(entry.source.spec.id.kind(), |backup| if backup.tool.is_empty() { "?" } else { &backup.tool });
            row = row.cell(tool.to_owned(), theme.dim);
        }
        row = row.spans(self.promise(scene, entry));
        if class == Class::Narrow {
            return row;
        }
        let unknown = || ("?".to_owned(), theme.dim);
        let Some(backup) = entry.backup else {
            let columns = match class {
                Class::List => 2,
                Class::Standard => 4,
                _ => 5,
            };
            let first = if class >= Class::Wide { row.cell("", theme.dim) } else { row };
            return (usize::from(class >= Class::Wide)..columns).fold(first, |row, _| row.cell("?", theme.dim));
        };
        if class >= Class::Wide {
            row = row.spans(sparkline::spans(&sizes(&backup.copies, scene.now, 12), Height::Sizes, (!entry.known()).then_some(theme.dim), theme));
        }
        if class >= Class::Standard {
            let (size, style) = backup.size_bytes.map_or_else(unknown, |size| (size_text(size), content));
            row = row.cell(size, if odd_size(backup) { theme.bold(theme.warn) } else { style });
            // In one place only, they are lost with it.
            let (places, style) = match backup.places.len() as u64 {
                0 => ("–".to_owned(), theme.dim),
                places => (text::thousands(places), if places == 1 { theme.bold(theme.warn) } else { content }),
            };
            row = row.cell(places, style);
        }
        let (check, style) = checked(scene, entry, backup, content);
        row = row.cell(check, style);
        let (drill, style) = drilled(scene, entry, backup, content);
        row.cell(drill, style)
    }

    /// The bar and its words.
    fn promise(self, scene: &Scene<'_>, entry: &Entry<'_>) -> Vec<Span<'static>> {
        let theme = scene.theme;
        let over = entry.share(scene.now).unwrap_or(0.0);
        let mut spans = match entry.share(scene.now) {
            Some(share) => bar::spans(share, usize::from(self.track), entry.known(), theme),
            None => vec![Span::raw(" ".repeat(usize::from(self.bar())))],
        };
        let (words, style) = match (entry.backup, entry.sign()) {
            (None, Sign::Waiting) => ("·".to_owned(), theme.dim),
            (None, _) => ("not known".to_owned(), theme.unknown),
            (Some(backup), _) => match (backup.last_success, backup.max_age_s) {
                (None, _) => ("no good copy".to_owned(), theme.bold(theme.crit)),
                (Some(at), Some(limit)) => {
                    let style = match over {
                        _ if !entry.known() => theme.bold(theme.unknown),
                        over if over > 1.5 => theme.bold(theme.crit),
                        over if over > 1.0 => theme.bold(theme.warn),
                        _ => theme.text,
                    };
                    (format!("{} of {}", short(&scene.age(at)), human(Duration::from_secs(limit))), style)
                }
                (Some(at), None) => (short(&scene.age(at)), theme.text),
            },
        };
        let words = text::clip(&words, usize::from(self.words)).into_owned();
        let blanks = usize::from(self.bar() + self.words).saturating_sub(usize::from(spans_width(&spans)) + text::width(&words));
        spans.push(Span::raw(" ".repeat(blanks)));
        spans.push(Span::styled(words, style));
        spans
    }
}

/// When the content was last checked.
fn checked(scene: &Scene<'_>, entry: &Entry<'_>, backup: &Backup, content: Style) -> (String, Style) {
    let theme = scene.theme;
    let warn = theme.bold(theme.warn);
    match (&backup.check, backup.checked_at) {
        (Some(check), _) if !check.ok => ("failed".to_owned(), theme.bold(theme.crit)),
        (_, Some(at)) => (short(&scene.age(at)), if is_late(entry.source, backup, Job::Check, scene.now) { warn } else { content }),
        (_, None) => ("never".to_owned(), warn),
    }
}

/// When it was last restored.
fn drilled(scene: &Scene<'_>, entry: &Entry<'_>, backup: &Backup, content: Style) -> (String, Style) {
    let theme = scene.theme;
    let warn = theme.bold(theme.warn);
    match &backup.drill {
        Some(drill) if drill.ok => (short(&scene.age(drill.at)), if is_late(entry.source, backup, Job::Drill, scene.now) { warn } else { content }),
        Some(_) => ("failed".to_owned(), theme.bold(theme.crit)),
        None => ("never".to_owned(), warn),
    }
}

/// The sizes of the last days in so many cells, the last of each; what is not whole is a failure.
fn sizes(copies: &[Copy], now: Timestamp, cells: usize) -> Vec<Bucket> {
    let mut buckets = vec![Bucket::Gap; cells];
    let span = SIZES_D.unsigned_abs() as usize * 86_400;
    for copy in copies {
        let ago = usize::try_from((now - copy.at).num_seconds()).ok().map(|ago| ago.saturating_mul(cells) / span);
        let Some(place) = ago.and_then(|ago| cells.checked_sub(ago + 1)) else { continue };
        buckets[place] = match (copy.complete, copy.size_bytes) {
            (Some(false), _) => Bucket::Failed,
            (_, Some(size)) => Bucket::Value(size as f64),
            _ => buckets[place],
        };
    }
    buckets
}

#[cfg(test)]
mod tests;
