//! Columns of numbers as bytes: variable-length integers, deltas, floats without loss, and zlib around it all. Pure.
//!
//! What does not belong here: what the columns mean (`tiers`), where the bytes are kept (`store`).

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// The largest number of rows a block may claim; a damaged count never makes us reserve memory.
pub(super) const MAX_ROWS: usize = 65_536;
/// The largest inflated block, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Decimal scales tried for a column of floats before it is kept bit by bit.
const SCALES: [f64; 7] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];
/// The mark of a column kept bit by bit.
const RAW: u8 = 255;

/// Why stored bytes are not a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// It ends too early or its checksum is wrong.
    #[error("a damaged block")]
    Damaged,
    /// It was written by a later version.
    #[error("a block of an unknown form")]
    Unknown,
}

/// A part of a block at least this long gets a code table of its own, in bytes.
const PART: usize = 240;

/// Writes columns.
#[derive(Debug, Default)]
pub(super) struct Columns {
    bytes: Vec<u8>,
    /// Where parts with other habits begin.
    parts: Vec<usize>,
}

impl Columns {
    /// Begins with the version of the form and the number of rows.
    pub(super) fn new(version: u8, rows: usize) -> Self {
        let mut columns = Self { bytes: vec![version], parts: Vec::new() };
        columns.unsigned(rows as u64);
        columns
    }

    /// One byte.
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Seven bits a byte, lowest first.
    pub(super) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// What follows looks different from what came before: times, values, counts.
    pub(super) fn part(&mut self) {
        self.parts.push(self.bytes.len());
    }

    /// Small magnitudes of either sign are short.
    pub(super) fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Differences from one to the next.
    pub(super) fn deltas(&mut self, values: impl IntoIterator<Item = i64>) {
        let mut last = 0i64;
        for value in values {
            self.signed(value.wrapping_sub(last));
            last = value;
        }
    }

    /// Differences of the differences: an even step costs almost nothing.
    pub(super) fn steps(&mut self, values: impl IntoIterator<Item = i64>) {
        let (mut last, mut step) = (0i64, 0i64);
        for value in values {
            let next = value.wrapping_sub(last);
            self.signed(next.wrapping_sub(step));
            (last, step) = (value, next);
        }
    }

    /// Floats without loss: as whole numbers of the coarsest decimal scale that gives every bit back, else each
    /// exclusive-or with the one before, byte planes apart.
    pub(super) fn floats(&mut self, values: &[f64]) {
        let scale = SCALES.iter().position(|scale| values.iter().all(|value| whole(*value, *scale).is_some()));
        let Some(index) = scale else {
            self.bytes.push(RAW);
            let mut last = 0u64;
            let bits: Vec<[u8; 8]> = values
                .iter()
                .map(|value| {
                    let bits = value.to_bits();
                    let changed = bits ^ last;
                    last = bits;
                    changed.to_be_bytes()
                })
                .collect();
            for plane in 0..8 {
                self.bytes.extend(bits.iter().map(|bytes| bytes[plane]));
            }
            return;
        };
        self.bytes.push(index as u8);
        self.deltas(values.iter().map(|value| whole(*value, SCALES[index]).unwrap_or_default()));
    }

    /// The finished block.
    pub(super) fn finish(self) -> Vec<u8> {
        // Writing to memory does not fail; if it ever did, an empty block is refused when it is read.
        let mut encoder = ZlibEncoder::new(Vec::with_capacity(self.bytes.len() / 2 + 16), Compression::new(6));
        let mut from = 0;
        for end in self.parts.into_iter().chain([self.bytes.len()]) {
            // A flush ends a code table; it costs a few bytes, which only long parts win back.
            let flushed = if from > 0 && end - from >= PART { encoder.flush() } else { Ok(()) };
            if flushed.and_then(|()| encoder.write_all(&self.bytes[from..end])).is_err() {
                return Vec::new();
            }
            from = end;
        }
        encoder.finish().unwrap_or_default()
    }
}

