//! The source against real sockets: the contract, redirects, TLS, kept connections, proxies, thresholds of the interval.

use std::io::Write;

use super::super::contract::{self, Faulty, Page, SECRET, Server, kind_of};
use super::super::{Cadence, Collected, Common, Source};
use super::*;
use crate::domain::{Certificate, Data, ErrorKind, Health, SourceId, Verdict};

/// A source of these keys, written as TOML.
fn source(keys: &str) -> Box<dyn Source> {
    built(keys).unwrap_or_else(|error| panic!("{keys}: {error:?}")).source
}

fn built(keys: &str) -> Result<Built, SourceError> {
    // A proxy of the environment the tests run in must not come between.
    let keys = if ["proxy = ", "resolve = "].iter().any(|key| keys.contains(key)) { keys.to_owned() } else { format!("proxy = \"none\"\n{keys}") };
    let config: Config = toml::from_str(&keys).unwrap_or_else(|error| panic!("{keys}: {error}"));
    assert_eq!(config.check(), [], "{keys}");
    config.build(&context())
}

fn context() -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/http/home").unwrap(),
        common: Common { timeout: Some(contract::TIMEOUT), ..Common::default() },
        base: std::env::temp_dir(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

/// A file with this content, which is there as long as the value.
fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn health(collected: &Collected) -> &Health {
    let Some(Data::Health(health)) = collected.observations.first().map(|observation| &observation.data) else { panic!("health comes first: {collected:?}") };
    health
}

fn certificate(collected: &Collected) -> Option<&Certificate> {
    collected.observations.iter().find_map(|observation| match &observation.data {
        Data::Certificate(certificate) => Some(certificate),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_a_verdict_with_its_reason() {
    let page = Page::json("{\"status\": \"ok\", \"padding\": \"0123456789\"}");
    let answers = contract::suite(&page, |server| {
        let mut keys = format!(
            "url = \"{}\"\nuser = \"me\"\npassword = \"{SECRET}\"\nheaders = {{ X-Api-Key = \"{SECRET}\" }}\nfollow_redirects = true\nexpect.json = {{ \"/status\" = \"ok\" }}\nproxy = \"none\"\n",
            server.url("/health/?token=x")
        );
        // The file is read at the first poll, after this returns.
        if let Some(ca) = &server.ca {
            let (_, path) = file(ca).keep().unwrap();
            keys.push_str(&format!("ca = {path:?}"));
        }
        source(&keys)
    })
    .await;
    for (faulty, result) in &answers {
        let collected = result.as_ref().unwrap_or_else(|error| panic!("{faulty:?} is a verdict: {error:?}"));
        let health = health(collected);
        let good = matches!(faulty, Faulty::Ok | Faulty::TlsOk);
        assert_eq!(health.verdict == Verdict::Ok, good, "{faulty:?}: {health:?}");
        assert_eq!(health.request, "GET /health/");
    }
    for (faulty, kind) in [
        (Faulty::Empty, ErrorKind::Protocol),
        (Faulty::HalfBody, ErrorKind::Protocol),
        (Faulty::HalfHead, ErrorKind::Protocol),
        (Faulty::Endless, ErrorKind::TooLarge),
        (Faulty::Gigabyte, ErrorKind::TooLarge),
        (Faulty::EndlessHead, ErrorKind::Protocol),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Drip, ErrorKind::Timeout),
        (Faulty::Refused, ErrorKind::Connect),
        (Faulty::Garbage, ErrorKind::Protocol),
        (Faulty::BadChunks, ErrorKind::Protocol),
        (Faulty::Redirects, ErrorKind::Protocol),
        (Faulty::TlsExpired, ErrorKind::Tls),
        (Faulty::TlsWrongName, ErrorKind::Tls),
        (Faulty::TlsSelfSigned, ErrorKind::Tls),
        (Faulty::TlsPlain, ErrorKind::Tls),
        (Faulty::TlsHalf, ErrorKind::Tls),
    ] {
        assert_eq!(kind_of(&answers, faulty), Some(kind), "{faulty:?}: {:?}", answers.iter().find(|(of, _)| *of == faulty));
    }
    // What answers is judged by what was expected, not told as an error.
    for (faulty, summary) in [
        (Faulty::Unauthorized, "401 in"),
        (Faulty::NotFound, "404 in"),
        (Faulty::RateLimited, "429 in"),
        (Faulty::ServerError, "500 in"),
        (Faulty::Html, "200 in"),
        (Faulty::EmptyBody, "200 in"),
        (Faulty::Partial, "200 in"),
        (Faulty::Controls, "200 in"),
    ] {
        let (_, result) = answers.iter().find(|(of, _)| *of == faulty).unwrap();
        let health = health(result.as_ref().unwrap());
        assert!(health.error.is_none() && health.summary().starts_with(summary), "{faulty:?}: {health:?}");
    }
    let told = |faulty: Faulty| answers.iter().find(|(of, _)| *of == faulty).unwrap().1.as_ref().unwrap();
    assert_eq!(health(told(Faulty::Drip)).error.as_ref().unwrap().message, "no answer within 700ms, the answer has only begun");
    assert!(health(told(Faulty::Hang)).error.as_ref().unwrap().message.ends_with("connected but no byte came"));
    assert!(health(told(Faulty::Hang)).phases_ms.connect.is_some(), "what was known is kept");
    // The certificate is there, also when the handshake failed because of it.
    for (faulty, problem) in [
        (Faulty::TlsOk, None),
        (Faulty::TlsExpired, Some("the certificate expired on 2020-02-01")),
        (Faulty::TlsWrongName, Some("the certificate is not for localhost but for other.example")),
        (Faulty::TlsSelfSigned, Some("the certificate is self-signed")),
    ] {
        let certificate = certificate(told(faulty)).unwrap_or_else(|| panic!("{faulty:?}"));
        assert_eq!((certificate.chain_ok, certificate.problem.as_deref()), (problem.is_none(), problem), "{faulty:?}");
        assert_eq!((certificate.warning_s, certificate.critical_s), (Some(21 * 86_400), Some(7 * 86_400)));
        assert_eq!(health(told(faulty)).error.as_ref().map(|error| error.message.as_str()), problem, "{faulty:?}");
    }
    let phases = health(told(Faulty::TlsOk)).phases_ms;
    assert!(phases.resolve.is_some() && phases.connect.is_some() && phases.tls.is_some() && phases.first_byte.is_some() && phases.transfer.is_some());
}

#[tokio::test]
async fn the_interval_is_short_while_failing_and_until_it_is_back() {
    let page = Page::text("ok");
    let down = Server::start(Faulty::ServerError, &page).await;
    let mut source = source(&format!("url = \"{}\"\nretry_every = \"3s\"", down.url("/")));
    let every = |seconds| Cadence::Every(Duration::from_secs(seconds));
    assert_eq!(source.cadence(), every(30));
    source.collect().await.unwrap();
    assert_eq!(source.cadence(), every(3));
    let mut streak = probe::Streak::default();
    for (verdict, failing) in [(Verdict::Ok, false), (Verdict::Down, true), (Verdict::Ok, true), (Verdict::Degraded, false), (Verdict::Degraded, false)] {
        streak.count(verdict, 2);
        assert_eq!(streak.failing, failing, "{verdict:?}");
    }
}

/// The requests' heads that a server of this test saw, and where it listens. Each request gets the next of these answers,
/// the last one again and again; connections are kept unless the request says otherwise.
async fn scripted(answers: Vec<String>) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tx, rx) = tokio::sync::mpsc::unbounded_channel();
    let answers = std::sync::Arc::new(std::sync::Mutex::new(std::collections::VecDeque::from(answers)));
    tokio::spawn(async move {
        let mut connection = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            connection += 1;
            let (tx, answers) = (tx.clone(), std::sync::Arc::clone(&answers));
            tokio::spawn(async move {
                while let Some(head) = contract::request_head(&mut stream).await {
                    let close = head.to_ascii_lowercase().contains("connection: close");
                    let _ = tx.send(format!("connection {connection}\r\n{head}"));
                    let answer = {
                        let mut answers = answers.lock().unwrap();
                        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
                    };
                    let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await;
                    if close {
                        break;
                    }
                }
            });
        }
    });
    (address.to_string(), rx)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

async fn asked(keys: &str) -> Health {
    health(&source(keys).collect().await.unwrap()).clone()
}

#[tokio::test]
async fn a_request_is_what_the_keys_say() {
    let (address, mut heads) = scripted(vec![answer("201 Created", "X-Version: 7\r\n", "made")]).await;
    let health = asked(&format!(
        "url = \"http://{address}/items/?page=2\"\nmethod = \"POST\"\nbody = \"a=1\"\nuser = \"me\"\npassword = \"pw\"\n\
         headers = {{ Content-Type = \"application/x-www-form-urlencoded\", User-Agent = \"probe\" }}\nexpect.status = 201\nexpect.header.x-version = \"^[0-9]+$\"\nexpect.body = \"made\""
    ))
    .await;
    assert_eq!((health.verdict, health.body_bytes, health.request.as_str()), (Verdict::Ok, 4, "POST /items/"));
    let head = heads.recv().await.unwrap();
    for line in [
        "POST /items/?page=2 HTTP/1.1",
        &format!("host: {address}"),
        "authorization: Basic bWU6cHc=",
        "content-type: application/x-www-form-urlencoded",
        "content-length: 3",
        "user-agent: probe",
        "connection: close",
    ] {
        assert!(head.lines().any(|seen| seen == line), "{line} in {head}");
    }
}

#[tokio::test]
async fn redirects_are_told_or_followed() {
    let moved = |to: &str| answer("302 Found", &format!("Location: {to}\r\n"), "");
    let (address, _) = scripted(vec![moved("/login/?next=/")]).await;
    let told = asked(&format!("url = \"http://{address}/\"")).await;
    assert_eq!((told.verdict, told.status_code), (Verdict::Down, Some(302)));
    assert_eq!(told.expectations[0].seen, format!("302 to http://{address}/login/?…"));
    let (address, _) = scripted(vec![moved("/login/")]).await;
    assert_eq!(asked(&format!("url = \"http://{address}/\"\nexpect.redirect = \"/login/\"")).await.verdict, Verdict::Ok);
    assert_eq!(asked(&format!("url = \"http://{address}/\"\nexpect.redirect = \"/other/\"")).await.verdict, Verdict::Down);
    let (address, mut heads) = scripted(vec![moved("/login/"), answer("200 OK", "", "hello")]).await;
    let followed =
        asked(&format!("url = \"http://{address}/\"\nfollow_redirects = true\nbearer = \"t\"\nexpect.redirect = \"/login/\"\nexpect.body = \"hello\"")).await;
    assert_eq!((followed.verdict, followed.status_code), (Verdict::Ok, Some(200)));
    heads.recv().await.unwrap();
    let second = heads.recv().await.unwrap();
    assert!(second.contains("GET /login/") && second.contains("authorization: Bearer t"), "the same host keeps the credentials: {second}");
}

#[tokio::test]
async fn another_host_gets_no_credentials() {
    let (other, mut heads) = scripted(vec![answer("200 OK", "", "")]).await;
    let (address, _) = scripted(vec![answer("307 Temporary Redirect", &format!("Location: http://{other}/\r\n"), "")]).await;
    let keys = format!("url = \"http://{address}/\"\nfollow_redirects = true\nbearer = \"t\"\nheaders = {{ X-Key = \"k\", Accept = \"text/html\" }}");
    assert_eq!(asked(&keys).await.verdict, Verdict::Ok);
    let head = heads.recv().await.unwrap().to_ascii_lowercase();
    assert!(!head.contains("authorization") && !head.contains("x-key") && head.contains("accept: text/html"), "{head}");
    let posted = asked(&format!("{keys}\nmethod = \"POST\"\nbody = \"secret\"")).await;
    assert_eq!(posted.status_code, Some(307), "a body is not sent on to another host");
    assert!(heads.try_recv().is_err());
}

#[tokio::test]
async fn a_kept_connection_is_used_again_and_made_anew_when_it_was_closed() {
    let close = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
    let (address, mut heads) = scripted(vec![answer("200 OK", "", "one"), close, answer("200 OK", "", "three")]).await;
    let mut source = source(&format!("url = \"http://{address}/\"\nkeep_alive = true"));
    let mut connects = Vec::new();
    let mut connections = Vec::new();
    for _ in 0..3 {
        let collected = source.collect().await.unwrap();
        assert_eq!(health(&collected).verdict, Verdict::Ok);
        connects.push(health(&collected).phases_ms.connect.is_some());
        connections.push(heads.recv().await.unwrap().lines().next().unwrap().to_owned());
    }
    assert_eq!(connects, [true, false, true]);
    assert_eq!(connections, ["connection 1", "connection 1", "connection 2"]);
}

#[tokio::test]
async fn a_name_is_pinned_to_an_address() {
    let (address, mut heads) = scripted(vec![answer("200 OK", "", "")]).await;
    let health = asked(&format!("url = \"http://no-such-name.invalid/\"\nresolve = \"{address}\"")).await;
    assert_eq!((health.verdict, health.phases_ms.resolve), (Verdict::Ok, None));
    assert!(heads.recv().await.unwrap().contains("host: no-such-name.invalid"));
    let unknown = asked("url = \"http://no-such-name.invalid/\"\nproxy = \"none\"").await;
    let error = unknown.error.unwrap();
    assert_eq!(error.kind, ErrorKind::Connect);
    assert!(error.message.starts_with("no-such-name.invalid does not resolve: "), "{error:?}");
}

#[tokio::test]
async fn a_plain_request_goes_through_a_proxy_whole() {
    let (proxy, mut heads) = scripted(vec![answer("200 OK", "", "via")]).await;
    let health = asked(&format!("url = \"http://shop.example/health/?a=1\"\nproxy = \"http://me:{SECRET}@{proxy}\"\nexpect.body = \"via\"")).await;
    assert_eq!(health.verdict, Verdict::Ok);
    let head = heads.recv().await.unwrap();
    assert!(head.contains("GET http://shop.example/health/?a=1 HTTP/1.1") && head.contains("proxy-authorization: Basic "), "{head}");
    let refused = Server::start(Faulty::Refused, &Page::text("")).await;
    let error = asked(&format!("url = \"http://shop.example/\"\nproxy = \"http://me:{SECRET}@{}\"", refused.address)).await.error.unwrap();
    assert!(error.message.starts_with(&format!("the proxy {}: connection refused", refused.address)), "{error:?}");
}

/// A proxy that connects to `to` whatever it is asked for, and says what that was.
async fn connecting_proxy(to: std::net::SocketAddr, refuse: bool) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tx, rx) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tx = tx.clone();
            tokio::spawn(async move {
                let _ = tx.send(contract::request_head(&mut stream).await.unwrap_or_default());
                let said: &[u8] = if refuse { b"HTTP/1.1 403 Forbidden\r\n\r\n" } else { b"HTTP/1.1 200 Connected\r\n\r\n" };
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, said).await;
                if !refuse {
                    let mut onward = tokio::net::TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
                }
            });
        }
    });
    (address, rx)
}

