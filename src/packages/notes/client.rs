//! Asking for pages of notes: at the addresses the metadata gives, over TLS, bounded, and kept for a day.
//!
//! What does not belong here: what stands on a page (`markup`, `sections`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use super::markup::{self, Form};
use super::meta::{self, Meta};
use super::sections;
use crate::domain::{Notes, ReleaseNotes, SourceError};
use crate::io::{api, clock};
use crate::packages::kept;

/// Changes whenever what is kept changes its shape or meaning.
const SHAPE: &str = "notes-1";
/// The largest page, unpacked, in bytes.
const LIMIT: u64 = 4 << 20;
/// What is kept of one package is not larger, in bytes.
const KEPT: u64 = 8 << 20;
/// One request.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Redirects that are followed.
const HOPS: usize = 4;
/// Pages that are tried for one package.
const PAGES: usize = 3;
/// What was read is not asked for again within this, in seconds; what failed, within the second.
const FRESH_S: (i64, i64) = (24 * 3_600, 3_600);

/// What is kept of one package.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    asked_at_s: i64,
    /// The release whose metadata named the pages.
    latest: String,
    /// The page that was read, and what the server said of it.
    page: Option<(String, Option<String>)>,
    link: Option<String>,
    read_in: String,
    all: Vec<ReleaseNotes>,
    problem: Option<String>,
}

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// As its ecosystem compares names; a scope's slash is borne.
    pub name: &'a str,
    /// The version that is there.
    pub from: &'a str,
    /// The newest release, whose metadata name the pages.
    pub latest: &'a str,
    /// The index, without credentials: what two indexes say is kept apart.
    pub index: &'a str,
    /// The index is on this machine, and so may the pages be.
    pub local: bool,
}

/// Reads notes.
#[derive(Debug, Clone)]
pub struct Reader {
    folder: Option<PathBuf>,
}

/// Why a page gave nothing, for reading.
type Refusal = String;

impl Reader {
    /// What was read is kept below this folder.
    #[must_use]
    pub fn new(folder: Option<&Path>) -> Self {
        Self { folder: folder.map(|folder| folder.join(SHAPE)) }
    }

