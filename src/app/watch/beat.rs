//! The outside heartbeat: an address of the user's that is called while rounds looks and keeps, so that somebody watches rounds.
//!
//! As Healthchecks takes it: a call of the address says that all is well, one with `/fail` added that it is not, with the reason as its body
//! ("Pinging API" of its documentation). Where such an address is not known, the missing call is the alarm. The address is a secret: who
//! knows it can keep a dead rounds alive. What does not belong here: what "well" means (`vitals`).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use url::Url;

use crate::domain::{SourceError, Timestamp};
use crate::io::api;
use crate::io::secret::{self, Known, SecretRef};

/// How long one call may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Trouble is told when it lasts so long; a machine that wakes up needs a moment.
const LASTS: Duration = Duration::from_secs(10);
/// How soon it is looked again whether trouble lasts.
const AGAIN: Duration = Duration::from_secs(5);
/// The longest reason that is sent, in bytes.
const REASON: usize = 1_000;

/// What is to be called.
#[derive(Debug, Clone)]
pub struct Target {
    /// The address.
    pub address: SecretRef,
    /// Relative paths are relative to this.
    pub base: PathBuf,
    /// Whether commands may run.
    pub trusted: bool,
}

/// One call; `Some`: all is not well, for this reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call(pub Option<String>);

/// When to call. Decides from clocks alone.
#[derive(Debug)]
pub struct Beat {
    every: Duration,
    next: Instant,
    under_way: bool,
    ill_since: Option<Instant>,
    /// Calls that were taken.
    pub taken: u64,
    /// Calls that were not.
    pub refused: u64,
    /// When the last one was taken.
    pub last: Option<Timestamp>,
    /// The last call was not taken.
    failing: bool,
}

impl Beat {
    /// The first call is due at once.
    #[must_use]
    pub const fn new(every: Duration, at: Instant) -> Self {
        Self { every, next: at, under_way: false, ill_since: None, taken: 0, refused: 0, last: None, failing: false }
    }

    /// Another interval.
    pub fn renew(&mut self, every: Duration, at: Instant) {
        self.every = every;
        self.next = self.next.min(at + every);
    }

    /// When to ask again; `None`: when the call under way has ended.
    #[must_use]
    pub const fn due(&self) -> Option<Instant> {
        if self.under_way { None } else { Some(self.next) }
    }

    /// The call that is due now, given how rounds is.
    pub fn turn(&mut self, at: Instant, well: &Result<(), String>) -> Option<Call> {
        match well {
            Ok(()) => self.ill_since = None,
            Err(_) => drop(self.ill_since.get_or_insert(at)),
        }
        if self.under_way || at < self.next {
            return None;
        }
        let call = match (well, self.ill_since) {
            (Err(reason), Some(since)) if at.duration_since(since) >= LASTS => Call(Some(reason.clone())),
            (Err(_), _) => {
                self.next = at + AGAIN;
                return None;
            }
            (Ok(()), _) => Call(None),
        };
        self.under_way = true;
        // Calls that were missed are not made up for.
        self.next = (self.next + self.every).max(at + self.every / 2);
        Some(call)
    }

    /// The call has ended. Gives what is worth a line: that it fails now, or that it is taken again.
    pub fn ended(&mut self, result: &Result<(), SourceError>, now: Timestamp) -> Option<String> {
        self.under_way = false;
        let before = std::mem::replace(&mut self.failing, result.is_err());
        match result {
            Ok(()) => {
                self.taken += 1;
                self.last = Some(now);
                before.then(|| "the heartbeat is taken again".to_owned())
            }
            Err(error) => {
                self.refused += 1;
                (!before).then(|| format!("the heartbeat is not taken: {}; {}", error.message, error.remedy))
            }
        }
    }

    /// Whether the last call was not taken.
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        self.failing
    }
}

/// Makes one call.
///
/// # Errors
/// When the address is not to be had or no address, nobody answers, or the answer is no success. Never holds the address.
pub async fn call(target: &Target, call: &Call) -> Result<(), SourceError> {
    let address = secret::resolve(&target.address, &target.base, target.trusted).await?;
    Known::of_process().remember(address.expose());
    let odd = || SourceError::config("the heartbeat's secret is no address", "it begins with https:// or http://");
    let mut url = Url::parse(address.expose()).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(odd)?;
    if call.0.is_some() {
        let path = format!("{}/fail", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    let client = api::client(&url)?;
    let request = match &call.0 {
        None => client.get(url.clone()),
        Some(reason) => client.post(url.clone()).body(reason.chars().take(REASON).collect::<String>()),
    };
    let response = request.timeout(LIMIT).send().await.map_err(|error| api::failure(&error, &url, LIMIT))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    Err(SourceError::status(status.as_u16(), format!("{} answered {}", api::place(&url), status.as_u16())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_calls_while_all_is_well_and_tells_trouble_that_lasts() {
        let start = Instant::now();
        let s = |seconds| start + Duration::from_secs(seconds);
        let mut beat = Beat::new(Duration::from_secs(60), start);
        let (well, ill) = (Ok(()), Err("no polls".to_owned()));
        assert_eq!(beat.turn(s(0), &well), Some(Call(None)));
        assert_eq!((beat.turn(s(61), &well), beat.due()), (None, None), "one call at a time");
        assert_eq!(beat.ended(&Ok(()), Timestamp::default()), None);
        assert_eq!(beat.turn(s(30), &well), None);
        assert_eq!(beat.turn(s(60), &well), Some(Call(None)));
        beat.ended(&Ok(()), Timestamp::default());

        assert_eq!(beat.turn(s(119), &ill), None);
        assert_eq!(beat.turn(s(120), &ill), None, "it may be over in a moment");
        assert_eq!(beat.due(), Some(s(125)));
        assert_eq!(beat.turn(s(131), &ill), Some(Call(Some("no polls".into()))));
        beat.ended(&Ok(()), Timestamp::default());
        // After a sleep nothing bursts.
        assert_eq!(beat.turn(s(7_000), &well), Some(Call(None)));
        beat.ended(&Ok(()), Timestamp::default());
        assert_eq!(beat.turn(s(7_001), &well), None);
        assert_eq!((beat.taken, beat.refused), (4, 0));
    }

    #[test]
    fn one_line_when_it_fails_and_one_when_it_is_taken_again() {
        let mut beat = Beat::new(Duration::from_secs(60), Instant::now());
        let refused = Err(SourceError::connect("hc.example: connection refused"));
        assert!(beat.ended(&refused, Timestamp::default()).unwrap().contains("connection refused"));
        assert_eq!(beat.ended(&refused, Timestamp::default()), None);
        assert_eq!(beat.ended(&Ok(()), Timestamp::default()).as_deref(), Some("the heartbeat is taken again"));
        assert_eq!((beat.refused, beat.is_failing()), (2, false));
    }
}
