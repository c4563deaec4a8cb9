//! What can be done to an issue, and how the API is told. Pure.
//!
//! What does not belong here: sending it (`alter`), asking the person (`state`, `cli`).
//!
//! Facts: Sentry's OpenAPI document, `PUT organizations/{org}/issues/{id}/` and the same without an id; GlitchTip knows `status` only.
//! `ignoreDuration` is in minutes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client::Server;
use crate::domain::{IssueState, SourceError};
use crate::sources::{Ask, Form, Offer};

/// The longest time an issue is put aside for, in seconds: a year.
const LONGEST_S: u64 = 365 * 86_400;
/// The most events or users that are waited for.
const MOST: u64 = 1_000_000;

/// Who has an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Whoever made the token.
    Me,
    /// Nobody.
    Nobody,
    /// A team, by its slug.
    Team(String),
    /// As the API takes it: `user:42`, `team:9`, an address, a login name.
    Actor(String),
}

/// What can be done to an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Done with.
    Resolve,
    /// Done with once the next release is out.
    ResolveInNextRelease,
    /// Done with by this release.
    ResolveInRelease(String),
    /// Done with by this commit of this repository.
    ResolveInCommit {
        /// As the tracker calls it: `acme/shop`.
        repository: String,
        /// Its hash.
        commit: String,
    },
    /// Put aside until it comes much more often.
    ArchiveUntilEscalating,
    /// Put aside.
    ArchiveForever,
    /// Put aside for so many minutes.
    ArchiveFor(u64),
    /// Put aside until it came so many times more.
    ArchiveEvents(u64),
    /// Put aside until it hit so many users more.
    ArchiveUsers(u64),
    /// Open again.
    Unresolve,
    /// Given to somebody.
    Assign(Who),
    /// Looked at: it leaves the list of what wants a look.
    Review,
}

/// The names of the offers, as `rounds errors` and the journal write them.
pub const RESOLVE: &str = "resolve";
const NEXT_RELEASE: &str = "resolve_in_next_release";
const IN_RELEASE: &str = "resolve_in_release";
const IN_COMMIT: &str = "resolve_in_commit";
pub const ARCHIVE: &str = "archive";
const ARCHIVE_FOREVER: &str = "archive_forever";
const ARCHIVE_FOR: &str = "archive_for";
const ARCHIVE_EVENTS: &str = "archive_events";
const ARCHIVE_USERS: &str = "archive_users";
const UNRESOLVE: &str = "unresolve";
const ASSIGN_ME: &str = "assign_me";
pub const ASSIGN: &str = "assign";
const ASSIGN_NOBODY: &str = "assign_nobody";
const REVIEW: &str = "review";

/// The argument that names who gets an issue.
pub const TO: &str = "to";

impl Change {
    /// What an offer with its arguments means.
    ///
    /// # Errors
    /// No such offer, or an argument that is missing or wrong.
    pub fn read(offer: &str, arguments: &BTreeMap<String, String>) -> Result<Self, SourceError> {
        let asks = asks(offer);
        let given = |name: &str| -> Result<String, SourceError> {
            let wrong = |why: &str| SourceError::config(format!("{name}: {why}"), "nothing was changed; say it again with another answer");
            let form = asks.iter().find(|ask| ask.name == name).map_or(&Form::Word, |ask| &ask.form);
            let text = arguments.get(name).map(String::as_str).unwrap_or_default();
            // Times are written in seconds already.
            let text = if matches!(form, Form::Time(..)) { format!("{text}s") } else { text.to_owned() };
            form.read(&text).map_err(|why| wrong(&why))
        };
        let number = |name: &str| given(name)?.parse::<u64>().map_err(|_| SourceError::config(format!("{name} is no number"), "nothing was changed"));
        Ok(match offer {
            RESOLVE => Self::Resolve,
            NEXT_RELEASE => Self::ResolveInNextRelease,
            IN_RELEASE => Self::ResolveInRelease(given("release")?),
            IN_COMMIT => Self::ResolveInCommit { repository: given("repository")?, commit: given("commit")? },
            ARCHIVE => Self::ArchiveUntilEscalating,
            ARCHIVE_FOREVER => Self::ArchiveForever,
            ARCHIVE_FOR => Self::ArchiveFor(number("for")?.div_ceil(60).max(1)),
            ARCHIVE_EVENTS => Self::ArchiveEvents(number("events")?),
            ARCHIVE_USERS => Self::ArchiveUsers(number("users")?),
            UNRESOLVE => Self::Unresolve,
            ASSIGN_ME => Self::Assign(Who::Me),
            ASSIGN_NOBODY => Self::Assign(Who::Nobody),
            ASSIGN => Self::Assign(who(&given(TO)?)),
            REVIEW => Self::Review,
            other => return Err(SourceError::config(format!("an issue cannot be told to {other}"), "resolve, archive, unresolve, assign or review")),
        })
    }

