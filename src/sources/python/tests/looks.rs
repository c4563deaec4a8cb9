//! Whole looks: what is listed and installed against an index and a service of advisories on loopback.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::sync::atomic::Ordering;

use super::super::*;
use super::*;

#[tokio::test]
async fn notes_are_read_where_the_metadata_say_and_kept_for_a_day() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "requirements.txt", "till==1.0\nbell==1.0\nlost==1.0\n");
    let changes = "# Changes\n## 2.0\n### Removed\n- the drawer\n## 1.1\n- faster\n## 1.0\n- first\n";
    let mut catalogue = shelf(&[("till", releases(&["1.0", "1.1", "2.0"])), ("bell", releases(&["1.0", "1.1"]))]);
    catalogue.notes = [("till".to_owned(), changes.to_owned())].into();
    let standing = stand(catalogue);
    let text = format!("manifest = \"requirements.txt\"\nindex = \"{}\"", standing.url);
    let (notes, link) = notes_of(dir.path(), &text, "till").await.unwrap();
    assert_eq!(notes.releases.iter().map(|one| one.version.as_str()).collect::<Vec<_>>(), ["2.0", "1.1"], "{notes:?}");
    assert_eq!(notes.summary(), "2 releases: breaking or removed 1");
    assert!(link.unwrap().ends_with("/notes/till.md"));
    // What was read is not asked for again but for the index's own page.
    let before = count(&standing.counters.requests);
    notes_of(dir.path(), &text, "till").await.unwrap();
    assert!(count(&standing.counters.requests) <= before + 1);
    let (notes, link) = notes_of(dir.path(), &text, "bell").await.unwrap();
    assert!(notes.releases.is_empty() && link.is_none());
    assert_eq!(notes.problem.as_deref(), Some("its metadata names no page of changes"));
    assert_eq!(notes_of(dir.path(), &text, "lost").await.unwrap_err().kind, ErrorKind::Status);
}

#[tokio::test]
async fn advisories_are_joined_and_asked_for_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    put(dir, "requirements.txt", "Django==5.2.15\nredis==5.2.1\nbad==1.0\ninner @ https://files.example/inner.zip\n");
    let server = stand(shelf(&[
        ("django", releases(&["5.2.15", "5.2.16", "5.2.18", "5.2.19", "6.1"])),
        ("redis", releases(&["5.2.1"])),
        ("bad", releases(&["1.0", "1.1"])),
    ]));
    let (osv, asked, _task) = knows(Shelf {
        page: 1,
        ..Shelf::of(vec![
            weakness("GHSA-a", &["CVE-2026-1"], "django", &[("5.2", "5.2.16")], HIGH),
            weakness("PYSEC-1", &["CVE-2026-1"], "django", &[("5.2", "5.2.16")], ""),
            weakness("PYSEC-2", &[], "django", &[("4.2", "4.2.9"), ("5.2", "5.2.16")], ""),
            // What would cure the others has one of its own.
            weakness("PYSEC-3", &[], "django", &[("5.2.16", "5.2.18")], ""),
            weakness("MAL-1", &[], "bad", &[("0", "9")], ""),
        ])
    });
    let text = format!("manifest = \"requirements.txt\"\nindex = \"{}\"\nosv = \"{osv}\"\n[[ignore]]\nid = \"cve-2026-9\"\nreason = \"x\"", server.url);
    let seen = poll(dir, &text).await.unwrap();
    assert!(seen.problems.is_empty(), "{:?}", seen.problems);
    let django = item(&seen, "django");
    let ids: Vec<(&str, Option<f64>)> = django.advisories.iter().map(|one| (one.id.as_str(), one.cvss)).collect();
    assert_eq!(ids, [("CVE-2026-1", Some(7.5)), ("PYSEC-2", None)]);
    assert_eq!(
        (django.advisories[0].aliases.as_slice(), django.advisories[0].fixed_in.as_slice()),
        (&["GHSA-a".to_owned(), "PYSEC-1".to_owned()][..], &["5.2.16".to_owned()][..])
    );
    assert!(!django.advisories[0].summary.as_deref().unwrap().contains('\u{1b}'));
    assert_eq!(django.cure.as_deref(), Some("5.2.18"), "5.2.16 has a weakness of its own");
    assert_eq!(item(&seen, "bad").advisories[0].severity.as_deref(), Some("critical"));
    assert_eq!(["redis", "inner"].map(|name| item(&seen, name).audited), [true, false], "nobody knows what comes from an address");
    assert_eq!((packages(&seen).advisories_from.as_deref(), packages(&seen).advisories_problem.as_deref()), (Some("OSV"), None));
    let (batches, details) = (count(&asked.batches), count(&asked.details));
    assert_eq!(details, 5);
    // Another source, as after a restart: young answers and unchanged records are not asked for.
    let again = poll(dir, &text).await.unwrap();
    assert_eq!(packages(&again).items, packages(&seen).items);
    assert_eq!((count(&asked.batches), count(&asked.details)), (batches, details));
}

