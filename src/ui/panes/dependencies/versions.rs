//! The versions of a package on a line, oldest first: where it stands, what lies between, what is wanted, with their dates.

use ratatui::style::Style;
use ratatui::text::Span;

use crate::domain::Package;
use crate::ui::scene::Scene;
use crate::ui::text;
use crate::ui::widgets::detail::Line;

/// Cells of one version at least, and at most.
const CELLS: (u16, u16) = (17, 24);

/// One version on the line.
#[derive(Debug, Clone)]
struct Stop<'a> {
    version: &'a str,
    words: Vec<&'static str>,
    yanked: bool,
}

/// Three lines and a blank one; none when there is nothing to move to. What does not fit is left out from between.
pub fn on_a_line(scene: &Scene<'_>, package: &Package, width: u16) -> Vec<Line> {
    let theme = scene.theme;
    let room = usize::from((width - 3) / CELLS.0).max(2);
    let stops = stops(package, room);
    if stops.len() < 2 {
        return Vec::new();
    }
    let gap = ((width - 3) / stops.len() as u16).clamp(CELLS.0, CELLS.1);
    let (mut versions, mut line, mut below) = (Line::new(), Vec::new(), Line::new());
    let last = stops.len() - 1;
    let weak = !package.advisories.is_empty();
    for (at, stop) in stops.iter().enumerate() {
        let column = 1 + gap * at as u16;
        let is = |word: &str| stop.words.contains(&word);
        let style: Style = if is("wanted") || is("cures") {
            theme.bold(theme.text)
        } else if at == 0 && weak {
            theme.warn
        } else {
            theme.dim
        };
        versions = versions.put(column, text::clip(stop.version, usize::from(gap) - 2).into_owned(), style);
        let filled = at == 0 || is("wanted") || is("cures") || is("latest");
        let mark = match (stop.yanked, filled) {
            (true, _) => "×",
            (_, true) => "●",
            _ => "○",
        };
        let mark_style = match (stop.yanked, is("wanted"), at) {
            (true, ..) => theme.crit,
            (_, true, _) => theme.accent,
            (_, _, 0) if weak => theme.warn,
            _ => theme.text,
        };
        line.push(Span::styled(mark, mark_style));
        if at < last {
            line.push(Span::styled("─".repeat(usize::from(gap) - 1), theme.faint));
        }
        let date = package.out(stop.version).map(|at| text::day(at, scene.now, scene.view.zone));
        let mut spans = vec![Span::styled(date.unwrap_or_else(|| "?".to_owned()), theme.dim)];
        let words = if stop.yanked { vec!["withdrawn"] } else { stop.words.clone() };
        if !words.is_empty() {
            spans.push(Span::styled(format!(" {}", words.join(", ")), if is("wanted") { theme.accent } else { style }));
        }
        below = below.spans(crate::ui::widgets::detail::At::Left(column), spans);
    }
    vec![versions, Line::of(line), below, Line::new()]
}

/// What is shown: always where it stands, what cures, what is wanted and the latest; of the rest the nearest to what is wanted.
fn stops(package: &Package, room: usize) -> Vec<Stop<'_>> {
    let here = if package.installed.is_some() { "installed" } else { "locked" };
    let known = [
        (package.current(), here),
        (package.cure.as_deref().filter(|_| !package.advisories.is_empty()), "cures"),
        (package.wanted.as_deref(), "wanted"),
        (package.latest.as_deref(), "latest"),
    ];
    let mut stops: Vec<Stop<'_>> = package.releases.iter().map(|out| Stop { version: &out.version, words: Vec::new(), yanked: out.yanked }).collect();
    let mut after = 0;
    for (version, word) in known {
        let Some(version) = version else { continue };
        match stops.iter().position(|stop| stop.version == version) {
            Some(at) => {
                stops[at].words.push(word);
                after = after.max(at + 1);
            }
            // Older than the releases that are kept, or of an index that keeps none.
            None => {
                let at = if word == "latest" { stops.len() } else { after.min(stops.len()) };
                stops.insert(at, Stop { version, words: vec![word], yanked: false });
                after = at + 1;
            }
        }
    }
    // Where nothing newer is wanted there is nothing to show as wanted.
    for stop in &mut stops {
        if stop.words.contains(&here) {
            stop.words.retain(|word| *word != "wanted");
        }
    }
    while stops.len() > room {
        let wanted = stops.iter().position(|stop| stop.words.contains(&"wanted")).unwrap_or(0);
        let spare = (0..stops.len()).filter(|at| stops[*at].words.is_empty()).max_by_key(|at| at.abs_diff(wanted));
        match spare {
            Some(at) => stops.remove(at),
            None => break,
        };
    }
    stops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Bump, Out};

    fn shown(package: &Package, room: usize) -> String {
        let words = |stop: &Stop<'_>| [&[stop.version], stop.words.as_slice()].concat().join(" ");
        stops(package, room).iter().map(words).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn what_matters_stays_and_the_rest_gives_way() {
        let some = |text: &str| Some(text.to_owned());
        let mut package = Package {
            installed: some("5.2.15"),
            wanted: some("5.2.19"),
            latest: some("6.1.3"),
            bump: Some(Bump::Major),
            releases: ["5.2.15", "5.2.17", "5.2.18", "5.2.19", "6.0.9", "6.1.1", "6.1.2", "6.1.3"]
                .map(|version| Out { version: version.to_owned(), at: None, yanked: false })
                .into(),
            ..Package::default()
        };
        assert_eq!(shown(&package, 5), "5.2.15 installed | 5.2.18 | 5.2.19 wanted | 6.0.9 | 6.1.3 latest");
        assert_eq!(shown(&package, 2), "5.2.15 installed | 5.2.19 wanted | 6.1.3 latest");
        package.releases.clear();
        assert_eq!(shown(&package, 5), "5.2.15 installed | 5.2.19 wanted | 6.1.3 latest");
        package.wanted = some("5.2.15");
        assert_eq!(shown(&package, 5), "5.2.15 installed | 6.1.3 latest");
    }
}
