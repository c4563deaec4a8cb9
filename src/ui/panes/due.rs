//! Page 9: what has a date, the nearest first, with how full the coming weeks are above it and the evidence of the selected one below.
//!
//! What does not belong here: what a finding's detail says (`finding`), which rule gives it a date (`rules`).

use chrono::{Datelike, Days, NaiveDate};
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{empty, finding, listing};
use crate::domain::{Finding, Timestamp};
use crate::state::menu::filter_of;
use crate::state::rank::asleep;
use crate::state::{Drawn, Page, Part};
use crate::ui::layout::Class;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;
use crate::ui::widgets::list::{Column, Hidden, List, Row, matched};

/// Days of the strip, and the column of today in it.
const DAYS: u64 = 90;
const TODAY: u16 = 15;
/// Signs of what is late at most.
const LATE: usize = 4;

/// One row: a finding and its date.
type Item<'a> = (Timestamp, &'a Finding);

/// What has a date: open things by date, then what somebody has.
fn items<'a>(scene: &Scene<'a>) -> Vec<Item<'a>> {
    let mut all: Vec<Item<'a>> = scene.findings().filter_map(|finding| Some((finding.due?, finding))).collect();
    all.sort_by_key(|(due, finding)| (asleep(finding, scene.now), *due, finding.id.clone()));
    all
}

/// Draws the page.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect, drawn: &mut Drawn) {
    let theme = scene.theme;
    let view = scene.view;
    let all = items(scene);
    if all.is_empty() {
        return empty::draw(pen, scene, body, Page::Due);
    }
    let haystack = |(_, finding): &Item<'_>| format!("{} {} {}", finding.title, finding.source, Sign::from(finding.severity).word());
    let query = filter_of(view).fitting(all.iter().map(haystack));
    let shown: Vec<Item<'_>> = all.iter().copied().filter(|item| query.is_empty() || query.accepts(&haystack(item))).collect();
    scene.counted.set(Some((shown.len(), all.len())));
    drawn.keys = shown.iter().map(|(_, finding)| finding.id.as_str().to_owned()).collect();
    let list_view = view.list();
    let selected = super::selected(list_view, &drawn.keys);

    let mut body = body;
    if scene.rows.class >= Class::Standard && body.height >= 12 && !view.detail_open && !view.zoom {
        strip(pen, scene, &all, body);
        let taken = 2 + u16::from(scene.rows.airy);
        body = Rect { y: body.y + taken, height: body.height - taken, ..body };
    }
    let class = listing::class(scene);
    let hidden = all.len() - shown.len();
    let columns = columns(class);
    let title = listing::title(scene, "due", "");
    let row = |at: usize| row(scene, shown[at], class, &query);
    let list = List {
        remark: vec![Span::styled("nearest first", theme.dim)],
        selected,
        marked: shown.iter().enumerate().filter(|(_, (_, finding))| list_view.marked.contains(finding.id.as_str())).map(|(at, _)| at).collect(),
        offset: list_view.offset,
        focused: view.focus == Part::List,
        hidden: Hidden::of(hidden, 0, ["date", "dates"]),
        bare: class < Class::Standard && list_view.filter.is_empty() && view.site.is_none(),
        tight: class == Class::Narrow,
        ..List::of(&title, &columns, shown.len(), &row)
    };
    let placed = listing::draw(pen, scene, body, &list, all.len(), drawn);
    if let (Some(area), Some((_, finding))) = (placed.detail, selected.and_then(|at| shown.get(at))) {
        finding::draw(pen, scene, area, finding, view.focus == Part::Detail || placed.whole, drawn);
    }
}

fn columns(class: Class) -> Vec<Column> {
    match class {
        Class::Narrow => vec![Column::left(1), Column::hug(5), Column::flex()],
        Class::List => vec![Column::left(1), Column::right(10), Column::left(5).gap(2), Column::flex()],
        Class::Standard => vec![Column::left(1), Column::right(10), Column::left(6).gap(2), Column::left(5), Column::flex()],
        Class::Wide | Class::Double => {
            vec![Column::left(7), Column::right(10), Column::left(11).gap(2), Column::left(7), Column::flex(), Column::left(20).gap(2)]
        }
    }
}

fn row(scene: &Scene<'_>, (due, finding): Item<'_>, class: Class, query: &crate::state::matching::Query) -> Row {
    let theme = scene.theme;
    let taken = asleep(finding, scene.now);
    let sign = if taken { Sign::Acknowledged } else { Sign::from(finding.severity) };
    let style = if taken { theme.dim } else { theme.text };
    let when = scene.due(due);
    let late = if when.late && !taken { theme.bold(sign.style(theme)) } else { style };
    let said = if class == Class::Narrow { super::attention::short(&when.text) } else { when.text };
    let mut row = Row::new().spans(vec![if class >= Class::Wide { sign.with_word(theme) } else { sign.span(theme) }]).cell(said, late);
    if class >= Class::Standard {
        let day = text::day(due, scene.now, scene.view.zone);
        // How far it is says which year it is.
        let short: Vec<&str> = day.split(' ').take(2).collect();
        row = row.cell(if class >= Class::Wide { day } else { short.join(" ") }, theme.dim);
    }
    if class >= Class::List {
        row = row.cell(finding.source.site(), style);
    }
    let title = text::sanitise(&finding.title).into_owned();
    row = row.spans(matched(&title, &query.marks(&title), style));
    if class >= Class::Wide {
        row = row.cell(text::clip_middle(finding.source.within_site(), 20).into_owned(), theme.dim);
    }
    row
}