#[tokio::test]
async fn what_waits_differs_or_is_at_two_indexes_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    put(dir, "requirements.txt", "celery>=5\nteapot==1.4.0\nmissing==1.0\n");
    install(dir, "celery", "5.5.3", "Requires-Dist: kombu>=5");
    install(dir, "kombu", "5.6.0", "Requires-Dist: amqp");
    install(dir, "amqp", "5.0", "");
    install(dir, "teapot", "1.3.0", "");
    let at = |version: &str, days: i64| Release { at: Some((crate::io::clock::now() - chrono::Duration::days(days)).to_rfc3339()), ..Release::new(version) };
    let celery = Page::Releases(vec![at("5.5.3", 760), at("5.5.4", 100), at("5.6.0", 30), at("5.6.2", 2)], None);
    let private = stand(shelf(&[
        ("celery", celery),
        ("kombu", releases(&["5.6.0"])),
        ("amqp", releases(&["5.0"])),
        ("teapot", releases(&["1.3.0", "1.4.0"])),
        ("missing", releases(&["1.0"])),
    ]));
    let public = stand(shelf(&[("teapot", releases(&["99.0"]))]));
    let text =
        format!("manifest = \"requirements.txt\"\nvenv = \"venv\"\nindex = \"{}\"\nextra_indexes = [\"{}\"]\ncooldown = \"7d\"", private.url, public.url);
    let seen = poll(dir, &text).await.unwrap();
    let celery = item(&seen, "celery");
    assert_eq!((celery.wanted.as_deref(), celery.latest.as_deref(), celery.held_by.as_deref()), (Some("5.6.0"), Some("5.6.2"), Some("cool-down")));
    assert!(celery.cooling_until.is_some());
    assert_eq!((celery.libyears, celery.patch.as_deref(), celery.declared.as_deref()), (Some(2.08), Some("5.5.4"), Some(">=5")));
    let line: Vec<&str> = celery.releases.iter().map(|out| out.version.as_str()).collect();
    assert_eq!(line, ["5.5.3", "5.5.4", "5.6.0", "5.6.2"]);
    assert_eq!((item(&seen, "amqp").via.join(" "), item(&seen, "amqp").needed_by[0].name.as_str()), ("celery kombu".to_owned(), "kombu"));
    assert_eq!(item(&seen, "teapot").drift.as_deref(), Some("installed 1.3.0, locked 1.4.0"));
    assert_eq!(item(&seen, "missing").drift.as_deref(), Some("listed, not installed"));
    assert_eq!(item(&seen, "teapot").confusable.as_deref(), Some(public.url.as_str()));
    let Data::Life(lines) = &seen.observations[1].data else { panic!("{seen:?}") };
    assert_eq!((lines.items[0].title().as_str(), lines.embedded), ("Python 3.11", true));
}

