//! Actions from the key to the record: on the dashboard, from the command line, in the journal that people share.

use std::fs;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use rounds::actions::StepState;
use rounds::app::dashboard::Dashboard;
use rounds::app::initial_state;
use rounds::config::{self, Config, trust::Standing};
use rounds::demo::{Options, Site};
use rounds::domain::{ActionEnd, Timestamp, TransitionKind};
use rounds::journal::read_snapshot;
use rounds::state::{Effect, Msg, Overlay};
use rounds::ui::keymap::Keymap;
use rounds::ui::theme::Theme;

use crate::cli::{Place, code, run, stderr, stdout};

const TEXT: &str = r#"
[site.shop]
environment = "production"

[site.shop.http.home]
url = "http://127.0.0.1:9/"
every = "1h"

[site.shop.action.hello]
run = ["sh", "-c", "echo hello; echo $DEPLOY_TOKEN; touch done"]
env = { DEPLOY_TOKEN = { file = "token" } }
key = "H"
after = "action/again"

[site.shop.action.again]
run = ["sh", "-c", "echo again"]

[site.shop.action.fails]
run = ["sh", "-c", "echo oh >&2; exit 7"]

[site.shop.action.danger]
title = "Drop it"
run = ["touch", "dropped"]
dangerous = true

[site.shop.action.asks]
run = ["echo", "<{prompt}>"]
prompt = "what?"

[site.shop.action.slow]
run = ["sleep", "300"]
"#;

fn config(standing: Standing) -> Config {
    config::parse(TEXT.as_bytes(), Some("/nowhere/rounds.toml".as_ref()), standing, &|_| None).unwrap().config
}

struct Seat {
    dashboard: Dashboard,
    terminal: Terminal<TestBackend>,
    now: Timestamp,
}

impl Seat {
    fn new(config: &Config, read_only: bool) -> Self {
        let mut state = initial_state(config);
        state.view.size = (80, 24);
        state.view.person = "ana".to_owned();
        state.view.read_only = read_only;
        let keymap = Keymap::default().with_actions(config.actions.iter().filter_map(|action| action.spec.key.as_deref()));
        let mut seat = Self {
            dashboard: Dashboard::new(state, Theme::default(), keymap),
            terminal: Terminal::new(TestBackend::new(80, 24)).unwrap(),
            now: Timestamp::from_timestamp(1_795_000_000, 0).unwrap(),
        };
        seat.screen();
        seat
    }

    fn press(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
        self.now += chrono::TimeDelta::milliseconds(200);
        let effects = self.dashboard.input(&Event::Key(KeyEvent::new(code, modifiers)), self.now);
        self.screen();
        effects
    }

    fn keys(&mut self, text: &str) -> Vec<Effect> {
        text.chars().flat_map(|c| self.press(KeyCode::Char(c), KeyModifiers::NONE)).collect()
    }

    fn enter(&mut self) -> Vec<Effect> {
        self.press(KeyCode::Enter, KeyModifiers::NONE)
    }

    fn take(&mut self, msg: Msg) -> Vec<Effect> {
        self.now += chrono::TimeDelta::milliseconds(200);
        self.dashboard.take(msg, self.now)
    }

    fn screen(&mut self) -> String {
        self.dashboard.draw(&mut self.terminal, self.now).unwrap();
        self.terminal.backend().to_string()
    }

    fn shows(&mut self, text: &str) {
        let screen = self.screen();
        assert!(screen.contains(text), "\"{text}\" is not on the screen:\n{screen}");
    }

    fn overlay(&self) -> Option<&Overlay> {
        self.dashboard.state.view.overlay.as_ref()
    }
}

fn runs(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::RunAction(_))).count()
}

