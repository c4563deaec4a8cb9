//! Which issues a person means: by short id, by number, by `site/kind/name#id`; what is not clear is refused, with what may be meant.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::app::pass;
use crate::cli::Failure;
use crate::config::model::Config;
use crate::domain::{Capability, Issue, SourceId};
use crate::io::clock;
use crate::journal::Snapshot;
use crate::report::clean;
use crate::sources::ItemKey;
use crate::sources::door::Door;
use crate::state::{State, book};

/// Of what may be meant so many are named.
const NAMED: usize = 6;
/// The fewest characters of a log group's fingerprint that stand for it.
const FINGERPRINT: usize = 4;

/// One issue, or one group of a log's errors, as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Meant {
    /// Which.
    pub key: ItemKey,
    /// What people call it.
    pub name: String,
    /// Its title.
    pub title: String,
    /// It and the kind of its server; a group of a log is one of the server [`LOG`].
    pub issue: Option<(Issue, String)>,
}

/// What stands for the kind of server of a log's error book.
pub const LOG: &str = "log";

impl Meant {
    fn of_issue(source: &SourceId, issue: &Issue, server: &str) -> Self {
        let key = ItemKey { source: source.clone(), item: issue.id.clone() };
        Self { key, name: issue.short_id.clone(), title: issue.title.clone(), issue: Some((issue.clone(), server.to_owned())) }
    }

    fn written(&self) -> String {
        let key = format!("{}#{}", self.key.source, self.key.item);
        if self.name == self.key.item { clean(&key) } else { clean(&format!("{} ({key})", self.name)) }
    }
}

/// The ways to the services of all sources that know issues.
pub fn doors(config: &Config) -> BTreeMap<SourceId, Door> {
    config.sources.iter().map(|entry| (entry.id.clone(), Door::new(entry.clone()))).collect()
}

/// Leaves the sources that know issues.
pub fn narrow(config: &mut Config) {
    config.sources.retain(|entry| {
        let spec = entry.config.spec(&entry.context);
        spec.enabled && matches!(spec.capability, Capability::Issues | Capability::Log)
    });
}

/// Finds what each name means: in what one look gives, else by asking the trackers for it.
///
/// # Errors
/// A name that means nothing, or several things.
pub fn meant(names: &[String], config: &Config, doors: &BTreeMap<SourceId, Door>, limit: Duration, known: Option<&Snapshot>) -> Result<Vec<Meant>, Failure> {
    if config.sources.is_empty() {
        return Err(Failure::Usage("no error tracker and no log is watched: write [site.NAME.sentry.NAME]".to_owned()));
    }
    let state = pass::once_behind(config, limit, known, doors)?;
    let known = all(&state);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut found: Vec<Meant> = Vec::new();
    for name in names {
        let (among, item) = split(name, config)?;
        let mut matching: Vec<Meant> = known.iter().filter(|one| among.contains(&one.key.source) && is_called(one, &item)).cloned().collect();
        let mut troubles = Vec::new();
        if matching.is_empty() {
            for source in &among {
                let Some(door) = doors.get(source) else { continue };
                match runtime.block_on(door.find(&item)) {
                    Ok(Some(one)) => matching.extend(one.issue.map(|issue| Meant::of_issue(source, &issue, &one.server))),
                    Ok(None) => {}
                    Err(error) => troubles.push(format!("{source}: {}; {}", error.message, error.remedy)),
                }
            }
        }
        match matching.as_slice() {
            [one] if found.iter().all(|known| known.key != one.key) => found.push(one.clone()),
            [_] => {}
            [] => return Err(Failure::Usage(unknown(name, &item, &known, &troubles))),
            several => {
                let several: Vec<String> = several.iter().take(NAMED).map(Meant::written).collect();
                return Err(Failure::Usage(format!("\"{}\" may be {}: write it whole", clean(name), several.join(" or "))));
            }
        }
    }
    Ok(found)
}

/// All that one look gave.
fn all(state: &State) -> Vec<Meant> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for source in state.world.sources.values() {
        let id = &source.spec.id;
        for issues in source.issues.iter().map(|(_, issues)| issues) {
            let items = issues.items.iter().chain(issues.saved.iter().flat_map(|saved| &saved.items));
            all.extend(items.filter(|issue| seen.insert((id.clone(), issue.id.clone()))).map(|issue| Meant::of_issue(id, issue, &issues.server)));
        }
        // The book knows those of earlier days, and how they stand; what the log itself told just now is in it.
        if source.spec.capability == Capability::Log {
            let shown = source.book.all_shown(book::deploy(&state.world, id), clock::now());
            all.extend(shown.map(|group| Meant::of_issue(id, &book::issue(&group), LOG)));
        }
    }
    all
}

/// Whether this is what it is called: its number, its short id, or the beginning of a log group's fingerprint.
fn is_called(one: &Meant, name: &str) -> bool {
    let begins = || {
        let name = name.strip_prefix("log:").unwrap_or(name);
        one.issue.as_ref().is_some_and(|(_, server)| server == LOG) && name.len() >= FINGERPRINT && one.key.item.starts_with(name)
    };
    one.key.item == name || one.name.eq_ignore_ascii_case(name) || begins()
}

/// The sources that a name may be of, and the rest of it.
fn split(name: &str, config: &Config) -> Result<(Vec<SourceId>, String), Failure> {
    let all = || config.sources.iter().map(|entry| entry.id.clone());
    let Some((source, item)) = name.rsplit_once('#') else { return Ok((all().collect(), name.trim().to_owned())) };
    let whole: Vec<SourceId> = all().filter(|id| id.as_str() == source).collect();
    let among = if whole.is_empty() { all().filter(|id| id.within_site() == source || id.name() == source).collect() } else { whole };
    match among.as_slice() {
        [_] => Ok((among, item.to_owned())),
        [] => {
            let known: Vec<String> = all().map(|id| id.to_string()).collect();
            Err(Failure::Usage(format!("there is no source \"{}\" that knows issues; there are: {}", clean(source), known.join(", "))))
        }
        several => {
            let several: Vec<&str> = several.iter().map(SourceId::as_str).collect();
            Err(Failure::Usage(format!("\"{}\" may be {}: write it whole", clean(source), several.join(" or "))))
        }
    }
}

/// Nothing is called so: what may have been meant, or why it could not be looked for.
fn unknown(name: &str, item: &str, known: &[Meant], troubles: &[String]) -> String {
    let lower = item.to_lowercase();
    let near = |one: &&Meant| one.name.to_lowercase().contains(&lower) || one.key.item.contains(&lower) || one.title.to_lowercase().contains(&lower);
    let near: Vec<String> = known.iter().filter(|_| !lower.is_empty()).filter(near).take(NAMED).map(Meant::written).collect();
    let name = clean(name);
    if !near.is_empty() {
        return format!("there is no issue \"{name}\"; perhaps {}", near.join(" or "));
    }
    if !troubles.is_empty() {
        return format!("\"{name}\" could not be looked for: {}", clean(&troubles.join("; ")));
    }
    format!("there is no issue \"{name}\"; `rounds errors` prints those there are")
}
