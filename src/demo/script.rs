//! The story of the demonstration: what happens at which time since its start. Pure, so that it is tested without waiting.
//!
//! ```text
//!  0 s   all is well
//! 16 s   a deploy of the shop; 18 s the trouble it brings
//! 48 s   the deploy is taken back; 50 s recovery
//! 150 s  a deploy of the blog that harms nobody
//! 420 s  the same again, with the other trouble
//! ```
//! The first trouble is a missing key in old sessions: the basket fails and the search is slow. The second is a search that hangs.
//! Throughout, the checkout fails once in a while and is well at the next look.
//!
//! What does not belong here: clocks, sockets, files.

use std::time::Duration;

use super::dice;
use super::pages::Page;

/// The story begins again after this; long enough that calm is the rule, and a burst of errors more than the usual.
pub const PERIOD: Duration = Duration::from_secs(420);
/// The shop's deploy, within a period.
pub const DEPLOY: Duration = Duration::from_secs(16);
/// What the deploy broke shows from here …
const TROUBLE: Duration = Duration::from_secs(18);
/// The deploy is taken back.
pub const ROLLBACK: Duration = Duration::from_secs(48);
/// … until here.
const RECOVERY: Duration = Duration::from_secs(50);
/// A deploy of the blog that changes nothing for the worse.
const HARMLESS: Duration = Duration::from_secs(150);
/// The checkout fails for `FLAKE` once in each of these.
const FLAKY_EVERY: Duration = Duration::from_secs(40);
const FLAKY_FROM: Duration = Duration::from_secs(31);
/// Shorter than two intervals of the source that watches it, so that it never becomes an outage.
const FLAKE: Duration = Duration::from_millis(1_200);

/// What a deploy of the shop brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Sessions from before the deploy lack a key: the basket answers 500, the search is slow.
    Currency,
    /// The search's index does not answer: the search hangs.
    Index,
}

/// How a page answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// As it should.
    Well,
    /// With this status instead.
    Status(u16),
    /// Closes the connection in the middle of the body.
    Cut,
    /// Not within anybody's patience.
    Hang,
}

/// How a page behaves at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// How it answers.
    pub answer: Answer,
    /// How long it thinks before that, in milliseconds: from, to.
    pub think_ms: (u32, u32),
}

/// One answer in so many takes half as long again, as on any real site.
const TAIL_EVERY: u64 = 40;

impl Behaviour {
    /// How long the request of this number thinks.
    pub fn think(self, number: u64) -> Duration {
        let (from, to) = self.think_ms;
        let ms = u64::from(dice::between(number, from, to));
        Duration::from_millis(if dice::roll(!number).is_multiple_of(TAIL_EVERY) { ms * 3 / 2 } else { ms })
    }
}

/// The remark of a rollback.
pub const TAKEN_BACK: &str = "the one before it was taken back";

/// One deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    /// When, since the start.
    pub at: Duration,
    /// Of which site.
    pub site: &'static str,
    /// The version.
    pub version: String,
    /// What it is said to bring.
    pub remark: &'static str,
}

/// What visitors do at a time, beside the probes: events a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Requests that are answered.
    pub requests: f64,
    /// Warnings.
    pub warnings: f64,
    /// Requests that end in a traceback, and which.
    pub errors: f64,
}

/// The period's number and the time within it.
fn place(t: Duration) -> (u64, Duration) {
    let period = t.as_secs() / PERIOD.as_secs();
    (period, t.saturating_sub(PERIOD * u32::try_from(period).unwrap_or(u32::MAX)))
}

/// What a period's deploy breaks.
const fn trouble_of(period: u64) -> Trouble {
    if period.is_multiple_of(2) { Trouble::Currency } else { Trouble::Index }
}

/// What is wrong with the shop at `t`, if anything.
pub fn trouble(t: Duration) -> Option<Trouble> {
    let (period, within) = place(t);
    (TROUBLE..RECOVERY).contains(&within).then(|| trouble_of(period))
}

