//! gunicorn's configuration, which is Python: where it listens and where it logs.

use super::{Place, Project, python};

/// What it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gunicorn {
    /// From the project's folder.
    pub file: String,
    /// `127.0.0.1:8000`, `unix:/run/shop.sock`.
    pub bind: Option<String>,
    /// Its log files.
    pub logs: Vec<(String, Place)>,
}

/// Looks for it.
#[must_use]
pub fn look(project: &Project) -> Option<Gunicorn> {
    const FOLDERS: &[&str] = &["", "conf/", "config/", "deploy/", "etc/"];
    const NAMES: &[&str] = &["gunicorn.conf.py", "gunicorn_config.py", "gunicorn_conf.py", "gunicorn.py"];
    let file = FOLDERS.iter().flat_map(|folder| NAMES.iter().map(move |name| format!("{folder}{name}"))).find(|path| project.has(path))?;
    let tokens = python::tokens(&project.read(&file)?);
    let names = |name: &str| python::value(&tokens, name).map(|(_, value)| (file.clone(), value.to_vec()));
    let path = |name: &str| {
        let (line, value) = python::value(&tokens, name)?;
        Some((python::path(value, &file, &names)?, Place::new(&file, line)))
    };
    let bind = python::value(&tokens, "bind").and_then(|(_, value)| value.iter().find_map(|token| token.text().map(str::to_owned)));
    // `-` is standard output.
    let logs = ["errorlog", "accesslog"].into_iter().filter_map(path).filter(|(path, _)| path != "-").collect();
    Some(Gunicorn { file: file.clone(), bind, logs })
}