#[tokio::test]
async fn silence_about_advisories_is_never_taken_for_none() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    put(dir, "requirements.txt", "Django==5.2.15\n");
    let page = || shelf(&[("django", releases(&["5.2.15", "5.2.18"]))]);
    let server = stand(page());
    let (osv, asked, _task) = knows(Shelf::of(vec![weakness("GHSA-a", &[], "django", &[("5.2", "5.2.18")], HIGH)]));
    let text = format!("manifest = \"requirements.txt\"\nindex = \"{}\"\nosv = \"{osv}\"", server.url);
    let look = |cache: &'static str| {
        let mut context = context(dir);
        context.common.every = Some(Duration::from_secs(1));
        context.cache = Some(dir.join(cache));
        let mut source = config(&text).build(&context).unwrap().source;
        async move { source.collect().await.unwrap() }
    };
    asked.status.store(503, Ordering::Relaxed);
    let none = look("fresh").await;
    let said = packages(&none).advisories_problem.clone().unwrap();
    assert!(said.contains("answers 503") && said.ends_with("is not known"), "{said}");
    assert_eq!((item(&none, "django").audited, packages(&none).advisories_from.as_deref()), (false, None));
    assert!(none.problems.iter().any(|problem| problem.subject == "advisories"));
    asked.status.store(0, Ordering::Relaxed);
    assert_eq!(item(&look("kept").await, "django").advisories.len(), 1);
    asked.status.store(503, Ordering::Relaxed);
    let kept = look("kept").await;
    assert_eq!(item(&kept, "django").advisories.len(), 1, "what was said last stays");
    assert_eq!(item(&kept, "django").cure.as_deref(), Some("5.2.18"));
    let said = packages(&kept).advisories_problem.as_deref().unwrap();
    assert!(said.contains("what OSV said") && said.ends_with("ago is shown"), "{said}");
    // The index's own list, where there is one.
    let listed = BTreeMap::from([(
        "django 5.2.15".to_owned(),
        serde_json::json!([{ "id": "PYSEC-9", "aliases": ["CVE-9"], "fixed_in": ["5.2.18"], "withdrawn": null }]),
    )]);
    let server = stand(Catalogue { listed, ..page() });
    for (osv, problem) in [(format!("\"{osv}\""), true), ("false".to_owned(), false)] {
        let text = format!("manifest = \"requirements.txt\"\nindex = \"{}\"\nosv = {osv}", server.url);
        let mut context = context(dir);
        context.cache = None;
        let seen = config(&text).build(&context).unwrap().source.collect().await.unwrap();
        assert_eq!((item(&seen, "django").advisories[0].id.as_str(), item(&seen, "django").cure.as_deref()), ("CVE-9", Some("5.2.18")));
        assert_eq!((packages(&seen).advisories_from.as_deref(), packages(&seen).advisories_problem.is_some()), (Some("the index"), problem));
    }
}

#[tokio::test]
async fn a_record_without_details_is_still_told_of() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "requirements.txt", "Django==5.2.15\n");
    let server = stand(shelf(&[("django", releases(&["5.2.15", "5.2.18"]))]));
    let (osv, asked, _task) = knows(Shelf::of(vec![weakness("GHSA-a", &[], "django", &[("5.2", "5.2.18")], HIGH)]));
    asked.without_details.store(true, Ordering::Relaxed);
    let seen = poll(dir.path(), &format!("manifest = \"requirements.txt\"\nindex = \"{}\"\nosv = \"{osv}\"", server.url)).await.unwrap();
    let django = item(&seen, "django");
    assert_eq!((django.advisories.len(), django.advisories[0].cvss, django.cure.as_deref()), (1, None, None));
    assert!(seen.problems.iter().any(|problem| problem.subject == "GHSA-a"), "{:?}", seen.problems);
}

