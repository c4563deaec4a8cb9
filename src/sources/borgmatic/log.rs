//! The log file that borgmatic writes where it is told to, and where that is. Pure.
//!
//! Facts: borgmatic's own sources, `borgmatic/logger.py` (`[time] LEVEL: message` unless `log_file_format` says otherwise) and
//! `borgmatic/commands/borgmatic.py`: what it says of a run that failed ends with a line that offers help; of one that went well it says
//! something only at the verbosity 1.

use chrono::TimeDelta;

use crate::backups::joblog::{Entry, Logged, entries, output, sentence, stamp};
use crate::domain::backup::JobRun;

/// The last line of a run that failed.
const FAILED: &str = "Need some help?";
/// The words by which one that went well is told.
const WELL: &str = "Successfully ran configuration";
/// What borg is called for where no copy is made: questions, which rounds asks too.
const QUESTIONS: [&str; 10] = ["list", "rlist", "repo-list", "info", "rinfo", "repo-info", "check", "extract", "mount", "--version"];
/// What is written so long before an end is of another run.
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// The log file that a configuration names: `log_file`, flat or in a section.
pub(super) fn path(configuration: &str) -> Option<String> {
    let value = configuration.lines().find_map(|line| line.trim_start().strip_prefix("log_file:"))?.trim();
    let value = value.split(" #").next().unwrap_or(value).trim().trim_matches(['"', '\'']);
    value.starts_with('/').then(|| value.to_owned())
}

/// What an entry says behind its level, and whether it tells of an error.
fn words<'a>(entry: &Entry<'a>) -> (&'a str, bool) {
    let (level, words) = entry.said.trim_start_matches([']', ' ']).split_once(": ").unwrap_or(("", entry.said));
    (words.trim(), matches!(level, "ERROR" | "CRITICAL"))
}

/// The runs that a log tells of, oldest first; of a configuration by this name, where the log says whose a run was.
pub(super) fn runs(text: &str, configuration: Option<&str>, zone: Option<chrono_tz::Tz>) -> Vec<Logged> {
    let head = |line| stamp(str::strip_prefix(line, '[')?, zone).filter(|(_, rest)| rest.starts_with(']'));
    let all = entries(text.lines(), head);
    let is_end = |entry: &&Entry<'_>| words(entry).0.starts_with(FAILED) || words(entry).0.contains(WELL);
    let mut runs = Vec::new();
    let mut rest = all.as_slice();
    while let Some(end) = rest.iter().position(|entry| is_end(&entry)) {
        let (own, later) = rest.split_at(end + 1);
        // The summary's lines bear the times of what they repeat.
        let first = own.iter().position(|entry| own[end].at - entry.at < LONGEST).unwrap_or(end);
        runs.extend(run(&own[first..], configuration));
        rest = later;
    }
    runs
}

