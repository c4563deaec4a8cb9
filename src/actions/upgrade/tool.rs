//! Who changes the manifest: pip's requirements files by their line, pip-tools, uv, poetry, pipenv and pdm by asking them.
//!
//! What does not belong here: running (`commands`), the lines themselves (`pins`), lock files beside a manifest (`locker`).

use std::path::{Path, PathBuf};

use super::locker::Locker;
use super::pins;
use crate::packages::manifests::{Shape, locks};

/// Lines of a compiled file in which its command is looked for.
const HEAD_LINES: usize = 20;
/// Options of a compiled file's header that are given again; each takes no value.
const PLAIN: [&str; 20] = [
    "--all-extras",
    "--allow-unsafe",
    "--annotate",
    "--emit-build-options",
    "--emit-options",
    "--generate-hashes",
    "--header",
    "--no-allow-unsafe",
    "--no-annotate",
    "--no-emit-find-links",
    "--no-emit-index-url",
    "--no-emit-options",
    "--no-emit-trusted-host",
    "--no-header",
    "--no-strip-extras",
    "--pre",
    "--strip-extras",
    "--universal",
    "--no-emit-package",
    "--quiet",
];
/// The same with a value.
const VALUED: [&str; 9] =
    ["--annotation-style", "--constraint", "--extra", "--newline", "--python-platform", "--python-version", "--resolver", "--unsafe-package", "-c"];

/// One manifest and who changes it. Paths are relative to the project's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tool {
    /// Lines of requirements, changed by rounds as a person would.
    Pip {
        /// The file that is installed.
        file: PathBuf,
    },
    /// A file compiled by pip-tools or `uv pip compile`.
    Compiled {
        /// The compiled file.
        output: PathBuf,
        /// What it is compiled from.
        sources: Vec<PathBuf>,
        /// Options of its header.
        options: Vec<String>,
        /// Compiled by uv.
        by_uv: bool,
    },
    /// A manifest with a lock file beside it.
    Locked {
        /// The folder of both.
        folder: PathBuf,
        /// Who writes the lock file.
        by: Locker,
    },
}

impl Tool {
    /// For reading.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Pip { .. } => "pip",
            Self::Compiled { by_uv: false, .. } => "pip-tools",
            Self::Compiled { by_uv: true, .. } => Locker::Uv.word(),
            Self::Locked { by, .. } => by.word(),
        }
    }

    /// Who keeps its lock file.
    pub(super) const fn locker(&self) -> Option<Locker> {
        if let Self::Locked { by, .. } = self { Some(*by) } else { None }
    }

    /// The file that says which versions are installed.
    pub(super) fn lock(&self) -> PathBuf {
        match self {
            Self::Pip { file } => file.clone(),
            Self::Compiled { output, .. } => output.clone(),
            Self::Locked { folder, by } => folder.join(by.lock()),
        }
    }

    /// The files it may change.
    pub(super) fn files(&self, root: &Path) -> Vec<PathBuf> {
        match self {
            Self::Pip { file } => pins::read(root, file, None).files,
            Self::Compiled { output, sources, .. } => {
                let read = |source: &PathBuf| if is_project(source) { vec![source.clone()] } else { pins::read(root, source, None).files };
                std::iter::once(output.clone()).chain(sources.iter().flat_map(read)).collect()
            }
            Self::Locked { folder, by } => vec![folder.join(by.manifest()), folder.join(by.lock())],
        }
    }
}

/// Whether the file is no list of lines.
pub(super) fn is_project(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml" || extension == "cfg" || extension == "py")
}

