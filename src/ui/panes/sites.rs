//! The site strip of wide screens: two lines a site, two sites a row, the worst first.

use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::domain::time::millis_text;
use crate::domain::{AccessMinute, Severity, Status};
use crate::rules::logs;
use crate::state::rank::asleep;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;

/// Sites shown at most; the header names the others.
const MOST: usize = 4;

/// Draws the strip at the top of the body and returns what is left under it.
pub fn strip(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect) -> Rect {
    let sites = scene.sites();
    let rows = (sites.len().min(MOST)).div_ceil(2) as u16 * 2;
    if rows == 0 || body.height < rows + 20 {
        return body;
    }
    let theme = scene.theme;
    let half = body.width / 2;
    for (at, (sign, name)) in sites.iter().take(MOST).enumerate() {
        let x = 1 + if at % 2 == 0 { 0 } else { half };
        let last = if at % 2 == 0 { half - 2 } else { body.right() - 2 };
        let y = body.y + (at as u16 / 2) * 2;
        let mut first =
            vec![sign.span(theme), Span::styled(format!(" {:<5} ", sign.word()), sign.style(theme)), Span::styled((*name).to_owned(), theme.bold(theme.text))];
        let facts = facts(scene, name);
        if !facts.is_empty() {
            first.push(Span::styled(format!("  {facts}"), theme.dim));
        }
        pen.spans(x, y, last, &first);
        pen.spans(x + 8, y + 1, last, &figures(scene, name));
    }
    Rect { y: body.y + rows + 1, height: body.height - rows - 1, ..body }
}

/// `production · v214 for 14 m`.
fn facts(scene: &Scene<'_>, name: &str) -> String {
    let Some(site) = scene.world.sites.iter().find(|site| site.name == name) else { return String::new() };
    let mut facts = Vec::new();
    if let Some(environment) = &site.environment {
        facts.push(environment.clone());
    }
    if let Some((version, since)) = &site.release {
        facts.push(format!("{version} for {}", scene.age(*since)));
    }
    if facts.is_empty()
        && let Some(url) = &site.url
    {
        facts.push(url.clone());
    }
    facts.join(" · ")
}

/// What access logs say of a site's last minutes.
struct Requests {
    a_minute: f64,
    failed: f64,
    p95: Option<f64>,
    limits: (Option<f64>, Option<f64>),
}

/// The requests of a site, from all of its access logs; `None`: it has none.
fn requests(scene: &Scene<'_>, name: &str) -> Option<Requests> {
    let logs = scene.sources().filter(|(id, _)| id.site() == name).filter_map(|(_, source)| source.log.as_ref()).filter(|log| !log.access.is_empty());
    let (mut all, mut limits, mut minutes) = (AccessMinute::default(), (None, None), 0.0_f64);
    for log in logs {
        let window = logs::recent(log, scene.now);
        minutes = minutes.max(logs::span(log, scene.now));
        all.merge(&window);
        limits = log.limits.map_or(limits, |own| own.errors);
    }
    if minutes < 1.0 {
        return None;
    }
    let requests = all.requests();
    let failed = if requests == 0 { 0.0 } else { all.statuses[4] as f64 / requests as f64 };
    Some(Requests { a_minute: requests as f64 / minutes, failed, p95: all.latency_ms.quantile(0.95), limits })
}

/// Sources that are well, findings by severity, the slowest endpoint.
fn figures(scene: &Scene<'_>, name: &str) -> Vec<Span<'static>> {
    let theme = scene.theme;
    let well = scene.sources().filter(|(id, source)| id.site() == name && source.status == Status::Ok).count();
    let of = |severity: Severity| scene.findings().filter(|f| f.source.site() == name && f.severity == severity && !asleep(f, scene.now)).count();
    let mut spans = Vec::new();
    for (sign, count) in [(Sign::Ok, well), (Sign::Crit, of(Severity::Critical)), (Sign::Unknown, of(Severity::Unknown)), (Sign::Warn, of(Severity::Warning))] {
        if count > 0 {
            spans.push(Span::styled(format!("{}{} {count}", if spans.is_empty() { "" } else { "  " }, sign.glyph()), sign.style(theme)));
        }
    }
    let rate = requests(scene, name);
    if let Some(requests) = &rate {
        spans.push(Span::styled(format!("{}{:.0}/min", if spans.is_empty() { "" } else { "   " }, requests.a_minute), theme.text));
        spans.push(Span::styled("  5xx ", theme.dim));
        let over = |limit: Option<f64>| limit.is_some_and(|limit| requests.failed > limit);
        let style = if over(requests.limits.1) {
            theme.bold(theme.crit)
        } else if over(requests.limits.0) {
            theme.bold(theme.warn)
        } else {
            theme.text
        };
        spans.push(Span::styled(format!("{:.1} %", requests.failed * 100.0), style));
        if let Some(p95) = requests.p95 {
            spans.push(Span::styled("  p95 ", theme.dim));
            spans.push(Span::styled(millis_text(p95), theme.text));
            return spans;
        }
    }
    let slowest = scene
        .sources()
        .filter(|(id, _)| id.site() == name)
        .filter_map(|(_, source)| {
            let health = source.health.as_ref()?;
            let limits = health.last.as_ref().map(|(_, last)| last.limits).unwrap_or_default();
            Some((health.hour?.p95?, limits))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((p95, limits)) = slowest {
        let style = if limits.critical_ms.is_some_and(|limit| p95 > limit) {
            theme.bold(theme.crit)
        } else if limits.warning_ms.is_some_and(|limit| p95 > limit) {
            theme.bold(theme.warn)
        } else {
            theme.text
        };
        spans.push(Span::styled(if spans.is_empty() { "p95 " } else { "   p95 " }, theme.dim));
        spans.push(Span::styled(millis_text(p95), style));
    }
    spans
}
