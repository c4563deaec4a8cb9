//! The source against a strict stand-in and against the contract's faults, over real sockets.

use std::net::SocketAddr;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::super::Common;
use super::super::contract::{self, Faulty, Page, SECRET, kind_of};
use super::*;
use crate::domain::{Backup, ErrorKind, SourceId};

const TOKEN: &str = "HRKU-0123456789abcdef";

fn ago(hours: i64) -> String {
    (clock::now() - TimeDelta::hours(hours)).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn transfer(number: u64, hours: i64, change: &Value) -> Value {
    let mut one = json!({
        "uuid": format!("0b6c9a10-0000-4000-8000-{number:012}"), "num": number, "from_type": "pg_dump", "to_type": "gof3r", "from_name": "DATABASE",
        "to_name": "BACKUP", "created_at": ago(hours), "started_at": ago(hours), "finished_at": ago(hours), "canceled_at": null, "succeeded": true,
        "processed_bytes": 1_000_000, "source_bytes": 5_000_000, "warnings": 0, "schedule": {"uuid": "x"}, "options": {},
    });
    for (key, value) in change.as_object().unwrap() {
        one[key] = value.clone();
    }
    one
}

/// A service that refuses what the real one refuses.
async fn service(answer: Value) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the test's runtime.
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let Some(head) = contract::request_head(&mut socket).await else { continue };
            let header =
                |name: &str| head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value));
            let (status, body) = if header("accept") != Some("application/vnd.heroku+json; version=3") {
                (406, json!({"id": "not_acceptable", "message": "no version"}))
            } else if header("authorization") != Some(&format!("Bearer {TOKEN}")) {
                (401, json!({"id": "unauthorized", "message": "Invalid credentials provided."}))
            } else if head.starts_with("GET /client/v11/apps/shop-prod/transfers HTTP/1.1") {
                (200, answer.clone())
            } else {
                (404, json!({"id": "not_found", "message": "Couldn't find that app."}))
            };
            let body = body.to_string();
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    address
}