/// The tools of these manifests, relative to the project's folder.
///
/// # Errors
/// A sentence and what to do, for a manifest that cannot be changed.
pub(super) fn find(root: &Path, manifests: &[PathBuf]) -> Result<Vec<Tool>, (String, String)> {
    let mut all = Vec::new();
    for manifest in manifests {
        let shown = manifest.display();
        let folder = manifest.parent().unwrap_or(Path::new("")).to_owned();
        let beside = Locker::ALL.into_iter().find(|by| by.manifest() == "pyproject.toml" && root.join(&folder).join(by.lock()).is_file());
        let tool = match (Shape::of(manifest), beside) {
            (Shape::Requirements, _) => requirements(root, manifest)?,
            (Shape::Lock(locks::Format::Uv), _) => Tool::Locked { folder, by: Locker::Uv },
            (Shape::Lock(locks::Format::Poetry), _) => Tool::Locked { folder, by: Locker::Poetry },
            (Shape::Lock(locks::Format::Pdm), _) => Tool::Locked { folder, by: Locker::Pdm },
            (Shape::Pipfile, _) => Tool::Locked { folder, by: Locker::Pipenv },
            // A lock file that is named as well tells more.
            (Shape::Project, Some(by)) if manifests.len() == 1 => Tool::Locked { folder, by },
            // It stands beside a lock file that is named as well.
            (Shape::Project, _) if manifests.len() > 1 => continue,
            (Shape::Project, _) => {
                return Err((format!("{shown} locks no versions"), "let `manifest` name the lock file or the requirements file as well".to_owned()));
            }
            (Shape::Lock(locks::Format::Pylock), _) => {
                return Err((
                    format!("{shown} does not tell which tool wrote it, so nothing can write it anew"),
                    "upgrade with that tool on a branch, or let `manifest` name the file that it locks, such as uv.lock".to_owned(),
                ));
            }
        };
        if !all.contains(&tool) {
            all.push(tool);
        }
    }
    if all.is_empty() {
        return Err(("no manifest is configured, and an upgrade changes one".to_owned(), "add `manifest = \"requirements.txt\"` to the source".to_owned()));
    }
    if all.len() > 1
        && let Some(Tool::Locked { by, .. }) = all.iter().find(|tool| matches!(tool, Tool::Locked { .. }))
    {
        return Err((
            format!("{} and other manifests cannot be upgraded together", by.lock()),
            "make a source of its own for each, as each has its environment".to_owned(),
        ));
    }
    Ok(all)
}

fn requirements(root: &Path, file: &Path) -> Result<Tool, (String, String)> {
    let text = std::fs::read_to_string(root.join(file))
        .map_err(|error| (format!("{} cannot be read: {}", file.display(), error.kind()), "let `manifest` name the file that lists the packages".to_owned()))?;
    let beside = file.with_extension("in");
    let beside = (beside != file && root.join(&beside).is_file()).then_some(beside);
    let head: Vec<&str> = text.lines().take(HEAD_LINES).take_while(|line| line.is_empty() || line.starts_with('#') || line.starts_with("--")).collect();
    let said = |what: &str| head.iter().any(|line| line.to_lowercase().contains(what));
    let by_uv = said("autogenerated by uv");
    if !by_uv && !said("autogenerated by pip-compile") && beside.is_none() {
        return Ok(Tool::Pip { file: file.to_owned() });
    }
    let command = head.iter().find_map(|line| {
        let line = line.trim_start_matches('#').trim();
        line.strip_prefix("uv pip compile ").or_else(|| line.strip_prefix("pip-compile "))
    });
    let (options, named) = header(command.unwrap_or_default()).map_err(|option| {
        (format!("{} was compiled with {option}, which rounds does not give on", file.display()), "compile it by hand on a branch".to_owned())
    })?;
    let folder = file.parent().unwrap_or(Path::new(""));
    // Names in the header are relative to where the command ran: the project's folder, or the file's.
    let place = |name: &String| [PathBuf::from(name), folder.join(name)].into_iter().find(|path| is_below(path) && root.join(path).is_file());
    let mut sources: Vec<PathBuf> = named.iter().filter_map(place).collect();
    if sources.is_empty() {
        sources.extend(beside);
    }
    if sources.is_empty() {
        return Err((
            format!("{} was compiled, and the file that it was compiled from is not found", file.display()),
            "put it beside it: requirements.in for requirements.txt".to_owned(),
        ));
    }
    Ok(Tool::Compiled { output: file.to_owned(), sources, options, by_uv })
}

fn is_below(path: &Path) -> bool {
    path.components().all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
}