/// The trouble of a period: which, from when, until when, since the start of the story.
pub fn trouble_in(period: u64) -> Option<(Trouble, Duration, Duration)> {
    let start = PERIOD.checked_mul(u32::try_from(period).ok()?)?;
    Some((trouble_of(period), start + TROUBLE, start + RECOVERY))
}

/// How long it is from `t` until the shop's deploy is taken back; nothing while there is no trouble to cure.
pub fn until_rollback(t: Duration) -> Duration {
    let within = place(t).1;
    if trouble(t).is_some() { ROLLBACK.saturating_sub(within) } else { Duration::ZERO }
}

/// Whether the checkout fails at `t`, and how.
fn flake(t: Duration) -> Option<Answer> {
    let slot = t.as_secs() / FLAKY_EVERY.as_secs();
    let within = t.saturating_sub(FLAKY_EVERY * u32::try_from(slot).unwrap_or(u32::MAX));
    let failing = within >= FLAKY_FROM && within < FLAKY_FROM + FLAKE;
    failing.then_some(if slot.is_multiple_of(2) { Answer::Status(503) } else { Answer::Cut })
}

/// How `page` behaves at `t`.
pub fn behaviour(page: Page, t: Duration) -> Behaviour {
    let well = |from, to| Behaviour { answer: Answer::Well, think_ms: (from, to) };
    match (page, trouble(t)) {
        (Page::ShopBasket, Some(Trouble::Currency)) => Behaviour { answer: Answer::Status(500), think_ms: (180, 260) },
        (Page::ShopSearch, Some(Trouble::Currency)) => well(620, 980),
        (Page::ShopSearch, Some(Trouble::Index)) => Behaviour { answer: Answer::Hang, think_ms: (0, 0) },
        (Page::ShopCheckout, _) => Behaviour { answer: flake(t).unwrap_or(Answer::Well), think_ms: (110, 170) },
        (Page::ShopHome, _) => well(35, 60),
        (Page::ShopHealth, _) => well(6, 14),
        (Page::ShopSearch, None) => well(180, 300),
        (Page::ShopBasket, _) => well(50, 90),
        (Page::ShopAdmin, _) => well(20, 45),
        (Page::BlogHome, _) => well(25, 95),
        (Page::BlogArchive, _) => well(300, 450),
        (Page::BlogFeed, _) => well(15, 50),
    }
}

/// The deploys after `after` and up to `until`, in order.
pub fn deploys(after: Duration, until: Duration) -> Vec<Deploy> {
    let (first, last) = (place(after).0, place(until).0);
    let mut found = Vec::new();
    for period in first..=last {
        let start = PERIOD * u32::try_from(period).unwrap_or(u32::MAX);
        let remark = match trouble_of(period) {
            Trouble::Currency => "prices in the customer's currency",
            Trouble::Index => "facets in the search",
        };
        found.push(Deploy { at: start + DEPLOY, site: "shop", version: format!("v{}", 214 + period), remark });
        found.push(Deploy { at: start + ROLLBACK, site: "shop", version: "v213".to_owned(), remark: TAKEN_BACK });
        found.push(Deploy { at: start + HARMLESS, site: "blog", version: format!("v{}", 58 + period), remark: "new type" });
    }
    found.retain(|deploy| deploy.at > after && deploy.at <= until);
    found
}

/// The first deploy after `after`; the story never ends.
pub fn next_deploy(after: Duration) -> Option<Deploy> {
    deploys(after, after.saturating_add(PERIOD)).into_iter().next()
}

