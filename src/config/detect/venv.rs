//! A virtual environment in the project: which Python, how many distributions, which Django.

use super::Project;

/// One.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Venv {
    /// From the project's folder.
    pub path: String,
    /// `3.12.4`, as `pyvenv.cfg` says.
    pub python: Option<String>,
    /// Installed distributions.
    pub packages: usize,
    /// The installed Django.
    pub django: Option<String>,
}

/// Looks for it.
#[must_use]
pub fn look(project: &Project) -> Option<Venv> {
    [".venv", "venv", "env", ".env", "virtualenv"].into_iter().find_map(|path| {
        let config = project.read(&format!("{path}/pyvenv.cfg"))?;
        let value =
            |key: &str| config.lines().find_map(|line| line.split_once('=').filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned()));
        let python = value("version_info").or_else(|| value("version"));
        let python = python.map(|version| version.split('.').take(3).collect::<Vec<_>>().join("."));
        let mut venv = Venv { path: path.to_owned(), python, ..Venv::default() };
        for lib in project.names(&format!("{path}/lib")).into_iter().filter(|name| name.starts_with("python") || name.starts_with("pypy")) {
            for name in project.names(&format!("{path}/lib/{lib}/site-packages")) {
                let Some((name, version)) = name.strip_suffix(".dist-info").and_then(|rest| rest.rsplit_once('-')) else { continue };
                venv.packages += 1;
                if name.eq_ignore_ascii_case("django") {
                    venv.django = Some(version.to_owned());
                }
            }
        }
        Some(venv)
    })
}
