//! The keys of this page, generated from the table of commands, in two columns; typing narrows it, Enter runs the selected one.

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::frame;
use crate::state::command::{Command, CommandSpec, Group};
use crate::state::menu::help_entries;
use crate::ui::chrome::input;
use crate::ui::keymap::shown;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::widgets::list::{offset, thumb};

/// Commands that share a row, their keys side by side; and phrases short enough for half the width. While typing each has its own row.
const PAIRS: &[(&[Command], &str)] = &[
    (&[Command::Down, Command::Up], "one row"),
    (&[Command::Top, Command::Bottom], "first, last"),
    (&[Command::PageDown, Command::PageUp], "a screen"),
    (&[Command::HalfDown, Command::HalfUp], "half a screen"),
    (&[Command::Left, Command::Right], "back, on"),
    (&[Command::NextPart], "next part"),
    (&[Command::Enter, Command::Back], "open, back"),
    (&[Command::Open, Command::Copy], "open link, copy"),
    (&[Command::NextError, Command::PreviousError], "to error"),
    (&[Command::NextWarning, Command::PreviousWarning], "to warning"),
    (&[Command::NextMatch, Command::PreviousMatch], "to match"),
    (&[Command::LogFilter, Command::LogExclude], "show only, hide"),
    (&[Command::LogFilters, Command::LogFiles], "filters, files"),
    (&[Command::Context, Command::Level], "context, level"),
    (&[Command::Follow, Command::GoToTime], "follow, go to time"),
    (&[Command::NextBookmark, Command::PreviousBookmark], "to bookmark"),
    (&[Command::Bookmark, Command::Bookmarks], "bookmark, list them"),
    (&[Command::Remove], "remove a filter"),
    (&[Command::ClearFromHere], "hide what is above"),
    (&[Command::ZoomIn, Command::ZoomOut], "shorter, longer"),
    (&[Command::Interrupt, Command::Quit], "close, else leave"),
    (&[Command::Redraw, Command::Suspend], "draw anew, stop"),
    (&[Command::Acknowledge], "acknowledge"),
    (&[Command::Snooze], "snooze"),
    (&[Command::Actions], "actions, what runs"),
    (&[Command::Why, Command::Poll], "why?, look again"),
    (&[Command::Filter], "filter"),
    (&[Command::Zoom], "zoom this part"),
    (&[Command::PollAll], "poll all"),
    (&[Command::Timestamps], "times relative, or not"),
    (&[Command::Undo], "undo"),
    (&[Command::Palette], "command"),
];

/// One row of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    keys: String,
    words: String,
    /// Places in the list of entries that this row stands for; none: a title.
    places: Vec<usize>,
}

fn title(group: Group) -> &'static str {
    match group {
        Group::Move => "move",
        Group::This => "this",
        Group::Pages => "pages",
        Group::Everywhere => "everywhere",
    }
}

