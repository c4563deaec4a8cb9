use chrono::TimeDelta;
use proptest::prelude::*;
use ratatui::style::{Color, Modifier};

use crate::domain::{Level, LogEvent, LogMark, LogNotice};
use crate::state::logview::LogFilter;
use crate::state::view::{Bookmark, LogView};
use crate::state::{Drawn, LogList, LogState, Overlay, Page, State};
use crate::ui::fixture::*;
use crate::ui::tests::{SIZES, snapshot};
use crate::ui::theme::{Background, Glyphs, Theme, ThemeSettings};

const DJANGO: &str = "shop/log/django";

fn told() -> State {
    let mut state = story();
    state.view.page = Page::Logs;
    state
}

fn log(state: &mut State) -> &mut LogState {
    state.world.sources.get_mut(&id(DJANGO)).unwrap().log.as_mut().unwrap()
}

fn newest(state: &mut State) -> u64 {
    let log = log(state);
    log.first_seq + log.events.len() as u64 - 1
}

/// As in the program: the frame before is known to the next one.
fn frame(state: &mut State, width: u16, height: u16) -> (Vec<String>, Drawn) {
    let (buffer, drawn) = screen(state, &rich(), width, height);
    state.view.drawn = drawn.clone();
    (rows(&buffer), drawn)
}

fn say(state: &mut State, level: Level, message: &str) {
    let event = LogEvent { at: now(), level, file: 0, message: message.to_owned(), detail: vec![], fingerprint: None, place: None };
    log(state).events.push_back(event);
}

#[test]
fn logs_at_every_size() {
    let mut state = told();
    // Different endings: a burst of equal lines, a rotation, a line of another file.
    let template = log(&mut state).events.iter().rev().find(|event| event.level == Level::Error).unwrap().clone();
    for ms in [0, 200, 700] {
        log(&mut state).events.push_back(LogEvent { at: now() + TimeDelta::milliseconds(ms - 1_600), ..template.clone() });
    }
    let seq = newest(&mut state) + 1;
    log(&mut state).marks.push_back((seq, LogMark { at: now(), file: 0, notice: LogNotice::Rotated }));
    log(&mut state).events.push_back(LogEvent {
        at: now(),
        level: Level::Info,
        file: 1,
        message: "POST /api/basket/lines/ 201 0.031 s".to_owned(),
        detail: vec![],
        fingerprint: None,
        place: None,
    });
    state.view.log.unfolded.insert((DJANGO.to_owned(), seq - 3));
    for (width, height) in SIZES {
        snapshot("logs", &state, &rich(), width, height);
    }
    snapshot("logs-mono", &state, &mono(), 80, 24);
    snapshot("logs-ascii", &state, &plain(), 80, 24);
    snapshot("logs-16", &state, &Theme::new(ThemeSettings::default()), 80, 24);
    snapshot("logs-block", &state, &Theme::new(ThemeSettings { glyphs: Glyphs::Block, ..ThemeSettings::default() }), 80, 24);
    snapshot("logs-light", &state, &Theme::new(ThemeSettings { background: Background::Light, ..ThemeSettings::default() }), 120, 40);
}

#[test]
fn errors_are_reversed_and_the_text_stays_readable() {
    let state = told();
    let (buffer, _) = screen(&state, &Theme::new(ThemeSettings::default()), 80, 24);
    let y = rows(&buffer).iter().position(|row| row.contains(" E Internal")).unwrap() as u16;
    assert_eq!((buffer[(10, y)].fg, buffer[(10, y)].modifier), (Color::Red, Modifier::REVERSED | Modifier::BOLD));
    assert_eq!((buffer[(12, y)].fg, buffer[(1, y)].fg), (Color::Reset, Color::DarkGray));
}

#[test]
fn the_picture_stands_still_while_one_reads_and_follows_at_the_end() {
    let mut state = told();
    let (before, _) = frame(&mut state, 80, 24);
    assert!(before[0].ends_with("following"));
    let seq = newest(&mut state) - 3;
    state.view.log.selected = Some((DJANGO.to_owned(), seq));
    let (reading, _) = frame(&mut state, 80, 24);
    let plain = |rows: &[String]| rows[7..23].iter().map(|row| row.replace('▌', " ")).collect::<Vec<_>>();
    assert_eq!(plain(&reading), plain(&before), "only the bar moves");
    assert!(reading[0].ends_with("3 new below"), "{}", reading[0]);
    for n in 0..5 {
        say(&mut state, Level::Info, &format!("later {n}"));
    }
    let (later, _) = frame(&mut state, 80, 24);
    assert_eq!(reading[7..23], later[7..23]);
    assert!(later[0].ends_with("8 new below"), "{}", later[0]);
    state.view.log.selected = None;
    let (end, _) = frame(&mut state, 80, 24);
    assert!(end[22].contains("later 4") && end[22].starts_with('▌'), "{}", end[22]);
}

