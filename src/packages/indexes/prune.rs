//! What was kept of indexes does not stay for ever: projects that nobody asks for any more go, and the oldest where it is too much.
//!
//! An answer that is confirmed is written anew, so the age of a file is that of its last use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// What was not asked for or confirmed for so long goes.
const AGE: Duration = Duration::from_secs(60 * 86_400);
/// All of it together is not larger than this, in bytes.
const SIZE: u64 = 256 << 20;
/// How often a process looks, in seconds.
const EVERY_S: i64 = 86_400;
/// Files looked at in one go.
const FILES: usize = 100_000;

/// When this process looked last, in seconds since 1970.
static LOOKED_S: AtomicI64 = AtomicI64::new(0);

/// Looks at most once a day. Blocks.
pub(super) fn now_and_then(folder: &Path, now_s: i64) {
    let last = LOOKED_S.load(Ordering::Relaxed);
    if (now_s - last).abs() >= EVERY_S && LOOKED_S.compare_exchange(last, now_s, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        prune(folder, SystemTime::UNIX_EPOCH + Duration::from_secs(now_s.unsigned_abs()), AGE, SIZE);
    }
}

/// Removes what is too old, then the oldest until the rest is small enough. What cannot be removed stays: it costs room and nothing else.
fn prune(folder: &Path, now: SystemTime, age: Duration, size: u64) {
    let below = |folder: &Path| fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut kept: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for path in below(folder).flat_map(|index| below(&index).collect::<Vec<_>>()).take(FILES) {
        // Links lead elsewhere, and what others put here is not ours to remove.
        let Some(about) = path.symlink_metadata().ok().filter(fs::Metadata::is_file) else { continue };
        let ours = path.extension().is_some_and(|ending| ending == "json") || path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp"));
        let Some(written) = about.modified().ok().filter(|_| ours) else { continue };
        if now.duration_since(written).is_ok_and(|old| old > age) {
            let _ = fs::remove_file(&path);
        } else {
            kept.push((written, about.len(), path));
        }
    }
    let mut all: u64 = kept.iter().map(|(_, bytes, _)| bytes).sum();
    kept.sort();
    for (_, bytes, path) in kept {
        if all <= size {
            return;
        }
        if fs::remove_file(path).is_ok() {
            all = all.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_goes_then_the_oldest_of_too_much_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let index = dir.path().join("0123");
        fs::create_dir(&index).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let write = |name: &str, bytes: usize, days: u64| {
            let path = index.join(name);
            fs::write(&path, vec![b'x'; bytes]).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(now - Duration::from_secs(days * 86_400)).unwrap();
        };
        write("ancient.json", 10, 61);
        write("notes.txt", 10, 400);
        write("older.json", 600, 9);
        write("newer.json", 600, 2);
        prune(dir.path(), now, AGE, 1_000);
        let mut left: Vec<String> = fs::read_dir(&index).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["newer.json", "notes.txt"]);
        prune(dir.path().join("missing").as_path(), now, AGE, 0);
    }
}
