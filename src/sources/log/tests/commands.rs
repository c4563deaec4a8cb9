//! Commands whose output is a log, and those that misbehave.

use super::*;

#[tokio::test]
async fn a_command_is_followed_and_its_end_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo INFO:a:one; echo ERROR:a:two; sleep 0.3; echo INFO:a:three; echo host unreachable >&2; exit 255";
    let mut bench = Bench::new(folder.path(), &format!("command = ['sh', '-c', '{script}']"));
    bench.until("a:three").await;
    let mut error = None;
    for _ in 0..5 {
        error = bench.collect().await.err();
        if error.is_some() {
            break;
        }
    }
    let error = error.unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Connect, "sh ended: exit code 255: host unreachable"));
    assert_eq!(bench.told, ["a:one", "a:two", "a:three"]);
    bench.until_notice(LogNotice::Reconnected).await;
}

#[tokio::test]
async fn a_command_needs_trust_and_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("ran");
    let text = format!("command = ['touch', '{}']", marker.display());
    let error = config(&text).build(&context(folder.path(), false)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(error.remedy.contains("rounds trust"));
    assert!(!marker.exists());
    assert_eq!(config(&text).commands().len(), 1);
    let mut bench = Bench::new(folder.path(), "command = ['rounds-no-such-tool']");
    assert_eq!(bench.collect().await.unwrap_err().kind, ErrorKind::Missing);
}

#[tokio::test]
async fn dropping_the_source_ends_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), "command = ['sh', '-c', 'echo $$ > pid; echo INFO:a:up; sleep 600']");
    bench.until("a:up").await;
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    bench.source = config("path = 'x'").build(&bench.context).unwrap().source;
    for _ in 0..200 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the command still runs");
}

#[tokio::test]
async fn a_command_that_ends_at_once_is_an_error_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), "command = ['sh', '-c', 'echo no route to host >&2; exit 255']");
    for _ in 0..3 {
        let mut error = None;
        for _ in 0..20 {
            error = bench.collect().await.err();
            if error.is_some() {
                break;
            }
        }
        let error = error.unwrap();
        assert!(error.kind == ErrorKind::Connect && error.message.ends_with("no route to host"), "{error:?}");
    }
    assert!(bench.told.is_empty());
}

#[tokio::test]
async fn a_command_that_floods_is_counted_and_stays_in_bounds() {
    let folder = tempfile::tempdir().unwrap();
    // A million lines as fast as they come.
    let mut bench = Bench::new(folder.path(), "command = ['sh', '-c', 'yes INFO:a:flood | head -n 1000000; echo INFO:a:last; exec sleep 600']");
    bench.until("a:last").await;
    assert_eq!(bench.levels, 1_000_001);
    assert!(bench.told.len() < 200_000 && bench.notices.iter().any(|notice| matches!(notice, LogNotice::Skipped(_))));
}

#[tokio::test]
async fn the_whole_group_of_a_command_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), "command = ['sh', '-c', 'sleep 600 & echo $! > child; echo INFO:a:up; wait']");
    bench.until("a:up").await;
    let child = fs::read_to_string(folder.path().join("child")).unwrap();
    bench.source = config("path = 'x'").build(&bench.context).unwrap().source;
    for _ in 0..400 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("a child of the command still runs");
}

#[tokio::test]
async fn a_command_that_says_nothing_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), "command = ['sh', '-c', 'while ! [ -e go ]; do sleep 0.1; done; echo INFO:a:up; exec sleep 600']");
    while bench.problems.is_empty() {
        bench.collect().await.unwrap();
    }
    assert!(bench.problems[0].message.contains("printed nothing yet"));
    append(&folder.path().join("go"), "");
    bench.until("a:up").await;
    assert!(bench.problems.is_empty());
}
