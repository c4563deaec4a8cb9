//! The configuration as a person meets it: one case for each kind of mistake, with the very text that is shown.

mod anything;
mod mistakes;
mod screen;
mod values;

use std::path::Path;

use serde::Deserialize;

use super::trust::Standing;
use super::value::Dur;
use super::*;
use crate::domain::{Capability, SourceError};
use crate::io::secret::SecretRef;
use crate::sources::kinds::{Kind, parse as kind_parse, schema as kind_schema};
use crate::sources::{BuildContext, Built, Complaint, SourceConfig, SourceSpec};
use crate::state::wall::{Settings, WallPage};

/// A kind with everything a kind may have, so that these tests stand on their own feet.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the reading of some keys is tested")]
struct Probe {
    /// The endpoint.
    url: String,
    method: Option<String>,
    #[serde(default = "retry")]
    retry_every: Dur,
    #[serde(default = "failures")]
    failures: u32,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    password: Option<SecretRef>,
    follow_redirects: Option<bool>,
    #[serde(default)]
    expect: Expect,
    command: Option<Vec<String>>,
}

fn retry() -> Dur {
    Dur::secs(5)
}

const fn failures() -> u32 {
    3
}

#[derive(Debug, Clone, Default, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Expect {
    #[serde(default)]
    status: Vec<u16>,
    body: Option<String>,
    latency: Option<Limits>,
}

#[derive(Debug, Clone, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limits {
    warning: Option<Dur>,
    critical: Option<Dur>,
}

impl SourceConfig for Probe {
    fn check(&self) -> Vec<Complaint> {
        let complaint = |path: &[&str], message: String, help: &str| Complaint {
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            message,
            help: help.to_owned(),
            warning: false,
        };
        let mut complaints = Vec::new();
        if let Err(error) = url::Url::parse(&self.url) {
            complaints.push(complaint(&["url"], format!("not an address: {error}"), "write it whole"));
        }
        if self.expect.status.contains(&0) {
            complaints.push(complaint(&["expect", "status", "1"], "no status is 0".to_owned(), ""));
        }
        complaints
    }

    fn secrets(&self) -> Vec<(Vec<String>, &SecretRef)> {
        self.password.iter().map(|secret| (vec!["password".to_owned()], secret)).collect()
    }

    fn commands(&self) -> Vec<Vec<String>> {
        self.command.iter().cloned().collect()
    }

    fn build(&self, _: &BuildContext) -> Result<Built, SourceError> {
        Err(SourceError::config("not built in this test", ""))
    }

    fn spec(&self, context: &BuildContext) -> SourceSpec {
        SourceSpec {
            id: context.id.clone(),
            title: String::new(),
            capability: Capability::Health,
            every: context.common.every.unwrap_or(std::time::Duration::from_secs(30)),
            timeout: std::time::Duration::from_secs(10),
            retry_every: self.retry_every.get(),
            failures: self.failures,
            successes: 2,
            enabled: true,
            continuous: false,
            runbook: None,
            needs: Vec::new(),
            target: String::new(),
        }
    }
}

static PROBES: &[Kind] = &[
    Kind { name: "http", doc: "A probe.", capability: Capability::Health, schema: kind_schema::<Probe>, parse: kind_parse::<Probe> },
    Kind { name: "log", doc: "Another.", capability: Capability::Log, schema: kind_schema::<Probe>, parse: kind_parse::<Probe> },
];

fn read(text: &str) -> Result<Loaded, LoadError> {
    let variable = |name: &str| (name == "SET").then(|| "hush".to_owned());
    parse_with(PROBES, text.as_bytes(), Some(Path::new("rounds.toml")), Standing::Trusted, &variable)
}

/// What is shown for a text, whether it starts or not.
/// [`parse`] with a table of kinds.
fn parse_with(
    kinds: &'static [Kind],
    bytes: &[u8],
    path: Option<&Path>,
    standing: Standing,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, LoadError> {
    understand(kinds, gather(bytes, path)?, path, standing, variable)
}

fn told(text: &str) -> String {
    match read(text) {
        Ok(loaded) => format!("right\n{}", loaded.warnings.render(false, 120)),
        Err(error) => error.render(false, 120),
    }
}

const RIGHT: &str = r#"
    [journal]
    keep = "30d"

    [defaults.http]
    every = "10s"
    failures = 2
    expect.latency = { warning = "1s" }
    headers = { A = "1" }
    password = { env = "SET" }

    [site.shop]
    title = "Shop"
    directory = "srv"
    zone = "Europe/Berlin"

    [site.shop.http.home]
    url = "https://shop.example/"
    expect.status = [200]
    expect.latency.critical = "2s"

    [site.shop.http.api]
    url = "https://shop.example/api"
    every = "1m"
    needs = ["http/home"]
    headers.B = "2"
    password = { file = "/dev/null" }
    enabled = false

    [site.blog.log.all]
    url = "x:y"
"#;