/// What the shop's visitors do at `t`.
pub fn traffic(t: Duration) -> Traffic {
    match trouble(t) {
        None => Traffic { requests: 3.0, warnings: 0.08, errors: 0.0 },
        Some(Trouble::Currency) => Traffic { requests: 3.0, warnings: 0.5, errors: 2.0 },
        Some(Trouble::Index) => Traffic { requests: 3.0, warnings: 0.8, errors: 2.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_story_runs_as_told() {
        use Answer::{Cut, Hang, Status, Well};
        for (t, page, answer) in [
            (0.0, Page::ShopBasket, Well),
            (15.9, Page::ShopBasket, Well),
            (17.9, Page::ShopBasket, Well),
            (18.0, Page::ShopBasket, Status(500)),
            (49.9, Page::ShopBasket, Status(500)),
            (50.0, Page::ShopBasket, Well),
            (437.0, Page::ShopSearch, Well),
            (450.0, Page::ShopBasket, Well),
            (450.0, Page::ShopSearch, Hang),
            (470.0, Page::ShopSearch, Well),
            (860.0, Page::ShopBasket, Status(500)),
            (10.0, Page::ShopCheckout, Well),
            (31.5, Page::ShopCheckout, Status(503)),
            (32.5, Page::ShopCheckout, Well),
            (71.5, Page::ShopCheckout, Cut),
            (30.0, Page::BlogFeed, Well),
        ] {
            assert_eq!(behaviour(page, s(t)).answer, answer, "{page:?} at {t} s");
        }
    }

    #[test]
    fn the_search_steps_over_its_limit_of_500_ms_and_back() {
        for (t, over) in [(5.0, false), (20.0, true), (45.0, true), (60.0, false)] {
            let (from, to) = behaviour(Page::ShopSearch, s(t)).think_ms;
            assert_eq!((from > 500, to > 500), (over, over), "{t} s");
        }
    }

    #[test]
    fn in_calm_no_answer_is_over_its_limit() {
        for (page, limit_ms) in [(Page::ShopHome, 300), (Page::ShopSearch, 500), (Page::BlogArchive, 800)] {
            let slowest = (0..2_000).map(|number| behaviour(page, s(5.0)).think(number)).max().unwrap();
            assert!(slowest < Duration::from_millis(limit_ms - 40), "{page:?}: {slowest:?}");
        }
    }

    #[test]
    fn a_rollback_cures_trouble_and_nothing_else() {
        for (t, skipped) in [(5.0, 0.0), (17.0, 0.0), (20.0, 28.0), (47.0, 1.0), (49.0, 0.0), (60.0, 0.0), (445.0, 23.0)] {
            assert_eq!(until_rollback(s(t)), s(skipped), "{t} s");
        }
    }

    #[test]
    fn calm_is_the_rule() {
        let troubled = (0..3_600).filter(|t| trouble(Duration::from_secs(*t)).is_some()).count();
        assert!(troubled < 3_600 / 5, "{troubled} s of an hour");
        assert!((0..16).all(|t| trouble(Duration::from_secs(t)).is_none()));
    }

    #[test]
    fn deploys_come_once_each_and_in_order() {
        let told: Vec<_> = deploys(Duration::ZERO, s(860.0)).into_iter().map(|d| (d.at.as_secs(), d.site, d.version)).collect();
        let expected = [
            (16, "shop", "v214"),
            (48, "shop", "v213"),
            (150, "blog", "v58"),
            (436, "shop", "v215"),
            (468, "shop", "v213"),
            (570, "blog", "v59"),
            (856, "shop", "v216"),
        ];
        assert_eq!(told, expected.map(|(at, site, version)| (at, site, version.to_owned())));
        let mut at = Duration::ZERO;
        for (seconds, ..) in expected {
            let next = next_deploy(at).unwrap();
            assert_eq!(next.at.as_secs(), seconds);
            at = next.at;
        }
    }

    #[test]
    fn errors_come_only_with_trouble() {
        for t in 0..1_000 {
            let t = Duration::from_secs(t);
            assert_eq!(traffic(t).errors > 0.0, trouble(t).is_some());
        }
    }
}
