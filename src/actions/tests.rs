//! Actions as they go wrong: hanging, flooding, forking, dying, missing; and what is masked.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::domain::{ActionEnd, SourceId, Timestamp};
use crate::io::secret::{Secret, SecretRef};

fn action(steps: &[&[&str]], directory: &Path) -> Action {
    let steps: Vec<Vec<String>> = steps.iter().map(|step| step.iter().map(|part| (*part).to_owned()).collect()).collect();
    let spec = ActionSpec {
        id: SourceId::parse("shop/action/test").unwrap(),
        title: "test".into(),
        scope: vec![],
        steps,
        prompt: None,
        confirm: None,
        dangerous: false,
        timeout: Duration::from_secs(60),
        directory: directory.display().to_string(),
        env: vec![],
        after: vec![],
        output: Show::Show,
        key: None,
        poll: vec![],
        polls: String::new(),
        runbook: None,
    };
    Action { spec, directory: directory.to_owned(), base: directory.to_owned(), env: vec![], known: vec![], redact: vec![] }
}

fn sh(script: &str, directory: &Path) -> Action {
    action(&[&["sh", "-c", script]], directory)
}

#[derive(Debug, Default)]
struct Told {
    lines: Vec<String>,
    dropped: u64,
    steps: BTreeMap<usize, StepState>,
    most: usize,
}

async fn run_with(action: &Action, stop: &CancellationToken, answer: Option<&str>) -> (ActionEnd, Told) {
    let order = Order { action: action.spec.id.clone(), run: "ana@0#0".into(), by: "ana".into(), answer: answer.map(str::to_owned), whole: false };
    let mut told = Told::default();
    let end = runner::run(action, &order, stop, |progress| {
        match progress {
            Progress::Step(at, state) => {
                told.steps.insert(at, state);
            }
            Progress::Output(lines, dropped) => {
                told.most = told.most.max(lines.len());
                told.lines.extend(lines);
                told.dropped += dropped;
            }
        }
        true
    })
    .await;
    (end, told)
}

async fn run(action: &Action) -> (ActionEnd, Told) {
    run_with(action, &CancellationToken::new(), None).await
}

/// Whether a process with this id still runs (a zombie does not).
fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

