//! What a double screen has room for under the findings: events, what is due next, the sources.

use std::collections::BTreeMap;

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::activity;
use crate::domain::Status;
use crate::domain::time::duration_text;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::widgets::list::{Column, List, Row};

/// Draws the three lists into `area`, as far as they fit.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, area: Rect) {
    let theme = scene.theme;
    let kinds = kinds(scene);
    let due: Vec<_> = {
        let mut due: Vec<_> = scene.findings().filter(|finding| finding.due.is_some_and(|due| due > scene.now)).collect();
        due.sort_by_key(|finding| finding.due);
        due
    };
    let sources = (kinds.len().div_ceil(2) as u16 + 1).min(area.height);
    let sources_area = Rect { y: area.bottom() - sources, height: sources, ..area };
    let mut rest = Rect { height: area.height - sources, ..area };
    if !due.is_empty() && rest.height >= 12 {
        let height = (due.len() as u16 + 1).min(5);
        let below = Rect { y: rest.bottom() - height - 1, height, ..rest };
        rest.height -= height + 1;
        let row = |at: usize| {
            let finding = due[at];
            let (when, style) = super::attention::since_or_due(scene, finding);
            Row::new().cell(when, style).cell(finding.source.site(), theme.text).cell(finding.title.clone(), theme.text)
        };
        let columns = [Column::right(9), Column::left(5).gap(2), Column::flex()];
        List::of("due next", &columns, due.len().min(usize::from(height) - 1), &row).draw(pen, below);
    }
    if rest.height >= 4 {
        let events = activity::fold(scene);
        let shown = events.len().min(usize::from(rest.height) - 2);
        let row = |at: usize| activity::row(scene, &events[at], &crate::state::matching::Query::default());
        List {
            remark: vec![Span::styled("newest first", theme.dim)],
            after: activity::nothing(scene, events.is_empty()),
            ..List::of("events", &activity::columns(rest.width), shown, &row)
        }
        .draw(pen, Rect { height: rest.height - 1, ..rest });
    }
    let title = [Span::styled("sources", theme.bold(theme.text))];
    let last = sources_area.right() - 2;
    pen.rule(sources_area.x + 1, sources_area.y, last, &title, &[Span::styled(scene.sources().count().to_string(), theme.dim)]);
    let half = sources_area.width / 2;
    for (at, (sign, words, every)) in kinds.iter().enumerate() {
        let y = sources_area.y + 1 + at as u16 / 2;
        let x = sources_area.x + 1 + if at % 2 == 0 { 0 } else { half };
        let end = if at % 2 == 0 { x + half - 3 } else { last };
        if y < sources_area.bottom() {
            let after = pen.spans(x, y, end, &[sign.span(theme), Span::styled(format!(" {words}"), theme.text)]);
            pen.put((x + 34).max(after + 1), y, end, every, theme.dim);
        }
    }
}

/// One line for each kind of source: the worst sign, how many are known, how often they are looked at.
fn kinds(scene: &Scene<'_>) -> Vec<(Sign, String, String)> {
    let mut kinds: BTreeMap<&str, Vec<&crate::state::SourceState>> = BTreeMap::new();
    for (id, source) in scene.sources() {
        kinds.entry(id.kind()).or_default().push(source);
    }
    kinds
        .into_iter()
        .map(|(kind, sources)| {
            let known = sources.iter().filter(|source| source.checked_at.is_some() && !matches!(source.status, Status::Unknown | Status::Stale)).count();
            let unknown = sources.iter().filter(|source| matches!(source.status, Status::Unknown | Status::Stale)).map(|s| Sign::from(s.status)).min();
            let sign = unknown.unwrap_or(if known == 0 { Sign::Waiting } else { Sign::Ok });
            let every = match (sources.iter().map(|s| s.spec.every).min(), sources.iter().map(|s| s.spec.every).max()) {
                _ if sources.iter().all(|source| source.spec.continuous) => "follows".to_owned(),
                (Some(least), Some(most)) if least == most => format!("every {}", duration_text(least)),
                (Some(least), Some(most)) => format!("every {} to {}", duration_text(least), duration_text(most)),
                _ => String::new(),
            };
            (sign, format!("{kind} {known} of {} known", sources.len()), every)
        })
        .collect()
}
