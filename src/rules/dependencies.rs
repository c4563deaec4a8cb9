//! What must be upgraded, and why? One finding for each manifest or environment.

use super::{Answer, Context, Rule, finding};
use crate::domain::{Advisory, Block, Bump, Finding, FindingId, Package, Packages, Severity, Term};
use crate::state::SourceState;

/// Vulnerable, withdrawn, abandoned and outdated packages.
#[derive(Debug)]
pub struct Dependencies;

fn worst(package: &Package) -> Option<f64> {
    package.advisories.iter().filter_map(|a| a.cvss).max_by(f64::total_cmp)
}

/// `Django 5.2.15 → 5.2.19 cures 2 advisories, CVSS 7.5`.
fn vulnerable_title(one: &Package) -> String {
    let cvss = worst(one).map_or(String::new(), |score| format!(", CVSS {score:.1}"));
    let advisories = plural(one.advisories.len(), "advisory", "advisories");
    let from = one.current().unwrap_or("?");
    match &one.cure {
        Some(to) => format!("{} {from} → {to} cures {advisories}{cvss}", one.name),
        None => format!("{} {from} has {advisories}{cvss}, no cure yet", one.name),
    }
}

/// What the worst of a package is, for a line of the finding.
fn why(package: &Package) -> String {
    let Some(gravest) = package.worst() else {
        return match (package.yanked, &package.yanked_reason) {
            (true, Some(reason)) => format!("  withdrawn: {reason}"),
            (true, None) => "  withdrawn".to_owned(),
            (false, _) => package.bump.map_or(String::new(), |bump| format!("  {}", bump.word())),
        };
    };
    let score = worst(package).map_or_else(|| gravest.severity.clone().map_or(String::new(), |word| format!("  {word}")), |score| format!("  CVSS {score:.1}"));
    let back = package.advisories.iter().find_map(|a| Some((&a.id, a.ignored_until?)));
    let back = back.map_or(String::new(), |(id, until)| format!("  {id} was borne until {until}"));
    format!("{score}  {}{back}", gravest.id)
}

fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// What stands between the first of `n` names and what is said of all of them: ` was`, ` and 4 more were`.
fn and_more(n: usize, one: &str, many: &str) -> String {
    if n > 1 { format!(" and {} more {many}", n - 1) } else { format!(" {one}") }
}

/// Nobody could say whether packages are vulnerable: that is not known, and never well.
fn unaudited(source: &SourceState, packages: &Packages, context: Context<'_>, rule: &str) -> Option<Finding> {
    let why = packages.advisories_problem.as_ref().filter(|_| packages.advisories_from.is_none())?;
    let since = source.packages_since.unwrap_or(context.now);
    let mut found = finding(&source.spec.id, rule, Severity::Unknown, since, format!("whether {} packages are vulnerable is not known", packages.items.len()));
    found.id = FindingId::about(&source.spec.id, rule, "advisories");
    found.detail = why.clone();
    found.blocks = vec![Block::Sentences(vec![why.clone(), "`osv` names another service, or false for the index's own list".to_owned()])];
    found.explanation = vec![Term::new("asked", "nobody answered", "unknown until somebody does")];
    found.runbook.clone_from(&source.spec.runbook);
    Some(found)
}

/// One finding of its own about some packages: the first is named, each has its line.
fn about(source: &SourceState, context: Context<'_>, rule: &str, key: &str, named: &[(&Package, &str)], title: String) -> Finding {
    let mut found = finding(&source.spec.id, rule, Severity::Warning, source.packages_since.unwrap_or(context.now), title);
    found.id = FindingId::about(&source.spec.id, rule, key);
    found.evidence = named.iter().map(|(package, _)| package.name.as_str()).collect::<Vec<_>>().join(" ");
    found.explanation = vec![Term::new("packages", named.len().to_string(), "warning from one on")];
    found.blocks = vec![Block::Sentences(named.iter().take(8).map(|(package, what)| format!("{}: {what}", package.name)).collect())];
    found.runbook.clone_from(&source.spec.runbook);
    found
}

/// What is installed is not what is locked or declared.
fn drifted(source: &SourceState, packages: &Packages, context: Context<'_>, rule: &str) -> Option<Finding> {
    let named: Vec<(&Package, &str)> = packages.items.iter().filter_map(|p| Some((p, p.drift.as_deref()?))).collect();
    let (first, what) = named.first()?;
    let more = if named.len() > 1 { format!("; {} more differ", named.len() - 1) } else { String::new() };
    Some(about(source, context, rule, "drift", &named, format!("{}: {what}{more}", first.name)))
}

/// A package that another index has under the same name: an installer takes whichever is higher.
fn confused(source: &SourceState, packages: &Packages, context: Context<'_>, rule: &str) -> Option<Finding> {
    let named: Vec<(&Package, &str)> = packages.items.iter().filter_map(|p| Some((p, p.confusable.as_deref()?))).collect();
    let (first, place) = named.first()?;
    let more = if named.len() > 1 { format!(", and {} more", named.len() - 1) } else { String::new() };
    Some(about(source, context, rule, "confusion", &named, format!("{} is at another index too, where it may be somebody else's: {place}{more}", first.name)))
}

