//! The file and those it includes, read and joined: `include = ["conf.d/*.toml"]`, relative to the file that says so.
//!
//! What does not belong here: what the tables mean (`walk`). A table may stand in one file only; sites and kinds are the rooms that several
//! files may furnish.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Report};
use super::keys::Spot;
use super::texts::Texts;
use super::{LIMIT_BYTES, not_text, read, reason, trust};

/// Files of one configuration.
const FILES: usize = 64;

/// A configuration as it was read from its files, not yet understood.
#[derive(Debug, Clone)]
pub struct Gathered {
    pub(super) texts: Texts,
    pub(super) told: Vec<Diagnostic>,
    /// Files that are not below the folder of the first one: a configuration that nobody trusts does not read those.
    pub(super) outside: Vec<Diagnostic>,
    /// The bytes of each file.
    bytes: Vec<Vec<u8>>,
}

/// One file on the way from the first one to here, and where the next one was included.
struct Step {
    path: PathBuf,
    included_at: usize,
}

struct Gathering {
    files: Vec<(PathBuf, String, Vec<u8>)>,
    /// By their canonical paths.
    seen: Vec<PathBuf>,
    /// Bytes of the whole text so far.
    length: usize,
    /// The folder of the first file; `None`: it is from no file.
    home: Option<PathBuf>,
    told: Vec<Diagnostic>,
    outside: Vec<Diagnostic>,
}

/// Reads what a file includes. `path`: where it is from; what is in hand only includes nothing.
///
/// # Errors
/// When the file itself is no text; what is wrong with included ones is told with the rest.
pub(super) fn gather(bytes: &[u8], path: Option<&Path>) -> Result<Gathered, Report> {
    let shown = path.unwrap_or(Path::new("configuration"));
    let text = std::str::from_utf8(bytes).map_err(|_| not_text(bytes, shown))?;
    let home = path.and_then(|path| canonical(path).parent().map(Path::to_owned));
    let mut gathering = Gathering { files: Vec::new(), seen: Vec::new(), length: 0, home, told: Vec::new(), outside: Vec::new() };
    gathering.take(shown, text.to_owned(), bytes.to_vec(), &mut Vec::new());
    let texts = Texts::joined(gathering.files.iter().map(|(path, text, _)| (path.as_path(), text.as_str())));
    Ok(Gathered { texts, told: gathering.told, outside: gathering.outside, bytes: gathering.files.into_iter().map(|(_, _, bytes)| bytes).collect() })
}

impl Gathered {
    /// All files, the first first.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.texts.parts().map(|part| part.path.to_owned()).collect()
    }

    /// What trust is bound to: the bytes of the file, and where it includes others the path and bytes of each.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        if let [only] = self.bytes.as_slice() {
            return only.clone();
        }
        let mut all = Vec::new();
        for (part, bytes) in self.texts.parts().zip(&self.bytes) {
            all.extend_from_slice(format!("{} {}\n", part.path.display(), bytes.len()).as_bytes());
            all.extend_from_slice(bytes);
        }
        all
    }

    /// The digest of that.
    #[must_use]
    pub fn hash(&self) -> String {
        trust::hash(&self.content())
    }
}

