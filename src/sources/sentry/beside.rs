//! What is asked of a tracker beside its issues, seldom and each by itself: saved queries, cron monitors, what became of the events,
//! releases. One that does not come takes nothing from the others, nor what was known of itself.
//!
//! What does not belong here: reading the answers (`facts`), the list of issues (`list`).
//!
//! Facts: Sentry's OpenAPI document. GlitchTip's `monitors/` are of another kind (uptime), its statistics of another shape, and it knows no
//! deploys: it is asked for releases only.

use std::time::{Duration, Instant};

use url::Url;

use super::client::{Client, Server};
use super::facts;
use super::refusal::Endpoint;
use super::wire::Ask;
use crate::domain::{Crons, Data, ErrorKind, Intake, Observation, Problem, Release, Releases, Saved, SourceError};
use crate::io::clock;

/// Releases whose deploys, commits and issues are asked for.
const NEWEST: usize = 3;
/// Releases that are listed.
const RELEASES: &str = "25";
/// Jobs that are bad whose check-ins are asked for.
const LOOKED_INTO: usize = 5;
/// Pages of jobs.
const CRON_PAGES: usize = 3;
/// Hours that losses are counted over.
const HOURS: u64 = 24;
/// What the server does not let us see, or does not have, is asked for again after this.
const REFUSED: Duration = Duration::from_secs(3_600);

/// What is asked beside the issues. The order is that of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Saved,
    Crons,
    Intake,
    Releases,
}

impl Topic {
    const ALL: [Self; 4] = [Self::Saved, Self::Crons, Self::Intake, Self::Releases];

    /// For reading.
    const fn words(self) -> &'static str {
        match self {
            Self::Saved => "saved queries",
            Self::Crons => "cron monitors",
            Self::Intake => "events that were not kept",
            Self::Releases => "releases",
        }
    }

    /// So many intervals of the list lie between two of its askings.
    const fn intervals(self) -> u32 {
        match self {
            Self::Saved => 2,
            Self::Crons | Self::Releases => 5,
            Self::Intake => 15,
        }
    }
}

/// What came, and when it is due again.
#[derive(Debug)]
struct Kept {
    topic: Topic,
    due: Option<Instant>,
    observation: Option<Observation>,
    /// Why it did not come the last time.
    problem: Option<Problem>,
    /// That the token may not see it: told once.
    refused: Option<Problem>,
}

/// All that is known beside the issues.
#[derive(Debug)]
pub struct Beside {
    every: Duration,
    topics: Vec<Kept>,
    saved: Vec<Saved>,
}

impl Beside {
    /// Nothing was asked yet.
    pub fn new(every: Duration) -> Self {
        let topics = Topic::ALL.iter().map(|topic| Kept { topic: *topic, due: None, observation: None, problem: None, refused: None }).collect();
        Self { every, topics, saved: Vec::new() }
    }

    /// Whether something is to be asked now.
    pub fn is_due(&self, client: &Client) -> bool {
        let now = Instant::now();
        self.topics.iter().any(|kept| (kept.topic != Topic::Saved || !client.keys.queries.is_empty()) && kept.due.is_none_or(|due| due <= now))
    }

    /// What was observed, each at its own time.
    pub fn observations(&self) -> impl Iterator<Item = Observation> {
        self.topics.iter().filter_map(|kept| kept.observation.clone())
    }

    /// What did not come.
    pub fn problems(&self) -> impl Iterator<Item = Problem> {
        self.topics.iter().flat_map(|kept| kept.problem.iter().chain(&kept.refused).cloned())
    }

    /// What the saved queries gave.
    pub fn saved(&self) -> &[Saved] {
        &self.saved
    }

    /// The releases.
    pub fn releases(&self) -> Option<&Releases> {
        self.topics.iter().find_map(|kept| match &kept.observation.as_ref()?.data {
            Data::Release(releases) => Some(releases),
            _ => None,
        })
    }

    /// A refusal for a scope is told once: what the token may not see it may not see at the next look either.
    pub fn forget_refusals(&mut self) {
        self.topics.iter_mut().for_each(|kept| kept.refused = None);
    }

    /// The token was refused: with another one everything may be another.
    pub fn begin_again(&mut self) {
        self.topics.iter_mut().for_each(|kept| kept.due = None);
    }

