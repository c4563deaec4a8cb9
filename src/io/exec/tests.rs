use std::time::Instant;

use super::*;
use crate::domain::ErrorKind;

fn sh(script: &str) -> Program {
    Program::new(vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()])
}

const LONG: Limits = Limits::within(Duration::from_secs(30));

#[tokio::test]
async fn what_can_wait_runs_behind_all_else() {
    let usual = run(&sh("sleep 0.2; nice"), LONG).await.unwrap().stdout_text();
    let low = run(&sh("sleep 0.2; nice").low_priority(), LONG).await.unwrap().stdout_text();
    assert!(low.trim().parse::<i32>().unwrap() >= usual.trim().parse::<i32>().unwrap().max(LOW), "{low} after {usual}");
}

/// Whether a process with this id still runs (a zombie does not).
fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

async fn ends(pid: &str) -> bool {
    for _ in 0..200 {
        if !alive(pid) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    false
}

#[tokio::test]
async fn gives_status_output_and_errors() {
    let output = run(&sh("echo out; echo first >&2; printf 'la\\033st\\n' >&2; exit 3"), LONG).await.unwrap();
    assert_eq!(output.stdout_text(), "out\n");
    assert_eq!(output.last_error_line(), "last");
    assert_eq!(output.ending.code(), Some(3));
    assert_eq!(output.ending.to_string(), "exit code 3");
    let killed = run(&sh("kill -TERM $$"), LONG).await.unwrap();
    assert_eq!(killed.ending.to_string(), "ended by SIGTERM");
}

#[tokio::test]
async fn what_tells_of_one_trouble_for_too_long_is_ended() {
    let patience = Patience { lasts: Duration::from_millis(300), trouble: |line| line.strip_prefix("again ") };
    let gave = tempfile::tempdir().unwrap();
    // It says so first, to a pipe that must still be there.
    let script = "trap 'echo ending >&2; echo gave back >gave; exit 3' INT; echo again b >&2; while :; do echo again a >&2; sleep 0.1; done";
    let began = Instant::now();
    let stuck = run_patiently(&sh(script).interrupted().directory(gave.path()), LONG, Some(patience)).await.unwrap_err();
    let ExecError::Stuck { stderr, .. } = stuck else { panic!("{stuck:?}") };
    assert!(began.elapsed() < Duration::from_secs(15) && stderr.starts_with(b"again b\nagain a\n"), "{stderr:?}");
    assert!(gave.path().join("gave").exists() && !String::from_utf8_lossy(&stderr).contains("ending"), "{stderr:?}");
    // Each trouble once, and none for long.
    let passing = "for what in a b c d e f; do echo again $what >&2; sleep 0.1; done; echo done";
    assert_eq!(run_patiently(&sh(passing), LONG, Some(patience)).await.unwrap().stdout_text(), "done\n");
    // What it said before its time was over is kept.
    let late = run(&sh("echo why >&2; sleep 60"), Limits::within(Duration::from_millis(500))).await.unwrap_err();
    assert!(matches!(late, ExecError::Timeout { ref stderr, .. } if stderr == b"why\n"), "{late:?}");
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_are() {
    let output = run(&Program::new(["printf", "%s|", "$HOME", "; rm -rf x", "*"].map(str::to_owned).to_vec()), LONG).await.unwrap();
    assert_eq!(output.stdout_text(), "$HOME|; rm -rf x|*|");
}

#[tokio::test]
async fn the_environment_is_added_to_and_never_shown() {
    let program = sh("printf %s \"$ROUNDS_EXEC_TEST\"; test -n \"$PATH\"").env("ROUNDS_EXEC_TEST", Secret::new("hush".to_owned()));
    assert!(!format!("{program:?}").contains("hush"));
    let output = run(&program, LONG).await.unwrap();
    assert_eq!((output.stdout_text().as_str(), output.ending.success()), ("hush", true));
}

#[tokio::test]
async fn standard_input_is_empty_and_the_directory_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&sh("cat; pwd -P").directory(folder.path()), LONG).await.unwrap();
    assert_eq!(output.stdout_text().trim_end(), folder.path().canonicalize().unwrap().to_str().unwrap());
}

