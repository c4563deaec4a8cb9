//! Locks on a borg repository that lies on this machine, read from its folder: borg has no command that tells them.
//!
//! A lock is a folder `lock.exclusive` with a file for its holder, `HOST@NUMBER.PID-THREAD`, and a roster of shared ones in JSON (borg
//! 1.x, `locking.py`).

use std::fs;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::backups::disk;
use crate::domain::backup::Lock;

/// A roster that is larger is not borg's.
const LARGEST: u64 = 64 << 10;
/// Locks that are told.
const MOST: usize = 8;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Roster {
    shared: Vec<(String, i64, i64)>,
}

/// `HOST@NUMBER` and a process.
fn lock(id: &str, pid: i64, exclusive: bool, since: Option<DateTime<Utc>>) -> Lock {
    let host = id.rsplit_once('@').map_or(id, |(host, _)| host);
    let host: String = host.chars().filter(|c| !c.is_control()).take(100).collect();
    let here = disk::same_host(&host, &disk::host());
    let stale = here && !i32::try_from(pid).is_ok_and(disk::runs);
    Lock { holder: format!("{host} (pid {pid}{})", if exclusive { ", exclusive" } else { "" }), since, stale }
}

fn changed(path: &Path) -> Option<DateTime<Utc>> {
    fs::metadata(path).and_then(|about| about.modified()).ok().map(DateTime::from)
}

/// The locks there are.
pub fn look(repository: &Path) -> Vec<Lock> {
    let mut all = Vec::new();
    for entry in fs::read_dir(repository.join("lock.exclusive")).into_iter().flatten().flatten().take(MOST) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((id, rest)) = name.rsplit_once('.') else { continue };
        let Some(pid) = rest.split('-').next().and_then(|pid| pid.parse().ok()) else { continue };
        all.push(lock(id, pid, true, changed(&entry.path())));
    }
    let roster = repository.join("lock.roster");
    if fs::metadata(&roster).is_ok_and(|about| about.is_file() && about.len() <= LARGEST)
        && let Ok(text) = fs::read_to_string(&roster)
    {
        let since = changed(&roster);
        let shared = serde_json::from_str::<Roster>(&text).unwrap_or_default().shared;
        all.extend(shared.iter().take(MOST).map(|(id, pid, _)| lock(id, *pid, false, since)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_read_from_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path()), []);
        let (here, me) = (disk::host(), std::process::id());
        fs::create_dir(dir.path().join("lock.exclusive")).unwrap();
        fs::write(dir.path().join(format!("lock.exclusive/{here}@328135.{me}-0")), "").unwrap();
        fs::write(dir.path().join("lock.exclusive/rubbish"), "").unwrap();
        let roster = format!("{{\"exclusive\": [], \"shared\": [[\"{here}@328135\", 2147483647, 0], [\"other1.example@5\", 7, 0]]}}");
        fs::write(dir.path().join("lock.roster"), roster).unwrap();
        let told: Vec<(String, bool)> = look(dir.path()).into_iter().map(|lock| (lock.holder, lock.stale)).collect();
        let expected =
            [(format!("{here} (pid {me}, exclusive)"), false), (format!("{here} (pid 2147483647)"), true), ("other1.example (pid 7)".to_owned(), false)];
        assert_eq!(told, expected);
        fs::write(dir.path().join("lock.roster"), "{ half").unwrap();
        assert_eq!(look(dir.path()).len(), 1);
    }
}
