//! Lock files and manifests: what this project's dependencies are written in.

use super::{Project, has_end};

/// Which manager a manifest belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// Python.
    Python,
    /// npm.
    Npm,
    /// Cargo.
    Cargo,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// From the project's folder.
    pub path: String,
    /// Whose.
    pub manager: Manager,
}

/// By name, the ones that pin most first.
const NAMES: &[(&str, Manager)] = &[
    ("uv.lock", Manager::Python),
    ("poetry.lock", Manager::Python),
    ("pdm.lock", Manager::Python),
    ("pylock.toml", Manager::Python),
    ("Pipfile.lock", Manager::Python),
    ("requirements.txt", Manager::Python),
    ("requirements/production.txt", Manager::Python),
    ("requirements/prod.txt", Manager::Python),
    ("requirements/base.txt", Manager::Python),
    ("package-lock.json", Manager::Npm),
    ("Cargo.lock", Manager::Cargo),
];

/// Looks for them.
#[must_use]
pub fn look(project: &Project) -> Vec<Manifest> {
    let mut all: Vec<Manifest> =
        NAMES.iter().filter(|(path, _)| project.has(path)).map(|(path, manager)| Manifest { path: (*path).to_owned(), manager: *manager }).collect();
    let more = project.names("").into_iter().chain(project.names("requirements").into_iter().map(|name| format!("requirements/{name}")));
    for path in more {
        let requirements = (path.starts_with("requirements") && has_end(&path, "txt")) || (path.starts_with("pylock.") && has_end(&path, "toml"));
        if requirements && !all.iter().any(|known| known.path == path) && project.has(&path) {
            all.push(Manifest { path, manager: Manager::Python });
        }
    }
    // Without any lock the project's own table is better than nothing.
    let named = project.read("pyproject.toml").is_some_and(|text| text.contains("[project]") || text.contains("[tool.poetry"));
    if named && !all.iter().any(|known| known.manager == Manager::Python) {
        all.push(Manifest { path: "pyproject.toml".to_owned(), manager: Manager::Python });
    }
    all
}