#[tokio::test]
async fn an_environment_and_its_manifest_are_compared_with_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    put(dir, "requirements.txt", "# what the shop needs\nDjango>=4.2,<5\nredis==5.2.1\n");
    install(dir, "Django", "4.2.1", "Requires-Dist: asgiref (<4,>=3.6)\n");
    install(dir, "redis", "5.2.1", "");
    install(dir, "asgiref", "3.7", "");
    install(dir, "only-pre", "0.1b1", "");
    let old = Release { requires_python: Some(">=3.12".into()), ..Release::new("6.0") };
    let withdrawn = Release { yanked: Some("broken \u{1b}[2J build".into()), ..Release::new("5.2.1") };
    let Page::Releases(mut django, _) = releases(&["4.2.1", "4.2.9", "5.2", "6.1rc1"]) else { panic!() };
    django.push(old);
    let server = stand(shelf(&[
        ("django", Page::Releases(django, None)),
        ("redis", Page::Releases(vec![withdrawn, Release::new("7.1")], Some("archived".into()))),
        ("asgiref", releases(&["3.7", "4.0"])),
        ("only-pre", releases(&["0.1b1", "0.2b1"])),
    ]));
    let seen = poll(dir, &format!("manifest = \"requirements.txt\"\nvenv = \"venv\"\nindex = \"{}\"", server.url)).await.unwrap();
    assert!(seen.complete && seen.problems.is_empty(), "{:?}", seen.problems);
    let all = packages(&seen);
    assert_eq!((all.manifest.as_str(), all.python.as_deref(), all.index.as_deref()), ("requirements.txt", Some("3.11.4"), Some(server.url.as_str())));
    let django = item(&seen, "django");
    let versions = [&django.installed, &django.wanted, &django.latest, &django.newest].map(|version| version.as_deref().unwrap());
    assert_eq!(versions, ["4.2.1", "4.2.9", "5.2", "6.1rc1"]);
    assert_eq!(
        (django.bump, django.direct, django.place.as_deref(), django.held_by.as_deref()),
        (Some(Bump::Major), Some(true), Some("requirements.txt:2"), Some("<5"))
    );
    assert_eq!(django.released_at.unwrap().to_rfc3339(), "2026-11-17T00:00:00+00:00");
    let redis = item(&seen, "redis");
    assert_eq!((redis.locked.as_deref(), redis.yanked, redis.project_status.as_deref()), (Some("5.2.1"), true, Some("archived")));
    assert!(!redis.yanked_reason.as_deref().unwrap().contains('\u{1b}'));
    let asgiref = item(&seen, "asgiref");
    assert_eq!((asgiref.direct, asgiref.held_by.as_deref(), asgiref.wanted.as_deref()), (Some(false), Some("django <4"), Some("3.7")));
    assert_eq!((item(&seen, "only-pre").latest.as_deref(), item(&seen, "only-pre").bump), (Some("0.2b1"), Some(Bump::Minor)));
}

#[tokio::test]
async fn nothing_new_costs_nearly_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let names: Vec<String> = (0..20).map(|n| format!("mq-{n}")).collect();
    put(dir, "requirements.txt", &names.iter().map(|name| format!("{name}==1.0\n")).collect::<Vec<_>>().concat());
    let many: Vec<String> = (0..200).map(|n| format!("1.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for max_age_s in [0, 600] {
        let mut catalogue = Catalogue { max_age_s, ..Catalogue::default() };
        catalogue.pages = names.iter().map(|name| (name.clone(), releases(&many))).collect();
        let server = stand(catalogue);
        let (osv, _, _task) = knows(Shelf::default());
        let text = format!("manifest = \"requirements.txt\"\nindex = \"{}\"\nosv = \"{osv}\"", server.url);
        let first = poll(dir, &text).await.unwrap();
        let cold = server.counters.bytes.load(Ordering::Relaxed);
        // Another source, as after a restart: what was kept is on disk.
        let again = poll(dir, &text).await.unwrap();
        assert_eq!(packages(&first).items, packages(&again).items);
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        assert!(cold > 500_000);
        assert_eq!(count(&server.counters.bytes), cold, "no body twice");
        let (requests, unchanged) = if max_age_s == 0 { (40, 20) } else { (20, 0) };
        assert_eq!((count(&server.counters.requests), count(&server.counters.unchanged)), (requests, unchanged), "max-age {max_age_s}");
    }
}

#[tokio::test]
async fn a_mirror_that_speaks_only_html_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "requirements.txt", "basket==1.0\n");
    let basket = vec![Release::new("1.0"), Release::new("1.2"), Release { requires_python: Some(">=3.99".into()), ..Release::new("2.0") }];
    let mut seen = Vec::new();
    for html_only in [false, true] {
        let server = stand(Catalogue { html_only, ..shelf(&[("basket", Page::Releases(basket.clone(), None))]) });
        let found = poll(dir.path(), &format!("manifest = \"requirements.txt\"\npython = \"3.11\"\nindex = \"{}\"", server.url)).await.unwrap();
        seen.push(packages(&found).items.clone());
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!((seen[0][0].latest.as_deref(), seen[0][0].newest.as_deref()), (Some("1.2"), Some("2.0")));
}

