//! The certificate chain that a server showed, also when the handshake failed because of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One certificate of the chain, as the server sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLink {
    /// Subject, common name first where there is one.
    pub subject: String,
    /// Issuer, likewise.
    pub issuer: String,
    /// Valid from.
    #[serde(with = "super::time::seconds")]
    pub not_before: DateTime<Utc>,
    /// Valid until.
    #[serde(with = "super::time::seconds")]
    pub not_after: DateTime<Utc>,
}

/// What a server showed: the leaf's dates, the chain, and whether it verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The name that was asked for.
    pub host: String,
    /// Valid from, of the leaf.
    #[serde(with = "super::time::seconds")]
    pub not_before: DateTime<Utc>,
    /// Valid until: the earliest end of the leaf and its intermediates.
    #[serde(with = "super::time::seconds")]
    pub not_after: DateTime<Utc>,
    /// Issuer of the leaf.
    pub issuer: String,
    /// Subject of the leaf.
    pub subject: String,
    /// Names the leaf is good for.
    #[serde(default)]
    pub names: Vec<String>,
    /// Whether the chain verified for the host, now.
    pub chain_ok: bool,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// All that the server sent, leaf first.
    pub chain: Vec<ChainLink>,
    /// A finding of severity warning from this long before the end, in seconds.
    #[serde(default)]
    pub warning_s: Option<u64>,
    /// A critical one from this long before the end, in seconds.
    #[serde(default)]
    pub critical_s: Option<u64>,
}
