//! The demonstration's configuration: written for reading, with a comment for every key a beginner meets.

use super::certificate::HOST;
use super::dumps::{self, Set};
use super::lines::File;
use super::pages::Page;
use super::sentry;

/// The program that the action `rollback` runs, below the demonstration's directory.
pub const SCRIPT: &str = "rollback.sh";
/// What it leaves behind for the demonstration.
pub const ASKED: &str = "rollback.asked";
/// Its text: it says what a roll back would, takes its time, and asks the demonstration to go back.
pub const SCRIPT_TEXT: &str = r#"#!/bin/sh
# Rolls the demonstration's shop back. The demonstration looks for the file that this leaves behind.
set -eu
version=$1
for server in web1 web2; do
    echo "[$server] checking out $version"
    sleep 0.3
    echo "[$server] reloading gunicorn-shop.service"
    sleep 0.4
    echo "[$server] 4 of 4 workers booted"
done
: > "$(dirname "$0")/rollback.asked"
echo "shop runs $version"
"#;

/// The ports that the servers got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The shop's.
    pub shop: u16,
    /// The blog's.
    pub blog: u16,
    /// That of the blog's feed, over TLS.
    pub feed: u16,
    /// That of the error tracker.
    pub tracker: u16,
    /// That of the package index.
    pub index: u16,
    /// That of the services that know weaknesses and ends of support.
    pub facts: u16,
}

impl Ports {
    /// The address of a page.
    pub fn url(self, page: Page) -> String {
        use super::pages::Host;
        match page.host() {
            Host::Shop => format!("http://127.0.0.1:{}{}", self.shop, page.path()),
            Host::Blog => format!("http://127.0.0.1:{}{}", self.blog, page.path()),
            Host::Feed => format!("https://{HOST}:{}{}", self.feed, page.path()),
        }
    }
}

