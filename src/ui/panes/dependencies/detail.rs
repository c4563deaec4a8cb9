//! The selected package: its versions, its weaknesses, why it waits, where it is named; or why a manifest is not known.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::{Entry, Group, judged};
use crate::domain::{Advisory, Package};
use crate::state::{Command, Drawn, Part};
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text;
use crate::ui::widgets::detail::{At, Line};

/// From this width on the versions stand on a line.
const LINE: u16 = 76;
/// Column of the values of facts.
const VALUE: u16 = 13;
/// Packages that a manifest could not tell of, named at most.
const NAMED: usize = 12;

/// Draws the detail with its rule.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, entry: &Entry<'_>, area: Rect, whole: bool, drawn: &mut Drawn) {
    let theme = scene.theme;
    let focused = scene.view.focus == Part::Detail || scene.view.detail_open;
    let style = theme.bold(if focused { theme.accent } else { theme.text });
    let id = &entry.source.spec.id;
    let cells = usize::from(area.width.saturating_sub(3)).max(10);
    let (title, remark, mut all) = match entry.package {
        Some(package) => {
            let title = match (package.current(), package.wanted.as_deref()) {
                (Some(from), Some(to)) if from != to => format!("{}  {} {from} → {to}", id.site(), package.name),
                (from, _) => format!("{}  {} {}", id.site(), package.name, from.unwrap_or("?")),
            };
            (title, remark(scene, package), about(scene, entry, package, area.width))
        }
        None => (id.to_string(), entry.source.packages.as_ref().map_or(String::new(), |(_, packages)| packages.manifest.clone()), trouble(scene, entry, cells)),
    };
    pen.rule(area.x + 1, area.y, area.right() - 2, &[Span::styled(title, style)], &[Span::styled(remark, theme.dim)]);
    all.push(Line::new());
    all.push(Line::of(scene.hint(Command::Why, "why?")));
    let inner = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    drawn.detail_lines = all.len();
    drawn.detail_height = usize::from(inner.height);
    super::listing::lines(pen, scene, inner, &all, whole);
}

/// `direct · requirements.txt:3 · released 4 d ago`.
fn remark(scene: &Scene<'_>, package: &Package) -> String {
    let mut parts = Vec::new();
    parts.extend(package.direct.map(|direct| if direct { "direct" } else { "brought by others" }.to_owned()));
    parts.extend(package.place.clone());
    parts.extend(package.released_at.map(|at| format!("released {} ago", scene.age(at))));
    parts.join(" · ")
}

fn trouble(scene: &Scene<'_>, entry: &Entry<'_>, cells: usize) -> Vec<Line> {
    let theme = scene.theme;
    let mut all = Vec::new();
    let mut say = |words: &str, style: Style| all.extend(text::wrap(words, cells).into_iter().map(|line| Line::text(line, style)));
    if let Some((_, why)) = &entry.trouble {
        say(why, theme.bold(theme.unknown));
    }
    if let Some(error) = &entry.source.error {
        say(&error.remedy, theme.text);
    }
    match &entry.source.packages {
        Some((at, packages)) => say(&format!("the {} packages listed are as of {} ago", packages.items.len(), scene.age(*at)), theme.dim),
        None => say("nothing is known of its packages: neither that they are up to date nor that they are safe", theme.dim),
    }
    for problem in entry.source.problems.iter().take(NAMED) {
        say(problem, theme.text);
    }
    if entry.source.problems.len() > NAMED {
        say(&format!("and {} more", entry.source.problems.len() - NAMED), theme.dim);
    }
    all
}

