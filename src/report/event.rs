//! One event of an issue as text, down to the line of code: what `errors show` prints, and what the errors page shows, without its columns.
//!
//! [`lines`] is for reading, [`data`] for `--json`. What does not belong here: the issue itself (`tables`, `json`), asking for the event.

use serde_json::{Value, json};

use super::clean;
use crate::domain::time::rfc3339;
use crate::domain::{ErrorEvent, Exception, Frame, Link};
use crate::state::stack;

/// Breadcrumbs that are printed: the newest ones.
const BREADCRUMBS: usize = 15;
/// Lines of source before and after the one at which it broke.
const AROUND: u32 = 3;

/// The event for reading, one line each, cleaned for a terminal: the chain with own frames first and their source, the rest of the frames
/// as one line, then breadcrumbs, request, tags.
#[must_use]
pub fn lines(event: &ErrorEvent) -> Vec<String> {
    let mut all = Vec::new();
    let facts = [
        ("event", Some(event.id.clone()).filter(|id| !id.is_empty())),
        ("at", event.at.map(rfc3339)),
        ("release", event.release.clone()),
        ("first in", event.first_release.clone()),
        ("environment", event.environment.clone()),
        ("server", event.server.clone()),
        ("user", event.user.clone()),
    ];
    let facts: Vec<String> = facts.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?))).collect();
    if !facts.is_empty() {
        all.push(facts.join("   "));
    }
    all.extend(event.message.clone());
    for (at, exception) in event.exceptions.iter().enumerate() {
        all.push(String::new());
        let led = match at.checked_sub(1).map(|before| event.exceptions[before].link) {
            None => "",
            Some(Link::Cause) => "raised from ",
            Some(Link::Context) => "raised while handling ",
            Some(Link::Unknown) => "preceded by ",
        };
        all.push(format!("{led}{}", title(exception)));
        let broke = exception.frames.iter().position(|frame| frame.in_app).unwrap_or(0);
        for (number, one) in exception.frames.iter().enumerate().filter(|(number, frame)| frame.in_app || *number == broke) {
            frame(one, number == broke, &mut all);
        }
        let others: Vec<&Frame> =
            exception.frames.iter().enumerate().filter(|(number, frame)| !frame.in_app && *number != broke).map(|(_, frame)| frame).collect();
        if !others.is_empty() {
            let mut names: Vec<&str> = Vec::new();
            for name in others.iter().map(|frame| stack::package(frame)) {
                if !name.is_empty() && !names.contains(&name) {
                    names.push(name);
                }
            }
            all.push(format!("  and {} frames in {}", others.len(), names.join(", ")));
        }
    }
    if !event.breadcrumbs.is_empty() {
        all.extend([String::new(), "breadcrumbs".to_owned()]);
        for crumb in &event.breadcrumbs[event.breadcrumbs.len().saturating_sub(BREADCRUMBS)..] {
            all.push(format!("  {}  {}  {}", crumb.at.map_or_else(|| "-".to_owned(), rfc3339), crumb.category, crumb.message));
        }
    }
    if let Some(request) = &event.request {
        all.extend([String::new(), format!("request {} {}", request.method.as_deref().unwrap_or_default(), request.url)]);
        all.extend(request.query.iter().chain(&request.headers).map(|(name, value)| format!("  {name}: {value}")));
        all.extend(request.body.iter().map(|body| format!("  {body}")));
    }
    if !event.spread.is_empty() {
        all.extend([String::new(), "tags over all events".to_owned()]);
        for tag in &event.spread {
            let values: Vec<String> = tag.values.iter().map(|(value, count)| format!("{value} {count}")).collect();
            all.push(format!("  {}: {} of {}", tag.key, values.join(", "), tag.total));
        }
    }
    all.extend(event.notes.iter().map(|note| format!("note: {note}")));
    all.iter().map(|line| clean(line)).collect()
}

fn title(exception: &Exception) -> String {
    match (exception.kind.as_str(), exception.value.as_str()) {
        (kind, "") => kind.to_owned(),
        ("", value) => value.to_owned(),
        (kind, value) => format!("{kind}: {value}"),
    }
}

fn frame(one: &Frame, broke: bool, all: &mut Vec<String>) {
    let function = one.function.as_deref().map_or_else(String::new, |function| format!(" in {function}"));
    all.push(format!("  {}{function}", one.place()));
    let own = one.line.unwrap_or(0);
    for (number, code) in one.source.iter().filter(|(number, _)| number.abs_diff(own) <= if broke { AROUND } else { 0 }) {
        all.push(format!("  {} {number:>5} | {}", if *number == own { '>' } else { ' ' }, code.trim_end()));
    }
    if broke {
        all.extend(one.locals.iter().map(|(name, value)| format!("          | {name} = {value}")));
    }
}

/// The event as data: the fields of [`ErrorEvent`], and under `place` the path and line at which to look first.
#[must_use]
pub fn data(event: &ErrorEvent) -> Value {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    value["place"] = event.place().map_or(Value::Null, |(exception, frame)| {
        let frame = &event.exceptions[exception].frames[frame];
        json!({"path": frame.path, "line": frame.line, "function": frame.function})
    });
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> ErrorEvent {
        let own = Frame {
            path: "basket/pricing.py".to_owned(),
            line: Some(88),
            in_app: true,
            function: Some("total".to_owned()),
            source: vec![(80, "far".to_owned()), (87, "    lines".to_owned()), (88, "    currency\u{1b}[2J".to_owned())],
            locals: vec![("lines".to_owned(), "[…3]".to_owned())],
            ..Frame::default()
        };
        let other = |module: &str| Frame { path: "x.py".to_owned(), module: Some(module.to_owned()), ..Frame::default() };
        let raised = Exception {
            kind: "CheckoutError".to_owned(),
            frames: vec![own, other("django.core"), other("django.views")],
            link: Link::Cause,
            ..Exception::default()
        };
        let cause = Exception { kind: "KeyError".to_owned(), value: "'currency'".to_owned(), ..Exception::default() };
        ErrorEvent {
            id: "e1".to_owned(),
            release: Some("v214".to_owned()),
            exceptions: vec![raised, cause],
            notes: vec!["cut".to_owned()],
            ..ErrorEvent::default()
        }
    }

    #[test]
    fn an_event_is_printed_to_the_line() {
        let text = lines(&event()).join("\n");
        let expected = "event e1   release v214\n\nCheckoutError\n  basket/pricing.py:88 in total\n       87 |     lines\n  >    88 |     currency";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("| lines = […3]\n  and 2 frames in django\n\nraised from KeyError: 'currency'\nnote: cut"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains("far"));
        assert_eq!(lines(&ErrorEvent::default()), Vec::<String>::new());
    }

    #[test]
    fn the_data_says_where_to_look() {
        let data = data(&event());
        assert_eq!(
            (&data["place"]["path"], &data["place"]["line"], &data["exceptions"][1]["kind"]),
            (&json!("basket/pricing.py"), &json!(88), &json!("KeyError"))
        );
        assert_eq!(super::data(&ErrorEvent::default())["place"], Value::Null);
    }
}
