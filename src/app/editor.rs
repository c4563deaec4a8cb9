//! The person's editor: which program, how it is told a line, and which file here a frame means.
//!
//! What does not belong here: lending the terminal (`io::lend`), which frame (`state::stack`).
//!
//! A path in an event is outside text: it is looked for below the site's directory only, and what it leads to must lie there too.

use std::path::{Component, Path, PathBuf};

/// Parts of a path that are looked at.
const PARTS: usize = 64;

/// The words of `$VISUAL`, else of `$EDITOR`, as they are set.
#[must_use]
pub fn configured() -> Option<Vec<String>> {
    let set = |name: &str| std::env::var(name).ok().map(|value| value.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    ["VISUAL", "EDITOR"].into_iter().filter_map(set).find(|words| !words.is_empty())
}

/// The editor with a file at a line, as this editor takes it.
#[must_use]
pub fn argv(mut editor: Vec<String>, file: &Path, line: u32) -> Vec<String> {
    let name = editor.first().map(|tool| tool.rsplit('/').next().unwrap_or_default().to_owned()).unwrap_or_default();
    let file = file.display().to_string();
    match name.as_str() {
        "code" | "code-insiders" | "codium" | "vscodium" | "cursor" | "windsurf" => editor.extend(["--goto".to_owned(), format!("{file}:{line}")]),
        "subl" | "zed" | "zeditor" | "hx" | "helix" | "lapce" => editor.push(format!("{file}:{line}")),
        "pycharm" | "charm" | "idea" | "webstorm" | "rustrover" | "goland" | "phpstorm" | "kate" => {
            editor.extend(["--line".to_owned(), line.to_string(), file]);
        }
        // vi, and all that take over from it: nano, emacs, joe, micro, kak, mg.
        _ => editor.extend([format!("+{line}"), file]),
    }
    editor
}

/// The file that a frame means, where it is below this directory. Reads the disk.
///
/// A deploy lies elsewhere than a checkout (`/srv/app/orders/views.py`): the end of a path is enough, where it has two parts at least.
#[must_use]
pub fn find(directory: &Path, path: &str, absolute: Option<&str>) -> Option<PathBuf> {
    let directory = directory.canonicalize().ok()?;
    let here = |relative: &Path| {
        let file = directory.join(relative).canonicalize().ok()?;
        // A link may lead out of it, and is then not followed.
        (file.starts_with(&directory) && file.is_file()).then_some(file)
    };
    let parts = |path: &str| -> Vec<String> {
        let parts = Path::new(path).components().filter_map(|part| match part {
            Component::Normal(part) => part.to_str().map(str::to_owned),
            Component::ParentDir => Some("..".to_owned()),
            _ => None,
        });
        parts.take(PARTS).collect()
    };
    if let Some(absolute) = absolute.filter(|absolute| absolute.starts_with('/')).map(Path::new)
        && let Ok(below) = absolute.strip_prefix(&directory)
        && let Some(file) = here(below)
    {
        return Some(file);
    }
    for (text, least) in [(path, 1), (absolute.unwrap_or_default(), 2)] {
        let parts = parts(text);
        if parts.iter().any(|part| part == "..") {
            continue;
        }
        // The whole of what people say, and the longest end of where it lay.
        let ends = if least == 1 { 0..1 } else { 0..parts.len().saturating_sub(1) };
        for from in ends {
            if parts.len() > from
                && let Some(file) = here(&parts[from..].iter().collect::<PathBuf>())
            {
                return Some(file);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_editor_is_told_the_line_as_it_takes_it() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (editor, expected) in [
            ("vim", "vim +88 /srv/a.py"),
            ("/usr/bin/nano -w", "/usr/bin/nano -w +88 /srv/a.py"),
            ("code -w", "code -w --goto /srv/a.py:88"),
            ("hx", "hx /srv/a.py:88"),
            ("pycharm", "pycharm --line 88 /srv/a.py"),
        ] {
            assert_eq!(argv(words(editor), Path::new("/srv/a.py"), 88).join(" "), expected);
        }
    }

    #[test]
    fn a_frame_is_found_below_the_directory_and_nowhere_else() {
        let place = tempfile::tempdir().unwrap();
        let site = place.path().join("site");
        std::fs::create_dir_all(site.join("orders")).unwrap();
        let file = site.join("orders/views.py");
        std::fs::write(&file, "x").unwrap();
        std::fs::write(place.path().join("secret.py"), "x").unwrap();
        std::os::unix::fs::symlink(place.path().join("secret.py"), site.join("orders/link.py")).unwrap();
        let file = file.canonicalize().unwrap();
        let own = file.display().to_string();
        for (path, absolute, found) in [
            ("orders/views.py", None, true),
            ("/orders/views.py", None, true),
            ("views.py", Some(own.as_str()), true),
            ("views.py", Some("/app/current/orders/views.py"), true),
            // One part alone may be any file.
            ("nope.py", Some("/app/views.py"), false),
            ("orders", None, false),
            ("../secret.py", Some("/x/../secret.py"), false),
            ("orders/link.py", None, false),
            ("orders/\u{0}", None, false),
            ("", Some(""), false),
        ] {
            assert_eq!(find(&site, path, absolute).is_some(), found, "{path} {absolute:?}");
        }
        assert_eq!(find(&site, "orders/views.py", None), Some(file));
        assert_eq!(find(&place.path().join("none"), "orders/views.py", None), None);
    }
}
