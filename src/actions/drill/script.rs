//! Reads a dump as text before it is handed to a server: which roles it names, and what it would do beyond its own database. Pure.
//!
//! A dump of a whole server creates, drops and connects to databases by name: loaded on a person's own server it would replace the very
//! data that it protects. The reading knows psql's rules of what is code and what is text in quotes or rows of a table
//! (PostgreSQL documentation, "Lexical Structure" and "psql, Meta-Commands").

use std::collections::BTreeSet;
use std::io::{self, BufRead};

/// So much of a statement is looked at.
const HEAD: usize = 8 << 10;
/// So much of its end, where it is longer.
const TAIL: usize = 64;
/// Roles that are remembered.
const ROLES: usize = 500;

/// What a dump would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Roles that own something or are granted something.
    pub roles: BTreeSet<String>,
    /// The first thing that reaches beyond one database: `CREATE DATABASE`, `\connect`.
    pub beyond: Option<String>,
    /// The first thing that no dump does: a command for the shell, a program on the server.
    pub foreign: Option<String>,
}

/// Where the reading is.
#[derive(Debug, PartialEq, Eq)]
enum At {
    Code,
    /// In quotes; whether a backslash escapes there.
    Single(bool),
    Double,
    /// After a `$` that may begin a dollar quote.
    Opening(Vec<u8>),
    /// In one with this tag; what may be its end.
    Dollar(Vec<u8>, Option<Vec<u8>>),
    Line,
    Block(u32),
    /// A command of psql.
    Command(Vec<u8>),
    /// After `COPY … FROM stdin;` on the same line.
    BeforeRows,
    /// Rows of a table: the beginning of the line.
    Rows(Vec<u8>),
}

struct Reading {
    at: At,
    before: u8,
    escaped: bool,
    /// The word that is being read.
    word: Vec<u8>,
    head: Vec<u8>,
    tail: Vec<u8>,
    seen: Seen,
}

/// Reads a dump to its end.
pub(super) fn read(mut text: impl BufRead) -> io::Result<Seen> {
    let mut reading = Reading { at: At::Code, before: b'\n', escaped: false, word: Vec::new(), head: Vec::new(), tail: Vec::new(), seen: Seen::default() };
    loop {
        let piece = text.fill_buf()?;
        if piece.is_empty() {
            reading.line_end();
            reading.statement();
            return Ok(reading.seen);
        }
        let length = piece.len();
        for byte in piece {
            reading.step(*byte);
        }
        text.consume(length);
    }
}

/// Reads any bytes as a dump, for fuzzing: must not panic.
pub fn fuzz(bytes: &[u8]) {
    let _ = read(bytes);
}

const fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

impl Reading {
    fn step(&mut self, byte: u8) {
        match &mut self.at {
            At::Code => self.code(byte),
            At::Single(escapes) => {
                let escapes = *escapes;
                self.note(byte);
                if self.escaped {
                    self.escaped = false;
                } else if escapes && byte == b'\\' {
                    self.escaped = true;
                } else if byte == b'\'' {
                    // Two in a row close and open again, which comes to the same.
                    self.at = At::Code;
                    self.word = if escapes { b"e".to_vec() } else { Vec::new() };
                }
            }
            At::Double => {
                self.note(byte);
                if byte == b'"' {
                    self.at = At::Code;
                    self.word.clear();
                }
            }
            At::Opening(tag) => match byte {
                b'$' => self.at = At::Dollar(std::mem::take(tag), None),
                byte if in_word(byte) && tag.len() < 64 && !(tag.is_empty() && byte.is_ascii_digit()) => tag.push(byte),
                byte => {
                    self.at = At::Code;
                    self.code(byte);
                }
            },
            At::Dollar(tag, end) => match (byte, &mut *end) {
                (b'$', Some(found)) if found == tag => {
                    self.at = At::Code;
                    self.word.clear();
                }
                (b'$', _) => *end = Some(Vec::new()),
                (byte, Some(found)) if found.len() < tag.len() => found.push(byte),
                _ => *end = None,
            },
            At::Line => {
                if byte == b'\n' {
                    self.at = At::Code;
                }
            }
            At::Block(depth) => match (self.before, byte) {
                (b'*', b'/') => {
                    *depth -= 1;
                    self.before = 0;
                    if *depth == 0 {
                        self.at = At::Code;
                    }
                    return;
                }
                (b'/', b'*') => {
                    *depth = depth.saturating_add(1);
                    self.before = 0;
                    return;
                }
                _ => {}
            },
            At::Command(command) => {
                if byte == b'\n' {
                    self.line_end();
                } else if command.len() < 200 {
                    command.push(byte);
                }
            }
            At::BeforeRows => {
                if byte == b'\n' {
                    self.at = At::Rows(Vec::new());
                }
            }
            At::Rows(line) => {
                if byte == b'\n' {
                    let end = line.as_slice() == b"\\." || line.as_slice() == b"\\.\r";
                    line.clear();
                    if end {
                        self.at = At::Code;
                    }
                } else if line.len() < 4 {
                    line.push(byte);
                }
            }
        }
        self.before = byte;
    }