#[test]
fn a_plain_action_runs_by_enter_and_by_no_other_key() {
    let mut seat = Seat::new(&config(Standing::Trusted), false);
    assert_eq!(runs(&seat.keys("x")), 0);
    seat.shows("hello");
    assert_eq!(runs(&seat.enter()), 0);
    seat.shows("runs");
    seat.shows("as ana   at most 5 m");
    seat.shows("DEPLOY_TOKEN");
    seat.shows("action/again");
    assert_eq!(runs(&seat.keys("yYj ")), 0);
    assert!(matches!(seat.overlay(), Some(Overlay::Confirm { .. })));
    let effects = seat.enter();
    // It is recorded before it is run.
    let kept = effects.iter().position(|effect| matches!(effect, Effect::KeepTransition(_))).unwrap();
    let began = effects.iter().position(|effect| matches!(effect, Effect::RunAction(_))).unwrap();
    assert!(kept < began, "{effects:?}");
    let Effect::RunAction(order) = &effects[began] else { unreachable!() };
    let run = order.run.clone();
    seat.take(Msg::ActionStep { run: run.clone(), step: 0, state: StepState::Running });
    seat.take(Msg::ActionOutput { run: run.clone(), lines: vec!["hello \u{1b}[31mred".to_owned()], dropped: 0 });
    seat.shows("hello");
    // Left running: the footer says so, and x brings it back.
    seat.press(KeyCode::Esc, KeyModifiers::NONE);
    assert_eq!(seat.overlay(), None);
    seat.shows("1 running");
    // Leaving would stop it, so it is asked for twice.
    assert_eq!(seat.keys("q"), []);
    seat.shows("leaving stops it");
    seat.keys("x");
    seat.enter();
    assert!(matches!(seat.overlay(), Some(Overlay::Output { .. })));
    // Ctrl-c asks, Enter stops.
    assert_eq!(seat.press(KeyCode::Char('c'), KeyModifiers::CONTROL), []);
    seat.shows("Stop it");
    assert_eq!(seat.enter(), [Effect::StopAction(run.clone())]);
    let effects = seat.take(Msg::ActionEnded { run: run.clone(), end: ActionEnd { ok: true, words: "exit 0".into(), took_ms: 400 } });
    let ended = |effect: &Effect| matches!(effect, Effect::KeepTransition(t) if matches!(&t.kind, TransitionKind::Action { ended: Some(end), .. } if end.ok));
    assert!(effects.iter().any(ended), "{effects:?}");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Poll(_))), "what it was about is looked at again: {effects:?}");
    assert_eq!(runs(&effects), 1, "what follows it begins");
    // Told twice, it ends once.
    assert_eq!(seat.take(Msg::ActionEnded { run, end: ActionEnd { ok: true, words: "exit 0".into(), took_ms: 400 } }), []);
    // The list that the output came from comes back first.
    seat.press(KeyCode::Esc, KeyModifiers::NONE);
    assert!(matches!(seat.overlay(), Some(Overlay::Actions { .. })));
    seat.press(KeyCode::Esc, KeyModifiers::NONE);
    seat.keys("@");
    seat.shows("what rounds ran");
    seat.shows("exit 0");
}

#[test]
fn a_dangerous_one_in_production_wants_the_whole_name() {
    let mut seat = Seat::new(&config(Standing::Trusted), false);
    seat.keys("x");
    seat.keys("jjj");
    seat.enter();
    seat.shows("Type the name of the site");
    assert_eq!(runs(&seat.enter()), 0);
    for text in ["y", "es"] {
        seat.keys(text);
        assert_eq!(runs(&seat.enter()), 0);
    }
    for _ in 0..3 {
        seat.press(KeyCode::Backspace, KeyModifiers::NONE);
    }
    seat.keys("sho");
    assert_eq!(runs(&seat.enter()), 0);
    seat.keys("p");
    assert_eq!(runs(&seat.enter()), 1);
}

#[test]
fn a_key_of_its_own_asks_too_and_read_only_knows_neither() {
    let mut seat = Seat::new(&config(Standing::Trusted), false);
    assert_eq!(runs(&seat.keys("H")), 0);
    assert!(matches!(seat.overlay(), Some(Overlay::Confirm { .. })));
    let mut seat = Seat::new(&config(Standing::Trusted), true);
    seat.keys("Hx");
    assert_eq!(seat.overlay(), None);
    assert!(!seat.screen().contains("actions"));
    seat.keys(":hello");
    assert_eq!(runs(&seat.enter()), 0);
    assert_eq!(seat.overlay(), None);
}

#[test]
fn an_answer_is_asked_for_and_shown_in_its_place() {
    let mut seat = Seat::new(&config(Standing::Trusted), false);
    seat.keys(":asks");
    seat.enter();
    seat.shows("what?");
    assert_eq!(runs(&seat.enter()), 0);
    seat.keys("v1; rm");
    assert_eq!(runs(&seat.enter()), 0);
    seat.shows("<v1; rm>");
    let effects = seat.enter();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::RunAction(order) if order.answer.as_deref() == Some("v1; rm"))), "{effects:?}");
}

