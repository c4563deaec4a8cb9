//! Support dates against a service on loopback that speaks as endoflife.date does, and against none.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::demo::advisories::{self, Shelf};
use crate::domain::{Data, ErrorKind, LifeLines, SourceId};
use crate::sources::Common;
use crate::sources::contract::{self, Faulty};

fn context(cache: Option<&Path>) -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/eol/stack").unwrap(),
        common: Common { every: Some(Duration::from_secs(1)), ..Common::default() },
        base: "/".into(),
        trusted: false,
        zone: None,
        cache: cache.map(Path::to_owned),
        state: None,
    }
}

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn lines(collected: &Collected) -> &LifeLines {
    match &collected.observations[0].data {
        Data::Life(lines) => lines,
        other => panic!("{other:?}"),
    }
}

fn teapot() -> serde_json::Value {
    serde_json::json!({ "name": "teapot", "label": "Teapot", "releases": [
        { "name": "2", "releaseDate": "2026-01-01", "isLts": false, "eolFrom": null, "isEol": false },
        { "name": "1", "releaseDate": "2020-01-01", "isLts": false, "eolFrom": "2025-01-01", "isEol": true, "latest": { "name": "1.9\u{1b}[2J" } },
    ]})
}

#[tokio::test]
async fn dates_are_looked_up_kept_and_else_those_of_the_program_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1", listener.local_addr().unwrap());
    let shelf = Arc::new(Shelf { products: [("teapot".to_owned(), teapot())].into(), ..Shelf::default() });
    let task = tokio::spawn(advisories::serve(listener, Arc::clone(&shelf)));
    let text = format!("url = \"{url}\"\nproducts = {{ teapot = \"1.3\", django = \"4.2.30\", kettle = \"1\" }}");
    let look = || async { config(&text).build(&context(Some(dir.path()))).unwrap().source.collect().await.unwrap() };
    let seen = look().await;
    let all: Vec<String> = lines(&seen).items.iter().map(crate::domain::LifeLine::title).collect();
    assert_eq!(all, ["Teapot 1", "Django 4.2 LTS"], "what ended first comes first");
    assert!(!lines(&seen).items[0].latest.as_deref().unwrap().contains('\u{1b}'));
    assert!(lines(&seen).embedded, "the service does not know Django");
    let told: Vec<&str> = seen.problems.iter().map(|problem| problem.subject.as_str()).collect();
    assert_eq!(told, ["django", "kettle"]);
    assert!(seen.problems[0].message.ends_with("dates of 22 Aug 2026 are used"), "{:?}", seen.problems);
    let before = shelf.dates.load(Ordering::Relaxed);
    shelf.status.store(503, Ordering::Relaxed);
    let kept = look().await;
    assert_eq!(lines(&kept).items, lines(&seen).items, "what was said last stays");
    assert!(kept.problems.iter().any(|problem| problem.subject == "teapot" && problem.message.contains("answers 503")), "{:?}", kept.problems);
    assert_eq!(before, 3);
    task.abort();
}

#[tokio::test]
async fn the_contract_is_kept_against_every_fault() {
    let page =
        contract::Page::json(&serde_json::json!({ "schema_version": "1.2.1", "generated_at": "2026-08-22T08:52:34+00:00", "result": teapot() }).to_string());
    let answers = contract::suite(&page, |server| {
        let mut context = context(None);
        context.common.timeout = Some(contract::TIMEOUT);
        config(&format!("url = \"{}\"\nproducts = {{ teapot = \"1\" }}", server.url("/api/v1"))).build(&context).unwrap().source
    })
    .await;
    let kinds = [
        (Faulty::Ok, None),
        (Faulty::Unauthorized, Some(ErrorKind::Auth)),
        (Faulty::NotFound, Some(ErrorKind::Status)),
        (Faulty::RateLimited, Some(ErrorKind::RateLimited)),
        (Faulty::ServerError, Some(ErrorKind::Status)),
        (Faulty::Html, Some(ErrorKind::Protocol)),
        (Faulty::HalfBody, Some(ErrorKind::Protocol)),
        (Faulty::EmptyBody, Some(ErrorKind::Protocol)),
        (Faulty::Hang, Some(ErrorKind::Timeout)),
        (Faulty::Refused, Some(ErrorKind::Connect)),
    ];
    for (faulty, kind) in kinds {
        assert_eq!(contract::kind_of(&answers, faulty), kind, "{faulty:?}");
    }
}

#[test]
fn wrong_keys_are_told_with_their_place() {
    let wrong = config("url = \"dates.example\"\nproducts = { Django = \"5.2\", redis = \"latest\" }");
    let told: Vec<String> = wrong.check().into_iter().map(|one| one.path.join(".")).collect();
    assert_eq!(told, ["products.Django", "products.redis", "url"]);
    assert_eq!(config("products = {}").check()[0].path, ["products"]);
}

#[tokio::test]
async fn versions_are_told_by_commands_and_the_last_word_holds() {
    let dir = tempfile::tempdir().unwrap();
    let tool = dir.path().join("tool");
    let script = crate::sources::contract::commands::script;
    script(&tool, "echo 'Server: django/4.2.30'").await;
    let text = format!("url = \"http://127.0.0.1:9/api/v1\"\nproducts = {{ python = \"3.12\" }}\nfrom = {{ django = [{:?}] }}", tool.to_str().unwrap());
    let mut context = context(None);
    assert!(config(&text).build(&context).is_err(), "commands need trust");
    context.trusted = true;
    let mut source = config(&text).build(&context).unwrap().source;
    let seen = source.collect().await.unwrap();
    let django = |collected: &Collected| lines(collected).items.iter().find(|item| item.product == "django").map(|item| item.version.clone());
    assert_eq!(django(&seen).as_deref(), Some("4.2.30"));
    script(&tool, "echo nothing; exit 3").await;
    let seen = source.collect().await.unwrap();
    assert_eq!(django(&seen).as_deref(), Some("4.2.30"));
    assert!(seen.problems.iter().any(|problem| problem.subject == "django" && problem.message.contains('3')), "{:?}", seen.problems);

    // What was never told is no product that is well.
    let alone = format!("from = {{ django = [{:?}] }}", tool.to_str().unwrap());
    let error = config(&alone).build(&context).unwrap().source.collect().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Missing);
    for (text, said) in [
        ("from = { django = [] }", "the command is empty"),
        ("from = { 'no name' = ['x'] }", "this is no name of a product"),
        ("from = { django = ['x'] }\nproducts = { django = '5.2' }", "`products` names its version already"),
        ("", "no product is named"),
    ] {
        assert_eq!(config(text).check().iter().map(|one| one.message.as_str()).collect::<Vec<_>>(), [said], "{text}");
    }
}
