//! The structure of a tar archive: each header's sum, each member's length, the end. Holds no member in memory.
//!
//! Facts: POSIX pax and ustar (512-byte blocks, sizes in octal, two empty blocks at the end); GNU tar (sizes past 8 GiB in base 256).

use std::io::{self, Read, Seek, SeekFrom};

const BLOCK: usize = 512;

/// Reads that can pass over bytes cheaply.
pub trait Skip: Read {
    /// Passes over so many bytes; gives how many there were.
    ///
    /// # Errors
    /// Those of reading.
    fn skip(&mut self, bytes: u64) -> io::Result<u64> {
        io::copy(&mut self.take(bytes), &mut io::sink())
    }
}

/// A file that is not packed: members are passed over without being read.
pub struct Plain<R> {
    inner: io::BufReader<R>,
    at: u64,
    size: u64,
}

impl<R: Read + Seek> Plain<R> {
    /// From its beginning.
    ///
    /// # Errors
    /// Those of seeking.
    pub fn new(mut file: R) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { inner: io::BufReader::with_capacity(1 << 13, file), at: 0, size })
    }
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Skip for Plain<R> {
    fn skip(&mut self, bytes: u64) -> io::Result<u64> {
        let there = bytes.min(self.size.saturating_sub(self.at));
        self.inner.seek_relative(i64::try_from(there).unwrap_or(i64::MAX))?;
        self.at += there;
        Ok(there)
    }
}

impl Skip for io::Cursor<&[u8]> {}

/// A reader whose members must be read to be passed over.
pub struct Stream<R>(pub R);

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Skip for Stream<R> {}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, as far as the header has it.
    pub name: String,
    /// Its size.
    pub size: u64,
    /// The header's sign: `0` a file, `5` a folder.
    pub sort: u8,
    /// When it was changed, in seconds since 1970.
    pub changed: u64,
}

/// Goes through the archive. The inner result tells what is wrong with it, in words.
///
/// # Errors
/// Those of reading.
pub fn walk(reader: &mut impl Skip, mut told: impl FnMut(Member)) -> io::Result<Result<(), &'static str>> {
    const CUT: &str = "is cut: the end of the archive is missing";
    let mut first = true;
    loop {
        let mut header = [0; BLOCK];
        let read = fill(reader, &mut header)?;
        if read < BLOCK {
            return Ok(Err(if first && !header.windows(5).any(|window| window == b"ustar") { "is not a tar archive" } else { CUT }));
        }
        if header.iter().all(|byte| *byte == 0) {
            // One empty block is not the end; tools that write only one exist nowhere in use.
            return Ok(if first {
                Err("holds nothing")
            } else if fill(reader, &mut header)? == BLOCK && header.iter().all(|byte| *byte == 0) {
                Ok(())
            } else {
                Err(CUT)
            });
        }
        let Some(size) = number(&header[124..136]).filter(|_| sum_is_right(&header)) else {
            return Ok(Err(if first { "is not a tar archive" } else { "is damaged: a header of the archive is not right" }));
        };
        let sort = header[156];
        let prefix = if header[257..263] == *b"ustar\0" { text(&header[345..500]) } else { String::new() };
        let name = text(&header[..100]);
        let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        told(Member { name, size, sort, changed: number(&header[136..148]).unwrap_or(0) });
        first = false;
        // Links and folders have no content, whatever their size says.
        let padded = if matches!(sort, b'1'..=b'6') { 0 } else { size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64) };
        if reader.skip(padded)? < padded {
            return Ok(Err(CUT));
        }
    }
}

fn fill(reader: &mut impl Read, block: &mut [u8; BLOCK]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < BLOCK {
        match reader.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// Octal, or in base 256 where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let digits = field.iter().enumerate().map(|(at, byte)| if at == 0 { byte & 0x7f } else { *byte });
        return digits.clone().take(field.len() - 8).all(|byte| byte == 0).then(|| digits.fold(0, |sum: u64, byte| sum << 8 | u64::from(byte)));
    }
    let digits: Vec<u8> = field.iter().copied().skip_while(|byte| *byte == b' ').take_while(|byte| !matches!(byte, 0 | b' ')).collect();
    digits.iter().try_fold(0u64, |sum, digit| matches!(digit, b'0'..=b'7').then(|| sum.checked_mul(8)?.checked_add(u64::from(digit - b'0')))?)
}

/// The sum of the header's bytes, its own field taken as blanks; some old tools summed signed bytes.
fn sum_is_right(header: &[u8; BLOCK]) -> bool {
    let bytes = || header.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let unsigned: u64 = bytes().map(u64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    number(&header[148..156]).is_some_and(|told| told == unsigned || i64::try_from(told) == Ok(signed))
}
