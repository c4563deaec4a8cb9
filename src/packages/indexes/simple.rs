//! One project's page of the simple index, boiled down to its releases: JSON (PEP 691, 700, 792) or HTML (PEP 503, 592).
//!
//! What does not belong here: asking for it (`client`).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use chrono::DateTime;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::packages::versions::{Version, normalised};

/// What an index knows of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Every release that can be installed somewhere, newest first.
    pub releases: Vec<Release>,
    /// `archived`, `deprecated`, `quarantined`; `None` for an active one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The release that the project itself names the latest, where the index tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
}

/// One release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// As its files have it.
    #[serde(rename = "v")]
    pub version: String,
    /// When its first file came, in seconds since 1970.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub released_at_s: Option<i64>,
    /// What its files ask of the interpreter, each text once; an empty text asks nothing.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub requires_python: Vec<String>,
    /// Why it was withdrawn (PEP 592), which may be an empty text; `None` when it was not.
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    pub yanked: Option<String>,
    /// Tags of its wheels, where there is nothing else; empty when anybody can install it.
    #[serde(rename = "w", default, skip_serializing_if = "Vec::is_empty")]
    pub wheels: Vec<String>,
}

/// A file that can be installed, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// As written.
    pub name: String,
    /// As written.
    pub version: String,
    /// `py3-none-any` of a wheel; `None` for a source distribution.
    pub tags: Option<String>,
}

/// Name and version by a file's name. `project` (normalised) helps with old names that have hyphens.
#[must_use]
pub fn distribution(file: &str, project: Option<&str>) -> Option<Distribution> {
    if let Some(stem) = file.strip_suffix(".whl") {
        let parts: Vec<&str> = stem.split('-').collect();
        let [name, version, .., python, abi, platform] = parts.as_slice() else { return None };
        let tags = Some(format!("{python}-{abi}-{platform}"));
        return (parts.len() <= 6).then(|| Distribution { name: (*name).to_owned(), version: (*version).to_owned(), tags });
    }
    let stem = [".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar.Z"].iter().find_map(|end| file.strip_suffix(end))?;
    let splits = || stem.match_indices('-').map(|(at, _)| (&stem[..at], &stem[at + 1..]));
    let versioned = |(name, version): (&str, &str)| !name.is_empty() && version.starts_with(|c: char| c.is_ascii_digit() || c == 'v');
    let found = match project {
        Some(project) => splits().find(|(name, version)| normalised(name) == project && !version.is_empty()),
        None => splits().find(|split| versioned(*split)),
    };
    found.map(|(name, version)| Distribution { name: name.to_owned(), version: version.to_owned(), tags: None })
}

/// Text, yes or no, or something else that nobody agreed on.
#[derive(Debug, Default, PartialEq, Eq)]
enum Loose<'a> {
    #[default]
    Nothing,
    Bool(bool),
    Text(Cow<'a, str>),
}

impl Loose<'_> {
    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Loose<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Loose::Bool(value))
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Loose::Text(Cow::Borrowed(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Loose::Text(Cow::Owned(value.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Loose::Nothing)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Loose::Nothing)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Loose::Nothing)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Loose::Nothing)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Loose::Nothing)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Loose::Nothing)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[derive(Debug, Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    meta: Meta<'a>,
    #[serde(borrow)]
    files: Vec<FileOf<'a>>,
    #[serde(borrow, default, rename = "project-status")]
    status: Option<Status<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default, rename = "api-version")]
    version: Loose<'a>,
    // An example of the specification has it here.
    #[serde(borrow, default, rename = "project-status")]
    status: Option<Status<'a>>,
}

#[derive(Debug, Deserialize)]
struct Status<'a> {
    #[serde(borrow, default)]
    status: Loose<'a>,
}

#[derive(Debug, Deserialize)]
struct FileOf<'a> {
    #[serde(borrow, default)]
    filename: Loose<'a>,
    #[serde(borrow, default, rename = "requires-python")]
    requires_python: Loose<'a>,
    #[serde(borrow, default)]
    yanked: Loose<'a>,
    #[serde(borrow, default, rename = "upload-time")]
    upload_time: Loose<'a>,
}

/// One file as both shapes have it.
struct Seen<'a> {
    name: &'a str,
    requires_python: &'a str,
    yanked: Option<&'a str>,
    at: Option<i64>,
}

