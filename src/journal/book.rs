//! The error book in the file: a row for each group of errors of each log and mail box, with its newest example apart.
//!
//! What an event makes of a group is decided by [`crate::domain::Book`]; here its rows are read, handed to it and written back, inside one
//! transaction. Followers read whole rows, so every process shows the same. What does not belong here: which errors are the same
//! (`sources`), when a batch is news (`app::perform`: what every process reads is kept by one).

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Result, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::redact::Redactor;
use super::store::{self, FILE, StoreError};
use super::{Reader, codec};
use crate::domain::book::DeedError;
use crate::domain::{Book, BookGroup, Data, Deed, LogBatch, LogEvent, LogGroup, Noted, SourceId, Timestamp, Transition, TransitionKind};
use crate::state::msg::{BookRows, Polled};

/// Groups kept in all; the least recent go first.
pub const GROUPS: i64 = 10_000;
/// So many go at once when there are more.
const ROOM: i64 = 100;
/// Groups of one source that a process is told of at its start, the most recent.
pub(super) const TOLD: i64 = 1_000;
/// Rows told in one look.
const AT_ONCE: i64 = 2_000;
/// Bytes kept of the lines of one example.
const EXAMPLE: usize = 16 << 10;
/// Events before an example that are kept with it.
const BEFORE: usize = 5;
/// Characters kept of each of those.
const BEFORE_CHARS: usize = 300;
/// Transitions of a site looked through for its last deploy.
const DEPLOYS: i64 = 50;

/// The newest event of a group, with the lines just before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// It.
    pub event: LogEvent,
    /// What the same file said before, oldest first.
    #[serde(default)]
    pub before: Vec<LogEvent>,
}

/// What a poll says to the book.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct News {
    source: SourceId,
    at: Timestamp,
    looked_back: bool,
    groups: Vec<LogGroup>,
    noted: Vec<Noted>,
    examples: BTreeMap<String, Example>,
}

/// News with everything slow done.
pub(super) struct ReadyNews {
    source: SourceId,
    batch: LogBatch,
    at: Timestamp,
    examples: Vec<(String, Vec<u8>)>,
}

/// Why something could not be done to a group.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The journal.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// It makes no sense.
    #[error("{0}")]
    Deed(#[from] DeedError),
}

impl From<rusqlite::Error> for BookError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What of an event is kept as an example: bounded, its beginning and its end.
fn example(event: &LogEvent, before: &[&LogEvent]) -> Example {
    let mut kept = event.clone();
    // A quarter of the room is for its beginning, the rest for its end, which says more.
    let fit = |lines: &mut dyn Iterator<Item = &String>, room: usize| {
        let mut used = 0;
        lines
            .take_while(|line| {
                used += line.len() + 1;
                used <= room
            })
            .count()
    };
    let lines = kept.detail.len();
    if fit(&mut kept.detail.iter(), EXAMPLE) < lines {
        let head = fit(&mut kept.detail.iter(), EXAMPLE / 4);
        let tail = fit(&mut kept.detail.iter().rev(), EXAMPLE - EXAMPLE / 4).min(lines - head);
        kept.detail.splice(head..lines - tail, [format!("  … {} lines left out", lines - tail - head)]);
    }
    for line in kept.detail.iter_mut().chain([&mut kept.message]) {
        if line.len() > EXAMPLE {
            *line = line.chars().take(EXAMPLE / 4).collect();
        }
    }
    let short = |event: &&LogEvent| LogEvent { message: event.message.chars().take(BEFORE_CHARS).collect(), detail: Vec::new(), ..LogEvent::clone(event) };
    Example { event: kept, before: before.iter().map(short).collect() }
}

/// What a poll says to the book; taken before its lines are left out of what is kept of the poll itself.
pub(super) fn news(polled: &Polled) -> Option<News> {
    let collected = polled.result.as_ref().ok()?;
    let batch = collected.observations.iter().find_map(|observation| if let Data::Log(batch) = &observation.data { Some(batch) } else { None })?;
    let mut examples = BTreeMap::new();
    for noted in &batch.book {
        let newest = batch.events.iter().rposition(|event| event.fingerprint.as_deref() == Some(&noted.fingerprint));
        if let Some(place) = newest {
            let event = &batch.events[place];
            let mut before: Vec<&LogEvent> = batch.events[..place].iter().rev().filter(|other| other.file == event.file).take(BEFORE).collect();
            before.reverse();
            examples.insert(noted.fingerprint.clone(), example(event, &before));
        }
    }
    let groups = batch.groups.iter().filter(|group| batch.book.iter().any(|noted| noted.fingerprint == group.fingerprint)).cloned().collect();
    // Also without a group: the book of a log begins when the log is first read.
    Some(News { source: polled.source.clone(), at: polled.at, looked_back: batch.looked_back, groups, noted: batch.book.clone(), examples })
}

