//! The address of a repository: a path, or where a server has it. It may hold a password, and then it is a secret.
//!
//! What does not belong here: what a scheme means to one tool (its folder in `sources`).

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use crate::config::diagnostic::without_password;
use crate::domain::SourceError;
use crate::io::secret::{self, Known, SecretRef};

/// An address as the configuration writes it: text, or a reference to one that holds credentials. Its `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(SecretRef);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SecretRef::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Address {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RepositoryAddress".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // Without the mark of a secret: an address without a password may be shown.
        let mut secret = SecretRef::json_schema(generator);
        secret.remove("format");
        secret
    }
}

/// The password in an address: `rest:https://me:PASSWORD@host/`.
fn password(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password).filter(|password| !password.is_empty())
}

impl Address {
    /// The reference, where what it leads to is a secret: it is named elsewhere, or a password is written out in it.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretRef> {
        match &self.0 {
            SecretRef::Literal(text) if password(text.expose()).is_none() => None,
            reference => Some(reference),
        }
    }

    /// The text, where it is written out.
    #[must_use]
    pub fn written(&self) -> Option<&str> {
        match &self.0 {
            SecretRef::Literal(text) => Some(text.expose()),
            _ => None,
        }
    }

    /// For reading, without a password.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.0 {
            SecretRef::Literal(text) => shown(text.expose()),
            reference => format!("{reference:?}"),
        }
    }

    /// The address itself, its password remembered for masking.
    ///
    /// # Errors
    /// As [`secret::resolve`].
    pub async fn resolve(&self, base: &Path, trusted: bool) -> Result<String, SourceError> {
        let text = secret::resolve(&self.0, base, trusted).await?;
        if let Some(password) = password(text.expose()) {
            Known::of_process().remember(password);
        }
        Ok(text.expose().to_owned())
    }
}

/// An address for reading, without a password.
#[must_use]
pub fn shown(address: &str) -> String {
    without_password(address).chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_password_is_a_secret() {
        for (text, secret, expected) in [
            ("/backups/shop", false, "/backups/shop"),
            ("sftp:me@nas1:/backups", false, "sftp:me@nas1:/backups"),
            ("rest:https://backup1.example:8000/shop", false, "rest:https://backup1.example:8000/shop"),
            ("rest:https://me:hush-hush@backup1.example/shop", true, "rest:https://me:***@backup1.example/shop"),
            ("ssh://me@nas1:22/./shop", false, "ssh://me@nas1:22/./shop"),
        ] {
            let address: Address = serde_json::from_value(serde_json::json!(text)).unwrap();
            assert_eq!(address.secret().is_some(), secret, "{text}");
            assert_eq!(address.shown(), expected);
            assert!(!format!("{address:?}").contains("hush"));
        }
        let named: Address = serde_json::from_value(serde_json::json!({ "env": "RESTIC_REPOSITORY" })).unwrap();
        assert!(named.secret().is_some());
        assert_eq!(named.shown(), "env RESTIC_REPOSITORY");
    }
}
