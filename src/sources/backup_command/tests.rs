//! The document in every shape, and the source against tools that misbehave.

use std::path::Path;

use proptest::prelude::*;

use super::super::Common;
use super::super::contract::commands::{self, Faulty, kind_of};
use super::*;
use crate::domain::{Backup, ErrorKind, SourceId, Timestamp};

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn read(text: &str) -> Result<Backup, SourceError> {
    read::document(text, now())
}

fn context(trusted: bool) -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/backup_command/db").unwrap(),
        common: Common { timeout: Some(commands::TIMEOUT), ..Common::default() },
        base: std::env::temp_dir(),
        trusted,
        zone: None,
        cache: None,
        state: None,
    }
}

fn config(command: &Path) -> Config {
    toml::from_str(&format!("command = [{:?}]\nmax_age = \"26h\"", command.to_str().unwrap())).unwrap()
}

const WHOLE: &str = r#"a word before
{
  "tool": "velero", "place": "s3 bucket shop", "snapshots": 90, "unknown": {"a": [1]},
  "copies": [
    {"name": "b-2", "at": "2026-11-20T05:00:00+02:00", "started": 1795140000.5, "size_bytes": 1e6, "added_bytes": 12, "complete": true,
     "host": "web1", "tags": ["db", "nightly"], "kind": "full", "owner": "me"},
    {"name": "b-1", "at": 1795060000, "problem": "half of it is missing"}
  ],
  "runs": [
    {"started": "2026-11-20T02:50:00Z", "ended": "2026-11-20T03:00:00Z", "ok": true},
    {"ended": "2026-11-19T03:00:00Z", "ok": false, "message": "disk full"}
  ],
  "next_at": "2026-11-21T03:00:00Z",
  "check": {"at": "2026-11-15T00:00:00Z", "ok": true, "depth": "all data"},
  "locks": [{"holder": "web1 (pid 12)", "since": 1795060000, "stale": true}],
  "places": [{"name": "s3", "newest": null, "same_machine": false}],
  "repository_bytes": 5000000, "free_bytes": null
}
"#;

#[test]
fn every_field_is_taken_and_unknown_ones_are_passed_over() {
    let backup = read(WHOLE).unwrap();
    assert_eq!((backup.tool.as_str(), backup.place.as_str(), backup.snapshots), ("velero", "s3 bucket shop", 90));
    assert_eq!(backup.copies[0].at.to_rfc3339(), "2026-11-20T03:00:00+00:00");
    assert_eq!((backup.copies[0].size_bytes, backup.copies[0].added_bytes), (Some(1_000_000), Some(12)));
    assert_eq!((backup.copies[0].kind.as_deref(), backup.copies[0].host.as_deref(), backup.copies[0].tags.len()), (Some("full"), Some("web1"), 2));
    assert_eq!((backup.copies[1].complete, backup.copies[1].problem.as_deref()), (Some(false), Some("half of it is missing")));
    assert_eq!(backup.runs.iter().map(|run| run.ok).collect::<Vec<_>>(), [Some(false), Some(true)]);
    assert_eq!(backup.last_failure.as_ref().map(|run| run.message.as_str()), Some("disk full"));
    assert_eq!(backup.check.as_ref().map(|check| (check.ok, check.depth.as_str())), Some((true, "all data")));
    assert_eq!((backup.checked_at, backup.next_at.is_some()), (backup.check.map(|check| check.at), true));
    assert!(backup.locks[0].stale && backup.places[0].same_machine == Some(false));
    assert_eq!((backup.repository_bytes, backup.free_bytes), (Some(5_000_000), None));
    // Copies count, not runs.
    assert_eq!(backup.last_success, None);
    let judged = backups::judge(read(WHOLE).unwrap(), &Promise::default(), now());
    assert_eq!(judged.age_s, Some(9 * 3_600));
}

