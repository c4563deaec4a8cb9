//! The log file that a backup tool keeps of its own runs: read from its end, bounded, and joined to what is known of the data set.
//!
//! What does not belong here: how a tool marks the beginning and the end of a run (its folder in `sources`), a log that is watched as such
//! (`sources::log`).

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use chrono::{NaiveDateTime, TimeDelta, TimeZone as _};

use crate::domain::backup::JobRun;
use crate::domain::{Backup, Problem, Timestamp};

/// So much of its end is read.
const TAIL: u64 = 512 << 10;
/// Failed runs that are told of one log.
const FAILED: usize = 20;
/// A log and a catalogue mean the same run when they differ by less in its beginning.
const SAME: TimeDelta = TimeDelta::minutes(1);
/// A run that said something so shortly ago may be at it, whatever else is known.
const AT_IT: TimeDelta = TimeDelta::minutes(2);
/// Before the words of a complaint that [`crate::rules::backups::keep::Failed`] tells by itself.
pub const LAST_RUN_FAILED: &str = "the last run failed: ";

/// Where the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLog {
    /// Its path on this machine.
    pub path: PathBuf,
    /// A person named it: then it is told when it is not there.
    pub named: bool,
}

/// One run as a log tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logged {
    /// The run; `ok` is `None` where the log does not tell its end. Its output is what the log holds of it.
    pub run: JobRun,
    /// When it said something last.
    pub last: Option<Timestamp>,
}

/// One message of a log: its time, what follows that on its line, and the lines below it that have no time of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its time, by the clock of the machine that wrote it.
    pub at: Timestamp,
    /// What follows the time.
    pub said: &'a str,
    /// All its lines as they stand.
    pub lines: Vec<&'a str>,
}

/// The time at the beginning of a text, `2026-11-20 03:00:00.123` with a point or a comma, and what follows it.
#[must_use]
pub fn stamp(text: &str, zone: Option<chrono_tz::Tz>) -> Option<(Timestamp, &str)> {
    let bare = NaiveDateTime::parse_from_str(text.get(..19)?, "%Y-%m-%d %H:%M:%S").ok()?;
    let rest = &text[19..];
    let digits = rest.strip_prefix(['.', ',']).unwrap_or_default();
    let digits = &digits[..digits.bytes().take_while(u8::is_ascii_digit).count()];
    let rest = if digits.is_empty() { rest } else { &rest[digits.len() + 1..] };
    let thousandths: i64 = format!("{:0<3}", digits.get(..3).unwrap_or(digits)).parse().ok()?;
    let bare = bare + TimeDelta::milliseconds(thousandths);
    let at = match zone {
        Some(zone) => zone.from_local_datetime(&bare).earliest()?.to_utc(),
        None => chrono::Local.from_local_datetime(&bare).earliest()?.to_utc(),
    };
    Some((at, rest))
}

/// The messages of a log, oldest first; `head` gives the time of a line that has one, and what follows it. Lines before the first are of a
/// message whose beginning was not read.
pub fn entries<'a>(lines: impl IntoIterator<Item = &'a str>, head: impl Fn(&'a str) -> Option<(Timestamp, &'a str)>) -> Vec<Entry<'a>> {
    let mut all: Vec<Entry<'a>> = Vec::new();
    for line in lines {
        match (head(line), all.last_mut()) {
            (Some((at, said)), _) => all.push(Entry { at, said, lines: vec![line] }),
            (None, Some(entry)) => entry.lines.push(line),
            (None, None) => {}
        }
    }
    all
}

/// The lines of messages, the last of them.
#[must_use]
pub fn output<'a>(entries: impl IntoIterator<Item = &'a Entry<'a>>) -> Vec<String> {
    let lines: Vec<&str> = entries.into_iter().flat_map(|entry| entry.lines.iter().copied()).collect();
    JobRun::tail(&lines[lines.len().saturating_sub(2 * JobRun::LINES)..].join("\n"))
}

/// A sentence of a log, bounded and on one line.
#[must_use]
pub fn sentence(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(300).collect()
}

/// The end of a file, whole lines of it. A pipe or a device is none: it is not opened, since that may hang.
fn tail(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let regular = |about: &Metadata| if about.is_file() { Ok(about.len()) } else { Err(io::Error::other("this is no file")) };
    regular(&std::fs::metadata(path)?)?;
    let mut file = File::open(path)?;
    let from = regular(&file.metadata()?)?.saturating_sub(most);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if from > 0 {
        let whole = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.drain(..whole);
    }
    Ok(bytes)
}

