//! `status --line`: one short line for a status bar or a prompt (`screens.md` section 10).

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Counts, clean};
use crate::domain::{Finding, Severity, Timestamp, time::since};
use crate::state::World;

/// How the line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// At most this many columns.
    pub width: usize,
    /// Wrapped in the colour marks of tmux.
    pub tmux: bool,
    /// Nothing outside ASCII.
    pub ascii: bool,
}

/// Past this, what was last known says nothing about now.
const FORGOTTEN: Duration = Duration::from_secs(86_400);

/// The line, without end of line. `known` is the last state on disk; without one, or with one of yesterday, rounds is not running.
#[must_use]
pub fn text(known: Option<&World>, now: Timestamp, style: Style) -> String {
    let age = known.and_then(|world| world.sources.values().filter_map(|source| source.checked_at).max()).map(|at| since(at, now));
    let (colour, text) = match (known, age) {
        (Some(world), Some(age)) if age <= patience(world) => summary(world, age, now, style),
        (Some(_), Some(age)) if age <= FORGOTTEN => ("magenta", format!("~ rounds last looked {} ago", compact(age))),
        _ => ("magenta", "? rounds is not running".to_owned()),
    };
    let text = cut(&text, style.width, if style.ascii { "~" } else { "…" });
    if style.tmux { format!("#[fg={colour}]{}#[default]", text.replace('#', "##")) } else { text }
}

/// How long nothing may have been looked at: three of the shortest intervals, and never less than a minute and a half.
fn patience(world: &World) -> Duration {
    let shortest = world.sources.values().filter(|source| source.spec.enabled).map(|source| source.spec.every).min().unwrap_or_default();
    (shortest * 3).max(Duration::from_secs(90))
}

fn summary(world: &World, age: Duration, now: Timestamp, style: Style) -> (&'static str, String) {
    let open = || world.findings.iter().filter(|finding| finding.acknowledged.is_none());
    let count = |severity: Severity| {
        let found = open().filter(|finding| finding.severity == severity).count();
        // A bad source counts even before a rule has made a finding of it.
        if found > 0 { found } else { world.sources.values().filter(|source| source.status.severity() == Some(severity)).count() }
    };
    let counted = [
        (count(Severity::Critical), if style.ascii { 'X' } else { '✖' }, "red,bold"),
        (count(Severity::Unknown), '?', "magenta"),
        (count(Severity::Warning), if style.ascii { '!' } else { '▲' }, "yellow"),
    ];
    let Some((_, _, colour)) = counted.iter().find(|(count, _, _)| *count > 0) else {
        let ok = Counts::of(world).ok;
        return ("green", format!("{} {ok}  {}", if style.ascii { '+' } else { '✔' }, compact(age)));
    };
    let signs: Vec<String> = counted.iter().filter(|(count, _, _)| *count > 0).map(|(count, sign, _)| format!("{sign}{count}")).collect();
    let signs = signs.join(" ");
    let text = match open().find(|finding| finding.severity != Severity::Info) {
        Some(finding) => titled(&signs, finding, now, style.width),
        None => match world.sources.values().filter(|source| source.status.severity().is_some()).min_by_key(|source| source.status.rank()) {
            Some(source) => format!("{signs} {} {}", source.spec.id.site(), clean(&source.summary)),
            None => signs,
        },
    };
    (colour, text)
}

/// The signs, the site, the title and its age. Where that is too long the figures after the colon go before the age does; of what is
/// not known the reason stays instead.
fn titled(signs: &str, finding: &Finding, now: Timestamp, width: usize) -> String {
    let title = clean(&finding.title);
    let age = compact(since(finding.since, now));
    let begin = format!("{signs} {}", finding.source.site());
    let whole = format!("{begin} {title}  {age}");
    if whole.width() <= width {
        return whole;
    }
    if finding.severity != Severity::Unknown
        && let Some((head, _)) = title.split_once(": ")
    {
        let short = format!("{begin} {head}  {age}");
        if short.width() <= width {
            return short;
        }
    }
    format!("{begin} {title}")
}

