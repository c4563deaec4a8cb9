//! Where the program finds a tracker's token, and that it tells it to nobody.

use rounds::demo::sentry::TOKEN;
use rounds::demo::{Options, Site};

use crate::cli::{Place, run, stderr, stdout};

#[test]
fn a_token_that_people_have_set_already_is_used_and_never_told() {
    let site = Site::temporary(Options::default()).unwrap();
    let url = format!("http://127.0.0.1:{}", site.ports().tracker);
    let place = Place::new();
    let config = place.path().join("rounds.toml");
    std::fs::write(&config, format!("[site.shop.sentry.errors]\nurl = \"{url}\"\norganization = \"acme\"\nproject = \"shop\"\n")).unwrap();
    let rc = place.path().join("home/.sentryclirc");
    let seen = |variable: Option<(&str, &str)>| {
        let mut command = place.command();
        command.args(["--config", config.to_str().unwrap(), "check", "--json"]).envs(variable);
        let output = run(&mut command);
        let (said, messages) = (stdout(&output), stderr(&output));
        assert!(!said.contains(TOKEN) && !messages.contains(TOKEN), "{said}{messages}");
        let source = serde_json::from_str::<serde_json::Value>(&said).unwrap()["sources"][0].clone();
        (source["status"].as_str().unwrap().to_owned(), source["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let (status, message) = seen(None);
    assert!(status == "unknown" && message.starts_with("there is no token"), "{message}");
    assert_eq!(seen(Some(("SENTRY_AUTH_TOKEN", TOKEN))), ("ok".to_owned(), String::new()));
    // One that is for the hosted service is not shown to another server.
    std::fs::write(&rc, format!("[auth]\ntoken={TOKEN}\n")).unwrap();
    assert!(seen(None).1.starts_with("there is no token"));
    std::fs::write(&rc, format!("[defaults]\nurl={url}/\n[auth]\ntoken={TOKEN}\n")).unwrap();
    assert_eq!(seen(None), ("ok".to_owned(), String::new()));
    std::fs::write(&rc, format!("[defaults]\nurl={url}/\n[auth]\ntoken=sntryu_old\n")).unwrap();
    let (_, message) = seen(None);
    assert!(message.contains("refuses the token (401)") && !message.contains("sntryu_old"), "{message}");
    // Nothing that was kept on disk holds it.
    let mut folders = vec![place.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path != rc {
                let bytes = std::fs::read(&path).unwrap();
                assert!(memchr::memmem::find(&bytes, TOKEN.as_bytes()).is_none(), "{}", path.display());
            }
        }
    }
}

/// What came of `rounds errors …` on the demonstration's tracker: exit code, standard output, messages.
fn errors(place: &Place, arguments: &[&str]) -> (i32, String, String) {
    let config = place.path().join("rounds.toml");
    let mut command = place.command();
    command.args(["--config", config.to_str().unwrap(), "errors"]).args(arguments).env("SENTRY_AUTH_TOKEN", TOKEN);
    let output = run(&mut command);
    (output.status.code().unwrap(), stdout(&output), stderr(&output))
}

/// A tracker of its own, whose requests can be looked at, and the configuration that watches it.
fn tracker(place: &Place, file: &str) -> std::sync::Arc<rounds::demo::sentry::Tracker> {
    use rounds::demo::sentry::{Setup, Tracker, serve};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let tracker = std::sync::Arc::new(Tracker::new(Setup::default()));
    let serving = std::sync::Arc::clone(&tracker);
    // It ends with the test's process.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(serve(listener, serving, || std::time::Duration::from_secs(30)))
    });
    let text = format!("[site.shop.sentry.errors]\nurl = \"http://127.0.0.1:{port}\"\norganization = \"acme\"\nproject = \"shop\"\n");
    std::fs::write(place.path().join(file), text).unwrap();
    tracker
}

