//! Page 1: the ranked findings, with how each site stands above them and the evidence of the selected one below.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::{finding, first_run, lower};
use crate::domain::{Finding, Severity};
use crate::state::menu::filter_of;
use crate::state::rank::asleep;
use crate::state::{Drawn, Part, PromptKind};
use crate::ui::layout::{self, Class, Wish};
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;
use crate::ui::widgets::list::{Column, Hidden, List, Row, matched};

/// Draws the page.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect, drawn: &mut Drawn) {
    if scene.world.sites.is_empty() && scene.world.sources.is_empty() {
        first_run::draw(pen, scene, body);
        return;
    }
    let theme = scene.theme;
    let view = scene.view;
    let all: Vec<&Finding> = scene.findings().collect();
    let query = filter_of(view).fitting(all.iter().map(|finding| haystack(finding)));
    let shown: Vec<&Finding> = all.iter().copied().filter(|finding| query.is_empty() || query.accepts(&haystack(finding))).collect();
    scene.counted.set(Some((shown.len(), all.len())));
    drawn.keys = shown.iter().map(|finding| finding.id.as_str().to_owned()).collect();
    let list_view = view.list();
    let selected = super::selected(list_view, &drawn.keys);

    let mut body = body;
    if scene.rows.class >= Class::Wide && scene.rows.airy && !view.detail_open && !view.zoom {
        body = super::sites::strip(pen, scene, body);
    }

    let wish = Wish { only_list: view.zoom && view.focus == Part::List, only_detail: view.detail_open || (view.zoom && view.focus == Part::Detail) };
    let hidden = all.len() - shown.len();
    let critical = all.iter().filter(|f| f.severity == Severity::Critical && !shown.iter().any(|s| s.id == f.id)).count();
    let mut needed = shown.len() as u16 + if hidden > 0 { 2 } else { 0 };
    if all.is_empty() {
        needed = 1;
    }
    let split = layout::split(&scene.rows, body, needed, wish);
    let focused = view.focus == Part::List || split.detail.is_none();

    if let Some(area) = split.list {
        let mut remark = Vec::new();
        let filter = &list_view.filter;
        if !filter.is_empty() && !view.prompt.as_ref().is_some_and(|prompt| prompt.kind == PromptKind::Filter) {
            remark.push(Span::styled(format!("filter {filter}"), theme.accent));
            remark.push(Span::styled("   ", theme.dim));
        }
        let count = if hidden > 0 { format!("{} of {}", shown.len(), all.len()) } else { all.len().to_string() };
        remark.push(Span::styled(format!("{count}, most urgent first"), theme.dim));
        if let Some(site) = &view.site {
            remark.insert(0, Span::styled(format!("only {site}   "), theme.accent));
        }
        let class = Class::of(area.width);
        let names = shown.iter().map(|finding| text::width(finding.source.site())).max().unwrap_or(4).clamp(4, 10) as u16;
        let columns = columns(class, names);
        let marked = shown.iter().enumerate().filter(|(_, finding)| list_view.marked.contains(finding.id.as_str())).map(|(at, _)| at).collect();
        let row = |at: usize| row(scene, shown[at], class, &query);
        let widget = List {
            remark,
            selected,
            marked,
            offset: list_view.offset,
            focused,
            hidden: Hidden::of(hidden, critical, ["finding", "findings"]),
            after: if all.is_empty() { vec![nothing(scene)] } else { Vec::new() },
            bare: class < Class::Standard && filter.is_empty() && view.site.is_none(),
            tight: class == Class::Narrow,
            ..List::of("findings", &columns, shown.len(), &row)
        };
        // A narrow screen has no row to spare for a rule that stays blank.
        let area = if widget.bare && class == Class::Narrow { Rect { y: area.y - 1, height: area.height + 1, ..area } } else { area };
        let placed = widget.draw(pen, area);
        drawn.offset = placed.offset;
        drawn.height = placed.height;
        drawn.top = placed.top;
        if class == Class::Narrow {
            scene.counted.set(Some((placed.height.min(shown.len()), all.len())));
        }
    }
    if let Some(area) = split.below {
        lower::draw(pen, scene, area);
    }
    if let Some(x) = split.divider {
        for y in body.y..body.bottom() {
            pen.glyph(x, y, '│', theme.faint);
        }
    }
    if let Some(area) = split.detail {
        drawn.detail = true;
        match selected.and_then(|at| shown.get(at)) {
            Some(finding) => finding::draw(pen, scene, area, finding, !focused, drawn),
            None => pen.rule(area.x + 1, area.y, area.right() - 2, &[], &[]),
        }
    }
}

