//! Reads what the command prints. Pure.
//!
//! A field that is not known is passed over. One that is known and wrong is told with its place, and nothing of the document is used:
//! guessing at half of it could make a bad copy look good.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::backups::tool;
use crate::domain::backup::{Check, JobRun, Lock, Place};
use crate::domain::{Backup, Copy, SourceError, Timestamp, time};

/// Characters that are kept of a name, and of a sentence.
const NAME: usize = 300;
const SENTENCE: usize = 500;
/// Tags of one copy, runs, locks and places that are kept.
const TAGS: usize = 20;
const RUNS: usize = 60;
const LOCKS: usize = 20;
const PLACES: usize = 20;
/// Wrong places that are told.
const TOLD: usize = 3;

/// What is wrong so far.
#[derive(Default)]
struct Wrong {
    told: Vec<String>,
    more: usize,
}

impl Wrong {
    fn add(&mut self, words: String) {
        if self.told.len() < TOLD { self.told.push(words) } else { self.more += 1 }
    }
}

/// Where an object stands in the document.
#[derive(Clone, Copy)]
enum Spot {
    Top,
    Under(&'static str),
    Nth(&'static str, usize),
}

/// An object of the document.
struct Item<'a> {
    spot: Spot,
    fields: &'a Map<String, Value>,
}

/// The beginning of a value as JSON, for a message.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => clipped(&other.to_string(), 40),
    }
}

