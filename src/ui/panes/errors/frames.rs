//! The chain of exceptions of an event as lines: own frames with their source, the line at which it broke, locals that this line names.

use ratatui::text::Span;

use crate::domain::{ErrorEvent, Exception, Frame, Link};
use crate::state::stack::{self, Fold, StackView, Stop};
use crate::ui::scene::Scene;
use crate::ui::text;
use crate::ui::widgets::detail::{At, Line};

/// How much of an event is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    /// Cells of a line.
    pub cells: usize,
    /// Lines of source before and after the frame's own.
    pub around: (u32, u32),
    /// Locals shown of a frame that is open.
    pub locals: usize,
    /// Own frames that are open from the start.
    pub open: usize,
    /// A blank line between the parts.
    pub airy: bool,
}

/// The lines, and which of them are stops for the keys.
pub(super) fn lines(scene: &Scene<'_>, event: &ErrorEvent, view: Option<&StackView>, focused: bool, measure: Measure) -> (Vec<Line>, Vec<usize>) {
    let mut drawing = Drawing { scene, event, view, measure, cursor: None, all: Vec::new(), stops: Vec::new() };
    let stops = stack::stops(event, view);
    if focused {
        drawing.cursor = stops.get(view.map_or(0, |view| view.at).min(stops.len().saturating_sub(1))).copied();
    }
    let mut last: Option<usize> = None;
    for stop in stops {
        let (Stop::Frame(exception, _) | Stop::Foreign(exception)) = stop;
        for between in last.map_or(0, |last| last + 1)..=exception {
            if between > 0 {
                drawing.link(between);
            }
        }
        last = Some(exception);
        drawing.stop(stop);
    }
    // Exceptions after the last one that has frames.
    for rest in last.map_or(0, |last| last + 1)..event.exceptions.len() {
        if rest > 0 {
            drawing.link(rest);
        }
    }
    (drawing.all, drawing.stops)
}

struct Drawing<'a> {
    scene: &'a Scene<'a>,
    event: &'a ErrorEvent,
    view: Option<&'a StackView>,
    measure: Measure,
    cursor: Option<Stop>,
    all: Vec<Line>,
    stops: Vec<usize>,
}

/// `KeyError: ` and `'currency'`, each on one line.
pub(super) fn parts_of(exception: &Exception) -> (String, String) {
    let kind = text::sanitise(&exception.kind).into_owned();
    let value = text::sanitise(&exception.value).into_owned();
    let between = if kind.is_empty() || value.is_empty() { "" } else { ": " };
    (format!("{kind}{between}"), value)
}