fn context(timeout: Duration) -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/heroku_backups/db").unwrap(),
        common: Common { timeout: Some(timeout), ..Common::default() },
        base: std::env::temp_dir(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

async fn look(address: SocketAddr, keys: &str) -> Result<Backup, SourceError> {
    let config: Config = toml::from_str(&format!("url = \"http://{address}\"\n{keys}")).unwrap();
    assert_eq!(config.check(), []);
    let mut source = config.build(&context(Duration::from_secs(20))).unwrap().source;
    match source.collect().await?.observations.remove(0).data {
        Data::Backup(backup) => Ok(*backup),
        other => panic!("{other:?}"),
    }
}

fn keys(app: &str, token: &str) -> String {
    format!("app = {app:?}\ntoken = {token:?}")
}

#[tokio::test]
async fn backups_are_told_in_their_order_and_copies_between_databases_are_none() {
    // As they come: in no order, with a copy to another database and a restore among them.
    let rows = json!([
        transfer(12, 30, &json!({"finished_at": ago(29)})),
        transfer(14, 5, &json!({"schedule": null, "finished_at": ago(4).replace('T', " ").replace('Z', " +0000")})),
        transfer(13, 6, &json!({"to_type": "pg_restore"})),
        transfer(15, 3, &json!({"from_type": "gof3r", "to_type": "pg_restore"})),
        transfer(16, 0, &json!({"finished_at": null, "succeeded": null, "processed_bytes": null})),
        transfer(11, 50, &json!({"succeeded": false})),
    ]);
    let seen = look(service(rows).await, &keys("shop-prod", TOKEN)).await.unwrap();
    assert_eq!(
        seen.copies.iter().map(|copy| (copy.name.as_str(), copy.kind.as_deref())).collect::<Vec<_>>(),
        [("a012", Some("scheduled")), ("b014", Some("manual"))]
    );
    assert_eq!(seen.runs.iter().map(|run| run.ok).collect::<Vec<_>>(), [Some(false), Some(true), Some(true), None]);
    assert_eq!((seen.complaints.as_slice(), seen.age_s.map(|age| age / 3_600)), (&[][..], Some(4)));
    assert_eq!(seen.last_failure.unwrap().message, "a011 failed");
}

#[tokio::test]
async fn what_is_not_good_is_not_green() {
    for (rows, words) in [
        (json!([transfer(1, 9, &json!({})), transfer(2, 2, &json!({"succeeded": false}))]), "the last run failed: a002 failed"),
        (
            json!([transfer(1, 9, &json!({})), transfer(2, 2, &json!({"canceled_at": ago(1), "succeeded": null, "finished_at": null}))]),
            "the last run failed: a002 was cancelled",
        ),
        (json!([transfer(1, 2, &json!({"warnings": 3}))]), "was made with 3 warnings"),
        (json!([transfer(1, 9, &json!({})), transfer(2, 2, &json!({"processed_bytes": 0}))]), "a002: is empty"),
    ] {
        let seen = look(service(rows.clone()).await, &keys("shop-prod", TOKEN)).await.unwrap();
        assert!(seen.complaints.iter().any(|said| said == words), "{rows}: {:?}", seen.complaints);
    }
    for (rows, kind) in [
        (json!([]), ErrorKind::Nothing),
        (json!([transfer(1, 2, &json!({"to_type": "pg_restore"}))]), ErrorKind::Nothing),
        (json!([transfer(1, 2, &json!({})), transfer(2, 2, &json!({"from_name": "REPORTS"}))]), ErrorKind::Config),
        (json!([transfer(1, 2, &json!({"finished_at": "yesterday"}))]), ErrorKind::Protocol),
        (json!({"id": "odd"}), ErrorKind::Protocol),
    ] {
        assert_eq!(look(service(rows.clone()).await, &keys("shop-prod", TOKEN)).await.unwrap_err().kind, kind, "{rows}");
    }
    let rows = json!([transfer(1, 2, &json!({})), transfer(2, 30, &json!({"from_name": "REPORTS"}))]);
    let named = |name: &str| format!("{}\ndatabase = {name:?}", keys("shop-prod", TOKEN));
    assert_eq!(look(service(rows.clone()).await, &named("reports")).await.unwrap().copies[0].name, "a002");
    assert_eq!(look(service(rows.clone()).await, &named("other")).await.unwrap_err().remedy, "there are backups of DATABASE, REPORTS");
    assert_eq!(look(service(rows.clone()).await, &keys("shop-prod", "wrong-token")).await.unwrap_err().kind, ErrorKind::Auth);
    assert_eq!(look(service(rows).await, &keys("other", TOKEN)).await.unwrap_err().kind, ErrorKind::Config);
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    let page = Page::json(&json!([transfer(1, 2, &json!({}))]).to_string());
    let answers = contract::suite(&page, |server| {
        let config: Config = toml::from_str(&format!("url = {:?}\napp = \"shop-prod\"\ntoken = {SECRET:?}", server.url("/"))).unwrap();
        config.build(&context(contract::TIMEOUT)).unwrap().source
    })
    .await;
    for (faulty, kind) in [
        (Faulty::Unauthorized, ErrorKind::Auth),
        (Faulty::NotFound, ErrorKind::Config),
        (Faulty::RateLimited, ErrorKind::RateLimited),
        (Faulty::ServerError, ErrorKind::Status),
        (Faulty::Html, ErrorKind::Protocol),
        (Faulty::Partial, ErrorKind::Protocol),
        (Faulty::HalfBody, ErrorKind::Protocol),
        (Faulty::Gigabyte, ErrorKind::TooLarge),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Refused, ErrorKind::Connect),
        (Faulty::Redirects, ErrorKind::Protocol),
        (Faulty::TlsExpired, ErrorKind::Tls),
    ] {
        assert_eq!(kind_of(&answers, faulty), Some(kind), "{faulty:?}");
    }
    for (faulty, result) in &answers {
        assert_eq!(result.is_ok(), *faulty == Faulty::Ok, "{faulty:?}: {result:?}");
    }
}

#[test]
fn wrong_values_are_told_with_their_key() {
    let told = |text: &str| -> Vec<String> {
        let config: Config = toml::from_str(&format!("token = {{ env = \"X\" }}\n{text}")).unwrap();
        config.check().into_iter().map(|complaint| complaint.path.join(".")).collect()
    };
    assert!(told("app = \"shop-prod\"").is_empty());
    assert_eq!(told("app = \"../account\"\nurl = \"ftp://x\"\ndatabase = \"\"\nmax_age = \"0s\""), ["max_age", "url", "app", "database"]);
}
