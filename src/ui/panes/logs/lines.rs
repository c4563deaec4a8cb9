//! The lines themselves: which entries are on the screen, and how each of them looks.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use super::traceback::Folded;
use crate::domain::{Level, LogEvent, LogNotice};
use crate::state::logview::{Entry, Merged};
use crate::state::{Drawn, Filter, Part};
use crate::ui::layout::Class;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text::{self, sanitise, thousands};
use crate::ui::widgets::list::{CONTEXT, thumb};

/// Lines of one unfolded traceback at most; the rest is counted.
const UNFOLDED: usize = 200;

/// Where the columns of a line stand.
#[derive(Debug, Clone, Copy)]
struct Columns {
    millis: bool,
    file: bool,
    level: u16,
    text: u16,
    last: u16,
}

impl Columns {
    fn of(class: Class, area: Rect) -> Self {
        let last = area.right() - 3;
        match class {
            Class::Narrow => Self { millis: false, file: false, level: 7, text: 9, last },
            Class::List | Class::Standard => Self { millis: false, file: false, level: 10, text: 12, last },
            Class::Wide | Class::Double => Self { millis: true, file: true, level: 30, text: 32, last },
        }
    }

    const fn room(self) -> usize {
        (self.last + 1).saturating_sub(self.text) as usize
    }
}

/// One row on the screen.
enum Line {
    /// A mark or a day between two entries.
    Between(String),
    /// The (first) line of an entry.
    First(Vec<Span<'static>>),
    /// A further line of an entry, with its column relative to the text.
    More(u16, Vec<Span<'static>>),
}

struct Rows<'a> {
    scene: &'a Scene<'a>,
    merged: &'a Merged<'a>,
    search: &'a Filter,
    columns: Columns,
}

impl Rows<'_> {
    /// The rows of one entry, those between it and the one before it first.
    fn of(&self, index: usize) -> Vec<Line> {
        let mut rows = self.before(index);
        let Some(entry) = self.merged.entries().get(index) else { return rows };
        let Some(event) = self.merged.event(entry) else { return rows };
        let theme = self.scene.theme;
        let room = self.columns.room();
        let times = if entry.count > 1 { format!("   ×{} in {}", thousands(u64::from(entry.count)), span_text(entry.span_ms)) } else { String::new() };
        let message = sanitise(event.message.trim_end());
        // What stands there for its neighbours only is told from what was asked for.
        let style = if entry.context { theme.dim } else { theme.text };
        if self.scene.view.log.wrap && text::width(&message) > room {
            for (at, part) in text::wrap(&message, room).into_iter().enumerate() {
                let spans = self.highlighted(&part, style);
                rows.push(if at == 0 { Line::First(spans) } else { Line::More(0, spans) });
            }
        } else {
            let message = text::clip(&message, room.saturating_sub(text::width(&times)));
            let mut spans = self.highlighted(&message, style);
            if !times.is_empty() {
                spans.push(Span::styled(times, style));
            }
            rows.push(Line::First(spans));
        }
        if !event.detail.is_empty() {
            self.under(entry, event, &mut rows);
        }
        rows
    }

    /// A new day, then rotations and the like.
    fn before(&self, index: usize) -> Vec<Line> {
        let mut rows = Vec::new();
        let day = |entry: &Entry| super::day_of(entry.at, self.scene);
        if let (Some(here), Some(earlier)) = (self.merged.entries().get(index), index.checked_sub(1).and_then(|at| self.merged.entries().get(at)))
            && day(here) != day(earlier)
        {
            let format = if super::in_future(here.at, self.scene.now) { "%a %-d %b %Y" } else { "%a %-d %b" };
            rows.push(Line::Between(day(here).format(format).to_string()));
        }
        if index == 0 && !self.merged.entries().is_empty() && self.merged.horizon().is_none() {
            rows.push(Line::Between("nothing older is kept".to_owned()));
        }
        for (_, gap) in self.merged.gaps.iter().filter(|(before, _)| *before == index) {
            let (lines, how) = (thousands(gap.events), if gap.readable { "read again on the way down" } else { "the log itself has them" });
            rows.push(Line::Between(format!("{lines} events are not in memory, {how}")));
        }
        let zone = self.scene.view.zone;
        let from = self.merged.marks.partition_point(|mark| mark.before < index);
        for mark in self.merged.marks[from..].iter().take_while(|mark| mark.before == index) {
            let at = text::moment_short(mark.mark.at, self.scene.now, zone);
            rows.push(Line::Between(match mark.mark.notice {
                LogNotice::Rotated => format!("rotated {at}"),
                LogNotice::Truncated => format!("became shorter {at}"),
                LogNotice::Gone => format!("the file is gone since {at}"),
                LogNotice::Appeared => format!("the file appeared {at}"),
                LogNotice::Reconnected => format!("connected again {at}"),
                LogNotice::Skipped(1) => "1 line skipped, counted above".to_owned(),
                LogNotice::Skipped(lines) => format!("{} lines skipped, counted above", thousands(lines)),
            }));
        }
        rows
    }

