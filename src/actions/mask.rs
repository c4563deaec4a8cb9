//! Secrets never reach the screen: what an action prints is masked before anybody sees it.

use crate::io::secret::Secret;

/// What stands in place of a secret.
const DOTS: &str = "••••••••";
/// Shorter secrets are not looked for: they would mask half of every line.
const SHORTEST: usize = 4;

/// The secrets that an action may print.
#[derive(Debug, Clone, Default)]
pub(super) struct Mask(Vec<Secret>);

impl Mask {
    /// Longest first, so that one that holds another is masked whole.
    pub(super) fn new(mut secrets: Vec<Secret>) -> Self {
        secrets.retain(|secret| secret.expose().trim().len() >= SHORTEST);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self(secrets)
    }

    /// The text without them.
    pub(super) fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose(), DOTS))
    }
}
