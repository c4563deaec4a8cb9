//! The source against a strict stand-in and against the contract's faults, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::contract::{self, Faulty, Page, SECRET, Server, kind_of};
use super::super::{Common, Source};
use super::*;
use crate::domain::{ErrorKind, SourceId};

const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";
const ONE: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
const TWO: &str = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d";

/// A server with two projects and three issues in two pages, which refuses what the real one refuses.
struct StandIn {
    /// Whether the first issue is resolved, muted.
    first: Mutex<(bool, bool)>,
    asked: Mutex<Vec<String>>,
}

impl StandIn {
    async fn start() -> (Arc<Self>, SocketAddr) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let this = Arc::new(Self { first: Mutex::default(), asked: Mutex::default() });
        let server = Arc::clone(&this);
        // Ends with the test's runtime.
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && head.len() < 16 << 10 {
                    let Ok(byte) = socket.read_u8().await else { break };
                    head.push(byte);
                }
                let (status, body) = server.answer(&String::from_utf8(head).unwrap());
                let body = body.to_string();
                let answer =
                    format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        (this, address)
    }

    fn issue(&self, id: &str) -> Value {
        let (resolved, muted) = if id == ONE { *self.first.lock().unwrap() } else { (false, false) };
        json!({
            "id": id, "friendly_id": if id == ONE { "SHOP-1" } else { "SHOP-2" }, "project": 1, "digest_order": 1,
            "first_seen": "2026-01-02T03:04:05.678901Z", "last_seen": "2026-02-02T03:04:05Z",
            "digested_event_count": 412, "stored_event_count": 20, "calculated_type": "KeyError", "calculated_value": "'currency'",
            "transaction": "/basket/", "is_resolved": resolved, "is_resolved_by_next_release": false, "is_muted": muted,
        })
    }

    fn answer(&self, head: &str) -> (u16, Value) {
        let mut words = head.split_whitespace();
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        self.asked.lock().unwrap().push(format!("{method} {target}"));
        let detail = |status: u16, words: &str| (status, json!({ "detail": words }));
        let header = |name: &str| head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value));
        if header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return detail(401, "Invalid Bearer token.");
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Some(path) = path.strip_prefix("/api/canonical/0/").and_then(|path| path.strip_suffix('/')) else { return detail(404, "Not found.") };
        let query: std::collections::BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let of = |key: &str| query.get(key).map_or("", String::as_str);
        let list = |rows: Vec<Value>, next: Value| (200, json!({ "next": next, "previous": null, "results": rows }));
        let parts: Vec<&str> = path.split('/').collect();
        match (method, &parts[..]) {
            ("GET", ["projects"]) => {
                list(vec![json!({"id": 1, "slug": "shop", "name": "The Shop"}), json!({"id": 2, "slug": "blog", "name": "Blog"})], Value::Null)
            }
            ("GET", ["issues"]) => match (of("project"), of("sort"), of("order"), of("cursor")) {
                ("", ..) => (400, json!({ "project": ["This field is required."] })),
                ("1", "last_seen", "desc", "") => {
                    // As behind a proxy: an address that nobody outside reaches.
                    let next = "http://internal.invalid/api/canonical/0/issues/?cursor=cD0y&order=desc&project=1&sort=last_seen";
                    list(vec![self.issue(ONE)], json!(next))
                }
                ("1", "last_seen", "desc", "cD0y") => list(vec![self.issue(TWO), json!({"title": "odd"})], Value::Null),
                ("2", "last_seen", "desc", "") => list(vec![], Value::Null),
                _ => (400, json!({ "sort": ["Must be 'digest_order', 'last_seen', or 'digested_event_count'."] })),
            },
            ("GET", ["issues", id]) if [ONE, TWO].contains(id) => (200, self.issue(id)),
            ("POST", ["issues", ONE, deed]) => {
                // What takes no words is sent none.
                assert_eq!(header("content-length").is_none_or(|length| length == "0"), *deed != "mute-for");
                let mut first = self.first.lock().unwrap();
                match (*deed, *first) {
                    ("resolve", (false, _)) => first.0 = true,
                    ("reopen", (true, _)) => first.0 = false,
                    ("mute" | "mute-for", (false, false)) => first.1 = true,
                    ("unmute", (false, true)) => first.1 = false,
                    ("resolve", _) => return detail(400, "Issue is already resolved."),
                    _ => return detail(400, "Issue is not in that state."),
                }
                drop(first);
                (200, self.issue(ONE))
            }
            ("GET", ["events"]) => match of("issue") {
                "" => (400, json!({ "issue": ["This field is required."] })),
                ONE => list(["c", "b", "a"].map(|id| json!({"id": id, "issue": ONE, "timestamp": "2026-02-02T03:04:05Z"})).to_vec(), Value::Null),
                _ => list(vec![], Value::Null),
            },
            ("GET", ["events", id @ ("a" | "b" | "c")]) => {
                let raw: Value = serde_json::from_str(include_str!("../sentry/fixtures/raw_event.json")).unwrap();
                (200, json!({"id": id, "issue": ONE, "event_id": "f".repeat(32), "timestamp": "2026-02-02T03:04:05Z", "data": raw}))
            }
            _ => detail(404, "Not found."),
        }
    }
}

