//! Where `pyproject.toml` and `Pipfile` ask for a package, and such a place with another version and nothing else changed.
//!
//! What does not belong here: lines of requirements files (`pins`), running the tool that locks (`guard`). Pure but for [`complete`].

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::locker::Locker;
use super::pins;
use crate::domain::Package;
use crate::packages::manifests;
use crate::packages::versions::{Constraint, Interpreter, Marker, Requirement, Version, name_end, normalised};

/// Tables of a `Pipfile` that list no packages.
const NO_PACKAGES: [&str; 4] = ["source", "requires", "scripts", "pipenv"];
/// A project does not ask for more than this.
const MOST: usize = 20_000;

/// How a place says what it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `name[extra]>=1 ; marker`.
    Requirement,
    /// `^1.0`, `==1.0`, `*`.
    Range,
}

/// One place that asks for a package.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Declared {
    /// Normalised.
    pub name: String,
    /// What it allows, where that can be told.
    pub constraint: Option<Constraint>,
    /// Of the text between its quotes, in bytes.
    span: Range<usize>,
    form: Form,
}

impl Declared {
    /// Whether it allows one version only.
    pub(super) fn pinned(&self) -> bool {
        self.constraint.as_ref().is_some_and(|constraint| constraint.pin().is_some())
    }

    /// Whether it forbids this version and is no pin.
    pub(super) fn holds(&self, version: &Version) -> bool {
        !self.pinned() && self.constraint.as_ref().is_some_and(|constraint| !constraint.allows(version))
    }
}

/// All places, for this interpreter, in the order of the file; none when it is no TOML.
pub(super) fn all(text: &str, by: Locker, interpreter: Option<&Interpreter>) -> Vec<Declared> {
    let Ok(whole) = DeTable::parse(text) else { return Vec::new() };
    let mut found = Finder { text, interpreter, all: Vec::new() };
    let whole = whole.get_ref();
    if by == Locker::Pipenv {
        for (name, packages) in whole {
            if !NO_PACKAGES.contains(&name.get_ref().as_ref()) {
                found.table(packages);
            }
        }
    } else {
        let get = |path: &[&str]| path.iter().try_fold(None::<&Spanned<DeValue<'_>>>, |at, key| step(whole, at, key).map(Some)).flatten();
        found.list(get(&["project", "dependencies"]));
        for groups in [&["project", "optional-dependencies"][..], &["dependency-groups"], &["tool", "pdm", "dev-dependencies"]] {
            get(groups).and_then(|groups| groups.get_ref().as_table()).into_iter().flat_map(DeTable::values).for_each(|list| found.list(Some(list)));
        }
        found.list(get(&["tool", "uv", "dev-dependencies"]));
        for path in [&["tool", "poetry", "dependencies"], &["tool", "poetry", "dev-dependencies"]] {
            if let Some(table) = get(path) {
                found.table(table);
            }
        }
        for group in get(&["tool", "poetry", "group"]).and_then(|groups| groups.get_ref().as_table()).into_iter().flat_map(DeTable::values) {
            if let Some(table) = group.get_ref().get("dependencies") {
                found.table(table);
            }
        }
    }
    found.all.truncate(MOST);
    found.all
}

fn step<'a, 'i>(whole: &'a DeTable<'i>, at: Option<&'a Spanned<DeValue<'i>>>, key: &str) -> Option<&'a Spanned<DeValue<'i>>> {
    match at {
        None => whole.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value),
        Some(at) => at.get_ref().get(key),
    }
}

struct Finder<'a> {
    text: &'a str,
    interpreter: Option<&'a Interpreter>,
    all: Vec<Declared>,
}

