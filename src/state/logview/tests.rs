use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::domain::{LogBatch, LogFrom, LogNotice, LogPast};
use crate::sources::SourceSpec;
use crate::state::update::update;
use crate::state::{Command, Effect, LogList, Msg, SiteState};

fn start() -> Timestamp {
    Timestamp::from_timestamp(1_795_143_124, 0).unwrap()
}

fn event(ms: i64, level: Level, message: &str) -> LogEvent {
    LogEvent { at: start() + TimeDelta::milliseconds(ms), level, file: 0, message: message.to_owned(), detail: Vec::new(), fingerprint: None, place: None }
}

fn source(id: &str, first_seq: u64, events: Vec<LogEvent>) -> (SourceId, SourceState) {
    let id = SourceId::parse(id).unwrap();
    let spec = SourceSpec {
        id: id.clone(),
        title: String::new(),
        capability: Capability::Log,
        every: Duration::from_secs(10),
        timeout: Duration::from_secs(10),
        retry_every: Duration::from_secs(10),
        failures: 1,
        successes: 1,
        enabled: true,
        continuous: true,
        runbook: None,
        needs: Vec::new(),
        target: String::new(),
    };
    let log = LogState { files: vec!["django.log".to_owned()], first_seq, events: events.into(), ..LogState::default() };
    let mut state = SourceState::new(spec);
    state.log = Some(log);
    (id, state)
}

fn world(sources: Vec<(SourceId, SourceState)>) -> World {
    let names: BTreeSet<String> = sources.iter().map(|(id, _)| id.site().to_owned()).collect();
    let sites = names.into_iter().map(|name| SiteState { name, ..SiteState::default() }).collect();
    World { sites, sources: sources.into_iter().collect(), ..World::default() }
}

fn messages(merged: &Merged<'_>) -> Vec<String> {
    merged.entries().iter().map(|entry| merged.event(entry).unwrap().message.clone()).collect()
}

#[test]
fn the_logs_of_a_site_are_one_sequence_by_time() {
    let world = world(vec![
        source("shop/log/access", 7, vec![event(0, Level::Info, "a"), event(2_000, Level::Info, "c")]),
        source("shop/log/django", 0, vec![event(1_000, Level::Error, "b"), event(3_000, Level::Info, "d")]),
        source("blog/log/django", 0, vec![event(500, Level::Error, "other site")]),
    ]);
    let mut view = View::default();
    view.log.site = Some("shop".to_owned());
    let merged = Merged::new(&world, &view);
    assert_eq!(messages(&merged), ["a", "b", "c", "d"]);
    assert_eq!(merged.key(2), Some(("shop/log/access".to_owned(), 8)));
    assert_eq!(tabs(&world, &view), ["blog", "shop", "shop/log/access", "shop/log/django"]);
    assert_eq!(next_tab(&world, &view, true).as_deref(), Some("shop/log/access"));
    view.log.site = Some("shop/log/django".to_owned());
    assert_eq!(messages(&Merged::new(&world, &view)), ["b", "d"]);
    view.log.site = Some("gone".to_owned());
    assert_eq!(messages(&Merged::new(&world, &view)), ["other site"]);
}

#[test]
fn equal_neighbours_within_a_second_are_one_entry() {
    let view = View::default();
    let world = world(vec![source(
        "shop/log/django",
        0,
        vec![
            event(0, Level::Error, "boom"),
            event(400, Level::Error, "boom"),
            event(900, Level::Error, "boom"),
            event(1_100, Level::Error, "boom"),
            event(1_200, Level::Info, "ok"),
            event(1_300, Level::Error, "boom"),
        ],
    )]);
    let merged = Merged::new(&world, &view);
    assert_eq!(merged.entries().iter().map(|entry| (entry.count, entry.span_ms)).collect::<Vec<_>>(), [(3, 900), (1, 0), (1, 0), (1, 0)]);
    // The second of three equal ones is found in their entry.
    assert_eq!(merged.position(Some(&("shop/log/django".to_owned(), 1))), Some(0));
    assert_eq!(merged.events_below(0), 3);
}

