//! The packages of all sources for other tools: SARIF 2.1.0 for code review, CycloneDX 1.5 as a bill of materials with its
//! weaknesses.
//!
//! What does not belong here: the JSON of rounds itself (`json`), the table (`text`).

use serde_json::{Value, json};

use super::clean;
use crate::domain::{Advisory, Capability, Package, Packages, Timestamp};
use crate::state::{SourceState, World};

fn all(world: &World) -> impl Iterator<Item = (&Packages, &Package)> {
    world.sources.values().filter_map(|source| source.packages.as_ref()).flat_map(|(_, packages)| packages.items.iter().map(move |package| (packages, package)))
}

/// File and line of `requirements.txt:3`; else the manifest.
fn place<'a>(packages: &'a Packages, package: &'a Package) -> (&'a str, Option<u64>) {
    let text = package.place.as_deref().unwrap_or(&packages.manifest);
    match text.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse::<u64>().ok()?))) {
        Some((file, line)) => (file, Some(line)),
        None => (text, None),
    }
}

const fn level(advisory: &Advisory) -> &'static str {
    match &advisory.severity {
        Some(word) => match word.as_bytes() {
            b"critical" | b"high" => "error",
            b"low" => "note",
            _ => "warning",
        },
        None => "warning",
    }
}

/// Sources of which nobody could say whether their packages have weaknesses, and why: without them a document would read as if there were none.
fn untold(world: &World) -> Vec<String> {
    let of_packages = world.sources.values().filter(|source| source.spec.capability == Capability::Packages && source.spec.enabled);
    let why = |source: &SourceState| {
        let packages = source.packages.as_ref().map(|(_, packages)| packages);
        let nobody = packages.filter(|packages| packages.advisories_from.is_none()).and_then(|packages| packages.advisories_problem.clone());
        let why = source.error.as_ref().map(|error| error.message.clone()).or(nobody)?;
        Some(clean(&format!("{}: {why}", source.spec.id)))
    };
    of_packages.filter_map(why).collect()
}

/// Weaknesses as SARIF; places of relative paths are relative to the site's directory.
#[must_use]
pub fn sarif(world: &World) -> Value {
    let (mut rules, mut results) = (Vec::<Value>::new(), Vec::new());
    for (packages, package) in all(world) {
        for advisory in &package.advisories {
            if !rules.iter().any(|rule| rule["id"] == advisory.id.as_str()) {
                rules.push(json!({
                    "id": advisory.id,
                    "shortDescription": { "text": clean(advisory.summary.as_deref().unwrap_or(&advisory.id)) },
                    "helpUri": advisory.url,
                    "properties": { "security-severity": advisory.cvss.map(|score| format!("{score:.1}")), "tags": ["security"] },
                }));
            }
            let (file, line) = place(packages, package);
            let cure = package.cure.as_ref().map_or_else(|| "no cure is out".to_owned(), |to| format!("{to} cures it"));
            let text = format!(
                "{} {} has {}: {}; {cure}",
                package.name,
                package.current().unwrap_or("?"),
                advisory.id,
                advisory.summary.as_deref().unwrap_or("no summary")
            );
            let mut location = json!({ "artifactLocation": { "uri": clean(file) } });
            if let Some(line) = line {
                location["region"] = json!({ "startLine": line.max(1) });
            }
            results.push(json!({
                "ruleId": advisory.id,
                "level": level(advisory),
                "message": { "text": clean(&text) },
                "locations": [{ "physicalLocation": location }],
                "partialFingerprints": { "package/v1": format!("{} {}", package.name, advisory.id) },
            }));
        }
    }
    let untold = untold(world);
    let notifications: Vec<Value> = untold.iter().map(|why| json!({ "level": "error", "message": { "text": why } })).collect();
    let driver = json!({ "name": "rounds", "version": env!("CARGO_PKG_VERSION"), "rules": rules });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "invocations": [{ "executionSuccessful": untold.is_empty(), "toolExecutionNotifications": notifications }],
            "results": results,
        }],
    })
}

/// `pkg:pypi/django@5.2`, without what an address may not hold.
fn purl(packages: &Packages, package: &Package) -> String {
    let kind = match packages.ecosystem.as_deref() {
        Some("npm") => "npm",
        Some("cargo") => "cargo",
        _ => "pypi",
    };
    let escape = |text: &str| {
        let mut out = String::new();
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
        out
    };
    let version = package.current().map(|version| format!("@{}", escape(version))).unwrap_or_default();
    // Of several versions of one package the rows are told apart by their version.
    let name = package.name.strip_suffix(&format!("@{}", package.current().unwrap_or_default())).unwrap_or(&package.name);
    format!("pkg:{kind}/{}{version}", escape(name))
}