impl Finder<'_> {
    /// Requirements in a list; tables in it include other groups.
    fn list(&mut self, list: Option<&Spanned<DeValue<'_>>>) {
        for value in list.and_then(|list| list.get_ref().as_array()).into_iter().flatten() {
            let Some(Ok(read)) = value.get_ref().as_str().map(Requirement::parse) else { continue };
            if read.marker.holds(self.interpreter)
                && !read.url
                && let Some(span) = self.inside(value)
            {
                self.all.push(Declared { name: read.name, constraint: Some(read.constraint), span, form: Form::Requirement });
            }
        }
    }

    /// A table of names with a range, a table, or several tables for several markers.
    fn table(&mut self, table: &Spanned<DeValue<'_>>) {
        for (name, value) in table.get_ref().as_table().into_iter().flatten() {
            let name = normalised(name.get_ref());
            match value.get_ref() {
                // Poetry keeps the interpreter's own range among the packages.
                _ if name == "python" => {}
                DeValue::Array(several) => several.iter().for_each(|one| self.range(&name, one)),
                _ => self.range(&name, value),
            }
        }
    }

    fn range(&mut self, name: &str, value: &Spanned<DeValue<'_>>) {
        let marker = value.get_ref().get("markers").and_then(|marker| Marker::parse(marker.get_ref().as_str()?));
        if marker.is_some_and(|marker| !marker.holds(self.interpreter)) {
            return;
        }
        let value = if value.get_ref().is_table() { value.get_ref().get("version") } else { Some(value) };
        let Some((value, text)) = value.and_then(|value| Some((value, value.get_ref().as_str()?.trim()))) else { return };
        let bare = text.starts_with(|c: char| c.is_ascii_digit());
        let constraint = match text {
            "*" | "" => Some(Constraint::default()),
            _ if bare => Constraint::parse(&format!("=={text}")),
            // Poetry's own signs are read where the rest of the manifest is; what is not known here holds nothing.
            _ => Constraint::parse(text),
        };
        if let Some(span) = self.inside(value) {
            self.all.push(Declared { name: name.to_owned(), constraint, span, form: Form::Range });
        }
    }

    /// The text of a value without its quotes.
    fn inside(&self, value: &Spanned<DeValue<'_>>) -> Option<Range<usize>> {
        let span = value.span();
        let raw = self.text.get(span.clone())?;
        let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| raw.starts_with(quote) && raw.len() >= 2 * quote.len())?.len();
        Some(span.start + quotes..span.end - quotes)
    }
}

/// Tells packages of a `Pipfile.lock` what the `Pipfile` beside it says of them, where nothing else did. Blocks.
pub fn complete(manifests: &[PathBuf], packages: &mut [Package]) {
    for lock in manifests.iter().filter(|path| path.file_name().is_some_and(|name| name == Locker::Pipenv.lock())) {
        let Ok(text) = manifests::text(&lock.with_file_name(Locker::Pipenv.manifest())) else { continue };
        let all = all(&text, Locker::Pipenv, None);
        for package in packages.iter_mut().filter(|package| package.direct.is_none()) {
            let mut named = all.iter().filter(|one| one.name == package.name).peekable();
            package.direct = Some(named.peek().is_some());
            if package.declared.is_none() {
                let ranges: Vec<String> = named.filter_map(|one| one.constraint.as_ref()).filter(|one| !one.is_any()).map(ToString::to_string).collect();
                package.declared = (!ranges.is_empty()).then(|| ranges.join(","));
            }
        }
    }
}

