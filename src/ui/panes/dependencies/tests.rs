use crate::domain::{Data, LifeLine, LifeLines, Need, Out, Package};
use crate::state::{Page, State};
use crate::ui::fixture::*;
use crate::ui::tests::{SIZES, snapshot};

fn told() -> State {
    let mut state = story();
    state.view.page = Page::Dependencies;
    let day = |text: &str| text.parse::<chrono::NaiveDate>().ok();
    let life = |product: &str, label: &str, cycle: &str, dates: [&str; 3]| LifeLine {
        product: product.to_owned(),
        label: label.to_owned(),
        version: format!("{cycle}.1"),
        cycle: Some(cycle.to_owned()),
        lts: product == "django",
        start: day(dates[0]),
        full_until: day(dates[1]),
        security_until: day(dates[2]),
        ..LifeLine::default()
    };
    let old = [
        life("django", "Django", "4.2", ["2023-04-03", "2023-12-04", "2026-04-07"]),
        life("python", "Python", "3.10", ["2021-10-04", "2023-04-05", "2026-10-31"]),
    ];
    let new = [
        life("django", "Django", "5.2", ["2025-04-02", "2025-12-03", "2028-04-30"]),
        life("python", "Python", "3.12", ["2023-10-02", "2025-04-02", "2028-10-31"]),
    ];
    for (source, items) in [("shop/python/app", new), ("blog/python/app", old)] {
        let (_, mut packages) = state.world.sources[&id(source)].packages.clone().unwrap();
        for django in packages.items.iter_mut().filter(|package| package.name == "django") {
            let cure = ago(16 * 86_400);
            django.advisories.iter_mut().for_each(|advisory| advisory.fixed_at = Some(cure));
            let out = |version: &str, days: i64| Out { version: version.to_owned(), at: Some(ago(days * 86_400)), yanked: false };
            if django.installed.as_deref() == Some("5.2.15") {
                django.current_released_at = Some(ago(170 * 86_400));
                django.declared = Some("~=5.2".to_owned());
                django.releases = [("5.2.15", 170), ("5.2.16", 136), ("5.2.17", 108), ("5.2.18", 16), ("5.2.19", 4), ("6.0.9", 16), ("6.1.3", 16)]
                    .map(|(version, days)| out(version, days))
                    .into();
                django.released_at = Some(ago(16 * 86_400));
                django.needed_by = ["djangorestframework", "django-redis", "whitenoise", "django-filter", "django-storages", "wagtail", "django-environ"]
                    .map(|name| Need { name: name.to_owned(), constraint: ">=4.2".to_owned() })
                    .into();
            }
        }
        let lines = LifeLines { items: items.into(), dates_at: Some(ago(3_600)), embedded: false };
        poll(&mut state, source, ago(3_300), Ok(vec![Data::Packages(packages), Data::Life(lines)]));
    }
    state
}

#[test]
fn life_lines_stand_above_with_today_on_them() {
    let state = told();
    for (width, height) in [(80, 24), (120, 40)] {
        let shown = text(&screen(&state, &rich(), width, height).0);
        let lines: Vec<&str> = shown.lines().collect();
        let at = lines.iter().position(|line| line.contains("life lines")).unwrap();
        let today = lines[at].chars().position(|c| c == '▼').unwrap();
        for (row, parts) in [
            (1, ["blog", "Django 4.2 LTS", "┥×", "┊", "ended 7 Apr"]),
            (2, ["", "Python 3.10", "┥", "┊", "ended 31 Oct"]),
            (3, ["shop", "Django 5.2 LTS", "━", "┿", "30 Apr 2028"]),
            (4, ["", "Python 3.12", "━", "┿", "31 Oct 2028"]),
        ] {
            let line = lines[at + row];
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
            assert!("┊┿".contains(line.chars().nth(today).unwrap()), "{line}");
        }
        assert!(shown.contains("2025") && shown.contains("2028"));
    }
    // A page that is read, and a small one, have none.
    let mut open = told();
    open.view.detail_open = true;
    for (state, width, height) in [(&open, 120, 40), (&state, 60, 15), (&state, 80, 15)] {
        assert!(!text(&screen(state, &rich(), width, height).0).contains("life lines"));
    }
}

#[test]
fn lines_that_do_not_fit_are_counted() {
    let mut state = told();
    let (_, lines) = state.world.sources.get_mut(&id("shop/python/app")).unwrap().life.as_mut().unwrap();
    for (at, product) in ["redis", "postgresql", "nginx"].into_iter().enumerate() {
        let end = chrono::NaiveDate::from_ymd_opt(2029, 1, 1 + at as u32);
        lines.items.push(LifeLine { product: product.into(), label: product.into(), cycle: Some("7".into()), security_until: end, ..LifeLine::default() });
    }
    lines.items.push(LifeLine { product: "debian".into(), label: "Debian".into(), version: "99".into(), ..LifeLine::default() });
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("life lines 4 of 8") && shown.contains("ended 7 Apr"), "{shown}");
    let shown = text(&screen(&state, &rich(), 120, 40).0);
    assert!(shown.contains("life lines 6 of 8"), "{shown}");
}