fn about(scene: &Scene<'_>, entry: &Entry<'_>, package: &Package, width: u16) -> Vec<Line> {
    let theme = scene.theme;
    let mut all = Vec::new();
    if width > LINE && scene.rows.airy {
        all.extend(on_a_line(scene, package, width));
    }
    for advisory in &package.advisories {
        all.extend(weakness(scene, advisory, width));
    }
    let blank = !all.is_empty() && scene.rows.airy;
    if blank && !package.advisories.is_empty() {
        all.push(Line::new());
    }
    let mut fact = |name: &'static str, value: String, style: Style| {
        if !value.is_empty() {
            all.push(Line::new().put(1, name, theme.dim).put(VALUE, value, style));
        }
    };
    fact("problem", package.problem.clone().unwrap_or_default(), theme.unknown);
    if package.yanked {
        let reason = package.yanked_reason.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
        fact("withdrawn", format!("{} was withdrawn{reason}", package.current().unwrap_or("this version")), theme.text);
    }
    if let Some(status) = package.project_status.as_deref().filter(|status| *status != "active") {
        fact("project", format!("{status}: nobody mends it"), theme.text);
    }
    if entry.group == Group::Vulnerable {
        let cure = package.cure.as_ref().map_or_else(|| "none yet".to_owned(), |cure| format!("{cure} and later"));
        fact("cured by", cure, theme.bold(theme.text));
    }
    let held = match (&package.held_by, &package.wanted, &package.latest) {
        (Some(held), Some(wanted), Some(latest)) => format!("{held}: {wanted} is wanted, {latest} is the latest"),
        (Some(held), _, _) => held.clone(),
        _ => String::new(),
    };
    fact("held by", held, theme.text);
    let versions = [("installed", &package.installed), ("locked", &package.locked), ("wanted", &package.wanted), ("latest", &package.latest)];
    let mut parts: Vec<String> = versions.into_iter().filter_map(|(name, version)| version.as_ref().map(|version| format!("{name} {version}"))).collect();
    if package.newest.is_some() && package.newest != package.latest {
        parts.extend(package.newest.as_ref().map(|version| format!("newest of all {version}")));
    }
    fact("versions", parts.join("   "), theme.text);
    if let Some(at) = package.current_released_at {
        fact("from", text::moment(at, scene.now, scene.view.zone), theme.text);
    }
    fact("python", package.requires_python.as_ref().map_or(String::new(), |needs| format!("the latest needs {needs}")), theme.text);
    let manifest = entry.source.packages.as_ref().map_or("", |(_, packages)| packages.manifest.as_str());
    let index = entry.source.packages.as_ref().and_then(|(_, packages)| packages.index.as_deref()).map_or(String::new(), |index| format!(", {index}"));
    fact("source", format!("{}: {}{index}", entry.source.spec.id, package.place.as_deref().unwrap_or(manifest)), theme.dim);
    all
}

/// `GHSA-…  7.5 high    denial of service in …    cured by 5.2.18`.
fn weakness(scene: &Scene<'_>, advisory: &Advisory, width: u16) -> Vec<Line> {
    let theme = scene.theme;
    let style = judged(advisory.cvss, theme);
    let score = advisory.cvss.map_or_else(|| "?".to_owned(), |score| format!("{score:.1}"));
    let cured = match advisory.fixed_in.first() {
        Some(version) => format!("cured by {version}"),
        None => "no cure yet".to_owned(),
    };
    let line = Line::new().put(1, advisory.id.clone(), style).put(22, score, style).put(27, advisory.severity.clone().unwrap_or_default(), theme.text);
    let summary = advisory.summary.clone().or_else(|| advisory.aliases.first().cloned()).unwrap_or_default();
    let room = usize::from(width).saturating_sub(37 + text::width(&cured) + 4);
    if room < 10 {
        return vec![line.spans(At::Edge(0), vec![Span::styled(cured, theme.dim)]), Line::new().put(3, summary, theme.text)];
    }
    vec![line.put(37, text::clip(&summary, room).into_owned(), theme.text).spans(At::Edge(0), vec![Span::styled(cured, theme.dim)])]
}

/// The known versions on a line, evenly spaced, what they are under them.
fn on_a_line(scene: &Scene<'_>, package: &Package, width: u16) -> Vec<Line> {
    let theme = scene.theme;
    let mut stops: Vec<(&str, Vec<&str>)> = Vec::new();
    let here = if package.installed.is_some() { "installed" } else { "locked" };
    let known = [(package.current(), here), (package.cure.as_deref(), "cures"), (package.wanted.as_deref(), "wanted"), (package.latest.as_deref(), "latest")];
    for (version, word) in known {
        let Some(version) = version else { continue };
        match stops.iter_mut().find(|(known, _)| *known == version) {
            Some((_, words)) => words.push(word),
            None => stops.push((version, vec![word])),
        }
    }
    if stops.len() < 2 {
        return Vec::new();
    }
    let gap = ((width - 3) / stops.len() as u16).clamp(12, 30);
    let (mut versions, mut line, mut words) = (Line::new(), Vec::new(), Line::new());
    let last = stops.len() - 1;
    for (at, (version, said)) in stops.iter().enumerate() {
        let column = 1 + gap * at as u16;
        let wanted = said.contains(&"wanted");
        let style = if wanted { theme.bold(theme.text) } else { theme.text };
        versions = versions.put(column, text::clip(version, usize::from(gap) - 2).into_owned(), style);
        words = words.put(column, said.join(", "), if wanted { theme.text } else { theme.dim });
        line.push(Span::styled(if at == 0 { "●" } else { "○" }, if wanted { theme.accent } else { theme.text }));
        if at < last {
            line.push(Span::styled("─".repeat(usize::from(gap) - 1), theme.faint));
        }
    }
    vec![versions, Line::of(line), words, Line::new()]
}
