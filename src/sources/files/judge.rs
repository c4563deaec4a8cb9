//! What a list of copies says of the data set. Pure: the look into a file is handed in.

use std::path::Path;

use chrono::TimeDelta;

use super::list::{File, Found};
use crate::backups::dump::{Form, Whole};
use crate::backups::judge::is_ahead;
use crate::backups::{self, Promise};
use crate::domain::backup::{JobRun, Place};
use crate::domain::{Backup, Copy, SourceError, Timestamp};

/// A copy that was written within so many seconds may still be growing: the one before it counts.
const STILL_WRITTEN: TimeDelta = TimeDelta::seconds(20);
/// Copies looked into before giving up on finding a good one.
const LOOKED_INTO: usize = 5;

/// The places of the copies, where each could be told. Two folders of one disk are lost together: they are one place.
fn places(found: &Found) -> Vec<Place> {
    let name = |file: &File| file.path.parent().map_or_else(String::new, |folder| folder.display().to_string());
    found.by_device.values().map(|file| Place { name: name(file), newest: Some(file.at), same_machine: None }).collect()
}

/// What a copy is called.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The data set as its copies show it. No copy at all is nothing to look at, which is not the same as a bad one.
pub(super) fn judge(
    found: &Found,
    now: Timestamp,
    promise: &Promise,
    place: &str,
    mut look: impl FnMut(&File) -> (Whole, Form),
) -> Result<Backup, SourceError> {
    if found.files.is_empty() {
        return Err(SourceError::nothing(format!("no file matches {place}"), "check `path`, and that the backup ran at least once"));
    }
    let (mut copies, mut runs): (Vec<Copy>, Vec<JobRun>) = (Vec::new(), Vec::new());
    let (mut looked, mut has_good, mut checked_at) = (0, false, None);
    // Only beside one that is whole by its age: where all are new, the newest must do.
    let settled = found.files.iter().any(|file| now - file.at >= STILL_WRITTEN);
    // From the newest back: into each until the first good one.
    for file in found.files.iter().rev() {
        let mut copy = Copy { name: name(&file.path), at: file.at, size_bytes: file.size, ..Copy::default() };
        if is_ahead(file.at, now) {
            // It is complained of by what judges all copies, and not looked into.
        } else if now - file.at < STILL_WRITTEN && settled {
            runs.push(JobRun { message: format!("{} is being written", copy.name), ..JobRun::default() });
            continue;
        } else if !has_good && looked < LOOKED_INTO {
            looked += 1;
            let (whole, form) = if file.size == Some(0) { (Whole::No("is empty".to_owned()), Form::Unknown) } else { look(file) };
            copy.kind = form.word().map(str::to_owned);
            match whole {
                Whole::Yes => {
                    checked_at.get_or_insert(now);
                    (copy.complete, has_good) = (Some(true), true);
                }
                Whole::NotLookedAt => has_good = true,
                Whole::No(problem) => (copy.complete, copy.problem) = (Some(false), Some(problem)),
            }
        } else if !has_good || file.size == Some(0) {
            // Those before the ones that were looked into are no better for not having been looked into.
            copy.complete = (file.size == Some(0) || !has_good).then_some(false);
            copy.problem = Some(if file.size == Some(0) { "is empty" } else { "was not looked into: those after it are not whole" }.to_owned());
        }
        copies.push(copy);
    }
    runs.truncate(1);
    let backup = Backup {
        copies,
        runs,
        snapshots: found.total,
        places: places(found),
        checked_at,
        repository_bytes: Some(found.bytes).filter(|_| found.files.iter().all(|file| file.size.is_some())),
        free_bytes: found.free,
        tool: "files".to_owned(),
        place: place.to_owned(),
        ..Backup::default()
    };
    let mut backup = backups::judge(backup, promise, now);
    // Those that were never looked into are not complained of one by one.
    backup.complaints.retain(|complaint| !complaint.ends_with("was not looked into: those after it are not whole"));
    Ok(backup)
}
