//! Writes a configuration from what was detected: commented, with the place of everything it states, and no secret.
//!
//! What does not belong here: detecting (`config::detect`). What this version does not serve, and whatever runs a command, is written
//! as a comment, so that the result is right as it is.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use super::detect::manifests::Manager;
use super::detect::{Detected, Place};
use super::diagnostic::harmless;
use super::trust::Standing;
use crate::sources::kinds;

/// One table of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Section {
    /// What it is and why it is here, without `#`.
    about: Vec<String>,
    /// `http.home`, below the site.
    table: String,
    /// Key and value as TOML, with what is to be said of it.
    keys: Vec<(String, String, String)>,
    /// It may be in force as it is written. Otherwise it is a comment, and `about` says why.
    live: bool,
}

impl Section {
    fn new(table: &str, about: impl Into<String>) -> Self {
        Self { about: vec![about.into()], table: table.to_owned(), keys: Vec::new(), live: true }
    }

    fn key(mut self, key: &str, value: impl Into<String>, remark: impl Into<String>) -> Self {
        self.keys.push((key.to_owned(), value.into(), remark.into()));
        self
    }

    fn comment(mut self, why: impl Into<String>) -> Self {
        self.about.push(why.into());
        self.live = false;
        self
    }

    fn kind(&self) -> &str {
        self.table.split('.').next().unwrap_or_default()
    }

    fn lines(&self, site: &str) -> Vec<String> {
        let mut lines = vec![format!("[site.{}.{}]", bare(site), self.table)];
        for (key, value, remark) in &self.keys {
            let begin = format!("{key} = {value}");
            lines.push(if remark.is_empty() { begin } else { format!("{begin:<46}  # {}", harmless(remark).replace('\n', " ")) });
        }
        lines
    }

    fn write(&self, site: &str, into: &mut String) {
        into.push_str("\n\n");
        for line in &self.about {
            let _ = writeln!(into, "# {}", harmless(line).replace('\n', " "));
        }
        for line in self.lines(site) {
            let _ = if self.live { writeln!(into, "{line}") } else { writeln!(into, "#{line}") };
        }
    }
}

/// The text of the configuration. `beside`: it will stand in the project's own folder, to which its paths are relative then.
/// `variable` reads the environment: a source whose secret is not there yet is written switched off.
#[must_use]
pub fn text(found: &Detected, beside: bool, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = format!(
        "# The configuration of rounds, written by `rounds init` from what {} looks like.\n\
         # Nothing was run, and no secret was copied. Beside each line stands where it is from.\n\
         # Sections that begin with # were found and are not in force: above each stands why.\n\
         #\n\
         #   rounds config check    what is wrong with this file\n\
         #   rounds check           look once at everything\n\
         #   rounds                 the dashboard\n",
        harmless(&found.root)
    );
    site(found, beside, &mut text);
    for mut section in sections(found) {
        if section.live && kinds::find(section.kind()).is_none() {
            section = section.comment("Not watched by this version yet.");
        }
        if section.live && !is_right(&found.name, &section, variable) {
            section = section.comment("Not in force: complete it, then look at `rounds config check`.");
        }
        section.write(&found.name, &mut text);
    }
    text
}

/// Writes a new file. What is there already is never touched.
///
/// # Errors
/// `AlreadyExists`, and those of the system.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a configuration is worse than none; it is ours, made a moment ago.
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Whether a section is accepted as it stands, so that the whole file is.
fn is_right(site: &str, section: &Section, variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let text = format!("[site.{}]\n{}\n", bare(site), section.lines(site).join("\n"));
    super::parse(text.as_bytes(), None, Standing::Trusted, variable).is_ok()
}