#[tokio::test]
async fn an_index_that_fails_for_some_names_is_a_part_answer() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "requirements.txt", "basket==1.0\nprivate==1\nforbidden==1\nbroken==1\nform==1\nhalf==1\naway==1\n");
    let server = stand(shelf(&[
        ("basket", releases(&["1.0", "1.1"])),
        ("forbidden", Page::Status(403)),
        ("broken", Page::Status(500)),
        ("form", Page::Form),
        ("half", Page::Half),
        ("away", Page::Away),
    ]));
    let seen = poll(dir.path(), &format!("manifest = \"requirements.txt\"\nindex = \"{}\"", server.url)).await.unwrap();
    assert!(!seen.complete);
    assert_eq!(item(&seen, "basket").bump, Some(Bump::Minor));
    for (name, expected) in [
        ("private", "does not know it"),
        ("forbidden", "refuses us (403)"),
        ("broken", "answers 500"),
        ("form", "page without files"),
        ("half", "too early"),
        ("away", "sends us to elsewhere.example"),
    ] {
        let problem = item(&seen, name).problem.as_deref().unwrap();
        assert!(problem.contains(expected), "{name}: {problem}");
        assert!(seen.problems.iter().any(|problem| problem.subject == name), "{name}");
        assert_eq!(item(&seen, name).latest, None);
    }
}

#[tokio::test]
async fn a_whole_failure_has_one_reason_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "requirements.txt", "a==1\nb==1\n");
    for (page, kind) in [
        (Page::Status(401), ErrorKind::Auth),
        (Page::Status(429), ErrorKind::RateLimited),
        (Page::Status(404), ErrorKind::Status),
        (Page::Form, ErrorKind::Protocol),
    ] {
        let server = stand(shelf(&[("a", page.clone()), ("b", page)]));
        let error = poll(dir.path(), &format!("manifest = \"requirements.txt\"\nindex = \"{}\"", server.url)).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(!error.remedy.is_empty());
        assert_eq!(error.retry_after_s, (kind == ErrorKind::RateLimited).then_some(7));
    }
}

#[tokio::test]
async fn an_index_that_is_down_is_left_alone_after_a_few_tries() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/simple/", listener.local_addr().unwrap());
    let tried = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = Arc::clone(&tried);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten().take(300) {
            counter.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    let names: Vec<String> = (0..200).map(|n| format!("till{n}==1.0")).collect();
    put(dir.path(), "requirements.txt", &names.join("\n"));
    let error = poll(dir.path(), &format!("manifest = \"requirements.txt\"\nindex = \"{url}\"")).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Tls | ErrorKind::Connect), "{error:?}");
    assert!(count(&tried) <= 40, "200 packages, {} tries", count(&tried));
}

#[tokio::test]
async fn credentials_go_to_their_own_index_and_into_no_message() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "requirements.txt", "inner==1\nouter==1\n");
    let authorization = Some("Basic bWU6aHVzaC03ZjNhOTFjMg==".to_owned());
    let private = stand(Catalogue { authorization, ..shelf(&[("inner", releases(&["1", "2"]))]) });
    let public = stand(shelf(&[("outer", releases(&["1", "1.1"]))]));
    let with_password = private.url.replace("http://", &format!("http://me:{SECRET}@"));
    let text = format!("manifest = \"requirements.txt\"\nindex = \"{with_password}\"\nextra_indexes = [\"{}\"]", public.url);
    let seen = poll(dir.path(), &text).await.unwrap();
    assert!(seen.complete, "{:?}", seen.problems);
    assert_eq!((item(&seen, "inner").bump, item(&seen, "outer").bump), (Some(Bump::Major), Some(Bump::Minor)));
    let read = config(&text);
    assert_eq!(read.secrets().len(), 1, "an address with a password is a secret");
    let said = format!("{seen:?}{read:?}{:?}", read.spec(&context(dir.path())));
    assert!(!said.contains(SECRET), "{said}");
}

#[tokio::test]
async fn nothing_to_look_at_is_never_good() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "empty.txt", "# nothing yet\n\n");
    put(dir.path(), "bare/pyvenv.cfg", "version = 3.12.1\n");
    fs::create_dir_all(dir.path().join("bare/lib/python3.12/site-packages")).unwrap();
    for (text, kind) in [
        ("manifest = \"empty.txt\"", ErrorKind::Nothing),
        ("manifest = \"missing.txt\"", ErrorKind::Missing),
        ("venv = \"bare\"", ErrorKind::Nothing),
        ("venv = \"missing\"", ErrorKind::Missing),
        ("manifest = \"bare\"", ErrorKind::Nothing),
    ] {
        let error = poll(dir.path(), &format!("{text}\nindex = \"http://index.example/simple/\"")).await.unwrap_err();
        assert_eq!(error.kind, kind, "{text}: {error:?}");
    }
}

