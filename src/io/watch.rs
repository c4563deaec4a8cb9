//! Waits until files change: the system's notices (inotify) where there are any, else time alone. A notice is only a reason to
//! look earlier; whoever follows files also looks now and then without one, because network and other file systems give none.
//!
//! What does not belong here: reading files (`tail`).

use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Ends a wait from another thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<UnixStream>);

impl Waker {
    /// Ends the wait that is under way, or the next.
    pub fn wake(&self) {
        // A full pipe wakes as well.
        let _ = (&*self.0).write(&[1]);
    }
}

/// What ended a wait.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// Files that changed, by the name they were watched under, and names that came or went in watched directories.
    pub paths: HashSet<PathBuf>,
    /// Notices were lost: anything may have changed.
    pub all: bool,
}

/// Watches files and directories.
#[derive(Debug)]
pub struct Watch {
    pipe: UnixStream,
    #[cfg(target_os = "linux")]
    notices: Option<linux::Notices>,
}

impl Watch {
    /// A watch of nothing, and what ends its waits.
    ///
    /// # Errors
    /// When the system has no file descriptors left.
    pub fn new() -> std::io::Result<(Self, Waker)> {
        let (pipe, end) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        end.set_nonblocking(true)?;
        let watch = Self {
            pipe,
            #[cfg(target_os = "linux")]
            notices: linux::Notices::new(),
        };
        Ok((watch, Waker(Arc::new(end))))
    }

    /// Whether the system gives notices.
    pub fn has_notices(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.notices.is_some();
        #[cfg(not(target_os = "linux"))]
        false
    }

    /// Watches a file for writing; again after another file took its name.
    pub fn file(&mut self, path: &Path) {
        #[cfg(target_os = "linux")]
        if let Some(notices) = &mut self.notices {
            notices.file(path);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = path;
    }

    /// Watches a directory for names that come and go.
    pub fn directory(&mut self, path: &Path) {
        #[cfg(target_os = "linux")]
        if let Some(notices) = &mut self.notices {
            notices.directory(path);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = path;
    }

    /// Forgets everything that was watched.
    pub fn clear(&mut self) {
        #[cfg(target_os = "linux")]
        {
            self.notices = linux::Notices::new();
        }
    }

    /// Waits for a notice, a [`Waker`], or this long.
    pub fn wait(&mut self, limit: Option<Duration>) -> Woken {
        let limit = limit.map_or(PollTimeout::NONE, |limit| {
            // Rounded up: a wait that ends early would only be followed by another.
            i32::try_from(limit.as_micros().div_ceil(1_000)).ok().and_then(|ms| PollTimeout::try_from(ms).ok()).unwrap_or(PollTimeout::MAX)
        });
        let mut woken = Woken::default();
        {
            let mut fds = vec![PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
            #[cfg(target_os = "linux")]
            if let Some(notices) = &self.notices {
                fds.push(PollFd::new(notices.as_fd(), PollFlags::POLLIN));
            }
            // An interrupted wait is a short one.
            let _ = poll(&mut fds, limit);
        }
        let mut bytes = [0; 64];
        while matches!(self.pipe.read(&mut bytes), Ok(read) if read > 0) {}
        #[cfg(target_os = "linux")]
        if let Some(notices) = &mut self.notices {
            notices.read(&mut woken);
        }
        woken
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashMap;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::path::{Path, PathBuf};

    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

    use super::Woken;

    #[derive(Debug)]
    pub struct Notices {
        inotify: Inotify,
        names: HashMap<WatchDescriptor, Vec<PathBuf>>,
    }

    impl Notices {
        pub fn new() -> Option<Self> {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
            Some(Self { inotify, names: HashMap::new() })
        }

        pub fn as_fd(&self) -> BorrowedFd<'_> {
            self.inotify.as_fd()
        }

        pub fn file(&mut self, path: &Path) {
            self.add(path, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_MOVE_SELF);
        }

        pub fn directory(&mut self, path: &Path) {
            let names = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_MOVED_FROM | AddWatchFlags::IN_DELETE;
            self.add(path, names | AddWatchFlags::IN_ONLYDIR);
        }

        fn add(&mut self, path: &Path, flags: AddWatchFlags) {
            // Where it cannot be watched it is looked at by the clock.
            if let Ok(descriptor) = self.inotify.add_watch(path, flags) {
                let names = self.names.entry(descriptor).or_default();
                if !names.iter().any(|name| name == path) {
                    names.push(path.to_owned());
                }
            }
        }

        pub fn read(&mut self, woken: &mut Woken) {
            // Bounded: a directory in which something never stops must not hold us here.
            for _ in 0..64 {
                let Ok(events) = self.inotify.read_events() else { return };
                if events.is_empty() {
                    return;
                }
                for event in events {
                    if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                        woken.all = true;
                    }
                    for name in self.names.get(&event.wd).into_iter().flatten() {
                        woken.paths.insert(event.name.as_ref().map_or_else(|| name.clone(), |entry| name.join(entry)));
                    }
                    if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                        self.names.remove(&event.wd);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_waker_ends_a_wait() {
        let (mut watch, waker) = Watch::new().unwrap();
        waker.wake();
        assert_eq!(watch.wait(None), Woken::default());
        assert_eq!(watch.wait(Some(Duration::from_millis(1))), Woken::default());
    }

    #[test]
    fn a_change_is_noticed_where_the_system_tells() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.log");
        fs::write(&file, "one\n").unwrap();
        let (mut watch, _waker) = Watch::new().unwrap();
        if !watch.has_notices() {
            return;
        }
        watch.file(&file);
        watch.directory(folder.path());
        fs::write(&file, "two\n").unwrap();
        assert!(watch.wait(Some(Duration::from_secs(20))).paths.contains(&file));
        let other = folder.path().join("y.log");
        fs::write(&other, "").unwrap();
        assert!(watch.wait(Some(Duration::from_secs(20))).paths.contains(&other));
    }
}