/// One run; `None` where it was a question, or another configuration's.
fn run(entries: &[Entry<'_>], configuration: Option<&str>) -> Option<Logged> {
    let (first, last) = (entries.first()?, entries.last()?);
    let of = |path: &str| path.rsplit('/').next().map(str::to_owned);
    let named = entries.iter().find_map(|entry| {
        let (words, _) = words(entry);
        [": Error running configuration", ": Successfully ran configuration"].iter().find_map(|mark| words.split_once(mark).map(|(path, _)| path))
    });
    if configuration.zip(named).is_some_and(|(own, named)| of(own) != of(named)) {
        return None;
    }
    let command = |entry: &Entry<'_>| words(entry).0.split_once("Command '").map(|(_, argv)| argv.to_owned());
    let asked = entries.iter().find_map(command).is_some_and(|argv| argv.split(' ').nth(1).is_some_and(|verb| QUESTIONS.contains(&verb)));
    if asked {
        return None;
    }
    let ok = words(last).0.contains(WELL);
    // The cause, not what follows from it.
    let tells = |text: &str| {
        !text.is_empty()
            && text != "summary:"
            && !["Error running ", "An error occurred", "Command '", FAILED].iter().any(|words| text.split(": ").last().unwrap_or(text).starts_with(words))
    };
    let errors = || entries.iter().map(words).filter(|(_, is_error)| *is_error).map(|(text, _)| text);
    let message = errors().find(|text| tells(text)).or_else(|| errors().find(|text| text.contains("Command '"))).unwrap_or("borgmatic failed");
    let run = JobRun {
        started: Some(first.at),
        ended: Some(last.at),
        ok: Some(ok),
        message: if ok { String::new() } else { sentence(message) },
        output: if ok { Vec::new() } else { output(entries.iter().filter(|entry| !words(entry).0.starts_with(FAILED))) },
    };
    Some(Logged { run, last: Some(last.at) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As versions 1.7 and 2.1 wrote it: well, a repository that is gone, a command before the backup, a question of rounds' own.
    const LOG: &str = "[2026-11-22 00:25:33,227] INFO: /srv/one: Creating archive
[2026-11-22 00:25:33,569] INFO: summary:
[2026-11-22 00:25:33,569] INFO: c.yaml: Successfully ran configuration file
[2026-11-22 00:25:34,400] INFO: /srv/none: Creating archive
[2026-11-22 00:25:34,430] CRITICAL: /srv/none: Error running actions for repository
[2026-11-22 00:25:34,430] CRITICAL: Command 'borg create /srv/none::{hostname} /srv' returned non-zero exit status 2.
[2026-11-22 00:25:34,430] CRITICAL: c.yaml: Error running configuration file
[2026-11-22 00:25:34,430] CRITICAL: 
[2026-11-22 00:25:34,430] CRITICAL: summary:
[2026-11-22 00:25:34,430] CRITICAL: Repository /srv/none does not exist.
[2026-11-22 00:25:34,431] CRITICAL: Need some help? https://example.org/
[2026-11-22 00:37:22,649] CRITICAL: /srv/none: Command 'echo no; exit 3' returned non-zero exit status 3.
[2026-11-22 00:37:22,650] CRITICAL: /etc/borgmatic/c.yaml: Error running configuration
[2026-11-22 00:37:22,650] CRITICAL: /etc/borgmatic/c.yaml: An error occurred
[2026-11-22 00:37:22,650] CRITICAL: Need some help? https://example.org/
[2026-11-22 00:37:24,055] CRITICAL: /srv/none: Command 'borg list --log-json --json /srv/none' returned non-zero exit status 2.
[2026-11-22 00:37:24,056] CRITICAL: Need some help? https://example.org/
";

    #[test]
    fn a_run_ends_with_the_words_that_borgmatic_ends_with() {
        let all = runs(LOG, Some("/etc/borgmatic/c.yaml"), Some(chrono_tz::UTC));
        assert_eq!(all.iter().map(|logged| logged.run.ok).collect::<Vec<_>>(), [Some(true), Some(false), Some(false)], "{all:#?}");
        assert_eq!(all[1].run.message, "Repository /srv/none does not exist.");
        assert_eq!((all[1].run.output.len(), all[1].run.started.unwrap().timestamp()), (7, 1_795_307_134));
        assert!(all[2].run.message.ends_with("Command 'echo no; exit 3' returned non-zero exit status 3."), "{:?}", all[2].run);
        assert_eq!(runs(LOG, Some("other.yaml"), None).len(), 0);
        assert_eq!(runs(LOG, None, None).len(), 3);
        assert!(runs("", None, None).is_empty() && runs("garbage\n[x\u{1b}[2J", None, None).is_empty());
    }

    #[test]
    fn the_configuration_names_its_log() {
        assert_eq!(path("a: 1\nlog_file: /var/log/borgmatic.log # here\n").as_deref(), Some("/var/log/borgmatic.log"));
        assert_eq!(path("log_file: \"/x y.log\"").as_deref(), Some("/x y.log"));
        for text in ["", "log_file_verbosity: 1", "# log_file: /x", "log_file: relative.log"] {
            assert_eq!(path(text), None, "{text}");
        }
    }
}
