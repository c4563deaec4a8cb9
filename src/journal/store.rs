//! The file itself: where it is, its schema and migrations, opening it, and what happens to one that is damaged or newer.
//!
//! What does not belong here: what is written (`writer`) and read (`reader`, `snapshot`, `follower`).

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::domain::Timestamp;

/// The journal's name inside the state directory.
pub const FILE: &str = "journal.sqlite";
/// The version of the schema this program writes, kept in SQLite's `user_version`.
pub const VERSION: i64 = 2;
/// Beside the journal when a process met damage in it: the next start looks at all of it.
const DAMAGED: &str = "journal.sqlite.damaged";
/// Held while opening, so that two starts neither migrate nor move aside at once.
const LOCK: &str = "journal.lock";
/// How long one process waits for another's transaction; these take milliseconds.
const BUSY: Duration = Duration::from_secs(5);

/// One step for each version, from the one before. Never changed once released; `tests/it/fixtures/journal` holds a file of each.
const MIGRATIONS: [&str; VERSION as usize] = [
    // 1. Times are milliseconds since the epoch unless the name says otherwise. `seq` counts all changes in the order in which
    //    they were committed, so that a follower asks for what is newer. `tail` holds the newest points of each series until
    //    there are enough for a block; each tier has a table of its own, since what ages together must lie together.
    "CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, swept INTEGER NOT NULL);
     INSERT INTO counter VALUES (1, 0, 0);
     CREATE TABLE processes (id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL, pid INTEGER NOT NULL, user TEXT NOT NULL,
       started INTEGER NOT NULL, beat INTEGER NOT NULL);
     CREATE TABLE leases (source TEXT PRIMARY KEY, process INTEGER NOT NULL) WITHOUT ROWID;
     CREATE TABLE latest (source TEXT PRIMARY KEY, seq INTEGER NOT NULL, writer INTEGER NOT NULL, at_ns INTEGER NOT NULL, body TEXT NOT NULL);
     CREATE INDEX latest_seq ON latest (seq);
     CREATE TABLE observations (id INTEGER PRIMARY KEY, source TEXT NOT NULL, capability TEXT NOT NULL, at INTEGER NOT NULL,
       hash BLOB NOT NULL, body BLOB NOT NULL);
     CREATE INDEX observations_of ON observations (source, capability, at);
     CREATE TABLE transitions (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, writer INTEGER NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL);
     CREATE INDEX transitions_at ON transitions (at);
     CREATE INDEX transitions_of ON transitions (subject, seq);
     CREATE TABLE acknowledgements (finding TEXT PRIMARY KEY, seq INTEGER NOT NULL, writer INTEGER NOT NULL, at INTEGER NOT NULL, body TEXT);
     CREATE TABLE series (id INTEGER PRIMARY KEY, source TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (source, name));
     CREATE TABLE tail (series INTEGER NOT NULL, at INTEGER NOT NULL, value REAL, failed INTEGER NOT NULL, PRIMARY KEY (series, at)) WITHOUT ROWID;
     CREATE TABLE raw_blocks (id INTEGER PRIMARY KEY, series INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, rows INTEGER NOT NULL, body BLOB NOT NULL);
     CREATE INDEX raw_blocks_of ON raw_blocks (series, last);
     CREATE TABLE minute_blocks (id INTEGER PRIMARY KEY, series INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, rows INTEGER NOT NULL, body BLOB NOT NULL);
     CREATE INDEX minute_blocks_of ON minute_blocks (series, last);
     CREATE TABLE hour_blocks (id INTEGER PRIMARY KEY, series INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, rows INTEGER NOT NULL, body BLOB NOT NULL);
     CREATE INDEX hour_blocks_of ON hour_blocks (series, last);",
    // 2. The error book: a row for each group of errors; `merged` is the group it was merged into, a row without a body tells that the group
    //    is gone. `book_logs` tells since when each source has a book, and up to which second (epoch) events are in it.
    "CREATE TABLE book (id INTEGER PRIMARY KEY, source TEXT NOT NULL, fingerprint TEXT NOT NULL, seq INTEGER NOT NULL, last INTEGER NOT NULL,
       merged TEXT, body TEXT, example BLOB, UNIQUE (source, fingerprint));
     CREATE INDEX book_seq ON book (seq);
     CREATE INDEX book_last ON book (last);
     CREATE INDEX book_merged ON book (source, merged) WHERE merged IS NOT NULL;
     CREATE TABLE book_logs (source TEXT PRIMARY KEY, begun INTEGER, upto INTEGER) WITHOUT ROWID;",
];

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said so.
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    /// The file system said so.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A later rounds wrote it.
    #[error("it has version {found} and this rounds knows version {VERSION}")]
    Newer {
        /// The version found.
        found: i64,
    },
    /// It was not opened by this rounds yet.
    #[error("it has version {found}: start this rounds once, which brings it to version {VERSION}")]
    Older {
        /// The version found.
        found: i64,
    },
}

impl StoreError {
    /// Whether the file is no sound database.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Sql(error) if is_damage(error))
    }
}

/// Whether SQLite says that the file is no sound database.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// A journal ready for writing.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) connection: Connection,
    /// Where a damaged one before it went, and what was wrong with it.
    pub(super) moved: Option<(PathBuf, String)>,
}