impl Gathering {
    fn take(&mut self, path: &Path, text: String, bytes: Vec<u8>, chain: &mut Vec<Step>) {
        let start = if self.files.is_empty() { 0 } else { self.length + 1 };
        self.length = start + text.len();
        let own = canonical(path);
        self.seen.push(own.clone());
        let wanted = included(&text, start, &mut self.told);
        self.files.push((path.to_owned(), text, bytes));
        if let (None, Some((_, span))) = (&self.home, wanted.first()) {
            self.told.push(Diagnostic::error(span.clone(), "what is in no file includes nothing", ""));
            return;
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        for (pattern, span) in wanted {
            let is_glob = pattern.contains(['*', '?', '[']);
            let full = folder.join(&pattern);
            let found = if is_glob { matches(&full, &span, &mut self.told) } else { vec![full] };
            for file in found {
                chain.push(Step { path: own.clone(), included_at: span.start });
                self.include(&file, is_glob, &span, chain);
                chain.pop();
            }
        }
    }

    fn include(&mut self, file: &Path, by_glob: bool, span: &Range<usize>, chain: &mut Vec<Step>) {
        let whole = canonical(file);
        if let Some(at) = chain.iter().position(|step| step.path == whole) {
            // `*.toml` beside the file that says so means the others.
            if by_glob && at + 1 == chain.len() {
                return;
            }
            let message = if at + 1 == chain.len() {
                "this file includes itself".to_owned()
            } else {
                format!("{} includes this file in turn, {}", file.display(), self.place(chain[at].included_at))
            };
            self.told.push(Diagnostic::error(span.clone(), message, "take one of them out"));
            return;
        }
        if self.seen.contains(&whole) {
            return;
        }
        if self.files.len() >= FILES {
            self.told.push(Diagnostic::error(span.clone(), format!("more than {FILES} files in all"), "join some of them"));
            return;
        }
        if self.home.as_ref().is_some_and(|home| !whole.starts_with(home)) {
            let help = "include files below the folder of the configuration, or name it by --config";
            self.outside.push(Diagnostic::error(span.clone(), "what is not trusted includes nothing from elsewhere", help));
        }
        match content(file, LIMIT_BYTES.saturating_sub(self.length as u64)) {
            Ok((text, bytes)) => self.take(file, text, bytes, chain),
            Err(why) => self.told.push(Diagnostic::error(span.clone(), format!("{}: {why}", file.display()), "correct the path, or take it out")),
        }
    }

    /// `a.toml line 3` of a byte of what was read so far.
    fn place(&self, offset: usize) -> String {
        let texts = Texts::joined(self.files.iter().map(|(path, text, _)| (path.as_path(), text.as_str())));
        texts.place(offset)
    }
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The text of an included file, without the mark that some editors put before it, and its bytes.
fn content(file: &Path, room: u64) -> Result<(String, Vec<u8>), String> {
    let about = file.metadata().map_err(|error| reason(&error))?;
    // A pipe without a writer would block the start for ever.
    if !about.is_file() {
        return Err("it is no file".to_owned());
    }
    let bytes = read(file).map_err(|error| reason(&error))?;
    if bytes.len() as u64 > room {
        return Err(reason(&io::ErrorKind::FileTooLarge.into()));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok((text.trim_start_matches('\u{feff}').to_owned(), bytes))
}

/// What a document includes, each with its place in the whole.
fn included(text: &str, start: usize, told: &mut Vec<Diagnostic>) -> Vec<(String, Range<usize>)> {
    if !text.contains("include") {
        return Vec::new();
    }
    let (document, _) = DeTable::parse_recoverable(text);
    let Some(value) = document.get_ref().get("include") else { return Vec::new() };
    let names: Vec<&Spot<'_>> = match value.get_ref() {
        DeValue::Array(all) => all.iter().collect(),
        _ => vec![value],
    };
    let mut wanted = Vec::new();
    for spot in names {
        let place = spot.span().start + start..spot.span().end + start;
        match spot.get_ref() {
            DeValue::String(name) if !name.is_empty() => wanted.push((name.to_string(), place)),
            _ => told.push(Diagnostic::error(place, "`include` names files, relative to this one", "write include = [\"conf.d/*.toml\"]")),
        }
    }
    wanted
}

/// The files of a pattern, by name; none is no mistake.
fn matches(pattern: &Path, span: &Range<usize>, told: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    match glob::glob(&pattern.to_string_lossy()) {
        Ok(found) => found.filter_map(Result::ok).filter(|path| path.is_file()).take(FILES + 1).collect(),
        Err(error) => {
            told.push(Diagnostic::error(span.clone(), format!("this is no pattern of files: {}", error.msg), ""));
            Vec::new()
        }
    }
}

/// Puts the tables of a further file beside those of the files before it. A key or table that is there already is told with both places.
pub(super) fn merge<'i>(into: &mut DeTable<'i>, from: DeTable<'i>, texts: &Texts, told: &mut Vec<Diagnostic>) {
    join(into, from, &mut Vec::new(), texts, told);
}

fn join<'i>(into: &mut DeTable<'i>, from: DeTable<'i>, path: &mut Vec<String>, texts: &Texts, told: &mut Vec<Diagnostic>) {
    for (key, value) in from {
        let name: Cow<'_, str> = key.get_ref().clone();
        // Each file's own.
        if path.is_empty() && name == "include" {
            continue;
        }
        let Some(known) = into.iter().find(|(known, _)| *known.get_ref() == name).map(|(known, _)| known.span()) else {
            into.insert(key, value);
            continue;
        };
        path.push(name.to_string());
        let span = key.span();
        match (into.get_mut(name.as_ref()).map(toml::Spanned::get_mut), value.into_inner()) {
            (Some(DeValue::Table(mine)), DeValue::Table(theirs)) if is_room(path) => join(mine, theirs, path, texts, told),
            _ => {
                let message = format!("`{}` stands in two files: also {}", path.join("."), texts.place(known.start));
                told.push(Diagnostic::error(span, message, "take one of them out"));
            }
        }
        path.pop();
    }
}