async fn is_gone(pid: &str) -> bool {
    for _ in 0..400 {
        if !alive(pid) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    false
}

#[tokio::test]
async fn steps_run_one_after_the_other_and_the_first_failure_ends_them() {
    let dir = tempfile::tempdir().unwrap();
    let (end, told) = run(&action(&[&["touch", "one"], &["ls"], &["sh", "-c", "echo bad >&2; exit 3"], &["touch", "two"]], dir.path())).await;
    assert_eq!((end.ok, end.words.as_str()), (false, "exit 3 in step 3 of 4"));
    assert!(told.lines.contains(&"one".to_owned()) && told.lines.contains(&"bad".to_owned()), "{told:?}");
    assert_eq!(told.steps.values().copied().collect::<Vec<_>>(), [StepState::Done, StepState::Done, StepState::Failed]);
    assert!(dir.path().join("one").exists() && !dir.path().join("two").exists());
    let (end, _) = run(&action(&[&["true"]], dir.path())).await;
    assert_eq!((end.ok, end.words.as_str()), (true, "exit 0"));
}

#[tokio::test]
async fn no_shell_reads_an_argument_and_an_answer_is_one_argument() {
    let dir = tempfile::tempdir().unwrap();
    let (_, told) =
        run_with(&action(&[&["printf", "%s|", "$HOME; touch bad", "{prompt}", "`id`"]], dir.path()), &CancellationToken::new(), Some("a b; $(id)")).await;
    assert_eq!(told.lines, ["$HOME; touch bad|a b; $(id)|`id`|"]);
    assert!(!dir.path().join("bad").exists());
}

#[tokio::test]
async fn one_that_hangs_is_stopped_with_its_children_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut hanging = sh("sleep 300 & echo $!; trap '' TERM; sleep 300 & echo $!; wait; wait", dir.path());
    hanging.spec.timeout = Duration::from_millis(600);
    let begun = Instant::now();
    let (end, told) = run(&hanging).await;
    assert!(!end.ok && end.words.contains("not ended within"), "{end:?}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(told.lines.len(), 2, "{told:?}");
    for pid in &told.lines {
        assert!(is_gone(pid).await, "{pid} still runs");
    }
}

#[tokio::test]
async fn stopping_ends_the_whole_group_and_what_follows_does_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let forking = action(&[&["sh", "-c", "sh -c 'sleep 300 & echo $! > pid; wait' & wait"], &["touch", "after"]], dir.path());
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let path = dir.path().join("pid");
    let watching = tokio::spawn(async move {
        loop {
            if let Ok(pid) = std::fs::read_to_string(&path)
                && pid.ends_with('\n')
            {
                asked.cancel();
                return pid.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let (end, _) = run_with(&forking, &stop, None).await;
    assert_eq!((end.ok, end.words.as_str()), (false, "stopped"));
    assert!(is_gone(&watching.await.unwrap()).await);
    assert!(!dir.path().join("after").exists());
}

#[tokio::test]
async fn a_flood_is_bounded_and_what_is_left_out_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (end, told) = run(&sh("seq 1 300000; head -c 3000000 /dev/zero | tr '\\0' x; echo; printf 'a\\rb\\r'; echo last", dir.path())).await;
    assert!(end.ok, "{end:?}");
    assert!(told.most <= runner::BATCH && told.dropped > 0);
    assert_eq!(told.lines.last().map(String::as_str), Some("last"));
    assert!(told.lines.iter().all(|line| line.chars().count() <= 1_000));
    assert!(told.lines.len() as u64 + told.dropped >= 300_004);
    assert!(told.lines.contains(&"b".to_owned()), "a carriage return ends a line too");
}

#[tokio::test]
async fn a_signal_a_missing_tool_and_a_wrong_directory_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let (end, _) = run(&sh("kill -SEGV $$", dir.path())).await;
    assert_eq!(end.words, "ended by SIGSEGV");
    let (end, told) = run(&action(&[&["no-such-tool-here"]], dir.path())).await;
    assert!(!end.ok && end.words.contains("is not installed"), "{end:?}");
    assert!(told.lines.iter().any(|line| line.contains("no-such-tool-here")));
    let (end, _) = run(&action(&[&["true"]], &dir.path().join("nowhere"))).await;
    assert!(!end.ok && end.words.contains("nowhere is not there"), "{end:?}");
}

#[tokio::test]
async fn secrets_are_given_and_masked_wherever_they_are_printed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pw"), "s3cret-of-a-file\n").unwrap();
    std::fs::write(dir.path().join("known"), "known-elsewhere\n").unwrap();
    let mut telling = sh("echo token=$DEPLOY $PLAIN; echo $API_TOKEN >&2; test \"$DEPLOY\" = s3cret-of-a-file; echo $?; cat known told", dir.path());
    telling.env = vec![
        ("API_TOKEN".into(), SecretRef::Literal(Secret::new("literal-token".into()))),
        ("DEPLOY".into(), SecretRef::File("pw".into())),
        ("PLAIN".into(), SecretRef::Literal(Secret::new("production".into()))),
    ];
    // The secrets of sources, also where only a command tells them; one that hangs keeps nobody for long.
    std::fs::write(dir.path().join("told"), "told-by-a-command\n").unwrap();
    let command = |argv: &[&str]| SecretRef::Command(argv.iter().map(|word| (*word).to_owned()).collect());
    telling.known = vec![
        SecretRef::File(dir.path().join("known")),
        SecretRef::Env("ROUNDS_TEST_NOT_THERE".into()),
        command(&["cat", "told"]),
        command(&["false"]),
        command(&["sleep", "600"]),
    ];
    let (end, told) = run(&telling).await;
    let said = format!("{end:?} {told:?}");
    assert!(said.contains("token=•••••••• production") && told.lines.contains(&"0".to_owned()), "{said}");
    for secret in ["s3cret", "literal-token", "known-elsewhere", "told-by-a-command"] {
        assert!(!said.contains(secret), "{secret}: {said}");
        assert!(!format!("{telling:?}").contains("literal-token"));
    }
    telling.env.push(("GONE".into(), SecretRef::File("gone".into())));
    let (end, _) = run(&telling).await;
    assert!(end.words.starts_with("not begun") && end.words.contains("gone"), "{end:?}");
}

#[tokio::test]
async fn a_message_that_is_not_taken_is_told_again() {
    let dir = tempfile::tempdir().unwrap();
    let action = sh("echo one; sleep 0.3; echo two", dir.path());
    let order = Order { action: action.spec.id.clone(), run: "r".into(), by: "ana".into(), answer: None, whole: false };
    let (mut lines, mut refused) = (Vec::new(), 0);
    runner::run(&action, &order, &CancellationToken::new(), |progress| match progress {
        Progress::Output(..) if refused == 0 => {
            refused += 1;
            false
        }
        Progress::Output(told, _) => {
            lines.extend(told);
            true
        }
        Progress::Step(..) => true,
    })
    .await;
    assert_eq!((refused, lines), (1, vec!["one".to_owned(), "two".to_owned()]));
}

#[test]
fn the_record_pairs_beginnings_and_ends_and_does_not_believe_for_ever() {
    let dir = Path::new("/srv/shop");
    let spec = action(&[&["true"]], dir).spec;
    let at = |s: i64| Timestamp::from_timestamp(1_795_000_000 + s, 0).unwrap();
    let ana = audit::begun(&spec, spec.steps.clone(), "a", "ana", at(0));
    let jon = audit::begun(&spec, spec.steps.clone(), "b", "jon", at(1));
    let done = audit::ended(&ana, ActionEnd { ok: true, words: "exit 0".into(), took_ms: 5_000 }, "test", at(5)).unwrap();
    let events = [ana, jon, done];
    let runs = audit::runs(events.iter());
    assert_eq!(runs.len(), 2);
    assert!(runs[0].is_running(at(10)) && !runs[1].is_running(at(10)));
    assert!(!runs[0].is_running(at(200)), "past its limit nobody believes that it runs");
    assert_eq!(audit::running(events.iter(), &spec.id, at(10)).len(), 1);
    assert!(!events[0].in_feed() && events[2].in_feed());
}

#[test]
fn arguments_are_told_apart_when_written() {
    assert_eq!(written(&["fab".into(), "a b".into(), String::new(), "$x".into(), "é".into()]), "fab \"a b\" \"\" \"$x\" é");
}
