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
        id: SourceId::parse("shop/npm/web").unwrap(),
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

const LOCK: &str = r#"{"lockfileVersion":3,"packages":{"":{"dependencies":{"till":"^1.0.0"}},"node_modules/till":{"version":"1.0.0"}}}"#;

#[tokio::test]
async fn the_contract_is_kept_against_every_fault() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "package-lock.json", LOCK);
    let page = contract::Page::json(r#"{"name":"till","dist-tags":{"latest":"1.1.0"},"versions":{"1.0.0":{},"1.1.0":{}}}"#);
    let answers = contract::suite(&page, |server| {
        let url = server.url("/index/");
        config(&format!("manifest = \"package-lock.json\"\nindex = \"{url}\"\ntoken = \"{SECRET}\"")).build(&context(dir.path())).unwrap().source
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
    put(dir.path(), "package-lock.json", LOCK);
    let alone = |osv: &str| config(&format!("manifest = \"package-lock.json\"\n{osv}"));
    let osv = crate::demo::advisories::Shelf::of(vec![]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(crate::demo::advisories::serve(listener, std::sync::Arc::new(osv)));
    let collected = alone(&format!("osv = \"{url}\"\nindex = \"http://127.0.0.1:1/\"")).build(&context(dir.path())).unwrap().source.collect().await.unwrap();
    task.abort();
    let known = packages(&collected);
    assert!(known.items.iter().all(|package| package.audited && package.latest.is_none() && package.problem.is_some()), "{known:?}");
    assert!(!collected.complete && !collected.problems.is_empty());
    let missing = config("manifest = \"none/package-lock.json\"").build(&context(dir.path())).unwrap().source.collect().await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::Missing);
}

#[test]
fn what_npm_is_told_is_used_and_a_token_goes_to_its_own_place() {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let set = |name: &str| (name == "TOKEN").then(|| "hush".to_owned());
    let near = "; ours\nregistry = https://registry.example/npm/\n@own:registry=https://own.example/\n//registry.example/npm/:_authToken=${TOKEN}\n";
    let around = settings(&texts(&[near, "registry=https://far.example/\n"]), None, &set);
    let (registry, token) = around.found.unwrap();
    assert_eq!((registry.as_str(), token.unwrap().expose()), ("https://registry.example/npm/", "hush"));
    assert!(matches!(around.apart.as_slice(), [(scope, url, None)] if scope == "@own/" && url == "https://own.example/"), "{:?}", around.apart);
    let scoped = "@own:registry=https://own.example/npm\n@far:registry=https://own.example.evil/npm\n//own.example/:_authToken=${TOKEN}\n";
    let around = settings(&texts(&[scoped, "@own:registry=https://later.example/\n"]), None, &set);
    let tokens: Vec<_> = around.apart.iter().map(|(scope, url, token)| (scope.as_str(), url.as_str(), token.as_ref().map(Secret::expose))).collect();
    assert_eq!(tokens, [("@own/", "https://own.example/npm", Some("hush")), ("@far/", "https://own.example.evil/npm", None)]);
    let around = settings(&texts(&[near]), Some("https://registry.example.evil/npm/".to_owned()), &set);
    assert!(around.found.unwrap().1.is_none());
    assert!(settings(&texts(&["registry=${NOT_SET}\n"]), None, &set).found.is_none());
}

/// A registry that knows one package and takes one token; keeps what it was asked, with the token.
fn stand(name: &'static str, versions: &'static str) -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = std::sync::Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten().take(20) {
            let mut head = BufReader::new((&stream).take(64 << 10)).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let path = head.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
            let token = head.find_map(|line| line.to_ascii_lowercase().strip_prefix("authorization: ").map(str::to_owned)).unwrap_or_default();
            kept.lock().unwrap().push(format!("{path} {token}"));
            let (status, body) =
                if path == name { ("200 OK", format!("{{\"dist-tags\":{{}},\"versions\":{versions}}}")) } else { ("404 Not Found", "{}".to_owned()) };
            let text = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(text.as_bytes());
        }
    });
    (url, asked)
}

