//! What goes to the terminal: frames as differences, one write each, nothing at all for an equal frame.
//!
//! Writing has a thread of its own, so that a terminal that does not read (stopped output, a slow line) holds up nothing but the picture:
//! frames are made only while the writer is idle, which conflates them.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crossterm::queue;
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

use super::terminal::SCREEN_THREAD;

/// How long leaving waits for the last frame to be written.
const LAST_FRAME: Duration = Duration::from_millis(500);

/// The most that waits beside a frame, in bytes (a terminal that does not read, and a person who copies again and again).
const ASIDE: usize = 256 * 1024;

/// Writes frames on its own thread, one at a time.
#[derive(Debug)]
pub struct Writer {
    frames: Option<SyncSender<Vec<u8>>>,
    shared: Arc<Shared>,
    ended: Receiver<()>,
}

#[derive(Debug, Default)]
struct Shared {
    busy: AtomicBool,
    wanted: AtomicBool,
}

impl Writer {
    /// Starts the thread. `written` is called when a frame that was waited for has gone out, `gone` when the terminal cannot be
    /// written to any more.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(mut tty: File, written: impl Fn() + Send + 'static, gone: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (frames, queue) = sync_channel::<Vec<u8>>(1);
        let (end, ended) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name(format!("{SCREEN_THREAD}-out")).spawn(move || {
            while let Ok(frame) = queue.recv() {
                if tty.write_all(&frame).is_err() {
                    gone();
                    break;
                }
                of_thread.busy.store(false, Ordering::SeqCst);
                if of_thread.wanted.swap(false, Ordering::SeqCst) {
                    written();
                }
            }
            // Nobody may be waiting for the end any more.
            let _ = end.send(());
        })?;
        Ok(Self { frames: Some(frames), shared, ended })
    }

    /// Whether a frame may be made. When not, `written` is called as soon as one may.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        // Asked for before looking, so that a write ending in between is not missed.
        self.shared.wanted.store(true, Ordering::SeqCst);
        let idle = !self.shared.busy.load(Ordering::SeqCst);
        if idle {
            self.shared.wanted.store(false, Ordering::SeqCst);
        }
        idle
    }

    fn send(&self, frame: Vec<u8>) {
        self.shared.busy.store(true, Ordering::SeqCst);
        if let Some(frames) = &self.frames {
            // Full only if somebody did not ask whether it is idle; then the frame before it is still to be written and this one waits.
            let _ = frames.send(frame);
        }
    }

    /// Waits, not for long, until the last frame is out.
    pub fn finish(mut self) {
        drop(self.frames.take());
        let _ = self.ended.recv_timeout(LAST_FRAME);
    }
}

/// A ratatui backend that makes the bytes of a frame and hands them to the writer in one piece.
#[derive(Debug)]
pub struct Screen {
    bytes: Vec<u8>,
    writer: Writer,
    size: Size,
    cursor: Option<Position>,
    shows_cursor: bool,
    whole: bool,
    synchronised: bool,
}

impl Screen {
    /// A screen of this size. `synchronised`: whole repaints are bracketed, so that they do not tear (not inside tmux, which does it itself).
    #[must_use]
    pub fn new(writer: Writer, size: (u16, u16), synchronised: bool) -> Self {
        Self { bytes: Vec::with_capacity(64 * 1024), writer, size: Size::new(size.0, size.1), cursor: None, shows_cursor: false, whole: true, synchronised }
    }

    /// Takes note of a new size; ratatui sees it at the next draw.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.size = Size::new(columns, rows);
    }

    /// Whether a frame may be made now.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.writer.is_idle()
    }

    /// Sends bytes that are no frame (clipboard, bell); at once when the writer is idle, else with the next frame.
    ///
    /// # Errors
    /// Never: what cannot be written is told by the writer.
    pub fn aside(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes.len() + bytes.len() <= ASIDE {
            self.bytes.extend_from_slice(bytes);
        }
        if self.is_idle() { self.flush() } else { Ok(()) }
    }

    /// Makes escape sequences; it has no state of its own.
    fn backend(&mut self) -> CrosstermBackend<&mut Vec<u8>> {
        CrosstermBackend::new(&mut self.bytes)
    }

    /// Waits for the last frame.
    pub fn finish(self) {
        self.writer.finish();
    }
}

impl Backend for Screen {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        // An empty difference would still be 25 bytes of resets.
        let mut content = content.peekable();
        if content.peek().is_none() {
            return Ok(());
        }
        // Drawing moves the terminal's own cursor.
        self.cursor = None;
        self.backend().draw(content)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.shows_cursor) { self.backend().hide_cursor() } else { Ok(()) }
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.shows_cursor, true) { Ok(()) } else { self.backend().show_cursor() }
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor.unwrap_or_default())
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let position = position.into();
        if self.cursor.replace(position) == Some(position) { Ok(()) } else { self.backend().set_cursor_position(position) }
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.whole = true;
        self.cursor = None;
        self.backend().clear_region(clear_type)
    }

    fn append_lines(&mut self, n: u16) -> io::Result<()> {
        self.backend().append_lines(n)
    }

    fn size(&self) -> io::Result<Size> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::new(0, 0) })
    }

    fn flush(&mut self) -> io::Result<()> {
        let made = &mut self.bytes;
        if made.is_empty() {
            return Ok(());
        }
        let mut frame = Vec::with_capacity(made.len() + 16);
        if std::mem::take(&mut self.whole) && self.synchronised {
            queue!(frame, BeginSynchronizedUpdate)?;
            frame.append(made);
            queue!(frame, EndSynchronizedUpdate)?;
        } else {
            frame.append(made);
        }
        self.writer.send(frame);
        Ok(())
    }
}
