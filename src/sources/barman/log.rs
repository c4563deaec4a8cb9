//! The log that Barman keeps of all it does. Pure.
//!
//! Facts: Barman's own sources, `barman/config.py` (`DEFAULT_LOG_FORMAT`: time, `[process]`, module, level, message), `barman/server.py` and
//! `barman/backup.py`. One file tells of every server and every command: what one process says of one server's backup is a run.

use crate::backups::joblog::{Entry, Logged, entries, output, sentence, stamp};
use crate::domain::backup::JobRun;

/// What a process says first of a backup.
const BEGINS: &str = "Starting backup using";
/// What it says of one that went well.
const WELL: &str = "Backup completed (start time";
/// What it says of one that did not.
const FAILS: [&str; 2] = ["ERROR: Backup failed", "ERROR: Impossible to start the backup"];
/// Processes that are followed side by side.
const AT_ONCE: usize = 64;

/// What one process has said so far.
struct Open<'a> {
    process: &'a str,
    entries: Vec<Entry<'a>>,
}

/// The process that an entry is of.
fn process(said: &str) -> Option<&str> {
    said.trim_start().strip_prefix('[')?.split(']').next()
}

/// The runs of `backup` of one server that a log tells of, oldest first.
pub(super) fn runs(text: &str, server: &str, zone: Option<chrono_tz::Tz>) -> Vec<Logged> {
    let mut all: Vec<Logged> = Vec::new();
    let mut open: Vec<Open<'_>> = Vec::new();
    for entry in entries(text.lines(), |line| stamp(line, zone).filter(|(_, rest)| process(rest).is_some())) {
        let Some(process) = process(entry.said) else { continue };
        let at = open.iter().position(|open| open.process == process).unwrap_or_else(|| {
            if open.len() >= AT_ONCE {
                all.extend(run(&open.remove(0).entries, server));
            }
            open.push(Open { process, entries: Vec::new() });
            open.len() - 1
        });
        let of = &mut open[at].entries;
        // `backup all` does one server after the other; numbers of processes come again.
        let is_over = of.iter().any(|entry| FAILS.iter().chain([&BEGINS, &WELL]).any(|mark| entry.said.contains(mark)));
        let is_old = of.last().is_some_and(|last| entry.at - last.at > chrono::TimeDelta::hours(12));
        if is_old || is_over && entry.said.contains(BEGINS) {
            all.extend(run(&std::mem::take(of), server));
        }
        of.push(entry);
    }
    all.extend(open.iter().filter_map(|open| run(&open.entries, server)));
    all.sort_by_key(|logged| logged.run.started);
    all
}

