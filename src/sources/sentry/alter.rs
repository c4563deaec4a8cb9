//! Changes told to a tracker: always with the ids of the issues they are for, and looked at afterwards; and issues found by the names
//! people use.
//!
//! What does not belong here: which changes there are (`change`), reading lists (`client`).
//!
//! Facts: Sentry's OpenAPI document and `api/helpers/group_index`: several issues are changed by one `PUT` with their ids in the query,
//! without any id it changes all that the search finds; unknown ids are passed over in silence. `group` in the list's query gives the
//! issues of these ids, whatever the search says. GlitchTip is told of each issue by itself.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::change::{ASSIGN, Change, TO, Who, actor_of};
use super::client::{Client, Server};
use super::parse;
use super::refusal::Endpoint;
use super::wire::{Answer, Ask};
use crate::domain::{Issue, SourceError};
use crate::io::clock;
use crate::sources::{Call, ItemKey, Now, Outcome};

/// Issues named in one request.
pub const AT_ONCE: usize = 50;
/// Pages of teams that are looked through for one name.
const TEAM_PAGES: usize = 10;

/// What came of one issue's change.
type Done = Result<Outcome, SourceError>;

impl Client {
    /// Method and place of a change, for reading.
    pub fn place_of_changes(&self) -> String {
        let base = self.wire.url.as_str().trim_end_matches('/');
        format!("PUT {base}/api/0/organizations/{}/issues/", self.wire.organization)
    }

    /// Changes these issues of one source, at most [`AT_ONCE`]; one answer for each.
    pub async fn alter(&self, keys: &[&ItemKey], change: &Change) -> Vec<Done> {
        let all = |error: SourceError| keys.iter().map(|_| Err(error.clone())).collect::<Vec<Done>>();
        // Without an id the same request would change every issue of the organization.
        if keys.is_empty() || keys.len() > AT_ONCE || keys.iter().any(|key| !parse::is_id(&key.item)) {
            return all(SourceError::config("this is no id of an issue", "name the issues; nothing was changed"));
        }
        let (server, base, actor) = match self.prepare(change).await {
            Ok(ready) => ready,
            Err(error) => return all(error),
        };
        let ids: Vec<&str> = keys.iter().map(|key| key.item.as_str()).collect();
        // Whoever has them now gets them back when this is undone.
        let before = if matches!(change, Change::Assign(_)) { self.present(&base, &ids).await.unwrap_or_default() } else { BTreeMap::new() };
        let answers = if let ([_, _, ..], Server::Sentry) = (ids.as_slice(), server) {
            self.several(&base, &ids, change, &actor).await
        } else {
            self.one_by_one(server, &base, &ids, change, &actor).await
        };
        keys.iter()
            .zip(answers)
            .map(|(key, answer)| {
                let now = answer?;
                if let Some(state) = now.state {
                    self.stands(&key.item, state);
                }
                let back = before.get(&key.item).and_then(actor_of).map(|actor| if actor.is_empty() { "nobody".to_owned() } else { actor });
                let undo = back.map(|actor| Call { key: (*key).clone(), offer: ASSIGN.to_owned(), arguments: [(TO.to_owned(), actor)].into() });
                Ok(Outcome { message: format!("issue {} {}", key.item, change.done()), undo, now })
            })
            .collect()
    }

    /// What is needed before anything is changed.
    async fn prepare(&self, change: &Change) -> Result<(Server, Url, String), SourceError> {
        let server = self.server().await?;
        if !change.is_known_to(server) {
            return Err(SourceError::config("this server knows no such change", "GlitchTip's issues are resolved, archived and opened again"));
        }
        let base = self.base(server).await?;
        let actor = match change {
            Change::Assign(who) => self.actor(&base, who).await?,
            _ => String::new(),
        };
        Ok((server, base, actor))
    }

    /// One request for each.
    async fn one_by_one(&self, server: Server, base: &Url, ids: &[&str], change: &Change, actor: &str) -> Vec<Result<Now, SourceError>> {
        let mut answers: Vec<Result<Now, SourceError>> = Vec::with_capacity(ids.len());
        for id in ids {
            let stop = answers.last().and_then(|last| last.as_ref().err()).filter(|error| is_for_all(error)).cloned();
            answers.push(match stop {
                Some(error) => Err(error),
                None => self.one(server, base, id, change, actor).await,
            });
        }
        answers
    }