#[test]
fn a_release_that_ended_is_a_group_of_its_own() {
    let state = told();
    let shown = text(&screen(&state, &rich(), 120, 40).0);
    assert!(shown.contains("▲  1 end of life blog  django") && shown.contains("needs Python 3.12"), "{shown}");
}

#[test]
fn the_tail_is_folded_and_zoom_shows_all() {
    let mut state = told();
    let (_, packages) = state.world.sources.get_mut(&id("shop/python/app")).unwrap().packages.as_mut().unwrap();
    let like = packages.items[0].clone();
    for at in 0..20 {
        packages.items.push(Package { name: format!("package-{at:02}"), ..like.clone() });
    }
    let (buffer, drawn) = screen(&state, &rich(), 120, 40);
    let shown = text(&buffer);
    assert!(shown.contains("· 22 patch") && shown.contains(" more: patch 17   z shows all"), "{shown}");
    assert!(drawn.keys.len() < 20 && drawn.keys.iter().any(|key| key.ends_with("#pillow")));
    state.view.zoom = true;
    let all = screen(&state, &rich(), 120, 40).1.keys.len();
    assert_eq!(all, 31);
    state.view.zoom = false;
    // What is selected or marked is never folded, and a filter unfolds.
    state.view.list_mut().selected = Some("shop/python/app#package-07".to_owned());
    assert!(screen(&state, &rich(), 120, 40).1.keys.contains(&"shop/python/app#package-07".to_owned()));
    state.view.list_mut().filter = "package".to_owned();
    assert_eq!(screen(&state, &rich(), 120, 40).1.keys.len(), 20);
}

#[test]
fn packages_can_be_ordered_otherwise() {
    let mut state = told();
    let first = |state: &State| screen(state, &rich(), 120, 40).1.keys[0].clone();
    assert_eq!(first(&state), "shop/python/app#django");
    for (sort, key) in [(1, "shop/python/app#celery"), (2, "shop/python/app#django"), (3, "shop/python/app#redis")] {
        state.view.list_mut().sort = sort;
        assert_eq!(first(&state), key, "{sort}");
    }
    assert!(text(&screen(&state, &rich(), 120, 40).0).contains("packages by released"));
}

#[test]
fn notes_are_told_with_what_warns_first() {
    use crate::domain::{NoteLine, NoteWord, Notes, ReleaseNotes};
    use crate::sources::{Detail, DetailBody, ItemKey};
    let mut state = told();
    let line = |text: &str, word| NoteLine { text: text.to_owned(), word };
    let release = |version: &str, lines: Vec<NoteLine>| ReleaseNotes { version: version.to_owned(), lines, more: 0 };
    let notes = Notes {
        releases: vec![
            release("6.1", vec![line("many things", None), line("the drawer was removed\u{1b}[2J", Some(NoteWord::Breaking))]),
            release("5.2.19", vec![line("a regression in QuerySet.union() fixed", None)]),
        ],
        read_in: "docs.example".to_owned(),
        problem: None,
    };
    let key = ItemKey { source: id("shop/python/app"), item: "django".to_owned() };
    let tell = |state: &mut State, notes: Notes| {
        let detail = Detail { key: key.clone(), body: DetailBody::Notes(Box::new(notes)), link: Some("https://docs.example/changes".to_owned()) };
        let told = crate::state::details::Told { key: key.clone(), part: None, result: Some(Ok(detail)) };
        crate::state::update::update(state, crate::state::Msg::Detail(Box::new(told)), now());
    };
    tell(&mut state, notes.clone());
    let shown = text(&screen(&state, &rich(), 120, 40).0);
    for part in ["notes       6.1        the drawer was removed", "5.2.19     a regression in QuerySet.union() fixed", "2 releases: breaking or removed 1"] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(text(&screen(&state, &rich(), 80, 24).0).contains("notes       2 releases: breaking or removed 1"));
    assert_eq!(crate::state::item::link(&state.world, "shop/python/app#django").as_deref(), Some("https://docs.example/changes"));
    state.view.detail_open = true;
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("· many things") && shown.contains("docs.example"), "{shown}");
    state.view.detail_open = false;
    tell(&mut state, Notes { problem: Some("docs.example: not answered in time".to_owned()), ..Notes::default() });
    assert!(text(&screen(&state, &rich(), 120, 40).0).contains("not read: docs.example: not answered in time; o opens the page"));
}

#[test]
fn the_detail_tells_who_needs_it_and_when_versions_came() {
    let state = told();
    let shown = text(&screen(&state, &rich(), 120, 40).0);
    for part in [
        "deployed 5.2.15, locked 5.2.15, declared ~=5.2",
        "Mon wanted",
        "4 Nov cures",
        "djangorestframework, django-redis, whitenoise, django-filter and 3 more; none forbids 5.2.19",
        "policy: 2 d late",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let shown = text(&screen(&state, &rich(), 80, 24).0);
    assert!(shown.contains("fix out 16 d") && shown.contains("7.5 2 d late"), "{shown}");
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
