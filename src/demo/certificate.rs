//! The demonstration's own certificate authority and the feed's certificate, which soon ends.
//!
//! Keys stay in memory; only the authority's certificate is written, for the `ca` key of the configuration.

use std::sync::Arc;

use chrono::{Datelike, TimeDelta};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Error;
use crate::domain::Timestamp;

/// The name the feed is asked by. Names below `localhost` never leave the machine (RFC 6761, section 6.3).
pub const HOST: &str = "blog.localhost";

/// What a TLS server needs, and what its clients need to trust it.
pub struct Made {
    /// For the server.
    pub server: Arc<ServerConfig>,
    /// The authority's certificate, PEM.
    pub authority: String,
}

/// A date is all that the generator takes without a crate more; so a certificate ends at midnight UTC.
fn midnight(at: Timestamp, days: i64) -> Result<rcgen::CertificateParams, Error> {
    let mut params = CertificateParams::default();
    let from = at - TimeDelta::days(30);
    let until = at.checked_add_signed(TimeDelta::days(days + 1)).ok_or_else(|| Error::Tls("the certificate would end after the end of time".to_owned()))?;
    let date = |at: Timestamp| date_time_ymd(at.year(), at.month() as u8, at.day() as u8);
    params.not_before = date(from);
    params.not_after = date(until);
    Ok(params)
}

/// Makes both. The feed's certificate ends between `days` and `days + 1` days after `now`.
///
/// # Errors
/// When the generator or the TLS library refuses.
pub fn make(now: Timestamp, days: u16) -> Result<Made, Error> {
    let tls = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());

    let mut params = midnight(now, 3_650)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "Demonstration authority");
    let key = KeyPair::generate().map_err(|e| tls(&e))?;
    let authority = params.self_signed(&key).map_err(|e| tls(&e))?;
    let issuer = Issuer::new(params, key);

    let mut params = midnight(now, i64::from(days))?;
    params.distinguished_name.push(DnType::CommonName, HOST);
    params.subject_alt_names.push(rcgen::SanType::DnsName(HOST.try_into().map_err(|e| tls(&e))?));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(|e| tls(&e))?;
    let leaf = params.signed_by(&key, &issuer).map_err(|e| tls(&e))?;

    // The provider is given explicitly: with two in a program the process-wide default panics.
    let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| tls(&e))?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
        .map_err(|e| tls(&e))?;
    Ok(Made { server: Arc::new(server), authority: authority.pem() })
}