#[tokio::test]
async fn the_index_of_the_manifest_is_used_and_its_lack_names_the_line_to_add() {
    let dir = tempfile::tempdir().unwrap();
    let server = stand(shelf(&[("basket", releases(&["1.0", "1.1"]))]));
    put(dir.path(), "requirements.txt", &format!("--index-url {}\nbasket==1.0\n", server.url));
    let seen = poll(dir.path(), "manifest = \"requirements.txt\"").await.unwrap();
    assert_eq!(item(&seen, "basket").bump, Some(Bump::Minor));
    let wrong = config(
        "manifest = \"requirements.txt\"\nindex = \"index.example\"\nextra_indexes = [\"ftp://x\"]\nosv = \"osv.example\"\ntest = []\n[[ignore]]\nid = \"x\"\nreason = \"\"\nuntil = \"soon\"",
    );
    let told: Vec<(String, bool)> = wrong.check().into_iter().map(|one| (one.path.join("."), one.warning)).collect();
    let expected = [("index", false), ("extra_indexes.0", false), ("osv", false), ("ignore.0.reason", false), ("ignore.0.until", false), ("test", false)];
    assert_eq!(told, expected.map(|(path, warning)| (path.to_owned(), warning)));
    assert_eq!(config("").check()[0].path, ["manifest"]);
}

#[tokio::test]
async fn names_that_differ_by_case_and_dashes_are_one_package_and_versions_of_ones_own_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let index = stand(shelf(&[("foo-bar", releases(&["1.0", "1.1"]))]));
    install(dir.path(), "FOO.bar", "1.0+shop.2", "");
    install(dir.path(), "own", "0.3", "");
    put(dir.path(), "venv/lib/python3.11/site-packages/own-0.3.dist-info/direct_url.json", r#"{"url":"https://git.example/own","vcs_info":{"vcs":"git"}}"#);
    put(dir.path(), "requirements.txt", "Foo_Bar>=1\nfoo-bar<2\nown @ git+https://git.example/own@main\n-r requirements.txt\n-r ./requirements.txt\n");
    let collected = poll(dir.path(), &format!("manifest = \"requirements.txt\"\nvenv = \"venv\"\nindex = \"{}\"", index.url)).await.unwrap();
    let names: Vec<_> = packages(&collected).items.iter().map(|one| (one.name.as_str(), one.latest.as_deref(), one.audited)).collect();
    assert_eq!(names, [("foo-bar", Some("1.1"), false), ("own", None, false)]);
    let package = item(&collected, "foo-bar");
    assert_eq!((package.declared.as_deref(), package.bump, package.wanted.as_deref()), (Some(">=1,<2"), Some(Bump::Minor), Some("1.1")));
    assert_eq!(count(&index.counters.requests), 2, "its page and its list of weaknesses; nobody is asked for what comes from a repository");
    let circles: Vec<_> = collected.problems.iter().map(|problem| format!("{}: {}", problem.subject, problem.message)).collect();
    assert!(circles.len() == 2 && circles.iter().all(|told| told.contains("requirements.txt includes itself")), "{circles:?}");
}