    /// Asks what is due, within `limit` in all.
    pub async fn ask(&mut self, client: &Client, limit: Duration) {
        let end = Instant::now() + limit;
        for kept in &mut self.topics {
            if kept.due.is_some_and(|due| due > Instant::now()) || (kept.topic == Topic::Saved && client.keys.queries.is_empty()) {
                continue;
            }
            let left = end.saturating_duration_since(Instant::now());
            let asked = async {
                match kept.topic {
                    Topic::Saved => client.all_saved(&mut self.saved).await.map(|()| None),
                    Topic::Crons => client.crons().await.map(|crons| crons.map(Data::Crons)),
                    Topic::Intake => client.intake().await.map(|intake| intake.map(Data::Intake)),
                    Topic::Releases => client.releases().await.map(|releases| releases.map(Data::Release)),
                }
            };
            let result = tokio::time::timeout(left, asked).await.unwrap_or_else(|_| Err(SourceError::timeout(limit)));
            let mut wait = self.every * kept.topic.intervals();
            (kept.problem, kept.refused) = (None, None);
            match result {
                Ok(Some(data)) => kept.observation = Some(Observation { at: clock::now(), data }),
                // Nothing of the sort is there.
                Ok(None) if kept.topic == Topic::Saved => {}
                Ok(None) => wait = wait.max(REFUSED),
                Err(error) if error.kind == ErrorKind::Auth => {
                    wait = wait.max(REFUSED);
                    kept.refused = Some(Problem { subject: kept.topic.words().to_owned(), message: error.message });
                }
                Err(error) => {
                    wait = wait.max(error.retry_after().unwrap_or_default());
                    kept.problem = Some(Problem { subject: kept.topic.words().to_owned(), message: error.message });
                }
            }
            kept.due = Some(Instant::now() + wait);
        }
    }
}

/// Whether the server does not have this at all, as old and small ones do.
fn is_absent(status: u16) -> bool {
    matches!(status, 404 | 405 | 410 | 501)
}

impl Client {
    /// All saved queries, each its first page. One that fails keeps what it gave before.
    async fn all_saved(&self, known: &mut Vec<Saved>) -> Result<(), SourceError> {
        let mut first = None;
        for (name, query) in &self.keys.queries {
            match self.saved(query).await {
                Ok(part) => {
                    known.retain(|saved| saved.name != *name);
                    let total = part.hits.max(part.items.len() as u64);
                    known.push(Saved { name: name.clone(), query: query.clone(), total, items: part.items });
                }
                Err(mut error) => {
                    error.message = format!("{name}: {}", error.message);
                    first.get_or_insert(error);
                }
            }
        }
        known.sort_by(|a, b| a.name.cmp(&b.name));
        first.map_or(Ok(()), Err)
    }

