//! Actions on the screen: the list, the confirmation, what a run prints, and the command log.

use crate::actions::{ActionSpec, Show, StepState, audit};
use crate::domain::{ActionEnd, SourceId};
use crate::state::update::update;
use crate::state::{Command, Msg, Overlay, Page, State};
use crate::ui::fixture::{ago, id, mono, now, plain, rich, rows, screen, story};
use crate::ui::tests::{SIZES, snapshot};

fn spec(name: &str, title: &str, steps: &[&str]) -> ActionSpec {
    ActionSpec {
        id: SourceId::parse(&format!("shop/action/{name}")).unwrap(),
        title: title.to_owned(),
        scope: vec![],
        steps: steps.iter().map(|step| step.split(' ').map(str::to_owned).collect()).collect(),
        prompt: None,
        confirm: None,
        dangerous: false,
        timeout: std::time::Duration::from_secs(900),
        directory: "/srv/shop".to_owned(),
        env: vec![],
        after: vec![],
        output: Show::Show,
        key: None,
        poll: vec![id("shop/http/basket")],
        polls: "http/*".to_owned(),
        runbook: None,
    }
}

/// The story with three actions.
fn acting() -> State {
    let mut state = story();
    let mut rollback =
        spec("rollback", "roll back shop to v213", &["git checkout v213", "pip install -r requirements.txt", "systemctl reload web1", "systemctl reload web2"]);
    rollback.dangerous = true;
    rollback.scope = vec!["http".to_owned()];
    rollback.confirm = Some("web1, web2: v214 to v213; undone by a deploy".to_owned());
    rollback.key = Some("D".to_owned());
    let deploy = spec("deploy", "deploy", &["fab prod deploy --ref {prompt}"]);
    let deploy = ActionSpec { prompt: Some("which version?".to_owned()), after: vec![rollback.id.clone()], env: vec!["DEPLOY_TOKEN".to_owned()], ..deploy };
    state.world.actions = vec![spec("restart", "restart the workers", &["supervisorctl restart all"]), deploy, rollback];
    // The first action is the one that belongs to what is selected; what is selected is what was drawn.
    state.view.list_mut().selected = Some("shop/http/basket#availability".to_owned());
    state.view.drawn = screen(&state, &rich(), 80, 24).1;
    state
}

fn press(state: &mut State, command: Command) -> Vec<crate::state::Effect> {
    update(state, Msg::Command(command), now())
}

fn type_in(state: &mut State, text: &str) {
    update(state, Msg::Paste(text.to_owned()), now());
}

/// Confirms the roll back and lets it print.
fn running() -> State {
    let mut state = acting();
    press(&mut state, Command::Actions);
    press(&mut state, Command::Enter);
    type_in(&mut state, "shop");
    let effects = press(&mut state, Command::Enter);
    assert!(effects.iter().any(|effect| matches!(effect, crate::state::Effect::RunAction(_))), "{effects:?}");
    let run = state.world.runs[0].id.clone();
    state.world.runs[0].record.at = ago(41);
    for (step, stands, at) in
        [(0, StepState::Running, 41), (0, StepState::Done, 40), (1, StepState::Running, 40), (1, StepState::Done, 14), (2, StepState::Running, 14)]
    {
        update(&mut state, Msg::ActionStep { run: run.clone(), step, state: stands }, ago(at));
    }
    let lines = (0..40).map(|n| format!("[web1] worker {} booted\u{1b}[31m", 20_840 + n)).chain(["[web1] token=••••••••".to_owned()]).collect();
    update(&mut state, Msg::ActionOutput { run, lines, dropped: 1_200 }, now());
    state
}

