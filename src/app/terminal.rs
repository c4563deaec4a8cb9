//! The terminal's life: alternate screen, raw mode, paste and mouse modes are taken together and given back together, on every way out.
//!
//! The guard is shared by `Drop` and the panic hook. What does not belong here: what is drawn ([`super::screen`]) and what keys mean.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::queue;
use crossterm::style::ResetColor;
use crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long a terminal whose output is stopped may keep us from leaving.
const PATIENCE: Duration = Duration::from_millis(300);

/// Names of the threads whose panic ends the dashboard begin so; a panic elsewhere is isolated by whoever runs that thread.
pub const SCREEN_THREAD: &str = "rounds-screen";

/// What size to draw at when the terminal does not know its own (0x0 on some serial lines and in some containers).
const FALLBACK: (u16, u16) = (80, 24);

/// Why there can be no dashboard here.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// Output or input is no terminal.
    #[error("there is no terminal here")]
    None,
    /// The terminal cannot be taken.
    #[error("the terminal cannot be set up: {0}")]
    Io(#[from] io::Error),
}

/// Whether a dashboard can be drawn: both ends are a terminal, and it can do more than print.
#[must_use]
pub fn is_drawable() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !dumb && io::stdout().is_terminal() && io::stdin().is_terminal()
}

/// Columns and rows, never zero.
#[must_use]
pub fn size() -> (u16, u16) {
    match terminal::size() {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (columns, rows),
        _ => FALLBACK,
    }
}

/// The terminal, taken. Dropping it gives it back.
#[derive(Debug)]
pub struct Guard {
    shared: Shared,
}

/// A handle for the panic hook and the signal paths.
#[derive(Debug, Clone)]
pub struct Shared {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    armed: bool,
    mouse: bool,
    tty: File,
}

impl Guard {
    /// Takes the terminal. A failed start gives back what it had taken.
    ///
    /// # Errors
    /// When there is no terminal, or it refuses raw mode.
    pub fn arm(mouse: bool) -> Result<Self, TerminalError> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(TerminalError::None);
        }
        let shared = Shared { inner: Arc::new(Mutex::new(Inner { armed: false, mouse, tty: output()? })) };
        shared.arm()?;
        Ok(Self { shared })
    }

    /// The handle.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.restore();
    }
}

impl Shared {
    /// Takes the terminal (again, after a stop).
    ///
    /// # Errors
    /// When the terminal refuses; it is then given back.
    pub fn arm(&self) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        terminal::enable_raw_mode()?;
        // From here on there is something to give back, also when the next line fails.
        inner.armed = true;
        let mut bytes = Vec::with_capacity(64);
        queue!(bytes, EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        if inner.mouse {
            queue!(bytes, EnableMouseCapture)?;
        }
        if let Err(error) = inner.tty.write_all(&bytes) {
            inner.restore();
            return Err(error);
        }
        Ok(())
    }

    /// Gives the terminal back; a second time does nothing. Never waits long, never panics.
    pub fn restore(&self) {
        match self.inner.try_lock() {
            Ok(mut inner) => inner.restore(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().restore(),
            // The thread that holds it is arming or restoring; raw mode at least must not stay.
            Err(TryLockError::WouldBlock) => drop(terminal::disable_raw_mode()),
        }
    }

    /// Takes the mouse, or gives it back. Gives the bytes that do so, to go out between two frames; none where it is so already.
    #[must_use]
    pub fn set_mouse(&self, on: bool) -> Vec<u8> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        if std::mem::replace(&mut inner.mouse, on) != on {
            // Writing to memory does not fail.
            let _ = if on { queue!(bytes, EnableMouseCapture) } else { queue!(bytes, DisableMouseCapture) };
        }
        bytes
    }

    /// Whether the terminal is ours now.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.inner.try_lock().is_ok_and(|inner| inner.armed)
    }
}

impl Inner {
    fn restore(&mut self) {
        if !std::mem::take(&mut self.armed) {
            return;
        }
        let mut bytes = Vec::with_capacity(64);
        let mut queued = Ok(());
        if self.mouse {
            queued = queue!(bytes, DisableMouseCapture);
        }
        if queued.and_then(|()| queue!(bytes, DisableBracketedPaste, ResetColor, Show, LeaveAlternateScreen)).is_ok() && is_writable(&self.tty) {
            // Nobody is left to be told of a failure: the terminal itself is gone then.
            let _ = self.tty.write_all(&bytes);
        }
        let _ = terminal::disable_raw_mode();
    }
}

/// The terminal to draw on, without the line buffer of `Stdout`.
///
/// # Errors
/// When standard output is closed.
pub fn output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Whether a short write would go through soon. Output stopped by Ctrl-s must not keep a signal from ending us.
fn is_writable(tty: &File) -> bool {
    let mut ready = [PollFd::new(tty.as_fd(), PollFlags::POLLOUT)];
    let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::ZERO);
    poll(&mut ready, timeout).is_ok_and(|count| count > 0)
}

/// From now on a panic of a screen thread gives the terminal back before its message is printed. A panic of any other thread stays
/// silent while the terminal is ours: whoever runs that thread turns it into that source's error.
pub fn install_panic_hook(shared: &Shared) {
    let shared = shared.clone();
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        let ours = thread.name().is_some_and(|name| name == "main" || name.starts_with(SCREEN_THREAD));
        if ours {
            shared.restore();
        }
        if !shared.is_armed() {
            previous(info);
        }
    }));
}
