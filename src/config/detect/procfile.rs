//! `Procfile`: the processes of the application by name. Their command lines may hold secrets and are not kept.

use super::{Place, Project};

/// Names of its processes.
#[must_use]
pub fn look(project: &Project) -> Vec<(String, Place)> {
    let text = project.read("Procfile").unwrap_or_default();
    let lines = text.lines().enumerate().filter_map(|(number, line)| {
        let (name, command) = line.split_once(':')?;
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        (plain && !command.trim().is_empty()).then(|| (name.to_owned(), Place::new("Procfile", number + 1)))
    });
    lines.take(50).collect()
}