/// Joins files to releases.
struct Gather<'a> {
    project: &'a str,
    by_text: HashMap<String, usize>,
    by_version: BTreeMap<Version, usize>,
    all: Vec<(Release, bool, bool)>,
}

impl<'a> Gather<'a> {
    fn new(project: &'a str) -> Self {
        Self { project, by_text: HashMap::new(), by_version: BTreeMap::new(), all: Vec::new() }
    }

    /// `false` when the file is nothing that can be installed.
    fn add(&mut self, file: &Seen<'_>) -> bool {
        let Some(found) = distribution(file.name, Some(self.project)) else { return false };
        let at = match self.by_text.get(&found.version) {
            Some(at) => *at,
            None => {
                let next = self.all.len();
                let at = Version::parse(&found.version).map_or(next, |version| *self.by_version.entry(version).or_insert(next));
                if at == next {
                    self.all.push((Release { version: found.version.clone(), yanked: Some(String::new()), ..Release::default() }, false, false));
                }
                self.by_text.insert(found.version, at);
                at
            }
        };
        let (release, offered, for_all) = &mut self.all[at];
        release.released_at_s = match (release.released_at_s, file.at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if let Some(why) = file.yanked {
            if !*offered {
                if let Some(reason) = release.yanked.as_mut().filter(|reason| reason.is_empty()) {
                    why.chars().filter(|c| !c.is_control()).take(200).for_each(|c| reason.push(c));
                }
                // What withdrawn files ask counts only as long as there are no others.
                self.ask(at, file, found.tags.as_deref());
            }
            return true;
        }
        if !*offered {
            *offered = true;
            *for_all = false;
            release.yanked = None;
            release.requires_python.clear();
            release.wheels.clear();
        }
        self.ask(at, file, found.tags.as_deref());
        true
    }

    fn ask(&mut self, at: usize, file: &Seen<'_>, tags: Option<&str>) {
        let (release, _, for_all) = &mut self.all[at];
        if release.requires_python.len() < 8 && !release.requires_python.iter().any(|text| text == file.requires_python) {
            release.requires_python.push(file.requires_python.chars().filter(|c| !c.is_control()).take(100).collect());
        }
        match tags {
            _ if *for_all => {}
            None => {
                *for_all = true;
                release.wheels.clear();
            }
            Some(tags) if release.wheels.len() < 500 => release.wheels.push(tags.to_owned()),
            Some(_) => {}
        }
    }

    fn done(self, status: Option<String>) -> Project {
        let mut releases: Vec<(Option<Version>, Release)> = self.all.into_iter().map(|(release, _, _)| (Version::parse(&release.version), release)).collect();
        releases.sort_by(|a, b| b.0.cmp(&a.0));
        for (_, release) in &mut releases {
            if release.requires_python.as_slice() == [String::new()] {
                release.requires_python.clear();
            }
        }
        let status = status.map(|text| text.to_lowercase()).filter(|text| text != "active" && !text.is_empty());
        Project { releases: releases.into_iter().map(|(_, release)| release).collect(), status, latest: None }
    }
}

fn major(version: &str) -> bool {
    version.split('.').next() == Some("1")
}

fn word(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).take(30).collect()
}

/// Reads a page in JSON.
///
/// # Errors
/// What is not as agreed, one line.
pub fn json(body: &[u8], project: &str) -> Result<Project, String> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| {
        if error.is_eof() { "the answer ends too early".to_owned() } else { format!("the answer is not the simple index's JSON (line {})", error.line()) }
    })?;
    if let Some(version) = answer.meta.version.text().filter(|version| !major(version)) {
        return Err(format!("version {} of the simple index is not known", word(version)));
    }
    let mut gather = Gather::new(project);
    for file in &answer.files {
        let Some(name) = file.filename.text() else { continue };
        gather.add(&Seen {
            name,
            requires_python: file.requires_python.text().unwrap_or_default().trim(),
            yanked: match &file.yanked {
                Loose::Bool(true) => Some(""),
                Loose::Text(reason) => Some(reason),
                _ => None,
            },
            at: file.upload_time.text().and_then(|text| DateTime::parse_from_rfc3339(text).ok()).map(|at| at.timestamp()),
        });
    }
    let status = answer.status.or(answer.meta.status);
    Ok(gather.done(status.and_then(|status| status.status.text().map(word))))
}

