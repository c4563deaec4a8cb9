//! The text summary: what the dashboard says where there is no terminal to draw on, and `logs` and `status` without `--json`.

use super::{Counts, clean, nagios, verdict};
use crate::domain::{Finding, Severity, Status, Timestamp, time};
use crate::state::{SourceState, World};

/// Which signs may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signs {
    /// As on the screen.
    Utf8,
    /// Nothing outside ASCII.
    Ascii,
}

/// Sign and word of a status (`screens.md` section 3), eight columns.
pub(super) fn status_sign(status: Status, signs: Signs) -> String {
    let (sign, ascii, word) = match status {
        Status::Ok => ('✔', '+', "OK"),
        Status::Degraded => ('▲', '!', "WARN"),
        Status::Down => ('✖', 'X', "CRIT"),
        Status::Unknown => ('?', '?', "UNKN"),
        Status::Stale => ('~', '~', "STALE"),
        Status::Pending => ('△', 'o', "PEND"),
        Status::Maintenance => ('◇', 'm', "MAINT"),
        Status::Paused => ('‖', '=', "PAUSE"),
    };
    format!("{} {word:<5}", if signs == Signs::Ascii { ascii } else { sign })
}

/// Sign and word of a finding.
fn severity_sign(finding: &Finding, signs: Signs) -> String {
    let (sign, ascii, word) = match finding.severity {
        _ if finding.acknowledged.is_some() => ('z', 'z', "ACK"),
        Severity::Critical => ('✖', 'X', "CRIT"),
        Severity::Unknown => ('?', '?', "UNKN"),
        Severity::Warning => ('▲', '!', "WARN"),
        Severity::Info => ('i', 'i', "INFO"),
    };
    format!("{} {word:<5}", if signs == Signs::Ascii { ascii } else { sign })
}

/// Findings in the order of attention, then every source, worst first.
#[must_use]
pub fn summary(world: &World, now: Timestamp, signs: Signs) -> String {
    let mut text = format!("rounds: {}, {}, {}\n", verdict(world).word(), Counts::of(world).text(), time::rfc3339(now));
    if !world.findings.is_empty() {
        text.push('\n');
        for finding in &world.findings {
            let age = time::human(time::since(finding.since, now));
            text.push_str(&format!("{}  {}  {}  {age}\n", severity_sign(finding, signs), finding.source.site(), clean(&finding.title)));
        }
    }
    let mut sources: Vec<&SourceState> = world.sources.values().collect();
    sources.sort_by_key(|source| source.status.rank());
    if !sources.is_empty() {
        text.push('\n');
    }
    let width = sources.iter().map(|source| source.spec.id.as_str().len()).max().unwrap_or(0);
    for source in sources {
        let age = source.checked_at.map(|at| format!("  {} ago", time::human(time::since(at, now)))).unwrap_or_default();
        text.push_str(&format!("{}  {:width$}  {}{age}\n", status_sign(source.status, signs), source.spec.id, clean(&nagios::said(source))));
    }
    ascii(text, signs)
}

/// Each log source: how it stands, its counts by level, its groups and its newest events.
#[must_use]
pub fn logs(world: &World, now: Timestamp, events: usize, signs: Signs) -> String {
    let mut text = String::new();
    for source in world.sources.values() {
        let Some(log) = source.log.as_ref().filter(|log| log.watched_since.is_some()) else {
            text.push_str(&format!("{}  {}  {}\n", status_sign(source.status, signs), source.spec.id, clean(&nagios::said(source))));
            continue;
        };
        let levels: Vec<String> = log.levels.iter().rev().filter(|(_, count)| **count > 0).map(|(level, count)| format!("{count} {}", level.word())).collect();
        let levels = if levels.is_empty() { "no events".to_owned() } else { levels.join(", ") };
        text.push_str(&format!("{}  {}  {} lines: {levels}\n", status_sign(source.status, signs), source.spec.id, log.lines));
        let mut groups: Vec<_> = log.groups.values().collect();
        groups.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then(a.fingerprint.cmp(&b.fingerprint)));
        for group in groups {
            let age = time::human(time::since(group.last_seen, now));
            let culprit = if group.culprit.is_empty() { String::new() } else { format!("  {}", clean(&group.culprit)) };
            text.push_str(&format!("  {:>6} x  {}{culprit}  {age} ago\n", group.count, clean(&group.title)));
        }
        for event in log.events.iter().skip(log.events.len().saturating_sub(events)) {
            text.push_str(&format!("  {}  {}  {}\n", time::rfc3339(event.at), event.level.letter(), clean(&event.message)));
            for line in &event.detail {
                text.push_str(&format!("      {}\n", clean(line)));
            }
        }
    }
    if world.sources.is_empty() {
        text.push_str("? no log is watched: rounds cannot say what is in one; write [site.NAME.log.NAME]\n");
    }
    ascii(text, signs)
}

