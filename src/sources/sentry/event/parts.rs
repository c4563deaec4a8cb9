//! What an event tells beside its exceptions: the request, breadcrumbs, who was hit, what surrounds it, what went wrong on the way.
//! Pure.
//!
//! What does not belong here: exceptions and frames (`mod`), bounds and masks (`keep`).

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::keep::{Keeper, LINE, LONG, MASK, NAME, PAIRS};
use crate::domain::{Breadcrumb, EventRequest};
use crate::sources::sentry::parse;

/// Breadcrumbs: the newest ones.
const BREADCRUMBS: usize = 60;
/// Errors of one list that are looked at.
const ERRORS: usize = 20;

/// A value under the first of these names that has one: servers write names in two ways.
pub(super) fn of<'a>(value: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| value.get(name).filter(|value| !value.is_null()))
}

/// The list of a value that is a list or has one under `values`.
pub(super) fn values(value: Option<&Value>) -> &[Value] {
    let list = value.and_then(|value| value.as_array().or_else(|| value.get("values")?.as_array()));
    list.map_or(&[], Vec::as_slice)
}

/// A line's number, from 1.
pub(super) fn line_number(value: Option<&Value>) -> Option<u32> {
    value.and_then(|value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())).and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0)
}

/// A moment that comes as text or as seconds.
pub(super) fn moment(value: Option<&Value>) -> Option<DateTime<Utc>> {
    match value? {
        Value::String(text) => {
            DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).or_else(|_| text.parse::<chrono::NaiveDateTime>().map(|at| at.and_utc())).ok()
        }
        Value::Number(seconds) => {
            let millis = seconds.as_f64()? * 1_000.0;
            (millis.abs() < 1e15).then(|| DateTime::from_timestamp_millis(millis as i64)).flatten()
        }
        _ => None,
    }
}

/// The request.
pub(super) fn read_request(value: &Value, keeper: &mut Keeper) -> EventRequest {
    let body = match value.get("data") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.trim().is_empty() => None,
        // A form or a document that came as text is masked by its names as well.
        Some(Value::String(text)) => Some(match serde_json::from_str::<Value>(text) {
            Ok(document @ (Value::Object(_) | Value::Array(_))) => keeper.any(&document, LONG),
            _ if is_form(text) => {
                let pairs: Vec<String> = keeper.pairs(Some(&Value::String(text.clone()))).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
                pairs.join("&")
            }
            _ => keeper.keep(text, LONG),
        }),
        Some(Value::Array(pairs)) if !pairs.is_empty() && pairs.iter().all(|pair| pair.get(0).is_some_and(Value::is_string)) => {
            let pairs: Vec<String> = keeper.pairs(value.get("data")).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            Some(pairs.join("&"))
        }
        Some(other) => Some(keeper.any(other, LONG)),
    };
    let url = keeper.text(value.get("url"), LINE).unwrap_or_default();
    let mut headers = keeper.pairs(value.get("headers"));
    // The cookies themselves are nobody's business; that there were some is.
    let cookies = value.get("cookies").is_some_and(|cookies| match cookies {
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => false,
    });
    if cookies && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("cookie")) {
        headers.push(("Cookie".to_owned(), MASK.to_owned()));
    }
    EventRequest {
        method: keeper.text(value.get("method"), NAME),
        url: without_secrets(&url),
        query: keeper.pairs(of(value, &["query", "query_string", "queryString"])),
        headers,
        body: body.filter(|body| !body.is_empty()),
    }
}

fn is_form(text: &str) -> bool {
    text.contains('=') && !text.contains(char::is_whitespace)
}

/// An address without what stands behind `?` and without the user before `@`.
fn without_secrets(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
            let host = host.rsplit('@').next().unwrap_or(host);
            path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
        }
        None => address.to_owned(),
    }
}

/// What the program did before.
pub(super) fn breadcrumbs(data: Option<&Value>, keeper: &mut Keeper) -> Vec<Breadcrumb> {
    let values = values(data);
    let newest = &values[values.len().saturating_sub(BREADCRUMBS)..];
    newest.iter().filter(|crumb| crumb.is_object()).map(|crumb| breadcrumb(crumb, keeper)).collect()
}

