//! The log that pgBackRest keeps of its backups, and where it is. Pure.
//!
//! Facts: pgBackRest's own sources, `src/common/log.c` and `src/command/command.c`, and version 2.45 as Debian has it: a line with
//! `PROCESS START` before what a process says first, its beginning and its end at the level `info`, errors at any.

use crate::backups::joblog::{Entry, Logged, entries, output, sentence, stamp};
use crate::domain::backup::JobRun;

/// What stands in a line of its own before the first words of a process.
const PROCESS: &str = "-PROCESS START-";

/// The runs of `backup` that a log tells of, oldest first.
pub(super) fn runs(text: &str, zone: Option<chrono_tz::Tz>) -> Vec<Logged> {
    let lines: Vec<&str> = text.lines().collect();
    let processes = lines.split(|line| line.contains(PROCESS));
    processes.filter_map(|lines| run(&entries(lines.iter().copied(), |line| stamp(line, zone)))).collect()
}

/// One process; `None` where it was another command, or says nothing of how it went.
fn run(entries: &[Entry<'_>]) -> Option<Logged> {
    let (first, last) = (entries.first()?, entries.last()?);
    let says = |words: &str| entries.iter().find(|entry| entry.said.contains(words));
    let (begun, ended) = (says("INFO: backup command begin "), says("INFO: backup command end: "));
    let error = says(" ERROR: ").and_then(|entry| entry.said.split_once("ERROR: ")).map(|(_, words)| sentence(words));
    let ok = match (ended, &error) {
        (Some(end), _) if end.said.contains("completed successfully") => Some(true),
        (Some(_), _) | (None, Some(_)) => Some(false),
        // It began, and no end is told.
        (None, None) => begun.map(|_| None)?,
    };
    let message = error.or_else(|| ended.and_then(|entry| entry.said.split_once("command end: ")).map(|(_, words)| sentence(words)));
    let run = JobRun {
        started: Some(first.at),
        ended: ok.map(|_| last.at),
        ok,
        message: message.filter(|_| ok == Some(false)).unwrap_or_default(),
        output: if ok == Some(true) { Vec::new() } else { output(entries) },
    };
    Some(Logged { run, last: Some(last.at) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As version 2.45 wrote it: well, refused, killed, with warnings only, without a server at the level `warn`.
    const LOG: &str = "2026-11-22 00:17:00.000 P00   INFO: the end of a run whose beginning was not read
-------------------PROCESS START-------------------
2026-11-22 00:35:07.941 P00   INFO: backup command begin 2.45: --exec-id=20602-61927f9c --stanza=main
2026-11-22 00:35:10.396 P00   INFO: backup command end: completed successfully (2457ms)

-------------------PROCESS START-------------------
2026-11-22 00:35:10.422 P00   INFO: backup command begin 2.45: --exec-id=20614-188045bd --stanza=main
2026-11-22 00:35:12.101 P00  ERROR: [047]: unable to create path '/srv/repo/backup/main/20261122-003511F': [13] Permission denied
2026-11-22 00:35:12.101 P00   INFO: backup command end: aborted with exception [047]

-------------------PROCESS START-------------------
2026-11-22 00:35:12.130 P00   INFO: backup command begin 2.45: --exec-id=20622-e26d9308 --stanza=main
2026-11-22 00:35:13.445 P00   INFO: check archive for segment 00000001000000000000000B

-------------------PROCESS START-------------------
2026-11-22 00:35:17.204 P00   WARN: resumable backup 20261122-003512F of same type exists -- invalid files will be removed then the backup will resume

-------------------PROCESS START-------------------
2026-11-22 00:35:18.600 P00   WARN: unable to check pg1: [DbConnectError] unable to connect
                                    \tIs the server running locally and accepting connections on that socket?
2026-11-22 00:35:18.600 P00  ERROR: [056]: unable to find primary cluster - cannot proceed
                                    HINT: are all available clusters in recovery?
";

    #[test]
    fn each_process_is_a_run_by_its_own_marks() {
        let all = runs(LOG, Some(chrono_tz::UTC));
        assert_eq!(all.iter().map(|logged| logged.run.ok).collect::<Vec<_>>(), [Some(true), Some(false), None, Some(false)]);
        let refused = &all[1].run;
        assert!(refused.message.starts_with("[047]: unable to create path"), "{refused:?}");
        assert_eq!((refused.output.len(), refused.started.unwrap().timestamp()), (3, 1_795_307_710));
        assert!(refused.output[0].contains("backup command begin") && refused.output[2].ends_with("aborted with exception [047]"));
        // Where only errors are written nothing but them tells of a run.
        let last = &all[3].run;
        assert_eq!((last.message.as_str(), last.output.len()), ("[056]: unable to find primary cluster - cannot proceed", 4));
        assert!(runs("", None).is_empty() && runs("garbage\n\u{1b}[2J\n-PROCESS START-", None).is_empty());
    }
}