/// Adds newer news of the same source to those that wait, so that a flood is one row for each group. Gives the newer ones back when the
/// two cannot be joined.
pub(super) fn join(waiting: &mut News, newer: News) -> Option<News> {
    if waiting.source != newer.source || waiting.looked_back || newer.looked_back || waiting.noted.len() > 4_000 {
        return Some(newer);
    }
    waiting.at = newer.at;
    for noted in newer.noted {
        match waiting.noted.iter_mut().find(|known| known.fingerprint == noted.fingerprint) {
            Some(known) => {
                for (second, count) in noted.times {
                    let full = known.times.len() >= 4_096;
                    match known.times.last_mut() {
                        Some(last) if last.0 == second || full => last.1 += count,
                        _ => known.times.push((second, count)),
                    }
                }
            }
            None => waiting.noted.push(noted),
        }
    }
    for group in newer.groups {
        match waiting.groups.iter_mut().find(|known| known.fingerprint == group.fingerprint) {
            Some(known) => *known = LogGroup { level: known.level.max(group.level), ..group },
            None => waiting.groups.push(group),
        }
    }
    waiting.examples.extend(newer.examples);
    None
}

impl News {
    /// Whose.
    pub(super) fn source(&self) -> &SourceId {
        &self.source
    }

    /// Masks and packs; `None` when it cannot be stored without breaking a redaction.
    pub(super) fn ready(&self, redactor: &Redactor) -> Option<ReadyNews> {
        let groups: Vec<LogGroup> = serde_json::from_str(&redactor.json(&self.groups)?).ok()?;
        let examples =
            self.examples.iter().filter_map(|(fingerprint, example)| Some((fingerprint.clone(), codec::pack(redactor.json(example)?.as_bytes())))).collect();
        let batch = LogBatch { groups, book: self.noted.clone(), looked_back: self.looked_back, ..LogBatch::default() };
        Some(ReadyNews { source: self.source.clone(), batch, at: self.at, examples })
    }
}

/// Writes news; answers whether anything changed. Each row that changed bears `seq`.
pub(super) fn write(connection: &Connection, news: &ReadyNews, seq: i64) -> Result<bool> {
    let source = news.source.as_str();
    let wanted: Vec<&str> = news.batch.book.iter().flat_map(|noted| [Some(noted.fingerprint.as_str()), noted.former.as_deref()]).flatten().collect();
    let (mut book, known) = load(connection, source, &wanted)?;
    let (upto, begun) = (book.upto, book.begun);
    let count = book.groups.len();
    // Asked at most once: a batch is of one moment.
    let mut deploys: Option<Vec<(Timestamp, String)>> = None;
    let release = std::cell::RefCell::new(&mut deploys);
    let changed = book.take(&news.batch, news.at, |at| {
        let mut held = release.borrow_mut();
        let deploys = held.get_or_insert_with(|| deploys_of(connection, news.source.site()).unwrap_or_default());
        deploys.iter().find(|(deployed, _)| *deployed <= at).map(|(_, version)| version.clone())
    });
    if changed.is_empty() && (upto, begun) == (book.upto, book.begun) {
        return Ok(false);
    }
    store_rows(connection, source, &book, &changed, &known, seq, news.at)?;
    for (fingerprint, body) in news.examples.iter().filter(|(fingerprint, _)| changed.contains(fingerprint)) {
        connection.prepare_cached("UPDATE book SET example = ?3 WHERE source = ?1 AND fingerprint = ?2")?.execute(params![source, fingerprint, body])?;
    }
    if (upto, begun) != (book.upto, book.begun) {
        connection.prepare_cached("INSERT OR REPLACE INTO book_logs (source, begun, upto) VALUES (?1, ?2, ?3)")?.execute(params![
            source,
            book.begun.map(|begun| begun.timestamp_millis()),
            book.upto
        ])?;
    }
    if book.groups.len() > count {
        bound(connection)?;
    }
    Ok(true)
}

