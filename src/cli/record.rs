//! What the verbs that tell rounds something share: the journal for writing, what is there to be told about, moments in words.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::anyhow;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeZone};

use super::{Context, Failure, load};
use crate::app::{self, history, pass};
use crate::config::model::Config;
use crate::domain::time::parse_duration;
use crate::domain::{SourceId, Status, Timestamp};
use crate::io::clock;
use crate::journal::{Identity, Journal, Snapshot, read_snapshot};
use crate::report::clean;
use crate::state::State;

/// How long writing may wait for others' transactions.
const WRITING: Duration = Duration::from_secs(10);
/// How long a look at what nobody has looked at may take.
const LOOKING: Duration = Duration::from_secs(30);

/// Refuses where nothing may be changed.
pub(super) fn allowed(context: &Context) -> Result<(), Failure> {
    if context.global.read_only { Err(Failure::Usage("--read-only: nothing is changed".to_owned())) } else { Ok(()) }
}

/// Opens the journal, lets `keep` hand things to it, and answers once they are on the disk. Running dashboards follow.
pub(super) fn keep(config: &Config, context: &Context, keep: impl FnOnce(&Journal)) -> Result<(), Failure> {
    let Some(dir) = load::state_dir(context) else {
        return Err(Failure::Usage("there is no state directory to keep it in: name one with --state-dir".to_owned()));
    };
    let opened = Journal::open(&dir, &config.journal, Identity::of_this_process());
    if let Some(trouble) = &opened.trouble {
        super::complain(&trouble.notice(clock::now()).text);
    }
    let Some(journal) = opened.journal else { return Err(Failure::Other(anyhow!("nothing was changed: `rounds doctor` looks for the cause"))) };
    keep(&journal);
    if journal.flush(WRITING) && journal.lost() == 0 {
        Ok(())
    } else {
        Err(Failure::Other(anyhow!("nothing was changed: the journal in {} cannot be written", dir.display())))
    }
}

/// What the journal knows.
pub(super) fn snapshot(context: &Context) -> Snapshot {
    load::state_dir(context).as_deref().and_then(read_snapshot).unwrap_or_default()
}

/// How it all stands: by the journal where somebody looks, by a pass over what nobody has looked at in time. `wanted` tells which
/// sources are of interest.
pub(super) fn present(config: &Config, snapshot: &Snapshot, wanted: impl Fn(&SourceId) -> bool) -> Result<State, Failure> {
    let mut state = app::initial_state(config);
    history::remember(&mut state, snapshot.clone(), clock::now());
    let unseen: BTreeSet<SourceId> = state
        .world
        .sources
        .values()
        .filter(|source| wanted(&source.spec.id) && (source.checked_at.is_none() || source.status == Status::Stale || is_long_gone(source)))
        .map(|source| source.spec.id.clone())
        .collect();
    if !unseen.is_empty() {
        let mut narrowed = config.clone();
        narrowed.sources.retain(|entry| unseen.contains(&entry.id));
        let looked = pass::once(&narrowed, LOOKING, Some(snapshot))?;
        state.world.findings.retain(|finding| !unseen.contains(&finding.source));
        state.world.findings.extend(looked.world.findings);
        state.world.sources.extend(looked.world.sources);
    }
    Ok(state)
}

/// Not known for no other reason than that nobody looked for long.
fn is_long_gone(source: &crate::state::SourceState) -> bool {
    source.status == Status::Unknown && source.error.is_none()
}

/// A moment to come: `2h`, `2026-12-01`, `2026-12-01T18:00`, or RFC 3339. Without an offset it is in the configured zone, else the machine's.
pub(super) fn moment(text: &str, config: &Config, now: Timestamp) -> Result<Timestamp, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("\"{}\" {why}: write 2h, 3d, 2026-12-01 or 2026-12-01T18:00", clean(text)));
    let at = if let Ok(time) = parse_duration(text) {
        chrono::Duration::from_std(time).ok().and_then(|time| now.checked_add_signed(time))
    } else if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) {
        Some(at.to_utc())
    } else {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN));
        let local =
            day.or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M")).or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S"));
        let local = local.map_err(|_| wrong("is neither a duration nor a date"))?;
        match config.ui.zone {
            Some(zone) => zone.from_local_datetime(&local).earliest().map(|at| at.to_utc()),
            None => chrono::Local.from_local_datetime(&local).earliest().map(|at| at.to_utc()),
        }
    };
    match at {
        Some(at) if at > now => Ok(at),
        Some(_) => Err(wrong("is over already")),
        None => Err(wrong("is no moment")),
    }
}

/// A reason as it is kept: one line, of a length that fits everywhere, and not empty.
pub(super) fn reason(text: &str) -> Result<String, Failure> {
    let text: String = clean(text).trim().chars().take(300).collect();
    if text.is_empty() { Err(Failure::Usage("a reason is needed: --why \"…\"".to_owned())) } else { Ok(text) }
}

/// The configured site of this name.
pub(super) fn site(name: &str, config: &Config) -> Result<String, Failure> {
    if config.sites.iter().any(|site| site.name == name) {
        return Ok(name.to_owned());
    }
    let known: Vec<&str> = config.sites.iter().map(|site| site.name.as_str()).collect();
    Err(Failure::Usage(format!("there is no site \"{}\"; there are: {}", clean(name), known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_durations_dates_or_exact() {
        let mut config = Config::empty();
        config.ui.zone = Some(chrono_tz::Europe::Berlin);
        let now = chrono::DateTime::parse_from_rfc3339("2026-11-20T03:12:00Z").unwrap().to_utc();
        for (text, expected) in [
            ("2h", "2026-11-20T05:12:00+00:00"),
            ("2026-12-01", "2026-11-30T23:00:00+00:00"),
            ("2026-12-01T18:00", "2026-12-01T17:00:00+00:00"),
            ("2026-12-01T18:00:00+02:00", "2026-12-01T16:00:00+00:00"),
        ] {
            assert_eq!(moment(text, &config, now).unwrap().to_rfc3339(), expected, "{text}");
        }
        for (text, why) in [("tomorrow", "neither"), ("2026-11-19", "over"), ("0s", "over"), ("2026-13-01", "neither")] {
            let said = moment(text, &config, now).unwrap_err().to_string();
            assert!(said.contains(why) && said.contains("write 2h"), "{said}");
        }
    }

    #[test]
    fn a_reason_is_one_clean_line() {
        assert_eq!(reason(" a\u{1b}[31mb ").unwrap(), "ab");
        assert!(reason(" \n").is_err());
    }
}
