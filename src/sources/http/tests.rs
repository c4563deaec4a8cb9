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
    let config: Config = toml::from_str(keys).unwrap_or_else(|error| panic!("{keys}: {error}"));
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