    fn code(&mut self, byte: u8) {
        match byte {
            b'\'' => {
                let escapes = self.word.eq_ignore_ascii_case(b"e");
                self.note(byte);
                self.at = At::Single(escapes);
            }
            b'"' => {
                self.note(byte);
                self.at = At::Double;
            }
            b'$' if self.word.is_empty() => self.at = At::Opening(Vec::new()),
            b'-' if self.before == b'-' => self.at = At::Line,
            b'*' if self.before == b'/' => {
                self.at = At::Block(1);
                // The star is the opening's, not the beginning of an end.
                self.before = 0;
            }
            b'\\' => self.at = At::Command(Vec::new()),
            b';' => self.statement(),
            byte => self.note(byte),
        }
        if in_word(byte) {
            if self.word.len() < 64 {
                self.word.push(byte);
            }
        } else if self.at == At::Code {
            self.word.clear();
        }
    }

    /// A byte of a statement; blanks are told once.
    fn note(&mut self, byte: u8) {
        let byte = if byte.is_ascii_whitespace() { b' ' } else { byte };
        let last = self.tail.last().or(self.head.last()).copied();
        if byte == b' ' && last.is_none_or(|last| last == b' ') {
            return;
        }
        if self.head.len() < HEAD {
            self.head.push(byte);
            return;
        }
        if self.tail.len() >= 2 * TAIL {
            self.tail.drain(..TAIL);
        }
        self.tail.push(byte);
    }

    /// The end of a line, or of the text.
    fn line_end(&mut self) {
        let At::Command(command) = &self.at else { return };
        let command = String::from_utf8_lossy(command).trim().to_owned();
        let word = command.split(|c: char| c.is_whitespace()).next().unwrap_or_default();
        match word {
            "restrict" | "unrestrict" | "." => {}
            "connect" | "c" => {
                self.seen.beyond.get_or_insert(format!("\\{word}"));
            }
            // An empty one is a separator of psql's, which does nothing.
            "" | "\\" => {}
            _ => {
                self.seen.foreign.get_or_insert(format!("\\{}", word.chars().filter(|c| !c.is_control()).take(20).collect::<String>()));
            }
        }
        self.at = At::Code;
    }

    fn statement(&mut self) {
        let text = format!("{}{}", String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&self.tail));
        self.head.clear();
        self.tail.clear();
        // Comments left their first sign.
        let text = text.trim_start_matches(['-', '/', ' ']).trim_end();
        let lower = text.to_ascii_lowercase();
        let begins = |words: &str| lower.strip_prefix(words).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
        if begins("copy") {
            if lower.contains(" program '") || lower.contains(" program e'") {
                self.seen.foreign.get_or_insert("COPY … PROGRAM".to_owned());
            }
            if lower.contains(" from stdin") {
                self.at = At::BeforeRows;
            }
        }
        for words in [
            "create database",
            "drop database",
            "alter database",
            "create role",
            "create user",
            "create group",
            "alter role",
            "alter user",
            "drop role",
            "drop user",
            "create tablespace",
            "drop tablespace",
            "alter system",
            "create server",
            "create subscription",
        ] {
            // A user mapping belongs to its database.
            if begins(words) && !begins("create user mapping") && !begins("alter user mapping") && !begins("drop user mapping") {
                self.seen.beyond.get_or_insert(words.to_ascii_uppercase());
            }
        }
        let after = |words: &str| lower.rfind(words).and_then(|at| text.get(at + words.len()..));
        let named = match () {
            () if begins("alter") && lower.contains(" owner to ") => after(" owner to "),
            () if begins("grant") && lower.contains(" to ") => after(" to "),
            () if begins("revoke") && lower.contains(" from ") => after(" from "),
            () if begins("alter default privileges for role") => text.get("alter default privileges for role ".len()..),
            () => None,
        };
        let names = named.into_iter().flat_map(|named| named.split(',')).filter_map(role);
        let room = ROLES.saturating_sub(self.seen.roles.len());
        self.seen.roles.extend(names.take(room).collect::<Vec<_>>());
    }
}

