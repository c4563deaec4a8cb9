//! TLS settings shared by the sources that have the same ones, the verifier that remembers what a server showed, and what a
//! certificate says.
//!
//! What does not belong here: connecting (`connect`), and when a date is too near (rules).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use chrono::{DateTime, Utc};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Name};

use crate::domain::{Certificate, ChainLink, SourceError};
use crate::io::http;

/// A PEM file is not larger than this.
const PEM_BYTES: u64 = 4 << 20;
/// Certificates of one chain that are looked at.
const CHAIN: usize = 16;
/// Names of one certificate that are kept.
const NAMES: usize = 100;
/// Characters of one name that are kept.
const NAME: usize = 250;

/// What the configuration says of TLS; relative paths are already joined.
#[derive(Debug, Clone, Default)]
pub struct TlsKeys {
    /// Authorities of their own.
    pub ca: Option<PathBuf>,
    /// What we show.
    pub client_certificate: Option<PathBuf>,
    /// Its key.
    pub client_key: Option<PathBuf>,
    /// Whether any certificate will do.
    pub insecure: bool,
}

/// TLS settings as they are used; one for all sources whose files have the same content.
#[derive(Debug)]
pub struct Tls {
    config: ClientConfig,
    verifier: Option<Arc<dyn ServerCertVerifier>>,
}

impl TlsKeys {
    /// Reads the files and gives the shared settings. Blocks on files, and the first time on the platform's root store.
    ///
    /// # Errors
    /// When a file cannot be read or holds nothing of use, or the platform has no authorities.
    pub fn load(&self) -> Result<Arc<Tls>, SourceError> {
        static SHARED: OnceLock<Mutex<HashMap<[u8; 32], Weak<Tls>>>> = OnceLock::new();
        let read = |path: &Option<PathBuf>, key: &str| path.as_deref().map(|path| read_pem(path, key)).transpose();
        let ca = read(&self.ca, "ca")?;
        let certificate = read(&self.client_certificate, "client_certificate")?;
        let key = read(&self.client_key, "client_key")?;
        let mut digest = Sha256::new();
        digest.update([u8::from(self.insecure)]);
        for part in [&ca, &certificate, &key] {
            digest.update(part.as_ref().map_or(0, |bytes| bytes.len() as u64 + 1).to_be_bytes());
            digest.update(part.as_deref().unwrap_or_default());
        }
        let same: [u8; 32] = digest.finalize().into();
        let mut shared = SHARED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = shared.get(&same).and_then(Weak::upgrade) {
            return Ok(tls);
        }
        let verifier = match ca {
            Some(pem) => Some(own_verifier(&pem, self.ca.as_deref().unwrap_or(Path::new("")))?),
            None => match http::platform_verifier() {
                Ok(verifier) => Some(verifier),
                Err(_) if self.insecure => None,
                Err(_) => {
                    let remedy = "install the system's package of certificate authorities, or name a file of them as `ca`";
                    return Err(SourceError::config("this machine has no certificate authorities to check a server with", remedy));
                }
            },
        };
        let config = client_config(certificate.as_deref(), key.as_deref(), self)?;
        let tls = Arc::new(Tls { config, verifier });
        shared.retain(|_, tls| tls.strong_count() > 0);
        shared.insert(same, Arc::downgrade(&tls));
        Ok(tls)
    }
}

impl Tls {
    /// Settings for one connection, and where what the server showed can be read afterwards.
    pub fn for_connection(&self, insecure: bool) -> (Arc<ClientConfig>, Arc<Recorder>) {
        let recorder = Arc::new(Recorder { verifier: self.verifier.clone(), insecure, shown: Mutex::new(None) });
        // The clone copies references; all that is large is shared.
        let mut config = self.config.clone();
        config.dangerous().set_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>);
        (Arc::new(config), recorder)
    }
}

fn read_pem(path: &Path, key: &str) -> Result<Vec<u8>, SourceError> {
    let shown = path.display();
    let about = std::fs::metadata(path);
    let reason = match &about {
        Ok(about) if !about.is_file() => Some("it is no file".to_owned()),
        Ok(about) if about.len() > PEM_BYTES => Some("it is too large for a PEM file".to_owned()),
        Ok(_) => None,
        Err(error) => Some(plain_io(error)),
    };
    let bytes = match reason {
        Some(reason) => Err(reason),
        None => std::fs::read(path).map_err(|error| plain_io(&error)),
    };
    bytes.map_err(|reason| SourceError::config(format!("{shown} cannot be read: {reason}"), format!("`{key}` names a PEM file that this user may read")))
}