#[test]
fn a_filter_and_a_level_say_what_they_hide() {
    let world = world(vec![source(
        "shop/log/django",
        0,
        vec![event(0, Level::Info, "GET /healthz"), event(1, Level::Info, "GET /"), event(2, Level::Error, "healthz broke"), event(3, Level::Debug, "x")],
    )]);
    let mut view = View::default();
    view.log.filters.push(LogFilter { text: "!healthz".to_owned(), on: true });
    view.log.level = Some(Level::Info);
    let merged = Merged::new(&world, &view);
    assert_eq!(messages(&merged), ["GET /"]);
    assert_eq!((merged.index.hidden, merged.index.hidden_errors, merged.index.below), (2, 1, 1));
}

#[test]
fn seeking_goes_to_the_next_of_its_kind_and_stays_at_the_ends() {
    let view = View::default();
    let mut traceback = event(2_000, Level::Error, "Internal Server Error");
    traceback.detail = vec!["KeyError: 'currency'".to_owned()];
    let world = world(vec![source(
        "shop/log/django",
        0,
        vec![event(0, Level::Error, "a"), event(1_000, Level::Warning, "b"), traceback, event(3_000, Level::Critical, "d"), event(4_000, Level::Info, "e")],
    )]);
    let merged = Merged::new(&world, &view);
    assert_eq!(merged.seek(0, Seek::Error, true), Some(2));
    assert_eq!(merged.seek(2, Seek::Error, true), Some(3));
    assert_eq!(merged.seek(3, Seek::Error, true), None);
    assert_eq!(merged.seek(4, Seek::Error, false), Some(3));
    assert_eq!(merged.seek(3, Seek::Warning, false), Some(1));
    assert_eq!(merged.seek(0, Seek::Match, true), None);
    assert_eq!(merged.seek(usize::MAX, Seek::Error, true), None);
    let mut view = View::default();
    view.log.search = "currency".to_owned();
    let merged = Merged::new(&world, &view);
    assert_eq!((merged.seek(0, Seek::Match, true), merged.index.found, merged.rank(2), merged.rank(1)), (Some(2), 1, Some(1), None));
}

#[test]
fn the_selection_follows_at_the_end_and_survives_what_it_stood_on() {
    let view = View::default();
    let world = world(vec![source("shop/log/django", 100, (0..10).map(|n| event(n * 2_000, Level::Info, &format!("{n}"))).collect())]);
    let merged = Merged::new(&world, &view);
    assert_eq!(merged.position(None), Some(9));
    assert_eq!(merged.select(9), None);
    let key = merged.select(4).unwrap();
    assert_eq!(key, ("shop/log/django".to_owned(), 104));
    assert_eq!(merged.position(Some(&key)), Some(4));
    // It was pushed out of memory: the oldest that is left.
    assert_eq!(merged.position(Some(&("shop/log/django".to_owned(), 3))), Some(0));
    // Its source is gone.
    assert_eq!(merged.position(Some(&("shop/log/other".to_owned(), 3))), Some(9));
    assert_eq!(Merged::default().position(None), None);
}

