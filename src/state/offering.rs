//! What a person may do to the items of sources: the offers in the list of actions, what is asked for, the confirmation, what came of
//! it, and taking it back. Generic: whatever a source's service offers goes this way.
//!
//! What does not belong here: telling the source (`actions::errand`), drawing (`ui::overlays`), configured actions (`acting`).

use std::collections::{BTreeMap, BTreeSet};

use tui_input::Input;

use super::world::{RUN_LINES, RUNS, Run, RunStep};
use super::{Command, Effect, Overlay, Prompt, PromptKind, State, World, act, acting, findings, item};
use crate::actions::errand::{Results, subject};
use crate::actions::{Errand, StepState, Target, written};
use crate::domain::{Finding, SourceId, Timestamp};
use crate::sources::offer::common;
use crate::sources::{Ask, ItemKey, Offer};

/// Items that something is done to at once.
pub const MOST: usize = 500;

/// An offer that was chosen: what it is for, and what was answered so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What it is for; never empty.
    pub items: Vec<Target>,
    /// It.
    pub offer: Offer,
    /// The answers so far.
    pub arguments: BTreeMap<String, String>,
    /// Why the last answer was not taken.
    pub wrong: Option<String>,
}

impl Asked {
    /// What is asked for now; `None`: all was answered.
    #[must_use]
    pub fn ask(&self) -> Option<&Ask> {
        self.offer.asks.iter().find(|ask| !self.arguments.contains_key(&ask.name))
    }

    /// What was answered, for reading.
    #[must_use]
    pub fn answers(&self) -> Vec<String> {
        let answer = |ask: &Ask| Some(format!("{} {}", ask.name, ask.form.written(self.arguments.get(&ask.name)?)));
        self.offer.asks.iter().filter_map(answer).collect()
    }

    /// The verb that would be run for the items of one source, where it is one.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        let source = self.items.first()?.key.source.clone();
        let items = self.items.iter().filter(|target| target.key.source == source).cloned().collect();
        let errand = Errand::new(&self.offer, BTreeMap::new(), items, source, String::new(), String::new());
        errand.can_stop().then(|| written(&errand.words()))
    }

    /// The sites of its items.
    #[must_use]
    pub fn sites(&self) -> BTreeSet<&str> {
        self.items.iter().map(|target| target.key.source.site()).collect()
    }
}

/// The item that a finding is about, where it is about one that a source can be asked of.
#[must_use]
pub fn of_finding(finding: &Finding) -> Option<ItemKey> {
    let subject = finding.id.as_str().split_once('#').and_then(|(_, rest)| rest.split_once(':')).map(|(_, subject)| subject);
    let item = match finding.id.rule() {
        "burst" => finding.evidence.as_str(),
        _ => subject?,
    };
    (!item.is_empty()).then(|| ItemKey { source: finding.source.clone(), item: item.to_owned() })
}

/// The item that a row is about.
fn of_row(world: &World, row: &str) -> Option<ItemKey> {
    match world.findings.iter().find(|finding| finding.id.as_str() == row) {
        // A finding may be of something else in the source.
        Some(finding) => of_finding(finding).filter(|key| item::item(world, &item::key(&key.source, &key.item)).is_some()),
        None => item::item_key(row),
    }
}

/// What people call an item.
#[must_use]
pub fn name(world: &World, key: &ItemKey) -> String {
    match item::item(world, &item::key(&key.source, &key.item)) {
        Some(item::Item::Issue(issue)) => issue.short_id.clone(),
        _ => key.item.chars().take(40).collect(),
    }
}

/// The items that something would be done to here: those of the marked rows, else that of the selected one.
pub(super) fn items_here(state: &State) -> Vec<ItemKey> {
    let world = state.shown();
    let marked = &state.view.list().marked;
    let rows: Vec<&str> = if marked.is_empty() { act::selected_key(state).into_iter().collect() } else { marked.iter().map(String::as_str).collect() };
    let mut items: Vec<ItemKey> = Vec::new();
    for key in rows.into_iter().filter_map(|row| of_row(world, row)) {
        let enabled = world.sources.get(&key.source).is_some_and(|source| source.spec.enabled);
        if enabled && items.len() < MOST && !items.contains(&key) {
            items.push(key);
        }
    }
    items
}

