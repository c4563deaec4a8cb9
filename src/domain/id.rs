//! Names and ids. A source's id is `site/kind/name`, a finding's is `source#rule` or `source#rule:subject`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is outside `[a-z0-9][a-z0-9._-]*`.
    #[error("\"{0}\" is not a name: use lower-case letters, digits, '.', '_' and '-', beginning with a letter or digit")]
    Alphabet(String),
    /// A source id does not have the three parts `site/kind/name`.
    #[error("\"{0}\" is not a source: write site/kind/name")]
    Parts(String),
}

/// Whether `text` is a name: `[a-z0-9][a-z0-9._-]*`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
}

/// One deployed application in one environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SiteName(Arc<str>);

impl SiteName {
    /// Checks the alphabet.
    ///
    /// # Errors
    /// When `text` is not `[a-z0-9][a-z0-9._-]*`.
    pub fn new(text: &str) -> Result<Self, IdError> {
        if is_name(text) { Ok(Self(text.into())) } else { Err(IdError::Alphabet(text.to_owned())) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// `site/kind/name`: one configured connection to something that can be observed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceId {
    text: Arc<str>,
    /// Where the two slashes stand: the parts are asked for at every frame.
    slashes: (u16, u16),
}

impl SourceId {
    /// Joins the three parts, each checked.
    ///
    /// # Errors
    /// When a part is outside the alphabet of names.
    pub fn new(site: &str, kind: &str, name: &str) -> Result<Self, IdError> {
        for part in [site, kind, name] {
            if !is_name(part) {
                return Err(IdError::Alphabet(part.to_owned()));
            }
        }
        let place = |bytes: usize| u16::try_from(bytes).map_err(|_| IdError::Parts(format!("{site}/{kind}")));
        let first = place(site.len())?;
        Ok(Self { text: format!("{site}/{kind}/{name}").into(), slashes: (first, place(site.len() + kind.len() + 1)?) })
    }

    /// Reads `site/kind/name`.
    ///
    /// # Errors
    /// When there are not three parts, or one is outside the alphabet.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(site), Some(kind), Some(name), None) => Self::new(site, kind, name),
            _ => Err(IdError::Parts(text.to_owned())),
        }
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn part(&self, from: usize, to: usize) -> &str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// The site's name.
    #[must_use]
    pub fn site(&self) -> &str {
        self.part(0, usize::from(self.slashes.0))
    }

    /// The kind: `http`, `log`, …
    #[must_use]
    pub fn kind(&self) -> &str {
        self.part(usize::from(self.slashes.0) + 1, usize::from(self.slashes.1))
    }

    /// The name within site and kind.
    #[must_use]
    pub fn name(&self) -> &str {
        self.part(usize::from(self.slashes.1) + 1, self.text.len())
    }

    /// `kind/name`, as lists show it beside the site.
    #[must_use]
    pub fn within_site(&self) -> &str {
        self.part(usize::from(self.slashes.0) + 1, self.text.len())
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl TryFrom<String> for SourceId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<SourceId> for String {
    fn from(id: SourceId) -> Self {
        id.text.to_string()
    }
}

/// `source#rule`, with `:subject` where one rule finds several things in one source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingId(Arc<str>);

impl FindingId {
    /// The finding of `rule` about `source`.
    #[must_use]
    pub fn new(source: &SourceId, rule: &str) -> Self {
        Self(format!("{source}#{rule}").into())
    }

    /// The finding of `rule` about one `subject` inside `source`.
    #[must_use]
    pub fn about(source: &SourceId, rule: &str, subject: &str) -> Self {
        Self(format!("{source}#{rule}:{subject}").into())
    }

    /// Takes an id as it was written before.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for the maintenance window of a site wherever who has what is kept: `site#maintenance`. No rule finds it.
    #[must_use]
    pub fn maintenance(site: &str) -> Self {
        Self(format!("{site}#maintenance").into())
    }

    /// The site whose maintenance window it stands for.
    #[must_use]
    pub fn site_in_maintenance(&self) -> Option<&str> {
        self.0.strip_suffix("#maintenance").filter(|site| !site.contains('/'))
    }

    /// What it is about: the part before `#`.
    #[must_use]
    pub fn about_what(&self) -> &str {
        self.0.split_once('#').map_or(&*self.0, |(what, _)| what)
    }

    /// The rule that found it, without its subject.
    #[must_use]
    pub fn rule(&self) -> &str {
        let rest = self.0.split_once('#').map_or("", |(_, rest)| rest);
        rest.split_once(':').map_or(rest, |(rule, _)| rule)
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_alphabet() {
        for good in ["shop", "shop-2", "web.1", "0a", "a_b"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "Shop", "-a", ".a", "_a", "a b", "a/b", "ä"] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_source_id_gives_its_parts_back() {
        let id = SourceId::parse("shop/http/home").unwrap();
        assert_eq!((id.site(), id.kind(), id.name(), id.within_site()), ("shop", "http", "home", "http/home"));
        assert!(SourceId::parse("shop/http").is_err());
        assert!(SourceId::parse("shop/http/home/x").is_err());
        assert!(SourceId::parse("shop/HTTP/home").is_err());
    }

    #[test]
    fn a_finding_id_names_its_rule() {
        let id = SourceId::parse("shop/log/django").unwrap();
        assert_eq!(FindingId::about(&id, "group", "9e1#x").rule(), "group");
        assert_eq!(FindingId::new(&id, "burst").as_str(), "shop/log/django#burst");
    }
}
