//! Log events without a screen: what is in memory after one pass, what lies before it in the files, and what comes.
//!
//! What does not belong here: how an event is printed (`report`), which flags there are (`cli`).

use std::time::Duration;

use regex::{Regex, RegexBuilder};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::config::model::Config;
use crate::domain::{Data, Level, LogEvent, LogFrom, LogNotice, LogQuery, SourceError, SourceId, Timestamp};
use crate::report::log_lines::Line;
use crate::sources::runner::{Runner, RunnerOptions};
use crate::state::logview::filters::texts;
use crate::state::{LogState, Msg, State};

/// Events of one page that is read back.
const PAGE: usize = 5_000;
/// Events that are held at once, whatever is asked for.
pub const MOST: usize = 100_000;
/// Messages that wait while somebody reads slowly; past them the logs' own rings skip and count.
const WAITING: usize = 64;

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// None older.
    pub since: Option<Timestamp>,
    /// None lower.
    pub least: Option<Level>,
    /// Each of these is found in it.
    pub grep: Vec<Regex>,
    /// None of these is.
    pub exclude: Vec<Regex>,
}

impl Wanted {
    /// Whether it is one of them.
    #[must_use]
    pub fn takes(&self, event: &LogEvent) -> bool {
        let has = |pattern: &Regex| texts(event).any(|text| pattern.is_match(text));
        self.since.is_none_or(|since| event.at >= since)
            && self.least.is_none_or(|least| event.level >= least)
            && self.grep.iter().all(has)
            && !self.exclude.iter().any(has)
    }

    /// Whether all are.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.since.is_none() && self.least.is_none() && self.grep.is_empty() && self.exclude.is_empty()
    }
}

/// A pattern as the logs page reads it: capital letters count when it has one.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn pattern(text: &str) -> Result<Regex, String> {
    let insensitive = !text.chars().any(char::is_uppercase);
    RegexBuilder::new(text).case_insensitive(insensitive).size_limit(1 << 20).build().map_err(|error| {
        let said = error.to_string();
        let why = said.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or("it cannot be read").to_owned();
        format!("\"{text}\" is not a regular expression: {why}")
    })
}

/// What was gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    /// By time.
    pub lines: Vec<Line>,
    /// What could not be read, or not all of it.
    pub problems: Vec<String>,
}

/// The newest `most` of the wanted events: those in memory, and before them those in the files and their older neighbours, for at most `limit`.
///
/// # Errors
/// When no thread can be started.
pub fn gather(config: &Config, state: &State, wanted: &Wanted, most: usize, limit: Duration) -> std::io::Result<Gathered> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = Instant::now() + limit;
    let most = most.min(MOST);
    let mut gathered = Gathered::default();
    for entry in &config.sources {
        let Some(log) = state.world.sources.get(&entry.id).and_then(|source| source.log.as_ref()) else { continue };
        let name = |files: &[String], file: u16| files.get(usize::from(file)).cloned().unwrap_or_default();
        let own = log.events.iter().filter(|event| wanted.takes(event));
        let mut lines: Vec<Line> = own.map(|event| Line { source: entry.id.clone(), file: name(&log.files, event.file), event: event.clone() }).collect();
        if lines.len() < most
            && let Some(Ok(past)) = entry.config.past(&entry.context)
        {
            let mut query =
                LogQuery { files: log.files.clone(), from: oldest(log), limit: PAGE.min(most), since: wanted.since, least: wanted.least, grep: None };
            query.grep = wanted
                .grep
                .first()
                .map(|pattern| if pattern.as_str().chars().any(char::is_uppercase) { pattern.to_string() } else { format!("(?i){pattern}") });
            while lines.len() < most {
                let page = runtime.block_on(async { tokio::time::timeout_at(end, past.before(query.clone())).await });
                match page.map(crate::sources::masked) {
                    Ok(Ok(page)) => {
                        let older = page.events.into_iter().filter(|event| wanted.takes(event));
                        lines.extend(older.map(|event| Line { source: entry.id.clone(), file: name(&page.files, event.file), event }));
                        gathered.problems.extend(page.problems.iter().map(|problem| format!("{}: {}", problem.subject, problem.message)));
                        let Some(next) = page.next else { break };
                        (query.files, query.from) = (page.files, next);
                    }
                    Ok(Err(error)) => {
                        gathered.problems.push(format!("{}: {}", entry.id, error.message));
                        break;
                    }
                    Err(_) => {
                        gathered.problems.push(format!("{}: not all was read in {} s; a longer `--timeout` reads further back", entry.id, limit.as_secs()));
                        break;
                    }
                }
            }
        }
        gathered.lines.append(&mut lines);
    }
    runtime.shutdown_background();
    gathered.lines.sort_by_key(|line| line.event.at);
    gathered.lines.drain(..gathered.lines.len().saturating_sub(most));
    gathered.problems.dedup();
    Ok(gathered)
}

/// The oldest event in memory of each file.
fn oldest(log: &LogState) -> Vec<LogFrom> {
    let mut from: Vec<(u16, LogFrom)> = Vec::new();
    for event in &log.events {
        if !from.iter().any(|(file, _)| *file == event.file)
            && let Some(name) = log.files.get(usize::from(event.file))
        {
            from.push((event.file, LogFrom { file: name.clone(), place: event.place, at: Some(event.at) }));
        }
    }
    from.into_iter().map(|(_, from)| from).collect()
}

/// What following tells.
#[derive(Debug)]
pub enum News {
    /// Wanted events, in the order in which they were read.
    Lines(Vec<Line>),
    /// So many events of a log were counted and are not told.
    Skipped(SourceId, u64),
    /// A log cannot be read.
    Failed(SourceId, SourceError),
}

/// Follows the logs, on from where the pass before ended, until `tell` says `false`.
///
/// # Errors
/// When no threads can be started.
pub fn follow(config: &Config, wanted: &Wanted, mut tell: impl FnMut(News) -> bool) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("rounds-io").enable_all().build()?;
    let (messages, mut inbox) = mpsc::channel(WAITING);
    let runner = {
        let _entered = runtime.enter();
        Runner::start(config.sources.clone(), &messages, &RunnerOptions::default())
    };
    drop(messages);
    runtime.block_on(async {
        while let Some(msg) = inbox.recv().await {
            let Msg::Polled(polled) = msg else { continue };
            let news: Vec<News> = match polled.result {
                Err(error) => vec![News::Failed(polled.source, error)],
                Ok(collected) => {
                    let batches =
                        collected.observations.into_iter().filter_map(|observation| if let Data::Log(batch) = observation.data { Some(batch) } else { None });
                    batches
                        .flat_map(|batch| {
                            let skipped: u64 = batch.marks.iter().map(|mark| if let LogNotice::Skipped(events) = mark.notice { events } else { 0 }).sum();
                            let file = |event: &LogEvent| batch.files.get(usize::from(event.file)).cloned().unwrap_or_default();
                            let lines = batch.events.iter().filter(|event| wanted.takes(event));
                            let lines = lines.map(|event| Line { source: polled.source.clone(), file: file(event), event: event.clone() }).collect();
                            [News::Skipped(polled.source.clone(), skipped), News::Lines(lines)]
                        })
                        .collect()
                }
            };
            if !news.into_iter().all(&mut tell) {
                break;
            }
        }
        runner.stop().await;
    });
    runtime.shutdown_background();
    Ok(())
}
