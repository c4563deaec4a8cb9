//! What must hold of a restored copy. Every assertion is looked at, also after one that does not hold.
//!
//! What does not belong here: loading (`load`), the databases themselves (`sqlite`, `postgres`).

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::load::{Interrupt, Loaded};
use super::{Said, sqlite};
use crate::actions::mask::Mask;
use crate::actions::runner::{self, Progress};
use crate::actions::written;
use crate::backups::AssertConfig;
use crate::backups::schedule::long;
use crate::domain::time::duration_text;
use crate::domain::{Assertion, Copy, Timestamp, size_text};
use crate::io::exec::Program;
use crate::io::secret::Secret;

/// Files of a copy that are walked through.
const WALKED: usize = 2_000_000;
/// Files compared with the source where more are asked for.
const COMPARED: usize = 1_000;
/// How long a command may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(3);
/// What a value of a column shows of itself.
const SHOWN: usize = 40;

/// What is asserted on.
pub(super) struct Subject<'a> {
    /// The restored directory.
    pub copy_dir: &'a Path,
    /// The copy.
    pub copy: &'a Copy,
    /// What it was loaded into.
    pub loaded: &'a Loaded,
    /// Paths that the data set protects.
    pub protects: &'a [PathBuf],
    /// What must hold.
    pub assert: &'a AssertConfig,
    /// For lines of a command.
    pub mask: &'a Mask,
    /// Until when all must be done.
    pub deadline: Instant,
    /// Stops a command.
    pub stop: &'a CancellationToken,
}

/// One file of a restored copy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Restored {
    /// Below the restored directory.
    path: String,
    size: u64,
}

/// A number with commas between thousands.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn held(name: String, ok: bool, seen: impl Into<String>) -> Assertion {
    Assertion { name, ok, seen: seen.into() }
}

/// Looks at all of it.
pub(super) async fn all(subject: &Subject<'_>, tell: &mut (dyn FnMut(Said) + Send)) -> Vec<Assertion> {
    let mut all = Vec::new();
    let mut add = |assertion: Assertion, tell: &mut (dyn FnMut(Said) + Send)| {
        tell(Said::Line(format!("{} {}: {}", if assertion.ok { "holds" } else { "FAILS" }, assertion.name, assertion.seen)));
        all.push(assertion);
    };
    let dir = subject.copy_dir.to_owned();
    let files = tokio::task::spawn_blocking(move || walk(&dir)).await.unwrap_or_default();
    let total: u64 = files.iter().map(|file| file.size).sum();
    let some = format!("{} {}, {}", thousands(files.len() as u64), if files.len() == 1 { "file" } else { "files" }, size_text(total));
    add(held("something was restored".to_owned(), total > 0, if files.is_empty() { "nothing".to_owned() } else { some }), tell);
    for pattern in &subject.assert.files {
        add(there(pattern, &files), tell);
    }
    for assertion in database(subject).await {
        add(assertion, tell);
    }
    if let Some(count) = subject.assert.same {
        let (dir, copy, protects) = (subject.copy_dir.to_owned(), subject.copy.clone(), subject.protects.to_vec());
        let compared = tokio::task::spawn_blocking(move || same(count as usize, files, &dir, &copy, &protects)).await;
        add(compared.unwrap_or_else(|_| held("files are the same as in the source".to_owned(), false, "the look broke off")), tell);
    }
    if let Some(argv) = &subject.assert.command {
        let assertion = command(subject, argv, tell).await;
        add(assertion, tell);
    }
    all
}

