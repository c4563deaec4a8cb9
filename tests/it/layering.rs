//! The house stands as `lib.rs` draws it: pure rooms reach for nothing outside.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The lines of every file of a room, without what stands under `#[cfg(test)]` at the end and without comments.
fn lines_of(room: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(!files.is_empty(), "the room {room} is empty");
    let mut lines = Vec::new();
    for file in files {
        // Tests of a room, in one file or a folder of them.
        if file.file_name().is_some_and(|name| name == "tests.rs") || file.parent().is_some_and(|folder| folder.ends_with("tests")) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            if !line.trim_start().starts_with("//") {
                lines.push((format!("{}:{}", file.display(), number + 1), line.to_owned()));
            }
        }
    }
    lines
}

fn assert_absent(room: &str, forbidden: &[&str]) {
    let found: Vec<String> = lines_of(room)
        .into_iter()
        .filter_map(|(place, line)| forbidden.iter().find(|word| line.contains(**word)).map(|word| format!("{place}: {word}: {}", line.trim())))
        .collect();
    assert!(found.is_empty(), "{room} reaches outside:\n{}", found.join("\n"));
}

const OUTSIDE: &[&str] = &["std::fs", "std::env", "std::net", "std::process", "tokio::", "reqwest", "rusqlite", "Instant::now", "Utc::now", "SystemTime"];

#[test]
fn domain_knows_nothing_but_itself() {
    assert_absent("domain", OUTSIDE);
    assert_absent("domain", &["crate::state", "crate::sources", "crate::ui", "crate::journal", "crate::config", "crate::io", "crate::app"]);
}

#[test]
fn state_is_a_pure_reducer() {
    assert_absent("state", OUTSIDE);
    assert_absent("state", &["crate::ui", "crate::journal", "crate::config", "crate::app", "ratatui", "crossterm"]);
}

#[test]
fn drawing_neither_waits_nor_looks() {
    assert_absent("ui", OUTSIDE);
    assert_absent("ui", &["Mutex", "RwLock", ".await"]);
}

#[test]
fn sql_lives_in_the_journal_only() {
    for room in ["domain", "state", "ui", "config", "sources", "app", "cli", "report", "io"] {
        assert_absent(room, &["rusqlite"]);
    }
}
