//! What a file is, by its first bytes and its name. Pure.

use std::path::Path;

/// So much of the beginning is enough to tell.
pub const HEAD: usize = 4_096;

/// What a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing that is known.
    Unknown,
    /// A dump as text, with the mark that its tool writes at the end.
    Sql(&'static str),
    /// pg_dump's custom format.
    Custom,
    /// pg_dump's directory format.
    Directory,
    /// An SQLite database.
    Sqlite,
    /// A tar archive.
    Tar,
    /// Packed by gzip.
    Gz,
    /// Packed by zstd.
    Zst,
    /// Encrypted: nobody looks into it without the key.
    Encrypted,
}

impl Form {
    /// For reading.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Sql(_) => Some("sql"),
            Self::Custom => Some("custom"),
            Self::Directory => Some("directory"),
            Self::Sqlite => Some("sqlite"),
            Self::Tar => Some("tar"),
            Self::Gz => Some("gzip"),
            Self::Zst => Some("zstd"),
            Self::Encrypted => Some("encrypted"),
        }
    }
}

/// By the first bytes.
#[must_use]
pub fn detect(head: &[u8]) -> Form {
    match head {
        [0x1f, 0x8b, ..] => Form::Gz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Form::Zst,
        // A frame to be skipped may stand first: RFC 8878, section 3.1.2.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Form::Zst,
        head if head.starts_with(b"PGDMP") => Form::Custom,
        head if head.starts_with(b"SQLite format 3\0") => Form::Sqlite,
        head if head.get(257..262) == Some(b"ustar") => Form::Tar,
        head if head.starts_with(b"-----BEGIN PGP MESSAGE-----") || head.starts_with(b"age-encryption.org/") => Form::Encrypted,
        head => mark(head).map_or(Form::Unknown, Form::Sql),
    }
}

/// Whether the name says that it is encrypted.
#[must_use]
pub fn is_encrypted(name: &Path) -> bool {
    let ends = |end: &str| name.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(end));
    ["gpg", "pgp", "age", "enc"].into_iter().any(ends)
}

/// The end mark that a dump with this beginning must have: what pg_dump and pg_dumpall, mysqldump and mariadb-dump, and sqlite3's `.dump` write.
fn mark(head: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&head[..head.len().min(512)]);
    if text.contains("-- PostgreSQL database cluster dump") {
        Some("-- PostgreSQL database cluster dump complete")
    } else if text.contains("-- PostgreSQL database dump") {
        Some("-- PostgreSQL database dump complete")
    } else if text.contains("-- MySQL dump") || text.contains("-- MariaDB dump") {
        Some("-- Dump completed")
    } else if text.starts_with("PRAGMA foreign_keys=OFF;") {
        Some("COMMIT;")
    } else {
        None
    }
}