/// The end of a log, with that of the one that rotation put aside last where there is room. Blocks.
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = tail(path, TAIL)?;
    let left = TAIL.saturating_sub(bytes.len() as u64);
    let mut aside = path.as_os_str().to_owned();
    aside.push(".1");
    if let Ok(mut before) = tail(Path::new(&aside), left) {
        before.append(&mut bytes);
        bytes = before;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl JobLog {
    /// By the key; else where the tool's own configuration puts it.
    #[must_use]
    pub fn of(key: Option<&Path>, own: impl FnOnce() -> Option<PathBuf>) -> Option<Self> {
        let named = key.map(|path| Self { path: path.to_owned(), named: true });
        named.or_else(|| own().map(|path| Self { path, named: false }))
    }

    /// The runs that it tells of, as `runs` reads its text; what kept it from being read.
    pub async fn runs(&self, runs: impl FnOnce(&str) -> Vec<Logged> + Send + 'static) -> (Vec<Logged>, Option<Problem>) {
        let path = self.path.clone();
        match tokio::task::spawn_blocking(move || read(&path).map(|text| runs(&text))).await {
            Ok(Ok(logged)) => (logged, None),
            // A tool that logs elsewhere, or never ran, has no such file.
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound && !self.named => (Vec::new(), None),
            Ok(Err(error)) => {
                let message = format!("{} cannot be read: {}", self.path.display(), error.to_string().to_lowercase());
                (Vec::new(), Some(Problem { subject: "job log".to_owned(), message }))
            }
            Err(_) => (Vec::new(), Some(Problem { subject: "job log".to_owned(), message: "the look at it broke off".to_owned() })),
        }
    }
}

fn moment(run: &JobRun) -> Option<Timestamp> {
    run.ended.or(run.started)
}

/// Adds what a log tells of failed runs: those that the tool does not list by itself, and what the last of them said. `here`: the job runs on
/// this machine, so that it is known whether it is at it now.
pub fn add(backup: &mut Backup, logged: Vec<Logged>, here: bool, now: Timestamp) {
    let is_at_it = |run: &JobRun| run.ok.is_none() && run.ended.is_none();
    let running = backup.runs.iter().any(is_at_it);
    let count = logged.len();
    let failed = logged.into_iter().enumerate().filter_map(|(at, Logged { mut run, last })| {
        let newest = at + 1 == count;
        let unknown = newest && (running || !here || last.is_none_or(|last| now - last < AT_IT));
        match run.ok {
            Some(true) => return None,
            None if unknown => return None,
            None => {
                run.ok = Some(false);
                "began and did not end".clone_into(&mut run.message);
            }
            Some(false) => {}
        }
        Some(run)
    });
    let failed: Vec<JobRun> = failed.collect();
    let failed = &failed[failed.len().saturating_sub(FAILED)..];
    let Some(newest) = failed.last() else { return };
    let mut said = newest.clone();
    // Two of the log are two, however soon one came after the other.
    let listed = backup.runs.len();
    for run in failed {
        let apart = |known: &JobRun| {
            let begun = known.started.or(known.ended).zip(run.started.or(run.ended));
            begun.map(|(known, run)| (known - run).abs()).filter(|apart| known.ok == Some(false) && *apart < SAME)
        };
        match backup.runs[..listed].iter_mut().filter(|known| apart(known).is_some()).min_by_key(|known| apart(known)) {
            // What the tool lists by itself tells more of it.
            Some(known) => {
                known.ended = known.ended.or(run.ended);
                if run == newest {
                    said = JobRun { output: run.output.clone(), ..known.clone() };
                }
            }
            None => backup.runs.push(JobRun { output: Vec::new(), ..run.clone() }),
        }
    }
    backup.runs.sort_by_key(|run| (is_at_it(run), moment(run)));
    if backup.last_failure.as_ref().is_some_and(|known| known.started > said.started.map(|at| at + SAME)) {
        return;
    }
    let good = backup.copies.iter().filter(|copy| copy.complete != Some(false)).map(|copy| copy.at).filter(|at| *at <= now).max();
    let is_news = moment(&said).is_some_and(|at| good.is_none_or(|good| good < at));
    if is_news && !backup.complaints.iter().any(|complaint| complaint.starts_with(LAST_RUN_FAILED)) {
        backup.complaints.push(format!("{LAST_RUN_FAILED}{}", said.message));
    }
    backup.last_failure = Some(said);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Copy;

    fn at(minutes: i64) -> Timestamp {
        chrono::DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
    }

    fn logged(started: i64, ok: Option<bool>) -> Logged {
        let ended = ok.map(|_| at(started + 5));
        let output = vec![format!("line of {started}")];
        Logged { run: JobRun { started: Some(at(started)), ended, ok, message: "no space left".to_owned(), output }, last: Some(at(started + 5)) }
    }

    fn told(mut backup: Backup, all: Vec<Logged>, here: bool) -> Backup {
        add(&mut backup, all, here, at(1_000));
        backup
    }

    #[test]
    fn the_last_failed_run_is_told_with_its_lines() {
        let copy = |minutes: i64| Copy { at: at(minutes), ..Copy::default() };
        let seen = told(
            Backup { copies: vec![copy(500)], ..Backup::default() },
            vec![logged(100, Some(false)), logged(300, Some(true)), logged(600, Some(false))],
            true,
        );
        assert_eq!(seen.complaints, ["the last run failed: no space left"]);
        let failure = seen.last_failure.unwrap();
        assert_eq!((failure.started, failure.output), (Some(at(600)), vec!["line of 600".to_owned()]));
        assert_eq!(seen.runs.iter().map(|run| (run.started, run.output.len())).collect::<Vec<_>>(), [(Some(at(100)), 0), (Some(at(600)), 0)]);
        // Tried again at once and failed again: two runs, each with its own words.
        let again = Logged {
            run: JobRun { message: "still no space".to_owned(), started: Some(at(600) + TimeDelta::seconds(9)), ..logged(600, Some(false)).run },
            last: None,
        };
        let seen = told(Backup::default(), vec![logged(600, Some(false)), again], true);
        assert_eq!((seen.runs.len(), seen.last_failure.map(|failure| failure.message).as_deref()), (2, Some("still no space")));
        // What came before the newest copy is history: shown, and not complained of.
        let seen = told(Backup { copies: vec![copy(700)], ..Backup::default() }, vec![logged(600, Some(false)), logged(690, Some(true))], true);
        assert!(seen.complaints.is_empty() && seen.last_failure.is_some_and(|failure| failure.output == ["line of 600"]));
        let seen = told(Backup::default(), vec![logged(600, Some(true))], true);
        assert!(seen.last_failure.is_none() && seen.runs.is_empty());
    }

    #[test]
    fn a_run_that_told_no_end_failed_unless_it_may_be_at_it() {
        let broken = |backup: Backup, started: i64, here: bool| told(backup, vec![logged(started, None)], here).last_failure.map(|run| run.message);
        assert_eq!(broken(Backup::default(), 100, true).as_deref(), Some("began and did not end"));
        assert_eq!(broken(Backup::default(), 994, true), None, "it spoke a minute ago");
        assert_eq!(broken(Backup::default(), 100, false), None, "whether it is at it is known only where it runs");
        let running = Backup { runs: vec![JobRun::default()], ..Backup::default() };
        assert_eq!(broken(running.clone(), 100, true), None);
        // One that others came after is at an end.
        let seen = told(running, vec![logged(100, None), logged(200, None)], true);
        assert_eq!(seen.runs.iter().map(|run| run.ok).collect::<Vec<_>>(), [Some(false), None]);
    }

    #[test]
    fn what_the_tool_lists_by_itself_is_not_told_twice() {
        let listed = JobRun { started: Some(at(600)), ok: Some(false), message: "20261120T104256 failed: full".to_owned(), ..JobRun::default() };
        let backup = Backup { runs: vec![listed.clone()], last_failure: Some(listed), ..Backup::default() };
        let seen = told(backup.clone(), vec![logged(600, Some(false))], true);
        let failure = seen.last_failure.unwrap();
        assert_eq!((failure.message.as_str(), failure.output.len(), failure.ended), ("20261120T104256 failed: full", 1, Some(at(605))));
        assert_eq!(seen.runs.len(), 1);
        // An older one of the log does not hide what is listed.
        let seen = told(backup, vec![logged(100, Some(false))], true);
        assert_eq!((seen.runs.len(), seen.last_failure.unwrap().started), (2, Some(at(600))));
    }

    #[test]
    fn only_the_end_of_a_file_is_read_and_a_pipe_never() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("job.log");
        let lines: Vec<String> = (0..60_000).map(|at| format!("line {at:06} of the log\n")).collect();
        std::fs::write(&path, lines.concat()).unwrap();
        let text = read(&path).unwrap();
        assert!(text.len() <= TAIL as usize && text.starts_with("line ") && text.ends_with("line 059999 of the log\n"));
        // What rotation put aside last comes before it.
        std::fs::write(&path, "new\n").unwrap();
        std::fs::write(dir.path().join("job.log.1"), "old\n").unwrap();
        assert_eq!(read(&path).unwrap(), "old\nnew\n");
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read(&pipe).is_err() && read(dir.path()).is_err());
        let zone = Some(chrono_tz::Europe::Berlin);
        let (moment, rest) = stamp("2026-11-20 03:00:00,123 [5] x", zone).unwrap();
        assert_eq!((moment.to_rfc3339().as_str(), rest), ("2026-11-20T02:00:00.123+00:00", " [5] x"));
        assert_eq!(stamp("2026-11-20 03:00:00.5", zone).unwrap().0.timestamp_subsec_millis(), 500);
        assert!(stamp("2026-11-20 03:00:0é", zone).is_none() && stamp("", zone).is_none());
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_read_is_told_where_it_should_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let problem = async |log: JobLog| log.runs(|_| Vec::new()).await.1.map(|problem| problem.message);
        let named = JobLog::of(Some(&dir.path().join("none.log")), || None).unwrap();
        assert!(problem(named).await.is_some_and(|said| said.contains("none.log cannot be read: no such file")));
        let own = JobLog::of(None, || Some(dir.path().join("none.log"))).unwrap();
        assert_eq!(problem(own).await, None);
        let folder = JobLog::of(None, || Some(dir.path().to_owned())).unwrap();
        assert!(problem(folder).await.is_some());
        assert!(JobLog::of(None, || None).is_none());
    }
}