    /// The project as the endpoints beside the issues know it: by its number.
    async fn project_number(&self, base: &Url) -> Result<Option<String>, SourceError> {
        match self.wire.project.as_deref() {
            None => Ok(None),
            Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(number.to_owned())),
            Some(slug) => self.project_id(base, slug).await.map(Some),
        }
    }

    /// The cron monitors; of the bad ones it is looked up how they went. `None`: the server has none of the sort.
    async fn crons(&self) -> Result<Option<Crons>, SourceError> {
        let server = self.server().await?;
        if server == Server::GlitchTip {
            return Ok(None);
        }
        let base = self.base(server).await?;
        let project = self.project_number(&base).await?;
        let path = ["0", "organizations", self.wire.organization.as_str(), "monitors"];
        let (mut items, mut cursor, mut followed) = (Vec::<crate::domain::Cron>::new(), None::<String>, Vec::new());
        for _ in 0..CRON_PAGES {
            let mut query = vec![("per_page", "100")];
            query.extend(project.as_deref().map(|project| ("project", project)));
            query.extend(self.keys.environment.as_deref().map(|environment| ("environment", environment)));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let answer = self.wire.ask(Ask::get(Endpoint::Crons, &base, &path, &query)).await?;
            if is_absent(answer.status) && items.is_empty() {
                return Ok(None);
            }
            let answer = self.accept(answer, Endpoint::Crons).await?;
            items.extend(facts::crons(&answer.body).map_err(SourceError::protocol)?);
            let Some(next) = super::list::next_page(&answer.headers).filter(|next| !followed.contains(next)) else { break };
            followed.push(next.clone());
            cursor = Some(next);
        }
        if let Some(environment) = &self.keys.environment {
            for cron in &mut items {
                cron.runs.retain(|run| &run.environment == environment);
            }
        }
        let mut crons = Crons { items };
        let bad: Vec<(String, String)> = crons.bad().take(LOOKED_INTO).map(|(cron, run)| (cron.slug.clone(), run.environment.clone())).collect();
        for (slug, environment) in bad {
            let path = ["0", "organizations", self.wire.organization.as_str(), "monitors", slug.as_str(), "checkins"];
            let query = [("per_page", "20"), ("environment", environment.as_str())];
            // Without them it is still known that the job is bad.
            let Ok(answer) = self.wire.fetch(Ask::get(Endpoint::Crons, &base, &path, &query)).await else { break };
            let Ok(Some((state, count))) = facts::checkins(&answer.body) else { continue };
            let runs = crons.items.iter_mut().filter(|cron| cron.slug == slug).flat_map(|cron| &mut cron.runs);
            for run in runs.filter(|run| run.environment == environment) {
                (run.state, run.bad) = (state, count);
            }
        }
        Ok(Some(crons))
    }

    /// What became of the errors of the last day.
    async fn intake(&self) -> Result<Option<Intake>, SourceError> {
        let server = self.server().await?;
        if server == Server::GlitchTip {
            return Ok(None);
        }
        let base = self.base(server).await?;
        let project = self.project_number(&base).await?;
        let path = ["0", "organizations", self.wire.organization.as_str(), "stats_v2"];
        let mut query = vec![("field", "sum(quantity)"), ("groupBy", "outcome"), ("groupBy", "reason"), ("category", "error")];
        query.extend([("statsPeriod", "24h"), ("interval", "1h")]);
        query.extend(project.as_deref().map(|project| ("project", project)));
        let answer = self.wire.ask(Ask::get(Endpoint::Intake, &base, &path, &query)).await?;
        if is_absent(answer.status) {
            return Ok(None);
        }
        let answer = self.accept(answer, Endpoint::Intake).await?;
        let of = self.wire.project.clone().unwrap_or_else(|| self.wire.organization.clone());
        facts::intake(&answer.body, HOURS, of).map(Some).map_err(SourceError::protocol)
    }

    /// The releases; of the newest their deploys, commits and the issues that they brought.
    async fn releases(&self) -> Result<Option<Releases>, SourceError> {
        let server = self.server().await?;
        let base = self.base(server).await?;
        let project = self.project_number(&base).await?;
        let path = ["0", "organizations", self.wire.organization.as_str(), "releases"];
        let mut query = vec![("per_page", RELEASES)];
        query.extend(project.as_deref().map(|project| ("project", project)));
        let answer = self.wire.ask(Ask::get(Endpoint::Releases, &base, &path, &query)).await?;
        if is_absent(answer.status) {
            return Ok(None);
        }
        let answer = self.accept(answer, Endpoint::Releases).await?;
        let mut all = facts::releases(&answer.body).map_err(SourceError::protocol)?;
        if all.is_empty() {
            return Ok(None);
        }
        if server == Server::Sentry {
            for (release, deploys) in all.iter_mut().take(NEWEST) {
                self.look_into(&base, project.as_deref(), release, *deploys).await;
            }
        }
        Ok(Some(Releases { items: all.into_iter().map(|(release, _)| release).collect(), environment: self.keys.environment.clone() }))
    }

    /// What there is to a release beside its row of the list. What does not come stays as the list told it.
    async fn look_into(&self, base: &Url, project: Option<&str>, release: &mut Release, deploys: u64) {
        let version = release.version.clone();
        let below = |part: &'static str| ["0", "organizations", self.wire.organization.as_str(), "releases", version.as_str(), part];
        // The list tells the last one, whichever environment it was to.
        if deploys > 1
            && let Ok(answer) = self.wire.fetch(Ask::get(Endpoint::Releases, base, &below("deploys"), &[("per_page", "25")])).await
            && let Ok(found) = facts::deploys(&answer.body)
            && !found.is_empty()
        {
            release.deploys = found;
        }
        if release.commit_count > 0
            && let Ok(answer) = self.wire.fetch(Ask::get(Endpoint::Releases, base, &below("commits"), &[("per_page", "25")])).await
        {
            release.commits = facts::commits(&answer.body).unwrap_or_default();
        }
        // A quotation mark cannot be told apart from the one that ends the word.
        if release.new_issues > 0 && !version.contains(['"', '\\', '*']) {
            let search = format!("firstRelease:\"{version}\"");
            if let Ok(answer) = self.search(Server::Sentry, base, project, Some("14d"), &search, 25).await {
                release.issues = facts::brought(&answer.body).unwrap_or_default();
            }
        }
    }
}
