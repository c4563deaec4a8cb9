//! What a restored copy is, and loading it into a database where something is to be asked of it.
//!
//! What does not belong here: the databases themselves (`sqlite`, `postgres`).

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use nix::unistd::User;

use super::place::Mark;
use super::run::Halt;
use super::{Said, postgres, script, sqlite};
use crate::backups::{AssertConfig, DrillInto, Restored};
use crate::io::exec::{self, Limits, Program};

/// Names of a restored copy that are looked at for a dump.
const WALKED: usize = 200_000;
/// The beginning of a file by which it is known.
const HEAD: usize = 1_024;

/// What a copy turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A dump of SQLite as text.
    SqliteText(PathBuf),
    /// A dump of PostgreSQL as text.
    Plain(PathBuf),
    /// A dump in one of pg_dump's own formats: a file, or a folder with `toc.dat`.
    Archive(PathBuf),
    /// The data directory of a PostgreSQL server.
    Cluster(PathBuf),
}

/// A kind by the beginning of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    SqliteText,
    Plain,
    Archive,
    Mysql,
}

fn kind(head: &[u8]) -> Option<Kind> {
    if head.starts_with(b"SQLite format 3\0") {
        return Some(Kind::Sqlite);
    }
    // `pg_dump -Ft` puts its table of contents first.
    if head.starts_with(b"PGDMP") || head.get(257..262) == Some(b"ustar") && head.starts_with(b"toc.dat\0") {
        return Some(Kind::Archive);
    }
    let text = String::from_utf8_lossy(&head[..head.len().min(512)]);
    if text.contains("-- PostgreSQL database dump") || text.contains("-- PostgreSQL database cluster dump") {
        Some(Kind::Plain)
    } else if text.contains("-- MySQL dump") || text.contains("-- MariaDB dump") {
        Some(Kind::Mysql)
    } else if text.starts_with("PRAGMA foreign_keys=OFF;") {
        Some(Kind::SqliteText)
    } else {
        None
    }
}

fn head_of(mut file: impl std::io::Read) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD);
    // What cannot be read is no dump; reading it whole says why.
    let _ = file.by_ref().take(HEAD as u64).read_to_end(&mut head);
    head
}

/// How a file is packed, and what is in it.
fn seen(path: &Path) -> Option<(Option<&'static str>, Option<Kind>)> {
    let head = head_of(File::open(path).ok()?);
    Some(match head.as_slice() {
        [0x1f, 0x8b, ..] => (Some("gz"), kind(&head_of(MultiGzDecoder::new(BufReader::new(File::open(path).ok()?))))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => (Some("zst"), None),
        head => (None, kind(head)),
    })
}

/// Whether tables are asked about.
pub(super) fn asks_a_database(assert: &AssertConfig) -> bool {
    !(assert.tables.is_empty() && assert.rows.is_empty() && assert.newest.is_empty())
}

/// Where a dump is, in a restored copy. Blocks.
fn find(restored: &Restored, copy: &Path) -> Result<PathBuf, String> {
    match restored {
        Restored::Dump(path) | Restored::Cluster(path) => return Ok(path.clone()),
        Restored::Files => {}
    }
    let mut found: Vec<PathBuf> = Vec::new();
    let (mut waiting, mut walked) = (vec![copy.to_owned()], 0);
    while let Some(dir) = waiting.pop() {
        if dir.join("toc.dat").is_file() {
            found.push(dir);
            continue;
        }
        for entry in fs::read_dir(&dir).into_iter().flatten().filter_map(Result::ok) {
            walked += 1;
            if walked > WALKED {
                return Err(format!("the copy has more than {WALKED} names: let `drill.paths` name the dump in it"));
            }
            let Ok(about) = entry.file_type() else { continue };
            if about.is_dir() {
                waiting.push(entry.path());
            } else if about.is_file() {
                let named = || {
                    let name = entry.file_name().to_string_lossy().to_lowercase();
                    [".sql", ".dump", ".sqlite", ".sqlite3", ".db", ".psql", ".pgdump"].iter().any(|end| name.contains(end))
                };
                match seen(&entry.path()) {
                    Some((_, Some(_))) => found.push(entry.path()),
                    Some((Some("zst"), _)) if named() => found.push(entry.path()),
                    _ => {}
                }
            }
        }
    }
    let below = |path: &PathBuf| path.strip_prefix(copy).unwrap_or(path).display().to_string();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err("the copy holds no dump and no database that is known".to_owned()),
        several => {
            let names: Vec<String> = several.iter().take(3).map(below).collect();
            Err(format!("the copy holds {} dumps or databases ({}, …): let `drill.paths` name one", several.len(), names.join(", ")))
        }
    }
}

