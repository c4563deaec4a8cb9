//! The state for Prometheus: its text format 0.0.4, or OpenMetrics 1.0 where that was asked for.
//!
//! Every label is a name of the configuration or a word of a closed set, so the number of series follows from the configuration alone.
//! Names begin with `rounds_` and units are base units (prometheus.io, "Metric and label naming"). What does not belong here: serving
//! (`app::watch`), and titles and messages of the outside world, which are not for a label.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::domain::time::since;
use crate::domain::{Backup, Health, IssueState, Level, Severity, Status, Timestamp, Verdict};
use crate::state::{SourceState, World};

/// The form of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    Text,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// The one that an `Accept` header prefers; without a word about OpenMetrics it is the text.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let weight = |wanted: &str| {
            let parts = accept.split(',').filter_map(|part| {
                let mut words = part.split(';').map(str::trim);
                (words.next()?.eq_ignore_ascii_case(wanted)).then(|| words.find_map(|word| word.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0))
            });
            parts.fold(0.0, f32::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Self::OpenMetrics } else { Self::Text }
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What the collector knows of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Own {
    /// When it started.
    pub started: Timestamp,
    /// Whether polls progress.
    pub polls_progress: bool,
    /// Whether the journal takes writes.
    pub journal_writes: bool,
    /// Polls since the start by kind of source and by result: `ok`, `error`, or `followed` (another process looked).
    pub polls: BTreeMap<(String, &'static str), u64>,
    /// When the last poll of ours or of another process ended.
    pub last_poll: Option<Timestamp>,
    /// Sources that this process polls for all.
    pub held: usize,
    /// Transactions of the journal.
    pub transactions: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// What could not be kept.
    pub lost: u64,
    /// When the journal was last written.
    pub last_write: Option<Timestamp>,
    /// Outside heartbeats that were taken, and that were not; `None`: none is configured.
    pub heartbeats: Option<(u64, u64)>,
    /// When the last one was taken.
    pub last_heartbeat: Option<Timestamp>,
    /// Configurations that were read again: taken, and refused.
    pub reloads: (u64, u64),
    /// Lines that standard error could not take.
    pub lines_lost: u64,
    /// Drills and checks that were started by schedule.
    pub scheduled: u64,
}

#[derive(Clone, Copy)]
enum Type {
    Gauge,
    Counter,
}

/// A page under construction. A family without samples leaves no trace.
struct Page {
    text: String,
    format: Format,
    /// Name, type and help of the family that has no sample yet.
    head: Option<(&'static str, Type, &'static str)>,
    name: &'static str,
}

impl Page {
    fn family(&mut self, name: &'static str, kind: Type, help: &'static str) {
        self.head = Some((name, kind, help));
        self.name = name;
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        if let Some((name, kind, help)) = self.head.take() {
            // In OpenMetrics the family of a counter is named without the ending of its sample.
            let family = match (self.format, kind) {
                (Format::OpenMetrics, Type::Counter) => name.strip_suffix("_total").unwrap_or(name),
                _ => name,
            };
            let word = match kind {
                Type::Gauge => "gauge",
                Type::Counter => "counter",
            };
            let _ = writeln!(self.text, "# HELP {family} {help}\n# TYPE {family} {word}");
        }
        self.text.push_str(self.name);
        for (at, (name, value)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(value, &mut self.text);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn one(&mut self, name: &'static str, kind: Type, help: &'static str, value: f64) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    /// A family with one sample for each source that has a value.
    fn each<'a>(&mut self, world: &'a World, name: &'static str, help: &'static str, value: impl Fn(&'a SourceState) -> Option<f64>) {
        self.family(name, Type::Gauge, help);
        for source in world.sources.values() {
            if let Some(value) = value(source).filter(|value| value.is_finite()) {
                self.sample(&labels(source), value);
            }
        }
    }
}

/// A label's value: backslash, quote and line end are escaped; other control characters do not belong into any.
fn escape(value: &str, into: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            c if c.is_control() => into.push(char::REPLACEMENT_CHARACTER),
            c => into.push(c),
        }
    }
}

fn labels(source: &SourceState) -> [(&'static str, &str); 3] {
    let id = &source.spec.id;
    [("site", id.site()), ("kind", id.kind()), ("name", id.name())]
}

/// Seconds since the epoch.
fn stamp(at: Timestamp) -> f64 {
    at.timestamp_millis() as f64 / 1_000.0
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

const STATUSES: [Status; 8] =
    [Status::Ok, Status::Degraded, Status::Down, Status::Pending, Status::Unknown, Status::Stale, Status::Paused, Status::Maintenance];
const SEVERITIES: [Severity; 4] = [Severity::Critical, Severity::Unknown, Severity::Warning, Severity::Info];

/// The whole page.
#[must_use]
pub fn text(world: &World, own: &Own, now: Timestamp, format: Format) -> String {
    let room = 2_048 + world.sources.len() * 1_200;
    let mut page = Page { text: String::with_capacity(room), format, head: None, name: "" };
    itself(&mut page, own);
    findings(&mut page, world);
    sources(&mut page, world);
    probes(&mut page, world);
    backups(&mut page, world, now);
    logs_and_others(&mut page, world);
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

fn itself(page: &mut Page, own: &Own) {
    use Type::{Counter, Gauge};
    page.family("rounds_build_info", Gauge, "The version of rounds that answers.");
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    page.one("rounds_start_time_seconds", Gauge, "When the collector started, since the epoch.", stamp(own.started));
    page.family("rounds_collector_healthy", Gauge, "Whether polls progress and the journal takes writes.");
    page.sample(&[("part", "polls")], flag(own.polls_progress));
    page.sample(&[("part", "journal")], flag(own.journal_writes));
    page.family("rounds_polls_total", Counter, "Polls that ended, by kind of source; followed: another process looked.");
    for ((kind, result), count) in &own.polls {
        page.sample(&[("kind", kind), ("result", result)], *count as f64);
    }
    if let Some(at) = own.last_poll {
        page.one("rounds_last_poll_timestamp_seconds", Gauge, "When the last poll of any source ended.", stamp(at));
    }
    page.one("rounds_sources_held", Gauge, "Sources that this process polls for all.", own.held as f64);
    page.one("rounds_journal_transactions_total", Counter, "Transactions written to the journal.", own.transactions as f64);
    page.one("rounds_journal_failures_total", Counter, "Transactions of the journal that failed.", own.failures as f64);
    page.one("rounds_journal_lost_total", Counter, "Items that could not be kept.", own.lost as f64);
    if let Some(at) = own.last_write {
        page.one("rounds_journal_last_write_timestamp_seconds", Gauge, "When the journal was last written.", stamp(at));
    }
    if let Some((taken, refused)) = own.heartbeats {
        page.family("rounds_heartbeats_total", Counter, "Calls of the outside heartbeat, by result.");
        page.sample(&[("result", "ok")], taken as f64);
        page.sample(&[("result", "error")], refused as f64);
    }
    if let Some(at) = own.last_heartbeat {
        page.one("rounds_heartbeat_last_success_timestamp_seconds", Gauge, "When the outside heartbeat was last taken.", stamp(at));
    }
    page.family("rounds_config_reloads_total", Counter, "Configurations that were read again, by result.");
    page.sample(&[("result", "ok")], own.reloads.0 as f64);
    page.sample(&[("result", "error")], own.reloads.1 as f64);
    page.one("rounds_scheduled_runs_total", Counter, "Drills and checks that were started by schedule.", own.scheduled as f64);
    page.one("rounds_lines_lost_total", Counter, "Lines that standard error could not take.", own.lines_lost as f64);
}

fn findings(page: &mut Page, world: &World) {
    page.family("rounds_findings", Type::Gauge, "Findings by site and severity; acknowledged: somebody has them.");
    let mut counts: BTreeMap<(&str, Severity, bool), u64> = BTreeMap::new();
    for finding in &world.findings {
        *counts.entry((finding.source.site(), finding.severity, finding.acknowledged.is_some())).or_default() += 1;
    }
    // Also what is not there is told: an alert on a series that comes and goes has gaps.
    for site in &world.sites {
        for severity in SEVERITIES {
            for taken in [false, true] {
                let count = counts.get(&(site.name.as_str(), severity, taken)).copied().unwrap_or(0);
                let taken = if taken { "true" } else { "false" };
                page.sample(&[("site", &site.name), ("severity", severity.word()), ("acknowledged", taken)], count as f64);
            }
        }
    }
}

fn sources(page: &mut Page, world: &World) {
    page.family("rounds_sources", Type::Gauge, "Sources by status.");
    for status in STATUSES {
        let count = world.sources.values().filter(|source| source.status == status).count();
        page.sample(&[("status", status.word())], count as f64);
    }
    page.family("rounds_source_status", Type::Gauge, "How a source stands: 1 for its status, 0 for the others.");
    for source in world.sources.values() {
        let [site, kind, name] = labels(source);
        for status in STATUSES {
            page.sample(&[site, kind, name, ("status", status.word())], flag(source.status == status));
        }
    }
    let checked = |source: &SourceState| source.checked_at.map(stamp);
    page.each(world, "rounds_source_last_check_timestamp_seconds", "When the last poll of a source ended, good or bad.", checked);
    page.family("rounds_source_error", Type::Gauge, "1 while a source could not be looked at, or did not answer, for this reason.");
    for source in world.sources.values() {
        if let Some(error) = &source.error {
            let [site, kind, name] = labels(source);
            page.sample(&[site, kind, name, ("error", error.kind.word())], 1.0);
        }
    }
}

fn last(source: &SourceState) -> Option<&Health> {
    source.health.as_ref()?.last.as_ref().map(|(_, health)| health)
}

fn probes(page: &mut Page, world: &World) {
    page.each(world, "rounds_probe_success", "Whether the last probe answered as expected.", |source| {
        last(source).map(|health| flag(health.verdict != Verdict::Down))
    });
    page.each(world, "rounds_probe_duration_seconds", "How long the last probe took, until the last byte.", |source| {
        last(source)?.latency_ms.map(|ms| ms / 1_000.0)
    });
    page.family("rounds_probe_phase_seconds", Type::Gauge, "Where the time of the last probe went.");
    for source in world.sources.values() {
        let Some(health) = last(source) else { continue };
        let phases = &health.phases_ms;
        let [site, kind, name] = labels(source);
        for (phase, ms) in
            [("resolve", phases.resolve), ("connect", phases.connect), ("tls", phases.tls), ("first_byte", phases.first_byte), ("transfer", phases.transfer)]
        {
            if let Some(ms) = ms.filter(|ms| ms.is_finite()) {
                page.sample(&[site, kind, name, ("phase", phase)], ms / 1_000.0);
            }
        }
    }
    page.each(world, "rounds_probe_http_status_code", "The HTTP status of the last probe.", |source| last(source)?.status_code.map(f64::from));
    page.each(world, "rounds_certificate_not_after_timestamp_seconds", "Until when the certificate and its intermediates are valid.", |source| {
        source.certificate.as_ref().map(|(_, certificate)| stamp(certificate.not_after))
    });
    page.each(world, "rounds_certificate_chain_valid", "Whether the chain verified for the host.", |source| {
        source.certificate.as_ref().map(|(_, certificate)| flag(certificate.chain_ok))
    });
}

fn backups(page: &mut Page, world: &World, now: Timestamp) {
    type Value<'a> = &'a dyn Fn(&Backup) -> Option<f64>;
    // Few sources are backups: looked up once for all families.
    let all: Vec<(&SourceState, &Backup)> = world.sources.values().filter_map(|source| Some((source, source.backup.as_ref()?.1.as_ref()))).collect();
    let families: [(&'static str, &'static str, Value<'_>); 9] = [
        ("rounds_backup_last_success_timestamp_seconds", "When the last good copy was finished.", &|backup| backup.last_success.map(stamp)),
        ("rounds_backup_age_seconds", "How old the last good copy is.", &|backup| backup.last_success.map(|at| since(at, now).as_secs_f64())),
        ("rounds_backup_max_age_seconds", "The promise: how old the last good copy may be.", &|backup| backup.max_age_s.map(|s| s as f64)),
        ("rounds_backup_size_bytes", "Size of the last good copy.", &|backup| backup.size_bytes.map(|bytes| bytes as f64)),
        ("rounds_backup_copies", "How many copies there are.", &|backup| Some(backup.snapshots as f64)),
        ("rounds_backup_check_timestamp_seconds", "When the content of a copy was last checked.", &|backup| backup.checked_at.map(stamp)),
        ("rounds_backup_drill_timestamp_seconds", "When a restore was last tried.", &|backup| backup.drill.as_ref().map(|drill| stamp(drill.at))),
        ("rounds_backup_drill_success", "Whether every assertion of the last restore held.", &|backup| backup.drill.as_ref().map(|drill| flag(drill.ok))),
        ("rounds_backup_drill_duration_seconds", "How long the last restore took.", &|backup| backup.drill.as_ref().map(|drill| drill.seconds)),
    ];
    for (name, help, value) in families {
        page.family(name, Type::Gauge, help);
        for (source, backup) in &all {
            if let Some(value) = value(backup).filter(|value| value.is_finite()) {
                page.sample(&labels(source), value);
            }
        }
    }
}

fn logs_and_others(page: &mut Page, world: &World) {
    page.family("rounds_log_lines_total", Type::Counter, "Lines of a log that were read since the start.");
    for source in world.sources.values() {
        if let Some(log) = &source.log {
            page.sample(&labels(source), log.lines as f64);
        }
    }
    page.family("rounds_log_events_total", Type::Counter, "Events of a log since the start, by level.");
    for source in world.sources.values() {
        let Some(log) = &source.log else { continue };
        let [site, kind, name] = labels(source);
        for level in Level::ALL {
            page.sample(&[site, kind, name, ("level", level.word())], log.levels.get(&level).copied().unwrap_or(0) as f64);
        }
    }
    page.family("rounds_issues", Type::Gauge, "Issues of a tracker that were read, by state.");
    for source in world.sources.values() {
        let Some((_, issues)) = &source.issues else { continue };
        let [site, kind, name] = labels(source);
        for state in [IssueState::New, IssueState::Regressed, IssueState::Escalating, IssueState::Ongoing, IssueState::Archived] {
            let count = issues.items.iter().filter(|issue| issue.state == state).count();
            page.sample(&[site, kind, name, ("state", state.word())], count as f64);
        }
    }
    page.family("rounds_packages", Type::Gauge, "Packages, and those among them with an advisory or a newer version.");
    for source in world.sources.values() {
        let Some((_, packages)) = &source.packages else { continue };
        let [site, kind, name] = labels(source);
        let vulnerable = packages.items.iter().filter(|package| !package.advisories.is_empty()).count();
        let outdated = packages.items.iter().filter(|package| package.outdated()).count();
        for (state, count) in [("all", packages.items.len()), ("vulnerable", vulnerable), ("outdated", outdated)] {
            page.sample(&[site, kind, name, ("state", state)], count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Acknowledgement, Backup, Certificate, Drill, SourceError};
    use crate::report::sample::{at, finding, source, state};

    fn sample() -> World {
        let mut home = source("shop/http/home", Status::Ok);
        home.certificate = Some((
            at(),
            Certificate {
                host: "shop.example".into(),
                not_before: at(),
                not_after: at() + chrono::TimeDelta::days(30),
                issuer: "An \"authority\"".into(),
                subject: String::new(),
                names: vec![],
                chain_ok: true,
                problem: None,
                chain: vec![],
                warning_s: None,
                critical_s: None,
            },
        ));
        let mut api = source("shop/http/api", Status::Down);
        api.error = Some(SourceError::connect("connection refused"));
        if let Some((_, health)) = api.health.as_mut().and_then(|health| health.last.as_mut()) {
            *health = Health { verdict: Verdict::Down, status_code: None, latency_ms: None, phases_ms: crate::domain::Phases::default(), ..health.clone() };
        }
        let mut log = source("shop/log/app", Status::Ok);
        if let Some(log) = &mut log.log {
            log.lines = 412;
            log.levels.insert(Level::Error, 3);
        }
        let mut dumps = source("shop/files/dumps", Status::Degraded);
        dumps.health = None;
        let drill = Drill { at: at() - chrono::TimeDelta::days(12), ok: true, seconds: 250.5, ..Drill::default() };
        let backup = Backup {
            last_success: Some(at() - chrono::TimeDelta::hours(30)),
            snapshots: 14,
            size_bytes: Some(266_338_304),
            max_age_s: Some(93_600),
            drill: Some(drill),
            ..Backup::default()
        };
        dumps.backup = Some((at(), Box::new(backup)));
        let mut taken = finding("shop/files/dumps", "backup", Severity::Warning);
        taken.acknowledged = Some(Acknowledgement { by: "ann".into(), why: "known".into(), at: at(), until: None, bound: None });
        state(vec![home, api, log, dumps], vec![finding("shop/http/api", "availability", Severity::Critical), taken]).world
    }

    fn own() -> Own {
        let polls = [("http".to_owned(), "ok"), ("http".to_owned(), "error"), ("log".to_owned(), "ok")].into_iter().zip([40, 7, 9]).collect();
        Own {
            started: at() - chrono::TimeDelta::hours(1),
            polls_progress: true,
            journal_writes: true,
            polls,
            last_poll: Some(at()),
            held: 4,
            transactions: 120,
            last_write: Some(at()),
            heartbeats: Some((60, 1)),
            last_heartbeat: Some(at()),
            reloads: (1, 1),
            ..Own::default()
        }
    }

    #[test]
    fn the_whole_page() {
        insta::assert_snapshot!(text(&sample(), &own(), at(), Format::Text));
    }

    #[test]
    fn in_open_metrics_counters_are_named_without_their_ending_and_the_end_is_told() {
        let open = text(&sample(), &own(), at(), Format::OpenMetrics);
        assert!(open.contains("# TYPE rounds_polls counter\nrounds_polls_total{kind=\"http\""), "{open}");
        assert!(open.ends_with("\n# EOF\n"), "{open}");
    }

    #[test]
    fn every_sample_stands_below_its_family_and_no_series_comes_twice() {
        for format in [Format::Text, Format::OpenMetrics] {
            let page = text(&sample(), &own(), at(), format);
            let (mut family, mut families, mut series) = (String::new(), std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
            for line in page.lines().filter(|line| *line != "# EOF") {
                if let Some(rest) = line.strip_prefix("# HELP ") {
                    rest.split(' ').next().unwrap().clone_into(&mut family);
                    assert!(families.insert(family.clone()), "{family} comes twice");
                } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                    assert!(rest.starts_with(&format!("{family} ")), "{line}");
                } else {
                    let (name, value) = line.rsplit_once(' ').unwrap();
                    assert!(name.starts_with(&family) && value.parse::<f64>().unwrap().is_finite(), "{line}");
                    assert!(series.insert(name.to_owned()), "{line}");
                }
            }
        }
    }

    #[test]
    fn a_label_is_escaped() {
        let mut into = String::new();
        escape("a\\b\"c\nd\u{1b}[31m", &mut into);
        assert_eq!(into, "a\\\\b\\\"c\\nd\u{fffd}[31m");
    }

    #[test]
    fn open_metrics_is_given_to_who_prefers_it() {
        for (accept, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format::Text),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text;q=0.2,text/plain", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }
}