#[tokio::test]
async fn what_is_not_there_is_told_with_a_remedy() {
    let missing = run(&Program::new(vec!["rounds-no-such-tool".to_owned()]), LONG).await.unwrap_err();
    assert!(matches!(missing, ExecError::Missing { .. }));
    let error = SourceError::from(missing);
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Missing, "rounds-no-such-tool is not installed, or not in PATH"));
    assert_eq!(error.remedy, "install rounds-no-such-tool, or write its whole path");
    assert!(matches!(run(&Program::new(Vec::new()), LONG).await, Err(ExecError::Empty)));
    let nowhere = run(&sh("true").directory(Path::new("/no/such/folder")), LONG).await.unwrap_err();
    assert_eq!(nowhere.to_string(), "the directory /no/such/folder is not there");
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "no program").unwrap();
    assert!(matches!(run(&Program::new(vec![text.to_str().unwrap().to_owned()]), LONG).await, Err(ExecError::Start { .. })));
}

#[tokio::test]
async fn a_hang_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let program = sh("trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > child; sleep 600' & echo $$ > leader; sleep 600; wait").directory(folder.path());
    let started = Instant::now();
    let error = run(&program, Limits::within(Duration::from_secs(1))).await.unwrap_err();
    assert!(matches!(error, ExecError::Timeout { .. }));
    assert_eq!(error.to_string(), "sh did not end within 1s");
    assert!(started.elapsed() < Duration::from_secs(20));
    for who in ["leader", "child"] {
        let pid = std::fs::read_to_string(folder.path().join(who)).unwrap();
        assert!(ends(pid.trim()).await, "{who} still runs");
    }
}

#[tokio::test]
async fn dropping_the_future_kills_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let program = sh("sh -c 'echo $$ > child.part; mv child.part child; sleep 600' & wait").directory(folder.path());
    let child = folder.path().join("child");
    let seen = async {
        while !child.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        _ = run(&program, LONG) => panic!("it sleeps"),
        () = seen => {}
    }
    let pid = std::fs::read_to_string(&child).unwrap();
    assert!(ends(pid.trim()).await);
}

#[tokio::test]
async fn a_flood_is_cut_and_stopped() {
    let limits = Limits { timeout: Duration::from_secs(30), stdout_bytes: 64 << 10, stderr_bytes: 1 << 10 };
    let error = run(&Program::new(vec!["yes".to_owned()]), limits).await.unwrap_err();
    assert_eq!(error.to_string(), "yes printed more than 64 KiB");
    let output = run(&sh("head -c 1000000 /dev/zero >&2; printf done"), limits).await.unwrap();
    assert_eq!((output.stdout_text().as_str(), output.stderr.len()), ("done", 1 << 10));
}

#[tokio::test]
async fn a_child_left_behind_does_not_hold_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&sh("sleep 600 & echo $! > child; echo ready").directory(folder.path()), LONG).await.unwrap();
    assert_eq!(output.stdout_text(), "ready\n");
    let pid = std::fs::read_to_string(folder.path().join("child")).unwrap();
    assert!(ends(pid.trim()).await);
}

#[tokio::test]
async fn a_followed_program_can_be_read_and_stopped() {
    let mut running = start(&sh("echo one; sleep 600")).unwrap();
    let mut stdout = running.take_stdout().unwrap();
    let mut line = [0; 4];
    stdout.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"one\n");
    running.stop().await;
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn what_gives_something_back_does_so_when_it_is_asked_to_end() {
    let place = tempfile::tempdir().unwrap();
    let script = "trap 'echo ending >&2; sleep 0.2; echo gave back >gave; exit 3' INT; echo there >there; while :; do sleep 0.1; done";
    let stop = CancellationToken::new();
    let (asks, there) = (stop.clone(), place.path().join("there"));
    let asking = async move {
        while !there.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        asks.cancel();
    };
    let program = sh(script).interrupted().directory(place.path());
    let (ended, ()) = tokio::join!(heeding(&stop, run(&program, LONG)), asking);
    assert!(matches!(ended, Err(ExecError::Stuck { .. })), "{ended:?}");
    assert!(place.path().join("gave").exists());
}