#[tokio::test]
async fn tls_goes_through_a_tunnel() {
    let server = Server::start(Faulty::TlsOk, &Page::text("ok")).await;
    let ca = file(server.ca.as_deref().unwrap());
    let (proxy, mut heads) = connecting_proxy(server.address, false).await;
    let keys = |proxy: &str| format!("url = \"{}\"\nca = {:?}\nproxy = \"http://{proxy}\"", server.url("/"), ca.path());
    let collected = source(&keys(&proxy)).collect().await.unwrap();
    assert_eq!(health(&collected).verdict, Verdict::Ok, "{collected:?}");
    assert!(certificate(&collected).unwrap().chain_ok);
    assert!(heads.recv().await.unwrap().starts_with(&format!("CONNECT localhost:{} HTTP/1.1", server.address.port())));
    let (proxy, _heads) = connecting_proxy(server.address, true).await;
    let error = asked(&keys(&proxy)).await.error.unwrap();
    assert!(error.message.starts_with(&format!("the proxy {proxy}: tunnel error: unsuccessful")), "{error:?}");
}

#[tokio::test]
async fn certificates_of_ones_own() {
    let page = Page::text("ok");
    // Without `ca` the same server is refused, with the reason.
    let server = Server::start(Faulty::TlsOk, &page).await;
    let mut unknown = source(&format!("url = \"{}\"\nproxy = \"none\"", server.url("/")));
    match unknown.collect().await {
        Ok(collected) => {
            let error = health(&collected).error.clone().unwrap();
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Tls, "unknown issuer: contract authority"));
            assert!(!certificate(&collected).unwrap().chain_ok);
        }
        // A machine without any authorities cannot look.
        Err(error) => assert_eq!(error.kind, ErrorKind::Config),
    }
    // Insecure accepts, and still says what is wrong.
    let expired = Server::start(Faulty::TlsExpired, &page).await;
    let collected = source(&format!("url = \"{}\"\ninsecure = true\nproxy = \"none\"", expired.url("/"))).collect().await.unwrap();
    assert_eq!(health(&collected).verdict, Verdict::Ok);
    let shown = certificate(&collected).unwrap();
    assert!(!shown.chain_ok && shown.problem.is_some() && shown.not_after.to_rfc3339().starts_with("2020-02-01"), "{shown:?}");
    // A file that is not there: we could not look.
    let error = source(&format!("url = \"{}\"\nca = \"no-such-file.pem\"\nproxy = \"none\"", server.url("/"))).collect().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
    let error = source("url = \"http://127.0.0.1:1/\"\nbearer = { env = \"ROUNDS_TEST_NO_SUCH_VARIABLE\" }").collect().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Missing);
}