fn plain_io(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        kind => kind.to_string(),
    }
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

fn client_config(certificate: Option<&[u8]>, key: Option<&[u8]>, keys: &TlsKeys) -> Result<ClientConfig, SourceError> {
    let wrong = |path: &Option<PathBuf>, what: &str| {
        let shown = path.as_deref().unwrap_or(Path::new("")).display().to_string();
        SourceError::config(format!("{shown} holds no {what}"), "write it as PEM, as `openssl` does")
    };
    let builder = ClientConfig::builder_with_provider(http::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| SourceError::config(format!("TLS cannot be set up: {error}"), "report this"))?
        .with_root_certificates(RootCertStore::empty());
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let chain = certificates(pem);
            if chain.is_empty() {
                return Err(wrong(&keys.client_certificate, "certificate"));
            }
            let place = if key.is_some() { &keys.client_key } else { &keys.client_certificate };
            let key = PrivateKeyDer::from_pem_slice(key.unwrap_or(pem)).map_err(|_| wrong(place, "key that can be read (one without a pass phrase)"))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                SourceError::config(format!("the client certificate cannot be used: {error}"), "check that `client_key` belongs to `client_certificate`")
            })?
        }
    };
    // A resumed session shows no certificate.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Trusts the authorities of one file instead of the system's, and a server whose very certificate stands there.
#[derive(Debug)]
struct OwnVerifier {
    inner: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

/// Verifies servers with the authorities of this file.
///
/// # Errors
/// When it holds no certificate.
pub(in crate::sources) fn own_verifier(pem: &[u8], path: &Path) -> Result<Arc<dyn ServerCertVerifier>, SourceError> {
    let trusted = certificates(pem);
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let wrong = || SourceError::config(format!("{} holds no certificate", path.display()), "`ca` names a PEM file with the certificates of your authorities");
    if roots.is_empty() {
        return Err(wrong());
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), http::provider()).build().map_err(|_| wrong())?;
    Ok(Arc::new(OwnVerifier { inner, trusted }))
}