#[test]
fn where_only_runs_are_told_the_last_good_one_counts() {
    let backup = read(
        r#"{"runs": [{"ended": "2026-11-20T10:00:00Z", "ok": true}, {"ended": "2026-11-20T11:00:00Z", "ok": false}, {"started": "2026-11-20T11:30:00Z"}]}"#,
    );
    let backup = backups::judge(backup.unwrap(), &Promise::default(), now());
    assert_eq!((backup.age_s, backup.snapshots), (Some(7_200), 0));
    assert_eq!(backup.last_failure.and_then(|run| run.ended).map(|at| at.to_rfc3339()), Some("2026-11-20T11:00:00+00:00".to_owned()));
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_nothing_is_used() {
    let copy = r#""name": "a", "at": 1795060000"#;
    for (text, words) in [
        (String::new(), "the command printed nothing"),
        ("good morning\n".to_owned(), "the command printed no JSON"),
        ("[1]".to_owned(), "the command printed a list, not an object"),
        (r#"{"copies": ["#.to_owned(), "the JSON that the command printed is broken at line 1, column 12"),
        (r#"{"copies": [{"at": 1}]}"#.to_owned(), "what the command printed is wrong: copies[0].name is missing"),
        (r#"{"copies": [{"name": "a"}]}"#.to_owned(), "what the command printed is wrong: copies[0].at is missing"),
        (format!(r#"{{"copies": [{{{copy}}}, {{"name": "b", "at": "yesterday"}}]}}"#), "copies[1].at is \"yesterday\", not a time"),
        // Milliseconds.
        (r#"{"copies": [{"name": "a", "at": 1795060000000}]}"#.to_owned(), "copies[0].at is 1795060000000, not a time"),
        (format!(r#"{{"copies": [{{{copy}, "size_bytes": -1}}]}}"#), "copies[0].size_bytes is -1, not a number of zero or more"),
        (format!(r#"{{"copies": [{{{copy}, "complete": "no"}}]}}"#), "copies[0].complete is \"no\", not true or false"),
        (format!(r#"{{"copies": [{{{copy}, "tags": [1]}}]}}"#), "copies[0].tags is a list, not a list of texts"),
        (r#"{"copies": {"a": 1}}"#.to_owned(), "copies is an object, not a list"),
        (r#"{"copies": [7]}"#.to_owned(), "copies[0] is 7, not an object"),
        (format!(r#"{{"copies": [{{{copy}}}], "check": {{"at": 1}}}}"#), "check.ok is missing"),
        (format!(r#"{{"copies": [{{{copy}}}], "check": true}}"#), "check is true, not an object"),
        (r#"{"copies": [1, 2, 3, 4, 5]}"#.to_owned(), "copies[2] is 3, not an object; 2 more"),
    ] {
        let error = read(&text).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol, "{text}");
        assert!(error.message.contains(words), "{text}: {}", error.message);
    }
    for text in ["{}", r#"{"copies": []}"#, r#"{"copies": [], "runs": [{"ended": 1795060000, "ok": true}]}"#, r#"{"tool": "x"}"#] {
        assert_eq!(read(text).unwrap_err().kind, ErrorKind::Nothing, "{text}");
    }
}

#[tokio::test]
async fn the_source_keeps_the_contract_of_commands() {
    let at = clock::now() - chrono::Duration::hours(2);
    let answer = format!(r#"{{"copies": [{{"name": "one", "at": "{}", "size_bytes": 1000}}]}}"#, at.to_rfc3339());
    let answers = commands::suite(&answer, |tool| config(tool).build(&context(true)).unwrap().source).await;
    for (faulty, kind) in [
        (Faulty::Missing, ErrorKind::Missing),
        (Faulty::Forbidden, ErrorKind::Config),
        (Faulty::Silent, ErrorKind::Protocol),
        (Faulty::Half, ErrorKind::Protocol),
        (Faulty::Garbage, ErrorKind::Protocol),
        (Faulty::Words, ErrorKind::Protocol),
        (Faulty::Flood, ErrorKind::TooLarge),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::HangDeaf, ErrorKind::Timeout),
        (Faulty::Fails, ErrorKind::Missing),
        (Faulty::FailsAfterAnswer, ErrorKind::Missing),
        (Faulty::Killed, ErrorKind::Missing),
    ] {
        assert_eq!(kind_of(&answers, faulty), Some(kind), "{faulty:?}");
    }
    let (_, fails) = answers.iter().find(|(faulty, _)| *faulty == Faulty::Fails).unwrap();
    assert!(fails.as_ref().unwrap_err().message.ends_with("tool: exit code 3: ]52;c;aGk=it went wrong"), "{fails:?}");
    let (_, killed) = answers.iter().find(|(faulty, _)| *faulty == Faulty::Killed).unwrap();
    assert!(killed.as_ref().unwrap_err().message.ends_with("tool: ended by SIGKILL"), "{killed:?}");
}

#[test]
fn an_untrusted_configuration_runs_nothing() {
    let config = config(Path::new("/bin/true"));
    assert_eq!(config.commands(), [["/bin/true"]]);
    let error = config.build(&context(false)).unwrap_err();
    assert!(error.remedy.contains("rounds trust"));
    let empty: Config = toml::from_str("command = []\nmax_age = \"0s\"").unwrap();
    let keys: Vec<String> = empty.check().into_iter().map(|complaint| complaint.path.join(".")).collect();
    assert_eq!(keys, ["max_age", "command"]);
}

proptest! {
    #[test]
    fn any_document_is_read_without_a_panic(at in 0..WHOLE.len(), change in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        bytes[at] = change;
        if cut {
            bytes.truncate(at);
        }
        fuzz(&bytes);
    }
}