    /// Whether a server knows it.
    pub const fn is_known_to(&self, server: Server) -> bool {
        matches!(server, Server::Sentry) || matches!(self, Self::Resolve | Self::Unresolve | Self::ArchiveUntilEscalating | Self::ArchiveForever)
    }

    /// The status it is asked for by, where it is one.
    pub const fn status(&self) -> Option<&'static str> {
        match self.state() {
            Some(IssueState::Resolved) => Some("resolved"),
            Some(IssueState::Archived) => Some("ignored"),
            Some(_) => Some("unresolved"),
            None => None,
        }
    }

    /// How the issue stands after it; `None`: as before.
    pub const fn state(&self) -> Option<IssueState> {
        match self {
            Self::Resolve | Self::ResolveInNextRelease | Self::ResolveInRelease(_) | Self::ResolveInCommit { .. } => Some(IssueState::Resolved),
            Self::ArchiveUntilEscalating | Self::ArchiveForever | Self::ArchiveFor(_) | Self::ArchiveEvents(_) | Self::ArchiveUsers(_) => {
                Some(IssueState::Archived)
            }
            Self::Unresolve => Some(IssueState::Ongoing),
            Self::Assign(_) | Self::Review => None,
        }
    }

    /// The body of the request; `actor` is who gets it, as the API takes it, empty for nobody.
    pub fn body(&self, server: Server, actor: &str) -> Value {
        let until = |details: Value| json!({ "status": "ignored", "substatus": "archived_until_condition_met", "statusDetails": details });
        let resolved = |details: Value| json!({ "status": "resolved", "statusDetails": details });
        match self {
            // GlitchTip knows the status only.
            Self::ArchiveUntilEscalating | Self::ArchiveForever if server == Server::GlitchTip => json!({ "status": "ignored" }),
            Self::Resolve => json!({ "status": "resolved" }),
            Self::ResolveInNextRelease => resolved(json!({ "inNextRelease": true })),
            Self::ResolveInRelease(release) => resolved(json!({ "inRelease": release })),
            Self::ResolveInCommit { repository, commit } => resolved(json!({ "inCommit": { "commit": commit, "repository": repository } })),
            Self::ArchiveUntilEscalating => json!({ "status": "ignored", "substatus": "archived_until_escalating" }),
            Self::ArchiveForever => json!({ "status": "ignored", "substatus": "archived_forever" }),
            Self::ArchiveFor(minutes) => until(json!({ "ignoreDuration": minutes })),
            Self::ArchiveEvents(count) => until(json!({ "ignoreCount": count })),
            Self::ArchiveUsers(count) => until(json!({ "ignoreUserCount": count })),
            Self::Unresolve => json!({ "status": "unresolved" }),
            Self::Assign(_) => json!({ "assignedTo": actor }),
            Self::Review => json!({ "inbox": false }),
        }
    }

    /// What became of the issue: `is resolved`.
    pub fn done(&self) -> String {
        match self {
            Self::Resolve => "is resolved".to_owned(),
            Self::ResolveInNextRelease => "is resolved in the next release".to_owned(),
            Self::ResolveInRelease(release) => format!("is resolved in {release}"),
            Self::ResolveInCommit { commit, .. } => format!("is resolved in commit {}", commit.chars().take(8).collect::<String>()),
            Self::ArchiveUntilEscalating => "is archived until it escalates".to_owned(),
            Self::ArchiveForever => "is archived for ever".to_owned(),
            Self::ArchiveFor(minutes) => {
                let time = crate::domain::time::human(std::time::Duration::from_secs(minutes.saturating_mul(60)));
                format!("is archived for {time}")
            }
            Self::ArchiveEvents(count) => format!("is archived until it came {count} times more"),
            Self::ArchiveUsers(count) => format!("is archived until it hit {count} more users"),
            Self::Unresolve => "is open again".to_owned(),
            Self::Assign(Who::Nobody) => "is nobody's".to_owned(),
            Self::Assign(_) => "is assigned".to_owned(),
            Self::Review => "is marked as reviewed".to_owned(),
        }
    }
}

/// Who is meant by a word: `me`, `nobody`, `#backend`, `ana@example.com`.
fn who(word: &str) -> Who {
    match word.trim() {
        "me" => Who::Me,
        "nobody" | "none" => Who::Nobody,
        word => word.strip_prefix('#').map_or_else(|| Who::Actor(word.to_owned()), |team| Who::Team(team.to_owned())),
    }
}

