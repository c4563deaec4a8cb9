//! Upgrades from page 6 on a real terminal, and what ends one at any moment: keys, signals, a terminal that is closed, a dashboard that dies.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use rounds::domain::TransitionKind;
use rounds::journal::read_snapshot;

use crate::pty::Terminal;
use crate::upgrade::{CHECK, Shop, path, until};

const KEYS: &str = "manifest = \"requirements.txt\"\npython = \"../py\"";

/// A shop whose interpreter stands still where `gate` is, as a slow disk would; it leaves its process beside it.
fn shop() -> Option<(Shop, PathBuf)> {
    let files = [("requirements.txt", "basket==1.0\ntill==1.0.0\nlamp==1.0.0\nshelf==1.0\n"), ("check.py", CHECK)];
    let shop = Shop::new(&files, KEYS)?;
    let gate = shop.place.path().join("gate");
    shop.stands_still_at(&gate);
    Some((shop, gate))
}

/// Starts the program on a terminal, wide enough for all that page 6 has.
fn start(shop: &Shop, verb: &[&str]) -> Terminal {
    let state = shop.place.path().join("state").display().to_string();
    let arguments: Vec<&str> = ["--config", "r.toml", "--state-dir", &state].into_iter().chain(verb.iter().copied()).collect();
    let mut terminal = Terminal::start(&shop.place, &arguments, &[("PATH", &path())]);
    terminal.resize(120, 40);
    terminal
}

/// Waits as long as an upgrade may take.
fn sees(terminal: &Terminal, text: &str) {
    let mut last = String::new();
    until(&format!("\"{text}\" is never on the screen:\n"), || {
        last = terminal.text();
        last.contains(text)
    });
}

/// Closes the window with the output of what has ended. Waits, as a key right after Esc is another key.
fn close(terminal: &mut Terminal) {
    sees(terminal, "Esc close");
    terminal.press("\u{1b}");
    until("the window stays", || !terminal.text().contains("Esc close"));
}

fn ends(shop: &Shop) -> Vec<String> {
    let known = read_snapshot(&shop.place.path().join("state")).unwrap_or_default();
    let ended = |event: &rounds::domain::Transition| match &event.kind {
        TransitionKind::Action { ended: Some(end), .. } => Some(end.words.clone()),
        _ => None,
    };
    known.events.iter().filter_map(ended).collect()
}

/// Filters the page down to this package.
fn select(terminal: &mut Terminal, name: &str) {
    // The filter begins with what it was.
    terminal.press(&format!("/{}{name}\r", "\u{7f}".repeat(12)));
    sees(terminal, &format!("{name} 1.0"));
}

#[test]
fn page_6_upgrades_one_and_several_and_a_key_stops_it() {
    let Some((shop, gate)) = shop() else { return };
    let reached = gate.with_extension("reached");
    let mut terminal = start(&shop, &[]);
    terminal.wait_for_dashboard();
    terminal.press("6");
    sees(&terminal, "basket");
    select(&mut terminal, "till");

    // Confirmed, watched, stopped: nothing is left of it.
    fs::write(&gate, "").unwrap();
    let begin = |terminal: &mut Terminal, command: &str| {
        terminal.press("x");
        sees(terminal, "guarded upgrade, patch releases only");
        terminal.press("\r");
        sees(terminal, command);
        terminal.press("\r");
    };
    begin(&mut terminal, "rounds upgrade shop/python/app till");
    until("the environment is never made", || reached.exists());
    sees(&terminal, "make an environment");
    terminal.press("\u{3}");
    sees(&terminal, "Stop it, with all it started?");
    terminal.press("\r");
    until("the end is never recorded", || ends(&shop).len() == 1);
    assert!(ends(&shop)[0].contains("stopped"), "{:?}", ends(&shop));
    shop.is_clean();
    fs::remove_file(&gate).unwrap();
    close(&mut terminal);

    // The same again, to its end: a branch, a record, and the page says so.
    begin(&mut terminal, "rounds upgrade shop/python/app till");
    until("the end is never recorded", || ends(&shop).len() == 2);
    let branch = shop.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/rounds/"]);
    assert!(ends(&shop)[1] == format!("1 kept on branch {branch}"), "{:?}", ends(&shop));
    shop.is_clean();
    assert_eq!(shop.git(&["log", "--format=%s", &format!("main..{branch}")]), "Upgrade till from 1.0.0 to 1.0.1");
    sees(&terminal, "1 kept on branch");
    close(&mut terminal);
    sees(&terminal, "last: 1 kept on branch");

    // Two marked ones in one run.
    terminal.press(" ");
    select(&mut terminal, "basket");
    terminal.press(" ");
    begin(&mut terminal, "rounds upgrade shop/python/app basket till");
    until("the end is never recorded", || ends(&shop).len() == 3);
    assert!(ends(&shop)[2].starts_with("2 kept on branch"), "{:?}", ends(&shop));
    shop.is_clean();
    assert_eq!(shop.git(&["branch", "--list", "rounds/*"]).lines().count(), 2);
    close(&mut terminal);
    // The filter goes first, then the program.
    terminal.press("qq");
    terminal.end();
}