/// What is done to an item just now by this process, for reading; `None`: nothing.
#[must_use]
pub fn pending<'w>(world: &'w World, source: &SourceId, item: &str) -> Option<&'w str> {
    let under_way = world.runs.iter().rev().filter(|run| run.ended.is_none()).filter_map(|run| run.errand.as_ref());
    let mut of_item = under_way.filter(|errand| &errand.source == source && errand.items.iter().any(|target| target.key.item == item));
    of_item.next().map(|errand| errand.title.as_str())
}

/// The services told what they offer for each of these items.
pub(super) fn offered(state: &mut State, told: Vec<(ItemKey, Vec<Offer>)>) {
    let names: Vec<Target> = told.iter().map(|(key, _)| Target { key: key.clone(), name: name(&state.world, key), undo: None }).collect();
    let Some(Overlay::Actions { items, offers, undo, selected, .. }) = &mut state.view.overlay else { return };
    if !offers.is_empty() || items.len() != told.len() || !told.iter().zip(&*items).all(|((key, _), item)| *key == item.key) {
        // They are for a list that is not there any more.
        return;
    }
    *items = names;
    *offers = common(told.iter().map(|(_, offers)| offers.clone()));
    *undo = told.into_iter().map(|(_, offers)| offers.into_iter().filter_map(|offer| Some((offer.id, offer.undo?))).collect()).collect();
    // Who has moved already stays on the row.
    if *selected > 0 {
        *selected += offers.len();
    }
}

/// An offer of the list was chosen: asks what it asks, then whether it shall be done.
pub(super) fn choose(state: &mut State, at: usize) {
    let Some(Overlay::Actions { items, offers, undo, .. }) = &state.view.overlay else { return };
    // A verb runs programs, which an untrusted configuration never does; the list says so.
    let Some(offer) = offers.get(at).filter(|offer| offer.verb.is_empty() || state.world.untrusted.is_none()).cloned() else { return };
    let targets = items.iter().zip(undo).map(|(target, undo)| Target { undo: undo.get(&offer.id).cloned(), ..target.clone() }).collect();
    let asked = Asked { items: targets, offer, arguments: BTreeMap::new(), wrong: None };
    state.view.prompt = prompt(&state.world, &asked);
    state.view.behind = state.view.overlay.take();
    state.view.overlay = Some(Overlay::Offer(Box::new(asked)));
}

/// The production site whose name has to be typed.
#[must_use]
pub fn site_to_type<'a>(world: &World, asked: &'a Asked) -> Option<&'a str> {
    asked.sites().into_iter().find(|site| asked.offer.dangerous && acting::is_production(world, site))
}

fn prompt(world: &World, asked: &Asked) -> Option<Prompt> {
    let kind = match asked.ask() {
        Some(_) => PromptKind::Answer,
        None => site_to_type(world, asked).map(|_| PromptKind::SiteName)?,
    };
    Some(Prompt { kind, input: Input::default() })
}

