//! Why is it so? The terms of the rank, the rule in words and its numbers, where they are from, what would be next.

use ratatui::text::Span;

use super::{frame, keys};
use crate::domain::book::Mark;
use crate::domain::{Finding, Term};
use crate::rules;
use crate::state::item::{self, Item};
use crate::state::{Command, Drawn, SourceState, rank};
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text::{self, wrap};

/// Width of the overlay.
const WIDTH: u16 = 68;

/// One line: name, value (right-aligned, bold), words.
enum Line {
    Blank,
    Term(Term),
    Words(&'static str, String),
    /// What is not known, in its style.
    NotFrom(String),
}

/// Draws it for the selected finding or source.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, drawn: &Drawn) {
    let key = crate::ui::panes::selected(scene.view.list(), &drawn.keys).and_then(|at| drawn.keys.get(at));
    let finding = key.and_then(|key| item::finding(scene.world, key));
    let finding = finding.and_then(|found| scene.world.findings.iter().position(|finding| finding.id == found.id));
    let source = key.and_then(|key| item::source(scene.world, key));
    let (title, remark, lines) = match (finding, source) {
        (Some(at), _) => {
            let finding = &scene.world.findings[at];
            let title = if at == 0 { "why is it first?" } else { "why is it here?" };
            (title.to_owned(), finding.id.as_str().to_owned(), of_finding(scene, finding, at))
        }
        (None, Some(source)) => {
            let item = key.and_then(|key| item::item(scene.world, key));
            let word = item.and_then(word).map_or_else(|| Sign::from(source.status).word().to_owned(), str::to_owned);
            let mut lines: Vec<Line> = item.map(terms).unwrap_or_default().into_iter().map(Line::Term).collect();
            if !lines.is_empty() {
                lines.push(Line::Blank);
            }
            lines.extend(of_source(scene, source));
            (format!("why {word}?"), source.spec.id.as_str().to_owned(), lines)
        }
        (None, None) => ("why?".to_owned(), String::new(), vec![Line::Words("", "Nothing is selected that has a reason.".to_owned())]),
    };
    let theme = scene.theme;
    let width = WIDTH.min(pen.area().width - 4);
    let names = lines.iter().map(|line| if let Line::Term(term) = line { text::width(&term.name) } else { 8 }).max().unwrap_or(8).min(26) as u16;
    let values = lines.iter().map(|line| if let Line::Term(term) = line { text::width(&term.value) } else { 0 }).max().unwrap_or(0).min(24) as u16;
    let words_at = names + 2;
    let room = usize::from((width - 6).saturating_sub(words_at)).max(8);
    let mut height = 0;
    // A note goes on in the next row, under itself.
    let note_room = room.saturating_sub(usize::from(values) + 2).max(8);
    for line in &lines {
        height += match line {
            Line::Words(_, words) | Line::NotFrom(words) => wrap(words, room).len(),
            Line::Term(term) => wrap(&term.note, note_room).len(),
            Line::Blank => 1,
        };
    }
    let inner = frame(pen, scene, width, height as u16 + 5, &title, &remark);
    let (last, bottom) = (inner.right() - 1, inner.bottom() - 1);
    let mut y = inner.y + u16::from(usize::from(inner.height) > height + 2);
    for line in lines {
        if y >= bottom {
            break;
        }
        match line {
            Line::Blank => y += 1,
            Line::Term(term) => {
                pen.put(inner.x, y, inner.x + names, &term.name, theme.dim);
                let end = inner.x + words_at + values - 1;
                pen.right(inner.x + words_at, y, end.min(last), &term.value, theme.bold(theme.text));
                for line in wrap(&term.note, note_room) {
                    if y < bottom {
                        pen.put(end + 3, y, last, &line, theme.text);
                    }
                    y += 1;
                }
            }
            Line::Words(name, words) => {
                pen.put(inner.x, y, inner.x + names, name, theme.dim);
                for line in wrap(&words, room) {
                    if y < bottom {
                        pen.put(inner.x + words_at, y, last, &line, theme.text);
                    }
                    y += 1;
                }
            }
            Line::NotFrom(words) => {
                pen.put(inner.x, y, inner.x + names, "not from", theme.dim);
                for line in wrap(&words, room) {
                    if y < bottom {
                        pen.spans(inner.x + words_at, y, last, &[Span::styled(line, theme.unknown)]);
                    }
                    y += 1;
                }
            }
        }
    }
    let copy = scene.key(Command::Copy);
    keys(pen, scene, inner, &[(&copy, "copy"), ("Esc", "close")]);
}