#[test]
fn a_rotation_stands_where_it_was_noticed() {
    let view = View::default();
    let (id, mut state) = source("shop/log/django", 10, vec![event(0, Level::Info, "a"), event(2_000, Level::Info, "b")]);
    let at = start() + TimeDelta::days(1);
    state.log.as_mut().unwrap().marks =
        [(11, LogMark { at, file: 0, notice: LogNotice::Rotated }), (12, LogMark { at, file: 0, notice: LogNotice::Gone })].into();
    let world = world(vec![(id, state)]);
    let merged = Merged::new(&world, &view);
    assert_eq!(merged.marks.iter().map(|mark| mark.before).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_world_without_logs_has_no_sequence() {
    let view = View::default();
    let world = World::default();
    let merged = Merged::new(&world, &view);
    assert!(merged.tab.is_empty() && merged.entries().is_empty());
}

/// A state on the logs page, as after its first frame.
fn reading(sources: Vec<(SourceId, SourceState)>) -> State {
    let mut state = State { world: world(sources), view: View { page: Page::Logs, ..View::default() } };
    state.view.drawn.height = 10;
    state
}

fn press(state: &mut State, command: Command) -> Vec<Effect> {
    update(state, Msg::Command(command), start() + TimeDelta::minutes(1))
}

fn enter(state: &mut State, text: &str) {
    for c in text.chars() {
        update(state, Msg::Edit(tui_input::InputRequest::InsertChar(c)), start());
    }
    press(state, Command::Enter);
}

fn shown_in(state: &State) -> Vec<String> {
    messages(&Merged::new(&state.world, &state.view))
}

fn selected_in(state: &State) -> Option<String> {
    let merged = Merged::new(&state.world, &state.view);
    let at = merged.position(state.view.log.selected.as_ref())?;
    Some(merged.event(&merged.entries()[at])?.message.clone())
}

fn said(state: &State) -> String {
    state.view.toast.as_ref().map_or_else(String::new, |toast| toast.text.clone())
}

fn eight() -> Vec<(SourceId, SourceState)> {
    let level = |n: i64| if n == 3 { Level::Error } else { Level::Info };
    vec![source("shop/log/django", 0, (0..8).map(|n| event(n * 60_000, level(n), &format!("line {n} {}", if n % 2 == 0 { "even" } else { "odd" }))).collect())]
}

#[test]
fn filters_are_added_listed_switched_changed_and_removed() {
    let mut state = reading(eight());
    press(&mut state, Command::LogFilter);
    enter(&mut state, "even & !4");
    assert_eq!(shown_in(&state), ["line 0 even", "line 2 even", "line 6 even"]);
    press(&mut state, Command::LogExclude);
    enter(&mut state, "\"line 0\"");
    assert_eq!(state.view.log.filters.iter().map(|filter| filter.text.as_str()).collect::<Vec<_>>(), ["even", "!4", "!\"line 0\""]);
    assert_eq!(shown_in(&state), ["line 2 even", "line 6 even"]);
    // In the list: the second is switched off, the first is changed, the third removed.
    press(&mut state, Command::LogFilters);
    press(&mut state, Command::Down);
    press(&mut state, Command::Mark);
    assert_eq!(shown_in(&state), ["line 2 even", "line 4 even", "line 6 even"]);
    press(&mut state, Command::Up);
    press(&mut state, Command::Enter);
    for _ in 0..4 {
        update(&mut state, Msg::Edit(tui_input::InputRequest::DeletePrevChar), start());
    }
    enter(&mut state, "odd");
    assert_eq!(shown_in(&state), ["line 1 odd", "line 3 odd", "line 5 odd", "line 7 odd"]);
    press(&mut state, Command::LogFilters);
    press(&mut state, Command::Bottom);
    press(&mut state, Command::PageDown);
    press(&mut state, Command::Remove);
    assert_eq!(state.view.log.filters.len(), 2);
    press(&mut state, Command::Back);
    assert!(state.view.overlay.is_none());
    press(&mut state, Command::Remove);
    press(&mut state, Command::Remove);
    assert_eq!(shown_in(&state).len(), 8);
    press(&mut state, Command::Remove);
    assert!(said(&state).contains("no filter"), "{}", said(&state));
}

#[test]
fn what_is_being_typed_narrows_at_once_and_leaves_no_trace() {
    let mut state = reading(eight());
    press(&mut state, Command::LogFilter);
    update(&mut state, Msg::Paste("odd".to_owned()), start());
    assert_eq!(shown_in(&state).len(), 4);
    press(&mut state, Command::Back);
    assert_eq!((shown_in(&state).len(), state.view.log.filters.len()), (8, 0));
}

#[test]
fn lines_around_a_match_are_shown_but_never_excluded_ones() {
    let mut state = reading(eight());
    state.view.log.level = Some(Level::Error);
    assert_eq!(shown_in(&state), ["line 3 odd"]);
    press(&mut state, Command::Context);
    assert_eq!(shown_in(&state), ["line 1 odd", "line 2 even", "line 3 odd", "line 4 even", "line 5 odd"]);
    state.view.log.filters.push(LogFilter { text: "!even".to_owned(), on: true });
    // Of those that are left the two before and after.
    assert_eq!(shown_in(&state), ["line 1 odd", "line 3 odd", "line 5 odd", "line 7 odd"]);
    let merged = Merged::new(&state.world, &state.view);
    assert_eq!(merged.entries().iter().map(|entry| entry.context).collect::<Vec<_>>(), [true, false, true, true]);
    drop(merged);
    for _ in 0..3 {
        press(&mut state, Command::Context);
    }
    assert_eq!((state.view.log.context, shown_in(&state).len()), (0, 1));
}

#[test]
fn a_search_is_counted_and_says_when_it_goes_round() {
    let mut state = reading(eight());
    press(&mut state, Command::Filter);
    enter(&mut state, "even");
    assert_eq!(selected_in(&state).as_deref(), Some("line 6 even"));
    let merged = Merged::new(&state.world, &state.view);
    assert_eq!((merged.rank(6), merged.index.found), (Some(4), 4));
    drop(merged);
    press(&mut state, Command::NextMatch);
    assert_eq!(selected_in(&state).as_deref(), Some("line 0 even"));
    assert!(said(&state).contains("went round"), "{}", said(&state));
    // The other way round it is first looked for in older files.
    let effects = press(&mut state, Command::PreviousMatch);
    refuse(&mut state, effects);
    assert_eq!(selected_in(&state).as_deref(), Some("line 6 even"));
    assert!(said(&state).contains("went round"), "{}", said(&state));
    press(&mut state, Command::Filter);
    state.view.prompt.as_mut().unwrap().input = "nowhere".into();
    // That there is nothing older is known by now.
    press(&mut state, Command::Enter);
    assert!(said(&state).contains("not in these lines"), "{}", said(&state));
}

#[test]
fn a_moment_is_gone_to() {
    let mut state = reading(eight());
    let time = (start() + TimeDelta::minutes(3)).format("%H:%M:%S").to_string();
    press(&mut state, Command::GoToTime);
    update(&mut state, Msg::Paste(time), start());
    update(&mut state, Msg::Command(Command::Enter), start() + TimeDelta::minutes(8));
    assert_eq!(selected_in(&state).as_deref(), Some("line 3 odd"));
    press(&mut state, Command::GoToTime);
    update(&mut state, Msg::Paste("noon".to_owned()), start());
    press(&mut state, Command::Enter);
    assert!(said(&state).contains("no moment"), "{}", said(&state));
    assert_eq!(selected_in(&state).as_deref(), Some("line 3 odd"));
}

#[test]
fn what_is_above_is_cleared_and_comes_back() {
    let mut state = reading(eight());
    state.view.log.selected = Some(("shop/log/django".to_owned(), 5));
    press(&mut state, Command::ClearFromHere);
    assert_eq!(shown_in(&state), ["line 5 odd", "line 6 even", "line 7 odd"]);
    press(&mut state, Command::ClearFromHere);
    assert_eq!((shown_in(&state).len(), selected_in(&state).as_deref()), (8, Some("line 5 odd")));
    state.view.log.selected = None;
    press(&mut state, Command::ClearFromHere);
    assert!(shown_in(&state).is_empty());
    press(&mut state, Command::ClearFromHere);
    assert_eq!(shown_in(&state).len(), 8);
}

#[test]
fn bookmarks_are_set_visited_and_listed() {
    let mut state = reading(eight());
    for seq in [2, 5] {
        state.view.log.selected = Some(("shop/log/django".to_owned(), seq));
        press(&mut state, Command::Bookmark);
    }
    press(&mut state, Command::PreviousBookmark);
    assert_eq!(selected_in(&state).as_deref(), Some("line 2 even"));
    press(&mut state, Command::NextBookmark);
    assert_eq!(selected_in(&state).as_deref(), Some("line 5 odd"));
    press(&mut state, Command::NextBookmark);
    assert!(said(&state).contains("no bookmark below"), "{}", said(&state));
    press(&mut state, Command::Bookmarks);
    press(&mut state, Command::Enter);
    assert_eq!((selected_in(&state).as_deref(), state.view.overlay.is_some()), (Some("line 2 even"), false));
    press(&mut state, Command::Bookmarks);
    press(&mut state, Command::Remove);
    press(&mut state, Command::Remove);
    assert!(state.view.log.bookmarks.is_empty() && state.view.overlay.is_none());
}

#[test]
fn files_are_chosen_and_the_others_counted() {
    let mut sources = eight();
    let log = sources[0].1.log.as_mut().unwrap();
    log.files.push("access.log".to_owned());
    for event in log.events.iter_mut().skip(4) {
        event.file = 1;
    }
    let mut state = reading(sources);
    press(&mut state, Command::LogFiles);
    assert_eq!(lists::rows(&state, LogList::Files).len(), 3);
    press(&mut state, Command::Down);
    press(&mut state, Command::Mark);
    assert_eq!(shown_in(&state).len(), 4);
    assert_eq!(Merged::new(&state.world, &state.view).index.elsewhere, 4);
    // Enter on the other: only that one; again: all.
    press(&mut state, Command::Enter);
    assert_eq!(shown_in(&state)[0], "line 0 even");
    press(&mut state, Command::LogFiles);
    press(&mut state, Command::Down);
    press(&mut state, Command::Enter);
    assert_eq!(shown_in(&state).len(), 8);
}

#[test]
fn following_is_given_up_and_taken_up_again() {
    let mut state = reading(eight());
    press(&mut state, Command::Follow);
    assert_eq!(state.view.log.selected, Some(("shop/log/django".to_owned(), 7)));
    press(&mut state, Command::Follow);
    assert_eq!(state.view.log.selected, None);
}

#[test]
fn everything_survives_toggles_pages_and_tabs() {
    let mut sources = eight();
    sources.push(source("shop/log/access", 0, vec![event(10, Level::Info, "GET / even")]));
    let mut state = reading(sources);
    state.view.log.selected = Some(("shop/log/django".to_owned(), 4));
    press(&mut state, Command::Bookmark);
    press(&mut state, Command::Wrap);
    press(&mut state, Command::LogFilter);
    enter(&mut state, "!odd");
    press(&mut state, Command::Context);
    let before = (state.view.log.filters.clone(), state.view.log.bookmarks.clone(), state.view.log.selected.clone());
    for command in [
        Command::Page(Page::Attention),
        Command::Page(Page::Logs),
        Command::Pause,
        Command::Timestamps,
        Command::Zoom,
        Command::Pause,
        Command::Level,
        Command::Level,
        Command::Level,
        Command::Level,
        Command::Help,
        Command::Back,
    ] {
        press(&mut state, command);
    }
    assert_eq!((state.view.log.filters.clone(), state.view.log.bookmarks.clone(), state.view.log.selected.clone()), before);
    assert!(state.view.log.wrap && state.view.log.context > 0);
    assert_eq!(selected_in(&state).as_deref(), Some("line 4 even"));
}

fn batch(from: u64, count: u64, skipped: u64) -> Msg {
    let events: Vec<LogEvent> =
        (from..from + count).map(|n| event(n.cast_signed(), if n % 50 == 0 { Level::Error } else { Level::Info }, &format!("line {n}"))).collect();
    let levels = [(Level::Error, (count + skipped) / 50), (Level::Info, (count + skipped) - (count + skipped) / 50)].into();
    let mark = LogMark { at: start(), file: 0, notice: LogNotice::Skipped(skipped) };
    let batch = LogBatch { files: vec!["django.log".to_owned()], lines: count + skipped, levels, events, marks: vec![mark], skipped, ..LogBatch::default() };
    let at = start() + TimeDelta::milliseconds(from.cast_signed());
    let observation = crate::domain::Observation { at, data: crate::domain::Data::Log(batch) };
    let collected = crate::sources::Collected { observations: vec![observation], problems: Vec::new(), complete: false };
    Msg::Polled(crate::state::msg::Polled { source: SourceId::parse("shop/log/django").unwrap(), started: at, at, result: Ok(collected), next_at: None })
}

/// A hundred thousand lines a second for ten seconds, as they reach the state: each tenth of a second the newest 200 and the count of the rest.
#[test]
fn a_flood_leaves_keys_quick_and_counts_whole() {
    let mut state = reading(vec![source("shop/log/django", 0, Vec::new())]);
    state.view.log.filters.push(LogFilter { text: "!7".to_owned(), on: true });
    state.view.log.search = "line".to_owned();
    press(&mut state, Command::Follow);
    for n in 0..100u64 {
        let at = start() + TimeDelta::milliseconds(n.cast_signed() * 200);
        update(&mut state, batch(n * 200, 200, 9_800), at);
        // A key between two batches finds the sequence made: nothing is looked at again.
        assert!(matches!(Merged::new(&state.world, &state.view).index, Cow::Borrowed(_)));
    }
    let log = state.world.sources.values().next().unwrap().log.as_ref().unwrap();
    assert_eq!((log.lines, log.levels[&Level::Error], log.events.len()), (1_000_000, 20_000, 5_000));
    let merged = Merged::new(&state.world, &state.view);
    let index = &merged.index;
    assert_eq!(index.shown + index.hidden, 5_000);
    assert_eq!(merged.marks.len(), 25);
    assert!(merged.marks.iter().all(|mark| mark.mark.notice == LogNotice::Skipped(9_800)));
    drop(merged);
    press(&mut state, Command::PreviousError);
    assert_eq!(selected_in(&state).as_deref(), Some("line 19950"));
    press(&mut state, Command::Top);
    assert_eq!(selected_in(&state).as_deref(), Some("line 15000"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// What is kept between frames is what would be made anew.
    #[test]
    fn the_kept_sequence_is_the_one_made_anew(
        steps in prop::collection::vec((0usize..3, prop::collection::vec((0i64..4_000, 0usize..5, 0u8..4), 0..12), 0usize..8, 0u8..10), 1..12),
    ) {
        let mut state = reading(vec![source("shop/log/a", 3, Vec::new()), source("shop/log/b", 0, Vec::new()), source("shop/log/c", 9, Vec::new())]);
        for (nth, events, popped, toggle) in steps {
            let log = state.world.sources.values_mut().nth(nth).unwrap().log.as_mut().unwrap();
            for (ms, level, word) in events {
                log.events.push_back(event(ms, Level::ALL[level], ["a", "b", "ab", "c"][usize::from(word)]));
            }
            for _ in 0..popped {
                if log.events.pop_front().is_some() {
                    log.first_seq += 1;
                }
            }
            match toggle {
                0 => state.view.log.level = Some(Level::Warning),
                1 => state.view.log.level = None,
                2 => state.view.log.filters.push(LogFilter { text: "a".to_owned(), on: true }),
                3 => state.view.log.filters.push(LogFilter { text: "!c".to_owned(), on: true }),
                4 => state.view.log.filters.clear(),
                5 => state.view.log.search = "b".to_owned(),
                6 => state.view.log.context = (state.view.log.context + 2) % 6,
                7 => state.view.log.cleared = Some(start() + TimeDelta::seconds(1)),
                8 => state.view.log.site = Some("shop/log/b".to_owned()),
                _ => state.view.log.site = None,
            }
            follow(&mut state);
            let kept = Merged::new(&state.world, &state.view);
            prop_assert!(matches!(kept.index, Cow::Borrowed(_)));
            let mut view = state.view.clone();
            view.log.index = Index::default();
            let anew = Merged::new(&state.world, &view);
            prop_assert_eq!(kept.entries(), anew.entries());
            let counts = |index: &Index| (index.hidden, index.hidden_errors, index.below, index.cleared, index.elsewhere, index.shown, index.found);
            prop_assert_eq!(counts(&kept.index), counts(&anew.index));
            for at in 0..kept.entries().len() {
                prop_assert_eq!(kept.position(kept.key(at).as_ref()), Some(at));
            }
        }
    }
}

/// A log whose files hold lines 0 to 30,000, one a second; the newest ten are in memory.
fn long() -> State {
    let line = |n: i64| event(n * 1_000, if n == 500 { Level::Error } else { Level::Info }, &format!("line {n}"));
    let mut state = reading(vec![source("shop/log/django", LogState::begin().first_seq, (29_990..30_000).map(line).collect())]);
    for log in state.world.sources.values_mut().filter_map(|source| source.log.as_mut()) {
        log.watched_since = Some(start());
    }
    state
}

/// Answers what is asked for out of the files, until nothing is asked any more. Gives how many pages were read.
fn answer(state: &mut State, effects: Vec<Effect>) -> usize {
    let mut asked: std::collections::VecDeque<Effect> = effects.into();
    let mut pages = 0;
    while let Some(effect) = asked.pop_front() {
        let Effect::ReadLogBack(source, query) = effect else { continue };
        pages += 1;
        let end = (query.from[0].at.unwrap() - start()).num_seconds();
        let first = (end - i64::try_from(query.limit).unwrap()).max(0);
        let line = |n: i64| event(n * 1_000, if n == 500 { Level::Error } else { Level::Info }, &format!("line {n}"));
        let at = start() + TimeDelta::seconds(first);
        let next = (first > 0).then(|| vec![LogFrom { file: "django.log".to_owned(), place: None, at: Some(at) }]);
        let past = LogPast { events: (first..end).map(line).collect(), files: query.files.clone(), next, ..LogPast::default() };
        asked.extend(update(state, Msg::LogPast { source, query, result: Ok(past) }, start() + TimeDelta::hours(9)));
    }
    pages
}

/// The answer of a log that cannot be read back.
fn refuse(state: &mut State, effects: Vec<Effect>) {
    let Some(Effect::ReadLogBack(source, query)) = effects.into_iter().next() else { panic!("nothing was asked for") };
    let error = crate::domain::SourceError::nothing("only what was read since the start is there", "");
    update(state, Msg::LogPast { source, query, result: Err(error) }, start());
}

fn held(state: &State) -> usize {
    state.world.sources.values().next().unwrap().log.as_ref().unwrap().events_from(0).count()
}

#[test]
fn scrolling_up_reads_older_events_and_the_end_lets_go_of_them() {
    let mut state = long();
    for _ in 0..12 {
        let effects = press(&mut state, Command::PageUp);
        answer(&mut state, effects);
    }
    assert_eq!(selected_in(&state).as_deref(), Some("line 29891"));
    assert!(held(&state) >= 500);
    // What comes meanwhile changes nothing of the picture.
    update(&mut state, batch(31_000_000, 5, 0), start() + TimeDelta::hours(9));
    assert_eq!(selected_in(&state).as_deref(), Some("line 29891"));
    press(&mut state, Command::Bottom);
    assert_eq!(held(&state), 15);
}

#[test]
fn memory_stays_bounded_far_back_and_what_was_let_go_of_comes_again() {
    let mut state = long();
    let effects = press(&mut state, Command::PreviousError);
    answer(&mut state, effects);
    assert_eq!(selected_in(&state).as_deref(), Some("line 500"));
    assert!(held(&state) <= 20_010, "{}", held(&state));
    let merged = Merged::new(&state.world, &state.view);
    let (before, gap) = merged.gaps[0];
    assert!(gap.readable && gap.events > 0);
    let key = merged.key(before - 1);
    drop(merged);
    // On the way down over the gap the lines follow each other again.
    state.view.log.selected = key;
    let above = selected_in(&state).unwrap();
    let effects = press(&mut state, Command::Down);
    answer(&mut state, effects);
    press(&mut state, Command::Down);
    let number = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    let below = selected_in(&state).unwrap();
    assert!((1..=2).contains(&(number(&below) - number(&above))), "{above} {below}");
}

#[test]
fn a_search_and_a_moment_reach_into_older_files() {
    let mut state = long();
    press(&mut state, Command::Filter);
    state.view.prompt.as_mut().unwrap().input = "line 123$".into();
    let effects = press(&mut state, Command::Enter);
    assert!(state.view.log.sought.is_some());
    answer(&mut state, effects);
    assert_eq!((selected_in(&state).as_deref(), state.view.log.sought), (Some("line 123"), None));
    let mut state = long();
    press(&mut state, Command::GoToTime);
    update(&mut state, Msg::Paste((start() + TimeDelta::seconds(9_000)).to_rfc3339()), start());
    let effects = update(&mut state, Msg::Command(Command::Enter), start() + TimeDelta::hours(9));
    assert!(answer(&mut state, effects) > 0);
    assert_eq!(selected_in(&state).as_deref(), Some("line 9000"));
}

#[test]
fn what_is_nowhere_is_said_to_be_so_and_reading_can_be_stopped() {
    let mut state = long();
    press(&mut state, Command::Filter);
    state.view.prompt.as_mut().unwrap().input = "nowhere".into();
    let effects = press(&mut state, Command::Enter);
    answer(&mut state, effects);
    assert!(said(&state).contains("not in these lines"), "{}", said(&state));
    assert_eq!(state.view.log.sought, None);
    let mut state = long();
    let effects = press(&mut state, Command::PreviousError);
    assert_eq!(effects.len(), 1);
    press(&mut state, Command::Back);
    assert_eq!(state.view.log.sought, None);
    answer(&mut state, effects);
    assert_eq!(selected_in(&state).as_deref(), Some("line 29999"));
    // A log that cannot be read back has no error above.
    let mut state = long();
    let effects = press(&mut state, Command::PreviousError);
    refuse(&mut state, effects);
    assert!(said(&state).contains("no error above"), "{}", said(&state));
}

#[test]
fn a_pause_keeps_what_was_read_back() {
    let mut state = long();
    press(&mut state, Command::Pause);
    let effects = press(&mut state, Command::PreviousError);
    answer(&mut state, effects);
    assert_eq!(held(&state), 10, "the world itself was not touched");
    update(&mut state, batch(31_000_000, 5, 0), start() + TimeDelta::hours(9));
    press(&mut state, Command::Pause);
    assert_eq!(selected_in(&state).as_deref(), Some("line 500"));
}