/// What a filter reads of a finding.
fn haystack(finding: &Finding) -> String {
    let sign = Sign::from(finding.severity).word();
    format!("{} {} {} {} {sign}", finding.title, finding.source, finding.id.rule(), finding.severity.word())
}

/// The one line of a page without findings. Never better than what was looked at.
fn nothing(scene: &Scene<'_>) -> Vec<Span<'static>> {
    let theme = scene.theme;
    let (sign, _) = crate::ui::chrome::calm(scene);
    let words = match sign {
        Sign::Ok => {
            let oldest = scene.sources().filter_map(|(_, source)| source.checked_at).min();
            oldest.map_or_else(String::new, |at| format!("Nothing needs a person (looked {} ago)", scene.step(at)))
        }
        Sign::Waiting => "The first look is under way".to_owned(),
        Sign::Paused => "All sources are paused: nothing is looked at".to_owned(),
        Sign::Unknown => "No source is watched: rounds cannot say that all is well".to_owned(),
        _ => "Nothing needs a person yet; something failed and is being tried again".to_owned(),
    };
    vec![sign.span(theme), Span::styled(format!(" {words}"), theme.dim)]
}

fn columns(class: Class, names: u16) -> Vec<Column> {
    match class {
        Class::Narrow => vec![Column::left(1), Column::left(4), Column::flex(), Column::hug(0)],
        Class::List => vec![Column::left(1), Column::left(names), Column::flex().gap(2), Column::hug(5).gap(2)],
        Class::Standard => vec![Column::left(7), Column::left(names), Column::flex().gap(2), Column::hug(5).gap(2)],
        Class::Wide | Class::Double => {
            vec![Column::left(7), Column::left(names), Column::flex().gap(2), Column::left(18).gap(2), Column::right(9), Column::hug(10).gap(2)]
        }
    }
}

fn row(scene: &Scene<'_>, finding: &Finding, class: Class, query: &crate::state::matching::Query) -> Row {
    let theme = scene.theme;
    let taken = asleep(finding, scene.now);
    let sign = if taken { Sign::Acknowledged } else { Sign::from(finding.severity) };
    let style = if taken { theme.dim } else { theme.text };
    let mut row = Row::new();
    row = row.spans(vec![if class < Class::Standard { sign.span(theme) } else { sign.with_word(theme) }]);
    row = row.cell(finding.source.site(), style);
    let title = text::sanitise(&finding.title).into_owned();
    let marks = query.marks(&title);
    row = row.spans(matched(&title, &marks, style));
    if class >= Class::Wide {
        let touches = match (&finding.acknowledged, finding.users) {
            (Some(ack), _) if taken => ack.by.clone(),
            (_, Some(1)) => "1 user".to_owned(),
            (_, Some(users)) => format!("{} users", text::thousands(users)),
            _ => String::new(),
        };
        let source = text::clip_middle(finding.source.within_site(), 18).into_owned();
        row = row.spans(matched(&source, &query.marks(&source), theme.dim)).cell(touches, theme.dim);
    }
    let (when, style) = since_or_due(scene, finding);
    let when = if class == Class::Narrow { short(&when) } else { when };
    row.cell(when, style)
}

/// One unit only: `2 h 32 m` is `2 h`, `227 d late` is `227 d`.
pub(super) fn short(when: &str) -> String {
    let mut words = when.split(' ');
    match (words.next(), words.next()) {
        (Some("in"), Some(number)) => format!("{number} {}", words.next().unwrap_or_default()),
        (Some(one), Some(two)) => format!("{one} {two}"),
        (Some(one), None) => one.to_owned(),
        _ => String::new(),
    }
}

/// Since when, or by when; for what somebody has: until when.
pub(super) fn since_or_due(scene: &Scene<'_>, finding: &Finding) -> (String, Style) {
    let theme = scene.theme;
    if asleep(finding, scene.now) {
        let until = finding.acknowledged.as_ref().and_then(|ack| ack.until);
        return match until {
            Some(until) => (format!("until {}", text::until(until, scene.now, scene.view.zone)), theme.dim),
            None => (scene.when(finding.since), theme.dim),
        };
    }
    match finding.due {
        Some(due) if scene.view.absolute => (text::day(due, scene.now, scene.view.zone), theme.text),
        Some(due) => {
            let due = scene.due(due);
            let style = if due.late { theme.bold(Sign::from(finding.severity).style(theme)) } else { theme.text };
            (due.text, style)
        }
        None => (scene.when(finding.since), theme.dim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_ages_have_one_unit() {
        for (long, one) in [("2 h 32 m", "2 h"), ("227 d late", "227 d"), ("in 12 d", "12 d"), ("14 m", "14 m"), ("today", "today")] {
            assert_eq!(short(long), one);
        }
    }
}
