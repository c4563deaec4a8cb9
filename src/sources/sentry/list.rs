//! The list of issues, page by page: a first page, what follows it, and for a long list the walk to its end.
//!
//! What does not belong here: when to go on (`poll`), reading a page (`parse`).
//!
//! Facts: Sentry's API documentation, "Pagination": both entries of the `Link` header are always there, and `results` tells whether one
//! leads anywhere; a page may be short though more follow.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, LINK};
use url::Url;

use super::client::{Client, Server};
use super::refusal::{self, Endpoint};
use super::wire::Answer;
use super::{parse, wire::Ask};
use crate::domain::{Issue, Problem, SourceError};
use crate::io::clock;

/// Pages of issues that are read in one go.
pub const PAGES: usize = 5;
/// Issues of a page; the most that the API gives.
pub const PAGE: usize = 100;
/// Issues of a list that are read at all.
pub const LIST: usize = 10_000;

/// Where a list goes on.
#[derive(Debug)]
pub struct Place {
    server: Server,
    base: Url,
    project: Option<String>,
    cursor: String,
    /// Pages that were read.
    pages: usize,
    /// Cursors that were followed: one that comes again leads nowhere.
    cursors: HashSet<String>,
    /// Issues that were read: what moves between two pages comes twice.
    pub seen: HashSet<String>,
}

/// A part of a list.
#[derive(Debug)]
pub struct Part {
    /// The issues of these pages that were not read before.
    pub items: Vec<Issue>,
    /// How many there are by the server's own count, at least.
    pub hits: u64,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Whether a page that was wanted did not come.
    pub broken: bool,
    /// Where it goes on; `None` at its end, and where it broke off.
    pub next: Option<Place>,
    /// Which program the server is.
    pub server: Server,
}

impl Client {
    /// The first pages of the list.
    ///
    /// # Errors
    /// When the first page does not come. A later one that does not is a problem.
    pub async fn begin(&self, pages: usize) -> Result<Part, SourceError> {
        let server = self.server().await?;
        let base = self.base(server).await?;
        let mut project = self.wire.project.clone();
        let answer = self.first_page(server, &base, &mut project).await?;
        let hits = refusal::hits(&answer.headers).unwrap_or(0);
        let next = next_page(&answer.headers);
        let page = parse_page(answer.body).await.map_err(SourceError::protocol)?;
        let mut part = Part { items: Vec::new(), hits, problems: page.problems, broken: false, next: None, server };
        let mut seen = HashSet::new();
        part.items.extend(page.issues.into_iter().filter(|issue| seen.insert(issue.id.clone())));
        if part.items.is_empty() && hits == 0 && part.problems.is_empty() {
            self.assure_projects(&base).await?;
        }
        if let Some(cursor) = next {
            let place = Place { server, base: base.clone(), project, cursor, pages: 1, cursors: HashSet::new(), seen };
            self.follow(place, pages.saturating_sub(1), &mut part).await?;
        }
        self.complete(&base, &mut part).await;
        Ok(part)
    }

    /// The next pages. What does not come is a problem.
    pub async fn go_on(&self, place: Place, pages: usize) -> Part {
        let (server, base, at) = (place.server, place.base.clone(), place.pages + 1);
        let mut part = Part { items: Vec::new(), hits: 0, problems: Vec::new(), broken: false, next: None, server };
        if let Err(error) = self.follow(place, pages, &mut part).await {
            part.fail(at, error.message);
        }
        self.complete(&base, &mut part).await;
        part
    }

    async fn complete(&self, base: &Url, part: &mut Part) {
        if part.server == Server::GlitchTip {
            self.fill(base, &mut part.items).await;
        }
        self.remember(&part.items);
    }