/// The files of a copy, in order. Links are not followed. Blocks.
fn walk(dir: &Path) -> Vec<Restored> {
    let (mut files, mut waiting) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                waiting.push(entry.path());
            } else if about.is_file() && files.len() < WALKED {
                let path = entry.path();
                files.push(Restored { path: path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned(), size: about.len() });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Whether files of this name are there, and one of them is not empty.
fn there(pattern: &str, files: &[Restored]) -> Assertion {
    let name = format!("{pattern} is there and not empty");
    // `*` is any text, also with `/` in it, as the key's words say.
    let Ok(glob) = glob::Pattern::new(pattern.trim_start_matches('/')) else { return held(name, false, "this is no pattern") };
    let found: Vec<&Restored> = files.iter().filter(|file| glob.matches(&file.path)).collect();
    let size: u64 = found.iter().map(|file| file.size).sum();
    match found.as_slice() {
        [] => held(name, false, "no such file"),
        [one] => held(name, size > 0, if size > 0 { size_text(one.size) } else { "it is empty".to_owned() }),
        several => {
            held(name, size > 0, if size > 0 { format!("{} files, {}", thousands(several.len() as u64), size_text(size)) } else { "all are empty".to_owned() })
        }
    }
}

/// An answer of a database, of whichever kind.
enum Answer {
    Has(Result<bool, String>),
    Rows(Result<u64, String>),
    Newest(Result<Option<String>, String>),
}

/// A question to it.
#[derive(Clone)]
enum Question {
    Has(String),
    Rows(String),
    Newest(String, String),
}

async fn ask(loaded: &Loaded, questions: Vec<Question>) -> (Option<Result<(), String>>, Vec<Answer>) {
    match loaded {
        Loaded::Nothing => {
            let no = || "nothing was loaded into a database".to_owned();
            let none = questions.iter().map(|question| match question {
                Question::Has(_) => Answer::Has(Err(no())),
                Question::Rows(_) => Answer::Rows(Err(no())),
                Question::Newest(..) => Answer::Newest(Err(no())),
            });
            (None, none.collect())
        }
        Loaded::Sqlite(path) => {
            let (path, (_interrupt, handle)) = (path.clone(), Interrupt::new());
            let work = tokio::task::spawn_blocking(move || {
                let database = match sqlite::open(&path) {
                    Ok(database) => database,
                    Err(said) => return (Some(Err(said)), Vec::new()),
                };
                *handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(database.get_interrupt_handle());
                let whole = sqlite::whole(&database);
                let answer = |question: Question| match question {
                    Question::Has(table) => Answer::Has(sqlite::has(&database, &table)),
                    Question::Rows(table) => Answer::Rows(sqlite::rows(&database, &table)),
                    Question::Newest(table, column) => Answer::Newest(sqlite::newest(&database, &table, &column)),
                };
                (Some(whole), questions.into_iter().map(answer).collect())
            });
            work.await.unwrap_or_else(|_| (Some(Err("the look at it broke off".to_owned())), Vec::new()))
        }
        Loaded::Postgres(database) => {
            let mut answers = Vec::new();
            for question in questions {
                answers.push(match question {
                    Question::Has(table) => Answer::Has(database.has(&table).await),
                    Question::Rows(table) => Answer::Rows(database.rows(&table).await),
                    Question::Newest(table, column) => Answer::Newest(database.newest(&table, &column).await),
                });
            }
            (None, answers)
        }
    }
}

/// What is asked of a database.
async fn database(subject: &Subject<'_>) -> Vec<Assertion> {
    let assert = subject.assert;
    let column = |name: &String| name.rsplit_once('.').map(|(table, column)| (table.to_owned(), column.to_owned()));
    let questions: Vec<Question> = assert
        .tables
        .iter()
        .map(|table| Question::Has(table.clone()))
        .chain(assert.rows.keys().map(|table| Question::Rows(table.clone())))
        .chain(assert.newest.keys().filter_map(column).map(|(table, column)| Question::Newest(table, column)))
        .collect();
    if questions.is_empty() && !matches!(subject.loaded, Loaded::Sqlite(_)) {
        return Vec::new();
    }
    let (whole, answers) = ask(subject.loaded, questions).await;
    let mut all = Vec::new();
    if let Some(whole) = whole {
        all.push(held("the database is whole".to_owned(), whole.is_ok(), whole.err().unwrap_or_else(|| "its own check found nothing".to_owned())));
    }
    let mut answers = answers.into_iter();
    let missing = || "it could not be asked".to_owned();
    for table in &assert.tables {
        let name = format!("table {table} is there");
        all.push(match answers.next() {
            Some(Answer::Has(Ok(true))) => held(name, true, "it is"),
            Some(Answer::Has(Ok(false))) => held(name, false, "no such table"),
            Some(Answer::Has(Err(said))) => held(name, false, said),
            _ => held(name, false, missing()),
        });
    }
    for (table, least) in &assert.rows {
        let name = format!("rows of {table} at least {}", thousands(*least));
        all.push(match answers.next() {
            Some(Answer::Rows(Ok(rows))) => held(name, rows >= *least, thousands(rows)),
            Some(Answer::Rows(Err(said))) => held(name, false, said),
            _ => held(name, false, missing()),
        });
    }
    for (column, most) in &assert.newest {
        let name = format!("newest {column} at most {} before the copy", duration_text(most.get()));
        all.push(match answers.next() {
            Some(Answer::Newest(Ok(value))) => newest(name, value.as_deref(), most.get(), subject.copy),
            Some(Answer::Newest(Err(said))) => held(name, false, said),
            _ => held(name, false, missing()),
        });
    }
    all
}

/// Whether the newest value of a column is young enough, seen from the moment at which the copy was made.
fn newest(name: String, value: Option<&str>, most: Duration, copy: &Copy) -> Assertion {
    let Some(value) = value else { return held(name, false, "there is none") };
    let Some(at) = moment(value) else {
        return held(name, false, format!("\"{}\" is no time", value.chars().filter(|c| !c.is_control()).take(SHOWN).collect::<String>()));
    };
    // What was written while the copy was made is younger than its beginning.
    let age = crate::domain::time::since(at, copy.started.unwrap_or(copy.at));
    held(name, age <= most, if age < Duration::from_secs(60) { "as new as the copy".to_owned() } else { format!("{} before it", long(age)) })
}

/// A time as databases write it: with or without a zone (then UTC), a date, or seconds or milliseconds since 1970.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        // Seconds reach this in the year 5138.
        let seconds = if number.abs() >= 1e11 { number / 1_000.0 } else { number };
        return (number.abs() >= 1e8).then(|| DateTime::<Utc>::from_timestamp(seconds as i64, 0)).flatten();
    }
    let zoned = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"];
    if let Some(at) = zoned.iter().find_map(|format| DateTime::parse_from_str(text, format).ok()) {
        return Some(at.to_utc());
    }
    let bare = text.strip_suffix('Z').unwrap_or(text);
    let plain = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    if let Some(at) = plain.iter().find_map(|format| NaiveDateTime::parse_from_str(bare, format).ok()) {
        return Some(at.and_utc());
    }
    NaiveDate::parse_from_str(bare, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0)).map(|at| at.and_utc())
}

