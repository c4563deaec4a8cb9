use chrono::TimeDelta;
use ratatui::style::{Color, Modifier};

use crate::domain::{LatencyLimits, Transition, TransitionKind};
use crate::state::{HealthState, Page, Part, Sample, State};
use crate::ui::fixture::*;
use crate::ui::tests::{SIZES, snapshot};
use crate::ui::theme::{Background, Glyphs, Theme, ThemeSettings};

/// The story with three hours of samples for the endpoint that breaks: the step at the deploy, a gap at 01:24.
pub(crate) fn told() -> State {
    let mut state = story();
    state.view.page = Page::Health;
    let basket = state.world.sources.get_mut(&id("shop/http/basket")).unwrap();
    basket.spec.every = std::time::Duration::from_secs(10);
    let health: &mut HealthState = basket.health.as_mut().unwrap();
    health.samples = (0..1_080i64)
        .rev()
        .filter(|n| !(630..660).contains(n))
        .map(|n| {
            let wave = ((n * 7_919) % 97) as f32 / 97.0;
            let slow = n % 11 == 0;
            let latency = if n < 84 {
                700.0 + 900.0 * wave
            } else if slow {
                300.0 + 120.0 * wave
            } else {
                55.0 + 20.0 * wave
            };
            Sample { at: now() - TimeDelta::seconds(n * 10 + 5), latency_ms: Some(latency), failed: n < 8 }
        })
        .collect();
    state
}

#[test]
fn health_at_every_size() {
    let state = told();
    for (width, height) in SIZES {
        snapshot("health", &state, &rich(), width, height);
    }
    snapshot("health-mono", &state, &mono(), 80, 24);
    snapshot("health-ascii", &state, &plain(), 80, 24);
    snapshot("health-16", &state, &Theme::new(ThemeSettings::default()), 80, 24);
    snapshot("health-block", &state, &Theme::new(ThemeSettings { glyphs: Glyphs::Block, ..ThemeSettings::default() }), 80, 24);
    snapshot("health-light", &state, &Theme::new(ThemeSettings { background: Background::Light, ..ThemeSettings::default() }), 120, 40);
}

#[test]
fn the_detail_can_have_the_page() {
    let mut state = told();
    state.view.detail_open = true;
    state.view.focus = Part::Detail;
    for (width, height) in SIZES {
        snapshot("health-detail", &state, &rich(), width, height);
    }
    state.view.list_mut().selected = Some("blog/http/home".to_owned());
    snapshot("health-certificate", &state, &rich(), 80, 24);
}

#[test]
fn a_stale_value_is_pale_and_its_age_is_not() {
    let mut state = told();
    let feed = state.world.sources.get_mut(&id("blog/http/feed")).unwrap();
    feed.status = crate::domain::Status::Stale;
    let theme = Theme::new(ThemeSettings::default());
    let (buffer, _) = screen(&state, &theme, 80, 24);
    let rows = rows(&buffer);
    let y = rows.iter().position(|row| row.contains("STALE")).unwrap() as u16;
    assert_eq!(buffer[(9, y)].fg, Color::DarkGray, "{}", rows[y as usize]);
    assert_eq!((buffer[(77, y)].fg, buffer[(77, y)].modifier), (Color::Magenta, Modifier::BOLD));
    // Its sparkline ends in a gap.
    assert_eq!(buffer[(45, y)].symbol(), " ");
}

#[test]
fn a_value_over_its_limit_is_warm_and_the_others_are_not() {
    let state = told();
    let theme = Theme::new(ThemeSettings::default());
    let (buffer, _) = screen(&state, &theme, 80, 24);
    let y = rows(&buffer).iter().position(|row| row.contains("search ")).unwrap() as u16;
    assert_eq!((buffer[(57, y)].fg, buffer[(57, y)].modifier.contains(Modifier::BOLD)), (Color::Yellow, true));
    assert_eq!(buffer[(64, y)].fg, Color::Reset);
    // The end of the sparkline, and its beginning.
    assert_eq!((buffer[(45, y)].fg, buffer[(26, y)].fg), (Color::Yellow, Color::Cyan));
}

#[test]
fn an_endpoint_that_was_never_looked_at_has_its_row() {
    let mut state = told();
    let home = state.world.sources.get_mut(&id("shop/http/home")).unwrap();
    *home = crate::state::SourceState::new(home.spec.clone());
    state.view.list_mut().selected = Some("shop/http/home".to_owned());
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("· FIRST shop  home"), "{shown}");
    assert!(shown.contains("shop/http/home not looked at yet"), "{shown}");
    assert!(shown.contains("no probe in this range"), "{shown}");
}

