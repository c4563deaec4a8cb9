//! Signals as events. Those that end a program by default end the dashboard with the terminal given back.

use nix::sys::signal::Signal as Number;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Event;

/// A signal the dashboard acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGHUP, SIGINT, SIGQUIT by number: leave.
    End(i32),
    /// SIGTSTP: give the terminal back and stop.
    Stop,
    /// SIGCONT: take it again.
    Continue,
    /// SIGHUP to a process without a screen: read the configuration again.
    Reload,
}

/// Sends signals from now on. Called inside the tokio runtime.
///
/// # Errors
/// When the system refuses a handler.
pub fn start(events: &mpsc::Sender<Event>) -> std::io::Result<()> {
    listen(
        events,
        &[
            (Number::SIGTERM, Signal::End(Number::SIGTERM as i32)),
            (Number::SIGHUP, Signal::End(Number::SIGHUP as i32)),
            (Number::SIGINT, Signal::End(Number::SIGINT as i32)),
            (Number::SIGQUIT, Signal::End(Number::SIGQUIT as i32)),
            (Number::SIGTSTP, Signal::Stop),
            (Number::SIGCONT, Signal::Continue),
        ],
    )
}

/// The same for a process without a screen: it is stopped as any other, and a hang-up means that the configuration is to be read again.
///
/// # Errors
/// When the system refuses a handler.
pub fn start_without_screen(events: &mpsc::Sender<Event>) -> std::io::Result<()> {
    listen(
        events,
        &[
            (Number::SIGTERM, Signal::End(Number::SIGTERM as i32)),
            (Number::SIGINT, Signal::End(Number::SIGINT as i32)),
            (Number::SIGQUIT, Signal::End(Number::SIGQUIT as i32)),
            (Number::SIGHUP, Signal::Reload),
        ],
    )
}

fn listen(events: &mpsc::Sender<Event>, wanted: &[(Number, Signal)]) -> std::io::Result<()> {
    for (number, meaning) in wanted.iter().copied() {
        let mut stream = signal(SignalKind::from_raw(number as i32))?;
        let events = events.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if events.send(Event::Signal(meaning)).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}

/// Whether somebody could continue this process after a stop: a shell with job control put it into a process group of its own.
/// A program that is itself the first of its session (a tmux pane, a container) would stand still for ever.
#[must_use]
pub fn can_stop() -> bool {
    nix::unistd::getsid(None).is_ok_and(|session| session != nix::unistd::getpgrp())
}

/// Stops the whole process group as Ctrl-Z would, and returns when it is continued.
///
/// SIGSTOP, because SIGTSTP is handled by us and its default cannot be had back without unsafe code.
pub fn stop() {
    // The only possible failure is a missing right over a process of one's own group, and then nothing stops.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(0), nix::sys::signal::Signal::SIGSTOP);
}
