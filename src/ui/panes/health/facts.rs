//! What is known of an endpoint beside its latencies, as lines: expectations, certificate, history.

use std::time::Duration;

use ratatui::style::Style;
use ratatui::text::Span;

use super::Item;
use crate::domain::time::{duration_text, human};
use crate::domain::{Health, Phases, Status, Transition, TransitionKind, Verdict};
use crate::ui::scene::Scene;
use crate::ui::signs::{Sign, mark};
use crate::ui::text;
use crate::ui::theme::Theme;
use crate::ui::widgets::detail::{At, Line};
use crate::ui::widgets::graph::scale::Unit;

/// The phases that happened, with their names.
#[must_use]
pub fn phases(phases: &Phases) -> Vec<(&'static str, f64)> {
    [("resolve", phases.resolve), ("connect", phases.connect), ("TLS", phases.tls), ("first byte", phases.first_byte), ("transfer", phases.transfer)]
        .into_iter()
        .filter_map(|(name, ms)| Some((name, ms.filter(|ms| ms.is_finite() && *ms >= 0.0)?)))
        .collect()
}

/// `first byte` is the server's own time and has the main hue; the others are the way to it.
#[must_use]
pub fn phase_style(name: &str, theme: &Theme) -> Style {
    match name {
        "first byte" => theme.graph1,
        "TLS" => theme.graph2,
        "transfer" => theme.graph3,
        _ => theme.graph4,
    }
}

/// What happened to this endpoint, newest first, with the deploys of its site.
pub fn history<'a>(scene: &Scene<'a>, (id, _): Item<'a>) -> impl Iterator<Item = &'a Transition> {
    scene.world.events.iter().rev().filter(move |event| match &event.kind {
        TransitionKind::Deploy { .. } => event.site == id.site(),
        // A finding that merely says again what the status says.
        TransitionKind::Opened { .. } | TransitionKind::Closed { .. } => false,
        _ => event.source.as_ref() == Some(id),
    })
}

/// The word of an event, and its sentence without that word.
fn said(event: &Transition) -> (&'static str, String) {
    let word = match &event.kind {
        TransitionKind::Status { from, to } => match (from, to) {
            (Status::Down | Status::Degraded, Status::Ok) => "up",
            (_, Status::Degraded) => "slow",
            (_, Status::Unknown) => "unknown",
            (_, Status::Maintenance) => "quiet",
            (_, to) => to.word(),
        },
        TransitionKind::Deploy { .. } => "deploy",
        TransitionKind::Acknowledged { .. } => "taken",
        TransitionKind::Action { .. } => "action",
        TransitionKind::Drill(_) => "drill",
        TransitionKind::Checked(_) => "check",
        TransitionKind::Opened { .. } | TransitionKind::Closed { .. } | TransitionKind::Note => "note",
    };
    let sentence = match &event.kind {
        TransitionKind::Deploy { version, by } if !by.is_empty() => format!("{version} by {by}"),
        TransitionKind::Deploy { version, .. } => version.clone(),
        TransitionKind::Status { to, .. } => {
            let rest = event.sentence.split_once(": ").filter(|(before, _)| [word, to.word(), "not known"].contains(before));
            rest.map_or_else(|| event.sentence.clone(), |(_, rest)| rest.to_owned())
        }
        _ => event.sentence.clone(),
    };
    (word, sentence)
}

/// One line of history: time, mark, word, sentence; `shift` columns to the right.
#[must_use]
pub fn history_line(scene: &Scene<'_>, event: &Transition, shift: u16) -> Line {
    let theme = scene.theme;
    let (word, sentence) = said(event);
    let time = text::moment(event.at, scene.now, scene.view.zone);
    let line = Line::new();
    // Beside other lines the times end in one column; alone they begin in one.
    let line = if shift > 0 { line.right(shift + 9, time, theme.dim) } else { line.put(1, time, theme.dim) };
    line.spans(At::Left(shift + if shift > 0 { 12 } else { 11 }), vec![mark(&event.kind, theme)])
        .put(shift + if shift > 0 { 15 } else { 14 }, word, theme.bold(theme.text))
        .put(shift + if shift > 0 { 24 } else { 23 }, sentence, theme.text)
}

/// An interval for reading, exactly: `10 s`, `5 m`, `1m30s`.
fn interval(every: Duration) -> String {
    let s = every.as_secs();
    let whole = every.subsec_nanos() == 0 && (s < 60 || duration_text(every).chars().filter(char::is_ascii_alphabetic).count() == 1);
    if whole { human(every) } else { duration_text(every) }
}