#[tokio::test]
async fn an_environment_elsewhere_is_what_a_command_tells() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let index = stand(shelf(&[
        ("till", Page::Releases(vec![Release::new("1.0"), Release { requires_python: Some(">=3.10".into()), ..Release::new("2.0") }], None)),
        ("lamp", releases(&["1.0", "1.1"])),
    ]));
    let script = |text: &str| {
        put(dir.path(), "inspect", &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(dir.path().join("inspect"), fs::Permissions::from_mode(0o755)).unwrap();
    };
    let report = r#"{"version":"1","installed":[{"metadata":{"name":"till","version":"1.0","requires_dist":["lamp"]},"requested":true},{"metadata":{"name":"lamp","version":"1.0"},"requested":false}],
        "environment":{"implementation_name":"cpython","implementation_version":"3.9.2","os_name":"posix","platform_machine":"x86_64","platform_python_implementation":"CPython","platform_system":"Linux","python_full_version":"3.9.2","python_version":"3.9","sys_platform":"linux"}}"#;
    script(&format!("echo 'a warning' >&2\ncat <<'EOF'\n{report}\nEOF"));
    let text = format!("inspect = [\"./inspect\", \"web1\"]\nindex = \"{}\"", index.url);
    let refused = poll(dir.path(), &text).await.unwrap_err();
    assert!(refused.remedy.contains("rounds trust"), "{refused:?}");
    let look = |text: String| {
        let context = BuildContext { trusted: true, ..context(dir.path()) };
        async move { config(&text).build(&context).unwrap().source.collect().await }
    };
    let collected = look(text.clone()).await.unwrap();
    assert_eq!((packages(&collected).manifest.as_str(), packages(&collected).python.as_deref()), ("./inspect web1", Some("3.9.2")));
    let till = item(&collected, "till");
    assert_eq!(
        (till.installed.as_deref(), till.latest.as_deref(), till.held_by.as_deref()),
        (Some("1.0"), Some("1.0"), Some("Python 3.10")),
        "its Python, not ours"
    );
    let lamp = item(&collected, "lamp");
    assert_eq!((lamp.latest.as_deref(), lamp.direct, lamp.via.clone()), (Some("1.1"), Some(false), vec!["till".to_owned()]));
    script("echo 'Permission denied (publickey).' >&2\nexit 255");
    let failed = look(text.clone()).await.unwrap_err();
    assert!(failed.message.contains("exit code 255: Permission denied") && failed.remedy.contains("by hand"), "{failed:?}");
    // With a manifest, that much is known all the same.
    put(dir.path(), "requirements.txt", "till==1.0\n");
    let collected = look(format!("manifest = \"requirements.txt\"\n{text}")).await.unwrap();
    assert!(collected.problems.iter().any(|problem| problem.subject == "inspect"), "{:?}", collected.problems);
    script("echo hello");
    assert!(look(text).await.unwrap_err().message.contains("no JSON"));
    for wrong in ["inspect = []", "inspect = [\"x\"]\nvenv = \".venv\""] {
        assert!(config(wrong).check().iter().any(|complaint| complaint.path == ["inspect"]), "{wrong}");
    }
}

#[tokio::test]
async fn lock_files_tell_the_way_by_which_a_package_came() {
    let dir = tempfile::tempdir().unwrap();
    let index =
        stand(shelf(&[("till", releases(&["1.0"])), ("lamp", releases(&["1.0", "1.5", "2.0"])), ("wick", releases(&["1.0"])), ("bell", releases(&["1.0"]))]));
    put(dir.path(), "pyproject.toml", "[project]\nname = \"shop\"\nversion = \"1\"\ndependencies = [\"till\"]\n");
    let uv = "version = 1\n[[package]]\nname = \"shop\"\nversion = \"1\"\nsource = { virtual = \".\" }\n[package.metadata]\nrequires-dist = [{ name = \"till\" }]\n\
        [[package]]\nname = \"till\"\nversion = \"1.0\"\nsource = { registry = \"https://index.example/simple\" }\ndependencies = [{ name = \"lamp\", extra = [\"oil\"] }, { name = \"bell\", marker = \"sys_platform == 'win32'\" }]\n\
        [[package]]\nname = \"lamp\"\nversion = \"1.0\"\nsource = { registry = \"https://index.example/simple\" }\n[package.optional-dependencies]\noil = [{ name = \"wick\" }]\n\
        [[package]]\nname = \"wick\"\nversion = \"1.0\"\nsource = { registry = \"https://index.example/simple\" }\n";
    let poetry = "[[package]]\nname = \"till\"\nversion = \"1.0\"\n[package.dependencies]\nLamp = \">=1.0,<2\"\nbell = {version = \"*\", markers = \"sys_platform == \\\"win32\\\"\"}\n\
        [[package]]\nname = \"lamp\"\nversion = \"1.0\"\n[package.dependencies]\nwick = [{version = \"<1\", markers = \"python_version < \\\"3\\\"\"}, {version = \">=1\", markers = \"python_version >= \\\"3\\\"\"}]\n\
        [[package]]\nname = \"wick\"\nversion = \"1.0\"\n[metadata]\nlock-version = \"2.1\"\n";
    let pdm = "[metadata]\nlock_version = \"4.5.0\"\n[[package]]\nname = \"till\"\nversion = \"1.0\"\ndependencies = [\"lamp[oil]<2\", \"bell; sys_platform == 'win32'\"]\n\
        [[package]]\nname = \"lamp\"\nversion = \"1.0\"\n[[package]]\nname = \"lamp\"\nversion = \"1.0\"\nextras = [\"oil\"]\ndependencies = [\"lamp==1.0\", \"wick\"]\n\
        [[package]]\nname = \"wick\"\nversion = \"1.0\"\n";
    let pylock = "lock-version = \"1.0\"\ncreated-by = \"x\"\n[[packages]]\nname = \"till\"\nversion = \"1.0\"\ndependencies = [{ name = \"lamp\" }]\n\
        [[packages]]\nname = \"lamp\"\nversion = \"1.0\"\ndependencies = [{ name = \"wick\", version = \"1.0\" }]\n[[packages]]\nname = \"wick\"\nversion = \"1.0\"\n";
    for (file, lock, wanted, held) in [
        ("uv.lock", uv, "2.0", None),
        ("poetry.lock", poetry, "1.5", Some("till <2")),
        ("pdm.lock", pdm, "1.5", Some("till <2")),
        ("pylock.toml", pylock, "2.0", None),
    ] {
        put(dir.path(), file, lock);
        let collected = poll(dir.path(), &format!("manifest = \"{file}\"\npython = \"3.12\"\nindex = \"{}\"", index.url)).await.unwrap();
        let wick = item(&collected, "wick");
        assert_eq!((wick.direct, wick.via.join(" ")), (Some(false), "till lamp".to_owned()), "{file}");
        assert_eq!(wick.needed_by.iter().map(|need| need.name.as_str()).collect::<Vec<_>>(), ["lamp"], "{file}");
        let lamp = item(&collected, "lamp");
        assert_eq!((lamp.via.join(" "), lamp.wanted.as_deref(), lamp.held_by.as_deref()), ("till".to_owned(), Some(wanted), held), "{file}");
        assert!(collected.problems.is_empty(), "{file}: {:?}", collected.problems);
    }
}