    /// The traceback under an event, folded or not.
    fn under(&self, entry: &Entry, event: &LogEvent, rows: &mut Vec<Line>) {
        let theme = self.scene.theme;
        let key = self.merged.logs.get(entry.source).map(|(id, _)| (id.as_str().to_owned(), entry.seq));
        let open = key.is_some_and(|key| self.scene.view.log.unfolded.contains(&key));
        let folded = Folded::new(&event.detail);
        let exception = if event.level.is_error() || folded.frames > 0 { theme.bold(theme.crit) } else { theme.dim };
        let summary = folded.summary(event.detail.len());
        if !open {
            let mut spans = vec![Span::styled("▸ ", theme.accent), Span::styled(format!("{summary}  "), theme.dim)];
            let place = folded.place();
            // The place is a figure and stays whole; the exception gives way.
            let left = self.columns.room().saturating_sub(4 + text::width(&summary));
            let with_place = left > text::width(&place) + 12;
            let most = if with_place && !place.is_empty() { left - text::width(&place) - 2 } else { left };
            spans.extend(self.highlighted(&text::clip(folded.last, most), exception));
            if with_place && !place.is_empty() {
                spans.push(Span::styled(format!("  {}", sanitise(&place)), exception));
            }
            rows.push(Line::More(0, spans));
            return;
        }
        let bar = || Span::styled("│ ", theme.faint);
        if folded.frames == 0 {
            rows.push(Line::More(0, vec![Span::styled("▾ ", theme.accent), Span::styled(summary, theme.dim)]));
            for line in event.detail.iter().take(UNFOLDED) {
                let mut spans = vec![bar()];
                spans.extend(self.highlighted(&sanitise(line), theme.text));
                rows.push(Line::More(0, spans));
            }
            if let Some(more) = event.detail.len().checked_sub(UNFOLDED).filter(|more| *more > 0) {
                rows.push(Line::More(0, vec![bar(), Span::styled(format!("{} more lines", thousands(more as u64)), theme.dim)]));
            }
            return;
        }
        let hidden = folded.frames - folded.own.len();
        let summary = if hidden > 0 { format!("{summary}, {hidden} folded") } else { summary };
        rows.push(Line::More(0, vec![Span::styled("▾ ", theme.accent), Span::styled(summary, theme.dim)]));
        let skipped = folded.own.len().saturating_sub(UNFOLDED / 2);
        for (at, frame) in folded.own.iter().enumerate().skip(skipped) {
            rows.push(Line::More(0, vec![bar(), Span::styled(sanitise(frame.head).into_owned(), theme.dim)]));
            if !frame.code.is_empty() {
                let style = if at + 1 == folded.own.len() { theme.bold(theme.text) } else { theme.text };
                let mut spans = vec![bar(), Span::raw("  ")];
                spans.extend(self.highlighted(&sanitise(frame.code), style));
                rows.push(Line::More(0, spans));
            }
        }
        let mut spans = vec![bar()];
        spans.extend(self.highlighted(&sanitise(folded.last), exception));
        rows.push(Line::More(0, spans));
    }