#[tokio::test]
async fn a_servers_very_certificate_may_be_trusted() {
    let page = Page::text("ok");
    for (faulty, verdict) in [(Faulty::TlsSelfSigned, Verdict::Ok), (Faulty::TlsWrongName, Verdict::Down), (Faulty::TlsExpired, Verdict::Down)] {
        let server = Server::start(faulty, &page).await;
        let pinned = file(server.leaf.as_deref().unwrap());
        let collected = source(&format!("url = \"{}\"\nca = {:?}", server.url("/"), pinned.path())).collect().await.unwrap();
        assert_eq!(health(&collected).verdict, verdict, "{faulty:?}: {collected:?}");
        assert_eq!(certificate(&collected).unwrap().chain_ok, verdict == Verdict::Ok);
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let authority = contract::Authority::new();
    let server = Server::asking_for_certificates(&authority, &Page::text("ok")).await;
    let ca = file(server.ca.as_deref().unwrap());
    let keys = format!("url = \"{}\"\nca = {:?}", server.url("/"), ca.path());
    let without = source(&keys).collect().await.unwrap();
    let error = health(&without).error.clone().unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Tls, "the server refused the handshake: certificate required"));
    assert!(certificate(&without).unwrap().chain_ok, "the server's own certificate was right");
    let (certificate_pem, key_pem) = authority.issue("client");
    let both = file(&format!("{certificate_pem}{key_pem}"));
    let with = source(&format!("{keys}\nclient_certificate = {:?}", both.path())).collect().await.unwrap();
    assert_eq!(health(&with).verdict, Verdict::Ok, "{with:?}");
    let (c, k) = (file(&certificate_pem), file(&key_pem));
    let split = source(&format!("{keys}\nclient_certificate = {:?}\nclient_key = {:?}", c.path(), k.path())).collect().await.unwrap();
    assert_eq!(health(&split).verdict, Verdict::Ok, "{split:?}");
}

