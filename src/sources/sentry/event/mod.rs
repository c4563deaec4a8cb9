//! One event as a server of this API tells it, read into our words: the chain of exceptions, frames, source, locals, breadcrumbs,
//! request, tags. Pure, and tolerant: everything may be missing, of another type, or of an unknown sort.
//!
//! Read are Sentry's own shape (`entries` with camel-case frames), GlitchTip's (the same, with frames that may be as the SDK sent
//! them) and the raw event of an SDK (`exception.values`, snake-case), which Bugsink gives back. What is kept is bounded as a whole
//! ([`KEPT`]) and in each part; what was left out is said in the event's notes. What tells who somebody is or lets one be them is
//! masked ([`is_secret`]).
//!
//! What does not belong here: asking (`details`), lists (`parse`).
//!
//! Facts: Sentry's `interfaces/exception.py` (the raised exception is the last value), `interfaces/stacktrace.py` (the crash site is
//! the last frame), `api/serializers/models/event.py`; the SDKs' documented event payload; GlitchTip's `apps/issue_events/schema.py`.

mod keep;
mod parts;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use self::keep::{KEPT, is_secret};
use self::keep::{Keeper, LINE, LONG, NAME, PAIRS};
use self::parts::{breadcrumbs, contexts, errors, line_number, moment, note_of, of, read_request, values, who};
use super::parse;
use crate::domain::{ErrorEvent, Exception, Frame, Link, TagSpread};

/// Exceptions of a chain.
const EXCEPTIONS: usize = 20;
/// Frames of one exception: the innermost ones.
const FRAMES: usize = 120;
/// Lines of source of one frame.
const LINES: usize = 40;
/// Local variables of one frame.
const LOCALS: usize = 60;
/// Values of a tag whose spread is kept.
const VALUES: usize = 10;

/// The body of an answer that is one event.
///
/// # Errors
/// When it is no JSON object.
pub fn event(body: &[u8]) -> Result<ErrorEvent, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        if body.is_empty() || error.is_eof() {
            format!("the answer ends in the middle, after {} bytes", body.len())
        } else {
            format!("the answer is not JSON: line {}, column {}", error.line(), error.column())
        }
    })?;
    if !value.is_object() {
        return Err("the answer is JSON, but no event".to_owned());
    }
    Ok(of_value(&value))
}