/// Unpacks it beside the copy where it is packed. Gives what it is.
async fn unpacked(path: PathBuf, into: Option<DrillInto>, scratch: &Path) -> Result<Shape, String> {
    if path.is_dir() {
        let cluster = path.join("PG_VERSION").is_file();
        return Ok(if cluster { Shape::Cluster(path) } else { Shape::Archive(path) });
    }
    let look = |path: PathBuf| async move { tokio::task::spawn_blocking(move || seen(&path)).await.ok().flatten() };
    let (packed, mut found) = look(path.clone()).await.ok_or_else(|| format!("{} cannot be read", path.display()))?;
    let mut path = path;
    if let Some(packed) = packed {
        let plain = scratch.join("unpacked");
        match packed {
            "gz" => {
                let (from, to) = (path.clone(), plain.clone());
                let work = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
                    let mut reader = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, File::open(from)?));
                    std::io::copy(&mut reader, &mut File::create_new(to)?).map(drop)
                });
                work.await.map_err(|_| "unpacking broke off".to_owned())?.map_err(|error| format!("gzip does not unpack: {error}"))?;
            }
            _ => {
                let argv = ["zstd", "-d", "-q", "-f", "-o", &plain.to_string_lossy(), "--", &path.to_string_lossy()].map(str::to_owned).to_vec();
                let output = exec::run(&Program::new(argv).low_priority(), Limits::within(super::LIMIT)).await.map_err(|error| error.to_string())?;
                if !output.ending.success() {
                    return Err(format!("zstd does not unpack: {}", output.last_error_line()));
                }
            }
        }
        path = plain;
        found = look(path.clone()).await.and_then(|(_, found)| found);
    }
    match (found, into) {
        (Some(Kind::Sqlite), None | Some(DrillInto::Sqlite)) => Ok(Shape::Sqlite(path)),
        (Some(Kind::SqliteText), None) | (Some(Kind::SqliteText) | None, Some(DrillInto::Sqlite)) => Ok(Shape::SqliteText(path)),
        (Some(Kind::Plain), None) | (Some(Kind::Plain) | None, Some(DrillInto::Postgres)) => Ok(Shape::Plain(path)),
        (Some(Kind::Archive), None | Some(DrillInto::Postgres)) => Ok(Shape::Archive(path)),
        (Some(Kind::Mysql), _) => Err("a dump of MySQL or MariaDB cannot be loaded yet: assert on its files, or load it by `assert.command`".to_owned()),
        (_, Some(wanted)) => Err(format!("the copy is nothing to be loaded into {}", if wanted == DrillInto::Sqlite { "SQLite" } else { "PostgreSQL" })),
        (None, None) => Err("the copy is no dump and no database that is known: `drill.into` says what it is loaded into".to_owned()),
    }
}

/// A database that was loaded, or nothing.
pub(super) enum Loaded {
    /// Files are looked at, nothing else.
    Nothing,
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(Box<postgres::Database>),
}

/// Ends what reads a database when the run that wanted it is over.
pub(super) struct Interrupt(Arc<Mutex<Option<rusqlite::InterruptHandle>>>);

impl Interrupt {
    pub(super) fn new() -> (Self, Arc<Mutex<Option<rusqlite::InterruptHandle>>>) {
        let handle = Arc::default();
        (Self(Arc::clone(&handle)), handle)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(handle) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            handle.interrupt();
        }
    }
}

/// What loading needs to know.
pub(super) struct Load<'a> {
    /// What the tool gave.
    pub restored: &'a Restored,
    /// Where it restored to.
    pub copy: &'a Path,
    /// The scratch place.
    pub scratch: &'a Path,
    /// What it is loaded into.
    pub into: Option<DrillInto>,
    /// What is asked of it.
    pub assert: &'a AssertConfig,
    /// A person's own server.
    pub server: Option<&'a crate::io::secret::Secret>,
    /// Whom the tool restored it as, where not as us.
    pub restored_as: Option<&'a User>,
}