#[test]
fn a_configuration_that_is_not_trusted_runs_nothing_and_says_why() {
    let mut seat = Seat::new(&config(Standing::Never), false);
    seat.keys("x");
    seat.shows("rounds trust /nowhere/rounds.toml");
    for _ in 0..3 {
        assert_eq!(runs(&seat.enter()), 0);
    }
    seat.press(KeyCode::Esc, KeyModifiers::NONE);
    seat.keys("H");
    assert_eq!(runs(&seat.enter()), 0);
    seat.shows("rounds trust");
}

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path().join("work/r.toml"), TEXT).unwrap();
    fs::write(place.path().join("work/token"), "hush-hush-token\n").unwrap();
    place
}

fn act(place: &Place, more: &[&str]) -> std::process::Output {
    let state = place.path().join("state");
    run(place.command().args(["--config", "r.toml", "--state-dir"]).arg(state).arg("act").args(more))
}

#[test]
fn from_a_shell_it_is_run_recorded_and_its_end_is_the_exit_code() {
    let place = place();
    let output = act(&place, &["shop/action/hello", "--yes"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert_eq!(stdout(&output), "hello\n••••••••\nagain\n");
    assert!(place.path().join("work/done").exists());
    assert_eq!(code(&act(&place, &["fails", "--yes"])), 1);
    let output = act(&place, &["asks", "--yes", "--answer", "a b"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "<a b>\n"));
    // Dangerous, in production: the name of the site.
    for (more, expected) in [(&["danger"][..], 64), (&["danger", "--yes"], 64), (&["danger", "--yes=blog"], 64), (&["danger", "--yes=shop"], 0)] {
        assert!(!place.path().join("work/dropped").exists(), "{more:?}");
        let output = act(&place, more);
        assert_eq!(code(&output), expected, "{more:?}: {output:?}");
        assert!(expected == 0 || stderr(&output).contains("--yes=shop") || stderr(&output).contains("is not the site"), "{output:?}");
    }
    for (more, said) in [
        (&["hello"][..], "no terminal"),
        (&["nothing", "--yes"], "there is no action \"nothing\""),
        (&["asks", "--yes"], "give --answer"),
        (&["hello", "--yes", "--read-only"], "read-only"),
    ] {
        let output = act(&place, more);
        assert!(code(&output) == 64 && stderr(&output).contains(said), "{more:?}: {output:?}");
    }
    let known = read_snapshot(&place.path().join("state")).unwrap();
    let told: Vec<&str> =
        known.events.iter().filter(|event| matches!(event.kind, TransitionKind::Action { .. })).map(|event| event.sentence.as_str()).collect();
    assert_eq!(told.len(), 10, "a beginning and an end of each of five: {told:?}");
    assert!(told[5].ends_with("exit 7"), "{told:?}");
    // The secret is nowhere in what was kept.
    for file in fs::read_dir(place.path().join("state")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(9).any(|part| part == b"hush-hush"));
    }
}

#[test]
fn an_untrusted_configuration_runs_nothing_from_a_shell() {
    let place = place();
    fs::rename(place.path().join("work/r.toml"), place.path().join("work/rounds.toml")).unwrap();
    let output = place.run(&["act", "hello", "--yes"]);
    assert!(code(&output) == 64 && stderr(&output).contains("rounds trust"), "{output:?}");
    assert!(!place.path().join("work/done").exists());
    assert_eq!(code(&place.run(&["trust"])), 0);
    assert_eq!(code(&place.run(&["act", "hello", "--yes"])), 0);
}

#[test]
fn two_people_at_once_are_both_recorded_and_a_signal_stops_what_it_started() {
    let place = place();
    let start = || {
        let mut command = place.command();
        command.args(["--config", "r.toml", "--state-dir"]).arg(place.path().join("state")).args(["act", "slow", "--yes"]);
        command.spawn().unwrap()
    };
    let mut both = [start(), start()];
    let begun = |wanted: usize| {
        (0..600).any(|_| {
            let known = read_snapshot(&place.path().join("state")).unwrap_or_default();
            let count = known.events.iter().filter(|event| matches!(event.kind, TransitionKind::Action { .. })).count();
            if count < wanted {
                std::thread::sleep(Duration::from_millis(50));
            }
            count >= wanted
        })
    };
    assert!(begun(2), "both beginnings are recorded while both run");
    for child in &both {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()), nix::sys::signal::Signal::SIGTERM).unwrap();
    }
    for child in &mut both {
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }
    assert!(begun(4), "both ends are recorded");
}

