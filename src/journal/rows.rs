//! What is written for each item: rows of polls, contents, points, transitions and acknowledgements, inside the writer's transaction.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::book::{self, News, ReadyNews};
use super::keeping::{self, Prepared};
use super::redact::Redactor;
use super::{codec, series};
use crate::domain::{Acknowledgement, FindingId, SourceId, Transition, TransitionKind};
use crate::state::msg::Polled;

/// The same transition by another process within this is the same event seen twice, in milliseconds.
const SAME_EVENT_MS: i64 = 60_000;

/// One thing to keep.
pub(super) enum Item {
    Poll(Box<Polled>),
    News(Box<News>),
    Transition(Transition),
    Acknowledgement(FindingId, Option<Acknowledgement>),
}

/// An item with everything slow done.
pub(super) enum Ready {
    Poll(Prepared),
    News(Box<ReadyNews>),
    Transition { at_ms: i64, subject: String, body: String },
    Acknowledgement { finding: String, body: Option<String> },
}

impl Ready {
    /// Serialises and masks; `None` when it cannot be stored without breaking a redaction.
    pub(super) fn of(item: &Item, redactor: &Redactor) -> Option<Self> {
        Some(match item {
            Item::Poll(polled) => Self::Poll(keeping::prepare(polled, redactor)?),
            Item::News(news) => Self::News(Box::new(news.ready(redactor)?)),
            Item::Transition(transition) => {
                let subject = match &transition.kind {
                    TransitionKind::Opened { finding, .. } | TransitionKind::Closed { finding } | TransitionKind::Acknowledged { finding, .. } => {
                        finding.as_str()
                    }
                    TransitionKind::Status { .. } | TransitionKind::Drill(_) | TransitionKind::Checked(_) => {
                        transition.source.as_ref().map_or(transition.site.as_str(), SourceId::as_str)
                    }
                    // Two people may run one action at once: each run is a subject of its own.
                    TransitionKind::Action { run, .. } => run.as_str(),
                    TransitionKind::Deploy { .. } | TransitionKind::Note => transition.site.as_str(),
                };
                Self::Transition { at_ms: transition.at.timestamp_millis(), subject: subject.to_owned(), body: redactor.json(transition)? }
            }
            Item::Acknowledgement(finding, acknowledgement) => {
                let body = match acknowledgement {
                    Some(acknowledgement) => Some(redactor.json(acknowledgement)?),
                    None => None,
                };
                Self::Acknowledgement { finding: finding.as_str().to_owned(), body }
            }
        })
    }
}

/// What the thread remembers of the file between transactions, so as not to ask again. Thrown away after a failed one.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Hash and day of the content last kept, by source and capability.
    contents: HashMap<(String, &'static str), (Vec<u8>, i64)>,
    /// Series by source: number, and how many points wait.
    series: HashMap<String, (i64, i64)>,
}

impl Known {
    /// Writes one item if it is news; answers the sequence number reached.
    pub(super) fn write(&mut self, connection: &Connection, item: &Ready, seq: i64, writer: i64) -> Result<i64> {
        let next = seq + 1;
        let written = match item {
            Ready::Poll(poll) => {
                let new = write_poll(connection, poll, next, writer)?;
                if new {
                    write_contents(connection, poll, &mut self.contents)?;
                    write_points(connection, poll, &mut self.series)?;
                }
                new
            }
            Ready::News(news) => book::write(connection, news, next)?,
            Ready::Transition { at_ms, subject, body } => {
                let new = !is_repeated(connection, *at_ms, subject, body, writer)?;
                if new {
                    connection
                        .prepare_cached("INSERT INTO transitions (seq, at, writer, subject, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
                        .execute(params![next, at_ms, writer, subject, body])?;
                }
                new
            }
            Ready::Acknowledgement { finding, body } => write_acknowledgement(connection, finding, body.as_deref(), next, writer)?,
        };
        Ok(if written { next } else { seq })
    }
}

fn write_acknowledgement(connection: &Connection, finding: &str, body: Option<&str>, seq: i64, writer: i64) -> Result<bool> {
    let known: Option<Option<String>> =
        connection.prepare_cached("SELECT body FROM acknowledgements WHERE finding = ?1")?.query_row([finding], |row| row.get(0)).optional()?;
    let new = known.as_ref().map(Option::as_deref) != Some(body);
    if new {
        connection.prepare_cached("INSERT OR REPLACE INTO acknowledgements (finding, seq, writer, at, body) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
            finding,
            seq,
            writer,
            crate::io::clock::now().timestamp_millis(),
            body
        ])?;
    }
    Ok(new)
}