fn clipped(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

impl<'a> Item<'a> {
    fn place(&self, key: &str) -> String {
        match self.spot {
            Spot::Top => key.to_owned(),
            Spot::Under(parent) => format!("{parent}.{key}"),
            Spot::Nth(list, at) => format!("{list}[{at}].{key}"),
        }
    }

    /// The value of a key, where it is given; what cannot be read is wrong.
    fn get<T>(&self, key: &str, wanted: &str, wrong: &mut Wrong, read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        let value = self.fields.get(key).filter(|value| !value.is_null())?;
        let read = read(value);
        if read.is_none() {
            wrong.add(format!("{} is {}, not {wanted}", self.place(key), shown(value)));
        }
        read
    }

    /// The same of one that must be there.
    fn need<T>(&self, key: &str, wanted: &str, wrong: &mut Wrong, read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        if self.fields.get(key).is_none_or(Value::is_null) {
            wrong.add(format!("{} is missing", self.place(key)));
        }
        self.get(key, wanted, wrong, read)
    }

    fn text(&self, key: &str, most: usize, wrong: &mut Wrong) -> Option<String> {
        self.get(key, "a text", wrong, Value::as_str).map(|text| text.chars().take(most).collect())
    }

    fn time(&self, key: &str, wrong: &mut Wrong) -> Option<Timestamp> {
        self.get(key, TIME, wrong, moment)
    }

    fn number(&self, key: &str, wrong: &mut Wrong) -> Option<u64> {
        self.get(key, "a number of zero or more", wrong, whole)
    }

    fn flag(&self, key: &str, wrong: &mut Wrong) -> Option<bool> {
        self.get(key, "true or false", wrong, Value::as_bool)
    }

    /// The objects of a list; empty where there is none.
    fn list(&self, key: &'static str, wrong: &mut Wrong) -> Vec<Item<'a>> {
        let Some(list) = self.get(key, "a list", wrong, Value::as_array) else { return Vec::new() };
        let mut all = Vec::with_capacity(list.len());
        for (at, value) in list.iter().enumerate() {
            match value.as_object() {
                Some(fields) => all.push(Item { spot: Spot::Nth(key, at), fields }),
                None => wrong.add(format!("{key}[{at}] is {}, not an object", shown(value))),
            }
        }
        all
    }
}

const TIME: &str = "a time such as \"2026-11-20T03:00:00Z\" or seconds since 1970";

/// RFC 3339, or seconds since 1970. Later than the year 9999 are milliseconds that somebody forgot to divide.
fn moment(value: &Value) -> Option<Timestamp> {
    if let Some(text) = value.as_str() {
        return DateTime::parse_from_rfc3339(text.trim()).ok().map(|at| at.with_timezone(&Utc));
    }
    let seconds = value.as_f64().filter(|seconds| (0.0..253_402_300_800.0).contains(seconds))?;
    DateTime::from_timestamp(seconds as i64, (seconds.fract() * 1e9) as u32)
}

/// A number without a fraction; many languages write `1e6`.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..1.8e19).contains(n)).map(|n| n as u64))
}

fn copy(item: &Item<'_>, wrong: &mut Wrong) -> Option<Copy> {
    let name = item.need("name", "a text", wrong, Value::as_str);
    let at = item.need("at", TIME, wrong, moment);
    let tags = |value: &Value| {
        let tags = value.as_array()?.iter().take(TAGS).map(|tag| tag.as_str().map(|tag| tag.chars().take(NAME).collect()));
        tags.collect::<Option<Vec<String>>>()
    };
    let problem = item.text("problem", SENTENCE, wrong).filter(|problem| !problem.trim().is_empty());
    let complete = item.flag("complete", wrong);
    let rest = Copy {
        size_bytes: item.number("size_bytes", wrong),
        added_bytes: item.number("added_bytes", wrong),
        started: item.time("started", wrong),
        host: item.text("host", NAME, wrong),
        kind: item.text("kind", NAME, wrong),
        tags: item.get("tags", "a list of texts", wrong, tags).unwrap_or_default(),
        // A problem without a word on wholeness is one.
        complete: complete.or(problem.is_some().then_some(false)),
        problem,
        ..Copy::default()
    };
    Some(Copy { name: name?.chars().take(NAME).collect(), at: at?, ..rest })
}

fn run(item: &Item<'_>, wrong: &mut Wrong) -> JobRun {
    JobRun {
        started: item.time("started", wrong),
        ended: item.time("ended", wrong),
        ok: item.flag("ok", wrong),
        message: item.text("message", SENTENCE, wrong).unwrap_or_default(),
        output: item.get("output", "a text", wrong, Value::as_str).map(JobRun::tail).unwrap_or_default(),
    }
}

fn check(item: &Item<'_>, wrong: &mut Wrong) -> Option<Check> {
    let at = item.need("at", TIME, wrong, moment);
    let ok = item.need("ok", "true or false", wrong, Value::as_bool);
    let depth = item.text("depth", NAME, wrong).unwrap_or_else(|| "not told".to_owned());
    Some(Check { at: at?, ok: ok?, depth, message: item.text("message", SENTENCE, wrong).unwrap_or_default() })
}

/// The data set as the command tells of it, not yet judged.
pub(super) fn document(text: &str, now: Timestamp) -> Result<Backup, SourceError> {
    let remedy = "docs/backup_command.md tells what the command prints";
    let odd = |message: String| SourceError { remedy: remedy.to_owned(), ..SourceError::protocol(message) };
    if text.trim().is_empty() {
        return Err(odd("the command printed nothing".to_owned()));
    }
    let json = tool::json(text);
    let value: Value =
        serde_json::from_str(json).map_err(|error| odd(if json.is_empty() { "the command printed no JSON".to_owned() } else { broken(&error) }))?;
    let Some(fields) = value.as_object() else { return Err(odd(format!("the command printed {}, not an object", shown(&value)))) };
    let (item, mut wrong) = (Item { spot: Spot::Top, fields }, Wrong::default());
    let wrong = &mut wrong;

    let copies: Vec<Copy> = item.list("copies", wrong).iter().filter_map(|item| copy(item, wrong)).collect();
    let mut runs: Vec<JobRun> = item.list("runs", wrong).iter().map(|item| run(item, wrong)).collect();
    runs.sort_by_key(|run| run.ended.or(run.started));
    let place = |item: &Item<'_>, wrong: &mut Wrong| {
        let name = item.need("name", "a text", wrong, Value::as_str).unwrap_or_default().chars().take(NAME).collect();
        Place { name, newest: item.time("newest", wrong), same_machine: item.flag("same_machine", wrong) }
    };
    let lock = |item: &Item<'_>, wrong: &mut Wrong| {
        let holder = item.text("holder", NAME, wrong).unwrap_or_else(|| "somebody".to_owned());
        Lock { holder, since: item.time("since", wrong), stale: item.flag("stale", wrong).unwrap_or(false) }
    };
    let check = item.get("check", "an object", wrong, Value::as_object);
    let check = check.and_then(|fields| check_of(fields, wrong));
    let last_failure = runs.iter().rev().find(|run| run.ok == Some(false)).cloned();
    // Where only runs are told, the last good one stands for a copy.
    let last_success = runs.iter().filter(|run| run.ok == Some(true)).filter_map(|run| run.ended.or(run.started)).max();
    let backup = Backup {
        last_success: last_success.filter(|_| !fields.contains_key("copies")),
        age_s: None,
        snapshots: item.number("snapshots", wrong).unwrap_or(0),
        tool: item.text("tool", NAME, wrong).unwrap_or_else(|| "command".to_owned()),
        place: item.text("place", NAME, wrong).unwrap_or_default(),
        next_at: item.time("next_at", wrong),
        locks: item.list("locks", wrong).iter().take(LOCKS).map(|item| lock(item, wrong)).collect(),
        places: item.list("places", wrong).iter().take(PLACES).map(|item| place(item, wrong)).collect(),
        repository_bytes: item.number("repository_bytes", wrong),
        free_bytes: item.number("free_bytes", wrong),
        checked_at: check.as_ref().map(|check| check.at),
        check,
        last_failure,
        ..Backup::default()
    };
    if !wrong.told.is_empty() {
        let more = if wrong.more > 0 { format!("; {} more", wrong.more) } else { String::new() };
        return Err(odd(format!("what the command printed is wrong: {}{more}", wrong.told.join("; "))));
    }
    if copies.is_empty() && runs.is_empty() {
        return Err(SourceError::nothing("the command tells of no copy and of no run", remedy));
    }
    if copies.is_empty() && fields.get("copies").is_some_and(Value::is_array) {
        return Err(SourceError::nothing("the command tells that there is no copy", "look whether the backup ran at least once"));
    }
    runs.drain(..runs.len().saturating_sub(RUNS));
    let age_s = backup.last_success.map(|at| time::since(at, now).as_secs());
    Ok(Backup { age_s, copies, runs, ..backup })
}

fn check_of(fields: &Map<String, Value>, wrong: &mut Wrong) -> Option<Check> {
    check(&Item { spot: Spot::Under("check"), fields }, wrong)
}

fn broken(error: &serde_json::Error) -> String {
    format!("the JSON that the command printed is broken at line {}, column {}", error.line(), error.column())
}

/// Any bytes as the command's answer, for fuzzing: must not panic.
pub fn fuzz(bytes: &[u8]) {
    let _ = document(&String::from_utf8_lossy(bytes), DateTime::UNIX_EPOCH);
}