impl Rule for Dependencies {
    fn id(&self) -> &'static str {
        "packages"
    }

    fn words(&self) -> &'static str {
        "critical with an advisory of CVSS 9.0 or more, warning with any advisory or a withdrawn version, info when only outdated"
    }

    fn evaluate(&self, source: &SourceState, context: Context<'_>) -> Answer {
        let Some((_, packages)) = &source.packages else { return Answer::NotYet(Vec::new()) };
        let items = &packages.items;
        let mut vulnerable: Vec<&Package> = items.iter().filter(|p| !p.advisories.is_empty()).collect();
        // The gravest first; of equally grave ones the direct one, then by name.
        let rank = |p: &Package| p.worst().map_or(0.0, Advisory::rank);
        vulnerable.sort_by(|a, b| rank(b).total_cmp(&rank(a)).then_with(|| (b.direct == Some(true)).cmp(&(a.direct == Some(true)))));
        let yanked: Vec<&Package> = items.iter().filter(|p| p.yanked).collect();
        let abandoned: Vec<&Package> = items.iter().filter(|p| p.project_status.as_deref().is_some_and(|s| s != "active")).collect();
        let outdated: Vec<&Package> = items.iter().filter(|p| p.outdated()).collect();
        let count = |bump| outdated.iter().filter(|p| p.bump == Some(bump)).count();
        let (major, minor, patch) = (count(Bump::Major), count(Bump::Minor), count(Bump::Patch));
        let terms = vec![
            Term::new("packages", items.len().to_string(), packages.manifest.clone()),
            Term::new("with advisories", vulnerable.len().to_string(), "warning, critical from CVSS 9.0 on"),
            Term::new("asked", packages.advisories_from.clone().unwrap_or_else(|| "nobody".to_owned()), "who knew the advisories"),
            Term::new("withdrawn", yanked.len().to_string(), "warning"),
            Term::new("abandoned", abandoned.len().to_string(), "warning"),
            Term::new("outdated", outdated.len().to_string(), format!("{major} major, {minor} minor, {patch} patch: info")),
        ];
        let severe = if vulnerable.iter().any(|p| p.advisories.iter().any(Advisory::is_critical)) { Severity::Critical } else { Severity::Warning };
        let mut findings: Vec<Finding> = unaudited(source, packages, context, self.id()).into_iter().collect();
        findings.extend(drifted(source, packages, context, self.id()));
        findings.extend(confused(source, packages, context, self.id()));
        let (severity, title) = if let [one, more @ ..] = vulnerable.as_slice() {
            let more = if more.is_empty() { String::new() } else { format!("; {} more vulnerable", more.len()) };
            (severe, format!("{}{more}", vulnerable_title(one)))
        } else if let [one, ..] = yanked.as_slice() {
            let verb = and_more(yanked.len(), "was", "were");
            (Severity::Warning, format!("{} {}{verb} withdrawn", one.name, one.current().unwrap_or("?")))
        } else if let [one, ..] = abandoned.as_slice() {
            let verb = and_more(abandoned.len(), "is", "are");
            // Several may have ended in different ways; the table tells each.
            let status = one.project_status.as_deref().filter(|status| abandoned.iter().all(|p| p.project_status.as_deref() == Some(*status)));
            (Severity::Warning, format!("{}{verb} {}", one.name, status.unwrap_or("abandoned")))
        } else if !outdated.is_empty() {
            let parts: Vec<String> =
                [(major, "major"), (minor, "minor"), (patch, "patch")].into_iter().filter(|(n, _)| *n > 0).map(|(n, w)| format!("{n} {w}")).collect();
            let verb = if outdated.len() == 1 { "package is" } else { "packages are" };
            (Severity::Info, format!("{} {verb} outdated: {}", outdated.len(), parts.join(", ")))
        } else if findings.is_empty() {
            return Answer::Ok(terms);
        } else {
            return Answer::Firing(findings);
        };
        let mut found = finding(&source.spec.id, self.id(), severity, source.packages_since.unwrap_or(context.now), title);
        found.detail = format!("{}: {} of {} outdated", packages.manifest, outdated.len(), items.len());
        found.evidence = vulnerable.iter().flat_map(|p| p.advisories.iter().map(|a| a.id.as_str())).collect::<Vec<_>>().join(" ");
        found.explanation = terms;
        found.runbook.clone_from(&source.spec.runbook);
        let mut lines = Vec::new();
        for package in vulnerable.iter().chain(&yanked).chain(&outdated).take(8) {
            let cure = package.cure.as_deref().filter(|_| !package.advisories.is_empty());
            let to = cure.or(package.wanted.as_deref()).or(package.latest.as_deref()).unwrap_or("?");
            let line = format!("{} {} → {to}{}", package.name, package.current().unwrap_or("–"), why(package));
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let borne: usize = items.iter().map(|p| p.borne.len()).sum();
        if borne > 0 {
            lines.push(format!("{} borne, with their reasons in the configuration", plural(borne, "advisory is", "advisories are")));
        }
        found.blocks = vec![Block::Sentences(lines)];
        // Of the package that the title is about.
        found.due = vulnerable.first().and_then(|p| p.due());
        findings.insert(0, found);
        Answer::Firing(findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_many_agree_with_their_verb() {
        assert_eq!(format!("redis 5.2.1{} withdrawn", and_more(1, "was", "were")), "redis 5.2.1 was withdrawn");
        assert_eq!(format!("redis 5.2.1{} withdrawn", and_more(5, "was", "were")), "redis 5.2.1 and 4 more were withdrawn");
    }
}