/// The rows of the groups, in the order of the table; `together`: several commands may share a row.
fn rows(scene: &Scene<'_>, entries: &[&'static CommandSpec], groups: [Group; 2], together: bool) -> Vec<Row> {
    let keys = |spec: &CommandSpec, most: usize| {
        let keys: Vec<String> = scene.view.keys_of(spec).iter().map(|key| shown(key, scene.theme.ascii())).collect();
        keys.into_iter().take(most).collect::<Vec<_>>()
    };
    let mut rows: Vec<Row> = Vec::new();
    for group in groups {
        let of: Vec<(usize, &CommandSpec)> = entries.iter().enumerate().filter(|(_, spec)| spec.group == group).map(|(at, spec)| (at, *spec)).collect();
        if of.is_empty() {
            continue;
        }
        if !rows.is_empty() {
            rows.push(Row { keys: String::new(), words: String::new(), places: Vec::new() });
        }
        rows.push(Row { keys: title(group).to_owned(), words: String::new(), places: Vec::new() });
        if group == Group::Pages && together && of.len() == 10 {
            let ends = [of[0].1, of[8].1, of[9].1].map(|spec| keys(spec, 1).concat());
            let words = format!("{}…{}", of[0].1.id, of[9].1.id);
            rows.push(Row { keys: format!("{}…{} {}", ends[0], ends[1], ends[2]), words, places: of.iter().map(|(at, _)| *at).collect() });
            continue;
        }
        let mut done = Vec::new();
        for (at, spec) in &of {
            if done.contains(at) {
                continue;
            }
            let pair = PAIRS.iter().find(|(commands, _)| together && commands.first() == Some(&spec.command));
            let partners: Vec<(usize, &CommandSpec)> =
                pair.map_or_else(Vec::new, |(commands, _)| of.iter().filter(|(_, s)| commands.contains(&s.command)).copied().collect());
            if let (Some((commands, words)), true) = (pair, pair.is_some_and(|(commands, _)| partners.len() == commands.len())) {
                let most = if commands.len() == 1 {
                    3
                } else if commands.contains(&Command::Left) || commands.contains(&Command::Down) {
                    2
                } else {
                    1
                };
                let sets: Vec<Vec<String>> = partners.iter().map(|(_, s)| keys(s, most)).collect();
                // First keys together, then the second ones: `j k ↓ ↑`.
                let joined: Vec<String> = (0..most).flat_map(|nth| sets.iter().filter_map(move |set| set.get(nth).cloned())).collect();
                done.extend(partners.iter().map(|(at, _)| *at));
                rows.push(Row { keys: joined.join(" "), words: (*words).to_owned(), places: partners.iter().map(|(at, _)| *at).collect() });
            } else {
                done.push(*at);
                rows.push(Row { keys: keys(spec, 3).join(" "), words: spec.doc.to_owned(), places: vec![*at] });
            }
        }
    }
    rows
}

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, selected: usize) {
    let theme = scene.theme;
    let entries = help_entries(scene.state);
    let typed = scene.view.prompt.as_ref().map_or("", |prompt| prompt.input.value());
    let together = typed.is_empty();
    let two = pen.area().width >= 76;
    let columns: Vec<Vec<Row>> = if two {
        vec![rows(scene, &entries, [Group::Move, Group::This], together), rows(scene, &entries, [Group::Pages, Group::Everywhere], together)]
    } else {
        let mut all = rows(scene, &entries, [Group::Move, Group::This], together);
        all.extend(rows(scene, &entries, [Group::Pages, Group::Everywhere], together));
        vec![all]
    };
    let longest = columns.iter().map(Vec::len).max().unwrap_or(0) as u16;
    let signs = together && two && longest + 6 <= pen.area().height;
    let wanted = longest + 2 + if signs { 4 } else { 0 };
    // A row of air above and below, where the screen is high enough.
    let air = u16::from(wanted + 2 <= pen.area().height.saturating_sub(2));
    let remark = if scene.theme.ascii() { "type to search . Enter runs it" } else { "type to search · ↵ runs it" };
    let inner = frame(pen, scene, 72, (wanted + 2 * air).max(8), &format!("keys of {}", scene.view.page.title()), remark);
    let inner = Rect { y: inner.y + air, height: inner.height - 2 * air, ..inner };
    let mut area = inner;
    if !typed.is_empty() {
        let cursor = scene.view.prompt.as_ref().map_or(0, |prompt| prompt.input.cursor());
        input(pen, area.x, area.y, area.right() - 1, typed, cursor, theme.bold(theme.text));
        area = Rect { y: area.y + 1, height: area.height - 1, ..area };
    }
    if signs {
        area.height -= 4;
    }
    let at_of = |rows: &[Row]| rows.iter().position(|row| row.places.contains(&selected));
    let height = usize::from(area.height);
    let first = columns.iter().find_map(|rows| at_of(rows)).map_or(0, |at| offset(0, Some(at), longest as usize, height));
    let wide = if two { area.width / 2 + 1 } else { area.width };
    for (nth, rows) in columns.iter().enumerate() {
        let x = area.x + nth as u16 * wide;
        let key_width = if nth == 0 { 15 } else { 11 };
        let last = if nth == 0 && two { x + wide - 2 } else { area.right() - 1 };
        for (line, row) in rows.iter().skip(first).take(height).enumerate() {
            let y = area.y + line as u16;
            if row.places.is_empty() {
                pen.put(x, y, last, &row.keys, theme.bold(theme.text));
                continue;
            }
            let chosen = row.places.contains(&selected);
            let style = if chosen { theme.bold(theme.text) } else { theme.text };
            let after = pen.put(x, y, last, &row.keys, theme.accent);
            pen.put((x + key_width).max(after + 2), y, last, &row.words, style);
            if chosen {
                pen.tint(x - 1, y, last, theme.selection);
                pen.glyph(x - 1, y, '▌', theme.accent);
            }
        }
    }
    thumb(pen, inner.right() + 1, area.y, height, first, longest as usize);
    if entries.is_empty() {
        pen.put(area.x, area.y, area.right() - 1, "nothing here goes by that name", theme.dim);
    }
    if signs {
        let y = inner.bottom() - 3;
        pen.put(inner.x, y, inner.right() - 1, "signs", theme.bold(theme.text));
        let lines: [&[(Sign, &str)]; 2] = [
            &[
                (Sign::Ok, "ok"),
                (Sign::Warn, "warning"),
                (Sign::Crit, "critical"),
                (Sign::Unknown, "unknown"),
                (Sign::Stale, "stale"),
                (Sign::Pending, "pending"),
            ],
            &[(Sign::Acknowledged, "acknowledged"), (Sign::Paused, "paused"), (Sign::Maintenance, "maintenance"), (Sign::Info, "info")],
        ];
        for (line, y) in lines.into_iter().zip(y + 1..) {
            let mut spans = Vec::new();
            for (sign, word) in line {
                spans.push(sign.span(theme));
                spans.push(Span::styled(format!(" {word}  "), theme.text));
            }
            pen.spans(inner.x, y, inner.right() - 1, &spans);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Page, State};
    use crate::ui::layout;
    use crate::ui::theme::{Theme, ThemeSettings};

    #[test]
    fn every_command_of_a_page_is_in_its_help_exactly_once() {
        let theme = Theme::new(ThemeSettings::default());
        let now = crate::ui::fixture::now();
        for page in Page::ALL {
            for together in [true, false] {
                let mut state = State::default();
                state.view.page = page;
                let scene = Scene::new(&state, &theme, now, layout::rows(Rect::new(0, 0, 80, 24), false).unwrap());
                let entries = help_entries(&state);
                let mut places: Vec<usize> = [[Group::Move, Group::This], [Group::Pages, Group::Everywhere]]
                    .into_iter()
                    .flat_map(|groups| rows(&scene, &entries, groups, together))
                    .flat_map(|row| row.places)
                    .collect();
                places.sort_unstable();
                assert_eq!(places, (0..entries.len()).collect::<Vec<_>>(), "{} {together}", page.title());
            }
        }
    }
}