/// Enter in the confirmation: an answer is taken or refused; when all is answered, it begins.
pub(super) fn confirmed(state: &mut State, now: Timestamp, effects: &mut Vec<Effect>) {
    let Some(Overlay::Offer(mut asked)) = state.view.overlay.clone() else { return };
    let typed = state.view.prompt.as_ref().map(|prompt| prompt.input.value().trim().to_owned());
    if let Some(ask) = asked.ask().cloned() {
        match ask.form.read(&typed.unwrap_or_default()) {
            Ok(answer) => {
                asked.arguments.insert(ask.name, answer);
                asked.wrong = None;
                state.view.prompt = prompt(&state.world, &asked);
            }
            Err(why) => asked.wrong = Some(why),
        }
        state.view.overlay = Some(Overlay::Offer(asked));
        return;
    }
    if let Some(site) = site_to_type(&state.world, &asked)
        && typed.as_deref() != Some(site)
    {
        return;
    }
    (state.view.prompt, state.view.overlay, state.view.behind) = (None, None, None);
    state.view.list_mut().marked.clear();
    let by = state.view.person.clone();
    let sources: BTreeSet<SourceId> = asked.items.iter().map(|target| target.key.source.clone()).collect();
    for source in sources {
        let items = asked.items.iter().filter(|target| target.key.source == source).cloned().collect();
        let errand = Errand::new(&asked.offer, asked.arguments.clone(), items, source, String::new(), by.clone());
        begin(state, errand, now, effects);
    }
    match state.world.runs.last().filter(|_| !asked.offer.verb.is_empty()) {
        // It takes its time and prints what it does: that is shown, and can be left.
        Some(run) => state.view.overlay = Some(Overlay::Output { run: run.id.clone(), above: 0, stopping: false }),
        None => act::toast(state, format!("{}: {} …", asked.offer.title, subject(&asked.items)), now),
    }
}

/// Records that it begins, and asks for the source to be told.
fn begin(state: &mut State, errand: Errand, now: Timestamp, effects: &mut Vec<Effect>) {
    let world = &mut state.world;
    let errand = Errand { run: acting::run_id(&errand.by, now, world.runs.len()), ..errand };
    let record = errand.begun(now);
    findings::note(world, effects, record.clone());
    if world.runs.len() >= RUNS
        && let Some(oldest) = world.runs.iter().position(|run| run.ended.is_some())
    {
        world.runs.remove(oldest);
    }
    world.runs.push(Run {
        id: errand.run.clone(),
        action: errand.source.clone(),
        title: format!("{} {}", errand.title, errand.subject()),
        steps: vec![RunStep { words: written(&errand.words()), state: StepState::Running, began: Some(now), ended: None }],
        limit: errand.limit(),
        record,
        lines: std::collections::VecDeque::new(),
        dropped: 0,
        ended: None,
        errand: Some(errand.clone()),
    });
    effects.push(Effect::Perform(Box::new(errand)));
}

/// The source answered: recorded, told, what is true now is shown, and the source is looked at again.
pub(super) fn performed(state: &mut State, run: &str, results: &Results, took_ms: u64, now: Timestamp, effects: &mut Vec<Effect>) {
    let Some(known) = state.world.runs.iter_mut().find(|known| known.id == run && known.ended.is_none()) else { return };
    let Some(errand) = known.errand.clone() else { return };
    let end = errand.end(results, took_ms);
    for step in &mut known.steps {
        (step.state, step.ended) = (if end.ok { StepState::Done } else { StepState::Failed }, Some(now));
    }
    for (target, result) in errand.items.iter().zip(results) {
        match result {
            Ok(outcome) => known.lines.push_back(format!("{}: {}", target.name, outcome.message)),
            Err(error) => {
                known.lines.push_back(format!("{}: {}", target.name, error.message));
                // The overlay clips its lines: what to do must not be lost behind what happened.
                known.lines.extend((!error.remedy.is_empty()).then(|| format!("  {}", error.remedy)));
            }
        }
    }
    while known.lines.len() > RUN_LINES {
        known.lines.pop_back();
        known.dropped += 1;
    }
    known.ended = Some((now, end.clone()));
    let (record, title) = (known.record.clone(), known.title.clone());
    if let Some(transition) = crate::actions::audit::ended(&record, end.clone(), &title, now) {
        findings::note(&mut state.world, effects, transition);
    }
    shown(&mut state.world, &errand, results, now, effects);
    let undo = if errand.undoes { Vec::new() } else { errand.undone_by(results) };
    if end.ok {
        act::toast(state, format!("{title}: {}", end.words), now);
    } else {
        act::complain(state, format!("{title}: {}", end.words), now);
        if state.view.overlay.is_none() && state.view.prompt.is_none() && state.view.wall.is_none() {
            // The remedy is longer than a line.
            state.view.overlay = Some(Overlay::Output { run: run.to_owned(), above: 0, stopping: false });
        }
    }
    if let Some(toast) = &mut state.view.toast {
        toast.undoable = !undo.is_empty();
    }
    if !undo.is_empty() {
        // The last step is the one that is taken back.
        state.view.undo.clear();
        state.view.undo_errands = undo;
    }
    effects.push(Effect::Poll(errand.source));
}

