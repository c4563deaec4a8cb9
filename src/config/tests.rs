//! The configuration as a person meets it: one case for each kind of mistake, with the very text that is shown.

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

#[test]
fn a_right_file_becomes_its_sites_and_sources_in_its_order() {
    let loaded = read(RIGHT).unwrap_or_else(|error| panic!("{}", error.render(false, 100)));
    assert!(loaded.warnings.is_empty());
    let config = loaded.config;
    assert_eq!(config.sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>(), ["shop", "blog"]);
    assert_eq!(config.sources.iter().map(|source| source.id.as_str()).collect::<Vec<_>>(), ["shop/http/home", "shop/http/api", "blog/log/all"]);
    assert_eq!(config.sites[0].directory.as_deref(), Some(Path::new("srv")));
    assert_eq!(config.journal.keep.as_secs(), 30 * 86_400);
    let every: Vec<_> = config.sources.iter().map(|source| source.context.common.every.map(|every| every.as_secs())).collect();
    assert_eq!(every, [Some(10), Some(60), None]);
    assert_eq!(config.sources[1].context.common.needs, ["http/home"]);
    assert_eq!(config.sources[0].context.base, Path::new("srv"));
    assert_eq!(config.sources[0].context.zone, Some(chrono_tz::Europe::Berlin));
    // The default stands under the source's own keys, also inside tables, but a secret is one or the other.
    let first = format!("{:?}", config.sources[0].config);
    assert!(
        first.contains("warning: Some(1s)") && first.contains("critical: Some(2s)") && first.contains("failures: 2") && first.contains("env SET"),
        "{first}"
    );
    let second = format!("{:?}", config.sources[1].config);
    assert!(second.contains(r#"{"A": "1", "B": "2"}"#) && second.contains("file /dev/null"), "{second}");
}

#[test]
fn every_error_is_told_in_one_run_at_its_place() {
    insta::assert_snapshot!(
        told(
            r#"
[site.shop]
titel = "Shop"

[site.shop.http.home]
url = "https://shop.example/"
metod = "GET"
expect.statuss = [200]
expect.latency = { warn = "1s", critical = "soon" }
retry_every = 5
failures = "three"
latency = "1s"

[site.shop.http.api]
method = "GET"
interval = "30s"
timeout = "0s"

[jurnal]
keep = "1y"
"#
        ),
        @r#"
error: unknown key `titel` of a site
 --> rounds.toml:3:1
  |
3 | titel = "Shop"
  | ^^^^^
  |
  = help: did you mean `title`?

error: unknown key `metod`
 --> rounds.toml:7:1
  |
7 | metod = "GET"
  | ^^^^^
  |
  = help: did you mean `method`?

error: unknown key `statuss`
 --> rounds.toml:8:8
  |
8 | expect.statuss = [200]
  |        ^^^^^^^
  |
  = help: did you mean `status`?

error: unknown key `warn`
 --> rounds.toml:9:20
  |
9 | expect.latency = { warn = "1s", critical = "soon" }
  |                    ^^^^
  |
  = help: did you mean `warning`?

error: "soon" is not a duration
 --> rounds.toml:9:44
  |
9 | expect.latency = { warn = "1s", critical = "soon" }
  |                                            ^^^^^^
  |
  = help: write a number and a unit, such as "500ms", "30s", "5m", "26h" or "14d"

error: a duration needs its unit, in quotes
  --> rounds.toml:10:15
   |
10 | retry_every = 5
   |               ^
   |
   = help: write "5s" for 5 seconds

error: expected a whole number that fits, found the text "three"
  --> rounds.toml:11:12
   |
11 | failures = "three"
   |            ^^^^^^^

error: unknown key `latency`
  --> rounds.toml:12:1
   |
12 | latency = "1s"
   | ^^^^^^^
   |
   = help: did you mean `expect.latency`?

error: `http` needs the key `url`
  --> rounds.toml:14:1
   |
14 | [site.shop.http.api]
   | ^^^^^^^^^^^^^^^^^^^^
   |
   = help: add `url = …`

error: unknown key `interval`
  --> rounds.toml:16:1
   |
16 | interval = "30s"
   | ^^^^^^^^
   |
   = help: rounds calls it `every`

error: `timeout` is nothing: no answer comes in no time
  --> rounds.toml:17:11
   |
17 | timeout = "0s"
   |           ^^^^
   |
   = help: write a time such as "10s"

error: unknown key `jurnal`
  --> rounds.toml:19:2
   |
19 | [jurnal]
   |  ^^^^^^
   |
   = help: did you mean `journal`?
"#
    );
}

#[test]
fn shapes_that_are_nearly_right_get_a_sentence_of_their_own() {
    insta::assert_snapshot!(
        told(
            r#"
[site]
title = "x"
[site.shop.http]
url = "https://shop.example/"
expect.status = [200]
[site.Shop_1.http.Home]
url = "https://shop.example/"
[[site.a.http]]
url = "https://shop.example/"
[site.a]
log = "/var/log/x.log"
[site.b.htpp.home]
[site.b.sentry.main]
[site.b.http]
[http.home]
"#
        ),
        @r#"
error: a site needs a name
 --> rounds.toml:3:1
  |
3 | title = "x"
  | ^^^^^
  |
  = help: write [site.NAME], and `title` below it

error: a source of the kind `http` needs a name
 --> rounds.toml:4:1
  |
4 | [site.shop.http]
  | ^^^^^^^^^^^^^^^^
  |
  = help: write [site.shop.http.NAME], such as [site.shop.http.home]

error: "Shop_1" is no name of a site: lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit
 --> rounds.toml:7:7
  |
7 | [site.Shop_1.http.Home]
  |       ^^^^^^
  |
  = help: write `shop_1`; `title` may be any text

error: "Home" is no name of a source: lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit
 --> rounds.toml:7:19
  |
7 | [site.Shop_1.http.Home]
  |                   ^^^^
  |
  = help: write `home`; `title` may be any text

error: `http` is no list: each source has a name
 --> rounds.toml:9:1
  |
9 | [[site.a.http]]
  | ^^^^^^^^^^^^^^^
  |
  = help: write [site.a.http.NAME] for each

error: `log` is a kind of source
  --> rounds.toml:12:7
   |
12 | log = "/var/log/x.log"
   |       ^^^^^^^^^^^^^^^^
   |
   = help: write [site.a.log.NAME]

error: unknown kind `htpp`
  --> rounds.toml:13:9
   |
13 | [site.b.htpp.home]
   |         ^^^^
   |
   = help: did you mean `http`?

error: this version does not know the kind `sentry` yet
  --> rounds.toml:14:9
   |
14 | [site.b.sentry.main]
   |         ^^^^^^
   |
   = help: it knows http and log

error: a source of the kind `http` needs a name
  --> rounds.toml:15:1
   |
15 | [site.b.http]
   | ^^^^^^^^^^^^^
   |
   = help: write [site.b.http.NAME], such as [site.b.http.home]

error: unknown key `http`
  --> rounds.toml:16:2
   |
16 | [http.home]
   |  ^^^^
   |
   = help: `http` is a kind of source: write [site.NAME.http.NAME]
"#
    );
}

#[test]
fn all_syntax_errors_are_told_and_what_follows_from_them_is_not() {
    insta::assert_snapshot!(
        told("[site.shop.http.home]\r\nurl = https://shop.example/\r\nevery = 30s\r\nmetod = \"GET\"\r\npassword = hush\r\n[site.shop.http.home]\r\nurl = \"a\"\r\nurl = \"b\"\r\n"),
        @r#"
error: a text stands in quotes
 --> rounds.toml:2:7
  |
2 | url = https://shop.example/
  |       ^^^^^^^^^^^^^^^^^^^^^
  |
  = help: put it in quotes

error: a text stands in quotes
 --> rounds.toml:3:9
  |
3 | every = 30s
  |         ^^^
  |
  = help: put it in quotes

error: unknown key `metod`
 --> rounds.toml:4:1
  |
4 | metod = "GET"
  | ^^^^^
  |
  = help: did you mean `method`?

error: a text stands in quotes
 --> rounds.toml:5:12
  |
5 | password = ****
  |            ^^^^
  |
  = help: put it in quotes

error: this was written before
 --> rounds.toml:6:17
  |
6 | [site.shop.http.home]
  |                 ^^^^
  |
  = help: take one of them out

error: this was written before
 --> rounds.toml:7:1
  |
7 | url = "a"
  | ^^^
  |
  = help: take one of them out

error: this was written before
 --> rounds.toml:8:1
  |
8 | url = "b"
  | ^^^
  |
  = help: take one of them out
"#
    );
}

#[test]
fn values_are_checked_where_they_stand() {
    insta::assert_snapshot!(
        told(
            r#"
[defaults.http]
every = "5"
expect.status = ["x"]
[journal]
keep = "1h"
redact = ["ok", "(["]
[ui]
theme = "drak"
zone = "Europe/Berln"
colors = "many"
[keys]
dwn = "j"
up = 5
[site.shop]
url = "shop.example"
zone = 5
[site.shop.http.home]
url = "shop"
expect.status = [200, 0]
needs = ["http/ap_", "http/home", "log/x"]
[site.shop.http.api]
url = "https://shop.example/"
every = "1ms"
needs = ["http/app"]
[site.shop.http.app]
url = "https://shop.example/"
needs = ["http/api"]
"#
        ),
        @r#"
error: "5" has no unit
 --> rounds.toml:3:9
  |
3 | every = "5"
  |         ^^^
  |
  = help: write a number and a unit, such as "500ms", "30s", "5m", "26h" or "14d"

error: expected a whole number that fits, found the text "x"
 --> rounds.toml:4:18
  |
4 | expect.status = ["x"]
  |                  ^^^

error: history is kept for a day at least
 --> rounds.toml:6:8
  |
6 | keep = "1h"
  |        ^^^^
  |
  = help: write `keep = "400d"`, which is the default

error: not a regular expression: unclosed character class
 --> rounds.toml:7:17
  |
7 | redact = ["ok", "(["]
  |                 ^^^^

error: "drak" is not possible here
 --> rounds.toml:9:9
  |
9 | theme = "drak"
  |         ^^^^^^
  |
  = help: did you mean `dark`?

error: "Europe/Berln" is no time zone
  --> rounds.toml:10:8
   |
10 | zone = "Europe/Berln"
   |        ^^^^^^^^^^^^^^
   |
   = help: did you mean "Europe/Berlin"?

error: "many" is not possible here
  --> rounds.toml:11:10
   |
11 | colors = "many"
   |          ^^^^^^
   |
   = help: possible are `auto`, `none`, `16`, `256` and `true`

error: unknown command `dwn`
  --> rounds.toml:13:1
   |
13 | dwn = "j"
   | ^^^
   |
   = help: did you mean `down`?

error: a key is a text in quotes
  --> rounds.toml:14:6
   |
14 | up = 5
   |      ^
   |
   = help: write a key such as "j", or a list of keys

error: not an address: relative URL without a base
  --> rounds.toml:16:7
   |
16 | url = "shop.example"
   |       ^^^^^^^^^^^^^^
   |
   = help: write it whole, such as "https://shop.example.com"

error: expected a time zone such as "Europe/Berlin" or "UTC", found integer `5`
  --> rounds.toml:17:8
   |
17 | zone = 5
   |        ^

error: not an address: relative URL without a base
  --> rounds.toml:19:7
   |
19 | url = "shop"
   |       ^^^^^^
   |
   = help: write it whole

error: no status is 0
  --> rounds.toml:20:23
   |
20 | expect.status = [200, 0]
   |                       ^

error: "http/ap_" is no source of the site `shop`
  --> rounds.toml:21:10
   |
21 | needs = ["http/ap_", "http/home", "log/x"]
   |          ^^^^^^^^^^
   |
   = help: did you mean "http/api"?

error: a source cannot need itself
  --> rounds.toml:21:22
   |
21 | needs = ["http/ap_", "http/home", "log/x"]
   |                      ^^^^^^^^^^^
   |
   = help: take one of them out

error: "log/x" is no source of the site `shop`
  --> rounds.toml:21:35
   |
21 | needs = ["http/ap_", "http/home", "log/x"]
   |                                   ^^^^^^^
   |
   = help: write kind/name of a source of the same site

error: `every` is too short: looking so often is itself a load
  --> rounds.toml:24:9
   |
24 | every = "1ms"
   |         ^^^^^
   |
   = help: write "100ms" or more

error: "http/app" needs this source in turn
  --> rounds.toml:25:10
   |
25 | needs = ["http/app"]
   |          ^^^^^^^^^^
   |
   = help: take one of them out

error: "http/api" needs this source in turn
  --> rounds.toml:28:10
   |
28 | needs = ["http/api"]
   |          ^^^^^^^^^^
   |
   = help: take one of them out
"#
    );
}

#[test]
fn keys_that_clash_are_told_at_the_command() {
    let told = told("[keys]\npoll = \"j\"\nsort = [\"ctrl-nothing\"]\n");
    assert!(told.contains("rounds.toml:2:1") && told.contains("the key j is bound to both"), "{told}");
    assert!(told.contains("rounds.toml:3:1") && told.contains("is not a key"), "{told}");
    assert_eq!(self::told("[keys]\npoll = \"X\"\n"), "right\n");
}

#[test]
fn secrets_are_looked_for_and_never_shown() {
    insta::assert_snapshot!(
        told(
            r#"
[site.shop.http.a]
url = "https://shop.example/"
password = "hush"
[site.shop.http.b]
url = "https://me:hush@shop.example/"
password = { env = "UNSET" }
[site.shop.http.c]
url = "https://shop.example/"
password = { file = "no/such/file" }
[site.shop.http.d]
url = "https://shop.example/"
password = { env = "A", file = "b" }
[site.shop.http.e]
url = "https://shop.example/"
password = 12345678
[site.shop.http.f]
url = "https://shop.example/"
enabled = false
password = { env = "UNSET" }
"#
        ),
        @r#"
warning: a secret is written into the file
 --> rounds.toml:4:12
  |
4 | password = ******
  |            ^^^^^^
  |
  = help: write { env = "NAME" }, { file = "path" } or { command = ["program", "argument"] }

error: the environment variable UNSET is not set
 --> rounds.toml:7:12
  |
7 | password = { env = "UNSET" }
  |            ^^^^^^^^^^^^^^^^^
  |
  = help: export UNSET in the environment rounds is started from, or name the secret by `file` or `command`

error: the secret file no/such/file cannot be read: it is not there
  --> rounds.toml:10:12
   |
10 | password = { file = "no/such/file" }
   |            ^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: create it with the secret as its first line, or correct the path

error: a secret has exactly one of `env`, `file` and `command`
  --> rounds.toml:13:12
   |
13 | password = { env = "A", file = "b" }
   |            ^^^^^^^^^^^^^^^^^^^^^^^^^

error: a number is no secret
  --> rounds.toml:16:12
   |
16 | password = ********
   |            ^^^^^^^^
   |
   = help: write { env = "NAME" }, { file = "path" } or { command = ["program", "argument"] }
"#
    );
}

#[test]
fn what_is_not_served_yet_is_said_and_starts() {
    insta::assert_snapshot!(
        told("[round.morning]\nitems = []\n[offline]\nanchors = [\"gateway.example:53\"]\n[defaults.sentry]\nurl = \"x\"\n[journal]\nurl = \"postgresql://me:hush@db/x\"\n"),
        @r#"
right
warning: `round` is not served yet by this version
 --> rounds.toml:1:2
  |
1 | [round.morning]
  |  ^^^^^
  |
  = help: it is read and changes nothing

warning: this version does not know the kind `sentry` yet
 --> rounds.toml:5:11
  |
5 | [defaults.sentry]
  |           ^^^^^^
  |
  = help: it is read and changes nothing

warning: a journal in PostgreSQL is not served yet by this version
 --> rounds.toml:8:7
  |
8 | url = "postgresql://me:****@db/x"
  |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: history is kept in the embedded journal
"#
    );
}

const ACTIONS: &str = r#"
[site.shop]
directory = "/srv/shop"

[site.shop.http.home]
url = "https://shop.example/"

[site.shop.http.basket]
url = "https://shop.example/basket/"

[site.shop.action.deploy]
run = ["fab", "prod", "deploy", "--ref", "{prompt}"]
prompt = "which version?"
title = "Deploy"
scope = "http/basket"
dangerous = true
timeout = "15m"
directory = "deploy"
env = { STAGE = "production", TOKEN = { env = "TOKEN" } }
after = "action/warm"
key = "D"
poll = ["http/*"]

[site.shop.action.warm]
steps = [["curl", "-sf", "https://shop.example/"], ["true"]]
output = "quiet"
"#;

#[test]
fn an_action_becomes_what_it_says() {
    let config = read(&ACTIONS.replace("\"TOKEN\"", "\"SET\"")).unwrap().config;
    assert_eq!(config.actions.len(), 2);
    let deploy = &config.actions[0];
    assert_eq!(deploy.spec.id.as_str(), "shop/action/deploy");
    assert_eq!(deploy.directory, Path::new("/srv/shop/deploy"));
    assert_eq!(deploy.spec.filled(Some("v1 x"))[0].last().map(String::as_str), Some("v1 x"));
    assert_eq!(deploy.spec.after.iter().map(crate::domain::SourceId::as_str).collect::<Vec<_>>(), ["shop/action/warm"]);
    assert_eq!(deploy.spec.poll.len(), 2);
    assert_eq!((deploy.spec.key.as_deref(), deploy.spec.timeout), (Some("D"), std::time::Duration::from_secs(900)));
    assert_eq!(deploy.spec.env, ["STAGE", "TOKEN"]);
    let fit = |id: &str| deploy.spec.fit(&crate::domain::SourceId::parse(id).unwrap());
    assert!(fit("shop/http/basket") < fit("shop/http/home"));
    // Without `poll` all of the site is looked at afterwards.
    assert_eq!(config.actions[1].spec.poll.len(), 2);
    assert_eq!(config.actions[1].spec.steps.len(), 2);
}

#[test]
fn mistakes_of_actions_are_told_at_their_places() {
    for (change, expected) in [
        (("title = \"Deploy\"", "titel = \"Deploy\""), &["unknown key `titel`", "did you mean `title`?"][..]),
        (("dangerous = true", "dangerous = 1"), &["expected `true` or `false`"]),
        (("timeout = \"15m\"", "timeout = 15"), &["a duration needs its unit"]),
        (("timeout = \"15m\"", "timeout = \"0s\""), &["`timeout` is nothing"]),
        (("after = \"action/warm\"", "after = \"action/wram\""), &["\"action/wram\" is no action of the site `shop`", "did you mean \"action/warm\"?"]),
        (("after = \"action/warm\"", "after = [\"action/deploy\"]"), &["has a `prompt`"]),
        (("output = \"quiet\"", "after = \"action/warm\""), &["an action cannot follow itself"]),
        (("poll = [\"http/*\"]", "poll = [\"htp\"]"), &["\"htp\" names no source of the site `shop`"]),
        (("scope = \"http/basket\"", "scope = \"http/baskt\""), &["did you mean \"http/basket\"?"]),
        (("prompt = \"which version?\"", ""), &["`{prompt}` stands in the arguments and nothing is asked"]),
        (("\"{prompt}\"", "\"v1\""), &["the answer to `prompt` is not used"]),
        (("\"fab\", \"prod\"", "\"{prompt}\""), &["the program itself is not asked for"]),
        (("[[\"curl\", \"-sf\", \"https://shop.example/\"], [\"true\"]]", "[[\"curl\"], []]"), &["an empty command"]),
        (("output = \"quiet\"", "run = [\"true\"]"), &["`run` or `steps`, not both"]),
        (("steps = [[\"curl\", \"-sf\", \"https://shop.example/\"], [\"true\"]]", ""), &["needs the key `run` or `steps`"]),
        (("output = \"quiet\"", "output = \"loud\""), &["\"loud\" is not possible here"]),
        (("key = \"D\"", "key = \"a\""), &["the key a is bound to acknowledge already"]),
        (("key = \"D\"", "key = \"ctrl-k\""), &["the key ctrl-k is never bound"]),
        (("key = \"D\"", "key = \"DD\""), &["\"DD\" is not a key"]),
        (("output = \"quiet\"", "key = \"D\""), &["the key D is bound to action/deploy of this site already"]),
        (("[site.shop.action.warm]", "[site.shop.action]"), &["an action needs a name"]),
        (("[site.shop.action.warm]", "[site.shop.action.Warm]"), &["is no name of an action"]),
        (("[site.shop.action.warm]", "[action.warm]"), &["write [site.NAME.action.NAME]"]),
    ] {
        assert!(ACTIONS.contains(change.0), "{change:?}");
        let told = told(&ACTIONS.replacen(change.0, change.1, 1));
        for part in expected {
            assert!(told.contains(part), "{change:?}: {part}\n{told}");
        }
        assert!(told.contains("rounds.toml:"), "no place: {told}");
    }
}

#[test]
fn an_action_without_its_secret_is_told_and_stops_nothing() {
    let loaded = parse(ACTIONS.as_bytes(), None, Standing::Trusted, &|_| None).unwrap();
    assert!(loaded.warnings.render(false, 120).contains("this action cannot run: the environment variable TOKEN is not set"));
    let literal = ACTIONS.replace("TOKEN = { env = \"TOKEN\" }", "API_TOKEN = \"hunter2-hunter2\"");
    let loaded = parse(literal.as_bytes(), None, Standing::Trusted, &|_| None).unwrap();
    let said = format!("{}{}{:?}", loaded.warnings.render(false, 120), show::text(&loaded), loaded.config);
    assert!(said.contains("a secret is written into the file") && !said.contains("hunter2"), "{said}");
    assert!(show::text(&loaded).contains("[site.shop.action.deploy]"));
    let untrusted = parse(ACTIONS.as_bytes(), None, Standing::Never, &|_| Some("x".to_owned())).unwrap();
    assert!(untrusted.warnings.render(false, 120).contains("its actions do not run") && !untrusted.config.trusted);
}

#[test]
fn the_wall_is_configured_and_a_wall_that_shows_nothing_is_refused() {
    let wall = |text: &str| parse_with(PROBES, text.as_bytes(), Some(Path::new("rounds.toml")), Standing::Trusted, &|_| None).map(|loaded| loaded.config.wall);
    assert_eq!(wall("").unwrap(), Settings::default());
    assert_eq!(wall("[wall]\n").unwrap(), Settings::default());
    let asked = wall("[wall]\nrotate = \"1m\"\npages = [\"sites\", \"health\"]\nwarnings = true\n").unwrap();
    let pages = vec![WallPage::Sites, WallPage::Page(crate::state::Page::Health)];
    assert_eq!(asked, Settings { rotate: std::time::Duration::from_secs(60), pages, warnings: true });
    for (text, said) in [
        ("rotate = \"10ms\"", "a page that nobody can read"),
        ("pages = []", "a wall without pages"),
        ("pages = [\"sight\"]", "sites"),
        ("turn = \"20s\"", "unknown key `turn`"),
    ] {
        let told = told(&format!("[wall]\n{text}\n"));
        assert!(told.contains(said) && !told.starts_with("right"), "{told}");
    }
}

#[test]
fn an_untrusted_file_says_what_it_does_not_run() {
    let text = "[site.a.http.b]\nurl = \"x:y\"\ncommand = [\"true\"]\n";
    let read = |standing| parse_with(PROBES, text.as_bytes(), Some(Path::new("rounds.toml")), standing, &|_| None).unwrap();
    let never = read(Standing::Never);
    assert!(!never.config.trusted && !never.config.sources[0].context.trusted);
    insta::assert_snapshot!(never.warnings.render(false, 120), @r#"
warning: this configuration was found in the working directory and is not trusted: the one source that runs a command stays unknown
--> rounds.toml
 = help: read it, then run `rounds trust rounds.toml`
"#);
    assert!(read(Standing::Changed).warnings.lines()[0].contains("was changed since it was trusted"));
    let trusted = read(Standing::Trusted);
    assert!(trusted.config.trusted && trusted.warnings.is_empty() && trusted.config.sources[0].context.trusted);
}

#[test]
fn a_file_that_is_no_text_is_told_by_line() {
    let error = parse_with(PROBES, b"a = \"\xff\xfe\"\nb = 1\nc = \"\xc3\"\n", Some(Path::new("rounds.toml")), Standing::Trusted, &|_| None).unwrap_err();
    insta::assert_snapshot!(error.render(false, 120), @r#"
error: not UTF-8
 --> rounds.toml:1:6
  |
1 | a = "��"
  |      ^
  |
  = help: save the file as UTF-8

error: not UTF-8
 --> rounds.toml:3:6
  |
3 | c = "�"
  |      ^
  |
  = help: save the file as UTF-8
"#);
}

#[test]
fn an_empty_file_is_right() {
    for text in ["", "\u{feff}", "\n# nothing\r\n"] {
        assert_eq!(told(text), "right\n");
    }
}

proptest::proptest! {
    #[test]
    fn the_walk_never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        if let Err(error) = parse_with(PROBES, &bytes, None, Standing::Never, &|_| None) {
            let _ = error.render(false, 80);
        }
    }

    /// Pieces of real files in any order reach deeper than bytes do.
    #[test]
    fn the_walk_never_panics_on_pieces(pieces in proptest::collection::vec(0usize..PIECES.len(), 0..24)) {
        let text: String = pieces.into_iter().map(|at| PIECES[at]).collect();
        match parse_with(PROBES, text.as_bytes(), Some(Path::new("a/rounds.toml")), Standing::Never, &|_| None) {
            Err(error) => drop(error.render(false, 80)),
            Ok(loaded) => drop(loaded.warnings.render(false, 80)),
        }
    }
}

static PIECES: &[&str] = &[
    "[site.shop]\n",
    "[site.shop.http.home]\n",
    "[site.shop.http]\n",
    "[[site.shop.http]]\n",
    "[site]\n",
    "[defaults.http]\n",
    "[defaults]\n",
    "[keys]\n",
    "[ui]\n",
    "[journal]\n",
    "[wall]\n",
    "url = \"https://x.example\"\n",
    "url = 5\n",
    "expect.latency = ",
    "{ warning = \"1s\" }\n",
    "{ warn = [1] }\n",
    "expect = 5\n",
    "expect.status = [200]\n",
    "password = ",
    "{ env = \"X\" }\n",
    "\"hush\"\n",
    "{}\n",
    "[1, {a = 1}]\n",
    "needs = [\"http/home\"]\n",
    "every = \"1s\"\n",
    "every = \"",
    "\n",
    "'''",
    "\"\"\"",
    "[",
    "]",
    "{",
    "}",
    "=",
    ".",
    "\u{feff}",
    "\r",
    "\0",
    "日本",
    "\t",
    "#",
    "up = \"k\"\n",
    "site = 5\n",
    "a.b.c.d = 1\n",
    "http.home.url = \"x\"\n",
    "1979-05-27\n",
    "x = 1e999\n",
];

#[test]
fn a_theme_is_a_name_or_a_table() {
    let read = |text: &str| parse(text.as_bytes(), Some(Path::new("rounds.toml")), Standing::Trusted, &|_| None);
    for (text, name, background, dim) in [
        ("[ui]\ntheme = \"deutan\"\n", Some("deutan"), None, None),
        ("[ui]\ntheme.background = \"light\"\ntheme.dim = \"attribute\"\n", None, Some("light"), Some("attribute")),
        ("[ui.theme]\nname = \"contrast\"\n", Some("contrast"), None, None),
        ("[ui]\nmouse = true\n", None, None, None),
    ] {
        let ui = read(text).unwrap_or_else(|error| panic!("{}", error.render(false, 100))).config.ui;
        assert_eq!((ui.theme.as_deref(), ui.background.as_deref(), ui.dim.as_deref()), (name, background, dim), "{text}");
    }
    for (text, place, help) in [
        ("[ui]\ntheme = \"drak\"\n", "rounds.toml:2:9", "did you mean `dark`?"),
        ("[ui]\ntheme.backgroud = \"light\"\n", "rounds.toml:2:7", "background"),
        ("[ui]\ntheme.dim = \"atribute\"\n", "rounds.toml:2:13", "did you mean `attribute`?"),
    ] {
        let told = read(text).unwrap_err().render(false, 100);
        assert!(told.contains(place) && told.contains(help), "{told}");
    }
}
