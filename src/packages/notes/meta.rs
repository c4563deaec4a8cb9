//! What a release's metadata says of where its notes are: the older JSON form of an index, or the core metadata (`METADATA`).
//!
//! Labels are compared as "well-known project URLs" says (packaging.python.org): without punctuation and blanks, in lower case.

use serde::Deserialize;
use url::Url;

/// A longer description is not read, in bytes.
const DESCRIPTION: usize = 1 << 20;
/// Links that are looked at.
const LINKS: usize = 60;

/// What is known of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// Label and address, as given.
    pub links: Vec<(String, String)>,
    /// The long description.
    pub description: String,
}

/// A page that may have the notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// For a person to open.
    pub link: String,
    /// To be read.
    pub read: Url,
}

/// From the JSON of one release.
#[must_use]
pub fn json(body: &[u8]) -> Option<Meta> {
    #[derive(Deserialize)]
    struct Whole {
        info: Info,
    }
    #[derive(Deserialize)]
    struct Info {
        #[serde(default)]
        project_urls: Option<std::collections::BTreeMap<String, Option<String>>>,
        #[serde(default)]
        home_page: Option<String>,
        #[serde(default)]
        description: Option<String>,
    }
    let info = serde_json::from_slice::<Whole>(body).ok()?.info;
    let mut links: Vec<(String, String)> =
        info.project_urls.unwrap_or_default().into_iter().take(LINKS).filter_map(|(label, url)| Some((label, url?))).collect();
    links.extend(info.home_page.map(|url| ("homepage".to_owned(), url)));
    Some(Meta { links, description: info.description.filter(|text| text.len() <= DESCRIPTION).unwrap_or_default() })
}

/// From core metadata: headers, then a blank line, then the description.
#[must_use]
pub fn core(text: &str) -> Meta {
    let text = text.replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut meta = Meta { description: if body.len() <= DESCRIPTION { body.to_owned() } else { String::new() }, ..Meta::default() };
    for line in head.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "project-url" => meta.links.extend(value.split_once(',').map(|(label, url)| (label.trim().to_owned(), url.trim().to_owned()))),
            "home-page" => meta.links.push(("homepage".to_owned(), value.to_owned())),
            _ => {}
        }
        if meta.links.len() >= LINKS {
            break;
        }
    }
    meta
}

/// From what a registry of npm has of one release, or a registry of crates of one package: `repository` and `homepage`, at the top or below
/// `crate`.
#[must_use]
pub fn registry(body: &[u8]) -> Option<Meta> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let top = value.get("crate").filter(|one| one.is_object()).unwrap_or(&value);
    let text = |key: &str| {
        let one = top.get(key)?;
        one.as_str().or_else(|| one.get("url")?.as_str()).map(str::to_owned)
    };
    let repository = text("repository").and_then(|text| address(&text)).map(|url| ("repository".to_owned(), url));
    Some(Meta { links: repository.into_iter().chain(text("homepage").map(|url| ("homepage".to_owned(), url))).collect(), description: String::new() })
}

/// The page of a repository, of the ways in which npm lets people write one (npm's documentation, "package.json", repository).
fn address(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("git+").unwrap_or(text);
    for (start, page) in [("git://", "https://"), ("ssh://git@", "https://"), ("git@", "https://"), ("github:", "https://github.com/")] {
        if let Some(rest) = text.strip_prefix(start) {
            // `git@host:owner/name` has its path behind a colon.
            return Some(format!("{page}{}", if start == "git@" { rest.replacen(':', "/", 1) } else { rest.to_owned() }));
        }
    }
    let short = !text.contains(':') && text.matches('/').count() == 1 && !text.starts_with(['.', '/', '@']);
    if short { Some(format!("https://github.com/{text}")) } else { text.contains("://").then(|| text.to_owned()) }
}

fn normal(label: &str) -> String {
    label.chars().filter(|c| !c.is_ascii_punctuation() && !c.is_whitespace()).collect::<String>().to_lowercase()
}

/// The pages that may have the notes, the best first; each once.
#[must_use]
pub fn pages(meta: &Meta) -> Vec<Page> {
    let rank = |label: &str| match normal(label).as_str() {
        "changelog" | "changes" | "whatsnew" | "history" => Some(0),
        "releasenotes" | "releases" => Some(1),
        "source" | "repository" | "sourcecode" | "github" | "homepage" | "code" => Some(2),
        _ => None,
    };
    let mut all: Vec<(u8, Page)> = Vec::new();
    for (label, text) in &meta.links {
        let (Some(rank), Ok(url)) = (rank(label), Url::parse(text.trim())) else { continue };
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            continue;
        }
        let read = readable(&url, rank, normal(label) != "homepage");
        if let Some(read) = read.filter(|read| !all.iter().any(|(_, page)| page.read == *read)) {
            let mut link = url;
            // What somebody wrote before an @ is not handed on.
            let _ = link.set_username("");
            let _ = link.set_password(None);
            all.push((rank, Page { link: link.into(), read }));
        }
    }
    all.sort_by_key(|(rank, _)| *rank);
    all.into_iter().map(|(_, page)| page).collect()
}