impl ServerCertVerifier for OwnVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let result = self.inner.verify_server_cert(leaf, others, name, ocsp, now);
        if result.is_err() && self.trusted.iter().any(|trusted| trusted == leaf) {
            // The file names this very certificate: no issuer is needed, its dates and names still count.
            within_dates(leaf, now)?;
            verify_server_name(&ParsedCertificate::try_from(leaf)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        result
    }

    fn verify_tls12_signature(&self, m: &[u8], c: &CertificateDer<'_>, d: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(m, c, d)
    }

    fn verify_tls13_signature(&self, m: &[u8], c: &CertificateDer<'_>, d: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(m, c, d)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn within_dates(leaf: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    if now < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    Ok(())
}

/// What a server showed in one handshake.
#[derive(Debug, Clone)]
pub struct Shown {
    chain: Vec<CertificateDer<'static>>,
    problem: Option<rustls::Error>,
}

/// Verifies as the settings say and remembers what was shown, also when it is refused.
#[derive(Debug)]
pub struct Recorder {
    verifier: Option<Arc<dyn ServerCertVerifier>>,
    insecure: bool,
    shown: Mutex<Option<Shown>>,
}

impl Recorder {
    /// What the server showed, where the handshake came so far.
    pub fn take(&self) -> Option<Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let result = match &self.verifier {
            Some(verifier) => verifier.verify_server_cert(leaf, others, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let chain = std::iter::once(leaf).chain(others).take(CHAIN).map(|der| der.clone().into_owned()).collect();
        let shown = Shown { chain, problem: result.as_ref().err().cloned() };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        if self.insecure { Ok(ServerCertVerified::assertion()) } else { result }
    }

    fn verify_tls12_signature(&self, m: &[u8], c: &CertificateDer<'_>, d: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(m, c, d, &http::provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(&self, m: &[u8], c: &CertificateDer<'_>, d: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(m, c, d, &http::provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        http::provider().signature_verification_algorithms.supported_schemes()
    }
}

impl Shown {
    /// What the chain says; `None` when the leaf cannot be read.
    pub fn certificate(&self, host: &str, now: DateTime<Utc>) -> Option<Certificate> {
        let ders: Vec<&[u8]> = self.chain.iter().map(AsRef::as_ref).collect();
        read_chain(&ders, host, now, self.problem.as_ref())
    }
}

/// Reads a chain, leaf first. Outside bytes: what cannot be read behind the leaf is left out.
pub fn read_chain(ders: &[&[u8]], host: &str, now: DateTime<Utc>, problem: Option<&rustls::Error>) -> Option<Certificate> {
    let (_, leaf) = X509Certificate::from_der(ders.first()?).ok()?;
    let first = link(&leaf)?;
    let mut chain = vec![first.clone()];
    let mut not_after = first.not_after;
    for der in ders.iter().skip(1) {
        let Ok((_, parsed)) = X509Certificate::from_der(der) else { continue };
        let Some(link) = link(&parsed) else { continue };
        // An authority's own certificate is in the store anyway, and an intermediate that ended while the chain still
        // verifies was not needed: neither ends anything.
        let matters = parsed.subject() != parsed.issuer() && (problem.is_some() || link.not_after > now);
        if matters {
            not_after = not_after.min(link.not_after);
        }
        chain.push(link);
    }
    let mut certificate = Certificate {
        host: host.to_owned(),
        not_before: first.not_before,
        not_after,
        issuer: first.issuer,
        subject: first.subject,
        names: names(&leaf),
        chain_ok: problem.is_none(),
        problem: None,
        chain,
        warning_s: None,
        critical_s: None,
    };
    certificate.problem = problem.map(|problem| plain_problem(problem, Some(&certificate), now));
    Some(certificate)
}

fn link(parsed: &X509Certificate<'_>) -> Option<ChainLink> {
    let at = |time: x509_parser::time::ASN1Time| DateTime::from_timestamp(time.timestamp(), 0);
    Some(ChainLink {
        subject: name_text(parsed.subject()),
        issuer: name_text(parsed.issuer()),
        not_before: at(parsed.validity().not_before)?,
        not_after: at(parsed.validity().not_after)?,
    })
}

/// `R11, O=Let's Encrypt, C=US`: the common name first, the rest as it stands.
fn name_text(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|name| name.as_str().ok()).map(str::to_owned);
    let rest = name.to_string();
    let rest = rest.split(", ").filter(|part| common.is_none() || !part.starts_with("CN="));
    clip(&common.iter().map(String::as_str).chain(rest).collect::<Vec<_>>().join(", "))
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = leaf.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(clip(name)),
        GeneralName::IPAddress(bytes) => match *bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            other => <[u8; 16]>::try_from(other).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(text).take(NAMES).collect()
}

fn clip(text: &str) -> String {
    text.chars().take(NAME).collect()
}

/// Why a handshake failed, as a plain phrase.
pub fn plain_problem(error: &rustls::Error, certificate: Option<&Certificate>, now: DateTime<Utc>) -> String {
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(problem) => plain_certificate(problem, certificate, now),
        E::AlertReceived(alert) => format!("the server refused the handshake: {}", alert_words(*alert)),
        E::InvalidMessage(_) => "the server does not speak TLS on this port".to_owned(),
        E::PeerIncompatible(_) => "no common TLS version or cipher".to_owned(),
        E::NoCertificatesPresented => "the server showed no certificate".to_owned(),
        E::PeerMisbehaved(_) => "the server broke the rules of TLS".to_owned(),
        other => format!("the handshake failed: {other}"),
    }
}

fn plain_certificate(problem: &CertificateError, certificate: Option<&Certificate>, now: DateTime<Utc>) -> String {
    use CertificateError as C;
    let ended = |link: &&ChainLink| link.not_after < now;
    match problem {
        C::Expired | C::ExpiredContext { .. } => match certificate {
            Some(certificate) if certificate.chain.first().is_some_and(|leaf| leaf.not_after < now) => {
                format!("the certificate expired on {}", certificate.chain[0].not_after.format("%Y-%m-%d"))
            }
            Some(certificate) => match certificate.chain.iter().find(ended) {
                Some(link) => format!("the certificate of {} expired on {}", link.subject, link.not_after.format("%Y-%m-%d")),
                None => "a certificate of the chain expired".to_owned(),
            },
            None => "the certificate expired".to_owned(),
        },
        C::NotValidYet | C::NotValidYetContext { .. } => match certificate {
            Some(certificate) => format!("the certificate is not valid before {}", certificate.not_before.format("%Y-%m-%d %H:%M UTC")),
            None => "the certificate is not valid yet".to_owned(),
        },
        C::NotValidForName | C::NotValidForNameContext { .. } => match certificate {
            Some(certificate) if !certificate.names.is_empty() => {
                let some: Vec<&str> = certificate.names.iter().take(3).map(String::as_str).collect();
                let more = if certificate.names.len() > 3 { ", …" } else { "" };
                format!("the certificate is not for {} but for {}{more}", certificate.host, some.join(", "))
            }
            _ => "the certificate is not for this name".to_owned(),
        },
        C::UnknownIssuer => match certificate.and_then(|certificate| certificate.chain.last()) {
            Some(last) if last.subject == last.issuer && certificate.is_some_and(|c| c.chain.len() == 1) => "the certificate is self-signed".to_owned(),
            Some(last) => format!("unknown issuer: {}", last.issuer),
            None => "unknown issuer".to_owned(),
        },
        C::Revoked => "the certificate was revoked".to_owned(),
        C::BadSignature => "a signature of the chain is wrong".to_owned(),
        C::BadEncoding => "the certificate cannot be read".to_owned(),
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => "the certificate is not made for a server".to_owned(),
        C::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the certificate is self-signed (an authority's own, used by a server)".to_owned()
        }
        other => format!("the certificate was refused: {other}"),
    }
}

/// `CertificateRequired` as words: `certificate required`.
fn alert_words(alert: rustls::AlertDescription) -> String {
    let mut words = String::new();
    for character in format!("{alert:?}").chars() {
        if character.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(character.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_words() {
        assert_eq!(alert_words(rustls::AlertDescription::CertificateRequired), "certificate required");
    }

    #[test]
    fn settings_of_the_same_files_are_one() {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let [a, b] = ["a.pem", "b.pem"].map(|name| directory.path().join(name));
        std::fs::write(&a, made.cert.pem()).unwrap();
        std::fs::write(&b, made.cert.pem()).unwrap();
        let [one, two] = [&a, &b].map(|path| TlsKeys { ca: Some(path.clone()), ..TlsKeys::default() }.load().unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        let insecure = TlsKeys { ca: Some(a), insecure: true, ..TlsKeys::default() }.load().unwrap();
        assert!(!Arc::ptr_eq(&one, &insecure));
    }

    #[test]
    fn what_cannot_be_read_names_the_file_and_the_key() {
        let directory = tempfile::tempdir().unwrap();
        let gone = TlsKeys { ca: Some(directory.path().join("gone.pem")), ..TlsKeys::default() }.load().unwrap_err();
        assert!(gone.message.contains("gone.pem cannot be read: it is not there") && gone.remedy.contains("`ca`"), "{gone:?}");
        let odd = directory.path().join("odd.pem");
        std::fs::write(&odd, "hello").unwrap();
        let odd = TlsKeys { ca: Some(odd), ..TlsKeys::default() }.load().unwrap_err();
        assert!(odd.message.contains("odd.pem holds no certificate"), "{odd:?}");
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let path = directory.path().join("c.pem");
        std::fs::write(&path, made.cert.pem()).unwrap();
        let keyless = TlsKeys { client_certificate: Some(path), insecure: true, ..TlsKeys::default() }.load().unwrap_err();
        assert!(keyless.message.contains("c.pem holds no key"), "{keyless:?}");
    }

    #[test]
    fn any_bytes_in_a_chain_are_survived() {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let good = made.cert.der().to_vec();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let certificate = read_chain(&[&good, b"rubbish"], "a.example", now, None).unwrap();
        assert_eq!(certificate.names, ["a.example", "127.0.0.1"]);
        assert_eq!((certificate.chain.len(), certificate.chain_ok), (1, true));
        for end in 0..good.len() {
            read_chain(&[&good[..end]], "a.example", now, None);
            let mut odd = good.clone();
            odd[end] ^= 0x55;
            read_chain(&[&odd], "a.example", now, None);
        }
    }
}