/// One process; `None` where it made no backup of this server.
fn run(entries: &[Entry<'_>], server: &str) -> Option<Logged> {
    let last = entries.last()?;
    let says = |words: &str| entries.iter().find(|entry| entry.said.contains(words));
    let (begun, fails) = (says(BEGINS), FAILS.iter().find_map(|words| says(words)));
    if begun.is_none() && fails.is_none() {
        return None;
    }
    let names = [format!("server {server} "), format!("server '{server}'"), format!("check {server}'"), format!("/{server}/")];
    if !entries.iter().flat_map(|entry| &entry.lines).any(|line| names.iter().any(|name| line.contains(name)) || line.ends_with(names[0].trim_end())) {
        return None;
    }
    let ok = match (fails, says(WELL)) {
        (Some(_), _) => Some(false),
        (None, Some(_)) => Some(true),
        (None, None) => None,
    };
    // The first error names the cause; what follows it on lines of its own tells the details.
    let error = says(" ERROR: ").or(fails).filter(|_| ok == Some(false));
    let message = error.map(|error| {
        let words = error.said.split_once("ERROR: ").map_or(error.said, |(_, words)| words);
        let details = error.lines.iter().find_map(|line| line.strip_prefix("DETAILS: "));
        sentence(&details.map_or_else(|| words.to_owned(), |details| format!("{} {details}", words.trim_end())))
    });
    let run = JobRun {
        started: begun.or(entries.first()).map(|entry| entry.at),
        ended: ok.map(|_| fails.unwrap_or(last).at),
        ok,
        message: message.unwrap_or_default(),
        output: if ok == Some(true) { Vec::new() } else { output(entries) },
    };
    Some(Logged { run, last: Some(last.at) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As version 3.4 wrote it: a check of rounds' own, a server that is down, a folder that may not be written, a disk that is full beside what
    /// another process says, and two servers by one process.
    const LOG: &str = "2026-11-22 00:25:20,000 [16600] barman.server ERROR: Check 'PostgreSQL' failed for server 'main'
2026-11-22 00:25:27,985 [16681] barman.postgres WARNING: Error retrieving PostgreSQL status: connection to server failed
2026-11-22 00:25:28,020 [16681] barman.server ERROR: Check 'PostgreSQL' failed for server 'main'
2026-11-22 00:25:28,027 [16681] barman.server ERROR: Impossible to start the backup. Check the log for more details, or run 'barman check main'
2026-11-22 00:25:30,888 [16718] barman.backup ERROR: Backup failed starting backup.
DETAILS: [Errno 13] Permission denied: '/srv/main/base/20261122T002530'
2026-11-22 00:25:30,888 [16718] barman.cli ERROR: [Errno 13] Permission denied: '/srv/main/base/20261122T002530'
See log file for more details.
2026-11-22 00:25:31,395 [16765] barman.backup INFO: Starting backup using postgres method for server main in /srv/main/base/20261122T002531
2026-11-22 00:25:31,400 [16700] barman.command_wrappers INFO: main: pg_receivewal: starting log streaming at 0/8000000 (timeline 1)
2026-11-22 00:25:31,414 [16765] barman.backup ERROR: Backup failed copying files.
DETAILS: data transfer failure on directory '/srv/main/base/20261122T002531/data'
pg_basebackup error:
pg_basebackup: error: could not write to file: No space left on device
2026-11-22 00:26:00,000 [17000] barman.backup INFO: Starting backup using postgres method for server main in /srv/main/base/20261122T002600
2026-11-22 00:27:00,000 [17000] barman.backup INFO: Backup completed (start time: 2026-11-22 00:26:00.000000, elapsed time: 1 minute)
2026-11-22 00:27:01,000 [17000] barman.backup INFO: Starting backup using postgres method for server other in /srv/other/base/20261122T002701
2026-11-22 00:27:02,000 [17000] barman.backup ERROR: Backup failed copying files.
2026-11-22 00:28:00,000 [17001] barman.backup INFO: Starting backup using postgres method for server main in /srv/main/base/20261122T002800
";

    #[test]
    fn what_one_process_says_of_one_server_is_a_run() {
        let all = runs(LOG, "main", Some(chrono_tz::UTC));
        assert_eq!(all.iter().map(|logged| logged.run.ok).collect::<Vec<_>>(), [Some(false), Some(false), Some(false), Some(true), None]);
        let messages: Vec<&str> = all.iter().take(3).map(|logged| logged.run.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "Check 'PostgreSQL' failed for server 'main'",
                "Backup failed starting backup. [Errno 13] Permission denied: '/srv/main/base/20261122T002530'",
                "Backup failed copying files. data transfer failure on directory '/srv/main/base/20261122T002531/data'",
            ]
        );
        let full = &all[2].run;
        assert_eq!((full.output.len(), full.started.unwrap().timestamp()), (5, 1_795_307_131));
        assert!(full.output.iter().all(|line| !line.contains("pg_receivewal")), "what another process says is not its: {:?}", full.output);
        assert_eq!(full.output[4], "pg_basebackup: error: could not write to file: No space left on device");
        let other = runs(LOG, "other", None);
        assert_eq!((other.len(), other[0].run.ok), (1, Some(false)));
        assert!(runs(LOG, "mai", None).is_empty() && runs("garbage\n\u{1b}[2J", "main", None).is_empty());
    }
}
