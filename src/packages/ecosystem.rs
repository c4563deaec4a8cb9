//! Whose packages: how names and versions are compared there, and by which word advisories know it.
//!
//! What does not belong here: constraints (`versions`, `semver`).

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::versions::{Version, normalised};

/// One world of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ecosystem {
    /// Python's.
    PyPi,
    /// JavaScript's.
    Npm,
    /// Rust's.
    Cargo,
}

impl Ecosystem {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PyPi, Self::Npm, Self::Cargo];

    /// As it is said and kept. Where advisories have the same word it is theirs (OSV schema, "affected[].package.ecosystem"); see
    /// [`Ecosystem::asked`] and [`Ecosystem::is_of`].
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::PyPi => "PyPI",
            Self::Npm => "npm",
            Self::Cargo => "cargo",
        }
    }

    /// As package URLs write it.
    #[must_use]
    pub const fn purl(self) -> &'static str {
        match self {
            Self::PyPi => "pypi",
            Self::Npm => "npm",
            Self::Cargo => "cargo",
        }
    }

    /// How a service of advisories is asked for a package. Rust's packages go by their package URL, which both sides write alike.
    #[must_use]
    pub fn asked(self, name: &str) -> Value {
        match self {
            Self::PyPi | Self::Npm => json!({ "name": name, "ecosystem": self.word() }),
            Self::Cargo => json!({ "purl": format!("pkg:cargo/{name}") }),
        }
    }

    /// Whether a record's `affected[].package` is of this world. Its ecosystem may be followed by a suffix: `PyPI:…`.
    #[must_use]
    pub fn is_of(self, package: &Value) -> bool {
        let text = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default();
        match self {
            Self::PyPi | Self::Npm => text("ecosystem").split(':').next() == Some(self.word()),
            Self::Cargo => text("purl").starts_with("pkg:cargo/"),
        }
    }

    /// By its word.
    #[must_use]
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// The name by which packages are compared.
    #[must_use]
    pub fn name(self, name: &str) -> String {
        match self {
            Self::PyPi => normalised(name),
            Self::Npm | Self::Cargo => name.trim().to_owned(),
        }
    }

    /// The order of two versions; `None` when one of them is none.
    #[must_use]
    pub fn compare(self, a: &str, b: &str) -> Option<Ordering> {
        match self {
            Self::PyPi => Some(Version::parse(a)?.cmp(&Version::parse(b)?)),
            // What stands after `+` does not order (semver.org, 10).
            Self::Npm | Self::Cargo => Some(semantic(a)?.cmp_precedence(&semantic(b)?)),
        }
    }

    /// Whether it is a version that comes before a release.
    #[must_use]
    pub fn is_prerelease(self, version: &str) -> bool {
        match self {
            Self::PyPi => Version::parse(version).is_some_and(|version| version.is_prerelease()),
            Self::Npm | Self::Cargo => semantic(version).is_some_and(|version| !version.pre.is_empty()),
        }
    }
}

/// A version by semver.org; a leading `v` and missing numbers (`1.2`), which records of weaknesses have, are borne.
#[must_use]
pub fn semantic(text: &str) -> Option<semver::Version> {
    let text = text.trim();
    if text.len() > 128 {
        return None;
    }
    let text = text.strip_prefix(['v', '=']).unwrap_or(text);
    semver::Version::parse(text).ok().or_else(|| {
        let dots = text.bytes().filter(|b| *b == b'.').count();
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        (plain && dots < 2).then(|| semver::Version::parse(&format!("{text}{}", ".0".repeat(2 - dots))).ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_world_knows_its_own_packages() {
        let python = json!({ "name": "django", "ecosystem": "PyPI:whl", "purl": "pkg:pypi/django" });
        let rust = json!({ "name": "tokio", "ecosystem": "any word", "purl": "pkg:cargo/tokio" });
        for (world, package, theirs) in [
            (Ecosystem::PyPi, &python, true),
            (Ecosystem::PyPi, &rust, false),
            (Ecosystem::Cargo, &rust, true),
            (Ecosystem::Cargo, &python, false),
            (Ecosystem::Npm, &python, false),
        ] {
            assert_eq!(world.is_of(package), theirs, "{world:?} {package}");
        }
        assert_eq!(Ecosystem::Cargo.asked("tokio"), json!({ "purl": "pkg:cargo/tokio" }));
        assert_eq!(Ecosystem::Npm.asked("@a/b"), json!({ "name": "@a/b", "ecosystem": "npm" }));
    }

    #[test]
    fn each_world_has_its_own_order() {
        assert_eq!(Ecosystem::PyPi.compare("1.0", "1.0.0"), Some(Ordering::Equal));
        assert_eq!(Ecosystem::PyPi.compare("1.0.post1", "1.0"), Some(Ordering::Greater));
        assert_eq!(Ecosystem::Npm.compare("1.0.0-rc.1", "1.0.0"), Some(Ordering::Less));
        assert_eq!(Ecosystem::Cargo.compare("1.2", "1.2.0+build"), Some(Ordering::Equal));
        assert_eq!(Ecosystem::Npm.compare("1.0.post1", "1.0"), None);
        assert_eq!((Ecosystem::PyPi.name("Foo_Bar"), Ecosystem::Npm.name("@a/B_c")), ("foo-bar".into(), "@a/B_c".into()));
    }
}
