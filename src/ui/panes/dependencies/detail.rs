//! The selected package: its versions, its weaknesses, why it waits, where it is named; or why a manifest is not known.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::{Entry, Group, end_of, judged, notes, released, versions};
use crate::domain::{Advisory, Need, Package, TransitionKind};
use crate::packages::versions::{Constraint, Version};
use crate::state::offering::pending;
use crate::state::{Command, Drawn, Part};
use crate::ui::panes::attention::short;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text;
use crate::ui::widgets::detail::{At, Line};

/// From this width on the versions stand on a line.
const LINE: u16 = 76;
/// Column of the values of facts.
const VALUE: u16 = 13;
/// From this width on there is room for labels before advisories.
const WIDE: u16 = 100;
/// Lines of one fact.
const FACT_LINES: usize = 3;
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
            (title, remark(scene, package, area.width), about(scene, entry, package, area.width))
        }
        None => (id.to_string(), entry.source.packages.as_ref().map_or(String::new(), |(_, packages)| packages.manifest.clone()), trouble(scene, entry, cells)),
    };
    pen.rule(area.x + 1, area.y, area.right() - 2, &[Span::styled(title, style)], &[Span::styled(remark, theme.dim)]);
    let mut inner = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let upgrade = upgrade(scene, entry, area.width);
    if let Some(line) = upgrade.as_ref().filter(|_| !whole && inner.height > 4) {
        // What can be done about it stays in sight, whatever there is to read.
        inner.height -= 1;
        let free = usize::from(inner.height).saturating_sub(all.len());
        let up = free.saturating_sub(usize::from(scene.rows.airy) + 3) as u16;
        line.draw(pen, area, inner.bottom() - up);
        inner.height -= up.min(inner.height);
    } else {
        all.push(Line::new());
        all.extend(upgrade);
        all.push(Line::of(scene.hint(Command::Why, "why?")));
    }
    drawn.detail_lines = all.len();
    drawn.detail_height = usize::from(inner.height);
    super::listing::lines(pen, scene, inner, &all, whole);
}