/// What the source itself told is shown before the next look confirms it; of what failed nothing is.
fn shown(world: &mut World, errand: &Errand, results: &Results, now: Timestamp, effects: &mut Vec<Effect>) {
    let Some((_, issues)) = world.sources.get_mut(&errand.source).and_then(|source| source.issues.as_mut()) else { return };
    for (target, result) in errand.items.iter().zip(results) {
        let Ok(outcome) = result else { continue };
        let all = issues.items.iter_mut().chain(issues.saved.iter_mut().flat_map(|saved| saved.items.iter_mut()));
        for issue in all.filter(|issue| issue.id == target.key.item) {
            if let Some(state) = outcome.now.state {
                issue.state = state;
            }
            if let Some(who) = &outcome.now.assignee {
                issue.assignee = (!who.is_empty()).then(|| who.clone());
            }
        }
    }
    findings::review(world, &errand.source, now, false, effects);
}

/// Takes the last errands back; gives whether there were any.
pub(super) fn undo(state: &mut State, now: Timestamp, effects: &mut Vec<Effect>) -> bool {
    let errands = std::mem::take(&mut state.view.undo_errands);
    let Some(first) = errands.first() else { return false };
    act::toast(state, format!("{} {} …", first.title, first.subject()), now);
    for errand in errands {
        begin(state, errand, now, effects);
    }
    true
}

