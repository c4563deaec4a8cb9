//! The files of a configuration as one text, so that a place in any of them is one number: the file itself, then those it includes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files, in the order in which they were read.
#[derive(Debug, Clone)]
pub(crate) struct Texts {
    text: Arc<str>,
    /// Where each begins; the first at 0.
    files: Vec<(usize, PathBuf)>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    /// Its path.
    pub path: &'a Path,
    /// Where it begins in the whole.
    pub start: usize,
    /// What it says.
    pub text: &'a str,
}

impl Texts {
    /// One file alone.
    pub(crate) fn one(path: &Path, text: &str) -> Self {
        Self { text: text.into(), files: vec![(0, path.to_owned())] }
    }

    /// Several, the first first.
    pub(crate) fn joined<'a>(parts: impl Iterator<Item = (&'a Path, &'a str)>) -> Self {
        let (mut text, mut files) = (String::new(), Vec::new());
        for (path, part) in parts {
            if !files.is_empty() {
                // The last line of a file may have no end.
                text.push('\n');
            }
            files.push((text.len(), path.to_owned()));
            text.push_str(part);
        }
        Self { text: text.into(), files }
    }

    /// All of it.
    pub(crate) fn whole(&self) -> &str {
        &self.text
    }

    /// Each file.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.files.iter().enumerate().map(|(at, (start, path))| {
            let end = self.files.get(at + 1).map_or(self.text.len(), |(next, _)| next - 1);
            Part { path, start: *start, text: self.text.get(*start..end).unwrap_or_default() }
        })
    }

    /// The file that holds a byte of the whole.
    pub(crate) fn at(&self, offset: usize) -> Part<'_> {
        let nothing = Part { path: Path::new(""), start: 0, text: "" };
        self.parts().take_while(|part| part.start <= offset).last().unwrap_or(nothing)
    }

    /// The folder of the file that holds a byte: relative paths are relative to it.
    pub(crate) fn folder(&self, offset: usize) -> PathBuf {
        self.at(offset).path.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// The line of a byte for reading: `line 12`, and of an included file `conf.d/shop.toml line 12`.
    pub(crate) fn line(&self, offset: usize) -> String {
        let named = self.place(offset);
        if self.at(offset).start == 0 { named.rsplit_once("line ").map_or_else(String::new, |(_, line)| format!("line {line}")) } else { named }
    }

    /// The same with the file's name also for the first one.
    pub(crate) fn place(&self, offset: usize) -> String {
        let part = self.at(offset);
        let line = part.text.get(..offset - part.start).map_or(0, |before| before.matches('\n').count()) + 1;
        format!("{} line {line}", self.short(part.path))
    }

    /// A path below the folder of the first file without that folder.
    pub(crate) fn short(&self, path: &Path) -> String {
        let folder = self.files.first().and_then(|(_, first)| first.parent());
        folder.and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path).display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_of_one_file() {
        let files = [("/etc/rounds/a.toml", "one\ntwo"), ("/etc/rounds/d/b.toml", "three\nfour\n"), ("/x/c.toml", "")];
        let texts = Texts::joined(files.iter().map(|(path, text)| (Path::new(*path), *text)));
        for (word, place, folder) in [("one", "line 1", "/etc/rounds"), ("two", "line 2", "/etc/rounds"), ("four", "d/b.toml line 2", "/etc/rounds/d")] {
            let at = texts.whole().find(word).unwrap();
            assert_eq!((texts.line(at).as_str(), texts.folder(at)), (place, folder.into()), "{word}");
        }
        assert_eq!(texts.line(texts.whole().len()), "/x/c.toml line 1");
        assert_eq!(texts.parts().map(|part| part.text).collect::<Vec<_>>(), ["one\ntwo", "three\nfour\n", ""]);
        assert_eq!(texts.at(9_999).path, Path::new("/x/c.toml"));
    }
}
