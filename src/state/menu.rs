//! What the help and the palette offer, narrowed by what is typed. The reducer runs the selected entry, the overlays draw the same list.

use super::command::{COMMANDS, Command, CommandSpec, Scope};
use super::matching::Query;
use super::{Page, PromptKind, State};
use crate::domain::SourceId;

/// What choosing an entry of the palette does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The command, as if its key had been pressed.
    Run(Command),
    /// Shows only this site; `None`: all again.
    Site(Option<String>),
    /// Looks at this source again now.
    Poll(SourceId),
    /// Asks whether this action shall run.
    Act(SourceId),
    /// Shows the whole of what the banners say.
    Notice,
    /// Shows the errors page narrowed by this filter.
    Errors(&'static str),
}

/// One row of the palette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// For reading, and what typing matches.
    pub label: String,
    /// What it is: `command`, `page`, `filter`, `source`.
    pub kind: &'static str,
    /// Its key, as the configuration writes keys; empty where it has none.
    pub key: String,
    /// What choosing it does.
    pub choice: Choice,
    /// Why it cannot be chosen now.
    pub disabled: Option<&'static str>,
}

fn typed(state: &State, kind: PromptKind) -> Query {
    state.view.prompt.as_ref().filter(|prompt| prompt.kind == kind).map(|prompt| Query::new(prompt.input.value())).unwrap_or_default()
}

/// The filter of the current page's list: what is being typed, else what was kept.
#[must_use]
pub fn filter_of(view: &super::View) -> Query {
    let typed = view.prompt.as_ref().filter(|prompt| prompt.kind == PromptKind::Filter).map(|prompt| prompt.input.value());
    let keys: &[&str] = if view.page == Page::Errors { &super::asked::KEYS } else { &[] };
    Query::asking(typed.unwrap_or(&view.list().filter), keys)
}

/// The commands of the help on this page, in the order of the table, narrowed by what is typed.
#[must_use]
pub fn help_entries(state: &State) -> Vec<&'static CommandSpec> {
    let query = typed(state, PromptKind::Help);
    let offered: Vec<&CommandSpec> = COMMANDS.iter().filter(|spec| state.view.offers(spec)).collect();
    let said = |spec: &CommandSpec| format!("{} {} {}", spec.doc, spec.id, state.view.keys_of(spec).join(" "));
    let query = query.fitting(offered.iter().map(|spec| said(spec)));
    offered.into_iter().filter(|spec| query.accepts(&said(spec))).collect()
}

/// The entries of the palette, best match first.
#[must_use]
pub fn palette_entries(state: &State) -> Vec<Entry> {
    let query = typed(state, PromptKind::Palette);
    let all = palette(state);
    let query = query.fitting(all.iter().map(|entry| entry.label.clone()));
    let mut scored: Vec<(u32, Entry)> = all.into_iter().filter_map(|entry| query.score(&entry.label).map(|score| (score, entry))).collect();
    // What cannot be chosen now stands last, however well it goes by that name.
    scored.sort_by_key(|(score, entry)| (entry.disabled.is_some(), std::cmp::Reverse(*score)));
    scored.into_iter().map(|(_, entry)| entry).collect()
}

/// How many entries the palette has before anything is typed.
#[must_use]
pub fn palette_size(state: &State) -> usize {
    palette(state).len()
}

fn palette(state: &State) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Some(notice) = state.world.notices.first() {
        // First of those that go by that name: the banner says `:why`.
        let label = format!("why: {}", notice.text);
        entries.push(Entry { label, kind: "banner", key: String::new(), choice: Choice::Notice, disabled: None });
    }
    for spec in COMMANDS {
        // Moving by name is of no use: these keys are for repeating.
        if spec.group == super::command::Group::Move || matches!(spec.command, Command::Palette) {
            continue;
        }
        let page = matches!(spec.command, Command::Page(_));
        let label = if page { format!("{}: {}", spec.id, spec.doc) } else { spec.doc.to_owned() };
        let disabled = if state.view.read_only && spec.acts {
            Some("read-only")
        } else if spec.scope.on(state.view.page) {
            None
        } else {
            Some(match spec.scope {
                Scope::Pages([only]) => only.title(),
                _ => "not on this page",
            })
        };
        let key = state.view.keys_of(spec).into_iter().next().unwrap_or_default();
        entries.push(Entry { label, kind: if page { "page" } else { "command" }, key, choice: Choice::Run(spec.command), disabled });
    }
    let row = |label: String, kind, choice| Entry { label, kind, key: String::new(), choice, disabled: None };
    entries.push(row("errors new since the last deploy".to_owned(), "filter", Choice::Errors("is:new-since-deploy")));
    for site in &state.world.sites {
        entries.push(row(format!("{}: only this site", site.name), "filter", Choice::Site(Some(site.name.clone()))));
    }
    if state.view.site.is_some() {
        entries.push(row("all sites".to_owned(), "filter", Choice::Site(None)));
    }
    for action in &state.world.actions {
        let label = format!("{}: {}", action.id.site(), action.title);
        let disabled = state.view.read_only.then_some("read-only");
        let key = action.key.clone().unwrap_or_default();
        entries.push(Entry { label, kind: "action", key, choice: Choice::Act(action.id.clone()), disabled });
    }
    for id in state.world.sources.keys() {
        entries.push(row(format!("{id}: poll now"), "source", Choice::Poll(id.clone())));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::SiteState;
    use crate::state::view::Prompt;

    fn typing(kind: PromptKind, text: &str) -> State {
        let mut state = State::default();
        state.world.sites.push(SiteState { name: "shop".to_owned(), ..SiteState::default() });
        state.view.prompt = Some(Prompt { kind, input: text.into() });
        state
    }

    #[test]
    fn the_help_holds_what_the_page_offers_and_narrows() {
        let state = typing(PromptKind::Help, "");
        assert!(help_entries(&state).iter().any(|spec| spec.id == "acknowledge"));
        assert!(!help_entries(&state).iter().any(|spec| spec.id == "next-error"));
        let state = typing(PromptKind::Help, "acknow");
        assert!(help_entries(&state).first().is_some_and(|spec| spec.id == "acknowledge"));
    }

    #[test]
    fn read_only_hides_what_acts() {
        let mut state = typing(PromptKind::Help, "");
        state.view.read_only = true;
        assert!(help_entries(&state).iter().all(|spec| !spec.acts));
        state.view.prompt = Some(Prompt { kind: PromptKind::Palette, input: "acknow".into() });
        assert!(palette_entries(&state).iter().filter(|entry| entry.label.contains("acknowledge")).all(|entry| entry.disabled.is_some()));
    }

    #[test]
    fn the_palette_finds_pages_sites_and_commands() {
        let best = |text: &str| palette_entries(&typing(PromptKind::Palette, text)).into_iter().next().map(|entry| entry.choice);
        assert_eq!(best("health"), Some(Choice::Run(Command::Page(Page::Health))));
        assert_eq!(best("only this site"), Some(Choice::Site(Some("shop".to_owned()))));
        assert_eq!(best("new since"), Some(Choice::Errors("is:new-since-deploy")));
        // What cannot be chosen on this page comes after all that can.
        let mut state = typing(PromptKind::Palette, "ne");
        state.view.page = Page::Attention;
        let disabled: Vec<bool> = palette_entries(&state).iter().map(|entry| entry.disabled.is_some()).collect();
        assert!(disabled.contains(&true) && disabled.is_sorted(), "{disabled:?}");
        let all = palette_entries(&typing(PromptKind::Palette, ""));
        assert_eq!(all.len(), palette_size(&typing(PromptKind::Palette, "")));
    }
}