    async fn one(&self, server: Server, base: &Url, id: &str, change: &Change, actor: &str) -> Result<Now, SourceError> {
        let path = ["0", "organizations", self.wire.organization.as_str(), "issues", id];
        let ask = Ask { endpoint: Endpoint::Change, method: Method::PUT, base, path: &path, query: &[], body: Some(change.body(server, actor)) };
        let answer = self.wire.fetch(ask).await.map_err(told)?;
        let issue: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status == 204 {
            return Err(not_made("as it was"));
        }
        stands_now(&issue, change, actor)
    }

    /// One request for all, and a look at what it did.
    async fn several(&self, base: &Url, ids: &[&str], change: &Change, actor: &str) -> Vec<Result<Now, SourceError>> {
        let all = |error: &SourceError| ids.iter().map(|_| Err(error.clone())).collect::<Vec<_>>();
        let path = ["0", "organizations", self.wire.organization.as_str(), "issues"];
        let query: Vec<(&str, &str)> = ids.iter().map(|id| ("id", *id)).collect();
        let body = Some(change.body(Server::Sentry, actor));
        let ask = Ask { endpoint: Endpoint::Change, method: Method::PUT, base, path: &path, query: &query, body };
        let answer = match self.wire.fetch(ask).await {
            Ok(answer) => answer,
            Err(error) => return all(&told(error)),
        };
        if answer.status == 204 {
            return all(&SourceError::status(204, "the tracker knows none of these issues any more"));
        }
        // Ids that it does not know are passed over in silence, so what became of each is read.
        let Some(after) = self.present(base, ids).await else {
            let now = Now { state: change.state(), assignee: None };
            return ids.iter().map(|_| Ok(now.clone())).collect();
        };
        ids.iter()
            .map(|id| match after.get(*id) {
                Some(issue) => stands_now(issue, change, actor),
                None => Err(SourceError::status(404, "the tracker does not know this issue any more")),
            })
            .collect()
    }

    /// The issues of these ids as they are; `None` where the server cannot be asked so.
    async fn present(&self, base: &Url, ids: &[&str]) -> Option<BTreeMap<String, Value>> {
        let organization = self.wire.organization.as_str();
        if let [id] = ids {
            let answer = self.of_issue(Server::Sentry, base, Endpoint::Issue, &[id], &[]).await.ok()?;
            let issue: Value = serde_json::from_slice(&answer.body).ok()?;
            return Some([((*id).to_owned(), issue)].into());
        }
        let limit = AT_ONCE.to_string();
        let mut query: Vec<(&str, &str)> = ids.iter().map(|id| ("group", *id)).collect();
        query.extend([("query", ""), ("project", "-1"), ("limit", limit.as_str())]);
        let answer = self.wire.fetch(Ask::get(Endpoint::Issues, base, &["0", "organizations", organization, "issues"], &query)).await.ok()?;
        let issues: Vec<Value> = serde_json::from_slice(&answer.body).ok()?;
        let wanted: BTreeSet<&str> = ids.iter().copied().collect();
        let mut found = BTreeMap::new();
        for issue in issues {
            let id = issue.get("id").and_then(|id| id.as_str().map(str::to_owned).or_else(|| id.as_u64().map(|id| id.to_string())))?;
            if !wanted.contains(id.as_str()) {
                // It does not understand `group` and gave its list.
                return None;
            }
            found.insert(id, issue);
        }
        Some(found)
    }

    /// Who is meant, as the API takes it.
    async fn actor(&self, base: &Url, who: &Who) -> Result<String, SourceError> {
        match who {
            Who::Nobody => Ok(String::new()),
            Who::Actor(actor) => Ok(actor.clone()),
            Who::Me => {
                let answer = self.wire.fetch(Ask::get(Endpoint::Organization, base, &["0"], &[])).await?;
                let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let id = value.get("user").and_then(|user| user.get("id")).map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
                let id = id.filter(|id| parse::is_id(id));
                id.map(|id| format!("user:{id}"))
                    .ok_or_else(|| SourceError::config("the token belongs to no person", "name the person: an address, a login name, or #team"))
            }
            Who::Team(slug) => self.team(base, slug).await,
        }
    }

