//! The screens as a user meets them: snapshots, and what must hold for every page at every size.

use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::fixture::*;
use super::theme::{Theme, sequence};
use crate::state::first_run::{FirstRun, FoundProject, FoundRow};

/// With `ROUNDS_SCREENS=DIR` the screens are also written as ANSI text, to look at them with one's own eyes: `cat DIR/NAME.ansi`.
pub(crate) fn look(name: &str, buffer: &Buffer) {
    let Ok(dir) = std::env::var("ROUNDS_SCREENS") else { return };
    let mut out = String::new();
    for y in 0..buffer.area.height {
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            out.push_str(&sequence(cell.style()));
            out.push_str(cell.symbol());
        }
        out.push_str("\u{1b}[0m");
        if y + 1 < buffer.area.height {
            out.push_str("\r\n");
        }
    }
    std::fs::write(std::path::Path::new(&dir).join(format!("{name}.ansi")), out).unwrap();
}

/// The screen of a state as text, kept.
pub(crate) fn snapshot(name: &str, state: &crate::state::State, theme: &Theme, width: u16, height: u16) {
    let (buffer, _) = screen(state, theme, width, height);
    look(&format!("{name}-{width}x{height}"), &buffer);
    insta::assert_snapshot!(format!("{name}-{width}x{height}"), text(&buffer));
}

pub(crate) const SIZES: [(u16, u16); 5] = [(40, 10), (60, 15), (80, 24), (120, 40), (200, 60)];

#[test]
fn attention_at_every_size() {
    let state = story();
    for (width, height) in SIZES {
        snapshot("attention", &state, &rich(), width, height);
    }
    snapshot("attention-mono", &state, &mono(), 80, 24);
    snapshot("attention-ascii", &state, &plain(), 80, 24);
    snapshot("attention-16", &state, &Theme::new(super::theme::ThemeSettings::default()), 80, 24);
}

#[test]
fn a_screen_too_small_tells_its_whole_size() {
    for (width, height) in [(39, 9), (32, 10), (30, 5), (24, 3)] {
        let shown = text(&screen(&story(), &mono(), width, height).0);
        assert!(shown.contains("needs 40x10") && shown.contains(&format!("is {width}x{height}")), "{shown}");
    }
}

#[test]
fn one_hidden_row_is_told_as_one() {
    let mut state = story();
    state.world.findings.truncate(1);
    state.view.list_mut().filter = "zzzz".to_owned();
    let shown = text(&screen(&state, &rich(), 120, 40).0);
    assert!(shown.contains(" 1 finding is hidden by the filter"), "{shown}");
}

/// A state with the keys of its list known, as after a first frame.
fn opened(page: crate::state::Page) -> crate::state::State {
    let mut state = story();
    state.view.page = page;
    state
}

fn with_overlay(overlay: crate::state::Overlay, kind: Option<crate::state::PromptKind>, typed: &str) -> crate::state::State {
    let mut state = story();
    state.view.overlay = Some(overlay);
    state.view.prompt = kind.map(|kind| crate::state::Prompt { kind, input: typed.into() });
    state
}

#[test]
fn overlays_as_drawn() {
    use crate::state::{Overlay, PromptKind};
    for (name, state) in [
        ("help", with_overlay(Overlay::Help { selected: 0 }, Some(PromptKind::Help), "")),
        ("help-typed", with_overlay(Overlay::Help { selected: 0 }, Some(PromptKind::Help), "filt")),
        ("palette", with_overlay(Overlay::Palette { selected: 0 }, Some(PromptKind::Palette), "po")),
        ("why", with_overlay(Overlay::Why, None, "")),
    ] {
        snapshot(name, &state, &rich(), 80, 24);
    }
}

