//! What was found as rows for the first screen.

use super::Detected;
use super::manifests::Manager;
use crate::state::first_run::FoundRow;

impl Detected {
    /// One row for each thing that matters, found or missing.
    #[must_use]
    pub fn rows(&self) -> Vec<FoundRow> {
        let mut rows = Vec::new();
        let mut row = |known: bool, what: &'static str, found: String, why: String| rows.push(FoundRow { known, what, found, why });
        let settings = self.django.as_ref().map(|django| {
            let settings = django.settings.first().map(|file| format!(", {file}")).unwrap_or_default();
            format!("{}{settings}", django.manage)
        });
        row(true, "site", self.name.clone(), settings.unwrap_or_else(|| "the name of the folder".to_owned()));
        match self.address() {
            Some((url, why)) => row(true, "health", url, why.split(',').next().unwrap_or_default().to_owned()),
            None => row(
                false,
                "health",
                "no address".to_owned(),
                if self.django.is_some() { "ALLOWED_HOSTS names no host" } else { "nothing names a host" }.to_owned(),
            ),
        }
        let (found, why) = self.packages();
        row(!self.manifests.is_empty() || self.venv.is_some(), "packages", found, why);
        let logs = self.django.as_ref().map(|django| django.logs.len()).unwrap_or_default();
        let unread = self.django.as_ref().map(|django| django.unread_logs.len()).unwrap_or_default();
        let count = |count: usize| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
        match self.log_paths() {
            paths if paths.is_empty() && unread > 0 => row(false, "logs", "LOGGING".to_owned(), format!("{}, known only when it runs", count(unread))),
            paths if paths.is_empty() => row(false, "logs", "none found".to_owned(), "no file is named in LOGGING".to_owned()),
            paths => row(true, "logs", together(&paths), format!("{}, {}", if logs > 0 { "LOGGING" } else { "the servers' own" }, count(paths.len()))),
        }
        match &self.sentry {
            Some(sentry) => {
                let seen: Vec<&str> = sentry.seen.iter().map(|(what, _)| what.as_str()).take(1).collect();
                let token = if sentry.token { "is set" } else { "is not set" };
                row(sentry.token && sentry.organization.is_some(), "errors", "Sentry".to_owned(), format!("{} seen, SENTRY_AUTH_TOKEN {token}", seen.concat()));
            }
            None => row(false, "errors", "none found".to_owned(), "no DSN, no .sentryclirc".to_owned()),
        }
        if let Some(supervisor) = &self.supervisor {
            row(true, "processes", "supervisor".to_owned(), supervisor.files.first().map(|place| place.file.clone()).unwrap_or_default());
        } else if let Some(gunicorn) = &self.gunicorn {
            row(true, "processes", "gunicorn".to_owned(), gunicorn.file.clone());
        } else if !self.processes.is_empty() {
            row(true, "processes", "Procfile".to_owned(), named(&self.processes, "process", "processes"));
        }
        if let Some(fabfile) = &self.fabfile {
            row(true, "deploys", fabfile.file.clone(), named(&fabfile.tasks, "task", "tasks"));
        }
        let backups = &self.backups;
        match (&backups.restic, &backups.borg, backups.dumps.first()) {
            (_, _, Some((path, place))) => row(true, "backups", path.clone(), format!("written in {place}")),
            (Some((place, _)), _, _) => row(true, "backups", "restic".to_owned(), place.to_string()),
            (_, Some((place, _)), _) => row(true, "backups", "borg".to_owned(), place.to_string()),
            _ => row(false, "backups", "none found".to_owned(), "no restic, no borg, no dump is seen".to_owned()),
        }
        rows
    }

    fn packages(&self) -> (String, String) {
        let manifest = self.manifests.iter().find(|manifest| manifest.manager == Manager::Python).or(self.manifests.first());
        let found: Vec<&str> = manifest.map(|manifest| manifest.path.as_str()).into_iter().chain(self.venv.as_ref().map(|venv| venv.path.as_str())).collect();
        let found = if found.is_empty() { "none found".to_owned() } else { found.join(", ") };
        let Some(venv) = &self.venv else {
            return (found, if self.manifests.is_empty() { "no lock file, no manifest" } else { "no virtual environment" }.to_owned());
        };
        let short = |version: &String| version.split('.').take(2).collect::<Vec<_>>().join(".");
        let mut why = vec![if venv.packages == 1 { "1 package".to_owned() } else { format!("{} packages", venv.packages) }];
        why.extend(venv.python.as_ref().map(|version| format!("Python {}", short(version))));
        why.extend(venv.django.as_ref().map(|version| format!("Django {version}")));
        (found, why.join(", "))
    }

    fn log_paths(&self) -> Vec<String> {
        let django = self.django.iter().flat_map(|django| &django.logs);
        let gunicorn = self.gunicorn.iter().flat_map(|gunicorn| &gunicorn.logs);
        let supervisor = self.supervisor.iter().flat_map(|supervisor| &supervisor.logs);
        let mut paths: Vec<String> = Vec::new();
        for (path, _) in django.chain(gunicorn).chain(supervisor) {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        paths
    }
}

/// `3 tasks: deploy, rollback, restart`.
fn named(all: &[(String, super::Place)], one: &str, many: &str) -> String {
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    format!("{} {}: {}", names.len(), if names.len() == 1 { one } else { many }, names.join(", "))
}

/// Several paths of one folder as one.
fn together(paths: &[String]) -> String {
    let [first, rest @ ..] = paths else { return String::new() };
    let Some((folder, name)) = first.rsplit_once('/').filter(|_| !rest.is_empty()) else { return first.clone() };
    let end = name.rsplit_once('.').map(|(_, end)| format!(".{end}")).unwrap_or_default();
    if rest.iter().all(|path| path.rsplit_once('/').is_some_and(|(other, name)| other == folder && name.ends_with(&end))) {
        format!("{folder}/*{end}")
    } else {
        format!("{first}, …")
    }
}