/// Tables that only hold named tables: several files may add to them.
fn is_room(path: &[String]) -> bool {
    match path.first().map(String::as_str) {
        Some("site") => path.len() <= 3,
        Some("defaults" | "round" | "notify") => path.len() == 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::super::trust::{Standing, TrustStore};
    use super::super::{Loaded, digest, gather as gathered, parse};
    use crate::domain::Timestamp;

    /// A folder with these files, of which the first is the configuration.
    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn read(folder: &TempDir, standing: Standing) -> Result<Loaded, String> {
        let path = folder.path().join("rounds.toml");
        let loaded = parse(&fs::read(&path).unwrap(), Some(&path), standing, &|_| Some("x".to_owned()));
        // What is said is said with the folder of this run.
        loaded.map_err(|error| error.render(false, 200).replace(&*folder.path().to_string_lossy(), "/etc/rounds"))
    }

    const HOME: &str = "[site.shop.http.home]\nurl = \"https://shop.example/\"\n";

    #[test]
    fn several_files_furnish_one_site() {
        let folder = folder(&[
            ("rounds.toml", "include = [\"conf.d/*.toml\", \"more/blog.toml\"]\n[site.shop]\ntitle = \"Shop\"\n[defaults.http]\nevery = \"7s\"\n"),
            ("conf.d/20-log.toml", "[site.shop.log.app]\npath = \"app.log\"\n"),
            (
                "conf.d/10-http.toml",
                "\u{feff}[site.shop.http.home]\nurl = \"https://shop.example/\"\n[site.shop.http.api]\nurl = \"https://shop.example/api/\"",
            ),
            ("conf.d/notes.txt", "no configuration"),
            ("more/blog.toml", "include = \"deeper.toml\"\n[journal]\nkeep = \"30d\"\n[site.blog]\ndirectory = \"blog\"\n"),
            ("more/deeper.toml", "[site.blog.log.app]\npath = \"app.log\"\n"),
        ]);
        let loaded = read(&folder, Standing::Never).unwrap();
        let config = &loaded.config;
        let sources: Vec<_> =
            config.sources.iter().map(|entry| (entry.id.as_str(), entry.context.base.strip_prefix(folder.path()).unwrap().to_str().unwrap())).collect();
        // Relative paths are relative to the file they stand in, or to the directory of their site.
        assert_eq!(sources, [("shop/http/home", "conf.d"), ("shop/http/api", "conf.d"), ("shop/log/app", "conf.d"), ("blog/log/app", "more/blog")]);
        let http = &config.sources[0];
        assert_eq!(http.config.spec(&http.context).every.as_secs(), 7, "defaults reach the included files");
        assert_eq!((config.journal.keep.as_secs(), config.sites.len(), config.included.len()), (30 * 86_400, 2, 4));
        let shown = super::super::show::text(&loaded);
        assert!(shown.contains("# conf.d/10-http.toml line 2") && shown.contains("# [defaults.http], line 5"), "{shown}");
    }

    #[test]
    fn what_stands_in_two_files_is_told_with_both_places() {
        let folder = folder(&[
            ("rounds.toml", &format!("include = [\"b.toml\"]\n[journal]\nkeep = \"30d\"\n[site.shop]\ntitle = \"Shop\"\n{HOME}")),
            ("b.toml", &format!("[journal]\nkeep = \"40d\"\n[site.shop]\ntitle = \"The shop\"\n{HOME}")),
        ]);
        insta::assert_snapshot!(read(&folder, Standing::Trusted).unwrap_err());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_at_its_place() {
        let folder = folder(&[
            ("rounds.toml", "include = [\"a.toml\", \"none.toml\", \"sub\", \"raw.toml\", 5]\n[site.shop]\ntitel = \"x\"\n"),
            ("a.toml", "include = \"b.toml\"\n[site.shop.http.home]\nurl = \"https://shop.example/\"\nevry = \"1s\"\n"),
            ("b.toml", "include = [\"a.toml\", \"b.toml\"]\n[site.shop.http.x]\nurl = \"https://shop.example/\"\npassword = 5 5\n"),
            ("sub/x", ""),
        ]);
        fs::write(folder.path().join("raw.toml"), b"a = \"\xff\"").unwrap();
        insta::assert_snapshot!(read(&folder, Standing::Trusted).unwrap_err());
    }

    #[test]
    fn a_pattern_may_match_nothing_itself_and_a_file_twice() {
        let folder = folder(&[("rounds.toml", "include = [\"*.toml\", \"a.toml\", \"none/*.toml\"]\n"), ("a.toml", HOME)]);
        assert_eq!(read(&folder, Standing::Trusted).unwrap().config.sources.len(), 1);
        let error = parse(b"include = \"a.toml\"", None, Standing::Trusted, &|_| None).unwrap_err().render(false, 100);
        assert!(error.contains("what is in no file"), "{error}");
    }

    #[test]
    fn trust_covers_what_is_included() {
        let run = "[site.shop]\n[site.shop.log.app]\ncommand = [\"tail\", \"-F\", \"x\"]\n";
        let folder = folder(&[("rounds.toml", "include = \"conf.d/*.toml\"\n"), ("conf.d/a.toml", run)]);
        let path = folder.path().join("rounds.toml");
        let standing = |store: &TrustStore| store.standing(&path, &gathered(&fs::read(&path).unwrap(), Some(&path)).unwrap().hash());
        let store = TrustStore::new(&folder.path().join("state"));
        assert_eq!(standing(&store), Standing::Never);
        let warned = read(&folder, Standing::Never).unwrap().warnings.lines().join("\n");
        assert!(warned.contains("the one source that runs a command stays unknown"), "{warned}");
        let content = gathered(&fs::read(&path).unwrap(), Some(&path)).unwrap().content();
        store.trust(&path, &content, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(standing(&store), Standing::Trusted);
        let before = digest(&path);
        fs::write(folder.path().join("conf.d/a.toml"), run.replace("tail", "rm")).unwrap();
        assert_eq!((standing(&store), digest(&path) == before), (Standing::Changed, false));
        fs::write(folder.path().join("conf.d/a.toml"), run).unwrap();
        fs::write(folder.path().join("conf.d/b.toml"), "").unwrap();
        assert_eq!(standing(&store), Standing::Changed, "another file came");
        // A configuration without others is known by its own bytes, as before there were any.
        assert_eq!(gathered(b"a = 1", Some(&path)).unwrap().content(), b"a = 1");
    }

    #[test]
    fn what_nobody_trusts_reads_nothing_from_elsewhere() {
        let elsewhere = folder(&[("private.toml", "hush = \"hush\"\n")]);
        let path = elsewhere.path().join("private.toml");
        let folder = folder(&[("rounds.toml", &format!("include = \"{}\"\n", path.display()))]);
        for standing in [Standing::Never, Standing::Changed] {
            let error = read(&folder, standing).unwrap_err();
            assert!(error.contains("what is not trusted includes nothing from elsewhere") && !error.contains("hush"), "{error}");
        }
        assert!(read(&folder, Standing::Trusted).unwrap_err().contains("unknown key `hush`"));
    }
}