#[test]
fn every_key_is_documented() {
    let schema = crate::sources::kinds::schema::<Config>();
    let keys = |properties: &serde_json::Value| {
        let properties = properties.as_object().unwrap();
        for (key, about) in properties {
            let text = about["description"].as_str().unwrap_or_else(|| panic!("{key} has no description: {about}"));
            assert!(text.ends_with(['.', '`']), "{key}: {text}");
        }
        let mut names: Vec<String> = properties.keys().cloned().collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(
        keys(&schema["properties"]),
        "bearer body ca client_certificate client_key expect failures follow_redirects headers insecure keep_alive method password proxy resolve retry_every successes url user"
    );
    assert_eq!(keys(&schema["$defs"]["ExpectConfig"]["properties"]), "body certificate header json latency not_body redirect status");
    assert_eq!(schema["required"], serde_json::json!(["url"]));
}

#[tokio::test]
async fn bodies_are_unpacked_and_cut() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(b"it is working").unwrap();
    let packed = packer.finish().unwrap();
    let server = raw(move |_| {
        let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len()).into_bytes();
        bytes.extend_from_slice(&packed);
        bytes
    })
    .await;
    assert_eq!(asked(&format!("url = \"http://{server}/\"\nexpect.body = \"working\"")).await.verdict, Verdict::Ok);
    let large = "x".repeat(2 << 20) + "end";
    let (address, _) = scripted(vec![answer("200 OK", "", &large)]).await;
    let health = asked(&format!("url = \"http://{address}/\"\nexpect.body = \"end\"")).await;
    assert_eq!((health.verdict, health.body_bytes, health.error.is_none()), (Verdict::Down, large.len() as u64, true));
    assert!(health.expectations.iter().any(|e| e.name == "body" && e.seen.ends_with("(only the beginning was read)")), "{health:?}");
}

