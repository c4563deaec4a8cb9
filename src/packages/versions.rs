//! Versions, constraints, markers and interpreters of Python packages (PEP 440, PEP 508, PEP 425), behind types of our own, so
//! that the crates below can be replaced.
//!
//! What does not belong here: which version is wanted (`compare`).

use std::fmt;
use std::str::FromStr;

use pep440_rs::{Operator, VersionSpecifiers};
use pep508_rs::{ExtraName, MarkerEnvironment, MarkerEnvironmentBuilder, MarkerTree, VerbatimUrl};

use crate::domain::Bump;

/// A version by PEP 440. `1.0` and `1.0.0` are equal and one order holds them all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pep440_rs::Version);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Version {
    /// Reads one; `None` for text that PEP 440 does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // No version is that long, and the parser need not be tried on a novel.
        let text = text.trim();
        (text.len() <= 128).then(|| pep440_rs::Version::from_str(text).ok()).flatten().map(Self)
    }

    /// Alpha, beta, candidate or development release.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        self.0.any_prerelease()
    }

    /// How far it is from here to a newer version; `None` when that one is not newer.
    #[must_use]
    pub fn bump_to(&self, newer: &Self) -> Option<Bump> {
        // A build of one's own (`1.0+local`) is not behind the `1.0` it was made of, and not ahead of it.
        if newer.0.clone().without_local() <= self.0.clone().without_local() {
            return None;
        }
        let part = |version: &Self, at: usize| version.0.release().get(at).copied().unwrap_or(0);
        Some(if self.0.epoch() != newer.0.epoch() || part(self, 0) != part(newer, 0) {
            Bump::Major
        } else if part(self, 1) != part(newer, 1) {
            Bump::Minor
        } else {
            Bump::Patch
        })
    }

    /// `3.12` of `3.12.4`.
    #[must_use]
    pub fn series(&self) -> (u64, u64) {
        let part = |at: usize| self.0.release().get(at).copied().unwrap_or(0);
        (part(0), part(1))
    }
}

/// Constraints on a version, joined by "and": `>=1.2,<2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    known: VersionSpecifiers,
    /// As written, without blanks.
    text: String,
}

impl Default for Constraint {
    fn default() -> Self {
        Self { known: VersionSpecifiers::empty(), text: String::new() }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Constraint {
    /// Reads what people and tools write: parentheses, trailing commas and blanks are borne. `None` for what PEP 440 does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.trim().trim_start_matches('(').trim_end_matches(')').trim().trim_end_matches(',').trim();
        if bare.len() > 1_024 {
            return None;
        }
        if bare.is_empty() || bare == "*" {
            return Some(Self::default());
        }
        let known = VersionSpecifiers::from_str(bare).ok()?;
        Some(Self { known, text: bare.split_whitespace().collect() })
    }

    /// Whether any version does.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether this version does.
    #[must_use]
    pub fn allows(&self, version: &Version) -> bool {
        self.known.contains(&version.0)
    }

    /// Both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        if other.is_any() {
            return self.clone();
        }
        if self.is_any() {
            return other.clone();
        }
        let new: Vec<_> = other.known.iter().filter(|one| !self.known.iter().any(|known| known == *one)).cloned().collect();
        if new.is_empty() {
            return self.clone();
        }
        let more: Vec<String> = new.iter().map(|one| one.to_string().split_whitespace().collect()).collect();
        Self { known: self.known.iter().cloned().chain(new).collect(), text: format!("{},{}", self.text, more.join(",")) }
    }

    /// The one version that is asked for by `==1.2` or `===1.2`.
    #[must_use]
    pub fn pin(&self) -> Option<String> {
        self.known.iter().find(|one| matches!(one.operator(), Operator::Equal | Operator::ExactEqual)).map(|one| one.version().to_string())
    }

    /// Whether it names a pre-release, which then may be chosen (PEP 440, "handling of pre-releases").
    #[must_use]
    pub fn names_prerelease(&self) -> bool {
        self.known.iter().any(pep440_rs::VersionSpecifier::any_prerelease)
    }

    /// The parts that forbid this version: `<5` of `>=4.2,<5`.
    #[must_use]
    pub fn against(&self, version: &Version) -> String {
        let parts: Vec<String> = self.known.iter().filter(|one| !one.contains(&version.0)).map(|one| one.to_string().split_whitespace().collect()).collect();
        parts.join(",")
    }
}