/// The rule with the months of the next ninety days, and under it a sign for each date: is there a week that is too full?
fn strip(pen: &mut Pen<'_>, scene: &Scene<'_>, all: &[Item<'_>], area: Rect) {
    let theme = scene.theme;
    let zone = scene.view.zone;
    let today = text::local(scene.now, zone).date();
    let last = area.right() - 2;
    let cells = u64::from(last - TODAY);
    let place = |date: NaiveDate| -> Option<u16> {
        let days = u64::try_from((date - today).num_days()).ok()?;
        (days <= DAYS).then(|| TODAY + (days * cells / DAYS) as u16)
    };
    pen.rule(area.x + 1, area.y, last, &[Span::styled("90 days", theme.bold(theme.text))], &[]);
    let y = area.y + 1;
    pen.fill(TODAY, y, last, '─', theme.faint);
    let mut free = pen.put(TODAY - 1, area.y, last, " today ", theme.accent);
    for ago in 1..=DAYS {
        let Some(date) = today.checked_add_days(Days::new(ago)).filter(|date| date.day() == 1) else { continue };
        let Some(x) = place(date) else { continue };
        pen.glyph(x, y, '┼', theme.dim);
        if x >= free && x + 5 < last {
            free = pen.put(x, area.y, last, &format!(" {} ", date.format("%b")), theme.dim);
        }
    }
    let open =
        || all.iter().filter(|(_, finding)| !asleep(finding, scene.now)).map(|(due, finding)| (text::local(*due, zone).date(), Sign::from(finding.severity)));
    let late: Vec<Sign> = open().filter(|(date, _)| *date < today).map(|(_, sign)| sign).collect();
    if !late.is_empty() {
        let after = pen.put(1, y, TODAY - 3, &format!("{} late ", late.len()), theme.bold(theme.warn));
        for (x, sign) in (after..TODAY - 1).zip(late.iter().take(LATE)) {
            pen.spans(x, y, TODAY - 1, &[sign.span(theme)]);
        }
    }
    // Several on one place: the worst is what counts.
    let mut signs = std::collections::BTreeMap::<u16, Sign>::new();
    for (x, sign) in open().filter_map(|(date, sign)| Some((place(date)?, sign))) {
        signs.entry(x).and_modify(|known| *known = sign.min(*known)).or_insert(sign);
    }
    for (x, sign) in signs {
        pen.spans(x, y, last, &[sign.span(theme)]);
    }
    scene.changes_at(text::next_midnight(scene.now, zone));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::update::update;
    use crate::state::{Command, Msg, State};
    use crate::ui::fixture::*;
    use crate::ui::tests::{SIZES, snapshot};

    fn told() -> State {
        let mut state = story();
        state.view.page = Page::Due;
        // Dates of all sorts: long and just over, today, near, far.
        for (finding, days) in state.world.findings.iter_mut().filter(|finding| finding.due.is_none()).zip([-227, -18, -2, 0, 6, 74, 200]) {
            finding.due = Some(now() + chrono::TimeDelta::days(days));
        }
        state
    }

    fn give(state: &mut State, command: Command) {
        let drawn = screen(state, &rich(), 80, 24).1;
        state.view.drawn = drawn;
        update(state, Msg::Command(command), now());
    }

    #[test]
    fn dates_at_every_size() {
        let state = told();
        for (width, height) in SIZES {
            snapshot("due", &state, &rich(), width, height);
        }
        snapshot("due-mono", &state, &mono(), 80, 24);
        snapshot("due-ascii", &state, &plain(), 80, 24);
    }

    #[test]
    fn a_date_is_selected_opened_taken_and_filtered_like_any_row() {
        let mut state = told();
        let keys = screen(&state, &rich(), 80, 24).1.keys;
        assert!(keys.len() >= 2, "{keys:?}");
        give(&mut state, Command::Down);
        assert_eq!(state.view.list().selected.as_deref(), Some(keys[1].as_str()));
        let title = state.world.findings.iter().find(|finding| finding.id.as_str() == keys[1]).unwrap().title.clone();
        give(&mut state, Command::Enter);
        let begin: String = title.chars().take(30).collect();
        let opened = text(&screen(&state, &rich(), 80, 24).0);
        assert!(opened.contains(&begin) && !opened.contains("90 days"), "{opened}");
        give(&mut state, Command::Back);
        assert!(!state.view.detail_open);

        give(&mut state, Command::Snooze);
        give(&mut state, Command::Enter);
        assert!(state.world.findings.iter().find(|finding| finding.id.as_str() == keys[1]).unwrap().acknowledged.is_some());
        let after = screen(&state, &rich(), 80, 24).1.keys;
        assert_eq!(after.last(), Some(&keys[1]), "what somebody has sinks and stays: {after:?}");

        state.view.list_mut().filter = "zzzz".to_owned();
        let none = screen(&state, &rich(), 80, 24);
        assert!(none.1.keys.is_empty() && text(&none.0).contains("dates"), "{}", text(&none.0));
    }

    #[test]
    fn without_a_date_it_says_so() {
        let mut state = told();
        state.world.findings.retain(|finding| finding.due.is_none());
        let shown = text(&screen(&state, &rich(), 80, 24).0);
        assert!(shown.contains("No date is watched"), "{shown}");
    }
}