    /// A text with what is searched for underlined.
    fn highlighted(&self, text: &str, style: Style) -> Vec<Span<'static>> {
        let mut spans = Vec::new();
        let mut done = 0;
        for range in self.search.ranges(text) {
            if range.start > done {
                spans.push(Span::styled(text[done..range.start].to_owned(), style));
            }
            spans.push(Span::styled(text[range.clone()].to_owned(), self.scene.theme.matched(style)));
            done = range.end;
        }
        if done < text.len() || spans.is_empty() {
            spans.push(Span::styled(text[done..].to_owned(), style));
        }
        spans
    }
}

fn span_text(ms: u32) -> String {
    if ms == 0 { "0 s".to_owned() } else { "1 s".to_owned() }
}

/// Which entry stands at the top, and how many of its rows are above the screen.
fn top(rows: &Rows<'_>, selected: usize, height: usize, before: Option<(usize, usize)>) -> (usize, usize) {
    let heights = |index: usize| rows.of(index).len();
    // Such that the entry `index` ends `below` rows above the bottom.
    let ending = |index: usize, below: usize| {
        let mut left = height.saturating_sub(below).max(1);
        let mut at = index;
        loop {
            let tall = heights(at);
            if tall >= left {
                return (at, tall - left);
            }
            left -= tall;
            match at.checked_sub(1) {
                Some(earlier) => at = earlier,
                None => return (0, 0),
            }
        }
    };
    let end = rows.merged.entries().len().saturating_sub(1);
    let bottom = ending(end, 0);
    let (first, skip) = before.unwrap_or(bottom);
    let context = CONTEXT.min(height.saturating_sub(1) / 2);
    // Where the selected entry stands, as far as it is near.
    if selected < first || (selected == first && skip > 0) {
        // It begins `context` rows below the top.
        let mut left = context;
        let mut at = selected;
        while let Some(earlier) = at.checked_sub(1) {
            let tall = heights(earlier);
            at = earlier;
            if tall >= left {
                return (at, tall - left).min(bottom);
            }
            left -= tall;
        }
        return (0, 0);
    }
    let mut row = 0usize;
    for index in first..selected {
        row += heights(index);
        if row > height + skip {
            return ending(selected, context).min(bottom);
        }
    }
    let begin = row.saturating_sub(skip);
    let tall = heights(selected);
    if begin + tall + context > height && selected < end {
        // A tall entry shows its beginning.
        return if tall + context >= height { (selected, 0).min(bottom) } else { ending(selected, context).min(bottom) };
    }
    if begin < context && (first, skip) != (0, 0) {
        return top(rows, selected, height, Some((selected + 1, 0)));
    }
    (first, skip).min(bottom)
}

/// The entry that stood at the top in the frame before, by the keys of its rows.
fn anchor(rows: &Rows<'_>, drawn: &Drawn) -> Option<(usize, usize)> {
    let key = drawn.keys.first()?;
    let (id, seq) = key.rsplit_once('#')?;
    let key = (id.to_owned(), seq.parse().ok()?);
    let index = rows.merged.position(Some(&key))?;
    let shown = drawn.keys.iter().take_while(|other| Some(*other) == drawn.keys.first()).count();
    let same = rows.merged.key(index).is_some_and(|now| now == key);
    Some((index, if same && drawn.keys.len() > shown { rows.of(index).len().saturating_sub(shown) } else { 0 }))
}

/// Draws the lines into `area` and says in `drawn` which entry stands in which row: one key for each row, `source#seq`.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, merged: &Merged<'_>, search: &Filter, area: Rect, drawn: &mut Drawn) {
    drawn.top = area.y;
    drawn.height = usize::from(area.height);
    drawn.offset = 0;
    let Some(selected) = merged.position(scene.view.log.selected.as_ref()) else { return };
    if area.height == 0 {
        return;
    }
    let rows = Rows { scene, merged, search, columns: Columns::of(scene.rows.class, area) };
    let height = usize::from(area.height);
    let follows = scene.view.log.selected.is_none();
    let before = if follows { None } else { anchor(&rows, &scene.view.drawn) };
    let (first, mut skip) = top(&rows, selected, height, before);
    let mut y = area.y;
    let mut index = first;
    while y < area.bottom() && index < merged.entries().len() {
        let key = merged.key(index).map(|(id, seq)| format!("{id}#{seq}")).unwrap_or_default();
        for line in rows.of(index).iter().skip(std::mem::take(&mut skip)) {
            if y >= area.bottom() {
                break;
            }
            row(pen, &rows, index, line, y, area, selected == index);
            drawn.keys.push(key.clone());
            y += 1;
        }
        index += 1;
    }
    // What happened after the last line.
    for line in rows.before(merged.entries().len()) {
        if y < area.bottom() {
            row(pen, &rows, merged.entries().len(), &line, y, area, false);
            y += 1;
        }
    }
    thumb(pen, area.right() - 1, area.y, height, first, merged.entries().len().max(first + height - usize::from(index >= merged.entries().len())));
}