/// The name by which packages are compared and asked for (PEP 503): lower case, runs of `-`, `_`, `.` become one `-`.
#[must_use]
pub fn normalised(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.trim().chars() {
        if matches!(c, '-' | '_' | '.') {
            if !out.ends_with('-') {
                out.push('-');
            }
        } else {
            out.push(c.to_ascii_lowercase());
        }
    }
    out
}

/// Whether a name may be asked for: ASCII letters, digits and `.-_`, a letter or digit at both ends (PEP 508).
#[must_use]
pub fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 200 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// An environment marker: `python_version < "3.9"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker(MarkerTree);

impl Marker {
    /// Reads one; `None` for what PEP 508 does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // The crate's parser counts characters as bytes and panics on others than ASCII, which no marker has.
        if !text.is_ascii() {
            return None;
        }
        MarkerTree::parse_str::<VerbatimUrl>(text).ok().map(Self)
    }

    /// Whether it holds for this interpreter and no extra. Without one, whatever asks for one may hold.
    #[must_use]
    pub fn holds(&self, interpreter: Option<&Interpreter>) -> bool {
        self.holds_with(interpreter, &[])
    }

    /// Whether it holds where these extras are asked for.
    #[must_use]
    pub fn holds_with(&self, interpreter: Option<&Interpreter>, extras: &[&str]) -> bool {
        let extras: Vec<ExtraName> = extras.iter().filter_map(|extra| ExtraName::from_str(extra).ok()).collect();
        self.0.evaluate_optional_environment(interpreter.and_then(|i| i.markers.as_ref()), &extras)
    }
}

/// One requirement by PEP 508.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Normalised.
    pub name: String,
    /// Which versions.
    pub constraint: Constraint,
    /// Where it comes from instead of an index, without credentials.
    pub url: bool,
    /// When it applies.
    pub marker: Marker,
    /// The extras that are asked for, normalised.
    pub extras: Vec<String>,
}

impl Requirement {
    /// Reads one.
    ///
    /// # Errors
    /// What is not right about it, one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > 8_192 {
            return Err("it is longer than 8 KiB".to_owned());
        }
        let text = text.trim();
        let (name, rest) = text.split_at(name_end(text));
        if !is_name(name) {
            return Err("it begins with no name of a package".to_owned());
        }
        let mut rest = rest.trim_start();
        let mut extras = Vec::new();
        if let Some(list) = rest.strip_prefix('[') {
            let Some((list, after)) = list.split_once(']') else { return Err("the list of extras does not end".to_owned()) };
            let named: Vec<&str> = list.split(',').map(str::trim).filter(|extra| !extra.is_empty()).collect();
            if !named.iter().all(|extra| is_name(extra)) {
                return Err("the list of extras cannot be read".to_owned());
            }
            extras = named.into_iter().map(normalised).collect();
            rest = after.trim_start();
        }
        let url = rest.starts_with('@');
        // An address may hold a semicolon, so there a blank comes before the marker's.
        let (versions, marker) =
            if url { rest.split_once(" ;") } else { rest.split_once(';') }.map_or((rest, ""), |(versions, marker)| (versions, marker.trim()));
        let constraint = if url { Some(Constraint::default()) } else { Constraint::parse(versions) };
        let constraint = constraint.ok_or("the constraint on the version cannot be read")?;
        let marker = if marker.is_empty() { Marker(MarkerTree::TRUE) } else { Marker::parse(marker).ok_or("the marker after the semicolon cannot be read")? };
        Ok(Self { name: normalised(name), constraint, url, marker, extras })
    }
}

/// The end of the name that a text begins with.
#[must_use]
pub fn name_end(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))).unwrap_or(text.len())
}

/// The interpreter that packages are chosen for.
#[derive(Debug, Clone, PartialEq)]
pub struct Interpreter {
    /// `3.12.4`.
    pub version: Version,
    /// As written.
    pub text: String,
    release: pep440_rs::Version,
    markers: Option<MarkerEnvironment>,
    system: System,
}

/// What wheels are built for, beside the version.
#[derive(Debug, Clone, PartialEq, Eq)]
struct System {
    /// As `sys.platform` has it: `linux`, `darwin`, `win32`.
    platform: String,
    /// As wheels write it: `x86_64`, `arm64`, `amd64`.
    machine: String,
    /// Which of Linux's C libraries; `None` where nobody says.
    musl: Option<bool>,
    /// `cp`, `pp`: how tags begin.
    tag: &'static str,
}