fn breadcrumb(value: &Value, keeper: &mut Keeper) -> Breadcrumb {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let data = value.get("data");
    let field = |name: &str| data.and_then(|data| data.get(name)).filter(|value| !value.is_null());
    let mut words: Vec<String> = Vec::new();
    if kind == "http" || field("url").is_some() {
        for name in ["method", "http.method", "url", "status_code", "http.response.status_code"] {
            if let Some(value) = field(name) {
                let word = keeper.any(value, LINE);
                words.push(if name == "url" { without_secrets(&word) } else { word });
            }
        }
        if words.len() < 3
            && let Some(reason) = field("reason")
        {
            words.push(keeper.any(reason, NAME));
        }
    }
    if let (Some(from), Some(to)) = (field("from"), field("to")) {
        words.push(format!("{} → {}", keeper.any(from, NAME), keeper.any(to, NAME)));
    }
    words.extend(keeper.text(value.get("message"), LINE));
    if words.is_empty()
        && let Some(data) = data.filter(|data| data.as_object().is_some_and(|fields| !fields.is_empty()))
    {
        words.push(keeper.any(data, LINE));
    }
    let category = keeper.text(value.get("category"), NAME).or_else(|| keeper.text(value.get("type"), NAME)).unwrap_or_default();
    let message = words.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    Breadcrumb { at: moment(value.get("timestamp")), category, level: parse::level_or_info(value.get("level")), message }
}

/// Who was hit: the plainest of what is told.
pub(super) fn who(user: &Value, keeper: &mut Keeper) -> Option<String> {
    ["id", "username", "email", "ip_address"].iter().find_map(|name| match user.get(name)? {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        value => Some(keeper.any(value, NAME)),
    })
}

/// What surrounds it: `runtime` `CPython 3.12.3`, and what the program added.
pub(super) fn contexts(event: &Value, keeper: &mut Keeper) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, context) in event.get("contexts").and_then(Value::as_object).into_iter().flatten().take(PAIRS) {
        let Some(fields) = context.as_object() else { continue };
        // How spans belong together says nothing to a reader.
        if matches!(name.as_str(), "trace" | "replay" | "profile") {
            continue;
        }
        let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let named = match (field("name"), field("version")) {
            ("", "") => String::new(),
            (name, version) => format!("{name} {version}").trim().to_owned(),
        };
        let text = if named.is_empty() {
            let rest: serde_json::Map<String, Value> =
                fields.iter().filter(|(name, value)| *name != "type" && !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect();
            if rest.is_empty() {
                continue;
            }
            keeper.any(&Value::Object(rest), LINE)
        } else {
            keeper.keep(&named, NAME)
        };
        all.push((keeper.keep(name, NAME), text));
    }
    // Sentry says `context`, an SDK `extra`.
    let extra = of(event, &["context", "extra"]).filter(|extra| extra.is_object());
    // The command line may hold what is in no log.
    all.extend(keeper.pairs(extra).into_iter().filter(|(name, _)| name != "sys.argv"));
    all
}

/// What went wrong while the tracker worked on it.
pub(super) fn errors(errors: Option<&Value>, keeper: &mut Keeper) {
    for error in errors.and_then(Value::as_array).into_iter().flatten().take(ERRORS) {
        note_of(error, keeper);
    }
}

/// One of those as a note.
pub(super) fn note_of(error: &Value, keeper: &mut Keeper) {
    let kind = error.get("type").and_then(Value::as_str).unwrap_or_default().replace('_', " ");
    let Some(mut note) = keeper.text(error.get("message"), NAME).or_else(|| (!kind.is_empty()).then(|| keeper.keep(&kind, NAME))) else { return };
    let data = error.get("data");
    if let Some(about) = data.and_then(|data| of(data, &["url", "name", "path"])).and_then(Value::as_str) {
        note.push_str(&format!(": {}", keeper.keep(about, NAME)));
    }
    keeper.note(note);
}
