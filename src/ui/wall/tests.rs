//! The wall as it is met: snapshots of each of its pictures, and what must hold for all of them.

use ratatui::buffer::Buffer;

use crate::domain::*;
use crate::state::update::update;
use crate::state::wall::{Phase, Settings, WallPage, WallState};
use crate::state::{Command, Effect, Msg, Page, State};
use crate::ui::fixture::*;
use crate::ui::tests::look;
use crate::ui::theme::Theme;

/// The story on a wall that hangs for an hour.
fn trouble() -> State {
    let mut state = story();
    state.view.wall = Some(WallState::new(Settings::default(), ago(3_600)));
    update(&mut state, Msg::Tick, now());
    state
}

/// The story after somebody took on all that is wrong.
fn acknowledged() -> State {
    let mut state = trouble();
    let ids: Vec<FindingId> = state.world.findings.iter().map(|finding| finding.id.clone()).collect();
    for id in ids {
        let ack = Acknowledgement { by: "ana".to_owned(), why: "rolling back".to_owned(), at: now(), until: None, bound: None };
        update(&mut state, Msg::Acknowledged(id, Some(ack)), now());
    }
    state
}

/// Sites where nothing is wrong: the troubled sources are not there.
fn calm() -> State {
    let mut state = story();
    let bad: Vec<SourceId> = state.world.findings.iter().map(|finding| finding.source.clone()).collect();
    let bad =
        |id: &SourceId| (bad.contains(id) && id.kind() != "log" && id.name() != "home") || id.as_str() == "shop/http/checkout" || id.as_str() == "blog/log/app";
    state.world.sources.retain(|id, _| !bad(id));
    state.world.findings.clear();
    state.view.wall = Some(WallState::new(Settings::default(), ago(3_600)));
    update(&mut state, Msg::Tick, now());
    state
}

/// The calm wall, a minute after the worst was over.
fn recovered() -> State {
    let mut state = calm();
    if let Some(wall) = &mut state.view.wall {
        let until = now() + chrono::Duration::seconds(55);
        wall.phase = Phase::Recovered { site: "shop".to_owned(), title: "basket is down".to_owned(), after: std::time::Duration::from_secs(440), until };
    }
    state
}

fn shot(name: &str, state: &State, theme: &Theme, width: u16, height: u16) -> Buffer {
    shot_at(name, state, theme, width, height, now())
}

fn shot_at(name: &str, state: &State, theme: &Theme, width: u16, height: u16, at: Timestamp) -> Buffer {
    let (buffer, _) = screen_at(state, theme, width, height, at);
    let name = format!("wall-{name}-{width}x{height}");
    look(&name, &buffer);
    insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, text(&buffer));
    });
    buffer
}

const SIZES: [(u16, u16); 5] = [(40, 10), (60, 15), (80, 24), (120, 40), (200, 60)];

#[test]
fn calm_at_every_size() {
    for (width, height) in SIZES {
        shot("calm", &calm(), &rich(), width, height);
    }
    shot("calm-ascii", &calm(), &plain(), 120, 40);
}

#[test]
fn trouble_at_every_size() {
    for (width, height) in SIZES {
        shot("trouble", &trouble(), &rich(), width, height);
    }
    shot("trouble-ascii", &trouble(), &plain(), 120, 40);
    shot("trouble-mono", &trouble(), &mono(), 80, 24);
}

#[test]
fn its_end_what_somebody_has_and_silence() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        shot("recovered", &recovered(), &rich(), width, height);
        shot("acknowledged", &acknowledged(), &rich(), width, height);
        shot_at("stale", &calm(), &rich(), width, height, now() + chrono::Duration::seconds(370));
    }
}

/// Every picture that the wall has.
fn pictures() -> Vec<(&'static str, State)> {
    let mut offline = trouble();
    let notice = crate::state::Notice { kind: crate::state::NoticeKind::Offline, since: ago(240), text: "no default route".to_owned(), detail: vec![] };
    update(&mut offline, Msg::Notice(notice), now());
    let mut typing = calm();
    update(&mut typing, Msg::Command(Command::Palette), now());
    vec![
        ("calm", calm()),
        ("trouble", trouble()),
        ("recovered", recovered()),
        ("acknowledged", acknowledged()),
        ("offline", offline),
        ("typing", typing),
        ("page", with_pages(vec![WallPage::Page(Page::Health)])),
    ]
}

fn with_pages(pages: Vec<WallPage>) -> State {
    let mut state = calm();
    state.view.wall = Some(WallState::new(Settings { pages, ..Settings::default() }, ago(3_600)));
    state
}