fn site(found: &Detected, beside: bool, text: &mut String) {
    let _ = write!(text, "\n[site.{}]\n", bare(&found.name));
    let mut line = |live: bool, key: &str, value: &str, remark: &str| {
        let begin = format!("{}{key} = {}", if live { "" } else { "#" }, quoted(value));
        let _ = writeln!(text, "{}", if remark.is_empty() { begin } else { format!("{begin:<46}  # {}", harmless(remark)) });
    };
    let django = found.django.as_ref();
    line(true, "title", &title(&found.name), django.map_or("the name of the folder", |django| django.manage.as_str()));
    if let Some((url, why)) = found.address() {
        line(true, "url", &url, &why);
    }
    if !beside {
        line(true, "directory", &found.root, "relative paths below are relative to this");
    }
    let production = django.is_some_and(|django| django.production);
    line(production, "environment", "production", if production { "by the name of the settings" } else { "if it is" });
    if let Some((zone, place)) = django.and_then(|django| django.zone.as_ref()) {
        line(true, "zone", zone, &format!("of time stamps in its logs: TIME_ZONE, {place}"));
    }
}

fn title(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

fn sections(found: &Detected) -> Vec<Section> {
    let mut all = vec![health(found)];
    all.extend(logs(found));
    all.extend(sentry(found));
    all.extend(packages(found));
    all.extend(backups(found));
    all.extend(processes(found));
    all.extend(deploys(found));
    all
}

fn health(found: &Detected) -> Section {
    let django = found.django.as_ref();
    let path = django.and_then(|django| django.health.as_ref());
    let section = Section::new("http.home", "Whether it answers, how fast, and how long its certificate is good.");
    match found.address() {
        Some((url, why)) => {
            let (path, why) = path.map_or((String::new(), why), |(path, place)| (path.clone(), place.to_string()));
            section.key("url", quoted(&format!("{url}/{path}")), why)
        }
        None => section
            .key("url", quoted(&format!("https://{}.example.com/{}", found.name, path.map_or("", |(path, _)| path))), "put its address here")
            .comment("No address was found: ALLOWED_HOSTS and nginx name none."),
    }
}

fn logs(found: &Detected) -> Vec<Section> {
    let mut all: Vec<Section> = Vec::new();
    let mut known: Vec<String> = Vec::new();
    let mut add = |name: &str, about: &str, logs: &[(String, Place)]| {
        let fresh: Vec<&(String, Place)> = logs.iter().filter(|(path, _)| !known.contains(path)).collect();
        known.extend(fresh.iter().map(|(path, _)| path.clone()));
        let mut places: Vec<String> = fresh.iter().map(|(_, place)| place.to_string()).collect();
        places.dedup();
        let paths: Vec<String> = fresh.iter().map(|(path, _)| quoted(path)).collect();
        let value = match paths.as_slice() {
            [] => return,
            [one] => one.clone(),
            more => format!("[{}]", more.join(", ")),
        };
        all.push(Section::new(&format!("log.{name}"), about).key("path", value, places.join(", ")));
    };
    if let Some(django) = &found.django {
        add("django", "The files of LOGGING.", &django.logs);
    }
    if let Some(gunicorn) = &found.gunicorn {
        add("gunicorn", "gunicorn's own logs.", &gunicorn.logs);
    }
    if let Some(supervisor) = &found.supervisor {
        add("supervisor", "What its programs print, as supervisor keeps it.", &supervisor.logs);
    }
    let servers: Vec<(String, Place)> = found.servers.iter().flat_map(|server| server.logs.clone()).collect();
    add("nginx", "nginx's logs of this site.", &servers);
    let unread: Vec<String> = found.django.iter().flat_map(|django| &django.unread_logs).map(Place::to_string).collect();
    if !unread.is_empty() {
        let about = format!("LOGGING names more files, known only when the settings run: {}.", unread.join(", "));
        all.push(Section::new("log.more", about).key("path", quoted("/var/log/…"), "put the path here").comment("Not in force: the path is not known."));
    }
    all
}

fn sentry(found: &Detected) -> Option<Section> {
    let sentry = found.sentry.as_ref()?;
    let seen: Vec<String> = sentry.seen.iter().map(|(what, place)| format!("{what} in {place}")).collect();
    let mut section = Section::new("sentry.backend", format!("Errors: {}.", seen.join(", ")));
    if let Some(url) = &sentry.url {
        section = section.key("url", quoted(url), "the host of the DSN");
    }
    let organization = sentry.organization.as_deref();
    section = section.key("organization", quoted(organization.unwrap_or("…")), if organization.is_none() { "its name in the addresses of Sentry" } else { "" });
    if let Some(project) = &sentry.project {
        section = section.key("project", quoted(project), "");
    }
    section = section.key("token", "{ env = \"SENTRY_AUTH_TOKEN\" }", "may read is enough: org:read, project:read, event:read");
    if organization.is_none() {
        section = section.comment("Not in force: nothing names the organization.");
    } else if !sentry.token {
        section = section.key("enabled", "false", "SENTRY_AUTH_TOKEN is not set yet; take this line out when it is");
    }
    Some(section)
}

fn packages(found: &Detected) -> Vec<Section> {
    let mut all = Vec::new();
    let of = |manager| found.manifests.iter().filter(move |manifest| manifest.manager == manager).map(|manifest| manifest.path.as_str()).collect::<Vec<_>>();
    let python = of(Manager::Python);
    if !python.is_empty() || found.venv.is_some() {
        let mut about = "Dependencies: what is installed, what is locked, what is out there.".to_owned();
        if let [_, more @ ..] = python.as_slice()
            && !more.is_empty()
        {
            about.push_str(&format!(" There are also {}.", more.join(", ")));
        }
        let mut section = Section::new("python.app", about);
        if let Some(first) = python.first() {
            section = section.key("manifest", quoted(first), "");
        }
        if let Some(venv) = &found.venv {
            let python = venv.python.as_ref().map(|version| format!(", Python {version}")).unwrap_or_default();
            section = section.key("venv", quoted(&venv.path), format!("{} installed{python}", venv.packages));
        }
        if let Some((url, place)) = &found.indexes.index {
            section = section.key("index", quoted(url), place.to_string());
        }
        if !found.indexes.extra.is_empty() {
            let urls: Vec<String> = found.indexes.extra.iter().map(|(url, _)| quoted(url)).collect();
            let places: Vec<String> = found.indexes.extra.iter().map(|(_, place)| place.to_string()).collect();
            section = section.key("extra_indexes", format!("[{}]", urls.join(", ")), places.join(", "));
        }
        if !found.indexes.unread.is_empty() {
            let places: Vec<String> = found.indexes.unread.iter().map(Place::to_string).collect();
            section.about.push(format!("An index with credentials or variables in its address was not copied: {}.", places.join(", ")));
        }
        all.push(section);
    }
    for (manager, kind, about) in [(Manager::Npm, "npm", "Dependencies of the front end."), (Manager::Cargo, "cargo", "Dependencies written in Rust.")] {
        if let Some(manifest) = of(manager).first() {
            all.push(Section::new(&format!("{kind}.app"), about).key("manifest", quoted(manifest), ""));
        }
    }
    if let Some(venv) = found.venv.as_ref().filter(|venv| venv.python.is_some() || venv.django.is_some()) {
        let short = |version: &str| version.split('.').take(2).collect::<Vec<_>>().join(".");
        let python = venv.python.as_ref().map(|version| format!("python = {}", quoted(&short(version))));
        let products: Vec<String> = python.into_iter().chain(venv.django.as_ref().map(|version| format!("django = {}", quoted(&short(version))))).collect();
        all.push(Section::new("eol.app", "When what it runs on reaches its end of life.").key(
            "products",
            format!("{{ {} }}", products.join(", ")),
            venv.path.clone(),
        ));
    }
    all
}

fn backups(found: &Detected) -> Vec<Section> {
    let mut all = Vec::new();
    for (number, (path, place)) in found.backups.dumps.iter().enumerate() {
        let name = if number == 0 { "dump".to_owned() } else { format!("dump{}", number + 1) };
        let section = Section::new(&format!("files.{name}"), "A dump that a script of this project writes.");
        all.push(section.key("path", quoted(path), place.to_string()).key("max_age", "\"26h\"", "the promise: one a day"));
    }
    for (kind, tool, seen, secret) in [("restic", "restic", &found.backups.restic, "password"), ("borg", "borg", &found.backups.borg, "passphrase")] {
        let Some((place, names)) = seen else { continue };
        let variable = names.iter().find(|name| name.ends_with("_PASSWORD") || name.ends_with("_PASSPHRASE")).cloned();
        let variable = variable.unwrap_or_else(|| format!("{}_{}", tool.to_uppercase(), secret.to_uppercase()));
        let also = if names.is_empty() { String::new() } else { format!(" beside {}", names.join(", ")) };
        let section = Section::new(&format!("{kind}.main"), format!("Backups by {tool}: its repository is set in {place}{also}."));
        let section = section.key("repository", quoted("…"), format!("as in {place}")).key(secret, format!("{{ env = {} }}", quoted(&variable)), "");
        all.push(section.key("max_age", "\"26h\"", "").comment("Not in force: values of variables are not copied."));
    }
    if found.backups.is_empty() {
        let section = Section::new("files.dump", "Backups: no restic, no borg and no dump was seen. Name where the copies are.");
        let section = section.key("path", quoted(&format!("/var/backups/{}-*.sql.gz", found.name)), "").key("max_age", "\"26h\"", "");
        all.push(section.comment("Not in force: the path is only an example."));
    }
    all
}

fn processes(found: &Detected) -> Vec<Section> {
    let mut all = Vec::new();
    if let Some(supervisor) = &found.supervisor {
        let places: Vec<String> = supervisor.files.iter().map(Place::to_string).collect();
        let programs: Vec<String> = supervisor.programs.iter().map(|name| quoted(name)).collect();
        let url = supervisor.url.as_deref().unwrap_or("unix:/var/run/supervisor.sock");
        let section = Section::new("supervisor.main", format!("Its processes: {}.", places.join(", ")));
        all.push(section.key("url", quoted(url), "").key("programs", format!("[{}]", programs.join(", ")), ""));
    } else if !found.processes.is_empty() {
        let names: Vec<String> = found.processes.iter().map(|(name, place)| format!("{name} ({place})")).collect();
        let section = Section::new("heroku.main", format!("Its processes, where a platform runs the Procfile: {}.", names.join(", ")));
        let section = section.key("app", quoted(&found.name), "its name there").key("token", "{ env = \"HEROKU_API_KEY\" }", "");
        all.push(section.comment("Not in force: nothing says where it runs."));
    }
    if found.django.as_ref().is_some_and(|django| django.prometheus) {
        let url = found.address().map_or_else(|| "http://127.0.0.1:8000".to_owned(), |(url, _)| url);
        let section = Section::new("scrape.app", "Its metrics: django_prometheus is among INSTALLED_APPS.");
        all.push(section.key("url", quoted(&format!("{url}/metrics")), "").comment("Not in force: where the page is, is not known."));
    }
    all
}

fn deploys(found: &Detected) -> Vec<Section> {
    let mut all = Vec::new();
    for (task, place) in found.fabfile.iter().flat_map(|fabfile| &fabfile.tasks).take(12) {
        let name: String = task.to_lowercase().replace('_', "-");
        let section = Section::new(&format!("action.{}", bare(&name)), format!("A task of {place}."));
        let section =
            section.key("run", format!("[\"fab\", {}]", quoted(&task.replace('_', "-"))), "").key("dangerous", "true", "asks for the name of the site");
        all.push(section.comment("Not in force: rounds runs nothing that a person did not write down for it."));
    }
    if let Some(django) = &found.django {
        let section = Section::new("django.app", "Checks and migrations by manage.py.").key("manage", quoted(&django.manage), "");
        let section = django.module.as_ref().map_or(section.clone(), |module| section.key("settings", quoted(module), ""));
        all.push(section.comment("Not in force: it would run the project's code."));
    }
    all
}

/// A text as TOML writes it, on one line.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in harmless(text).chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A part of a table's name: bare where TOML allows it.
fn bare(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain { name.to_owned() } else { quoted(name) }
}
