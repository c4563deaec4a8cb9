//! The wall as a whole program on a terminal: it turns pages, stops at trouble, and nobody who leans on the keyboard changes anything.

use std::time::{Duration, Instant};

use crate::cli::Place;
use crate::pty::Terminal;
use crate::several::Server;

fn configured(place: &Place, more: &str) {
    std::fs::write(place.path().join("work/rounds.toml"), more).unwrap();
}

fn endpoint(site: &str, name: &str, port: u16) -> String {
    format!("[site.{site}.http.{name}]\nurl = \"http://127.0.0.1:{port}/\"\nevery = \"1s\"\nretry_every = \"1s\"\nfailures = 2\n")
}

/// What only the page of the sites, and only that of health, has on it.
const SITES: &str = "latency p95";
const HEALTH: &str = " endpoints ─";

/// Waits until each page was there and the first is back.
fn turns(terminal: &Terminal) {
    for page in [SITES, HEALTH, SITES] {
        terminal.wait_for_text(page);
    }
}

#[test]
fn calm_it_turns_its_pages_and_every_key_but_leaving_is_locked() {
    let server = Server::answering(200);
    let place = Place::new();
    let wall = "[wall]\nrotate = \"1s\"\npages = [\"sites\", \"health\"]\n[site.shop]\n";
    configured(&place, &format!("{wall}{}", endpoint("shop", "home", server.port)));
    let mut terminal = Terminal::start(&place, &["--wall"], &[]);
    terminal.wait_for_text("keys locked");
    turns(&terminal);
    // Neither pages, nor help, nor acknowledging, nor acting; and the wall goes on.
    for keys in ["0", "?", "x", "a", "z", "p", ":quit\r", "\u{1b}", "/shop\r"] {
        terminal.press(keys);
    }
    turns(&terminal);
    let text = terminal.text();
    assert!(!text.contains("? help") && !text.contains("─ keys of"), "{text}");
    terminal.press(":unlock\r");
    terminal.wait_for_text("? help");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn trouble_stops_it_and_stays_a_while_after_it_is_over() {
    let (well, ill) = (Server::answering(200), Server::answering(200));
    let place = Place::new();
    let wall = "[wall]\nrotate = \"1s\"\npages = [\"sites\", \"health\"]\n[site.shop]\n[site.blog]\n";
    configured(&place, &format!("{wall}{}{}", endpoint("shop", "home", well.port), endpoint("blog", "feed", ill.port)));
    let mut terminal = Terminal::start(&place, &["--wall"], &[]);
    turns(&terminal);
    ill.answer(500);
    terminal.wait_for_text("feed is down");
    terminal.wait_for_text("rotation stands still");
    // It stands although pages would have turned several times.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let text = terminal.text();
        assert!(text.contains("feed is down") && !text.contains(HEALTH), "{text}");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Over within its minute it still stands there, and says that it is over.
    ill.answer(200);
    terminal.wait_for_text("over, told for a minute");
    assert!(terminal.text().contains("feed is down"), "{}", terminal.text());
    // Nothing rings: what ends a question to the terminal (`ESC ] … BEL`) is no bell.
    let raw = terminal.raw();
    let rung = raw.split('\u{1b}').any(|part| part.matches('\u{7}').count() > usize::from(part.starts_with(']')));
    assert!(!rung, "the bell is off: {raw:?}");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn what_is_old_is_not_green_on_the_wall() {
    let server = Server::answering(200);
    let place = Place::new();
    configured(&place, &format!("[site.shop]\n{}", endpoint("shop", "home", server.port)));
    let mut terminal = Terminal::start(&place, &["--wall"], &[]);
    terminal.wait_for_text("the one source answered, nothing is stale");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    // What was known then is old when the wall comes up again and nothing answers in time.
    std::thread::sleep(Duration::from_secs(15));
    server.answer(0);
    let mut terminal = Terminal::start(&place, &["--wall"], &[]);
    terminal.wait_for_dashboard();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        let text = terminal.text();
        assert!(!text.contains("✔ shop") && !text.contains("✔ OK") && !text.contains("nothing is stale"), "{text}");
        std::thread::sleep(Duration::from_millis(50));
    }
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}