/// An event of any of the shapes.
#[must_use]
pub fn of_value(value: &Value) -> ErrorEvent {
    let mut keeper = Keeper::new();
    // Sentry wraps the parts in a list of entries, an SDK has them as fields. The first of each sort counts.
    let entries = value.get("entries").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let part = |name: &str| {
        let entry = entries.iter().find(|entry| entry.get("type").and_then(Value::as_str) == Some(name));
        entry.and_then(|entry| entry.get("data")).or_else(|| value.get(name)).filter(|data| !data.is_null())
    };
    let threads = part("threads");
    let mut exceptions = chain(part("exception"), &mut keeper);
    let crashed = thread(threads);
    if exceptions.iter().all(|exception| exception.frames.is_empty()) {
        let stacktrace = part("stacktrace").or_else(|| crashed.and_then(|thread| of(thread, &["stacktrace", "rawStacktrace", "raw_stacktrace"])));
        let frames = frames(stacktrace, &mut keeper);
        if !frames.is_empty() {
            match exceptions.first_mut() {
                Some(exception) => exception.frames = frames,
                None => exceptions.push(Exception { frames, ..Exception::default() }),
            }
        }
    }
    let tags = keeper.pairs(value.get("tags"));
    let tag = |name: &str| tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let release = match value.get("release") {
        Some(Value::String(version)) => keeper.text(Some(&Value::String(version.clone())), NAME),
        Some(release) => keeper.text(release.get("version"), NAME),
        None => None,
    };
    let request = part("request").map(|request| read_request(request, &mut keeper));
    let message = message(value, part("message"), part("logentry"), part("csp"), &mut keeper);
    let breadcrumbs = breadcrumbs(part("breadcrumbs"), &mut keeper);
    let mut contexts = contexts(value, &mut keeper);
    if let Some(csp) = part("csp") {
        contexts.extend(keeper.pairs(Some(csp)));
    }
    errors(value.get("errors"), &mut keeper);
    let id = of(value, &["eventID", "event_id", "id"]).and_then(Value::as_str).filter(|id| parse::is_id(id)).unwrap_or_default().to_owned();
    let neighbour = |names: &[&str]| of(value, names).and_then(Value::as_str).filter(|id| parse::is_id(id)).map(str::to_owned);
    let event = ErrorEvent {
        at: moment(of(value, &["dateCreated", "timestamp", "dateReceived", "date_created"])),
        message,
        exceptions,
        breadcrumbs,
        request,
        spread: Vec::new(),
        release: release.or_else(|| tag("release")),
        first_release: None,
        environment: keeper.text(value.get("environment"), NAME).or_else(|| tag("environment")),
        server: keeper.text(value.get("server_name"), NAME).or_else(|| tag("server_name")),
        user: value.get("user").and_then(|user| who(user, &mut keeper)),
        platform: keeper.text(value.get("platform"), NAME),
        previous: neighbour(&["previousEventID", "previous_event_id"]),
        next: neighbour(&["nextEventID", "next_event_id"]),
        // Who it happened to is said once, by name.
        tags: tags.into_iter().filter(|(key, _)| key != "user" && !key.starts_with("user.")).collect(),
        contexts,
        notes: Vec::new(),
        id,
    };
    if keeper.cut {
        keeper.note(format!("the event is larger than {} KiB: the rest is left out", KEPT >> 10));
    }
    ErrorEvent { notes: keeper.notes, ..event }
}

/// The chain, the exception that ended it first.
fn chain(data: Option<&Value>, keeper: &mut Keeper) -> Vec<Exception> {
    let values = values(data);
    // The cause is written first, the raised one last.
    let mut all: Vec<Exception> = Vec::new();
    for (at, value) in values.iter().enumerate().rev().take(EXCEPTIONS) {
        let mechanism = value.get("mechanism");
        let stacktrace = value.get("stacktrace").filter(|trace| !values_of_frames(trace).is_empty());
        let raw = of(value, &["rawStacktrace", "raw_stacktrace"]);
        if stacktrace.is_none() && raw.is_some_and(|raw| !values_of_frames(raw).is_empty()) {
            keeper.note("the frames are as the program sent them: not symbolicated".to_owned());
        }
        all.push(Exception {
            kind: keeper.text(value.get("type"), NAME).unwrap_or_default(),
            value: value.get("value").filter(|value| !value.is_null()).map(|value| keeper.any(value, LONG)).unwrap_or_default(),
            module: keeper.text(value.get("module"), NAME),
            handled: mechanism.and_then(|mechanism| mechanism.get("handled")).and_then(Value::as_bool),
            frames: frames(stacktrace.or(raw), keeper),
            // What the next one, written before this one, says of itself.
            link: at.checked_sub(1).and_then(|cause| values.get(cause)).map_or(Link::Unknown, link),
        });
    }
    if values.len() > EXCEPTIONS {
        keeper.note(format!("{} exceptions of the chain are left out", values.len() - EXCEPTIONS));
    }
    if let Some([from, to]) = data.and_then(|data| of(data, &["excOmitted", "exc_omitted"])).and_then(Value::as_array).map(Vec::as_slice)
        && let (Some(from), Some(to)) = (from.as_u64(), to.as_u64())
    {
        keeper.note(format!("{} exceptions of the chain were left out by the tracker", to.saturating_sub(from)));
    }
    all
}

