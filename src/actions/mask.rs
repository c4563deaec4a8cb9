//! Secrets never reach the screen: what an action prints is masked before anybody sees it; so is what the person wants redacted.

use crate::io::secret::Secret;
use crate::journal::Redactor;

/// What stands in place of a secret.
const DOTS: &str = "••••••••";
/// Shorter secrets are not looked for: they would mask half of every line.
const SHORTEST: usize = 4;

/// The secrets that an action may print, and what is redacted everywhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Mask {
    secrets: Vec<Secret>,
    redactor: Redactor,
}

impl Mask {
    /// Longest first, so that one that holds another is masked whole.
    pub(super) fn new(mut secrets: Vec<Secret>) -> Self {
        secrets.retain(|secret| secret.expose().trim().len() >= SHORTEST);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self { secrets, redactor: Redactor::default() }
    }

    /// The same, and what these patterns of `[journal] redact` match.
    pub(super) fn redacting(self, patterns: &[String]) -> Self {
        // A pattern that is none was told when the configuration was read.
        Self { redactor: Redactor::new(patterns).unwrap_or_default(), ..self }
    }

    /// The text without them.
    pub(super) fn text(&self, text: &str) -> String {
        self.redactor.line(&self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose(), DOTS)))
    }
}