#[test]
fn every_picture_fits_every_size_is_the_same_twice_and_says_when_it_changes() {
    for (name, state) in pictures() {
        for theme in [rich(), mono(), plain()] {
            for width in [40, 47, 59, 60, 79, 80, 99, 100, 120, 189, 190, 200, 260] {
                for height in [10, 15, 16, 19, 20, 24, 29, 30, 40, 49, 55, 60, 70] {
                    let (buffer, drawn) = screen(&state, &theme, width, height);
                    assert_eq!(buffer, screen(&state, &theme, width, height).0, "{name} {width}x{height}");
                    assert!(drawn.next_change.is_some_and(|at| at > now()), "{name} {width}x{height}");
                    let text = text(&buffer);
                    assert!(!text.trim().is_empty(), "{name} {width}x{height}");
                    assert!(!theme.ascii() || text.is_ascii(), "{name} {width}x{height}\n{text}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_green_on_a_stale_or_an_offline_wall() {
    let theme = rich();
    let late = now() + chrono::Duration::seconds(370);
    let (stale, _) = screen_at(&calm(), &theme, 120, 40, late);
    let (offline, _) = screen(&pictures().swap_remove(4).1, &theme, 120, 40);
    for (buffer, said) in [(stale, "~ no answer has come in since"), (offline, "since 03:08: no default route")] {
        assert!(buffer.content().iter().all(|cell| cell.fg != theme.ok.fg.unwrap()), "{said}");
        assert!(text(&buffer).contains(said), "{}", text(&buffer));
    }
}

#[test]
fn the_band_is_as_wide_as_the_screen_and_no_higher_for_a_longer_name() {
    let theme = rich();
    let (buffer, _) = screen(&trouble(), &theme, 120, 40);
    for y in 0..11 {
        assert!((0..120).all(|x| buffer[(x, y)].fg == theme.crit.fg.unwrap() && buffer[(x, y)].modifier.contains(ratatui::style::Modifier::REVERSED)), "{y}");
    }
    assert!(!buffer[(0, 11)].modifier.contains(ratatui::style::Modifier::REVERSED));
    let mut state = trouble();
    if let Some(WallState { phase: Phase::Trouble(trouble), .. }) = &mut state.view.wall {
        trouble.finding.source = SourceId::new("a-site-with-a-very-long-name", "http", "home").unwrap();
    }
    let (long, _) = screen(&state, &theme, 120, 40);
    assert!((0..11).all(|y| long[(0, y)].modifier.contains(ratatui::style::Modifier::REVERSED)));
    assert!(!long[(0, 11)].modifier.contains(ratatui::style::Modifier::REVERSED));
}

#[test]
fn the_calm_picture_moves_one_cell_each_hour() {
    let begin = |hours: i64| {
        let (buffer, _) = screen_at(&calm(), &rich(), 120, 40, now() + chrono::Duration::hours(hours));
        (0..120).find(|x| buffer[(*x, 38)].symbol() != " ").unwrap()
    };
    let columns: Vec<u16> = (0..5).map(begin).collect();
    assert!(columns.windows(2).all(|pair| pair[0].abs_diff(pair[1]) == 1), "{columns:?}");
    assert!(columns.iter().all(|x| (4..=6).contains(x)), "{columns:?}");
}

#[test]
fn pages_of_the_dashboard_are_drawn_without_what_is_around_them() {
    let (buffer, _) = screen(&with_pages(vec![WallPage::Page(Page::Health)]), &rich(), 120, 40);
    let text = text(&buffer);
    assert!(text.contains("endpoints") && text.contains("keys locked") && !text.contains("? help"), "{text}");
    // Two pages take turns.
    let mut state = with_pages(vec![WallPage::Sites, WallPage::Page(Page::Health)]);
    let page = |state: &State| crate::ui::fixture::text(&screen(state, &rich(), 120, 40).0).contains("page 2 of 2");
    let first = page(&state);
    update(&mut state, Msg::Tick, now());
    let before = page(&state);
    update(&mut state, Msg::Tick, now() + chrono::Duration::seconds(20));
    assert!(page(&state) != before && !first);
}

#[test]
fn the_bell_is_off_and_keys_are_locked() {
    let mut state = calm();
    let mut effects = Vec::new();
    for s in 0..4 {
        let at = now() + chrono::Duration::seconds(60 + s * 10);
        let data = vec![Data::Health(health("home", 500, 20.0))];
        let result =
            Ok(crate::sources::Collected { observations: data.into_iter().map(|data| Observation { at, data }).collect(), problems: vec![], complete: true });
        effects.extend(update(&mut state, Msg::Polled(crate::state::msg::Polled { source: id("shop/http/home"), started: at, at, result, next_at: None }), at));
    }
    assert!(state.world.findings.iter().any(|finding| finding.severity == Severity::Critical));
    assert!(!effects.contains(&Effect::Bell));
}
