//! The demonstration's folder of dumps: real ones, compressed by gzip, a day apart, dated back from the start.
//!
//! What does not belong here: judging them (`sources::files`).

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Error, dice};
use crate::domain::Timestamp;

/// The folder, below the demonstration's directory.
pub const FOLDER: &str = "backups";
/// Copies of each data set, a day apart.
pub const COPIES: u32 = 14;
/// How old the newest one is.
const NEWEST_H: i64 = 6;
/// Rows of the oldest copy, and how many come in a day.
const ROWS: u32 = 1_400;
const GROWTH: u32 = 8;
/// What is left of the rows in the blog's newest copy; compressed, it is 38 % smaller than the median of those before.
const LEFT: f64 = 0.619;

/// One data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// The shop's, as it should be.
    Shop,
    /// The blog's, whose newest copy shrank: whole, and yet something is missing.
    Blog,
}

impl Set {
    const fn name(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Blog => "blog",
        }
    }

    const fn table(self) -> &'static str {
        match self {
            Self::Shop => "basket_line",
            Self::Blog => "comment",
        }
    }

    /// The copies, as a pattern below the demonstration's directory.
    pub fn pattern(self) -> String {
        format!("{FOLDER}/{}-*.sql.gz", self.name())
    }

    /// How many rows the copy of this day has; the last day is `COPIES - 1`.
    fn rows(self, day: u32) -> u32 {
        if self == Self::Blog && day + 1 == COPIES { (f64::from(ROWS + GROWTH * (COPIES / 2 - 1)) * LEFT) as u32 } else { ROWS + GROWTH * day }
    }

    /// A dump as text, with the end that tells that it is whole.
    fn text(self, rows: u32, at: Timestamp) -> String {
        let table = self.table();
        // As sqlite3's `.dump` writes it.
        let mut text = format!(
            "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE {table} (id INTEGER PRIMARY KEY, mark TEXT NOT NULL, pence INTEGER NOT NULL, made TEXT);\n"
        );
        let day = at.format("%Y-%m-%d");
        for row in 1..=u64::from(rows) {
            text.push_str(&format!("INSERT INTO {table} VALUES({row},'{:016x}',{},'{day}');\n", dice::roll(row), dice::between(row, 120, 9_900)));
        }
        text.push_str("COMMIT;\n");
        text
    }
}

/// Writes the copies below `dir`, the newest one hours old.
///
/// # Errors
/// When one is there already or cannot be written or dated.
pub fn write(dir: &Path, now: Timestamp) -> Result<(), Error> {
    let folder = dir.join(FOLDER);
    fs::create_dir_all(&folder).map_err(|e| Error::io("make the directory", &folder, e))?;
    for set in [Set::Shop, Set::Blog] {
        for day in 0..COPIES {
            let at = now - chrono::Duration::hours(NEWEST_H + 24 * i64::from(COPIES - 1 - day));
            let path = folder.join(format!("{}-{}.sql.gz", set.name(), at.format("%Y-%m-%d")));
            put(&path, &set.text(set.rows(day), at), at).map_err(|e| Error::io("write the dump", &path, e))?;
        }
    }
    Ok(())
}

fn put(path: &Path, text: &str, at: Timestamp) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut encoder = GzEncoder::new(file, Compression::fast());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()?.set_modified(at.into())
}