/// A server of one answer made of bytes.
async fn raw(make: impl Fn(&str) -> Vec<u8> + Send + 'static) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(head) = contract::request_head(&mut stream).await else { continue };
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &make(&head)).await;
        }
    });
    address
}

#[tokio::test]
async fn any_bytes_are_a_verdict() {
    // A fixed corpus and bytes made of it: what answers is a verdict, whatever it is.
    let corpus: [&[u8]; 9] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: javascript:alert(1)\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nrubb",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
        b"HTTP/2.0 200\r\n\r\n",
    ];
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let made: Vec<Vec<u8>> = corpus
        .iter()
        .flat_map(|bytes| {
            (0..bytes.len()).step_by(5).flat_map(|at| {
                let mut odd = bytes.to_vec();
                odd[at] ^= 0x8b;
                [bytes[..at].to_vec(), odd]
            })
        })
        .chain(corpus.iter().map(|bytes| bytes.to_vec()))
        .collect();
    let count = made.len();
    let server = raw(move |_| made[turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % count].clone()).await;
    let mut source = source(&format!("url = \"http://{server}/\"\nfollow_redirects = false\nexpect.body = \"ok\"\nexpect.json = {{ \"/a\" = 1 }}"));
    for _ in 0..count {
        let collected = source.collect().await.unwrap();
        assert_eq!(health(&collected).verdict, Verdict::Down, "{collected:?}");
    }
}

