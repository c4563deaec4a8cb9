//! What a list of copies says of the data set. Pure: the look into a file is handed in.

use std::collections::BTreeMap;

use super::list::File;
use super::whole::Whole;
use crate::backups::{self, Promise};
use crate::domain::backup::Place;
use crate::domain::{Backup, Copy, SourceError, Timestamp};

/// A copy that was written within so many seconds may still be growing: the one before it counts.
const STILL_WRITTEN_S: i64 = 20;
/// Copies before the last that the median is of.
const PAST: usize = 14;
/// Copies told by name.
const TOLD: usize = 60;
/// Copies looked into before giving up on finding a good one.
const LOOKED_INTO: usize = 5;

/// The places of the copies, where each could be told. Two folders of one disk are lost together: they are one place.
fn places(files: &[File]) -> Vec<Place> {
    let mut newest: BTreeMap<u64, &File> = BTreeMap::new();
    for file in files {
        let Some(device) = file.device else { return Vec::new() };
        newest.insert(device, file);
    }
    let name = |file: &File| file.path.parent().map_or_else(String::new, |folder| folder.display().to_string());
    newest.values().map(|file| Place { name: name(file), newest: Some(file.at), same_machine: None }).collect()
}

/// The data set as its copies show it. No copy at all is nothing to look at, which is not the same as a bad one.
pub(super) fn judge(mut files: Vec<File>, now: Timestamp, promise: Promise, place: &str, mut whole: impl FnMut(&File) -> Whole) -> Result<Backup, SourceError> {
    if files.is_empty() {
        return Err(SourceError::nothing(format!("no file matches {place}"), "check `path`, and that the backup ran at least once"));
    }
    files.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.path.cmp(&b.path)));
    let settled = |file: &File| (now - file.at).num_seconds() >= STILL_WRITTEN_S || files.len() == 1;
    let mut complaints = Vec::new();
    let mut copies: Vec<Copy> = files
        .iter()
        .rev()
        .take(TOLD)
        .map(|file| Copy {
            name: file.path.file_name().map_or_else(|| file.path.display().to_string(), |n| n.to_string_lossy().into_owned()),
            at: file.at,
            size_bytes: Some(file.size),
            ..Copy::default()
        })
        .collect();
    // From the newest back to the first good one.
    let mut good = None;
    let mut checked_at = None;
    for (place, file) in files.iter().rev().enumerate().filter(|(_, file)| settled(file)).take(LOOKED_INTO) {
        let problem = if file.size == 0 {
            Some("is empty".to_owned())
        } else {
            match whole(file) {
                Whole::Yes => {
                    checked_at.get_or_insert(now);
                    if let Some(copy) = copies.get_mut(place) {
                        copy.complete = Some(true);
                    }
                    None
                }
                Whole::NotLookedAt => None,
                Whole::No(problem) => Some(problem),
            }
        };
        match problem {
            Some(problem) => {
                if let Some(copy) = copies.get_mut(place) {
                    copy.complete = Some(false);
                    copy.problem = Some(problem.clone());
                    complaints.push(format!("{}: {problem}", copy.name));
                }
            }
            None => {
                good = Some((place, file));
                break;
            }
        }
    }
    let median =
        good.and_then(|(place, _)| backups::judge::median(files.iter().rev().skip(place + 1).take(PAST).map(|f| f.size).filter(|size| *size > 0).collect()));
    if let Some((_, file)) = good {
        complaints.extend(backups::judge::odd_size(file.size, median, &promise));
        if file.at > now + chrono::Duration::minutes(5) {
            complaints.push("is dated in the future: a clock is wrong".to_owned());
        }
    }
    if let Some(kept) = promise.retention.filter(|kept| (files.len() as u64) < *kept) {
        complaints.push(format!("has too few copies: {} of {kept}", files.len()));
    }
    copies.reverse();
    let places = places(&files);
    Ok(Backup {
        last_success: good.map(|(_, file)| file.at),
        age_s: good.map(|(_, file)| crate::domain::time::since(file.at, now).as_secs()),
        snapshots: files.len() as u64,
        places,
        size_bytes: good.map(|(_, file)| file.size),
        checked_at,
        tool: "files".to_owned(),
        place: place.to_owned(),
        max_age_s: promise.max_age_s,
        min_size_bytes: promise.min_size_bytes,
        retention: promise.retention,
        check_every_s: promise.check_every_s,
        drill_every_s: promise.drill_every_s,
        median_size_bytes: median,
        copies,
        complaints,
        ..Backup::default()
    })
}
