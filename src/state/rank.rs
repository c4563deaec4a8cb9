//! The order of attention: by urgency, not by source. Pure, tested, and explained by `=`.

use std::cmp::Ordering;

use crate::domain::time::human;
use crate::domain::{Finding, Term, Timestamp};

/// Whether the acknowledgement is in force.
#[must_use]
pub fn asleep(finding: &Finding, now: Timestamp) -> bool {
    finding.acknowledged.as_ref().is_some_and(|ack| ack.until.is_none_or(|until| until > now))
}

/// More urgent first: not acknowledged before acknowledged, then severity, then the nearer due date (with one before without),
/// then more users, then the newer, then the id so that the order is total.
#[must_use]
pub fn compare(a: &Finding, b: &Finding, now: Timestamp) -> Ordering {
    asleep(a, now)
        .cmp(&asleep(b, now))
        .then(a.severity.cmp(&b.severity))
        .then_with(|| match (a.due, b.due) {
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        })
        .then_with(|| b.users.cmp(&a.users))
        .then_with(|| b.since.cmp(&a.since))
        .then_with(|| a.id.cmp(&b.id))
}

/// The terms of a finding's rank, in the order in which they decide.
#[must_use]
pub fn terms(finding: &Finding, place: usize, of: usize, now: Timestamp) -> Vec<Term> {
    let due = match finding.due {
        Some(due) if due > now => Term::new("due", format!("in {}", human((due - now).to_std().unwrap_or_default())), "the nearer first"),
        Some(due) => Term::new("due", format!("{} late", human(crate::domain::time::since(due, now))), "the nearer first"),
        None => Term::new("due", "–", "without a date, after those with one"),
    };
    vec![
        Term::new("place", format!("{} of {of}", place + 1), ""),
        Term::new("acknowledged", if asleep(finding, now) { "yes" } else { "no" }, "acknowledged sink"),
        Term::new("severity", finding.severity.word(), "critical, unknown, warning, info"),
        due,
        Term::new("users", finding.users.map_or_else(|| "?".to_owned(), |n| n.to_string()), "the wider first"),
        Term::new("since", human(crate::domain::time::since(finding.since, now)), "the newer first"),
    ]
}

#[cfg(test)]
mod tests {
    use chrono::{Duration, TimeZone, Utc};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Acknowledgement, FindingId, Severity, SourceId};

    fn finding(severity: Severity, due: Option<i64>, users: Option<u64>, since: i64, acked: bool) -> Finding {
        let base = Utc.with_ymd_and_hms(2026, 11, 20, 3, 12, 0).unwrap();
        let source = SourceId::parse("shop/http/home").unwrap();
        Finding {
            id: FindingId::about(&source, "x", &format!("{severity:?}{due:?}{users:?}{since}{acked}")),
            source,
            severity,
            title: String::new(),
            detail: String::new(),
            since: base - Duration::minutes(since),
            due: due.map(|days| base + Duration::days(days)),
            users,
            acknowledged: acked.then(|| Acknowledgement { by: "ana".into(), why: "x".into(), at: base, until: None, bound: None }),
            actions: vec![],
            evidence: String::new(),
            explanation: vec![],
            blocks: vec![],
            runbook: None,
        }
    }

    fn now() -> Timestamp {
        Utc.with_ymd_and_hms(2026, 11, 20, 3, 12, 0).unwrap()
    }

    #[test]
    fn the_order_of_the_design_holds() {
        use Severity::{Critical, Info, Unknown, Warning};
        let expected = vec![
            finding(Critical, None, Some(148), 14, false),
            finding(Critical, None, Some(61), 11, false),
            finding(Critical, None, Some(61), 13, false),
            finding(Unknown, None, None, 152, false),
            finding(Unknown, None, None, 540, false),
            finding(Warning, Some(-227), None, 9, false),
            finding(Warning, Some(-18), None, 9, false),
            finding(Warning, Some(12), None, 9, false),
            finding(Warning, None, Some(31), 10, false),
            finding(Warning, None, None, 3, false),
            finding(Warning, None, None, 72, false),
            finding(Info, Some(6), None, 1, false),
            finding(Critical, None, Some(900), 1, true),
        ];
        let mut shuffled = expected.clone();
        shuffled.reverse();
        shuffled.sort_by(|a, b| compare(a, b, now()));
        assert_eq!(shuffled, expected);
    }

    #[test]
    fn an_acknowledgement_that_ran_out_counts_no_more() {
        let mut one = finding(Severity::Warning, None, None, 1, true);
        one.acknowledged.as_mut().unwrap().until = Some(now() - Duration::seconds(1));
        assert!(!asleep(&one, now()));
    }

    fn any_finding() -> impl Strategy<Value = Finding> {
        (0..4usize, prop::option::of(-5i64..5), prop::option::of(0u64..3), 0i64..3, any::<bool>()).prop_map(|(s, due, users, since, acked)| {
            finding([Severity::Critical, Severity::Unknown, Severity::Warning, Severity::Info][s], due, users, since, acked)
        })
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in any_finding(), b in any_finding(), c in any_finding()) {
            prop_assert_eq!(compare(&a, &b, now()), compare(&b, &a, now()).reverse());
            if compare(&a, &b, now()).is_le() && compare(&b, &c, now()).is_le() {
                prop_assert!(compare(&a, &c, now()).is_le());
            }
        }
    }
}
