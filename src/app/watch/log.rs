//! Lines on standard error, one for each transition, written by a thread of its own: a reader that stands still must not hold up the looking.
//!
//! For the journal of a service manager a line begins with its level (`<3>`, sd-daemon(3)) and has no time; else with the time and the level as a word.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use crate::domain::time::rfc3339;
use crate::domain::{Severity, Status, Timestamp, Transition, TransitionKind};
use crate::journal::Redactor;
use crate::report::clean;

/// Lines that wait for their reader; past them lines are dropped and counted.
const WAITING: usize = 1_024;
/// How long leaving waits for the last lines.
const LAST: Duration = Duration::from_millis(500);

/// How much a line matters (syslog's levels).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Something is wrong now.
    Error = 3,
    /// Something is odd, or cannot be said.
    Warning = 4,
    /// Something is over, or changed on purpose.
    Notice = 5,
    /// Worth knowing.
    Info = 6,
}

impl Weight {
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
        }
    }

    /// That of a transition.
    #[must_use]
    pub fn of(transition: &Transition) -> Self {
        match &transition.kind {
            TransitionKind::Status { to, .. } => match to {
                Status::Down => Self::Error,
                Status::Degraded | Status::Unknown | Status::Stale => Self::Warning,
                Status::Ok => Self::Notice,
                Status::Pending | Status::Paused | Status::Maintenance => Self::Info,
            },
            TransitionKind::Opened { severity, .. } => match severity {
                Severity::Critical => Self::Error,
                Severity::Unknown | Severity::Warning => Self::Warning,
                Severity::Info => Self::Info,
            },
            TransitionKind::Action { ended: Some(end), .. } if !end.ok => Self::Warning,
            TransitionKind::Closed { .. } | TransitionKind::Acknowledged { .. } | TransitionKind::Deploy { .. } | TransitionKind::Action { .. } => Self::Notice,
            TransitionKind::Drill(drill) if !drill.ok => Self::Error,
            TransitionKind::Checked(check) if !check.ok => Self::Error,
            TransitionKind::Drill(_) | TransitionKind::Checked(_) | TransitionKind::Note => Self::Info,
        }
    }
}

/// The way to standard error.
#[derive(Debug)]
pub struct Log {
    lines: Option<SyncSender<String>>,
    ended: Receiver<()>,
    lost: Arc<AtomicU64>,
    to_journal: bool,
    redaction: Redactor,
}

impl Log {
    /// Starts the thread that writes to standard error.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(to_journal: bool, redaction: Redactor) -> std::io::Result<Self> {
        Self::to(std::io::stderr(), to_journal, redaction)
    }

    fn to(mut out: impl Write + Send + 'static, to_journal: bool, redaction: Redactor) -> std::io::Result<Self> {
        let (lines, queue) = mpsc::sync_channel::<String>(WAITING);
        let (end, ended) = mpsc::sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let of_thread = Arc::clone(&lost);
        thread::Builder::new().name("rounds-lines".to_owned()).spawn(move || {
            for line in queue {
                if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                    // Nobody reads any more; looking goes on all the same.
                    of_thread.fetch_add(1, Ordering::Relaxed);
                }
            }
            let _ = end.send(());
        })?;
        Ok(Self { lines: Some(lines), ended, lost, to_journal, redaction })
    }

    /// What the configuration wants masked is masked from now on by these.
    pub fn renew(&mut self, redaction: Redactor) {
        self.redaction = redaction;
    }

    /// Lines that nobody could take.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Says one sentence.
    pub fn say(&self, weight: Weight, text: &str, now: Timestamp) {
        let text = clean(&self.redaction.line(text));
        let line = if self.to_journal { format!("<{}>{text}\n", weight as u8) } else { format!("{} {} {text}\n", rfc3339(now), weight.word()) };
        if self.lines.as_ref().is_none_or(|lines| lines.try_send(line).is_err()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says what changed, where the event feed tells it too.
    pub fn transition(&self, transition: &Transition) {
        if !transition.in_feed() {
            return;
        }
        let subject = transition.source.as_ref().map_or(transition.site.as_str(), |source| source.as_str());
        let subject = if subject.is_empty() { "rounds" } else { subject };
        self.say(Weight::of(transition), &format!("{subject}: {}", transition.sentence), transition.at);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines = None;
        let _ = self.ended.recv_timeout(LAST);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::domain::{FindingId, SourceId};
    use crate::report::sample::at;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(to_journal: bool) -> String {
        let sink = Sink::default();
        let log = Log::to(sink.clone(), to_journal, Redactor::new(&["ann@[a-z.]+".to_owned()]).unwrap()).unwrap();
        let source = SourceId::parse("shop/http/home").unwrap();
        let transition = |kind, sentence: &str| Transition { at: at(), site: "shop".into(), source: Some(source.clone()), kind, sentence: sentence.into() };
        log.transition(&transition(TransitionKind::Status { from: Status::Ok, to: Status::Down }, "down: 500\u{1b}[31m for ann@shop.example\nx"));
        // What merely repeats a change of status is told once.
        log.transition(&transition(TransitionKind::Opened { finding: FindingId::new(&source, "availability"), severity: Severity::Critical }, "home is down"));
        log.transition(&transition(TransitionKind::Closed { finding: FindingId::new(&source, "certificate") }, "over: certificate"));
        log.transition(&Transition { site: String::new(), source: None, ..transition(TransitionKind::Note, "the machine slept") });
        drop(log);
        let bytes = sink.0.lock().unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[test]
    fn one_line_for_each_transition() {
        insta::assert_snapshot!(lines(false), @r"
        2026-11-20T08:00:00Z error shop/http/home: down: 500 for *** x
        2026-11-20T08:00:00Z notice shop/http/home: over: certificate
        2026-11-20T08:00:00Z info rounds: the machine slept
        ");
        insta::assert_snapshot!(lines(true), @r"
        <3>shop/http/home: down: 500 for *** x
        <5>shop/http/home: over: certificate
        <6>rounds: the machine slept
        ");
    }

    #[test]
    fn a_reader_that_stands_still_holds_nobody_up() {
        struct Stuck(Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (go, stand) = mpsc::sync_channel(0);
        let log = Log::to(Stuck(stand), false, Redactor::default()).unwrap();
        for _ in 0..WAITING + 50 {
            log.say(Weight::Info, "x", at());
        }
        assert!(log.lost() >= 48, "{}", log.lost());
        drop(go);
    }
}
