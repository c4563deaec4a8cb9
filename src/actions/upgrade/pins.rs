//! Pins of requirements files: which lines pin a package, and such a line with another version and nothing else changed.
//!
//! What does not belong here: files that a tool compiles (`tool`). Pure but for [`read`], which follows `-r` and `-c`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::packages::manifests::requirements::{Statement, lines, statements};
use crate::packages::versions::{Interpreter, Version, name_end, normalised};

/// Files that are followed from one manifest.
const FILES: usize = 200;
/// A requirements file is not larger than this, in bytes.
const LIMIT: u64 = 4 << 20;

/// One line that names a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The file, relative to the project's folder.
    pub file: PathBuf,
    /// From 1.
    pub number: usize,
    /// The version it pins, when it pins one.
    pub pin: Option<String>,
    /// Its constraint as written.
    pub constraint: String,
}

/// Lines by package, and all files that were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// By normalised name.
    pub by_name: BTreeMap<String, Vec<Line>>,
    /// In the order of reading, relative to the project's folder.
    pub files: Vec<PathBuf>,
}

/// Reads a file and what it includes, below `root`; what is not there or lies elsewhere is left out. Blocks.
#[must_use]
pub fn read(root: &Path, file: &Path, interpreter: Option<&Interpreter>) -> Lines {
    let mut all = Lines::default();
    let mut waiting = vec![file.to_owned()];
    while let Some(file) = waiting.pop() {
        if all.files.contains(&file) || all.files.len() >= FILES {
            continue;
        }
        let path = root.join(&file);
        let Some(text) = path.metadata().ok().filter(|about| about.is_file() && about.len() <= LIMIT).and_then(|_| std::fs::read_to_string(&path).ok()) else {
            continue;
        };
        all.files.push(file.clone());
        for (number, statement) in statements(&text, &file.display().to_string(), interpreter).0 {
            match statement {
                Statement::Package(entry) => {
                    let line = Line { file: file.clone(), number, pin: entry.constraint.pin(), constraint: entry.constraint.to_string() };
                    all.by_name.entry(entry.name).or_default().push(line);
                }
                Statement::Include(name) | Statement::Constrain(name) => {
                    if let Some(next) = below(file.parent().unwrap_or(Path::new("")), &name) {
                        waiting.push(next);
                    }
                }
                Statement::Index(_) => {}
            }
        }
    }
    all
}

/// A relative path joined to a folder, without leaving the root.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in folder.join(name).components() {
        match part {
            std::path::Component::Normal(part) => out.push(part),
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if out.pop() => {}
            _ => return None,
        }
    }
    Some(out)
}