#[test]
fn a_look_and_what_follows_it_are_one_client_that_counts_its_limit_once() {
    let place = Place::new();
    let tracker = tracker(&place, "rounds.toml");
    let (code, said, messages) = errors(&place, &["show", "--json", "SHOP-41B"]);
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    let event = &document["items"][0]["detail"]["event"];
    assert!(code == 0 && event["place"]["line"].is_u64() && event["exceptions"][0]["kind"].is_string(), "{said}{messages}");
    // Which server it is and where the organization lives is found out once by one client.
    let asked = |target: &str| tracker.seen().iter().filter(|seen| seen.target == target).count();
    assert_eq!((asked("/api/settings/"), asked("/api/0/organizations/acme/")), (1, 1), "{:?}", tracker.seen());
    let (code, said, messages) = errors(&place, &["resolve", "--yes", "SHOP-41B"]);
    assert!(code == 0, "{said}{messages}");
    assert_eq!((asked("/api/settings/"), asked("/api/0/organizations/acme/")), (2, 2));
    // For reading, the same frames as on the page.
    let (_, said, _) = errors(&place, &["show", "5466"]);
    assert!(said.contains("  >") && said.contains(" | ") && said.contains("breadcrumbs"), "{said}");
}

#[test]
fn what_another_process_polls_can_be_changed_from_here() {
    use crate::pty::Terminal;
    let place = Place::new();
    let tracker = tracker(&place, "work/rounds.toml");
    assert!(run(place.command().arg("trust")).status.success());
    let token = [("SENTRY_AUTH_TOKEN", TOKEN)];
    // The first holds the lease and polls; the second sees what it found.
    let mut first = Terminal::start(&place, &[], &token);
    first.wait_for_dashboard();
    first.press("3");
    first.wait_for_text("SHOP-41B");
    let lists = || tracker.seen().iter().filter(|seen| seen.method == "GET" && seen.target.contains("/issues/?query=is%3Aunresolved")).count();
    let polled = lists();
    let mut second = Terminal::start(&place, &[], &token);
    second.wait_for_dashboard();
    second.press("3");
    second.wait_for_text("SHOP-41B");
    assert_eq!(lists(), polled, "the second polls as well");
    second.press("/SHOP-41B\r");
    second.wait_for("one issue alone", |screen| screen.contents().contains("SHOP-41B") && !screen.contents().contains("SHOP-4K2"));
    second.press("x");
    second.wait_for_text("resolve");
    second.press("\r");
    second.wait_for_text("does      resolve");
    second.press("\r");
    second.wait_for_text("✔ done");
    assert!(tracker.seen().iter().any(|seen| seen.method == "PUT" && seen.body.contains("resolved")), "{:?}", tracker.seen());
    // The first looks again by itself, or is asked to; what was done is in the record that both read.
    first.press("R");
    first.wait_for("the list without it", |screen| !screen.contents().contains("SHOP-41B"));
    first.press("0");
    first.wait_for_text("resolve SHOP-41B");
    for terminal in [&mut first, &mut second] {
        terminal.press("\u{3}\u{3}\u{3}");
        assert_eq!(terminal.end(), 0);
    }
}