/// The text with these places at exactly this version; extras, markers and comments stay.
///
/// # Errors
/// Why a place is left alone.
pub(super) fn at_version(text: &str, places: &[&Declared], to: &str) -> Result<String, String> {
    let mut places = places.to_vec();
    places.sort_by_key(|place| std::cmp::Reverse(place.span.start));
    let mut text = text.to_owned();
    for place in places {
        let raw = text.get(place.span.clone()).ok_or("its place is not there")?;
        let new = match place.form {
            Form::Requirement if place.pinned() => pins::repin(raw, 1, &place.name, to)?,
            Form::Requirement => {
                let begin = raw.len() - raw.trim_start().len();
                let name = begin + name_end(&raw[begin..]);
                let end = raw.find(';').unwrap_or(raw.len()).max(name);
                let extras = raw[name..end].find(']').map_or(name, |at| name + at + 1);
                let rest = &raw[end..];
                format!("{}=={to}{}{rest}", &raw[..extras], if rest.is_empty() { "" } else { " " })
            }
            Form::Range if place.pinned() => {
                let signs = raw.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
                format!("{}{to}", &raw[..signs])
            }
            Form::Range => format!("=={to}"),
        };
        text.replace_range(place.span.clone(), &new);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = r#"
[project]
dependencies = [
    "Basket[a] (==1.0) ; python_version > '3'", # keep me
    'till >=1,<2',
    "old<1 ; python_version < '3'",
    "odd @ https://docs.example/odd.whl",
]
[project.optional-dependencies]
lights = ["lamp~=1.0"]
[dependency-groups]
dev = ["shelf", {include-group = "lights"}]
[tool.poetry.dependencies]
python = "^3.9"
rack = "1.0"
peg = {version = "==2.0", extras = ["a"]}
nail = "^1.0"
[tool.poetry.group.docs.dependencies]
page = [{version = "1.5", markers = "python_version < '3'"}, {version = "2.5", markers = "python_version >= '3'"}]
"#;

    fn changed(text: &str, by: Locker, name: &str, to: &str) -> Vec<String> {
        let all = all(text, by, Interpreter::new("3.11").as_ref());
        let named: Vec<&Declared> = all.iter().filter(|one| one.name == name).collect();
        let new = at_version(text, &named, to).unwrap();
        assert_eq!(new.lines().count(), text.lines().count());
        new.lines().zip(text.lines()).filter(|(new, old)| new != old).map(|(new, _)| new.trim().to_owned()).collect()
    }

    #[test]
    fn only_the_version_of_the_place_changes() {
        for (name, to, line) in [
            ("basket", "1.1", r#""Basket[a] (==1.1) ; python_version > '3'", # keep me"#),
            ("till", "1.4", "'till==1.4',"),
            ("lamp", "1.2", r#"lights = ["lamp==1.2"]"#),
            ("shelf", "3", r#"dev = ["shelf==3", {include-group = "lights"}]"#),
            ("rack", "1.1", r#"rack = "1.1""#),
            ("peg", "2.1", r#"peg = {version = "==2.1", extras = ["a"]}"#),
            ("nail", "1.3", r#"nail = "==1.3""#),
            ("page", "2.6", r#"page = [{version = "1.5", markers = "python_version < '3'"}, {version = "2.6", markers = "python_version >= '3'"}]"#),
        ] {
            assert_eq!(changed(PROJECT, Locker::Poetry, name, to), [line], "{name}");
        }
        for name in ["old", "odd", "python", "nobody"] {
            assert!(changed(PROJECT, Locker::Poetry, name, "9").is_empty(), "{name}");
        }
        let pipfile = "[[source]]\nname = \"shop\"\nurl = \"x\"\n[packages]\nbasket = {version = \"==1.0\", markers = \"python_version > '3'\"} # keep\ntill = '*'\n[docs]\nlamp = \"~=1.0\"\n";
        assert_eq!(changed(pipfile, Locker::Pipenv, "basket", "1.1"), ["basket = {version = \"==1.1\", markers = \"python_version > '3'\"} # keep"]);
        assert_eq!(changed(pipfile, Locker::Pipenv, "till", "1.1"), ["till = '==1.1'"]);
        assert_eq!(changed(pipfile, Locker::Pipenv, "lamp", "1.1"), ["lamp = \"==1.1\""]);
        assert!(all("not toml [", Locker::Pdm, None).is_empty());
    }

    #[test]
    fn ranges_hold_and_pins_do_not() {
        let all = all(PROJECT, Locker::Poetry, Interpreter::new("3.11").as_ref());
        let one = |name: &str| all.iter().find(|one| one.name == name).unwrap();
        let two = Version::parse("2.0").unwrap();
        assert!(one("till").holds(&two) && !one("till").holds(&Version::parse("1.9").unwrap()));
        for free in ["basket", "rack", "shelf", "nail"] {
            assert!(!one(free).holds(&two), "{free}");
        }
        assert!(one("basket").pinned() && one("rack").pinned() && one("peg").pinned() && !one("till").pinned());
    }

    #[test]
    fn a_pipfile_tells_what_its_lock_file_does_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Pipfile"), "[packages]\ntill = \">=1,<2\"\nBasket = \"*\"\n").unwrap();
        let package = |name: &str| Package { name: name.to_owned(), ..Package::default() };
        let mut all = [package("till"), package("basket"), package("peg")];
        complete(&[dir.path().join("Pipfile.lock")], &mut all);
        assert_eq!(all.each_ref().map(|one| one.direct), [Some(true), Some(true), Some(false)]);
        assert!(all[0].declared.as_deref().is_some_and(|range| range.contains("<2")) && all[1].declared.is_none() && all[2].declared.is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(\\[project\\]\\n|dependencies = |\\[|\\]|\"|'|basket|==1.0|<2|;|\\n|,|é|[ -~]{0,6}){0,14}") {
            for by in [Locker::Poetry, Locker::Pipenv] {
                let all = all(&text, by, None);
                let _ = at_version(&text, &all.iter().collect::<Vec<_>>(), "9.9");
            }
        }
    }
}
