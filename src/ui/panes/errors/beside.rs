//! What is told of an event beside its frames: release, servers, tags, breadcrumbs, the request, and whether it is known at all.

use ratatui::text::Span;

use crate::domain::time::since;
use crate::domain::{ErrorEvent, EventRequest, TagSpread};
use crate::sources::ItemKey;
use crate::ui::scene::Scene;
use crate::ui::text;
use crate::ui::widgets::detail::Line;

/// Column of the values of facts.
pub(super) const VALUE: u16 = 14;
/// Tags that say what is said elsewhere, or nothing to a reader.
const SAID: [&str; 14] =
    ["release", "environment", "level", "handled", "mechanism", "transaction", "url", "server_name", "logger", "site", "runtime", "dist", "sdk", "user"];

/// Why there is no event, or none newer: being read, or not known since when and why.
pub(super) fn standing(scene: &Scene<'_>, key: &ItemKey, part: Option<&str>, cells: usize) -> Vec<Line> {
    let theme = scene.theme;
    let details = &scene.world.details;
    let known = details.get(key, part);
    if let Some((at, error)) = known.and_then(|known| known.error.as_ref()) {
        let words = format!("not known since {}: {}", text::moment_short(*at, scene.now, scene.view.zone), error.message);
        let mut all: Vec<Line> = text::wrap(&words, cells).into_iter().map(|line| Line::text(line, theme.unknown)).collect();
        if !error.remedy.is_empty() {
            all.extend(text::wrap(&error.remedy, cells).into_iter().map(|line| Line::text(line, theme.dim)));
        }
        if let Some((good, _)) = known.and_then(|known| known.good.as_ref()) {
            all.push(Line::text(format!("below is what was known {} ago", scene.age(*good)), theme.dim));
        }
        return all;
    }
    if known.is_some_and(|known| known.good.is_some()) || details.has_none(&key.source) {
        return Vec::new();
    }
    let words = if part.is_some() { "the event is being read; below is the newest" } else { "the latest event is being read" };
    vec![Line::text(words, theme.dim)]
}

/// `408 of 412`, `all alike`, or the most frequent values: `web1 212, web2 200`.
fn spread_words(tag: &TagSpread) -> String {
    let Some((value, count)) = tag.values.first() else { return String::new() };
    if *count >= tag.total {
        return format!("{value}, all alike");
    }
    if mostly(tag) {
        return format!("{value} {} of {}", text::thousands(*count), text::thousands(tag.total));
    }
    let some: Vec<String> = tag.values.iter().take(3).map(|(value, count)| format!("{value} {}", text::thousands(*count))).collect();
    some.join(", ")
}

/// Whether one value is nearly all there is, but not all.
fn mostly(tag: &TagSpread) -> bool {
    tag.values.first().is_some_and(|(_, count)| *count < tag.total && count.saturating_mul(4) > tag.total.saturating_mul(3))
}

/// The same where a long value may be cut: the figures first.
fn spread_fact(tag: &TagSpread) -> String {
    match tag.values.first().filter(|_| mostly(tag)) {
        Some((value, count)) => format!("{} of {}: {value}", text::thousands(*count), text::thousands(tag.total)),
        None => spread_words(tag),
    }
}

fn tag<'a>(event: &'a ErrorEvent, key: &str) -> Option<&'a TagSpread> {
    event.spread.iter().find(|tag| tag.key == key)
}

/// Tags worth a look, those first that are nearly but not wholly of one value: they tell whom it hits.
fn telling(event: &ErrorEvent) -> Vec<&TagSpread> {
    let mut all: Vec<&TagSpread> = event.spread.iter().filter(|tag| !SAID.contains(&tag.key.as_str()) && !tag.key.contains('.')).collect();
    let share = |tag: &TagSpread| {
        let top = tag.values.first().map_or(0, |(_, count)| *count);
        if top >= tag.total { 0 } else { top.saturating_mul(1_000) / tag.total.max(1) }
    };
    all.sort_by_key(|tag| std::cmp::Reverse(share(tag)));
    all
}

