//! The structure of what pg_dump writes in its custom and directory formats: header, table of contents, blocks of data.
//!
//! `pg_restore --list` reads the table only, and finds nothing wrong with a dump that ends in the middle of its data. Here the blocks
//! are followed to the end of the file, without being unpacked.
//!
//! Facts: PostgreSQL's own sources, `src/bin/pg_dump/pg_backup_archiver.c` (`ReadHead`, `ReadToc`, `ReadInt`, `ReadStr`, `ReadOffset`) and
//! `pg_backup_custom.c` (`_LoadBlobs`, `_skipData`), archive versions 1.10 (PostgreSQL 8.0) to 1.16 (17).

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

/// The format's number in the header.
const CUSTOM: u8 = 1;
/// The oldest and newest versions whose table is read.
const KNOWN: std::ops::RangeInclusive<u32> = version(1, 10)..=version(1, 16);
/// A table with more entries, or a text that is longer, is none.
const MOST_ENTRIES: i64 = 20_000_000;
const LONGEST: i64 = 1 << 30;
/// Names of files that are kept.
const MOST_FILES: usize = 1_000_000;

const fn version(major: u32, minor: u32) -> u32 {
    major << 8 | minor
}

/// Why an archive cannot be read.
#[derive(Debug)]
pub enum Odd {
    /// It ends before it should.
    Cut,
    /// It is not what it should be, in words.
    Damaged(&'static str),
    /// It is of a version whose structure is not known here.
    Unknown,
    /// Reading failed.
    Io(io::Error),
}

impl From<io::Error> for Odd {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::UnexpectedEof { Self::Cut } else { Self::Io(error) }
    }
}

/// What the table tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Toc {
    /// Entries in all.
    pub entries: u64,
    /// Entries that have data.
    pub with_data: u64,
    /// Where the last block begins, where the dump could be written so that it is known.
    last: Option<u64>,
    /// The files of a directory dump, without what their packing added to the name.
    pub files: Vec<String>,
    int_bytes: u8,
}

struct Reader<'a, R> {
    inner: &'a mut R,
    int_bytes: u8,
    offset_bytes: u8,
}