    /// Reads at most so many pages from a place on.
    async fn follow(&self, mut place: Place, pages: usize, part: &mut Part) -> Result<(), SourceError> {
        let secret = self.wire.token().await?;
        for _ in 0..pages {
            if !place.cursors.insert(place.cursor.clone()) || place.seen.len() >= LIST {
                return Ok(());
            }
            let number = place.pages + 1;
            let asked = self.page(place.server, &place.base, place.project.as_deref(), Some(&place.cursor)).await;
            let answer = match asked.and_then(|answer| self.wire.good(answer, Endpoint::Issues, Some(&secret))) {
                Ok(answer) => answer,
                Err(error) => {
                    part.fail(number, error.message);
                    return Ok(());
                }
            };
            part.hits = part.hits.max(refusal::hits(&answer.headers).unwrap_or(0));
            let next = next_page(&answer.headers);
            match parse_page(answer.body).await {
                Ok(page) => {
                    part.problems.extend(page.problems);
                    part.items.extend(page.issues.into_iter().filter(|issue| place.seen.insert(issue.id.clone())));
                }
                Err(message) => {
                    part.fail(number, message);
                    return Ok(());
                }
            }
            place.pages = number;
            // A short page is no last one.
            let Some(cursor) = next else { return Ok(()) };
            place.cursor = cursor;
        }
        let more = place.seen.len() < LIST && !place.cursors.contains(&place.cursor);
        part.next = more.then_some(place);
        Ok(())
    }

    /// What a saved query gives: its first page.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn saved(&self, query: &str) -> Result<Part, SourceError> {
        let server = self.server().await?;
        let base = self.base(server).await?;
        let project = self.project_for_lists(server, &base).await?;
        let answer = self.search(server, &base, project.as_deref(), None, query, PAGE).await?;
        let hits = refusal::hits(&answer.headers).unwrap_or(0);
        let page = parse_page(answer.body).await.map_err(SourceError::protocol)?;
        let mut part = Part { items: page.issues, hits, problems: page.problems, broken: false, next: None, server };
        self.complete(&base, &mut part).await;
        Ok(part)
    }

    /// One page of a search of its own.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn search(
        &self,
        server: Server,
        base: &Url,
        project: Option<&str>,
        period: Option<&str>,
        query: &str,
        limit: usize,
    ) -> Result<Answer, SourceError> {
        let limit = limit.to_string();
        let own_period = super::client::period_text(self.keys.period.get());
        let mut pairs = vec![("query", query), ("limit", limit.as_str())];
        pairs.extend(project.map(|project| ("project", project)));
        pairs.extend(self.keys.environment.as_deref().map(|environment| ("environment", environment)));
        if server == Server::Sentry {
            pairs.extend([("statsPeriod", period.unwrap_or(&own_period)), ("groupStatsPeriod", "24h"), ("collapse", "filtered")]);
        }
        pairs.extend(self.keys.sort.and_then(|sort| sort.word(server)).map(|word| ("sort", word)));
        self.wire.fetch(Ask::get(Endpoint::Issues, base, &["0", "organizations", &self.wire.organization, "issues"], &pairs)).await
    }
}

impl Part {
    /// One of which nothing came.
    pub fn lost(error: &SourceError) -> Self {
        let problem = Problem { subject: "the rest of the issues".to_owned(), message: error.message.clone() };
        Self { items: Vec::new(), hits: 0, problems: vec![problem], broken: true, next: None, server: Server::Sentry }
    }

    /// A page after the first did not come: what was read stays.
    fn fail(&mut self, page: usize, message: String) {
        self.problems.push(Problem { subject: format!("page {page} of the issues"), message });
        self.broken = true;
    }
}

/// The cursor of the next page, of one header or several.
pub fn next_page(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).collect();
    parse::next_cursor(&lines.join(", "))
}

/// Reads a page away from the tasks' threads: one may be megabytes.
async fn parse_page(body: Vec<u8>) -> Result<parse::Page, String> {
    let now: DateTime<Utc> = clock::now();
    let work = tokio::task::spawn_blocking(move || parse::page(&body, now));
    work.await.unwrap_or_else(|_| Err("the answer could not be read".to_owned()))
}