/// How an exception came to be the cause of another, by its own mechanism.
fn link(cause: &Value) -> Link {
    match cause.get("mechanism").and_then(|mechanism| mechanism.get("source")).and_then(Value::as_str) {
        Some("__cause__" | "cause") => Link::Cause,
        Some("__context__") => Link::Context,
        _ => Link::Unknown,
    }
}

fn values_of_frames(trace: &Value) -> &[Value] {
    trace.get("frames").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The frames of a stack trace, innermost first.
fn frames(trace: Option<&Value>, keeper: &mut Keeper) -> Vec<Frame> {
    let Some(trace) = trace else { return Vec::new() };
    let wire = values_of_frames(trace);
    if wire.len() > FRAMES {
        keeper.note(format!("{} outer frames are left out", wire.len() - FRAMES));
    }
    if let Some([from, to]) = of(trace, &["framesOmitted", "frames_omitted"]).and_then(Value::as_array).map(Vec::as_slice)
        && let (Some(from), Some(to)) = (from.as_u64(), to.as_u64())
    {
        keeper.note(format!("{} frames were left out by the tracker", to.saturating_sub(from)));
    }
    wire.iter().rev().take(FRAMES).filter(|frame| frame.is_object()).map(|value| frame(value, keeper)).collect()
}

fn frame(value: &Value, keeper: &mut Keeper) -> Frame {
    let absolute = keeper.text(of(value, &["absPath", "abs_path"]), LINE);
    let module = keeper.text(value.get("module"), NAME).or_else(|| keeper.text(value.get("package"), NAME));
    let path = keeper.text(value.get("filename"), LINE).or_else(|| absolute.clone()).or_else(|| module.clone()).unwrap_or_else(|| "?".to_owned());
    let line = line_number(of(value, &["lineNo", "lineno"]));
    let locals = match value.get("vars") {
        Some(Value::Object(vars)) => vars.iter().take(LOCALS).map(|(name, value)| keeper.pair(name, value)).collect(),
        _ => Vec::new(),
    };
    for error in value.get("errors").and_then(Value::as_array).into_iter().flatten().take(3) {
        note_of(error, keeper);
    }
    Frame {
        path,
        absolute,
        module,
        function: keeper.text(value.get("function"), NAME).or_else(|| keeper.text(value.get("symbol"), NAME)),
        line,
        in_app: of(value, &["inApp", "in_app"]).and_then(Value::as_bool).unwrap_or(false),
        source: source(value, line, keeper),
        locals,
    }
}

/// The lines around the frame's own: as pairs of number and text, or as an SDK sends them.
fn source(value: &Value, line: Option<u32>, keeper: &mut Keeper) -> Vec<(u32, String)> {
    let mut all: Vec<(u32, String)> = Vec::new();
    if let Some(context) = value.get("context").and_then(Value::as_array) {
        for pair in context.iter().take(LINES) {
            if let (Some(number), Some(Value::String(text))) = (line_number(pair.get(0)), pair.get(1)) {
                all.push((number, keeper.keep(text.trim_end(), LINE)));
            }
        }
        all.sort_by_key(|(number, _)| *number);
        all.dedup_by_key(|(number, _)| *number);
    } else if let (Some(line), Some(Value::String(own))) = (line, of(value, &["context_line", "contextLine"])) {
        let list = |names: &[&str]| of(value, names).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (before, after) = (list(&["pre_context", "preContext"]), list(&["post_context", "postContext"]));
        let before = &before[before.len().saturating_sub(LINES / 2)..];
        let first = u64::from(line).saturating_sub(before.len() as u64);
        let texts = before.iter().map(|text| text.as_str().unwrap_or_default()).chain([own.as_str()]);
        let texts = texts.chain(after.iter().take(LINES / 2).map(|text| text.as_str().unwrap_or_default()));
        for (at, text) in texts.enumerate() {
            if let Some(number) = u32::try_from(first + at as u64).ok().filter(|number| *number > 0) {
                all.push((number, keeper.keep(text.trim_end(), LINE)));
            }
        }
    }
    all
}

/// The thread that crashed, else the one that was running, else the only one with frames.
fn thread(threads: Option<&Value>) -> Option<&Value> {
    let threads = values(threads);
    let is = |name: &'static str| move |thread: &&Value| thread.get(name).and_then(Value::as_bool) == Some(true);
    let framed = |thread: &&Value| of(thread, &["stacktrace", "rawStacktrace"]).is_some_and(|trace| !values_of_frames(trace).is_empty());
    threads.iter().find(is("crashed")).or_else(|| threads.iter().find(is("current"))).filter(framed).or_else(|| threads.iter().find(framed))
}

/// What is said beside the exception's own value.
fn message(event: &Value, entry: Option<&Value>, logged: Option<&Value>, csp: Option<&Value>, keeper: &mut Keeper) -> Option<String> {
    for of_entry in [entry, logged].into_iter().flatten() {
        if let Some(text) = of_entry.as_str() {
            if !text.trim().is_empty() {
                return Some(keeper.keep(text, LONG));
            }
        } else if let Some(text) = keeper.text(of_entry.get("formatted"), LONG).or_else(|| keeper.text(of_entry.get("message"), LONG)) {
            return Some(text);
        }
    }
    if let Some(text) = keeper.text(event.get("message").filter(|message| message.is_string()), LONG) {
        return Some(text);
    }
    let csp = csp?;
    let directive = of(csp, &["effective_directive", "effective-directive", "violated_directive", "violated-directive"]).and_then(Value::as_str)?;
    let blocked = of(csp, &["blocked_uri", "blocked-uri"]).and_then(Value::as_str).unwrap_or("something");
    Some(keeper.keep(&format!("the page's policy {directive} kept {blocked} out"), LONG))
}

/// The spread of an issue's tags, in the tracker's order.
///
/// # Errors
/// When the body is no list.
pub fn spread(body: &[u8]) -> Result<Vec<TagSpread>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "the answer is not JSON".to_owned())?;
    let rows = value.as_array().ok_or("the answer is JSON, but no list")?;
    let mut keeper = Keeper::new();
    let mut all = Vec::new();
    for row in rows.iter().take(PAIRS) {
        let Some(key) = keeper.text(row.get("key"), NAME) else { continue };
        // Who it happened to is nobody's business here.
        if key == "user" || key.starts_with("user.") || is_secret(&key) {
            continue;
        }
        let count = |value: &Value| parse::number(value.get("count"));
        let values: Vec<(String, u64)> = of(row, &["topValues", "top_values"])
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .take(VALUES)
            .filter_map(|value| Some((value.get("value").filter(|value| !value.is_null()).map(|text| keeper.any(text, NAME))?, count(value)?)))
            .collect();
        let known: u64 = values.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count));
        let total = parse::number(of(row, &["totalValues", "total_values"])).unwrap_or(0).max(known);
        if !values.is_empty() {
            all.push(TagSpread { key, total, values });
        }
    }
    Ok(all)
}

/// The release in which an issue was seen first, by the issue's own entry.
#[must_use]
pub fn first_release(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let release = of(&value, &["firstRelease", "first_release"])?;
    let mut keeper = Keeper::new();
    keeper.text(release.get("version"), NAME).or_else(|| keeper.text(Some(release), NAME))
}

/// Every parser of this file on any bytes. For `fuzz/` and the test that runs its corpus.
pub fn fuzz(bytes: &[u8]) {
    let _ = (spread(bytes), first_release(bytes));
    if let Ok(event) = event(bytes) {
        let kept = serde_json::to_string(&event).map(|text| text.len()).unwrap_or_default();
        // Names and escapes of the JSON form come on top of the texts.
        assert!(kept <= 8 * KEPT, "more is kept than is allowed: {kept} bytes");
    }
}