/// What an offer asks for.
fn asks(offer: &str) -> Vec<Ask> {
    match offer {
        IN_RELEASE => vec![Ask::new("release", "in which release? its version, or latest", Form::Word)],
        IN_COMMIT => {
            vec![
                Ask::new("repository", "in which repository? as the tracker calls it: acme/shop", Form::Word),
                Ask::new("commit", "in which commit?", Form::Commit),
            ]
        }
        ARCHIVE_FOR => vec![Ask::new("for", "for how long? such as 2h or 7d", Form::Time(60, LONGEST_S))],
        ARCHIVE_EVENTS => vec![Ask::new("events", "until it came how many times more?", Form::Count(MOST))],
        ARCHIVE_USERS => vec![Ask::new("users", "until it hit how many users more?", Form::Count(MOST))],
        ASSIGN => vec![Ask::new(TO, "to whom? an address or a login name, #team for a team", Form::Word)],
        _ => Vec::new(),
    }
}

/// What can be done to an issue that stands so. `place` is where changes are told to.
pub fn offers(state: Option<IssueState>, assignee: Option<&str>, server: Server, place: &str) -> Vec<Offer> {
    let open = !matches!(state, Some(IssueState::Resolved | IssueState::Archived));
    let archived = state == Some(IssueState::Archived);
    let mut all: Vec<(&str, &str)> = Vec::new();
    if state != Some(IssueState::Resolved) {
        all.extend([
            (RESOLVE, "resolve"),
            (NEXT_RELEASE, "resolve in the next release"),
            (IN_RELEASE, "resolve in a release"),
            (IN_COMMIT, "resolve in a commit"),
        ]);
    }
    if open {
        all.extend([
            (ARCHIVE, if server == Server::Sentry { "archive until it escalates" } else { "archive" }),
            (ARCHIVE_FOREVER, "archive for ever"),
            (ARCHIVE_FOR, "archive for a time"),
            (ARCHIVE_EVENTS, "archive until it came N times more"),
            (ARCHIVE_USERS, "archive until it hit N users more"),
        ]);
    } else {
        all.push((UNRESOLVE, "open again"));
    }
    all.extend([(ASSIGN_ME, "assign to me"), (ASSIGN, "assign to a person or a team")]);
    if assignee.is_some() || state.is_none() {
        all.push((ASSIGN_NOBODY, "assign to nobody"));
    }
    if open {
        all.push((REVIEW, "mark as reviewed"));
    }
    let stands = state.map_or("as it is", IssueState::word);
    let made = all.into_iter().filter_map(|(id, title)| {
        let sample: BTreeMap<String, String> = asks(id).into_iter().map(|ask| (ask.name, "1111".to_owned())).collect();
        let change = Change::read(id, &sample).ok()?;
        // Without conditions, archiving is of one kind only.
        if !change.is_known_to(server) || (server == Server::GlitchTip && id == ARCHIVE_FOREVER) {
            return None;
        }
        let (undo, undone) = match (&change, change.state()) {
            (_, Some(IssueState::Ongoing)) if archived => (Some(ARCHIVE), "archives it again, until it escalates"),
            (_, Some(IssueState::Ongoing)) => (Some(RESOLVE), "resolves it again"),
            (_, Some(_)) if archived => (Some(ARCHIVE), "archives it again, until it escalates"),
            (_, Some(_)) => (Some(UNRESOLVE), "opens it again; the tracker may call it ongoing then"),
            // Whom it goes back to is known when it has been done.
            (Change::Assign(_), None) => (None, "gives it back to whoever has it now"),
            _ => (None, ""),
        };
        let changes = match (&change, change.state()) {
            (Change::Assign(_), _) => format!("who has it, now {}", assignee.unwrap_or(if state.is_none() { "not known" } else { "nobody" })),
            (_, Some(after)) => format!("its state, {stands} → {}", after.word()),
            _ => "takes it off the list of what wants a look".to_owned(),
        };
        Some(Offer { undo: undo.map(str::to_owned), asks: asks(id), calls: place.to_owned(), changes, undone: undone.to_owned(), ..Offer::new(id, title) })
    });
    made.collect()
}