/// The least recent groups go when there are too many.
fn bound(connection: &Connection) -> Result<()> {
    let count: i64 = connection.prepare_cached("SELECT count(*) FROM book")?.query_row([], |row| row.get(0))?;
    if count > GROUPS {
        connection
            .prepare_cached("DELETE FROM book WHERE rowid IN (SELECT rowid FROM book ORDER BY last LIMIT ?1)")?
            .execute([count - GROUPS + ROOM.min(GROUPS / 2)])?;
    }
    Ok(())
}

/// The newest deploys of a site, newest first.
fn deploys_of(connection: &Connection, site: &str) -> Result<Vec<(Timestamp, String)>> {
    let mut statement = connection.prepare_cached("SELECT body FROM transitions WHERE subject = ?1 ORDER BY seq DESC LIMIT ?2")?;
    let mut rows = statement.query(params![site, DEPLOYS])?;
    let mut deploys = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(transition) = row.get_ref(0)?.as_str().ok().and_then(|body| serde_json::from_str::<Transition>(body).ok())
            && let TransitionKind::Deploy { version, .. } = transition.kind
        {
            deploys.push((transition.at, version));
        }
    }
    deploys.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    Ok(deploys)
}

/// The named groups with those they were merged into and those merged into them, and which of them have a row.
fn load(connection: &Connection, source: &str, wanted: &[&str]) -> Result<(Book, Vec<String>)> {
    let mut book = Book::default();
    let log: Option<(Option<i64>, Option<i64>)> = connection
        .prepare_cached("SELECT begun, upto FROM book_logs WHERE source = ?1")?
        .query_row([source], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((begun, upto)) = log {
        (book.begun, book.upto) = (begun.and_then(Timestamp::from_timestamp_millis), upto);
    }
    let mut known = Vec::new();
    let mut one = connection.prepare_cached("SELECT body FROM book WHERE source = ?1 AND fingerprint = ?2")?;
    let mut members = connection.prepare_cached("SELECT body FROM book WHERE source = ?1 AND merged = ?2")?;
    let mut ask: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let mut take = |body: Option<String>, ask: &mut Vec<String>, book: &mut Book| {
        // A row that cannot be read begins anew.
        if let Some(group) = body.and_then(|body| serde_json::from_str::<BookGroup>(&body).ok()) {
            ask.extend(group.into.clone().filter(|into| !book.groups.contains_key(into)));
            known.push(group.fingerprint.clone());
            book.groups.insert(group.fingerprint.clone(), group);
        }
    };
    while let Some(fingerprint) = ask.pop() {
        if book.groups.contains_key(&fingerprint) {
            continue;
        }
        let body: Option<Option<String>> = one.query_row(params![source, fingerprint], |row| row.get(0)).optional()?;
        take(body.flatten(), &mut ask, &mut book);
        let mut rows = members.query(params![source, fingerprint])?;
        while let Some(row) = rows.next()? {
            take(row.get(0)?, &mut ask, &mut book);
        }
    }
    Ok((book, known))
}

fn store_rows(connection: &Connection, source: &str, book: &Book, changed: &[String], known: &[String], seq: i64, at: Timestamp) -> Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO book (source, fingerprint, seq, last, merged, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (source, fingerprint) DO UPDATE SET seq = excluded.seq, last = excluded.last, merged = excluded.merged, body = excluded.body",
    )?;
    for fingerprint in changed {
        match book.groups.get(fingerprint) {
            Some(group) => {
                // The group that leads lives as long as those merged into it.
                let last = book.members(fingerprint).map(|member| member.last_seen).fold(group.last_seen, Ord::max);
                let body = serde_json::to_string(group).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
                put.execute(params![source, fingerprint, seq, last.timestamp_millis(), group.into, body])?;
            }
            // Others are told that it has another name now.
            None if known.contains(fingerprint) => {
                connection
                    .prepare_cached("UPDATE book SET seq = ?3, last = ?4, merged = NULL, body = NULL, example = NULL WHERE source = ?1 AND fingerprint = ?2")?
                    .execute(params![source, fingerprint, seq, at.timestamp_millis()])?;
            }
            None => {}
        }
    }
    Ok(())
}