/// `direct · requirements.txt:3 · released 4 d ago`; where there is room, what is deployed, locked and declared.
fn remark(scene: &Scene<'_>, package: &Package, width: u16) -> String {
    let mut parts = Vec::new();
    parts.extend(package.direct.map(|direct| if direct { "direct" } else { "brought by others" }.to_owned()));
    parts.extend(package.place.clone());
    let released = || released(package).map(|at| format!("released {} ago", scene.age(at)));
    if width < WIDE {
        parts.extend(released());
    } else {
        let versions = [("deployed", &package.installed), ("locked", &package.locked), ("declared", &package.declared)];
        let known: Vec<String> = versions.into_iter().filter_map(|(name, version)| Some(format!("{name} {}", version.as_ref()?))).collect();
        parts.push(known.join(", "));
    }
    parts.retain(|part| !part.is_empty());
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
    let airy = scene.rows.airy;
    let on_a_line = if width > LINE && airy { versions::on_a_line(scene, package, width) } else { Vec::new() };
    let drawn = !on_a_line.is_empty();
    all.extend(on_a_line);
    for (at, advisory) in package.advisories.iter().enumerate() {
        all.push(weakness(scene, package, advisory, width, at == 0));
    }
    if airy && !package.advisories.is_empty() {
        all.push(Line::new());
    }
    let whole = scene.view.detail_open || scene.view.focus == Part::Detail;
    all.extend(notes::lines(scene, entry, package, width, whole));
    let cells = usize::from(width.saturating_sub(VALUE + 2)).max(10);
    let mut fact = |name: &'static str, value: String, style: Style| {
        for (at, line) in text::wrap(&value, cells).into_iter().take(FACT_LINES).enumerate() {
            if !line.is_empty() {
                all.push(Line::new().put(1, if at == 0 { name } else { "" }, theme.dim).put(VALUE, line, style));
            }
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
    if let Some(line) = end_of(scene, entry.source, package) {
        let end = line.security_until.map_or_else(String::new, |end| format!(" on {}", end.format("%-d %b %Y")));
        let next = line.next.as_ref().map_or_else(String::new, |next| format!("; {} {}{} is out", line.label, next.cycle, if next.lts { " LTS" } else { "" }));
        fact("end of life", format!("{} ended{end}{next}", line.title()), theme.text);
    }
    if entry.group == Group::Vulnerable {
        let cure = package.cure.as_ref().map_or_else(|| "none yet".to_owned(), |cure| format!("{cure} and later"));
        let due = package.due().map_or_else(String::new, |due| format!(", {}", scene.due(due).text));
        fact("cured by", format!("{cure}{due}"), theme.bold(theme.text));
    }
    for borne in &package.borne {
        let until = borne.until.map_or_else(String::new, |until| format!(" until {until}"));
        fact("borne", format!("{}{until}: {}", borne.advisory.id, borne.reason), theme.dim);
    }
    fact("differs", package.drift.clone().unwrap_or_default(), theme.text);
    fact("also at", package.confusable.as_ref().map_or_else(String::new, |place| format!("{place}, where it may be somebody else's")), theme.warn);
    let held = match (&package.held_by, &package.wanted, &package.latest) {
        (Some(held), Some(wanted), Some(latest)) => format!("{held}: {wanted} is wanted, {latest} is the latest"),
        (Some(held), _, _) => held.clone(),
        _ => String::new(),
    };
    fact("held by", held, theme.text);
    fact("needed by", needed(entry, package, width), theme.text);
    if !package.via.is_empty() {
        fact("came by", format!("{} → {}", package.via.join(" → "), package.name), theme.text);
    }
    if !drawn {
        let known = [("installed", &package.installed), ("locked", &package.locked), ("wanted", &package.wanted), ("latest", &package.latest)];
        let mut parts: Vec<String> = known.into_iter().filter_map(|(name, version)| Some(format!("{name} {}", version.as_ref()?))).collect();
        if package.newest.is_some() && package.newest != package.latest {
            parts.extend(package.newest.as_ref().map(|version| format!("newest of all {version}")));
        }
        fact("versions", parts.join("   "), theme.text);
    }
    let behind = package.libyears.filter(|years| *years > 0.0).map(|years| format!("{years:.1} libyears behind"));
    let from = package.current_released_at.map(|at| format!("from {}", text::day(at, scene.now, scene.view.zone)));
    let age: Vec<String> = from.into_iter().chain(behind).collect();
    fact("age", age.join(", "), theme.dim);
    fact("python", package.requires_python.as_ref().map_or(String::new(), |needs| format!("the latest needs {needs}")), theme.dim);
    let manifest = entry.source.packages.as_ref().map_or("", |(_, packages)| packages.manifest.as_str());
    let index = entry.source.packages.as_ref().and_then(|(_, packages)| packages.index.as_deref()).map_or(String::new(), |index| format!(", {index}"));
    fact("source", format!("{}: {}{index}", entry.source.spec.id, package.place.as_deref().unwrap_or(manifest)), theme.dim);
    all
}

/// `x  guarded upgrade: in a copy, install, test, keep or put back   last: 1 kept, 19 d ago`; none where nothing can be done from here.
fn upgrade(scene: &Scene<'_>, entry: &Entry<'_>, width: u16) -> Option<Line> {
    let theme = scene.theme;
    let package = entry.package?;
    let id = &entry.source.spec.id;
    if scene.view.read_only || scene.world.untrusted.is_some() || id.kind() != "python" || package.bump.is_none() {
        return None;
    }
    let mut spans = vec![Span::styled(scene.key(Command::Actions), theme.accent), Span::styled("  guarded upgrade", theme.bold(theme.text))];
    spans.push(Span::styled(": in a copy, install, test, keep or put back", theme.dim));
    if let Some(pending) = pending(scene.world, id, &package.name) {
        return Some(Line::of(vec![Span::styled("▸", theme.accent), Span::styled(format!("  {pending} runs"), theme.bold(theme.text))]));
    }
    let taken: usize = spans.iter().map(Span::width).sum();
    let line = Line::of(spans);
    let last = scene.world.events.iter().rev().find_map(|event| match &event.kind {
        TransitionKind::Action { steps, ended: Some(end), .. } if event.source.as_ref() == Some(id) => {
            let upgrade = steps.first().and_then(|step| step.get(1)).is_some_and(|verb| verb == "upgrade");
            upgrade.then_some((event.at, end))
        }
        _ => None,
    });
    let Some((at, end)) = last.filter(|_| width >= WIDE) else { return Some(line) };
    let age = scene.age(at);
    // Three blanks between the two.
    let room = usize::from(width).saturating_sub(taken + 3 + "last: ,  ago".len() + age.len());
    let words = format!("last: {}, {age} ago", text::clip(&end.words, room.min(40)));
    Some(line.spans(At::Edge(0), vec![Span::styled(words, theme.dim)]))
}

/// Who asks for it, and whether one of them forbids what would be moved to.
fn needed(entry: &Entry<'_>, package: &Package, width: u16) -> String {
    let needs = &package.needed_by;
    if needs.is_empty() {
        return String::new();
    }
    let named = if width < WIDE { 2 } else { 4 };
    let names: Vec<&str> = needs.iter().take(named).map(|need| need.name.as_str()).collect();
    let more = if needs.len() > named { format!(" and {} more", needs.len() - named) } else { String::new() };
    let who = format!("{}{more}", names.join(", "));
    // Constraints of other kinds of packages are not read by these rules.
    let python = entry.source.packages.as_ref().is_some_and(|(_, packages)| packages.ecosystem.as_deref().is_none_or(|word| word == "PyPI"));
    let newer = package.wanted.as_deref().filter(|wanted| Some(*wanted) != package.current()).or(package.latest.as_deref());
    let Some((text, version)) = newer.filter(|_| python).and_then(|text| Some((text, Version::parse(text)?))) else { return who };
    let against = |need: &&Need| Constraint::parse(&need.constraint).is_some_and(|bound| !bound.allows(&version));
    match needs.iter().find(against) {
        Some(one) => format!("{who}; {} wants {} and forbids {text}", one.name, one.constraint),
        None => format!("{who}; {} {text}", if needs.len() == 1 { "it allows" } else { "none forbids" }),
    }
}

/// `GHSA-…  7.5 high    denial of service in …    fix out 16 d`.
fn weakness(scene: &Scene<'_>, package: &Package, advisory: &Advisory, width: u16, first: bool) -> Line {
    let theme = scene.theme;
    let style = judged(advisory.cvss, theme);
    let wide = width >= WIDE;
    let x = if wide { VALUE } else { 1 };
    let score = advisory.cvss.map_or_else(|| "?".to_owned(), |score| format!("{score:.1}"));
    let out = advisory.fixed_at.map(|at| short(&scene.age(at)));
    let cured = match (advisory.fixed_in.first(), out) {
        // Of several series the one that would be moved to says more than the first.
        (Some(version), out) if wide => {
            let version = package.cure.as_ref().filter(|cure| advisory.fixed_in.contains(cure)).unwrap_or(version);
            format!("cured by {version}{}", out.map_or_else(String::new, |out| format!(", out {out}")))
        }
        (Some(_), Some(out)) => format!("fix out {out}"),
        (Some(version), None) => format!("cured by {version}"),
        (None, _) => "no cure yet".to_owned(),
    };
    let mut line = Line::new();
    if wide && first {
        line = line.put(1, "advisories", theme.dim);
    }
    let word = advisory.severity.clone().unwrap_or_default();
    let weight = if advisory.cvss.is_some_and(|score| score >= 7.0) || advisory.is_critical() { style } else { theme.text };
    line = line.put(x, advisory.id.clone(), theme.warn).put(x + 21, score, weight).put(x + 25, word, weight);
    let summary = advisory.summary.clone().or_else(|| advisory.aliases.first().cloned()).unwrap_or_default();
    let at = x + 35;
    let room = usize::from(width).saturating_sub(usize::from(at) + text::width(&cured) + 4);
    if room >= 8 {
        line = line.put(at, text::clip(&summary, room).into_owned(), theme.text);
    }
    line.spans(At::Edge(0), vec![Span::styled(cured, theme.dim)])
}