/// Who has an issue, as the API takes it back, from an issue as it gives it; empty: nobody. `None`: it does not say.
pub fn actor_of(issue: &Value) -> Option<String> {
    match issue.get("assignedTo")? {
        Value::Null => Some(String::new()),
        who => {
            let id = who.get("id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))?;
            let kind = who.get("type")?.as_str().filter(|kind| matches!(*kind, "user" | "team"))?;
            super::parse::is_id(&id).then(|| format!("{kind}:{id}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(offer: &str, pairs: &[(&str, &str)]) -> Result<Change, SourceError> {
        Change::read(offer, &pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn every_offer_has_its_body() {
        for (offer, pairs, body) in [
            ("resolve", &[][..], json!({"status": "resolved"})),
            ("resolve_in_next_release", &[], json!({"status": "resolved", "statusDetails": {"inNextRelease": true}})),
            ("resolve_in_release", &[("release", "shop@4.2.1")], json!({"status": "resolved", "statusDetails": {"inRelease": "shop@4.2.1"}})),
            (
                "resolve_in_commit",
                &[("repository", "acme/shop"), ("commit", "8F3C1D2")],
                json!({"status": "resolved", "statusDetails": {"inCommit": {"commit": "8f3c1d2", "repository": "acme/shop"}}}),
            ),
            ("archive", &[], json!({"status": "ignored", "substatus": "archived_until_escalating"})),
            ("archive_forever", &[], json!({"status": "ignored", "substatus": "archived_forever"})),
            (
                "archive_for",
                &[("for", "5401")],
                json!({"status": "ignored", "substatus": "archived_until_condition_met", "statusDetails": {"ignoreDuration": 91}}),
            ),
            (
                "archive_events",
                &[("events", "100")],
                json!({"status": "ignored", "substatus": "archived_until_condition_met", "statusDetails": {"ignoreCount": 100}}),
            ),
            (
                "archive_users",
                &[("users", "5")],
                json!({"status": "ignored", "substatus": "archived_until_condition_met", "statusDetails": {"ignoreUserCount": 5}}),
            ),
            ("unresolve", &[], json!({"status": "unresolved"})),
            ("assign_me", &[], json!({"assignedTo": "user:7"})),
            ("review", &[], json!({"inbox": false})),
        ] {
            assert_eq!(read(offer, pairs).unwrap().body(Server::Sentry, "user:7"), body, "{offer}");
        }
        assert_eq!(read("archive", &[]).unwrap().body(Server::GlitchTip, ""), json!({"status": "ignored"}));
        assert_eq!(read("assign_nobody", &[]).unwrap().body(Server::Sentry, ""), json!({"assignedTo": ""}));
    }

    #[test]
    fn arguments_that_are_missing_or_wrong_change_nothing() {
        for (offer, pairs) in [
            ("archive_for", &[][..]),
            ("archive_for", &[("for", "10")]),
            ("archive_events", &[("events", "0")]),
            ("archive_users", &[("users", "x")]),
            ("resolve_in_commit", &[("repository", "acme/shop"), ("commit", "main")]),
            ("resolve_in_commit", &[("commit", "8f3c1d2")]),
            ("assign", &[]),
            ("delete", &[]),
        ] {
            assert!(read(offer, pairs).is_err(), "{offer} {pairs:?}");
        }
        for (word, who) in [("me", Who::Me), ("nobody", Who::Nobody), ("#backend", Who::Team("backend".into())), ("team:9", Who::Actor("team:9".into()))] {
            assert_eq!(read("assign", &[("to", word)]).unwrap(), Change::Assign(who));
        }
    }

    #[test]
    fn offers_fit_how_the_issue_stands_and_what_the_server_knows() {
        let ids = |state, who, server| offers(state, who, server, "PUT x").into_iter().map(|offer| offer.id).collect::<Vec<_>>();
        let open = ids(Some(IssueState::New), None, Server::Sentry);
        assert_eq!(open.len(), 12, "{open:?}");
        assert!(!open.contains(&"unresolve".to_owned()) && !open.contains(&"assign_nobody".to_owned()));
        assert_eq!(ids(Some(IssueState::Resolved), Some("ana"), Server::Sentry), ["unresolve", "assign_me", "assign", "assign_nobody"]);
        assert!(ids(Some(IssueState::Archived), None, Server::Sentry).contains(&"resolve".to_owned()));
        assert_eq!(ids(Some(IssueState::Ongoing), None, Server::GlitchTip), ["resolve", "archive"]);
        assert_eq!(ids(Some(IssueState::Resolved), None, Server::GlitchTip), ["unresolve"]);
        for offer in offers(Some(IssueState::Escalating), Some("ana"), Server::Sentry, "PUT x") {
            assert_eq!(offer.undone.is_empty(), offer.id == "review", "{offer:?}");
            assert!(!offer.changes.is_empty() && !offer.calls.is_empty());
        }
    }

    #[test]
    fn who_has_it_is_read_as_it_can_be_given_back() {
        for (issue, expected) in [
            (json!({"assignedTo": {"type": "team", "id": "9", "name": "backend"}}), Some("team:9")),
            (json!({"assignedTo": {"type": "user", "id": 42}}), Some("user:42")),
            (json!({"assignedTo": null}), Some("")),
            (json!({"assignedTo": {"type": "robot", "id": "1"}}), None),
            (json!({}), None),
        ] {
            assert_eq!(actor_of(&issue).as_deref(), expected, "{issue}");
        }
    }
}
