//! The service manager that this process may run under: told when it is ready, reloads, stops and lives (systemd's `sd_notify(3)`), and
//! whether standard error goes to its journal (`JOURNAL_STREAM`, systemd.exec(5)).
//!
//! What does not belong here: when that is so (`app::watch`). Without a service manager nothing happens.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager.
#[derive(Debug, Default)]
pub struct Service {
    way: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Service {
    /// That of this process, by `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    #[must_use]
    pub fn of_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Self::new(variable("NOTIFY_SOCKET").as_deref(), watchdog(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref()))
    }

    /// One with this socket (a path, or `@name` of the abstract name space) and this watchdog.
    #[must_use]
    pub fn new(socket: Option<&str>, watchdog: Option<Duration>) -> Self {
        let way = socket.and_then(address).and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            // A manager that does not read must not hold us up; what is told again and again may be lost.
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        Self { way, watchdog }
    }

    /// Whether somebody listens.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.way.is_some()
    }

    /// How long the manager waits for a sign of life before it ends this process.
    #[must_use]
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// It works, with a sentence about how.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", line(status)));
    }

    /// The configuration is being read again; [`Self::ready`] ends it.
    pub fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()));
    }

    /// It is stopping.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// A sentence about how it stands.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", line(status)));
    }

    /// It lives.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.way {
            // A manager that is gone cannot be told, and nothing here depends on it.
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}

/// One line: a line end would begin another assignment.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn address(socket: &str) -> Option<SocketAddr> {
    match socket.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name.as_bytes()).ok(),
        #[cfg(not(target_os = "linux"))]
        Some(_) => None,
        None => SocketAddr::from_pathname(socket).ok().filter(|_| socket.starts_with('/')),
    }
}

/// The time in which a sign of life is awaited, where it is awaited from this very process.
fn watchdog(microseconds: Option<&str>, process: Option<&str>) -> Option<Duration> {
    let ours = process.is_none_or(|process| process.parse() == Ok(std::process::id()));
    let microseconds: u64 = microseconds?.parse().ok()?;
    (ours && microseconds > 0).then(|| Duration::from_micros(microseconds))
}

fn monotonic_us() -> i64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000)
}

/// Whether standard error is the journal of the service manager: it then stamps every line itself and reads a level before it.
#[must_use]
pub fn errors_go_to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    io::stderr().as_fd().try_clone_to_owned().is_ok_and(|stderr| is_stream(&stream, &File::from(stderr)))
}

/// Whether a file is the one that `JOURNAL_STREAM` names by device and inode: a child whose error output was led elsewhere inherits the name.
fn is_stream(stream: &str, file: &File) -> bool {
    let named = stream.split_once(':').and_then(|(device, inode)| Some((device.parse::<u64>().ok()?, inode.parse::<u64>().ok()?)));
    file.metadata().is_ok_and(|about| named == Some((about.dev(), about.ino())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_is_told_on_both_kinds_of_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("@rounds-test-{}", std::process::id());
        let mut listeners = vec![(path.to_str().unwrap().to_owned(), UnixDatagram::bind(&path).unwrap())];
        if let Some(address) = address(&name) {
            listeners.push((name, UnixDatagram::bind_addr(&address).unwrap()));
        }
        for (socket, listener) in listeners {
            let service = Service::new(Some(&socket), None);
            assert!(service.is_there());
            service.ready("3 sources\nREADY=0");
            service.reloading();
            let told = || {
                let mut bytes = [0; 256];
                let count = listener.recv(&mut bytes).unwrap();
                String::from_utf8_lossy(&bytes[..count]).into_owned()
            };
            assert_eq!(told(), "READY=1\nSTATUS=3 sources READY=0");
            let reloading = told();
            let at = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(at.parse::<i64>().unwrap() > 0, "{reloading}");
        }
        for none in [None, Some(""), Some("relative/path")] {
            let service = Service::new(none, None);
            assert!(!service.is_there(), "{none:?}");
            service.alive();
        }
    }

    #[test]
    fn the_watchdog_is_for_the_process_it_names() {
        let own = std::process::id().to_string();
        assert_eq!(watchdog(Some("30000000"), None), Some(Duration::from_secs(30)));
        assert_eq!(watchdog(Some("30000000"), Some(&own)), Some(Duration::from_secs(30)));
        for (time, process) in [(Some("30000000"), Some("1")), (Some("0"), None), (Some("soon"), None), (None, None)] {
            assert_eq!(watchdog(time, process), None, "{time:?} {process:?}");
        }
    }

    #[test]
    fn a_stream_is_known_by_device_and_inode() {
        let file = tempfile::tempfile().unwrap();
        let about = file.metadata().unwrap();
        assert!(is_stream(&format!("{}:{}", about.dev(), about.ino()), &file));
        assert!(!is_stream(&format!("{}:{}", about.dev(), about.ino() + 1), &file));
        assert!(!is_stream("x", &file));
    }
}