/// All packages, and their weaknesses, as CycloneDX.
#[must_use]
pub fn cyclonedx(world: &World, now: Timestamp) -> Value {
    let (mut components, mut weaknesses) = (Vec::<Value>::new(), Vec::<Value>::new());
    for (packages, package) in all(world) {
        let reference = purl(packages, package);
        if !components.iter().any(|one| one["bom-ref"] == reference.as_str()) {
            components.push(
                json!({ "type": "library", "bom-ref": reference, "name": package.name, "version": package.current().unwrap_or_default(), "purl": reference }),
            );
        }
        let open = package.advisories.iter().map(|advisory| (advisory, None));
        for (advisory, borne) in open.chain(package.borne.iter().map(|borne| (&borne.advisory, Some(borne.reason.as_str())))) {
            let mut one = json!({
                "bom-ref": format!("{reference}#{}", advisory.id),
                "id": advisory.id,
                "source": { "name": packages.advisories_from.as_deref().unwrap_or("unknown") },
                "references": advisory.aliases.iter().map(|id| json!({ "id": id, "source": { "name": "alias" } })).collect::<Vec<_>>(),
                "ratings": [{ "score": advisory.cvss, "severity": advisory.severity.as_deref().unwrap_or("unknown") }],
                "description": clean(advisory.summary.as_deref().unwrap_or_default()),
                "recommendation": package.cure.as_ref().map(|to| format!("upgrade {} to {to}", package.name)).unwrap_or_default(),
                "affects": [{ "ref": reference }],
            });
            if advisory.cvss.is_none()
                && let Some(rating) = one["ratings"][0].as_object_mut()
            {
                rating.remove("score");
            }
            if let Some(reason) = borne {
                one["analysis"] = json!({ "state": "not_affected", "detail": clean(reason) });
            }
            weaknesses.push(one);
        }
    }
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "tools": [{ "name": "rounds", "version": env!("CARGO_PKG_VERSION") }],
            "properties": untold(world).into_iter().map(|why| json!({ "name": "rounds:weaknesses-not-known", "value": why })).collect::<Vec<_>>(),
        },
        "components": components,
        "vulnerabilities": weaknesses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn names_are_written_as_package_urls() {
        let packages = Packages { ecosystem: Some("npm".into()), manifest: "package-lock.json".into(), ..Packages::default() };
        let package = Package { name: "@shop/ui".into(), locked: Some("1.0.0+x".into()), ..Package::default() };
        assert_eq!(purl(&packages, &package), "pkg:npm/%40shop/ui@1.0.0%2Bx");
        let second = Package { name: "@shop/ui@1.0.0+x".to_owned(), ..package.clone() };
        assert_eq!(purl(&packages, &second), "pkg:npm/%40shop/ui@1.0.0%2Bx");
        assert_eq!(place(&packages, &package), ("package-lock.json", None));
        let package = Package { place: Some("requirements.txt:3".into()), ..package };
        assert_eq!(place(&packages, &package), ("requirements.txt", Some(3)));
    }

    #[test]
    fn what_nobody_could_say_is_no_clean_bill() {
        let of = |problem: Option<&str>, from: Option<&str>| {
            let mut source = sample::source("shop/python/deps", crate::domain::Status::Ok);
            source.spec.capability = Capability::Packages;
            let packages = Packages {
                items: vec![Package { name: "django".into(), installed: Some("5.2".into()), ..Package::default() }],
                advisories_problem: problem.map(str::to_owned),
                advisories_from: from.map(str::to_owned),
                ..Packages::default()
            };
            source.packages = Some((sample::at(), packages));
            sample::state(vec![source], Vec::new()).world
        };
        let invocation = |world: &World| sarif(world)["runs"][0]["invocations"][0].clone();
        let properties = |world: &World| cyclonedx(world, sample::at())["metadata"]["properties"].clone();

        let told = of(None, Some("OSV"));
        assert_eq!(invocation(&told)["executionSuccessful"], true);
        assert_eq!(properties(&told), json!([]));
        // Last answers that are kept are answers.
        assert_eq!(invocation(&of(Some("no answer"), Some("OSV")))["executionSuccessful"], true);

        let nobody = of(Some("no answer"), None);
        assert_eq!(invocation(&nobody)["executionSuccessful"], false);
        assert_eq!(invocation(&nobody)["toolExecutionNotifications"][0]["message"]["text"], "shop/python/deps: no answer");
        assert_eq!(properties(&nobody), json!([{ "name": "rounds:weaknesses-not-known", "value": "shop/python/deps: no answer" }]));
    }
}
