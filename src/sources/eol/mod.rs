//! Until when the products that a site stands on are supported: named in the configuration, looked up by date.
//!
//! What does not belong here: the dates (`packages::life`), whether an end needs a person (`rules::eol`).

mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use super::{BoxFuture, BuildContext, Built, Cadence, Collected, Complaint, Reach, Source, SourceConfig, SourceSpec};
use crate::domain::{Capability, Data, Observation, Problem, SourceError};
use crate::io::clock;
use crate::io::secret::SecretRef;
use crate::packages::life::client::{self, DEFAULT, Dates, Used};

/// The interval where none is configured: dates change rarely, and time goes on.
const EVERY: Duration = Duration::from_secs(12 * 3_600);
/// The time limit of one poll where none is configured.
const TIMEOUT: Duration = Duration::from_secs(60);
/// An answer is not asked for again within this, however long the interval.
const FRESH: Duration = Duration::from_secs(24 * 3_600);

/// The keys of one set of products.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Products and the versions that are used: `{ python = "3.12", django = "5.2", postgresql = "16" }`; named as endoflife.date names them.
    pub products: Option<BTreeMap<String, String>>,
    /// Products whose version a command tells: `{ postgresql = ["psql", "--version"], debian = ["ssh", "web1", "cat", "/etc/os-release"] }`.
    pub from: Option<BTreeMap<String, Vec<String>>>,
    /// The service of support dates; endoflife.date when not given.
    pub url: Option<String>,
}

/// Looks up the dates.
struct EolSource {
    used: Vec<Used>,
    /// Products whose version a command tells, and what it told last.
    asked: Vec<(String, Vec<String>, Option<String>)>,
    service: Dates,
    every: Duration,
    limit: Duration,
}

impl EolSource {
    async fn look(&mut self) -> Result<Collected, SourceError> {
        let limit = self.limit.saturating_sub((self.limit / 10).min(Duration::from_secs(3)));
        let deadline = Instant::now() + limit;
        let (mut used, mut failed, mut last) = (self.used.clone(), Vec::new(), None);
        let looks = self.asked.iter().map(|(product, argv, _)| seen::ask(product, argv, limit / 2));
        let answers = futures_util::future::join_all(looks).await;
        for ((product, argv, told), answer) in self.asked.iter_mut().zip(answers) {
            match answer {
                Ok(version) => *told = Some(version),
                // What it told last holds until it tells otherwise.
                Err(error) => {
                    failed.push(Problem { subject: product.clone(), message: error.message.clone() });
                    last = Some(error);
                }
            }
            used.extend(told.as_ref().map(|version| Used { product: product.clone(), version: version.clone(), seen: argv.join(" ") }));
        }
        if let Some(error) = last.filter(|_| used.is_empty()) {
            return Err(error);
        }
        let (lines, mut problems, nothing) = client::look(Some(&self.service), &used, deadline).await;
        problems.extend(failed);
        match nothing {
            Some(error) => Err(error),
            None => Ok(Collected { observations: vec![Observation { at: clock::now(), data: Data::Life(lines) }], problems, complete: true }),
        }
    }
}

impl Source for EolSource {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.every)
    }

    fn collect(&mut self) -> BoxFuture<'_, Result<Collected, SourceError>> {
        Box::pin(self.look())
    }
}

fn complaint(path: &[&str], message: String, help: &str) -> Complaint {
    Complaint { path: path.iter().map(|one| (*one).to_owned()).collect(), message, help: help.to_owned(), warning: false }
}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        let mut all = Vec::new();
        if self.products.iter().flatten().next().is_none() && self.from.iter().flatten().next().is_none() {
            all.push(complaint(&["products"], "no product is named".to_owned(), "write `products = { postgresql = \"16\" }`"));
        }
        for (name, argv) in self.from.iter().flatten() {
            if !Dates::is_product(name) {
                all.push(complaint(
                    &["from", name],
                    "this is no name of a product".to_owned(),
                    "names are lower case, as endoflife.date has them: `postgresql`",
                ));
            }
            if argv.is_empty() {
                all.push(complaint(&["from", name], "the command is empty".to_owned(), "write the program and its arguments as a list"));
            }
            if self.products.as_ref().is_some_and(|products| products.contains_key(name)) {
                all.push(complaint(&["from", name], "`products` names its version already".to_owned(), "keep one of the two"));
            }
        }
        for (name, version) in self.products.iter().flatten() {
            if !Dates::is_product(name) {
                all.push(complaint(
                    &["products", name],
                    "this is no name of a product".to_owned(),
                    "names are lower case, as endoflife.date has them: `postgresql`",
                ));
            }
            if !version.starts_with(|c: char| c.is_ascii_digit() || c == 'v') {
                all.push(complaint(&["products", name], "this is no version".to_owned(), "write the version that is used, such as \"16\""));
            }
        }
        if let Some(why) = self.url.as_ref().and_then(|url| Dates::new(url, None, FRESH).err()) {
            all.push(complaint(
                &["url"],
                format!("the address is not right: {why}"),
                "write the base of the service, such as \"https://dates.example/api/v1\"",
            ));
        }
        all
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        Vec::new()
    }

    fn commands(&self) -> Vec<Vec<String>> {
        self.from.iter().flatten().map(|(_, argv)| argv.clone()).collect()
    }

    fn reaches(&self, _: &BuildContext) -> Vec<Reach> {
        let service = Dates::new(self.url.as_deref().unwrap_or(DEFAULT), None, FRESH).ok();
        service.and_then(|service| service.reach()).map(|(host, port)| Reach::Tcp(host, port)).into_iter().collect()
    }

    fn build(&self, context: &BuildContext) -> Result<Built, SourceError> {
        if !self.commands().is_empty() && !context.trusted {
            return Err(SourceError::config("this configuration may not run commands", "look at it, then run `rounds trust`"));
        }
        let spec = self.spec(context);
        let service = Dates::new(self.url.as_deref().unwrap_or(DEFAULT), context.cache.as_deref(), (spec.every / 2).min(FRESH))
            .map_err(|why| SourceError::config(format!("the address is not right: {why}"), "write the base of the service in `url`"))?;
        let used =
            self.products.iter().flatten().map(|(product, version)| Used { product: product.clone(), version: version.clone(), seen: "products".to_owned() });
        let asked = self.from.iter().flatten().map(|(product, argv)| (product.clone(), argv.clone(), None)).collect();
        let source = EolSource { used: used.collect(), asked, service, every: spec.every, limit: spec.timeout };
        Ok(Built { source: Box::new(source), spec, service: None })
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        let named = self.products.iter().flatten().map(|(name, version)| format!("{name} {version}"));
        let target = named.chain(self.from.iter().flatten().map(|(name, _)| name.clone())).collect::<Vec<_>>().join(", ");
        let spec = SourceSpec::of(context, Capability::Life, EVERY, TIMEOUT, target);
        SourceSpec { retry_every: spec.every.min(Duration::from_secs(600)), ..spec }
    }
}