/// How an item stands, in the word of its row; `None`: as its source does.
fn word(item: Item<'_>) -> Option<&'static str> {
    match item {
        Item::Issue(issue) => Some(issue.state.word()),
        Item::Group(group) => Some(match group.mark {
            Mark::Open => "open",
            Mark::Resolved => "resolved",
            Mark::Ignored => "ignored",
            Mark::Regressed => "regressed",
            Mark::Escalated => "escalating",
        }),
        Item::Package(package) => package.bump.map(crate::domain::Bump::word),
        Item::Backup(_) => None,
    }
}

/// The numbers of one item of a source, which no finding tells of.
fn terms(item: Item<'_>) -> Vec<Term> {
    let or_unknown = |version: Option<&str>| version.unwrap_or("?").to_owned();
    match item {
        Item::Issue(issue) => vec![
            Term::new("state", issue.state.word(), "as the tracker says"),
            Term::new("level", issue.level.word(), ""),
            Term::new("users", issue.users.map_or_else(|| "?".to_owned(), text::thousands), ""),
            Term::new("events", text::thousands(issue.events), ""),
        ],
        Item::Group(group) => vec![
            Term::new("events", text::thousands(group.count), "as the error book counted"),
            Term::new("said of it", group.said.as_ref().map_or("nothing", |said| said.by.as_str()), "resolved, ignored, merged or split by"),
            Term::new("first release", group.release.as_deref().unwrap_or("?"), "deployed when it was first seen"),
        ],
        Item::Package(package) => vec![
            Term::new("there", or_unknown(package.current()), ""),
            Term::new("wanted", or_unknown(package.wanted.as_deref()), "the newest that the manifest and the interpreter allow"),
            Term::new("latest", or_unknown(package.latest.as_deref()), package.held_by.as_ref().map_or(String::new(), |held| format!("held by {held}"))),
            Term::new("advisories", package.advisories.len().to_string(), ""),
        ],
        Item::Backup(_) => Vec::new(),
    }
}

fn of_finding(scene: &Scene<'_>, finding: &Finding, place: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = rank::terms(finding, place, scene.world.findings.len(), scene.now).into_iter().map(Line::Term).collect();
    lines.push(Line::Blank);
    if let Some(rule) = rules::find(finding.id.rule()) {
        lines.push(Line::Words("rule", rule.words().to_owned()));
    }
    lines.extend(finding.explanation.iter().cloned().map(Line::Term));
    if let Some(source) = scene.world.sources.get(&finding.source) {
        lines.push(Line::Blank);
        lines.push(from(scene, source));
    }
    if let Some(next) = scene.world.findings.get(place + 1) {
        lines.push(Line::Blank);
        lines.push(Line::Words("next", next.title.clone()));
    }
    lines
}

fn of_source(scene: &Scene<'_>, source: &SourceState) -> Vec<Line> {
    let mut lines = vec![from(scene, source), Line::Blank];
    for rule in rules::RULES {
        let terms = match rule.evaluate(source, rules::Context { world: scene.world, now: scene.now }) {
            rules::Answer::Ok(terms) | rules::Answer::NotYet(terms) => terms,
            rules::Answer::Firing(findings) => findings.into_iter().next().map(|finding| finding.explanation).unwrap_or_default(),
        };
        if !terms.is_empty() {
            lines.push(Line::Words("rule", rule.words().to_owned()));
            lines.extend(terms.into_iter().map(Line::Term));
        }
    }
    lines
}

/// Where the numbers are from, and how old they are; or why they are not known.
fn from(scene: &Scene<'_>, source: &SourceState) -> Line {
    let id = source.spec.id.within_site();
    match (&source.error, source.checked_at) {
        (Some(error), _) => {
            let since = source.error_since.map_or(String::new(), |since| format!(" since {}", text::moment_short(since, scene.now, scene.view.zone)));
            Line::NotFrom(format!("{id}: not known{since}: {}", error.message))
        }
        (None, Some(at)) => Line::Words("from", format!("{id} {} ago: {}", scene.step(at), source.summary)),
        (None, None) => Line::NotFrom(format!("{id}: not looked at yet")),
    }
}