/// Reads a page in HTML.
///
/// # Errors
/// When it is no page of an index but, say, a form to sign in.
pub fn html(body: &[u8], project: &str) -> Result<Project, String> {
    let text = String::from_utf8_lossy(body);
    let (mut gather, mut status, mut declared, mut links) = (Gather::new(project), None, false, 0usize);
    let mut rest = text.as_ref();
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let name_end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let name = rest[..name_end].to_ascii_lowercase();
        if name != "a" && name != "meta" {
            continue;
        }
        let (attributes, after) = attributes(&rest[name_end..]);
        rest = after;
        let get = |key: &str| attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        if name == "meta" {
            match get("name") {
                Some("pypi:repository-version") => {
                    declared = true;
                    if let Some(version) = get("content").filter(|version| !major(version)) {
                        return Err(format!("version {} of the simple index is not known", word(version)));
                    }
                }
                Some("pypi:project-status") => status = get("content").map(word),
                _ => {}
            }
            continue;
        }
        let label = rest.split('<').next().unwrap_or_default();
        let label = unescape(label.trim());
        let href = get("href").unwrap_or_default();
        let from_href = href.split(['#', '?']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let requires_python = get("data-requires-python").unwrap_or_default().trim().to_owned();
        let yanked = get("data-yanked").map(str::to_owned);
        for name in [label.as_str(), from_href] {
            if gather.add(&Seen { name, requires_python: &requires_python, yanked: yanked.as_deref(), at: None }) {
                links += 1;
                break;
            }
        }
    }
    if links == 0 && !declared {
        return Err("the answer is a page without files, such as a form to sign in".to_owned());
    }
    Ok(gather.done(status))
}

/// The attributes of a tag and what comes after its `>`.
fn attributes(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return (all, after);
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(rest.len());
        if rest.is_empty() {
            return (all, rest);
        }
        // A sign that begins no name is passed over.
        let end = if end == 0 { rest.chars().next().map_or(1, char::len_utf8) } else { end };
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (raw, left) = match quote {
                Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                None => after.split_at(after.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(after.len())),
            };
            value = unescape(raw);
            rest = left;
        }
        if all.len() < 32 {
            all.push((name, value));
        }
    }
}