#[test]
fn whatever_ends_an_upgrade_leaves_the_project_as_it_was() {
    let Some((shop, gate)) = shop() else { return };
    let reached = gate.with_extension("reached");
    fs::write(&gate, "").unwrap();
    let waits = || {
        until("the environment is never made", || reached.exists());
        let process: i32 = fs::read_to_string(&reached).unwrap().trim().parse().unwrap();
        fs::remove_file(&reached).unwrap();
        Pid::from_raw(process)
    };
    let verb = ["upgrade", "app", "till", "--yes"];
    // Ctrl-C of the terminal, and the terminal that goes away.
    let ways: [fn(&mut Terminal); 3] =
        [|terminal| terminal.press("\u{3}"), |terminal| terminal.signal(Signal::SIGHUP), |terminal| terminal.signal(Signal::SIGINT)];
    for way in ways {
        let mut terminal = start(&shop, &verb);
        let left = waits();
        way(&mut terminal);
        assert_eq!(terminal.end(), 1, "{}", terminal.text());
        shop.is_clean();
        until("what it ran still runs", || kill(left, None).is_err());
    }
    // A dashboard that is killed cannot tell the verb; the verb sees it.
    let mut terminal = start(&shop, &[]);
    terminal.wait_for_dashboard();
    terminal.press("6");
    sees(&terminal, "basket");
    select(&mut terminal, "till");
    terminal.press("x");
    sees(&terminal, "guarded upgrade, patch releases only");
    terminal.press("\r");
    sees(&terminal, "rounds upgrade shop/python/app till");
    terminal.press("\r");
    let left = waits();
    terminal.signal(Signal::SIGKILL);
    terminal.end();
    until("what it ran still runs", || kill(left, None).is_err());
    until("the copy stays", || !shop.runs().join("copy").exists() && !shop.runs().join("venv").exists());
    until("the lock stays", || shop.git(&["worktree", "list"]).lines().count() == 1);
    shop.is_untouched();
    assert_eq!(shop.git(&["branch", "--list", "rounds/*"]), "");
}

/// The demonstration's project is a repository, its index has real files: an upgrade in it is a real one.
#[test]
fn the_demonstration_upgrades_for_real_and_without_a_network() {
    let place = crate::cli::Place::new();
    let path = path();
    if !crate::upgrade::tool("git", &path) || !crate::upgrade::tool("python3", &path) {
        return;
    }
    let mut terminal = Terminal::start(&place, &["demo", "--keep", "kept"], &[("PATH", &path)]);
    terminal.resize(120, 40);
    terminal.wait_for_dashboard();
    terminal.press("6");
    sees(&terminal, "pillow");
    terminal.press("x");
    sees(&terminal, "guarded upgrade, patch releases only");
    terminal.press("\r");
    sees(&terminal, "rounds upgrade shop/python/app django");
    terminal.press("\r");
    sees(&terminal, "2 kept on branch rounds/upgrade-");
    close(&mut terminal);
    terminal.press("q");
    terminal.end();
    let mut git = crate::upgrade::command("git");
    git.args(["log", "--format=%s", "--branches=rounds/*", "--not", "main"]).current_dir(place.path().join("work/kept/shop"));
    let said = crate::cli::run(git.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()));
    assert_eq!(crate::cli::stdout(&said).trim_end(), "Upgrade django from 5.2.18 to 5.2.19\nUpgrade django from 5.2.15 to 5.2.18", "{said:?}");

    // Without git, or without Python, the rest goes on, and the page says what is missing.
    for (names, missing) in [(["python3", "sh"], "git is not installed"), (["git", "sh"], "python3 is not there; install it")] {
        let tools = place.path().join("tools").join(names[0]);
        fs::create_dir_all(&tools).unwrap();
        for name in names {
            let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file()).unwrap();
            std::os::unix::fs::symlink(found, tools.join(name)).unwrap();
        }
        let mut terminal = Terminal::start(&place, &["demo"], &[("PATH", &tools.display().to_string())]);
        terminal.resize(120, 40);
        terminal.wait_for_dashboard();
        terminal.press("6");
        sees(&terminal, "pillow");
        terminal.press("x");
        sees(&terminal, "guarded upgrade, patch releases only");
        terminal.press("\r");
        sees(&terminal, "rounds upgrade shop/python/app django");
        terminal.press("\r");
        sees(&terminal, missing);
        close(&mut terminal);
        terminal.press("q");
        terminal.end();
    }
}
