//! Masks what the person named in `[journal] redact`, in every text, before it is stored; and in details, which are not. Pure.

use regex::{Captures, Regex};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::SourceError;
use crate::sources::{Detail, DetailBody, Outcome};

/// What stands in place of a match.
const MASK: &str = "***";
/// Fields that are ours and not outside text: ids, times and words of closed sets. Masking them would make a row unreadable.
const OURS: [&str; 23] = [
    "source",
    "site",
    "finding",
    "started",
    "at",
    "next_at",
    "until",
    "not_before",
    "not_after",
    "first_seen",
    "last_seen",
    "kind",
    "verdict",
    "level",
    "from",
    "to",
    "severity",
    "evidence",
    "fingerprint",
    "format",
    "name",
    "status",
    "capability",
];

/// Counts of a log by minute and level word.
const MINUTES: &str = "minutes";

/// The compiled patterns.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    patterns: Vec<Regex>,
}

impl Redactor {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// With a pattern that is no regular expression: that pattern.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        let patterns = patterns.iter().map(|text| Regex::new(text).map_err(|_| text.clone())).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// The item as JSON with every match masked; `None` when it then could not be read back, for it must not be stored bare.
    pub(super) fn json<T: Serialize + DeserializeOwned>(&self, item: &T) -> Option<String> {
        if self.patterns.is_empty() {
            return serde_json::to_string(item).ok();
        }
        let mut value = serde_json::to_value(item).ok()?;
        if self.mask(&mut value) {
            T::deserialize(&value).ok()?;
        }
        serde_json::to_string(&value).ok()
    }

    /// Masks a detail; the ids by which its neighbours are asked for stay. What could not be read back is not given at all.
    pub fn detail(&self, detail: &mut Detail) {
        if self.patterns.is_empty() {
            return;
        }
        let Ok(mut value) = serde_json::to_value(&detail.body) else { return };
        if !self.mask(&mut value) {
            return;
        }
        let mut body = DetailBody::deserialize(value).unwrap_or(DetailBody::Lines(Vec::new()));
        if let (DetailBody::Event(new), DetailBody::Event(old)) = (&mut body, &detail.body) {
            (new.id, new.previous, new.next) = (old.id.clone(), old.previous.clone(), old.next.clone());
        }
        detail.body = body;
    }

    /// Masks what came of a change, in words.
    pub fn outcome(&self, result: &mut Result<Outcome, SourceError>) {
        match result {
            Ok(outcome) => outcome.message = self.text(&outcome.message),
            Err(error) => {
                error.message = self.text(&error.message);
                error.remedy = self.text(&error.remedy);
            }
        }
    }

    fn mask(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => {
                let masked = self.text(text);
                let changed = masked != *text;
                *text = masked;
                changed
            }
            Value::Array(items) => items.iter_mut().fold(false, |changed, item| self.mask(item) | changed),
            Value::Object(fields) => fields
                .iter_mut()
                .filter(|(name, item)| !(OURS.contains(&name.as_str()) && item.is_string()) && *name != MINUTES)
                .fold(false, |changed, (_, item)| self.mask(item) | changed),
            _ => false,
        }
    }

    /// One line without what is to be masked.
    #[must_use]
    pub fn line(&self, text: &str) -> String {
        self.text(text)
    }

    fn text(&self, text: &str) -> String {
        // An empty match would put a mask between all letters.
        let mask = |found: &Captures<'_>| if found.get(0).is_some_and(|all| !all.is_empty()) { MASK.to_owned() } else { String::new() };
        self.patterns.iter().fold(text.to_owned(), |text, pattern| pattern.replace_all(&text, mask).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Acknowledgement, ErrorEvent, Exception, FindingId, SourceId, Transition, TransitionKind};
    use crate::sources::ItemKey;

    #[test]
    fn matches_are_masked_everywhere_but_in_our_own_words() {
        let redactor = Redactor::new(&[r"[\w.]+@[\w.]+".to_owned(), r"\d{4}".to_owned(), "x*".to_owned()]).unwrap();
        let source = SourceId::parse("shop/http/home1234").unwrap();
        let transition = Transition {
            at: crate::io::clock::now(),
            site: "shop".to_owned(),
            source: Some(source.clone()),
            kind: TransitionKind::Acknowledged { finding: FindingId::new(&source, "availability"), by: "ann@shop.example".to_owned(), until: None },
            sentence: "order 4711 of bob@shop.example failed".to_owned(),
        };
        let json = redactor.json(&transition).unwrap();
        assert!(!json.contains("@shop") && !json.contains("4711"), "{json}");
        let read: Transition = serde_json::from_str(&json).unwrap();
        assert_eq!((read.at, read.source, read.sentence.as_str()), (transition.at, Some(source), "order *** of *** failed"));
    }

    #[test]
    fn details_are_masked_too_but_for_the_ids_that_lead_on() {
        let redactor = Redactor::new(&[r"[\w.]+@[\w.]+".to_owned(), "[0-9a-f]{8}".to_owned()]).unwrap();
        let event = ErrorEvent {
            id: "00000000aa".to_owned(),
            next: Some("11111111bb".to_owned()),
            user: Some("ann@shop.example".to_owned()),
            exceptions: vec![Exception { kind: "KeyError".to_owned(), value: "of bob@shop.example".to_owned(), ..Exception::default() }],
            ..ErrorEvent::default()
        };
        let key = ItemKey { source: SourceId::parse("shop/sentry/backend").unwrap(), item: "4711".to_owned() };
        let mut detail = Detail { key, body: DetailBody::Event(Box::new(event)), link: None };
        redactor.detail(&mut detail);
        let DetailBody::Event(event) = detail.body else { panic!("another body") };
        assert_eq!((event.id.as_str(), event.next.as_deref(), event.user.as_deref()), ("00000000aa", Some("11111111bb"), Some("***")));
        assert_eq!((event.exceptions[0].kind.as_str(), event.exceptions[0].value.as_str()), ("KeyError", "of ***"));
    }

    #[test]
    fn without_patterns_nothing_changes_and_a_bad_one_is_told() {
        let item = Acknowledgement { by: "ann".to_owned(), why: "deploy".to_owned(), at: crate::io::clock::now(), until: None, bound: None };
        assert!(Redactor::default().json(&item).unwrap().contains("deploy"));
        assert_eq!(Redactor::new(&["ok".to_owned(), "(".to_owned()]).unwrap_err(), "(");
    }
}