/// The text of `rounds.toml`; paths in it are relative to its own directory.
#[must_use]
pub fn text(ports: Ports) -> String {
    let url = |page| ports.url(page);
    format!(
        r#"# The configuration of `rounds demo`, to learn from.
#
# The addresses below were served by the demonstration while it ran; without it they refuse.
# To begin your own: copy what you need, put your addresses in, and run `rounds config check`.
# The shape is always [site.NAME.KIND.NAME]. Durations are written "500ms", "30s", "5m", "26h", "14d".

# What holds for every source of a kind, unless the source says otherwise.
[defaults.http]
timeout = "3s"              # bounds the whole request: resolve, connect, TLS, answer, body
retry_every = "1s"          # the interval while failing, so that an outage is soon certain
failures = 3                # so many in a row are an outage; until then the source is pending
successes = 2               # so many in a row end it
proxy = "none"              # these servers are on this machine; without this key the environment's proxy is used


# One deployed application in one environment.
[site.shop]
title = "Shop"
url = "http://127.0.0.1:{shop}/"
environment = "production"  # a dangerous action asks for the name of the site here
zone = "UTC"                # the zone of its logs' time stamps

# A health endpoint. Only the address is required.
[site.shop.http.home]
url = "{home}"
every = "2s"                # a real site is well served by "30s" or "1m"
expect.status = [200]       # numbers, or "2xx"
expect.body = "Teapots"     # a regular expression that must match
expect.latency = {{ warning = "300ms", critical = "1s" }}

# What django-health-check answers; each component must be working.
[site.shop.http.health]
url = "{health}"
every = "2s"
expect.json = {{ "/DatabaseBackend" = "working", "/Cache backend: default" = "working" }}

# After the first deploy this one is slow, after the second it hangs.
[site.shop.http.search]
url = "{search}?q=tea"
every = "1s"
expect.latency = {{ warning = "500ms", critical = "2s" }}

# After the first deploy this one fails.
[site.shop.http.basket]
url = "{basket}"
every = "1s"
runbook = "https://wiki.example.com/basket"     # shown beside its findings

# This one fails once in a while and is well at the next look: pending, never an outage.
[site.shop.http.checkout]
url = "{checkout}"
every = "1s"
needs = ["http/basket"]     # while that is down, this one is not judged beside it

# A redirect that is wanted.
[site.shop.http.admin]
url = "{admin}"
every = "2s"
expect.redirect = "/admin/login/?next=/admin/"

# Log files: a path, a glob or a list. Rotation is followed.
[site.shop.log.django]
path = "{django}"
project = ["/srv/shop"]     # frames of a traceback below this are your own code

# An error tracker that speaks Sentry's API. After the first deploy it has a new issue that grows.
[site.shop.sentry.errors]
url = "http://127.0.0.1:{tracker}"
organization = "{organization}"
project = "{project}"
token = {{ file = "tracker.token" }}      # its first line; or {{ env = "SENTRY_AUTH_TOKEN" }}
every = "2s"                # a real tracker is asked once a minute
timeout = "3s"

# Packages: what is listed and what is installed, against what the index has. Files are read; nothing is run or installed.
# An upgrade is tried in a copy when you ask for it: x on page 6, or `rounds upgrade`. It needs git and Python, and asks nobody but this index.
[site.shop.python.app]
manifest = "shop/requirements.txt"      # or a lock file, or pyproject.toml; requirements.in beside it has the ranges
venv = "shop/venv"          # only its METADATA files are read
test = ["python", "check.py"]       # tells whether an upgrade is good
upgrade = ["python", "lock.py", "{{package}}", "{{version}}"]       # without this key, the project's own tool: pip-compile, uv, poetry
index = "http://127.0.0.1:{index}/simple/"      # without this key, the index that pip and uv are told
osv = "http://127.0.0.1:{facts}"                # without this key, OSV
eol = "http://127.0.0.1:{facts}/api/v1"         # without this key, endoflife.date
every = "20s"               # a real index is asked every six hours; what has not changed is not sent again
timeout = "15s"

# Backups that are files. Here the newest is a few hours old and whole, and there are enough of them.
[site.shop.files.db]
path = "{shop_dumps}"
max_age = "26h"             # the promises: how old the last good copy may be,
min_size = "8KiB"           # how small,
retention = {copies}              # and how many there are at least
every = "30s"               # a new copy is read to its end once, so looking often costs little
# Restoring a copy into a scratch place now and then: the demonstration does it once, `rounds watch` on this schedule, `x` on page 7 now.
drill.every = "30d"
drill.assert.tables = ["basket_line"]
drill.assert.rows = {{ basket_line = 1400 }}      # at least
drill.assert.newest = {{ "basket_line.made" = "2d" }}     # so much older than the copy at most

# A command that a key can run, always asked first: press x on a finding. Also `rounds act shop/action/rollback`.
[site.shop.action.rollback]
title = "Roll back to v213"
run = ["sh", "{script}", "v213"]       # a program and its arguments; no shell reads them
scope = ["http/basket", "http/search"]      # suggested first for findings of these
dangerous = true
confirm = "v214 to v213 on both servers; the next deploy undoes it"
timeout = "1m"
poll = ["http", "log", "sentry"]    # looked at when it has ended
key = "D"

# Harmless: what it prints is shown, nothing is changed.
[site.shop.action.disk]
title = "Disk space"
run = ["df", "-h", "."]


[site.blog]
title = "Blog"
url = "http://127.0.0.1:{blog}/"
environment = "demonstration"
zone = "UTC"

[site.blog.http.home]
url = "{blog_home}"
every = "2s"

[site.blog.http.archive]
url = "{archive}"
every = "2s"
expect.latency = {{ warning = "800ms", critical = "2s" }}

# Its environment has a version that was withdrawn from the index.
[site.blog.python.app]
manifest = "blog/requirements.txt"
venv = "blog/venv"
test = ["python", "check.py"]
upgrade = ["python", "lock.py", "{{package}}", "{{version}}"]
index = "http://127.0.0.1:{index}/simple/"
osv = "http://127.0.0.1:{facts}"
eol = "http://127.0.0.1:{facts}/api/v1"
every = "20s"
timeout = "15s"

# The newest dump is young and whole, and yet 38 % smaller than usual: each copy is compared with those before it.
[site.blog.files.dump]
path = "{blog_dumps}"
retention = 7
every = "30s"
drill.every = "30d"
drill.assert.rows = {{ comment = 1000 }}      # which its newest copy does not have: the drill fails

# Over TLS, with an authority of its own and a certificate that ends in a few days.
[site.blog.http.feed]
url = "{feed}"
every = "2s"
resolve = "127.0.0.1"       # this address instead of what the name resolves to
ca = "ca.pem"               # trusted for this source only
expect.header = {{ "content-type" = "rss" }}
expect.certificate = {{ warning = "21d", critical = "7d" }}     # these are the defaults

# Configured, and switched off for now: shown as paused, never as well.
[site.blog.http.comments]
url = "http://127.0.0.1:{blog}/comments/"
enabled = false

[site.blog.log.access]
path = "{access}"

[site.blog.log.worker]
path = "{worker}"           # one JSON object a line
"#,
        shop = ports.shop,
        script = SCRIPT,
        blog = ports.blog,
        tracker = ports.tracker,
        index = ports.index,
        facts = ports.facts,
        shop_dumps = Set::Shop.pattern(),
        blog_dumps = Set::Blog.pattern(),
        copies = dumps::COPIES,
        organization = sentry::ORGANIZATION,
        project = sentry::PROJECT,
        home = url(Page::ShopHome),
        health = url(Page::ShopHealth),
        search = url(Page::ShopSearch),
        basket = url(Page::ShopBasket),
        checkout = url(Page::ShopCheckout),
        admin = url(Page::ShopAdmin),
        blog_home = url(Page::BlogHome),
        archive = url(Page::BlogArchive),
        feed = url(Page::BlogFeed),
        django = File::Shop.path(),
        access = File::BlogAccess.path(),
        worker = File::BlogWorker.path(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::pages;

    #[test]
    fn the_text_parses_and_names_every_page_and_log() {
        let ports = Ports { shop: 18_001, blog: 18_002, feed: 18_003, tracker: 18_004, index: 18_005, facts: 18_006 };
        let text = text(ports);
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["site"]["shop"]["http"]["basket"]["url"].as_str(), Some("http://127.0.0.1:18001/basket/"));
        assert_eq!(table["site"]["blog"]["http"]["feed"]["url"].as_str(), Some("https://blog.localhost:18003/feed/"));
        assert_eq!(table["site"]["shop"]["sentry"]["errors"]["url"].as_str(), Some("http://127.0.0.1:18004"));
        for site in ["shop", "blog"] {
            assert_eq!(table["site"][site]["python"]["app"]["index"].as_str(), Some("http://127.0.0.1:18005/simple/"));
        }
        for page in pages::ALL {
            assert!(text.contains(&ports.url(page)), "{page:?}");
        }
        for file in crate::demo::lines::FILES {
            assert!(text.contains(file.path()), "{file:?}");
        }
    }
}