/// The demonstration's action, run as its key would, cures its trouble.
#[tokio::test]
async fn the_action_of_the_demonstration_cures_its_trouble() {
    let site = Site::temporary(Options { begin: Duration::from_secs(25), ..Options::default() }).unwrap();
    let path = site.config_path();
    let config = config::parse(&fs::read(&path).unwrap(), Some(&path), Standing::Trusted, &|_| None).unwrap().config;
    let basket = config.sources.iter().find(|entry| entry.id.as_str() == "shop/http/basket").unwrap();
    let is_down = || async {
        let mut built = basket.config.build(&basket.context).unwrap();
        format!("{:?}", built.source.collect().await.unwrap().observations).contains("verdict: Down")
    };
    assert!(is_down().await);
    let rollback = config.actions.iter().find(|action| action.spec.id.name() == "rollback").unwrap();
    assert!(rollback.spec.dangerous && config.sites[0].environment.as_deref() == Some("production"));
    let order = rounds::actions::Order { action: rollback.spec.id.clone(), run: "r".into(), by: "ana".into(), answer: None, whole: true };
    let mut lines = Vec::new();
    let end = rounds::actions::runner::run(rollback, &order, &tokio_util::sync::CancellationToken::new(), |progress| {
        if let rounds::actions::Progress::Output(told, _) = progress {
            lines.extend(told);
        }
        true
    })
    .await;
    assert!(end.ok && lines.last().is_some_and(|line| line == "shop runs v213"), "{end:?} {lines:?}");
    // By itself it would be cured at 50 s of the story, which is 25 s away.
    let begun = std::time::Instant::now();
    while is_down().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "the roll back does not cure it");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_configuration_of_a_working_directory_runs_no_command_of_any_kind() {
    let place = Place::new();
    let ran = place.path().join("ran");
    fs::create_dir(&ran).unwrap();
    let touch = |name: &str| format!("[\"touch\", \"{}\"]", ran.join(name).display());
    let text = format!(
        "[site.shop]\n\
         [site.shop.http.home]\nurl = \"http://127.0.0.1:1/\"\nbearer = {{ command = {} }}\n\
         [site.shop.http.proxied]\nurl = \"http://127.0.0.1:1/\"\nproxy = {{ command = {} }}\n\
         [site.shop.http.headed]\nurl = \"http://127.0.0.1:1/\"\nheaders = {{ x-key = {{ command = {} }} }}\n\
         [site.shop.sentry.backend]\nurl = \"http://127.0.0.1:1/\"\norganization = \"acme\"\nproject = \"shop\"\ntoken = {{ command = {} }}\n\
         [site.shop.log.app]\ncommand = {}\n\
         [site.shop.files.dump]\npath = \"*.sql\"\ncommand = {}\n\
         [site.shop.python.app]\nmanifest = \"requirements.txt\"\nindex = {{ command = {} }}\n\
         [site.shop.action.deploy]\nrun = {}\nenv = {{ TOKEN = {{ command = {} }} }}\n",
        touch("bearer"),
        touch("proxy"),
        touch("header"),
        touch("token"),
        touch("log"),
        touch("files"),
        touch("index"),
        touch("action"),
        touch("variable"),
    );
    fs::write(place.path().join("work/rounds.toml"), &text).unwrap();
    fs::write(place.path().join("work/requirements.txt"), "django==5.2\n").unwrap();
    for arguments in [
        &["check"][..],
        &["check", "--json"],
        &["errors"],
        &["logs"],
        &["deps"],
        &["backups"],
        &["doctor"],
        &["config", "check"],
        &["config", "show"],
        &["status", "--line"],
        &["act", "deploy", "--yes"],
    ] {
        let output = place.run(arguments);
        let left: Vec<_> = fs::read_dir(&ran).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{arguments:?} ran {left:?}: {output:?}");
    }
    // A dashboard and a wall neither.
    for arguments in [&[][..], &["--wall"]] {
        let mut terminal = crate::pty::Terminal::start(&place, arguments, &[]);
        terminal.wait_for_dashboard();
        terminal.wait_for("the sources", |screen| screen.contents().contains("not known") || screen.contents().contains("may not run commands"));
        terminal.press("q");
        assert_eq!(terminal.end(), 0);
    }
    assert_eq!(fs::read_dir(&ran).unwrap().count(), 0);
    // Trusted it would: what was looked for can be found.
    assert_eq!(code(&place.run(&["trust"])), 0);
    place.run(&["check"]);
    for name in ["bearer", "proxy", "header", "log", "files", "index"] {
        assert!(ran.join(name).exists(), "{name} would never have run");
    }
}
