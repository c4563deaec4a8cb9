//! What the project of a package says of the releases to come, and which words warn.
//!
//! What does not belong here: reading pages (`packages::notes`).

use ratatui::style::Style;
use ratatui::text::Span;

use super::Entry;
use crate::domain::{NoteWord, Notes, Package};
use crate::sources::{DetailBody, ItemKey};
use crate::state::Command;
use crate::ui::scene::Scene;
use crate::ui::text;
use crate::ui::theme::Theme;
use crate::ui::widgets::detail::{At, Line};

/// Columns of the versions and of what is said of them.
const VERSION: u16 = 13;
/// Releases that are told of where the detail has not the page for itself.
const FEW: usize = 3;
/// From this width on each release has a line there; below, one line tells of all.
const WIDE: u16 = 100;

/// The lines; none where nothing is known yet and nobody asks.
pub fn lines(scene: &Scene<'_>, entry: &Entry<'_>, package: &Package, width: u16, whole: bool) -> Vec<Line> {
    let theme = scene.theme;
    if package.bump.is_none() {
        return Vec::new();
    }
    let key = ItemKey { source: entry.source.spec.id.clone(), item: package.name.clone() };
    let cells = usize::from(width.saturating_sub(VERSION + 2)).max(10);
    let say = |words: String, style: Style| vec![Line::new().put(1, "notes", theme.dim).put(VERSION, text::clip(&words, cells).into_owned(), style)];
    let Some(known) = scene.world.details.get(&key, None) else {
        return if scene.world.details.is_asked(&key, None) { say("being read …".to_owned(), theme.dim) } else { Vec::new() };
    };
    match (&known.good, &known.error) {
        (Some((_, detail)), _) => match &detail.body {
            DetailBody::Notes(notes) => match &notes.problem {
                Some(problem) => say(format!("not read: {problem}; {} opens the page", scene.key(Command::Open)), theme.dim),
                None => told(scene, package, notes, width, whole),
            },
            DetailBody::Lines(_) | DetailBody::Folder(_) | DetailBody::Event(_) => Vec::new(),
        },
        (None, Some((_, error))) => say(format!("not read: {}", error.message), theme.unknown),
        (None, None) => Vec::new(),
    }
}

fn told(scene: &Scene<'_>, package: &Package, notes: &Notes, width: u16, whole: bool) -> Vec<Line> {
    let theme = scene.theme;
    let cells = usize::from(width.saturating_sub(VERSION + 2)).max(10);
    let summary = notes.summary();
    if whole {
        let mut all = vec![Line::new().put(1, "notes", theme.dim).put(VERSION, format!("{summary}   {}", notes.read_in), theme.dim), Line::new()];
        for release in &notes.releases {
            let wanted = package.wanted.as_deref() == Some(release.version.as_str());
            let style = if wanted { theme.bold(theme.accent) } else { theme.bold(theme.text) };
            all.push(Line::new().put(1, release.version.clone(), style));
            for line in &release.lines {
                for (at, part) in text::wrap(&line.text, usize::from(width.saturating_sub(6)).max(10)).into_iter().enumerate() {
                    let mark = if at == 0 { "· " } else { "  " };
                    all.push(Line::of(vec![Span::styled(mark, theme.dim), Span::styled(part, warned(line.word, theme))]));
                }
            }
            if release.more > 0 {
                all.push(Line::text(format!("  {} lines more", release.more), theme.dim));
            }
            all.push(Line::new());
        }
        return all;
    }
    if width < WIDE {
        return vec![Line::new().put(1, "notes", theme.dim).put(VERSION, text::clip(&summary, cells).into_owned(), theme.text)];
    }
    let mut all = Vec::new();
    let shown = notes.releases.len().min(FEW);
    for (at, release) in notes.releases.iter().take(FEW).enumerate() {
        // What warns is told first.
        let line = release.lines.iter().min_by_key(|line| line.word.map_or(u8::MAX, |word| word as u8));
        let last = at + 1 == shown;
        let room = cells.saturating_sub(if last { 14 + text::width(&summary) } else { 11 }).max(10);
        let mut drawn = Line::new();
        if at == 0 {
            drawn = drawn.put(1, "notes", theme.dim);
        }
        drawn = drawn.put(VERSION, text::clip(&release.version, 9).into_owned(), theme.dim);
        let words = line.map_or("", |line| line.text.as_str());
        drawn = drawn.put(VERSION + 11, text::clip(words, room).into_owned(), warned(line.and_then(|line| line.word), theme));
        all.push(if last { drawn.spans(At::Edge(0), vec![Span::styled(summary.clone(), theme.dim)]) } else { drawn });
    }
    all.push(Line::new());
    all
}

fn warned(word: Option<NoteWord>, theme: &Theme) -> Style {
    match word {
        Some(NoteWord::Breaking) => theme.warn,
        Some(NoteWord::Deprecated | NoteWord::Security) => theme.bold(theme.text),
        None => theme.text,
    }
}