/// A command while the confirmation is in front; gives whether it was taken.
pub(super) fn in_front(state: &mut State, command: Command, now: Timestamp, effects: &mut Vec<Effect>) -> bool {
    if command == Command::Enter {
        confirmed(state, now, effects);
        return true;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{IssueState, SourceError, TransitionKind};
    use crate::sources::{Call, Form, Now, Outcome};
    use crate::state::update::update;
    use crate::state::{Msg, Page};
    use crate::ui::fixture::{id, now, story};

    fn key(item: &str) -> ItemKey {
        ItemKey { source: id("shop/sentry/backend"), item: item.to_owned() }
    }

    fn offers() -> Vec<Offer> {
        let resolve = Offer { undo: Some("unresolve".into()), calls: "PUT x".into(), undone: "opens it again".into(), ..Offer::new("resolve", "resolve") };
        let events = Offer { asks: vec![Ask::new("events", "how many?", Form::Count(100))], ..Offer::new("archive_events", "archive until N events") };
        vec![resolve, events]
    }

    /// Page 3 with the first issue selected.
    fn at_errors() -> State {
        let mut state = story();
        state.world.actions.clear();
        state.view.page = Page::Errors;
        state.view.drawn.keys = ["4101", "4102", "4103"].map(|item| format!("shop/sentry/backend#{item}")).into();
        state
    }

    fn press(state: &mut State, command: Command) -> Vec<Effect> {
        update(state, Msg::Command(command), now())
    }

    /// `x`, answered by the source.
    fn open(state: &mut State) -> Vec<ItemKey> {
        let asked = press(state, Command::Actions).into_iter().find_map(|effect| if let Effect::Offers(keys) = effect { Some(keys) } else { None });
        let asked = asked.unwrap_or_default();
        update(state, Msg::Offered(asked.iter().map(|key| (key.clone(), offers())).collect()), now());
        asked
    }

    fn errand(effects: &[Effect]) -> Option<Errand> {
        effects.iter().find_map(|effect| if let Effect::Perform(errand) = effect { Some((**errand).clone()) } else { None })
    }

    fn stands(state: &State, item: &str) -> IssueState {
        state.world.sources[&id("shop/sentry/backend")].issues.as_ref().unwrap().1.find(item).unwrap().state
    }

    fn resolved() -> Outcome {
        Outcome { message: "it is resolved".into(), now: Now { state: Some(IssueState::Resolved), ..Now::default() }, ..Outcome::default() }
    }

    fn answer(state: &mut State, errand: &Errand, results: Results) -> Vec<Effect> {
        update(state, Msg::Performed { run: errand.run.clone(), results, took_ms: 12 }, now())
    }

    #[test]
    fn an_issue_is_resolved_shown_recorded_and_taken_back() {
        let mut state = at_errors();
        assert_eq!(open(&mut state), [key("4101")]);
        assert!(press(&mut state, Command::Enter).is_empty());
        assert!(matches!(&state.view.overlay, Some(Overlay::Offer(asked)) if asked.offer.id == "resolve"));
        // Nothing but Enter answers.
        for command in [Command::Copy, Command::Actions, Command::Down, Command::Undo] {
            assert!(errand(&press(&mut state, command)).is_none());
        }
        let effects = press(&mut state, Command::Enter);
        let told = errand(&effects).unwrap();
        assert_eq!(told.words(), ["resolve", "SHOP-4K2"]);
        assert!(effects.iter().any(|effect| matches!(effect, Effect::KeepTransition(t) if matches!(&t.kind, TransitionKind::Action { ended: None, .. }))));
        assert_eq!(pending(&state.world, &told.source, "4101"), Some("resolve"));
        assert_eq!(stands(&state, "4101"), IssueState::New, "nothing is shown as done before it is");
        let effects = answer(&mut state, &told, vec![Ok(resolved())]);
        assert!(effects.contains(&Effect::Poll(id("shop/sentry/backend"))), "{effects:?}");
        assert!(
            effects
                .iter()
                .any(|effect| matches!(effect, Effect::KeepTransition(t) if matches!(&t.kind, TransitionKind::Action { ended: Some(end), .. } if end.ok)))
        );
        assert_eq!((stands(&state, "4101"), pending(&state.world, &told.source, "4101")), (IssueState::Resolved, None));
        assert!(state.world.findings.iter().all(|finding| finding.id.as_str() != "shop/sentry/backend#issue:4101"));
        assert!(state.view.toast.as_ref().is_some_and(|toast| toast.undoable && !toast.trouble));
        // An answer that comes twice changes nothing.
        assert!(answer(&mut state, &told, vec![Ok(resolved())]).is_empty());

        let back = errand(&press(&mut state, Command::Undo)).unwrap();
        assert_eq!((back.words().join(" ").as_str(), back.undoes), ("unresolve SHOP-4K2", true));
        let open_again = Outcome { message: "it is open again".into(), now: Now { state: Some(IssueState::Ongoing), ..Now::default() }, ..Outcome::default() };
        answer(&mut state, &back, vec![Ok(open_again)]);
        assert_eq!(stands(&state, "4101"), IssueState::Ongoing);
        assert!(state.view.toast.as_ref().is_some_and(|toast| !toast.undoable));
        assert!(errand(&press(&mut state, Command::Undo)).is_none(), "once");
    }

    #[test]
    fn what_failed_is_never_shown_as_done_and_its_remedy_is() {
        let mut state = at_errors();
        open(&mut state);
        press(&mut state, Command::Enter);
        let told = errand(&press(&mut state, Command::Enter)).unwrap();
        answer(&mut state, &told, vec![Err(SourceError::auth("it needs event:write (403)", "give the token the scope event:write"))]);
        assert_eq!(stands(&state, "4101"), IssueState::New);
        assert!(state.view.toast.as_ref().is_some_and(|toast| toast.trouble && !toast.undoable));
        assert!(matches!(state.view.overlay, Some(Overlay::Output { .. })));
        assert!(state.world.runs[0].lines[1].contains("give the token the scope event:write"));
        let ended = state.world.events.iter().rev().find_map(|event| match &event.kind {
            TransitionKind::Action { ended: Some(end), .. } => Some(end.clone()),
            _ => None,
        });
        assert_eq!(ended.map(|end| (end.ok, end.words)), Some((false, "failed: it needs event:write (403)".into())));
        press(&mut state, Command::Back);
        assert!(errand(&press(&mut state, Command::Undo)).is_none());
    }

    #[test]
    fn marked_ones_go_together_by_their_ids_and_failures_are_named() {
        let mut state = at_errors();
        press(&mut state, Command::Mark);
        press(&mut state, Command::Mark);
        assert_eq!(open(&mut state), [key("4101"), key("4102")]);
        press(&mut state, Command::Enter);
        let told = errand(&press(&mut state, Command::Enter)).unwrap();
        assert_eq!(told.items.iter().map(|target| target.key.item.as_str()).collect::<Vec<_>>(), ["4101", "4102"]);
        assert!(state.view.list().marked.is_empty());
        answer(&mut state, &told, vec![Ok(resolved()), Err(SourceError::status(404, "gone"))]);
        assert_eq!(stands(&state, "4101"), IssueState::Resolved);
        assert_ne!(stands(&state, "4102"), IssueState::Resolved);
        let toast = state.view.toast.as_ref().unwrap();
        assert!(toast.trouble && toast.text.contains("1 of 2 done, not "), "{}", toast.text);
        press(&mut state, Command::Back);
        let back = errand(&press(&mut state, Command::Undo)).unwrap();
        assert_eq!(back.items.len(), 1, "only what was done is taken back");
    }

    #[test]
    fn an_answer_is_asked_for_and_a_bad_one_is_not_taken() {
        let mut state = at_errors();
        open(&mut state);
        press(&mut state, Command::Down);
        press(&mut state, Command::Enter);
        let wrong = |state: &State| matches!(&state.view.overlay, Some(Overlay::Offer(asked)) if asked.wrong.is_some());
        for text in ["", "many"] {
            update(&mut state, Msg::Paste(text.to_owned()), now());
            assert!(errand(&press(&mut state, Command::Enter)).is_none());
            assert!(wrong(&state), "{text}");
        }
        state.view.prompt = Some(Prompt { kind: PromptKind::Answer, input: "12".into() });
        assert!(errand(&press(&mut state, Command::Enter)).is_none(), "it is asked whether it shall be done");
        assert!(!wrong(&state) && state.view.prompt.is_none());
        assert_eq!(errand(&press(&mut state, Command::Enter)).unwrap().words(), ["archive_events", "events=12", "SHOP-4K2"]);
    }

    #[test]
    fn a_finding_leads_to_its_issue_and_read_only_to_nothing() {
        let mut state = story();
        state.view.drawn.keys = vec!["shop/sentry/backend#issue:4101".into(), "shop/http/basket#availability".into()];
        assert_eq!(open(&mut state), [key("4101")]);
        press(&mut state, Command::Back);
        press(&mut state, Command::Down);
        assert!(open(&mut state).is_empty(), "an endpoint has no items");
        press(&mut state, Command::Back);
        press(&mut state, Command::Up);
        state.view.read_only = true;
        assert!(press(&mut state, Command::Actions).is_empty() && state.view.overlay.is_none());
        assert!(press(&mut state, Command::Undo).is_empty());
    }

    #[test]
    fn on_production_a_dangerous_one_wants_the_name() {
        let mut state = at_errors();
        for site in &mut state.world.sites {
            site.environment = Some("production".into());
        }
        let asked = press(&mut state, Command::Actions);
        assert!(!asked.is_empty());
        let offer = Offer { dangerous: true, ..Offer::new("drop", "drop") };
        update(&mut state, Msg::Offered(vec![(key("4101"), vec![offer])]), now());
        press(&mut state, Command::Enter);
        assert!(errand(&press(&mut state, Command::Enter)).is_none());
        update(&mut state, Msg::Paste("shop".into()), now());
        assert!(errand(&press(&mut state, Command::Enter)).is_some());
    }

    #[test]
    fn a_verb_is_asked_about_run_shown_and_can_be_stopped() {
        let mut state = story();
        state.view.page = Page::Dependencies;
        state.view.drawn.keys = ["django", "redis"].map(|item| format!("shop/python/app#{item}")).into();
        press(&mut state, Command::Mark);
        press(&mut state, Command::Mark);
        let asked = press(&mut state, Command::Actions).into_iter().find_map(|effect| if let Effect::Offers(keys) = effect { Some(keys) } else { None });
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let offer = Offer { verb: words(&["upgrade", "shop/python/app"]), flags: words(&["--yes=shop"]), ..Offer::new("upgrade", "guarded upgrade") };
        update(&mut state, Msg::Offered(asked.unwrap().into_iter().map(|key| (key, vec![offer.clone()])).collect()), now());
        // What is not trusted runs nothing.
        state.world.untrusted = Some("/srv/rounds.toml".into());
        press(&mut state, Command::Enter);
        assert!(matches!(state.view.overlay, Some(Overlay::Actions { .. })));
        state.world.untrusted = None;
        press(&mut state, Command::Enter);
        let command = "rounds upgrade shop/python/app django redis --yes=shop";
        assert!(matches!(&state.view.overlay, Some(Overlay::Offer(asked)) if asked.command().as_deref() == Some(command)));
        let told = errand(&press(&mut state, Command::Enter)).unwrap();
        assert_eq!((told.words().join(" ").as_str(), told.can_stop()), (command, true));
        assert!(matches!(&state.view.overlay, Some(Overlay::Output { run, .. }) if *run == told.run));
        assert_eq!(pending(&state.world, &told.source, "redis"), Some("guarded upgrade"));
        update(&mut state, Msg::ActionOutput { run: told.run.clone(), lines: vec!["$ git worktree add".into()], dropped: 0 }, now());
        // It can be left running, seen again, and stopped.
        press(&mut state, Command::Back);
        assert!(state.view.overlay.is_none() && state.world.runs[0].ended.is_none());
        state.view.overlay = Some(Overlay::Output { run: told.run.clone(), above: 0, stopping: false });
        press(&mut state, Command::Interrupt);
        assert!(press(&mut state, Command::Enter).contains(&Effect::StopAction(told.run.clone())));
        let end = crate::domain::ActionEnd { ok: true, words: "2 kept on branch rounds/upgrade-2026-11-20".into(), took_ms: 9 };
        let effects = update(&mut state, Msg::ActionEnded { run: told.run.clone(), end }, now());
        let kept =
            effects.iter().any(|effect| matches!(effect, Effect::KeepTransition(t) if t.sentence.contains("2 kept on branch rounds/upgrade-2026-11-20")));
        assert!(kept && pending(&state.world, &told.source, "redis").is_none());
    }

    #[test]
    fn the_undo_of_an_assignment_is_what_the_source_said() {
        let mut state = at_errors();
        open(&mut state);
        press(&mut state, Command::Enter);
        let told = errand(&press(&mut state, Command::Enter)).unwrap();
        let undo = Call { key: key("4101"), offer: "assign".into(), arguments: [("to".to_owned(), "team:9".to_owned())].into() };
        let given = Outcome { undo: Some(undo), now: Now { assignee: Some("ana".into()), ..Now::default() }, ..Outcome::default() };
        answer(&mut state, &told, vec![Ok(given)]);
        assert_eq!(state.world.sources[&id("shop/sentry/backend")].issues.as_ref().unwrap().1.find("4101").unwrap().assignee.as_deref(), Some("ana"));
        assert_eq!(errand(&press(&mut state, Command::Undo)).unwrap().words(), ["assign", "to=team:9", "SHOP-4K2"]);
    }
}
