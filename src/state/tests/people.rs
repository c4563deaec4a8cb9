//! What people do: acknowledge, snooze, undo, move, pause.

use super::*;

fn type_text(state: &mut State, text: &str, now: Timestamp) {
    for c in text.chars() {
        update(state, Msg::Edit(tui_input::InputRequest::InsertChar(c)), now);
    }
}

#[test]
fn an_acknowledged_finding_sinks_and_comes_back_when_it_is_worse() {
    let mut state = state();
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
        probe(&mut state, "shop/http/home", s + 1, 500, 10.0);
    }
    keys(&mut state);
    let first = state.world.findings[0].id.clone();
    update(&mut state, Msg::Command(Command::Acknowledge), at(30));
    type_text(&mut state, "the vendor knows", at(30));
    let effects = update(&mut state, Msg::Command(Command::Enter), at(30));
    assert!(matches!(&effects[0], Effect::KeepAcknowledgement(id, Some(ack)) if *id == first && ack.by == "ana" && ack.why == "the vendor knows"));
    assert_eq!(state.world.findings[1].id, first, "it sinks");
    // The same again changes nothing; another evidence brings it back.
    probe(&mut state, first.as_str().split('#').next().unwrap(), 40, 500, 10.0);
    assert!(state.world.findings[1].acknowledged.is_some());
    probe(&mut state, first.as_str().split('#').next().unwrap(), 50, 404, 10.0);
    assert!(state.world.findings.iter().all(|f| f.acknowledged.is_none()));
}

#[test]
fn undo_gives_the_finding_back() {
    let mut state = state();
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
    }
    keys(&mut state);
    update(&mut state, Msg::Command(Command::Snooze), at(30));
    update(&mut state, Msg::Command(Command::Enter), at(30));
    let until = state.world.findings[0].acknowledged.as_ref().unwrap().until;
    assert_eq!(until, Some(at(30 + 7_200)));
    assert!(state.view.toast.as_ref().unwrap().undoable);
    // What is told of another step must not offer to undo the snooze in its name.
    let mut later = state.clone();
    act::toast(&mut later, "range 1 h".to_owned(), at(30));
    assert!(!later.view.undo.is_empty() && !later.view.toast.unwrap().undoable);
    update(&mut state, Msg::Command(Command::Undo), at(31));
    assert!(state.world.findings[0].acknowledged.is_none());
    assert!(!state.view.toast.unwrap().undoable);
}

#[test]
fn a_snooze_ends_when_its_time_is_over() {
    let mut state = state();
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
    }
    let id = state.world.findings[0].id.clone();
    let ack = Acknowledgement { by: "jon".into(), why: "x".into(), at: at(21), until: Some(at(40)), bound: None };
    update(&mut state, Msg::Acknowledged(id, Some(ack)), at(21));
    assert!(state.world.findings[0].acknowledged.is_some());
    update(&mut state, Msg::Tick, at(41));
    assert!(state.world.findings[0].acknowledged.is_none());
}

#[test]
fn in_read_only_mode_nothing_is_taken() {
    let mut state = state();
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
    }
    keys(&mut state);
    state.view.read_only = true;
    update(&mut state, Msg::Command(Command::Acknowledge), at(30));
    assert!(state.view.prompt.is_none());
}

#[test]
fn quit_closes_what_is_open_first_and_then_leaves() {
    let mut state = state();
    update(&mut state, Msg::Command(Command::Help), at(0));
    for _ in 0..2 {
        assert!(!update(&mut state, Msg::Command(Command::Interrupt), at(0)).contains(&Effect::Quit) || state.view.overlay.is_none());
    }
    state.view.prompt = None;
    state.view.overlay = None;
    update(&mut state, Msg::Command(Command::Filter), at(0));
    type_text(&mut state, "bask", at(0));
    assert_eq!(state.view.list().filter, "bask");
    update(&mut state, Msg::Command(Command::Enter), at(0));
    assert!(update(&mut state, Msg::Command(Command::Quit), at(0)).is_empty());
    assert_eq!(state.view.list().filter, "");
    assert_eq!(update(&mut state, Msg::Command(Command::Quit), at(0)), [Effect::Quit]);
}

#[test]
fn pages_are_not_levels() {
    let mut state = state();
    update(&mut state, Msg::Command(Command::Page(Page::Health)), at(0));
    assert_eq!(update(&mut state, Msg::Command(Command::Quit), at(0)), [Effect::Quit]);
}

#[test]
fn the_selection_follows_its_item_when_the_order_changes() {
    let mut state = state();
    state.view.drawn.keys = vec!["a".into(), "b".into(), "c".into()];
    update(&mut state, Msg::Command(Command::Down), at(0));
    state.view.drawn.keys = vec!["b".into(), "c".into(), "a".into()];
    assert_eq!(act::selected_key(&state), Some("b"));
    update(&mut state, Msg::Command(Command::Down), at(0));
    assert_eq!(act::selected_key(&state), Some("c"));
    // The item went away: the row that took its place is selected.
    state.view.drawn.keys = vec!["b".into(), "a".into()];
    assert_eq!(act::selected_key(&state), Some("a"));
}