/// The address that is read for a link; a repository or home page has notes only where a forge keeps its releases: GitHub, GitLab (the feed of
/// its tags), Gitea and Forgejo.
fn readable(url: &Url, rank: u8, is_repository: bool) -> Option<Url> {
    let mut read = url.clone();
    read.set_fragment(None);
    let _ = read.set_username("");
    let _ = read.set_password(None);
    if url.host_str() == Some("github.com") {
        let parts: Vec<&str> = url.path_segments().map(|parts| parts.filter(|part| !part.is_empty()).collect()).unwrap_or_default();
        match parts.as_slice() {
            [owner, name] | [owner, name, "releases", ..] => {
                let name = name.strip_suffix(".git").unwrap_or(name);
                read.set_path(&format!("/{owner}/{name}/releases.atom"));
                read.set_query(None);
            }
            [owner, name, "blob" | "tree", rest @ ..] if rest.len() > 1 => read.set_path(&format!("/{owner}/{name}/raw/{}", rest.join("/"))),
            _ if rank > 1 => return None,
            _ => {}
        }
        return Some(read);
    }
    if rank < 2 {
        return Some(read);
    }
    let parts: Vec<&str> = url.path_segments().filter(|_| is_repository)?.filter(|part| !part.is_empty()).collect();
    let path = parts.join("/");
    let path = path.strip_suffix(".git").unwrap_or(&path);
    read.set_query(None);
    if url.host_str().is_some_and(|host| host.starts_with("gitlab.")) && parts.len() >= 2 {
        read.set_path(&format!("/{path}/-/tags"));
        read.set_query(Some("format=atom"));
    } else if parts.len() == 2 {
        read.set_path(&format!("/{path}/releases.atom"));
    } else {
        return None;
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_by_their_labels_the_best_first() {
        let body = br#"{"info": {"project_urls": {"Homepage": "https://till.example", "Source Code": "https://github.com/shop/till.git",
            "What's New": "https://docs.till.example/changes.html#top", "Bad": "javascript:x", "Change-Log": "ftp://x"}, "home_page": null,
            "description": "Till\n"}}"#;
        let meta = json(body).unwrap();
        let read: Vec<String> = pages(&meta).into_iter().map(|page| page.read.into()).collect();
        assert_eq!(read, ["https://docs.till.example/changes.html", "https://github.com/shop/till/releases.atom"]);
        assert_eq!(pages(&meta)[0].link, "https://docs.till.example/changes.html#top");
        assert!(json(b"<html>").is_none());
    }

    #[test]
    fn repositories_are_found_however_they_are_written() {
        let of = |repository: &str| {
            let meta = registry(format!("{{\"name\":\"till\",\"repository\":{repository}}}").as_bytes()).unwrap();
            pages(&meta).first().map(|page| page.read.to_string())
        };
        for written in [
            "\"shop/till\"",
            "\"github:shop/till\"",
            "\"git+https://github.com/shop/till.git\"",
            "{\"type\":\"git\",\"url\":\"git://github.com/shop/till.git\"}",
            "{\"url\":\"git+ssh://git@github.com/shop/till.git\"}",
            "\"git@github.com:shop/till.git\"",
            "\"https://github.com/shop/till\"",
        ] {
            assert_eq!(of(written).as_deref(), Some("https://github.com/shop/till/releases.atom"), "{written}");
        }
        assert_eq!(of("\"https://gitlab.example/shop/web/till.git\"").as_deref(), Some("https://gitlab.example/shop/web/till/-/tags?format=atom"));
        assert_eq!(of("\"https://forge.example/shop/till\"").as_deref(), Some("https://forge.example/shop/till/releases.atom"));
        for none in ["null", "7", "\"\"", "\"./here\"", "\"https://forge.example/till\"", "\"javascript:x/y\""] {
            assert_eq!(of(none), None, "{none}");
        }
        let meta = registry(br#"{"crate":{"id":"till","repository":"https://github.com/shop/till","homepage":null},"versions":[]}"#).unwrap();
        assert_eq!(meta.links, [("repository".to_owned(), "https://github.com/shop/till".to_owned())]);
        assert!(registry(b"<html>").is_none());
    }

    #[test]
    fn core_metadata_says_the_same() {
        let meta = core(
            "Metadata-Version: 2.1\r\nName: till\r\nProject-URL: Changelog, https://github.com/shop/till/blob/main/CHANGES.md\r\nHome-page: https://till.example\r\n\r\nTill counts.\r\n",
        );
        assert_eq!((meta.links.len(), meta.description.as_str()), (2, "Till counts.\n"));
        assert_eq!(pages(&meta)[0].read.as_str(), "https://github.com/shop/till/raw/main/CHANGES.md");
    }
}