/// The SHA-256 of a file. Blocks.
fn digest(path: &Path) -> std::io::Result<[u8; 32]> {
    let (mut file, mut hash, mut piece) = (File::open(path)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&piece[..read]);
    }
}

/// Compares files chosen at random with the source's, where these did not change since the copy was begun. Blocks.
fn same(count: usize, mut files: Vec<Restored>, dir: &Path, copy: &Copy, protects: &[PathBuf]) -> Assertion {
    let count = count.min(COMPARED);
    let name = format!("{count} files are the same as in the source");
    let roots: Vec<PathBuf> =
        std::iter::once(PathBuf::from("/")).chain(protects.iter().flat_map(|path| [Some(path.clone()), path.parent().map(Path::to_owned)]).flatten()).collect();
    let unchanged = copy.started.unwrap_or(copy.at);
    let (mut compared, mut changed, mut gone) = (0, 0, 0);
    while compared < count && !files.is_empty() {
        let at = std::hash::RandomState::new().build_hasher().finish() as usize % files.len();
        let file = files.swap_remove(at);
        let Some((source, about)) =
            roots.iter().map(|root| root.join(&file.path)).find_map(|path| Some((path.clone(), path.metadata().ok().filter(std::fs::Metadata::is_file)?)))
        else {
            gone += 1;
            continue;
        };
        let written = about.modified().map_or(unchanged + chrono::TimeDelta::days(1), DateTime::<Utc>::from);
        if written >= unchanged {
            changed += 1;
            continue;
        }
        match (digest(&dir.join(&file.path)), digest(&source)) {
            (Ok(restored), Ok(original)) if restored == original => compared += 1,
            (Ok(_), Ok(_)) => return held(name, false, format!("{} is another", file.path)),
            (Err(error), _) => return held(name, false, format!("{}: {}", file.path, error.kind())),
            // Who may restore need not be able to read all of the source.
            (_, Err(_)) => gone += 1,
        }
    }
    match (compared, changed, gone) {
        (0, 0, 0) => held(name, false, "there are no files"),
        (0, changed, gone) => held(name, false, format!("nothing could be compared: {changed} changed since, {gone} are not there")),
        (compared, ..) if compared == count => held(name, true, format!("{compared} compared")),
        (compared, changed, gone) => held(name, true, format!("{compared} compared; {changed} changed since, {gone} are not there")),
    }
}