#[tokio::test]
async fn what_came_by_an_extra_of_poetry_has_its_way_too() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["till", "lamp", "wick", "oil", "bell", "horn", "lost"];
    let index = stand(shelf(&names.map(|name| (name, releases(&["1.0", "2.0"])))));
    put(dir.path(), "pyproject.toml", "[project]\nname = \"shop\"\nversion = \"1\"\ndependencies = [\"till[Loud]\", \"horn\"]\n");
    let package = |name: &str, rest: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"1.0\"\noptional = false\n{rest}\n");
    let lock = [
        // The project asks for its extra, and it asks for one of `lamp`.
        package(
            "till",
            "[package.dependencies]\nlamp = {version = \">=1\", extras = [\"light\"]}\nbell = {version = \"<2\", optional = true, markers = \"python_version >= \\\"3\\\" and extra == \\\"loud\\\"\"}\n",
        ),
        package(
            "lamp",
            "[package.dependencies]\nOil = {version = \">=1,<2\", optional = true, markers = \"extra == 'light' or extra == 'all'\"}\nhorn = {version = \"*\", optional = true, markers = \"extra == 'all'\"}\nlost = {version = \"*\", optional = true, markers = \"extra == 'all'\"}\n",
        ),
        package("oil", "[package.dependencies]\nwick = \"*\"\n"),
        package("wick", ""),
        package("bell", ""),
        package("horn", ""),
        package("lost", ""),
    ];
    put(dir.path(), "poetry.lock", &format!("{}[metadata]\nlock-version = \"2.1\"\n", lock.concat()));
    let collected = poll(dir.path(), &format!("manifest = \"poetry.lock\"\npython = \"3.12\"\nindex = \"{}\"", index.url)).await.unwrap();
    let seen = |name: &str| {
        let item = item(&collected, name);
        format!(
            "{} by {} needs {}",
            item.via.join(" "),
            item.needed_by.iter().map(|need| need.name.as_str()).collect::<Vec<_>>().join(" "),
            item.wanted.as_deref().unwrap_or_default()
        )
    };
    assert_eq!(seen("oil"), "till lamp by lamp needs 1.0");
    assert_eq!(seen("wick"), "till lamp oil by oil needs 2.0");
    assert_eq!(seen("bell"), "till by till needs 1.0");
    assert_eq!(seen("horn"), " by  needs 2.0", "an extra that nobody asks for says nothing");
    assert_eq!(seen("lost"), "till lamp by lamp needs 2.0", "what else could have brought it?");
}
