//! Secrets: named by environment variable, file or command; never printed.

use std::fmt;
use std::path::PathBuf;

/// A reference to a secret, as the configuration writes it. Its `Debug` never shows a literal.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `{ env = "NAME" }`.
    Env(String),
    /// `{ file = "path" }`.
    File(PathBuf),
    /// `{ command = ["pass", "show", "x"] }`.
    Command(Vec<String>),
    /// Written out: accepted with a warning.
    Literal(Secret),
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Command(argv) => write!(f, "command {argv:?}"),
            Self::Literal(_) => f.write_str("literal"),
        }
    }
}

/// The secret itself. Not `Display`, not `Serialize`; `Debug` is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret text; call it only where it is put on the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