    async fn team(&self, base: &Url, slug: &str) -> Result<String, SourceError> {
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..TEAM_PAGES {
            let mut query = vec![("per_page", "100")];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let path = ["0", "organizations", self.wire.organization.as_str(), "teams"];
            let answer = self.wire.fetch(Ask::get(Endpoint::Organization, base, &path, &query)).await?;
            let page = parse::projects(&answer.body).map_err(SourceError::protocol)?;
            if let Some((id, _)) = page.iter().find(|(_, known)| known == slug) {
                return Ok(format!("team:{id}"));
            }
            seen.extend(page.into_iter().map(|(_, slug)| format!("#{slug}")));
            let next = super::list::next_page(&answer.headers);
            if next.is_none() || next == cursor {
                break;
            }
            cursor = next;
        }
        seen.sort();
        let some: Vec<&str> = seen.iter().take(6).map(String::as_str).collect();
        let remedy = if some.is_empty() { "the token sees no team at all".to_owned() } else { format!("it sees {}", some.join(", ")) };
        Err(SourceError::config(format!("the token sees no team {slug} in {}", self.wire.organization), remedy))
    }

    /// The issue that people call so: its number, or `SHOP-4K2`.
    ///
    /// # Errors
    /// As [`Client::page`].
    pub async fn named(&self, name: &str) -> Result<Option<(Issue, Server)>, SourceError> {
        if !parse::is_id(name) {
            return Ok(None);
        }
        let server = self.server().await?;
        let base = self.base(server).await?;
        let (organization, upper) = (self.wire.organization.as_str(), name.to_ascii_uppercase());
        let by_number = name.bytes().all(|byte| byte.is_ascii_digit());
        let whole = ["0", "organizations", organization, "issues", name];
        let short = ["0", "issues", name];
        let by_name = ["0", "organizations", organization, "shortids", upper.as_str()];
        let path: &[&str] = match (by_number, server) {
            (true, Server::Sentry) => &whole,
            (true, Server::GlitchTip) => &short,
            (false, _) => &by_name,
        };
        let secret = self.wire.token().await?;
        let mut answer: Answer = self.wire.ask(Ask::get(Endpoint::Issues, &base, path, &[])).await?;
        if answer.status == 404 && by_number && server == Server::Sentry {
            // Older servers have it without the organization.
            answer = self.wire.ask(Ask::get(Endpoint::Issues, &base, &short, &[])).await?;
        }
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = self.wire.good(answer, Endpoint::Issues, Some(&secret))?;
        let value: Value = serde_json::from_slice(&answer.body).map_err(|_| SourceError::protocol("the answer is not JSON"))?;
        let value = if by_number { value } else { value.get("group").cloned().unwrap_or(json!({})) };
        let issue = parse::issue(&value, clock::now()).map_err(SourceError::protocol)?;
        Ok(issue.map(|issue| (issue, server)))
    }
}

/// Whether what was refused to one would be refused to all.
pub fn is_for_all(error: &SourceError) -> bool {
    use crate::domain::ErrorKind::{Auth, Connect, RateLimited, Timeout, Tls};
    matches!(error.kind, Auth | RateLimited | Connect | Tls | Timeout)
}

/// A change that was not taken says so, and what that means.
pub fn told(mut error: SourceError) -> SourceError {
    use crate::domain::ErrorKind::{Connect, RateLimited, Status, Timeout};
    match error.kind {
        Timeout | Connect => "whether it was done is not known: look at the issue before trying again".clone_into(&mut error.remedy),
        RateLimited => "nothing was changed; try again when the tracker allows it".clone_into(&mut error.remedy),
        Status if error.remedy.contains("`query`") => "nothing was changed: the tracker does not take this change of this issue".clone_into(&mut error.remedy),
        _ => {}
    }
    error
}

fn not_made(stands: &str) -> SourceError {
    SourceError::protocol(format!("the tracker accepted the change and did not make it; the issue is {stands}"))
}