/// `expects status 200 · p95 < 500 ms, 2 s · every 10 s`.
#[must_use]
pub fn expects_line((_, source): Item<'_>, health: Option<&Health>, theme: &Theme) -> Line {
    let mut parts = Vec::new();
    if let Some(health) = health {
        parts.extend(health.expectations.iter().filter(|e| e.name != "latency").map(|e| format!("{} {}", e.name, e.expected)));
        let limits: Vec<String> =
            [health.limits.warning_ms, health.limits.critical_ms].into_iter().flatten().map(|limit| Unit::Millis.limit(limit, 10)).collect();
        if !limits.is_empty() {
            parts.push(format!("p95 < {}", limits.join(", ")));
        }
    }
    parts.push(format!("every {}", interval(source.spec.every)));
    let mut spans = vec![Span::styled("expects ", theme.dim)];
    for (at, part) in parts.into_iter().enumerate() {
        if at > 0 {
            spans.push(Span::styled(" · ", theme.dim));
        }
        spans.push(Span::styled(part, theme.text));
    }
    Line::of(spans)
}

/// `certificate ends 14 Feb, in 86 d   issuer R11`; nothing where none was seen.
#[must_use]
pub fn certificate_line(scene: &Scene<'_>, (_, source): Item<'_>) -> Option<Line> {
    let theme = scene.theme;
    let (_, certificate) = source.certificate.as_ref()?;
    let due = scene.due(certificate.not_after);
    let ends = format!("{}, {}", text::day(certificate.not_after, scene.now, scene.view.zone), due.text);
    let style = if due.late { theme.bold(theme.crit) } else { theme.text };
    let mut spans = vec![Span::styled("certificate ends ", theme.dim), Span::styled(ends, style)];
    match &certificate.problem {
        Some(problem) if !certificate.chain_ok => {
            spans.push(Span::styled(format!("   {problem}"), theme.bold(theme.crit)));
        }
        _ => spans.push(Span::styled(format!("   issuer {}", certificate.issuer), theme.dim)),
    }
    Some(Line::of(spans))
}

/// Each expectation with what was seen, under a head.
#[must_use]
pub fn expectations(health: Option<&Health>, narrow: bool, theme: &Theme) -> Vec<Line> {
    let (expected, seen_at) = if narrow { (14, 26) } else { (20, 38) };
    let Some(health) = health.filter(|health| !health.expectations.is_empty()) else { return Vec::new() };
    let head = Line::text("expectation", theme.dim).put(expected, "expected", theme.dim).put(seen_at, "seen", theme.dim);
    let rows = health.expectations.iter().map(|expectation| {
        let (sign, seen) = match (expectation.ok, expectation.level) {
            (true, _) => (Sign::Ok, theme.text),
            (false, Verdict::Degraded) => (Sign::Warn, theme.bold(theme.warn)),
            (false, _) => (Sign::Crit, theme.bold(theme.crit)),
        };
        Line::of(vec![sign.span(theme)]).put(3, expectation.name.clone(), theme.text).put(expected, expectation.expected.clone(), theme.text).put(
            45,
            expectation.seen.clone(),
            seen,
        )
    });
    std::iter::once(head).chain(rows).collect()
}

/// Issuer, dates and the chain.
#[must_use]
pub fn certificate(scene: &Scene<'_>, item: Item<'_>) -> Vec<Line> {
    let theme = scene.theme;
    let Some((seen, certificate)) = item.1.certificate.as_ref() else { return Vec::new() };
    let zone = scene.view.zone;
    let day = |at| text::day(at, scene.now, zone);
    let mut lines: Vec<Line> = certificate_line(scene, item).into_iter().collect();
    let pair = |key: &'static str, value: String| Line::text(key, theme.dim).put(13, value, theme.text);
    lines.push(pair("subject", format!("{}   for {}", certificate.subject, certificate.host)));
    lines.push(pair("issuer", certificate.issuer.clone()));
    lines.push(pair("valid", format!("{} to {}", day(certificate.not_before), day(certificate.not_after))));
    if !certificate.names.is_empty() {
        lines.push(pair("names", certificate.names.join(" ")));
    }
    for (at, link) in certificate.chain.iter().enumerate() {
        lines.push(pair(if at == 0 { "chain" } else { "" }, format!("{}   until {}", link.subject, day(link.not_after))));
    }
    let verified = if certificate.chain_ok { "verified for the host" } else { "does not verify" };
    lines.push(pair("seen", format!("{}, {verified}", text::moment_short(*seen, scene.now, zone))));
    lines
}