/// Does what a person asks to a group, in a transaction of its own.
///
/// # Errors
/// When the journal cannot be written, or the deed makes no sense; nothing has changed then.
pub fn perform(dir: &Path, source: &SourceId, fingerprint: &str, deed: &Deed, by: &str, now: Timestamp) -> std::result::Result<BookGroup, BookError> {
    let mut connection = store::connect_known(&dir.join(FILE))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut wanted = vec![fingerprint];
    if let Deed::Merge(into) = deed {
        wanted.push(into);
    }
    let (mut book, known) = load(&transaction, source.as_str(), &wanted)?;
    let before = book.groups.get(fingerprint).cloned();
    let changed = book.perform(fingerprint, deed, by, now)?;
    let seq = transaction.query_row("SELECT seq FROM counter", [], |row| row.get::<_, i64>(0))? + 1;
    store_rows(&transaction, source.as_str(), &book, &changed, &known, seq, now)?;
    transaction.execute("UPDATE counter SET seq = ?1", [seq])?;
    transaction.commit()?;
    before.ok_or_else(|| DeedError::Unknown(fingerprint.to_owned()).into())
}

/// Rows as messages carry them, from a query of source, fingerprint and body.
fn gather(rows: &mut rusqlite::Rows<'_>, books: &mut BTreeMap<String, BookRows>) -> Result<u64> {
    let mut unreadable = 0;
    while let Some(row) = rows.next()? {
        let (source, fingerprint): (String, String) = (row.get(0)?, row.get(1)?);
        let Ok(id) = SourceId::parse(&source) else { continue };
        let body: Option<String> = row.get(2)?;
        let group = match body {
            None => None,
            Some(body) => match serde_json::from_str::<BookGroup>(&body) {
                Ok(group) => Some(group),
                Err(_) => {
                    unreadable += 1;
                    continue;
                }
            },
        };
        books.entry(source).or_insert_with(|| BookRows { source: id, begun: None, upto: None, rows: Vec::new() }).rows.push((fingerprint, group));
    }
    Ok(unreadable)
}

/// When the book of each source was begun, and how far it goes.
fn begun(connection: &Connection, books: &mut BTreeMap<String, BookRows>, all: bool) -> Result<()> {
    let mut statement = connection.prepare_cached("SELECT source, begun, upto FROM book_logs")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let source: String = row.get(0)?;
        let Ok(id) = SourceId::parse(&source) else { continue };
        let (begun, upto): (Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?);
        let book = if all {
            books.entry(source).or_insert_with(|| BookRows { source: id, begun: None, upto: None, rows: Vec::new() })
        } else {
            match books.get_mut(&source) {
                Some(book) => book,
                None => continue,
            }
        };
        (book.begun, book.upto) = (begun.and_then(Timestamp::from_timestamp_millis), upto);
    }
    Ok(())
}

/// What changed after `seq`.
pub(super) fn newer(connection: &Connection, seq: i64) -> Result<Vec<BookRows>> {
    let mut books = BTreeMap::new();
    let mut statement = connection.prepare_cached("SELECT source, fingerprint, body FROM book WHERE seq > ?1 ORDER BY seq DESC LIMIT ?2")?;
    gather(&mut statement.query(params![seq, AT_ONCE])?, &mut books)?;
    begun(connection, &mut books, false)?;
    Ok(books.into_values().collect())
}

/// The most recent groups of each source, and how many rows could not be read.
pub(super) fn recent(connection: &Connection) -> Result<(Vec<BookRows>, u64)> {
    let mut books = BTreeMap::new();
    begun(connection, &mut books, true)?;
    let mut unreadable = 0;
    let sources: Vec<String> = books.keys().cloned().collect();
    let mut statement =
        connection.prepare_cached("SELECT source, fingerprint, body FROM book WHERE source = ?1 AND body IS NOT NULL ORDER BY last DESC LIMIT ?2")?;
    for source in sources {
        unreadable += gather(&mut statement.query(params![source, TOLD])?, &mut books)?;
    }
    Ok((books.into_values().collect(), unreadable))
}