/// Loads it. `remember` is told what is made before it is.
pub(super) async fn load(
    wanted: &Load<'_>,
    mark: &mut Mark,
    remember: &mut (dyn FnMut(&Mark) -> Result<(), Halt> + Send),
    tell: &mut (dyn FnMut(Said) + Send),
) -> Result<Loaded, Halt> {
    let asks = asks_a_database(wanted.assert) || wanted.into.is_some_and(|into| into != DrillInto::Files);
    let is_cluster = matches!(wanted.restored, Restored::Cluster(_));
    if wanted.into == Some(DrillInto::Files) || !(asks || is_cluster || is_database(wanted.restored)) {
        return Ok(Loaded::Nothing);
    }
    let (restored, copy) = (wanted.restored.clone(), wanted.copy.to_owned());
    let found = tokio::task::spawn_blocking(move || find(&restored, &copy)).await.map_err(|_| Halt::Failed("the look at the copy broke off".to_owned()))?;
    let shape = match found {
        Ok(path) => unpacked(path, wanted.into, wanted.scratch).await,
        Err(said) => Err(said),
    };
    let shape = match shape {
        Ok(shape) => shape,
        // Nothing is asked of it: its files are what is looked at.
        Err(_) if !asks => return Ok(Loaded::Nothing),
        Err(said) => return Err(Halt::Failed(said)),
    };
    match shape {
        Shape::Sqlite(path) => Ok(Loaded::Sqlite(path)),
        Shape::SqliteText(path) => {
            tell(Said::Doing("load the dump into a new SQLite file".to_owned()));
            let file = wanted.scratch.join("database.sqlite3");
            let (_interrupt, handle) = Interrupt::new();
            let to = file.clone();
            let work =
                tokio::task::spawn_blocking(move || sqlite::load(&path, &to, |begun| *handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun)));
            work.await.map_err(|_| Halt::Failed("the load broke off".to_owned()))?.map_err(|said| Halt::Failed(format!("the dump does not load: {said}")))?;
            Ok(Loaded::Sqlite(file))
        }
        Shape::Cluster(data) => {
            tell(Said::Doing("start a throw-away PostgreSQL server on the restored data".to_owned()));
            let mut database = begin(wanted, postgres::Data::Restored(data), mark, remember).await?;
            let tables: Vec<&str> = wanted.assert.tables.iter().chain(wanted.assert.rows.keys()).map(String::as_str).collect();
            database.choose(&tables).await.map_err(Halt::Failed)?;
            Ok(Loaded::Postgres(Box::new(database)))
        }
        Shape::Plain(dump) => {
            let path = dump.clone();
            let read = tokio::task::spawn_blocking(move || script::read(BufReader::with_capacity(1 << 18, File::open(path)?)));
            let seen = read.await.map_err(|_| Halt::Failed("the look at the dump broke off".to_owned()))?;
            let seen = seen.map_err(|error| Halt::Failed(format!("the dump cannot be read: {error}")))?;
            if let Some(foreign) = &seen.foreign {
                return Err(Halt::Failed(format!("the dump holds {foreign}, which no dump does: it is not loaded")));
            }
            if let (Some(beyond), true) = (&seen.beyond, wanted.server.is_some()) {
                let said = format!(
                    "the dump holds {beyond}, which reaches beyond one database: on your server it is not loaded; without `drill.server` a throw-away one takes it"
                );
                return Err(Halt::Failed(said));
            }
            let mut database = open(wanted, mark, remember, tell).await?;
            database.make_roles(&seen).await.map_err(|said| Halt::Failed(format!("the roles of the dump could not be made: {said}")))?;
            tell(Said::Doing("load the dump".to_owned()));
            let passed = database.load_plain(&dump).await;
            passed_over(passed, tell)?;
            if seen.beyond.is_some() {
                let tables: Vec<&str> = wanted.assert.tables.iter().chain(wanted.assert.rows.keys()).map(String::as_str).collect();
                database.choose(&tables).await.map_err(Halt::Failed)?;
            }
            Ok(Loaded::Postgres(Box::new(database)))
        }
        Shape::Archive(dump) => {
            let database = open(wanted, mark, remember, tell).await?;
            tell(Said::Doing("load the dump".to_owned()));
            let passed = database.load_archive(&dump).await;
            passed_over(passed, tell)?;
            Ok(Loaded::Postgres(Box::new(database)))
        }
    }
}

