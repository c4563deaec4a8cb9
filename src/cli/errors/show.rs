//! `rounds errors show ID`: one issue and its latest event, down to the line of code.

use serde_json::{Value, json};

use super::find::Meant;
use crate::domain::SourceError;
use crate::domain::time::rfc3339;
use crate::report::{clean, event};
use crate::sources::{Detail, DetailBody};

/// The issue as data.
pub fn data(one: &Meant, detail: Option<&Result<Detail, SourceError>>) -> Value {
    let mut item =
        one.issue.as_ref().and_then(|(issue, _)| serde_json::to_value(issue).ok()).unwrap_or_else(|| json!({"id": one.key.item, "title": one.title}));
    item["source"] = json!(one.key.source);
    item["detail"] = match detail {
        Some(Ok(Detail { body: DetailBody::Event(event), .. })) => json!({ "event": event::data(event) }),
        Some(Ok(Detail { body: DetailBody::Lines(lines), .. })) => json!({ "lines": lines }),
        Some(Ok(Detail { body: DetailBody::Folder(folder), .. })) => json!({ "folder": folder }),
        Some(Ok(Detail { body: DetailBody::Notes(notes), .. })) => json!({ "notes": notes }),
        _ => Value::Null,
    };
    item["error"] = match detail {
        Some(Err(error)) => json!(error),
        _ => Value::Null,
    };
    item
}

/// The issue for reading.
pub fn text(one: &Meant, detail: Option<&Result<Detail, SourceError>>) -> String {
    let mut lines = vec![format!("{}  {}", one.name, one.title)];
    if let Some((issue, _)) = &one.issue {
        let users = issue.users.map_or_else(String::new, |users| format!(", {users} users"));
        lines.push(format!("{}  {}, {} events{users}", one.key.source, issue.state.word(), issue.events));
        let when = [("first seen", issue.first_seen), ("last seen", issue.last_seen)];
        let when: Vec<String> = when.iter().filter_map(|(word, at)| Some(format!("{word} {}", rfc3339((*at)?)))).collect();
        lines.extend((!when.is_empty()).then(|| when.join(", ")));
        lines.extend(issue.culprit.as_ref().filter(|culprit| !culprit.is_empty()).map(|culprit| format!("in {culprit}")));
        lines.extend(issue.assignee.as_ref().map(|who| format!("assigned to {who}")));
        lines.extend(issue.permalink.clone());
    }
    match detail {
        Some(Ok(detail)) => {
            lines.push(String::new());
            match &detail.body {
                DetailBody::Lines(more) => lines.extend(more.iter().cloned()),
                DetailBody::Folder(folder) => lines.extend(folder.entries.iter().map(|entry| entry.path.clone())),
                DetailBody::Notes(notes) => lines.extend(notes.releases.iter().flat_map(|release| &release.lines).map(|line| line.text.clone())),
                DetailBody::Event(event) => lines.extend(event::lines(event)),
            }
        }
        Some(Err(error)) => lines.extend([String::new(), format!("its events are not known: {}; {}", error.message, error.remedy)]),
        None => {}
    }
    lines.push(String::new());
    lines.iter().map(|line| clean(line)).collect::<Vec<String>>().join("\n")
}