impl Drawing<'_> {
    /// An exception further down the chain, and how it led here.
    fn link(&mut self, number: usize) {
        let theme = self.scene.theme;
        let words = match self.event.exceptions[number - 1].link {
            Link::Cause => "raised from ",
            Link::Context => "raised while handling ",
            Link::Unknown => "preceded by ",
        };
        let (kind, value) = parts_of(&self.event.exceptions[number]);
        if self.measure.airy {
            self.all.push(Line::new());
        }
        self.all.push(Line::of(vec![Span::styled(words, theme.dim), Span::styled(kind, theme.bold(theme.crit)), Span::styled(value, theme.bold(theme.text))]));
    }

    fn stop(&mut self, stop: Stop) {
        let fold = stack::fold(self.event, self.view, stop, self.measure.open);
        self.stops.push(self.all.len());
        match stop {
            Stop::Foreign(exception) => self.foreign(exception, fold, self.cursor == Some(stop)),
            Stop::Frame(exception, number) => {
                let Some(frame) = self.event.exceptions.get(exception).and_then(|one| one.frames.get(number)) else { return };
                // The place at which it broke, in this exception.
                let broke = self.event.exceptions[exception].frames.iter().position(|frame| frame.in_app).unwrap_or(0) == number;
                self.frame(frame, fold, broke, self.cursor == Some(stop));
                if self.measure.airy && fold != Fold::Folded {
                    self.all.push(Line::new());
                }
            }
        }
    }

    fn mark(&self, fold: Fold, here: bool) -> Span<'static> {
        let theme = self.scene.theme;
        let style = if here { theme.bold(theme.accent) } else { theme.dim };
        Span::styled(if fold == Fold::Folded { "▸ " } else { "▾ " }, style)
    }

    fn foreign(&mut self, exception: usize, fold: Fold, here: bool) {
        let theme = self.scene.theme;
        let frames = self.event.exceptions[exception].frames.iter().filter(|frame| !frame.in_app);
        let mut names: Vec<&str> = Vec::new();
        let mut count = 0;
        for frame in frames {
            count += 1;
            let name = stack::package(frame);
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        let more = if names.len() > 3 { "…" } else { "" };
        names.truncate(3);
        let of = if names.is_empty() { String::new() } else { format!(" in {}{more}", text::sanitise(&names.join(", "))) };
        let words = format!("{count} frame{}{of}", if count == 1 { "" } else { "s" });
        let style = if here { theme.bold(theme.text) } else { theme.dim };
        let says = if fold == Fold::Folded { "folded" } else { "not in app" };
        self.all.push(Line::of(vec![self.mark(fold, here), Span::styled(words, style)]).spans(At::Edge(0), vec![Span::styled(says, theme.dim)]));
    }

    fn frame(&mut self, frame: &Frame, fold: Fold, broke: bool, here: bool) {
        let theme = self.scene.theme;
        let whose = if frame.in_app { "in app" } else { "" };
        let room = self.measure.cells.saturating_sub(whose.len() + 5);
        let name = if here || broke { theme.bold(theme.text) } else { theme.text };
        let mut head = vec![self.mark(fold, here)];
        let function = frame.function.as_deref().map(|function| text::sanitise(function).into_owned());
        let left = room.saturating_sub(function.as_ref().map_or(0, |function| text::width(function).min(room / 2) + 4));
        head.push(Span::styled(text::clip_middle(&text::sanitise(&frame.place()), left).into_owned(), name));
        if let Some(function) = function {
            head.push(Span::styled(" in ", theme.dim));
            head.push(Span::styled(text::clip(&function, room / 2).into_owned(), name));
        }
        self.all.push(Line::of(head).spans(At::Edge(0), vec![Span::styled(whose, theme.dim)]));
        if fold == Fold::Folded {
            return;
        }
        let own = frame.line.unwrap_or(0);
        let (before, after) = if fold == Fold::Whole { (u32::MAX, u32::MAX) } else { self.measure.around };
        let shown: Vec<_> = frame.source.iter().filter(|(number, _)| *number >= own.saturating_sub(before) && *number <= own.saturating_add(after)).collect();
        // The mark stands a cell before the number, also before one of four figures.
        let figures = own.checked_ilog10().unwrap_or(0) + 1;
        let mark = 5_u16.saturating_sub(u16::try_from(figures).unwrap_or(u16::MAX)).min(3);
        for (number, code) in &shown {
            let code = text::sanitise(&code.replace('\t', "    ")).into_owned();
            let line = Line::new();
            self.all.push(if *number == own {
                let style = if broke { theme.bold(theme.crit) } else { theme.bold(theme.text) };
                line.put(mark, "▸", style).right(6, number.to_string(), style).put(8, "│", theme.faint).put(10, code, theme.bold(theme.text))
            } else {
                line.right(6, number.to_string(), theme.dim).put(8, "│", theme.faint).put(10, code, theme.dim)
            });
        }
        if shown.is_empty() {
            self.all.push(Line::new().put(8, "│", theme.faint).put(10, "its source is not known", theme.dim));
        }
        let line = frame.source.iter().find(|(number, _)| *number == own).map_or("", |(_, code)| code);
        let mut locals: Vec<&(String, String)> = frame.locals.iter().collect();
        if fold == Fold::Open {
            // The locals that the line names, the most telling first.
            locals.retain(|(name, _)| names(line, name) && !matches!(name.as_str(), "self" | "cls" | "this"));
            locals.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
            locals.truncate(self.measure.locals);
        }
        for (name, value) in locals {
            let name = text::sanitise(name).into_owned();
            let spans = vec![Span::styled(format!("{name} = "), theme.graph1), Span::styled(text::sanitise(value).into_owned(), theme.graph1)];
            self.all.push(Line::new().put(8, "│", theme.faint).spans(At::Left(10), spans));
        }
    }
}

/// Whether a line of source names a variable, as a whole word.
fn names(line: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    !name.is_empty()
        && line
            .match_indices(name)
            .any(|(at, _)| !line[..at].chars().next_back().is_some_and(|c| word(c) || c == '.') && !line[at + name.len()..].chars().next().is_some_and(word))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_line_names_whole_variables() {
        let line = "    currency = self.session[\"basket\"][code]";
        for (name, named) in
            [("self", true), ("self.session[\"basket\"]", true), ("code", true), ("cod", false), ("session", false), ("curr", false), ("", false)]
        {
            assert_eq!(names(line, name), named, "{name}");
        }
    }
}
