//! Lends the terminal to a program that needs the whole of it, an editor for example: it becomes the foreground group of the terminal, and
//! we are that again when it ends, is stopped (Ctrl-Z), or is taken it from.
//!
//! What does not belong here: giving the screen back and taking it again (`app::terminal`), programs without a terminal ([`exec`](super::exec)).

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, tcsetpgrp};

use super::exec::ExecError;

/// What became of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It was stopped and can go on.
    Stopped,
    /// It ended; whether well.
    Ended(bool),
}

/// A program that has the terminal.
#[derive(Debug)]
pub struct Lent {
    group: Pid,
    tty: File,
}

/// Starts a program in the foreground of this terminal. `tell` is called from a thread of its own, the last time with [`Told::Ended`].
///
/// # Errors
/// When it cannot be started; the terminal is ours then.
pub fn lend(argv: &[String], directory: Option<&Path>, tty: File, tell: impl Fn(Told) + Send + 'static) -> Result<Lent, ExecError> {
    let Some((tool, arguments)) = argv.split_first().filter(|(tool, _)| !tool.is_empty()) else { return Err(ExecError::Empty) };
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ExecError::Missing { tool: tool.clone() },
        _ => ExecError::Start { tool: tool.clone(), source },
    };
    #[expect(clippy::disallowed_methods, reason = "the terminal is handed on, which io::exec never does")]
    let mut command = std::process::Command::new(tool);
    command.args(arguments).process_group(0);
    if let Some(directory) = directory.filter(|directory| directory.is_dir()) {
        command.current_dir(directory);
    }
    let child = command.spawn().map_err(failed)?;
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let lent = Lent { group, tty };
    lent.give();
    let waiting = std::thread::Builder::new().name("rounds-lent".to_owned()).spawn(move || {
        loop {
            match waitpid(group, Some(WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Stopped(..)) => tell(Told::Stopped),
                Ok(WaitStatus::Exited(_, code)) => return tell(Told::Ended(code == 0)),
                Err(nix::errno::Errno::EINTR) | Ok(WaitStatus::StillAlive | WaitStatus::Continued(_)) => {}
                // Ended by a signal, or waited for by somebody else.
                _ => return tell(Told::Ended(false)),
            }
        }
    });
    if let Err(source) = waiting {
        lent.hang_up();
        return Err(failed(source));
    }
    Ok(lent)
}

impl Lent {
    /// Puts it into the foreground, and lets it go on where it was stopped.
    pub fn give(&self) {
        foreground(&self.tty, self.group);
        let _ = killpg(self.group, Signal::SIGCONT);
    }

    /// We are in the foreground again.
    pub fn take_back(&self) {
        foreground(&self.tty, getpgrp());
    }

    /// We leave: it is told as a shell that leaves tells it.
    pub fn hang_up(&self) {
        self.take_back();
        let _ = killpg(self.group, Signal::SIGHUP);
        let _ = killpg(self.group, Signal::SIGCONT);
    }
}

/// Makes a group the foreground one. Where the terminal is gone nothing can be done.
fn foreground(tty: &File, group: Pid) {
    // In the background the change itself would stop us (tcsetpgrp(3)).
    let mut stops = SigSet::empty();
    stops.add(Signal::SIGTTOU);
    let before = stops.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let _ = tcsetpgrp(tty.as_fd(), group);
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
}