impl<R: Read> Reader<'_, R> {
    fn byte(&mut self) -> Result<u8, Odd> {
        let mut one = [0];
        self.inner.read_exact(&mut one)?;
        Ok(one[0])
    }

    /// A sign, and so many bytes, the lowest first.
    fn int(&mut self) -> Result<i64, Odd> {
        let negative = self.byte()? != 0;
        let mut value = 0i64;
        for place in 0..self.int_bytes {
            value |= i64::from(self.byte()?).checked_shl(u32::from(place) * 8).unwrap_or(0);
        }
        if value < 0 {
            return Err(Odd::Damaged("is damaged: a number of its table is too large"));
        }
        Ok(if negative { -value } else { value })
    }

    /// `None` for a text that is not there.
    fn length(&mut self) -> Result<Option<u64>, Odd> {
        match self.int()? {
            length if length > LONGEST => Err(Odd::Damaged("is damaged: a text of its table is too long")),
            length => Ok(u64::try_from(length).ok()),
        }
    }

    /// Passes over a text; `false`: there is none.
    fn pass(&mut self) -> Result<bool, Odd> {
        let Some(length) = self.length()? else { return Ok(false) };
        if io::copy(&mut Read::by_ref(self.inner).take(length), &mut io::sink())? < length {
            return Err(Odd::Cut);
        }
        Ok(true)
    }

    fn text(&mut self) -> Result<Option<String>, Odd> {
        let Some(length) = self.length()? else { return Ok(None) };
        let mut bytes = Vec::new();
        Read::by_ref(self.inner).take(length).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < length {
            return Err(Odd::Cut);
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Reads header and table.
///
/// # Errors
/// [`Odd`].
pub fn toc(inner: &mut impl Read) -> Result<Toc, Odd> {
    let mut magic = [0; 5];
    inner.read_exact(&mut magic)?;
    if magic != *b"PGDMP" {
        return Err(Odd::Damaged("is not a dump of pg_dump"));
    }
    let mut reader = Reader { inner, int_bytes: 4, offset_bytes: 8 };
    let at = version(u32::from(reader.byte()?), u32::from(reader.byte()?));
    let _revision = reader.byte()?;
    reader.int_bytes = reader.byte()?;
    reader.offset_bytes = reader.byte()?;
    let format = reader.byte()?;
    if !KNOWN.contains(&at) {
        return Err(Odd::Unknown);
    }
    if !(1..=8).contains(&reader.int_bytes) || !(1..=8).contains(&reader.offset_bytes) {
        return Err(Odd::Damaged("is damaged: its header is not right"));
    }
    // How it is packed: a number, since 1.15 one byte.
    if at >= version(1, 15) {
        reader.byte()?;
    } else {
        reader.int()?;
    }
    for _ in 0..7 {
        reader.int()?;
    }
    // The names of the database, the server's version and pg_dump's.
    for _ in 0..3 {
        reader.pass()?;
    }
    let count = reader.int()?;
    if !(0..=MOST_ENTRIES).contains(&count) {
        return Err(Odd::Damaged("is damaged: its table is not right"));
    }
    let mut toc = Toc { entries: count.unsigned_abs(), int_bytes: reader.int_bytes, ..Toc::default() };
    for _ in 0..count {
        entry(&mut reader, at, format, &mut toc)?;
    }
    Ok(toc)
}

fn entry<R: Read>(reader: &mut Reader<'_, R>, at: u32, format: u8, toc: &mut Toc) -> Result<(), Odd> {
    reader.int()?;
    reader.int()?;
    // Its two numbers in the catalogue, its name, what it is.
    for _ in 0..4 {
        reader.pass()?;
    }
    if at >= version(1, 11) {
        reader.int()?;
    }
    // How it is made, dropped and filled, its schema and tablespace.
    for _ in 0..5 {
        reader.pass()?;
    }
    if at >= version(1, 14) {
        reader.pass()?;
    }
    if at >= version(1, 16) {
        reader.int()?;
    }
    // Its owner, and whether it has row numbers.
    for _ in 0..2 {
        reader.pass()?;
    }
    while reader.pass()? {}
    if format == CUSTOM {
        let state = reader.byte()?;
        let mut offset = 0u64;
        for place in 0..reader.offset_bytes {
            offset |= u64::from(reader.byte()?).checked_shl(u32::from(place) * 8).unwrap_or(0);
        }
        match state {
            // Not known: the dump went through a pipe, or was broken off.
            1 => toc.with_data += 1,
            2 => {
                toc.with_data += 1;
                toc.last = toc.last.max(Some(offset));
            }
            3 => {}
            _ => return Err(Odd::Damaged("is damaged: its table is not right")),
        }
    } else if let Some(file) = reader.text()?.filter(|file| !file.is_empty()) {
        toc.with_data += 1;
        if toc.files.len() < MOST_FILES {
            toc.files.push(file);
        }
    }
    Ok(())
}

/// Follows a custom dump to its end; `stopped` is asked now and then.
///
/// # Errors
/// [`Odd`].
pub fn follow(file: &mut (impl Read + Seek), stopped: &dyn Fn() -> bool) -> Result<Toc, Odd> {
    let toc = toc(file)?;
    let after = file.stream_position()?;
    let size = file.seek(SeekFrom::End(0))?;
    if toc.last.is_some_and(|last| last >= size) {
        return Err(Odd::Cut);
    }
    let mut at = toc.last.unwrap_or(after);
    file.seek(SeekFrom::Start(at))?;
    let mut blocks = 0;
    while at < size {
        if stopped() {
            return Err(Odd::Io(ErrorKind::Other.into()));
        }
        let mut reader = Reader { inner: file, int_bytes: toc.int_bytes, offset_bytes: 8 };
        let sort = reader.byte()?;
        reader.int()?;
        match sort {
            1 => chunks(&mut reader, size)?,
            // Large objects: a number and its chunks, until the number is zero.
            3 => {
                while reader.int()? != 0 {
                    chunks(&mut reader, size)?;
                }
            }
            _ => return Err(Odd::Damaged("is damaged: a block of its data is not right")),
        }
        blocks += 1;
        at = file.stream_position()?;
    }
    let expected = if toc.last.is_some() { 1 } else { toc.with_data };
    if blocks < expected { Err(Odd::Cut) } else { Ok(toc) }
}

/// Passes over chunks until an empty one.
fn chunks<R: Read + Seek>(reader: &mut Reader<'_, R>, size: u64) -> Result<(), Odd> {
    loop {
        match reader.int()? {
            0 => return Ok(()),
            length if length < 0 => return Err(Odd::Damaged("is damaged: a block of its data is not right")),
            length => {
                if reader.inner.seek(SeekFrom::Current(length))? > size {
                    return Err(Odd::Cut);
                }
            }
        }
    }
}