/// The name of a role as it is written, without its quotes.
fn role(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut letters = quoted.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if letters.peek() == Some(&'"') => {
                    letters.next();
                    name.push('"');
                }
                '"' => return Some(name).filter(|name| !name.is_empty()),
                letter => name.push(letter),
            }
        }
        return None;
    }
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '$').collect();
    (!name.is_empty() && !["public", "current_user", "session_user", "current_role"].contains(&name.to_ascii_lowercase().as_str())).then(|| name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(text: &str) -> Seen {
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_ordinary_dump_reaches_nowhere() {
        let text = "--\n-- PostgreSQL database dump\n--\n\\restrict abc\nSET client_encoding = 'UTF8';\n\
            CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ SELECT '\\connect x; DROP DATABASE y;' $_$;\n\
            CREATE TABLE public.orders (id integer, note text DEFAULT 'it''s; \\! rm');\n\
            ALTER TABLE public.orders OWNER TO shop;\nALTER TABLE a OWNER TO \"Odd \"\"one\";\n\
            COPY public.orders (id, note) FROM stdin;\n1\t\\N\n2\tCREATE DATABASE x;\n\\! not a command\n\\.\n\n\
            INSERT INTO t VALUES (E'a\\'b\n\\! no', 'c\n\\connect d');\n/* DROP DATABASE /* x; */ \\! */\n\
            GRANT SELECT ON TABLE public.orders TO reader, PUBLIC;\n-- DROP DATABASE z;\n\\unrestrict abc\n";
        let seen = seen(text);
        assert_eq!((seen.beyond, seen.foreign), (None, None));
        assert_eq!(seen.roles.iter().map(String::as_str).collect::<Vec<_>>(), ["Odd \"one", "reader", "shop"]);
    }

    #[test]
    fn what_reaches_beyond_is_told() {
        for (text, beyond) in [
            ("\\connect shop\n", "\\connect"),
            ("SELECT 1;\n\\c shop", "\\c"),
            ("create\n  DATABASE shop;", "CREATE DATABASE"),
            ("-- x\nDROP DATABASE IF EXISTS shop;\n", "DROP DATABASE"),
            ("/* x */ ALTER ROLE postgres WITH SUPERUSER;", "ALTER ROLE"),
            ("COPY a FROM stdin;\n1\n\\.\nALTER SYSTEM SET a = 1;", "ALTER SYSTEM"),
            ("SELECT $a$ x $b$ $a$; CREATE ROLE b;", "CREATE ROLE"),
            ("SELECT 'a'; DROP DATABASE x", "DROP DATABASE"),
        ] {
            assert_eq!(seen(text).beyond.as_deref(), Some(beyond), "{text}");
        }
        for text in ["CREATE USER MAPPING FOR x SERVER y;", "CREATE DATABASES;", "SELECT 'DROP DATABASE x;';"] {
            assert_eq!(seen(text).beyond, None, "{text}");
        }
    }

    #[test]
    fn what_no_dump_does_is_told() {
        for (text, foreign) in [
            ("\\! rm -rf x\n", "\\!"),
            ("SELECT 1 \\g |sh\n", "\\g"),
            ("\\copy a from 'x'", "\\copy"),
            ("COPY a FROM PROGRAM 'sh';", "COPY … PROGRAM"),
            ("SELECT 'a\\'; \\! sh\n", "\\!"),
        ] {
            assert_eq!(seen(text).foreign.as_deref(), Some(foreign), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(prop::sample::select(b"\\'\"$-/*;\n aeE1.copy from stdin".to_vec()), 0..400)) {
            fuzz(&bytes);
        }
    }
}