/// Options and sources of the command in a compiled file's header; an option that is not known is the error.
fn header(command: &str) -> Result<(Vec<String>, Vec<String>), String> {
    let (mut options, mut sources) = (Vec::new(), Vec::new());
    let mut words = command.split_whitespace();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or(word);
        if !word.starts_with('-') {
            sources.push(word.to_owned());
        } else if matches!(name, "-o" | "--output-file") {
            if !word.contains('=') {
                words.next();
            }
        } else if matches!(name, "--upgrade" | "-U" | "--no-index" | "--verbose" | "-v" | "-q") {
            // What was asked once is not asked again.
        } else if PLAIN.contains(&word) {
            options.push(word.to_owned());
        } else if VALUED.contains(&name) {
            options.push(word.to_owned());
            if !word.contains('=') {
                options.extend(words.next().map(str::to_owned));
            }
        } else {
            return Err(name.chars().take(40).collect());
        }
    }
    Ok((options, sources))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn found(files: &[(&str, &str)], manifests: &[&str]) -> Result<Vec<Tool>, String> {
        let dir = project(files);
        let manifests: Vec<PathBuf> = manifests.iter().map(PathBuf::from).collect();
        find(dir.path(), &manifests).map_err(|(what, _)| what)
    }

    #[test]
    fn the_tool_is_told_by_the_files() {
        assert_eq!(found(&[("requirements.txt", "a==1\n")], &["requirements.txt"]), Ok(vec![Tool::Pip { file: "requirements.txt".into() }]));
        let head = "#\n# This file is autogenerated by pip-compile with Python 3.11\n# by the following command:\n#\n#    pip-compile --generate-hashes --output-file=r/base.txt r/base.in\n#\na==1\n";
        let compiled =
            Tool::Compiled { output: "r/base.txt".into(), sources: vec!["r/base.in".into()], options: vec!["--generate-hashes".into()], by_uv: false };
        assert_eq!(found(&[("r/base.txt", head), ("r/base.in", "a\n")], &["r/base.txt"]), Ok(vec![compiled]));
        let head = "# This file was autogenerated by uv via the following command:\n#    uv pip compile pyproject.toml -o requirements.txt --extra dev\n";
        let compiled = Tool::Compiled {
            output: "requirements.txt".into(),
            sources: vec!["pyproject.toml".into()],
            options: vec!["--extra".into(), "dev".into()],
            by_uv: true,
        };
        assert_eq!(found(&[("requirements.txt", head), ("pyproject.toml", "")], &["requirements.txt"]), Ok(vec![compiled]));
        let locked = |by| Ok(vec![Tool::Locked { folder: "x".into(), by }]);
        assert_eq!(found(&[("x/uv.lock", ""), ("x/pyproject.toml", "")], &["x/pyproject.toml", "x/uv.lock"]), locked(Locker::Uv));
        for by in [Locker::Uv, Locker::Poetry, Locker::Pdm] {
            let lock = format!("x/{}", by.lock());
            assert_eq!(found(&[(&lock, ""), ("x/pyproject.toml", "")], &["x/pyproject.toml"]), locked(by));
            assert_eq!(found(&[(&lock, ""), ("x/pyproject.toml", "")], &[&lock]), locked(by));
        }
        assert_eq!(found(&[("x/Pipfile.lock", ""), ("x/Pipfile", "")], &["x/Pipfile.lock"]), locked(Locker::Pipenv));
    }

    #[test]
    fn what_cannot_be_changed_is_refused_with_a_reason() {
        let odd = "# This file is autogenerated by pip-compile\n#    pip-compile --pip-args=--x requirements.in\n";
        let lost = "# This file is autogenerated by pip-compile\n#    pip-compile ../../etc/requirements.in\n";
        for (files, manifest, why) in [
            (&[("pylock.toml", "")][..], "pylock.toml", "which tool wrote it"),
            (&[("pyproject.toml", "")], "pyproject.toml", "locks no versions"),
            (&[("requirements.txt", odd), ("requirements.in", "")], "requirements.txt", "--pip-args"),
            (&[("requirements.txt", lost)], "requirements.txt", "compiled from is not found"),
            (&[], "requirements.txt", "cannot be read"),
        ] {
            let said = found(files, &[manifest]).unwrap_err();
            assert!(said.contains(why), "{manifest}: {said}");
        }
        assert!(found(&[("uv.lock", ""), ("dev.txt", "")], &["uv.lock", "dev.txt"]).unwrap_err().contains("together"));
        assert!(found(&[("a/pdm.lock", ""), ("poetry.lock", "")], &["poetry.lock", "a/pdm.lock"]).unwrap_err().contains("together"));
        assert!(found(&[], &[]).unwrap_err().contains("no manifest"));
    }
}