#[test]
fn actions_as_drawn() {
    let mut list = acting();
    press(&mut list, Command::Actions);
    let mut confirm = list.clone();
    press(&mut confirm, Command::Enter);
    type_in(&mut confirm, "sho");
    let mut plain_confirm = acting();
    plain_confirm.view.overlay = Some(Overlay::Confirm { action: id("shop/action/restart"), answer: None });
    let mut asking = acting();
    press(&mut asking, Command::Actions);
    press(&mut asking, Command::Down);
    press(&mut asking, Command::Down);
    press(&mut asking, Command::Enter);
    let output = running();
    let mut stopping = output.clone();
    press(&mut stopping, Command::Interrupt);
    let mut left = output.clone();
    press(&mut left, Command::Back);
    let mut log = left.clone();
    log.view.page = Page::Activity;
    let ended = audit::begun(&log.world.actions[0], log.world.actions[0].steps.clone(), "jon@1#0", "jon", ago(600));
    let ended = [ended.clone(), audit::ended(&ended, ActionEnd { ok: false, words: "exit 1".to_owned(), took_ms: 2_100 }, "restart", ago(598)).unwrap()];
    update(&mut log, Msg::Events(ended.to_vec()), now());
    let mut untrusted = list.clone();
    untrusted.world.untrusted = Some("/home/ana/shop/rounds.toml".to_owned());
    for (width, height) in [(80, 24), (120, 40)] {
        for (name, state) in [
            ("actions", &list),
            ("confirm", &confirm),
            ("confirm-plain", &plain_confirm),
            ("confirm-asking", &asking),
            ("output", &output),
            ("output-stopping", &stopping),
            ("left-running", &left),
            ("commands", &log),
            ("actions-untrusted", &untrusted),
        ] {
            snapshot(name, state, &rich(), width, height);
        }
    }
    // None of it breaks at any size, and in no theme is there anything that a terminal would act on.
    for state in [&list, &confirm, &plain_confirm, &asking, &output, &stopping, &left, &log, &untrusted] {
        for (width, height) in SIZES {
            for theme in [rich(), mono(), plain()] {
                let (buffer, _) = screen(state, &theme, width, height);
                for cell in buffer.content() {
                    assert!(!cell.symbol().chars().any(char::is_control));
                    assert!(!theme.ascii() || cell.symbol().is_ascii(), "{:?}\n{}", cell.symbol(), rows(&buffer).join("\n"));
                }
            }
        }
    }
}

#[test]
fn the_prompt_stays_in_sight_on_a_small_screen() {
    let mut state = acting();
    press(&mut state, Command::Actions);
    press(&mut state, Command::Enter);
    type_in(&mut state, "sho");
    for (width, height) in [(40, 10), (60, 15)] {
        let text = rows(&screen(&state, &rich(), width, height).0).join("\n");
        assert!(text.contains("▸ sho") && text.contains("Type the name") && text.contains("runs"), "{text}");
    }
}

/// Page 3 with what its tracker offers for the selected issue.
fn offering(marks: usize) -> State {
    use crate::sources::{Ask, Form, Offer};
    let mut state = acting();
    state.view.page = Page::Errors;
    state.view.drawn = screen(&state, &rich(), 80, 24).1;
    for _ in 0..marks {
        press(&mut state, Command::Mark);
    }
    let effects = press(&mut state, Command::Actions);
    let keys = effects.into_iter().find_map(|effect| if let crate::state::Effect::Offers(keys) = effect { Some(keys) } else { None }).unwrap();
    let offer = |id: &str, title: &str, asks: Vec<Ask>| Offer {
        asks,
        calls: "PUT https://sentry.example/api/0/organizations/acme/issues/".to_owned(),
        changes: "its state, new → resolved".to_owned(),
        undone: "opens it again; the tracker may call it ongoing then".to_owned(),
        ..Offer::new(id, title)
    };
    let offers = vec![
        offer("resolve", "resolve", vec![]),
        offer("archive_events", "archive until it came N times more", vec![Ask::new("events", "until it came how many times more?", Form::Count(1_000))]),
    ];
    update(&mut state, Msg::Offered(keys.into_iter().map(|key| (key, offers.clone())).collect()), now());
    state
}

#[test]
fn offers_as_drawn() {
    let list = offering(0);
    let mut confirm = offering(0);
    press(&mut confirm, Command::Enter);
    let mut several = offering(3);
    press(&mut several, Command::Enter);
    let mut asks = offering(0);
    press(&mut asks, Command::Down);
    press(&mut asks, Command::Enter);
    type_in(&mut asks, "many");
    press(&mut asks, Command::Enter);
    for (name, state) in [("offers", &list), ("offer-confirm", &confirm), ("offer-several", &several), ("offer-asks", &asks)] {
        snapshot(name, state, &rich(), 80, 24);
    }
    snapshot("offer-confirm", &confirm, &rich(), 40, 10);
    snapshot("offer-asks", &asks, &mono(), 60, 15);
    for (width, height) in SIZES {
        for state in [&list, &several, &asks] {
            screen(state, &plain(), width, height);
        }
    }
}
