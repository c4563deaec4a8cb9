//! What must be upgraded, and why? One finding for each manifest or environment.

use super::{Answer, Context, Rule, finding};
use crate::domain::{Block, Bump, Package, Severity, Term};
use crate::state::SourceState;

/// From this base score on, a weakness is critical.
const CRITICAL_CVSS: f64 = 9.0;

/// Vulnerable, withdrawn, abandoned and outdated packages.
#[derive(Debug)]
pub struct Dependencies;

fn worst(package: &Package) -> Option<f64> {
    package.advisories.iter().filter_map(|a| a.cvss).max_by(f64::total_cmp)
}

fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// What stands between the first of `n` names and what is said of all of them: ` was`, ` and 4 more were`.
fn and_more(n: usize, one: &str, many: &str) -> String {
    if n > 1 { format!(" and {} more {many}", n - 1) } else { format!(" {one}") }
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
        let vulnerable: Vec<&Package> = items.iter().filter(|p| !p.advisories.is_empty()).collect();
        let yanked: Vec<&Package> = items.iter().filter(|p| p.yanked).collect();
        let abandoned: Vec<&Package> = items.iter().filter(|p| p.project_status.as_deref().is_some_and(|s| s != "active")).collect();
        let outdated: Vec<&Package> = items.iter().filter(|p| p.outdated()).collect();
        let count = |bump| outdated.iter().filter(|p| p.bump == Some(bump)).count();
        let (major, minor, patch) = (count(Bump::Major), count(Bump::Minor), count(Bump::Patch));
        let terms = vec![
            Term::new("packages", items.len().to_string(), packages.manifest.clone()),
            Term::new("with advisories", vulnerable.len().to_string(), "warning, critical from CVSS 9.0 on"),
            Term::new("withdrawn", yanked.len().to_string(), "warning"),
            Term::new("abandoned", abandoned.len().to_string(), "warning"),
            Term::new("outdated", outdated.len().to_string(), format!("{major} major, {minor} minor, {patch} patch: info")),
        ];
        let score = vulnerable.iter().filter_map(|p| worst(p)).max_by(f64::total_cmp);
        let cvss = score.map_or(String::new(), |score| format!(", CVSS {score:.1}"));
        let (severity, title) = if let [one] = vulnerable.as_slice() {
            let advisories = plural(one.advisories.len(), "advisory", "advisories");
            let from = one.current().unwrap_or("?");
            let title = match &one.cure {
                Some(to) => format!("{} {from} → {to} cures {advisories}{cvss}", one.name),
                None => format!("{} {from} has {advisories}{cvss}, no cure yet", one.name),
            };
            (if score >= Some(CRITICAL_CVSS) { Severity::Critical } else { Severity::Warning }, title)
        } else if !vulnerable.is_empty() {
            (if score >= Some(CRITICAL_CVSS) { Severity::Critical } else { Severity::Warning }, format!("{} packages are vulnerable{cvss}", vulnerable.len()))
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
        } else {
            return Answer::Ok(terms);
        };
        let mut found = finding(&source.spec.id, self.id(), severity, source.packages_since.unwrap_or(context.now), title);
        found.detail = format!("{}: {} of {} outdated", packages.manifest, outdated.len(), items.len());
        found.evidence = vulnerable.iter().flat_map(|p| p.advisories.iter().map(|a| a.id.as_str())).collect::<Vec<_>>().join(" ");
        found.explanation = terms;
        found.runbook.clone_from(&source.spec.runbook);
        let mut lines = Vec::new();
        for package in vulnerable.iter().chain(&yanked).chain(&outdated).take(8) {
            let to = package.wanted.as_deref().or(package.latest.as_deref()).unwrap_or("?");
            let why = match (worst(package), package.yanked, &package.yanked_reason) {
                (Some(score), _, _) => format!("  CVSS {score:.1}"),
                (None, true, Some(reason)) => format!("  withdrawn: {reason}"),
                (None, true, None) => "  withdrawn".to_owned(),
                (None, false, _) => package.bump.map_or(String::new(), |bump| format!("  {}", bump.word())),
            };
            let line = format!("{} {} → {to}{why}", package.name, package.current().unwrap_or("–"));
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        found.blocks = vec![Block::Sentences(lines)];
        Answer::Firing(vec![found])
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