#[tokio::test]
async fn nginx_is_probed() {
    let Some(nginx) = crate::testing::tool("nginx") else { return };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let authority = contract::Authority::new();
    let (certificate_pem, key_pem) = authority.issue("localhost");
    for (name, text) in [("ca.pem", authority.pem()), ("c.pem", certificate_pem), ("k.pem", key_pem)] {
        std::fs::write(at.join(name), text).unwrap();
    }
    // Two ports that were free a moment ago.
    let ports: Vec<u16> = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).iter().map(|l| l.local_addr().unwrap().port()).collect();
    let [plain, secure] = ports[..] else { panic!("two ports") };
    let d = at.display();
    let text = format!(
        "daemon off; master_process off; pid {d}/pid; error_log {d}/error.log; events {{ }}\n\
         http {{ access_log off; client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;\n\
         server {{ listen 127.0.0.1:{plain}; listen 127.0.0.1:{secure} ssl; ssl_certificate {d}/c.pem; ssl_certificate_key {d}/k.pem;\n\
         location = /health/ {{ default_type application/json; return 200 '{{\"status\":\"ok\"}}'; }}\n\
         location = /old/ {{ return 301 /health/; }} location = /broken/ {{ return 503; }} }} }}\n"
    );
    std::fs::write(at.join("n.conf"), text).unwrap();
    let argv = [nginx.display().to_string(), "-p".to_owned(), d.to_string(), "-c".to_owned(), at.join("n.conf").display().to_string()];
    let program = crate::io::exec::Program::new(argv.to_vec());
    // Killed with its group when the task is dropped, at the latest after the time limit.
    let running = tokio::spawn(async move { crate::io::exec::run(&program, crate::io::exec::Limits::within(Duration::from_secs(60))).await });
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(("127.0.0.1", plain)).await.is_ok() {
            break;
        }
        assert!(!running.is_finished(), "nginx ended: {:?}", running.await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let health_of = |keys: String| async move { source(&format!("proxy = \"none\"\n{keys}")).collect().await.unwrap() };
    let good = health_of(format!("url = \"http://127.0.0.1:{plain}/health/\"\nexpect.status = [200]\nexpect.json = {{ \"/status\" = \"ok\" }}")).await;
    assert_eq!(health(&good).verdict, Verdict::Ok, "{good:?}");
    let bad = health_of(format!("url = \"http://127.0.0.1:{plain}/broken/\"")).await;
    assert!(health(&bad).summary().starts_with("503 in ") && health(&bad).summary().ends_with(", expected 2xx"), "{bad:?}");
    let old = health_of(format!("url = \"http://127.0.0.1:{plain}/old/\"\nfollow_redirects = true\nexpect.redirect = \"/health/\"")).await;
    assert_eq!(health(&old).verdict, Verdict::Ok, "{old:?}");
    let tls = health_of(format!("url = \"https://localhost:{secure}/health/\"\nca = {:?}\nkeep_alive = true", at.join("ca.pem"))).await;
    assert_eq!(health(&tls).verdict, Verdict::Ok, "{tls:?}");
    let shown = certificate(&tls).unwrap();
    assert!(shown.chain_ok && shown.issuer == "contract authority" && shown.names == ["localhost"], "{shown:?}");
    running.abort();
    let _ = running.await;
}
