//! The monitor against a strict stand-in and against the contract's faults, over real sockets.

use std::net::SocketAddr;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::domain::{Backup, ErrorKind, SourceId, Verdict};
use crate::rules::backups::verdict;
use crate::sources::Common;
use crate::sources::contract::{self, Faulty, Page, SECRET, kind_of};

const TOKEN: &str = "sntryu_of-the-monitor";
const KEYS: &str = "organization = \"acme\"\nmonitor = \"db-dump\"";

fn ago(minutes: i64) -> String {
    (clock::now() - TimeDelta::minutes(minutes)).to_rfc3339()
}

/// A monitor that is well: it runs at every full hour and has half an hour of margin.
fn well() -> Value {
    json!({
        "id": "8e8ed2d6-0000-4000-8000-000000000001", "slug": "db-dump", "name": "DB dump", "status": "active", "isMuted": false,
        "config": {"schedule_type": "crontab", "schedule": "0 * * * *", "checkin_margin": 30, "timezone": "UTC"},
        "environments": [{
            "name": "production", "status": "ok", "isMuted": false, "lastCheckIn": ago(20), "nextCheckIn": ago(-40), "nextCheckInLatest": ago(-70),
        }],
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut all = well();
    *all.pointer_mut(path).unwrap() = value;
    all
}

fn checkins() -> Value {
    json!([
        {"id": "4", "status": "ok", "duration": 84_500, "dateAdded": ago(22), "dateUpdated": ago(20), "dateInProgress": ago(22), "environment": "production"},
        {"id": "3", "status": "timeout", "duration": null, "dateAdded": ago(90), "dateUpdated": ago(60), "dateInProgress": ago(90)},
        {"id": "2", "status": "missed", "duration": null, "dateAdded": ago(110), "expectedTime": ago(140)},
        {"id": "1", "status": "error", "duration": 1_000, "dateAdded": ago(200)},
        {"id": "0", "status": "unknown", "dateAdded": ago(260)},
    ])
}

/// Serves until the test's runtime ends; refuses what the real one refuses.
async fn serve(monitor: Value, checkins: Value) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let Some(head) = contract::request_head(&mut socket).await else { continue };
            let mut words = head.split_whitespace();
            let (method, target) = (words.next().unwrap(), words.next().unwrap().to_owned());
            assert_eq!(method, "GET", "it only reads");
            let with_token = head.contains(&format!("Bearer {TOKEN}"));
            let (status, body) = match target.split('?').next().unwrap() {
                "/api/settings/" if !with_token => (200, json!({"version": "25.1"})),
                _ if !with_token => (401, json!({"detail": "Invalid token"})),
                "/api/0/organizations/acme/" => (200, json!({"slug": "acme"})),
                "/api/0/organizations/acme/monitors/db-dump/" => (200, monitor.clone()),
                "/api/0/organizations/acme/monitors/db-dump/checkins/" => {
                    assert!(target.contains("environment=production"), "{target}");
                    (200, checkins.clone())
                }
                _ => (404, json!({"detail": "The requested resource does not exist"})),
            };
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    address
}

fn context() -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/sentry_monitor/db").unwrap(),
        common: Common { timeout: Some(Duration::from_secs(20)), ..Common::default() },
        base: std::env::temp_dir(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

async fn look(monitor: Value, checkins: Value, more: &str) -> Result<Backup, SourceError> {
    let address = serve(monitor, checkins).await;
    let config: Config = toml::from_str(&format!("url = \"http://{address}/api/0/\"\ntoken = {TOKEN:?}\n{KEYS}\n{more}")).unwrap();
    assert_eq!(config.check(), []);
    let mut collected = config.build(&context()).unwrap().source.collect().await?;
    assert_eq!(collected.problems, []);
    match collected.observations.remove(0).data {
        Data::Backup(backup) => Ok(*backup),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_that_checks_in_keeps_its_promise_and_has_a_history() {
    let seen = look(well(), checkins(), "").await.unwrap();
    assert_eq!((seen.complaints.clone(), verdict(&seen, clock::now())), (Vec::new(), Verdict::Ok));
    assert_eq!((seen.max_age_s, seen.tool.as_str()), (Some(90 * 60), "sentry"));
    assert!(seen.place.starts_with("DB dump on 127.0.0.1") && seen.next_at.is_some(), "{seen:?}");
    assert_eq!(seen.runs.iter().map(|run| run.ok).collect::<Vec<_>>(), [Some(false), Some(false), Some(false), Some(true)]);
    let newest = seen.runs.last().unwrap();
    assert_eq!((newest.ended.unwrap() - newest.started.unwrap()).num_milliseconds(), 84_500);
    assert_eq!(seen.last_success, newest.ended);
    assert_eq!(seen.last_failure.as_ref().unwrap().message, "began and did not tell its end in time");
    assert_eq!(seen.runs[0].started.map(|at| (seen.runs[0].ended.unwrap() - at).num_seconds()), Some(1));
    let promised = look(well(), checkins(), "max_age = \"7d\"\nenvironment = \"production\"").await.unwrap();
    assert_eq!(promised.max_age_s, Some(7 * 86_400));
    // As the published document shows the environments.
    let single = with("/environments", well()["environments"][0].clone());
    assert!(look(single, json!([]), "").await.unwrap().last_success.is_some());
}

#[tokio::test]
async fn no_state_is_good_but_ok() {
    let status = "/environments/0/status";
    let missed = json!([{"id": "1", "status": "missed", "dateAdded": ago(5), "expectedTime": ago(40)}]);
    let failed = json!([{"id": "1", "status": "error", "dateAdded": ago(5)}]);
    let runs = json!([{"id": "1", "status": "in_progress", "dateAdded": ago(5), "dateInProgress": ago(5)}]);
    for (monitor, checkins, words) in [
        (with(status, json!("error")), missed, "was missed: no check-in came in time"),
        (with(status, json!("error")), failed, "its check-in tells that it failed"),
        (with(status, json!("error")), json!([]), "failed: its check-ins tell so"),
        (with(status, json!("active")), json!([]), "waits for its first check-in"),
        (with(status, json!("disabled")), json!([]), "is switched off: nobody waits for its check-ins"),
        (with("/status", json!("disabled")), json!([]), "is switched off: nobody waits for its check-ins"),
        (with("/isMuted", json!(true)), json!([]), "is muted there: nobody is told when it fails"),
        (with(status, json!("sleepy\u{7}")), json!([]), "is in a state that is not known: sleepy"),
        (with("/environments/0/nextCheckInLatest", json!(ago(3))), json!([]), "is late since 3 m"),
    ] {
        let seen = look(monitor, checkins, "").await.unwrap();
        assert_eq!(seen.complaints, [words], "{seen:?}");
        assert_ne!(verdict(&seen, clock::now()), Verdict::Ok, "{words}");
    }
    let running = look(with("/environments/0/nextCheckInLatest", json!(ago(3))), runs, "").await.unwrap();
    assert_eq!((running.complaints.len(), running.runs.last().unwrap().ended), (0, None), "it runs");
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_is() {
    for (monitor, more, kind, words) in [
        (with("/environments", json!([])), "", ErrorKind::Nothing, "DB dump never got a check-in"),
        (with("/environments/0/lastCheckIn", json!(null)), "", ErrorKind::Nothing, "DB dump never got a check-in"),
        (well(), "environment = \"staging\"", ErrorKind::Config, "DB dump has no check-in of the environment staging"),
        (with("/environments", json!([{"name": "a"}, {"name": "b"}])), "", ErrorKind::Config, "DB dump has check-ins of 2 environments"),
        (json!({"detail": "odd"}), "", ErrorKind::Protocol, "the monitor is not what was agreed"),
    ] {
        let error = look(monitor, json!([]), more).await.unwrap_err();
        assert!(error.kind == kind && error.message.starts_with(words), "{error:?}");
    }
    let address = serve(well(), json!([])).await;
    let asked = |token: &str, monitor: &str| {
        let text = format!("url = \"http://{address}\"\ntoken = {token:?}\norganization = \"acme\"\nmonitor = {monitor:?}");
        toml::from_str::<Config>(&text).unwrap().build(&context()).unwrap().source
    };
    let error = asked(TOKEN, "nope").collect().await.unwrap_err();
    assert!(error.kind == ErrorKind::Config && error.message.contains("has no monitor nope"), "{error:?}");
    assert_eq!(asked("sntryu_wrong", "db-dump").collect().await.unwrap_err().kind, ErrorKind::Auth);
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    let answers = contract::suite(&Page::json(&well().to_string()), |server| {
        let config: Config = toml::from_str(&format!("url = {:?}\ntoken = {SECRET:?}\n{KEYS}", server.url("/"))).unwrap();
        let mut context = context();
        context.common.timeout = Some(contract::TIMEOUT);
        config.build(&context).unwrap().source
    })
    .await;
    for (faulty, kind) in [
        (Faulty::Unauthorized, ErrorKind::Auth),
        (Faulty::RateLimited, ErrorKind::RateLimited),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Refused, ErrorKind::Connect),
        (Faulty::TlsExpired, ErrorKind::Tls),
    ] {
        assert_eq!(kind_of(&answers, faulty), Some(kind), "{faulty:?}");
    }
    for (faulty, result) in &answers {
        assert!(result.is_err() || *faulty == Faulty::Ok, "{faulty:?}: {result:?}");
    }
}

#[test]
fn wrong_values_are_told_with_their_key() {
    let told = |text: &str| -> Vec<(String, bool)> {
        let config: Config = toml::from_str(text).unwrap();
        config.check().into_iter().map(|complaint| (complaint.path.join("."), complaint.warning)).collect()
    };
    assert!(told(KEYS).is_empty());
    assert_eq!(told("organization = \"a b\"\nmonitor = \"\"\nenvironment = \" \"\nmax_age = \"0s\"\nurl = \"ftp://x\"").len(), 5);
    assert_eq!(told(&format!("{KEYS}\nurl = \"http://sentry.example/\"")), [("url".to_owned(), true)]);
}