#[tokio::test]
async fn a_scope_is_asked_for_at_its_own_registry_and_its_token_stays_there() {
    let dir = tempfile::tempdir().unwrap();
    let (public, asked_there) = stand("/till", r#"{"1.0.0":{},"1.1.0":{}}"#);
    let (own, asked_own) = stand("/@own%2fbell", r#"{"1.0.0":{},"3.0.0":{}}"#);
    put(
        dir.path(),
        "package-lock.json",
        r#"{"lockfileVersion":3,"packages":{"":{"dependencies":{"till":"^1.0.0","@own/bell":"^1.0.0"}},"node_modules/till":{"version":"1.0.0"},"node_modules/@own/bell":{"version":"1.0.0"}}}"#,
    );
    let place = own.trim_start_matches("http:");
    put(dir.path(), ".npmrc", &format!("@own:registry={own}\n{place}:_authToken=hush\n"));
    let collected =
        config(&format!("manifest = \"package-lock.json\"\nindex = \"{public}\"")).build(&context(dir.path())).unwrap().source.collect().await.unwrap();
    let latest: Vec<_> = packages(&collected).items.iter().map(|one| (one.name.as_str(), one.latest.as_deref())).collect();
    assert_eq!(latest, [("@own/bell", Some("3.0.0")), ("till", Some("1.1.0"))], "{collected:?}");
    assert_eq!(*asked_there.lock().unwrap(), ["/till "]);
    assert_eq!(*asked_own.lock().unwrap(), ["/@own%2fbell bearer hush"]);
    assert!(!format!("{collected:?}").contains("hush"));
    put(dir.path(), ".npmrc", "@own:registry=ftp://own.example/\n");
    let collected =
        config(&format!("manifest = \"package-lock.json\"\nindex = \"{public}\"")).build(&context(dir.path())).unwrap().source.collect().await.unwrap();
    assert!(collected.problems.iter().any(|problem| problem.subject == "@own" && problem.message.contains("cannot be asked")), "{:?}", collected.problems);
    assert_eq!(*asked_there.lock().unwrap(), ["/till ", "/till "], "never at another registry");
}

/// What two releases say of themselves, as a forge feeds it.
const FEED: &str = "<feed><entry><title>v2.0.0</title><content type=\"html\">&lt;h2&gt;Removed&lt;/h2&gt;&lt;ul&gt;&lt;li&gt;the drawer&lt;/li&gt;&lt;/ul&gt;</content></entry>\
    <entry><title>v1.1.0</title><content type=\"html\">&lt;h2&gt;Added&lt;/h2&gt;&lt;ul&gt;&lt;li&gt;a bell&lt;/li&gt;&lt;/ul&gt;</content></entry>\
    <entry><title>v1.0.0</title><content type=\"html\">&lt;p&gt;first&lt;/p&gt;</content></entry></feed>";

#[tokio::test]
async fn the_detail_of_a_package_has_what_was_said_between_the_locked_release_and_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "package-lock.json", LOCK);
    let url = crate::sources::registry::tests::serves(|url| {
        vec![
            ("/till", "application/json", r#"{"name":"till","dist-tags":{"latest":"2.0.0"},"versions":{"1.0.0":{},"1.1.0":{},"2.0.0":{}}}"#.to_owned()),
            ("/till/2.0.0", "application/json", format!(r#"{{"name":"till","repository":{{"type":"git","url":"git+{url}shop/till.git"}}}}"#)),
            ("/shop/till/releases.atom", "application/atom+xml", FEED.to_owned()),
        ]
    });
    let service = config(&format!("manifest = \"package-lock.json\"\nindex = \"{url}\"")).build(&context(dir.path())).unwrap().service.unwrap();
    let (said, link) = crate::sources::registry::tests::notes(&*service, "shop/npm/web", "till").await;
    assert_eq!(said, ["2.0.0: (Breaking) the drawer", "1.1.0: a bell"], "and nothing of the release that is there");
    assert_eq!(link.as_deref(), Some(format!("{url}shop/till.git").as_str()), "the page that a key opens");
}