/// Each source of packages: how it stands, its findings, and the packages that need care, or `all`.
#[must_use]
pub fn deps(world: &World, all: bool, signs: Signs) -> String {
    let mut text = String::new();
    for source in world.sources.values() {
        text.push_str(&format!("{}  {}  {}\n", status_sign(source.status, signs), source.spec.id, clean(&nagios::said(source))));
        for finding in world.findings.iter().filter(|finding| finding.source == source.spec.id) {
            text.push_str(&format!("{}  {}\n", severity_sign(finding, signs), clean(&finding.title)));
        }
        for problem in &source.problems {
            text.push_str(&format!("  ? {}\n", clean(problem)));
        }
        let Some((_, packages)) = &source.packages else { continue };
        let cell = |version: &Option<String>| version.as_deref().map_or_else(|| "–".to_owned(), clean);
        let mut rows = vec![["package", "installed", "locked", "wanted", "latest", "bump", "why"].map(str::to_owned)];
        for package in &packages.items {
            let mut why: Vec<String> = package.advisories.iter().map(|advisory| clean(&advisory.id)).collect();
            if package.yanked {
                why.push(package.yanked_reason.as_ref().map_or_else(|| "withdrawn".to_owned(), |reason| format!("withdrawn: {}", clean(reason))));
            }
            why.extend(package.project_status.as_deref().map(clean));
            why.extend(package.cure.as_ref().filter(|_| !package.advisories.is_empty()).map(|to| format!("{} cures", clean(to))));
            why.extend(package.borne.iter().map(|borne| format!("{} borne: {}", clean(&borne.advisory.id), clean(&borne.reason))));
            why.extend(package.drift.as_deref().map(clean));
            why.extend(package.held_by.as_deref().filter(|_| package.outdated()).map(clean));
            why.extend(package.problem.as_deref().map(clean));
            if all
                || package.outdated()
                || package.yanked
                || package.problem.is_some()
                || package.project_status.is_some()
                || package.drift.is_some()
                || !package.advisories.is_empty()
            {
                let bump = package.bump.map_or("", crate::domain::Bump::word).to_owned();
                let versions = [&package.installed, &package.locked, &package.wanted, &package.latest].map(cell);
                let [installed, locked, wanted, latest] = versions;
                rows.push([clean(&package.name), installed, locked, wanted, latest, bump, why.join(", ")]);
            }
        }
        if rows.len() == 1 {
            text.push_str(&format!("  {} packages, none of them needs anything\n", packages.items.len()));
            continue;
        }
        let widths: Vec<usize> = (0..7).map(|at| rows.iter().map(|row| crate::ui::text::width(&row[at])).max().unwrap_or(0)).collect();
        for row in rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str("  ");
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - crate::ui::text::width(cell)));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    if world.sources.is_empty() {
        text.push_str("? no packages are watched: nothing was scanned; write [site.NAME.python.NAME]\n");
    }
    ascii(text, signs)
}

/// Replaces what is left outside ASCII (titles hold arrows and quotes).
pub(super) fn ascii(text: String, signs: Signs) -> String {
    match signs {
        Signs::Utf8 => text,
        Signs::Ascii => text
            .chars()
            .map(|c| match c {
                c if c.is_ascii() => c,
                '→' => '>',
                '…' => '~',
                '·' => '.',
                '–' | '—' => '-',
                '‘' | '’' => '\'',
                '“' | '”' => '"',
                _ => '?',
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::sample::{at, finding, source, state};
    use super::*;
    use crate::domain::{Level, LogEvent};

    #[test]
    fn the_summary_begins_with_the_verdict_and_the_worst() {
        let mut api = source("shop/http/api", Status::Down);
        api.summary = "500 in 34 ms, expected 200".into();
        let state = state(vec![source("shop/http/home", Status::Ok), api], vec![finding("shop/http/api", "availability", Severity::Critical)]);
        let text = summary(&state.world, at(), Signs::Utf8);
        assert_eq!(
            text,
            "rounds: critical, 1 down, 1 ok, 2026-11-20T08:00:00Z\n\n\
             ✖ CRIT   shop  api is down  9 m\n\n\
             ✖ CRIT   shop/http/api   500 in 34 ms, expected 200  0 s ago\n\
             ✔ OK     shop/http/home  200 in 34 ms  0 s ago\n"
        );
    }

    #[test]
    fn without_a_locale_it_is_ascii() {
        let mut found = finding("shop/http/home", "latency", Severity::Warning);
        found.title = "home is slow: p95 180 → 940 ms, “ü”".into();
        let state = state(vec![source("shop/http/home", Status::Degraded)], vec![found]);
        let text = summary(&state.world, at(), Signs::Ascii);
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("! WARN   shop  home is slow: p95 180 > 940 ms, \"?\""), "{text}");
    }

    #[test]
    fn a_log_is_counted_and_its_text_harmless() {
        let mut log = source("shop/log/django", Status::Ok);
        let state_of_log = log.log.as_mut().unwrap();
        state_of_log.watched_since = Some(at());
        state_of_log.lines = 3;
        state_of_log.levels = BTreeMap::from([(Level::Error, 1), (Level::Info, 2)]);
        state_of_log.events.push_back(LogEvent {
            at: at(),
            level: Level::Error,
            file: 0,
            message: "bad \u{1b}]52;c;eA==\u{7} thing".into(),
            detail: vec!["  File \u{9b}2J".into()],
            fingerprint: None,
            place: None,
        });
        let text = logs(&state(vec![log], vec![]).world, at(), 10, Signs::Utf8);
        assert!(text.starts_with("✔ OK     shop/log/django  3 lines: 1 error, 2 info\n"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{text:?}");
    }
}