#[test]
fn activity_and_empty_pages() {
    use crate::state::Page;
    for (width, height) in [(40, 10), (60, 15), (80, 24), (120, 40), (200, 60)] {
        snapshot("activity", &opened(Page::Activity), &rich(), width, height);
    }
    let mut bare = opened(Page::Backups);
    bare.world.sources.retain(|id, _| id.kind() == "http");
    snapshot("backups-none", &bare, &rich(), 80, 24);
    snapshot("nothing-named", &crate::state::State::default(), &rich(), 80, 24);
    let mut state = crate::state::State::default();
    let row = |known, what, found: &str, why: &str| FoundRow { known, what, found: found.to_owned(), why: why.to_owned() };
    let looked = ["./rounds.toml and its parents", "~/.config/rounds/config.toml", "/etc/rounds/config.toml"].map(str::to_owned).to_vec();
    state.view.first_run = Some(FirstRun { looked, ..FirstRun::default() });
    snapshot("first-run-looking", &state, &rich(), 80, 24);
    let rows = vec![
        row(true, "site", "shop", "manage.py, shop/settings/production.py"),
        row(true, "health", "https://shop.example.com", "first of ALLOWED_HOSTS"),
        row(true, "packages", "requirements.txt, .venv", "38 packages, Python 3.12, Django 5.2.15"),
        row(true, "logs", "/var/log/shop/*.log", "LOGGING, 2 files"),
        row(false, "errors", "Sentry", "DSN seen, SENTRY_AUTH_TOKEN is not set"),
        row(true, "processes", "supervisor", "/etc/supervisor/conf.d/shop.conf"),
        row(true, "deploys", "fabfile.py", "3 tasks: deploy, rollback, restart"),
        row(false, "backups", "none found", "no restic, no borg, no dump is seen"),
    ];
    if let Some(first) = &mut state.view.first_run {
        first.project = Some(FoundProject { kind: Some("a Django project"), rows });
    }
    for (width, height) in SIZES {
        snapshot("first-run", &state, &rich(), width, height);
    }
    snapshot("first-run-mono", &state, &mono(), 80, 24);
    snapshot("first-run-ascii", &state, &Theme { glyphs: super::theme::Glyphs::Ascii, ..rich() }, 80, 24);
    if let Some(first) = &mut state.view.first_run {
        first.project = Some(FoundProject::default());
    }
    snapshot("first-run-elsewhere", &state, &rich(), 80, 24);
    if let Some(first) = &mut state.view.first_run {
        first.manual = (0..60).map(|line| format!("{}line {line} of the manual", if line % 9 == 0 { "" } else { "  " })).collect();
        first.reading = Some(12);
    }
    snapshot("first-run-manual", &state, &rich(), 80, 24);
    snapshot("first-run-manual", &state, &rich(), 40, 10);
}

#[test]
fn modes_prompts_and_toasts() {
    use crate::domain::SourceId;
    use crate::state::view::Paused;
    use crate::state::{Notice, NoticeKind, Prompt, PromptKind, Toast};
    let mut paused = story();
    paused.view.paused = Some(Paused { at: ago(120), world: Box::new(paused.world.clone()) });
    snapshot("paused", &paused, &rich(), 80, 24);
    let mut offline = story();
    offline.world.notices.push(Notice { kind: NoticeKind::Offline, since: ago(240), text: "nothing answers".into(), detail: vec![] });
    snapshot("offline", &offline, &rich(), 80, 24);
    let mut filtered = story();
    filtered.view.prompt = Some(Prompt { kind: PromptKind::Filter, input: "slow|certif".into() });
    filtered.view.toast = Some(Toast { text: "Acknowledged until Mon 09:00: archive is slow".into(), until: ago(-6), trouble: false, undoable: true });
    filtered.view.undo.push(crate::domain::FindingId::new(&SourceId::parse("blog/http/archive").unwrap(), "latency"));
    snapshot("filter-toast", &filtered, &rich(), 80, 24);
}

/// Pages, modes and overlays that every invariant is held against.
fn many_states() -> Vec<(String, crate::state::State)> {
    use crate::state::view::Paused;
    use crate::state::{Overlay, Page, Prompt, PromptKind};
    let story = story();
    let mut states = Vec::new();
    for page in Page::ALL {
        let mut state = story.clone();
        state.view.page = page;
        states.push((page.title().to_owned(), state.clone()));
        state.view.detail_open = true;
        states.push((format!("{} detail", page.title()), state));
    }
    let mut paused = story.clone();
    paused.view.paused = Some(Paused { at: ago(120), world: Box::new(paused.world.clone()) });
    states.push(("paused".to_owned(), paused));
    for (name, overlay, kind) in [
        ("help", Overlay::Help { selected: 3 }, Some(PromptKind::Help)),
        ("palette", Overlay::Palette { selected: 3 }, Some(PromptKind::Palette)),
        ("why", Overlay::Why, None),
        ("notice", Overlay::Notice, None),
    ] {
        let mut state = story.clone();
        state.view.overlay = Some(overlay);
        state.view.prompt = kind.map(|kind| Prompt { kind, input: "".into() });
        states.push((name.to_owned(), state));
    }
    for (page, key) in [
        (Page::Errors, "shop/sentry/backend#4104"),
        (Page::Errors, "shop/log/django#9e1f03aa"),
        (Page::Dependencies, "shop/python/app#pillow"),
        (Page::Dependencies, "shop/python/app#redis"),
        (Page::Backups, "blog/files/dump#dump"),
    ] {
        let mut state = story.clone();
        state.view.page = page;
        state.view.list_mut().selected = Some(key.to_owned());
        states.push((key.to_owned(), state.clone()));
        state.view.overlay = Some(Overlay::Why);
        states.push((format!("why {key}"), state));
    }
    states
}