fn row(pen: &mut Pen<'_>, rows: &Rows<'_>, index: usize, line: &Line, y: u16, area: Rect, selected: bool) {
    let theme = rows.scene.theme;
    let columns = rows.columns;
    match line {
        Line::Between(text) => {
            let wide = text::width(text) as u16 + 6;
            let x = (area.width.saturating_sub(wide)) / 2;
            pen.spans(x.max(1), y, columns.last, &[Span::styled("── ", theme.faint), Span::styled(text.clone(), theme.dim), Span::styled(" ──", theme.faint)]);
        }
        Line::More(indent, spans) => {
            pen.spans(columns.text + indent, y, columns.last, spans);
        }
        Line::First(spans) => {
            let Some(entry) = rows.merged.entries().get(index) else { return };
            let focused = rows.scene.view.focus == Part::List;
            let marked = is_bookmarked(rows, entry);
            prefix(pen, rows, entry, y);
            let mut spans = spans.clone();
            if selected && focused {
                for span in &mut spans {
                    span.style = span.style.add_modifier(Modifier::BOLD);
                }
            }
            pen.spans(columns.text, y, columns.last, &spans);
            if selected {
                pen.tint(area.x, y, area.right() - 1, theme.selection);
                pen.glyph(area.x, y, '▌', if focused { theme.accent } else { theme.dim });
            } else if marked {
                pen.glyph(area.x, y, '▪', theme.accent);
            }
        }
    }
}

/// Whether any of the events of an entry is bookmarked.
fn is_bookmarked(rows: &Rows<'_>, entry: &Entry) -> bool {
    let Some((id, _)) = rows.merged.logs.get(entry.source) else { return false };
    let key = |seq| (id.as_str().to_owned(), seq);
    !rows.scene.view.log.bookmarks.is_empty() && rows.scene.view.log.bookmarks.range(key(entry.seq)..=key(entry.last_seq)).next().is_some()
}

/// Time, file and level.
fn prefix(pen: &mut Pen<'_>, rows: &Rows<'_>, entry: &Entry, y: u16) {
    let scene = rows.scene;
    let theme = scene.theme;
    let columns = rows.columns;
    // Lines carry their time of day; `T` turns it to how long ago it was.
    if scene.view.absolute {
        pen.right(1, y, 8.min(columns.level - 2), &scene.age(entry.at), theme.dim);
    } else if scene.rows.class == Class::Narrow {
        pen.put(1, y, 5, &text::minute(entry.at, scene.view.zone), theme.dim);
    } else {
        let millis = if columns.millis { format!(" .{:03}", entry.at.timestamp_subsec_millis()) } else { String::new() };
        pen.put(1, y, columns.level - 2, &format!("{}{millis}", text::second(entry.at, scene.view.zone)), theme.dim);
    }
    if columns.file
        && let Some(event) = rows.merged.event(entry)
        && let Some(log) = rows.merged.log(entry)
    {
        let file = log.files.get(usize::from(event.file)).map_or("", |file| file.rsplit('/').next().unwrap_or(file));
        pen.put(15, y, 27, &text::clip_middle(file, 13), theme.dim);
    }
    let style = match entry.level {
        _ if entry.context => theme.dim,
        Level::Error | Level::Critical => theme.reversed(theme.bold(theme.crit)),
        Level::Warning => theme.bold(theme.warn),
        Level::Info | Level::Debug => theme.dim,
    };
    pen.glyph(columns.level, y, entry.level.letter(), style);
}