impl Reader {
    /// The newest example of a group or of those merged into it; `None`: none was kept.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn example(&self, source: &SourceId, fingerprint: &str) -> std::result::Result<Option<Example>, StoreError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT example FROM book WHERE source = ?1 AND (fingerprint = ?2 OR merged = ?2) AND example IS NOT NULL ORDER BY last DESC LIMIT 8",
        )?;
        let mut rows = statement.query(params![source.as_str(), fingerprint])?;
        while let Some(row) = rows.next()? {
            let read = codec::unpack(row.get_ref(0)?.as_blob().unwrap_or_default()).ok().and_then(|json| serde_json::from_slice(&json).ok());
            if read.is_some() {
                return Ok(read);
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::config::model;
    use crate::domain::{IssueState, Level, Observation};
    use crate::journal::{Identity, Journal, read_snapshot};
    use crate::sources::Collected;
    use crate::state::Msg;

    const SOON: Duration = Duration::from_secs(20);

    fn open(dir: &Path, redact: &[&str]) -> Journal {
        let settings = model::Journal { keep: Duration::from_hours(400 * 24), url: None, redact: redact.iter().map(ToString::to_string).collect() };
        Journal::open(dir, &settings, Identity::of_this_process()).journal.unwrap()
    }

    fn id() -> SourceId {
        SourceId::parse("shop/log/django").unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(1_790_000_000 + second, 0).unwrap()
    }

    fn batch(fingerprint: &str, seconds: &[i64], looked_back: bool) -> LogBatch {
        let group = LogGroup {
            fingerprint: fingerprint.into(),
            title: format!("ValueError: no basket for ann@shop.example ({fingerprint})"),
            culprit: "basket/pricing.py:88 in total".into(),
            level: Level::Error,
            count: seconds.len() as u64,
            first_seen: at(seconds[0]),
            last_seen: at(seconds[0]),
        };
        let event = |message: &str, fingerprint: Option<&str>| LogEvent {
            at: at(seconds[0]),
            level: Level::Error,
            file: 0,
            message: message.into(),
            detail: vec!["Traceback (most recent call last):".into(), "ValueError: no basket for ann@shop.example".into()],
            fingerprint: fingerprint.map(str::to_owned),
            place: None,
        };
        LogBatch {
            groups: vec![group],
            book: vec![Noted { fingerprint: fingerprint.into(), former: None, times: seconds.iter().map(|second| (at(*second).timestamp(), 1)).collect() }],
            events: vec![event("GET /basket/ by ann@shop.example", None), event("Internal Server Error: /basket/", Some(fingerprint))],
            looked_back,
            ..LogBatch::default()
        }
    }

    fn polled(second: i64, batch: LogBatch) -> Polled {
        let observations = vec![Observation { at: at(second), data: Data::Log(batch) }];
        Polled { source: id(), started: at(second), at: at(second), result: Ok(Collected { observations, problems: vec![], complete: false }), next_at: None }
    }

    fn book(dir: &Path) -> Book {
        let mut book = Book::default();
        for rows in read_snapshot(dir).unwrap().books {
            (book.begun, book.upto) = (rows.begun, rows.upto);
            book.groups.extend(rows.rows.into_iter().filter_map(|(fingerprint, group)| Some((fingerprint, group?))));
        }
        book
    }

    #[test]
    fn the_book_survives_a_restart_and_counts_no_line_twice() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path(), &[]);
        journal.keep_transition(Transition {
            at: at(-60),
            site: "shop".into(),
            source: None,
            kind: TransitionKind::Deploy { version: "1.4.2".into(), by: "ana".into() },
            sentence: "1.4.2 deployed".into(),
        });
        journal.keep_poll(polled(10, batch("a", &[0, 5], true)));
        for second in 11..60 {
            journal.keep_poll(polled(second, batch("a", &[second], false)));
        }
        drop(journal);
        let known = book(dir.path());
        assert_eq!((known.groups["a"].count, known.groups["a"].release.as_deref(), known.begun), (51, Some("1.4.2"), Some(at(10))));
        // A process that reads the end of the same file again.
        let journal = open(dir.path(), &[]);
        journal.keep_poll(polled(70, batch("a", &[50, 58, 59, 65], true)));
        assert!(journal.flush(SOON));
        assert_eq!(book(dir.path()).groups["a"].count, 52);
        let example = journal.reader().unwrap().example(&id(), "a").unwrap().unwrap();
        assert_eq!((example.event.message.as_str(), example.before.len()), ("Internal Server Error: /basket/", 1));
    }

    #[test]
    fn titles_and_examples_are_masked_before_they_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path(), &[r"\w+@[\w.]+"]);
        journal.keep_poll(polled(1, batch("a", &[0], false)));
        assert!(journal.flush(SOON));
        let example = journal.reader().unwrap().example(&id(), "a").unwrap().unwrap();
        assert_eq!(example.event.detail[1], "ValueError: no basket for ***");
        assert_eq!(example.before[0].message, "GET /basket/ by ***");
        assert_eq!(book(dir.path()).groups["a"].title, "ValueError: no basket for *** (a)");
        drop(journal);
        let bytes: Vec<u8> = std::fs::read_dir(dir.path()).unwrap().flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
        assert!(!bytes.windows(4).any(|window| window == b"ann@"));
    }

    #[test]
    fn what_a_person_says_is_kept_told_to_others_and_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path(), &[]);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = heard.clone();
        let _follower = journal
            .follow(0, move |msg| {
                if let Msg::Book(rows) = msg {
                    sink.lock().unwrap().extend(rows.rows);
                }
                true
            })
            .unwrap();
        journal.keep_poll(polled(1, batch("a", &[0], false)));
        journal.keep_poll(polled(2, batch("b", &[2], false)));
        assert!(journal.flush(SOON));
        let before = perform(dir.path(), &id(), "a", &Deed::Resolve, "ana", at(5)).unwrap();
        assert_eq!(before.said, None);
        let until = Instant::now() + SOON;
        while !heard.lock().unwrap().iter().any(|(name, group)| name == "a" && group.as_ref().is_some_and(|group| group.said.is_some())) {
            assert!(Instant::now() < until, "others hear of it");
            std::thread::sleep(Duration::from_millis(20));
        }
        perform(dir.path(), &id(), "b", &Deed::Merge("a".into()), "ana", at(6)).unwrap();
        assert_eq!(book(dir.path()).shown("a", None, at(7)).map(|shown| (shown.count, shown.state)), Some((2, IssueState::Resolved)));
        // The merged one comes again: the one that leads is back.
        journal.keep_poll(polled(9, batch("b", &[9], false)));
        assert!(journal.flush(SOON));
        assert_eq!(book(dir.path()).state("a", None, at(10)), IssueState::Regressed);
        perform(dir.path(), &id(), "b", &Deed::Split, "ana", at(11)).unwrap();
        assert_eq!(book(dir.path()).shown("b", None, at(12)).unwrap().count, 2);
        assert!(matches!(perform(dir.path(), &id(), "x", &Deed::Resolve, "ana", at(5)), Err(BookError::Deed(DeedError::Unknown(_)))));
        assert!(matches!(perform(&dir.path().join("none"), &id(), "a", &Deed::Resolve, "ana", at(5)), Err(BookError::Store(_))));
    }

    #[test]
    fn it_is_bounded_and_the_least_recent_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path(), &[]);
        for round in 0..6i64 {
            let mut big = LogBatch::default();
            for n in 0..2_000i64 {
                let one = batch(&format!("{:08x}", round * 2_000 + n), &[round * 2_000 + n], false);
                big.groups.extend(one.groups);
                big.book.extend(one.book);
            }
            journal.keep_poll(polled((round + 1) * 2_000, big));
            assert!(journal.flush(SOON));
        }
        let rows = journal.reader().unwrap().stats().unwrap().rows["book"];
        assert!(rows <= GROUPS as u64 && rows > GROUPS as u64 - 2_200, "{rows}");
        let told = book(dir.path());
        assert_eq!(i64::try_from(told.groups.len()).unwrap(), TOLD);
        assert!(told.groups.contains_key(&format!("{:08x}", 11_999)) && !told.groups.contains_key(&format!("{:08x}", 0)));
    }

    #[test]
    fn a_giant_is_kept_by_its_beginning_and_end() {
        let mut event = batch("a", &[0], false).events.remove(1);
        event.detail = (0..5_000).map(|n| format!("line {n} of a long traceback")).collect();
        let kept = example(&event, &[]).event.detail;
        assert!(kept.iter().map(String::len).sum::<usize>() <= EXAMPLE + 40);
        assert_eq!((kept.first().unwrap().as_str(), kept.last().unwrap().as_str()), ("line 0 of a long traceback", "line 4999 of a long traceback"));
    }
}
