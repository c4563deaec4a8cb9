//! Reads what zstd packed: one frame after the other, with their sums compared. Memory is the window of a frame, which is bounded.
//!
//! Facts: RFC 8878, section 3 (frames, skippable frames, the sum at the end).

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The largest window that is read: what `zstd --long` makes.
const WINDOW: u64 = 1 << 27;

/// The packed bytes, which know when they ended.
struct Packed<R> {
    inner: BufReader<R>,
    over: bool,
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.over |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

/// A reader of the unpacked bytes. A cut file is [`ErrorKind::UnexpectedEof`], a damaged one [`ErrorKind::InvalidData`], one that needs
/// more memory than is spent on it [`ErrorKind::Unsupported`].
pub struct Unpacked<R> {
    decoder: FrameDecoder,
    source: Packed<R>,
    inside: bool,
}

impl<R: Read> Unpacked<R> {
    /// Of a packed file.
    pub fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW);
        Self { decoder, source: Packed { inner: BufReader::with_capacity(1 << 17, source), over: false }, inside: false }
    }

    fn told(&self, error: FrameDecoderError) -> io::Error {
        match error {
            _ if self.source.over => ErrorKind::UnexpectedEof.into(),
            FrameDecoderError::WindowSizeTooBig { .. } => ErrorKind::Unsupported.into(),
            error => io::Error::new(ErrorKind::InvalidData, error.to_string()),
        }
    }

    /// Begins the next frame; `false`: there is none.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.source.inner.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut Read::by_ref(&mut self.source).take(u64::from(length)), &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(self.told(error)),
            }
        }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.inside {
                if !self.begin()? {
                    return Ok(0);
                }
                self.inside = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                if let Err(error) = self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1)) {
                    return Err(self.told(error));
                }
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if let (Some(told), Some(seen)) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum())
                && told != seen
            {
                return Err(io::Error::new(ErrorKind::InvalidData, "the sum differs"));
            }
            self.inside = false;
        }
    }
}