/// The variables of markers (PEP 508) as an interpreter tells them of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Told {
    /// `cpython`.
    pub implementation_name: String,
    /// `3.12.4`.
    pub implementation_version: String,
    /// `posix`.
    pub os_name: String,
    /// `x86_64`.
    pub platform_machine: String,
    /// `CPython`.
    pub platform_python_implementation: String,
    /// Of the kernel.
    pub platform_release: String,
    /// `Linux`.
    pub platform_system: String,
    /// Of the kernel, in full.
    pub platform_version: String,
    /// `3.12.4`.
    pub python_full_version: String,
    /// `3.12`.
    pub python_version: String,
    /// `linux`.
    pub sys_platform: String,
}

impl Interpreter {
    /// CPython of this version, on the system that rounds runs on.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let (major, minor) = Version::parse(text)?.series();
        let (os_name, sys_platform, system) = match std::env::consts::OS {
            "macos" => ("posix", "darwin", "Darwin"),
            "windows" => ("nt", "win32", "Windows"),
            _ => ("posix", "linux", "Linux"),
        };
        let full = Version::parse(text)?.to_string();
        let mut interpreter = Self::told(&Told {
            implementation_name: "cpython".to_owned(),
            implementation_version: full.clone(),
            os_name: os_name.to_owned(),
            platform_machine: machine().to_owned(),
            platform_python_implementation: "CPython".to_owned(),
            platform_release: String::new(),
            platform_system: system.to_owned(),
            platform_version: String::new(),
            python_full_version: full,
            python_version: format!("{major}.{minor}"),
            sys_platform: sys_platform.to_owned(),
        })?;
        interpreter.system.musl = Some(cfg!(target_env = "musl"));
        text.trim().clone_into(&mut interpreter.text);
        Some(interpreter)
    }

    /// One that tells of itself, wherever it runs. `None` when it tells no version.
    #[must_use]
    pub fn told(told: &Told) -> Option<Self> {
        let version = Version::parse(&told.python_full_version).or_else(|| Version::parse(&told.python_version))?;
        let markers = MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
            implementation_name: &told.implementation_name,
            implementation_version: &told.implementation_version,
            os_name: &told.os_name,
            platform_machine: &told.platform_machine,
            platform_python_implementation: &told.platform_python_implementation,
            platform_release: &told.platform_release,
            platform_system: &told.platform_system,
            platform_version: &told.platform_version,
            python_full_version: &told.python_full_version,
            python_version: &told.python_version,
            sys_platform: &told.sys_platform,
        });
        // `>=3.13` is meant for 3.13.0rc1 too, as installers read it.
        let release = version.0.only_release();
        let system = System {
            platform: told.sys_platform.clone(),
            machine: told.platform_machine.to_ascii_lowercase(),
            musl: None,
            tag: if told.implementation_name == "pypy" { "pp" } else { "cp" },
        };
        Some(Self { text: version.to_string(), version, release, markers: markers.ok(), system })
    }

    /// Whether `requires-python` lets it in. What cannot be read forbids nothing: old uploads hold all sorts of text.
    #[must_use]
    pub fn satisfies(&self, requires: &str) -> bool {
        Constraint::parse(requires).is_none_or(|constraint| constraint.known.contains(&self.release))
    }

    /// Whether a wheel with these tags (`cp311-abi3-manylinux_2_17_x86_64`, PEP 425) can be installed.
    #[must_use]
    pub fn takes(&self, tags: &str) -> bool {
        let mut parts = tags.split('-');
        let (Some(pythons), Some(abis), Some(platforms)) = (parts.next(), parts.next(), parts.next()) else { return true };
        let (major, minor) = self.version.series();
        let python = pythons.split('.').any(|python| {
            let split = python.find(|c: char| c.is_ascii_digit()).unwrap_or(python.len());
            let (name, digits) = python.split_at(split);
            let (their_major, their_minor) = digits.split_at(digits.len().min(1));
            let their_major = their_major.parse::<u64>().unwrap_or(0);
            let their_minor = their_minor.parse::<u64>().ok();
            if their_major != major {
                return false;
            }
            match name {
                "py" => their_minor.is_none_or(|theirs| theirs <= minor),
                "cp" if self.system.tag == "cp" => abis.split('.').any(|abi| match abi {
                    "abi3" | "none" => their_minor.is_none_or(|theirs| theirs <= minor),
                    _ => their_minor == Some(minor) && abi.trim_end_matches('m') == format!("cp{major}{minor}"),
                }),
                // Which of PyPy's own interfaces it has is not told.
                "pp" if self.system.tag == "pp" => their_minor == Some(minor),
                _ => false,
            }
        });
        python && platforms.split('.').any(|tag| self.system.takes(tag))
    }
}

