//! The source against a strict stand-in and against the contract's faults, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::super::Common;
use super::super::contract::{self, Faulty, Page, SECRET, kind_of};
use super::*;
use crate::domain::{Backup, ErrorKind, SourceId, Timestamp};

const FULL: &str = "hcw_0123456789abcdefghijklmnopqr";
const READ_ONLY: &str = "hcr_0123456789abcdefghijklmnopqr";
const UUID: &str = "0f1e2d3c-0000-4000-8000-abcdefabcdef";
const UNIQUE: &str = "a6c7b0a8a66bed0df66abfdab3c77736861703ee";

fn now() -> Timestamp {
    clock::now()
}

fn ago(minutes: i64) -> String {
    (now() - TimeDelta::minutes(minutes)).to_rfc3339()
}

/// A server with two checks, which refuses what the real one refuses.
struct StandIn {
    /// What differs from a check that is well.
    check: Value,
    pings: Value,
    flips: Value,
    /// Versions of the interface that it has.
    versions: &'static [&'static str],
    asked: Mutex<Vec<String>>,
}

impl StandIn {
    fn new(check: Value) -> Self {
        Self { check, pings: json!([]), flips: json!([]), versions: &["v1", "v2", "v3"], asked: Mutex::default() }
    }

    async fn start(self) -> (Arc<Self>, SocketAddr) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let this = Arc::new(self);
        let server = Arc::clone(&this);
        // Ends with the test's runtime.
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let Some(head) = contract::request_head(&mut socket).await else { continue };
                let (status, kind, body) = server.answer(&head);
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        (this, address)
    }

    fn answer(&self, head: &str) -> (u16, &'static str, String) {
        const JSON: &str = "application/json";
        let mut words = head.split_whitespace();
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        self.asked.lock().unwrap().push(target.to_owned());
        assert_eq!(method, "GET", "it only reads");
        let key = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-api-key: ").map(|_| line[11..].trim().to_owned()));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let html = || (404, "text/html", "<h1>Not Found</h1>".to_owned());
        let mut parts = path.split('/').skip(1);
        if parts.next() != Some("api") || !parts.next().is_some_and(|version| self.versions.contains(&version)) {
            return html();
        }
        let key = key.unwrap_or_default();
        if key.len() != 32 {
            return (401, JSON, json!({"error": "missing api key"}).to_string());
        }
        let full = key == FULL;
        if !full && key != READ_ONLY {
            return (401, JSON, json!({"error": "wrong api key"}).to_string());
        }
        let parts: Vec<&str> = parts.collect();
        let body = match parts[..] {
            ["checks", ""] => {
                let mut one = json!({
                    "name": "shop db dump", "slug": "shop-db-dump", "tags": "backup db", "desc": "", "grace": 1800, "n_pings": 412, "status": "up",
                    "started": false, "last_ping": ago(60), "next_ping": ago(-1380), "manual_resume": false, "last_duration": 84,
                    "schedule": "15 3 * * *", "tz": "UTC",
                });
                for (key, value) in self.check.as_object().unwrap() {
                    one[key] = value.clone();
                }
                if full {
                    one["uuid"] = json!(UUID);
                    one["ping_url"] = json!(format!("https://hc.example/ping/{UUID}"));
                } else {
                    one["unique_key"] = json!(UNIQUE);
                }
                json!({"checks": [{"name": "media", "slug": "media", "status": "new", "grace": 3600, "timeout": 86400, "last_ping": null, "next_ping": null}, one]})
            }
            ["checks", UUID, "pings", ""] if full => json!({"pings": self.pings}),
            ["checks", UUID, "pings", "7", "body"] if full => return (200, "text/plain", "dumping\npg_dump: \u{1b}[31mconnection lost\n\n".to_owned()),
            ["checks", UUID | UNIQUE, "flips", ""] => {
                assert_eq!(query, "seconds=5184000");
                json!({"flips": self.flips})
            }
            _ if !full && path.contains("pings") => return (401, JSON, json!({"error": "wrong api key"}).to_string()),
            _ => return html(),
        };
        (200, JSON, body.to_string())
    }
}

