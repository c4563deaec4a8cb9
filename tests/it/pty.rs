//! The dashboard on a real terminal: it comes up, it obeys, and whatever ends it, the terminal is as it was before.

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};

use crate::cli::Place;

/// How long anything may take; a machine that runs other things is slow, and a hang must still end.
const PATIENCE: Duration = Duration::from_secs(30);

/// One program on a terminal of its own, watched by a terminal emulator.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    // Kept open, so that the terminal's settings can be read after the program has ended.
    _slave: Box<dyn SlavePty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    reads: Arc<AtomicBool>,
    before: String,
}

struct Seen {
    parser: vt100::Parser,
    bytes: usize,
    /// All of it, as far as a test of seconds goes.
    raw: Vec<u8>,
}

impl Terminal {
    /// Starts the program itself.
    pub fn start(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_rounds"));
        command.args(arguments);
        Self::spawn(place, command, variables)
    }

    fn spawn(place: &Place, mut command: CommandBuilder, variables: &[(&str, &str)]) -> Self {
        command.env_clear();
        let home = place.path().join("home");
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", &home);
        command.env("XDG_CONFIG_HOME", home.join(".config"));
        command.env("XDG_STATE_HOME", home.join(".state"));
        command.env("LANG", "C.UTF-8");
        command.env("TERM", "xterm-256color");
        for (name, value) in variables {
            command.env(name, value);
        }
        command.cwd(place.path().join("work"));
        let pair = native_pty_system().openpty(PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 }).unwrap();
        let before = settings(&*pair.master);
        let child = pair.slave.spawn_command(command).unwrap();
        let mut output = pair.master.try_clone_reader().unwrap();
        let seen = Arc::new(Mutex::new(Seen { parser: vt100::Parser::new(nonzero(24), nonzero(80), 0), bytes: 0, raw: Vec::new() }));
        let reads = Arc::new(AtomicBool::new(true));
        let (into, may_read) = (Arc::clone(&seen), Arc::clone(&reads));
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            loop {
                while !may_read.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                match output.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(count) => {
                        let mut seen = into.lock().unwrap();
                        seen.bytes += count;
                        if seen.raw.len() < 8 << 20 {
                            seen.raw.extend_from_slice(&buffer[..count]);
                        }
                        seen.parser.process(&buffer[..count]);
                    }
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: pair.master, _slave: pair.slave, child, keys, seen, reads, before }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.process_id().unwrap().try_into().unwrap()), signal).unwrap();
    }

    pub fn text(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    /// Everything that was written so far.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().raw).into_owned()
    }

    pub fn process(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    fn bytes(&self) -> usize {
        self.seen.lock().unwrap().bytes
    }

    /// Waits until the screen is as wanted.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let begun = Instant::now();
        while !wanted(self.seen.lock().unwrap().parser.screen()) {
            assert!(begun.elapsed() < PATIENCE, "{what} did not come; the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn wait_for_text(&self, text: &str) {
        self.wait_for(text, |screen| screen.contents().contains(text));
    }

    /// Waits until the dashboard is on the screen.
    pub fn wait_for_dashboard(&self) {
        self.wait_for("the dashboard", |screen| screen.alternate_screen() && !screen.contents().trim().is_empty());
    }

    /// Waits for the end and gives the exit code.
    pub fn end(&mut self) -> u32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(begun.elapsed() < PATIENCE, "it did not end; the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The terminal is as it was before the program began.
    fn assert_restored(&self) {
        self.wait_for("the ordinary screen", |screen| !screen.alternate_screen());
        assert_eq!(settings(&*self.master), self.before, "the terminal's settings are not what they were");
        let seen = self.seen.lock().unwrap();
        let screen = seen.parser.screen();
        assert!(!screen.hide_cursor(), "the cursor stays hidden");
        assert!(!screen.bracketed_paste(), "bracketed paste stays on");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse stays taken");
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.seen.lock().unwrap().parser.screen_mut().set_size(nonzero(rows), nonzero(columns));
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.reads.store(true, Ordering::SeqCst);
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn nonzero(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

/// The settings as text: all flags and control characters.
fn settings(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().unwrap())
}

/// A configuration with which there is a dashboard, and nothing is looked at.
fn configured(place: &Place, more: &str) {
    std::fs::write(place.path().join("work/rounds.toml"), format!("{more}\n[site.shop]\ntitle = \"Shop\"\n")).unwrap();
}

#[test]
fn it_starts_on_the_alternate_screen_and_leaves_it_by_q_and_by_ctrl_c() {
    for key in ["q", "\u{3}"] {
        let place = Place::new();
        configured(&place, "[ui]\nmouse = true\n");
        let mut terminal = Terminal::start(&place, &[], &[]);
        terminal.wait_for_dashboard();
        terminal.wait_for("the mouse", |screen| screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None);
        assert_ne!(settings(&*terminal.master), terminal.before, "raw mode is not on");
        terminal.wait_for_text("attention");
        terminal.press(key);
        assert_eq!(terminal.end(), 0);
        terminal.assert_restored();
    }
}

#[test]
fn without_a_configuration_it_says_so_and_writes_nothing() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_text("Nothing is watched yet");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
    assert!(is_empty(&place.path().join("home")) && is_empty(&place.path().join("work")));
}

/// A project that is told from its files.
fn project(place: &Place) {
    let work = place.path().join("work");
    std::fs::create_dir(work.join("shop")).unwrap();
    std::fs::write(work.join("manage.py"), "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nopen('ran', 'w')\n").unwrap();
    std::fs::write(work.join("shop/settings.py"), "ALLOWED_HOSTS = ['shop.example']\nopen('ran', 'w')\n").unwrap();
    std::fs::write(work.join("requirements.txt"), "Django==5.2\n").unwrap();
}

#[test]
fn in_a_project_the_first_screen_writes_a_configuration_and_starts_on_it() {
    let place = Place::new();
    project(&place);
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_text("a Django project");
    terminal.wait_for_text("https://shop.example");
    let written = place.path().join("work/rounds.toml");
    assert!(!written.exists() && is_empty(&place.path().join("home")), "something was written before a key");
    // Down and up again, and the first choice by Enter.
    terminal.press("j");
    terminal.press("k");
    terminal.press("\r");
    terminal.wait_for_text("attention");
    terminal.wait_for_text("shop");
    assert!(std::fs::read_to_string(&written).unwrap().contains("[site.shop.http.home]"));
    assert!(!place.path().join("work/ran").exists(), "the project was run");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

#[test]
fn a_first_screen_that_cannot_write_says_so_and_stays() {
    let place = Place::new();
    project(&place);
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_text("a Django project");
    // The folder is gone, and nothing can be written into it.
    std::fs::remove_dir_all(place.path().join("work")).unwrap();
    terminal.press("i");
    terminal.wait_for_text("name the directory of a project");
    terminal.wait_for_text("Nothing is watched yet");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

#[test]
fn the_first_screen_leads_to_the_demonstration_and_to_the_manual() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_text("does not look like a project");
    terminal.press("\r");
    terminal.wait_for_text("blog.localhost");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();

    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_text("Nothing is watched yet");
    terminal.press("h");
    terminal.wait_for("the manual", |screen| screen.alternate_screen() && screen.contents().contains("Usage: rounds"));
    terminal.press("G");
    terminal.wait_for("its end", |screen| !screen.contents().contains("Usage: rounds [") && screen.contents().contains("the manual"));
    // Keys of the choices mean nothing to a reader, and leaving it leads back.
    terminal.press("i");
    terminal.press("q");
    terminal.wait_for_text("Nothing is watched yet");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
    assert!(is_empty(&place.path().join("home")) && is_empty(&place.path().join("work")));
}

#[test]
fn remapped_keys_act_and_are_shown_and_a_conflict_is_told_with_its_place() {
    let place = Place::new();
    configured(&place, "[keys]\nwhy = \"Y\"\nhelp = [\"H\"]\nquit = \"Q\"\n");
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_text("H help");
    terminal.wait_for_text("Y why?");
    // The old key is taken away, the new one leads to the help, which shows it too.
    terminal.press("?q");
    terminal.press("H");
    terminal.wait_for_text("keys of attention");
    terminal.wait_for("the remapped key in the help", |screen| screen.contents().lines().any(|line| line.contains(" Y ") && line.contains("why")));
    terminal.press("\u{1b}");
    terminal.wait_for("the page again", |screen| !screen.contents().contains("keys of attention"));
    terminal.press("Q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();

    configured(&place, "[keys]\nsort = \"j\"\nacknowlege = \"a\"\n");
    let mut terminal = Terminal::start(&place, &[], &[]);
    assert_eq!(terminal.end(), 64);
    terminal.wait_for_text("did you mean `acknowledge`?");
    terminal.wait_for_text("rounds.toml:3:1");
    configured(&place, "[keys]\nsort = \"j\"\n");
    let mut terminal = Terminal::start(&place, &[], &[]);
    assert_eq!(terminal.end(), 64);
    terminal.wait_for_text("the key j is bound to both down and sort");
    terminal.wait_for_text("rounds.toml:2:1");
}

#[test]
fn the_terminals_background_is_asked_for_after_the_first_frame_and_its_answer_is_no_key() {
    let place = Place::new();
    configured(&place, "");
    let mut terminal = Terminal::start(&place, &[], &[("COLORTERM", "truecolor")]);
    terminal.wait_for_text("? help");
    // The key of the current page is accent: palette colour 6 on dark, 4 on light.
    let colour_of_keys = |screen: &vt100::Screen| {
        let row = screen.rows(0, 80).position(|row| row.contains("? help")).unwrap_or(0);
        let column =
            screen.rows(0, 80).nth(row).and_then(|text| text.chars().collect::<Vec<_>>().windows(6).position(|six| six.iter().collect::<String>() == "? help"));
        screen.cell(row as u16, column.unwrap_or(0) as u16).map(vt100::Cell::fgcolor)
    };
    terminal.wait_for("the colours for dark", |screen| colour_of_keys(screen) == Some(vt100::Color::Idx(6)));
    // As a terminal answers, with a key before and after it. Each of its letters would be a command.
    terminal.press("2\u{1b}]11;rgb:fdfd/fdfd/fbfb\u{7}");
    terminal.wait_for("the colours for light", |screen| colour_of_keys(screen) == Some(vt100::Color::Idx(4)));
    terminal.wait_for_text("health");
    terminal.press("1");
    terminal.wait_for_text("attention");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

#[test]
fn a_copy_goes_to_the_terminals_clipboard() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &["demo"], &[]);
    terminal.wait_for_text("CRIT");
    terminal.press("2");
    terminal.wait_for_text("endpoints");
    terminal.press("y");
    let begun = Instant::now();
    let copied = loop {
        let raw = String::from_utf8_lossy(&terminal.seen.lock().unwrap().raw).into_owned();
        let sent = raw.split_once("\u{1b}]52;c;").and_then(|(_, rest)| rest.split_once(['\u{7}', '\u{1b}']));
        if let Some((text, _)) = sent {
            break text.to_owned();
        }
        assert!(begun.elapsed() < PATIENCE, "nothing was copied; the screen:\n{}", terminal.text());
        std::thread::sleep(Duration::from_millis(10));
    };
    let copied = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, copied).unwrap();
    let copied = String::from_utf8(copied).unwrap();
    // What was copied is also shown.
    assert!(!copied.is_empty() && !copied.contains('\u{1b}'), "{copied:?}");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn an_editor_gets_the_terminal_for_a_frame_and_gives_it_back() {
    let place = Place::new();
    let work = place.path().join("work");
    std::fs::create_dir(work.join("orders")).unwrap();
    std::fs::write(work.join("orders/views.py"), "def checkout(n):\n    total = 1\n    return total / n\n").unwrap();
    let traceback = "2026-11-20 03:12:01,123 ERROR django.request: Internal Server Error: /checkout/\nTraceback (most recent call last):\n  \
                     File \"/srv/app/orders/views.py\", line 3, in checkout\n    return total / n\nZeroDivisionError: division by zero\n";
    std::fs::write(work.join("app.log"), traceback).unwrap();
    std::fs::write(work.join("rounds.toml"), "[site.shop]\ntitle = \"Shop\"\ndirectory = \".\"\n[site.shop.log.app]\npath = \"app.log\"\n").unwrap();
    let editor = work.join("editor");
    std::fs::write(&editor, "#!/bin/sh\necho \"editing $1 $2\"\nread line\necho \"$line\" > typed\n").unwrap();
    std::fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut terminal = Terminal::start(&place, &[], &[("EDITOR", editor.to_str().unwrap())]);
    terminal.wait_for_dashboard();
    terminal.press("3");
    terminal.wait_for_text("ZeroDivisionError");
    terminal.press("\r");
    terminal.wait_for_text("orders/views.py:3");
    // The frames are walked once the example was read from the journal.
    terminal.wait_for_text("no cause, no chained exception");
    for _ in 0..2 {
        let _ = std::fs::remove_file(work.join("orders/typed"));
        terminal.press("\r");
        terminal.wait_for("the editor", |screen| !screen.alternate_screen() && screen.contents().contains("orders/views.py"));
        assert!(terminal.text().contains("editing +3"), "{}", terminal.text());
        assert_eq!(settings(&*terminal.master), terminal.before, "the editor has another terminal than the shell had");
        // All of it is the editor's: each of its letters would be a command. Ctrl-Z does not strand it where no shell could continue it.
        terminal.press("\u{1a}");
        std::thread::sleep(Duration::from_millis(300));
        terminal.press("q2j\r");
        terminal.wait_for("the dashboard again", |screen| screen.alternate_screen() && screen.contents().contains("views.py:3"));
        assert_eq!(std::fs::read_to_string(work.join("orders/typed")).unwrap(), "q2j\n");
    }
    // Keys are ours again.
    terminal.press("1");
    terminal.wait_for_text("attention");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

#[test]
fn read_only_says_so_and_binds_nothing_that_acts() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &["demo", "--read-only"], &[]);
    terminal.wait_for_text("READ-ONLY");
    terminal.wait_for_text("CRIT");
    assert!(!terminal.text().contains("a ack"), "{}", terminal.text());
    // Were a prompt open, the digit would be text in it.
    for key in ["a", "s", "u"] {
        terminal.press(key);
        terminal.press("2");
        terminal.wait_for_text("health");
        terminal.press("1");
        terminal.wait_for_text("attention");
    }
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn a_signal_that_ends_it_gives_the_terminal_back() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGINT, 130), (Signal::SIGQUIT, 131)] {
        let place = Place::new();
        configured(&place, "");
        let mut terminal = Terminal::start(&place, &[], &[]);
        terminal.wait_for_dashboard();
        terminal.signal(signal);
        assert_eq!(terminal.end(), code, "{signal}");
        terminal.assert_restored();
    }
}

#[test]
fn a_mistake_gives_the_terminal_back_before_it_is_told_and_is_no_success() {
    let place = Place::new();
    configured(&place, "");
    let mut terminal = Terminal::start(&place, &[], &[("ROUNDS_TEST_PANIC", "1")]);
    terminal.wait_for_dashboard();
    terminal.press("j");
    assert_eq!(terminal.end(), 70);
    terminal.assert_restored();
    // Told on the ordinary screen, where it stays.
    terminal.wait_for_text("ROUNDS_TEST_PANIC");
}

#[test]
fn a_new_size_is_drawn_at_once() {
    let place = Place::new();
    configured(&place, "");
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_dashboard();
    terminal.wait_for_text("? help");
    for (columns, rows) in [(120, 40), (40, 10), (60, 15), (30, 5), (80, 24)] {
        terminal.resize(columns, rows);
        let needed = columns >= 40;
        terminal.wait_for("the new size", |screen| {
            if needed {
                // The last row is the footer again, at the new place.
                screen.rows(0, columns).last().is_some_and(|row| row.contains("? help"))
            } else {
                screen.contents().contains("needs 40x10")
            }
        });
    }
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

#[test]
fn ctrl_z_stops_it_and_fg_brings_it_back() {
    let place = Place::new();
    configured(&place, "");
    let mut shell = CommandBuilder::new("/bin/sh");
    // A shell with job control, as a person has one.
    shell.args(["-c", "set -m; \"$0\"; echo stopped with $?; read line; fg; echo ended with $?", env!("CARGO_BIN_EXE_rounds")]);
    let mut terminal = Terminal::spawn(&place, shell, &[]);
    terminal.wait_for_dashboard();
    terminal.press("\u{1a}");
    terminal.wait_for_text("stopped with");
    terminal.assert_restored();
    terminal.press("\n");
    terminal.wait_for_dashboard();
    terminal.wait_for_text("? help");
    terminal.press("q");
    terminal.wait_for_text("ended with 0");
    terminal.end();
    terminal.assert_restored();
}

#[test]
fn where_nobody_could_continue_it_ctrl_z_does_not_stop_it() {
    let place = Place::new();
    configured(&place, "");
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_dashboard();
    terminal.press("\u{1a}");
    terminal.wait_for_text("goes on");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

#[test]
fn a_terminal_that_does_not_read_keeps_nothing_from_ending() {
    let place = Place::new();
    configured(&place, "");
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_dashboard();
    terminal.reads.store(false, Ordering::SeqCst);
    // Whole repaints until the terminal's buffers are full.
    for _ in 0..200 {
        terminal.press("\u{c}");
        std::thread::sleep(Duration::from_millis(2));
    }
    terminal.signal(Signal::SIGTERM);
    assert_eq!(terminal.end(), 143);
    assert_eq!(settings(&*terminal.master), terminal.before, "the terminal's settings are not what they were");
}

#[test]
fn nothing_new_means_nothing_sent() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &[], &[]);
    terminal.wait_for_text("Nothing is watched yet");
    std::thread::sleep(Duration::from_millis(500));
    let before = terminal.bytes();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(terminal.bytes(), before);
    // A key that changes nothing sends nothing either.
    terminal.press("x");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(terminal.bytes(), before);
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

#[test]
fn the_demonstration_polls_real_servers_and_shows_what_they_say() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &["demo", "--keep", "kept"], &[]);
    terminal.wait_for_text("blog.localhost");
    terminal.press("2");
    terminal.wait_for_text("search");
    terminal.press("4");
    terminal.wait_for_text("GET /");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
    // What was seen is known to the next process, without looking.
    let (config, state) = (place.path().join("work/kept/rounds.toml"), place.path().join("work/kept/state"));
    let said = crate::cli::stdout(&place.run(&["--config", config.to_str().unwrap(), "--state-dir", state.to_str().unwrap(), "status", "--line"]));
    assert!(said.contains("blog") && said.contains('▲') || said.contains('✖'), "{said}");
    assert!(is_empty(&place.path().join("home")), "the user's own state was touched");
}