#[test]
fn pausing_holds_the_picture_while_the_world_goes_on() {
    let mut state = state();
    probe(&mut state, "shop/http/home", 0, 200, 40.0);
    update(&mut state, Msg::Command(Command::Pause), at(1));
    for s in [30, 40, 50] {
        probe(&mut state, "shop/http/home", s, 500, 40.0);
    }
    assert_eq!(state.shown().sources[&id("shop/http/home")].status, Status::Ok);
    assert_eq!(status(&state, "shop/http/home"), Status::Down);
    assert_eq!(state.shown_at(at(60)), at(1));
    update(&mut state, Msg::Command(Command::Pause), at(61));
    assert_eq!(state.shown().sources[&id("shop/http/home")].status, Status::Down);
}

#[test]
fn pasted_text_is_one_clean_line() {
    let mut state = state();
    update(&mut state, Msg::Command(Command::Filter), at(0));
    update(&mut state, Msg::Paste("a\nb\u{1b}[31mc\u{0}".into()), at(0));
    assert_eq!(state.view.list().filter, "a b[31mc");
}

#[test]
fn an_acknowledgement_of_another_process_holds_to_what_was_taken() {
    let mut state = state();
    for s in [0, 10, 20] {
        probe(&mut state, "shop/http/basket", s, 500, 10.0);
    }
    let finding = state.world.findings[0].clone();
    let ack = Acknowledgement { bound: Some(Bound::of(&finding)), ..taken("jon", 21, None) };
    update(&mut state, Msg::Acknowledged(finding.id.clone(), Some(ack.clone())), at(21));
    probe(&mut state, "shop/http/basket", 30, 500, 10.0);
    assert!(state.world.findings[0].acknowledged.is_some(), "the same evidence");
    let effects = probe(&mut state, "shop/http/basket", 40, 503, 10.0);
    assert!(state.world.findings[0].acknowledged.is_none(), "other evidence brings it back");
    assert!(effects.contains(&Effect::KeepAcknowledgement(finding.id.clone(), None)));
    // What was taken elsewhere of something less bad covers nothing here.
    update(&mut state, Msg::Acknowledged(finding.id, Some(ack)), at(41));
    assert!(state.world.findings[0].acknowledged.is_none());
}

#[test]
fn what_was_taken_before_a_restart_holds_until_a_look_says_otherwise() {
    let mut state = state();
    let id = FindingId::from_text("shop/http/basket#availability");
    update(&mut state, Msg::Acknowledged(id.clone(), Some(taken("jon", 0, None))), at(0));
    for s in [1, 11, 21] {
        let effects = probe(&mut state, "shop/http/basket", s, 500, 10.0);
        assert!(!effects.iter().any(|e| matches!(e, Effect::KeepAcknowledgement(..) | Effect::Bell)), "at {s}: {effects:?}");
    }
    assert_eq!(state.world.findings[0].acknowledged.as_ref().unwrap().by, "jon");
    let mut gone = Vec::new();
    for s in [31, 41, 51] {
        gone.extend(probe(&mut state, "shop/http/basket", s, 200, 10.0));
    }
    assert!(gone.contains(&Effect::KeepAcknowledgement(id.clone(), None)), "it is over, and a next time is another time");
    assert!(state.world.acknowledgements.is_empty());
}

#[test]
fn keys_act_on_issues_packages_and_backups() {
    let mut state = crate::ui::fixture::story();
    let now = crate::ui::fixture::now();
    let give = |state: &mut State, command: Command| update(state, Msg::Command(command), now);
    let select = |state: &mut State, page: Page, key: &str| {
        state.view.page = page;
        state.view.drawn.keys = vec!["other".to_owned(), key.to_owned()];
        state.view.list_mut().selected = Some(key.to_owned());
    };
    let link = "https://sentry.example.com/organizations/acme/issues/4104/".to_owned();
    select(&mut state, Page::Errors, "shop/sentry/backend#4104");
    assert!(give(&mut state, Command::Open).contains(&Effect::Open(link.clone())));
    assert!(give(&mut state, Command::Copy).contains(&Effect::Copy(format!("SHOP-41B TimeoutError: payment gateway did not answer {link}"))));
    assert!(give(&mut state, Command::Poll).contains(&Effect::Poll(id("shop/sentry/backend"))));
    // An issue that nothing tells of cannot be taken; one that is new can.
    give(&mut state, Command::Acknowledge);
    assert!(state.view.prompt.is_none());
    select(&mut state, Page::Errors, "shop/sentry/backend#4101");
    give(&mut state, Command::Acknowledge);
    type_text(&mut state, "mara looks", now);
    give(&mut state, Command::Enter);
    let taken = state.world.findings.iter().find(|f| f.id.as_str() == "shop/sentry/backend#issue:4101").unwrap();
    assert_eq!(taken.acknowledged.as_ref().unwrap().why, "mara looks");
    select(&mut state, Page::Dependencies, "shop/python/app#django");
    assert!(give(&mut state, Command::Copy).contains(&Effect::Copy("django 5.2.15 → 5.2.19".to_owned())));
    select(&mut state, Page::Backups, "shop/restic/media#media");
    assert!(give(&mut state, Command::Poll).contains(&Effect::Poll(id("shop/restic/media"))));
    give(&mut state, Command::Enter);
    assert!(state.view.detail_open);
    give(&mut state, Command::Back);
    assert!(!state.view.detail_open);
}