fn passed_over(loaded: Result<u64, String>, tell: &mut (dyn FnMut(Said) + Send)) -> Result<(), Halt> {
    match loaded {
        Ok(0) => Ok(()),
        Ok(passed) => {
            tell(Said::Line(format!("{passed} statements about roles that this server does not have were passed over")));
            Ok(())
        }
        Err(said) => Err(Halt::Failed(format!("the dump does not load: {said}"))),
    }
}

/// Whether what was restored is a database whatever is asked: then it is at least opened.
fn is_database(restored: &Restored) -> bool {
    match restored {
        Restored::Dump(path) => matches!(seen(path), Some((_, Some(Kind::Sqlite | Kind::SqliteText)))),
        Restored::Cluster(_) => true,
        Restored::Files => false,
    }
}

/// An empty database: on the person's server, else on a throw-away one.
async fn open(
    wanted: &Load<'_>,
    mark: &mut Mark,
    remember: &mut (dyn FnMut(&Mark) -> Result<(), Halt> + Send),
    tell: &mut (dyn FnMut(Said) + Send),
) -> Result<postgres::Database, Halt> {
    let Some(server) = wanted.server else {
        tell(Said::Doing("start a throw-away PostgreSQL server".to_owned()));
        return begin(wanted, postgres::Data::New, mark, remember).await;
    };
    let name = format!("rounds_drill_{}", super::place::random_name());
    tell(Said::Doing(format!("make the scratch database {name} on the configured server")));
    mark.database = Some(name.clone());
    remember(mark)?;
    postgres::create(server, &name).await.map_err(|said| Halt::Failed(format!("the scratch database could not be made: {said}")))
}

async fn begin(
    wanted: &Load<'_>,
    data: postgres::Data,
    mark: &mut Mark,
    remember: &mut (dyn FnMut(&Mark) -> Result<(), Halt> + Send),
) -> Result<postgres::Database, Halt> {
    let socket = postgres::socket_place(wanted.scratch);
    if let Some(socket) = &socket {
        mark.places.push(socket.clone());
        remember(mark)?;
    }
    postgres::start(wanted.scratch, data, socket, wanted.restored_as).await.map_err(Halt::Failed)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    async fn shape(files: &[(&str, &[u8])], into: Option<DrillInto>) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("copy");
        for (name, bytes) in files {
            let path = copy.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let path = find(&Restored::Files, &copy)?;
        let shape = unpacked(path, into, dir.path()).await?;
        let text = format!("{shape:?}");
        Ok(text.split('(').next().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn a_copy_is_known_by_what_is_in_it() {
        let plain = "--\n-- PostgreSQL database dump\n--\n";
        for (files, into, expected) in [
            (&[("srv/shop.sql", plain.as_bytes()), ("srv/readme", b"x")][..], None, "Plain"),
            (&[("shop.sql.gz", &packed(plain))], None, "Plain"),
            (&[("a.dump", b"PGDMP\x01")], None, "Archive"),
            (&[("d/toc.dat", b"PGDMP"), ("d/1.dat.gz", &packed("x"))], Some(DrillInto::Postgres), "Archive"),
            (&[("a", b"SQLite format 3\0...")], None, "Sqlite"),
            (&[("a.gz", &packed("PRAGMA foreign_keys=OFF;\n"))], Some(DrillInto::Sqlite), "SqliteText"),
        ] {
            assert_eq!(shape(files, into).await.as_deref(), Ok(expected), "{files:?}");
        }
        for (files, into, why) in [
            (&[("a.txt", &b"x"[..])][..], None, "no dump and no database"),
            (&[("a", plain.as_bytes()), ("b", plain.as_bytes())], None, "2 dumps"),
            (&[("a", b"-- MySQL dump 10\n")], None, "MySQL"),
            (&[("a", b"PGDMP")], Some(DrillInto::Sqlite), "nothing to be loaded into SQLite"),
        ] {
            let said = shape(files, into).await.unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
