use crate::state::{Page, Part, State};
use crate::ui::fixture::*;
use crate::ui::tests::{SIZES, snapshot};

fn told() -> State {
    let mut state = story();
    state.view.page = Page::Errors;
    state
}

#[test]
fn errors_at_every_size() {
    let state = told();
    for (width, height) in SIZES {
        snapshot("errors", &state, &rich(), width, height);
    }
    snapshot("errors-mono", &state, &mono(), 80, 24);
    snapshot("errors-ascii", &state, &plain(), 80, 24);
}

#[test]
fn a_group_of_a_log_shows_its_latest_example() {
    let mut state = told();
    told_apart(&mut state);
    state.view.list_mut().selected = Some("shop/log/django#9e1f03aa".to_owned());
    for (width, height) in [(80, 24), (120, 40)] {
        snapshot("errors-group", &state, &rich(), width, height);
    }
    state.view.detail_open = true;
    state.view.focus = Part::Detail;
    snapshot("errors-group-detail", &state, &rich(), 80, 24);
}

#[test]
fn the_orders_change_and_sources_that_are_not_known_stay_last() {
    let mut state = told();
    told_apart(&mut state);
    let first = |state: &State| screen(state, &rich(), 80, 24).1.keys;
    assert_eq!(first(&state)[0], "shop/sentry/backend#4101");
    for (sort, key) in [(1, "shop/log/django#9e1f03aa"), (2, "shop/sentry/backend#4101"), (4, "shop/log/django#9e1f03aa")] {
        state.view.list_mut().sort = sort;
        let keys = first(&state);
        assert_eq!(keys[0], key, "{sort}");
        assert_eq!(&keys[keys.len() - 2..], ["blog/log/app#?", "blog/sentry/blog#?"], "{sort}");
    }
    assert!(text(&screen(&state, &rich(), 80, 24).0).contains("issues by first"));
}

#[test]
fn an_error_in_the_tracker_and_in_a_log_is_one_row_with_both_counts() {
    let mut state = told();
    let (buffer, drawn) = screen(&state, &rich(), 120, 40);
    assert!(drawn.keys.iter().all(|key| !key.contains("9e1f03aa")), "{:?}", drawn.keys);
    let shown = text(&buffer);
    let row = shown.lines().find(|line| line.contains("SHOP-4K2")).unwrap();
    assert!(row.contains("+456 log"), "{shown}");
    state.view.detail_open = true;
    let shown = text(&screen(&state, &rich(), 120, 40).0);
    assert!(shown.contains("shop/log/django, "), "{shown}");
}

#[test]
fn a_filter_says_what_it_hides() {
    let mut state = told();
    told_apart(&mut state);
    state.view.list_mut().filter = "payment".to_owned();
    let (buffer, drawn) = screen(&state, &rich(), 80, 24);
    assert_eq!(drawn.keys, ["shop/sentry/backend#4104"]);
    assert!(text(&buffer).contains("8 issues are hidden by the filter, 2 of them critical"), "{}", text(&buffer));
}

#[test]
fn a_tracker_that_refuses_keeps_its_last_issues_and_says_since_when() {
    let mut state = told();
    let error = crate::domain::SourceError::auth("the server answers 403", "give the token `event:read`");
    poll(&mut state, "shop/sentry/backend", now(), Err(error));
    let shown = text(&screen(&state, &rich(), 120, 40).0);
    assert!(shown.contains("SHOP-4K2") && shown.contains("sentry/backend not known since 03:12: the server answers 403   give the token"), "{shown}");
}

#[test]
fn empty_is_said_only_of_what_was_looked_at() {
    let mut state = told();
    for id in ["shop/log/django", "blog/log/app", "blog/sentry/blog"] {
        state.world.sources.remove(&id_of(id));
    }
    let nothing = crate::domain::Issues { server: "sentry".to_owned(), ..Default::default() };
    poll(&mut state, "shop/sentry/backend", ago(2), Ok(vec![crate::domain::Data::Issues(nothing)]));
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("✔ No issue in the last 24 h (looked 5 s ago)"), "{shown}");
    let backend = state.world.sources.get_mut(&id_of("shop/sentry/backend")).unwrap();
    *backend = crate::state::SourceState::new(backend.spec.clone());
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(!shown.contains('✔') && shown.contains("· FIRST shop"), "{shown}");
    state.world.sources.clear();
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("? No error tracker is watched") && shown.contains("[site.shop.sentry.NAME]"), "{shown}");
}

fn id_of(text: &str) -> crate::domain::SourceId {
    id(text)
}

/// What a tracker says may try to command the terminal.
#[test]
fn hostile_titles_are_drawn_as_text() {
    let mut state = told();
    let (_, issues) = state.world.sources.get_mut(&id("shop/sentry/backend")).unwrap().issues.as_mut().unwrap();
    for issue in &mut issues.items {
        issue.title = "\u{1b}]52;c;cm0=\u{7}Evil\u{202e}: \u{9b}2J日本語".repeat(9);
        issue.short_id = "\u{1b}[2JX\n".repeat(9);
        issue.culprit = Some("\u{7}a/b".repeat(30));
        issue.permalink = Some("https://x/\u{1b}[31m".to_owned());
        issue.hours = vec![u64::MAX; 3];
        (issue.events, issue.users) = (u64::MAX, Some(u64::MAX));
        issue.first_seen = Some(crate::domain::Timestamp::MIN_UTC);
        issue.last_seen = Some(crate::domain::Timestamp::MAX_UTC);
    }
    for open in [false, true] {
        state.view.detail_open = open;
        for (width, height) in SIZES {
            let (buffer, _) = screen(&state, &rich(), width, height);
            assert!(buffer.content().iter().all(|cell| !cell.symbol().chars().any(char::is_control)), "{width}x{height}");
        }
    }
}
