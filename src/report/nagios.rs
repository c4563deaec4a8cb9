//! The answer of a Nagios plugin: one line with performance data, then one line for each source that is not ok.
//!
//! Form: Nagios Plugin Development Guidelines, "Plugin Output for Nagios" and "Performance data".

use super::{Counts, Verdict, clean, verdict};
use crate::domain::{Severity, Status};
use crate::state::{SourceState, World};

/// The whole text, with ends of line.
#[must_use]
pub fn text(world: &World) -> String {
    let verdict = verdict(world);
    let mut text = format!("ROUNDS {} - {}", verdict.word().to_uppercase(), Counts::of(world).text());
    if let Some(worst) = headline(world, verdict) {
        text.push_str(": ");
        // The bar begins the performance data, so it may not stand in the sentence.
        text.push_str(&clean(&worst).replace('|', "¦"));
    }
    let performance: Vec<String> = world.sources.values().filter_map(performance).collect();
    if !performance.is_empty() {
        text.push_str(" | ");
        text.push_str(&performance.join(" "));
    }
    text.push('\n');
    let mut bad: Vec<&SourceState> = world.sources.values().filter(|source| source.status != Status::Ok).collect();
    bad.sort_by_key(|source| source.status.rank());
    for source in bad {
        let said = clean(&said(source)).replace('|', "¦");
        text.push_str(format!("{} {}: {said}", source.status.word().to_uppercase(), source.spec.id).trim_end_matches([':', ' ']));
        text.push('\n');
    }
    for finding in world.findings.iter().filter(|finding| finding.acknowledged.is_none() && finding.severity != Severity::Info) {
        // A source that is bad has said so above; a finding about a good one (a certificate that ends) would be lost.
        if world.sources.get(&finding.source).is_some_and(|source| source.status == Status::Ok) {
            text.push_str(&format!("{} {}: {}\n", finding.severity.word().to_uppercase(), finding.source, clean(&finding.title).replace('|', "¦")));
        }
    }
    text
}

/// One sentence about a source: what was seen, else why nothing was.
#[must_use]
pub fn said(source: &SourceState) -> String {
    match (&source.error, source.status) {
        (_, Status::Paused) => "not being checked".to_owned(),
        (_, Status::Maintenance) => "not judged while its site is in maintenance".to_owned(),
        (Some(error), _) if source.summary.is_empty() || source.summary == error.message => format!("{}; {}", error.message, error.remedy),
        (Some(error), _) => format!("{}; {}", source.summary, error.remedy),
        (None, Status::Pending) if source.checked_at.is_none() => "not looked at yet".to_owned(),
        (None, _) => source.summary.clone(),
    }
}

fn headline(world: &World, verdict: Verdict) -> Option<String> {
    if verdict == Verdict::Ok {
        return None;
    }
    let first = world.findings.iter().find(|finding| finding.acknowledged.is_none() && finding.severity != Severity::Info);
    if let Some(finding) = first {
        return Some(format!("{} {}", finding.source.site(), finding.title));
    }
    let worst = world.sources.values().filter(|source| source.status != Status::Ok).min_by_key(|source| source.status.rank())?;
    Some(format!("{} {}", worst.spec.id, said(worst)))
}

/// `'shop/http/home'=34.1ms;500;2000;0`: the latency with its limits; a log gives its error count.
fn performance(source: &SourceState) -> Option<String> {
    let number = |value: Option<f64>| value.map(|value| format!("{value}")).unwrap_or_default();
    if let Some((_, health)) = source.health.as_ref().and_then(|health| health.last.as_ref()) {
        let latency = health.latency_ms?;
        return Some(format!("'{}'={latency:.1}ms;{};{};0", source.spec.id, number(health.limits.warning_ms), number(health.limits.critical_ms)));
    }
    let log = source.log.as_ref()?;
    log.watched_since?;
    let errors: u64 = log.levels.iter().filter(|(level, _)| level.is_error()).map(|(_, count)| count).sum();
    Some(format!("'{}_errors'={errors}", source.spec.id))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{finding, source, state};
    use super::*;
    use crate::domain::SourceError;

    #[test]
    fn all_well_is_one_line() {
        let state = state(vec![source("shop/http/home", Status::Ok)], vec![]);
        assert_eq!(text(&state.world), "ROUNDS OK - 1 ok | 'shop/http/home'=34.1ms;500;2000;0\n");
    }

    #[test]
    fn the_worst_stands_first_and_each_bad_source_has_a_line() {
        let mut api = source("shop/http/api", Status::Down);
        api.summary = "500 in 34 ms | expected \u{1b}[31m200".into();
        let mut mail = source("shop/http/mail", Status::Unknown);
        mail.health = None;
        mail.summary = String::new();
        mail.error = Some(SourceError::config("no such thing", "write it"));
        let paused = source("shop/http/old", Status::Paused);
        let state = state(
            vec![source("shop/http/home", Status::Ok), api, mail, paused],
            vec![finding("shop/http/api", "availability", Severity::Critical), finding("shop/http/home", "certificate", Severity::Warning)],
        );
        let text = text(&state.world);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("ROUNDS CRITICAL - 1 down, 1 unknown, 1 paused, 1 ok: shop api is down | 'shop/http/api'="), "{text}");
        assert_eq!(lines[1], "DOWN shop/http/api: 500 in 34 ms ¦ expected 200");
        assert_eq!(lines[2], "UNKNOWN shop/http/mail: no such thing; write it");
        assert_eq!(lines[3], "PAUSED shop/http/old: not being checked");
        assert_eq!(lines[4], "WARNING shop/http/home: home is down");
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0].matches('|').count(), 1);
    }

    #[test]
    fn nothing_watched_says_so() {
        assert_eq!(text(&World::default()), "ROUNDS UNKNOWN - nothing is watched\n");
    }
}