/// The entities that pages hold, as their characters; what is none stays as it is.
#[must_use]
pub fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // None is longer, so no further is looked.
        let end = rest.bytes().skip(1).take(9).position(|byte| byte == b';');
        let entity = end.and_then(|end| rest.get(1..=end));
        let c = entity.and_then(|entity| match entity {
            "gt" => Some('>'),
            "lt" => Some('<'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "nbsp" => Some(' '),
            _ => {
                let number = entity.strip_prefix('#')?;
                let number = number.strip_prefix(['x', 'X']).map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok());
                number.and_then(char::from_u32)
            }
        });
        match (c, entity) {
            (Some(c), Some(entity)) => {
                out.push(c);
                rest = &rest[entity.len() + 2..];
            }
            _ => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Any bytes are read without a panic; for `fuzz/`.
pub fn fuzz(bytes: &[u8]) {
    let _ = json(bytes, "basket");
    let _ = html(bytes, "basket");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same project in both shapes.
    const JSON: &str = r#"{"meta":{"api-version":"1.4"},"name":"basket","project-status":{"status":"archived"},"versions":["1.0"],"files":[
        {"filename":"basket-1.0.tar.gz","url":"x","hashes":{},"requires-python":">=3.8","upload-time":"2024-01-02T00:00:00Z","yanked":false},
        {"filename":"basket-1.0-py3-none-any.whl","url":"x","hashes":{},"requires-python":">=3.8","upload-time":"2024-01-01T00:00:00.5Z"},
        {"filename":"basket-1.10-cp312-cp312-win_amd64.whl","url":"x","hashes":{},"requires-python":null,"yanked":false},
        {"filename":"basket-1.2.tar.gz","url":"x","hashes":{},"yanked":"bad & broken"},
        {"filename":"basket-1.2-py3-none-any.whl","url":"x","hashes":{},"yanked":true},
        {"filename":"basket-1.3.exe","url":"x","hashes":{}},
        {"filename":7,"requires-python":[1],"yanked":{}}]}"#;
    const HTML: &str = r#"<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.1">
        <META NAME='pypi:project-status' content=archived></head><body><!-- <a href="basket-9.tar.gz">basket-9.tar.gz</a> -->
        <a href="../../f/basket-1.0.tar.gz#sha256=aa" data-requires-python="&gt;=3.8" >basket-1.0.tar.gz</a><br/>
        <a data-requires-python='&#62;=3.8' href="/f/basket-1.0-py3-none-any.whl">basket-1.0-py3-none-any.whl</a>
        <a href="/f/basket-1.10-cp312-cp312-win_amd64.whl?x#y">download</a>
        <a href="x" data-yanked="bad &amp; broken">basket-1.2.tar.gz</a><A HREF=x data-yanked>basket-1.2-py3-none-any.whl</A>
        <a href="x">basket-1.3.exe</a></body></html>"#;

    #[test]
    fn both_shapes_say_the_same() {
        let mut from_json = json(JSON.as_bytes(), "basket").unwrap();
        let from_html = html(HTML.as_bytes(), "basket").unwrap();
        assert_eq!(from_json.releases[2].released_at_s, Some(1_704_067_200), "the first file's time");
        from_json.releases.iter_mut().for_each(|release| release.released_at_s = None);
        assert_eq!(from_json, from_html);
        let versions: Vec<&str> = from_json.releases.iter().map(|release| release.version.as_str()).collect();
        assert_eq!(versions, ["1.10", "1.2", "1.0"]);
        assert_eq!(from_json.releases[0].wheels, ["cp312-cp312-win_amd64"]);
        assert_eq!(from_json.releases[1].yanked.as_deref(), Some("bad & broken"));
        assert_eq!(from_json.releases[2].requires_python, [">=3.8"]);
        assert_eq!(from_json.status.as_deref(), Some("archived"));
    }

    #[test]
    fn one_good_file_makes_a_release_good() {
        let page = r#"{"files":[{"filename":"basket-1.0.tar.gz","yanked":"x","requires-python":">=3"},{"filename":"basket-1.0.0-py3-none-any.whl","requires-python":">=3.9"}]}"#;
        let read = json(page.as_bytes(), "basket").unwrap();
        assert_eq!((read.releases.len(), &read.releases[0].yanked), (1, &None));
        assert_eq!(read.releases[0].requires_python, [">=3.9"]);
        assert_eq!(read.releases[0].wheels, ["py3-none-any"]);
    }

    #[test]
    fn names_of_files_are_read_as_old_and_new_tools_wrote_them() {
        let read = |file: &str| distribution(file, Some("zope-interface")).map(|d| d.version);
        assert_eq!(read("zope.interface-4.0-1.tar.gz").as_deref(), Some("4.0-1"));
        assert_eq!(read("zope_interface-6.1-cp311-cp311-manylinux_2_17_x86_64.whl").as_deref(), Some("6.1"));
        assert_eq!(read("zope-interface-3.0.zip").as_deref(), Some("3.0"));
        assert_eq!(read("other-1.0.tar.gz"), None);
        assert_eq!(read("zope.interface-4.0.win32-py2.7.exe"), None);
        assert_eq!(distribution("my-lib-1.0.tar.gz", None).unwrap().name, "my-lib");
    }

    #[test]
    fn what_is_no_index_is_told() {
        for (body, expected) in [
            ("<!doctype html><title>Sign in</title><form></form>", "page without files"),
            ("<html><a href='/login'>log in</a>", "page without files"),
            ("<meta name=\"pypi:repository-version\" content=\"2.0\">", "not known"),
        ] {
            assert!(html(body.as_bytes(), "basket").unwrap_err().contains(expected), "{body}");
        }
        for (body, expected) in
            [("{\"files\":[", "too early"), ("[]", "not the simple index's"), ("{\"meta\":{\"api-version\":\"2.0\"},\"files\":[]}", "not known")]
        {
            assert!(json(body.as_bytes(), "basket").unwrap_err().contains(expected), "{body}");
        }
        assert_eq!(html(b"<meta name='pypi:repository-version' content='1.0'>", "basket").unwrap(), Project::default());
    }

    proptest! {
        #[test]
        fn any_page_cut_and_changed_is_read_without_a_panic(at in 0usize..2_000, byte in any::<u8>(), cut in 0usize..2_000, which in any::<bool>()) {
            let mut bytes = if which { JSON } else { HTML }.as_bytes().to_vec();
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(cut % length + 1);
            fuzz(&bytes);
        }
    }
}
