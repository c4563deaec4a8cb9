//! The demonstration's log writer: a thread that appends to the log files what `lines` tells, and rotates them.
//!
//! What does not belong here: what a line says.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::lines::{self, FILES, File, Served};
use super::{Error, Watch};
use crate::io::clock;

/// How often visitors' lines are written.
const STEP: Duration = Duration::from_millis(200);
/// A file is renamed to `.1` and begun anew past this many bytes, so that a demonstration left running fills no disk.
const ROTATE_AT: u64 = 4 << 20;
/// Steps of ten seconds in an hour.
const HOUR_STEPS: u32 = 360;
/// A moment of the story at which all is well.
const QUIET: Duration = Duration::from_secs(5);

struct Log {
    file: File,
    path: PathBuf,
    open: fs::File,
    written: u64,
}

impl Log {
    fn append(&mut self, text: &str) -> std::io::Result<()> {
        if self.written > ROTATE_AT {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            self.open = OpenOptions::new().append(true).create(true).open(&self.path)?;
            self.written = 0;
        }
        self.open.write_all(text.as_bytes())?;
        self.written += text.len() as u64;
        Ok(())
    }
}

/// The hour before the demonstration, packed as logrotate does, so that there is something to scroll back to.
fn hour_before(file: File, path: &Path) -> Result<(), Error> {
    let end = clock::now();
    let lines = (0..HOUR_STEPS).flat_map(|step| {
        let at = end - chrono::TimeDelta::seconds(10 * i64::from(HOUR_STEPS - step));
        lines::visitors(QUIET, Duration::from_secs(2), at, u64::from(step) + 7_000).into_iter().filter(|(of, _)| *of == file).map(|(_, line)| line)
    });
    let open = OpenOptions::new().write(true).create_new(true).open(path);
    let packed = open.and_then(|open| {
        let mut packed = flate2::write::GzEncoder::new(open, flate2::Compression::default());
        lines.into_iter().try_for_each(|line| packed.write_all(line.as_bytes()))?;
        packed.finish()
    });
    packed.map(drop).map_err(|e| Error::io("write the log", path, e))
}

/// The open files.
pub struct Writer(Vec<Log>);

impl Writer {
    /// Creates the files below `dir`, each with its first line.
    ///
    /// # Errors
    /// When one exists already or cannot be written.
    pub fn create(dir: &Path) -> Result<Self, Error> {
        let mut logs = Vec::new();
        for file in FILES {
            let path = dir.join(file.path());
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|e| Error::io("make the directory", parent, e))?;
            }
            let open = OpenOptions::new().append(true).create_new(true).open(&path).map_err(|e| Error::io("write the log", &path, e))?;
            if file == File::Shop {
                hour_before(file, &path.with_extension("log.2.gz"))?;
            }
            let mut log = Log { file, path, open, written: 0 };
            log.append(&lines::opening(file, clock::now())).map_err(|e| Error::io("write the log", &log.path, e))?;
            logs.push(log);
        }
        Ok(Self(logs))
    }

    /// Writes until the servers are gone, which is when the channel closes.
    pub fn run(mut self, watch: &Watch, requests: &Receiver<Served>) {
        let mut next = Instant::now() + STEP;
        let mut seed = 0u64;
        loop {
            let now = Instant::now();
            if now >= next {
                // After a stop of the process the missed steps are not made up for.
                next = now + STEP;
                seed += 1;
                for (file, text) in lines::visitors(watch.elapsed(), STEP, clock::now(), seed) {
                    self.append(file, &text);
                }
                continue;
            }
            match requests.recv_timeout(next - now) {
                Ok(request) => {
                    seed += 1;
                    let (file, text) = lines::served(&request, clock::now(), seed);
                    self.append(file, &text);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn append(&mut self, file: File, text: &str) {
        // A full disk loses demonstration lines and nothing else; the next line tries again.
        if let Some(log) = self.0.iter_mut().find(|log| log.file == file) {
            let _ = log.append(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grown_log_is_rotated_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(dir.path()).unwrap();
        writer.0[0].written = ROTATE_AT + 1;
        writer.append(File::Shop, "after\n");
        let path = dir.path().join(File::Shop.path());
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
        assert!(fs::read_to_string(path.with_extension("log.1")).unwrap().contains("shop is ready"));
    }

    #[test]
    fn an_existing_log_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(File::Shop.path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine\n").unwrap();
        assert!(Writer::create(dir.path()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine\n");
    }
}
