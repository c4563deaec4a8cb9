//! The demonstration over real sockets and files.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

use super::lines::File;
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn begin(seconds: u64) -> Options {
    Options { begin: Duration::from_secs(seconds), ..Options::default() }
}

fn connect(port: u16) -> TcpStream {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn ask(port: u16, method: &str, target: &str) -> String {
    let mut socket = connect(port);
    write!(socket, "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn wait_for(what: &str, mut found: impl FnMut() -> bool) {
    let began = Instant::now();
    while !found() {
        assert!(began.elapsed() < PATIENCE, "{what} did not happen");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn in_calm_every_page_answers_as_it_should() {
    let site = Site::temporary(Options::default()).unwrap();
    for page in pages::ALL.into_iter().filter(|page| page.host() != pages::Host::Feed) {
        let port = if page.host() == pages::Host::Shop { site.ports().shop } else { site.ports().blog };
        let answer = ask(port, "GET", page.path());
        assert!(answer.starts_with(&format!("HTTP/1.1 {} ", page.status())), "{page:?}: {answer}");
        assert!(answer.ends_with(page.body()), "{page:?}: {answer}");
    }
}

#[test]
fn the_servers_are_strict() {
    let site = Site::temporary(Options::default()).unwrap();
    let port = site.ports().shop;
    assert!(ask(port, "GET", "/none/").starts_with("HTTP/1.1 404 "));
    let answer = ask(port, "POST", "/basket/").to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 405 ") && answer.contains("allow: get, head"), "{answer}");
    let answer = ask(port, "HEAD", "/");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    let mut socket = connect(port);
    socket.write_all(b"\x16\x03\x01 nonsense\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[test]
fn trouble_shows_on_the_wire_and_in_the_log() {
    let site = Site::temporary(begin(20)).unwrap();
    assert!(ask(site.ports().shop, "GET", "/basket/").starts_with("HTTP/1.1 500 "));
    let log = site.dir().join(File::Shop.path());
    wait_for("a traceback", || fs::read_to_string(&log).unwrap().contains("KeyError: 'currency'"));
    wait_for("the probe's line", || fs::read_to_string(&log).unwrap().contains("GET /basket/ 500 "));
}

#[test]
fn the_tracker_knows_the_new_error_and_who_may_ask() {
    let site = Site::temporary(begin(40)).unwrap();
    let target = "/api/0/organizations/acme/issues/?query=is%3Anew";
    assert!(ask(site.ports().tracker, "GET", target).starts_with("HTTP/1.1 401 "));
    let token = fs::read_to_string(site.dir().join("tracker.token")).unwrap();
    let mut socket = connect(site.ports().tracker);
    write!(socket, "GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n", token.trim()).unwrap();
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"shortId\":\"SHOP-4K2\"") && answer.contains("KeyError: 'currency'"), "{answer}");
}

#[test]
fn a_flaky_answer_ends_in_the_middle() {
    let whole = pages::Page::ShopCheckout.body();
    // The moment is short; a busy machine may miss it once.
    wait_for("half an answer", || {
        let site = Site::temporary(begin(71)).unwrap();
        let answer = ask(site.ports().shop, "GET", "/checkout/");
        answer.contains(&format!("content-length: {}", whole.len())) && !answer.ends_with(whole)
    });
}

#[test]
fn a_hanging_page_gives_nothing_and_holds_nobody_up() {
    let site = Site::temporary(begin(440)).unwrap();
    let mut hanging = connect(site.ports().shop);
    hanging.write_all(b"GET /search/ HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(ask(site.ports().shop, "GET", "/health/").starts_with("HTTP/1.1 200 "));
    hanging.set_nonblocking(true).unwrap();
    assert!(hanging.read(&mut [0]).is_err(), "no byte yet, and not closed");
}

#[test]
fn deploys_are_told_as_they_happen() {
    let mut site = Site::temporary(Options { begin: script::DEPLOY.saturating_sub(Duration::from_millis(300)), ..Options::default() }).unwrap();
    let mut messages = site.messages().unwrap();
    assert!(site.messages().is_none());
    let Some(Msg::Events(events)) = messages.blocking_recv() else { panic!("no deploy") };
    assert_eq!(events[0].site, "shop");
    assert_eq!(events[0].kind, TransitionKind::Deploy { version: "v214".into(), by: "ci".into() });
    drop(site);
    assert_eq!(messages.blocking_recv(), None);
}

#[test]
fn the_feed_is_trusted_by_its_own_authority_and_ends_soon() {
    let site = Site::temporary(Options::default()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(site.dir().join("ca.pem")).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), ServerName::try_from(certificate::HOST).unwrap()).unwrap();
    let mut socket = connect(site.ports().feed);
    let mut stream = rustls::Stream::new(&mut tls, &mut socket);
    write!(stream, "GET /feed/ HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", certificate::HOST).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(String::from_utf8(answer).unwrap().contains("<rss"));

    let leaf = &tls.peer_certificates().unwrap()[0];
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf).unwrap();
    let days = (leaf.validity().not_after.timestamp() - clock::now().timestamp()) / 86_400;
    assert!((8..=9).contains(&days), "{days} days");
}

#[test]
fn the_end_leaves_nothing_behind() {
    let site = Site::temporary(Options::default()).unwrap();
    let (dir, port) = (site.dir().to_owned(), site.ports().shop);
    assert!(site.config_path().is_file() && site.state_dir().is_dir());
    let mut idle = connect(port);
    site.stop();
    assert!(!dir.exists());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)), "an open connection is ended");
}

#[test]
fn a_kept_directory_stays_and_is_never_overwritten() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("learn");
    Site::start(&dir, Options::default()).unwrap().stop();
    let before = fs::read_to_string(dir.join("rounds.toml")).unwrap();
    assert!(dir.join("ca.pem").is_file() && dir.join(File::Shop.path()).is_file());

    let error = Site::start(&dir, Options::default()).unwrap_err().to_string();
    assert!(error.contains("rounds.toml exists already"), "{error}");
    assert_eq!(fs::read_to_string(dir.join("rounds.toml")).unwrap(), before);
}

#[test]
fn somebody_elses_folder_is_refused_before_anything_is_written() {
    for name in ["shop", "blog", "backups"] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(name)).unwrap();
        let error = Site::start(dir.path(), Options::default()).unwrap_err().to_string();
        assert!(error.contains(&format!("{name} exists already")), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
