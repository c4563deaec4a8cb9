//! What a run prints, under its steps; it can be left running, and stopped.

use ratatui::text::Span;

use super::{framed, keys};
use crate::actions::StepState;
use crate::domain::time::human;
use crate::state::Command;
use crate::state::acting::find;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text;

/// Steps on the screen at most, the running one among them.
const STEPS: usize = 8;
/// Columns of a step's time.
const TIME: u16 = 9;

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, id: &str, above: usize, stopping: bool) {
    let theme = scene.theme;
    let world = &scene.state.world;
    let Some(run) = world.runs.iter().find(|run| run.id == id) else { return };
    let dangerous = find(world, &run.action).is_some_and(|action| action.dangerous);
    let took = |from, to| human(crate::domain::time::since(from, to));
    let remark = match &run.ended {
        Some((_, end)) => format!("{} after {}", end.words, human(std::time::Duration::from_millis(end.took_ms))),
        None => format!("running {} of at most {}", scene.age_by_clock(run.record.at), human(run.limit)),
    };
    let width = 76.max(pen.area().width.saturating_sub(24)).min(100).min(pen.area().width.saturating_sub(4));
    let style = if dangerous { theme.crit } else { theme.accent };
    let title = if run.title.contains(run.action.site()) { run.title.clone() } else { format!("{}: {}", run.action.site(), run.title) };
    let inner = framed(pen, scene, style, (width, pen.area().height.saturating_sub(3)), &title, &remark);
    let last = inner.right() - 1;
    let tight = inner.height < 14;
    let mut y = inner.y + u16::from(!tight);

    let most = if tight { 1 } else { STEPS };
    let current = run.steps.iter().rposition(|step| step.state != StepState::ToCome).unwrap_or(0);
    let first = (current + 1).saturating_sub(most);
    for (at, step) in run.steps.iter().enumerate().skip(first).take(most) {
        let (mark, style) = match step.state {
            StepState::Done => (Sign::Ok.span(theme), theme.text),
            StepState::Failed => (Sign::Crit.span(theme), theme.text),
            StepState::Running => (Span::styled("▸", theme.accent), theme.bold(theme.text)),
            StepState::ToCome => (Span::styled("·", theme.dim), theme.dim),
        };
        let time = match (step.began, step.ended) {
            (Some(began), Some(ended)) => took(began, ended),
            (Some(began), None) => scene.age_by_clock(began),
            _ => String::new(),
        };
        pen.right(last - TIME, y, last, &time, theme.dim);
        let number = if run.steps.len() > 1 { format!(" {}  ", at + 1) } else { "  ".to_owned() };
        pen.spans(inner.x, y, last - TIME - 2, &[mark, Span::styled(number, theme.dim), Span::styled(step.words.clone(), style)]);
        y += 1;
    }
    y += u16::from(!tight);
    let newest = run.lines.len().saturating_sub(above);
    let remark = match (above, run.dropped) {
        (0, 0) => String::new(),
        (0, gone) => format!("{} lines before are gone", text::thousands(gone)),
        (above, _) => format!("{} newer below", text::thousands(above as u64)),
    };
    pen.rule(inner.x, y, last, &[], &[Span::styled(remark, theme.dim)]);
    y += 1;
    let bottom = inner.bottom() - 1 - u16::from(!tight);
    let rows = usize::from(bottom.saturating_sub(y));
    let begin = newest.saturating_sub(rows);
    for line in run.lines.iter().skip(begin).take(newest - begin) {
        pen.put(inner.x, y, last, line, theme.text);
        y += 1;
    }
    if run.lines.is_empty() {
        let words = if run.ended.is_some() { "it printed nothing" } else { "nothing printed yet" };
        pen.put(inner.x, y, last, words, theme.dim);
    }
    let enter = scene.key(Command::Enter);
    let (interrupt, copy, bottom) = (scene.key(Command::Interrupt), scene.key(Command::Copy), scene.key(Command::Bottom));
    if stopping && run.ended.is_none() {
        let ask = [Span::styled("Stop it, with all it started?   ", theme.bold(theme.crit)), Span::styled(enter, theme.bold(theme.accent))];
        let after = pen.spans(inner.x, inner.bottom() - 1, last, &ask);
        let rest = [Span::styled(" stop it   ", theme.dim), Span::styled("Esc", theme.bold(theme.accent)), Span::styled(" let it go on", theme.dim)];
        pen.spans(after, inner.bottom() - 1, last, &rest);
    } else if run.ended.is_none() {
        keys(pen, scene, inner, &[("Esc", "leave it running"), (&interrupt, "stop it"), (&bottom, "newest"), (&copy, "copy")]);
    } else {
        keys(pen, scene, inner, &[("Esc", "close"), (&bottom, "newest"), (&copy, "copy")]);
    }
}