#[test]
fn the_orders_change_and_a_filter_says_what_it_hides() {
    let mut state = told();
    state.view.list_mut().sort = 1;
    let (buffer, drawn) = screen(&state, &rich(), 80, 24);
    assert_eq!(drawn.keys[0], "shop/http/search");
    assert!(text(&buffer).contains("endpoints by p95"));
    state.view.list_mut().sort = 3;
    assert_eq!(screen(&state, &rich(), 80, 24).1.keys[0], "shop/http/admin");
    state.view.list_mut().sort = 0;
    state.view.list_mut().filter = "blog".to_owned();
    let (buffer, drawn) = screen(&state, &rich(), 80, 24);
    assert!(drawn.keys.iter().all(|key| key.starts_with("blog/")));
    assert!(text(&buffer).contains("6 endpoints are hidden by the filter, 1 of them critical"), "{}", text(&buffer));
}

#[test]
fn a_long_range_names_itself_and_the_limits_stay() {
    let mut state = told();
    state.view.range = Some(std::time::Duration::from_secs(30 * 86_400));
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("30 d, log scale") && shown.contains("500 ms│"), "{shown}");
}

/// Text from outside that tries to command the terminal; limits and figures that are none.
#[test]
fn hostile_values_are_drawn_as_text() {
    let mut state = told();
    let source = state.world.sources.get_mut(&id("shop/http/basket")).unwrap();
    source.summary = "\u{1b}]52;c;cm0=\u{7}\u{202e}evil\n".repeat(40);
    let health = source.health.as_mut().unwrap();
    let (_, last) = health.last.as_mut().unwrap();
    last.limits = LatencyLimits { warning_ms: Some(f64::NAN), critical_ms: Some(-1.0) };
    last.request = "\u{9b}2J日本語".repeat(30);
    for sample in health.samples.iter_mut().step_by(3) {
        sample.latency_ms = Some(f32::INFINITY);
        sample.at = now() + TimeDelta::days(4_000);
    }
    let kind = TransitionKind::Deploy { version: "\u{1b}[2J\u{200b}v\n1".to_owned(), by: "x\u{7}".to_owned() };
    state.world.events.push_back(Transition { at: now(), site: "shop".to_owned(), source: None, kind, sentence: String::new() });
    for (width, height) in SIZES {
        let (buffer, _) = screen(&state, &rich(), width, height);
        assert!(buffer.content().iter().all(|cell| !cell.symbol().chars().any(char::is_control)), "{width}x{height}");
    }
}

/// What must hold for pages 2 and 4 at every size and in every theme.
#[test]
fn the_pages_keep_to_their_styles_and_columns() {
    let mut state = told();
    let themes =
        [rich(), mono(), plain(), Theme::new(ThemeSettings::default()), Theme::new(ThemeSettings { glyphs: Glyphs::Block, ..ThemeSettings::default() })];
    for page in [Page::Health, Page::Logs] {
        state.view.page = page;
        for theme in themes {
            let styles = theme.named();
            for (width, height) in SIZES.into_iter().chain([(79, 23), (100, 30), (119, 50), (160, 24), (199, 29), (220, 70)]) {
                let (buffer, drawn) = screen(&state, &theme, width, height);
                let place = format!("{page:?} {width}x{height}");
                assert_eq!(buffer, screen(&state, &theme, width, height).0, "{place}");
                for y in 0..height {
                    assert!([" ", "▌", "▪", ">", "#"].contains(&buffer[(0, y)].symbol()), "{place} row {y}: {:?}", buffer[(0, y)].symbol());
                    for x in 0..width {
                        let cell = &buffer[(x, y)];
                        let known = |color: Color| color == Color::Reset || styles.iter().any(|(_, style)| style.fg == Some(color) || style.bg == Some(color));
                        assert!(known(cell.fg) && known(cell.bg), "{place} at {x},{y}: {cell:?}");
                        assert!(!theme.ascii() || cell.symbol().is_ascii(), "{place} at {x},{y}: {cell:?}");
                    }
                }
                let rows = rows(&buffer);
                assert!(rows[usize::from(height) - 1].contains("? help"), "{place}");
                assert!(page == Page::Logs || drawn.keys[drawn.offset] == "shop/http/basket", "{place}");
                assert!(rows[usize::from(drawn.top)..].iter().any(|row| row.contains(if page == Page::Logs { " E Internal" } else { "basket" })), "{place}");
            }
        }
    }
}
