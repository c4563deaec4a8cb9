//! SQLite: a dump as text read into a new file, a file asked what it holds. Everything blocks.
//!
//! What does not belong here: what must hold (`assert`).

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

/// One statement of a dump is not longer than this, in bytes.
const STATEMENT: usize = 64 << 20;

/// Opens a scratch copy. It may be written to: what was not yet merged into the file is merged now.
pub(super) fn open(path: &Path) -> Result<Connection, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(told)?;
    // What a dump or a file defines runs with no more rights than a query of its own.
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON;").map_err(told)?;
    Ok(connection)
}

fn told(error: rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) | rusqlite::Error::InvalidParameterName(text) => text,
        other => other.to_string(),
    }
}

/// Reads a dump as `sqlite3 .dump` writes it into a new file. `begun` is given what breaks it off.
pub(super) fn load(dump: &Path, into: &Path, begun: impl FnOnce(rusqlite::InterruptHandle)) -> Result<(), String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(into, flags).map_err(told)?;
    begun(connection.get_interrupt_handle());
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(told)?;
    let mut text = BufReader::with_capacity(1 << 18, File::open(dump).map_err(|error| error.to_string())?);
    let (mut statement, mut number) = (Vec::new(), 0_u64);
    loop {
        let before = statement.len();
        let read = text.read_until(b'\n', &mut statement).map_err(|error| format!("the dump cannot be read: {error}"))?;
        if before == 0 {
            number += 1;
        }
        let ended = read == 0;
        let may_end = statement.trim_ascii_end().ends_with(b";");
        if statement.trim_ascii().is_empty() {
            statement.clear();
        } else if ended || may_end {
            let sql = std::str::from_utf8(&statement).map_err(|_| format!("statement {number} is no UTF-8"))?;
            match run(&connection, sql) {
                Ok(()) => statement.clear(),
                Err(error) if !ended && goes_on(&error) => {}
                Err(error) => return Err(format!("statement {number}: {}", told(error))),
            }
        }
        if ended {
            return Ok(());
        }
        if statement.len() > STATEMENT {
            return Err(format!("statement {number} is longer than {} MiB", STATEMENT >> 20));
        }
    }
}

/// Runs what stands there, whatever it gives. Each statement is prepared first, so that a part of one does nothing.
fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    for statement in rusqlite::Batch::new(connection, sql).iterator() {
        let mut statement = statement?;
        if statement.expanded_sql().is_some_and(|sql| reaches_out(&sql)) {
            return Err(rusqlite::Error::InvalidParameterName("it reaches for another file, which no dump does".to_owned()));
        }
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// Whether a statement opens or writes another file.
fn reaches_out(sql: &str) -> bool {
    let mut rest = sql.trim_start();
    loop {
        let after = if rest.starts_with("--") {
            rest.split_once('\n')
        } else if rest.starts_with("/*") {
            rest.split_once("*/")
        } else {
            None
        };
        match after {
            Some((_, after)) => rest = after.trim_start(),
            None => break,
        }
    }
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    ["attach", "detach", "vacuum"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether what failed may be the beginning of a statement: the line ended inside quotes or between `BEGIN` and `END`.
fn goes_on(error: &rusqlite::Error) -> bool {
    let text = error.to_string();
    text.contains("incomplete input") || text.contains("unrecognized token")
}

/// A name as a statement writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What the database says of itself; `Err` in its words when it is not whole.
pub(super) fn whole(connection: &Connection) -> Result<(), String> {
    let said: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(told)?;
    if said == "ok" { Ok(()) } else { Err(said) }
}

/// Whether it has a table, or a view, of this name.
pub(super) fn has(connection: &Connection, table: &str) -> Result<bool, String> {
    let found = connection.query_row("SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE", [table], |_| Ok(()));
    Ok(found.optional().map_err(told)?.is_some())
}

/// How many rows a table has.
pub(super) fn rows(connection: &Connection, table: &str) -> Result<u64, String> {
    connection.query_row(&format!("SELECT count(*) FROM {}", quoted(table)), [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs).map_err(told)
}

/// The largest value of a column, as text.
pub(super) fn newest(connection: &Connection, table: &str, column: &str) -> Result<Option<String>, String> {
    // In double quotes an unknown column would be a text.
    let known = connection.query_row("SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE", [table, column], |_| Ok(()));
    if known.optional().map_err(told)?.is_none() {
        return Err(format!("{table} has no column {column}"));
    }
    let sql = format!("SELECT CAST(max({}) AS TEXT) FROM {}", quoted(column), quoted(table));
    connection.query_row(&sql, [], |row| row.get::<_, Option<String>>(0)).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Result<(tempfile::TempDir, Connection), String> {
        let dir = tempfile::tempdir().unwrap();
        let (dump, file) = (dir.path().join("dump.sql"), dir.path().join("db"));
        std::fs::write(&dump, text).unwrap();
        load(&dump, &file, |_| {})?;
        let connection = open(&file)?;
        Ok((dir, connection))
    }

    const DUMP: &str = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE orders (id INTEGER, note TEXT, created TEXT);\n\
        INSERT INTO orders VALUES(1,'a;\nb''s;\n','2026-11-20 10:00:00');\nINSERT INTO orders VALUES(2,'x','2026-11-21 10:00:00');\n\
        CREATE TRIGGER t AFTER INSERT ON orders BEGIN\n  SELECT 1;\n  SELECT 2;\nEND;\nCOMMIT;\n";

    #[test]
    fn a_dump_is_read_back() {
        let (_dir, db) = loaded(DUMP).unwrap();
        assert_eq!(whole(&db), Ok(()));
        assert_eq!((has(&db, "Orders"), has(&db, "gone")), (Ok(true), Ok(false)));
        assert_eq!(rows(&db, "orders"), Ok(2));
        assert!(rows(&db, "gone").unwrap_err().contains("no such table"));
        assert_eq!(newest(&db, "orders", "created").unwrap().as_deref(), Some("2026-11-21 10:00:00"));
        assert_eq!(newest(&db, "orders", "made").unwrap_err(), "orders has no column made");
        assert!(db.execute("DELETE FROM orders", []).is_err(), "asking changes nothing");
    }

    #[test]
    fn a_cut_or_odd_dump_is_told() {
        assert!(loaded(&DUMP[..150]).unwrap_err().starts_with("statement 4: "));
        let said = loaded("SELECT missing FROM sqlite_master;\n").unwrap_err();
        assert!(said.contains("no such column"), "{said}");
        assert!(loaded("/* x */ -- y\n ATTACH 'x' AS y;\n").unwrap_err().contains("reaches for another file"));
        assert!(open(Path::new("/no/such/file")).is_err());
    }

    #[test]
    fn a_damaged_file_is_not_whole() {
        let (dir, db) = loaded(DUMP).unwrap();
        drop(db);
        let file = dir.path().join("db");
        let mut bytes = std::fs::read(&file).unwrap();
        let page = bytes.len() / 2;
        bytes[page..page + 200].fill(0xa5);
        std::fs::write(&file, bytes).unwrap();
        assert!(open(&file).and_then(|db| whole(&db)).is_err());
    }
}