#[test]
fn the_selection_is_always_on_the_screen_and_each_row_knows_its_entry() {
    let mut state = told();
    let first = log(&mut state).first_seq;
    let last = newest(&mut state);
    for seq in [last, last - 1, last - 20, first, first + 40, first + 41, last - 2, first + 200] {
        state.view.log.selected = Some((DJANGO.to_owned(), seq));
        let (rows, drawn) = frame(&mut state, 80, 24);
        let bar = rows.iter().position(|row| row.starts_with('▌')).unwrap();
        assert_eq!(drawn.keys[bar - usize::from(drawn.top)], format!("{DJANGO}#{seq}"));
    }
}

#[test]
fn a_traceback_unfolds_to_the_frames_of_the_application() {
    let mut state = told();
    let seq = newest(&mut state) - 1;
    let (folded, _) = frame(&mut state, 80, 24);
    assert!(folded[21].contains("▸ Traceback, 3 frames  KeyError: 'currency'  basket/pricing.py:88"), "{}", folded[21]);
    state.view.log.unfolded.insert((DJANGO.to_owned(), seq));
    let (open, _) = frame(&mut state, 80, 24);
    assert_eq!(
        open[16..22].iter().map(|row| row.trim_end_matches(['│', '┃']).trim()).collect::<Vec<_>>(),
        [
            "▾ Traceback, 3 frames, 1 folded",
            "│ File \"/srv/shop/basket/views.py\", line 41, in get",
            "│   return Response(Basket(request.session).total)",
            "│ File \"/srv/shop/basket/pricing.py\", line 88, in total",
            "│   currency = self.session[\"basket\"][\"currency\"]",
            "│ KeyError: 'currency'",
        ]
    );
}

#[test]
fn filter_level_and_search_are_told() {
    let mut state = told();
    state.view.log.filters.push(LogFilter { text: "!basket".to_owned(), on: true });
    state.view.log.search = "query".to_owned();
    let (buffer, _) = screen(&state, &rich(), 80, 24);
    let shown = text(&buffer);
    assert!(shown.contains("filter !basket hides") && shown.contains(" errors   search query"), "{shown}");
    let y = rows(&buffer).iter().position(|row| row.contains("slow query")).unwrap() as u16;
    assert!(buffer[(17, y)].modifier.contains(Modifier::UNDERLINED) && !buffer[(12, y)].modifier.contains(Modifier::UNDERLINED));
    state.view.log.filters = vec![LogFilter { text: "nothing like this".to_owned(), on: true }];
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("hidden by the filter"), "{shown}");
    state.view.log.filters.clear();
    state.view.log.level = Some(Level::Error);
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("level error hides") && !shown.contains("slow"), "{shown}");
}

#[test]
fn a_log_that_is_not_read_says_so_and_what_to_do() {
    let mut state = told();
    state.view.log.site = Some("blog".to_owned());
    let shown = text(&screen(&state, &rich(), 120, 40).0);
    assert!(shown.contains("? UNKN  log/app  not known since") && shown.contains("check `path`"), "{shown}");
    assert!(!shown.contains('✔'), "{shown}");
}

#[test]
fn bookmarks_wrapping_and_ages_show() {
    let mut state = told();
    let seq = newest(&mut state) - 1;
    state.view.log.bookmarks.insert((DJANGO.to_owned(), seq), Bookmark { at: now(), level: Level::Error, message: "x".to_owned() });
    let (rows, _) = frame(&mut state, 80, 24);
    assert!(rows[20].starts_with('▪'), "{}", rows[20]);
    say(&mut state, Level::Info, &"long ".repeat(30));
    state.view.log.wrap = true;
    state.view.absolute = true;
    let (rows, _) = frame(&mut state, 80, 24);
    assert!(rows[20].contains("I long") && rows[21].starts_with("            long") && rows[22].contains("long"), "{rows:#?}");
}

