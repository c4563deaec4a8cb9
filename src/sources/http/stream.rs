//! A stream that marks when bytes flowed, whatever it goes through.
//!
//! What does not belong here: getting one (`connect`), and what the bytes mean (`client`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What bytes flow through: TCP, TLS, or either inside a tunnel.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
/// One of them.
pub type BoxIo = Box<dyn Io>;

/// When bytes of one exchange flowed, in nanoseconds since the connection stood; 0: not yet.
#[derive(Debug)]
pub struct Marks {
    origin: Instant,
    sent: AtomicU64,
    first: AtomicU64,
}

impl Default for Marks {
    fn default() -> Self {
        Self { origin: Instant::now(), sent: AtomicU64::new(0), first: AtomicU64::new(0) }
    }
}

impl Marks {
    /// Begins the next exchange on the same connection.
    pub fn restart(&self) {
        self.sent.store(0, Ordering::Relaxed);
        self.first.store(0, Ordering::Relaxed);
    }

    /// When the request had been written and when the first byte of the answer came.
    pub fn times(&self) -> (Option<Instant>, Option<Instant>) {
        let at = |mark: &AtomicU64| match mark.load(Ordering::Relaxed) {
            0 => None,
            nanoseconds => Some(self.origin + Duration::from_nanos(nanoseconds)),
        };
        (at(&self.sent), at(&self.first))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    fn answered(&self) -> bool {
        self.first.load(Ordering::Relaxed) != 0
    }
}

/// A stream that marks when the request was written and when the answer began.
pub struct Timed {
    pub(super) stream: BoxIo,
    pub(super) marks: Arc<Marks>,
    /// Many servers end TLS by closing TCP. Whether the answer is whole is known from its length then.
    pub(super) lenient: bool,
}

impl AsyncRead for Timed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match polled {
            Poll::Ready(Ok(())) => {
                if buffer.filled().len() > before && !self.marks.answered() {
                    self.marks.first.store(self.marks.now(), Ordering::Relaxed);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) if self.lenient && self.marks.answered() && error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            other => other,
        }
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if matches!(polled, Poll::Ready(Ok(_))) && !self.marks.answered() {
            self.marks.sent.store(self.marks.now(), Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