/// Opens the journal of `dir` for writing; creates directory and file, migrates an older one, moves a damaged one aside.
///
/// # Errors
/// When it is newer, or cannot be read or written here.
pub(super) fn open(dir: &Path, now: Timestamp) -> Result<Store, StoreError> {
    let fresh = !dir.exists();
    fs::create_dir_all(dir)?;
    if fresh {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    let mode = file_mode(dir)?;
    let lock = touch(&dir.join(LOCK), mode)?;
    // Where the file system has no locks we go on: SQLite then tells what does not work.
    let _ = lock.lock();
    let path = dir.join(FILE);
    match attempt(dir, &path, mode) {
        Err(error) if error.is_damage() => {
            let aside = move_aside(dir, now)?;
            Ok(Store { connection: attempt(dir, &path, mode)?, moved: Some((aside, error.to_string())) })
        }
        Err(error) => Err(error),
        Ok(connection) => Ok(Store { connection, moved: None }),
    }
}

/// 0600, and 0660 in a directory that a group shares.
fn file_mode(dir: &Path) -> std::io::Result<u32> {
    let shared = fs::metadata(dir)?.mode() & 0o2020 != 0;
    Ok(if shared { 0o660 } else { 0o600 })
}

/// Makes the file if it is not there, with its rights from the beginning: SQLite gives its side files the same.
fn touch(path: &Path, mode: u32) -> std::io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).read(true).mode(mode).open(path)?;
    let found = file.metadata()?;
    // The umask may have taken the group's rights; another owner's file is left as it is.
    if found.mode() & 0o777 != mode && found.uid() == nix::unistd::geteuid().as_raw() {
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    Ok(file)
}

fn attempt(dir: &Path, path: &Path, mode: u32) -> Result<Connection, StoreError> {
    drop(touch(path, mode)?);
    let mut connection = connect(path)?;
    let marker = dir.join(DAMAGED);
    if marker.exists() {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            let damage = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(damage, Some(verdict)).into());
        }
        fs::remove_file(marker)?;
    }
    migrate(&mut connection)?;
    // A look at every table finds most damage now rather than at the first write.
    for table in [
        "counter",
        "processes",
        "leases",
        "latest",
        "observations",
        "transitions",
        "acknowledgements",
        "series",
        "tail",
        "raw_blocks",
        "minute_blocks",
        "hour_blocks",
        "book",
        "book_logs",
    ] {
        connection.query_row(&format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 1)"), [], |_| Ok(()))?;
    }
    Ok(connection)
}

/// A connection for writing.
pub(super) fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    // Before anything that writes: a newer journal stays as it is, byte for byte.
    let version = user_version(&connection)?;
    if version <= VERSION {
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    }
    connection.execute_batch(
        "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 4194304; PRAGMA foreign_keys = OFF;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// A connection for writing to a journal that is there already and of this version.
pub(super) fn connect_known(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    match user_version(&connection)? {
        VERSION => Ok(connection),
        found if found > VERSION => Err(StoreError::Newer { found }),
        found => Err(StoreError::Older { found }),
    }
}

/// A connection that writes nothing, not even side files where the directory forbids them.
pub(super) fn connect_for_reading(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(BUSY)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    });
    let connection = match opened {
        // In a directory that cannot be written there is nobody who writes, so the file may be read as it lies.
        Err(error) if matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) && path.exists() => {
            let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags | OpenFlags::SQLITE_OPEN_URI)?
        }
        other => other?,
    };
    connection.execute_batch("PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY; PRAGMA query_only = ON;")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

pub(super) fn user_version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// The version of the journal in `dir`, without changing anything; `None`: there is none yet.
///
/// # Errors
/// When it cannot be read, or is no journal.
pub fn version_in(dir: &Path) -> Result<Option<i64>, StoreError> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(user_version(&connect_for_reading(&path)?)?))
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found = user_version(connection)?;
    if found > VERSION {
        return Err(StoreError::Newer { found });
    }
    if found == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again inside: another process may have been quicker.
    let found = user_version(&transaction)?;
    for (index, step) in MIGRATIONS.iter().enumerate() {
        if i64::try_from(index).is_ok_and(|index| index >= found) {
            transaction.execute_batch(step)?;
        }
    }
    if found < VERSION {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Renames the journal and its side files; the name tells when.
fn move_aside(dir: &Path, now: Timestamp) -> std::io::Result<PathBuf> {
    let stamp = now.format("%Y%m%dT%H%M%SZ");
    let mut name = format!("{FILE}.corrupt-{stamp}");
    let mut again = 1;
    while dir.join(&name).exists() {
        again += 1;
        name = format!("{FILE}.corrupt-{stamp}-{again}");
    }
    fs::rename(dir.join(FILE), dir.join(&name))?;
    for side in ["-wal", "-shm"] {
        let from = dir.join(format!("{FILE}{side}"));
        if from.exists() {
            fs::rename(from, dir.join(format!("{name}{side}")))?;
        }
    }
    let _ = fs::remove_file(dir.join(DAMAGED));
    Ok(dir.join(name))
}

/// Remembers that damage was met while running: other processes may have the file open, so it stays until the next start.
pub(super) fn mark_damaged(dir: &Path) {
    // If even this cannot be written, the next start meets the damage by itself.
    let _ = fs::write(dir.join(DAMAGED), b"");
}