#[test]
fn a_full_ring_is_drawn_from_the_rows_on_the_screen() {
    let mut state = told();
    let template = log(&mut state).events.back().unwrap().clone();
    log(&mut state).events =
        (0..5_000i64).map(|n| LogEvent { at: now() - TimeDelta::seconds(5_000 - n), message: format!("line {n}"), ..template.clone() }).collect();
    log(&mut state).first_seq = 1_000_000;
    state.view.log = LogView { selected: Some((DJANGO.to_owned(), 1_002_500)), ..LogView::default() };
    let (rows, drawn) = frame(&mut state, 120, 40);
    assert!(rows.iter().any(|row| row.contains("line 2500")), "{rows:#?}");
    assert!(drawn.keys.len() <= 40);
}

#[test]
fn what_is_chosen_stands_in_the_rule_at_every_size() {
    let mut state = told();
    let seq = newest(&mut state);
    state.view.log.filters = ["!search", "basket|slow"].map(|text| LogFilter { text: text.to_owned(), on: true }).into();
    state.view.log.search = "currency".to_owned();
    state.view.log.context = 2;
    state.view.log.selected = Some((DJANGO.to_owned(), seq - 12));
    for (width, height) in [(60, 15), (80, 24), (120, 40)] {
        snapshot("logs-chosen", &state, &rich(), width, height);
    }
    snapshot("logs-chosen-mono", &state, &mono(), 80, 24);
    snapshot("logs-chosen-ascii", &state, &plain(), 80, 24);
}

#[test]
fn the_lists_of_the_page() {
    let mut state = told();
    state.view.log.filters = vec![LogFilter { text: "!healthz".to_owned(), on: true }, LogFilter { text: "basket".to_owned(), on: false }];
    let seq = newest(&mut state);
    let event = log(&mut state).events.back().unwrap().clone();
    state
        .view
        .log
        .bookmarks
        .insert((DJANGO.to_owned(), seq), Bookmark { at: event.at, level: Level::Error, message: "Internal Server Error: /api/basket/".to_owned() });
    let file = log(&mut state).files[1].clone();
    state.view.log.files_off.insert((DJANGO.to_owned(), file));
    for (name, list) in [("filters", LogList::Filters), ("bookmarks", LogList::Bookmarks), ("files", LogList::Files)] {
        state.view.overlay = Some(Overlay::LogList { list, selected: 0 });
        snapshot(&format!("logs-{name}"), &state, &rich(), 80, 24);
        for (width, height) in SIZES {
            let (buffer, _) = screen(&state, &plain(), width, height);
            assert!(text(&buffer).is_ascii(), "{list:?} at {width}x{height}");
        }
    }
}

#[test]
fn a_reader_who_goes_back_is_told_where_the_reading_is() {
    let mut state = told();
    state.view.log.sought = Some(crate::state::view::Awaiting::Seek(crate::state::logview::Seek::Error));
    let (rows, _) = frame(&mut state, 80, 24);
    assert!(rows[0].contains("reading back, at 02:12   Esc stops"), "{}", rows[0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_events_are_drawn_and_two_draws_are_equal(
        events in prop::collection::vec((any::<i32>(), 0usize..5, "\\PC{0,30}|[\\x00-\\x20\\x7f-\\x{9f}]{0,9}", prop::collection::vec("( {0,4}File \"[a-z/]{0,20}\", line [0-9]{0,3}|\\PC{0,40})", 0..5)), 0..40),
        (width, height) in (0u16..130, 0u16..45),
        (selected, seq) in (any::<bool>(), 0u64..50),
        (wrap, unfold, absolute) in (any::<bool>(), any::<bool>(), any::<bool>()),
        marks in prop::collection::vec((0u64..50, any::<u64>()), 0..4),
    ) {
        let mut state = told();
        let ring = log(&mut state);
        ring.first_seq = 3;
        ring.events = events.into_iter().map(|(s, level, message, detail)| LogEvent {
            at: now() + TimeDelta::seconds(i64::from(s)), level: Level::ALL[level], file: 7, message, detail, fingerprint: None, place: None,
        }).collect();
        ring.marks = marks.into_iter().map(|(seq, lines)| (seq, LogMark { at: now(), file: 0, notice: LogNotice::Skipped(lines) })).collect();
        state.view.log.selected = selected.then(|| (DJANGO.to_owned(), seq));
        state.view.log.wrap = wrap;
        state.view.absolute = absolute;
        if unfold {
            state.view.log.unfolded = (0..50).map(|seq| (DJANGO.to_owned(), seq)).collect();
        }
        for _ in 0..2 {
            let (buffer, drawn) = screen(&state, &rich(), width, height);
            prop_assert_eq!(&buffer, &screen(&state, &rich(), width, height).0);
            prop_assert!(buffer.content().iter().all(|cell| !cell.symbol().chars().any(char::is_control)));
            state.view.drawn = drawn;
        }
    }
}
