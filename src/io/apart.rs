//! A thread with a runtime of its own, for what measures time: nothing that parses or waits for a disk runs beside it, and one thread is
//! woken by a socket where a pool would wake several.
//!
//! What does not belong here: what runs on it.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// The thread; it ends, with all that still runs on it, when this is dropped.
#[derive(Debug)]
pub struct Apart {
    handle: Handle,
    end: CancellationToken,
}

impl Apart {
    /// Starts it.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().thread_name(name).enable_all().build()?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(ended.cancelled());
            // A name that is being resolved cannot be cancelled and must not keep us.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, end })
    }

    /// The way to spawn there.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_spawned_runs_on_that_thread_until_it_is_dropped() {
        let apart = Apart::start("rounds-apart").unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let name = tell.clone();
        apart.handle().spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            name.send(thread::current().name().map(str::to_owned)).unwrap();
            std::future::pending::<()>().await;
        });
        assert_eq!(told.recv_timeout(Duration::from_secs(30)).unwrap().as_deref(), Some("rounds-apart"));
        // The task holds a sender as long as it lives.
        drop((apart, tell));
        assert!(told.recv_timeout(Duration::from_secs(30)).is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Disconnected));
    }
}