fn context() -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/bugsink/errors").unwrap(),
        common: Common { timeout: Some(Duration::from_secs(10)), ..Common::default() },
        base: std::env::temp_dir(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

fn config(keys: &str) -> Config {
    toml::from_str(keys).unwrap_or_else(|error| panic!("{keys}: {error}"))
}

fn built(address: SocketAddr, keys: &str) -> Built {
    let config = config(&format!("url = \"http://{address}/api/canonical/0/\"\n{keys}"));
    assert_eq!(config.check(), []);
    config.build(&context()).unwrap()
}

fn issues(collected: &Collected) -> &Issues {
    let [Observation { data: Data::Issues(issues), .. }] = &collected.observations[..] else { panic!("{collected:?}") };
    issues
}

fn key(item: &str) -> ItemKey {
    ItemKey { source: SourceId::parse("shop/bugsink/errors").unwrap(), item: item.to_owned() }
}

fn call(offer: &str) -> Call {
    Call { key: key(ONE), offer: offer.to_owned(), arguments: std::collections::BTreeMap::default() }
}

#[tokio::test]
async fn the_open_issues_of_a_project_are_read_page_by_page() {
    let (place, address) = StandIn::start().await;
    let mut built = built(address, &format!("project = \"The Shop\"\ntoken = \"{TOKEN}\""));
    let collected = built.source.collect().await.unwrap();
    let all = issues(&collected);
    assert_eq!((all.total, all.server.as_str(), all.items.len()), (2, "bugsink", 2));
    let first = &all.items[0];
    assert_eq!((first.short_id.as_str(), first.title.as_str(), first.events, first.users), ("SHOP-1", "KeyError: 'currency'", 412, None));
    assert_eq!((first.culprit.as_deref(), first.state), (Some("/basket/"), IssueState::Ongoing));
    assert_eq!(first.permalink.as_deref(), Some(format!("http://{address}/issues/issue/{ONE}/event/last/").as_str()));
    // What cannot be read is told.
    assert_eq!((collected.problems.len(), collected.complete), (1, true));
    let asked = place.asked.lock().unwrap().clone();
    assert_eq!(asked[0], "GET /api/canonical/0/projects/");
    assert_eq!(asked[2], "GET /api/canonical/0/issues/?project=1&sort=last_seen&order=desc&cursor=cD0y");
}

#[tokio::test]
async fn all_projects_are_read_and_a_wrong_one_is_told_with_the_right_ones() {
    let (place, address) = StandIn::start().await;
    built(address, &format!("token = \"{TOKEN}\"")).source.collect().await.unwrap();
    assert!(place.asked.lock().unwrap().iter().any(|asked| asked.contains("project=2")));
    let error = built(address, &format!("project = \"shp\"\ntoken = \"{TOKEN}\"")).source.collect().await.unwrap_err();
    assert_eq!((error.kind, error.remedy.as_str()), (ErrorKind::Config, "it sees shop, blog"));
    for (keys, words) in [(TOKEN, "is a Bugsink; the token sees 2 projects"), ("wrong", "refuses the token")] {
        let examined = config(&format!("url = \"http://{address}\"\ntoken = \"{keys}\"")).examine(&context()).await;
        assert!(examined[0].seen.contains(words), "{examined:?}");
    }
    // As a tracker of another kind it is told to be what it is.
    let other: crate::sources::sentry::Config = toml::from_str(&format!("url = \"http://{address}\"\norganization = \"acme\"\ntoken = \"{TOKEN}\"")).unwrap();
    let examined = other.examine(&context()).await;
    assert!(examined[0].seen.ends_with("is a Bugsink, which speaks an API of its own"), "{examined:?}");
    let error = built(address, "token = \"wrong\"").source.collect().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
}

#[tokio::test]
async fn an_event_is_read_down_to_the_line_with_its_neighbours() {
    let (_, address) = StandIn::start().await;
    let service = built(address, &format!("project = \"shop\"\ntoken = \"{TOKEN}\"")).service.unwrap();
    let DetailBody::Event(event) = service.detail(&key(ONE), None).await.unwrap().body else { panic!("no event") };
    assert_eq!((event.id.as_str(), event.previous.as_deref(), event.next.as_deref()), ("c", Some("b"), None));
    let frame = event.exceptions[0].frames.first().unwrap();
    assert!(frame.line.is_some() && !frame.path.is_empty(), "{frame:?}");
    let DetailBody::Event(event) = service.detail(&key(ONE), Some("a")).await.unwrap().body else { panic!("no event") };
    assert_eq!((event.previous, event.next.as_deref()), (None, Some("b")));
    let error = service.detail(&key(TWO), None).await.unwrap_err();
    assert!(error.message.contains("keeps no event"), "{error:?}");
    for (item, part) in [("../../x", None), (ONE, Some("../x"))] {
        assert_eq!(service.detail(&key(item), part).await.unwrap_err().kind, ErrorKind::Config);
    }
}

#[tokio::test]
async fn changes_are_made_to_one_issue_and_taken_back() {
    let (_, address) = StandIn::start().await;
    let mut built = built(address, &format!("project = \"shop\"\ntoken = \"{TOKEN}\""));
    let service = built.service.take().unwrap();
    let ids = |offers: Vec<Offer>| offers.into_iter().map(|offer| offer.id).collect::<Vec<_>>();
    for (offer, state, after) in [(RESOLVE, IssueState::Resolved, vec![UNRESOLVE]), (MUTE, IssueState::Archived, vec![RESOLVE, UNRESOLVE])] {
        built.source.collect().await.unwrap();
        assert_eq!(ids(service.offers(&key(ONE))), [RESOLVE, RESOLVE_NEXT, MUTE, MUTE_FOR]);
        let outcome = service.perform(&call(offer)).await.unwrap();
        assert_eq!(outcome.now.state, Some(state));
        assert_eq!(ids(service.offers(&key(ONE))), after);
        // What is done with or put aside is in the list no more.
        assert_eq!(issues(&built.source.collect().await.unwrap()).items.len(), 1);
        service.perform(&call(UNRESOLVE)).await.unwrap();
        assert_eq!(issues(&built.source.collect().await.unwrap()).items.len(), 2);
    }
    assert!(service.perform(&call(MUTE_FOR)).await.unwrap_err().message.contains("for how long"));
    let week = Call { arguments: BTreeMap::from([(FOR.to_owned(), "604800".to_owned())]), ..call(MUTE_FOR) };
    assert_eq!(service.perform(&week).await.unwrap().now.state, Some(IssueState::Archived));
    // What no list holds any more is found by its number, with what can be done to it.
    let found = service.find(ONE).await.unwrap().unwrap();
    let offers = service.offers_for(&found.key, Seen::Issue(&found.issue.unwrap(), &found.server));
    assert_eq!(ids(offers), [RESOLVE, UNRESOLVE]);
    assert!(service.find("nobody").await.unwrap().is_none() && service.find("../x").await.unwrap().is_none());
    service.perform(&call(UNRESOLVE)).await.unwrap();
    service.perform(&call(RESOLVE)).await.unwrap();
    let error = service.perform(&call(RESOLVE)).await.unwrap_err();
    assert!(error.message.contains("Issue is already resolved"), "{error:?}");
    assert_eq!(service.perform(&call("delete")).await.unwrap_err().kind, ErrorKind::Config);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_told() {
    let page = Page::json(r#"{"next":null,"previous":null,"results":[{"id":1,"slug":"shop","calculated_type":"KeyError"}]}"#);
    let answers = contract::suite(&page, |server: &Server| -> Box<dyn Source> {
        let mut context = context();
        context.common.timeout = Some(contract::TIMEOUT);
        config(&format!("url = \"{}\"\ntoken = \"{SECRET}\"", server.url(""))).build(&context).unwrap().source
    })
    .await;
    let of = |faulty: Faulty| &answers.iter().find(|(of, _)| *of == faulty).unwrap().1;
    assert_eq!(issues(of(Faulty::Ok).as_ref().unwrap()).items.len(), 1);
    for (faulty, kind) in [
        (Faulty::EmptyBody, ErrorKind::Protocol),
        (Faulty::Partial, ErrorKind::Protocol),
        (Faulty::Unauthorized, ErrorKind::Auth),
        (Faulty::NotFound, ErrorKind::Status),
        (Faulty::RateLimited, ErrorKind::RateLimited),
        (Faulty::ServerError, ErrorKind::Status),
        (Faulty::Html, ErrorKind::Protocol),
        (Faulty::HalfBody, ErrorKind::Protocol),
        (Faulty::Endless, ErrorKind::TooLarge),
        (Faulty::Gigabyte, ErrorKind::TooLarge),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Drip, ErrorKind::Timeout),
        (Faulty::Refused, ErrorKind::Connect),
        (Faulty::Redirects, ErrorKind::Protocol),
    ] {
        assert_eq!(kind_of(&answers, faulty), Some(kind), "{faulty:?}: {:?}", of(faulty));
    }
    for faulty in [Faulty::Empty, Faulty::HalfHead, Faulty::EndlessHead, Faulty::BadChunks, Faulty::Garbage, Faulty::Controls, Faulty::TlsSelfSigned] {
        assert!(of(faulty).is_err(), "{faulty:?}");
    }
    assert_eq!(of(Faulty::RateLimited).as_ref().unwrap_err().retry_after_s, Some(7));
}

#[test]
fn keys_are_checked() {
    let places = |keys: &str| config(keys).check().into_iter().map(|complaint| (complaint.path.join("."), complaint.warning)).collect::<Vec<_>>();
    assert_eq!(places("url = \"https://errors.example/\"\ntoken = \"x\""), []);
    assert_eq!(places("url = \"http://errors.example\"\ntoken = \"x\""), [("url".to_owned(), true)]);
    assert_eq!(places("url = \"errors\"\nproject = \" \"\ntoken = \"x\""), [("url".to_owned(), false), ("project".to_owned(), false)]);
}
