//! What can be told of a project by looking at its files, without running anything of it: for `rounds init` and for the first screen.
//!
//! What does not belong here: writing the configuration (`config::init`), drawing. Each file looks at one thing through [`Project`].
//!
//! | file | what it looks at |
//! | --- | --- |
//! | [`project`] | the port: bounded reads inside the project and `/etc` |
//! | [`python`], [`ini`] | how to read Python source and INI files |
//! | [`django`] | `manage.py`, settings, URLs |
//! | [`manifests`], [`venv`], [`index`] | dependencies and where they come from |
//! | [`sentry`] | DSN and `.sentryclirc` |
//! | [`procfile`], [`gunicorn`], [`supervisor`], [`nginx`] | what serves it |
//! | [`fabfile`] | deploys |
//! | [`env_files`], [`backups`] | environment files, scripts, what they back up |

use std::fmt;

pub mod backups;
pub mod django;
pub mod env_files;
pub mod fabfile;
pub mod gunicorn;
pub mod index;
pub mod ini;
pub mod manifests;
pub mod nginx;
pub mod procfile;
pub mod project;
pub mod python;
mod rows;
pub mod sentry;
pub mod supervisor;
#[cfg(test)]
mod tests;
pub mod venv;

pub use project::Project;

use crate::domain::id::is_name;
use manifests::Manager;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From the project's folder, or absolute when it is the system's.
    pub file: String,
    /// From 1.
    pub line: usize,
}

impl Place {
    /// A place.
    #[must_use]
    pub fn new(file: &str, line: usize) -> Self {
        Self { file: file.to_owned(), line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detected {
    /// A name for the site.
    pub name: String,
    /// The project's folder.
    pub root: String,
    /// Django.
    pub django: Option<django::Django>,
    /// Lock files and manifests, the best first.
    pub manifests: Vec<manifests::Manifest>,
    /// The virtual environment.
    pub venv: Option<venv::Venv>,
    /// Package indexes.
    pub indexes: index::Indexes,
    /// Sentry.
    pub sentry: Option<sentry::Sentry>,
    /// Processes of the `Procfile`.
    pub processes: Vec<(String, Place)>,
    /// gunicorn's configuration.
    pub gunicorn: Option<gunicorn::Gunicorn>,
    /// supervisor's programs.
    pub supervisor: Option<supervisor::Supervisor>,
    /// nginx's servers.
    pub servers: Vec<nginx::Server>,
    /// fabfile's tasks.
    pub fabfile: Option<fabfile::Fabfile>,
    /// Backups.
    pub backups: backups::Backups,
}

impl Detected {
    /// What the folder looks like: `a Django project`; `None`: not like a project.
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        let has = |manager| self.manifests.iter().any(|manifest| manifest.manager == manager);
        match () {
            () if self.django.is_some() => Some("a Django project"),
            () if has(Manager::Python) => Some("a Python project"),
            () if has(Manager::Npm) => Some("a JavaScript project"),
            () if has(Manager::Cargo) => Some("a Rust project"),
            () if !self.processes.is_empty() || self.fabfile.is_some() => Some("an application"),
            () => None,
        }
    }

    /// The address of the site and where it is from.
    #[must_use]
    pub fn address(&self) -> Option<(String, String)> {
        let host = self.django.as_ref().and_then(|django| django.host.as_ref());
        let server = |host: &str| self.servers.iter().find(|server| server.host == host);
        if let Some((host, place)) = host {
            // Production speaks TLS; only a server that is seen not to is asked without.
            let scheme = if server(host).is_some_and(|server| !server.tls) { "http" } else { "https" };
            return Some((format!("{scheme}://{host}"), format!("first of ALLOWED_HOSTS, {place}")));
        }
        let server = self.servers.iter().find(|server| server.tls).or(self.servers.first())?;
        let scheme = if server.tls { "https" } else { "http" };
        Some((format!("{scheme}://{}", server.host), format!("server_name, {}", server.place)))
    }
}

/// Looks at everything.
#[must_use]
pub fn detect(project: &Project) -> Detected {
    let django = django::look(project);
    let name = site_name(django.as_ref().and_then(django::Django::name).unwrap_or(&project.folder()));
    let manifests = manifests::look(project);
    let venv = venv::look(project);
    let gunicorn = gunicorn::look(project);
    let bind = gunicorn.as_ref().and_then(|gunicorn| gunicorn.bind.clone());
    Detected {
        root: project.root().to_string_lossy().into_owned(),
        indexes: index::look(project, venv.as_ref().map(|venv| venv.path.as_str()), &manifests),
        sentry: sentry::look(project, django.as_ref().and_then(|django| django.sentry.as_ref())),
        processes: procfile::look(project),
        supervisor: supervisor::look(project, &name),
        servers: nginx::look(project, &name, bind.as_deref()),
        fabfile: fabfile::look(project),
        backups: backups::look(project),
        name,
        django,
        manifests,
        venv,
        gunicorn,
    }
}

/// A name as the configuration allows it.
fn site_name(text: &str) -> String {
    let name: String = text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect();
    let name = name.trim_start_matches(['.', '_', '-']).trim_end_matches('-');
    let name: String = name.chars().take(40).collect();
    if is_name(&name) { name } else { "site".to_owned() }
}

/// A host name in lower case, when it is one.
fn host_of(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let right = !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| !label.is_empty() && label.len() <= 63 && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        && !text.chars().all(|c| c.is_ascii_digit() || c == '.');
    right.then_some(text)
}

/// An address that may be copied: of the web, and without credentials, variables or a query.
fn address(text: &str) -> Option<String> {
    let url = url::Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none() && !text.contains(['$', '{', '%']);
    (plain && url.host_str().is_some()).then(|| text.trim().to_owned())
}

/// Whether a path ends so: `txt`.
fn has_end(path: &str, end: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, last)| last.eq_ignore_ascii_case(end))
}

/// Whether a value of the system's configuration is about this project: its folder, or its name as a word of its own.
fn mentions(value: &str, project: &Project, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let stands_alone =
        |needle: &str| value.match_indices(needle).any(|(at, _)| !value[..at].ends_with(is_part) && !value[at + needle.len()..].starts_with(is_part));
    let root = project.root().to_string_lossy();
    (root.len() > 1 && stands_alone(&root)) || (name.len() > 2 && stands_alone(name))
}