/// `<1m`, `14m`, `2h`, `3d`.
fn compact(age: Duration) -> String {
    match age.as_secs() {
        0..60 => "<1m".to_owned(),
        s @ 60..3_600 => format!("{}m", s / 60),
        s @ 3_600..172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// Cuts at the end, by display width.
fn cut(text: &str, width: usize, ellipsis: &str) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(ellipsis.width());
    let mut used = 0;
    let kept: String = text
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect();
    if width == 0 { String::new() } else { format!("{}{ellipsis}", kept.trim_end()) }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::super::sample::{at, finding, source, state};
    use super::*;
    use crate::domain::Status;

    const PLAIN: Style = Style { width: 40, tmux: false, ascii: false };

    #[test]
    fn all_well_counts_what_is_ok() {
        let state = state(vec![source("shop/http/a", Status::Ok), source("shop/http/b", Status::Ok)], vec![]);
        assert_eq!(text(Some(&state.world), at(), PLAIN), "✔ 2  <1m");
        assert_eq!(text(Some(&state.world), at(), Style { ascii: true, ..PLAIN }), "+ 2  <1m");
        assert_eq!(text(Some(&state.world), at(), Style { tmux: true, ..PLAIN }), "#[fg=green]✔ 2  <1m#[default]");
    }

    #[test]
    fn the_first_finding_is_named_and_cut() {
        let mut worse = finding("shop/http/web", "release", Severity::Critical);
        worse.title = "Deploy v214 is worse: 5xx 0.2 → 3.1 %, p95 180 → 940 ms".into();
        worse.since = at() - TimeDelta::minutes(14);
        let mut unknown = finding("blog/http/feed", "unknown", Severity::Unknown);
        unknown.title = "Errors not known: Sentry token expired (401)".into();
        let warning = finding("shop/http/web", "latency", Severity::Warning);
        let sources = || vec![source("shop/http/web", Status::Ok), source("blog/http/feed", Status::Ok)];
        let both = state(sources(), vec![worse, unknown.clone(), warning.clone()]);
        let line = text(Some(&both.world), at(), PLAIN);
        assert_eq!(line, "✖1 ?1 ▲1 shop Deploy v214 is worse  14m");
        let line = text(Some(&state(sources(), vec![unknown, warning]).world), at(), PLAIN);
        assert_eq!(line, "?1 ▲1 blog Errors not known: Sentry tok…");
        assert_eq!(line.width(), 40);
    }

    #[test]
    fn old_news_is_never_green() {
        let state = state(vec![source("shop/http/a", Status::Ok)], vec![]);
        assert_eq!(text(Some(&state.world), at() + TimeDelta::minutes(6), PLAIN), "~ rounds last looked 6m ago");
        assert_eq!(text(Some(&state.world), at() + TimeDelta::days(3), PLAIN), "? rounds is not running");
        assert_eq!(text(None, at(), PLAIN), "? rounds is not running");
        assert_eq!(text(Some(&World::default()), at(), PLAIN), "? rounds is not running");
    }

    #[test]
    fn outside_text_cannot_write_marks() {
        let mut found = finding("shop/http/a", "x", Severity::Critical);
        found.title = "#[fg=green]\u{1b}[2Jgone".into();
        let state = state(vec![source("shop/http/a", Status::Down)], vec![found]);
        let line = text(Some(&state.world), at(), Style { tmux: true, ..PLAIN });
        assert!(line.starts_with("#[fg=red,bold]✖1 shop ##[fg=green]gone"), "{line}");
    }

    #[test]
    fn any_width_is_kept() {
        let state = state(vec![source("shop/http/a", Status::Down)], vec![finding("shop/http/a", "x", Severity::Critical)]);
        for width in 0..60 {
            assert!(text(Some(&state.world), at(), Style { width, ..PLAIN }).width() <= width, "{width}");
        }
    }
}
