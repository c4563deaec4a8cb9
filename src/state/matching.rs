//! What the help and the palette list, narrowed by what is typed: the same for the keys that act on it and for the drawing.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::State;
use super::command::{COMMANDS, CommandSpec};

/// The text of the open prompt; empty when there is none.
#[must_use]
pub fn typed(state: &State) -> &str {
    state.view.prompt.as_ref().map_or("", |prompt| prompt.input.value())
}

/// The commands of this page that the help lists, in the order of the table.
#[must_use]
pub fn help_entries(state: &State) -> Vec<&'static CommandSpec> {
    let typed = typed(state).to_lowercase();
    available(state).filter(|spec| typed.is_empty() || spec.doc.contains(&typed) || spec.id.contains(&typed) || spec.keys.contains(&typed.as_str())).collect()
}

/// The commands that the palette lists, best match first.
#[must_use]
pub fn palette_entries(state: &State) -> Vec<&'static CommandSpec> {
    let pattern = Pattern::parse(typed(state), CaseMatching::Smart, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, &CommandSpec)> = available(state)
        .filter_map(|spec| {
            let text = palette_text(spec);
            pattern.score(Utf32Str::new(&text, &mut buffer), &mut matcher).map(|score| (score, spec))
        })
        .collect();
    // The sort is stable: equal ones keep the order of the table.
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, spec)| spec).collect()
}

/// What the palette matches against and shows: id and words.
#[must_use]
pub fn palette_text(spec: &CommandSpec) -> String {
    format!("{}  {}", spec.id, spec.doc)
}

/// Commands that apply here and now.
fn available(state: &State) -> impl Iterator<Item = &'static CommandSpec> {
    let (page, read_only) = (state.view.page, state.view.read_only);
    COMMANDS.iter().filter(move |spec| spec.scope.on(page) && !(read_only && spec.acts))
}