impl System {
    /// Whether it takes this platform tag.
    fn takes(&self, tag: &str) -> bool {
        let here = self.machine.as_str();
        match self.platform.as_str() {
            _ if tag == "any" => true,
            "darwin" => tag.starts_with("macosx_") && (tag.ends_with(here) || tag.ends_with("universal2")),
            "linux" => {
                let glibc = tag.starts_with("manylinux") || tag.starts_with("linux_");
                let libc = glibc || (self.musl != Some(false) && tag.starts_with("musllinux"));
                libc && tag.ends_with(here)
            }
            "win32" => (tag == "win32" && here == "x86") || tag.strip_prefix("win_") == Some(here),
            _ => false,
        }
    }
}

fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" if std::env::consts::OS == "macos" => "arm64",
        arch => arch,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v(text: &str) -> Version {
        Version::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn a_marker_outside_ascii_is_unreadable_and_no_panic() {
        assert!(Marker::parse("python_version >= '3' \u{fffd} why").is_none());
        assert!(Marker::parse("python_version >= '3'").is_some());
    }

    #[test]
    fn the_order_is_that_of_pep_440() {
        let order = ["1.dev0", "1.0a0.dev0", "1a1", "1b1", "v1.0-rc.1", "1", "1+local", "1.post0.dev1", "1.0-1", "1.0.1", "1.9", "1.10", "1!0.5"];
        for pair in order.windows(2) {
            assert!(v(pair[0]) < v(pair[1]), "{} before {}", pair[0], pair[1]);
        }
        assert_eq!(v("1.0"), v("1.0.0"));
        assert_eq!(v("2.0-ALPHA_3").to_string(), "2.0a3");
        for odd in ["", "latest", "1.0-final-final", "2004d-x", "1..0"] {
            assert_eq!(Version::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_bump_is_told_by_the_first_number_that_differs() {
        for (from, to, bump) in [
            ("5.2.15", "5.2.19", Some(Bump::Patch)),
            ("5.2", "5.2.0.post1", Some(Bump::Patch)),
            ("5.2.15", "5.3", Some(Bump::Minor)),
            ("5.2", "6", Some(Bump::Major)),
            ("9.9", "1!0.1", Some(Bump::Major)),
            ("1.0rc1", "1.0", Some(Bump::Patch)),
            ("1.0", "1.0.0", None),
            ("1.0+local.1", "1.0", None),
            ("2.0", "1.0", None),
        ] {
            assert_eq!(v(from).bump_to(&v(to)), bump, "{from} to {to}");
        }
    }

    #[test]
    fn constraints_are_read_as_people_write_them() {
        let c = |text: &str| Constraint::parse(text).unwrap_or_else(|| panic!("{text}"));
        assert!(c("(>= 1.0, <2,)").allows(&v("1.9")));
        assert!(c("*").is_any() && c("").is_any());
        assert_eq!(c("==1.4.2").pin().as_deref(), Some("1.4.2"));
        assert_eq!(c("==1.4.*").pin(), None);
        assert_eq!(c(">=4.2, <5").against(&v("5.0")), "<5");
        assert!(c("~=1.4.5").allows(&v("1.4.9")) && !c("~=1.4.5").allows(&v("1.5")));
        assert!(!c("<1.0").allows(&v("1.0rc1")) && !c(">1.0").allows(&v("1.0.post1")) && c("==1.0").allows(&v("1.0+local")));
        assert_eq!(Constraint::parse("<= latest"), None);
        assert_eq!(c(">=1").and(&c("<3")).to_string(), ">=1,<3");
    }

    #[test]
    fn requirements_of_every_age_are_read() {
        let r = |text: &str| Requirement::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(r("Foo.Bar_baz").name, "foo-bar-baz");
        assert_eq!(r("a [x,y] >=1 , <2 ; python_version < \"4\"").constraint.to_string(), ">=1,<2");
        assert_eq!(r("asgiref (~=3.2)").constraint.to_string(), "~=3.2");
        assert_eq!(r("a>=1.0,").constraint.to_string(), ">=1.0");
        assert!(r("a @ https://files.example/a-1.0-py3-none-any.whl").url);
        let error = Requirement::parse("a >= hush < x").unwrap_err();
        assert!(!error.contains("hush"), "the line may hold a password: {error}");
    }

    #[test]
    fn markers_ask_the_interpreter() {
        let python = Interpreter::new("3.11.4").unwrap();
        let m = |text: &str| Marker::parse(text).unwrap();
        assert!(m("python_version >= '3.9'").holds(Some(&python)));
        assert!(!m("python_version < '3.9'").holds(Some(&python)));
        assert!(m("python_version < '3.9'").holds(None), "unknown: it may");
        assert!(!m("extra == 'socks'").holds(Some(&python)));
        assert!(!m("sys_platform == 'win32'").holds(Some(&python)) || cfg!(windows));
    }

    #[test]
    fn an_interpreter_takes_what_fits_it() {
        let python = Interpreter::new("3.11.4").unwrap();
        assert!(python.satisfies(">=3.8") && !python.satisfies(">=3.12") && python.satisfies("rubbish") && python.satisfies(""));
        assert!(Interpreter::new("3.13.0rc1").unwrap().satisfies(">=3.13"));
        for (tags, expected) in [
            ("py3-none-any", true),
            ("py2.py3-none-any", true),
            ("py2-none-any", false),
            ("cp312-cp312-any", false),
            ("cp311-cp311-any", true),
            ("cp37-abi3-any", true),
            ("cp313-abi3-any", false),
            ("pp311-pypy311_pp73-any", false),
            ("cp311-cp311-win_amd64", cfg!(windows)),
        ] {
            assert_eq!(python.takes(tags), expected, "{tags}");
        }
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            assert!(python.takes("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"));
            assert!(!python.takes("cp311-cp311-manylinux_2_17_aarch64"));
        }
    }

    fn text() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec!["1", "0", "2", "10", ".", "a", "b1", "rc", ".post1", ".dev0", "+l.1", "1!", "-1", "v", "*", " "]);
        prop::collection::vec(part, 1..7).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in text(), b in text(), c in text()) {
            if let (Some(a), Some(b), Some(c)) = (Version::parse(&a), Version::parse(&b), Version::parse(&c)) {
                prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
                prop_assert_eq!(a == b, a.cmp(&b).is_eq());
                if a <= b && b <= c {
                    prop_assert!(a <= c);
                }
                prop_assert_eq!(Version::parse(&a.to_string()), Some(a.clone()));
                prop_assert!(a.bump_to(&b).is_none() || b.bump_to(&a).is_none());
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = (Version::parse(&text), Constraint::parse(&text), Requirement::parse(&text), Marker::parse(&text));
            let _ = Interpreter::new("3.12").unwrap().takes(&text);
            let _ = normalised(&text);
        }
    }

    #[test]
    fn an_interpreter_elsewhere_tells_what_it_takes() {
        let told = |platform: &str, machine: &str, implementation: &str| {
            let told = Told {
                implementation_name: implementation.into(),
                implementation_version: "3.9.18".into(),
                platform_machine: machine.into(),
                python_full_version: "3.9.18".into(),
                python_version: "3.9".into(),
                sys_platform: platform.into(),
                ..Told::default()
            };
            Interpreter::told(&told).unwrap()
        };
        let linux = told("linux", "aarch64", "cpython");
        let mac = told("darwin", "arm64", "cpython");
        let windows = told("win32", "AMD64", "cpython");
        let pypy = told("linux", "x86_64", "pypy");
        for (tags, takes) in [
            ("py3-none-any", [true, true, true, true]),
            ("cp39-cp39-manylinux_2_17_aarch64.manylinux2014_aarch64", [true, false, false, false]),
            ("cp39-cp39-musllinux_1_1_aarch64", [true, false, false, false]),
            ("cp39-abi3-macosx_11_0_universal2", [false, true, false, false]),
            ("cp39-cp39-win_amd64", [false, false, true, false]),
            ("cp39-cp39-win32", [false, false, false, false]),
            ("pp39-pypy39_pp73-manylinux2014_x86_64", [false, false, false, true]),
            ("cp310-cp310-manylinux2014_aarch64", [false, false, false, false]),
        ] {
            assert_eq!([&linux, &mac, &windows, &pypy].map(|one| one.takes(tags)), takes, "{tags}");
        }
        let marker = Marker::parse("sys_platform == 'win32' and python_version < '3.10'").unwrap();
        assert_eq!((marker.holds(Some(&windows)), marker.holds(Some(&linux))), (true, false));
        assert!(Interpreter::told(&Told::default()).is_none());
    }
}