    /// What is said of the releases newer than the one that is there, and the page that says it. `meta` is asked for only when nothing
    /// fresh is kept.
    ///
    /// # Errors
    /// When the metadata could not be had and nothing is kept.
    pub async fn read<F>(&self, question: Question<'_>, meta: F, deadline: Instant) -> Result<(Notes, Option<String>), SourceError>
    where
        F: Future<Output = Result<Option<Meta>, SourceError>>,
    {
        let path = self.folder.as_ref().map(|folder| folder.join(kept::short(question.index)).join(format!("{}.json", question.name.replace('/', "+"))));
        let reading = path.clone();
        let before: Option<Kept> = tokio::task::spawn_blocking(move || kept::read(&reading?, KEPT)).await.ok().flatten();
        let now = clock::now().timestamp();
        let fresh = |kept: &&Kept| {
            let limit = if kept.problem.is_some() { FRESH_S.1 } else { FRESH_S.0 };
            kept.latest == question.latest && (0..limit).contains(&(now - kept.asked_at_s))
        };
        if let Some(kept) = before.as_ref().filter(fresh) {
            return Ok(answer(kept, question));
        }
        let meta = match timeout_at(deadline, meta).await.unwrap_or_else(|_| Err(SourceError::timeout(TIMEOUT))) {
            Ok(meta) => meta.unwrap_or_default(),
            // What was read last says more than nothing.
            Err(error) => return before.map(|kept| answer(&kept, question)).ok_or(error),
        };
        let found = self.look(question, &meta, before.as_ref(), deadline).await;
        let answered = answer(&found, question);
        if let Some(path) = path {
            // A disk that is full or read-only costs the next look some bytes, and nothing else.
            let _ = tokio::task::spawn_blocking(move || kept::write(&path, &found)).await;
        }
        Ok(answered)
    }

    async fn look(&self, question: Question<'_>, meta: &Meta, before: Option<&Kept>, deadline: Instant) -> Kept {
        let pages = meta::pages(meta);
        let mut found = Kept { asked_at_s: clock::now().timestamp(), latest: question.latest.to_owned(), ..Kept::default() };
        found.link = pages.first().map(|page| page.link.clone());
        let mut why: Option<Refusal> = None;
        for page in pages.iter().take(PAGES) {
            let known = before.filter(|kept| kept.page.as_ref().is_some_and(|(url, _)| url == page.read.as_str()) && !kept.all.is_empty());
            let etag = known.and_then(|kept| kept.page.as_ref()?.1.clone());
            match timeout_at(deadline, fetch(&page.read, etag.as_deref(), question.local)).await {
                Ok(Ok(Fetched::Same)) => {
                    if let Some(known) = known {
                        return Kept { asked_at_s: found.asked_at_s, latest: found.latest, problem: None, ..known.clone() };
                    }
                }
                Ok(Ok(Fetched::Body { text, form, etag })) => {
                    let name = question.name.to_owned();
                    let all = tokio::task::spawn_blocking(move || sections::read(&markup::pieces(&text, form), &name)).await.unwrap_or_default();
                    if !all.is_empty() {
                        found.page = Some((page.read.to_string(), etag));
                        found.link = Some(page.link.clone());
                        found.read_in = api::place(&page.read);
                        found.all = all;
                        return found;
                    }
                    why.get_or_insert_with(|| format!("{}: no heading names a version", api::place(&page.read)));
                }
                Ok(Err(refusal)) => drop(why.get_or_insert(refusal)),
                Err(_) => drop(why.get_or_insert_with(|| format!("{}: not answered in time", api::place(&page.read)))),
            }
        }
        let (text, name) = (meta.description.clone(), question.name.to_owned());
        let of_description = tokio::task::spawn_blocking(move || sections::read(&markup::pieces(&text, Form::Text), &name)).await.unwrap_or_default();
        if of_description.is_empty() {
            found.problem = Some(why.unwrap_or_else(|| "its metadata names no page of changes".to_owned()));
        } else {
            found.read_in = "the description".to_owned();
            found.all = of_description;
        }
        found
    }
}

fn answer(kept: &Kept, question: Question<'_>) -> (Notes, Option<String>) {
    let releases = sections::between(&kept.all, question.from, None);
    let none = || kept.problem.clone().or_else(|| Some(format!("{}: nothing is said of what came after {}", kept.read_in, question.from)));
    let problem = if releases.is_empty() { none() } else { None };
    (Notes { releases, read_in: kept.read_in.clone(), problem }, kept.link.clone())
}

enum Fetched {
    /// As it was.
    Same,
    /// It.
    Body { text: String, form: Form, etag: Option<String> },
}

/// Whether a page may be asked for there: metadata are written by whoever publishes a package, and must lead nobody to machines that
/// only this one can reach.
fn allowed(url: &Url, local: bool) -> Result<(), Refusal> {
    if local && api::is_loopback(url) {
        return Ok(());
    }
    let place = api::place(url);
    match (url.scheme(), url.host()) {
        ("https", Some(Host::Domain(name))) => {
            let inner = [".local", ".localhost", ".internal", ".lan", ".home", ".corp", ".intranet"].iter().any(|end| name.ends_with(end));
            if name.contains('.') && !inner { Ok(()) } else { Err(format!("{place}: not asked, it is no public name")) }
        }
        ("https", _) => Err(format!("{place}: not asked, it is no name")),
        _ => Err(format!("{place}: not asked, it is not over TLS")),
    }
}

/// Whether a redirect leads to where it was sent from, or from a file of GitHub to where it serves such files.
fn may_follow(from: &Url, to: &Url) -> bool {
    let same = from.host_str() == to.host_str() && from.port_or_known_default() == to.port_or_known_default();
    let upgraded = from.host_str() == to.host_str() && from.scheme() == "http" && to.scheme() == "https";
    same || upgraded || (from.host_str() == Some("github.com") && to.host_str() == Some("raw.githubusercontent.com"))
}

async fn fetch(url: &Url, etag: Option<&str>, local: bool) -> Result<Fetched, Refusal> {
    let mut url = url.clone();
    // A link without TLS is asked for with it.
    if url.scheme() == "http" && !(local && api::is_loopback(&url)) {
        let _ = url.set_scheme("https");
    }
    for _ in 0..=HOPS {
        allowed(&url, local)?;
        let place = api::place(&url);
        let said = |error: SourceError| if error.message.starts_with(&place) { error.message } else { format!("{place}: {}", error.message) };
        let client = api::client(&url).map_err(said)?;
        let mut request =
            client.get(url.clone()).timeout(TIMEOUT).header(ACCEPT, "text/markdown, text/x-rst, text/plain, application/atom+xml, text/html;q=0.9, */*;q=0.1");
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(|error| said(api::failure(&error, &url, TIMEOUT)))?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (kind, etag, location) = (header(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase(), header(ETAG), header(LOCATION));
        match response.status().as_u16() {
            304 => return Ok(Fetched::Same),
            200 => {
                let form = if kind.contains("html") {
                    Form::Html
                } else if kind.contains("atom") || kind.contains("xml") {
                    Form::Atom
                } else if kind.starts_with("text/") || kind.is_empty() {
                    Form::Text
                } else {
                    return Err(format!("{place}: it is no text"));
                };
                let body = api::body(&mut response, LIMIT, TIMEOUT).await.map_err(said)?;
                return Ok(Fetched::Body { text: String::from_utf8_lossy(&body).into_owned(), form, etag });
            }
            301 | 302 | 303 | 307 | 308 => {
                let to = location.and_then(|to| url.join(&to).ok()).ok_or_else(|| format!("{place}: it sends us nowhere"))?;
                if !may_follow(&url, &to) {
                    return Err(format!("{place}: it sends us to {}, which was not asked", api::place(&to)));
                }
                url = to;
            }
            code => return Err(format!("{place} answers {code}")),
        }
    }
    Err(format!("{}: it sends us on and on", api::place(&url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_names_over_tls_are_asked() {
        for (url, good) in [
            ("https://docs.till.example/changes", true),
            ("http://docs.till.example/changes", false),
            ("https://169.254.169.254/latest", false),
            ("https://[fd00::1]/", false),
            ("https://printer/", false),
            ("https://wiki.internal/", false),
            ("http://127.0.0.1:1/", false),
        ] {
            assert_eq!(allowed(&Url::parse(url).unwrap(), false).is_ok(), good, "{url}");
        }
        assert!(allowed(&Url::parse("http://127.0.0.1:1/").unwrap(), true).is_ok());
        let follow = |from: &str, to: &str| may_follow(&Url::parse(from).unwrap(), &Url::parse(to).unwrap());
        assert!(follow("https://a.example/", "https://a.example/en/") && !follow("https://a.example/", "https://b.example/"));
        assert!(follow("https://github.com/a/b/raw/main/C.md", "https://raw.githubusercontent.com/a/b/main/C.md"));
    }
}
