//! Tables of the verbs `errors` and `backups` without `--json`.

use std::cmp::Reverse;
use std::time::Duration;

use super::text::{Signs, ascii, status_sign};
use super::{clean, nagios};
use crate::domain::time::{human, since, size_text};
use crate::domain::{Capability, IssueState, SourceId, Status, Timestamp};
use crate::state::{SourceState, World, book};

/// One line of the errors: what sorts it, then its cells.
struct Line {
    state: IssueState,
    users: Option<u64>,
    last: Option<Timestamp>,
    cells: [String; 6],
}

/// Cells below each other: all but the last as wide as the widest, figures to the right.
fn aligned<const N: usize>(rows: &[[String; N]], right: &[usize]) -> String {
    let mut text = String::new();
    let widths: Vec<usize> = (0..N).map(|at| rows.iter().map(|row| crate::ui::text::width(&row[at])).max().unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let blanks = " ".repeat(widths[at].saturating_sub(crate::ui::text::width(cell)));
            if at > 0 {
                line.push_str("  ");
            }
            if right.contains(&at) {
                line.push_str(&blanks);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&blanks);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Why a source is not known, and what to do; what it said last would look as if it were.
fn why(source: &SourceState) -> String {
    match &source.error {
        Some(error) if error.remedy.is_empty() => error.message.clone(),
        Some(error) => format!("{}; {}", error.message, error.remedy),
        None => nagios::said(source),
    }
}

/// The sources that could not be looked at, with why: one line each.
fn unknown(sources: &[&SourceState], signs: Signs) -> String {
    let lost = sources.iter().filter(|source| source.status == Status::Unknown || (source.checked_at.is_none() && source.spec.enabled));
    let lines: Vec<String> = lost.map(|source| format!("{}  {}  {}\n", status_sign(Status::Unknown, signs), source.spec.id, clean(&why(source)))).collect();
    lines.concat()
}

/// The issues of trackers and the groups of logs, what is new first.
#[must_use]
pub fn errors(world: &World, now: Timestamp, signs: Signs) -> String {
    let sources: Vec<&SourceState> = world.sources.values().filter(|source| matches!(source.spec.capability, Capability::Issues | Capability::Log)).collect();
    if sources.is_empty() {
        return "? no error tracker and no log is watched: rounds cannot say that there is no error; write [site.NAME.sentry.NAME]\n".to_owned();
    }
    let ago = |at: Option<Timestamp>| at.map_or_else(|| "?".to_owned(), |at| format!("{} ago", human(since(at, now))));
    let place = |culprit: &str| if culprit.is_empty() { String::new() } else { format!("  in {culprit}") };
    let also =
        |beside: &[(SourceId, u64)]| beside.iter().map(|(source, count)| format!("  also {count} in {}", source.within_site())).collect::<Vec<_>>().concat();
    let book::Rows { own, beside } = book::rows(world, &sources, now);
    let mut lines = Vec::new();
    for source in &sources {
        let site = source.spec.id.site();
        for issue in source.issues.iter().flat_map(|(_, issues)| &issues.items) {
            let users = issue.users.map_or_else(|| "? users".to_owned(), |users| format!("{users} users"));
            let seen = beside.get(&(source.spec.id.clone(), issue.id.clone())).map_or(&[][..], Vec::as_slice);
            let title = clean(&format!("{}{}{}", issue.title, place(issue.culprit.as_deref().unwrap_or_default()), also(seen)));
            let events = format!("{} events", issue.events);
            let cells = [issue.state.word().to_owned(), format!("{site}  {}", clean(&issue.short_id)), events, users, ago(issue.last_seen), title];
            lines.push(Line { state: issue.state, users: issue.users, last: issue.last_seen, cells });
        }
        for row in own.iter().filter(|row| row.source.spec.id == source.spec.id) {
            let issue = &row.issue;
            let title = clean(&format!("{}{}{}", issue.title, place(issue.culprit.as_deref().unwrap_or_default()), also(&row.beside)));
            let name = format!("{site}  log:{}", clean(&issue.id));
            let cells = [issue.state.word().to_owned(), name, format!("{} events", issue.events), "– users".to_owned(), ago(issue.last_seen), title];
            lines.push(Line { state: issue.state, users: None, last: issue.last_seen, cells });
        }
    }
    // As on the page: what is back and what grows stand together.
    let rank = |state| if state == IssueState::Escalating { IssueState::Regressed } else { state };
    lines.sort_by_key(|line| (rank(line.state), Reverse(line.users), Reverse(line.last)));
    let rows: Vec<[String; 6]> = lines.into_iter().map(|line| line.cells).collect();
    let lost = unknown(&sources, signs);
    let mut text = aligned(&rows, &[2, 3, 4]);
    if rows.is_empty() && lost.is_empty() {
        text.push_str(&format!("{}  no issue\n", status_sign(Status::Ok, signs)));
    }
    ascii(text + &lost, signs)
}

/// Each data set: how it stands, the age of its last good copy against the promise, size, copies, check, drill, what is wrong.
#[must_use]
pub fn backups(world: &World, now: Timestamp, signs: Signs) -> String {
    let sources: Vec<&SourceState> = world.sources.values().filter(|source| source.spec.capability == Capability::Backup).collect();
    if sources.is_empty() {
        return "? no backup is watched: rounds cannot say that there is one; write [site.NAME.files.NAME]\n".to_owned();
    }
    backups_of(&sources, now, signs)
}

/// The same of these.
#[must_use]
pub fn backups_of(sources: &[&SourceState], now: Timestamp, signs: Signs) -> String {
    let mut sources = sources.to_vec();
    sources.sort_by_key(|source| source.status.rank());
    let age = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| human(since(at, now)));
    let rows: Vec<[String; 7]> = sources
        .iter()
        .map(|source| {
            let sign = status_sign(source.status, signs);
            let id = source.spec.id.to_string();
            let Some((_, backup)) = &source.backup else {
                return [sign, id, "not known".to_owned(), "?".to_owned(), "?".to_owned(), String::new(), clean(&why(source))];
            };
            let promise = backup.max_age_s.map_or(String::new(), |limit| format!(" of {}", human(Duration::from_secs(limit))));
            let old = backup.last_success.map_or_else(|| "no good copy".to_owned(), |at| format!("{}{promise}", human(since(at, now))));
            let drill = match &backup.drill {
                Some(drill) if !drill.ok => "failed".to_owned(),
                drill => age(drill.as_ref().map(|drill| drill.at)),
            };
            let mut wrong = backup.complaints.clone();
            if source.status == Status::Unknown {
                wrong.insert(0, why(source));
            }
            let checks = format!("check {}, drill {drill}", age(backup.checked_at));
            let size = backup.size_bytes.map_or_else(|| "?".to_owned(), size_text);
            [sign, id, old, size, format!("{} {}", backup.snapshots, if backup.snapshots == 1 { "copy" } else { "copies" }), checks, clean(&wrong.join("; "))]
        })
        .collect();
    ascii(aligned(&rows, &[2, 3, 4]), signs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::fixture::{now, story};

    #[test]
    fn errors_are_listed_with_what_is_not_known() {
        let once = errors(&story().world, now(), Signs::Utf8);
        assert!(once.lines().next().is_some_and(|line| line.contains("SHOP-4K2") && line.contains("in log/django")) && !once.contains("log:9e1f"), "{once}");
        let mut state = story();
        crate::ui::fixture::told_apart(&mut state);
        let text = errors(&state.world, now(), Signs::Utf8);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("new ") && lines[0].contains("SHOP-4K2") && lines[0].contains("412 events  61 users"), "{text}");
        assert!(text.contains("log:9e1f03aa") && text.contains("– users"), "{text}");
        assert!(lines[2].starts_with("escalating ") && lines[3].starts_with("regressed "), "{text}");
        assert!(text.contains("? UNKN   blog/sentry/blog  the server answers 401: the token has expired; make a new one"), "{text}");
        assert!(errors(&story().world, now(), Signs::Ascii).is_ascii());
        assert!(errors(&World::default(), now(), Signs::Utf8).starts_with("? no error tracker"));
    }

    #[test]
    fn backups_begin_with_the_worst() {
        let text = backups(&story().world, now(), Signs::Utf8);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("? UNKN   shop/restic/media") && lines[0].contains("33 h of 26 h") && lines[0].contains("locked"), "{text}");
        assert!(lines[1].contains("blog/files/dump") && lines[1].contains("drill never") && lines[1].contains("shrank 38 %"), "{text}");
        assert_eq!(lines.len(), 5);
        assert!(backups(&World::default(), now(), Signs::Utf8).starts_with("? no backup is watched"));
    }
}
