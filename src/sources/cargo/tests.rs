use std::path::Path;

use super::*;
use crate::domain::{Data, ErrorKind, Packages, SourceId};
use crate::sources::contract::{self, Faulty, SECRET};
use crate::sources::{Collected, Common};

fn config(text: &str) -> Config {
    // No test asks the world.
    let text = if text.contains("osv") { text.to_owned() } else { format!("osv = false\n{text}") };
    toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn context(dir: &Path) -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/cargo/web").unwrap(),
        common: Common { timeout: Some(contract::TIMEOUT), ..Common::default() },
        base: dir.to_owned(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

fn put(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

fn packages(collected: &Collected) -> &Packages {
    match &collected.observations[0].data {
        Data::Packages(packages) => packages,
        other => panic!("{other:?}"),
    }
}

const LOCK: &str = r#"version = 4
[[package]]
name = "shop"
version = "0.1.0"
dependencies = ["till"]
[[package]]
name = "till"
version = "1.0.0"
source = "registry+https://index.example/git"
"#;

#[tokio::test]
async fn the_contract_is_kept_against_every_fault() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "Cargo.lock", LOCK);
    let page = contract::Page::json("{\"name\":\"till\",\"vers\":\"1.0.0\",\"yanked\":false}\n{\"name\":\"till\",\"vers\":\"1.1.0\",\"yanked\":false}\n");
    let answers = contract::suite(&page, |server| {
        let url = server.url("/index/");
        config(&format!("manifest = \"Cargo.lock\"\nindex = \"{url}\"\ntoken = \"{SECRET}\"")).build(&context(dir.path())).unwrap().source
    })
    .await;
    for (faulty, kind) in [
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
        (Faulty::TlsSelfSigned, Some(ErrorKind::Tls)),
    ] {
        assert_eq!(contract::kind_of(&answers, faulty), kind, "{faulty:?}");
    }
    let good = answers.iter().find(|(faulty, _)| *faulty == Faulty::Ok).map(|(_, answer)| answer);
    assert!(good.is_some());
}

#[tokio::test]
async fn without_a_registry_advisories_are_asked_for_and_the_rest_is_said_not_to_be_known() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "Cargo.lock", LOCK);
    let alone = |osv: &str| config(&format!("manifest = \"Cargo.lock\"\n{osv}"));
    let osv = crate::demo::advisories::Shelf::of(vec![]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(crate::demo::advisories::serve(listener, std::sync::Arc::new(osv)));
    let collected = alone(&format!("osv = \"{url}\"\nindex = \"http://127.0.0.1:1/\"")).build(&context(dir.path())).unwrap().source.collect().await.unwrap();
    task.abort();
    let known = packages(&collected);
    assert!(known.items.iter().all(|package| package.audited && package.latest.is_none() && package.problem.is_some()), "{known:?}");
    assert!(!collected.complete && !collected.problems.is_empty());
    let missing = config("manifest = \"none/Cargo.lock\"").build(&context(dir.path())).unwrap().source.collect().await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::Missing);
}

#[test]
fn what_replaces_the_index_in_cargos_settings_is_used() {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let near = "[source.crates-io]\nreplace-with = \"mirror\"\n";
    let far = "[source.mirror]\nregistry = \"sparse+https://index.example/crates/\"\n[source.crates-io]\nreplace-with = \"other\"\n";
    assert_eq!(replaced(&texts(&[near, far])).as_deref(), Some("sparse+https://index.example/crates/"));
    assert_eq!(replaced(&texts(&["[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"vendor\"\n"])), None);
    assert_eq!(replaced(&texts(&["not toml ["])), None);
}

#[tokio::test]
async fn the_detail_of_a_crate_has_what_was_said_between_the_locked_release_and_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "Cargo.lock", LOCK);
    let feed = "<feed><entry><title>Release 1.2.0</title><content type=\"html\">&lt;ul&gt;&lt;li&gt;deprecated the drawer&lt;/li&gt;&lt;/ul&gt;</content></entry>\
        <entry><title>1.0.0</title><content type=\"html\">&lt;p&gt;first&lt;/p&gt;</content></entry></feed>";
    let url = crate::sources::registry::tests::serves(|url| {
        vec![
            (
                "/ti/ll/till",
                "text/plain",
                "{\"name\":\"till\",\"vers\":\"1.0.0\",\"yanked\":false}\n{\"name\":\"till\",\"vers\":\"1.2.0\",\"yanked\":false}\n".to_owned(),
            ),
            ("/config.json", "application/json", format!(r#"{{"dl":"{url}dl","api":"{url}"}}"#)),
            ("/api/v1/crates/till", "application/json", format!(r#"{{"crate":{{"name":"till","repository":"{url}shop/till"}}}}"#)),
            ("/shop/till/releases.atom", "application/atom+xml", feed.to_owned()),
        ]
    });
    let service = config(&format!("manifest = \"Cargo.lock\"\nindex = \"{url}\"")).build(&context(dir.path())).unwrap().service.unwrap();
    let (said, link) = crate::sources::registry::tests::notes(&*service, "shop/cargo/web", "till").await;
    assert_eq!(said, ["1.2.0: (Deprecated) deprecated the drawer"]);
    assert_eq!(link.as_deref(), Some(format!("{url}shop/till").as_str()));
}
