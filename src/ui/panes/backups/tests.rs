use super::{Entry, calendar};
use ratatui::style::Modifier;

use crate::domain::JobRun;
use crate::state::update::update;
use crate::state::{Command, Msg, Page, Part, State};
use crate::ui::fixture::*;
use crate::ui::tests::{SIZES, snapshot};
use crate::ui::theme::{Background, Theme, ThemeSettings};

fn told() -> State {
    let mut state = story();
    state.view.page = Page::Backups;
    state
}

#[test]
fn backups_at_every_size() {
    let state = told();
    for (width, height) in SIZES {
        snapshot("backups", &state, &rich(), width, height);
    }
    snapshot("backups-mono", &state, &mono(), 80, 24);
    snapshot("backups-ascii", &state, &plain(), 80, 24);
}

#[test]
fn theme_light_and_the_whole_detail() {
    let mut state = told();
    let light = Theme::new(ThemeSettings { background: Background::Light, ..ThemeSettings::default() });
    snapshot("backups-light", &state, &light, 80, 24);
    state.view.list_mut().selected = Some("blog/files/dump#dump".to_owned());
    state.view.detail_open = true;
    state.view.focus = Part::Detail;
    snapshot("backups-detail", &state, &rich(), 80, 24);
}

#[test]
fn what_a_failed_run_printed_is_read_at_one_key() {
    let mut state = told();
    let (_, db) = state.world.sources.get_mut(&id("shop/restic/db")).unwrap().backup.as_mut().unwrap();
    let printed: Vec<String> = (1..=60).map(|line| format!("line {line}")).collect();
    let output = JobRun::tail(&(printed.join("\n") + "\n\tno space \u{1b}left\n\n"));
    db.last_failure = Some(JobRun { ended: Some(now()), ok: Some(false), message: "no space left".to_owned(), output, ..JobRun::default() });
    state.view.list_mut().selected = Some("shop/restic/db#db".to_owned());
    let beside = text(&screen(&state, &rich(), 120, 60).0);
    assert!(beside.contains("what the failed run printed last, 34 more lines with z"), "{beside}");
    assert!(beside.contains("line 56") && !beside.contains("line 55") && beside.contains(" no space left"), "{beside}");
    (state.view.detail_open, state.view.focus) = (true, Part::Detail);
    let whole = text(&screen(&state, &rich(), 120, 80).0);
    assert!(whole.contains("line 22") && !whole.contains("line 21 "), "{whole}");
}

fn days_of(state: &State, source: &str) -> String {
    let source = &state.world.sources[&id(source)];
    let entry = Entry { source, backup: source.backup.as_ref().map(|(_, backup)| &**backup) };
    let day = |day: calendar::Day| match day {
        calendar::Day::Good => 'g',
        calendar::Day::Odd => 'o',
        calendar::Day::Failed => 'f',
        calendar::Day::Unknown => '?',
        calendar::Day::None => '.',
    };
    calendar::days(&entry, now(), crate::state::view::ZoneName::Utc).into_iter().map(day).collect()
}

#[test]
fn the_calendar_says_late_only_where_it_was_seen() {
    let mut state = told();
    // Today has no copy yet, and none is due.
    assert!(days_of(&state, "shop/restic/db").ends_with("gggg."));
    assert!(days_of(&state, "blog/files/dump").starts_with("........g") && days_of(&state, "blog/files/dump").ends_with("ggo."));
    assert_eq!(days_of(&state, "blog/files/dump").chars().filter(|day| *day == 'f').count(), 1);
    // After the last look nobody knows; not even that it is late.
    assert!(days_of(&state, "shop/restic/media").ends_with("ggg??"), "{}", days_of(&state, "shop/restic/media"));
    let (_, db) = state.world.sources.get_mut(&id("shop/restic/db")).unwrap().backup.as_mut().unwrap();
    db.copies.truncate(57);
    db.last_success = db.copies.last().map(|copy| copy.at);
    assert!(days_of(&state, "shop/restic/db").ends_with("ggoooo"), "{}", days_of(&state, "shop/restic/db"));
    let fresh = crate::state::SourceState::new(state.world.sources[&id("shop/restic/db")].spec.clone());
    state.world.sources.insert(id("shop/restic/db"), fresh);
    assert_eq!(days_of(&state, "shop/restic/db"), ".".repeat(60));
}