/// One row: `release v214   server web1 web2   session from before the deploy 408 of 412`.
pub(super) fn row(scene: &Scene<'_>, event: &ErrorEvent) -> Option<Line> {
    let theme = scene.theme;
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut say = |name: &str, value: &str| {
        if !value.is_empty() {
            let gap = if spans.is_empty() { "" } else { "   " };
            spans.push(Span::styled(format!("{gap}{} ", text::sanitise(name)), theme.dim));
            spans.push(Span::styled(text::sanitise(value).into_owned(), theme.text));
        }
    };
    say("release", event.release.as_deref().unwrap_or_default());
    let servers = tag(event, "server_name").map(|tag| tag.values.iter().take(3).map(|(value, _)| value.as_str()).collect::<Vec<_>>().join(" "));
    say("server", servers.as_deref().or(event.server.as_deref()).unwrap_or_default());
    for tag in telling(event).into_iter().filter(|tag| tag.values.first().is_some_and(|(_, count)| *count < tag.total)).take(1) {
        say(&tag.key, &spread_words(tag));
    }
    (!spans.is_empty()).then(|| Line::of(spans))
}

/// The path of a request: its host is the site's.
pub(super) fn path_of(request: &EventRequest) -> &str {
    request.url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or(&request.url)
}

/// Facts as name and value.
pub(super) fn facts(event: &ErrorEvent) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            all.push((name.to_owned(), value));
        }
    };
    say("release", event.release.clone());
    say("first in", event.first_release.clone().filter(|first| Some(first) != event.release.as_ref()));
    say("server", tag(event, "server_name").map(spread_words).or_else(|| event.server.clone()));
    say("url", event.request.as_ref().map(|request| format!("{} {}", request.method.as_deref().unwrap_or_default(), path_of(request)).trim().to_owned()));
    for tag in telling(event).into_iter().take(4) {
        say(&tag.key, Some(spread_fact(tag)));
    }
    say("environment", event.environment.clone());
    say("user", event.user.clone());
    all
}

/// What the program did before, the newest last, with how long before the event.
pub(super) fn breadcrumbs(scene: &Scene<'_>, event: &ErrorEvent, most: usize) -> Vec<Line> {
    let theme = scene.theme;
    if event.breadcrumbs.is_empty() || most < 2 {
        return Vec::new();
    }
    let mut all = vec![Line::text("breadcrumbs", theme.dim)];
    let from = event.breadcrumbs.len().saturating_sub(most - 1);
    for crumb in &event.breadcrumbs[from..] {
        let before = match (crumb.at, event.at) {
            (Some(at), Some(end)) => format!("−{}", ago(since(at, end).as_secs_f64())),
            _ => String::new(),
        };
        let category = crumb.category.rsplit('.').next().unwrap_or_default();
        let style = if crumb.level.is_error() {
            theme.bold(theme.crit)
        } else if crumb.level == crate::domain::Level::Warning {
            theme.warn
        } else {
            theme.info
        };
        let category = text::clip(&text::sanitise(category), 7).into_owned();
        all.push(Line::new().right(8, before, theme.dim).put(11, category, style).put(19, text::sanitise(&crumb.message).into_owned(), theme.text));
    }
    all
}

fn ago(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1} s") } else { crate::domain::time::human(std::time::Duration::from_secs_f64(seconds)) }
}

/// All else that is told, for a page of its own: request, tags, surroundings.
pub(super) fn whole(scene: &Scene<'_>, event: &ErrorEvent, cells: usize) -> Vec<Line> {
    let theme = scene.theme;
    let mut all = Vec::new();
    let mut section = |title: &str, pairs: &[(String, String)]| {
        if pairs.is_empty() {
            return;
        }
        all.push(Line::new());
        all.push(Line::text(title.to_owned(), theme.bold(theme.text)));
        for (name, value) in pairs {
            let name = text::clip_middle(&text::sanitise(name), 22).into_owned();
            let lines = text::wrap(&text::sanitise(value), cells.saturating_sub(27).max(10));
            for (at, line) in lines.into_iter().take(6).enumerate() {
                let row = Line::new();
                all.push(if at == 0 { row.put(3, name.clone(), theme.dim).put(27, line, theme.text) } else { row.put(27, line, theme.text) });
            }
        }
    };
    if let Some(request) = &event.request {
        let mut pairs = vec![("url".to_owned(), format!("{} {}", request.method.as_deref().unwrap_or_default(), request.url).trim().to_owned())];
        pairs.extend(request.query.iter().map(|(name, value)| (format!("?{name}"), value.clone())));
        pairs.extend(request.headers.iter().cloned());
        pairs.extend(request.body.iter().map(|body| ("body".to_owned(), body.clone())));
        section("request", &pairs);
    }
    section("tags", &event.tags);
    section("surroundings", &event.contexts);
    all
}
