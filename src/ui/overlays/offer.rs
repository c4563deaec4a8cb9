//! What a source will be told, for which items, what that changes and how it is undone: before it is told.

use ratatui::text::Span;

use super::{framed, keys};
use crate::actions::errand::subject;
use crate::state::offering::{Asked, site_to_type};
use crate::state::{Command, PromptKind, acting, item};
use crate::ui::chrome::input;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text::wrap;

/// Where the words of a row begin.
const WORDS: u16 = 10;
/// Items that are named one by one.
const NAMED: usize = 24;

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, asked: &Asked) {
    let theme = scene.theme;
    let world = &scene.state.world;
    let sites: Vec<&str> = asked.sites().into_iter().collect();
    let production = sites.iter().any(|site| acting::is_production(world, site));
    let width = 64.min(pen.area().width.saturating_sub(4));
    let room = usize::from(width.saturating_sub(6 + WORDS)).max(8);

    let mut rows: Vec<(&str, String, ratatui::style::Style)> = Vec::new();
    let mut add = |name: &'static str, words: &str, style| {
        for (at, line) in wrap(words, room).into_iter().enumerate() {
            rows.push((if at == 0 { name } else { "" }, line, style));
        }
    };
    let answers = asked.answers();
    let does = if answers.is_empty() { asked.offer.title.clone() } else { format!("{}: {}", asked.offer.title, answers.join(", ")) };
    add("does", &does, theme.bold(theme.text));
    match asked.items.as_slice() {
        [one] => {
            let known = item::item(world, &item::key(&one.key.source, &one.key.item));
            let title = match known {
                Some(item::Item::Issue(issue)) => issue.title.as_str(),
                Some(item::Item::Group(group)) => group.title.as_str(),
                _ => "",
            };
            let id = if one.name == one.key.item { String::new() } else { format!(" ({})", one.key.item) };
            let words = format!("{}{id}  {title}", one.name);
            let mut lines = wrap(words.trim_end(), room);
            lines.truncate(2);
            add("to", &lines.join(" "), theme.text);
        }
        several => {
            let names: Vec<&str> = several.iter().take(NAMED).map(|target| target.name.as_str()).collect();
            let more = if several.len() > NAMED { format!(" and {} more", several.len() - NAMED) } else { String::new() };
            add("to", &format!("{} items, each by its id: {}{more}", several.len(), names.join(", ")), theme.text);
        }
    }
    let command = asked.command();
    if let Some(command) = &command {
        add("runs", command, theme.text);
    }
    if !asked.offer.calls.is_empty() {
        add("calls", &asked.offer.calls, theme.text);
    }
    let sources: std::collections::BTreeSet<&str> = asked.items.iter().map(|target| target.key.source.as_str()).collect();
    add("of", &format!("{}   as {}", sources.into_iter().collect::<Vec<_>>().join(", "), scene.view.person), theme.text);
    if !asked.offer.changes.is_empty() && (asked.items.len() == 1 || command.is_some()) {
        add("changes", &asked.offer.changes, theme.text);
    }
    add("then", if command.is_some() { "its output is shown; Esc leaves it running" } else { "the source is polled" }, theme.text);
    let undo = scene.key(Command::Undo);
    let undone = match (&command, asked.offer.undone.as_str()) {
        (_, "") => "it cannot be undone from here".to_owned(),
        (Some(_), undone) => undone.to_owned(),
        (None, undone) => format!("{undo} {undone}"),
    };
    add("undone by", &undone, theme.text);

    let prompt = scene.view.prompt.as_ref();
    let asks = match prompt.map(|prompt| prompt.kind) {
        Some(PromptKind::Answer) => asked.ask().map(|ask| ask.question.clone()),
        Some(PromptKind::SiteName) => site_to_type(world, asked).map(|_| "Type the name of the site:".to_owned()),
        _ => None,
    };
    let wanted = rows.len() as u16 + if asks.is_some() { 9 } else { 5 };
    let style = if asked.offer.dangerous { theme.crit } else { theme.accent };
    let title = format!("{}: {} {}", sites.join(", "), asked.offer.title, subject(&asked.items));
    let inner = framed(pen, scene, style, (width, wanted), &title, if production { "production" } else { "" });
    let last = inner.right() - 1;
    let tight = inner.height < wanted - 2;
    let top = inner.y + u16::from(!tight);
    let below = match (asks.is_some(), tight) {
        (true, true) => 3,
        (true, false) => 6,
        (false, true) => 1,
        (false, false) => 2,
    };
    let bottom = inner.bottom().saturating_sub(below);
    for ((name, words, style), y) in rows.iter().zip(top..bottom) {
        pen.put(inner.x, y, inner.x + WORDS - 1, name, theme.dim);
        pen.put(inner.x + WORDS, y, last, words, *style);
    }
    if let (Some(question), Some(prompt)) = (&asks, prompt) {
        let line = inner.bottom() - if tight { 3 } else { 5 };
        match &asked.wrong {
            Some(wrong) => pen.put(inner.x, line, last, &format!("not taken: {wrong}"), theme.bold(theme.warn)),
            None => pen.put(inner.x, line, last, question, if prompt.kind == PromptKind::SiteName { theme.bold(theme.crit) } else { theme.text }),
        };
        let line = inner.bottom() - if tight { 2 } else { 3 };
        pen.spans(inner.x, line, last, &[Span::styled("▸", theme.accent)]);
        input(pen, inner.x + 2, line, last, prompt.input.value(), prompt.input.cursor(), theme.bold(theme.text));
    }
    let enter = scene.key(Command::Enter);
    let does = match prompt.map(|prompt| prompt.kind) {
        Some(PromptKind::Answer) => "go on",
        Some(PromptKind::SiteName) => "do it, once the name is complete",
        _ => "do it",
    };
    keys(pen, scene, inner, &[(&enter, does), ("Esc", "leave it")]);
}