#[test]
fn an_error_of_a_log_is_found_again_after_its_lines_are_gone() {
    let place = Place::new();
    let config = place.path().join("rounds.toml");
    let log = place.path().join("app.log");
    std::fs::write(&config, format!("[site.shop.log.app]\npath = \"{}\"\n", log.display())).unwrap();
    let line = |words: &str| format!("{} ERROR shop: {words}\n", rounds::io::clock::now().format("%Y-%m-%d %H:%M:%S,000"));
    std::fs::write(&log, line("the basket is gone")).unwrap();
    let mut terminal = crate::pty::Terminal::start(&place, &["--config", config.to_str().unwrap()], &[]);
    terminal.wait_for_dashboard();
    terminal.press("3");
    terminal.wait_for_text("the basket is gone");
    // The book is written by now.
    let state = place.path().join("home/.state/rounds");
    let begun = std::time::Instant::now();
    let kept = || rounds::journal::read_snapshot(&state).is_some_and(|snapshot| snapshot.books.iter().any(|book| !book.rows.is_empty()));
    while !kept() {
        assert!(begun.elapsed().as_secs() < 30, "the book was not written");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    std::fs::write(&log, line("all is well again")).unwrap();
    let (code, said, messages) = errors(&place, &["list", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    let items = document["items"].as_array().unwrap();
    let gone = items.iter().find(|item| item["title"].as_str().is_some_and(|title| title.contains("basket"))).unwrap_or_else(|| panic!("{said}{messages}"));
    let id = gone["id"].as_str().unwrap();
    let (shown, said, messages) = errors(&place, &["show", &id[..6]]);
    assert!(code == 0 && shown == 0 && said.contains("the basket is gone"), "{said}{messages}");
    let (code, said, messages) = errors(&place, &["resolve", "--yes", id]);
    assert!(code == 0 && said.contains("is resolved"), "{said}{messages}");
}

#[test]
fn issues_are_changed_from_a_shell_and_the_journal_knows() {
    let site = Site::temporary(Options::default()).unwrap();
    let place = Place::new();
    let url = format!("http://127.0.0.1:{}", site.ports().tracker);
    let text = format!("[site.shop.sentry.errors]\nurl = \"{url}\"\norganization = \"acme\"\nproject = \"shop\"\n");
    std::fs::write(place.path().join("rounds.toml"), text).unwrap();
    let errors = |arguments: &[&str]| errors(&place, arguments);

    // Nobody can be asked, nothing is done.
    let (code, _, said) = errors(&["resolve", "SHOP-41B"]);
    assert!(code == 64 && said.contains("write --yes"), "{said}");
    let (code, _, said) = errors(&["resolve", "--yes=blog", "SHOP-41B"]);
    assert!(code == 64 && said.contains("nothing was changed"), "{said}");
    let (code, _, said) = errors(&["resolve", "--yes", "41b"]);
    assert!(code == 64 && said.contains("perhaps SHOP-41B (shop/sentry/errors#5466)"), "{said}");
    for arguments in [&["archive", "--yes", "--events", "0", "SHOP-41B"][..], &["archive", "--yes", "--for", "soon", "5466"], &["unresolve", "--yes", "5466"]] {
        let (code, _, said) = errors(arguments);
        assert!(code == 64, "{arguments:?}: {said}");
    }
    assert!(errors(&["list"]).1.contains("SHOP-41B"));

    let (code, said, messages) = errors(&["resolve", "--yes", "shop-41b", "shop/sentry/errors#5401"]);
    assert_eq!((code, said.as_str()), (0, "SHOP-41B: issue 5466 is resolved\nSHOP-31C: issue 5401 is resolved\n"), "{messages}");
    assert!(!errors(&["list"]).1.contains("SHOP-41B"));
    // It is not in the list any more, and found by its name all the same.
    let (code, said, messages) = errors(&["unresolve", "--yes", "--json", "SHOP-41B"]);
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    let item = &document["items"][0];
    assert!(code == 0 && item["ok"] == true && item["id"] == "5466" && item["state"] == "ongoing", "{said}{messages}");
    for arguments in [
        &["archive", "--yes", "--users", "5", "SHOP-41B"][..],
        &["resolve", "--yes", "--in-next-release", "SHOP-41B"],
        &["unresolve", "--yes", "SHOP-41B"],
        &["assign", "--yes", "--to", "#payment", "SHOP-41B"],
        &["review", "--yes", "SHOP-41B"],
    ] {
        let (code, said, messages) = errors(arguments);
        assert!(code == 0 && said.starts_with("SHOP-41B: issue 5466 is "), "{arguments:?}: {said}{messages}");
    }
    let (code, said, _) = errors(&["show", "SHOP-41B"]);
    assert!(code == 0 && said.contains("TimeoutError") && said.contains("assigned to payment"), "{said}");
    let (code, said, _) = errors(&["show", "--json", "1"]);
    assert!(code == 64 && said.contains("there is no issue"), "{said}");

    // Each was recorded before and after.
    let reader = rounds::journal::Reader::open(&place.path().join("home/.state/rounds")).unwrap();
    let kept = reader.transitions(rounds::io::clock::now() - chrono::Duration::hours(1), 1_000).unwrap();
    let ends =
        kept.iter().filter_map(|kept| if let rounds::domain::TransitionKind::Action { ended, steps, .. } = &kept.kind { Some((ended, steps)) } else { None });
    let (ended, begun): (Vec<_>, Vec<_>) = ends.partition(|(ended, _)| ended.is_some());
    assert_eq!((begun.len(), ended.len()), (7, 7));
    assert_eq!(begun.iter().filter(|(_, steps)| steps[0] == ["resolve", "SHOP-41B", "SHOP-31C"]).count(), 1);
}