#[test]
fn items_are_asked_why() {
    use crate::state::{Overlay, Page};
    for (page, key, title, part) in [
        (Page::Errors, "shop/sentry/backend#4101", "why is it first?", "critical from 10 on"),
        (Page::Errors, "shop/sentry/backend#4104", "why ongoing?", "an error first seen within 24 h"),
        (Page::Errors, "blog/sentry/blog#?", "why is it here?", "the token has expired"),
        (Page::Dependencies, "shop/python/app#redis", "why major?", "held by celery <6"),
        (Page::Backups, "shop/restic/db#db", "why OK?", "critical from 39 h on"),
    ] {
        let mut state = opened(page);
        state.view.list_mut().selected = Some(key.to_owned());
        state.view.overlay = Some(Overlay::Why);
        let shown = text(&screen(&state, &rich(), 120, 60).0);
        assert!(shown.contains(title) && shown.contains(part), "{key}\n{shown}");
    }
}

#[test]
fn what_must_hold_on_every_screen() {
    for (name, state) in many_states() {
        for theme in [rich(), mono(), plain()] {
            for (width, height) in SIZES {
                let (buffer, drawn) = screen(&state, &theme, width, height);
                let lines = rows(&buffer);
                let place = format!("{name} {width}x{height}\n{}", lines.join("\n"));
                assert_eq!(
                    (&buffer, &drawn),
                    (&screen(&state, &theme, width, height).0, &screen(&state, &theme, width, height).1),
                    "two draws differ: {place}"
                );
                let gutter = |y: u16| buffer[(0, y)].symbol().to_owned();
                for y in 0..height {
                    assert!(matches!(gutter(y).as_str(), " " | "▌" | "▪" | ">" | "#"), "column 0: {place}");
                }
                let behind = state.view.overlay.is_some();
                assert!(behind || lines[usize::from(height) - 1].contains("help"), "no help: {place}");
                assert!(!lines[0].is_empty(), "no header: {place}");
                if name == "attention" {
                    let critical = if theme.ascii() { "X" } else { "✖" };
                    assert!(lines[1..].iter().any(|line| line.contains(critical) && line.contains("basket")), "critical not in sight: {place}");
                }
                let allowed = theme.named();
                for position in buffer.area.positions() {
                    let cell = &buffer[position];
                    let known = |color: Color| color == Color::Reset || allowed.iter().any(|(_, style)| style.fg == Some(color) || style.bg == Some(color));
                    assert!(known(cell.fg) && known(cell.bg), "colour outside the fifteen at {position}: {cell:?} {place}");
                    assert!(!cell.symbol().chars().any(char::is_control), "control character: {place}");
                    if theme.ascii() {
                        assert!(cell.symbol().is_ascii(), "{:?} is not ASCII: {place}", cell.symbol());
                    }
                }
            }
        }
    }
}

#[test]
fn a_screen_tells_when_it_changes_by_itself() {
    let state = story();
    let (buffer, drawn) = screen(&state, &rich(), 80, 24);
    let next = drawn.next_change.unwrap();
    assert!(next > now());
    let just_before = screen_at(&state, &rich(), 80, 24, next - chrono::Duration::milliseconds(1_100)).0;
    assert_eq!(text(&just_before), text(&buffer));
    assert_ne!(text(&screen_at(&state, &rich(), 80, 24, next).0), text(&buffer));
}

mod hostile {
    use proptest::prelude::*;

    use super::*;

    fn nasty() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop::sample::select(vec![
                "\u{1b}]52;c;eA==\u{7}",
                "\u{1b}[2J",
                "日本語",
                "e\u{301}\u{301}",
                "\u{202e}",
                "\n",
                "\t",
                "👩\u{200d}👩",
                "a",
                " ",
                "\u{9b}31m",
                "…",
                "ｗ",
            ]),
            0..30,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_size_and_no_text_breaks_the_screen(width in 1u16..220, height in 1u16..70, text in nasty(), more in nasty(), which in 0usize..64, absolute in any::<bool>()) {
            let states = many_states();
            let mut state = states[which % states.len()].1.clone();
            for finding in &mut state.world.findings {
                finding.title.clone_from(&text);
                finding.detail.clone_from(&more);
            }
            for event in &mut state.world.events {
                event.sentence.clone_from(&text);
            }
            state.world.sites[0].environment = Some(more.clone());
            state.view.absolute = absolute;
            state.view.list_mut().filter.clone_from(&more);
            state.world.notices.push(crate::state::Notice { kind: crate::state::NoticeKind::Journal, since: ago(5), text: more.clone(), detail: vec![text] });
            if let Some(prompt) = &mut state.view.prompt {
                prompt.input = more.as_str().into();
            }
            let (buffer, _) = screen(&state, &rich(), width, height);
            for cell in buffer.content() {
                prop_assert!(!cell.symbol().chars().any(char::is_control));
            }
        }
    }
}