/// The text with the pin of this line at another version: comments, markers, extras, blanks and line ends stay.
///
/// # Errors
/// Why this line is left alone, one sentence without its place.
pub fn repin(text: &str, number: usize, name: &str, to: &str) -> Result<String, String> {
    let whole = lines(text).into_iter().find(|line| line.number == number).ok_or("the line is not there")?;
    if whole.text.split_whitespace().any(|word| word.starts_with("--hash")) {
        return Err("it is pinned by hashes, which only the tool that compiled the file can make anew".to_owned());
    }
    let mut pieces: Vec<&str> = text.split_inclusive('\n').collect();
    let line = number.checked_sub(1).and_then(|at| pieces.get(at)).copied().ok_or("the line is not there")?;
    let begin = line.len() - line.trim_start().len();
    let end_of_name = begin + name_end(&line[begin..]);
    if normalised(&line[begin..end_of_name]) != name {
        return Err("the line does not begin with the name".to_owned());
    }
    // The requirement ends where a marker, an option, a comment or the next line begins.
    let end = line.find([';', '#', '\\', '\n', '\r']).unwrap_or(line.len());
    let end = line[..end].find(" --").unwrap_or(end).max(end_of_name);
    let after_extras = match line[end_of_name..end].find(']') {
        Some(at) => end_of_name + at + 1,
        None => end_of_name,
    };
    let spec = &line[after_extras..end];
    let bare = spec.trim().trim_start_matches('(').trim_end_matches(')').trim();
    let version = bare.strip_prefix("===").or_else(|| bare.strip_prefix("==")).map(str::trim).filter(|version| Version::parse(version).is_some());
    let Some(version) = version else {
        return Err(if bare.is_empty() { "it is not pinned".to_owned() } else { format!("it is not pinned to one version ({bare})") });
    };
    let at = after_extras + spec.rfind(version).ok_or("the version is not there")?;
    let line = format!("{}{to}{}", &line[..at], &line[at + version.len()..]);
    pieces[number - 1] = &line;
    Ok(pieces.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_changes() {
        for (line, expected) in [
            ("basket==1.0", "basket==2.1"),
            ("Basket [a, b] == 1.0 ; python_version > \"3\"  # keep me ==1.0\r\n", "Basket [a, b] == 2.1 ; python_version > \"3\"  # keep me ==1.0\r\n"),
            ("  basket===1.0\t# x", "  basket===2.1\t# x"),
            ("basket (==1.0)", "basket (==2.1)"),
            ("basket==1.0 --no-binary=x\n", "basket==2.1 --no-binary=x\n"),
            ("basket==1.0 \\\n  ; python_version > '3'\n", "basket==2.1 \\\n  ; python_version > '3'\n"),
        ] {
            assert_eq!(repin(line, 1, "basket", "2.1").as_deref(), Ok(expected), "{line:?}");
        }
        assert_eq!(repin("a==1\nbasket==1.0\nb==1.0", 2, "basket", "2").unwrap(), "a==1\nbasket==2\nb==1.0");
    }

    #[test]
    fn what_is_no_pin_is_left_alone_with_the_reason() {
        for (line, why) in [
            ("basket", "not pinned"),
            ("basket>=1.0,<2", "not pinned to one version (>=1.0,<2)"),
            ("basket==1.*", "not pinned to one version"),
            ("basket==1.0,!=1.1", "not pinned to one version"),
            ("basket==1.0 \\\n    --hash=sha256:aa\n", "hashes"),
            ("basket==1.0 --hash=sha256:aa", "hashes"),
            ("other==1.0", "begin with the name"),
            ("basket==${VERSION}", "not pinned"),
        ] {
            let said = repin(line, 1, "basket", "2.1").unwrap_err();
            assert!(said.contains(why), "{line:?}: {said}");
        }
        assert!(repin("", 7, "basket", "2").is_err());
    }

    #[test]
    fn included_files_are_followed_and_nothing_outside() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("requirements/dev.txt", "-r base.txt\n-r dev.txt\n-c ../constraints.txt\n-r ../../elsewhere.txt\ntill==1\n");
        put("requirements/base.txt", "# base\nbasket==1.0\nold==1; python_version < '3'\n");
        put("constraints.txt", "basket==1.0\n");
        let found = read(dir.path(), Path::new("requirements/dev.txt"), Interpreter::new("3.11").as_ref());
        assert_eq!(found.files.len(), 3);
        let basket: Vec<String> = found.by_name["basket"].iter().map(|line| format!("{}:{}", line.file.display(), line.number)).collect();
        assert!(basket.len() == 2 && basket.contains(&"requirements/base.txt:2".to_owned()) && basket.contains(&"constraints.txt:1".to_owned()), "{basket:?}");
        assert!(!found.by_name.contains_key("old"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_other_lines_stay(text in "(basket|[ -~]{0,12}|==1.0|;|#|\\\\|\\n|\\r|\\[a\\]){0,12}") {
            if let Ok(changed) = repin(&text, 1, "basket", "9.9") {
                proptest::prop_assert_eq!(changed.split_once('\n').map(|x| x.1), text.split_once('\n').map(|x| x.1));
            }
        }
    }
}
