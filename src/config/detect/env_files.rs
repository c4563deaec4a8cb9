//! Environment files and small scripts of a project: which variables they set. What a variable holds is for the caller to forget.

use super::{Place, Project};

/// Files read in one project.
const LIMIT_FILES: usize = 60;
/// Folders with scripts.
const FOLDERS: &[&str] = &["", "bin", "scripts", "script", "deploy", "ops", "backup", "cron", "etc", "conf", "config"];

/// The small scripts and environment files of a project with their text: `.env`, `*.env`, `*.sh`, crontabs, whatever says backup.
#[must_use]
pub fn scripts(project: &Project) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for folder in FOLDERS {
        for name in project.names(folder) {
            let lower = name.to_lowercase();
            let code = [".py", ".rs", ".js", ".md", ".rst", ".html", ".toml", ".gz", ".sql", ".zst", ".zip"].iter().any(|end| lower.ends_with(end));
            let wanted = lower == ".env"
                || lower.starts_with(".env.")
                || lower == ".envrc"
                || [".env", ".sh", ".bash", ".cron", ".crontab"].iter().any(|end| lower.ends_with(end))
                || ["crontab", "cron", "backup", "restic", "borg"].iter().any(|word| lower.contains(word)) && !code;
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if wanted && let Some(text) = project.read(&path) {
                all.push((path, text));
            }
            if all.len() >= LIMIT_FILES {
                return all;
            }
        }
    }
    all
}

/// Each `NAME=value` of them: where, the name, the value as written.
#[must_use]
pub fn variables(project: &Project) -> Vec<(Place, String, String)> {
    let mut all = Vec::new();
    for (file, text) in scripts(project) {
        for (number, line) in text.lines().enumerate() {
            if let Some((name, value)) = variable(line) {
                all.push((Place::new(&file, number + 1), name.to_owned(), value.to_owned()));
            }
        }
    }
    all
}

/// `export NAME="value"`.
fn variable(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, value) = line.split_once('=')?;
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    plain.then(|| (name, value.trim().trim_matches(['"', '\''])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_told_from_the_rest() {
        assert_eq!(variable("export BORG_REPO='/b'"), Some(("BORG_REPO", "/b")));
        assert_eq!(variable("A=b=c"), Some(("A", "b=c")));
        for line in ["# A=b", "if [ a = b ]", "echo hi", "1A=b", ""] {
            assert_eq!(variable(line), None, "{line}");
        }
    }
}
