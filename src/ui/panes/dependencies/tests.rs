use crate::state::{Page, State};
use crate::ui::fixture::*;
use crate::ui::tests::{SIZES, snapshot};

fn told() -> State {
    let mut state = story();
    state.view.page = Page::Dependencies;
    state
}

#[test]
fn dependencies_at_every_size() {
    let state = told();
    for (width, height) in SIZES {
        snapshot("dependencies", &state, &rich(), width, height);
    }
    snapshot("dependencies-mono", &state, &mono(), 80, 24);
    snapshot("dependencies-ascii", &state, &plain(), 80, 24);
}

#[test]
fn a_manifest_that_could_not_be_read_is_the_first_row() {
    let mut state = told();
    let error = crate::domain::SourceError::missing("requirements.txt is not there", "check `manifest`");
    poll(&mut state, "shop/python/app", now(), Err(error));
    let (buffer, drawn) = screen(&state, &rich(), 120, 40);
    let shown = text(&buffer);
    assert_eq!(drawn.keys[0], "shop/python/app#?");
    assert!(shown.contains("? UNKN           shop  python/app not known since 03:12: requirements.txt is not there   check `manifest`"), "{shown}");
    // What was known last stays, and is counted.
    assert!(shown.contains("▲  2 vulnerable") && shown.contains("✔ 1 package up to date") && shown.contains("the 10 packages listed are as of"), "{shown}");
}

#[test]
fn what_is_held_back_tells_why_and_where() {
    let mut state = told();
    state.view.list_mut().selected = Some("shop/python/app#pillow".to_owned());
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    for part in ["pinned <12: 11.3.0 is wanted, 12.2.0 is the latest", "requirements.txt:14", "GHSA-8ghj-8ffq-7qfm", "12.0.0 and later"] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    state.view.list_mut().selected = Some("shop/python/app#shop-theme".to_owned());
    assert!(text(&screen(&state, &rich(), 80, 24).0).contains("problem     the index answers 404"));
}

#[test]
fn all_up_to_date_is_said_and_nothing_configured_is_not() {
    let mut state = told();
    for source in ["shop/python/app", "blog/python/app"] {
        let mut packages = things::packages_of_shop();
        packages.items.retain(|package| ["asgiref", "sqlparse"].contains(&package.name.as_str()));
        poll(&mut state, source, ago(2), Ok(vec![crate::domain::Data::Packages(packages)]));
    }
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("✔ All 4 packages are up to date (looked 5 s ago)"), "{shown}");
    state.world.sources.retain(|id, _| id.kind() != "python");
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("? No dependency is watched") && shown.contains("[site.shop.python.NAME]"), "{shown}");
}

/// What an index says may try to command the terminal; versions may be anything.
#[test]
fn hostile_packages_are_drawn_as_text() {
    let mut state = told();
    let (_, packages) = state.world.sources.get_mut(&id("shop/python/app")).unwrap().packages.as_mut().unwrap();
    for package in &mut packages.items {
        package.name = "\u{1b}[2Jevil\u{202e}".repeat(5);
        package.wanted = Some("日本語\u{7}".repeat(9));
        package.yanked_reason = Some("\u{9b}31m\n".repeat(40));
        package.held_by = Some("\u{1b}]0;x\u{7}".repeat(9));
        package.released_at = Some(crate::domain::Timestamp::MIN_UTC);
        for advisory in &mut package.advisories {
            advisory.cvss = Some(f64::NAN);
            advisory.summary = Some("\u{1b}c".repeat(90));
        }
    }
    for open in [false, true] {
        state.view.detail_open = open;
        for (width, height) in SIZES {
            let (buffer, _) = screen(&state, &rich(), width, height);
            assert!(buffer.content().iter().all(|cell| !cell.symbol().chars().any(char::is_control)), "{width}x{height}");
        }
    }
}
