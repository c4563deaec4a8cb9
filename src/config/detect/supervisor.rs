//! supervisor: the programs of this project among those of the machine, and how to ask for them.

use super::{Place, Project, ini, mentions};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Supervisor {
    /// The files that mention the project.
    pub files: Vec<Place>,
    /// Its programs.
    pub programs: Vec<String>,
    /// Their log files.
    pub logs: Vec<(String, Place)>,
    /// Where supervisor answers: `http://127.0.0.1:9001/RPC2`, `unix:/run/supervisor.sock`.
    pub url: Option<String>,
}

/// Looks for it. `name` is the site's.
#[must_use]
pub fn look(project: &Project, name: &str) -> Option<Supervisor> {
    let mut found = Supervisor::default();
    for (folder, end) in [("/etc/supervisor/conf.d", ".conf"), ("/etc/supervisord.d", ".ini"), ("/etc/supervisor.d", ".ini")] {
        for file in project.system_names(folder).into_iter().filter(|file| file.ends_with(end)).take(200) {
            let path = format!("{folder}/{file}");
            let Some(text) = project.read_system(&path) else { continue };
            let entries = ini::entries(&text);
            let mut ours: Vec<&str> = Vec::new();
            for entry in &entries {
                let Some(program) = entry.section.strip_prefix("program:") else { continue };
                // Its environment may hold secrets, and says nothing about whose it is.
                let tells = matches!(entry.key.as_str(), "command" | "directory") && mentions(&entry.value, project, name);
                if (tells || program == name) && !ours.contains(&program) {
                    ours.push(program);
                    if found.files.last().is_none_or(|known| known.file != path) {
                        found.files.push(Place::new(&path, entry.line));
                    }
                }
            }
            for entry in &entries {
                let is_log = matches!(entry.key.as_str(), "stdout_logfile" | "stderr_logfile") && entry.value.starts_with('/') && !entry.value.contains('%');
                if is_log && entry.section.strip_prefix("program:").is_some_and(|program| ours.contains(&program)) {
                    found.logs.push((entry.value.clone(), Place::new(&path, entry.line)));
                }
            }
            found.programs.extend(ours.into_iter().map(str::to_owned));
        }
    }
    for path in ["/etc/supervisor/supervisord.conf", "/etc/supervisord.conf"] {
        let Some(text) = project.read_system(path) else { continue };
        let http = ini::value(&text, "inet_http_server", "port").map(|(port, _)| {
            let port = port.trim_start_matches('*').trim_start_matches(':').to_owned();
            if port.contains(':') { format!("http://{port}/RPC2") } else { format!("http://127.0.0.1:{port}/RPC2") }
        });
        let socket = ini::value(&text, "unix_http_server", "file").map(|(file, _)| format!("unix:{file}"));
        found.url = found.url.or(socket).or(http);
    }
    found.programs.dedup();
    (!found.programs.is_empty()).then_some(found)
}