/// Runs a person's own command in the restored directory.
async fn command(subject: &Subject<'_>, argv: &[String], tell: &mut (dyn FnMut(Said) + Send)) -> Assertion {
    let name = format!("{} ends well", subject.mask.text(&written(argv)));
    let text = |path: &Path| Secret::new(path.to_string_lossy().into_owned());
    let mut program = Program::new(argv.to_vec()).directory(subject.copy_dir).env("ROUNDS_DRILL_DIR", text(subject.copy_dir)).low_priority();
    match subject.loaded {
        Loaded::Nothing => {}
        Loaded::Sqlite(path) => program = program.env("ROUNDS_DRILL_DATABASE", text(path)),
        Loaded::Postgres(database) => {
            program = program.env("ROUNDS_DRILL_DATABASE", Secret::new(database.name.clone()));
            for (name, value) in database.variables() {
                program = program.env(&name, value);
            }
        }
    }
    let left = subject.deadline.saturating_duration_since(Instant::now());
    let mut last = String::new();
    let ended = runner::program(&program, (left, GRACE), subject.stop, subject.mask, |progress| {
        if let Progress::Output(lines, _) = progress {
            for line in lines {
                last.clone_from(&line);
                tell(Said::Line(line));
            }
        }
        true
    })
    .await;
    match ended {
        Ok(()) => held(name, true, if last.is_empty() { "exit 0".to_owned() } else { last }),
        Err(words) if last.is_empty() => held(name, false, words),
        Err(words) => held(name, false, format!("{words}: {last}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn times_are_read_as_databases_write_them() {
        let expected = DateTime::parse_from_rfc3339("2026-11-20T10:30:00Z").unwrap().to_utc();
        for text in [
            "2026-11-20 10:30:00+00",
            "2026-11-20 11:30:00.000+01:00",
            "2026-11-20T10:30:00Z",
            "2026-11-20 10:30:00.000000",
            "2026-11-20 10:30",
            "1795170600",
            "1795170600000",
        ] {
            assert_eq!(moment(text), Some(expected), "{text}");
        }
        assert_eq!(moment("2026-11-20").map(|at| at.to_rfc3339()), Some("2026-11-20T00:00:00+00:00".to_owned()));
        for text in ["", "yesterday", "42", "NaN", "inf", "1e300", "-1e18", "99999-01-01"] {
            let _ = moment(text);
        }
        assert_eq!((moment("42"), moment("soon")), (None, None));
    }

    #[test]
    fn files_are_there_and_not_empty() {
        let files = [("srv/a/dump.sql", 10), ("srv/b/dump.sql", 0), ("empty", 0)].map(|(path, size)| Restored { path: path.into(), size });
        for (pattern, ok, seen) in [
            ("*/dump.sql", true, "2 files, 10 B"),
            ("/srv/a/dump.sql", true, "10 B"),
            ("srv/b/*", false, "it is empty"),
            ("**/gone", false, "no such file"),
            ("empty", false, "it is empty"),
        ] {
            let assertion = there(pattern, &files);
            assert_eq!((assertion.ok, assertion.seen.as_str()), (ok, seen), "{pattern}");
        }
    }

    #[test]
    fn age_counts_from_the_copy() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        let copy = Copy { at: at("2026-11-20T12:00:00Z"), started: Some(at("2026-11-20T11:00:00Z")), ..Copy::default() };
        let day = Duration::from_secs(86_400);
        let seen = |value: Option<&str>| {
            let assertion = newest(String::new(), value, day, &copy);
            (assertion.ok, assertion.seen)
        };
        assert_eq!(seen(Some("2026-11-20 10:00:00")), (true, "1 hour before it".to_owned()));
        assert_eq!(seen(Some("2026-11-20 11:30:00")), (true, "as new as the copy".to_owned()));
        assert_eq!(seen(Some("2026-11-18 10:00:00")), (false, "2 days before it".to_owned()));
        assert_eq!(seen(None), (false, "there is none".to_owned()));
        assert_eq!(seen(Some("\u{1b}soon")), (false, "\"soon\" is no time".to_owned()));
    }

    #[test]
    fn a_sample_is_compared_where_the_source_did_not_change() {
        let dir = tempfile::tempdir().unwrap();
        let (source, restored) = (dir.path().join("media"), dir.path().join("copy"));
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let put = |root: &Path, name: &str, text: &str, old_one: bool| {
            let path = root.join("media").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            if old_one {
                File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
            }
        };
        for n in 0..5 {
            put(dir.path(), &n.to_string(), "same", true);
            put(&restored, &n.to_string(), "same", false);
        }
        let copy = Copy { at: DateTime::from(old) + chrono::TimeDelta::days(1), ..Copy::default() };
        let look = |count| same(count, walk(&restored), &restored, &copy, std::slice::from_ref(&source));
        assert_eq!((look(3).ok, look(3).seen.as_str()), (true, "3 compared"));
        put(dir.path(), "4", "changed since", false);
        put(&restored, "gone", "x", false);
        assert_eq!(look(9).seen, "4 compared; 1 changed since, 1 are not there");
        put(&restored, "2", "other", false);
        assert_eq!((look(9).ok, look(9).seen.as_str()), (false, "media/2 is another"));
        let nothing = same(3, walk(&restored), &restored, &Copy::default(), &[]);
        assert!(!nothing.ok && nothing.seen.starts_with("nothing could be compared"), "{nothing:?}");
    }
}