/// Answers whether it was new: a poll read from the journal may come back.
fn write_poll(connection: &Connection, poll: &Prepared, seq: i64, writer: i64) -> Result<bool> {
    let written = connection
        .prepare_cached(
            "INSERT INTO latest (source, seq, writer, at_ns, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (source) DO UPDATE SET seq = excluded.seq, writer = excluded.writer, at_ns = excluded.at_ns, body = excluded.body
             WHERE latest.at_ns != excluded.at_ns",
        )?
        .execute(params![poll.source, seq, writer, poll.at_ns, poll.body])?;
    Ok(written > 0)
}

/// Keeps what changed, and each day's first.
fn write_contents(connection: &Connection, poll: &Prepared, known: &mut HashMap<(String, &'static str), (Vec<u8>, i64)>) -> Result<()> {
    for content in &poll.observations {
        let key = (poll.source.clone(), content.capability);
        let day = content.at_ms.div_euclid(86_400_000);
        let last = match known.get(&key) {
            Some(last) => Some(last.clone()),
            None => connection
                .prepare_cached("SELECT hash, at FROM observations WHERE source = ?1 AND capability = ?2 ORDER BY at DESC LIMIT 1")?
                .query_row(params![poll.source, content.capability], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.div_euclid(86_400_000))))
                .optional()?,
        };
        if last.as_ref() != Some(&(content.hash.clone(), day)) {
            connection.prepare_cached("INSERT INTO observations (source, capability, at, hash, body) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
                poll.source,
                content.capability,
                content.at_ms,
                content.hash,
                codec::pack(content.body.as_bytes())
            ])?;
        }
        known.insert(key, (content.hash.clone(), day));
    }
    Ok(())
}

fn write_points(connection: &Connection, poll: &Prepared, waiting: &mut HashMap<String, (i64, i64)>) -> Result<()> {
    for point in &poll.points {
        let (id, count) = if let Some(known) = waiting.get(&poll.source) {
            *known
        } else {
            let id = series::latency_of(connection, &poll.source)?;
            (id, series::waiting(connection, id)?)
        };
        series::append(connection, id, point)?;
        let mut count = count + 1;
        if count >= series::SEAL {
            series::seal(connection, id)?;
            count = 0;
        }
        waiting.insert(poll.source.clone(), (id, count));
    }
    Ok(())
}

/// Whether another process has just recorded the same change of the same subject.
fn is_repeated(connection: &Connection, at_ms: i64, subject: &str, body: &str, writer: i64) -> Result<bool> {
    let last: Option<(i64, i64, String)> = connection
        .prepare_cached("SELECT at, writer, body FROM transitions WHERE subject = ?1 ORDER BY seq DESC LIMIT 1")?
        .query_row([subject], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((known_at, known_writer, known_body)) = last else { return Ok(false) };
    // Two notes of one kind are two notes.
    let said = |body: &str| {
        let value = serde_json::from_str::<serde_json::Value>(body).ok()?;
        let kind = value.get("kind")?.clone();
        let sentence = if kind == "note" { value.get("sentence").cloned() } else { None };
        Some((kind, sentence))
    };
    Ok(known_writer != writer && (at_ms - known_at).abs() <= SAME_EVENT_MS && said(&known_body) == said(body))
}