/// How an issue is after the change, by what the tracker says of it.
fn stands_now(issue: &Value, change: &Change, actor: &str) -> Result<Now, SourceError> {
    let status = issue.get("status").and_then(Value::as_str);
    if let (Some(wanted), Some(status)) = (change.status(), status)
        && wanted != status
    {
        return Err(not_made(&status.chars().take(40).filter(|c| !c.is_control()).collect::<String>()));
    }
    let who = issue.get("assignedTo").filter(|_| matches!(change, Change::Assign(_)));
    if let Some(who) = who
        && who.is_null() != actor.is_empty()
    {
        return Err(not_made(if who.is_null() { "nobody's" } else { "still assigned" }));
    }
    let assignee = who.map(|who| {
        let name = who.get("name").or_else(|| who.get("email")).and_then(Value::as_str).unwrap_or_default();
        name.chars().take(200).collect()
    });
    Ok(Now { state: change.state(), assignee })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{KEYS, Place, key};
    use super::*;
    use crate::demo::sentry::{Flavour, Setup, TOKEN};
    use crate::domain::{ErrorKind, IssueState};
    use crate::sources::{Offer, Seen, Service};

    fn call(item: &str, offer: &str, arguments: &[(&str, &str)]) -> Call {
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Call { key: key(item), offer: offer.to_owned(), arguments }
    }

    fn calls(items: &[&str], offer: &str) -> Vec<Call> {
        items.iter().map(|item| call(item, offer, &[])).collect()
    }

    fn service(place: &Place) -> std::sync::Arc<dyn Service> {
        place.built(KEYS).service.unwrap()
    }

    /// What changed something, in the order it came: target and body.
    fn told(place: &Place) -> Vec<(String, String)> {
        place.seen().into_iter().filter(|seen| seen.method != "GET").map(|seen| (seen.target, seen.body)).collect()
    }

    #[tokio::test]
    async fn every_change_is_told_as_the_server_wants_it() {
        let place = Place::of(Setup::default());
        let service = service(&place);
        for (offer, arguments, message, state) in [
            ("resolve_in_next_release", &[][..], "is resolved in the next release", Some(IssueState::Resolved)),
            ("resolve_in_release", &[("release", "shop@214")], "is resolved in shop@214", Some(IssueState::Resolved)),
            ("resolve_in_commit", &[("repository", "acme/shop"), ("commit", "8f3c1d2a55")], "is resolved in commit 8f3c1d2a", Some(IssueState::Resolved)),
            ("archive_for", &[("for", "7200")], "is archived for 2 h", Some(IssueState::Archived)),
            ("archive_events", &[("events", "100")], "until it came 100 times more", Some(IssueState::Archived)),
            ("archive_users", &[("users", "5")], "until it hit 5 more users", Some(IssueState::Archived)),
            ("unresolve", &[], "is open again", Some(IssueState::Ongoing)),
            ("assign_me", &[], "is assigned", None),
            ("assign", &[("to", "#payment")], "is assigned", None),
            ("assign", &[("to", "ben")], "is assigned", None),
            ("assign_nobody", &[], "is nobody's", None),
            ("review", &[], "is marked as reviewed", None),
        ] {
            let outcome = service.perform(&call("5466", offer, arguments)).await.unwrap_or_else(|error| panic!("{offer}: {error:?}"));
            assert!(outcome.message.contains(message), "{offer}: {}", outcome.message);
            assert_eq!(outcome.now.state, state, "{offer}");
        }
        assert!(told(&place).iter().all(|(target, _)| target == "/api/0/organizations/acme/issues/5466/"));
        assert!(place.seen().iter().all(|seen| seen.with_token != seen.target.starts_with("/api/settings")));
    }

    #[tokio::test]
    async fn what_is_given_away_is_given_back_by_its_undo() {
        let place = Place::of(Setup::default());
        let service = service(&place);
        let outcome = service.perform(&call("5401", "assign", &[("to", "#backend")])).await.unwrap();
        assert_eq!(outcome.now.assignee.as_deref(), Some("backend"));
        let undo = outcome.undo.unwrap();
        assert_eq!((undo.offer.as_str(), undo.arguments["to"].as_str()), ("assign", "team:11"));
        assert_eq!(service.perform(&undo).await.unwrap().now.assignee.as_deref(), Some("catalog"));
        // One that nobody had is nobody's again.
        let undo = service.perform(&call("5466", "assign_me", &[])).await.unwrap().undo.unwrap();
        assert_eq!(service.perform(&undo).await.unwrap().now.assignee.as_deref(), Some(""));
        let error = service.perform(&call("5466", "assign", &[("to", "#bakend")])).await.unwrap_err();
        assert!(error.message.contains("no team bakend") && error.remedy.contains("#backend, #catalog, #payment"), "{error:?}");
        let error = service.perform(&call("5466", "assign", &[("to", "nobody@example.com")])).await.unwrap_err();
        assert!(error.message.contains("Unknown actor") && error.remedy.starts_with("nothing was changed"), "{error:?}");
    }

    #[tokio::test]
    async fn several_are_named_each_and_what_became_of_each_is_told() {
        let place = Place::of(Setup { crowd: 70, ..Setup::default() });
        let service = service(&place);
        let outcomes = service.perform_all(&calls(&["5466", "1", "5401"], "resolve")).await;
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
        assert!(outcomes[1].as_ref().unwrap_err().message.contains("does not know this issue any more"));
        let all: Vec<String> = (9_001..9_061).map(|id: u32| id.to_string()).collect();
        let many: Vec<&str> = all.iter().map(String::as_str).collect();
        assert!(service.perform_all(&calls(&many, "archive")).await.iter().all(Result::is_ok));
        let told = told(&place);
        assert_eq!(told[0], ("/api/0/organizations/acme/issues/?id=5466&id=1&id=5401".to_owned(), r#"{"status":"resolved"}"#.to_owned()));
        // Fifty at once, and no id twice.
        assert_eq!(told[1..].iter().map(|(target, _)| target.matches("id=").count()).collect::<Vec<_>>(), [50, 10]);
        // Nobody can make one request of different things, or of nothing.
        let before = place.seen().len();
        let odd = [call("5466", "resolve", &[]), call("5401", "archive", &[])];
        assert!(service.perform_all(&odd).await.iter().all(Result::is_err));
        assert!(service.perform_all(&[]).await.is_empty());
        assert!(service.perform_all(&calls(&["5466", ""], "resolve")).await.iter().all(Result::is_err));
        assert_eq!(place.seen().len(), before);
    }

    #[tokio::test]
    async fn a_refusal_of_all_is_asked_for_once_and_has_its_remedy() {
        let reader = Setup { tokens: vec![(TOKEN.to_owned(), vec!["org:read", "event:read"])], ..Setup::default() };
        let place = Place::of(reader);
        for outcome in service(&place).perform_all(&calls(&["5466", "5401"], "resolve")).await {
            let error = outcome.unwrap_err();
            assert!(error.message.contains("it needs event:write (403)") && error.remedy.contains("the scope event:write"), "{error:?}");
        }
        assert_eq!(told(&place).len(), 1);
        let place = Place::of(Setup { allowance: Some(0), ..Setup::default() });
        let error = service(&place).perform(&call("5466", "resolve", &[])).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::RateLimited);
        let error = service(&Place::of(Setup::default())).perform(&call("5466", "resolve_in_commit", &[("repository", "acme/x"), ("commit", "8f3c")])).await;
        assert!(error.unwrap_err().remedy.starts_with("nothing was changed"));
    }

    #[tokio::test]
    async fn glitchtip_is_told_of_each_and_only_what_it_knows() {
        let place = Place::of(Setup { flavour: Flavour::GlitchTip, ..Setup::default() });
        let service = service(&place);
        assert!(service.perform_all(&calls(&["5466", "5401"], "archive")).await.iter().all(Result::is_ok));
        let archived = |id: &str| (format!("/api/0/organizations/acme/issues/{id}/"), r#"{"status":"ignored"}"#.to_owned());
        assert_eq!(told(&place), [archived("5466"), archived("5401")]);
        let error = service.perform(&call("5466", "assign_me", &[])).await.unwrap_err();
        assert!(error.message.contains("knows no such change"), "{error:?}");
        let found = service.find("5466").await.unwrap().unwrap();
        let issue = found.issue.unwrap();
        let offers: Vec<Offer> = service.offers_for(&found.key, Seen::Issue(&issue, &found.server));
        assert_eq!(offers.iter().map(|offer| offer.id.as_str()).collect::<Vec<_>>(), ["resolve", "unresolve"]);
        assert_eq!(offers[0].undo.as_deref(), Some("archive"));
    }

    #[tokio::test]
    async fn issues_are_found_by_what_people_call_them() {
        let place = Place::of(Setup::default());
        let service = service(&place);
        for name in ["5320", "SHOP-2ZT", "shop-2zt"] {
            let found = service.find(name).await.unwrap().unwrap();
            assert_eq!((found.key.item.as_str(), found.issue.unwrap().state), ("5320", IssueState::Resolved), "{name}");
        }
        for name in ["1", "SHOP-NONE", "../5320", ""] {
            assert_eq!(service.find(name).await.unwrap(), None, "{name}");
        }
    }
}
