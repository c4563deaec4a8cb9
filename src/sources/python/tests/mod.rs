//! Projects as people keep them, against an index on loopback that is strict, slow to please, and sometimes wrong.

mod looks;
mod readers;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::Ordering;

use tokio::task::JoinHandle;

use super::*;
use crate::demo::advisories::{self, Shelf};
use crate::demo::index::{self, Catalogue, Counters, Page, Release};
use crate::domain::{Bump, Data, ErrorKind, Package, Packages, SourceId};
use crate::sources::contract::{self, Faulty, SECRET};
use crate::sources::{Collected, Common};

/// An index that ends with the test.
struct Standing {
    url: String,
    counters: Arc<Counters>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn stand(catalogue: Catalogue) -> Standing {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/simple/", listener.local_addr().unwrap());
    let counters = Arc::new(Counters::default());
    let task = tokio::spawn(index::serve(listener, Arc::new(catalogue), Arc::clone(&counters)));
    Standing { url, counters, task }
}

fn releases(versions: &[&str]) -> Page {
    let at = Some("2026-11-17T00:00:00Z".to_owned());
    Page::Releases(versions.iter().map(|version| Release { at: at.clone(), ..Release::new(version) }).collect(), None)
}

fn shelf(pages: &[(&str, Page)]) -> Catalogue {
    Catalogue { pages: pages.iter().map(|(name, page)| ((*name).to_owned(), page.clone())).collect(), ..Catalogue::default() }
}

fn config(text: &str) -> Config {
    // No test asks the world: what names no service of advisories has the index's own list at most.
    let text = &if text.contains("osv") { text.to_owned() } else { format!("osv = false\neol = false\n{text}") };
    let text = &if text.contains("eol") { text.clone() } else { format!("eol = false\n{text}") };
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn context(dir: &Path) -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/python/app").unwrap(),
        common: Common::default(),
        base: dir.to_owned(),
        trusted: false,
        zone: None,
        cache: Some(dir.join("cache")),
        state: None,
    }
}

fn put(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn install(dir: &Path, name: &str, version: &str, more: &str) {
    let folder = format!("venv/lib/python3.11/site-packages/{}-{version}.dist-info", name.replace('-', "_"));
    put(dir, &format!("{folder}/METADATA"), &format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}\nA long story.\nName: not-this\n"));
    put(dir, "venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.11.4\n");
}

async fn poll(dir: &Path, text: &str) -> Result<Collected, SourceError> {
    config(text).build(&context(dir)).unwrap().source.collect().await
}

fn packages(collected: &Collected) -> &Packages {
    match &collected.observations[0].data {
        Data::Packages(packages) => packages,
        other => panic!("{other:?}"),
    }
}

fn item<'a>(collected: &'a Collected, name: &str) -> &'a Package {
    packages(collected).items.iter().find(|item| item.name == name).unwrap_or_else(|| panic!("no {name} in {collected:#?}"))
}

/// A task that ends with the test.
struct Ends(JoinHandle<std::io::Result<()>>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A service of advisories.
fn knows(shelf: Shelf) -> (String, Arc<Shelf>, Ends) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shelf = Arc::new(shelf);
    let task = Ends(tokio::spawn(advisories::serve(listener, Arc::clone(&shelf))));
    (url, shelf, task)
}

fn weakness(id: &str, aliases: &[&str], name: &str, runs: &[(&str, &str)], vector: &str) -> serde_json::Value {
    let events: Vec<_> = runs.iter().flat_map(|(from, fixed)| [serde_json::json!({ "introduced": from }), serde_json::json!({ "fixed": fixed })]).collect();
    serde_json::json!({
        "id": id, "aliases": aliases, "modified": "2026-11-01T00:00:00Z", "summary": format!("{id} \u{1b}[2J"),
        "severity": if vector.is_empty() { serde_json::json!([]) } else { serde_json::json!([{ "type": "CVSS_V3", "score": vector }]) },
        "affected": [{ "package": { "name": name, "ecosystem": "PyPI" }, "ranges": [{ "type": "ECOSYSTEM", "events": events }] }],
    })
}

const HIGH: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H";

fn count(counter: &std::sync::atomic::AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Notes of a package, as the screen would ask for them.
async fn notes_of(dir: &Path, text: &str, name: &str) -> Result<(crate::domain::Notes, Option<String>), SourceError> {
    let service = config(text).build(&context(dir)).unwrap().service.unwrap();
    let key = crate::sources::ItemKey { source: SourceId::parse("shop/python/app").unwrap(), item: name.to_owned() };
    let detail = service.detail(&key, None).await?;
    match detail.body {
        crate::sources::DetailBody::Notes(notes) => Ok((*notes, detail.link)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_contract_is_kept_against_every_fault() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "requirements.txt", "basket==1.0\n");
    let page = contract::Page::json(&index::json("basket", &[Release::new("1.0"), Release::new("1.1")], None));
    let answers = contract::suite(&page, |server| {
        let url = server.url("/simple/").replace("://", &format!("://me:{SECRET}@"));
        let mut context = context(dir.path());
        (context.common.timeout, context.cache) = (Some(contract::TIMEOUT), None);
        config(&format!("manifest = \"requirements.txt\"\nindex = \"{url}\"")).build(&context).unwrap().source
    })
    .await;
    let kinds = [
        (Faulty::Ok, None),
        (Faulty::Unauthorized, Some(ErrorKind::Auth)),
        (Faulty::NotFound, Some(ErrorKind::Status)),
        (Faulty::RateLimited, Some(ErrorKind::RateLimited)),
        (Faulty::ServerError, Some(ErrorKind::Status)),
        (Faulty::Html, Some(ErrorKind::Protocol)),
        (Faulty::Partial, Some(ErrorKind::Protocol)),
        (Faulty::HalfBody, Some(ErrorKind::Protocol)),
        (Faulty::EmptyBody, Some(ErrorKind::Protocol)),
        (Faulty::Controls, Some(ErrorKind::Protocol)),
        (Faulty::Hang, Some(ErrorKind::Timeout)),
        (Faulty::Drip, Some(ErrorKind::Timeout)),
        (Faulty::Refused, Some(ErrorKind::Connect)),
        (Faulty::TlsExpired, Some(ErrorKind::Tls)),
        (Faulty::TlsSelfSigned, Some(ErrorKind::Tls)),
    ];
    for (faulty, kind) in kinds {
        assert_eq!(contract::kind_of(&answers, faulty), kind, "{faulty:?}");
    }
}
