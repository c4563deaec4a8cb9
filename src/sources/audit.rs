//! The keys that every source of packages has about advisories, and the auditor made of them.
//!
//! What does not belong here: asking and judging (`packages::advisories`).

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{BuildContext, Complaint};
use crate::domain::SourceError;
use crate::packages::advisories::audit::Auditor;
use crate::packages::advisories::client::{self, DEFAULT};
use crate::packages::advisories::judge::Ignore;
use crate::packages::advisories::store::Store;
use crate::packages::ecosystem::Ecosystem;
use crate::packages::life::client::{self as life, Dates};

/// An answer is not asked for again within this, however long the interval.
const FRESH: Duration = Duration::from_secs(3_600);

/// Support dates are not asked for again within this.
const DAY: Duration = Duration::from_secs(86_400);

/// Whether a service is asked, or where it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Asked {
    /// Yes or no.
    Switch(bool),
    /// The address of the service.
    Address(String),
}

/// Something that is known and borne.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IgnoreConfig {
    /// Of an advisory, or the name of a package.
    pub id: String,
    /// Why.
    pub reason: String,
    /// Until this day, `2027-01-31`.
    pub until: Option<String>,
}

fn complaint(path: &[&str], message: String, help: &str) -> Complaint {
    Complaint { path: path.iter().map(|one| (*one).to_owned()).collect(), message, help: help.to_owned(), warning: false }
}

/// What is wrong with these keys.
pub(super) fn check(osv: Option<&Asked>, ignore: &[IgnoreConfig]) -> Vec<Complaint> {
    let mut all = Vec::new();
    if let Some(Asked::Address(text)) = osv
        && let Err(why) = client::Osv::new(text, Ecosystem::PyPi, Arc::new(Store::new(None)), "")
    {
        all.push(complaint(&["osv"], format!("the address is not right: {why}"), "write the service's address, such as \"https://osv.example\", or false"));
    }
    for (at, one) in ignore.iter().enumerate() {
        let at = at.to_string();
        if one.id.trim().is_empty() {
            all.push(complaint(&["ignore", &at, "id"], "it names no advisory".to_owned(), "write its id, such as \"CVE-2026-1234\", or the name of a package"));
        }
        if one.reason.trim().is_empty() {
            all.push(complaint(&["ignore", &at, "reason"], "it has no reason".to_owned(), "say why it is borne, so that somebody can judge it later"));
        }
        if one.until.as_ref().is_some_and(|until| until.trim().parse::<chrono::NaiveDate>().is_err()) {
            all.push(complaint(&["ignore", &at, "until"], "`until` is no date".to_owned(), "write year, month and day: \"2027-01-31\""));
        }
    }
    all
}

/// The service of support dates; `None` when it is switched off.
///
/// # Errors
/// When its address is none.
pub(super) fn dates(asked: Option<&Asked>, context: &BuildContext, every: Duration) -> Result<Option<Dates>, SourceError> {
    let address = match asked {
        Some(Asked::Switch(false)) => return Ok(None),
        Some(Asked::Address(text)) => text.as_str(),
        Some(Asked::Switch(true)) | None => life::DEFAULT,
    };
    let made = Dates::new(address, context.cache.as_deref(), (every / 2).min(DAY));
    made.map(Some).map_err(|why| SourceError::config(format!("the address in `eol` is not right: {why}"), "write it as \"https://dates.example/api/v1\""))
}

/// The auditor of one source.
///
/// # Errors
/// When the address of the service is none.
pub(super) fn build(
    osv: Option<&Asked>,
    ignore: &[IgnoreConfig],
    ecosystem: Ecosystem,
    context: &BuildContext,
    every: Duration,
) -> Result<Auditor, SourceError> {
    let store = Arc::new(Store::new(context.cache.as_deref()));
    let address = match osv {
        Some(Asked::Switch(false)) => None,
        Some(Asked::Address(text)) => Some(text.as_str()),
        Some(Asked::Switch(true)) | None => Some(DEFAULT),
    };
    let source = context.id.as_str().to_owned();
    let made = address.map(|address| client::Osv::new(address, ecosystem, Arc::clone(&store), &source)).transpose();
    let osv = made.map_err(|why| SourceError::config(format!("the address in `osv` is not right: {why}"), "write it as \"https://osv.example\""))?;
    let ignores = ignore.iter().map(|one| Ignore {
        id: one.id.trim().to_owned(),
        reason: one.reason.clone(),
        until: one.until.as_deref().and_then(|until| until.trim().parse().ok()),
    });
    Ok(Auditor { ecosystem, osv, ignores: ignores.collect(), fresh: (every / 2).min(FRESH), store, source })
}