/// `value` times `scale` when that is a whole number from which every bit of `value` comes back.
pub(super) fn whole(value: f64, scale: f64) -> Option<i64> {
    let scaled = (value * scale).round();
    // Beyond 2^53 not every whole number is a float.
    let fits = scaled.abs() < 9_007_199_254_740_992.0;
    // Through the integer, which has no negative zero.
    let whole = scaled as i64;
    (fits && (whole as f64 / scale).to_bits() == value.to_bits()).then_some(whole)
}

/// Reads columns in the order in which they were written.
#[derive(Debug)]
pub(super) struct Reading {
    bytes: Vec<u8>,
    at: usize,
    /// How many rows the block holds.
    pub(super) rows: usize,
}

impl Reading {
    /// Inflates a block and checks its version.
    pub(super) fn new(block: &[u8], version: u8) -> Result<Self, CodecError> {
        let mut bytes = Vec::new();
        ZlibDecoder::new(block).take(MAX_BYTES).read_to_end(&mut bytes).map_err(|_| CodecError::Damaged)?;
        match bytes.first() {
            None => return Err(CodecError::Damaged),
            Some(found) if *found != version => return Err(CodecError::Unknown),
            Some(_) => {}
        }
        let mut reading = Self { bytes, at: 1, rows: 0 };
        reading.rows = reading.count()?;
        Ok(reading)
    }

    /// One byte.
    pub(super) fn byte(&mut self) -> Result<u8, CodecError> {
        let byte = self.bytes.get(self.at).copied().ok_or(CodecError::Damaged)?;
        self.at += 1;
        Ok(byte)
    }

    /// One unsigned number.
    pub(super) fn unsigned(&mut self) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Damaged)
    }

    /// A number of rows, bounded.
    pub(super) fn count(&mut self) -> Result<usize, CodecError> {
        usize::try_from(self.unsigned()?).ok().filter(|count| *count <= MAX_ROWS).ok_or(CodecError::Damaged)
    }

    pub(super) fn signed(&mut self) -> Result<i64, CodecError> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// `rows` numbers written by [`Columns::deltas`].
    pub(super) fn deltas(&mut self, rows: usize) -> Result<Vec<i64>, CodecError> {
        let mut last = 0i64;
        (0..rows)
            .map(|_| {
                last = last.wrapping_add(self.signed()?);
                Ok(last)
            })
            .collect()
    }

    /// `rows` numbers written by [`Columns::steps`].
    pub(super) fn steps(&mut self, rows: usize) -> Result<Vec<i64>, CodecError> {
        let (mut last, mut step) = (0i64, 0i64);
        (0..rows)
            .map(|_| {
                step = step.wrapping_add(self.signed()?);
                last = last.wrapping_add(step);
                Ok(last)
            })
            .collect()
    }

    /// `rows` numbers written by [`Columns::floats`].
    pub(super) fn floats(&mut self, rows: usize) -> Result<Vec<f64>, CodecError> {
        let form = self.byte()?;
        if form == RAW {
            let planes = self.bytes.get(self.at..self.at + rows * 8).ok_or(CodecError::Damaged)?;
            let mut last = 0u64;
            let values = (0..rows)
                .map(|row| {
                    let changed = (0..8).fold(0u64, |bits, plane| (bits << 8) | u64::from(planes[plane * rows + row]));
                    last ^= changed;
                    f64::from_bits(last)
                })
                .collect();
            self.at += rows * 8;
            return Ok(values);
        }
        let scale = SCALES.get(usize::from(form)).ok_or(CodecError::Unknown)?;
        Ok(self.deltas(rows)?.into_iter().map(|value| value as f64 / scale).collect())
    }
}

/// Text as compressed bytes.
#[must_use]
pub(super) fn pack(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(text.len() / 2), Compression::new(6));
    if encoder.write_all(text).is_err() {
        return Vec::new();
    }
    encoder.finish().unwrap_or_default()
}

/// The bytes that [`pack`] was given, bounded.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(packed).take(MAX_BYTES).read_to_end(&mut bytes).map_err(|_| CodecError::Damaged)?;
    Ok(bytes)
}