fn context() -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/healthchecks/db").unwrap(),
        common: Common { timeout: Some(Duration::from_secs(20)), ..Common::default() },
        base: std::env::temp_dir(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

fn source(address: SocketAddr, key: &str, more: &str) -> Box<dyn Source> {
    let config: Config = toml::from_str(&format!("url = \"http://{address}/\"\ntoken = {key:?}\n{more}")).unwrap();
    assert_eq!(config.check(), []);
    config.build(&context()).unwrap().source
}

fn backup(collected: &Collected) -> &Backup {
    let [Observation { data: Data::Backup(backup), .. }] = &collected.observations[..] else { panic!("{collected:?}") };
    backup
}

const DB: &str = "check = \"shop-db-dump\"";

#[tokio::test]
async fn a_check_that_is_well_keeps_its_promise() {
    let stand_in = StandIn {
        pings: json!([
            {"type": "success", "date": ago(60), "n": 412, "duration": 84.5, "body_url": null},
            {"type": "start", "date": ago(62), "n": 411},
            {"type": "log", "date": ago(70), "n": 410},
            {"type": "fail", "date": ago(1500), "n": 7, "body_url": "https://hc.example/x"},
            {"type": "start", "date": ago(3000), "n": 6},
            {"type": "start", "date": ago(2000), "n": 6},
            {"type": "odd"},
        ]),
        ..StandIn::new(json!({}))
    };
    let (server, address) = stand_in.start().await;
    let mut source = source(address, FULL, DB);
    let collected = source.collect().await.unwrap();
    let seen = backup(&collected);
    assert_eq!((seen.complaints.clone(), collected.problems.len()), (Vec::<String>::new(), 0));
    assert!((3_600..3_700).contains(&seen.age_s.unwrap()));
    // A day between two pings, and half an hour of grace.
    assert!((86_400 + 1_790..=86_400 + 1_800).contains(&seen.max_age_s.unwrap()), "{seen:?}");
    assert_eq!(seen.runs.iter().map(|run| run.ok).collect::<Vec<_>>(), [Some(false), Some(false), Some(true)]);
    let took = seen.runs[2].ended.unwrap() - seen.runs[2].started.unwrap();
    assert_eq!(took.num_seconds(), 84);
    assert_eq!(seen.last_failure.as_ref().unwrap().message, "pg_dump: [31mconnection lost");
    assert_eq!(seen.last_failure.as_ref().unwrap().output, ["dumping", "pg_dump: [31mconnection lost"]);
    assert!(seen.next_at.is_some() && seen.place.starts_with("shop db dump on 127.0.0.1"));
    source.collect().await.unwrap();
    let asked = server.asked.lock().unwrap().iter().filter(|target| target.ends_with("/body")).count();
    assert_eq!(asked, 1, "the text of a failure is asked for once");
}

#[tokio::test]
async fn no_state_is_green_but_up() {
    for (check, flips, words, has_success) in [
        (json!({"status": "grace", "next_ping": ago(10)}), json!([]), "is late since 10 m, within its grace time", true),
        (
            json!({"status": "down", "next_ping": null, "last_ping": ago(3000)}),
            json!([{"timestamp": ago(100), "up": 0}]),
            "was missed: no ping came in time",
            true,
        ),
        (
            json!({"status": "down", "next_ping": null}),
            json!([{"timestamp": ago(60), "up": 0}, {"timestamp": ago(2000), "up": 1}]),
            "failed: its last ping tells so",
            true,
        ),
        (json!({"status": "down", "next_ping": null}), json!([]), "failed: its last ping tells so", false),
        (json!({"status": "down", "started": true, "next_ping": null}), json!([]), "hangs: began and did not tell its end in time", false),
        (json!({"status": "paused", "next_ping": null}), json!([]), "is paused: nobody waits for its pings", false),
        (json!({"status": "new", "next_ping": null}), json!([]), "waits for its first ping since it was resumed", false),
        (json!({"status": "sleepy\u{7}"}), json!([]), "is in a state that is not known: sleepy", false),
    ] {
        let (_, address) = StandIn { flips, ..StandIn::new(check.clone()) }.start().await;
        let collected = source(address, READ_ONLY, DB).collect().await.unwrap();
        let seen = backup(&collected);
        assert_eq!((seen.complaints.as_slice(), seen.last_success.is_some()), (&[words.to_owned()][..], has_success), "{check}: {seen:?}");
    }
    for check in [json!({"status": "new", "last_ping": null, "next_ping": null}), json!({"status": "paused", "last_ping": null})] {
        let (_, address) = StandIn::new(check).start().await;
        assert_eq!(source(address, READ_ONLY, DB).collect().await.unwrap_err().kind, ErrorKind::Nothing);
    }
}

#[tokio::test]
async fn a_running_job_is_told_and_keeps_its_period() {
    let (_, address) = StandIn::new(json!({"started": true, "next_ping": ago(2), "timeout": 3600, "schedule": null})).start().await;
    let collected = source(address, READ_ONLY, DB).collect().await.unwrap();
    let seen = backup(&collected);
    assert!(seen.complaints.is_empty() && seen.next_at.is_none(), "{seen:?}");
    assert_eq!((seen.max_age_s, seen.runs.last().map(|run| (run.ok, run.ended))), (Some(3_600 + 1_800), Some((None, None))));
    let (_, address) = StandIn::new(json!({})).start().await;
    let promised = source(address, READ_ONLY, &format!("{DB}\nmax_age = \"7d\"")).collect().await.unwrap();
    assert_eq!(backup(&promised).max_age_s, Some(7 * 86_400));
}

#[tokio::test]
async fn an_old_server_is_asked_as_it_understands() {
    let stand_in = StandIn { versions: &["v1"], ..StandIn::new(json!({"status": "started", "started": true})) };
    let (server, address) = stand_in.start().await;
    let mut source = source(address, READ_ONLY, DB);
    let collected = source.collect().await.unwrap();
    // A running job hides whether the ping before it was a good one.
    assert_eq!(backup(&collected).last_success, None);
    source.collect().await.unwrap();
    let asked = server.asked.lock().unwrap().clone();
    assert_eq!(asked.iter().filter(|target| target.starts_with("/api/v3/")).count(), 1, "{asked:?}");
}

#[tokio::test]
async fn the_check_is_named_or_the_only_one() {
    let (_, address) = StandIn::new(json!({})).start().await;
    for name in ["shop-db-dump", "shop db dump", UNIQUE] {
        assert!(source(address, READ_ONLY, &format!("check = {name:?}")).collect().await.is_ok(), "{name}");
    }
    let error = source(address, READ_ONLY, "").collect().await.unwrap_err();
    assert_eq!((error.kind, error.remedy.as_str()), (ErrorKind::Config, "name one by `check`, and write a source for each: media, shop-db-dump"));
    let error = source(address, READ_ONLY, "check = \"nope\"").collect().await.unwrap_err();
    assert_eq!((error.message.as_str(), error.remedy.as_str()), ("the project has no check nope", "it has media, shop-db-dump"));
    let error = source(address, "hcw_wrong", DB).collect().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    let at = now() - TimeDelta::hours(1);
    let page = Page::json(&json!({"checks": [{"name": "db", "status": "up", "timeout": 86400, "grace": 60, "last_ping": at.to_rfc3339()}]}).to_string());
    let answers = contract::suite(&page, |server| {
        let config: Config = toml::from_str(&format!("url = {:?}\ntoken = {SECRET:?}", server.url("/"))).unwrap();
        let mut context = context();
        context.common.timeout = Some(contract::TIMEOUT);
        config.build(&context).unwrap().source
    })
    .await;
    let (_, fine) = &answers[0];
    assert!(backup(fine.as_ref().unwrap()).complaints.is_empty());
    for (faulty, kind) in [
        (Faulty::Unauthorized, ErrorKind::Auth),
        (Faulty::NotFound, ErrorKind::Status),
        (Faulty::RateLimited, ErrorKind::RateLimited),
        (Faulty::ServerError, ErrorKind::Status),
        (Faulty::Html, ErrorKind::Protocol),
        (Faulty::EmptyBody, ErrorKind::Protocol),
        (Faulty::Partial, ErrorKind::Protocol),
        (Faulty::HalfBody, ErrorKind::Protocol),
        (Faulty::Gigabyte, ErrorKind::TooLarge),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Drip, ErrorKind::Timeout),
        (Faulty::Refused, ErrorKind::Connect),
        (Faulty::Redirects, ErrorKind::Protocol),
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
        let config: Config = toml::from_str(&format!("token = {{ env = \"X\" }}\n{text}")).unwrap();
        config.check().into_iter().map(|complaint| (complaint.path.join("."), complaint.warning)).collect()
    };
    assert!(told("").is_empty() && told("url = \"https://hc.example/api/v3/\"").is_empty());
    assert_eq!(told("url = \"ftp://x\"\ncheck = \" \"\nmax_age = \"0s\"").len(), 3);
    assert_eq!(told("url = \"http://hc.example/\""), [("url".to_owned(), true)]);
    assert_eq!(told("url = \"https://me:pw@hc.example/\""), [("url".to_owned(), false)]);
}