#[test]
fn the_cursor_of_the_calendar_walks_day_by_day_and_tells_of_each() {
    let mut state = told();
    state.view.list_mut().selected = Some("blog/files/dump#dump".to_owned());
    let walk = |state: &mut State, command: Command| {
        state.view.drawn = screen(state, &rich(), 80, 24).1;
        update(state, Msg::Command(command), now());
    };
    let opened = |state: &State| {
        let mut state = state.clone();
        state.view.detail_open = true;
        state.view.focus = Part::Detail;
        text(&screen(&state, &rich(), 80, 24).0)
    };
    let today = opened(&state);
    walk(&mut state, Command::Right);
    assert_eq!(state.view.day_back, 0, "there is no day after today");
    walk(&mut state, Command::Left);
    assert_eq!((state.view.day_back, opened(&state) == today), (1, false));
    let yesterday = opened(&state);
    assert!(yesterday.contains("Thu 19 Nov") && yesterday.contains("late, or something is odd"), "{yesterday}");
    walk(&mut state, Command::Left);
    let before = opened(&state);
    assert!(before.contains("Wed 18 Nov") && before.contains("a good copy"), "{before}");
    // The cell under the cursor is marked in the row of the selected set, and nowhere else.
    let marked = |state: &State| {
        let buffer = screen(state, &mono(), 120, 40).0;
        buffer.content().iter().filter(|cell| cell.modifier.contains(Modifier::REVERSED) && cell.symbol() == "▪").count()
    };
    assert_eq!(marked(&state), 1);
    for _ in 0..80 {
        walk(&mut state, Command::Left);
    }
    assert_eq!(state.view.day_back, 59, "it stays on the calendar");
    assert!(opened(&state).contains("no copy of that day is kept"), "{}", opened(&state));
}

#[test]
fn what_was_never_looked_at_or_has_no_good_copy_is_not_calm() {
    let mut state = told();
    let spec = state.world.sources[&id("shop/restic/db")].spec.clone();
    state.world.sources.insert(id("shop/restic/db"), crate::state::SourceState::new(spec));
    let mut dump = things::dump();
    (dump.last_success, dump.size_bytes, dump.age_s) = (None, None, None);
    dump.complaints = vec!["dump-1.sql.gz: ends in the middle".to_owned()];
    poll(&mut state, "blog/files/dump", now(), Ok(vec![crate::domain::Data::Backup(Box::new(dump))]));
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("· FIRST shop db"), "{shown}");
    assert!(shown.contains("✖ CRIT") && shown.contains("no good copy") && shown.contains("dump-1.sql.gz: ends in the middle"), "{shown}");
    state.world.sources.retain(|id, _| matches!(id.kind(), "http" | "log"));
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("? No backup is watched: rounds cannot say that there is one") && shown.contains("[site.shop.files.NAME]"), "{shown}");
}

#[test]
fn odd_copies_and_sizes_are_drawn() {
    let mut state = told();
    let (_, db) = state.world.sources.get_mut(&id("shop/restic/db")).unwrap().backup.as_mut().unwrap();
    db.max_age_s = Some(0);
    db.place = "/\u{1b}[2J".repeat(60);
    db.complaints = vec!["\u{9b}31m\u{7}x".repeat(90)];
    db.last_success = Some(crate::domain::Timestamp::MIN_UTC);
    for (at, copy) in db.copies.iter_mut().enumerate() {
        copy.name = "\u{202e}\n日本語".repeat(20);
        copy.size_bytes = [None, Some(0), Some(u64::MAX)][at % 3];
        copy.at = [crate::domain::Timestamp::MIN_UTC, crate::domain::Timestamp::MAX_UTC, now()][at % 3];
    }
    state.view.list_mut().selected = Some("shop/restic/db#db".to_owned());
    for open in [false, true] {
        state.view.detail_open = open;
        for (width, height) in SIZES {
            let (buffer, _) = screen(&state, &rich(), width, height);
            assert!(buffer.content().iter().all(|cell| !cell.symbol().chars().any(char::is_control)), "{width}x{height}");
        }
    }
}
