//! What will run, where, as whom, for how long, and what is looked at afterwards: before it does.

use ratatui::text::Span;

use super::{framed, keys};
use crate::actions::{audit, written};
use crate::domain::time::human;
use crate::domain::{SourceId, TransitionKind};
use crate::state::acting::{chain, find, is_dangerous, is_production, needs_name};
use crate::state::{Command, PromptKind, tries};
use crate::ui::chrome::input;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text::wrap;

/// Where the words of a row begin.
const WORDS: u16 = 10;
/// Lines of what runs.
const RUNS: usize = 6;

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, id: &SourceId, answer: Option<&str>) {
    let theme = scene.theme;
    let world = &scene.state.world;
    let Some(action) = find(world, id) else { return };
    let (site, dangerous, production) = (id.site(), is_dangerous(world, action), is_production(world, id.site()));
    let width = 64.min(pen.area().width.saturating_sub(4));
    let room = usize::from(width.saturating_sub(6 + WORDS)).max(8);

    let mut rows: Vec<(&str, String, ratatui::style::Style)> = Vec::new();
    let mut add = |name: &'static str, words: &str, style| {
        for (at, line) in wrap(words, room).into_iter().enumerate() {
            rows.push((if at == 0 { name } else { "" }, line, style));
        }
    };
    let steps = tries::steps(action, answer);
    for (at, step) in steps.iter().take(RUNS).enumerate() {
        add(if at == 0 { "runs" } else { "" }, &written(step), theme.bold(theme.text));
    }
    if steps.len() > RUNS {
        add("", &format!("and {} more", steps.len() - RUNS), theme.dim);
    }
    if tries::drilled(action).is_some() {
        add("copy", answer.unwrap_or("the newest good one"), theme.text);
    }
    let place = format!("{}   as {}   at most {}", action.directory, scene.view.person, human(action.timeout));
    add("in", &place, theme.text);
    if !action.env.is_empty() {
        add("with", &action.env.join(", "), theme.text);
    }
    if let Some(words) = &action.confirm {
        add("changes", words, theme.text);
    }
    let after: Vec<String> =
        chain(world, action).iter().map(|next| format!("{}: {}", next.id.within_site(), written(next.steps.first().map_or(&[], Vec::as_slice)))).collect();
    if !after.is_empty() {
        add("then", &format!("if it ends well, runs {}", after.join("; ")), theme.text);
    }
    if !action.poll.is_empty() {
        add("then", &format!("polls {}", action.polls), theme.text);
    }
    if let Some(runbook) = &action.runbook {
        add("runbook", runbook, theme.text);
    }
    for run in audit::running(world.events.iter(), id, scene.clock) {
        if let TransitionKind::Action { by, .. } = &run.began.kind {
            add("running", &format!("{by} began it {} ago, and it has not ended", scene.age_by_clock(run.began.at)), theme.bold(theme.warn));
        }
    }
    let prompt = scene.view.prompt.as_ref();
    let asks = match prompt.map(|prompt| prompt.kind) {
        Some(PromptKind::Answer) => action.prompt.clone(),
        Some(PromptKind::SiteName) => Some("This touches production. Type the name of the site:".to_owned()),
        _ => None,
    };
    let wanted = rows.len() as u16 + if asks.is_some() { 9 } else { 5 };
    let style = if dangerous { theme.crit } else { theme.accent };
    let title = if action.title.contains(site) { action.title.clone() } else { format!("{}: {}", site, action.title) };
    let inner = framed(pen, scene, style, (width, wanted), &title, if production { "production" } else { "" });
    let last = inner.right() - 1;
    let below = if asks.is_some() { 6 } else { 2 };
    let tight = inner.height < wanted - 2;
    let top = inner.y + u16::from(!tight);
    let bottom = inner.bottom().saturating_sub(if tight { if asks.is_some() { 3 } else { 1 } } else { below });
    for ((name, words, style), y) in rows.iter().zip(top..bottom) {
        pen.put(inner.x, y, inner.x + WORDS - 2, name, theme.dim);
        pen.put(inner.x + WORDS, y, last, words, *style);
    }
    let enter = scene.key(Command::Enter);
    if let (Some(asks), Some(prompt)) = (asks, prompt) {
        let line = inner.bottom() - if tight { 3 } else { 5 };
        let style = if prompt.kind == PromptKind::SiteName { theme.bold(theme.crit) } else { theme.text };
        let short = "Type the name of the site:";
        let asks = if crate::ui::text::width(&asks) > usize::from(inner.width) && prompt.kind == PromptKind::SiteName { short } else { asks.as_str() };
        pen.put(inner.x, line, last, asks, style);
        let line = inner.bottom() - if tight { 2 } else { 3 };
        pen.spans(inner.x, line, last, &[Span::styled("▸", theme.accent)]);
        input(pen, inner.x + 2, line, last, prompt.input.value(), prompt.input.cursor(), theme.bold(theme.text));
    }
    let does = match prompt.map(|prompt| prompt.kind) {
        Some(PromptKind::Answer) => "go on",
        Some(PromptKind::SiteName) => "run it, once the name is complete",
        _ if needs_name(world, action) => "go on",
        _ => "run it",
    };
    keys(pen, scene, inner, &[(&enter, does), ("Esc", "leave it")]);
}
